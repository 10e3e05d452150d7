// Package idempotency makes it safe to repeat a call that makes something
// (AIP-155, request_id): whoever does not know whether a call has worked sends it
// again, and gets the answer of the first one.
//
//	out, repeated, err := idempotency.Do(ctx, answers, in, func(ctx context.Context) (*pb.CreateThingResponse, error) {
//		…
//	})
//
// The transaction that makes the thing saves the answer with it:
//
//	db.In(ctx, scope, func(ctx context.Context, tx *postgres.Tx) error {
//		…
//		return idempotency.Save(ctx, tx, &pb.CreateThingResponse{Thing: thing})
//	})
//
// so that there is either both or neither. Of two equal calls at the same time one
// makes the thing; the other waits for it at the latest when it saves its answer,
// makes nothing, and gets the same. A request_id is its caller's, in one
// organization, whatever the method: with other content, or at another method, it is
// refused. Answers are kept for a day.
//
// A secret that is shown once must not be in what is saved: a repeated call does not
// get it again.
package idempotency

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/libs/service"
)

// Keep is how long answers are kept, at least.
const Keep = 24 * time.Hour

const (
	pruneEvery = time.Hour
	// pruneStep bounds one transaction of Prune.
	pruneStep = 10_000
)

//go:embed migrations/*.sql
var files embed.FS

// Schema is the table of this package. Give it to postgres.Migrate before the
// service's own.
func Schema() postgres.Set { return postgres.Set{Table: "goose_idempotency", FS: files} }

// Answers keeps the answers of one service. It may be used by any number of
// goroutines.
type Answers struct {
	db    *postgres.DB
	clock clock.Clock
	key   []byte
	log   *slog.Logger
}

// New makes Answers on a migrated database. All replicas have the same key; under
// another one what was sent before is no longer recognised, and is refused.
func New(db *postgres.DB, c clock.Clock, key []byte, log *slog.Logger) *Answers {
	return &Answers{db: db, clock: c, key: key, log: log}
}

// Request is the request of a method that makes something.
type Request interface {
	proto.Message
	GetRequestId() string
}

// call is one call with a request_id.
type call struct {
	organization, caller, request uuid.UUID
	name                          protoreflect.FullName
	content                       []byte
	now                           time.Time
	saved                         bool
}

type callKey struct{}

// Do answers a call: as the first one with its request_id was answered, or else by
// create, which must [Save] its answer. It says which of the two. Without a
// request_id it is create. FAILED_PRECONDITION: REQUEST_ID_REUSED.
func Do[R proto.Message](ctx context.Context, a *Answers, in Request, create func(ctx context.Context) (R, error)) (answer R, repeated bool, err error) {
	if in.GetRequestId() == "" {
		answer, err = create(ctx)
		return answer, false, err
	}
	by := authz.Must(ctx)
	c, err := a.call(by.OrganizationID, by.UserID, in)
	if err != nil {
		return answer, false, err
	}
	return do(ctx, a, c, create)
}

// DoFounding is [Do] of a call that makes an organization, whose caller has none yet.
// create is told the id that the organization is to have: it follows from the
// request_id, so that an equal call finds the answer of the first in that organization.
// The id tells nothing of the request_id to who has not the key.
//
// An organization that is there without an answer is of a call of more than a day ago:
// create says so by [Reused].
func DoFounding[R proto.Message](ctx context.Context, a *Answers, in Request, create func(ctx context.Context, organization uuid.UUID) (R, error)) (answer R, repeated bool, err error) {
	if in.GetRequestId() == "" {
		answer, err = create(ctx, id.New())
		return answer, false, err
	}
	request, err := id.Parse("request_id", in.GetRequestId())
	if err != nil {
		return answer, false, err
	}
	h := hmac.New(sha256.New, a.key)
	h.Write([]byte("organization\x00"))
	h.Write(request[:])
	organization := uuid.UUID(h.Sum(nil)[:16])
	organization[6] = organization[6]&0x0f | 0x80 // RFC 9562, section 5.8
	organization[8] = organization[8]&0x3f | 0x80
	c, err := a.call(organization, uuid.Nil, in)
	if err != nil {
		return answer, false, err
	}
	return do(ctx, a, c, func(ctx context.Context) (R, error) { return create(ctx, organization) })
}

// Reused says that a request_id was used before, for something else or long ago.
func Reused() error {
	return apierr.Precondition(reasonReused, "this request_id was used before, for something else").
		WithField("request_id", reasonReused, "was used before, for something else")
}

func do[R proto.Message](ctx context.Context, a *Answers, c *call, create func(ctx context.Context) (R, error)) (answer R, repeated bool, err error) {
	if found, err := earlier(ctx, a, c, &answer); found || err != nil {
		return answer, found, err
	}
	answer, err = create(context.WithValue(ctx, callKey{}, c))
	if err == nil {
		if !c.saved {
			return answer, false, fmt.Errorf("%s was done, and its answer not saved", c.name)
		}
		return answer, false, nil
	}
	// What is refused now may have been made by the first of two equal calls.
	if found, lookErr := earlier(ctx, a, c, &answer); found || lookErr != nil && apierr.HasReason(lookErr, reasonReused) {
		return answer, found, lookErr
	}
	var none R
	return none, false, err
}

const reasonReused = "REQUEST_ID_REUSED"

func (a *Answers) call(organization, caller uuid.UUID, in Request) (*call, error) {
	request, err := id.Parse("request_id", in.GetRequestId())
	if err != nil {
		return nil, err
	}
	content := proto.Clone(in).ProtoReflect()
	content.Clear(content.Descriptor().Fields().ByName("request_id"))
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(content.Interface())
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	h := hmac.New(sha256.New, a.key)
	h.Write([]byte(content.Descriptor().FullName() + "\x00"))
	h.Write(b)
	return &call{name: content.Descriptor().FullName(), organization: organization, caller: caller, request: request, content: h.Sum(nil), now: a.clock.Now()}, nil
}

const (
	insertAnswer = `
insert into answer (organization_id, caller_id, request_id, content, answer, create_time) values ($1, $2, $3, $4, $5, $6)`
	selectAnswer = `
select content, answer from answer where organization_id = $1 and caller_id = $2 and request_id = $3`
	deleteAnswers = `
delete from answer where (organization_id, caller_id, request_id) in (
	select a.organization_id, a.caller_id, a.request_id from answer a where a.create_time < $1 limit $2)`
)

// earlier reads the answer of the first call into answer.
func earlier[R proto.Message](ctx context.Context, a *Answers, c *call, answer *R) (found bool, err error) {
	var content, data []byte
	err = a.db.InRead(ctx, scope.Organization(c.organization), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, selectAnswer, c.organization, c.caller, c.request).Scan(&content, &data)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for request_id: %w", err)
	case !hmac.Equal(content, c.content):
		return false, Reused()
	}
	var none R
	m := none.ProtoReflect().New().Interface().(R) //nolint:errcheck,forcetypeassert // made of it
	if err := proto.Unmarshal(data, m); err != nil {
		return false, fmt.Errorf("decode the answer to request_id: %w", err)
	}
	*answer = m
	return true, nil
}

// Save saves the answer of the call that [Do] has begun, in the transaction that
// makes what it is about, which fails if an equal call was faster. Of a call without
// request_id nothing is saved.
func Save(ctx context.Context, tx *postgres.Tx, answer proto.Message) error {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return nil
	}
	data, err := proto.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if _, err := tx.Exec(ctx, insertAnswer, c.organization, c.caller, c.request, c.content, data, c.now); err != nil {
		return fmt.Errorf("save answer: %w", err)
	}
	c.saved = true
	return nil
}

// Prune forgets the answers of more than a day ago, and says how many.
func (a *Answers) Prune(ctx context.Context) (removed int64, err error) {
	for {
		var n int64
		err := a.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			tx.Relaxed()
			tag, err := tx.Exec(ctx, deleteAnswers, a.clock.Now().Add(-Keep), pruneStep)
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("prune answers: %w", err)
		}
		if removed += n; n < pruneStep {
			return removed, nil
		}
	}
}

// Run is a task: it prunes now and then, until ctx ends. Failures are logged.
func (a *Answers) Run(ctx context.Context) error {
	return service.Every(ctx, pruneEvery, func(ctx context.Context) error {
		n, err := a.Prune(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			a.log.Warn("Answers not pruned", "error", err)
		case n > 0:
			a.log.Info("Answers pruned", "answers", n)
		}
		return err
	})
}
