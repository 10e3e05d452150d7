package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
)

const (
	// turnEvents and turnBytes bound what one turn of the relay publishes.
	turnEvents = 256
	turnBytes  = 512 << 10

	// pollEvery is how often an idle relay looks without having been woken, and
	// how often one that waits for the lock asks for it.
	pollEvery = 500 * time.Millisecond

	// relayLock is the advisory lock of the active relay, "gh-outbx".
	relayLock = 0x67682d6f75746278
)

// Defaults of [RelayConfig].
const (
	DefaultDatabaseTimeout = 10 * time.Second
	DefaultBusTimeout      = 5 * time.Second
)

// RelayConfig says from where to where. DB, Bus and Source are required.
type RelayConfig struct {
	// DB is the service's database.
	DB *postgres.DB
	// Bus carries the events.
	Bus *bus.Bus
	// Source is the service's name: the events' ce-source.
	Source string
	// Signer signs those events that are to be signed. Without a key nobody acts on
	// them.
	Signer eventsig.Signer
	// Log gets outages. Nil discards.
	Log *slog.Logger
	// Telemetry measures. May be nil.
	Telemetry *telemetry.Telemetry

	// DatabaseTimeout and BusTimeout bound one exchange with the database and one with
	// the bus, which is of hundreds of events. 0 means 10 s and 5 s.
	DatabaseTimeout, BusTimeout time.Duration
}

// Relay publishes a database's committed events. Make it with [NewRelay].
type Relay struct {
	cfg     RelayConfig
	log     *slog.Logger
	metrics *metrics
	subject string
	wake    chan struct{}
}

// pauses are those while the database or the bus is away.
var pauses = backoff.Backoff{First: 50 * time.Millisecond, Longest: 2 * time.Second}

// NewRelay makes a relay, which does nothing until [Relay.Run].
func NewRelay(cfg RelayConfig) (*Relay, error) {
	if cfg.DB == nil || cfg.Bus == nil || cfg.Source == "" {
		return nil, errors.New("a relay needs a database, a bus and a source")
	}
	cfg.DatabaseTimeout = cmp.Or(cfg.DatabaseTimeout, DefaultDatabaseTimeout)
	cfg.BusTimeout = cmp.Or(cfg.BusTimeout, DefaultBusTimeout)
	m, err := newMetrics(cfg.Telemetry)
	if err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Relay{
		cfg:     cfg,
		log:     log,
		metrics: m,
		subject: bus.WakeSubject(cfg.Source),
		wake:    make(chan struct{}, 1),
	}, nil
}

// Wake tells the relay that events were committed. It never blocks; calls that
// come faster than the relay turns count as one. If another replica's relay is
// the active one, that one is told.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends, and then returns nil, having finished what it
// had begun. Neither a database nor a bus that is away ends it; it reports them
// with service.Report. Run it once per replica, in one goroutine.
func (r *Relay) Run(ctx context.Context) error {
	stop, err := r.metrics.watch(r.depth)
	if err != nil {
		return err
	}
	defer stop()

	failures := 0
	warned := false
	for ctx.Err() == nil {
		err := r.serve(ctx, func() {
			failures = 0
			service.Report(ctx, nil)
			if warned {
				r.log.Info("Relay reached the database again")
				warned = false
			}
		})
		if ctx.Err() != nil {
			break
		}
		service.Report(ctx, service.Problem("no event is published, as the outbox cannot be read", err))
		if !warned {
			r.log.Warn("Relay lost the database", "error", err)
			warned = true
		}
		failures++
		pauses.Wait(ctx, failures)
	}
	return nil
}

// serve works on one database connection until that is lost or ctx ends. The
// lock is the connection's, and events are read by that connection only: who
// does not hold the lock has nothing to publish.
func (r *Relay) serve(ctx context.Context, connected func()) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		// Closing gives the lock back.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	connected()
	if err := r.lock(ctx, conn); err != nil {
		return err
	}
	r.log.Info("Relay publishes")
	defer r.log.Info("Relay no longer publishes")

	// Other replicas tell of their commits over the bus.
	sub, err := r.cfg.Bus.Conn().Subscribe(r.subject, func(*nats.Msg) { r.Wake() })
	if err != nil {
		return fmt.Errorf("listen for commits of other replicas: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()

	return r.publishAll(ctx, conn)
}

// connect makes the relay's own connection: it must not come from the pool,
// where the lock and the settings would stay with it.
func (r *Relay) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.DatabaseTimeout)
	defer cancel()
	cfg := r.cfg.DB.Pool().Config().ConnConfig.Copy()
	cfg.Tracer = nil
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	// A delete that is undone by a crash only means publishing again. A client
	// that is dead must not keep the lock. One plan, with the index, is always
	// right, which statistics of so small a table may not tell.
	if _, err = conn.Exec(ctx, postgres.SetSessionToSystem, postgres.SystemScope()...); err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("set the connection up: %w", err)
	}
	_, err = conn.Exec(ctx, `select
		set_config('synchronous_commit', 'off', false),
		set_config('enable_seqscan', 'off', false),
		set_config('plan_cache_mode', 'force_generic_plan', false),
		set_config('tcp_keepalives_idle', '5', false),
		set_config('tcp_keepalives_interval', '2', false),
		set_config('tcp_keepalives_count', '3', false),
		set_config('application_name', $1, false)`, "gatehouse-"+r.cfg.Source+"-relay")
	if err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("set the connection up: %w", err)
	}
	return conn, nil
}

// lock waits until this connection holds the lock. It asks again and again: a
// session that waited for it inside the database would hold a snapshot all that
// time, and vacuum could not clean the outbox.
func (r *Relay) lock(ctx context.Context, conn *pgx.Conn) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		held, err := r.tryLock(ctx, conn)
		if err != nil || held {
			return err
		}
	waiting:
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-r.wake:
				// The active relay polls too, so a lost message costs little.
				_ = r.cfg.Bus.Conn().Publish(r.subject, nil)
			case <-tick.C:
				break waiting
			}
		}
	}
}

func (r *Relay) tryLock(ctx context.Context, conn *pgx.Conn) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.DatabaseTimeout)
	defer cancel()
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", int64(relayLock)).Scan(&held); err != nil {
		return false, fmt.Errorf("lock the outbox: %w", err)
	}
	return held, nil
}

// publishAll is the loop of the active relay: read, publish, and delete with a
// later read what has become durable. It returns when the connection is lost or
// ctx ends.
func (r *Relay) publishAll(ctx context.Context, conn *pgx.Conn) error {
	publisher, err := r.cfg.Bus.NewPublisher()
	if err != nil {
		return err
	}
	defer publisher.Close()
	outbox := &reader{conn: conn, timeout: r.cfg.DatabaseTimeout}
	acked := newUnsynced(r.cfg.Bus, r.cfg.BusTimeout)
	defer acked.finish()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var durable []int64
	var busAway, warnedNotPermitted bool
	failures := 0
	for {
		// A turn that has begun is finished, also at shutdown.
		rows, more, err := outbox.next(context.WithoutCancel(ctx), durable, acked.all())
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			if durable = acked.finish(); len(durable) > 0 {
				_, _, err = outbox.next(context.WithoutCancel(ctx), durable, acked.all())
			}
			return errors.Join(err, ctx.Err())
		}
		if len(rows) > 0 {
			point := r.cfg.Bus.SyncPoint()
			var done int
			done, err = r.publish(context.WithoutCancel(ctx), publisher, rows)
			acked.add(point, rows[:done])
			r.metrics.published(rows[:done])
			if err != nil {
				outbox.again(rows[done].seq)
			}
		}
		// What is before an event that the bus does not take does not wait for it.
		var lost error
		if durable, lost = acked.wait(ctx, r.wake, tick.C, err == nil && !more); lost != nil {
			outbox.again(acked.forget())
			err = cmp.Or(err, lost)
		}
		if err == nil {
			if busAway && len(rows) > 0 {
				r.log.Info("Relay publishes again")
				service.Report(ctx, nil)
				busAway, warnedNotPermitted = false, false
			}
			failures = 0
			continue
		}
		notPermitted := r.report(ctx, rows, err)
		if !busAway || notPermitted && !warnedNotPermitted {
			r.log.Warn("Relay cannot publish", "error", err)
			busAway, warnedNotPermitted = true, notPermitted
		}
		failures++
		pauses.Wait(ctx, failures)
		if noStream(err) && ctx.Err() == nil {
			r.restoreStream(ctx)
		}
	}
}

// report says why events wait, and whether it is for want of a permission: no time
// mends that, but somebody who runs the bus does.
func (r *Relay) report(ctx context.Context, rows []row, err error) (notPermitted bool) {
	text := "events wait in the outbox, as the bus does not take them"
	if not := (*bus.NotPermittedError)(nil); errors.As(err, &not) {
		notPermitted = true
		subject := "a subject"
		for i := range rows {
			if t, err := event.Lookup(rows[i].typ); err == nil && rows[i].subject == not.Subject {
				subject = t.Filter()
				break
			}
		}
		text = "events wait in the outbox, as NATS does not permit this service to publish to " + subject +
			": run gatehouse init, and have NATS read its configuration again"
	}
	service.Report(ctx, service.Problem(text, err))
	return notPermitted
}

// restoreStream makes the stream again if it has gone, as with a lost disk.
func (r *Relay) restoreStream(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.BusTimeout)
	defer cancel()
	if err := r.cfg.Bus.EnsureStream(ctx); err != nil {
		r.log.Warn("Relay cannot restore the stream", "error", err)
	}
}

// depth is how many events wait, for the metric.
func (r *Relay) depth(ctx context.Context) (n int64, err error) {
	err = r.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from (select from outbox limit 100000) as waiting").Scan(&n)
	})
	return n, err
}
