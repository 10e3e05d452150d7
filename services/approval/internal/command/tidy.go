package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
	"gatehouse.dev/services/approval/internal/wire"
)

// Tidier does what follows from changed facts and is too much for the
// transaction that changed them: it replaces reviewers who have gone, finds
// some for steps that nobody could decide, and matches new join-flows with
// everybody. It looks at how things are, not at what happened, so it may be
// woken too often, killed at any point, and run by every replica at once.
type Tidier struct {
	wake chan struct{}
}

// NewTidier makes one. It does nothing until Desk.Tidy.
func NewTidier() *Tidier { return &Tidier{wake: make(chan struct{}, 1)} }

// Wake has it look soon. It does not block.
func (t *Tidier) Wake() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

const (
	troubledAtOnce = 100
	peopleAtOnce   = 500
)

// Tidy looks whenever it is woken, and every so often besides: for what another
// replica was woken for and did not live to do, and for what two transactions
// did that could not see each other. It returns nil when ctx ends.
func (d *Desk) Tidy(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := errors.Join(d.matchFlows(ctx), d.mendApprovals(ctx))
		service.Report(ctx, err)
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("Tidying failed, it will be tried again", "error", err)
		}
		select {
		case <-d.Tidier.wake:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// mendApprovals looks at every approval in trouble, each in a transaction of
// its own.
func (d *Desk) mendApprovals(ctx context.Context) error {
	var after string
	var errs []error
	for {
		var found []store.Troubled
		err := d.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			found, err = d.Store.Troubled(ctx, tx, after, troubledAtOnce)
			return err
		})
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, t := range found {
			after = t.RequestID
			err := d.DB.InOrganization(ctx, t.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
				return d.mend(ctx, tx, t.RequestID)
			})
			if err != nil {
				errs = append(errs, fmt.Errorf("mend approval of request %s: %w", t.RequestID, err))
			}
		}
		if len(found) < troubledAtOnce || ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
}

// mend takes the tasks of those who cannot decide, and asks others where nobody
// is left.
func (d *Desk) mend(ctx context.Context, tx *postgres.Tx, requestID string) error {
	rec, err := d.Store.Load(ctx, tx, requestID)
	if err != nil || rec == nil || rec.State != lifecycle.Open {
		return err
	}
	var reviewers []string
	for _, t := range rec.Tasks {
		if t.State == lifecycle.TaskOpen {
			reviewers = append(reviewers, t.Reviewer.ID)
		}
	}
	if err := d.Store.LoadPeople(ctx, tx, rec.People, store.Wanted{UserIDs: reviewers}); err != nil {
		return err
	}
	a := d.draft(rec)
	story := a.story
	left := rec.Leave(func(id string) bool {
		u, known := rec.People.Users[id]
		return !known || u.CanDecide // who is not known here has not gone
	}, story.Time)
	var vacant []*opening
	for _, s := range rec.Vacancies() {
		vacant = append(vacant, &opening{draft: a, step: s})
	}
	if err := d.resolve(ctx, tx, vacant); err != nil {
		return err
	}
	for _, o := range vacant {
		s := o.step
		given, err := rec.Fill(s, o.found, newID, story.Time)
		if err != nil {
			return err
		}
		replaced := false
		for _, l := range left {
			if l.Step != s {
				continue
			}
			replaced = true
			reason := l.Task.Reviewer.Name + " cannot decide any more"
			if len(given) == 0 {
				story.Reassigned(wire.System(), s, l.Task, nil, reason+", and nobody else can at present")
				continue
			}
			l.Hand()
			for _, t := range given {
				story.Reassigned(wire.System(), s, l.Task, t, reason)
			}
		}
		if !replaced && len(given) > 0 {
			story.Requested(s, given)
		}
	}
	for _, l := range left {
		if others := rec.OpenTasks(l.Step); l.Task.State == lifecycle.TaskDropped && len(others) > 0 {
			// Nobody new is asked: it is left to one who was asked already.
			story.Reassigned(wire.System(), l.Step, l.Task, others[0],
				l.Task.Reviewer.Name+" cannot decide any more; who else was asked still can")
		}
	}
	if len(story.Events) == 0 {
		return nil
	}
	return d.save(ctx, tx, a)
}

// matchFlows matches every join-flow that is new, or has a new version, with
// everybody.
func (d *Desk) matchFlows(ctx context.Context) error {
	var flows []store.UnmatchedFlow
	err := d.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		flows, err = d.Store.UnmatchedFlows(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range flows {
		if err := d.matchFlow(ctx, f); err != nil {
			errs = append(errs, fmt.Errorf("match flow %s: %w", f.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Desk) matchFlow(ctx context.Context, f store.UnmatchedFlow) error {
	// Whoever was being looked at when the flow was saved did not see it.
	err := d.DB.InOrganization(ctx, f.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		return d.Store.AwaitJoins(ctx, tx, f.OrganizationID)
	})
	if err != nil {
		return err
	}
	var after string
	for done := false; !done; {
		err := d.DB.InOrganization(ctx, f.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
			flow, err := d.Store.Flow(ctx, tx, f.ID)
			if err != nil {
				return err
			}
			found, err := d.Store.Candidates(ctx, tx, f.OrganizationID, f.ID, after, peopleAtOnce)
			if err != nil {
				return err
			}
			rules := wire.Flow(flow)
			var matches []store.Match
			for _, c := range found {
				if rules.Joins(c.Member) {
					matches = append(matches, store.Match{Flow: flow, UserID: c.ID, JoinCount: c.JoinCount})
				}
			}
			if err := d.join(ctx, tx, f.OrganizationID, matches); err != nil {
				return err
			}
			if done = len(found) < peopleAtOnce; done {
				return d.Store.FlowMatched(ctx, tx, f.ID, f.Version)
			}
			after = found[len(found)-1].ID
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
