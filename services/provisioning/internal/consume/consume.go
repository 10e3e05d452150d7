// Package consume translates other services' events into commands.
//
// An event that comes twice, late, or before another changes nothing more than
// it should: copies are guarded by versions, grants by the request's item. An
// approval whose person, app or entitlement has not arrived waits for them.
package consume

import (
	"context"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/internal/command"
	"gatehouse.dev/services/provisioning/internal/convert"
)

// Handlers returns the handlers of all events that concern provisioning.
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
	user := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *identityv1.User) error {
		p, err := convert.User(m)
		if err != nil {
			return err
		}
		return e.ApplyUser(ctx, tx, ev.OrganizationID, p)
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserJoined) error {
		return user(ctx, tx, ev, m.GetUser())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserUpdated) error {
		return user(ctx, tx, ev, m.GetUser())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserSuspended) error {
		return user(ctx, tx, ev, m.GetUser())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserRemoved) error {
		return user(ctx, tx, ev, m.GetUser())
	})
	app := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *requestv1.App) error {
		a, err := convert.App(m)
		if err != nil {
			return err
		}
		return e.ApplyApp(ctx, tx, ev.OrganizationID, a)
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppCreated) error {
		return app(ctx, tx, ev, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppUpdated) error {
		return app(ctx, tx, ev, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.EntitlementCreated) error {
		ent, err := convert.Entitlement(m.GetEntitlement())
		if err != nil {
			return err
		}
		return e.ApplyEntitlement(ctx, tx, ev.OrganizationID, ent)
	})
	return h
}
