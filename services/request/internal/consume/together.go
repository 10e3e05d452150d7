package consume

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// together gives events of one organization their effects, one after the other
// in memory, between one look at the requests that they move and one write of
// what has become of them. Whatever the events, that is the same few statements.
func (h handlers) together(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
	effects := make([]effect, len(events))
	var moved []uuid.UUID
	for n, ev := range events {
		e, err := effectOf(ev)
		if err != nil {
			return inbox.Failed(ev, err)
		}
		if effects[n] = e; e.move != nil {
			moved = append(moved, e.request)
		}
	}
	var requests map[uuid.UUID]*store.Request
	if len(moved) > 0 {
		var err error
		if requests, err = store.Load(ctx, tx, moved); err != nil {
			return err
		}
	}
	c := store.NewChanges(events[0].OrganizationID)
	for n, e := range effects {
		r := requests[e.request] // nil if it was not asked for here
		e.apply(c, r, h.now(events[n]))
	}
	return c.WriteLater(ctx, tx, h.events)
}

// apply gives an event its effect; r is the request that it moves, if it moves
// one that is known.
func (e effect) apply(c *store.Changes, r *store.Request, at time.Time) {
	moves := e.move != nil && r != nil
	for _, request := range e.requests {
		entry := e.entry
		if moves && request == r.ID && r.State == lifecycle.Cancelling && e.tooLate != "" {
			entry.Text = e.tooLate
		}
		c.Note(request, entry)
	}
	c.Show(e.request, e.reviewers...)
	if e.grant != nil {
		c.CopyGrant(*e.grant)
	}
	if moves {
		e.move(c, r, at)
	}
}

// closeRequest ends a request and says so, with the request as it then is.
func closeRequest(c *store.Changes, r *store.Request, to lifecycle.State, at time.Time, why store.Closing) {
	if at.Before(r.UpdateTime) {
		at = r.UpdateTime
	}
	c.Move(r, store.Move{To: to, At: at, Closing: why})
	said, eventID := r.Proto(), id.New()
	text := "Closed as " + string(to)
	if r.ClosingReason != "" {
		text += ": " + r.ClosingReason
	}
	c.Note(r.ID, store.Entry{EventID: eventID, Time: at, Event: "request.closed", ActorName: System().GetDisplayName(), Text: text})
	c.Say(outbox.Event{
		ID: eventID, AggregateID: r.ID, Time: at,
		Message: &eventv1.RequestClosed{Context: contextOf(System(), said), Request: said},
	})
}
