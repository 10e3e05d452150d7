package approval_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/approval"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// exec runs a statement on the database, as its owner.
func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Admin(t, w.Config.Postgres.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// preview is what hangs on a flow.
func (w *world) preview(t testing.TB, f *approvalv1.Flow) *approvalv1.PreviewDeleteFlowResponse {
	t.Helper()
	r, err := w.flows(t, "zoe").PreviewDeleteFlow(t.Context(), &approvalv1.PreviewDeleteFlowRequest{Id: f.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// B-CAT-06, in part (flows): what runs on a flow is shown, and cancelled if that is
// chosen of what was shown; items that another flow decides go on.
func TestDeleteFlowCancelsWhatRunsOnIt(t *testing.T) {
	t.Parallel()
	w := start(t)
	strict := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Scope = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}
	})
	alone, mixed, ended := w.request("ann", "ann"), w.request("ben", "ben"), w.request("eve", "ann")
	mixed.Items = append(mixed.Items, &requestv1.RequestItem{
		Id: id.New().String(), EntitlementId: id.New().String(), EntitlementName: "role", AppId: w.crm.String(), AppName: "CRM",
	})
	for _, r := range []*requestv1.Request{alone, mixed, ended} {
		w.submit(t, r)
		w.askedFor(t, r, r.GetItems()[0].GetId(), 1)
	}
	if _, err := w.approve(t, "mia", of(t, w.asked(t, ended, 1).GetTasks(), "mia")); err != nil {
		t.Fatal(err)
	}
	seen := w.preview(t, strict)
	if n := seen.GetOpenRequestCount(); n != 2 || len(seen.GetOpenRequests()) != 2 || seen.GetMatchedCount() != 0 || seen.GetFlow().GetId() != strict.GetId() {
		t.Fatalf("seen %v", seen)
	}
	if r := seen.GetOpenRequests()[1]; r.GetId() != mixed.GetId() || r.GetBeneficiary().GetDisplayName() != "ben" || !slices.Equal(r.GetItemIds(), []string{mixed.GetItems()[0].GetId()}) {
		t.Errorf("seen %v", r)
	}
	remove := func(etag, reason string) error {
		_, err := w.flows(t, "zoe").DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{
			Id: strict.GetId(), Etag: etag, Reason: reason, Requests: approvalv1.FlowRequests_FLOW_REQUESTS_CANCEL,
		})
		return err
	}
	wantError(t, remove("", "x"), codes.InvalidArgument, "ETAG_MISSING")
	wantError(t, remove(seen.GetEtag(), ""), codes.InvalidArgument, "REASON_MISSING")
	wantError(t, remove(strict.GetEtag(), "x"), codes.Aborted, "ETAG_MISMATCH")
	_, err := w.flows(t, "zoe").DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{
		Id: strict.GetId(), Etag: seen.GetEtag(), Matches: approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK,
	})
	wantError(t, err, codes.InvalidArgument, "NOT_A_JOIN_FLOW")
	_, err = w.flows(t, "ann").PreviewDeleteFlow(t.Context(), &approvalv1.PreviewDeleteFlowRequest{Id: strict.GetId()})
	wantError(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")

	// Another request has come since.
	later := w.request("eve", "eve")
	w.submit(t, later)
	w.asked(t, later, 1)
	wantError(t, remove(seen.GetEtag(), "not used any more"), codes.Aborted, "ETAG_MISMATCH")
	w.cancel(t, later)
	w.cancelled(t, later)
	w.handled(t)
	if err := remove(seen.GetEtag(), "not used any more"); err != nil {
		t.Fatal(err)
	}
	e := servicetest.Wait(t, w.Harness, func(m *eventv1.FlowDeleted) bool { return m.GetFlow().GetId() == strict.GetId() })
	if e.GetRequests() != approvalv1.FlowRequests_FLOW_REQUESTS_CANCEL || e.GetReason() != "not used any more" || e.GetOpenRequestCount() != 2 || e.GetMatches() != 0 {
		t.Errorf("emitted %v", e)
	}
	c := w.cancelled(t, alone)
	if c.GetReason() != "not used any more" || c.GetContext().GetActor().GetDisplayName() != "zoe" || len(c.GetItemIds()) != 0 {
		t.Errorf("cancelled %v", c)
	}
	if c := w.cancelled(t, mixed); !slices.Equal(c.GetItemIds(), []string{mixed.GetItems()[0].GetId()}) {
		t.Errorf("cancelled %v", c)
	}
	// What the default decides goes on.
	if _, err := w.approve(t, "pia", of(t, w.askedFor(t, mixed, mixed.GetItems()[1].GetId(), 1).GetTasks(), "pia")); err != nil {
		t.Fatal(err)
	}
	w.granted(t, mixed)
	servicetest.Eventually(t, "nothing is left to be ended", func() bool { return w.count(t, "flow where ending is not null") == 0 })
	w.drained(t)
	for _, r := range []*requestv1.Request{alone, mixed} {
		if n := w.emitted(r.GetId())["ApprovalCancelled"]; n != 1 {
			t.Errorf("cancelled %d times", n)
		}
	}
}

// B-CAT-06, in part (flows): whom a join-flow has matched is shown, and what it gave them
// taken back if that is chosen, each by themselves: one who cannot be saved holds up nobody.
func TestDeleteFlowTakesBack(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *approval.Config) { c.MaintenanceEvery = 50 * time.Millisecond })
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	for _, name := range []string{"ann", "ben", "eve", "mia"} {
		g.move(t, "sales", name, true)
	}
	f := g.joinFlow(t, "sales", approvalv1.UnmatchAction_UNMATCH_ACTION_ASK, "sales")
	for _, name := range []string{"ann", "ben", "eve", "mia"} {
		w.matched(t, f, name, 1)
	}
	w.handled(t)
	w.exec(t, `update flow_match set kept = true where user_id = $1`, w.id("mia"))
	seen := w.preview(t, f)
	if got := people(seen.GetMatchedUsers()); seen.GetMatchedCount() != 3 || !slices.Equal(got, []string{"ann", "ben", "eve"}) {
		t.Fatalf("seen %v", seen)
	}
	remove := func(etag string) error {
		_, err := w.flows(t, "zoe").DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{
			Id: f.GetId(), Etag: etag, Matches: approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK,
		})
		return err
	}
	g.move(t, "sales", "eve", false)
	w.unmatched(t, f, "eve", 1)
	wantError(t, remove(seen.GetEtag()), codes.Aborted, "ETAG_MISMATCH")
	seen = w.preview(t, f)

	// ann cannot be saved, for now.
	w.exec(t, `alter table flow_match add constraint bad check (end_time is null or user_id <> '`+w.id("ann").String()+`')`)
	if err := remove(seen.GetEtag()); err != nil {
		t.Fatal(err)
	}
	e := servicetest.Wait(t, w.Harness, func(m *eventv1.FlowDeleted) bool { return m.GetFlow().GetId() == f.GetId() })
	if e.GetMatches() != approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK || e.GetMatchedCount() != 2 {
		t.Errorf("emitted %v", e)
	}
	if e := w.unmatched(t, f, "ben", 1); e.GetAction() != approvalv1.UnmatchAction_UNMATCH_ACTION_ASK {
		t.Errorf("let go %v", e)
	}
	if e := w.unmatched(t, f, "mia", 1); e.GetAction() != approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP {
		t.Errorf("what was kept: %v", e)
	}
	w.exec(t, `alter table flow_match drop constraint bad`)
	w.unmatched(t, f, "ann", 1)
	servicetest.Eventually(t, "nothing is left to be ended", func() bool { return w.count(t, "flow where ending is not null") == 0 })
	w.drained(t)
	if n := len(servicetest.All[*eventv1.FlowUnmatched](w.Harness)); n != 4 {
		t.Errorf("%d were let go, want 4", n)
	}
}

// What keeps nothing or is not to be ended goes by the flow's own etag, and lets nobody go.
func TestDeleteFlowKeeps(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	g.move(t, "sales", "ben", true)
	keeps := g.joinFlow(t, "keeps", approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP, "sales")
	w.matched(t, keeps, "ben", 1)
	w.handled(t)
	seen := w.preview(t, keeps)
	zoe := w.flows(t, "zoe")
	_, err := zoe.DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{Id: keeps.GetId(), Etag: seen.GetEtag(), Matches: approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK})
	wantError(t, err, codes.InvalidArgument, "FLOW_KEEPS")
	if _, err := zoe.DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{Id: keeps.GetId(), Etag: seen.GetEtag()}); err != nil {
		t.Fatal(err)
	}
	e := servicetest.Wait(t, w.Harness, func(m *eventv1.FlowDeleted) bool { return m.GetFlow().GetId() == keeps.GetId() })
	if e.GetMatches() != approvalv1.FlowMatches_FLOW_MATCHES_KEEP || e.GetRequests() != approvalv1.FlowRequests_FLOW_REQUESTS_KEEP {
		t.Errorf("emitted %v", e)
	}
	g.move(t, "sales", "ben", false)
	w.drained(t)
	if n := len(servicetest.All[*eventv1.FlowUnmatched](w.Harness)); n != 0 {
		t.Errorf("%d were let go", n)
	}
}

// What a release before this one wrote is looked through before anything is shown.
func TestDeleteFlowKnowsOlderApprovals(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := w.flow(t, nil)
	r := w.request("ann", "ann")
	w.submit(t, r)
	w.asked(t, r, 1)
	w.handled(t)
	w.exec(t, `update approval set flow_ids = null`)
	servicetest.Eventually(t, "it is looked through", func() bool {
		seen, err := w.flows(t, "zoe").PreviewDeleteFlow(t.Context(), &approvalv1.PreviewDeleteFlowRequest{Id: f.GetId()})
		if err != nil {
			wantError(t, err, codes.Unavailable, "NOT_KNOWN_YET")
			return false
		}
		return seen.GetOpenRequestCount() == 1
	})
}

// A change of a join-flow is shown before it is made: whom it would come to match, and
// whom it would let go. Then that is who.
func TestPreviewUpdateFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	for group, names := range map[string][]string{"sales": {"ann", "ben"}, "field": {"ben", "eve", "max"}} {
		for _, name := range names {
			g.move(t, group, name, true)
		}
	}
	f := g.joinFlow(t, "sales", 0, "sales")
	w.matched(t, f, "ann", 1)
	w.matched(t, f, "ben", 1)
	away := w.users["max"]
	away.Version, away.State = away.GetVersion()+1, identityv1.UserState_USER_STATE_SUSPENDED
	w.Publish(t, w.org, w.id("max"), &eventv1.UserSuspended{Context: &eventv1.Context{Version: away.GetVersion()}, User: away})
	w.handled(t)
	preview := func(to *approvalv1.Flow, paths ...string) (*approvalv1.PreviewUpdateFlowResponse, error) {
		to.Id = f.GetId()
		return w.flows(t, "zoe").PreviewUpdateFlow(t.Context(), &approvalv1.PreviewUpdateFlowRequest{Flow: to, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	field := &approvalv1.FlowAudience{GroupIds: []string{g.ids["field"].String()}}
	for _, tt := range []struct {
		name       string
		to         *approvalv1.Flow
		paths      []string
		come, gone []string
	}{
		{"another group", &approvalv1.Flow{Audience: field}, []string{"audience"}, []string{"eve"}, []string{"ann"}},
		{"nothing of it", &approvalv1.Flow{Priority: 3}, []string{"priority"}, nil, nil},
		{"switched off", &approvalv1.Flow{Audience: field}, []string{"audience", "enabled"}, nil, nil},
	} {
		seen, err := preview(tt.to, tt.paths...)
		if err != nil {
			t.Fatal(err)
		}
		if come, gone := people(seen.GetMatchedUsers()), people(seen.GetUnmatchedUsers()); !slices.Equal(come, tt.come) || !slices.Equal(gone, tt.gone) ||
			int(seen.GetMatchedCount()) != len(come) || int(seen.GetUnmatchedCount()) != len(gone) {
			t.Errorf("%s: %v", tt.name, seen)
		}
	}
	_, err := preview(&approvalv1.Flow{Etag: "another", Audience: field}, "audience")
	wantError(t, err, codes.Aborted, "ETAG_MISMATCH")
	_, err = preview(&approvalv1.Flow{Audience: &approvalv1.FlowAudience{}}, "audience")
	wantError(t, err, codes.InvalidArgument, "AUDIENCE_EMPTY")
	if v := w.preview(t, f).GetFlow().GetVersion(); v != 1 {
		t.Errorf("a preview has made version %d", v)
	}
	if _, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: f.GetId(), Audience: field}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"audience"}},
	}); err != nil {
		t.Fatal(err)
	}
	w.matched(t, f, "eve", 1)
	w.unmatched(t, f, "ann", 1)
}

// people are their names.
func people(list []*identityv1.Person) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.GetDisplayName())
	}
	return out
}
