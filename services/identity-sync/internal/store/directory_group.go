package store

import (
	"bytes"
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

// scim is the group as the SCIM handler wants it back.
func (g Group) scim() scim.Group {
	return scim.Group{
		ID: g.ID.String(), Version: g.Version, Created: g.CreateTime, LastModified: g.UpdateTime,
		ExternalID: g.ExternalID, DisplayName: g.DisplayName, Attributes: g.Attributes, MemberCount: int(g.MemberCount),
	}
}

func checkGroup(in scim.Group) error {
	switch {
	case utf8.RuneCountInString(in.ExternalID) > maxKey:
		return tooLong("externalId", maxKey)
	case utf8.RuneCountInString(in.DisplayName) > maxText:
		return tooLong("displayName", maxText)
	}
	return nil
}

// queuePeople reads the users of the source among members, and keeps them from
// being removed until the end of the transaction. Members who are none are an
// error.
func queuePeople(batch *pgx.Batch, source uuid.UUID, members []scim.Member, to map[uuid.UUID]person) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(members))
	for _, m := range members {
		id, ok := parseID(m.Value)
		if !ok {
			return nil, notMember(m.Value)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	batch.Queue(`
		select u.id, u.display_name, u.email from users u
		where u.id = any($1) and u.source_id = $2 and u.state <> 'removed' for key share`,
		ids, source).Query(func(rows pgx.Rows) error {
		var p person
		_, err := pgx.ForEachRow(rows, []any{&p.id, &p.name, &p.email}, func() error {
			to[p.id] = p
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, ok := to[id]; !ok {
				return notMember(id.String())
			}
		}
		return nil
	})
	return ids, nil
}

func notMember(value string) error {
	if utf8.RuneCountInString(value) > 64 {
		value = "a value that is no id"
	}
	return apierr.InvalidField("members", "MEMBER_UNKNOWN", "members: %s is not a user of this source", value)
}

// addMembers puts people into a group and returns who was not in it, in the
// order of ids.
func (w *write) addMembers(ctx context.Context, group uuid.UUID, ids []uuid.UUID, people map[uuid.UUID]person) ([]person, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := w.Query(ctx, `
		insert into group_member (group_id, user_id, organization_id, create_time)
		select $1, m.id, $3, $4 from unnest($2::uuid[]) as m (id)
		on conflict (group_id, user_id) do nothing
		returning user_id`, group, ids, w.organization, w.now)
	return w.ordered(rows, err, ids, people)
}

// ordered gives the people whom a statement returned, in the order of ids.
func (w *write) ordered(rows pgx.Rows, err error, ids []uuid.UUID, people map[uuid.UUID]person) ([]person, error) {
	var touched []uuid.UUID
	if err == nil {
		touched, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	}
	if err != nil {
		return nil, fmt.Errorf("change members: %w", err)
	}
	is := make(map[uuid.UUID]bool, len(touched))
	for _, id := range touched {
		is[id] = true
	}
	out := make([]person, 0, len(touched))
	for _, id := range ids {
		if is[id] {
			delete(is, id)
			out = append(out, people[id])
		}
	}
	return out, nil
}

// CreateGroup makes a group with its members.
func (d Directory) CreateGroup(ctx context.Context, src scim.Source, in scim.Group) (scim.Group, error) {
	if err := checkGroup(in); err != nil {
		return scim.Group{}, err
	}
	gid := newID()
	var g Group
	err := d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, w *write) error {
		people := map[uuid.UUID]person{}
		batch := &pgx.Batch{}
		w.queueSource(batch, src)
		ids, err := queuePeople(batch, src.ID, in.Members, people)
		if err != nil {
			return err
		}
		if err := w.send(ctx, batch); err != nil {
			return fmt.Errorf("look for members: %w", err)
		}
		g = Group{
			ID: gid, OrganizationID: src.OrganizationID, EnvironmentID: environmentOf(src), SourceID: src.ID, ExternalID: in.ExternalID, DisplayName: in.DisplayName,
			Version: 1, Attributes: in.Attributes, CreateTime: w.now, UpdateTime: w.now,
		}
		_, err = w.Exec(ctx, `
			insert into directory_group (id, organization_id, environment_id, source_id, external_id, display_name, version, attributes, create_time, update_time)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			g.ID, g.OrganizationID, ownerID(g.EnvironmentID), g.SourceID, g.ExternalID, g.DisplayName, g.Version, document(g.Attributes), g.CreateTime, g.UpdateTime)
		if err != nil {
			return fmt.Errorf("insert group: %w", err)
		}
		w.environment = g.EnvironmentID
		w.tell(g.ID, &eventv1.GroupCreated{Context: w.about("", g.Version), Group: g.Proto()})
		added, err := w.addMembers(ctx, g.ID, ids, people)
		if err != nil || len(added) == 0 {
			return err
		}
		w.tellMembers(&g, nil, added)
		return w.updateGroup(ctx, g)
	})
	out := g.scim()
	out.Members = in.Members
	return out, err
}

func (w *write) updateGroup(ctx context.Context, g Group) error {
	_, err := w.Exec(ctx, `
		update directory_group set external_id = $2, display_name = $3, member_count = $4, version = $5, attributes = $6, update_time = $7
		where id = $1`,
		g.ID, g.ExternalID, g.DisplayName, g.MemberCount, g.Version, document(g.Attributes), g.UpdateTime)
	if err != nil {
		return fmt.Errorf("update group %s: %w", g.ID, err)
	}
	return nil
}

// GetGroup returns a group of the source.
func (d Directory) GetGroup(ctx context.Context, src scim.Source, id string, related bool) (scim.Group, error) {
	gid, ok := parseID(id)
	if !ok {
		return scim.Group{}, errGroupNotFound
	}
	var g Group
	var members []scim.Member
	err := d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `select `+groupColumns+membersOf(related)+`
			from directory_group g where g.id = $1 and g.source_id = $2`, gid, src.ID).Scan(g.targets(&members)...)
		return found(err, errGroupNotFound, "read group")
	})
	out := g.scim()
	out.Members = members
	return out, err
}

// membersOf is the column with the members of a group, which is empty unless
// asked for.
func membersOf(related bool) string {
	if !related {
		return `, '[]'::json`
	}
	return `, coalesce((
		select json_agg(json_build_object('value', u.id, 'type', 'User', 'display', u.display_name) order by u.display_name_key, u.id)
		from group_member m join users u on u.id = m.user_id
		where m.group_id = g.id), '[]'::json)`
}

// UpdateGroup changes a group of the source.
func (d Directory) UpdateGroup(ctx context.Context, src scim.Source, id string, related bool, change func(scim.Group) (scim.GroupChange, error)) (scim.Group, error) {
	gid, ok := parseID(id)
	if !ok {
		return scim.Group{}, errGroupNotFound
	}
	var g Group
	err := d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, w *write) error {
		g = Group{}
		var members []scim.Member
		if err := w.lockGroup(ctx, src, gid, related, &g, &members); err != nil {
			return err
		}
		current := g.scim()
		current.Members = members
		c, err := change(current)
		if err != nil {
			return err
		}
		changed, err := w.changeAttributes(&g, c.Attributes)
		if err != nil {
			return err
		}
		removed, added, err := w.changeMembers(ctx, src, gid, c.Members)
		if err != nil {
			return err
		}
		if !changed && len(removed)+len(added) == 0 {
			return nil
		}
		g.UpdateTime = w.now
		w.tellMembers(&g, removed, added)
		return w.updateGroup(ctx, g)
	})
	return g.scim(), err
}

// lockGroup reads a group of the source that nobody else changes until the end
// of the transaction, and the source's name.
func (w *write) lockGroup(ctx context.Context, src scim.Source, id uuid.UUID, related bool, g *Group, members *[]scim.Member) error {
	var name string
	err := w.QueryRow(ctx, `
		select `+groupColumns+`, s.name from directory_group g join source s on s.id = g.source_id
		where g.id = $1 and g.source_id = $2 for update of g`, id, src.ID).
		Scan(g.targets(&name)...)
	if err := found(err, errGroupNotFound, "lock group"); err != nil {
		return err
	}
	w.actor = event.SourceActor(src.ID, name)
	if !related {
		return nil
	}
	// A statement of its own: it sees what the lock waited for.
	err = w.QueryRow(ctx, `select ''`+membersOf(true)+` from directory_group g where g.id = $1`, id).Scan(&name, members)
	if err != nil {
		return fmt.Errorf("read members: %w", err)
	}
	return nil
}

// changeAttributes takes over what a source now says of a group, and reports
// whether that is anything new.
func (w *write) changeAttributes(g *Group, next *scim.Group) (bool, error) {
	if next == nil || (next.ExternalID == g.ExternalID && next.DisplayName == g.DisplayName && bytes.Equal(next.Attributes, g.Attributes)) {
		return false, nil
	}
	if err := checkGroup(*next); err != nil {
		return false, err
	}
	seen := next.ExternalID != g.ExternalID || next.DisplayName != g.DisplayName
	g.ExternalID, g.DisplayName, g.Attributes, g.UpdateTime = next.ExternalID, next.DisplayName, next.Attributes, w.now
	g.Version++
	if seen {
		w.environment = g.EnvironmentID
		w.tell(g.ID, &eventv1.GroupUpdated{Context: w.about("", g.Version), Group: g.Proto()})
	}
	return true, nil
}

// changeMembers changes the members by their difference, and returns it.
func (w *write) changeMembers(ctx context.Context, src scim.Source, group uuid.UUID, c scim.MemberChange) (removed, added []person, err error) {
	if c.Empty() {
		return nil, nil, nil
	}
	people := map[uuid.UUID]person{}
	batch := &pgx.Batch{}
	add, err := queuePeople(batch, src.ID, c.Add, people)
	if err != nil {
		return nil, nil, err
	}
	var remove []uuid.UUID
	for _, r := range c.Remove {
		if id, ok := parseID(r); ok {
			remove = append(remove, id)
		}
	}
	if c.Clear || len(remove) > 0 {
		batch.Queue(`
			with gone as (
				delete from group_member m
				where m.group_id = $1 and case when $2 then m.user_id <> all($3::uuid[]) else m.user_id = any($4::uuid[]) end
				returning m.user_id)
			select u.id, u.display_name, u.email from gone join users u on u.id = gone.user_id
			order by u.display_name_key, u.id`,
			group, c.Clear, notNil(add), notNil(remove)).Query(func(rows pgx.Rows) (err error) {
			removed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (person, error) {
				var p person
				err := row.Scan(&p.id, &p.name, &p.email)
				return p, err
			})
			return err
		})
	}
	if err := w.send(ctx, batch); err != nil {
		return nil, nil, fmt.Errorf("change members: %w", err)
	}
	added, err = w.addMembers(ctx, group, add, people)
	return removed, added, err
}

// notNil makes an empty array of no array, which would be null.
func notNil(ids []uuid.UUID) []uuid.UUID {
	if ids == nil {
		return []uuid.UUID{}
	}
	return ids
}

// DeleteGroup removes a group of the source, and with it its memberships.
func (d Directory) DeleteGroup(ctx context.Context, src scim.Source, id string, allow func(version int64) error) error {
	gid, ok := parseID(id)
	if !ok {
		return errGroupNotFound
	}
	return d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, w *write) error {
		var g Group
		if err := w.lockGroup(ctx, src, gid, false, &g, nil); err != nil {
			return err
		}
		if err := allow(g.Version); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `delete from directory_group where id = $1`, gid); err != nil {
			return fmt.Errorf("delete group %s: %w", gid, err)
		}
		g.Version++
		g.UpdateTime = w.now
		w.environment = g.EnvironmentID
		w.tell(g.ID, &eventv1.GroupRemoved{Context: w.about("", g.Version), Group: g.Proto()})
		return nil
	})
}

var groupList = list[scim.Group]{
	from:    `directory_group g`,
	base:    `g.source_id = ?`,
	id:      `g.id`,
	columns: groupColumns,
	related: membersOf,
	equal: map[scim.Attribute]string{
		scim.AttributeExternalID:  `g.external_id = ? and g.external_id <> ''`,
		scim.AttributeDisplayName: `g.display_name_key = lower(left(?, 200)) and lower(g.display_name) = lower(?)`,
	},
	sort: map[scim.SortKey]string{
		scim.SortID: `g.id`, scim.SortExternalID: `lower(g.external_id)`, scim.SortDisplayName: `g.display_name_key`,
		scim.SortCreated: `g.create_time`, scim.SortLastModified: `g.update_time`,
	},
	scan: func(rows pgx.Rows) (scim.Group, error) {
		var g Group
		var members []scim.Member
		err := rows.Scan(g.targets(&members)...)
		out := g.scim()
		out.Members = members
		return out, err
	},
}

// ListGroups lists groups of the source.
func (d Directory) ListGroups(ctx context.Context, src scim.Source, q scim.Query[scim.Group]) (scim.Page[scim.Group], error) {
	return groupList.page(ctx, d.db, src, q)
}
