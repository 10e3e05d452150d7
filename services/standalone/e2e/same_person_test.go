package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// person is what an identity provider sends of somebody.
func person(userName, externalID string) object {
	p := object{"schemas": []string{scimUser}, "userName": userName, "displayName": "Somebody Person", "active": true, "emails": []object{{"value": userName, "type": "work", "primary": true}}}
	if externalID != "" {
		p["externalId"] = externalID
	}
	return p
}

// B-USR-16: somebody new with the user name and the e-mail of somebody who left has none
// of their roles, places, grants and requests, and their places are shown as vacant.
func userNameOfSomebodyWhoLeft(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	lea := str(w.scimUser(t, "lea", "Lea Leaver", ""), "id")
	w.scimUser(t, "ned", "Ned Newcomer", "")
	w.admin.must(t, "POST", "/v1/users/"+lea+":setRole", object{"role": "ROLE_ADMIN"})
	books := w.app(t, object{"name": "Books", "provisioning": "PROVISIONING_SUPPORT_NONE", "ownerId": lea, "adminIds": []string{lea}, "approverIds": []string{lea}})
	flow := str(w.admin.must(t, "POST", "/v1/flows", object{"flow": object{
		"name": "Books", "trigger": "FLOW_TRIGGER_REQUEST", "audience": object{"everyone": true}, "scope": object{"appIds": []string{books.id}},
		"steps": []object{{"name": "Lea", "reviewers": "REVIEWER_KIND_USERS", "userIds": []string{lea}, "need": "STEP_NEED_ANY"}},
	}}), "flow", "id")
	held := w.assign(t, []string{lea}, books.account)[0]
	w.grantState(t, held, "ACTIVE")
	w.scim.send(t, "DELETE", "/scim/v2/Users/"+lea, nil).want(t, http.StatusNoContent, "")

	newLea := str(w.scim.must(t, "POST", "/scim/v2/Users", person("lea@corp.example", "another")), "id")
	if newLea == lea {
		t.Fatal("she is the one who left")
	}
	her := w.as(t, "lea")
	if me := her.must(t, "GET", "/v1/me", nil); str(me, "user", "id") != newLea || str(me, "user", "role") != "ROLE_MEMBER" {
		t.Errorf("she is %s", brief(me))
	}
	request := w.ask(t, w.as(t, "ned"), "REQUEST_KIND_GRANT", books.account)
	w.task(t, w.admin, request) // lea would have decided it
	for _, path := range []string{"/v1/grants", "/v1/requests", "/v1/tasks"} {
		_, what, _ := strings.Cut(path, "/v1/")
		if got := list(her.must(t, "GET", path, nil), what); len(got) != 0 {
			t.Errorf("she has %s", brief(got))
		}
	}
	gone := func(path, kind, field string) {
		t.Helper()
		until(t, "vacant places in the "+kind, func() []any { return list(w.admin.must(t, "GET", path, nil), kind, field) }, func(l []any) bool { return slices.Equal(l, []any{lea}) })
	}
	gone("/v1/apps/"+books.id, "app", "goneUserIds")
	gone("/v1/flows/"+flow, "flow", "goneIds")
}

// B-USR-16: an externalId may be that of several, and is nobody's name then; who leaves
// and comes back under it is somebody new.
func externalIDOfSeveral(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	join := func(userName, externalID string) string {
		t.Helper()
		return str(w.scim.must(t, "POST", "/scim/v2/Users", person(userName, externalID)), "id")
	}
	sam, kim, lee := join("j.smith@corp.example", "jsmith"), join("jo.smith@corp.example", "jsmith"), join("lee@corp.example", "lee")
	if sam == kim {
		t.Fatal("two people are one")
	}
	for _, id := range []string{sam, lee} {
		w.scim.send(t, "DELETE", "/scim/v2/Users/"+id, nil).want(t, http.StatusNoContent, "")
	}
	if back := join("j.smith@corp.example", "jsmith"); back == sam || back == kim {
		t.Error("taken for somebody by an externalId of several")
	}
	if back := join("lee@corp.example", "lee"); back != lee {
		t.Error("whose externalId is theirs alone comes back as somebody else")
	}
}

// B-USR-16, in part: user names that look the same are the same; what hides something in
// one is refused.
func userNamesThatLookTheSame(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	w.scim.must(t, "POST", "/scim/v2/Users", person("ada.é@corp.example", ""))
	for name, want := range map[string]struct {
		code int
		text string
	}{
		"ADA.É@corp.example":       {http.StatusConflict, "uniqueness"},
		"ada.e\u0301@corp.example": {http.StatusConflict, "uniqueness"}, // composed of two characters
		"ａｄａ.é@corp.example":       {http.StatusConflict, "uniqueness"}, // of full width
		"ada\u202e.x@corp.example": {http.StatusBadRequest, "invalidValue"},
		"ada\u0007.x@corp.example": {http.StatusBadRequest, "invalidValue"},
		"ada\u200b.é@corp.example": {http.StatusBadRequest, "invalidValue"},
	} {
		w.scim.send(t, "POST", "/scim/v2/Users", person(name, "")).want(t, want.code, want.text)
	}
	if got := list(w.scim.must(t, "GET", "/scim/v2/Users", nil), "Resources"); len(got) != 1 {
		t.Errorf("people: %s", brief(got))
	}
}

// B-USR-17: the founder, whom no source owns, comes under the identity provider: it is
// told what an admin can do, an admin looks and hands them over, and they stay who they are.
func founderComesToASource(t *testing.T, gh *standalone) {
	w := newWorld(t, gh, nil)
	root := get(w.admin.must(t, "GET", "/v1/me", nil), "user")
	id, name := str(root, "id"), str(root, "userName")
	for range 2 { // as often as it pleases
		w.scim.send(t, "POST", "/scim/v2/Users", person(name, "00u1")).want(t, http.StatusConflict, "admin")
	}
	source := str(w.admin.must(t, "GET", "/v1/sources", nil), "sources", 0, "id")
	handOver := object{"users": []object{{"userId": id, "externalId": "00u1"}}, "validateOnly": true}
	seen := w.admin.must(t, "POST", "/v1/sources/"+source+":handOverUsers", handOver)
	if got := column(list(seen, "users"), "id"); !slices.Equal(got, []string{id}) {
		t.Errorf("it would be %s", brief(seen))
	}
	if found := list(w.scim.must(t, "GET", "/scim/v2/Users", nil), "Resources"); len(found) != 0 {
		t.Errorf("handed over by looking: %s", brief(found))
	}
	handOver["validateOnly"] = false
	w.admin.must(t, "POST", "/v1/sources/"+source+":handOverUsers", handOver)
	if found := list(w.scim.must(t, "GET", `/scim/v2/Users?filter=externalId%20eq%20%2200u1%22`, nil), "Resources"); len(found) != 1 || str(found[0], "id") != id {
		t.Fatalf("the source finds %s", brief(found))
	}
	w.patchUser(t, id, `{"op":"replace","path":"title","value":"Founder"}`).want(t, http.StatusOK, "Founder")
	if me := get(w.admin.must(t, "GET", "/v1/me", nil), "user"); str(me, "role") != "ROLE_ADMIN" || str(me, "title") != "Founder" || str(me, "sourceId") != source {
		t.Errorf("the founder is %s", brief(me))
	}
}
