package apierr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// Domain is the ErrorInfo domain of every reason.
const Domain = "gatehouse.dev"

// Error is an error that a caller may read.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is what programs branch on, in UPPER_SNAKE. Once published it
	// does not change.
	Reason string
	// Message is for people, in whole words; it names no internals.
	Message string
	// Metadata are further facts for programs, such as a limit. Keys are
	// lower-case.
	Metadata map[string]string
	// Fields says which fields of the request are wrong.
	Fields []Field
	// RetryAfter is when trying again may help; zero means that it is not
	// known to.
	RetryAfter time.Duration

	cause error
}

// Field is what is wrong with one field of a request.
type Field struct {
	// Field is the path in the request message, such as "items[2].app_id".
	Field string
	// Reason is what programs branch on, in UPPER_SNAKE.
	Reason string
	// Description is for people.
	Description string
}

// New returns an error with the code, the reason and a public text.
func New(code codes.Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// NotFound says that there is no such thing, or that the caller may not know
// of it.
func NotFound(reason, format string, args ...any) *Error {
	return New(codes.NotFound, reason, format, args...)
}

// InvalidField says that a field of the request is wrong. Add further fields
// with WithField.
func InvalidField(field, reason, format string, args ...any) *Error {
	e := New(codes.InvalidArgument, reason, format, args...)
	e.Fields = []Field{{Field: field, Reason: reason, Description: e.Message}}
	return e
}

// Exists says that the thing to create is there already.
func Exists(reason, format string, args ...any) *Error {
	return New(codes.AlreadyExists, reason, format, args...)
}

// Precondition says that the request is fine but the state of things forbids
// it; trying again helps only after the state has changed.
func Precondition(reason, format string, args ...any) *Error {
	return New(codes.FailedPrecondition, reason, format, args...)
}

// Denied says that this caller may not do it.
func Denied(reason, format string, args ...any) *Error {
	return New(codes.PermissionDenied, reason, format, args...)
}

// Unauthenticated says that the caller has not shown who they are.
func Unauthenticated(reason, format string, args ...any) *Error {
	return New(codes.Unauthenticated, reason, format, args...)
}

// Unavailable says that something the service needs is away, because of
// cause, and that the same request may be sent again after a second.
func Unavailable(reason string, cause error) *Error {
	e := New(codes.Unavailable, reason, "temporarily unavailable, please try again")
	e.RetryAfter = time.Second
	e.cause = cause
	return e
}

// With returns a copy with a fact for programs added.
func (e *Error) With(key, value string) *Error {
	c := e.clone()
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 1)
	}
	c.Metadata[key] = value
	return c
}

// WithField returns a copy that names one more wrong field.
func (e *Error) WithField(field, reason, format string, args ...any) *Error {
	c := e.clone()
	c.Fields = append(c.Fields, Field{Field: field, Reason: reason, Description: fmt.Sprintf(format, args...)})
	return c
}

// Wrap returns a copy with the cause, which is for logs only.
func (e *Error) Wrap(cause error) *Error {
	c := e.clone()
	c.cause = cause
	return c
}

// WithRetry returns a copy that says when trying again may help.
func (e *Error) WithRetry(after time.Duration) *Error {
	c := e.clone()
	c.RetryAfter = after
	return c
}

// Error is the text for logs: reason, message and cause.
func (e *Error) Error() string {
	s := e.Reason + ": " + e.Message
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an Error with the same code and reason.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Reason == e.Reason
}

func (e *Error) clone() *Error {
	c := *e
	c.Metadata = maps.Clone(e.Metadata)
	c.Fields = slices.Clone(e.Fields)
	return &c
}

// From returns the Error in err's chain.
func From(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok && e != nil
}

// HasReason reports whether err's chain has an Error with the reason.
func HasReason(err error, reason string) bool {
	e, ok := From(err)
	return ok && e.Reason == reason
}
