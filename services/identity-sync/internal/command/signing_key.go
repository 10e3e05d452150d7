package command

import (
	"context"
	"time"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// SigningKey is a key for signed tokens, sealed.
type SigningKey = store.SigningKey

// SigningKeys gives the keys that have not ended, in the order of their use.
func (c *Commands) SigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	err = c.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		keys, err = store.SigningKeys(ctx, tx, c.clock.Now())
		return err
	})
	return keys, err
}

// AddSigningKey asks next, with the keys there are, for one more, and adds it;
// replicas take turns. next returns nil if none is needed. The others end linger
// after the new one is used. It gives all keys.
func (c *Commands) AddSigningKey(ctx context.Context, linger time.Duration, next func([]SigningKey) (*SigningKey, error)) (keys []SigningKey, err error) {
	err = c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if err := store.LockSigningKeys(ctx, tx); err != nil {
			return err
		}
		now := c.clock.Now()
		if keys, err = store.SigningKeys(ctx, tx, now); err != nil {
			return err
		}
		k, err := next(keys)
		if err != nil || k == nil {
			return err
		}
		keys = append(keys, *k)
		return store.AddSigningKey(ctx, tx, *k, k.UseTime.Add(linger), now)
	})
	return keys, err
}

// ResealSigningKey has a signing key sealed as given, if it is still as it was.
func (c *Commands) ResealSigningKey(ctx context.Context, k SigningKey, sealed []byte) error {
	return c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return store.ResealSigningKey(ctx, tx, k, sealed)
	})
}
