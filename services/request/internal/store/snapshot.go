package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// SnapshotApps yields all apps.
func SnapshotApps(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	rows, err := tx.Query(ctx, `select `+appColumns+` from app order by organization_id, id`)
	if err != nil {
		return fmt.Errorf("read apps: %w", err)
	}
	return each(rows, func(row pgx.CollectableRow) error {
		a, err := scanApp(row)
		if err != nil {
			return fmt.Errorf("read app: %w", err)
		}
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_App{App: a}})
	})
}

// SnapshotEntitlements yields all entitlements.
func SnapshotEntitlements(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	rows, err := tx.Query(ctx, `select `+entitlementColumns+` from entitlement order by organization_id, id`)
	if err != nil {
		return fmt.Errorf("read entitlements: %w", err)
	}
	return each(rows, func(row pgx.CollectableRow) error {
		e, err := scanEntitlement(row)
		if err != nil {
			return fmt.Errorf("read entitlement: %w", err)
		}
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Entitlement{Entitlement: e}})
	})
}

// each calls f for every row as it comes.
func each(rows pgx.Rows, f func(pgx.CollectableRow) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
