package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/postgres"
)

// cluster is the server's place on disk:
//
//	lock           held by the process that uses the folder
//	elsewhere      where the rest is, if the server's user may not come here
//	data/          PostgreSQL's own, closed to all but its user
//	data.new/      a set-up that has not finished
//	socket/        the socket, closed likewise
//	socket_dir     where the socket is, if this path is too long for one
//	pg_hba.conf    who may connect; out of the server's own reach
//	pg_ident.conf
//	log            what the server says
type cluster struct {
	dir  string // where lock is
	base string // where the rest is; mostly the same
	who  account
	lock *os.File
}

// maxSocketDir keeps the path of a socket within the 104 bytes of the
// narrowest system.
const maxSocketDir = 100 - len("/.s.PGSQL.5432")

func (c *cluster) data() string            { return filepath.Join(c.base, "data") }
func (c *cluster) path(name string) string { return filepath.Join(c.base, name) }

// openCluster makes the folder if need be and takes it for us alone.
func openCluster(ctx context.Context, cfg Config) (_ *cluster, err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("find data folder: %w", err)
	}
	if err := makeFolders(dir); err != nil {
		return nil, err
	}
	// The paths a server is known by have no links in them.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("find data folder: %w", err)
	}
	c := &cluster{dir: dir}
	if c.lock, err = takeLock(ctx, filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.who, err = serverAccount(); err != nil {
		return nil, err
	}
	if err := c.place(ctx, cfg.Elsewhere, cfg.Log); err != nil {
		return nil, err
	}
	if owner, ok := ownerAccount(c.data()); ok {
		c.who = owner
	} else if _, err := os.Stat(c.data()); err == nil {
		// Root's now: copied from elsewhere.
		if err := c.who.own(c.data()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) close() { _ = c.lock.Close() } // which gives the lock back

// makeFolders makes dir and what is missing above it. The server's user must
// get through these, whatever the umask says, but need not see what is there.
func makeFolders(dir string) error {
	if st, err := os.Stat(dir); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("make data folder: %s is a file", dir)
		}
		return nil
	}
	if err := makeFolders(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		return fmt.Errorf("make data folder: %w", err)
	}
	return nil
}

// takeLock keeps a second process out. One that is just ending is waited for.
func takeLock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) || !backoff.Wait(ctx, 50*time.Millisecond) {
			pid, _ := os.ReadFile(path)
			_ = f.Close()
			return nil, fmt.Errorf("lock data folder: %s is in use by process %s: %w", filepath.Dir(path), bytes.TrimSpace(pid), err)
		}
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // a help for people only
	}
	return f, nil
}

// place decides where the data are. A server that does not run as us may not
// get to where we want them, below root's home for instance. Then they are
// elsewhere, and a file here says where.
func (c *cluster) place(ctx context.Context, elsewhere string, log *slog.Logger) error {
	pointer := filepath.Join(c.dir, "elsewhere")
	if b, err := os.ReadFile(pointer); err == nil {
		c.base = strings.TrimSpace(string(b))
		return makeFolders(c.base)
	}
	c.base = c.dir
	blocked := c.who.barrier(c.dir)
	if blocked == "" {
		return nil
	}
	if blocked == c.dir {
		// Our own folder: let the server's user through.
		if err := os.Chmod(c.dir, 0o711); err != nil { //nolint:gosec // see makeFolders
			return fmt.Errorf("open data folder to user %s: %w", c.who.name, err)
		}
		if blocked = c.who.barrier(c.dir); blocked == "" {
			return nil
		}
	}
	c.base = filepath.Join(elsewhere, "postgres-"+strings.ToLower(rand.Text()[:10]))
	if err := makeFolders(c.base); err != nil {
		return err
	}
	if still := c.who.barrier(c.base); still != "" {
		return fmt.Errorf("data folder %s: user %s, whom PostgreSQL must run as, may not enter %s: choose another folder", c.dir, c.who.name, blocked)
	}
	if err := os.WriteFile(pointer, []byte(c.base+"\n"), 0o600); err != nil {
		return fmt.Errorf("note where the data are: %w", err)
	}
	log.InfoContext(ctx, "PostgreSQL keeps its data elsewhere, because its user may not enter the folder",
		"dir", c.base, "closed_folder", blocked, "server_user", c.who.name)
	return nil
}

// major returns the version that made the data, or 0 if there are none yet.
func (c *cluster) major() (int, error) {
	b, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if entries, err := os.ReadDir(c.data()); err == nil && len(entries) > 0 {
			return 0, fmt.Errorf("read data folder: %s holds something, but no PostgreSQL data", c.data())
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read data folder: %w", err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	return v, nil
}

// initialize sets the data folder up. It appears under its name only when it
// is whole.
func (c *cluster) initialize(ctx context.Context, bin Binaries, fsync bool) error {
	locales := []string{"C.UTF-8", "C"}
	if runtime.GOOS == "darwin" {
		locales = []string{"en_US.UTF-8", "C"}
	}
	var err error
	for _, locale := range locales {
		if err = c.initdb(ctx, bin, locale, fsync); err == nil || !strings.Contains(err.Error(), "locale") {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := os.Remove(c.data()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set up database: %w", err)
	}
	if err := os.Rename(c.path("data.new"), c.data()); err != nil {
		return fmt.Errorf("set up database: %w", err)
	}
	if !fsync {
		return nil
	}
	return syncFolder(c.base)
}

func (c *cluster) initdb(ctx context.Context, bin Binaries, locale string, fsync bool) error {
	fresh := c.path("data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("clear an unfinished set-up: %w", err)
	}
	if err := c.ownFolder(fresh); err != nil {
		return err
	}
	args := []string{"-D", fresh, "-U", superuser, "--auth=reject", "-E", "UTF8", "--locale=" + locale, "--no-instructions"}
	if !fsync {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin.Dir, "initdb"), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", environment(), c.who.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("set up database: %w", ctx.Err())
		}
		return fmt.Errorf("set up database as user %s: %w: %s", c.who.name, err, lastLines(string(out), 4))
	}
	return nil
}

// ownFolder makes a folder that only the server's user, and root, may enter.
func (c *cluster) ownFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := c.who.own(dir); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// socketFolder makes the folder for the socket, in a short place if this one
// is too deep, and returns it.
func (c *cluster) socketFolder() (string, error) {
	pointer := c.path("socket_dir")
	if old, err := os.ReadFile(pointer); err == nil {
		_ = os.RemoveAll(strings.TrimSpace(string(old))) // left behind by a kill
		_ = os.Remove(pointer)
	}
	dir := c.path("socket")
	if len(dir) > maxSocketDir {
		var err error
		if dir, err = os.MkdirTemp("/tmp", "gatehouse-"); err != nil {
			return "", fmt.Errorf("make folder for the socket: %w", err)
		}
		if err := os.WriteFile(pointer, []byte(dir+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("note the folder for the socket: %w", err)
		}
	}
	return dir, c.ownFolder(dir)
}

// forgetSocket removes what socketFolder made outside of the data folder.
func (c *cluster) forgetSocket() {
	pointer := c.path("socket_dir")
	if dir, err := os.ReadFile(pointer); err == nil {
		_ = os.RemoveAll(strings.TrimSpace(string(dir)))
		_ = os.Remove(pointer)
	}
}

// writeAccess says who may connect: whoever runs this process, as superuser, owner
// or with a login. The kernel vouches for them, so there is no password to keep.
func (c *cluster) writeAccess(logins []string) error {
	us, err := user.Current()
	if err != nil {
		return fmt.Errorf("find our own user: %w", err)
	}
	quoted := `"` + strings.ReplaceAll(us.Username, `"`, `""`) + `"`
	ident := ""
	roles := []string{superuser, Role}
	for _, l := range logins {
		roles = append(roles, l, postgres.SystemLogin(l))
	}
	for _, r := range roles {
		ident += fmt.Sprintf("gatehouse %s %s\n", quoted, r)
	}
	for name, text := range map[string]string{
		"pg_hba.conf":   "local all all peer map=gatehouse\n",
		"pg_ident.conf": ident,
	} {
		if err := os.WriteFile(c.path(name), []byte(text), 0o644); err != nil { //nolint:gosec // the server must read it
			return fmt.Errorf("say who may connect: %w", err)
		}
		if err := os.Chmod(c.path(name), 0o644); err != nil { //nolint:gosec // whatever the umask
			return fmt.Errorf("say who may connect: %w", err)
		}
	}
	return nil
}

// stopLeftover ends a server that an earlier process left on the data, and
// clears away the trace of one that is gone.
func (c *cluster) stopLeftover(ctx context.Context, log *slog.Logger) error {
	file := filepath.Join(c.data(), "postmaster.pid")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a server on the data: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		pid = 0
	}
	alive, sure := false, true
	if pid != 0 {
		alive, sure = serves(pid, c.data())
	}
	if !alive {
		// PostgreSQL itself would take any process that has the number now for
		// the server. We hold the lock and know better.
		if sure {
			_ = os.Remove(file)
		}
		return nil
	}
	log.WarnContext(ctx, "An earlier PostgreSQL still runs on the data, stopping it", "server_pid", pid)
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 20 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop an earlier server: %w", err)
		}
		for end := time.Now().Add(step.wait); time.Now().Before(end); {
			if alive, _ := serves(pid, c.data()); !alive {
				_ = os.Remove(file)
				return nil
			}
			if !backoff.Wait(ctx, 20*time.Millisecond) {
				return fmt.Errorf("stop an earlier server: %w", ctx.Err())
			}
		}
	}
	return fmt.Errorf("stop an earlier server: process %d does not end", pid)
}

// openLog opens the server's log, and starts a new one when it is large.
func (c *cluster) openLog() (*os.File, error) {
	name := c.path("log")
	if st, err := os.Stat(name); err == nil && st.Size() > 16<<20 {
		_ = os.Rename(name, name+".old")
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	return f, nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
