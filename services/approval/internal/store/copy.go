package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// What other services own, as their events say. Version is that of the event.
type (
	// Environment is one environment of the organization.
	Environment struct {
		ID, Name string
		Version  int64
	}
	// User is a user.
	User struct {
		ID, EnvironmentID, DisplayName, Email, ManagerID string
		State, Role, RoleEnvironmentID                   string
		JoinCount                                        int32
		Version                                          int64
	}
	// Group is a group.
	Group struct {
		ID, EnvironmentID, DisplayName string
		Removed                        bool
		Version                        int64
	}
	// App is an app.
	App struct {
		ID, EnvironmentID, Name, OwnerID string
		AdminIDs, ApproverIDs            []string
		OfferedToAll                     bool
		OfferedEnvironmentIDs            []string
		Version                          int64
	}
	// Entitlement is what can be held in an app.
	Entitlement struct {
		ID, EnvironmentID, AppID, Name string
		Version                        int64
	}
)

// Classes of advisory locks.
const (
	// lockMatching is held, shared, by transactions that look for the join-flows
	// of somebody, and alone by one that waits until all of them have committed.
	lockMatching = 0x6a6f
	// lockUser keeps two events about one user from each missing what the other
	// says.
	lockUser = 0x7065
)

const (
	lockForMatching = `
select pg_advisory_xact_lock_shared($1, hashtext($2::text)), pg_advisory_xact_lock($3, hashtext($4::text))`
	awaitMatching    = `select pg_advisory_xact_lock($1, hashtext($2::text))`
	applyEnvironment = `
insert into environment_copy as c (id, organization_id, environment_id, name, version)
values ($1, $2, $1, $3, $4)
on conflict (id) do update set name = excluded.name, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id`
	applyUser = `
insert into user_copy as c (id, organization_id, environment_id, display_name, email, manager_id, state, role, role_environment_id, join_count, version)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (id) do update set environment_id = excluded.environment_id, display_name = excluded.display_name, email = excluded.email,
    manager_id = excluded.manager_id, state = excluded.state, role = excluded.role, role_environment_id = excluded.role_environment_id,
    join_count = excluded.join_count, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id
returning true`
	// That a group is removed stays so, whatever comes late.
	applyGroup = `
insert into group_copy as c (id, organization_id, environment_id, display_name, version, removed_version)
values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set environment_id = excluded.environment_id, display_name = excluded.display_name, version = excluded.version,
    removed_version = coalesce(excluded.removed_version, c.removed_version)
where c.version < excluded.version and c.organization_id = excluded.organization_id`
	applyMember = `
insert into group_member_copy as c (group_id, user_id, organization_id, environment_id, present, version)
values ($1, $2, $3, $4, $5, $6)
on conflict (group_id, user_id) do update set environment_id = excluded.environment_id, present = excluded.present, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id
returning true`
	applyApp = `
insert into app_copy as c (id, organization_id, environment_id, name, owner_id, admin_ids, approver_ids, offered_to_all_environments,
    offered_environment_ids, version)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (id) do update set environment_id = excluded.environment_id, name = excluded.name, owner_id = excluded.owner_id,
    admin_ids = excluded.admin_ids, approver_ids = excluded.approver_ids, offered_to_all_environments = excluded.offered_to_all_environments,
    offered_environment_ids = excluded.offered_environment_ids, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id`
	applyEntitlement = `
insert into entitlement_copy as c (id, organization_id, environment_id, app_id, name, version) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set name = excluded.name, version = excluded.version
where c.version < excluded.version and c.organization_id = excluded.organization_id`
	hasVacant    = `exists (select from approval where organization_id = $1 and vacant)`
	selectVacant = `select ` + hasVacant
	// A task of a user who holds a role in one environment only is looked at
	// closely by NeedReviewers.
	selectReviewerGone = `
select ` + hasVacant + ` or exists (
    select from task t join user_copy u on u.id = t.reviewer_id
    where t.reviewer_id = $2 and t.state = 'open' and (not ` + canDecide + ` or u.role_environment_id <> '00000000-0000-0000-0000-000000000000'))`
	selectCandidate = `select id, environment_id, state = 'active', join_count from user_copy where id = $1`
	// Join-flows that have not matched somebody since they last joined.
	selectUnmatchedForUser = `
select f.id, f.version from flow f
where f.organization_id = $1 and f.trigger = 'join' and f.enabled and not exists (
    select from flow_match x join user_copy u on u.id = x.user_id and u.join_count = x.join_count where x.flow_id = f.id and x.user_id = $2)`
)

// Effect is what follows from a changed copy.
type Effect struct {
	// NeedReviewers says that open tasks may belong to somebody who can no
	// longer decide, or that a vacant step may have reviewers now.
	NeedReviewers bool
	// Matches are join-flows that match the user now and have not matched them
	// since they last joined.
	Matches []Match
}

// ApplyEnvironment saves an environment, unless a later version is known.
func (s *Store) ApplyEnvironment(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, e Environment) error {
	if _, err := tx.Exec(ctx, applyEnvironment, e.ID, organizationID, e.Name, e.Version); err != nil {
		return fmt.Errorf("save environment %s: %w", e.ID, err)
	}
	return nil
}

// ApplyUser saves a user, unless a later version is known.
func (s *Store) ApplyUser(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, u User) (Effect, error) {
	var changed bool
	var out Effect
	b := &pgx.Batch{}
	b.Queue(lockForMatching, lockMatching, organizationID.String(), lockUser, u.ID)
	b.Queue(applyUser, u.ID, organizationID, environmentUUID(u.EnvironmentID), u.DisplayName, u.Email, orNull(u.ManagerID), u.State, u.Role,
		environmentUUID(u.RoleEnvironmentID), u.JoinCount, u.Version).Query(one(&changed))
	b.Queue(selectReviewerGone, organizationID, u.ID).Query(one(&out.NeedReviewers))
	match := queueMatching(b, organizationID, u.ID)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Effect{}, fmt.Errorf("save user %s: %w", u.ID, err)
	}
	if !changed {
		return Effect{}, nil
	}
	return out, s.match(ctx, tx, organizationID, match, &out)
}

// ApplyMember saves that a user is or is not in a group, unless a later version
// of the group is known to say so.
func (s *Store) ApplyMember(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g Group, userID string, present bool) (Effect, error) {
	var changed bool
	var out Effect
	b := &pgx.Batch{}
	b.Queue(lockForMatching, lockMatching, organizationID.String(), lockUser, userID)
	queueGroup(b, organizationID, g)
	b.Queue(applyMember, g.ID, userID, organizationID, environmentUUID(g.EnvironmentID), present, g.Version).Query(one(&changed))
	b.Queue(selectVacant, organizationID).Query(one(&out.NeedReviewers))
	match := queueMatching(b, organizationID, userID)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Effect{}, fmt.Errorf("save member of group %s: %w", g.ID, err)
	}
	if !changed {
		return Effect{}, nil
	}
	return out, s.match(ctx, tx, organizationID, match, &out)
}

// ApplyGroup saves a group, unless a later version is known.
func (s *Store) ApplyGroup(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g Group) error {
	b := &pgx.Batch{}
	queueGroup(b, organizationID, g)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("save group %s: %w", g.ID, err)
	}
	return nil
}

func queueGroup(b *pgx.Batch, organizationID uuid.UUID, g Group) {
	var removedVersion *int64
	if g.Removed {
		removedVersion = &g.Version
	}
	b.Queue(applyGroup, g.ID, organizationID, environmentUUID(g.EnvironmentID), g.DisplayName, g.Version, removedVersion)
}

// ApplyApp saves an app, unless a later version is known.
func (s *Store) ApplyApp(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, a App) (Effect, error) {
	var out Effect
	b := &pgx.Batch{}
	b.Queue(applyApp, a.ID, organizationID, environmentUUID(a.EnvironmentID), a.Name, orNull(a.OwnerID), orEmpty(a.AdminIDs), orEmpty(a.ApproverIDs),
		a.OfferedToAll, orEmpty(a.OfferedEnvironmentIDs), a.Version)
	b.Queue(selectVacant, organizationID).Query(one(&out.NeedReviewers))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Effect{}, fmt.Errorf("save app %s: %w", a.ID, err)
	}
	return out, nil
}

// ApplyEntitlement saves an entitlement, unless a later version is known.
func (s *Store) ApplyEntitlement(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, e Entitlement) error {
	if _, err := tx.Exec(ctx, applyEntitlement, e.ID, organizationID, environmentUUID(e.EnvironmentID), e.AppID, e.Name, e.Version); err != nil {
		return fmt.Errorf("save entitlement %s: %w", e.ID, err)
	}
	return nil
}

// AwaitMatching waits until every transaction that looks for somebody's
// join-flows at this moment has ended. What begins after it sees the flows that
// are committed by now.
func (s *Store) AwaitMatching(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID) error {
	if _, err := tx.Exec(ctx, awaitMatching, lockMatching, organizationID.String()); err != nil {
		return fmt.Errorf("wait for users that are being matched: %w", err)
	}
	return nil
}

// matching is a user with the join-flows that have not matched them.
type matching struct {
	Candidate
	unmatched []FlowVersion
	groups    map[string][]string
}

func queueMatching(b *pgx.Batch, organizationID uuid.UUID, userID string) *matching {
	m := &matching{groups: make(map[string][]string, 1)}
	b.Queue(selectCandidate, userID).Query(func(rows pgx.Rows) error {
		var environment uuid.UUID
		_, err := pgx.ForEachRow(rows, []any{&m.ID, &environment, &m.Active, &m.JoinCount}, func() error { return nil })
		m.EnvironmentID = environmentID(environment)
		return err
	})
	queueGroups(b, m.groups, []string{userID})
	b.Queue(selectUnmatchedForUser, organizationID, userID).Query(func(rows pgx.Rows) (err error) {
		m.unmatched, err = pgx.CollectRows(rows, pgx.RowToStructByPos[FlowVersion])
		return err
	})
	return m
}

// match finds the join-flows that match a user.
func (s *Store) match(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, m *matching, out *Effect) error {
	m.GroupIDs = m.groups[m.ID]
	if !m.Active || len(m.unmatched) == 0 {
		return nil
	}
	flows, err := s.flowVersions(ctx, tx, organizationID, m.unmatched)
	if err != nil {
		return err
	}
	for _, k := range m.unmatched {
		if f, ok := flows[k]; ok && f.MatchesJoiner(m.Member) {
			out.Matches = append(out.Matches, Match{Flow: f, Candidate: m.Candidate})
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
