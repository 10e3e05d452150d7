package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
)

// unhandled is why an event is parked that has no handler in this program: there is
// one in a newer program, which shares the consumer or did so once.
func unhandled(typ string) error {
	return fmt.Errorf("events of type %s are not handled by this version of the program; one that does replays it", typ)
}

// replayEvery is how often it is looked for parked events that are replayed without
// anybody's asking.
const replayEvery = 5 * time.Second

// replayWaiting replays, until ctx ends, what is parked and may be handled by now:
// what an older version of this program has parked because it does not handle it, and
// what lacked something that may have come with another parked event since.
func (c *Consumer) replayWaiting(ctx context.Context) {
	for {
		if err := c.replayOnce(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("Parked events are not replayed yet", "error", err)
		}
		if !backoff.Wait(ctx, c.replayEvery) {
			return
		}
	}
}

// replayOnce replays each of those events once. One that still fails stays parked, for
// the reason that it failed for, and is replayed again as often as an event that is
// delivered would be tried.
func (c *Consumer) replayOnce(ctx context.Context) error {
	types, causes := c.handledTypes()
	type parked struct{ Event, Organization uuid.UUID }
	var all []parked
	err := c.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
select p.event_id, p.organization_id from parked_event p
join unnest($1::text[], $2::text[]) as h (type, error) on p.type = h.type and (p.error = h.error or p.replays is not null)
order by p.stream_created, p.stream_sequence`, types, causes)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[parked])
		return err
	})
	if err != nil {
		return fmt.Errorf("look for parked events to replay: %w", err)
	}
	for _, p := range all {
		cause := c.Replay(ctx, p.Organization, p.Event)
		if ctx.Err() != nil {
			return nil
		}
		if cause == nil || databaseAway(cause) {
			continue
		}
		// Replay has logged it.
		if err := c.countReplay(ctx, p.Event, cause); err != nil {
			return fmt.Errorf("say why event %s stays parked: %w", p.Event, err)
		}
	}
	return nil
}

// countReplay counts a replay that nobody asked for and that failed.
func (c *Consumer) countReplay(ctx context.Context, event uuid.UUID, cause error) error {
	var f *failure
	if errors.As(cause, &f) {
		cause = f.err
	}
	notYet, limit := errors.Is(cause, ErrNotYet), c.cfg.MaxAttempts
	if notYet {
		limit = c.cfg.MaxNotYet
	}
	return c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
update parked_event set error = $2, attempts = attempts + 1, not_yet = $3,
    replays = case when coalesce(replays, 0) + 1 < $4 then coalesce(replays, 0) + 1 end
where event_id = $1`, event, describe(cause), notYet, limit)
		return err
	})
}

// mayHaveCome has the parked events of the organization that lacked something replayed
// again, as a parked event has taken effect.
const mayHaveCome = "update parked_event set replays = 0 where organization_id = $1 and not_yet and replays is distinct from 0"

// handledTypes are the types that this program handles, and beside each the error
// with which a program that does not handle it parks an event.
func (c *Consumer) handledTypes() (types, causes []string) {
	if c.cfg.Handlers.catchAll != nil || c.cfg.Handlers.batch != nil {
		for _, t := range event.Types() {
			types = append(types, string(t.Message))
		}
	} else {
		types = slices.DeleteFunc(c.cfg.Handlers.Types(), func(typ string) bool { return !c.cfg.Handlers.handles(typ) })
	}
	causes = make([]string, len(types))
	for i, typ := range types {
		causes[i] = describe(unhandled(typ))
	}
	return types, causes
}
