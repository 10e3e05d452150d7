package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/lifecycle"
)

// DecisionContext is what helps to decide the items of a request.
type DecisionContext struct {
	Request *Request
	Items   []*ItemContext
}

// ItemContext is what helps to decide an item.
type ItemContext struct {
	Item              *Item
	Description, Risk string
	// Held is what the beneficiary has in the app, of HeldCount.
	Held        []Holding
	HeldCount   int
	SameManager Peers
	Groups      []Peers
	Decisions   []StepDecision
	Earlier     []EarlierRequest
}

// Holding is something that somebody has in an app.
type Holding struct {
	EntitlementID uuid.UUID
	Name          string
	// Since is nil if it is not in place yet, Until if it is held for good.
	Since, Until *time.Time
}

// Peers are people who have something in common with the beneficiary, who is none of them.
type Peers struct {
	GroupID         uuid.UUID
	Name            string
	People, Holders int
	// Unknown says that nobody has said who they are.
	Unknown bool
}

// StepDecision is a decision about an item; Outcome is empty if it is not known.
type StepDecision struct {
	Step     int
	Reviewer Person
	Outcome  Outcome
	Time     time.Time
}

// EarlierRequest is what was requested of the same before; the nil id if the viewer may not
// see it.
type EarlierRequest struct {
	RequestID  uuid.UUID
	Kind       string
	State      lifecycle.Item
	CreateTime time.Time
	CloseTime  *time.Time
}

// How much is told of each item.
const (
	maxHeldShown    = 20
	maxEarlierShown = 5
	// maxPeers is up to how many people of a group are compared.
	maxPeers = 1000
)

const (
	// The request $2 with the items whose apps the viewer $1 was ever asked about. With $3
	// they see all, also of their own.
	selectDecided = `
select ` + withItems + `, case when not $3::boolean then asked.apps end
from access_request r, lateral (select array(select distinct v.app_id from reviewer v where v.request_id = r.id and v.user_id = $1) as apps) asked
where r.id = $2 and ($3::boolean or not ` + party + ` and (select true from request_item i where i.request_id = r.id and i.app_id = any (asked.apps) limit 1) is true)`
	selectDescribed = `
select e.id, coalesce(nullif(btrim(e.description), ''), case when e.kind = 'account' then btrim(a.description) end, ''), e.risk
from entitlement e join app a on a.id = e.app_id where e.id = any ($1)`
	// held is the condition under which a grant g is one that somebody has.
	held         = `not g.removed and g.state <> 'revoking'`
	selectHeldIn = `
select h.app_id, h.id, h.name, h.since, h.until, h.total
from (
	select e.app_id, e.id, e.name, min(g.activate_time) as since, case when bool_and(g.until is not null) then max(g.until) end as until,
		count(*) over (partition by e.app_id) as total, row_number() over (partition by e.app_id order by min(g.activate_time) nulls last, e.name, e.id) as n
	from grant_copy g join entitlement e on e.id = g.entitlement_id
	where g.user_id = $1 and e.app_id = any ($2) and ` + held + `
	group by e.app_id, e.id
) h
where h.n <= $3 order by h.app_id, h.n`
	// counted is the condition under which somebody u is one of those who are compared.
	counted       = `u.state = 'active' and u.kind in ('employee', 'external') and u.id <> $1`
	selectManaged = `
with manager as materialized (select m.id, m.display_name from user_copy b join user_copy m on m.id = b.manager_id where b.id = $1),
peer as materialized (select u.id from user_copy u where u.manager_id = (select id from manager) and not u.removed and ` + counted + `),
holders as (
	select g.entitlement_id, count(distinct g.user_id)::int as n from peer p join grant_copy g on g.user_id = p.id
	where g.entitlement_id = any ($2) and ` + held + ` group by g.entitlement_id)
select w.id, m.display_name, (select count(*)::int from peer), coalesce(h.n, 0)
from manager m, unnest($2::uuid[]) w (id) left join holders h on h.entitlement_id = w.id`
	// The smallest groups. One in which very many are says nothing of somebody; and of somebody
	// in very many groups not all are looked at.
	selectSmallGroups = `
with of_beneficiary as materialized (
	select m.group_id, (select count(*) from (
		select from group_member_copy o join user_copy u on u.id = o.user_id where o.group_id = m.group_id and not o.removed and ` + counted + ` limit $3::int + 1) c) as size
	from (
		select m.group_id from group_member_copy m join group_copy c on c.id = m.group_id
		where m.user_id = $1 and not m.removed and not c.removed order by m.group_id limit 100
	) m),
chosen as materialized (select group_id, size from of_beneficiary where size between 1 and $3::int order by size, group_id limit 3),
peer as materialized (
	select c.group_id, u.id from chosen c join group_member_copy m on m.group_id = c.group_id join user_copy u on u.id = m.user_id
	where not m.removed and ` + counted + `),
holders as materialized (
	select p.group_id, g.entitlement_id, count(distinct p.id)::int as n from peer p join grant_copy g on g.user_id = p.id
	where g.entitlement_id = any ($2) and ` + held + ` group by p.group_id, g.entitlement_id)
select w.id, c.group_id, g.display_name, c.size::int, coalesce(h.n, 0)
from chosen c join group_copy g on g.id = c.group_id cross join unnest($2::uuid[]) w (id)
left join holders h on h.group_id = c.group_id and h.entitlement_id = w.id
order by c.size, c.group_id`
	selectDecisions = `
select x.item_id, x.step, x.done_by_id, coalesce(u.display_name, ''), coalesce(u.email, ''), coalesce(x.outcome::text, ''), x.done_time
from action x left join user_copy u on u.id = x.done_by_id
where x.request_id = $1 and x.kind = 'decide' and x.state = 'done' and x.item_id is not null
order by x.done_time, x.step, x.id`
	// Led by the beneficiary: many others may have requested the same.
	selectEarlier = `
select o.entitlement_id, case when $5::boolean or ` + visible + ` then r.id end, r.kind, o.state, r.create_time, r.close_time
from (
	select i.request_id, i.entitlement_id, i.state, row_number() over (partition by i.entitlement_id order by r.id desc) as n
	from access_request r join request_item i on i.request_id = r.id
	where r.beneficiary_id = $2 and r.id < $3 and i.entitlement_id = any ($4)
) o join access_request r on r.id = o.request_id
where o.n <= $6 order by r.id desc`
)

// Context reads what helps the viewer to decide a request: the items that they were ever asked
// about, or all of them for who sees all. For everybody else there is no such request.
func Context(ctx context.Context, tx *postgres.Tx, v Viewer, request uuid.UUID) (*DecisionContext, error) {
	eachPlanned(tx)
	r, err := one(ctx, tx, func(row pgx.CollectableRow) (*Request, error) {
		var items []*Item
		var apps []uuid.UUID
		r, err := scanRequest(row, &items, &apps)
		r.Items, r.SeenApps = items, apps
		return r, err
	}, selectDecided, v.UserID, request, v.All)
	if err != nil {
		return nil, err
	}
	part, _ := r.Part()
	out := &DecisionContext{Request: part}
	ofItem, ofEntitlement := make(map[uuid.UUID]*ItemContext), make(map[uuid.UUID][]*ItemContext)
	var entitlements, apps []uuid.UUID
	for _, i := range part.Items {
		c := &ItemContext{Item: i, SameManager: Peers{Unknown: true}}
		out.Items = append(out.Items, c)
		if ofEntitlement[i.EntitlementID] == nil {
			entitlements = append(entitlements, i.EntitlementID)
		}
		ofItem[i.ID], ofEntitlement[i.EntitlementID] = c, append(ofEntitlement[i.EntitlementID], c)
		if !slices.Contains(apps, i.AppID) {
			apps = append(apps, i.AppID)
		}
	}
	b := contextBatch{}
	var id uuid.UUID // of what a row is about
	about := func(set func(*ItemContext)) func() error {
		return func() error {
			for _, c := range ofEntitlement[id] {
				set(c)
			}
			return nil
		}
	}
	var description, risk string
	b.read([]any{&id, &description, &risk}, about(func(c *ItemContext) { c.Description, c.Risk = description, risk }), selectDescribed, entitlements)
	var h Holding
	var total int
	b.read([]any{&id, &h.EntitlementID, &h.Name, &h.Since, &h.Until, &total}, func() error {
		for _, c := range out.Items {
			if c.Item.AppID == id {
				c.Held, c.HeldCount = append(c.Held, h), total
			}
		}
		return nil
	}, selectHeldIn, r.Beneficiary.ID, apps, maxHeldShown)
	var p Peers
	b.read([]any{&id, &p.Name, &p.People, &p.Holders}, about(func(c *ItemContext) { c.SameManager = p }), selectManaged, r.Beneficiary.ID, entitlements)
	var g Peers
	b.read([]any{&id, &g.GroupID, &g.Name, &g.People, &g.Holders}, about(func(c *ItemContext) { c.Groups = append(c.Groups, g) }), selectSmallGroups, r.Beneficiary.ID, entitlements, maxPeers)
	var d StepDecision
	var by uuid.NullUUID
	b.read([]any{&id, &d.Step, &by, &d.Reviewer.Name, &d.Reviewer.Email, &d.Outcome, &d.Time}, func() error {
		if c := ofItem[id]; c != nil {
			d.Reviewer.ID = by.UUID
			c.Decisions = append(c.Decisions, d)
		}
		return nil
	}, selectDecisions, r.ID)
	var e EarlierRequest
	var earlier uuid.NullUUID
	b.read([]any{&id, &earlier, &e.Kind, &e.State, &e.CreateTime, &e.CloseTime}, about(func(c *ItemContext) {
		e.RequestID = earlier.UUID
		c.Earlier = append(c.Earlier, e)
	}), selectEarlier, v.UserID, r.Beneficiary.ID, r.ID, entitlements, v.All, maxEarlierShown)
	if err := tx.SendBatch(ctx, &b.Batch).Close(); err != nil {
		return nil, fmt.Errorf("read what helps to decide: %w", err)
	}
	return out, nil
}

// contextBatch reads what several statements give.
type contextBatch struct{ pgx.Batch }

func (b *contextBatch) read(into []any, each func() error, sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, into, each)
		return err
	})
}
