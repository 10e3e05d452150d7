package inbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
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
	// Traceparent is the trace that it belongs to, in W3C form, or empty: for
	// what follows from one of several events (outbox.Event has the same).
	Traceparent string
	// Message is its content, Data the same as it was published.
	Message proto.Message
	Data    []byte
	// StreamSequence is its place in the stream. An event that was published
	// twice has two places; ID tells.
	StreamSequence uint64
}

// Handler gives an event its effect, in tx. See the package comment for what it
// may rely on and must do. An error rolls tx back.
type Handler func(ctx context.Context, tx *postgres.Tx, ev Event) error

// BatchHandler gives several events, in the order of the stream, their effects
// at once. An error rolls tx back; the events are then handled one by one, to
// find the bad one, unless [Failed] says which it is.
type BatchHandler func(ctx context.Context, tx *postgres.Tx, events []Event) error

// Handlers says what is done with which event, and so which are delivered.
// Register before the consumer is made. Events of other types are not
// delivered; those that are nevertheless, since they were asked for before, are
// acknowledged and nothing else.
type Handlers struct {
	filter   []string
	byType   map[string]Handler
	together map[string]*together
	catchAll Handler
	batch    BatchHandler
	keyed    bool
}

// together is a handler that several types may share.
type together struct{ handle BatchHandler }

// On registers the handler of events with message type M. It panics if the type
// has one or is no event, as that is a mistake of the program.
func On[M proto.Message](h *Handlers, handle func(ctx context.Context, tx *postgres.Tx, ev Event, message M) error) {
	var zero M
	name := h.take(zero)
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

// Together registers one handler for events with the message types given, which
// gets them several at once: those of one organization that stand next to each
// other, but for events that have no handler. tx sees that organization's rows.
// It panics if a type has a handler or is no event, as that is a mistake of the
// program.
//
// It is for effects that are cheaper to read and write as sets. What one of the
// events changes, the handler must itself show to the ones behind it.
func (h *Handlers) Together(handle BatchHandler, messages ...proto.Message) {
	t := &together{handle: handle}
	for _, m := range messages {
		name := h.take(m)
		if h.together == nil {
			h.together = make(map[string]*together)
		}
		h.together[name] = t
	}
}

// take gives the name of a type that has no handler of its own yet and asks for
// its events.
func (h *Handlers) take(m proto.Message) string {
	t, err := event.TypeOf(m)
	if err != nil {
		panic("inbox: " + err.Error())
	}
	name := string(t.Message)
	if h.byType[name] != nil || h.together[name] != nil {
		panic("inbox: two handlers of " + name)
	}
	h.filter = append(h.filter, t.Filter())
	return name
}

// subjects are those of all events that have a handler, sorted. None overlaps
// with another.
func (h *Handlers) subjects() []string {
	if h.catchAll != nil || h.batch != nil {
		return []string{bus.AllSubjects}
	}
	return slices.Sorted(slices.Values(h.filter))
}

// CatchAll registers the handler of every event that has no other, of any type
// that is linked into the program.
func (h *Handlers) CatchAll(handle Handler) { h.catchAll = handle }

// CatchAllBatch is CatchAll for several events at once, for a consumer of
// everything that writes many rows in one statement. It comes before CatchAll,
// and its tx sees the rows of all organizations.
func (h *Handlers) CatchAllBatch(handle BatchHandler) { h.batch = handle }

// KeyedByEvent says that all effects are keyed by the event's id: an event whose
// effect is there changes nothing. The inbox then remembers no events, only the
// place in the stream, with one row for each transaction.
func (h *Handlers) KeyedByEvent() { h.keyed = true }

// Has says whether events with the message's type have a handler of their own.
func (h *Handlers) Has(m proto.Message) bool {
	name := string(m.ProtoReflect().Descriptor().FullName())
	return h.byType[name] != nil || h.together[name] != nil
}

// Types are the message types that have a handler of their own.
func (h *Handlers) Types() []string {
	types := make([]string, 0, len(h.byType)+len(h.together))
	types = slices.AppendSeq(types, maps.Keys(h.byType))
	return slices.AppendSeq(types, maps.Keys(h.together))
}

// Ignore registers events with the message types given as ones that have no effect
// any more. A consumer goes on being delivered what it was delivered once, and what
// has no handler is parked for a program that has one: a type whose handler goes is
// ignored from then on.
func (h *Handlers) Ignore(messages ...proto.Message) {
	h.Together(func(context.Context, *postgres.Tx, []Event) error { return nil }, messages...)
}

// handles says whether events of the type are known to this program and have a
// handler.
func (h *Handlers) handles(typ string) bool {
	if !h.wants(typ) {
		return false
	}
	_, err := event.Lookup(typ)
	return err == nil
}

// wants says whether an event of the type has a handler.
func (h *Handlers) wants(typ string) bool {
	return h.byType[typ] != nil || h.together[typ] != nil || h.catchAll != nil || h.batch != nil
}

// ofOne is the handler for one event of the type by itself; nil if it is
// handled with others.
func (h *Handlers) ofOne(typ string) Handler {
	if handle := h.byType[typ]; handle != nil {
		return handle
	}
	if h.together[typ] != nil || h.batch != nil {
		return nil
	}
	return h.catchAll
}

// ofAll says that an event of the type goes to the handler that takes those of
// all organizations.
func (h *Handlers) ofAll(typ string) bool {
	return h.batch != nil && h.byType[typ] == nil && h.together[typ] == nil
}
