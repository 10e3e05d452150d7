package provisioning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/datakey"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/provisioning/internal/command"
	"gatehouse.dev/services/provisioning/internal/consume"
	"gatehouse.dev/services/provisioning/internal/grpcapi"
	"gatehouse.dev/services/provisioning/migrations"
)

// What holds where a Config says nothing else.
const (
	DefaultLease        = 20 * time.Second
	DefaultCallTimeout  = 10 * time.Second
	DefaultRetryFirst   = 500 * time.Millisecond
	DefaultRetryLongest = 5 * time.Minute
	DefaultRetryRemoval = 15 * time.Minute
	DefaultLookEvery    = 15 * time.Minute
)

// Config is the configuration of provisioning. Durations that are zero have the
// defaults named.
type Config struct {
	backend.Config
	// RequestAddr is request's gRPC address, host:port. It gives the snapshots of
	// the catalog.
	RequestAddr string
	// EncryptionKey seals the credentials of integrations: 32 bytes.
	EncryptionKey []byte
	// OlderKeys open what was sealed before EncryptionKey came. It is sealed again
	// while the service runs; then they can go.
	OlderKeys [][]byte
	// Outgoing are networks in which apps are called although they are not public.
	Outgoing outgoing.Allowed
	OperationTiming
}

// OperationTiming is how long operations may take and how often they are tried.
type OperationTiming struct {
	// CallTimeout bounds one call to an app: 10 s.
	CallTimeout time.Duration
	// Lease is for how long a replica has an operation; when it dies, another
	// takes over after that: 20 s. All calls of one try are bounded by three
	// quarters of it.
	Lease time.Duration
	// RetryFirst is the pause after an operation's first failed try, which
	// doubles each time, up to RetryLongest: 500 ms and 5 min.
	RetryFirst, RetryLongest time.Duration
	// RetryRemoval is how often a removal that needs a person is tried again
	// nevertheless, and after how long one that waits for its turn is put on a list: 15 min.
	RetryRemoval time.Duration
	// LookEvery is the longest pause between two looks at what people are to change in an
	// app: 15 min. The first is a minute, or this if that is shorter, and each is twice
	// the one before.
	LookEvery time.Duration
}

// TimingFromEnv reads GATEHOUSE_CALL_TIMEOUT, GATEHOUSE_LEASE, GATEHOUSE_RETRY_… and
// GATEHOUSE_LOOK_EVERY.
func TimingFromEnv(env service.Env) OperationTiming {
	const second, minute, hour = time.Second, time.Minute, time.Hour
	return OperationTiming{
		CallTimeout:  env.DurationWithin("GATEHOUSE_CALL_TIMEOUT", DefaultCallTimeout, second, 10*minute),
		Lease:        env.DurationWithin("GATEHOUSE_LEASE", DefaultLease, 2*second, hour),
		RetryFirst:   env.DurationWithin("GATEHOUSE_RETRY_FIRST", DefaultRetryFirst, 100*time.Millisecond, hour),
		RetryLongest: env.DurationWithin("GATEHOUSE_RETRY_LONGEST", DefaultRetryLongest, second, 24*hour),
		RetryRemoval: env.DurationWithin("GATEHOUSE_RETRY_REMOVAL", DefaultRetryRemoval, second, 7*24*hour),
		LookEvery:    env.DurationWithin("GATEHOUSE_LOOK_EVERY", DefaultLookEvery, second, 7*24*hour),
	}
}

// check completes the durations, and refuses such as could not hold together.
func (c *OperationTiming) check() error {
	c.Lease, c.CallTimeout = cmp.Or(c.Lease, DefaultLease), cmp.Or(c.CallTimeout, DefaultCallTimeout)
	c.RetryFirst, c.RetryLongest = cmp.Or(c.RetryFirst, DefaultRetryFirst), cmp.Or(c.RetryLongest, DefaultRetryLongest)
	c.RetryRemoval, c.LookEvery = cmp.Or(c.RetryRemoval, DefaultRetryRemoval), cmp.Or(c.LookEvery, DefaultLookEvery)
	if min(c.Lease, c.CallTimeout, c.RetryFirst, c.RetryLongest, c.RetryRemoval, c.LookEvery) < 0 {
		return errors.New("a lease, a time-out or a pause of less than nothing (GATEHOUSE_LEASE, GATEHOUSE_CALL_TIMEOUT, GATEHOUSE_RETRY_*, GATEHOUSE_LOOK_EVERY)")
	}
	if most := c.Lease * 3 / 4; c.CallTimeout > most {
		return fmt.Errorf("one call to an app may take %s (GATEHOUSE_CALL_TIMEOUT): at most three quarters of the lease (GATEHOUSE_LEASE) of %s, which are %s", c.CallTimeout, c.Lease, most)
	}
	if c.RetryFirst > c.RetryLongest {
		return fmt.Errorf("the first pause (GATEHOUSE_RETRY_FIRST, %s) is longer than the longest (GATEHOUSE_RETRY_LONGEST, %s)", c.RetryFirst, c.RetryLongest)
	}
	return nil
}

// Run serves and works until ctx ends, and then returns nil once what runs is
// written down. Any number of replicas may run on one database.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	if err := cfg.check(); err != nil {
		return err
	}
	box, err := secretbox.New(cfg.EncryptionKey, cfg.OlderKeys...)
	if err != nil {
		return fmt.Errorf("read encryption key: %w", err)
	}
	b, err := backend.Open(ctx, "provisioning", cfg.Config, migrations.FS, log, migrations.Included()...)
	if err != nil {
		return err
	}
	defer b.Close(ctx)

	keys := datakey.New(datakey.Config{DB: b.DB, Wrapper: datakey.Local(box), Before: box, Log: log})
	if err := keys.Check(ctx); err != nil {
		return err
	}
	var engine *command.Engine
	integrations := command.NewIntegrations(command.IntegrationsConfig{
		DB: b.DB, Events: b.Events, Clock: b.Clock, Keys: keys, Retry: func() { engine.Wake() }, WakeDue: b.Due.Wake, Tracer: b.Telemetry.TracerProvider(), Log: log,
		Outgoing: cfg.Outgoing, Quotas: b.Quotas, LookUps: cmp.Or(cfg.Limits, ratelimit.DefaultLimits()).LookUps,
	})
	defer integrations.Close()
	engine, err = command.New(command.Config{
		DB: b.DB, Events: b.Events, Due: b.Due, Clock: b.Clock, Connect: integrations.Connect, Log: log, Meter: b.Telemetry.MeterProvider(),
		Timing: command.Timing{
			CallTimeout: cfg.CallTimeout, RunTimeout: cfg.Lease * 3 / 4, Lease: cfg.Lease,
			RetryFirst: cfg.RetryFirst, RetryLongest: cfg.RetryLongest, RetryRemoval: cfg.RetryRemoval, LookEvery: cfg.LookEvery, SettingsCheck: cfg.Lease * 3 / 2,
		},
	})
	if err != nil {
		return err
	}
	handlers := consume.Handlers(engine)
	kept, err := b.Copies(migrations.Copied, backend.Owners{Request: cfg.RequestAddr}, handlers, engine.CopiesChanged)
	if err != nil {
		return err
	}
	api := grpcapi.New(engine, integrations, b.Answers)
	return b.Run(ctx, lis, backend.Spec{
		Register: func(s grpc.ServiceRegistrar) {
			api.Register(s)
			opsv1.RegisterSnapshotServiceServer(s, copies.NewSnapshotServer(b.DB, b.Bus, command.SnapshotGrants))
		},
		Handlers: handlers,
		Copies:   kept,
		Tasks:    []service.Task{{Name: "operations", Run: engine.RunOperations}, {Name: "sealing", Run: integrations.RunSealing}, {Name: "data keys", Run: keys.Rewrap}},
	})
}
