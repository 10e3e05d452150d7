package command

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// AppliedEvents are the types of events that [Commands.ApplyEvents] takes.
func AppliedEvents() []proto.Message {
	return []proto.Message{
		(*eventv1.ApprovalRequested)(nil), (*eventv1.ApprovalDecided)(nil), (*eventv1.ApprovalGranted)(nil),
		(*eventv1.ApprovalDenied)(nil), (*eventv1.ApprovalCancelled)(nil), (*eventv1.TaskReassigned)(nil), (*eventv1.TaskReminded)(nil), (*eventv1.ApprovalEscalated)(nil),
		(*eventv1.GrantCreated)(nil), (*eventv1.GrantActivated)(nil), (*eventv1.GrantHeld)(nil), (*eventv1.GrantExpiring)(nil),
		(*eventv1.GrantEnded)(nil), (*eventv1.GrantRevoked)(nil), (*eventv1.GrantFailed)(nil), (*eventv1.GrantReopened)(nil), (*eventv1.RevocationCompleted)(nil), (*eventv1.RevocationReopened)(nil),
		(*eventv1.WorkItemOpened)(nil), (*eventv1.WorkItemResolved)(nil), (*eventv1.WorkItemCancelled)(nil),
	}
}

// ApplyEvents gives events of approval and provisioning of one organization their
// effects, one after the other in memory, between one read of the requests that
// they change and one save. Whatever the events, that is the same few statements.
func (c *Commands) ApplyEvents(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
	effects := make([]effect, len(events))
	var changed, ended []uuid.UUID
	endedBy := map[uuid.UUID]inbox.Event{}
	for n, ev := range events {
		e, err := effectOf(ev)
		if err != nil {
			return inbox.Failed(ev, err)
		}
		if effects[n] = e; e.change != nil {
			changed = append(changed, e.request)
		}
		if e.ended != uuid.Nil {
			ended, endedBy[e.ended] = append(ended, e.ended), ev
		}
	}
	var asked []uuid.UUID
	if len(ended) > 0 {
		var err error
		if asked, err = store.TakingAway(ctx, tx, ended); err != nil {
			return err
		}
		changed = append(changed, asked...)
	}
	var requests map[uuid.UUID]*store.Request
	if len(changed) > 0 {
		var err error
		if requests, err = store.Load(ctx, tx, changed); err != nil {
			return err
		}
	}
	changes := store.NewChanges(events[0].OrganizationID)
	for n, e := range effects {
		changes.Cause(events[n].Traceparent)
		r := requests[e.request] // nil if it is not known here
		if e.grant {
			changes.CopyGrants(events[n])
		}
		e.apply(changes, r, notBefore(c.Clock.Now(), events[n].Time.UTC().Truncate(time.Microsecond)))
	}
	// As the events have left them: what was decided by now is not pointless.
	for _, id := range asked {
		if r := requests[id]; r != nil {
			cancelPointless(changes, r, func(i *store.Item) bool {
				by, ok := endedBy[i.GrantItemID.UUID]
				if !ok || slices.Contains(event.ContextOf(by.Message).GetRequestIds(), r.ID.String()) {
					return false // or that request has ended it: its approval is still to come
				}
				changes.Cause(by.Traceparent)
				return true
			}, "what it would take away has ended", c.Clock.Now())
		}
	}
	return changes.SaveLater(ctx, tx, c.Events)
}

// apply gives an event its effect; r is the request that it changes, if it
// changes one that is known.
func (e effect) apply(changes *store.Changes, r *store.Request, at time.Time) {
	known := e.change != nil && r != nil
	for _, request := range e.requests {
		entry := e.entry
		if known && request == r.ID && r.State == lifecycle.Cancelling && e.tooLate != "" {
			entry.Text = e.tooLate
		}
		changes.AddEntry(request, entry)
	}
	changes.AddReviewers(e.request, e.entry.AppID, e.reviewers...)
	if e.change == nil || known { // a decision about a request that is not known waits for nobody
		for _, a := range e.actions {
			if a.Kind == store.Decide {
				a.RequestID = e.request
			}
			changes.AddAction(a)
		}
	}
	if known {
		e.change(changes, r, at)
	}
}
