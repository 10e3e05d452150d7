package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/request/migrations"
)

// What is requested is looked up by the whole key, on tables without statistics
// too: the index of open items keeps all that has left it while some transaction
// is left open, and must not be read as a whole.
func TestCandidatesGoByKey(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	ids := []uuid.UUID{uuid.New(), uuid.New()}
	plan := pgtest.Plan(t, db, selectCandidates, []int32{0, 0}, ids, ids, []string{"grant", "grant"}, ids, ids)
	if !strings.Contains(plan, "Index Cond: ((beneficiary_id = w.beneficiary_id) AND (entitlement_id = w.entitlement_id) AND ((kind)::text = w.kind)") {
		t.Errorf("open items are not found by their key:\n%s", plan)
	}
}

// Words of the catalog are found by their range, though a policy guards the table: all that
// there is of an organization would be read for each letter that somebody types.
func TestSearchGoesByRange(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	plan := pgtest.Plan(t, db, fmt.Sprintf(selectHits, "$3::text", "$4::text")+" having $1::int > 0", 1, uuid.New(), "ed", "ed"+afterAll)
	if !strings.Contains(plan, "Index Cond: ((organization_id = ") || !strings.Contains(plan, "(word >= 'ed'::text) AND (word < ") {
		t.Errorf("words are not found by their range:\n%s", plan)
	}
}
