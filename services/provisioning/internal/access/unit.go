package access

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
	"gatehouse.dev/services/provisioning/internal/wire"
)

// unit is what one transaction does to seats: they are locked, changed in
// memory, settled, and saved together with the events that tell of it.
type unit struct {
	e     *Engine
	tx    *postgres.Tx
	org   uuid.UUID
	now   time.Time
	actor *eventv1.Actor

	seats  []*store.Seat
	events []outbox.Event
	due    []due.Item
	// counts are what changes about checklists, for each of the steps that the
	// unit has come through: each step says whether it opened or closed one.
	counts map[uuid.UUID][]stepCount
	step   int
	// queued says that workers have something new.
	queued bool
	more   *pgx.Batch
}

// stepCount is what one step of a unit changes about a checklist.
type stepCount struct {
	*store.Count
	step int
}

// system is Gatehouse itself.
func system() *eventv1.Actor {
	return &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: "provisioning", DisplayName: "Gatehouse"}
}

func (e *Engine) begin(tx *postgres.Tx, org uuid.UUID, actor *eventv1.Actor) *unit {
	return &unit{
		e: e, tx: tx, org: org, now: e.clock.Now(), actor: actor,
		counts: make(map[uuid.UUID][]stepCount), more: &pgx.Batch{},
	}
}

// lock locks seats. Those whose person or app has not arrived are left out.
func (u *unit) lock(ctx context.Context, w store.Want) (*store.Found, error) {
	w.Organization, w.Now = u.org, u.now
	f, err := store.Lock(ctx, u.tx, w)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Seats {
		if s.Known() {
			u.seats = append(u.seats, s)
		}
	}
	return f, nil
}

// say adds an event.
func (u *unit) say(aggregate, name string, about uuid.UUID, m proto.Message) {
	u.events = append(u.events, outbox.Event{
		OrganizationID: u.org, Aggregate: aggregate, Name: name, AggregateID: about, Time: u.now, Message: m,
	})
}

func (u *unit) context(s *store.Seat, version int64, requests ...uuid.UUID) *eventv1.Context {
	return &eventv1.Context{
		Actor: u.actor, RequestIds: wire.Strings(requests), UserId: s.User.String(), AppId: s.Key.App.String(), Version: version,
	}
}

func who(s *store.Seat) store.Who {
	return store.Who{ID: s.User, DisplayName: s.Person.DisplayName, Email: s.Person.Email}
}

// requests are those that an event about the grant belongs to.
func requests(g *store.Grant) []uuid.UUID {
	if g.RevokeRequestID.Valid && g.RevokeRequestID.UUID != g.RequestID {
		return []uuid.UUID{g.RequestID, g.RevokeRequestID.UUID}
	}
	return []uuid.UUID{g.RequestID}
}

// sayGrant tells what has become of a grant.
func (u *unit) sayGrant(s *store.Seat, g *store.Grant, name string) {
	c := u.context(s, g.Version, requests(g)...)
	m := wire.Grant(&store.NamedGrant{
		Grant: *g, OrganizationID: u.org, User: who(s), AppName: s.App.Name, EntitlementName: s.Entitlements[g.EntitlementID].Name,
	})
	var ev proto.Message
	switch name {
	case "created":
		ev = &eventv1.GrantCreated{Context: c, Grant: m}
	case "activated":
		ev = &eventv1.GrantActivated{Context: c, Grant: m}
	case "expiring":
		ev = &eventv1.GrantExpiring{Context: c, Grant: m}
	case "ended":
		ev = &eventv1.GrantEnded{Context: c, Grant: m}
	case "revoked":
		ev = &eventv1.GrantRevoked{Context: c, Grant: m}
	case "failed":
		ev = &eventv1.GrantFailed{Context: c, Grant: m}
	}
	u.say("grant", name, g.ID, ev)
}

// sayItem tells what has become of a work item, to the requests given.
func (u *unit) sayItem(s *store.Seat, i *store.WorkItem, name string, requests []uuid.UUID) {
	c := u.context(s, i.Version, requests...)
	m := wire.WorkItem(u.named(s, i))
	var ev proto.Message
	switch name {
	case "opened":
		ev = &eventv1.WorkItemOpened{Context: c, WorkItem: m}
	case "resolved":
		ev = &eventv1.WorkItemResolved{Context: c, WorkItem: m}
	case "cancelled":
		ev = &eventv1.WorkItemCancelled{Context: c, WorkItem: m}
	}
	u.say("work_item", name, i.ID, ev)
}

func (u *unit) named(s *store.Seat, i *store.WorkItem) *store.NamedItem {
	n := &store.NamedItem{WorkItem: *i, OrganizationID: u.org, User: who(s), AppName: s.App.Name}
	for _, e := range i.EntitlementIDs {
		if known, ok := s.Entitlements[e]; ok {
			n.EntitlementNames = append(n.EntitlementNames, known.Name)
		}
	}
	return n
}

// end ends a live grant.
func (u *unit) end(s *store.Seat, g *store.Grant, why string, revokeRequest uuid.NullUUID) {
	at := u.now
	g.State, g.End, g.EndTime, g.RevokeRequestID, g.Error = lifecycle.Revoking, why, &at, revokeRequest, ""
	g.Version++
	u.sayGrant(s, g, "ended")
}

// learn writes down what is known about the app now. externalID and userName
// are what the app said about the account, if it did.
func (u *unit) learn(s *store.Seat, know lifecycle.Knowledge, externalID, userName string) {
	a := &s.Account
	before := a.Know.Account
	a.Know, a.Changed, a.UpdateTime = know, true, u.now
	switch {
	case know.Account == lifecycle.Absent && !know.Unsure:
		a.ExternalID, a.UserName = "", ""
	case externalID != "":
		a.ExternalID = externalID
		if userName != "" {
			a.UserName = userName
		}
	}
	there := know.Account == lifecycle.Active
	if there == (before == lifecycle.Active) {
		return
	}
	if there {
		at := u.now
		a.CreateTime = &at
	}
	var about []uuid.UUID
	for _, g := range s.Grants {
		if there == g.State.Live() {
			about = append(about, requests(g)...)
		}
	}
	slices.SortFunc(about, compareIDs)
	about = slices.Compact(about)
	c := u.context(s, a.Version+1, about...)
	m := wire.Account(&store.NamedAccount{Account: *a, OrganizationID: u.org, User: who(s), AppID: s.Key.App, AppName: s.App.Name})
	if there {
		u.say("account", "created", a.ID, &eventv1.AccountCreated{Context: c, Account: m})
	} else {
		u.say("account", "removed", a.ID, &eventv1.AccountRemoved{Context: c, Account: m})
	}
}

// view is the seat as lifecycle sees it.
func view(s *store.Seat) lifecycle.Seat {
	v := lifecycle.Seat{Mode: s.App.Mode, Leaving: s.Person.Removed, Know: s.Account.Know}
	for _, g := range s.Grants {
		if g.State == lifecycle.Revoked {
			continue
		}
		request := g.RequestID
		if g.RevokeRequestID.Valid {
			request = g.RevokeRequestID.UUID
		}
		v.Grants = append(v.Grants, lifecycle.Grant{
			ID: g.ID, Entitlement: g.EntitlementID, Account: s.Entitlements[g.EntitlementID].IsAccount(), State: g.State,
			Request: request, Join: g.Join, WasActive: g.ActivateTime != nil, Error: g.Error,
		})
	}
	for _, r := range s.Revocations {
		if !r.Done {
			v.Revocations = append(v.Revocations, lifecycle.Revocation{ID: r.ItemID, Grants: store.IDs(r.GrantIDs)})
		}
	}
	for _, i := range s.Items {
		if i.State == "open" {
			v.Items = append(v.Items, lifecycle.Item{
				ID: i.ID, Kind: i.Kind, Entitlements: store.IDs(i.EntitlementIDs), Requests: store.IDs(i.RequestIDs), List: i.List, Error: i.Error,
			})
		}
	}
	if o := s.Operation; o != nil {
		v.Operation = lifecycle.Operation{State: operationStates[o.State], Plan: store.Changes(o.Plan), Error: o.Error}
	}
	return v
}

var operationStates = map[string]lifecycle.OperationState{
	"queued": lifecycle.Queued, "running": lifecycle.Running, "stuck": lifecycle.Stuck, "done": lifecycle.Succeeded,
}

// settle follows what lifecycle says about the seat.
func (u *unit) settle(s *store.Seat) {
	out := lifecycle.Settle(view(s))
	u.settleOperation(s, &out)
	u.settleItems(s, &out)
	u.settleGrants(s, &out)
	for _, done := range out.Revocations {
		for _, r := range s.Revocations {
			if r.ItemID == done {
				r.Done, r.Changed = true, true
				u.say("revocation", "completed", r.ItemID, &eventv1.RevocationCompleted{
					Context: u.context(s, 0, r.RequestID), RequestId: r.RequestID.String(), ItemId: r.ItemID.String(), GrantIds: wire.Strings(r.GrantIDs),
				})
			}
		}
	}
	if s.Account.AppVersion != s.App.Version {
		s.Account.AppVersion, s.Account.Changed = s.App.Version, true
	}
}

func (u *unit) settleOperation(s *store.Seat, out *lifecycle.Outcome) {
	o := s.Operation
	if o != nil && (out.Finish || out.Cancel) {
		o.State, o.Changed = "done", true
		if out.Cancel {
			o.State = "cancelled"
		}
		if !o.New { // or else it never was
			s.Finished = append(s.Finished, o)
		}
		s.Operation, o = nil, nil
	}
	moved := o != nil && o.State != "running" && s.App.Mode == lifecycle.Automatic && o.IntegrationID != s.App.IntegrationID.UUID
	switch {
	case out.Enqueue && o == nil:
		s.Operation = &store.Operation{
			ID: id.New(), IntegrationID: s.App.IntegrationID.UUID, State: "queued", Plan: s.Steps(out.Plan), NotBefore: &u.now, AtOnce: true, New: true,
		}
	case out.Enqueue, moved:
		o.State, o.Plan, o.IntegrationID, o.Tries, o.NotBefore = "queued", s.Steps(out.Plan), s.App.IntegrationID.UUID, 0, &u.now
		o.Changed, o.AtOnce = true, out.Enqueue
		u.queued = u.queued || moved
	case out.Replan:
		o.Plan, o.Changed = s.Steps(out.Plan), true
	}
}

func (u *unit) settleGrants(s *store.Seat, out *lifecycle.Outcome) {
	for _, t := range out.Grants {
		i := slices.IndexFunc(s.Grants, func(g *store.Grant) bool { return g.ID == t.ID })
		g := s.Grants[i]
		at := u.now
		g.State, g.Error = t.To, t.Error
		g.Version++
		switch t.To {
		case lifecycle.InPlace:
			g.ActivateTime = &at
			u.sayGrant(s, g, "activated")
			took := u.now.Sub(g.CreateTime)
			u.tx.AfterCommit(func() { u.e.measure.activated(took) })
		case lifecycle.Revoked:
			g.RevokeTime = &at
			u.sayGrant(s, g, "revoked")
		case lifecycle.Failed, lifecycle.Revoking:
			u.sayGrant(s, g, "failed")
		}
	}
}

func (u *unit) settleItems(s *store.Seat, out *lifecycle.Outcome) {
	find := func(id lifecycle.ID) *store.WorkItem {
		i := slices.IndexFunc(s.Items, func(i *store.WorkItem) bool { return i.ID == id })
		return s.Items[i]
	}
	for _, id := range out.Resolve {
		i := find(id)
		i.ResolverName = u.actor.GetDisplayName()
		u.closeItem(s, i, "resolved", "the integration has done it")
	}
	for _, d := range out.Drop {
		u.closeItem(s, find(d.ID), "cancelled", d.Reason)
	}
	for _, next := range out.Change {
		u.changeItem(s, find(next.ID), next)
	}
	for _, open := range out.Open {
		i := &store.WorkItem{
			ID: id.New(), UserID: s.User, AppID: s.Key.App, Kind: open.Kind, State: "open",
			EntitlementIDs: store.UUIDs(open.Entitlements), RequestIDs: store.UUIDs(open.Requests), List: open.List, Error: open.Error,
			CreateTime: u.now, Version: 1, New: true,
		}
		u.stand(s, i, open.List)
		s.Items = append(s.Items, i)
		u.sayItem(s, i, "opened", i.RequestIDs)
	}
}

// changeItem gives an open item new content. Requests that it serves from now
// on are told of it as if it had been opened for them.
func (u *unit) changeItem(s *store.Seat, i *store.WorkItem, next lifecycle.Item) {
	var added []uuid.UUID
	for _, r := range next.Requests {
		if !slices.Contains(i.RequestIDs, uuid.UUID(r)) {
			added = append(added, r)
		}
	}
	i.EntitlementIDs, i.RequestIDs, i.Error = store.UUIDs(next.Entitlements), store.UUIDs(next.Requests), next.Error
	if next.List != i.List {
		u.leave(i, true)
		u.stand(s, i, next.List)
	}
	i.Version++
	if len(added) > 0 {
		u.sayItem(s, i, "opened", added)
	}
}

// closeItem resolves or drops an item.
func (u *unit) closeItem(s *store.Seat, i *store.WorkItem, state, note string) {
	at := u.now
	i.State, i.Note, i.ResolveTime = state, note, &at
	i.Version++
	u.leave(i, false)
	u.sayItem(s, i, state, i.RequestIDs)
}

// stand puts an open item on a checklist.
func (u *unit) stand(s *store.Seat, i *store.WorkItem, list lifecycle.List) {
	i.List = list
	if list == lifecycle.NoList {
		return
	}
	id := store.ChecklistID(s.User, list, s.Person.JoinCount)
	c := u.count(id)
	c.Kind, c.UserID, c.JoinCount = list, s.User, s.Person.JoinCount
	c.Open++
	c.Items++
	i.ChecklistID = uuid.NullUUID{UUID: id, Valid: true}
}

// leave takes an open item from its checklist: it is over, or stands elsewhere.
func (u *unit) leave(i *store.WorkItem, elsewhere bool) {
	if !i.ChecklistID.Valid {
		return
	}
	c := u.count(i.ChecklistID.UUID)
	c.UserID = i.UserID
	c.Open--
	if elsewhere {
		c.Items--
	}
}

// count is what this step changes about a checklist.
func (u *unit) count(id uuid.UUID) *store.Count {
	steps := u.counts[id]
	if n := len(steps); n > 0 && steps[n-1].step == u.step {
		return steps[n-1].Count
	}
	c := &store.Count{Checklist: store.Checklist{ID: id}}
	u.counts[id] = append(steps, stepCount{c, u.step})
	return c
}

// save writes everything, in one round trip, or two where checklists are
// concerned.
func (u *unit) save(ctx context.Context) error {
	u.takeUp(ctx)
	b := u.more
	order := slices.SortedFunc(maps.Keys(u.counts), compareIDs)
	for _, id := range order {
		for _, c := range u.counts[id] {
			c.Queue(b, u.org, u.now)
		}
	}
	if err := store.Save(b, u.seats, u.now); err != nil {
		return err
	}
	if err := u.e.due.Queue(u.tx, b, u.due...); err != nil {
		return err
	}
	if len(order) == 0 {
		if err := u.e.events.Queue(ctx, u.tx, b, u.events...); err != nil {
			return err
		}
	}
	if b.Len() > 0 {
		if err := u.tx.SendBatch(ctx, b).Close(); err != nil {
			return fmt.Errorf("save seats: %w", err)
		}
	}
	if len(order) > 0 {
		for _, id := range order {
			for _, c := range u.counts[id] {
				u.sayChecklist(c.Count)
			}
		}
		if err := u.e.events.Add(ctx, u.tx, u.events...); err != nil {
			return err
		}
	}
	if u.queued {
		u.tx.AfterCommit(u.e.workers.Wake)
	}
	return nil
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

func (u *unit) sayChecklist(c *store.Count) {
	if !c.Opened && !c.Closed {
		return
	}
	n := &store.NamedChecklist{Checklist: c.Checklist, OrganizationID: u.org}
	for _, s := range u.seats {
		if s.User == c.UserID {
			n.User = who(s)
		}
	}
	about := &eventv1.Context{Actor: u.actor, UserId: c.UserID.String(), Version: c.Version}
	if c.Opened {
		u.say("checklist", "opened", c.ID, &eventv1.ChecklistOpened{Context: about, Checklist: wire.Checklist(n)})
	} else {
		u.say("checklist", "closed", c.ID, &eventv1.ChecklistClosed{Context: about, Checklist: wire.Checklist(n)})
	}
}
