package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }

// counter is a table whose one row transactions wait for.
var counter = postgres.Set{FS: fstest.MapFS{"00001_counter.sql": {Data: []byte(`-- +goose Up
create table counter (n bigint not null);
insert into counter values (0);`)}}}

// world is a service's database and bus, and one replica's way to events.
type world struct {
	t      *testing.T
	org    uuid.UUID
	url    string
	db     *postgres.DB
	nats   *bustest.Server
	bus    *bus.Bus
	writer *outbox.Writer
	relay  *outbox.Relay
	stop   func()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, org: id.New(), url: pgtest.New(t, outbox.Schema(), counter), nats: bustest.New(t)}
	w.join()
	return w
}

// join adds a replica to the world, as its own world.
func (w *world) join() {
	w.t.Helper()
	w.db = pgtest.Connect(w.t, w.url)
	w.bus = bustest.Open(w.t, w.nats.URL())
	relay, err := outbox.NewRelay(outbox.RelayConfig{DB: w.db, Bus: w.bus, Source: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.relay, w.writer = relay, outbox.NewWriter("test", relay.Wake)
}

// run runs the relay until the end of the test or until stop is called.
func (w *world) run() {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.relay.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
}

// event is the nth one of the world.
func (w *world) event(n int) outbox.Event {
	return outbox.Event{
		OrganizationID: w.org, AggregateID: w.org,
		Message: &eventv1.GroupCreated{Context: about(n)},
	}
}

// about is the context of the nth event.
func about(n int) *eventv1.Context {
	return &eventv1.Context{Actor: event.SystemActor("test"), Version: int64(n)}
}

// add commits events from to to-1, each in a transaction of its own.
func (w *world) add(from, to int) {
	w.t.Helper()
	for n := from; n < to; n++ {
		if err := w.commit(w.t.Context(), w.event(n)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) commit(ctx context.Context, events ...outbox.Event) error {
	return w.db.InOrganization(ctx, w.org, func(ctx context.Context, tx *postgres.Tx) error {
		return w.writer.Add(ctx, tx, events...)
	})
}

// stream is what is in the stream: the numbers of the events.
func (w *world) stream() (numbers []int) {
	w.t.Helper()
	for _, m := range w.messages() {
		var e eventv1.GroupCreated
		if err := proto.Unmarshal(m.Data, &e); err != nil {
			w.t.Fatal(err)
		}
		numbers = append(numbers, int(e.GetContext().GetVersion()))
	}
	return numbers
}

func (w *world) messages() (messages []*jetstream.RawStreamMsg) {
	w.t.Helper()
	s, err := w.bus.JetStream().Stream(w.t.Context(), bus.Stream)
	if err != nil {
		return nil // the bus is away
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// count is the number of events in the stream.
func (w *world) count() int {
	s, err := w.bus.JetStream().Stream(w.t.Context(), bus.Stream)
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

// waiting is the number of events in the outbox, -1 while the database does not
// say.
func (w *world) waiting() (n int) {
	w.t.Helper()
	err := w.db.AsSystemRead(w.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from outbox").Scan(&n)
	})
	if err != nil {
		w.t.Log(err)
		return -1
	}
	return n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// wantOrdered fails unless the stream holds each of 1 to last once, in order.
func (w *world) wantOrdered(last int) {
	w.t.Helper()
	got := w.stream()
	if len(got) != last {
		w.t.Errorf("%d events in the stream, want %d", len(got), last)
	}
	for i, n := range got {
		if n != i+1 {
			w.t.Fatalf("event %d stands at place %d", n, i+1)
		}
	}
}

func TestEventIsPublishedAsCloudEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	at := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	want := outbox.Event{
		ID: id.New(), OrganizationID: w.org, AggregateID: id.New(), Time: at,
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Message:     &eventv1.GroupCreated{Context: about(1), Group: &identityv1.Group{DisplayName: "Finance"}},
	}
	if err := w.commit(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	eventually(t, "published and deleted", func() bool { return w.count() == 1 && w.waiting() == 0 })

	m := w.messages()[0]
	if subject := "access." + w.org.String() + ".group.created"; m.Subject != subject {
		t.Errorf("subject %s, want %s", m.Subject, subject)
	}
	for header, value := range map[string]string{
		nats.MsgIdHdr:         want.ID.String(),
		bus.HeaderSpecVersion: "1.0",
		bus.HeaderID:          want.ID.String(),
		bus.HeaderType:        "gatehouse.event.v1.GroupCreated",
		bus.HeaderSource:      "urn:gatehouse:test",
		bus.HeaderSubject:     want.AggregateID.String(),
		bus.HeaderTime:        "2026-03-04T05:06:07.000008Z",
		bus.HeaderContentType: "application/protobuf",
		"ce-datacontenttype":  "application/protobuf",
		"traceparent":         want.Traceparent,
	} {
		if got := m.Header.Get(header); got != value {
			t.Errorf("%s: %q, want %q", header, got, value)
		}
	}
	var got eventv1.GroupCreated
	if err := proto.Unmarshal(m.Data, &got); err != nil || !proto.Equal(&got, want.Message) {
		t.Errorf("message %v, want %v (%v)", &got, want.Message, err)
	}
}

func TestRolledBackTransactionPublishesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	changed := errors.New("changed my mind")
	err := w.db.InOrganization(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
		return errors.Join(w.writer.Add(ctx, tx, w.event(99)), changed)
	})
	if !errors.Is(err, changed) {
		t.Fatal(err)
	}
	w.add(1, 2) // which also tells that the relay has passed
	eventually(t, "published", func() bool { return w.count() > 0 && w.waiting() == 0 })
	w.wantOrdered(1)
}

func TestAddRefusesWhatCouldNeverBePublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, spoil := range map[string]func(*outbox.Event){
		"no organization": func(e *outbox.Event) { e.OrganizationID = uuid.Nil },
		"foreign one":     func(e *outbox.Event) { e.OrganizationID = id.New() },
		"no aggregate id": func(e *outbox.Event) { e.AggregateID = uuid.Nil },
		"no message":      func(e *outbox.Event) { e.Message = nil },
		"no event":        func(e *outbox.Event) { e.Message = &identityv1.Group{} },
		"no context":      func(e *outbox.Event) { e.Message = &eventv1.GroupCreated{} },
		"no actor":        func(e *outbox.Event) { e.Message = &eventv1.GroupCreated{Context: &eventv1.Context{Version: 1}} },
		"message too big": func(e *outbox.Event) { e.Message = big(outbox.MaxDataBytes + 1) },
	} {
		e := w.event(1)
		spoil(&e)
		if err := w.commit(t.Context(), e); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n := w.waiting(); n != 0 {
		t.Errorf("%d events in the outbox, want none", n)
	}
}

func big(size int) proto.Message {
	return &eventv1.GroupCreated{Context: about(1), Group: &identityv1.Group{DisplayName: strings.Repeat("x", size)}}
}

func TestBigEventsAndManyEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// More than one turn by number and by size, in one transaction.
	var events []outbox.Event
	for n := 1; n <= 1500; n++ {
		e := w.event(n)
		if n%250 == 0 {
			m := big(outbox.MaxDataBytes - 1024).(*eventv1.GroupCreated)
			m.Context = about(n)
			e.Message = m
		}
		events = append(events, e)
	}
	if err := w.commit(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	w.run()
	eventually(t, "published", func() bool { return w.count() == 1500 && w.waiting() == 0 })
	w.wantOrdered(1500)
}

func TestQueueSendsWithOtherStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	err := w.db.InOrganization(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
		var b pgx.Batch
		b.Queue("update counter set n = n + 1")
		if err := w.writer.Queue(ctx, tx, &b, w.event(1), w.event(2)); err != nil {
			return err
		}
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "published", func() bool { return w.count() == 2 })
	w.wantOrdered(2)
}

// Events of one aggregate are published in the order of its changes, whichever
// replica makes them: whoever waits for the row, or saw the commit before,
// comes later.
func TestCausalOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	const writers, each = 8, 40
	var replicas sync.WaitGroup
	for range writers {
		replicas.Go(func() {
			for range each {
				err := w.db.InOrganization(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
					var n int
					if err := tx.QueryRow(ctx, "update counter set n = n + 1 returning n").Scan(&n); err != nil {
						return err
					}
					return w.writer.Add(ctx, tx, w.event(n))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	replicas.Wait()
	eventually(t, "published", func() bool { return w.count() == writers*each && w.waiting() == 0 })
	w.wantOrdered(writers * each)
}

// B-RUN-03: with the bus away commands go on, and all is published in order
// when it comes back.
func TestBusAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	w.add(1, 11)
	eventually(t, "published before", func() bool { return w.count() == 10 && w.waiting() == 0 })
	w.nats.Stop()
	w.add(11, 211)
	if n := w.waiting(); n != 200 {
		t.Errorf("%d events wait, want 200", n)
	}
	w.nats.Restart()
	w.add(211, 221)
	eventually(t, "published after", func() bool { return w.count() == 220 && w.waiting() == 0 })
	w.wantOrdered(220)
}

// A bus that comes back without its disk gets its stream again.
func TestStreamIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	w.add(1, 11)
	eventually(t, "published before", func() bool { return w.count() == 10 && w.waiting() == 0 })
	w.nats.Wipe()
	w.add(1, 31)
	eventually(t, "published after", func() bool { return w.count() == 30 && w.waiting() == 0 })
	w.wantOrdered(30)
}

// A relay that died after the acknowledgement and before the delete: the event
// is in the stream and in the outbox.
func TestPublishedButNotDeleted(t *testing.T) {
	t.Parallel()
	for _, waiting := range []int{1, 3, 200} { // one by one, and as a batch
		t.Run(fmt.Sprint(waiting), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			events := make([]outbox.Event, waiting)
			for i := range events {
				events[i] = w.event(i + 1)
				events[i].ID = id.New()
			}
			w.run()
			if err := w.commit(t.Context(), events[:(waiting+1)/2]...); err != nil {
				t.Fatal(err)
			}
			eventually(t, "first half published", func() bool { return w.waiting() == 0 })
			// Again, as if the delete had been undone.
			if err := w.commit(t.Context(), events...); err != nil {
				t.Fatal(err)
			}
			eventually(t, "all published", func() bool { return w.count() == waiting && w.waiting() == 0 })
			w.wantOrdered(waiting)
		})
	}
}

// B-RUN-02, in part (the loss of power is played with a copy of the files as
// they were at a sync): what the stream acknowledged and loses with the power is
// published again, since its rows wait for the sync.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	n, lost := 0, 0
	for round := 0; round < 40 && lost < 3; round++ {
		w.add(n+1, n+11)
		n += 10
		eventually(t, "durable", func() bool { return w.waiting() == 0 })
		disk := w.nats.Backup()
		// The next sync is a while after this one.
		if err := w.bus.Sync(t.Context(), w.bus.SyncPoint()); err != nil {
			t.Fatal(err)
		}
		events := make([]outbox.Event, 10)
		for i := range events {
			events[i] = w.event(n + 1 + i)
		}
		if err := w.commit(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
		n += 10
		eventually(t, "published", func() bool { return w.count() == n })
		w.nats.Stop()
		w.stop()               // the relay deletes what it has heard to be synced, or never will
		if w.waiting() == 10 { // not synced before the end
			w.nats.Restore(disk)
			lost++
		} else {
			w.nats.Restart()
		}
		w.run()
		eventually(t, "connected again", func() bool { return w.bus.Ready(t.Context()) == nil })
		eventually(t, "published again", func() bool { return w.count() == n && w.waiting() == 0 })
	}
	if lost == 0 {
		t.Error("no round lost anything")
	}
	w.wantOrdered(n)
}

// Transactions that take their place early and commit late are published,
// however far the others have gone meanwhile, and in any order of commits.
func TestSlowTransactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	const slow = 4
	var commits [slow]chan struct{}
	var done [slow]chan error
	for i := range slow {
		w.add(10*i+1, 10*i+6) // fast ones between them
		eventually(t, "fast ones published", func() bool { return w.count() == 5*(i+1) && w.waiting() == 0 })
		added := make(chan struct{})
		commits[i], done[i] = make(chan struct{}), make(chan error, 1)
		go func() {
			done[i] <- w.db.InOrganization(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
				var b pgx.Batch
				if err := w.writer.Queue(ctx, tx, &b, w.event(1000+i)); err != nil {
					return err
				}
				err := tx.SendBatch(ctx, &b).Close()
				close(added)
				<-commits[i]
				return err
			})
		}()
		<-added
	}
	published := 5 * slow
	for range 20 { // several syncs and deletes, so that the floor rises
		w.add(2000, 2005)
		published += 5
		eventually(t, "fast ones published", func() bool { return w.count() == published && w.waiting() == 0 })
	}
	for _, i := range []int{2, 0, 3, 1} {
		close(commits[i])
		if err := <-done[i]; err != nil {
			t.Fatal(err)
		}
		published++
		eventually(t, "the slow one published", func() bool { return w.count() == published && w.waiting() == 0 })
		if got := w.stream(); got[len(got)-1] != 1000+i {
			t.Errorf("event %d stands last, want %d", got[len(got)-1], 1000+i)
		}
	}
}

// B-RUN-02, B-RUN-03: the database drops connections all the time; nothing is
// lost, doubled or reordered.
func TestDatabaseConnectionsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	killed := w.killConnections(20*time.Millisecond, 50)
	for n := 1; n <= 400; n++ {
		e := w.event(n)
		e.ID = id.New() // the same for each attempt, in case one did commit
		for {
			err := w.db.InOrganization(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
				// A command is idempotent by a key of its own.
				tag, err := tx.Exec(ctx, "update counter set n = $1 where n = $1 - 1", n)
				if err != nil || tag.RowsAffected() == 0 {
					return err
				}
				return w.writer.Add(ctx, tx, e)
			})
			if err == nil {
				break
			}
		}
	}
	if n := killed(); n == 0 {
		t.Error("no connection was killed")
	}
	eventually(t, "published", func() bool { return w.count() == 400 && w.waiting() == 0 })
	w.wantOrdered(400)
}

// killConnections kills the database's connections a number of times, the
// relay's among them, or until the returned function is called, which says how
// many it killed.
func (w *world) killConnections(every time.Duration, times int) (stop func() int) {
	ctx, cancel := context.WithCancel(w.t.Context())
	total := make(chan int, 1)
	go func() {
		n := 0
		defer func() { total <- n }()
		conn, err := pgx.Connect(w.t.Context(), pgtest.Admin(w.t, w.url))
		if err != nil {
			w.t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		tick := time.NewTicker(every)
		defer tick.Stop()
		for range times {
			if ctx.Err() != nil {
				return
			}
			var k int
			err := conn.QueryRow(w.t.Context(), `select count(pg_terminate_backend(pid)) from pg_stat_activity
				where datname = current_database() and pid <> pg_backend_pid()`).Scan(&k)
			if err != nil {
				w.t.Error(err)
				return
			}
			n += k
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() int {
		cancel()
		return <-total
	}
}

// B-RUN-02: of several relays one publishes; when it goes another takes over,
// and nothing is lost, doubled or reordered. Commits of a replica whose relay
// is not the active one wake the one that is.
func TestRelayHandOver(t *testing.T) {
	t.Parallel()
	a := newWorld(t)
	b := &world{t: t, org: a.org, url: a.url, nats: a.nats}
	b.join()
	a.run()
	b.run()
	n := 1
	for range 4 {
		a.add(n, n+20)
		b.add(n+20, n+40)
		n += 40
		a.stop()
		a.add(n, n+20)
		b.add(n+20, n+40)
		n += 40
		eventually(t, "the other took over", func() bool { return a.waiting() == 0 })
		a, b = b, a
		b.join()
		b.run()
	}
	eventually(t, "published", func() bool { return a.count() == n-1 && a.waiting() == 0 })
	a.wantOrdered(n - 1)
}

// Both relays are cut off from the database again and again, so that either
// may be in the middle of publishing when the other takes over.
func TestRelayHandOverByLostConnections(t *testing.T) {
	t.Parallel()
	a := newWorld(t)
	b := &world{t: t, org: a.org, url: a.url, nats: a.nats}
	b.join()
	a.run()
	b.run()
	killed := a.killConnections(30*time.Millisecond, 30)
	for n := 1; n <= 300; n++ {
		w := a
		if n%2 == 0 {
			w = b
		}
		for {
			err := w.db.InOrganization(t.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
				tag, err := tx.Exec(ctx, "update counter set n = $1 where n = $1 - 1", n)
				if err != nil || tag.RowsAffected() == 0 {
					return err
				}
				return w.writer.Add(ctx, tx, w.event(n))
			})
			if err == nil {
				break
			}
		}
	}
	killed()
	eventually(t, "published", func() bool { return a.count() == 300 && a.waiting() == 0 })
	a.wantOrdered(300)
}

// A commit is published at once, also when the active relay is another
// replica's: not at the next poll.
func TestWake(t *testing.T) {
	t.Parallel()
	a := newWorld(t)
	a.run()
	a.add(1, 2)
	eventually(t, "the first is active", func() bool { return a.count() == 1 })
	b := &world{t: t, org: a.org, url: a.url, nats: a.nats}
	b.join()
	b.run()
	var slow int
	for n := 2; n <= 11; n++ {
		w := a
		if n%2 == 0 {
			w = b
		}
		began := time.Now()
		w.add(n, n+1)
		eventually(t, "published", func() bool { return w.count() == n })
		if time.Since(began) > 250*time.Millisecond {
			slow++
		}
	}
	if slow > 3 { // a busy machine may delay some
		t.Errorf("%d of 10 events waited for the poll", slow)
	}
}

func TestOrganizationsAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pgtest.CheckRowSecurity(t, w.db)
	w.add(1, 3)
	err := w.db.InOrganization(t.Context(), id.New(), func(ctx context.Context, tx *postgres.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, "select count(*) from outbox").Scan(&n); err != nil {
			return err
		}
		if n != 0 {
			t.Errorf("another organization sees %d events", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tel, err := telemetry.New(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	if w.relay, err = outbox.NewRelay(outbox.RelayConfig{DB: w.db, Bus: w.bus, Source: "test", Telemetry: tel}); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.add(1, 4)
	eventually(t, "published", func() bool { return w.count() == 3 && w.waiting() == 0 })
	eventually(t, "measured", func() bool {
		families, err := tel.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				got[f.GetName()] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()) + m.GetGauge().GetValue()
			}
		}
		_, depth := got["gatehouse_outbox_depth"]
		return got["gatehouse_events_published_total"] == 3 && got["gatehouse_relay_lag_seconds"] == 3 && depth
	})
}

// A NATS with the permissions of an older release refuses an event of a new type, and
// tells so at once: the log names the subject and what to do. What is before it is
// published, and all of it once NATS has the permissions (B-RUN-05).
func TestNotPermitted(t *testing.T) {
	t.Parallel()
	const waits = time.Minute // for an acknowledgement, which never comes
	user := busauth.Operator("test", "test")
	user.Publish = []string{"$JS.>", "gatehouse.>", "access.*.group.created"}
	cfg := busserver.Config{Dir: t.TempDir(), Addr: bustest.FreeAddrs(t, 1)[0], Users: []busauth.User{user}}
	serve := func() *busserver.Server {
		s, err := busserver.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
	server := serve()
	w := &world{t: t, org: id.New(), url: pgtest.New(t, outbox.Schema())}
	w.db = pgtest.Connect(t, w.url)
	w.bus = bustest.Open(t, "nats://test:test@"+cfg.Addr)
	var log syncBuffer
	relay, err := outbox.NewRelay(outbox.RelayConfig{DB: w.db, Bus: w.bus, Source: "test", BusTimeout: waits, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.relay, w.writer = relay, outbox.NewWriter("test", relay.Wake)
	removed := outbox.Event{OrganizationID: w.org, AggregateID: w.org, Message: &eventv1.GroupRemoved{Context: about(3)}}
	if err := w.commit(t.Context(), w.event(1), w.event(2), removed, w.event(4)); err != nil {
		t.Fatal(err)
	}
	w.run()
	subject := "access." + w.org.String() + ".group.removed"
	eventually(t, "said", func() bool {
		return strings.Contains(log.String(), "publish to "+subject) && strings.Contains(log.String(), "gatehouse init")
	})
	eventually(t, "those before it published and deleted", func() bool { return w.count() == 2 && w.waiting() == 2 })
	server.Stop()
	cfg.Users[0].Publish = append(cfg.Users[0].Publish, "access.*.group.removed")
	serve()
	eventually(t, "all published", func() bool { return w.count() == 4 && w.waiting() == 0 })
	for i, m := range w.messages() {
		if (m.Subject == subject) != (i == 2) {
			t.Errorf("place %d has %s", i, m.Subject)
		}
	}
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
