package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// Rows are written as sets, each table by one statement, however many
// approvals they are of: what a statement costs by itself is most of what it
// costs. The database reads the names of the columns from the rows.
const (
	insertApprovals = `
insert into approval select * from json_populate_recordset(null::approval, $1) order by request_id`
	updateApprovals = `
update approval a set state = n.state, request = coalesce(n.request, a.request), requester_id = coalesce(n.requester_id, a.requester_id),
       beneficiary_id = coalesce(n.beneficiary_id, a.beneficiary_id), version = n.version, end_time = n.end_time
from json_populate_recordset(null::approval, $1) n where a.request_id = n.request_id`
	insertSteps = `
insert into step select * from json_populate_recordset(null::step, $1)`
	updateSteps = `
update step s set state = n.state, needed = n.needed, vacant = n.vacant, open_time = n.open_time, end_time = n.end_time
from json_populate_recordset(null::step, $1) n
where s.request_id = n.request_id and s.item_id = n.item_id and s.position = n.position`
	insertTasks = `
insert into task select * from json_populate_recordset(null::task, $1)`
	updateTasks = `
update task t set state = n.state, comment = n.comment, end_time = n.end_time, ended_by_id = n.ended_by_id, ended_by_name = n.ended_by_name
from json_populate_recordset(null::task, $1) n where t.id = n.id`
)

// approvalRow, stepRow and taskRow are rows of the tables.
type approvalRow struct {
	RequestID      string          `json:"request_id"`
	OrganizationID uuid.UUID       `json:"organization_id"`
	State          lifecycle.State `json:"state"`
	Request        bytea           `json:"request"`
	RequesterID    *string         `json:"requester_id"`
	BeneficiaryID  *string         `json:"beneficiary_id"`
	FlowID         *string         `json:"flow_id"`
	FlowVersion    int32           `json:"flow_version"`
	Automatic      bool            `json:"automatic"`
	Version        int64           `json:"version"`
	CreateTime     time.Time       `json:"create_time"`
	EndTime        *time.Time      `json:"end_time"`
}

type stepRow struct {
	RequestID      string              `json:"request_id"`
	ItemID         string              `json:"item_id"`
	Position       int                 `json:"position"`
	OrganizationID uuid.UUID           `json:"organization_id"`
	AppID          string              `json:"app_id"`
	FlowID         *string             `json:"flow_id"`
	FlowVersion    int32               `json:"flow_version"`
	Name           string              `json:"name"`
	Reviewers      lifecycle.Reviewers `json:"reviewers"`
	UserIDs        []string            `json:"user_ids"`
	GroupIDs       []string            `json:"group_ids"`
	Need           lifecycle.Need      `json:"need"`
	NeedCount      int                 `json:"need_count"`
	State          lifecycle.StepState `json:"state"`
	Needed         int                 `json:"needed"`
	Vacant         bool                `json:"vacant"`
	OpenTime       *time.Time          `json:"open_time"`
	EndTime        *time.Time          `json:"end_time"`
}

type taskRow struct {
	ID             string              `json:"id"`
	OrganizationID uuid.UUID           `json:"organization_id"`
	RequestID      string              `json:"request_id"`
	ItemID         string              `json:"item_id"`
	Position       int                 `json:"position"`
	ReviewerID     string              `json:"reviewer_id"`
	ReviewerName   string              `json:"reviewer_name"`
	ReviewerEmail  string              `json:"reviewer_email"`
	RequesterID    *string             `json:"requester_id"`
	BeneficiaryID  string              `json:"beneficiary_id"`
	State          lifecycle.TaskState `json:"state"`
	Substitution   string              `json:"substitution"`
	Comment        string              `json:"comment"`
	CreateTime     time.Time           `json:"create_time"`
	EndTime        *time.Time          `json:"end_time"`
	EndedByID      *string             `json:"ended_by_id"`
	EndedByName    string              `json:"ended_by_name"`
}

// bytea is how the database writes bytes in a text; nil is null.
type bytea []byte

func (b bytea) MarshalJSON() ([]byte, error) {
	if b == nil {
		return []byte("null"), nil
	}
	return json.Marshal(`\x` + hex.EncodeToString(b))
}

// Save writes what has changed of records, and the events that tell of it. What
// is there already goes with the commit; that a new approval exists is said at
// once.
func (s *Store) Save(ctx context.Context, tx *postgres.Tx, records []*Record, events ...outbox.Event) error {
	var approvals, steps, tasks struct{ added, changed []any }
	for _, r := range records {
		row, err := r.row()
		if err != nil {
			return err
		}
		if r.Change == lifecycle.Added {
			approvals.added = append(approvals.added, row)
		} else {
			approvals.changed = append(approvals.changed, row)
		}
		for _, st := range r.Steps {
			switch st.Change {
			case lifecycle.Added:
				steps.added = append(steps.added, r.stepRow(st))
			case lifecycle.Changed:
				steps.changed = append(steps.changed, r.stepRow(st))
			}
		}
		for _, t := range r.Tasks {
			switch t.Change {
			case lifecycle.Added:
				tasks.added = append(tasks.added, r.taskRow(t))
			case lifecycle.Changed:
				tasks.changed = append(tasks.changed, r.taskRow(t))
			}
		}
	}
	b := &pgx.Batch{}
	for _, write := range []struct {
		sql  string
		rows []any
	}{
		{insertApprovals, approvals.added}, {updateApprovals, approvals.changed},
		{insertSteps, steps.added}, {updateSteps, steps.changed},
		// Before the new ones: a reviewer has one say in a step at a time.
		{updateTasks, tasks.changed}, {insertTasks, tasks.added},
	} {
		if len(write.rows) == 0 {
			continue
		}
		text, err := json.Marshal(write.rows)
		if err != nil {
			return fmt.Errorf("save approvals: %w", err)
		}
		b.Queue(write.sql, text)
	}
	if err := s.events.Queue(ctx, tx, b, events...); err != nil {
		return err
	}
	if len(approvals.added) == 0 {
		tx.Later(b)
		return nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		if name, ok := postgres.Constraint(err); ok && name == "approval_pkey" {
			return fmt.Errorf("save approvals: %w", errors.Join(ErrExists, err))
		}
		return fmt.Errorf("save approvals: %w", err)
	}
	return nil
}

func (r *Record) row() (approvalRow, error) {
	row := approvalRow{
		RequestID: r.RequestID, OrganizationID: r.OrganizationID, State: r.State,
		RequesterID: orNull(r.Requester.ID), BeneficiaryID: orNull(r.Beneficiary.ID),
		FlowID: orNull(r.FlowID), FlowVersion: r.FlowVersion, Automatic: r.Automatic,
		Version: r.Version, CreateTime: r.CreateTime, EndTime: orNever(r.EndTime),
	}
	if r.Request != nil && r.Unwritten {
		raw, err := proto.Marshal(r.Request)
		if err != nil {
			return row, fmt.Errorf("write request: %w", err)
		}
		row.Request = raw
	}
	return row, nil
}

func (r *Record) stepRow(s *lifecycle.Step) stepRow {
	return stepRow{
		RequestID: r.RequestID, ItemID: s.ItemID, Position: s.Position, OrganizationID: r.OrganizationID, AppID: s.AppID,
		FlowID: orNull(s.FlowID), FlowVersion: s.FlowVersion, Name: s.Spec.Name, Reviewers: s.Spec.Reviewers,
		UserIDs: orEmpty(s.Spec.UserIDs), GroupIDs: orEmpty(s.Spec.GroupIDs), Need: s.Spec.Need, NeedCount: s.Spec.NeedCount,
		State: s.State, Needed: s.Need, Vacant: s.Vacant, OpenTime: orNever(s.OpenTime), EndTime: orNever(s.EndTime),
	}
}

func (r *Record) taskRow(t *lifecycle.Task) taskRow {
	return taskRow{
		ID: t.ID, OrganizationID: r.OrganizationID, RequestID: r.RequestID, ItemID: t.ItemID, Position: t.Position,
		ReviewerID: t.Reviewer.ID, ReviewerName: t.Reviewer.Name, ReviewerEmail: t.Reviewer.Email,
		RequesterID: orNull(r.Requester.ID), BeneficiaryID: r.Beneficiary.ID, State: t.State, Substitution: t.Substitution, Comment: t.Comment,
		CreateTime: t.CreateTime, EndTime: orNever(t.EndTime), EndedByID: orNull(t.EndedBy.ID), EndedByName: t.EndedBy.Name,
	}
}

func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

func orNever(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orEmpty(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}
