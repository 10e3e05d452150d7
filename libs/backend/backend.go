// Package backend puts together what every service with a database stands on:
// its database with migrations, the bus, the outbox with its relay, the inbox
// with its consumer, parked events, tokens, telemetry, the runner.
//
// A service opens a Backend, builds its own parts on it and runs it:
//
//	b, err := backend.Open(ctx, "request", cfg.Config, migrations.FS, log)
//	defer b.Close(ctx)
//	…
//	return b.Run(ctx, lis, backend.Spec{Register: …, Handlers: …, Subjects: …})
//
// It knows nothing of what services do. Several may live in one process.
package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

const (
	// migrateTimeout bounds the wait for another replica's migrations.
	migrateTimeout = 2 * time.Minute
	// keepInbox is how long the ids of handled events are kept: longer than a
	// relay may be behind.
	keepInbox  = 14 * 24 * time.Hour
	pruneEvery = time.Hour
)

// Config is what every service with a database is told.
type Config struct {
	// PostgresURL is the service's own database. Its role is no superuser.
	PostgresURL string
	// NATSURL is the bus.
	NATSURL string
	// IdentityAddr is identity-sync's gRPC address, host:port, for the keys
	// that tokens are verified with.
	IdentityAddr string
	// MaxConns bounds the connections to the database. Zero means 16.
	MaxConns int32
	// ClientTLS is shown to other services; nil calls them in plain text.
	ClientTLS *tls.Config
}

// FromEnv reads the configuration of a process: GATEHOUSE_POSTGRES_URL,
// GATEHOUSE_NATS_URL, GATEHOUSE_IDENTITY_ADDR (needed by all but identity-sync),
// GATEHOUSE_POSTGRES_MAX_CONNS (16) and the TLS files. What is missing is in
// env.Err.
func FromEnv(env service.Env) Config {
	return Config{
		PostgresURL:  env.Required("GATEHOUSE_POSTGRES_URL"),
		NATSURL:      env.Required("GATEHOUSE_NATS_URL"),
		IdentityAddr: env.String("GATEHOUSE_IDENTITY_ADDR", ""),
		MaxConns:     int32(min(env.Int("GATEHOUSE_POSTGRES_MAX_CONNS", 16), 1000)), //nolint:gosec // bounded
		ClientTLS:    env.ClientTLS(),
	}
}

// Backend is the ground a service stands on.
type Backend struct {
	// Name is the service's name.
	Name string
	// DB is its database.
	DB *postgres.DB
	// Bus is the bus.
	Bus *bus.Bus
	// Events adds events to a transaction.
	Events *outbox.Writer
	// Telemetry measures.
	Telemetry *telemetry.Telemetry
	// Log is the service's log.
	Log *slog.Logger

	relay    *outbox.Relay
	identity *grpc.ClientConn
	tls      *tls.Config
}

// Open migrates the database and connects. The error is one line.
func Open(ctx context.Context, name string, cfg Config, migrations fs.FS, log *slog.Logger) (_ *Backend, err error) {
	b := &Backend{Name: name, Log: log, tls: cfg.ClientTLS}
	defer func() {
		if err != nil {
			b.Close(ctx)
		}
	}()
	if b.Telemetry, err = telemetry.New(ctx, name); err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	migrate, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	if err := postgres.Migrate(migrate, cfg.PostgresURL, outbox.Schema(), postgres.Set{FS: migrations}); err != nil {
		return nil, fmt.Errorf("migrate database: %w", err)
	}
	b.DB, err = postgres.Open(ctx, postgres.Config{
		URL: cfg.PostgresURL, Name: name, MaxConns: cfg.MaxConns,
		Tracer: b.Telemetry.TracerProvider(), Meter: b.Telemetry.MeterProvider(),
	})
	if err != nil {
		return nil, err
	}
	if b.Bus, err = bus.Connect(ctx, bus.Config{URL: cfg.NATSURL, Name: name, Log: log}); err != nil {
		return nil, err
	}
	b.relay, err = outbox.NewRelay(outbox.RelayConfig{DB: b.DB, Bus: b.Bus, Source: name, Log: log, Telemetry: b.Telemetry})
	if err != nil {
		return nil, fmt.Errorf("make relay: %w", err)
	}
	b.Events = outbox.NewWriter(name, b.relay.Wake)
	if cfg.IdentityAddr != "" {
		if b.identity, err = b.Dial(cfg.IdentityAddr); err != nil {
			return nil, fmt.Errorf("connect to identity-sync: %w", err)
		}
	}
	return b, nil
}

// Dial makes a connection to another service, which carries the caller's token
// on. The caller closes it.
func (b *Backend) Dial(addr string) (*grpc.ClientConn, error) {
	return rpc.Dial(addr, rpc.DialConfig{Telemetry: b.Telemetry, TLS: b.tls})
}

// Close gives back what Open took. A second call does nothing.
func (b *Backend) Close(ctx context.Context) {
	if b.identity != nil {
		_ = b.identity.Close()
	}
	if b.Bus != nil {
		b.Bus.Close()
	}
	if b.DB != nil {
		b.DB.Close()
	}
	if b.Telemetry != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = b.Telemetry.Shutdown(ctx) // spans that cannot be sent are lost, nothing else
	}
}

// Spec is what a service does with its Backend.
type Spec struct {
	// Register registers its RPCs.
	Register func(*grpc.Server)
	// Handlers handle the events it listens to. Nil listens to nothing.
	Handlers *inbox.Handlers
	// Subjects are those it listens to, see bus.Filter. None means all.
	Subjects []string
	// Linger gathers events into larger transactions, see inbox.Config.
	Linger time.Duration
	// Tasks are what else runs as long as the service does.
	Tasks []service.Task
	// HTTP adds handlers to the service's HTTP server.
	HTTP func(*http.ServeMux)
	// Keys gives the public keys of tokens. Nil asks identity-sync; only
	// identity-sync has its own.
	Keys func(context.Context) (jwk.Set, error)
}

// Run serves and works until ctx ends, and then returns nil.
func (b *Backend) Run(ctx context.Context, lis service.Listeners, spec Spec) error {
	keys := spec.Keys
	if keys == nil {
		if b.identity == nil {
			return errors.New("the address of identity-sync is not set (GATEHOUSE_IDENTITY_ADDR)")
		}
		keys = authz.KeysFrom(b.identity)
	}
	tasks := append([]service.Task{{Name: "relay", Run: b.relay.Run}}, spec.Tasks...)
	register := spec.Register
	if spec.Handlers != nil {
		consumer, err := inbox.NewConsumer(inbox.Config{
			Service: b.Name, Filter: spec.Subjects, DB: b.DB, Bus: b.Bus,
			Handlers: spec.Handlers, Linger: spec.Linger, Log: b.Log, Telemetry: b.Telemetry,
		})
		if err != nil {
			return fmt.Errorf("make consumer: %w", err)
		}
		register = func(s *grpc.Server) {
			opsv1.RegisterParkedEventServiceServer(s, inbox.NewParkedServer(consumer))
			spec.Register(s)
		}
		tasks = append(tasks,
			service.Task{Name: "consumer", Run: consumer.Run},
			service.Task{Name: "inbox pruning", Run: func(ctx context.Context) error { return consumer.PruneEvery(ctx, pruneEvery, keepInbox) }},
		)
	}
	verifier := &authz.Verifier{Keys: keys}
	return service.Run(ctx, service.Spec{
		Name: b.Name, Log: b.Log, Telemetry: b.Telemetry, Listeners: lis,
		Verifier: verifier,
		Register: register,
		HTTP:     spec.HTTP,
		Tasks:    tasks,
		Parts: []service.Part{
			{Name: "database", Needed: service.Always, Check: b.checkDatabase},
			{Name: "identity keys", Needed: service.Always, Check: func(ctx context.Context) error {
				if err := verifier.Check(ctx); err != nil {
					return service.Problem("there are no keys to verify callers' tokens with", err)
				}
				return nil
			}},
			{Name: "bus", Check: b.checkBus},
		},
	})
}

func (b *Backend) checkDatabase(ctx context.Context) error {
	err := b.DB.Ping(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, postgres.ErrDisk):
		return service.Problem("the database cannot write, as its disk is full or broken", err)
	}
	return service.Problem("the database does not answer", err)
}

// checkBus is no condition of being ready: a bus that is away does not keep a
// service from working, as its events wait in the outbox.
func (b *Backend) checkBus(ctx context.Context) error {
	if err := b.Bus.Ready(ctx); err != nil {
		return service.Problem("the bus does not answer", err)
	}
	return nil
}
