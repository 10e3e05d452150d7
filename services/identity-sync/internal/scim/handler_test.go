package scim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	tests := []struct {
		name, header, want string
	}{
		{"none", "Authorization: ", `Bearer realm="scim"`},
		{"another scheme", "Authorization: Basic dG9rOg==", `Bearer realm="scim"`},
		{"empty token", "Authorization: Bearer  ", `Bearer realm="scim"`},
		{"unknown token", "Authorization: Bearer nope", `Bearer realm="scim", error="invalid_token"`},
		{"endless token", "Authorization: Bearer " + strings.Repeat("x", 5000), `Bearer realm="scim", error="invalid_token"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/Users", "/Users/x", "/ServiceProviderConfig", "/nowhere"} {
				a := s.do("GET", path, "", test.header)
				a.refused(http.StatusUnauthorized, "")
				if got := a.header.Get("WWW-Authenticate"); got != test.want {
					t.Errorf("%s: WWW-Authenticate is %q, want %q", path, got, test.want)
				}
			}
		})
	}
	s.do("GET", "/Users", "", "Authorization: bearer tok").ok(http.StatusOK)
}

func TestSourcesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.user("ada")
	g := s.group("crew", id(u))
	const other = "Authorization: Bearer other"

	s.do("GET", "/Users/"+id(u), "", other).refused(http.StatusNotFound, "")
	s.do("PATCH", "/Users/"+id(u), ops(`{"op":"replace","path":"active","value":false}`), other).refused(http.StatusNotFound, "")
	s.do("DELETE", "/Users/"+id(u), "", other).refused(http.StatusNotFound, "")
	s.do("GET", "/Groups/"+g, "", other).refused(http.StatusNotFound, "")
	is(t, "total", s.do("GET", "/Users", "", other).ok(http.StatusOK)["totalResults"], `0`)
	is(t, "total", s.do("GET", query("filter", `userName eq "ada"`), "", other).ok(http.StatusOK)["totalResults"], `0`)
	// The same name is free for them.
	s.do("POST", "/Users", `{"schemas":["`+userURN+`"],"userName":"ada"}`, other).ok(http.StatusCreated)
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	body := func(n int) string { return fmt.Sprintf(`{"schemas":[%q],"userName":"u%d"}`, userURN, n) }
	for i, accepted := range []string{"application/scim+json", "application/json", "application/json; charset=utf-8", "Application/SCIM+JSON;charset=UTF-8", ""} {
		a := s.do("POST", "/Users", body(i), "Content-Type: "+accepted, "Accept: application/json")
		a.ok(http.StatusCreated) // do checks the Content-Type of the answer
	}
	for _, refused := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", ";"} {
		s.do("POST", "/Users", body(9), "Content-Type: "+refused).refused(http.StatusUnsupportedMediaType, "")
	}
	s.do("POST", "/Users", body(9), "Content-Encoding: gzip").refused(http.StatusUnsupportedMediaType, "")
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := id(s.user("ada"))
	tests := []struct {
		name, body, want string
	}{
		{"empty", " ", "invalidSyntax"},
		{"cut off", `{"schemas":["` + userURN + `"],"userName":`, "invalidSyntax"},
		{"not JSON", `userName=ada`, "invalidSyntax"},
		{"array", `[]`, "invalidSyntax"},
		{"string", `"ada"`, "invalidSyntax"},
		{"null", `null`, "invalidSyntax"},
		{"more after the end", `{} {}`, "invalidSyntax"},
		{"name twice", `{"schemas":["` + userURN + `"],"userName":"a","userName":"b"}`, "invalidSyntax"},
		{"name twice in other case", `{"schemas":["` + userURN + `"],"userName":"a","USERNAME":"b"}`, "invalidSyntax"},
		{"name twice in core schema", `{"schemas":["` + userURN + `"],"userName":"a","` + userURN + `":{"userName":"b"}}`, "invalidSyntax"},
		{"too deep", strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), "invalidSyntax"},
		{"trailing comma", `{"schemas":["` + userURN + `"],}`, "invalidSyntax"},
		{"huge number", `{"schemas":["` + userURN + `"],"userName":"a","x":1e999}`, "invalidValue"},
		{"tiny number", `{"schemas":["` + userURN + `"],"userName":"a","x":0.1e-999}`, "invalidValue"},
		{"a name that reads backwards", `{"schemas":["` + userURN + `"],"userName":"a","name":{"familyName":"Ada \u202eecalevoL"}}`, "invalidValue"},
		{"NUL", `{"schemas":["` + userURN + `"],"userName":"a\u0000b"}`, "invalidValue"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s.do("POST", "/Users", test.body).refused(http.StatusBadRequest, test.want)
			s.do("PUT", "/Users/"+u, test.body).refused(http.StatusBadRequest, test.want)
			if test.want == "invalidValue" || strings.HasPrefix(test.name, "name twice in core") {
				return
			}
			s.do("PATCH", "/Users/"+u, test.body).refused(http.StatusBadRequest, test.want)
			s.do("POST", "/Groups", test.body).refused(http.StatusBadRequest, test.want)
			s.do("POST", "/Users/.search", test.body).refused(http.StatusBadRequest, test.want)
		})
	}
}

func TestOversizedBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *scim.Config) { c.MaxUserBytes, c.MaxGroupBytes = 2000, 4000 })
	u, g := id(s.user("ada")), s.group("crew")
	pad := func(n int) string { return `"urn:x:1:X":"` + strings.Repeat("x", n) + `"}` }
	s.do("POST", "/Users", `{"schemas":["`+userURN+`"],"userName":"b",`+pad(3000)).refused(http.StatusRequestEntityTooLarge, "")
	s.do("PUT", "/Users/"+u, `{"schemas":["`+userURN+`"],"userName":"b",`+pad(3000)).refused(http.StatusRequestEntityTooLarge, "")
	s.do("PATCH", "/Users/"+u, `{`+pad(3000)).refused(http.StatusRequestEntityTooLarge, "")
	s.do("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"b",`+pad(3000)).ok(http.StatusCreated)
	s.do("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"b",`+pad(5000)).refused(http.StatusRequestEntityTooLarge, "")
	s.do("PATCH", "/Groups/"+g, `{`+pad(5000)).refused(http.StatusRequestEntityTooLarge, "")
	s.do("POST", "/.search", `{`+pad(70000)).refused(http.StatusRequestEntityTooLarge, "")
}

func TestEndpointsAndMethods(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u, g := id(s.user("ada")), s.group("crew")
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nowhere", 404, ""},
		{"POST", "/nowhere", 404, ""},
		{"GET", "/Users/" + u + "/more", 404, ""},
		{"GET", "/users", 404, ""},
		{"GET", "/Users/unknown", 404, ""},
		{"PUT", "/Groups/unknown", 404, ""},
		{"GET", "/Users/%00", 404, ""},
		{"GET", "/Users/%ff", 404, ""},
		{"GET", "/ServiceProviderConfig/x", 404, ""},
		{"GET", "/Schemas/urn:none", 404, ""},
		{"GET", "/ResourceTypes/Thing", 404, ""},
		{"PUT", "/Users", 405, "GET, POST"},
		{"PATCH", "/Users", 405, "GET, POST"},
		{"DELETE", "/Groups", 405, "GET, POST"},
		{"POST", "/Users/" + u, 405, "DELETE, GET, PATCH, PUT"},
		{"POST", "/Groups/" + g, 405, "DELETE, GET, PATCH, PUT"},
		{"GET", "/Users/.search", 405, "POST"},
		{"GET", "/.search", 405, "POST"},
		{"DELETE", "/.search", 405, "POST"},
		{"POST", "/", 405, "GET"},
		{"GET", "/Me", 501, ""},
		{"PATCH", "/Me", 501, ""},
		{"POST", "/Bulk", 501, ""},
		{"GET", "/Bulk", 501, ""},
	}
	for _, e := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Schemas/" + userURN, "/ResourceTypes/User"} {
		for _, m := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			tests = append(tests, struct {
				method, path string
				status       int
				allow        string
			}{m, e, 405, "GET"})
		}
	}
	for _, test := range tests {
		t.Run(test.method+test.path, func(t *testing.T) {
			body := ""
			if test.method == "PUT" && strings.HasPrefix(test.path, "/Groups/") {
				body = `{"schemas":["` + groupURN + `"],"displayName":"x"}`
			}
			a := s.do(test.method, test.path, body)
			a.refused(test.status, "")
			if got := a.header.Get("Allow"); got != test.allow {
				t.Errorf("Allow is %q, want %q", got, test.allow)
			}
		})
	}
	if a := s.do("HEAD", "/Users/"+u, ""); a.status != 200 || a.header.Get("ETag") != `W/"1"` {
		t.Errorf("HEAD: %d %v", a.status, a.header)
	}
	s.do("GET", "/Users/", "").ok(http.StatusOK)
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := newServer(t)

	cfg := s.do("GET", "/ServiceProviderConfig", "").ok(http.StatusOK)
	is(t, "schemas", cfg["schemas"], `["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"]`)
	for feature, want := range map[string]string{"patch": "true", "bulk": "false", "filter": "true", "changePassword": "false", "sort": "false", "etag": "true"} {
		is(t, feature, at(cfg, feature+".supported"), want)
	}
	is(t, "maxResults", at(cfg, "filter.maxResults"), `1000`)
	is(t, "scheme", at(cfg, "authenticationSchemes.0.type"), `"oauthbearertoken"`)
	is(t, "location", at(cfg, "meta.location"), `"`+s.url+`/ServiceProviderConfig"`)

	types := s.do("GET", "/ResourceTypes", "").ok(http.StatusOK)
	is(t, "schemas", types["schemas"], `["urn:ietf:params:scim:api:messages:2.0:ListResponse"]`)
	is(t, "total", types["totalResults"], `2`)
	is(t, "extension", at(types, "Resources.0.schemaExtensions"), `[{"schema":"`+enterpriseURN+`","required":false}]`)
	is(t, "endpoint", s.do("GET", "/ResourceTypes/Group", "").ok(http.StatusOK)["endpoint"], `"/Groups"`)

	schemas := s.do("GET", "/Schemas", "").ok(http.StatusOK)
	is(t, "total", schemas["totalResults"], `3`)
	for _, urn := range []string{userURN, groupURN, enterpriseURN} {
		sch := s.do("GET", "/Schemas/"+urn, "").ok(http.StatusOK)
		is(t, "id", sch["id"], `"`+urn+`"`)
		is(t, "location", at(sch, "meta.location"), `"`+s.url+`/Schemas/`+urn+`"`)
		attributes, _ := sch["attributes"].([]any)
		checkDefinitions(t, urn, attributes)
	}

	s.do("GET", "/Schemas"+query("filter", `id eq "x"`), "").refused(http.StatusForbidden, "")
	s.do("GET", "/ResourceTypes"+query("filter", `id eq "x"`), "").refused(http.StatusForbidden, "")
}

// What /Schemas announces is taken, each attribute and sub-attribute of it, and read
// back.
func TestWhatIsAnnouncedIsTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	member := id(s.user("member"))
	for _, test := range []struct{ endpoint, core, extension string }{
		{"/Users", userURN, enterpriseURN}, {"/Groups", groupURN, ""},
	} {
		sent := s.sample(test.core, member)
		if test.extension != "" {
			sent[test.extension] = s.sample(test.extension, member)
		}
		sent["schemas"], sent["externalId"] = []any{test.core}, "x1"
		body, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		read := s.do("GET", test.endpoint+"/"+id(s.do("POST", test.endpoint, string(body)).ok(http.StatusCreated)), "").ok(http.StatusOK)
		delete(sent, "schemas")
		for name, want := range sent {
			if name == "members" {
				is(t, name, at(read, "members.0.value"), fmt.Sprintf("%q", member))
				continue
			}
			if d := cmp.Diff(want, read[name]); d != "" {
				t.Errorf("%s of %s (-sent +read):\n%s", name, test.endpoint, d)
			}
		}
	}
}

// sample has a value for each attribute of a schema that is not read-only.
func (s *server) sample(urn, member string) map[string]any {
	s.t.Helper()
	list, _ := s.do("GET", "/Schemas/"+urn, "").ok(http.StatusOK)["attributes"].([]any)
	return sampleOf(list, member)
}

func sampleOf(list []any, member string) map[string]any {
	out := map[string]any{}
	for _, e := range list {
		a, _ := e.(map[string]any)
		name, _ := a["name"].(string)
		if a["mutability"] == "readOnly" {
			continue
		}
		var v any
		switch a["type"] {
		case "complex":
			subs, _ := a["subAttributes"].([]any)
			v = sampleOf(subs, member)
		case "boolean":
			v = true
		default:
			v = "a " + name
			if a["canonicalValues"] != nil {
				v = a["canonicalValues"].([]any)[0]
			}
			if name == "value" {
				v = member
			}
		}
		if a["multiValued"] == true {
			v = []any{v}
		}
		out[name] = v
	}
	return out
}

// checkDefinitions holds attribute definitions against RFC 7643, section 7.
func checkDefinitions(t *testing.T, where string, list []any) {
	t.Helper()
	if len(list) == 0 {
		t.Errorf("%s has no attributes", where)
	}
	for _, e := range list {
		m, _ := e.(map[string]any)
		name := where + "." + fmt.Sprint(m["name"])
		for _, key := range []string{"name", "type", "multiValued", "description", "required", "mutability", "returned"} {
			if m[key] == nil || m[key] == "" {
				t.Errorf("%s has no %s", name, key)
			}
		}
		if m["name"] == "password" {
			t.Errorf("%s is published", name)
		}
		if m["type"] == "string" && m["caseExact"] == nil {
			t.Errorf("%s does not say caseExact", name)
		}
		if m["type"] == "reference" && m["referenceTypes"] == nil {
			t.Errorf("%s does not say referenceTypes", name)
		}
		if m["type"] == "complex" {
			subs, _ := m["subAttributes"].([]any)
			checkDefinitions(t, name, subs)
		}
	}
}

func TestLocations(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, base, want string
		headers          []string
	}{
		{"configured", "https://gatehouse.example/people/scim/", "https://gatehouse.example/people/scim", []string{"X-Forwarded-Host: evil.example"}},
		{"host", "", "", nil},
		{"forwarded", "", "https://gatehouse.example/scim/v2", []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: gatehouse.example"}},
		{"forwarded nonsense", "", "", []string{"X-Forwarded-Proto: gopher", "X-Forwarded-Host: a/b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(c *scim.Config) { c.BaseURL = test.base })
			u := id(s.user("ada"))
			want := test.want
			if want == "" {
				want = s.url
			}
			a := s.do("GET", "/Users/"+u, "", test.headers...)
			is(t, "location", at(a.ok(http.StatusOK), "meta.location"), `"`+want+"/Users/"+u+`"`)
			if got := a.header.Get("Location"); got != want+"/Users/"+u {
				t.Errorf("Location is %q", got)
			}
		})
	}
	if _, err := scim.New(scim.Config{CursorKey: cursorKey, Directory: newMemory(), BaseURL: "/scim"}); err == nil {
		t.Error("a relative base URL was taken")
	}
	if _, err := scim.New(scim.Config{CursorKey: cursorKey}); err == nil {
		t.Error("no directory was taken")
	}
}

func TestFaultsOfTheDirectory(t *testing.T) {
	t.Parallel()
	secret := errors.New(`pq: relation "users" of host db-7.internal`)
	tests := []struct {
		name       string
		err        error
		status     int
		scimType   string
		retryAfter string
		logged     bool
	}{
		{"unknown", secret, 500, "", "", true},
		{"unavailable", apierr.Unavailable("DATABASE_UNAVAILABLE", secret), 503, "", "1", true},
		{"invalid", apierr.InvalidField("x", "X", "x is wrong").Wrap(secret), 400, "invalidValue", "", false},
		{"exists", apierr.Exists("X", "x exists").Wrap(secret), 409, "uniqueness", "", false},
		{"precondition", apierr.Precondition("LAST_ADMIN", "the last admin stays").Wrap(secret), 409, "", "", false},
		{"denied", apierr.Denied("X", "no").Wrap(secret), 403, "", "", false},
		{"slow down", apierr.New(8, "X", "slow down").WithRetry(1500 * time.Millisecond), 429, "", "2", false},
		{"internal with a text", apierr.New(13, "X", "db-7.internal is broken"), 500, "", "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := &syncBuffer{}
			s := newServer(t, func(c *scim.Config) { c.Log = slog.New(slog.NewTextHandler(logs, nil)) })
			u, g := id(s.user("ada")), s.group("crew")
			s.dir.fault = func(method string) error {
				if method == "Authenticate" {
					return nil
				}
				return fmt.Errorf("store: %w", test.err)
			}
			for _, c := range []struct{ method, path, body string }{
				{"POST", "/Users", `{"schemas":["` + userURN + `"],"userName":"b"}`},
				{"GET", "/Users/" + u, ""},
				{"GET", "/Users", ""},
				{"PUT", "/Users/" + u, `{"schemas":["` + userURN + `"],"userName":"b"}`},
				{"PATCH", "/Users/" + u, ops(`{"op":"replace","path":"active","value":false}`)},
				{"DELETE", "/Users/" + u, ""},
				{"POST", "/Groups", `{"schemas":["` + groupURN + `"],"displayName":"b"}`},
				{"GET", "/Groups/" + g, ""},
				{"GET", "/Groups", ""},
				{"PATCH", "/Groups/" + g, ops(`{"op":"replace","path":"displayName","value":"b"}`)},
				{"DELETE", "/Groups/" + g, ""},
				{"GET", "/", ""},
			} {
				a := s.do(c.method, c.path, c.body)
				a.refused(test.status, test.scimType)
				if strings.Contains(string(a.raw), "internal/") || strings.Contains(string(a.raw), "db-7") || strings.Contains(string(a.raw), "store:") {
					t.Errorf("%s: internals leak: %s", a.what, a.raw)
				}
				if got := a.header.Get("Retry-After"); got != test.retryAfter {
					t.Errorf("%s: Retry-After is %q, want %q", a.what, got, test.retryAfter)
				}
				if a.header.Get("ETag") != "" || a.header.Get("Location") != "" {
					t.Errorf("%s: an error has an ETag or a Location", a.what)
				}
			}
			if got := strings.Contains(logs.String(), "level=ERROR") || strings.Contains(logs.String(), "level=WARN"); got != test.logged {
				t.Errorf("logged: %v, want %v: %s", got, test.logged, logs)
			}
		})
	}
}

func TestPanicIsA500(t *testing.T) {
	t.Parallel()
	logs := &syncBuffer{}
	s := newServer(t, func(c *scim.Config) { c.Log = slog.New(slog.NewTextHandler(logs, nil)) })
	s.dir.fault = func(method string) error {
		if method == "GetUser" {
			defer s.dir.mu.Unlock()
			panic("the secret of db-7")
		}
		return nil
	}
	a := s.do("GET", "/Users/x", "")
	a.refused(http.StatusInternalServerError, "")
	if strings.Contains(string(a.raw), "db-7") {
		t.Errorf("the panic leaks: %s", a.raw)
	}
	if !strings.Contains(logs.String(), "db-7") || !strings.Contains(logs.String(), "memory_test.go") {
		t.Errorf("the log does not have the panic and where it was: %s", logs)
	}
	s.dir.fault = nil
	s.do("GET", "/Users", "").ok(http.StatusOK)
}

// syncBuffer is a buffer for logs of several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := s.user("ada")
	g := s.group("crew")
	const n = 24
	ids := make([]string, n)
	for i := range ids {
		ids[i] = id(s.user(fmt.Sprintf("u%d", i)))
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			s.patchGroup(g, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, ids[i]))
			s.patchUser(id(u), fmt.Sprintf(`{"op":"add","path":"emails","value":[{"value":"a%d@example.com","type":"work"}]}`, i))
		})
	}
	wg.Wait()
	if got := len(s.members(g)); got != n {
		t.Errorf("%d members, want %d", got, n)
	}
	list, _ := s.do("GET", "/Users/"+id(u), "").ok(http.StatusOK)["emails"].([]any)
	if len(list) != n {
		t.Errorf("%d addresses, want %d", len(list), n)
	}
}
