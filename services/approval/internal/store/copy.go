package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/wire"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Classes of advisory locks.
const (
	// lockJoins is held, shared, by whoever looks for the join-flows of
	// somebody, and alone by who waits until all of them have committed.
	lockJoins = 0x6a6f
	// lockPerson keeps two events about one person from each missing what the
	// other says.
	lockPerson = 0x7065
)

const lockForJoins = `
select pg_advisory_xact_lock_shared($1, hashtext($2::text)), pg_advisory_xact_lock($3, hashtext($4::text))`

// Impact is what a changed fact may touch.
type Impact struct {
	// Reviews says that open tasks may wait on somebody who cannot decide any
	// more, or that an open step waits for somebody who now can.
	Reviews bool
	// Person is whom join-flows may match now.
	Person Candidate
	// Joins are the organization's join-flows that have not matched them.
	Joins []*approvalv1.Flow
}

const hasVacant = `exists (select from step where organization_id = $1 and vacant)`

// PutUser writes a person, unless a later version is known. state stands for
// the state in u.
func (s *Store) PutUser(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, u *identityv1.User, state string, version int64) (Impact, error) {
	var changed bool
	var out Impact
	b := &pgx.Batch{}
	b.Queue(lockForJoins, lockJoins, organizationID.String(), lockPerson, u.GetId())
	b.Queue(`
insert into user_copy as c (id, organization_id, display_name, email, manager_id, state, role, join_count, version)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (id) do update set display_name = excluded.display_name, email = excluded.email, manager_id = excluded.manager_id,
    state = excluded.state, role = excluded.role, join_count = excluded.join_count, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id
returning true`,
		u.GetId(), organizationID, u.GetDisplayName(), u.GetEmail(), orNull(u.GetManagerId()), state, wire.Role(u.GetRole()),
		u.GetJoinCount(), version).Query(one(&changed))
	b.Queue(`
select `+hasVacant+` or exists (
    select from task t join user_copy u on u.id = t.reviewer_id where t.reviewer_id = $2 and t.state = 'open' and not u.can_decide)`,
		organizationID, u.GetId()).Query(one(&out.Reviews))
	search := queueJoins(b, organizationID, u.GetId(), &out)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Impact{}, fmt.Errorf("save user %s: %w", u.GetId(), err)
	}
	if !changed {
		return Impact{}, nil
	}
	return out, s.joins(ctx, tx, organizationID, search, &out)
}

// PutMember writes that somebody is or is not in a group, unless a later
// version is known.
func (s *Store) PutMember(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g *identityv1.Group, userID string, present bool, version int64) (Impact, error) {
	var changed bool
	var out Impact
	b := &pgx.Batch{}
	b.Queue(lockForJoins, lockJoins, organizationID.String(), lockPerson, userID)
	queueGroup(b, organizationID, g, version, nil)
	b.Queue(`
insert into group_member_copy as c (group_id, user_id, organization_id, present, version)
values ($1, $2, $3, $4, $5)
on conflict (group_id, user_id) do update set present = excluded.present, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id
returning true`,
		g.GetId(), userID, organizationID, present, version).Query(one(&changed))
	b.Queue(`select `+hasVacant, organizationID).Query(one(&out.Reviews))
	search := queueJoins(b, organizationID, userID, &out)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Impact{}, fmt.Errorf("save member of group %s: %w", g.GetId(), err)
	}
	if !changed {
		return Impact{}, nil
	}
	return out, s.joins(ctx, tx, organizationID, search, &out)
}

// PutGroup writes a group, unless a later version is known.
func (s *Store) PutGroup(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g *identityv1.Group, removed bool, version int64) error {
	var removedVersion *int64
	if removed {
		removedVersion = &version
	}
	b := &pgx.Batch{}
	queueGroup(b, organizationID, g, version, removedVersion)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("save group %s: %w", g.GetId(), err)
	}
	return nil
}

// queueGroup writes a group. That it is removed stays so, whatever comes late.
func queueGroup(b *pgx.Batch, organizationID uuid.UUID, g *identityv1.Group, version int64, removedVersion *int64) {
	b.Queue(`
insert into group_copy as c (id, organization_id, display_name, version, removed_version)
values ($1, $2, $3, $4, $5)
on conflict (id) do update set display_name = excluded.display_name, version = excluded.version,
    removed_version = coalesce(excluded.removed_version, c.removed_version)
where c.version < excluded.version and c.organization_id = excluded.organization_id`,
		g.GetId(), organizationID, g.GetDisplayName(), version, removedVersion)
}

// PutApp writes an app, unless a later version is known.
func (s *Store) PutApp(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, a *requestv1.App) (Impact, error) {
	var out Impact
	b := &pgx.Batch{}
	b.Queue(`
insert into app_copy as c (id, organization_id, name, owner_id, admin_ids, approver_ids, version)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (id) do update set name = excluded.name, owner_id = excluded.owner_id, admin_ids = excluded.admin_ids,
    approver_ids = excluded.approver_ids, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id`,
		a.GetId(), organizationID, a.GetName(), orNull(a.GetOwnerId()), orEmpty(a.GetAdminIds()), orEmpty(a.GetApproverIds()), a.GetVersion())
	b.Queue(`select `+hasVacant, organizationID).Query(one(&out.Reviews))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Impact{}, fmt.Errorf("save app %s: %w", a.GetId(), err)
	}
	return out, nil
}

// PutEntitlement writes an entitlement, unless a later version is known.
func (s *Store) PutEntitlement(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, e *requestv1.Entitlement) error {
	if _, err := tx.Exec(ctx, `
insert into entitlement_copy as c (id, organization_id, app_id, name, version) values ($1, $2, $3, $4, $5)
on conflict (id) do update set name = excluded.name, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id`,
		e.GetId(), organizationID, e.GetAppId(), e.GetName(), e.GetVersion()); err != nil {
		return fmt.Errorf("save entitlement %s: %w", e.GetId(), err)
	}
	return nil
}

// AwaitJoins waits until every transaction that looks for somebody's join-flows
// at this moment has ended. What begins after it sees the flows that are
// committed by now.
func (s *Store) AwaitJoins(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID) error {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1, hashtext($2::text))`, lockJoins, organizationID.String()); err != nil {
		return fmt.Errorf("wait for people in work: %w", err)
	}
	return nil
}

// joinSearch is what is needed to find somebody's join-flows.
type joinSearch struct {
	unmatched []flowKey
	groups    map[string][]string
}

// queueJoins reads a person and the join-flows that have not matched them.
func queueJoins(b *pgx.Batch, organizationID uuid.UUID, userID string, out *Impact) *joinSearch {
	search := &joinSearch{groups: make(map[string][]string, 1)}
	b.Queue(`select id, state = 'active', join_count from user_copy where id = $1`, userID).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&out.Person.ID, &out.Person.Active, &out.Person.JoinCount}, func() error { return nil })
		return err
	})
	queueGroups(b, search.groups, userID)
	b.Queue(`
select f.id, f.version from flow f
where f.organization_id = $1 and f.trigger = 'join' and f.enabled and not exists (
    select from flow_match x join user_copy u on u.id = x.user_id and u.join_count = x.join_count where x.flow_id = f.id and x.user_id = $2)`,
		organizationID, userID).Query(func(rows pgx.Rows) (err error) {
		search.unmatched, err = pgx.CollectRows(rows, scanFlowKey)
		return err
	})
	return search
}

// queueGroups reads the groups that people are in.
func queueGroups(b *pgx.Batch, groups map[string][]string, userIDs ...string) {
	b.Queue(`
select m.user_id, m.group_id from group_member_copy m left join group_copy g on g.id = m.group_id
where m.user_id = any ($1) and m.present and (g.removed_version is null or g.removed_version < m.version)`, userIDs).Query(func(rows pgx.Rows) error {
		var user, group string
		_, err := pgx.ForEachRow(rows, []any{&user, &group}, func() error {
			groups[user] = append(groups[user], group)
			return nil
		})
		return err
	})
}

func (s *Store) joins(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, search *joinSearch, out *Impact) error {
	out.Person.GroupIDs = search.groups[out.Person.ID]
	if !out.Person.Active || len(search.unmatched) == 0 {
		return nil
	}
	flows, err := s.flowsOf(ctx, tx, organizationID, search.unmatched)
	if err != nil {
		return err
	}
	for _, k := range search.unmatched {
		if f, ok := flows[k]; ok && f.rules.Joins(out.Person.Member) {
			out.Joins = append(out.Joins, f.proto)
		}
	}
	return nil
}

// one reads a single value; it stays as it is if there is no row.
func one[T any](dst *T) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{dst}, func() error { return nil })
		return err
	}
}
