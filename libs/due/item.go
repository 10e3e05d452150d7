package due

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Schema is the table of this package. Give it to postgres.Migrate before the
// service's own.
func Schema() postgres.Set { return postgres.Set{Table: "goose_due", FS: files} }

// Item is something that is to happen at or after a time.
type Item struct {
	// Kind names the handler.
	Kind string
	// Key is what it is about, such as the id of a grant.
	Key uuid.UUID
	// OrganizationID is whose it is.
	OrganizationID uuid.UUID
	// Time is when it is due.
	Time time.Time
	// Attempts is how often it has failed; handlers see it, adding ignores it.
	Attempts int
}

const insertItems = `
insert into due as d (kind, key, organization_id, due_time, try_time, attempts, error)
select n.kind, n.key, n.organization_id, n.due_time, greatest(n.due_time, $5), 0, ''
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[]) as n (kind, key, organization_id, due_time)
order by n.kind, n.key
on conflict (kind, key) do update set due_time = excluded.due_time, try_time = excluded.try_time, attempts = 0, claim = null, error = ''
where d.organization_id = excluded.organization_id`

const deleteItems = `delete from due where kind = $1 and key = any($2)`

// Add adds items to the transaction by one statement that goes with the commit.
// An item of the same kind and key that is there already is replaced.
func (q *Queue) Add(tx *postgres.Tx, items ...Item) error {
	var b pgx.Batch
	if err := q.Queue(tx, &b, items...); err != nil {
		return err
	}
	tx.Later(&b)
	return nil
}

// Queue is Add by way of a batch that the caller sends in tx.
func (q *Queue) Queue(tx *postgres.Tx, b *pgx.Batch, items ...Item) error {
	if len(items) == 0 {
		return nil
	}
	for _, i := range items {
		if q.handlers[i.Kind] == nil {
			return fmt.Errorf("add due item: nothing handles %q", i.Kind)
		}
		if i.Key == uuid.Nil || i.OrganizationID == uuid.Nil || i.Time.IsZero() {
			return fmt.Errorf("add due item %q: key, organization and time are required", i.Kind)
		}
	}
	// A statement may touch a row once: of several for one key the last counts.
	type key struct {
		kind string
		key  uuid.UUID
	}
	last := make(map[key]int, len(items))
	for n, i := range items {
		last[key{i.Kind, i.Key}] = n
	}
	rows := slices.Collect(func(yield func(Item) bool) {
		for n, i := range items {
			if last[key{i.Kind, i.Key}] == n && !yield(i) {
				return
			}
		}
	})
	b.Queue(insertItems,
		postgres.Column(rows, func(i Item) string { return i.Kind }),
		postgres.Column(rows, func(i Item) uuid.UUID { return i.Key }),
		postgres.Column(rows, func(i Item) uuid.UUID { return i.OrganizationID }),
		postgres.Column(rows, func(i Item) time.Time { return i.Time }),
		q.cfg.Clock.Now())
	tx.AfterCommit(q.Wake)
	return nil
}

// Remove takes items back by one statement that goes with the commit. Those that
// are not there are no error.
func (q *Queue) Remove(tx *postgres.Tx, kind string, keys ...uuid.UUID) {
	if len(keys) == 0 {
		return
	}
	var b pgx.Batch
	b.Queue(deleteItems, kind, keys)
	tx.Later(&b)
}

// Late is an item that should have happened and has not.
type Late struct {
	Kind     string
	Key      uuid.UUID
	Time     time.Time
	Attempts int
	// Error is what the last attempt failed with; empty if there was none.
	Error string
}

// Late lists items of an organization that are late, or have failed, oldest
// first, at most limit.
func (q *Queue) Late(ctx context.Context, organization uuid.UUID, limit int) (late []Late, err error) {
	err = q.cfg.DB.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
select kind, key, due_time, attempts, error from due
where organization_id = $1 and (due_time < $2 or attempts > 0) order by due_time, kind, key limit $3`,
			organization, q.cfg.Clock.Now().Add(-q.cfg.LateAfter), limit)
		if err != nil {
			return err
		}
		late, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Late])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list late items: %w", err)
	}
	return late, nil
}
