package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestDemoCompany starts the demo, kills it with SIGKILL while its company is being loaded,
// and starts it again: the company is there whole, in every state, and nothing of it twice.
// Started once more, it leaves alone what people have changed.
//
// B-RUN-01, B-RUN-02.
func TestDemoCompany(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	bin, data := program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t)
	run := func() (*standalone, api) { // reads are this test's own for the most part
		s := runStandalone(t, bin, data, "GATEHOUSE_DEMO=true", "GATEHOUSE_RATE_LIMITS=reads=off,account-reads=off")
		return s, demoAdmin(t, s.base)
	}
	kill := func(s *standalone) {
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		_ = s.cmd.Wait()
	}
	s, admin := run()
	// While people come, and in the middle of what they do.
	until(t, "some of the company's people", func() int { return len(all(t, admin, "users", "")) }, func(n int) bool { return n > 20 })
	kill(s)
	s, admin = run()
	until(t, "some of the company's requests", func() int { return len(all(t, admin, "requests", byPeople)) }, func(n int) bool { return n > 5 })
	kill(s)
	s, admin = run()

	until(t, "the end of loading", func() string { return s.said(t) }, func(out string) bool { return strings.Contains(out, "The demo company is loaded: 59 people, 14 apps") })
	until(t, "the whole company", func() string { return lacks(t, admin) }, func(s string) bool { return s == "" })
	for plural, name := range map[string]string{"users": "userName", "groups": "displayName", "apps": "name", "flows": "name", "integrations": "name", "apiTokens": "name"} {
		if twice := duplicates(column(all(t, admin, plural, ""), name)); len(twice) > 0 {
			t.Errorf("%s twice: %s", plural, twice)
		}
	}
	var asked []string
	for _, r := range all(t, admin, "requests", byPeople) {
		asked = append(asked, str(r, "beneficiary", "displayName")+": "+str(r, "justification"))
		said := list(admin.must(t, "GET", "/v1/requests/"+str(r, "id")+"/comments", nil), "comments")
		if twice := duplicates(column(said, "text")); len(twice) > 0 {
			t.Errorf("said twice: %s", twice)
		}
	}
	if twice := duplicates(asked); len(twice) > 0 {
		t.Errorf("requests twice: %s", twice)
	}
	if parked := list(admin.must(t, "GET", "/v1/parkedEvents", nil), "parkedEvents"); len(parked) > 0 {
		t.Errorf("parked: %v", parked)
	}

	// Of what is loaded nothing comes back, or is changed again.
	flow := column(all(t, admin, "flows", `name = "Giving back"`), "id")[0]
	admin.must(t, "DELETE", "/v1/flows/"+flow, nil)
	before := companyFacts(t, admin)
	kill(s)
	s, admin = run()
	until(t, "readiness", func() string { return s.said(t) }, func(out string) bool { return strings.Contains(out, "Press Ctrl-C") })
	demoFacts(t, s.base)
	if after := companyFacts(t, admin); after != before {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
	if out := s.said(t); strings.Contains(out, "company") {
		t.Errorf("said: %s", out)
	}

	// The README's walk goes through the full company as through the demo's beginning.
	walk(t, s.base)
}

const byPeople = "origin != REQUEST_ORIGIN_JOIN"

// all gives all of a list that pass a filter.
func all(t testing.TB, a api, plural, filter string) []any {
	t.Helper()
	return list(a.must(t, "GET", "/v1/"+plural+"?pageSize=1000&filter="+url.QueryEscape(filter), nil), plural)
}

func duplicates(words []string) []string {
	slices.Sort(words)
	var out []string
	for i, w := range words {
		if i > 0 && w == words[i-1] {
			out = append(out, w)
		}
	}
	return out
}

// lacks says what is not there yet of the company's past; nothing once all of it is.
func lacks(t testing.TB, admin api) string {
	t.Helper()
	count := func(want int, plural, filter string) string {
		if got := len(all(t, admin, plural, filter)); got != want {
			return fmt.Sprintf("%d %s with %q, not %d", got, plural, filter, want)
		}
		return ""
	}
	for _, c := range []struct {
		want           int
		plural, filter string
	}{
		{61, "users", ""},
		{1, "users", "state = USER_STATE_SUSPENDED"},
		{1, "users", "kind = USER_KIND_SERVICE"},
		{1, "users", "role = ROLE_IT_ADMIN"},
		{11, "groups", ""},
		{14, "apps", ""},
		{4, "apps", "provisioning = PROVISIONING_SUPPORT_AUTOMATIC"},
		{3, "apps", "provisioning = PROVISIONING_SUPPORT_NONE"},
		{1, "apps", "goneUserIds:*"},
		{14, "flows", ""},
		{2, "apiTokens", ""},
		{1, "requests", "waitsForReviewer = true"},
		{8, "requests", byPeople + " AND state = REQUEST_STATE_PENDING"},
		{2, "requests", byPeople + " AND state = REQUEST_STATE_DENIED"},
		{2, "requests", byPeople + " AND state = REQUEST_STATE_CANCELLED"},
		{1, "requests", byPeople + " AND state = REQUEST_STATE_PARTLY_FULFILLED"},
		{1, "requests", byPeople + " AND items.state:ITEM_STATE_FAILED"},
		{1, "requests", byPeople + " AND items.state:ITEM_STATE_GIVEN_UP"},
		{6, "requests", byPeople + " AND state = REQUEST_STATE_APPROVED"},
		{1, "workItems", "state = WORK_ITEM_STATE_OPEN AND kind = WORK_ITEM_KIND_FIX_OPERATION"},
		{3, "workItems", "state = WORK_ITEM_STATE_OPEN AND kind = WORK_ITEM_KIND_REMOVE_ACCOUNT"},
		{15, "checklists", ""},
		{1, "delegations", ""},
		{1, "conversations", "state = CONVERSATION_STATE_WAITING"},
		{1, "conversations", "state = CONVERSATION_STATE_ANSWERED AND messageCount = 4"},
	} {
		if wrong := count(c.want, c.plural, c.filter); wrong != "" {
			return wrong
		}
	}
	if removed := list(admin.must(t, "GET", "/v1/users?state=USER_STATE_REMOVED", nil), "users"); len(removed) != 2 {
		return fmt.Sprintf("%d have left", len(removed))
	}
	return ""
}

// companyFacts says what is in the company, as far as it does not change by itself.
func companyFacts(t testing.TB, admin api) string {
	t.Helper()
	var out []string
	for _, plural := range []string{"users", "groups", "apps", "flows", "integrations", "apiTokens", "requests", "checklists"} {
		ids := column(all(t, admin, plural, ""), "id")
		slices.Sort(ids)
		out = append(out, plural+": "+strings.Join(ids, ", "))
	}
	return strings.Join(out, "\n")
}

// said is what a process has written so far.
func (p *process) said(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// demoAdmin is the admin of a demo, once she is there.
func demoAdmin(t testing.TB, base string) api {
	t.Helper()
	client := api{base: base}
	session := until(t, "demo admin", func() reply {
		r, err := client.do(t.Context(), "POST", "/v1/sessions:devSignIn", object{"userName": "ada@demo.example"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, func(r reply) bool { return r.Code == http.StatusOK })
	return api{base: base, token: str(session.JSON, "token")}
}
