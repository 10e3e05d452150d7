package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse.dev/services/identity-sync/internal/scim"
)

// full is a user with everything in it that matters.
const full = `{
  "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "urn:example:params:pets_and_more:1.0:User"],
  "externalId": "00u1",
  "USERNAME": "Ada@example.com",
  "name": {"givenName": "Ada", "FamilyName": "King", "formatted": "Ada King", "middleName": null, "honorificSuffix": ""},
  "displayName": "Ada K.",
  "nickName": "Countess",
  "title": "Analyst",
  "userType": "Employee",
  "preferredLanguage": "en-GB",
  "locale": "en-GB",
  "timezone": "Europe/London",
  "active": true,
  "password": "do-not-keep-me",
  "emails": [
    {"value": "ada@example.com", "type": "work", "primary": true},
    {"value": "ada@home.example", "type": "home"}
  ],
  "phoneNumbers": [{"value": "+44 20 7946 0000", "type": "work"}, {"value": "", "type": "fax"}],
  "addresses": [{"type": "work", "streetAddress": "12 St James's Square", "country": "GB"}],
  "photos": [],
  "ims": null,
  "groups": [{"value": "made-up"}],
  "id": "made-up",
  "meta": {"resourceType": "User", "created": "1999-01-01T00:00:00Z"},
  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user": {
    "employeeNumber": "701984", "costCenter": "4130", "organization": "Engines", "division": "Difference",
    "department": "Analysis", "manager": {"value": "not-yet-here", "$ref": "../Users/not-yet-here", "displayName": "Charles"}
  },
  "urn:example:params:pets_and_more:1.0:User": {"cats": 2, "names": ["Puff", "Tom"]}
}`

// B-USR-04: what an identity provider says of a person is kept whole, and the
// parts that Gatehouse goes by reach the store.
func TestCreateUser(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.do("POST", "/Users", full)
	u := a.ok(http.StatusCreated)
	loc := s.url + "/Users/" + id(u)
	if got := a.header.Get("Location"); got != loc {
		t.Errorf("Location is %q, want %q", got, loc)
	}
	if got := a.header.Get("ETag"); got != `W/"1"` {
		t.Errorf("ETag is %q", got)
	}
	is(t, "meta", u["meta"], `{"resourceType":"User","created":"2026-03-01T09:00:01.000Z","lastModified":"2026-03-01T09:00:01.000Z","location":"`+loc+`","version":"W/\"1\""}`)

	// What was sent is what is read, at creation and later.
	want := map[string]any{}
	if err := json.Unmarshal([]byte(full), &want); err != nil {
		t.Fatal(err)
	}
	want["schemas"] = []any{userURN, "urn:example:params:pets_and_more:1.0:User", enterpriseURN}
	want["userName"] = want["USERNAME"]
	want["name"] = map[string]any{"givenName": "Ada", "familyName": "King", "formatted": "Ada King", "honorificSuffix": ""}
	want["phoneNumbers"] = want["phoneNumbers"].([]any)[:1]
	want["id"], want["meta"] = u["id"], u["meta"]
	work := want["urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"].(map[string]any)
	delete(work["manager"].(map[string]any), "displayName") // read-only
	want[enterpriseURN] = work
	for _, gone := range []string{"USERNAME", "password", "photos", "ims", "groups", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"} {
		delete(want, gone)
	}
	for what, got := range map[string]map[string]any{"created": u, "read": s.do("GET", "/Users/"+id(u), "").ok(http.StatusOK)} {
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s user (-want +got):\n%s", what, d)
		}
	}

	// What the store gets.
	kept := s.dir.kept(id(u))
	if d := cmp.Diff(scim.User{
		ExternalID: "00u1", UserName: "Ada@example.com",
		Name:        scim.Name{Formatted: "Ada King", Given: "Ada", Family: "King"},
		DisplayName: "Ada K.", NickName: "Countess", Title: "Analyst", UserType: "Employee",
		PreferredLanguage: "en-GB", Locale: "en-GB", Timezone: "Europe/London", Active: true,
		Emails: []scim.Value{
			{Value: "ada@example.com", Type: "work", Primary: true},
			{Value: "ada@home.example", Type: "home"},
		},
		PhoneNumbers: []scim.Value{{Value: "+44 20 7946 0000", Type: "work"}},
		Enterprise: scim.Enterprise{
			EmployeeNumber: "701984", CostCenter: "4130", Organization: "Engines", Division: "Difference",
			Department: "Analysis", Manager: "not-yet-here",
		},
	}, kept, cmpopts.IgnoreFields(scim.User{}, "ID", "Version", "Created", "LastModified", "Attributes")); d != "" {
		t.Errorf("kept user (-want +got):\n%s", d)
	}
	if strings.Contains(string(kept.Attributes), "do-not-keep-me") {
		t.Error("the password is kept")
	}
}

func TestCreateUserDefaults(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.user("ada")
	is(t, "active", u["active"], `true`)
	is(t, "schemas", u["schemas"], `["`+userURN+`"]`)
	is(t, "externalId", u["externalId"], `null`)
	// The core schema's attributes may come under its URN.
	v := s.do("POST", "/Users", `{"schemas":["`+userURN+`"],"`+userURN+`":{"userName":"bob","title":"Boss"},"`+enterpriseURN+`:department":"Ops"}`).ok(http.StatusCreated)
	is(t, "userName", v["userName"], `"bob"`)
	is(t, "title", v["title"], `"Boss"`)
	is(t, "department", at(v, "", enterpriseURN, "department"), `"Ops"`)
	// "True" is what Entra says.
	w := s.user("cyd", `"active":"False","emails":[{"value":"c@example.com","primary":"True"}]`)
	is(t, "active", w["active"], `false`)
	is(t, "primary", at(w, "emails.0.primary"), `true`)
	if s.dir.kept(id(w)).Active {
		t.Error("an inactive user is kept as active")
	}
}

func TestInvalidUsers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := id(s.user("ada"))
	many := strings.TrimSuffix(strings.Repeat(`{"value":"a"},`, 1), ",")
	for i := range 501 {
		many += fmt.Sprintf(`,{"value":"a%d"}`, i)
	}
	tests := []struct {
		name, extra string
	}{
		{"no userName", `"title":"x"`},
		{"null userName", `"userName":null`},
		{"empty userName", `"userName":""`},
		{"blank userName", `"userName":"  "`},
		{"userName of the wrong type", `"userName":7`},
		{"userName is an object", `"userName":{"a":"b"}`},
		{"userName is two", `"userName":["a","b"]`},
		{"active of the wrong type", `"userName":"b","active":"yes"`},
		{"active is a number", `"userName":"b","active":1`},
		{"name is a string", `"userName":"b","name":"Bob"`},
		{"name part of the wrong type", `"userName":"b","name":{"givenName":1}`},
		{"two primary addresses", `"userName":"b","emails":[{"value":"a@x","primary":true},{"value":"b@x","primary":true}]`},
		{"address of the wrong type", `"userName":"b","emails":[{"value":1}]`},
		{"too many values", `"userName":"b","emails":[` + many + `]`},
		{"userName too long", `"userName":"` + strings.Repeat("x", 1025) + `"`},
		{"externalId too long", `"userName":"b","externalId":"` + strings.Repeat("x", 1025) + `"`},
		{"extension is a string", `"userName":"b","` + enterpriseURN + `":"x"`},
		{"department of the wrong type", `"userName":"b","` + enterpriseURN + `":{"department":true}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := `{"schemas":["` + userURN + `"],` + test.extra + `}`
			s.do("POST", "/Users", body).refused(http.StatusBadRequest, "invalidValue")
			s.do("PUT", "/Users/"+u, body).refused(http.StatusBadRequest, "invalidValue")
		})
	}
	for _, schemas := range []string{``, `"schemas":[],`, `"schemas":["` + groupURN + `"],`, `"schemas":"` + userURN + `",`, `"schemas":[1],`} {
		s.do("POST", "/Users", `{`+schemas+`"userName":"b"}`).refused(http.StatusBadRequest, "invalidValue")
	}
	is(t, "total", s.do("GET", "/Users", "").ok(http.StatusOK)["totalResults"], `1`)
}

// What no schema has is refused by name, and nothing is kept of it.
func TestInventedAttributes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := id(s.user("ada"))
	for _, test := range []struct{ extra, name string }{
		{`"shoeSize":38`, `"shoeSize"`},
		{`"shoeSize":null`, `"shoeSize"`},
		{`"name.givenName":"A"`, `"name.givenName"`},
		{`"manager":"m1"`, `there is ` + enterpriseURN + `:manager`},
		{`"department":"D"`, `there is ` + enterpriseURN + `:department`},
		{`"emails":[{"value":"a@x","colour":"red"}]`, `"emails.colour"`},
		{`"name":{"nick":"A"}`, `"name.nick"`},
		{`"` + enterpriseURN + `":{"floor":3}`, `"` + enterpriseURN + `:floor"`},
		{`"` + enterpriseURN + `":{"manager":{"managerId":"m1"}}`, `"manager.managerId"`},
		{`"` + enterpriseURN + `.department":"D"`, `"` + enterpriseURN + `.department"`},
		{`"urn:ietf:params:scim:schemas:core:2.0:Users":{"title":"x"}`, `"urn:ietf:params:scim:schemas:core:2.0:Users"`},
		{`"` + groupURN + `":{"displayName":"x"}`, `"` + groupURN + `"`},
		{`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:Users":{"department":"D"}`, `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:Users"`},
		{`"urn:new:1":{"X":true}`, `"urn:new:1"`},
		{`"urn:ietf:params:scim:schemas:extension:new:enterprise":{"department":"D"}`, `"urn:ietf:params:scim:schemas:extension:new:enterprise"`},
		{`"urn:scim:schemas:extension:enterprise:1.0":{"department":"D"}`, `"urn:scim:schemas:extension:enterprise:1.0"`},
	} {
		body := `{"schemas":["` + userURN + `"],"userName":"bob",` + test.extra + `}`
		for _, a := range []answer{s.do("POST", "/Users", body), s.do("PUT", "/Users/"+u, body)} {
			a.refused(http.StatusBadRequest, "invalidSyntax")
			if d, _ := a.body["detail"].(string); !strings.Contains(d, test.name) {
				t.Errorf("%s: detail %q does not say %s", test.extra, d, test.name)
			}
		}
	}
	is(t, "total", s.do("GET", "/Users", "").ok(http.StatusOK)["totalResults"], `1`)
	// A client's own extension is kept, also by the name that Entra gives it.
	const own = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
	is(t, "extension", s.user("own", `"`+own+`":{"CustomAttribute":"701984"}`)[own], `{"CustomAttribute":"701984"}`)
	is(t, "extension", s.patchUser(u, `{"op":"Add","path":"`+own+`:CustomAttribute","value":"7"}`).ok(http.StatusOK)[own], `{"CustomAttribute":"7"}`)
}

// What an earlier version kept without a schema is not shown, so that what is read
// can be put back.
func TestOldInventionsAreNotShown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.user("ada", `"title":"x","emails":[{"value":"a@x"}],"`+enterpriseURN+`":{"department":"D"},"urn:x:1:User":{"a":1}`)
	want := clone(t, u)
	s.dir.rewrite(id(u), func(doc map[string]any) {
		doc["shoeSize"] = 38
		doc["urn:ietf:params:scim:schemas:extension:enterprise:2.0"] = map[string]any{"User": map[string]any{"department": "E"}}
		doc["urn:ietf:params:scim:schemas:core:2.0:Users"] = map[string]any{"userName": "eve"}
		doc[enterpriseURN].(map[string]any)["floor"] = 3
		doc["emails"].([]any)[0].(map[string]any)["colour"] = "red"
	})
	read := s.do("GET", "/Users/"+id(u), "")
	if d := cmp.Diff(want, read.ok(http.StatusOK)); d != "" {
		t.Errorf("user (-want +got):\n%s", d)
	}
	s.do("PUT", "/Users/"+id(u), string(read.raw)).ok(http.StatusOK)
}

func clone(t *testing.T, v map[string]any) (out map[string]any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDuplicateValuesAreFolded(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.user("ada", `"emails":[{"value":"a@x","type":"work"},{"value":"A@X","type":"Work","primary":true},{"value":"a@x","type":"home"},{"value":"a@x"}],
		"addresses":[{"country":"GB"},{"country":"GB"},{"country":"FR"}]`)
	is(t, "emails", u["emails"], `[{"value":"A@X","type":"Work","primary":true},{"value":"a@x","type":"home"},{"value":"a@x"}]`)
	is(t, "addresses", u["addresses"], `[{"country":"GB"},{"country":"FR"}]`)
}

func TestUniqueness(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.user("ada", `"externalId":"x1"`)
	bob := id(s.user("bob", `"externalId":"x2"`))
	for _, body := range []string{
		`{"schemas":["` + userURN + `"],"userName":"ada"}`,
		`{"schemas":["` + userURN + `"],"userName":"ADA"}`,
	} {
		s.do("POST", "/Users", body).refused(http.StatusConflict, "uniqueness")
		s.do("PUT", "/Users/"+bob, body).refused(http.StatusConflict, "uniqueness")
	}
	s.patchUser(bob, `{"op":"replace","path":"userName","value":"Ada"}`).refused(http.StatusConflict, "uniqueness")
	s.patchUser(bob, `{"op":"replace","path":"externalId","value":"x1"}`).ok(http.StatusOK)
	is(t, "same externalId", names(s.do("GET", "/Users"+query("filter", `externalId eq "x1"`), "").ok(http.StatusOK)), `["ada","bob"]`)
	s.patchUser(bob, `{"op":"replace","path":"userName","value":"BOB"}`).ok(http.StatusOK)
}

func TestReplaceUser(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.do("POST", "/Users", full).ok(http.StatusCreated)
	a := s.do("PUT", "/Users/"+id(u), `{"schemas":["`+userURN+`"],"id":"`+id(u)+`","userName":"ada2","active":false,"name":{"givenName":"A"}}`)
	got := a.ok(http.StatusOK)
	meta := got["meta"]
	delete(got, "meta")
	is(t, "user", got, `{"schemas":["`+userURN+`"],"id":"`+id(u)+`","userName":"ada2","active":false,"name":{"givenName":"A"}}`)
	is(t, "version", at(meta, "version"), `"W/\"2\""`)
	is(t, "created", at(meta, "created"), `"2026-03-01T09:00:01.000Z"`)
	is(t, "lastModified", at(meta, "lastModified"), `"2026-03-01T09:00:02.000Z"`)
	if a.header.Get("ETag") != `W/"2"` {
		t.Errorf("ETag is %q", a.header.Get("ETag"))
	}
	s.do("PUT", "/Users/unknown", `{"schemas":["`+userURN+`"],"userName":"x"}`).refused(http.StatusNotFound, "")

	// A PUT that does not say whether somebody is active lets nobody back in.
	got = s.do("PUT", "/Users/"+id(u), `{"schemas":["`+userURN+`"],"userName":"ada3"}`).ok(http.StatusOK)
	is(t, "active", got["active"], `false`)
	if s.dir.kept(id(u)).Active {
		t.Error("the user is active again")
	}
}

func TestNoChangeIsNoChange(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.do("POST", "/Users", full).ok(http.StatusCreated)
	path := "/Users/" + id(u)
	for name, send := range map[string]func() answer{
		"PUT of the same": func() answer { return s.do("PUT", path, full) },
		"PUT of what was read": func() answer {
			return s.do("PUT", path, string(s.do("GET", path, "").raw))
		},
		"PUT in another order": func() answer {
			return s.do("PUT", path, strings.Replace(full, `{"value": "ada@example.com", "type": "work", "primary": true},
    {"value": "ada@home.example", "type": "home"}`, `{"value": "ada@home.example", "type": "home"}, {"primary": "true", "type": "work", "value": "ada@example.com"}`, 1))
		},
		"replace":        func() answer { return s.patchUser(id(u), `{"op":"replace","path":"title","value":"Analyst"}`) },
		"replace active": func() answer { return s.patchUser(id(u), `{"op":"Replace","path":"active","value":"True"}`) },
		"add what is": func() answer {
			return s.patchUser(id(u), `{"op":"add","path":"emails","value":[{"value":"ada@home.example","type":"home"}]}`)
		},
		"remove what is not": func() answer { return s.patchUser(id(u), `{"op":"remove","path":"profileUrl"}`) },
		"there and back": func() answer {
			return s.patchUser(id(u), `{"op":"replace","path":"title","value":"Other"}`, `{"op":"replace","path":"title","value":"Analyst"}`)
		},
		"password": func() answer { return s.patchUser(id(u), `{"op":"replace","path":"password","value":"secret"}`) },
	} {
		a := send()
		if d := cmp.Diff(u, a.ok(http.StatusOK)); d != "" {
			t.Errorf("%s changed the user (-before +after):\n%s", name, d)
		}
		if a.header.Get("ETag") != `W/"1"` {
			t.Errorf("%s: ETag is %q", name, a.header.Get("ETag"))
		}
	}
}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := id(s.user("ada"))
	if a := s.do("DELETE", "/Users/"+u, ""); a.status != http.StatusNoContent || len(a.raw) != 0 {
		t.Errorf("DELETE: %d %s", a.status, a.raw)
	}
	for _, m := range []string{"DELETE", "GET"} {
		s.do(m, "/Users/"+u, "").refused(http.StatusNotFound, "")
	}
	s.patchUser(u, `{"op":"replace","path":"active","value":true}`).refused(http.StatusNotFound, "")
	is(t, "total", s.do("GET", "/Users", "").ok(http.StatusOK)["totalResults"], `0`)
	s.user("ada") // may come back
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u, g := id(s.user("ada")), s.group("crew")
	for _, r := range []struct{ path, put, patch string }{
		{"/Users/" + u, `{"schemas":["` + userURN + `"],"userName":"n%d"}`, `{"op":"replace","path":"title","value":"n%d"}`},
		{"/Groups/" + g, `{"schemas":["` + groupURN + `"],"displayName":"n%d"}`, `{"op":"replace","path":"displayName","value":"m%d"}`},
	} {
		if a := s.do("GET", r.path, "", `If-None-Match: W/"1"`); a.status != http.StatusNotModified || len(a.raw) > 0 || a.header.Get("ETag") != `W/"1"` {
			t.Errorf("%s: %d %s %s", a.what, a.status, a.header, a.raw)
		}
		s.do("GET", r.path, "", `If-None-Match: "7", W/"1"`).is304(t)
		s.do("GET", r.path, "", `If-None-Match: *`).is304(t)
		s.do("GET", r.path, "", `If-None-Match: W/"2"`).ok(http.StatusOK)

		for _, wrong := range []string{`If-Match: W/"9"`, `If-Match: "0", W/"2"`, `If-Match: nonsense`} {
			s.do("PUT", r.path, fmt.Sprintf(r.put, 1), wrong).refused(http.StatusPreconditionFailed, "")
			s.do("PATCH", r.path, ops(fmt.Sprintf(r.patch, 1)), wrong).refused(http.StatusPreconditionFailed, "")
			s.do("DELETE", r.path, "", wrong).refused(http.StatusPreconditionFailed, "")
		}
		s.do("PATCH", r.path, ops(fmt.Sprintf(r.patch, 1)), `If-None-Match: *`).refused(http.StatusPreconditionFailed, "")
		if a := s.do("PUT", r.path, fmt.Sprintf(r.put, 1), `If-Match: W/"1"`); a.status != 200 || a.header.Get("ETag") != `W/"2"` {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
		s.do("PATCH", r.path, ops(fmt.Sprintf(r.patch, 2)), `If-Match: "2"`).ok(http.StatusOK)
		s.do("PATCH", r.path, ops(fmt.Sprintf(r.patch, 3)), `If-Match: *`).ok(http.StatusOK)
		s.do("PATCH", r.path, ops(fmt.Sprintf(r.patch, 4)), `If-Match: W/"2"`).refused(http.StatusPreconditionFailed, "")
		s.do("PUT", r.path+"x", fmt.Sprintf(r.put, 1), `If-Match: W/"1"`).refused(http.StatusNotFound, "")
		if a := s.do("DELETE", r.path, "", `If-Match: W/"4"`); a.status != http.StatusNoContent {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
	}
}

func (a answer) is304(t *testing.T) {
	t.Helper()
	if a.status != http.StatusNotModified {
		t.Errorf("%s: status %d, want 304", a.what, a.status)
	}
}

func TestUserShowsGroups(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := id(s.user("ada"))
	g := s.group("crew", u)
	want := `[{"value":"` + g + `","$ref":"` + s.url + `/Groups/` + g + `","display":"crew","type":"direct"}]`
	is(t, "groups", s.do("GET", "/Users/"+u, "").ok(200)["groups"], want)
	is(t, "groups", at(s.do("GET", "/Users", "").ok(200), "Resources.0.groups"), want)
	is(t, "groups", s.patchUser(u, `{"op":"replace","path":"title","value":"x"}`).ok(200)["groups"], want)
	is(t, "groups", s.do("GET", "/Users/"+u+"?excludedAttributes=groups", "").ok(200)["groups"], `null`)
	is(t, "found", names(s.do("GET", "/Users"+query("filter", `groups.value eq "`+g+`"`, "attributes", "userName"), "").ok(200)), `["ada"]`)
	s.patchUser(u, `{"op":"add","path":"groups","value":[{"value":"x"}]}`).refused(400, "mutability")
}

func TestHelpers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		user        scim.User
		email, name string
	}{
		{scim.User{UserName: "ada"}, "", "ada"},
		{scim.User{UserName: "ada@x"}, "ada@x", "ada@x"},
		{scim.User{UserName: "ada", Emails: []scim.Value{{Value: "h@x", Type: "home"}}, Name: scim.Name{Given: "Ada"}}, "h@x", "Ada"},
		{scim.User{UserName: "ada", Emails: []scim.Value{{Value: "h@x"}, {Value: "w@x", Type: "Work"}}, Name: scim.Name{Formatted: "A K", Family: "K"}}, "w@x", "A K"},
		{scim.User{Emails: []scim.Value{{Value: "w@x", Type: "work"}, {Value: "p@x", Primary: true}}, DisplayName: "D"}, "p@x", "D"},
	} {
		if got := test.user.Email(); got != test.email {
			t.Errorf("Email of %+v is %q, want %q", test.user, got, test.email)
		}
		if got := test.user.FullName(); got != test.name {
			t.Errorf("FullName of %+v is %q, want %q", test.user, got, test.name)
		}
	}
}
