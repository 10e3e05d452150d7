package datakey_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/datakey"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
)

func box(t testing.TB, key []byte, older ...[]byte) *secretbox.Box {
	t.Helper()
	b, err := secretbox.New(key, older...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keys(db *postgres.DB, w datakey.Wrapper) *datakey.Keys {
	return datakey.New(datakey.Config{DB: db, Wrapper: w, Log: slog.New(slog.DiscardHandler)})
}

// remote is a wrapper that is somewhere else: it can be away, and counts calls.
type remote struct {
	datakey.Wrapper
	mu    sync.Mutex
	away  bool
	calls int
}

func (r *remote) call() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.away {
		return errors.New("no answer")
	}
	return nil
}

func (r *remote) Wrap(ctx context.Context, key, belongs []byte) ([]byte, error) {
	if err := r.call(); err != nil {
		return nil, err
	}
	return r.Wrapper.Wrap(ctx, key, belongs)
}

func (r *remote) Unwrap(ctx context.Context, wrapped, belongs []byte) ([]byte, error) {
	if err := r.call(); err != nil {
		return nil, err
	}
	return r.Wrapper.Unwrap(ctx, wrapped, belongs)
}

func TestEachOrganizationHasItsKey(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, datakey.Schema())
	w := datakey.Local(box(t, secretbox.NewKey()))
	a, b, row := id.New(), id.New(), id.New()
	// Two replicas make the key at the same moment.
	replicas := []*datakey.Keys{keys(db, w), keys(db, w)}
	sealed := make([][]byte, len(replicas))
	var all sync.WaitGroup
	for n, k := range replicas {
		all.Go(func() {
			var err error
			if sealed[n], err = k.Seal(t.Context(), a, row, "secret"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for n, s := range sealed {
		if bytes.Contains(s, []byte("secret")) {
			t.Error("it is not sealed")
		}
		if got, err := replicas[1-n].Open(t.Context(), a, row, s); err != nil || got != "secret" {
			t.Errorf("the other replica opens %q, %v", got, err)
		}
		for what, open := range map[string]func() (string, error){
			"for another row":          func() (string, error) { return replicas[n].Open(t.Context(), a, id.New(), s) },
			"for another organization": func() (string, error) { return replicas[n].Open(t.Context(), b, row, s) },
		} {
			if got, err := open(); !errors.Is(err, secretbox.ErrOpen) {
				t.Errorf("opened %s: %q, %v", what, got, err)
			}
		}
	}
	// A wrapped key that is put into another organization's row does not open there.
	err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, "update data_key set wrapped = (select wrapped from data_key where organization_id = $1) where organization_id = $2", a, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys(db, w).Box(t.Context(), b); !errors.Is(err, secretbox.ErrOpen) || status.Code(err) != codes.Unavailable {
		t.Errorf("another organization's key: %v", err)
	}
	pgtest.CheckRowSecurity(t, db)
}

// While the wrapper is away, known organizations go on and nothing is made up for
// others.
func TestTheWrapperIsAway(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, datakey.Schema())
	r := &remote{Wrapper: datakey.Local(box(t, secretbox.NewKey()))}
	k := keys(db, r)
	known, other, row := id.New(), id.New(), id.New()
	sealed, err := k.Seal(t.Context(), known, row, "secret")
	if err != nil {
		t.Fatal(err)
	}
	calls := r.calls
	r.away = true
	for range 3 {
		if got, err := k.Open(t.Context(), known, row, sealed); err != nil || got != "secret" {
			t.Errorf("a known organization: %q, %v", got, err)
		}
	}
	if r.calls != calls {
		t.Errorf("asked %d times for a key that is known", r.calls-calls)
	}
	if _, err := k.Seal(t.Context(), other, row, "secret"); status.Code(err) != codes.Unavailable {
		t.Errorf("another organization: %v", err)
	}
	r.away = false
	if _, err := k.Seal(t.Context(), other, row, "secret"); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// Another key of the installation: data keys are wrapped again, of each by itself,
// and secrets stay as they are.
func TestRewrap(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, datakey.Schema())
	first, next := secretbox.NewKey(), secretbox.NewKey()
	before := keys(db, datakey.Local(box(t, first)))
	row, organizations := id.New(), []uuid.UUID{datakey.Installation, id.New(), id.New()}
	sealed := map[uuid.UUID][]byte{}
	for _, o := range organizations {
		var err error
		if sealed[o], err = before.Seal(t.Context(), o, row, "secret"); err != nil {
			t.Fatal(err)
		}
	}
	if err := keys(db, datakey.Local(box(t, next))).Check(t.Context()); !errors.Is(err, secretbox.ErrOpen) {
		t.Errorf("without the key: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- keys(db, datakey.Local(box(t, next, first))).Rewrap(ctx) }()
	deadline := time.Now().Add(10 * time.Second)
	for left := 1; left > 0; {
		if time.Now().After(deadline) {
			t.Fatal("data keys are not wrapped again")
		}
		left = 0
		for _, o := range organizations {
			if got, err := keys(db, datakey.Local(box(t, next))).Open(t.Context(), o, row, sealed[o]); err != nil || got != "secret" {
				left++
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What was sealed before there were data keys opens, and is sealed again.
func TestBefore(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, datakey.Schema())
	master := box(t, secretbox.NewKey())
	k := datakey.New(datakey.Config{DB: db, Wrapper: datakey.Local(master), Before: master, Log: slog.New(slog.DiscardHandler)})
	was := secretbox.Sealed{ID: id.New(), OrganizationID: id.New()}
	was.Value = master.Seal([]byte("secret"), was.ID[:])
	if got, err := k.Open(t.Context(), was.OrganizationID, was.ID, was.Value); err != nil || got != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	again, err := k.Again(t.Context(), was)
	if err != nil || again == nil || master.Current(again) {
		t.Fatalf("%x, %v", again, err)
	}
	was.Value = again
	if more, err := k.Again(t.Context(), was); err != nil || more != nil {
		t.Errorf("twice: %x, %v", more, err)
	}
	was.Value = box(t, secretbox.NewKey()).Seal([]byte("secret"), was.ID[:])
	if _, err := k.Again(t.Context(), was); !errors.Is(err, secretbox.ErrOpen) {
		t.Errorf("of another key: %v", err)
	}
}
