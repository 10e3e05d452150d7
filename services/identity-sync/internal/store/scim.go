package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

// SCIM is the user as SCIM shows it.
func (u User) SCIM() scim.User {
	return scim.User{
		ID: u.ID.String(), Version: u.Version - u.EndedCredentials, Created: u.CreateTime, LastModified: u.UpdateTime,
		ExternalID: u.ExternalID, UserName: u.UserName, Active: u.State == lifecycle.Active, Attributes: u.Attributes,
	}
}

// SCIM is the group as SCIM shows it, without its members.
func (g Group) SCIM() scim.Group {
	return scim.Group{
		ID: g.ID.String(), Version: g.Version, Created: g.CreateTime, LastModified: g.UpdateTime,
		ExternalID: g.ExternalID, DisplayName: g.DisplayName, Attributes: g.Attributes, MemberCount: int(g.MemberCount),
	}
}

const (
	noRelated = `, '[]'::json`
	groupsOf  = `, coalesce((
	select json_agg(json_build_object('value', g.id, 'type', 'direct', 'display', g.display_name) order by g.display_name_key, g.id)
	from group_member m join directory_group g on g.id = m.group_id
	where m.user_id = u.id), '[]'::json)`
	membersOf = `, coalesce((
	select json_agg(json_build_object('value', u.id, 'type', 'User', 'display', u.display_name) order by u.display_name_key, u.id)
	from group_member m join users u on u.id = m.user_id
	where m.group_id = g.id), '[]'::json)`
)

const (
	fromUserOfSource = `
from users u where u.id = $1 and u.source_id = $2 and (u.state <> 'removed' or u.timed_out)`
	selectUserOfSource           = `select ` + userColumns + noRelated + fromUserOfSource
	selectUserOfSourceWithGroups = `select ` + userColumns + groupsOf + fromUserOfSource
	fromGroupOfSource            = `
from directory_group g where g.id = $1 and g.source_id = $2`
	selectGroupOfSource = `select ` + groupColumns + fromGroupOfSource
	// A page by the primary key.
	selectMembersOfSource = `
select u.id::text, u.display_name from group_member m join users u on u.id = m.user_id
where m.group_id = $1 and m.user_id > $2 and exists (select from directory_group g where g.id = $1 and g.source_id = $3)
order by m.user_id limit $4`
	selectMembers = `select ''` + membersOf + ` from directory_group g where g.id = $1`
	// What a source means by a manager: an id, as SCIM has it, or what other
	// systems send instead, an externalId or a userName.
	selectManager = `
select u.id::text, u.id <> $2 and u.external_id = $3 from users u
where u.source_id = $1 and u.state <> 'removed'
	and (u.id = $2 or u.user_name_form = lower(normalize($3, NFKC)) or (u.external_id = $3 and u.external_id <> ''))
order by (u.id = $2) desc, (u.external_id = $3) desc limit 2`
	// A userName is given to others in time: of two different externalIds it says nothing.
	// Nor does an externalId that the source has given to several, here or gone.
	lockRemovedUsers = `
select ` + userColumns + ` from users u
where u.source_id = $1 and u.state = 'removed'
	and (u.user_name_form = lower(normalize($2, NFKC)) and (u.external_id = '' or $3 = '')
		or u.external_id = $3 and u.external_id <> '' and 1 = (
			select count(*) from (select from users o where o.source_id = $1 and o.external_id = $3 and o.external_id <> '' limit 2) as o))
order by (u.external_id = $3 and u.external_id <> '') desc, u.id
limit 2 for update`
)

// GetUserOfSource reads a user of a source who has not left, or was removed for being
// suspended for too long; related: with their groups.
func GetUserOfSource(ctx context.Context, tx *postgres.Tx, source, id uuid.UUID, related bool) (scim.User, error) {
	sql := selectUserOfSource
	if related {
		sql = selectUserOfSourceWithGroups
	}
	var u User
	var groups []scim.Member
	if err := found(tx.QueryRow(ctx, sql, id, source).Scan(u.targets(&groups)...), "read user"); err != nil {
		return scim.User{}, err
	}
	out := u.SCIM()
	out.Groups = groups
	return out, nil
}

// GetGroupOfSource reads a group of a source, without its members.
func GetGroupOfSource(ctx context.Context, tx *postgres.Tx, source, id uuid.UUID) (scim.Group, error) {
	var g Group
	err := found(tx.QueryRow(ctx, selectGroupOfSource, id, source).Scan(g.targets()...), "read group")
	return g.SCIM(), err
}

// ListMembersOfSource reads members of a group of a source, from behind the one with
// the id after, in the order of their ids.
func ListMembersOfSource(ctx context.Context, tx *postgres.Tx, source, group, after uuid.UUID, limit int) ([]scim.Member, error) {
	rows, err := tx.Query(ctx, selectMembersOfSource, group, after, source, limit)
	return collect("list members", rows, err, func(row pgx.CollectableRow) (scim.Member, error) {
		m := scim.Member{Type: "User"}
		err := row.Scan(&m.Value, &m.Display)
		return m, err
	})
}

// ReadMembers reads the members of a group.
func ReadMembers(ctx context.Context, tx *postgres.Tx, group uuid.UUID) (members []scim.Member, err error) {
	var empty string
	if err := tx.QueryRow(ctx, selectMembers, group).Scan(&empty, &members); err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	return members, nil
}

// ManagerQuery looks for the user that a source means by a manager.
type ManagerQuery struct {
	Source uuid.UUID
	Ref    string
}

func (m ManagerQuery) queue(b *pgx.Batch, to *string) {
	*to = ""
	if m.Ref == "" {
		return
	}
	id, _ := ParseID(m.Ref)
	b.Queue(selectManager, m.Source, id, m.Ref).Query(func(rows pgx.Rows) error {
		var found string
		var byExternalID bool
		before := false // the one before was found by externalId
		_, err := pgx.ForEachRow(rows, []any{&found, &byExternalID}, func() error {
			switch {
			case *to == "":
				*to = found
			case before && byExternalID:
				*to = "" // it is that of two
			}
			before = byExternalID
			return nil
		})
		return err
	})
}

// FindManager gives the id of the user that a source means; empty for nobody, or
// nobody yet.
func FindManager(ctx context.Context, tx *postgres.Tx, m ManagerQuery) (id string, err error) {
	var b pgx.Batch
	m.queue(&b, &id)
	return id, send(ctx, tx, &b, "look for the manager")
}

// Arrival is what a new user of a source is decided by.
type Arrival struct {
	SourceName string
	ManagerID  string // empty for nobody, or nobody yet
	// Removed is the user who has left and is back, locked: the only one of the source,
	// present or gone, with the same externalId or, where one of the two has none, the
	// only one gone with the same userName. Nil for somebody new.
	Removed *User
}

// LoadArrival reads, in one round trip, what a new user of a source is decided
// by.
func LoadArrival(ctx context.Context, tx *postgres.Tx, manager ManagerQuery, userName, externalID string) (a Arrival, err error) {
	var b pgx.Batch
	queueSourceName(&b, manager.Source, &a.SourceName)
	manager.queue(&b, &a.ManagerID)
	b.Queue(lockRemovedUsers, manager.Source, userName, externalID).Query(func(rows pgx.Rows) error {
		gone, err := pgx.CollectRows(rows, scanUser)
		if len(gone) == 1 || len(gone) > 1 && externalID != "" && gone[0].ExternalID == externalID {
			a.Removed = &gone[0]
		}
		return err
	})
	return a, send(ctx, tx, &b, "look for the user")
}

func queueSourceName(b *pgx.Batch, source uuid.UUID, to *string) {
	b.Queue(selectSourceName, source).QueryRow(func(row pgx.Row) error { return found(row.Scan(to), "read source") })
}

// LoadNewGroup reads, in one round trip, the name of a source and those of its
// users among the members of a new group.
func LoadNewGroup(ctx context.Context, tx *postgres.Tx, source uuid.UUID, members []uuid.UUID) (sourceName string, m Members, err error) {
	var b pgx.Batch
	queueSourceName(&b, source, &sourceName)
	m.queueUsers(&b, source, members)
	return sourceName, m, send(ctx, tx, &b, "look for members")
}

// ParseID reads an id that may be any text.
func ParseID(text string) (uuid.UUID, bool) {
	if len(text) != 36 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(text)
	return id, err == nil
}
