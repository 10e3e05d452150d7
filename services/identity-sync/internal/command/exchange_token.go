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
	begin, read := c.db.AsSystemRead, store.GetSession
	if kind == secret.APIToken {
		begin, read = c.db.AsSystem, store.UseAPIToken
	}
	var out Credential
	err := begin(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if kind == secret.APIToken {
			tx.Relaxed() // the use may be recorded again
		}
		found, err := read(ctx, tx, hash[:], c.clock.Now())
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
		}
		return nil
	})
	return out, err
}
