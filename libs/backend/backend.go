// Package backend puts together what every service with a database stands on:
// its database with migrations, the bus, the outbox with its relay, the inbox
// with its consumer, parked events, the due-queue, answers to repeated calls, the
// clock, tokens, telemetry, the runner.
//
// A service opens a Backend, builds its own parts on it and runs it:
//
//	b, err := backend.Open(ctx, "request", cfg.Config, migrations.FS, log)
//	defer b.Close(ctx)
//	…
//	return b.Run(ctx, lis, backend.Spec{Register: …, Handlers: …})
//
// It knows nothing of what services do. Several may live in one process.
package backend

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/admission"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/denied"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/naming"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/ratelimit"
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

	// LeastConns is the least that a service's connections to its database may be
	// bounded to. Half of them are of each role, and three services may each have one
	// of the system's for as long as they read a snapshot: one more does the service's
	// own work meanwhile.
	LeastConns = 8
)

// Config configures a service with a database.
type Config struct {
	// Postgres is the service's own database. Without the owner's URL somebody else
	// must have migrated it.
	Postgres postgres.URLs
	// NATSURL is the bus, and NATSTLS is for one at tls://; nil uses ClientTLS.
	NATSURL string
	NATSTLS *tls.Config
	// IdentityAddr is identity-sync's gRPC address, host:port, for the keys
	// that tokens are verified with.
	IdentityAddr string
	// MaxConns bounds the connections to the database. Zero means 16.
	MaxConns int32
	// ClientTLS is shown to other services; nil calls them in plain text.
	ClientTLS *tls.Config
	// Clock gives the time to all of the service's rules. Nil means the
	// machine's; tests move one by hand.
	Clock clock.Clock
	// Network is where other services of the same process are called without a
	// socket; nil for a service that has the process to itself.
	Network *rpc.Network
	// ClientID and ClientSecret are those with which the service gets a token of
	// its own from identity-sync, for calls on nobody's behalf. Empty: such calls
	// go without.
	ClientID, ClientSecret string
	// Signer signs the service's events, and Keys verify those of others.
	Signer eventsig.Signer
	Keys   eventsig.Keys
	// Stream says how the stream of events is kept; zero fields leave a stream
	// that is there as it is. Audit sees to it; others make a stream so that is
	// absent.
	Stream Stream
	// Limits are how often users may call the service; nil means as often as they
	// like.
	Limits *ratelimit.Limits
	// Timing is how long things may take and how often they are tried.
	Timing Timing
	// Quotas are what every organization may have.
	Quotas quota.Organization
}

// Stream is how the stream of events is kept, see bus.Config.
type Stream struct {
	// MaxAge is how long events are kept.
	MaxAge time.Duration
	// MaxBytes is how much is kept: the oldest events go first, even if a
	// consumer has not had them yet.
	MaxBytes int64
	// Replicas is how many servers keep it.
	Replicas int
}

// keepEvents is how long events are kept unless it is said otherwise: a service
// may be away for so long and miss nothing.
const keepEvents = 30 * 24 * time.Hour

// StreamFromEnv reads GATEHOUSE_STREAM_MAX_AGE (720h; 0: as it is, or for ever),
// GATEHOUSE_STREAM_MAX_BYTES (0: as it is, or no limit) and
// GATEHOUSE_STREAM_REPLICAS (0: as it is, or 1).
func StreamFromEnv(env service.Env) Stream {
	return Stream{
		MaxAge:   env.Duration("GATEHOUSE_STREAM_MAX_AGE", keepEvents),
		MaxBytes: int64(env.IntWithin("GATEHOUSE_STREAM_MAX_BYTES", 0, 0, math.MaxInt)),
		Replicas: env.IntWithin("GATEHOUSE_STREAM_REPLICAS", 0, 0, 5),
	}
}

// FromEnv reads the configuration of a process: GATEHOUSE_POSTGRES_URL (of a member
// of gatehouse_runtime), GATEHOUSE_POSTGRES_SYSTEM_URL (of a member of
// gatehouse_system), GATEHOUSE_POSTGRES_OWNER_URL (who migrates; empty if somebody
// else does),
// GATEHOUSE_NATS_URL, GATEHOUSE_IDENTITY_ADDR (needed by all but identity-sync),
// GATEHOUSE_POSTGRES_MAX_CONNS (16), GATEHOUSE_CLIENT_ID and
// GATEHOUSE_CLIENT_SECRET, GATEHOUSE_EVENT_KEY (32 bytes in base64, which the
// service signs its events with), GATEHOUSE_EVENT_KEYS (the public keys of all
// services: service=key, separated by commas), the TLS files, those for NATS, and what
// StreamFromEnv, service.LimitsFromEnv, TimingFromEnv and QuotasFromEnv read. What is missing is in
// env.Err.
//
// client says that the service is a client of identity-sync, as all others are: then
// the address and the client must be set.
func FromEnv(env service.Env, client bool) Config {
	checkEncrypted(env)
	cfg := Config{
		Signer: service.Parse(env, "GATEHOUSE_EVENT_KEY", eventsig.ParseSigner),
		Keys:   service.Parse(env, "GATEHOUSE_EVENT_KEYS", eventsig.ParseKeys),
		Postgres: postgres.URLs{
			URL:       env.Required("GATEHOUSE_POSTGRES_URL"),
			SystemURL: env.Required("GATEHOUSE_POSTGRES_SYSTEM_URL"),
			OwnerURL:  env.String("GATEHOUSE_POSTGRES_OWNER_URL", ""),
		},
		NATSURL:   env.RequiredNATSURL(),
		NATSTLS:   env.NATSTLS(),
		MaxConns:  int32(env.IntWithin("GATEHOUSE_POSTGRES_MAX_CONNS", 16, LeastConns, 1000)), //nolint:gosec // bounded
		ClientTLS: env.ClientTLS(),
		Stream:    StreamFromEnv(env),
		Limits:    service.LimitsFromEnv(env),
		Timing:    TimingFromEnv(env),
		Quotas:    QuotasFromEnv(env),
	}
	if client {
		cfg.IdentityAddr = env.RequiredPeer("GATEHOUSE_IDENTITY_ADDR")
		cfg.ClientID, cfg.ClientSecret = env.Required("GATEHOUSE_CLIENT_ID"), env.Required("GATEHOUSE_CLIENT_SECRET")
	}
	return cfg
}

// QuotasFromEnv reads GATEHOUSE_QUOTAS, see quota.ParseOrganization.
func QuotasFromEnv(env service.Env) quota.Organization {
	quotas, err := quota.ParseOrganization(env.String("GATEHOUSE_QUOTAS", ""))
	if err != nil {
		env.Refuse("GATEHOUSE_QUOTAS: %w", err)
	}
	return quotas
}

// checkEncrypted refuses a database on another machine that is spoken to in plain text, or
// whose certificate is not checked.
func checkEncrypted(env service.Env) {
	for _, name := range []string{"GATEHOUSE_POSTGRES_URL", "GATEHOUSE_POSTGRES_SYSTEM_URL", "GATEHOUSE_POSTGRES_OWNER_URL"} {
		cfg, err := pgx.ParseConfig(env.String(name, ""))
		if err != nil || env.String(name, "") == "" {
			continue // said elsewhere
		}
		// Of every host, and of every way that is tried: as of sslmode=verify-full.
		far := false
		for _, way := range append([]*pgconn.FallbackConfig{{Host: cfg.Host, TLSConfig: cfg.TLSConfig}}, cfg.Fallbacks...) {
			if checked := way.TLSConfig != nil && !way.TLSConfig.InsecureSkipVerify; !far && !checked {
				far = env.Encrypted(name, way.Host, checked)
			}
		}
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
	// Denied writes down calls that were refused.
	Denied *denied.Recorder
	// Clock gives the time.
	Clock clock.Clock
	// Due runs what is to happen at a time. Register handlers before Run.
	Due *due.Queue
	// Answers keeps the answers to calls with a request_id.
	Answers *idempotency.Answers
	// Quotas are what every organization may have.
	Quotas quota.Organization
	// Telemetry measures.
	Telemetry *telemetry.Telemetry
	// Log is the service's log.
	Log *slog.Logger

	relay    *outbox.Relay
	identity *rpc.Conn
	dial     rpc.DialConfig
	tokens   func(audience string) authz.TokenSource // nil without a client
	dialed   []*rpc.Conn
	address  string // of identity-sync
	keys     eventsig.Keys
	pageKey  []byte
	limits   *ratelimit.Limits
	timing   Timing
	people   *naming.People // by copies; nil without
}

// Schema is what a service's database is migrated with: the tables of the
// libraries that every service has, of those that it includes, such as
// copies.Schema, then its own.
func Schema(migrations fs.FS, included ...postgres.Set) []postgres.Set {
	return slices.Concat([]postgres.Set{outbox.Schema(), due.Schema(), idempotency.Schema()}, included, []postgres.Set{{FS: migrations}})
}

// Open migrates the database, see Schema, and connects. The error is one line.
func Open(ctx context.Context, name string, cfg Config, migrations fs.FS, log *slog.Logger, included ...postgres.Set) (_ *Backend, err error) {
	if cfg.Signer.IsZero() || len(cfg.Keys) == 0 {
		return nil, errors.New("the keys of events are not set (GATEHOUSE_EVENT_KEY, GATEHOUSE_EVENT_KEYS)")
	}
	if err := bus.CheckTLS(cfg.NATSURL, cfg.NATSTLS); err != nil {
		return nil, err
	}
	b := &Backend{Name: name, Log: log, Clock: cfg.Clock, address: cfg.IdentityAddr, keys: cfg.Keys, pageKey: cfg.Signer.Key("page tokens"), limits: cfg.Limits, timing: cfg.Timing, Quotas: cfg.Quotas}
	if b.Clock == nil {
		b.Clock = clock.System{}
	}
	defer func() {
		if err != nil {
			b.Close(ctx)
		}
	}()
	if b.Telemetry, err = telemetry.New(ctx, name); err != nil {
		return nil, fmt.Errorf("make telemetry: %w", err)
	}
	b.dial = rpc.DialConfig{Telemetry: b.Telemetry, TLS: cfg.ClientTLS, Network: cfg.Network, Deadline: cfg.Timing.RPC}
	migrate, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	schema := Schema(migrations, included...)
	if cfg.Postgres.OwnerURL == "" {
		err = postgres.CheckMigrated(migrate, cfg.Postgres.SystemURL, schema...)
	} else {
		err = postgres.Migrate(migrate, cfg.Postgres.OwnerURL, schema...)
	}
	if err != nil {
		return nil, fmt.Errorf("migrate database: %w", err)
	}
	b.DB, err = postgres.Open(ctx, postgres.Config{
		URLs: cfg.Postgres, Name: name, MaxConns: cfg.MaxConns, Timeout: cfg.Timing.Transaction,
		Tracer: b.Telemetry.TracerProvider(), Meter: b.Telemetry.MeterProvider(),
	})
	if err != nil {
		return nil, err
	}
	if b.Bus, err = bus.Connect(ctx, bus.Config{
		URL: cfg.NATSURL, Name: name, Keeps: name == busauth.Keeper, TLS: cmp.Or(cfg.NATSTLS, cfg.ClientTLS), Log: log,
		MaxAge: cfg.Stream.MaxAge, MaxBytes: cfg.Stream.MaxBytes, Replicas: cfg.Stream.Replicas,
	}); err != nil {
		return nil, err
	}
	b.relay, err = outbox.NewRelay(outbox.RelayConfig{
		DB: b.DB, Bus: b.Bus, Source: name, Signer: cfg.Signer, Log: log, Telemetry: b.Telemetry,
		DatabaseTimeout: cfg.Timing.RelayDatabase, BusTimeout: cfg.Timing.RelayBus,
	})
	if err != nil {
		return nil, fmt.Errorf("make relay: %w", err)
	}
	b.Events = outbox.NewWriter(name, b.relay.Wake)
	b.Denied, err = denied.New(denied.Config{Service: name, DB: b.DB, Events: b.Events, Clock: b.Clock, Log: log, Telemetry: b.Telemetry})
	if err != nil {
		return nil, fmt.Errorf("make denied calls: %w", err)
	}
	b.Due, err = due.New(due.Config{
		DB: b.DB, Clock: b.Clock, Log: log, Telemetry: b.Telemetry,
		Lease: cfg.Timing.DueLease, Timeout: cfg.Timing.DueTimeout, RetryLongest: cfg.Timing.DueRetryLongest,
	})
	if err != nil {
		return nil, fmt.Errorf("make due-queue: %w", err)
	}
	b.Answers = idempotency.New(b.DB, b.Clock, cfg.Signer.Key("request ids"), log)
	if cfg.IdentityAddr != "" {
		dial := b.dial
		dial.ServerName = "identity-sync"
		if b.identity, err = rpc.Dial(cfg.IdentityAddr, dial); err != nil {
			return nil, fmt.Errorf("connect to identity-sync: %w", err)
		}
		if cfg.ClientID != "" {
			b.tokens = func(audience string) authz.TokenSource {
				return authz.ClientTokens(b.identity, cfg.ClientID, cfg.ClientSecret, audience)
			}
		}
	}
	return b, nil
}

// Dial makes a connection to another service, of the name that tokens have for
// it, which is called with the service's own token. [Backend.Close] closes it.
func (b *Backend) Dial(name, addr string) (*rpc.Conn, error) {
	if b.tokens == nil {
		return nil, errors.New("the service's own client at identity-sync is not set (GATEHOUSE_CLIENT_ID, GATEHOUSE_CLIENT_SECRET)")
	}
	cfg := b.dial
	cfg.Token, cfg.ServerName = b.tokens(name), name
	conn, err := rpc.Dial(addr, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	b.dialed = append(b.dialed, conn)
	return conn, nil
}

// Owners are the gRPC addresses, host:port, of the services besides
// identity-sync that own what is copied. Those of no kind that is copied may be
// empty.
type Owners struct{ Request, Provisioning, Approval string }

// Copies makes the service's copies of what others own, and registers them in
// handlers; give them to Run. changed is copies.Config's Changed. The service
// must have a client of its own at identity-sync, as owners are asked with it.
func (b *Backend) Copies(kinds copies.Kinds, owners Owners, handlers *inbox.Handlers, changed copies.Changed) (*copies.Copies, error) {
	cfg := copies.Config{
		Service: b.Name, Kinds: kinds, DB: b.DB, Bus: b.Bus, Changed: changed, Log: b.Log, Telemetry: b.Telemetry,
	}
	for _, owner := range []struct {
		name, addr string
		conn       *grpc.ClientConnInterface
	}{
		{"identity-sync", b.address, &cfg.IdentitySync},
		{"request", owners.Request, &cfg.Request},
		{"provisioning", owners.Provisioning, &cfg.Provisioning},
		{"approval", owners.Approval, &cfg.Approval},
	} {
		if owner.addr == "" {
			continue
		}
		conn, err := b.Dial(owner.name, owner.addr)
		if err != nil {
			return nil, err
		}
		*owner.conn = conn
	}
	kept, err := copies.New(cfg)
	if err != nil {
		return nil, err
	}
	kept.Register(handlers)
	if kinds&copies.Users != 0 {
		b.DB.Admit(admission.By("user_copy"))
		b.people = naming.Among(b.DB, "user_copy", "not u.removed", &copies.Progress{Bus: b.Bus, Service: b.Name})
	}
	return kept, nil
}

// Close gives back what Open took. A second call does nothing.
func (b *Backend) Close(ctx context.Context) {
	if b.identity != nil {
		_ = b.identity.Close()
	}
	for _, conn := range b.dialed {
		_ = conn.Close()
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
	Register func(grpc.ServiceRegistrar)
	// Handlers handle the events it listens to. Nil listens to nothing.
	Handlers *inbox.Handlers
	// Linger gathers events into larger transactions, see inbox.Config.
	Linger time.Duration
	// Copies are its copies of what other services own: they are kept, served and
	// waited for before the service is ready. The service has registered them in
	// Handlers. Nil: it has none.
	Copies *copies.Copies
	// People are those whom requests may name by user name. Nil means those of the
	// copies, or nobody without.
	People *naming.People
	// Tasks are what else runs as long as the service does.
	Tasks []service.Task
	// HTTP adds handlers to the service's HTTP server, and HTTPCallers says who may
	// call it, see service.Spec.
	HTTP        func(*http.ServeMux)
	HTTPCallers []string
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
	tasks := append([]service.Task{
		{Name: "relay", Run: b.relay.Run},
		{Name: "due-queue", Run: b.Due.Run},
		{Name: "denied calls", Run: b.Denied.Run},
		{Name: "answer pruning", Run: b.Answers.Run},
	}, spec.Tasks...)
	register := spec.Register
	if spec.Handlers != nil {
		consumer, err := inbox.NewConsumer(inbox.Config{
			Service: b.Name, DB: b.DB, Bus: b.Bus,
			Handlers: spec.Handlers, Keys: b.keys, Linger: spec.Linger, Log: b.Log, Telemetry: b.Telemetry,
			MaxAttempts: b.timing.EventAttempts, MaxNotYet: b.timing.EventAttemptsNotYet,
			AckWait: b.timing.EventAckWait, HandleTimeout: b.timing.EventTimeout,
		})
		if err != nil {
			return fmt.Errorf("make consumer: %w", err)
		}
		register = func(s grpc.ServiceRegistrar) {
			opsv1.RegisterParkedEventServiceServer(s, inbox.NewParkedServer(consumer))
			spec.Register(s)
		}
		tasks = append(tasks,
			service.Task{Name: "consumer", Run: consumer.Run},
			service.Task{Name: "inbox pruning", Run: func(ctx context.Context) error { return consumer.PruneEvery(ctx, pruneEvery, keepInbox) }},
		)
	}
	verifier := &authz.Verifier{Audience: b.Name, Keys: keys}
	if spec.Keys != nil {
		verifier.Clock = b.Clock // who makes tokens reads the time of them off one clock
	}
	parts := []service.Part{
		{Name: "database", Needed: service.Always, Check: b.checkDatabase},
		{Name: "identity keys", Needed: service.Always, Check: func(ctx context.Context) error {
			if err := verifier.Check(ctx); err != nil {
				return service.Problem("there are no keys to verify callers' tokens with", err)
			}
			return nil
		}},
		{Name: "bus", Check: b.checkBus},
	}
	if spec.Copies != nil {
		tasks = append(tasks, service.Task{Name: "copies", Run: spec.Copies.Run})
		inner := register
		register = func(s grpc.ServiceRegistrar) {
			opsv1.RegisterCopyServiceServer(s, copies.NewServer(spec.Copies))
			inner(s)
		}
		parts = append(parts, service.Part{Name: "copies", Needed: service.ToStart, Check: func(ctx context.Context) error {
			if err := spec.Copies.Ready(ctx); err != nil {
				return service.Problem("a copy of what other services own is not complete yet", err)
			}
			return nil
		}})
	}
	var prepare rpc.PrepareFunc
	if people := cmp.Or(spec.People, b.people); people != nil {
		prepare = people.Prepare
	}
	return service.Run(ctx, service.Spec{
		Name: b.Name, Log: b.Log, Telemetry: b.Telemetry, Listeners: lis,
		Verifier: verifier, PageKey: b.pageKey, Limits: b.limits, Timeouts: b.timing.Timeouts, Denied: b.Denied.Denied, Prepare: prepare,
		Register: register,
		HTTP:     spec.HTTP, HTTPCallers: spec.HTTPCallers,
		Tasks: tasks,
		Parts: parts,
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
