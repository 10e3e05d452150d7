package pgserver_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/pgserver"
)

// folder is a folder for t that the server's user may enter, which that of
// testing.T is not, and in memory where there is some: half of each test is
// writing a new data folder.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "gatehouse-pgserver-")
	if err != nil {
		dir, err = os.MkdirTemp("", "gatehouse-pgserver-")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, cfg pgserver.Config) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(t.Context(), cfg)
	if errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *pgserver.Server) {
	t.Helper()
	if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func exec1(t *testing.T, url, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // a test's
	_, err = conn.Exec(t.Context(), sql)
	return err
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // a test's
	var s string
	if err := conn.QueryRow(t.Context(), sql).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually polls until ok, and fails t if that does not happen.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: does not happen", what)
		}
	}
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestDataOutliveTheServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "new", "postgres")
	s := start(t, pgserver.Config{Dir: dir, Fsync: true})
	for range 2 {
		if err := s.CreateDatabase(t.Context(), "kept"); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec1(t, s.OwnerURL("kept"), `create table t (a text); insert into t values ('here')`); err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": "",
	} {
		if got := query(t, s.OwnerURL("kept"), "select current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	pid := postmaster(t, dir)
	stop(t, s)
	if alive(pid) {
		t.Error("alive after Stop")
	}

	s = start(t, pgserver.Config{Dir: dir, Fsync: true})
	if got := query(t, s.OwnerURL("kept"), `select a from t`); got != "here" {
		t.Errorf("got %q", got)
	}
}

func TestRoleIsBoundAndAlone(t *testing.T) {
	t.Parallel()
	s := start(t, pgserver.Config{Dir: folder(t), Ephemeral: true})
	for _, db := range []string{"one", `odd "name" %`} {
		if err := s.CreateDatabase(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, s.OwnerURL("one"), `select (rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication)::text from pg_roles where rolname = current_user`); got != "false" {
		t.Error("the services' role has powers")
	}
	if got := query(t, s.AdminURL("one"), `select has_database_privilege('pg_monitor', 'one', 'connect')::text`); got != "false" {
		t.Error("other roles may connect to the database")
	}
	if err := exec1(t, s.OwnerURL("one"), `create role other login`); err == nil {
		t.Error("the services' role made a role")
	}
	// The kernel vouches for the roles that it was told of only.
	if err := exec1(t, s.AdminURL("one"), `create role other login superuser`); err != nil {
		t.Fatal(err)
	}
	if err := exec1(t, strings.Replace(s.OwnerURL("one"), "gatehouse@", "other@", 1), `select 1`); err == nil {
		t.Error("connected as a role that nobody vouches for")
	}
}

// As root we can take the part of somebody else on the machine, even of the
// user whom the server runs as.
func TestNobodyElseConnects(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("takes root to be somebody else")
	}
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("there is no psql")
	}
	dir := folder(t)
	s := start(t, pgserver.Config{Dir: dir, Ephemeral: true})
	st, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	server := st.Sys().(*syscall.Stat_t)
	if server.Uid == 0 {
		t.Fatal("the server runs as root")
	}
	for name, uid := range map[string]uint32{"a stranger": 54321, "the server's user": server.Uid} {
		for _, url := range []string{s.OwnerURL("postgres"), s.AdminURL("postgres")} {
			cmd := exec.Command(psql, "-w", url, "-c", "select 1")
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("%s connected: %s", name, out)
			}
		}
	}
	if err := exec1(t, s.OwnerURL("postgres"), `select 1`); err != nil {
		t.Errorf("we cannot connect: %v", err)
	}
}

func TestServerThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, pgserver.Config{Dir: dir, Fsync: true})
	if err := exec1(t, s.AdminURL("postgres"), `create table t (a int)`); err != nil {
		t.Fatal(err)
	}
	pid := postmaster(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server comes back", func() bool { return exec1(t, s.AdminURL("postgres"), `insert into t values (1)`) == nil })
	if now := postmaster(t, dir); now == pid {
		t.Errorf("still process %d", pid)
	}
}

// What keeps a server that died from starting again may pass.
func TestServerIsStartedAgainUntilItStarts(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, pgserver.Config{Dir: dir, Fsync: true})
	settings := filepath.Join(dir, "data", "postgresql.auto.conf")
	if err := os.WriteFile(settings, []byte("no_such_setting = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Check says why it cannot start", func() bool {
		err := s.Check()
		return err != nil && strings.Contains(err.Error(), "no_such_setting")
	})
	if err := os.WriteFile(settings, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server comes back", func() bool { return s.Check() == nil })
	if err := exec1(t, s.AdminURL("postgres"), `select 1`); err != nil {
		t.Error(err)
	}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	stop(t, start(t, pgserver.Config{Dir: dir}))
	if err := os.WriteFile(filepath.Join(dir, "data", "postgresql.auto.conf"), []byte("no_such_setting = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	// What failed to start does not hold the folder.
	if err := os.WriteFile(filepath.Join(dir, "data", "postgresql.auto.conf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, pgserver.Config{Dir: dir})
}

func TestFolderIsForOneProcess(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	start(t, pgserver.Config{Dir: dir, Ephemeral: true})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := pgserver.Start(ctx, pgserver.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v", err)
	}
}

func TestLeftTracesDoNotHinder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		leave func(t *testing.T, dir string)
	}{
		{"an interrupted set-up", func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "data.new", "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"an empty data folder", func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"the number of a process that is another now", func(t *testing.T, dir string) {
			stop(t, start(t, pgserver.Config{Dir: dir}))
			text := fmt.Sprintf("%d\n%s\n1\n5432\n\n\n", os.Getpid(), filepath.Join(dir, "data"))
			if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"half a pid file", func(t *testing.T, dir string) {
			stop(t, start(t, pgserver.Config{Dir: dir}))
			if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			tt.leave(t, dir)
			s := start(t, pgserver.Config{Dir: dir})
			if err := exec1(t, s.OwnerURL("postgres"), `select 1`); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestForeignFolderIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	precious := filepath.Join(dir, "data", "precious")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "data"), 0o755), os.WriteFile(precious, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no PostgreSQL data") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

// helper starts a server in a process of its own.
func helper(t *testing.T, dir string, ephemeral bool) (kill func(), url string) {
	t.Helper()
	start(t, pgserver.Config{Dir: folder(t), Ephemeral: true}) // skips where there is no PostgreSQL
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	if ephemeral {
		cmd.Env = append(cmd.Env, helperEphemeral+"=1")
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = in.Close()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "postgres://") {
		t.Fatalf("helper says %q, %v", line, err)
	}
	return kill, strings.TrimSpace(line)
}

func TestServerEndsWithAKilledProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can")
	}
	dir := folder(t)
	kill, _ := helper(t, dir, false)
	kill()
	eventually(t, "the server ends", func() bool {
		_, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid"))
		return errors.Is(err, fs.ErrNotExist)
	})
}

func TestStartRightAfterAKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	kill, url := helper(t, dir, false)
	if err := exec1(t, strings.Replace(url, "gatehouse@", "postgres@", 1), `create table t (a text); insert into t values ('here')`); err != nil {
		t.Fatal(err)
	}
	kill()
	s := start(t, pgserver.Config{Dir: dir})
	if got := query(t, s.AdminURL("postgres"), `select a from t`); got != "here" {
		t.Errorf("got %q", got)
	}
}

// A server that was not told of the end of its process, as on other systems.
func TestServerLeftBehindIsStopped(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, pgserver.Config{Dir: dir})
	bin, err := pgserver.Find(t.Context(), pgserver.Places(), first.Version())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, first)
	data := filepath.Join(dir, "data")
	st, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	owner := st.Sys().(*syscall.Stat_t)
	left := exec.Command(filepath.Join(bin.Dir, "postgres"), "-D", data, "-k", filepath.Join(dir, "socket"), "-c", "listen_addresses=")
	left.Dir = "/"
	if os.Geteuid() == 0 {
		left.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = left.Wait(); close(ended) }()
	eventually(t, "the other server runs", func() bool {
		b, _ := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		return strings.Contains(string(b), "ready")
	})

	var log bytes.Buffer
	s := start(t, pgserver.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	<-ended
	if err := exec1(t, s.OwnerURL("postgres"), `select 1`); err != nil {
		t.Error(err)
	}
	stop(t, s)
	if !strings.Contains(log.String(), "An earlier PostgreSQL still runs") {
		t.Errorf("it was not said: %s", log.String())
	}
}

func TestEphemeralLeavesNothing(t *testing.T) {
	t.Parallel()
	gone := func(dir string) func() bool {
		return func() bool { _, err := os.Stat(dir); return errors.Is(err, fs.ErrNotExist) }
	}
	t.Run("stopped", func(t *testing.T) {
		dir := filepath.Join(folder(t), "pg")
		s := start(t, pgserver.Config{Dir: dir, Ephemeral: true})
		pid := postmaster(t, dir)
		stop(t, s)
		if alive(pid) || !gone(dir)() {
			t.Errorf("alive %v, folder gone %v", alive(pid), gone(dir)())
		}
	})
	t.Run("killed", func(t *testing.T) {
		dir := filepath.Join(folder(t), "pg")
		kill, url := helper(t, dir, true)
		kill()
		eventually(t, "the folder is removed", gone(dir))
		if err := exec1(t, url, `select 1`); err == nil {
			t.Error("the server lives")
		}
	})
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("long", 25))
	s := start(t, pgserver.Config{Dir: dir})
	if err := exec1(t, s.OwnerURL("postgres"), `select 1`); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "socket_dir"))
	if err != nil {
		t.Fatal(err)
	}
	short := strings.TrimSpace(string(b))
	st, err := os.Stat(short)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("folder of the socket: %v, %v", st, err)
	}
	stop(t, s)
	if _, err := os.Stat(short); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestFolderClosedToTheServersUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the server is another user only for root")
	}
	home := filepath.Join(folder(t), "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := pgserver.Config{Dir: filepath.Join(home, "gatehouse"), Elsewhere: filepath.Join(folder(t), "elsewhere")}
	s := start(t, cfg)
	if err := exec1(t, s.AdminURL("postgres"), `create table t (a text); insert into t values ('here')`); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	s = start(t, cfg)
	if got := query(t, s.AdminURL("postgres"), `select a from t`); got != "here" {
		t.Errorf("got %q", got)
	}
	if st, err := os.Stat(home); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the closed folder was opened: %v", st.Mode())
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	if _, err := pgserver.Find(t.Context(), nil, 0); !errors.Is(err, pgserver.ErrNotFound) {
		t.Errorf("nowhere: %v", err)
	}
	if _, err := pgserver.Find(t.Context(), []string{folder(t)}, 0); !errors.Is(err, pgserver.ErrNotFound) {
		t.Errorf("in an empty folder: %v", err)
	}
	if _, err := pgserver.Find(t.Context(), pgserver.Places(), 9); !errors.Is(err, pgserver.ErrNotFound) {
		t.Errorf("of a version that is too old: %v", err)
	}
	_, err := pgserver.Start(t.Context(), pgserver.Config{Dir: folder(t), BinDir: folder(t)})
	if !errors.Is(err, pgserver.ErrNotFound) || !strings.Contains(err.Error(), "make postgres") {
		t.Errorf("start: %v", err)
	}
}
