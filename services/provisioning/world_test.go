package provisioning_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning"
	"gatehouse.dev/services/provisioning/migrations"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }

// Short words of the API.
const (
	manual    = requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL
	shared    = requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_NONE
	automatic = requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC

	accountKind = requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT
	groupKind   = requestv1.EntitlementKind_ENTITLEMENT_KIND_GROUP

	active   = provisioningv1.GrantState_GRANT_STATE_ACTIVE
	pending  = provisioningv1.GrantState_GRANT_STATE_PENDING
	held     = provisioningv1.GrantState_GRANT_STATE_HELD
	revoked  = provisioningv1.GrantState_GRANT_STATE_REVOKED
	revoking = provisioningv1.GrantState_GRANT_STATE_REVOKING
	failed   = provisioningv1.GrantState_GRANT_STATE_FAILED
)

// world is an organization around the service under test.
type world struct {
	*servicetest.Harness
	org   uuid.UUID
	admin authz.Caller
	// kill ends the first replica.
	kill func()

	grants       provisioningv1.GrantServiceClient
	accounts     provisioningv1.AccountServiceClient
	items        provisioningv1.WorkItemServiceClient
	checklists   provisioningv1.ChecklistServiceClient
	integrations provisioningv1.IntegrationServiceClient

	// key and older are the encryption keys of the next replica.
	key   []byte
	older [][]byte
}

func start(t testing.TB) *world {
	t.Helper()
	return startAt(t, nil)
}

// startAt is start with a clock of its own, unless that is nil. Then nothing has to wait for
// the end of a lease, and calls may take as long as they do outside tests.
func startAt(t testing.TB, c clock.Clock, change ...func(*backend.Config)) *world {
	t.Helper()
	w := &world{org: id.New()}
	w.key = secretbox.NewKey()
	timing := provisioning.OperationTiming{
		CallTimeout: time.Second, Lease: 2 * time.Second, RetryFirst: 2 * time.Millisecond, RetryRemoval: 100 * time.Millisecond, LookEvery: 20 * time.Millisecond,
	}
	if c != nil {
		timing.CallTimeout, timing.Lease = provisioning.DefaultCallTimeout, provisioning.DefaultLease
	}
	var first sync.Once
	w.Harness = servicetest.StartWith(t, migrations.FS, migrations.Included(), func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		cfg.Clock = c
		for _, f := range change {
			f(&cfg)
		}
		killed := ctx
		first.Do(func() { killed, w.kill = context.WithCancel(ctx) })
		err := provisioning.Run(killed, provisioning.Config{
			Config: cfg, RequestAddr: cfg.IdentityAddr, EncryptionKey: w.key, OlderKeys: w.older, Outgoing: outgoing.Loopback(),
			OperationTiming: timing,
		}, lis, log)
		if err == nil {
			<-ctx.Done()
		}
		return err
	})
	w.admin = w.caller(authzv1.Caller_CALLER_ADMIN)
	conn := w.Conn(t, w.admin)
	w.grants, w.accounts, w.items, w.checklists, w.integrations = clients(conn)
	return w
}

func clients(conn grpc.ClientConnInterface) (provisioningv1.GrantServiceClient, provisioningv1.AccountServiceClient,
	provisioningv1.WorkItemServiceClient, provisioningv1.ChecklistServiceClient, provisioningv1.IntegrationServiceClient,
) {
	return provisioningv1.NewGrantServiceClient(conn), provisioningv1.NewAccountServiceClient(conn),
		provisioningv1.NewWorkItemServiceClient(conn), provisioningv1.NewChecklistServiceClient(conn), provisioningv1.NewIntegrationServiceClient(conn)
}

func (w *world) caller(role authzv1.Caller) authz.Caller {
	user := id.New()
	return authz.Caller{Subject: user.String(), UserID: user, OrganizationID: w.org, Role: role, Name: "Ada Admin", Email: "ada@example.com"}
}

// user makes a person who has joined.
func (w *world) user(t testing.TB, name string) *identityv1.User {
	t.Helper()
	u := &identityv1.User{
		Id: id.New().String(), OrganizationId: w.org.String(), UserName: name, DisplayName: name, Email: name + "@example.com",
		State: identityv1.UserState_USER_STATE_ACTIVE, Role: identityv1.Role_ROLE_MEMBER, Version: 1, JoinCount: 1,
	}
	w.Publish(t, w.org, uuid.MustParse(u.GetId()), &eventv1.UserJoined{User: u})
	return u
}

// leave removes a person.
func (w *world) leave(t testing.TB, u *identityv1.User) (eventID uuid.UUID, ev *eventv1.UserRemoved) {
	t.Helper()
	gone := proto.CloneOf(u)
	gone.State = identityv1.UserState_USER_STATE_REMOVED
	gone.Version++
	ev = &eventv1.UserRemoved{User: gone}
	return w.Publish(t, w.org, uuid.MustParse(u.GetId()), ev), ev
}

// app makes an app; integration may be empty.
func (w *world) app(t testing.TB, name string, mode requestv1.ProvisioningSupport, integration string, admins ...string) *requestv1.App {
	t.Helper()
	a := &requestv1.App{
		Id: id.New().String(), OrganizationId: w.org.String(), Name: name, Provisioning: mode, IntegrationId: integration, AdminIds: admins, Version: 1,
	}
	w.Publish(t, w.org, uuid.MustParse(a.GetId()), &eventv1.AppCreated{App: a})
	return a
}

// change publishes the app with its next version.
func (w *world) change(t testing.TB, a *requestv1.App, mode requestv1.ProvisioningSupport, integration string) {
	t.Helper()
	a.Version++
	a.Provisioning, a.IntegrationId = mode, integration
	w.Publish(t, w.org, uuid.MustParse(a.GetId()), &eventv1.AppUpdated{App: proto.CloneOf(a)})
}

func (w *world) entitlement(t testing.TB, a *requestv1.App, kind requestv1.EntitlementKind, name string) *requestv1.Entitlement {
	t.Helper()
	e := &requestv1.Entitlement{
		Id: id.New().String(), OrganizationId: w.org.String(), AppId: a.GetId(), Name: name, Kind: kind, Version: 1,
	}
	if kind != accountKind {
		e.Ref = name
	}
	w.Publish(t, w.org, uuid.MustParse(e.GetId()), &eventv1.EntitlementCreated{Entitlement: e, AppName: a.GetName()})
	return e
}

// integration makes one that reaches the app.
func (w *world) integration(t testing.TB, a *scimApp) string {
	t.Helper()
	r, err := w.integrations.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{
		Name: "scim " + id.New().String(), Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM,
		Scim: &provisioningv1.ScimSettings{BaseUrl: a.URL, Token: scimToken},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.GetIntegration().GetState(); s != provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING {
		t.Fatalf("integration is %s: %s", s, r.GetIntegration().GetStateDetail())
	}
	return r.GetIntegration().GetId()
}

// devs makes an automatic app with its target, and its group of developers.
func (w *world) devs(t *testing.T) (target *scimApp, app *requestv1.App, devs *requestv1.Entitlement) {
	t.Helper()
	target = newApp(t, "devs")
	app = w.app(t, "Automatic", automatic, w.integration(t, target))
	return target, app, w.entitlement(t, app, groupKind, "devs")
}

// ask is what is asked of the approved request.
type ask struct {
	join, revoke bool
	until        time.Time
}

// request makes a request that is ready to be approved.
func (w *world) request(u *identityv1.User, how ask, what ...*requestv1.Entitlement) *requestv1.Request {
	r := &requestv1.Request{
		Id: id.New().String(), OrganizationId: w.org.String(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT,
		Origin:      requestv1.RequestOrigin_REQUEST_ORIGIN_USER,
		Beneficiary: &identityv1.Person{UserId: u.GetId(), DisplayName: u.GetDisplayName(), Email: u.GetEmail()},
	}
	if how.join {
		r.Origin = requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN
	}
	if how.revoke {
		r.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE
	}
	if !how.until.IsZero() {
		r.Until = timestamppb.New(how.until)
	}
	for _, e := range what {
		r.Items = append(r.Items, &requestv1.RequestItem{Id: id.New().String(), EntitlementId: e.GetId(), EntitlementName: e.GetName(), AppId: e.GetAppId()})
	}
	return r
}

// approve approves a request, and returns it and the event's id.
func (w *world) approve(t testing.TB, r *requestv1.Request) uuid.UUID {
	t.Helper()
	return w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.ApprovalGranted{Request: r})
}

// give approves a grant of entitlements at once.
func (w *world) give(t testing.TB, u *identityv1.User, how ask, what ...*requestv1.Entitlement) *requestv1.Request {
	t.Helper()
	r := w.request(u, how, what...)
	w.approve(t, r)
	return r
}

// becomes waits until all grants of a request are in a state.
func (w *world) becomes(t testing.TB, r *requestv1.Request, state provisioningv1.GrantState) []*provisioningv1.Grant {
	t.Helper()
	var got []*provisioningv1.Grant
	servicetest.Eventually(t, "grants of the request are "+state.String(), func() bool {
		l, err := w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{RequestId: r.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		got = l.GetGrants()
		for _, g := range got {
			if g.GetState() != state {
				return false
			}
		}
		return len(got) == len(r.GetItems())
	})
	return got
}

// reaches waits until a count is what it should be, for as long as it changes: how long it
// takes is up to the machine.
func reaches(t testing.TB, what string, want int, count func() int) {
	t.Helper()
	for n := count(); n != want; {
		before := n
		servicetest.Eventually(t, fmt.Sprintf("%s: %d of %d, and no more", what, before, want), func() bool {
			n = count()
			return n != before
		})
	}
}

// open waits for the one open item about a person in an app.
func (w *world) open(t testing.TB, u *identityv1.User, a *requestv1.App, kind provisioningv1.WorkItemKind) *provisioningv1.WorkItem {
	t.Helper()
	var item *provisioningv1.WorkItem
	servicetest.Eventually(t, "an open item "+kind.String(), func() bool {
		l, err := w.items.ListWorkItems(t.Context(), &provisioningv1.ListWorkItemsRequest{UserId: u.GetId(), AppId: a.GetId(), Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.GetWorkItems()) > 1 {
			t.Fatalf("%d open items", len(l.GetWorkItems()))
		}
		if len(l.GetWorkItems()) == 1 {
			item = l.GetWorkItems()[0]
		}
		return item != nil
	})
	return item
}

// itemsOf are all items about a person, in any state.
func (w *world) itemsOf(t testing.TB, u *identityv1.User) (all []*provisioningv1.WorkItem) {
	t.Helper()
	for s := range provisioningv1.WorkItemState_name {
		if s == 0 {
			continue
		}
		l, err := w.items.ListWorkItems(t.Context(), &provisioningv1.ListWorkItemsRequest{UserId: u.GetId(), State: provisioningv1.WorkItemState(s)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l.GetWorkItems()...)
	}
	return all
}

func (w *world) resolve(t testing.TB, items ...*provisioningv1.WorkItem) []*provisioningv1.WorkItem {
	t.Helper()
	r := &provisioningv1.ResolveWorkItemsRequest{Note: "done by hand"}
	for _, i := range items {
		r.WorkItemIds = append(r.WorkItemIds, i.GetId())
	}
	got, err := w.checklists.ResolveWorkItems(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return got.GetWorkItems()
}

// lists are a person's checklists, open ones or closed ones.
func (w *world) lists(t testing.TB, u *identityv1.User, closed bool) []*provisioningv1.Checklist {
	t.Helper()
	l, err := w.checklists.ListChecklists(t.Context(), &provisioningv1.ListChecklistsRequest{UserId: u.GetId(), Closed: closed})
	if err != nil {
		t.Fatal(err)
	}
	if int(l.GetTotalSize()) != len(l.GetChecklists()) {
		t.Errorf("total_size %d of %d", l.GetTotalSize(), len(l.GetChecklists()))
	}
	return l.GetChecklists()
}

// metrics are what the first replica tells of itself.
func (w *world) metrics(t testing.TB) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.HTTPAddr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	data, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// said counts events of a type about a grant, of which there is at least one.
func said[M interface {
	proto.Message
	GetGrant() *provisioningv1.Grant
}](t *testing.T, w *world, grant string) (n int) {
	t.Helper()
	servicetest.Wait(t, w.Harness, func(m M) bool { return m.GetGrant().GetId() == grant })
	for _, m := range servicetest.All[M](w.Harness) {
		if m.GetGrant().GetId() == grant {
			n++
		}
	}
	return n
}
