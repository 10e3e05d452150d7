package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
)

// TestDeniedCallsAndDownloads: what callers are refused and what they take out is in
// the log of their organization and in no other's, with credential and address, in few
// entries that count all, across a restart; and without an entry nothing is taken out.
func TestDeniedCallsAndDownloads(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(pgtest.Folder(t), "pg"), Ephemeral: true, Logins: logins()})
	if err != nil {
		missing(t, "PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
	sql(t, pg.AdminURL("postgres"), "alter role "+pgserver.Role+" createdb createrole")
	bin, data := program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t)
	run := func() *standalone {
		return runStandalone(t, bin, data, "GATEHOUSE_POSTGRES_URL="+pg.OwnerURL("postgres"))
	}
	gh := run()
	w, stranger := newWorld(t, gh, nil), newWorld(t, gh, nil)
	w.scimUser(t, "mia", "Mia Member", "")
	mia := w.as(t, "mia")
	session := str(list(mia.must(t, "GET", "/v1/sessions", nil), "sessions"), 0, "id")
	entries := func(event string) []any {
		return list(w.admin.must(t, "GET", "/v1/auditEntries?pageSize=1000&event="+event, nil), "auditEntries")
	}

	t.Log("1. 200 refused calls are a few entries that count 200")
	for range 200 {
		if code := mia.from(t, "203.0.113.9", "/v1/sources"); code != http.StatusForbidden {
			t.Fatalf("a member lists sources: %d", code)
		}
	}
	first := until(t, "denied calls", func() []any { return entries("call.denied") }, func(l []any) bool { return len(l) > 0 })
	e := first[len(first)-1]
	if str(e, "data", "credentialId") != session || str(e, "data", "address") != "127.0.0.1" || str(e, "actor", "id") != w.id(t, "mia") ||
		str(e, "data", "reason") != "ROLE_NOT_ALLOWED" || !strings.HasPrefix(str(e, "summary"), "A call of SourceService.ListSources was denied: role not allowed (credential "+session) {
		t.Errorf("entry %s", brief(e))
	}
	for _, secret := range []string{mia.token, "corp.example", "203.0.113.9", "Go-http-client"} {
		if strings.Contains(brief(e), secret) {
			t.Errorf("%q is in the entry: %s", secret, brief(e))
		}
	}

	t.Log("2. a session that has ended is known")
	mia.must(t, "POST", "/v1/sessions:signOut", object{})
	until(t, "the end of the session", func() int { return mia.from(t, "203.0.113.9", "/v1/me") }, func(code int) bool { return code == http.StatusUnauthorized })
	until(t, "the ended session", func() []any { return entries("call.denied") }, func(l []any) bool {
		return slices.ContainsFunc(l, func(e any) bool {
			return str(e, "data", "reason") == "SESSION_ENDED" && str(e, "data", "credentialId") == session && str(e, "data", "address") == "127.0.0.1"
		})
	})

	t.Log("3. a token that nobody signed names nobody")
	enc := func(v object) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	forged := api{base: gh.base, token: enc(object{"alg": "EdDSA", "kid": "x"}) + "." + enc(object{
		"iss": "gatehouse", "aud": "identity-sync", "sub": newUUID(), "org": stranger.organization(t), "role": "member", "exp": 1 << 40, "cid": newUUID(),
	}) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))}
	if code := forged.from(t, "", "/v1/sources"); code != http.StatusUnauthorized {
		t.Errorf("a forged token: %d", code)
	}

	t.Log("4. nothing is lost or counted twice by a restart")
	gh.stop(t)
	gh = run()
	w.admin.base, stranger.admin.base, w.scim.base, w.gh = gh.base, gh.base, gh.base, gh
	total := func() (n int) {
		for _, e := range entries("call.denied") {
			if str(e, "data", "reason") == "ROLE_NOT_ALLOWED" {
				var count int
				if err := json.Unmarshal([]byte(str(e, "data", "count")), &count); err != nil {
					t.Fatalf("%s: %v", brief(e), err)
				}
				n += count
			}
		}
		return n
	}
	if n := until(t, "all denied calls", total, func(n int) bool { return n >= 200 }); n != 200 {
		t.Errorf("%d denied calls are counted, want 200", n)
	}
	if n := len(entries("call.denied")); n > 8 {
		t.Errorf("%d entries", n)
	}
	if l := list(stranger.admin.must(t, "GET", "/v1/auditEntries?event=call", nil), "auditEntries"); len(l) != 0 {
		t.Errorf("another organization's log: %s", brief(l))
	}

	t.Log("5. who takes a report or an export is written down, and without that gets none")
	w.scimUser(t, "ann", "Ann Approver", "")
	chat := w.app(t, object{"name": "Chat", "provisioning": "PROVISIONING_SUPPORT_MANUAL", "approverIds": []string{w.id(t, "ann")}})
	asked := w.ask(t, w.as(t, "mia"), "REQUEST_KIND_GRANT", chat.account)
	w.trail(t, asked, "request.submitted")
	if code := w.admin.from(t, "", "/v1/requests/"+asked+"/report?format=pdf"); code != http.StatusOK {
		t.Fatalf("report: %d", code)
	}
	if code := w.admin.from(t, "", "/v1/checklists:export?format=xlsx"); code != http.StatusOK {
		t.Fatalf("export: %d", code)
	}
	admin := str(w.admin.must(t, "GET", "/v1/me", nil), "user", "id")
	for event, says := range map[string]string{
		"report.downloaded":  "The report of request " + asked + " was downloaded as PDF: ",
		"checklist.exported": "Open checklists were exported as XLSX: 0 rows",
	} {
		until(t, event, func() []any { return entries(event) }, func(l []any) bool {
			return slices.ContainsFunc(l, func(e any) bool {
				return strings.HasPrefix(str(e, "summary"), says) && str(e, "actor", "id") == admin && str(e, "data", "address") == "127.0.0.1" && str(e, "data", "credentialId") != ""
			})
		})
	}
	sql(t, pg.AdminURL("gatehouse_audit"), "alter table outbox add constraint broken check (false) not valid")
	r, err := w.admin.do(t.Context(), "GET", "/v1/requests/"+asked+"/report", nil)
	if err != nil || r.Code/100 == 2 || strings.Contains(string(r.Raw), "request.submitted") {
		t.Errorf("a report that cannot be written down: %d %s, %v", r.Code, r.Raw, err)
	}
	sql(t, pg.AdminURL("gatehouse_audit"), "alter table outbox drop constraint broken")
	w.trail(t, asked, "request.submitted")
	w.nothingParked(t)
}

// from reads something and says that it is from another address than it is, and gives
// the code of the answer.
func (a api) from(t testing.TB, address, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	if address != "" {
		req.Header.Set("X-Forwarded-For", address)
		req.Header.Set("Grpc-Metadata-Gatehouse-Client-Address", address)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// sql runs a statement as the superuser of a database.
func sql(t testing.TB, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
