//go:build containers

package e2e_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/jackc/pgx/v5"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/rpc"
)

// top is the top of the repository.
const top = "../../.."

// containers is the demo in containers: what the compose files say, run with podman.
// PostgreSQL is the machine's, with the arguments of the compose file, and a receiver
// of this process stands in for the collector.
type containers struct {
	project *types.Project
	// run begins the names of this run's containers and volumes.
	run string
	// base is the gateway.
	base string
	// settings is what PostgreSQL finds at /etc/gatehouse, and its port.
	settings, pgPort, pgSocket string
	traces                     *traces
}

// TestContainers brings the demo up in containers, with all that confines them, and
// lives in it: the README's walk, a request that goes on while NATS and two services are
// killed with SIGKILL, a founder's link, and what must be refused.
//
// make containers runs it. Where no container can be run it says so and is skipped; in
// CI it fails.
// B-RUN-02, in part: not at random moments. B-RUN-01, in part: the walk is that of the
// one-process form.
func TestContainers(t *testing.T) {
	c := prepareContainers(t)
	c.init(t)
	before := c.files(t, "init")
	c.startPostgres(t)
	c.roles(t)
	c.startTraces(t)
	c.start(t, "nats")
	for _, n := range clusterNames {
		c.start(t, n, "GATEHOUSE_RATE_LIMITS=false") // this test calls more often than anybody may
	}
	for _, n := range clusterNames {
		c.healthy(t, n)
	}
	c.start(t, "demo")

	t.Run("confined", c.confined)
	t.Run("walk", func(t *testing.T) { walk(t, c.base) })
	t.Run("killed", c.killed)
	t.Run("founder", c.founder)
	t.Run("encrypted", c.encrypted)
	t.Run("init again", func(t *testing.T) {
		c.init(t)
		if after := c.files(t, "init"); !maps.Equal(before, after) {
			t.Errorf("init has changed what was there: %v", different(before, after))
		}
		c.roles(t)
		c.podman(t, "restart", "--time", "20", c.name("request"))
		c.healthy(t, "request")
	})
	t.Run("refused", c.refused)
	t.Run("traces", c.traces.check)
}

// report is what make containers shows.
func report(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	name := os.Getenv("GATEHOUSE_CONTAINERS_REPORT")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(line + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// notHere skips the test for a reason that make containers shows. In CI nothing is
// skipped: there it fails.
func notHere(t testing.TB, format string, args ...any) {
	t.Helper()
	report(t, "NO CONTAINER WAS RUN: "+format, args...)
	missing(t, format, args...)
}

// prepareContainers builds the images and reads the compose files, if this machine can
// run containers.
func prepareContainers(t *testing.T) *containers {
	t.Helper()
	if os.Geteuid() != 0 {
		notHere(t, "it takes root")
	}
	for _, program := range []string{"podman", runtime, "psql"} {
		if _, err := exec.LookPath(program); err != nil {
			notHere(t, "it takes podman, runc and psql (Debian: apt-get install podman runc containernetworking-plugins postgresql): %v", err)
		}
	}
	built, err := filepath.Abs(filepath.Join(top, ".bin", "images"))
	if err != nil {
		t.Fatal(err)
	}
	script := func(name string) {
		t.Helper()
		began := time.Now()
		if out, err := exec.CommandContext(t.Context(), filepath.Join(top, "deploy", name), built).CombinedOutput(); err != nil {
			t.Fatalf("deploy/%s: %v: %s", name, err, tail(out, 4000))
		}
		t.Logf("deploy/%s: %s", name, time.Since(began).Round(time.Second))
	}
	script("build.sh")
	c := &containers{run: "gatehouse-" + newUUID()[:8]}
	// A machine that cannot run anything is told from programs that do not run in theirs.
	if out, err := exec.CommandContext(t.Context(), filepath.Join(built, "bin", "nats-server"), "--version").CombinedOutput(); err != nil {
		t.Fatalf("nats-server --version: %v: %s", err, out)
	}
	trial := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", `tar -C "$1" -c nats-server | podman import --quiet - "$2" >/dev/null; `+
		`podman `+strings.Join(engine, " ")+` run --rm --network host `+strings.Join(limits, " ")+` "$2" /nats-server --version`, "trial", filepath.Join(built, "bin"), "localhost/gatehouse/trial")
	if out, err := trial.CombinedOutput(); err != nil || !strings.Contains(string(out), "nats-server") {
		notHere(t, "podman cannot run a container here: %v: %s", err, tail(out, 1000))
	}
	script("images.sh")
	c.load(t)
	t.Cleanup(func() { c.clean(t) })
	report(t, "Images, made of binaries without any registry, in MB:")
	for _, n := range append(slices.Clone(clusterNames), "gatehouse", "nats") {
		size, err := strconv.ParseFloat(strings.TrimSpace(c.podman(t, "image", "inspect", "--format", "{{.Size}}", "localhost/gatehouse/"+n)), 64)
		if err != nil {
			t.Fatal(err)
		}
		report(t, "  %-14s %5.1f", n, size/1e6)
	}
	report(t, "Run in containers: docker-compose.yaml with deploy/compose.demo.yaml, by podman and runc, on the host's network.")
	report(t, "Not tried: docker compose itself and its bridged networks (docker-compose.yaml without the demo); the images of PostgreSQL and of the collector"+
		" (in their place: the PostgreSQL of this machine with the arguments of the compose file, and a receiver of traces); building from source in an image with Go.")
	return c
}

// How containers run where there is no systemd, and cgroups are of two kinds.
const runtime = "/usr/sbin/runc"

var (
	engine = []string{"--cgroup-manager=cgroupfs"}
	limits = []string{"--runtime", runtime, "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--log-driver", "k8s-file"}
)

// load reads the compose files, with free ports in place of those of the demo.
func (c *containers) load(t testing.TB) {
	t.Helper()
	demo, err := os.ReadFile(filepath.Join(top, "deploy", "compose.demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`\b(8080|18\d{3})\b`)
	free := map[string]string{}
	for _, p := range port.FindAllString(string(demo), -1) {
		free[p] = ""
	}
	names := slices.Sorted(maps.Keys(free))
	for i, addr := range bustest.FreeAddrs(t, len(names)) {
		_, free[names[i]], _ = net.SplitHostPort(addr)
	}
	demo = port.ReplaceAllFunc(demo, func(p []byte) []byte { return []byte(free[string(p)]) })
	c.base, c.pgPort = "http://127.0.0.1:"+free["8080"], free["18101"]
	c.project, err = loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  top,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(top, "docker-compose.yaml")}, {Filename: "demo", Content: demo}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) { o.SetProjectName(c.run, true) })
	if err != nil {
		t.Fatal(err)
	}
}

func (c *containers) name(service string) string { return c.run + "-" + service }

// podman runs a command of podman that has to succeed, and gives what it says.
func (c *containers) podman(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("podman %s: %v: %s", strings.Join(args, " "), err, tail(out, 4000))
	}
	return string(out)
}

func (c *containers) command(args ...string) *exec.Cmd {
	return exec.Command("podman", append(slices.Clone(engine), args...)...) //nolint:noctx // the cleanup ends what it starts
}

// clean removes containers and volumes, and shows what they said if the test failed.
func (c *containers) clean(t testing.TB) {
	for n := range c.project.Services {
		if t.Failed() {
			if out, err := c.command("logs", "--tail", "30", c.name(n)).CombinedOutput(); err == nil {
				t.Logf("log of %s:\n%s", n, tail(out, 6000))
			}
		}
		_ = c.command("rm", "--force", "--time", "5", c.name(n)).Run()
	}
	for n := range c.project.Volumes {
		_ = c.command("volume", "rm", "--force", c.name(n)).Run()
	}
	_ = c.command("image", "rm", "localhost/gatehouse/trial").Run()
}

// arguments are those with which podman runs a service as compose would. More settings
// go before the service's own.
func (c *containers) arguments(t testing.TB, service string, env ...string) []string {
	t.Helper()
	s, err := c.project.GetService(service)
	if err != nil {
		t.Fatal(err)
	}
	// Podman would mount folders that can be written to.
	args := append(slices.Clone(limits), "--read-only="+strconv.FormatBool(s.ReadOnly), "--read-only-tmpfs=false", "--user", s.User, "--network", s.NetworkMode)
	for _, v := range s.CapDrop {
		args = append(args, "--cap-drop", v)
	}
	for _, v := range s.SecurityOpt {
		args = append(args, "--security-opt", strings.TrimSuffix(v, ":true")) // as podman has it
	}
	for name, addrs := range s.ExtraHosts {
		args = append(args, "--add-host", name+":"+addrs[0])
	}
	for name, value := range s.Environment {
		args = append(args, "--env", name+"="+*value)
	}
	for _, v := range env {
		args = append(args, "--env", v)
	}
	for _, v := range s.Volumes {
		options := "rw"
		if v.ReadOnly {
			options = "ro"
		}
		args = append(args, "--volume", c.name(v.Source)+":"+v.Target+":"+options)
	}
	return slices.Concat(args, []string{s.Image}, s.Command)
}

// start runs a service in the background.
func (c *containers) start(t testing.TB, service string, env ...string) {
	t.Helper()
	c.podman(t, append([]string{"run", "--detach", "--name", c.name(service)}, c.arguments(t, service, env...)...)...)
}

// healthy waits until the service's own health check passes.
func (c *containers) healthy(t testing.TB, service string) {
	t.Helper()
	s, err := c.project.GetService(service)
	if err != nil || s.HealthCheck == nil || s.HealthCheck.Test[0] != "CMD" {
		t.Fatalf("%s has no health check: %v", service, err)
	}
	until(t, "health of "+service, func() string {
		out, err := c.command(append([]string{"exec", c.name(service)}, s.HealthCheck.Test[1:]...)...).CombinedOutput()
		if err == nil {
			return ""
		}
		return string(out)
	}, func(said string) bool { return said == "" })
}

// init runs gatehouse init, as compose does at every start.
func (c *containers) init(t testing.TB) {
	t.Helper()
	c.podman(t, append([]string{"run", "--rm", "--name", c.name("init")}, c.arguments(t, "init")...)...)
}

// volume is where a volume is on this machine.
func (c *containers) volume(t testing.TB, name string) string {
	t.Helper()
	return strings.TrimSpace(c.podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", c.name(name)))
}

// files are the sums of all that a service's volumes hold, which nobody but its user
// may read.
func (c *containers) files(t testing.TB, service string) map[string][32]byte {
	t.Helper()
	s, err := c.project.GetService(service)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string][32]byte{}
	for _, v := range s.Volumes {
		err := filepath.WalkDir(c.volume(t, v.Source), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode().Perm() != 0o600 || owner != 65532 {
				t.Errorf("%s is %v of user %d", path, info.Mode(), owner)
			}
			b, err := os.ReadFile(path)
			sums[v.Source+strings.TrimPrefix(path, c.volume(t, v.Source))] = sha256.Sum256(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(sums) < 40 {
		t.Errorf("init has made %d files", len(sums))
	}
	return sums
}

func different(a, b map[string][32]byte) (names []string) {
	for name := range b {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	return names
}

// startPostgres runs the PostgreSQL of this machine as the compose file says.
func (c *containers) startPostgres(t testing.TB) {
	t.Helper()
	dir := pgtest.Folder(t)
	c.settings = filepath.Join(dir, "settings")
	if err := os.CopyFS(c.settings, os.DirFS(c.volume(t, "settings-postgres"))); err != nil {
		t.Fatal(err)
	}
	s, err := c.project.GetService("postgres")
	if err != nil {
		t.Fatal(err)
	}
	c.pgSocket = filepath.Join(dir, "socket")
	c.runPostgres(t, dir, "PGPORT="+*s.Environment["PGPORT"], strings.Split(strings.ReplaceAll(strings.Join(s.Command[1:], "\n"), "/etc/gatehouse", c.settings), "\n")...)
}

// runPostgres runs a PostgreSQL, whose superuser has the password of the settings, in a
// folder until the test ends.
func (c *containers) runPostgres(t testing.TB, dir, env string, args ...string) {
	t.Helper()
	bin, err := pgserver.Find(t.Context(), pgserver.Places(), 0)
	if err != nil {
		notHere(t, "%v", err)
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			t.Fatal(err)
		}
	}
	uid, uidErr := strconv.Atoi(who.Uid)
	gid, gidErr := strconv.Atoi(who.Gid)
	if err := errors.Join(uidErr, gidErr, os.MkdirAll(filepath.Join(dir, "socket"), 0o700)); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return errors.Join(err, os.Chown(path, uid, gid))
	})
	if err != nil {
		t.Fatal(err)
	}
	as := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}} //nolint:gosec // ids are small
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(t.Context(), filepath.Join(bin.Dir, "initdb"), "-D", data, "-U", "postgres", "--auth=scram-sha-256",
		"--pwfile="+filepath.Join(dir, "settings", "password"), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	said, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(filepath.Join(bin.Dir, "postgres"), append([]string{"-D", data, "-k", filepath.Join(dir, "socket"), "-cfsync=off"}, args...)...) //nolint:noctx // ended by the cleanup
	server.Dir, server.SysProcAttr, server.Env = dir, as, append(os.Environ(), env)
	server.Stdout, server.Stderr = said, said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		_ = server.Wait()
		said.Close()
		if t.Failed() {
			b, _ := os.ReadFile(said.Name())
			t.Logf("log of PostgreSQL:\n%s", tail(b, 3000))
		}
	})
}

// roles runs what the compose file runs, with the psql of this machine.
func (c *containers) roles(t testing.TB) {
	t.Helper()
	s, err := c.project.GetService("roles")
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.ReplaceAll(strings.Join(s.Command, "\n"), "/etc/gatehouse", c.settings), "\n")
	until(t, "roles", func() string {
		psql := exec.CommandContext(t.Context(), s.Entrypoint[0], args...)
		// Where the name leads that the certificate is for.
		psql.Env = append(os.Environ(), "PGPORT="+*s.Environment["PGPORT"], "PGHOSTADDR=127.0.0.1", "PGCONNECT_TIMEOUT=10")
		if out, err := psql.CombinedOutput(); err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return ""
	}, func(said string) bool {
		if said != "" && !strings.Contains(said, "Connection refused") && !strings.Contains(said, "starting up") {
			t.Fatalf("roles: %s", said)
		}
		return said == ""
	})
}

// confined looks at what runs: no root, no capability, nothing to write to, no shell.
func (c *containers) confined(t *testing.T) {
	t.Helper()
	for _, n := range append(slices.Clone(clusterNames), "nats", "demo") {
		pid := strings.TrimSpace(c.podman(t, "inspect", "--format", "{{.State.Pid}}", c.name(n)))
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\nUid:\t65532\t65532\t65532\t65532\n", "\nCapPrm:\t0000000000000000\n", "\nCapEff:\t0000000000000000\n", "\nCapBnd:\t0000000000000000\n", "\nNoNewPrivs:\t1\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("%s: not %q", n, want)
			}
		}
		mounts, err := os.ReadFile("/proc/" + pid + "/mounts")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(mounts)) {
			field := strings.Fields(line)
			// Besides data, what the engine brings.
			if !strings.HasPrefix(field[3]+",", "ro,") && !regexp.MustCompile(`^/(data$|proc|sys|dev|etc/(hosts|hostname|resolv\.conf)$|run/\.containerenv$)`).MatchString(field[1]) {
				t.Errorf("%s can write to %s", n, field[1])
			}
		}
		if out, err := c.command("exec", c.name(n), "/bin/sh").CombinedOutput(); err == nil {
			t.Errorf("%s has a shell: %s", n, out)
		}
	}
}

// killed lives one request while what it needs is killed with SIGKILL at each step and
// started again, and reads its trail.
func (c *containers) killed(t *testing.T) {
	t.Helper()
	w := &world{gh: &standalone{base: c.base}}
	as := func(name string) api {
		t.Helper()
		s := api{base: c.base}.must(t, "POST", "/v1/sessions:devSignIn", object{"userName": name + "@demo.example"})
		return api{base: c.base, token: str(s, "token")}
	}
	kill := func(service string) { c.podman(t, "kill", "--signal", "KILL", c.name(service)) }
	again := func(service string) { c.podman(t, "start", c.name(service)) }
	w.admin = as("ada")
	alan, grace, katherine := as("alan"), as("grace"), as("katherine")
	app := str(w.admin.must(t, "GET", "/v1/apps?query=Tidepool", nil), "apps", 0, "id")
	channel := ""
	for _, e := range list(w.admin.must(t, "GET", "/v1/apps/"+app+"/entitlements", nil), "entitlements") {
		if str(e, "name") == "Engineers channel" {
			channel = str(e, "id")
		}
	}

	request := w.ask(t, alan, "REQUEST_KIND_GRANT", channel)
	first := w.task(t, grace, request)
	kill("nats")
	grace.must(t, "POST", "/v1/tasks/"+first+":approve", object{}) // the outbox keeps what follows
	again("nats")
	second := w.task(t, katherine, request)
	kill("approval")
	again("approval")
	c.healthy(t, "approval")
	kill("provisioning")
	until(t, "the second approval", func() int {
		r, err := katherine.do(t.Context(), "POST", "/v1/tasks/"+second+":approve", object{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Code
	}, func(code int) bool { return code == http.StatusOK })
	if r, err := w.admin.do(t.Context(), "GET", "/v1/grants", nil); err != nil || r.Code != http.StatusServiceUnavailable {
		t.Errorf("provisioning is killed, and answers: %v %d", err, r.Code)
	}
	again("provisioning")
	w.requestState(t, request, "REQUEST_STATE_FULFILLED")
	w.trail(t, request, "request.submitted", "approval.granted", "grant.activated", "request.closed")
	if got := list(until(t, "grants", func() object {
		r, err := w.admin.do(t.Context(), "GET", "/v1/grants?requestId="+request, nil)
		if err != nil || r.Code != http.StatusOK {
			return nil
		}
		return r.JSON
	}, func(o object) bool { return o != nil }), "grants"); len(got) != 1 || str(got[0], "state") != "GRANT_STATE_ACTIVE" {
		t.Errorf("grants: %s", brief(got))
	}
	for format, begins := range map[string]string{"csv": "", "xlsx": "PK", "pdf": "%PDF"} {
		r, err := w.admin.do(t.Context(), "GET", "/v1/requests/"+request+"/report?format="+format, nil)
		if err != nil || r.Code != http.StatusOK || !strings.HasPrefix(string(r.Raw), begins) {
			t.Errorf("report as %s: %v %d", format, err, r.Code)
		}
		if format == "csv" {
			if rows, err := csv.NewReader(strings.NewReader(string(r.Raw))).ReadAll(); err != nil || len(rows) < 5 {
				t.Errorf("the CSV has %d rows: %v", len(rows), err)
			}
		}
	}
	w.nothingParked(t)
}

// founder gets in by a link that is made in the container of identity-sync.
func (c *containers) founder(t *testing.T) {
	t.Helper()
	signInByLink(t, c.base, "ada@demo.example", c.command("exec", c.name("identity-sync"), "identity-sync", "sign-in-link", "ada@demo.example"))
}

// encrypted asks PostgreSQL who is connected how, and NATS who it takes.
func (c *containers) encrypted(t *testing.T) {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(c.settings, "password"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres password=%s", c.pgSocket, c.pgPort, strings.TrimSpace(string(password))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var all, plain, super int
	err = conn.QueryRow(t.Context(), `
select count(*), count(*) filter (where not s.ssl or s.version <> 'TLSv1.3'), count(*) filter (where r.rolsuper)
from pg_stat_activity a join pg_stat_ssl s on s.pid = a.pid join pg_roles r on r.oid = a.usesysid
where a.datname like 'gatehouse\_%'`).Scan(&all, &plain, &super)
	if err != nil || all < 10 || plain > 0 || super > 0 {
		t.Errorf("of %d connections %d are not TLS 1.3, and %d a superuser's: %v", all, plain, super, err)
	}
	plainly, err := pgx.Connect(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%s user=postgres dbname=postgres sslmode=disable password=%s", c.pgPort, strings.TrimSpace(string(password))))
	if err == nil || !strings.Contains(err.Error(), "no encryption") {
		t.Errorf("PostgreSQL takes plain text: %v", err)
	}
	if err == nil {
		_ = plainly.Close(t.Context())
	}
}

// refused starts services that must not start, each for its reason.
func (c *containers) refused(t *testing.T) {
	t.Helper()
	ports := bustest.FreeAddrs(t, 3)
	elsewhere := []string{"GATEHOUSE_GRPC_ADDR=" + ports[0], "GATEHOUSE_HTTP_ADDR=" + ports[1], "GATEHOUSE_INNER_ADDR=" + ports[2]}
	ends := func(what, want, service string, settings ...string) {
		t.Helper()
		name := c.name("refused")
		defer time.AfterFunc(patience, func() { _ = c.command("rm", "--force", "--time", "0", name).Run() }).Stop()
		args := append([]string{"run", "--rm", "--name", name}, c.arguments(t, service, append(slices.Clone(elsewhere), settings...)...)...)
		out, err := c.command(args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, it says %s", what, err, tail(out, 1500))
		}
	}
	env, noTLS := c.env(t, "audit"), []string{"GATEHOUSE_TLS_CERT=", "GATEHOUSE_TLS_KEY=", "GATEHOUSE_TLS_CA="}
	ends("no settings", "GATEHOUSE_ENV_FILE", "audit", "GATEHOUSE_ENV_FILE=/etc/gatehouse/none")
	ends("a certificate that is not there", "/etc/gatehouse/none.crt", "audit", "GATEHOUSE_TLS_CERT=/etc/gatehouse/none.crt")
	ends("no certificate", "would be spoken to in plain text", "audit", noTLS...)
	ends("no certificate, open to all", "it is for loopback addresses only", "audit", append(noTLS, "GATEHOUSE_GRPC_ADDR=0.0.0.0:0")...)
	ends("the development sign-in, open to all", "lets anybody be anybody", "gateway", "GATEHOUSE_HTTP_ADDR=0.0.0.0:0")
	ends("a bus in plain text", "GATEHOUSE_NATS_URL is on another machine", "audit", "GATEHOUSE_NATS_URL="+strings.Replace(env["GATEHOUSE_NATS_URL"], "tls://", "nats://", 1))
	ends("a wrong password at the bus", "Authorization Violation", "audit", "GATEHOUSE_NATS_URL="+regexp.MustCompile(`//audit:[^@]*@`).ReplaceAllString(env["GATEHOUSE_NATS_URL"], "//audit:wrong@"))
	const owner = "GATEHOUSE_POSTGRES_OWNER_URL"
	ends("a database in plain text", owner+" is on another machine, and would be spoken to in plain text", "audit",
		owner+"="+regexp.MustCompile(`\?.*`).ReplaceAllString(env[owner], "?sslmode=disable"))
	ends("a wrong password at the database", "password authentication failed", "audit", owner+"="+regexp.MustCompile(`owner:[^@]*@`).ReplaceAllString(env[owner], "owner:wrong@"))

	// A PostgreSQL that speaks no TLS, where one is expected that does.
	dir := pgtest.Folder(t)
	if err := os.CopyFS(filepath.Join(dir, "settings"), os.DirFS(c.settings)); err != nil {
		t.Fatal(err)
	}
	addr := bustest.FreeAddrs(t, 1)[0]
	_, port, _ := net.SplitHostPort(addr)
	c.runPostgres(t, dir, "PGPORT="+port, "-clisten_addresses=127.0.0.1")
	until(t, "the other PostgreSQL", func() string {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return err.Error()
		}
		conn.Close()
		return ""
	}, func(said string) bool { return said == "" })
	ends("a database without TLS", "server refused TLS connection", "audit", owner+"="+strings.Replace(env[owner], ":"+c.pgPort+"/", ":"+port+"/", 1))
}

// env are the settings of a service that init has made.
func (c *containers) env(t testing.TB, service string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.volume(t, "settings-"+service), "env"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	return values
}

// traces takes traces as the collector does: from those with a certificate.
type traces struct {
	collectorpb.UnimplementedTraceServiceServer

	mu       sync.Mutex
	services map[string]map[string]bool // of a trace
}

func (c *containers) startTraces(t testing.TB) {
	t.Helper()
	s, err := c.project.GetService("collector")
	if err != nil {
		t.Fatal(err)
	}
	of := func(file string) string { return filepath.Join(c.volume(t, "settings-collector"), file) }
	server, _, err := rpc.LoadTLS(of("tls.crt"), of("tls.key"), of("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if server.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Fatal("anybody may send traces")
	}
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", *s.Environment["COLLECTOR_ADDR"])
	if err != nil {
		t.Fatal(err)
	}
	c.traces = &traces{services: map[string]map[string]bool{}}
	srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(server)))
	collectorpb.RegisterTraceServiceServer(srv, c.traces)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(lis)
	}()
	t.Cleanup(func() { srv.Stop(); <-done })
}

// Export takes spans.
func (r *traces) Export(_ context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, from := range req.GetResourceSpans() {
		service := ""
		for _, a := range from.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range from.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := string(span.GetTraceId())
				if r.services[id] == nil {
					r.services[id] = map[string]bool{}
				}
				r.services[id][service] = true
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// check waits until one trace is known that all services have a part in.
func (r *traces) check(t *testing.T) {
	t.Helper()
	until(t, "a trace through all services", func() (most int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, services := range r.services {
			most = max(most, len(services))
		}
		return most
	}, func(most int) bool { return most == len(clusterNames) })
}
