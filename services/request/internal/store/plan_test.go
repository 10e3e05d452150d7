package store

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/migrations"
)

// What is requested is looked up by the whole key, on tables without statistics
// too: the index of open items keeps all that has left it while some transaction
// is left open, and must not be read as a whole.
func TestCandidatesGoByKey(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	err := db.InOrganizationRead(t.Context(), uuid.New(), func(ctx context.Context, tx *postgres.Tx) error {
		ids := []uuid.UUID{uuid.New(), uuid.New()}
		rows, err := tx.Query(ctx, "explain "+selectCandidates, []int32{0, 0}, ids, ids, []string{"grant", "grant"}, ids)
		if err != nil {
			return err
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, "Index Cond: ((beneficiary_id = w.beneficiary_id) AND (entitlement_id = w.entitlement_id) AND ((kind)::text = w.kind))") {
			t.Errorf("open items are not found by their key:\n%s", text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
