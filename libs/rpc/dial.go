package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/telemetry"
)

// pingInterval is how often an idle connection is tried out.
const pingInterval = 20 * time.Second

// DialConfig is how another service is called. The zero value will do on one
// machine.
type DialConfig struct {
	// Telemetry takes spans and metrics; nil discards them, but trace ids
	// travel on.
	Telemetry *telemetry.Telemetry
	// TLS is for connections between machines, as from [LoadTLS]; nil means
	// plain text.
	TLS *tls.Config
	// ServerName is the name in the certificate of the service that is meant, wherever
	// it is found; that of its address if empty.
	ServerName string
	// Token returns this service's own token for the one that is called; nil means
	// that calls go without.
	Token authz.TokenSource
	// Deadline is given to unary calls whose context has none; [Deadline] if
	// zero.
	Deadline time.Duration
	// MaxMessage bounds an answer's message in bytes; [MaxMessage] if zero.
	MaxMessage int
	// Network, if not nil, is where the service is called without a socket while
	// it serves there.
	Network *Network
	// Options come after all others. They concern calls by socket alone.
	Options []grpc.DialOption
}

// reconnect is how a service that was away is looked for: gRPC's own pauses
// grow to two minutes, for which callers would go on failing.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// Conn is a connection to a service.
type Conn struct {
	wire *grpc.ClientConn // by socket

	// For calls without one.
	network    *Network
	addr       string
	unary      grpc.UnaryClientInterceptor
	stream     grpc.StreamClientInterceptor
	stats      stats.Handler
	maxMessage int
	retries    *retries
	closed     atomic.Bool
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Dial makes a connection to the service at addr: host:port, or several addresses over
// which calls are spread, ipv4:address:port,address:port (or ipv6:). It connects with
// the first call, and again whenever the connection is lost: an error means
// that addr or cfg makes no sense. The caller closes it.
func Dial(addr string, cfg DialConfig) (*Conn, error) {
	if cfg.Deadline <= 0 {
		cfg.Deadline = Deadline
	}
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = MaxMessage
	}
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		named := cfg.TLS.Clone()
		if cfg.ServerName != "" {
			named.ServerName = cfg.ServerName
		}
		creds = credentials.NewTLS(named)
	}
	repeatable := repeatableMethods(protoregistry.GlobalFiles)
	sc, err := serviceConfig(repeatable)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	c := &Conn{
		network: cfg.Network, addr: addr, maxMessage: cfg.MaxMessage,
		unary:  chainUnaryClient(ownWords, clientDeadline(cfg.Deadline), authz.WithToken(cfg.Token)),
		stream: authz.WithTokenStream(cfg.Token),
		stats: otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(cfg.Telemetry.TracerProvider()),
			otelgrpc.WithMeterProvider(cfg.Telemetry.MeterProvider()),
			otelgrpc.WithPropagators(cfg.Telemetry.Propagator()),
		),
		retries: newRetries(repeatable),
	}
	opts := append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(sc),
		grpc.WithConnectParams(reconnect),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WithStatsHandler(c.stats),
		grpc.WithUnaryInterceptor(c.unary),
		grpc.WithStreamInterceptor(c.stream),
	}, cfg.Options...)
	several, err := resolverOf(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	if several != nil {
		opts = append(opts, grpc.WithResolvers(several))
	}
	if c.wire, err = grpc.NewClient(addr, opts...); err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return c, nil
}

// Invoke makes a unary call.
func (c *Conn) Invoke(ctx context.Context, method string, req, reply any, opts ...grpc.CallOption) error {
	o, ok := c.inProcess(opts)
	if !ok {
		return c.wire.Invoke(ctx, method, req, reply, opts...)
	}
	return c.unary(ctx, method, req, reply, c.wire, func(ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
		return c.retries.do(ctx, method, func() (bool, error) { return c.invoke(ctx, method, req, reply, o) })
	}, opts...)
}

// NewStream begins a streaming call.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	o, ok := c.inProcess(opts)
	if !ok {
		return c.wire.NewStream(ctx, desc, method, opts...)
	}
	return c.stream(ctx, desc, c.wire, method, func(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
		return c.newStream(ctx, desc, method, o)
	}, opts...)
}

// Close ends the connection. Calls made afterwards fail.
func (c *Conn) Close() error {
	c.closed.Store(true)
	return c.wire.Close()
}

// ownWords has a failed call's error be what the service answered. Of a call
// that gRPC has repeated in vain it is wrapped, and the wrapping's words would
// become the message of the status that callers read.
func ownWords(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoker(ctx, method, req, reply, cc, opts...)
	var answered interface{ GRPCStatus() *status.Status }
	if errors.As(err, &answered) && answered.GRPCStatus() != nil {
		return answered.GRPCStatus().Err()
	}
	return err
}

func clientDeadline(d time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, d)
			defer cancel()
		}
		return invoker(ctx, method, req, reply, cc, opts...)
	}
}
