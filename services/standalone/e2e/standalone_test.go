package e2e_test

import (
	"bytes"
	"net"
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

// demoFacts waits until what the demo begins with stands, and says what is in it: the
// company, which comes later, is left out.
func demoFacts(t *testing.T, base string) string {
	t.Helper()
	admin := demoAdmin(t, base)
	facts := until(t, "demo organization", func() []string {
		var out, grants []string
		flow := all(t, admin, "flows", `name = "Welcome"`)
		if len(flow) != 1 {
			return nil
		}
		// Whoever it gives to has come first.
		welcome := all(t, admin, "requests", `flowId = "`+str(flow[0], "id")+`"`)
		active := 0
		for _, r := range welcome {
			given := list(admin.must(t, "GET", "/v1/grants?requestId="+str(r, "id"), nil), "grants")
			grants, active = append(grants, column(given, "id")...), active+countState(given, "GRANT_STATE_ACTIVE")
		}
		if len(welcome) != 5 || active < 10 || len(grants) != 15 {
			return nil
		}
		for _, l := range []struct{ plural, name, filter string }{
			{"users", "displayName", anyOf("userName", "ada@demo.example", "grace@demo.example", "katherine@demo.example", "alan@demo.example", "hedy@demo.example", "tim@demo.example")},
			{"groups", "displayName", anyOf("displayName", "Everyone", "Engineering")},
			{"apps", "name", anyOf("name", "Tidepool Chat", "Ledger Payroll", "Press Archive")},
			{"flows", "name", anyOf("name", "Welcome", "Engineers channel")},
			{"checklists", "id", anyOf("user.userId", column(welcome, "beneficiary", "userId")...)},
		} {
			out = append(out, l.plural+": "+strings.Join(column(all(t, admin, l.plural, l.filter), l.name), ", "))
		}
		return append(out, "requests: "+strings.Join(column(welcome, "id"), ", "), "grants: "+strings.Join(grants, ", "))
	}, func(f []string) bool { return len(f) > 0 && strings.Count(f[4], ", ") == 4 })
	for i, want := range []int{6, 2, 3, 2} {
		if strings.Count(facts[i], ", ") != want-1 {
			t.Errorf("there are not %d: %s", want, facts[i])
		}
	}
	return strings.Join(facts, "\n")
}

// anyOf is a filter for those whose field has any of the values.
func anyOf(field string, values ...string) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = field + ` = "` + v + `"`
	}
	return strings.Join(parts, " OR ")
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
