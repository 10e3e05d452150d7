package demoapp_test

import (
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
	"sync/atomic"
	"testing"

	"gatehouse.dev/services/standalone/internal/demoapp"
)

const token = "demo-token"

type object = map[string]any

// client speaks SCIM to one app.
type client struct {
	*testing.T
	app http.Handler
}

func open(t *testing.T, cfg demoapp.Config) *client {
	t.Helper()
	cfg.Token = token
	app, err := demoapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, app}
}

func (c *client) send(method, path, body string) *http.Response {
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
	if !ok {
		text = asJSON(c.T, body)
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
	if status >= 400 && (out["status"] != fmt.Sprint(status) || asJSON(c.T, out["schemas"]) != `["urn:ietf:params:scim:api:messages:2.0:Error"]`) {
		c.Errorf("%s %s: not a SCIM error: %s", method, path, b)
	}
	return out
}

func (c *client) user(userName, externalID string) string {
	c.Helper()
	return c.do(201, "POST", "/Users", object{"userName": userName, "externalId": externalID})["id"].(string)
}

// find returns what a filter finds, by name.
func (c *client) find(path, filter string) map[string]object {
	c.Helper()
	page := c.do(200, "GET", path+"?filter="+url.QueryEscape(filter), nil)
	out := map[string]object{}
	for _, r := range page["Resources"].([]any) {
		r := r.(object)
		name, ok := r["userName"].(string)
		if !ok {
			name = r["displayName"].(string)
		}
		out[name] = r
	}
	if page["totalResults"] != float64(len(out)) {
		c.Errorf("totalResults is %v, and %d are shown", page["totalResults"], len(out))
	}
	return out
}

// patch makes one change; wantType is the scimType of the refusal, empty for none.
func (c *client) patch(path, wantType string, ops ...object) {
	c.Helper()
	body := object{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
	switch wantType {
	case "":
		c.do(204, "PATCH", path, body)
	case "uniqueness":
		c.do(409, "PATCH", path, body)
	default:
		if e := c.do(400, "PATCH", path, body); e["scimType"] != wantType {
			c.Errorf("%v: refused with %v, want %s", ops, e, wantType)
		}
	}
}

func values(of ...string) []object {
	var out []object
	for _, v := range of {
		out = append(out, object{"value": v})
	}
	return out
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestToken(t *testing.T) {
	t.Parallel()
	if _, err := demoapp.New(demoapp.Config{}); err == nil {
		t.Error("an app without a token")
	}
	c := open(t, demoapp.Config{})
	for _, path := range []string{"/scim/v2/Users", "/scim/v2/nothing"} {
		for _, header := range []string{"", "Bearer ", "Bearer x", "Basic " + token, token} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Authorization", header)
			w := httptest.NewRecorder()
			c.app.ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") || !strings.Contains(w.Body.String(), `"status":"401"`) {
				t.Errorf("%s with %q: %d %v %s", path, header, w.Code, w.Header(), w.Body)
			}
		}
	}
	c.do(200, "GET", "/Users", nil)
}

func TestUserLife(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{})
	resp := c.send("POST", "/scim/v2/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],
		"userName":"Jo@example.test","externalId":"p-1","displayName":"Jo Ek","title":"Engineer","active":true,"id":"mine","members":[{"value":"x"}]}`)
	made := object{}
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.StatusCode, err)
	}
	id := made["id"].(string)
	location := "http://demo.test/scim/v2/Users/" + id
	if resp.Header.Get("Location") != location || made["meta"].(object)["location"] != location {
		t.Errorf("location %q, %v", resp.Header.Get("Location"), made["meta"])
	}
	got := c.do(200, "GET", "/Users/"+id, nil)
	if asJSON(t, got) != asJSON(t, made) {
		t.Errorf("made %v, got %v", made, got)
	}
	delete(got, "meta")
	want := object{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "id": id,
		"userName": "Jo@example.test", "externalId": "p-1", "displayName": "Jo Ek", "title": "Engineer", "active": true,
	}
	if asJSON(t, got) != asJSON(t, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	if e := c.do(409, "POST", "/Users", object{"userName": "JO@example.test"}); e["scimType"] != "uniqueness" {
		t.Errorf("a second account: %v", e)
	}
	c.do(400, "POST", "/Users", object{"displayName": "nobody"})
	c.do(400, "POST", "/Users", object{"userName": 7})
	c.do(400, "POST", "/Users", "not JSON")
	c.do(400, "POST", "/Users", `{"userName":"`+strings.Repeat("x", 1<<20)+`"}`)
	c.do(404, "GET", "/Groups/"+id, nil)

	c.do(204, "DELETE", "/Users/"+id, nil)
	for _, method := range []string{"DELETE", "GET"} {
		c.do(404, method, "/Users/"+id, nil)
	}
	c.do(404, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":true}]}`)
	c.do(404, "GET", "/Nothing", nil)
	c.do(404, "DELETE", "/Users", nil)
	c.user("jo@example.test", "") // the name is free again
}

func TestFilter(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"Engineering", "Sales"}})
	const jo, al = "jo@example.test", `al "the" \ man`
	c.user(jo, "P-1")
	c.user(al, "p-1")
	tests := []struct {
		path, filter string
		want         []string
	}{
		{"/Users", `userName eq "jo@example.test"`, []string{jo}},
		{"/Users", `USERNAME EQ "JO@EXAMPLE.TEST"`, []string{jo}},
		{"/Users", `externalId eq "P-1"`, []string{jo}},
		{"/Users", `externalId eq "x" or userName eq "jo@example.test"`, []string{jo}},
		{"/Users", `externalId eq "p-1" or userName eq "jo@example.test"`, []string{jo, al}},
		{"/Users", `userName eq "al \"the\" \\ man"`, []string{al}},
		{"/Users", `userName eq "al \u0022the\u0022 \\ man"`, []string{al}},
		{"/Users", `userName eq "x\" or userName eq \"jo@example.test"`, nil},
		{"/Users", ``, []string{jo, al}},
		{"/Groups", `displayName eq "SALES"`, []string{"Sales"}},
		{"/Groups", `displayName eq "None"`, nil},
	}
	for _, tt := range tests {
		got := c.find(tt.path, tt.filter)
		for _, name := range tt.want {
			if got[name] == nil {
				t.Errorf("%s: %s is missing", tt.filter, name)
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.filter, got, tt.want)
		}
	}
	for _, bad := range []string{
		`userName`, `userName eq`, `userName eq jo`, `userName eq "jo`, `userName eq "\x"`, `userName sw "jo"`, `active eq true`, `emails eq "a"`,
		`userName eq "a" and userName eq "b"`, `userName eq "a" or`, `userName eq "a" or `, `not (userName eq "a")`,
	} {
		if e := c.do(400, "GET", "/Users?filter="+url.QueryEscape(bad), nil); e["scimType"] != "invalidFilter" {
			t.Errorf("%s: %v", bad, e)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{})
	for i := range 7 {
		c.user(fmt.Sprint("user", i), "")
	}
	for query, want := range map[string][]string{
		"startIndex=1&count=3": {"user0", "user1", "user2"}, "startIndex=7&count=3": {"user6"}, "startIndex=-4&count=1": {"user0"},
		"startIndex=6": {"user5", "user6"}, "startIndex=99": nil, "count=0": nil, "count=-1": nil,
	} {
		page := c.do(200, "GET", "/Users?"+query, nil)
		var got []string
		for _, u := range page["Resources"].([]any) {
			got = append(got, u.(object)["userName"].(string))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || page["totalResults"] != 7.0 || page["itemsPerPage"] != float64(len(want)) {
			t.Errorf("%s: got %v, want %v; %v", query, got, want, page)
		}
	}
	c.do(400, "GET", "/Users?count=x", nil)
}

func TestPatchUser(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		ops      []object
		attr     string
		want     any
		wantType string
	}{
		{"disable", []object{{"op": "replace", "path": "active", "value": false}}, "active", false, ""},
		{"two at once", []object{{"op": "Replace", "path": "active", "value": true}, {"op": "add", "path": "externalId", "value": "p-9"}}, "externalId", "p-9", ""},
		{"add a role", []object{{"op": "add", "path": "roles", "value": values("b")}}, "roles", values("a", "b"), ""},
		{"add it again", []object{{"op": "add", "path": "roles", "value": values("a", "a")}}, "roles", values("a"), ""},
		{"replace roles", []object{{"op": "replace", "path": "roles", "value": values("c")}}, "roles", values("c"), ""},
		{"remove a role", []object{{"op": "remove", "path": `roles[value eq "a"]`}}, "roles", nil, ""},
		{"remove another", []object{{"op": "remove", "path": `roles[value eq "x"]`}}, "roles", values("a"), ""},
		{"a licence", []object{{"op": "add", "path": "entitlements", "value": values(`"seat"`)}, {"op": "remove", "path": `entitlements[value eq "\"seat\""]`}}, "entitlements", nil, ""},
		{"all or nothing", []object{{"op": "replace", "path": "displayName", "value": "x"}, {"op": "replace", "path": "nothing", "value": "x"}}, "displayName", "Jo", "invalidPath"},
		{"taken name", []object{{"op": "replace", "path": "userName", "value": "OTHER"}}, "userName", "jo", "uniqueness"},
		{"no name", []object{{"op": "replace", "path": "userName", "value": ""}}, "userName", "jo", "invalidValue"},
		{"another type", []object{{"op": "replace", "path": "displayName", "value": 7}}, "displayName", "Jo", "invalidValue"},
		{"null", []object{{"op": "replace", "path": "active", "value": nil}}, "active", true, "invalidValue"},
		{"no value", []object{{"op": "add", "path": "roles"}}, "roles", values("a"), "invalidValue"},
		{"no operation", nil, "roles", values("a"), "invalidSyntax"},
		{"unknown operation", []object{{"op": "move", "path": "roles"}}, "roles", values("a"), "invalidSyntax"},
		{"no path", []object{{"op": "replace", "value": object{"title": "Lead", "nothing": 1}}}, "title", "Lead", ""},
		{"no path, taken name", []object{{"op": "replace", "value": object{"userName": "OTHER"}}}, "userName", "jo", "uniqueness"},
		{"no path, no attributes", []object{{"op": "replace", "value": "x"}}, "userName", "jo", "invalidValue"},
		{"no path to remove", []object{{"op": "remove"}}, "userName", "jo", "invalidPath"},
		{"remove the title", []object{{"op": "add", "path": "title", "value": "Lead"}, {"op": "remove", "path": "title"}}, "title", nil, ""},
		{"name", []object{{"op": "replace", "path": "name", "value": object{"givenName": "Jo"}}}, "name", object{"givenName": "Jo"}, ""},
		{"part of the name", []object{{"op": "replace", "path": "name.givenName", "value": "Jo"}}, "name", nil, "invalidPath"},
		{"e-mails", []object{{"op": "replace", "path": "emails", "value": values("jo@example.test")}}, "emails", values("jo@example.test"), ""},
		{"attribute of groups", []object{{"op": "add", "path": "members", "value": values("a")}}, "members", nil, "invalidPath"},
		{"path that does not close", []object{{"op": "remove", "path": `roles[value eq "a"`}}, "roles", values("a"), "invalidPath"},
		{"another filter", []object{{"op": "remove", "path": `roles[type eq "a"]`}}, "roles", values("a"), "invalidPath"},
		{"remove everything", []object{{"op": "remove", "path": "roles"}}, "roles", values("a"), "invalidSyntax"},
		{"remove by value", []object{{"op": "remove", "path": "roles", "value": values("a")}}, "roles", values("a"), "invalidSyntax"},
		{"replace one value", []object{{"op": "replace", "path": `roles[value eq "a"]`, "value": values("b")}}, "roles", values("a"), "invalidSyntax"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := open(t, demoapp.Config{})
			c.user("other", "")
			id := c.do(201, "POST", "/Users", object{"userName": "jo", "displayName": "Jo", "roles": values("a", "a")})["id"].(string)
			c.patch("/Users/"+id, tt.wantType, tt.ops...)
			if got := c.do(200, "GET", "/Users/"+id, nil)[tt.attr]; asJSON(t, got) != asJSON(t, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.attr, got, tt.want)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"Engineering", "Sales", "engineering"}})
	groups := c.find("/Groups", "")
	if len(groups) != 2 {
		t.Fatalf("%d groups from the start: %v", len(groups), groups)
	}
	g := "/Groups/" + groups["Engineering"]["id"].(string)
	jo, al := c.user("jo", ""), c.user("al", "")
	change := func(op object, wantType string, want ...string) {
		t.Helper()
		c.patch(g, wantType, op)
		wanted := any(values(want...))
		if len(want) == 0 {
			wanted = nil
		}
		if got := c.do(200, "GET", g, nil)["members"]; asJSON(t, got) != asJSON(t, wanted) {
			t.Errorf("%v: members %v, want %v", op, got, want)
		}
	}
	add := func(ids ...string) object { return object{"op": "add", "path": "members", "value": values(ids...)} }
	remove := func(id string) object { return object{"op": "remove", "path": `members[value eq "` + id + `"]`} }
	change(add(jo), "", jo)
	change(add(jo), "", jo)
	change(add(al, "nobody"), "invalidValue", jo)
	change(add(al), "", jo, al)
	change(remove(al), "", jo)
	change(remove(al), "", jo)
	change(object{"op": "remove", "path": "members", "value": values(al)}, "invalidSyntax", jo)
	change(object{"op": "replace", "path": "displayName", "value": "SALES"}, "uniqueness", jo)
	if got := c.do(200, "GET", g+"?excludedAttributes=members", nil); got["members"] != nil {
		t.Errorf("members are shown: %v", got)
	}
	change(add(al), "", jo, al)
	c.do(204, "DELETE", "/Users/"+jo, nil) // who is gone is in no group
	change(remove(jo), "", al)

	c.do(409, "POST", "/Groups", object{"displayName": "sales"})
	c.do(400, "POST", "/Groups", object{"displayName": "x", "members": values("nobody")})
}

func TestServiceProviderConfig(t *testing.T) {
	t.Parallel()
	got := open(t, demoapp.Config{}).do(200, "GET", "/ServiceProviderConfig", nil)
	if asJSON(t, got["patch"]) != `{"supported":true}` || asJSON(t, got["bulk"].(object)["supported"]) != "false" {
		t.Errorf("got %v", got)
	}
}

// Whatever was answered is there after a kill: nothing is left to be done when the process ends.
func TestFileOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	cfg := demoapp.Config{File: filepath.Join(t.TempDir(), "app.json"), Groups: []string{"Engineering"}}
	c := open(t, cfg)
	jo, gone := c.user("jo", "p-1"), c.user("gone", "p-3")
	c.patch("/Groups/"+c.find("/Groups", "")["Engineering"]["id"].(string), "", object{"op": "add", "path": "members", "value": values(jo, gone)})
	c.patch("/Users/"+jo, "", object{"op": "add", "path": "roles", "value": values("admin")}, object{"op": "replace", "path": "active", "value": false})
	c.do(204, "DELETE", "/Users/"+gone, nil)

	// The process was killed in the middle of a change: the half-written file counts for nothing.
	if err := os.WriteFile(cfg.File+".new", []byte(`[{"id":"ha`), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, cfg)
	for _, path := range []string{"/Users", "/Groups"} {
		want, got := asJSON(t, c.find(path, "")), asJSON(t, again.find(path, ""))
		if got != want {
			t.Errorf("%s after a restart: %s\nbefore: %s", path, got, want)
		}
	}
	again.user("late", "")
	if info, err := os.Stat(cfg.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}

	// Something else is in the file: it is not touched.
	if err := os.WriteFile(cfg.File, []byte("not ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Token = token
	if _, err := demoapp.New(cfg); err == nil {
		t.Error("a file of somebody else was taken")
	}
	if got, err := os.ReadFile(cfg.File); err != nil || string(got) != "not ours\n" {
		t.Errorf("the file is now %q: %v", got, err)
	}
}

// A change that cannot be written down is refused, and did not happen.
func TestFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "app")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := open(t, demoapp.Config{File: filepath.Join(dir, "app.json")})
	c.user("jo", "")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	c.do(500, "POST", "/Users", object{"userName": "al"})
	if got := c.find("/Users", ""); len(got) != 1 || got["jo"] == nil {
		t.Errorf("got %v", got)
	}
}

func TestPageShowsWhoIsIn(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"<i>Group"}, Title: "A & B"})
	id := c.do(201, "POST", "/Users", object{"userName": `<script>alert(1)</script>`, "displayName": "O'Hara", "roles": values("<b>"), "active": false})["id"].(string)
	c.patch("/Groups/"+c.find("/Groups", "")["<i>Group"]["id"].(string), "", object{"op": "add", "path": "members", "value": values(id)})
	r := httptest.NewRequest(http.MethodGet, "/", nil) // it asks for no token
	w := httptest.NewRecorder()
	c.app.ServeHTTP(w, r)
	page := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Content-Security-Policy") == "" {
		t.Error(w.Code, w.Header())
	}
	for _, bad := range []string{"<script>", "<i>Group", "<b>", token} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{"<h1>A &amp; B</h1>", "<td>O&#39;Hara</td>", "<td><div>&lt;i&gt;Group</div></td>", "&lt;b&gt;", "Accounts (1)", "disabled", "<td>1</td>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q: %s", want, page)
		}
	}
	for path, want := range map[string]int{"/scim/v3": 404, "/x": 404} {
		if got := c.send("GET", path, "").StatusCode; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

// At once, one user name is given once, and no change to a group is lost.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Groups: []string{"Engineering"}, File: filepath.Join(t.TempDir(), "app.json")})
	g := "/Groups/" + c.find("/Groups", "")["Engineering"]["id"].(string)
	var (
		wg   sync.WaitGroup
		made atomic.Int32
	)
	for i := range 64 {
		wg.Go(func() {
			resp := c.send("POST", "/scim/v2/Users", fmt.Sprintf(`{"userName":"user%d"}`, i%16))
			if resp.StatusCode == http.StatusCreated {
				made.Add(1)
				var u struct{ ID string }
				if err := json.NewDecoder(resp.Body).Decode(&u); err != nil {
					t.Error(err)
				}
				c.send("PATCH", "/scim/v2"+g, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+u.ID+`"}]}]}`)
			}
			c.send("GET", "/", "")
			c.send("GET", "/scim/v2/Groups", "")
		})
	}
	wg.Wait()
	if made.Load() != 16 {
		t.Errorf("%d accounts for 16 names", made.Load())
	}
	if got := c.do(200, "GET", g, nil)["members"].([]any); len(got) != 16 {
		t.Errorf("%d members", len(got))
	}
}

// Apps that share a server have a path each, also in what they say of a resource, and
// nothing else in common.
func TestPath(t *testing.T) {
	t.Parallel()
	crm, err := demoapp.New(demoapp.Config{Token: token, Path: "/crm", Title: "CRM", Others: []demoapp.Link{{Title: "Chat", Path: ""}, {Title: "Code", Path: "/code"}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, crm}
	resp := c.send("POST", "/crm/scim/v2/Users", `{"userName":"ada"}`)
	if at := resp.Header.Get("Location"); resp.StatusCode != http.StatusCreated || !strings.HasPrefix(at, "http://demo.test/crm/scim/v2/Users/") {
		t.Errorf("made: %s at %q", resp.Status, at)
	}
	if resp := c.send("GET", "/scim/v2/Users", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("at the root: %s", resp.Status)
	}
	page, err := io.ReadAll(c.send("GET", "/crm/", "").Body)
	if err != nil || !strings.Contains(string(page), `<a href="/">Chat</a>`) || !strings.Contains(string(page), `<a href="/code/">Code</a>`) {
		t.Errorf("page: %s %v", page, err)
	}
}

// An app with licences refuses whom it has none for, until one is free.
func TestLicences(t *testing.T) {
	t.Parallel()
	c := open(t, demoapp.Config{Licences: 1})
	ada := c.do(http.StatusCreated, "POST", "/Users", `{"userName":"ada"}`)["id"].(string)
	if no := c.do(http.StatusBadRequest, "POST", "/Users", `{"userName":"ben"}`); no["detail"] != "No licence is left: all 1 are in use." {
		t.Errorf("refused: %v", no)
	}
	// Who has one is changed as ever, and who is disabled uses none.
	change := func(status int, id, active string) {
		t.Helper()
		c.do(status, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":`+active+`}]}`)
	}
	change(http.StatusNoContent, ada, "true")
	change(http.StatusNoContent, ada, "false")
	c.do(http.StatusCreated, "POST", "/Users", `{"userName":"ben"}`)
	change(http.StatusBadRequest, ada, "true")
}
