package wire

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/services/approval/internal/lifecycle"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// System is Gatehouse itself as an actor.
func System() *eventv1.Actor {
	return event.SystemActor("approval")
}

// User is a user as an actor; nobody is Gatehouse itself.
func User(p lifecycle.Person) *eventv1.Actor {
	if p.ID == "" {
		return System()
	}
	return event.UserActor(p.ID, p.Name)
}

// Story collects the events of one approval in one transaction, in order. Each
// has a version of its own.
type Story struct {
	OrganizationID uuid.UUID
	Request        *requestv1.Request
	Time           time.Time
	// Version is that of the approval, counted up by each event.
	Version int64
	Events  []outbox.Event
}

func (s *Story) context(actor *eventv1.Actor, itemID string) *eventv1.Context {
	s.Version++
	c := &eventv1.Context{
		Actor: actor, RequestIds: []string{s.Request.GetId()}, UserId: s.Request.GetBeneficiary().GetUserId(), Version: s.Version,
	}
	// The item's app, or that of all items if it is the same.
	for i, it := range s.Request.GetItems() {
		switch {
		case it.GetId() == itemID:
			c.AppId = it.GetAppId()
			return c
		case itemID != "":
		case i == 0:
			c.AppId = it.GetAppId()
		case c.AppId != it.GetAppId():
			c.AppId = ""
			return c
		}
	}
	return c
}

func (s *Story) add(id string, m proto.Message) {
	s.Events = append(s.Events, outbox.Event{
		OrganizationID: s.OrganizationID, AggregateID: parse(id), Time: s.Time, Message: m,
	})
}

// tasksAtOnce bounds one event: a step may ask everybody in a large group.
const tasksAtOnce = 500

// Requested tells that reviewers are asked in a step, in several events if they
// are many. The first task of each has the request.
func (s *Story) Requested(step *lifecycle.Step, tasks []*lifecycle.Task) {
	for {
		n := min(len(tasks), tasksAtOnce)
		e := &eventv1.ApprovalRequested{
			Context: s.context(System(), step.ItemID), RequestId: s.Request.GetId(), ItemId: step.ItemID,
			Step: int32(step.Position), StepName: step.Spec.Name, FlowId: step.FlowID, FlowVersion: step.FlowVersion,
		}
		for i, t := range tasks[:n] {
			task := Task(t, step.Spec.Name, s.Request)
			if i > 0 {
				task.Request = nil
			}
			e.Tasks = append(e.Tasks, task)
		}
		s.add(s.Request.GetId(), e)
		if tasks = tasks[n:]; len(tasks) == 0 {
			return
		}
	}
}

// Decided tells a reviewer's decision.
func (s *Story) Decided(o lifecycle.Outcome) {
	s.add(s.Request.GetId(), &eventv1.ApprovalDecided{
		Context: s.context(User(o.Task.Reviewer), o.Task.ItemID),
		Task:    Task(o.Task, o.Step.Spec.Name, s.Request), StepApproved: o.StepApproved,
	})
}

// Granted tells that a request is approved, by its last reviewer or by itself.
func (s *Story) Granted(a *lifecycle.Approval, by lifecycle.Person) {
	s.add(s.Request.GetId(), &eventv1.ApprovalGranted{
		Context: s.context(User(by), ""), Request: s.Request,
		FlowId: a.FlowID, FlowVersion: a.FlowVersion, Automatic: a.Automatic,
	})
}

// Denied tells that a request is denied.
func (s *Story) Denied(o lifecycle.Outcome) {
	s.add(s.Request.GetId(), &eventv1.ApprovalDenied{
		Context: s.context(User(o.Task.Reviewer), o.Task.ItemID), RequestId: s.Request.GetId(),
		Reviewer: Person(o.Task.Reviewer), Reason: o.Task.Comment, StepName: o.Step.Spec.Name,
	})
}

// Cancelled tells that a request's approval ended because it was taken back.
func (s *Story) Cancelled(actor *eventv1.Actor, reason string) {
	s.add(s.Request.GetId(), &eventv1.ApprovalCancelled{
		Context: s.context(actor, ""), RequestId: s.Request.GetId(), Reason: reason,
	})
}

// Reassigned tells that a task went from one to another, or, without to, that
// it was taken from somebody.
func (s *Story) Reassigned(actor *eventv1.Actor, step *lifecycle.Step, from, to *lifecycle.Task, reason string) {
	e := &eventv1.TaskReassigned{
		Context: s.context(actor, from.ItemID), From: Task(from, step.Spec.Name, s.Request), Reason: reason,
	}
	if to != nil {
		e.To = Task(to, step.Spec.Name, s.Request)
		e.To.Request = nil // it is in from
	}
	s.add(from.ID, e)
}

// FlowChanged is the event of a flow that is new or has a new version.
func FlowChanged(organizationID uuid.UUID, actor *eventv1.Actor, f *approvalv1.Flow) outbox.Event {
	c := &eventv1.Context{Actor: actor, Version: int64(f.GetVersion())}
	e := outbox.Event{
		OrganizationID: organizationID, AggregateID: parse(f.GetId()),
		Time: f.GetUpdateTime().AsTime(), Message: &eventv1.FlowUpdated{Context: c, Flow: f},
	}
	if f.GetVersion() == 1 {
		e.Message = &eventv1.FlowCreated{Context: c, Flow: f}
	}
	return e
}

// FlowMatched is the event of a join-flow that matched somebody.
func FlowMatched(organizationID uuid.UUID, f *approvalv1.Flow, userID string, joinCount int32, now time.Time) outbox.Event {
	return outbox.Event{
		OrganizationID: organizationID, AggregateID: parse(f.GetId()), Time: now,
		Message: &eventv1.FlowMatched{
			Context: &eventv1.Context{Actor: System(), UserId: userID, Version: int64(f.GetVersion())},
			FlowId:  f.GetId(), FlowVersion: f.GetVersion(), FlowName: f.GetName(), UserId: userID, JoinCount: joinCount,
			EntitlementIds: f.GetScope().GetEntitlementIds(), Duration: f.GetMaxDuration(),
		},
	}
}

// parse reads an id of our own; the outbox refuses the nil id.
func parse(id string) uuid.UUID {
	u, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil
	}
	return u
}
