package store

import (
	"bytes"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/services/request/internal/lifecycle"
)

// Action is something that a request waits for, or that was done about it.
type Action struct {
	RequestID, ID uuid.UUID
	// ItemID is the item that is decided; null for what is done by hand.
	ItemID uuid.NullUUID
	AppID  uuid.UUID
	// Step is that of a decision, from 1.
	Step  int
	Kind  ActionKind
	State ActionState
	// ActorID is whose it is; null: it is for whoever runs the app.
	ActorID   uuid.NullUUID
	AskedTime time.Time
	// DoneTime and DoneBy are set if it is done; DoneBy may be null, for Gatehouse.
	DoneTime time.Time
	DoneBy   uuid.NullUUID
	// Outcome is what was decided; empty of what is not decided.
	Outcome Outcome
}

// ActionKind is what is to be done.
type ActionKind string

// The kinds of actions.
const (
	Decide    ActionKind = "decide"
	Provision ActionKind = "provision"
	Assign    ActionKind = "assign"
)

// Outcome is what somebody has decided.
type Outcome string

// The outcomes of a decision.
const (
	Approved Outcome = "approved"
	Denied   Outcome = "denied"
)

// ActionState is where an action stands.
type ActionState string

// The states of an action, in the order in which one takes the place of another.
const (
	ActionOpen      ActionState = "open"
	ActionWithdrawn ActionState = "withdrawn"
	ActionDone      ActionState = "done"
)

var actionRank = map[ActionState]int{ActionOpen: 0, ActionWithdrawn: 1, ActionDone: 2}

type actionKey struct{ request, id uuid.UUID }

// Mine is what a viewer is asked for on a request.
type Mine struct {
	// Done and Open are how many of it are done, and how many are not.
	Done, Open int
	// Required are the kinds of those that are open.
	Required []string
}

// AddAction adds an action, or says how it stands. What was said before of one that is
// further by then stays, in whatever order it comes.
func (c *Changes) AddAction(a Action) {
	if c.actions == nil {
		c.actions = make(map[actionKey]Action)
	}
	key := actionKey{a.RequestID, a.ID}
	before, ok := c.actions[key]
	if ok {
		a.AskedTime = before.AskedTime
	}
	if !ok || actionRank[a.State] > actionRank[before.State] {
		c.actions[key] = a
	}
}

// Ask says that somebody was asked to decide items of a request, which the transaction has
// locked: those actions are withdrawn whose item or step has ended by then.
func (c *Changes) Ask(r *Request, item uuid.UUID) {
	for _, i := range r.Items {
		if i.ID == item && !slices.Contains(c.asked, i) {
			c.asked = append(c.asked, i)
		}
	}
}

// SetReview changes how far the review of an item of a request is, which the transaction
// has locked.
func (c *Changes) SetReview(r *Request, item uuid.UUID, change func(*lifecycle.Review) (changed bool)) {
	for _, i := range r.Items {
		if i.ID == item && change(&i.Review) {
			c.changeItem(i)
		}
	}
}

const (
	insertActions = `
insert into action as a (organization_id, request_id, id, item_id, app_id, step, kind, actor_id, asked_time, state, done_time, done_by_id, outcome)
select $1, n.* from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::int[], $7::text[], $8::uuid[], $9::timestamptz[], $10::text[], $11::timestamptz[], $12::uuid[],
	array(select nullif(o, '') from unnest($13::text[]) with ordinality o (o, n) order by n))
	n (request_id, id, item_id, app_id, step, kind, actor_id, asked_time, state, done_time, done_by_id, outcome)
order by n.request_id, n.id
on conflict (request_id, id) do update set state = excluded.state, done_time = excluded.done_time, done_by_id = excluded.done_by_id, outcome = excluded.outcome
where a.state = 'open' and excluded.state <> 'open' or a.state = 'withdrawn' and excluded.state = 'done'`
	withdrawActions = `
update action a set state = 'withdrawn'
from unnest($1::uuid[], $2::int[]) c (item_id, through) join request_item i on i.id = c.item_id
where a.request_id = i.request_id and a.item_id = c.item_id and a.step <= c.through and a.state = 'open'`
)

// everyStep is more than any item has.
const everyStep = 1 << 20

func (c *Changes) saveActions(b *pgx.Batch) {
	c.insertActions(b)
	// Decisions are withdrawn that are not needed any more: their step is completed, or
	// their item is decided.
	var items uuids
	var through []int
	seen := make(map[uuid.UUID]bool)
	for _, list := range [][]*Item{c.items, c.asked} {
		for _, i := range list {
			last := i.Review.Completed
			if i.State != lifecycle.ItemPending {
				last = everyStep
			}
			if last == 0 || seen[i.ID] {
				continue
			}
			seen[i.ID] = true
			items, through = append(items, idOf(i.ID)), append(through, last)
		}
	}
	if len(items) > 0 {
		b.Queue(withdrawActions, items, through)
	}
}

func (c *Changes) insertActions(b *pgx.Batch) {
	n := len(c.actions)
	if n == 0 {
		return
	}
	list := make([]Action, 0, n)
	for _, a := range c.actions {
		list = append(list, a)
	}
	slices.SortFunc(list, func(x, y Action) int {
		if by := bytes.Compare(x.RequestID[:], y.RequestID[:]); by != 0 {
			return by
		}
		return bytes.Compare(x.ID[:], y.ID[:])
	})
	requests, ids, items, apps, actors, doneBy := make(uuids, n), make(uuids, n), make(uuids, n), make(uuids, n), make(uuids, n), make(uuids, n)
	steps, kinds, states, asked, done, outcomes := make([]int, n), make([]string, n), make([]string, n), make(times, n), make(times, n), make([]string, n)
	for i, a := range list {
		requests[i], ids[i], items[i], apps[i], actors[i], doneBy[i] = idOf(a.RequestID), idOf(a.ID), idOrNull(a.ItemID), idOf(a.AppID), idOrNull(a.ActorID), idOrNull(a.DoneBy)
		steps[i], kinds[i], states[i], asked[i] = a.Step, string(a.Kind), string(a.State), timeOrNull(&a.AskedTime)
		if a.State == ActionDone {
			done[i], outcomes[i] = timeOrNull(&a.DoneTime), string(a.Outcome)
		}
	}
	b.Queue(insertActions, c.organization, requests, ids, items, apps, steps, kinds, actors, asked, states, done, doneBy, outcomes)
}

// waits is the condition under which an open action x waits for the viewer $1.
func (v Viewer) waits() string {
	if v.Works {
		return `(x.actor_id = $1 or x.actor_id is null)`
	}
	return `(x.actor_id = $1 or x.actor_id is null and exists (select from app a where a.id = x.app_id and $1 = any (a.admin_ids)))`
}

// mine are the columns of [Mine].
func (v Viewer) mine() string {
	return `(select count(*)::int from action x where x.request_id = r.id and x.state = 'done' and (x.actor_id = $1 or x.done_by_id = $1)),
	(select count(*)::int from action x where x.request_id = r.id and x.state = 'open' and ` + v.waits() + `),
	array(select distinct x.kind::text from action x where x.request_id = r.id and x.state = 'open' and ` + v.waits() + `)`
}
