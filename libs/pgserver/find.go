package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// minMajor is the oldest PostgreSQL that is used.
const minMajor = 14

// ErrNotFound says that the machine has no usable PostgreSQL.
var ErrNotFound = errors.New("no PostgreSQL (14 or newer) found: install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17), or name the folder of its initdb and postgres")

// Binaries is an installed PostgreSQL.
type Binaries struct {
	// Dir is the folder of initdb and postgres.
	Dir string
	// Major is the major version, such as 17.
	Major int
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// Find looks for PostgreSQL: in dir only, if it is not empty; otherwise in
// PATH, where Debian, Red Hat, Homebrew and Postgres.app put it, and where
// Install put it below installDir (may be empty). The newest wins. If major is
// not zero only that version will do. The error is ErrNotFound or wraps it.
func Find(ctx context.Context, dir, installDir string, major int) (Binaries, error) {
	var found []Binaries
	for _, d := range candidates(dir, installDir) {
		if b, err := inspect(ctx, d); err == nil && b.Major >= minMajor {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		if dir != "" {
			return Binaries{}, fmt.Errorf("look in %s: %w", dir, ErrNotFound)
		}
		return Binaries{}, ErrNotFound
	}
	if major != 0 {
		i := slices.IndexFunc(found, func(b Binaries) bool { return b.Major == major })
		if i < 0 {
			return Binaries{}, fmt.Errorf("the data were made by PostgreSQL %d, but only %d is installed: install %d: %w", major, found[0].Major, major, ErrNotFound)
		}
		return found[i], nil
	}
	// Stable, so that of one version the first place stands.
	slices.SortStableFunc(found, func(a, b Binaries) int { return cmp.Compare(b.Major, a.Major) })
	return found[0], nil
}

func candidates(dir, installDir string) []string {
	if dir != "" {
		return []string{dir}
	}
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	patterns := []string{
		"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
		"/usr/pgsql-*/bin",                  // Red Hat, from postgresql.org
		"/usr/libexec/postgresql*",          // Alpine
		"/usr/local/pgsql/bin",              // from source
		"/opt/homebrew/opt/postgresql*/bin", // Homebrew
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
	if installDir != "" {
		patterns = append(patterns, filepath.Join(npmFolder(installDir), "native", "bin"))
	}
	for _, p := range patterns {
		m, _ := filepath.Glob(p) // the patterns are well formed
		dirs = append(dirs, m...)
	}
	return dirs
}

func inspect(ctx context.Context, dir string) (Binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Binaries{}, fmt.Errorf("look at %s: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return Binaries{}, fmt.Errorf("look for initdb: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Env = environment()
	out, err := cmd.Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("ask %s for its version: %w", dir, err)
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return Binaries{}, fmt.Errorf("read the version of %s: %q", dir, out)
	}
	major, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return Binaries{}, fmt.Errorf("read the version of %s: %w", dir, err)
	}
	return Binaries{Dir: dir, Major: major}, nil
}

// environment is what the server's programs get to see: none of the PG*
// variables of whoever starts us.
func environment() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	if runtime.GOOS == "darwin" {
		// Without a locale the server becomes multi-threaded at start there
		// and refuses to go on.
		env = append(env, "LC_ALL=en_US.UTF-8")
	}
	return env
}
