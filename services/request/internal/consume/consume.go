package consume

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/request/internal/command"
	"gatehouse.dev/services/request/internal/convert"
)

// Handlers gives the handlers.
func Handlers(c *command.Commands) *inbox.Handlers {
	var h inbox.Handlers
	copies(&h, c)
	inbox.On(&h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.FlowMatched) error {
		match, err := joinMatch(ev, m)
		if err != nil {
			return err
		}
		return c.OpenJoinRequest(ctx, tx, match)
	})
	h.Together(c.ApplyEvents, command.AppliedEvents()...)
	return &h
}

func copies(h *inbox.Handlers, c *command.Commands) {
	user := func(ctx context.Context, tx *postgres.Tx, u *identityv1.User, removed *time.Time) error {
		user, err := convert.User(u)
		if err != nil {
			return err
		}
		return c.ApplyUser(ctx, tx, user, removed)
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, _ inbox.Event, m *eventv1.UserJoined) error {
		return user(ctx, tx, m.GetUser(), nil)
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, _ inbox.Event, m *eventv1.UserUpdated) error {
		return user(ctx, tx, m.GetUser(), nil)
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, _ inbox.Event, m *eventv1.UserSuspended) error {
		return user(ctx, tx, m.GetUser(), nil)
	})
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserRemoved) error {
		return user(ctx, tx, m.GetUser(), &ev.Time)
	})
	environment := func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, e *identityv1.Environment) error {
		environmentID, err := id.Parse("environment.id", e.GetId())
		if err != nil {
			return err
		}
		return c.ApplyEnvironment(ctx, tx, environmentID, ev.OrganizationID, e.GetVersion())
	}
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.EnvironmentCreated) error {
		return environment(ctx, tx, ev, m.GetEnvironment())
	})
}

func joinMatch(ev inbox.Event, m *eventv1.FlowMatched) (match command.JoinMatch, err error) {
	match = command.JoinMatch{
		OrganizationID: ev.OrganizationID, FlowName: m.GetFlowName(), FlowVersion: m.GetFlowVersion(), JoinCount: m.GetJoinCount(),
		EntitlementIDs: make([]uuid.UUID, len(m.GetEntitlementIds())), Time: ev.Time,
	}
	if match.FlowID, err = id.Parse("flow_id", m.GetFlowId()); err != nil {
		return match, err
	}
	if match.UserID, err = id.Parse("user_id", m.GetUserId()); err != nil {
		return match, err
	}
	for i, e := range m.GetEntitlementIds() {
		if match.EntitlementIDs[i], err = id.Parse("entitlement_ids", e); err != nil {
			return match, err
		}
	}
	if m.GetDuration() != nil {
		d := m.GetDuration().AsDuration()
		match.Duration = &d
	}
	return match, nil
}
