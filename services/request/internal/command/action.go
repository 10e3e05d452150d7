package command

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// tasks are what an event says of the decisions of an item: which there are, how they
// stand, and how many each step needs.
func (e *reader) tasks(itemID string, planned []*eventv1.PlannedStep, about *eventv1.Context, tasks ...*approvalv1.Task) func(*store.Changes, *store.Request, time.Time) {
	if itemID == "" { // of all of the request
		return func(*store.Changes, *store.Request, time.Time) {}
	}
	item := e.id("item_id", itemID)
	needed := make([]int, len(planned))
	for n, step := range planned {
		needed[n] = int(step.GetNeededApprovals())
	}
	for _, t := range tasks {
		e.task(item, t)
	}
	completes := e.completes
	return func(c *store.Changes, r *store.Request, _ time.Time) {
		c.Ask(r, item)
		c.SetReview(r, item, func(review *lifecycle.Review) bool {
			changed := review.Plan(about.GetVersion(), needed)
			for _, t := range tasks {
				if taskState(t) == store.ActionDone {
					changed = review.Decide(t.GetId(), int(t.GetStep()), completes) || changed
				}
			}
			return changed
		})
	}
}

// lastTask is the decision that ended an item, if a person did.
func (e *reader) lastTask(t *approvalv1.Task, about *eventv1.Context) func(*store.Changes, *store.Request, time.Time) {
	if t == nil {
		return e.tasks("", nil, about)
	}
	e.completes = t.GetState() == approvalv1.TaskState_TASK_STATE_APPROVED
	return e.tasks(t.GetItemId(), nil, about, t)
}

// task adds the action that a task is.
func (e *reader) task(item uuid.UUID, t *approvalv1.Task) {
	if t.GetId() == "" {
		return
	}
	a := store.Action{
		ID: e.id("task.id", t.GetId()), ItemID: convert.Nullable(item), AppID: e.entry.AppID,
		Step: int(t.GetStep()), Kind: store.Decide, State: taskState(t),
		ActorID: convert.Nullable(e.id("user_id", t.GetReviewer().GetUserId())), AskedTime: e.at(t.GetCreateTime()),
	}
	if a.State == store.ActionDone {
		a.DoneTime, a.DoneBy, a.Outcome = e.at(t.GetDecideTime()), a.ActorID, store.Approved
		if t.GetState() == approvalv1.TaskState_TASK_STATE_DENIED {
			a.Outcome = store.Denied
		}
	}
	e.actions = append(e.actions, a)
}

// taskState is how the action stands that a task is.
func taskState(t *approvalv1.Task) store.ActionState {
	switch t.GetState() {
	case approvalv1.TaskState_TASK_STATE_APPROVED, approvalv1.TaskState_TASK_STATE_DENIED:
		return store.ActionDone
	case approvalv1.TaskState_TASK_STATE_CANCELLED, approvalv1.TaskState_TASK_STATE_REASSIGNED:
		return store.ActionWithdrawn
	case approvalv1.TaskState_TASK_STATE_OPEN, approvalv1.TaskState_TASK_STATE_UNSPECIFIED:
	}
	return store.ActionOpen
}

// work adds the actions that a work item is: one for each request that it serves.
func (e *reader) work(w *provisioningv1.WorkItem, about *eventv1.Context) {
	if w.GetId() == "" {
		return
	}
	a := store.Action{
		ID: e.id("work_item.id", w.GetId()), AppID: e.entry.AppID, Kind: store.Provision, State: store.ActionOpen, AskedTime: e.at(w.GetCreateTime()),
	}
	if w.GetKind() == provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN {
		a.Kind = store.Assign
	}
	switch w.GetState() {
	case provisioningv1.WorkItemState_WORK_ITEM_STATE_RESOLVED:
		a.State, a.DoneTime = store.ActionDone, e.at(w.GetResolveTime())
		if by := w.GetResolver().GetUserId(); by != "" { // else an integration has done it
			a.DoneBy = convert.Nullable(e.id("resolver.user_id", by))
		}
	case provisioningv1.WorkItemState_WORK_ITEM_STATE_CANCELLED:
		a.State = store.ActionWithdrawn
	case provisioningv1.WorkItemState_WORK_ITEM_STATE_OPEN, provisioningv1.WorkItemState_WORK_ITEM_STATE_UNSPECIFIED:
	}
	for _, r := range about.GetRequestIds() {
		a.RequestID = e.id("request_ids", r)
		e.actions = append(e.actions, a)
	}
}

// at is the time of what an event is about, or else that of the event.
func (e *reader) at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return e.entry.Time
	}
	return t.AsTime().Truncate(time.Microsecond)
}
