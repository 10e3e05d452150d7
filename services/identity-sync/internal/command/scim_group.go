package command

import (
	"bytes"
	"context"
	"unicode/utf8"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/scim"
	"gatehouse.dev/services/identity-sync/internal/store"
)

func checkGroup(in scim.Group) error {
	switch {
	case utf8.RuneCountInString(in.ExternalID) > maxKey:
		return tooLong("externalId", maxKey)
	case utf8.RuneCountInString(in.DisplayName) > maxText:
		return tooLong("displayName", maxText)
	}
	return nil
}

// memberIDs reads the ids of members to be added.
func memberIDs(members []scim.Member) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(members))
	for _, m := range members {
		user, ok := store.ParseID(m.Value)
		if !ok {
			return nil, unknownMember(m.Value)
		}
		ids = append(ids, user)
	}
	return ids, nil
}

// checkMembers refuses members who are no users of the source.
func checkMembers(ids []uuid.UUID, users map[uuid.UUID]store.Person) error {
	for _, user := range ids {
		if _, ok := users[user]; !ok {
			return unknownMember(user.String())
		}
	}
	return nil
}

func unknownMember(value string) error {
	if utf8.RuneCountInString(value) > 64 {
		value = "a value that is no id"
	}
	return apierr.InvalidField("members", "MEMBER_UNKNOWN", "members: %s is not a user of this source", value)
}

// addMembers adds members to a group and gives those who were none before, in
// the order of ids.
func (t *transaction) addMembers(ctx context.Context, group uuid.UUID, ids []uuid.UUID, users map[uuid.UUID]store.Person) ([]store.Person, error) {
	added, err := store.AddMembers(ctx, t.Tx, t.organization, group, ids, t.now)
	if err != nil {
		return nil, err
	}
	out := make([]store.Person, 0, len(added))
	for _, user := range ids {
		if added[user] {
			delete(added, user) // an id may be there twice
			out = append(out, users[user])
		}
	}
	return out, nil
}

// CreateGroup creates a group with its members.
func (d Directory) CreateGroup(ctx context.Context, src scim.Source, in scim.Group) (scim.Group, error) {
	if err := checkGroup(in); err != nil {
		return scim.Group{}, err
	}
	ids, err := memberIDs(in.Members)
	if err != nil {
		return scim.Group{}, err
	}
	gid := id.New()
	var g store.Group
	err = d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		name, members, err := store.LoadNewGroup(ctx, tx.Tx, src.ID, ids)
		if err != nil {
			return orNotFound(err, ErrTokenInvalid)
		}
		if err := checkMembers(ids, members.Users); err != nil {
			return err
		}
		tx.actor = event.SourceActor(src.ID, name)
		g = store.Group{
			ID: gid, OrganizationID: src.OrganizationID, EnvironmentID: environmentOf(src), SourceID: src.ID, ExternalID: in.ExternalID, DisplayName: in.DisplayName,
			Version: 1, Attributes: in.Attributes, CreateTime: tx.now, UpdateTime: tx.now,
		}
		if err := store.InsertGroup(ctx, tx.Tx, g); err != nil {
			return err
		}
		tx.environment = g.EnvironmentID
		tx.emit(g.ID, &eventv1.GroupCreated{Context: tx.about("", g.Version), Group: convert.Group(g)})
		added, err := tx.addMembers(ctx, g.ID, ids, members.Users)
		if err != nil || len(added) == 0 {
			return err
		}
		tx.emitMembers(&g, nil, added)
		return store.UpdateGroup(ctx, tx.Tx, g)
	})
	out := g.SCIM()
	out.Members = in.Members
	return out, err
}

// GetGroup gives a group of the source, without its members.
func (d Directory) GetGroup(ctx context.Context, src scim.Source, groupID string) (g scim.Group, err error) {
	gid, ok := store.ParseID(groupID)
	if !ok {
		return g, errGroupNotFound
	}
	err = d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		g, err = store.GetGroupOfSource(ctx, tx, src.ID, gid)
		return orNotFound(err, errGroupNotFound)
	})
	return g, err
}

// ListMembers gives members of a group of the source, from behind the one with the id
// after.
func (d Directory) ListMembers(ctx context.Context, src scim.Source, groupID, after string, limit int) (members []scim.Member, err error) {
	gid, ok := store.ParseID(groupID)
	if !ok {
		return nil, errGroupNotFound
	}
	last, _ := store.ParseID(after)
	err = d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		members, err = store.ListMembersOfSource(ctx, tx, src.ID, gid, last, limit)
		return err
	})
	return members, err
}

// UpdateGroup changes a group of the source; related: the change is given its
// members.
func (d Directory) UpdateGroup(ctx context.Context, src scim.Source, groupID string, related bool, change func(scim.Group) (scim.GroupChange, error)) (scim.Group, error) {
	gid, ok := store.ParseID(groupID)
	if !ok {
		return scim.Group{}, errGroupNotFound
	}
	var g store.Group
	err := d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, tx *transaction) (err error) {
		if g, err = tx.lockGroup(ctx, src, gid); err != nil {
			return err
		}
		current := g.SCIM()
		if related {
			// A statement of its own: it sees what the lock waited for.
			if current.Members, err = store.ReadMembers(ctx, tx.Tx, gid); err != nil {
				return err
			}
		}
		c, err := change(current)
		if err != nil {
			return err
		}
		changed, err := tx.changeAttributes(&g, c.Attributes)
		if err != nil {
			return err
		}
		removed, added, err := tx.changeMembers(ctx, src, gid, c.Members)
		if err != nil {
			return err
		}
		if !changed && len(removed)+len(added) == 0 {
			return nil
		}
		g.UpdateTime = tx.now
		tx.emitMembers(&g, removed, added)
		return store.UpdateGroup(ctx, tx.Tx, g)
	})
	return g.SCIM(), err
}

// lockGroup reads a group of the source that nobody else changes until the end of
// the transaction; the source is the actor.
func (t *transaction) lockGroup(ctx context.Context, src scim.Source, group uuid.UUID) (store.Group, error) {
	g, name, err := store.LockGroupOfSource(ctx, t.Tx, src.ID, group)
	t.actor = event.SourceActor(src.ID, name)
	return g, orNotFound(err, errGroupNotFound)
}

// changeAttributes takes over what a source now says of a group, and reports
// whether that is anything new.
func (t *transaction) changeAttributes(g *store.Group, next *scim.Group) (bool, error) {
	if next == nil || (next.ExternalID == g.ExternalID && next.DisplayName == g.DisplayName && bytes.Equal(next.Attributes, g.Attributes)) {
		return false, nil
	}
	if err := checkGroup(*next); err != nil {
		return false, err
	}
	seen := next.ExternalID != g.ExternalID || next.DisplayName != g.DisplayName
	g.ExternalID, g.DisplayName, g.Attributes, g.UpdateTime = next.ExternalID, next.DisplayName, next.Attributes, t.now
	g.Version++
	if seen {
		t.environment = g.EnvironmentID
		t.emit(g.ID, &eventv1.GroupUpdated{Context: t.about("", g.Version), Group: convert.Group(*g)})
	}
	return true, nil
}

// changeMembers changes the members by their difference, and gives it.
func (t *transaction) changeMembers(ctx context.Context, src scim.Source, group uuid.UUID, c scim.MemberChange) (removed, added []store.Person, err error) {
	if c.Empty() {
		return nil, nil, nil
	}
	change := store.MemberChange{Clear: c.Clear}
	if change.Add, err = memberIDs(c.Add); err != nil {
		return nil, nil, err
	}
	for _, r := range c.Remove {
		if user, ok := store.ParseID(r); ok {
			change.Remove = append(change.Remove, user)
		}
	}
	members, err := store.RemoveMembers(ctx, t.Tx, src.ID, group, change)
	if err != nil {
		return nil, nil, err
	}
	if err := checkMembers(change.Add, members.Users); err != nil {
		return nil, nil, err
	}
	added, err = t.addMembers(ctx, group, change.Add, members.Users)
	return members.Removed, added, err
}

// DeleteGroup removes a group of the source with its memberships.
func (d Directory) DeleteGroup(ctx context.Context, src scim.Source, groupID string, allow func(version int64) error) error {
	gid, ok := store.ParseID(groupID)
	if !ok {
		return errGroupNotFound
	}
	return d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		g, err := tx.lockGroup(ctx, src, gid)
		if err != nil {
			return err
		}
		if err := allow(g.Version); err != nil {
			return err
		}
		return tx.removeGroup(ctx, g)
	})
}

// ListGroups lists groups of the source.
func (d Directory) ListGroups(ctx context.Context, src scim.Source, q scim.Query[scim.Group]) (p scim.Page[scim.Group], err error) {
	err = d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		p, err = store.QueryGroups(ctx, tx, src.ID, q)
		return err
	})
	return p, err
}
