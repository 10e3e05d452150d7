package authz_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// inProcess is a peer of the same process.
type inProcess struct{}

func (inProcess) Network() string { return authz.InProcess }
func (inProcess) String() string  { return "in-process" }

// from is a context of a call from a peer, with metadata.
func from(ctx context.Context, at net.Addr, kv ...string) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	return peer.NewContext(metadata.NewIncomingContext(ctx, metadata.Join(md, metadata.Pairs(kv...))), &peer.Peer{Addr: at})
}

// Every refusal is told of once, with the caller as far as a signature says who that
// is, and nothing else is.
func TestDenied(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	files := declare(t, "gatehouse.test.v1",
		method{name: "Write", allow: admin}, method{name: "StepUp", allow: admin, stepUp: true},
		method{name: "Public", allow: []authzv1.Caller{authzv1.Caller_CALLER_PUBLIC}},
	)
	const svc = "gatehouse.test.v1.TestService/"
	ada, mia, reader := user(authzv1.Caller_CALLER_ADMIN), user(authzv1.Caller_CALLER_MEMBER), user(authzv1.Caller_CALLER_ADMIN)
	reader.ReadOnly = true
	narrow := user(authzv1.Caller_CALLER_ADMIN)
	narrow.Scopes = "apps:read"
	service := authz.Caller{Subject: "client:request", Role: authzv1.Caller_CALLER_SERVICE}
	other, _, err := authz.Minter{Key: i.keys[0], Lifetime: time.Minute, Clock: i.clock}.Mint(mia, "approval")
	if err != nil {
		t.Fatal(err)
	}
	past := newIssuer(t)
	past.keys = i.keys
	past.clock.Advance(-time.Hour)
	forger := newIssuer(t) // its key is not ours
	sure := func(error) error { return nil }
	says := func(err error) func(error) error { return func(error) error { return err } }
	tests := []struct {
		name, method, token string
		handler             func(error) error
		caller              authz.Caller
		reason              string
	}{
		{"let through", "Write", i.mint(ada), sure, authz.Caller{}, ""},
		{"role", "Write", i.mint(mia), sure, mia, "ROLE_NOT_ALLOWED"},
		{"service", "Write", i.mint(service), sure, service, "ROLE_NOT_ALLOWED"},
		{"read-only", "Write", i.mint(reader), sure, reader, "TOKEN_READ_ONLY"},
		{"scope", "Write", i.mint(narrow), sure, narrow, "SCOPE_MISSING"},
		{"step-up", "StepUp", i.mint(ada), sure, ada, authz.ReasonStepUp},
		{"for another service", "Write", other, sure, mia, authz.ReasonOtherService},
		{"expired", "Write", past.mint(mia), sure, mia, "TOKEN_EXPIRED"},
		{"nobody's", "Write", "nonsense", sure, authz.Caller{}, "TOKEN_INVALID"},
		{"not signed by us", "Write", forger.mint(mia), sure, authz.Caller{}, "TOKEN_INVALID"},
		{"a rule", "Write", i.mint(ada), says(fmt.Errorf("do: %w", apierr.Denied("NOT_YOURS", "no"))), ada, "NOT_YOURS"},
		{"stale", "Write", i.mint(ada), says(authz.ErrTokenStale), ada, "TOKEN_STALE"},
		{"told already", "Write", i.mint(ada), says(authz.Told(authz.ErrTokenInvalid)), authz.Caller{}, ""},
		{"not found", "Write", i.mint(ada), says(apierr.NotFound("APP_NOT_FOUND", "no")), authz.Caller{}, ""},
		{"invalid", "Write", i.mint(ada), says(apierr.New(codes.InvalidArgument, "X", "no")), authz.Caller{}, ""},
		{"public, by nobody", "Public", "nonsense", says(apierr.Unauthenticated("SIGN_IN_EXPIRED", "no")), authz.Caller{}, "SIGN_IN_EXPIRED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := call(t.Context(), "Bearer "+tt.token)
			var got []authz.Denial
			denied := func(_ context.Context, d authz.Denial) { got = append(got, d) }
			_, unaryErr := authz.UnaryInterceptor(v, files, denied)(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/" + svc + tt.method},
				func(context.Context, any) (any, error) { return nil, tt.handler(nil) })
			streamErr := authz.StreamInterceptor(v, files, denied)(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: "/" + svc + tt.method},
				func(any, grpc.ServerStream) error { return tt.handler(nil) })
			if apierr.Status(unaryErr).Code() != apierr.Status(streamErr).Code() {
				t.Fatalf("%v, as a stream %v", unaryErr, streamErr)
			}
			var want []authz.Denial
			if tt.reason != "" {
				d := authz.Denial{Caller: tt.caller, Method: svc + tt.method, Reason: tt.reason}
				want = []authz.Denial{d, d}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if c, err := v.Verify(t.Context(), other); err == nil || c.UserID != uuid.Nil {
		t.Errorf("a token for another service finds %v, %v", c, err)
	}
}

// A refusal that the gateway follows up by itself is not the end of a call; nobody else
// can hide one so.
func TestDeniedIsFollowedUp(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	files := declare(t, "gatehouse.test.v1", method{name: "Write", allow: admin})
	md := metadata.MD{}
	authz.SetFollowUp(md, authz.ReasonTokenStale, authz.ReasonRoleNotAllowed)
	for name, tt := range map[string]struct {
		peer net.Addr
		want int
	}{
		"gateway": {inProcess{}, 0}, "anybody": {&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7}, 1},
	} {
		told := 0
		ctx := call(t.Context(), "Bearer "+i.mint(user(authzv1.Caller_CALLER_MEMBER)))
		in, _ := metadata.FromIncomingContext(ctx)
		ctx = peer.NewContext(metadata.NewIncomingContext(ctx, metadata.Join(in, md)), &peer.Peer{Addr: tt.peer})
		_, err := authz.UnaryInterceptor(i.verifier(), files, func(context.Context, authz.Denial) { told++ })(ctx, nil,
			&grpc.UnaryServerInfo{FullMethod: "/gatehouse.test.v1.TestService/Write"}, nil)
		if reason(err) != "ROLE_NOT_ALLOWED" || told != tt.want {
			t.Errorf("%s: %v, told of %d times, want %d", name, err, told, tt.want)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	socket := &net.TCPAddr{IP: net.ParseIP("::ffff:10.1.2.3"), Port: 7}
	forwarded := func(ctx context.Context, a string) []string {
		md, _ := metadata.FromOutgoingContext(authz.WithForwarded(ctx, netip.MustParseAddr(a)))
		var kv []string
		for k, v := range md {
			kv = append(kv, k, v[0])
		}
		return kv
	}
	said := forwarded(t.Context(), "192.0.2.7")
	for name, tt := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"by the gateway":             {from(t.Context(), inProcess{}, said...), "192.0.2.7"},
		"a socket":                   {from(t.Context(), socket), "10.1.2.3"},
		"a socket with a forged one": {from(t.Context(), socket, said...), "10.1.2.3"},
		"from within":                {from(t.Context(), inProcess{}), ""},
		"nonsense of the gateway":    {from(t.Context(), inProcess{}, said[0], "nowhere"), ""},
		"twice":                      {from(t.Context(), inProcess{}, append(said, said...)...), ""},
		"no peer":                    {t.Context(), ""},
		"by HTTP":                    {authz.WithCall(t.Context(), "/scim/v2", netip.MustParseAddr("2001:db8::1")), "2001:db8::1"},
	} {
		if got := authz.AddressText(authz.ClientAddress(tt.ctx)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
