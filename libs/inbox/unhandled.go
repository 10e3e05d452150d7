package inbox

import (
	"context"
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

// replayEvery is how often it is looked for events that another version of this
// program has parked because it does not handle them.
const replayEvery = 30 * time.Second

// replayUnhandled replays what another version of this program, older than this one,
// has parked because it does not handle it, until ctx ends.
func (c *Consumer) replayUnhandled(ctx context.Context) {
	for {
		if err := c.replayHandled(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("Events that an older version parked are not replayed yet", "error", err)
		}
		if !backoff.Wait(ctx, c.replayEvery) {
			return
		}
	}
}

// replayHandled replays the parked events that nothing but the version of the program
// kept from being handled. One that still fails stays parked, for the reason that it
// fails for now.
func (c *Consumer) replayHandled(ctx context.Context) error {
	types, causes := c.handledTypes()
	type parked struct{ Event, Organization uuid.UUID }
	var all []parked
	err := c.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `
select p.event_id, p.organization_id from parked_event p
join unnest($1::text[], $2::text[]) as h (type, error) on p.type = h.type and p.error = h.error
order by p.stream_created, p.stream_sequence`, types, causes)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[parked])
		return err
	})
	if err != nil {
		return fmt.Errorf("look for events parked by an older version: %w", err)
	}
	for _, p := range all {
		if ctx.Err() != nil {
			return nil
		}
		cause := c.Replay(ctx, p.Organization, p.Event)
		if cause == nil || databaseAway(cause) {
			continue
		}
		// Replay has logged it.
		err := c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, "update parked_event set error = $2, attempts = attempts + 1 where event_id = $1", p.Event, describe(cause))
			return err
		})
		if err != nil {
			return fmt.Errorf("say why event %s stays parked: %w", p.Event, err)
		}
	}
	return nil
}

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
