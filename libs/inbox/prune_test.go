package inbox

import (
	"context"
	"testing"
	"time"

	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
)

func TestPrune(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, outbox.Schema())
	var handlers Handlers
	handlers.CatchAll(func(context.Context, *postgres.Tx, Event) error { return nil })
	c, err := NewConsumer(Config{Service: "test", DB: db, Bus: bustest.Connect(t), Handlers: &handlers})
	if err != nil {
		t.Fatal(err)
	}
	c.keepEnd = 10
	old, made := time.Now().Add(-20*24*time.Hour), time.Now().Add(-30*24*time.Hour).Truncate(time.Second)
	parked := id.New()
	err = db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for n := 1; n <= 50; n++ {
			event, at := id.New(), old
			if n > 30 {
				at = time.Now()
			}
			if n == 7 {
				event = parked
			}
			if _, err := tx.Exec(ctx, "insert into inbox values ($1, $2, $3, $4)", event, made, n, at); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `insert into parked_event
			select event_id, $2, '', '', '', now(), '{}', '', stream_created, stream_sequence, '', 1
			from inbox where event_id = $1`, parked, id.New())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	left := func() (n int) {
		t.Helper()
		err := db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, "select count(*) from inbox").Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n, err := c.Prune(t.Context(), 14*24*time.Hour); err != nil || n != 29 {
		t.Errorf("pruned %d (%v), want 29: the parked one stays", n, err)
	}
	// Idle for ever after: the end of the stream stays, or a consumer that is
	// made again would find nothing to go by.
	if n, err := c.Prune(t.Context(), -time.Hour); err != nil || n != 10 {
		t.Errorf("pruned %d (%v), want 10", n, err)
	}
	if n := left(); n != 11 {
		t.Errorf("%d left, want 11", n)
	}
}
