package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse.dev/services/identity-sync/internal/scim"
)

// direct calls the handler without a network, for tests that make many calls.
type direct struct{ h http.Handler }

func newDirect(t interface{ Fatal(...any) }) direct {
	h, err := scim.New(scim.Config{CursorKey: cursorKey, Directory: newMemory()})
	if err != nil {
		t.Fatal(err)
	}
	return direct{h}
}

func (d direct) do(method, path, body string) (int, []byte) {
	req := httptest.NewRequest(method, "/scim/v2"+path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer tok")
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, req)
	return w.Code, w.Body.Bytes()
}

func (d direct) create(t interface{ Fatal(...any) }, path, body string) string {
	code, raw := d.do("POST", path, body)
	var v struct{ ID string }
	if err := json.Unmarshal(raw, &v); err != nil || code != http.StatusCreated {
		t.Fatal(code, string(raw))
	}
	return v.ID
}

// checkPatch sends a PATCH twice and holds what must be true of every PATCH.
func checkPatch(t interface {
	Fatalf(string, ...any)
	Fatal(...any)
}, body string,
) {
	d := newDirect(t)
	u := "/Users/" + d.create(t, "/Users", `{"schemas":["`+userURN+`"],"userName":"ada",`+base+`}`)
	_, before := d.do("GET", u, "")
	code, answer := d.do("PATCH", u, body)
	_, after := d.do("GET", u, "")
	switch {
	case code == http.StatusBadRequest:
		if string(after) != string(before) {
			t.Fatalf("refused, but changed: %s\n%s", body, after)
		}
		return
	case code != http.StatusOK:
		t.Fatalf("status %d: %s\n%s", code, body, answer)
	case string(after) != string(answer):
		t.Fatalf("answered\n%s\nand reads\n%s", answer, after)
	}
	checkUser(t, after)
	// What is read can be put back, and is no change.
	if code, put := d.do("PUT", u, string(after)); code != http.StatusOK || string(put) != string(after) {
		t.Fatalf("after %s\nPUT of\n%s\nis %d\n%s", body, after, code, put)
	}
	if !repeatable(body) {
		return
	}
	if code, again := d.do("PATCH", u, body); code != http.StatusOK || string(again) != string(after) {
		t.Fatalf("sent again: %s\nis %d\n%s\nwant\n%s", body, code, again, after)
	}
}

// checkUser holds what must be true of every user.
func checkUser(t interface{ Fatalf(string, ...any) }, raw []byte) {
	var u map[string]any
	if err := json.Unmarshal(raw, &u); err != nil {
		t.Fatalf("no JSON: %v: %s", err, raw)
	}
	if n, _ := u["userName"].(string); n == "" {
		t.Fatalf("no userName: %s", raw)
	}
	if _, ok := u["password"]; ok {
		t.Fatalf("a password: %s", raw)
	}
	if a, ok := u["active"]; ok {
		if _, ok := a.(bool); !ok {
			t.Fatalf("active is %v: %s", a, raw)
		}
	}
	for _, name := range []string{"emails", "phoneNumbers", "roles", "addresses"} {
		list, ok := u[name].([]any)
		if u[name] != nil && (!ok || len(list) == 0) {
			t.Fatalf("%s is %v: %s", name, u[name], raw)
		}
		primary, seen := 0, map[string]bool{}
		for _, e := range list {
			m, _ := e.(map[string]any)
			if m["primary"] == true {
				primary++
			}
			if v, ok := m["value"]; ok {
				key := strings.ToLower(fmt.Sprint(m["type"], " ", v))
				if seen[key] {
					t.Fatalf("%s has %s twice: %s", name, key, raw)
				}
				seen[key] = true
			}
		}
		if primary > 1 {
			t.Fatalf("%s has %d primary values: %s", name, primary, raw)
		}
	}
}

var (
	patchPaths = []string{
		"", "userName", "USERNAME", "externalId", "displayName", "title", "active", "name", "name.givenName", "name.x", "name.value",
		"emails", "emails.value", "emails.primary", "emails.type", `emails[type eq "work"]`, `emails[type eq "work"].value`, `emails[type eq "other"].value`,
		`emails[primary eq true].value`, `emails[value eq "h@x"].primary`, `emails[type eq "mars"].value`, `emails[not (type eq "work")]`, `emails[type eq "work"].$ref`,
		`phoneNumbers[type eq "mobile"].value`, `roles[primary eq "True"].value`, `addresses[type eq "work"].country`, "addresses", "photos", "roles",
		"password", "groups", "id", "meta", "schemas", "shoeSize", userURN, userURN + ":title", enterpriseURN,
		enterpriseURN + ":department", enterpriseURN + ":manager", enterpriseURN + ":manager.value", enterpriseURN + ":manager.$ref",
		"urn:example:1.0:User", "urn:example:1.0:User:cats", "urn:example:1.0:User:tags", "urn:example:1.0:User:a.b", `urn:example:1.0:User:tags[a eq 1]`,
		"urn:new:1:X", "urn:new:1:X:y", "urn:new", "urn:new:y", "urn:new:1", "urn:new:1:X.y", "a.b.c",
		"urn:ietf:params:scim:schemas:extension:new", "urn:ietf:params:scim:schemas:extension:new:y", "urn:ietf:params:scim:schemas:extension:new:enterprise",
		"urn:ietf:params:scim:schemas:extension:new:2.0:User", "urn:ietf:params:scim:schemas:extension:new:2.0:User:y", "[", "emails[", "",
	}
	patchScalars = []string{
		`null`, `true`, `false`, `"True"`, `""`, `"x"`, `"h@x"`, `"work"`, `1`, `1.50`, `[]`, `{}`, `"m2"`, `["a","b"]`, `[{"value":"a"},{"value":"b"}]`,
		`{"value":"h@x","type":"home"}`, `[{"value":"h@x","type":"home","primary":true}]`, `[{"value":"A@x","type":"work"},{"value":"a@X","type":"work","primary":"true"}]`,
		`[{"value":"a","primary":true},{"value":"b","primary":true}]`, `{"givenName":"A","familyName":null}`, `{"value":""}`, `{"value":["x"]}`, `[null]`, `{"value":{"value":"x"}}`,
		`{"value":"m2","$ref":"../Users/m2"}`, `{"type":"work"}`, `[{"type":"work"}]`, `{"primary":true}`, `{"country":"GB","type":"work"}`, `[[1]]`,
	}
)

func TestPatchProperties(t *testing.T) {
	t.Parallel()
	value := rapid.Custom(func(t *rapid.T) string {
		v := rapid.SampledFrom(patchScalars).Draw(t, "value")
		if !rapid.Bool().Draw(t, "object") {
			return v
		}
		parts := map[string]json.RawMessage{}
		for range rapid.IntRange(1, 3).Draw(t, "size") {
			parts[rapid.SampledFrom(patchPaths).Draw(t, "key")] = json.RawMessage(rapid.SampledFrom(patchScalars).Draw(t, "part"))
		}
		b, _ := json.Marshal(parts)
		return string(b)
	})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "operations")
		var list []string
		for range n {
			op := rapid.SampledFrom([]string{"add", "replace", "Replace", "remove"}).Draw(t, "op")
			path := rapid.SampledFrom(patchPaths).Draw(t, "path")
			parts := map[string]any{"op": op}
			if path != "" {
				parts["path"] = path
			}
			if op != "remove" || rapid.IntRange(0, 3).Draw(t, "with value") == 0 {
				parts["value"] = json.RawMessage(value.Draw(t, "value"))
			}
			b, _ := json.Marshal(parts)
			list = append(list, string(b))
		}
		checkPatch(t, ops(list...))
	})
}

// Every path with every value, as one operation: what a random choice would find now and
// then is found each time.
func TestPatchEveryPath(t *testing.T) {
	t.Parallel()
	for _, path := range patchPaths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			at, _ := json.Marshal(path)
			for _, value := range patchScalars {
				for _, op := range []string{"add", "replace", "remove"} {
					checkPatch(t, ops(fmt.Sprintf(`{"op":%q,"path":%s,"value":%s}`, op, at, value)))
				}
				checkPatch(t, ops(fmt.Sprintf(`{"op":"replace","value":{%s:%s}}`, at, value)))
			}
		})
	}
}

func FuzzPatch(f *testing.F) {
	for i, p := range patchPaths {
		path, _ := json.Marshal(p)
		op := []string{"add", "replace", "remove"}[i%3]
		f.Add(ops(fmt.Sprintf(`{"op":%q,"path":%s,"value":%s}`, op, path, patchScalars[i%len(patchScalars)])))
		f.Add(ops(fmt.Sprintf(`{"op":"replace","value":{%s:%s}}`, path, patchScalars[i*7%len(patchScalars)])))
	}
	f.Add(`{"Operations":[{"op":"add","path":"emails[type eq \"work\" and (value co \"a\" or not (primary pr))].value","value":"x"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		checkPatch(t, body)
	})
}

// repeatable reports whether a PATCH is sure to do the same when it is sent
// again: one replace, and no filter that may choose otherwise then.
func repeatable(body string) bool {
	var p struct {
		Operations []struct {
			Op, Path string
			Value    json.RawMessage
		}
	}
	if json.Unmarshal([]byte(body), &p) != nil || len(p.Operations) != 1 {
		return false
	}
	o := p.Operations[0]
	return strings.EqualFold(o.Op, "replace") && !strings.Contains(o.Path, "[") && !strings.ContainsAny(string(o.Value), `[\`)
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`userName eq "a"`, `not (emails[type eq "work" and value co "x"].value pr) or active eq true`, `meta.created gt "2020-01-01T00:00:00Z"`,
		enterpriseURN + `:manager.value ne null`, `urn:x:1:y:z le -1.5e3`, `((a pr))`, `emails[not (type pr)] and `, `"`, `userName eq "\u00`,
	} {
		f.Add(s)
	}
	d := newDirect(f)
	d.create(f, "/Users", `{"schemas":["`+userURN+`"],"userName":"ada",`+base+`}`)
	f.Fuzz(func(t *testing.T, filter string) {
		body, err := json.Marshal(map[string]string{"filter": filter})
		if err != nil {
			return
		}
		for _, path := range []string{"/Users/.search", "/Groups/.search", "/.search"} {
			code, raw := d.do("POST", path, string(body))
			switch code {
			case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			default:
				t.Fatalf("%s: %d %s", filter, code, raw)
			}
		}
	})
}
