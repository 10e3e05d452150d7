package pgserver

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLinkLibraries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, list string
		wantErr    bool
	}{
		{"as the package has it", `[{"source":"native/lib/liba.so.1.2","target":"native/lib/liba.so.1"}]`, false},
		{"outside of the package", `[{"source":"native/lib/liba.so.1.2","target":"../liba.so.1"}]`, true},
		{"no list at all", ``, false},
		{"no JSON", `nonsense`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pkg := filepath.Join(t.TempDir(), "pkg")
			lib := filepath.Join(pkg, "native", "lib")
			if err := os.MkdirAll(lib, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(lib, "liba.so.1.2"), []byte("code"), 0o644); err != nil {
				t.Fatal(err)
			}
			if tt.list != "" {
				if err := os.WriteFile(filepath.Join(pkg, "native", "pg-symlinks.json"), []byte(tt.list), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // a second time changes nothing
				if err := linkLibraries(pkg); (err != nil) != tt.wantErr {
					t.Fatalf("got %v", err)
				}
			}
			if tt.list == "" || tt.wantErr {
				return
			}
			if b, err := os.ReadFile(filepath.Join(lib, "liba.so.1")); err != nil || string(b) != "code" {
				t.Errorf("the link leads to %q, %v", b, err)
			}
		})
	}
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	if got := lastLines("a\n\n b \nc\n\n", 2); got != "b | c" {
		t.Errorf("got %q", got)
	}
	if got := lastLines("", 2); got != "" {
		t.Errorf("got %q", got)
	}
}
