package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
)

// publish publishes rows in order and says how many, counted from the first,
// the stream has acknowledged. err is why it is not all of them.
func (r *Relay) publish(ctx context.Context, publisher *bus.Publisher, rows []row) (done int, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.BusTimeout)
	defer cancel()
	messages := make([]*nats.Msg, len(rows))
	var signed []*nats.Msg
	for i := range rows {
		messages[i] = r.message(&rows[i])
		if t, err := event.Lookup(rows[i].typ); err == nil && t.Signed {
			signed = append(signed, messages[i])
		}
	}
	r.cfg.Signer.Sign(signed...)
	done, err = publisher.Publish(ctx, messages)
	if err != nil {
		return done, fmt.Errorf("publish event %s, a %s: %w", rows[done].id, rows[done].typ, err)
	}
	return done, nil
}

// message is an event as CloudEvents wants it on NATS.
func (r *Relay) message(e *row) *nats.Msg {
	id := e.id.String()
	h := make(nats.Header, 13)
	set := func(key, value string) { h[key] = []string{value} }
	set(nats.MsgIdHdr, id)
	set(bus.HeaderSpecVersion, bus.SpecVersion)
	set(bus.HeaderID, id)
	set(bus.HeaderType, e.typ)
	set(bus.HeaderSource, bus.Source(r.cfg.Source))
	set(bus.HeaderSubject, e.aggregateID.String())
	set(bus.HeaderTime, e.time.UTC().Format(time.RFC3339Nano))
	set(bus.HeaderDataContentType, bus.ContentType)
	set(bus.HeaderContentType, bus.ContentType)
	if e.traceparent != "" {
		set("traceparent", e.traceparent)
	}
	if e.bulk {
		set(bus.HeaderBulk, "true")
	}
	return &nats.Msg{Subject: e.subject, Header: h, Data: e.data}
}

// noStream says that nothing listens where the stream should.
func noStream(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrStreamNotFound)
}

// unsynced are events that the stream has acknowledged and that a loss of power
// may still take from it. Their rows stay in the outbox.
type unsynced struct {
	bus *bus.Bus
	// timeout bounds a sync.
	timeout time.Duration
	asked   []int64 // a sync for them is under way
	fresh   []int64 // they wait for the next one
	point   string  // for the sync of fresh
	// answer gets what came of the sync that is under way.
	answer chan error
}

func newUnsynced(b *bus.Bus, timeout time.Duration) *unsynced {
	return &unsynced{bus: b, timeout: timeout, answer: make(chan error, 1)}
}

// add adds rows that were acknowledged after point was taken.
func (u *unsynced) add(point string, rows []row) {
	if len(u.fresh) == 0 {
		u.point = point
	}
	for i := range rows {
		u.fresh = append(u.fresh, rows[i].seq)
	}
	u.ask()
}

// ask has the bus sync what waits for it, if no other sync is under way.
func (u *unsynced) ask() {
	if len(u.asked) > 0 || len(u.fresh) == 0 {
		return
	}
	u.asked, u.fresh = u.fresh, nil
	point := u.point
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), u.timeout)
		defer cancel()
		u.answer <- u.bus.Sync(ctx, point)
	}()
}

// wait waits for an answer, and ends with one; with a wake, a tick or ctx it
// ends without. If idle is false it waits for nothing. An error means that no
// event is known to be durable that is not among those returned before.
func (u *unsynced) wait(ctx context.Context, wake <-chan struct{}, tick <-chan time.Time, idle bool) (durable []int64, err error) {
	if !idle {
		select {
		case err := <-u.answer:
			return u.settle(err)
		default:
			return nil, nil
		}
	}
	select {
	case err := <-u.answer:
		return u.settle(err)
	case <-ctx.Done():
	case <-wake:
	case <-tick:
	}
	return nil, nil
}

// settle takes an answer. Without an error the events that it is for are
// durable, and the next are asked for.
func (u *unsynced) settle(answer error) (durable []int64, err error) {
	durable, u.asked = u.asked, nil
	if answer != nil {
		u.fresh = append(durable, u.fresh...)
		return nil, answer
	}
	u.ask()
	return durable, nil
}

// forget gives up the events, to be published again, and is the place of the
// first.
func (u *unsynced) forget() (first int64) {
	first = slices.Min(u.fresh)
	u.fresh = nil
	return first
}

// finish waits for the answers that are due.
func (u *unsynced) finish() (durable []int64) {
	for len(u.asked) > 0 {
		synced, err := u.settle(<-u.answer)
		if err != nil {
			break
		}
		durable = append(durable, synced...)
	}
	return durable
}

// all are the events' places in the outbox, never nil.
func (u *unsynced) all() []int64 {
	return append(append([]int64{}, u.asked...), u.fresh...)
}
