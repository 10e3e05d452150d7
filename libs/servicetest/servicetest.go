// Package servicetest runs one whole service under test as production does,
// with a PostgreSQL database of its own, a real NATS with JetStream, and keys
// that let the test call it as anybody. For tests only.
//
//	h := servicetest.Start(t, migrations.FS, func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
//		return request.Run(ctx, request.Config{Config: cfg}, lis, log)
//	})
//	h.Publish(t, org, userID, &eventv1.UserJoined{…})
//	client := requestv1.NewRequestServiceClient(h.Conn(t, caller))
//	got := servicetest.Wait(t, h, func(ev *eventv1.RequestSubmitted) bool { return … })
//
// The test is the rest of the world: it publishes what other services would
// say, and hears everything that is said. Everything it starts ends with the
// test.
package servicetest

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/service"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// Patience is how long a test waits for something that should happen at once.
const Patience = 20 * time.Second

// RunFunc runs the service under test until ctx ends.
type RunFunc func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error

// Harness is a service under test and the world around it.
type Harness struct {
	// Config is what the service was given.
	Config backend.Config
	// DB looks at the service's database as the service does.
	DB *postgres.DB
	// Bus is the test's own connection to the bus.
	Bus *bus.Bus
	// Tokens mints tokens that the service takes.
	Tokens *rpctest.Tokens
	// Owners serves snapshots at the address of identity-sync, for all owners.
	Owners Owners
	// Addr and HTTPAddr are where the first replica listens.
	Addr, HTTPAddr string

	run    RunFunc
	mu     sync.Mutex
	heard  []Event
	change chan struct{}
}

// Event is one event as it went over the bus.
type Event struct {
	ID      uuid.UUID
	Subject string
	Message proto.Message
}

// Start runs a service and returns once it serves. register adds RPCs of other
// services that it calls to the address that it knows as identity-sync's.
func Start(t testing.TB, migrations fs.FS, run RunFunc, register ...func(grpc.ServiceRegistrar)) *Harness {
	t.Helper()
	return StartWith(t, migrations, nil, run, register...)
}

// StartWith is Start for a service that includes sets of migrations, such as
// copies.Schema, which come before its own.
func StartWith(t testing.TB, migrations fs.FS, included []postgres.Set, run RunFunc, register ...func(grpc.ServiceRegistrar)) *Harness {
	t.Helper()
	h := &Harness{run: run, change: make(chan struct{}), Tokens: rpctest.NewTokens(t)}
	h.Config = backend.Config{
		Postgres:     pgtest.URLs(t, pgtest.New(t, backend.Schema(migrations, included...)...)),
		NATSURL:      bustest.Start(t),
		IdentityAddr: h.Tokens.Serve(t, func(s grpc.ServiceRegistrar) { h.Owners.registerAfter(s, register) }),
		ClientID:     "audit", ClientSecret: "secret",
		Signer: bustest.Signer(), Keys: bustest.Keys(),
	}
	h.DB = pgtest.Connect(t, h.Config.Postgres.URL)
	h.listen(t)
	h.Addr, h.HTTPAddr = h.Replica(t)
	return h
}

// Replica runs one more replica of the service until the test ends, and returns
// where it listens once it serves.
func (h *Harness) Replica(t testing.TB) (addr, httpAddr string) {
	t.Helper()
	addr, httpAddr, stop := h.StoppableReplica(t)
	t.Cleanup(stop)
	return addr, httpAddr
}

// StoppableReplica is Replica, but the test ends it, by calling stop once.
func (h *Harness) StoppableReplica(t testing.TB) (addr, httpAddr string, stop func()) {
	t.Helper()
	return h.StoppableReplicaOf(t, h.run)
}

// StoppableReplicaOf is StoppableReplica of a service that is run in another way,
// as with other settings.
func (h *Harness) StoppableReplicaOf(t testing.TB, run RunFunc) (addr, httpAddr string, stop func()) {
	t.Helper()
	lis := service.Listeners{GRPC: loopback(t), HTTP: loopback(t), Reflection: true}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, h.Config, lis, logger(t)) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("service ended: %v", err)
			}
		case <-time.After(Patience):
			t.Errorf("service did not end within %s", Patience)
		}
	})
	addr = lis.GRPC.Addr().String()
	health := healthpb.NewHealthClient(h.Tokens.Dial(t, addr, authz.Caller{}))
	deadline := time.Now().Add(Patience)
	for {
		r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err == nil && r.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return addr, lis.HTTP.Addr().String(), stop
		}
		select {
		case err := <-ended:
			t.Fatalf("service ended: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("service does not serve: %v %v", r, err)
		}
	}
}

// RebuildCopies has the service rebuild its copies from what Owners serves, soon.
func (h *Harness) RebuildCopies(t testing.TB) {
	t.Helper()
	operator := authz.Caller{Subject: "client:operator", Role: authzv1.Caller_CALLER_SERVICE}
	if _, err := opsv1.NewCopyServiceClient(h.Conn(t, operator)).RebuildCopies(t.Context(), &opsv1.RebuildCopiesRequest{}); err != nil {
		t.Fatal(err)
	}
}

// Conn calls the first replica as caller; the zero Caller has no token.
func (h *Harness) Conn(t testing.TB, caller authz.Caller) *rpc.Conn {
	t.Helper()
	return h.Tokens.Dial(t, h.Addr, caller)
}

// Publish says an event as another service would, and returns its id.
func (h *Harness) Publish(t testing.TB, organization, aggregateID uuid.UUID, message proto.Message) uuid.UUID {
	t.Helper()
	return h.PublishAt(t, time.Now(), organization, aggregateID, message)
}

// PublishAt is Publish of what happened at a time of its own.
func (h *Harness) PublishAt(t testing.TB, at time.Time, organization, aggregateID uuid.UUID, message proto.Message) uuid.UUID {
	t.Helper()
	eventID := id.New()
	h.publish(t, Message(t, eventID, at, organization, aggregateID, message), eventID.String())
	return eventID
}

// PublishAgain puts an event on the bus a second time, under its own id but
// past the bus's own check for repeats, as after a restored backup: only the
// inbox can tell.
func (h *Harness) PublishAgain(t testing.TB, eventID, organization, aggregateID uuid.UUID, message proto.Message) {
	t.Helper()
	h.publish(t, Message(t, eventID, time.Now(), organization, aggregateID, message), id.New().String())
}

func (h *Harness) publish(t testing.TB, m *nats.Msg, msgID string) {
	t.Helper()
	if _, err := h.Bus.JetStream().PublishMsg(t.Context(), m, jetstream.WithMsgID(msgID)); err != nil {
		t.Fatalf("publish %s: %v", m.Subject, err)
	}
}

// Message is an event as it goes over the bus, for a test that publishes many at
// once.
func Message(t testing.TB, eventID uuid.UUID, at time.Time, organization, aggregateID uuid.UUID, message proto.Message) *nats.Msg {
	t.Helper()
	typ, err := event.TypeOf(message)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := typ.Subject(organization)
	if err != nil {
		t.Fatal(err)
	}
	data, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	source := typ.Service
	if source == event.EveryService {
		source = "request"
	}
	m := nats.NewMsg(subject)
	m.Data = data
	for k, v := range map[string]string{
		bus.HeaderSpecVersion: bus.SpecVersion, bus.HeaderID: eventID.String(),
		bus.HeaderType: string(typ.Message), bus.HeaderSource: source,
		bus.HeaderSubject: aggregateID.String(), bus.HeaderTime: at.UTC().Format(time.RFC3339Nano),
		bus.HeaderContentType: bus.ContentType,
	} {
		m.Header.Set(k, v)
	}
	bustest.Signer().Sign(m)
	return m
}

// Events are all events so far that went over the bus, the test's own too, in
// the order of the stream.
func (h *Harness) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Event(nil), h.heard...)
}

// All are the messages of one type so far, in the order of the stream.
func All[M proto.Message](h *Harness) []M {
	var out []M
	for _, ev := range h.Events() {
		if m, ok := ev.Message.(M); ok {
			out = append(out, m)
		}
	}
	return out
}

// Wait returns the first event of a type, past or to come, that is as wanted.
func Wait[M proto.Message](t testing.TB, h *Harness, wanted func(M) bool) M {
	t.Helper()
	timeout := time.After(Patience)
	for {
		h.mu.Lock()
		change := h.change
		h.mu.Unlock()
		for _, m := range All[M](h) {
			if wanted(m) {
				return m
			}
		}
		select {
		case <-change:
		case <-timeout:
			var zero M
			var said []protoreflect.FullName
			for _, ev := range h.Events() {
				said = append(said, ev.Message.ProtoReflect().Descriptor().FullName())
			}
			t.Fatalf("no such %s within %s; heard: %v", zero.ProtoReflect().Descriptor().FullName(), Patience, said)
		}
	}
}

// Eventually waits until ok says yes, looking every few milliseconds: for what
// no event tells.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", Patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Handled waits until the service has handled every event published so far: it
// has been given the last of those it listens to and owes no answer. The bus
// counts what is still to be given too late for that alone to tell.
func (h *Harness) Handled(t testing.TB, serviceName string) {
	t.Helper()
	stream, err := h.Bus.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	var c jetstream.Consumer
	Eventually(t, serviceName+" listens", func() bool {
		c, err = stream.Consumer(t.Context(), serviceName)
		return err == nil
	})
	filters := c.CachedInfo().Config.FilterSubjects
	if f := c.CachedInfo().Config.FilterSubject; f != "" || len(filters) == 0 {
		filters = []string{cmp.Or(f, bus.AllSubjects)}
	}
	var last uint64
	for _, subject := range filters {
		m, err := stream.GetLastMsgForSubject(t.Context(), subject)
		if err == nil {
			last = max(last, m.Sequence)
		} else if !errors.Is(err, jetstream.ErrMsgNotFound) {
			t.Fatal(err)
		}
	}
	Eventually(t, serviceName+" has handled everything", func() bool {
		i, err := c.Info(t.Context())
		return err == nil && i.Delivered.Stream >= last && i.NumPending == 0 && i.NumAckPending == 0
	})
}

// Said are all messages of one type, once the service has handled every event
// and all that follows from them has been heard: for tests that something is
// said so often and no more.
func Said[M proto.Message](t testing.TB, h *Harness, serviceName string) []M {
	t.Helper()
	h.Handled(t, serviceName)
	Eventually(t, "all that "+serviceName+" has to say was heard", func() bool {
		var unsaid int
		err := h.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, `select count(*) from outbox`).Scan(&unsaid)
		})
		if err != nil || unsaid > 0 {
			return false
		}
		stream, err := h.Bus.JetStream().Stream(t.Context(), bus.Stream)
		return err == nil && uint64(len(h.Events())) == stream.CachedInfo().State.Msgs
	})
	return All[M](h)
}

// listen hears everything.
func (h *Harness) listen(t testing.TB) {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.Config{URL: h.Config.NATSURL, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	h.Bus, h.Owners.bus = b, b
	t.Cleanup(b.Close)
	c, err := b.JetStream().OrderedConsumer(t.Context(), bus.Stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		name := protoreflect.FullName(m.Headers().Get(bus.HeaderType))
		mt, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			t.Errorf("event of unknown type %q", name)
			return
		}
		msg := mt.New().Interface()
		if err := proto.Unmarshal(m.Data(), msg); err != nil {
			t.Errorf("event %q cannot be read: %v", name, err)
			return
		}
		eventID, err := uuid.Parse(m.Headers().Get(bus.HeaderID))
		if err != nil {
			t.Errorf("event %q has no id: %v", name, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.heard = append(h.heard, Event{ID: eventID, Subject: m.Subject(), Message: msg})
		close(h.change)
		h.change = make(chan struct{})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cc.Stop()
		<-cc.Closed()
	})
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// logger shows what the service logs if the test fails.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
