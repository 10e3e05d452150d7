package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// effect is what one event does, as far as the event itself says.
type effect struct {
	entry store.TimelineEntry
	// tooLate is the text of the entry of a request that was being cancelled; the
	// usual one if empty.
	tooLate string
	// ended is the item whose grant the event has ended; the nil id for none.
	ended uuid.UUID
	// requests have the entry in their timelines.
	requests []uuid.UUID
	// request is the one that it is about; nil if only its context names some.
	request uuid.UUID
	// reviewers may see what of that request is about the app of the entry.
	reviewers []uuid.UUID
	// actions are what the event says of what is to be done about requests.
	actions []store.Action
	// grant says that the event is about a grant.
	grant bool
	// change changes that request. Nil: it changes none.
	change func(c *store.Changes, r *store.Request, at time.Time)
}

// reader makes the effect of one event. It keeps the first error, which is of a
// malformed id.
type reader struct {
	effect
	// completes says that the decided task among those of the event completes its step.
	completes bool
	err       error
}

// effectOf is what an event does.
func effectOf(ev inbox.Event) (effect, error) {
	t, err := event.TypeOf(ev.Message)
	if err != nil {
		return effect{}, err
	}
	about := event.ContextOf(ev.Message)
	actor := about.GetActor()
	var e reader
	e.entry = store.TimelineEntry{
		EventID: ev.ID, Time: ev.Time, ActorID: convert.ActorUser(actor), ActorName: actor.GetDisplayName(), Event: t.String(),
	}
	if about.GetAppId() != "" {
		e.entry.AppID = e.id("app_id", about.GetAppId())
	}
	switch m := ev.Message.(type) {
	case *eventv1.ApprovalRequested:
		e.approvalRequested(m)
	case *eventv1.ApprovalDecided:
		e.approvalDecided(m)
	case *eventv1.ApprovalGranted:
		e.approvalGranted(m)
	case *eventv1.ApprovalDenied:
		e.denied(m)
	case *eventv1.ApprovalCancelled:
		e.cancelled(m, &identityv1.Person{UserId: convert.ActorUser(actor), DisplayName: actor.GetDisplayName()})
	case *eventv1.TaskReassigned:
		e.taskReassigned(m)
	case *eventv1.TaskReminded:
		e.reminded(m)
	case *eventv1.ApprovalEscalated:
		e.escalated(m)
	case *eventv1.GrantCreated:
		e.copyGrant(m.GetGrant(), "Being put in place: "+what(m.GetGrant()))
	case *eventv1.GrantActivated:
		e.copyGrant(m.GetGrant(), "In place: "+what(m.GetGrant()))
		e.done(m.GetGrant(), lifecycle.ItemFulfilled)
	case *eventv1.GrantHeld:
		e.copyGrant(m.GetGrant(), "Held while "+m.GetGrant().GetUser().GetDisplayName()+" is not active: "+what(m.GetGrant()))
	case *eventv1.GrantExpiring:
		e.copyGrant(m.GetGrant(), "Will end at "+m.GetGrant().GetUntil().AsTime().Format(timeLayout)+": "+what(m.GetGrant()))
	case *eventv1.GrantEnded:
		e.endedOf(m.GetGrant())
		e.copyGrant(m.GetGrant(), "Ended, "+endText(m.GetGrant().GetEndReason())+"; being taken away: "+what(m.GetGrant()))
		if givenUp(m.GetGrant()) { // what may be left of it does not hold up the request
			e.done(m.GetGrant(), lifecycle.ItemGivenUp)
		}
	case *eventv1.GrantRevoked:
		e.endedOf(m.GetGrant())
		e.grantRevoked(m.GetGrant())
	case *eventv1.GrantFailed:
		g := m.GetGrant()
		e.copyGrant(g, "Could not be done in "+g.GetAppName()+": "+g.GetError())
		if g.GetState() == provisioningv1.GrantState_GRANT_STATE_FAILED {
			e.done(g, lifecycle.ItemFailed)
		}
	case *eventv1.GrantReopened:
		e.grantReopened(m.GetGrant())
	case *eventv1.RevocationCompleted:
		e.about(m.GetRequestId(), "Taken away")
		e.doneItem(m.GetItemId(), lifecycle.ItemFulfilled, "", m.GetContext().GetVersion())
	case *eventv1.RevocationReopened:
		e.about(m.GetRequestId(), "Not taken away after all")
		e.reopenItem(m.GetItemId(), lifecycle.ItemApproved, m.GetContext().GetVersion())
	case *eventv1.WorkItemOpened:
		e.work(m.GetWorkItem(), about)
		e.entry.Text = "A work item is open in " + m.GetWorkItem().GetAppName()
		if why := m.GetWorkItem().GetReopenReason(); why != "" {
			e.entry.Text = "A work item is open again in " + m.GetWorkItem().GetAppName() + ": " + why
		}
	case *eventv1.WorkItemResolved:
		e.work(m.GetWorkItem(), about)
		e.entry.Text = "The work item in " + m.GetWorkItem().GetAppName() + " is done"
		if n := m.GetWorkItem().GetNote(); n != "" {
			e.entry.Text += ": " + n
		}
	case *eventv1.WorkItemCancelled:
		e.work(m.GetWorkItem(), about)
		e.entry.Text = "The work item in " + m.GetWorkItem().GetAppName() + " is no longer needed: " + m.GetWorkItem().GetNote()
	default:
		return effect{}, fmt.Errorf("event of type %s has no effect here", ev.Type)
	}
	for _, r := range about.GetRequestIds() {
		if request := e.id("request_ids", r); request != e.request {
			e.requests = append(e.requests, request)
		}
	}
	return e.effect, e.err
}

// id reads an id that must be there.
func (e *reader) id(field, s string) uuid.UUID {
	u, err := id.Parse(field, s)
	if e.err == nil {
		e.err = err
	}
	return u
}

// about names the request that the event is about, also where its context
// leaves that out, and the text of its entry.
func (e *reader) about(request, text string) {
	e.request = e.id("request_id", request)
	e.requests = append(e.requests, e.request)
	e.entry.Text = text
}

func (e *reader) approvalRequested(m *eventv1.ApprovalRequested) {
	e.about(m.GetRequestId(), "Step "+e.asked(m.GetStep(), m.GetStepName(), m.GetTasks()))
	flow := flowID(m.GetFlowId())
	vacancy := e.vacancy(m.GetItemId(), m.GetVacancy(), m.GetContext())
	reviewed := e.tasks(m.GetItemId(), m.GetPlannedSteps(), m.GetContext(), m.GetTasks()...)
	e.change = func(c *store.Changes, r *store.Request, at time.Time) {
		c.SetState(r, store.Transition{To: lifecycle.Pending, At: at, FlowID: flow, FlowVersion: m.GetFlowVersion()})
		if vacancy != nil {
			vacancy(c, r, at)
		}
		reviewed(c, r, at)
	}
}

// asked is the text of who is asked to decide a step. The reviewers may see the
// request from now on.
func (e *reader) asked(step int32, name string, tasks []*approvalv1.Task) string {
	var names []string
	for _, t := range tasks {
		e.reviewers = append(e.reviewers, e.id("user_id", t.GetReviewer().GetUserId()))
		name := t.GetReviewer().GetDisplayName()
		if s := t.GetSubstitution(); s != "" {
			name += " (" + s + ")"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return fmt.Sprintf("%d, %s: waits, there is nobody to decide", step, name)
	}
	return fmt.Sprintf("%d, %s: asked %s", step, name, strings.Join(names, ", "))
}

// vacancy has an item say that nobody can decide it, or, with nil, that somebody can.
func (e *reader) vacancy(item string, v *requestv1.Vacancy, about *eventv1.Context) func(*store.Changes, *store.Request, time.Time) {
	if item == "" { // of all of the request
		return nil
	}
	id, data := e.id("item_id", item), convert.Vacancy(v)
	return func(c *store.Changes, r *store.Request, at time.Time) {
		c.SetVacancy(r, id, data, about.GetVersion(), at)
	}
}

// flowID reads the id of a flow, if there is one.
func flowID(s string) uuid.NullUUID {
	u, err := uuid.Parse(s)
	return uuid.NullUUID{UUID: u, Valid: err == nil}
}

func (e *reader) approvalDecided(m *eventv1.ApprovalDecided) {
	item, text := m.GetTask().GetItemId(), decision(m.GetTask())
	e.completes = m.GetStepApproved()
	reviewed := e.tasks(item, m.GetPlannedSteps(), m.GetContext(), append([]*approvalv1.Task{m.GetTask()}, m.GetNextTasks()...)...)
	e.change = reviewed
	if m.GetNextStep() != 0 {
		if vacancy := e.vacancy(item, m.GetNextVacancy(), m.GetContext()); vacancy != nil {
			e.change = func(c *store.Changes, r *store.Request, at time.Time) {
				vacancy(c, r, at)
				reviewed(c, r, at)
			}
		}
		text += "; step " + e.asked(m.GetNextStep(), m.GetNextStepName(), m.GetNextTasks())
	}
	e.about(m.GetTask().GetRequestId(), text)
}

// decision is the text of what a reviewer decided.
func decision(t *approvalv1.Task) string {
	text := t.GetReviewer().GetDisplayName()
	if t.GetOnBehalfOf() != nil {
		text += " on behalf of " + t.GetOnBehalfOf().GetDisplayName()
	}
	text += " " + enum.Word(t.GetState()) + " step " + t.GetStepName()
	if t.GetComment() != "" {
		text += ": " + t.GetComment()
	}
	return text
}

func (e *reader) approvalGranted(m *eventv1.ApprovalGranted) {
	items := m.GetRequest().GetItems()
	text := "Approved"
	switch {
	case m.GetAutomatic():
		text = "Approved by the flow itself"
	case m.GetRequest().GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT:
		text = "Assigned by " + m.GetRequest().GetRequester().GetDisplayName()
	case m.GetTask() != nil:
		text = decision(m.GetTask()) + "; it is approved"
	}
	names := make([]string, 0, len(items))
	for _, i := range items {
		if i.GetAppId() != items[0].GetAppId() {
			names = nil // who sees the part of one app reads it too
			break
		}
		names = append(names, i.GetAppName()+": "+i.GetEntitlementName())
	}
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
		e.entry.AppID = e.id("app_id", items[0].GetAppId())
	}
	e.about(m.GetRequest().GetId(), text)
	e.tooLate = text + "; it was too late to cancel"
	flow := flowID(m.GetFlowId())
	approved := make([]uuid.UUID, len(items))
	for n, i := range items {
		approved[n] = e.id("item_id", i.GetId())
	}
	reviewed := e.lastTask(m.GetTask(), m.GetContext())
	e.change = func(c *store.Changes, r *store.Request, at time.Time) {
		reviewed(c, r, at)
		for _, i := range approved {
			c.SetItemState(r, i, lifecycle.ItemApproved, at)
		}
		to := lifecycle.Pending
		if now, ok := lifecycle.Outcome(r.ItemStates()); ok && now == lifecycle.Approved {
			to = now
		}
		c.SetState(r, store.Transition{To: to, At: at, FlowID: flow, FlowVersion: m.GetFlowVersion()})
		settle(c, r, at, ending{})
	}
}

// denied ends an item, or without a task all of them.
func (e *reader) denied(m *eventv1.ApprovalDenied) {
	by, text := m.GetReviewer(), "Denied: "
	if by != nil {
		text = by.GetDisplayName() + " denied: "
		if of := m.GetTask().GetOnBehalfOf(); of != nil {
			text = by.GetDisplayName() + " on behalf of " + of.GetDisplayName() + " denied: "
		}
	}
	e.about(m.GetRequestId(), text+m.GetReason())
	closing := store.Closing{Reason: m.GetReason(), By: e.person(by)}
	var item uuid.UUID // the nil id: all of them
	if m.GetTask() != nil {
		item = e.id("task.item_id", m.GetTask().GetItemId())
	}
	reviewed := e.lastTask(m.GetTask(), m.GetContext())
	e.change = func(c *store.Changes, r *store.Request, at time.Time) {
		reviewed(c, r, at)
		for _, i := range r.Items {
			if i.ID == item || item == uuid.Nil {
				c.EndItem(r, i.ID, lifecycle.ItemDenied, m.GetReason(), at)
			}
		}
		settle(c, r, at, ending{lifecycle.ItemDenied, closing, m.GetTask() == nil})
	}
}

// cancelled ends items that were not decided.
func (e *reader) cancelled(m *eventv1.ApprovalCancelled, by *identityv1.Person) {
	e.about(m.GetRequestId(), "Cancelled: "+m.GetReason())
	e.entry.AppID = uuid.Nil // it ends all that was left of the request
	closing := store.Closing{Reason: m.GetReason(), Expired: m.GetExpired(), By: e.person(by)}
	var items []uuid.UUID
	for _, i := range m.GetItemIds() {
		items = append(items, e.id("item_ids", i))
	}
	e.change = func(c *store.Changes, r *store.Request, at time.Time) {
		for _, i := range r.Items {
			if len(items) == 0 || slices.Contains(items, i.ID) {
				c.EndItem(r, i.ID, lifecycle.ItemCancelled, m.GetReason(), at)
			}
		}
		settle(c, r, at, ending{lifecycle.ItemCancelled, closing, true})
	}
}

// person reads somebody who may be nobody.
func (e *reader) person(p *identityv1.Person) store.Person {
	if p.GetUserId() == "" {
		return store.Person{}
	}
	return store.Person{ID: e.id("user_id", p.GetUserId()), Name: p.GetDisplayName(), Email: p.GetEmail()}
}

// ending is how the item ended by which a request comes to its end.
type ending struct {
	item    lifecycle.Item
	closing store.Closing
	// whole says that it was about all of the request, and not about an item.
	whole bool
}

// settle brings a request to where its items have come: approved when nothing is left to
// be decided, closed when nothing is left to be done. last is how the last item ended.
func settle(c *store.Changes, r *store.Request, at time.Time, last ending) {
	to, ok := lifecycle.Outcome(r.ItemStates())
	switch {
	case !ok || !lifecycle.CanMove(r.State, to):
		return
	case to == lifecycle.Approved:
		c.SetState(r, store.Transition{To: to, At: at})
		return
	}
	closeRequest(c, r, to, at, closingOf(r, to, last))
}

// closingOf is why a request is closed, and by whom. What was said about the item of one
// app is for those alone who see it; where there are several apps the items say why.
func closingOf(r *store.Request, to lifecycle.State, last ending) store.Closing {
	apart := slices.ContainsFunc(r.Items, func(i *store.Item) bool { return i.AppID != r.Items[0].AppID })
	closing := last.closing
	switch {
	case to == lifecycle.Fulfilled:
		return store.Closing{}
	case to == lifecycle.PartlyFulfilled:
		return store.Closing{Reason: "in part denied, cancelled or not put in place"}
	case to == lifecycle.Denied && last.item != lifecycle.ItemDenied:
		closing = store.Closing{}
		for _, i := range r.Items {
			if i.State == lifecycle.ItemDenied {
				closing.Reason = i.ClosingReason
			}
		}
	}
	switch {
	case apart && to == lifecycle.Denied && (!last.whole || last.item != lifecycle.ItemDenied):
		return store.Closing{Reason: "denied, as the items say"}
	case apart && last.item == lifecycle.ItemGivenUp:
		return store.Closing{Reason: "given up, as the items say", By: closing.By}
	}
	return closing
}

func (e *reader) taskReassigned(m *eventv1.TaskReassigned) {
	to := "nobody yet"
	if u := m.GetTo().GetReviewer(); u.GetUserId() != "" {
		e.reviewers = append(e.reviewers, e.id("user_id", u.GetUserId()))
		to = u.GetDisplayName()
	}
	vacancy := e.vacancy(m.GetFrom().GetItemId(), m.GetVacancy(), m.GetContext())
	tasks := []*approvalv1.Task{m.GetFrom()}
	if m.GetTo() != nil {
		tasks = append(tasks, m.GetTo())
	}
	reviewed := e.tasks(m.GetFrom().GetItemId(), m.GetPlannedSteps(), m.GetContext(), tasks...)
	e.change = func(c *store.Changes, r *store.Request, at time.Time) {
		if vacancy != nil {
			vacancy(c, r, at)
		}
		reviewed(c, r, at)
	}
	e.about(m.GetFrom().GetRequestId(), "Reassigned from "+m.GetFrom().GetReviewer().GetDisplayName()+" to "+to+": "+m.GetReason())
}

func (e *reader) reminded(m *eventv1.TaskReminded) {
	names := make([]string, 0, len(m.GetTasks()))
	for _, t := range m.GetTasks() {
		if n := t.GetReviewer().GetDisplayName(); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	e.about(m.GetRequestId(), "Reminded "+strings.Join(names, ", "))
}

func (e *reader) escalated(m *eventv1.ApprovalEscalated) {
	text := fmt.Sprintf("Step %d, %s, escalated: %s", m.GetStep(), m.GetStepName(), m.GetReason())
	if len(m.GetTasks()) > 0 {
		text = "Escalated: step " + e.asked(m.GetStep(), m.GetStepName(), m.GetTasks())
	}
	e.about(m.GetRequestId(), text)
}

// copyGrant applies a grant.
func (e *reader) copyGrant(g *provisioningv1.Grant, text string) {
	e.entry.Text = text
	if g.GetRequestId() != "" {
		e.about(g.GetRequestId(), text)
	}
	e.grant = true
}

// endedOf says that a grant has ended.
func (e *reader) endedOf(g *provisioningv1.Grant) {
	if g.GetItemId() != "" {
		e.ended = e.id("item_id", g.GetItemId())
	}
}

// what names a grant's entitlement.
func what(g *provisioningv1.Grant) string { return g.GetAppName() + ": " + g.GetEntitlementName() }

func endText(e provisioningv1.GrantEndReason) string {
	switch e {
	case provisioningv1.GrantEndReason_GRANT_END_REASON_REQUESTED:
		return "as was asked"
	case provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED:
		return "its time was up"
	case provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED:
		return "the person has left"
	case provisioningv1.GrantEndReason_GRANT_END_REASON_APP_DELETED:
		return "the app was deleted"
	case provisioningv1.GrantEndReason_GRANT_END_REASON_ENTITLEMENT_DELETED:
		return "it was deleted from the app"
	case provisioningv1.GrantEndReason_GRANT_END_REASON_GIVEN_UP:
		return "it was given up"
	case provisioningv1.GrantEndReason_GRANT_END_REASON_UNSPECIFIED:
	}
	return "for no given reason"
}

func (e *reader) grantRevoked(g *provisioningv1.Grant) {
	// A grant that was active has fulfilled its item, also if that event comes
	// later; one that never was will not any more.
	to := lifecycle.ItemCancelled
	switch {
	case g.GetActivateTime() != nil:
		to = lifecycle.ItemFulfilled
	case givenUp(g):
		to = lifecycle.ItemGivenUp
	}
	e.copyGrant(g, "Gone: "+what(g))
	e.done(g, to)
}

// givenUp reports whether a grant was given up.
func givenUp(g *provisioningv1.Grant) bool {
	return g.GetEndReason() == provisioningv1.GrantEndReason_GRANT_END_REASON_GIVEN_UP
}

// grantReopened says that what a person has said of a grant was a mistake. A request that
// is closed stays so; one that is not waits for the item again.
func (e *reader) grantReopened(g *provisioningv1.Grant) {
	if g.GetState() == provisioningv1.GrantState_GRANT_STATE_REVOKING {
		e.copyGrant(g, "Not gone after all; being taken away again: "+what(g))
		return
	}
	e.copyGrant(g, "Not in place after all: "+what(g))
	if g.GetRequestId() == "" {
		return
	}
	to := lifecycle.ItemApproved
	if g.GetState() == provisioningv1.GrantState_GRANT_STATE_FAILED {
		to = lifecycle.ItemFailed
	}
	e.reopenItem(g.GetItemId(), to, g.GetVersion())
}

// reopenItem brings an item of a request that is not closed back into a state; version is
// that of the grant or revocation that says so.
func (e *reader) reopenItem(itemID string, to lifecycle.Item, version int64) {
	item := e.id("item_id", itemID)
	e.change = func(c *store.Changes, r *store.Request, at time.Time) { c.ReopenItem(r, item, to, version, at) }
}

// done brings the item that a grant was approved for into a state, if it was.
func (e *reader) done(g *provisioningv1.Grant, to lifecycle.Item) {
	if g.GetRequestId() != "" {
		e.doneItem(g.GetItemId(), to, "not put in place: "+endText(g.GetEndReason()), g.GetVersion())
	}
}

// doneItem brings an item of the request into a state, and closes the request
// if nothing of it is left to be done. cancelled is why it is then cancelled, if
// it is; version is that of the grant or revocation that says so.
func (e *reader) doneItem(itemID string, to lifecycle.Item, cancelled string, version int64) {
	item := e.id("item_id", itemID)
	e.change = func(c *store.Changes, r *store.Request, at time.Time) {
		closing := store.Closing{Reason: cancelled}
		if to == lifecycle.ItemGivenUp {
			closing = givenUpBy(r, item)
		}
		if to != lifecycle.ItemCancelled {
			cancelled = ""
		}
		c.FollowItem(r, item, store.Followed{To: to, Reason: cancelled, Version: version}, at)
		settle(c, r, at, ending{item: to, closing: closing})
	}
}
