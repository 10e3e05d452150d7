package inbox_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// benchWorld is a database and a bus that syncs every write, as one machine
// runs it. The database of tests does not sync.
type benchWorld struct {
	b      *testing.B
	org    uuid.UUID
	db     *postgres.DB
	bus    *bus.Bus
	relay  *outbox.Relay
	writer *outbox.Writer
}

func newBenchWorld(b *testing.B) *benchWorld {
	server, err := busserver.Start(busserver.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	w := &benchWorld{b: b, org: id.New(), db: pgtest.Open(b, outbox.Schema(), effects)}
	if w.bus, err = bus.Connect(b.Context(), bus.Config{URL: server.URL(), Name: "bench"}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.bus.Close)
	if w.relay, err = outbox.NewRelay(outbox.RelayConfig{DB: w.db, Bus: w.bus, Source: "identity-sync", Signer: bustest.Signer()}); err != nil {
		b.Fatal(err)
	}
	w.writer = outbox.NewWriter("bench", w.relay.Wake)
	return w
}

// run runs a task until the end of the benchmark.
func (w *benchWorld) run(task func(context.Context) error) {
	ctx, cancel := context.WithCancel(w.b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = task(ctx)
	}()
	w.b.Cleanup(func() {
		cancel()
		<-done
	})
}

func (w *benchWorld) add(n int) {
	events := make([]outbox.Event, n)
	for i := range events {
		events[i] = outbox.Event{
			OrganizationID: w.org, AggregateID: w.org,
			Message: created(i + 1),
		}
	}
	err := w.db.InOrganization(w.b.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
		return w.writer.Add(ctx, tx, events...)
	})
	if err != nil {
		w.b.Fatal(err)
	}
}

// consume runs a consumer that writes one row for each event and sends on the
// channel after each commit of some.
func (w *benchWorld) consume() (committed <-chan int) {
	c := make(chan int, 1<<20)
	var h inbox.Handlers
	inbox.On(&h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		tx.AfterCommit(func() { c <- 1 })
		_, err := tx.Exec(ctx, "insert into effect (organization_id, event_id, n) values ($1, $2, $3)",
			ev.OrganizationID, ev.ID, m.GetContext().GetVersion())
		return err
	})
	consumer, err := inbox.NewConsumer(inbox.Config{Service: "bench", DB: w.db, Bus: w.bus, Handlers: &h})
	if err != nil {
		w.b.Fatal(err)
	}
	w.run(consumer.Run)
	return c
}

// BenchmarkRelay publishes what waits in an outbox.
func BenchmarkRelay(b *testing.B) {
	w := newBenchWorld(b)
	w.add(b.N)
	w.run(w.relay.Run)
	b.ResetTimer()
	w.published(b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// published waits until the stream holds n events.
func (w *benchWorld) published(n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		s, err := w.bus.JetStream().Stream(w.b.Context(), bus.Stream)
		if err != nil {
			w.b.Fatal(err)
		}
		if s.CachedInfo().State.LastSeq >= uint64(n) {
			return
		}
	}
}

// BenchmarkConsumer handles what stands in the stream, one row an event.
func BenchmarkConsumer(b *testing.B) {
	w := newBenchWorld(b)
	w.run(w.relay.Run)
	w.add(b.N)
	w.published(b.N)
	b.ResetTimer()
	committed := w.consume()
	for range b.N {
		<-committed
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkEventPath is the way of an event from the commit of its command to
// the commit of its effect, with 1 and with 32 commands in flight.
func BenchmarkEventPath(b *testing.B) {
	for _, inFlight := range []int{1, 32} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) {
			w := newBenchWorld(b)
			w.run(w.relay.Run)
			var mu sync.Mutex
			waiting := map[uuid.UUID]chan struct{}{}
			var h inbox.Handlers
			inbox.On(&h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
				tx.AfterCommit(func() {
					mu.Lock()
					defer mu.Unlock()
					close(waiting[ev.ID])
				})
				_, err := tx.Exec(ctx, "insert into effect (organization_id, event_id, n) values ($1, $2, 1)", ev.OrganizationID, ev.ID)
				return err
			})
			consumer, err := inbox.NewConsumer(inbox.Config{Service: "bench", DB: w.db, Bus: w.bus, Handlers: &h})
			if err != nil {
				b.Fatal(err)
			}
			w.run(consumer.Run)
			var took []time.Duration
			one := func() {
				event, done := id.New(), make(chan struct{})
				mu.Lock()
				waiting[event] = done
				mu.Unlock()
				err := w.db.InOrganization(b.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
					return w.writer.Add(ctx, tx, outbox.Event{
						ID: event, OrganizationID: w.org, AggregateID: w.org,
						Message: created(1),
					})
				})
				if err != nil {
					b.Error(err)
					return
				}
				began := time.Now()
				<-done
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
			one() // everything is up
			took = nil
			b.ResetTimer()
			var lanes sync.WaitGroup
			next := make(chan struct{}, b.N)
			for range b.N {
				next <- struct{}{}
			}
			close(next)
			for range inFlight {
				lanes.Go(func() {
					for range next {
						one()
					}
				})
			}
			lanes.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkFloors are what the parts can do: a synchronous publish, and a
// transaction that writes one row.
func BenchmarkFloors(b *testing.B) {
	b.Run("publish", func(b *testing.B) {
		w := newBenchWorld(b)
		for b.Loop() {
			if _, err := w.bus.JetStream().Publish(b.Context(), "access.a.b.c", []byte("x")); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("transaction", func(b *testing.B) {
		w := newBenchWorld(b)
		for b.Loop() {
			err := w.db.InOrganization(b.Context(), w.org, func(ctx context.Context, tx *postgres.Tx) error {
				_, err := tx.Exec(ctx, "insert into effect (organization_id, event_id, n) values ($1, $2, 1)", w.org, id.New())
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
