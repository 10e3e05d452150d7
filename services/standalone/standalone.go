// Package standalone runs all of Gatehouse in one process: every service, the
// gateway, an embedded NATS server with JetStream on disk and a private
// PostgreSQL, so that one command is all that it takes.
//
// The services talk to each other by gRPC and NATS, through addresses, as they
// do as processes of their own: nothing is shared but the process, within which
// gRPC calls need no socket. Everything
// that lasts is in the data directory, or in the PostgreSQL and NATS that the
// configuration names instead. A killed process loses nothing that it
// acknowledged.
//
// It is made for a first look, development and small installations: sign-up
// and the development sign-in are open here, so the gateway listens on
// loopback unless told otherwise.
package standalone

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/approval"
	"gatehouse.dev/services/audit"
	"gatehouse.dev/services/gateway"
	identitysync "gatehouse.dev/services/identity-sync"
	"gatehouse.dev/services/provisioning"
	"gatehouse.dev/services/request"
	"gatehouse.dev/services/standalone/internal/demo"
)

// Config says where to listen and where data are kept.
type Config struct {
	// HTTPAddr is the address of the gateway, host:port; port 0 takes a
	// free one.
	HTTPAddr string
	// DataDir keeps everything that lasts. It is made if it is missing.
	DataDir string
	// PostgresURL names a PostgreSQL to use instead of a private one. Its role
	// owns the databases gatehouse_<service>, makes them and the roles that services
	// log in as, and must not be a superuser.
	PostgresURL string
	// NATSURL names a NATS server with JetStream to use instead of the embedded
	// one.
	NATSURL string
	// NATSTLS is how a NATS at tls:// is spoken to; nil: as the system trusts it, and
	// without a certificate.
	NATSTLS *tls.Config
	// NATSAddr is where the embedded NATS listens, host:port; a free port of
	// 127.0.0.1 if empty.
	NATSAddr string
	// Subscribers are programs that may read events from the embedded NATS.
	Subscribers []busauth.User
	// Stream says how the stream of events is kept.
	Stream backend.Stream
	// EventsJSON tells every event a second time, in JSON, on a stream of its own.
	EventsJSON bool
	// Outgoing are networks in which apps and identity providers are called although
	// they are not public, beside the demo's app.
	Outgoing outgoing.Allowed
	// SessionLifetime and SessionIdle say how long people stay signed in, and how long
	// without doing anything.
	SessionLifetime, SessionIdle time.Duration
	// Limits are how often callers may call; nil means as often as they like.
	Limits *ratelimit.Limits
	// Timing is how long what every service does may take, and Operations what
	// provisioning does in apps. CallTimeout bounds one call to an identity provider.
	Timing      backend.Timing
	Operations  provisioning.OperationTiming
	CallTimeout time.Duration
	// Quotas are what every organization may have.
	Quotas quota.Organization
	// MaxConns is how many connections each service may have to its database. Zero
	// means 8.
	MaxConns int32
	// Demo loads the demo organization if there is none yet.
	Demo bool
	// Progress is told how the loading of the demo's company goes, which begins after
	// ready was called. It may be nil.
	Progress func(Progress)
}

// runtimeFile is where a running process writes its Runtime.
const runtimeFile = "runtime.json"

// Runtime is what a running process writes to runtime.json in its data
// directory, for tools that look inside: where everything listens.
type Runtime struct {
	// URL is the gateway.
	URL string `json:"url"`
	// PID is the process.
	PID int `json:"pid"`
	// NATS is the bus, with the credentials of a user who may do everything.
	NATS string `json:"nats"`
	// Services are the gRPC addresses of the services.
	Services map[string]string `json:"services"`
	// Postgres are the databases of the services, as their workers enter them, if
	// they are in the private PostgreSQL; the addresses hold no secret then.
	Postgres map[string]string `json:"postgres,omitempty"`
	// Metrics are the addresses that serve each service's /metrics, and that of
	// the embedded servers under "servers". Beside each is a /readyz with every part,
	// and by gRPC health and reflection.
	Metrics map[string]string `json:"metrics"`
}

// Names are the services that the bus knows by these names, and no subscriber may
// have.
func Names() []string { return append(slices.Clone(names), listening, operator, "server") }

// names are the services with a database and gRPC of their own.
var names = authz.Audiences()

// Places is where people find what runs.
type Places struct {
	// URL is the gateway.
	URL string
	// DemoApp is the page of the demo's automatic app; empty without the demo.
	DemoApp string
}

// Run runs Gatehouse until ctx ends. ready is called once the gateway
// answers and what the demo begins with is loaded. Errors at the start are one line that says what
// to do.
func Run(ctx context.Context, cfg Config, log *slog.Logger, ready func(Places)) (err error) {
	// The gateway first: a taken port is known before anything is started.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.HTTPAddr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (GATEHOUSE_HTTP_ADDR chooses another address)", cfg.HTTPAddr, cause(err))
	}
	defer listener.Close()

	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	secrets, err := dir.secrets()
	if err != nil {
		return err
	}

	databases, err := openDatabases(ctx, cfg, secrets, log)
	if err != nil {
		return err
	}
	defer databases.stop(ctx)
	busAddr, bus, err := openBus(cfg, secrets, log)
	if err != nil {
		return err
	}
	if bus != nil {
		defer bus.Stop()
	}

	network := &rpc.Network{}
	const servers = "servers" // has no database, but a health and metrics
	lis := make(map[string]service.Listeners, len(names)+1)
	for _, n := range append([]string{servers}, names...) {
		l, err := listen(ctx, network)
		if err != nil {
			return err
		}
		// The services close them; this is for an error before they run.
		defer l.GRPC.Close()
		defer l.HTTP.Close()
		defer l.Inner.Close()
		lis[n] = l
	}
	addr := func(n string) string { return lis[n].GRPC.Addr().String() }
	clients := make(map[string]string, len(names))
	for _, n := range names {
		clients[n] = secrets.text("client " + n)
	}
	signers, keys := make(map[string]eventsig.Signer, len(names)), make(eventsig.Keys, len(names))
	for _, n := range names {
		if signers[n], err = eventsig.NewSigner(secrets.key("events " + n)); err != nil {
			return fmt.Errorf("make the key of %s's events: %w", n, err)
		}
		keys[n] = append(keys[n], signers[n].PublicKey())
	}
	base := func(n string) backend.Config {
		return backend.Config{
			Postgres: databases.urls[n], NATSURL: busAddr(n), NATSTLS: cfg.NATSTLS, IdentityAddr: addr("identity-sync"), MaxConns: cmp.Or(cfg.MaxConns, DefaultMaxConns),
			Network:  network,
			ClientID: n, ClientSecret: clients[n], Signer: signers[n], Keys: keys, Stream: cfg.Stream, Limits: cfg.Limits, Timing: cfg.Timing, Quotas: cfg.Quotas,
		}
	}

	inner, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0") // the gateway's
	if err != nil {
		return fmt.Errorf("listen for the gateway: %w", err)
	}
	defer inner.Close()
	runtime := Runtime{
		URL: "http://" + listener.Addr().String(), PID: os.Getpid(), NATS: busAddr(operator),
		Services: map[string]string{}, Metrics: map[string]string{},
	}
	for _, n := range names {
		runtime.Services[n] = addr(n)
	}
	for n, l := range lis {
		runtime.Metrics[n] = "http://" + l.Inner.Addr().String() + "/metrics"
	}
	runtime.Metrics["gateway"] = "http://" + inner.Addr().String() + "/metrics"
	if cfg.PostgresURL == "" {
		runtime.Postgres = make(map[string]string, len(names))
		for n, u := range databases.urls {
			runtime.Postgres[n] = u.SystemURL
		}
	}
	if err := dir.write(runtimeFile, runtime); err != nil {
		return err
	}
	defer dir.remove(runtimeFile)

	reached := cfg.Outgoing
	var app *demo.App
	if cfg.Demo {
		if app, err = demo.StartApp(ctx, filepath.Join(dir.path, demoAppDir), "", secrets.text(demoAppSecret)); err != nil {
			return fmt.Errorf("start the demo app: %w", err)
		}
		defer func() {
			if err := app.Stop(); err != nil {
				log.Error("The demo app did not stop cleanly", "error", err)
			}
		}()
		own, err := outgoing.Parse(strings.TrimPrefix(app.URL, "http://"))
		if err != nil {
			return fmt.Errorf("allow the demo app: %w", err)
		}
		reached = append(slices.Clip(reached), own...)
	}

	group, ctx := errgroup.WithContext(ctx)
	run := func(name string, f func(context.Context, *slog.Logger) error) {
		group.Go(func() error {
			if err := f(ctx, log.With("service", name)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	run(servers, func(ctx context.Context, log *slog.Logger) error {
		return watchServers(ctx, lis[servers], serverParts(databases.server, bus), log)
	})
	run("identity-sync", func(ctx context.Context, log *slog.Logger) error {
		return identitysync.Run(ctx, identitysync.Config{
			Config: base("identity-sync"), EncryptionKey: secrets.key("identity-sync"), AllowSignUp: true, DevSignIn: true,
			Clients: clients, Outgoing: cfg.Outgoing, SessionLifetime: cfg.SessionLifetime, SessionIdle: cfg.SessionIdle, CallTimeout: cfg.CallTimeout,
		}, lis["identity-sync"], log)
	})
	run("request", func(ctx context.Context, log *slog.Logger) error {
		return request.Run(ctx, request.Config{Config: base("request"), ProvisioningAddr: addr("provisioning"), ApprovalAddr: addr("approval")}, lis["request"], log)
	})
	run("approval", func(ctx context.Context, log *slog.Logger) error {
		return approval.Run(ctx, approval.Config{Config: base("approval"), RequestAddr: addr("request")}, lis["approval"], log)
	})
	run("provisioning", func(ctx context.Context, log *slog.Logger) error {
		return provisioning.Run(ctx, provisioning.Config{
			Config: base("provisioning"), RequestAddr: addr("request"), EncryptionKey: secrets.key("provisioning"), Outgoing: reached, OperationTiming: cfg.Operations,
		}, lis["provisioning"], log)
	})
	run("audit", func(ctx context.Context, log *slog.Logger) error {
		return audit.Run(ctx, audit.Config{Config: base("audit"), EventsJSON: cfg.EventsJSON}, lis["audit"], log)
	})
	run("gateway", func(ctx context.Context, log *slog.Logger) error {
		return gateway.Run(ctx, gateway.Config{
			IdentityAddr: addr("identity-sync"), IdentityHTTPAddr: lis["identity-sync"].HTTP.Addr().String(),
			RequestAddr: addr("request"), ApprovalAddr: addr("approval"), ProvisioningAddr: addr("provisioning"), AuditAddr: addr("audit"),
			NATSURL: busAddr(listening), NATSTLS: cfg.NATSTLS, ServersAddr: addr(servers), DevSignIn: true, Limits: cfg.Limits, Timeouts: cfg.Timing.Timeouts, Network: network,
		}, service.Listeners{HTTP: listener, Inner: inner}, log)
	})
	group.Go(func() error {
		if err := waitReady(ctx, runtime.URL); err != nil {
			return err
		}
		if app != nil {
			company, err := demo.Load(ctx, runtime.URL, app, log)
			if err != nil {
				return fmt.Errorf("load the demo organization: %w", err)
			}
			ready(Places{URL: runtime.URL, DemoApp: app.URL})
			loadCompany(ctx, company, log, cfg.Progress)
			<-ctx.Done()
			return nil
		}
		ready(Places{URL: runtime.URL})
		return nil
	})
	return group.Wait()
}

// watchServers serves the health and the metrics of the embedded servers until
// ctx ends.
func watchServers(ctx context.Context, lis service.Listeners, parts []service.Part, log *slog.Logger) error {
	tel, err := telemetry.New(ctx, "servers")
	if err != nil {
		return fmt.Errorf("make telemetry: %w", err)
	}
	defer func() { _ = tel.Shutdown(context.WithoutCancel(ctx)) }()
	return service.Run(ctx, service.Spec{
		Name: "servers", Log: log, Telemetry: tel, Listeners: lis, Parts: parts,
		Verifier: &authz.Verifier{}, // has no RPC that would need it
		Register: func(grpc.ServiceRegistrar) {},
	})
}

// DefaultMaxConns is how many connections each service may have to its database. Two
// cores serve no more at once, and more would only queue there.
const DefaultMaxConns = 8

// listen opens the private addresses of one service, which others call through
// the network.
func listen(ctx context.Context, network *rpc.Network) (service.Listeners, error) {
	lis := service.Listeners{Network: network}
	for _, l := range []*net.Listener{&lis.GRPC, &lis.HTTP, &lis.Inner} {
		var err error
		if *l, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			for _, l := range []net.Listener{lis.GRPC, lis.HTTP} {
				if l != nil {
					l.Close()
				}
			}
			return service.Listeners{}, fmt.Errorf("listen for a service: %w", err)
		}
	}
	return lis, nil
}

// cause takes the address off a listening error, which the message names.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
