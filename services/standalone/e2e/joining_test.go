package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// B-USR-21: whoever has just come, as SCIM's 201 says, asks, is asked for, and gets a
// place, at once and the first time.
func whoHasJustCome(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	books := w.app(t, object{"name": "Books", "provisioning": "PROVISIONING_SUPPORT_NONE"})
	group := w.scimGroup(t, "New")
	for n := range 5 {
		asks, isAskedFor, approves, reviews := fmt.Sprintf("asks%d", n), fmt.Sprintf("for%d", n), fmt.Sprintf("approves%d", n), fmt.Sprintf("reviews%d", n)
		w.scimUser(t, asks, "Asks Newcomer", "")
		w.as(t, asks).must(t, "POST", "/v1/requests", object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{books.account}})
		w.admin.must(t, "POST", "/v1/requests", object{
			"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{books.account}, "beneficiaryId": str(w.scimUser(t, isAskedFor, "For Newcomer", ""), "id"),
		})
		w.admin.must(t, "PATCH", "/v1/apps/"+books.id, object{"approverIds": []string{str(w.scimUser(t, approves, "Approves Newcomer", ""), "id")}})
		flow := w.flow(t, reviews, books, object{"steps": []object{
			{"name": "New", "reviewers": "REVIEWER_KIND_USERS", "userIds": []string{str(w.scimUser(t, reviews, "Reviews Newcomer", ""), "id")}, "need": "STEP_NEED_ANY"},
		}})
		team := str(w.scimGroup(t, "Team "+reviews), "id")
		w.admin.must(t, "PATCH", "/v1/flows/"+flow, object{"audience": object{"groupIds": []string{team, str(group, "id")}}})
		given := str(w.scimUser(t, fmt.Sprintf("given%d", n), "Given Newcomer", ""), "id")
		w.grantState(t, w.assign(t, []string{given}, books.account)[0], "ACTIVE")
	}
}

// B-USR-15, B-PRV-10: five flows that give the same are five reasons, all on record;
// leaving the group ends all of them, and coming back gives it again.
func fiveFlowsGiveTheSame(t *testing.T, gh *standalone) {
	target := startScimTarget(t)
	changes := countChanges(t, target, "PATCH /scim/v2/Groups")
	w := newWorld(t, gh, target)
	w.scimUser(t, "ann", "Ann Approver", "")
	mover := w.scimUser(t, "max", "Max Mover", "")
	chat := w.automaticApp(t, "Chat", "ann")
	engineers := w.entitlement(t, chat, "Engineers", "ENTITLEMENT_KIND_GROUP", "engineers")
	team, other := w.scimGroup(t, "Team"), w.scimGroup(t, "Other")
	for n := range 4 {
		w.joinFlow(t, fmt.Sprintf("Flow %d", n), str(team, "id"), engineers)
	}
	w.joinFlow(t, "Flow of the other", str(other, "id"), engineers)
	reasons := func(active, ended int, changed int32) {
		t.Helper()
		until(t, fmt.Sprintf("%d reasons", active), func() []any { return w.grants(t, "max") }, func(gs []any) bool {
			return countState(gs, "GRANT_STATE_ACTIVE") == active && countState(gs, "GRANT_STATE_REVOKED") == ended && len(gs) == active+ended
		})
		target.hasMember(t, "engineers", "max@corp.example", active > 0)
		if got := changes.Load(); got != changed {
			t.Errorf("the app's group was changed %d times, want %d", got, changed)
		}
	}
	w.patchMembers(t, "add", team, mover)
	reasons(4, 0, 1)
	w.patchMembers(t, "add", other, mover)
	reasons(5, 0, 1)
	w.patchMembers(t, "remove", team, mover)
	reasons(1, 4, 1)
	w.patchMembers(t, "remove", other, mover)
	reasons(0, 5, 1) // the account goes with the last of them
	w.patchMembers(t, "add", team, mover)
	reasons(4, 5, 2)
	flows := map[string]bool{}
	for _, g := range w.grants(t, "max") {
		r := get(w.admin.must(t, "GET", "/v1/requests/"+str(g, "requestId"), nil), "request")
		if str(r, "origin") != "REQUEST_ORIGIN_JOIN" {
			t.Errorf("a reason that no flow is: %s", brief(r))
		}
		flows[str(r, "flowId")] = true
	}
	if len(flows) != 5 {
		t.Errorf("on record are %d flows", len(flows))
	}
}

// What no schema has is refused by name, and nothing is kept of it; what says nothing
// makes nobody inactive; /Schemas announces what is taken.
func scimThatIsMisspelt(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	ned := str(w.scimUser(t, "ned", "Ned Newcomer", ""), "id")
	before := brief(w.scim.must(t, "GET", "/scim/v2/Users/"+ned, nil))
	for _, operation := range []string{
		`{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.employeeNumber","value":"7"}`,
		`{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:Users:userName","value":"eve@corp.example"}`,
		`{"op":"replace","path":"manager","value":"` + ned + `"}`,
		`{"op":"replace","value":{"shoeSize":38}}`,
	} {
		w.patchUser(t, ned, operation).want(t, http.StatusBadRequest, "invalidPath")
	}
	w.patchUser(t, ned, `{"op":"replace","path":"active","value":null}`).want(t, http.StatusBadRequest, "invalidValue")
	if after := brief(w.scim.must(t, "GET", "/scim/v2/Users/"+ned, nil)); after != before {
		t.Errorf("ned was %s, and is %s", before, after)
	}
	eve := person("eve@corp.example", "eve")
	eve["manager"] = ned
	w.scim.send(t, "POST", "/scim/v2/Users", eve).want(t, http.StatusBadRequest, "manager")
	delete(eve, "manager")
	eve["active"] = nil
	if got := w.scim.must(t, "POST", "/scim/v2/Users", eve); got["active"] != true {
		t.Errorf("eve is %s", brief(got))
	}
	schemas := list(w.scim.must(t, "GET", "/scim/v2/Schemas", nil), "Resources")
	user := schemas[slices.IndexFunc(schemas, func(s any) bool { return str(s, "id") == scimUser })]
	if names := column(list(user, "attributes"), "name"); slices.Contains(names, "manager") || !slices.Contains(names, "userName") {
		t.Errorf("announced: %v", names)
	}
}

// Lists of people go page by page by cursor (RFC 9865), and are filtered by e-mail, by
// beginnings, by the time of the last change, and by one of several.
func scimLists(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	var all []string
	for n := range 7 {
		all = append(all, str(w.scimUser(t, fmt.Sprintf("p%d", n), fmt.Sprintf("Person %d", n), ""), "id"))
	}
	find := func(filter string) (ids []string) {
		t.Helper()
		return column(list(w.scim.must(t, "GET", "/scim/v2/Users?"+url.Values{"filter": {filter}}.Encode(), nil), "Resources"), "id")
	}
	for filter, want := range map[string][]string{
		`emails.value eq "P3@corp.example"`:                                       all[3:4],
		`userName sw "p"`:                                                         all,
		`userName eq "p1@corp.example" or externalId eq "ext-p5"`:                 {all[1], all[5]},
		`meta.lastModified gt "2020-01-01T00:00:00Z" and userName sw "p6"`:        all[6:],
		`meta.lastModified gt "2999-01-01T00:00:00Z" or userName eq "nobody@c.d"`: nil,
	} {
		got := find(filter)
		slices.Sort(got)
		if want := slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			t.Errorf("%s: %d found, want %d", filter, len(got), len(want))
		}
	}
	var walked []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page := w.scim.must(t, "GET", "/scim/v2/Users?"+url.Values{"cursor": {cursor}, "count": {"3"}}.Encode(), nil)
		walked = append(walked, column(list(page, "Resources"), "id")...)
		if cursor = str(page, "nextCursor"); pages == 0 { // whom others bring meanwhile is not in the way
			w.scim.send(t, "DELETE", "/scim/v2/Users/"+walked[0], nil).want(t, http.StatusNoContent, "")
		}
	}
	slices.Sort(walked)
	if slices.Sort(all); !slices.Equal(walked, all) {
		t.Errorf("by cursor: %v, want %v", walked, all)
	}
	if c := w.scim.must(t, "GET", "/scim/v2/ServiceProviderConfig", nil); get(c, "pagination", "cursor") != true {
		t.Errorf("announced: %s", brief(c))
	}
}

// The first steps of an organization, by REST alone: what is wrong is said with the names
// that the caller wrote, a repeated sign-up makes no twin, and the first request is
// fulfilled.
func firstSteps(t *testing.T, gh *standalone) {
	client := api{base: gh.base}
	signUp := object{"requestId": newUUID(), "organizationName": "First", "email": "root-" + newUUID() + "@corp.example", "displayName": "Rob Root"}
	first := client.must(t, "POST", "/v1/organizations:signUp", signUp)
	if again := client.must(t, "POST", "/v1/organizations:signUp", signUp); str(again, "organization", "id") != str(first, "organization", "id") || str(again, "token") != "" {
		t.Errorf("signed up again: %s", brief(again))
	}
	admin := api{base: gh.base, token: str(first, "token")}
	source := admin.must(t, "POST", "/v1/sources", object{"name": "Directory", "kind": "SOURCE_KIND_SCIM"})
	address := str(source, "source", "scimBaseUrl")
	if listed := str(admin.must(t, "GET", "/v1/sources", nil), "sources", 0, "scimBaseUrl"); listed != address || !strings.HasSuffix(address, "/scim/v2") {
		t.Errorf("people are pushed to %q, listed as %q", address, listed)
	}
	w := &world{
		gh: gh, admin: admin, name: str(first, "organization", "signInName"),
		scim: api{base: strings.TrimSuffix(address, "/scim/v2"), token: str(source, "token")},
	}
	admin.send(t, "POST", "/v1/integrations", object{"name": "Chat", "kind": "INTEGRATION_KIND_SCIM", "scim": object{"baseUrl": "chat", "token": "a-token-of-the-chat"}}).
		want(t, http.StatusBadRequest, `"scim.baseUrl"`)
	missing := admin.send(t, "POST", "/v1/sources", object{"name": "Another"})
	missing.want(t, http.StatusBadRequest, "SOURCE_KIND_SCIM")
	missing.want(t, http.StatusBadRequest, `"kind"`)
	w.scimUser(t, "ned", "Ned Newcomer", "")
	payroll := w.app(t, object{"name": "Payroll", "provisioning": "PROVISIONING_SUPPORT_MANUAL"})
	preview := w.as(t, "ned").must(t, "POST", "/v1/requests:preview", object{"request": object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{payroll.account}}})
	if get(preview, "items", 0, "refusal") != "" {
		t.Errorf("preview: %s", brief(preview))
	}
	request := w.ask(t, w.as(t, "ned"), "REQUEST_KIND_GRANT", payroll.account)
	w.approve(t, admin, request)
	w.resolve(t, w.onChecklist(t, "ONBOARDING", "ned")...)
	w.requestState(t, request, "REQUEST_STATE_FULFILLED")
	if n := len(list(admin.must(t, "GET", "/v1/users", nil), "users")); n != 2 {
		t.Errorf("%d people", n)
	}
	if strings.TrimSpace(w.name) == "" {
		t.Error("nobody finds where to sign in")
	}
}
