package pgtest_test

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func migration(sql string) postgres.Set {
	return postgres.Set{FS: fstest.MapFS{"00001_init.sql": {Data: []byte("-- +goose Up\n" + sql)}}}
}

const things = `
create table thing (id uuid primary key, organization_id uuid not null);
call protect('thing', 'organization');`

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("clone", func(t *testing.T) {
			t.Parallel()
			db := pgtest.Open(t, migration(things))
			err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				// The same key in each, and nobody's row but ours.
				if _, err := tx.Exec(ctx, `insert into thing values ('0192f0c1-7a3b-7cde-8f00-112233445566', gen_random_uuid())`); err != nil {
					return err
				}
				var n int
				if err := tx.QueryRow(ctx, `select count(*) from thing`).Scan(&n); err != nil {
					return err
				}
				if n != 1 {
					t.Errorf("%d rows, want 1", n)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDatabaseIsDroppedThoughInUse(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("use", func(t *testing.T) {
		url = pgtest.New(t)
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	})
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database outlived its test")
	}
}

func TestCheckRowSecurityFindsOpenTables(t *testing.T) {
	t.Parallel()
	const table = `create table thing (id uuid primary key, organization_id uuid not null);`
	const environments = `create table thing (id uuid primary key, organization_id uuid not null, environment_id uuid not null);`
	const seen = `case (select gatehouse_organization()) when organization_id then true else false end`
	const everybody = `case (select gatehouse_organization()) when organization_id then true when 'ffffffff-ffff-ffff-ffff-ffffffffffff' then true else false end`
	const enable = `alter table thing enable row level security;`
	const force = `alter table thing force row level security;`
	tests := []struct {
		name, sql string
		ok        bool
	}{
		{"closed", things, true},
		{"no such table", `create table other (id uuid primary key);`, true},
		{"not enabled", table, false},
		{"not forced", table + enable, false},
		{"no policy", table + enable + force, false},
		{"policy for reading only", table + enable + force + `
			create policy scope on thing for select using (` + seen + `);`, false},
		{"a setting that shows everything", table + enable + force + `create policy scope on thing using (` + everybody + `);`, false},
		{"everything for everybody", table + enable + force + `create policy scope on thing using (` + seen + `);
			create policy system on thing using (case (select gatehouse_organization()) when 'ffffffff-ffff-ffff-ffff-ffffffffffff' then true else false end);`, false},
		{"policy by something else", table + enable + force + `create policy organization on thing using (true);`, false},
		{"writes let through", table + enable + force + `
			create policy scope on thing using (` + seen + `) with check (true);`, false},
		{"second policy", things + `create policy more on thing using (true);`, false},
		{"second policy for reading everything", things + `create policy more on thing for select using (true);`, false},
		{"environment that the policy does not go by", things + `alter table thing add environment_id uuid not null;`, false},
		{"environment", environments + `call protect('thing', 'environment');`, true},
		{"reference without the organization", things + `create table other (thing_id uuid references thing (id), organization_id uuid not null); call protect('other', 'organization');`, false},
		{"reference with the organization", things + `create table other (thing_id uuid references thing (id), organization_id uuid not null); call protect('other', 'organization'); call carry_organization();`, true},
		{"environment, shared", environments + `call protect('thing', 'shared');`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Open(t, migration(tt.sql))
			faults, err := pgtest.RowSecurityFaults(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			if ok := len(faults) == 0; ok != tt.ok {
				t.Errorf("faults %q, want none: %v", faults, tt.ok)
			}
		})
	}
}

func BenchmarkClone(b *testing.B) {
	for b.Loop() {
		pgtest.New(b, migration(things))
	}
}
