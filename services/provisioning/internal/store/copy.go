package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// appMode is the lifecycle.Mode of an app p: one whose way was never chosen, or
// that is automatic without an integration, is manual.
const appMode = `case when p.provisioning = 'none' then 'none' when p.provisioning = 'automatic' and p.integration_id is not null then 'automatic' else 'manual' end`

// personColumns are what is known of a user u.
const personColumns = `u.id, u.user_name, u.display_name, u.given_name, u.family_name, u.email, u.title, u.department`

// enqueueAccounts adds due items for accounts without reading them: an app may
// have very many. It writes what due.Queue.Add would.
const enqueueAccounts = `
	insert into due as d (kind, key, organization_id, due_time, try_time, attempts, error)
	select $1, a.id, a.organization_id, $2, $2, 0, '' from account a where %s order by a.id
	on conflict (kind, key) do update set due_time = excluded.due_time, try_time = excluded.try_time, attempts = 0, claim = null, error = ''`

var (
	enqueueAccountsOfUsers = fmt.Sprintf(enqueueAccounts, `a.user_id = any($3)`)
	enqueueAccountsOfApps  = fmt.Sprintf(enqueueAccounts, `a.app_id = any($3)`)
	enqueueHolders         = fmt.Sprintf(enqueueAccounts,
		`a.id in (select g.account_id from access_grant g where g.app_id = any($3) and g.entitlement_id = any($4) and g.revoke_time is null)`)
	enqueueLateAccounts = fmt.Sprintf(enqueueAccounts,
		`a.app_id = any($3) and (exists (select from app_copy p where p.id = a.app_id and a.app_version < p.version)
		    or exists (select from access_grant g join entitlement_copy e on e.id = g.entitlement_id
		        where g.account_id = a.id and g.revoke_time is null and g.end_time is null and e.removed))`)
)

// ReconcileUsers adds a due item of the kind for every account of users.
func ReconcileUsers(ctx context.Context, tx *postgres.Tx, kind string, users []uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, enqueueAccountsOfUsers, kind, now, users)
	return wrap(err, "enqueue accounts of users")
}

// enqueueProfiles is enqueueAccounts for accounts of automatic apps that are there, or may
// be, with another profile than their person's, and for those whose operation may be
// about a profile.
var enqueueProfiles = fmt.Sprintf(enqueueAccounts, `a.id in (
	select a.id from unnest($3::uuid[], $4::text[]) as v (user_id, profile)
	    join account a on a.user_id = v.user_id and (a.state <> 'absent' or a.account_in_doubt)
	    join app_copy p on p.id = a.app_id
	where `+appMode+` = 'automatic'
	  and (a.profile <> v.profile or exists (select from operation o where o.account_id = a.id and o.state in ('queued', 'stuck'))))`)

// ReconcileProfiles adds a due item of the kind for the accounts of users that are to be
// given a profile: for each user, by its fingerprint, the one that they have now.
func ReconcileProfiles(ctx context.Context, tx *postgres.Tx, kind string, users []uuid.UUID, profiles []string, now time.Time) error {
	_, err := tx.Exec(ctx, enqueueProfiles, kind, now, users, profiles)
	return wrap(err, "enqueue accounts of users with other profiles")
}

// enqueueManaged is enqueueAccounts for the accounts of users that are there, or may be, in
// automatic apps.
var enqueueManaged = fmt.Sprintf(enqueueAccounts, `a.user_id = any($3) and (a.state <> 'absent' or a.account_in_doubt)
	and exists (select from app_copy p where p.id = a.app_id and `+appMode+` = 'automatic')`)

// ReconcileManaged adds a due item of the kind for the accounts of users whose manager has
// changed.
func ReconcileManaged(ctx context.Context, tx *postgres.Tx, kind string, users []uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, enqueueManaged, kind, now, users)
	return wrap(err, "enqueue accounts of users with other managers")
}

// reported is true of an account a whose person somebody reports to.
const reported = `exists (select from user_copy r where r.manager_id = a.user_id)`

var (
	enqueueManagers        = fmt.Sprintf(enqueueAccounts, `a.id = any($3) and `+reported)
	enqueueManagersOfUsers = fmt.Sprintf(enqueueAccounts, `a.user_id = any($3) and `+reported)
	// Also accounts that are being made: who makes them may have read the manager's before.
	enqueueReports = fmt.Sprintf(enqueueAccounts, `a.id in (
		select r.id from account m
		    join app_copy p on p.id = m.app_id and `+appMode+` = 'automatic'
		    join user_copy u on u.manager_id = m.user_id
		    join account r on r.user_id = u.id and r.app_id = m.app_id
		where m.id = any($3) and (r.state <> 'absent' or r.account_in_doubt
		    or exists (select from operation o where o.account_id = r.id and o.state in ('queued', 'running', 'stuck'))))`)
)

// AwaitReports queues a due item of the kind for each of the accounts whose person
// somebody reports to. done is called with how many they are.
func AwaitReports(b *pgx.Batch, kind string, accounts []uuid.UUID, now time.Time, done func(int64)) {
	b.Queue(enqueueManagers, kind, now, accounts).Exec(func(tag pgconnTag) error { done(tag.RowsAffected()); return nil })
}

// AwaitReportsOfUsers adds a due item of the kind for every account of users whom somebody
// reports to.
func AwaitReportsOfUsers(ctx context.Context, tx *postgres.Tx, kind string, users []uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, enqueueManagersOfUsers, kind, now, users)
	return wrap(err, "enqueue accounts of managers")
}

// ReconcileReports adds a due item of the kind for the accounts of those who report to the
// persons of accounts, each in the same app.
func ReconcileReports(ctx context.Context, tx *postgres.Tx, kind string, managers []uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, enqueueReports, kind, now, managers)
	return wrap(err, "enqueue accounts of those who report to somebody")
}

// ReconcileApps adds a due item of the kind for every account of apps.
func ReconcileApps(ctx context.Context, tx *postgres.Tx, kind string, apps []uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, enqueueAccountsOfApps, kind, now, apps)
	return wrap(err, "enqueue accounts of apps")
}

// ReconcileHolders adds a due item of the kind for every account that has a grant of
// one of the entitlements, which are of the apps.
func ReconcileHolders(ctx context.Context, tx *postgres.Tx, kind string, apps, entitlements []uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, enqueueHolders, kind, now, apps, entitlements)
	return wrap(err, "enqueue accounts of entitlements")
}

// ReconcileLate is ReconcileApps for the accounts that were last reconciled under
// an older version of their app, or that have a grant of something that was deleted,
// and returns how many they are.
func ReconcileLate(ctx context.Context, tx *postgres.Tx, kind string, apps []uuid.UUID, now time.Time) (int64, error) {
	tag, err := tx.Exec(ctx, enqueueLateAccounts, kind, now, apps)
	return tag.RowsAffected(), wrap(err, "enqueue accounts of apps")
}
