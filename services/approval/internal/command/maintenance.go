package command

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"gatehouse.dev/libs/backoff"
)

// Maintenance is what follows from changed copies and flows and is too much for
// the transaction that changed them: reviewers who cannot decide any more are
// replaced, reviewers are found for vacant steps, new join-flows are matched
// with everybody, and what hung on deleted flows is ended. It looks at the present state, not at what happened, so it may
// be woken too often, killed at any point, and run by every replica at once.
//
// Each approval and each flow is done by itself. One that fails is tried again
// after a pause that doubles each time, and does not keep others from being
// done; how many there are is measured.
type Maintenance struct {
	wake     chan struct{}
	failures metric.Int64Counter
	late     metric.Int64Gauge
	// older says that there may be approvals that a release before this one wrote.
	older atomic.Bool
}

// NewMaintenance makes one. It does nothing until Commands.Maintain.
func NewMaintenance(meter metric.Meter) (*Maintenance, error) {
	failures, err := meter.Int64Counter("gatehouse.approval.maintenance.failures",
		metric.WithDescription("Approvals and flows that could not be maintained and are tried again, by kind."))
	if err != nil {
		return nil, fmt.Errorf("make metrics of maintenance: %w", err)
	}
	late, err := meter.Int64Gauge("gatehouse.approval.maintenance.late",
		metric.WithDescription("Approvals and flows that have failed and are not done yet, by kind."))
	if err != nil {
		return nil, fmt.Errorf("make metrics of maintenance: %w", err)
	}
	m := &Maintenance{wake: make(chan struct{}, 1), failures: failures, late: late}
	m.older.Store(true)
	return m, nil
}

// Wake has it look soon. It does not block.
func (m *Maintenance) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Maintain looks whenever it is woken, and every so often besides: for what
// another replica was woken for and did not live to do, and for what two
// transactions did that could not see each other. It returns nil when ctx ends.
func (c *Commands) Maintain(ctx context.Context, every time.Duration) error {
	older := c.newScan("renew_approval")
	flows := c.newScan("match_flow")
	ends := c.newScan("end_flow")
	approvals := c.newScan("replace_reviewers")
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.Maintenance.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		older.run(ctx, c.renewApprovals)
		flows.run(ctx, c.matchFlows)
		ends.run(ctx, c.endFlows)
		approvals.run(ctx, c.replaceReviewers)
		timer.Reset(max(time.Millisecond, min(every, older.retryIn(every), flows.retryIn(every), ends.retryIn(every), approvals.retryIn(every))))
	}
}

// scan goes through items of one kind again and again, and remembers those that
// fail.
type scan struct {
	kind   string
	log    *slog.Logger
	m      *Maintenance
	failed map[string]*failure
	seen   map[string]bool
}

// failure is an item that failed so often and is not tried again before next.
type failure struct {
	times int
	next  time.Time
}

// pauses are those before an item that failed is tried again.
var pauses = backoff.Backoff{First: time.Second, Longest: 10 * time.Minute}

func (c *Commands) newScan(kind string) *scan {
	return &scan{kind: kind, log: c.Log, m: c.Maintenance, failed: make(map[string]*failure)}
}

// run goes through all items once.
func (s *scan) run(ctx context.Context, each func(context.Context, *scan) error) {
	s.seen = make(map[string]bool)
	if err := each(ctx, s); err != nil {
		if ctx.Err() == nil {
			s.log.Warn("Maintenance failed, it will be tried again", "kind", s.kind, "error", err)
		}
		return
	}
	for id := range s.failed {
		if !s.seen[id] && ctx.Err() == nil {
			delete(s.failed, id) // nothing is left to do for it
		}
	}
	s.m.late.Record(ctx, int64(len(s.failed)), metric.WithAttributes(attribute.String("kind", s.kind)))
}

// do does one item of an organization, unless it has failed and it is too early to try
// again. It reports whether the item is done.
func (s *scan) do(ctx context.Context, organization uuid.UUID, id string, fn func() error) (done bool) {
	s.seen[id] = true
	f := s.failed[id]
	if f != nil && time.Now().Before(f.next) {
		return false
	}
	err := guarded(fn)
	if err == nil {
		delete(s.failed, id)
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	if f == nil {
		f = &failure{}
		s.failed[id] = f
	}
	f.times++
	pause := pauses.After(f.times)
	f.next = time.Now().Add(pause)
	s.m.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", s.kind)))
	s.log.Warn("Maintenance of an item failed, it will be tried again", "kind", s.kind, "id", id, "organization_id", organization, "times", f.times, "pause", pause, "error", err)
	return false
}

// guarded is fn, of which a panic is an error like others: what it was doing is rolled
// back, and what comes after it is done.
func guarded(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

// retryIn is how long until the first of the items that failed is tried again,
// at most limit.
func (s *scan) retryIn(limit time.Duration) time.Duration {
	for _, f := range s.failed {
		limit = min(limit, time.Until(f.next))
	}
	return limit
}
