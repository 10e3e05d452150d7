package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConsole lives the stories of the console in a real browser, each against a Gatehouse
// of its own. What each proves stands in its file.
func TestConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	dir, err := filepath.Abs("../../gateway/console")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		install(t, dir)
	}
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
