// Package httpapi is the handler of the gateway: it routes, signs in and
// translates, and knows nothing of what requests mean.
//
// Every answer to a program is JSON of the form google.rpc.Status, with
// details, except on /scim/v2 and /oauth2, whose standards have forms of their
// own. No answer shows an internal error.
package httpapi

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/telemetry"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/gateway/internal/live"
)

// Backends are the services behind it.
type Backends struct {
	Identity, Request, Approval, Provisioning, Audit grpc.ClientConnInterface
	// IdentityHTTP is the address of identity-sync's HTTP server, host:port.
	IdentityHTTP string
	// IdentityTLS is shown to it; nil calls it in plain text.
	IdentityTLS *tls.Config
}

// each are the services as f makes them, given each one's name.
func (b Backends) each(f func(string, grpc.ClientConnInterface) grpc.ClientConnInterface) Backends {
	b.Identity, b.Request = f("identity-sync", b.Identity), f("request", b.Request)
	b.Approval, b.Provisioning, b.Audit = f("approval", b.Approval), f("provisioning", b.Provisioning), f("audit", b.Audit)
	return b
}

// byName lists the gRPC backends under the names that services have.
func (b Backends) byName() []namedConn {
	return []namedConn{
		{"identity-sync", b.Identity},
		{"request", b.Request},
		{"approval", b.Approval},
		{"provisioning", b.Provisioning},
		{"audit", b.Audit},
	}
}

// listeners lists those that listen to events, and so may park one.
func (b Backends) listeners() []namedConn {
	return slices.DeleteFunc(b.byName(), func(c namedConn) bool { return c.name == "identity-sync" })
}

type namedConn struct {
	name string
	conn grpc.ClientConnInterface
}

// Options are what else it needs.
type Options struct {
	// DevSignIn offers the development sign-in.
	DevSignIn bool
	// Limits are how often callers may call; none if zero.
	Limits ratelimit.Limits
	// Hosts are what the installation is called, beside loopback names.
	Hosts []string
	// Proxies are those whose word on the caller counts.
	Proxies []netip.Prefix
	// Clock says how old an exchanged token is; the system's if nil.
	Clock     clock.Clock
	Telemetry *telemetry.Telemetry
	// Live knows what has changed; without it browsers are not told.
	Live *live.Hub
	// Log is discarded if nil.
	Log *slog.Logger
}

// API is the handler.
type API struct {
	http.Handler
	close func()
}

// New makes the handler. ctx bounds the life of its connections' streams.
func New(ctx context.Context, b Backends, o Options) (*API, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	routes := newRoutes()
	limits := newLimiter(o.Limits, o.Clock, routes)
	b = b.each(func(_ string, c grpc.ClientConnInterface) grpc.ClientConnInterface { return forwarding{c} })
	auth := newAuthenticator(identityv1.NewTokenServiceClient(b.Identity), o.Clock, limits.credentials)
	b = b.each(func(name string, c grpc.ClientConnInterface) grpc.ClientConnInterface { return renewing{c, name, auth} })
	rest := newREST(o.Log)
	register := []struct {
		conn grpc.ClientConnInterface
		f    func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error
	}{
		{b.Identity, with(identityv1.NewOrganizationServiceClient, identityv1.RegisterOrganizationServiceHandlerClient)},
		{b.Identity, with(identityv1.NewEnvironmentServiceClient, identityv1.RegisterEnvironmentServiceHandlerClient)},
		{b.Identity, with(identityv1.NewUserServiceClient, identityv1.RegisterUserServiceHandlerClient)},
		{b.Identity, with(identityv1.NewGroupServiceClient, identityv1.RegisterGroupServiceHandlerClient)},
		{b.Identity, with(identityv1.NewSourceServiceClient, identityv1.RegisterSourceServiceHandlerClient)},
		{b.Identity, with(identityv1.NewApiTokenServiceClient, identityv1.RegisterApiTokenServiceHandlerClient)},
		{b.Identity, with(identityv1.NewSessionServiceClient, identityv1.RegisterSessionServiceHandlerClient)},
		{b.Identity, with(identityv1.NewIdentityProviderServiceClient, identityv1.RegisterIdentityProviderServiceHandlerClient)},
		{b.Identity, with(identityv1.NewSignInServiceClient, identityv1.RegisterSignInServiceHandlerClient)},
		{b.Request, with(requestv1.NewAppServiceClient, requestv1.RegisterAppServiceHandlerClient)},
		{b.Request, with(requestv1.NewRequestServiceClient, requestv1.RegisterRequestServiceHandlerClient)},
		{b.Request, with(requestv1.NewBundleServiceClient, requestv1.RegisterBundleServiceHandlerClient)},
		{b.Request, with(requestv1.NewConversationServiceClient, requestv1.RegisterConversationServiceHandlerClient)},
		{b.Approval, with(approvalv1.NewFlowServiceClient, approvalv1.RegisterFlowServiceHandlerClient)},
		{b.Approval, with(approvalv1.NewTaskServiceClient, approvalv1.RegisterTaskServiceHandlerClient)},
		{b.Approval, with(approvalv1.NewDelegationServiceClient, approvalv1.RegisterDelegationServiceHandlerClient)},
		{b.Approval, with(approvalv1.NewWorkingTimeServiceClient, approvalv1.RegisterWorkingTimeServiceHandlerClient)},
		{b.Provisioning, with(provisioningv1.NewIntegrationServiceClient, provisioningv1.RegisterIntegrationServiceHandlerClient)},
		{b.Provisioning, with(provisioningv1.NewGrantServiceClient, provisioningv1.RegisterGrantServiceHandlerClient)},
		{b.Provisioning, with(provisioningv1.NewAccountServiceClient, provisioningv1.RegisterAccountServiceHandlerClient)},
		{b.Provisioning, with(provisioningv1.NewWorkItemServiceClient, provisioningv1.RegisterWorkItemServiceHandlerClient)},
		{b.Provisioning, with(provisioningv1.NewChecklistServiceClient, provisioningv1.RegisterChecklistServiceHandlerClient)},
		{b.Audit, with(auditv1.NewAuditServiceClient, auditv1.RegisterAuditServiceHandlerClient)},
	}
	for _, r := range register {
		if err := r.f(ctx, rest, r.conn); err != nil {
			return nil, fmt.Errorf("register routes: %w", err)
		}
	}
	parked := gatherer{services: b.listeners()}
	if err := opsv1.RegisterParkedEventServiceHandlerClient(ctx, rest, parked); err != nil {
		return nil, fmt.Errorf("register routes: %w", err)
	}

	sessions := sessions{client: identityv1.NewSessionServiceClient(b.Identity), auth: auth, dev: o.DevSignIn}
	identity := newIdentityProxy(b.IdentityHTTP, b.IdentityTLS, limits.credentials, o.Telemetry, o.Log)

	mux := http.NewServeMux()
	v1, err := compressed(auth.wrap(rejectEarly(routes, rest)))
	if err != nil {
		return nil, err
	}
	mux.Handle("/v1/", v1)
	mux.Handle("/scim/v2/", identity)
	mux.Handle("/oauth2/token", identity)
	mux.Handle("/.well-known/jwks.json", identity)
	door := door{sessions, identityv1.NewSignInServiceClient(b.Identity), o.Log}
	mux.HandleFunc("/sign-in", byMethod(door.choose, door.post))
	mux.HandleFunc("/sign-in/{provider}", byMethod(door.start, auth.wrap(http.HandlerFunc(door.confirm)).ServeHTTP))
	mux.HandleFunc("/sign-in/{provider}/callback", byMethod(door.callback, nil))
	mux.HandleFunc("/sign-in/{provider}/backchannel-logout", onlyPost(door.logout))
	mux.HandleFunc("/sign-in/{provider}/signed-out", byMethod(door.signedOut, nil))
	mux.HandleFunc("/sign-out", onlyPost(door.signOut))
	mux.Handle(livePath, inBackground(auth.wrap(byMethod(liveDoor{
		hub: o.Live, auth: auth,
		users: identityv1.NewUserServiceClient(b.Identity), apps: requestv1.NewAppServiceClient(b.Request),
	}.ServeHTTP, nil))))
	page, err := newPage(o.DevSignIn)
	if err != nil {
		return nil, err
	}
	mux.Handle("/", page)

	// Browsers send the session cookie along whoever makes them do so; what
	// another site makes them send is not what the person asked for.
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		send(w, r, apierr.Denied("CROSS_ORIGIN", "another site may not send this request"))
	}))
	limits.next = sameOrigin.Handler(mux)
	handler, err := observe(o.Telemetry, routes, headers(front{o.Hosts, o.Proxies, limits}))
	if err != nil {
		return nil, err
	}
	return &API{Handler: handler, close: identity.Transport.(*http.Transport).CloseIdleConnections}, nil
}

// Close releases connections that it made itself.
func (d *API) Close() { d.close() }

// with binds a generated registration to its client.
func with[C any](client func(grpc.ClientConnInterface) C, register func(context.Context, *runtime.ServeMux, C) error) func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error {
	return func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
		return register(ctx, mux, client(conn))
	}
}

// standing are the headers that every answer has.
var standing = map[string]string{
	"X-Content-Type-Options":  "nosniff",
	"Referrer-Policy":         "no-referrer",
	"X-Frame-Options":         "DENY",
	"Cache-Control":           "no-store",
	"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",

	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range standing {
			w.Header().Set(k, v)
		}
		next.ServeHTTP(w, r)
	})
}

// byMethod has get take GET and HEAD, and post POST unless it is nil.
func byMethod(get, post http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			get(w, r)
		case r.Method == http.MethodPost && post != nil:
			post(w, r)
		case post == nil:
			methodNotAllowed(w, r, "GET, HEAD")
		default:
			methodNotAllowed(w, r, "GET, HEAD, POST")
		}
	}
}

func onlyPost(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			methodNotAllowed(w, r, http.MethodPost)
			return
		}
		next(w, r)
	}
}
