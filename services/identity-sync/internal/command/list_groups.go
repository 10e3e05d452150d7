package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Groups lists groups of the scope by display name, those that contain text, and
// gives the token of the next page.
func (c *Commands) Groups(ctx context.Context, in scope.Scope, text string, size int, token string) ([]store.Group, string, error) {
	return list(ctx, c.db, in, token, size, func(ctx context.Context, tx *postgres.Tx, after *page.TextPlace, limit int) ([]store.Group, error) {
		return store.ListGroups(ctx, tx, in.OrganizationID, text, after, limit)
	}, func(g store.Group) (string, uuid.UUID) { return g.NameKey, g.ID })
}
