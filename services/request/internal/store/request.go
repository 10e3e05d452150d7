package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/lifecycle"
)

// ErrRequestNotFound says that there is no such request for this caller.
var ErrRequestNotFound = errors.New("there is no such request")

// Errors of constraints, which only the database can see in time.
var (
	// ErrAlreadyRequested: an open request has the same entitlement and kind for the
	// same person.
	ErrAlreadyRequested = errors.New("this has been requested already")
	// ErrSameRequestID: the client has used the request_id before.
	ErrSameRequestID = errors.New("request_id was used before")
	// ErrJoinRequestExists: the join-flow has its request already.
	ErrJoinRequestExists = errors.New("the join-flow has had its request")
)

// Person is somebody as they were called at the time. The nil id means nobody.
type Person struct {
	ID          uuid.UUID
	Name, Email string
}

// Candidate is an entitlement that somebody wants to request, as things stand.
type Candidate struct {
	EntitlementID       uuid.UUID
	Name                string
	AppID               uuid.UUID
	AppName             string
	AppEnvironmentID    uuid.UUID
	Provisioning        string
	Visible             bool // to the environment that asks, and to the beneficiary's
	Administered        bool // the app is, by the requester
	OnlyByFlow          bool // the app is closed to what no flow covers
	Unlisted            bool // the app is not in the catalog
	HasPlace            bool // the requester sees the app all the same: by a place in it, or by what they hold there
	Described           bool // somebody has said what it opens
	Held                bool
	HeldUntil           *time.Time
	HeldBy, OpenRequest string // ids of requests; empty for none
	// SeesHeldBy and SeesOpenRequest say whether the requester may see them.
	SeesHeldBy, SeesOpenRequest bool

	// What flows look at besides.
	EntitlementKind, Risk, Category string
	Tags                            []string
}

// Standing is what the rules need to know of a candidate.
func (c Candidate) Standing() lifecycle.Candidate {
	return lifecycle.Candidate{OpenRequest: c.OpenRequest, Held: c.Held, HeldUntil: c.HeldUntil}
}

// Lookup asks for all that a new request is decided by.
type Lookup struct {
	// EnvironmentID is the environment that asks; the nil id: the whole
	// organization.
	EnvironmentID uuid.UUID
	// RequesterID is who asks; the nil id: a flow.
	RequesterID    uuid.UUID
	BeneficiaryID  uuid.UUID
	Kind           lifecycle.Kind
	EntitlementIDs []uuid.UUID

	// Beneficiary and Requester are found; the nil id says that they are unknown.
	Beneficiary, Requester User
	// Manages says that the requester is the beneficiary's manager, or the
	// manager of one.
	Manages bool
	// LastResort says that an admin of the organization could decide.
	LastResort bool
	// Candidates are those of the entitlements that exist, in the order given.
	Candidates []Candidate
}

// candidateSeen begins the condition under which the requester of a candidate may see a
// request about it, as party and seenItem have it.
const candidateSeen = `coalesce((select w.requester_id in (r.requester_id, r.beneficiary_id)
		or w.requester_id = any (a.admin_ids) or w.requester_id = any (a.approver_ids) or w.requester_id = a.owner_id
		or exists (select from reviewer v where v.request_id = r.id and v.user_id = w.requester_id and v.app_id = a.id)
	from access_request r where r.id = `

// An environment sees apps of its own and those of the organization that are
// offered to it; for the whole organization, the nil uuid, that is all. An app
// is for the beneficiary under the same condition.
const selectCandidates = `
select w.lookup, e.id, e.name, a.id, a.name, a.environment_id, a.provisioning,
	a.delete_time is null and e.delete_time is null
	and (w.environment_id = '00000000-0000-0000-0000-000000000000' or a.environment_id = w.environment_id or a.offered_to_all_environments
		or w.environment_id = any (a.offered_environment_ids))
	and exists (select from user_copy u where u.id = w.beneficiary_id
		and (u.environment_id in ('00000000-0000-0000-0000-000000000000', a.environment_id)
			or a.offered_to_all_environments or u.environment_id = any (a.offered_environment_ids))),
	w.requester_id = any (a.admin_ids), a.only_by_flow, a.catalog_state = 'unlisted',
	case when a.catalog_state = 'unlisted' then coalesce(w.requester_id = any (a.admin_ids) or w.requester_id = any (a.approver_ids) or w.requester_id = a.owner_id, false)
		or exists (select from grant_copy o where o.user_id = w.requester_id and o.app_id = a.id and not o.removed) else true end,
	btrim(e.description) <> '' or e.kind = 'account' and btrim(a.description) <> '', g.id is not null, g.until, coalesce(g.request_id::text, ''), coalesce(i.request_id::text, ''),
	e.kind, e.risk, a.category, a.tags,
	` + candidateSeen + `g.request_id), false), ` + candidateSeen + `i.request_id), false)
from unnest($1::int[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[]) with ordinality
	w (lookup, environment_id, beneficiary_id, kind, entitlement_id, requester_id, n)
join entitlement e on e.id = w.entitlement_id
join app a on a.id = e.app_id
left join lateral (
	select id, until, request_id from grant_copy
	where user_id = w.beneficiary_id and entitlement_id = e.id and not removed and state <> 'revoking'
	order by until desc nulls first limit 1
) g on true
left join lateral (
	select request_id from request_item
	where beneficiary_id = w.beneficiary_id and entitlement_id = w.entitlement_id and kind = w.kind
		and apart_request_id = '00000000-0000-0000-0000-000000000000' and open
	limit 1
) i on true
order by w.n`

// The app and the entitlement cannot be deleted, and no ref changed, until the
// transaction ends. Who deletes them at the same moment is waited for, and what is
// read is as they are then.
const lockCandidates = selectCandidates + ` for key share of e, a`

// managersAbove is how far up a line of managers is gone; it may be a circle.
const managersAbove = 20

// Which requesters stand above a beneficiary.
const selectManagers = `
with recursive line as (
	select w.lookup, u.manager_id, 1 as height
	from unnest($1::int[], $2::uuid[]) as w (lookup, beneficiary_id), lateral (select u.manager_id from user_copy u where u.id = w.beneficiary_id limit 1) u
	union
	select l.lookup, u.manager_id, l.height + 1
	from line l, lateral (select u.manager_id from user_copy u where u.id = l.manager_id limit 1) u
	where l.height < $4)
select w.lookup from unnest($1::int[], $3::uuid[]) as w (lookup, requester_id)
where exists (select from line l where l.lookup = w.lookup and l.manager_id = w.requester_id)`

func queueManagers(b *pgx.Batch, lookups []*Lookup) {
	var numbers []int32
	var beneficiaries, requesters []uuid.UUID
	for n, l := range lookups {
		if l.RequesterID != uuid.Nil && l.RequesterID != l.BeneficiaryID {
			numbers, beneficiaries, requesters = append(numbers, int32(n)), append(beneficiaries, l.BeneficiaryID), append(requesters, l.RequesterID)
		}
	}
	if len(numbers) == 0 {
		return
	}
	b.Queue(selectManagers, numbers, beneficiaries, requesters, managersAbove).Query(func(rows pgx.Rows) error {
		var n int
		_, err := pgx.ForEachRow(rows, []any{&n}, func() error {
			lookups[n].Manages = true
			return nil
		})
		return err
	})
}

// LoadCandidates answers lookups and reads rules, if they are not nil, in one
// round trip. With lock the beneficiaries cannot be removed, nor the candidates
// deleted, until the end of tx.
func LoadCandidates(ctx context.Context, tx *postgres.Tx, lock bool, rules *Rules, lookups ...*Lookup) error {
	var beneficiaries, environments, users, entitlements, requesters []uuid.UUID
	var numbers []int32
	var kinds []string
	asking := make(map[uuid.UUID]User, len(lookups))
	for n, l := range lookups {
		l.Beneficiary, l.Requester, l.Manages, l.LastResort, l.Candidates = User{}, User{}, false, false, nil
		if l.RequesterID != uuid.Nil && l.RequesterID != l.BeneficiaryID {
			asking[l.RequesterID] = User{}
		}
		beneficiaries = append(beneficiaries, l.BeneficiaryID)
		for _, e := range l.EntitlementIDs {
			numbers, environments, users = append(numbers, int32(n)), append(environments, l.EnvironmentID), append(users, l.BeneficiaryID)
			kinds, entitlements = append(kinds, string(l.Kind)), append(entitlements, e)
			requesters = append(requesters, l.RequesterID)
		}
	}
	found := make(map[uuid.UUID]User, len(lookups))
	var b pgx.Batch
	queueUsers(&b, beneficiaries, lock, found)
	if len(asking) > 0 {
		queueUsers(&b, slices.Collect(maps.Keys(asking)), false, asking)
	}
	queueManagers(&b, lookups)
	queueLastResort(&b, lookups)
	if rules != nil {
		rules.UserIDs = beneficiaries
		for _, l := range lookups {
			if l.RequesterID != l.BeneficiaryID {
				rules.UserIDs = append(rules.UserIDs, l.RequesterID)
			}
		}
		rules.queue(&b)
	}
	candidates := selectCandidates
	if lock {
		candidates = lockCandidates
	}
	b.Queue(candidates, numbers, environments, users, kinds, entitlements, requesters).Query(func(rows pgx.Rows) error {
		var n int
		var c Candidate
		into := []any{
			&n, &c.EntitlementID, &c.Name, &c.AppID, &c.AppName, &c.AppEnvironmentID, &c.Provisioning, &c.Visible, &c.Administered, &c.OnlyByFlow, &c.Unlisted, &c.HasPlace, &c.Described, &c.Held, &c.HeldUntil,
			&c.HeldBy, &c.OpenRequest, &c.EntitlementKind, &c.Risk, &c.Category, &c.Tags, &c.SeesHeldBy, &c.SeesOpenRequest,
		}
		_, err := pgx.ForEachRow(rows, into, func() error {
			lookups[n].Candidates = append(lookups[n].Candidates, c)
			return nil
		})
		return err
	})
	if err := send(ctx, tx, &b, "look up entitlements"); err != nil {
		return err
	}
	for _, l := range lookups {
		l.Beneficiary, l.Requester = found[l.BeneficiaryID], asking[l.RequesterID]
		if l.RequesterID == l.BeneficiaryID {
			l.Requester = l.Beneficiary
		}
	}
	return nil
}

// The origins of a request.
const (
	OriginUser = "user"
	OriginJoin = "join"
	// OriginAssignment is of what an admin, the requester, assigned.
	OriginAssignment = "assignment"
)

// New is a new request with what the API does not show.
type New struct {
	Request *Request
	// ClientRequestID and Fingerprint make a repeated call safe; may be unset.
	ClientRequestID uuid.NullUUID
	Fingerprint     []byte
}

// Everybody adds requests and items in the same order, so that two who ask for
// the same things meet at the first and do not wait for each other.
const (
	insertRequests = `
insert into access_request (organization_id, id, environment_id, kind, origin, requester_id, requester_name, requester_email,
	beneficiary_id, beneficiary_name, beneficiary_email, justification, until, state, flow_id, flow_version,
	client_request_id, fingerprint, join_flow_id, join_count, create_time, update_time, version, match_count, fields)
select $1, n.*
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[],
	$9::uuid[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::text[], $15::uuid[], $16::int[],
	$17::uuid[], $18::bytea[], $19::uuid[], $20::int[], $21::timestamptz[], $22::timestamptz[], $23::bigint[], $24::int[], $25::jsonb[])
	n (id, environment_id, kind, origin, requester_id, requester_name, requester_email, beneficiary_id, beneficiary_name, beneficiary_email,
	justification, until, state, flow_id, flow_version, client_request_id, fingerprint, join_flow_id, join_count, create_time, update_time, version, match_count, fields)
order by n.client_request_id, n.beneficiary_id, n.join_flow_id`
	insertItems = `
insert into request_item (organization_id, id, environment_id, request_id, position, kind, beneficiary_id, entitlement_id,
	entitlement_name, app_id, app_name, provisioning, vacancy, grant_item_id, apart_request_id, not_in_place, facts, bundle_id, bundle_name, state, open)
select $1, n.*, 'pending', true
from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::uuid[], $8::uuid[], $9::text[], $10::uuid[], $11::text[], $12::text[], $13::bytea[], $14::uuid[], $15::uuid[], $16::boolean[], $17::bytea[], $18::uuid[], $19::text[])
	n (id, environment_id, request_id, position, kind, beneficiary_id, entitlement_id, entitlement_name, app_id, app_name, provisioning, vacancy,
	grant_item_id, apart_request_id, not_in_place, facts, bundle_id, bundle_name)
order by n.beneficiary_id, n.entitlement_id`
)

// Insert adds a request with its items, all of them pending.
func (c *Changes) Insert(n New) { c.added = append(c.added, n) }

// newItem is an item with the request that it is of, and its position there.
type newItem struct {
	*Request
	*Item
	position int
}

func (c *Changes) insertRequests(b *pgx.Batch) {
	list := c.added
	if len(list) == 0 {
		return
	}
	text := func(f func(r *Request) string) []string {
		return postgres.Column(list, func(n New) string { return f(n.Request) })
	}
	ids := func(f func(n New) pgtype.UUID) uuids { return uuids(postgres.Column(list, f)) }
	at := func(f func(r *Request) *time.Time) times {
		return times(postgres.Column(list, func(n New) pgtype.Timestamptz { return timeOrNull(f(n.Request)) }))
	}
	b.Queue(insertRequests, c.organization,
		ids(func(n New) pgtype.UUID { return idOf(n.Request.ID) }),
		ids(func(n New) pgtype.UUID { return idOf(n.Request.EnvironmentID) }),
		text(func(r *Request) string { return string(r.Kind) }),
		text(func(r *Request) string { return r.Origin }),
		ids(func(n New) pgtype.UUID { return idUnlessNil(n.Request.Requester.ID) }),
		text(func(r *Request) string { return r.Requester.Name }),
		text(func(r *Request) string { return r.Requester.Email }),
		ids(func(n New) pgtype.UUID { return idOf(n.Request.Beneficiary.ID) }),
		text(func(r *Request) string { return r.Beneficiary.Name }),
		text(func(r *Request) string { return r.Beneficiary.Email }),
		text(func(r *Request) string { return r.Justification }),
		at(func(r *Request) *time.Time { return r.Until }),
		text(func(r *Request) string { return string(r.State) }),
		ids(func(n New) pgtype.UUID { return idOrNull(n.Request.FlowID) }),
		postgres.Column(list, func(n New) int32 { return n.Request.FlowVersion }),
		ids(func(n New) pgtype.UUID { return idOrNull(n.ClientRequestID) }),
		postgres.Column(list, func(n New) []byte { return n.Fingerprint }),
		ids(func(n New) pgtype.UUID {
			if n.Request.Origin != OriginJoin {
				return pgtype.UUID{}
			}
			return idOrNull(n.Request.FlowID)
		}),
		postgres.Column(list, func(n New) int32 { return n.Request.JoinCount }),
		at(func(r *Request) *time.Time { return &r.CreateTime }),
		at(func(r *Request) *time.Time { return &r.CreateTime }),
		postgres.Column(list, func(n New) int64 { return n.Request.Version }),
		postgres.Column(list, func(n New) int32 { return max(n.Request.MatchCount, 1) }),
		postgres.Column(list, func(n New) Fields { return n.Request.Fields }))

	var items []newItem
	for _, n := range list {
		for position, i := range n.Request.Items {
			items = append(items, newItem{n.Request, i, position + 1})
		}
	}
	itemText := func(f func(i newItem) string) []string { return postgres.Column(items, f) }
	itemIDs := func(f func(i newItem) uuid.UUID) uuids {
		return uuids(postgres.Column(items, func(i newItem) pgtype.UUID { return idOf(f(i)) }))
	}
	b.Queue(insertItems, c.organization,
		itemIDs(func(i newItem) uuid.UUID { return i.Item.ID }),
		itemIDs(func(i newItem) uuid.UUID { return i.EnvironmentID }),
		itemIDs(func(i newItem) uuid.UUID { return i.Request.ID }),
		postgres.Column(items, func(i newItem) int { return i.position }),
		itemText(func(i newItem) string { return string(i.Kind) }),
		itemIDs(func(i newItem) uuid.UUID { return i.Beneficiary.ID }),
		itemIDs(func(i newItem) uuid.UUID { return i.EntitlementID }),
		itemText(func(i newItem) string { return i.EntitlementName }),
		itemIDs(func(i newItem) uuid.UUID { return i.AppID }),
		itemText(func(i newItem) string { return i.AppName }),
		itemText(func(i newItem) string { return i.Provisioning }),
		postgres.Column(items, func(i newItem) []byte { return i.Vacancy }),
		uuids(postgres.Column(items, func(i newItem) pgtype.UUID { return idOrNull(i.GrantItemID) })),
		itemIDs(func(i newItem) uuid.UUID {
			switch {
			case i.Origin != OriginJoin:
				return uuid.Nil
			case i.GrantItemID.Valid: // one request may take away what several have given of the same
				return i.Item.ID
			}
			return i.Request.ID
		}),
		postgres.Column(items, func(i newItem) bool { return i.NotInPlace }),
		postgres.Column(items, func(i newItem) []byte { return i.Facts }),
		uuids(postgres.Column(items, func(i newItem) pgtype.UUID { return idOrNull(i.BundleID) })),
		itemText(func(i newItem) string { return i.BundleName }))
}

const (
	selectTakingAway = `
select distinct i.request_id from request_item i where i.grant_item_id = any($1) and i.open and i.state = 'pending'`
	selectByClientRequestID = `
select id, fingerprint from access_request where requester_id = $1 and client_request_id = $2`
	selectJoinRequests = `
select w.n, r.kind, r.id, u.flow_id is not null
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) with ordinality w (flow, beneficiary, join_count, match_count, n)
left join access_request r on r.join_flow_id = w.flow and r.beneficiary_id = w.beneficiary and r.join_count = w.join_count and r.match_count = w.match_count
left join flow_unmatched u on u.flow_id = w.flow and u.user_id = w.beneficiary and u.join_count = w.join_count and u.match_count = w.match_count
where r.id is not null or u.flow_id is not null`
	selectHeldItems = `
select g.item_id from unnest($1::uuid[], $2::uuid[], $3::uuid[]) w (item_id, user_id, entitlement_id)
join grant_copy g on g.user_id = w.user_id and g.entitlement_id = w.entitlement_id and g.item_id = w.item_id
where not g.removed and g.state <> 'revoking'`
	insertUnmatched = `
insert into flow_unmatched (flow_id, user_id, join_count, match_count, organization_id, create_time)
select w.flow, w.beneficiary, w.join_count, w.match_count, $5, $6
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) w (flow, beneficiary, join_count, match_count)
order by 1, 2, 3, 4
on conflict do nothing`
)

// ByClientRequestID gives the request that a client made with a request_id, the
// nil id if there is none, and the fingerprint of what it asked.
func ByClientRequestID(ctx context.Context, tx *postgres.Tx, requester, clientID uuid.UUID) (id uuid.UUID, fingerprint []byte, err error) {
	err = tx.QueryRow(ctx, selectByClientRequestID, requester, clientID).Scan(&id, &fingerprint)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, nil, nil
	}
	if err != nil {
		return uuid.Nil, nil, fmt.Errorf("look for request_id: %w", err)
	}
	return id, fingerprint, nil
}

// JoinRequest names a time that a join-flow has matched somebody: there is one request
// for what it gives then, and one for what it takes away when it lets them go.
type JoinRequest struct {
	FlowID, UserID        uuid.UUID
	JoinCount, MatchCount int32
}

// maxEarlier bounds how many earlier times are looked at: what somebody was given longer
// ago is not asked about again.
const maxEarlier = 50

// Next is the time after it.
func (j JoinRequest) Next() JoinRequest {
	j.MatchCount++
	return j
}

// Earlier are the times before that the flow has matched the same person, the first first.
func (j JoinRequest) Earlier() []JoinRequest {
	var out []JoinRequest
	for n := max(1, j.MatchCount-maxEarlier); n < j.MatchCount; n++ {
		out = append(out, JoinRequest{j.FlowID, j.UserID, j.JoinCount, n})
	}
	return out
}

// JoinRequests are the requests of one time that a join-flow has matched somebody; nil
// ids for none.
type JoinRequests struct {
	Grant, Revoke uuid.UUID
	// Unmatched says that the flow has let them go, whatever was requested.
	Unmatched bool
}

func joinRequestColumns(list []JoinRequest) []any {
	return []any{
		postgres.Column(list, func(j JoinRequest) uuid.UUID { return j.FlowID }),
		postgres.Column(list, func(j JoinRequest) uuid.UUID { return j.UserID }),
		postgres.Column(list, func(j JoinRequest) int32 { return j.JoinCount }),
		postgres.Column(list, func(j JoinRequest) int32 { return j.MatchCount }),
	}
}

// FindJoinRequests says which requests there are, each by its place in the list.
func FindJoinRequests(ctx context.Context, tx *postgres.Tx, list []JoinRequest) ([]JoinRequests, error) {
	rows, err := tx.Query(ctx, selectJoinRequests, joinRequestColumns(list)...)
	if err != nil {
		return nil, fmt.Errorf("look for join requests: %w", err)
	}
	found := make([]JoinRequests, len(list))
	var n int
	var kind *string
	var id uuid.NullUUID
	var unmatched bool
	if _, err := pgx.ForEachRow(rows, []any{&n, &kind, &id, &unmatched}, func() error {
		f := &found[n-1]
		f.Unmatched = unmatched
		switch {
		case kind == nil:
		case *kind == string(lifecycle.Revoke):
			f.Revoke = id.UUID
		default:
			f.Grant = id.UUID
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look for join requests: %w", err)
	}
	return found, nil
}

// TakingAway are the requests that wait for a decision whether what items have given is to
// be taken away.
func TakingAway(ctx context.Context, tx *postgres.Tx, items []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, selectTakingAway, items)
	if err != nil {
		return nil, fmt.Errorf("look for what is to be taken away: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("look for what is to be taken away: %w", err)
	}
	return found, nil
}

// AddUnmatched writes down that join-flows have let people go.
func AddUnmatched(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, list []JoinRequest, now time.Time) error {
	if _, err := tx.Exec(ctx, insertUnmatched, append(joinRequestColumns(list), organization, now)...); err != nil {
		return fmt.Errorf("save that flows have let people go: %w", err)
	}
	return nil
}

// Held says which of the items of requests have given something that is still held.
func Held(ctx context.Context, tx *postgres.Tx, requests map[uuid.UUID]*Request) (map[uuid.UUID]bool, error) {
	var items, users, entitlements []uuid.UUID
	for _, r := range requests {
		for _, i := range r.Items {
			items, users, entitlements = append(items, i.ID), append(users, r.Beneficiary.ID), append(entitlements, i.EntitlementID)
		}
	}
	rows, err := tx.Query(ctx, selectHeldItems, items, users, entitlements)
	if err != nil {
		return nil, fmt.Errorf("look what is held: %w", err)
	}
	held := make(map[uuid.UUID]bool, len(items))
	var item uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&item}, func() error { held[item] = true; return nil }); err != nil {
		return nil, fmt.Errorf("look what is held: %w", err)
	}
	return held, nil
}

// Request is a request. Enums are words in lower case.
type Request struct {
	ID, OrganizationID, EnvironmentID uuid.UUID
	Kind                              lifecycle.Kind
	Origin                            string
	Requester, Beneficiary            Person
	// JoinCount is how often the beneficiary had joined, and MatchCount how often the
	// join-flow had matched them since; only of a new request.
	JoinCount, MatchCount int32
	// RequesterVersion is the version of who assigned it; only of a new request.
	RequesterVersion int64
	// GivenRequestID is the request of a join-flow that gave what this one takes away; only
	// of a new request.
	GivenRequestID         uuid.NullUUID
	Justification          string
	Until                  *time.Time
	State                  lifecycle.State
	ClosingReason          string
	ClosedBy               Person
	FlowID                 uuid.NullUUID
	FlowVersion            int32
	CreateTime, UpdateTime time.Time
	CloseTime              *time.Time
	// Expired says that it was cancelled because Until had passed.
	Expired bool
	// Fields are what whoever asked has filled in.
	Fields  Fields
	Version int64
	Items   []*Item
	// SeenApps are the apps whose items a viewer sees; nil means all. Items has
	// them all, see [Request.Part].
	SeenApps []uuid.UUID
	// Mine is what its viewer is asked for on it.
	Mine Mine

	changed bool
}

// Part is the request with the items alone that its viewer sees, and how many
// there are besides.
func (r *Request) Part() (part *Request, hidden int) {
	if r.SeenApps == nil {
		return r, 0
	}
	p := *r
	p.Items = nil
	for _, i := range r.Items {
		if slices.Contains(r.SeenApps, i.AppID) {
			p.Items = append(p.Items, i)
		}
	}
	return &p, len(r.Items) - len(p.Items)
}

// Item is one entitlement in a request.
type Item struct {
	ID, EntitlementID uuid.UUID
	EntitlementName   string
	AppID             uuid.UUID
	AppName           string
	State             lifecycle.Item
	Provisioning      string
	// Vacancy is an encoded gatehouse.request.v1.Vacancy; nil while somebody can decide.
	// It counts while the item is pending.
	Vacancy []byte
	// VacancyVersion is that of the approval which says so.
	VacancyVersion int64
	// GiveUp is an encoded gatehouse.request.v1.GiveUp; nil unless it is to be given up.
	GiveUp []byte
	// GrantItemID is the item that gave what this one takes away; null: all did.
	GrantItemID uuid.NullUUID
	// ClosingReason is why it was denied or cancelled.
	ClosingReason string
	// NotInPlace says of what a join-flow takes away that it was not even approved then.
	NotInPlace bool
	// Facts are an encoded gatehouse.request.v1.RequestItem with what the catalog said of it
	// when it was asked for; nil for nothing.
	Facts []byte
	// Review is how far its approval is.
	Review lifecycle.Review
	// BundleID and BundleName are of the bundle that it was requested with.
	BundleID   uuid.NullUUID
	BundleName string
	// Pointless says that it was asked to be cancelled because there is nothing left to be
	// decided. Only Load reads it.
	Pointless bool
	// StateVersion is that of the grant or the revocation that the state follows. Only
	// Load reads it.
	StateVersion int64

	changed bool
	// reopened says that it was done, and is not after all.
	reopened bool
}

// Fields are what whoever asked has filled in, in the order of the form.
type Fields []Field

// Field is one of them.
type Field struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	Value string `json:"value"`
}

const (
	requestColumns = `r.id, r.organization_id, r.environment_id, r.kind, r.origin, r.requester_id, r.requester_name, r.requester_email,
	r.beneficiary_id, r.beneficiary_name, r.beneficiary_email, r.justification, r.until, r.state, r.closing_reason,
	r.closed_by_id, r.closed_by_name, r.closed_by_email, r.flow_id, r.flow_version, r.create_time, r.update_time, r.close_time, r.version, r.expired, r.fields`
	// In a record a value of a domain is not sent as the text that it is, and the
	// driver would not know its type.
	withItems = requestColumns + `,
	(select array_agg(row(i.id, i.entitlement_id, i.entitlement_name, i.app_id, i.app_name, i.state::text, i.provisioning::text, i.vacancy, i.vacancy_version, i.give_up,
		i.grant_item_id, i.closing_reason, i.not_in_place, i.facts, i.review::text, i.bundle_id, i.bundle_name) order by i.position)
	from request_item i where i.request_id = r.id)`
)

// scanRequest reads requestColumns, and what else there is.
func scanRequest(row pgx.CollectableRow, more ...any) (*Request, error) {
	var r Request
	var requester, closer uuid.NullUUID
	err := row.Scan(append([]any{
		&r.ID, &r.OrganizationID, &r.EnvironmentID, &r.Kind, &r.Origin, &requester, &r.Requester.Name, &r.Requester.Email,
		&r.Beneficiary.ID, &r.Beneficiary.Name, &r.Beneficiary.Email, &r.Justification, &r.Until, &r.State, &r.ClosingReason,
		&closer, &r.ClosedBy.Name, &r.ClosedBy.Email, &r.FlowID, &r.FlowVersion, &r.CreateTime, &r.UpdateTime, &r.CloseTime, &r.Version, &r.Expired, &r.Fields,
	}, more...)...)
	r.Requester.ID, r.ClosedBy.ID = requester.UUID, closer.UUID
	return &r, err
}

func scanWithoutItems(row pgx.CollectableRow) (*Request, error) { return scanRequest(row) }

func scanWithItems(row pgx.CollectableRow) (*Request, error) {
	var items []*Item
	r, err := scanRequest(row, &items)
	r.Items = items
	return r, err
}

func scanSeen(row pgx.CollectableRow) (*Request, error) {
	var items []*Item
	var seen []uuid.UUID
	var mine Mine
	r, err := scanRequest(row, &items, &seen, &mine.Done, &mine.Open, &mine.Required)
	r.Items, r.SeenApps, r.Mine = items, seen, mine
	return r, err
}

// ItemStates are the states of a request's items.
func (r *Request) ItemStates() []lifecycle.Item {
	states := make([]lifecycle.Item, len(r.Items))
	for n, i := range r.Items {
		states[n] = i.State
	}
	return states
}

const (
	selectRequest = `
select ` + withItems + ` from access_request r where r.id = $1`
	lockRequests = `
select ` + requestColumns + ` from access_request r where r.id = any($1) order by r.id for no key update`
	selectItems = `
select request_id, id, entitlement_id, entitlement_name, app_id, app_name, state, provisioning, vacancy, vacancy_version, give_up, grant_item_id,
	closing_reason, not_in_place, facts, review::text, bundle_id, bundle_name, pointless, state_version from request_item
where request_id = any($1) order by request_id, position`
	lockOpenRequests = `
select ` + requestColumns + ` from access_request r
where beneficiary_id = $1 and state = any($2) and join_count < $3
order by id for no key update`
)

// ByID reads one request, without regard to who may see it.
func ByID(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (*Request, error) {
	return one(ctx, tx, scanWithItems, selectRequest, id)
}

// Load reads requests with their items, and keeps others from changing them
// until the end of tx. An id may be there twice; what is unknown or another
// organization's is left out.
//
// A request is locked before its items are read, by a statement of its own: two
// events about two items would otherwise each see the other's item as it was.
// Requests are locked in the order of their ids, so that two replicas do not
// deadlock. Comments may be added meanwhile.
func Load(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID) (map[uuid.UUID]*Request, error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	wanted := make(uuids, len(ids))
	for i, id := range ids {
		wanted[i] = idOf(id)
	}
	found := make(map[uuid.UUID]*Request, len(ids))
	var b pgx.Batch
	b.Queue(lockRequests, wanted).Query(func(rows pgx.Rows) error {
		rs, err := pgx.CollectRows(rows, scanWithoutItems)
		for _, r := range rs {
			found[r.ID] = r
		}
		return err
	})
	b.Queue(selectItems, wanted).Query(func(rows pgx.Rows) error {
		var request uuid.UUID
		var i Item
		into := []any{
			&request, &i.ID, &i.EntitlementID, &i.EntitlementName, &i.AppID, &i.AppName, &i.State, &i.Provisioning, &i.Vacancy, &i.VacancyVersion, &i.GiveUp, &i.GrantItemID,
			&i.ClosingReason, &i.NotInPlace, &i.Facts, &i.Review, &i.BundleID, &i.BundleName, &i.Pointless, &i.StateVersion,
		}
		_, err := pgx.ForEachRow(rows, into, func() error {
			if r := found[request]; r != nil {
				item := i
				r.Items = append(r.Items, &item)
			}
			return nil
		})
		return err
	})
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("load requests: %w", err)
	}
	return found, nil
}

// party is the condition on r under which the caller $1 sees all of a request:
// it is theirs. seenItem is the one on i under which they see an item of another:
// they are or were asked about its app, or have a place in it. They are looked up for each
// row by itself: what exists() finds may be gathered for all rows at once, which is all that
// somebody has ever decided.
const (
	party    = `(r.requester_id = $1 or r.beneficiary_id = $1)`
	seenItem = `((select true from reviewer v where v.request_id = i.request_id and v.user_id = $1 and v.app_id = i.app_id limit 1) is true
		or (select true from app a where a.id = i.app_id and ($1 = any(a.admin_ids) or $1 = any(a.approver_ids) or $1 = a.owner_id) limit 1) is true)`
	// seen is SeenApps of a request.
	seen = `case when not ` + party + ` then array(select distinct i.app_id from request_item i where i.request_id = r.id and ` + seenItem + `) end`
	// visible is the condition under which they see any of it.
	visible = `(` + party + ` or (select true from request_item i where i.request_id = r.id and ` + seenItem + ` limit 1) is true)`
)

const lockOfRequest = ` for no key update of r`

// Viewer is who reads requests. With All it sees everybody's. With Works it does what is to
// be done by hand in any app.
type Viewer struct {
	UserID, OrganizationID uuid.UUID
	All, Works             bool
}

// columns are those that scanSeen reads; $1 is the viewer.
func (v Viewer) columns() string {
	apps := seen
	if v.All {
		apps = `null::uuid[]`
	}
	return withItems + `, ` + apps + `, ` + v.mine()
}

// selectOne reads the request $2 if the viewer $1 may see it.
func (v Viewer) selectOne() string {
	q := `
select ` + v.columns() + ` from access_request r where r.id = $2 and $1::uuid is not null`
	if v.All {
		return q
	}
	return q + ` and ` + visible
}

// Visible reads one request if the viewer may see it.
func Visible(ctx context.Context, tx *postgres.Tx, v Viewer, id uuid.UUID) (*Request, error) {
	return one(ctx, tx, scanSeen, v.selectOne(), v.UserID, id)
}

// LockVisible is Visible, and keeps others from changing the request until the
// end of tx.
func LockVisible(ctx context.Context, tx *postgres.Tx, v Viewer, id uuid.UUID) (*Request, error) {
	return one(ctx, tx, scanSeen, v.selectOne()+lockOfRequest, v.UserID, id)
}

func one(ctx context.Context, tx *postgres.Tx, scan pgx.RowToFunc[*Request], q string, args ...any) (*Request, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrRequestNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return r, nil
}

// LockOpen reads the requests for a user that can still be cancelled, without
// their items, made before the user had joined so many times. It keeps others
// from changing them until the end of tx.
func LockOpen(ctx context.Context, tx *postgres.Tx, beneficiary uuid.UUID, joinCount int32) ([]*Request, error) {
	rows, err := tx.Query(ctx, lockOpenRequests, beneficiary, lifecycle.From(lifecycle.Cancelling), joinCount)
	if err != nil {
		return nil, fmt.Errorf("list open requests: %w", err)
	}
	return collect("list open requests", rows, scanWithoutItems)
}
