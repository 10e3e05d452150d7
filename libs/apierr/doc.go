// Package apierr is how Gatehouse says no: an error that a caller may read.
//
// An [Error] has a gRPC code, a reason in UPPER_SNAKE that programs branch on,
// a text that people read, and, kept to ourselves, the cause. [Status] turns
// any error into the gRPC status that leaves the service:
//
//	apierr, anywhere in the chain → its own code and text, with ErrorInfo
//	                                (domain gatehouse.dev), BadRequest,
//	                                PreconditionFailure and RetryInfo
//	context ended                 → CANCELLED or DEADLINE_EXCEEDED
//	another service did not answer → UNAVAILABLE
//	anything else                 → INTERNAL "internal error"
//
// It guarantees that no text of a cause, of a wrapping or of an unknown error
// ever gets into a status. It does not log, and does not decide what is worth
// a log line.
//
// An Error is a value that nobody changes: With, Wrap and the like return a
// copy, so one may be declared once and returned many times.
package apierr
