package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// FoundTask is a task with the approval that it is in.
type FoundTask struct {
	*lifecycle.Task
	Approval *Record
}

const (
	taskColumns = `t.id, a.request_id, a.organization_id, a.environment_id, a.request, a.state, a.data`
	fromTasks   = ` from task t join approval a on a.request_id = t.request_id where `
	// Each list of a reviewer's has its index.
	openTasks  = fromTasks + `t.reviewer_id = $1 and t.state = 'open'`
	endedTasks = fromTasks + `t.reviewer_id = $1 and t.state <> 'open' and t.state = $2`
	theseTasks = fromTasks + `t.id = any($1)`
	// The first of those that are decided together.
	firstOfThem = ` and not exists (select from task o where o.together = t.together and o.state = t.state and o.place < t.place)`
)

// ListTasks reads a page of [TaskList]: of a reviewer's tasks in a state. It gives the
// token of the next page. Without eachItem, of those that are decided together the first
// is listed.
func (s *Store) ListTasks(ctx context.Context, tx *postgres.Tx, reviewerID string, state lifecycle.TaskState, eachItem bool, page *filter.Query) ([]FoundTask, string, error) {
	first := firstOfThem
	if eachItem {
		first = ""
	}
	if state == lifecycle.TaskOpen {
		return listTasks(ctx, tx, openTasks+first, page, reviewerID)
	}
	return listTasks(ctx, tx, endedTasks+first, page, reviewerID, state)
}

// ListTheseTasks is ListTasks of the tasks with the ids.
func (s *Store) ListTheseTasks(ctx context.Context, tx *postgres.Tx, ids []string, page *filter.Query) ([]FoundTask, string, error) {
	return listTasks(ctx, tx, theseTasks, page, ids)
}

func listTasks(ctx context.Context, tx *postgres.Tx, from string, page *filter.Query, arguments ...any) ([]FoundTask, string, error) {
	args := filter.Arguments(arguments)
	sql := `select ` + taskColumns + `, ` + page.Keys() + from + page.Where(args.Add) + page.Order() + page.Limit(args.Add)
	return filter.Read(ctx, tx, page, sql, args, func(row pgx.CollectableRow) (FoundTask, error) {
		var id string
		r := &Record{Approval: &lifecycle.Approval{}}
		var environment uuid.UUID
		var data []byte
		if err := row.Scan(&id, &r.RequestID, &r.OrganizationID, &environment, &r.Request, &r.State, &data); err != nil {
			return FoundTask{}, err
		}
		r.EnvironmentID = environmentID(environment)
		if err := decode(data, r); err != nil {
			return FoundTask{}, err
		}
		for _, t := range r.Tasks {
			if t.ID == id {
				return FoundTask{t, r}, nil
			}
		}
		return FoundTask{}, fmt.Errorf("task %s is not in the approval of request %s", id, r.RequestID)
	})
}

// Read reads the approval of a request without locking it. Nil if there is none.
func (s *Store) Read(ctx context.Context, tx *postgres.Tx, requestID string) (*Record, error) {
	return load(ctx, tx, readByRequest, requestID)
}

// ApprovalID names an approval.
type ApprovalID struct {
	OrganizationID uuid.UUID
	RequestID      string
}

const selectNeedReviewers = `
select organization_id, request_id from (
    select organization_id, request_id from approval where vacant and not held
    union
    select a.organization_id, a.request_id from approval a join user_copy u on u.id = a.waits_for where a.held and a.state = 'open' and u.state = 'active'
    union
    select a.organization_id, a.request_id from user_copy u join approval a on a.waits_for = u.id
    where u.state = 'suspended' and a.state = 'open' and not a.held
    union
    select t.organization_id, t.request_id from task t join user_copy u on u.id = t.reviewer_id
    where t.state = 'open' and (t.recheck or not ` + canDecide + `
        or u.role_environment_id <> '00000000-0000-0000-0000-000000000000' and u.role_environment_id <> t.environment_id)
) as x where request_id > $1 order by request_id limit $2`

// What is open has an open task, or is vacant.
const selectOlder = `
select a.organization_id, a.request_id from approval a
where a.flow_ids is null and a.state = 'open' and a.request_id > $1 and a.request_id in (
    select t.request_id from task t where t.state = 'open' union select v.request_id from approval v where v.vacant)
order by a.request_id limit $2`

// OlderApprovals returns up to limit open approvals by id, after the one given, that a
// release before this one wrote. tx sees all organizations.
func (s *Store) OlderApprovals(ctx context.Context, tx *postgres.Tx, after string, limit int) ([]ApprovalID, error) {
	rows, err := tx.Query(ctx, selectOlder, orZero(after), limit)
	if err != nil {
		return nil, fmt.Errorf("find older approvals: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ApprovalID])
	if err != nil {
		return nil, fmt.Errorf("find older approvals: %w", err)
	}
	return found, nil
}

// NeedReviewers returns up to limit approvals by id, after the one given, with a
// step that is vacant, with an open task of somebody who can no longer decide or
// that is to be looked at again, or whose beneficiary has become active or is not any
// more. tx sees all organizations.
func (s *Store) NeedReviewers(ctx context.Context, tx *postgres.Tx, after string, limit int) ([]ApprovalID, error) {
	rows, err := tx.Query(ctx, selectNeedReviewers, orZero(after), limit)
	if err != nil {
		return nil, fmt.Errorf("find approvals that need reviewers: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ApprovalID])
	if err != nil {
		return nil, fmt.Errorf("find approvals that need reviewers: %w", err)
	}
	return found, nil
}

const (
	// In one order, so that two transactions wait and do not deadlock.
	recheckTasks = `
update task set recheck = true where id in (
    select t.id from task t where t.state = 'open' and not t.recheck and (t.reviewer_id = any ($1) or t.beneficiary_id = any ($2)) order by t.id for update)`
	recheckTasksByID = `
update task set recheck = true where id in (select t.id from task t where t.id = any ($1) and t.state = 'open' order by t.id for update)`
	endRecheck = `
update task set recheck = false where request_id = $1 and recheck`
)

// Recheck has open tasks looked at by maintenance: those of reviewers who may have
// lost what they were asked for, and those about beneficiaries who may have other
// managers.
func (s *Store) Recheck(ctx context.Context, tx *postgres.Tx, reviewers, beneficiaries []uuid.UUID) (found bool, err error) {
	tag, err := tx.Exec(ctx, recheckTasks, reviewers, beneficiaries)
	if err != nil {
		return false, fmt.Errorf("have tasks looked at again: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// RecheckTasks has these open tasks looked at by maintenance.
func (s *Store) RecheckTasks(ctx context.Context, tx *postgres.Tx, ids []string) error {
	if _, err := tx.Exec(ctx, recheckTasksByID, ids); err != nil {
		return fmt.Errorf("have tasks looked at again: %w", err)
	}
	return nil
}

// EndRecheck says that the tasks of an approval are looked at now. What changes
// after it is found again.
func (s *Store) EndRecheck(ctx context.Context, tx *postgres.Tx, requestID string) error {
	if _, err := tx.Exec(ctx, endRecheck, requestID); err != nil {
		return fmt.Errorf("look at tasks again: %w", err)
	}
	return nil
}
