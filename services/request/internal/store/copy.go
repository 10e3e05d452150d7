package store

import (
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
	selectUsers = `
select id, organization_id, environment_id, display_name, email, state, join_count from user_copy where id = any ($1) order by id`
	lockUsers = selectUsers + ` for share`
)

// queueUsers reads users into a map by id.
func queueUsers(b *pgx.Batch, ids []uuid.UUID, lock bool, users map[uuid.UUID]User) {
	sql := selectUsers
	if lock {
		sql = lockUsers
	}
	b.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		var u User
		_, err := pgx.ForEachRow(rows, []any{&u.ID, &u.OrganizationID, &u.EnvironmentID, &u.Name, &u.Email, &u.State, &u.JoinCount}, func() error {
			users[u.ID] = u
			return nil
		})
		return err
	})
}
