package command

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// DeleteUser has a user leave whom no source owns.
func (c *Commands) DeleteUser(ctx context.Context, caller authz.Caller, user uuid.UUID) (u store.User, err error) {
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if u, err = store.LockUser(ctx, tx.Tx, user); err != nil {
			return orNotFound(err, errUserNotFound)
		}
		if u.SourceID != "" {
			return errUserOfSource
		}
		u, err = tx.remove(ctx, u)
		return err
	})
	return u, err
}

// EndUser is the kind of due item that removes a service or an agent at its end.
const EndUser = "user_end"

// EndUsers removes services and agents whose end has come. It is the handler of
// EndUser.
func (c *Commands) EndUsers(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	return c.endEach(ctx, tx, items, func(ctx context.Context, t *transaction, key uuid.UUID) error {
		u, err := store.LockUserUnlessRemoved(ctx, tx, key)
		if errors.Is(err, store.ErrNotFound) || err == nil && (u.EndTime == nil || u.EndTime.After(t.now)) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = t.remove(ctx, u)
		return err
	})
}

// removeAccountedFor removes the services and agents that a user, who is
// suspended or leaves, is accountable for.
func (t *transaction) removeAccountedFor(ctx context.Context, user uuid.UUID) error {
	users, err := store.LockAccountedFor(ctx, t.Tx, user)
	if err != nil {
		return err
	}
	for _, u := range users {
		if _, err := t.remove(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a locked user: sessions, tokens and memberships end, and with
// them what the user is accountable for, and tokens made as an admin. It gives the user as they are then.
func (t *transaction) remove(ctx context.Context, u store.User) (store.User, error) {
	leave := lifecycle.Remove
	if t.reason == eventv1.UserRemovalReason_USER_REMOVAL_REASON_SUSPENDED_TOO_LONG {
		leave = lifecycle.TimeOut
	}
	o, err := leave(u.User)
	if err != nil {
		return u, err
	}
	if err := t.keepAdmin(ctx, u.ID, o); err != nil {
		return u, err
	}
	u.User, u.UpdateTime = o.User, t.now
	t.emitUser(u, o)
	t.reason = eventv1.UserRemovalReason_USER_REMOVAL_REASON_UNSPECIFIED // of nobody who leaves with them
	if err := store.UpdateUserState(ctx, t.Tx, u); err != nil {
		return u, err
	}
	groups, err := store.LeaveGroups(ctx, t.Tx, u.ID, t.now)
	if err != nil {
		return u, err
	}
	for _, g := range groups {
		g.Version, g.MemberCount = g.Version-1, g.MemberCount+1 // as before, as emitMembers counts
		t.emitMembers(&g, []store.Person{{ID: u.ID, Name: u.DisplayName, Email: u.Email}}, nil)
	}
	revoked, err := store.RevokeAPITokensOfUser(ctx, t.Tx, u.ID, t.now)
	if err != nil {
		return u, err
	}
	t.emitRevoked(revoked)
	if err := store.DeleteSessionsOfUser(ctx, t.Tx, u.ID); err != nil {
		return u, err
	}
	// Whoever comes with the identity next is found anew (B-USR-16).
	if err := store.DeleteIdentitiesOfUser(ctx, t.Tx, u.ID); err != nil {
		return u, err
	}
	if err := t.removeAccountedFor(ctx, u.ID); err != nil {
		return u, err
	}
	if err := t.revokeOfFormerAdmin(ctx, u.ID, o); err != nil {
		return u, err
	}
	return u, t.scheduleRemoval(ctx, u, o.Before.State)
}
