package command

import (
	"context"
	"errors"
	"time"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/store"
)

// sealEvery is how often credentials are looked through for such as an older key has
// sealed: another replica may still seal with it.
const sealEvery = time.Hour

// RunSealing seals the credentials that an older key has sealed with the present one,
// until ctx ends.
func (n *Integrations) RunSealing(ctx context.Context) error {
	for {
		again, failed, err := n.reseal(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			n.cfg.Log.WarnContext(ctx, "Credentials could not all be sealed again, older keys must stay", "error", err)
		case failed > 0:
			n.cfg.Log.ErrorContext(ctx, "Credentials are sealed with a key that is not known", "count", failed)
		case again > 0:
			n.cfg.Log.InfoContext(ctx, "Credentials were sealed again, older keys can go", "count", again)
		}
		pause := sealEvery
		if err != nil {
			pause = time.Minute
		}
		if !backoff.Wait(ctx, pause) {
			return nil
		}
	}
}

// reseal says how many credentials were sealed again, and how many no key opens. One
// that fails keeps no other from it.
func (n *Integrations) reseal(ctx context.Context) (again, failed int, err error) {
	var list []store.SealedSecret
	err = n.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		list, err = store.SealedSecrets(ctx, tx)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	for _, s := range list {
		if n.cfg.Box.Current(s.Secret) {
			continue
		}
		plain, closed := n.cfg.Box.Open(s.Secret, s.ID[:])
		if closed != nil {
			failed++
			continue
		}
		one := n.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return store.Reseal(ctx, tx, s, n.cfg.Box.Seal(plain, s.ID[:]))
		})
		if one != nil {
			err = errors.Join(err, one)
			continue
		}
		again++
	}
	return again, failed, err
}
