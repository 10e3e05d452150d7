package command

import (
	"context"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
)

const approvalsAtOnce = 100

// replaceReviewers looks at every approval that needs reviewers, each in a
// transaction of its own.
func (c *Commands) replaceReviewers(ctx context.Context, s *scan) error {
	var after string
	for {
		var found []store.ApprovalID
		err := c.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			found, err = c.Store.NeedReviewers(ctx, tx, after, approvalsAtOnce)
			return err
		})
		if err != nil {
			return err
		}
		for _, a := range found {
			after = a.RequestID
			s.do(ctx, a.OrganizationID, a.RequestID, func() error {
				return c.DB.InOrganization(ctx, a.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
					return c.replaceReviewersOf(ctx, tx, a.RequestID)
				})
			})
		}
		if len(found) < approvalsAtOnce || ctx.Err() != nil {
			return nil
		}
	}
}

// replaceReviewersOf ends the open tasks of those who would not be asked any more,
// and asks others in the steps that have no open task then; nobody is asked while the
// beneficiary is not active.
func (c *Commands) replaceReviewersOf(ctx context.Context, tx *postgres.Tx, requestID string) error {
	rec, err := c.Store.Load(ctx, tx, requestID)
	if err != nil || rec == nil || rec.State != lifecycle.Open {
		return err
	}
	if err := c.Store.EndRecheck(ctx, tx, requestID); err != nil {
		return err
	}
	a, err := c.prepare(rec)
	if err != nil {
		return err
	}
	query := store.PeopleQuery{UserIDs: []string{rec.Beneficiary.ID}, WorkingTimeOf: []string{rec.EnvironmentID}, Absences: true}
	for _, t := range rec.Tasks {
		if t.State == lifecycle.TaskOpen {
			query.AddEligibility(rec.Approval, t.ID)
		}
	}
	people := store.NewPeople()
	if err := c.Store.LoadPeople(ctx, tx, rec.OrganizationID, people, query); err != nil {
		return err
	}
	if a.waits(people) {
		return c.hold(ctx, tx, a)
	}
	resumed := rec.Held
	rec.Resume()
	for _, h := range rec.HandOver(*people, newID, a.events.Time) {
		rec.Schedule(rec.StepOf(h.To), []*lifecycle.Task{h.To}, *people, a.events.Time)
		a.events.Reassigned(convert.SystemActor(), h.From, h.To, h.Reason)
	}
	removed := rec.RemoveReviewers(func(t *lifecycle.Task) bool {
		_, known := people.Users[t.PrincipalID()]
		return !known || rec.Eligible(t, *people) // an unknown user has not left
	}, a.events.Time)
	// What was read of the reviewers does not include their managers.
	people = store.NewPeople()
	var vacant []*stepOf
	for _, s := range rec.Vacancies() {
		vacant = append(vacant, &stepOf{loaded: a, step: s})
	}
	if err := c.resolve(ctx, tx, people, vacant); err != nil {
		return err
	}
	for _, s := range vacant {
		if err := c.fill(a, s, people, removed, resumed); err != nil {
			return err
		}
	}
	for _, r := range removed {
		if others := rec.OpenTasks(r.Step); r.Task.State == lifecycle.TaskCancelled && len(others) > 0 {
			// Nobody new is asked: those who were asked before still decide.
			a.events.Reassigned(convert.SystemActor(), r.Task, others[0],
				r.Task.Reviewer.Name+" cannot decide any more; who else was asked still can")
		}
	}
	if len(a.events.List) == 0 && !resumed {
		return nil
	}
	return c.save(ctx, tx, a)
}

// hold takes the open tasks of an approval back: what it gives would be given to
// somebody who is not active.
func (c *Commands) hold(ctx context.Context, tx *postgres.Tx, a loaded) error {
	if a.Held {
		return nil
	}
	for _, r := range a.Hold(a.events.Time) {
		a.events.Reassigned(convert.SystemActor(), r.Task, nil, a.Beneficiary.Name+" is not active; nobody is asked until they are")
	}
	return c.save(ctx, tx, a)
}

// fill asks the reviewers that were found for a vacant step, instead of those
// who were removed from it. In an approval that is resumed it is also said that there
// are none.
func (c *Commands) fill(a loaded, s *stepOf, people *lifecycle.People, removed []lifecycle.RemovedTask, resumed bool) error {
	added, err := a.Fill(s.step, s.resolution, newID, a.events.Time)
	if err != nil {
		return err
	}
	a.Schedule(s.step, added, *people, a.events.Time)
	replaced := false
	for _, r := range removed {
		if r.Step != s.step {
			continue
		}
		replaced = true
		reason := r.Task.Reviewer.Name + " cannot decide any more"
		if len(added) == 0 {
			a.events.Reassigned(convert.SystemActor(), r.Task, nil, reason+", and nobody else can at present")
			continue
		}
		r.MarkReassigned()
		for _, t := range added {
			a.events.Reassigned(convert.SystemActor(), r.Task, t, reason)
		}
	}
	if !replaced && (len(added) > 0 || resumed) {
		a.events.Requested(s.step, added)
	}
	return nil
}
