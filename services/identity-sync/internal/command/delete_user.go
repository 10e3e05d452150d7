package command

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// EndUser is the kind of due item that removes a service or an agent at its end.
const EndUser = "user_end"

// EndUsers removes services and agents whose end has come. It is the handler of
// EndUser.
func (c *Commands) EndUsers(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		t := &transaction{Tx: tx, organization: i.OrganizationID, actor: event.SystemActor("identity-sync"), now: c.clock.Now()}
		u, err := store.LockUserUnlessRemoved(ctx, tx, i.Key)
		switch {
		case errors.Is(err, store.ErrNotFound) || err == nil && (u.EndTime == nil || u.EndTime.After(t.now)):
			continue
		case err != nil:
			return err
		}
		if err := t.remove(ctx, u); err != nil {
			return err
		}
		if err := c.events.Add(ctx, tx, t.events...); err != nil {
			return err
		}
	}
	return nil
}

// removeAccountedFor removes the services and agents that a user, who is
// suspended or leaves, is accountable for.
func (t *transaction) removeAccountedFor(ctx context.Context, user uuid.UUID) error {
	users, err := store.LockAccountedFor(ctx, t.Tx, user)
	if err != nil {
		return err
	}
	for _, u := range users {
		if err := t.remove(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a locked user: sessions, tokens and memberships end, and with
// them what the user is accountable for.
func (t *transaction) remove(ctx context.Context, u store.User) error {
	o, err := lifecycle.Remove(u.User)
	if err != nil {
		return err
	}
	if err := t.keepAdmin(ctx, u.ID, o); err != nil {
		return err
	}
	u.User, u.UpdateTime = o.User, t.now
	t.emitUser(u, o)
	if err := store.UpdateUserState(ctx, t.Tx, u); err != nil {
		return err
	}
	groups, err := store.LeaveGroups(ctx, t.Tx, u.ID, t.now)
	if err != nil {
		return err
	}
	for _, g := range groups {
		g.Version, g.MemberCount = g.Version-1, g.MemberCount+1 // as before, as emitMembers counts
		t.emitMembers(&g, []store.Person{{ID: u.ID, Name: u.DisplayName, Email: u.Email}}, nil)
	}
	revoked, err := store.RevokeAPITokensOfUser(ctx, t.Tx, u.ID, t.now)
	if err != nil {
		return err
	}
	t.emitRevoked(revoked)
	if err := store.DeleteSessionsOfUser(ctx, t.Tx, u.ID); err != nil {
		return err
	}
	// Whoever comes with the identity next is found anew (B-USR-16).
	if err := store.DeleteIdentitiesOfUser(ctx, t.Tx, u.ID); err != nil {
		return err
	}
	return t.removeAccountedFor(ctx, u.ID)
}
