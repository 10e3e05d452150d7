package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/postgres"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/lifecycle"
)

const (
	kindPrefix   = "REQUEST_KIND_"
	originPrefix = "REQUEST_ORIGIN_"
	statePrefix  = "REQUEST_STATE_"
	itemPrefix   = "ITEM_STATE_"
)

// ErrRequestNotFound says that there is no such request for this caller.
var ErrRequestNotFound = apierr.NotFound("REQUEST_NOT_FOUND", "there is no such request")

// Errors of constraints that only the database can see in time.
var (
	// ErrAskedAlready says that an open request asks the same for the same
	// person.
	ErrAskedAlready = apierr.Precondition("ALREADY_REQUESTED", "this has been asked for already")
	// ErrSameRequestID says that the client has used the request_id before.
	ErrSameRequestID = errors.New("request_id was used before")
	// ErrJoinedAlready says that the join-flow has had its request.
	ErrJoinedAlready = errors.New("join request was made before")
)

// Subject is whom a new request is about, and what would be in its way.
type Subject struct {
	Name, Email, State string
	// JoinCount counts how often they have joined.
	JoinCount int32
	Known     bool
}

// Wish is one entitlement of a new request, as things stand.
type Wish struct {
	EntitlementID, Name, AppID, AppName string
	Provisioning                        string
	// Held says that a live grant gives it, until HeldUntil or for ever.
	Held      bool
	HeldUntil *time.Time
	HeldBy    string // the request that gave it
	// Asked is an open request of the same kind for it.
	Asked string
}

// Effective is how an app's accounts come and go: manual until chosen.
func (w Wish) Effective() requestv1.ProvisioningSupport {
	p := enumValue[requestv1.ProvisioningSupport](requestv1.ProvisioningSupport_value, provisioningPrefix, w.Provisioning)
	if p == requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_UNSPECIFIED {
		return requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL
	}
	return p
}

// Survey looks up, in one round trip, all that a new request stands on. The
// beneficiary's row is locked against a removal at the same moment.
func Survey(ctx context.Context, tx *postgres.Tx, beneficiary string, entitlements []string, kind requestv1.RequestKind, lock bool) (Subject, []Wish, error) {
	var b pgx.Batch
	var s Subject
	queueSubject(&b, beneficiary, lock, &s)
	var wishes []Wish
	b.Queue(`
		select e.id::text, e.name, a.id::text, a.name, a.provisioning,
			g.id is not null, g.until, coalesce(g.request_id::text, ''), coalesce(i.request_id::text, '')
		from unnest($1::uuid[]) with ordinality w (id, n)
		join entitlement e on e.id = w.id
		join app a on a.id = e.app_id
		left join lateral (
			select id, until, request_id from grant_copy
			where user_id = $2 and entitlement_id = e.id and live
			order by until desc nulls first limit 1
		) g on true
		left join request_item i on i.beneficiary_id = $2 and i.entitlement_id = e.id and i.kind = $3
			and i.open
		order by w.n`, entitlements, beneficiary, enumText(kind, kindPrefix)).Query(func(rows pgx.Rows) (err error) {
		wishes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Wish])
		return err
	})
	if err := send(ctx, tx, &b, "look up what is asked for"); err != nil {
		return Subject{}, nil, err
	}
	return s, wishes, nil
}

// New is a new request with what the API does not show.
type New struct {
	Request *requestv1.Request
	// ClientRequestID and Fingerprint make a repeated call safe; may be empty.
	ClientRequestID string
	Fingerprint     []byte
	// JoinTenure is set for a join-flow's request.
	JoinJoinCount *int32
}

// Insert adds a request with its items, all of them waiting.
func (c *Changes) Insert(n New) {
	r := n.Request
	join := optional("")
	if n.JoinJoinCount != nil {
		join = optional(r.GetFlowId())
	}
	c.fresh.Queue(`
		insert into access_request (id, organization_id, kind, origin, requester_id, requester_name, requester_email,
			beneficiary_id, beneficiary_name, beneficiary_email, justification, until, state, flow_id, flow_version,
			client_request_id, fingerprint, join_flow_id, join_count, create_time, update_time, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20, $21)`,
		r.GetId(), r.GetOrganizationId(), enumText(r.GetKind(), kindPrefix), enumText(r.GetOrigin(), originPrefix),
		optional(r.GetRequester().GetUserId()), r.GetRequester().GetDisplayName(), r.GetRequester().GetEmail(),
		r.GetBeneficiary().GetUserId(), r.GetBeneficiary().GetDisplayName(), r.GetBeneficiary().GetEmail(),
		r.GetJustification(), timeOf(r.GetUntil()), enumText(r.GetState(), statePrefix), optional(r.GetFlowId()), r.GetFlowVersion(),
		optional(n.ClientRequestID), n.Fingerprint, join, n.JoinJoinCount, r.GetCreateTime().AsTime(), r.GetVersion())
	var ids, entitlements, names, apps, appNames, provisioning []string
	for _, i := range r.GetItems() {
		ids = append(ids, i.GetId())
		entitlements = append(entitlements, i.GetEntitlementId())
		names = append(names, i.GetEntitlementName())
		apps = append(apps, i.GetAppId())
		appNames = append(appNames, i.GetAppName())
		provisioning = append(provisioning, enumText(i.GetProvisioning(), provisioningPrefix))
	}
	// Everybody adds items in the same order, so that two who ask for the same
	// things meet at the first and do not wait for each other.
	c.fresh.Queue(`
		insert into request_item (id, organization_id, request_id, position, kind, beneficiary_id, entitlement_id, entitlement_name,
			app_id, app_name, provisioning, state, open)
		select i.id, $1, $2, i.n, $3, $4, i.entitlement_id, i.entitlement_name, i.app_id, i.app_name, i.provisioning, 'pending', true
		from unnest($5::uuid[], $6::uuid[], $7::text[], $8::uuid[], $9::text[], $10::text[])
			with ordinality i (id, entitlement_id, entitlement_name, app_id, app_name, provisioning, n)
		order by i.entitlement_id`,
		r.GetOrganizationId(), r.GetId(), enumText(r.GetKind(), kindPrefix), r.GetBeneficiary().GetUserId(),
		ids, entitlements, names, apps, appNames, provisioning)
}

// ByClientRequestID gives the request that a client made with a request_id, and
// the fingerprint of what it asked.
func ByClientRequestID(ctx context.Context, tx *postgres.Tx, requester, clientID string) (id string, fingerprint []byte, err error) {
	err = tx.QueryRow(ctx, `
		select id::text, fingerprint from access_request where requester_id = $1 and client_request_id = $2`,
		requester, clientID).Scan(&id, &fingerprint)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("look for request_id: %w", err)
	}
	return id, fingerprint, nil
}

// JoinRequestExists says whether a join-flow has had its request for a person's
// join count.
func JoinRequestExists(ctx context.Context, tx *postgres.Tx, flow, user string, joinCount int32) (there bool, err error) {
	err = tx.QueryRow(ctx, `
		select exists (select from access_request where join_flow_id = $1 and beneficiary_id = $2 and join_count = $3)`,
		flow, user, joinCount).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("look for join request: %w", err)
	}
	return there, nil
}

// Request is a request as the database holds it: [Changes] change it, others
// see its [Request.Proto].
type Request struct {
	ID, OrganizationID                uuid.UUID
	Kind, Origin                      string
	RequesterID                       uuid.NullUUID
	RequesterName, RequesterEmail     string
	BeneficiaryID                     uuid.UUID
	BeneficiaryName, BeneficiaryEmail string
	Justification                     string
	Until                             *time.Time
	State                             lifecycle.State
	ClosingReason                     string
	CloserID                          uuid.NullUUID
	CloserName, CloserEmail           string
	FlowID                            uuid.NullUUID
	FlowVersion                       int32
	CreateTime, UpdateTime            time.Time
	CloseTime                         *time.Time
	Version                           int64
	Items                             []*Item

	changed bool
}

// Item is one entitlement in a request.
type Item struct {
	ID, EntitlementID uuid.UUID
	EntitlementName   string
	AppID             uuid.UUID
	AppName           string
	State             lifecycle.Item
	Provisioning      string

	changed bool
}

const requestColumns = `r.id, r.organization_id, r.kind, r.origin, r.requester_id, r.requester_name, r.requester_email,
	r.beneficiary_id, r.beneficiary_name, r.beneficiary_email, r.justification, r.until, r.state, r.closing_reason,
	r.closed_by_id, r.closed_by_name, r.closed_by_email, r.flow_id, r.flow_version, r.create_time, r.update_time, r.close_time, r.version`

// wholeColumns are requestColumns and the items. In a record a word of a domain
// is not sent as the text that it is, and the driver would not know its type.
const wholeColumns = requestColumns + `,
	(select array_agg(row(i.id, i.entitlement_id, i.entitlement_name, i.app_id, i.app_name, i.state::text, i.provisioning::text) order by i.position)
	from request_item i where i.request_id = r.id)`

// fields are where requestColumns go.
func (r *Request) fields() []any {
	return []any{
		&r.ID, &r.OrganizationID, &r.Kind, &r.Origin, &r.RequesterID, &r.RequesterName, &r.RequesterEmail,
		&r.BeneficiaryID, &r.BeneficiaryName, &r.BeneficiaryEmail, &r.Justification, &r.Until, &r.State, &r.ClosingReason,
		&r.CloserID, &r.CloserName, &r.CloserEmail, &r.FlowID, &r.FlowVersion, &r.CreateTime, &r.UpdateTime, &r.CloseTime, &r.Version,
	}
}

func scanRequest(row pgx.CollectableRow) (*Request, error) {
	var r Request
	err := row.Scan(r.fields()...)
	return &r, err
}

func scanWhole(row pgx.CollectableRow) (*Request, error) {
	var r Request
	err := row.Scan(append(r.fields(), &r.Items)...)
	return &r, err
}

// Proto is the request as it now stands, as others see it.
func (r *Request) Proto() *requestv1.Request {
	out := &requestv1.Request{
		Id: r.ID.String(), OrganizationId: r.OrganizationID.String(),
		Kind:        enumValue[requestv1.RequestKind](requestv1.RequestKind_value, kindPrefix, r.Kind),
		Origin:      enumValue[requestv1.RequestOrigin](requestv1.RequestOrigin_value, originPrefix, r.Origin),
		Requester:   person(r.RequesterID, r.RequesterName, r.RequesterEmail),
		Beneficiary: person(uuid.NullUUID{UUID: r.BeneficiaryID, Valid: true}, r.BeneficiaryName, r.BeneficiaryEmail),
		Items:       make([]*requestv1.RequestItem, 0, len(r.Items)), Justification: r.Justification, Until: stamp(r.Until),
		State:         enumValue[requestv1.RequestState](requestv1.RequestState_value, statePrefix, string(r.State)),
		ClosingReason: r.ClosingReason, ClosedBy: person(r.CloserID, r.CloserName, r.CloserEmail),
		FlowVersion: r.FlowVersion, CreateTime: timestamppb.New(r.CreateTime), UpdateTime: timestamppb.New(r.UpdateTime),
		CloseTime: stamp(r.CloseTime), Version: r.Version,
	}
	if r.FlowID.Valid {
		out.FlowId = r.FlowID.UUID.String()
	}
	for _, i := range r.Items {
		out.Items = append(out.Items, &requestv1.RequestItem{
			Id: i.ID.String(), EntitlementId: i.EntitlementID.String(), EntitlementName: i.EntitlementName,
			AppId: i.AppID.String(), AppName: i.AppName,
			State:        enumValue[requestv1.ItemState](requestv1.ItemState_value, itemPrefix, string(i.State)),
			Provisioning: enumValue[requestv1.ProvisioningSupport](requestv1.ProvisioningSupport_value, provisioningPrefix, i.Provisioning),
		})
	}
	return out
}

// ItemStates are where the items of a request stand.
func (r *Request) ItemStates() []lifecycle.Item {
	states := make([]lifecycle.Item, len(r.Items))
	for n, i := range r.Items {
		states[n] = i.State
	}
	return states
}

// ByID reads one request, whoever asks.
func ByID(ctx context.Context, tx *postgres.Tx, id string) (*Request, error) {
	return one(ctx, tx, `select `+wholeColumns+` from access_request r where r.id = $1`, id)
}

// Load reads requests with their items, and keeps others from moving them until
// the end of tx. An id may be there twice; what is unknown or another
// organization's is left out.
//
// What is to be decided by the items is locked before they are read, by a
// statement of its own: two events about two items would otherwise each see the
// other's item as it was. Requests are locked in the order of their ids, so
// that two replicas do not deadlock. Comments may be added meanwhile.
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
	b.Queue(`select `+requestColumns+` from access_request r where r.id = any($1) order by r.id for no key update`, wanted).Query(func(rows pgx.Rows) error {
		rs, err := pgx.CollectRows(rows, scanRequest)
		for _, r := range rs {
			found[r.ID] = r
		}
		return err
	})
	b.Queue(`
		select request_id, id, entitlement_id, entitlement_name, app_id, app_name, state, provisioning from request_item
		where request_id = any($1) order by request_id, position`, wanted).Query(func(rows pgx.Rows) error {
		var request uuid.UUID
		var i Item
		into := []any{&request, &i.ID, &i.EntitlementID, &i.EntitlementName, &i.AppID, &i.AppName, &i.State, &i.Provisioning}
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

// visible is the condition on r under which the caller $1 may see a request.
const visible = `(r.requester_id = $1 or r.beneficiary_id = $1
	or exists (select from reviewer v where v.request_id = r.id and v.user_id = $1)
	or exists (select from request_item i join app a on a.id = i.app_id
		where i.request_id = r.id and ($1 = any(a.admin_ids) or $1 = any(a.approver_ids) or $1 = a.owner_id)))`

// visibleAll is visible for a list: it gathers what belongs to the caller,
// instead of asking of each request whether it does. $2 is the organization.
const visibleAll = `r.id in (
	select m.id from access_request m where m.requester_id = $1
	union select m.id from access_request m where m.beneficiary_id = $1
	union select v.request_id from reviewer v where v.user_id = $1
	union select i.request_id from app a join request_item i on i.app_id = a.id
		where a.organization_id = $2 and ($1 = any(a.admin_ids) or $1 = any(a.approver_ids) or $1 = a.owner_id))`

// VisibleRequest reads one request if the caller may see it.
func VisibleRequest(ctx context.Context, tx *postgres.Tx, c authz.Caller, id string) (*Request, error) {
	return visibleRequest(ctx, tx, c, id, "")
}

// VisibleLocked is VisibleRequest, and keeps others from moving the request
// until the end of tx.
func VisibleLocked(ctx context.Context, tx *postgres.Tx, c authz.Caller, id string) (*Request, error) {
	return visibleRequest(ctx, tx, c, id, " for no key update of r")
}

func visibleRequest(ctx context.Context, tx *postgres.Tx, c authz.Caller, id, lock string) (*Request, error) {
	if c.SeesAll() {
		return one(ctx, tx, `select `+wholeColumns+` from access_request r where r.id = $1`+lock, id)
	}
	return one(ctx, tx, `select `+wholeColumns+` from access_request r where r.id = $2 and `+visible+lock, c.UserID, id)
}

// Filter chooses requests.
type Filter struct {
	// Mine keeps to those that the caller made or that are about the caller.
	Mine bool
	// Closed keeps to closed ones if true, to open ones if false; nil to both.
	Closed             *bool
	Beneficiary, AppID string
	State              requestv1.RequestState
	// After is the id that the page begins after.
	After string
	Limit int
}

// Requests lists the requests that the caller may see, newest first.
func Requests(ctx context.Context, tx *postgres.Tx, c authz.Caller, f Filter) ([]*Request, error) {
	// Row-level security alone would not let the indexes be used: it compares
	// texts. The caller's id stands in the condition of whatever is listed.
	args := []any{c.UserID, c.OrganizationID}
	q := `select ` + wholeColumns + ` from access_request r where r.organization_id = $2 and $1::uuid is not null`
	and := func(condition string, arg any) {
		args = append(args, arg)
		q += fmt.Sprintf(" and "+condition, len(args))
	}
	switch {
	case f.Mine:
		q += ` and (r.requester_id = $1 or r.beneficiary_id = $1)`
	case !c.SeesAll():
		q += ` and ` + visibleAll
	}
	switch {
	case f.Closed == nil:
	case *f.Closed:
		q += ` and r.close_time is not null`
	default:
		q += ` and r.close_time is null`
	}
	if f.After != "" {
		and(`r.id < $%d`, f.After)
	}
	if f.Beneficiary != "" {
		and(`r.beneficiary_id = $%d`, f.Beneficiary)
	}
	if f.AppID != "" {
		and(`exists (select from request_item i where i.request_id = r.id and i.app_id = $%d)`, f.AppID)
	}
	if f.State != requestv1.RequestState_REQUEST_STATE_UNSPECIFIED {
		and(`r.state = $%d`, enumText(f.State, statePrefix))
	}
	args = append(args, f.Limit)
	rows, err := tx.Query(ctx, fmt.Sprintf(`%s order by r.id desc limit $%d`, q, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	return collect("list requests", rows, scanWhole)
}

func one(ctx context.Context, tx *postgres.Tx, q string, args ...any) (*Request, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanWhole)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrRequestNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return r, nil
}

// Open reads a person's requests that can still be cancelled, without their
// items, made before a time or, without one, at any. It keeps others from
// moving them until the end of tx.
func Open(ctx context.Context, tx *postgres.Tx, beneficiary string, before *time.Time) ([]*Request, error) {
	rows, err := tx.Query(ctx, `
		select `+requestColumns+` from access_request r
		where beneficiary_id = $1 and state = any($2) and ($3::timestamptz is null or create_time <= $3)
		order by id for no key update`, beneficiary, lifecycle.From(lifecycle.Cancelling), before)
	if err != nil {
		return nil, fmt.Errorf("list open requests: %w", err)
	}
	return collect("list open requests", rows, scanRequest)
}

func timeOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	v := t.AsTime()
	return &v
}
