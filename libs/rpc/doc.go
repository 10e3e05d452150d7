// Package rpc makes gRPC servers and connections that all behave alike.
//
// A call passes, from the outside in:
//
//	telemetry   a span that continues the caller's trace, and metrics
//	boundary    a panic becomes an error; the error becomes the status that
//	            leaves (apierr), with the trace id if the fault is ours; one
//	            log line for a failed call, never its payload
//	deadline    10 s for a unary call that brought none
//	authz       may this caller call this method; who may not is told of, as is
//	            whom the handler refuses
//	validation  the protovalidate rules of the request, of every message of a
//	            stream
//	handler
//
// It guarantees that no error's own text leaves the service, that a handler
// only sees requests that satisfy their rules, from callers who may send them,
// and that a message larger than 4 MiB is refused with RESOURCE_EXHAUSTED. That
// refusal, and that of bytes that are no message, are sent by gRPC itself: they
// carry no reason, and on unary calls leave no log line.
//
// A connection has a deadline for every unary call, forwards the caller's
// token, spreads calls over all addresses of its target, and repeats a call
// answered with UNAVAILABLE if the method's idempotency_level says that it may
// be repeated.
//
// Streams have no default deadline. They are told to end when the server
// stops: their context is cancelled and their client gets UNAVAILABLE, reason
// SERVER_STOPPING.
//
// Services that share a process call each other by address through a [Network],
// without sockets and with everything above.
//
// It does not listen, does not register health or reflection (package service
// does), and does not turn the statuses of called services into errors for our
// own callers (apierr.FromCall does).
package rpc
