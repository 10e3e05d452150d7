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

// ReassignTask moves a task to another user whom the scope has, and who sees what
// it is about. anyTask says that by may do so with everybody's tasks. A user who
// has just come is waited for.
func (c *Commands) ReassignTask(ctx context.Context, s scope.Scope, taskID string, by lifecycle.Person, anyTask bool, toID, reason string) (*approvalv1.Task, error) {
	task, err := c.reassignTask(ctx, s, taskID, by, anyTask, toID, reason)
	if !apierr.HasReason(err, reasonUserUnknown) {
		return task, err
	}
	// Of another scope's user nothing is said that would not be said of nobody.
	switch late := copies.Await(ctx, c.DB, s.OrganizationID, copies.IDs{copies.Users: {uuid.MustParse(toID)}}); {
	case late == nil:
		return c.reassignTask(ctx, s, taskID, by, anyTask, toID, reason)
	case apierr.HasReason(late, copies.ReasonNotKnownYet):
		return nil, err
	default:
		return nil, late
	}
}

const reasonUserUnknown = "USER_UNKNOWN"

func (c *Commands) reassignTask(ctx context.Context, s scope.Scope, taskID string, by lifecycle.Person, anyTask bool, toID, reason string) (*approvalv1.Task, error) {
	var task *approvalv1.Task
	err := c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		a, err := c.loadByTask(ctx, tx, taskID)
		if err != nil {
			return err
		}
		people := store.NewPeople()
		q := store.PeopleQuery{UserIDs: []string{toID, by.ID}, ManagersOf: []string{a.Beneficiary.ID}}
		if step := a.StepOfTask(taskID); step != nil {
			q.AppIDs, q.GroupIDs = []string{step.AppID}, step.Spec.GroupIDs
		}
		if err := c.Store.LoadPeople(ctx, tx, a.OrganizationID, people, q); err != nil {
			return err
		}
		if u, known := people.Users[by.ID]; known && !u.IsPerson {
			return apierr.Denied("NOT_A_PERSON", "only people decide who decides")
		}
		to, known := people.Users[toID]
		if !known {
			to.ID = toID // the rules still check whose task it is, and refuse
		}
		expired := a.expired(taskID)
		from, added, err := a.Reassign(lifecycle.Reassignment{
			TaskID: taskID, By: by, AnyTask: anyTask, To: to, Reason: reason, People: *people,
		}, newID, a.events.Time)
		switch {
		case expired && !errors.Is(err, lifecycle.ErrUnknownTask):
			return taskError(lifecycle.ErrExpired)
		case errors.Is(err, lifecycle.ErrCannotDecide) && !known:
			return apierr.InvalidField("reviewer_id", reasonUserUnknown, "there is no such user")
		case errors.Is(err, lifecycle.ErrCannotDecide):
			return apierr.InvalidField("reviewer_id", "REVIEWER_CANNOT_DECIDE", "this user is not active, or may not decide here")
		case errors.Is(err, lifecycle.ErrNotConcerned):
			return apierr.InvalidField("reviewer_id", "REVIEWER_NOT_CONCERNED",
				"this user does not see the request: a task goes to the people of the app, to whom its step names, to the beneficiary's managers, or to admins")
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
