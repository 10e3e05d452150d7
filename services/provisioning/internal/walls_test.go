package internal_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Inside the service: grpcapi and consume translate for command, which asks
// lifecycle and store; lifecycle knows nothing but the standard library, and
// store nothing of the service's API.
func TestWalls(t *testing.T) {
	t.Parallel()
	const here = "gatehouse.dev/services/provisioning/internal/"
	forbidden := map[string]func(path string) bool{
		"lifecycle": func(path string) bool { return strings.Contains(strings.Split(path, "/")[0], ".") },
		"store": func(path string) bool {
			return strings.HasPrefix(path, here) && path != here+"lifecycle" || strings.HasPrefix(path, "gatehouse.dev/proto/")
		},
		"convert": func(path string) bool {
			return strings.HasPrefix(path, here) && path != here+"lifecycle" && path != here+"store"
		},
		"command": func(path string) bool { return path == here+"grpcapi" || path == here+"consume" },
		"grpcapi": func(path string) bool {
			return path == here+"store" || path == here+"lifecycle" || path == here+"consume"
		},
		"consume": func(path string) bool {
			return path == here+"store" || path == here+"lifecycle" || path == here+"grpcapi"
		},
	}
	for pkg, no := range forbidden {
		files, err := filepath.Glob(pkg + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files of %s: %v", pkg, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				if path, _ := strconv.Unquote(i.Path.Value); no(path) {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}
