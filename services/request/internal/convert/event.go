package convert

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/outbox"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// System is the actor of what nobody asked for: the service itself.
func System() *eventv1.Actor { return event.SystemActor("request") }

// ActorUser is the id of an actor who is a user; empty for others.
func ActorUser(a *eventv1.Actor) string {
	if a.GetKind() != eventv1.ActorKind_ACTOR_KIND_USER {
		return ""
	}
	return a.GetId()
}

// AppCreated are the events of a new app.
func AppCreated(by *eventv1.Actor, a store.App, account store.Entitlement) []outbox.Event {
	return []outbox.Event{
		newEvent(a.OrganizationID, a.ID, a.CreateTime, &eventv1.AppCreated{Context: aboutApp(by, a, 1), App: App(a)}),
		EntitlementCreated(by, a, account),
	}
}

// AppUpdated is the event of an app whose fields have changed.
func AppUpdated(by *eventv1.Actor, a store.App, changed []string) outbox.Event {
	return newEvent(a.OrganizationID, a.ID, a.UpdateTime, &eventv1.AppUpdated{Context: aboutApp(by, a, a.Version), App: App(a), ChangedFields: changed})
}

// EntitlementCreated is the event of a new entitlement of an app.
func EntitlementCreated(by *eventv1.Actor, a store.App, e store.Entitlement) outbox.Event {
	return newEvent(e.OrganizationID, e.ID, e.CreateTime, &eventv1.EntitlementCreated{
		Context: aboutApp(by, a, 1), Entitlement: Entitlement(e), AppName: a.Name,
	})
}

// EntitlementUpdated is the event of an entitlement whose fields have changed.
func EntitlementUpdated(by *eventv1.Actor, a store.App, e store.Entitlement, at time.Time, changed []string) outbox.Event {
	return newEvent(e.OrganizationID, e.ID, at, &eventv1.EntitlementUpdated{
		Context: aboutApp(by, a, e.Version), Entitlement: Entitlement(e), AppName: a.Name, ChangedFields: changed,
	})
}

// AppDeleted is the event of an app that was deleted.
func AppDeleted(by *eventv1.Actor, a store.App) outbox.Event {
	return newEvent(a.OrganizationID, a.ID, *a.DeleteTime, &eventv1.AppDeleted{Context: aboutApp(by, a, a.Version), App: App(a)})
}

// EntitlementDeleted is the event of an entitlement that was deleted by itself.
func EntitlementDeleted(by *eventv1.Actor, a store.App, e store.Entitlement) outbox.Event {
	return newEvent(e.OrganizationID, e.ID, *e.DeleteTime, &eventv1.EntitlementDeleted{
		Context: aboutApp(by, a, e.Version), Entitlement: Entitlement(e), AppName: a.Name,
	})
}

// BundleCreated is the event of a new bundle.
func BundleCreated(by *eventv1.Actor, b store.Bundle) outbox.Event {
	return newEvent(b.OrganizationID, b.ID, b.CreateTime, &eventv1.BundleCreated{Context: aboutBundle(by, b), Bundle: Bundle(b)})
}

// BundleUpdated is the event of a bundle whose fields have changed.
func BundleUpdated(by *eventv1.Actor, b store.Bundle, changed []string) outbox.Event {
	return newEvent(b.OrganizationID, b.ID, b.UpdateTime, &eventv1.BundleUpdated{Context: aboutBundle(by, b), Bundle: Bundle(b), ChangedFields: changed})
}

// BundleDeleted is the event of a bundle that was deleted.
func BundleDeleted(by *eventv1.Actor, b store.Bundle) outbox.Event {
	return newEvent(b.OrganizationID, b.ID, b.UpdateTime, &eventv1.BundleDeleted{Context: aboutBundle(by, b), Bundle: Bundle(b)})
}

func aboutBundle(by *eventv1.Actor, b store.Bundle) *eventv1.Context {
	return &eventv1.Context{Actor: by, EnvironmentId: ID(b.EnvironmentID), Version: b.Version}
}

func aboutApp(by *eventv1.Actor, a store.App, version int64) *eventv1.Context {
	return &eventv1.Context{Actor: by, AppId: a.ID.String(), EnvironmentId: ID(a.EnvironmentID), Version: version}
}

// RequestSubmitted is the event of a new request.
func RequestSubmitted(by *eventv1.Actor, r *store.Request) outbox.Event {
	m := Request(r)
	e := &eventv1.RequestSubmitted{Context: aboutRequest(by, m), Request: m, RequesterVersion: r.RequesterVersion}
	if r.Origin == store.OriginJoin && r.Kind == lifecycle.Grant {
		e.JoinCount, e.MatchCount = r.JoinCount, r.MatchCount
	}
	if r.GivenRequestID.Valid {
		e.GivenRequestId = ID(r.GivenRequestID.UUID)
	}
	return newEvent(r.OrganizationID, r.ID, r.CreateTime, e)
}

// CancelRequested is the event of a request that is to be cancelled.
func CancelRequested(by *eventv1.Actor, r *store.Request, why store.Closing, at time.Time, items ...*store.Item) outbox.Event {
	var ids []string
	for _, i := range items {
		ids = append(ids, i.ID.String())
	}
	return newEvent(r.OrganizationID, r.ID, at, &eventv1.RequestCancelRequested{
		Context: &eventv1.Context{
			Actor: by, RequestIds: []string{r.ID.String()}, UserId: r.Beneficiary.ID.String(), EnvironmentId: ID(r.EnvironmentID),
		},
		RequestId: r.ID.String(), Reason: why.Reason, Expired: why.Expired, ItemIds: ids,
	})
}

// GiveUpRequested is the event of items of a request that are to be given up.
func GiveUpRequested(by *eventv1.Actor, r *store.Request, items []*store.Item, app uuid.UUID, reason string, at time.Time) outbox.Event {
	m := Request(r)
	about := aboutRequest(by, m)
	about.AppId = ID(app)
	ids := make([]string, len(items))
	for n, i := range items {
		ids[n] = i.ID.String()
	}
	return newEvent(r.OrganizationID, r.ID, at, &eventv1.RequestGiveUpRequested{Context: about, Request: m, ItemIds: ids, Reason: reason})
}

// RequestClosed is the event of a request that was closed.
func RequestClosed(r *store.Request, at time.Time) outbox.Event {
	m := Request(r)
	return newEvent(r.OrganizationID, r.ID, at, &eventv1.RequestClosed{Context: aboutRequest(System(), m), Request: m})
}

// CommentAdded is the event of a comment on a request.
func CommentAdded(by *eventv1.Actor, r *store.Request, c store.Comment) outbox.Event {
	return newEvent(r.OrganizationID, c.ID, c.CreateTime, &eventv1.CommentAdded{
		Context: &eventv1.Context{
			Actor: by, RequestIds: []string{r.ID.String()}, UserId: r.Beneficiary.ID.String(), EnvironmentId: ID(r.EnvironmentID),
		},
		Comment: Comment(c),
	})
}

// ConversationStarted is the event of a new conversation.
func ConversationStarted(by *eventv1.Actor, c store.Conversation, m store.Message) outbox.Event {
	return newEvent(c.OrganizationID, c.ID, m.CreateTime, &eventv1.ConversationStarted{Context: aboutConversation(by, c), Conversation: Conversation(c), Message: Message(m)})
}

// ConversationMessageAdded is the event of what was said in a conversation.
func ConversationMessageAdded(by *eventv1.Actor, c store.Conversation, m store.Message) outbox.Event {
	return newEvent(c.OrganizationID, c.ID, m.CreateTime, &eventv1.ConversationMessageAdded{Context: aboutConversation(by, c), Conversation: Conversation(c), Message: Message(m)})
}

// ConversationClosed is the event of a conversation that was closed.
func ConversationClosed(by *eventv1.Actor, c store.Conversation) outbox.Event {
	return newEvent(c.OrganizationID, c.ID, c.UpdateTime, &eventv1.ConversationClosed{Context: aboutConversation(by, c), Conversation: Conversation(c)})
}

func aboutConversation(by *eventv1.Actor, c store.Conversation) *eventv1.Context {
	return &eventv1.Context{Actor: by, UserId: c.Asker.ID.String(), AppId: c.AppID.String(), EnvironmentId: ID(c.EnvironmentID), Version: c.Version}
}

// aboutRequest is the context of an event about a request.
func aboutRequest(by *eventv1.Actor, r *requestv1.Request) *eventv1.Context {
	c := &eventv1.Context{
		Actor: by, RequestIds: []string{r.GetId()}, UserId: r.GetBeneficiary().GetUserId(), EnvironmentId: r.GetEnvironmentId(), Version: r.GetVersion(),
	}
	// What ends access comes before what gives it.
	gives := r.GetKind() == requestv1.RequestKind_REQUEST_KIND_GRANT
	c.Bulk = gives && r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN && by.GetKind() != eventv1.ActorKind_ACTOR_KIND_USER
	if len(r.GetItems()) == 1 {
		c.AppId = r.GetItems()[0].GetAppId()
	}
	return c
}

func newEvent(organization, aggregate uuid.UUID, at time.Time, m proto.Message) outbox.Event {
	return outbox.Event{OrganizationID: organization, AggregateID: aggregate, Time: at, Message: m}
}
