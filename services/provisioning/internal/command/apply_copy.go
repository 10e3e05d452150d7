package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/store"
)

// ApplyUser applies a newer copy of a user. If they have left, everything they
// hold ends; so does what they held before, if they turn out to have left and
// come back. Each app is handled by itself, so that one whose rows cannot be
// saved keeps access in no other.
func (e *Engine) ApplyUser(ctx context.Context, tx *postgres.Tx, org uuid.UUID, p store.Person) error {
	left, err := store.ApplyUser(ctx, tx, org, p)
	if err != nil || !left {
		return err
	}
	tx.AfterCommit(e.due.Wake)
	return store.ReconcileUser(ctx, tx, dueReconcile, p.ID, e.clock.Now())
}

// ApplyApp applies a newer copy of an app. If accounts come and go in another
// way from now on, all of its accounts are reconciled, each by itself.
func (e *Engine) ApplyApp(ctx context.Context, tx *postgres.Tx, org uuid.UUID, a store.App) error {
	changed, err := store.ApplyApp(ctx, tx, org, a)
	if err != nil || !changed {
		return err
	}
	if _, err := store.ReconcileApp(ctx, tx, dueReconcile, a.ID, e.clock.Now()); err != nil {
		return err
	}
	tx.AfterCommit(e.due.Wake)
	return e.checkSettingsLater(tx, org, a.ID)
}

// ApplyEntitlement applies a newer copy of an entitlement.
func (e *Engine) ApplyEntitlement(ctx context.Context, tx *postgres.Tx, org uuid.UUID, ent store.Entitlement) error {
	return store.ApplyEntitlement(ctx, tx, org, ent)
}
