package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/postgres"
)

// New makes a database for t with the migrations applied, and returns its URL.
// The database is dropped when t ends; connections that are left are cut.
func New(t testing.TB, sets ...postgres.Set) (url string) {
	t.Helper()
	s := shared.get(t)
	template, err := s.template(t.Context(), sets)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := "t_" + strings.ReplaceAll(id.New().String(), "-", "")
	if err := s.clone(t.Context(), name, template); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.drop(context.WithoutCancel(t.Context()), name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s.server.URLs(name, login).URL
}

// login is what the roles of tests are called.
const login = "gatehouse_test"

// URLs are those of the database of a URL that New returned.
func URLs(t testing.TB, url string) postgres.URLs {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return shared.get(t).server.URLs(cfg.Database, login)
}

// Open is New with a DB open on the database, closed when t ends.
func Open(t testing.TB, sets ...postgres.Set) *postgres.DB {
	t.Helper()
	return Connect(t, New(t, sets...))
}

// Connect opens a DB on a URL that New returned, closed when t ends: a second
// replica, for instance.
func Connect(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: URLs(t, url), Name: "test", MaxConns: 20})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// Admin turns a URL that New returned into that of the superuser, whom
// row-level security does not bind: to break things, or to look at them from
// outside.
func Admin(t testing.TB, url string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return shared.get(t).server.AdminURL(cfg.Database)
}

// Folder makes a folder for t's own pgserver, removed when t ends. As root the
// server is another user, who may not enter that of testing.T.
func Folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { //nolint:gosec // what is in it is closed itself
		t.Fatalf("pgtest: %v", err)
	}
	return dir
}

// CheckRowSecurity fails t for every table with an organization_id that is not
// closed to other organizations the way package postgres says, and for every foreign
// key by which a row could refer to another organization's.
func CheckRowSecurity(t testing.TB, db *postgres.DB) {
	t.Helper()
	tables, err := rowSecurityFaults(t.Context(), db)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	for _, fault := range tables {
		t.Error(fault)
	}
}

func rowSecurityFaults(ctx context.Context, db *postgres.DB) ([]string, error) {
	// A policy counts if it is for all roles and all commands, narrows what
	// may be written as it does what may be read, and goes by the scope, by its
	// environment too where the table has one. A second permissive policy would
	// be or-ed to it, so it may be for reading only and must keep to the
	// organization, or be that of the role that sees every organization's rows.
	rows, err := db.Pool().Query(ctx, `
		with policy as (
		    select polrelid, polname, polcmd, polpermissive, polroles, polwithcheck is null or pg_get_expr(polwithcheck, polrelid) = pg_get_expr(polqual, polrelid) as writes,
		        regexp_replace(lower(pg_get_expr(polqual, polrelid)), '[\s()]|::uuid|as gatehouse_(organization|environment)', '', 'g') as condition
		    from pg_policy)
		select c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity,
		       (select count(*) from policy p where p.polrelid = c.oid and p.polpermissive and p.polname <> 'scope'
		           and not (p.polcmd = 'r' and p.condition like condition.organization || 'and%')
		           and not (p.polname = 'system' and p.polroles = array['gatehouse_system'::regrole::oid] and p.condition = condition.system)),
		       exists (select from policy p
		               where p.polrelid = c.oid and p.polpermissive and p.polcmd = '*' and p.polroles = '{0}' and p.writes
		                 and (p.condition in (condition.environment, condition.own)
		                     or p.condition = condition.organization
		                         and not exists (select from pg_attribute e where e.attrelid = c.oid and e.attname = 'environment_id' and not e.attisdropped)))
		from pg_class c
		join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
		join pg_namespace n on n.oid = c.relnamespace
		cross join (
		    select regexp_replace(gatehouse_system_condition(), '[\s()]', '', 'g') as system,
		        regexp_replace(gatehouse_condition('organization_id', null), '[\s()]', '', 'g') as organization,
		        regexp_replace(gatehouse_condition('organization_id', 'environment_id'), '[\s()]', '', 'g') as environment,
		        regexp_replace(gatehouse_condition('organization_id', 'id'), '[\s()]', '', 'g') as own) condition
		where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
		order by 1`)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var faults []string
	var table string
	var enabled, forced, policy bool
	var wide int
	_, err = pgx.ForEachRow(rows, []any{&table, &enabled, &forced, &wide, &policy}, func() error {
		switch {
		case !enabled:
			faults = append(faults, fmt.Sprintf("table %s: alter table %[1]s enable row level security", table))
		case !forced:
			faults = append(faults, fmt.Sprintf("table %s: alter table %[1]s force row level security", table))
		case !policy:
			faults = append(faults, fmt.Sprintf("table %s: no policy for all commands by the scope: call protect(%[1]q, ...)", table))
		case wide > 0:
			faults = append(faults, fmt.Sprintf("table %s: %d more policies that are not for reading within the organization only", table, wide))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	rows, err = db.Pool().Query(ctx, `
		select c.conrelid::regclass::text, c.conname
		from pg_constraint c
		join pg_attribute a on a.attrelid = c.conrelid and a.attname = 'organization_id'
		join pg_attribute b on b.attrelid = c.confrelid and b.attname = 'organization_id'
		where c.contype = 'f' and c.connamespace = 'public'::regnamespace and not (a.attnum = any (c.conkey) and b.attnum = any (c.confkey))
		order by 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("list foreign keys: %w", err)
	}
	var key string
	if _, err = pgx.ForEachRow(rows, []any{&table, &key}, func() error {
		faults = append(faults, fmt.Sprintf("table %s: foreign key %s does not carry the organization: call carry_organization()", table, key))
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list foreign keys: %w", err)
	}
	return faults, nil
}

// shared is the process's server. It is the one thing that tests share, as
// starting it takes longer than most of them.
var shared process

type process struct {
	once   sync.Once
	err    error
	server *pgserver.Server

	mu        sync.Mutex
	templates map[string]func() error
}

func (p *process) get(t testing.TB) *process {
	t.Helper()
	p.once.Do(func() { p.err = p.start() })
	switch {
	case errors.Is(p.err, pgserver.ErrNotFound) && os.Getenv("CI") == "":
		t.Skipf("pgtest: %v", p.err)
	case p.err != nil:
		t.Fatalf("pgtest: %v", p.err)
	}
	return p
}

const prefix = "gatehouse-pgtest-"

func (p *process) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	parent := folder()
	sweep(parent)
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return fmt.Errorf("make folder for the server: %w", err)
	}
	if p.server, err = pgserver.Start(ctx, pgserver.Config{Dir: dir, Ephemeral: true, MaxConns: 300, Logins: []string{login}}); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

// folder is where servers keep their data: in memory if there is plenty of it,
// since a clone is hundreds of files that live for a second.
func folder() string {
	const memory, plenty = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if runtime.GOOS == "linux" && syscall.Statfs(memory, &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= plenty {
		return memory
	}
	return os.TempDir()
}

// sweep removes what a crash of the whole machine left of earlier runs: folders
// that nobody holds the lock of and that are old enough not to be just made.
func sweep(parent string) {
	old, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		st, err := os.Stat(dir)
		if err != nil || time.Since(st.ModTime()) < time.Hour {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			_ = os.RemoveAll(dir)
			continue
		}
		if err != nil {
			continue // another user's
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = f.Close()
	}
}

// template returns the database that has the migrations, made at first need.
func (p *process) template(ctx context.Context, sets []postgres.Set) (string, error) {
	h := sha256.New()
	for _, set := range sets {
		fmt.Fprintf(h, "set %q\n", set.Table)
		if err := digest(h, set.FS); err != nil {
			return "", fmt.Errorf("read migrations: %w", err)
		}
	}
	name := "template_" + hex.EncodeToString(h.Sum(nil)[:10])

	p.mu.Lock()
	ready, ok := p.templates[name]
	if !ok {
		// Not of the test that happens to come first: others wait for it.
		ctx := context.WithoutCancel(ctx)
		ready = sync.OnceValue(func() error { return p.build(ctx, name, sets) })
		if p.templates == nil {
			p.templates = make(map[string]func() error)
		}
		p.templates[name] = ready
	}
	p.mu.Unlock()
	return name, ready()
}

func digest(w interface{ Write([]byte) (int, error) }, fsys fs.FS) error {
	if fsys == nil {
		return errors.New("no file system given")
	}
	return fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%q %d\n%s", path, len(b), b)
		return err
	})
}

func (p *process) build(ctx context.Context, name string, sets []postgres.Set) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := p.server.CreateDatabase(ctx, name); err != nil {
		return err
	}
	if len(sets) > 0 {
		if err := postgres.Migrate(ctx, p.server.OwnerURL(name), sets...); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) clone(ctx context.Context, name, template string) error {
	sql := "create database " + pgx.Identifier{name}.Sanitize() + " template " + pgx.Identifier{template}.Sanitize() + " owner " + pgserver.Role
	if p.server.Version() >= 15 {
		sql += " strategy file_copy" // twice as fast, without fsync
	}
	return p.admin(ctx, sql)
}

func (p *process) drop(ctx context.Context, name string) error {
	return p.admin(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)")
}

// admin runs one statement. It connects anew each time, as a pool would keep
// goroutines that the tests' leak checks find.
func (p *process) admin(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.server.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to lose
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
