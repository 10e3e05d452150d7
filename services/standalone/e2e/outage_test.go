package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/pgserver"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// TestOutages makes 200 lives of requests while PostgreSQL and NATS, as
// processes of their own, are killed with SIGKILL at random moments and come
// back at once or after seconds. Nobody starts a service again. Whoever calls
// meanwhile is told to try again; at the end every request is in its right
// final state, there is one account for each person, no grant twice, and every
// event that was ever committed is in the audit, once.
//
// B-RUN-03, B-PRV-04, B-REQ-13.
func TestOutages(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes for a minute")
	}
	t.Parallel()
	pg, broker := newPostgres(t), newNATS(t)
	pg.up(t)
	broker.up(t)
	c := startCluster(t, stores{databases: pg.places.Databases, bus: broker.places.Bus})
	defer c.stop(t)
	pg.noteCommittedEvents(t)
	l := prepareLives(t, c)

	c.withoutBus(t, l, broker)
	c.withoutDatabases(t, l, pg)

	falls := []struct {
		what string
		do   func()
	}{
		{"the database server", func() { pg.killServer(t) }},
		{"a process of the database server", func() { pg.killBackend(t) }},
		{"everything of the database server", func() { pg.kill(t); away(); pg.up(t) }},
		{"the bus", func() { broker.kill(t); away(); broker.up(t) }},
		{"both", func() {
			pg.kill(t)
			broker.kill(t)
			away()
			broker.up(t)
			away()
			pg.up(t)
		}},
		{"both, the other order", func() {
			broker.kill(t)
			away()
			pg.kill(t)
			away()
			pg.up(t)
			broker.up(t)
		}},
	}
	falls = slices.Repeat(falls, 2)
	rand.Shuffle(len(falls), func(i, j int) { falls[i], falls[j] = falls[j], falls[i] })

	living := l.begin(t)
	defer living.Wait() // also if this ends early
	for i, fall := range falls {
		// Spread over the lives, whatever the machine's pace.
		until(t, "lives go on", func() int64 { return l.begun.Load() }, func(begun int64) bool {
			return t.Failed() || begun*int64(len(falls)) >= int64(i*lifeCount)
		})
		if t.Failed() {
			return
		}
		time.Sleep(rand.N(300 * time.Millisecond))
		began := time.Now()
		fall.do()
		t.Logf("killed %s after %d lives had begun; back after %s", fall.what, l.begun.Load(), time.Since(began).Round(time.Millisecond))
	}
	living.Wait()
	if t.Failed() {
		return
	}
	l.check(t)
	c.allLive(t)
	c.isQuiet(t, pg, broker)
	pg.auditIsComplete(t, broker)
}

// away is how long something stays away: not at all, or up to seconds.
func away() {
	if rand.IntN(3) > 0 {
		time.Sleep(rand.N(2 * time.Second))
	}
}

// withoutBus has the bus away: a request is taken, and what it sets off comes
// once the bus is back.
func (c *cluster) withoutBus(t *testing.T, l *lives, broker *natsServer) {
	t.Helper()
	broker.kill(t)
	made := l.asker(0).must(t, "POST", "/v1/requests", l.body(0))
	id := str(made, "request", "id")
	l.w.admin.must(t, "GET", "/v1/requests/"+id, nil)
	c.allLive(t)
	broker.up(t)
	l.w.requestState(t, id, "REQUEST_STATE_PENDING")
}

// withoutDatabases has the databases away: all who call, by whatever way, are
// told so, and nothing is half done.
func (c *cluster) withoutDatabases(t *testing.T, l *lives, pg *postgresServer) {
	t.Helper()
	signed := c.signedTokens(t, l.w.admin.token)
	// Known without asking identity-sync.
	admin := func(service string) api { return api{base: c.base, token: signed[service]} }
	pg.kill(t)
	var calls sync.WaitGroup
	for name, call := range map[string]struct {
		who          api
		method, path string
		body         any
	}{
		"people":        {admin("identity-sync"), "GET", "/v1/users", nil},
		"requests":      {admin("request"), "GET", "/v1/requests", nil},
		"a request":     {admin("request"), "POST", "/v1/requests", l.body(1)},
		"an app":        {admin("request"), "POST", "/v1/apps", object{"name": "Not now"}},
		"flows":         {admin("approval"), "GET", "/v1/flows", nil},
		"tasks":         {admin("approval"), "GET", "/v1/tasks", nil},
		"a decision":    {admin("approval"), "POST", "/v1/tasks/" + newUUID() + ":approve", object{}},
		"grants":        {admin("provisioning"), "GET", "/v1/grants", nil},
		"checklists":    {admin("provisioning"), "GET", "/v1/checklists:export?format=csv", nil},
		"audit":         {admin("audit"), "GET", "/v1/auditEntries", nil},
		"a report":      {admin("audit"), "GET", "/v1/requests/" + newUUID() + "/report?format=pdf", nil},
		"parked events": {admin("audit"), "GET", "/v1/parkedEvents?service=audit", nil},
		"sign-in":       {api{base: c.base}, "POST", "/v1/sessions:devSignIn", object{"userName": "mia@corp.example"}},
		"a session":     {l.askers[2], "GET", "/v1/me", nil},
		"SCIM, reading": {l.w.scim, "GET", "/scim/v2/Users", nil},
		"SCIM, writing": {l.w.scim, "POST", "/scim/v2/Users", object{"schemas": []string{scimUser}, "userName": "late@corp.example"}},
	} {
		calls.Go(func() {
			r, err := call.who.do(t.Context(), call.method, call.path, call.body)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			saysAway(t, name, r)
		})
	}
	for _, n := range databaseNames {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+signed[n])
		conn := c.dial(t, aProgram, n)
		calls.Go(func() {
			var err error
			if n == "identity-sync" {
				_, err = identityv1.NewUserServiceClient(conn).ListUsers(ctx, &identityv1.ListUsersRequest{})
			} else {
				_, err = opsv1.NewParkedEventServiceClient(conn).ListParkedEvents(ctx, &opsv1.ListParkedEventsRequest{})
			}
			retry := slices.ContainsFunc(status.Convert(err).Details(), func(d any) bool {
				info, ok := d.(*errdetails.RetryInfo)
				return ok && info.GetRetryDelay().AsDuration() > 0
			})
			if status.Code(err) != codes.Unavailable || !retry {
				t.Errorf("%s by gRPC: %v; want UNAVAILABLE and a retry delay", n, err)
			}
		})
	}
	calls.Wait()
	c.allLive(t)
	pg.up(t)
	l.w.allAnswer(t)
	if got := list(l.w.admin.must(t, "GET", "/v1/apps?query=Not%20now", nil), "apps"); len(got) != 0 {
		t.Errorf("an app that was refused is there: %s", brief(got))
	}
}

// allLive checks that every service's first process still runs.
func (c *cluster) allLive(t testing.TB) {
	t.Helper()
	for n, addr := range c.inner {
		r, err := api{base: "http://" + addr}.do(t.Context(), "GET", "/healthz", nil)
		if err != nil || r.Code != http.StatusOK {
			t.Errorf("%s does not live: %d %v", n, r.Code, err)
		}
	}
}

// dial calls a service with the certificate of a part of the installation.
func (c *cluster) dial(t testing.TB, part, service string) *grpc.ClientConn {
	t.Helper()
	client := c.installation.client(t, part)
	client.ServerName = service
	conn, err := grpc.NewClient(c.grpc[service], grpc.WithTransportCredentials(credentials.NewTLS(client)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// signedTokens are what services accept by themselves, as the gateway gets them,
// by the service that each is for.
func (c *cluster) signedTokens(t testing.TB, token string) map[string]string {
	t.Helper()
	r, err := identityv1.NewTokenServiceClient(c.dial(t, aProgram, "identity-sync")).ExchangeToken(t.Context(), &identityv1.ExchangeTokenRequest{Token: token, Audiences: databaseNames})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetAccessTokens()
}

// store is a PostgreSQL or a NATS as a process of its own, with a folder and an
// address that stay.
type store struct {
	kind, dir, addr string
	proc            *process
	places          storePlaces
}

// up starts the process and returns when clients can connect, to where they
// could before.
func (s *store) up(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(placesFile(s.dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	s.proc = start(t, self, storeKind+"="+s.kind, storeDir+"="+s.dir, storeAddr+"="+s.addr)
	b := until(t, s.kind+" is there", func() []byte {
		b, _ := os.ReadFile(placesFile(s.dir))
		return b
	}, func(b []byte) bool { return b != nil })
	var places storePlaces
	if err := json.Unmarshal(b, &places); err != nil {
		t.Fatal(err)
	}
	if s.places.Bus != places.Bus && s.places.Bus != "" || len(s.places.Databases) > 0 && !maps.Equal(s.places.Databases, places.Databases) {
		t.Fatalf("%s moved from %v to %v", s.kind, s.places, places)
	}
	s.places = places
}

// kill ends the process at whatever it is doing.
func (s *store) kill(t testing.TB) {
	t.Helper()
	s.proc.killed = true
	if err := s.proc.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.proc.cmd.Wait()
}

type natsServer struct{ store }

func newNATS(t testing.TB) *natsServer {
	t.Helper()
	return &natsServer{store{kind: "nats", dir: t.TempDir(), addr: bustest.FreeAddrs(t, 1)[0]}}
}

// postgresServer is a PostgreSQL and its keeper, the process that would start
// it again.
type postgresServer struct{ store }

func newPostgres(t testing.TB) *postgresServer {
	t.Helper()
	if _, err := pgserver.Find(t.Context(), pgserver.Places(), 0); err != nil {
		missing(t, "PostgreSQL: %v", err)
	}
	// A short path, where the socket's stays the same, which the server's user
	// may pass. In memory where there is some: a server that recovers first
	// syncs every file it has, for seconds on a disk, and what a killed process
	// has written is there either way.
	dir, err := os.MkdirTemp("/dev/shm", "gatehouse-e2e-") //nolint:usetesting // see above
	if err != nil {
		dir, err = os.MkdirTemp("/tmp", "gatehouse-e2e-") //nolint:usetesting // see above
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &postgresServer{store{kind: "postgres", dir: dir}}
	t.Cleanup(func() {
		if b, err := os.ReadFile(filepath.Join(dir, "pg", "log")); err == nil && t.Failed() {
			t.Logf("log of PostgreSQL:\n%s", tail(b, 8000))
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return s
}

// postmaster is the process that the server's others are children of.
func (s *postgresServer) postmaster(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "pg", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 {
		t.Fatalf("process of PostgreSQL: %q: %v", first, err)
	}
	return pid
}

// kill ends every process of the server, and the keeper, at one moment, as a
// machine that stops does.
func (s *postgresServer) kill(t testing.TB) {
	t.Helper()
	conn := s.connect(t, "audit")
	postmaster := s.postmaster(t)
	// Stopped, neither starts anything any more.
	sendSignal(t, s.proc.cmd.Process.Pid, syscall.SIGSTOP)
	sendSignal(t, postmaster, syscall.SIGSTOP)
	for _, pid := range append(s.pids(t, conn, "true"), postmaster) {
		sendSignal(t, pid, syscall.SIGKILL)
	}
	s.store.kill(t)
}

// killServer kills the server's first process. Its children find out and end;
// the keeper starts it again.
func (s *postgresServer) killServer(t testing.TB) {
	t.Helper()
	old := s.postmaster(t)
	sendSignal(t, old, syscall.SIGKILL)
	until(t, "another server", func() int {
		b, _ := os.ReadFile(filepath.Join(s.dir, "pg", "data", "postmaster.pid"))
		first, _, _ := strings.Cut(string(b), "\n")
		pid, _ := strconv.Atoi(first)
		return pid
	}, func(pid int) bool { return pid != 0 && pid != old })
	s.connect(t, "audit")
}

// killBackend kills a process that serves one of the services. The server then
// ends all others and recovers as after a crash.
func (s *postgresServer) killBackend(t testing.TB) {
	t.Helper()
	conn := s.connect(t, "audit")
	backends := s.pids(t, conn, "datname like 'gatehouse_%' and pid <> pg_backend_pid()")
	if len(backends) == 0 {
		t.Fatal("no service is connected")
	}
	sendSignal(t, backends[rand.IntN(len(backends))], syscall.SIGKILL)
	until(t, "the server has noticed", func() bool { return conn.Ping(t.Context()) == nil }, func(alive bool) bool { return !alive })
	s.connect(t, "audit")
}

func (s *postgresServer) pids(t testing.TB, conn *pgx.Conn, which string) []int {
	t.Helper()
	rows, err := conn.Query(t.Context(), "select pid from pg_stat_activity where "+which)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// sendSignal signals a process, which may just have ended.
func sendSignal(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("signal %s to process %d: %v", sig, pid, err)
	}
}

// connect connects to a service's database as the superuser, as soon as the
// server takes connections.
func (s *postgresServer) connect(t testing.TB, service string) *pgx.Conn {
	t.Helper()
	var conn *pgx.Conn
	until(t, "PostgreSQL answers", func() (fault string) {
		c, err := pgx.Connect(t.Context(), s.places.Admin[service])
		if err != nil {
			return err.Error()
		}
		conn = c
		return ""
	}, func(fault string) bool { return fault == "" })
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// noteCommittedEvents has each database keep the id of every event in the
// transaction that the event comes to be in, for auditIsComplete.
func (s *postgresServer) noteCommittedEvents(t testing.TB) {
	t.Helper()
	for _, n := range databaseNames {
		if _, err := s.connect(t, n).Exec(t.Context(), `
create schema e2e;
create table e2e.committed (event_id uuid not null);
create function e2e.note() returns trigger language plpgsql security definer set search_path = '' as $$
begin
	insert into e2e.committed (event_id) select id from added;
	return null;
end $$;
create trigger e2e_note after insert on outbox referencing new table as added for each statement execute function e2e.note()`); err != nil {
			t.Fatal(err)
		}
	}
}

// isQuiet waits until nothing is under way any more: no operation, no event
// that is not published, none that is not handled. Nothing may be parked,
// whoever it belongs to.
func (c *cluster) isQuiet(t testing.TB, pg *postgresServer, broker *natsServer) {
	t.Helper()
	stream := broker.stream(t)
	conns := map[string]*pgx.Conn{}
	for _, n := range databaseNames {
		conns[n] = pg.connect(t, n)
	}
	ask := func(service, sql string) (n int) {
		if err := conns[service].QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	last := uint64(0)
	until(t, "quiet", func() (open []string) {
		note := func(n int, what string) {
			if n > 0 {
				open = append(open, fmt.Sprintf("%d %s", n, what))
			}
		}
		// What is handled may make new events, so the stream must stand still
		// from before the outboxes are looked into until after.
		seq, waiting := stream.waiting(t)
		note(waiting, "events not handled")
		note(int(seq-last), "new events")
		last = seq
		note(ask("provisioning", "select count(*) from operation where end_time is null"), "open operations")
		for _, n := range databaseNames {
			note(ask(n, "select count(*) from outbox"), "events of "+n+" not published")
			note(ask(n, "select count(*) from inbox_attempt"), "events failed in "+n)
		}
		_, waiting = stream.waiting(t)
		note(waiting, "events not handled")
		return open
	}, func(open []string) bool { return len(open) == 0 })
	for _, n := range databaseNames {
		if parked := ask(n, "select count(*) from parked_event"); parked != 0 {
			t.Errorf("%d events are parked in %s", parked, n)
		}
	}
}

// auditIsComplete checks that the events that were committed, those in the
// stream and those in the audit are the same.
//
// B-RUN-03, B-AUD-01.
func (s *postgresServer) auditIsComplete(t testing.TB, broker *natsServer) {
	t.Helper()
	ids := func(service, sql string) (ids map[string]int) {
		rows, err := s.connect(t, service).Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		ids = map[string]int{}
		for _, id := range all {
			ids[id]++
		}
		return ids
	}
	committed := map[string]int{}
	for _, n := range databaseNames {
		for id, times := range ids(n, "select event_id::text from e2e.committed") {
			committed[id] += times
		}
	}
	audit := ids("audit", "select event_id::text from audit_entry")
	if !maps.Equal(committed, audit) {
		t.Errorf("%d events were committed, %d are in the audit; committed and missing or not once: %v; in the audit and never committed: %v",
			len(committed), len(audit), differing(committed, audit), differing(audit, committed))
	}
	stream := broker.stream(t).ids(t)
	if len(differing(committed, stream)) > 0 || len(differing(stream, committed)) > 0 {
		t.Errorf("%d events were committed, %d are in the stream; committed and missing or not once: %v; in the stream and never committed: %v",
			len(committed), len(stream), differing(committed, stream), differing(stream, committed))
	}
	t.Logf("%d events were committed", len(committed))
}

// differing are some of those in a that are not as often in b.
func differing(a, b map[string]int) (ids []string) {
	for id, n := range a {
		if b[id] != n && len(ids) < 10 {
			ids = append(ids, id)
		}
	}
	return ids
}

// accessStream is the stream of all events, seen from outside.
type accessStream struct{ jetstream.Stream }

func (s *natsServer) stream(t testing.TB) accessStream {
	t.Helper()
	stream, err := jetStream(t, busURL(s.places.Bus, operator)).Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return accessStream{stream}
}

// waiting gives the last place in the stream, and how many events the services
// have still to handle.
func (s accessStream) waiting(t testing.TB) (last uint64, n int) {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	consumers := s.ListConsumers(t.Context())
	for c := range consumers.Info() {
		n += int(c.NumPending) + c.NumAckPending //nolint:gosec // small
	}
	if err := consumers.Err(); err != nil {
		t.Fatal(err)
	}
	return info.State.LastSeq, n
}

// ids are the ids of all events in the stream, and how often each is there.
func (s accessStream) ids(t testing.TB) map[string]int {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatalf("event %d of the stream: %v", seq, err)
		}
		ids[m.Header.Get("ce-id")]++
	}
	return ids
}
