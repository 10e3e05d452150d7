package command

import (
	"context"

	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/store"
)

// SnapshotGrants yields all grants.
func SnapshotGrants(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachGrant(ctx, tx, func(g *store.NamedGrant) error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Grant{Grant: convert.Grant(g)}})
	})
}
