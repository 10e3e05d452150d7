package command

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
	"gatehouse.dev/services/request/migrations"
)

// failer is what a test and a property test have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// now is when all of it happens.
var now = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func open(t *testing.T) *postgres.DB {
	t.Helper()
	return pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
}

func newCommands(db *postgres.DB) *Commands {
	queue, err := due.New(due.Config{DB: db, Clock: clock.Fixed(now)})
	if err != nil {
		panic(err)
	}
	return New(Config{DB: db, Events: outbox.NewWriter("request", nil), Clock: clock.Fixed(now), Due: queue})
}

// fixture is an organization with an app, and what is asked for there. It is the
// same wherever it is built.
type fixture struct {
	org      uuid.UUID
	app      string
	account  string
	requests []*requestv1.Request
	// cancelling is whether the cancellation of each was requested.
	cancelling []bool
}

// newFixture makes one request for each number, with that many items.
func newFixture(items ...int) *fixture {
	at := timestamppb.New(now.Add(-time.Hour))
	w := &fixture{org: id.New(), app: id.New().String(), account: id.New().String(), cancelling: make([]bool, len(items))}
	org := w.org.String()
	for _, n := range items {
		r := &requestv1.Request{
			Id: id.New().String(), OrganizationId: org, Kind: requestv1.RequestKind_REQUEST_KIND_GRANT,
			Origin:      requestv1.RequestOrigin_REQUEST_ORIGIN_USER,
			Requester:   &identityv1.Person{UserId: id.New().String(), DisplayName: "ann"},
			Beneficiary: &identityv1.Person{UserId: id.New().String(), DisplayName: "ben"},
			State:       requestv1.RequestState_REQUEST_STATE_SUBMITTED, CreateTime: at, UpdateTime: at, Version: 1,
		}
		for i := range n {
			r.Items = append(r.Items, &requestv1.RequestItem{
				Id: id.New().String(), EntitlementId: entitlement(w, i), EntitlementName: fmt.Sprint(i), AppId: w.app, AppName: "CRM",
				State: requestv1.ItemState_ITEM_STATE_PENDING, Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL,
			})
		}
		w.requests = append(w.requests, r)
	}
	return w
}

// stored is a request as the database holds it.
func stored(r *requestv1.Request) *store.Request {
	person := func(p *identityv1.Person) store.Person {
		return store.Person{ID: uuid.MustParse(p.GetUserId()), Name: p.GetDisplayName(), Email: p.GetEmail()}
	}
	out := &store.Request{
		ID: uuid.MustParse(r.GetId()), OrganizationID: uuid.MustParse(r.GetOrganizationId()), Kind: lifecycle.Grant, Origin: store.OriginUser,
		Requester: person(r.GetRequester()), Beneficiary: person(r.GetBeneficiary()), JoinCount: 1, State: lifecycle.Submitted,
		CreateTime: r.GetCreateTime().AsTime(), UpdateTime: r.GetUpdateTime().AsTime(), Version: 1,
	}
	for _, i := range r.GetItems() {
		out.Items = append(out.Items, &store.Item{
			ID: uuid.MustParse(i.GetId()), EntitlementID: uuid.MustParse(i.GetEntitlementId()), EntitlementName: i.GetEntitlementName(),
			AppID: uuid.MustParse(i.GetAppId()), AppName: i.GetAppName(), State: lifecycle.ItemPending, Provisioning: "manual",
		})
	}
	return out
}

// entitlement is the nth entitlement of the fixture's app.
func entitlement(w *fixture, n int) string {
	if n == 0 {
		return w.account
	}
	return uuid.NewSHA1(w.org, []byte{byte(n)}).String()
}

// build puts the fixture into a database.
func (w *fixture) build(ctx context.Context, t failer, db *postgres.DB) {
	t.Helper()
	h := newCommands(db)
	err := db.InOrganization(ctx, w.org, func(ctx context.Context, tx *postgres.Tx) error {
		account := store.Entitlement{
			ID: uuid.MustParse(w.account), OrganizationID: w.org, AppID: uuid.MustParse(w.app), Name: "account", Kind: "account", Risk: "unspecified", CreateTime: now, Version: 1,
		}
		app := store.App{
			ID: account.AppID, OrganizationID: w.org, Name: "CRM", Provisioning: "manual", DeprovisioningAction: "remove", AccountAdoption: "unspecified", CatalogState: "unspecified",
			CreateTime: now, UpdateTime: now, Version: 1,
		}
		if err := store.InsertApp(ctx, tx, app, account); err != nil {
			return err
		}
		for n := 1; n < 4; n++ {
			role := account
			role.ID, role.Name, role.Kind = uuid.MustParse(entitlement(w, n)), fmt.Sprint(n), "role"
			if err := store.InsertEntitlement(ctx, tx, role); err != nil {
				return err
			}
		}
		for n, r := range w.requests {
			c := store.NewChanges(w.org)
			c.Insert(store.New{Request: stored(r)})
			if err := c.Save(ctx, tx, h.Events, "insert"); err != nil {
				return err
			}
			if !w.cancelling[n] {
				continue
			}
			c = store.NewChanges(w.org)
			found, err := store.Load(ctx, tx, []uuid.UUID{uuid.MustParse(r.GetId())})
			if err != nil {
				return err
			}
			for _, r := range found {
				c.SetState(r, store.Transition{To: lifecycle.Cancelling, At: now.Add(-time.Minute)})
			}
			if err := c.SaveLater(ctx, tx, h.Events); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// handle has the events handled in batches, each of which ends before one of
// the cuts.
func (w *fixture) handle(ctx context.Context, t failer, db *postgres.DB, events []inbox.Event, cuts ...int) {
	t.Helper()
	h := newCommands(db)
	from := 0
	for _, to := range append(cuts, len(events)) {
		if from == to {
			continue
		}
		err := db.InOrganization(ctx, w.org, func(ctx context.Context, tx *postgres.Tx) error {
			return h.ApplyEvents(ctx, tx, events[from:to])
		})
		if err != nil {
			t.Fatal(err)
		}
		from = to
	}
}

// all is everything that stands in a database about the fixture, but for the ids
// that its own events were given.
func (w *fixture) all(ctx context.Context, t failer, db *postgres.DB) string {
	t.Helper()
	var out strings.Builder
	err := db.InOrganizationRead(ctx, w.org, func(ctx context.Context, tx *postgres.Tx) error {
		out.Reset()
		for _, q := range []string{
			`select row_to_json(r)::text from access_request r order by id`,
			`select row_to_json(i)::text from request_item i order by request_id, position`,
			`select row_to_json(g)::text from grant_copy g order by id`,
			`select row_to_json(v)::text from reviewer v order by request_id, user_id`,
			`select row_to_json(a)::text from action a order by request_id, id`,
			`select (to_jsonb(e) - case event when 'request.closed' then 'event_id' else '' end)::text from timeline_entry e order by 1`,
		} {
			rows, err := tx.Query(ctx, q)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, strings.Join(lines, "\n"))
		}
		for _, m := range w.closings(ctx, t, db) {
			fmt.Fprintln(&out, prototext.MarshalOptions{}.Format(m))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// closings are the events that were emitted, in order.
func (w *fixture) closings(ctx context.Context, t failer, db *postgres.DB) []*eventv1.RequestClosed {
	t.Helper()
	var out []*eventv1.RequestClosed
	err := db.InOrganizationRead(ctx, w.org, func(ctx context.Context, tx *postgres.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `select data, aggregate_id, event_time from outbox order by seq`)
		if err != nil {
			return err
		}
		var data []byte
		var request uuid.UUID
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&data, &request, &at}, func() error {
			m := &eventv1.RequestClosed{}
			if err := proto.Unmarshal(data, m); err != nil {
				return err
			}
			if r := m.GetRequest(); r.GetId() != request.String() || !r.GetCloseTime().AsTime().Equal(at) {
				return fmt.Errorf("emitted of %s at %s: %v", request, at, m)
			}
			out = append(out, m)
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// emitter makes events. The clocks of their services are not the one here: every
// third is ahead.
type emitter struct {
	of     *fixture
	events []inbox.Event
	// last is a task that is open.
	last *approvalv1.Task
}

// ended is that task as it ended.
func (n *emitter) ended(as approvalv1.TaskState) *approvalv1.Task {
	t := proto.CloneOf(n.last)
	t.State = as
	return t
}

func (n *emitter) emit(m proto.Message) {
	at := now.Add(time.Duration(len(n.events)) * time.Second)
	if len(n.events)%3 > 0 {
		at = at.Add(-30 * time.Minute)
	}
	n.events = append(n.events, inbox.Event{
		ID: id.New(), OrganizationID: n.of.org, Type: string(m.ProtoReflect().Descriptor().FullName()), Time: at, Message: m,
	})
}

var pia = &identityv1.Person{UserId: "0192f0c1-7a3b-7cde-8f00-112233445566", DisplayName: "pia", Email: "pia@example.com"}

func about(r *requestv1.Request, also ...string) *eventv1.Context {
	return &eventv1.Context{
		Actor:      event.UserActor(pia.GetUserId(), "pia"),
		RequestIds: append([]string{r.GetId()}, also...), UserId: r.GetBeneficiary().GetUserId(),
	}
}

// asked emits that reviewers have tasks; version is that of the flow, 0 if the
// event has none.
func (n *emitter) asked(r *requestv1.Request, version int32) {
	item := r.GetItems()[0].GetId()
	task := func(reviewer *identityv1.Person) *approvalv1.Task {
		return &approvalv1.Task{Id: id.New().String(), RequestId: r.GetId(), ItemId: item, Step: 1, StepName: "owner", Reviewer: reviewer}
	}
	decided, another := task(pia), task(r.GetRequester())
	another.Substitution = "for pia"
	m := &eventv1.ApprovalRequested{
		Context: about(r), RequestId: r.GetId(), ItemId: item, Step: 1, StepName: "owner", Tasks: []*approvalv1.Task{decided, another},
		PlannedSteps: []*eventv1.PlannedStep{{NeededApprovals: 1}, {NeededApprovals: 2}},
	}
	n.last = another
	if version > 0 {
		m.FlowId, m.FlowVersion = n.of.org.String(), version
	}
	n.emit(m)
	decided = proto.CloneOf(decided)
	decided.State, decided.Comment = approvalv1.TaskState_TASK_STATE_APPROVED, "fine"
	n.emit(&eventv1.ApprovalDecided{Context: about(r), Task: decided, StepApproved: version%2 == 1})
}

func (n *emitter) granted(r *requestv1.Request, version int32, also ...string) {
	n.emit(&eventv1.ApprovalGranted{
		Context: about(r, also...), Request: r, FlowId: n.of.app, FlowVersion: version, Automatic: version == 2,
	})
}

// given emits that an item's grant is active.
func (n *emitter) given(r *requestv1.Request, item int) *provisioningv1.Grant {
	i := r.GetItems()[item]
	g := &provisioningv1.Grant{
		Id: id.New().String(), User: r.GetBeneficiary(), AppName: "CRM", EntitlementId: i.GetEntitlementId(), EntitlementName: "role",
		RequestId: r.GetId(), ItemId: i.GetId(), State: provisioningv1.GrantState_GRANT_STATE_PENDING, Version: 1,
		Until: timestamppb.New(now.Add(time.Hour)),
	}
	n.emit(&eventv1.GrantCreated{Context: about(r), Grant: g})
	g = n.next(g, provisioningv1.GrantState_GRANT_STATE_ACTIVE)
	g.ActivateTime = timestamppb.New(now)
	n.emit(&eventv1.GrantActivated{Context: about(r), Grant: g})
	return g
}

func (*emitter) next(g *provisioningv1.Grant, s provisioningv1.GrantState) *provisioningv1.Grant {
	g = proto.Clone(g).(*provisioningv1.Grant)
	g.State = s
	g.Version++
	return g
}

// taken emits that a grant has ended and was revoked.
func (n *emitter) taken(r *requestv1.Request, g *provisioningv1.Grant) {
	g = n.next(g, provisioningv1.GrantState_GRANT_STATE_REVOKING)
	g.EndReason = provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED
	n.emit(&eventv1.GrantEnded{Context: about(r), Grant: g})
	n.emit(&eventv1.GrantRevoked{Context: about(r), Grant: n.next(g, provisioningv1.GrantState_GRANT_STATE_REVOKED)})
}

// life emits what happens to a request from its submission to its end, and
// events that do not change its state.
func (n *emitter) life(r *requestv1.Request) {
	n.asked(r, 0)
	n.emit(&eventv1.TaskReassigned{
		Context: about(r), From: n.ended(approvalv1.TaskState_TASK_STATE_REASSIGNED),
		To: &approvalv1.Task{Id: id.New().String(), ItemId: n.last.GetItemId(), Step: 1, Reviewer: r.GetBeneficiary()}, Reason: "knows better",
	})
	n.emit(&eventv1.TaskReminded{Context: about(r), RequestId: r.GetId(), Tasks: []*approvalv1.Task{{Reviewer: pia}}})
	n.emit(&eventv1.ApprovalEscalated{
		Context: about(r), RequestId: r.GetId(), ItemId: r.GetItems()[0].GetId(), Step: 1, StepName: "Manager", Tasks: []*approvalv1.Task{{Reviewer: r.GetBeneficiary()}},
	})
	n.granted(r, 3)
	for item := range r.GetItems() {
		item := n.given(r, item)
		n.emit(&eventv1.GrantExpiring{Context: about(r), Grant: n.next(item, provisioningv1.GrantState_GRANT_STATE_ACTIVE)})
	}
	work := &provisioningv1.WorkItem{Id: id.New().String(), AppName: "CRM", Note: "by hand", Kind: provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN}
	n.emit(&eventv1.WorkItemOpened{Context: about(r, n.of.requests[0].GetId()), WorkItem: work})
	work = proto.CloneOf(work)
	work.State, work.Resolver = provisioningv1.WorkItemState_WORK_ITEM_STATE_RESOLVED, pia
	n.emit(&eventv1.WorkItemResolved{Context: about(r), WorkItem: work})
	work = proto.CloneOf(work)
	work.Id, work.State = id.New().String(), provisioningv1.WorkItemState_WORK_ITEM_STATE_CANCELLED
	n.emit(&eventv1.WorkItemCancelled{Context: about(r), WorkItem: work})
}

// another emits something else that may happen to a request.
func (n *emitter) another(r *requestv1.Request, which, item int) {
	switch which {
	case 0:
		n.asked(r, 1)
	case 1:
		n.granted(r, 2)
	case 2:
		n.granted(r, 0, n.of.requests[0].GetId())
	case 3:
		n.emit(&eventv1.ApprovalDenied{
			Context: about(r), RequestId: r.GetId(), Reviewer: pia, Reason: "no", Task: &approvalv1.Task{
				Id: id.New().String(), ItemId: r.GetItems()[item].GetId(), Step: 1, Reviewer: pia, State: approvalv1.TaskState_TASK_STATE_DENIED,
			},
		})
	case 4:
		m := &eventv1.ApprovalCancelled{Context: about(r), RequestId: r.GetId(), Reason: "not needed"}
		if item > 0 { // the others are decided
			m.ItemIds = []string{r.GetItems()[item].GetId()}
		}
		n.emit(m)
	case 5:
		n.taken(r, n.given(r, item))
	case 6: // never was in place
		n.given(r, item)
		opened := n.events[len(n.events)-2]
		n.events = n.events[:len(n.events)-1]
		n.taken(r, opened.Message.(*eventv1.GrantCreated).GetGrant())
	case 7: // the app is away, for a while
		active := n.given(r, item)
		failed := n.next(active, provisioningv1.GrantState_GRANT_STATE_FAILED)
		failed.Error = "away"
		n.emit(&eventv1.GrantFailed{Context: about(r), Grant: failed})
	case 8:
		n.emit(&eventv1.RevocationCompleted{
			Context: about(r), RequestId: r.GetId(), ItemId: r.GetItems()[item].GetId(),
		})
	case 9: // an item of another request
		n.emit(&eventv1.RevocationCompleted{
			Context: about(r), RequestId: r.GetId(), ItemId: n.of.requests[0].GetItems()[0].GetId(),
		})
	default:
		n.life(r)
	}
}

// B-REQ-03, B-REQ-15, B-RUN-02: events in any order, delivered any number of
// times and split into any batches, have the same result as events handled one by
// one.
func TestAnyBatchesAreAsOneByOne(t *testing.T) {
	t.Parallel()
	single, batched := open(t), open(t)
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		w := newFixture(rapid.SliceOfN(rapid.IntRange(1, 3), 1, 4).Draw(rt, "items")...)
		for i := range w.cancelling {
			w.cancelling[i] = rapid.Bool().Draw(rt, "cancelling")
		}
		theirs := newFixture(1) // of another organization
		unknown := newFixture(1).requests[0]
		n := &emitter{of: w}
		for range rapid.IntRange(1, 5).Draw(rt, "things") {
			r := rapid.SampledFrom(append(w.requests, theirs.requests[0], unknown)).Draw(rt, "request")
			n.another(r, rapid.IntRange(0, 11).Draw(rt, "which"), rapid.IntRange(0, len(r.GetItems())-1).Draw(rt, "item"))
		}
		events := n.events
		if rapid.Bool().Draw(rt, "twice") {
			events = append(events, events...)
		}
		if rapid.Bool().Draw(rt, "shuffled") {
			events = rapid.Permutation(events).Draw(rt, "order")
		}
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(events)), 0, 4).Draw(rt, "cuts")
		slices.Sort(cuts)
		var each []int
		for i := range events {
			each = append(each, i)
		}

		for _, db := range []*postgres.DB{single, batched} {
			w.build(ctx, rt, db)
			theirs.build(ctx, rt, db)
		}
		before := theirs.all(ctx, rt, batched)
		w.handle(ctx, rt, single, events, each...)
		w.handle(ctx, rt, batched, events, cuts...)
		if got, want := w.all(ctx, rt, batched), w.all(ctx, rt, single); got != want {
			rt.Fatalf("in batches\n%s\none by one\n%s", got, want)
		}
		if after := theirs.all(ctx, rt, batched); after != before {
			rt.Fatalf("another organization's were\n%s\nare\n%s", before, after)
		}
	})
}

// B-REQ-03, B-REQ-15, B-RUN-02: the whole lives of several requests at once,
// in order or in none, each event twice, in one batch or in several.
func TestLivesAtOnce(t *testing.T) {
	t.Parallel()
	const lives = 6
	for _, tc := range []struct {
		name             string
		shuffled, twice  bool
		split, backwards bool
	}{
		{name: "in order"},
		{name: "backwards", backwards: true},
		{name: "in no order", shuffled: true},
		{name: "each twice", twice: true},
		{name: "each twice, in no order", twice: true, shuffled: true},
		{name: "split", split: true},
		{name: "all of it", twice: true, shuffled: true, split: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(3, 5)) //nolint:gosec // repeatable on purpose
			db := open(t)
			w := newFixture(slices.Repeat([]int{2}, lives)...)
			w.build(t.Context(), t, db)
			n := &emitter{of: w}
			for _, r := range w.requests {
				n.life(r)
			}
			events := n.events
			if tc.twice {
				events = append(events, events...)
			}
			if tc.backwards {
				slices.Reverse(events)
			}
			if tc.shuffled {
				rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			}
			var cuts []int
			if tc.split {
				for range 5 {
					cuts = append(cuts, rng.IntN(len(events)))
				}
				slices.Sort(cuts)
			}
			w.handle(t.Context(), t, db, events, cuts...)

			closings := w.closings(t.Context(), t, db)
			if len(closings) != lives {
				t.Errorf("%d closings", len(closings))
			}
			err := db.InOrganizationRead(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
				for _, r := range w.requests {
					got, err := store.ByID(ctx, tx, uuid.MustParse(r.GetId()))
					if err != nil {
						return err
					}
					if got.State != lifecycle.Fulfilled || got.FlowVersion != 3 || got.FlowID.UUID.String() != w.app ||
						!slices.Equal(got.ItemStates(), []lifecycle.Item{lifecycle.ItemFulfilled, lifecycle.ItemFulfilled}) {
						t.Errorf("is %v", convert.Request(got))
					}
					closed := slices.IndexFunc(closings, func(m *eventv1.RequestClosed) bool { return m.GetRequest().GetId() == r.GetId() })
					if closed < 0 || closings[closed].GetContext().GetVersion() > got.Version {
						t.Errorf("closing %d", closed)
					}
				}
				for q, want := range map[string]int{
					// 16 of each, and the first has a share in one of each other's.
					`select count(*) from timeline_entry`:                                    16*lives + lives - 1,
					`select count(*) from timeline_entry where event = 'request.closed'`:     lives,
					`select count(*) from grant_copy where state = 'active' and version = 3`: 2 * lives,
					`select count(*) from reviewer`:                                          3 * lives,
					// Whatever comes first, nobody is asked any more.
					`select count(*) from action where state = 'done'`:      2 * lives,
					`select count(*) from action where state = 'withdrawn'`: 3 * lives,
					`select count(*) from action where state = 'open'`:      lives - 1,
				} {
					var n int
					if err := tx.QueryRow(ctx, q).Scan(&n); err != nil {
						return err
					}
					if n != want {
						t.Errorf("%s: %d, want %d", q, n, want)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// The number of statements does not depend on the number of events in a batch;
// events that change no request read nothing.
func TestStatements(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	db, err := postgres.Open(t.Context(), postgres.Config{
		URLs: pgtest.URLs(t, pgtest.New(t, backend.Schema(migrations.FS, migrations.Included()...)...)), Name: "test", Tracer: traces,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// statements counts what is sent for events, but for begin, scope and commit.
	statements := func(w *fixture, events []inbox.Event) (n int) {
		t.Helper()
		ctx, span := traces.Tracer("test").Start(t.Context(), "events")
		defer span.End()
		spans.Reset()
		w.handle(ctx, t, db, events)
		for _, s := range spans.Ended() {
			for _, a := range s.Attributes() {
				if a.Key == "db.operation.batch.size" {
					n += int(a.Value.AsInt64())
				}
			}
		}
		return n - 3
	}
	for _, lives := range []int{1, 20} {
		w := newFixture(slices.Repeat([]int{2}, lives)...)
		w.build(t.Context(), t, db)
		n := &emitter{of: w}
		for _, r := range w.requests {
			n.life(r)
		}
		// Two to read, and one for each of: requests, items, timeline,
		// reviewers, what belongs to closed requests, actions, actions that are withdrawn, grants, outbox.
		if got := statements(w, n.events); got != 11 {
			t.Errorf("%d statements for %d events", got, len(n.events))
		}
		n.events = nil
		for _, r := range w.requests {
			n.emit(&eventv1.WorkItemOpened{Context: about(r)})
			n.emit(&eventv1.GrantCreated{Context: about(r), Grant: &provisioningv1.Grant{
				Id: id.New().String(), User: r.GetBeneficiary(), EntitlementId: id.New().String(), RequestId: r.GetId(), Version: 1,
			}})
		}
		if got := statements(w, n.events); got != 2 {
			t.Errorf("%d statements for %d events that move nothing", got, len(n.events))
		}
	}
}

// Every event that [Commands.ApplyEvents] is given has an effect, and one that
// lacks its ids is refused before anything is done.
func TestEveryEventHasAnEffect(t *testing.T) {
	t.Parallel()
	for _, m := range AppliedEvents() {
		e, err := effectOf(inbox.Event{ID: id.New(), Message: m.ProtoReflect().New().Interface()})
		if err == nil && e.entry.Text == "" || err != nil && !strings.Contains(err.Error(), "must be an id") {
			t.Errorf("%T: %v, %v", m, e, err)
		}
	}
}

// BenchmarkLives handles the whole lives of requests, in batches as they come
// under load.
func BenchmarkLives(b *testing.B) {
	for _, size := range []int{1, 36} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := pgtest.Open(b, backend.Schema(migrations.FS, migrations.Included()...)...)
			w := newFixture(slices.Repeat([]int{1}, b.N)...)
			w.build(b.Context(), b, db)
			n := &emitter{of: w}
			for _, r := range w.requests {
				n.asked(r, 1)
				n.granted(r, 1)
				n.given(r, 0)
			}
			var cuts []int
			for i := size; i < len(n.events); i += size {
				cuts = append(cuts, i)
			}
			b.ResetTimer()
			w.handle(b.Context(), b, db, n.events, cuts...)
			b.ReportMetric(float64(len(n.events))/b.Elapsed().Seconds(), "events/s")
		})
	}
}
