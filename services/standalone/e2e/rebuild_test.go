package e2e_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// testRebuildAfterDeletions: copies have missed that things were deleted. What their
// owners tell when the copies are rebuilt has what is gone as gone, and it counts for
// nothing.
//
// B-RUN-06, in part: what was deleted.
func testRebuildAfterDeletions(t *testing.T, s stores, c *cluster) {
	w := newWorld(t, &standalone{base: c.base}, nil)
	w.scimUser(t, "ann", "Ann Approver", "")
	eve := w.scimUser(t, "eve", "Eve Elsewhere", "")
	sales := str(w.scimGroup(t, "Sales", eve), "id")
	chat, wiki := w.sharedApp(t, "Chat", "ann"), w.sharedApp(t, "Wiki", "ann")
	seat := w.entitlement(t, wiki, "Seat", "ENTITLEMENT_KIND_LICENSE", "seat")
	made := w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Seat", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"groupIds": []string{sales}}, "scope": object{"entitlementIds": []string{seat}},
		"steps": []object{{"name": "one", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}})
	flow := str(made, "flow", "id")
	source := str(w.user(t, "eve"), "sourceId")
	w.admin.must(t, "DELETE", "/v1/flows/"+flow, nil)
	w.admin.must(t, "DELETE", "/v1/apps/"+wiki.id+"/entitlements/"+seat, nil)
	w.admin.must(t, "DELETE", "/v1/apps/"+chat.id, nil)
	w.scim.must(t, "DELETE", "/scim/v2/Groups/"+sales, nil)
	w.admin.must(t, "DELETE", "/v1/sources/"+source+"?users=SOURCE_USERS_REMOVE", nil)

	gone := []struct{ service, table, id string }{
		{"approval", "app_copy", chat.id},
		{"approval", "entitlement_copy", seat},
		{"approval", "group_copy", sales},
		{"approval", "user_copy", str(eve, "id")},
		{"provisioning", "app_copy", chat.id},
		{"provisioning", "entitlement_copy", seat},
		{"provisioning", "user_copy", str(eve, "id")},
		{"request", "flow_copy", flow},
		{"request", "group_copy", sales},
		{"request", "user_copy", str(eve, "id")},
	}
	isGone := func() (left []string) {
		for _, g := range gone {
			if s.count(t, g.service, "select count(*) from "+g.table+" where removed and id = $1", g.id) == 0 {
				left = append(left, g.service+" "+g.table)
			}
		}
		return left
	}
	nothing := func(left []string) bool { return len(left) == 0 }
	until(t, "the events have come", isGone, nothing)
	for _, g := range gone {
		s.exec(t, g.service, "update "+g.table+" set removed = false, version = greatest(version - 1, 1) where id = '"+g.id+"'")
	}
	if left := isGone(); len(left) != len(gone) {
		t.Fatalf("only %v have missed it", left)
	}
	for _, n := range copiers {
		s.exec(t, n, "update copy_state set wanted = begun + 1")
	}
	until(t, "the copies are rebuilt", isGone, nothing)
	w.nothingParked(t)
}

func (s stores) count(t testing.TB, service, sql string, args ...any) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.admin(service))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %s: %v", service, sql, err)
	}
	return n
}
