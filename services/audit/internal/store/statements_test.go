package store_test

import (
	"testing"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/audit/migrations"
)

func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	pgtest.PrepareStatements(t, 3, backend.Schema(migrations.FS)...)
}
