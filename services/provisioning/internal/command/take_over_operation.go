package command

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

const (
	// abandonedAtOnce is how many operations are looked up at once to be taken
	// over, and takeOvers how many are taken over side by side.
	abandonedAtOnce = 100
	takeOvers       = 4
	// takeOverFor bounds taking over one operation.
	takeOverFor = 5 * time.Second
)

// takeOver takes over operations whose lease has ended, until ctx ends: what
// their calls did is in doubt. Each is taken over by itself; one that cannot be
// is set blocked, and holds up none of the others.
func (e *Engine) takeOver(ctx context.Context) {
	for ctx.Err() == nil {
		moved := clock.Moved(e.clock)
		if err := e.takeOverAll(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("Operations could not be taken over", "error", err)
		}
		t := time.NewTimer(e.timing.Lease / 4)
		select {
		case <-t.C:
		case <-moved:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// takeOverAll takes over all there are, page by page. The error is about the
// database.
func (e *Engine) takeOverAll(ctx context.Context) error {
	now, except := e.clock.Now(), e.blocked.list()
	var after uuid.UUID
	for ctx.Err() == nil {
		var jobs []store.Job
		err := e.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			jobs, err = store.Abandoned(ctx, tx, now, after, except, abandonedAtOnce)
			return err
		})
		if err != nil || len(jobs) == 0 {
			return err
		}
		after = jobs[len(jobs)-1].Operation
		if err := e.takeOverEach(ctx, jobs); err != nil {
			return err
		}
	}
	return nil
}

// takeOverEach takes over operations, some side by side. The error is about the
// database.
func (e *Engine) takeOverEach(ctx context.Context, jobs []store.Job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan store.Job)
	var wg sync.WaitGroup
	for range min(takeOvers, len(jobs)) {
		wg.Go(func() {
			for j := range next {
				if ctx.Err() != nil {
					continue
				}
				limited, stop := context.WithTimeout(ctx, takeOverFor)
				lost := &report{
					results: lifecycle.Lost(store.Changes(j.Plan)), called: j.Called,
					err: connector.NewError(connector.Retryable, nil, "Gatehouse stopped before it received the app's answer"),
				}
				if j.Looks {
					lost = &report{stopped: true} // nothing was changed
				}
				err := e.recordAll(limited, []*finished{{job: j, report: lost}})
				stop()
				if err := e.block(ctx, "take_over", j.Operation, err); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, j := range jobs {
		next <- j
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// block sets an operation blocked that could not be claimed or taken over, so
// that it holds up no others, and counts it; without err it is blocked no more. It
// returns err if that is not about the operation but about the database.
func (e *Engine) block(ctx context.Context, step string, operation uuid.UUID, err error) error {
	switch {
	case err == nil:
		e.blocked.remove(operation)
		return nil
	case ctx.Err() != nil || apierr.HasReason(err, postgres.ReasonUnavailable):
		return err
	}
	pause := e.blocked.add(operation)
	e.metrics.block(step)
	e.log.Error("Operation cannot be changed, it will be tried again", "step", step, "operation_id", operation, "pause", pause, "error", err)
	return nil
}

// blocked are operations whose rows cannot be changed at the moment. This replica
// leaves each alone for a pause that doubles each time.
type blocked struct {
	clock          clock.Clock
	first, longest time.Duration

	mu sync.Mutex
	by map[uuid.UUID]pause
}

type pause struct {
	until time.Time
	times int
}

func newBlocked(c clock.Clock, first, longest time.Duration) *blocked {
	return &blocked{clock: c, first: first, longest: longest, by: make(map[uuid.UUID]pause)}
}

func (a *blocked) add(operation uuid.UUID) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.by[operation]
	p.times++
	d := lifecycle.Backoff(p.times, a.first, a.longest, 0, 1)
	p.until = a.clock.Now().Add(d)
	a.by[operation] = p
	return d
}

func (a *blocked) remove(operation uuid.UUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, operation)
}

// list returns those to be left alone now. What has not failed for long is
// forgotten: another replica has done it.
func (a *blocked) list() (out []uuid.UUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	for operation, p := range a.by {
		switch {
		case p.until.After(now):
			out = append(out, operation)
		case now.Sub(p.until) > a.longest:
			delete(a.by, operation)
		}
	}
	return out
}

// size returns how many have failed and are not known to be done.
func (a *blocked) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.by)
}
