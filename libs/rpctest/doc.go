// Package rpctest puts a service under test behind a real gRPC server, with
// the interceptors it has in production, and lets the test call it as anybody.
// For tests only.
//
//	srv := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) { requestv1.RegisterRequestServiceServer(s, impl) })
//	client := requestv1.NewRequestServiceClient(rpctest.Conn(t, srv, rpctest.User(authzv1.Caller_CALLER_ADMIN)))
//
// A test of a whole service, which listens by itself and asks identity-sync for
// keys, uses [Tokens] alone: [Tokens.Serve] is identity-sync as far as keys go,
// and [Tokens.Dial] calls any address as anybody.
//
// Everything it starts ends with the test.
package rpctest
