package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
// costs.
const (
	insertApprovals = `
insert into approval (request_id, organization_id, state, request, requester_id, beneficiary_id, flow_id, flow_version, automatic, version,
       create_time, end_time)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::uuid[], $6::uuid[], $7::uuid[], $8::int[], $9::bool[], $10::bigint[],
       $11::timestamptz[], $12::timestamptz[]) n (request_id)
order by n.request_id`
	updateApprovals = `
update approval a set state = n.state, request = coalesce(n.request, a.request), requester_id = coalesce(n.requester_id, a.requester_id),
       beneficiary_id = coalesce(n.beneficiary_id, a.beneficiary_id), version = n.version, end_time = n.end_time
from unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[], $5::uuid[], $6::bigint[], $7::timestamptz[])
       n (request_id, state, request, requester_id, beneficiary_id, version, end_time)
where a.request_id = n.request_id`
	insertSteps = `
insert into step (request_id, item_id, position, organization_id, app_id, flow_id, flow_version, name, reviewers, user_ids, group_ids, need,
       need_count, state, needed, vacant, open_time, end_time)
select n.request_id, n.item_id, n.position, n.organization_id, n.app_id, n.flow_id, n.flow_version, n.name, n.reviewers, n.user_ids::uuid[],
       n.group_ids::uuid[], n.need, n.need_count, n.state, n.needed, n.vacant, n.open_time, n.end_time
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::uuid[], $6::uuid[], $7::int[], $8::text[], $9::text[], $10::text[], $11::text[],
       $12::text[], $13::int[], $14::text[], $15::int[], $16::bool[], $17::timestamptz[], $18::timestamptz[])
       n (request_id, item_id, position, organization_id, app_id, flow_id, flow_version, name, reviewers, user_ids, group_ids, need,
       need_count, state, needed, vacant, open_time, end_time)`
	updateSteps = `
update step s set state = n.state, needed = n.needed, vacant = n.vacant, open_time = n.open_time, end_time = n.end_time
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::int[], $6::bool[], $7::timestamptz[], $8::timestamptz[])
       n (request_id, item_id, position, state, needed, vacant, open_time, end_time)
where s.request_id = n.request_id and s.item_id = n.item_id and s.position = n.position`
	insertTasks = `
insert into task (id, organization_id, request_id, item_id, position, reviewer_id, reviewer_name, reviewer_email, requester_id, beneficiary_id,
       state, substitution, comment, create_time, end_time, ended_by_id, ended_by_name)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::uuid[], $7::text[], $8::text[], $9::uuid[], $10::uuid[],
       $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[], $16::uuid[], $17::text[])`
	updateTasks = `
update task t set state = n.state, comment = n.comment, end_time = n.end_time, ended_by_id = n.ended_by_id, ended_by_name = n.ended_by_name
from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[], $6::text[])
       n (id, state, comment, end_time, ended_by_id, ended_by_name)
where t.id = n.id`
)

// itsStep and itsTask are a step and a task with the record they belong to.
type itsStep struct {
	of *Record
	*lifecycle.Step
}

type itsTask struct {
	of *Record
	*lifecycle.Task
}

// Save writes what has changed of records, and the events that tell of it. What
// is there already goes with the commit; whether a new approval exists is said
// at once.
func (s *Store) Save(ctx context.Context, tx *postgres.Tx, records []*Record, events ...outbox.Event) error {
	var added, changed []*Record
	var stepsAdded, stepsChanged []itsStep
	var tasksAdded, tasksChanged []itsTask
	for _, r := range records {
		if r.Change == lifecycle.Added {
			added = append(added, r)
		} else {
			changed = append(changed, r)
		}
		for _, st := range r.Steps {
			switch st.Change {
			case lifecycle.Added:
				stepsAdded = append(stepsAdded, itsStep{r, st})
			case lifecycle.Changed:
				stepsChanged = append(stepsChanged, itsStep{r, st})
			}
		}
		for _, t := range r.Tasks {
			switch t.Change {
			case lifecycle.Added:
				tasksAdded = append(tasksAdded, itsTask{r, t})
			case lifecycle.Changed:
				tasksChanged = append(tasksChanged, itsTask{r, t})
			}
		}
	}
	b := &pgx.Batch{}
	if err := queueApprovals(b, added, changed); err != nil {
		return err
	}
	queueSteps(b, stepsAdded, stepsChanged)
	queueTasks(b, tasksAdded, tasksChanged)
	if err := s.events.Queue(ctx, tx, b, events...); err != nil {
		return err
	}
	if len(added) == 0 {
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

func queueApprovals(b *pgx.Batch, added, changed []*Record) error {
	request := make(map[*Record][]byte)
	for _, r := range slices.Concat(added, changed) {
		if r.Request == nil || !r.Unwritten {
			continue
		}
		raw, err := proto.Marshal(r.Request)
		if err != nil {
			return fmt.Errorf("write request: %w", err)
		}
		request[r] = raw
	}
	var (
		id          = func(r *Record) string { return r.RequestID }
		state       = func(r *Record) string { return string(r.State) }
		raw         = func(r *Record) []byte { return request[r] }
		requester   = func(r *Record) *string { return orNull(r.Requester.ID) }
		beneficiary = func(r *Record) *string { return orNull(r.Beneficiary.ID) }
		version     = func(r *Record) int64 { return r.Version }
		end         = func(r *Record) *time.Time { return orNever(r.EndTime) }
	)
	if n := added; len(n) > 0 {
		b.Queue(insertApprovals, postgres.Column(n, id), postgres.Column(n, func(r *Record) uuid.UUID { return r.OrganizationID }), postgres.Column(n, state), postgres.Column(n, raw),
			postgres.Column(n, requester), postgres.Column(n, beneficiary), postgres.Column(n, func(r *Record) *string { return orNull(r.FlowID) }),
			postgres.Column(n, func(r *Record) int32 { return r.FlowVersion }), postgres.Column(n, func(r *Record) bool { return r.Automatic }),
			postgres.Column(n, version), postgres.Column(n, func(r *Record) time.Time { return r.CreateTime }), postgres.Column(n, end))
	}
	if n := changed; len(n) > 0 {
		b.Queue(updateApprovals, postgres.Column(n, id), postgres.Column(n, state), postgres.Column(n, raw), postgres.Column(n, requester), postgres.Column(n, beneficiary),
			postgres.Column(n, version), postgres.Column(n, end))
	}
	return nil
}

func queueSteps(b *pgx.Batch, added, changed []itsStep) {
	var (
		request  = func(s itsStep) string { return s.of.RequestID }
		item     = func(s itsStep) string { return s.ItemID }
		position = func(s itsStep) int { return s.Position }
		state    = func(s itsStep) string { return string(s.State) }
		needed   = func(s itsStep) int { return s.Need }
		vacant   = func(s itsStep) bool { return s.Vacant }
		opened   = func(s itsStep) *time.Time { return orNever(s.OpenTime) }
		end      = func(s itsStep) *time.Time { return orNever(s.EndTime) }
	)
	if n := added; len(n) > 0 {
		b.Queue(insertSteps, postgres.Column(n, request), postgres.Column(n, item), postgres.Column(n, position),
			postgres.Column(n, func(s itsStep) uuid.UUID { return s.of.OrganizationID }), postgres.Column(n, func(s itsStep) string { return s.AppID }),
			postgres.Column(n, func(s itsStep) *string { return orNull(s.FlowID) }), postgres.Column(n, func(s itsStep) int32 { return s.FlowVersion }),
			postgres.Column(n, func(s itsStep) string { return s.Spec.Name }), postgres.Column(n, func(s itsStep) string { return string(s.Spec.Reviewers) }),
			postgres.Column(n, func(s itsStep) string { return postgres.IDs(s.Spec.UserIDs) }), postgres.Column(n, func(s itsStep) string { return postgres.IDs(s.Spec.GroupIDs) }),
			postgres.Column(n, func(s itsStep) string { return string(s.Spec.Need) }), postgres.Column(n, func(s itsStep) int { return s.Spec.NeedCount }),
			postgres.Column(n, state), postgres.Column(n, needed), postgres.Column(n, vacant), postgres.Column(n, opened), postgres.Column(n, end))
	}
	if n := changed; len(n) > 0 {
		b.Queue(updateSteps, postgres.Column(n, request), postgres.Column(n, item), postgres.Column(n, position), postgres.Column(n, state), postgres.Column(n, needed), postgres.Column(n, vacant),
			postgres.Column(n, opened), postgres.Column(n, end))
	}
}

// queueTasks queues the changed ones first: a reviewer has one say in a step at
// a time.
func queueTasks(b *pgx.Batch, added, changed []itsTask) {
	var (
		id      = func(t itsTask) string { return t.ID }
		state   = func(t itsTask) string { return string(t.State) }
		comment = func(t itsTask) string { return t.Comment }
		end     = func(t itsTask) *time.Time { return orNever(t.EndTime) }
		endedBy = func(t itsTask) *string { return orNull(t.EndedBy.ID) }
		ender   = func(t itsTask) string { return t.EndedBy.Name }
	)
	if n := changed; len(n) > 0 {
		b.Queue(updateTasks, postgres.Column(n, id), postgres.Column(n, state), postgres.Column(n, comment), postgres.Column(n, end), postgres.Column(n, endedBy), postgres.Column(n, ender))
	}
	if n := added; len(n) > 0 {
		b.Queue(insertTasks, postgres.Column(n, id), postgres.Column(n, func(t itsTask) uuid.UUID { return t.of.OrganizationID }),
			postgres.Column(n, func(t itsTask) string { return t.of.RequestID }), postgres.Column(n, func(t itsTask) string { return t.ItemID }),
			postgres.Column(n, func(t itsTask) int { return t.Position }), postgres.Column(n, func(t itsTask) string { return t.Reviewer.ID }),
			postgres.Column(n, func(t itsTask) string { return t.Reviewer.Name }), postgres.Column(n, func(t itsTask) string { return t.Reviewer.Email }),
			postgres.Column(n, func(t itsTask) *string { return orNull(t.of.Requester.ID) }), postgres.Column(n, func(t itsTask) string { return t.of.Beneficiary.ID }),
			postgres.Column(n, state), postgres.Column(n, func(t itsTask) string { return t.Substitution }), postgres.Column(n, comment),
			postgres.Column(n, func(t itsTask) time.Time { return t.CreateTime }), postgres.Column(n, end), postgres.Column(n, endedBy), postgres.Column(n, ender))
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
