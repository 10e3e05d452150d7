package command

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// Reassignment says which task somebody gives to whom.
type Reassignment struct {
	TaskID string
	// ItemIDs are the items meant; none if the task is about one.
	ItemIDs []string
	By      lifecycle.Person
	// AnyTask says that By may do so with everybody's tasks.
	AnyTask      bool
	ToID, Reason string
}

// ReassignTask moves a task, with all items that are meant, to another user whom the
// scope has, and who sees what each of them is about. A user who has just come is waited
// for.
func (c *Commands) ReassignTask(ctx context.Context, s scope.Scope, r Reassignment) (*approvalv1.Task, error) {
	var task *approvalv1.Task
	// Of another scope's user nothing is said that would not be said of nobody.
	err := copies.WhenKnown(ctx, c.DB, c.Progress, s.OrganizationID, copies.IDs{copies.Users: {uuid.MustParse(r.ToID)}}, func() (err error) {
		task, err = c.reassignTask(ctx, s, r)
		return err
	}, reasonUserUnknown)
	return task, err
}

const reasonUserUnknown = "USER_UNKNOWN"

func (c *Commands) reassignTask(ctx context.Context, s scope.Scope, r Reassignment) (*approvalv1.Task, error) {
	var task *approvalv1.Task
	err := c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		task = nil
		a, err := c.loadByTask(ctx, tx, r.TaskID)
		if err != nil {
			return err
		}
		t := a.Task(r.TaskID)
		tasks, items := a.Meant(t, r.ItemIDs)
		switch {
		case t.Reviewer.ID != r.By.ID && !r.AnyTask:
			return errTaskNotFound
		case items != nil:
			return itemsError(items)
		}
		people := store.NewPeople()
		q := store.PeopleQuery{UserIDs: []string{r.ToID, r.By.ID}, ManagersOf: []string{a.Beneficiary.ID}, WorkingTimeOf: []string{a.EnvironmentID}, Absences: true}
		for _, t := range tasks {
			if step := a.StepOf(t); step != nil {
				q.AppIDs, q.GroupIDs = append(q.AppIDs, step.AppID), append(q.GroupIDs, step.Spec.GroupIDs...)
			}
		}
		if err := c.Store.LoadPeople(ctx, tx, a.OrganizationID, people, q); err != nil {
			return err
		}
		if u, known := people.Users[r.By.ID]; known && !u.IsPerson {
			return apierr.Denied("NOT_A_PERSON", "only people decide who decides")
		}
		to, known := people.Users[r.ToID]
		if !known {
			to.ID = r.ToID // the rules still check whose task it is, and refuse
		}
		shown := a.request
		if !r.AnyTask {
			shown = convert.RequestPart(a.Approval, a.request, r.By.ID)
		}
		for _, t := range tasks {
			if a.expired(t.ID) {
				return taskError(lifecycle.ErrExpired)
			}
			from, added, err := a.Reassign(lifecycle.Reassignment{
				TaskID: t.ID, By: r.By, AnyTask: r.AnyTask, To: to, Reason: r.Reason, People: *people,
			}, newID, a.events.Time)
			if err != nil {
				return reassignError(err, known)
			}
			a.Schedule(a.StepOf(added), []*lifecycle.Task{added}, *people, a.events.Time)
			a.events.Reassigned(convert.UserActor(r.By), from, added, r.Reason)
			if task == nil {
				task = convert.Task(a.Approval, added, shown)
			}
			task.ItemIds = append(task.ItemIds, added.ItemID)
		}
		return c.save(ctx, tx, a)
	})
	return task, err
}

// reassignError is the public error of a task that is not given to somebody, who is known
// or not.
func reassignError(err error, known bool) error {
	switch {
	case errors.Is(err, lifecycle.ErrCannotDecide) && !known:
		return apierr.InvalidField("reviewer_id", reasonUserUnknown, "there is no such user")
	case errors.Is(err, lifecycle.ErrCannotDecide):
		return apierr.InvalidField("reviewer_id", "REVIEWER_CANNOT_DECIDE", "this user is not active, or may not decide here")
	case errors.Is(err, lifecycle.ErrNotConcerned):
		return apierr.InvalidField("reviewer_id", "REVIEWER_NOT_CONCERNED",
			"this user does not see the request: a task goes to the people of the app, to whom its step names, to the beneficiary's managers, or to admins")
	case errors.Is(err, lifecycle.ErrAbsent):
		return apierr.InvalidField("reviewer_id", "REVIEWER_ABSENT", "this user is absent, and has delegated what they decide")
	case errors.Is(err, lifecycle.ErrHasTask):
		return apierr.InvalidField("reviewer_id", "REVIEWER_ALREADY_ASKED", "this user has a task in this step already")
	}
	return taskError(err)
}
