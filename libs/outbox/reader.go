package outbox

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// row is an event in the outbox.
type row struct {
	seq         int64
	id          uuid.UUID
	subject     string
	typ         string
	aggregateID uuid.UUID
	time        time.Time
	traceparent string
	bulk        bool
	data        []byte
}

// reader reads the outbox in the order of seq. It looks from a floor on, so
// that it does not pass the rows that are deleted already: while any session
// of the server holds an old snapshot, vacuum cannot take those away.
//
// A transaction may commit a row below others that have been read. It has its
// id before it takes its first seq (see insert). So once a transaction of the
// reader's own, with a later id than all that had taken a seq below high at
// that time, has ended, a snapshot tells of each of them whether it is open
// still. The floor may then rise to high; for each that is open the reader
// remembers where it stood, and goes back to there in the very snapshot that
// sees the transaction's end.
type reader struct {
	conn    *pgx.Conn
	timeout time.Duration // of one exchange
	floor   int64         // nothing below it waits, other than of open transactions
	high    int64         // above all that was read
	fence   struct {
		xid  uint64 // of the reader's own transaction; 0 for none
		high int64  // at that time
	}
	open map[uint64]int64 // transactions, and the floors they keep
}

const (
	remove = `
with gone as (delete from outbox where seq = any($1))
select pg_current_xact_id()::text::bigint`
	snapshot = `select pg_current_snapshot()::text`
	read     = `
select seq, id, subject, type, aggregate_id, event_time, traceparent, bulk, data
from outbox
where seq >= least($1, (
        select min(o.floor) from unnest($2::text[]::xid8[], $3::bigint[]) as o (xid, floor)
        where pg_visible_in_snapshot(o.xid, pg_current_snapshot())))
  and seq <> all($4)
order by seq limit $5`
)

// next deletes rows and reads what waits, without those that are acked, in one
// round trip and one transaction. more: there may be more than was read.
func (r *reader) next(ctx context.Context, durable, acked []int64) (rows []row, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var batch pgx.Batch
	fence := r.fence
	if len(durable) > 0 {
		batch.Queue(remove, durable).QueryRow(func(result pgx.Row) error {
			var xid uint64
			if err := result.Scan(&xid); err != nil || r.fence.xid != 0 {
				return err
			}
			r.fence.xid, r.fence.high = xid, r.high
			return nil
		})
	}
	var running []uint64
	if fence.xid != 0 || len(r.open) > 0 {
		batch.Queue(snapshot).QueryRow(func(result pgx.Row) (err error) {
			var text string
			if err := result.Scan(&text); err != nil {
				return err
			}
			running, err = parseSnapshot(text)
			return err
		})
	}
	lowest := r.floor
	xids, floors := make([]string, 0, len(r.open)), make([]int64, 0, len(r.open))
	for xid, floor := range r.open {
		xids, floors = append(xids, strconv.FormatUint(xid, 10)), append(floors, floor)
		lowest = min(lowest, floor)
	}
	acked = slices.DeleteFunc(acked, func(seq int64) bool { return seq < lowest })
	batch.Queue(read, r.floor, xids, floors, acked, turnEvents).Query(func(result pgx.Rows) (err error) {
		rows, more, err = collect(result)
		return err
	})
	if err := r.conn.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, false, fmt.Errorf("delete from and read the outbox: %w", err)
	}

	covered := int64(math.MaxInt64) // all below was read
	if len(rows) > 0 {
		end := rows[len(rows)-1].seq + 1
		r.high = max(r.high, end)
		if more {
			covered = end
		}
	}
	r.raise(fence.xid, running, covered)
	return rows, more, nil
}

// raise raises the floors after everything below covered was read, by a
// snapshot that is no older than the one that says which transactions run.
func (r *reader) raise(fence uint64, running []uint64, covered int64) {
	before := r.floor
	if fence != 0 {
		r.floor = max(r.floor, min(r.fence.high, covered))
	}
	for xid, floor := range r.open {
		switch {
		case slices.Contains(running, xid):
		case covered >= r.floor:
			delete(r.open, xid)
		default:
			r.open[xid] = max(floor, covered)
		}
	}
	if fence == 0 {
		return
	}
	for _, xid := range running {
		if _, known := r.open[xid]; !known && xid < fence && before < r.floor {
			if r.open == nil {
				r.open = map[uint64]int64{}
			}
			r.open[xid] = before
		}
	}
	if r.floor >= r.fence.high {
		r.fence.xid = 0
	}
}

// again has rows from seq on read again.
func (r *reader) again(seq int64) { r.floor = min(r.floor, seq) }

// collect reads the rows of one turn.
func collect(result pgx.Rows) (rows []row, more bool, err error) {
	defer result.Close()
	size := 0
	for result.Next() {
		var e row
		if err := result.Scan(&e.seq, &e.id, &e.subject, &e.typ, &e.aggregateID, &e.time, &e.traceparent, &e.bulk, &e.data); err != nil {
			return nil, false, err
		}
		if size += len(e.data); len(rows) > 0 && size > turnBytes {
			more = true
			break
		}
		rows = append(rows, e)
	}
	result.Close()
	return rows, more || len(rows) == turnEvents, result.Err()
}

// parseSnapshot is the ids of the transactions that run, of a pg_snapshot as
// text: xmin:xmax:id,id,…
func parseSnapshot(text string) (running []uint64, err error) {
	list := text[strings.LastIndexByte(text, ':')+1:]
	if list == "" {
		return nil, nil
	}
	for id := range strings.SplitSeq(list, ",") {
		xid, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read snapshot %q: %w", text, err)
		}
		running = append(running, xid)
	}
	return running, nil
}
