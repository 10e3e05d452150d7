package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/service"
)

const (
	// maxAckPending is how many events the server lets be unanswered, those
	// that wait for another attempt included. Far more than a batch: when it is
	// reached, the failing ones block the others. It has room for bulk too, behind
	// which others are seen.
	maxAckPending = 40_960

	pullExpiry = 30 * time.Second
	// heartbeat is how often the server says that a pull is alive; after two
	// that are missing the consumer is looked for.
	heartbeat = 2 * time.Second

	busTimeout = 5 * time.Second
)

// pump puts what is delivered into q until ctx ends, through every outage of
// the bus, and closes q.
func (c *Consumer) pump(ctx context.Context, q *queue) {
	defer q.close()
	failures := 0
	warned := false
	for ctx.Err() == nil {
		consumer, stream, err := c.open(ctx)
		if err == nil {
			if warned {
				c.log.Info("Consumer is back")
				warned = false
			}
			service.Report(ctx, nil)
			failures = 0
			err = c.deliver(ctx, consumer, stream, q)
		}
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, jetstream.ErrNoHeartbeat) {
			service.Report(ctx, service.Problem("no event is received, as the bus does not deliver them", err))
			if !warned {
				c.log.Warn("Consumer lost its events, seeking them", "error", err)
				warned = true
			}
		}
		failures++
		c.away.Wait(ctx, failures)
	}
}

// deliver puts messages into q until the consumer has gone or ctx ends.
func (c *Consumer) deliver(ctx context.Context, consumer jetstream.Consumer, stream time.Time, q *queue) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(c.cfg.Batch),
		jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("pull events: %w", err)
	}
	defer messages.Stop()
	for q.room(ctx) {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil && msg == nil:
		case err != nil:
			return fmt.Errorf("pull events: %w", err)
		default:
			q.put(c.read(msg, stream))
		}
	}
	// Shutting down: take in what has been sent already, to give it back at once
	// instead of leaving it to the server's patience.
	messages.Drain()
	for {
		msg, err := messages.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			return ctx.Err()
		}
		q.put(c.read(msg, stream))
	}
}

// open finds the durable consumer or makes it, and says when its stream was
// made. A consumer that is past what this database knows is made again, and so is
// one that is past events of types that it was not delivered until now.
func (c *Consumer) open(ctx context.Context) (jetstream.Consumer, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*busTimeout)
	defer cancel()
	var none time.Time
	js := c.cfg.Bus.JetStream()

	stream, err := js.Stream(ctx, bus.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err := c.cfg.Bus.EnsureStream(ctx); err != nil {
			return nil, none, err
		}
		stream, err = js.Stream(ctx, bus.Stream)
	}
	if err != nil {
		return nil, none, fmt.Errorf("find stream %s: %w", bus.Stream, err)
	}
	created := stream.CachedInfo().Created.UTC().Truncate(time.Microsecond)

	filters, from := c.filter, uint64(0)
	consumer, err := stream.Consumer(ctx, c.cfg.Service)
	switch {
	case err == nil:
		// First the bus, then the database: what is acknowledged was committed
		// before.
		floor := consumer.CachedInfo().AckFloor.Stream
		position, err := c.position(ctx, created)
		if err != nil {
			return nil, none, err
		}
		behind, err := c.behind(ctx, stream, position, floor)
		if err != nil {
			return nil, none, err
		}
		had := filtersOf(consumer.CachedInfo().Config)
		filters = union(had, c.filter)
		if behind {
			c.log.Warn("Database is older than what was consumed with it, consuming again",
				"position", position, "acknowledged", floor)
		} else {
			gained := missing(c.filter, had)
			if len(gained) == 0 {
				consumer, err = c.update(ctx, stream, consumer, filters)
				return consumer, created, err
			}
			// A consumer goes on behind what it has passed over, whatever it asks
			// for from then on.
			if from, err = c.firstOf(ctx, stream, gained, position, floor); err != nil {
				return nil, none, err
			}
			c.log.Info("Types of events are new here, consuming from the first of them", "types", gained, "from", from)
		}
		if err := stream.DeleteConsumer(ctx, c.cfg.Service); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, none, fmt.Errorf("set consumer %s back: %w", c.cfg.Service, err)
		}
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, none, fmt.Errorf("find consumer %s: %w", c.cfg.Service, err)
	}

	position, err := c.position(ctx, created)
	if err != nil {
		return nil, none, err
	}
	want := c.consumerConfig(filters)
	if from = max(from, c.remembered(position)); from > 1 {
		want.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		want.OptStartSeq = from
	}
	consumer, err = stream.CreateConsumer(ctx, want)
	if errors.Is(err, jetstream.ErrConsumerExists) {
		// Another replica was faster, perhaps one of another version.
		return c.open(ctx)
	}
	if err != nil {
		return nil, none, fmt.Errorf("create consumer %s: %w", c.cfg.Service, err)
	}
	return consumer, created, nil
}

// remembered is the place from which on the inbox remembers all; nothing before can
// be without an answer any more.
func (c *Consumer) remembered(position uint64) uint64 {
	if position <= c.keepEnd {
		return 1
	}
	return position - c.keepEnd + 1
}

// firstOf is the place of the first event of filters that the inbox can remember, or
// that of the first event without an answer, if there is none before.
func (c *Consumer) firstOf(ctx context.Context, stream jetstream.Stream, filters []string, position, floor uint64) (uint64, error) {
	first := floor + 1
	for _, filter := range filters {
		msg, err := stream.GetMsg(ctx, c.remembered(position), jetstream.WithGetMsgSubject(filter))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return 0, fmt.Errorf("look for events of %s: %w", filter, err)
		default:
			first = min(first, msg.Sequence)
		}
	}
	return first, nil
}

// filtersOf are the subjects that a consumer is delivered.
func filtersOf(cfg jetstream.ConsumerConfig) []string {
	switch {
	case len(cfg.FilterSubjects) > 0:
		return cfg.FilterSubjects
	case cfg.FilterSubject != "":
		return []string{cfg.FilterSubject}
	}
	return []string{bus.AllSubjects}
}

// missing are the filters that had lacks.
func missing(filters, had []string) []string {
	if slices.Contains(had, bus.AllSubjects) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(filters), func(f string) bool { return slices.Contains(had, f) })
}

// union has the filters of both, sorted. While a replica of another version runs
// beside this one, they share the consumer: neither takes from it what the other
// has asked for.
func union(a, b []string) []string {
	if slices.Contains(a, bus.AllSubjects) || slices.Contains(b, bus.AllSubjects) {
		return []string{bus.AllSubjects}
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *Consumer) consumerConfig(filters []string) jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable:       c.cfg.Service,
		Description:   "Events that " + c.cfg.Service + " acts on",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: maxAckPending,
	}
	if !slices.Equal(filters, []string{bus.AllSubjects}) {
		cfg.FilterSubjects = slices.Clone(filters)
	}
	return cfg
}

// update brings filter and limits of the consumer in line. Where it stands in
// the stream stays.
func (c *Consumer) update(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer, filters []string) (jetstream.Consumer, error) {
	have, model := consumer.CachedInfo().Config, c.consumerConfig(filters)
	if slices.Equal(filtersOf(have), filters) && have.AckWait == model.AckWait &&
		have.MaxDeliver == model.MaxDeliver && have.MaxAckPending == model.MaxAckPending {
		return consumer, nil
	}
	want := have
	want.FilterSubject, want.FilterSubjects = "", model.FilterSubjects
	want.AckWait, want.MaxDeliver, want.MaxAckPending = model.AckWait, model.MaxDeliver, model.MaxAckPending
	consumer, err := stream.UpdateConsumer(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("update consumer %s: %w", c.cfg.Service, err)
	}
	return consumer, nil
}

// behind says whether the stream has an event for this consumer after position,
// the last that the database knows, that is acknowledged nevertheless.
func (c *Consumer) behind(ctx context.Context, stream jetstream.Stream, position, floor uint64) (bool, error) {
	if floor <= position {
		return false, nil
	}
	for _, filter := range c.filter {
		msg, err := stream.GetMsg(ctx, position+1, jetstream.WithGetMsgSubject(filter))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return false, fmt.Errorf("look for events after %d: %w", position, err)
		case msg.Sequence <= floor:
			return true, nil
		}
	}
	return false, nil
}
