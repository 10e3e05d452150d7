package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeWalk pastes every block of the README's walk into a shell, in
// order, on a freshly started demo. B-RUN-01. Every call goes through a proxy that
// holds it and its answer against openapi.json.
func TestReadmeWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, walk, found := strings.Cut(string(readme), "\n## The walk\n")
	walk, _, _ = strings.Cut(walk, "\n## ")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(walk, -1)
	if !found || len(blocks) < 10 {
		t.Fatalf("the README's walk has %d blocks", len(blocks))
	}
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b[1]
	}
	s := runStandalone(t, program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t), "GATEHOUSE_DEMO=true")
	demoFacts(t, s.base)

	cmd := exec.CommandContext(t.Context(), "bash", "-x", "-c", script)
	cmd.Dir = t.TempDir()
	proxy := newContractProxy(t, s.base)
	cmd.Env = append(os.Environ(), "GATEHOUSE="+proxy.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the walk stops: %v\n%s", err, tail(out, 4000))
	}
	if pdf, err := os.ReadFile(filepath.Join(cmd.Dir, "request-report.pdf")); err != nil || !strings.HasPrefix(string(pdf), "%PDF") {
		t.Errorf("the downloaded report is no PDF: %v", err)
	}
	proxy.clean(t, 40)
}
