package consume

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/request/internal/command"
)

// Handlers gives the handlers, those of copies aside.
func Handlers(c *command.Commands) *inbox.Handlers {
	var h inbox.Handlers
	h.Together(func(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
		matches := make([]command.JoinMatch, len(events))
		for n, ev := range events {
			var err error
			if matches[n], err = joinMatch(ev, ev.Message.(*eventv1.FlowMatched)); err != nil {
				return inbox.Failed(ev, err)
			}
		}
		return c.OpenJoinRequests(ctx, tx, matches)
	}, (*eventv1.FlowMatched)(nil))
	h.Together(func(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
		ended := make([]command.JoinEnd, len(events))
		for n, ev := range events {
			var err error
			if ended[n], err = joinEnd(ev, ev.Message.(*eventv1.FlowUnmatched)); err != nil {
				return inbox.Failed(ev, err)
			}
		}
		return c.EndJoinRequests(ctx, tx, ended)
	}, (*eventv1.FlowUnmatched)(nil))
	h.Together(c.ApplyEvents, command.AppliedEvents()...)
	return &h
}

func joinMatch(ev inbox.Event, m *eventv1.FlowMatched) (match command.JoinMatch, err error) {
	match = command.JoinMatch{
		Event: ev, FlowName: m.GetFlowName(), FlowVersion: m.GetFlowVersion(), JoinCount: m.GetJoinCount(), MatchCount: max(m.GetMatchCount(), 1),
		EntitlementIDs: make([]uuid.UUID, len(m.GetEntitlementIds())),
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

func joinEnd(ev inbox.Event, m *eventv1.FlowUnmatched) (end command.JoinEnd, err error) {
	end = command.JoinEnd{
		Event: ev, FlowName: m.GetFlowName(), FlowVersion: m.GetFlowVersion(), JoinCount: m.GetJoinCount(), MatchCount: max(m.GetMatchCount(), 1),
		Keep: m.GetAction() == approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP, Ask: m.GetAction() == approvalv1.UnmatchAction_UNMATCH_ACTION_ASK,
	}
	if end.FlowID, err = id.Parse("flow_id", m.GetFlowId()); err != nil {
		return end, err
	}
	end.UserID, err = id.Parse("user_id", m.GetUserId())
	return end, err
}
