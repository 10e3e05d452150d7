package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// errStale means that a row of an assignment was changed without the assignment's lock.
type errStale struct{ what string }

func (e errStale) Error() string { return e.what + " was changed without the lock of its assignment" }

// Save queues what has changed about assignments: one statement for each table that
// rows were added to, and one for each in which some were changed. Each fails
// unless it has touched exactly its rows.
func Save(b *pgx.Batch, assignments []*Assignment, now time.Time) error {
	var c changes
	for _, s := range assignments {
		c.collect(s)
	}
	c.queueAccounts(b)
	c.queueGrants(b)
	c.queueRevocations(b)
	c.queueItems(b)
	return c.queueOperations(b, now)
}

// changes are the rows to be written, by table.
type changes struct {
	accounts                       []*Assignment
	grantsNew, grantsOld           []of[Grant]
	revocationsNew, revocationsOld []of[Revocation]
	itemsNew, itemsOld             []of[WorkItem]
	operationsNew, operationsOld   []of[Operation]
}

// of is a row of an assignment.
type of[T any] struct {
	row        *T
	assignment *Assignment
}

func (c *changes) collect(s *Assignment) {
	if s.Account.Changed {
		c.accounts = append(c.accounts, s)
	}
	for _, g := range s.Grants {
		switch {
		case g.New:
			c.grantsNew = append(c.grantsNew, of[Grant]{g, s})
		case g.Version != g.loaded:
			c.grantsOld = append(c.grantsOld, of[Grant]{g, s})
		}
	}
	for _, r := range s.Revocations {
		switch {
		case r.New:
			c.revocationsNew = append(c.revocationsNew, of[Revocation]{r, s})
		case r.Changed:
			c.revocationsOld = append(c.revocationsOld, of[Revocation]{r, s})
		}
	}
	for _, i := range s.Items {
		switch {
		case i.New:
			c.itemsNew = append(c.itemsNew, of[WorkItem]{i, s})
		case i.Version != i.loaded:
			c.itemsOld = append(c.itemsOld, of[WorkItem]{i, s})
		}
	}
	for _, o := range s.Finished {
		c.operationsOld = append(c.operationsOld, of[Operation]{o, s})
	}
	switch o := s.Operation; {
	case o == nil:
	case o.New:
		c.operationsNew = append(c.operationsNew, of[Operation]{o, s})
	case o.Changed:
		c.operationsOld = append(c.operationsOld, of[Operation]{o, s})
	}
}

// queue queues a statement that is to touch as many rows as there are, if there
// are any. columns give its parameters.
func queue[R any](b *pgx.Batch, what string, rows []R, sql string, columns ...func([]R) any) {
	if len(rows) == 0 {
		return
	}
	args := make([]any, len(columns))
	for i, c := range columns {
		args[i] = c(rows)
	}
	b.Queue(sql, args...).Exec(func(tag pgconnTag) error {
		if tag.RowsAffected() != int64(len(rows)) {
			return errStale{what}
		}
		return nil
	})
}

// column is one value of each row, as an array.
func column[R, V any](value func(R) V) func([]R) any {
	return func(rows []R) any { return postgres.Column(rows, value) }
}

func (c *changes) queueAccounts(b *pgx.Batch) {
	queue(b, "account", c.accounts, `
		update account a set state = v.state, account_in_doubt = v.account_in_doubt, held = v.held::uuid[], in_doubt = v.in_doubt::uuid[], external_id = v.external_id,
		    user_name = v.user_name, adopted = v.adopted, had = v.had::uuid[], tenant_id = v.tenant_id, found_id = v.found_id, found_name = v.found_name,
		    left_behind = v.left_behind::jsonb, words = v.words::jsonb, profile = v.profile, manager = v.manager::jsonb, none_tenant_id = v.none_tenant_id, none_user_name = v.none_user_name, by_name = v.by_name, questioned = v.questioned, app_version = v.app_version, create_time = v.create_time, update_time = v.update_time, version = v.version + 1
		from unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
		    $10::timestamptz[], $11::timestamptz[], $12::boolean[], $13::text[], $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::uuid[], $21::text[], $22::text[], $23::boolean[], $24::boolean[])
		    as v (id, version, state, account_in_doubt, held, in_doubt, external_id, user_name, app_version, create_time, update_time,
		        adopted, had, tenant_id, found_id, found_name, left_behind, words, profile, none_tenant_id, none_user_name, manager, by_name, questioned)
		where a.id = v.id and a.version = v.version`,
		column(func(s *Assignment) uuid.UUID { return s.Account.ID }),
		column(func(s *Assignment) int64 { return s.Account.Version }),
		column(func(s *Assignment) string { return string(s.Account.Observed.Account) }),
		column(func(s *Assignment) bool { return s.Account.Observed.AccountInDoubt }),
		column(func(s *Assignment) string { return postgres.IDs(ids(s.Account.Observed.Held)) }),
		column(func(s *Assignment) string { return postgres.IDs(ids(s.Account.Observed.InDoubt)) }),
		column(func(s *Assignment) string { return s.Account.ExternalID }),
		column(func(s *Assignment) string { return s.Account.UserName }),
		column(func(s *Assignment) int64 { return s.Account.AppVersion }),
		column(func(s *Assignment) *time.Time { return s.Account.CreateTime }),
		column(func(s *Assignment) time.Time { return s.Account.UpdateTime }),
		column(func(s *Assignment) bool { return s.Account.Observed.Adopted }),
		column(func(s *Assignment) string { return postgres.IDs(ids(s.Account.Observed.Had)) }),
		column(func(s *Assignment) uuid.NullUUID { return s.Account.Tenant }),
		column(func(s *Assignment) string { return s.Account.FoundID }),
		column(func(s *Assignment) string { return s.Account.FoundName }),
		column(func(s *Assignment) *string { return places(s.Account.LeftBehind) }),
		column(func(s *Assignment) *string { return words(s.Account.Words) }),
		column(func(s *Assignment) *string { return profile(s.Account.Observed) }),
		column(func(s *Assignment) uuid.NullUUID { return s.Account.NoneTenant }),
		column(func(s *Assignment) string { return s.Account.NoneUserName }),
		column(func(s *Assignment) *string { return rowOf(s.Account.Observed.Manager).text() }),
		column(func(s *Assignment) bool { return s.Account.ByName }),
		column(func(s *Assignment) bool { return s.Account.Questioned }),
	)
}

// places is left_behind; nil is nothing.
func places(left []Place) *string {
	if len(left) == 0 {
		return nil
	}
	data, err := json.Marshal(left)
	if err != nil {
		panic(err) // texts and ids alone
	}
	text := string(data)
	return &text
}

func (c *changes) queueGrants(b *pgx.Batch) {
	type grant = of[Grant]
	queue(b, "grant", c.grantsOld, `
		update access_grant g set state = v.state, activate_time = v.activate_time, end_time = v.end_time,
		    revoke_time = v.revoke_time, end_reason = nullif(v.end_reason, ''), revoke_request_id = v.revoke_request_id, error = v.error,
		    version = v.version
		from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
		    $8::text[], $9::uuid[], $10::text[])
		    as v (id, loaded, version, state, activate_time, end_time, revoke_time, end_reason, revoke_request_id, error)
		where g.id = v.id and g.version = v.loaded`,
		column(func(g grant) uuid.UUID { return g.row.ID }),
		column(func(g grant) int64 { return g.row.loaded }),
		column(func(g grant) int64 { return g.row.Version }),
		column(func(g grant) string { return string(g.row.State) }),
		column(func(g grant) *time.Time { return g.row.ActivateTime }),
		column(func(g grant) *time.Time { return g.row.EndTime }),
		column(func(g grant) *time.Time { return g.row.RevokeTime }),
		column(func(g grant) string { return g.row.End }),
		column(func(g grant) uuid.NullUUID { return g.row.RevokeRequestID }),
		column(func(g grant) string { return g.row.Error }),
	)
	queue(b, "grant", c.grantsNew, `
		insert into access_grant (id, organization_id, environment_id, account_id, user_id, app_id, entitlement_id, request_id, item_id, origin_join, join_count, state,
		    until, create_time, activate_time, end_time, revoke_time, end_reason, revoke_request_id, error, version)
		select v.id, v.organization_id, v.environment_id, v.account_id, v.user_id, v.app_id, v.entitlement_id, v.request_id, v.item_id, v.origin_join, v.join_count, v.state,
		    v.until, v.create_time, v.activate_time, v.end_time, v.revoke_time, nullif(v.end_reason, ''), v.revoke_request_id, v.error, v.version
		from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::boolean[], $10::integer[],
		    $11::text[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
		    $17::text[], $18::uuid[], $19::text[], $20::bigint[], $21::uuid[])
		    as v (id, organization_id, account_id, user_id, app_id, entitlement_id, request_id, item_id, origin_join, join_count, state,
		    until, create_time, activate_time, end_time, revoke_time, end_reason, revoke_request_id, error, version, environment_id)`,
		column(func(g grant) uuid.UUID { return g.row.ID }),
		column(func(g grant) uuid.UUID { return g.assignment.Organization }),
		column(func(g grant) uuid.UUID { return g.assignment.Account.ID }),
		column(func(g grant) uuid.UUID { return g.row.UserID }),
		column(func(g grant) uuid.UUID { return g.row.AppID }),
		column(func(g grant) uuid.UUID { return g.row.EntitlementID }),
		column(func(g grant) uuid.UUID { return g.row.RequestID }),
		column(func(g grant) uuid.UUID { return g.row.ItemID }),
		column(func(g grant) bool { return g.row.Join }),
		column(func(g grant) int32 { return g.row.JoinCount }),
		column(func(g grant) string { return string(g.row.State) }),
		column(func(g grant) *time.Time { return g.row.Until }),
		column(func(g grant) time.Time { return g.row.CreateTime }),
		column(func(g grant) *time.Time { return g.row.ActivateTime }),
		column(func(g grant) *time.Time { return g.row.EndTime }),
		column(func(g grant) *time.Time { return g.row.RevokeTime }),
		column(func(g grant) string { return g.row.End }),
		column(func(g grant) uuid.NullUUID { return g.row.RevokeRequestID }),
		column(func(g grant) string { return g.row.Error }),
		column(func(g grant) int64 { return g.row.Version }),
		column(func(g grant) uuid.UUID { return g.assignment.Environment }),
	)
}

func (c *changes) queueRevocations(b *pgx.Batch) {
	type revocation = of[Revocation]
	queue(b, "revocation", c.revocationsOld, `
		update revocation r set done = v.done, version = v.version from unnest($1::uuid[], $2::boolean[], $3::bigint[]) as v (item_id, done, version) where r.item_id = v.item_id and r.done <> v.done`,
		column(func(r revocation) uuid.UUID { return r.row.ItemID }),
		column(func(r revocation) bool { return r.row.Done }),
		column(func(r revocation) int64 { return r.row.Version }),
	)
	queue(b, "revocation", c.revocationsNew, `
		insert into revocation (item_id, organization_id, environment_id, request_id, account_id, user_id, app_id, entitlement_id, grant_ids, done, grant_item_id, version)
		select v.item_id, v.organization_id, v.environment_id, v.request_id, v.account_id, v.user_id, v.app_id, v.entitlement_id, v.grant_ids::uuid[], v.done,
		    v.grant_item_id, v.version
		from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::boolean[], $10::uuid[],
		        $11::uuid[], $12::bigint[])
		    as v (item_id, organization_id, request_id, account_id, user_id, app_id, entitlement_id, grant_ids, done, environment_id, grant_item_id, version)`,
		column(func(r revocation) uuid.UUID { return r.row.ItemID }),
		column(func(r revocation) uuid.UUID { return r.assignment.Organization }),
		column(func(r revocation) uuid.UUID { return r.row.RequestID }),
		column(func(r revocation) uuid.UUID { return r.assignment.Account.ID }),
		column(func(r revocation) uuid.UUID { return r.assignment.User }),
		column(func(r revocation) uuid.UUID { return r.assignment.Key.App }),
		column(func(r revocation) uuid.UUID { return r.row.EntitlementID }),
		column(func(r revocation) string { return postgres.IDs(r.row.GrantIDs) }),
		column(func(r revocation) bool { return r.row.Done }),
		column(func(r revocation) uuid.UUID { return r.assignment.Environment }),
		column(func(r revocation) uuid.NullUUID { return r.row.GrantItemID }),
		column(func(r revocation) int64 { return r.row.Version }),
	)
}

// queueItems changes open items before it adds new ones: of one that is closed
// and its successor only one may be open.
func (c *changes) queueItems(b *pgx.Batch) {
	type item = of[WorkItem]
	queue(b, "work item", c.itemsOld, `
		update work_item w set state = v.state, entitlement_ids = v.entitlement_ids::uuid[], request_ids = v.request_ids::uuid[],
		    checklist_id = v.checklist_id, error = v.error, resolver_id = v.resolver_id, resolver_name = v.resolver_name,
		    resolver_email = v.resolver_email, note = v.note, resolve_time = v.resolve_time, before = v.before::jsonb, version = v.version
		from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::uuid[], $10::text[],
		    $11::text[], $12::text[], $13::timestamptz[], $14::text[])
		    as v (id, loaded, version, state, entitlement_ids, request_ids, checklist_id, error, resolver_id, resolver_name, resolver_email, note, resolve_time, before)
		where w.id = v.id and w.version = v.loaded and w.state = 'open'`,
		column(func(i item) uuid.UUID { return i.row.ID }),
		column(func(i item) int64 { return i.row.loaded }),
		column(func(i item) int64 { return i.row.Version }),
		column(func(i item) string { return i.row.State }),
		column(func(i item) string { return postgres.IDs(i.row.EntitlementIDs) }),
		column(func(i item) string { return postgres.IDs(i.row.RequestIDs) }),
		column(func(i item) uuid.NullUUID { return i.row.ChecklistID }),
		column(func(i item) string { return i.row.Error }),
		column(func(i item) uuid.NullUUID { return i.row.ResolverID }),
		column(func(i item) string { return i.row.ResolverName }),
		column(func(i item) string { return i.row.ResolverEmail }),
		column(func(i item) string { return i.row.Note }),
		column(func(i item) *time.Time { return i.row.ResolveTime }),
		column(func(i item) *string { return i.row.Before.text() }),
	)
	queue(b, "work item", c.itemsNew, `
		insert into work_item (id, organization_id, environment_id, account_id, user_id, app_id, kind, state, entitlement_ids, request_ids, checklist_id, error,
		    resolver_id, resolver_name, resolver_email, note, create_time, resolve_time, version, reopens, reopen_reason)
		select v.id, v.organization_id, v.environment_id, v.account_id, v.user_id, v.app_id, v.kind, v.state, v.entitlement_ids::uuid[], v.request_ids::uuid[],
		    v.checklist_id, v.error, v.resolver_id, v.resolver_name, v.resolver_email, v.note, v.create_time, v.resolve_time, v.version, v.reopens, v.reopen_reason
		from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::text[],
		    $12::uuid[], $13::text[], $14::text[], $15::text[], $16::timestamptz[], $17::timestamptz[], $18::bigint[], $19::uuid[], $20::uuid[], $21::text[])
		    as v (id, organization_id, account_id, user_id, app_id, kind, state, entitlement_ids, request_ids, checklist_id, error,
		    resolver_id, resolver_name, resolver_email, note, create_time, resolve_time, version, environment_id, reopens, reopen_reason)`,
		column(func(i item) uuid.UUID { return i.row.ID }),
		column(func(i item) uuid.UUID { return i.assignment.Organization }),
		column(func(i item) uuid.UUID { return i.assignment.Account.ID }),
		column(func(i item) uuid.UUID { return i.row.UserID }),
		column(func(i item) uuid.UUID { return i.row.AppID }),
		column(func(i item) string { return string(i.row.Kind) }),
		column(func(i item) string { return i.row.State }),
		column(func(i item) string { return postgres.IDs(i.row.EntitlementIDs) }),
		column(func(i item) string { return postgres.IDs(i.row.RequestIDs) }),
		column(func(i item) uuid.NullUUID { return i.row.ChecklistID }),
		column(func(i item) string { return i.row.Error }),
		column(func(i item) uuid.NullUUID { return i.row.ResolverID }),
		column(func(i item) string { return i.row.ResolverName }),
		column(func(i item) string { return i.row.ResolverEmail }),
		column(func(i item) string { return i.row.Note }),
		column(func(i item) time.Time { return i.row.CreateTime }),
		column(func(i item) *time.Time { return i.row.ResolveTime }),
		column(func(i item) int64 { return i.row.Version }),
		column(func(i item) uuid.UUID { return i.assignment.Environment }),
		column(func(i item) uuid.NullUUID { return i.row.Reopens }),
		column(func(i item) string { return i.row.ReopenReason }),
	)
}

// Not "in" the other states: the small index of these would be read as a whole,
// with all that a transaction left open keeps in it.
const updateOperations = `
	update operation o set state = v.state, plan = v.plan::jsonb, tries = v.tries, error = v.error, integration_id = v.integration_id,
	    not_before = v.not_before, bulk = v.bulk, claim = v.claim, lease_until = case when v.state = 'running' then v.lease_until end,
	    tenant_id = case when v.claim is distinct from o.claim then v.tenant_id else o.tenant_id end,
	    traceparent = v.traceparent, look = v.look::jsonb, listed_from = v.listed_from, end_time = case when v.state in ('done', 'cancelled') then $10::timestamptz end
	from unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::uuid[], $7::timestamptz[], $8::uuid[], $9::timestamptz[], $11::boolean[], $12::text[], $13::text[], $14::uuid[], $15::timestamptz[])
	    as v (id, state, plan, tries, error, integration_id, not_before, claim, lease_until, bulk, traceparent, look, tenant_id, listed_from)
	where o.id = v.id and o.state not in ('done', 'cancelled')`

// queueOperations ends operations before it adds new ones, as an assignment has one at
// most.
func (c *changes) queueOperations(b *pgx.Batch, now time.Time) error {
	type operation = of[Operation]
	plans := make(map[*Operation]string, len(c.operationsOld)+len(c.operationsNew))
	looks := make(map[*Operation]*string)
	for _, ops := range [][]operation{c.operationsOld, c.operationsNew} {
		for _, o := range ops {
			plan, err := json.Marshal(o.row.Plan)
			if err != nil {
				return fmt.Errorf("encode plan: %w", err)
			}
			plans[o.row] = string(plan)
			if look := string(plan); o.row.Looks {
				plans[o.row], looks[o.row] = "[]", &look
			}
		}
	}
	queue(b, "operation", c.operationsOld, updateOperations,
		column(func(o operation) uuid.UUID { return o.row.ID }),
		column(func(o operation) string { return string(o.row.State) }),
		column(func(o operation) string { return plans[o.row] }),
		column(func(o operation) int { return o.row.Tries }),
		column(func(o operation) string { return o.row.Error }),
		column(func(o operation) uuid.UUID { return o.row.IntegrationID }),
		column(func(o operation) *time.Time { return o.row.NotBefore }),
		column(func(o operation) uuid.NullUUID { return o.row.Claim }),
		column(func(o operation) *time.Time { return o.row.LeaseUntil }),
		func([]operation) any { return now },
		column(func(o operation) bool { return o.row.Bulk }),
		column(func(o operation) string { return o.row.Traceparent }),
		column(func(o operation) *string { return looks[o.row] }),
		column(func(o operation) uuid.NullUUID { return o.assignment.App.Tenant }),
		column(func(o operation) *time.Time { return o.row.ListedFrom }),
	)
	queue(b, "operation", c.operationsNew, `
		insert into operation (id, organization_id, environment_id, account_id, user_id, app_id, integration_id, state, plan, tries, not_before, claim, lease_until,
		    error, create_time, bulk, traceparent, look, tenant_id, listed_from)
		select v.id, v.organization_id, v.environment_id, v.account_id, v.user_id, v.app_id, v.integration_id, v.state, v.plan::jsonb, v.tries, v.not_before,
		    v.claim, v.lease_until, v.error, $13, v.bulk, v.traceparent, v.look::jsonb, v.tenant_id, v.listed_from
		from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::integer[],
		    $10::uuid[], $11::timestamptz[], $12::text[], $14::timestamptz[], $15::uuid[], $16::boolean[], $17::text[], $18::text[], $19::uuid[], $20::timestamptz[])
		    as v (id, organization_id, account_id, user_id, app_id, integration_id, state, plan, tries, claim, lease_until, error, not_before, environment_id, bulk, traceparent, look, tenant_id, listed_from)`,
		column(func(o operation) uuid.UUID { return o.row.ID }),
		column(func(o operation) uuid.UUID { return o.assignment.Organization }),
		column(func(o operation) uuid.UUID { return o.assignment.Account.ID }),
		column(func(o operation) uuid.UUID { return o.assignment.User }),
		column(func(o operation) uuid.UUID { return o.assignment.Key.App }),
		column(func(o operation) uuid.UUID { return o.row.IntegrationID }),
		column(func(o operation) string { return string(o.row.State) }),
		column(func(o operation) string { return plans[o.row] }),
		column(func(o operation) int { return o.row.Tries }),
		column(func(o operation) uuid.NullUUID { return o.row.Claim }),
		column(func(o operation) *time.Time { return o.row.LeaseUntil }),
		column(func(o operation) string { return o.row.Error }),
		func([]operation) any { return now },
		column(func(o operation) *time.Time { return o.row.NotBefore }),
		column(func(o operation) uuid.UUID { return o.assignment.Environment }),
		column(func(o operation) bool { return o.row.Bulk }),
		column(func(o operation) string { return o.row.Traceparent }),
		column(func(o operation) *string { return looks[o.row] }),
		column(func(o operation) uuid.NullUUID { return o.assignment.App.Tenant }),
		column(func(o operation) *time.Time { return o.row.ListedFrom }),
	)
	return nil
}
