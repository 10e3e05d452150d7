package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/services/standalone/internal/demoapp"
)

// TestKilledServices makes 200 lives of requests while each service, as a
// process of its own, is killed with SIGKILL at random moments and started
// again. At the end every request is in its right final state, there is one
// account for each person, no grant twice, and the audit is complete.
//
// B-RUN-02, B-RUN-03, B-PRV-04, B-REQ-13.
func TestKilledServices(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes for a minute")
	}
	t.Parallel()
	const (
		lives    = 200
		people   = 40
		inFlight = 16
	)
	c := startCluster(t)
	groups := make([]string, lives/people)
	for i := range groups {
		groups[i] = fmt.Sprintf("group-%d", i)
	}
	app, target := startDemoApp(t, groups)
	w := newWorld(t, &standalone{base: c.base}, target)

	mia := w.scimUser(t, "mia", "Mia Manager", "")
	w.scimUser(t, "ann", "Ann Approver", "")
	auto := w.automaticApp(t, "Chat", "ann")
	var entitlements []string
	for _, g := range groups {
		entitlements = append(entitlements, w.entitlement(t, auto, g, "ENTITLEMENT_KIND_GROUP", g))
	}
	for i, e := range entitlements {
		w.requestFlow(t, groups[i], e, "REVIEWER_KIND_MANAGER", "REVIEWER_KIND_APP_APPROVERS")
	}
	reviewers := []api{w.as(t, "mia"), w.as(t, "ann")}
	asker := make([]api, people)
	for i := range asker {
		name := fmt.Sprintf("p%02d", i)
		w.scimUser(t, name, fmt.Sprintf("Person %02d", i), str(mia, "id"))
		w.id(t, name)
		asker[i] = w.as(t, name)
	}

	stopKilling := c.killAtRandom(t)
	requests := make([]string, lives)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for {
				n := int(next.Add(1) - 1)
				if n >= lives {
					return
				}
				requests[n] = liveThrough(t, w, asker[n%people], reviewers, entitlements[n/people])
			}
		})
	}
	wg.Wait()
	kills := stopKilling()
	t.Logf("%d lives, %d kills: %v", lives, sum(kills), kills)
	if t.Failed() {
		return
	}
	w.allAnswer(t)

	for n, r := range requests {
		w.requestState(t, r, "REQUEST_STATE_FULFILLED")
		gs := list(w.admin.must(t, "GET", "/v1/grants?requestId="+r, nil), "grants")
		if len(gs) != 1 || str(gs[0], "state") != "GRANT_STATE_ACTIVE" {
			t.Errorf("request %d: grants %s", n, brief(gs))
		}
		w.trail(t, r, "request.submitted", "approval.requested", "approval.decided", "approval.requested", "approval.decided",
			"approval.granted", "grant.opened", "grant.activated", "request.closed")
		events := w.events(t, r)
		for _, once := range []string{"request.submitted", "approval.granted", "grant.opened", "grant.activated", "request.closed"} {
			if got := count(events, once); got != 1 {
				t.Errorf("request %d: %s %d times in the audit", n, once, got)
			}
		}
		if got := count(events, "approval.decided"); got != 2 {
			t.Errorf("request %d: %d decisions in the audit", n, got)
		}
	}
	accounts := map[string]int{}
	for _, u := range target.list(t, "/Users?count=1000") {
		accounts[str(u, "externalId")]++
	}
	if len(accounts) != people {
		t.Errorf("%d accounts in the app, want one for each of %d people", len(accounts), people)
	}
	for who, n := range accounts {
		if n != 1 {
			t.Errorf("%s has %d accounts", who, n)
		}
	}
	for _, g := range target.list(t, "/Groups?count=1000") {
		if got := len(list(g, "members")); got != people {
			t.Errorf("%s has %d members, want %d", str(g, "displayName"), got, people)
		}
	}
	w.nothingParked(t)
	_ = app
}

// liveThrough brings one request from submit to access, sending again whatever
// is not answered.
func liveThrough(t *testing.T, w *world, asker api, reviewers []api, entitlement string) string {
	ctx := context.WithoutCancel(t.Context())
	deadline := time.Now().Add(3 * patience)
	body := object{"requestId": newUUID(), "kind": "REQUEST_KIND_GRANT", "entitlementIds": []string{entitlement}, "justification": "whatever happens"}
	var last string
	try := func(a api, method, path string, body any) (object, bool) {
		r, err := a.do(ctx, method, path, body)
		if err != nil {
			last = err.Error()
			return nil, false
		}
		if r.Code/100 != 2 {
			last = fmt.Sprintf("%s %s: %d %s", method, path, r.Code, r.Raw)
			// Refusals would be for ever; what is away comes back.
			if r.Code == http.StatusForbidden || r.Code == http.StatusNotFound || r.Code == http.StatusInternalServerError {
				t.Errorf("%s", last)
			}
		}
		return r.JSON, r.Code/100 == 2
	}
	for time.Now().Before(deadline) && !t.Failed() {
		made, ok := try(asker, "POST", "/v1/requests", body)
		if !ok {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		id := str(made, "request", "id")
		for time.Now().Before(deadline) && !t.Failed() {
			r, ok := try(asker, "GET", "/v1/requests/"+id, nil)
			if ok && str(r, "request", "state") == "REQUEST_STATE_FULFILLED" {
				return id
			}
			for _, reviewer := range reviewers {
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
	t.Errorf("a life did not end; last answer: %s", last)
	return ""
}

// allAnswer waits until every service answers through the door again.
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

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// startDemoApp runs the built-in SCIM app in this process: it stays when
// services die.
func startDemoApp(t testing.TB, groups []string) (*demoapp.App, *scimTarget) {
	t.Helper()
	app, err := demoapp.New(demoapp.Config{Token: "kill", Groups: groups})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(app)
	t.Cleanup(func() {
		srv.Close()
		_ = app.Close()
	})
	return app, &scimTarget{url: srv.URL + "/scim/v2", token: "kill"}
}

// cluster is Gatehouse with each service as a process of its own.
type cluster struct {
	base     string
	services map[string]*member
}

// member is one service's process and how to start it again.
type member struct {
	bin  string
	env  []string
	proc *process
}

// clusterNames are all services, in no order: none needs another to start.
var clusterNames = []string{"identity-sync", "request", "approval", "provisioning", "audit", "gateway"}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(pgtest.Folder(t), "pg"), Ephemeral: true})
	if err != nil {
		missing(t, "PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.Background()) })
	nats, err := busserver.Start(busserver.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Stop)

	ports := freePorts(t, 2*len(clusterNames))
	grpc, web := map[string]string{}, map[string]string{}
	for i, n := range clusterNames {
		grpc[n], web[n] = ports[2*i], ports[2*i+1]
	}
	c := &cluster{base: "http://" + web["gateway"], services: map[string]*member{}}
	for _, n := range clusterNames {
		env := []string{
			"GATEHOUSE_GRPC_ADDR=" + grpc[n], "GATEHOUSE_HTTP_ADDR=" + web[n], "GATEHOUSE_NATS_URL=" + nats.URL(),
			"GATEHOUSE_IDENTITY_ADDR=" + grpc["identity-sync"], "GATEHOUSE_IDENTITY_HTTP_ADDR=" + web["identity-sync"],
			"GATEHOUSE_REQUEST_ADDR=" + grpc["request"], "GATEHOUSE_APPROVAL_ADDR=" + grpc["approval"],
			"GATEHOUSE_PROVISIONING_ADDR=" + grpc["provisioning"], "GATEHOUSE_AUDIT_ADDR=" + grpc["audit"],
			"GATEHOUSE_ALLOW_SIGN_UP=true", "GATEHOUSE_DEV_SIGN_IN=true", "GATEHOUSE_LOG_LEVEL=warn", "GATEHOUSE_POSTGRES_MAX_CONNS=12",
			"GATEHOUSE_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))),
		}
		if n != "gateway" {
			db := "gatehouse_" + strings.ReplaceAll(n, "-", "_")
			if err := pg.CreateDatabase(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			env = append(env, "GATEHOUSE_POSTGRES_URL="+pg.URL(db))
		}
		c.services[n] = &member{bin: program(t, "gatehouse.dev/services/"+n+"/cmd"), env: env}
	}
	for _, m := range c.services {
		m.proc = start(t, m.bin, m.env...)
	}
	waitReady(t, c.base)
	return c
}

// killAtRandom kills one service after the other, each time after a random
// pause and at whatever it is doing, and starts it again, until stop is called,
// which says how often each was killed.
func (c *cluster) killAtRandom(t testing.TB) (stop func() map[string]int) {
	done, ended := make(chan struct{}), make(chan struct{})
	kills := map[string]int{}
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(100*time.Millisecond + rand.N(400*time.Millisecond)):
			}
			n := clusterNames[rand.IntN(len(clusterNames))]
			m := c.services[n]
			_ = m.proc.cmd.Process.Signal(syscall.SIGKILL)
			_ = m.proc.cmd.Wait()
			m.proc.killed = true
			kills[n]++
			time.Sleep(rand.N(200 * time.Millisecond)) // away for a moment
			m.proc = start(t, m.bin, m.env...)
		}
	}()
	return func() map[string]int {
		close(done)
		<-ended
		return kills
	}
}

// freePorts gives loopback addresses that are free now.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var addrs []string
	var held []net.Listener
	for range n {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		addrs = append(addrs, l.Addr().String())
	}
	for _, l := range held {
		_ = l.Close()
	}
	slices.Sort(addrs)
	return addrs
}
