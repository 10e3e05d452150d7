package store

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
	Version       int64
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
			    close_time = case when c.open_count + $2 = 0 then coalesce(c.close_time, $4) end
			where id = $1
			returning `+checklistColumns, c.ID, c.Open, c.Items, at).QueryRow(c.scan)
		return
	}
	b.Queue(`
		insert into checklist as c (id, organization_id, user_id, kind, join_count, open_count, item_count, create_time, environment_id, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1)
		on conflict (id) do update set open_count = c.open_count + $6, item_count = c.item_count + $7, version = c.version + 1,
		    close_time = case when c.open_count + $6 = 0 then coalesce(c.close_time, $8) end
		returning `+checklistColumns,
		c.ID, org, c.UserID, string(c.Kind), c.JoinCount, c.Open, c.Items, at, c.EnvironmentID).QueryRow(c.scan)
}

func (c *Count) scan(row pgx.Row) (err error) {
	c.Checklist, err = scanChecklist(row)
	c.Opened = c.OpenCount > 0 && c.OpenCount == c.Open
	c.Closed = c.OpenCount == 0 && c.Open < 0
	return err
}

// checklistColumns are read by scanChecklist, of checklist as c.
const checklistColumns = `c.id, c.user_id, c.environment_id, c.kind, c.join_count, c.open_count, c.item_count, c.create_time, c.close_time, c.version`

func scanChecklist(row pgx.Row, more ...any) (Checklist, error) {
	var c Checklist
	err := row.Scan(append([]any{&c.ID, &c.UserID, &c.EnvironmentID, &c.Kind, &c.JoinCount, &c.OpenCount, &c.ItemCount, &c.CreateTime, &c.CloseTime, &c.Version}, more...)...)
	return c, err
}
