package request_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/rpctest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-REQ-18: what is over a limit is refused, each field that is over one is named, and no
// other flow decides instead; what is filled in is kept.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, func(f *approvalv1.Flow) { f.Name, f.AutoApprove = "weaker", true })
	f := w.flow(t, func(f *approvalv1.Flow) {
		f.Name, f.Priority, f.MinJustificationLength, f.MaxDuration = "strict", 9, 10, durationpb.New(24*time.Hour)
		f.Fields = []*approvalv1.FlowField{
			{Key: "cost_centre", Label: "Cost centre", Help: "of who pays", Kind: approvalv1.FlowFieldKind_FLOW_FIELD_KIND_TEXT, Required: true},
			{Key: "why", Label: "Why", Kind: approvalv1.FlowFieldKind_FLOW_FIELD_KIND_CHOICE, Options: []string{"project", "support"}},
		}
	})
	in := w.grantOf("viewer")
	in.Fields = map[string]string{"why": "fun"}
	_, err := w.requests(t, "ben").CreateRequest(t.Context(), in)
	if want := []string{"until", "justification", `fields["cost_centre"]`, `fields["why"]`}; !slices.Equal(rpctest.Fields(err), want) || rpctest.Reason(err) != "LONGER_THAN_ALLOWED" {
		t.Fatalf("over all of them: %v, fields %q", err, rpctest.Fields(err))
	}
	p, err := w.requests(t, "ben").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: w.grantOf("viewer")})
	if err != nil {
		t.Fatal(err)
	}
	limits := p.GetItems()[0].GetLimits()
	if limits.GetMaxDuration().AsDuration() != 24*time.Hour || limits.GetMinJustificationLength() != 10 || len(limits.GetFields()) != 2 ||
		limits.GetFields()[0].GetHelp() != "of who pays" || !limits.GetFields()[0].GetRequired() || limits.GetFields()[1].GetKind() != "choice" {
		t.Errorf("limits in the preview: %v", limits)
	}
	in.Until, in.Justification = timestamppb.New(time.Now().Add(23*time.Hour)), "to sell in Spring"
	in.Fields = map[string]string{"cost_centre": " 4711 ", "why": "project", "budget": "7"}
	if _, err := w.requests(t, "ben").CreateRequest(t.Context(), in); rpctest.Reason(err) != "FIELD_UNKNOWN" || !slices.Equal(rpctest.Fields(err), []string{`fields["budget"]`}) {
		t.Errorf("a field for which nobody asks: %v", err)
	}
	delete(in.Fields, "budget")
	r := w.submit(t, "ben", in)
	for _, r := range []*requestv1.Request{r, w.get(t, r)} {
		if got := r.GetFields(); len(got) != 2 || got[0].GetKey() != "cost_centre" || got[0].GetLabel() != "Cost centre" || got[0].GetValue() != "4711" || got[1].GetValue() != "project" {
			t.Errorf("filled in: %v", got)
		}
	}
	if got := w.refusal(t, "ben", w.revokeOf("viewer")); got != "NOTHING_TO_REVOKE" {
		t.Errorf("taking away is refused by a limit: %q", got)
	}

	w.changeFlow(t, f, func(f *approvalv1.Flow) {
		f.MaxDuration, f.MinJustificationLength, f.Fields = nil, 0, nil
		day := approvalv1.Weekday((time.Now().UTC().Weekday()+2)%7 + 1) // neither today nor tomorrow
		f.WeeklyHours = &approvalv1.WeeklyHours{TimeZone: "UTC", Windows: []*approvalv1.WeeklyWindow{{Day: day, From: "09:00", To: "17:00"}}}
	})
	if got := w.refusal(t, "ben", w.grantOf("editor")); got != "OUTSIDE_WEEKLY_HOURS" {
		t.Errorf("on another day: %q", got)
	}
	p, err = w.requests(t, "ben").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: w.grantOf("editor")})
	if next := p.GetItems()[0].GetLimits().GetNextTime(); err != nil || !next.AsTime().After(time.Now()) || next.AsTime().Hour() != 9 {
		t.Errorf("when it can be asked for next: %v, %v", next, err)
	}
}

// B-REQ-18: what flows look at besides: who the person is, what the catalog says; and a
// condition that cannot be evaluated refuses.
func TestConditions(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := w.flow(t, func(f *approvalv1.Flow) {
		f.Condition, f.MaxDuration = `beneficiary.user_name == "ben" && requester.id == beneficiary.id && entitlement.kind != "account" && app.name == "CRM"`, durationpb.New(time.Hour)
	})
	if got := w.refusal(t, "ben", w.grantOf("viewer")); got != "LONGER_THAN_ALLOWED" {
		t.Errorf("where it holds: %q", got)
	}
	if got := w.refusal(t, "pia", w.grantOf("viewer")); got != "" {
		t.Errorf("for somebody else: %q", got)
	}
	w.hold(t, "ann", w.grantOf("viewer"))
	w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Condition = `beneficiary.group_ids[99] == ""` })
	if got := w.refusal(t, "ben", w.grantOf("editor")); got != "CONDITION_FAILED" {
		t.Errorf("where it cannot be evaluated: %q", got)
	}
	if got := w.refusal(t, "ann", w.revokeOf("viewer")); got != "" {
		t.Errorf("taking away: %q", got)
	}
}
