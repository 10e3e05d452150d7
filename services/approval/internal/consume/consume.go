// Package consume gives other services' events their effects in approval: it
// says which event is which command, and nothing else. Every command may come
// twice and late.
package consume

import (
	"context"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/command"
	"gatehouse.dev/services/approval/internal/wire"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// Handlers are what is done with the events.
func Handlers(d *command.Desk) *inbox.Handlers {
	h := &inbox.Handlers{}
	h.Together(d.Submit, (*eventv1.RequestSubmitted)(nil))
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.RequestCancelRequested) error {
		return d.Cancel(ctx, tx, ev.OrganizationID, m.GetRequestId(), m.GetContext().GetActor(), m.GetReason())
	})

	user := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, u *identityv1.User, state identityv1.UserState, c *eventv1.Context) error {
		return d.User(ctx, tx, ev.OrganizationID, u, wire.UserState(state), max(u.GetVersion(), c.GetVersion()))
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserJoined) error {
		return user(ctx, tx, ev, m.GetUser(), m.GetUser().GetState(), m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserUpdated) error {
		return user(ctx, tx, ev, m.GetUser(), m.GetUser().GetState(), m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserSuspended) error {
		return user(ctx, tx, ev, m.GetUser(), identityv1.UserState_USER_STATE_SUSPENDED, m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserRemoved) error {
		return user(ctx, tx, ev, m.GetUser(), identityv1.UserState_USER_STATE_REMOVED, m.GetContext())
	})

	version := func(g *identityv1.Group, c *eventv1.Context) int64 { return max(g.GetVersion(), c.GetVersion()) }
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		return d.Group(ctx, tx, ev.OrganizationID, m.GetGroup(), false, version(m.GetGroup(), m.GetContext()))
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupUpdated) error {
		return d.Group(ctx, tx, ev.OrganizationID, m.GetGroup(), false, version(m.GetGroup(), m.GetContext()))
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupRemoved) error {
		return d.Group(ctx, tx, ev.OrganizationID, m.GetGroup(), true, version(m.GetGroup(), m.GetContext()))
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupMemberAdded) error {
		return d.Member(ctx, tx, ev.OrganizationID, m.GetGroup(), m.GetMember().GetUserId(), true, version(m.GetGroup(), m.GetContext()))
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupMemberRemoved) error {
		return d.Member(ctx, tx, ev.OrganizationID, m.GetGroup(), m.GetMember().GetUserId(), false, version(m.GetGroup(), m.GetContext()))
	})

	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppCreated) error {
		return d.App(ctx, tx, ev.OrganizationID, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppUpdated) error {
		return d.App(ctx, tx, ev.OrganizationID, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.EntitlementCreated) error {
		return d.Entitlement(ctx, tx, ev.OrganizationID, m.GetEntitlement())
	})
	return h
}
