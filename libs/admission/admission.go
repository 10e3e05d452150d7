// Package admission has each transaction that is begun for a caller look first
// whether that caller's token is still to be believed (B-USR-19).
//
// A token carries the version of its user. Everything that changes what the user
// may do raises it: another role, being suspended or removed, the end of a
// session or of an API token. A token of a lower version than the user is known
// to have gets [authz.ErrTokenStale], in the transaction that would have read or
// written, so that nothing happens for it. Whoever still has a good credential
// exchanges it again; the gateway does so by itself.
//
// Services other than identity-sync know users by their copies, which follow
// within milliseconds; a user whose copy has not come yet is believed, as the
// token is then newer than the copy.
//
// Work that nobody calls for, and services, are not looked at.
package admission

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/postgres"
)

// By looks into a table of the database, which has what is known of users in
// columns id and version: user_copy, or a smaller one of those two.
func By(table string) postgres.Admission {
	// Callers whose tokens are older than their user.
	older := fmt.Sprintf(`
select exists (
    select from unnest($1::uuid[], $2::bigint[]) as c (user_id, version), lateral (select u.version from %s u where u.id = c.user_id limit 1) u
    where u.version > c.version)`, table)
	return func(ctx context.Context, check *pgx.Batch, _ bool) (organization uuid.UUID) {
		return by(ctx, check, older)
	}
}

func by(ctx context.Context, check *pgx.Batch, older string) (organization uuid.UUID) {
	users, organization := Users(ctx)
	if len(users) == 0 {
		return uuid.Nil
	}
	check.Queue(older,
		postgres.Column(users, func(c authz.Caller) uuid.UUID { return c.UserID }),
		postgres.Column(users, func(c authz.Caller) int64 { return c.UserVersion }),
	).QueryRow(func(row pgx.Row) error {
		var stale bool
		if err := row.Scan(&stale); err != nil {
			return fmt.Errorf("look at the caller: %w", err)
		}
		if stale {
			return authz.ErrTokenStale
		}
		return nil
	})
	return organization
}

// Users are the callers who are users, and their organization: what is done at
// once is of one.
func Users(ctx context.Context) (users []authz.Caller, organization uuid.UUID) {
	for _, c := range authz.Callers(ctx) {
		if c.IsService() {
			continue
		}
		users, organization = append(users, c), c.OrganizationID
	}
	return users, organization
}
