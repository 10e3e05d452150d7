package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// Runs that finish while one is written down are written down together after
// it, those of each organization by themselves; none waits for company.
func TestRecorder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sizes []int
	begun, goOn := make(chan struct{}, 10), make(chan error)
	r := newRecorder(func(_ context.Context, runs []*finished) error {
		mu.Lock()
		sizes = append(sizes, len(runs))
		mu.Unlock()
		begun <- struct{}{}
		select {
		case err := <-goOn:
			return err
		case <-t.Context().Done():
			return t.Context().Err()
		}
	})
	one, other := id.New(), id.New()
	results := make(chan bool, 10)
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	record := func(f *finished) {
		wg.Go(func() { results <- r.record(t.Context(), f) })
	}
	waiting := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			r.mu.Lock()
			have := len(r.waiting[one])
			r.mu.Unlock()
			if have == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, want %d", have, n)
			}
		}
	}
	record(&finished{job: store.Job{Organization: one}})
	<-begun
	for range 3 {
		record(&finished{job: store.Job{Organization: one}})
	}
	waiting(3)
	record(&finished{job: store.Job{Organization: other}})
	<-begun // does not wait for another organization
	goOn <- nil
	goOn <- nil
	<-begun
	record(&finished{job: store.Job{Organization: one}})
	waiting(1)
	goOn <- errors.New("the three fail")
	<-begun
	goOn <- nil
	yes := 0
	for range 6 {
		if <-results {
			yes++
		}
	}
	if yes != 3 || len(sizes) != 4 || sizes[0] != 1 || sizes[1] != 1 || sizes[2] != 3 || sizes[3] != 1 {
		t.Errorf("%d written, in groups of %v", yes, sizes)
	}
	if len(r.waiting) != 0 {
		t.Errorf("somebody still waits: %v", r.waiting)
	}
}

// B-PRV-01, B-RUN-02: many finish at once. Most are written down together, and
// where that fails each by itself.
func TestRecordTogether(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]bool{"together": false, "a group fails": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Timing{Poll: never})
			hold, gate := make(chan struct{}), make(chan struct{})
			w.app.hold = hold
			open := sync.OnceFunc(func() { close(gate) })
			var mu sync.Mutex
			var groups []int
			w.records = newRecorder(func(ctx context.Context, runs []*finished) error {
				mu.Lock()
				groups = append(groups, len(runs))
				mu.Unlock()
				<-gate
				if broken && len(runs) > 1 {
					// The last of them is what fails; nothing of the others stays.
					return w.in(ctx, scope.Organization(w.org), func(ctx context.Context, tx *postgres.Tx) error {
						if _, err := tx.Exec(ctx, `update account set external_id = 'wrong'`); err != nil {
							return err
						}
						return errors.New("one of them is bad")
					})
				}
				return w.recordAll(ctx, runs)
			})
			stop := w.run(w.Engine)
			t.Cleanup(open) // or nothing that runs would ever end
			const n = 10
			w.approve(w.users(n)...)
			w.eventually("all are under way", func() bool { _, calls := w.app.called(); return calls == n })
			close(hold)
			w.eventually("all but those written down first wait", func() bool {
				mu.Lock()
				defer mu.Unlock()
				w.records.mu.Lock()
				defer w.records.mu.Unlock()
				// Somebody may have come before the first looked who is there.
				return len(groups) == 1 && groups[0]+len(w.records.waiting[w.org]) == n
			})
			open()
			w.allActive(n)
			if len(groups) > 2 || groups[0]+groups[len(groups)-1] != n && groups[0] != n {
				t.Errorf("written down in groups of %v", groups)
			}
			if wrong := w.count(`select count(*) from account where external_id = 'wrong' or state <> 'active'`); wrong != 0 {
				t.Errorf("%d accounts are wrong", wrong)
			}
			if _, calls := w.app.called(); calls != n {
				t.Errorf("%d calls", calls)
			}
			stop()
		})
	}
}

// B-RUN-02: what was given to somebody else meanwhile is not heard, and what
// stands beside it is. A run that needs a person or more time is one too.
func TestRecordMixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never, RetryFirst: never, RetryLongest: never})
	jobs := make(chan store.Job, 4)
	w.pool.open(func(j store.Job) { jobs <- j })
	users := w.users(4)
	w.approve(users...)
	var runs []*finished
	for i := range users {
		j := <-jobs
		r := &report{place: whereabouts{tenant: w.tenant}}
		for _, c := range store.Changes(j.Plan) {
			answer := lifecycle.Done
			if i == 1 {
				answer = lifecycle.Unknown
			}
			if i == 2 {
				answer = lifecycle.Refused
			}
			r.results = append(r.results, lifecycle.Result{Change: c, Answer: answer})
		}
		switch i {
		case 0:
			r.account.ID = "account"
		case 1, 2:
			r.err, r.after = errors.New("no"), time.Duration(i)*time.Minute
		case 3:
			j.Claim = id.New()
		}
		runs = append(runs, &finished{job: j, report: r})
	}
	if err := w.recordAll(t.Context(), runs); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]int{"done": 1, "queued": 1, "stuck": 1, "running": 1} {
		if n := w.count(`select count(*) from operation where state = $1`, state); n != want {
			t.Errorf("%d operations are %s", n, state)
		}
	}
	if n := w.count(`select count(*) from integration where paused_until between now() + interval '100 s' and now() + interval '2 min'`); n != 1 {
		t.Error("the app is not left alone for as long as it asked")
	}
	if n := w.count(`select count(*) from work_item where kind = 'fix_operation' and state = 'open'`); n != 1 {
		t.Errorf("%d items", n)
	}
}

// What was changed without the lock of its assignment is not overwritten, whichever of
// the rows it is.
func TestStale(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"account": `update account set version = version + 1`, "grant": `update access_grant set version = version + 1`,
		"operation": `update operation set state = 'done', lease_until = null, end_time = now()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Timing{Poll: never})
			jobs := make(chan store.Job, 2)
			w.pool.open(func(j store.Job) { jobs <- j })
			w.approve(w.users(2)...)
			err := w.in(t.Context(), scope.Organization(w.org), func(ctx context.Context, tx *postgres.Tx) error {
				cs := w.begin(tx, w.org, system())
				one, two := <-jobs, <-jobs
				found, err := cs.load(ctx, store.Query{Keys: []store.Key{one.Key, two.Key}})
				if err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, sql+` where id = any(array(select id from `+map[string]string{
					"account": "account", "grant": "access_grant", "operation": "operation",
				}[name]+` limit 1))`); err != nil {
					return err
				}
				for _, s := range found.Assignments {
					cs.finish(s, s.Operation, &report{place: whereabouts{tenant: w.tenant}, results: []lifecycle.Result{{Change: store.Changes(s.Operation.Plan)[0], Answer: lifecycle.Done}}})
				}
				return cs.save(ctx)
			})
			if err == nil || !strings.Contains(err.Error(), name+" was changed without the lock") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The calls of an operation and the events about them belong to the trace of
// what gave it something to do, whether it runs at once or is claimed later,
// and whatever it is handled together with.
func TestOperationsKeepTheirTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Timing{Poll: never})
	users := w.users(4)
	trace := func(n int) string { return fmt.Sprintf("%032x", n+1) }
	approve := func(from, to int) {
		var events []inbox.Event
		for n := from; n < to; n++ {
			ev := w.approval(users[n])
			ev.Traceparent = "00-" + trace(n) + "-00000000000000ab-01"
			events = append(events, ev)
		}
		w.do(func(ctx context.Context, tx *postgres.Tx) error { return w.approved(ctx, tx, events) })
	}
	approve(0, 2) // are claimed: nobody runs anything yet
	w.run(w.Engine)
	approve(2, 4)
	w.allActive(4)
	for n, user := range users {
		if got := w.app.traces[user.String()]; got != trace(n) {
			t.Errorf("user %d: the call was of trace %q", n, got)
		}
		events := w.count(`
			select count(*) from outbox o where type in ('gatehouse.event.v1.GrantCreated', 'gatehouse.event.v1.GrantActivated', 'gatehouse.event.v1.AccountCreated')
			    and traceparent like '00-' || $1 || '-%'`, trace(n))
		if events != 3 {
			t.Errorf("user %d: %d of 3 events are of its trace", n, events)
		}
	}
}

// B-PRV-04: an operation that waits for its turn, or goes forward, has not failed,
// however often it is tried.
func TestWaitingIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]report{
		"throttled": {results: []lifecycle.Result{{Change: lifecycle.Change{Do: lifecycle.CreateAccount}, Answer: lifecycle.Unknown}}, after: time.Millisecond},
		"progress": {results: []lifecycle.Result{
			{Change: lifecycle.Change{Do: lifecycle.CreateAccount}, Answer: lifecycle.Done},
			{Change: lifecycle.Change{Do: lifecycle.CreateAccount}, Answer: lifecycle.Unknown},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Timing{Poll: never, RetryFirst: time.Millisecond, RetryLongest: time.Millisecond})
			jobs := make(chan store.Job, 1)
			start := func(j store.Job) { jobs <- j }
			w.pool.open(start)
			w.approve(w.users(1)...)
			for range 3 * lifecycle.MaxTries {
				j := <-jobs
				tried := r
				tried.place.tenant, tried.err = w.tenant, errors.New("not yet")
				if err := w.recordAll(t.Context(), []*finished{{job: j, report: &tried}}); err != nil {
					t.Fatal(err)
				}
				w.give(j.IntegrationID)
				w.eventually("it is tried again", func() bool { w.claim(t.Context(), start); return len(jobs) == 1 })
			}
			if n := w.count(`select count(*) from operation where state = 'stuck'`) + w.count(`select count(*) from work_item`); n != 0 {
				t.Error("a person is asked")
			}
			w.give((<-jobs).IntegrationID)
		})
	}
}
