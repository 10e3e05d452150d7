package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// account makes an account in the app, as somebody does there.
func (s *scimTarget) account(t testing.TB, name string, groups ...string) (id string) {
	t.Helper()
	a, prefix := s.api()
	id = str(a.must(t, "POST", prefix+"/Users", object{"schemas": []string{scimUser}, "userName": name + "@corp.example"}), "id")
	for _, g := range groups {
		a.must(t, "POST", prefix+"/Groups", object{"schemas": []string{scimGroup}, "displayName": g, "members": []object{{"value": id}}})
	}
	return id
}

// B-PRV-13, B-PRV-11: an integration that leads to another tenant uses no id of the one
// before, where it is a stranger's; it is shown before what would be found, and what is
// left behind is not gone until a person has said so.
func integrationWithAnotherTenant(t *testing.T, gh *standalone) {
	from, to := startScimTarget(t, "SCIM_IDS=counted"), startScimTarget(t, "SCIM_IDS=counted")
	w := newWorld(t, gh, from)
	w.scimUser(t, "ann", "Ann Approver", "")
	ned := str(w.scimUser(t, "ned", "Ned Newcomer", ""), "id")
	chat := w.automaticApp(t, "Chat", "ann")
	engineers := w.entitlement(t, chat, "Engineers", "ENTITLEMENT_KIND_GROUP", "engineers")
	r := w.assign(t, []string{ned}, chat.account, engineers)[0]
	w.grantState(t, r, "ACTIVE")
	if id := to.account(t, "stranger"); id != str(from.users(t, "ned@corp.example")[0], "id") {
		t.Fatalf("the stranger's id is %s", id)
	}
	integration := "/v1/integrations/" + str(w.admin.must(t, "GET", "/v1/apps/"+chat.id, nil), "app", "integrationId")
	move := object{"scim": object{"baseUrl": to.url, "token": to.token}}
	preview := w.admin.must(t, "POST", "/v1/integrations:previewAccounts", object{"appId": chat.id, "scim": move["scim"]})
	if got := column(list(preview, "accounts"), "found"); len(got) != 1 || got[0] != "ACCOUNT_FOUND_NONE" {
		t.Errorf("preview: %s", brief(preview))
	}
	if got := w.admin.refusal(t, "PATCH", integration, move); got != "ACCOUNTS_LEFT_BEHIND" {
		t.Errorf("moved unseen: %q", got)
	}
	w.admin.must(t, "PATCH", integration+"?leaveAccounts=true", move)
	to.hasMember(t, "engineers", "ned@corp.example", true)
	w.grantState(t, r, "ACTIVE")
	left := w.openItem(t, ned, "REMOVE_LEFT_ACCOUNT")
	if !strings.Contains(str(left, "error"), from.url) {
		t.Errorf("the item says %q", str(left, "error"))
	}

	w.scim.must(t, "DELETE", "/scim/v2/Users/"+ned, nil)
	to.hasAccount(t, "ned@corp.example", false)
	w.grantState(t, r, "REVOKING")
	w.resolve(t, left)
	w.grantState(t, r, "REVOKED")
	to.hasAccount(t, "stranger@corp.example", true)
	from.hasAccount(t, "ned@corp.example", true) // which only a person can reach
	if to.member(t, "engineers", "stranger@corp.example") {
		t.Error("the stranger is in the group")
	}
}

// B-PRV-09, B-PRV-10: an account that was there before is shown before it is used, keeps
// what it had when the grant ends, and goes with its owner alone, by a person.
func accountThatWasThereBefore(t *testing.T, gh *standalone) {
	target := startScimTarget(t)
	changes := countChanges(t, target, "/")
	id := target.account(t, "ned", "owners")
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	ned := str(w.scimUser(t, "ned", "Ned Newcomer", ""), "id")
	ann, nedAPI := w.as(t, "ann"), w.as(t, "ned")
	chat := w.automaticApp(t, "Chat", "ann")
	engineers := w.entitlement(t, chat, "Engineers", "ENTITLEMENT_KIND_GROUP", "engineers")
	r := str(nedAPI.must(t, "POST", "/v1/requests", object{
		"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{chat.account, engineers}, "until": time.Now().Add(6 * time.Second).UTC().Format(time.RFC3339Nano),
	}), "request", "id")
	w.approve(t, ann, r)
	item := w.openItem(t, ned, "ADOPT_ACCOUNT")
	if !strings.Contains(str(item, "error"), id) || changes.Load() != 0 {
		t.Errorf("%d changes before anybody has said whose it is: %s", changes.Load(), brief(item))
	}
	w.resolve(t, item)
	target.hasMember(t, "engineers", "ned@corp.example", true)
	w.grantState(t, r, "REVOKED") // at its end
	if us := target.users(t, "ned@corp.example"); len(us) != 1 || str(us[0], "id") != id || us[0]["active"] != true {
		t.Fatalf("the account is %s", brief(us))
	}
	if target.member(t, "engineers", "ned@corp.example") || !target.member(t, "owners", "ned@corp.example") {
		t.Error("it lost what it had, or kept what it was given")
	}
	w.assign(t, []string{ned}, engineers)
	target.hasMember(t, "engineers", "ned@corp.example", true)
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+ned, nil)
	if items := w.onChecklist(t, "OFFBOARDING", "ned"); len(items) != 1 || str(items[0], "kind") != "WORK_ITEM_KIND_REMOVE_ACCOUNT" {
		t.Errorf("on the list: %s", brief(items))
	}
	target.hasAccount(t, "ned@corp.example", true)
}

// B-ONB-11, B-PRV-11: an app that becomes automatic is looked at first: an account that
// was made by hand is found and not made again, and a removal makes none.
func manualAppBecomesAutomatic(t *testing.T, gh *standalone) {
	target := startScimTarget(t)
	made := countChanges(t, target, "POST")
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	here, never, todo := w.scimUser(t, "ned", "Ned Newcomer", ""), w.scimUser(t, "joe", "Joe Junior", ""), w.scimUser(t, "sue", "Sue Senior", "")
	chat := w.manualApp(t, "Chat", "ann")
	w.admin.must(t, "PATCH", "/v1/apps/"+chat.id, object{"accountAdoption": "ACCOUNT_ADOPTION_ADOPT"})
	byHand := w.assign(t, []string{str(here, "id"), str(never, "id")}, chat.account)
	w.resolve(t, append(w.onChecklist(t, "ONBOARDING", "ned"), w.onChecklist(t, "ONBOARDING", "joe")...)...)
	for _, r := range byHand {
		w.grantState(t, r, "ACTIVE")
	}
	target.account(t, "ned") // joe's was never made, whatever was said
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(never, "id"), nil)
	w.onChecklist(t, "OFFBOARDING", "joe")
	open := w.assign(t, []string{str(todo, "id")}, chat.account)[0]
	w.onChecklist(t, "ONBOARDING", "sue")

	i := w.admin.must(t, "POST", "/v1/integrations", object{"name": "Chat", "kind": "INTEGRATION_KIND_SCIM", "scim": object{"baseUrl": target.url, "token": target.token}})
	w.admin.must(t, "PATCH", "/v1/apps/"+chat.id, object{"provisioning": "PROVISIONING_SUPPORT_AUTOMATIC", "integrationId": str(i, "integration", "id")})
	w.grantState(t, open, "ACTIVE")
	w.grantState(t, byHand[1], "REVOKED")
	w.offChecklist(t, "ONBOARDING", "sue")
	w.offChecklist(t, "OFFBOARDING", "joe")
	until(t, "ned's account is known", func() any { return w.admin.must(t, "GET", "/v1/accounts?userId="+str(here, "id"), nil) }, func(a any) bool {
		return str(a, "accounts", 0, "externalId") == str(target.users(t, "ned@corp.example")[0], "id")
	})
	if n := made.Load(); n != 1 || len(target.users(t, "joe@corp.example")) != 0 {
		t.Errorf("%d accounts made, joe's: %s", n, brief(target.users(t, "joe@corp.example")))
	}
}

// B-PRV-04: an app that takes few calls a second, and says when to come again, is given
// what it takes: nothing fails, and it is shown what waits.
func appThatTakesFewCalls(t *testing.T, gh *standalone) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	target := startScimTarget(t, "SCIM_GROUPS="+strings.Join(names, ","))
	takesOnly(t, target, 20)
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	chat := w.automaticApp(t, "Chat", "ann")
	var groups, people []string
	for _, n := range names {
		groups = append(groups, w.entitlement(t, chat, n, "ENTITLEMENT_KIND_GROUP", n))
	}
	for _, n := range []string{"p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"} {
		people = append(people, str(w.scimUser(t, n, "Person "+n, ""), "id"))
	}
	requests := w.assign(t, people, groups...)
	integration := "/v1/integrations/" + str(w.admin.must(t, "GET", "/v1/apps/"+chat.id, nil), "app", "integrationId")
	until(t, "what waits is shown", func() any { return get(w.admin.must(t, "GET", integration, nil), "integration") }, func(i any) bool {
		n, _ := get(i, "waitingOperations").(float64)
		return n > 0 && str(i, "oldestWaitTime") != "" && str(i, "throttledUntil") != ""
	})
	for _, r := range requests {
		w.grantState(t, r, "ACTIVE")
		if got := w.events(t, r); count(got, "grant.failed") != 0 {
			t.Errorf("failed: %v", got)
		}
	}
	if items := list(w.admin.must(t, "GET", "/v1/workItems", nil), "workItems"); len(items) != 0 {
		t.Errorf("work items: %s", brief(items))
	}
}

// B-CAT-06, in part: an entitlement that the app does not have is refused when it is made;
// what the app has is listed to choose from; it is renamed, and keeps its reference while
// somebody holds it.
func entitlementThatTheAppLacks(t *testing.T, gh *standalone) {
	target := startScimTarget(t, "SCIM_GROUPS=engineers,sales")
	w := newWorld(t, gh, target)
	ned := str(w.scimUser(t, "ned", "Ned Newcomer", ""), "id")
	chat := w.automaticApp(t, "Chat", "ned")
	entitlements := "/v1/apps/" + chat.id + "/entitlements"
	for ref, want := range map[string]string{"enginers": "ENTITLEMENT_NOT_IN_APP", "": `"ref"`} {
		w.admin.send(t, "POST", entitlements, object{"name": "New", "kind": "ENTITLEMENT_KIND_GROUP", "ref": ref}).want(t, http.StatusBadRequest, want)
	}
	integration := str(w.admin.must(t, "GET", "/v1/apps/"+chat.id, nil), "app", "integrationId")
	listed := list(w.admin.must(t, "GET", "/v1/integrations/"+integration+"/entitlements?kind=ENTITLEMENT_KIND_GROUP&query=sal", nil), "entitlements")
	if len(listed) != 1 || str(listed[0], "displayName") != "sales" {
		t.Fatalf("to choose from: %s", brief(listed))
	}
	sales := w.entitlement(t, chat, "Sails", "ENTITLEMENT_KIND_GROUP", str(listed[0], "ref"))
	w.grantState(t, w.assign(t, []string{ned}, sales)[0], "ACTIVE")
	target.hasMember(t, "sales", "ned@corp.example", true)
	w.admin.must(t, "PATCH", entitlements+"/"+sales, object{"name": "Sales"})
	if got := w.admin.refusal(t, "PATCH", entitlements+"/"+sales, object{"ref": "engineers"}); got != "ENTITLEMENT_IN_USE" {
		t.Errorf("another group for what is held: %q", got)
	}
	w.admin.must(t, "DELETE", entitlements+"/"+sales+"?endAccess=true", nil)
	target.hasMember(t, "sales", "ned@corp.example", false)
}
