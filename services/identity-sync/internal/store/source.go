package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

// Source is where users come from.
type Source struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	Name           string
	Kind           string // a word of SourceKind
	EnvironmentID  string // of its users; empty for the organization's own
	CreateTime     time.Time
	LastSeen       *time.Time
	UserCount      int32
	Version        int64 // of the name and the token
}

const (
	sourceColumns = `
	s.id, s.organization_id, s.name, s.kind, coalesce(nullif(s.environment_id, '00000000-0000-0000-0000-000000000000')::text, ''), s.create_time, s.last_seen_time,
	(select count(*) from users u where u.source_id = s.id and u.state <> 'removed'), s.version`
	insertSource = `
insert into source (id, organization_id, environment_id, name, kind, token_hash, create_time, version)
values ($1, $2, $3, $4, $5, $6, $7, $8)`
	// The token before is kept as one that is good no more.
	updateSourceToken = `
with ended as (select s.token_hash, s.organization_id, s.id from source s where s.id = $1 and s.delete_time is null for update),
kept as (
	insert into ended_credential (token_hash, organization_id, kind, credential_id, keep_until)
	select e.token_hash, e.organization_id, 'source', e.id, $3::timestamptz + interval '1 year' from ended e)
update source s set token_hash = $2, version = s.version + 1 from ended where s.id = ended.id returning ` + sourceColumns
	updateSource = `
update source set name = $2, version = $3 where id = $1`
	selectSource = `
select ` + sourceColumns + ` from source s where s.id = $1 and s.delete_time is null`
	lockSource = selectSource + ` for update of s`
	// Whoever deletes the source at the same moment is waited for.
	selectSourceName = `
select s.name from source s where s.id = $1 and s.delete_time is null for key share`
	// As of updateSourceToken.
	deleteSource = `
with ended as (select s.token_hash, s.organization_id, s.id from source s where s.id = $1),
kept as (
	insert into ended_credential (token_hash, organization_id, kind, credential_id, keep_until)
	select e.token_hash, e.organization_id, 'source', e.id, $2::timestamptz + interval '1 year' from ended e)
update source s set delete_time = $2, users_leave = $3, token_hash = null from ended where s.id = ended.id`
	// Also of whom leaves with somebody who leaves.
	selectUsersWithRoles = `
select u.id from users u
where u.state <> 'removed' and u.role not in ('member', 'external') and (u.source_id = $1 or u.accountable_user_id in (
	select o.id from users o where o.source_id = $1 and o.state <> 'removed'))
order by u.id limit 20`
	// What due.Queue.Add would write, for all of a source without reading them.
	enqueueUsersOfSource = `
insert into due as d (kind, key, organization_id, due_time, try_time, attempts, error)
select $2, u.id, u.organization_id, $3, $3, 0, '' from users u where u.source_id = $1 and u.state <> 'removed' order by u.id
on conflict (kind, key) do update set due_time = excluded.due_time, try_time = excluded.try_time, attempts = 0, claim = null, error = ''`
	enqueueGroupsOfSource = `
insert into due as d (kind, key, organization_id, due_time, try_time, attempts, error)
select $2, g.id, g.organization_id, $3, $3, 0, '' from directory_group g where g.source_id = $1 order by g.id
on conflict (kind, key) do update set due_time = excluded.due_time, try_time = excluded.try_time, attempts = 0, claim = null, error = ''`
	selectUsersLeave = `
select s.users_leave from source s where s.id = $1 and s.delete_time is not null`
	releaseUser = `
update users set source_id = null, version = $2, update_time = $3 where id = $1`
	handOverUser = `
update users set source_id = $2, external_id = $3, manager_ref = '', attributes = $4, version = $5, update_time = $6 where id = $1`
	selectSourceOfUserName = `
select coalesce(u.source_id::text, case when u.kind in ('employee', 'external') then '' else u.kind end) from users u
where u.organization_id = $1 and u.environment_id = $2 and u.user_name_form = lower(normalize($3, NFKC)) and u.state <> 'removed' limit 1`
	lockGroup = `
select ` + groupColumns + ` from directory_group g where g.id = $1 for update of g`
	detachProviders = `
update identity_provider p set source_id = null, version = p.version + 1, update_time = $2 where p.source_id = $1 returning ` + providerColumns
	// One statement: the token is looked up and its use recorded, at most once a
	// minute.
	authenticateSource = `
with found as (select s.id, s.organization_id, s.environment_id from source s where s.token_hash = $1),
recorded as (
	update source s set last_seen_time = $2
	from found
	where s.id = found.id and (s.last_seen_time is null or s.last_seen_time <= $2::timestamptz - interval '1 minute'))
select id, organization_id, environment_id from found`
)

func (s *Source) targets() []any {
	return []any{&s.ID, &s.OrganizationID, &s.Name, &s.Kind, &s.EnvironmentID, &s.CreateTime, &s.LastSeen, &s.UserCount, &s.Version}
}

// InsertSource adds a source whose token has the hash.
func InsertSource(ctx context.Context, tx *postgres.Tx, s Source, tokenHash []byte) error {
	_, err := tx.Exec(ctx, insertSource, s.ID, s.OrganizationID, ownerID(s.EnvironmentID), s.Name, s.Kind, tokenHash, s.CreateTime, s.Version)
	if err != nil {
		return fmt.Errorf("insert source: %w", err)
	}
	return nil
}

// UpdateSourceToken gives a source another token. Whose the one before was is known
// for a year.
func UpdateSourceToken(ctx context.Context, tx *postgres.Tx, id uuid.UUID, tokenHash []byte, now time.Time) (s Source, err error) {
	return s, found(tx.QueryRow(ctx, updateSourceToken, id, tokenHash, now).Scan(s.targets()...), "update source")
}

// GetSource reads a source.
func GetSource(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (s Source, err error) {
	return s, found(tx.QueryRow(ctx, selectSource, id).Scan(s.targets()...), "read source")
}

// LockSource reads a source that nobody else changes until the end of tx.
func LockSource(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (s Source, err error) {
	return s, found(tx.QueryRow(ctx, lockSource, id).Scan(s.targets()...), "lock source")
}

// UpdateSource saves the name and version of a source that is locked.
func UpdateSource(ctx context.Context, tx *postgres.Tx, s Source) error {
	if _, err := tx.Exec(ctx, updateSource, s.ID, s.Name, s.Version); err != nil {
		return fmt.Errorf("update source %s: %w", s.ID, err)
	}
	return nil
}

// UsersWithRoles finds up to 20 users who would leave with a source and have a role
// in Gatehouse above member.
func UsersWithRoles(ctx context.Context, tx *postgres.Tx, source uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, selectUsersWithRoles, source)
	return collect("find users with roles", rows, err, pgx.RowTo[uuid.UUID])
}

// DeleteSource saves that a source, which is locked, is deleted, and adds a due item
// for each of its users and groups.
func DeleteSource(ctx context.Context, tx *postgres.Tx, source uuid.UUID, usersLeave bool, usersKind, groupsKind string, now time.Time) error {
	var b pgx.Batch
	b.Queue(deleteSource, source, now, usersLeave)
	b.Queue(enqueueUsersOfSource, source, usersKind, now)
	b.Queue(enqueueGroupsOfSource, source, groupsKind, now)
	return send(ctx, tx, &b, "delete source")
}

// DetachProviders takes a source from the identity providers that have it.
func DetachProviders(ctx context.Context, tx *postgres.Tx, source uuid.UUID, now time.Time) ([]IdentityProvider, error) {
	rows, err := tx.Query(ctx, detachProviders, source, now)
	return collect("detach identity providers", rows, err, func(row pgx.CollectableRow) (p IdentityProvider, err error) {
		err = row.Scan(p.targets()...)
		return p, err
	})
}

// UsersLeave says whether the users of a deleted source leave. ErrNotFound for one
// that is not deleted.
func UsersLeave(ctx context.Context, tx *postgres.Tx, source uuid.UUID) (leave bool, err error) {
	return leave, found(tx.QueryRow(ctx, selectUsersLeave, source).Scan(&leave), "read source")
}

// ReleaseUser saves a locked user as one whom no source owns.
func ReleaseUser(ctx context.Context, tx *postgres.Tx, u User) error {
	if _, err := tx.Exec(ctx, releaseUser, u.ID, u.Version, u.UpdateTime); err != nil {
		return fmt.Errorf("update user %s: %w", u.ID, err)
	}
	return nil
}

// LockUnowned reads people of an environment, or of the organization itself, whom no
// source owns, as a page of [UserList], that nobody else changes until the end of tx.
// more says that there are others.
func LockUnowned(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, environmentID string, page *filter.Query) (users []User, more bool, err error) {
	q := &query{}
	q.where("u.organization_id = ?", organization)
	q.where("u.environment_id = ?", ownerID(environmentID))
	q.where("u.source_id is null and u.state <> 'removed' and u.kind in ('employee', 'external')")
	found, next, err := listUsers(ctx, tx, `users u`, q, page)
	if err != nil {
		return nil, false, err
	}
	ids := make([]uuid.UUID, len(found))
	for i, u := range found {
		ids[i] = u.ID
	}
	users, err = LockUsers(ctx, tx, ids)
	// Whom another has meanwhile taken or removed is not there any more.
	return slices.DeleteFunc(users, func(u User) bool { return u.SourceID != "" || u.State == lifecycle.Removed }), next != "", err
}

// HandOverUser saves a locked user as one of the source that they have now.
func HandOverUser(ctx context.Context, tx *postgres.Tx, u User) error {
	if _, err := tx.Exec(ctx, handOverUser, u.ID, u.SourceID, u.ExternalID, document(u.Attributes), u.Version, u.UpdateTime); err != nil {
		return fmt.Errorf("hand over user %s: %w", u.ID, err)
	}
	return nil
}

// SourceOfUserName gives the source that owns who has a userName: empty for a person
// whom none owns, and the kind of a program.
func SourceOfUserName(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, environmentID, userName string) (source string, err error) {
	return source, found(tx.QueryRow(ctx, selectSourceOfUserName, organization, ownerID(environmentID), userName).Scan(&source), "look for userName")
}

// LockGroup reads a group that nobody else changes until the end of tx.
func LockGroup(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (g Group, err error) {
	return g, found(tx.QueryRow(ctx, lockGroup, id).Scan(g.targets()...), "lock group")
}

// ListSources reads a page of [SourceList], of an organization, and gives the token
// of the next page.
func ListSources(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, page *filter.Query) ([]Source, string, error) {
	q := &query{}
	q.where("s.organization_id = ? and s.delete_time is null", organization)
	return list(ctx, tx, sourceColumns+`, `+page.Keys()+` from source s`, q, page, func(row pgx.CollectableRow) (s Source, err error) {
		err = row.Scan(s.targets()...)
		return s, err
	})
}

// AuthenticateSource finds the source whose token has the hash, and records that
// it was seen.
func AuthenticateSource(ctx context.Context, tx *postgres.Tx, tokenHash []byte, now time.Time) (id, organization, environment uuid.UUID, err error) {
	err = tx.QueryRow(ctx, authenticateSource, tokenHash, now).Scan(&id, &organization, &environment)
	return id, organization, environment, found(err, "read source")
}
