package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestWhoAsksAndSees: a flow says who may ask, for whom; who decides about one app
// sees that app's part of a request; a task goes to nobody who does not see it; who
// wrote a flow gets nothing by it alone; somebody from outside sees what they were let
// in for; and a source renames nobody with a role.
func TestWhoAsksAndSees(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	w := newWorld(t, startStandalone(t), startScimTarget(t))
	ids := map[string]string{}
	for _, name := range []string{"mia", "ben", "eve", "pia", "pam", "ext"} {
		ids[name] = str(w.scimUser(t, name, strings.ToUpper(name[:1])+name[1:]+" Example", ids["mia"]), "id") // mia manages them
	}
	w.admin.must(t, "POST", "/v1/users/"+ids["ext"]+":setRole", object{"role": "ROLE_EXTERNAL"})
	chat := w.app(t, object{"name": "Chat", "approverIds": []string{ids["pia"]}})
	wiki := w.app(t, object{"name": "Wiki", "approverIds": []string{ids["pam"]}})
	// refusal is the reason that an answer gives for no.
	refusal := func(who api, method, path string, body any) string {
		t.Helper()
		r, err := who.do(t.Context(), method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		if r.Code == http.StatusOK {
			if items := list(r.JSON, "items"); len(items) > 0 {
				return str(items[0], "refusal") // a preview's
			}
			return ""
		}
		for _, d := range list(r.JSON, "details") {
			if reason := str(d, "reason"); reason != "" {
				return reason
			}
		}
		return string(r.Raw)
	}
	preview := func(name, whom, entitlement string) func() string {
		who := w.as(t, name)
		return func() string {
			return refusal(who, "POST", "/v1/requests:preview", object{"request": object{
				"kind": "REQUEST_KIND_GRANT", "beneficiaryId": ids[whom], "entitlementIds": []string{entitlement},
			}})
		}
	}
	answers := func(what, want string, ask func() string) {
		t.Helper()
		until(t, what+": "+want, ask, func(got string) bool { return got == want })
	}

	t.Log("without a flow managers ask for others, and nobody else does")
	answers("mia asks for ben", "", preview("mia", "ben", chat.account))
	answers("eve asks for ben", "NOT_FOR_OTHERS", preview("eve", "ben", chat.account))

	t.Log("and nobody's request for the admin is in the way of the admin's own")
	root := str(w.admin.must(t, "GET", "/v1/me", nil), "user", "id")
	for _, kind := range []string{"REQUEST_KIND_GRANT", "REQUEST_KIND_REVOKE"} {
		if got := refusal(w.as(t, "eve"), "POST", "/v1/requests", object{
			"kind": kind, "beneficiaryId": root, "entitlementIds": []string{wiki.account}, "justification": "for the admin",
		}); got != "NOT_FOR_OTHERS" {
			t.Errorf("eve asks for the admin: %q", got)
		}
	}
	own := w.ask(t, w.admin, "REQUEST_KIND_GRANT", wiki.account)
	w.admin.must(t, "POST", "/v1/requests/"+own+":cancel", object{"reason": "it was only asked"})
	w.requestState(t, own, "REQUEST_STATE_CANCELLED")

	t.Log("a flow says who may")
	w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Chat", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"appIds": []string{chat.id}},
		"requesters": object{"userIds": []string{ids["eve"]}}, "steps": []object{{"name": "Approvers", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}})
	answers("eve asks for ben", "", preview("eve", "ben", chat.account))
	answers("mia asks for ben", "NOT_FOR_OTHERS", preview("mia", "ben", chat.account))
	answers("ben asks for himself", "NOT_FOR_ONESELF", preview("ben", "ben", chat.account))
	answers("mia asks for ben in the wiki", "", preview("mia", "ben", wiki.account))

	t.Log("each reviewer sees the part of the app that is theirs")
	w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Everything", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"any": true}, "priority": 1,
		"steps": []object{{"name": "Approvers", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}})
	answers("mia asks for ben", "", preview("mia", "ben", chat.account))
	request := str(w.as(t, "mia").must(t, "POST", "/v1/requests", object{
		"kind": "REQUEST_KIND_GRANT", "beneficiaryId": ids["ben"], "entitlementIds": []string{chat.account, wiki.account}, "justification": "both",
	}), "request", "id")
	pia, pam := w.as(t, "pia"), w.as(t, "pam")
	for who, want := range map[*api]string{&pia: "Chat", &pam: "Wiki"} {
		w.task(t, *who, request)
		tasks := list(who.must(t, "GET", "/v1/tasks", nil), "tasks")
		for _, shown := range []any{get(tasks[0], "request"), get(who.must(t, "GET", "/v1/requests/"+request, nil), "request")} {
			if got := column(list(shown, "items"), "appName"); !slices.Equal(got, []string{want}) || get(shown, "hiddenItemCount") != float64(1) {
				t.Errorf("a reviewer of %s sees %v: %s", want, got, brief(shown))
			}
		}
		timeline := brief(who.must(t, "GET", "/v1/requests/"+request+"/timeline", nil))
		for _, app := range []string{"Chat", "Wiki"} {
			if strings.Contains(timeline, app) != (app == want) {
				t.Errorf("a reviewer of %s reads of %s: %s", want, app, timeline)
			}
		}
	}
	if got := column(list(w.as(t, "ben").must(t, "GET", "/v1/requests/"+request, nil), "request", "items"), "appName"); len(got) != 2 {
		t.Errorf("ben sees %v", got)
	}

	t.Log("and gives the task to nobody who does not see it")
	give := func(to string) string {
		return refusal(pia, "POST", "/v1/tasks/"+w.task(t, pia, request)+":reassign", object{"reviewerId": ids[to], "reason": "is better"})
	}
	if got := give("eve"); got != "REVIEWER_NOT_CONCERNED" {
		t.Errorf("to eve: %q", got)
	}

	t.Log("who wrote a flow gets nothing by it alone")
	w.admin.must(t, "POST", "/v1/users/"+ids["eve"]+":setRole", object{"role": "ROLE_IT_ADMIN"})
	eve := w.as(t, "eve")
	eve.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Mine", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"any": true}, "priority": 2, "autoApprove": true,
	}})
	hers := w.ask(t, eve, "REQUEST_KIND_GRANT", wiki.account)
	pias := w.ask(t, pia, "REQUEST_KIND_GRANT", wiki.account)
	w.requestState(t, pias, "REQUEST_STATE_APPROVED")
	w.task(t, pam, hers)
	w.requestState(t, hers, "REQUEST_STATE_PENDING")

	t.Log("somebody from outside sees what they were let in for")
	ext := w.as(t, "ext")
	catalog := func() string {
		return strings.Join(column(list(ext.must(t, "GET", "/v1/apps", nil), "apps"), "name"), " ")
	}
	answers("the catalog", "", catalog)
	answers("ext asks", "ENTITLEMENT_UNKNOWN", preview("ext", "ext", wiki.account))
	w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Guests", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"userIds": []string{ids["ext"]}}, "scope": object{"entitlementIds": []string{wiki.account}},
		"priority": -1, "steps": []object{{"name": "Approvers", "reviewers": "REVIEWER_KIND_APP_APPROVERS", "need": "STEP_NEED_ANY"}},
	}})
	answers("the catalog", "Wiki", catalog)
	answers("ext asks", "", preview("ext", "ext", wiki.account))
	answers("ext asks for another", "ENTITLEMENT_UNKNOWN", preview("ext", "ext", chat.account))

	whoDecides(t, w, ids, refusal)

	t.Log("a source renames nobody with a role")
	w.admin.must(t, "POST", "/v1/users/"+ids["eve"]+":setRole", object{"role": "ROLE_IT_ADMIN"})
	rename := object{"schemas": []string{scimPatch}, "Operations": []object{{"op": "replace", "path": "userName", "value": "mallory@corp.example"}}}
	for name, want := range map[string]int{"eve": http.StatusConflict, "ben": http.StatusOK} {
		r, err := w.scim.do(t.Context(), "PATCH", "/scim/v2/Users/"+ids[name], rename)
		if err != nil || r.Code != want {
			t.Errorf("renaming %s: %v %d %s", name, err, r.Code, r.Raw)
		}
	}
	w.nothingParked(t)
}
