package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/id"
)

// Publisher puts messages into the stream in order. One goroutine may use it at
// a time. Make it with [Bus.NewPublisher].
type Publisher struct {
	bus     *Bus
	inbox   string
	id      string
	batches int
	// answers are acknowledgements and refusals, those of batches that nobody
	// waits for any more among them.
	answers      chan *nats.Msg
	subscription *nats.Subscription
	// refused are subjects that NATS does not permit.
	refused chan string
	leave   func()
}

// NewPublisher makes a publisher. Close it when done.
func (b *Bus) NewPublisher() (*Publisher, error) {
	p := &Publisher{bus: b, inbox: b.conn.NewInbox(), id: id.New().String(), answers: make(chan *nats.Msg, 8192), refused: make(chan string, 64)}
	var err error
	if p.subscription, err = b.conn.ChanSubscribe(p.inbox+".>", p.answers); err != nil {
		return nil, fmt.Errorf("listen for acknowledgements: %w", err)
	}
	p.leave = b.permissions.join(p.refused)
	return p, nil
}

// Close ends the publisher.
func (p *Publisher) Close() {
	p.leave()
	_ = p.subscription.Unsubscribe()
}

// Publish puts messages into the stream and says how many of them the stream
// has acknowledged, counted from the first; err is why it is not all. None gets
// in that stands behind one that does not. A message whose Nats-Msg-Id the
// stream remembers counts as acknowledged and is not stored again. The reply
// subjects of the messages are set. What NATS has no permission for is told by a
// [NotPermittedError], as soon as NATS says so.
func (p *Publisher) Publish(ctx context.Context, messages []*nats.Msg) (stored int, err error) {
	var refused error
	size := len(messages)
	for stored < len(messages) {
		n, duplicate, err := p.publishBatch(ctx, messages[stored:min(stored+size, len(messages))])
		stored += n
		if not := (*NotPermittedError)(nil); errors.As(err, &not) && refused == nil {
			// Those before it are taken.
			first := slices.IndexFunc(messages, func(m *nats.Msg) bool { return m.Subject == not.Subject })
			if first > stored {
				messages, size, refused = messages[:first], first, err
				continue
			}
		}
		if err != nil {
			return stored, err
		}
		// The server takes nothing behind a first message that it has already.
		size = len(messages)
		if duplicate {
			size = 1
		}
	}
	return stored, refused
}

// Operations of a fast-ingest batch.
const (
	batchStart  = 0
	batchAppend = 1
	batchCommit = 2
)

// publishBatch sends messages as one fast-ingest batch, the server's way to
// take many with one acknowledgement: it stores each as it comes, and no more
// once one is missing or refused. The reply subject tells the server the batch,
// how often to report progress at most, what to do about gaps, the place in the
// batch and the operation.
func (p *Publisher) publishBatch(ctx context.Context, messages []*nats.Msg) (stored int, duplicate bool, err error) {
	ctx, cancel := p.bus.WhileConnected(ctx)
	defer cancel()
	p.batches++
	for len(p.refused) > 0 {
		<-p.refused // of an earlier batch
	}
	batch := p.inbox + "." + p.id + "-" + strconv.Itoa(p.batches) + "."
	for i, m := range messages {
		operation := batchAppend
		switch i {
		case len(messages) - 1:
			operation = batchCommit
		case 0:
			operation = batchStart
		}
		m.Reply = batch + "1000.fail." + strconv.Itoa(i+1) + "." + strconv.Itoa(operation) + ".$FI"
		if err := p.bus.conn.PublishMsg(m); err != nil {
			return 0, false, fmt.Errorf("publish: %w", err)
		}
	}
	var refused error
	for {
		var m *nats.Msg
		select {
		case m = <-p.answers:
		case subject := <-p.refused:
			if !carries(messages, subject) {
				continue // another's
			}
			return 0, false, fmt.Errorf("publish: %w", &NotPermittedError{Subject: subject})
		case <-ctx.Done():
			return 0, false, fmt.Errorf("wait for the acknowledgement: %w", errors.Join(refused, context.Cause(ctx)))
		}
		if !strings.HasPrefix(m.Subject, batch) {
			continue // an earlier batch's
		}
		if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
			return 0, false, jetstream.ErrNoStreamResponse
		}
		var answer struct {
			Type      string              `json:"type"` // of a report that is not the acknowledgement
			Error     *jetstream.APIError `json:"error"`
			Count     int                 `json:"count"`
			Duplicate bool                `json:"duplicate"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return 0, false, fmt.Errorf("read the acknowledgement: %w", err)
		}
		switch {
		case answer.Error != nil:
			refused = answer.Error
		case answer.Type == "gap":
			refused = errors.New("messages were lost on their way")
		}
		switch {
		case answer.Type != "":
		case answer.Duplicate:
			return answer.Count, true, nil
		case answer.Count == len(messages):
			return answer.Count, false, nil
		default:
			if err := p.notPermitted(ctx, messages); err != nil {
				refused = err
			}
			if refused == nil {
				refused = errors.New("the batch was cut short")
			}
			return answer.Count, false, fmt.Errorf("publish: %w", refused)
		}
	}
}

// refusalWithin is how long a refusal for want of a permission may take to get here from
// the connection, which is told of it before the batch is answered.
const refusalWithin = 100 * time.Millisecond

// notPermitted is the error of a batch that was cut short because one of its messages
// has no permission; nil if it was something else.
func (p *Publisher) notPermitted(ctx context.Context, messages []*nats.Msg) error {
	late := time.NewTimer(refusalWithin)
	defer late.Stop()
	for {
		select {
		case subject := <-p.refused:
			if carries(messages, subject) {
				return &NotPermittedError{Subject: subject}
			}
		case <-late.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func carries(messages []*nats.Msg, subject string) bool {
	return slices.ContainsFunc(messages, func(m *nats.Msg) bool { return m.Subject == subject })
}
