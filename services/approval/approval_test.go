package approval_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
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

// wantError fails unless err has the code and the reason.
func wantError(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if status.Code(err) != code || rpctest.Reason(err) != reason {
		t.Fatalf("got %v (%s), want %s %s", err, rpctest.Reason(err), code, reason)
	}
}

func metadata(err error) map[string]string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()
		}
	}
	return nil
}

// B-APR-01, B-APR-12: without a flow a request is reviewed by the app's
// approvers; it approves by itself only where a flow says so.
func TestReviewedUnlessAFlowSaysOtherwise(t *testing.T) {
	t.Parallel()
	w := start(t)

	r := w.request("ann", "ben")
	w.submit(t, r)
	asked := w.asked(t, r, 1)
	if got := names(asked.GetTasks()); !slices.Equal(got, []string{"per", "pia"}) {
		t.Fatalf("asked %q", got)
	}
	if asked.GetFlowId() != "" || asked.GetTasks()[0].GetRequest().GetJustification() != "to sell" {
		t.Fatalf("emitted %v", asked)
	}
	if c := asked.GetContext(); c.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM || c.GetAppId() != w.crm.String() ||
		c.GetUserId() != w.users["ben"].GetId() || c.GetVersion() != 1 {
		t.Fatalf("context %v", c)
	}
	task, err := w.approve(t, "pia", of(t, asked.GetTasks(), "pia"))
	if err != nil || task.GetState() != approvalv1.TaskState_TASK_STATE_APPROVED || task.GetComment() != "fine" || task.GetDecideTime() == nil {
		t.Fatalf("approve: %v, %v", task, err)
	}
	granted := w.granted(t, r)
	if granted.GetAutomatic() || granted.GetContext().GetActor().GetDisplayName() != "pia" || len(granted.GetRequest().GetItems()) != 1 {
		t.Fatalf("granted %v", granted)
	}
	// One transaction, one event: the last decision is in it.
	if granted.GetTask().GetId() != task.GetId() || granted.GetTask().GetComment() != "fine" || granted.GetContext().GetVersion() != 2 {
		t.Fatalf("granted %v", granted)
	}
	w.drained(t)
	if emitted := w.emitted(r.GetId()); len(emitted) != 2 || emitted["ApprovalRequested"] != 1 || emitted["ApprovalGranted"] != 1 {
		t.Fatalf("emitted %v", emitted)
	}

	flow := w.flow(t, func(in *approvalv1.FlowInput) { in.AutoApprove, in.Steps = true, nil })
	again := w.request("ann", "ben")
	w.submit(t, again)
	if g := w.granted(t, again); !g.GetAutomatic() || g.GetTask() != nil || g.GetFlowId() != flow.GetId() || g.GetFlowVersion() != 1 ||
		g.GetContext().GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM {
		t.Fatalf("granted %v", g)
	}
	if emitted := w.emitted(again.GetId()); len(emitted) != 1 {
		t.Fatalf("emitted %v", emitted)
	}
}

// B-APR-02: in series, and nobody downstream is told before.
func TestStepsRunInSeries(t *testing.T) {
	t.Parallel()
	w := start(t)
	flow := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps = append(in.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
		in.Steps[1].Need = approvalv1.StepNeed_STEP_NEED_ALL
	})
	r := w.request("ann", "ann")
	w.submit(t, r)
	first := w.asked(t, r, 1)
	if got := names(first.GetTasks()); !slices.Equal(got, []string{"mia"}) || first.GetFlowId() != flow.GetId() || first.GetStepName() != "Manager" {
		t.Fatalf("asked %q by %v", got, first)
	}
	if list, err := w.tasks(t, "pia").ListTasks(t.Context(), &approvalv1.ListTasksRequest{}); err != nil || len(list.GetTasks()) != 0 {
		t.Fatalf("downstream was told: %v, %v", list, err)
	}
	if _, err := w.approve(t, "mia", first.GetTasks()[0]); err != nil {
		t.Fatal(err)
	}
	second := w.asked(t, r, 2)
	if got := names(second.GetTasks()); !slices.Equal(got, []string{"per", "pia"}) {
		t.Fatalf("asked %q", got)
	}
	list, err := w.tasks(t, "pia").ListTasks(t.Context(), &approvalv1.ListTasksRequest{})
	if err != nil || len(list.GetTasks()) != 1 || list.GetTasks()[0].GetId() != of(t, second.GetTasks(), "pia").GetId() ||
		list.GetTasks()[0].GetRequest().GetId() != r.GetId() || list.GetTasks()[0].GetStepName() != "Approvers" {
		t.Fatalf("pia's tasks: %v, %v", list, err)
	}
	for _, name := range []string{"pia", "per"} {
		if emitted := w.emitted(r.GetId()); emitted["ApprovalGranted"] != 0 {
			t.Fatalf("granted before %s: %v", name, emitted)
		}
		if _, err := w.approve(t, name, of(t, second.GetTasks(), name)); err != nil {
			t.Fatal(err)
		}
	}
	w.granted(t, r)
	w.drained(t)
	if emitted := w.emitted(r.GetId()); emitted["ApprovalRequested"] != 1 || emitted["ApprovalDecided"] != 2 || emitted["ApprovalGranted"] != 1 {
		t.Fatalf("emitted %v", emitted)
	}
}

// B-APR-07 in part: decisions that come together, about many requests and twice
// about each, have each their own result and their own event.
func TestManyDecideTogether(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps = append(in.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
		in.Steps[1].Need = approvalv1.StepNeed_STEP_NEED_ALL
	})
	requests := make([]*requestv1.Request, 16)
	for n := range requests {
		requests[n] = w.request("ann", "ann")
		w.submit(t, requests[n])
	}
	decide := func(all *sync.WaitGroup, name, task string, want string) {
		client := w.tasks(t, name)
		all.Go(func() {
			got, err := client.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task})
			if reason := rpctest.Reason(err); reason != want {
				t.Errorf("%s: %q, want %q: %v", name, reason, want, err)
			}
			if err == nil && (got.GetTask().GetId() != task || got.GetTask().GetState() != approvalv1.TaskState_TASK_STATE_APPROVED) {
				t.Errorf("%s decides %s: %v", name, task, got)
			}
		})
	}
	var all sync.WaitGroup
	for _, r := range requests {
		task := w.asked(t, r, 1).GetTasks()[0].GetId()
		decide(&all, "mia", task, "")
		decide(&all, "pia", task, "TASK_NOT_FOUND")
		decide(&all, "mia", id.New().String(), "TASK_NOT_FOUND")
	}
	all.Wait()
	for _, r := range requests {
		for _, task := range w.asked(t, r, 2).GetTasks() {
			decide(&all, task.GetReviewer().GetDisplayName(), task.GetId(), "")
		}
	}
	all.Wait()
	for _, r := range requests {
		w.granted(t, r)
	}
	w.drained(t)
	for _, r := range requests {
		if emitted := w.emitted(r.GetId()); emitted["ApprovalRequested"] != 1 || emitted["ApprovalDecided"] != 2 || emitted["ApprovalGranted"] != 1 {
			t.Errorf("emitted %v", emitted)
		}
	}
}

// B-APR-02, B-APR-04: each way to name reviewers, and who comes instead of
// somebody concerned.
func TestReviewers(t *testing.T) {
	t.Parallel()
	w := start(t)
	group := &identityv1.Group{Id: id.New().String(), DisplayName: "Board", Version: 1}
	w.Publish(t, w.org, w.org, &eventv1.GroupCreated{Group: group})
	for i, name := range []string{"max", "ria", "ben"} {
		g := &identityv1.Group{Id: group.GetId(), DisplayName: "Board", Version: int64(i + 2)}
		w.Publish(t, w.org, w.org, &eventv1.GroupMemberAdded{Group: g, Member: w.person(name)})
	}
	for _, tc := range []struct {
		name                   string
		kind                   approvalv1.ReviewerKind
		users                  []string
		requester, beneficiary string
		want                   []string
		substitution           string
	}{
		{name: "manager", kind: approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER, requester: "ann", beneficiary: "ann", want: []string{"mia"}},
		{name: "manager's manager", kind: approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER, requester: "mia", beneficiary: "ben", want: []string{"max"}, substitution: "mia is the requester; next in line: mia's manager"},
		{name: "no manager", kind: approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER, requester: "max", beneficiary: "max", want: []string{"ada"}, substitution: "max has no manager; next in line: the app's admins"},
		{name: "no owner", kind: approvalv1.ReviewerKind_REVIEWER_KIND_APP_OWNER, requester: "ann", beneficiary: "ann", want: []string{"ada"}, substitution: "the app has no owner; next in line: the app's admins"},
		{name: "admins", kind: approvalv1.ReviewerKind_REVIEWER_KIND_APP_ADMINS, requester: "ann", beneficiary: "ann", want: []string{"ada"}},
		{name: "the admin asks", kind: approvalv1.ReviewerKind_REVIEWER_KIND_APP_ADMINS, requester: "ada", beneficiary: "ann", want: []string{"zoe"}, substitution: "ada is the requester; next in line: Gatehouse's admins"},
		{name: "one approver asks", kind: approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS, requester: "pia", beneficiary: "pia", want: []string{"per"}},
		{name: "users", kind: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, users: []string{"ben", "max"}, requester: "ann", beneficiary: "ann", want: []string{"ben", "max"}},
		{name: "group, without the risk manager", kind: approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS, requester: "ann", beneficiary: "ben", want: []string{"max"}},
	} {
		flow := w.flow(t, func(in *approvalv1.FlowInput) {
			in.Name, in.Steps = tc.name, []*approvalv1.FlowStep{step("One", tc.kind)}
			in.Priority = 1
			for _, u := range tc.users {
				in.Steps[0].UserIds = append(in.Steps[0].UserIds, w.users[u].GetId())
			}
			if tc.kind == approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS {
				in.Steps[0].GroupIds = []string{group.GetId()}
			}
		})
		r := w.request(tc.requester, tc.beneficiary)
		w.submit(t, r)
		asked := w.asked(t, r, 1)
		if got := names(asked.GetTasks()); !slices.Equal(got, tc.want) || asked.GetTasks()[0].GetSubstitution() != tc.substitution {
			t.Errorf("%s: asked %q, %q, want %q, %q", tc.name, got, asked.GetTasks()[0].GetSubstitution(), tc.want, tc.substitution)
		}
		if _, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
			Flow: &approvalv1.Flow{Id: flow.GetId()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"enabled"}},
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// B-REQ-19: each item goes its own way, by the flow that is for it: what a flow approves by
// itself is granted at once, and each of the others with its last decision.
func TestItemsBesideEachOther(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki := id.New()
	w.app(t, wiki, "Wiki", id.New(), []string{"zoe"}, nil)
	w.flow(t, func(in *approvalv1.FlowInput) { in.AutoApprove, in.Steps = true, nil })
	strict := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Scope, in.Priority = &approvalv1.FlowScope{AppIds: []string{w.crm.String()}}, 1
		in.Steps = append(in.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
	})
	r := w.request("ann", "ann")
	second := &requestv1.RequestItem{Id: id.New().String(), EntitlementId: id.New().String(), AppId: wiki.String(), AppName: "Wiki"}
	third := &requestv1.RequestItem{Id: id.New().String(), EntitlementId: id.New().String(), AppId: w.crm.String(), AppName: "CRM"}
	r.Items = append(r.Items, second, third)
	w.submit(t, r)
	// The lenient flow passes the wiki, and nothing else.
	for n := range int32(2) {
		for _, it := range []*requestv1.RequestItem{r.GetItems()[0], third} {
			asked := w.askedFor(t, r, it.GetId(), n+1)
			if n == 0 && asked.GetFlowId() != strict.GetId() || asked.GetContext().GetAppId() != it.GetAppId() {
				t.Fatalf("asked %v", asked)
			}
			name := []string{"mia", "per"}[n]
			_, err := w.tasks(t, name).ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{
				Id: of(t, asked.GetTasks(), name).GetId(), ItemIds: []string{it.GetId()},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	w.drained(t)
	if emitted := w.emitted(r.GetId()); emitted["ApprovalRequested"] != 2 || emitted["ApprovalDecided"] != 2 || emitted["ApprovalGranted"] != 3 {
		t.Fatalf("emitted %v", emitted)
	}
	for n, g := range servicetest.All[*eventv1.ApprovalGranted](w.Harness) {
		want := []*requestv1.RequestItem{second, r.GetItems()[0], third}[n]
		if items := g.GetRequest().GetItems(); len(items) != 1 || items[0].GetId() != want.GetId() || g.GetAutomatic() != (n == 0) || g.GetContext().GetAppId() != want.GetAppId() {
			t.Errorf("granted %v", g)
		}
	}
}

// B-APR-06, of one item: one denial ends it, with its reason.
func TestDenial(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request("ann", "ben")
	w.submit(t, r)
	asked := w.asked(t, r, 1)
	if _, err := w.tasks(t, "pia").DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: of(t, asked.GetTasks(), "pia").GetId()}); status.Code(err) != codes.InvalidArgument ||
		!slices.Equal(rpctest.Fields(err), []string{"reason"}) {
		t.Fatalf("denied without a reason: %v", err)
	}
	got, err := w.tasks(t, "pia").DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: of(t, asked.GetTasks(), "pia").GetId(), Reason: "not needed"})
	if err != nil || got.GetTask().GetState() != approvalv1.TaskState_TASK_STATE_DENIED {
		t.Fatalf("deny: %v, %v", got, err)
	}
	denied := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalDenied) bool { return e.GetRequestId() == r.GetId() })
	if denied.GetReason() != "not needed" || denied.GetReviewer().GetDisplayName() != "pia" || denied.GetStepName() != "App approvers" ||
		denied.GetTask().GetId() != got.GetTask().GetId() || denied.GetTask().GetRequest().GetId() != r.GetId() {
		t.Fatalf("denied %v", denied)
	}
	_, err = w.approve(t, "per", of(t, asked.GetTasks(), "per"))
	wantError(t, err, codes.FailedPrecondition, "TASK_ALREADY_DECIDED")
	if m := metadata(err); m["state"] != "cancelled" || m["decided_by"] != "pia" || m["decided_time"] == "" {
		t.Fatalf("told %v", m)
	}
}

// B-APR-07: of decisions at the same moment, at two replicas, one wins, and
// every other is told what happened.
func TestDecisionsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	w := start(t)
	second, _ := w.Replica(t)
	const rounds = 12
	for range rounds {
		r := w.request("ann", "ben")
		w.submit(t, r)
		asked := w.asked(t, r, 1)
		type answer struct {
			who   string
			state approvalv1.TaskState
			err   error
		}
		answers := make(chan answer, 6)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i, name := range []string{"pia", "per", "pia", "per", "pia", "per"} {
			addr := w.Addr
			if i%2 == 1 {
				addr = second
			}
			tasks := approvalv1.NewTaskServiceClient(w.Tokens.Dial(t, addr, w.caller(name)))
			task := of(t, asked.GetTasks(), name).GetId()
			all.Go(func() {
				<-begin
				a := answer{who: name}
				if i < 4 {
					var got *approvalv1.ApproveTaskResponse
					got, a.err = tasks.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task})
					a.state = got.GetTask().GetState()
				} else {
					var got *approvalv1.DenyTaskResponse
					got, a.err = tasks.DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: task, Reason: "no"})
					a.state = got.GetTask().GetState()
				}
				answers <- a
			})
		}
		close(begin)
		all.Wait()
		close(answers)
		var won []answer
		var lost []error
		for a := range answers {
			if a.err == nil {
				won = append(won, a)
			} else {
				lost = append(lost, a.err)
			}
		}
		if len(won) != 1 {
			t.Fatalf("%d decisions won: %v", len(won), won)
		}
		for _, err := range lost {
			wantError(t, err, codes.FailedPrecondition, "TASK_ALREADY_DECIDED")
			if m := metadata(err); m["decided_by"] != won[0].who || m["state"] == "" || m["state"] == "open" || m["decided_time"] == "" {
				t.Fatalf("told %v, %s won", m, won[0].who)
			}
		}
		w.drained(t)
		emitted := w.emitted(r.GetId())
		end := "ApprovalGranted"
		if won[0].state == approvalv1.TaskState_TASK_STATE_DENIED {
			end = "ApprovalDenied"
		}
		if emitted["ApprovalDecided"] != 0 || emitted["ApprovalGranted"]+emitted["ApprovalDenied"] != 1 || emitted[end] != 1 {
			t.Fatalf("emitted %v, won %v", emitted, won)
		}
	}
}

// B-APR-08: running requests finish on the version they started with.
func TestFlowChangesWhileRequestsRun(t *testing.T) {
	t.Parallel()
	w := start(t)
	flow := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps = append(in.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
	})
	old := w.request("ann", "ann")
	w.submit(t, old)
	first := w.asked(t, old, 1)

	updated, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow:       &approvalv1.Flow{Id: flow.GetId(), Steps: []*approvalv1.FlowStep{step("Admins", approvalv1.ReviewerKind_REVIEWER_KIND_APP_ADMINS)}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"steps"}},
	})
	if err != nil || updated.GetFlow().GetVersion() != 2 || !updated.GetFlow().GetCreateTime().AsTime().Equal(flow.GetCreateTime().AsTime()) {
		t.Fatalf("update: %v, %v", updated, err)
	}
	newer := w.request("ben", "ben")
	w.submit(t, newer)
	if e := w.asked(t, newer, 1); !slices.Equal(names(e.GetTasks()), []string{"ada"}) || e.GetFlowVersion() != 2 {
		t.Fatalf("new request: %v", e)
	}
	if _, err := w.approve(t, "mia", first.GetTasks()[0]); err != nil {
		t.Fatal(err)
	}
	e := w.asked(t, old, 2)
	if !slices.Equal(names(e.GetTasks()), []string{"per", "pia"}) {
		t.Fatalf("old request: %v", e)
	}
	if _, err := w.approve(t, "per", of(t, e.GetTasks(), "per")); err != nil {
		t.Fatal(err)
	}
	if g := w.granted(t, old); g.GetFlowVersion() != 1 {
		t.Fatalf("granted %v", g)
	}
}

// B-APR-12: a step with nobody to decide waits, and goes on when somebody can.
func TestNobodyToDecide(t *testing.T) {
	t.Parallel()
	w := start(t)
	empty := id.New()
	w.app(t, empty, "Empty", id.New(), nil, nil)
	r := w.request("zoe", "zoe") // the only admin
	r.Items[0].AppId = empty.String()
	w.submit(t, r)
	if asked := w.asked(t, r, 1); len(asked.GetTasks()) != 0 {
		t.Fatalf("asked %q", names(asked.GetTasks()))
	}
	// Facts that help nobody change nothing.
	w.join(t, "eva", "", identityv1.Role_ROLE_MEMBER)
	w.handled(t)
	w.drained(t)
	if emitted := w.emitted(r.GetId()); len(emitted) != 1 || emitted["ApprovalRequested"] != 1 {
		t.Fatalf("emitted %v", emitted)
	}
	w.join(t, "ida", "", identityv1.Role_ROLE_IT_ADMIN)
	asked := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalRequested) bool {
		return e.GetRequestId() == r.GetId() && len(e.GetTasks()) > 0
	})
	if !slices.Equal(names(asked.GetTasks()), []string{"ida"}) || !strings.Contains(asked.GetTasks()[0].GetSubstitution(), "the app has no approvers") {
		t.Fatalf("asked %v", asked)
	}
	if _, err := w.approve(t, "ida", asked.GetTasks()[0]); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
}

// B-APR-05, in part: a reviewer who leaves is replaced.
func TestReviewerLeaves(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil) // the manager
	r, shared := w.request("ann", "ann"), w.request("max", "max")
	shared.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE // decided by the default
	w.submit(t, r)
	w.submit(t, shared)
	w.asked(t, r, 1)
	w.asked(t, shared, 1)

	w.leave(t, "mia")
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool { return e.GetFrom().GetRequestId() == r.GetId() })
	if e.GetTo().GetReviewer().GetDisplayName() != "max" || e.GetFrom().GetState() != approvalv1.TaskState_TASK_STATE_REASSIGNED ||
		e.GetReason() != "mia cannot decide any more" || e.GetTo().GetSubstitution() != "mia cannot decide at present; next in line: mia's manager" {
		t.Fatalf("reassigned %v", e)
	}
	if _, err := w.approve(t, "max", e.GetTo()); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)

	w.leave(t, "pia")
	e = servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool { return e.GetFrom().GetRequestId() == shared.GetId() })
	if e.GetTo().GetReviewer().GetDisplayName() != "per" || e.GetFrom().GetState() != approvalv1.TaskState_TASK_STATE_CANCELLED ||
		!strings.Contains(e.GetReason(), "who else was asked still can") {
		t.Fatalf("per still decides: %v", e)
	}
	w.leave(t, "per")
	e = servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool {
		return e.GetFrom().GetRequestId() == shared.GetId() && e.GetFrom().GetReviewer().GetDisplayName() == "per"
	})
	if e.GetTo().GetReviewer().GetDisplayName() != "ada" {
		t.Fatalf("reassigned %v", e)
	}
}

// B-REQ-08: given to somebody better suited, with a reason; the history keeps
// both.
func TestReassign(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil)
	r := w.request("ann", "ben")
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0]
	reassign := func(by, to string) (*approvalv1.ReassignTaskResponse, error) {
		return w.tasks(t, by).ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: w.users[to].GetId(), Reason: "knows more"})
	}
	for _, tc := range []struct {
		by, to string
		code   codes.Code
		reason string
		field  string
	}{
		{by: "pia", to: "per", code: codes.NotFound, reason: "TASK_NOT_FOUND"},
		{by: "mia", to: "ann", code: codes.FailedPrecondition, reason: "REVIEWER_CONCERNED"},
		{by: "mia", to: "ben", code: codes.FailedPrecondition, reason: "REVIEWER_CONCERNED"},
		{by: "mia", to: "mia", code: codes.InvalidArgument, reason: "REVIEWER_ALREADY_ASKED", field: "reviewer_id"},
		{by: "mia", to: "ria", code: codes.InvalidArgument, reason: "REVIEWER_CANNOT_DECIDE", field: "reviewer_id"},
		{by: "mia", to: "eve", code: codes.InvalidArgument, reason: "REVIEWER_NOT_CONCERNED", field: "reviewer_id"},
		{by: "zoe", to: "eve", code: codes.InvalidArgument, reason: "REVIEWER_NOT_CONCERNED", field: "reviewer_id"},
	} {
		_, err := reassign(tc.by, tc.to)
		wantError(t, err, tc.code, tc.reason)
		if f := rpctest.Fields(err); tc.field != "" && !slices.Equal(f, []string{tc.field}) {
			t.Errorf("%s to %s: fields %q", tc.by, tc.to, f)
		}
	}
	_, err := w.tasks(t, "mia").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: id.New().String(), Reason: "x"})
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN")

	got, err := reassign("zoe", "per")
	if err != nil || got.GetTask().GetReviewer().GetDisplayName() != "per" || got.GetTask().GetSubstitution() != "reassigned by zoe: knows more" {
		t.Fatalf("reassign: %v, %v", got, err)
	}
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool { return e.GetFrom().GetId() == task.GetId() })
	if e.GetTo().GetId() != got.GetTask().GetId() || e.GetReason() != "knows more" || e.GetContext().GetActor().GetDisplayName() != "zoe" {
		t.Fatalf("emitted %v", e)
	}
	_, err = w.approve(t, "mia", task)
	wantError(t, err, codes.FailedPrecondition, "TASK_ALREADY_DECIDED")
	all, err := w.tasks(t, "ria").ListTasks(t.Context(), &approvalv1.ListTasksRequest{RequestId: r.GetId()})
	if err != nil || len(all.GetTasks()) != 2 || all.GetTasks()[0].GetState() != approvalv1.TaskState_TASK_STATE_REASSIGNED {
		t.Fatalf("history: %v, %v", all, err)
	}
	if _, err := w.approve(t, "per", got.GetTask()); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
}

func TestListTasks(t *testing.T) {
	t.Parallel()
	w := start(t)
	var ids []string
	for range 5 {
		r := w.request("ann", "ben")
		w.submit(t, r)
		ids = append(ids, r.GetId())
		w.asked(t, r, 1)
	}
	pia := w.tasks(t, "pia")
	var got []string
	token := ""
	for pages := 1; ; pages++ {
		p, err := pia.ListTasks(t.Context(), &approvalv1.ListTasksRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range p.GetTasks() {
			if task.GetReviewer().GetDisplayName() != "pia" {
				t.Fatalf("another's task: %v", task)
			}
			got = append(got, task.GetRequestId())
		}
		if token = p.GetNextPageToken(); token == "" {
			if pages != 3 {
				t.Fatalf("%d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(got, ids) {
		t.Fatalf("listed %q, want %q", got, ids)
	}
	_, err := pia.ListTasks(t.Context(), &approvalv1.ListTasksRequest{PageToken: "nonsense"})
	if status.Code(err) != codes.InvalidArgument || !slices.Equal(rpctest.Fields(err), []string{"page_token"}) {
		t.Fatalf("bad token: %v", err)
	}
	for name, want := range map[string]int{"pia": 1, "zoe": 2, "ria": 2, "ann": 0} {
		list, err := w.tasks(t, name).ListTasks(t.Context(), &approvalv1.ListTasksRequest{RequestId: ids[0]})
		if err != nil || len(list.GetTasks()) != want {
			t.Errorf("%s sees %d tasks, want %d: %v", name, len(list.GetTasks()), want, err)
		}
	}
	// A risk manager decides nothing, whoever's task it is.
	_, err = w.tasks(t, "ria").ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: id.New().String()})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("risk manager approves: %v", err)
	}
}

// What another organization has is unknown here.
func TestForeignOrganization(t *testing.T) {
	t.Parallel()
	w := start(t)
	flow := w.flow(t, nil)
	r := w.request("ann", "ben")
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0]

	other := &world{Harness: w.Harness}
	other.populate(t)
	_, err := other.flows(t, "zoe").GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: flow.GetId()})
	wantError(t, err, codes.NotFound, "FLOW_NOT_FOUND")
	in := &approvalv1.FlowInput{
		Name: "mine", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST,
		Audience: &approvalv1.FlowAudience{UserIds: []string{w.users["ann"].GetId()}}, Scope: &approvalv1.FlowScope{AppIds: []string{w.crm.String()}},
		AutoApprove: true,
	}
	_, err = other.flows(t, "zoe").UpdateFlow(t.Context(), update(flow, in))
	wantError(t, err, codes.NotFound, "FLOW_NOT_FOUND")
	_, err = other.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: in})
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	if f := rpctest.Fields(err); !slices.Equal(f, []string{"flow.audience.user_ids[0]", "flow.scope.app_ids[0]"}) {
		t.Fatalf("fields %q", f)
	}
	// Not even the reviewer's own id helps.
	thief := other.caller("zoe")
	thief.UserID, thief.Subject = w.id("mia"), w.users["mia"].GetId()
	_, err = approvalv1.NewTaskServiceClient(w.Conn(t, thief)).ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId()})
	wantError(t, err, codes.NotFound, "TASK_NOT_FOUND")
	_, err = other.tasks(t, "zoe").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: other.users["per"].GetId(), Reason: "x"})
	wantError(t, err, codes.NotFound, "TASK_NOT_FOUND")
	_, err = w.tasks(t, "mia").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: other.users["per"].GetId(), Reason: "x"})
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	list, err := other.tasks(t, "zoe").ListTasks(t.Context(), &approvalv1.ListTasksRequest{RequestId: r.GetId()})
	if err != nil || len(list.GetTasks()) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	if list, err := other.flows(t, "zoe").ListFlows(t.Context(), &approvalv1.ListFlowsRequest{}); err != nil || len(list.GetFlows()) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	// And the request is as it was.
	if _, err := w.approve(t, "mia", task); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
}

func TestFlows(t *testing.T) {
	t.Parallel()
	w := start(t)
	zoe := w.flows(t, "zoe")
	b := w.flow(t, func(in *approvalv1.FlowInput) { in.Name = "b" })
	w.flow(t, func(in *approvalv1.FlowInput) { in.Name, in.Disabled = "a", true })
	w.flow(t, func(in *approvalv1.FlowInput) { in.Name = "c" })
	created := servicetest.Wait(t, w.Harness, func(e *eventv1.FlowCreated) bool { return e.GetFlow().GetName() == "b" })
	if created.GetFlow().GetId() != b.GetId() || created.GetContext().GetActor().GetDisplayName() != "zoe" || created.GetContext().GetVersion() != 1 {
		t.Fatalf("emitted %v", created)
	}
	first, err := zoe.ListFlows(t.Context(), &approvalv1.ListFlowsRequest{PageSize: 2})
	if err != nil || len(first.GetFlows()) != 2 || first.GetFlows()[0].GetName() != "a" || first.GetFlows()[0].GetEnabled() {
		t.Fatalf("%v, %v", first, err)
	}
	rest, err := zoe.ListFlows(t.Context(), &approvalv1.ListFlowsRequest{PageSize: 2, PageToken: first.GetNextPageToken()})
	if err != nil || len(rest.GetFlows()) != 1 || rest.GetFlows()[0].GetName() != "c" || rest.GetNextPageToken() != "" {
		t.Fatalf("%v, %v", rest, err)
	}
	got, err := w.flows(t, "ria").GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: b.GetId()})
	if err != nil || got.GetFlow().GetSteps()[0].GetReviewers() != approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER {
		t.Fatalf("%v, %v", got, err)
	}

	input := func(change func(*approvalv1.FlowInput)) *approvalv1.FlowInput {
		in := &approvalv1.FlowInput{
			Name: "new", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST,
			Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true},
			Steps: []*approvalv1.FlowStep{step("Manager", approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER)},
		}
		change(in)
		return in
	}
	unknown := id.New().String()
	for _, tc := range []struct {
		name   string
		change func(*approvalv1.FlowInput)
		fields []string
	}{
		{"no name", func(in *approvalv1.FlowInput) { in.Name = "" }, []string{"flow.name"}},
		{"no trigger", func(in *approvalv1.FlowInput) { in.Trigger = 0 }, []string{"flow.trigger"}},
		{"no steps", func(in *approvalv1.FlowInput) { in.Steps = nil }, []string{"flow.steps"}},
		{"steps and automatic", func(in *approvalv1.FlowInput) { in.AutoApprove = true }, []string{"flow.steps"}},
		{"for nobody", func(in *approvalv1.FlowInput) { in.Audience = &approvalv1.FlowAudience{} }, []string{"flow.audience"}},
		{"about nothing", func(in *approvalv1.FlowInput) { in.Scope = &approvalv1.FlowScope{} }, []string{"flow.scope"}},
		{"no id", func(in *approvalv1.FlowInput) { in.Scope = &approvalv1.FlowScope{AppIds: []string{"x"}} }, []string{"flow.scope.app_ids[0]"}},
		{"users missing", func(in *approvalv1.FlowInput) {
			in.Steps[0].Reviewers = approvalv1.ReviewerKind_REVIEWER_KIND_USERS
		}, []string{"flow.steps[0].user_ids"}},
		{"groups missing", func(in *approvalv1.FlowInput) {
			in.Steps[0].Reviewers = approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS
		}, []string{"flow.steps[0].group_ids"}},
		{"count missing", func(in *approvalv1.FlowInput) { in.Steps[0].Need = approvalv1.StepNeed_STEP_NEED_COUNT }, []string{"flow.steps[0].need_count"}},
		{"join-flow on any app", func(in *approvalv1.FlowInput) { in.Trigger = approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN }, []string{"flow.scope.any", "flow.scope.entitlement_ids"}},
		{"unknown ids", func(in *approvalv1.FlowInput) {
			in.Audience = &approvalv1.FlowAudience{GroupIds: []string{unknown}, UserIds: []string{w.users["ann"].GetId(), unknown}}
			in.Scope = &approvalv1.FlowScope{AppIds: []string{unknown}, EntitlementIds: []string{w.account.String(), unknown}}
			in.Steps = []*approvalv1.FlowStep{{
				Name: "x", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, UserIds: []string{unknown}, Need: approvalv1.StepNeed_STEP_NEED_ALL,
			}}
		}, []string{"flow.audience.group_ids[0]", "flow.audience.user_ids[1]", "flow.scope.app_ids[0]", "flow.scope.entitlement_ids[1]", "flow.steps[0].user_ids[0]"}},
	} {
		_, err := zoe.CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: input(tc.change)})
		if f := rpctest.Fields(err); status.Code(err) != codes.InvalidArgument || !slices.Equal(f, tc.fields) {
			t.Errorf("%s: %v, fields %q, want %q", tc.name, err, f, tc.fields)
		}
	}
	_, err = zoe.CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: input(func(in *approvalv1.FlowInput) { in.Name = "b" })})
	wantError(t, err, codes.AlreadyExists, "FLOW_NAME_TAKEN")
	if f := rpctest.Fields(err); !slices.Equal(f, []string{"flow.name"}) {
		t.Errorf("fields %q", f)
	}
	_, err = zoe.UpdateFlow(t.Context(), update(b, input(func(in *approvalv1.FlowInput) { in.Name = "c" })))
	wantError(t, err, codes.AlreadyExists, "FLOW_NAME_TAKEN")
	if f := rpctest.Fields(err); !slices.Equal(f, []string{"flow.name"}) {
		t.Errorf("fields %q", f)
	}
	_, err = zoe.UpdateFlow(t.Context(), update(&approvalv1.Flow{Id: b.GetId(), Etag: "another"}, input(func(*approvalv1.FlowInput) {})))
	wantError(t, err, codes.Aborted, "ETAG_MISMATCH")
	_, err = zoe.UpdateFlow(t.Context(), update(&approvalv1.Flow{Id: unknown}, input(func(*approvalv1.FlowInput) {})))
	wantError(t, err, codes.NotFound, "FLOW_NOT_FOUND")
	_, err = w.flows(t, "ann").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: input(func(*approvalv1.FlowInput) {})})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("a member makes a flow: %v", err)
	}

	// Of two changes to the same version, one is made.
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() {
			_, errs[i] = zoe.UpdateFlow(t.Context(), update(b, input(func(in *approvalv1.FlowInput) { in.Priority = int32(i + 1) })))
		})
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		wantError(t, err, codes.Aborted, "ETAG_MISMATCH")
	}
	if made != 1 {
		t.Fatalf("%d changes made: %v", made, errs)
	}
}

// A flow is made once for a request_id.
func TestRepeatedCreateFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	create := func(name, request string) (*approvalv1.Flow, error) {
		r, err := w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{RequestId: request, Flow: &approvalv1.FlowInput{
			Name: name, Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST, Audience: &approvalv1.FlowAudience{Everyone: true},
			Scope: &approvalv1.FlowScope{Any: true}, AutoApprove: true,
		}})
		return r.GetFlow(), err
	}
	request := id.New().String()
	made := make([]*approvalv1.Flow, 3)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			var err error
			if made[i], err = create("one", request); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	again, err := create("one", request)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range made {
		if !proto.Equal(f, again) {
			t.Errorf("made %v and %v", f, again)
		}
	}
	_, err = create("two", request)
	wantError(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED")
}

// A deleted flow matches nothing new; what runs on it finishes on it.
func TestDeleteFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	flow := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Name = "Strict"
		in.Steps = append(in.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
	})
	running := w.request("ann", "ann")
	w.submit(t, running)
	first := w.asked(t, running, 1)
	zoe := w.flows(t, "zoe")
	remove := func(in *approvalv1.DeleteFlowRequest) error {
		in.Id = flow.GetId()
		_, err := zoe.DeleteFlow(t.Context(), in)
		return err
	}
	if _, err := w.flows(t, "ann").DeleteFlow(t.Context(), &approvalv1.DeleteFlowRequest{Id: flow.GetId()}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a member deletes a flow: %v", err)
	}
	wantError(t, remove(&approvalv1.DeleteFlowRequest{Etag: "another"}), codes.Aborted, "ETAG_MISMATCH")
	if err := remove(&approvalv1.DeleteFlowRequest{Etag: flow.GetEtag()}); err != nil {
		t.Fatal(err)
	}
	ev := servicetest.Wait(t, w.Harness, func(m *eventv1.FlowDeleted) bool { return m.GetFlow().GetId() == flow.GetId() })
	if ev.GetFlow().GetId() != flow.GetId() || ev.GetFlow().GetDeleteTime() == nil || ev.GetFlow().GetVersion() != 2 || ev.GetFlow().GetEnabled() || ev.GetContext().GetActor().GetId() != w.users["zoe"].GetId() {
		t.Errorf("emitted %v", ev)
	}
	wantError(t, remove(&approvalv1.DeleteFlowRequest{}), codes.NotFound, "FLOW_NOT_FOUND")
	_, err := zoe.GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: flow.GetId()})
	wantError(t, err, codes.NotFound, "FLOW_NOT_FOUND")
	_, err = zoe.UpdateFlow(t.Context(), update(&approvalv1.Flow{Id: flow.GetId()}, &approvalv1.FlowInput{Name: "x"}))
	wantError(t, err, codes.NotFound, "FLOW_NOT_FOUND")
	listed, err := zoe.ListFlows(t.Context(), &approvalv1.ListFlowsRequest{})
	if err != nil || len(listed.GetFlows()) != 0 {
		t.Errorf("listed %v, %v", listed, err)
	}
	// Its name is free, also for somebody who deletes it again.
	w.flow(t, func(in *approvalv1.FlowInput) { in.Name, in.Disabled = "Strict", true })

	if _, err := w.approve(t, names(first.GetTasks())[0], first.GetTasks()[0]); err != nil {
		t.Fatal(err)
	}
	servicetest.Wait(t, w.Harness, func(m *eventv1.ApprovalDecided) bool {
		return m.GetTask().GetRequestId() == running.GetId() && m.GetNextStep() == 2
	})
	newer := w.request("ben", "ben")
	w.submit(t, newer)
	if e := w.asked(t, newer, 1); e.GetFlowId() != "" {
		t.Errorf("a new request goes by %s", e.GetFlowId())
	}
}

// A flow that names what was deleted since can still be changed, and cannot name it
// anew.
func TestFlowNamesWhatWasDeleted(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki := id.New()
	w.app(t, wiki, "Wiki", id.New(), []string{"zoe"}, nil)
	w.handled(t)
	flow := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Scope = &approvalv1.FlowScope{AppIds: []string{wiki.String(), w.crm.String()}}
	})
	w.Publish(t, w.org, wiki, &eventv1.AppDeleted{App: &requestv1.App{
		Id: wiki.String(), OrganizationId: w.org.String(), Name: "Wiki", Version: 9, DeleteTime: timestamppb.Now(),
	}})
	w.handled(t)
	changed, err := w.flows(t, "zoe").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: flow.GetId(), Priority: 7}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"priority"}},
	})
	if err != nil || changed.GetFlow().GetPriority() != 7 {
		t.Fatalf("got %v, %v", changed, err)
	}
	_, err = w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
		Name: "New", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST, Audience: &approvalv1.FlowAudience{Everyone: true},
		Scope: &approvalv1.FlowScope{AppIds: []string{wiki.String()}}, AutoApprove: true,
	}})
	wantError(t, err, codes.InvalidArgument, "APP_UNKNOWN")
}
