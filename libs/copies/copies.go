package copies

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// Config says which copies a service has. All but Changed, Log and Telemetry
// are required; of the owners, those of the kinds.
type Config struct {
	// Service is the service's name, and that of its durable consumer.
	Service string
	// Kinds are the copies it has. Their tables are there, see [Schema].
	Kinds Kinds
	// DB is its database.
	DB *postgres.DB
	// Bus has the stream that the consumer consumes.
	Bus *bus.Bus
	// IdentitySync, Request, Provisioning and Approval are the owners, called with
	// a token of the service's own.
	IdentitySync, Request, Provisioning, Approval grpc.ClientConnInterface
	// Changed is called when rows have changed. Nil: nothing follows.
	Changed Changed
	// Log gets rebuilds, and owners that are away. Nil discards.
	Log *slog.Logger
	// Telemetry measures. May be nil.
	Telemetry *telemetry.Telemetry
	// LookEvery is how often it is looked whether a rebuild is wanted. 0 means
	// 10 s.
	LookEvery time.Duration
}

// Changed does what follows when rows have changed, in the transaction that has
// changed them, which sees the organization's rows. An error rolls all of it
// back.
type Changed func(ctx context.Context, tx *postgres.Tx, c *Changes) error

// Copies are a service's copies. Make them with [New].
type Copies struct {
	cfg     Config
	log     *slog.Logger
	sources []*source
}

// source is an owner whose snapshots are wanted.
type source struct {
	name   string
	number int // for the lock
	kinds  Kinds
	client opsv1.SnapshotServiceClient
	wake   chan struct{}
}

// New makes copies, which do nothing until they are registered and run.
func New(cfg Config) (*Copies, error) {
	if cfg.Service == "" || cfg.DB == nil || cfg.Bus == nil || cfg.Kinds == 0 {
		return nil, errors.New("copies need a service name, a database, a bus and kinds")
	}
	if cfg.LookEvery <= 0 {
		cfg.LookEvery = 10 * time.Second
	}
	c := &Copies{cfg: cfg, log: cfg.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	for i, conn := range []grpc.ClientConnInterface{cfg.IdentitySync, cfg.Request, cfg.Provisioning, cfg.Approval} {
		kinds := cfg.Kinds & owners[i].kinds
		if kinds == 0 {
			continue
		}
		if conn == nil {
			return nil, fmt.Errorf("copies of %s need a connection to %s", kinds, owners[i].name)
		}
		c.sources = append(c.sources, &source{
			name: owners[i].name, number: i, kinds: kinds, client: opsv1.NewSnapshotServiceClient(conn), wake: make(chan struct{}, 1),
		})
	}
	return c, nil
}

// Register registers the handlers of all events that say something about the
// kinds, but for those that have a handler, which must apply them with [Queue].
func (c *Copies) Register(h *inbox.Handlers) {
	h.Together(c.handle, slices.DeleteFunc(events(c.cfg.Kinds), h.Has)...)
}

// Run rebuilds copies when it is time, see the package comment, until ctx ends,
// and then returns nil. Owners that are away are waited for. Run it once per
// replica.
func (c *Copies) Run(ctx context.Context) error {
	stop, err := c.measure()
	if err != nil {
		return err
	}
	defer stop()
	var loops sync.WaitGroup
	for _, s := range c.sources {
		loops.Go(func() { c.keep(ctx, s) })
	}
	loops.Wait()
	return nil
}

// Ready says whether every copy has been complete once.
func (c *Copies) Ready(ctx context.Context) error {
	states, err := c.states(ctx, c.cfg.Kinds)
	if err != nil {
		return fmt.Errorf("copies: %w", err)
	}
	var missing Kinds
	for _, t := range c.cfg.Kinds.tables() {
		if states[t].done == 0 {
			missing |= t.kind
		}
	}
	if missing != 0 {
		return fmt.Errorf("copies: not complete yet: %s", missing)
	}
	return nil
}

// measure observes at every scrape which copies are complete.
func (c *Copies) measure() (stop func(), err error) {
	meter := c.cfg.Telemetry.Meter("gatehouse.dev/libs/copies")
	gauge, err := meter.Int64ObservableGauge("gatehouse_copy_complete",
		metric.WithDescription("1 for a kind of copy that is complete, 0 for one that is to be rebuilt."))
	if err != nil {
		return nil, fmt.Errorf("make metrics of copies: %w", err)
	}
	reg, err := meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		states, err := c.states(ctx, c.cfg.Kinds)
		if err != nil {
			return err
		}
		for _, t := range c.cfg.Kinds.tables() {
			var complete int64
			if !states[t].wanted(t) {
				complete = 1
			}
			o.ObserveInt64(gauge, complete, metric.WithAttributes(attribute.String("kind", t.word)))
		}
		return nil
	}, gauge)
	if err != nil {
		return nil, fmt.Errorf("watch copies: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil
}
