package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// GroupMembers lists the members of a group, and gives the token of the next page.
func (c *Commands) GroupMembers(ctx context.Context, in scope.Scope, group uuid.UUID, asked filter.Request) ([]store.User, string, error) {
	return list(ctx, c.db, in, store.GroupMemberList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.User, string, error) {
		members, next, err := store.ListGroupMembers(ctx, tx, group, page)
		if err == nil && len(members) == 0 { // no members, or no group
			_, err = store.GetGroup(ctx, tx, group)
			err = orNotFound(err, errGroupNotFound)
		}
		return members, next, err
	})
}
