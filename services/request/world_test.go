package request_test

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/request"
	"gatehouse.dev/services/request/migrations"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

func TestMain(m *testing.M) {
	bustest.VerifyNoLeaks(m)
}

// world is the request service under test, with an organization around it. The
// test plays identity-sync, approval and provisioning.
type world struct {
	*servicetest.Harness
	org    uuid.UUID
	users  map[string]*identityv1.User
	roles  map[string]authzv1.Caller
	crm    *requestv1.App
	access map[string]string // entitlements of crm by name
	integrations
	flowService
}

// flowService answers for approval.
type flowService struct {
	approvalv1.UnimplementedFlowServiceServer
	asked  atomic.Pointer[requestv1.Request] // the last that was looked up
	routes atomic.Pointer[[]*requestv1.Route]
}

func (f *flowService) LookUpRoutes(ctx context.Context, in *approvalv1.LookUpRoutesRequest) (*approvalv1.LookUpRoutesResponse, error) {
	if authz.Must(ctx).Subject != "client:request" || in.GetOrganizationId() != in.GetRequest().GetOrganizationId() {
		return nil, apierr.Denied("NOT_AS_ITSELF", "the service's own token is to be shown, with the caller's organization")
	}
	f.asked.Store(in.GetRequest())
	routes := f.routes.Load()
	if routes == nil {
		return nil, apierr.Unavailable("AWAY", nil)
	}
	return &approvalv1.LookUpRoutesResponse{Routes: *routes}, nil
}

// integrations answers for provisioning.
type integrations struct {
	provisioningv1.UnimplementedIntegrationServiceServer
	organization, working, failing, untested, reader string
	// found is what look-ups in apps find by ref, else there is none; away refuses them.
	found  map[string]provisioningv1.EntitlementFound
	away   atomic.Bool
	lookUp atomic.Int32 // how often it was looked up
}

func (i *integrations) LookUpIntegration(ctx context.Context, in *provisioningv1.LookUpIntegrationRequest) (*provisioningv1.LookUpIntegrationResponse, error) {
	if authz.Must(ctx).Subject != "client:request" || in.GetOrganizationId() != i.organization {
		return nil, apierr.Denied("NOT_AS_ITSELF", "the service's own token is to be shown, with the caller's organization")
	}
	out := &provisioningv1.Integration{Id: in.GetId(), StateDetail: "the token is refused"}
	switch in.GetId() {
	case i.working:
		out.State = provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING
	case i.reader:
		out.State, out.Access = provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING, provisioningv1.IntegrationAccess_INTEGRATION_ACCESS_READ_ONLY
	case i.failing:
		out.State = provisioningv1.IntegrationState_INTEGRATION_STATE_FAILING
	case i.untested:
		out.State = provisioningv1.IntegrationState_INTEGRATION_STATE_UNTESTED
	default:
		return nil, apierr.NotFound("INTEGRATION_NOT_FOUND", "there is no such integration")
	}
	return &provisioningv1.LookUpIntegrationResponse{Integration: out}, nil
}

func (i *integrations) LookUpEntitlement(ctx context.Context, in *provisioningv1.LookUpEntitlementRequest) (*provisioningv1.LookUpEntitlementResponse, error) {
	i.lookUp.Add(1)
	switch {
	case authz.Must(ctx).Subject != "client:request" || in.GetOrganizationId() != i.organization:
		return nil, apierr.Denied("NOT_AS_ITSELF", "the service's own token is to be shown, with the caller's organization")
	case i.away.Load():
		return nil, apierr.Precondition("AWAY", "provisioning is away")
	case in.GetId() != i.working || in.GetRef() == "":
		return nil, apierr.NotFound("INTEGRATION_NOT_FOUND", "there is no such integration")
	case in.GetKind() != requestv1.EntitlementKind_ENTITLEMENT_KIND_GROUP:
		return &provisioningv1.LookUpEntitlementResponse{Found: provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_UNKNOWN}, nil
	}
	found := i.found[in.GetRef()]
	if found == 0 {
		found = provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_NONE
	}
	return &provisioningv1.LookUpEntitlementResponse{Found: found}, nil
}

// start runs the service and publishes an organization's people: ann and ben work
// there, ann as everybody's manager, pia approves the app CRM, ada runs it; zoe is admin, ian it_admin, ria
// risk_manager, ext from outside. Its catalog has CRM with the entitlements
// account, editor and viewer; how its accounts come was never chosen.
func start(t testing.TB, change ...func(*backend.Config)) *world {
	t.Helper()
	w := &world{
		org: id.New(), users: make(map[string]*identityv1.User), roles: make(map[string]authzv1.Caller), access: make(map[string]string),
		integrations: integrations{working: id.New().String(), failing: id.New().String(), untested: id.New().String(), reader: id.New().String()},
	}
	w.found = map[string]provisioningv1.EntitlementFound{
		"devs": provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_ONE, "id-of-devs": provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_ONE,
		"Twice": provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_SEVERAL, "odd": provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_UNKNOWN,
	}
	w.organization = w.org.String()
	w.Harness = servicetest.StartWith(t, migrations.FS, migrations.Included(), func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		cfg.ClientID = "request"
		for _, f := range change {
			f(&cfg)
		}
		return request.Run(ctx, request.Config{Config: cfg, ProvisioningAddr: cfg.IdentityAddr, ApprovalAddr: cfg.IdentityAddr}, lis, log)
	}, func(s grpc.ServiceRegistrar) {
		provisioningv1.RegisterIntegrationServiceServer(s, &w.integrations)
		approvalv1.RegisterFlowServiceServer(s, &w.flowService)
	})
	for _, u := range []struct {
		name string
		role authzv1.Caller
	}{
		{"ann", authzv1.Caller_CALLER_MEMBER},
		{"ben", authzv1.Caller_CALLER_MEMBER},
		{"pia", authzv1.Caller_CALLER_MEMBER},
		{"ada", authzv1.Caller_CALLER_MEMBER},
		{"zoe", authzv1.Caller_CALLER_ADMIN},
		{"ian", authzv1.Caller_CALLER_IT_ADMIN},
		{"ria", authzv1.Caller_CALLER_RISK_MANAGER},
		{"ext", authzv1.Caller_CALLER_EXTERNAL},
	} {
		w.join(t, u.name, u.role)
	}
	w.handled(t)
	w.crm = w.app(t, &requestv1.CreateAppRequest{Name: "CRM", AdminIds: []string{w.id("ada")}, ApproverIds: []string{w.id("pia")}}, w.access, "editor", "viewer")
	return w
}

// app puts an app into the catalog, and its entitlements into ids by name.
func (w *world) app(t testing.TB, in *requestv1.CreateAppRequest, ids map[string]string, entitlements ...string) *requestv1.App {
	t.Helper()
	apps := w.apps(t, "zoe")
	a, err := apps.CreateApp(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	ids["account"] = a.GetAccount().GetId()
	for _, name := range entitlements {
		e, err := apps.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{
			AppId: a.GetApp().GetId(), Name: name, Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_GROUP, Ref: name + "s",
			Description: "The rights of a " + name,
		})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = e.GetEntitlement().GetId()
	}
	return a.GetApp()
}

func (w *world) id(name string) string { return w.users[name].GetId() }

func (w *world) person(name string) *identityv1.Person {
	u := w.users[name]
	return &identityv1.Person{UserId: u.GetId(), DisplayName: u.GetDisplayName(), Email: u.GetEmail()}
}

func (w *world) caller(name string) authz.Caller {
	u := w.users[name]
	return authz.Caller{
		Subject: u.GetId(), UserID: uuid.MustParse(u.GetId()), OrganizationID: uuid.MustParse(u.GetOrganizationId()),
		EnvironmentID: environmentOf(u), Role: w.roles[name], Name: u.GetDisplayName(), Email: u.GetEmail(),
	}
}

// environmentOf is where somebody holds their role; the nil id is the
// organization.
func environmentOf(u *identityv1.User) uuid.UUID {
	if u.GetRoleEnvironmentId() == "" {
		return uuid.Nil
	}
	return uuid.MustParse(u.GetRoleEnvironmentId())
}

func (w *world) apps(t testing.TB, name string) requestv1.AppServiceClient {
	t.Helper()
	return requestv1.NewAppServiceClient(w.Conn(t, w.caller(name)))
}

func (w *world) requests(t testing.TB, name string) requestv1.RequestServiceClient {
	t.Helper()
	return requestv1.NewRequestServiceClient(w.Conn(t, w.caller(name)))
}

// handled waits until the service has handled every event published so far.
func (w *world) handled(t testing.TB) {
	t.Helper()
	w.Handled(t, "request")
}

// emitted is all messages of one type, when all events are handled and what
// follows from them was received.
func emitted[M proto.Message](t testing.TB, w *world) []M {
	t.Helper()
	return servicetest.Said[M](t, w.Harness, "request")
}

// identity-sync

// join has somebody join.
func (w *world) join(t testing.TB, name string, role authzv1.Caller) {
	t.Helper()
	w.joinTo(t, w.org, "", name, role)
}

// joinTo has somebody join an environment, or with an empty id an organization
// itself.
func (w *world) joinTo(t testing.TB, org uuid.UUID, environment, name string, role authzv1.Caller) {
	t.Helper()
	u := &identityv1.User{
		Id: id.New().String(), OrganizationId: org.String(), EnvironmentId: environment, RoleEnvironmentId: environment, UserName: name, DisplayName: name, Email: name + "@example.com",
		State: identityv1.UserState_USER_STATE_ACTIVE, Version: 1, JoinCount: 1,
		Kind: identityv1.UserKind_USER_KIND_EMPLOYEE, Role: enum.Value[identityv1.Role](enum.Word(role)),
	}
	if environment == "" && name != "ann" && w.users["ann"] != nil {
		u.ManagerId = w.id("ann")
	}
	w.users[name], w.roles[name] = u, role
	w.Publish(t, org, uuid.MustParse(u.GetId()), &eventv1.UserJoined{User: u})
}

// leave removes somebody.
func (w *world) leave(t testing.TB, name string) {
	t.Helper()
	u := w.users[name]
	u.Version++
	u.State = identityv1.UserState_USER_STATE_REMOVED
	w.publish(t, u.GetId(), &eventv1.UserRemoved{User: u})
}

// comeBack has somebody join again.
func (w *world) comeBack(t testing.TB, name string) {
	t.Helper()
	u := w.users[name]
	u.Version++
	u.JoinCount++
	u.State = identityv1.UserState_USER_STATE_ACTIVE
	w.publish(t, u.GetId(), &eventv1.UserJoined{User: u})
}

// publish publishes an event of the organization.
func (w *world) publish(t testing.TB, aggregateID string, m proto.Message) uuid.UUID {
	t.Helper()
	return w.Publish(t, w.org, uuid.MustParse(aggregateID), m)
}

// approval

// flow has approval say that there is a flow for everyone and everything, changed
// as told; it has steps that are not said here.
func (w *world) flow(t testing.TB, change func(*approvalv1.Flow)) *approvalv1.Flow {
	t.Helper()
	f := &approvalv1.Flow{
		Id: id.New().String(), OrganizationId: w.org.String(), Name: "flow", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST, Enabled: true, Version: 1,
		Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true}, CreateTime: timestamppb.Now(),
	}
	change(f)
	w.publish(t, f.GetId(), &eventv1.FlowCreated{Context: &eventv1.Context{Version: 1}, Flow: f})
	w.handled(t)
	return f
}

// changeFlow has approval say that a flow has a new version.
func (w *world) changeFlow(t testing.TB, f *approvalv1.Flow, change func(*approvalv1.Flow)) {
	t.Helper()
	f.Version++
	change(f)
	w.publish(t, f.GetId(), &eventv1.FlowUpdated{Context: &eventv1.Context{Version: int64(f.GetVersion())}, Flow: f})
	w.handled(t)
}

// Requests.

// grantOf is a request for entitlements of CRM.
func (w *world) grantOf(names ...string) *requestv1.CreateRequestRequest {
	in := &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, Justification: "to sell"}
	for _, n := range names {
		in.EntitlementIds = append(in.EntitlementIds, w.access[n])
	}
	return in
}

func (w *world) revokeOf(names ...string) *requestv1.CreateRequestRequest {
	in := w.grantOf(names...)
	in.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE
	return in
}

// submit makes a request that must be taken.
func (w *world) submit(t testing.TB, name string, in *requestv1.CreateRequestRequest) *requestv1.Request {
	t.Helper()
	out, err := w.requests(t, name).CreateRequest(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.GetRequest()
}

// get reads a request as the admin sees it, when all events are handled.
func (w *world) get(t testing.TB, r *requestv1.Request) *requestv1.Request {
	t.Helper()
	w.handled(t)
	out, err := w.requests(t, "zoe").GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: r.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetRequest()
}

// asTold is a request as events have it: without what is computed for who looks.
func asTold(r *requestv1.Request) *requestv1.Request {
	out := proto.CloneOf(r)
	out.Progress, out.MyProgress, out.RequiredActions = nil, nil, nil
	return out
}

// wantState fails unless a request and its items are in the states.
func (w *world) wantState(t testing.TB, r *requestv1.Request, state requestv1.RequestState, items ...requestv1.ItemState) *requestv1.Request {
	t.Helper()
	got := w.get(t, r)
	var have []requestv1.ItemState
	for _, i := range got.GetItems() {
		have = append(have, i.GetState())
	}
	if got.GetState() != state || (len(items) > 0 && !slices.Equal(have, items)) {
		t.Fatalf("request is %v with items %v, want %v with %v", got.GetState(), have, state, items)
	}
	return got
}

// timeline is what happened to a request, each once.
func (w *world) timeline(t testing.TB, r *requestv1.Request) []string {
	t.Helper()
	w.handled(t)
	var events []string
	seen := make(map[string]bool)
	in := &requestv1.ListTimelineRequest{Id: r.GetId(), PageSize: 2}
	var last time.Time
	for {
		out, err := w.requests(t, "zoe").ListTimeline(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.GetEntries() {
			if seen[e.GetEventId()] {
				t.Errorf("%s is there twice", e.GetEvent())
			}
			if e.GetTime().AsTime().Before(last) {
				t.Errorf("%s stands after what came later", e.GetEvent())
			}
			if e.GetText() == "" || e.GetActor().GetDisplayName() == "" {
				t.Errorf("has no text or actor: %v", e)
			}
			seen[e.GetEventId()], last = true, e.GetTime().AsTime()
			events = append(events, e.GetEvent())
		}
		if in.PageToken = out.GetNextPageToken(); in.PageToken == "" {
			return events
		}
	}
}

// closings is how often a request was emitted to be closed.
func (w *world) closings(t testing.TB, r *requestv1.Request) int {
	t.Helper()
	n := 0
	for _, m := range emitted[*eventv1.RequestClosed](t, w) {
		if m.GetRequest().GetId() == r.GetId() {
			n++
		}
	}
	return n
}

func (w *world) closed(t testing.TB, r *requestv1.Request) *eventv1.RequestClosed {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(m *eventv1.RequestClosed) bool { return m.GetRequest().GetId() == r.GetId() })
}

// approval

// emission is an event that another service emits.
type emission struct {
	id      string
	message proto.Message
}

func (w *world) publishAll(t testing.TB, emissions ...emission) {
	t.Helper()
	for _, f := range emissions {
		w.publish(t, f.id, f.message)
	}
}

var system = event.SystemActor("approval")

func about(r *requestv1.Request) *eventv1.Context {
	return &eventv1.Context{Actor: system, RequestIds: []string{r.GetId()}, UserId: r.GetBeneficiary().GetUserId()}
}

func (w *world) by(r *requestv1.Request, name string) *eventv1.Context {
	c := about(r)
	c.Actor = event.UserActor(w.id(name), name)
	return c
}

func (w *world) task(r *requestv1.Request, reviewer string) *approvalv1.Task {
	return &approvalv1.Task{
		Id: id.New().String(), RequestId: r.GetId(), ItemId: r.GetItems()[0].GetId(), Step: 1, StepName: "approvers", Reviewer: w.person(reviewer),
		State: approvalv1.TaskState_TASK_STATE_OPEN, Request: r,
	}
}

func (w *world) requested(r *requestv1.Request, reviewers ...string) emission {
	m := &eventv1.ApprovalRequested{Context: about(r), RequestId: r.GetId(), ItemId: r.GetItems()[0].GetId(), Step: 1, StepName: "approvers"}
	m.Context.AppId = r.GetItems()[0].GetAppId()
	for _, n := range reviewers {
		m.Tasks = append(m.Tasks, w.task(r, n))
	}
	return emission{r.GetId(), m}
}

func (w *world) decided(r *requestv1.Request, reviewer string) emission {
	task := w.task(r, reviewer)
	task.State, task.Comment = approvalv1.TaskState_TASK_STATE_APPROVED, "fine"
	c := w.by(r, reviewer)
	c.AppId = r.GetItems()[0].GetAppId()
	return emission{r.GetId(), &eventv1.ApprovalDecided{Context: c, Task: task, StepApproved: true}}
}

func (w *world) granted(r *requestv1.Request) emission {
	return emission{r.GetId(), &eventv1.ApprovalGranted{Context: w.by(r, "pia"), Request: r, FlowId: w.org.String(), FlowVersion: 3}}
}

// inEvent is a request without what events leave out.
func inEvent(r *requestv1.Request) *requestv1.Request {
	e := cloneOf(r)
	e.Progress, e.MyProgress, e.RequiredActions = nil, nil, nil
	return e
}

// part is a request with some of its items.
func part(r *requestv1.Request, items ...int) *requestv1.Request {
	p := cloneOf(r)
	p.Items = nil
	for _, n := range items {
		p.Items = append(p.Items, r.GetItems()[n])
	}
	return p
}

func (w *world) denied(r *requestv1.Request, reviewer, reason string) emission {
	return emission{r.GetId(), &eventv1.ApprovalDenied{
		Context: w.by(r, reviewer), RequestId: r.GetId(), Reviewer: w.person(reviewer), Reason: reason, StepName: "approvers",
		Task: &approvalv1.Task{RequestId: r.GetId(), ItemId: r.GetItems()[0].GetId(), Reviewer: w.person(reviewer)},
	}}
}

func (w *world) cancelled(r *requestv1.Request, by, reason string) emission {
	return emission{r.GetId(), &eventv1.ApprovalCancelled{Context: w.by(r, by), RequestId: r.GetId(), Reason: reason}}
}

// provisioning

// grant is a grant for one item of a request.
func grant(r *requestv1.Request, item int) *provisioningv1.Grant {
	i := r.GetItems()[item]
	return &provisioningv1.Grant{
		Id: id.New().String(), OrganizationId: r.GetOrganizationId(), User: r.GetBeneficiary(), AppId: i.GetAppId(), AppName: i.GetAppName(),
		EntitlementId: i.GetEntitlementId(), EntitlementName: i.GetEntitlementName(), RequestId: r.GetId(), ItemId: i.GetId(),
		State: provisioningv1.GrantState_GRANT_STATE_PENDING, Until: r.GetUntil(), CreateTime: timestamppb.Now(), Version: 1,
	}
}

// next is a grant in another state, one version later.
func next(g *provisioningv1.Grant, s provisioningv1.GrantState) *provisioningv1.Grant {
	n := cloneOf(g)
	n.State = s
	n.Version++
	switch s {
	case provisioningv1.GrantState_GRANT_STATE_ACTIVE:
		n.ActivateTime = timestamppb.Now()
	case provisioningv1.GrantState_GRANT_STATE_REVOKING, provisioningv1.GrantState_GRANT_STATE_REVOKED:
		n.EndReason = provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED
	case provisioningv1.GrantState_GRANT_STATE_FAILED:
		n.Error = "the app is away"
	case provisioningv1.GrantState_GRANT_STATE_UNSPECIFIED, provisioningv1.GrantState_GRANT_STATE_PENDING:
	}
	return n
}

func grantEvent(name string, g *provisioningv1.Grant) emission {
	c := &eventv1.Context{Actor: system, RequestIds: []string{g.GetRequestId()}, UserId: g.GetUser().GetUserId(), AppId: g.GetAppId(), Version: g.GetVersion()}
	var m proto.Message
	switch name {
	case "created":
		m = &eventv1.GrantCreated{Context: c, Grant: g}
	case "activated":
		m = &eventv1.GrantActivated{Context: c, Grant: g}
	case "expiring":
		m = &eventv1.GrantExpiring{Context: c, Grant: g}
	case "ended":
		m = &eventv1.GrantEnded{Context: c, Grant: g}
	case "revoked":
		m = &eventv1.GrantRevoked{Context: c, Grant: g}
	case "failed":
		m = &eventv1.GrantFailed{Context: c, Grant: g}
	case "reopened":
		m = &eventv1.GrantReopened{Context: c, Grant: g}
	}
	return emission{g.GetId(), m}
}

// give has provisioning put an item in place.
func give(r *requestv1.Request, item int) (*provisioningv1.Grant, []emission) {
	g := grant(r, item)
	active := next(g, provisioningv1.GrantState_GRANT_STATE_ACTIVE)
	return active, []emission{grantEvent("created", g), grantEvent("activated", active)}
}

// take has provisioning take a grant away.
func take(g *provisioningv1.Grant) []emission {
	revoking := next(g, provisioningv1.GrantState_GRANT_STATE_REVOKING)
	return []emission{grantEvent("ended", revoking), grantEvent("revoked", next(revoking, provisioningv1.GrantState_GRANT_STATE_REVOKED))}
}

// hold requests an entitlement of CRM and publishes its grant as active.
func (w *world) hold(t testing.TB, name string, in *requestv1.CreateRequestRequest) (*requestv1.Request, *provisioningv1.Grant) {
	t.Helper()
	r := w.submit(t, name, in)
	g, emissions := give(r, 0)
	w.publishAll(t, append([]emission{w.granted(r)}, emissions...)...)
	w.closed(t, r)
	return r, g
}

func revoked(r *requestv1.Request, g *provisioningv1.Grant) emission {
	return emission{r.GetId(), &eventv1.RevocationCompleted{
		Context: about(r), RequestId: r.GetId(), ItemId: r.GetItems()[0].GetId(), GrantIds: []string{g.GetId()},
	}}
}

// cancelledItems has a cancellation be about some of the items.
func cancelledItems(e emission, r *requestv1.Request, items ...int) {
	for _, n := range items {
		m := e.message.(*eventv1.ApprovalCancelled)
		m.ItemIds = append(m.ItemIds, r.GetItems()[n].GetId())
	}
}
