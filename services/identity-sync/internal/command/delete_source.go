package command

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/resource"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// The kinds of due items of a deleted source: a user and a group of it each.
const (
	EndSourceUser  = "source_user_end"
	EndSourceGroup = "source_group_end"
)

// SourceDeletion says of a source that is to be deleted which version is meant, any
// if ETag is empty, and what becomes of its users: one of Keep and Remove, or else
// there must be none.
type SourceDeletion struct {
	ETag         string
	Keep, Remove bool
}

// DeleteSource deletes a source. Nobody comes by it from then on; its users and groups,
// who may be many, are each done by themselves soon after.
func (c *Commands) DeleteSource(ctx context.Context, caller authz.Caller, source uuid.UUID, d SourceDeletion) error {
	return c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		if _, err := store.LockSource(ctx, tx.Tx, source); err != nil {
			return orNotFound(err, errSourceNotFound)
		}
		src, err := store.GetSource(ctx, tx.Tx, source) // with those who have come before the lock
		if err != nil {
			return err
		}
		if err := resource.CheckETag(d.ETag, convert.Source(src).GetEtag()); err != nil {
			return err
		}
		if src.UserCount > 0 && !d.Keep && !d.Remove {
			return apierr.Precondition("SOURCE_IN_USE", "the source owns %d people: say what becomes of them", src.UserCount).
				With("users", strconv.Itoa(int(src.UserCount)))
		}
		if d.Remove {
			if err := tx.checkNoRoles(ctx, source); err != nil {
				return err
			}
		}
		if err := store.DeleteSource(ctx, tx.Tx, source, d.Remove, EndSourceUser, EndSourceGroup, tx.now); err != nil {
			return err
		}
		tx.AfterCommit(c.due.Wake)
		providers, err := store.DetachProviders(ctx, tx.Tx, source, tx.now)
		if err != nil {
			return err
		}
		tx.environment = src.EnvironmentID
		for _, p := range providers {
			tx.emit(p.ID, &eventv1.IdentityProviderUpdated{
				Context: tx.about("", p.Version), IdentityProvider: convert.IdentityProvider(p), ChangedFields: []string{"source_id"},
			})
		}
		tx.emit(src.ID, &eventv1.SourceDeleted{Context: tx.about("", 0), Source: convert.Source(src), UsersLeave: d.Remove})
		return nil
	})
}

// checkNoRoles refuses to have somebody leave with a source who runs Gatehouse: that
// is done by hand first.
func (t *transaction) checkNoRoles(ctx context.Context, source uuid.UUID) error {
	users, err := store.UsersWithRoles(ctx, t.Tx, source)
	if err != nil || len(users) == 0 {
		return err
	}
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.String()
	}
	return apierr.Precondition("SOURCE_USERS_HAVE_ROLES", "people would leave who have a role in Gatehouse: give them the role member first").
		With("users", strings.Join(ids, ","))
}

// EndSourceUsers has users of deleted sources leave, or go on without a source. It is
// the handler of EndSourceUser. Whoever was given a role above member meanwhile stays.
func (c *Commands) EndSourceUsers(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	return c.endEach(ctx, tx, items, func(ctx context.Context, t *transaction, key uuid.UUID) error {
		u, err := store.LockUserUnlessRemoved(ctx, tx, key)
		if errors.Is(err, store.ErrNotFound) || err == nil && u.SourceID == "" {
			return nil
		}
		if err != nil {
			return err
		}
		source, err := uuid.Parse(u.SourceID)
		if err != nil {
			return err
		}
		leave, err := store.UsersLeave(ctx, tx, source)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if leave && (u.Role == lifecycle.Member || u.Role == lifecycle.External) {
			_, err := t.remove(ctx, u)
			return err
		}
		o, err := lifecycle.Release(u.User)
		if err != nil {
			return err
		}
		u.User, u.SourceID, u.UpdateTime = o.User, "", t.now
		t.emitUser(u, o)
		return store.ReleaseUser(ctx, tx, u)
	})
}

// EndSourceGroups removes groups of deleted sources. It is the handler of
// EndSourceGroup.
func (c *Commands) EndSourceGroups(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	return c.endEach(ctx, tx, items, func(ctx context.Context, t *transaction, key uuid.UUID) error {
		g, err := store.LockGroup(ctx, tx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.removeGroup(ctx, g)
	})
}

// removeGroup removes a locked group with its memberships.
func (t *transaction) removeGroup(ctx context.Context, g store.Group) error {
	if err := store.DeleteGroup(ctx, t.Tx, g.ID); err != nil {
		return err
	}
	g.Version++
	g.UpdateTime = t.now
	t.environment = g.EnvironmentID
	t.emit(g.ID, &eventv1.GroupRemoved{Context: t.about("", g.Version), Group: convert.Group(g)})
	return nil
}

// endEach does due items, each with a transaction's events of its own.
func (c *Commands) endEach(ctx context.Context, tx *postgres.Tx, items []due.Item, end func(ctx context.Context, t *transaction, key uuid.UUID) error) error {
	for _, i := range items {
		t := &transaction{Tx: tx, organization: i.OrganizationID, actor: event.SystemActor("identity-sync"), now: c.clock.Now(), due: c.due}
		if err := end(ctx, t, i.Key); err != nil {
			return err
		}
		if err := c.events.Add(ctx, tx, t.events...); err != nil {
			return err
		}
	}
	return nil
}
