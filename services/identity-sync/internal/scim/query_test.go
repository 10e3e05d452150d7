package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/services/identity-sync/internal/scim"
)

func people(t *testing.T) *server {
	s := newServer(t)
	s.user("Ada@Example.com", `"externalId":"Ext-1","displayName":"Ada","title":"Analyst","active":true,"userType":"Employee",
		"name":{"familyName":"King"},"emails":[{"value":"Ada@Example.com","type":"work","primary":true},{"value":"ada@home.org","type":"home"}],
		"`+enterpriseURN+`":{"department":"Engines","manager":{"value":"M1"}},"urn:example:1.0:User":{"cats":2,"fur":"Long"}`)
	s.user("bob@example.com", `"externalId":"ext-2","displayName":"Bob \"B\" Boole","active":false,"userType":"Contractor",
		"emails":[{"value":"bob@example.com","type":"work"}],"`+enterpriseURN+`":{"department":"Logic"},"urn:example:1.0:User":{"cats":10}`)
	s.user("cyd@other.org", `"title":"","emails":[{"value":"cyd@other.org","type":"home","primary":true}]`)
	return s
}

func TestFilters(t *testing.T) {
	t.Parallel()
	s := people(t)
	ada := id(at(s.do("GET", "/Users"+query("filter", `externalId eq "Ext-1"`), "").ok(200), "Resources.0").(map[string]any))
	const a, b, c = "Ada@Example.com", "bob@example.com", "cyd@other.org"
	tests := []struct {
		filter string
		want   []string
	}{
		{`userName eq "ada@example.com"`, []string{a}},
		{`userName Eq "ADA@EXAMPLE.COM"`, []string{a}},
		{`USERNAME eq "ada@example.com"`, []string{a}},
		{userURN + `:userName eq "ada@example.com"`, []string{a}},
		{strings.ToUpper(userURN) + `:userName eq "ada@example.com"`, []string{a}},
		{`userName eq "nobody"`, []string{}},
		{`externalId eq "Ext-1"`, []string{a}},
		{`externalId eq "ext-1"`, []string{}}, // caseExact
		{`externalId sw "Ext"`, []string{a}},
		{`id eq "` + ada + `"`, []string{a}},
		{`id eq "` + strings.ToUpper(ada) + `"`, []string{}},
		{`id eq "nonsense"`, []string{}},
		{`userName ne "ada@example.com"`, []string{b, c}},
		{`userName co "EXAMPLE"`, []string{a, b}},
		{`userName sw "bob"`, []string{b}},
		{`userName ew ".ORG"`, []string{c}},
		{`userName gt "ada@example.com"`, []string{b, c}},
		{`userName ge "BOB@example.com"`, []string{b, c}},
		{`userName lt "bob@example.com"`, []string{a}},
		{`userName le "bob@example.com"`, []string{a, b}},
		{`title pr`, []string{a}}, // an empty string is no value
		{`not (title pr)`, []string{b, c}},
		{`title eq null`, []string{b}},
		{`displayName ne null`, []string{a, b}},
		{`nickName ne "x"`, []string{a, b, c}},
		{`displayName eq "bob \"b\" boole"`, []string{b}},
		{`displayName co "\u0022B"`, []string{b}},
		{`active eq true`, []string{a, c}},
		{`active eq "True"`, []string{a, c}},
		{`active ne true`, []string{b}},
		{`active eq False`, []string{b}},
		{`name.familyName eq "king"`, []string{a}},
		{`name pr`, []string{a}},
		{`emails.value eq "ADA@home.org"`, []string{a}},
		{`emails eq "ada@home.org"`, []string{a}},
		{`emails.type eq "home"`, []string{a, c}},
		{`emails.value ne "bob@example.com"`, []string{a, c}},
		{`emails pr`, []string{a, b, c}},
		{`emails co "example.com"`, []string{a, b}},
		{`emails[type eq "work"]`, []string{a, b}},
		{`emails[type eq "home" and primary eq true]`, []string{c}},
		{`emails[type eq "work" and value co "@example.com" and primary pr]`, []string{a}},
		{`emails[(type eq "home" or type eq "work") and not (primary eq true)]`, []string{a, b}},
		{`emails [ type eq "home" ]`, []string{a, c}},
		{`emails[type eq "work"].value eq "ada@example.com"`, []string{a}}, // as Entra asks
		{`emails[type eq "home"].value eq "ada@example.com"`, []string{}},
		{`emails[type eq "work"] eq "ada@example.com"`, []string{a}},
		{`emails[type eq "home"].primary pr and active eq true`, []string{c}},
		{`emails[type eq "work" and value eq "bob@example.com"] and active eq false`, []string{b}},
		{`emails[type eq "home"] or userType eq "Contractor"`, []string{a, b, c}},
		{`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`, []string{c}},
		{`userType eq "Employee" or userType eq "Contractor" and active eq true`, []string{a}}, // and binds tighter
		{`(userType eq "Employee" or userType eq "Contractor") and active eq false`, []string{b}},
		{`userName sw "a" AND active EQ true Or userName sw "c"`, []string{a, c}},
		{`not(userName sw "a") and not ( userName sw "b" )`, []string{c}},
		{enterpriseURN + `:department eq "engines"`, []string{a}},
		{enterpriseURN + `:manager.value eq "M1"`, []string{a}},
		{enterpriseURN + `:manager eq "M1"`, []string{a}},
		{`manager eq "M1"`, []string{a}}, // as Entra asks
		{`id eq "` + ada + `" and manager eq "M1"`, []string{a}},
		{`id eq "` + ada + `" and manager eq "m1"`, []string{}},
		{`schemas eq "` + enterpriseURN + `"`, []string{a, b}},
		{`meta.resourceType eq "User"`, []string{a, b, c}},
		{`meta.created gt "2026-03-01T09:00:01Z"`, []string{b, c}},
		{`meta.lastModified le "2026-03-01T10:00:02+01:00"`, []string{a, b}},
		{`meta.version eq "W/\"1\""`, []string{a, b, c}},
		{`urn:example:1.0:User:cats gt 9`, []string{b}},
		{`urn:example:1.0:User:cats eq 2.0`, []string{a}},
		{`urn:example:1.0:User:fur sw "l"`, []string{a}},
		{`userName eq "ada@example.com" and userName eq "bob@example.com"`, []string{}},
		{`  userName   eq   "ada@example.com"  `, []string{a}},
	}
	for _, test := range tests {
		got := names(s.do("GET", "/Users"+query("filter", test.filter), "").ok(200))
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %v, want %v", test.filter, got, test.want)
		}
		body, _ := json.Marshal(map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}, "filter": test.filter, "attributes": []string{"userName"}})
		for _, path := range []string{"/Users/.search", "/.search"} {
			got = names(s.do("POST", path, string(body)).ok(200))
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("%s with %s: %v, want %v", path, test.filter, got, test.want)
			}
		}
	}
}

func TestFiltersReachTheStore(t *testing.T) {
	t.Parallel()
	s := people(t)
	for filter, want := range map[string]string{
		`userName eq "a"`:                                                        `userName eq a`,
		`userName sw "a"`:                                                        `userName sw a`,
		`externalId eq "a" and id eq "b"`:                                        `(externalId eq a and id eq b)`,
		userURN + `:emails.value eq "a"`:                                         `emails.value eq a`,
		`emails eq "a" and active eq true`:                                       `emails.value eq a`,
		`emails[type eq "work"].value eq "a"`:                                    `emails.value eq a`,
		`emails[type eq "work" and value eq "a"]`:                                `emails.value eq a`,
		`userName eq "a" or id eq "b"`:                                           `(userName eq a or id eq b)`,
		`userName eq "a" or userName eq "b" or id eq "c"`:                        `(userName eq a,b or id eq c)`,
		`userName eq "a" or userName eq "b"`:                                     `userName eq a,b`,
		`(userName eq "a" or emails eq "b") and active eq true`:                  `(userName eq a or emails.value eq b)`,
		`userName eq "a" and active eq true or emails[type pr and value eq "b"]`: `(userName eq a or emails.value eq b)`,
		`meta.lastModified gt "2026-03-01T09:00:01Z"`:                            `meta.lastModified ge 2026-03-01T09:00:01.001Z`,
		`meta.lastModified ge "2026-03-01T10:00:01.0005+01:00"`:                  `meta.lastModified ge 2026-03-01T09:00:01.001Z`,
		`meta.lastModified lt "2026-03-01T09:00:01Z"`:                            `meta.lastModified lt 2026-03-01T09:00:01Z`,
		`meta.lastModified le "2026-03-01T09:00:01.0005Z"`:                       `meta.lastModified lt 2026-03-01T09:00:01.001Z`,
		`meta.lastModified eq "2026-03-01T09:00:01Z"`:                            `(meta.lastModified ge 2026-03-01T09:00:01Z and meta.lastModified lt 2026-03-01T09:00:01.001Z)`,
		`emails[type eq "work" or value eq "a"]`:                                 ``,
		`userName eq "a" or active eq true`:                                      ``,
		`emails sw "a"`:                                                          ``,
		`externalId sw "a"`:                                                      ``,
		`not (userName eq "a")`:                                                  ``,
		`userName ne "a"`:                                                        ``,
	} {
		s.do("GET", "/Users"+query("filter", filter), "").ok(200)
		got := ""
		if s.dir.where != nil {
			got = said(*s.dir.where)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
}

// said is a condition in words.
func said(c scim.Condition) string {
	word, list := " and ", c.All
	if len(c.Any) > 0 {
		word, list = " or ", c.Any
	}
	if len(list) == 0 {
		value := strings.Join(c.Values, ",")
		if value == "" {
			value = c.Time.Format(time.RFC3339Nano)
		}
		return fmt.Sprintf("%s %s %s", c.Attribute, c.Operator, value)
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = said(e)
	}
	return "(" + strings.Join(parts, word) + ")"
}

func TestInvalidFilters(t *testing.T) {
	t.Parallel()
	s := people(t)
	for _, filter := range []string{
		`userName`, `userName eq`, `userName eq ada`, `userName eq 'ada'`, `userName eq "ada`, `userName eq "ada" and`, `and`,
		`userName is "ada"`, `eq "ada"`, `(userName pr`, `userName pr)`, `userName pr userName pr`, `not userName`,
		`emails[type eq "work"`, `emails[]`, `emails[type eq "work"].value`, `emails[type eq "work"]. eq "x"`, `emails[type eq "work"].colour eq "x"`, `emails[type eq "work"]x`, `emails[emails[type pr]]`, `userName[value eq "x"]`,
		`emails[colour eq "red"]`, `shoeSize eq 3`, `name.nick pr`, `title.x pr`, `a.b.c pr`, `user name pr`, `"userName" pr`, `1a pr`,
		`active gt true`, `active ge false`, `active lt "true"`, `active co "t"`, `active sw "t"`, `active eq "maybe"`, `active eq 1`,
		`emails[primary gt false]`, `emails.primary le true`, `x509Certificates.value gt "x"`,
		`userName eq true`, `userName eq 1`, `userName gt null`, `name eq "Ada"`, `name co "Ada"`, `meta.created gt "yesterday"`, `meta.created gt 5`,
		`password eq "secret"`, `password pr`, `userName eq "\x"`, `userName eq "a` + "\t" + `b"`, `userName eq "\u0000"`,
		`urn:example:1.0:User:cats co 2`, enterpriseURN + ` pr`, enterpriseURN + `:floor pr`,
		strings.Repeat("(", 200) + `userName pr` + strings.Repeat(")", 200),
		strings.Repeat("not (", 40) + `userName pr` + strings.Repeat(")", 40),
		`userName eq "` + strings.Repeat("x", 20000) + `"`,
	} {
		s.do("GET", "/Users"+query("filter", filter), "").refused(http.StatusBadRequest, "invalidFilter")
	}
	s.do("GET", "/Users?filter=%zz", "").refused(http.StatusBadRequest, "invalidValue")
	// Long is fine, deep is not.
	long := `userName eq "ada@example.com"` + strings.Repeat(` or userName eq "x"`, 800)
	is(t, "total", s.do("GET", "/Users"+query("filter", long), "").ok(200)["totalResults"], `1`)
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *scim.Config) { c.PageSize, c.MaxPageSize = 4, 6 })
	for i := range 10 {
		s.user(fmt.Sprintf("u%d", i))
	}
	tests := []struct {
		query        []string
		start, items int
		first        string
	}{
		{nil, 1, 4, "u0"},
		{[]string{"startIndex", "5"}, 5, 4, "u4"},
		{[]string{"startIndex", "9"}, 9, 2, "u8"},
		{[]string{"startIndex", "11"}, 11, 0, ""},
		{[]string{"startIndex", "99999999999"}, 2147483647, 0, ""},
		{[]string{"startIndex", "0"}, 1, 4, "u0"},
		{[]string{"startIndex", "-5"}, 1, 4, "u0"},
		{[]string{"count", "2"}, 1, 2, "u0"},
		{[]string{"count", "0"}, 1, 0, ""},
		{[]string{"count", "-1"}, 1, 0, ""},
		{[]string{"count", "100"}, 1, 6, "u0"},
		{[]string{"startIndex", "3", "count", "3"}, 3, 3, "u2"},
		{[]string{"startIndex", "3", "count", "3", "filter", `userName sw "u"`}, 3, 3, "u2"},
		{[]string{"sortBy", "userName", "sortOrder", "descending", "count", "1"}, 1, 1, "u9"},
		{[]string{"sortBy", "USERNAME", "count", "1"}, 1, 1, "u0"},
		{[]string{"sortBy", "shoeSize", "count", "1"}, 1, 1, "u0"},
	}
	for _, test := range tests {
		got := s.do("GET", "/Users"+query(test.query...), "").ok(200)
		n := names(got)
		first := ""
		if len(n) > 0 {
			first = n[0]
		}
		if len(n) != test.items || first != test.first {
			t.Errorf("%v: %v, want %d from %q", test.query, n, test.items, test.first)
		}
		is(t, "totalResults", got["totalResults"], `10`)
		is(t, "itemsPerPage", got["itemsPerPage"], fmt.Sprint(test.items))
		is(t, "startIndex", got["startIndex"], fmt.Sprint(test.start))
		is(t, "schemas", got["schemas"], `["urn:ietf:params:scim:api:messages:2.0:ListResponse"]`)
		if _, ok := got["Resources"].([]any); !ok {
			t.Errorf("%v: Resources is %v", test.query, got["Resources"])
		}
	}
	for _, wrong := range []string{"startIndex=one", "count=x", "count=1.5", "count=99999999999999999999"} {
		s.do("GET", "/Users?"+wrong, "").refused(http.StatusBadRequest, "invalidValue")
	}
	for _, wrong := range []string{`"count":"2"`, `"startIndex":1.5`, `"filter":7`, `"attributes":[1]`, `"schemas":["x"]`} {
		s.do("POST", "/Users/.search", `{`+wrong+`}`).refused(http.StatusBadRequest, "invalidValue")
	}
	is(t, "found", names(s.do("POST", "/Users/.search", `{"startIndex":2,"count":2}`).ok(200)), `["u1","u2"]`)
}

func TestSearchAcrossTypes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for i := range 3 {
		s.user(fmt.Sprintf("u%d", i))
		s.group(fmt.Sprintf("g%d", i))
	}
	search := func(body string) map[string]any {
		t.Helper()
		return s.do("POST", "/.search", body).ok(200)
	}
	is(t, "all", names(search(`{}`)), `["u0","u1","u2","g0","g1","g2"]`)
	is(t, "all", names(s.do("GET", "/", "").ok(200)), `["u0","u1","u2","g0","g1","g2"]`)
	page := search(`{"startIndex":3,"count":2}`)
	is(t, "page", names(page), `["u2","g0"]`)
	is(t, "total", page["totalResults"], `6`)
	is(t, "startIndex", page["startIndex"], `3`)
	is(t, "page", names(search(`{"startIndex":5,"count":5}`)), `["g1","g2"]`)
	is(t, "page", names(search(`{"startIndex":4,"count":1}`)), `["g0"]`)
	is(t, "none", names(search(`{"count":0}`)), `[]`)
	is(t, "users", names(search(`{"filter":"meta.resourceType eq \"User\""}`)), `["u0","u1","u2"]`)
	is(t, "users", names(search(`{"filter":"userName sw \"u\""}`)), `["u0","u1","u2"]`)
	is(t, "both", names(search(`{"filter":"userName eq \"u1\" or displayName eq \"g1\""}`)), `["u1","g1"]`)
	s.do("POST", "/.search", `{"filter":"userName eq"}`).refused(400, "invalidFilter")
	is(t, "groups", names(s.do("POST", "/Groups/.search", `{"filter":"displayName eq \"G1\""}`).ok(200)), `["g1"]`)
	s.do("POST", "/Groups/.search", `{"filter":"userName eq \"u1\""}`).refused(400, "invalidFilter")
}

func TestAttributeSelection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.do("POST", "/Users", full).ok(http.StatusCreated)
	always := fmt.Sprintf(`"id":%q,"schemas":[%q,"urn:example:params:pets_and_more:1.0:User",%q]`, id(u), userURN, enterpriseURN)
	for _, test := range []struct{ attributes, want string }{
		{"userName", `"userName":"Ada@example.com"`},
		{"USERNAME,title", `"userName":"Ada@example.com","title":"Analyst"`},
		{userURN + ":title", `"title":"Analyst"`},
		{"name.givenName,name.familyName", `"name":{"givenName":"Ada","familyName":"King"}`},
		{"name,name.givenName", `"name":{"givenName":"Ada","familyName":"King","formatted":"Ada King","honorificSuffix":""}`},
		{"emails.value", `"emails":[{"value":"ada@example.com"},{"value":"ada@home.example"}]`},
		{enterpriseURN + ":department", `"` + enterpriseURN + `":{"department":"Analysis"}`},
		{enterpriseURN + ":manager.value", `"` + enterpriseURN + `":{"manager":{"value":"not-yet-here"}}`},
		{"urn:example:params:pets_and_more:1.0:User", `"urn:example:params:pets_and_more:1.0:User":{"cats":2,"names":["Puff","Tom"]}`},
		{"urn:example:params:pets_and_more:1.0:User:cats", `"urn:example:params:pets_and_more:1.0:User":{"cats":2}`},
		{"nothing,%20!", ``},
		{"id", ``},
	} {
		want := `{` + always
		if test.want != "" {
			want += "," + test.want
		}
		is(t, test.attributes, s.do("GET", "/Users/"+id(u)+"?attributes="+test.attributes, "").ok(200), want+"}")
		is(t, "list "+test.attributes, at(s.do("GET", "/Users?attributes="+test.attributes, "").ok(200), "Resources.0"), want+"}")
	}
	whole := s.do("GET", "/Users/"+id(u)+"?attributes="+enterpriseURN, "").ok(200)
	is(t, "extension", whole[enterpriseURN].(map[string]any)["costCenter"], `"4130"`)
	is(t, "userName", whole["userName"], `null`)

	// Without: everything else.
	got := s.do("GET", "/Users/"+id(u)+"?excludedAttributes=userName,id,schemas,emails.type,emails.primary,urn:example:params:pets_and_more:1.0:User,"+enterpriseURN+":department", "").ok(200)
	is(t, "userName", got["userName"], `null`)
	is(t, "id", got["id"], `"`+id(u)+`"`)
	is(t, "schemas", at(got, "schemas.0"), `"`+userURN+`"`)
	is(t, "emails", got["emails"], `[{"value":"ada@example.com"},{"value":"ada@home.example"}]`)
	is(t, "pets", got["urn:example:params:pets_and_more:1.0:User"], `null`)
	is(t, "department", at(got, "", enterpriseURN, "department"), `null`)
	is(t, "costCenter", at(got, "", enterpriseURN, "costCenter"), `"4130"`)
	is(t, "title", got["title"], `"Analyst"`)

	// Also where something is written, and in a search.
	created := s.do("POST", "/Users?attributes=title", `{"schemas":["`+userURN+`"],"userName":"bob","title":"x"}`).ok(201)
	is(t, "created", created["userName"], `null`)
	is(t, "created", created["title"], `"x"`)
	put := s.do("PUT", "/Users/"+id(created)+"?excludedAttributes=title", `{"schemas":["`+userURN+`"],"userName":"bob","title":"y"}`).ok(200)
	is(t, "replaced", put["title"], `null`)
	found := s.do("POST", "/Users/.search", `{"attributes":["title"],"filter":"userName eq \"bob\""}`).ok(200)
	is(t, "found", at(found, "Resources.0"), `{"id":"`+id(created)+`","schemas":["`+userURN+`"],"title":"y"}`)
}

// Of several types each is asked for what can match in it, and not at all if nothing can.
func TestListsOfAllTypesAskForWhatCanMatch(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.user("u1", `"title":"Pilot"`)
	s.user("u2")
	g1 := s.group("g1")
	for _, test := range []struct{ filter, asked, want string }{
		{`userName eq "u1"`, "users by index", `["u1"]`},
		{`userName eq "nobody"`, "users by index", `[]`},
		{`userName sw "u" and active eq true`, "users by index", `["u1","u2"]`},
		{`emails[type eq "work" and value eq "x@corp.example"]`, "users by index", `[]`},
		{`title eq "Pilot"`, "users all", `["u1"]`},
		{`members.value eq "` + uuid.NewString() + `"`, "groups by index", `[]`},
		{`userName eq "u1" or members eq "` + uuid.NewString() + `"`, "users by index; groups by index", `["u1"]`},
		{`userName eq "u1" and members pr`, "", `[]`},
		{`userName eq "u1" or displayName eq "g1"`, "users all; groups by index", `["u1","g1"]`},
		{`displayName eq "g1" and not (userName eq "u1")`, "users all; groups by index", `["g1"]`},
		{`not (userName eq "u1")`, "users all; groups listed", `["u2","g1"]`},
		{`userName ne "u1"`, "users all; groups listed", `["u2","g1"]`},
		{`userName eq null`, "users all; groups listed", `["g1"]`},
		{`userName ne null`, "users all", `["u1","u2"]`},
		{`userName pr`, "users all", `["u1","u2"]`},
		{`not (userName eq "u1" and title pr) and userName sw "u"`, "users by index", `["u2"]`},
		{`id eq "` + g1 + `"`, "users by index; groups by index", `["g1"]`},
	} {
		for _, page := range [][]string{nil, {"cursor", ""}} {
			s.dir.asked = nil
			got := s.do("GET", "/"+query(append(page, "filter", test.filter)...), "").ok(http.StatusOK)
			if asked := strings.Join(s.dir.asked, "; "); asked != test.asked {
				t.Errorf("%s %v: asked for %q, want %q", test.filter, page, asked, test.asked)
			}
			is(t, test.filter, names(got), test.want)
			if total, ok := got["totalResults"]; ok && total != float64(len(names(got))) {
				t.Errorf("%s %v: %v in all", test.filter, page, total)
			}
		}
	}
	// The name of an attribute that no type has is no reason to read everything either.
	s.dir.asked = nil
	is(t, "an unknown name", names(s.do("GET", "/"+query("filter", `shoeSize eq 38`), "").ok(http.StatusOK)), `[]`)
	is(t, "asked for", len(s.dir.asked), `0`)
}
