// Package consume translates other services' events into commands.
//
// An event that comes twice, late, or before another changes nothing more than
// it should: copies are guarded by versions, grants by the request's item. An
// approval whose person, app or entitlement has not arrived waits for them. What is given
// up before its approval arrives is remembered.
package consume

import (
	"context"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/command"
	"gatehouse.dev/services/provisioning/internal/convert"
)

// Handlers returns the handlers of events, besides those that copies have.
func Handlers(e *command.Engine) *inbox.Handlers {
	h := &inbox.Handlers{}
	// By far the most events, and each costs less in a batch.
	h.Together(func(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
		approvals, err := convert.Approvals(events)
		if err != nil {
			return err
		}
		return e.Approve(ctx, tx, approvals)
	}, &eventv1.ApprovalGranted{})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.RequestGiveUpRequested) error {
		g, err := convert.ReadGiveUp(ev, m)
		if err != nil {
			return err
		}
		return e.GiveUp(ctx, tx, g)
	})
	return h
}
