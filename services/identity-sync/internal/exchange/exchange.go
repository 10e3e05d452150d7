// Package exchange turns a long-lived secret, an API token or a session token,
// into the signed token of a minute that services accept.
//
// It guarantees that a secret which has ended, or whose user may not act, gets
// nothing, and that nobody learns why; and that the signed token does not
// outlive the secret.
package exchange

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/ratelimit"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	"gatehouse.dev/services/identity-sync/internal/command"
	"gatehouse.dev/services/identity-sync/internal/keyring"
	"gatehouse.dev/services/identity-sync/internal/secret"
)

// Lifetime is how long a signed token lives.
const Lifetime = time.Minute

// Longer names and addresses are cut: a token is sent with every call.
const (
	maxName  = 200
	maxEmail = 320
)

// Exchanger exchanges secrets.
type Exchanger struct {
	Commands *command.Commands
	Ring     *keyring.Ring
	Clock    clock.Clock
	// Clients are the other services: the secret of each, by the id of its
	// client.
	Clients map[string]string
	// Tokens counts exchanges of good API tokens and sessions, by organization. Nil:
	// they are not limited.
	Tokens *ratelimit.Meter
}

// Exchange returns a signed token for each of the audiences, for an API token or a
// session token, and when the first of them ends. The error for whatever is not
// good is [command.ErrTokenInvalid].
func (e Exchanger) Exchange(ctx context.Context, token string, audiences []string, background bool) (signed []string, expires time.Time, err error) {
	kind, hash, ok := secret.Parse(token)
	if !ok || (kind != secret.APIToken && kind != secret.Session) {
		return nil, time.Time{}, command.ErrTokenInvalid
	}
	return e.exchange(ctx, kind, hash, audiences, background, func(*authz.Caller) error { return nil })
}

// Client is a client that shows its id and its secret: a service, or the id of an API
// token and the token.
type Client struct {
	ID, Secret string
	// Audience is the service that it asks a signed token for.
	Audience string
	// Scopes are those it asks for; none: all that it may have.
	Scopes []string
}

// Granted is a signed token for a client.
type Granted struct {
	Token      string
	ExpireTime time.Time
	// Scopes are those that it has; none if it is a service's.
	Scopes []string
}

// ErrScopeInvalid is the error of a client that asks for a scope which it may not have.
var ErrScopeInvalid = errors.New("a scope is unknown, malformed, or more than the client has")

// ExchangeClient is Exchange for a client. [ErrScopeInvalid] is an error of one that is
// good.
func (e Exchanger) ExchangeClient(ctx context.Context, in Client) (Granted, error) {
	if _, ok := e.Clients[in.ID]; ok {
		signed, expires, err := e.ExchangeService(ctx, in.ID, in.Secret, in.Audience)
		switch {
		case errors.Is(err, ErrClientInvalid):
			e.Commands.RefusedUnknown(ctx, ErrClientInvalid)
		case err == nil && len(in.Scopes) > 0:
			return Granted{}, ErrScopeInvalid
		}
		return Granted{Token: signed, ExpireTime: expires}, err
	}
	kind, hash, ok := secret.Parse(in.Secret)
	client, err := uuid.Parse(in.ID)
	if !ok || err != nil || kind != secret.APIToken || client == uuid.Nil {
		e.Commands.RefusedUnknown(ctx, command.ErrTokenInvalid)
		return Granted{}, command.ErrTokenInvalid
	}
	var scopes []string
	all, expires, err := e.exchange(ctx, kind, hash, []string{in.Audience}, false, func(c *authz.Caller) (err error) {
		if client != c.CredentialID {
			return e.Commands.Denied(ctx, *c, command.ErrTokenInvalid.Reason, command.ErrTokenInvalid)
		}
		if scopes, err = narrow(c, in.Scopes); err != nil {
			return e.Commands.Denied(ctx, *c, authz.ReasonScopeMissing, err)
		}
		return nil
	})
	if err != nil {
		return Granted{}, err
	}
	return Granted{Token: all[0], ExpireTime: expires, Scopes: scopes}, nil
}

// narrow narrows a caller to the scopes that are asked for, if any are, and gives those
// that the caller then has.
func narrow(c *authz.Caller, asked []string) ([]string, error) {
	held := authz.Scopes()
	if c.Scopes != "" {
		held = strings.Split(c.Scopes, " ")
	}
	if c.ReadOnly {
		held = authz.ReadingScopes(held)
	}
	if len(asked) == 0 {
		return held, nil
	}
	for _, scope := range asked {
		if !authz.ScopesInclude(held, scope) {
			return nil, ErrScopeInvalid
		}
	}
	asked = slices.Compact(slices.Sorted(slices.Values(asked)))
	c.Scopes = strings.Join(asked, " ")
	return asked, nil
}

// ExchangeService returns a signed token for a service that shows the id and
// the secret of its client. The error for whatever is not good is
// [ErrClientInvalid].
func (e Exchanger) ExchangeService(ctx context.Context, id, clientSecret, audience string) (signed string, expires time.Time, err error) {
	// Of an unknown client too, something is compared.
	want, ok := e.Clients[id]
	have, expected := sha256.Sum256([]byte(clientSecret)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(have[:], expected[:]) != 1 || !ok || want == "" {
		return "", time.Time{}, ErrClientInvalid
	}
	return e.Ring.Mint(ctx, authz.Caller{Subject: "client:" + id, Role: authzv1.Caller_CALLER_SERVICE}, audience, Lifetime)
}

// ErrClientInvalid is the one error of a client that is invalid, whatever the reason.
var ErrClientInvalid = apierr.Unauthenticated("CLIENT_INVALID", "the client is not valid")

// ParseClients reads the services' clients as a setting has them: id=secret,
// separated by commas. A secret has 32 characters or more.
func ParseClients(text string) (map[string]string, error) {
	clients := map[string]string{}
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		id, clientSecret, ok := strings.Cut(one, "=")
		if !ok || id == "" || clients[id] != "" {
			return nil, errors.New("not of the form id=secret,id=secret with each id once")
		}
		if len(clientSecret) < 32 {
			return nil, fmt.Errorf("the secret of client %s has under 32 characters", id)
		}
		clients[id] = clientSecret
	}
	return clients, nil
}

// exchange exchanges a secret whose caller is as check wants; check may narrow it.
func (e Exchanger) exchange(ctx context.Context, kind secret.Kind, hash secret.Hash, audiences []string, background bool, check func(*authz.Caller) error) (signed []string, expires time.Time, err error) {
	c, err := e.Commands.Credential(ctx, kind, hash, background)
	if err == nil {
		err = check(&c.Caller)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	if e.Tokens != nil {
		if state, ok := e.Tokens.Take(c.Caller.OrganizationID.String()); !ok {
			return nil, time.Time{}, state.Exceeded()
		}
	}
	lifetime := min(Lifetime, c.ExpireTime.Sub(e.Clock.Now()))
	if lifetime < time.Second {
		return nil, time.Time{}, e.Commands.Refused(ctx, kind, hash)
	}
	c.Caller.Name, c.Caller.Email = cut(c.Caller.Name, maxName), cut(c.Caller.Email, maxEmail)
	for _, audience := range audiences {
		token, ends, err := e.Ring.Mint(ctx, c.Caller, audience, lifetime)
		if err != nil {
			return nil, time.Time{}, err
		}
		if signed = append(signed, token); expires.IsZero() || ends.Before(expires) {
			expires = ends
		}
	}
	return signed, expires, nil
}

func cut(s string, most int) string {
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i]
		}
	}
	return s
}
