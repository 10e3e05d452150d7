package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/provisioning/migrations"
)

// The indexes of what waits and of what runs keep all that has left them while
// some transaction is left open, and must not be read as a whole.
func TestOperationsGoByKeyAndTime(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	ids := []uuid.UUID{uuid.New(), uuid.New()}
	words, now, n := []string{"", ""}, time.Now(), []int32{0, 0}

	plan := pgtest.Plan(t, db, updateOperations, ids, words, words, n, words, ids, []time.Time{now, now}, ids, []time.Time{now, now}, now, []bool{false, false}, words, []*string{nil, nil}, ids, []*time.Time{nil, nil})
	if !strings.Contains(plan, "Index Cond: (id = v.id)") || strings.Contains(plan, "operation_to_try") || strings.Contains(plan, "operation_running") {
		t.Errorf("operations are not written by their id:\n%s", plan)
	}

	due := DueOperations{From: now.Add(-time.Minute), Now: now, LeaseUntil: now.Add(time.Minute), Limit: 1, BulkLimit: 1, Most: 1}
	plan = pgtest.Plan(t, db, claimDue, append(due.arguments(), due.LeaseUntil)...)
	if n := strings.Count(plan, "AND (not_before >= "); n != 2 || strings.Count(plan, "Index Scan using operation_to_try") != 2 {
		t.Errorf("due operations are not found by a range of time:\n%s", plan)
	}

	plan = pgtest.Plan(t, db, claimOfIntegration, ids[0], false, now, now, ids, 1, now)
	if !strings.Contains(plan, "Index Scan using operation_waiting") || !strings.Contains(plan, "AND (not_before >= ") {
		t.Errorf("due operations of an integration are not found by it and a range of time:\n%s", plan)
	}
}

// What waits is counted for a page of integrations by index, however much there is of
// others.
func TestQueuesGoByIntegration(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	plan := pgtest.Plan(t, db, selectQueues, []uuid.UUID{uuid.New(), uuid.New()}, time.Now())
	if !strings.Contains(plan, "using operation_waiting") || !strings.Contains(plan, "Index Cond: (integration_id = i.id)") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("what waits of integrations is not counted by index:\n%s", plan)
	}
}

// What people have said of a deleted app is found by index, however many items are closed.
func TestWhatIsSaidGoesByPerson(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	ids := []uuid.UUID{uuid.New(), uuid.New()}
	plan := pgtest.Plan(t, db, selectSaid, ids, ids)
	if !strings.Contains(plan, "using work_item_by_user") || strings.Contains(plan, "Seq Scan on work_item") {
		t.Errorf("closed items are not found by index:\n%s", plan)
	}
}
