package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// sayings are how identity providers say that somebody is away and is back: operations
// of a PATCH, or the whole of a PUT.
var sayings = map[string]struct{ put, away, back string }{
	"oki": {away: `{"op":"replace","value":{"active":false}}`, back: `{"op":"replace","value":{"active":true}}`},                                                                                                                                                                                                       // Okta
	"eno": {away: `{"op":"Replace","path":"active","value":"False"}`, back: `{"op":"Replace","path":"active","value":"True"}`},                                                                                                                                                                                         // Entra
	"ena": {away: `{"op":"replace","path":"active","value":false}`, back: `{"op":"Add","path":"active","value":"True"}`},                                                                                                                                                                                               // Entra, with aadOptscim062020
	"pat": {put: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"%s","userName":"pat@corp.example","name":{"givenName":"Pat","familyName":"Person"},"emails":[{"primary":true,"value":"pat@corp.example","type":"work"}],"displayName":"Pat Person","externalId":"ext-pat","active":%t,"groups":[]}`}, // Okta
}

// B-ONB-17, B-APR-19, B-ONB-09: whoever is made inactive, in the words of any identity
// provider, is out of every app at once, what is pending is not approved meanwhile, and
// once they are back they have what is still due, and only that.
func leavesByBeingMadeInactive(t *testing.T, gh *standalone) {
	target := startScimTarget(t)
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	ann := w.as(t, "ann")
	chat, payroll := w.automaticApp(t, "Chat", "ann"), w.manualApp(t, "Payroll", "ann")
	news := w.app(t, object{"name": "Newsletter", "provisioning": "PROVISIONING_SUPPORT_NONE"})
	engineers := w.entitlement(t, chat, "Engineers", "ENTITLEMENT_KIND_GROUP", "engineers")
	say := func(name, id string, back bool) {
		t.Helper()
		s := sayings[name]
		r := reply{}
		switch {
		case s.put != "":
			r = w.scim.send(t, "PUT", "/scim/v2/Users/"+id, fmt.Sprintf(s.put, id, back))
		case back:
			r = w.patchUser(t, id, s.back)
		default:
			r = w.patchUser(t, id, s.away)
		}
		r.want(t, http.StatusOK, fmt.Sprintf(`"active":%t`, back))
	}
	ids, pending, tasks := map[string]string{}, map[string]string{}, map[string]string{}
	for name := range sayings {
		ids[name] = str(w.scimUser(t, name, strings.ToUpper(name[:1])+name[1:]+" Person", ""), "id")
		held := w.assign(t, []string{ids[name]}, chat.account, payroll.account, news.account)[0]
		w.resolve(t, w.onChecklist(t, "ONBOARDING", name)...)
		w.grantState(t, held, "ACTIVE")
		pending[name] = w.ask(t, w.as(t, name), "REQUEST_KIND_GRANT", engineers)
		tasks[name] = w.task(t, ann, pending[name])
	}

	t.Log("made inactive, they are out")
	for name := range sayings {
		say(name, ids[name], false)
		target.hasAccount(t, name+"@corp.example", false)
		items := until(t, "what is to be done by hand", func() []any { return w.onChecklist(t, "OFFBOARDING", name) }, func(l []any) bool { return len(l) == 2 })
		if kinds := strings.Join(column(items, "kind"), " "); !strings.Contains(kinds, "REMOVE_ACCOUNT") || !strings.Contains(kinds, "CHANGE_SECRET") {
			t.Errorf("%s: items %s", name, kinds)
		}
		until(t, "ann is asked no more", func() any { return openTask(t, ann, pending[name]) }, func(task any) bool { return task == nil })
		if got := ann.refusal(t, "POST", "/v1/tasks/"+tasks[name]+":approve", object{}); got == "" {
			t.Errorf("%s: approved for somebody who is away", name)
		}
		if got := countState(w.grants(t, name), "GRANT_STATE_HELD"); got != 3 {
			t.Errorf("%s: %d grants are held", name, got)
		}
	}

	t.Log("and back, they have what they had, and nothing that nobody has decided")
	for name := range sayings {
		say(name, ids[name], true)
		target.hasAccount(t, name+"@corp.example", true)
		w.offChecklist(t, "OFFBOARDING", name)
		until(t, "grants", func() []any { return w.grants(t, name) }, func(gs []any) bool { return len(gs) == 3 && countState(gs, "GRANT_STATE_ACTIVE") == 3 })
		if target.member(t, "engineers", name+"@corp.example") {
			t.Errorf("%s has what nobody has approved", name)
		}
		w.approve(t, ann, pending[name])
		w.requestState(t, pending[name], "REQUEST_STATE_FULFILLED")
	}
}

// openTask is a reviewer's open task on a request; nil if there is none.
func openTask(t testing.TB, reviewer api, request string) any {
	t.Helper()
	for _, task := range list(reviewer.must(t, "GET", "/v1/tasks?pageSize=1000", nil), "tasks") {
		if str(task, "requestId") == request {
			return task
		}
	}
	return nil
}

// B-ONB-09: what is no way to say that somebody has left is refused, and nobody has left;
// DELETE removes.
func leavesByBeingDeleted(t *testing.T, gh *standalone) {
	target := startScimTarget(t)
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	ned := str(w.scimUser(t, "ned", "Ned Newcomer", ""), "id")
	chat := w.automaticApp(t, "Chat", "ann")
	w.grantState(t, w.assign(t, []string{ned}, chat.account)[0], "ACTIVE")
	for _, operation := range []string{
		`{"op":"deactivate","path":"active","value":false}`, `{"op":"replace","path":"accountEnabled","value":false}`,
		`{"op":"replace","path":"active","value":null}`, `{"op":"remove","path":"active"}`, `{"op":"replace","path":"active","value":"no"}`,
	} {
		w.patchUser(t, ned, operation).want(t, http.StatusBadRequest, "scimType")
	}
	w.scim.send(t, "DELETE", "/scim/v2/Users/ned@corp.example", nil).want(t, http.StatusNotFound, "404")
	if got := w.scim.must(t, "GET", "/scim/v2/Users/"+ned, nil); got["active"] != true {
		t.Errorf("ned is %s", brief(got))
	}
	target.hasAccount(t, "ned@corp.example", true)
	w.scim.send(t, "DELETE", "/scim/v2/Users/"+ned, nil).want(t, http.StatusNoContent, "")
	target.hasAccount(t, "ned@corp.example", false)
}

// B-ONB-03, B-ONB-05, B-ONB-07, B-ONB-13: a manual account stands on the lists whatever
// gave it; a leaver is on theirs until the last item is resolved, and who comes back
// finds nothing of the first time there.
func manualAccountOfARequest(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	w.scimUser(t, "ann", "Ann Approver", "")
	sam := w.scimUser(t, "sam", "Sam Senior", "")
	ann := w.as(t, "ann")
	payroll, books := w.manualApp(t, "Payroll", "ann"), w.manualApp(t, "Books", "ann")
	auditor := w.entitlement(t, books, "Auditor", "ENTITLEMENT_KIND_ROLE", "auditor")
	r := w.ask(t, w.as(t, "sam"), "REQUEST_KIND_GRANT", payroll.account)
	w.approve(t, ann, r)
	given := w.assign(t, []string{str(sam, "id")}, books.account)[0]
	items := until(t, "both accounts", func() []any { return w.onChecklist(t, "ONBOARDING", "sam") }, func(l []any) bool { return len(l) == 2 })
	w.resolve(t, items[:1]...)
	if left := w.onChecklist(t, "ONBOARDING", "sam"); len(left) != 1 {
		t.Errorf("left to do: %s", brief(left))
	}
	w.resolve(t, items[1])
	w.offChecklist(t, "ONBOARDING", "sam")
	w.grantState(t, r, "ACTIVE")
	w.grantState(t, given, "ACTIVE")

	t.Log("somebody who has been here for years is not onboarding for a role")
	staff := w.scimGroup(t, "Auditors")
	w.joinFlow(t, "Auditors", str(staff, "id"), auditor)
	w.scimJoin(t, staff, sam)
	w.openItem(t, str(sam, "id"), "ASSIGN")
	w.offChecklist(t, "ONBOARDING", "sam")

	t.Log("a leaver is on the list until all is done")
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(sam, "id"), nil)
	items = until(t, "both accounts are to go", func() []any { return w.onChecklist(t, "OFFBOARDING", "sam") }, func(l []any) bool { return len(l) == 2 })
	w.resolve(t, items[0])
	if left := w.onChecklist(t, "OFFBOARDING", "sam"); len(left) != 1 {
		t.Errorf("left to do: %s", brief(left))
	}

	t.Log("and back, nothing of the first time is on a list")
	if again := w.scimUser(t, "sam", "Sam Senior", ""); str(again, "id") != str(sam, "id") {
		t.Errorf("sam is somebody else: %s", brief(again))
	}
	w.offChecklist(t, "ONBOARDING", "sam")
	until(t, "what is to go", func() []any {
		return list(w.admin.must(t, "GET", "/v1/workItems?userId="+str(sam, "id"), nil), "workItems")
	}, func(l []any) bool {
		return len(l) == 1 && str(l[0], "kind") == "WORK_ITEM_KIND_REMOVE_ACCOUNT" && str(l[0], "checklistId") == ""
	})
}

// B-PRV-11: what a person says is gone is looked at. What is still there is on the list
// again, and goes once the app lets it.
func removalThatAPersonHasResolved(t *testing.T, gh *standalone) {
	target := startScimTarget(t)
	refuses := refuseSome(t, target, "/Users/")
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	ned := str(w.scimUser(t, "ned", "Ned Newcomer", ""), "id")
	chat := w.automaticApp(t, "Chat", "ann")
	r := w.assign(t, []string{ned}, chat.account)[0]
	w.grantState(t, r, "ACTIVE")
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+ned, nil)
	items := w.onChecklist(t, "OFFBOARDING", "ned")
	w.resolve(t, items...)
	again := until(t, "it is on the list again", func() []any {
		return list(w.admin.must(t, "GET", "/v1/workItems?userId="+ned, nil), "workItems")
	}, func(l []any) bool { return len(l) == 1 && str(l[0], "id") != str(items[0], "id") })
	if on := w.onChecklist(t, "OFFBOARDING", "ned"); len(on) != 1 || str(on[0], "id") != str(again[0], "id") {
		t.Errorf("on the list: %s", brief(on))
	}
	w.grantState(t, r, "REVOKING")
	refuses.Store(false)
	w.resolve(t, again...)
	target.hasAccount(t, "ned@corp.example", false)
	w.grantState(t, r, "REVOKED")
	w.offChecklist(t, "OFFBOARDING", "ned")
}
