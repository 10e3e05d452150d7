package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// keepAdmin refuses to take the last active admin away.
func (t *transaction) keepAdmin(ctx context.Context, user uuid.UUID, o lifecycle.Outcome) error {
	if !o.LosesAdmin() {
		return nil
	}
	others, err := store.OtherAdmins(ctx, t.Tx, t.organization, user)
	if err != nil {
		return err
	}
	return lifecycle.KeepAdmin(o, others)
}

// SetRole changes what a user may do in Gatehouse, and in which environment;
// empty is all that the user belongs to. A program that gains a role loses the API
// tokens that were made before, by who may not make them any more; so does one whose
// token was made by an admin who is one no longer.
func (c *Commands) SetRole(ctx context.Context, caller authz.Caller, user uuid.UUID, role lifecycle.Role, environmentID string) (u store.User, err error) {
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if u, err = store.LockUser(ctx, tx.Tx, user); err != nil {
			return orNotFound(err, errUserNotFound)
		}
		if environmentID != "" {
			if err := tx.checkEnvironment(ctx, "role_environment_id", environmentID); err != nil {
				return err
			}
		}
		o, err := lifecycle.SetRole(u.User, role, environmentID)
		if err != nil || !o.Changed() {
			return err
		}
		if err := tx.keepAdmin(ctx, user, o); err != nil {
			return err
		}
		u.User, u.UpdateTime = o.User, tx.now
		tx.emitUser(u, o)
		if err := store.UpdateUserState(ctx, tx.Tx, u); err != nil {
			return err
		}
		if o.GainsRole() && u.AccountableUserID != "" {
			// Whoever answers for a program has made tokens of a member.
			revoked, err := store.RevokeAPITokensOfUser(ctx, tx.Tx, user, tx.now)
			if err != nil {
				return err
			}
			tx.emitRevoked(revoked)
		}
		if err := tx.revokeOfFormerAdmin(ctx, user, o); err != nil {
			return err
		}
		// A role keeps who is suspended from being removed for it.
		return tx.scheduleRemoval(ctx, u, o.Before.State)
	})
	return u, err
}
