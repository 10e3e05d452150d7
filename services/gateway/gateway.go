// Package gateway is the public door: REST for people and programs, made from
// the protos; SCIM for identity providers; sign-in; and a page that shows the
// API.
//
// It keeps nothing that lasts and decides nothing about access. It turns the
// long-lived secret that a caller brings into the short-lived signed token that
// the services accept, and passes requests on. Any number of replicas may run.
package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/gateway/internal/door"
)

// Config says where the services are.
type Config struct {
	// IdentityAddr, RequestAddr, ApprovalAddr, ProvisioningAddr and AuditAddr
	// are gRPC addresses, host:port.
	IdentityAddr, RequestAddr, ApprovalAddr, ProvisioningAddr, AuditAddr string
	// IdentityHTTPAddr is where identity-sync serves SCIM, the token endpoint
	// and its keys, host:port.
	IdentityHTTPAddr string
	// DevSignIn offers the development sign-in on the page. identity-sync must
	// allow it too.
	DevSignIn bool
	// ClientTLS is shown to the services; nil calls them in plain text.
	ClientTLS *tls.Config
	// Network is where services of the same process are called without a socket;
	// nil if there are none.
	Network *rpc.Network
	// Clock says when an exchanged token is exchanged again; the system's if
	// nil.
	Clock clock.Clock
}

// maxAnswer is the largest answer taken from a service, in bytes: exports are
// files in one message.
const maxAnswer = 64 << 20

// Run serves the public door on lis.HTTP until ctx ends.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	tel, err := telemetry.New(ctx, "gateway")
	if err != nil {
		return fmt.Errorf("make telemetry: %w", err)
	}
	defer func() { _ = tel.Shutdown(context.WithoutCancel(ctx)) }()

	backends := door.Backends{IdentityHTTP: cfg.IdentityHTTPAddr}
	for _, b := range []struct {
		addr string
		conn *grpc.ClientConnInterface
		name string
	}{
		{cfg.IdentityAddr, &backends.Identity, "identity-sync"},
		{cfg.RequestAddr, &backends.Request, "request"},
		{cfg.ApprovalAddr, &backends.Approval, "approval"},
		{cfg.ProvisioningAddr, &backends.Provisioning, "provisioning"},
		{cfg.AuditAddr, &backends.Audit, "audit"},
	} {
		conn, err := rpc.Dial(b.addr, rpc.DialConfig{Telemetry: tel, TLS: cfg.ClientTLS, Network: cfg.Network, MaxMessage: maxAnswer})
		if err != nil {
			return fmt.Errorf("connect to %s: %w", b.name, err)
		}
		defer conn.Close()
		*b.conn = conn
	}
	d, err := door.New(ctx, backends, door.Options{DevSignIn: cfg.DevSignIn, Clock: cfg.Clock, Telemetry: tel, Log: log})
	if err != nil {
		return fmt.Errorf("make public door: %w", err)
	}
	defer d.Close()
	return service.Run(ctx, service.Spec{
		Name: "gateway", Log: log, Telemetry: tel, Listeners: lis,
		HTTP:  func(mux *http.ServeMux) { mux.Handle("/", d) },
		Ready: d.Ready,
	})
}
