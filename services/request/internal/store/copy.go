package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// CopyUser keeps a person as identity-sync says; older news change nothing. It
// gives the person as they are known afterwards, and waits for whoever is
// making a request for them.
func CopyUser(ctx context.Context, tx *postgres.Tx, u *identityv1.User) (s Subject, err error) {
	var b pgx.Batch
	b.Queue(`
		insert into user_copy as c (id, organization_id, display_name, email, state, join_count, version) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (id) do update set display_name = excluded.display_name, email = excluded.email, state = excluded.state,
			join_count = excluded.join_count, version = excluded.version
		where c.version < excluded.version`,
		u.GetId(), u.GetOrganizationId(), u.GetDisplayName(), u.GetEmail(), enumText(u.GetState(), "USER_STATE_"), u.GetJoinCount(), u.GetVersion())
	queueSubject(&b, u.GetId(), false, &s)
	return s, send(ctx, tx, &b, "copy user")
}

func queueSubject(b *pgx.Batch, user string, lock bool, s *Subject) {
	q := `select display_name, email, state, join_count from user_copy where id = $1`
	if lock {
		q += ` for share`
	}
	*s = Subject{}
	b.Queue(q, user).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&s.Name, &s.Email, &s.State, &s.JoinCount)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		s.Known = err == nil
		return err
	})
}
