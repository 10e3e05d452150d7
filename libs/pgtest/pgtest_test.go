package pgtest_test

import (
	"context"
	"maps"
	"slices"
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

// What breaks a program of before is found, and what it need not know of is not.
func TestCheckAdditiveFindsBreaks(t *testing.T) {
	t.Parallel()
	const before = `
create table box (id uuid primary key, label text not null default '', weight int, owner uuid, constraint box_weight check (weight > 0), constraint box_label unique (label));
create unique index box_owner on box (owner) where weight is null;
create index box_by_weight on box (weight);
create table lid (id uuid primary key);
create domain color as text constraint color check (value in ('red', 'green'));
create type size as enum ('small', 'large');
create function double(n int) returns int language sql return 2 * n;
create function watch() returns trigger language plpgsql as 'begin return new; end';
create trigger box_watch before insert on box for each row execute function watch();
create view heavy as select id from box where weight > 10;`
	for _, tt := range []struct {
		name, sql string
		want      []string
	}{
		{"nothing", `select 1`, nil},
		{"a table", `create table hinge (id uuid primary key, box_id uuid not null references box (id), check (id <> box_id)); create unique index on hinge (box_id)`, nil},
		{"a column that may be null", `alter table box add height int`, nil},
		{"a column with a default", `alter table box add height int not null default 1`, nil},
		{"an index, and one less", `create index on box (owner); drop index box_by_weight`, nil},
		{"a function", `create function triple(n int) returns int language sql return 3 * n`, nil},
		{"rows", `insert into lid values (gen_random_uuid())`, nil},

		{"a table less", `drop table lid`, []string{"column lid.id", "constraint lid.lid_pkey", "table lid"}},
		{"a table's name", `alter table lid rename to cap`, []string{"column lid.id", "constraint lid.lid_pkey", "table lid"}},
		{"a column less", `alter table box drop owner`, []string{"column box.owner", "index box.box_owner"}},
		{"a column's name", `alter table box rename label to title`, []string{"column box.label", "constraint box.box_label"}},
		{"a column's type", `alter table lid alter id type text`, []string{"column lid.id"}},
		{"a column without a default", `alter table box add height int not null`, []string{"column box.height"}},
		{"a default less", `alter table box alter label drop default`, []string{"column box.label"}},
		{"no nulls", `alter table box alter owner set not null`, []string{"column box.owner"}},
		{"nulls", `alter table box alter label drop not null`, []string{"column box.label"}},
		{"a check", `alter table box add constraint box_tall check (weight < 9)`, []string{"constraint box.box_tall"}},
		{"a tighter check", `alter table box drop constraint box_weight, add constraint box_weight check (weight > 1)`, []string{"constraint box.box_weight"}},
		{"a foreign key", `alter table box add constraint box_lid foreign key (owner) references lid (id)`, []string{"constraint box.box_lid"}},
		{"a unique index", `create unique index box_light on box (weight)`, []string{"index box.box_light"}},
		{"a unique index less", `drop index box_owner`, []string{"index box.box_owner"}},
		{"a unique constraint less", `alter table box drop constraint box_label`, []string{"constraint box.box_label"}},
		{"a trigger", `create trigger box_look before update on box for each row execute function watch()`, []string{"trigger box.box_look"}},
		{"a trigger less", `drop trigger box_watch on box`, []string{"trigger box.box_watch"}},
		{"a policy", `create policy scope on box using (true)`, []string{"policy box.scope"}},
		{"a domain's check", `alter domain color drop constraint color; alter domain color add constraint color check (value in ('red', 'green', 'blue'))`, []string{"constraint color.color"}},
		{"a value of an enum", `alter type size add value 'huge'`, []string{"type size"}},
		{"a function's arguments", `drop function double; create function double(n bigint) returns bigint language sql return 2 * n`, []string{"function double(n integer)"}},
		{"what a function gives", `drop function double; create function double(n int) returns bigint language sql return 2 * n`, []string{"function double(n integer)"}},
		{"a view less", `drop view heavy`, []string{"column heavy.id", "table heavy"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// Quoted, as a function may have a semicolon within.
			quoted := func(sql string) []byte {
				return []byte("-- +goose Up\n-- +goose StatementBegin\n" + sql + ";\n-- +goose StatementEnd\n")
			}
			files := fstest.MapFS{"00001_init.sql": {Data: quoted(before)}}
			after := maps.Clone(files)
			after["00002_next.sql"] = &fstest.MapFile{Data: quoted(tt.sql)}
			found, err := pgtest.Breaks(t, []postgres.Set{{FS: files}}, []postgres.Set{{FS: after}})
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
}

func BenchmarkClone(b *testing.B) {
	for b.Loop() {
		pgtest.New(b, migration(things))
	}
}
