package convert

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
)

// SnapshotFlows yields the current version of all flows, deleted ones included.
func SnapshotFlows(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachFlow(ctx, tx, func(organizationID uuid.UUID, f lifecycle.Flow, deleteTime *time.Time) error {
		m := Flow(organizationID, f)
		if deleteTime != nil {
			m = DeletedFlow(organizationID, f, *deleteTime)
		}
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Flow{Flow: m}})
	})
}
