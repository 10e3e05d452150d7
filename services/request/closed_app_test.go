package request_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/rpctest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// refusal is why somebody's request is refused, which preview and answer must agree on;
// empty if it is taken.
func (w *world) refusal(t testing.TB, name string, in *requestv1.CreateRequestRequest) string {
	t.Helper()
	p, err := w.requests(t, name).PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: in})
	if err != nil {
		t.Fatal(err)
	}
	preview := p.GetItems()[0].GetRefusal()
	_, err = w.requests(t, name).CreateRequest(t.Context(), in)
	if got := rpctest.Reason(err); got != preview {
		t.Errorf("refused with %q after a preview of %q", got, preview)
	}
	return preview
}

// B-APR-12, B-REQ-18: an app that is closed to what no flow covers refuses it, instead of
// asking its approvers; what is held can still be taken away.
func TestAppOnlyByFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.hold(t, "ben", w.grantOf("viewer"))
	change := &requestv1.UpdateAppRequest{App: &requestv1.App{Id: w.crm.GetId(), OnlyByFlow: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"only_by_flow"}}}
	if out, err := w.apps(t, "zoe").UpdateApp(t.Context(), change); err != nil || !out.GetApp().GetOnlyByFlow() {
		t.Fatalf("closed: %v %v", out, err)
	}
	if got := w.refusal(t, "ben", w.grantOf("editor")); got != "NOT_COVERED_BY_FLOW" {
		t.Errorf("without a flow: %q", got)
	}
	if got := w.refusal(t, "ben", w.revokeOf("viewer")); got != "" {
		t.Errorf("taking away: %q", got)
	}
	f := w.flow(t, func(f *approvalv1.Flow) { f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ann")}} })
	if got := w.refusal(t, "ben", w.grantOf("editor")); got != "NOT_COVERED_BY_FLOW" {
		t.Errorf("by a flow for somebody else: %q", got)
	}
	w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Audience.UserIds = append(f.Audience.UserIds, w.id("ben")) })
	if got := w.refusal(t, "ben", w.grantOf("editor")); got != "" {
		t.Errorf("by a flow for him: %q", got)
	}
	list, err := w.apps(t, "zoe").ListApps(t.Context(), &requestv1.ListAppsRequest{Filter: "onlyByFlow = true"})
	if err != nil || len(list.GetApps()) != 1 {
		t.Errorf("closed apps: %v %v", list, err)
	}
}

// B-REQ-18: a flow that gives something to its audience alone refuses it to everybody
// else, whatever flow would decide that.
func TestOnlyAFlowsAudience(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, func(f *approvalv1.Flow) { f.Priority = 9 }) // would decide anything
	f := w.flow(t, func(f *approvalv1.Flow) {
		f.Scope, f.OnlyAudience = &approvalv1.FlowScope{EntitlementIds: []string{w.access["editor"]}}, true
		f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ann")}}
	})
	in := w.grantOf("editor")
	if got := w.refusal(t, "ben", in); got != "NOT_GIVEN_TO_BENEFICIARY" {
		t.Errorf("to somebody else: %q", got)
	}
	in.BeneficiaryId = w.id("ben")
	if _, err := w.requests(t, "zoe").CreateRequest(t.Context(), in); rpctest.Reason(err) != "NOT_GIVEN_TO_BENEFICIARY" || !slices.Equal(rpctest.Fields(err), []string{"beneficiary_id"}) {
		t.Errorf("by an admin: %v", err)
	}
	if got := w.refusal(t, "ben", w.grantOf("viewer")); got != "" {
		t.Errorf("something else: %q", got)
	}
	if got := w.refusal(t, "ann", w.grantOf("editor")); got != "" {
		t.Errorf("to the audience: %q", got)
	}
	w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Enabled = false })
	if got := w.refusal(t, "ben", w.grantOf("editor")); got != "" {
		t.Errorf("after it was switched off: %q", got)
	}
}
