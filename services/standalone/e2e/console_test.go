package e2e_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse.dev/libs/bustest"
)

// TestConsole lives the stories of the console in a real browser, each against a Gatehouse
// of its own. What each proves stands in its file.
func TestConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	dir := consoleDir(t)
	stories, err := filepath.Glob(filepath.Join(dir, "e2e", "*.test.mjs"))
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, story := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(story), ".test.mjs"), func(t *testing.T) {
			browser := chromium(t)
			gh := runStandalone(t, program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t), "GATEHOUSE_DEMO=true", "GATEHOUSE_RATE_LIMITS=true")
			cmd := exec.CommandContext(t.Context(), "node", "--test", story)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GATEHOUSE="+gh.base, "CHROMIUM="+browser)
			if b, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, b)
			}
		})
	}
}

// TestConsoleLive has an open page show what happens, by itself, before and after all of
// Gatehouse was killed, until its session ends.
//
// B-RUN-02, B-USR-19.
func TestConsoleLive(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	browser, dir := chromium(t), consoleDir(t)
	bin, data, addr := program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t), bustest.FreeAddrs(t, 1)[0]
	run := func() *standalone {
		return runStandalone(t, bin, data, "GATEHOUSE_DEMO=true", "GATEHOUSE_HTTP_ADDR="+addr)
	}
	gh := run()
	demoFacts(t, gh.base)
	signIn := func(name string) api {
		r := api{base: gh.base}.must(t, "POST", "/v1/sessions:devSignIn", object{"userName": name + "@demo.example"})
		return api{base: gh.base, token: str(r, "token")}
	}
	alan := signIn("alan")
	account := func(app string) string {
		apps := list(alan.must(t, "GET", "/v1/apps?query="+app, nil), "apps")
		return str(list(alan.must(t, "GET", "/v1/apps/"+str(apps[0], "id")+"/entitlements", nil), "entitlements")[0], "id")
	}
	giveBack := func(app string) {
		alan.must(t, "POST", "/v1/requests", object{"kind": "REQUEST_KIND_REVOKE", "entitlementIds": []string{account(app)}, "justification": "I need it no more"})
	}

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("e2e", "live.mjs"))
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, t.Output(), 5*time.Second
	cmd.Env = append(os.Environ(), "GATEHOUSE="+gh.base, "CHROMIUM="+browser)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	expect := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the page says %q, not %q: %v", lines.Text(), want, cmd.Wait())
		}
	}
	tell := func(line string) {
		t.Helper()
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	expect("open")
	tell("Press Archive")
	giveBack("Press")
	expect("seen")

	_ = gh.cmd.Process.Signal(syscall.SIGKILL)
	_ = gh.cmd.Wait()
	gh = run()
	tell("Ledger Payroll")
	giveBack("Ledger")
	expect("seen")

	tell("end")
	expect("ending")
	ada := signIn("ada")
	me := str(alan.must(t, "GET", "/v1/me", nil), "user", "id")
	for _, s := range list(ada.must(t, "GET", "/v1/sessions?userId="+me, nil), "sessions") {
		ada.must(t, "POST", "/v1/sessions/"+str(s, "id")+":end", object{})
	}
	expect("out")
	in.Close() // for which it waits
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// consoleDir is the folder of the console, with what its tests need.
func consoleDir(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../gateway/console")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		install(t, dir)
	}
	return dir
}

// chromium is where the browser is.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "Chromium")
	return ""
}
