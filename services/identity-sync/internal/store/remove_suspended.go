package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
)

const (
	selectRemovalTime = `
select coalesce(u.suspend_time, u.update_time) + o.remove_suspended_after_days * interval '24 hours'
from users u join organization o on o.id = u.organization_id where u.id = $1`
	lockRemovalTime = selectRemovalTime + ` for key share of o`
	// What due.Queue.Add would write, for all who are suspended without reading them.
	enqueueRemovals = `
insert into due as d (kind, key, organization_id, due_time, try_time, attempts, error)
select $2, u.id, u.organization_id, r.at, greatest(r.at, $4), 0, ''
from users u cross join lateral (select coalesce(u.suspend_time, u.update_time) + $3 * interval '24 hours' as at) r where u.organization_id = $1 and u.state = 'suspended' order by u.id
on conflict (kind, key) do update set due_time = excluded.due_time, try_time = excluded.try_time, attempts = 0, claim = null, error = ''`
	dequeueRemovals = `
delete from due where kind = $2 and organization_id = $1`
	// Those whose item is done and who stay for their role are not missing.
	enqueueMissingRemovals = `
insert into due (kind, key, organization_id, due_time, try_time, attempts, error)
select $1, u.id, u.organization_id, r.at, greatest(r.at, $2), 0, ''
from organization o
join users u on u.organization_id = o.id and u.state = 'suspended' and u.role in ('member', 'external')
cross join lateral (select coalesce(u.suspend_time, u.update_time) + o.remove_suspended_after_days * interval '24 hours' as at) r
where o.remove_suspended_after_days is not null and not exists (select from due d where d.kind = $1 and d.key = u.id)
order by u.organization_id, u.id limit $3
on conflict (kind, key) do nothing`
)

// RemovalTime is when a suspended user is to be removed; nil for never.
func RemovalTime(ctx context.Context, tx *postgres.Tx, user uuid.UUID) (at *time.Time, err error) {
	return at, found(tx.QueryRow(ctx, selectRemovalTime, user).Scan(&at), "read time of removal")
}

// LockRemovalTime is RemovalTime, and keeps the organization's setting as it is until
// the end of tx.
func LockRemovalTime(ctx context.Context, tx *postgres.Tx, user uuid.UUID) (at *time.Time, err error) {
	return at, found(tx.QueryRow(ctx, lockRemovalTime, user).Scan(&at), "read time of removal")
}

// RescheduleRemovals has all who are suspended removed as a locked organization now
// says: a due item of the kind for each, or none.
func RescheduleRemovals(ctx context.Context, tx *postgres.Tx, o Organization, kind string, now time.Time) (err error) {
	if o.RemoveSuspendedAfterDays == 0 {
		_, err = tx.Exec(ctx, dequeueRemovals, o.ID, kind)
	} else {
		_, err = tx.Exec(ctx, enqueueRemovals, o.ID, kind, o.RemoveSuspendedAfterDays, now)
	}
	if err != nil {
		return fmt.Errorf("reschedule removals: %w", err)
	}
	return nil
}

// FindRemovals has those removed who are suspended and have no due item of the kind,
// as a replica suspended them that did not know of it, up to so many. It says how many
// there were.
func FindRemovals(ctx context.Context, tx *postgres.Tx, kind string, now time.Time, most int) (int, error) {
	tag, err := tx.Exec(ctx, enqueueMissingRemovals, kind, now, most)
	if err != nil {
		return 0, fmt.Errorf("look for removals that are not due: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
