package command

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/internal/store"
)

// never is a Poll that does not come within a test.
const never = time.Hour

// woken reports whether the workers were told to look for operations.
func (w *world) woken() bool {
	select {
	case <-w.workers.c:
		return true
	default:
		return false
	}
}

// empty reports whether the pool has all its room again.
func (p *pool) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free == workers && len(p.busy) == 0
}

// B-PRV-01: what is to be done at once is taken up by the transaction that says
// so, and nobody has to look for it.
func TestTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	users := w.users(2)
	started := make(chan store.Job, 2)
	w.pool.open(func(j store.Job) { started <- j })
	w.approve(users...)
	if n := w.count(`select count(*) from operation where state = 'running' and tries = 1 and claim is not null and lease_until > now()`); n != 2 {
		t.Fatalf("%d operations are running", n)
	}
	if w.woken() {
		t.Error("somebody was told to look for operations")
	}
	for range users {
		j := <-started
		if j.Person.UserName == "" || j.IntegrationVersion != 1 || len(j.Plan) != 1 || j.Tries != 1 {
			t.Errorf("job %+v", j)
		}
		w.Engine.run(t.Context(), j)
		w.give(j.IntegrationID)
	}
	w.allActive(2)
	if !w.pool.empty() {
		t.Error("room was not given back")
	}
}

// B-PRV-01, B-PRV-04: what there is no room for is queued, and taken up when
// there is; so is everything while nobody runs operations.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: 50 * time.Millisecond})
	hold := make(chan struct{})
	w.app.hold = hold
	first := w.users(3)
	w.approve(first...)
	if n := w.count(`select count(*) from operation where state = 'queued' and tries = 0 and claim is null`); n != 3 {
		t.Errorf("%d are queued while nobody runs", n)
	}
	stop := w.run(w.Engine)
	w.eventually("they are taken up", func() bool { _, n := w.app.called(); return n == 3 })

	w.approve(w.users(perIntegration)...)
	w.eventually("the app has as much as it gets", func() bool { _, n := w.app.called(); return n == perIntegration })
	if n := w.count(`select count(*) from operation where state = 'queued'`); n != 3 {
		t.Errorf("%d are queued", n)
	}
	close(hold)
	w.allActive(perIntegration + 3)
	w.eventually("room was given back", w.pool.empty)
	if accounts, calls := w.app.called(); accounts != calls {
		t.Errorf("%d accounts, %d calls", accounts, calls)
	}
	stop()
}

// An integration that is to be left alone is, and one that is not there is no
// reason to hurry.
func TestNotTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	w.pool.open(func(store.Job) { t.Error("started") })
	w.do(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `update integration set paused_until = now() + interval '1 h'`)
		return err
	})
	w.approve(w.users(1)...)
	w.do(func(ctx context.Context, tx *postgres.Tx) error {
		return copies.Apply(ctx, tx, w.org, w.automatic(uuid.New(), 2))
	})
	w.approve(w.users(1)...)
	if n := w.count(`select count(*) from operation where state = 'queued'`); n != 2 || !w.woken() {
		t.Errorf("%d are queued", n)
	}
}

// A transaction that does not commit gives back what it was kept, however often
// it was tried.
func TestNotCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	w.pool.open(func(store.Job) { t.Error("started") })
	users := w.users(3)
	no := errors.New("no")
	err := w.in(t.Context(), scope.Organization(w.org), func(ctx context.Context, tx *postgres.Tx) error {
		if err := w.approved(ctx, tx, []inbox.Event{w.approval(users[0]), w.approval(users[1])}); err != nil {
			return err
		}
		if err := w.approved(ctx, tx, []inbox.Event{w.approval(users[2])}); err != nil {
			return err
		}
		if free := w.pool.room(time.Now()).free; free != workers-3 {
			t.Errorf("room for %d is left", free)
		}
		return no
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	w.eventually("room was given back", w.pool.empty)
	w.pool.close(func() {}) // nothing is waited for
}

// B-RUN-02: whoever took it up dies before the first call: another takes over
// when the lease ends.
func TestTakenUpAndDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Lease: 100 * time.Millisecond, Poll: never})
	w.pool.open(func(store.Job) {}) // and is never heard of again
	w.approve(w.users(2)...)
	if n := w.count(`select count(*) from operation where state = 'running'`); n != 2 {
		t.Fatalf("%d are running", n)
	}
	stop := w.run(w.engine(Timing{Poll: 20 * time.Millisecond, RetryFirst: time.Millisecond}))
	w.allActive(2)
	if _, calls := w.app.called(); calls != 2 {
		t.Errorf("%d calls", calls)
	}
	stop()
}

// B-RUN-02: the service stops while a transaction is about to hand something
// over. It is waited for, and what it hands over is put back without a call.
func TestStoppedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.RunOperations(ctx)
	}()
	w.eventually("operations are run", func() bool { return !w.pool.closed() })
	users := w.users(2)
	w.do(func(ctx context.Context, tx *postgres.Tx) error {
		if err := w.approved(ctx, tx, []inbox.Event{w.approval(users[0]), w.approval(users[1])}); err != nil {
			return err
		}
		cancel()
		w.eventually("the pool is closed", w.pool.closed)
		select {
		case <-done:
			t.Error("stopped without waiting")
		default:
		}
		return nil
	})
	<-done
	if n := w.count(`select count(*) from operation where state = 'queued' and tries = 0 and not_before <= now()`); n != 2 {
		t.Errorf("%d are put back", n)
	}
	if _, calls := w.app.called(); calls != 0 || !w.pool.empty() {
		t.Errorf("%d calls", calls)
	}
	// The next one goes on.
	w.run(w.engine(Timing{Poll: 20 * time.Millisecond}))
	w.allActive(2)
}

// B-RUN-02: what runs when the service stops is written down before it has.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	hold := make(chan struct{})
	w.app.hold = hold
	stop := w.run(w.Engine)
	w.approve(w.users(5)...)
	w.eventually("all are under way", func() bool { _, n := w.app.called(); return n == 5 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	w.eventually("the pool is closed", w.pool.closed)
	close(hold)
	<-stopped
	w.allActive(5)
}

// A commit that took so long that there is no time left for the calls before
// the lease ends: none is made.
func TestTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	var late store.Job
	w.pool.open(func(j store.Job) { late = j })
	w.approve(w.users(1)...)
	late.Claimed = late.Claimed.Add(-w.timing.RunTimeout)
	w.Engine.run(t.Context(), late)
	w.give(late.IntegrationID)
	if n := w.count(`select count(*) from operation where state = 'queued' and tries = 0`); n != 1 || !w.woken() {
		t.Error("not put back")
	}
	if _, calls := w.app.called(); calls != 0 {
		t.Errorf("%d calls", calls)
	}
}

// B-PRV-01, in part: an app that is busy with what join-flows give has room for
// what somebody waits for, which goes first also where it must be claimed.
func TestOthersGoBeforeBulk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: 20 * time.Millisecond})
	w.app.hold = make(chan struct{})
	w.run(w.Engine)
	join := func(users ...uuid.UUID) {
		var events []inbox.Event
		for _, u := range users {
			ev := w.approval(u)
			ev.Message.(*eventv1.ApprovalGranted).GetRequest().Origin = requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN
			events = append(events, ev)
		}
		w.do(func(ctx context.Context, tx *postgres.Tx) error { return w.approved(ctx, tx, events) })
	}
	running := func(bulk bool) int {
		return w.count(`select count(*) from operation where state = 'running' and bulk = $1`, bulk)
	}
	const room = perIntegration - perIntegrationKept
	join(w.users(2 * perIntegration)...)
	w.eventually("the app has as much bulk as it gets", func() bool { return running(true) >= room })
	before := running(true)
	w.approve(w.users(perIntegration + 1)...)
	w.eventually("others are run beside them", func() bool { return running(false) > 0 })
	if running(true) != before {
		t.Errorf("%d are bulk, of %d before", running(true), before)
	}
	close(w.app.hold)
	w.allActive(3*perIntegration + 1)
}
