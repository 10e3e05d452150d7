package store_test

import (
	"testing"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/approval/migrations"
)

func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	pgtest.PrepareStatements(t, 25, backend.Schema(migrations.FS, migrations.Included()...)...)
}
