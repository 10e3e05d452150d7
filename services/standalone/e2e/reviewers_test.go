package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// flow makes a flow for what people request in an app.
func (w *world) flow(t testing.TB, name string, a app, more object) string {
	t.Helper()
	f := object{
		"name": name, "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"appIds": []string{a.id}},
		"steps": []object{{"name": "Approvers", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}
	for k, v := range more {
		f[k] = v
	}
	return str(w.admin.must(t, "POST", "/v1/flows", object{"flow": f}), "flow", "id")
}

// Whoever has lost what they were asked for decides no more: the group, the place in the
// app, the role. Who is asked instead decides. B-APR-05, in part
func reviewerWhoIsOneNoLonger(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	people := map[string]object{}
	for _, name := range []string{"ned", "gus", "amy", "ada", "ben"} {
		people[name] = w.scimUser(t, name, name+" Example", "")
	}
	id := func(name string) string { return str(people[name], "id") }
	reviewers := w.scimGroup(t, "Reviewers", people["gus"], people["ben"])
	shared := func(name string, approvers ...string) app {
		return w.app(t, object{"name": name, "provisioning": "PROVISIONING_SUPPORT_NONE", "approverIds": append([]string{}, approvers...)})
	}
	byGroup, byPlace, byRole := shared("Group"), shared("Place", id("amy"), id("ben")), shared("Role")
	w.flow(t, "Group", byGroup, object{"steps": []object{{"name": "Group", "reviewers": "REVIEWER_KIND_GROUPS", "groupIds": []string{str(reviewers, "id")}, "need": "STEP_NEED_ANY"}}})
	w.admin.must(t, "POST", "/v1/users/"+id("ada")+":setRole", object{"role": "ROLE_ADMIN"})
	for _, tc := range []struct {
		app             app
		reviewer, other string
		lose            func()
	}{
		{byGroup, "gus", "ben", func() { w.patchMembers(t, "remove", reviewers, people["gus"]) }},
		{byPlace, "amy", "ben", func() {
			w.admin.must(t, "PATCH", "/v1/apps/"+byPlace.id, object{"approverIds": []string{id("ben")}})
		}},
		{byRole, "ada", "", func() {
			w.admin.must(t, "POST", "/v1/users/"+id("ada")+":setRole", object{"role": "ROLE_MEMBER"})
		}},
	} {
		request := w.ask(t, w.as(t, "ned"), "REQUEST_KIND_GRANT", tc.app.account)
		reviewer, other := w.as(t, tc.reviewer), w.admin
		if tc.other != "" {
			other = w.as(t, tc.other)
		}
		task := w.task(t, reviewer, request)
		tc.lose()
		until(t, tc.reviewer+" is asked no more", func() any { return openTask(t, reviewer, request) }, func(task any) bool { return task == nil })
		if got := reviewer.refusal(t, "POST", "/v1/tasks/"+task+":approve", object{}); got == "" {
			t.Errorf("%s still approves", tc.reviewer)
		}
		w.approve(t, other, request)
		w.requestState(t, request, "REQUEST_STATE_FULFILLED")
	}
}

// B-REQ-18, B-APR-12: a flow's limit refuses what is over it, and no weaker rule decides
// that instead; an app that is closed to what no flow covers is given by none.
func limitOfAFlow(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	w.scimUser(t, "ned", "Ned Newcomer", "")
	ned := w.as(t, "ned")
	vault := w.app(t, object{"name": "Vault", "provisioning": "PROVISIONING_SUPPORT_NONE", "onlyByFlow": true})
	key := w.entitlement(t, vault, "Key", "ENTITLEMENT_KIND_ROLE", "key")
	ask := func(path, what string, length time.Duration) string {
		t.Helper()
		r := object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{what}}
		if length > 0 {
			r["until"] = time.Now().Add(length).UTC().Format(time.RFC3339)
		}
		if path == "/v1/requests:preview" {
			return str(ned.must(t, "POST", path, object{"request": r}), "items", 0, "refusal")
		}
		return ned.refusal(t, "POST", path, r)
	}
	refused := func(what string, length time.Duration, want string) {
		t.Helper()
		for _, path := range []string{"/v1/requests:preview", "/v1/requests"} {
			until(t, path+" says "+want, func() string { return ask(path, what, length) }, func(got string) bool { return got == want })
		}
	}
	refused(vault.account, 0, "NOT_COVERED_BY_FLOW")
	w.flow(t, "An hour", vault, object{"scope": object{"entitlementIds": []string{vault.account}}, "maxDuration": "3600s", "autoApprove": true, "steps": []object{}})
	refused(vault.account, 0, "LONGER_THAN_ALLOWED")
	refused(vault.account, 2*time.Hour, "LONGER_THAN_ALLOWED")
	refused(key, 0, "NOT_COVERED_BY_FLOW")
	if got := ask("/v1/requests", vault.account, 30*time.Minute); got != "" {
		t.Errorf("half an hour: %s", got)
	}
	gs := until(t, "the grant", func() []any { return w.grants(t, "ned") }, func(gs []any) bool { return countState(gs, "GRANT_STATE_ACTIVE") == 1 })
	if len(gs) != 1 || str(gs[0], "endTime") == "" && str(gs[0], "until") == "" {
		t.Errorf("given: %s", brief(gs))
	}
}

// B-CAT-06, in part: a flow that names what is deleted says so, can be switched off and
// deleted, and cannot name it anew.
func flowThatNamesWhatIsDeleted(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	chat, wiki := w.app(t, object{"name": "Chat"}), w.app(t, object{"name": "Wiki"})
	flow := "/v1/flows/" + w.flow(t, "Both", chat, object{"scope": object{"appIds": []string{chat.id, wiki.id}}})
	w.admin.must(t, "DELETE", "/v1/apps/"+chat.id, nil)
	until(t, "it says what is gone", func() []any { return list(w.admin.must(t, "GET", flow, nil), "flow", "goneIds") },
		func(l []any) bool { return slices.Equal(l, []any{chat.id}) })
	if got := w.admin.must(t, "PATCH", flow, object{"enabled": false}); get(got, "flow", "enabled") != false {
		t.Errorf("switched off: %s", brief(got))
	}
	w.admin.must(t, "PATCH", flow, object{"scope": object{"appIds": []string{wiki.id}}})
	w.admin.send(t, "PATCH", flow, object{"scope": object{"appIds": []string{chat.id}}}).want(t, http.StatusBadRequest, "appIds")
	w.admin.must(t, "DELETE", flow, nil)
}

// B-REQ-19, B-APR-02: fifty items that one person decides by one rule are one task, each
// of them answered apart or all together.
func fiftyItems(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	ann := str(w.scimUser(t, "ann", "Ann Approver", ""), "id")
	w.scimUser(t, "ned", "Ned Newcomer", "")
	annAPI, ned := w.as(t, "ann"), w.as(t, "ned")
	crm := w.app(t, object{"name": "CRM", "provisioning": "PROVISIONING_SUPPORT_NONE", "approverIds": []string{ann}})
	entitlements := []string{crm.account}
	for n := range 49 {
		entitlements = append(entitlements, w.entitlement(t, crm, fmt.Sprintf("Role %d", n), "ENTITLEMENT_KIND_ROLE", fmt.Sprintf("role-%d", n)))
	}
	request := str(ned.must(t, "POST", "/v1/requests", object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": entitlements}), "request", "id")
	task := until(t, "one task of fifty items", func() any { return openTask(t, annAPI, request) }, func(task any) bool { return len(list(task, "itemIds")) == 50 })
	items := list(task, "itemIds")
	if tasks := list(annAPI.must(t, "GET", "/v1/tasks", nil), "tasks"); len(tasks) != 1 {
		t.Errorf("ann is asked %d times", len(tasks))
	}
	annAPI.must(t, "POST", "/v1/tasks/"+str(task, "id")+":deny", object{"itemIds": items[:1], "reason": "not that one"})
	if got := annAPI.refusal(t, "POST", "/v1/tasks/"+str(openTask(t, annAPI, request), "id")+":approve", object{}); got != "ITEMS_NOT_NAMED" {
		t.Errorf("approved without a word of what: %q", got)
	}
	w.approve(t, annAPI, request)
	got := w.requestState(t, request, "REQUEST_STATE_PARTLY_FULFILLED")
	if n := count(column(list(got, "items"), "state"), "ITEM_STATE_FULFILLED"); n != 49 {
		t.Errorf("%d of 49 items are fulfilled", n)
	}
	if tasks := list(annAPI.must(t, "GET", "/v1/tasks", nil), "tasks"); len(tasks) != 0 {
		t.Errorf("ann is asked %s", brief(tasks))
	}
}
