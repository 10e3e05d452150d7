package postgres

import (
	"cmp"
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
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config says which database, and how.
type Config struct {
	// URLs are the connection strings of the two roles that a DB works as, each
	// postgres://role@host/database or a list of key=value pairs.
	URLs URLs
	// Name is the service's name; the database shows it for each connection.
	Name string
	// MaxConns bounds the connections of this DB; each role has half of them. Zero
	// means 16.
	MaxConns int32
	// ConnectTimeout bounds making one connection. Zero means 5 seconds.
	ConnectTimeout time.Duration
	// Timeout bounds a transaction whose context has no deadline, so that none has a
	// connection for ever. Zero means [DefaultTimeout].
	Timeout time.Duration
	// Tracer makes spans of the statements of requests that are traced. Nil
	// makes none.
	Tracer trace.TracerProvider
	// Meter counts the connections in use. Nil counts none.
	Meter metric.MeterProvider
}

// DefaultTimeout is less than the gateway waits for an answer over HTTP.
const DefaultTimeout = 50 * time.Second

// DB is a pool of connections to a service's database. It is safe for
// concurrent use.
type DB struct {
	// pool is for what is within a scope, and system for the rest.
	pool, system *pgxpool.Pool
	// full is set by a statement that found no disk to write to, and taken back
	// by a Ping that did.
	full atomic.Bool
	// admission may be nil.
	admission Admission
	// timeout is Config's.
	timeout time.Duration
}

// Open connects and checks that the database answers and that both roles are what
// they should be: bound by row-level security, no owner of a table, and only the
// second a member of [SystemRole]. The error is one line and holds no password.
func Open(ctx context.Context, cfg Config) (_ *DB, err error) {
	db := &DB{timeout: cmp.Or(max(cfg.Timeout, 0), DefaultTimeout)}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	if db.pool, err = open(ctx, cfg, cfg.URLs.URL, false); err != nil {
		return nil, err
	}
	if db.system, err = open(ctx, cfg, cfg.URLs.SystemURL, true); err != nil {
		return nil, err
	}
	return db, nil
}

// open makes one of the pools.
func open(ctx context.Context, cfg Config, url string, system bool) (_ *pgxpool.Pool, err error) {
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read database url: %s", oneLine(err))
	}
	pc.MaxConns = max((cmp.Or(max(cfg.MaxConns, 0), 16)+1)/2, 1)
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
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	if err := checkRole(ctx, pool, system); err != nil {
		return nil, err
	}
	if cfg.Meter != nil {
		role := attribute.String("gatehouse.role", map[bool]string{false: "runtime", true: "system"}[system])
		if err := otelpgx.RecordStats(pool, otelpgx.WithStatsMeterProvider(cfg.Meter), otelpgx.WithStatsAttributes(role)); err != nil {
			return nil, fmt.Errorf("count database connections: %w", err)
		}
	}
	return pool, nil
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

// checkRole says what is wrong with the role of a pool.
func checkRole(ctx context.Context, pool *pgxpool.Pool, system bool) error {
	var role string
	var free, owner, all bool
	err := pool.QueryRow(ctx, `
select current_user, rolsuper or rolbypassrls,
    exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p') and pg_has_role(c.relowner, 'usage')),
    coalesce((select pg_has_role(s.oid, 'usage') from pg_roles s where s.rolname = $1), false)
from pg_roles where rolname = current_user`, SystemRole).Scan(&role, &free, &owner, &all)
	if err != nil {
		if ctx.Err() == nil && unreachable(err) {
			return unavailable(errors.New(oneLine(err)))
		}
		return fmt.Errorf("open database: %s", oneLine(err))
	}
	problem := ""
	switch {
	case free:
		problem = "is a superuser or has BYPASSRLS, so nothing would keep organizations apart"
	case owner:
		problem = "owns tables, so it could open them to anybody: only who migrates may"
	case system && !all:
		problem = "is not a member of " + SystemRole + ", which sees every organization's rows"
	case !system && all:
		problem = "is a member of " + SystemRole + ", so nothing would keep organizations apart"
	default:
		return nil
	}
	return fmt.Errorf("open database: role %q %s", role, problem)
}

// Ping reports whether the database answers and, after a statement that failed
// for want of disk space, whether it can write again. For readiness.
func (db *DB) Ping(ctx context.Context) error {
	err := db.pool.Ping(ctx)
	if err == nil {
		err = db.system.Ping(ctx)
	}
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

// Pool returns the connections underneath that are [SystemRole]'s, for what is no
// transaction: session locks, a connection of one's own. A query on it sees no row
// of an organization.
func (db *DB) Pool() *pgxpool.Pool { return db.system }

// Close waits for the connections in use and closes all.
func (db *DB) Close() {
	for _, pool := range []*pgxpool.Pool{db.pool, db.system} {
		if pool != nil {
			pool.Close()
		}
	}
}

// oneLine folds the driver's errors, which tell one line per address tried.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
