package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/worktime"
)

// WorkingTime is when people work: those of an environment, or of the organization.
type WorkingTime struct {
	OrganizationID uuid.UUID
	EnvironmentID  string // empty for the organization's
	worktime.Spec
	// Inherited says that the environment has none of its own: Spec is the organization's.
	Inherited bool
	// Version is 0 if it was never set.
	Version    int64
	UpdateTime time.Time
}

const (
	selectWorkingTimes = `
select environment_id, spec, version, update_time from working_time where organization_id = $1 and environment_id = any ($2)`
	// There may be no row to lock yet.
	lockWorkingTime = `
insert into working_time as w (organization_id, environment_id, version, update_time) values ($1, $2, 0, $3)
on conflict (organization_id, environment_id) do update set version = w.version`
	updateWorkingTime = `
update working_time set spec = $3, version = $4, update_time = $5 where organization_id = $1 and environment_id = $2`
	environmentName = `select name from environment_copy where id = $1`
)

// GetWorkingTime reads the working time of an environment, or with an empty id of the
// organization.
func (s *Store) GetWorkingTime(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, environmentID string) (WorkingTime, error) {
	var c Calendars
	b := &pgx.Batch{}
	c.queue(b, organizationID, []string{environmentID})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return WorkingTime{}, fmt.Errorf("read working time: %w", err)
	}
	return c.of(organizationID, environmentID), nil
}

// LockWorkingTime is GetWorkingTime; nobody else changes it until the transaction ends.
func (s *Store) LockWorkingTime(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, environmentID string, now time.Time) (WorkingTime, error) {
	if _, err := tx.Exec(ctx, lockWorkingTime, organizationID, environmentUUID(environmentID), now); err != nil {
		return WorkingTime{}, fmt.Errorf("lock working time: %w", err)
	}
	return s.GetWorkingTime(ctx, tx, organizationID, environmentID)
}

// UpdateWorkingTime writes a working time that is locked, and emits its event.
func (s *Store) UpdateWorkingTime(ctx context.Context, tx *postgres.Tx, w WorkingTime, event outbox.Event) error {
	var spec []byte
	if !w.Inherited {
		var err error
		if spec, err = json.Marshal(w.Spec); err != nil {
			return fmt.Errorf("encode working time: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, updateWorkingTime, w.OrganizationID, environmentUUID(w.EnvironmentID), spec, w.Version, w.UpdateTime); err != nil {
		return fmt.Errorf("update working time: %w", err)
	}
	return s.Emit(ctx, tx, event)
}

// EnvironmentName is the name of an environment that the scope has; empty if there is no
// such one.
func (s *Store) EnvironmentName(ctx context.Context, tx *postgres.Tx, id string) (string, error) {
	rows, err := tx.Query(ctx, environmentName, id)
	if err != nil {
		return "", fmt.Errorf("read environment: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// Calendars are the working times of one organization that were read. Its zero value is
// ready.
type Calendars struct {
	found map[string]WorkingTime // by environment
	made  map[string]*worktime.Calendar
}

// queue reads those of environments, and the organization's.
func (c *Calendars) queue(b *pgx.Batch, organizationID uuid.UUID, environmentIDs []string) {
	ids := []uuid.UUID{uuid.Nil}
	for _, e := range unique(environmentIDs) {
		if u := environmentUUID(e); u != uuid.Nil {
			ids = append(ids, u)
		}
	}
	b.Queue(selectWorkingTimes, organizationID, ids).Query(func(rows pgx.Rows) error {
		c.found, c.made = make(map[string]WorkingTime), make(map[string]*worktime.Calendar)
		var environment uuid.UUID
		var spec []byte
		var w WorkingTime
		_, err := pgx.ForEachRow(rows, []any{&environment, &spec, &w.Version, &w.UpdateTime}, func() error {
			w.OrganizationID, w.EnvironmentID, w.Spec, w.Inherited = organizationID, environmentID(environment), worktime.Spec{}, spec == nil
			if spec != nil {
				if err := json.Unmarshal(spec, &w.Spec); err != nil {
					return fmt.Errorf("decode working time: %w", err)
				}
			}
			c.found[w.EnvironmentID] = w
			return nil
		})
		return err
	})
}

// of is the working time of an environment, or of the organization.
func (c *Calendars) of(organizationID uuid.UUID, environmentID string) WorkingTime {
	w, found := c.found[environmentID]
	if found && !w.Inherited {
		return w
	}
	w.OrganizationID, w.EnvironmentID, w.Inherited = organizationID, environmentID, environmentID != ""
	if whole := c.found[""]; environmentID != "" && whole.Version > 0 {
		w.Spec = whole.Spec
	} else {
		w.Spec = worktime.Default()
	}
	return w
}

// Add is the moment at which d of working time has passed since t, in an environment or
// the organization. One that cannot be told is no time.
func (c *Calendars) Add(environmentID string, t time.Time, d time.Duration) time.Time {
	calendar, ok := c.made[environmentID]
	if !ok {
		var err error
		if calendar, err = worktime.New(c.of(uuid.Nil, environmentID).Spec); err != nil {
			// Stored calendars were checked; a zone may have gone from the database since.
			if calendar, err = worktime.New(worktime.Default()); err != nil {
				return time.Time{}
			}
		}
		if c.made == nil {
			c.made = make(map[string]*worktime.Calendar)
		}
		c.made[environmentID] = calendar
	}
	at, err := calendar.Add(t, d)
	if err != nil {
		return time.Time{}
	}
	return at
}
