package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// Group is a set of users, as the source knows it.
type Group struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	EnvironmentID  string // empty for the organization's own
	SourceID       uuid.UUID
	ExternalID     string
	DisplayName    string
	MemberCount    int32
	Version        int64
	// Attributes is what the source says, whole, without members.
	Attributes json.RawMessage
	CreateTime time.Time
	UpdateTime time.Time

	nameKey string // what lists are ordered by
}

const groupColumns = `
	g.id, g.organization_id, coalesce(nullif(g.environment_id, '00000000-0000-0000-0000-000000000000')::text, ''), g.source_id, g.external_id, g.display_name, g.member_count, g.version, g.attributes,
	g.create_time, g.update_time, g.display_name_key`

func (g *Group) targets(more ...any) []any {
	return append([]any{
		&g.ID, &g.OrganizationID, &g.EnvironmentID, &g.SourceID, &g.ExternalID, &g.DisplayName, &g.MemberCount, &g.Version, &g.Attributes,
		&g.CreateTime, &g.UpdateTime, &g.nameKey,
	}, more...)
}

func collectGroups(rows pgx.Rows) ([]Group, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Group, error) {
		var g Group
		err := row.Scan(g.targets()...)
		return g, err
	})
}

// Proto is the group as others see it.
func (g Group) Proto() *identityv1.Group {
	return &identityv1.Group{
		Id: g.ID.String(), OrganizationId: g.OrganizationID.String(), EnvironmentId: g.EnvironmentID, SourceId: g.SourceID.String(), ExternalId: g.ExternalID,
		DisplayName: g.DisplayName, MemberCount: g.MemberCount,
		CreateTime: timestamppb.New(g.CreateTime), UpdateTime: timestamppb.New(g.UpdateTime), Version: g.Version,
	}
}

// Group returns a group of the scope.
func (s *Store) Group(ctx context.Context, in scope.Scope, id uuid.UUID) (Group, error) {
	var g Group
	err := s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `select `+groupColumns+` from directory_group g where g.id = $1`, id).Scan(g.targets()...)
		return found(err, errGroupNotFound, "read group")
	})
	return g, err
}

// Groups lists groups by display name, those with text in it, and gives the
// token of the next page.
func (s *Store) Groups(ctx context.Context, in scope.Scope, text string, size int, after string) ([]Group, string, error) {
	sql := &query{}
	sql.where("g.organization_id = ?", in.OrganizationID)
	if text != "" {
		sql.where("position(lower(?) in g.display_name_key) > 0", text)
	}
	if err := sql.after("g.display_name_key", "g.id", after); err != nil {
		return nil, "", err
	}
	var groups []Group
	err := s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select `+groupColumns+` from directory_group g`+sql.text()+
			` order by g.display_name_key, g.id limit `+sql.arg(size+1), sql.args...)
		if err == nil {
			groups, err = collectGroups(rows)
		}
		if err != nil {
			return fmt.Errorf("list groups: %w", err)
		}
		return nil
	})
	if err != nil || len(groups) <= size {
		return groups, "", err
	}
	groups = groups[:size]
	last := groups[size-1]
	return groups, page.Encode(last.nameKey, last.ID.String()), nil
}
