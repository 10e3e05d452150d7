package apierr

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Reasons of the statuses that no Error stands behind.
const (
	ReasonInternal    = "INTERNAL"
	ReasonCanceled    = "CANCELED"
	ReasonDeadline    = "DEADLINE_EXCEEDED"
	ReasonUnavailable = "SERVICE_UNAVAILABLE"
)

// Status returns the status to send for err. A nil err gives an OK status.
func Status(err error) *status.Status { return StatusWithTrace(err, "") }

// StatusWithTrace is Status with the id of the trace, if there is one, in the
// metadata as "trace_id" of everything that is the service's own fault, so
// that somebody who reports it can be helped.
func StatusWithTrace(err error, traceID string) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	e := public(err)
	if traceID != "" && serverFault(e.Code) {
		e = e.With("trace_id", traceID)
	}
	return e.GRPCStatus()
}

// public returns the Error that may be shown for err.
func public(err error) *Error {
	if e, ok := From(err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return New(codes.Canceled, ReasonCanceled, "the request was canceled")
	case errors.Is(err, context.DeadlineExceeded):
		return New(codes.DeadlineExceeded, ReasonDeadline, "the request took too long")
	}
	// A status that another service returned is not ours to pass on: what it
	// could not find is not what our caller asked for. Whether it was there at
	// all does concern our caller.
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		switch s.GRPCStatus().Code() {
		case codes.Canceled:
			return New(codes.Canceled, ReasonCanceled, "the request was canceled")
		case codes.DeadlineExceeded:
			return New(codes.DeadlineExceeded, ReasonDeadline, "the request took too long")
		case codes.Unavailable:
			return Unavailable(ReasonUnavailable, nil)
		}
	}
	return New(codes.Internal, ReasonInternal, "internal error")
}

// serverFault tells faults of the service from faults of the request.
func serverFault(c codes.Code) bool {
	switch c {
	case codes.Internal, codes.Unknown, codes.DataLoss, codes.Unavailable, codes.DeadlineExceeded:
		return true
	}
	return false
}

// GRPCStatus returns the status of the Error itself. It is what makes
// status.Code(err) answer rightly; servers use Status, which also stands
// wrapping.
func (e *Error) GRPCStatus() *status.Status {
	// An invalid UTF-8 byte that came in with a request would make the status
	// impossible to send.
	clean := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

	info := &errdetails.ErrorInfo{Reason: clean(e.Reason), Domain: Domain}
	if len(e.Metadata) > 0 {
		info.Metadata = make(map[string]string, len(e.Metadata))
		for k, v := range e.Metadata {
			info.Metadata[clean(k)] = clean(v)
		}
	}
	details := []protoadapt.MessageV1{info}
	if len(e.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: clean(f.Field), Reason: clean(f.Reason), Description: clean(f.Description),
			})
		}
		details = append(details, bad)
	}
	if e.Code == codes.FailedPrecondition {
		details = append(details, &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{
			Type: clean(e.Reason), Subject: clean(e.Metadata["subject"]), Description: clean(e.Message),
		}}})
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	st := status.New(e.Code, clean(e.Message))
	if full, err := st.WithDetails(details...); err == nil {
		return full
	}
	return st
}

// FromStatus reads what another Gatehouse service answered, so that a caller
// can branch on the reason, or pass a fault of the request on by returning the
// Error. A status in other words than Gatehouse's (from the transport, from a
// proxy) keeps its code only if it says that nobody answered in time, and
// never its text; it becomes Internal otherwise. The status is the cause. An
// OK status gives nil.
func FromStatus(st *status.Status) *Error {
	if st.Code() == codes.OK {
		return nil
	}
	e := &Error{Code: st.Code(), cause: st.Err()}
	ours := false
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				ours = true
				e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Fields = append(e.Fields, Field{Field: v.GetField(), Reason: v.GetReason(), Description: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	switch {
	case ours:
		e.Message = st.Message()
		return e
	case e.Code == codes.Unavailable:
		// From the transport: nobody answered.
		return Unavailable(ReasonUnavailable, e.cause)
	case e.Code == codes.DeadlineExceeded:
		return New(e.Code, ReasonDeadline, "the request took too long").Wrap(e.cause)
	case e.Code == codes.Canceled:
		return New(e.Code, ReasonCanceled, "the request was canceled").Wrap(e.cause)
	}
	// Not a Gatehouse service's own words: nothing in it is known to be public.
	return New(codes.Internal, ReasonInternal, "internal error").Wrap(e.cause)
}

// FromCall is FromStatus for the error of a gRPC call. An error that holds no
// status, and nil, are returned as they are.
func FromCall(err error) error {
	var s interface{ GRPCStatus() *status.Status }
	if err == nil || !errors.As(err, &s) {
		return err
	}
	if e := FromStatus(s.GRPCStatus()); e != nil {
		return e
	}
	return nil
}

// Retry returns when trying again may help, as err's Error says.
func Retry(err error) (time.Duration, bool) {
	e, ok := From(err)
	if !ok || e.RetryAfter <= 0 {
		return 0, false
	}
	return e.RetryAfter, true
}
