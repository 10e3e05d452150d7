package command

import (
	"context"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Groups lists groups of the scope, those that contain text, and gives the token of
// the next page.
func (c *Commands) Groups(ctx context.Context, in scope.Scope, text string, asked filter.Request) ([]store.Group, string, error) {
	return list(ctx, c.db, in, store.GroupList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.Group, string, error) {
		return store.ListGroups(ctx, tx, in.OrganizationID, text, page)
	})
}
