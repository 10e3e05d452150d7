package consume

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// System is who acts where nobody asked: Gatehouse itself.
func System() *eventv1.Actor {
	return &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: "request", DisplayName: "Gatehouse"}
}

// Subjects are the events that are listened to.
var Subjects = []string{
	bus.Filter("user", ""), bus.Filter("flow", "matched"), bus.Filter("approval", ""), bus.Filter("task", "reassigned"),
	bus.Filter("grant", ""), bus.Filter("revocation", ""), bus.Filter("work_item", ""),
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
	inbox.On(&hs, h.approvalRequested)
	inbox.On(&hs, h.approvalDecided)
	inbox.On(&hs, h.approvalGranted)
	inbox.On(&hs, h.approvalDenied)
	inbox.On(&hs, h.approvalCancelled)
	inbox.On(&hs, h.taskReassigned)
	inbox.On(&hs, h.grantOpened)
	inbox.On(&hs, h.grantActivated)
	inbox.On(&hs, h.grantExpiring)
	inbox.On(&hs, h.grantEnded)
	inbox.On(&hs, h.grantRevoked)
	inbox.On(&hs, h.grantFailed)
	inbox.On(&hs, h.revocationCompleted)
	inbox.On(&hs, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.WorkItemOpened) error {
		return note(ctx, tx, ev, m, "There is something to do by hand in "+m.GetWorkItem().GetAppName())
	})
	inbox.On(&hs, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.WorkItemResolved) error {
		text := "What was to do in " + m.GetWorkItem().GetAppName() + " is done"
		if n := m.GetWorkItem().GetNote(); n != "" {
			text += ": " + n
		}
		return note(ctx, tx, ev, m, text)
	})
	inbox.On(&hs, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.WorkItemDropped) error {
		return note(ctx, tx, ev, m, "What was to do in "+m.GetWorkItem().GetAppName()+" is no longer needed: "+m.GetWorkItem().GetNote())
	})
	return &hs
}

// timeLayout is how texts tell times.
const timeLayout = "2006-01-02 15:04 UTC"

// told is what every event says of itself.
type told interface{ GetContext() *eventv1.Context }

// entry makes the timeline entry of an event. request is the one that it moves,
// named first also where the context leaves it out; empty if it moves none.
func entry(ev inbox.Event, m told, request, text string) store.Timeline {
	t := store.Timeline{
		EventID: ev.ID, OrganizationID: ev.OrganizationID.String(), Time: ev.Time, Text: text,
		ActorName: m.GetContext().GetActor().GetDisplayName(), ActorID: personID(m.GetContext().GetActor()),
	}
	if request != "" {
		t.Requests = append(t.Requests, request)
	}
	for _, r := range m.GetContext().GetRequestIds() {
		if r != request {
			t.Requests = append(t.Requests, r)
		}
	}
	parts := strings.SplitN(ev.Subject, ".", 3)
	t.Event = parts[len(parts)-1]
	return t
}

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

func note(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m told, text string) error {
	var b store.Batch
	b.Timeline(entry(ev, m, "", text))
	return b.Send(ctx, tx, "write timeline")
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
	var b store.Batch
	for _, request := range open {
		c := Cancel{
			Actor: System(), Request: request, Beneficiary: u.GetId(), OrganizationID: ev.OrganizationID.String(),
			Reason: u.GetDisplayName() + " has left", Time: h.now(ev),
		}
		if err := AskToCancel(ctx, tx, &b, h.events, c); err != nil {
			return err
		}
	}
	return b.Send(ctx, tx, "ask to cancel")
}

// Cancel says which request is to be cancelled, by whom and why.
type Cancel struct {
	Actor                                *eventv1.Actor
	Request, Beneficiary, OrganizationID string
	Reason                               string
	Time                                 time.Time
}

// AskToCancel has a request cancelled, unless its last approval came first,
// which approval knows. The caller has locked the request and seen that it can
// be; all is added to a batch.
func AskToCancel(ctx context.Context, tx *postgres.Tx, b *store.Batch, events *outbox.Writer, c Cancel) error {
	eventID := id.New()
	b.Move(store.Move{Request: c.Request, To: lifecycle.Cancelling, At: c.Time})
	b.Timeline(store.Timeline{
		Requests: []string{c.Request}, EventID: eventID, OrganizationID: c.OrganizationID, Time: c.Time, Event: "request.cancel_requested",
		ActorID: personID(c.Actor), ActorName: c.Actor.GetDisplayName(), Text: "To be cancelled: " + c.Reason,
	})
	return say(ctx, tx, b, events, outbox.Event{ID: eventID, Name: "cancel_requested", Time: c.Time}, c.OrganizationID, c.Request, &eventv1.RequestCancelRequested{
		Context:   &eventv1.Context{Actor: c.Actor, RequestIds: []string{c.Request}, UserId: c.Beneficiary},
		RequestId: c.Request, Reason: c.Reason,
	})
}

// say adds an event about a request to a batch.
func say(ctx context.Context, tx *postgres.Tx, b *store.Batch, events *outbox.Writer, ev outbox.Event, org, request string, m proto.Message) error {
	var err error
	if ev.OrganizationID, err = id.Parse("organization_id", org); err != nil {
		return err
	}
	if ev.AggregateID, err = id.Parse("request_id", request); err != nil {
		return err
	}
	ev.Aggregate, ev.Message = "request", m
	if err := events.Queue(ctx, tx, &b.Batch, ev); err != nil {
		return fmt.Errorf("say request.%s: %w", ev.Name, err)
	}
	return nil
}

// flowMatched opens the request that a join-flow asks for. It is opened once,
// however often the event comes.
func (h handlers) flowMatched(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.FlowMatched) error {
	if there, err := store.JoinRequestExists(ctx, tx, m.GetFlowId(), m.GetUserId(), m.GetTenure()); err != nil || there {
		return err
	}
	kind := requestv1.RequestKind_REQUEST_KIND_GRANT
	asked := slices.Compact(slices.Sorted(slices.Values(m.GetEntitlementIds())))
	who, wishes, err := store.Survey(ctx, tx, m.GetUserId(), asked, kind, true)
	if err != nil {
		return err
	}
	switch {
	case !who.Known || who.Tenure < m.GetTenure():
		return inbox.NotYet("user %s, who has joined %d times", m.GetUserId(), m.GetTenure())
	case who.Tenure > m.GetTenure() || who.State == "removed":
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
	return Submit(ctx, tx, h.events, System(), store.New{Request: r, JoinTenure: &m.Tenure})
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
		State: requestv1.ItemState_ITEM_STATE_WAITING, Provisioning: w.Effective(),
	}
}

// Submit writes a new request down and says so, in one round trip.
func Submit(ctx context.Context, tx *postgres.Tx, events *outbox.Writer, actor *eventv1.Actor, n store.New) error {
	r, eventID, at := n.Request, id.New(), n.Request.GetCreateTime().AsTime()
	var b store.Batch
	b.Insert(n)
	b.Timeline(store.Timeline{
		Requests: []string{r.GetId()}, EventID: eventID, OrganizationID: r.GetOrganizationId(), Time: at,
		Event: "request.submitted", ActorID: personID(actor), ActorName: actor.GetDisplayName(), Text: submittedText(r),
	})
	err := say(ctx, tx, &b, events, outbox.Event{ID: eventID, Name: "submitted", Time: at}, r.GetOrganizationId(), r.GetId(),
		&eventv1.RequestSubmitted{Context: contextOf(actor, r), Request: r})
	if err != nil {
		return err
	}
	return b.Send(ctx, tx, "insert request")
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

func (h handlers) approvalRequested(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.ApprovalRequested) error {
	var reviewers, names []string
	for _, t := range m.GetTasks() {
		reviewers = append(reviewers, t.GetReviewer().GetUserId())
		name := t.GetReviewer().GetDisplayName()
		if s := t.GetSubstitution(); s != "" {
			name += " (" + s + ")"
		}
		names = append(names, name)
	}
	text := fmt.Sprintf("Step %d, %s: asked %s", m.GetStep(), m.GetStepName(), strings.Join(names, ", "))
	if len(names) == 0 {
		text = fmt.Sprintf("Step %d, %s: waits, there is nobody to decide", m.GetStep(), m.GetStepName())
	}
	var b store.Batch
	b.Lock(m.GetRequestId())
	b.Timeline(entry(ev, m, m.GetRequestId(), text))
	b.Move(store.Move{
		Request: m.GetRequestId(), To: lifecycle.Pending, At: h.now(ev), FlowID: m.GetFlowId(), FlowVersion: m.GetFlowVersion(),
	})
	b.Reviewers(ev.OrganizationID.String(), m.GetRequestId(), reviewers)
	return b.Send(ctx, tx, "write step down")
}

func (h handlers) approvalDecided(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.ApprovalDecided) error {
	t := m.GetTask()
	text := t.GetReviewer().GetDisplayName() + " " + strings.ToLower(strings.TrimPrefix(t.GetState().String(), "TASK_STATE_")) + " step " + t.GetStepName()
	if t.GetComment() != "" {
		text += ": " + t.GetComment()
	}
	return note(ctx, tx, ev, m, text)
}

func (h handlers) approvalGranted(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.ApprovalGranted) error {
	request := m.GetRequest().GetId()
	text := "Approved"
	if m.GetAutomatic() {
		text = "Approved by the flow itself"
	}
	t := entry(ev, m, request, text)
	t.TooLate = text + "; it was too late to cancel"
	var b store.Batch
	b.Lock(request)
	b.Timeline(t)
	b.Move(store.Move{Request: request, To: lifecycle.Approved, At: h.now(ev), FlowID: m.GetFlowId(), FlowVersion: m.GetFlowVersion()})
	b.MoveItems(request, lifecycle.ItemApproved)
	return b.Send(ctx, tx, "write approval down")
}

func (h handlers) approvalDenied(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.ApprovalDenied) error {
	by := m.GetReviewer()
	return h.ended(ctx, tx, ev, entry(ev, m, m.GetRequestId(), by.GetDisplayName()+" denied: "+m.GetReason()), lifecycle.Denied,
		store.Closing{Reason: m.GetReason(), ByID: by.GetUserId(), By: by.GetDisplayName(), Mail: by.GetEmail()})
}

func (h handlers) approvalCancelled(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.ApprovalCancelled) error {
	c := store.Closing{Reason: m.GetReason()}
	if by := personID(m.GetContext().GetActor()); by != "" {
		c.ByID, c.By = by, m.GetContext().GetActor().GetDisplayName()
	}
	return h.ended(ctx, tx, ev, entry(ev, m, m.GetRequestId(), "Cancelled: "+m.GetReason()), lifecycle.Cancelled, c)
}

// ended writes an entry down and ends its request, whose items are given up.
func (h handlers) ended(ctx context.Context, tx *postgres.Tx, ev inbox.Event, t store.Timeline, to lifecycle.State, c store.Closing) error {
	var b store.Batch
	var r *requestv1.Request
	b.Lock(t.Requests[0])
	b.Timeline(t)
	b.Read(t.Requests[0], &r)
	if err := b.Send(ctx, tx, "write end of approval down"); err != nil {
		return err
	}
	if r == nil || !lifecycle.CanMove(store.StateOf(r), to) {
		return nil
	}
	for _, i := range r.GetItems() {
		if lifecycle.CanMoveItem(store.ItemStateOf(i), lifecycle.Dropped) {
			store.SetItemState(i, lifecycle.Dropped)
		}
	}
	var end store.Batch
	end.MoveItems(r.GetId(), lifecycle.Dropped)
	return h.close(ctx, tx, &end, r, to, h.now(ev), c)
}

// close ends a request that is locked, and says so. r is the request as it is
// and becomes what it will be; b is sent.
func (h handlers) close(ctx context.Context, tx *postgres.Tx, b *store.Batch, r *requestv1.Request, to lifecycle.State, at time.Time, c store.Closing) error {
	if before := r.GetUpdateTime().AsTime(); at.Before(before) {
		at = before
	}
	store.SetState(r, to)
	r.Version++
	r.UpdateTime, r.CloseTime = timestamppb.New(at), timestamppb.New(at)
	if c.Reason != "" {
		r.ClosingReason = c.Reason
	}
	if c.ByID != "" {
		r.ClosedBy = &identityv1.Person{UserId: c.ByID, DisplayName: c.By, Email: c.Mail}
	}
	eventID := id.New()
	b.Move(store.Move{Request: r.GetId(), To: to, At: at, Closing: c})
	b.Timeline(store.Timeline{
		Requests: []string{r.GetId()}, EventID: eventID, OrganizationID: r.GetOrganizationId(), Time: at, Event: "request.closed",
		ActorName: System().GetDisplayName(), Text: closedText(r),
	})
	err := say(ctx, tx, b, h.events, outbox.Event{ID: eventID, Name: "closed", Time: at}, r.GetOrganizationId(), r.GetId(),
		&eventv1.RequestClosed{Context: contextOf(System(), r), Request: r})
	if err != nil {
		return err
	}
	return b.Send(ctx, tx, "close request")
}

func closedText(r *requestv1.Request) string {
	text := "Closed as " + string(store.StateOf(r))
	if r.GetClosingReason() != "" {
		text += ": " + r.GetClosingReason()
	}
	return text
}

func (h handlers) taskReassigned(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.TaskReassigned) error {
	var b store.Batch
	to := "nobody yet"
	request := m.GetFrom().GetRequestId()
	if u := m.GetTo().GetReviewer(); u.GetUserId() != "" {
		b.Reviewers(ev.OrganizationID.String(), request, []string{u.GetUserId()})
		to = u.GetDisplayName()
	}
	b.Timeline(entry(ev, m, request, "Reassigned from "+m.GetFrom().GetReviewer().GetDisplayName()+" to "+to+": "+m.GetReason()))
	return b.Send(ctx, tx, "write reassignment down")
}

// copyGrant keeps a grant as it now stands.
func copyGrant(b *store.Batch, ev inbox.Event, g *provisioningv1.Grant) {
	live := false
	switch g.GetState() {
	case provisioningv1.GrantState_GRANT_STATE_PENDING, provisioningv1.GrantState_GRANT_STATE_ACTIVE, provisioningv1.GrantState_GRANT_STATE_FAILED:
		live = true
	case provisioningv1.GrantState_GRANT_STATE_UNSPECIFIED, provisioningv1.GrantState_GRANT_STATE_REVOKING, provisioningv1.GrantState_GRANT_STATE_REVOKED:
	}
	b.CopyGrant(store.Grant{
		ID: g.GetId(), OrganizationID: ev.OrganizationID.String(), UserID: g.GetUser().GetUserId(), EntitlementID: g.GetEntitlementId(),
		RequestID: g.GetRequestId(), Live: live, Until: g.GetUntil(), Version: g.GetVersion(),
	})
}

// what names a grant's entitlement.
func what(g *provisioningv1.Grant) string { return g.GetAppName() + ": " + g.GetEntitlementName() }

func (h handlers) grantOpened(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GrantOpened) error {
	return h.grant(ctx, tx, ev, m, "Being put in place: "+what(m.GetGrant()), "")
}

func (h handlers) grantActivated(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GrantActivated) error {
	return h.grant(ctx, tx, ev, m, "In place: "+what(m.GetGrant()), lifecycle.ItemFulfilled)
}

func (h handlers) grantExpiring(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GrantExpiring) error {
	return h.grant(ctx, tx, ev, m, "Will end at "+m.GetGrant().GetUntil().AsTime().Format(timeLayout)+": "+what(m.GetGrant()), "")
}

func (h handlers) grantEnded(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GrantEnded) error {
	return h.grant(ctx, tx, ev, m, "Ended, "+endText(m.GetGrant().GetEnd())+"; being taken away: "+what(m.GetGrant()), "")
}

func endText(e provisioningv1.GrantEnd) string {
	switch e {
	case provisioningv1.GrantEnd_GRANT_END_REQUESTED:
		return "as was asked"
	case provisioningv1.GrantEnd_GRANT_END_EXPIRED:
		return "its time was up"
	case provisioningv1.GrantEnd_GRANT_END_USER_REMOVED:
		return "the person has left"
	case provisioningv1.GrantEnd_GRANT_END_UNSPECIFIED:
	}
	return "for no given reason"
}

func (h handlers) grantRevoked(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GrantRevoked) error {
	// What was in place has been done, also if the news of that comes later;
	// what never was will not be any more.
	to := lifecycle.Dropped
	if m.GetGrant().GetActivateTime() != nil {
		to = lifecycle.ItemFulfilled
	}
	return h.grant(ctx, tx, ev, m, "Gone: "+what(m.GetGrant()), to)
}

func (h handlers) grantFailed(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.GrantFailed) error {
	g := m.GetGrant()
	to := lifecycle.Item("")
	if g.GetState() == provisioningv1.GrantState_GRANT_STATE_FAILED {
		to = lifecycle.ItemFailed
	}
	return h.grant(ctx, tx, ev, m, "Could not be done in "+g.GetAppName()+": "+g.GetError(), to)
}

// aboutGrant is an event about a grant.
type aboutGrant interface {
	told
	GetGrant() *provisioningv1.Grant
}

// grant keeps the copy of a grant, writes the entry down, and brings the item
// that it was approved for into a state, if one is given.
func (h handlers) grant(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m aboutGrant, text string, to lifecycle.Item) error {
	g := m.GetGrant()
	var b store.Batch
	if to == "" || g.GetRequestId() == "" {
		copyGrant(&b, ev, g)
		b.Timeline(entry(ev, m, g.GetRequestId(), text))
		return b.Send(ctx, tx, "write grant down")
	}
	b.Lock(g.GetRequestId())
	copyGrant(&b, ev, g)
	return h.done(ctx, tx, ev, &b, entry(ev, m, g.GetRequestId(), text), g.GetItemId(), to, "not put in place: "+endText(g.GetEnd()))
}

func (h handlers) revocationCompleted(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.RevocationCompleted) error {
	var b store.Batch
	b.Lock(m.GetRequestId())
	return h.done(ctx, tx, ev, &b, entry(ev, m, m.GetRequestId(), "Taken away"), m.GetItemId(), lifecycle.ItemFulfilled, "")
}

// done writes an entry down, brings an item of the request that b has locked
// into a state, and closes the request if nothing of it is left to be done.
// dropped is why it is then cancelled, if it is.
func (h handlers) done(ctx context.Context, tx *postgres.Tx, ev inbox.Event, b *store.Batch, t store.Timeline, item string, to lifecycle.Item, dropped string) error {
	var r *requestv1.Request
	b.Timeline(t)
	b.MoveItem(t.Requests[0], item, to, h.now(ev))
	b.Read(t.Requests[0], &r)
	if err := b.Send(ctx, tx, "write "+t.Event+" down"); err != nil {
		return err
	}
	if r == nil {
		return nil // was not asked for here
	}
	items := make([]lifecycle.Item, 0, len(r.GetItems()))
	for _, i := range r.GetItems() {
		items = append(items, store.ItemStateOf(i))
	}
	end, done := lifecycle.Outcome(items)
	if !done || !lifecycle.CanMove(store.StateOf(r), end) {
		return nil
	}
	var c store.Closing
	if end == lifecycle.Cancelled {
		c.Reason = "in part not put in place"
		if to == lifecycle.Dropped {
			c.Reason = dropped
		}
	}
	return h.close(ctx, tx, new(store.Batch), r, end, h.now(ev), c)
}
