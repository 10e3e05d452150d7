package scim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
)

// The scimType values of RFC 7644, table 9.
const (
	invalidFilter = "invalidFilter"
	uniqueness    = "uniqueness"
	mutability    = "mutability"
	invalidSyntax = "invalidSyntax"
	invalidPath   = "invalidPath"
	noTarget      = "noTarget"
	invalidValue  = "invalidValue"
)

// The scimType values of RFC 9865.
const (
	invalidCursor = "invalidCursor"
	expiredCursor = "expiredCursor"
	invalidCount  = "invalidCount"
)

// failure is an error that the client gets to read.
type failure struct {
	status     int
	scimType   string
	detail     string
	retryAfter time.Duration
	allow      string // of a 405
	badToken   bool   // of a 401: there was a token, and it is not good
}

func (f *failure) Error() string {
	if f.scimType == "" {
		return fmt.Sprintf("scim %d: %s", f.status, f.detail)
	}
	return fmt.Sprintf("scim %d %s: %s", f.status, f.scimType, f.detail)
}

func bad(scimType, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, scimType: scimType, detail: fmt.Sprintf(format, args...)}
}

func fail(status int, format string, args ...any) *failure {
	return &failure{status: status, detail: fmt.Sprintf(format, args...)}
}

// asFailure says what the client gets to read of any error. known is false for
// those that somebody has to look at.
func asFailure(err error) (f *failure, known bool) {
	if errors.As(err, &f) {
		return f, true
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fail(http.StatusRequestEntityTooLarge, "the request body is larger than %d bytes", tooLarge.Limit), true
	}
	if e, ok := apierr.From(err); ok {
		return fromAPI(e)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &failure{status: http.StatusServiceUnavailable, detail: "the request took too long", retryAfter: time.Second}, true
	}
	return fail(http.StatusInternalServerError, "internal error"), false
}

func fromAPI(e *apierr.Error) (*failure, bool) {
	f := &failure{detail: e.Message, retryAfter: e.RetryAfter}
	switch e.Code {
	case codes.Unauthenticated:
		f.status, f.badToken = http.StatusUnauthorized, true
	case codes.PermissionDenied:
		f.status = http.StatusForbidden
	case codes.NotFound:
		f.status = http.StatusNotFound
	case codes.AlreadyExists:
		f.status, f.scimType = http.StatusConflict, uniqueness
	case codes.FailedPrecondition, codes.Aborted:
		f.status = http.StatusConflict
	case codes.InvalidArgument, codes.OutOfRange:
		f.status, f.scimType = http.StatusBadRequest, invalidValue
	case codes.ResourceExhausted:
		f.status, f.retryAfter = http.StatusTooManyRequests, max(f.retryAfter, time.Second)
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		f.status, f.retryAfter = http.StatusServiceUnavailable, max(f.retryAfter, time.Second)
	default:
		return fail(http.StatusInternalServerError, "internal error"), false
	}
	return f, true
}

// body is the failure as RFC 7644, section 3.12 has it.
func (f *failure) body() map[string]any {
	m := map[string]any{
		"schemas": []string{urnError},
		"status":  strconv.Itoa(f.status),
		"detail":  f.detail,
	}
	if f.scimType != "" {
		m["scimType"] = f.scimType
	}
	return m
}
