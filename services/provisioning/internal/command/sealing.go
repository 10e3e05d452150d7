package command

import (
	"context"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/services/provisioning/internal/store"
)

// RunSealing seals the credentials that are not sealed with their organization's key
// with it, until ctx ends.
func (n *Integrations) RunSealing(ctx context.Context) error {
	return secretbox.Kept{
		What: "integrations", Again: n.cfg.Keys.Again, Log: n.cfg.Log,
		List: func(ctx context.Context) (list []secretbox.Sealed, err error) {
			err = n.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
				list, err = store.SealedSecrets(ctx, tx)
				return err
			})
			return list, err
		},
		Save: func(ctx context.Context, was secretbox.Sealed, value []byte) error {
			return n.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error { return store.Reseal(ctx, tx, was, value) })
		},
	}.Reseal(ctx)
}
