package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
)

// root is the repository.
const root = "../../.."

var (
	docBlock = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```")
	docFile  = regexp.MustCompile("`([\\w.-]+)`:\\s+$")
)

// docScript is a page of docs/ as a shell script: its shell blocks, and its others
// written to the files that are named before them.
func docScript(t testing.TB, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	blocks := docBlock.FindAllSubmatchIndex(text, -1)
	if len(blocks) < 4 {
		t.Fatalf("%s has %d blocks", page, len(blocks))
	}
	for _, b := range blocks {
		language, body := string(text[b[2]:b[3]]), string(text[b[4]:b[5]])
		if language == "sh" {
			script.WriteString(body)
			continue
		}
		file := docFile.FindSubmatch(text[:b[0]])
		if file == nil {
			t.Fatalf("%s: a block of %s has no file: %.60s", page, language, body)
		}
		fmt.Fprintf(&script, "cat >%s <<'END_OF_FILE'\n%sEND_OF_FILE\n", file[1], body)
	}
	return script.String()
}

// runDoc runs a script as somebody does who pastes it, in an empty folder.
func runDoc(t testing.TB, page, script string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail\n"+script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false"), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	if nodeModules, err := filepath.Abs("docs/node_modules"); err != nil {
		t.Fatal(err)
	} else if err := os.Symlink(nodeModules, filepath.Join(cmd.Dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docs/%s stops: %v\n%s", page, err, tail(out, 6000))
	}
}

// npmIsDone stands for the packages being there: those of docs/ are installed from
// the lock file beside this test, whose versions are the pages'.
const npmIsDone = "npm() { :; }\n"

// installDocs installs them.
func installDocs(t testing.TB) {
	t.Helper()
	dir, err := filepath.Abs("docs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		install(t, dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var have struct{ Dependencies, DevDependencies map[string]string }
	if err := json.Unmarshal(b, &have); err != nil {
		t.Fatal(err)
	}
	pages := ""
	for _, page := range []string{"web-client.md", "events.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		pages += string(text)
	}
	for _, of := range []map[string]string{have.Dependencies, have.DevDependencies} {
		for name, version := range of {
			if !strings.Contains(pages, `"`+name+`": "`+version+`"`) && !strings.Contains(pages, name+"@"+version) {
				t.Errorf("no page installs %s %s", name, version)
			}
		}
	}
}

// TestDocs runs every line of the pages for those who build on Gatehouse.
func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	installDocs(t)
	source, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	bin := program(t, "gatehouse.dev/services/standalone/cmd")
	gh := runStandalone(t, bin, dataDir(t), "GATEHOUSE_DEMO=true", "GATEHOUSE_RATE_LIMITS=true")
	demoFacts(t, gh.base)
	// One after the other, as each keeps the machine busy.
	for _, page := range []string{"go-service.md", "web-client.md"} {
		t.Run(page, func(t *testing.T) {
			runDoc(t, page, npmIsDone+docScript(t, page), "GATEHOUSE="+gh.base, "SOURCE="+source, "DATA="+gh.data)
		})
	}
	gh.stop(t)

	t.Run("events.md", func(t *testing.T) {
		// It starts Gatehouse again, with settings: on the same data, where the page says
		// make run.
		prelude := npmIsDone + `
make() { echo $BASHPID >pid; exec "$GATEHOUSE_BIN" >log 2>&1; }
stop() { kill "$(cat pid)"; while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.1; done; }
trap 'stop || true; tail -n 20 log' EXIT
trap 'exit 1' TERM
make run &
until curl -sf -o /dev/null "$GATEHOUSE/readyz"; do sleep 0.2; done
`
		script := docScript(t, "events.md")
		if strings.Count(script, "make -C") != 1 {
			t.Fatal("events.md does not start Gatehouse once")
		}
		script = strings.Replace(script, "make -C", "stop\nmake -C", 1) // the page says so in words
		addrs := bustest.FreeAddrs(t, 2)
		runDoc(t, "events.md", prelude+script, "GATEHOUSE=http://"+addrs[0], "GATEHOUSE_HTTP_ADDR="+addrs[0], "NATS_ADDR="+addrs[1],
			"SOURCE="+source, "GATEHOUSE_BIN="+bin, "GATEHOUSE_DATA_DIR="+gh.data)
	})
}

// TestDocsOperate runs every line of the page for those who run Gatehouse: six
// processes, a PostgreSQL and a NATS server of its own.
func TestDocsOperate(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	for _, tool := range []string{"psql", "pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%v", err)
		}
	}
	bin := t.TempDir()
	for _, n := range append([]string{"standalone"}, clusterNames...) {
		name := n
		if n == "standalone" {
			name = "gatehouse"
		}
		if err := os.Symlink(program(t, "gatehouse.dev/services/"+n+"/cmd"), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "nats-server"), "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v: %s", err, out)
	}
	roles := logins()
	for _, n := range logins() {
		roles = append(roles, n+"_owner")
	}
	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(pgtest.Folder(t), "pg"), Ephemeral: true, Logins: roles})
	if err != nil {
		missing(t, "PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
	// Its socket, as the host of an address.
	admin, err := url.Parse(pg.AdminURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	at := url.PathEscape(admin.Query().Get("host")) + ":" + admin.Query().Get("port")
	superuser := "postgres://" + admin.User.Username() + "@" + at + "/postgres"
	prelude := "trap 'kill $(cat *.pid) 2>/dev/null || true; wait; tail -n 3 *.log' EXIT\ntrap 'exit 1' TERM\n"
	runDoc(t, "operate.md", prelude+docScript(t, "operate.md"), "PATH="+bin+":"+os.Getenv("PATH"),
		"PG="+at, "PG_SUPERUSER="+superuser, "NATS="+bustest.FreeAddrs(t, 1)[0], fmt.Sprint("BASE=", freePorts(t, 60)))
}

// freePorts is the first of n ports in a row that nobody listens on.
func freePorts(t testing.TB, n int) int {
	t.Helper()
	for base := 12_000 + os.Getpid()%100*100; base < 32_000; base += n {
		taken := false
		for p := base; p < base+n && !taken; p++ {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprint("127.0.0.1:", p))
			if taken = err != nil; !taken {
				_ = l.Close()
			}
		}
		if !taken {
			return base
		}
	}
	t.Fatalf("no %d ports in a row are free", n)
	return 0
}
