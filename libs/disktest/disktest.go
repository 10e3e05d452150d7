// Package disktest gives tests a small disk that can be filled up. For tests
// only.
package disktest

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Small mounts a file system of a size, such as "16m", until the test ends, and
// returns its folder, which any user may pass. Only root may mount, and not
// everywhere: where it cannot the test is skipped and says so.
func Small(t testing.TB, size string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse-disk-") //nolint:usetesting // a private PostgreSQL may be another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	//nolint:gosec,noctx // a test's own arguments, done in a moment
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0711,size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v: %s", err, strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() {
		// Detached at once, and given back when the last process that had a file
		// on it has ended.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// Fill takes all the space that is left on the disk of a folder; free gives it
// back.
func Fill(t testing.TB, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it is full
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill %s: %v", dir, err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
