package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
)

// cluster is Gatehouse with each service as a process of its own.
type cluster struct {
	base        string             // of the gateway
	grpc, inner map[string]string  // where each service listens
	authority   *rpctest.Authority // of their certificates
	services    map[string]*member
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
	return stores{databases: urls, bus: nats.URL()}
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
	users := []busauth.User{busauth.Operator(operator, operator)}
	for _, n := range databaseNames {
		users = append(users, busauth.Service(n, n))
	}
	return users
}

// busURL is the address of the bus for one of its users.
func busURL(raw, user string) string { return strings.Replace(raw, "://", "://"+user+":"+user+"@", 1) }

// eventSeed is the key that a service signs its events with.
func eventSeed(service string) string {
	seed := sha256.Sum256([]byte(service))
	return base64.StdEncoding.EncodeToString(seed[:])
}

func startCluster(t testing.TB, s stores) *cluster {
	t.Helper()
	ports := bustest.FreeAddrs(t, 3*len(clusterNames))
	grpc, web, inner := map[string]string{}, map[string]string{}, map[string]string{}
	for i, n := range clusterNames {
		grpc[n], web[n], inner[n] = ports[3*i], ports[3*i+1], ports[3*i+2]
	}
	secret := strings.Repeat("c", 32)
	clients := make([]string, 0, len(clusterNames))
	for _, n := range clusterNames {
		clients = append(clients, n+"="+secret)
	}
	keys := eventsig.Keys{}
	for _, n := range databaseNames {
		signer, err := eventsig.ParseSigner(eventSeed(n))
		if err != nil {
			t.Fatal(err)
		}
		keys[n] = append(keys[n], signer.PublicKey())
	}
	c := &cluster{base: "http://" + web["gateway"], grpc: grpc, inner: inner, authority: rpctest.NewAuthority(t), services: map[string]*member{}}
	for _, n := range clusterNames {
		cert, key := c.authority.Issue(t, t.TempDir(), n)
		env := []string{
			"GATEHOUSE_GRPC_ADDR=" + grpc[n], "GATEHOUSE_HTTP_ADDR=" + web[n], "GATEHOUSE_INNER_ADDR=" + inner[n],
			"GATEHOUSE_TLS_CERT=" + cert, "GATEHOUSE_TLS_KEY=" + key, "GATEHOUSE_TLS_CA=" + c.authority.File,
			"GATEHOUSE_NATS_URL=" + busURL(s.bus, n),
			"GATEHOUSE_IDENTITY_ADDR=" + grpc["identity-sync"], "GATEHOUSE_IDENTITY_HTTP_ADDR=" + web["identity-sync"],
			"GATEHOUSE_REQUEST_ADDR=" + grpc["request"], "GATEHOUSE_APPROVAL_ADDR=" + grpc["approval"],
			"GATEHOUSE_PROVISIONING_ADDR=" + grpc["provisioning"], "GATEHOUSE_AUDIT_ADDR=" + grpc["audit"],
			"GATEHOUSE_CLIENTS=" + strings.Join(clients, ","), "GATEHOUSE_CLIENT_ID=" + n, "GATEHOUSE_CLIENT_SECRET=" + secret,
			"GATEHOUSE_EVENT_KEY=" + eventSeed(n), "GATEHOUSE_EVENT_KEYS=" + keys.String(databaseNames...),
			"GATEHOUSE_ALLOW_SIGN_UP=true", "GATEHOUSE_DEV_SIGN_IN=true", "GATEHOUSE_LOG_LEVEL=warn", "GATEHOUSE_POSTGRES_MAX_CONNS=12",
			"GATEHOUSE_OUTGOING_ALLOW=127.0.0.0/8", "GATEHOUSE_RATE_LIMITS=false",
			"GATEHOUSE_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))),
		}
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

// stop ends the services, before what they keep their data in.
func (c *cluster) stop(t testing.TB) {
	t.Helper()
	var wg sync.WaitGroup
	for _, m := range c.services {
		wg.Go(func() { m.proc.stop(t) })
	}
	wg.Wait()
}
