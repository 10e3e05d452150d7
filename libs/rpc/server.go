package rpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/telemetry"
)

// Defaults of servers and connections.
const (
	MaxMessage = 4 << 20          // bytes
	Deadline   = 10 * time.Second // of a unary call
	MaxStreams = 1000             // calls of one connection at a time
)

// ServerConfig is what a server is made of.
type ServerConfig struct {
	// PageKey signs page tokens, the same in all replicas; nil leaves them as they
	// are.
	PageKey []byte
	// Verifier verifies the callers' tokens. Required.
	Verifier *authz.Verifier
	// Denied is told of calls that were refused; nil for nobody.
	Denied authz.DeniedFunc
	// Log takes failed calls; nil discards them.
	Log *slog.Logger
	// Prepare completes a request of a method, such as
	// "/gatehouse.identity.v1.UserService/GetUser", for its caller before it is
	// validated; nil for none.
	Prepare PrepareFunc
	// Telemetry takes spans and metrics; nil discards them.
	Telemetry *telemetry.Telemetry
	// TLS makes the server speak TLS, as from [LoadTLS]; nil means plain text.
	TLS *tls.Config
	// MaxMessage bounds an incoming message in bytes; [MaxMessage] if zero.
	MaxMessage int
	// MaxStreams bounds the calls of one connection that are served at a time, others
	// wait at their caller's; [MaxStreams] if zero.
	MaxStreams uint32
	// Deadline is given to unary calls that bring none; [Deadline] if zero.
	Deadline time.Duration
	// Stopping, if not nil, ends the streams when it ends.
	Stopping context.Context
	// Files declare who may call which method; all linked ones if nil.
	Files *protoregistry.Files
	// Limits are how often users may call; nil means as often as they like.
	Limits *ratelimit.Limits
	// Network, if not nil, lets connections that were made with it reach the
	// server without a socket, under the address that it serves.
	Network *Network
}

// Server is a gRPC server, which also takes calls from its own process without
// a socket if it is in a [Network]. What is true of calls by socket is true of
// these.
type Server struct {
	*grpc.Server

	network    *Network
	unary      grpc.UnaryServerInterceptor
	stream     grpc.StreamServerInterceptor
	stats      stats.Handler
	maxMessage int
	methods    map[string]method // by full name

	// life is what calls from the process derive their context from. Stop ends
	// it.
	life context.Context
	cut  context.CancelFunc

	mu       sync.Mutex
	stopping bool
	calls    sync.WaitGroup // from the process; none is added once stopping
}

// method is how one is called: either unary or stream is set.
type method struct {
	impl   any
	unary  *grpc.MethodDesc
	stream *grpc.StreamDesc
}

// NewServer makes a server. Services are registered on it, and it is served
// and stopped, by the caller.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Verifier == nil {
		return nil, errors.New("make gRPC server: no token verifier")
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make request validator: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = MaxMessage
	}
	if cfg.Deadline <= 0 {
		cfg.Deadline = Deadline
	}
	if cfg.Stopping == nil {
		cfg.Stopping = context.Background()
	}
	b := boundary{log: cfg.Log}
	pages := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(ctx, req)
	}
	if cfg.PageKey != nil {
		signer, err := page.NewSigner(cfg.PageKey)
		if err != nil {
			return nil, fmt.Errorf("make gRPC server: %w", err)
		}
		pages = signer.Intercept
	}
	limits := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(ctx, req)
	}
	if cfg.Limits != nil {
		limits = newLimiter(*cfg.Limits, clock.System{}, cfg.Files).unary
	}
	s := &Server{
		network:    cfg.Network,
		maxMessage: cfg.MaxMessage,
		methods:    make(map[string]method),
		unary: chainUnaryServer(
			b.unary,
			deadlineInterceptor(cfg.Deadline),
			authz.UnaryInterceptor(cfg.Verifier, cfg.Files, cfg.Denied),
			limits,
			validateUnary(validator, cfg.Prepare),
			pages,
		),
		stream: chainStreamServer(
			b.stream,
			stoppingInterceptor(cfg.Stopping),
			authz.StreamInterceptor(cfg.Verifier, cfg.Files, cfg.Denied),
			validateStream(validator, cfg.Prepare),
		),
		stats: otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(cfg.Telemetry.TracerProvider()),
			otelgrpc.WithMeterProvider(cfg.Telemetry.MeterProvider()),
			otelgrpc.WithPropagators(cfg.Telemetry.Propagator()),
		),
	}
	s.life, s.cut = context.WithCancel(context.Background())
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(cfg.MaxMessage),
		grpc.MaxConcurrentStreams(cmp.Or(cfg.MaxStreams, MaxStreams)),
		grpc.StatsHandler(s.stats),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:    30 * time.Second,
			Timeout: 10 * time.Second,
			// Connections are renewed so that clients come to know replicas
			// that were added.
			MaxConnectionAge:      30 * time.Minute,
			MaxConnectionAgeGrace: 10 * time.Minute,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             pingInterval / 2,
			PermitWithoutStream: true,
		}),
	}
	if cfg.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.Server = grpc.NewServer(opts...)
	return s, nil
}

// RegisterService adds a service, as generated code does. All are added before
// Serve.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.Server.RegisterService(desc, impl)
	for i := range desc.Methods {
		m := &desc.Methods[i]
		s.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{impl: impl, unary: m}
	}
	for i := range desc.Streams {
		m := &desc.Streams[i]
		s.methods["/"+desc.ServiceName+"/"+m.StreamName] = method{impl: impl, stream: m}
	}
}

// Serve serves lis, and the server's network under the address of lis, until
// the server is stopped, and then returns nil.
func (s *Server) Serve(lis net.Listener) error {
	defer s.network.add(lis.Addr().String(), s)()
	return s.Server.Serve(lis)
}

// GracefulStop takes no more calls and returns when those that run have ended.
func (s *Server) GracefulStop() {
	s.refuse()
	s.Server.GracefulStop()
	s.calls.Wait()
}

// Stop takes no more calls and ends those that run: their contexts end, and
// their callers get UNAVAILABLE.
func (s *Server) Stop() {
	s.refuse()
	s.cut()
	s.Server.Stop()
}

func (s *Server) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

// enter admits a call from the process, which ends with calls.Done; false if
// the server is stopping.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.calls.Add(1)
	}
	return !s.stopping
}
