package e2e_test

import (
	"context"
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpc"
)

// cluster is Gatehouse with each service as a process of its own.
type cluster struct {
	base         string            // of the gateway
	grpc, inner  map[string]string // where each service listens
	installation installation
	services     map[string]*member
	test         testing.TB // whose it is, also where parts of the test begin services again
}

// member is one service's process and how to start it again.
type member struct {
	bin  string
	env  []string
	proc *process
}

// clusterNames are all services, in no order: none needs another to start.
var clusterNames = []string{"identity-sync", "request", "approval", "provisioning", "audit", "gateway"}

// databaseNames are the services that have a database.
var databaseNames = clusterNames[:5]

// stores are what a cluster keeps its data in.
type stores struct {
	databases map[string]postgres.URLs // of each service
	bus       string                   // URL
	// admin is the URL of a service's database as the superuser; nil if nobody asks.
	admin func(service string) string
}

// embeddedStores are a PostgreSQL and a NATS of this process, which stay.
func embeddedStores(t testing.TB) stores {
	t.Helper()
	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(pgtest.Folder(t), "pg"), Ephemeral: true, Logins: logins()})
	if err != nil {
		missing(t, "PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.Background()) })
	nats, err := busserver.Start(busserver.Config{Dir: t.TempDir(), Users: busUsers()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Stop)
	urls, err := makeDatabases(t.Context(), pg)
	if err != nil {
		t.Fatal(err)
	}
	return stores{databases: urls, bus: nats.URL(), admin: func(service string) string { return pg.AdminURL(databaseName(service)) }}
}

// logins are the services' roles, which are called as their databases.
func logins() (names []string) {
	for _, n := range databaseNames {
		names = append(names, databaseName(n))
	}
	return names
}

// makeDatabases makes each service's database, if it is not there, and gives
// its URLs.
func makeDatabases(ctx context.Context, pg *pgserver.Server) (map[string]postgres.URLs, error) {
	urls := map[string]postgres.URLs{}
	for _, n := range databaseNames {
		db := databaseName(n)
		if err := pg.CreateDatabase(ctx, db, db); err != nil {
			return nil, err
		}
		urls[n] = pg.URLs(db, db)
	}
	return urls, nil
}

func databaseName(service string) string {
	return "gatehouse_" + strings.ReplaceAll(service, "-", "_")
}

// operator is a user of the bus who may do everything.
const operator = "operator"

// busUsers are the users of the bus, with their names as passwords.
func busUsers() []busauth.User {
	users := []busauth.User{busauth.Operator(operator, operator), busauth.Listener("gateway", "gateway")}
	for _, n := range databaseNames {
		users = append(users, busauth.Service(n, n))
	}
	return users
}

// busURL is the address of the bus for one of its users.
func busURL(raw, user string) string { return strings.Replace(raw, "://", "://"+user+":"+user+"@", 1) }

// installation is what gatehouse init has made, in a folder.
type installation struct{ dir string }

// aProgram is the part of it of a program of the organization's.
const aProgram = "programs/catalog-reader"

func newInstallation(t testing.TB) installation {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command(program(t, "gatehouse.dev/services/standalone/cmd"), "init", "-dir", dir, "-program", filepath.Base(aProgram)).CombinedOutput(); err != nil { //nolint:noctx // is quick
		t.Fatalf("gatehouse init: %v: %s", err, out)
	}
	return installation{dir}
}

// env are the settings of a service.
func (i installation) env(t testing.TB, service string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(i.dir, service, "env"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// setting is one of a service's.
func (i installation) setting(t testing.TB, service, name string) string {
	t.Helper()
	for _, line := range i.env(t, service) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	t.Fatalf("%s has no %s", service, name)
	return ""
}

// client is how whoever has a part of it calls services.
func (i installation) client(t testing.TB, part string) *tls.Config {
	t.Helper()
	of := func(file string) string { return filepath.Join(i.dir, part, file) }
	_, client, err := rpc.LoadTLS(of("tls.crt"), of("tls.key"), of("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func startCluster(t testing.TB, s stores) *cluster {
	t.Helper()
	ports := bustest.FreeAddrs(t, 3*len(clusterNames))
	grpc, web, inner := map[string]string{}, map[string]string{}, map[string]string{}
	for i, n := range clusterNames {
		grpc[n], web[n], inner[n] = ports[3*i], ports[3*i+1], ports[3*i+2]
	}
	c := &cluster{base: "http://" + web["gateway"], grpc: grpc, inner: inner, installation: newInstallation(t), services: map[string]*member{}, test: t}
	for _, n := range clusterNames {
		// What is said later goes before: where things are on this machine.
		env := append(c.installation.env(t, n),
			"GATEHOUSE_GRPC_ADDR="+grpc[n], "GATEHOUSE_HTTP_ADDR="+web[n], "GATEHOUSE_INNER_ADDR="+inner[n],
			"GATEHOUSE_NATS_URL="+busURL(s.bus, n),
			"GATEHOUSE_IDENTITY_ADDR="+grpc["identity-sync"], "GATEHOUSE_IDENTITY_HTTP_ADDR="+web["identity-sync"],
			"GATEHOUSE_REQUEST_ADDR="+grpc["request"], "GATEHOUSE_APPROVAL_ADDR="+grpc["approval"],
			"GATEHOUSE_PROVISIONING_ADDR="+grpc["provisioning"], "GATEHOUSE_AUDIT_ADDR="+grpc["audit"],
			"GATEHOUSE_ALLOW_SIGN_UP=true", "GATEHOUSE_DEV_SIGN_IN=true", "GATEHOUSE_LOG_LEVEL=warn", "GATEHOUSE_POSTGRES_MAX_CONNS=12",
			"GATEHOUSE_OUTGOING_ALLOW=127.0.0.0/8", "GATEHOUSE_RATE_LIMITS=false",
		)
		if urls, ok := s.databases[n]; ok {
			env = append(env, "GATEHOUSE_POSTGRES_URL="+urls.URL, "GATEHOUSE_POSTGRES_SYSTEM_URL="+urls.SystemURL, "GATEHOUSE_POSTGRES_OWNER_URL="+urls.OwnerURL)
		}
		c.services[n] = &member{bin: program(t, "gatehouse.dev/services/"+n+"/cmd"), env: env}
	}
	for _, m := range c.services {
		m.proc = start(t, m.bin, m.env...)
	}
	waitReady(t, c.base)
	return c
}

// restart has a service begin again, with settings that go before those it had.
func (c *cluster) restart(t testing.TB, service string, env ...string) {
	t.Helper()
	m := c.services[service]
	m.proc.stop(t)
	m.env = append(m.env, env...)
	c.startAgain(t, service)
}

// startAgain starts a service that was stopped, and waits until it is ready.
func (c *cluster) startAgain(t testing.TB, service string) {
	t.Helper()
	m := c.services[service]
	m.proc = start(c.test, m.bin, m.env...)
	waitReady(t, "http://"+c.inner[service])
}

// stop ends the services, before what they keep their data in.
func (c *cluster) stop(t testing.TB) {
	t.Helper()
	var wg sync.WaitGroup
	for _, m := range c.services {
		wg.Go(func() { m.proc.stop(t) })
	}
	wg.Wait()
}
