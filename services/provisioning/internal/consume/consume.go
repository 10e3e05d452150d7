// Package consume tells the engine what other services say.
//
// Every handler takes in a fact and has the engine settle what it concerns, so
// that an event which comes twice, late, or before another changes nothing
// more than it should: copies are guarded by versions, grants by the request's
// item. An approval whose person, app or entitlement has not arrived waits for
// them.
package consume

import (
	"context"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/access"
)

// Handlers returns the handlers of all events that concern provisioning.
func Handlers(e *access.Engine) *inbox.Handlers {
	h := &inbox.Handlers{}
	// By far the most, and each costs less in company.
	h.Together(e.Approved, &eventv1.ApprovalGranted{})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserJoined) error {
		return e.User(ctx, tx, ev, m.GetUser())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserUpdated) error {
		return e.User(ctx, tx, ev, m.GetUser())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserSuspended) error {
		return e.User(ctx, tx, ev, m.GetUser())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserRemoved) error {
		return e.User(ctx, tx, ev, m.GetUser())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppCreated) error {
		return e.App(ctx, tx, ev, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppUpdated) error {
		return e.App(ctx, tx, ev, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.EntitlementCreated) error {
		return e.Entitlement(ctx, tx, ev, m.GetEntitlement())
	})
	return h
}
