package store

import (
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/outbox"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

// tell adds an event.
func (w *write) tell(id uuid.UUID, m proto.Message) {
	w.events = append(w.events, outbox.Event{
		OrganizationID: w.organization, AggregateID: id, Time: w.now, Message: m,
	})
}

// about is the context of an event about a user, if there is one, of which the
// aggregate has the version then.
func (w *write) about(user string, version int64) *eventv1.Context {
	return &eventv1.Context{Actor: w.actor, UserId: user, Version: version, EnvironmentId: w.environment}
}

// tellUser tells what became of a user. u is the user as written.
func (w *write) tellUser(u User, o lifecycle.Outcome) {
	w.environment = u.EnvironmentID
	for _, e := range o.Events {
		at := u.Proto()
		at.Version = e.Version
		ctx := w.about(at.GetId(), e.Version)
		var m proto.Message
		switch e.Name {
		case lifecycle.UserJoined:
			m = &eventv1.UserJoined{Context: ctx, User: at}
		case lifecycle.UserUpdated:
			m = &eventv1.UserUpdated{Context: ctx, User: at, ChangedFields: e.Changed}
		case lifecycle.UserSuspended:
			m = &eventv1.UserSuspended{Context: ctx, User: at}
		case lifecycle.UserRemoved:
			m = &eventv1.UserRemoved{Context: ctx, User: at}
		}
		w.tell(u.ID, m)
	}
	if o.RoleChanged() {
		w.tell(u.ID, &eventv1.RoleChanged{
			Context: w.about(u.ID.String(), u.Version), User: u.Proto(), PreviousRole: roleProto(o.Before.Role),
		})
	}
}

// tellMembers tells who came into a group or went out of it, one by one, and
// counts the group's version and members along.
func (w *write) tellMembers(g *Group, removed, added []person) {
	w.environment = g.EnvironmentID
	for _, p := range removed {
		g.Version++
		g.MemberCount--
		w.tell(g.ID, &eventv1.GroupMemberRemoved{
			Context: w.about(p.id.String(), g.Version), Group: g.Proto(), Member: p.proto(),
		})
	}
	for _, p := range added {
		g.Version++
		g.MemberCount++
		w.tell(g.ID, &eventv1.GroupMemberAdded{
			Context: w.about(p.id.String(), g.Version), Group: g.Proto(), Member: p.proto(),
		})
	}
}

// person is a user as shown beside something else.
type person struct {
	id          uuid.UUID
	name, email string
}

func (p person) proto() *identityv1.Person {
	return &identityv1.Person{UserId: p.id.String(), DisplayName: p.name, Email: p.email}
}
