package approval_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/approval"
	"gatehouse.dev/services/approval/migrations"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }

// world is approval under test, with an organization around it.
type world struct {
	*servicetest.Harness
	org uuid.UUID
	// crm is an app with two approvers and an admin; account is in it.
	crm, account uuid.UUID
	users        map[string]*identityv1.User
	version      int64
}

// start runs approval and tells it of an organization: ann and ben report to
// mia, mia to max; pia and per approve the app crm, ada runs it; eve has to do with none
// of it; zoe is the organization's admin.
func start(t testing.TB, change ...func(*approval.Config)) *world {
	t.Helper()
	h := servicetest.StartWith(t, migrations.FS, migrations.Included(), func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		c := approval.Config{Config: cfg, RequestAddr: cfg.IdentityAddr, MaintenanceEvery: time.Hour} // events must do
		for _, f := range change {
			f(&c)
		}
		return approval.Run(ctx, c, lis, log)
	})
	w := &world{Harness: h}
	w.populate(t)
	return w
}

func (w *world) populate(t testing.TB) {
	t.Helper()
	w.org, w.crm, w.account = id.New(), id.New(), id.New()
	w.users = make(map[string]*identityv1.User)
	for _, u := range []struct {
		name, manager string
		role          identityv1.Role
	}{
		{"zoe", "", identityv1.Role_ROLE_ADMIN},
		{"max", "", identityv1.Role_ROLE_MEMBER},
		{"mia", "max", identityv1.Role_ROLE_MEMBER},
		{"ann", "mia", identityv1.Role_ROLE_MEMBER},
		{"ben", "mia", identityv1.Role_ROLE_MEMBER},
		{"pia", "", identityv1.Role_ROLE_MEMBER},
		{"per", "", identityv1.Role_ROLE_MEMBER},
		{"ada", "", identityv1.Role_ROLE_MEMBER},
		{"eve", "", identityv1.Role_ROLE_MEMBER},
		{"ria", "", identityv1.Role_ROLE_RISK_MANAGER},
	} {
		w.join(t, u.name, u.manager, u.role)
	}
	w.app(t, w.crm, "CRM", w.account, []string{"ada"}, []string{"pia", "per"})
}

// join has somebody join the organization itself.
func (w *world) join(t testing.TB, name, manager string, role identityv1.Role) {
	t.Helper()
	w.joinIn(t, "", name, manager, role)
}

// joinIn has somebody join an environment.
func (w *world) joinIn(t testing.TB, environment, name, manager string, role identityv1.Role) {
	t.Helper()
	u := &identityv1.User{
		EnvironmentId: environment, RoleEnvironmentId: environment,
		Id: id.New().String(), OrganizationId: w.org.String(), UserName: name, DisplayName: name, Email: name + "@example.com",
		State: identityv1.UserState_USER_STATE_ACTIVE, Kind: identityv1.UserKind_USER_KIND_EMPLOYEE, Role: role, Version: 1, JoinCount: 1,
	}
	if manager != "" {
		u.ManagerId = w.users[manager].GetId()
	}
	w.users[name] = u
	w.Publish(t, w.org, w.id(name), &eventv1.UserJoined{Context: &eventv1.Context{Version: 1}, User: u})
}

// leave removes somebody.
func (w *world) leave(t testing.TB, name string) {
	t.Helper()
	u := w.users[name]
	u.Version++
	u.State = identityv1.UserState_USER_STATE_REMOVED
	w.Publish(t, w.org, w.id(name), &eventv1.UserRemoved{Context: &eventv1.Context{Version: u.GetVersion()}, User: u})
}

func (w *world) app(t testing.TB, app uuid.UUID, name string, account uuid.UUID, admins, approvers []string) {
	t.Helper()
	w.version++
	a := &requestv1.App{Id: app.String(), OrganizationId: w.org.String(), Name: name, Version: w.version}
	for _, n := range admins {
		a.AdminIds = append(a.AdminIds, w.users[n].GetId())
	}
	for _, n := range approvers {
		a.ApproverIds = append(a.ApproverIds, w.users[n].GetId())
	}
	w.Publish(t, w.org, app, &eventv1.AppCreated{Context: &eventv1.Context{Version: w.version}, App: a})
	if account != uuid.Nil {
		w.Publish(t, w.org, account, &eventv1.EntitlementCreated{
			Entitlement: &requestv1.Entitlement{Id: account.String(), AppId: app.String(), Name: "account", Version: 1}, AppName: name,
		})
	}
}

func (w *world) id(name string) uuid.UUID { return uuid.MustParse(w.users[name].GetId()) }

func (w *world) person(name string) *identityv1.Person {
	u := w.users[name]
	return &identityv1.Person{UserId: u.GetId(), DisplayName: u.GetDisplayName(), Email: u.GetEmail()}
}

// request is a request for the crm's account; submit publishes it.
func (w *world) request(requester, beneficiary string) *requestv1.Request {
	return &requestv1.Request{
		Id: id.New().String(), OrganizationId: w.org.String(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT,
		Origin:    requestv1.RequestOrigin_REQUEST_ORIGIN_USER,
		Requester: w.person(requester), Beneficiary: w.person(beneficiary),
		Items: []*requestv1.RequestItem{{
			Id: id.New().String(), EntitlementId: w.account.String(), EntitlementName: "account",
			AppId: w.crm.String(), AppName: "CRM",
		}},
		EnvironmentId: w.users[beneficiary].GetEnvironmentId(), Justification: "to sell", State: requestv1.RequestState_REQUEST_STATE_SUBMITTED, CreateTime: timestamppb.Now(), Version: 1,
	}
}

func (w *world) submit(t testing.TB, r *requestv1.Request) uuid.UUID {
	t.Helper()
	return w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestSubmitted{Request: r})
}

// caller is somebody who calls.
func (w *world) caller(name string) authz.Caller {
	u := w.users[name]
	role := authzv1.Caller_CALLER_MEMBER
	switch u.GetRole() {
	case identityv1.Role_ROLE_ADMIN:
		role = authzv1.Caller_CALLER_ADMIN
	case identityv1.Role_ROLE_RISK_MANAGER:
		role = authzv1.Caller_CALLER_RISK_MANAGER
	}
	environment, _ := uuid.Parse(u.GetRoleEnvironmentId()) // none is the organization
	return authz.Caller{
		EnvironmentID: environment, Subject: u.GetId(), UserID: uuid.MustParse(u.GetId()), OrganizationID: w.org, Role: role, Name: name, Email: u.GetEmail(),
	}
}

func (w *world) tasks(t testing.TB, name string) approvalv1.TaskServiceClient {
	t.Helper()
	return approvalv1.NewTaskServiceClient(w.Conn(t, w.caller(name)))
}

func (w *world) flows(t testing.TB, name string) approvalv1.FlowServiceClient {
	t.Helper()
	return approvalv1.NewFlowServiceClient(w.Conn(t, w.caller(name)))
}

// flow makes a flow for everyone and everything, changed as told.
func (w *world) flow(t testing.TB, change func(*approvalv1.FlowInput)) *approvalv1.Flow {
	t.Helper()
	in := &approvalv1.FlowInput{
		Name: "flow " + id.New().String(), Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST,
		Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true},
		Steps: []*approvalv1.FlowStep{step("Manager", approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER)},
	}
	if change != nil {
		change(in)
	}
	r, err := w.flows(t, "zoe").CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: in})
	if err != nil {
		t.Fatalf("create flow: %v", err)
	}
	return r.GetFlow()
}

func step(name string, kind approvalv1.ReviewerKind) *approvalv1.FlowStep {
	return &approvalv1.FlowStep{Name: name, Reviewers: kind, Need: approvalv1.StepNeed_STEP_NEED_ANY}
}

// asked waits until reviewers are asked in a step of a request. The step after
// another is opened by a decision, and the event of that says so.
func (w *world) asked(t testing.TB, r *requestv1.Request, step int32) *eventv1.ApprovalRequested {
	t.Helper()
	return w.askedFor(t, r, "", step)
}

// askedFor is asked for one item of the request; with an empty id, for any.
func (w *world) askedFor(t testing.TB, r *requestv1.Request, itemID string, step int32) *eventv1.ApprovalRequested {
	t.Helper()
	if step == 1 {
		return servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalRequested) bool {
			return e.GetRequestId() == r.GetId() && e.GetStep() == step && (itemID == "" || e.GetItemId() == itemID)
		})
	}
	d := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalDecided) bool {
		return e.GetTask().GetRequestId() == r.GetId() && e.GetNextStep() == step && (itemID == "" || e.GetTask().GetItemId() == itemID)
	})
	if !d.GetStepApproved() || d.GetTask().GetStep() != step-1 {
		t.Fatalf("step %d opened by %v", step, d)
	}
	return &eventv1.ApprovalRequested{
		Context: d.GetContext(), RequestId: r.GetId(), ItemId: d.GetTask().GetItemId(), Step: step, StepName: d.GetNextStepName(), Tasks: d.GetNextTasks(),
	}
}

// names are who was given the tasks.
func names(tasks []*approvalv1.Task) []string {
	var out []string
	for _, t := range tasks {
		out = append(out, t.GetReviewer().GetDisplayName())
	}
	return out
}

// of is the task that somebody was given.
func of(t testing.TB, tasks []*approvalv1.Task, name string) *approvalv1.Task {
	t.Helper()
	for _, task := range tasks {
		if task.GetReviewer().GetDisplayName() == name {
			return task
		}
	}
	t.Fatalf("%s has no task: %v", name, names(tasks))
	return nil
}

func (w *world) approve(t testing.TB, name string, task *approvalv1.Task) (*approvalv1.Task, error) {
	t.Helper()
	r, err := w.tasks(t, name).ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId(), Comment: "fine"})
	return r.GetTask(), err
}

func (w *world) granted(t testing.TB, r *requestv1.Request) *eventv1.ApprovalGranted {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalGranted) bool { return e.GetRequest().GetId() == r.GetId() })
}

func (w *world) handled(t testing.TB) {
	t.Helper()
	w.Handled(t, "approval")
}

// emitted counts the events of a request that approval has emitted, by type.
func (w *world) emitted(requestID string) map[string]int {
	out := make(map[string]int)
	for _, ev := range w.Events() {
		var c *eventv1.Context
		switch m := ev.Message.(type) {
		case *eventv1.ApprovalRequested:
			c = m.GetContext()
		case *eventv1.ApprovalDecided:
			c = m.GetContext()
		case *eventv1.ApprovalGranted:
			c = m.GetContext()
		case *eventv1.ApprovalDenied:
			c = m.GetContext()
		case *eventv1.ApprovalCancelled:
			c = m.GetContext()
		case *eventv1.TaskReassigned:
			c = m.GetContext()
		}
		for _, r := range c.GetRequestIds() {
			if r == requestID {
				out[string(ev.Message.ProtoReflect().Descriptor().Name())]++
			}
		}
	}
	return out
}

// drained waits until everything that approval has emitted so far is received.
func (w *world) drained(t testing.TB) {
	t.Helper()
	servicetest.Eventually(t, "the outbox is empty", func() bool { return w.count(t, "outbox") == 0 })
	marker := id.New()
	w.Publish(t, w.org, marker, &eventv1.CommentAdded{Comment: &requestv1.Comment{Id: marker.String()}})
	servicetest.Wait(t, w.Harness, func(e *eventv1.CommentAdded) bool { return e.GetComment().GetId() == marker.String() })
}

// count counts the rows of a table.
func (w *world) count(t testing.TB, table string) int {
	t.Helper()
	var n int
	err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from "+table).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRowSecurity(t *testing.T) {
	t.Parallel()
	pgtest.CheckRowSecurity(t, pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...))
}

// update is a change of a flow, of the version that it has here, to what somebody
// would make anew.
func update(f *approvalv1.Flow, in *approvalv1.FlowInput) *approvalv1.UpdateFlowRequest {
	return &approvalv1.UpdateFlowRequest{
		Flow: &approvalv1.Flow{
			Id: f.GetId(), Etag: f.GetEtag(), Name: in.GetName(), Trigger: in.GetTrigger(), Kinds: in.GetKinds(), Audience: in.GetAudience(), Scope: in.GetScope(),
			AutoApprove: in.GetAutoApprove(), Steps: in.GetSteps(), Priority: in.GetPriority(), MaxDuration: in.GetMaxDuration(), Enabled: !in.GetDisabled(),
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{
			"name", "trigger", "kinds", "audience", "scope", "auto_approve", "steps", "priority", "max_duration", "enabled",
		}},
	}
}
