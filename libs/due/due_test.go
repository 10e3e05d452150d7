package due_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
)

// effects has a row for each effect, and refuses the titles of bad.
var effects = postgres.Set{FS: fstest.MapFS{"00001_effects.sql": {Data: []byte(`-- +goose Up
create table effect (at bigint generated always as identity primary key, organization_id uuid not null, key uuid not null);
create table bad (key uuid primary key);
call protect('effect', 'organization');
-- +goose StatementBegin
create function refuse_bad() returns trigger language plpgsql as $$
begin
    if exists (select from bad where key = new.key) then raise exception 'cannot be saved'; end if;
    return new;
end $$;
-- +goose StatementEnd
create trigger refuse_bad before insert on effect for each row execute function refuse_bad();
`)}}}

// world is a database, a clock that is moved by hand, and a queue.
type world struct {
	t     *testing.T
	db    *postgres.DB
	clock *clock.Manual
}

func newWorld(t *testing.T) *world {
	return &world{t: t, db: pgtest.Open(t, due.Schema(), effects), clock: clock.NewManual(time.Now())}
}

// queue makes a queue whose kind "save" writes an effect for each item.
func (w *world) queue(change ...func(*due.Config)) *due.Queue {
	w.t.Helper()
	cfg := due.Config{DB: w.db, Clock: w.clock, RetryFirst: time.Minute, Poll: 20 * time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	q, err := due.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	q.Handle("save", save)
	return q
}

func save(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		if _, err := tx.Exec(ctx, `insert into effect (organization_id, key) values ($1, $2)`, i.OrganizationID, i.Key); err != nil {
			return err
		}
	}
	return nil
}

// run runs a queue until stop is called or the test ends.
func (w *world) run(q *due.Queue) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("queue ended: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

func (w *world) add(q *due.Queue, items ...due.Item) {
	w.t.Helper()
	err := w.db.AsSystem(w.t.Context(), func(_ context.Context, tx *postgres.Tx) error { return q.Add(tx, items...) })
	if err != nil {
		w.t.Fatal(err)
	}
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

// effects counts the effects of each key.
func (w *world) effects() map[uuid.UUID]int {
	w.t.Helper()
	out := map[uuid.UUID]int{}
	err := w.db.AsSystemRead(w.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select key, count(*) from effect group by key`)
		if err != nil {
			return err
		}
		var key uuid.UUID
		var n int
		_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error { out[key] = n; return nil })
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) item(org uuid.UUID, in time.Duration) due.Item {
	return due.Item{Kind: "save", Key: id.New(), OrganizationID: org, Time: w.clock.Now().Add(in)}
}

func TestHappensAtItsTimeAndOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.queue()
	now, later := w.item(id.New(), 0), w.item(id.New(), 24*time.Hour)
	w.add(q, now, later)
	w.run(q)
	w.run(w.queue()) // another replica
	w.eventually("what is due happens", func() bool { return w.effects()[now.Key] == 1 })
	if n := w.effects()[later.Key]; n != 0 {
		t.Errorf("happened %d times a day too early", n)
	}
	w.clock.Advance(24 * time.Hour)
	w.eventually("what becomes due happens", func() bool { return w.effects()[later.Key] == 1 })
	late, err := q.Late(t.Context(), now.OrganizationID, 10)
	if err != nil || len(late) != 0 {
		t.Errorf("late: %v, %v; want none", late, err)
	}
}

func TestAddReplacesAndRemoveTakesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.queue()
	moved, gone, other := w.item(id.New(), time.Hour), w.item(id.New(), time.Hour), w.item(id.New(), time.Hour)
	w.add(q, moved, gone, other)
	moved.Time = moved.Time.Add(time.Hour)
	w.add(q, other, moved, moved)
	err := w.db.InOrganization(t.Context(), gone.OrganizationID, func(_ context.Context, tx *postgres.Tx) error {
		q.Remove(tx, "save", gone.Key, id.New())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.run(q)
	w.clock.Advance(time.Hour)
	w.eventually("the other one happens", func() bool { return w.effects()[other.Key] == 1 })
	if e := w.effects(); e[moved.Key] != 0 || e[gone.Key] != 0 {
		t.Errorf("happened: moved %d, removed %d; want neither", e[moved.Key], e[gone.Key])
	}
	w.clock.Advance(time.Hour)
	w.eventually("the moved one happens", func() bool { return w.effects()[moved.Key] == 1 })
}

func TestRefusesWhatNothingHandles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.queue()
	good := w.item(id.New(), 0)
	for name, change := range map[string]func(*due.Item){
		"kind":         func(i *due.Item) { i.Kind = "other" },
		"key":          func(i *due.Item) { i.Key = uuid.Nil },
		"organization": func(i *due.Item) { i.OrganizationID = uuid.Nil },
		"time":         func(i *due.Item) { i.Time = time.Time{} },
	} {
		bad := good
		change(&bad)
		err := w.db.AsSystem(t.Context(), func(_ context.Context, tx *postgres.Tx) error { return q.Add(tx, bad) })
		if err == nil {
			t.Errorf("an item without %s was taken", name)
		}
	}
}

// B-PRV-15: what cannot be saved holds up nobody else's, in its own organization
// or another; it is listed with its error, tried again, and done in the end.
func TestOneThatFailsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.queue()
	org := id.New()
	var all []due.Item
	bad := map[uuid.UUID]bool{}
	// More bad ones than are claimed at once, and before the good ones.
	for n := range 600 {
		i := w.item(org, time.Duration(n-1000)*time.Second)
		bad[i.Key] = true
		w.exec(`insert into bad (key) values ($1)`, i.Key)
		all = append(all, i)
	}
	for n := range 100 {
		all = append(all, w.item([]uuid.UUID{org, id.New()}[n%2], 0))
	}
	w.add(q, all...)
	w.run(q)
	w.eventually("all good ones happen", func() bool { return len(w.effects()) == 100 })
	var late []due.Late
	w.eventually("all bad ones are listed", func() bool {
		var err error
		if late, err = q.Late(t.Context(), org, 1000); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, l := range late {
			if l.Attempts > 0 {
				n++
			}
		}
		return n == 600
	})
	for _, l := range late {
		if !bad[l.Key] || l.Error == "" {
			t.Fatalf("listed: %+v", l)
		}
	}

	// While 600 fail again and again, what comes new is not behind them.
	w.clock.Advance(2 * time.Minute)
	fresh := w.item(org, 0)
	w.add(q, fresh)
	w.eventually("a new one happens", func() bool { return w.effects()[fresh.Key] == 1 })

	w.exec(`delete from bad`)
	w.eventually("the bad ones happen once they can", func() bool {
		w.clock.Advance(10 * time.Minute)
		return len(w.effects()) == 701
	})
	for key, n := range w.effects() {
		if n != 1 {
			t.Errorf("%s happened %d times", key, n)
		}
	}
}

// B-RUN-02, B-RUN-07: what a process had when it died is done by another.
func TestAnotherTakesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hang := make(chan struct{})
	entered := make(chan struct{}, 1)
	dead, err := due.New(due.Config{DB: w.db, Clock: w.clock, Timeout: time.Minute, Lease: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	dead.Handle("save", func(ctx context.Context, _ *postgres.Tx, _ []due.Item) error {
		entered <- struct{}{}
		<-hang
		return errors.New("too late")
	})
	i := w.item(id.New(), 0)
	w.add(dead, i)
	stop := w.run(dead)
	<-entered
	w.run(w.queue())
	w.clock.Advance(4 * time.Minute)
	if n := len(w.effects()); n != 0 {
		t.Fatal("taken over before the lease ended")
	}
	// The row is locked by the transaction that hangs: its end is the process's.
	close(hang)
	stop()
	w.clock.Advance(time.Hour)
	w.eventually("another does it", func() bool { return w.effects()[i.Key] == 1 })
}

// An item that hangs keeps no other organization waiting.
func TestOneThatHangsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := id.New()
	q, err := due.New(due.Config{DB: w.db, Clock: w.clock, Timeout: 2 * time.Second, Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	stuck := w.item(org, -time.Minute)
	q.Handle("save", func(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
		for _, i := range items {
			if i.Key == stuck.Key {
				<-ctx.Done()
				return ctx.Err()
			}
		}
		return save(ctx, tx, items)
	})
	items := []due.Item{stuck}
	for range 5 {
		items = append(items, w.item(org, 0), w.item(id.New(), 0))
	}
	w.add(q, items...)
	w.run(q)
	w.eventually("all others happen", func() bool {
		w.clock.Advance(time.Second)
		return len(w.effects()) == 10
	})
}

// A handler's panic is one more way to fail.
func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.queue()
	q.Handle("panic", func(context.Context, *postgres.Tx, []due.Item) error { panic("ouch") })
	i := w.item(id.New(), 0)
	i.Kind = "panic"
	w.add(q, i)
	w.run(q)
	w.eventually("it is listed", func() bool {
		late, err := q.Late(t.Context(), i.OrganizationID, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(late) == 1 && late[0].Attempts == 1 && late[0].Error == "handler panicked: ouch"
	})
}

// A handler may add the same item again, for its next time.
func TestHandlerAddsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.queue()
	var times []time.Time
	q.Handle("daily", func(_ context.Context, tx *postgres.Tx, items []due.Item) error {
		next := items[0]
		times = append(times, next.Time)
		next.Time = next.Time.Add(24 * time.Hour)
		return q.Add(tx, next)
	})
	first := due.Item{Kind: "daily", Key: id.New(), OrganizationID: id.New(), Time: w.clock.Now()}
	w.add(q, first)
	stop := w.run(q)
	for range 3 {
		next := w.clock.Now()
		w.eventually(fmt.Sprintf("it is set for after %s", next), func() bool {
			var at time.Time
			err := w.db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				return tx.QueryRow(ctx, `select due_time from due where key = $1`, first.Key).Scan(&at)
			})
			return err == nil && at.After(next)
		})
		w.clock.Advance(24 * time.Hour)
	}
	w.eventually("the last one is done", func() bool {
		stop()
		return true
	})
	if len(times) < 3 {
		t.Errorf("happened %d times in three days", len(times))
	}
}

func TestCheckRowSecurity(t *testing.T) {
	t.Parallel()
	pgtest.CheckRowSecurity(t, newWorld(t).db)
}
