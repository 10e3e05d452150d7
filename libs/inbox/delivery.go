package inbox

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/eventsig"
)

// delivery is an event on its way through the consumer.
type delivery struct {
	Event
	msg jetstream.Msg
	// stream is when the stream of StreamSequence was made.
	stream time.Time
	// delivered is how often the server delivered it, from 1.
	delivered uint64
	// headers are those that it came with.
	headers nats.Header
	// broken is why it cannot be read or believed; nothing but parking helps.
	broken error
	// lane is where it waits.
	lane lane
	// received is when it was last told to be in work.
	received time.Time
}

// read makes a delivery of a message. It never fails: what cannot be read is
// marked as broken.
func (c *Consumer) read(msg jetstream.Msg, stream time.Time) *delivery {
	h := msg.Headers()
	d := &delivery{msg: msg, headers: h, stream: stream, received: time.Now()}
	if meta, err := msg.Metadata(); err == nil {
		d.StreamSequence, d.delivered = meta.Sequence.Stream, meta.NumDelivered
		d.Time = meta.Timestamp
	}
	d.Type, d.Source, d.AggregateID = h.Get(bus.HeaderType), bus.ServiceOf(h.Get(bus.HeaderSource)), h.Get(bus.HeaderSubject)
	d.Subject, d.Traceparent = msg.Subject(), h.Get("traceparent")
	if at, err := time.Parse(time.RFC3339Nano, h.Get(bus.HeaderTime)); err == nil {
		d.Time = at
	}

	var err error
	if d.ID, err = uuid.Parse(h.Get(bus.HeaderID)); err != nil || d.ID == uuid.Nil {
		// Not one of ours; the place in the stream has to do.
		d.ID = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%d/%d", stream.UnixNano(), d.StreamSequence))
		d.broken = errors.New("the message has no event id")
		return d
	}
	organization, _, ok := event.ParseSubject(d.Subject)
	if !ok {
		d.broken = fmt.Errorf("%q is not the subject of an event", d.Subject)
		return d
	}
	d.OrganizationID = organization
	if d.Type == "" {
		d.broken = errors.New("the message has no event type")
		return d
	}
	d.Data = msg.Data()
	if h.Get(bus.HeaderBulk) == "true" && !c.cfg.Handlers.keyed {
		d.lane = bulk // and is decoded when its turn comes
		return d
	}
	c.decode(d)
	return d
}

// decode reads the event's message, if this program handles it and it is to be
// believed.
func (c *Consumer) decode(d *delivery) {
	switch {
	case d.Message != nil || d.broken != nil:
	case !c.cfg.Handlers.handles(d.Type):
		d.broken = unhandled(d.Type)
	default:
		d.Message, d.broken = decode(d, c.cfg.Keys)
	}
}

func decode(d *delivery, keys eventsig.Keys) (proto.Message, error) {
	return Decode(keys, d.Type, d.Source, d.Subject, d.headers, d.Data)
}

// Decode reads an event's message, if it is to be believed. Type, subject and
// source, which is the name of a service, must agree: an event is published where
// events of its type are, by the service that says them, and signed by it if they
// are. What every service says of itself is always signed: a stranger would be no
// service.
func Decode(keys eventsig.Keys, typ, source, subject string, headers nats.Header, data []byte) (proto.Message, error) {
	t, err := event.Lookup(typ)
	if err != nil {
		return nil, err
	}
	if _, name, _ := event.ParseSubject(subject); name != t.String() {
		return nil, fmt.Errorf("an event of type %s was published as %s", typ, subject)
	}
	if !t.SaidBy(source) {
		return nil, fmt.Errorf("an event of type %s comes from %q and not from %s", typ, source, t.Service)
	}
	if t.Signed {
		if err := keys.Verify(source, subject, headers, data); err != nil {
			return nil, err
		}
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByName(t.Message)
	if err != nil {
		return nil, fmt.Errorf("find message %s: %w", typ, err)
	}
	m := mt.New().Interface()
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", typ, err)
	}
	return m, nil
}

// ack says that the event is dealt with. If the message is lost, the event
// comes again and the inbox knows it.
func (d *delivery) ack() { _ = d.msg.Ack() }

// again asks for the event again after a pause.
func (d *delivery) again(after time.Duration) {
	if after <= 0 {
		_ = d.msg.Nak()
		return
	}
	_ = d.msg.NakWithDelay(after)
}
