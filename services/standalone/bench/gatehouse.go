package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/services/standalone"
)

// gatehouse is the Gatehouse that is measured.
type gatehouse struct {
	runtime standalone.Runtime
	nats    *nats.Conn
	js      jetstream.JetStream

	cmd *exec.Cmd
	dir string
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
		gh.cmd = exec.Command(program, "-http-addr", "127.0.0.1:0", "-data-dir", dataDir, "-demo=false") //nolint:noctx // ended by close
		gh.cmd.Stderr = os.Stderr
		if err := gh.cmd.Start(); err != nil {
			return nil, fmt.Errorf("start standalone: %w", err)
		}
	}
	if err := gh.wait(ctx, filepath.Join(dataDir, "runtime.json")); err != nil {
		return nil, err
	}
	if gh.nats, err = nats.Connect(gh.runtime.NATS); err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	if gh.js, err = jetstream.New(gh.nats); err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	return gh, nil
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

// written counts what was written to all databases.
type written struct{ rows, commits int64 }

// rows asks PostgreSQL what it has counted.
func (gh *gatehouse) rows(ctx context.Context) (w written, err error) {
	// The server's counts are a second behind.
	select {
	case <-ctx.Done():
		return w, ctx.Err()
	case <-time.After(1500 * time.Millisecond):
	}
	conn, err := pgx.Connect(ctx, gh.runtime.Postgres["request"])
	if err != nil {
		return w, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, `
		select sum(tup_inserted + tup_updated + tup_deleted)::bigint, sum(xact_commit)::bigint
		from pg_stat_database where datname like 'gatehouse%'`).Scan(&w.rows, &w.commits)
	if err != nil {
		return w, fmt.Errorf("count rows: %w", err)
	}
	return w, nil
}

// postgresFloor measures transactions that insert a number of rows in one
// statement, on a number of connections.
func (gh *gatehouse) postgresFloor(ctx context.Context, conns, rows int, d time.Duration) (float64, error) {
	pc, err := pgxpool.ParseConfig(gh.runtime.Postgres["request"])
	if err != nil {
		return 0, err
	}
	pc.MaxConns = int32(conns) //nolint:gosec // a flag
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
