package jsonform

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/audit/migrations"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }

func newTask(t testing.TB, b *bus.Bus) *Task {
	t.Helper()
	task, err := New(Config{
		DB: pgtest.Connect(t, pgtest.URLs(t, pgtest.New(t, backend.Schema(migrations.FS)...)).URL), Bus: b, Keys: bustest.Keys(),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// run runs a task until the test ends, or stop is called.
func run(t testing.TB, task *Task) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	stop = func() {
		cancel()
		if err, ok := <-done; ok && err != nil {
			t.Error(err)
		}
		close(done)
	}
	return stop
}

// say puts n events into the stream, and gives their ids.
func say(t testing.TB, b *bus.Bus, n int) (said []string) {
	t.Helper()
	organization := id.New()
	p, err := b.NewPublisher()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var messages []*nats.Msg
	for i := range n {
		one := id.New()
		m := servicetest.Message(t, one, time.Now(), organization, id.New(), &eventv1.CommentAdded{
			Context: &eventv1.Context{
				Actor:      &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_USER, Id: id.New().String(), DisplayName: "Ada Lovelace"},
				RequestIds: []string{id.New().String()}, UserId: id.New().String(), AppId: id.New().String(),
			},
			Comment: &requestv1.Comment{Id: id.New().String(), RequestId: id.New().String(), Text: fmt.Sprintf("comment %d", i)},
		})
		m.Header.Set(nats.MsgIdHdr, one.String())
		messages, said = append(messages, m), append(said, one.String())
	}
	for chunk := range slices.Chunk(messages, 500) {
		if _, err := p.Publish(t.Context(), chunk); err != nil {
			t.Fatal(err)
		}
	}
	return said
}

// told waits for n messages of ACCESS_JSON, and gives their ids.
func told(t testing.TB, b *bus.Bus, n int) (ids []string) {
	t.Helper()
	servicetest.Eventually(t, fmt.Sprintf("%d events are told", n), func() bool {
		s, err := b.JetStream().Stream(t.Context(), bus.JSONStream)
		return err == nil && s.CachedInfo().State.Msgs >= uint64(n)
	})
	c, err := b.JetStream().OrderedConsumer(t.Context(), bus.JSONStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		m, err := c.Next(jetstream.FetchMaxWait(servicetest.Patience))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.Headers().Get(nats.MsgIdHdr))
	}
	return ids
}

// acknowledged waits until the consumer has no more to do.
func acknowledged(t testing.TB, b *bus.Bus) {
	t.Helper()
	servicetest.Eventually(t, "everything is acknowledged", func() bool {
		c, err := b.JetStream().Consumer(t.Context(), bus.Stream, busauth.JSONConsumer)
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	})
}

// Killed between publishing and acknowledging: whoever goes on publishes the same
// again, under the same ids, in order, before what follows. The stream drops the
// repeats.
func TestKilledBeforeAcknowledging(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	said := say(t, b, 30)
	task := newTask(t, b)
	ctx, kill := context.WithCancel(t.Context())
	task.published = kill
	if err := task.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := told(t, b, len(said)); !slices.Equal(got, said) {
		t.Fatalf("told %v, want %v", got, said)
	}
	c, err := b.JetStream().Consumer(t.Context(), bus.Stream, busauth.JSONConsumer)
	if err != nil {
		t.Fatal(err)
	}
	if pending := c.CachedInfo().NumAckPending; pending != len(said) {
		t.Fatalf("%d of %d events are not acknowledged", pending, len(said))
	}

	// The stream remembers ids for two minutes; a subscriber is to see what comes
	// later than that, too.
	repeats, err := b.Conn().SubscribeSync(bus.AllJSONSubjects)
	if err != nil {
		t.Fatal(err)
	}
	said = append(said, say(t, b, 5)...)
	defer run(t, newTask(t, b))()
	acknowledged(t, b)
	var again []string
	for range said {
		m, err := repeats.NextMsg(servicetest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, m.Header.Get(nats.MsgIdHdr))
	}
	if !slices.Equal(again, said) {
		t.Errorf("published %v, want %v", again, said)
	}
	if got := told(t, b, len(said)); !slices.Equal(got, said) {
		t.Errorf("the stream holds %v, want %v", got, said)
	}
}

// A bus that goes and comes back loses nothing and changes no order.
func TestBusComesBack(t *testing.T) {
	t.Parallel()
	server := bustest.New(t)
	b := bustest.Open(t, server.URL())
	said := say(t, b, 10)
	defer run(t, newTask(t, b))()
	told(t, b, len(said))
	server.Restart()
	servicetest.Eventually(t, "the bus is back", func() bool { return b.Ready(t.Context()) == nil })
	said = append(said, say(t, b, 10)...)
	if got := told(t, b, len(said)); !slices.Equal(got, said) {
		t.Errorf("told %v, want %v", got, said)
	}
}

// The same event is told in the same words each time.
func TestConvertIsStable(t *testing.T) {
	t.Parallel()
	m := servicetest.Message(t, uuid.MustParse("0190163d-8694-739b-aea5-966c26f8ad91"), time.Unix(0, 0), id.New(), id.New(),
		&eventv1.CommentAdded{Comment: &requestv1.Comment{Text: "as <it> is & stays"}})
	first, err := convert(bustest.Keys(), m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := convert(bustest.Keys(), m.Subject, m.Header, m.Data)
		if err != nil || string(again.Data) != string(first.Data) {
			t.Fatalf("%v: %s, and before %s", err, again.Data, first.Data)
		}
	}
}

// BenchmarkTask is what one event costs from the one stream to the other.
func BenchmarkTask(b *testing.B) {
	server := bustest.Connect(b)
	say(b, server, b.N)
	task := newTask(b, server)
	heard, err := server.Conn().SubscribeSync("access-json.>")
	if err == nil {
		err = heard.SetPendingLimits(-1, -1) // none is dropped
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	stop := run(b, task)
	for range b.N {
		if _, err := heard.NextMsg(servicetest.Patience); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	stop()
}

// BenchmarkConvert is the part of it that is no bus.
func BenchmarkConvert(b *testing.B) {
	m := servicetest.Message(b, id.New(), time.Now(), id.New(), id.New(), &eventv1.CommentAdded{
		Context: &eventv1.Context{
			Actor:      &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_USER, Id: id.New().String(), DisplayName: "Ada Lovelace"},
			RequestIds: []string{id.New().String()}, UserId: id.New().String(), AppId: id.New().String(),
		},
		Comment: &requestv1.Comment{Id: id.New().String(), RequestId: id.New().String(), Text: "a comment"},
	})
	keys := bustest.Keys()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := convert(keys, m.Subject, m.Header, m.Data); err != nil {
			b.Fatal(err)
		}
	}
}
