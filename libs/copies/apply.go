package copies

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// row is a row to be written, if nothing newer is there.
type row struct {
	id, organization uuid.UUID
	message          proto.Message
	version          int64
	removed          bool
	event            *inbox.Event
}

// member is one membership.
type member struct{ group, user uuid.UUID }

// membership is a membership to be written, if nothing newer is there.
type membership struct {
	member
	version int64
	removed bool
	event   *inbox.Event
}

// batch is what is to be written for one organization, of each thing the
// newest. Statements come in one order and their rows in that of the ids.
type batch struct {
	organization uuid.UUID
	rows         map[*table]map[uuid.UUID]*row
	members      map[member]*membership
	// snapshot says that rows come from one: groups are there with all their
	// members.
	snapshot bool
}

func newBatch(organization uuid.UUID, snapshot bool) *batch {
	return &batch{organization: organization, snapshot: snapshot, rows: map[*table]map[uuid.UUID]*row{}, members: map[member]*membership{}}
}

func tableOf(kind Kinds) *table { return kind.tables()[0] }

// put adds a row, unless a newer one of the same thing is in the batch.
func (b *batch) put(kind Kinds, id string, m proto.Message, version int64, removed bool, ev *inbox.Event) error {
	t := tableOf(kind)
	key, err := uuid.Parse(id)
	if err != nil {
		return fmt.Errorf("%s has no id: %w", t.word, err)
	}
	if b.rows[t] == nil {
		b.rows[t] = map[uuid.UUID]*row{}
	}
	had := b.rows[t][key]
	if had != nil && (had.version > version || (had.version == version && (had.removed || !removed))) {
		return nil
	}
	if had != nil && had.removed && t.final {
		removed = true
	}
	b.rows[t][key] = &row{id: key, organization: b.organization, message: m, version: version, removed: removed, event: ev}
	return nil
}

func (b *batch) putMember(group, user string, version int64, removed bool, ev *inbox.Event) error {
	var key member
	var err error
	if key.group, err = uuid.Parse(group); err != nil {
		return fmt.Errorf("group has no id: %w", err)
	}
	if key.user, err = uuid.Parse(user); err != nil {
		return fmt.Errorf("member has no id: %w", err)
	}
	if had := b.members[key]; had == nil || had.version < version {
		b.members[key] = &membership{member: key, version: version, removed: removed, event: ev}
	}
	return nil
}

func (b *batch) putUser(u *identityv1.User, version int64, ev *inbox.Event) error {
	return b.put(Users, u.GetId(), u, version, u.GetState() == identityv1.UserState_USER_STATE_REMOVED, ev)
}

func (b *batch) putApp(a *requestv1.App, version int64, ev *inbox.Event) error {
	return b.put(Apps, a.GetId(), a, version, a.GetDeleteTime() != nil, ev)
}

func (b *batch) putEntitlement(e *requestv1.Entitlement, version int64, ev *inbox.Event) error {
	return b.put(Entitlements, e.GetId(), e, version, e.GetDeleteTime() != nil, ev)
}

func (b *batch) putGrant(g *provisioningv1.Grant, version int64, ev *inbox.Event) error {
	return b.put(Grants, g.GetId(), g, version, g.GetState() == provisioningv1.GrantState_GRANT_STATE_REVOKED, ev)
}

func (b *batch) putFlow(f *approvalv1.Flow, version int64, ev *inbox.Event) error {
	return b.put(Flows, f.GetId(), f, max(version, int64(f.GetVersion())), f.GetDeleteTime() != nil, ev)
}

// events are the messages that say something about the kinds.
func events(kinds Kinds) []proto.Message {
	var out []proto.Message
	for kind, messages := range map[Kinds][]proto.Message{
		Environments: {(*eventv1.EnvironmentCreated)(nil), (*eventv1.EnvironmentUpdated)(nil)},
		Users: {
			(*eventv1.UserJoined)(nil), (*eventv1.UserUpdated)(nil), (*eventv1.UserSuspended)(nil), (*eventv1.UserRemoved)(nil),
			(*eventv1.SessionEnded)(nil), (*eventv1.ApiTokenRevoked)(nil),
		},
		Groups: {
			(*eventv1.GroupCreated)(nil), (*eventv1.GroupUpdated)(nil), (*eventv1.GroupRemoved)(nil),
			(*eventv1.GroupMemberAdded)(nil), (*eventv1.GroupMemberRemoved)(nil),
		},
		Apps:         {(*eventv1.AppCreated)(nil), (*eventv1.AppUpdated)(nil), (*eventv1.AppDeleted)(nil)},
		Entitlements: {(*eventv1.EntitlementCreated)(nil), (*eventv1.EntitlementUpdated)(nil), (*eventv1.EntitlementDeleted)(nil)},
		Flows:        {(*eventv1.FlowCreated)(nil), (*eventv1.FlowUpdated)(nil), (*eventv1.FlowDeleted)(nil)},
		Grants: {
			(*eventv1.GrantCreated)(nil), (*eventv1.GrantActivated)(nil), (*eventv1.GrantHeld)(nil), (*eventv1.GrantExpiring)(nil),
			(*eventv1.GrantEnded)(nil), (*eventv1.GrantRevoked)(nil), (*eventv1.GrantFailed)(nil), (*eventv1.GrantReopened)(nil),
		},
	} {
		if kinds.has(kind) {
			out = append(out, messages...)
		}
	}
	return out
}

// add adds what an event says.
func (b *batch) add(ev *inbox.Event) error {
	var version int64 // of the event
	if m, ok := ev.Message.(interface{ GetContext() *eventv1.Context }); ok {
		version = m.GetContext().GetVersion()
	}
	user := func(u *identityv1.User, state identityv1.UserState) error {
		if u.GetState() != state {
			u = proto.CloneOf(u)
			u.State = state
		}
		return b.putUser(u, max(version, u.GetVersion()), ev)
	}
	group := func(g *identityv1.Group, removed bool) error {
		version = max(version, g.GetVersion())
		return b.put(Groups, g.GetId(), g, version, removed, ev)
	}
	grant := func(g *provisioningv1.Grant) error { return b.putGrant(g, max(version, g.GetVersion()), ev) }
	app := func(a *requestv1.App) error {
		return b.putApp(a, max(version, a.GetVersion()), ev)
	}
	entitlement := func(e *requestv1.Entitlement) error {
		return b.putEntitlement(e, max(version, e.GetVersion()), ev)
	}
	environment := func(e *identityv1.Environment) error {
		return b.put(Environments, e.GetId(), e, max(version, e.GetVersion()), false, ev)
	}
	inGroup := func(g *identityv1.Group, p *identityv1.Person, removed bool) error {
		if err := group(g, false); err != nil {
			return err
		}
		return b.putMember(g.GetId(), p.GetUserId(), version, removed, ev)
	}
	switch m := ev.Message.(type) {
	case *eventv1.EnvironmentCreated:
		return environment(m.GetEnvironment())
	case *eventv1.EnvironmentUpdated:
		return environment(m.GetEnvironment())
	case *eventv1.UserJoined:
		return user(m.GetUser(), m.GetUser().GetState())
	case *eventv1.UserUpdated:
		return user(m.GetUser(), m.GetUser().GetState())
	case *eventv1.UserSuspended:
		return user(m.GetUser(), identityv1.UserState_USER_STATE_SUSPENDED)
	case *eventv1.UserRemoved:
		return user(m.GetUser(), identityv1.UserState_USER_STATE_REMOVED)
	case *eventv1.SessionEnded:
		return user(m.GetUser(), m.GetUser().GetState())
	case *eventv1.ApiTokenRevoked:
		if m.GetUser() == nil { // an event of the user says it
			return nil
		}
		return user(m.GetUser(), m.GetUser().GetState())
	case *eventv1.GroupCreated:
		return group(m.GetGroup(), false)
	case *eventv1.GroupUpdated:
		return group(m.GetGroup(), false)
	case *eventv1.GroupRemoved:
		return group(m.GetGroup(), true)
	case *eventv1.GroupMemberAdded:
		return inGroup(m.GetGroup(), m.GetMember(), false)
	case *eventv1.GroupMemberRemoved:
		return inGroup(m.GetGroup(), m.GetMember(), true)
	case *eventv1.AppCreated:
		return app(m.GetApp())
	case *eventv1.AppUpdated:
		return app(m.GetApp())
	case *eventv1.AppDeleted:
		return app(m.GetApp())
	case *eventv1.EntitlementCreated:
		return entitlement(m.GetEntitlement())
	case *eventv1.EntitlementUpdated:
		return entitlement(m.GetEntitlement())
	case *eventv1.EntitlementDeleted:
		return entitlement(m.GetEntitlement())
	case *eventv1.FlowCreated:
		return b.putFlow(m.GetFlow(), version, ev)
	case *eventv1.FlowUpdated:
		return b.putFlow(m.GetFlow(), version, ev)
	case *eventv1.FlowDeleted:
		return b.putFlow(m.GetFlow(), version, ev)
	case *eventv1.GrantCreated:
		return grant(m.GetGrant())
	case *eventv1.GrantActivated:
		return grant(m.GetGrant())
	case *eventv1.GrantHeld:
		return grant(m.GetGrant())
	case *eventv1.GrantExpiring:
		return grant(m.GetGrant())
	case *eventv1.GrantEnded:
		return grant(m.GetGrant())
	case *eventv1.GrantRevoked:
		return grant(m.GetGrant())
	case *eventv1.GrantFailed:
		return grant(m.GetGrant())
	case *eventv1.GrantReopened:
		return grant(m.GetGrant())
	}
	return fmt.Errorf("event of type %s says nothing about a copy", ev.Type)
}

// Apply writes users, apps and entitlements of an organization as a snapshot has
// them, without what follows from it: for tools and tests.
func Apply(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, things ...proto.Message) error {
	b := newBatch(organization, true)
	for _, thing := range things {
		var err error
		switch m := thing.(type) {
		case *identityv1.User:
			err = b.putUser(m, m.GetVersion(), nil)
		case *requestv1.App:
			err = b.putApp(m, m.GetVersion(), nil)
		case *requestv1.Entitlement:
			err = b.putEntitlement(m, m.GetVersion(), nil)
		default:
			err = fmt.Errorf("%T is not copied", thing)
		}
		if err != nil {
			return err
		}
	}
	return (&Copies{}).apply(ctx, tx, b)
}

// Queue adds to q what applies events of one organization, without what follows
// from it: for a service that has a handler of its own for them, which Register
// leaves out. Groups cannot be applied that way.
func Queue(q *pgx.Batch, list []inbox.Event) error {
	if len(list) == 0 {
		return nil
	}
	b := newBatch(list[0].OrganizationID, false)
	for i := range list {
		if err := b.add(&list[i]); err != nil {
			return inbox.Failed(list[i], err)
		}
	}
	if len(b.rows[tableOf(Groups)]) > 0 {
		return errors.New("groups are applied by Register alone")
	}
	for _, t := range tables {
		rows := b.inOrder(t)
		if len(rows) == 0 {
			continue
		}
		args, err := t.arguments(rows)
		if err != nil {
			return err
		}
		q.Queue(t.plain, args...)
	}
	return nil
}

// handle applies events, which are all of one organization.
func (c *Copies) handle(ctx context.Context, tx *postgres.Tx, list []inbox.Event) error {
	b := newBatch(list[0].OrganizationID, false)
	for i := range list {
		if err := b.add(&list[i]); err != nil {
			return inbox.Failed(list[i], err)
		}
	}
	return c.apply(ctx, tx, b)
}

// lockThings has whoever applies something about the same things wait, so that
// what was there before is known for sure. All wait in the same order.
const lockThings = `
select pg_advisory_xact_lock(k) from (
    select distinct hashtextextended(i::text, 7163507) k from unnest($1::uuid[]) i order by 1) s`

// writeMembers writes memberships of events, those of a removed group as over.
// What the last snapshot of the group knew already changes nothing.
const writeMembers = `
with n as (select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::boolean[]) n (group_id, user_id, version, removed)),
old as (select m.group_id, m.user_id, m.removed from group_member_copy m join n using (group_id, user_id)),
written as (
    insert into group_member_copy as c (group_id, user_id, organization_id, environment_id, version, removed)
    select n.group_id, n.user_id, g.organization_id, g.environment_id, n.version, n.removed or g.removed
    from n join group_copy g on g.id = n.group_id
    where n.version > g.members_version
    order by 1, 2
    on conflict (group_id, user_id) do update
    set version = excluded.version, removed = excluded.removed, environment_id = excluded.environment_id
    where c.version < excluded.version
    returning c.group_id, c.user_id, c.removed)
select w.group_id, w.user_id, w.removed from written w left join old o using (group_id, user_id)
where w.removed <> coalesce(o.removed, true) order by 1, 2`

// endMembers ends the memberships of removed groups.
const endMembers = `
update group_member_copy m set removed = true, version = greatest(m.version, g.version)
from group_copy g where g.id = m.group_id and g.id = any ($1) and g.removed and not m.removed
returning m.group_id, m.user_id, m.removed`

// seeGroups notes that a snapshot has groups, of which it knows all members.
const seeGroups = `
update group_copy g set members_version = greatest(g.members_version, n.version),
    rebuild = greatest(g.rebuild, (select s.begun from copy_state s where s.kind = 'group'))
from unnest($1::uuid[], $2::bigint[]) n (id, version) where g.id = n.id`

// snapshotMembers writes the memberships of a snapshot.
const snapshotMembers = `
with n as (select * from unnest($1::uuid[], $2::uuid[], $3::bigint[]) n (group_id, user_id, version)),
old as (select m.group_id, m.user_id, m.removed from group_member_copy m join n using (group_id, user_id)),
written as (
    insert into group_member_copy as c (group_id, user_id, organization_id, environment_id, version, removed)
    select n.group_id, n.user_id, g.organization_id, g.environment_id, n.version, g.removed
    from n join group_copy g on g.id = n.group_id
    where n.version >= g.members_version
    order by 1, 2
    on conflict (group_id, user_id) do update
    set version = excluded.version, removed = excluded.removed, environment_id = excluded.environment_id
    where c.version <= excluded.version
        and (c.version, c.removed, c.environment_id) is distinct from (excluded.version, excluded.removed, excluded.environment_id)
    returning c.group_id, c.user_id, c.removed)
select w.group_id, w.user_id, w.removed from written w left join old o using (group_id, user_id)
where w.removed <> coalesce(o.removed, true) order by 1, 2`

// endUnlisted ends the memberships that a snapshot's group does not have at its
// version.
const endUnlisted = `
with n as (select * from unnest($1::uuid[], $2::uuid[]) n (group_id, user_id))
update group_member_copy m set removed = true, version = s.version
from unnest($3::uuid[], $4::bigint[]) s (id, version)
where m.group_id = s.id and m.version <= s.version and not m.removed
    and not exists (select from n where n.group_id = m.group_id and n.user_id = m.user_id)
returning m.group_id, m.user_id, m.removed`

// apply writes a batch, in one round trip, and has the hook do what follows. tx
// sees the organization.
func (c *Copies) apply(ctx context.Context, tx *postgres.Tx, b *batch) error {
	changes := &Changes{OrganizationID: b.organization}
	var q pgx.Batch
	var locked []uuid.UUID
	for _, rows := range b.rows {
		locked = slices.AppendSeq(locked, maps.Keys(rows))
	}
	if len(locked) == 0 {
		return nil
	}
	q.Queue(lockThings, locked)
	for _, t := range tables {
		if err := b.queue(&q, t, changes); err != nil {
			return err
		}
	}
	b.queueMembers(&q, changes)
	if err := tx.SendBatch(ctx, &q).Close(); err != nil {
		return fmt.Errorf("write copies: %w", err)
	}
	return c.callChanged(ctx, tx, changes)
}

// callChanged calls the hook if anything has changed.
func (c *Copies) callChanged(ctx context.Context, tx *postgres.Tx, changes *Changes) error {
	if c.cfg.Changed == nil || changes.empty() {
		return nil
	}
	return c.cfg.Changed(ctx, tx, changes)
}

// inOrder are the rows of a table by id.
func (b *batch) inOrder(t *table) []*row {
	return slices.SortedFunc(maps.Values(b.rows[t]), func(x, y *row) int { return bytes.Compare(x.id[:], y.id[:]) })
}

// queue adds the statement that writes the rows of a table.
func (b *batch) queue(q *pgx.Batch, t *table, changes *Changes) error {
	rows := b.inOrder(t)
	if len(rows) == 0 {
		return nil
	}
	args, err := t.arguments(rows)
	if err != nil {
		return err
	}
	statement := t.fromEvents
	if b.snapshot {
		statement = t.fromSnapshot
	}
	q.Queue(statement, args...).Query(func(found pgx.Rows) error {
		var id uuid.UUID
		var removed bool
		var was *bool
		var data []byte
		_, err := pgx.ForEachRow(found, []any{&id, &removed, &was, &data}, func() error {
			r := b.rows[t][id]
			var before proto.Message
			if was != nil {
				before = r.message.ProtoReflect().New().Interface()
				if err := proto.Unmarshal(data, before); err != nil {
					return fmt.Errorf("read %s %s: %w", t.word, id, err)
				}
			}
			changes.add(r, before, was != nil && *was, removed)
			return nil
		})
		return err
	})
	return nil
}

// queueMembers adds the statements that write memberships. Groups come before.
func (b *batch) queueMembers(q *pgx.Batch, changes *Changes) {
	groups := b.inOrder(tableOf(Groups))
	if len(groups) == 0 {
		return
	}
	list := slices.SortedFunc(maps.Values(b.members), func(x, y *membership) int {
		if c := bytes.Compare(x.group[:], y.group[:]); c != 0 {
			return c
		}
		return bytes.Compare(x.user[:], y.user[:])
	})
	groupIDs := postgres.Column(groups, func(r *row) uuid.UUID { return r.id })
	groupVersions := postgres.Column(groups, func(r *row) int64 { return r.version })
	of := postgres.Column(list, func(m *membership) uuid.UUID { return m.group })
	who := postgres.Column(list, func(m *membership) uuid.UUID { return m.user })
	versions := postgres.Column(list, func(m *membership) int64 { return m.version })
	removed := postgres.Column(list, func(m *membership) bool { return m.removed })
	note := func(rows pgx.Rows) error { return b.noteMembers(rows, changes) }

	switch {
	case b.snapshot:
		q.Queue(seeGroups, groupIDs, groupVersions)
		q.Queue(snapshotMembers, of, who, versions).Query(note)
		q.Queue(endUnlisted, of, who, groupIDs, groupVersions).Query(note)
	case len(list) > 0:
		q.Queue(writeMembers, of, who, versions, removed).Query(note)
	}
	if slices.ContainsFunc(groups, func(r *row) bool { return r.removed }) {
		q.Queue(endMembers, groupIDs).Query(note)
	}
}

func (b *batch) noteMembers(rows pgx.Rows, changes *Changes) error {
	var key member
	var removed bool
	_, err := pgx.ForEachRow(rows, []any{&key.group, &key.user, &removed}, func() error {
		var ev *inbox.Event
		if m := b.members[key]; m != nil {
			ev = m.event
		} else if g := b.rows[tableOf(Groups)][key.group]; g != nil {
			ev = g.event
		}
		changes.Members = append(changes.Members, MemberChange{GroupID: key.group, UserID: key.user, Removed: removed, Event: ev})
		return nil
	})
	return err
}
