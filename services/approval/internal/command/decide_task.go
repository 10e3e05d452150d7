package command

import (
	"context"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// DecideTask applies a reviewer's decision and emits exactly one event of it:
// what the decision opened or ended is in that. Of two decisions at the same
// moment one waits for the other, and fails if it comes too late.
func (c *Commands) DecideTask(ctx context.Context, s scope.Scope, taskID string, by lifecycle.Person, approve bool, comment string) (*approvalv1.Task, error) {
	var task *approvalv1.Task
	err := c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		a, err := c.loadByTask(ctx, tx, taskID)
		if err != nil {
			return err
		}
		out, err := a.Decide(taskID, by, approve, comment, a.events.Time)
		if err != nil {
			return taskError(err)
		}
		switch a.State {
		case lifecycle.Granted:
			a.events.Granted(out.Task)
		case lifecycle.Denied:
			a.events.Denied(out)
		default:
			if err := c.openNext(ctx, tx, a, out); err != nil {
				return err
			}
		}
		task = convert.Task(a.Approval, out.Task, a.request)
		return c.save(ctx, tx, a)
	})
	return task, err
}

// openNext opens the step after the one that a decision completed, if it did
// and there is one.
func (c *Commands) openNext(ctx context.Context, tx *postgres.Tx, a loaded, out lifecycle.Outcome) error {
	if len(a.Ready()) == 0 {
		a.events.Decided(out, nil, nil)
		return nil
	}
	if err := tx.Widen(ctx); err != nil {
		return err
	}
	opened, err := c.openReady(ctx, tx, store.NewPeople(), a)
	if err != nil {
		return err
	}
	// A decision completes one step, so one follows at most.
	a.events.Decided(out, opened[0].step, opened[0].tasks)
	return nil
}

// loadByTask loads the approval that a task is in.
func (c *Commands) loadByTask(ctx context.Context, tx *postgres.Tx, taskID string) (loaded, error) {
	rec, err := c.Store.LoadByTask(ctx, tx, taskID)
	if err != nil {
		return loaded{}, err
	}
	if rec == nil {
		return loaded{}, errTaskNotFound
	}
	return c.prepare(rec)
}
