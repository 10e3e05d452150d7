package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
)

// Checklist is one row of checklist.
type Checklist struct {
	ID, UserID uuid.UUID
	// EnvironmentID is what the items' accounts belong to.
	EnvironmentID uuid.UUID
	Kind          lifecycle.List
	JoinCount     int32
	OpenCount     int32
	ItemCount     int32
	CreateTime    time.Time
	CloseTime     *time.Time
	// DueTime is until when it should be done; nil if that was never set.
	DueTime *time.Time
	// Overdue means that it is open, and was so when DueTime came.
	Overdue bool
	Version int64
}

// ChecklistSettings are how long the people of an organization have for checklists.
type ChecklistSettings struct {
	OrganizationID          uuid.UUID
	Onboarding, Offboarding time.Duration
	// Version is 0 if they were never set.
	Version int64
}

// DefaultChecklistSettings are those of organizations that have set none.
func DefaultChecklistSettings(org uuid.UUID) ChecklistSettings {
	return ChecklistSettings{OrganizationID: org, Onboarding: 3 * 24 * time.Hour, Offboarding: 24 * time.Hour}
}

// GetChecklistSettings reads the settings of an organization. With lock nobody else
// changes them until the transaction ends.
func GetChecklistSettings(ctx context.Context, tx *postgres.Tx, org uuid.UUID, lock bool) (ChecklistSettings, error) {
	s := DefaultChecklistSettings(org)
	if lock {
		// There may be no row to lock yet.
		if _, err := tx.Exec(ctx, `
			insert into checklist_settings (organization_id, onboarding_period, offboarding_period, version) values ($1, $2, $3, 0)
			on conflict (organization_id) do update set version = checklist_settings.version`,
			org, seconds(s.Onboarding), seconds(s.Offboarding)); err != nil {
			return s, wrap(err, "lock checklist settings")
		}
	}
	var on, off int64
	err := tx.QueryRow(ctx, `select onboarding_period, offboarding_period, version from checklist_settings where organization_id = $1`, org).Scan(&on, &off, &s.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, nil
	}
	s.Onboarding, s.Offboarding = time.Duration(on)*time.Second, time.Duration(off)*time.Second
	return s, wrap(err, "read checklist settings")
}

// UpdateChecklistSettings writes settings that are locked.
func UpdateChecklistSettings(ctx context.Context, tx *postgres.Tx, s ChecklistSettings) error {
	_, err := tx.Exec(ctx, `update checklist_settings set onboarding_period = $2, offboarding_period = $3, version = $4 where organization_id = $1`,
		s.OrganizationID, seconds(s.Onboarding), seconds(s.Offboarding), s.Version)
	return wrap(err, "update checklist settings")
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// LockChecklists reads checklists under their locks.
func LockChecklists(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID) ([]NamedChecklist, error) {
	rows, err := tx.Query(ctx, `
		select `+checklistColumns+`, c.organization_id, u.id, u.display_name, u.email
		from checklist c join user_copy u on u.id = c.user_id where c.id = any($1) order by c.id for update of c`, ids)
	if err != nil {
		return nil, wrap(err, "lock checklists")
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n NamedChecklist, err error) {
		n.Checklist, err = scanChecklist(row, &n.OrganizationID, &n.User.ID, &n.User.DisplayName, &n.User.Email)
		return n, err
	})
	return list, wrap(err, "lock checklists")
}

// SetDue writes until when a checklist that is locked should be done, and whether it is
// overdue.
func SetDue(ctx context.Context, tx *postgres.Tx, c Checklist) error {
	_, err := tx.Exec(ctx, `update checklist set due_time = $2, overdue = $3, version = $4 where id = $1`, c.ID, c.DueTime, c.Overdue, c.Version)
	return wrap(err, "update checklist")
}

// CountOverdue counts the checklists of all organizations that are overdue.
func CountOverdue(ctx context.Context, tx *postgres.Tx) (n int64, err error) {
	err = tx.QueryRow(ctx, `select count(*) from checklist where overdue`).Scan(&n)
	return n, wrap(err, "count checklists that are overdue")
}

// checklistSpace is where checklists' ids are.
var checklistSpace = uuid.MustParse("6f0c2ab4-5be4-4c53-9d0f-2a3d6d3f7f10")

// ChecklistID is the id of a person's checklist in an environment.
func ChecklistID(user, environment uuid.UUID, kind lifecycle.List, joinCount int32) uuid.UUID {
	name := append([]byte(string(kind)), byte(joinCount>>24), byte(joinCount>>16), byte(joinCount>>8), byte(joinCount))
	return uuid.NewSHA1(checklistSpace, append(append(name, user[:]...), environment[:]...))
}

// Count is by how much a checklist's counts change.
type Count struct {
	Checklist
	Open, Items int32
	// Opened and Closed are set when the change is written: the checklist has
	// its first open item, or none any more.
	Opened, Closed bool
}

// Queue queues the change. Afterwards the Checklist is as written.
func (c *Count) Queue(b *pgx.Batch, org uuid.UUID, at time.Time) {
	if c.Open <= 0 { // it is there
		b.Queue(`
			update checklist as c set open_count = c.open_count + $2, item_count = c.item_count + $3, version = c.version + 1,
			    overdue = c.overdue and c.open_count + $2 > 0, close_time = case when c.open_count + $2 = 0 then coalesce(c.close_time, $4) end
			where id = $1
			returning `+checklistColumns, c.ID, c.Open, c.Items, at).QueryRow(c.scan)
		return
	}
	otherwise := DefaultChecklistSettings(org)
	period := otherwise.Offboarding
	if c.Kind == lifecycle.Onboarding {
		period = otherwise.Onboarding
	}
	b.Queue(`
		insert into checklist as c (id, organization_id, user_id, kind, join_count, open_count, item_count, create_time, environment_id, version, due_time)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $8::timestamptz + make_interval(secs => coalesce(
		    (select case when $11 then s.onboarding_period else s.offboarding_period end from checklist_settings s where s.organization_id = $2), $10)))
		on conflict (id) do update set open_count = c.open_count + $6, item_count = c.item_count + $7, version = c.version + 1,
		    due_time = case when c.open_count = 0 then excluded.due_time else c.due_time end, overdue = c.overdue and c.open_count + $6 > 0,
		    close_time = case when c.open_count + $6 = 0 then coalesce(c.close_time, $8) end
		returning `+checklistColumns,
		c.ID, org, c.UserID, string(c.Kind), c.JoinCount, c.Open, c.Items, at, c.EnvironmentID, seconds(period), c.Kind == lifecycle.Onboarding).QueryRow(c.scan)
}

func (c *Count) scan(row pgx.Row) (err error) {
	c.Checklist, err = scanChecklist(row)
	c.Opened = c.OpenCount > 0 && c.OpenCount == c.Open
	c.Closed = c.OpenCount == 0 && c.Open < 0
	return err
}

// checklistColumns are read by scanChecklist, of checklist as c.
const checklistColumns = `c.id, c.user_id, c.environment_id, c.kind, c.join_count, c.open_count, c.item_count, c.create_time, c.close_time, c.due_time, c.overdue, c.version`

func scanChecklist(row pgx.Row, more ...any) (Checklist, error) {
	var c Checklist
	err := row.Scan(append([]any{&c.ID, &c.UserID, &c.EnvironmentID, &c.Kind, &c.JoinCount, &c.OpenCount, &c.ItemCount, &c.CreateTime, &c.CloseTime, &c.DueTime, &c.Overdue, &c.Version}, more...)...)
	return c, err
}
