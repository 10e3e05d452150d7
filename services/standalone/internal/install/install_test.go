package install_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/services/standalone/internal/install"
)

func config(dir string) install.Config {
	return install.Config{Dir: dir, Postgres: "db.example:5432", NATS: "bus.example:4222"}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// all is every file of a folder.
func all(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s is for others too: %v", path, info.Mode())
		}
		files[path] = read(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func settings(t *testing.T, dir, service string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(read(t, dir, service, "env")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || value == "" {
			t.Errorf("%s: %q", service, line)
		}
		values[name] = value
	}
	return values
}

// What is made goes together: certificates with the names of services, keys of events
// that verify each other, and no secret twice. A second run changes nothing.
func TestMake(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "init")
	if err := install.Make(config(dir)); err != nil {
		t.Fatal(err)
	}
	before := all(t, dir)
	if err := install.Make(config(dir)); err != nil {
		t.Fatal(err)
	}
	for path, text := range all(t, dir) {
		if before[path] != text {
			t.Errorf("a second run changed %s", path)
		}
	}
	for _, n := range []string{"postgres", "nats", "collector", "operator"} {
		of := func(file string) string { return filepath.Join(dir, n, file) }
		if _, _, err := rpc.LoadTLS(of("tls.crt"), of("tls.key"), of("ca.crt")); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	superuser := strings.TrimSpace(read(t, dir, "postgres", "password"))
	if len(superuser) < 32 || read(t, dir, "postgres", "pgpass") != "*:*:*:postgres:"+superuser+"\n" {
		t.Errorf("the superuser's password is %q", superuser)
	}
	seen := map[string]string{superuser: "the superuser"}
	for _, n := range append(authz.Audiences(), "gateway") {
		s := settings(t, dir, n)
		server, _, err := rpc.LoadTLS(s["GATEHOUSE_TLS_CERT"], s["GATEHOUSE_TLS_KEY"], s["GATEHOUSE_TLS_CA"])
		if err != nil {
			t.Fatal(err)
		}
		cert, err := server.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil || !slices.Equal(cert.Leaf.DNSNames, []string{n}) {
			t.Errorf("%s: %v %v", n, cert.Leaf.DNSNames, err)
		}
		if n == "gateway" {
			continue
		}
		signer, err := eventsig.ParseSigner(s["GATEHOUSE_EVENT_KEY"])
		if err != nil {
			t.Fatal(err)
		}
		keys, err := eventsig.ParseKeys(s["GATEHOUSE_EVENT_KEYS"])
		if err != nil || len(keys) != 5 || !keys[n][0].Equal(signer.PublicKey()) {
			t.Errorf("%s: %v %v", n, keys, err)
		}
		for _, name := range []string{"GATEHOUSE_EVENT_KEY", "GATEHOUSE_CLIENT_SECRET", "GATEHOUSE_POSTGRES_URL", "GATEHOUSE_POSTGRES_SYSTEM_URL", "GATEHOUSE_POSTGRES_OWNER_URL", "GATEHOUSE_NATS_URL"} {
			if by, ok := seen[s[name]]; ok {
				t.Errorf("%s of %s is that of %s", name, n, by)
			}
			seen[s[name]] = n + " " + name
		}
		if !strings.Contains(settings(t, dir, "identity-sync")["GATEHOUSE_CLIENTS"], n+"="+s["GATEHOUSE_CLIENT_SECRET"]) {
			t.Errorf("identity-sync does not know %s", n)
		}
	}
}

// What is damaged is said, and not made anew over what is in use.
func TestMakeKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"secrets.json", "authority/ca.crt", "authority/ca.key"} {
		dir := filepath.Join(t.TempDir(), "init")
		if err := install.Make(config(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := all(t, dir)
		if err := install.Make(config(dir)); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v", file, err)
		}
		for path, text := range all(t, dir) {
			if before[path] != text {
				t.Errorf("%s is damaged, and %s was changed", file, path)
			}
		}
	}
}

// Wherever it was interrupted, the next run makes it whole.
func TestMakeAfterAnInterruption(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(dir string) error{
		"before the authority's certificate": func(dir string) error { return os.Remove(filepath.Join(dir, "authority", "ca.crt")) },
		"between key and certificate": func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, "audit", "tls.key"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "request", "tls.key"), b, 0o600)
		},
		"before the settings": func(dir string) error { return os.Remove(filepath.Join(dir, "request", "env")) },
	} {
		dir := filepath.Join(t.TempDir(), "init")
		if err := install.Make(config(dir)); err != nil {
			t.Fatal(err)
		}
		before := read(t, dir, "request", "env")
		if err := interrupt(dir); err != nil {
			t.Fatal(err)
		}
		if err := install.Make(config(dir)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if read(t, dir, "request", "env") != before {
			t.Errorf("%s: a secret is another", name)
		}
		s := settings(t, dir, "request")
		if _, err := tls.LoadX509KeyPair(s["GATEHOUSE_TLS_CERT"], s["GATEHOUSE_TLS_KEY"]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A NATS server takes its configuration, with TLS and the services as users.
func TestNATSConfig(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "init")
	if err := install.Make(config(dir)); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !o.JetStream || !o.SyncAlways || o.TLSConfig == nil || o.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert || len(o.Users) != 7 {
		t.Errorf("%+v", o)
	}
}

// A subscriber gets a user of the bus, a certificate and its address, and stays when
// init runs without naming it. One with the name of somebody else is refused, and
// nothing is changed.
func TestSubscribers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "init")
	organization := "0190163d-8694-739b-aea5-966c26f8ad91"
	with := config(dir)
	with.Subscribers = []string{"siem=" + organization}
	for _, cfg := range []install.Config{with, config(dir)} {
		if err := install.Make(cfg); err != nil {
			t.Fatal(err)
		}
		o, err := server.ProcessConfigFile(filepath.Join(dir, "nats", "nats.conf"))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(o.Users, func(u *server.User) bool { return u.Username == "siem" })
		if i < 0 || !slices.Contains(o.Users[i].Permissions.Subscribe.Allow, "access-json."+organization+".>") {
			t.Fatalf("users %v", o.Users)
		}
		if want := "NATS_URL=tls://siem:" + o.Users[i].Password + "@bus.example:4222\n"; read(t, dir, "subscribers", "siem", "env") != want {
			t.Errorf("env is %q, want %q", read(t, dir, "subscribers", "siem", "env"), want)
		}
		if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "subscribers", "siem", "tls.crt"), filepath.Join(dir, "subscribers", "siem", "tls.key")); err != nil {
			t.Error(err)
		}
	}
	before := all(t, dir)
	for _, bad := range []string{"audit=" + organization, "gateway=" + organization, "operator=" + organization, "other", "other=acme", "o.t=" + organization} {
		cfg := config(dir)
		cfg.Subscribers = []string{bad}
		if err := install.Make(cfg); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	for path, text := range all(t, dir) {
		if before[path] != text {
			t.Errorf("%s was changed", path)
		}
	}
}

// A program gets a certificate that is good for calling alone, and stays when init
// runs without naming it. A name that means somebody else is refused, and nothing is
// changed.
func TestPrograms(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "init")
	with := config(dir)
	with.Programs = []string{"catalog-reader"}
	if err := install.Make(with); err != nil {
		t.Fatal(err)
	}
	before := all(t, dir)
	of := func(file string) string { return filepath.Join(dir, "programs", "catalog-reader", file) }
	if _, _, err := rpc.LoadTLS(of("tls.crt"), of("tls.key"), of("ca.crt")); err != nil {
		t.Fatal(err)
	}
	if cert := certificate(t, of("tls.crt")); !slices.Equal(cert.DNSNames, []string{"catalog-reader"}) || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("names %v, uses %v", cert.DNSNames, cert.ExtKeyUsage)
	}
	for _, bad := range append(authz.Audiences(), "gateway", "operator", "postgres", "nats", "collector", "Request", "request.", "*", "a.b", "", "../request", "a/b") {
		cfg := config(dir)
		cfg.Programs = []string{bad}
		if err := install.Make(cfg); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := install.Make(config(dir)); err != nil {
		t.Fatal(err)
	}
	if after := all(t, dir); !maps.Equal(after, before) {
		t.Errorf("something was changed: %v", slices.Sorted(maps.Keys(after)))
	}
}

// In its last month a certificate is made anew, with a new key.
func TestRenew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "init")
	cfg := config(dir)
	cfg.Programs = []string{"catalog-reader"}
	if err := install.Make(cfg); err != nil {
		t.Fatal(err)
	}
	authority, err := tls.LoadX509KeyPair(filepath.Join(dir, "authority", "ca.crt"), filepath.Join(dir, "authority", "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for part, left := range map[string]time.Duration{
		"audit": 29 * day, "request": 31 * day, filepath.Join("programs", "catalog-reader"): 29 * day,
	} {
		file := filepath.Join(dir, part, "tls.crt")
		before := certificate(t, file)
		before.NotAfter = time.Now().Add(left)
		der, err := x509.CreateCertificate(rand.Reader, before, authority.Leaf, before.PublicKey, authority.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := install.Make(config(dir)); err != nil {
			t.Fatal(err)
		}
		after, err := tls.LoadX509KeyPair(file, filepath.Join(dir, part, "tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		ends := time.Until(after.Leaf.NotAfter)
		if renewed := ends > 300*day; renewed != (left < 30*day) || renewed == bytes.Equal(after.Leaf.RawSubjectPublicKeyInfo, before.RawSubjectPublicKeyInfo) {
			t.Errorf("%s, with %s left, ends in %s", part, left, ends)
		}
	}
}

// certificate reads one.
func certificate(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(read(t, file)))
	if block == nil {
		t.Fatalf("%s is no PEM", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A superuser makes the roles, and again: each service's may enter its database, and
// no other.
func TestRoles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "init")
	if err := install.Make(config(dir)); err != nil {
		t.Fatal(err)
	}
	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(pgtest.Folder(t), "pg"), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
	conn, err := pgx.Connect(t.Context(), pg.AdminURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	file := filepath.Join(dir, "postgres", "roles.sql")
	for range 2 {
		if psql, err := exec.LookPath("psql"); err == nil {
			if out, err := exec.CommandContext(t.Context(), psql, "-X", "-q", pg.AdminURL("postgres"), "-f", file).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			continue
		}
		runLikePsql(t, conn, read(t, file))
	}
	rows, err := conn.Query(t.Context(), `
select r.rolname, d.datname, pg_has_role(r.rolname, 'gatehouse_system', 'usage'), r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb
from pg_roles r cross join pg_database d
where r.rolname like 'gatehouse\_%' and r.rolcanlogin and d.datname like 'gatehouse\_%' and has_database_privilege(r.rolname, d.datname, 'connect')
order by 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	var may []string
	var role, database string
	var system, power bool
	_, err = pgx.ForEachRow(rows, []any{&role, &database, &system, &power}, func() error {
		if power || system != (role != database) {
			t.Errorf("%s: sees all %t, has powers %t", role, system, power)
		}
		may = append(may, role+" "+database)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, n := range []string{"approval", "audit", "identity_sync", "provisioning", "request"} {
		for _, kind := range []string{"", "_owner", "_system"} {
			want = append(want, "gatehouse_"+n+kind+" gatehouse_"+n)
		}
	}
	if !slices.Equal(may, want) {
		t.Errorf("got  %q\nwant %q", may, want)
	}
}

// runLikePsql does what psql would where it is missing: a line is a statement, and
// one that ends in \gexec gives statements to run.
func runLikePsql(t *testing.T, conn *pgx.Conn, script string) {
	t.Helper()
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		query, gives := strings.CutSuffix(line, `\gexec`)
		if line == "" || strings.HasPrefix(line, "--") || strings.HasPrefix(line, `\set`) {
			continue
		}
		statements := []string{query}
		if gives {
			rows, err := conn.Query(t.Context(), query)
			if err == nil {
				statements, err = pgx.CollectRows(rows, pgx.RowTo[string])
			}
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		for _, s := range statements {
			if _, err := conn.Exec(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
}
