package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// joinFlowsEnd deletes two join-flows that have given the same to the same people: what
// hangs on them is shown, what the one gave stays, and what the other gave is taken back.
//
// B-CAT-06, in part: flows.
func joinFlowsEnd(t *testing.T, w *world, chat app) {
	t.Helper()
	team := w.scimGroup(t, "Team", w.scimUser(t, "tea", "Tea Teammate", ""))
	made := map[string]string{} // their ids by name
	for _, name := range []string{"Kept", "Taken back"} {
		made[name] = w.joinFlow(t, name, str(team, "id"), chat.account)
	}
	active := func(n int) {
		t.Helper()
		until(t, "grants of tea", func() int { return countState(w.grants(t, "tea"), "GRANT_STATE_ACTIVE") }, func(got int) bool { return got == n })
	}
	active(2)
	for name, choice := range map[string]string{"Kept": "FLOW_MATCHES_KEEP", "Taken back": "FLOW_MATCHES_TAKE_BACK"} {
		seen := w.admin.must(t, "GET", "/v1/flows/"+made[name]+":previewDelete", nil)
		if people := list(seen, "matchedUsers"); get(seen, "matchedCount") != 1.0 || len(people) != 1 || str(people[0], "displayName") != "Tea Teammate" {
			t.Errorf("%s: seen %s", name, brief(seen))
		}
		w.admin.must(t, "DELETE", "/v1/flows/"+made[name]+"?matches="+choice+"&etag="+str(seen, "etag"), nil)
	}
	active(1)
	for _, g := range w.grants(t, "tea") {
		r := w.admin.must(t, "GET", "/v1/requests/"+str(g, "requestId"), nil)
		if kept := str(g, "state") == "GRANT_STATE_ACTIVE"; kept != (str(r, "request", "flowId") == made["Kept"]) {
			t.Errorf("by the flow %s: %s", str(r, "request", "flowId"), brief(g))
		}
	}
	until(t, "the log says what was chosen", func() string {
		return strings.Join(column(list(w.admin.must(t, "GET", "/v1/auditEntries?event=flow.deleted", nil), "auditEntries"), "summary"), "\n")
	}, func(log string) bool {
		return strings.Contains(log, "is taken back") && strings.Contains(log, `"Kept" was deleted`)
	})
}

// TestDeletions takes away all that a small organization has made, by REST: what is in
// use is refused, access ends where that is asked for, and a repeated call makes nothing.
func TestDeletions(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	gh := startStandalone(t)
	target := startDemoApp(t, nil)
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	defer proxy.clean(t, 20)
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	w.scimUser(t, "ned", "Ned Newcomer", "")
	ann, ned := w.as(t, "ann"), w.as(t, "ned")
	refused := func(method, path string, body any, code int, reason string) {
		t.Helper()
		if r, err := w.admin.do(t.Context(), method, path, body); err != nil || r.Code != code || !strings.Contains(string(r.Raw), reason) {
			t.Errorf("%s %s: %d %s %v, want %d %s", method, path, r.Code, r.Raw, err, code, reason)
		}
	}
	chat := w.automaticApp(t, "Chat", "ann")
	made := w.admin.must(t, "GET", "/v1/apps/"+chat.id, nil)
	integration := str(made, "app", "integrationId")

	// A change of what was seen, and not of anything newer.
	w.admin.must(t, "PATCH", "/v1/apps/"+chat.id, object{"description": "Talk", "etag": str(made, "app", "etag")})
	refused("PATCH", "/v1/apps/"+chat.id, object{"description": "Talk more", "etag": str(made, "app", "etag")}, http.StatusConflict, "ETAG_MISMATCH")
	// A repeated call.
	repeat := object{"requestId": newUUID(), "name": "Seat", "kind": "ENTITLEMENT_KIND_LICENSE", "ref": "seat", "description": "A seat"}
	seat := w.admin.must(t, "POST", "/v1/apps/"+chat.id+"/entitlements", repeat)
	if again := w.admin.must(t, "POST", "/v1/apps/"+chat.id+"/entitlements", repeat); str(again, "entitlement", "id") != str(seat, "entitlement", "id") {
		t.Errorf("made twice: %v, %v", seat, again)
	}

	flow := w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Chat", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"appIds": []string{chat.id}},
		"steps": []object{{"name": "one", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}})
	held := w.ask(t, ned, "REQUEST_KIND_GRANT", chat.account)
	w.admin.must(t, "DELETE", "/v1/flows/"+str(flow, "flow", "id"), nil)
	refused("DELETE", "/v1/flows/"+str(flow, "flow", "id"), nil, http.StatusNotFound, "FLOW_NOT_FOUND")
	w.approve(t, ann, held) // by the flow that it was begun with, or the default: the approvers
	w.requestState(t, held, "REQUEST_STATE_FULFILLED")
	open := w.ask(t, ned, "REQUEST_KIND_GRANT", str(seat, "entitlement", "id"))
	joinFlowsEnd(t, w, chat)

	refused("DELETE", "/v1/integrations/"+integration, nil, http.StatusBadRequest, "INTEGRATION_IN_USE")
	refused("DELETE", "/v1/apps/"+chat.id+"/entitlements/"+chat.account, nil, http.StatusBadRequest, "ACCOUNT_ENTITLEMENT")
	refused("DELETE", "/v1/apps/"+chat.id+"/entitlements/"+str(seat, "entitlement", "id"), nil, http.StatusBadRequest, "ENTITLEMENT_IN_USE")
	refused("DELETE", "/v1/apps/"+chat.id, nil, http.StatusBadRequest, "APP_IN_USE")
	w.admin.must(t, "DELETE", "/v1/apps/"+chat.id+"?endAccess=true", nil)
	w.requestState(t, open, "REQUEST_STATE_CANCELLED")
	until(t, "the grant is gone", func() any { return w.grantOf(t, held) }, func(g any) bool {
		return str(g, "state") == "GRANT_STATE_REVOKED" && str(g, "endReason") == "GRANT_END_REASON_APP_DELETED" && str(g, "appName") == "Chat"
	})
	if got := w.admin.must(t, "GET", "/v1/apps/"+chat.id, nil); str(got, "app", "deleteTime") == "" {
		t.Errorf("got %v", got)
	}
	until(t, "the integration can go", func() int {
		r, err := w.admin.do(t.Context(), "DELETE", "/v1/integrations/"+integration, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Code
	}, func(code int) bool { return code == http.StatusOK })

	source := str(w.user(t, "ned"), "sourceId")
	refused("DELETE", "/v1/sources/"+source, nil, http.StatusBadRequest, "SOURCE_IN_USE")
	w.admin.must(t, "DELETE", "/v1/sources/"+source+"?users=SOURCE_USERS_KEEP", nil)
	until(t, "ned stays without a source", func() any { return w.user(t, "ned") }, func(u any) bool {
		return str(u, "sourceId") == "" && str(u, "state") == "USER_STATE_ACTIVE"
	})
	if r, err := w.scim.do(t.Context(), "GET", "/scim/v2/Users", nil); err != nil || r.Code != http.StatusUnauthorized {
		t.Errorf("its token still works: %d %v", r.Code, err)
	}
}
