package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// GroupMembers lists the members of a group by display name, and gives the token
// of the next page.
func (c *Commands) GroupMembers(ctx context.Context, in scope.Scope, group uuid.UUID, size int, token string) ([]store.User, string, error) {
	return list(ctx, c.db, in, token, size, func(ctx context.Context, tx *postgres.Tx, after *page.TextPlace, limit int) ([]store.User, error) {
		members, err := store.ListGroupMembers(ctx, tx, group, after, limit)
		if err == nil && len(members) == 0 { // no members, or no group
			_, err = store.GetGroup(ctx, tx, group)
			err = orNotFound(err, errGroupNotFound)
		}
		return members, err
	}, userKey)
}
