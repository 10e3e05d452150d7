package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// User is a user, from the copy that libs/copies keeps.
type User struct {
	ID, OrganizationID, EnvironmentID uuid.UUID
	Name, Email, State                string
	// What conditions of flows see besides.
	UserName, Department, Title, Kind string
	// JoinCount counts how often they have joined.
	JoinCount int32
	// IsPerson is false for services and agents, for which AccountableID answers.
	IsPerson      bool
	AccountableID uuid.NullUUID
}

const (
	selectUsers = `
select id, organization_id, environment_id, display_name, email, state, join_count,
	kind in ('employee', 'external'), accountable_user_id, user_name, department, title, kind from user_copy where id = any ($1) order by id`
	lockUsers = selectUsers + ` for share`
	// Against lockUsers.
	lockUsersAlone = selectUsers + ` for no key update`
)

// UserByID reads a user; the zero one if they are unknown.
func UserByID(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (User, error) {
	found := make(map[uuid.UUID]User, 1)
	var b pgx.Batch
	queueUsers(&b, []uuid.UUID{id}, false, found)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	return found[id], nil
}

// LockUsers reads users, and keeps others from making requests for them until the end
// of tx: what they have made by then is seen by the next statement.
func LockUsers(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID) (map[uuid.UUID]User, error) {
	users := make(map[uuid.UUID]User, len(ids))
	var b pgx.Batch
	queueUsersBy(&b, lockUsersAlone, ids, users)
	return users, send(ctx, tx, &b, "lock users")
}

// queueUsers reads users into a map by id.
func queueUsers(b *pgx.Batch, ids []uuid.UUID, lock bool, users map[uuid.UUID]User) {
	sql := selectUsers
	if lock {
		sql = lockUsers
	}
	queueUsersBy(b, sql, ids, users)
}

func queueUsersBy(b *pgx.Batch, sql string, ids []uuid.UUID, users map[uuid.UUID]User) {
	b.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		var u User
		_, err := pgx.ForEachRow(rows, []any{
			&u.ID, &u.OrganizationID, &u.EnvironmentID, &u.Name, &u.Email, &u.State, &u.JoinCount, &u.IsPerson, &u.AccountableID,
			&u.UserName, &u.Department, &u.Title, &u.Kind,
		}, func() error {
			users[u.ID] = u
			return nil
		})
		return err
	})
}
