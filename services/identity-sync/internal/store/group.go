package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
)

// Group is a group of a source.
type Group struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	EnvironmentID  string // empty for the organization's own
	SourceID       uuid.UUID
	ExternalID     string
	DisplayName    string
	MemberCount    int32
	Version        int64
	// Attributes is the group as the source sent it, whole, without members.
	Attributes json.RawMessage
	CreateTime time.Time
	UpdateTime time.Time
}

// Person is a user as shown beside something else.
type Person struct {
	ID          uuid.UUID
	Name, Email string
}

const (
	groupColumns = `
	g.id, g.organization_id, coalesce(nullif(g.environment_id, '00000000-0000-0000-0000-000000000000')::text, ''), g.source_id, g.external_id,
	g.display_name, g.member_count, g.version, g.attributes, g.create_time, g.update_time`
	insertGroup = `
insert into directory_group (id, organization_id, environment_id, source_id, external_id, display_name, version, attributes, create_time, update_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	updateGroup = `
update directory_group set external_id = $2, display_name = $3, member_count = $4, version = $5, attributes = $6, update_time = $7
where id = $1`
	deleteGroup = `
delete from directory_group where id = $1`
	selectGroup = `
select ` + groupColumns + ` from directory_group g where g.id = $1`
	lockGroupOfSource = `
select ` + groupColumns + `, s.name from directory_group g join source s on s.id = g.source_id
where g.id = $1 and g.source_id = $2 for update of g`
	selectAllGroups = `
select ` + groupColumns + `, array(select m.user_id::text from group_member m where m.group_id = g.id order by m.user_id)
from directory_group g order by g.organization_id, g.id`
	lockMembers = `
select u.id, u.display_name, u.email from users u
where u.id = any($1) and u.source_id = $2 and u.state <> 'removed' for key share`
	insertMembers = `
insert into group_member (group_id, user_id, organization_id, create_time)
select $1, m.id, $3, $4 from unnest($2::uuid[]) as m (id)
on conflict (group_id, user_id) do nothing
returning user_id`
	// With $2 all members but those of $3 are removed, else those of $4.
	deleteMembers = `
with gone as (
	delete from group_member m
	where m.group_id = $1 and case when $2 then m.user_id <> all($3::uuid[]) else m.user_id = any($4::uuid[]) end
	returning m.user_id)
select u.id, u.display_name, u.email from gone join users u on u.id = gone.user_id
order by u.display_name_key, u.id`
)

func (g *Group) targets(more ...any) []any {
	return append([]any{
		&g.ID, &g.OrganizationID, &g.EnvironmentID, &g.SourceID, &g.ExternalID, &g.DisplayName, &g.MemberCount, &g.Version, &g.Attributes,
		&g.CreateTime, &g.UpdateTime,
	}, more...)
}

func scanGroup(row pgx.CollectableRow) (g Group, err error) {
	err = row.Scan(g.targets()...)
	return g, err
}

// InsertGroup adds a group without members.
func InsertGroup(ctx context.Context, tx *postgres.Tx, g Group) error {
	_, err := tx.Exec(ctx, insertGroup, g.ID, g.OrganizationID, ownerID(g.EnvironmentID), g.SourceID, g.ExternalID, g.DisplayName,
		g.Version, document(g.Attributes), g.CreateTime, g.UpdateTime)
	if err != nil {
		return fmt.Errorf("insert group: %w", err)
	}
	return nil
}

// UpdateGroup saves all of a group but its members.
func UpdateGroup(ctx context.Context, tx *postgres.Tx, g Group) error {
	_, err := tx.Exec(ctx, updateGroup, g.ID, g.ExternalID, g.DisplayName, g.MemberCount, g.Version, document(g.Attributes), g.UpdateTime)
	if err != nil {
		return fmt.Errorf("update group %s: %w", g.ID, err)
	}
	return nil
}

// DeleteGroup removes a group with its memberships.
func DeleteGroup(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	if _, err := tx.Exec(ctx, deleteGroup, id); err != nil {
		return fmt.Errorf("delete group %s: %w", id, err)
	}
	return nil
}

// GetGroup reads a group.
func GetGroup(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (g Group, err error) {
	return g, found(tx.QueryRow(ctx, selectGroup, id).Scan(g.targets()...), "read group")
}

// LockGroupOfSource reads a group of a source that nobody else changes until the
// end of tx, and the source's name.
func LockGroupOfSource(ctx context.Context, tx *postgres.Tx, source, id uuid.UUID) (g Group, sourceName string, err error) {
	err = tx.QueryRow(ctx, lockGroupOfSource, id, source).Scan(g.targets(&sourceName)...)
	return g, sourceName, found(err, "lock group")
}

// ListGroups reads a page of [GroupList]: of an organization's groups, those whose
// name contains text. It gives the token of the next page.
func ListGroups(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, text string, page *filter.Query) ([]Group, string, error) {
	q := &query{}
	q.where("g.organization_id = ?", organization)
	if text != "" {
		q.where("position(lower(?) in g.display_name_key) > 0", text)
	}
	return list(ctx, tx, groupColumns+`, `+page.Keys()+` from directory_group g`, q, page, scanGroup)
}

// EachGroup calls f for every group of every organization, with the ids of its
// members.
func EachGroup(ctx context.Context, tx *postgres.Tx, f func(g Group, members []string) error) error {
	rows, err := tx.Query(ctx, selectAllGroups)
	if err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	var g Group
	var members []string
	_, err = pgx.ForEachRow(rows, g.targets(&members), func() error { return f(g, members) })
	return err
}

func scanPerson(row pgx.CollectableRow) (p Person, err error) {
	err = row.Scan(&p.ID, &p.Name, &p.Email)
	return p, err
}

// MemberChange is a change of a group's members.
type MemberChange struct {
	Add, Remove []uuid.UUID
	// Clear removes all members but those to be added.
	Clear bool
}

// Members is what has become of members.
type Members struct {
	// Users are those to be added who are users of the source, by id. They are
	// not removed until the end of the transaction.
	Users map[uuid.UUID]Person
	// Removed were members before, in the order of their names.
	Removed []Person
}

// RemoveMembers removes members of a group, and reads the users of its source
// who are to be added.
func RemoveMembers(ctx context.Context, tx *postgres.Tx, source, group uuid.UUID, c MemberChange) (m Members, err error) {
	var b pgx.Batch
	m.queueUsers(&b, source, c.Add)
	if c.Clear || len(c.Remove) > 0 {
		b.Queue(deleteMembers, group, c.Clear, notNull(c.Add), notNull(c.Remove)).Query(func(rows pgx.Rows) (err error) {
			m.Removed, err = pgx.CollectRows(rows, scanPerson)
			return err
		})
	}
	return m, send(ctx, tx, &b, "change members")
}

func (m *Members) queueUsers(b *pgx.Batch, source uuid.UUID, ids []uuid.UUID) {
	m.Users = make(map[uuid.UUID]Person, len(ids))
	if len(ids) == 0 {
		return
	}
	b.Queue(lockMembers, ids, source).Query(func(rows pgx.Rows) error {
		people, err := pgx.CollectRows(rows, scanPerson)
		for _, p := range people {
			m.Users[p.ID] = p
		}
		return err
	})
}

// AddMembers adds members to a group and gives those who were none before.
func AddMembers(ctx context.Context, tx *postgres.Tx, organization, group uuid.UUID, ids []uuid.UUID, now time.Time) (map[uuid.UUID]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, insertMembers, group, ids, organization, now)
	added, err := collect("add members", rows, err, pgx.RowTo[uuid.UUID])
	is := make(map[uuid.UUID]bool, len(added))
	for _, id := range added {
		is[id] = true
	}
	return is, err
}
