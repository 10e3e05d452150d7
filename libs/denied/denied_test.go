package denied_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/denied"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }

// world is a recorder and the outbox that it writes into.
type world struct {
	t     *testing.T
	url   string
	db    *postgres.DB
	clock *clock.Manual
	*denied.Recorder
	stop func()
}

func start(t *testing.T, limits denied.Limits) *world {
	t.Helper()
	w := &world{t: t, url: pgtest.New(t, outbox.Schema()), clock: clock.NewManual(clock.System{}.Now())}
	w.db = pgtest.Connect(t, w.url)
	var err error
	w.Recorder, err = denied.New(denied.Config{
		Service: "request", DB: w.db, Events: outbox.NewWriter("request", nil), Clock: w.clock, Limits: limits, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

// written are the entries so far, of an organization, in their order.
func (w *world) written(organization uuid.UUID) (entries []*eventv1.CallDenied) {
	w.t.Helper()
	err := w.db.AsSystemRead(w.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, "select o.data from outbox o where o.organization_id = $1 order by o.seq", organization)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		for _, data := range all {
			e := new(eventv1.CallDenied)
			if err := proto.Unmarshal(data, e); err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return entries
}

// await waits for a number of entries.
func (w *world) await(organization uuid.UUID, n int) []*eventv1.CallDenied {
	w.t.Helper()
	var entries []*eventv1.CallDenied
	servicetest.Eventually(w.t, fmt.Sprintf("%d entries", n), func() bool {
		entries = w.written(organization)
		return len(entries) >= n
	})
	if len(entries) > n {
		w.t.Fatalf("%d entries, want %d: %v", len(entries), n, entries)
	}
	return entries
}

func total(entries []*eventv1.CallDenied) (n int64) {
	for _, e := range entries {
		n += e.GetCount()
	}
	return n
}

func caller() authz.Caller {
	u := id.New()
	return authz.Caller{
		Subject: u.String(), UserID: u, OrganizationID: id.New(), EnvironmentID: id.New(), CredentialID: id.New(),
		Role: authzv1.Caller_CALLER_MEMBER, Name: "Mia Member", Email: "mia@corp.example",
	}
}

// call is a refused call of a caller.
func (w *world) call(c authz.Caller, method, address string) {
	ctx := authz.WithCall(w.t.Context(), "", netip.MustParseAddr(address))
	w.Denied(ctx, authz.Denial{Caller: c, Method: method, Reason: "ROLE_NOT_ALLOWED"})
}

// The first call is told of at once, those after it once a minute with their number,
// and none is counted twice or not at all.
func TestRepeatsAreCounted(t *testing.T) {
	t.Parallel()
	w := start(t, denied.Limits{})
	mia := caller()
	begin := w.clock.Now()
	w.call(mia, "a.S/M", "192.0.2.7")
	first := w.await(mia.OrganizationID, 1)[0]
	want := &eventv1.CallDenied{
		Context: &eventv1.Context{
			Actor:  &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_USER, Id: mia.UserID.String(), DisplayName: "Mia Member"},
			UserId: mia.UserID.String(), EnvironmentId: mia.EnvironmentID.String(),
		},
		CallId: first.GetCallId(), Method: "a.S/M", Reason: "ROLE_NOT_ALLOWED", CredentialId: mia.CredentialID.String(), Address: "192.0.2.7",
		Count: 1, FirstTime: first.GetFirstTime(),
	}
	if !proto.Equal(first, want) || !first.GetFirstTime().AsTime().Equal(begin) || uuid.MustParse(first.GetCallId()) == uuid.Nil {
		t.Errorf("got  %v\nwant %v", first, want)
	}
	w.clock.Advance(time.Second)
	for range 199 {
		w.call(mia, "a.S/M", "192.0.2.7")
	}
	w.clock.Advance(denied.Window - 2*time.Second)
	w.call(mia, "a.S/N", "192.0.2.7") // another method is another kind
	if all := w.await(mia.OrganizationID, 2); all[1].GetMethod() != "a.S/N" {
		t.Fatalf("told of before the minute was over: %v", all[1])
	}
	w.clock.Advance(time.Second)
	all := w.await(mia.OrganizationID, 3)
	if e := all[2]; e.GetCount() != 199 || e.GetCallId() != first.GetCallId() || !e.GetFirstTime().AsTime().Equal(begin.Add(time.Second)) || total(all) != 201 {
		t.Errorf("the repeats are told of as %v", e)
	}
	// A quiet minute is told of by nothing, and begins anew.
	w.clock.Advance(denied.Window)
	w.clock.Advance(denied.Window)
	w.call(mia, "a.S/M", "192.0.2.7")
	if e := w.await(mia.OrganizationID, 4)[3]; e.GetCount() != 1 {
		t.Errorf("after a quiet time: %v", e)
	}
}

// Whoever varies what can be varied makes no more entries than the limit, and no other
// organization's log knows of it.
func TestKindsAreBounded(t *testing.T) {
	t.Parallel()
	w := start(t, denied.Limits{Kinds: 3, Organization: 6, All: 20})
	mia, ben := caller(), caller()
	for n := range 500 {
		w.call(mia, fmt.Sprintf("a.S/M%d", n), fmt.Sprintf("2001:db8::%x", n+1))
	}
	w.call(ben, "a.S/M", "192.0.2.7")
	w.await(ben.OrganizationID, 1)
	w.clock.Advance(denied.Window)
	w.stop()
	all := w.written(mia.OrganizationID)
	if len(all) > 5 || total(all) != 500 {
		t.Errorf("%d entries of %d calls, want 3 kinds and the rest, of 500", len(all), total(all))
	}
	if i := slices.IndexFunc(all, func(e *eventv1.CallDenied) bool {
		return e.GetMethod() == "" && e.GetAddress() == "" && e.GetReason() == "" &&
			e.GetCredentialId() == mia.CredentialID.String() && e.GetContext().GetActor().GetId() == mia.UserID.String()
	}); i < 0 {
		t.Errorf("the rest is not told of: %v", all)
	}
	if n := total(w.written(ben.OrganizationID)); n != 1 {
		t.Errorf("another organization has %d", n)
	}
}

// Many callers of one organization are bounded as well, and leave others their room.
func TestOrganizationsAreBounded(t *testing.T) {
	t.Parallel()
	w := start(t, denied.Limits{Kinds: 3, Organization: 6, All: 20})
	mia, ben := caller(), caller()
	for range 300 {
		one := caller()
		one.OrganizationID, one.EnvironmentID = mia.OrganizationID, mia.EnvironmentID
		w.call(one, "a.S/M", "192.0.2.7")
	}
	w.call(ben, "a.S/M", "192.0.2.7")
	w.stop()
	all := w.written(mia.OrganizationID)
	if len(all) > 9 || total(all) != 300 {
		t.Errorf("%d entries of %d calls, want 6 and the rest, of 300", len(all), total(all))
	}
	if i := slices.IndexFunc(all, func(e *eventv1.CallDenied) bool {
		return e.GetContext().GetActor().GetKind() == eventv1.ActorKind_ACTOR_KIND_SYSTEM && e.GetContext().GetActor().GetId() == "request"
	}); i < 0 {
		t.Errorf("the rest is not told of: %v", all)
	}
	if e := w.written(ben.OrganizationID); len(e) != 1 || e[0].GetCredentialId() != ben.CredentialID.String() {
		t.Errorf("another organization has %v", e)
	}
}

// What is counted is written at a clean stop.
func TestStop(t *testing.T) {
	t.Parallel()
	w := start(t, denied.Limits{})
	mia := caller()
	w.call(mia, "a.S/M", "192.0.2.7")
	w.await(mia.OrganizationID, 1)
	for range 7 {
		w.call(mia, "a.S/M", "192.0.2.7")
	}
	w.stop()
	if all := w.written(mia.OrganizationID); len(all) != 2 || total(all) != 8 {
		t.Errorf("%d entries of %d calls, want 2 of 8", len(all), total(all))
	}
}

// While the database refuses to write, calls are counted, and told of when it does
// again.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	w := start(t, denied.Limits{})
	admin, err := pgx.Connect(t.Context(), pgtest.Admin(t, w.url))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	do := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do("alter table outbox add constraint broken check (false) not valid")
	mia := caller()
	for range 50 {
		w.call(mia, "a.S/M", "192.0.2.7")
	}
	w.clock.Advance(2 * denied.Window)
	for range 50 {
		w.call(mia, "a.S/M", "192.0.2.7")
	}
	if n := len(w.written(mia.OrganizationID)); n != 0 {
		t.Fatalf("%d entries were written", n)
	}
	do("alter table outbox drop constraint broken")
	servicetest.Eventually(t, "what was counted is written", func() bool { return total(w.written(mia.OrganizationID)) >= 50 })
	w.stop()
	if all := w.written(mia.OrganizationID); total(all) != 100 || len(all) > 3 {
		t.Errorf("%d entries of %d calls, want all 100", len(all), total(all))
	}
}

// An entry that cannot be written holds up no other.
func TestOneThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := start(t, denied.Limits{})
	admin, err := pgx.Connect(t.Context(), pgtest.Admin(t, w.url))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	stubborn, others := caller(), []authz.Caller{caller(), caller(), caller()}
	if _, err := admin.Exec(t.Context(), "alter table outbox add constraint broken check (organization_id <> '"+stubborn.OrganizationID.String()+"')"); err != nil {
		t.Fatal(err)
	}
	w.call(stubborn, "a.S/M", "192.0.2.7")
	for _, c := range others {
		w.call(c, "a.S/M", "192.0.2.7")
	}
	for _, c := range others {
		w.await(c.OrganizationID, 1)
	}
	if n := len(w.written(stubborn.OrganizationID)); n != 0 {
		t.Errorf("%d entries of the one that cannot be written", n)
	}
}

// What belongs to no organization is in none's log.
func TestNoOrganization(t *testing.T) {
	t.Parallel()
	w := start(t, denied.Limits{})
	w.Denied(t.Context(), authz.Denial{Method: "a.S/M", Reason: "TOKEN_INVALID"})
	w.Denied(t.Context(), authz.Denial{Caller: authz.Caller{Subject: "client:request", Role: authzv1.Caller_CALLER_SERVICE}, Method: "a.S/M", Reason: "ROLE_NOT_ALLOWED"})
	w.Unknown(t.Context(), "TOKEN_INVALID")
	w.stop()
	var n int
	err := w.db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from outbox").Scan(&n)
	})
	if err != nil || n != 0 {
		t.Errorf("%d entries, %v", n, err)
	}
}
