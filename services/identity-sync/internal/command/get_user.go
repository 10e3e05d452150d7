package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// UserAndOrganization gives a user with the organization, wherever the user's
// role is held.
func (c *Commands) UserAndOrganization(ctx context.Context, organization, user uuid.UUID) (u store.User, o store.Organization, err error) {
	err = c.db.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
		u, o, err = store.GetUserAndOrganization(ctx, tx, user)
		return orNotFound(err, errUserNotFound)
	})
	return u, o, err
}

// User gives a user of the scope.
func (c *Commands) User(ctx context.Context, in scope.Scope, user uuid.UUID) (u store.User, err error) {
	err = c.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) (err error) {
		u, err = store.GetUser(ctx, tx, user)
		return orNotFound(err, errUserNotFound)
	})
	return u, err
}
