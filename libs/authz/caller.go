package authz

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/scope"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// Caller is who calls, as their verified token says.
type Caller struct {
	// Subject is the user's id, or "client:<name>" for a service.
	Subject string
	// UserID is the user's id; the nil id for a service.
	UserID uuid.UUID
	// OrganizationID is the organization whose rows the caller may see; the
	// nil id for a service that acts for none in particular.
	OrganizationID uuid.UUID
	// EnvironmentID is the environment in which the role is held; the nil id if
	// it is held in the whole organization.
	EnvironmentID uuid.UUID
	// Role is what the user may do in Gatehouse, or CALLER_SERVICE.
	Role authzv1.Caller
	// Name and Email are for histories and may be empty.
	Name, Email string
	// ReadOnly callers reach only methods without side effects.
	ReadOnly bool
	// Scopes are what the token is narrowed to, with spaces between; empty: all that
	// the role may do.
	Scopes string
	// CredentialID is the id of the session or API token that the token was
	// exchanged for; the nil id if there is none, as for a service.
	CredentialID uuid.UUID
	// APIToken says that the credential is an API token, not a session.
	APIToken bool
	// AuthTime is when the user has proved who they are, strongly enough for what
	// asks for a recent proof; zero if they have not.
	AuthTime time.Time
	// UserVersion is the version of the user that the token was made by: one
	// that is known to be older than the user is not accepted any more.
	UserVersion int64
}

// clientPrefix begins the subject of a service.
const clientPrefix = "client:"

// IsService tells a service from a user.
func (c Caller) IsService() bool { return c.Role == authzv1.Caller_CALLER_SERVICE }

// Scope is where the caller's role is held: whose rows the caller may see.
func (c Caller) Scope() scope.Scope {
	return scope.Scope{OrganizationID: c.OrganizationID, EnvironmentID: c.EnvironmentID}
}

// String names the caller without e-mail address and token.
func (c Caller) String() string { return c.Subject + " (" + RoleName(c.Role) + ")" }

// GoString keeps the token out of %#v.
func (c Caller) GoString() string { return "authz.Caller{" + c.String() + "}" }

// LogValue keeps name, e-mail address and token out of logs.
func (c Caller) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("subject", c.Subject),
		slog.String("organization_id", c.OrganizationID.String()),
		slog.String("environment_id", c.EnvironmentID.String()),
		slog.String("role", RoleName(c.Role)),
	)
}

type callerKey struct{}

type callersKey struct{}

// WithCaller returns a context in which c calls. Interceptors use it; so do
// tests of what lies behind them.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// WithCallers is ctx for what is done at once for the callers of several
// contexts.
func WithCallers(ctx context.Context, of ...context.Context) context.Context {
	var callers []Caller
	for _, one := range of {
		callers = append(callers, Callers(one)...)
	}
	return context.WithValue(ctx, callersKey{}, callers)
}

// Callers are those for whom something is done: those of [WithCallers], or else
// the one of [WithCaller], if any.
func Callers(ctx context.Context) []Caller {
	if several, ok := ctx.Value(callersKey{}).([]Caller); ok {
		return several
	}
	if c, ok := From(ctx); ok {
		return []Caller{c}
	}
	return nil
}

// From returns who calls; false in a public method called without a valid
// token, and outside of a call.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// Must returns who calls. It panics if nobody does, which behind the
// interceptors can happen in public methods only.
func Must(ctx context.Context) Caller {
	c, ok := From(ctx)
	if !ok {
		panic("authz: no caller in this context")
	}
	return c
}

// RoleName is the name of a role in tokens and in the API: "it_admin" for
// CALLER_IT_ADMIN.
func RoleName(r authzv1.Caller) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "CALLER_"))
}

// ParseRole reads what [RoleName] returned, of those roles that a caller can
// have: not "public" and not "unspecified".
func ParseRole(name string) (authzv1.Caller, error) {
	for n := range authzv1.Caller_name {
		r := authzv1.Caller(n)
		if r > authzv1.Caller_CALLER_PUBLIC && RoleName(r) == name {
			return r, nil
		}
	}
	return authzv1.Caller_CALLER_UNSPECIFIED, fmt.Errorf("unknown role %q", name)
}
