package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// Job is an operation that was claimed, with all that its calls need.
type Job struct {
	Key
	Organization uuid.UUID
	Operation    uuid.UUID
	Claim        uuid.UUID
	// Claimed is when its lease began, or shortly before.
	Claimed       time.Time
	Tries         int
	Plan          []Step
	Person        Person
	Disable       bool
	ExternalID    string
	IntegrationID uuid.UUID
	// IntegrationVersion is 0 if there is no such integration.
	IntegrationVersion int64
}

// Claim takes up to n operations that are due when the transaction begins, for
// as long as lease. busy are integrations that are not to be given more. The
// transaction must see all organizations.
func Claim(ctx context.Context, tx *postgres.Tx, n int, lease time.Duration, busy []uuid.UUID) ([]Job, error) {
	if busy == nil {
		busy = []uuid.UUID{}
	}
	claimed := time.Now()
	// Every table is reached by key, whatever the planner believes of tables
	// that were empty when it made its plan.
	rows, err := tx.Query(ctx, `
		with due as materialized (
		    select o.id from operation o
		    where o.state in ('queued', 'stuck') and o.not_before <= now() and o.integration_id <> all($3)
		      and not exists (select from integration i where i.id = o.integration_id and i.paused_until > now())
		    order by o.not_before limit $1
		    for update of o skip locked),
		claimed as (
		    update operation o
		    set state = 'running', claim = gen_random_uuid(), lease_until = statement_timestamp() + make_interval(secs => $2), tries = o.tries + 1
		    where o.id = any(array(select id from due))
		    returning o.account_id, o.user_id, o.app_id, o.organization_id, o.id, o.claim, o.tries, o.plan, o.integration_id)
		select o.user_id, o.app_id, o.organization_id, o.id, o.claim, o.tries, o.plan,
		    u.id, u.user_name, u.display_name, u.given_name, u.family_name, u.email, u.title, u.department, p.disable, a.external_id,
		    o.integration_id, coalesce((select i.version from integration i where i.id = o.integration_id limit 1), 0)
		from claimed o,
		    lateral (select u.* from user_copy u where u.id = o.user_id limit 1) u,
		    lateral (select p.disable from app_copy p where p.id = o.app_id limit 1) p,
		    lateral (select a.external_id from account a where a.id = o.account_id limit 1) a`,
		n, lease.Seconds(), busy)
	if err != nil {
		return nil, fmt.Errorf("claim operations: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Job, error) {
		j := Job{Claimed: claimed}
		var plan []byte
		u := &j.Person
		err := row.Scan(&j.User, &j.App, &j.Organization, &j.Operation, &j.Claim, &j.Tries, &plan,
			&u.ID, &u.UserName, &u.DisplayName, &u.GivenName, &u.FamilyName, &u.Email, &u.Title, &u.Department, &j.Disable, &j.ExternalID,
			&j.IntegrationID, &j.IntegrationVersion)
		if err == nil {
			err = json.Unmarshal(plan, &j.Plan)
		}
		return j, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim operations: %w", err)
	}
	return jobs, nil
}

// NextOperation says in how long the next operation is due that is not due yet
// when the transaction begins; ok is false if none waits for a time.
func NextOperation(ctx context.Context, tx *postgres.Tx) (in time.Duration, ok bool, err error) {
	var seconds *float64
	err = tx.QueryRow(ctx, `
		select extract(epoch from min(not_before) - clock_timestamp())::float8
		from operation where state in ('queued', 'stuck') and not_before > now() and not_before < 'infinity'`).Scan(&seconds)
	if err != nil || seconds == nil {
		return 0, false, wrap(err, "find next operation")
	}
	return time.Duration(*seconds * float64(time.Second)), true, nil
}

// Abandoned returns operations whose lease has ended: whoever ran them has
// died. The transaction must see all organizations.
func Abandoned(ctx context.Context, tx *postgres.Tx, n int) ([]Job, error) {
	rows, err := tx.Query(ctx, `
		select user_id, app_id, organization_id, id, claim, tries, plan, integration_id
		from operation where state = 'running' and lease_until < statement_timestamp() order by lease_until limit $1`, n)
	if err != nil {
		return nil, fmt.Errorf("find abandoned operations: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Job, error) {
		var j Job
		var plan []byte
		err := row.Scan(&j.User, &j.App, &j.Organization, &j.Operation, &j.Claim, &j.Tries, &plan, &j.IntegrationID)
		if err == nil {
			err = json.Unmarshal(plan, &j.Plan)
		}
		return j, err
	})
	return jobs, wrap(err, "find abandoned operations")
}

// Pause has an integration left alone for a time.
func Pause(b *pgx.Batch, integration uuid.UUID, d time.Duration) {
	b.Queue(`
		update integration set paused_until = greatest(paused_until, statement_timestamp() + make_interval(secs => $2)) where id = $1`,
		integration, d.Seconds())
}

// RetryStuck has the stuck operations of an integration tried again at once. It
// comes before anything else that locks rows, and in the order of Lock.
func RetryStuck(ctx context.Context, tx *postgres.Tx, integration uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		update operation set state = 'queued', tries = 0, not_before = statement_timestamp()
		where id = any(array(select id from operation where integration_id = $1 and state = 'stuck' order by account_id for update))`, integration)
	return wrap(err, "retry operations of integration %s", integration)
}

// Due is a seat that needs to be looked at.
type Due struct {
	Organization uuid.UUID
	Key
}

func collectDue(rows pgx.Rows, err error, doing string) ([]Due, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Due, err error) {
		return d, row.Scan(&d.Organization, &d.User, &d.App)
	})
	return due, wrap(err, "%s", doing)
}

// DueGrants returns up to n seats with a grant whose time has come, the time
// by which that is so, and, if there are none, in how long there will be one;
// next is negative if never. The transaction must see all organizations.
func DueGrants(ctx context.Context, tx *postgres.Tx, n int) (due []Due, at time.Time, next time.Duration, err error) {
	next = -1
	b := &pgx.Batch{}
	b.Queue(`select statement_timestamp(), extract(epoch from min(due_time) - statement_timestamp())::float8 from access_grant where due_time is not null`).
		QueryRow(func(row pgx.Row) error {
			var seconds *float64
			err := row.Scan(&at, &seconds)
			if seconds != nil {
				next = max(0, time.Duration(*seconds*float64(time.Second)))
			}
			return err
		})
	b.Queue(`
		select distinct organization_id, user_id, app_id from (
		    select organization_id, user_id, app_id from access_grant
		    where due_time <= statement_timestamp() order by due_time limit $1) d`, n).
		Query(func(rows pgx.Rows) (err error) { due, err = collectDue(rows, nil, "find due grants"); return err })
	// Both saw the time of their own statement: take the later one.
	b.Queue(`select statement_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&at) })
	return due, at, next, wrap(tx.SendBatch(ctx, b).Close(), "find due grants")
}

// Unsettled returns up to n seats that were last settled under older settings
// of their app. The transaction must see all organizations.
func Unsettled(ctx context.Context, tx *postgres.Tx, n int) ([]Due, error) {
	rows, err := tx.Query(ctx, `
		select a.organization_id, a.user_id, a.app_id
		from app_copy p, lateral (
		    select a.organization_id, a.user_id, a.app_id from account a
		    where a.app_id = p.id and a.app_version < p.settled_version order by a.app_version limit $1) a
		limit $1`, n)
	return collectDue(rows, err, "find seats to settle")
}

// Debt returns how many grants have ended and are not known to be gone, and for
// how long the oldest of them. The transaction must see all organizations.
func Debt(ctx context.Context, tx *postgres.Tx) (n int64, oldest time.Duration, err error) {
	var seconds float64
	err = tx.QueryRow(ctx, `
		select count(*), coalesce(extract(epoch from statement_timestamp() - min(end_time)), 0)::float8
		from access_grant where end_time is not null and revoke_time is null`).Scan(&n, &seconds)
	return n, time.Duration(seconds * float64(time.Second)), wrap(err, "count what should be gone")
}

func wrap(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(doing+": %w", append(args, err)...)
}
