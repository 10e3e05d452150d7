package jsonform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/audit/internal/store"
)

const (
	// batch is how many events are published together, at most, and linger how
	// long the first of them waits for others: one sync of the stream serves all.
	batch  = 1000
	linger = 20 * time.Millisecond

	busTimeout      = 10 * time.Second
	databaseTimeout = 5 * time.Second
	// lockEvery is how often a replica asks for the lock that another holds.
	lockEvery = 2 * time.Second

	pullExpiry = 30 * time.Second
	heartbeat  = 2 * time.Second
)

// pauses are those between tries after something has failed.
var pauses = backoff.Backoff{First: 50 * time.Millisecond, Longest: 2 * time.Second}

// Config says what the task stands on. All but Telemetry is required.
type Config struct {
	// DB is the service's database, for the lock.
	DB *postgres.DB
	// Bus is the keeper's.
	Bus *bus.Bus
	// Keys verify the events that are signed.
	Keys      eventsig.Keys
	Log       *slog.Logger
	Telemetry *telemetry.Telemetry
}

// Task makes the JSON form. Make it with [New].
type Task struct {
	cfg    Config
	events metric.Int64Counter
	// published is called between the publishing of events and their
	// acknowledgement, by tests.
	published func()
}

// New makes a task, which does nothing until [Task.Run].
func New(cfg Config) (*Task, error) {
	events, err := cfg.Telemetry.Meter("gatehouse.dev/services/audit/jsonform").Int64Counter("gatehouse_json_events",
		metric.WithDescription("Events of the stream, by what became of them in JSON: published, or left_out."))
	if err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	return &Task{cfg: cfg, events: events, published: func() {}}, nil
}

// Run works until ctx ends, and then returns nil. Neither a database nor a bus
// that is away ends it. Run it once per replica, in one goroutine.
func (t *Task) Run(ctx context.Context) error {
	warned := false
	for failures := 0; ctx.Err() == nil; {
		err := t.serve(ctx, func() {
			failures = 0
			service.Report(ctx, nil)
			if warned {
				t.cfg.Log.Info("Events are told in JSON again")
				warned = false
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		service.Report(ctx, service.Problem("no event is told in JSON, as the bus or the database does not answer", err))
		if !warned {
			t.cfg.Log.Warn("Events are not told in JSON", "error", err)
			warned = true
		}
		failures++
		pauses.Wait(ctx, failures)
	}
	return nil
}

// serve works while it holds the lock, until something fails.
func (t *Task) serve(ctx context.Context, working func()) error {
	conn, err := t.lock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		// Closing gives the lock back.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	consumer, err := t.open(ctx)
	if err != nil {
		return err
	}
	publisher, err := t.cfg.Bus.NewPublisher()
	if err != nil {
		return err
	}
	defer publisher.Close()
	messages, err := consumer.Messages(jetstream.PullMaxMessages(batch), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("pull events: %w", err)
	}
	defer messages.Stop()
	working()
	next := uint64(1) // of what the consumer delivers
	for {
		deliveries, err := gather(ctx, messages)
		if err != nil {
			return err
		}
		// What was lost on its way would come later, behind others.
		for _, m := range deliveries {
			meta, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("read where an event stands: %w", err)
			}
			if meta.Sequence.Consumer != next {
				return fmt.Errorf("delivery %d came in place of %d", meta.Sequence.Consumer, next)
			}
			next++
		}
		if err := holds(ctx, conn); err != nil {
			return err
		}
		if err := t.publish(ctx, publisher, deliveries); err != nil {
			return err
		}
	}
}

// lock gives a connection that holds the lock. It must not come from the pool,
// where the lock would stay with it.
func (t *Task) lock(ctx context.Context) (_ *pgx.Conn, err error) {
	dial, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	cfg := t.cfg.DB.Pool().Config().ConnConfig.Copy()
	cfg.Tracer = nil
	conn, err := pgx.ConnectConfig(dial, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	defer func() {
		if err != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	for {
		ask, cancel := context.WithTimeout(ctx, databaseTimeout)
		held, err := store.TryLockJSONForm(ask, conn)
		cancel()
		if err != nil {
			return nil, err
		}
		if held {
			return conn, nil
		}
		service.Report(ctx, nil) // another replica works
		if !backoff.Wait(ctx, lockEvery) {
			return nil, ctx.Err()
		}
	}
}

// holds is an error once the connection, and with it the lock, is lost.
func holds(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("keep the lock: %w", err)
	}
	return nil
}

// open makes sure of both streams and of the consumer, and sets it back to behind
// what was acknowledged last: an event that somebody else was given comes again
// now, and not behind those that follow it.
func (t *Task) open(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	for _, ensure := range []func(context.Context) error{t.cfg.Bus.EnsureStream, t.cfg.Bus.EnsureJSONStream} {
		if err := ensure(ctx); err != nil {
			return nil, err
		}
	}
	js := t.cfg.Bus.JetStream()
	consumer, err := js.CreateOrUpdateConsumer(ctx, bus.Stream, jetstream.ConsumerConfig{
		Durable:       busauth.JSONConsumer,
		Description:   "Events that are told in JSON",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckAllPolicy,
		AckWait:       time.Minute,
		MaxDeliver:    -1,
		MaxAckPending: 2 * batch,
	})
	if err != nil {
		return nil, fmt.Errorf("make consumer %s: %w", busauth.JSONConsumer, err)
	}
	if _, err := js.ResetConsumer(ctx, bus.Stream, busauth.JSONConsumer); err != nil {
		return nil, fmt.Errorf("set consumer %s back: %w", busauth.JSONConsumer, err)
	}
	return consumer, nil
}

// gather waits for an event and takes those that come with it.
func gather(ctx context.Context, messages jetstream.MessagesContext) ([]jetstream.Msg, error) {
	first, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("pull events: %w", err)
	}
	all := []jetstream.Msg{first}
	for until := time.Now().Add(linger); len(all) < batch; {
		m, err := messages.Next(jetstream.NextMaxWait(max(time.Until(until), time.Millisecond)))
		if errors.Is(err, nats.ErrTimeout) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("pull events: %w", err)
		}
		all = append(all, m)
	}
	return all, nil
}

// publish publishes events in order, and acknowledges them once they are on the
// disk.
func (t *Task) publish(ctx context.Context, publisher *bus.Publisher, deliveries []jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, 2*busTimeout)
	defer cancel()
	messages := make([]*nats.Msg, 0, len(deliveries))
	for _, d := range deliveries {
		m, err := convert(t.cfg.Keys, d.Subject(), d.Headers(), d.Data())
		if err != nil {
			t.count(ctx, "left_out", 1)
			t.cfg.Log.Error("Event is left out of the JSON form", "event_id", d.Headers().Get(bus.HeaderID),
				"type", d.Headers().Get(bus.HeaderType), "subject", d.Subject(), "error", err)
			continue
		}
		messages = append(messages, m)
	}
	if len(messages) > 0 {
		point := t.cfg.Bus.SyncPoint()
		if _, err := publisher.Publish(ctx, messages); err != nil {
			return fmt.Errorf("publish events in JSON: %w", err)
		}
		if err := t.cfg.Bus.SyncJSON(ctx, point); err != nil {
			return err
		}
		t.count(ctx, "published", len(messages))
	}
	t.published()
	if err := deliveries[len(deliveries)-1].DoubleAck(ctx); err != nil { // and all before it
		return fmt.Errorf("acknowledge events: %w", err)
	}
	return nil
}

func (t *Task) count(ctx context.Context, result string, n int) {
	t.events.Add(ctx, int64(n), metric.WithAttributes(attribute.String("result", result)))
}
