package convert

import (
	"context"

	"gatehouse.dev/libs/postgres"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// SnapshotEnvironments yields all environments.
func SnapshotEnvironments(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachEnvironment(ctx, tx, func(e store.Environment) error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Environment{Environment: Environment(e)}})
	})
}

// SnapshotUsers yields all users, removed ones too.
func SnapshotUsers(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachUser(ctx, tx, func(u store.User) error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_User{User: User(u)}})
	})
}

// SnapshotGroups yields all groups with their members.
func SnapshotGroups(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	return store.EachGroup(ctx, tx, func(g store.Group, members []string) error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Group{
			Group: &opsv1.SnapshotGroup{Group: Group(g), MemberIds: members},
		}})
	})
}
