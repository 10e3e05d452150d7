package command

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/libs/telemetry"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/store"
	"gatehouse.dev/services/provisioning/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is an app that remembers its accounts, and can be made to wait.
type app struct {
	connector.Connector // nil: what is not below is not called

	mu    sync.Mutex
	calls map[string]int // of EnsureAccount, by user
	// traces are those of the last calls, by user.
	traces map[string]string
	// hold is closed to let calls go on; nil does not hold them.
	hold chan struct{}
}

func (a *app) EnsureAccount(ctx context.Context, p connector.Person, _ string) (connector.Account, error) {
	a.mu.Lock()
	a.calls[p.UserID]++
	a.traces[p.UserID] = telemetry.TraceID(telemetry.Traceparent(ctx))
	hold := a.hold
	a.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return connector.Account{}, connector.NewError(connector.Retryable, ctx.Err(), "stopped")
		}
	}
	return connector.Account{ID: "account of " + p.UserID, UserName: p.UserName}, nil
}

// UpdateAccount is called after a call of EnsureAccount of which nothing was heard.
func (a *app) UpdateAccount(context.Context, string, connector.Person) error { return nil }

func (a *app) RemoveAccount(context.Context, string, connector.Removal) error { return nil }

// called is how many accounts were asked for, and how often.
func (a *app) called() (accounts, calls int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.calls {
		calls += n
	}
	return len(a.calls), calls
}

// world is an engine with its database, and one organization.
type world struct {
	*Engine
	t   testing.TB
	url string
	org uuid.UUID
	app *app

	target, integration, account uuid.UUID // the automatic app
	tenant                       uuid.UUID // where the integration leads
}

// newWorld makes an organization with one automatic app. Nothing runs.
func newWorld(t testing.TB, timing Timing) *world {
	w := &world{
		t: t, url: pgtest.New(t, backend.Schema(migrations.FS, migrations.Included()...)...), org: id.New(), app: &app{calls: map[string]int{}, traces: map[string]string{}},
		target: id.New(), integration: id.New(), account: id.New(),
	}
	w.Engine = w.engine(timing)
	w.do(func(ctx context.Context, tx *postgres.Tx) error {
		err := store.CreateIntegration(ctx, tx, store.Integration{
			ID: w.integration, OrganizationID: w.org, Name: "app", Kind: "scim", Access: "read_write", Secret: []byte{1}, State: "working", CreateTime: time.Now(), Version: 1,
		})
		if err != nil {
			return err
		}
		i, err := store.GetIntegration(ctx, tx, w.integration)
		if err != nil {
			return err
		}
		w.tenant = i.Tenant
		return copies.Apply(ctx, tx, w.org, w.automatic(w.integration, 1), &requestv1.Entitlement{
			Id: w.account.String(), AppId: w.target.String(), Name: "account", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT,
		})
	})
	return w
}

// automatic is the automatic app in a version, with an integration.
func (w *world) automatic(integration uuid.UUID, version int64) *requestv1.App {
	return &requestv1.App{
		Id: w.target.String(), Name: "App", Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC,
		IntegrationId: integration.String(), Version: version,
	}
}

// engine makes a replica on the world's database.
func (w *world) engine(timing Timing) *Engine {
	w.t.Helper()
	db := pgtest.Connect(w.t, w.url)
	queue, err := due.New(due.Config{DB: db})
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := New(Config{
		DB: db, Due: queue, Events: outbox.NewWriter("provisioning", nil), Timing: timing,
		Connect: func(context.Context, uuid.UUID, uuid.UUID, int64) (Connection, error) {
			return Connection{Connector: w.app, Tenant: w.tenant}, nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// run has an engine run operations, until stop is called or the test ends.
func (w *world) run(e *Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.RunOperations(ctx)
	}()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	w.eventually("operations are run", func() bool { return !e.pool.closed() })
	return stop
}

func (w *world) do(f func(ctx context.Context, tx *postgres.Tx) error) {
	w.t.Helper()
	if err := w.in(w.t.Context(), scope.Organization(w.org), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(sql string, args ...any) (n int) {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *postgres.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) })
	return n
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

// users makes people.
func (w *world) users(n int) []uuid.UUID {
	w.t.Helper()
	users := make([]uuid.UUID, n)
	joined := make([]proto.Message, n)
	for i := range users {
		users[i] = id.New()
		joined[i] = &identityv1.User{
			Id: users[i].String(), UserName: fmt.Sprint("user", i), DisplayName: fmt.Sprint("User ", i),
			State: identityv1.UserState_USER_STATE_ACTIVE, JoinCount: 1,
		}
	}
	w.do(func(ctx context.Context, tx *postgres.Tx) error { return copies.Apply(ctx, tx, w.org, joined...) })
	return users
}

// approval is an approval of the account for a user.
func (w *world) approval(user uuid.UUID) inbox.Event {
	return inbox.Event{ID: id.New(), OrganizationID: w.org, Message: &eventv1.ApprovalGranted{Request: &requestv1.Request{
		Id: id.New().String(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, Beneficiary: &identityv1.Person{UserId: user.String()},
		Items: []*requestv1.RequestItem{{Id: id.New().String(), AppId: w.target.String(), EntitlementId: w.account.String()}},
	}}}
}

// approved handles events as the consumer does.
func (w *world) approved(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
	approvals, err := convert.Approvals(events)
	if err != nil {
		return err
	}
	return w.Approve(ctx, tx, approvals)
}

// approve has all of the users given the account, together.
func (w *world) approve(users ...uuid.UUID) {
	w.t.Helper()
	var events []inbox.Event
	for _, u := range users {
		events = append(events, w.approval(u))
	}
	w.do(func(ctx context.Context, tx *postgres.Tx) error { return w.approved(ctx, tx, events) })
}

// allActive waits until so many grants are active, each emitted once.
func (w *world) allActive(n int) {
	w.t.Helper()
	w.eventually("all grants are active", func() bool {
		return w.count(`select count(*) from access_grant where state = 'active'`) == n
	})
	if emitted := w.count(`select count(*) from outbox where type = 'gatehouse.event.v1.GrantActivated'`); emitted != n {
		w.t.Errorf("activated emitted %d times of %d grants", emitted, n)
	}
	if left := w.count(`select count(*) from operation where state <> 'done'`); left != 0 {
		w.t.Errorf("%d operations left", left)
	}
}
