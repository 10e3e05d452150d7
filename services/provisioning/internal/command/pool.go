package command

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// pool is what a replica runs at the moment, and what it keeps room for.
//
// Operations come to it in two ways. Most are started by the transaction
// that gave them something to do: it keeps room, writes them as running
// already, and starts them after its commit. What there was no room for, what
// is tried again, and what others have left is claimed from the database.
type pool struct {
	// wg counts what has room, as long as it has it.
	wg sync.WaitGroup

	// next is when an operation is due that waits for its time, as far as is
	// known. Only the claiming goroutine has it.
	next time.Time
	// floor is from when on the claiming goroutine reads.
	floor due.Floor

	mu sync.Mutex
	// start runs an operation; nil while nobody runs any.
	start func(store.Job)
	free  int
	busy  map[uuid.UUID]int
	// behind are integrations with operations that had to be left to be
	// claimed. Until those are, newer ones must not go before them, but for those
	// that are not bulk before bulk.
	behind map[backlog]bool
	// paces are how fast apps take changes, of the integrations that are busy or have a
	// limit.
	paces map[uuid.UUID]*pace
}

// backlog is what of an integration's operations waits.
type backlog struct {
	integration uuid.UUID
	bulk        bool
}

func newPool() *pool {
	return &pool{free: workers, busy: make(map[uuid.UUID]int), behind: make(map[backlog]bool), paces: make(map[uuid.UUID]*pace)}
}

// open has operations run by start, each in a goroutine of its own.
func (p *pool) open(start func(store.Job)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start = start
}

// close has no more room kept, and waits until all that has room has given it
// back: what runs, and what transactions under way are about to start. It
// calls hurry if that takes a while.
func (p *pool) close(hurry func()) {
	p.mu.Lock()
	p.start = nil
	p.mu.Unlock()
	t := time.AfterFunc(grace, hurry)
	defer t.Stop()
	p.wg.Wait()
}

// closed reports whether new operations are not to be begun any more.
func (p *pool) closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start == nil
}

// room is what there is room for.
type room struct {
	// free is how many more there is room for, and freeForBulk how many of them
	// may be bulk.
	free, freeForBulk int
	// full are integrations that are not to be given more, and fullForBulk those
	// that are not to be given more bulk.
	full, fullForBulk []uuid.UUID
	// limited are integrations with a limit that there is room for. They are full
	// besides: each is given what it takes and no more.
	limited []store.LimitedIntegration
}

// room returns what there is room for.
func (p *pool) room(now time.Time) room {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := room{free: p.free, freeForBulk: max(0, p.free-workersKept)}
	for id, n := range p.busy {
		if p.limited(id) {
			continue
		}
		if n >= perIntegration {
			r.full = append(r.full, id)
		}
		if n >= perIntegration-perIntegrationKept {
			r.fullForBulk = append(r.fullForBulk, id)
		}
	}
	left := (p.free + 1) / 2 // the others' is the rest
	for id, pace := range p.paces {
		if !pace.limited() {
			continue
		}
		r.full, r.fullForBulk = append(r.full, id), append(r.fullForBulk, id)
		n := min(left, p.most(backlog{id, false})-p.busy[id])
		if n <= 0 || pace.waits(now) {
			continue
		}
		bulk := min(n, r.freeForBulk, p.most(backlog{id, true})-p.busy[id])
		r.limited = append(r.limited, store.LimitedIntegration{ID: id, Limit: n, BulkLimit: max(0, bulk)})
		left -= n
	}
	return r
}

// limited says whether an integration has a limit that was learnt.
func (p *pool) limited(integration uuid.UUID) bool {
	pace := p.paces[integration]
	return pace != nil && pace.limited()
}

// most is how many operations of an integration may run at once: of those that are bulk
// a quarter less.
func (p *pool) most(of backlog) int {
	n := perIntegration
	if pace := p.paces[of.integration]; pace != nil {
		n = pace.atOnce()
	}
	if of.bulk {
		n -= n * perIntegrationKept / perIntegration
	}
	return n
}

// turn takes an integration's next turn, and returns how far away it is. If that is
// further than most, none is taken.
func (p *pool) turn(integration uuid.UUID, now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pace := p.paces[integration]; pace != nil {
		return pace.turn(now, most)
	}
	return 0, true
}

// mayGo says whether who has waited for a turn may take it: not if the app has asked to
// wait meanwhile.
func (p *pool) mayGo(integration uuid.UUID, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pace := p.paces[integration]
	return pace == nil || !pace.limited() || !pace.waits(now)
}

// learn takes in how an app has answered a change that began at a time: it has made it,
// or has asked to wait.
func (p *pool) learn(integration uuid.UUID, began, now time.Time, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	learnt := p.paces[integration]
	if learnt == nil {
		learnt = &pace{}
		p.paces[integration] = learnt
	}
	if wait > 0 {
		learnt.throttled(began, now, wait)
	} else {
		learnt.answered(now)
	}
}

// fits says whether there is room for an operation.
func (p *pool) fits(of backlog) bool {
	free, forIntegration := p.free, p.most(of)-p.busy[of.integration]
	if of.bulk {
		free -= workersKept
	}
	return free > 0 && forIntegration > 0
}

// take takes room for an operation, whether there is any or not.
func (p *pool) take(integration uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved(integration)
}

func (p *pool) reserved(integration uuid.UUID) {
	p.wg.Add(1)
	p.free--
	p.busy[integration]++
}

// reserve takes room for an operation that is about to be started, if there
// is any. It returns what starts operations, nil if this one must be left to be
// claimed.
func (p *pool) reserve(of backlog) (start func(store.Job)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.start == nil:
		return nil
	case !p.fits(of), p.behind[of]:
		p.behind[of] = true
		return nil
	}
	p.reserved(of.integration)
	return p.start
}

// caughtUp means that all was claimed that was due and that there was room for.
func (p *pool) caughtUp(had room) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.behind, func(of backlog, _ bool) bool {
		if of.bulk {
			return had.freeForBulk > 0 && !slices.Contains(had.fullForBulk, of.integration)
		}
		return !slices.Contains(had.full, of.integration)
	})
}

// release gives back what was taken, and returns whether something may have waited
// for that.
func (p *pool) release(integration uuid.UUID) (waited bool) {
	defer p.wg.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	waited = p.free <= workersKept || p.busy[integration] >= p.most(backlog{integration, true}) ||
		p.behind[backlog{integration, true}] || p.behind[backlog{integration, false}]
	p.free++
	if p.busy[integration]--; p.busy[integration] == 0 {
		delete(p.busy, integration)
		if !p.limited(integration) {
			delete(p.paces, integration)
		}
	}
	return waited
}

// started is what one transaction hands over to the pool if it commits.
type started struct {
	e    *Engine
	jobs []store.Job
	// start starts them.
	start func(store.Job)
	// stop means that the room is not to be given back when the transaction's
	// context ends, and false if it has been.
	stop func() bool
}

// startOperations claims, within the transaction, the operations of the changeset that are to
// be done at once and that this replica has room for. They run after the
// commit; if there is none, the room is given back at the end of ctx.
func (cs *changeset) startOperations(ctx context.Context) {
	h := &started{e: cs.e}
	claimed, lease := time.Now(), cs.e.clock.Now().Add(cs.e.timing.Lease)
	for _, s := range cs.assignments {
		o := s.Operation
		if o == nil || !o.AtOnce {
			continue
		}
		if o.Traceparent == "" {
			o.Traceparent = telemetry.Traceparent(ctx)
		}
		var start func(store.Job)
		if s.App.IntegrationVersion != 0 && !s.App.Paused {
			start = cs.e.pool.reserve(backlog{o.IntegrationID, o.Bulk})
		}
		if start == nil {
			cs.queued = true
			continue
		}
		o.State, o.Tries, o.Claim, o.LeaseUntil = lifecycle.Running, o.Tries+1, uuid.NullUUID{UUID: uuid.New(), Valid: true}, &lease
		h.start, h.jobs = start, append(h.jobs, s.Job(claimed))
	}
	if len(h.jobs) > 0 {
		h.stop = context.AfterFunc(ctx, h.giveBack)
		cs.tx.AfterCommit(h.commit)
	}
}

// giveBack gives back the room of a transaction that has not committed.
func (h *started) giveBack() {
	for _, j := range h.jobs {
		h.e.give(j.IntegrationID)
	}
}

// commit starts the operations. If the room was given back because the
// caller did not wait for the end of the commit, nobody may be there any more
// to wait for the calls: they are left to who takes over when the lease ends.
func (h *started) commit() {
	if !h.stop() {
		return
	}
	for _, j := range h.jobs {
		h.start(j)
	}
}

// give gives room back to the pool, and wakes the claiming goroutine.
func (e *Engine) give(integration uuid.UUID) {
	if e.pool.release(integration) {
		e.workers.Wake()
	}
}
