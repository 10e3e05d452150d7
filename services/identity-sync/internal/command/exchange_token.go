package command

import (
	"context"
	"time"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Credential is a valid API token or session, and whose it is.
type Credential struct {
	Caller     authz.Caller
	ExpireTime time.Time
}

// Credential gives whose an API token or session is, or [ErrTokenInvalid] if it
// has ended, or its user may not act now.
func (c *Commands) Credential(ctx context.Context, kind secret.Kind, hash secret.Hash) (Credential, error) {
	var out Credential
	err := c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed() // the use may be recorded again
		now := c.clock.Now()
		var found store.Credential
		var err error
		if kind == secret.APIToken {
			found, err = store.UseAPIToken(ctx, tx, hash[:], now)
		} else {
			found, err = store.UseSession(ctx, tx, hash[:], now, now.Add(-c.sessions.Idle))
		}
		if err != nil {
			return orNotFound(err, ErrTokenInvalid)
		}
		role, err := authz.ParseRole(found.Role)
		if err != nil {
			return err
		}
		out.ExpireTime = found.ExpireTime
		out.Caller = authz.Caller{
			CredentialID: found.ID, UserVersion: found.UserVersion, ReadOnly: found.ReadOnly, UserID: found.UserID, OrganizationID: found.OrganizationID,
			EnvironmentID: found.EnvironmentID, Role: role, Name: found.Name, Email: found.Email,
			APIToken: kind == secret.APIToken, AuthTime: proved(found.Method, found.AuthTime, now),
		}
		return nil
	})
	return out, err
}
