package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// User is a user as the service keeps them.
type User struct {
	ID, OrganizationID, EnvironmentID uuid.UUID
	Name, Email, State                string
	// JoinCount counts how often they have joined.
	JoinCount int32
	Version   int64
}

const (
	upsertUser = `
insert into user_copy as c (id, organization_id, environment_id, display_name, email, state, join_count, version)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do update set environment_id = excluded.environment_id, display_name = excluded.display_name, email = excluded.email,
	state = excluded.state, join_count = excluded.join_count, version = excluded.version
where c.version < excluded.version`
	selectUser = `
select id, organization_id, environment_id, display_name, email, state, join_count, version from user_copy where id = $1`
	lockUser          = selectUser + ` for share`
	upsertEnvironment = `
insert into environment_copy as c (id, organization_id, environment_id, version) values ($1, $2, $1, $3)
on conflict (id) do update set version = excluded.version where c.version < excluded.version`
)

// CopyUser applies a user; an older version changes nothing. It gives the user as
// they are known afterwards, and waits for transactions that are making a
// request for them.
func CopyUser(ctx context.Context, tx *postgres.Tx, u User) (now User, err error) {
	var b pgx.Batch
	b.Queue(upsertUser, u.ID, u.OrganizationID, u.EnvironmentID, u.Name, u.Email, u.State, u.JoinCount, u.Version)
	queueUser(&b, u.ID, false, &now)
	return now, send(ctx, tx, &b, "copy user")
}

// CopyEnvironment applies an environment.
func CopyEnvironment(ctx context.Context, tx *postgres.Tx, id, organization uuid.UUID, version int64) error {
	if _, err := tx.Exec(ctx, upsertEnvironment, id, organization, version); err != nil {
		return fmt.Errorf("copy environment: %w", err)
	}
	return nil
}

// queueUser reads a user; an unknown one has the nil id.
func queueUser(b *pgx.Batch, id uuid.UUID, lock bool, u *User) {
	sql := selectUser
	if lock {
		sql = lockUser
	}
	*u = User{}
	b.Queue(sql, id).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&u.ID, &u.OrganizationID, &u.EnvironmentID, &u.Name, &u.Email, &u.State, &u.JoinCount, &u.Version)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
}
