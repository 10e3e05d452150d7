package approval_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/approval"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// groups are groups whose members come and go.
type groups struct {
	w       *world
	ids     map[string]uuid.UUID
	version int64
}

// move has somebody come into a group, or leave it; the group is made by that.
func (g *groups) move(t testing.TB, group, name string, in bool) {
	t.Helper()
	if g.ids[group] == uuid.Nil {
		g.ids[group] = id.New()
	}
	g.version++
	of := &identityv1.Group{Id: g.ids[group].String(), DisplayName: group, Version: g.version}
	if in {
		g.w.Publish(t, g.w.org, g.ids[group], &eventv1.GroupMemberAdded{Group: of, Member: g.w.person(name)})
	} else {
		g.w.Publish(t, g.w.org, g.ids[group], &eventv1.GroupMemberRemoved{Group: of, Member: g.w.person(name)})
	}
	g.w.handled(t)
}

// joinFlow is a join-flow for the members of groups.
func (g *groups) joinFlow(t testing.TB, name string, action approvalv1.UnmatchAction, groups ...string) *approvalv1.Flow {
	t.Helper()
	return g.w.flow(t, func(in *approvalv1.FlowInput) {
		in.Name, in.Trigger, in.UnmatchAction = name, approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, action
		in.Scope, in.AutoApprove, in.Steps = &approvalv1.FlowScope{EntitlementIds: []string{g.w.account.String()}}, true, nil
		in.Audience = &approvalv1.FlowAudience{}
		for _, name := range groups {
			in.Audience.GroupIds = append(in.Audience.GroupIds, g.ids[name].String())
		}
	})
}

// B-USR-15, in part: a join-flow lets go whom it is not for any more, when they have left
// the last of its groups or when it is changed; nobody for being suspended, nobody while
// it is switched off, and each of several flows for itself.
func TestUnmatched(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	for _, group := range []string{"sales", "north"} {
		g.move(t, group, "ben", true)
		g.move(t, group, "ann", true)
	}
	both := g.joinFlow(t, "both", 0, "sales", "north")
	ask := g.joinFlow(t, "ask", approvalv1.UnmatchAction_UNMATCH_ACTION_ASK, "sales")
	off := g.joinFlow(t, "off", approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP, "sales")
	if both.GetUnmatchAction() != approvalv1.UnmatchAction_UNMATCH_ACTION_TAKE_AWAY {
		t.Errorf("says %v", both.GetUnmatchAction())
	}
	for _, f := range []*approvalv1.Flow{both, ask, off} {
		w.matched(t, f, "ben", 1)
		w.matched(t, f, "ann", 1)
	}
	update := func(f *approvalv1.Flow, change func(*approvalv1.Flow), paths ...string) {
		t.Helper()
		to := &approvalv1.Flow{Id: f.GetId()}
		change(to)
		if _, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{Flow: to, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}); err != nil {
			t.Fatal(err)
		}
	}
	update(off, func(f *approvalv1.Flow) { f.Enabled = false }, "enabled")

	// One who is suspended keeps the reasons, and loses them by leaving the group.
	ben := w.users["ben"]
	ben.Version, ben.State = ben.GetVersion()+1, identityv1.UserState_USER_STATE_SUSPENDED
	w.Publish(t, w.org, w.id("ben"), &eventv1.UserSuspended{Context: &eventv1.Context{Version: ben.GetVersion()}, User: ben})
	w.handled(t)
	g.move(t, "sales", "ben", false)
	if e := w.unmatched(t, ask, "ben", 1); e.GetAction() != approvalv1.UnmatchAction_UNMATCH_ACTION_ASK || e.GetFlowName() != "ask" {
		t.Errorf("let go: %v", e)
	}
	g.move(t, "north", "ben", false)
	w.unmatched(t, both, "ben", 1)

	// The flow itself is for others now.
	update(both, func(f *approvalv1.Flow) {
		f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.users["ben"].GetId()}}
	}, "audience")
	w.unmatched(t, both, "ann", 1)

	// What is switched on again lets go who has left meanwhile.
	update(off, func(f *approvalv1.Flow) { f.Enabled = true }, "enabled")
	if e := w.unmatched(t, off, "ben", 1); e.GetAction() != approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP {
		t.Errorf("let go: %v", e)
	}
	w.handled(t)
	w.drained(t)
	if n := len(servicetest.All[*eventv1.FlowUnmatched](w.Harness)); n != 4 {
		t.Errorf("%d were let go, want 4", n)
	}

	_, err := w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
		Name: "asked", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST, AutoApprove: true, UnmatchAction: approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP,
		Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true},
	}})
	if rpctest.Reason(err) != "ONLY_FOR_JOIN" {
		t.Errorf("a flow of requests: %v", err)
	}
}

// B-USR-15, in part: a join-flow may wait before it lets somebody go. Who is moved from one
// of its groups to another in two steps loses nothing, and when the time is over it does
// not matter what had happened before; a change of the time holds for those it waits for.
func TestUnmatchAfter(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := start(t, func(c *approval.Config) { c.Clock = now })
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	for _, name := range []string{"ben", "ann"} {
		g.move(t, "sales", name, true)
	}
	g.move(t, "north", "zoe", true)
	f := g.joinFlow(t, "waits", 0, "sales", "north")
	update := func(after time.Duration) *approvalv1.Flow {
		t.Helper()
		r, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
			Flow: &approvalv1.Flow{Id: f.GetId(), UnmatchAfter: durationpb.New(after)}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"unmatch_after"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetFlow()
	}
	if got := update(10 * time.Minute).GetUnmatchAfter().AsDuration(); got != 10*time.Minute {
		t.Errorf("waits for %s", got)
	}
	w.matched(t, f, "ben", 1)
	w.matched(t, f, "ann", 1)
	none := func(when string) {
		t.Helper()
		w.handled(t)
		w.drained(t)
		if n := len(servicetest.All[*eventv1.FlowUnmatched](w.Harness)); n != 0 {
			t.Fatalf("%d were let go %s", n, when)
		}
	}
	g.move(t, "sales", "ben", false)
	now.Advance(9 * time.Minute)
	none("before the time was over")
	g.move(t, "north", "ben", true)
	now.Advance(2 * time.Minute)
	servicetest.Eventually(t, "nothing is due", func() bool { return w.count(t, "due") == 0 })
	none("who had come back")

	g.move(t, "north", "ben", false)
	g.move(t, "sales", "ann", false)
	now.Advance(9 * time.Minute)
	none("before the new time was over")
	now.Advance(2 * time.Minute)
	w.unmatched(t, f, "ben", 1)
	w.unmatched(t, f, "ann", 1)
	g.move(t, "sales", "ben", true)
	servicetest.Wait(t, w.Harness, func(e *eventv1.FlowMatched) bool { return e.GetFlowId() == f.GetId() && e.GetMatchCount() == 2 })
	g.move(t, "sales", "ben", false)
	update(0)
	w.unmatched(t, f, "ben", 2)

	_, err := w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
		Name: "asked", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST, AutoApprove: true, UnmatchAfter: durationpb.New(time.Hour),
		Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true},
	}})
	if rpctest.Reason(err) != "ONLY_FOR_JOIN" {
		t.Errorf("a flow of requests: %v", err)
	}
}

// B-USR-15, in part: that a flow begins to wait for somebody does not put off what they are to
// be looked at for: it may be said by another transaction, which this one does not see.
func TestAWaitPutsNothingOff(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := start(t, func(c *approval.Config) { c.Clock = now })
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	g.move(t, "sales", "ben", true)
	f := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Name, in.Trigger, in.UnmatchAfter = "waits", approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, durationpb.New(time.Hour)
		in.Scope, in.AutoApprove, in.Steps = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}, true, nil
		in.Audience = &approvalv1.FlowAudience{GroupIds: []string{g.ids["sales"].String()}}
	})
	w.matched(t, f, "ben", 1)
	soon := now.Now().Add(time.Minute)
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `insert into due (kind, key, organization_id, due_time, try_time, attempts, error) values ('match_user', $1, $2, $3, $3, 0, '')`,
			w.id("ben"), w.org, soon)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g.move(t, "sales", "ben", false)
	if n := w.count(t, "flow_match where unmatched_since is not null"); n != 1 {
		t.Fatalf("%d are waited for", n)
	}
	if n := w.count(t, "due where due_time <= '"+soon.Add(time.Second).UTC().Format(time.RFC3339)+"'"); n != 1 {
		t.Errorf("%d are due soon, want 1", n)
	}
	now.Advance(2 * time.Minute)
	servicetest.Eventually(t, "it is done, and the wait goes on", func() bool { return w.count(t, "due") == 1 })
	now.Advance(time.Hour)
	w.unmatched(t, f, "ben", 1)
}

// B-USR-15, in part: a large group that goes lets everybody go, and not in one transaction.
func TestLargeGroupGoes(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	const members = 250
	name := func(n int) string { return fmt.Sprintf("member%d", n) }
	for n := range members {
		w.join(t, name(n), "", identityv1.Role_ROLE_MEMBER)
	}
	g.ids["sales"] = id.New()
	of := func() *identityv1.Group {
		g.version++
		return &identityv1.Group{Id: g.ids["sales"].String(), DisplayName: "sales", Version: g.version}
	}
	for n := range members {
		w.Publish(t, w.org, g.ids["sales"], &eventv1.GroupMemberAdded{Group: of(), Member: w.person(name(n))})
	}
	w.handled(t)
	f := g.joinFlow(t, "sales", 0, "sales")
	count := func(where string) int { return w.count(t, "flow_match where flow_id = '"+f.GetId()+"' and "+where) }
	servicetest.Eventually(t, "all are matched", func() bool { return count("end_time is null") == members })
	w.Publish(t, w.org, g.ids["sales"], &eventv1.GroupRemoved{Group: of()})
	servicetest.Eventually(t, "all are let go", func() bool { return count("end_time is not null") == members })
	if n := w.count(t, "(select distinct xmin::text from flow_match where flow_id = '"+f.GetId()+"') x"); n < 2 {
		t.Errorf("in %d transaction", n)
	}
	w.drained(t)
	if n := len(servicetest.All[*eventv1.FlowUnmatched](w.Harness)); n != members {
		t.Errorf("%d were let go", n)
	}
}

// B-USR-15, in part: what a join-flow takes away it decides itself, also what it has
// ceased to give since; or it asks the app's approvers.
func TestUnmatchedIsDecided(t *testing.T) {
	t.Parallel()
	w := start(t)
	g := &groups{w: w, ids: map[string]uuid.UUID{}}
	g.move(t, "sales", "ben", true)
	back := func(f *approvalv1.Flow) *requestv1.Request {
		r := w.request("ben", "ben")
		r.Kind, r.Requester, r.Origin = requestv1.RequestKind_REQUEST_KIND_REVOKE, nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN
		r.FlowId, r.FlowVersion = f.GetId(), f.GetVersion()
		r.Items[0].EntitlementId = id.New().String()
		w.submit(t, r)
		return r
	}
	taken := back(g.joinFlow(t, "take", 0, "sales"))
	if e := w.granted(t, taken); !e.GetAutomatic() {
		t.Errorf("decided: %v", e)
	}
	asks := g.joinFlow(t, "ask", approvalv1.UnmatchAction_UNMATCH_ACTION_ASK, "sales")
	if got := names(w.asked(t, back(asks), 1).GetTasks()); len(got) != 2 {
		t.Errorf("asked %q", got)
	}

	// Of what was approved it is asked also where request had not heard of that.
	gave := w.request("ben", "ben")
	gave.Requester, gave.Origin, gave.FlowId, gave.FlowVersion = nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, asks.GetId(), asks.GetVersion()
	w.submit(t, gave)
	w.granted(t, gave)
	for given, asked := range map[string]bool{gave.GetId(): true, id.New().String(): false} {
		r := w.request("ben", "ben")
		r.Kind, r.Requester, r.Origin = requestv1.RequestKind_REQUEST_KIND_REVOKE, nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN
		r.FlowId, r.FlowVersion = asks.GetId(), asks.GetVersion()
		r.Items[0].NotInPlace, r.Items[0].GrantItemId = true, gave.GetItems()[0].GetId()
		w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Request: r, GivenRequestId: given})
		if !asked {
			w.granted(t, r)
		} else if got := names(w.asked(t, r, 1).GetTasks()); len(got) != 2 {
			t.Errorf("asked %q", got)
		}
	}

	// Nobody is asked about what was not in place, nor any more about what has ended by
	// itself; the rest goes on.
	r := w.request("ben", "ben")
	r.Kind, r.Requester, r.Origin = requestv1.RequestKind_REQUEST_KIND_REVOKE, nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN
	r.FlowId, r.FlowVersion = asks.GetId(), asks.GetVersion()
	for range 2 {
		r.Items = append(r.Items, &requestv1.RequestItem{Id: id.New().String(), EntitlementId: id.New().String(), AppId: w.crm.String(), AppName: "CRM"})
	}
	r.Items[0].NotInPlace = true
	w.submit(t, r)
	if e := w.granted(t, r); !e.GetAutomatic() || len(e.GetRequest().GetItems()) != 1 || e.GetRequest().GetItems()[0].GetId() != r.GetItems()[0].GetId() {
		t.Errorf("decided: %v", e)
	}
	ended := &eventv1.RequestCancelRequested{RequestId: r.GetId(), Reason: "it has ended", ItemIds: []string{r.GetItems()[1].GetId()}}
	w.Publish(t, w.org, uuid.MustParse(r.GetId()), ended)
	if e := w.cancelled(t, r); len(e.GetItemIds()) != 1 || e.GetItemIds()[0] != r.GetItems()[1].GetId() || e.GetReason() != "it has ended" {
		t.Errorf("cancelled: %v", e)
	}
	w.Publish(t, w.org, uuid.MustParse(r.GetId()), ended) // said twice
	w.handled(t)
	if _, err := w.approve(t, "pia", of(t, w.askedFor(t, r, r.GetItems()[2].GetId(), 1).GetTasks(), "pia")); err != nil {
		t.Fatal(err)
	}
	w.drained(t)
	if got := w.emitted(r.GetId()); got["ApprovalCancelled"] != 1 || got["ApprovalGranted"] != 2 {
		t.Errorf("emitted %v", got)
	}
}
