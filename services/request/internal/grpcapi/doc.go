// Package grpcapi is request's gRPC API: it translates a call into one command,
// and its result into the answer. Who may call is declared in the protos and
// enforced before.
package grpcapi
