package command

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// EndSuspendedUser is the kind of due item that removes a person who was suspended for
// as long as the organization lets people be.
const EndSuspendedUser = "suspended_user_end"

// scheduleRemoval has a saved user removed when they have been suspended for as long as
// the organization says, and takes that back from one who is suspended no more. The
// setting stays as it is until the end of the transaction.
func (t *transaction) scheduleRemoval(ctx context.Context, u store.User, before lifecycle.State) error {
	switch {
	case u.State == lifecycle.Suspended:
		at, err := store.LockRemovalTime(ctx, t.Tx, u.ID)
		if err != nil || at == nil {
			return err
		}
		return t.removeAt(u.ID, *at)
	case before == lifecycle.Suspended:
		t.due.Remove(t.Tx, EndSuspendedUser, u.ID)
	}
	return nil
}

func (t *transaction) removeAt(user uuid.UUID, at time.Time) error {
	t.AfterCommit(t.due.Wake)
	return t.due.Add(t.Tx, due.Item{Kind: EndSuspendedUser, Key: user, OrganizationID: t.organization, Time: at})
}

// EndSuspendedUsers removes people who have been suspended for as long as their
// organization says now. It is the handler of EndSuspendedUser. Whoever has a role above
// member stays, as when a source is deleted: an admin takes the role away first.
//
// It does not lock the organization: who changes the setting waits for the item.
func (c *Commands) EndSuspendedUsers(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	return c.endEach(ctx, tx, items, func(ctx context.Context, t *transaction, key uuid.UUID) error {
		u, err := store.LockUserUnlessRemoved(ctx, tx, key)
		if errors.Is(err, store.ErrNotFound) || err == nil && (u.State != lifecycle.Suspended || u.Role != lifecycle.Member && u.Role != lifecycle.External) {
			return nil
		}
		if err != nil {
			return err
		}
		at, err := store.RemovalTime(ctx, tx, key)
		if err != nil || at == nil {
			return err
		}
		if at.After(t.now) {
			return t.removeAt(key, *at)
		}
		t.reason = eventv1.UserRemovalReason_USER_REMOVAL_REASON_SUSPENDED_TOO_LONG
		_, err = t.remove(ctx, u)
		return err
	})
}

// removalsAtOnce is how many missing due items are made in one transaction.
const removalsAtOnce = 1000

// FindRemovals makes the due items of those who are suspended and have none: a replica
// from before there were such items suspended them beside this one, or an older backup
// was restored.
func (c *Commands) FindRemovals(ctx context.Context) error {
	for {
		var found int
		err := c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			tx.AfterCommit(c.due.Wake)
			found, err = store.FindRemovals(ctx, tx, EndSuspendedUser, c.clock.Now(), removalsAtOnce)
			return err
		})
		if err != nil || found < removalsAtOnce {
			return err
		}
	}
}
