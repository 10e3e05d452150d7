package store

import (
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// User is a user, from the copy that libs/copies keeps.
type User struct {
	ID, OrganizationID, EnvironmentID uuid.UUID
	Name, Email, State                string
	// JoinCount counts how often they have joined.
	JoinCount int32
}

const (
	selectUser = `
select id, organization_id, environment_id, display_name, email, state, join_count from user_copy where id = $1`
	lockUser = selectUser + ` for share`
)

// queueUser reads a user; an unknown one has the nil id.
func queueUser(b *pgx.Batch, id uuid.UUID, lock bool, u *User) {
	sql := selectUser
	if lock {
		sql = lockUser
	}
	*u = User{}
	b.Queue(sql, id).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&u.ID, &u.OrganizationID, &u.EnvironmentID, &u.Name, &u.Email, &u.State, &u.JoinCount)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
}
