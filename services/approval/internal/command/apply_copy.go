package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/store"
)

// ApplyEnvironment applies an environment.
func (c *Commands) ApplyEnvironment(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, e store.Environment) error {
	return c.Store.ApplyEnvironment(ctx, tx, organizationID, e)
}

// ApplyUser applies a user, and matches them with join-flows.
func (c *Commands) ApplyUser(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, u store.User) error {
	effect, err := c.Store.ApplyUser(ctx, tx, organizationID, u)
	if err != nil {
		return err
	}
	return c.follow(ctx, tx, organizationID, effect)
}

// ApplyMember applies that a user is in a group or is not, and matches them with
// join-flows.
func (c *Commands) ApplyMember(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g store.Group, userID string, present bool) error {
	effect, err := c.Store.ApplyMember(ctx, tx, organizationID, g, userID, present)
	if err != nil {
		return err
	}
	return c.follow(ctx, tx, organizationID, effect)
}

// ApplyGroup applies a group.
func (c *Commands) ApplyGroup(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g store.Group) error {
	return c.Store.ApplyGroup(ctx, tx, organizationID, g)
}

// ApplyApp applies an app with its people.
func (c *Commands) ApplyApp(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, a store.App) error {
	effect, err := c.Store.ApplyApp(ctx, tx, organizationID, a)
	if err != nil {
		return err
	}
	return c.follow(ctx, tx, organizationID, effect)
}

// ApplyEntitlement applies an entitlement.
func (c *Commands) ApplyEntitlement(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, e store.Entitlement) error {
	return c.Store.ApplyEntitlement(ctx, tx, organizationID, e)
}

func (c *Commands) follow(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, effect store.Effect) error {
	if effect.NeedReviewers {
		tx.AfterCommit(c.Maintenance.Wake)
	}
	return c.addMatches(ctx, tx, organizationID, effect.Matches)
}
