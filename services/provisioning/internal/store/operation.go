package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// Job is an operation that was claimed, with all that its calls need.
type Job struct {
	Key
	Organization uuid.UUID
	Operation    uuid.UUID
	Claim        uuid.UUID
	// Claimed is when its lease began, or shortly before.
	Claimed time.Time
	Tries   int
	Plan    []Step
	Person  Person
	// Manager is the person's manager, and Names whom the account names as that.
	Manager Manager
	Names   lifecycle.Manager
	Disable bool
	// Refuse means that an account that is there already is not used.
	Refuse bool
	// ExternalID and UserName are the account as it is known, at Tenant alone.
	ExternalID, UserName string
	Tenant               uuid.NullUUID
	// Known means that there is an account, and InDoubt that there may be one.
	Known, InDoubt bool
	IntegrationID  uuid.UUID
	// IntegrationVersion is 0 if there is no such integration.
	IntegrationVersion int64
	// Traceparent is the trace that the calls belong to.
	Traceparent string
	// Looks means that Plan is what is looked at, and that nothing is changed.
	Looks bool
	// Called is, of one that was abandoned, the tenant that its calls went to.
	Called uuid.NullUUID
}

// DueOperations are the operations to claim.
type DueOperations struct {
	// From and Now are the times between which they have become due, and
	// LeaseUntil is until when they are claimed.
	From, Now, LeaseUntil time.Time
	// Limit is how many there is room for, and BulkLimit for how many of them that are
	// bulk. Most is how many others than those of Limited are claimed at once.
	Limit, BulkLimit, Most int
	// Busy are integrations that are not to be given more, and BusyForBulk those
	// that are not to be given more bulk.
	Busy, BusyForBulk []uuid.UUID
	// Limited are integrations, among those, that are given just so many.
	Limited []LimitedIntegration
	// Except are operations to leave alone.
	Except []uuid.UUID
}

// LimitedIntegration is an integration that is given Limit operations, and of those that
// are bulk BulkLimit.
type LimitedIntegration struct {
	ID               uuid.UUID
	Limit, BulkLimit int
}

func (d DueOperations) arguments() []any {
	return []any{d.Now, min(d.Limit, d.Most), none(d.Busy), none(d.Except), min(d.BulkLimit, d.Most), none(d.BusyForBulk), d.From}
}

// none is a list that is not null.
func none(ids []uuid.UUID) []uuid.UUID {
	if ids == nil {
		return []uuid.UUID{}
	}
	return ids
}

// dueOperations selects the operations to claim, by the arguments of
// DueOperations.
const dueOperations = `
	select id from (
	    select o.id from operation o
	    where o.state in ('queued', 'stuck') and not o.bulk and o.not_before between $7 and $1 and o.integration_id <> all($3) and o.id <> all($4)
	      and not exists (select from integration i where i.id = o.integration_id and i.paused_until > $1)
	    order by o.not_before limit $2
	    for update of o skip locked) as others
	union all
	select id from (
	    select o.id from operation o
	    where o.state in ('queued', 'stuck') and o.bulk and o.not_before between $7 and $1 and o.integration_id <> all($6) and o.id <> all($4)
	      and not exists (select from integration i where i.id = o.integration_id and i.paused_until > $1)
	    order by o.not_before limit $5
	    for update of o skip locked) as bulk`

// dueOfIntegration selects operations to claim of one integration: bulk ones or others.
const dueOfIntegration = `
	select o.id from operation o
	where o.state in ('queued', 'stuck') and o.integration_id = $1 and o.bulk = $2 and o.not_before between $3 and $4 and o.id <> all($5)
	  and not exists (select from integration i where i.id = o.integration_id and i.paused_until > $4)
	order by o.not_before limit $6
	for update of o skip locked`

var managerOfOperation = fmt.Sprintf(managerLateral, "o.app_id")

// Every table is reached by key, whatever the planner believes of tables that
// were empty when it made its plan.
var claimOperations = `
	with due as materialized (%s),
	claimed as (
	    update operation o set state = 'running', claim = gen_random_uuid(), lease_until = $%d, tries = o.tries + 1,
	        tenant_id = (select i.tenant_id from integration i where i.id = o.integration_id)
	    where o.id = any(array(select id from due))
	    returning o.account_id, o.user_id, o.app_id, o.organization_id, o.id, o.claim, o.tries, coalesce(o.look, o.plan) as plan, o.look is not null as looks, o.integration_id, o.traceparent)
	select o.user_id, o.app_id, o.organization_id, o.id, o.claim, o.tries, o.plan, o.looks,
	    u.*, ` + managerColumns + `, a.manager, p.disable, p.refuse, a.external_id, a.user_name, a.tenant_id, a.state <> 'absent', a.account_in_doubt,
	    o.integration_id, coalesce((select i.version from integration i where i.id = o.integration_id limit 1), 0), o.traceparent
	from claimed o,
	    lateral (select ` + personColumns + `, u.manager_id from user_copy u where u.id = o.user_id limit 1) u,
	    lateral (select p.deprovisioning_action = 'disable' as disable, p.account_adoption = 'refuse' as refuse from app_copy p where p.id = o.app_id limit 1) p,
	    lateral (select a.external_id, a.user_name, a.tenant_id, a.state, a.account_in_doubt, a.manager from account a where a.id = o.account_id limit 1) a` +
	managerOfOperation

var (
	claimDue           = fmt.Sprintf(claimOperations, dueOperations, 8)
	claimOfIntegration = fmt.Sprintf(claimOperations, dueOfIntegration, 7)
	claimOne           = fmt.Sprintf(claimOperations,
		`select id from operation where id = $1 and state in ('queued', 'stuck') and not_before <= $2 for update skip locked`, 3)
)

// Claim claims operations that are due. more means that there may be more that are. The
// transaction must see all organizations.
func Claim(ctx context.Context, tx *postgres.Tx, due DueOperations) (jobs []Job, more bool, err error) {
	err = due.eachLimited(func(args []any) (int, error) {
		some, err := claim(ctx, tx, claimOfIntegration, append(args, due.LeaseUntil)...)
		jobs = append(jobs, some...)
		return len(some), err
	})
	if err != nil {
		return nil, false, err
	}
	due.Limit, due.BulkLimit = due.Limit-len(jobs), max(0, due.BulkLimit-len(jobs))
	others, err := claim(ctx, tx, claimDue, append(due.arguments(), due.LeaseUntil)...)
	if n := len(others); n > 0 {
		more = n >= min(due.Limit, due.Most) || n >= min(due.BulkLimit, due.Most)
	}
	return append(jobs, others...), more, err
}

// eachLimited calls claim with the arguments of dueOfIntegration for each integration
// that has a limit: first for those that are not bulk. claim returns how many it got.
func (d DueOperations) eachLimited(claim func(args []any) (int, error)) error {
	for _, l := range d.Limited {
		n, err := claim([]any{l.ID, false, d.From, d.Now, none(d.Except), l.Limit})
		if left := min(l.BulkLimit, l.Limit-n); err == nil && left > 0 {
			_, err = claim([]any{l.ID, true, d.From, d.Now, none(d.Except), left})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ClaimOne is Claim for one operation, of those that DueOperations.IDs returns.
func ClaimOne(ctx context.Context, tx *postgres.Tx, due DueOperations, id uuid.UUID) ([]Job, error) {
	return claim(ctx, tx, claimOne, id, due.Now, due.LeaseUntil)
}

// IDs returns the operations that Claim would claim.
func (d DueOperations) IDs(ctx context.Context, tx *postgres.Tx) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	find := func(sql string, args []any) (int, error) {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return 0, fmt.Errorf("find operations: %w", err)
		}
		some, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		ids = append(ids, some...)
		return len(some), wrap(err, "find operations")
	}
	err := d.eachLimited(func(args []any) (int, error) { return find(dueOfIntegration, args) })
	if err != nil {
		return nil, err
	}
	d.Limit, d.BulkLimit = d.Limit-len(ids), max(0, d.BulkLimit-len(ids))
	_, err = find(dueOperations, d.arguments())
	return ids, err
}

func claim(ctx context.Context, tx *postgres.Tx, sql string, args ...any) ([]Job, error) {
	claimed := time.Now()
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("claim operations: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Job, error) {
		j := Job{Claimed: claimed}
		var plan, names []byte
		u := &j.Person
		into := slices.Concat(
			[]any{&j.User, &j.App, &j.Organization, &j.Operation, &j.Claim, &j.Tries, &plan, &j.Looks},
			[]any{&u.ID, &u.UserName, &u.DisplayName, &u.GivenName, &u.FamilyName, &u.Email, &u.Title, &u.Department},
			j.Manager.columns(),
			[]any{
				&names, &j.Disable, &j.Refuse, &j.ExternalID, &j.UserName, &j.Tenant, &j.Known, &j.InDoubt,
				&j.IntegrationID, &j.IntegrationVersion, &j.Traceparent,
			})
		err := row.Scan(into...)
		if err == nil {
			err = readManager(names, &j.Names)
		}
		if err == nil {
			err = json.Unmarshal(plan, &j.Plan)
		}
		return j, err
	})
	return jobs, wrap(err, "claim operations")
}

// NextOperation returns when the next operation is due that is due after a time;
// nil if none is. The transaction must see all organizations.
func NextOperation(ctx context.Context, tx *postgres.Tx, after time.Time) (next *time.Time, err error) {
	err = tx.QueryRow(ctx, `
		select least(
		    (select min(not_before) from operation where state in ('queued', 'stuck') and not bulk and not_before > $1),
		    (select min(not_before) from operation where state in ('queued', 'stuck') and bulk and not_before > $1))`, after).Scan(&next)
	return next, wrap(err, "find next operation")
}

// Abandoned returns up to n operations whose lease has ended, by id, after the
// one given: the replica that ran them has died. The transaction must see all
// organizations.
func Abandoned(ctx context.Context, tx *postgres.Tx, now time.Time, after uuid.UUID, except []uuid.UUID, n int) ([]Job, error) {
	rows, err := tx.Query(ctx, `
		select user_id, app_id, organization_id, id, claim, tries, coalesce(look, plan), look is not null, integration_id, traceparent, tenant_id
		from operation where state = 'running' and lease_until < $1 and id > $2 and id <> all($3) order by id limit $4`,
		now, after, none(except), n)
	if err != nil {
		return nil, fmt.Errorf("find abandoned operations: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Job, error) {
		var j Job
		var plan []byte
		err := row.Scan(&j.User, &j.App, &j.Organization, &j.Operation, &j.Claim, &j.Tries, &plan, &j.Looks, &j.IntegrationID, &j.Traceparent, &j.Called)
		if err == nil {
			err = json.Unmarshal(plan, &j.Plan)
		}
		return j, err
	})
	return jobs, wrap(err, "find abandoned operations")
}

// Pause has an integration left alone until a time.
func Pause(b *pgx.Batch, integration uuid.UUID, until time.Time) {
	b.Queue(`update integration set paused_until = greatest(paused_until, $2) where id = $1`, integration, until)
}

// RetryStuck has the stuck operations of an integration tried again at once. It
// comes before anything else that locks rows, and in the order of Load.
func RetryStuck(ctx context.Context, tx *postgres.Tx, integration uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, `
		update operation set state = 'queued', tries = 0, not_before = $2
		where id = any(array(select id from operation where integration_id = $1 and state = 'stuck' order by account_id for update))`,
		integration, now)
	return wrap(err, "retry operations of integration %s", integration)
}

// KeysOfGrants returns the assignments of grants.
func KeysOfGrants(ctx context.Context, tx *postgres.Tx, ids map[uuid.UUID]struct{}) ([]Key, error) {
	return keysOf(ctx, tx, `select user_id, app_id from access_grant where id = any($1)`, ids)
}

// KeysOfAccounts returns the assignments of accounts.
func KeysOfAccounts(ctx context.Context, tx *postgres.Tx, ids map[uuid.UUID]struct{}) ([]Key, error) {
	return keysOf(ctx, tx, `select user_id, app_id from account where id = any($1)`, ids)
}

func keysOf(ctx context.Context, tx *postgres.Tx, sql string, ids map[uuid.UUID]struct{}) ([]Key, error) {
	rows, err := tx.Query(ctx, sql, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return nil, fmt.Errorf("find accounts: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Key])
	return keys, wrap(err, "find accounts")
}

// Debt returns how many grants have ended and are not known to be gone, and for
// how long the oldest of them. The transaction must see all organizations.
func Debt(ctx context.Context, tx *postgres.Tx, now time.Time) (n int64, oldest time.Duration, err error) {
	var seconds float64
	err = tx.QueryRow(ctx, `
		select count(*), coalesce(extract(epoch from $1::timestamptz - min(end_time)), 0)::float8
		from access_grant where end_time is not null and revoke_time is null`, now).Scan(&n, &seconds)
	return n, time.Duration(seconds * float64(time.Second)), wrap(err, "count what should be gone")
}

// Waiting returns how many operations that change something are queued, for how long the
// oldest of them has been there, and how many integrations wait because the app has asked for that. The
// transaction must see all organizations.
func Waiting(ctx context.Context, tx *postgres.Tx, now time.Time) (n int64, oldest time.Duration, throttled int64, err error) {
	var seconds float64
	err = tx.QueryRow(ctx, `
		select count(*), coalesce(extract(epoch from $1::timestamptz - min(create_time)), 0)::float8,
		    (select count(*) from integration where paused_until > $1)
		from operation where state = 'queued' and look is null`, now).Scan(&n, &seconds, &throttled)
	return n, time.Duration(seconds * float64(time.Second)), throttled, wrap(err, "count operations that wait")
}

func wrap(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(doing+": %w", append(args, err)...)
}
