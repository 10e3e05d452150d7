// Package store holds all SQL of identity-sync. Its functions work in a
// transaction that the caller has begun and see what its scope allows. One that
// serves a source names the source in its statement as well.
//
// Ids of environments are strings; empty is the organization itself. It knows no
// secret: of tokens it keeps hashes.
package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// ErrNotFound says that there is no such row in the scope.
var ErrNotFound = errors.New("not found")

// found makes ErrNotFound of "no row".
func found(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// collect reads rows of a query that may have failed.
func collect[T any](doing string, rows pgx.Rows, err error, scan pgx.RowToFunc[T]) ([]T, error) {
	var list []T
	if err == nil {
		list, err = pgx.CollectRows(rows, scan)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return list, nil
}

// send runs a batch in one round trip.
func send(ctx context.Context, tx *postgres.Tx, b *pgx.Batch, doing string) error {
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// ownerID is the column of an environment that may be the organization itself.
func ownerID(environmentID string) string {
	if environmentID == "" {
		return uuid.Nil.String()
	}
	return environmentID
}

// notNull makes an empty array of no array, which would be null.
func notNull(ids []uuid.UUID) []uuid.UUID {
	if ids == nil {
		return []uuid.UUID{}
	}
	return ids
}
