package e2e_test

import (
	"slices"
	"testing"
	"time"
)

// whoDecides: somebody decides many items at once, and each apart; what nobody can decide
// says what would help, and goes on once somebody is put into the place; what was asked
// for until a time that has passed ends by itself; and a flow keeps a thing to its
// audience. ben asks, pia approves, and nobody but the admin of w administers.
func whoDecides(t *testing.T, w *world, ids map[string]string, refusal func(who api, method, path string, body any) string) {
	ben, pia, eve := w.as(t, "ben"), w.as(t, "pia"), w.as(t, "eve")
	approvers := []object{{"name": "Approvers", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}}
	own := func(name string, audience object, only bool, approverIDs ...string) app {
		a := w.app(t, object{"name": name, "approverIds": approverIDs})
		w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
			"name": name, "trigger": "FLOW_TRIGGER_REQUEST", "audience": audience, "scope": object{"appIds": []string{a.id}},
			"priority": 9, "onlyAudience": only, "steps": approvers,
		}})
		return a
	}
	request := func(id string) any { return get(w.admin.must(t, "GET", "/v1/requests/"+id, nil), "request") }

	t.Log("what a flow keeps to its audience is asked for by nobody else")
	books := own("Books", object{"userIds": []string{ids["ben"]}}, true, ids["pia"])
	until(t, "the item's refusal", func() string {
		p := eve.must(t, "POST", "/v1/requests:preview", object{"request": object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{books.account}}})
		return str(list(p, "items")[0], "refusal")
	}, func(got string) bool { return got == "NOT_GIVEN_TO_BENEFICIARY" })
	if got := refusal(eve, "POST", "/v1/requests", object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{books.account}}); got != "NOT_GIVEN_TO_BENEFICIARY" {
		t.Errorf("eve asks for a book: %q", got)
	}

	t.Log("one decision for many items, and one apart")
	entitlements := []string{books.account, w.entitlement(t, books, "reader", "ENTITLEMENT_KIND_ROLE", "r"), w.entitlement(t, books, "writer", "ENTITLEMENT_KIND_ROLE", "w")}
	many := str(ben.must(t, "POST", "/v1/requests", object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": entitlements}), "request", "id")
	theirs := func() (tasks []any) {
		for _, task := range list(pia.must(t, "GET", "/v1/tasks?pageSize=1000", nil), "tasks") {
			if str(task, "requestId") == many {
				tasks = append(tasks, task)
			}
		}
		return tasks
	}
	tasks := until(t, "one task about three items", theirs, func(tasks []any) bool { return len(tasks) == 1 && len(list(tasks[0], "itemIds")) == 3 })
	task, items := str(tasks[0], "id"), list(tasks[0], "itemIds")
	done := pia.must(t, "POST", "/v1/tasks/"+task+":approve", object{"itemIds": items[1:2]})
	if got := list(done, "task", "itemIds"); !slices.Equal(got, items[1:2]) {
		t.Errorf("approved %v", got)
	}
	if left := theirs(); len(left) != 1 || len(list(left[0], "itemIds")) != 2 {
		t.Errorf("left: %s", brief(left))
	}
	pia.must(t, "POST", "/v1/tasks/"+str(theirs()[0], "id")+":deny", object{"itemIds": items[:1], "reason": "not that one"})
	w.approve(t, pia, many)
	got := w.requestState(t, many, "REQUEST_STATE_APPROVED")
	for n, item := range list(got, "items") {
		if why := str(item, "closingReason"); (str(item, "state") == "ITEM_STATE_DENIED") != (n == 0) || (why == "not that one") != (n == 0) {
			t.Errorf("item %d: %s", n, brief(item))
		}
	}

	t.Log("what nobody can decide says so")
	w.admin.must(t, "POST", "/v1/users/"+ids["eve"]+":setRole", object{"role": "ROLE_MEMBER"})
	empty := own("Empty", object{"everyone": true}, false)
	waits := str(w.admin.must(t, "POST", "/v1/requests", object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{empty.account}}), "request", "id")
	r := until(t, "a request that waits for a reviewer", func() any { return request(waits) }, func(r any) bool {
		return get(r, "waitsForReviewer") == true && str(r, "state") == "REQUEST_STATE_PENDING"
	})
	if help := list(r, "items")[0]; str(help, "vacancy", "reason") == "" || len(list(help, "vacancy", "help")) == 0 {
		t.Errorf("what would help: %s", brief(r))
	}
	if got := column(list(w.admin.must(t, "GET", "/v1/requests?filter=waitsForReviewer%3Dtrue", nil), "requests"), "id"); !slices.Equal(got, []string{waits}) {
		t.Errorf("waiting: %v", got)
	}
	w.admin.must(t, "PATCH", "/v1/apps/"+empty.id, object{"approverIds": []string{ids["pia"]}})
	w.approve(t, pia, waits)
	w.requestState(t, waits, "REQUEST_STATE_APPROVED")

	t.Log("what is too late ends by itself")
	papers := own("Papers", object{"everyone": true}, false, ids["pia"])
	late := str(ben.must(t, "POST", "/v1/requests", object{
		"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{papers.account}, "until": time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano),
	}), "request", "id")
	task = w.task(t, pia, late)
	if r := w.requestState(t, late, "REQUEST_STATE_CANCELLED"); get(r, "expired") != true || str(r, "closingReason") == "" {
		t.Errorf("expired: %s", brief(r))
	}
	if got := refusal(pia, "POST", "/v1/tasks/"+task+":approve", object{}); got != "REQUEST_EXPIRED" {
		t.Errorf("a late decision: %q", got)
	}
}
