package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
)

var owned = postgres.Set{FS: fstest.MapFS{"00001_owned.sql": {Data: []byte(`-- +goose Up
create table owned (organization_id uuid not null, environment_id uuid not null, title text not null, primary key (organization_id, title));
create table keyed (id uuid primary key, organization_id uuid not null, environment_id uuid not null);
create index keyed_by_organization on keyed (organization_id);
call protect('keyed', 'environment');
create table seen (organization_id uuid not null, environment_id uuid not null, title text not null, primary key (organization_id, title));
call protect('owned', 'environment');
call protect('seen', 'shared');
`)}}}

// B-USR-12 in part: an environment sees and changes its own rows, the
// organization those of all, and nobody another organization's.
func TestEnvironmentsAreApart(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, owned)
	pgtest.CheckRowSecurity(t, db)
	org, other := scope.Organization(id.New()), scope.Organization(id.New())
	a := scope.Scope{OrganizationID: org.OrganizationID, EnvironmentID: id.New()}
	b := scope.Scope{OrganizationID: org.OrganizationID, EnvironmentID: id.New()}

	insert := func(in scope.Scope, table string, owner scope.Scope, title string) error {
		return db.In(t.Context(), in, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `insert into `+table+` (organization_id, environment_id, title) values ($1, $2, $3)`, owner.OrganizationID, owner.EnvironmentID, title)
			return err
		})
	}
	for _, table := range []string{"owned", "seen"} {
		for title, s := range map[string]scope.Scope{"a": a, "b": b, "whole": org, "other": other} {
			if err := insert(s, table, s, title); err != nil {
				t.Fatalf("insert %s into %s: %v", title, table, err)
			}
		}
		for name, owner := range map[string]scope.Scope{"another environment": b, "the organization": org, "another organization": other} {
			var pg *pgconn.PgError
			if err := insert(a, table, owner, "intruder"); !errors.As(err, &pg) || pg.Code != "42501" {
				t.Errorf("%s: row of %s: got %v, want a violation of row-level security", table, name, err)
			}
		}
	}

	read := func(tx *postgres.Tx, ctx context.Context, table string) string {
		rows, err := tx.Query(ctx, `select title from `+table)
		if err != nil {
			t.Fatal(err)
		}
		titles, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(titles)
		return strings.Join(titles, " ")
	}
	tests := []struct {
		name        string
		scope       scope.Scope
		owned, seen string
	}{
		{"environment", a, "a", "a whole"},
		{"other environment", b, "b", "b whole"},
		{"organization", org, "a b whole", "a b whole"},
		{"other organization", other, "other", "other"},
		{"environment of another organization", scope.Scope{OrganizationID: other.OrganizationID, EnvironmentID: a.EnvironmentID}, "", "other"},
		{"nobody's", scope.Scope{}, "", ""},
	}
	for _, tt := range tests {
		err := db.InRead(t.Context(), tt.scope, func(ctx context.Context, tx *postgres.Tx) error {
			if got := read(tx, ctx, "owned"); got != tt.owned {
				t.Errorf("%s: owned %q, want %q", tt.name, got, tt.owned)
			}
			if got := read(tx, ctx, "seen"); got != tt.seen {
				t.Errorf("%s: seen %q, want %q", tt.name, got, tt.seen)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	err := db.In(t.Context(), a, func(ctx context.Context, tx *postgres.Tx) error {
		// What the organization owns can be read where it is shared, not changed.
		for _, sql := range []string{`update seen set title = title || '!'`, `delete from seen where title <> 'a!'`} {
			tag, err := tx.Exec(ctx, sql)
			if err != nil {
				return err
			}
			if n := tag.RowsAffected(); n > 1 {
				t.Errorf("%s: %d rows changed from within an environment", sql, n)
			}
		}
		if err := tx.SetOrganization(ctx, other.OrganizationID); err == nil {
			t.Error("a transaction of an environment went over to another organization")
		}
		if err := tx.Widen(ctx); err != nil {
			return err
		}
		if got := read(tx, ctx, "owned"); got != "a b whole" {
			t.Errorf("after Widen: owned %q", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The condition of row-level security finds no rows, it only hides some: those
// named by their keys are found by these, also while a table is empty, and those
// of an organization by its index.
func TestScopeLeavesThePlanAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, owned)
	err := db.InOrganizationRead(t.Context(), uuid.New(), func(ctx context.Context, tx *postgres.Tx) error {
		for sql, want := range map[string]string{
			`select id from keyed where id = any($1)`:              "keyed_pkey",
			`select id from keyed where organization_id = any($1)`: "keyed_by_organization",
		} {
			rows, err := tx.Query(ctx, `explain `+sql, []uuid.UUID{uuid.New(), uuid.New()})
			if err != nil {
				return err
			}
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			if text := strings.Join(plan, "\n"); !strings.Contains(text, want) || strings.Contains(text, "Index Cond: (organization_id = (InitPlan") {
				t.Errorf("%s: does not go by %s alone:\n%s", sql, want, text)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
