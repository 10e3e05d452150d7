package idempotency_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// things is what calls make.
var things = postgres.Set{FS: fstest.MapFS{"00001_thing.sql": {Data: []byte(`-- +goose Up
create table thing (id uuid primary key, organization_id uuid not null, name text not null);
call protect('thing', 'organization');
`)}}}

type world struct {
	db      *postgres.DB
	answers *idempotency.Answers
	clock   *clock.Manual
	caller  authz.Caller
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{
		db: pgtest.Open(t, idempotency.Schema(), things), clock: clock.NewManual(time.Now()),
		caller: authz.Caller{UserID: id.New(), OrganizationID: id.New(), Role: authzv1.Caller_CALLER_ADMIN},
	}
	pgtest.CheckRowSecurity(t, w.db)
	w.answers = idempotency.New(w.db, w.clock, []byte("0123456789abcdef0123456789abcdef"), slog.New(slog.DiscardHandler))
	return w
}

var errRefused = errors.New("refused")

// create makes a thing, as a service would; before is called in the transaction.
func (w *world) create(t *testing.T, by authz.Caller, in *identityv1.CreateEnvironmentRequest, before func() error) (*identityv1.CreateEnvironmentResponse, bool, error) {
	t.Helper()
	ctx := authz.WithCaller(t.Context(), by)
	return idempotency.Do(ctx, w.answers, in, func(ctx context.Context) (*identityv1.CreateEnvironmentResponse, error) {
		out := &identityv1.CreateEnvironmentResponse{Environment: &identityv1.Environment{Id: id.New().String(), Name: in.GetName()}}
		err := w.db.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `insert into thing (id, organization_id, name) values ($1, $2, $3)`, out.GetEnvironment().GetId(), by.OrganizationID, in.GetName()); err != nil {
				return err
			}
			if before != nil {
				if err := before(); err != nil {
					return err
				}
			}
			return idempotency.Save(ctx, tx, out)
		})
		return out, err
	})
}

func (w *world) count(t *testing.T, table string) (n int) {
	t.Helper()
	err := w.db.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, `select count(*) from `+table).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRepeatedCall(t *testing.T) {
	t.Parallel()
	w := start(t)
	in := &identityv1.CreateEnvironmentRequest{Name: "North", RequestId: id.New().String()}

	// What failed has left nothing, and may be tried again.
	if _, _, err := w.create(t, w.caller, in, func() error { return errRefused }); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	first, repeated, err := w.create(t, w.caller, in, nil)
	if err != nil || repeated {
		t.Fatalf("first: %v, %v", repeated, err)
	}
	for range 2 {
		again, repeated, err := w.create(t, w.caller, in, func() error { t.Error("made again"); return nil })
		if err != nil || !repeated || !proto.Equal(again, first) {
			t.Fatalf("again: %v, %v, %v", again, repeated, err)
		}
	}
	if n := w.count(t, "thing"); n != 1 {
		t.Fatalf("%d things", n)
	}

	_, _, err = w.create(t, w.caller, &identityv1.CreateEnvironmentRequest{Name: "South", RequestId: in.GetRequestId()}, nil)
	if e, _ := apierr.From(err); e == nil || e.Code != codes.FailedPrecondition || e.Reason != "REQUEST_ID_REUSED" || e.Fields[0].Field != "request_id" {
		t.Errorf("other content: %v", err)
	}
	// At another method too.
	ctx := authz.WithCaller(t.Context(), w.caller)
	_, _, err = idempotency.Do(ctx, w.answers, &identityv1.CreateSourceRequest{Name: "North", RequestId: in.GetRequestId()}, func(context.Context) (*identityv1.CreateSourceResponse, error) {
		return nil, errors.New("made")
	})
	if !apierr.HasReason(err, "REQUEST_ID_REUSED") {
		t.Errorf("another method: %v", err)
	}

	// Somebody else's, and one of another organization, is another; so is every call
	// without.
	for _, by := range []authz.Caller{
		{UserID: id.New(), OrganizationID: w.caller.OrganizationID, Role: w.caller.Role},
		{UserID: w.caller.UserID, OrganizationID: id.New(), Role: w.caller.Role},
	} {
		if _, repeated, err := w.create(t, by, in, nil); err != nil || repeated {
			t.Errorf("another caller: %v, %v", repeated, err)
		}
	}
	for range 2 {
		if _, repeated, err := w.create(t, w.caller, &identityv1.CreateEnvironmentRequest{Name: "North"}, nil); err != nil || repeated {
			t.Errorf("without: %v, %v", repeated, err)
		}
	}
	if n := w.count(t, "thing"); n != 5 {
		t.Errorf("%d things", n)
	}

	// A method that forgets to save its answer is found out at once.
	_, _, err = idempotency.Do(ctx, w.answers, &identityv1.CreateSourceRequest{Name: "x", RequestId: id.New().String()}, func(context.Context) (*identityv1.CreateSourceResponse, error) {
		return &identityv1.CreateSourceResponse{}, nil
	})
	if err == nil {
		t.Error("an answer was not saved, and nobody said so")
	}
}

// Of calls with one request_id at the same time one makes the thing, and all get it;
// with other content they are refused.
func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, same := range []bool{true, false} {
		request := id.New().String()
		before := w.count(t, "thing")
		const calls = 4
		// All are in their transactions before the first saves its answer.
		var inside, all sync.WaitGroup
		inside.Add(calls)
		var mu sync.Mutex
		answers := map[string]int{}
		reused, first := 0, 0
		for i := range calls {
			all.Go(func() {
				in := &identityv1.CreateEnvironmentRequest{Name: "North", RequestId: request}
				if !same {
					in.Name = uuid.NewString()
				}
				once := sync.OnceFunc(func() { inside.Done(); inside.Wait() })
				out, repeated, err := w.create(t, w.caller, in, func() error { once(); return nil })
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					answers[out.GetEnvironment().GetId()]++
					if !repeated {
						first++
					}
				case apierr.HasReason(err, "REQUEST_ID_REUSED"):
					reused++
				default:
					t.Errorf("call %d: %v", i, err)
				}
			})
		}
		all.Wait()
		wantAnswered, wantReused := calls, 0
		if !same {
			wantAnswered, wantReused = 1, calls-1
		}
		answered := 0
		for _, n := range answers {
			answered += n
		}
		if len(answers) != 1 || answered != wantAnswered || reused != wantReused || first != 1 {
			t.Errorf("same content %v: answers %v, %d refused, %d were first", same, answers, reused, first)
		}
		if n := w.count(t, "thing") - before; n != 1 {
			t.Errorf("same content %v: %d things", same, n)
		}
	}
}

// Answers are kept for a day.
func TestPrune(t *testing.T) {
	t.Parallel()
	w := start(t)
	in := &identityv1.CreateEnvironmentRequest{Name: "North", RequestId: id.New().String()}
	if _, _, err := w.create(t, w.caller, in, nil); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(idempotency.Keep)
	if n, err := w.answers.Prune(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d pruned, %v", n, err)
	}
	if _, repeated, err := w.create(t, w.caller, in, nil); !repeated || err != nil {
		t.Fatalf("%v, %v", repeated, err)
	}
	w.clock.Advance(time.Second)
	if n, err := w.answers.Prune(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d pruned, %v", n, err)
	}
	if _, repeated, err := w.create(t, w.caller, in, nil); repeated || err != nil {
		t.Fatalf("%v, %v", repeated, err)
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	pgtest.PrepareStatements(t, 3, idempotency.Schema())
}
