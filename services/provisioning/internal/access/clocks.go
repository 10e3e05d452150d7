package access

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

const (
	// looked is how many seats a clock looks up at once, and together how many
	// of them it locks in one transaction.
	looked   = 256
	together = 16
	// settledEvery is how often seats that were settled under older settings
	// of their app are sought without anybody having said so.
	settledEvery = 5
	// longest is how long the clock of end times sleeps, whatever it was told.
	longest = time.Minute
)

// RunEnds ends grants at their end times, and says before that they will end,
// until ctx ends. What became due while nobody ran comes first.
func (e *Engine) RunEnds(ctx context.Context) error {
	for ctx.Err() == nil {
		next, err := e.endDue(ctx)
		service.Report(ctx, err)
		if err != nil {
			if ctx.Err() == nil {
				e.log.Warn("Could not end grants", "error", err)
			}
			next = e.timing.Poll
		}
		if e.ends.sleep(ctx, next) != nil {
			break
		}
	}
	return nil
}

func (e *Engine) endDue(ctx context.Context) (time.Duration, error) {
	for {
		var due []store.Due
		var at time.Time
		var next time.Duration
		err := e.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			due, at, next, err = store.DueGrants(ctx, tx, looked)
			return err
		})
		switch {
		case err != nil:
			return 0, err
		case len(due) == 0 && next < 0:
			return longest, nil
		case len(due) == 0:
			return min(next+time.Millisecond, longest), nil
		}
		err = e.each(ctx, due, func(u *unit, s *store.Seat) {
			for _, g := range s.Grants {
				switch {
				case g.Due == nil || g.Due.After(at):
				case g.Until.After(at):
					g.Due = g.Until
					if g.State == lifecycle.InPlace {
						u.sayGrant(s, g, "expiring")
					}
				default:
					u.end(s, g, "expired", uuid.NullUUID{})
				}
			}
		})
		if err != nil {
			return 0, err
		}
	}
}

// RunSettings settles seats again whose app is handled in another way than
// before, until ctx ends.
func (e *Engine) RunSettings(ctx context.Context) error {
	for ctx.Err() == nil {
		var stale []store.Due
		err := e.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			stale, err = store.Unsettled(ctx, tx, looked)
			return err
		})
		if err == nil {
			err = e.each(ctx, stale, func(*unit, *store.Seat) {})
		}
		service.Report(ctx, err)
		if err != nil && ctx.Err() == nil {
			e.log.Warn("Could not settle seats", "error", err)
		}
		if err == nil && len(stale) > 0 {
			continue
		}
		if e.settings.sleep(ctx, settledEvery*e.timing.Poll) != nil {
			break
		}
	}
	return nil
}

// each changes seats and settles them, some at a time.
func (e *Engine) each(ctx context.Context, due []store.Due, change func(*unit, *store.Seat)) error {
	byOrganization := make(map[uuid.UUID][]store.Key)
	for _, d := range due {
		byOrganization[d.Organization] = append(byOrganization[d.Organization], d.Key)
	}
	for org, keys := range byOrganization {
		for len(keys) > 0 {
			n := min(len(keys), together)
			err := e.in(ctx, org, func(ctx context.Context, tx *postgres.Tx) error {
				u := e.begin(tx, org, system())
				if _, err := u.lock(ctx, store.Want{Keys: keys[:n]}); err != nil {
					return err
				}
				for _, s := range u.seats {
					change(u, s)
					u.settle(s)
				}
				return u.save(ctx)
			})
			if err != nil {
				return err
			}
			keys = keys[n:]
		}
	}
	return nil
}
