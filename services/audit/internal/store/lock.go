package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// jsonFormLock is the advisory lock of the replica that tells events in JSON,
// "gh-json".
const jsonFormLock int64 = 0x67682d6a736f6e

const tryLock = "select pg_try_advisory_lock($1)"

// TryLockJSONForm asks for the lock of the JSON form, which a connection holds until
// it is closed.
func TryLockJSONForm(ctx context.Context, conn *pgx.Conn) (held bool, err error) {
	if err := conn.QueryRow(ctx, tryLock, jsonFormLock).Scan(&held); err != nil {
		return false, fmt.Errorf("ask for the lock of the JSON form: %w", err)
	}
	return held, nil
}
