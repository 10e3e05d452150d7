package command

import (
	"context"
	"errors"
	"strings"
	"time"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/denied"
	"gatehouse.dev/libs/event"
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
// has ended, or its user may not act now. In the background a session is not used by it.
func (c *Commands) Credential(ctx context.Context, kind secret.Kind, hash secret.Hash, background bool) (Credential, error) {
	var out Credential
	err := c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed() // the use may be recorded again
		now := c.clock.Now()
		var found store.Credential
		var err error
		if kind == secret.APIToken {
			found, err = store.UseAPIToken(ctx, tx, hash[:], now)
		} else {
			found, err = store.UseSession(ctx, tx, hash[:], now, now.Add(-c.sessions.Idle), background)
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
			CredentialID: found.ID, UserVersion: found.UserVersion, ReadOnly: found.ReadOnly, Scopes: strings.Join(found.Scopes, " "), UserID: found.UserID, OrganizationID: found.OrganizationID,
			EnvironmentID: found.EnvironmentID, Role: role, Name: found.Name, Email: found.Email,
			APIToken: kind == secret.APIToken, AuthTime: proved(found.Method, found.AuthTime, now),
		}
		return nil
	})
	if errors.Is(err, ErrTokenInvalid) {
		err = c.Refused(ctx, kind, hash)
	}
	return out, err
}

// Refused writes down that somebody came with a credential that is not good: whose it
// is or was, if that is known. It returns the error for the caller, who does not learn
// why.
func (c *Commands) Refused(ctx context.Context, kind secret.Kind, hash secret.Hash) error {
	var was store.Refused
	err := c.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		switch kind {
		case secret.APIToken:
			was, err = store.RefusedAPIToken(ctx, tx, hash[:])
		case secret.Source:
			was, err = store.RefusedSource(ctx, tx, hash[:])
		default:
			was, err = store.RefusedSession(ctx, tx, hash[:])
		}
		return err
	})
	if err != nil {
		c.RefusedUnknown(ctx, ErrTokenInvalid)
		return authz.Told(ErrTokenInvalid)
	}
	call := denied.Call{
		Organization: was.OrganizationID, Environment: was.EnvironmentID, Credential: was.ID, Reason: was.Reason,
		Method: authz.CalledMethod(ctx), Address: authz.ClientAddress(ctx),
	}
	if kind == secret.Source {
		call.Actor = event.SourceActor(was.HolderID, was.HolderName)
	} else {
		call.Actor, call.User = event.UserActor(was.HolderID.String(), was.HolderName), was.HolderID
	}
	c.denied.Note(ctx, call)
	return authz.Told(ErrTokenInvalid)
}

// Denied writes down that somebody whose credential is good was refused. It returns err.
func (c *Commands) Denied(ctx context.Context, caller authz.Caller, reason string, err error) error {
	c.denied.Denied(ctx, authz.Denial{Caller: caller, Method: authz.CalledMethod(ctx), Reason: reason})
	return err
}

// RefusedUnknown counts and logs that somebody came with a credential that nobody is
// known to have had. Calls by gRPC are counted as they leave.
func (c *Commands) RefusedUnknown(ctx context.Context, why *apierr.Error) {
	c.denied.Unknown(ctx, why.Reason)
}
