package copies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/postgres"
)

// streamTimeout bounds one look at the stream.
const streamTimeout = 5 * time.Second

// position is a place in the stream that was made at a time.
type position struct {
	created  time.Time
	sequence int64
}

// watch is what is known of the stream from one look to the next: its last
// event at the last look.
type watch struct{ last position }

// watchStream writes down how far the events have been applied, or finds that
// some were lost before: a stream that keeps events for some time only has
// dropped them, or it was made anew.
func (c *Copies) watchStream(ctx context.Context, s *source, states map[*table]state, w *watch) (lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := c.cfg.Bus.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return false, fmt.Errorf("look at stream %s: %w", bus.Stream, err)
	}
	consumer, err := stream.Consumer(ctx, c.cfg.Service)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, nil // it is about to be made
	}
	if err != nil {
		return false, fmt.Errorf("look at consumer %s: %w", c.cfg.Service, err)
	}
	info := consumer.CachedInfo()
	// After the consumer: what is still in the stream now was there then.
	now, err := stream.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("look at stream %s: %w", bus.Stream, err)
	}
	created := streamCreated(now)
	for _, st := range states {
		if !st.position.created.Equal(created) || int64(now.State.FirstSeq) > st.position.sequence+1 { //nolint:gosec // counts messages
			c.log.Warn("Events were dropped from the stream before they could be applied, copies are rebuilt",
				"owner", s.name, "position", st.position.sequence, "first", now.State.FirstSeq)
			return true, nil
		}
	}
	applied := position{created: created, sequence: int64(info.AckFloor.Stream)} //nolint:gosec // counts messages
	if info.NumPending == 0 && info.NumAckPending == 0 && w.last.created.Equal(created) {
		applied.sequence = max(applied.sequence, w.last.sequence)
	}
	w.last = position{created: created, sequence: int64(now.State.LastSeq)} //nolint:gosec // counts messages
	ahead := false
	for _, st := range states {
		ahead = ahead || applied.sequence > st.position.sequence
	}
	if !ahead {
		return false, nil
	}
	return false, c.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed()
		_, err := tx.Exec(ctx, `
update copy_state set stream_sequence = $3 where kind = any ($1) and stream_create_time = $2 and stream_sequence < $3`,
			s.kinds.names(), applied.created, applied.sequence)
		if err != nil {
			return fmt.Errorf("write how far copies are: %w", err)
		}
		return nil
	})
}

// streamCreated is when a stream was made, as precisely as the database has it.
func streamCreated(info *jetstream.StreamInfo) time.Time {
	return info.Created.UTC().Truncate(time.Microsecond)
}
