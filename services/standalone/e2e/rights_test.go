package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse.dev/libs/authz"
)

// readings are reads of each service that an admin may do.
var readings = []string{"/v1/sources", "/v1/requests", "/v1/flows", "/v1/grants", "/v1/auditEntries"}

// TestRights: what somebody may do in Gatehouse changes for what they are signed
// in with already, at every service and at once: nobody signs in again for a role
// that was given, and nobody goes on with one that was taken.
//
// B-USR-19, B-USR-11.
func TestRights(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	gh := startStandalone(t)
	w := newWorld(t, gh, startScimTarget(t))
	mia := w.scimUser(t, "mia", "Mia Manager", "")
	session := w.as(t, "mia")
	code := func(who api, path string) int {
		t.Helper()
		r, err := who.do(t.Context(), "GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Code
	}
	// Events take some milliseconds to the services.
	answers := func(who api, want int, paths ...string) {
		t.Helper()
		for _, path := range paths {
			until(t, path, func() int { return code(who, path) }, func(code int) bool { return code == want })
		}
	}
	role := func(who api, role string) reply {
		t.Helper()
		r, err := who.do(t.Context(), "POST", "/v1/users/"+str(mia, "id")+":setRole", object{"role": role})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	apiToken := object{"name": "script", "expireTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}

	t.Log("a role that was given works with the session that is there")
	if got := code(session, "/v1/sources"); got != http.StatusForbidden {
		t.Fatalf("a member lists sources: %d", got)
	}
	if r := role(w.admin, "ROLE_ADMIN"); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Raw)
	}
	answers(session, http.StatusOK, readings...)
	token := str(session.must(t, "POST", "/v1/apiTokens", apiToken), "token")
	program := api{base: session.base, token: token}
	answers(program, http.StatusOK, readings...)

	t.Log("a token makes no token")
	if r, err := program.do(t.Context(), "POST", "/v1/apiTokens", apiToken); err != nil || r.Code != http.StatusForbidden {
		t.Errorf("%v %d %s", err, r.Code, r.Raw)
	}

	t.Log("a role that was taken does not win itself back")
	if r := role(w.admin, "ROLE_MEMBER"); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Raw)
	}
	for _, who := range []api{session, program} {
		if r := role(who, "ROLE_ADMIN"); r.Code != http.StatusForbidden {
			t.Errorf("promoted herself: %d %s", r.Code, r.Raw)
		}
		if got := code(who, "/v1/sources"); got != http.StatusForbidden {
			t.Errorf("goes on listing sources: %d", got)
		}
	}

	t.Log("what is ended is out, what is not goes on")
	other := w.as(t, "mia")
	sessions := list(session.must(t, "GET", "/v1/sessions", nil), "sessions")
	if len(sessions) != 2 || !strings.Contains(str(sessions[0], "userAgent"), "Go-http-client") || get(sessions[1], "current") != true {
		t.Fatalf("sessions: %s", brief(sessions))
	}
	w.admin.must(t, "POST", "/v1/sessions/"+str(sessions[0], "id")+":end", object{})
	answers(other, http.StatusUnauthorized, "/v1/me", "/v1/requests")
	session.must(t, "GET", "/v1/me", nil)
	session.must(t, "POST", "/v1/sessions:signOut", object{})
	if got := code(session, "/v1/me"); got != http.StatusUnauthorized {
		t.Errorf("signed out: %d", got)
	}
	program.must(t, "GET", "/v1/me", nil)

	t.Log("somebody who leaves is out by every way")
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(mia, "id"), nil)
	if got := code(program, "/v1/me"); got != http.StatusUnauthorized {
		t.Errorf("removed: %d", got)
	}
}

// TestScopes calls every operation of the API with two tokens of an admin, of which one
// has the operation's scope and no other, and one has all others. B-USR-07.
func TestScopes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	gh := startStandalone(t)
	w := newWorld(t, gh, nil)
	token := func(who api, scopes ...string) (program api, id string) {
		t.Helper()
		r := who.must(t, "POST", "/v1/apiTokens", object{
			"name": "narrow", "expireTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "scopes": scopes,
		})
		return api{base: gh.base, token: str(r, "token")}, str(r, "apiToken", "id")
	}
	only, others := map[string]api{}, map[string]api{}
	for _, scope := range authz.Scopes() {
		only[scope], _ = token(w.admin, scope)
		area, _ := strings.CutSuffix(scope, ":read")
		others[scope], _ = token(w.admin, slices.DeleteFunc(authz.Scopes(), func(s string) bool { return s == scope || s == area+":write" })...)
	}
	operations, _ := document(t)
	seen := map[string]bool{}
	for _, o := range operations {
		if slices.Contains(o.callers, "public") {
			continue
		}
		call := func(who api) (refused bool, r reply) {
			t.Helper()
			r, err := who.do(t.Context(), o.method, (*tenant)(nil).at(o.path), object{})
			if err != nil {
				t.Fatal(err)
			}
			return r.Code == http.StatusForbidden && strings.Contains(string(r.Raw), "SCOPE_MISSING"), r
		}
		if o.path == "/v1/me" {
			for scope, who := range only {
				if _, r := call(who); r.Code != http.StatusOK {
					t.Errorf("with %s: %s %s: %d %s", scope, o.method, o.path, r.Code, r.Raw)
				}
			}
			continue
		}
		seen[o.scope] = true
		if only[o.scope].token == "" {
			t.Errorf("%s %s: no scope %q", o.method, o.path, o.scope)
			continue
		}
		if refused, r := call(only[o.scope]); refused || r.Code == http.StatusUnauthorized {
			t.Errorf("with %s alone: %s %s: %d %s", o.scope, o.method, o.path, r.Code, r.Raw)
		}
		if refused, r := call(others[o.scope]); !refused {
			t.Errorf("with all but %s: %s %s: %d %s", o.scope, o.method, o.path, r.Code, r.Raw)
		}
	}
	for _, scope := range authz.Scopes() {
		// What runs by itself in these areas is not written by a call.
		if !seen[scope] && scope != "access:write" && scope != "audit:write" {
			t.Errorf("no operation needs %s", scope)
		}
	}

	t.Log("a refused call is in the audit log, with the token and what was refused")
	mia := w.scimUser(t, "mia", "Mia Manager", "")
	program, id := token(w.as(t, "mia"), "requests:write")
	program.must(t, "GET", "/v1/requests", nil)
	refused := func() reply {
		t.Helper()
		r, err := program.do(t.Context(), "GET", "/v1/apps", nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := refused(); r.Code != http.StatusForbidden || r.Header.Get("WWW-Authenticate") != `Bearer realm="gatehouse", error="insufficient_scope", scope="apps:read"` {
		t.Errorf("%d %q %s", r.Code, r.Header.Get("WWW-Authenticate"), r.Raw)
	}
	entries := until(t, "the denied call", func() []any {
		return list(w.admin.must(t, "GET", "/v1/auditEntries?event=call.denied&actorId="+str(mia, "id"), nil), "auditEntries")
	}, func(l []any) bool { return len(l) > 0 })
	if e := entries[0]; str(e, "data", "credentialId") != id || str(e, "data", "reason") != "SCOPE_MISSING" || !strings.HasSuffix(str(e, "data", "method"), "AppService/ListApps") {
		t.Errorf("entry %s", brief(e))
	}

	t.Log("it stays narrow when its user gains a role")
	w.admin.must(t, "POST", "/v1/users/"+str(mia, "id")+":setRole", object{"role": "ROLE_ADMIN"})
	if r := refused(); r.Code != http.StatusForbidden || !strings.Contains(string(r.Raw), "SCOPE_MISSING") {
		t.Errorf("%d %s", r.Code, r.Raw)
	}
	program.must(t, "GET", "/v1/requests", nil)
	if r := refused(); r.Code != http.StatusForbidden || !strings.Contains(string(r.Raw), "SCOPE_MISSING") {
		t.Errorf("%d %s", r.Code, r.Raw)
	}
}
