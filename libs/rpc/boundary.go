package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/apierr"
)

// boundary is where errors leave the service: the one place that logs them
// and that decides what the caller is told.
type boundary struct{ log *slog.Logger }

func (b boundary) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (res any, err error) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, b.panicked(ctx, info.FullMethod, p)
		}
		if err = b.leave(ctx, info.FullMethod, start, err); err != nil {
			res = nil
		}
	}()
	return handler(ctx, req)
}

func (b boundary) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	start := time.Now()
	ctx := stream.Context()
	defer func() {
		if p := recover(); p != nil {
			err = b.panicked(ctx, info.FullMethod, p)
		}
		err = b.leave(ctx, info.FullMethod, start, err)
	}()
	return handler(srv, transportStream{stream})
}

func (b boundary) panicked(ctx context.Context, method string, p any) error {
	b.log.LogAttrs(ctx, slog.LevelError, "Call panicked",
		slog.String("method", method), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	return fmt.Errorf("panic: %v", p)
}

// leave logs a failed call and returns the error that the caller gets.
func (b boundary) leave(ctx context.Context, method string, start time.Time, err error) error {
	if err == nil {
		return nil
	}
	err = notImplemented(err)
	if strings.HasPrefix(method, "/grpc.health.v1.Health/") && status.Code(err) == codes.NotFound {
		// As the protocol has it, of a service that is not known.
		return status.Error(codes.NotFound, "unknown service")
	}
	traceID := ""
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		traceID = sc.TraceID().String()
	}
	st := apierr.StatusWithTrace(err, traceID)

	level, text := slog.LevelInfo, false
	switch st.Code() {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		level, text = slog.LevelError, true
	case codes.Unavailable, codes.DeadlineExceeded:
		level, text = slog.LevelWarn, true
	case codes.Canceled: // the caller went away: how most watching ends
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", method),
		slog.String("code", st.Code().String()),
		slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1000),
	}
	if e, ok := apierr.From(err); ok {
		attrs = append(attrs, slog.String("reason", e.Reason))
	}
	if traceID != "" {
		attrs = append(attrs, slog.String("trace_id", traceID))
	}
	if text { // what is wrong with a request may quote it
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	b.log.LogAttrs(ctx, level, "Call failed", attrs...)
	return st.Err()
}

// notImplemented lets through the one status that generated code returns for a
// method the service does not have.
func notImplemented(err error) error {
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok && s.GRPCStatus().Code() == codes.Unimplemented { //nolint:errorlint // a wrapped one is another service's
		return apierr.New(codes.Unimplemented, "NOT_IMPLEMENTED", "this method is not implemented")
	}
	return err
}

// transportStream turns what gRPC itself says about a stream, which is not a
// fault of the service, into errors that may leave.
type transportStream struct{ grpc.ServerStream }

func (s transportStream) RecvMsg(m any) error { return transportError(s.ServerStream.RecvMsg(m)) }
func (s transportStream) SendMsg(m any) error { return transportError(s.ServerStream.SendMsg(m)) }

func transportError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return apierr.New(codes.ResourceExhausted, "MESSAGE_TOO_LARGE", "a message is larger than the service takes").Wrap(err)
	case codes.Canceled:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// deadlineInterceptor bounds unary calls that come without a deadline.
func deadlineInterceptor(d time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, d)
			defer cancel()
		}
		res, err := handler(ctx, req)
		// What a driver says when its time is up does not always name it.
		if _, ok := apierr.From(err); err != nil && !ok && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		return res, err
	}
}

var errStopping = errors.New("server is stopping")

// stoppingInterceptor ends streams when the server stops, which would wait for
// them forever.
func stoppingInterceptor(stopping context.Context) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, cancel := context.WithCancelCause(stream.Context())
		defer cancel(nil)
		defer context.AfterFunc(stopping, func() { cancel(errStopping) })()

		err := handler(srv, &contextStream{ServerStream: stream, ctx: ctx})
		if err != nil && errors.Is(context.Cause(ctx), errStopping) && (errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled) {
			return apierr.Unavailable("SERVER_STOPPING", err)
		}
		return err
	}
}

type contextStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *contextStream) Context() context.Context { return s.ctx }
