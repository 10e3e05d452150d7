package command

import (
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/outbox"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/store"
)

// system is Gatehouse itself.
func system() *eventv1.Actor { return event.SystemActor("provisioning") }

// emit adds an event.
func (cs *changeset) emit(about uuid.UUID, m proto.Message) {
	cs.events = append(cs.events, outbox.Event{
		OrganizationID: cs.org, AggregateID: about, Time: cs.now, Traceparent: cs.traceparent, Message: m,
	})
}

func (cs *changeset) context(s *store.Assignment, version int64, requests ...uuid.UUID) *eventv1.Context {
	return &eventv1.Context{
		Actor: cs.actor, RequestIds: convert.Strings(requests), UserId: s.User.String(), AppId: s.Key.App.String(),
		EnvironmentId: convert.Environment(s.Environment), Version: version,
	}
}

func personOf(s *store.Assignment) store.PersonRef {
	return store.PersonRef{ID: s.User, DisplayName: s.Person.DisplayName, Email: s.Person.Email}
}

// requests are those that an event about the grant belongs to.
func requests(g *store.Grant) []uuid.UUID {
	if g.RevokeRequestID.Valid && g.RevokeRequestID.UUID != g.RequestID {
		return []uuid.UUID{g.RequestID, g.RevokeRequestID.UUID}
	}
	return []uuid.UUID{g.RequestID}
}

// emitGrant emits what has become of a grant.
func (cs *changeset) emitGrant(s *store.Assignment, g *store.Grant, name string) {
	c := cs.context(s, g.Version, requests(g)...)
	m := convert.Grant(&store.NamedGrant{
		Grant: *g, OrganizationID: cs.org, EnvironmentID: s.Environment, User: personOf(s), AppName: s.App.Name, EntitlementName: s.Entitlements[g.EntitlementID].Name,
	})
	c.Bulk = g.Join && g.End == "" && cs.actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_SYSTEM
	var ev proto.Message
	switch name {
	case "created":
		ev = &eventv1.GrantCreated{Context: c, Grant: m}
	case "activated":
		ev = &eventv1.GrantActivated{Context: c, Grant: m}
	case "held":
		ev = &eventv1.GrantHeld{Context: c, Grant: m}
	case "expiring":
		ev = &eventv1.GrantExpiring{Context: c, Grant: m}
	case "ended":
		ev = &eventv1.GrantEnded{Context: c, Grant: m}
	case "revoked":
		ev = &eventv1.GrantRevoked{Context: c, Grant: m}
	case "failed":
		ev = &eventv1.GrantFailed{Context: c, Grant: m}
	case "reopened":
		ev = &eventv1.GrantReopened{Context: c, Grant: m}
	}
	cs.emit(g.ID, ev)
}

// emitWorkItem emits what has become of a work item, for the requests given.
func (cs *changeset) emitWorkItem(s *store.Assignment, i *store.WorkItem, name string, requests []uuid.UUID) {
	c := cs.context(s, i.Version, requests...)
	m := convert.WorkItem(cs.named(s, i))
	var ev proto.Message
	switch name {
	case "opened":
		ev = &eventv1.WorkItemOpened{Context: c, WorkItem: m}
	case "resolved":
		ev = &eventv1.WorkItemResolved{Context: c, WorkItem: m}
	case "cancelled":
		ev = &eventv1.WorkItemCancelled{Context: c, WorkItem: m}
	}
	cs.emit(i.ID, ev)
}

func (cs *changeset) named(s *store.Assignment, i *store.WorkItem) *store.NamedItem {
	n := &store.NamedItem{WorkItem: *i, OrganizationID: cs.org, EnvironmentID: s.Environment, User: personOf(s), AppName: s.App.Name}
	for _, e := range i.EntitlementIDs {
		if known, ok := s.Entitlements[e]; ok {
			n.EntitlementNames = append(n.EntitlementNames, known.Name)
		}
	}
	return n
}

func (cs *changeset) emitChecklist(c *store.Count) {
	if !c.Opened && !c.Closed {
		return
	}
	n := &store.NamedChecklist{Checklist: c.Checklist, OrganizationID: cs.org}
	for _, s := range cs.assignments {
		if s.User == c.UserID {
			n.User = personOf(s)
		}
	}
	about := &eventv1.Context{Actor: cs.actor, UserId: c.UserID.String(), EnvironmentId: convert.Environment(c.EnvironmentID), Version: c.Version}
	if c.Opened {
		cs.emit(c.ID, &eventv1.ChecklistOpened{Context: about, Checklist: convert.Checklist(n)})
	} else {
		cs.emit(c.ID, &eventv1.ChecklistClosed{Context: about, Checklist: convert.Checklist(n)})
	}
}
