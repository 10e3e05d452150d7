package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }

// effects holds one row per effect, with nothing to stop a second one.
var effects = postgres.Set{FS: fstest.MapFS{"00001_effects.sql": {Data: []byte(`-- +goose Up
create table effect (at bigint generated always as identity, organization_id uuid not null, event_id uuid not null, n bigint not null);
call protect('effect', 'organization');`)}}}

// world is a consuming service's database, the bus, and one replica.
type world struct {
	t    *testing.T
	org  uuid.UUID
	url  string
	db   *postgres.DB
	nats *bustest.Server
	bus  *bus.Bus
	cfg  inbox.Config // of the next replica
	stop func()       // the last one

	replayEvery time.Duration // 0: as in production
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, org: id.New(), url: pgtest.New(t, outbox.Schema(), effects), nats: bustest.New(t)}
	w.db = pgtest.Connect(t, w.url)
	w.bus = bustest.Open(t, w.nats.URL())
	w.cfg = inbox.Config{
		Service: "test", DB: w.db, Bus: w.bus, Handlers: &inbox.Handlers{}, Keys: bustest.Keys(),
		Backoff: func(int, error) time.Duration { return 5 * time.Millisecond },
		AckWait: time.Second,
	}
	return w
}

// on registers the handler of the world's events, which after trouble has had
// its chance to fail writes an effect.
func (w *world) on(trouble func(n int) error) {
	inbox.On(w.cfg.Handlers, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		n := int(m.GetContext().GetVersion())
		if err := w.effect(ctx, tx, ev, n); err != nil {
			return err
		}
		if trouble != nil {
			return trouble(n)
		}
		return nil
	})
}

func (w *world) effect(ctx context.Context, tx *postgres.Tx, ev inbox.Event, n int) error {
	_, err := tx.Exec(ctx, "insert into effect (organization_id, event_id, n) values ($1, $2, $3)", ev.OrganizationID, ev.ID, n)
	return err
}

// consumer makes the consumer of w.cfg.
func (w *world) consumer() *inbox.Consumer {
	w.t.Helper()
	c, err := inbox.NewConsumer(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.replayEvery > 0 {
		c.ReplayEvery(w.replayEvery)
	}
	return c
}

// run runs a replica until the end of the test or until w.stop is called.
func (w *world) run() *inbox.Consumer {
	w.t.Helper()
	c := w.consumer()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
	return c
}

// created is the nth event.
func created(n int) *eventv1.GroupCreated {
	return &eventv1.GroupCreated{Context: &eventv1.Context{Actor: event.SystemActor("elsewhere"), Version: int64(n)}}
}

// message is the nth event, ready to be published.
func (w *world) message(n int) *nats.Msg {
	w.t.Helper()
	data, err := proto.Marshal(created(n))
	if err != nil {
		w.t.Fatal(err)
	}
	return &nats.Msg{Subject: "access." + w.org.String() + ".group.created", Data: data, Header: nats.Header{
		bus.HeaderID:      {id.New().String()},
		bus.HeaderType:    {"gatehouse.event.v1.GroupCreated"},
		bus.HeaderSource:  {"identity-sync"},
		bus.HeaderSubject: {w.org.String()},
		bus.HeaderTime:    {time.Now().UTC().Format(time.RFC3339Nano)},
	}}
}

// publish signs a message and puts it into the stream; published again it stands
// there twice. As the outbox's relay does, it says again what nobody confirmed: the
// connection may be one whose server has gone without the client knowing yet.
func (w *world) publish(m *nats.Msg) {
	w.t.Helper()
	bustest.Signer().Sign(m)
	w.publishAsIs(m)
}

func (w *world) publishAsIs(m *nats.Msg) {
	w.t.Helper()
	eventually(w.t, "published", func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
		defer cancel()
		_, err := w.bus.JetStream().PublishMsg(ctx, m)
		return err == nil
	})
}

func (w *world) publishAll(from, to int) {
	w.t.Helper()
	for n := from; n < to; n++ {
		w.publish(w.message(n))
	}
}

// query reads one column as the system. It asks again while the database is
// unavailable, as after a test has killed its connections.
func query[T any](w *world, sql string, args ...any) (list []T) {
	w.t.Helper()
	read := func() error {
		return w.db.AsSystemRead(w.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			rows, err := tx.Query(ctx, sql, args...)
			if err != nil {
				return err
			}
			list, err = pgx.CollectRows(rows, pgx.RowTo[T])
			return err
		})
	}
	eventually(w.t, sql, func() bool {
		err := read()
		if away, ok := apierr.From(err); err != nil && (!ok || away.Code != codes.Unavailable) {
			w.t.Fatal(err)
		}
		return err == nil
	})
	return list
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	err := w.db.AsSystem(w.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// effects are the numbers of the events that took effect, in that order.
func (w *world) effects() []int { return query[int](w, "select n from effect order by at") }

// wantOnce waits for the effects of 1 to last, and that each is there once.
func (w *world) wantOnce(last int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d effects", last), func() bool { return len(w.effects()) >= last })
	got := w.effects()
	slices.Sort(got)
	for i, n := range got {
		if n != i+1 {
			w.t.Fatalf("effects %v, want 1 to %d once each", got, last)
		}
	}
}

// settled waits until every event of the stream is answered.
func (w *world) settled() {
	w.t.Helper()
	eventually(w.t, "all answered", func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		s, err := w.bus.JetStream().Stream(ctx, bus.Stream)
		if err != nil {
			return false
		}
		c, err := s.Consumer(ctx, w.cfg.Service)
		if err != nil {
			return false
		}
		info := c.CachedInfo()
		// One that is only just being made has nothing pending yet.
		return info.Delivered.Stream >= s.CachedInfo().State.LastSeq && info.NumPending == 0 && info.NumAckPending == 0
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func TestEventArrivesWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan inbox.Event, 1)
	inbox.On(w.cfg.Handlers, func(_ context.Context, _ *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		if ev.Message != m {
			t.Error("two messages for one event")
		}
		got <- ev
		return nil
	})
	w.run()
	m := w.message(7)
	w.publish(m)
	ev := <-got
	if ev.ID.String() != m.Header.Get(bus.HeaderID) || ev.OrganizationID != w.org || ev.Subject != m.Subject ||
		ev.Type != m.Header.Get(bus.HeaderType) || ev.Source != "identity-sync" || ev.AggregateID != w.org.String() ||
		ev.Time.Format(time.RFC3339Nano) != m.Header.Get(bus.HeaderTime) || ev.StreamSequence != 1 {
		t.Errorf("event %+v of message %v", ev, m.Header)
	}
	if v := ev.Message.(*eventv1.GroupCreated).GetContext().GetVersion(); v != 7 {
		t.Errorf("version %d, want 7", v)
	}
}

// B-RUN-02
func TestDeliveredTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	for n := 1; n <= 20; n++ {
		m := w.message(n)
		w.publish(m)
		w.publish(m) // often in one batch with the first
	}
	w.wantOnce(20)
	m := w.message(21)
	w.publish(m)
	w.wantOnce(21)
	w.publish(m) // in a later one
	w.settled()
	w.wantOnce(21)
}

// B-RUN-02: the process dies after the commit and before the acknowledgement.
func TestCrashedBetweenCommitAndAck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := bustest.Open(t, w.nats.URL())
	crashed := make(chan struct{})
	w.cfg.Bus = first
	inbox.On(w.cfg.Handlers, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		tx.AfterCommit(sync.OnceFunc(func() {
			first.Conn().Close() // no acknowledgement leaves any more
			close(crashed)
		}))
		return w.effect(ctx, tx, ev, int(m.GetContext().GetVersion()))
	})
	w.run()
	w.publish(w.message(1))
	<-crashed
	w.stop()

	handled := atomic.Int32{}
	w.cfg.Bus, w.cfg.Handlers = w.bus, &inbox.Handlers{}
	w.on(func(int) error { handled.Add(1); return nil })
	w.run()
	w.settled()
	w.wantOnce(1)
	if n := handled.Load(); n != 0 {
		t.Errorf("handled %d times more", n)
	}
}

// One bad event fails, is parked, listed and replayed; the others pass it by.
func TestFailingEventIsParkedAndReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var bad, tries atomic.Int32
	bad.Store(5)
	w.on(func(n int) error {
		if n == int(bad.Load()) {
			tries.Add(1)
			return errors.New("this one is bad")
		}
		return nil
	})
	c := w.run()
	w.publishAll(1, 11)
	eventually(t, "parked", func() bool { return len(query[string](w, "select error from parked_event")) == 1 })
	w.settled()
	if got := w.effects(); len(got) != 9 || slices.Contains(got, 5) {
		t.Errorf("effects %v, want those of all but 5", got)
	}
	// It is tried once with its batch and once alone, at the first attempt.
	if n := tries.Load(); n < 8 || n > 9 {
		t.Errorf("tried %d times, want 8", n)
	}
	if n := query[int](w, "select count(*) from inbox_attempt")[0]; n != 0 {
		t.Errorf("%d attempts remembered", n)
	}

	server := inbox.NewParkedServer(c)
	ctx := authz.WithCaller(t.Context(), authz.Caller{OrganizationID: w.org})
	resp, err := server.ListParkedEvents(ctx, &opsv1.ListParkedEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.GetParkedEvents()) != 1 || resp.GetNextPageToken() != "" {
		t.Fatalf("list %v", resp)
	}
	p := resp.GetParkedEvents()[0]
	if p.GetService() != "test" || p.GetType() != "gatehouse.event.v1.GroupCreated" || p.GetAggregateId() != w.org.String() ||
		p.GetError() != "this one is bad" || p.GetAttempts() != 8 || p.GetEventTime() == nil || p.GetParkedTime() == nil {
		t.Errorf("parked event %v", p)
	}

	replay := &opsv1.ReplayParkedEventRequest{Service: "test", EventId: p.GetEventId()}
	_, err = server.ReplayParkedEvent(ctx, replay)
	wantReason(t, err, codes.FailedPrecondition, "EVENT_STILL_FAILS")
	if got := w.effects(); len(got) != 9 {
		t.Errorf("effects %v after a replay that failed", got)
	}

	foreign := authz.WithCaller(t.Context(), authz.Caller{OrganizationID: id.New()})
	if resp, err := server.ListParkedEvents(foreign, &opsv1.ListParkedEventsRequest{}); err != nil || len(resp.GetParkedEvents()) != 0 {
		t.Errorf("another organization sees %v (%v)", resp, err)
	}
	_, err = server.ReplayParkedEvent(foreign, replay)
	wantReason(t, err, codes.NotFound, "EVENT_NOT_FOUND")
	// It may be about another environment.
	environment := authz.WithCaller(t.Context(), authz.Caller{OrganizationID: w.org, EnvironmentID: id.New(), Role: authzv1.Caller_CALLER_ADMIN})
	_, err = server.ListParkedEvents(environment, &opsv1.ListParkedEventsRequest{})
	wantReason(t, err, codes.PermissionDenied, "NOT_IN_ENVIRONMENT")
	_, err = server.ReplayParkedEvent(environment, replay)
	wantReason(t, err, codes.PermissionDenied, "NOT_IN_ENVIRONMENT")

	bad.Store(0)
	if _, err := server.ReplayParkedEvent(ctx, replay); err != nil {
		t.Fatal(err)
	}
	w.wantOnce(10)
	_, err = server.ReplayParkedEvent(ctx, replay)
	wantReason(t, err, codes.NotFound, "EVENT_NOT_FOUND")
	w.wantOnce(10)
}

func wantReason(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	e, ok := apierr.From(err)
	if !ok || e.Code != code || e.Reason != reason {
		t.Errorf("error %v, want %s %s", err, code, reason)
	}
}

// A parked event that is delivered again waits with the one that is parked.
func TestParkedEventDeliveredTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.MaxAttempts = 1
	var bad atomic.Bool
	bad.Store(true)
	w.on(func(int) error {
		if bad.Load() {
			return errors.New("bad")
		}
		return nil
	})
	c := w.run()
	m := w.message(1)
	w.publish(m)
	eventually(t, "parked", func() bool { return len(query[uuid.UUID](w, "select event_id from parked_event")) == 1 })
	bad.Store(false)
	w.publish(m)
	w.settled()
	if got := w.effects(); len(got) != 0 {
		t.Errorf("effects %v beside the parked event", got)
	}
	if err := c.Replay(t.Context(), w.org, uuid.MustParse(m.Header.Get(bus.HeaderID))); err != nil {
		t.Fatal(err)
	}
	w.wantOnce(1)
}

func TestParkedListPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.MaxAttempts = 1
	w.on(func(int) error { return errors.New("bad") })
	c := w.run()
	w.publishAll(1, 8)
	eventually(t, "parked", func() bool { return len(query[uuid.UUID](w, "select event_id from parked_event")) == 7 })
	server := inbox.NewParkedServer(c)
	ctx := authz.WithCaller(t.Context(), authz.Caller{OrganizationID: w.org})
	seen := map[string]bool{}
	req := &opsv1.ListParkedEventsRequest{PageSize: 3}
	pages := 0
	for {
		resp, err := server.ListParkedEvents(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, p := range resp.GetParkedEvents() {
			seen[p.GetEventId()] = true
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if pages != 3 || len(seen) != 7 {
		t.Errorf("%d events on %d pages, want 7 on 3", len(seen), pages)
	}
	_, err := server.ListParkedEvents(ctx, &opsv1.ListParkedEventsRequest{PageToken: "nonsense"})
	wantReason(t, err, codes.InvalidArgument, "PAGE_TOKEN_INVALID")
	if resp, err := server.ListParkedEvents(ctx, &opsv1.ListParkedEventsRequest{Service: "other"}); err != nil || len(resp.GetParkedEvents()) != 0 {
		t.Errorf("of another service: %v (%v)", resp, err)
	}
}

// What arrives before the fact it stands on waits for it, however the two are
// ordered.
func TestNotYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(func(n int) error {
		// Each even one needs the odd one after it.
		if n%2 == 0 && !slices.Contains(w.effects(), n+1) {
			return inbox.NotYet("event %d", n+1)
		}
		return nil
	})
	w.cfg.Backoff = nil
	w.run()
	w.publishAll(2, 12)
	w.publish(w.message(1))
	w.wantOnce(11)
	if n := query[int](w, "select count(*) from parked_event")[0]; n != 0 {
		t.Errorf("%d events parked", n)
	}
	if text := inbox.NotYet("user %d", 3).Error(); text != "not yet: user 3" {
		t.Errorf("text %q", text)
	}
}

// An event whose fact never comes is parked after more tries than another.
func TestNotYetEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(func(int) error { return fmt.Errorf("look up user: %w", inbox.NotYet("user")) })
	w.run()
	w.publish(w.message(1))
	eventually(t, "parked", func() bool { return len(query[int](w, "select attempts from parked_event")) == 1 })
	if n := query[int](w, "select attempts from parked_event")[0]; n != 20 {
		t.Errorf("parked after %d attempts, want 20", n)
	}
}

// Many bad events: the good ones come through, all the same.
func TestManyBadEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(func(n int) error {
		switch n % 10 {
		case 0:
			return errors.New("bad")
		case 1:
			panic("worse")
		}
		return nil
	})
	w.publishAll(1, 301)
	w.run()
	eventually(t, "good ones", func() bool { return len(w.effects()) == 240 })
	eventually(t, "bad ones", func() bool { return query[int](w, "select count(*) from parked_event")[0] == 60 })
	if got := query[string](w, "select distinct error from parked_event order by 1"); !slices.Equal(got, []string{"bad", "handler panicked: worse"}) {
		t.Errorf("errors %q", got)
	}
}

// So is what cannot be believed: what its service has not said, or not signed.
func TestWhatCannotBeReadIsParkedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Handlers.CatchAll(func(ctx context.Context, tx *postgres.Tx, ev inbox.Event) error {
		return w.effect(ctx, tx, ev, 1)
	})
	garbled, unknown, anonymous, misplaced, disguised := w.message(0), w.message(0), w.message(0), w.message(0), w.message(0)
	garbled.Data = []byte{0xff, 0xff}
	unknown.Header.Set(bus.HeaderType, "gatehouse.event.v9.Unheard")
	anonymous.Header.Del(bus.HeaderID)
	misplaced.Subject = "access.nobody.group.created"
	disguised.Subject = strings.ReplaceAll(disguised.Subject, "created", "removed")
	foreign := w.message(0) // approval says nothing of groups
	foreign.Header.Set(bus.HeaderSource, "approval")
	unsigned, changed, renamed := w.message(0), w.message(0), w.message(0)
	bustest.Signer().Sign(changed)
	changed.Data = append(changed.Data, w.message(9).Data...)
	bustest.Signer().Sign(renamed)
	renamed.Header.Set(bus.HeaderID, id.New().String())
	// What every service says of itself, by somebody who is none; and not signed.
	stranger, bare := w.message(0), w.message(0)
	for _, m := range []*nats.Msg{stranger, bare} {
		m.Subject, m.Data = strings.ReplaceAll(m.Subject, "group.created", "call.denied"), nil
		m.Header.Set(bus.HeaderType, "gatehouse.event.v1.CallDenied")
	}
	stranger.Header.Set(bus.HeaderSource, "stranger")
	c := w.run()
	for _, m := range []*nats.Msg{unsigned, changed, renamed, bare} {
		w.publishAsIs(m)
	}
	for _, m := range []*nats.Msg{stranger, foreign, garbled, unknown, anonymous, misplaced, disguised, w.message(1)} {
		w.publish(m)
	}
	w.wantOnce(1)
	eventually(t, "parked", func() bool { return query[int](w, "select count(*) from parked_event where attempts = 1")[0] == 11 })
	w.settled()
	for _, m := range []*nats.Msg{garbled, disguised, foreign, unsigned, changed, renamed, stranger, bare} {
		err := c.Replay(t.Context(), w.org, uuid.MustParse(m.Header.Get(bus.HeaderID)))
		wantReason(t, err, codes.FailedPrecondition, "EVENT_STILL_FAILS")
	}
}

// removed is an event of another type than those of message, with the number n.
func (w *world) removed(n int) *nats.Msg {
	m := w.message(n)
	m.Subject = strings.ReplaceAll(m.Subject, "created", "removed")
	m.Header.Set(bus.HeaderType, "gatehouse.event.v1.GroupRemoved")
	return m
}

// onRemoved registers the handler of what removed makes.
func (w *world) onRemoved() {
	inbox.On(w.cfg.Handlers, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupRemoved) error {
		return w.effect(ctx, tx, ev, int(m.GetContext().GetVersion()))
	})
}

func (w *world) filters() []string {
	w.t.Helper()
	c, err := w.bus.JetStream().Consumer(w.t.Context(), bus.Stream, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	return c.CachedInfo().Config.FilterSubjects
}

// The types that have handlers are delivered, and no others; a type that is ignored
// has no effect.
func TestHandlersSayWhatIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	w.publish(w.message(1))
	w.wantOnce(1)
	if got := w.filters(); !slices.Equal(got, []string{"access.*.group.created"}) {
		t.Errorf("asks for %q", got)
	}
	w.stop()

	w.onRemoved()
	w.run()
	w.publish(w.removed(2))
	w.wantOnce(2)
	if got := w.filters(); !slices.Equal(got, []string{"access.*.group.created", "access.*.group.removed"}) {
		t.Errorf("asks for %q", got)
	}
	w.stop()

	w.cfg.Handlers = &inbox.Handlers{}
	w.on(nil)
	w.cfg.Handlers.Ignore(&eventv1.GroupRemoved{})
	w.publish(w.removed(9))
	w.run()
	w.publish(w.message(3))
	w.wantOnce(3)
	w.settled()
}

// B-RUN-05: a service that is upgraded learns a type of which there have been events
// already, as the service that says them was upgraded first: it gets those too, and
// nothing that took effect before takes effect again.
func TestNewTypeWasPublishedBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	w.publishAll(1, 6)
	for n := 6; n < 9; n++ {
		w.publish(w.removed(n))
	}
	w.publishAll(9, 21)
	w.settled()
	w.stop()

	w.onRemoved()
	w.run()
	w.publishAll(21, 26)
	w.wantOnce(25)
	w.settled()
	w.wantOnce(25)
}

// B-RUN-05: replicas of two versions share a consumer while a service is upgraded.
// What the older one gets and has no handler for is not lost: the newer one handles it.
func TestOlderReplicaBesideNewer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := &inbox.Handlers{}
	w.on(nil)
	newer := w.cfg.Handlers
	w.onRemoved()
	w.cfg.Handlers = old
	w.on(nil)

	w.cfg.Handlers = newer
	w.run()
	w.publishAll(1, 6)
	w.wantOnce(5)
	w.settled()
	w.stop()

	w.cfg.Handlers = old
	w.run()
	for n := 6; n < 9; n++ {
		w.publish(w.removed(n))
	}
	w.publishAll(9, 12)
	eventually(t, "the older replica has parked what it does not handle", func() bool {
		return query[int](w, "select count(*) from parked_event")[0] == 3
	})
	w.stop()

	w.cfg.Handlers = newer
	w.run()
	w.wantOnce(11)
	eventually(t, "nothing is parked", func() bool { return query[int](w, "select count(*) from parked_event")[0] == 0 })
	w.settled()
	w.wantOnce(11)
}

// B-RUN-05: what an older replica has parked and the newer one cannot handle at once is
// replayed as often as an event is tried, and with it what was parked because it stands
// on that.
func TestParkedByAnOlderReplicaIsReplayedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.replayEvery = 50 * time.Millisecond
	w.cfg.MaxAttempts, w.cfg.MaxNotYet = 4, 2
	old := w.cfg.Handlers
	newer := &inbox.Handlers{}
	for _, h := range []*inbox.Handlers{old, newer} {
		inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
			var there bool
			if err := tx.QueryRow(ctx, "select exists (select from effect where n = 1)").Scan(&there); err != nil {
				return err
			}
			if !there {
				return inbox.NotYet("the first")
			}
			return w.effect(ctx, tx, ev, int(m.GetContext().GetVersion()))
		})
	}
	var tries atomic.Int32
	inbox.On(newer, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupRemoved) error {
		n := int(m.GetContext().GetVersion())
		if n == 3 || tries.Add(1) < 4 {
			return errors.New("not now")
		}
		return w.effect(ctx, tx, ev, n)
	})
	w.cfg.Handlers = newer
	w.run() // asks for both types
	w.settled()
	w.stop()

	w.cfg.Handlers = old
	w.run()
	w.publish(w.removed(1))
	w.publish(w.message(2))
	w.publish(w.removed(3))
	parked := func() int { return query[int](w, "select count(*) from parked_event")[0] }
	eventually(t, "the older replica has parked all", func() bool { return parked() == 3 })
	w.stop()

	w.cfg.Handlers = newer
	w.run()
	w.wantOnce(2)
	const attempts = "select attempts from parked_event"
	eventually(t, "one was tried as often as others are", func() bool { return slices.Equal(query[int](w, attempts), []int{1 + w.cfg.MaxAttempts}) })
	// Another one that comes to be parked is replayed, and this is not.
	w.stop()
	w.cfg.Handlers = old
	w.run()
	w.publish(w.removed(4))
	eventually(t, "the older replica has parked another", func() bool { return parked() == 2 })
	w.stop()
	w.cfg.Handlers = newer
	w.run()
	eventually(t, "the other is replayed", func() bool { return slices.Contains(w.effects(), 4) && parked() == 1 })
	if got := query[int](w, attempts); !slices.Equal(got, []int{1 + w.cfg.MaxAttempts}) {
		t.Errorf("tried again after the last time: %v", got)
	}
	if got := query[string](w, "select error from parked_event"); !slices.Equal(got, []string{"not now"}) {
		t.Errorf("parked for %q", got)
	}
}

// B-RUN-03: the database is away for a while; the events are held, none of them
// is blamed, and all catch up in order.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	w.publishAll(1, 21)
	w.wantOnce(20)

	conn, err := pgx.Connect(t.Context(), strings.Replace(pgtest.Admin(t, w.url), databaseName(t, w.url), "postgres", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	name := pgx.Identifier{databaseName(t, w.url)}.Sanitize()
	admin := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	admin("alter database " + name + " with allow_connections false")
	admin("select pg_terminate_backend(pid) from pg_stat_activity where datname = '" + databaseName(t, w.url) + "'")
	w.publishAll(21, 121)
	// Longer than the server would wait for an answer if nobody said that the
	// events are in work.
	outage := time.NewTimer(2 * w.cfg.AckWait)
	<-outage.C
	admin("alter database " + name + " with allow_connections true")

	w.wantOnce(120)
	if got := w.effects(); !slices.IsSorted(got) {
		t.Errorf("out of order: %v", got)
	}
	if n := query[int](w, "select count(*) from parked_event")[0]; n != 0 {
		t.Errorf("%d events parked", n)
	}
	if n := query[int](w, "select count(*) from inbox_attempt")[0]; n != 0 {
		t.Errorf("%d events blamed", n)
	}
}

// B-RUN-03: a database that is there and does not answer blames no event.
func TestDatabaseStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.HandleTimeout = 200 * time.Millisecond
	w.on(nil)
	w.run()
	w.publishAll(1, 11)
	w.wantOnce(10)
	w.settled()
	stalled, err := w.db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stalled.Rollback(context.Background()) }()
	if _, err := stalled.Exec(t.Context(), "lock table inbox in exclusive mode"); err != nil {
		t.Fatal(err)
	}
	w.publishAll(11, 21)
	stall := time.NewTimer(5 * w.cfg.HandleTimeout)
	<-stall.C
	if n := query[int](w, "select count(*) from inbox_attempt")[0]; n != 0 {
		t.Errorf("%d events blamed", n)
	}
	if err := stalled.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantOnce(20)
	if n := query[int](w, "select count(*) from parked_event")[0]; n != 0 {
		t.Errorf("%d events parked", n)
	}
}

func databaseName(t *testing.T, url string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Database
}

// B-RUN-02, B-RUN-03: the database drops connections all the time.
func TestDatabaseConnectionsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	for n := 1; n <= 500; n++ {
		w.publish(w.message(n))
		if n%20 == 0 {
			w.killConnections()
		}
	}
	w.wantOnce(500)
	w.settled()
	w.wantOnce(500)
	if n := query[int](w, "select count(*) from parked_event")[0]; n != 0 {
		t.Errorf("%d events parked", n)
	}
}

// killConnections ends every connection of the consumer and the relay to the
// database, in whatever it is.
func (w *world) killConnections() {
	w.t.Helper()
	eventually(w.t, "connections killed", func() bool {
		// Which may itself get a connection that an earlier call has killed.
		return w.db.AsSystem(w.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity
				where datname = current_database() and usename = current_user and pid <> pg_backend_pid()`)
			return err
		}) == nil
	})
}

// B-RUN-03: the bus goes and comes back, with its disk and without it.
func TestBusAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	w.publishAll(1, 11)
	w.wantOnce(10)
	w.nats.Restart()
	w.publishAll(11, 21)
	w.wantOnce(20)
	w.nats.Wipe()
	eventually(t, "stream restored", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return w.bus.EnsureStream(ctx) == nil
	})
	w.publishAll(21, 31)
	w.wantOnce(30)
}

// Power is lost before the last events of the stream are on the disk, and with
// the worst of luck the consumer's acknowledgements of them are: their places go
// to other events, which are not taken for the acknowledged ones, and where they
// are published again they change nothing.
func TestStreamGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	w.publishAll(1, 21)
	w.wantOnce(20)
	w.settled()
	synced := w.nats.Backup()
	var lost []*nats.Msg
	for n := 21; n < 31; n++ {
		lost = append(lost, w.message(n))
		w.publish(lost[len(lost)-1])
	}
	w.wantOnce(30)
	w.settled()
	w.nats.Stop()
	left := w.nats.Backup()
	messages := filepath.Join("jetstream", "$G", "streams", bus.Stream, "msgs")
	if err := os.RemoveAll(filepath.Join(left, messages)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(left, messages), os.DirFS(filepath.Join(synced, messages))); err != nil {
		t.Fatal(err)
	}
	w.nats.Restore(left)
	w.publishAll(31, 36)
	for _, m := range lost {
		w.publish(m)
	}
	w.publishAll(36, 51)
	w.wantOnce(50)
	w.settled()
	w.wantOnce(50)
}

// Somebody deletes the durable consumer: it is made again, and what it had
// delivered before changes nothing.
func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	w.publishAll(1, 11)
	w.wantOnce(10)
	w.settled()
	if err := w.bus.JetStream().DeleteConsumer(t.Context(), bus.Stream, "test"); err != nil {
		t.Fatal(err)
	}
	w.publishAll(11, 21)
	w.wantOnce(20)
	w.settled()
	w.wantOnce(20)
}

// The database was restored from a backup that is older than what the bus has
// seen acknowledged: the events since then take effect again, on the old state.
func TestDatabaseRestoredFromBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.run()
	w.publishAll(1, 51)
	w.wantOnce(50)
	w.settled()
	w.stop()
	w.exec("delete from inbox where event_id in (select event_id from effect where n > 30)")
	w.exec("delete from effect where n > 30")
	w.run()
	w.wantOnce(50)
	w.settled()
	w.stop()
	w.exec("delete from inbox")
	w.exec("delete from effect")
	w.run()
	w.wantOnce(50)
	w.settled()
	w.wantOnce(50)
}

// A replica that is asked to stop finishes its transaction and gives the rest
// back at once; the next one goes on without waiting for the server's patience.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.AckWait = time.Minute
	w.cfg.Batch = 10
	w.cfg.Backoff = nil
	reached := make(chan struct{})
	release := make(chan struct{})
	once := sync.OnceFunc(func() { close(reached); <-release })
	w.on(func(int) error { once(); return nil })
	w.publishAll(1, 101)
	w.run()
	<-reached
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	close(release)
	<-stopped
	n := len(w.effects())
	if n == 0 || n == 100 {
		t.Errorf("%d effects at the stop, want some", n)
	}
	began := time.Now()
	w.run()
	w.wantOnce(100)
	w.settled()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the rest took %s", took)
	}
	w.wantOnce(100)
}

// Two replicas share the work; one of them is replaced all the time.
func TestReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on(nil)
	w.cfg.Batch = 16
	w.run()
	first := w.stop
	for i := range 5 {
		w.run()
		second := w.stop
		w.publishAll(100*i+1, 100*i+101)
		second()
	}
	w.wantOnce(500)
	w.settled()
	first()
	w.wantOnce(500)
}

// A copy that goes by versions comes out right although a failed event comes
// after its successors.
func TestReordered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	failed := map[int]int{}
	var order []int
	inbox.On(w.cfg.Handlers, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		n := int(m.GetContext().GetVersion())
		mu.Lock()
		defer mu.Unlock()
		if failed[n]++; n%3 == 0 && failed[n] < 4 {
			return errors.New("try again")
		}
		order = append(order, n)
		// The guarded change of a copy: only forward.
		tag, err := tx.Exec(ctx, "update effect set n = $1 where n < $1", n)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		_, err = tx.Exec(ctx, `insert into effect (organization_id, event_id, n) select $1, $2, $3
			where not exists (select from effect)`, ev.OrganizationID, ev.ID, n)
		return err
	})
	w.run()
	w.publishAll(1, 32)
	w.settled()
	if got := w.effects(); !slices.Equal(got, []int{31}) {
		t.Errorf("copy %v, want version 31", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if slices.IsSorted(order) {
		t.Error("nothing was reordered")
	}
}

func TestCatchAllBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var most atomic.Int32
	w.cfg.Handlers.CatchAllBatch(func(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
		most.Store(max(most.Load(), int32(len(events))))
		var b pgx.Batch
		for _, ev := range events {
			n := ev.Message.(*eventv1.GroupCreated).GetContext().GetVersion()
			if n == 13 {
				return errors.New("bad luck")
			}
			b.Queue("insert into effect (organization_id, event_id, n) values ($1, $2, $3)", ev.OrganizationID, ev.ID, n)
		}
		return tx.SendBatch(ctx, &b).Close()
	})
	for n := 1; n <= 60; n++ {
		if n%2 == 0 {
			w.org = id.New() // many organizations in one transaction
		}
		w.publish(w.message(n))
	}
	c := w.run()
	eventually(t, "effects", func() bool { return len(w.effects()) == 59 })
	eventually(t, "parked", func() bool { return query[int](w, "select count(*) from parked_event")[0] == 1 })
	if most.Load() < 2 {
		t.Error("events came one by one only")
	}
	org := query[uuid.UUID](w, "select organization_id from parked_event")[0]
	event := query[uuid.UUID](w, "select event_id from parked_event")[0]
	wantReason(t, c.Replay(t.Context(), org, event), codes.FailedPrecondition, "EVENT_STILL_FAILS")
}

// A handler sees the rows of its event's organization and no others, also in a
// transaction for the events of several.
func TestOrganizationsAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pgtest.CheckRowSecurity(t, w.db)
	inbox.On(w.cfg.Handlers, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		var foreign int
		if err := tx.QueryRow(ctx, "select count(*) from effect where organization_id <> $1", ev.OrganizationID).Scan(&foreign); err != nil {
			return err
		}
		if foreign > 0 {
			t.Errorf("%d rows of others are seen", foreign)
		}
		return w.effect(ctx, tx, ev, int(m.GetContext().GetVersion()))
	})
	for n := 1; n <= 30; n++ {
		w.org = id.New()
		w.publish(w.message(n))
	}
	w.run()
	w.wantOnce(30)
}

// The trace of the command that made the event goes on in its consumer.
func TestTraceGoesThroughTheBus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spans := tracetest.NewSpanRecorder()
	tel, err := telemetry.New(t.Context(), "test", sdktrace.SpanProcessor(spans))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	relay, err := outbox.NewRelay(outbox.RelayConfig{DB: w.db, Bus: w.bus, Source: "identity-sync", Signer: bustest.Signer(), Telemetry: tel})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = relay.Run(ctx) })
	defer running.Wait()
	defer cancel()
	w.cfg.Telemetry = tel
	w.on(nil)
	w.run()

	command, span := tel.Tracer("test").Start(t.Context(), "command")
	writer := outbox.NewWriter("test", relay.Wake)
	err = w.db.InOrganization(command, w.org, func(ctx context.Context, tx *postgres.Tx) error {
		return writer.Add(ctx, tx, outbox.Event{
			OrganizationID: w.org, AggregateID: id.New(),
			Message: created(1),
		})
	})
	span.End()
	if err != nil {
		t.Fatal(err)
	}
	w.wantOnce(1)
	eventually(t, "span", func() bool {
		for _, s := range spans.Ended() {
			if s.Name() == "consume gatehouse.event.v1.GroupCreated" {
				if s.SpanContext().TraceID() != span.SpanContext().TraceID() || s.Parent().SpanID() != span.SpanContext().SpanID() {
					t.Errorf("span %v has parent %v, want %v", s.SpanContext(), s.Parent(), span.SpanContext())
				}
				return true
			}
		}
		return false
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tel, err := telemetry.New(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	w.cfg.Telemetry = tel
	w.cfg.MaxAttempts = 2
	w.on(func(n int) error {
		if n == 3 {
			return errors.New("bad")
		}
		return nil
	})
	w.run()
	m := w.message(1)
	w.publish(m)
	w.publish(m)
	w.publish(w.message(2))
	w.publish(w.message(3))
	eventually(t, "measured", func() bool {
		families, err := tel.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					if l.GetName() == "result" {
						name += " " + l.GetValue()
					}
				}
				got[name] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()) + m.GetGauge().GetValue()
			}
		}
		return got["gatehouse_events_consumed_total handled"] == 2 && got["gatehouse_events_consumed_total duplicate"] == 1 &&
			got["gatehouse_events_consumed_total failed"] == 1 && got["gatehouse_events_consumed_total parked"] == 1 &&
			got["gatehouse_handle_lag_seconds"] == 2 && got["gatehouse_events_parked"] == 1
	})
}

func TestHandlersAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	var h inbox.Handlers
	handle := func(context.Context, *postgres.Tx, inbox.Event, *eventv1.GroupCreated) error { return nil }
	inbox.On(&h, handle)
	if got := h.Types(); !slices.Equal(got, []string{"gatehouse.event.v1.GroupCreated"}) {
		t.Errorf("types %v", got)
	}
	for what, register := range map[string]func(){
		"a second handler":      func() { inbox.On(&h, handle) },
		"a handler of no event": func() { h.Together(nil, &opsv1.ParkedEvent{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is accepted", what)
				}
			}()
			register()
		}()
	}
}

// B-RUN-02: a consumer whose effects are keyed by the event's id remembers only
// the place in the stream. What is delivered again changes nothing, and one that
// has lost its consumer goes on where it was.
func TestKeyedByEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var handled atomic.Int64
	w.cfg.Handlers.KeyedByEvent()
	w.cfg.Handlers.CatchAllBatch(func(ctx context.Context, tx *postgres.Tx, events []inbox.Event) error {
		for _, ev := range events {
			handled.Add(1)
			_, err := tx.Exec(ctx, `insert into effect (organization_id, event_id, n) select $1, $2, $3
				where not exists (select from effect where event_id = $2)`, ev.OrganizationID, ev.ID, ev.StreamSequence)
			if err != nil {
				return err
			}
		}
		return nil
	})
	w.run()
	var messages []*nats.Msg
	for n := 1; n <= 50; n++ {
		messages = append(messages, w.message(n))
		w.publish(messages[n-1])
	}
	w.wantOnce(50)
	w.settled()
	kept := query[int](w, "select count(*) from inbox")[0]
	if int64(kept) > handled.Load() || kept == 0 {
		t.Errorf("%d rows in the inbox of %d events", kept, handled.Load())
	}
	for _, m := range messages { // without what the stream would tell a repeat by
		w.publish(m)
	}
	eventually(t, "delivered again", func() bool { return handled.Load() >= 100 })
	w.settled()
	if got := len(w.effects()); got != 50 {
		t.Errorf("%d effects of 50 events", got)
	}
	if highest := query[int](w, "select max(stream_sequence) from inbox")[0]; highest < 100 {
		t.Errorf("the inbox's place is %d, want at least 100", highest)
	}
}

// What may come in great numbers holds up nothing else (B-RUN-02, in part): it is
// handled in its order beside the rest. An event that needs what stands before it
// in the bulk waits for that, however long, and uses up no attempt.
func TestBulkHoldsUpNobody(t *testing.T) {
	t.Parallel()
	const many = 1000
	w := newWorld(t)
	w.cfg.Batch, w.cfg.MaxNotYet = 50, 1
	hold := make(chan struct{})
	var last atomic.Int64
	w.on(func(n int) error {
		switch {
		case n > many+1 && last.Load() < many:
			return inbox.NotYet("event %d", many)
		case n <= many:
			<-hold
			if before := last.Swap(int64(n)); int(before) != n-1 {
				return fmt.Errorf("%d comes after %d", n, before)
			}
		}
		return nil
	})
	for n := 1; n <= many; n++ {
		m := w.message(n)
		m.Header.Set(bus.HeaderBulk, "true")
		w.publish(m)
	}
	w.publishAll(many+1, many+3)
	w.run()
	eventually(t, "the one behind them takes effect", func() bool { return slices.Equal(w.effects(), []int{many + 1}) })
	close(hold)
	w.wantOnce(many + 2)
	inOrder := slices.DeleteFunc(w.effects(), func(n int) bool { return n == many+1 })
	if !slices.IsSorted(inOrder) {
		t.Errorf("effects %v", inOrder)
	}
	w.settled()
	if n := len(query[string](w, "select error from parked_event")); n != 0 {
		t.Errorf("%d are parked", n)
	}
}
