// Package service runs a service: it serves gRPC and HTTP, works its tasks,
// says when it is ready, and stops in good order. A service's own code says
// what it is; how to run is here, once.
//
//	gRPC   what the service registers, and grpc.health.v1, which clients ask on
//	       the channel of their calls; with the interceptors of package rpc.
//	       Reflection only where a setting says so
//	HTTP   /healthz: the process lives.  /readyz: 200 or 503, and one word.
//	       What the service adds
//	inner  /healthz.  /readyz with every part, its state, since when, and why.
//	       /metrics.  By gRPC, without TLS: health and reflection
//
// The life of [Run]:
//
//	serving, not ready ◀──needed parts──▶ serving, ready
//	        │                                 │
//	        └────────┬────────────────────────┘
//	                 │ the context ends, or a task fails
//	                 ▼
//	stopping: not ready; streams are told to end; calls that run may finish
//	                 │ they have, or the grace is over
//	                 ▼
//	tasks are cancelled and waited for, for the same grace again
//
// A service's parts (its database, the bus, its tasks) are checked for as long
// as it runs. It is not ready while one that it always needs does not work, and
// ready but degraded while any other does not; [Needed] says which is which.
// /readyz, grpc.health.v1 and the metric gatehouse_part_up tell the same.
//
// It guarantees that Run returns only when nothing it started runs any more,
// but for what did not stop within the grace, which the error names; that the
// first task to fail stops all, and its error is the one returned; and that a
// task's panic is an error and no crash, since several services may share the
// process.
//
// [Main] is the main function of a service that has the process to itself:
// signals, environment, log, listeners. Nothing else here knows of any of
// these.
package service
