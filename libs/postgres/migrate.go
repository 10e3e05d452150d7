package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Set is a set of migrations with a version of its own, so that what a service
// includes and what it owns can each move on.
type Set struct {
	// Table keeps the set's version. Empty means goose_db_version, the
	// service's own.
	Table string
	// FS holds the migrations, as goose's SQL files at the root or in a folder
	// named migrations.
	FS fs.FS
}

//go:embed migrations/*.sql
var files embed.FS

// scopeSchema is what every database has before its own tables: the scope of a
// transaction, and protect, which binds a table to it.
func scopeSchema() Set { return Set{Table: "goose_scope", FS: files} }

// lockID is the advisory lock that migrations of a database are done under.
const lockID = 0x6761746568 // "gateh"

// lockPoll is how often a replica looks whether another has finished.
const lockPoll = 100 * time.Millisecond

// Migrate applies what the database does not have yet: the procedure protect
// (see the package comment), then one set after the other. Replicas may call it at the same time: one does it, the others wait,
// as long as ctx allows, and find it done. Migrations see every organization's
// rows.
func Migrate(ctx context.Context, url string, sets ...Set) (err error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("read database url: %s", oneLine(err))
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		// Row-level security binds the owner of the tables too.
		_, err := conn.Exec(ctx, "select set_config('client_min_messages', 'warning', false), "+scopeSettings("false"), everything...)
		return err
	}))
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		if ctx.Err() == nil && unreachable(err) {
			return unavailable(errors.New(oneLine(err)))
		}
		return fmt.Errorf("open database to migrate: %s", oneLine(err))
	}
	for _, set := range append([]Set{scopeSchema()}, sets...) {
		if err := migrate(ctx, db, set); err != nil {
			return err
		}
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB, set Set) error {
	table := set.Table
	if table == "" {
		table = goose.DefaultTablename
	}
	fsys, err := root(set.FS)
	if err != nil {
		return fmt.Errorf("find migrations of %s: %w", table, err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithTableName(table), goose.WithSessionLocker(sessionLock{}), goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations of %s: %w", table, err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("apply migrations of %s: %w", table, err)
	}
	return nil
}

// root returns the folder with the SQL files.
func root(fsys fs.FS) (fs.FS, error) {
	if fsys == nil {
		return nil, errors.New("no file system given")
	}
	if found, err := fs.Glob(fsys, "*.sql"); err == nil && len(found) > 0 {
		return fsys, nil
	}
	if found, err := fs.Glob(fsys, "migrations/*.sql"); err == nil && len(found) > 0 {
		return fs.Sub(fsys, "migrations")
	}
	return nil, errors.New("no .sql files")
}

// sessionLock lets one replica migrate. It asks again and again instead of
// waiting inside the database, because a session that waits there holds a
// snapshot, and "create index concurrently" would wait for that one in turn.
type sessionLock struct{}

var _ lock.SessionLocker = sessionLock{}

// SessionLock waits for the lock.
func (sessionLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		var mine bool
		if err := conn.QueryRowContext(ctx, "select pg_try_advisory_lock($1)", int64(lockID)).Scan(&mine); err != nil {
			return fmt.Errorf("lock migrations: %w", err)
		}
		if mine {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for another replica's migrations: %w", ctx.Err())
		}
	}
}

// SessionUnlock gives the lock back.
func (sessionLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "select pg_advisory_unlock($1)", int64(lockID)); err != nil {
		return fmt.Errorf("unlock migrations: %w", err)
	}
	return nil
}
