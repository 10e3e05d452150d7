package consume

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/request/internal/command"
)

// Handlers gives the handlers, those of copies aside.
func Handlers(c *command.Commands) *inbox.Handlers {
	var h inbox.Handlers
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
