package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
)

// Config says what is consumed. Service, DB, Bus and Handlers are required.
type Config struct {
	// Service is the service's name, and that of its durable consumer.
	Service string
	// DB is the service's database, with the tables of outbox.Schema.
	DB *postgres.DB
	// Bus delivers the events.
	Bus *bus.Bus
	// Handlers say which events are delivered and what is done with them. There
	// must be one.
	Handlers *Handlers
	// Keys verify the events that are signed; of a service whose key is not among
	// them none is believed.
	Keys eventsig.Keys
	// Log gets failures and outages. Nil discards.
	Log *slog.Logger
	// Telemetry traces and measures. May be nil.
	Telemetry *telemetry.Telemetry

	// MaxAttempts is how often an event is tried before it is parked. 0 means 8.
	MaxAttempts int
	// MaxNotYet is MaxAttempts for events whose handler says NotYet. 0 means 20.
	MaxNotYet int
	// Backoff is the pause after the nth failed attempt, counted from 1. Nil
	// means 50 ms, doubled each time up to 30 s; for NotYet 20 ms up to 2 s; and
	// up to a fifth more by chance.
	Backoff func(attempt int, err error) time.Duration
	// AckWait is when the server delivers an event again of which it has heard
	// nothing: how long events wait that a process had when it was killed. What
	// is in work is reported well before, however long it takes. 0 means 10 s.
	AckWait time.Duration
	// Batch is the number of events for one transaction. 0 means 256.
	Batch int
	// Linger is how long to wait, after a transaction of several events, for
	// more to come: under load fewer and larger transactions. 0 means not at
	// all.
	Linger time.Duration
	// HandleTimeout bounds one transaction. 0 means 20 s.
	HandleTimeout time.Duration
}

// Defaults of [Config].
const (
	DefaultMaxAttempts   = 8
	DefaultMaxNotYet     = 20
	DefaultAckWait       = 10 * time.Second
	DefaultHandleTimeout = 20 * time.Second
)

// Consumer consumes events. Make it with [NewConsumer].
type Consumer struct {
	cfg     Config
	filter  []string // the subjects of the events that are delivered
	log     *slog.Logger
	metrics *metrics
	tracer  trace.Tracer
	away    backoff.Backoff // the pauses while the database or the bus is away
	keepEnd uint64          // see keepPositions

	replayEvery time.Duration // see replayWaiting
}

// NewConsumer makes a consumer, which does nothing until [Consumer.Run].
func NewConsumer(cfg Config) (*Consumer, error) {
	if cfg.Service == "" || cfg.DB == nil || cfg.Bus == nil || cfg.Handlers == nil {
		return nil, errors.New("a consumer needs a service name, a database, a bus and handlers")
	}
	subjects := cfg.Handlers.subjects()
	if len(subjects) == 0 {
		return nil, errors.New("a consumer needs a handler of some event")
	}
	defaults := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	defaults(&cfg.MaxAttempts, DefaultMaxAttempts)
	defaults(&cfg.MaxNotYet, DefaultMaxNotYet)
	defaults(&cfg.Batch, 256)
	if cfg.AckWait <= 0 {
		cfg.AckWait = DefaultAckWait
	}
	if cfg.HandleTimeout <= 0 {
		cfg.HandleTimeout = DefaultHandleTimeout
	}
	if cfg.Backoff == nil {
		cfg.Backoff = pauseAfter
	}
	m, err := newMetrics(cfg.Telemetry)
	if err != nil {
		return nil, err
	}
	c := &Consumer{
		cfg:     cfg,
		filter:  subjects,
		log:     cfg.Log,
		metrics: m,
		tracer:  cfg.Telemetry.Tracer("gatehouse.dev/libs/inbox"),
		keepEnd: keepPositions,

		replayEvery: replayEvery,
		away:        backoff.Backoff{First: 50 * time.Millisecond, Longest: 2 * time.Second},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

var (
	afterFailure = backoff.Backoff{First: 50 * time.Millisecond, Longest: 30 * time.Second}
	afterNotYet  = backoff.Backoff{First: 20 * time.Millisecond, Longest: 2 * time.Second}
)

func pauseAfter(attempt int, err error) time.Duration {
	if errors.Is(err, ErrNotYet) {
		return afterNotYet.After(attempt)
	}
	return afterFailure.After(attempt)
}

// Run consumes until ctx ends, and then returns nil: the transaction in work is
// finished, the events not begun are given back. Neither a database nor a bus
// that is away ends it. Run it once per replica, in one goroutine.
func (c *Consumer) Run(ctx context.Context) error {
	stop, err := c.metrics.watch(c.parkedCount)
	if err != nil {
		return err
	}
	defer stop()

	q := newQueue(c.cfg.Batch)
	var helpers sync.WaitGroup
	helpers.Go(func() { c.pump(ctx, q) })
	done := make(chan struct{})
	helpers.Go(func() { c.keep(q, done) })
	helpers.Go(func() { c.replayWaiting(ctx) })

	var bulkDone sync.WaitGroup
	bulkDone.Go(func() { c.work(ctx, q, bulk) })
	c.work(ctx, q, prompt)
	bulkDone.Wait()
	close(done)
	helpers.Wait()
	// What was acknowledged last must reach the server.
	_ = c.cfg.Bus.Conn().FlushTimeout(2 * time.Second)
	return nil
}

// work handles the deliveries of a lane until q is closed.
func (c *Consumer) work(ctx context.Context, q *queue, from lane) {
	for {
		batch := q.take(from, c.cfg.Batch)
		if batch == nil {
			return
		}
		if ctx.Err() != nil {
			giveBack(batch)
			continue
		}
		for _, d := range batch {
			c.decode(d)
		}
		c.handle(ctx, batch, q.postpone)
		if c.cfg.Linger > 0 && len(batch) >= underLoad {
			backoff.Wait(ctx, c.cfg.Linger)
		}
	}
}

// underLoad is the number of events in a transaction from which on a consumer
// counts as loaded.
const underLoad = 8

// keep tells the server that deliveries are in work, until done is closed.
func (c *Consumer) keep(q *queue, done <-chan struct{}) {
	every := c.cfg.AckWait / 2
	tick := time.NewTicker(max(every/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			q.touch(now, every)
		case <-done:
			return
		}
	}
}

func giveBack(deliveries []*delivery) {
	for _, d := range deliveries {
		d.again(0)
	}
}

// maxRounds is how many events are taken out of a batch for failing before the
// rest is tried one by one.
const maxRounds = 4

// handle deals with a batch of deliveries: each is acknowledged, asked for again,
// or postponed when it returns. postpone has one that lacks a fact wait for those
// that may bring it, if there are some.
func (c *Consumer) handle(ctx context.Context, batch []*delivery, postpone func(*delivery) bool) {
	var aside []*delivery
	readable := batch[:0:0]
	for _, d := range batch {
		if d.broken != nil {
			c.settle(ctx, d, d.broken)
		} else {
			readable = append(readable, d)
		}
	}
	batch = readable
	for rounds := 0; len(batch) > 0; rounds++ {
		err := c.attempt(ctx, batch)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			giveBack(batch)
			giveBack(aside)
			return
		}
		var failed *failure
		switch {
		case len(batch) == 1:
			if !errors.Is(err, ErrNotYet) || !postpone(batch[0]) {
				c.settle(ctx, batch[0], err)
			}
			batch = nil
		case errors.As(err, &failed) && failed.event != nil && rounds < maxRounds:
			aside = append(aside, failed.event)
			batch = without(batch, failed.event)
		default:
			aside = append(aside, batch...)
			batch = nil
		}
	}
	// Alone, after the others have committed: it may have failed only because
	// of its company, or for want of one that stood behind it.
	for i, d := range aside {
		err := c.attempt(ctx, []*delivery{d})
		if err != nil && ctx.Err() != nil {
			giveBack(aside[i:])
			return
		}
		if err != nil && (!errors.Is(err, ErrNotYet) || !postpone(d)) {
			c.settle(ctx, d, err)
		}
	}
}

func without(batch []*delivery, out *delivery) []*delivery {
	rest := make([]*delivery, 0, len(batch)-1)
	for _, d := range batch {
		if d != out {
			rest = append(rest, d)
		}
	}
	return rest
}

// attempt gives deliveries their effects in one transaction and acknowledges
// them. While the database is away it tries again, until ctx ends. An error
// means that nothing took effect and nothing was acknowledged.
func (c *Consumer) attempt(ctx context.Context, batch []*delivery) error {
	var outcome outcome
	err := c.whenThere(ctx, func(ctx context.Context) (err error) {
		outcome, err = c.apply(ctx, batch)
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range batch {
		d.ack()
	}
	c.metrics.consumed(batch, outcome)
	return nil
}

// whenThere calls f, which works with the database, and calls it again for as
// long as the database is away and ctx lasts. f itself is not cut short by the
// end of ctx.
func (c *Consumer) whenThere(ctx context.Context, f func(context.Context) error) error {
	warned := false
	for failures := 1; ; failures++ {
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.HandleTimeout)
		err := f(work)
		cancel()
		if err == nil && warned {
			c.log.Info("Consumer reached the database again")
		}
		if err == nil || !databaseAway(err) {
			return err
		}
		if !warned {
			c.log.Warn("Consumer holds its events, the database is away", "error", err)
			warned = true
		}
		if !c.away.Wait(ctx, failures) {
			return err
		}
	}
}

// outcome says what apply did with each delivery, by event id.
type outcome struct {
	fresh map[uuid.UUID]bool
}

// apply is one transaction: ids into the inbox, effects of those that were not
// there.
func (c *Consumer) apply(ctx context.Context, batch []*delivery) (out outcome, err error) {
	began := false
	work := func(ctx context.Context, tx *postgres.Tx, scope uuid.UUID) error {
		out = outcome{}
		record := record
		if c.cfg.Handlers.keyed {
			record = recordPlace
		}
		fresh, err := record(ctx, tx, batch)
		if err != nil {
			return err
		}
		began = true
		out.fresh = fresh
		return c.callHandlers(ctx, tx, scope, batch, fresh)
	}
	if org, ok := c.oneOrganization(batch); ok {
		err = c.cfg.DB.InOrganization(ctx, org, func(ctx context.Context, tx *postgres.Tx) error {
			return work(ctx, tx, org)
		})
	} else {
		err = c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return work(ctx, tx, uuid.Nil)
		})
	}
	if err != nil && !began && errors.Is(err, context.DeadlineExceeded) {
		// It did not come to any event's effect: that is no event's fault.
		err = errors.Join(err, errNoAnswer)
	}
	return out, err
}

// oneOrganization is the organization whose transaction will do for the batch,
// which saves the round trips of narrowing a wider one.
func (c *Consumer) oneOrganization(batch []*delivery) (uuid.UUID, bool) {
	for _, d := range batch {
		if d.OrganizationID != batch[0].OrganizationID {
			return uuid.Nil, false
		}
		if c.cfg.Handlers.ofAll(d.Type) {
			return uuid.Nil, false
		}
	}
	return batch[0].OrganizationID, true
}

// callHandlers calls the handlers of the fresh deliveries: each organization's
// in the order of the stream, then the handler that takes those of all. scope
// is the organization tx is bound to for good, or nil.
func (c *Consumer) callHandlers(ctx context.Context, tx *postgres.Tx, scope uuid.UUID, batch []*delivery, fresh map[uuid.UUID]bool) error {
	var organizations []uuid.UUID
	byOrganization := make(map[uuid.UUID][]*delivery, 1)
	var all []*delivery
	seen := make(map[uuid.UUID]bool, len(fresh))
	for _, d := range batch {
		if !fresh[d.ID] || seen[d.ID] || !c.cfg.Handlers.wants(d.Type) {
			continue
		}
		seen[d.ID] = true
		if c.cfg.Handlers.ofAll(d.Type) {
			all = append(all, d)
			continue
		}
		if byOrganization[d.OrganizationID] == nil {
			organizations = append(organizations, d.OrganizationID)
		}
		byOrganization[d.OrganizationID] = append(byOrganization[d.OrganizationID], d)
	}
	for _, org := range organizations {
		if scope != org {
			if err := tx.SetOrganization(ctx, org); err != nil {
				return err
			}
		}
		for rest := byOrganization[org]; len(rest) > 0; {
			n, err := c.callNext(ctx, tx, rest)
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	if len(all) == 0 {
		return nil
	}
	if len(organizations) > 0 {
		if err := tx.SetSystem(ctx); err != nil {
			return err
		}
	}
	return c.callBatch(ctx, tx, all, c.cfg.Handlers.batch)
}

// callNext calls the handler of the first delivery, with all behind it that it
// takes together, and says how many those are.
func (c *Consumer) callNext(ctx context.Context, tx *postgres.Tx, deliveries []*delivery) (n int, err error) {
	first := deliveries[0]
	if handler := c.cfg.Handlers.ofOne(first.Type); handler != nil {
		if err := c.callOne(ctx, tx, first, handler); err != nil {
			return 0, &failure{event: first, err: err}
		}
		return 1, nil
	}
	t := c.cfg.Handlers.together[first.Type]
	for n = 1; n < len(deliveries) && c.cfg.Handlers.together[deliveries[n].Type] == t; n++ {
	}
	return n, c.callBatch(ctx, tx, deliveries[:n], t.handle)
}

// callOne calls a handler inside a span that continues the publisher's trace.
func (c *Consumer) callOne(ctx context.Context, tx *postgres.Tx, d *delivery, handler Handler) (err error) {
	ctx, span := c.span(ctx, d)
	defer span.End()
	defer func() {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, "")
		}
	}()
	defer c.recovered(&err)
	return handler(ctx, tx, d.Event)
}

// callBatch calls a handler of several events. Its error names the bad one if
// the handler does, or if there is only one.
func (c *Consumer) callBatch(ctx context.Context, tx *postgres.Tx, deliveries []*delivery, handle BatchHandler) error {
	events := make([]Event, len(deliveries))
	for i, d := range deliveries {
		events[i] = d.Event
		// The effect is one, so each trace gets a span as long as all of it.
		_, span := c.span(ctx, d)
		defer span.End()
	}
	err := func() (err error) {
		defer c.recovered(&err)
		return handle(ctx, tx, events)
	}()
	if err == nil {
		return nil
	}
	f := &failure{err: err}
	var blamed *blame
	if len(deliveries) == 1 {
		f.event = deliveries[0]
	} else if errors.As(err, &blamed) {
		for _, d := range deliveries {
			if d.ID == blamed.event {
				f.event = d
			}
		}
	}
	return f
}

// recovered makes an error of a handler's panic: one event must not take the
// service with it, over and over.
func (c *Consumer) recovered(err *error) {
	if p := recover(); p != nil {
		c.log.Error("Event handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = fmt.Errorf("handler panicked: %v", p)
	}
}

func (c *Consumer) span(ctx context.Context, d *delivery) (context.Context, trace.Span) {
	if d.msg != nil {
		ctx = c.cfg.Telemetry.Propagator().Extract(ctx, bus.Carrier(d.msg.Headers()))
	}
	return c.tracer.Start(ctx, "consume "+d.Type, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			attribute.String("messaging.message.id", d.ID.String()),
			attribute.String("gatehouse.organization_id", d.OrganizationID.String())))
}

// settle deals with an event that failed by itself: asked for again after a
// pause, or parked.
func (c *Consumer) settle(ctx context.Context, d *delivery, cause error) {
	log := c.log.With("event_id", d.ID, "type", d.Type, "aggregate_id", d.AggregateID,
		"organization_id", d.OrganizationID, "trace_id", telemetry.TraceID(d.Traceparent))
	var attempts int
	var parked bool
	err := c.whenThere(ctx, func(ctx context.Context) (err error) {
		attempts, parked, err = c.count(ctx, d, cause)
		return err
	})
	var f *failure
	if errors.As(cause, &f) {
		cause = f.err
	}
	switch {
	case err != nil:
		// Not counted; the server delivers it again.
		log.Warn("Failed event could not be counted", "error", err)
		d.again(c.away.Longest)
	case parked:
		d.ack()
		c.metrics.count(d, "parked")
		log.Error("Event parked", "attempts", attempts, "error", cause)
	default:
		c.metrics.count(d, result(cause))
		pause := c.cfg.Backoff(attempts, cause)
		d.again(max(pause, time.Millisecond))
		if !errors.Is(cause, ErrNotYet) || attempts >= 8 {
			log.Warn("Event failed, it will be tried again", "attempts", attempts, "pause", pause, "error", cause)
		}
	}
}

// limit is how often an event is tried that fails with err.
func (c *Consumer) limit(d *delivery, err error) int {
	switch {
	case d.broken != nil:
		return 1
	case errors.Is(err, ErrNotYet):
		return c.cfg.MaxNotYet
	default:
		return c.cfg.MaxAttempts
	}
}
