// Package services_test holds the walls between the services.
package services_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	services = "gatehouse.dev/services/"
	libs     = "gatehouse.dev/libs/"
	proto    = "gatehouse.dev/proto"
)

// pkg is a package, or the tests of one.
type pkg struct {
	ImportPath string
	ForTest    string
	Imports    []string
}

// owner is the service a package belongs to, if any.
func owner(path string) string {
	rest, ok := strings.CutPrefix(path, services)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// broken says which wall an import breaks, if any.
func broken(from, to string, inTest bool) string {
	switch {
	case strings.HasPrefix(from, proto) && (strings.HasPrefix(to, libs) || owner(to) != ""):
		return "the contract is importable by itself"
	case strings.HasPrefix(from, libs) && owner(to) != "":
		return "libs never import services"
	case owner(to) == "standalone" && owner(from) != "standalone":
		return "without standalone, all else stays as it is"
	case owner(from) != "" && owner(from) != "standalone" && owner(to) != "" && owner(to) != owner(from):
		return "services never import each other"
	case owner(from) == "gateway" && strings.HasPrefix(to, libs) && slices.Contains([]string{"postgres", "outbox", "inbox", "backend"}, strings.TrimPrefix(to, libs)):
		return "the gateway keeps nothing that lasts"
	case !inTest && testOnly(to) && !testOnly(from):
		return "only tests import what is for tests"
	}
	return ""
}

// testOnly tells packages that are for tests from those that run.
func testOnly(path string) bool {
	rest, ok := strings.CutPrefix(path, libs)
	return ok && slices.Contains([]string{"pgtest", "bustest", "rpctest", "servicetest"}, rest)
}

// The folder names are the architecture: this holds them to it.
func TestWalls(t *testing.T) {
	t.Parallel()
	noteFiles(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test", "-json=ImportPath,ForTest,Imports", proto+"/...", libs+"...", services+"...")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	seen := map[string]bool{}
	dec := json.NewDecoder(&out)
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from, _, _ := strings.Cut(p.ImportPath, " ") // as built for a test
		from = strings.TrimSuffix(from, "_test")
		inTest := p.ForTest != "" || strings.HasSuffix(from, ".test")
		for _, to := range p.Imports {
			to, _, _ = strings.Cut(to, " ")
			if wall := broken(strings.TrimSuffix(from, ".test"), strings.TrimSuffix(to, "_test"), inTest); wall != "" {
				t.Errorf("%s imports %s: %s", from, to, wall)
			}
		}
		if s := owner(from); s != "" {
			seen[s] = true
		}
	}
	for _, s := range []string{"identity-sync", "request", "approval", "provisioning", "audit", "gateway", "standalone"} {
		if !seen[s] {
			t.Errorf("%s was not looked at", s)
		}
	}
}

// noteFiles looks at every Go file of the module, so that a cached result of
// this test is not taken for one about files that have changed since.
func noteFiles(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// The test above must be able to fail.
func TestBroken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to string
		inTest   bool
		want     bool
	}{
		{"gatehouse.dev/services/request/internal/store", "gatehouse.dev/services/approval", false, true},
		{"gatehouse.dev/services/gateway", "gatehouse.dev/services/audit", true, true},
		{"gatehouse.dev/services/gateway/internal/httpapi", "gatehouse.dev/libs/postgres", false, true},
		{"gatehouse.dev/libs/rpc", "gatehouse.dev/services/audit", true, true},
		{"gatehouse.dev/proto", "gatehouse.dev/libs/id", false, true},
		{"gatehouse.dev/services/request", "gatehouse.dev/services/standalone", true, true},
		{"gatehouse.dev/services/request", "gatehouse.dev/libs/pgtest", false, true},
		{"gatehouse.dev/services/request", "gatehouse.dev/libs/pgtest", true, false},
		{"gatehouse.dev/services/request", "gatehouse.dev/services/request/internal/store", false, false},
		{"gatehouse.dev/services/standalone", "gatehouse.dev/services/request", false, false},
		{"gatehouse.dev/libs/servicetest", "gatehouse.dev/libs/pgtest", false, false},
		{"gatehouse.dev/libs/rpc", "gatehouse.dev/proto/gen/gatehouse/ops/v1", false, false},
	} {
		if got := broken(tt.from, tt.to, tt.inTest); (got != "") != tt.want {
			t.Errorf("%s imports %s: %q", tt.from, tt.to, got)
		}
	}
}
