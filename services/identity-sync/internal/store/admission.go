package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/admission"
	"gatehouse.dev/libs/authz"
)

const (
	selectCallerVersion = `
select u.state = 'active', u.version from users u where u.id = $1`
	// Who changes a user waits until what is done for that user has been done, and
	// the other way round.
	lockCallerVersion = selectCallerVersion + ` for share`
)

// Admission is package admission's, by the users themselves.
func Admission(ctx context.Context, check *pgx.Batch, readOnly bool) (organization uuid.UUID) {
	users, organization := admission.Users(ctx)
	sql := lockCallerVersion
	if readOnly {
		sql = selectCallerVersion
	}
	for _, c := range users {
		check.Queue(sql, c.UserID).QueryRow(func(row pgx.Row) error {
			var active bool
			var version int64
			err := row.Scan(&active, &version)
			switch {
			case errors.Is(err, pgx.ErrNoRows), err == nil && !active:
				return authz.ErrTokenInvalid
			case err != nil:
				return fmt.Errorf("look at the caller: %w", err)
			case version > c.UserVersion:
				return authz.ErrTokenStale
			}
			return nil
		})
	}
	return organization
}
