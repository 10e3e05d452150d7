package approval_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-REQ-18: what a flow gives to its audience alone is decided for nobody else, also if
// that was asked for before the flow was known where it was asked.
func TestOnlyTheAudience(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, func(in *approvalv1.FlowInput) { in.AutoApprove, in.Steps, in.Priority = true, nil, 9 })
	f := w.flow(t, func(in *approvalv1.FlowInput) {
		in.OnlyAudience, in.Scope = true, &approvalv1.FlowScope{AppIds: []string{w.crm.String()}}
		in.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ann").String()}}
	})
	if !f.GetOnlyAudience() {
		t.Errorf("made %v", f)
	}
	other, hers := w.request("ben", "ben"), w.request("ann", "ann")
	w.submit(t, other)
	w.submit(t, hers)
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalCancelled) bool { return e.GetRequestId() == other.GetId() })
	if e.GetReason() != "a flow gives it to others only" {
		t.Errorf("refused: %v", e)
	}
	w.granted(t, hers)
	_, err := w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
		Name: "joiners", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, OnlyAudience: true, AutoApprove: true,
		Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}},
	}})
	if rpctest.Reason(err) != "NOT_FOR_JOIN" || !slices.Equal(rpctest.Fields(err), []string{"flow.only_audience"}) {
		t.Errorf("a join-flow: %v", err)
	}

	// A join-flow gives it to nobody else either.
	wiki, page := id.New(), id.New()
	w.app(t, wiki, "Wiki", page, nil, []string{"pia"})
	w.handled(t)
	join := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Name, in.Trigger, in.AutoApprove, in.Steps, in.Disabled = "joiners", approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, true, nil, true
		in.Scope = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String(), page.String()}}
	})
	for name, given := range map[string]bool{"ann": true, "ben": false} {
		r := w.request(name, name)
		r.Requester, r.Origin, r.FlowId, r.FlowVersion = nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, join.GetId(), join.GetVersion()
		w.submit(t, r)
		if given {
			w.granted(t, r)
		} else if e := w.cancelled(t, r); e.GetReason() != "a flow gives it to others only" {
			t.Errorf("refused: %v", e)
		}
	}
	// What else it gives to the same person is given, and what it takes back is taken.
	both := w.request("ben", "ben")
	both.Requester, both.Origin, both.FlowId, both.FlowVersion = nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, join.GetId(), join.GetVersion()
	both.Items = append(both.Items, &requestv1.RequestItem{Id: id.New().String(), EntitlementId: page.String(), AppId: wiki.String(), AppName: "Wiki"})
	w.submit(t, both)
	if e := w.cancelled(t, both); !slices.Equal(e.GetItemIds(), []string{both.GetItems()[0].GetId()}) {
		t.Errorf("refused: %v", e)
	}
	if e := w.granted(t, both); !e.GetAutomatic() || len(e.GetRequest().GetItems()) != 1 || e.GetRequest().GetItems()[0].GetId() != both.GetItems()[1].GetId() {
		t.Errorf("given: %v", e)
	}
	back := w.request("ben", "ben")
	back.Kind, back.Requester, back.Origin, back.FlowId, back.FlowVersion = requestv1.RequestKind_REQUEST_KIND_REVOKE, nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, join.GetId(), join.GetVersion()
	w.submit(t, back)
	if e := w.granted(t, back); !e.GetAutomatic() {
		t.Errorf("decided: %v", e)
	}
}

// B-REQ-18 and B-USR-15, in part: what a join-flow is refused because it is given to others
// only is requested again once the person is one of them, alone, and ends with what the flow
// gave before. Nothing else brings it up again.
func TestJoinFlowIsRefusedUntilGroups(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	g.move(t, "crew", "ann", true)
	g.move(t, "crew", "ben", true)
	g.move(t, "crew", "ben", false)
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.OnlyAudience, in.Scope = true, &approvalv1.FlowScope{AppIds: []string{w.crm.String()}}
		in.Audience = &approvalv1.FlowAudience{GroupIds: []string{g.ids["crew"].String()}}
	})
	wiki, page := id.New(), id.New()
	w.app(t, wiki, "Wiki", page, nil, []string{"pia"})
	w.handled(t)
	join := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Name, in.Trigger, in.AutoApprove, in.Steps = "joiners", approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, true, nil
		in.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ben").String()}}
		in.Scope = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String(), page.String()}}
	})
	matched := func(count int32) *eventv1.FlowMatched { t.Helper(); return w.lastMatch(t, join, count) }
	submit := func(m *eventv1.FlowMatched) *requestv1.Request {
		t.Helper()
		return w.submitMatch(t, m, map[string]uuid.UUID{w.account.String(): w.crm, page.String(): wiki})
	}
	first := submit(matched(1))
	if e := w.cancelled(t, first); !slices.Equal(e.GetItemIds(), []string{first.GetItems()[0].GetId()}) {
		t.Errorf("refused: %v", e)
	}
	g.move(t, "others", "ben", true) // which changes nothing
	matched(1)

	g.move(t, "crew", "ben", true)
	again := matched(2)
	if !slices.Equal(again.GetEntitlementIds(), []string{w.account.String()}) || again.GetFlowVersion() != join.GetVersion() || again.GetJoinCount() != 1 {
		t.Errorf("matched again: %v", again)
	}
	if e := w.granted(t, submit(again)); len(e.GetRequest().GetItems()) != 1 {
		t.Errorf("given: %v", e)
	}
	g.move(t, "crew", "ben", false)
	g.move(t, "crew", "ben", true)
	matched(2)
	if n := len(servicetest.All[*eventv1.FlowUnmatched](w.Harness)); n != 0 {
		t.Errorf("let go %d times", n)
	}

	_, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow:       &approvalv1.Flow{Id: join.GetId(), Audience: &approvalv1.FlowAudience{UserIds: []string{w.id("mia").String()}}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"audience"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.unmatched(t, join, "ben", 1)
	w.unmatched(t, join, "ben", 2)
}

// The same of a request that is refused as a whole, and again: each is looked at, and all of
// them end when the flow is deleted and what it gave taken back.
func TestJoinFlowIsRefusedAgain(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	g.move(t, "crew", "ann", true)
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.OnlyAudience, in.Scope = true, &approvalv1.FlowScope{AppIds: []string{w.crm.String()}}
		in.Audience = &approvalv1.FlowAudience{GroupIds: []string{g.ids["crew"].String()}}
	})
	g.move(t, "sales", "ben", true)
	join := g.joinFlow(t, "joiners", 0, "sales")
	apps := map[string]uuid.UUID{w.account.String(): w.crm}
	w.cancelled(t, w.submitMatch(t, w.lastMatch(t, join, 1), apps))
	g.move(t, "crew", "ben", true)
	second := w.lastMatch(t, join, 2)
	g.move(t, "crew", "ben", false)
	w.cancelled(t, w.submitMatch(t, second, apps))
	w.lastMatch(t, join, 2)
	g.move(t, "crew", "ben", true)
	w.granted(t, w.submitMatch(t, w.lastMatch(t, join, 3), apps))
	seen := w.preview(t, join)
	if seen.GetMatchedCount() != 1 {
		t.Errorf("seen %v", seen)
	}
	_, err := w.flows(t, "zoe").DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{
		Id: join.GetId(), Etag: seen.GetEtag(), Matches: approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK,
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range int32(3) {
		w.unmatched(t, join, "ben", n+1)
	}
}

// The same of two things that are given to different others: what a match is refused anew is
// beside what it was refused before, and each is given once the person may have it.
func TestJoinFlowIsRefusedSeveralThings(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	g.move(t, "crew", "ann", true)
	g.move(t, "writers", "ann", true)
	wiki, page := id.New(), id.New()
	w.app(t, wiki, "Wiki", page, nil, []string{"pia"})
	w.handled(t)
	for group, app := range map[string]uuid.UUID{"crew": w.crm, "writers": wiki} {
		w.flow(t, func(in *approvalv1.FlowInput) {
			in.Name, in.OnlyAudience, in.Scope = group, true, &approvalv1.FlowScope{AppIds: []string{app.String()}}
			in.Audience = &approvalv1.FlowAudience{GroupIds: []string{g.ids[group].String()}}
		})
	}
	join := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Name, in.Trigger, in.AutoApprove, in.Steps = "joiners", approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, true, nil
		in.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ben").String()}}
		in.Scope = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String(), page.String()}}
	})
	apps := map[string]uuid.UUID{w.account.String(): w.crm, page.String(): wiki}
	w.cancelled(t, w.submitMatch(t, w.lastMatch(t, join, 1), apps))
	g.move(t, "crew", "ben", true)
	second := w.lastMatch(t, join, 2)
	g.move(t, "crew", "ben", false)
	w.cancelled(t, w.submitMatch(t, second, apps))

	g.move(t, "writers", "ben", true)
	third := w.lastMatch(t, join, 3)
	if !slices.Equal(third.GetEntitlementIds(), []string{page.String()}) {
		t.Errorf("matched for %v", third)
	}
	w.granted(t, w.submitMatch(t, third, apps))
	g.move(t, "crew", "ben", true)
	if fourth := w.lastMatch(t, join, 4); !slices.Equal(fourth.GetEntitlementIds(), []string{w.account.String()}) {
		t.Errorf("matched for %v", fourth)
	}
}

// lastMatch is the last of the matches of a join-flow, of which there are count, once nothing
// more is to be looked at.
func (w *world) lastMatch(t testing.TB, f *approvalv1.Flow, count int32) (last *eventv1.FlowMatched) {
	t.Helper()
	w.handled(t)
	servicetest.Eventually(t, "nothing is due", func() bool {
		return w.count(t, "due where due_time <= now()")+w.count(t, "flow where matched_version < version") == 0
	})
	w.drained(t)
	var n int32
	for _, e := range servicetest.All[*eventv1.FlowMatched](w.Harness) {
		if e.GetFlowId() == f.GetId() {
			last = e
			n++
		}
	}
	if n != count || last.GetMatchCount() != count {
		t.Fatalf("matched %d times, want %d: %v", n, count, last)
	}
	return last
}

// submitMatch submits the request of a match; apps have what it gives.
func (w *world) submitMatch(t testing.TB, m *eventv1.FlowMatched, apps map[string]uuid.UUID) *requestv1.Request {
	t.Helper()
	r := w.request("ben", "ben")
	r.Requester, r.Origin, r.FlowId, r.FlowVersion, r.Items = nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, m.GetFlowId(), m.GetFlowVersion(), nil
	for _, e := range m.GetEntitlementIds() {
		r.Items = append(r.Items, &requestv1.RequestItem{Id: id.New().String(), EntitlementId: e, AppId: apps[e].String(), AppName: "app"})
	}
	w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Request: r, JoinCount: m.GetJoinCount(), MatchCount: m.GetMatchCount()})
	return r
}

// B-REQ-18: what an app that is closed gives by a flow alone is decided by no other rule,
// also if it was asked for before the app was closed. Taking away is asked as ever.
func TestClosedApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Publish(t, w.org, w.crm, &eventv1.AppUpdated{Context: &eventv1.Context{Version: 9}, App: &requestv1.App{
		Id: w.crm.String(), OrganizationId: w.org.String(), Name: "CRM", ApproverIds: []string{w.id("pia").String()}, OnlyByFlow: true, Version: 9,
	}})
	w.handled(t)
	uncovered, back := w.request("ben", "ben"), w.request("ben", "ben")
	back.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE
	w.submit(t, uncovered)
	w.submit(t, back)
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalCancelled) bool { return e.GetRequestId() == uncovered.GetId() })
	if e.GetReason() != "the app is closed to what no flow covers" {
		t.Errorf("refused: %v", e)
	}
	w.asked(t, back, 1)
	// B-REQ-19: what is refused holds up nothing else of the request.
	wiki := id.New()
	w.app(t, wiki, "Wiki", id.New(), nil, []string{"pia"})
	both := w.request("ben", "ben")
	both.Items = append(both.Items, &requestv1.RequestItem{Id: id.New().String(), EntitlementId: id.New().String(), AppId: wiki.String(), AppName: "Wiki"})
	w.submit(t, both)
	e = servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalCancelled) bool { return e.GetRequestId() == both.GetId() })
	if !slices.Equal(e.GetItemIds(), []string{both.GetItems()[0].GetId()}) || e.GetReason() != "the app is closed to what no flow covers" {
		t.Errorf("refused: %v", e)
	}
	w.askedFor(t, both, both.GetItems()[1].GetId(), 1)

	w.flow(t, func(in *approvalv1.FlowInput) { in.AutoApprove, in.Steps = true, nil })
	covered := w.request("ben", "ben")
	w.submit(t, covered)
	w.granted(t, covered)
}

// B-CAT-06, in part: a flow that names what is there no more says what, and can be switched off and
// deleted.
func TestFlowNamesWhatIsGone(t *testing.T) {
	t.Parallel()
	w := start(t)
	group, wiki, page := id.New(), id.New(), id.New()
	w.app(t, wiki, "Wiki", page, nil, nil)
	w.Publish(t, w.org, group, &eventv1.GroupCreated{
		Context: &eventv1.Context{Version: 1}, Group: &identityv1.Group{Id: group.String(), OrganizationId: w.org.String(), DisplayName: "writers", Version: 1},
	})
	w.handled(t)
	f := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Audience = &approvalv1.FlowAudience{GroupIds: []string{group.String()}, UserIds: []string{w.id("ben").String(), w.id("ann").String()}}
		in.Scope = &approvalv1.FlowScope{AppIds: []string{wiki.String(), w.crm.String()}, EntitlementIds: []string{page.String()}}
	})
	if len(f.GetGoneIds()) != 0 {
		t.Errorf("gone at once: %v", f.GetGoneIds())
	}
	w.leave(t, "ben")
	w.Publish(t, w.org, group, &eventv1.GroupRemoved{
		Context: &eventv1.Context{Version: 2}, Group: &identityv1.Group{Id: group.String(), OrganizationId: w.org.String(), DisplayName: "writers", Version: 2},
	})
	w.version++
	w.Publish(t, w.org, wiki, &eventv1.AppDeleted{
		Context: &eventv1.Context{Version: w.version}, App: &requestv1.App{Id: wiki.String(), OrganizationId: w.org.String(), Name: "Wiki", Version: w.version, DeleteTime: timestamppb.Now()},
	})
	w.handled(t)
	want := []string{wiki.String(), page.String(), group.String(), w.id("ben").String()}
	got, err := w.flows(t, "zoe").GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: f.GetId()})
	if err != nil || !slices.Equal(got.GetFlow().GetGoneIds(), want) {
		t.Errorf("read: %v %v, want %v", got.GetFlow().GetGoneIds(), err, want)
	}
	list, err := w.flows(t, "zoe").ListFlows(t.Context(), &approvalv1.ListFlowsRequest{})
	if err != nil || !slices.Equal(list.GetFlows()[0].GetGoneIds(), want) {
		t.Errorf("listed: %v %v", list, err)
	}
	off, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: f.GetId()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"enabled"}},
	})
	if err != nil || off.GetFlow().GetEnabled() || !slices.Equal(off.GetFlow().GetGoneIds(), want) {
		t.Errorf("switched off: %v %v", off, err)
	}
	if _, err := w.flows(t, "zoe").DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{Id: f.GetId()}); err != nil {
		t.Errorf("deleted: %v", err)
	}
	for _, e := range w.Events() {
		if m, ok := e.Message.(*eventv1.FlowUpdated); ok && len(m.GetFlow().GetGoneIds()) != 0 {
			t.Errorf("the event says what is gone: %v", m)
		}
	}
}
