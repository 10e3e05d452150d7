package store

import (
	"cmp"
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
	"gatehouse.dev/services/approval/internal/wire"

	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Store reads and writes. It may be used by any number of goroutines.
type Store struct {
	events *outbox.Writer
	flows  flowCache
}

// New makes a store whose changes tell their events by way of events.
func New(events *outbox.Writer) *Store { return &Store{events: events} }

// ErrExists says that the approval to be written is there already, written by
// somebody else a moment ago.
var ErrExists = errors.New("the approval exists")

// Record is an approval with what belongs to it.
type Record struct {
	*lifecycle.Approval
	// OrganizationID is whose it is.
	OrganizationID uuid.UUID
	// Request is nil if the request was taken back before it was heard of.
	Request *requestv1.Request
	// Version counts the events that tell of it.
	Version int64
	// People are whom its reviewers are chosen from, as far as they were read.
	People lifecycle.People
}

const (
	ofRequest = `$1::uuid`
	ofTask    = `(select t.request_id from task t where t.id = $1)`
)

// loadSQL is what is read of an approval: each statement after the first sees
// what the lock of the first waited for.
type loadSQL struct{ approval, steps, tasks string }

func makeLoadSQL(request string) loadSQL {
	return loadSQL{
		approval: `
select a.request_id, a.organization_id, a.state, a.request, coalesce(a.flow_id::text, ''), a.flow_version, a.automatic,
       a.version, a.create_time, coalesce(a.end_time, '0001-01-01T00:00:00Z')
from approval a where a.request_id = ` + request + ` for update`,
		steps: `
select item_id, app_id, position, coalesce(flow_id::text, ''), flow_version, name, reviewers, user_ids, group_ids, need, need_count,
       state, needed, vacant, coalesce(open_time, '0001-01-01T00:00:00Z'), coalesce(end_time, '0001-01-01T00:00:00Z')
from step where request_id = ` + request,
		tasks: `
select id, item_id, position, reviewer_id, reviewer_name, reviewer_email, state, substitution, comment,
       create_time, coalesce(end_time, '0001-01-01T00:00:00Z'), coalesce(ended_by_id::text, ''), ended_by_name
from task where request_id = ` + request,
	}
}

var (
	loadOfTask    = makeLoadSQL(ofTask)
	loadOfRequest = makeLoadSQL(ofRequest)
)

// LoadForTask locks the approval that a task belongs to and reads it. Nil if
// there is no such task.
func (s *Store) LoadForTask(ctx context.Context, tx *postgres.Tx, taskID string) (*Record, error) {
	return load(ctx, tx, loadOfTask, taskID)
}

// Load locks the approval of a request and reads it. Nil if there is none.
func (s *Store) Load(ctx context.Context, tx *postgres.Tx, requestID string) (*Record, error) {
	return load(ctx, tx, loadOfRequest, requestID)
}

func load(ctx context.Context, tx *postgres.Tx, sql loadSQL, id string) (*Record, error) {
	var r *Record
	var err error
	b := &pgx.Batch{}
	b.Queue(sql.approval, id).Query(func(rows pgx.Rows) error {
		r, err = scanApproval(rows)
		return err
	})
	var steps []*lifecycle.Step
	b.Queue(sql.steps, id).Query(func(rows pgx.Rows) error {
		steps, err = pgx.CollectRows(rows, scanStep)
		return err
	})
	var tasks []*lifecycle.Task
	b.Queue(sql.tasks, id).Query(func(rows pgx.Rows) error {
		tasks, err = pgx.CollectRows(rows, scanTask)
		return err
	})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("load approval: %w", err)
	}
	if r == nil {
		return nil, nil
	}
	slices.SortFunc(steps, func(a, b *lifecycle.Step) int {
		return cmp.Or(cmp.Compare(a.ItemID, b.ItemID), cmp.Compare(a.Position, b.Position))
	})
	slices.SortFunc(tasks, func(a, b *lifecycle.Task) int {
		return cmp.Or(a.CreateTime.Compare(b.CreateTime), cmp.Compare(a.ID, b.ID))
	})
	r.Steps, r.Tasks, r.People = steps, tasks, newPeople()
	return r, nil
}

func scanApproval(rows pgx.Rows) (*Record, error) {
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	r := &Record{Approval: &lifecycle.Approval{}}
	var raw []byte
	if err := rows.Scan(&r.RequestID, &r.OrganizationID, &r.State, &raw, &r.FlowID, &r.FlowVersion, &r.Automatic,
		&r.Version, &r.CreateTime, &r.EndTime); err != nil {
		return nil, err
	}
	if raw != nil {
		r.Request = &requestv1.Request{}
		if err := proto.Unmarshal(raw, r.Request); err != nil {
			return nil, fmt.Errorf("read request: %w", err)
		}
		r.Requester, r.Beneficiary = wire.FromPerson(r.Request.GetRequester()), wire.FromPerson(r.Request.GetBeneficiary())
	}
	return r, rows.Err()
}

func scanStep(row pgx.CollectableRow) (*lifecycle.Step, error) {
	s := &lifecycle.Step{}
	err := row.Scan(&s.ItemID, &s.AppID, &s.Position, &s.FlowID, &s.FlowVersion, &s.Spec.Name, &s.Spec.Reviewers,
		&s.Spec.UserIDs, &s.Spec.GroupIDs, &s.Spec.Need, &s.Spec.NeedCount, &s.State, &s.Need, &s.Vacant, &s.OpenTime, &s.EndTime)
	return s, err
}

func scanTask(row pgx.CollectableRow) (*lifecycle.Task, error) {
	t := &lifecycle.Task{}
	err := row.Scan(&t.ID, &t.ItemID, &t.Position, &t.Reviewer.ID, &t.Reviewer.Name, &t.Reviewer.Email, &t.State,
		&t.Substitution, &t.Comment, &t.CreateTime, &t.EndTime, &t.EndedBy.ID, &t.EndedBy.Name)
	return t, err
}

func newPeople() lifecycle.People {
	return lifecycle.People{
		Users: make(map[string]lifecycle.User), Apps: make(map[string]lifecycle.App), Members: make(map[string][]string),
	}
}

// Wanted says which people are to be read.
type Wanted struct {
	// ManagersOf is whose managers, all the way up. Empty: nobody's.
	ManagersOf string
	// AppIDs are apps with their owners, approvers and admins.
	AppIDs []string
	// UserIDs and GroupIDs are users, and groups with their members.
	UserIDs, GroupIDs []string
	// AdminsOf is whose admins and IT admins. Nil: nobody's.
	AdminsOf uuid.UUID
}

const selectUser = `
select u.id, u.display_name, u.email, coalesce(u.manager_id::text, ''), u.can_decide from user_copy u`

// LoadPeople adds the wanted to people, in one round trip, or none if nobody is
// wanted.
func (s *Store) LoadPeople(ctx context.Context, tx *postgres.Tx, people *lifecycle.People, w Wanted) error {
	// Of apps that are read already only the people are missing.
	var apps []string
	ids := slices.Clone(w.UserIDs)
	for _, id := range w.AppIDs {
		if a, ok := people.Apps[id]; ok {
			ids = append(append(ids, a.AdminIDs...), a.ApproverIDs...)
			if a.OwnerID != "" {
				ids = append(ids, a.OwnerID)
			}
		} else {
			apps = append(apps, id)
		}
	}
	b := &pgx.Batch{}
	users := func(sql string, args ...any) {
		b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
			found, err := pgx.CollectRows(rows, scanUser)
			for _, u := range found {
				people.Users[u.ID] = u
			}
			return err
		})
	}
	if w.ManagersOf != "" {
		// Managers in a circle end at the depth.
		users(`
with recursive chain as (
    select u.id, u.display_name, u.email, u.manager_id, u.can_decide, 1 as depth from user_copy u where u.id = $1
    union all
    select u.id, u.display_name, u.email, u.manager_id, u.can_decide, c.depth + 1
    from chain c join user_copy u on u.id = c.manager_id where c.depth < 16
)
select id, display_name, email, coalesce(manager_id::text, ''), can_decide from chain`, w.ManagersOf)
	}
	if len(apps) > 0 {
		queueApps(b, *people, apps)
		users(selectUser+`
where u.id in (select unnest(a.admin_ids || a.approver_ids || a.owner_id) from app_copy a where a.id = any ($1))`, apps)
	}
	if len(ids) > 0 {
		users(selectUser+` where u.id = any ($1)`, ids)
	}
	if len(w.GroupIDs) > 0 {
		b.Queue(`
select m.group_id, m.user_id from group_member_copy m left join group_copy g on g.id = m.group_id
where m.group_id = any ($1) and m.present and (g.removed_version is null or g.removed_version < m.version)`, w.GroupIDs).Query(func(rows pgx.Rows) error {
			var group, user string
			_, err := pgx.ForEachRow(rows, []any{&group, &user}, func() error {
				people.Members[group] = append(people.Members[group], user)
				return nil
			})
			return err
		})
		users(selectUser+`
where u.id in (select m.user_id from group_member_copy m where m.group_id = any ($1) and m.present)`, w.GroupIDs)
	}
	if w.AdminsOf != uuid.Nil {
		b.Queue(selectUser+`
where u.organization_id = $1 and u.can_decide and u.role in ('admin', 'it_admin') order by u.id limit 100`, w.AdminsOf).Query(func(rows pgx.Rows) (err error) {
			people.Admins, err = pgx.CollectRows(rows, scanUser)
			return err
		})
	}
	if b.Len() == 0 {
		return nil
	}
	for _, g := range w.GroupIDs {
		delete(people.Members, g) // read anew
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load reviewers: %w", err)
	}
	return nil
}

func queueApps(b *pgx.Batch, p lifecycle.People, ids []string) {
	b.Queue(`
select id, coalesce(owner_id::text, ''), admin_ids, approver_ids from app_copy where id = any ($1)`, ids).Query(func(rows pgx.Rows) error {
		apps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (lifecycle.App, error) {
			var a lifecycle.App
			err := row.Scan(&a.ID, &a.OwnerID, &a.AdminIDs, &a.ApproverIDs)
			return a, err
		})
		for _, a := range apps {
			p.Apps[a.ID] = a
		}
		return err
	})
}

func scanUser(row pgx.CollectableRow) (lifecycle.User, error) {
	var u lifecycle.User
	err := row.Scan(&u.ID, &u.Name, &u.Email, &u.ManagerID, &u.CanDecide)
	return u, err
}

// Submission is what is known when a request is submitted.
type Submission struct {
	// Heard says that the request was heard of before: it has an approval, or
	// was taken back.
	Heard bool
	// TakenBack says that it was taken back before it was heard of, and Version
	// is that of the row that says so.
	TakenBack bool
	Version   int64
	// Flows are those that decide requests, or the join-flow that asked.
	Flows []lifecycle.Flow
	// Known says whether the beneficiary and every app is known here.
	Known bool
	// Member is the beneficiary as audiences see them.
	Member lifecycle.Member
	// People has the apps, and nobody yet.
	People lifecycle.People
}

// LoadSubmission reads what the approval of a request is planned from.
func (s *Store) LoadSubmission(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, r *requestv1.Request) (Submission, error) {
	var out Submission
	out.People = newPeople()
	beneficiary, apps := r.GetBeneficiary().GetUserId(), wire.AppIDs(r)

	b := &pgx.Batch{}
	b.Queue(`select request is not null, version from approval where request_id = $1 for update`, r.GetId()).Query(func(rows pgx.Rows) error {
		var whole bool
		_, err := pgx.ForEachRow(rows, []any{&whole, &out.Version}, func() error {
			out.Heard, out.TakenBack = true, !whole
			return nil
		})
		return err
	})
	var keys []flowKey
	if r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN {
		if r.GetFlowId() != "" {
			keys = append(keys, flowKey{r.GetFlowId(), r.GetFlowVersion()})
		}
	} else {
		b.Queue(`select id, version from flow where organization_id = $1 and trigger = 'request' and enabled`, organizationID).Query(func(rows pgx.Rows) error {
			var err error
			keys, err = pgx.CollectRows(rows, scanFlowKey)
			return err
		})
	}
	b.Queue(`
select state = 'active' from user_copy where id = $1`, beneficiary).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&out.Member.Active}, func() error { out.Known = true; return nil })
		return err
	})
	queueGroups(b, &out.Member.GroupIDs, beneficiary)
	queueApps(b, out.People, apps)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Submission{}, fmt.Errorf("load what request %s needs: %w", r.GetId(), err)
	}
	out.Member.ID = beneficiary
	out.Known = out.Known && len(out.People.Apps) == len(apps)
	if out.Heard && !out.TakenBack || !out.Known {
		return out, nil
	}
	flows, err := s.flowsOf(ctx, tx, organizationID, keys)
	if err != nil {
		return Submission{}, err
	}
	for _, f := range flows {
		out.Flows = append(out.Flows, f.rules)
	}
	return out, nil
}

const (
	insertApproval = `
insert into approval (request_id, organization_id, state, request, requester_id, beneficiary_id, flow_id, flow_version, automatic, version, create_time, end_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	updateApproval = `
update approval set state = $2, request = coalesce($3, request), requester_id = coalesce($4, requester_id),
       beneficiary_id = coalesce($5, beneficiary_id), version = $6, end_time = $7
where request_id = $1`
	insertStep = `
insert into step (request_id, item_id, position, organization_id, app_id, flow_id, flow_version, name, reviewers, user_ids, group_ids, need, need_count,
       state, needed, vacant, open_time, end_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`
	updateStep = `
update step set state = $4, needed = $5, vacant = $6, open_time = $7, end_time = $8
where request_id = $1 and item_id = $2 and position = $3`
	insertTask = `
insert into task (id, organization_id, request_id, item_id, position, reviewer_id, reviewer_name, reviewer_email, requester_id, beneficiary_id,
       state, substitution, comment, create_time, end_time, ended_by_id, ended_by_name)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`
	updateTask = `
update task set state = $2, comment = $3, end_time = $4, ended_by_id = $5, ended_by_name = $6
where id = $1`
)

// Save writes what has changed of a record, and the events that tell of it, in
// one round trip. whole says that the request is to be written too.
func (s *Store) Save(ctx context.Context, tx *postgres.Tx, r *Record, whole bool, events ...outbox.Event) error {
	var raw []byte
	if r.Request != nil && (whole || r.Change == lifecycle.Added) {
		var err error
		if raw, err = proto.Marshal(r.Request); err != nil {
			return fmt.Errorf("write request: %w", err)
		}
	}
	b := &pgx.Batch{}
	if r.Change == lifecycle.Added {
		b.Queue(insertApproval, r.RequestID, r.OrganizationID, r.State, raw, orNull(r.Requester.ID), orNull(r.Beneficiary.ID),
			orNull(r.FlowID), r.FlowVersion, r.Automatic, r.Version, r.CreateTime, orNever(r.EndTime))
	} else {
		b.Queue(updateApproval, r.RequestID, r.State, raw, orNull(r.Requester.ID), orNull(r.Beneficiary.ID), r.Version, orNever(r.EndTime))
	}
	for _, st := range r.Steps {
		switch st.Change {
		case lifecycle.Added:
			b.Queue(insertStep, r.RequestID, st.ItemID, st.Position, r.OrganizationID, st.AppID, orNull(st.FlowID), st.FlowVersion,
				st.Spec.Name, st.Spec.Reviewers, orEmpty(st.Spec.UserIDs), orEmpty(st.Spec.GroupIDs), st.Spec.Need, st.Spec.NeedCount,
				st.State, st.Need, st.Vacant, orNever(st.OpenTime), orNever(st.EndTime))
		case lifecycle.Changed:
			b.Queue(updateStep, r.RequestID, st.ItemID, st.Position, st.State, st.Need, st.Vacant, orNever(st.OpenTime), orNever(st.EndTime))
		}
	}
	for _, t := range r.Tasks {
		switch t.Change {
		case lifecycle.Added:
			b.Queue(insertTask, t.ID, r.OrganizationID, r.RequestID, t.ItemID, t.Position, t.Reviewer.ID, t.Reviewer.Name, t.Reviewer.Email,
				orNull(r.Requester.ID), r.Beneficiary.ID, t.State, t.Substitution, t.Comment, t.CreateTime, orNever(t.EndTime),
				orNull(t.EndedBy.ID), t.EndedBy.Name)
		case lifecycle.Changed:
			b.Queue(updateTask, t.ID, t.State, t.Comment, orNever(t.EndTime), orNull(t.EndedBy.ID), t.EndedBy.Name)
		}
	}
	if err := s.events.Queue(ctx, tx, b, events...); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		if name, ok := postgres.Constraint(err); ok && name == "approval_pkey" {
			return fmt.Errorf("save approval of request %s: %w", r.RequestID, errors.Join(ErrExists, err))
		}
		return fmt.Errorf("save approval of request %s: %w", r.RequestID, err)
	}
	return nil
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
