package convert

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/enum"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/store"
)

// DecisionContext is what helps to decide a request, as the API shows it.
func DecisionContext(c *store.DecisionContext) *requestv1.DecisionContext {
	out := &requestv1.DecisionContext{RequestId: c.Request.ID.String(), Beneficiary: Person(c.Request.Beneficiary), Until: timestamp(c.Request.Until)}
	for _, i := range c.Items {
		out.Items = append(out.Items, itemContext(i))
	}
	return out
}

func itemContext(c *store.ItemContext) *requestv1.ItemContext {
	out := &requestv1.ItemContext{
		ItemId: c.Item.ID.String(), EntitlementId: c.Item.EntitlementID.String(), Description: c.Description,
		Risk: enum.Value[requestv1.EntitlementRisk](c.Risk), HeldCount: int32(c.HeldCount), //nolint:gosec // an app has as many entitlements
		SameManager: peers(c.SameManager), LastUse: requestv1.LastUse_LAST_USE_UNKNOWN,
	}
	for _, h := range c.Held {
		out.Held = append(out.Held, &requestv1.HeldEntitlement{EntitlementId: h.EntitlementID.String(), EntitlementName: h.Name, Since: timestamp(h.Since), Until: timestamp(h.Until)})
	}
	for _, g := range c.Groups {
		out.Groups = append(out.Groups, peers(g))
	}
	for _, d := range c.Decisions {
		outcome := requestv1.DecisionOutcome_DECISION_OUTCOME_UNKNOWN
		if d.Outcome != "" {
			outcome = enum.Value[requestv1.DecisionOutcome](string(d.Outcome))
		}
		out.Decisions = append(out.Decisions, &requestv1.StepDecision{
			Step: int32(d.Step), Reviewer: Person(d.Reviewer), Outcome: outcome, Time: timestamppb.New(d.Time), //nolint:gosec // a flow has few steps
		})
	}
	for _, e := range c.Earlier {
		out.EarlierRequests = append(out.EarlierRequests, &requestv1.EarlierRequest{
			RequestId: ID(e.RequestID), Kind: enum.Value[requestv1.RequestKind](e.Kind), State: enum.Value[requestv1.ItemState](string(e.State)),
			CreateTime: timestamppb.New(e.CreateTime), CloseTime: timestamp(e.CloseTime),
		})
	}
	return out
}

func peers(p store.Peers) *requestv1.Peers {
	return &requestv1.Peers{GroupId: ID(p.GroupID), Name: p.Name, PeopleCount: int32(p.People), HolderCount: int32(p.Holders), Unknown: p.Unknown} //nolint:gosec // an organization has as many people
}
