package command

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

const (
	// recordFor is how long it is tried to write down how a run went.
	recordFor = 15 * time.Second
	// groupFor is how much of that goes to writing it down with others: one
	// assignment that somebody has locked for long must not keep all the rest.
	groupFor = 5 * time.Second
)

// finished is a run that is over and not written down.
type finished struct {
	job    store.Job
	report *report
	// turn tells who waits what to do.
	turn chan turn
}

// turn is what becomes of a finished run that waited.
type turn uint8

const (
	// lead: write down all that wait.
	lead turn = iota
	// written: nothing is left to do.
	written
	// alone: it could not be written down with others.
	alone
)

// recorder brings together finished runs of one organization that wait to be
// written down. One that finds nobody at work does not wait; those that finish
// while it is at work are written down after it, by one of them, in one
// transaction.
type recorder struct {
	write func(ctx context.Context, runs []*finished) error

	mu sync.Mutex
	// waiting are those that wait, for each organization that somebody is at
	// work for.
	waiting map[uuid.UUID][]*finished
}

func newRecorder(write func(context.Context, []*finished) error) *recorder {
	return &recorder{write: write, waiting: make(map[uuid.UUID][]*finished)}
}

// record records the result of a run, with others if there are any. It returns false
// if that failed.
func (r *recorder) record(ctx context.Context, f *finished) bool {
	f.turn = make(chan turn, 1)
	org := f.job.Organization
	r.mu.Lock()
	others, working := r.waiting[org]
	r.waiting[org] = append(others, f)
	r.mu.Unlock()
	if working {
		if t := <-f.turn; t != lead {
			return t == written
		}
	}
	r.mu.Lock()
	group := r.waiting[org]
	r.waiting[org] = nil
	r.mu.Unlock()

	t := alone
	// Whatever happens here, the others must not wait for ever.
	defer func() {
		for _, other := range group {
			if other != f {
				other.turn <- t
			}
		}
		r.next(org)
	}()
	limited, cancel := context.WithTimeout(ctx, groupFor)
	defer cancel()
	if r.write(limited, group) == nil {
		t = written
	}
	return t == written
}

// next gives the work to one of those that wait.
func (r *recorder) next(org uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting := r.waiting[org]; len(waiting) > 0 {
		waiting[0].turn <- lead
	} else {
		delete(r.waiting, org)
	}
}

// record writes down how a run went, with all that follows, once. It goes on
// trying while the database is away; if it cannot, the outcome is in doubt and
// the lease ends.
func (e *Engine) record(ctx context.Context, j store.Job, r *report) {
	ctx, cancel := context.WithTimeout(ctx, recordFor)
	defer cancel()
	f := &finished{job: j, report: r}
	if e.records.record(ctx, f) {
		return
	}
	for failures := 1; ; failures++ {
		err := e.recordAll(ctx, []*finished{f})
		if err == nil {
			return
		}
		if !recordAgain.Wait(ctx, failures) {
			e.log.Error("Could not record an operation", "operation_id", j.Operation, "organization_id", j.Organization, "trace_id", telemetry.TraceID(j.Traceparent), "error", err)
			return
		}
	}
}

// recordAgain are the pauses while the database is away.
var recordAgain = backoff.Backoff{First: 20 * time.Millisecond, Longest: time.Second}

// recordAll writes down how runs of one organization went, in one transaction.
func (e *Engine) recordAll(ctx context.Context, runs []*finished) error {
	org := runs[0].job.Organization
	return e.in(ctx, scope.Organization(org), func(ctx context.Context, tx *postgres.Tx) error {
		cs := e.begin(tx, org, system())
		var want store.Query
		for _, f := range runs {
			want.Keys = append(want.Keys, f.job.Key)
		}
		found, err := cs.load(ctx, want)
		if err != nil {
			return err
		}
		pauses := make(map[uuid.UUID]time.Duration)
		for _, f := range runs {
			s := found.Assignment(f.job.Key)
			if s == nil {
				continue
			}
			o := s.Operation
			if o == nil || o.ID != f.job.Operation || o.State != lifecycle.Running || o.Claim.UUID != f.job.Claim {
				continue // it was given to somebody else
			}
			cs.finish(s, o, f.report)
			if f.report.after > 0 {
				pauses[o.IntegrationID] = max(pauses[o.IntegrationID], f.report.after)
			}
		}
		// In one order, as everybody who locks more than one.
		for _, id := range slices.SortedFunc(maps.Keys(pauses), compareIDs) {
			store.Pause(cs.more, id, cs.now.Add(pauses[id]))
		}
		cs.traceparent = "" // what follows is of all of them
		return cs.save(ctx)
	})
}

// finish applies the result of an operation's run, and reconciles its assignment.
func (cs *changeset) finish(s *store.Assignment, o *store.Operation, r *report) {
	cs.traceparent = o.Traceparent
	if o.Looks {
		cs.see(s, o, r)
	} else {
		cs.report(s, o, r)
	}
	cs.reconcile(s)
	if o.State == lifecycle.Stuck {
		o.NotBefore = nil
		if lifecycle.TakesAway(store.Changes(o.Plan)) {
			cs.tryAfter(o, cs.e.timing.RetryRemoval)
		}
	}
}

// awaitTurns has removals that wait for their turn put on a list if they wait for long,
// whatever they wait for.
func (cs *changeset) awaitTurns() {
	for _, s := range cs.assignments {
		o := s.Operation
		switch {
		case o == nil || !o.New && !o.Changed:
		case o.Looks || !lifecycle.TakesAway(store.Changes(o.Plan)):
			o.ListedFrom = nil
		case o.State == lifecycle.Queued && o.ListedFrom == nil:
			at := cs.now.Add(cs.e.timing.RetryRemoval)
			o.ListedFrom = &at
			cs.due = append(cs.due, due.Item{Kind: dueListed, Key: s.Account.ID, OrganizationID: cs.org, Time: at})
		}
	}
}

// tryAfter has an operation tried after a pause.
func (cs *changeset) tryAfter(o *store.Operation, pause time.Duration) {
	at := cs.now.Add(pause)
	o.NotBefore = &at
}
