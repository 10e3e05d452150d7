package command

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/store"
)

// ApplyUser applies a user. The requests of one who was removed, at the time
// given, are cancelled where that is still possible; one who has come back since
// keeps what they have requested since.
func (c *Commands) ApplyUser(ctx context.Context, tx *postgres.Tx, u store.User, removed *time.Time) error {
	now, err := store.CopyUser(ctx, tx, u)
	if err != nil || removed == nil {
		return err
	}
	var before *time.Time
	if now.State != "removed" {
		before = removed
	}
	return c.cancelRequestsOf(ctx, tx, now, before, u.Name+" has left", notBefore(c.Clock.Now(), removed.UTC().Truncate(time.Microsecond)))
}

// ApplyEnvironment applies an environment.
func (c *Commands) ApplyEnvironment(ctx context.Context, tx *postgres.Tx, environment, organization uuid.UUID, version int64) error {
	return store.CopyEnvironment(ctx, tx, environment, organization, version)
}
