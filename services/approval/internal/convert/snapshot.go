package convert

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
)

// SnapshotFlows yields the current version of all flows.
func SnapshotFlows(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachFlow(ctx, tx, func(organizationID uuid.UUID, f lifecycle.Flow) error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Flow{Flow: Flow(organizationID, f)}})
	})
}
