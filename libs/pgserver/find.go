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

// ErrNotFound says that the machine has no usable PostgreSQL, and what to do.
var ErrNotFound = errors.New("no PostgreSQL (14 or newer) found: run make postgres, or install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17), or have the folder of its initdb and postgres in PATH")

// Binaries is an installed PostgreSQL.
type Binaries struct {
	// Dir is the folder of initdb and postgres.
	Dir string
	// Major is the major version, such as 17.
	Major int
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// Places are folders where initdb and postgres may be, the first ones first:
// those of PATH, and where Debian, Red Hat, Homebrew and Postgres.app put them.
func Places() []string {
	var dirs []string
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		// The programs, and not links to them, stand beside their libraries.
		if p, err := filepath.EvalSymlinks(filepath.Join(d, "postgres")); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	for _, p := range []string{
		"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
		"/usr/pgsql-*/bin",                  // Red Hat, from postgresql.org
		"/usr/libexec/postgresql*",          // Alpine
		"/usr/local/pgsql/bin",              // from source
		"/opt/homebrew/opt/postgresql*/bin", // Homebrew
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		m, _ := filepath.Glob(p) // the patterns are well formed
		dirs = append(dirs, m...)
	}
	return dirs
}

// places are Places, or dir alone if it is not empty.
func places(dir string) []string {
	if dir != "" {
		return []string{dir}
	}
	return Places()
}

// Find looks for PostgreSQL in places, mostly those of Places. The newest wins.
// If major is not zero only that version will do. It installs nothing: the
// error is ErrNotFound or wraps it.
func Find(ctx context.Context, places []string, major int) (Binaries, error) {
	var found []Binaries
	for _, d := range places {
		if b, err := inspect(ctx, d); err == nil && b.Major >= minMajor {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
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
