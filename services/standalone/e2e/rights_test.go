package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
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
