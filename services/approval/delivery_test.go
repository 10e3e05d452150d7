package approval_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/approval"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// cancel publishes that a request is to be cancelled.
func (w *world) cancel(t testing.TB, r *requestv1.Request) {
	t.Helper()
	w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestCancelRequested{
		Context:   &eventv1.Context{Actor: event.UserActor(r.GetRequester().GetUserId(), r.GetRequester().GetDisplayName())},
		RequestId: r.GetId(), Reason: "not needed any more",
	})
}

func (w *world) cancelled(t testing.TB, r *requestv1.Request) *eventv1.ApprovalCancelled {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalCancelled) bool { return e.GetRequestId() == r.GetId() })
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := start(t)

	open := w.request("ann", "ben")
	w.submit(t, open)
	asked := w.asked(t, open, 1)
	w.cancel(t, open)
	if e := w.cancelled(t, open); e.GetReason() != "not needed any more" || e.GetContext().GetActor().GetDisplayName() != "ann" {
		t.Fatalf("cancelled %v", e)
	}
	_, err := w.approve(t, "pia", of(t, asked.GetTasks(), "pia"))
	wantError(t, err, codes.FailedPrecondition, "TASK_ALREADY_DECIDED")
	if m := metadata(err); m["state"] != "cancelled" || m["decided_by"] != "ann" {
		t.Fatalf("told %v", m)
	}

	// Delivered out of order, and twice: the submission finds the mark.
	early := w.request("ann", "ben")
	w.cancel(t, early)
	w.cancel(t, early)
	w.submit(t, early)
	w.submit(t, early)
	w.cancel(t, early)
	if e := w.cancelled(t, early); e.GetContext().GetUserId() != w.users["ben"].GetId() {
		t.Fatalf("cancelled %v", e)
	}

	// Too late.
	late := w.request("ann", "ben")
	w.submit(t, late)
	if _, err := w.approve(t, "per", of(t, w.asked(t, late, 1).GetTasks(), "per")); err != nil {
		t.Fatal(err)
	}
	w.granted(t, late)
	w.cancel(t, late)

	w.handled(t)
	w.drained(t)
	for _, tc := range []struct {
		name string
		r    *requestv1.Request
		want map[string]int
	}{
		{"open", open, map[string]int{"ApprovalRequested": 1, "ApprovalCancelled": 1}},
		{"early", early, map[string]int{"ApprovalCancelled": 1}},
		{"late", late, map[string]int{"ApprovalRequested": 1, "ApprovalGranted": 1}},
	} {
		if got := w.emitted(tc.r.GetId()); fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: emitted %v, want %v", tc.name, got, tc.want)
		}
	}
}

// Every event delivered twice: by its own id, as after a crash between commit
// and acknowledgement, and said a second time under another.
func TestDeliveredTwice(t *testing.T) {
	t.Parallel()
	w := start(t)
	group := &identityv1.Group{Id: id.New().String(), DisplayName: "Sales", Version: 1}
	member := &identityv1.Group{Id: group.GetId(), DisplayName: "Sales", Version: 2}
	w.Publish(t, w.org, w.org, &eventv1.GroupCreated{Group: group})
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Trigger, in.Audience = approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, &approvalv1.FlowAudience{GroupIds: []string{group.GetId()}}
		in.Scope, in.AutoApprove, in.Steps = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}, true, nil
	})
	w.Publish(t, w.org, w.org, &eventv1.GroupMemberAdded{Group: member, Member: w.person("ben")})
	r, gone := w.request("ann", "ben"), w.request("ben", "ann")
	w.submit(t, r)
	w.submit(t, gone)
	w.asked(t, r, 1)
	w.cancel(t, gone)
	w.cancelled(t, gone)
	w.leave(t, "pia")
	servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool { return true })
	w.handled(t)
	w.drained(t)
	before, tasks, matches := w.Events(), w.count(t, "task"), w.count(t, "flow_match")

	for _, again := range []bool{false, true} {
		for _, ev := range before {
			typ, err := event.TypeOf(ev.Message)
			if err != nil {
				t.Fatal(err)
			}
			switch typ.Aggregate {
			case "flow", "approval", "task", "comment":
				continue // emitted by approval, or the test's marker
			}
			eventID := ev.ID
			if again {
				eventID = id.New()
			}
			w.PublishAgain(t, eventID, w.org, w.org, ev.Message)
		}
	}
	w.handled(t)
	w.drained(t)
	for _, ev := range w.Events()[len(before):] {
		switch ev.Message.(type) {
		case *eventv1.ApprovalRequested, *eventv1.ApprovalCancelled, *eventv1.TaskReassigned, *eventv1.FlowMatched:
			t.Errorf("emitted again: %v", ev.Message)
		}
	}
	if n := w.count(t, "task"); n != tasks {
		t.Errorf("%d tasks, had %d", n, tasks)
	}
	if n := w.count(t, "flow_match"); n != matches || n != 1 {
		t.Errorf("%d matches, had %d", n, matches)
	}
	if n := w.count(t, "parked_event"); n != 0 {
		t.Errorf("%d events parked", n)
	}
}

// Facts in any order: what is older changes nothing.
func TestFactsOutOfOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	group := func(version int64) *identityv1.Group {
		return &identityv1.Group{Id: w.org.String(), DisplayName: "Sales", Version: version}
	}
	w.Publish(t, w.org, w.org, &eventv1.GroupMemberRemoved{Group: group(3), Member: w.person("ben")})
	w.Publish(t, w.org, w.org, &eventv1.GroupMemberAdded{Group: group(2), Member: w.person("ben")})
	w.Publish(t, w.org, w.org, &eventv1.GroupMemberAdded{Group: group(4), Member: w.person("ann")})
	w.Publish(t, w.org, w.org, &eventv1.GroupCreated{Group: group(1)})
	// A group that went takes with it who came before, however late that is
	// heard.
	went := id.New()
	w.Publish(t, w.org, went, &eventv1.GroupRemoved{Group: &identityv1.Group{Id: went.String(), Version: 9}})
	w.Publish(t, w.org, went, &eventv1.GroupMemberAdded{Group: &identityv1.Group{Id: went.String(), Version: 8}, Member: w.person("max")})
	// mia was renamed and moved after she was removed from an older view.
	mia := proto.CloneOf(w.users["mia"])
	mia.Version, mia.State = 2, identityv1.UserState_USER_STATE_SUSPENDED
	back := proto.CloneOf(w.users["mia"])
	back.Version = 3
	w.Publish(t, w.org, w.id("mia"), &eventv1.UserUpdated{Context: &eventv1.Context{Version: 3}, User: back})
	w.Publish(t, w.org, w.id("mia"), &eventv1.UserSuspended{Context: &eventv1.Context{Version: 2}, User: mia})
	// per is no approver any more; the older event says otherwise.
	w.app(t, w.crm, "CRM", uuid.Nil, []string{"ada"}, []string{"pia"})
	w.version = 0
	w.app(t, w.crm, "CRM", uuid.Nil, []string{"ada"}, []string{"pia", "per"})
	w.handled(t)

	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps = []*approvalv1.FlowStep{
			step("Manager", approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER),
			step("Sales", approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS),
			step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS),
		}
		in.Steps[1].GroupIds = []string{w.org.String()}
	})
	r := w.request("ben", "ben")
	w.submit(t, r)
	for i, want := range []string{"mia", "ann", "pia"} {
		asked := w.asked(t, r, int32(i+1))
		if got := names(asked.GetTasks()); !slices.Equal(got, []string{want}) {
			t.Fatalf("step %d: asked %q, want %q", i+1, got, want)
		}
		if _, err := w.approve(t, want, asked.GetTasks()[0]); err != nil {
			t.Fatal(err)
		}
	}
	w.granted(t, r)
	if _, err := w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
		Name: "x", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST, AutoApprove: true,
		Audience: &approvalv1.FlowAudience{GroupIds: []string{went.String()}}, Scope: &approvalv1.FlowScope{Any: true},
	}}); !slices.Equal(rpctest.Fields(err), []string{"flow.audience.group_ids[0]"}) {
		t.Fatalf("a group that went: %v", err)
	}
}

// newcomer is eva, of whom nobody has heard yet.
func (w *world) newcomer() *identityv1.User {
	eva := &identityv1.User{
		Id: id.New().String(), DisplayName: "eva", State: identityv1.UserState_USER_STATE_ACTIVE,
		Role: identityv1.Role_ROLE_MEMBER, Version: 1, JoinCount: 1, ManagerId: w.users["mia"].GetId(),
	}
	w.users["eva"] = eva
	return eva
}

// A request that is heard of before the person it is for waits for them.
func TestSubmittedBeforeTheBeneficiaryIsKnown(t *testing.T) {
	t.Parallel()
	w := start(t)
	eva := w.newcomer()
	w.flow(t, nil)
	r := w.request("ann", "eva")
	w.submit(t, r)
	w.Publish(t, w.org, w.id("eva"), &eventv1.UserJoined{User: eva})
	if got := names(w.asked(t, r, 1).GetTasks()); !slices.Equal(got, []string{"mia"}) {
		t.Fatalf("asked %q", got)
	}
}

// B-APR-01, B-RUN-02: many requests that come at once are planned together,
// each as if it had come alone; the one that has to wait keeps no other.
func TestSubmittedTogether(t *testing.T) {
	t.Parallel()
	w := start(t)
	eva := w.newcomer()
	w.flow(t, nil)
	w.handled(t)

	early := w.request("ann", "eva")
	back := w.request("ann", "ann")
	var all []*requestv1.Request
	// While the table is locked, what is published gathers in one batch.
	locked, err := w.DB.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locked.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := locked.Exec(t.Context(), "lock table approval"); err != nil {
		t.Fatal(err)
	}
	w.cancel(t, back)
	for n := range 30 {
		r := w.request("ann", "ann")
		switch n {
		case 10:
			r = early
		case 20:
			r = back
		}
		eventID := w.submit(t, r)
		if n%7 == 0 {
			w.PublishAgain(t, eventID, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Request: r})
		}
		all = append(all, r)
	}
	if err := locked.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r == early || r == back {
			continue
		}
		if got := names(w.asked(t, r, 1).GetTasks()); !slices.Equal(got, []string{"mia"}) {
			t.Errorf("asked %q", got)
		}
	}
	w.cancelled(t, back)
	w.Publish(t, w.org, w.id("eva"), &eventv1.UserJoined{User: eva})
	w.asked(t, early, 1)
	w.drained(t)
	for n, r := range all {
		want := map[string]int{"ApprovalRequested": 1}
		if r == back {
			want = map[string]int{"ApprovalCancelled": 1}
		}
		if got := w.emitted(r.GetId()); !maps.Equal(got, want) {
			t.Errorf("request %d: emitted %v, want %v", n, got, want)
		}
	}
}

// matched waits until a flow has matched somebody in a join count.
func (w *world) matched(t *testing.T, f *approvalv1.Flow, name string, joinCount int32) *eventv1.FlowMatched {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(e *eventv1.FlowMatched) bool {
		return e.GetFlowId() == f.GetId() && e.GetUserId() == w.users[name].GetId() && e.GetJoinCount() == joinCount
	})
}

// unmatched waits for the event that a join-flow is not for somebody any more.
func (w *world) unmatched(t testing.TB, f *approvalv1.Flow, name string, matchCount int32) *eventv1.FlowUnmatched {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(e *eventv1.FlowUnmatched) bool {
		return e.GetFlowId() == f.GetId() && e.GetUserId() == w.users[name].GetId() && e.GetMatchCount() == matchCount
	})
}

// B-USR-15, in part: whoever joins, or comes to match, gets what a join-flow
// has for them, once for each time that they come to match.
func TestJoinFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Replica(t)
	group := id.New()
	version := int64(0)
	move := func(name string, in bool) {
		version++
		g := &identityv1.Group{Id: group.String(), DisplayName: "Sales", Version: version}
		if in {
			w.Publish(t, w.org, group, &eventv1.GroupMemberAdded{Group: g, Member: w.person(name)})
		} else {
			w.Publish(t, w.org, group, &eventv1.GroupMemberRemoved{Group: g, Member: w.person(name)})
		}
	}
	move("ben", true)
	join := func(name string, change func(*approvalv1.FlowInput)) *approvalv1.Flow {
		return w.flow(t, func(in *approvalv1.FlowInput) {
			in.Name, in.Trigger = name, approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN
			in.Scope, in.AutoApprove, in.Steps = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}, true, nil
			change(in)
		})
	}
	sales := join("sales", func(in *approvalv1.FlowInput) {
		in.Audience, in.MaxDuration = &approvalv1.FlowAudience{GroupIds: []string{group.String()}}, durationpb.New(time.Hour)
	})
	join("off", func(in *approvalv1.FlowInput) { in.Disabled = true })

	// Who is there already.
	e := w.matched(t, sales, "ben", 1)
	if !slices.Equal(e.GetEntitlementIds(), []string{w.account.String()}) || e.GetDuration().AsDuration() != time.Hour ||
		e.GetFlowVersion() != 1 || e.GetContext().GetUserId() != w.users["ben"].GetId() {
		t.Fatalf("matched %v", e)
	}
	// Who comes, in either order of the two facts.
	w.join(t, "eva", "mia", identityv1.Role_ROLE_MEMBER)
	move("eva", true)
	w.matched(t, sales, "eva", 1)
	late := &identityv1.User{Id: id.New().String(), DisplayName: "lea", State: identityv1.UserState_USER_STATE_ACTIVE, Role: identityv1.Role_ROLE_MEMBER, Version: 1, JoinCount: 1}
	w.users["lea"] = late
	move("lea", true)
	w.Publish(t, w.org, w.id("lea"), &eventv1.UserJoined{User: late})
	w.matched(t, sales, "lea", 1)
	// Who leaves and comes back; and who goes out of the group and in again.
	w.leave(t, "eva")
	move("ben", false)
	if u := w.unmatched(t, sales, "ben", 1); u.GetAction() != approvalv1.UnmatchAction_UNMATCH_ACTION_TAKE_AWAY || u.GetJoinCount() != 1 {
		t.Errorf("let go: %v", u)
	}
	move("ben", true)
	servicetest.Wait(t, w.Harness, func(e *eventv1.FlowMatched) bool {
		return e.GetFlowId() == sales.GetId() && e.GetUserId() == w.users["ben"].GetId() && e.GetMatchCount() == 2
	})
	back := w.users["eva"]
	back.Version, back.JoinCount, back.State = back.GetVersion()+1, 2, identityv1.UserState_USER_STATE_ACTIVE
	w.Publish(t, w.org, w.id("eva"), &eventv1.UserJoined{User: back})
	w.matched(t, sales, "eva", 2)
	// Everyone who is active, when a flow is switched on.
	all := join("all", func(in *approvalv1.FlowInput) { in.Disabled = true })
	w.leave(t, "max")
	w.handled(t) // or max would still be there when the flow is switched on
	if _, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: all.GetId(), Enabled: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"enabled"}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "ben", "zoe", "lea"} {
		w.matched(t, all, name, 1)
	}
	w.matched(t, all, "eva", 2)
	w.handled(t)
	w.drained(t)
	matches := servicetest.All[*eventv1.FlowMatched](w.Harness)
	if want := 5 + (len(w.users) - 1); len(matches) != want {
		t.Fatalf("%d matches, want %d", len(matches), want)
	}

	// The request that comes of it is approved as the flow says, on its version.
	r := w.request("ben", "ben")
	r.Requester, r.Origin, r.FlowId, r.FlowVersion = nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, sales.GetId(), 1
	w.submit(t, r)
	if g := w.granted(t, r); !g.GetAutomatic() || g.GetFlowId() != sales.GetId() {
		t.Fatalf("granted %v", g)
	}
	// What the flow does not give is reviewed.
	r = w.request("ben", "ben")
	r.Requester, r.Origin, r.FlowId, r.FlowVersion = nil, requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN, sales.GetId(), 1
	r.Items[0].EntitlementId = id.New().String()
	w.submit(t, r)
	if got := names(w.asked(t, r, 1).GetTasks()); !slices.Equal(got, []string{"per", "pia"}) {
		t.Fatalf("asked %q", got)
	}
}

// Two replicas, many requests, everything at once: submissions and
// cancellations in any order and twice, decisions by everybody, reviewers who
// come and go. At the end each request has one end, and the rows say so too.
// B-RUN-02, as far as approval goes.
func TestStorm(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *approval.Config) { c.MaintenanceEvery = 50 * time.Millisecond })
	second, _ := w.Replica(t)
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps = append(in.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
		in.Steps[1].Need = approvalv1.StepNeed_STEP_NEED_ALL
	})
	const n = 60
	requests := make([]*requestv1.Request, n)
	for i := range requests {
		requests[i] = w.request("ann", []string{"ann", "ben"}[i%2])
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, name := range []string{"mia", "max", "pia", "per", "ada", "zoe"} {
		for _, addr := range []string{w.Addr, second} {
			client := approvalv1.NewTaskServiceClient(w.Tokens.Dial(t, addr, w.caller(name)))
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					list, err := client.ListTasks(t.Context(), &approvalv1.ListTasksRequest{PageSize: 5})
					if err != nil {
						t.Errorf("list: %v", err)
						return
					}
					if len(list.GetTasks()) == 0 {
						select {
						case <-time.After(5 * time.Millisecond):
						case <-stop:
							return
						}
					}
					for _, task := range list.GetTasks() {
						if rand.IntN(12) == 0 {
							_, err = client.DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: task.GetId(), Reason: "no"})
						} else {
							_, err = client.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId()})
						}
						if err != nil && status.Code(err) != codes.FailedPrecondition {
							t.Errorf("decide: %v", err)
							return
						}
					}
				}
			})
		}
	}
	for i, r := range requests {
		if i%10 == 3 {
			w.cancel(t, r) // before it is submitted
		}
		w.submit(t, r)
		if i%7 == 0 {
			w.submit(t, r)
		}
		if i%10 == 6 {
			w.cancel(t, r)
		}
		if i%20 == 10 { // pia goes and comes back, again and again
			pia := w.users["pia"]
			pia.Version++
			pia.State = identityv1.UserState_USER_STATE_SUSPENDED
			w.Publish(t, w.org, w.id("pia"), &eventv1.UserSuspended{User: pia})
			pia.Version++
			pia.State = identityv1.UserState_USER_STATE_ACTIVE
			w.Publish(t, w.org, w.id("pia"), &eventv1.UserUpdated{User: pia})
		}
	}
	servicetest.Eventually(t, "every request has its end", func() bool {
		var open int
		err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, `select $1 - count(*) from approval where state <> 'open' and request is not null`, n).Scan(&open)
		})
		if err != nil {
			t.Fatal(err)
		}
		return open == 0
	})
	close(stop)
	all.Wait()
	w.handled(t)
	w.drained(t)
	for _, r := range requests {
		emitted := w.emitted(r.GetId())
		if emitted["ApprovalGranted"]+emitted["ApprovalDenied"]+emitted["ApprovalCancelled"] != 1 {
			t.Errorf("request %s: emitted %v", r.GetId(), emitted)
		}
		if emitted["ApprovalGranted"] == 1 && emitted["ApprovalDecided"] < 1 {
			t.Errorf("request %s granted with %v", r.GetId(), emitted)
		}
	}
	if n := w.count(t, "parked_event"); n != 0 {
		t.Errorf("%d events parked", n)
	}
	for _, a := range w.approvals(t) {
		checkEnded(t, a)
	}
}

// approvals are all that the database has, after a look whether the table task
// says the same as they do.
func (w *world) approvals(t *testing.T) []*store.Record {
	t.Helper()
	s := store.New(nil, time.Now)
	var records []*store.Record
	err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select request_id from approval`)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		states := make(map[string]string)
		rows, err = tx.Query(ctx, `select t.id, t.state from task t join approval a using (request_id, organization_id, environment_id)`)
		if err != nil {
			return err
		}
		var id, state string
		if _, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error { states[id] = state; return nil }); err != nil {
			return err
		}
		for _, id := range ids {
			r, err := s.Read(ctx, tx, id)
			if err != nil {
				return err
			}
			for _, task := range r.Tasks {
				if states[task.ID] != string(task.State) {
					t.Errorf("task %s is %q, and %q in its approval", task.ID, states[task.ID], task.State)
				}
				delete(states, task.ID)
			}
			records = append(records, r)
		}
		if len(states) != 0 {
			t.Errorf("%d tasks are in no approval", len(states))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := w.count(t, "task t left join approval a using (request_id, organization_id, environment_id) where a.request_id is null"); n != 0 {
		t.Errorf("%d tasks without their approval", n)
	}
	return records
}

// checkEnded fails for an approval that cannot have come to its end this way.
func checkEnded(t *testing.T, a *store.Record) {
	t.Helper()
	denials := 0
	for _, task := range a.Tasks {
		if task.State == lifecycle.TaskOpen {
			t.Errorf("open task in %+v", a)
		}
		if task.State == lifecycle.TaskDenied {
			denials++
		}
		for _, before := range a.Steps {
			if before.ItemID == task.ItemID && before.Position < task.Position && (before.EndTime.IsZero() || before.EndTime.After(task.CreateTime)) {
				t.Errorf("asked before step %d ended: %+v", before.Position, task)
			}
		}
	}
	if denials > 1 {
		t.Errorf("%d denials in %+v", denials, a)
	}
	for _, s := range a.Steps {
		if s.State == lifecycle.StepOpen || s.State == lifecycle.StepPending {
			t.Errorf("step without an end: %+v", s)
		}
		if a.State == lifecycle.Granted && s.State != lifecycle.StepApproved {
			t.Errorf("granted with a step that is %s", s.State)
		}
		if s.State == lifecycle.StepApproved && len(a.ApprovedBy(s)) < s.Needed {
			t.Errorf("step approved by %d of %d", len(a.ApprovedBy(s)), s.Needed)
		}
	}
}

// B-APR-05, in part: what two transactions did that could not see each other is
// found all the same: here, a reviewer who has gone and whom no event told of.
func TestFoundWithoutBeingTold(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *approval.Config) { c.MaintenanceEvery = 20 * time.Millisecond })
	w.Replica(t)
	w.flow(t, nil)
	r := w.request("ann", "ann")
	w.submit(t, r)
	w.asked(t, r, 1)
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `update user_copy set state = 'removed', version = version + 1 where id = $1`, w.users["mia"].GetId())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool { return e.GetFrom().GetRequestId() == r.GetId() })
	if _, err := w.approve(t, "max", e.GetTo()); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
	w.drained(t)
	if emitted := w.emitted(r.GetId()); emitted["TaskReassigned"] != 1 {
		t.Fatalf("emitted %v", emitted)
	}
}

// B-RUN-02: killed and started again, it goes on where it was.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := start(t)
	addr, _, stop := w.StoppableReplica(t)
	r := w.request("ann", "ben")
	w.submit(t, r)
	asked := w.asked(t, r, 1)
	client := approvalv1.NewTaskServiceClient(w.Tokens.Dial(t, addr, w.caller("pia")))
	if _, err := client.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: of(t, asked.GetTasks(), "pia").GetId()}); err != nil {
		t.Fatal(err)
	}
	stop()
	w.granted(t, r)
}

// B-RUN-06 and B-APR-05, in part: copies are rebuilt from their owners'
// snapshots while everything runs. What no event told takes its effect once: a
// reviewer who has left is replaced, and the members of a large group are
// matched with join-flows.
func TestRebuildCopies(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil) // the manager
	r := w.request("ann", "ann")
	w.submit(t, r)
	w.asked(t, r, 1)
	group := &identityv1.Group{Id: id.New().String(), OrganizationId: w.org.String(), DisplayName: "Sales", Version: 1}
	w.Publish(t, w.org, uuid.MustParse(group.GetId()), &eventv1.GroupCreated{Group: group})
	flow := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Trigger, in.AutoApprove, in.Steps = approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, true, nil
		in.Audience, in.Scope = &approvalv1.FlowAudience{GroupIds: []string{group.GetId()}}, &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}
	})

	owned := make([]proto.Message, 0, len(w.users)+302)
	for name, u := range w.users {
		u = proto.CloneOf(u)
		if name == "mia" {
			u.Version, u.State = 2, identityv1.UserState_USER_STATE_REMOVED
		}
		owned = append(owned, u)
	}
	all := &opsv1.SnapshotGroup{Group: proto.CloneOf(group)}
	all.Group.Version = 2
	for n := range 300 {
		u := proto.CloneOf(w.users["ben"])
		u.Id, u.DisplayName = id.New().String(), fmt.Sprint("new ", n)
		owned, all.MemberIds = append(owned, u), append(all.MemberIds, u.GetId())
	}
	second := &requestv1.Entitlement{Id: id.New().String(), OrganizationId: w.org.String(), AppId: w.crm.String(), Name: "editor", Version: 1}
	w.Owners.Set(append(owned, all, second)...)
	for range 2 {
		w.RebuildCopies(t)
		servicetest.Eventually(t, "all of the group are matched", func() bool {
			return len(servicetest.All[*eventv1.FlowMatched](w.Harness)) >= len(all.GetMemberIds())
		})
		e := servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool { return e.GetFrom().GetRequestId() == r.GetId() })
		if e.GetTo().GetReviewer().GetDisplayName() != "max" {
			t.Fatalf("reassigned %v", e)
		}
	}
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Scope = &approvalv1.FlowScope{EntitlementIds: []string{second.GetId()}}
	})
	w.drained(t)
	matched := make(map[string]bool)
	for _, e := range servicetest.All[*eventv1.FlowMatched](w.Harness) {
		if e.GetFlowId() != flow.GetId() || matched[e.GetContext().GetUserId()] {
			t.Errorf("matched %v", e)
		}
		matched[e.GetContext().GetUserId()] = true
	}
	if len(matched) != len(all.GetMemberIds()) {
		t.Errorf("%d matches", len(matched))
	}
}
