package authz

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
)

// Denial is a call that was refused: the caller may not make it, or their credential
// is not good (any more).
type Denial struct {
	// Caller is who called, as a token says that was truly signed; the zero Caller if
	// nothing says so.
	Caller Caller
	// Method is the full name of the RPC.
	Method string
	// Reason is that of the error, or [ReasonOtherService].
	Reason string
}

// ReasonOtherService is the reason of a denial of a token that is for another
// service; the caller is told TOKEN_INVALID.
const ReasonOtherService = "TOKEN_OF_OTHER_SERVICE"

// DeniedFunc is told of denials, in the context of the call. The caller waits for it.
type DeniedFunc func(ctx context.Context, d Denial)

// tell tells of a failed call if it was refused. What was not found is no denial, as
// it must look like what does not exist.
func (f DeniedFunc) tell(ctx context.Context, method string, c Caller, err error) {
	e, ok := apierr.From(err)
	if f == nil || !ok || e.Code != codes.PermissionDenied && e.Code != codes.Unauthenticated {
		return
	}
	var told toldError
	if errors.As(err, &told) || followedUp(ctx, e.Reason) {
		return
	}
	reason := e.Reason
	if errors.Is(err, errOtherService) {
		reason = ReasonOtherService
	}
	f(ctx, Denial{Caller: c, Method: strings.TrimPrefix(method, "/"), Reason: reason})
}

// Told is err of a call whose refusal somebody has been told of who knows better who
// called: it is not told of again.
func Told(err error) error { return toldError{err} }

type toldError struct{ error }

func (e toldError) Unwrap() error { return e.error }
