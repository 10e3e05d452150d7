package store_test

import (
	"testing"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/identity-sync/migrations"
)

func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	pgtest.PrepareStatements(t, 45, backend.Schema(migrations.FS, migrations.Included()...)...)
}
