package postgres

import (
	"cmp"
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

// Migrate applies what the database does not have yet, as its owner: the procedure
// protect (see the package comment), then one set after the other, then what
// [RuntimeRole] may do with the tables. Replicas may call it at the same time: one
// does it, the others wait, as long as ctx allows, and find it done. Migrations see
// every organization's rows.
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
	if err := checkRoles(ctx, db); err != nil {
		return err
	}
	for _, set := range append([]Set{scopeSchema()}, sets...) {
		if err := migrate(ctx, db, set); err != nil {
			return err
		}
	}
	return grantTables(ctx, db)
}

// checkRoles says what is missing before a migration fails for want of it.
func checkRoles(ctx context.Context, db *sql.DB) error {
	var role string
	var roles int
	var member bool
	err := db.QueryRowContext(ctx, `
select current_user, (select count(*) from pg_roles where rolname in ($1, $2)),
    coalesce((select pg_has_role(s.oid, 'usage') from pg_roles s where s.rolname = $2), false)`, RuntimeRole, SystemRole).Scan(&role, &roles, &member)
	switch {
	case err != nil:
		return fmt.Errorf("look for the database's roles: %s", oneLine(err))
	case roles < 2:
		return fmt.Errorf("the database has no roles %s and %s: make them first", RuntimeRole, SystemRole)
	case !member:
		return fmt.Errorf("the database's owner %q is not a member of %s", role, SystemRole)
	}
	return nil
}

// tableGrants let RuntimeRole use the tables, and change nothing in those that are
// only added to. What is as it should be is left alone.
const tableGrants = `
do $$
declare t record;
begin
    for t in
        select c.oid::regclass as name, c.relname ~ '^goose_' as version,
            exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgname = 'append_only') as append_only
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p')
    loop
        if t.version then
            if not has_table_privilege('gatehouse_runtime', t.name, 'select') then
                execute format('grant select on %s to gatehouse_runtime', t.name);
            end if;
        elsif t.append_only then
            if has_table_privilege('gatehouse_runtime', t.name, 'update, delete, truncate') or not has_table_privilege('gatehouse_runtime', t.name, 'insert') then
                execute format('revoke all on %s from gatehouse_runtime', t.name);
                execute format('grant select, insert on %s to gatehouse_runtime', t.name);
            end if;
        elsif not has_table_privilege('gatehouse_runtime', t.name, 'insert') then
            execute format('grant select, insert, update, delete on %s to gatehouse_runtime', t.name);
        end if;
    end loop;
end $$`

func grantTables(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("grant the use of tables: %s", oneLine(err))
	}
	defer conn.Close() //nolint:errcheck // goes back to a pool that ends
	if err := (sessionLock{}).SessionLock(ctx, conn); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, tableGrants)
	if err := (sessionLock{}).SessionUnlock(context.WithoutCancel(ctx), conn); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("grant the use of tables: %s", oneLine(err))
	}
	return nil
}

// CheckMigrated says whether the database, by any of its URLs, has all of what
// [Migrate] would apply: for a service whose database somebody else migrates.
func CheckMigrated(ctx context.Context, url string, sets ...Set) (err error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("read database url: %s", oneLine(err))
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, set := range append([]Set{scopeSchema()}, sets...) {
		p, err := provider(db, set)
		if err != nil {
			return err
		}
		have, want, err := p.GetVersions(ctx)
		if err != nil || have < want {
			return fmt.Errorf("the database is to be migrated first, by its owner: %s is at version %d and not %d", versionTable(set), have, want)
		}
	}
	return nil
}

// versionTable is where a set keeps its version.
func versionTable(set Set) string { return cmp.Or(set.Table, goose.DefaultTablename) }

func migrate(ctx context.Context, db *sql.DB, set Set) error {
	p, err := provider(db, set)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("apply migrations of %s: %w", versionTable(set), err)
	}
	return nil
}

func provider(db *sql.DB, set Set) (*goose.Provider, error) {
	table := versionTable(set)
	fsys, err := root(set.FS)
	if err != nil {
		return nil, fmt.Errorf("find migrations of %s: %w", table, err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithTableName(table), goose.WithSessionLocker(sessionLock{}), goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read migrations of %s: %w", table, err)
	}
	return p, nil
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
