package internal_test

import (
	"strings"
	"testing"

	"gatehouse.dev/libs/importtest"
)

const (
	module = "gatehouse.dev/services/approval/internal/"
	gen    = "gatehouse.dev/proto/gen/"
)

// The packages of the service depend on each other in one direction.
func TestWalls(t *testing.T) {
	t.Parallel()
	importtest.Check(t, importtest.Rules{
		// The decision table of flows is as pure as the rest of the rules.
		"lifecycle": func(path string) bool { return importtest.Standard(path) || path == "gatehouse.dev/libs/flow" },
		"store": func(path string) bool {
			return !strings.HasPrefix(path, gen) && (!strings.HasPrefix(path, module) || path == module+"lifecycle")
		},
		"convert": func(path string) bool {
			return !strings.HasPrefix(path, module) || path == module+"lifecycle" || path == module+"store"
		},
		"command": func(path string) bool { return path != module+"grpcapi" && path != module+"consume" },
		"grpcapi": func(path string) bool { return path != module+"store" && path != module+"consume" },
		"consume": func(path string) bool { return path != module+"store" && path != module+"grpcapi" },
	})
}
