package postgres_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
)

func TestRowsAsColumns(t *testing.T) {
	t.Parallel()
	type row struct {
		name string
		ids  []uuid.UUID
	}
	rows := []row{{"none", nil}, {"two", []uuid.UUID{id.New(), id.New()}}, {"one", []uuid.UUID{id.New()}}}
	db := pgtest.Open(t, documents)
	err := db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		got, err := tx.Query(ctx, `select n.name, n.ids::uuid[] from unnest($1::text[], $2::text[]) with ordinality n (name, ids, place) order by n.place`,
			postgres.Column(rows, func(r row) string { return r.name }), postgres.Column(rows, func(r row) string { return postgres.IDs(r.ids) }))
		if err != nil {
			return err
		}
		defer got.Close()
		for _, want := range rows {
			var r row
			if !got.Next() {
				t.Fatal("too few rows")
			}
			if err := got.Scan(&r.name, &r.ids); err != nil {
				return err
			}
			if r.name != want.name || !slices.Equal(r.ids, want.ids) {
				t.Errorf("got %v, want %v", r, want)
			}
		}
		return got.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := postgres.IDs([]string{"a", "b"}); got != "{a,b}" {
		t.Errorf("got %q", got)
	}
}
