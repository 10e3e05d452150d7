package command

import (
	"context"
	"errors"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// ReassignTask moves a task to another user whom the scope has. anyTask says
// that by may do so with everybody's tasks.
func (c *Commands) ReassignTask(ctx context.Context, s scope.Scope, taskID string, by lifecycle.Person, anyTask bool, toID, reason string) (*approvalv1.Task, error) {
	var task *approvalv1.Task
	err := c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		a, err := c.loadByTask(ctx, tx, taskID)
		if err != nil {
			return err
		}
		people := store.NewPeople()
		if err := c.Store.LoadPeople(ctx, tx, a.OrganizationID, people, store.PeopleQuery{UserIDs: []string{toID, by.ID}}); err != nil {
			return err
		}
		if u, known := people.Users[by.ID]; known && !u.IsPerson {
			return apierr.Denied("NOT_A_PERSON", "only people decide who decides")
		}
		to, known := people.Users[toID]
		if !known {
			to.ID = toID // the rules still check whose task it is, and refuse
		}
		from, added, err := a.Reassign(taskID, by, anyTask, to, reason, newID, a.events.Time)
		switch {
		case errors.Is(err, lifecycle.ErrCannotDecide) && !known:
			return apierr.InvalidField("reviewer_id", "USER_UNKNOWN", "there is no such user")
		case errors.Is(err, lifecycle.ErrCannotDecide):
			return apierr.InvalidField("reviewer_id", "REVIEWER_CANNOT_DECIDE", "this user is not active, or may not decide here")
		case errors.Is(err, lifecycle.ErrHasTask):
			return apierr.InvalidField("reviewer_id", "REVIEWER_ALREADY_ASKED", "this user has a task in this step already")
		case err != nil:
			return taskError(err)
		}
		a.events.Reassigned(convert.UserActor(by), from, added, reason)
		shown := a.request
		if !anyTask {
			shown = convert.RequestPart(a.Approval, a.request, by.ID)
		}
		task = convert.Task(a.Approval, added, shown)
		return c.save(ctx, tx, a)
	})
	return task, err
}
