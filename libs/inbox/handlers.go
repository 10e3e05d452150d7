package inbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/postgres"
)

// Event is an event as it was delivered.
type Event struct {
	// ID is the same however often the event is delivered.
	ID uuid.UUID
	// OrganizationID says whose event it is.
	OrganizationID uuid.UUID
	// Type is the full name of the message.
	Type string
	// Source is the service that published it.
	Source string
	// Subject is where it was published:
	// access.<organization>.<aggregate>.<event>.
	Subject string
	// AggregateID is the thing it is about.
	AggregateID string
	// Time is when it happened.
	Time time.Time
	// Message is its content.
	Message proto.Message
	// StreamSequence is its place in the stream. An event that was published
	// twice has two places; ID tells.
	StreamSequence uint64
}

// Handler gives an event its effect, in tx. See the package comment for what it
// may rely on and must do. An error rolls tx back.
type Handler func(ctx context.Context, tx *postgres.Tx, ev Event) error

// BatchHandler gives several events, in the order of the stream, their effects
// at once. tx sees the rows of all organizations. An error rolls tx back; the
// events are then handled one by one, to find the bad one.
type BatchHandler func(ctx context.Context, tx *postgres.Tx, events []Event) error

// Handlers says what is done with which event. Register before the consumer is
// made; events of other types are acknowledged and nothing else.
type Handlers struct {
	byType   map[string]Handler
	catchAll Handler
	batch    BatchHandler
}

// On registers the handler of events with message type M. It panics if the type
// has one, as that is a mistake of the program.
func On[M proto.Message](h *Handlers, handle func(ctx context.Context, tx *postgres.Tx, ev Event, message M) error) {
	var zero M
	name := string(zero.ProtoReflect().Descriptor().FullName())
	if _, ok := h.byType[name]; ok {
		panic("inbox: two handlers of " + name)
	}
	if h.byType == nil {
		h.byType = make(map[string]Handler)
	}
	h.byType[name] = func(ctx context.Context, tx *postgres.Tx, ev Event) error {
		m, ok := ev.Message.(M)
		if !ok {
			return fmt.Errorf("event of type %s holds a %T", ev.Type, ev.Message)
		}
		return handle(ctx, tx, ev, m)
	}
}

// CatchAll registers the handler of every event that has no other, of any type
// that is linked into the program.
func (h *Handlers) CatchAll(handle Handler) { h.catchAll = handle }

// CatchAllBatch is CatchAll for several events at once, for a consumer of
// everything that writes many rows in one statement. It comes before CatchAll.
func (h *Handlers) CatchAllBatch(handle BatchHandler) { h.batch = handle }

// Types are the message types that have a handler of their own.
func (h *Handlers) Types() []string {
	types := make([]string, 0, len(h.byType))
	for t := range h.byType {
		types = append(types, t)
	}
	return types
}

// wants says whether an event of the type has a handler.
func (h *Handlers) wants(typ string) bool {
	return h.byType[typ] != nil || h.catchAll != nil || h.batch != nil
}

// single is the handler for one event of the type by itself; nil if there is
// only the batch handler.
func (h *Handlers) single(typ string) Handler {
	if handle := h.byType[typ]; handle != nil {
		return handle
	}
	if h.batch != nil {
		return nil
	}
	return h.catchAll
}
