package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// MaxMeasured is how many of each kind are measured at most: the last ones.
const MaxMeasured = 10_000

// What Gatehouse did by itself has the service as its actor. After a failure it waits for a
// person, and does again what they have mended.
const (
	pendingWaits = `
with submitted as (
	select e.event_time, e.request_ids[1] as request_id from audit_entry e
	where e.organization_id = $1 and e.aggregate = 'request' and e.event_time >= $2 and e.event_time < $3 and e.name = 'submitted'
	order by e.event_time desc limit $4)
select a.at - s.event_time from submitted s cross join lateral (
	select min(e.event_time) as at from audit_entry_request r join audit_entry e on e.position = r.position
	where r.request_id = s.request_id and r.organization_id = $1 and e.organization_id = $1 and e.aggregate = 'approval') a
where a.at is not null`
	accessWaits = `
with activated as (
	select e.event_time, e.request_ids, e.user_id, e.app_id from audit_entry e
	where e.organization_id = $1 and e.aggregate = 'grant' and e.event_time >= $2 and e.event_time < $3
		and e.name = 'activated' and e.actor_id = 'provisioning'
	order by e.event_time desc limit $4)
select g.event_time - a.at from activated g cross join lateral (
	select max(e.event_time) filter (where e.aggregate = 'approval' and e.name = 'granted') as at,
		bool_or(e.aggregate = 'grant' and e.name in ('held', 'reopened', 'failed') and e.user_id = g.user_id and e.app_id = g.app_id) as again
	from audit_entry_request r join audit_entry e on e.position = r.position
	where r.request_id = any(g.request_ids) and r.organization_id = $1 and e.organization_id = $1 and e.event_time <= g.event_time) a
where a.at is not null and not a.again`
	removals = `
with ended as (
	select e.event_time, e.request_ids, e.user_id, e.app_id, e.data from audit_entry e
	where e.organization_id = $1 and e.aggregate = 'grant' and e.event_time >= $2 and e.event_time < $3
		and e.name = 'ended' and e.actor_id = 'provisioning'
	order by e.event_time desc limit $4)
select d.data, g.at from ended d cross join lateral (
	select min(e.event_time) filter (where e.name = 'revoked' and e.actor_id = 'provisioning') as at,
		min(e.event_time) filter (where e.name = 'failed') as failed
	from audit_entry_request r join audit_entry e on e.position = r.position
	where r.request_id = any(d.request_ids) and r.organization_id = $1 and e.organization_id = $1 and e.event_time >= d.event_time
		and e.aggregate = 'grant' and e.name in ('revoked', 'failed') and e.user_id = d.user_id and e.app_id = d.app_id) g
where g.at is not null and (g.failed is null or g.failed > g.at)`
	// Denied calls that are alike are gathered for a minute before they are told.
	auditWaits = `
select e.record_time - e.event_time from audit_entry e
where e.organization_id = $1 and e.event_time >= $2 and e.event_time < $3 and e.aggregate <> 'call'
order by e.event_time desc limit $4`
)

// Waits are how long was waited, from what to what their names say, for what happened
// from since to before.
type Waits struct {
	Pending, Access, Audit []time.Duration
	Removals               []Removal
}

// Removal is an end that Gatehouse took care of by itself: the event that said so, and when
// the access was gone.
type Removal struct {
	Data []byte
	Gone time.Time
}

// ReadWaits reads how long was waited in an organization.
func ReadWaits(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, since, before time.Time) (w Waits, err error) {
	for _, q := range []struct {
		sql string
		to  *[]time.Duration
	}{{pendingWaits, &w.Pending}, {accessWaits, &w.Access}, {auditWaits, &w.Audit}} {
		rows, err := tx.Query(ctx, q.sql, organization, since, before, MaxMeasured)
		if err == nil {
			*q.to, err = pgx.CollectRows(rows, pgx.RowTo[time.Duration])
		}
		if err != nil {
			return w, fmt.Errorf("measure waits: %w", err)
		}
	}
	rows, err := tx.Query(ctx, removals, organization, since, before, MaxMeasured)
	if err == nil {
		w.Removals, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Removal])
	}
	if err != nil {
		return w, fmt.Errorf("measure removals: %w", err)
	}
	return w, nil
}
