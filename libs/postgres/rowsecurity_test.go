package postgres_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
)

// documents is a service's migration, as the package comment wants it.
var documents = postgres.Set{FS: fstest.MapFS{"00001_documents.sql": {Data: []byte(`-- +goose Up
create table document (
    id              uuid primary key,
    organization_id uuid not null,
    title           text not null constraint document_title_set check (title <> ''),
    constraint document_title_unique unique (organization_id, title)
);
comment on table document is 'A thing that belongs to an organization.';
call protect('document', 'organization');
`)}}}

func insert(ctx context.Context, tx *postgres.Tx, org uuid.UUID, title string) (uuid.UUID, error) {
	key := id.New()
	_, err := tx.Exec(ctx, `insert into document (id, organization_id, title) values ($1, $2, $3)`, key, org, title)
	return key, err
}

func titles(ctx context.Context, tx *postgres.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `select title from document order by title`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func TestRowLevelSecurityCannotBeCrossed(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents)
	pgtest.CheckRowSecurity(t, db)

	a, b := id.New(), id.New()
	var docB uuid.UUID
	for _, org := range []uuid.UUID{a, b} {
		err := db.InOrganization(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) (err error) {
			docB, err = insert(ctx, tx, org, "of "+org.String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// asA runs one attempt, each in a transaction of its own.
	asA := func(fn func(ctx context.Context, tx *postgres.Tx) error) error {
		return db.InOrganization(t.Context(), a, fn)
	}
	refused := func(t *testing.T, err error) {
		t.Helper()
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("got %v, want a violation of row-level security", err)
		}
	}
	nothing := func(t *testing.T, sql string, args ...any) {
		t.Helper()
		if err := asA(func(ctx context.Context, tx *postgres.Tx) error {
			tag, err := tx.Exec(ctx, sql, args...)
			if tag.RowsAffected() != 0 {
				t.Errorf("%s: %d rows of another organization", sql, tag.RowsAffected())
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}

	t.Run("read", func(t *testing.T) {
		nothing(t, `select from document where id = $1`, docB)
		nothing(t, `select from document where organization_id = $1`, b)
		nothing(t, `select from document where organization_id <> $1`, a)
		nothing(t, `select from document where id = $1 for update`, docB)
		for name, in := range map[string]func(context.Context, uuid.UUID, func(context.Context, *postgres.Tx) error) error{
			"read and write": db.InOrganization, "read only": db.InOrganizationRead,
		} {
			err := in(t.Context(), a, func(ctx context.Context, tx *postgres.Tx) error {
				got, err := titles(ctx, tx)
				if len(got) != 1 || got[0] != "of "+a.String() {
					t.Errorf("%s: got %q", name, got)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("update", func(t *testing.T) {
		nothing(t, `update document set title = 'taken' where id = $1`, docB)
		nothing(t, `update document set organization_id = $1 where organization_id = $2`, a, b)
	})
	t.Run("delete", func(t *testing.T) {
		nothing(t, `delete from document where id = $1`, docB)
		nothing(t, `delete from document where organization_id = $1`, b)
	})
	t.Run("insert", func(t *testing.T) {
		refused(t, asA(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := insert(ctx, tx, b, "planted")
			return err
		}))
	})
	t.Run("give away", func(t *testing.T) {
		refused(t, asA(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `update document set organization_id = $1`, b)
			return err
		}))
	})
	t.Run("overwrite by conflict", func(t *testing.T) {
		refused(t, asA(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `insert into document (id, organization_id, title) values ($1, $2, 'x')
				on conflict (id) do update set title = 'taken'`, docB, a)
			return err
		}))
	})
	t.Run("switch", func(t *testing.T) {
		err := asA(func(ctx context.Context, tx *postgres.Tx) error { return tx.SetOrganization(ctx, b) })
		if err == nil {
			t.Error("a transaction of one organization became another's")
		}
		err = asA(func(ctx context.Context, tx *postgres.Tx) error { return tx.SetSystem(ctx) })
		if err == nil {
			t.Error("a transaction of one organization became the system's")
		}
	})
	t.Run("no scope sees nothing", func(t *testing.T) {
		var n int
		if err := db.Pool().QueryRow(t.Context(), `select count(*) from document`).Scan(&n); err != nil || n != 0 {
			t.Errorf("got %d rows, %v", n, err)
		}
		// Nor does a connection that has been scoped before.
		conn, err := db.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		if _, err := conn.Exec(t.Context(), `begin; select set_config('gatehouse.organization', 'ffffffff-ffff-ffff-ffff-ffffffffffff', true), set_config('gatehouse.environment', '00000000-0000-0000-0000-000000000000', true); commit`); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(t.Context(), `select count(*) from document`).Scan(&n); err != nil || n != 0 {
			t.Errorf("got %d rows, %v", n, err)
		}
		_, err = conn.Exec(t.Context(), `insert into document (id, organization_id, title) values ($1, $2, 'x')`, id.New(), a)
		refused(t, err)
	})
	t.Run("the nil organization sees nothing", func(t *testing.T) {
		err := db.InOrganization(t.Context(), uuid.Nil, func(ctx context.Context, tx *postgres.Tx) error {
			got, err := titles(ctx, tx)
			if len(got) != 0 {
				t.Errorf("got %q", got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("the system sees all, unharmed", func(t *testing.T) {
		for _, as := range []func(context.Context, func(context.Context, *postgres.Tx) error) error{db.AsSystem, db.AsSystemRead} {
			err := as(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				got, err := titles(ctx, tx)
				if len(got) != 2 || got[0] != "of "+a.String() || got[1] != "of "+b.String() {
					t.Errorf("got %q", got)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSetOrganizationNarrowsTheSystem(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, documents)
	a, b := id.New(), id.New()
	want := func(ctx context.Context, tx *postgres.Tx, n int) {
		t.Helper()
		if got, err := titles(ctx, tx); err != nil || len(got) != n {
			t.Errorf("got %q, %v, want %d", got, err, n)
		}
	}
	err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for _, org := range []uuid.UUID{a, b} {
			if err := tx.SetOrganization(ctx, org); err != nil {
				return err
			}
			if _, err := insert(ctx, tx, org, "t"); err != nil {
				return err
			}
			want(ctx, tx, 1)
		}
		// Rolling back to a savepoint takes its narrowing with it.
		_, begin := tx.Exec(ctx, `savepoint here`)
		narrow := tx.SetOrganization(ctx, a)
		_, back := tx.Exec(ctx, `rollback to savepoint here`)
		if err := errors.Join(begin, narrow, back); err != nil {
			return err
		}
		if err := tx.SetOrganization(ctx, b); err != nil {
			return err
		}
		if _, err := insert(ctx, tx, b, "after"); err != nil {
			return err
		}
		if err := tx.SetSystem(ctx); err != nil {
			return err
		}
		want(ctx, tx, 3)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
