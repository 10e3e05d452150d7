package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/disktest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func count(t *testing.T, db *postgres.DB) int {
	t.Helper()
	var n int
	err := db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, `select count(*) from document`).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func unavailable(t *testing.T, err error) {
	t.Helper()
	e, ok := apierr.From(err)
	if !ok || e.Code != codes.Unavailable || e.Reason != "DATABASE_UNAVAILABLE" || e.RetryAfter != time.Second {
		t.Errorf("got %v, want DATABASE_UNAVAILABLE", err)
	}
}

func TestCommitAndRollback(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	canceled, cancel := context.WithCancel(context.Background())
	tests := []struct {
		name     string
		ctx      context.Context
		fn       func(context.Context, *postgres.Tx) error
		want     error // nil: any
		wantRows int
		wantErr  bool
	}{
		{name: "nil commits", wantRows: 1},
		{name: "an error rolls back and is returned as it is", fn: func(context.Context, *postgres.Tx) error { return boom }, want: boom, wantErr: true},
		{name: "a relaxed one commits too", fn: func(_ context.Context, tx *postgres.Tx) error { tx.Relaxed(); return nil }, wantRows: 1},
		{name: "a swallowed failure does not commit", fn: func(ctx context.Context, tx *postgres.Tx) error {
			_, _ = tx.Exec(ctx, `select 1/0`)
			return nil
		}, want: pgx.ErrTxCommitRollback, wantErr: true},
		{name: "nor when relaxed", fn: func(ctx context.Context, tx *postgres.Tx) error {
			_, _ = tx.Exec(ctx, `select 1/0`)
			tx.Relaxed()
			return nil
		}, wantErr: true},
		{name: "a caller who has gone", ctx: canceled, fn: func(context.Context, *postgres.Tx) error { cancel(); return nil }, want: context.Canceled, wantErr: true},
		{name: "what is for later counts", fn: func(_ context.Context, tx *postgres.Tx) error { tx.Later(later(`select 1`)); return nil }, wantRows: 1},
		{name: "also when relaxed", fn: func(_ context.Context, tx *postgres.Tx) error {
			tx.Relaxed()
			tx.Later(later(`select 1`))
			return nil
		}, wantRows: 1},
		{name: "what is for later and fails", fn: func(_ context.Context, tx *postgres.Tx) error { tx.Later(later(`select 1/0`)); return nil }, wantErr: true},
		{name: "what is for later and fails before another statement", fn: func(ctx context.Context, tx *postgres.Tx) error {
			tx.Later(later(`select 1/0`))
			_, err := tx.Exec(ctx, `select $1::int`, 1)
			if err == nil {
				t.Error("the statement behind it ran")
			}
			return nil
		}, wantErr: true},
		{name: "what is for later and has a result that is objected to", fn: func(_ context.Context, tx *postgres.Tx) error {
			b := &pgx.Batch{}
			b.Queue(`select 1`).Exec(func(pgconn.CommandTag) error { return boom })
			tx.Later(b)
			return nil
		}, want: boom, wantErr: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Open(t, documents)
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			hooks := 0
			err := db.InOrganization(ctx, id.New(), func(ctx context.Context, tx *postgres.Tx) error {
				tx.AfterCommit(func() { hooks++ })
				var org string
				if err := tx.QueryRow(ctx, `select current_setting('gatehouse.organization')`).Scan(&org); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `insert into document (id, organization_id, title) values ($1, $2, 'x')`, id.New(), org); err != nil {
					return err
				}
				if tt.fn != nil {
					return tt.fn(ctx, tx)
				}
				return nil
			})
			if (err != nil) != tt.wantErr || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
			if n := count(t, db); n != tt.wantRows || hooks != tt.wantRows {
				t.Errorf("%d rows and %d hooks, want %d", n, hooks, tt.wantRows)
			}
		})
	}
}

func later(sql string) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(sql)
	return b
}

// Whatever the first statement is, it finds a transaction that has begun, and
// a failed beginning leaves nothing to run outside of one.
func TestFirstStatement(t *testing.T) {
	t.Parallel()
	org := id.New()
	where := `select current_setting('gatehouse.organization')`
	ways := map[string]func(ctx context.Context, tx *postgres.Tx) (string, error){
		"QueryRow": func(ctx context.Context, tx *postgres.Tx) (got string, err error) {
			return got, tx.QueryRow(ctx, where).Scan(&got)
		},
		"Query": func(ctx context.Context, tx *postgres.Tx) (string, error) {
			rows, err := tx.Query(ctx, where+` where $1`, true)
			if err != nil {
				return "", err
			}
			return pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		},
		"SendBatch": func(ctx context.Context, tx *postgres.Tx) (got string, err error) {
			b := &pgx.Batch{}
			b.Queue(where).QueryRow(func(row pgx.Row) error { return row.Scan(&got) })
			return got, tx.SendBatch(ctx, b).Close()
		},
		"Exec": func(ctx context.Context, tx *postgres.Tx) (got string, err error) {
			if _, err := tx.Exec(ctx, `select $1::int`, 1); err != nil {
				return "", err
			}
			return got, tx.QueryRow(ctx, where).Scan(&got)
		},
		"Exec of several": func(ctx context.Context, tx *postgres.Tx) (got string, err error) {
			if _, err := tx.Exec(ctx, `select 1; select 2`); err != nil {
				return "", err
			}
			return got, tx.QueryRow(ctx, where).Scan(&got)
		},
		"Later": func(ctx context.Context, tx *postgres.Tx) (got string, err error) {
			tx.Later(later(`select 1`))
			return got, tx.QueryRow(ctx, where).Scan(&got)
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Open(t, documents)
			err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				got, err := way(ctx, tx)
				if got != org.String() {
					t.Errorf("scope %q", got)
				}
				if _, err := tx.Exec(ctx, `savepoint works_in_a_transaction_only`); err != nil {
					t.Error(err)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			err = db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				gone, cancel := context.WithCancel(ctx)
				cancel()
				if _, err := way(gone, tx); err == nil {
					t.Error("a caller who has gone was served")
				}
				_, _ = tx.Exec(ctx, `create table outside ()`)
				return nil
			})
			if err == nil {
				t.Error("committed what was never begun")
			}
			var outside bool
			if err := db.Pool().QueryRow(t.Context(), `select to_regclass('outside') is not null`).Scan(&outside); err != nil || outside {
				t.Errorf("ran outside of a transaction: %t, %v", outside, err)
			}
		})
	}
}

// A pooled connection that has died costs nothing: the work is begun again on
// another.
func TestDeadConnectionInThePool(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t, documents)
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: pgtest.URLs(t, url), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	admin, err := pgx.Connect(t.Context(), pgtest.Admin(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	for range 5 {
		count(t, db)
		_, err := admin.Exec(t.Context(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`)
		if err != nil {
			t.Fatal(err)
		}
		count(t, db)
	}
}

func TestReadOnlyRefusesChanges(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents)
	org := id.New()
	err := db.InOrganizationRead(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := insert(ctx, tx, org, "x")
		return err
	})
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "25006" {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestPanicLeavesNoTransactionBehind(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t, documents)
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: pgtest.URLs(t, url), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	org := id.New()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := insert(ctx, tx, org, "x"); err != nil {
				return err
			}
			panic("bug")
		})
	}()
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows of a transaction that panicked", n)
	}
}

// Two transactions that lock the same rows in opposite order: the database
// breaks one, which is run again.
func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents)
	org := id.New()
	err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		_, a := insert(ctx, tx, org, "a")
		_, b := insert(ctx, tx, org, "b")
		return errors.Join(a, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	tries, hooks := 0, 0
	meet := make(chan struct{}, 2) // one token from each on its first try
	var wg sync.WaitGroup
	for i, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			first := true
			err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				mu.Lock()
				tries++
				mu.Unlock()
				tx.AfterCommit(func() { mu.Lock(); hooks++; mu.Unlock() })
				if _, err := tx.Exec(ctx, `select from document where title = $1 for update`, order[0]); err != nil {
					return err
				}
				if first {
					first = false
					meet <- struct{}{}
					for len(meet) < 2 && ctx.Err() == nil {
						if _, err := tx.Exec(ctx, `select 1`); err != nil {
							return err
						}
					}
				}
				if _, err := tx.Exec(ctx, `select from document where title = $1 for update`, order[1]); err != nil {
					return fmt.Errorf("lock the second: %w", err)
				}
				return nil
			})
			if err != nil {
				t.Errorf("transaction %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if tries != 3 || hooks != 2 {
		t.Errorf("%d tries and %d hooks, want 3 and 2", tries, hooks)
	}
}

func TestTriesEnd(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents)
	tries := 0
	err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		tries++
		tx.AfterCommit(func() { t.Error("a hook of a failed try ran") })
		_, err := tx.Exec(ctx, `do $$ begin raise exception 'again' using errcode = '40001'; end $$`)
		return apierr.Precondition("TOO_BUSY", "too busy").Wrap(err)
	})
	if tries != 3 || !apierr.HasReason(err, "TOO_BUSY") {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// atCommit runs body when a transaction that wrote a document commits.
func atCommit(body string) postgres.Set {
	return postgres.Set{Table: "goose_trigger", FS: fstest.MapFS{"00001_trigger.sql": {Data: []byte(`-- +goose Up
-- +goose StatementBegin
create function at_commit() returns trigger language plpgsql as $$ begin ` + body + ` return null; end $$;
-- +goose StatementEnd
create table seen (value text);
create constraint trigger at_commit after insert on document deferrable initially deferred
    for each row execute function at_commit();
`)}}}
}

func TestFailureAtCommit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		check      func(t *testing.T, err error, tries int)
	}{
		{"serialization is tried again", `raise exception 'again' using errcode = '40001';`, func(t *testing.T, err error, tries int) {
			if tries != 3 || err == nil {
				t.Errorf("%d tries, %v", tries, err)
			}
		}},
		{"a deferred constraint has its name", `raise exception 'no' using errcode = '23514', constraint = 'document_final';`, func(t *testing.T, err error, tries int) {
			if name, ok := postgres.Constraint(err); tries != 1 || !ok || name != "document_final" {
				t.Errorf("%d tries, %v", tries, err)
			}
		}},
		{"a lost connection leaves the outcome open", `perform pg_terminate_backend(pg_backend_pid());`, func(t *testing.T, err error, tries int) {
			unavailable(t, err)
			if tries != 1 {
				t.Errorf("%d tries of what may have happened", tries)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Open(t, documents, atCommit(tt.body))
			org, tries := id.New(), 0
			err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				tries++
				tx.AfterCommit(func() { t.Error("the hook ran") })
				_, err := insert(ctx, tx, org, "x")
				return err
			})
			tt.check(t, err, tries)
		})
	}
}

func TestRelaxed(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents, atCommit(`insert into seen values (current_setting('synchronous_commit'));`))
	for _, relaxed := range []bool{true, false} {
		err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			// The tests' server has it off for all.
			if _, err := tx.Exec(ctx, `set local synchronous_commit to on`); err != nil {
				return err
			}
			if relaxed {
				tx.Relaxed()
			}
			_, err := insert(ctx, tx, id.New(), "x")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.Pool().Query(t.Context(), `select value from seen order by value`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(got) != 2 || got[0] != "off" || got[1] != "on" {
		t.Errorf("got %q, %v", got, err)
	}
	// The setting ends with the transaction.
	var now string
	if err := db.Pool().QueryRow(t.Context(), `show synchronous_commit`).Scan(&now); err != nil || now != "off" {
		t.Errorf("got %q, %v", now, err)
	}
}

func TestConstraint(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents)
	tests := []struct{ name, title, want string }{
		{"unique", "x", "document_title_unique"},
		{"check", "", "document_title_set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			org := id.New()
			err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				if _, err := insert(ctx, tx, org, "x"); err != nil {
					return err
				}
				_, err := insert(ctx, tx, org, tt.title)
				return err
			})
			if got, ok := postgres.Constraint(fmt.Errorf("insert: %w", err)); !ok || got != tt.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, ok := postgres.Constraint(errors.New("x")); ok {
		t.Error("a constraint in an error that has none")
	}
}

// A transaction costs its statements, beginning and end; where nothing is read,
// in one round trip.
func TestTracesAndMetrics(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	reader := metric.NewManualReader()
	db, err := postgres.Open(t.Context(), postgres.Config{
		URLs: pgtest.URLs(t, pgtest.New(t, documents)), Name: "test", Tracer: tracer,
		Meter: metric.NewMeterProvider(metric.WithReader(reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, root := tracer.Tracer("test").Start(t.Context(), "request")
	err = db.InOrganization(ctx, id.New(), func(ctx context.Context, tx *postgres.Tx) error {
		tx.Later(later(`select 1`))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	root.End()
	var names []string
	for _, s := range spans.Ended() {
		names = append(names, s.Name())
	}
	// Begin, scope, the statement, commit; their one round trip; and ours.
	if len(names) != 6 || strings.Count(strings.Join(names, " "), "batch") != 1 {
		t.Errorf("spans %q", names)
	}
	var m metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &m); err != nil || len(m.ScopeMetrics) == 0 {
		t.Errorf("metrics %v, %v", m, err)
	}
	var app string
	if err := db.Pool().QueryRow(t.Context(), `show application_name`).Scan(&app); err != nil || app != "gatehouse-test" {
		t.Errorf("application name %q, %v", app, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	good := pgtest.New(t, documents)
	urls := pgtest.URLs(t, good)
	cfg, err := pgx.ParseConfig(good)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, url, want string
		away            bool
	}{
		{"a superuser", pgtest.Admin(t, good), "superuser", false},
		{"the owner", urls.OwnerURL, "owns tables", false},
		{"one who sees all", urls.SystemURL, "is a member of gatehouse_system", false},
		{"no url", "postgres://user:sesame@host:port/db", "read database url", false},
		{"nobody there", "postgres://user:sesame@" + nobody + "/db?sslmode=disable", "refused", true},
		{"no such database", strings.Replace(good, cfg.Database, "nowhere", 1), "nowhere", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db, err := postgres.Open(t.Context(), postgres.Config{URLs: postgres.URLs{URL: tt.url, SystemURL: urls.SystemURL}})
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "sesame") {
				t.Errorf("got %q, want one line about %q", err, tt.want)
			}
			if tt.away {
				unavailable(t, err)
			}
			if err := postgres.Migrate(t.Context(), tt.url, documents); tt.name != "a superuser" && tt.name != "the owner" && tt.name != "one who sees all" && (err == nil || strings.Contains(err.Error(), "\n")) {
				t.Errorf("migrate: got %v", err)
			}
		})
	}
}

// Who works as one who sees all must be that, and neither the owner nor more.
func TestOpenRefusesSystem(t *testing.T) {
	t.Parallel()
	urls := pgtest.URLs(t, pgtest.New(t, documents))
	for url, want := range map[string]string{
		urls.URL: "is not a member of gatehouse_system", urls.OwnerURL: "owns tables", pgtest.Admin(t, urls.URL): "superuser", "": "",
	} {
		db, err := postgres.Open(t.Context(), postgres.Config{URLs: postgres.URLs{URL: urls.URL, SystemURL: url}})
		if err == nil {
			db.Close()
			t.Errorf("opened as %s", url)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

// The role that serves callers cannot see another organization's rows whatever it
// sets, cannot change the schema or who may do what, and adds only to what is only
// added to.
func TestRuntimeRoleIsBound(t *testing.T) {
	t.Parallel()
	log := postgres.Set{Table: "log_version", FS: fstest.MapFS{"00001_log.sql": {Data: []byte(`-- +goose Up
create table log (id uuid primary key, organization_id uuid not null);
call protect('log', 'organization');
-- +goose StatementBegin
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'append-only'; end $$;
-- +goose StatementEnd
create trigger append_only before update or delete or truncate on log for each statement execute function refuse();
`)}}}
	url := pgtest.New(t, documents, log)
	db := pgtest.Connect(t, url)
	org := id.New()
	err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := insert(ctx, tx, org, "theirs")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, setting := range []string{"", uuid.Max.String(), uuid.Nil.String(), id.New().String()} {
		var n int
		if _, err := conn.Exec(t.Context(), "select set_config('gatehouse.organization', $1, false), set_config('gatehouse.environment', $2, false)", setting, uuid.Nil.String()); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(t.Context(), "select count(*) from document").Scan(&n); err != nil || n != 0 {
			t.Errorf("with the setting %q it sees %d rows, %v", setting, n, err)
		}
	}
	for _, sql := range []string{
		"set role gatehouse_system", "set role gatehouse", "set session authorization gatehouse", "grant gatehouse_system to current_user",
		"alter table document disable row level security", "alter table document no force row level security", "drop policy scope on document",
		"create policy all_of_it on document using (true)", "drop table document", "truncate document", "create table mine (a int)",
		"create or replace function gatehouse_organization() returns uuid language sql return null::uuid",
		"update log set id = id", "delete from log", "truncate log", "alter table log disable trigger append_only", "set session_replication_role = replica",
		"update goose_scope set version_id = 0", "alter role current_user bypassrls", "create role mine",
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("it may %s", sql)
		}
	}
	if _, err := conn.Exec(t.Context(), "select set_config('gatehouse.organization', $1, false)", org.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "insert into log values ($1, $2)", id.New(), org); err != nil {
		t.Errorf("it may not add: %v", err)
	}
	if err := postgres.CheckMigrated(t.Context(), url, documents, log); err != nil {
		t.Error(err)
	}
	more := log
	more.FS = fstest.MapFS{"00002_more.sql": {Data: []byte("-- +goose Up\nselect 1;\n")}}
	if err := postgres.CheckMigrated(t.Context(), url, documents, more); err == nil {
		t.Error("a database that lacks a migration is taken for whole")
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	start := func() *pgserver.Server {
		s, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir, Logins: []string{"test"}})
		if errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	stop := func(s *pgserver.Server) {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	s := start()
	if err := s.CreateDatabase(t.Context(), "away", "test"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), s.OwnerURL("away"), documents); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: s.URLs("away", "test")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	org := id.New()
	write := func() error {
		return db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := insert(ctx, tx, org, id.New().String())
			return err
		})
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}

	// Lost in the middle of the work.
	err = db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := insert(ctx, tx, org, "half"); err != nil {
			return err
		}
		stop(s)
		_, err := insert(ctx, tx, org, "other half")
		return err
	})
	unavailable(t, err)
	unavailable(t, write())
	unavailable(t, db.Ping(t.Context()))

	// What is public of it does not tell where the database is.
	if st := apierr.Status(write()); strings.Contains(st.String(), dir) {
		t.Errorf("the status tells where the database is: %s", st)
	}

	s = start()
	defer stop(s)
	if err := write(); err != nil {
		t.Errorf("the database is back, but: %v", err)
	}
	if n := count(t, db); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// Connections that died in the pool are not the caller's trouble.
func TestDeadIdleConnections(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t, documents)
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: pgtest.URLs(t, url), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	admin, err := pgx.Connect(t.Context(), pgtest.Admin(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // a test's
	for range 3 {
		if _, err := admin.Exec(t.Context(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db); n != 0 {
			t.Fatalf("%d rows", n)
		}
	}
}

func TestDatabaseFull(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t, documents)
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: pgtest.URLs(t, url), MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	admin, err := pgx.Connect(t.Context(), pgtest.Admin(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // a test's
	if _, err := admin.Exec(t.Context(), `do $$ begin execute format('alter database %I connection limit 1', current_database()); end $$`); err != nil {
		t.Fatal(err)
	}
	err = db.AsSystem(t.Context(), func(ctx context.Context, _ *postgres.Tx) error {
		unavailable(t, db.AsSystem(ctx, func(context.Context, *postgres.Tx) error { return nil }))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCallerWhoHasGone(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		cancel()
		_, err := tx.Exec(ctx, `select pg_sleep(60)`)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("in the middle: got %v", err)
	}
	if err := db.AsSystem(ctx, func(context.Context, *postgres.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("before: got %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = db.AsSystem(late, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `select pg_sleep(60)`)
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: got %v", err)
	}
}

func TestReplicasMigrateAtTheSameTime(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	files := fstest.MapFS{}
	for i := range 20 {
		files[fmt.Sprintf("migrations/%05d_t.sql", i+1)] = &fstest.MapFile{Data: fmt.Appendf(nil, "-- +goose Up\ncreate table t%d (id int);\n", i)}
	}
	own := postgres.Set{FS: files}
	included := documents
	included.Table = "goose_events"
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), pgtest.URLs(t, url).OwnerURL, included, own); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	db := pgtest.Connect(t, url)
	for table, want := range map[string]int{"goose_events": 1, "goose_db_version": 20} {
		var got int
		if err := db.Pool().QueryRow(t.Context(), `select max(version_id) from `+table).Scan(&got); err != nil || got != want {
			t.Errorf("%s: version %d, want %d, %v", table, got, want, err)
		}
	}
}

func TestMigrationsSeeAllRows(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t, documents)
	db := pgtest.Connect(t, url)
	for range 2 {
		org := id.New()
		if err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := insert(ctx, tx, org, "old")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	next := postgres.Set{Table: "goose_next", FS: fstest.MapFS{"00001_new.sql": {Data: []byte("-- +goose Up\nupdate document set title = 'new';\n")}}}
	if err := postgres.Migrate(t.Context(), pgtest.URLs(t, url).OwnerURL, next); err != nil {
		t.Fatal(err)
	}
	err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		got, err := titles(ctx, tx)
		if len(got) != 2 || got[0] != "new" || got[1] != "new" {
			t.Errorf("got %q", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMigrateErrors(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	tests := []struct {
		name string
		set  postgres.Set
		want string
	}{
		{"no files", postgres.Set{FS: fstest.MapFS{}}, "no .sql files"},
		{"no file system", postgres.Set{}, "no file system"},
		{"wrong SQL", postgres.Set{FS: fstest.MapFS{"00001_x.sql": {Data: []byte("-- +goose Up\nselekt;\n")}}}, "selekt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := postgres.Migrate(t.Context(), pgtest.URLs(t, url).OwnerURL, tt.set); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A full disk is a database that is away, until there is space again; reading
// goes on.
//
// B-RUN-03 in part: a database that cannot write.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := disktest.Small(t, "192m")
	s, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(disk, "pg"), Logins: []string{"test"}})
	if errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if err := s.CreateDatabase(t.Context(), "full", "test"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), s.OwnerURL("full"), documents); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: s.URLs("full", "test")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	org := id.New()
	const many = `insert into document (id, organization_id, title)
		select gen_random_uuid(), $1, gen_random_uuid() || repeat('x', 1500) from generate_series(1, $2::int)`
	write := func(rows int, later bool) error {
		return db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			if later { // with the commit
				var b pgx.Batch
				b.Queue(many, org, rows)
				tx.Later(&b)
				return nil
			}
			_, err := tx.Exec(ctx, many, org, rows)
			return err
		})
	}
	if err := write(1, false); err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	free := disktest.Fill(t, disk)
	unavailable(t, write(1000, false))
	unavailable(t, write(1000, true))
	for range 2 { // and stays so
		err := db.Ping(t.Context())
		unavailable(t, err)
		if !errors.Is(err, postgres.ErrDisk) {
			t.Errorf("Ping: %v", err)
		}
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	free()
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("there is space again, but: %v", err)
	}
	if err := write(1000, true); err != nil {
		t.Errorf("there is space again, but: %v", err)
	}
}

// A transaction that nothing else bounds ends, and gives its connection back; one whose
// caller has set a time has that time.
func TestNoTransactionLastsForEver(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgres.Config{URLs: pgtest.URLs(t, pgtest.New(t)), MaxConns: 2, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sleep := func(ctx context.Context, seconds float64) error {
		return db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, "select pg_sleep($1)", seconds)
			return err
		})
	}
	for range 2 {
		if err := sleep(t.Context(), 300); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a deadline: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := sleep(ctx, 0.6); err != nil {
		t.Errorf("with a later deadline: %v", err)
	}
}
