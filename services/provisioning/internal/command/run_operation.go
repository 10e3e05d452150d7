package command

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

const (
	// workers is how many operations a replica runs at once.
	workers = 64
	// perIntegration is from how many on an integration gets no more, so that
	// a slow app does not keep the others waiting.
	perIntegration = 16
	// workersKept and perIntegrationKept are how many of those are kept for
	// operations that are not bulk.
	workersKept, perIntegrationKept = workers / 4, perIntegration / 4
	// atOnce is how many are claimed in one transaction.
	atOnce = 16
	// grace is how long calls may still take when the service stops.
	grace = 3 * time.Second
)

// RunOperations runs operations until ctx ends, and then waits for those that
// run.
func (e *Engine) RunOperations(ctx context.Context) error {
	calls, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	start := func(j store.Job) {
		go func() {
			defer e.give(j.IntegrationID)
			e.run(calls, j)
		}()
	}
	e.pool.open(start)
	defer e.pool.close(stop)

	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { e.takeOver(ctx) })
	for ctx.Err() == nil {
		moved := clock.Moved(e.clock)
		if wait := e.claim(ctx, start); wait > 0 && e.workers.sleep(ctx, wait, moved) != nil {
			break
		}
	}
	return nil
}

// claim claims operations and starts them. It returns for how long nothing
// more is to be expected.
func (e *Engine) claim(ctx context.Context, start func(store.Job)) time.Duration {
	p := e.pool
	now := e.clock.Now()
	room := p.room(now)
	if room.free <= 0 {
		return e.timing.Poll
	}
	due := store.DueOperations{
		Now: now, LeaseUntil: now.Add(e.timing.Lease), Limit: room.free, BulkLimit: room.freeForBulk, Most: atOnce,
		Busy: room.full, BusyForBulk: room.fullForBulk, Limited: room.limited, Except: e.blocked.list(),
	}
	var jobs []store.Job
	var more bool
	err := e.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if p.floor.Stale() {
			oldest, err := store.NextOperation(ctx, tx, time.Time{})
			if err != nil {
				return err
			}
			p.floor.Set(now, oldest)
		}
		due.From = p.floor.Time()
		jobs, more, err = store.Claim(ctx, tx, due)
		if err != nil || len(jobs) > 0 {
			return err
		}
		next, err := store.NextOperation(ctx, tx, now)
		p.next = now.Add(e.timing.Poll)
		if next != nil {
			p.next = *next
		}
		return err
	})
	service.Report(ctx, err)
	if err != nil && ctx.Err() == nil {
		e.log.Warn("Operations could not be claimed together", "error", err)
		jobs, err = e.claimEach(ctx, due)
		more = len(jobs) > 0
	}
	for _, j := range jobs {
		e.blocked.remove(j.Operation)
		p.take(j.IntegrationID)
		start(j)
	}
	switch {
	case err != nil:
		return e.timing.Poll
	case more:
		return 0
	}
	p.caughtUp(room)
	return max(time.Millisecond, min(e.timing.Poll, p.next.Sub(e.clock.Now())))
}

// claimEach claims operations each by itself: one whose row cannot be changed is
// set blocked and keeps none of the others from being claimed. The error is about
// the database.
func (e *Engine) claimEach(ctx context.Context, due store.DueOperations) (jobs []store.Job, err error) {
	var ids []uuid.UUID
	err = e.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		ids, err = due.IDs(ctx, tx)
		return err
	})
	for _, id := range ids {
		var claimed []store.Job
		err := e.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			claimed, err = store.ClaimOne(ctx, tx, due, id)
			return err
		})
		if err := e.block(ctx, "claim", id, err); err != nil {
			return jobs, err
		}
		jobs = append(jobs, claimed...)
	}
	return jobs, err
}

// run makes the calls of an operation and writes down how they went. They end
// well before its lease does. If there is no time left for that, or the service
// stops, none is begun, and the operation is left to somebody else.
func (e *Engine) run(ctx context.Context, j store.Job) {
	r := &report{stopped: true}
	left := time.Until(j.Claimed.Add(e.timing.RunTimeout))
	if left > e.timing.RunTimeout/2 && !e.pool.closed() {
		limited, cancel := context.WithTimeout(telemetry.WithTraceparent(ctx, j.Traceparent), left)
		r = e.safeCall(limited, j)
		cancel()
	}
	e.metrics.tried(r.word(), j.Looks)
	e.record(context.WithoutCancel(ctx), j, r)
}

// safeCall is call with a connector's panic as one more way to fail.
func (e *Engine) safeCall(ctx context.Context, j store.Job) (r *report) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("Connector panicked", "operation_id", j.Operation, "organization_id", j.Organization, "trace_id", telemetry.TraceID(j.Traceparent), "panic", p, "stack", string(debug.Stack()))
			r = &report{
				results: lifecycle.Lost(store.Changes(j.Plan)),
				err:     connector.NewError(connector.Retryable, nil, "the connector failed"),
			}
		}
	}()
	if j.Looks {
		return e.look(ctx, j)
	}
	return e.call(ctx, j)
}

// report is how a run went.
type report struct {
	results []lifecycle.Result
	account connector.Account
	// place is what was found out about where the account is.
	place whereabouts
	// found is an account of which nobody knows whose it is.
	found connector.Account
	// whose means that this was found when it was to be changed, and not when one was to be
	// made.
	whose bool
	// saw is what was seen, of an operation that looks.
	saw sighting
	// err is the first error that matters, and after what the app asked for.
	err   error
	after time.Duration
	// stopped means that the service stopped in the middle: nobody's failure.
	stopped bool
	// called is, of one that was abandoned, the tenant that its calls went to.
	called uuid.NullUUID
	// turn means the same of one whose turn was too far away, and how far; nothing was
	// called for what is not in results.
	turn time.Duration
}

func (r *report) word() string {
	switch {
	case r.stopped:
		return "stopped"
	case r.turn > 0:
		return "waits"
	case r.err != nil:
		return connector.KindOf(r.err).String()
	}
	return "done"
}

func (r *report) add(c lifecycle.Change, a lifecycle.Answer, err error) {
	r.results = append(r.results, lifecycle.Result{Change: c, Answer: a})
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		r.after = max(r.after, connector.RetryAfter(err))
	}
}

func answer(err error) lifecycle.Answer {
	switch connector.KindOf(err) {
	case connector.Permanent, connector.Unauthorized, connector.Conflict, connector.Exists:
		return lifecycle.Refused
	default:
		return lifecycle.Unknown
	}
}

// report takes in how the operation's run went.
func (cs *changeset) report(s *store.Assignment, o *store.Operation, r *report) {
	if a := &s.Account; r.called.Valid && !a.Tenant.Valid && a.Observed.Account == lifecycle.Absent {
		a.Tenant = r.called // it may have been made there, wherever the integration leads now
	}
	know := r.place.settle(s).Learn(r.results, s.App.Left())
	external, name := r.account.ID, r.account.UserName
	switch {
	case r.whose:
		know.Found, s.Account.FoundID, s.Account.FoundName = true, r.found.ID, r.found.UserName
	case !know.Found:
		s.Account.FoundID, s.Account.FoundName = "", ""
	case r.found.ID == "": // found before, and this run has not come to it
	case s.App.Adoption == "adopt":
		s.Account.FoundID, s.Account.FoundName = "", ""
		know, external, name = know.Adopt(), r.found.ID, r.found.UserName
	default:
		s.Account.FoundID, s.Account.FoundName = r.found.ID, r.found.UserName
	}
	cs.setObserved(s, know, external, name)
	if s.Account.ExternalID != "" && r.place.tenant != uuid.Nil {
		s.Account.LeftBehind = slices.DeleteFunc(s.Account.LeftBehind, func(p store.Place) bool { return p.Is(r.place.baseURL, s.Account.ExternalID) })
	}
	s.LookNoMore(o.Plan)
	o.Changed = true
	if r.stopped {
		// Somebody else goes on at once.
		o.State, o.Tries, o.NotBefore, cs.queued = lifecycle.Queued, o.Tries-1, &cs.now, true
		return
	}
	if r.err != nil {
		o.Error = r.err.Error()
	}
	if r.turn > 0 && (r.err == nil || o.Tries < lifecycle.MaxTries) {
		// Of the rest of the plan nothing is known yet, whatever failed before it.
		if r.err == nil {
			o.Tries--
		}
		o.State, cs.queued = lifecycle.Queued, true
		cs.tryAfter(o, r.turn)
		return
	}
	if r.after > 0 || lifecycle.Progress(r.results) {
		o.Tries-- // it waits for its turn, or goes forward: no failure
	}
	switch lifecycle.After(r.results, o.Tries) {
	case lifecycle.Queued:
		o.State = lifecycle.Queued
		t := cs.e.timing
		cs.tryAfter(o, lifecycle.Backoff(o.Tries, t.RetryFirst, t.RetryLongest, r.after, rand.Float64()))
		cs.queued = true // the pool's next look may be earlier than it thought
		cs.e.log.Warn("Operation failed, will be tried again", "operation_id", o.ID, "app_id", s.Key.App, "organization_id", cs.org, "trace_id", telemetry.TraceID(o.Traceparent), "tries", o.Tries, "error", o.Error)
	case lifecycle.Stuck:
		o.State = lifecycle.Stuck
		cs.e.log.Error("Operation failed and needs a person", "operation_id", o.ID, "app_id", s.Key.App, "organization_id", cs.org, "trace_id", telemetry.TraceID(o.Traceparent), "tries", o.Tries, "error", o.Error)
	default:
		o.State, o.Error = lifecycle.Succeeded, ""
	}
}
