package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
)

// renewals is how often one call gets another signed token. One exchange may
// have begun before the change that a service knows of, two may not.
const renewals = 2

// newEnough is the age up to which a token is not made anew for the sake of a
// role that it lacks.
const newEnough = time.Second

type exchangedKey struct{}

// exchanged is a secret and the tokens that it was exchanged for.
type exchanged struct {
	secret string
	tokens signed
}

// withTokens is ctx of a caller whose secret was exchanged for signed tokens.
func withTokens(ctx context.Context, secret string, tokens signed) context.Context {
	return context.WithValue(ctx, exchangedKey{}, exchanged{secret, tokens})
}

// hasToken says of a request that has passed [authenticator.wrap] whether a signed
// token goes along with it.
func hasToken(r *http.Request) bool {
	_, ok := r.Context().Value(exchangedKey{}).(exchanged)
	return ok || r.Header.Get("Authorization") != ""
}

// bearing is ctx of a call to the service with the caller's token for it. The service
// is told for which reasons of a refusal it will be called again.
func bearing(ctx context.Context, tokens signed, service string, again []string) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	if md == nil {
		md = metadata.MD{}
	}
	md.Set("authorization", "Bearer "+tokens[service])
	if len(again) > 0 {
		authz.SetFollowUp(md, again...)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// renewing is a service that is called with the caller's token for it, and again
// with another when it does not believe the first any more: the user has changed
// since, by another role perhaps. Whoever has lost a right so loses it here at
// once, and whoever has gained one need not sign in again.
type renewing struct {
	grpc.ClientConnInterface
	service string // as tokens name it
	auth    *authenticator
}

// Invoke makes a call. A service refuses a token before it does anything. Of a call
// that was refused and is made again, the service does not write the refusal down.
func (c renewing) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	caller, ok := ctx.Value(exchangedKey{}).(exchanged)
	if !ok {
		return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...) //nolint:wrapcheck // the service's own
	}
	again := c.helped(ctx, caller.secret)
	err := c.ClientConnInterface.Invoke(bearing(ctx, caller.tokens, c.service, again), method, args, reply, opts...)
	for n := 1; len(again) > 0 && mayHelp(err, again); n++ {
		c.auth.forget(caller.secret)
		tokens, exchangeErr := c.auth.exchange(ctx, caller.secret)
		if exchangeErr != nil {
			return exchangeErr
		}
		if again = nil; n < renewals {
			again = c.helped(ctx, caller.secret)
		}
		err = c.ClientConnInterface.Invoke(bearing(ctx, tokens, c.service, again), method, args, reply, opts...)
	}
	return err //nolint:wrapcheck // the service's own
}

// NewStream makes a call that streams, with the caller's token for the service.
func (c renewing) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if caller, ok := ctx.Value(exchangedKey{}).(exchanged); ok {
		ctx = bearing(ctx, caller.tokens, c.service, nil)
	}
	return c.ClientConnInterface.NewStream(ctx, desc, method, opts...) //nolint:wrapcheck // the service's own
}

var (
	staleHelped = []string{authz.ReasonTokenStale}
	oldHelped   = []string{authz.ReasonTokenStale, authz.ReasonRoleNotAllowed}
)

// helped are the reasons of a refusal where another token may help.
func (c renewing) helped(ctx context.Context, secret string) []string {
	if c.auth.age(ctx, secret) >= newEnough {
		return oldHelped
	}
	return staleHelped
}

// mayHelp says of an error whether another token may help, for one of the reasons.
func mayHelp(err error, reasons []string) bool {
	e, ok := apierr.From(apierr.FromCall(err))
	return ok && slices.Contains(reasons, e.Reason)
}

// forwarding is a service that is told, with each call, which address the client has.
type forwarding struct{ grpc.ClientConnInterface }

// Invoke makes a call.
func (c forwarding) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.ClientConnInterface.Invoke(withClient(ctx), method, args, reply, opts...) //nolint:wrapcheck // the service's own
}

// NewStream makes a call that streams.
func (c forwarding) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConnInterface.NewStream(withClient(ctx), desc, method, opts...) //nolint:wrapcheck // the service's own
}

func withClient(ctx context.Context) context.Context {
	o, _ := ctx.Value(outsideKey{}).(outside)
	return authz.WithForwarded(ctx, o.address)
}
