package rpctest

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpc"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// Tokens mints tokens that its verifiers take.
type Tokens struct {
	tb     testing.TB
	minter authz.Minter
	keys   jwk.Set
}

// NewTokens makes a key of its own.
func NewTokens(tb testing.TB) *Tokens {
	tb.Helper()
	key, err := authz.NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := authz.PublicKeys(key)
	if err != nil {
		tb.Fatal(err)
	}
	return &Tokens{tb: tb, minter: authz.Minter{Key: key, Lifetime: time.Hour}, keys: keys}
}

// audience is who the verifiers are.
const audience = "test"

// Mint returns a token for c, valid for an hour, for every service. Without a version of the user it
// is newer than any.
func (k *Tokens) Mint(c authz.Caller) string {
	k.tb.Helper()
	return k.MintFor(c, append(authz.Audiences(), audience)...)
}

// lately is when users have proved who they are of whom it is not said, whatever the
// clock of a test.
var lately = time.Unix(1<<35, 0)

// MintFor is Mint of a token for the services named.
func (k *Tokens) MintFor(c authz.Caller, services ...string) string {
	k.tb.Helper()
	if c.UserVersion == 0 && !c.IsService() {
		c.UserVersion = math.MaxInt64
	}
	if c.AuthTime.IsZero() && !c.IsService() && !c.APIToken {
		c.AuthTime = lately
	}
	token, _, err := k.minter.Mint(c, services...)
	if err != nil {
		k.tb.Fatal(err)
	}
	return token
}

// Keys are the public keys, in the form a [authz.Verifier] asks for.
func (k *Tokens) Keys(context.Context) (jwk.Set, error) { return k.keys, nil }

// Verifier takes what Mint returns.
func (k *Tokens) Verifier() *authz.Verifier { return k.VerifierOf(audience) }

// VerifierOf takes what is for the service.
func (k *Tokens) VerifierOf(service string) *authz.Verifier {
	return &authz.Verifier{Audience: service, Keys: k.Keys}
}

// Serve listens on a loopback port and answers, as identity-sync does, what
// the public keys are, and gives any client a token. It returns the address. More services can be registered
// on the same server.
func (k *Tokens) Serve(tb testing.TB, register ...func(grpc.ServiceRegistrar)) (addr string) {
	tb.Helper()
	lis, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	serve(tb, lis, rpc.ServerConfig{Verifier: k.Verifier()}, append(register, func(s grpc.ServiceRegistrar) {
		identityv1.RegisterTokenServiceServer(s, keyServer{tokens: k})
	})...)
	return lis.Addr().String()
}

type keyServer struct {
	identityv1.UnimplementedTokenServiceServer
	tokens *Tokens
}

func (s keyServer) GetKeys(context.Context, *identityv1.GetKeysRequest) (*identityv1.GetKeysResponse, error) {
	b, err := json.Marshal(s.tokens.keys)
	return &identityv1.GetKeysResponse{Jwks: string(b)}, err
}

// ExchangeClientSecret gives any client a token of its own.
func (s keyServer) ExchangeClientSecret(_ context.Context, r *identityv1.ExchangeClientSecretRequest) (*identityv1.ExchangeClientSecretResponse, error) {
	token, expires, err := s.tokens.minter.Mint(Service(r.GetClientId()), r.GetAudience(), audience)
	return &identityv1.ExchangeClientSecretResponse{AccessToken: token, ExpireTime: timestamppb.New(expires)}, err
}

// Dial calls the service at addr as caller; the zero Caller has no token.
func (k *Tokens) Dial(tb testing.TB, addr string, caller authz.Caller, opts ...grpc.DialOption) *rpc.Conn {
	tb.Helper()
	cfg := rpc.DialConfig{Options: opts}
	if caller != (authz.Caller{}) {
		token := k.Mint(caller)
		cfg.Token = func(context.Context) (string, error) { return token, nil }
	}
	conn, err := rpc.Dial(addr, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

// Server serves in memory.
type Server struct {
	// Tokens are those the server takes.
	Tokens *Tokens

	lis *bufconn.Listener
}

// NewServer serves what register registers. The configuration, which takes
// tokens of [Server.Tokens] and logs to the test, can be changed before.
func NewServer(tb testing.TB, register func(grpc.ServiceRegistrar), change ...func(*rpc.ServerConfig)) *Server {
	tb.Helper()
	s := &Server{Tokens: NewTokens(tb), lis: bufconn.Listen(1 << 20)}
	cfg := rpc.ServerConfig{Verifier: s.Tokens.Verifier(), Log: slog.New(slog.NewTextHandler(tb.Output(), nil))}
	for _, c := range change {
		c(&cfg)
	}
	serve(tb, s.lis, cfg, register)
	return s
}

// Conn connects to srv as caller; the zero Caller has no token.
func Conn(tb testing.TB, srv *Server, caller authz.Caller, opts ...grpc.DialOption) *rpc.Conn {
	tb.Helper()
	return srv.Tokens.Dial(tb, "passthrough:///memory", caller, append([]grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return srv.lis.DialContext(ctx) }),
	}, opts...)...)
}

func serve(tb testing.TB, lis net.Listener, cfg rpc.ServerConfig, register ...func(grpc.ServiceRegistrar)) {
	tb.Helper()
	srv, err := rpc.NewServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range register {
		r(srv)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	tb.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil {
			tb.Errorf("serve gRPC: %v", err)
		}
	})
}

// User makes up a user with the role, in an organization of their own.
func User(role authzv1.Caller) authz.Caller {
	u := id.New()
	return authz.Caller{Subject: u.String(), UserID: u, OrganizationID: id.New(), Role: role, Name: "Ada Lovelace", Email: "ada@corp.example"}
}

// Service makes up a service that calls by itself.
func Service(name string) authz.Caller {
	return authz.Caller{Subject: "client:" + name, Role: authzv1.Caller_CALLER_SERVICE}
}

// Reason is the ErrorInfo reason of a call's error; empty if it has none.
func Reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*errdetails.ErrorInfo); ok {
			return d.GetReason()
		}
	}
	return ""
}

// Fields are the paths of the fields that a call's error says are wrong.
func Fields(err error) []string {
	var fields []string
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range d.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	return fields
}
