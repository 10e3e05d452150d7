package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestAssign is the story of an admin who gives three people two apps at once: one makes
// its accounts itself, the other by hand. The admin sees before how each account comes;
// nobody is asked to decide; the trail says who assigned it. The admin looks no id of a
// person up, but names them all by user name. B-ONB-18, B-ONB-03, B-ONB-04
func TestAssign(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	target := startScimTarget(t)
	gh := startStandalone(t)
	proxy := newContractProxy(t, gh.base)
	gh.base = proxy.URL
	defer proxy.clean(t, 15)
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	people := []string{"ned", "joe", "sue"}
	var userNames []string
	for _, name := range people {
		w.scimUser(t, name, "Person "+name, "")
		userNames = append(userNames, name+"@corp.example")
	}
	ann, ned := w.as(t, "ann"), w.as(t, "ned")
	chat := w.automaticApp(t, "Chat", "ann")
	payroll := w.app(t, object{"name": "Payroll", "provisioning": "PROVISIONING_SUPPORT_MANUAL", "ownerId": "NED@corp.example", "approverIds": []string{"ann@corp.example"}})
	assignment := object{
		"requestId": newUUID(), "userIds": userNames, "entitlementIds": []string{chat.account, payroll.account}, "justification": "the new office",
	}
	refused := func(who api, body any, code int, reason string) {
		t.Helper()
		r, err := who.do(t.Context(), "POST", "/v1/requests:assign", body)
		if err != nil || r.Code != code || !strings.Contains(string(r.Raw), reason) {
			t.Errorf("got %v %d %s, want %d %s", err, r.Code, r.Raw, code, reason)
		}
	}
	refused(ann, assignment, http.StatusForbidden, "ROLE_NOT_ALLOWED")
	refused(w.admin, object{"userIds": []string{"ned@corp.example", "ghost@corp.example"}, "entitlementIds": []string{chat.account}, "justification": "who?"},
		http.StatusBadRequest, `"userIds[1]"`)
	root := str(w.admin.must(t, "GET", "/v1/me", nil), "user", "id")
	refused(w.admin, object{"userIds": append(slices.Clone(userNames), root), "entitlementIds": []string{chat.account}, "justification": "me too"},
		http.StatusForbidden, "SELF_ASSIGNMENT")

	preview := w.admin.must(t, "POST", "/v1/requests:previewAssignment", object{"assignment": assignment})
	if got, want := column(list(preview, "apps"), "provisioning"), []string{"PROVISIONING_SUPPORT_AUTOMATIC", "PROVISIONING_SUPPORT_MANUAL"}; !slices.Equal(got, want) {
		t.Errorf("preview: got %v, want %v", got, want)
	}
	if n := len(list(preview, "items")); n != 6 {
		t.Errorf("preview of %d items", n)
	}

	made := w.admin.must(t, "POST", "/v1/requests:assign", assignment)
	requests := column(list(made, "requests"), "id")
	if again := w.admin.must(t, "POST", "/v1/requests:assign", assignment); len(requests) != 3 || !slices.Equal(column(list(again, "requests"), "id"), requests) {
		t.Fatalf("assigned %s, and again %s", brief(made), brief(again))
	}
	for n, name := range people {
		until(t, "account of "+name, func() []object { return target.users(t, name+"@corp.example") }, func(us []object) bool { return len(us) == 1 })
		until(t, "grants of "+name, func() []any { return w.grants(t, name) }, func(gs []any) bool {
			return len(gs) == 2 && countState(gs, "GRANT_STATE_ACTIVE") == 1 && countState(gs, "GRANT_STATE_PENDING") == 1
		})
		checklist := until(t, "checklist of "+name, func() any { return w.checklist(t, "CHECKLIST_KIND_ONBOARDING", name) }, func(c any) bool { return c != nil })
		items := list(w.admin.must(t, "GET", "/v1/checklists/"+str(checklist, "id"), nil), "workItems")
		if len(items) != 1 || str(items[0], "appId") != payroll.id {
			t.Errorf("items of %s: %s", name, brief(items))
		}
		w.admin.must(t, "POST", "/v1/checklists:resolve", object{"workItemIds": column(items, "id")})
		r := w.requestState(t, requests[n], "REQUEST_STATE_FULFILLED")
		if str(r, "origin") != "REQUEST_ORIGIN_ASSIGNMENT" || str(r, "requester", "displayName") != "Rob Root" {
			t.Errorf("request of %s: %s", name, brief(r))
		}
		w.trail(t, requests[n], "request.submitted", "approval.granted", "grant.created", "grant.activated", "request.closed")
	}
	if tasks := list(ann.must(t, "GET", "/v1/tasks", nil), "tasks"); len(tasks) != 0 {
		t.Errorf("ann was asked: %s", brief(tasks))
	}
	// It is theirs, and they see who gave it.
	mine := list(ned.must(t, "GET", "/v1/grants?userId=ned@corp.example", nil), "grants")
	if countState(mine, "GRANT_STATE_ACTIVE") != 2 {
		t.Errorf("ned sees %s", brief(mine))
	}
	timeline := column(list(ned.must(t, "GET", "/v1/requests/"+requests[0]+"/timeline", nil), "entries"), "text")
	if !slices.Contains(timeline, "Assigned by Rob Root") {
		t.Errorf("ned reads %q", timeline)
	}
	// In a path, and given to somebody.
	ned2 := w.admin.must(t, "GET", "/v1/users/Ned%40corp.example", nil)
	if want := w.id(t, "ned"); str(ned2, "user", "id") != want || str(w.admin.must(t, "GET", "/v1/apps/"+payroll.id, nil), "app", "ownerId") != want {
		t.Errorf("got %s, want %s", brief(ned2), want)
	}
	w.admin.must(t, "POST", "/v1/users/sue@corp.example:setRole", object{"role": "ROLE_IT_ADMIN"})
	if got := w.admin.must(t, "GET", "/v1/users/sue@corp.example", nil); str(got, "user", "role") != "ROLE_IT_ADMIN" {
		t.Errorf("got %s", brief(got))
	}
	for _, name := range []string{"ghost@corp.example", "root"} {
		if r, err := w.admin.do(t.Context(), "GET", "/v1/users/"+name, nil); err != nil || r.Code != http.StatusNotFound || !strings.Contains(string(r.Raw), "USER_NOT_FOUND") {
			t.Errorf("%s: %v %d %s", name, err, r.Code, r.Raw)
		}
	}
	w.nothingParked(t)
}
