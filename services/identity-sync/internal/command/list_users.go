package command

import (
	"context"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Users lists users of the scope, those that contain text and have the state, a word
// of UserState or empty for all but removed. It gives the token of the next page.
func (c *Commands) Users(ctx context.Context, in scope.Scope, text, state string, asked filter.Request) ([]store.User, string, error) {
	f := store.UserFilter{OrganizationID: in.OrganizationID, Text: text, State: state}
	return list(ctx, c.db, in, store.UserList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.User, string, error) {
		return store.ListUsers(ctx, tx, f, page)
	})
}
