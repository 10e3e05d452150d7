package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/postgres"
)

const (
	// Role is the role that owns databases and migrates them. It is no superuser.
	Role = "gatehouse"
	// superuser is ours alone.
	superuser = "postgres"

	// port only names the socket; nothing listens on the network.
	port = 5432
)

// Config says where and how to run the server.
type Config struct {
	// Dir is the folder for everything the server keeps. It is made if it is
	// missing. The folders above it should let others pass (mode 0711 will do):
	// as root the server is another user, and where it may not come it keeps
	// its data in Elsewhere, with a note in Dir.
	Dir string
	// Elsewhere is for a Dir that the server's user may not enter. Empty means
	// /var/lib/gatehouse.
	Elsewhere string
	// BinDir is the folder of initdb and postgres. Empty looks for it, see
	// Find.
	BinDir string
	// Fsync makes a commit wait until it is on disk. Without it a power cut
	// may leave the data useless; only for tests.
	Fsync bool
	// Logins are the names of roles that services connect as. Each has a counterpart
	// of the name postgres.SystemLogin.
	Logins []string
	// MaxConns bounds the connections of all databases together. Zero means
	// 200.
	MaxConns int
	// Ephemeral is for tests: without Fsync, whatever that says, and when this
	// process ends, however it ends, or lets go of the Server, the server ends
	// and Dir is removed. No goroutine runs for it meanwhile, and a server that
	// dies stays dead.
	Ephemeral bool
	// Log is told what happens to the server. Nil is for nobody.
	Log *slog.Logger
}

// Server is a running PostgreSQL. It is safe for concurrent use.
type Server struct {
	cfg     Config
	bin     Binaries
	cluster *cluster
	socket  string
	log     *os.File
	guard   *guard

	life context.Context // until Stop
	end  context.CancelFunc
	done chan struct{} // closed when no server runs, nor will

	stop    sync.Once
	stopErr error

	mu   sync.Mutex
	pid  int           // 0 once it has ended
	gone chan struct{} // closed when it has ended; nil for an Ephemeral one

	problem error // why it takes no connections
}

// Start starts the server and returns when it takes connections. ctx bounds
// the start only; end the server with Stop. The error tells what the server
// said.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = 200
	}
	if cfg.Elsewhere == "" {
		cfg.Elsewhere = "/var/lib/gatehouse"
	}
	if cfg.Ephemeral {
		cfg.Fsync = false
	}
	s := &Server{cfg: cfg, done: make(chan struct{})}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if s.cluster, err = openCluster(ctx, cfg); err != nil {
		s.end()
		return nil, err
	}
	defer func() {
		if err != nil {
			s.end()
			s.release()
		}
	}()
	if cfg.Ephemeral {
		if s.guard, err = newGuard(s.cluster); err != nil {
			return nil, err
		}
	}
	major, err := s.cluster.major()
	if err != nil {
		return nil, err
	}
	if s.bin, err = Find(ctx, places(cfg.BinDir), major); err != nil {
		return nil, err
	}
	if major == 0 {
		cfg.Log.InfoContext(ctx, "Setting up a private PostgreSQL", "dir", s.cluster.base, "version", s.bin.Major, "server_user", s.cluster.who.name)
		if err := s.cluster.initialize(ctx, s.bin, cfg.Fsync); err != nil {
			return nil, err
		}
	} else if err := s.cluster.stopLeftover(ctx, cfg.Log); err != nil {
		return nil, err
	}
	if s.socket, err = s.cluster.socketFolder(); err != nil {
		return nil, err
	}
	if err := s.cluster.writeAccess(cfg.Logins); err != nil {
		return nil, err
	}
	if s.log, err = s.cluster.openLog(); err != nil {
		return nil, err
	}
	if err := s.first(ctx); err != nil {
		return nil, err
	}
	if err := s.createRoles(ctx); err != nil {
		s.signal(syscall.SIGINT)
		for !s.ended() && backoff.Wait(context.WithoutCancel(ctx), 5*time.Millisecond) {
		}
		return nil, err
	}
	cfg.Log.InfoContext(ctx, "Private PostgreSQL is ready", "version", s.bin.Major, "server_pid", s.pid)
	if !cfg.Ephemeral {
		go s.watch()
	}
	return s, nil
}

// release gives up what a server that does not run still holds.
func (s *Server) release() {
	if s.log != nil {
		_ = s.log.Close()
	}
	s.cluster.forgetSocket()
	s.cluster.close()
	if s.guard != nil {
		s.guard.let()
	}
}

// first starts the server for the first time. Backends of one that was killed
// a moment ago may still be there; they notice soon, so that is waited for.
func (s *Server) first(ctx context.Context) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := s.launch(ctx)
		var failed *startError
		if err == nil || !errors.As(err, &failed) || !failed.busy() || time.Now().After(deadline) {
			return err
		}
		if !backoff.Wait(ctx, 200*time.Millisecond) {
			return fmt.Errorf("start PostgreSQL: %w", ctx.Err())
		}
	}
}

// launch starts the process and waits until it takes connections.
func (s *Server) launch(ctx context.Context) error {
	from, err := s.log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the server's log: %w", err)
	}
	if s.guard != nil {
		err = s.spawnGuarded()
	} else {
		err = s.spawn()
	}
	if err != nil {
		return fmt.Errorf("start PostgreSQL from %s as user %s: %w", s.bin.Dir, s.cluster.who.name, err)
	}
	for {
		err := s.try(ctx)
		if err == nil {
			return nil
		}
		if s.ended() {
			return &startError{output: s.since(from)}
		}
		if !backoff.Wait(ctx, 10*time.Millisecond) {
			s.signal(syscall.SIGQUIT)
			return fmt.Errorf("wait for PostgreSQL: %w (%w)", ctx.Err(), err)
		}
	}
}

// startError is a server that ended instead of starting.
type startError struct{ output string }

func (e *startError) Error() string { return "start PostgreSQL: it ended at once, saying: " + e.output }

func (e *startError) busy() bool {
	return strings.Contains(e.output, "shared memory block") || strings.Contains(e.output, "lock file")
}

// since returns the last lines that the server wrote after an offset.
func (s *Server) since(from int64) string {
	b, err := io.ReadAll(io.NewSectionReader(s.log, from, 1<<20))
	if err != nil || len(b) == 0 {
		return "nothing"
	}
	return lastLines(string(b), 6)
}

func (s *Server) command() *exec.Cmd {
	args := []string{"-D", s.cluster.data(), "-p", strconv.Itoa(port), "-k", s.socket}
	for _, v := range s.settings() {
		args = append(args, "-c", v)
	}
	//nolint:noctx // it is ended by signals, never by a context
	cmd := exec.Command(filepath.Join(s.bin.Dir, "postgres"), args...)
	cmd.Dir = "/" // our own may be closed to the server's user
	cmd.Env, cmd.SysProcAttr = environment(), s.cluster.who.attributes()
	cmd.Stdout, cmd.Stderr = s.log, s.log
	return cmd
}

func (s *Server) settings() []string {
	set := []string{
		"listen_addresses=",
		"unix_socket_permissions=0700",
		"hba_file=" + s.cluster.path("pg_hba.conf"),
		"ident_file=" + s.cluster.path("pg_ident.conf"),
		"external_pid_file=",
		"logging_collector=off",
		"log_destination=stderr",
		"log_line_prefix=%m [%p] %d ",
		"timezone=UTC",
		"log_timezone=UTC",
		"max_connections=" + strconv.Itoa(s.cfg.MaxConns),
		// Short transactions of a few rows each: planning for more than one
		// process or compiling never pays.
		"jit=off",
		"max_parallel_workers_per_gather=0",
		"random_page_cost=1.1",
	}
	if !s.cfg.Fsync {
		return append(set, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"shared_buffers=64MB", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=256MB", "checkpoint_timeout=1h",
			"autovacuum_naptime=1h", "dynamic_shared_memory_type=mmap") // the last keeps all files in Dir
	}
	return append(set, "fsync=on", "synchronous_commit=on", "full_page_writes=on",
		"shared_buffers=256MB", "wal_buffers=16MB", "effective_cache_size=1GB",
		// Few checkpoints, as each makes the pages after it be logged whole.
		"checkpoint_timeout=15min", "max_wal_size=2GB", "min_wal_size=256MB", "checkpoint_completion_target=0.9",
		// Outboxes and inboxes turn over all the time.
		"autovacuum_naptime=10s", "autovacuum_vacuum_scale_factor=0.05", "autovacuum_analyze_scale_factor=0.05",
		// Nobody thinks that long; somebody waits for the locks.
		"idle_in_transaction_session_timeout=2min")
}

// spawn starts the process and a goroutine that waits for it.
func (s *Server) spawn() error {
	started := make(chan error)
	gone := make(chan struct{})
	go func() {
		// The kernel ends the server with the thread that started it, so this
		// goroutine keeps its thread for as long as the server runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := s.command()
		dieWithUs(cmd.SysProcAttr)
		err := cmd.Start()
		if err == nil {
			s.running(cmd.Process.Pid, gone)
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // the log says more than its status
			close(gone)
		}
	}()
	return <-started
}

// spawnGuarded starts the process without anything in this one that stays.
func (s *Server) spawnGuarded() error {
	cmd := s.command()
	if err := cmd.Start(); err != nil {
		return err
	}
	s.running(cmd.Process.Pid, nil)
	if err := s.guard.watch(cmd.Process.Pid); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	return cmd.Process.Release()
}

func (s *Server) running(pid int, gone chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid, s.gone = pid, gone
}

// ended reports whether the process has ended. Once it has, it is forgotten.
func (s *Server) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.pid == 0:
		return true
	case s.gone != nil:
		select {
		case <-s.gone:
			s.pid = 0
			return true
		default:
			return false
		}
	}
	pid, err := syscall.Wait4(s.pid, nil, syscall.WNOHANG, nil)
	if pid == s.pid || errors.Is(err, syscall.ECHILD) {
		s.pid = 0
		return true
	}
	return false
}

// signal signals the process, unless it has ended.
func (s *Server) signal(sig syscall.Signal) {
	if s.ended() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid != 0 {
		_ = syscall.Kill(s.pid, sig) // it may end right now
	}
}

// watch starts a server that died again, until Stop, however often that takes:
// what kept it from starting, such as a full disk, may pass.
func (s *Server) watch() {
	defer close(s.done)
	const quick, longest = time.Minute, 5 * time.Second
	for wait := time.Duration(0); ; {
		since := time.Now()
		s.mu.Lock()
		gone := s.gone
		s.mu.Unlock()
		<-gone
		s.ended()
		if s.life.Err() != nil {
			return
		}
		s.reportProblem(errors.New("it has ended by itself"))
		s.cfg.Log.ErrorContext(s.life, "PostgreSQL ended by itself, starting it again")
		if time.Since(since) > quick {
			wait = 0
		}
		for {
			if !backoff.Wait(s.life, wait) {
				return
			}
			wait = min(wait+time.Second, longest)
			err := s.first(s.life)
			if err == nil {
				break
			}
			if s.life.Err() != nil {
				return
			}
			s.reportProblem(err)
			s.cfg.Log.ErrorContext(s.life, "PostgreSQL cannot be started again, it will be tried again", "error", err)
		}
		s.reportProblem(nil)
		s.mu.Lock()
		pid := s.pid
		s.mu.Unlock()
		s.cfg.Log.InfoContext(s.life, "Private PostgreSQL is ready again", "server_pid", pid)
	}
}

func (s *Server) reportProblem(problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problem = problem
}

// Check returns nil while the server takes connections, and otherwise why it
// does not. An Ephemeral server's is always nil.
func (s *Server) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// Stop disconnects everybody, ends the server and waits for its end; if ctx
// ends first it ends it without a checkpoint, which the next start makes up
// for. Stopping twice is fine.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() { s.stopErr = s.shutDown(ctx) })
	return s.stopErr
}

func (s *Server) shutDown(ctx context.Context) error {
	s.end()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if s.guard != nil {
		s.guard.let()
	} else {
		s.signal(syscall.SIGINT)
	}
	for !s.ended() && backoff.Wait(ctx, 5*time.Millisecond) {
	}
	var err error
	if !s.ended() {
		err = fmt.Errorf("stop PostgreSQL: it does not end, killing it: %w", ctx.Err())
		s.signal(syscall.SIGQUIT)
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		for !s.ended() && backoff.Wait(late, 5*time.Millisecond) {
		}
		s.signal(syscall.SIGKILL)
	}
	if !s.cfg.Ephemeral {
		<-s.done
	}
	s.release()
	return err
}

// URLs are where a service finds its database, with its login. They hold no secret:
// they are of use to the user of this process only.
func (s *Server) URLs(database, login string) postgres.URLs {
	return postgres.URLs{
		URL: s.url(login, database), SystemURL: s.url(postgres.SystemLogin(login), database), OwnerURL: s.OwnerURL(database),
	}
}

// OwnerURL is a database's address for its owner, Role.
func (s *Server) OwnerURL(database string) string { return s.url(Role, database) }

// AdminURL is the address for the superuser, whom row-level security does not bind. For
// tests and repair.
func (s *Server) AdminURL(database string) string { return s.url(superuser, database) }

func (s *Server) url(role, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database}
	u.RawQuery = url.Values{"host": {s.socket}, "port": {strconv.Itoa(port)}}.Encode()
	return u.String()
}

// Version is the major version of the server.
func (s *Server) Version() int { return s.bin.Major }

// CreateDatabase makes a database that Role owns and that only the logins may enter
// besides. It does nothing if the database is there.
func (s *Server) CreateDatabase(ctx context.Context, name string, logins ...string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error { return postgres.CreateDatabase(ctx, conn, name, Role, logins...) })
}

func (s *Server) createRoles(ctx context.Context) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		var there bool
		if err := conn.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1)", Role).Scan(&there); err != nil {
			return fmt.Errorf("look for role %s: %w", Role, err)
		}
		if !there {
			if _, err := conn.Exec(ctx, "create role "+Role+" login nosuperuser nobypassrls nocreatedb nocreaterole"); err != nil {
				return fmt.Errorf("create role %s: %w", Role, err)
			}
		}
		if err := postgres.CreateRoles(ctx, conn, Role); err != nil {
			return err
		}
		for _, l := range s.cfg.Logins {
			if err := postgres.CreateLogin(ctx, conn, l, "", ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Server) admin(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the private PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to lose
	return do(conn)
}

// try reports whether the server takes connections.
func (s *Server) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s.admin(ctx, func(conn *pgx.Conn) error { return conn.Ping(ctx) })
}

// lastLines returns the last n lines that say something, in one.
func lastLines(s string, n int) string {
	var lines []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
