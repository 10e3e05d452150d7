package e2e_test

import (
	"slices"
	"testing"
	"time"
)

// B-ONB-16, B-ONB-19: an onboarding has a date, what is late stands first and is counted,
// and an item that was resolved by mistake is reopened, with a reason: the person is on
// the list again, and the trail of a request that is closed says so.
func TestChecklists(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	gh := startStandalone(t)
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	defer proxy.clean(t, 20)
	w := newWorld(t, gh, nil)
	manual := w.app(t, object{"name": "Payroll", "provisioning": "PROVISIONING_SUPPORT_MANUAL"})
	staff := w.scimGroup(t, "Staff")
	w.joinFlow(t, "Everyone in Staff", str(staff, "id"), manual.account)
	onboarding := func(name string) any {
		return until(t, name+"'s onboarding", func() any { return w.checklist(t, "CHECKLIST_KIND_ONBOARDING", name) }, func(c any) bool { return c != nil })
	}
	moment := func(v any, field string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, str(v, field))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}

	t.Log("1. a joiner has three days; what is late stands first")
	w.scimJoin(t, staff, w.scimUser(t, "kim", "Kim Newcomer", ""))
	kim := onboarding("kim")
	if had := moment(kim, "dueTime").Sub(moment(kim, "createTime")); had != 72*time.Hour || get(kim, "overdue") != false {
		t.Errorf("kim has %s: %s", had, brief(kim))
	}
	w.admin.must(t, "PATCH", "/v1/checklistSettings", object{"onboardingPeriod": "0s"})
	w.scimJoin(t, staff, w.scimUser(t, "lee", "Lee Late", ""))
	lists := until(t, "lee is late", func() any { return w.admin.must(t, "GET", "/v1/checklists", nil) }, func(l any) bool { return get(l, "overdueSize") == float64(1) })
	if got := column(list(lists, "checklists"), "user", "displayName"); !slices.Equal(got, []string{"Lee Late", "Kim Newcomer"}) {
		t.Errorf("the list is %v", got)
	}
	later := w.admin.must(t, "PATCH", "/v1/checklists/"+str(onboarding("lee"), "id"), object{"dueTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	if get(later, "checklist", "overdue") != false {
		t.Errorf("late still: %s", brief(later))
	}

	t.Log("2. an item is resolved by mistake, and reopened")
	items := list(w.admin.must(t, "GET", "/v1/checklists/"+str(kim, "id"), nil), "workItems")
	w.admin.must(t, "POST", "/v1/checklists:resolve", object{"workItemIds": column(items, "id")})
	grant := until(t, "kim's grant", func() []any { return w.grants(t, "kim") }, func(g []any) bool { return countState(g, "GRANT_STATE_ACTIVE") == 1 })[0]
	request := str(grant, "requestId")
	w.requestState(t, request, "REQUEST_STATE_FULFILLED")
	opened := list(w.admin.must(t, "POST", "/v1/checklists:reopen", object{"workItemIds": column(items, "id"), "reason": "that was the other Kim"}), "workItems")
	if len(opened) != 1 || str(opened[0], "reopenedItemId") != str(items[0], "id") || str(opened[0], "reopenReason") != "that was the other Kim" {
		t.Fatalf("reopened by %s", brief(opened))
	}
	if again := onboarding("kim"); str(again, "id") != str(kim, "id") {
		t.Errorf("kim is on %s", brief(again))
	}
	if state := str(w.grants(t, "kim")[0], "state"); state != "GRANT_STATE_PENDING" {
		t.Errorf("the grant is %s", state)
	}
	w.requestState(t, request, "REQUEST_STATE_FULFILLED")
	w.admin.must(t, "POST", "/v1/checklists:resolve", object{"workItemIds": column(opened, "id")})
	w.trail(t, request, "work_item.resolved", "grant.activated", "request.closed", "grant.reopened", "account.removed", "work_item.opened", "work_item.resolved", "grant.activated")
	w.nothingParked(t)
}
