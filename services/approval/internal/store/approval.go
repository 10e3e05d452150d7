package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// Store reads and writes. It may be used by any number of goroutines.
type Store struct {
	events *outbox.Writer
	now    func() time.Time
	flows  flowCache
}

// New makes a store that emits events by way of events, and has the time from now.
func New(events *outbox.Writer, now func() time.Time) *Store { return &Store{events: events, now: now} }

// ErrExists says that another transaction has saved the same new approval a
// moment ago.
var ErrExists = errors.New("the approval exists")

// Record is an approval as it is stored.
type Record struct {
	*lifecycle.Approval
	// OrganizationID is the organization that it belongs to.
	OrganizationID uuid.UUID
	// Request is the encoded gatehouse.request.v1.Request; nil if the request
	// was cancelled before it was submitted here.
	Request []byte
	// Version counts the events of the approval.
	Version int64
	// NextTimeSaved is when the approval is looked at next; zero if it is not.
	NextTimeSaved time.Time
	// WaitsFor is the beneficiary if nobody is to be asked while they are not active;
	// it is written with a new approval.
	WaitsFor string
	// New says that the database does not have the approval yet, and
	// RequestUnsaved that it does not have Request yet.
	New, RequestUnsaved bool
}

const (
	selectApproval = `
select a.request_id, a.organization_id, a.environment_id, a.request, a.state, a.data from approval a`
	loadByRequest = selectApproval + ` where a.request_id = $1 for update`
	// A row is locked before it is read: another decision is waited for and
	// seen.
	loadByTasks = selectApproval + `
where a.request_id = any (array(select t.request_id from task t where t.id = any ($1))) order by a.request_id for update`
	readByRequest = selectApproval + ` where a.request_id = $1`
)

// Load locks and reads the approval of a request. Nil if there is none.
func (s *Store) Load(ctx context.Context, tx *postgres.Tx, requestID string) (*Record, error) {
	return load(ctx, tx, loadByRequest, requestID)
}

// LoadByTasks locks and reads the approvals that tasks are in, by the tasks' ids.
// Those that do not exist are left out.
func (s *Store) LoadByTasks(ctx context.Context, tx *postgres.Tx, taskIDs []string) (map[string]*Record, error) {
	rows, err := tx.Query(ctx, loadByTasks, taskIDs)
	if err != nil {
		return nil, fmt.Errorf("load approvals: %w", err)
	}
	records, err := pgx.CollectRows(rows, scanApproval)
	if err != nil {
		return nil, fmt.Errorf("load approvals: %w", err)
	}
	byTask := make(map[string]*Record, len(taskIDs))
	for _, r := range records {
		for _, t := range r.Tasks {
			if slices.Contains(taskIDs, t.ID) {
				byTask[t.ID] = r
			}
		}
	}
	return byTask, nil
}

func load(ctx context.Context, tx *postgres.Tx, sql, id string) (*Record, error) {
	rows, err := tx.Query(ctx, sql, id)
	if err != nil {
		return nil, fmt.Errorf("load approval: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanApproval)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load approval: %w", err)
	}
	return r, nil
}

func scanApproval(row pgx.CollectableRow) (*Record, error) {
	r := &Record{Approval: &lifecycle.Approval{}}
	var environment uuid.UUID
	var data []byte
	if err := row.Scan(&r.RequestID, &r.OrganizationID, &environment, &r.Request, &r.State, &data); err != nil {
		return nil, err
	}
	r.EnvironmentID = environmentID(environment)
	return r, decode(data, r)
}

// Approvals and tasks are written as sets, each table by one statement, however
// many approvals they are of.
const (
	insertApprovals = `
insert into approval (request_id, organization_id, environment_id, request, state, vacant, data, waits_for, flow_ids)
select n.request_id, n.organization_id, n.environment_id, n.request, n.state, n.vacant, n.data, n.waits_for, n.flow_ids::uuid[]
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::text[], $6::boolean[], $7::bytea[], $8::uuid[], $9::text[])
    n (request_id, organization_id, environment_id, request, state, vacant, data, waits_for, flow_ids)
order by n.request_id`
	updateApprovals = `
update approval a set environment_id = n.environment_id, request = coalesce(n.request, a.request), state = n.state, vacant = n.vacant, held = n.held, data = n.data,
    flow_ids = n.flow_ids::uuid[]
from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[], $5::boolean[], $6::boolean[], $7::bytea[], $8::text[])
    n (request_id, environment_id, request, state, vacant, held, data, flow_ids)
where a.request_id = n.request_id`
	// A task changes its state and nothing else.
	saveTasks = `
insert into task (id, organization_id, environment_id, request_id, item_id, position, reviewer_id, requester_id, beneficiary_id, create_time, state, together, place)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::int[], $7::uuid[], $8::uuid[], $9::uuid[], $10::timestamptz[], $11::text[],
	$12::uuid[], $13::int[])
on conflict (id) do update set state = excluded.state`
)

// row is an approval to be written, and taskRow a task of one.
type row struct {
	*Record
	data []byte
}

type taskRow struct {
	of *Record
	*lifecycle.Task
}

// Save writes records and those of their tasks that are new or have changed,
// and emits events. Everything goes with the commit, except new approvals:
// whether they exist already is known at once ([ErrExists]).
func (s *Store) Save(ctx context.Context, tx *postgres.Tx, records []*Record, events ...outbox.Event) error {
	var added, changed []row
	var tasks []taskRow
	for _, r := range records {
		data, err := encode(r)
		if err != nil {
			return err
		}
		if r.New {
			added = append(added, row{r, data})
		} else {
			changed = append(changed, row{r, data})
		}
		// In the order in which they were created: a task ends before another
		// of the same reviewer begins.
		for _, t := range r.Tasks {
			if t.Unsaved {
				tasks = append(tasks, taskRow{r, t})
			}
		}
	}
	b := &pgx.Batch{}
	queueApprovals(b, added, changed)
	queueTasks(b, tasks)
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

func queueApprovals(b *pgx.Batch, added, changed []row) {
	var (
		id          = func(r row) string { return r.RequestID }
		environment = func(r row) uuid.UUID { return environmentUUID(r.EnvironmentID) }
		request     = func(r row) []byte {
			if r.RequestUnsaved {
				return r.Request
			}
			return nil
		}
		state  = func(r row) string { return string(r.State) }
		vacant = func(r row) bool { return len(r.Vacancies()) > 0 }
		data   = func(r row) []byte { return r.data }
		// An array of arrays of several lengths there is not.
		flows = func(r row) string { return "{" + strings.Join(r.OpenFlows(), ",") + "}" }
	)
	if n := added; len(n) > 0 {
		b.Queue(insertApprovals, postgres.Column(n, id), postgres.Column(n, func(r row) uuid.UUID { return r.OrganizationID }),
			postgres.Column(n, environment), postgres.Column(n, request), postgres.Column(n, state), postgres.Column(n, vacant), postgres.Column(n, data),
			postgres.Column(n, func(r row) *string { return orNull(r.WaitsFor) }), postgres.Column(n, flows))
	}
	if n := changed; len(n) > 0 {
		b.Queue(updateApprovals, postgres.Column(n, id), postgres.Column(n, environment), postgres.Column(n, request), postgres.Column(n, state),
			postgres.Column(n, vacant), postgres.Column(n, func(r row) bool { return r.Held }), postgres.Column(n, data), postgres.Column(n, flows))
	}
}

func queueTasks(b *pgx.Batch, n []taskRow) {
	if len(n) == 0 {
		return
	}
	b.Queue(saveTasks, postgres.Column(n, func(t taskRow) string { return t.ID }),
		postgres.Column(n, func(t taskRow) uuid.UUID { return t.of.OrganizationID }),
		postgres.Column(n, func(t taskRow) uuid.UUID { return environmentUUID(t.of.EnvironmentID) }),
		postgres.Column(n, func(t taskRow) string { return t.of.RequestID }), postgres.Column(n, func(t taskRow) string { return t.ItemID }),
		postgres.Column(n, func(t taskRow) int { return t.Position }), postgres.Column(n, func(t taskRow) string { return t.Reviewer.ID }),
		postgres.Column(n, func(t taskRow) *string { return orNull(t.of.Requester.ID) }), postgres.Column(n, func(t taskRow) string { return t.of.Beneficiary.ID }),
		postgres.Column(n, func(t taskRow) time.Time { return t.CreateTime }), postgres.Column(n, func(t taskRow) string { return string(t.State) }),
		postgres.Column(n, func(t taskRow) uuid.UUID { return t.together() }), postgres.Column(n, func(t taskRow) int { return t.of.Place(t.Task) }))
}

// together is the same for tasks that one person decides as one, whatever their states:
// see [lifecycle.Approval.Together].
func (t taskRow) together() uuid.UUID {
	return uuid.NewSHA1(environmentUUID(t.of.RequestID), []byte(t.Reviewer.ID+"/"+t.of.RuleOf(t.Task)))
}

func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

func orZero(id string) string {
	if id == "" {
		return uuid.Nil.String()
	}
	return id
}

// environmentID is an environment's id as the rules have it, and
// environmentUUID as a column has it.
func environmentID(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func environmentUUID(id string) uuid.UUID {
	u, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil
	}
	return u
}
