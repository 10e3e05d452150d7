package internal_test

import (
	"strings"
	"testing"

	"gatehouse.dev/libs/importtest"
)

const (
	module = "gatehouse.dev/services/identity-sync/internal/"
	gen    = "gatehouse.dev/proto/gen/"
)

// The packages of the service depend on each other in one direction.
func TestWalls(t *testing.T) {
	t.Parallel()
	importtest.Check(t, importtest.Rules{
		"lifecycle": importtest.Standard,
		"scim":      func(path string) bool { return !strings.HasPrefix(path, gen) && !strings.HasPrefix(path, module) },
		// store answers SCIM's queries in SQL.
		"store": func(path string) bool {
			return !strings.HasPrefix(path, gen) && (!strings.HasPrefix(path, module) || path == module+"lifecycle" || path == module+"scim")
		},
		"convert": func(path string) bool { return !strings.HasPrefix(path, module) || path == module+"store" },
		"command": func(path string) bool {
			return path != module+"grpcapi" && path != module+"httpapi" && path != module+"exchange"
		},
		"exchange": func(path string) bool { return path != module+"store" && path != module+"grpcapi" },
		"grpcapi":  func(path string) bool { return path != module+"store" && path != module+"scim" },
		"httpapi":  func(path string) bool { return path != module+"store" && path != module+"command" },
	})
}
