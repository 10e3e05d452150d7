// Package consume gives other services' events their effects in approval: it
// says which event is which command, and nothing else. Every command may come
// twice and late.
package consume

import (
	"context"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/command"
	"gatehouse.dev/services/approval/internal/convert"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Handlers are what is done with the events.
func Handlers(c *command.Commands) *inbox.Handlers {
	h := &inbox.Handlers{}
	h.Together(c.SubmitRequests, (*eventv1.RequestSubmitted)(nil))
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.RequestCancelRequested) error {
		return c.CancelRequest(ctx, tx, ev.OrganizationID, m)
	})
	environments(h, c)
	users(h, c)
	groups(h, c)
	apps(h, c)
	return h
}

func environments(h *inbox.Handlers, c *command.Commands) {
	apply := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, e *identityv1.Environment, ec *eventv1.Context) error {
		return c.ApplyEnvironment(ctx, tx, ev.OrganizationID, convert.Environment(e, ec))
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.EnvironmentCreated) error {
		return apply(ctx, tx, ev, m.GetEnvironment(), m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.EnvironmentUpdated) error {
		return apply(ctx, tx, ev, m.GetEnvironment(), m.GetContext())
	})
}

func users(h *inbox.Handlers, c *command.Commands) {
	apply := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, u *identityv1.User, state identityv1.UserState, ec *eventv1.Context) error {
		return c.ApplyUser(ctx, tx, ev.OrganizationID, convert.User(u, state, ec))
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserJoined) error {
		return apply(ctx, tx, ev, m.GetUser(), m.GetUser().GetState(), m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserUpdated) error {
		return apply(ctx, tx, ev, m.GetUser(), m.GetUser().GetState(), m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserSuspended) error {
		return apply(ctx, tx, ev, m.GetUser(), identityv1.UserState_USER_STATE_SUSPENDED, m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserRemoved) error {
		return apply(ctx, tx, ev, m.GetUser(), identityv1.UserState_USER_STATE_REMOVED, m.GetContext())
	})
}

func groups(h *inbox.Handlers, c *command.Commands) {
	apply := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, g *identityv1.Group, removed bool, ec *eventv1.Context) error {
		return c.ApplyGroup(ctx, tx, ev.OrganizationID, convert.Group(g, removed, ec))
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		return apply(ctx, tx, ev, m.GetGroup(), false, m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupUpdated) error {
		return apply(ctx, tx, ev, m.GetGroup(), false, m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupRemoved) error {
		return apply(ctx, tx, ev, m.GetGroup(), true, m.GetContext())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupMemberAdded) error {
		return c.ApplyMember(ctx, tx, ev.OrganizationID, convert.Group(m.GetGroup(), false, m.GetContext()), m.GetMember().GetUserId(), true)
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupMemberRemoved) error {
		return c.ApplyMember(ctx, tx, ev.OrganizationID, convert.Group(m.GetGroup(), false, m.GetContext()), m.GetMember().GetUserId(), false)
	})
}

func apps(h *inbox.Handlers, c *command.Commands) {
	apply := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, a *requestv1.App) error {
		return c.ApplyApp(ctx, tx, ev.OrganizationID, convert.App(a))
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppCreated) error {
		return apply(ctx, tx, ev, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.AppUpdated) error {
		return apply(ctx, tx, ev, m.GetApp())
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.EntitlementCreated) error {
		return c.ApplyEntitlement(ctx, tx, ev.OrganizationID, convert.Entitlement(m.GetEntitlement()))
	})
}
