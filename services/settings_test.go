package services_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/settings.md lists every setting that a program reads, and no other.
func TestSettingsAreListed(t *testing.T) {
	t.Parallel()
	literal := regexp.MustCompile(`"(GATEHOUSE_[A-Z_]+)"`)
	read := map[string]bool{}
	for _, root := range []string{"../libs", "."} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range literal.FindAllStringSubmatch(string(b), -1) {
				read[m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	doc, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(doc)) {
		if cells := strings.Split(line, "|"); len(cells) == 6 {
			for _, name := range regexp.MustCompile("`(GATEHOUSE_[A-Z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				listed[name[1]] = true
			}
		}
	}
	var wrong []string
	for name := range read {
		if !listed[name] {
			wrong = append(wrong, name+" is not listed")
		}
	}
	for name := range listed {
		if !read[name] {
			wrong = append(wrong, name+" is read by nobody")
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 || len(read) < 20 {
		t.Errorf("of %d settings: %s", len(read), strings.Join(wrong, "; "))
	}
}
