package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/telemetry"
)

// Defaults of servers and connections.
const (
	MaxMessage = 4 << 20          // bytes
	Deadline   = 10 * time.Second // of a unary call
)

// ServerConfig is what a server is made of.
type ServerConfig struct {
	// Verifier verifies the callers' tokens. Required.
	Verifier *authz.Verifier
	// Log takes failed calls; nil discards them.
	Log *slog.Logger
	// Telemetry takes spans and metrics; nil discards them.
	Telemetry *telemetry.Telemetry
	// TLS makes the server speak TLS, as from [LoadTLS]; nil means plain text.
	TLS *tls.Config
	// MaxMessage bounds an incoming message in bytes; [MaxMessage] if zero.
	MaxMessage int
	// Deadline is given to unary calls that bring none; [Deadline] if zero.
	Deadline time.Duration
	// Stopping, if not nil, ends the streams when it ends.
	Stopping context.Context
	// Files declare who may call which method; all linked ones if nil.
	Files *protoregistry.Files
}

// NewServer makes a server. Services are registered on it, and it is served
// and stopped, by the caller.
func NewServer(cfg ServerConfig) (*grpc.Server, error) {
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
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(cfg.MaxMessage),
		grpc.StatsHandler(otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(cfg.Telemetry.TracerProvider()),
			otelgrpc.WithMeterProvider(cfg.Telemetry.MeterProvider()),
			otelgrpc.WithPropagators(cfg.Telemetry.Propagator()),
		)),
		grpc.ChainUnaryInterceptor(
			b.unary,
			deadlineInterceptor(cfg.Deadline),
			authz.UnaryInterceptor(cfg.Verifier, cfg.Files),
			validateUnary(validator),
		),
		grpc.ChainStreamInterceptor(
			b.stream,
			stoppingInterceptor(cfg.Stopping),
			authz.StreamInterceptor(cfg.Verifier, cfg.Files),
			validateStream(validator),
		),
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
	return grpc.NewServer(opts...), nil
}
