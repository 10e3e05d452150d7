package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config says which database, and how.
type Config struct {
	// URL is the connection string, postgres://role@host/database or a list of
	// key=value pairs.
	URL string
	// Name is the service's name; the database shows it for each connection.
	Name string
	// MaxConns bounds the connections of this DB. Zero means 16.
	MaxConns int32
	// ConnectTimeout bounds making one connection. Zero means 5 seconds.
	ConnectTimeout time.Duration
	// Tracer makes spans of the statements of requests that are traced. Nil
	// makes none.
	Tracer trace.TracerProvider
	// Meter counts the connections in use. Nil counts none.
	Meter metric.MeterProvider
}

// DB is a pool of connections to a service's database. It is safe for
// concurrent use.
type DB struct {
	pool *pgxpool.Pool
	// full is set by a statement that found no disk to write to, and taken back
	// by a Ping that did.
	full atomic.Bool
	// admission may be nil.
	admission Admission
}

// Open connects and checks that the database answers and that the role is
// bound by row-level security: neither a superuser nor one with BYPASSRLS. The
// error is one line and holds no password.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("read database url: %s", oneLine(err))
	}
	pc.MaxConns = cfg.MaxConns
	if pc.MaxConns <= 0 {
		pc.MaxConns = 16
	}
	pc.ConnConfig.ConnectTimeout = cfg.ConnectTimeout
	if cfg.ConnectTimeout <= 0 {
		pc.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if cfg.Name != "" {
		pc.ConnConfig.RuntimeParams["application_name"] = "gatehouse-" + cfg.Name
	}
	pc.AfterConnect = prepare
	if cfg.Tracer != nil {
		pc.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithTracerProvider(cfg.Tracer), otelpgx.WithDisableAcquireTracer())
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open database: %s", oneLine(err))
	}
	db := &DB{pool: pool}
	if err := db.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	if cfg.Meter != nil {
		if err := otelpgx.RecordStats(pool, otelpgx.WithStatsMeterProvider(cfg.Meter)); err != nil {
			pool.Close()
			return nil, fmt.Errorf("count database connections: %w", err)
		}
	}
	return db, nil
}

// planOnce has a connection plan each statement once. A service's statements
// name what they want by key, and are few. Left to itself the server would plan
// one about a list of keys anew whenever the list is short, at several times the
// cost of running it. The just-in-time compiler costs more than it gains here.
const planOnce = `select set_config('jit', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false)`

// prepare makes a new connection ready.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	teachUUID(conn.TypeMap())
	_, err := conn.Exec(ctx, planOnce)
	return err
}

// Admission looks whether a transaction may be: those for whom it is are in ctx.
// It adds a statement to check whose result is read by a function that objects
// with an error, which is the transaction's; or nothing if anybody may. The
// statement comes before all others and sees the rows of the organization that
// Admission returns. It must not lock rows if readOnly.
type Admission func(ctx context.Context, check *pgx.Batch, readOnly bool) (organization uuid.UUID)

// Admit has every transaction from here on begin with an admission. Call it
// before the database is used.
func (db *DB) Admit(a Admission) { db.admission = a }

func (db *DB) check(ctx context.Context) error {
	var role string
	var free bool
	err := db.pool.QueryRow(ctx, `
		select current_user, rolsuper or rolbypassrls
		from pg_roles where rolname = current_user`).Scan(&role, &free)
	if err != nil {
		if ctx.Err() == nil && unreachable(err) {
			return unavailable(errors.New(oneLine(err)))
		}
		return fmt.Errorf("open database: %s", oneLine(err))
	}
	if free {
		return fmt.Errorf("open database: role %q is a superuser or has BYPASSRLS, so nothing would keep organizations apart: use a plain role that owns the tables", role)
	}
	return nil
}

// Ping reports whether the database answers and, after a statement that failed
// for want of disk space, whether it can write again. For readiness.
func (db *DB) Ping(ctx context.Context) error {
	err := db.pool.Ping(ctx)
	if err == nil && db.full.Load() {
		err = db.tryDisk(ctx)
	}
	switch {
	case err == nil:
		return nil
	case diskFails(err):
		return unavailable(fmt.Errorf("%w: %w", ErrDisk, err))
	case ctx.Err() == nil && unreachable(err):
		return unavailable(err)
	}
	return fmt.Errorf("ping database: %w", err)
}

// tryDisk has the database take a megabyte from its disk and give it back. A
// table that has room in its last page would say nothing.
func (db *DB) tryDisk(ctx context.Context) error {
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing of it shall stay
	_, err = tx.Exec(ctx, `
create temporary table gatehouse_disk on commit drop as
select repeat('x', 1900) as filler from generate_series(1, 500)`)
	var pg *pgconn.PgError
	if err != nil && (!errors.As(err, &pg) || pg.Code != "42501") { // not allowed: the next write will tell
		return err
	}
	db.full.Store(false)
	return nil
}

// Pool returns the connections underneath, for what is no transaction: LISTEN,
// session locks. A query on it sees no row of an organization.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Close waits for the connections in use and closes all.
func (db *DB) Close() { db.pool.Close() }

// oneLine folds the driver's errors, which tell one line per address tried.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
