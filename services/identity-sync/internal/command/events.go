package command

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/outbox"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// emit adds an event.
func (t *transaction) emit(id uuid.UUID, m proto.Message) {
	t.events = append(t.events, outbox.Event{OrganizationID: t.organization, AggregateID: id, Time: t.now, Message: m})
}

// about is the context of an event about a user, empty for none; version is that
// of the aggregate after it.
func (t *transaction) about(user string, version int64) *eventv1.Context {
	return &eventv1.Context{
		Actor: t.actor, UserId: user, Version: version, EnvironmentId: t.environment, Bulk: t.actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_SOURCE,
	}
}

// clientAddress is where a call comes from, as events have it.
func clientAddress(ctx context.Context) string { return authz.AddressText(authz.ClientAddress(ctx)) }

// emitUser emits the events of a change of a user. u is the user as saved.
func (t *transaction) emitUser(u store.User, o lifecycle.Outcome) {
	t.environment = u.EnvironmentID
	for _, e := range o.Events {
		at := convert.User(u)
		at.Version = e.Version
		about := t.about(at.GetId(), e.Version)
		var m proto.Message
		switch e.Name {
		case lifecycle.UserJoined:
			m = &eventv1.UserJoined{Context: about, User: at}
		case lifecycle.UserUpdated:
			m = &eventv1.UserUpdated{Context: about, User: at, ChangedFields: e.Changed}
		case lifecycle.UserSuspended:
			about.Bulk = false // what ends access comes before what gives it
			m = &eventv1.UserSuspended{Context: about, User: at}
		case lifecycle.UserRemoved:
			about.Bulk = false
			m = &eventv1.UserRemoved{Context: about, User: at, Reason: t.reason}
		}
		t.emit(u.ID, m)
	}
	if o.RoleChanged() {
		before := u
		before.Role = o.Before.Role
		t.emit(u.ID, &eventv1.RoleChanged{
			Context: t.about(u.ID.String(), u.Version), User: convert.User(u), PreviousRole: convert.User(before).GetRole(),
		})
	}
}

// emitMembers emits an event for each member that was removed or added, and
// counts the group's version and members.
func (t *transaction) emitMembers(g *store.Group, removed, added []store.Person) {
	t.environment = g.EnvironmentID
	for _, p := range removed {
		g.Version++
		g.MemberCount--
		t.emit(g.ID, &eventv1.GroupMemberRemoved{Context: t.about(p.ID.String(), g.Version), Group: convert.Group(*g), Member: convert.Person(p)})
	}
	for _, p := range added {
		g.Version++
		g.MemberCount++
		t.emit(g.ID, &eventv1.GroupMemberAdded{Context: t.about(p.ID.String(), g.Version), Group: convert.Group(*g), Member: convert.Person(p)})
	}
}

func (t *transaction) emitEnvironment(e store.Environment, created bool) {
	t.environment = e.ID.String()
	if created {
		t.emit(e.ID, &eventv1.EnvironmentCreated{Context: t.about("", e.Version), Environment: convert.Environment(e)})
	} else {
		t.emit(e.ID, &eventv1.EnvironmentUpdated{Context: t.about("", e.Version), Environment: convert.Environment(e)})
	}
	t.environment = ""
}

func (t *transaction) emitRevoked(tokens []store.APIToken) {
	for _, token := range tokens {
		t.emit(token.ID, &eventv1.ApiTokenRevoked{Context: t.about(token.UserID.String(), 0), ApiToken: convert.APIToken(token)})
	}
}
