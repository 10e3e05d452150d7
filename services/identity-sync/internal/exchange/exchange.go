// Package exchange turns a long-lived secret, an API token or a session token,
// into the signed token of a few minutes that services accept.
//
// It guarantees that a secret which has ended, or whose user may not act, gets
// nothing, and that nobody learns why; and that the signed token does not
// outlive the secret.
package exchange

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/services/identity-sync/internal/keyring"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Lifetime is how long a signed token lives.
const Lifetime = 5 * time.Minute

// Longer names and addresses are cut: a token is sent with every call.
const (
	maxName  = 200
	maxEmail = 320
)

// Exchanger exchanges secrets.
type Exchanger struct {
	Store *store.Store
	Ring  *keyring.Ring
	Clock clock.Clock
}

// Exchange returns a signed token for an API token or a session token, and when
// it ends. The error for whatever is not good is [store.ErrTokenInvalid].
func (e Exchanger) Exchange(ctx context.Context, token string) (signed string, expires time.Time, err error) {
	kind, hash, ok := secret.Parse(token)
	if !ok || (kind != secret.APIToken && kind != secret.Session) {
		return "", time.Time{}, store.ErrTokenInvalid
	}
	return e.exchange(ctx, kind, hash, uuid.Nil)
}

// ExchangeClient is Exchange for a client that shows the id of an API token and
// the token.
func (e Exchanger) ExchangeClient(ctx context.Context, id, token string) (signed string, expires time.Time, err error) {
	kind, hash, ok := secret.Parse(token)
	client, err := uuid.Parse(id)
	if !ok || err != nil || kind != secret.APIToken || client == uuid.Nil {
		return "", time.Time{}, store.ErrTokenInvalid
	}
	return e.exchange(ctx, kind, hash, client)
}

func (e Exchanger) exchange(ctx context.Context, kind secret.Kind, hash secret.Hash, id uuid.UUID) (string, time.Time, error) {
	c, err := e.Store.Credential(ctx, kind, hash)
	if err != nil {
		return "", time.Time{}, err
	}
	if id != uuid.Nil && id != c.Caller.CredentialID {
		return "", time.Time{}, store.ErrTokenInvalid
	}
	lifetime := min(Lifetime, c.ExpireTime.Sub(e.Clock.Now()))
	if lifetime < time.Second {
		return "", time.Time{}, store.ErrTokenInvalid
	}
	c.Caller.Name, c.Caller.Email = cut(c.Caller.Name, maxName), cut(c.Caller.Email, maxEmail)
	return e.Ring.Mint(ctx, c.Caller, lifetime)
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
