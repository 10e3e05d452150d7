package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// SnapshotEnvironments yields all environments.
func SnapshotEnvironments(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	rows, err := tx.Query(ctx, `select id, organization_id, name, create_time from environment order by organization_id, id`)
	if err != nil {
		return fmt.Errorf("read environments: %w", err)
	}
	var id, org uuid.UUID
	var name string
	var created time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &org, &name, &created}, func() error {
		// Nothing changes one yet.
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Environment{Environment: &identityv1.Environment{
			Id: id.String(), OrganizationId: org.String(), Name: name,
			CreateTime: timestamppb.New(created), UpdateTime: timestamppb.New(created), Version: 1,
		}}})
	})
	return err
}

// SnapshotUsers yields everybody, also who is removed.
func SnapshotUsers(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	rows, err := tx.Query(ctx, `select `+userColumns+` from users u order by u.organization_id, u.id`)
	if err != nil {
		return fmt.Errorf("read users: %w", err)
	}
	var u User
	_, err = pgx.ForEachRow(rows, u.targets(), func() error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_User{User: u.Proto()}})
	})
	return err
}

// SnapshotGroups yields all groups with their members.
func SnapshotGroups(ctx context.Context, tx *postgres.Tx, yield func(*opsv1.StreamSnapshotResponse) error) error {
	rows, err := tx.Query(ctx, `
		select `+groupColumns+`, array(select m.user_id::text from group_member m where m.group_id = g.id order by m.user_id)
		from directory_group g order by g.organization_id, g.id`)
	if err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	var g Group
	var members []string
	_, err = pgx.ForEachRow(rows, g.targets(&members), func() error {
		return yield(&opsv1.StreamSnapshotResponse{Part: &opsv1.StreamSnapshotResponse_Group{
			Group: &opsv1.SnapshotGroup{Group: g.Proto(), MemberIds: members},
		}})
	})
	return err
}
