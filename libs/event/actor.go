package event

import (
	"cmp"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// CallerActor is the actor of what a caller asked for: a user, or another
// program, which is shown by its subject if its token has no name.
func CallerActor(c authz.Caller) *eventv1.Actor {
	if c.IsService() {
		return &eventv1.Actor{
			Kind: eventv1.ActorKind_ACTOR_KIND_SERVICE, Id: c.Subject, DisplayName: cmp.Or(c.Name, c.Subject),
		}
	}
	return UserActor(c.UserID.String(), c.Name)
}

// UserActor is a user as the actor.
func UserActor(id, displayName string) *eventv1.Actor {
	return &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_USER, Id: id, DisplayName: displayName}
}

// SourceActor is a source of people as the actor.
func SourceActor(id uuid.UUID, displayName string) *eventv1.Actor {
	return &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SOURCE, Id: id.String(), DisplayName: displayName}
}

// SystemActor is Gatehouse itself as the actor: what the named service does of
// its own, by a flow, at a time, or because of an event.
func SystemActor(service string) *eventv1.Actor {
	return &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: service, DisplayName: "Gatehouse"}
}
