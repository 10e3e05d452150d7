package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/services/standalone"
)

// gatehouse is the Gatehouse that is measured.
type gatehouse struct {
	runtime standalone.Runtime
	nats    *nats.Conn
	js      jetstream.JetStream

	dataDir string
	cmd     *exec.Cmd
	dir     string // to be removed
}

// open connects to the running Gatehouse, or starts one.
func open(ctx context.Context, cfg config) (_ *gatehouse, err error) {
	gh := &gatehouse{}
	defer func() {
		if err != nil {
			gh.close()
		}
	}()
	dataDir := cfg.dataDir
	if dataDir == "" {
		if gh.dir, err = tempDir(); err != nil {
			return nil, fmt.Errorf("make data directory: %w", err)
		}
		dataDir = gh.dir
		program := cfg.program
		if program == "" {
			program = filepath.Join(gh.dir, "gatehouse")
			if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "gatehouse.dev/services/standalone/cmd").CombinedOutput(); err != nil {
				return nil, fmt.Errorf("build standalone: %w\n%s", err, out)
			}
		}
		if err := gh.start(ctx, program, dataDir); err != nil {
			return nil, err
		}
		// PostgreSQL counts statements only if it was started to do so.
		if err := gh.countStatements(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench: statements are not counted:", err)
		} else if err := gh.startAgain(ctx, program, dataDir); err != nil {
			return nil, err
		}
	} else if err := gh.wait(ctx, filepath.Join(dataDir, "runtime.json")); err != nil {
		return nil, err
	}
	gh.dataDir = dataDir
	if gh.nats, err = nats.Connect(gh.runtime.NATS); err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	if gh.js, err = jetstream.New(gh.nats); err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	return gh, nil
}

// start starts the program and waits until it is ready.
func (gh *gatehouse) start(ctx context.Context, program, dataDir string) error {
	gh.cmd = exec.Command(program, "-http-addr", "127.0.0.1:0", "-data-dir", dataDir, "-demo=false")         //nolint:noctx // ended by close
	gh.cmd.Env = append(os.Environ(), "GATEHOUSE_OUTGOING_ALLOW=127.0.0.0/8", "GATEHOUSE_RATE_LIMITS=false") // its app
	gh.cmd.Stderr = os.Stderr
	if err := gh.cmd.Start(); err != nil {
		return fmt.Errorf("start standalone: %w", err)
	}
	return gh.wait(ctx, filepath.Join(dataDir, "runtime.json"))
}

func (gh *gatehouse) startAgain(ctx context.Context, program, dataDir string) error {
	if err := gh.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop standalone: %w", err)
	}
	if err := gh.cmd.Wait(); err != nil {
		return fmt.Errorf("stop standalone: %w", err)
	}
	if err := os.Remove(filepath.Join(dataDir, "runtime.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return gh.start(ctx, program, dataDir)
}

// superuser connects as the private PostgreSQL's superuser.
func (gh *gatehouse) superuser(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(gh.runtime.Postgres["request"])
	if err != nil {
		return nil, fmt.Errorf("read the address of PostgreSQL: %w", err)
	}
	cfg.User = "postgres"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return conn, nil
}

// countStatements has PostgreSQL count statements from its next start on.
func (gh *gatehouse) countStatements(ctx context.Context) error {
	conn, err := gh.superuser(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{
		"create extension if not exists pg_stat_statements",
		"alter system set shared_preload_libraries = 'pg_stat_statements'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// wait waits until the Gatehouse says where it is, and is ready.
func (gh *gatehouse) wait(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		b, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(b, &gh.runtime) == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, gh.runtime.URL+"/readyz", nil)
			if err != nil {
				return fmt.Errorf("ask for readiness: %w", err)
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the standalone Gatehouse does not get ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (gh *gatehouse) close() {
	if gh.nats != nil {
		gh.nats.Close()
	}
	if gh.cmd != nil && gh.cmd.Process != nil {
		_ = gh.cmd.Process.Signal(syscall.SIGTERM)
		_ = gh.cmd.Wait()
	}
	if gh.dir != "" {
		_ = os.RemoveAll(gh.dir)
	}
}

// usage is what Gatehouse has used since it was started.
type usage struct {
	rows, commits, wal int64
	statements         int64         // -1: not counted
	process, postgres  time.Duration // CPU; 0: not measured
}

// usage asks PostgreSQL and the operating system what they have counted.
func (gh *gatehouse) usage(ctx context.Context) (u usage, err error) {
	// PostgreSQL's counts are a second behind.
	select {
	case <-ctx.Done():
		return u, ctx.Err()
	case <-time.After(1500 * time.Millisecond):
	}
	u.process, u.postgres = gh.cpu()
	conn, err := gh.superuser(ctx)
	if err != nil {
		return u, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, `
		select sum(tup_inserted + tup_updated + tup_deleted)::bigint, sum(xact_commit)::bigint,
			pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
		from pg_stat_database where datname like 'gatehouse%'`).Scan(&u.rows, &u.commits, &u.wal)
	if err != nil {
		return u, fmt.Errorf("count rows: %w", err)
	}
	// What begins and ends transactions is counted with the commits.
	err = conn.QueryRow(ctx, `
		select coalesce(sum(calls), 0)::bigint from pg_stat_statements
		where query !~* '^(begin|start|commit|rollback|deallocate|fetch|close)'`).Scan(&u.statements)
	if err != nil {
		u.statements = -1
	}
	return u, nil
}

// cpu is the CPU time of Gatehouse's process and of its PostgreSQL, as Linux
// tells it.
func (gh *gatehouse) cpu() (process, postgres time.Duration) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, 0
	}
	type stat struct {
		parent    int
		own, gone time.Duration // gone: of children that have ended
	}
	stats := make(map[int]stat, len(folders))
	for _, folder := range folders {
		pid, _ := strconv.Atoi(filepath.Base(folder))
		b, err := os.ReadFile(filepath.Join(folder, "stat"))
		if err != nil {
			continue
		}
		// The fields after the name, which may hold anything: state, parent, …
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 15 {
			continue
		}
		ticks := func(i int) time.Duration {
			n, _ := strconv.Atoi(f[i])
			return time.Duration(n) * (time.Second / 100)
		}
		parent, _ := strconv.Atoi(f[1])
		stats[pid] = stat{parent: parent, own: ticks(11) + ticks(12), gone: ticks(13) + ticks(14)}
	}
	server := 0
	b, err := os.ReadFile(filepath.Join(gh.dataDir, "postgres", "data", "postmaster.pid"))
	if err == nil {
		line, _, _ := strings.Cut(string(b), "\n")
		server, _ = strconv.Atoi(line)
	}
	for pid, s := range stats {
		if server != 0 && (pid == server || s.parent == server) {
			postgres += s.own
		}
	}
	return stats[gh.runtime.PID].own, postgres + stats[server].gone
}

// postgresFloor measures transactions that insert a number of rows in one
// statement, on a number of connections.
func (gh *gatehouse) postgresFloor(ctx context.Context, conns, rows int, d time.Duration) (float64, error) {
	pc, err := pgxpool.ParseConfig(gh.runtime.Postgres["request"])
	if err != nil {
		return 0, err
	}
	pc.ConnConfig.User = pgserver.Role // who may make a table
	pc.MaxConns = int32(conns)         //nolint:gosec // a flag
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `create table if not exists bench_floor (id bigint generated always as identity primary key, a text, b jsonb)`); err != nil {
		return 0, err
	}
	defer func() { _, _ = pool.Exec(context.WithoutCancel(ctx), `drop table bench_floor`) }()
	return repeat(ctx, conns, d, func(ctx context.Context) error {
		_, err := pool.Exec(ctx, `insert into bench_floor (a, b) select 'x', '{"a":1,"b":"some text"}' from generate_series(1, $1)`, rows)
		return err
	})
}

// jetStreamFloor measures publishes that wait for their acknowledgement, to a
// stream of the same kind.
func (gh *gatehouse) jetStreamFloor(ctx context.Context, publishers int, d time.Duration) (float64, error) {
	const name = "BENCH_FLOOR"
	if _, err := gh.js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{"bench.floor"}, Storage: jetstream.FileStorage}); err != nil {
		return 0, err
	}
	defer func() { _ = gh.js.DeleteStream(context.WithoutCancel(ctx), name) }()
	payload := make([]byte, 512)
	return repeat(ctx, publishers, d, func(ctx context.Context) error {
		_, err := gh.js.Publish(ctx, "bench.floor", payload)
		return err
	})
}

// repeat does something over and over, a number at a time, and says how often a
// second.
func repeat(ctx context.Context, n int, d time.Duration, f func(context.Context) error) (float64, error) {
	var (
		wg     sync.WaitGroup
		count  atomic.Int64
		failed atomic.Pointer[error]
	)
	start := time.Now()
	for range n {
		wg.Go(func() {
			for time.Since(start) < d && failed.Load() == nil {
				if err := f(ctx); err != nil {
					failed.Store(&err)
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(count.Load()) / time.Since(start).Seconds(), nil
}
