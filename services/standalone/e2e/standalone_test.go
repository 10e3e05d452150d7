package e2e_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse.dev/libs/pgtest"
)

// dataDir is a folder for a standalone's data. A private PostgreSQL may be
// another user, who cannot enter t.TempDir.
func dataDir(t testing.TB) string {
	t.Helper()
	return filepath.Join(pgtest.Folder(t), "data")
}

// TestDemoSurvivesKill starts Gatehouse with the demo organization, kills it
// with SIGKILL and starts it again: all is still there, once.
//
// B-RUN-01, B-RUN-02.
func TestDemoSurvivesKill(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	bin, data := program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t)
	s := runStandalone(t, bin, data, "GATEHOUSE_DEMO=true")
	before := demoFacts(t, s.base)
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait()
	s = runStandalone(t, bin, data, "GATEHOUSE_DEMO=true")
	after := demoFacts(t, s.base)
	if before != after {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
}

// demoFacts waits until the demo organization stands, and says what is in it.
func demoFacts(t *testing.T, base string) string {
	t.Helper()
	client := api{base: base}
	session := until(t, "demo admin", func() reply {
		r, err := client.do(t.Context(), "POST", "/v1/sessions:devSignIn", object{"userName": "ada@demo.example"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, func(r reply) bool { return r.Code == http.StatusOK })
	admin := api{base: base, token: str(session.JSON, "token")}
	facts := until(t, "demo organization", func() []string {
		grants := list(admin.must(t, "GET", "/v1/grants?pageSize=1000", nil), "grants")
		if countState(grants, "GRANT_STATE_ACTIVE") < 10 || len(grants) != 15 {
			return nil
		}
		var out []string
		for _, l := range [][2]string{{"users", "displayName"}, {"groups", "displayName"}, {"apps", "name"}, {"flows", "name"}, {"checklists", "id"}, {"requests", "id"}} {
			out = append(out, l[0]+": "+strings.Join(column(list(admin.must(t, "GET", "/v1/"+l[0]+"?pageSize=1000", nil), l[0]), l[1]), ", "))
		}
		return append(out, "grants: "+strings.Join(column(grants, "id"), ", "))
	}, func(f []string) bool { return len(f) > 0 && strings.Count(f[4], ", ") == 4 })
	return strings.Join(facts, "\n")
}

// TestStartErrors shows what a start that cannot work says: one line that names
// the cause, and a non-zero exit.
func TestStartErrors(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	bin := program(t, "gatehouse.dev/services/standalone/cmd")
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // the subtests outlive this function
	for name, tc := range map[string]struct {
		env  []string
		want string
	}{
		"taken port":              {[]string{"GATEHOUSE_HTTP_ADDR=" + taken.Addr().String()}, "address already in use"},
		"unreachable database":    {[]string{"GATEHOUSE_POSTGRES_URL=postgres://gatehouse:secret@127.0.0.1:1/x"}, "GATEHOUSE_POSTGRES_URL"},
		"not a database":          {[]string{"GATEHOUSE_POSTGRES_URL=nonsense"}, "GATEHOUSE_POSTGRES_URL"},
		"unreachable bus":         {[]string{"GATEHOUSE_NATS_URL=nats://127.0.0.1:1"}, "127.0.0.1:1"},
		"demo neither yes nor no": {[]string{"GATEHOUSE_DEMO=perhaps"}, "GATEHOUSE_DEMO"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), bin)
			cmd.Env = append(append(os.Environ(), "GATEHOUSE_HTTP_ADDR=127.0.0.1:0", "GATEHOUSE_DEMO=false", "GATEHOUSE_DATA_DIR="+dataDir(t)), tc.env...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			said := strings.TrimSpace(stderr.String())
			if err == nil || cmd.ProcessState.ExitCode() <= 0 {
				t.Errorf("exit: %v", err)
			}
			if strings.Contains(said, "\n") || !strings.Contains(said, tc.want) || strings.Contains(said, "secret") {
				t.Errorf("want one line with %q, got:\n%s", tc.want, said)
			}
		})
	}
}
