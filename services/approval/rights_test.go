package approval_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-USR-19, in part: a reviewer decides nothing with a signed token from before
// the end of a session, not even together with others who may.
func TestLostRightsStopAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil)
	requests := make([]*requestv1.Request, 8)
	for n := range requests {
		requests[n] = w.request("ann", "ann")
		w.submit(t, requests[n])
	}
	tasks := make([]*approvalv1.Task, len(requests))
	for n, r := range requests {
		tasks[n] = w.asked(t, r, 1).GetTasks()[0]
	}
	before := w.caller("mia")
	before.UserVersion = w.users["mia"].GetVersion()
	held := approvalv1.NewTaskServiceClient(w.Conn(t, before))
	mia := proto.CloneOf(w.users["mia"])
	mia.Version++
	w.Publish(t, w.org, w.org, &eventv1.SessionEnded{Context: &eventv1.Context{Version: mia.GetVersion()}, User: mia})
	w.handled(t)
	var all sync.WaitGroup
	for n, task := range tasks {
		client, want := held, "TOKEN_STALE"
		if n%2 == 0 {
			client, want = w.tasks(t, "mia"), ""
		}
		all.Go(func() {
			if _, err := client.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId()}); rpctest.Reason(err) != want {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	all.Wait()
	w.drained(t)
	for n, r := range requests {
		if decided := w.emitted(r.GetId())["ApprovalGranted"]; decided != 1-n%2 {
			t.Errorf("request %d was granted %d times", n, decided)
		}
	}
}

// B-APR-15: only a person decides. A service or an agent gets no task, neither by
// a flow that names it nor from somebody who wants to be rid of one, and gives
// none to others, whatever role it has.
func TestOnlyPeopleDecide(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, kind := range map[string]identityv1.UserKind{"robot": identityv1.UserKind_USER_KIND_SERVICE, "agent": identityv1.UserKind_USER_KIND_AGENT} {
		w.join(t, name, "", identityv1.Role_ROLE_ADMIN)
		u := w.users[name]
		u.Kind, u.Version = kind, 2
		w.Publish(t, w.org, w.id(name), &eventv1.UserUpdated{Context: &eventv1.Context{Version: 2}, User: u})
	}
	w.handled(t)
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps[0] = step("Named", approvalv1.ReviewerKind_REVIEWER_KIND_USERS)
		in.Steps[0].UserIds = []string{w.users["robot"].GetId(), w.users["agent"].GetId(), w.users["mia"].GetId()}
	})
	r := w.request("ann", "ann")
	w.submit(t, r)
	tasks := w.asked(t, r, 1).GetTasks()
	for _, task := range tasks {
		if reviewer := task.GetReviewer().GetUserId(); reviewer == w.users["robot"].GetId() || reviewer == w.users["agent"].GetId() {
			t.Errorf("asked %v", task)
		}
	}
	task := tasks[0]
	for name := range map[string]bool{"robot": true, "agent": true} {
		_, err := w.tasks(t, name).ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId()})
		wantError(t, err, codes.NotFound, "TASK_NOT_FOUND")
		_, err = w.tasks(t, "mia").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: w.users[name].GetId(), Reason: "busy"})
		wantError(t, err, codes.InvalidArgument, "REVIEWER_CANNOT_DECIDE")
		_, err = w.tasks(t, name).ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: w.users["max"].GetId(), Reason: "I say so"})
		wantError(t, err, codes.PermissionDenied, "NOT_A_PERSON")
	}
}

// Who writes a flow does not profit from it alone: what one of its editors asks
// for, or would get, somebody else decides, however the flow approves.
func TestNobodyProfitsFromTheirOwnFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	made := w.flow(t, func(in *approvalv1.FlowInput) { in.AutoApprove, in.Steps = true, nil })
	if d := cmp.Diff([]string{w.users["zoe"].GetId()}, made.GetEditorIds()); d != "" {
		t.Error(d)
	}
	mine := w.request("zoe", "zoe")
	forAnn := w.request("zoe", "ann")
	others := w.request("ann", "ann")
	for _, r := range []*requestv1.Request{mine, forAnn, others} {
		w.submit(t, r)
	}
	if g := w.granted(t, others); !g.GetAutomatic() {
		t.Errorf("the request of somebody else: %v", g)
	}
	for _, r := range []*requestv1.Request{mine, forAnn} {
		asked := w.asked(t, r, 1)
		var names []string
		for _, task := range asked.GetTasks() {
			names = append(names, task.GetReviewer().GetDisplayName())
		}
		if d := cmp.Diff([]string{"per", "pia"}, names); d != "" || asked.GetFlowId() != made.GetId() {
			t.Errorf("asked by flow %s: %s", asked.GetFlowId(), d)
		}
	}
	// Who changes it joins those who wrote it, and nobody gets rid of that.
	w.join(t, "yan", "", identityv1.Role_ROLE_ADMIN)
	w.handled(t)
	changed, err := w.flows(t, "yan").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: made.GetId(), Priority: 1}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"priority"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{w.users["zoe"].GetId(), w.users["yan"].GetId()}, changed.GetFlow().GetEditorIds()); d != "" {
		t.Error(d)
	}
	again := w.request("zoe", "zoe")
	again.Items[0].Id = id.New().String()
	w.submit(t, again)
	w.asked(t, again, 1)
}

// robot has an agent join for whom somebody answers.
func (w *world) robot(t *testing.T, name, accountable string) {
	t.Helper()
	w.join(t, name, "", identityv1.Role_ROLE_MEMBER)
	u := w.users[name]
	u.Kind, u.AccountableUserId, u.Version = identityv1.UserKind_USER_KIND_AGENT, w.users[accountable].GetId(), 2
	w.Publish(t, w.org, w.id(name), &eventv1.UserUpdated{Context: &eventv1.Context{Version: 2}, User: u})
}

// Who answers for a program has its tokens: they decide nothing that it asks for or
// gets, whatever they are, and no flow of theirs approves it.
func TestNobodyDecidesForTheirProgram(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.robot(t, "pias", "pia")
	w.robot(t, "zoes", "zoe")
	w.handled(t)
	for name, r := range map[string]*requestv1.Request{"asks": w.request("pias", "ann"), "gets": w.request("ann", "pias"), "both": w.request("pias", "pias")} {
		w.submit(t, r)
		tasks := w.asked(t, r, 1).GetTasks()
		if d := cmp.Diff([]string{"per"}, names(tasks)); d != "" {
			t.Errorf("%s: asked %s", name, d)
		}
		_, err := w.tasks(t, "per").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: tasks[0].GetId(), ReviewerId: w.users["pia"].GetId(), Reason: "busy"})
		wantError(t, err, codes.FailedPrecondition, "REVIEWER_CONCERNED")
		if _, err := w.approve(t, "per", tasks[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	made := w.flow(t, func(in *approvalv1.FlowInput) { in.AutoApprove, in.Steps = true, nil })
	mine := w.request("zoes", "zoes")
	w.submit(t, mine)
	if asked := w.asked(t, mine, 1); asked.GetFlowId() != made.GetId() || len(asked.GetTasks()) != 2 {
		t.Errorf("asked %v", asked)
	}
}

// A flow that a program writes is its person's.
func TestWhoAnswersForAProgramIsAnEditor(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.robot(t, "mias", "mia")
	w.users["mias"].Role, w.users["mias"].Version = identityv1.Role_ROLE_ADMIN, 3
	w.Publish(t, w.org, w.id("mias"), &eventv1.UserUpdated{Context: &eventv1.Context{Version: 3}, User: w.users["mias"]})
	w.handled(t)
	in := reviewedBy()
	in.Steps, in.AutoApprove = nil, true
	made, err := w.flows(t, "mias").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: in})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{w.users["mias"].GetId(), w.users["mia"].GetId()}, made.GetFlow().GetEditorIds()); d != "" {
		t.Error(d)
	}
	hers := w.request("mia", "mia")
	w.submit(t, hers)
	w.asked(t, hers, 1)
	zoes := w.flow(t, nil)
	changed, err := w.flows(t, "mias").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: zoes.GetId(), Priority: 1}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"priority"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{w.users["zoe"].GetId(), w.users["mias"].GetId(), w.users["mia"].GetId()}, changed.GetFlow().GetEditorIds()); d != "" {
		t.Error(d)
	}
}

// A flow says who may ask by it: somebody, whom there is, and by no join-flow.
func TestFlowRequesters(t *testing.T) {
	t.Parallel()
	w := start(t)
	create := func(change func(*approvalv1.FlowInput)) (*approvalv1.CreateFlowResponse, error) {
		in := &approvalv1.FlowInput{
			Name: "flow " + id.New().String(), Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST,
			Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true}, AutoApprove: true,
		}
		change(in)
		return w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: in})
	}
	want := &approvalv1.FlowRequesters{Managers: true, UserIds: []string{w.users["ann"].GetId()}}
	got, err := create(func(in *approvalv1.FlowInput) { in.Requesters = want })
	if err != nil {
		t.Fatal(err)
	}
	shown, err := w.flows(t, "zoe").GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: got.GetFlow().GetId()})
	if d := cmp.Diff(want, shown.GetFlow().GetRequesters(), protocmp.Transform()); err != nil || d != "" {
		t.Error(err, d)
	}
	_, err = create(func(in *approvalv1.FlowInput) { in.Requesters = &approvalv1.FlowRequesters{} })
	wantError(t, err, codes.InvalidArgument, "REQUESTERS_EMPTY")
	_, err = create(func(in *approvalv1.FlowInput) {
		in.Requesters = &approvalv1.FlowRequesters{GroupIds: []string{id.New().String()}}
	})
	wantError(t, err, codes.InvalidArgument, "GROUP_UNKNOWN")
	_, err = create(func(in *approvalv1.FlowInput) {
		in.Trigger, in.Scope = approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}
		in.Requesters = want
	})
	wantError(t, err, codes.InvalidArgument, "NOT_FOR_JOIN")
}
