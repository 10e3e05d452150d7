package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.dev/services/standalone/internal/demoapp"
)

const (
	lifeCount   = 200
	peopleCount = 40
	livesAtOnce = 16
)

// lives are requests that are brought from submit to access while something
// fails: each person asks for each group of an automatic app, and two
// reviewers approve.
type lives struct {
	w            *world
	askers       []api
	reviewers    []api
	entitlements []string
	ids          []string // what makes each submit one, however often it is sent
	requests     []string // what came of each
	begun        atomic.Int64
}

// prepareLives makes an organization with all that the lives need. Nothing
// should fail yet.
func prepareLives(t testing.TB, c *cluster) *lives {
	t.Helper()
	groups := make([]string, lifeCount/peopleCount)
	for i := range groups {
		groups[i] = fmt.Sprintf("group-%d", i)
	}
	w := newWorld(t, &standalone{base: c.base}, startDemoApp(t, groups))
	l := &lives{w: w, ids: make([]string, lifeCount), requests: make([]string, lifeCount)}
	for i := range l.ids {
		l.ids[i] = newUUID()
	}

	mia := w.scimUser(t, "mia", "Mia Manager", "")
	w.scimUser(t, "ann", "Ann Approver", "")
	auto := w.automaticApp(t, "Chat", "ann")
	for _, g := range groups {
		l.entitlements = append(l.entitlements, w.entitlement(t, auto, g, "ENTITLEMENT_KIND_GROUP", g))
	}
	for i, e := range l.entitlements {
		w.requestFlow(t, groups[i], e, "REVIEWER_KIND_MANAGER", "REVIEWER_KIND_APP_APPROVERS")
	}
	l.reviewers = []api{w.as(t, "mia"), w.as(t, "ann")}
	for i := range peopleCount {
		name := fmt.Sprintf("p%02d", i)
		w.scimUser(t, name, fmt.Sprintf("Person %02d", i), str(mia, "id"))
		w.id(t, name)
		l.askers = append(l.askers, w.as(t, name))
	}
	return l
}

// begin starts the lives, some at a time, and returns what to wait for.
func (l *lives) begin(t testing.TB) *sync.WaitGroup {
	wg := new(sync.WaitGroup)
	for range livesAtOnce {
		wg.Go(func() {
			for {
				n := int(l.begun.Add(1) - 1)
				if n >= lifeCount || t.Failed() {
					return
				}
				l.requests[n] = l.liveThrough(t, n)
			}
		})
	}
	return wg
}

// asker is who makes a life's request, and body what they send.
func (l *lives) asker(n int) api { return l.askers[n%peopleCount] }

func (l *lives) body(n int) object {
	return object{
		"requestId": l.ids[n], "kind": "REQUEST_KIND_GRANT",
		"entitlementIds": []string{l.entitlements[n/peopleCount]}, "justification": "whatever happens",
	}
}

// liveThrough brings one request from submit to access, sending again whatever
// is not answered.
func (l *lives) liveThrough(t testing.TB, n int) string {
	ctx := context.WithoutCancel(t.Context())
	deadline := time.Now().Add(3 * patience)
	var last string
	try := func(a api, method, path string, body any) (object, bool) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		r, err := a.do(ctx, method, path, body)
		if err != nil {
			last = err.Error()
			return nil, false
		}
		if r.Code/100 != 2 {
			last = fmt.Sprintf("%s %s: %d %s", method, path, r.Code, r.Raw)
			switch {
			case r.Code == http.StatusUnauthorized, r.Code == http.StatusForbidden, r.Code == http.StatusNotFound:
				// Refusals would be for ever; what is away comes back.
				t.Errorf("%s", last)
			case r.Code >= 500:
				saysAway(t, method+" "+path, r)
			}
		}
		return r.JSON, r.Code/100 == 2
	}
	for time.Now().Before(deadline) && !t.Failed() {
		made, ok := try(l.asker(n), "POST", "/v1/requests", l.body(n))
		if !ok {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		id := str(made, "request", "id")
		for time.Now().Before(deadline) && !t.Failed() {
			r, ok := try(l.asker(n), "GET", "/v1/requests/"+id, nil)
			if ok && str(r, "request", "state") == "REQUEST_STATE_FULFILLED" {
				return id
			}
			for _, reviewer := range l.reviewers {
				tasks, ok := try(reviewer, "GET", "/v1/tasks?requestId="+id, nil)
				if !ok {
					continue
				}
				for _, task := range list(tasks, "tasks") {
					try(reviewer, "POST", "/v1/tasks/"+str(task, "id")+":approve", object{})
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if !t.Failed() {
		t.Errorf("life %d did not end; last answer: %s", n, last)
	}
	return ""
}

// saysAway checks an answer of somebody whose help is away: that it may be
// asked for again, and when, in words that show nothing of the inside.
func saysAway(t testing.TB, what string, r reply) {
	t.Helper()
	if r.Code != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %s, Retry-After %q; want 503 and when to try again", what, r.Code, r.Raw, r.Header.Get("Retry-After"))
	}
	for _, word := range append([]string{"postgres", "PGSQL", "nats", "socket", "dial", "connection", "recovery", "FATAL"}, internals...) {
		if strings.Contains(string(r.Raw), word) {
			t.Errorf("%s shows %q: %s", what, word, r.Raw)
		}
	}
}

// check holds the lives against what should have come of them, now that
// nothing fails any more.
//
// B-RUN-02, B-RUN-03, B-PRV-04.
func (l *lives) check(t testing.TB) {
	t.Helper()
	w := l.w
	w.allAnswer(t)
	for n, r := range l.requests {
		w.requestState(t, r, "REQUEST_STATE_FULFILLED")
		gs := list(w.admin.must(t, "GET", "/v1/grants?requestId="+r, nil), "grants")
		if len(gs) != 1 || str(gs[0], "state") != "GRANT_STATE_ACTIVE" {
			t.Errorf("request %d: grants %s", n, brief(gs))
		}
		w.trail(t, r, "request.submitted", "approval.requested", "approval.decided", "approval.granted",
			"grant.created", "grant.activated", "request.closed")
		events := w.events(t, r)
		for _, once := range []string{"request.submitted", "approval.decided", "approval.granted", "grant.created", "grant.activated", "request.closed"} {
			if got := count(events, once); got != 1 {
				t.Errorf("request %d: %s %d times in the audit", n, once, got)
			}
		}
	}
	accounts := map[string]int{}
	for _, u := range w.target.list(t, "/Users?count=1000") {
		accounts[str(u, "externalId")]++
	}
	if len(accounts) != peopleCount {
		t.Errorf("%d accounts in the app, want one for each of %d people", len(accounts), peopleCount)
	}
	for who, n := range accounts {
		if n != 1 {
			t.Errorf("%s has %d accounts", who, n)
		}
	}
	for _, g := range w.target.list(t, "/Groups?count=1000") {
		if got := len(list(g, "members")); got != peopleCount {
			t.Errorf("%s has %d members, want %d", str(g, "displayName"), got, peopleCount)
		}
	}
	w.nothingParked(t)
}

// allAnswer waits until every service answers through the gateway again.
func (w *world) allAnswer(t testing.TB) {
	t.Helper()
	for _, path := range []string{"/v1/users", "/v1/requests", "/v1/flows", "/v1/grants", "/v1/auditEntries"} {
		until(t, "answer from "+path, func() int {
			r, err := w.admin.do(t.Context(), "GET", path, nil)
			if err != nil {
				return 0
			}
			return r.Code
		}, func(code int) bool { return code == http.StatusOK })
	}
}

func (w *world) events(t testing.TB, request string) []string {
	t.Helper()
	r, err := w.admin.do(t.Context(), "GET", "/v1/requests/"+request+"/report?format=json", nil)
	if err != nil || r.Code != http.StatusOK {
		t.Fatalf("report of %s: %v %d", request, err, r.Code)
	}
	var entries []any
	if err := json.Unmarshal(r.Raw, &entries); err != nil {
		t.Fatal(err)
	}
	return column(entries, "event")
}

func count(l []string, s string) (n int) {
	for _, v := range l {
		if v == s {
			n++
		}
	}
	return n
}

// startDemoApp runs the built-in SCIM app in this process: it stays when
// services die.
func startDemoApp(t testing.TB, groups []string) *scimTarget {
	t.Helper()
	app, err := demoapp.New(demoapp.Config{Token: "kill", Groups: groups})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(app)
	t.Cleanup(srv.Close)
	return &scimTarget{url: srv.URL + "/scim/v2", token: "kill"}
}
