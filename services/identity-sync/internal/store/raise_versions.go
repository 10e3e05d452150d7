package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
)

// RaiseVersions adds to the version of everything that others have copies of.
func RaiseVersions(ctx context.Context, tx *postgres.Tx, by int64) error {
	b := &pgx.Batch{}
	b.Queue(`update environment set version = version + $1`, by)
	b.Queue(`update users set version = version + $1`, by)
	b.Queue(`update directory_group set version = version + $1`, by)
	return send(ctx, tx, b, "raise versions")
}
