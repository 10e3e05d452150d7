package internal_test

import (
	"strings"
	"testing"

	"gatehouse.dev/libs/importtest"
)

const (
	module = "gatehouse.dev/services/audit/internal/"
	gen    = "gatehouse.dev/proto/gen/"
)

// The packages of the service depend on each other in one direction.
func TestWalls(t *testing.T) {
	t.Parallel()
	importtest.Check(t, importtest.Rules{
		"entry": func(path string) bool {
			return !strings.HasPrefix(path, module) && !strings.HasSuffix(path, "libs/postgres")
		},
		"store": func(path string) bool {
			return !strings.HasPrefix(path, gen) && (!strings.HasPrefix(path, module) || path == module+"entry")
		},
		"convert": func(path string) bool {
			return !strings.HasPrefix(path, module) || path == module+"entry" || path == module+"store"
		},
		"report":   func(path string) bool { return !strings.HasPrefix(path, module) || path == module+"convert" },
		"jsonform": func(path string) bool { return !strings.HasPrefix(path, module) || path == module+"store" },
		"command":  func(path string) bool { return path != module+"grpcapi" && path != module+"consume" },
		"grpcapi":  func(path string) bool { return path != module+"store" && path != module+"consume" },
		"consume":  func(path string) bool { return path != module+"store" && path != module+"grpcapi" },
	})
}
