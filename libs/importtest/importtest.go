// Package importtest holds the arrows inside a service: which of its packages
// may import what. For tests only.
//
// The linter holds the walls between services; what may be imported inside one
// differs from service to service, and stands in its own test.
package importtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Rules say, by the folder of a package, whether it may import a path.
type Rules map[string]func(path string) bool

// Standard reports whether a path is of the standard library.
func Standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// Check fails t for every import that the rules do not allow, of the packages in
// the folders of the working directory. Tests may import what they like.
func Check(t testing.TB, rules Rules) {
	t.Helper()
	found, err := Violations(os.DirFS("."), rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// Violations gives the imports that the rules do not allow, as "file imports
// path", sorted. A folder without a Go file is an error: its rule holds nothing.
func Violations(dir fs.FS, rules Rules) (found []string, err error) {
	for _, folder := range slices.Sorted(maps.Keys(rules)) {
		files, err := fs.Glob(dir, path.Join(folder, "*.go"))
		if err != nil {
			return nil, fmt.Errorf("list files of %s: %w", folder, err)
		}
		files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
		if len(files) == 0 {
			return nil, fmt.Errorf("there are no Go files in %s", folder)
		}
		for _, name := range files {
			text, err := fs.ReadFile(dir, name)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
			if err != nil {
				return nil, fmt.Errorf("parse %s: %w", name, err)
			}
			for _, i := range f.Imports {
				imported, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return nil, fmt.Errorf("parse %s: %w", name, err)
				}
				if !rules[folder](imported) {
					found = append(found, name+" imports "+imported)
				}
			}
		}
	}
	return found, nil
}
