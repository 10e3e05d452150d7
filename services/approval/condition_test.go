package approval_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/rpctest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-REQ-18: a flow's condition looks at the person, the item and the request; where it
// does not hold another flow decides, and where it cannot be evaluated none does.
func TestCondition(t *testing.T) {
	t.Parallel()
	w := start(t)
	sales := w.flow(t, func(f *approvalv1.FlowInput) {
		f.Priority, f.Steps, f.AutoApprove = 5, nil, true
		f.Condition = `beneficiary.department == "Sales" && requester.user_name == "ann" && app.category == "Finance" && entitlement.risk == "low"
			&& request.permanent && request.kind == "grant"`
	})
	ask := func(requester string, change func(*requestv1.RequestItem)) *requestv1.Request {
		r := w.request(requester, "ben")
		it := r.GetItems()[0]
		it.AppCategory, it.EntitlementRisk = "Finance", requestv1.EntitlementRisk_ENTITLEMENT_RISK_LOW
		if change != nil {
			change(it)
		}
		w.submit(t, r)
		return r
	}
	asked := func(why string, r *requestv1.Request) {
		t.Helper()
		if got := w.asked(t, r, 1); got.GetFlowId() == sales.GetId() {
			t.Errorf("%s: decided by %s", why, got.GetFlowId())
		}
	}
	asked("of no department", ask("ann", nil))

	w.change(t, "ben", func(u *identityv1.User) { u.Department = "Sales" })
	w.handled(t)
	if got := w.granted(t, ask("ann", nil)); got.GetFlowId() != sales.GetId() {
		t.Errorf("where all of it holds: %v", got)
	}
	asked("asked by another", ask("mia", nil))
	asked("an app of another category", ask("ann", func(it *requestv1.RequestItem) { it.AppCategory = "Sales" }))
	asked("never judged", ask("ann", func(it *requestv1.RequestItem) {
		it.EntitlementRisk = requestv1.EntitlementRisk_ENTITLEMENT_RISK_UNSPECIFIED
	}))
}

// A condition is checked when it is saved, and an error names the field; so are fields
// and weekly hours.
func TestConditionChecked(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := w.flow(t, nil)
	for _, tt := range []struct {
		name   string
		change func(*approvalv1.Flow)
		field  string
		reason string
	}{
		{"no CEL", func(f *approvalv1.Flow) { f.Condition = `beneficiary.salary > 3` }, "condition", "CONDITION_INVALID"},
		{"too costly", func(f *approvalv1.Flow) {
			f.Condition = `beneficiary.group_ids.exists(a, requester.group_ids.exists(b, a == b))`
		}, "condition", "CONDITION_TOO_COSTLY"},
		{"fails", func(f *approvalv1.Flow) { f.Condition = `beneficiary.group_ids[0] == "x"` }, "condition", "CONDITION_FAILS"},
		{"a field's key", func(f *approvalv1.Flow) { f.Fields = []*approvalv1.FlowField{text("Cost Centre", "Cost centre")} }, "fields[0].key", "FIELD_KEY_INVALID"},
		{"twice", func(f *approvalv1.Flow) { f.Fields = []*approvalv1.FlowField{text("a", "A"), text("a", "B")} }, "fields[1].key", "FIELD_KEY_TWICE"},
		{"a choice of nothing", func(f *approvalv1.Flow) {
			f.Fields = []*approvalv1.FlowField{{Key: "a", Label: "A", Kind: approvalv1.FlowFieldKind_FLOW_FIELD_KIND_CHOICE}}
		}, "fields[0].options", "FIELD_OPTIONS_MISSING"},
		{"no such time zone", func(f *approvalv1.Flow) { f.WeeklyHours = weekly("Mars/Olympus", "09:00", "17:00") }, "weekly_hours.time_zone", "TIME_ZONE_UNKNOWN"},
		{"end before start", func(f *approvalv1.Flow) { f.WeeklyHours = weekly("UTC", "17:00", "09:00") }, "weekly_hours.windows", "WINDOW_EMPTY"},
		{"no hours", func(f *approvalv1.Flow) { f.WeeklyHours = &approvalv1.WeeklyHours{TimeZone: "UTC"} }, "weekly_hours.windows", "NO_WINDOWS"},
	} {
		change := &approvalv1.Flow{Id: f.GetId()}
		tt.change(change)
		_, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
			Flow: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"condition", "fields", "weekly_hours"}},
		})
		if !slices.Equal(rpctest.Fields(err), []string{"flow." + tt.field}) || rpctest.Reason(err) != tt.reason {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	got, err := w.flows(t, "zoe").GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: f.GetId()})
	if err != nil || got.GetFlow().GetVersion() != 1 {
		t.Errorf("after what was refused: %v %v", got, err)
	}
	fine := &approvalv1.Flow{
		Id: f.GetId(), Condition: ` beneficiary.kind == "employee" `, Fields: []*approvalv1.FlowField{text("cost_centre", "Cost centre")},
		WeeklyHours: weekly("Europe/Berlin", "09:00", "24:00"), DistinctReviewers: true, MinJustificationLength: 10,
		Scope: &approvalv1.FlowScope{Categories: []string{"Finance"}, Risks: []requestv1.EntitlementRisk{requestv1.EntitlementRisk_ENTITLEMENT_RISK_HIGH}},
	}
	out, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{Flow: fine})
	if err == nil || out != nil {
		t.Fatalf("without a mask: %v", err)
	}
	out, err = w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{Flow: fine, UpdateMask: &fieldmaskpb.FieldMask{
		Paths: []string{"condition", "fields", "weekly_hours", "distinct_reviewers", "min_justification_length", "scope"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	shown := out.GetFlow()
	if shown.GetCondition() != `beneficiary.kind == "employee"` || shown.GetFields()[0].GetKey() != "cost_centre" || shown.GetWeeklyHours().GetWindows()[0].GetTo() != "24:00" ||
		!shown.GetDistinctReviewers() || shown.GetMinJustificationLength() != 10 || shown.GetScope().GetCategories()[0] != "Finance" || len(shown.GetScope().GetRisks()) != 1 {
		t.Errorf("saved: %v", shown)
	}
}

func text(key, label string) *approvalv1.FlowField {
	return &approvalv1.FlowField{Key: key, Label: label, Kind: approvalv1.FlowFieldKind_FLOW_FIELD_KIND_TEXT}
}

func weekly(zone, from, to string) *approvalv1.WeeklyHours {
	return &approvalv1.WeeklyHours{TimeZone: zone, Windows: []*approvalv1.WeeklyWindow{{Day: approvalv1.Weekday_WEEKDAY_MONDAY, From: from, To: to}}}
}

// B-REQ-18: a join-flow gives what its condition says, and lets go whom it does not hold for
// any more.
func TestConditionOfJoinFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := w.flow(t, func(f *approvalv1.FlowInput) {
		f.Trigger, f.Steps, f.AutoApprove = approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, nil, true
		f.Scope = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}
		f.Condition = `beneficiary.department == "Sales"`
	})
	w.change(t, "ann", func(u *identityv1.User) { u.Department = "Finance" })
	w.change(t, "ben", func(u *identityv1.User) { u.Department = "Sales" })
	w.matched(t, f, "ben", 1)
	w.handled(t)
	if n := w.count(t, "flow_match"); n != 1 {
		t.Errorf("%d are matched", n)
	}
	w.change(t, "ben", func(u *identityv1.User) { u.Department = "Finance" })
	w.unmatched(t, f, "ben", 1)
	_, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: f.GetId(), Condition: `request.permanent`}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"condition"}},
	})
	if rpctest.Reason(err) != "CONDITION_INVALID" {
		t.Errorf("of a join-flow about a request: %v", err)
	}
}
