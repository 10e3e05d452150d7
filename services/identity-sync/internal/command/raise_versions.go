package command

import (
	"context"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// farAhead is more often than anything is changed between two backups.
const farAhead = 1_000_000_000

// RaiseVersions raises all versions past any that was told since a backup was made.
func (c *Commands) RaiseVersions(ctx context.Context) error {
	return c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error { return store.RaiseVersions(ctx, tx, farAhead) })
}
