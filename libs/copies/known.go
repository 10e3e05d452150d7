package copies

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
)

const (
	// knownWithin is how long a command waits for what it needs to know, and settledAfter
	// how long what has just been said may take to get onto the bus.
	knownWithin  = 2 * time.Second
	settledAfter = time.Second
	// knownEvery and knownSeldom are the first and the longest pause between two looks.
	knownEvery  = 20 * time.Millisecond
	knownSeldom = 200 * time.Millisecond
)

// ReasonNotKnownYet is the reason of the error of [Await].
const ReasonNotKnownYet = "NOT_KNOWN_YET"

// IDs are ids of things, by kind.
type IDs map[Kinds][]uuid.UUID

// Missing are those of the ids that are not known here, in the order given.
// What is removed is known.
func Missing(ctx context.Context, tx *postgres.Tx, ids IDs) (IDs, error) {
	missing := IDs{}
	var q pgx.Batch
	for _, t := range tables {
		if len(ids[t.kind]) == 0 {
			continue
		}
		q.Queue(`
select n.id from unnest($1::uuid[]) with ordinality n (id, i)
where not exists (select from `+t.name+` c where c.id = n.id) order by n.i`, ids[t.kind]).Query(func(rows pgx.Rows) error {
			found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			if len(found) > 0 {
				missing[t.kind] = found
			}
			return err
		})
	}
	if q.Len() == 0 {
		return missing, nil
	}
	if err := tx.SendBatch(ctx, &q).Close(); err != nil {
		return nil, fmt.Errorf("look for what is known: %w", err)
	}
	return missing, nil
}

// Arrived says inbox.NotYet if one of the ids is not known here: for the handler
// of an event that stands on them.
func Arrived(ctx context.Context, tx *postgres.Tx, ids IDs) error {
	missing, err := Missing(ctx, tx, ids)
	if err != nil || len(missing) == 0 {
		return err
	}
	return inbox.NotYet("%s", missing)
}

// Await waits until all of the ids are known here, for two seconds at most, for
// a command that names them. Then, or if ctx ends before, it gives the error for
// the caller: UNAVAILABLE, reason NOT_KNOWN_YET, with a time to try again, and
// the ids by kind. Call it outside of transactions.
func Await(ctx context.Context, db *postgres.DB, organization uuid.UUID, ids IDs) error {
	missing, _, err := await(ctx, db, nil, organization, ids)
	if err == nil && len(missing) > 0 {
		err = NotKnownYet(missing)
	}
	return err
}

// await waits as [Progress.Await] does, and says what is missing then.
func await(ctx context.Context, db *postgres.DB, progress *Progress, organization uuid.UUID, ids IDs) (missing IDs, all bool, err error) {
	_, all, err = progress.await(ctx, func() (known bool, err error) {
		err = db.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
			missing, err = Missing(ctx, tx, ids)
			return err
		})
		return len(missing) == 0, err
	})
	return missing, all, err
}

// NotKnownYet is the error of what should be known, and is not yet.
func NotKnownYet(missing IDs) error {
	e := apierr.Unavailable(ReasonNotKnownYet, fmt.Errorf("not known yet: %s", missing))
	for _, t := range tables {
		if len(missing[t.kind]) > 0 {
			e = e.With(t.word+"_ids", missing.list(t))
		}
	}
	return e
}

// WhenKnown does something for a command that names the ids and, if it refuses one of
// them as unknown, by one of the reasons, does it again once all are known, for which it
// waits as [Progress.Await] does: whoever has just come can act and be acted for
// (B-USR-21). An id that is not known then stays refused, if all that was said until now
// has been handled; else the error is that of [Await]: to be tried again. Call it outside of
// transactions.
func WhenKnown(ctx context.Context, db *postgres.DB, progress *Progress, organization uuid.UUID, ids IDs, do func() error, reasons ...string) error {
	err := do()
	if !slices.ContainsFunc(reasons, func(r string) bool { return apierr.HasReason(err, r) }) {
		return err
	}
	missing, all, late := await(ctx, db, progress, organization, ids)
	switch {
	case late != nil:
		return late
	case len(missing) == 0:
		return do()
	case all || progress == nil:
		return err
	default:
		return NotKnownYet(missing)
	}
}

func (ids IDs) list(t *table) string {
	var out []string
	for _, id := range ids[t.kind] {
		out = append(out, id.String())
	}
	return strings.Join(slices.Compact(out), ",")
}

// String lists the ids.
func (ids IDs) String() string {
	var out []string
	for _, t := range tables {
		if len(ids[t.kind]) > 0 {
			out = append(out, t.word+" "+ids.list(t))
		}
	}
	return strings.Join(out, ", ")
}
