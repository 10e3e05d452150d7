package scim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"gatehouse.dev/services/identity-sync/internal/scim"
)

const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

var cursorKey = []byte(strings.Repeat("k", 32))

// server is the handler over real HTTP.
type server struct {
	t   *testing.T
	url string
	dir *memory
}

func newServer(t *testing.T, edit ...func(*scim.Config)) *server {
	t.Helper()
	s := &server{t: t, dir: newMemory()}
	cfg := scim.Config{Directory: s.dir, CursorKey: cursorKey}
	for _, f := range edit {
		f(&cfg)
	}
	h, err := scim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	s.url = ts.URL + "/scim/v2"
	return s
}

// answer is a response that has been read.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

// do sends a request. headers come as "Name: value".
func (s *server) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer tok")
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		if v == "" {
			req.Header.Del(k)
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{t: s.t, what: method + " " + path + " " + clip(body), status: resp.StatusCode, header: resp.Header, raw: raw}
	if len(raw) > 0 {
		if got := resp.Header.Get("Content-Type"); got != "application/scim+json" {
			s.t.Errorf("%s: Content-Type is %q", a.what, got)
		}
		if err := json.Unmarshal(raw, &a.body); err != nil {
			s.t.Fatalf("%s: answer is not JSON: %v: %s", a.what, err, raw)
		}
	}
	return a
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}

// ok expects a status and returns the body.
func (a answer) ok(status int) map[string]any {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.status, status, clip(string(a.raw)))
	}
	return a.body
}

// refused expects a SCIM error.
func (a answer) refused(status int, scimType string) {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.status, status, clip(string(a.raw)))
	}
	got, _ := a.body["scimType"].(string)
	if got != scimType {
		a.t.Errorf("%s: scimType %q, want %q: %s", a.what, got, scimType, a.raw)
	}
	if a.body["status"] != fmt.Sprint(status) {
		a.t.Errorf("%s: the body says status %v", a.what, a.body["status"])
	}
	if at(a.body, "schemas.0") != "urn:ietf:params:scim:api:messages:2.0:Error" {
		a.t.Errorf("%s: the body is no SCIM error: %s", a.what, a.raw)
	}
	if d, _ := a.body["detail"].(string); d == "" {
		a.t.Errorf("%s: the error has no detail", a.what)
	}
}

// at walks into JSON: "emails.0.value". Keys with dots come as further steps.
func at(v any, path string, more ...string) any {
	var steps []string
	if path != "" {
		steps = strings.Split(path, ".")
	}
	for _, step := range append(steps, more...) {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := -1
			_, _ = fmt.Sscan(step, &i)
			if i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// is compares a part of JSON with a value written as JSON.
func is(t *testing.T, what string, got any, want string) {
	t.Helper()
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: bad expectation %s: %v", what, want, err)
	}
	g, _ := json.Marshal(got)
	e, _ := json.Marshal(w)
	if !bytes.Equal(g, e) {
		t.Errorf("%s is %s, want %s", what, g, e)
	}
}

// user creates a user and returns it. extra is added to the JSON.
func (s *server) user(name string, extra ...string) map[string]any {
	s.t.Helper()
	body := fmt.Sprintf(`{"schemas":[%q],"userName":%q`, userURN, name)
	for _, e := range extra {
		body += "," + e
	}
	return s.do("POST", "/Users", body+"}").ok(http.StatusCreated)
}

// group creates a group and returns its id.
func (s *server) group(name string, members ...string) string {
	s.t.Helper()
	list := []map[string]string{}
	for _, m := range members {
		list = append(list, map[string]string{"value": m})
	}
	b, _ := json.Marshal(map[string]any{"schemas": []string{groupURN}, "displayName": name, "members": list})
	return id(s.do("POST", "/Groups", string(b)).ok(http.StatusCreated))
}

func id(resource map[string]any) string { s, _ := resource["id"].(string); return s }

func ops(list ...string) string {
	return fmt.Sprintf(`{"schemas":[%q],"Operations":[%s]}`, patchURN, strings.Join(list, ","))
}

// patchUser patches and returns the answer.
func (s *server) patchUser(id string, list ...string) answer {
	s.t.Helper()
	return s.do("PATCH", "/Users/"+id, ops(list...))
}

func (s *server) patchGroup(id string, list ...string) answer {
	s.t.Helper()
	return s.do("PATCH", "/Groups/"+id, ops(list...))
}

// names are the userNames or displayNames of a list.
func names(list map[string]any) []string {
	out := []string{}
	resources, _ := list["Resources"].([]any)
	for _, r := range resources {
		m, _ := r.(map[string]any)
		n, ok := m["userName"].(string)
		if !ok {
			n, _ = m["displayName"].(string)
		}
		out = append(out, n)
	}
	return out
}

// members are the ids in a group, in the order of the answer.
func (s *server) members(group string) []string {
	s.t.Helper()
	out := []string{}
	list, _ := s.do("GET", "/Groups/"+group, "").ok(http.StatusOK)["members"].([]any)
	for _, e := range list {
		v, _ := at(e, "value").(string)
		out = append(out, v)
	}
	return out
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}
