package request_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// waiting are the requests that wait for a reviewer, as somebody sees them.
func (w *world) waiting(t testing.TB, name string) []string {
	t.Helper()
	list, err := w.requests(t, name).ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: "waitsForReviewer = true"})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list.GetRequests() {
		out = append(out, r.GetId())
	}
	return out
}

// B-APR-18: what nobody can decide says so in the preview, in the answer and on the
// request, with what would help, and is found by that; what somebody can decide does not.
func TestNobodyToDecide(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.leave(t, "ian") // zoe is the only admin
	w.handled(t)
	ids := make(map[string]string)
	wiki := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, ids)
	in := &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{ids["account"], w.access["editor"]}, Justification: "to write",
	}
	want := []string{"name an approver of the app", "name an admin of the app", "make somebody an admin of the organization"}
	preview, err := w.requests(t, "zoe").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: in})
	if err != nil {
		t.Fatal(err)
	}
	if items := preview.GetItems(); !slices.Equal(items[0].GetItem().GetVacancy().GetHelp(), want) || items[1].GetItem().GetVacancy() != nil {
		t.Errorf("preview %v", items)
	}
	r := w.submit(t, "zoe", in)
	if items := r.GetItems(); !r.GetWaitsForReviewer() || !slices.Equal(items[0].GetVacancy().GetHelp(), want) || items[1].GetVacancy() != nil {
		t.Errorf("answer %v", r)
	}
	for _, e := range emitted[*eventv1.RequestSubmitted](t, w) {
		if e.GetRequest().GetWaitsForReviewer() || e.GetRequest().GetItems()[0].GetVacancy() != nil {
			t.Errorf("the event says what approval has to say: %v", e)
		}
	}
	by := w.submit(t, "ann", &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{ids["account"]},
	})
	if by.GetWaitsForReviewer() {
		t.Errorf("an admin can decide it: %v", by)
	}
	if got := w.waiting(t, "zoe"); !slices.Equal(got, []string{r.GetId()}) {
		t.Errorf("waiting: %v", got)
	}
	if got := w.waiting(t, "ada"); len(got) != 0 { // she runs the other app
		t.Errorf("an item that is not seen is found by its vacancy: %v", got)
	}

	// What approval says counts, and an older event changes nothing.
	told := func(version int64, v *requestv1.Vacancy, reviewers ...string) {
		t.Helper()
		e := w.requested(r, reviewers...)
		m := e.message.(*eventv1.ApprovalRequested)
		m.Context.AppId, m.Context.Version, m.Vacancy = wiki.GetId(), version, v
		w.publishAll(t, e)
		w.handled(t)
	}
	vacancy := &requestv1.Vacancy{Step: 1, StepName: "approvers", Reason: "the app has no approvers", Help: []string{"name an approver of the app"}}
	told(2, vacancy)
	if got := w.get(t, r); !proto.Equal(got.GetItems()[0].GetVacancy(), vacancy) || !got.GetWaitsForReviewer() {
		t.Errorf("told by approval: %v", got)
	}
	told(3, nil, "pia")
	told(1, vacancy)
	told(5, nil, "pia") // changes nothing, and is the last word all the same
	told(4, vacancy)
	if got := w.get(t, r); got.GetWaitsForReviewer() || got.GetItems()[0].GetVacancy() != nil {
		t.Errorf("somebody is asked: %v", got)
	}
	w.publish(t, r.GetId(), &eventv1.TaskReassigned{Context: &eventv1.Context{Actor: system, RequestIds: []string{r.GetId()}, Version: 6}, From: w.task(r, "pia"), Vacancy: vacancy})
	w.handled(t)
	if got := w.waiting(t, "zoe"); !slices.Equal(got, []string{r.GetId()}) {
		t.Errorf("waiting again: %v", got)
	}
	w.publishAll(t, w.cancelled(r, "zoe", "never mind"))
	w.handled(t)
	if got := w.get(t, r); got.GetWaitsForReviewer() || len(w.waiting(t, "zoe")) != 0 {
		t.Errorf("closed: %v", got)
	}
}

// B-APR-18: the flow that decides says who could: somebody whom it names, by themselves, by
// a group or as a manager; one that approves by itself needs nobody, but for its editors.
func TestWhoCouldDecide(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.leave(t, "ian")
	w.handled(t)
	for _, tt := range []struct {
		name    string
		flow    func(*approvalv1.Flow)
		vacancy bool
	}{
		{"a user", func(f *approvalv1.Flow) {
			f.Steps = []*approvalv1.FlowStep{{Name: "s", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, UserIds: []string{w.id("ben")}}}
		}, false},
		{"oneself", func(f *approvalv1.Flow) {
			f.Steps = []*approvalv1.FlowStep{{Name: "s", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, UserIds: []string{w.id("zoe")}}}
		}, true},
		{"somebody who decides nothing", func(f *approvalv1.Flow) {
			f.Steps = []*approvalv1.FlowStep{{Name: "s", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, UserIds: []string{w.id("ria")}}}
		}, true},
		{"a manager", func(f *approvalv1.Flow) {
			f.Steps = []*approvalv1.FlowStep{{Name: "s", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER}}
		}, false},
		{"by itself", func(f *approvalv1.Flow) { f.AutoApprove = true }, false},
		{"by itself, of one's own", func(f *approvalv1.Flow) { f.AutoApprove, f.EditorIds = true, []string{w.id("zoe")} }, true},
	} {
		ids := make(map[string]string)
		app := w.app(t, &requestv1.CreateAppRequest{Name: tt.name}, ids)
		w.flow(t, func(f *approvalv1.Flow) {
			f.Scope = &approvalv1.FlowScope{AppIds: []string{app.GetId()}}
			tt.flow(f)
		})
		w.handled(t)
		r := w.submit(t, "zoe", &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{ids["account"]}})
		if r.GetWaitsForReviewer() != tt.vacancy {
			t.Errorf("%s: waits for a reviewer is %v", tt.name, r.GetWaitsForReviewer())
		}
	}
}
