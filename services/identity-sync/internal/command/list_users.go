package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Users lists users of the scope by display name, those that contain text and
// have the state, a word of UserState or empty for all but removed. It gives the
// token of the next page.
func (c *Commands) Users(ctx context.Context, in scope.Scope, text, state string, size int, token string) ([]store.User, string, error) {
	f := store.UserFilter{OrganizationID: in.OrganizationID, Text: text, State: state}
	return list(ctx, c.db, in, token, size, func(ctx context.Context, tx *postgres.Tx, after *page.TextPlace, limit int) ([]store.User, error) {
		return store.ListUsers(ctx, tx, f, after, limit)
	}, userKey)
}

func userKey(u store.User) (string, uuid.UUID) { return u.NameKey, u.ID }
