package approval_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/approval"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// environments is a world with two environments. In A anna is the admin, and
// amy and alice are members; in B bea is the admin and bert a member. The app
// crm is offered to both.
type environments struct {
	*world
	a, b string
	// vault is an app of the organization that is offered to nobody.
	vault uuid.UUID
}

func startEnvironments(t *testing.T, change ...func(*approval.Config)) *environments {
	t.Helper()
	w := &environments{world: start(t, change...), a: id.New().String(), b: id.New().String(), vault: id.New()}
	for _, environment := range []string{w.a, w.b} {
		w.Publish(t, w.org, uuid.MustParse(environment), &eventv1.EnvironmentCreated{
			Environment: &identityv1.Environment{Id: environment, OrganizationId: w.org.String(), Name: environment, Version: 1},
		})
	}
	w.joinIn(t, w.a, "anna", "", identityv1.Role_ROLE_ADMIN)
	w.joinIn(t, w.a, "amy", "", identityv1.Role_ROLE_MEMBER)
	w.joinIn(t, w.a, "alice", "max", identityv1.Role_ROLE_MEMBER)
	w.joinIn(t, w.b, "bea", "", identityv1.Role_ROLE_ADMIN)
	w.joinIn(t, w.b, "bert", "max", identityv1.Role_ROLE_MEMBER)
	w.Publish(t, w.org, w.crm, &eventv1.AppUpdated{App: &requestv1.App{
		Id: w.crm.String(), OrganizationId: w.org.String(), Name: "CRM", Version: 9, OfferedToAllEnvironments: true,
		AdminIds: []string{w.users["ada"].GetId()}, ApproverIds: []string{w.users["pia"].GetId(), w.users["per"].GetId()},
	}})
	w.app(t, w.vault, "Vault", id.New(), nil, nil)
	w.handled(t)
	return w
}

// flowBy has somebody make a flow.
func (w *environments) flowBy(t *testing.T, name, environment string, in *approvalv1.FlowInput) (*approvalv1.Flow, error) {
	t.Helper()
	r, err := w.flows(t, name).CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{EnvironmentId: environment, Flow: in})
	return r.GetFlow(), err
}

func reviewedBy(userIDs ...string) *approvalv1.FlowInput {
	return &approvalv1.FlowInput{
		Name: "reviewed", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST,
		Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true},
		Steps: []*approvalv1.FlowStep{{Name: "One", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, UserIds: userIDs, Need: approvalv1.StepNeed_STEP_NEED_ANY}},
	}
}

// B-USR-12: of a flow of the organization an environment sees nobody and nothing of
// another, nor finds it by them.
func TestEnvironmentsSeeNoOthersInAFlow(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	bea, bert, amy, mia := w.users["bea"].GetId(), w.users["bert"].GetId(), w.users["amy"].GetId(), w.users["mia"].GetId()
	groups, apps, entitlements := map[string]string{}, map[string]string{}, map[string]string{}
	for _, environment := range []string{w.a, w.b, ""} {
		group, app, entitlement := id.New(), id.New(), id.New()
		groups[environment], apps[environment], entitlements[environment] = group.String(), app.String(), entitlement.String()
		w.Publish(t, w.org, group, &eventv1.GroupCreated{
			Group: &identityv1.Group{Id: group.String(), OrganizationId: w.org.String(), EnvironmentId: environment, DisplayName: "Staff", Version: 1},
		})
		w.Publish(t, w.org, app, &eventv1.AppCreated{
			App: &requestv1.App{Id: app.String(), OrganizationId: w.org.String(), EnvironmentId: environment, Name: "App", Version: 1},
		})
		w.Publish(t, w.org, entitlement, &eventv1.EntitlementCreated{AppName: "App", Entitlement: &requestv1.Entitlement{
			Id: entitlement.String(), AppId: app.String(), EnvironmentId: environment, Name: "account", Version: 1,
		}})
	}
	w.handled(t)
	list := func(of map[string]string) []string { return []string{of[w.b], of[w.a], of[""]} }
	in := reviewedBy(bert, amy, mia)
	in.Audience = &approvalv1.FlowAudience{UserIds: []string{bert, amy, mia}, GroupIds: list(groups)}
	in.Scope = &approvalv1.FlowScope{AppIds: list(apps), EntitlementIds: list(entitlements)}
	in.Requesters = &approvalv1.FlowRequesters{Managers: true, UserIds: []string{bert, amy, mia}, GroupIds: list(groups)}
	toGroups := step("Two", approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS)
	toGroups.GroupIds = list(groups)
	in.Steps = append(in.Steps, toGroups)
	whole, err := w.flowBy(t, "zoe", "", in)
	if err != nil {
		t.Fatal(err)
	}
	part := proto.CloneOf(whole)
	hide := func(ids []string) []string { return ids[1:] }
	part.Audience.UserIds, part.Audience.GroupIds = hide(part.Audience.UserIds), hide(part.Audience.GroupIds)
	part.Scope.AppIds, part.Scope.EntitlementIds = hide(part.Scope.AppIds), hide(part.Scope.EntitlementIds)
	part.Requesters.UserIds, part.Requesters.GroupIds = hide(part.Requesters.UserIds), hide(part.Requesters.GroupIds)
	part.Steps[0].UserIds, part.Steps[1].GroupIds = hide(part.Steps[0].UserIds), hide(part.Steps[1].GroupIds)
	for name, want := range map[string]*approvalv1.Flow{"anna": part, "zoe": whole} {
		c := w.flows(t, name)
		got, err := c.GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: whole.GetId()})
		if d := cmp.Diff(want, got.GetFlow(), protocmp.Transform()); err != nil || d != "" {
			t.Errorf("%s gets: %v %s", name, err, d)
		}
		found := func(filter string) bool {
			t.Helper()
			list, err := c.ListFlows(t.Context(), &approvalv1.ListFlowsRequest{Filter: filter})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list.GetFlows() {
				if d := cmp.Diff(want, f, protocmp.Transform()); d != "" {
					t.Errorf("%s lists: %s", name, d)
				}
			}
			return len(list.GetFlows()) == 1
		}
		for field, ids := range map[string][]string{
			"audience.userIds": {bert, amy, mia}, "audience.groupIds": list(groups), "scope.appIds": list(apps), "scope.entitlementIds": list(entitlements),
		} {
			for i, id := range ids {
				if got, shown := found(field+`:"`+id+`"`), i > 0 || want == whole; got != shown {
					t.Errorf("%s finds it by id %d of %s: %t, want %t", name, i, field, got, shown)
				}
			}
		}
	}
	_, err = w.flows(t, "anna").UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{Flow: part, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"audience"}}})
	wantError(t, err, codes.PermissionDenied, "FLOW_OF_ORGANIZATION")
	// Its own flow an environment sees whole.
	own, err := w.flowBy(t, "bea", "", reviewedBy(bea, bert, mia))
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.flows(t, "bea").GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: own.GetId()})
	if d := cmp.Diff(own, got.GetFlow(), protocmp.Transform()); err != nil || d != "" {
		t.Errorf("bea gets her own: %v %s", err, d)
	}
}

// automatic approves by itself: what is about scope, or with nil anything.
func automatic(about *approvalv1.FlowScope) *approvalv1.FlowInput {
	in := reviewedBy()
	in.Steps, in.AutoApprove = nil, true
	if about != nil {
		in.Scope = about
	}
	return in
}

// B-USR-12: every RPC, of admins and members, at what their own environment,
// another one and the organization own.
func TestEnvironmentsSeeTheirOwn(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	own := reviewedBy(w.users["amy"].GetId())
	own.Steps = append(own.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
	flowA, err := w.flowBy(t, "anna", "", own)
	if err != nil || flowA.GetEnvironmentId() != w.a {
		t.Fatalf("create: %v, %v", flowA, err)
	}
	created := servicetest.Wait(t, w.Harness, func(e *eventv1.FlowCreated) bool { return e.GetFlow().GetId() == flowA.GetId() })
	if created.GetContext().GetEnvironmentId() != w.a || created.GetFlow().GetEnvironmentId() != w.a {
		t.Fatalf("created %v", created)
	}
	// The same name, in another environment; made by the organization's admin.
	flowB, err := w.flowBy(t, "zoe", w.b, reviewedBy(w.users["bea"].GetId()))
	if err != nil || flowB.GetEnvironmentId() != w.b {
		t.Fatalf("create: %v, %v", flowB, err)
	}
	// About its own app the organization's flow would come first: it is for its people.
	ofWhole := reviewedBy(w.users["mia"].GetId())
	ofWhole.Audience = &approvalv1.FlowAudience{UserIds: []string{w.users["ann"].GetId()}}
	whole, err := w.flowBy(t, "zoe", "", ofWhole)
	if err != nil || whole.GetEnvironmentId() != "" {
		t.Fatalf("create: %v, %v", whole, err)
	}

	requests := map[string]*requestv1.Request{"a": w.request("alice", "alice"), "b": w.request("bert", "bert"), "": w.request("ann", "ann")}
	tasks := make(map[string]*approvalv1.Task)
	for key, want := range map[string]string{"a": "amy", "b": "bea", "": "mia"} {
		w.submit(t, requests[key])
		asked := w.asked(t, requests[key], 1)
		if got := names(asked.GetTasks()); !slices.Equal(got, []string{want}) || asked.GetContext().GetEnvironmentId() != requests[key].GetEnvironmentId() {
			t.Fatalf("asked %q: %v", got, asked.GetContext())
		}
		tasks[key] = asked.GetTasks()[0]
	}

	for _, tc := range []struct{ name, flow, reason string }{
		{"anna", flowA.GetId(), ""},
		{"anna", whole.GetId(), ""},
		{"anna", flowB.GetId(), "FLOW_NOT_FOUND"},
		{"bea", flowA.GetId(), "FLOW_NOT_FOUND"},
		{"zoe", flowA.GetId(), ""},
	} {
		got, err := w.flows(t, tc.name).GetFlow(t.Context(), &approvalv1.GetFlowRequest{Id: tc.flow})
		if tc.reason == "" && (err != nil || got.GetFlow().GetId() != tc.flow) || tc.reason != "" && rpctest.Reason(err) != tc.reason {
			t.Errorf("%s gets %s: %v, %v", tc.name, tc.flow, got, err)
		}
	}
	for name, want := range map[string]int{"anna": 2, "bea": 2, "zoe": 3} {
		got, err := w.flows(t, name).ListFlows(t.Context(), &approvalv1.ListFlowsRequest{})
		if err != nil || len(got.GetFlows()) != want {
			t.Errorf("%s lists %d flows, want %d: %v", name, len(got.GetFlows()), want, err)
		}
	}
	change := func(name string, f *approvalv1.Flow) error {
		_, err := w.flows(t, name).UpdateFlow(t.Context(), update(f, own))
		return err
	}
	wantError(t, change("anna", flowB), codes.NotFound, "FLOW_NOT_FOUND")
	wantError(t, change("anna", whole), codes.PermissionDenied, "FLOW_OF_ORGANIZATION")
	if err := change("anna", flowA); err != nil {
		t.Error(err)
	}
	var all sync.WaitGroup
	for _, tc := range []struct {
		name, environment, field string
		in                       *approvalv1.FlowInput
	}{
		{"anna", w.b, "environment_id", own},
		{"zoe", id.New().String(), "environment_id", automatic(nil)},
		{"anna", "", "flow.steps[0].user_ids[0]", reviewedBy(w.users["bert"].GetId())},
		{"zoe", w.a, "flow.steps[0].user_ids[0]", reviewedBy(w.users["bert"].GetId())},
		{"anna", "", "flow.scope.app_ids[0]", automatic(&approvalv1.FlowScope{AppIds: []string{w.vault.String()}})},
	} {
		client := w.flows(t, tc.name)
		all.Go(func() { // an unknown id is waited for
			_, err := client.CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{EnvironmentId: tc.environment, Flow: tc.in})
			if status.Code(err) != codes.InvalidArgument || !slices.Equal(rpctest.Fields(err), []string{tc.field}) {
				t.Errorf("%s makes a flow: %v, fields %q, want %q", tc.name, err, rpctest.Fields(err), tc.field)
			}
		})
	}
	all.Wait()

	for _, tc := range []struct {
		name, key string
		want      int
	}{{"anna", "a", 1}, {"anna", "b", 0}, {"anna", "", 0}, {"amy", "a", 1}, {"amy", "b", 0}, {"alice", "a", 0}, {"bea", "b", 1}, {"zoe", "a", 1}, {"ria", "b", 1}} {
		list, err := w.tasks(t, tc.name).ListTasks(t.Context(), &approvalv1.ListTasksRequest{RequestId: requests[tc.key].GetId()})
		if err != nil || len(list.GetTasks()) != tc.want {
			t.Errorf("%s sees %d tasks of %q, want %d: %v", tc.name, len(list.GetTasks()), tc.key, tc.want, err)
		}
	}
	for _, tc := range []struct{ name, key string }{{"anna", "b"}, {"anna", ""}, {"amy", "b"}, {"amy", ""}} {
		client, task := w.tasks(t, tc.name), tasks[tc.key].GetId()
		_, err := client.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task})
		wantError(t, err, codes.NotFound, "TASK_NOT_FOUND")
		_, err = client.DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: task, Reason: "x"})
		wantError(t, err, codes.NotFound, "TASK_NOT_FOUND")
		_, err = client.ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task, ReviewerId: w.users["per"].GetId(), Reason: "x"})
		wantError(t, err, codes.NotFound, "TASK_NOT_FOUND")
	}
	// The reviewer's own id does not help in another environment.
	elsewhere := w.caller("amy")
	elsewhere.EnvironmentID = uuid.MustParse(w.b)
	_, err = approvalv1.NewTaskServiceClient(w.Conn(t, elsewhere)).ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: tasks["a"].GetId()})
	wantError(t, err, codes.NotFound, "TASK_NOT_FOUND")

	reassign := func(name, to string) (*approvalv1.ReassignTaskResponse, error) {
		return w.tasks(t, name).ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: tasks["a"].GetId(), ReviewerId: w.users[to].GetId(), Reason: "x"})
	}
	_, err = reassign("anna", "bert")
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	_, err = reassign("zoe", "bert")
	wantError(t, err, codes.InvalidArgument, "REVIEWER_CANNOT_DECIDE")
	moved, err := reassign("anna", "anna")
	if err != nil {
		t.Fatal(err)
	}
	// The next step's reviewers are the organization's, whoever opened it.
	if _, err := w.approve(t, "anna", moved.GetTask()); err != nil {
		t.Fatal(err)
	}
	next := w.asked(t, requests["a"], 2)
	if got := names(next.GetTasks()); !slices.Equal(got, []string{"per", "pia"}) {
		t.Fatalf("asked %q", got)
	}
	if _, err := w.approve(t, "pia", of(t, next.GetTasks(), "pia")); err != nil {
		t.Fatal(err)
	}
	if g := w.granted(t, requests["a"]); g.GetContext().GetEnvironmentId() != w.a {
		t.Fatalf("granted %v", g.GetContext())
	}
	if n := w.count(t, "task where environment_id = '"+w.a+"'"); n != 4 {
		t.Fatalf("%d tasks in A", n)
	}
	w.approvals(t)
}

// B-USR-12, B-APR-12: where nobody is named, the admins of the environment
// decide for its people, before those of the organization.
func TestEnvironmentsOwnAdminsDecide(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	for key, want := range map[string]string{"bert": "bea", "ann": "zoe"} {
		r := w.request(key, key)
		r.Items[0].AppId = w.vault.String()
		w.submit(t, r)
		asked := w.asked(t, r, 1)
		if got := names(asked.GetTasks()); !slices.Equal(got, []string{want}) {
			t.Errorf("asked %q for %s: %s", got, key, asked.GetTasks()[0].GetSubstitution())
		}
	}
}

// B-APR-05, B-USR-12, in part: a reviewer whose role goes to an environment is
// replaced outside of it.
func TestReviewerMovesToAnEnvironment(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	outside, inside := w.request("ann", "ann"), w.request("bert", "bert")
	w.submit(t, outside)
	w.submit(t, inside)
	w.asked(t, outside, 1)
	task := of(t, w.asked(t, inside, 1).GetTasks(), "pia")
	pia := w.users["pia"]
	pia.Version, pia.RoleEnvironmentId = 2, w.b
	w.Publish(t, w.org, w.id("pia"), &eventv1.UserUpdated{User: pia})
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool { return e.GetFrom().GetReviewer().GetDisplayName() == "pia" })
	if e.GetFrom().GetRequestId() != outside.GetId() || !strings.Contains(e.GetReason(), "cannot decide any more") {
		t.Fatalf("reassigned %v", e)
	}
	if _, err := w.approve(t, "pia", task); err != nil {
		t.Fatal(err)
	}
	w.granted(t, inside)
}

// B-USR-12, B-USR-15, in part: an environment's join-flow is for its people.
func TestJoinFlowOfAnEnvironment(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	in := &approvalv1.FlowInput{
		Name: "everyone", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, AutoApprove: true,
		Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}},
	}
	flow, err := w.flowBy(t, "anna", "", in)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"anna", "amy", "alice"} {
		if e := w.matched(t, flow, name, 1); e.GetContext().GetEnvironmentId() != w.a {
			t.Errorf("matched %v", e.GetContext())
		}
	}
	w.joinIn(t, w.b, "bob", "", identityv1.Role_ROLE_MEMBER)
	w.joinIn(t, w.a, "abe", "", identityv1.Role_ROLE_MEMBER)
	w.matched(t, flow, "abe", 1)
	w.handled(t)
	w.drained(t)
	if n := len(servicetest.All[*eventv1.FlowMatched](w.Harness)); n != 4 {
		t.Errorf("%d matches, want 4", n)
	}
}

// A provider sets how many flows a customer may have.
func TestQuotas(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	w.Publish(t, w.org, uuid.MustParse(w.a), &eventv1.EnvironmentUpdated{Environment: &identityv1.Environment{
		Id: w.a, OrganizationId: w.org.String(), Name: "A", Version: 2, Quotas: &identityv1.EnvironmentQuotas{Flows: 1},
	}})
	w.handled(t)
	first, second := automatic(nil), automatic(nil)
	second.Name = "another"
	if _, err := w.flowBy(t, "anna", "", first); err != nil {
		t.Fatal(err)
	}
	_, err := w.flowBy(t, "anna", "", second)
	wantError(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	for by, environment := range map[string]string{"bea": "", "zoe": ""} { // another environment, and the organization itself
		if _, err := w.flowBy(t, by, environment, second); err != nil {
			t.Errorf("by %s: %v", by, err)
		}
	}
}

// The operator sets how many flows every organization may have, in all its environments.
func TestQuotasOfOrganization(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t, func(c *approval.Config) { c.Quotas = quota.Organization{"flows": 2} })
	for n, who := range []string{"anna", "zoe", "bea"} {
		f := automatic(nil)
		f.Name = who
		_, err := w.flowBy(t, who, "", f)
		if n < 2 && err != nil {
			t.Fatalf("by %s: %v", who, err)
		} else if n == 2 {
			wantError(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
		}
	}
}
