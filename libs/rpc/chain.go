package rpc

import (
	"context"
	"slices"

	"google.golang.org/grpc"
)

// These make one interceptor of several, the first being the outermost: calls
// by socket and calls within the process pass the same one.

func chainUnaryServer(interceptors ...grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		for _, i := range slices.Backward(interceptors) {
			next := handler
			handler = func(ctx context.Context, req any) (any, error) { return i(ctx, req, info, next) }
		}
		return handler(ctx, req)
	}
}

func chainStreamServer(interceptors ...grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		for _, i := range slices.Backward(interceptors) {
			next := handler
			handler = func(srv any, stream grpc.ServerStream) error { return i(srv, stream, info, next) }
		}
		return handler(srv, stream)
	}
}

func chainUnaryClient(interceptors ...grpc.UnaryClientInterceptor) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		for _, i := range slices.Backward(interceptors) {
			next := invoker
			invoker = func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
				return i(ctx, method, req, reply, cc, next, opts...)
			}
		}
		return invoker(ctx, method, req, reply, cc, opts...)
	}
}
