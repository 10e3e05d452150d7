package inbox_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// path is the whole way of events, from command to effect, with everything on
// it that can be made to fail.
type path struct {
	*world
	writer *outbox.Writer

	mu       sync.Mutex
	failures map[int]int // how often the nth event still fails
	sent     []uuid.UUID // by number, from 1
	relay    *outbox.Relay
	stops    struct{ relay, consumer func() }
	own      *bus.Bus // the consumer's connection
}

func newPath(t *testing.T) *path {
	p := &path{world: newWorld(t), failures: map[int]int{}}
	p.writer = outbox.NewWriter("test", func() { p.relay.Wake() })
	p.startRelay()
	p.startConsumer()
	t.Cleanup(func() { p.stops.relay(); p.stops.consumer() })
	return p
}

func (p *path) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (p *path) startRelay() {
	relay, err := outbox.NewRelay(outbox.RelayConfig{DB: p.db, Bus: p.bus, Source: "identity-sync", Signer: bustest.Signer()})
	if err != nil {
		p.t.Fatal(err)
	}
	p.relay = relay
	p.stops.relay = p.start(relay.Run)
}

func (p *path) startConsumer() {
	p.own = bustest.Open(p.t, p.nats.URL())
	cfg := p.cfg
	cfg.Bus, cfg.Handlers, cfg.AckWait = p.own, &inbox.Handlers{}, 200*time.Millisecond
	cfg.Backoff = func(int, error) time.Duration { return time.Millisecond }
	inbox.On(cfg.Handlers, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GroupCreated) error {
		n := int(m.GetContext().GetVersion())
		if err := p.effect(ctx, tx, ev, n); err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.failures[n] > 0 {
			p.failures[n]--
			return errors.New("asked to fail")
		}
		return nil
	})
	c, err := inbox.NewConsumer(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.stops.consumer = p.start(c.Run)
}

// command commits one event, or none.
func (p *path) command(rollBack bool) {
	p.t.Helper()
	n := len(p.sent) + 1
	event := id.New()
	undone := errors.New("rolled back")
	for {
		err := p.db.InOrganization(p.t.Context(), p.org, func(ctx context.Context, tx *postgres.Tx) error {
			err := p.writer.Add(ctx, tx, outbox.Event{
				ID: event, OrganizationID: p.org, AggregateID: p.org,
				Message: created(n),
			})
			if rollBack {
				return errors.Join(err, undone)
			}
			return err
		})
		switch {
		case errors.Is(err, undone):
			return
		case err == nil:
			p.sent = append(p.sent, event)
			return
		}
		// The database is shaken. The same event again, by the same id: should
		// the first have been committed, the inbox drops one.
	}
}

// Whatever is killed in whatever order, each committed event takes effect once.
// B-RUN-02, B-RUN-03
func TestEveryEventTakesEffectOnce(t *testing.T) {
	t.Parallel()
	p := newPath(t)
	rapid.Check(t, func(rt *rapid.T) {
		for _, action := range rapid.SliceOfN(rapid.IntRange(0, 19), 1, 12).Draw(rt, "actions") {
			switch action {
			case 0: // every database connection is lost
				p.killConnections()
			case 1: // the consumer dies without a word
				p.own.Conn().Close()
				p.stops.consumer()
				p.startConsumer()
			case 2: // and with one
				p.stops.consumer()
				p.startConsumer()
			case 3:
				p.stops.relay()
				p.startRelay()
			case 4: // published twice
				if len(p.sent) > 0 {
					n := rapid.IntRange(1, len(p.sent)).Draw(rt, "again")
					m := p.message(n)
					m.Header.Set(bus.HeaderID, p.sent[n-1].String())
					p.publish(m)
				}
			case 5, 6: // one that fails for a while
				p.mu.Lock()
				p.failures[len(p.sent)+1] = rapid.IntRange(1, 3).Draw(rt, "failures")
				p.mu.Unlock()
				p.command(false)
			case 7:
				p.command(true)
			default:
				for range rapid.IntRange(1, 20).Draw(rt, "commands") {
					p.command(false)
				}
			}
		}
		eventually(t, "effects", func() bool { return len(p.effects()) >= len(p.sent) })
	})
	p.settled()
	p.wantOnce(len(p.sent))
	if n := query[int](p.world, "select count(*) from parked_event")[0]; n != 0 {
		t.Errorf("%d events parked", n)
	}
	// The relay deletes what it has published with its next look.
	eventually(t, "the outbox is empty", func() bool { return query[int](p.world, "select count(*) from outbox")[0] == 0 })
}

// B-RUN-03: the same with a bus that comes and goes.
func TestBusComesAndGoes(t *testing.T) {
	t.Parallel()
	p := newPath(t)
	for range 6 {
		for range 30 {
			p.command(false)
		}
		p.nats.Stop()
		for range 30 {
			p.command(false)
		}
		p.nats.Restart()
	}
	p.wantOnce(len(p.sent))
	p.settled()
	p.wantOnce(len(p.sent))
}
