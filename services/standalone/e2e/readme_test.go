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
	s := runStandalone(t, program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t), "GATEHOUSE_DEMO=true")
	walk(t, s.base)
}

// walk walks the README's walk through a gateway with the demo organization.
func walk(t *testing.T, base string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(readme), "\n## The walk\n")
	part, _, _ = strings.Cut(part, "\n## ")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(part, -1)
	if !found || len(blocks) < 10 {
		t.Fatalf("the README's walk has %d blocks", len(blocks))
	}
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b[1]
	}
	demoFacts(t, base)

	cmd := exec.CommandContext(t.Context(), "bash", "-x", "-c", script)
	cmd.Dir = t.TempDir()
	proxy := newContractProxy(t, base)
	cmd.Env = append(os.Environ(), "GATEHOUSE="+proxy.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the walk stops: %v\n%s", err, tail(out, 4000))
	}
	if pdf, err := os.ReadFile(filepath.Join(cmd.Dir, "request-report.pdf")); err != nil || !strings.HasPrefix(string(pdf), "%PDF") {
		t.Errorf("the downloaded report is no PDF: %v", err)
	}
	proxy.clean(t, 40)
}
