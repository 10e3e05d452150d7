// Package gateway is the gateway: REST for people and programs, made from
// the protos; SCIM for identity providers; sign-in; and a page that shows the
// API.
//
// It keeps nothing that lasts and decides nothing about access. It turns the
// long-lived secret that a caller brings into the short-lived signed token that
// the services accept, and passes requests on. Any number of replicas may run.
package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/gateway/internal/httpapi"
	"gatehouse.dev/services/gateway/internal/live"
)

// Config says where the services are.
type Config struct {
	// IdentityAddr, RequestAddr, ApprovalAddr, ProvisioningAddr and AuditAddr
	// are gRPC addresses, host:port.
	IdentityAddr, RequestAddr, ApprovalAddr, ProvisioningAddr, AuditAddr string
	// IdentityHTTPAddr is where identity-sync serves SCIM, the token endpoint
	// and its keys, host:port.
	IdentityHTTPAddr string
	// ServersAddr is a gRPC address whose health /readyz shows beside that of
	// the services: of the servers that all of them stand on. Empty for none.
	ServersAddr string
	// NATSURL is the bus, as a user who may listen to every event, and NATSTLS is for one
	// at tls://; nil uses ClientTLS. Without a bus browsers are not told of changes, and
	// ask again by themselves.
	NATSURL string
	NATSTLS *tls.Config
	// DevSignIn offers the development sign-in on the page. identity-sync must
	// allow it too.
	DevSignIn bool
	// Limits are how often callers may call; nil means as often as they like.
	Limits *ratelimit.Limits
	// Timeouts bound calls of services and the end.
	Timeouts service.Timeouts
	// Hosts are the names, without a port, that the installation is called in
	// URLs, beside loopback names; requests for others are refused.
	Hosts []string
	// Proxies are the addresses of proxies in front: their X-Forwarded headers
	// count, and nobody else's.
	Proxies []netip.Prefix
	// ClientTLS is shown to the services; nil calls them in plain text.
	ClientTLS *tls.Config
	// Network is where services of the same process are called without a socket;
	// nil if there are none.
	Network *rpc.Network
	// Clock says when an exchanged token is exchanged again; the system's if
	// nil.
	Clock clock.Clock
}

// Outside reads what the installation is called and which proxies are in front
// of it: GATEHOUSE_HOSTS (names without a port, separated by commas) and
// GATEHOUSE_TRUSTED_PROXIES (addresses and networks).
func Outside(env service.Env) (hosts []string, proxies []netip.Prefix, err error) {
	if hosts, err = httpapi.ParseHosts(env.String("GATEHOUSE_HOSTS", "")); err != nil {
		return nil, nil, fmt.Errorf("GATEHOUSE_HOSTS: %w", err)
	}
	if proxies, err = httpapi.ParseProxies(env.String("GATEHOUSE_TRUSTED_PROXIES", "")); err != nil {
		return nil, nil, fmt.Errorf("GATEHOUSE_TRUSTED_PROXIES: %w", err)
	}
	return hosts, proxies, nil
}

// maxAnswer is the largest answer taken from a service, in bytes: exports are
// files in one message.
const maxAnswer = 64 << 20

// Run serves the gateway on lis.HTTP until ctx ends.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	if cfg.DevSignIn {
		if err := service.LoopbackOnly("the development sign-in lets anybody be anybody", lis.HTTP); err != nil {
			return err
		}
	}
	if _, _, err := net.SplitHostPort(cfg.IdentityHTTPAddr); err != nil {
		return errors.New("the HTTP address of identity-sync is not of the form host:port")
	}
	tel, err := telemetry.New(ctx, "gateway")
	if err != nil {
		return fmt.Errorf("make telemetry: %w", err)
	}
	defer func() { _ = tel.Shutdown(context.WithoutCancel(ctx)) }()

	var parts []service.Part
	connect := func(name, addr string, needed service.Needed) (*rpc.Conn, error) {
		conn, err := rpc.Dial(addr, rpc.DialConfig{Telemetry: tel, TLS: cfg.ClientTLS, ServerName: name, Network: cfg.Network, Deadline: cfg.Timeouts.RPC, MaxMessage: maxAnswer})
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", name, err)
		}
		parts = append(parts, service.Part{Name: name, Needed: needed, Check: func(ctx context.Context) error {
			return checkService(ctx, conn)
		}})
		return conn, nil
	}
	backends := httpapi.Backends{IdentityHTTP: cfg.IdentityHTTPAddr, IdentityTLS: cfg.ClientTLS}
	for _, b := range []struct {
		addr   string
		conn   *grpc.ClientConnInterface
		name   string
		needed service.Needed
	}{
		// Without identity-sync nobody gets in. While another is away its routes
		// say so and all others go on, which is no reason to take the gateway out;
		// but a gateway that has never seen it may have been given a wrong address.
		{cfg.IdentityAddr, &backends.Identity, "identity-sync", service.Always},
		{cfg.RequestAddr, &backends.Request, "request", service.ToStart},
		{cfg.ApprovalAddr, &backends.Approval, "approval", service.ToStart},
		{cfg.ProvisioningAddr, &backends.Provisioning, "provisioning", service.ToStart},
		{cfg.AuditAddr, &backends.Audit, "audit", service.ToStart},
	} {
		conn, err := connect(b.name, b.addr, b.needed)
		if err != nil {
			return err
		}
		defer conn.Close()
		*b.conn = conn
	}
	if cfg.ServersAddr != "" {
		conn, err := connect("servers", cfg.ServersAddr, service.Optional)
		if err != nil {
			return err
		}
		defer conn.Close()
	}
	var hub *live.Hub
	if cfg.NATSURL != "" {
		if err := bus.CheckTLS(cfg.NATSURL, cfg.NATSTLS); err != nil {
			return err //nolint:wrapcheck // says what it is about
		}
		hub, err = live.New(live.Config{
			Bus:    bus.ListenerConfig{URL: cfg.NATSURL, Name: "gateway", TLS: cmp.Or(cfg.NATSTLS, cfg.ClientTLS), Log: log},
			Timing: live.DefaultTiming(),
		})
		if err != nil {
			return fmt.Errorf("listen to the bus: %w", err)
		}
		defer hub.Close()
		if err := countStreams(tel, hub); err != nil {
			return err
		}
		parts = append(parts, service.Part{Name: "bus", Check: func(ctx context.Context) error {
			if err := hub.Ready(ctx); err != nil {
				return service.Problem("it cannot be reached; browsers are not told of changes", err)
			}
			return nil
		}})
	}
	var limits ratelimit.Limits
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	d, err := httpapi.New(ctx, backends, httpapi.Options{DevSignIn: cfg.DevSignIn, Hosts: cfg.Hosts, Proxies: cfg.Proxies, Limits: limits, Clock: cfg.Clock, Live: hub, Telemetry: tel, Log: log})
	if err != nil {
		return fmt.Errorf("make the gateway: %w", err)
	}
	defer d.Close()
	return service.Run(ctx, service.Spec{
		Name: "gateway", Log: log, Telemetry: tel, Listeners: lis, Timeouts: cfg.Timeouts,
		HTTP:  func(mux *http.ServeMux) { mux.Handle("/", d) },
		Parts: parts,
	})
}

// countStreams measures how many browsers are told of changes.
func countStreams(tel *telemetry.Telemetry, hub *live.Hub) error {
	_, err := tel.Meter("gatehouse.dev/services/gateway").Int64ObservableGauge("gatehouse_live_streams",
		metric.WithDescription("Open streams that tell browsers of changes."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(hub.Streams()))
			return nil
		}))
	if err != nil {
		return fmt.Errorf("make metrics: %w", err)
	}
	return nil
}

// checkService asks a service by grpc.health.v1 how it is, and which of its
// parts do not work.
func checkService(ctx context.Context, conn grpc.ClientConnInterface) error {
	list, err := healthpb.NewHealthClient(conn).List(ctx, &healthpb.HealthListRequest{})
	if err != nil {
		return service.Problem("it does not answer", err)
	}
	var failing []string
	for name, r := range list.GetStatuses() {
		if part, ok := strings.CutPrefix(name, service.HealthOfPart); ok && r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			failing = append(failing, part)
		}
	}
	slices.Sort(failing)
	reason := "does not work in it: " + strings.Join(failing, ", ")
	switch {
	case list.GetStatuses()[""].GetStatus() != healthpb.HealthCheckResponse_SERVING && len(failing) == 0:
		return service.Problem("it is not ready", nil)
	case list.GetStatuses()[""].GetStatus() != healthpb.HealthCheckResponse_SERVING:
		return service.Problem("it is not ready; "+reason, nil)
	case len(failing) > 0:
		return service.Impaired(reason, nil)
	}
	return nil
}
