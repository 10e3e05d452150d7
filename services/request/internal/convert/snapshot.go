package convert

import (
	"context"

	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/request/internal/store"
)

// SnapshotApps yields all apps.
func SnapshotApps(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachApp(ctx, tx, func(a store.App) error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_App{App: App(a)}})
	})
}

// SnapshotEntitlements yields all entitlements.
func SnapshotEntitlements(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachEntitlement(ctx, tx, func(e store.Entitlement) error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Entitlement{Entitlement: Entitlement(e)}})
	})
}
