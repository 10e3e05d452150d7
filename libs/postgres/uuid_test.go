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

func TestUUIDsGoThereAndBack(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	want := id.New()
	list := []uuid.UUID{id.New(), id.New()}
	var none *uuid.UUID
	err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		var got uuid.UUID
		var gotPointer, gotNone *uuid.UUID
		var gotNullable uuid.NullUUID
		var gotList []uuid.UUID
		var text, asText string
		if err := tx.QueryRow(ctx, `select $1::uuid, $1::uuid, $2::uuid, $1::uuid, $3::uuid[], $1::uuid::text, $4::text`,
			want, none, list, want).Scan(&got, &gotPointer, &gotNone, &gotNullable, &gotList, &text, &asText); err != nil {
			return err
		}
		if got != want || gotPointer == nil || *gotPointer != want || gotNone != nil || gotNullable.UUID != want ||
			!slices.Equal(gotList, list) || text != want.String() || asText != want.String() {
			t.Errorf("got %v %v %v %v %v %q %q", got, gotPointer, gotNone, gotNullable, gotList, text, asText)
		}
		var nothing, something uuid.NullUUID
		if err := tx.QueryRow(ctx, `select $1::uuid, $2::uuid`, uuid.NullUUID{}, uuid.NullUUID{UUID: want, Valid: true}).Scan(&nothing, &something); err != nil {
			return err
		}
		if nothing.Valid || something.UUID != want {
			t.Errorf("nullable: got %v, %v", nothing, something)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkUUIDParameters(b *testing.B) {
	db := pgtest.Open(b)
	ids := [6]any{}
	for i := range ids {
		ids[i] = id.New()
	}
	err := db.AsSystem(b.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		var got uuid.UUID
		for b.Loop() {
			if err := tx.QueryRow(ctx, `select $1::uuid where $2::uuid <> $3::uuid and $4::uuid <> $5::uuid and $6::uuid is not null`, ids[:]...).Scan(&got); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
