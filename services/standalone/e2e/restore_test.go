package e2e_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// testRestoreRequest: request's database is that of a backup, and the others' are not.
// It is ready again; what it has copies of it knows as it is now; and a new request
// lives to its end.
//
// B-RUN-05, in part: request.
func testRestoreRequest(t *testing.T, s stores, c *cluster) {
	w := newWorld(t, &standalone{base: c.base}, nil)
	w.scimUser(t, "mia", "Mia Member", "")
	w.scimUser(t, "ann", "Ann Approver", "")
	mia, ann := w.as(t, "mia"), w.as(t, "ann")
	chat := w.sharedApp(t, "Chat", "ann")
	wiki := w.sharedApp(t, "Wiki", "ann")
	live := func(of app) {
		t.Helper()
		r := w.ask(t, mia, "REQUEST_KIND_GRANT", of.account)
		w.approve(t, ann, r)
		w.requestState(t, r, "REQUEST_STATE_FULFILLED")
	}

	backup := s.dump(t, "request")
	live(chat)
	w.scimUser(t, "ned", "Ned Newcomer", "")
	w.id(t, "ned")
	c.restore(t, s, "request", backup)
	w.allAnswer(t)

	// The grant and the newcomer came after the backup.
	until(t, "what mia holds is known", func() string {
		p := mia.must(t, "POST", "/v1/requests:preview", object{"request": object{"kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{chat.account}, "justification": "again"}})
		return str(list(p, "items")[0], "refusal")
	}, func(refusal string) bool { return refusal == "ALREADY_HELD" })
	live(wiki)
	mia = w.as(t, "ned")
	live(wiki)
	w.nothingParked(t)
}

// testRestoreIdentitySync: identity-sync's database is that of a backup, and the
// others' are not. Whoever has changed since is refused until versions are raised and
// copies rebuilt, and then let in; and what happens afterwards has its effect
// everywhere.
//
// B-RUN-05, in part: identity-sync. What was taken away since is to be taken away
// again, before that.
func testRestoreIdentitySync(t *testing.T, s stores, c *cluster) {
	w := newWorld(t, &standalone{base: c.base}, nil)
	moe := w.scimUser(t, "moe", "Moe Member", "")
	eva := w.scimUser(t, "eva", "Eva Elsewhere", "")
	w.scimUser(t, "abe", "Abe Approver", "")
	chat := w.sharedApp(t, "Chat", "abe")
	abe := w.as(t, "abe")
	hold := func(name string) {
		t.Helper()
		r := w.ask(t, w.as(t, name), "REQUEST_KIND_GRANT", chat.account)
		w.approve(t, abe, r)
		w.requestState(t, r, "REQUEST_STATE_FULFILLED")
	}
	hold("moe")
	hold("eva")
	left := func(name string) {
		t.Helper()
		until(t, name+" holds nothing", func() any { return w.grants(t, name)[0] }, func(g any) bool { return str(g, "state") == "GRANT_STATE_REVOKED" })
	}

	backup := s.dump(t, "identity-sync")
	for range 2 {
		for _, role := range []string{"ROLE_IT_ADMIN", "ROLE_MEMBER"} {
			w.admin.must(t, "POST", "/v1/users/"+str(moe, "id")+":setRole", object{"role": role})
		}
	}
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(eva, "id"), nil)
	left("eva")
	c.restore(t, s, "identity-sync", backup)
	w.allAnswer(t)

	session := w.as(t, "moe")
	lists := func() reply {
		r, err := session.do(t.Context(), "GET", "/v1/requests", nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := lists(); r.Code != http.StatusUnauthorized || !strings.Contains(string(r.Raw), "TOKEN_STALE") {
		t.Errorf("moe lists requests: %d %s", r.Code, r.Raw)
	}
	// Eva is back, and is taken away again.
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(eva, "id"), nil)
	raise := exec.CommandContext(t.Context(), c.services["identity-sync"].bin, "raise-versions")
	raise.Env = append(os.Environ(), c.services["identity-sync"].env...)
	if out, err := raise.CombinedOutput(); err != nil {
		t.Fatalf("raise versions: %v: %s", err, out)
	}
	for _, n := range copiers {
		s.exec(t, n, "update copy_state set wanted = begun + 1")
	}
	until(t, "moe lists requests", lists, func(r reply) bool { return r.Code == http.StatusOK })
	until(t, "the log has it", func() []any {
		return list(w.admin.must(t, "GET", "/v1/auditEntries?event=organization.versions_raised", nil), "auditEntries")
	}, func(entries []any) bool { return len(entries) == 1 })
	// What follows is news to all.
	w.scim.must(t, "DELETE", "/scim/v2/Users/"+str(moe, "id"), nil)
	left("moe")
	left("eva")
	w.nothingParked(t)
}

// sharedApp puts an app into the catalog in which nothing is to be done for a grant.
func (w *world) sharedApp(t testing.TB, name, approver string) app {
	t.Helper()
	return w.app(t, object{"name": name, "provisioning": "PROVISIONING_SUPPORT_NONE", "approverIds": []string{w.id(t, approver)}})
}

// copiers are the services that keep copies which can be rebuilt.
var copiers = []string{"request", "approval", "provisioning"}

// exec does something in a service's database as the superuser.
func (s stores) exec(t testing.TB, service, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.admin(service))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %s: %v", service, sql, err)
	}
}

// dump backs a service's database up while it is used.
func (s stores) dump(t testing.TB, service string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), service+".dump")
	postgresTool(t, "pg_dump", "-Fc", "-d", s.admin(service), "-f", file)
	return file
}

// restore has a service's database be as it was, with the service stopped meanwhile.
func (c *cluster) restore(t testing.TB, s stores, service, file string) {
	t.Helper()
	c.services[service].proc.stop(t)
	// Not from within the database, which is dropped.
	at, err := url.Parse(s.admin(service))
	if err != nil {
		t.Fatal(err)
	}
	at.Path = "/postgres"
	postgresTool(t, "pg_restore", "--clean", "--create", "-d", at.String(), file)
	c.startAgain(t, service)
}

func postgresTool(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, "%v", err)
	}
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}
