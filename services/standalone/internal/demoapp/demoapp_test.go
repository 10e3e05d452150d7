package demoapp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"gatehouse.dev/services/standalone/internal/demoapp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "demo-token"

type object = map[string]any

// client speaks SCIM to one app.
type client struct {
	*testing.T
	app *demoapp.App
}

func open(t *testing.T, cfg demoapp.Config) *client {
	t.Helper()
	if cfg.Token == "" {
		cfg.Token = token
	}
	app, err := demoapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &client{t, app}
}

func (c *client) send(method, path, body string) *http.Response {
	c.Helper()
	r := httptest.NewRequest(method, "http://demo.test"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	c.app.ServeHTTP(w, r)
	return w.Result()
}

// do sends a request under /scim/v2, wants a status, and returns the body.
func (c *client) do(status int, method, path string, body any) object {
	c.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.Fatal(err)
		}
		text = string(b)
	}
	resp := c.send(method, "/scim/v2"+path, text)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	if resp.StatusCode != status {
		c.Fatalf("%s %s: got %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	if status == http.StatusNoContent {
		if len(b) > 0 {
			c.Errorf("%s %s: 204 with a body", method, path)
		}
		return nil
	}
	if got := resp.Header.Get("Content-Type"); got != "application/scim+json" {
		c.Errorf("%s %s: Content-Type %q", method, path, got)
	}
	out := object{}
	if err := json.Unmarshal(b, &out); err != nil {
		c.Fatalf("%s %s: %v: %s", method, path, err, b)
	}
	if status >= 400 && out["status"] != fmt.Sprint(status) {
		c.Errorf("%s %s: not a SCIM error: %s", method, path, b)
	}
	return out
}

func (c *client) user(userName, externalID string) string {
	c.Helper()
	u := c.do(201, "POST", "/Users", object{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": userName, "externalId": externalID})
	return u["id"].(string)
}

func (c *client) group(name string) string {
	c.Helper()
	for _, g := range c.find("/Groups", `displayName eq "`+name+`"`) {
		return g["id"].(string)
	}
	c.Fatalf("no group %s", name)
	return ""
}

func (c *client) find(path, filter string) []object {
	c.Helper()
	page := c.do(200, "GET", path+"?filter="+url.QueryEscape(filter), nil)
	var out []object
	for _, r := range page["Resources"].([]any) {
		out = append(out, r.(object))
	}
	if page["totalResults"] != float64(len(out)) {
		c.Errorf("totalResults is %v, and %d are shown", page["totalResults"], len(out))
	}
	return out
}

func patch(ops ...object) object {
	return object{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
}

func TestToken(t *testing.T) {
	t.Parallel()
	if _, err := demoapp.New(demoapp.Config{}); err == nil {
		t.Error("an app without a token")
	}
	c := open(t, demoapp.Config{})
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic " + token, token} {
		r := httptest.NewRequest(http.MethodGet, "/scim/v2/Users", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		c.app.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d %v", header, w.Code, w.Header())
		}
	}
}

func TestUserLife(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{})
	sent := object{
		"schemas":  []string{"urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"},
		"userName": "Jo@example.test", "externalId": "p-1", "name": object{"givenName": "Jo", "familyName": "Ek"}, "title": "Engineer",
		"emails": []object{{"value": "jo@example.test", "type": "work", "primary": true}},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": object{"department": "R&D"},
	}
	resp := c.send("POST", "/scim/v2/Users", mustJSON(t, sent))
	made := object{}
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.StatusCode, err)
	}
	id := made["id"].(string)
	location := "http://demo.test/scim/v2/Users/" + id
	if resp.Header.Get("Location") != location || made["meta"].(object)["location"] != location {
		t.Errorf("location %q, %v", resp.Header.Get("Location"), made["meta"])
	}
	if made["active"] != true {
		t.Error("not active")
	}
	got := c.do(200, "GET", "/Users/"+id, nil)
	for k, want := range sent {
		if mustJSON(t, got[k]) != mustJSON(t, want) {
			t.Errorf("%s: got %v, want %v", k, got[k], want)
		}
	}
	c.do(409, "POST", "/Users", object{"userName": "JO@example.test"})
	c.do(400, "POST", "/Users", object{"displayName": "nobody"})
	c.do(400, "POST", "/Users", "not JSON")
	c.do(413, "POST", "/Users", `{"userName":"`+strings.Repeat("x", 1<<20)+`"}`)

	put := c.do(200, "PUT", "/Users/"+id, object{"userName": "jo2@example.test"})
	if put["title"] != nil || put["externalId"] != nil || put["id"] != id || put["active"] != true {
		t.Errorf("after PUT: %v", put)
	}
	c.do(400, "PUT", "/Users/"+id, object{"title": "x"})
	c.user("jo@example.test", "") // the old name is free again
	c.do(409, "PUT", "/Users/"+id, object{"userName": "jo@example.test"})

	c.do(204, "DELETE", "/Users/"+id, nil)
	c.do(404, "DELETE", "/Users/"+id, nil)
	c.do(404, "GET", "/Users/"+id, nil)
	c.do(404, "PATCH", "/Users/"+id, patch(object{"op": "replace", "path": "active", "value": true}))
	c.do(404, "GET", "/Nothing", nil)
	resp = c.send("DELETE", "/scim/v2/Users", "")
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, POST" {
		t.Error(resp.StatusCode, resp.Header)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilter(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"Engineering", "Sales"}})
	jo, al := c.user("jo@example.test", "P-1"), c.user(`al "the" \ man`, "p-1")
	c.do(200, "PATCH", "/Users/"+al, patch(object{"op": "replace", "path": "active", "value": "False"}, object{"op": "add", "path": "emails", "value": []object{{"value": "Al@example.test"}}}))
	tests := []struct {
		filter string
		want   []string
	}{
		{`userName eq "jo@example.test"`, []string{jo}},
		{`USERNAME EQ "JO@EXAMPLE.TEST"`, []string{jo}},
		{`externalId eq "P-1"`, []string{jo}},
		{`externalId eq "p-1"`, []string{al}},
		{`externalId eq "x" or userName eq "jo@example.test"`, []string{jo}},
		{`externalId eq "p-1" or userName eq "jo@example.test"`, []string{jo, al}},
		{`externalId eq "P-1" or userName eq "jo@example.test"`, []string{jo}},
		{`userName eq "jo@example.test" and externalId eq "p-1"`, nil},
		{`userName eq "jo@example.test" and externalId eq "p-1" or id eq "` + al + `"`, []string{al}},
		{`userName eq "al \"the\" \\ man"`, []string{al}},
		{`userName eq "al \u0022the\u0022 \\ man"`, []string{al}},
		{`active eq false`, []string{al}},
		{`active eq true and userName eq "jo@example.test"`, []string{jo}},
		{`emails.value eq "al@example.test"`, []string{al}},
		{`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "jo@example.test"`, []string{jo}},
		{`  userName   eq   "jo@example.test"  `, []string{jo}},
		{``, []string{jo, al}},
	}
	for _, tt := range tests {
		var got []string
		for _, u := range c.find("/Users", tt.filter) {
			got = append(got, u["id"].(string))
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.filter, got, tt.want)
		}
	}
	for _, bad := range []string{`userName`, `userName eq`, `userName eq jo`, `userName eq "jo`, `userName sw "jo"`, `userName eq "a" xor userName eq "b"`, `userName eq "a" or`, `nothing eq "a"`, `members eq "a"`, `userName eq "\x"`} {
		if e := c.do(400, "GET", "/Users?filter="+url.QueryEscape(bad), nil); e["scimType"] != "invalidFilter" {
			t.Errorf("%s: %v", bad, e)
		}
	}
	if got := c.find("/Groups", `displayName eq "SALES"`); len(got) != 1 || got[0]["displayName"] != "Sales" {
		t.Errorf("got %v", got)
	}
	if got := c.find("/Groups", `displayName eq "None"`); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{})
	for i := range 7 {
		c.user(fmt.Sprint("user", i), "")
	}
	seen := map[any]bool{}
	for _, start := range []int{1, 4, 7} {
		page := c.do(200, "GET", fmt.Sprintf("/Users?startIndex=%d&count=3", start), nil)
		if page["totalResults"] != 7.0 || page["startIndex"] != float64(start) {
			t.Errorf("page at %d: %v", start, page)
		}
		for _, u := range page["Resources"].([]any) {
			seen[u.(object)["id"]] = true
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d of 7 were shown", len(seen))
	}
	for query, want := range map[string]int{"count=0": 0, "count=-1": 0, "startIndex=99": 0, "startIndex=-4&count=2": 2} {
		if got := c.do(200, "GET", "/Users?"+query, nil)["Resources"].([]any); len(got) != want {
			t.Errorf("%s: %d, want %d", query, len(got), want)
		}
	}
	c.do(400, "GET", "/Users?count=x", nil)
}

func TestPatchUser(t *testing.T) {
	t.Parallel()
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	role := func(values ...string) []object {
		var out []object
		for _, v := range values {
			out = append(out, object{"value": v})
		}
		return out
	}
	tests := []struct {
		name  string
		ops   []object
		attr  string
		want  any
		wantE string // scimType
	}{
		{"disable", []object{{"op": "replace", "path": "active", "value": false}}, "active", false, ""},
		{"disable, as a string", []object{{"op": "Replace", "path": "active", "value": "False"}}, "active", false, ""},
		{"disable, without path", []object{{"op": "replace", "value": object{"active": false}}}, "active", false, ""},
		{"add a role", []object{{"op": "add", "path": "roles", "value": role("b")}}, "roles", role("a", "b"), ""},
		{"add one role", []object{{"op": "add", "path": "roles", "value": object{"value": "b"}}}, "roles", role("a", "b"), ""},
		{"add it again", []object{{"op": "add", "path": "roles", "value": role("a", "a")}}, "roles", role("a"), ""},
		{"replace roles", []object{{"op": "replace", "path": "roles", "value": role("c")}}, "roles", role("c"), ""},
		{"remove a role", []object{{"op": "remove", "path": `roles[value eq "a"]`}}, "roles", nil, ""},
		{"remove another", []object{{"op": "remove", "path": `roles[value eq "x"]`}}, "roles", role("a"), ""},
		{"remove roles", []object{{"op": "remove", "path": "roles"}}, "roles", nil, ""},
		{"a licence", []object{{"op": "add", "path": "entitlements", "value": role("seat")}}, "entitlements", role("seat"), ""},
		{"externalId", []object{{"op": "add", "path": "externalId", "value": "p-9"}}, "externalId", "p-9", ""},
		{"name", []object{{"op": "add", "path": "name.familyName", "value": "Ek"}}, "name", object{"familyName": "Ek"}, ""},
		{"remove title", []object{{"op": "remove", "path": "title"}}, "title", nil, ""},
		{"department", []object{{"op": "replace", "path": enterprise + ":department", "value": "Ops"}}, enterprise, object{"department": "Ops"}, ""},
		{"department, without path", []object{{"op": "add", "value": object{enterprise: object{"department": "Ops"}}}}, enterprise, object{"department": "Ops"}, ""},
		{"all or nothing", []object{{"op": "replace", "path": "title", "value": "x"}, {"op": "replace", "path": "nothing", "value": "x"}}, "title", "T", "invalidPath"},
		{"taken name", []object{{"op": "replace", "path": "userName", "value": "OTHER"}}, "userName", "jo", "uniqueness"},
		{"no name", []object{{"op": "remove", "path": "userName"}}, "userName", "jo", "invalidValue"},
		{"another type", []object{{"op": "replace", "path": "title", "value": 7}}, "title", "T", "invalidValue"},
		{"no operation", nil, "title", "T", "invalidSyntax"},
		{"unknown operation", []object{{"op": "move", "path": "title"}}, "title", "T", "invalidSyntax"},
		{"remove without path", []object{{"op": "remove"}}, "title", "T", "noTarget"},
		{"path that does not close", []object{{"op": "remove", "path": `roles[value eq "a"`}}, "roles", role("a"), "invalidPath"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := open(t, demoapp.Config{})
			c.user("other", "")
			id := c.do(201, "POST", "/Users", object{"userName": "jo", "title": "T", "roles": role("a")})["id"].(string)
			switch tt.wantE {
			case "":
				c.do(200, "PATCH", "/Users/"+id, patch(tt.ops...))
			case "uniqueness":
				c.do(409, "PATCH", "/Users/"+id, patch(tt.ops...))
			default:
				if e := c.do(400, "PATCH", "/Users/"+id, patch(tt.ops...)); e["scimType"] != tt.wantE {
					t.Errorf("got %v", e)
				}
			}
			if got := c.do(200, "GET", "/Users/"+id, nil)[tt.attr]; mustJSON(t, got) != mustJSON(t, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.attr, got, tt.want)
			}
		})
	}
}

// A change that changes nothing leaves the time of change alone.
func TestPatchThatChangesNothing(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{})
	id := c.user("jo", "p-1")
	before := c.do(200, "GET", "/Users/"+id, nil)
	after := c.do(200, "PATCH", "/Users/"+id, patch(object{"op": "replace", "path": "active", "value": true}, object{"op": "add", "path": "externalId", "value": "p-1"}))
	if mustJSON(t, before) != mustJSON(t, after) {
		t.Errorf("before %v, after %v", before, after)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"Engineering", "Sales", "engineering"}})
	if all := c.find("/Groups", ""); len(all) != 2 {
		t.Fatalf("%d groups from the start: %v", len(all), all)
	}
	g := c.group("Engineering")
	jo, al := c.user("jo", ""), c.user("al", "")
	members := func() string {
		t.Helper()
		var ids []string
		m, _ := c.do(200, "GET", "/Groups/"+g, nil)["members"].([]any)
		for _, v := range m {
			ids = append(ids, v.(object)["value"].(string))
		}
		return strings.Join(ids, " ")
	}
	change := func(status int, op object, want string) {
		t.Helper()
		c.do(status, "PATCH", "/Groups/"+g, patch(op))
		if got := members(); got != want {
			t.Errorf("%v: members %q, want %q", op, got, want)
		}
	}
	value := func(ids ...string) []object {
		var out []object
		for _, id := range ids {
			out = append(out, object{"value": id})
		}
		return out
	}
	change(204, object{"op": "add", "path": "members", "value": value(jo)}, jo)
	change(204, object{"op": "add", "path": "members", "value": value(jo)}, jo)
	change(400, object{"op": "add", "path": "members", "value": value(al, "nobody")}, jo)
	change(204, object{"op": "replace", "path": "members", "value": value(al)}, al)
	change(204, object{"op": "add", "value": object{"members": value(jo)}}, jo+" "+al)
	change(204, object{"op": "remove", "path": `members[value eq "` + al + `"]`}, jo)
	change(204, object{"op": "remove", "path": `members[value eq "` + al + `"]`}, jo)
	change(204, object{"op": "remove", "path": "members", "value": value(al)}, jo)
	change(400, object{"op": "remove", "path": `members[display eq "jo"]`}, jo)
	change(400, object{"op": "add", "path": "owners", "value": value(al)}, jo)

	if got := c.do(200, "GET", "/Users/"+jo, nil)["groups"]; mustJSON(t, got) != mustJSON(t, []object{{"value": g, "display": "Engineering"}}) {
		t.Errorf("groups of the user: %v", got)
	}
	if got := c.do(200, "GET", "/Groups/"+g+"?excludedAttributes=members", nil); got["members"] != nil {
		t.Errorf("members are shown: %v", got)
	}
	change(204, object{"op": "replace", "path": "displayName", "value": "Builders"}, jo)
	c.group("Builders")
	change(409, object{"op": "replace", "path": "displayName", "value": "SALES"}, jo)

	c.do(204, "DELETE", "/Users/"+jo, nil)
	if got := members(); got != "" {
		t.Errorf("who is gone is a member: %s", got)
	}
	change(204, object{"op": "add", "path": "members", "value": value(al)}, al)
	c.do(204, "DELETE", "/Groups/"+g, nil)
	c.do(404, "DELETE", "/Groups/"+g, nil)
	if got := c.do(200, "GET", "/Users/"+al, nil)["groups"]; got != nil {
		t.Errorf("in a group that is gone: %v", got)
	}
	made := c.do(201, "POST", "/Groups", object{"displayName": "Builders", "members": value(al)})
	if len(made["members"].([]any)) != 1 {
		t.Errorf("made %v", made)
	}
	c.do(409, "POST", "/Groups", object{"displayName": "builders"})
	c.do(400, "POST", "/Groups", object{})
	c.do(400, "POST", "/Groups", object{"displayName": "x", "members": value("nobody")})
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{})
	if got := c.do(200, "GET", "/ServiceProviderConfig", nil); mustJSON(t, got["patch"]) != `{"supported":true}` {
		t.Errorf("got %v", got)
	}
	if got := c.do(200, "GET", "/ResourceTypes", nil); got["totalResults"] != 2.0 {
		t.Errorf("got %v", got)
	}
	c.do(405, "POST", "/ResourceTypes", nil)
}

func TestFileOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "app.json")
	cfg := demoapp.Config{Token: token, File: file, Groups: []string{"Engineering"}}
	reopen := func() (*client, func()) {
		t.Helper()
		app, err := demoapp.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return &client{t, app}, func() {
			t.Helper()
			if err := app.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	dump := func(c *client) string {
		return mustJSON(t, c.find("/Users", "")) + mustJSON(t, c.find("/Groups", ""))
	}

	c, end := reopen()
	jo, al, gone := c.user("jo", "p-1"), c.user("al", "p-2"), c.user("gone", "p-3")
	g := c.group("Engineering")
	c.do(204, "PATCH", "/Groups/"+g, patch(object{"op": "add", "path": "members", "value": []object{{"value": jo}, {"value": al}, {"value": gone}}}))
	c.do(204, "PATCH", "/Groups/"+g, patch(object{"op": "remove", "path": `members[value eq "` + al + `"]`}))
	c.do(200, "PATCH", "/Users/"+jo, patch(object{"op": "replace", "path": "userName", "value": "jo2"}))
	c.do(204, "DELETE", "/Users/"+gone, nil)
	want := dump(c)
	end()

	for range 2 { // the second time from what was written anew
		c, end = reopen()
		if got := dump(c); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		end()
	}

	// The process ended in the middle of a line.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"user":{"id":"half`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c, end = reopen()
	if got := dump(c); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	end()
	c.do(503, "POST", "/Users", object{"userName": "late"})

	// Something else is in the file: it is not touched.
	other := []byte("not ours\n")
	if err := os.WriteFile(file, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := demoapp.New(cfg); err == nil {
		t.Error("a file of somebody else was taken")
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, other) {
		t.Errorf("the file is now %q: %v", got, err)
	}
}

func TestPageEscapes(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"<i>Group"}, Title: "A & B"})
	id := c.do(201, "POST", "/Users", object{"userName": `<script>alert(1)</script>`, "displayName": "O'Hara", "roles": []object{{"value": "<b>"}}})["id"].(string)
	c.do(204, "PATCH", "/Groups/"+c.group("<i>Group"), patch(object{"op": "add", "path": "members", "value": []object{{"value": id}}}))
	resp := c.send("GET", "/", "")
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || resp.Header.Get("Content-Security-Policy") == "" {
		t.Error(resp.StatusCode, resp.Header)
	}
	for _, bad := range []string{"<script>", "<i>Group", "<b>", token} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{"A &amp; B", "O&#39;Hara", "&lt;i&gt;Group", "Accounts (1)", "active"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if got := c.send("POST", "/", "").StatusCode; got != 405 {
		t.Error(got)
	}
	if got := c.send("GET", "/scim/v3", "").StatusCode; got != 404 {
		t.Error(got)
	}
}

// At once, one user name is given once.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"Engineering"}, File: filepath.Join(t.TempDir(), "app.json")})
	g := c.group("Engineering")
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		made int
	)
	for i := range 64 {
		wg.Go(func() {
			resp := c.send("POST", "/scim/v2/Users", fmt.Sprintf(`{"userName":"user%d"}`, i%16))
			if resp.StatusCode == http.StatusCreated {
				var u struct{ ID string }
				if err := json.NewDecoder(resp.Body).Decode(&u); err != nil {
					t.Error(err)
				}
				c.send("PATCH", "/scim/v2/Groups/"+g, mustJSON(t, patch(object{"op": "add", "path": "members", "value": []object{{"value": u.ID}}})))
				mu.Lock()
				made++
				mu.Unlock()
			}
			c.send("GET", "/", "")
			c.send("GET", "/scim/v2/Groups", "")
		})
	}
	wg.Wait()
	if made != 16 {
		t.Errorf("%d accounts for 16 names", made)
	}
	if got := c.do(200, "GET", "/Groups/"+g, nil)["members"].([]any); len(got) != 16 {
		t.Errorf("%d members", len(got))
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{`userName eq "a"`, `a eq "b" or c eq "d"`, `x eq "\"`, `"`, `userName eq "\u0000"`, `active eq true and`} {
		f.Add(seed)
	}
	app, err := demoapp.New(demoapp.Config{Token: token})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		c := &client{t, app}
		if got := c.send("GET", "/scim/v2/Users?filter="+url.QueryEscape(filter), "").StatusCode; got != 200 && got != 400 {
			t.Errorf("%q: %d", filter, got)
		}
	})
}
