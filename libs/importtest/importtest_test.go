package importtest_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gatehouse.dev/libs/importtest"
)

func TestViolations(t *testing.T) {
	t.Parallel()
	file := func(imports string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package p\n\nimport (\n" + imports + "\n)\n\nfunc f() {}\n")}
	}
	dir := fstest.MapFS{
		"rules/a.go":      file("\"net/http\"\n\"gatehouse.dev/libs/id\""),
		"rules/b.go":      file("x \"example.org/x\""),
		"rules/a_test.go": file("\"example.org/y\""),
		"store/a.go":      file("\"example.org/z\""),
		"empty/a_test.go": file(""),
	}
	got, err := importtest.Violations(dir, importtest.Rules{"rules": importtest.Standard})
	want := []string{"rules/a.go imports gatehouse.dev/libs/id", "rules/b.go imports example.org/x"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, folder := range []string{"empty", "absent"} {
		if _, err := importtest.Violations(dir, importtest.Rules{folder: importtest.Standard}); err == nil || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: %v, want an error that names it", folder, err)
		}
	}
}
