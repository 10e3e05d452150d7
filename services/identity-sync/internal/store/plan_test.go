package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/identity-sync/migrations"
)

// What is looked up for every request of a source goes by an index, however many
// people there are.
func TestSCIMGoesByKey(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...)
	id := uuid.New()
	for name, tt := range map[string]struct {
		sql  string
		args []any
		want []string
	}{
		"a page of members":       {selectMembersOfSource, []any{id, id, id, 1000}, []string{"Index Cond: ((group_id = ", "(user_id > "}},
		"whose an externalId is":  {lockRemovedUsers, []any{id, "ada", "x"}, []string{"users_by_external_id"}},
		"who waits for a manager": {assignManager, []any{id, id, id.String(), "x", "mia", time.Now()}, []string{"users_waiting_for_manager_form"}},
		"who has a userName":      {selectSourceOfUserName, []any{id, id, "ada"}, []string{"users_by_user_name_form"}},
	} {
		plan := pgtest.Plan(t, db, tt.sql, tt.args...)
		for _, want := range tt.want {
			if !strings.Contains(plan, want) {
				t.Errorf("%s is not found by %s:\n%s", name, want, plan)
			}
		}
	}
}
