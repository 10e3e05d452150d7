package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
)

// keepPositions is the number of events at the end of the inbox that are kept
// whatever their age. A consumer that has to be made again starts that far back
// and not at the beginning, where the inbox has forgotten.
const keepPositions = 400_000

// In the order of ids, so that two replicas with overlapping batches wait for
// each other and do not deadlock.
const insertIDs = `
insert into inbox (event_id, stream_created, stream_sequence)
select e.id, e.created, e.sequence from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as e (id, created, sequence)
order by e.id, e.created desc, e.sequence desc
on conflict (event_id) do nothing
returning event_id`

// An event that was published again has another, higher place in the stream.
const moveIDs = `
update inbox i set stream_created = e.created, stream_sequence = e.sequence
from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as e (id, created, sequence)
where i.event_id = e.id and (i.stream_created, i.stream_sequence) < (e.created, e.sequence)`

const upsertPlace = `
insert into inbox as i (event_id, stream_created, stream_sequence) values ($1, $2, $3)
on conflict (event_id) do update set stream_created = excluded.stream_created, stream_sequence = excluded.stream_sequence
where (i.stream_created, i.stream_sequence) < (excluded.stream_created, excluded.stream_sequence)`

const forgetAttempts = `delete from inbox_attempt where event_id = any($1)`

// keys are the columns of the two statements above.
func keys(batch []*delivery) []any {
	ids := make(pgtype.FlatArray[pgtype.UUID], len(batch)) // not by way of their text
	created := make([]time.Time, len(batch))
	sequences := make([]int64, len(batch))
	for i, d := range batch {
		ids[i] = pgtype.UUID{Bytes: d.ID, Valid: true}
		created[i], sequences[i] = d.stream, int64(d.StreamSequence)
	}
	return []any{ids, created, sequences}
}

// record inserts the ids of the deliveries and says which were not there.
func record(ctx context.Context, tx *postgres.Tx, batch []*delivery) (fresh map[uuid.UUID]bool, err error) {
	fresh = make(map[uuid.UUID]bool, len(batch))
	collect := func(rows pgx.Rows) error {
		var id uuid.UUID
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			fresh[id] = true
			return nil
		})
		return err
	}
	var retried []uuid.UUID
	for _, d := range batch {
		if d.delivered > 1 {
			retried = append(retried, d.ID)
		}
	}
	if len(retried) == 0 {
		var rows pgx.Rows
		if rows, err = tx.Query(ctx, insertIDs, keys(batch)...); err == nil {
			err = collect(rows)
		}
	} else {
		var b pgx.Batch
		b.Queue(insertIDs, keys(batch)...).Query(collect)
		b.Queue(forgetAttempts, retried)
		err = tx.SendBatch(ctx, &b).Close()
	}
	if err != nil {
		return nil, fmt.Errorf("record events in the inbox: %w", err)
	}

	var again []*delivery
	for _, d := range batch {
		if !fresh[d.ID] && d.delivered <= 1 {
			again = append(again, d)
		}
	}
	if len(again) > 0 {
		if _, err := tx.Exec(ctx, moveIDs, keys(again)...); err != nil {
			return nil, fmt.Errorf("move events in the inbox: %w", err)
		}
	}
	return fresh, nil
}

// recordPlace records only the delivery that stands last in the stream, with the
// commit. All deliveries count as fresh.
func recordPlace(_ context.Context, tx *postgres.Tx, batch []*delivery) (fresh map[uuid.UUID]bool, err error) {
	fresh = make(map[uuid.UUID]bool, len(batch))
	last := batch[0]
	var retried []uuid.UUID
	for _, d := range batch {
		fresh[d.ID] = true
		if d.StreamSequence > last.StreamSequence {
			last = d
		}
		if d.delivered > 1 {
			retried = append(retried, d.ID)
		}
	}
	var b pgx.Batch
	b.Queue(upsertPlace, last.ID, last.stream, int64(last.StreamSequence))
	if len(retried) > 0 {
		b.Queue(forgetAttempts, retried)
	}
	tx.Later(&b)
	return fresh, nil
}

// count counts a failed attempt, and parks the event if it was the last.
func (c *Consumer) count(ctx context.Context, d *delivery, cause error) (attempts int, parked bool, err error) {
	var f *failure
	if errors.As(cause, &f) {
		cause = f.err
	}
	err = c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		attempts, parked = 0, false
		err := tx.QueryRow(ctx, `
insert into inbox_attempt as a (event_id, attempts, error) values ($1, 1, $2)
on conflict (event_id) do update set attempts = a.attempts + 1, error = excluded.error, tried_at = now()
returning attempts`, d.ID, describe(cause)).Scan(&attempts)
		if err != nil {
			return fmt.Errorf("count the attempt: %w", err)
		}
		if attempts < c.limit(d, cause) {
			tx.Relaxed()
			return nil
		}
		parked = true
		return park(ctx, tx, d, cause, attempts)
	})
	return attempts, parked, err
}

// park keeps the event for an operator. It goes into the inbox too, so that one
// delivered again does not take effect beside it.
func park(ctx context.Context, tx *postgres.Tx, d *delivery, cause error, attempts int) error {
	headers, err := json.Marshal(d.msg.Headers())
	if err != nil {
		return fmt.Errorf("park event: %w", err)
	}
	data := d.msg.Data()
	if data == nil {
		data = []byte{}
	}
	var b pgx.Batch
	b.Queue(`
with taken as (
    insert into inbox (event_id, stream_created, stream_sequence) values ($1, $9, $10)
    on conflict (event_id) do nothing
    returning event_id)
insert into parked_event (event_id, organization_id, type, subject, aggregate_id, event_time, headers, data,
    stream_created, stream_sequence, error, attempts, not_yet)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 from taken`,
		d.ID, d.OrganizationID, d.Type, d.Subject, d.AggregateID, d.Time, headers, data,
		d.stream, int64(d.StreamSequence), describe(cause), attempts, errors.Is(cause, ErrNotYet))
	b.Queue(forgetAttempts, []uuid.UUID{d.ID})
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("park event: %w", err)
	}
	return nil
}

// parkedCount is how many events are parked, for the metric.
func (c *Consumer) parkedCount(ctx context.Context) (n int64, err error) {
	err = c.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from parked_event").Scan(&n)
	})
	return n, err
}

// position is the highest place of the stream in the inbox; 0 for none.
func (c *Consumer) position(ctx context.Context, stream time.Time) (sequence uint64, err error) {
	err = c.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var n int64
		err := tx.QueryRow(ctx, "select coalesce(max(stream_sequence), 0) from inbox where stream_created = $1", stream).Scan(&n)
		sequence = uint64(max(n, 0))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read the position in the inbox: %w", err)
	}
	return sequence, nil
}

// pruneStep bounds one transaction of Prune.
const pruneStep = 10_000

// Prune forgets events that took effect longer than keep ago, and says how
// many; keep should be well over the time that a relay may be behind. The last
// ones of the stream, and those that are parked, are kept. Call it now and
// then, from any replica; it works in small transactions.
func (c *Consumer) Prune(ctx context.Context, keep time.Duration) (removed int64, err error) {
	for {
		var n int64
		err := c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			tx.Relaxed()
			tag, err := tx.Exec(ctx, `
delete from inbox where event_id in (
    select i.event_id from inbox i
    where i.handled_at < now() - $1::interval
      and (i.stream_created, i.stream_sequence) <= (
          select l.stream_created, l.stream_sequence - $2 from inbox l
          order by l.stream_created desc, l.stream_sequence desc limit 1)
      and not exists (select from parked_event p where p.event_id = i.event_id)
    limit $3)`, keep, int64(c.keepEnd), pruneStep)
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("prune the inbox: %w", err)
		}
		removed += n
		if n < pruneStep {
			break
		}
	}
	err = c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed()
		_, err := tx.Exec(ctx, "delete from inbox_attempt where tried_at < now() - $1::interval", keep)
		return err
	})
	if err != nil {
		return removed, fmt.Errorf("prune attempts: %w", err)
	}
	return removed, nil
}

// PruneEvery is a task: it prunes now and then again after every, until ctx
// ends. Failures are logged.
func (c *Consumer) PruneEvery(ctx context.Context, every, keep time.Duration) error {
	return service.Every(ctx, every, func(ctx context.Context) error {
		n, err := c.Prune(ctx, keep)
		switch {
		case err != nil && ctx.Err() == nil:
			c.log.Warn("Inbox not pruned", "error", err)
		case n > 0:
			c.log.Info("Inbox pruned", "events", n)
		}
		return err
	})
}
