package command

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/batch"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/libs/telemetry"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// Decision is what a reviewer decides about a task.
type Decision struct {
	TaskID string
	By     lifecycle.Person
	// ItemIDs are the items meant; none if the task is about one.
	ItemIDs []string
	// Approve approves, otherwise it denies.
	Approve bool
	// Comment is the reason of a denial.
	Comment string
	// ETag is that of the task as it was shown; empty to decide whatever has changed.
	ETag string
}

// decision is a decision that is taken, with the task as it then is.
type decision = batch.Item[Decision, *approvalv1.Task]

// DecideTask applies a reviewer's decision and emits exactly one event of it:
// what the decision opened or ended is in that. Of two decisions at the same
// moment one waits for the other, and fails if it comes too late.
func (c *Commands) DecideTask(ctx context.Context, s scope.Scope, d Decision) (*approvalv1.Task, error) {
	return c.decisions.Do(ctx, s, d)
}

// decideTasks applies decisions that come at the same time.
func (c *Commands) decideTasks(ctx context.Context, s scope.Scope, decisions []*decision) error {
	return c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		taskIDs := make([]string, len(decisions))
		for n, d := range decisions {
			taskIDs[n] = d.Command.TaskID
		}
		byTask, all, err := c.loadByTasks(ctx, tx, taskIDs)
		if err != nil {
			return err
		}
		if err := tx.Widen(ctx); err != nil {
			return err
		}
		meant := make([]*meant, len(decisions))
		for n, d := range decisions {
			meant[n] = meantBy(d, byTask)
		}
		people, err := c.eligible(ctx, tx, byTask)
		if err != nil {
			return err
		}
		var rest []*decision
		var recheck []string
		for _, m := range meant {
			if err := changed(m, byTask, people); err != nil {
				m.Err, m.each = err, nil
			}
			decided, again := c.mayDecideEach(m, byTask, people)
			rest, recheck = append(rest, decided...), append(recheck, again...)
		}
		if len(recheck) > 0 {
			if err := c.Store.RecheckTasks(ctx, tx, recheck); err != nil {
				return err
			}
			tx.AfterCommit(c.Maintenance.Wake)
		}
		for len(rest) > 0 {
			if rest, err = c.decideEach(ctx, tx, byTask, rest); err != nil {
				return err
			}
		}
		for _, m := range meant {
			m.answer()
		}
		return c.save(ctx, tx, slices.DeleteFunc(all, func(a loaded) bool { return len(a.events.List) == 0 })...)
	})
}

// meant is a decision with those that it is made of: one for each item.
type meant struct {
	*decision
	each []*decision
}

// meantBy finds what a decision is about, and adds it to byTask.
func meantBy(d *decision, byTask map[string]*loaded) *meant {
	d.Result, d.Err = nil, nil
	m := &meant{decision: d, each: []*decision{{Context: d.Context, Command: d.Command}}}
	a := byTask[d.Command.TaskID]
	if a == nil {
		return m
	}
	t := a.Task(d.Command.TaskID)
	if t.Reviewer.ID != d.Command.By.ID {
		return m
	}
	tasks, err := a.Meant(t, d.Command.ItemIDs)
	if err != nil {
		d.Err = itemsError(err)
		m.each = nil
		return m
	}
	m.each = nil
	for _, t := range tasks {
		one := d.Command
		one.TaskID = t.ID
		m.each, byTask[t.ID] = append(m.each, &decision{Context: d.Context, Command: one}), a
	}
	return m
}

// mayDecideEach returns the decisions that may be taken, all or none, and the tasks of
// those who would not be asked any more.
func (c *Commands) mayDecideEach(m *meant, byTask map[string]*loaded, people *lifecycle.People) (rest []*decision, recheck []string) {
	for _, d := range m.each {
		switch d.Err = c.mayDecide(byTask[d.Command.TaskID], d.Command, people); {
		case d.Err == nil:
			rest = append(rest, d)
		case apierr.HasReason(d.Err, reasonNotEligible), apierr.HasReason(d.Err, reasonNotActive):
			recheck = append(recheck, d.Command.TaskID)
		}
	}
	if len(rest) < len(m.each) {
		rest = nil
	}
	return rest, recheck
}

// answer is the answer to the whole decision: the first task that was decided, with the
// items that were; or the first error.
func (m *meant) answer() {
	var items []string
	for _, d := range m.each {
		switch {
		case d.Result == nil:
			if m.Err == nil {
				m.Err = d.Err
			}
			continue
		case m.Result == nil:
			m.Result = d.Result
		}
		items = append(items, d.Result.GetItemId())
	}
	if m.Result != nil {
		m.Result.ItemIds, m.Err = items, nil
	}
}

// changed is the public error of a decision about a task that is not as it was shown, nil
// if it is. A task that has ended says itself how.
func changed(m *meant, byTask map[string]*loaded, people *lifecycle.People) error {
	a := byTask[m.Command.TaskID]
	if m.Command.ETag == "" || a == nil {
		return nil
	}
	t, f := a.Task(m.Command.TaskID), people.Facts[a.Beneficiary.ID]
	if t.State != lifecycle.TaskOpen || t.Reviewer.ID != m.Command.By.ID || a.expired(t.ID) || a.waits(people) || a.MayDecide(t.ID, m.Command.By.ID, *people) != nil {
		return nil
	}
	changes := a.ChangedSince(m.Command.ETag, t, f, func(id string) string { return convert.ItemName(a.request, id) })
	if len(changes) == 0 {
		return nil
	}
	return taskChanged(changes, a.Seen(t, f))
}

// mayDecide is the public error of a decision that is not to be taken as things are
// now, nil if it may be.
func (c *Commands) mayDecide(a *loaded, d Decision, people *lifecycle.People) error {
	if a == nil {
		return errTaskNotFound
	}
	switch err := a.MayDecide(d.TaskID, d.By.ID, *people); {
	case errors.Is(err, lifecycle.ErrUnknownTask):
		return errTaskNotFound
	case a.expired(d.TaskID):
		return taskError(lifecycle.ErrExpired)
	case err != nil:
		return taskError(err)
	}
	if a.waits(people) {
		return errBeneficiaryNotActive
	}
	return nil
}

// waits reports whether nobody is to be asked about the approval: access is to be
// given to somebody who is known not to be active.
func (a loaded) waits(people *lifecycle.People) bool {
	u, known := people.Users[a.Beneficiary.ID]
	return a.State == lifecycle.Open && known && !u.Active && convert.Gives(a.request)
}

// expired reports whether a task was not decided and need not be any more: what is
// asked for would have ended by now, or it had to be decided before.
func (a loaded) expired(taskID string) bool {
	t := a.Task(taskID)
	if t == nil {
		return false
	}
	return a.TooLate(t, a.events.Time) || t.State == lifecycle.TaskOpen && convert.Request(a.request).Passed(a.events.Time) || t.State == lifecycle.TaskCancelled && a.Expired
}

// eligible reads the people of whom [lifecycle.Approval.Eligible] decides, and the
// beneficiaries, of tasks by their ids.
func (c *Commands) eligible(ctx context.Context, tx *postgres.Tx, byTask map[string]*loaded) (*lifecycle.People, error) {
	people := store.NewPeople()
	var q store.PeopleQuery
	var organization uuid.UUID
	for id, a := range byTask {
		q.AddEligibility(a.Approval, id)
		organization = a.OrganizationID
	}
	return people, c.Store.LoadPeople(ctx, tx, organization, people, q)
}

// decided is a decision that was applied to its approval.
type decided struct {
	*decision
	loaded
	lifecycle.Outcome
}

// decideEach applies one decision to each approval, and returns those that come
// after it: they concern what it has made of the approval.
func (c *Commands) decideEach(ctx context.Context, tx *postgres.Tx, byTask map[string]*loaded, decisions []*decision) (rest []*decision, err error) {
	seen := make(map[*loaded]bool, len(decisions))
	var applied []decided
	var ready []loaded
	for _, d := range decisions {
		a := byTask[d.Command.TaskID]
		if seen[a] {
			rest = append(rest, d)
			continue
		}
		seen[a] = true
		out, err := a.Decide(d.Command.TaskID, d.Command.By, d.Command.Approve, d.Command.Comment, a.events.Time)
		if err != nil {
			d.Err = taskError(err)
			continue
		}
		applied = append(applied, decided{d, *a, out})
		if a.State == lifecycle.Open && len(a.Ready()) > 0 {
			ready = append(ready, *a)
		}
	}
	opened := make(map[*store.Record]*stepOf, len(ready))
	if len(ready) > 0 {
		steps, err := c.openReady(ctx, tx, store.NewPeople(), ready...)
		if err != nil {
			return nil, err
		}
		for _, s := range steps { // a decision completes one step, so one follows at most
			opened[s.Record] = s
		}
	}
	for _, d := range applied {
		d.events.Traceparent = telemetry.Traceparent(d.Context)
		switch next := opened[d.Record]; {
		case !d.Command.Approve:
			d.events.Denied(d.Outcome)
		case d.ItemApproved:
			d.events.Granted(d.Outcome)
		case next != nil:
			d.events.Decided(d.Outcome, next.step, next.tasks)
		default:
			d.events.Decided(d.Outcome, nil, nil)
		}
		d.Result = convert.Task(d.Approval, d.Task, convert.RequestPart(d.Approval, d.request, d.Command.By.ID))
	}
	return rest, nil
}

// loadByTasks loads the approvals that tasks are in, by the tasks' ids; all has
// each of them once.
func (c *Commands) loadByTasks(ctx context.Context, tx *postgres.Tx, taskIDs []string) (byTask map[string]*loaded, all []loaded, err error) {
	records, err := c.Store.LoadByTasks(ctx, tx, taskIDs)
	if err != nil {
		return nil, nil, err
	}
	byTask = make(map[string]*loaded, len(records))
	byRecord := make(map[*store.Record]*loaded, len(records))
	for taskID, rec := range records {
		if byRecord[rec] == nil {
			a, err := c.prepare(rec)
			if err != nil {
				return nil, nil, err
			}
			byRecord[rec], all = &a, append(all, a)
		}
		byTask[taskID] = byRecord[rec]
	}
	return byTask, all, nil
}

// loadByTask loads the approval that a task is in.
func (c *Commands) loadByTask(ctx context.Context, tx *postgres.Tx, taskID string) (loaded, error) {
	byTask, _, err := c.loadByTasks(ctx, tx, []string{taskID})
	if err != nil {
		return loaded{}, err
	}
	if byTask[taskID] == nil {
		return loaded{}, errTaskNotFound
	}
	return *byTask[taskID], nil
}
