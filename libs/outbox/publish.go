package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"gatehouse.dev/libs/bus"
)

// publish publishes rows in order and says how many, counted from the first,
// the stream has. err is why it is not all of them.
func (r *Relay) publish(ctx context.Context, rows []row) (done int, err error) {
	if r.pace.atomic(len(rows)) {
		began := time.Now()
		err := r.publishBatch(ctx, rows)
		if err == nil {
			r.pace.atomically(len(rows), time.Since(began))
			return len(rows), nil
		}
		var refused *jetstream.APIError
		if !errors.As(err, &refused) && !errors.Is(err, jetstreamext.ErrInvalidBatchAck) {
			return 0, err
		}
		// Refused as a whole: an event in it is there already (published, then
		// the delete was lost), or the server has too many batches open or
		// allows none. One by one always works.
		r.log.Debug("Batch refused, publishing one by one", "error", err, "events", len(rows))
	}
	began := time.Now()
	for i := range rows {
		if err := r.publishOne(ctx, &rows[i]); err != nil {
			return i, err
		}
	}
	r.pace.ones(len(rows), time.Since(began))
	return len(rows), nil
}

func (r *Relay) publishBatch(ctx context.Context, rows []row) error {
	ctx, cancel := r.request(ctx)
	defer cancel()
	messages := make([]*nats.Msg, len(rows))
	for i := range rows {
		messages[i] = r.message(&rows[i])
	}
	// Without a wait after the first message: if the server does not begin the
	// batch, its answer to the last message says so.
	_, err := jetstreamext.PublishMsgBatch(ctx, r.cfg.Bus.JetStream(), messages, jetstreamext.BatchFlowControl{})
	if err != nil {
		return fmt.Errorf("publish %d events: %w", len(rows), err)
	}
	return nil
}

// publishOne publishes an event. That the stream has it already is as good.
func (r *Relay) publishOne(ctx context.Context, e *row) error {
	ctx, cancel := r.request(ctx)
	defer cancel()
	if _, err := r.cfg.Bus.JetStream().PublishMsg(ctx, r.message(e)); err != nil {
		return fmt.Errorf("publish event %s: %w", e.id, err)
	}
	return nil
}

// request bounds one exchange with the bus.
func (r *Relay) request(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := r.cfg.Bus.WhileConnected(ctx)
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	return ctx, func() {
		cancel()
		end()
	}
}

// message is an event as CloudEvents wants it on NATS.
func (r *Relay) message(e *row) *nats.Msg {
	id := e.id.String()
	h := make(nats.Header, 12)
	set := func(key, value string) { h[key] = []string{value} }
	set(nats.MsgIdHdr, id)
	set(bus.HeaderSpecVersion, bus.SpecVersion)
	set(bus.HeaderID, id)
	set(bus.HeaderType, e.typ)
	set(bus.HeaderSource, r.cfg.Source)
	set(bus.HeaderSubject, e.aggregateID.String())
	set(bus.HeaderTime, e.time.UTC().Format(time.RFC3339Nano))
	set(bus.HeaderContentType, bus.ContentType)
	if e.traceparent != "" {
		set("traceparent", e.traceparent)
	}
	return &nats.Msg{Subject: e.subject, Header: h, Data: e.data}
}

// noStream says that nothing listens where the stream should.
func noStream(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrStreamNotFound)
}
