package command

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
	"gatehouse.dev/services/approval/internal/wire"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

var (
	errTaskNotFound = apierr.NotFound("TASK_NOT_FOUND", "there is no such task of yours")
	errConcerned    = apierr.Precondition("REVIEWER_CONCERNED", "requester and beneficiary have no say in their own request")
)

// Decide takes a reviewer's decision. Of two at the same moment one waits for
// the other, and is told if it came too late.
func (d *Desk) Decide(ctx context.Context, organizationID uuid.UUID, taskID string, by lifecycle.Person, approve bool, comment string) (*approvalv1.Task, error) {
	var task *approvalv1.Task
	err := d.DB.InOrganization(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) error {
		rec, err := d.Store.LoadForTask(ctx, tx, taskID)
		if err != nil {
			return err
		}
		if rec == nil {
			return errTaskNotFound
		}
		a := d.draft(rec)
		out, err := rec.Decide(taskID, by, approve, comment, a.story.Time)
		if err != nil {
			return taskError(err)
		}
		a.story.Decided(out)
		switch rec.State {
		case lifecycle.Granted:
			a.story.Granted(rec.Approval, by)
		case lifecycle.Denied:
			a.story.Denied(out)
		default:
			if err := d.openReady(ctx, tx, a); err != nil {
				return err
			}
		}
		task = wire.Task(out.Task, out.Step.Spec.Name, rec.Request)
		return d.save(ctx, tx, a)
	})
	return task, err
}

// Reassign gives a task to somebody else. anyTask says that by may do so with
// everybody's.
func (d *Desk) Reassign(ctx context.Context, organizationID uuid.UUID, taskID string, by lifecycle.Person, anyTask bool, toID, reason string) (*approvalv1.Task, error) {
	var task *approvalv1.Task
	err := d.DB.InOrganization(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) error {
		rec, err := d.Store.LoadForTask(ctx, tx, taskID)
		if err != nil {
			return err
		}
		if rec == nil {
			return errTaskNotFound
		}
		if err := d.Store.LoadPeople(ctx, tx, rec.People, store.Wanted{UserIDs: []string{toID}}); err != nil {
			return err
		}
		to, known := rec.People.Users[toID]
		if !known {
			to.ID = toID // the rules still know whose task it is, and refuse
		}
		a := d.draft(rec)
		from, given, err := rec.Reassign(taskID, by, anyTask, to, reason, newID, a.story.Time)
		switch {
		case errors.Is(err, lifecycle.ErrCannotDecide) && !known:
			return apierr.InvalidField("reviewer_id", "USER_UNKNOWN", "there is no such user")
		case errors.Is(err, lifecycle.ErrCannotDecide):
			return apierr.InvalidField("reviewer_id", "REVIEWER_CANNOT_DECIDE", "this user is not active, or may change nothing")
		case errors.Is(err, lifecycle.ErrAlreadyAsked):
			return apierr.InvalidField("reviewer_id", "REVIEWER_ALREADY_ASKED", "this user has a task in this step already")
		case err != nil:
			return taskError(err)
		}
		var step *lifecycle.Step
		for _, s := range rec.Steps {
			if s.ItemID == given.ItemID && s.Position == given.Position {
				step = s
			}
		}
		a.story.Reassigned(wire.User(by), step, from, given, reason)
		task = wire.Task(given, step.Spec.Name, rec.Request)
		return d.save(ctx, tx, a)
	})
	return task, err
}

// taskError is what a reviewer is told.
func taskError(err error) error {
	var ended *lifecycle.EndedError
	switch {
	case errors.Is(err, lifecycle.ErrUnknownTask):
		return errTaskNotFound
	case errors.Is(err, lifecycle.ErrConcerned):
		return errConcerned
	case errors.As(err, &ended):
		t := ended.Task
		by := t.EndedBy.Name
		if by == "" {
			by = "Gatehouse"
		}
		return apierr.Precondition("TASK_ALREADY_DECIDED", "this task is %s already, by %s", t.State, by).
			With("state", string(t.State)).With("decided_by", by).With("decided_time", t.EndTime.UTC().Format(time.RFC3339Nano))
	}
	return err
}

// Tasks lists tasks, oldest first.
func (d *Desk) Tasks(ctx context.Context, organizationID uuid.UUID, q store.TaskQuery) ([]*approvalv1.Task, error) {
	var tasks []*approvalv1.Task
	err := d.DB.InOrganizationRead(ctx, organizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		tasks, err = d.Store.Tasks(ctx, tx, q)
		return err
	})
	return tasks, err
}
