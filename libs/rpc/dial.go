package rpc

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

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
	// Token returns this service's own token, for calls whose context has no
	// caller; nil means that such calls go without.
	Token authz.TokenSource
	// Deadline is given to unary calls whose context has none; [Deadline] if
	// zero.
	Deadline time.Duration
	// MaxMessage bounds an answer's message in bytes; [MaxMessage] if zero.
	MaxMessage int
	// Options come after all others.
	Options []grpc.DialOption
}

// reconnect is how a service that was away is looked for: gRPC's own pauses
// grow to two minutes, for which callers would go on failing.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// Dial makes a connection to the service at addr, host:port. It connects with
// the first call, and again whenever the connection is lost: an error means
// that addr or cfg makes no sense. The caller closes it.
func Dial(addr string, cfg DialConfig) (*grpc.ClientConn, error) {
	if cfg.Deadline <= 0 {
		cfg.Deadline = Deadline
	}
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = MaxMessage
	}
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		creds = credentials.NewTLS(cfg.TLS)
	}
	sc, err := serviceConfig(protoregistry.GlobalFiles)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	opts := append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(sc),
		grpc.WithConnectParams(reconnect),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(cfg.Telemetry.TracerProvider()),
			otelgrpc.WithMeterProvider(cfg.Telemetry.MeterProvider()),
			otelgrpc.WithPropagators(cfg.Telemetry.Propagator()),
		)),
		grpc.WithChainUnaryInterceptor(ownWords, clientDeadline(cfg.Deadline), authz.ForwardToken(cfg.Token)),
		grpc.WithChainStreamInterceptor(authz.ForwardTokenStream(cfg.Token)),
	}, cfg.Options...)
	conn, err := grpc.NewClient(addr, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return conn, nil
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

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method,omitempty"`
}

// serviceConfig says, in gRPC's own format, how calls are spread and which are
// repeated: UNAVAILABLE may also mean that the answer was lost, so only methods
// that declare themselves without side effects or idempotent are. (A call that
// never left this process is sent again by gRPC, whatever its method.)
func serviceConfig(files *protoregistry.Files) (string, error) {
	repeatable := []methodName{{Service: "grpc.health.v1.Health", Method: "Check"}, {Service: "grpc.health.v1.Health", Method: "List"}}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			svc := f.Services().Get(i)
			for j := range svc.Methods().Len() {
				m := svc.Methods().Get(j)
				opts, _ := m.Options().(*descriptorpb.MethodOptions)
				if opts.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
					repeatable = append(repeatable, methodName{Service: string(svc.FullName()), Method: string(m.Name())})
				}
			}
		}
		return true
	})
	slices.SortFunc(repeatable, func(a, b methodName) int {
		return slices.Compare([]string{a.Service, a.Method}, []string{b.Service, b.Method})
	})
	b, err := json.Marshal(map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": struct{}{}}},
		"methodConfig": []any{map[string]any{
			"name": repeatable,
			"retryPolicy": map[string]any{
				"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 3,
				"retryableStatusCodes": []string{"UNAVAILABLE"},
			},
		}},
		// Stops repeating when most calls fail, so as not to make it worse.
		"retryThrottling": map[string]any{"maxTokens": 100, "tokenRatio": 0.1},
	})
	if err != nil {
		return "", fmt.Errorf("make service config: %w", err)
	}
	return string(b), nil
}
