package command

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/provisioning/internal/connector"
)

// Timing says how long things take. Zero fields have the defaults named.
type Timing struct {
	// CallTimeout bounds one call to an app: 10 s.
	CallTimeout time.Duration
	// RunTimeout bounds one run of an operation: 15 s.
	RunTimeout time.Duration
	// Lease is how long a replica has for an operation that it runs: 20 s. Longer
	// than RunTimeout.
	Lease time.Duration
	// RetryFirst and RetryLongest bound the pause after a failed try, which
	// doubles each time: 500 ms and 5 min.
	RetryFirst, RetryLongest time.Duration
	// RetryRemoval is how often a removal that needs a person is tried again
	// nevertheless, and after how long one that waits for its turn is put on a list: 15 min.
	RetryRemoval time.Duration
	// LookEvery is how often an app is looked at while people make the changes in it, at
	// the latest; at first, and when something has changed, at once, and then after pauses
	// that double: 15 min. LookFirst is the first of those: 1 min.
	LookFirst, LookEvery time.Duration
	// SettingsCheck is how long after a change of an app's settings accounts are
	// sought that were written under the old ones meanwhile: 30 s. Longer than a
	// transaction takes.
	SettingsCheck time.Duration
	// Poll is how often workers look for what they were not woken for: 1 s.
	Poll time.Duration
}

func (t Timing) withDefaults() Timing {
	for d, otherwise := range map[*time.Duration]time.Duration{
		&t.CallTimeout: 10 * time.Second, &t.RunTimeout: 15 * time.Second, &t.Lease: 20 * time.Second,
		&t.RetryFirst: 500 * time.Millisecond, &t.RetryLongest: 5 * time.Minute, &t.RetryRemoval: 15 * time.Minute,
		&t.SettingsCheck: 30 * time.Second, &t.Poll: time.Second, &t.LookFirst: time.Minute, &t.LookEvery: 15 * time.Minute,
	} {
		if *d <= 0 {
			*d = otherwise
		}
	}
	t.LookFirst = min(t.LookFirst, t.LookEvery)
	return t
}

// Config is what an Engine stands on.
type Config struct {
	DB     *postgres.DB
	Events *outbox.Writer
	// Due runs what the Engine has to do at a time. New registers with it.
	Due *due.Queue
	// Clock gives the time. Nil means the machine's.
	Clock clock.Clock
	// Connect returns the connector of an integration as it is in a version or a later
	// one.
	Connect func(ctx context.Context, organization, integration uuid.UUID, version int64) (Connection, error)
	Timing  Timing
	Log     *slog.Logger
	Meter   metric.MeterProvider
}

// Connection is a connector, and where it leads.
type Connection struct {
	connector.Connector
	Tenant  uuid.UUID
	BaseURL string
}

// Engine makes access be as the grants say. Its methods may be called by any
// number of goroutines.
type Engine struct {
	db      *postgres.DB
	events  *outbox.Writer
	due     *due.Queue
	clock   clock.Clock
	connect func(ctx context.Context, organization, integration uuid.UUID, version int64) (Connection, error)
	timing  Timing
	log     *slog.Logger
	metrics metrics
	pool    *pool
	records *recorder
	blocked *blocked

	workers *wakeup // there is an operation to run
}

// New makes an Engine. Run its tasks.
func New(cfg Config) (*Engine, error) {
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	e := &Engine{
		db: cfg.DB, events: cfg.Events, due: cfg.Due, clock: cfg.Clock, connect: cfg.Connect, timing: cfg.Timing.withDefaults(), log: cfg.Log,
		pool: newPool(), workers: newWakeup(),
	}
	e.blocked = newBlocked(cfg.Clock, e.timing.RetryFirst, e.timing.RetryLongest)
	e.records = newRecorder(e.recordAll)
	e.handleDue()
	var err error
	e.metrics, err = newMetrics(cfg.Meter, e)
	return e, err
}

// in runs f in a transaction of the scope. The context of f ends with
// it: what the pool keeps for f goes by that.
func (e *Engine) in(ctx context.Context, s scope.Scope, f func(ctx context.Context, tx *postgres.Tx) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return e.db.In(ctx, s, f)
}

// Wake has the workers look for operations to run. It does not block.
func (e *Engine) Wake() { e.workers.Wake() }

// wakeup wakes one sleeper. Waking it while it is awake makes its next sleep
// end at once.
type wakeup struct{ c chan struct{} }

func newWakeup() *wakeup { return &wakeup{c: make(chan struct{}, 1)} }

// Wake never blocks.
func (a *wakeup) Wake() {
	select {
	case a.c <- struct{}{}:
	default:
	}
}

// sleep returns when woken, after d, when moved is closed, or with an error when
// ctx ends.
func (a *wakeup) sleep(ctx context.Context, d time.Duration, moved <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-a.c:
	case <-t.C:
	case <-moved:
	case <-ctx.Done():
	}
	return ctx.Err()
}
