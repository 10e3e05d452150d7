package convert

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// SystemActor is Gatehouse itself as an actor.
func SystemActor() *eventv1.Actor {
	return event.SystemActor("approval")
}

// UserActor is a user as an actor.
func UserActor(p lifecycle.Person) *eventv1.Actor {
	return event.UserActor(p.ID, p.Name)
}

// Events collects the events of one approval in one transaction, in order. Each
// has a version of its own.
type Events struct {
	OrganizationID uuid.UUID
	Approval       *lifecycle.Approval
	Request        *requestv1.Request
	Time           time.Time
	// Traceparent is the trace of what causes the next events.
	Traceparent string
	// Version is that of the approval, increased by each event.
	Version int64
	List    []outbox.Event
}

// context is that of an event about items, or about the whole request if there is none.
func (e *Events) context(actor *eventv1.Actor, itemIDs ...string) *eventv1.Context {
	e.Version++
	c := &eventv1.Context{
		Actor: actor, RequestIds: []string{e.Approval.RequestID}, UserId: e.Request.GetBeneficiary().GetUserId(), Version: e.Version,
		EnvironmentId: e.Approval.EnvironmentID,
		Bulk:          ByJoinFlow(e.Request) && Gives(e.Request) && actor.GetKind() != eventv1.ActorKind_ACTOR_KIND_USER,
	}
	for _, it := range e.Request.GetItems() {
		switch {
		case len(itemIDs) > 0 && !slices.Contains(itemIDs, it.GetId()):
		case c.AppId == "":
			c.AppId = it.GetAppId()
		case c.AppId != it.GetAppId():
			c.AppId = "" // the items are of several apps
			return c
		}
	}
	return c
}

func (e *Events) add(id string, m proto.Message) {
	e.List = append(e.List, outbox.Event{
		OrganizationID: e.OrganizationID, AggregateID: parse(id), Time: e.Time, Traceparent: e.Traceparent, Message: m,
	})
}

// tasksInEvent bounds one event: a step may ask everybody in a large group.
const tasksInEvent = 500

// tasks are up to tasksInEvent tasks to show, and the rest of them. The first
// has the request.
func (e *Events) tasks(list []*lifecycle.Task, request *requestv1.Request) (shown []*approvalv1.Task, rest []*lifecycle.Task) {
	n := min(len(list), tasksInEvent)
	for i, t := range list[:n] {
		if i > 0 {
			request = nil
		}
		shown = append(shown, Task(e.Approval, t, request))
	}
	return shown, list[n:]
}

// vacancy says that nobody can decide a step; nil if somebody can, or nobody is to be
// asked.
func (e *Events) vacancy(s *lifecycle.Step) *requestv1.Vacancy {
	if s == nil || !s.Vacant || e.Approval.Held {
		return nil
	}
	return vacancy(e.Approval, s, s.WhyVacant)
}

// vacancy says that nobody can decide a step, and why.
func vacancy(a *lifecycle.Approval, s *lifecycle.Step, reason string) *requestv1.Vacancy {
	return &requestv1.Vacancy{
		Step: position(s.Position), StepName: s.Spec.Name, Reason: cmp.Or(reason, "nobody is there who could decide"),
		Help: flow.Help(string(s.Spec.Reviewers), a.Beneficiary.Name, a.EnvironmentID != ""),
	}
}

// planned are the steps of an item, from the first.
func (e *Events) planned(itemID string) []*eventv1.PlannedStep {
	var out []*eventv1.PlannedStep
	for _, needed := range e.Approval.Planned(itemID) {
		out = append(out, &eventv1.PlannedStep{NeededApprovals: position(needed)})
	}
	return out
}

// Requested says that reviewers are asked in a step, in several events if they
// are many.
func (e *Events) Requested(step *lifecycle.Step, tasks []*lifecycle.Task) {
	for {
		m := &eventv1.ApprovalRequested{
			Context: e.context(SystemActor(), step.ItemID), RequestId: e.Approval.RequestID, ItemId: step.ItemID,
			Step: position(step.Position), StepName: step.Spec.Name, FlowId: step.FlowID, FlowVersion: step.FlowVersion, Vacancy: e.vacancy(step),
			PlannedSteps: e.planned(step.ItemID),
		}
		m.Tasks, tasks = e.tasks(tasks, e.Request)
		e.add(e.Approval.RequestID, m)
		if len(tasks) == 0 {
			return
		}
	}
}

// Decided says that a reviewer decided and the approval goes on. next is the
// step that this opened, with its tasks; nil if none.
func (e *Events) Decided(o lifecycle.Outcome, next *lifecycle.Step, tasks []*lifecycle.Task) {
	m := &eventv1.ApprovalDecided{
		Context: e.context(UserActor(o.Task.Reviewer), o.Task.ItemID), Task: Task(e.Approval, o.Task, e.Request), StepApproved: o.StepApproved,
		PlannedSteps: e.planned(o.Task.ItemID),
	}
	e.add(e.Approval.RequestID, m)
	if next == nil {
		return
	}
	m.NextStep, m.NextStepName, m.NextVacancy = position(next.Position), next.Spec.Name, e.vacancy(next)
	// The request is in task.
	if m.NextTasks, tasks = e.tasks(tasks, nil); len(tasks) > 0 {
		e.Requested(next, tasks)
	}
}

// Given says that items of a request are approved by their flows themselves, or by who
// assigned them.
func (e *Events) Given(items []lifecycle.Given) {
	actor, assigned := SystemActor(), ByAssignment(e.Request)
	if assigned {
		actor = UserActor(e.Approval.Requester)
	}
	ids := make([]string, len(items))
	for n, i := range items {
		ids[n] = i.ItemID
	}
	e.add(e.Approval.RequestID, &eventv1.ApprovalGranted{
		Context: e.context(actor, ids...), Request: e.part(ids...),
		FlowId: items[0].FlowID, FlowVersion: items[0].FlowVersion, Automatic: !assigned,
	})
}

// Granted says that an item is approved, by the last decision that it needed.
func (e *Events) Granted(o lifecycle.Outcome) {
	item := o.Task.ItemID
	e.add(e.Approval.RequestID, &eventv1.ApprovalGranted{
		Context: e.context(UserActor(o.Task.Reviewer), item), Request: e.part(item),
		FlowId: o.Step.FlowID, FlowVersion: o.Step.FlowVersion, Task: Task(e.Approval, o.Task, nil), // the request is in request
	})
}

// part is the request with some of its items.
func (e *Events) part(itemIDs ...string) *requestv1.Request {
	if len(itemIDs) == len(e.Request.GetItems()) {
		return e.Request
	}
	r := proto.CloneOf(e.Request)
	r.Items = slices.DeleteFunc(r.Items, func(i *requestv1.RequestItem) bool { return !slices.Contains(itemIDs, i.GetId()) })
	return r
}

// Denied says that an item is denied.
func (e *Events) Denied(o lifecycle.Outcome) {
	e.add(e.Approval.RequestID, &eventv1.ApprovalDenied{
		Context: e.context(UserActor(o.Task.Reviewer), o.Task.ItemID), RequestId: e.Approval.RequestID,
		Reviewer: Person(o.Task.Reviewer), Reason: o.Task.Comment, StepName: o.Step.Spec.Name, Task: Task(e.Approval, o.Task, e.Request),
	})
}

// Refused says that what was assigned is denied, by no person.
func (e *Events) Refused(reason string) {
	e.add(e.Approval.RequestID, &eventv1.ApprovalDenied{
		Context: e.context(SystemActor()), RequestId: e.Approval.RequestID, Reason: reason,
	})
}

// Cancelled says that items, or with none all of them, ended without a decision because
// the request was cancelled.
func (e *Events) Cancelled(actor *eventv1.Actor, reason string, items ...string) {
	if len(items) == len(e.Request.GetItems()) {
		items = nil
	}
	e.add(e.Approval.RequestID, &eventv1.ApprovalCancelled{
		Context: e.context(actor, items...), RequestId: e.Approval.RequestID, Reason: reason, Expired: e.Approval.Expired, ItemIds: items,
	})
}

// Reassigned says that somebody else is asked instead, or, with to nil, that
// nobody is.
func (e *Events) Reassigned(actor *eventv1.Actor, from, to *lifecycle.Task, reason string) {
	m := &eventv1.TaskReassigned{
		Context: e.context(actor, from.ItemID), From: Task(e.Approval, from, e.Request), Reason: reason,
		PlannedSteps: e.planned(from.ItemID),
	}
	if to != nil {
		m.To = Task(e.Approval, to, nil) // the request is in from
	} else {
		m.Vacancy = e.vacancy(e.Approval.StepOf(from))
	}
	e.add(from.ID, m)
}

// Reminded says that reviewers are reminded of tasks, of those that they decide as one
// once; in several events if they are many.
func (e *Events) Reminded(actor *eventv1.Actor, tasks []*lifecycle.Task) {
	var first []*lifecycle.Task
	var shown []*approvalv1.Task
	var items []string
	for _, t := range tasks {
		items = append(items, t.ItemID)
		together := e.Approval.Together(t)
		if slices.ContainsFunc(together, func(o *lifecycle.Task) bool { return slices.Contains(first, o) }) {
			continue
		}
		first = append(first, t)
		show := Task(e.Approval, t, nil)
		for _, o := range together {
			if slices.Contains(tasks, o) {
				show.ItemIds = append(show.ItemIds, o.ItemID)
			}
		}
		shown = append(shown, show)
	}
	for part := range slices.Chunk(shown, tasksInEvent) {
		part[0].Request = e.Request
		e.add(e.Approval.RequestID, &eventv1.TaskReminded{Context: e.context(actor, items...), RequestId: e.Approval.RequestID, Tasks: part})
	}
}

// Escalated says that more people are asked in a step, or that there are none.
func (e *Events) Escalated(s *lifecycle.Step, tasks []*lifecycle.Task, reason string) {
	for {
		m := &eventv1.ApprovalEscalated{
			Context: e.context(SystemActor(), s.ItemID), RequestId: e.Approval.RequestID, ItemId: s.ItemID,
			Step: position(s.Position), StepName: s.Spec.Name, Reason: reason,
		}
		m.Tasks, tasks = e.tasks(tasks, e.Request)
		e.add(e.Approval.RequestID, m)
		if len(tasks) == 0 {
			return
		}
	}
}

// FlowChanged is the event of a flow that is new or has a new version.
func FlowChanged(organizationID uuid.UUID, actor *eventv1.Actor, f lifecycle.Flow) outbox.Event {
	c := &eventv1.Context{Actor: actor, Version: int64(f.Version), EnvironmentId: f.EnvironmentID}
	e := outbox.Event{OrganizationID: organizationID, AggregateID: parse(f.ID), Time: f.UpdateTime}
	if f.Version == 1 {
		e.Message = &eventv1.FlowCreated{Context: c, Flow: Flow(organizationID, f)}
	} else {
		e.Message = &eventv1.FlowUpdated{Context: c, Flow: Flow(organizationID, f)}
	}
	return e
}

// FlowDeleted is the event of a flow that was deleted. ending is what is ended of what
// hangs on it, nil if nothing is.
func FlowDeleted(organizationID uuid.UUID, actor *eventv1.Actor, f lifecycle.Flow, at time.Time, ending *store.FlowEnding, used store.FlowUse) outbox.Event {
	m := &eventv1.FlowDeleted{
		Context: &eventv1.Context{Actor: actor, Version: int64(f.Version) + 1, EnvironmentId: f.EnvironmentID}, Flow: DeletedFlow(organizationID, f, at),
		Requests: approvalv1.FlowRequests_FLOW_REQUESTS_KEEP,
	}
	if f.Trigger == lifecycle.OnJoin {
		m.Matches = approvalv1.FlowMatches_FLOW_MATCHES_KEEP
	}
	if ending != nil {
		m.Reason, m.OpenRequestCount, m.MatchedCount = ending.Reason, used.Requests, used.Matches
		if ending.Cancel {
			m.Requests = approvalv1.FlowRequests_FLOW_REQUESTS_CANCEL
		}
		if ending.TakeBack {
			m.Matches = approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK
		}
	}
	return outbox.Event{OrganizationID: organizationID, AggregateID: parse(f.ID), Time: at, Message: m}
}

// FlowMatched is the event of a join-flow that matched somebody.
func FlowMatched(organizationID uuid.UUID, f lifecycle.Flow, m lifecycle.Member, joinCount, matchCount int32, now time.Time) outbox.Event {
	e := &eventv1.FlowMatched{
		Context: &eventv1.Context{Actor: SystemActor(), UserId: m.ID, Version: int64(f.Version), EnvironmentId: m.EnvironmentID, Bulk: true},
		FlowId:  f.ID, FlowVersion: f.Version, FlowName: f.Name, UserId: m.ID, JoinCount: joinCount, EntitlementIds: f.Scope.EntitlementIDs,
		MatchCount: matchCount,
	}
	if f.MaxDuration > 0 {
		e.Duration = durationpb.New(f.MaxDuration)
	}
	return outbox.Event{
		OrganizationID: organizationID, AggregateID: parse(f.ID), Time: now, Message: e,
	}
}

// FlowUnmatched is the event of a join-flow that is not for somebody any more.
func FlowUnmatched(organizationID uuid.UUID, f lifecycle.Flow, m lifecycle.Member, joinCount, matchCount int32, now time.Time) outbox.Event {
	return outbox.Event{
		OrganizationID: organizationID, AggregateID: parse(f.ID), Time: now, Message: &eventv1.FlowUnmatched{
			// Not in bulk: what ends access comes before what gives it.
			Context: &eventv1.Context{Actor: SystemActor(), UserId: m.ID, Version: int64(f.Version), EnvironmentId: m.EnvironmentID},
			FlowId:  f.ID, FlowVersion: f.Version, FlowName: f.Name, UserId: m.ID, JoinCount: joinCount, MatchCount: matchCount,
			Action: UnmatchAction(f),
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
