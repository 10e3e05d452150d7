package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/lifecycle"
)

// Changes are what a transaction will save for one organization. They are made
// in memory, where each sees the ones before it, and saved together, with at
// most one statement for each table, however many there are.
type Changes struct {
	organization uuid.UUID
	added        []New
	comments     pgx.Batch
	requests     []*Request
	items        []*Item
	entries      []requestEntry
	reviewers    []reviewer
	actions      map[actionKey]Action
	asked        []*Item
	grants       []inbox.Event
	events       []outbox.Event
	traceparent  string
}

// NewChanges begins with nothing changed.
func NewChanges(organization uuid.UUID) *Changes { return &Changes{organization: organization} }

// TimelineEntry is one entry of a request's timeline.
type TimelineEntry struct {
	EventID            uuid.UUID
	Time               time.Time
	Event, Text        string
	ActorID, ActorName string
	// AppID is the app that it is about; the nil id: it is about all of the request.
	AppID uuid.UUID
}

type requestEntry struct {
	request uuid.UUID
	TimelineEntry
}

type reviewer struct{ request, user, app uuid.UUID }

// AddEntry adds an entry to a request's timeline, which has one for each event,
// however often it is delivered.
func (c *Changes) AddEntry(request uuid.UUID, e TimelineEntry) {
	c.entries = append(c.entries, requestEntry{request, e})
}

// AddReviewers lets people see what of a request is about an app from now on.
func (c *Changes) AddReviewers(request, app uuid.UUID, users ...uuid.UUID) {
	for _, u := range users {
		c.reviewers = append(c.reviewers, reviewer{request, u, app})
	}
}

// CopyGrants applies events about grants.
func (c *Changes) CopyGrants(events ...inbox.Event) { c.grants = append(c.grants, events...) }

// Cause names the trace of what causes the next events, in W3C form; empty for
// the transaction's own.
func (c *Changes) Cause(traceparent string) { c.traceparent = traceparent }

// Emit adds an event of the organization.
func (c *Changes) Emit(ev outbox.Event) {
	ev.OrganizationID, ev.Traceparent = c.organization, c.traceparent
	c.events = append(c.events, ev)
}

// Closing is why and by whom a request was closed.
type Closing struct {
	Reason string
	By     Person // the nil id: by nobody
	// Expired says that its end had passed.
	Expired bool
}

// Transition is the state that a request is to get, and when.
type Transition struct {
	To lifecycle.State
	At time.Time
	// Closing is for a closing state.
	Closing Closing
	// FlowID and FlowVersion are the flow that decides, if it is known now. The
	// first one known counts, also for a request that is in a later state.
	FlowID      uuid.NullUUID
	FlowVersion int32
}

// SetState brings a request, which the transaction has locked, into a state if
// the lifecycle allows it.
func (c *Changes) SetState(r *Request, m Transition) {
	moves := lifecycle.CanMove(r.State, m.To)
	unknown := r.FlowVersion == 0
	switch {
	case moves:
		c.change(r, m.At)
		if unknown && m.FlowID.Valid {
			r.FlowID = m.FlowID
		}
		if unknown {
			r.FlowVersion = m.FlowVersion
		}
	case unknown && m.FlowVersion > 0:
		c.change(r, m.At)
		r.FlowID, r.FlowVersion = m.FlowID, m.FlowVersion
		return
	default:
		return
	}
	r.State, r.CloseTime = m.To, nil
	if m.To.Closed() {
		at := m.At
		r.CloseTime = &at
	}
	if m.Closing.Reason != "" {
		r.ClosingReason = m.Closing.Reason
	}
	if m.Closing.Expired {
		r.Expired = true
	}
	if m.Closing.By.ID != uuid.Nil {
		r.ClosedBy = m.Closing.By
	}
}

// SetItemState brings one item of a request, which the transaction has locked,
// into a state if the lifecycle allows it. That is a change of the request.
func (c *Changes) SetItemState(r *Request, item uuid.UUID, to lifecycle.Item, at time.Time) {
	for _, i := range r.Items {
		if i.ID == item && c.setItemState(i, to) {
			c.change(r, at)
		}
	}
}

// FollowItem brings an item of a request, which the transaction has locked, into a state
// where the lifecycle allows it, because a version of its grant or revocation says so. An
// older version than was heard of before changes nothing.
func (c *Changes) FollowItem(r *Request, item uuid.UUID, f Followed, at time.Time) {
	if c.follow(r, item, f.Version) {
		c.EndItem(r, item, f.To, f.Reason, at)
	}
}

// Followed is the state that a version of a grant or revocation brings an item into, and
// why, if it has ended without being done.
type Followed struct {
	To      lifecycle.Item
	Reason  string
	Version int64
}

// ReopenItem is FollowItem for an item that is not done after all.
func (c *Changes) ReopenItem(r *Request, item uuid.UUID, to lifecycle.Item, version int64, at time.Time) {
	if !c.follow(r, item, version) {
		return
	}
	for _, i := range r.Items {
		if i.ID == item && lifecycle.CanReopenItem(r.State, i.State, to) {
			i.State, i.GiveUp, i.reopened = to, nil, true
			c.changeItem(i)
			c.change(r, at)
		}
	}
}

// follow notes the version that an item follows. It returns false if it follows a later
// one already.
func (c *Changes) follow(r *Request, item uuid.UUID, version int64) bool {
	for _, i := range r.Items {
		switch {
		case i.ID != item:
		case version < i.StateVersion:
			return false
		case version > i.StateVersion && !r.State.Closed():
			i.StateVersion = version
			c.changeItem(i)
		}
	}
	return true
}

// EndItem is [Changes.SetItemState] with why the item has ended.
func (c *Changes) EndItem(r *Request, item uuid.UUID, to lifecycle.Item, reason string, at time.Time) {
	for _, i := range r.Items {
		if i.ID == item && c.setItemState(i, to) {
			i.ClosingReason = reason
			c.change(r, at)
		}
	}
}

func (c *Changes) setItemState(i *Item, to lifecycle.Item) (changed bool) {
	if !lifecycle.CanMoveItem(i.State, to) {
		return false
	}
	i.State = to
	c.changeItem(i)
	return true
}

func (c *Changes) changeItem(i *Item) {
	if !i.changed {
		i.changed = true
		c.items = append(c.items, i)
	}
}

// SetVacancy says that nobody can decide an item of a request, which the transaction
// has locked, or with nil that somebody can, as a version of its approval has it. A
// later version says it for good, also where it changes nothing: an older one that comes
// after it must not.
func (c *Changes) SetVacancy(r *Request, item uuid.UUID, vacancy []byte, version int64, at time.Time) {
	for _, i := range r.Items {
		if i.ID != item || i.VacancyVersion >= version && i.Vacancy == nil && vacancy == nil || i.VacancyVersion > version {
			continue
		}
		changes := i.Vacancy != nil || vacancy != nil
		i.Vacancy, i.VacancyVersion = vacancy, version
		c.changeItem(i)
		if changes {
			c.change(r, at)
		}
	}
}

// SetGiveUp says of an item of a request, which the transaction has locked, that it is
// to be given up.
func (c *Changes) SetGiveUp(r *Request, i *Item, giveUp []byte, at time.Time) {
	i.GiveUp = giveUp
	c.changeItem(i)
	c.change(r, at)
}

// SetPointless says of an item of a request, which the transaction has locked, that there
// is nothing left to be decided about it.
func (c *Changes) SetPointless(i *Item) {
	i.Pointless = true
	c.changeItem(i)
}

// change counts a change of a request, whose update time never decreases.
func (c *Changes) change(r *Request, at time.Time) {
	r.Version++
	if r.UpdateTime.Before(at) {
		r.UpdateTime = at
	}
	if !r.changed {
		r.changed = true
		c.requests = append(c.requests, r)
	}
}

// Save saves the changes in one round trip, at once: for a command whose caller
// is to learn why the database refuses it.
func (c *Changes) Save(ctx context.Context, tx *postgres.Tx, events *outbox.Writer, doing string) error {
	b, err := c.statements(ctx, tx, events)
	if err != nil {
		return err
	}
	return send(ctx, tx, b, doing)
}

// SaveLater saves the changes with the commit, or before the next statement.
func (c *Changes) SaveLater(ctx context.Context, tx *postgres.Tx, events *outbox.Writer) error {
	b, err := c.statements(ctx, tx, events)
	if err != nil {
		return err
	}
	tx.Later(b)
	return nil
}

// statements save the changes. Tables come in one order and the rows
// that others may wait for in theirs, so that two replicas do not deadlock.
func (c *Changes) statements(ctx context.Context, tx *postgres.Tx, events *outbox.Writer) (*pgx.Batch, error) {
	b := &pgx.Batch{}
	c.insertRequests(b)
	b.QueuedQueries = append(b.QueuedQueries, c.comments.QueuedQueries...)
	c.updateRequests(b)
	if err := c.updateItems(b); err != nil {
		return nil, err
	}
	c.insertEntries(b)
	c.insertReviewers(b)
	c.closeParts(b)
	c.saveActions(b)
	if err := copies.Queue(b, c.grants); err != nil {
		return nil, err
	}
	if err := events.Queue(ctx, tx, b, c.events...); err != nil {
		return nil, err
	}
	return b, nil
}

// send sends statements in one round trip.
func send(ctx context.Context, tx *postgres.Tx, b *pgx.Batch, doing string) error {
	err := tx.SendBatch(ctx, b).Close()
	if err == nil {
		return nil
	}
	switch name, _ := postgres.Constraint(err); name {
	case "access_request_once":
		return ErrSameRequestID
	case "access_request_join_once":
		return ErrJoinRequestExists
	case "request_item_asked_once":
		return ErrAlreadyRequested
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// uuids and times are arrays as the driver encodes them without looking for a
// way; both may hold null.
type (
	uuids = pgtype.FlatArray[pgtype.UUID]
	times = pgtype.FlatArray[pgtype.Timestamptz]
)

func idOf(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func idOrNull(id uuid.NullUUID) pgtype.UUID { return pgtype.UUID{Bytes: id.UUID, Valid: id.Valid} }

func idUnlessNil(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: id != uuid.Nil} }

func timeOrNull(t *time.Time) pgtype.Timestamptz {
	if t == nil {
		return pgtype.Timestamptz{}
	}
	return pgtype.Timestamptz{Time: *t, Valid: true}
}

const (
	updateRequests = `
update access_request r set state = c.state, update_time = c.updated, version = c.version, close_time = c.closed,
	closing_reason = c.reason, closed_by_id = c.closer, closed_by_name = c.name, closed_by_email = c.email,
	flow_id = c.flow, flow_version = c.flow_version, expired = c.expired
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[], $5::timestamptz[], $6::text[], $7::uuid[], $8::text[],
	$9::text[], $10::uuid[], $11::int[], $12::boolean[]) c (id, state, updated, version, closed, reason, closer, name, email, flow, flow_version, expired)
where r.id = c.id`
	updateItems = `
update request_item i set state = c.state, open = c.open, vacancy = c.vacancy, vacancy_version = c.vacancy_version, give_up = c.give_up,
	closing_reason = c.closing_reason, state_version = greatest(i.state_version, c.state_version),
	apart_request_id = case when c.reopened then i.id else i.apart_request_id end, pointless = c.pointless, review = c.review::jsonb
from unnest($1::uuid[], $2::text[], $3::boolean[], $4::bytea[], $5::bigint[], $6::bytea[], $7::text[], $8::bigint[], $9::boolean[], $10::boolean[], $11::text[])
	c (id, state, open, vacancy, vacancy_version, give_up, closing_reason, state_version, reopened, pointless, review) where i.id = c.id`
	insertEntries = `
insert into timeline_entry (organization_id, request_id, event_id, event_time, event, actor_id, actor_name, body, app_id)
select $1, e.* from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[]) e
on conflict do nothing`
	insertReviewers = `
insert into reviewer (organization_id, request_id, user_id, app_id, closed)
select distinct $1::uuid, v.*, exists (select from access_request r where r.id = v.request_id and r.close_time is not null)
from unnest($2::uuid[], $3::uuid[], $4::uuid[]) v (request_id, user_id, app_id) order by 2, 3, 4
on conflict do nothing`
	closeParts = `
with items as (update request_item set closed = true where request_id = any($1) and not closed)
update reviewer set closed = true where request_id = any($1) and not closed`
)

func (c *Changes) updateRequests(b *pgx.Batch) {
	n := len(c.requests)
	if n == 0 {
		return
	}
	ids, closers, flows := make(uuids, n), make(uuids, n), make(uuids, n)
	updated, closed := make(times, n), make(times, n)
	states, reasons, names, emails := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	versions, flowVersions, expired := make([]int64, n), make([]int32, n), make([]bool, n)
	for i, r := range c.requests {
		ids[i], closers[i], flows[i] = idOf(r.ID), idUnlessNil(r.ClosedBy.ID), idOrNull(r.FlowID)
		updated[i], closed[i] = timeOrNull(&r.UpdateTime), timeOrNull(r.CloseTime)
		states[i], reasons[i], names[i], emails[i] = string(r.State), r.ClosingReason, r.ClosedBy.Name, r.ClosedBy.Email
		versions[i], flowVersions[i], expired[i] = r.Version, r.FlowVersion, r.Expired
	}
	b.Queue(updateRequests, ids, states, updated, versions, closed, reasons, closers, names, emails, flows, flowVersions, expired)
}

// closeParts says of what belongs to closed requests that they are.
func (c *Changes) closeParts(b *pgx.Batch) {
	var closed uuids
	for _, r := range c.requests {
		if r.State.Closed() {
			closed = append(closed, idOf(r.ID))
		}
	}
	if len(closed) > 0 {
		b.Queue(closeParts, closed)
	}
}

func (c *Changes) updateItems(b *pgx.Batch) error {
	n := len(c.items)
	if n == 0 {
		return nil
	}
	ids, states, open := make(uuids, n), make([]string, n), make([]bool, n)
	vacancies, versions, givenUp, reasons, stateVersions := make([][]byte, n), make([]int64, n), make([][]byte, n), make([]string, n), make([]int64, n)
	reopened, pointless, reviews := make([]bool, n), make([]bool, n), make([]string, n)
	for i, item := range c.items {
		ids[i], states[i], open[i] = idOf(item.ID), string(item.State), item.State.Open()
		vacancies[i], versions[i] = item.Vacancy, item.VacancyVersion
		givenUp[i], reasons[i], stateVersions[i], reopened[i], pointless[i] = item.GiveUp, item.ClosingReason, item.StateVersion, item.reopened, item.Pointless
		var err error
		if reviews[i], err = item.Review.Encode(); err != nil {
			return fmt.Errorf("encode how far an item is reviewed: %w", err)
		}
	}
	b.Queue(updateItems, ids, states, open, vacancies, versions, givenUp, reasons, stateVersions, reopened, pointless, reviews)
	return nil
}

func (c *Changes) insertEntries(b *pgx.Batch) {
	n := len(c.entries)
	if n == 0 {
		return
	}
	requests, eventIDs, apps, at := make(uuids, n), make(uuids, n), make(uuids, n), make(times, n)
	events, actors, names, bodies := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, e := range c.entries {
		requests[i], eventIDs[i], at[i] = idOf(e.request), idOf(e.EventID), timeOrNull(&e.Time)
		events[i], actors[i], names[i], bodies[i], apps[i] = e.Event, e.ActorID, e.ActorName, e.Text, idOf(e.AppID)
	}
	// An event is handled by one transaction at a time, so nobody waits here.
	b.Queue(insertEntries, c.organization, requests, eventIDs, at, events, actors, names, bodies, apps)
}

func (c *Changes) insertReviewers(b *pgx.Batch) {
	if len(c.reviewers) == 0 {
		return
	}
	n := len(c.reviewers)
	requests, users, apps := make(uuids, n), make(uuids, n), make(uuids, n)
	for i, r := range c.reviewers {
		requests[i], users[i], apps[i] = idOf(r.request), idOf(r.user), idOf(r.app)
	}
	b.Queue(insertReviewers, c.organization, requests, users, apps)
}
