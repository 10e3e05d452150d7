package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/wire"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// TaskQuery says which tasks are listed.
type TaskQuery struct {
	// ReviewerID is whose tasks. Empty: everybody's.
	ReviewerID string
	// RequestID is of which request. Empty: of any; ReviewerID is then needed.
	RequestID string
	// State is in which state. Empty: any.
	State lifecycle.TaskState
	// AfterTime and AfterID are where the page before ended.
	AfterTime time.Time
	AfterID   string
	Limit     int
}

const selectTask = `
select t.id, t.item_id, t.position, t.reviewer_id, t.reviewer_name, t.reviewer_email, t.state, t.substitution, t.comment,
       t.create_time, coalesce(t.end_time, '0001-01-01T00:00:00Z'), s.name, a.request
from task t
join step s on s.request_id = t.request_id and s.item_id = t.item_id and s.position = t.position
join approval a on a.request_id = t.request_id`

// Tasks lists tasks, oldest first.
func (s *Store) Tasks(ctx context.Context, tx *postgres.Tx, q TaskQuery) ([]*approvalv1.Task, error) {
	// Each list has a statement of its own, so that each has its index.
	sql, args := selectTask+` where (t.create_time, t.id) > ($1, $2::uuid)`, []any{q.AfterTime, orZero(q.AfterID)}
	add := func(condition string, value any) {
		args = append(args, value)
		sql += fmt.Sprintf(" and t.%s = $%d", condition, len(args))
	}
	if q.ReviewerID != "" {
		add("reviewer_id", q.ReviewerID)
	}
	if q.RequestID != "" {
		add("request_id", q.RequestID)
	}
	if q.State != "" {
		add("state", q.State)
	}
	args = append(args, q.Limit)
	sql += fmt.Sprintf(" order by t.create_time, t.id limit $%d", len(args))
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	requests := make(map[string]*requestv1.Request)
	tasks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*approvalv1.Task, error) {
		var t lifecycle.Task
		var step string
		var raw []byte
		if err := row.Scan(&t.ID, &t.ItemID, &t.Position, &t.Reviewer.ID, &t.Reviewer.Name, &t.Reviewer.Email, &t.State,
			&t.Substitution, &t.Comment, &t.CreateTime, &t.EndTime, &step, &raw); err != nil {
			return nil, err
		}
		r, ok := requests[string(raw)]
		if !ok {
			r = &requestv1.Request{}
			if err := proto.Unmarshal(raw, r); err != nil {
				return nil, fmt.Errorf("read request: %w", err)
			}
			requests[string(raw)] = r
		}
		return wire.Task(&t, step, r), nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return tasks, nil
}

// Troubled names an approval that somebody has to look at.
type Troubled struct {
	OrganizationID uuid.UUID
	RequestID      string
}

// Troubled returns up to limit approvals by id, after the one given, with a
// step that nobody has a task in, or with a task of somebody who can no longer
// decide. In a transaction of all organizations.
func (s *Store) Troubled(ctx context.Context, tx *postgres.Tx, after string, limit int) ([]Troubled, error) {
	rows, err := tx.Query(ctx, `
select organization_id, request_id from (
    select organization_id, request_id from step where vacant
    union
    select t.organization_id, t.request_id from user_copy u join task t on t.reviewer_id = u.id and t.state = 'open' where not u.can_decide
) as x where request_id > $1 order by request_id limit $2`, orZero(after), limit)
	if err != nil {
		return nil, fmt.Errorf("find approvals in trouble: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Troubled])
	if err != nil {
		return nil, fmt.Errorf("find approvals in trouble: %w", err)
	}
	return found, nil
}
