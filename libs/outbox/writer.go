package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// MaxDataBytes is the largest message an event may carry: what the bus takes,
// less room for headers. A larger one is refused before anything is written,
// since it could never be published.
const MaxDataBytes = bus.MaxMessageBytes - 8<<10

// Event is an event to be published.
type Event struct {
	// ID of the event. A new one if it is nil.
	ID uuid.UUID
	// OrganizationID says whose event it is. Required.
	OrganizationID uuid.UUID
	// AggregateID is the thing the event is about. Required.
	AggregateID uuid.UUID
	// Time is when it happened. Now if it is zero.
	Time time.Time
	// Traceparent is the trace that it belongs to, in W3C form (see
	// [Traceparent]): for an event whose cause is one of several in a
	// transaction. That of the transaction's ctx if it is empty.
	Traceparent string
	// Message is the event itself, of a type in proto/gatehouse/event, which
	// says what it is called and so where it is published. Its context must say
	// who did it.
	Message proto.Message
}

// Writer adds events to the outbox. Its methods may be called by any number of
// goroutines.
type Writer struct {
	source string
	wake   func()
}

// NewWriter makes a writer of the named service's events. wake is called after
// each commit that added some and must not block: it is [Relay.Wake]. Nil
// leaves the events for the relay's next look, at most half a second later.
func NewWriter(source string, wake func()) *Writer {
	return &Writer{source: source, wake: wake}
}

// Source is the service whose events it writes.
func (w *Writer) Source() string { return w.source }

// In the order given: the identity column counts the rows as they come. The
// condition, always true, is looked at before any: the transaction has its id
// before it takes a seq, as reader wants it.
const insert = `
insert into outbox (id, organization_id, subject, type, aggregate_id, event_time, traceparent, data, bulk)
select e.id, e.organization_id, e.subject, e.type, e.aggregate_id, e.event_time, e.traceparent, e.data, e.bulk
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::timestamptz[], $7::text[], $8::bytea[], $9::boolean[])
    with ordinality as e (id, organization_id, subject, type, aggregate_id, event_time, traceparent, data, bulk, position)
where pg_current_xact_id() is not null
order by e.position`

// Add adds events to the transaction, in the order given, by one statement that
// goes with the commit. The trace of ctx goes with them. An error means that an
// event is not fit to be published: return it, so that the transaction is
// rolled back.
func (w *Writer) Add(ctx context.Context, tx *postgres.Tx, events ...Event) error {
	var b pgx.Batch
	if err := w.Queue(ctx, tx, &b, events...); err != nil {
		return err
	}
	tx.Later(&b)
	return nil
}

// Queue is Add by way of a batch that the caller sends with other statements,
// in one round trip. The batch must be sent in tx.
func (w *Writer) Queue(ctx context.Context, tx *postgres.Tx, batch *pgx.Batch, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	args, err := arguments(ctx, events)
	if err != nil {
		return err
	}
	batch.Queue(insert, args...)
	if w.wake != nil {
		tx.AfterCommit(w.wake)
	}
	return nil
}

// uuids is an array of ids as the driver encodes it without going by way of
// their text.
type uuids = pgtype.FlatArray[pgtype.UUID]

// arguments are those of the insert statement.
func arguments(ctx context.Context, events []Event) ([]any, error) {
	n, trace := len(events), telemetry.Traceparent(ctx)
	var (
		ids           = make(uuids, n)
		organizations = make(uuids, n)
		subjects      = make([]string, n)
		types         = make([]string, n)
		aggregates    = make(uuids, n)
		times         = make([]time.Time, n)
		traces        = make([]string, n)
		data          = make([][]byte, n)
		bulk          = make([]bool, n)
	)
	for i, e := range events {
		t, err := event.TypeOf(e.Message)
		if err != nil {
			return nil, fmt.Errorf("add event to the outbox: %w", err)
		}
		if subjects[i], err = t.Subject(e.OrganizationID); err != nil {
			return nil, fmt.Errorf("add event to the outbox: %w", err)
		}
		if e.AggregateID == uuid.Nil {
			return nil, fmt.Errorf("add event to the outbox: %s has no aggregate id", t)
		}
		about := event.ContextOf(e.Message)
		bulk[i] = about.GetBulk()
		if about.GetActor().GetKind() == eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED {
			return nil, fmt.Errorf("add event to the outbox: %s does not say who did it", t)
		}
		if data[i], err = proto.Marshal(e.Message); err != nil {
			return nil, fmt.Errorf("add event to the outbox: encode %s: %w", t, err)
		}
		if len(data[i]) > MaxDataBytes {
			return nil, fmt.Errorf("add event to the outbox: %s has %d bytes, %d are allowed", t, len(data[i]), MaxDataBytes)
		}
		if e.ID == uuid.Nil {
			e.ID = id.New()
		}
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		ids[i] = pgtype.UUID{Bytes: e.ID, Valid: true}
		organizations[i] = pgtype.UUID{Bytes: e.OrganizationID, Valid: true}
		aggregates[i] = pgtype.UUID{Bytes: e.AggregateID, Valid: true}
		times[i] = e.Time
		if traces[i] = e.Traceparent; traces[i] == "" {
			traces[i] = trace
		}
		types[i] = string(t.Message)
	}
	return []any{ids, organizations, subjects, types, aggregates, times, traces, data, bulk}, nil
}
