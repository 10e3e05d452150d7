package httpapi

import (
	"context"
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

type secretKey struct{}

// withSecret is ctx of a caller whose signed token was exchanged for a secret.
func withSecret(ctx context.Context, secret string) context.Context {
	return context.WithValue(ctx, secretKey{}, secret)
}

// renewing is a service that is called again with another signed token when it
// does not believe the first any more: the user has changed since, by another
// role perhaps. Whoever has lost a right so loses it here at once, and whoever
// has gained one need not sign in again.
type renewing struct {
	grpc.ClientConnInterface
	auth *authenticator
}

// Invoke makes a call. A service refuses a token before it does anything.
func (c renewing) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	secret, ok := ctx.Value(secretKey{}).(string)
	for n := 0; ok && n < renewals && c.mayHelp(err, secret); n++ {
		c.auth.forget(secret)
		token, exchangeErr := c.auth.exchange(ctx, secret)
		if exchangeErr != nil {
			return exchangeErr
		}
		md, _ := metadata.FromOutgoingContext(ctx)
		md = md.Copy()
		md.Set("authorization", "Bearer "+token)
		err = c.ClientConnInterface.Invoke(metadata.NewOutgoingContext(ctx, md), method, args, reply, opts...)
	}
	return err //nolint:wrapcheck // the service's own
}

// mayHelp says of an error whether another token may help.
func (c renewing) mayHelp(err error, secret string) bool {
	e, ok := apierr.From(apierr.FromCall(err))
	if !ok {
		return false
	}
	switch e.Reason {
	case authz.ReasonTokenStale:
		return true
	case authz.ReasonRoleNotAllowed:
		return c.auth.age(secret) >= newEnough
	}
	return false
}
