package consume

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// System is who acts where nobody asked: Gatehouse itself.
func System() *eventv1.Actor {
	return event.SystemActor("request")
}

// handlers give events their effect.
type handlers struct {
	events *outbox.Writer
	clock  clock.Clock
}

// Handlers gives the handlers; events says what follows from them.
func Handlers(events *outbox.Writer, c clock.Clock) *inbox.Handlers {
	h := handlers{events: events, clock: c}
	var hs inbox.Handlers
	inbox.On(&hs, func(ctx context.Context, tx *postgres.Tx, _ inbox.Event, m *eventv1.UserJoined) error {
		_, err := store.CopyUser(ctx, tx, m.GetUser())
		return err
	})
	inbox.On(&hs, func(ctx context.Context, tx *postgres.Tx, _ inbox.Event, m *eventv1.UserUpdated) error {
		_, err := store.CopyUser(ctx, tx, m.GetUser())
		return err
	})
	inbox.On(&hs, func(ctx context.Context, tx *postgres.Tx, _ inbox.Event, m *eventv1.UserSuspended) error {
		_, err := store.CopyUser(ctx, tx, m.GetUser())
		return err
	})
	inbox.On(&hs, h.userRemoved)
	inbox.On(&hs, h.flowMatched)
	hs.Together(h.together,
		(*eventv1.ApprovalRequested)(nil), (*eventv1.ApprovalDecided)(nil), (*eventv1.ApprovalGranted)(nil),
		(*eventv1.ApprovalDenied)(nil), (*eventv1.ApprovalCancelled)(nil), (*eventv1.TaskReassigned)(nil),
		(*eventv1.GrantCreated)(nil), (*eventv1.GrantActivated)(nil), (*eventv1.GrantExpiring)(nil),
		(*eventv1.GrantEnded)(nil), (*eventv1.GrantRevoked)(nil), (*eventv1.GrantFailed)(nil), (*eventv1.RevocationCompleted)(nil),
		(*eventv1.WorkItemOpened)(nil), (*eventv1.WorkItemResolved)(nil), (*eventv1.WorkItemCancelled)(nil))
	return &hs
}

// timeLayout is how texts tell times.
const timeLayout = "2006-01-02 15:04 UTC"

// personID is the id of an actor who is a person.
func personID(a *eventv1.Actor) string {
	if a.GetKind() != eventv1.ActorKind_ACTOR_KIND_USER {
		return ""
	}
	return a.GetId()
}

// now is the time of what follows from an event: not before it, whatever the
// clocks of two machines say.
func (h handlers) now(ev inbox.Event) time.Time {
	now := h.clock.Now()
	if now.Before(ev.Time) {
		now = ev.Time.UTC().Truncate(time.Microsecond)
	}
	return now
}

func (h handlers) userRemoved(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.UserRemoved) error {
	u := m.GetUser()
	who, err := store.CopyUser(ctx, tx, u)
	if err != nil {
		return err
	}
	// Whoever has come back since keeps what they have asked for since.
	var before *time.Time
	if who.State != "removed" {
		before = &ev.Time
	}
	open, err := store.Open(ctx, tx, u.GetId(), before)
	if err != nil || len(open) == 0 {
		return err
	}
	c := store.NewChanges(ev.OrganizationID)
	for _, r := range open {
		AskToCancel(c, r, System(), u.GetDisplayName()+" has left", h.now(ev))
	}
	return c.WriteLater(ctx, tx, h.events)
}

// AskToCancel has a request cancelled, unless its last approval came first,
// which approval knows. The caller has locked the request and seen that it can
// be.
func AskToCancel(c *store.Changes, r *store.Request, actor *eventv1.Actor, reason string, at time.Time) {
	eventID, request := id.New(), r.ID.String()
	c.Move(r, store.Move{To: lifecycle.Cancelling, At: at})
	c.Note(r.ID, store.Entry{
		EventID: eventID, Time: at, Event: "request.cancel_requested",
		ActorID: personID(actor), ActorName: actor.GetDisplayName(), Text: "To be cancelled: " + reason,
	})
	c.Say(outbox.Event{
		ID: eventID, AggregateID: r.ID, Time: at,
		Message: &eventv1.RequestCancelRequested{
			Context:   &eventv1.Context{Actor: actor, RequestIds: []string{request}, UserId: r.BeneficiaryID.String()},
			RequestId: request, Reason: reason,
		},
	})
}

// flowMatched opens the request that a join-flow asks for. It is opened once,
// however often the event comes.
func (h handlers) flowMatched(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.FlowMatched) error {
	if there, err := store.JoinRequestExists(ctx, tx, m.GetFlowId(), m.GetUserId(), m.GetJoinCount()); err != nil || there {
		return err
	}
	kind := requestv1.RequestKind_REQUEST_KIND_GRANT
	asked := slices.Compact(slices.Sorted(slices.Values(m.GetEntitlementIds())))
	who, wishes, err := store.Survey(ctx, tx, m.GetUserId(), asked, kind, true)
	if err != nil {
		return err
	}
	switch {
	case !who.Known || who.JoinCount < m.GetJoinCount():
		return inbox.NotYet("user %s, who has joined %d times", m.GetUserId(), m.GetJoinCount())
	case who.JoinCount > m.GetJoinCount() || who.State == "removed":
		return nil // has left since
	case who.State != "active":
		return inbox.NotYet("user %s to be active", m.GetUserId())
	case len(wishes) < len(asked):
		return inbox.NotYet("entitlements of flow %s", m.GetFlowId())
	}
	now := h.now(ev)
	r := &requestv1.Request{
		Id: id.New().String(), OrganizationId: ev.OrganizationID.String(), Kind: kind,
		Origin:        requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN,
		Beneficiary:   &identityv1.Person{UserId: m.GetUserId(), DisplayName: who.Name, Email: who.Email},
		Justification: "Given by the flow " + m.GetFlowName(),
		State:         requestv1.RequestState_REQUEST_STATE_SUBMITTED,
		FlowId:        m.GetFlowId(), FlowVersion: m.GetFlowVersion(),
		CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now), Version: 1,
	}
	if m.GetDuration() != nil {
		r.Until = timestamppb.New(now.Add(m.GetDuration().AsDuration()).Truncate(time.Microsecond))
	}
	for _, w := range wishes {
		// What is on its way or held for as long is not asked for again.
		if w.Asked != "" || (w.Held && Covers(w.HeldUntil, r.GetUntil())) {
			continue
		}
		r.Items = append(r.Items, Item(w))
	}
	if len(r.GetItems()) == 0 {
		return nil
	}
	// Where another replica was faster the insert is refused, and the next try
	// sees its request.
	return Submit(ctx, tx, h.events, System(), store.New{Request: r, JoinJoinCount: &m.JoinCount})
}

// Covers says whether holding something until one time (nil: for ever) makes
// asking for it until another needless.
func Covers(held *time.Time, asked *timestamppb.Timestamp) bool {
	return held == nil || (asked != nil && !asked.AsTime().After(*held))
}

// Item makes the item of a wish.
func Item(w store.Wish) *requestv1.RequestItem {
	return &requestv1.RequestItem{
		Id: id.New().String(), EntitlementId: w.EntitlementID, EntitlementName: w.Name, AppId: w.AppID, AppName: w.AppName,
		State: requestv1.ItemState_ITEM_STATE_PENDING, Provisioning: w.Effective(),
	}
}

// Submit writes a new request down and says so, in one round trip.
func Submit(ctx context.Context, tx *postgres.Tx, events *outbox.Writer, actor *eventv1.Actor, n store.New) error {
	r, eventID, at := n.Request, id.New(), n.Request.GetCreateTime().AsTime()
	org, err := id.Parse("organization_id", r.GetOrganizationId())
	if err != nil {
		return err
	}
	request, err := id.Parse("request_id", r.GetId())
	if err != nil {
		return err
	}
	c := store.NewChanges(org)
	c.Insert(n)
	c.Note(request, store.Entry{
		EventID: eventID, Time: at, Event: "request.submitted",
		ActorID: personID(actor), ActorName: actor.GetDisplayName(), Text: submittedText(r),
	})
	c.Say(outbox.Event{
		ID: eventID, AggregateID: request, Time: at,
		Message: &eventv1.RequestSubmitted{Context: contextOf(actor, r), Request: r},
	})
	return c.Write(ctx, tx, events, "insert request")
}

func submittedText(r *requestv1.Request) string {
	names := make([]string, 0, len(r.GetItems()))
	for _, i := range r.GetItems() {
		names = append(names, i.GetAppName()+": "+i.GetEntitlementName())
	}
	what := strings.Join(names, ", ")
	if r.GetKind() == requestv1.RequestKind_REQUEST_KIND_REVOKE {
		return "Asked to take from " + r.GetBeneficiary().GetDisplayName() + ": " + what
	}
	text := "Asked for " + r.GetBeneficiary().GetDisplayName() + ": " + what
	if r.GetUntil() != nil {
		text += ", until " + r.GetUntil().AsTime().Format(timeLayout)
	}
	return text
}

// contextOf is the context of an event about a request.
func contextOf(actor *eventv1.Actor, r *requestv1.Request) *eventv1.Context {
	c := &eventv1.Context{Actor: actor, RequestIds: []string{r.GetId()}, UserId: r.GetBeneficiary().GetUserId(), Version: r.GetVersion()}
	if len(r.GetItems()) == 1 {
		c.AppId = r.GetItems()[0].GetAppId()
	}
	return c
}
