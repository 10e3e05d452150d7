package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

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
	// Unwritten says that the database does not have Request yet.
	Unwritten bool
	// Version counts the events that tell of it.
	Version int64
	// People are whom its reviewers are chosen from, as far as they were read.
	People *lifecycle.People
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

func newPeople() *lifecycle.People {
	return &lifecycle.People{
		Users: make(map[string]lifecycle.User), Apps: make(map[string]lifecycle.App), Members: make(map[string][]string),
	}
}

// Wanted says which people are to be read.
type Wanted struct {
	// ManagersOf is whose managers, all the way up.
	ManagersOf []string
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
	if len(w.ManagersOf) > 0 {
		// Managers in a circle end at the depth.
		users(`
with recursive chain as (
    select u.id, u.display_name, u.email, u.manager_id, u.can_decide, 1 as depth from user_copy u where u.id = any ($1)
    union all
    select u.id, u.display_name, u.email, u.manager_id, u.can_decide, c.depth + 1
    from chain c join user_copy u on u.id = c.manager_id where c.depth < 16
)
select id, display_name, email, coalesce(manager_id::text, ''), can_decide from chain`, w.ManagersOf)
	}
	if len(apps) > 0 {
		queueApps(b, people, apps)
		users(selectUser+`
where u.id = any (array(select unnest(a.admin_ids || a.approver_ids || a.owner_id) from app_copy a where a.id = any ($1)))`, apps)
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
where u.id = any (array(select m.user_id from group_member_copy m where m.group_id = any ($1) and m.present))`, w.GroupIDs)
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

func queueApps(b *pgx.Batch, p *lifecycle.People, ids []string) {
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
