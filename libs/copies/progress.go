package copies

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/bus"
)

// Progress tells how far a service has handled what has been said, so that what is on its
// way is told from what there is not. Nil knows nothing of it.
type Progress struct {
	Bus *bus.Bus
	// Service is the name of the service, which is that of its consumer.
	Service string
}

// progressTimeout bounds a question to the bus.
const progressTimeout = time.Second

// Head is the last event there is now; told is false if the bus does not say.
func (p *Progress) Head(ctx context.Context) (head uint64, told bool) {
	if p == nil {
		return 0, true
	}
	ctx, cancel := context.WithTimeout(ctx, progressTimeout)
	defer cancel()
	stream, err := p.Bus.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return 0, false
	}
	return stream.CachedInfo().State.LastSeq, true
}

// Passed reports whether the service has surely handled every event up to head. Events
// that have failed and are tried again hold up no others, and do not count.
func (p *Progress) Passed(ctx context.Context, head uint64) bool {
	return p == nil || p.has(ctx, func(i *jetstream.ConsumerInfo) bool {
		return i.AckFloor.Stream >= head || i.NumPending == 0 && i.NumAckPending <= i.NumRedelivered
	})
}

// handled reports whether the service has handled every event up to head, and none that
// has failed is to be tried again.
func (p *Progress) handled(ctx context.Context, head uint64) bool {
	return p != nil && p.has(ctx, func(i *jetstream.ConsumerInfo) bool {
		return i.AckFloor.Stream >= head || i.NumPending == 0 && i.NumAckPending == 0
	})
}

// has reports whether the service has come so far; false if the bus does not say.
func (p *Progress) has(ctx context.Context, done func(*jetstream.ConsumerInfo) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, progressTimeout)
	defer cancel()
	consumer, err := p.Bus.JetStream().Consumer(ctx, bus.Stream, p.Service)
	return err == nil && done(consumer.CachedInfo())
}

// Await looks until what a command needs is known, for two seconds at most and no longer
// than all that was said has been handled, for what has no id to wait for. Known is false
// for what there is not: all that was said until now, and a moment longer, has been
// handled. Else the error is NOT_KNOWN_YET. Call it outside of transactions.
func (p *Progress) Await(ctx context.Context, look func() (known bool, err error)) (known bool, err error) {
	known, all, err := p.await(ctx, look)
	if err == nil && !known && !all {
		err = NotKnownYet(nil)
	}
	return known, err
}

// await is Await that says whether all was handled in the place of an error.
func (p *Progress) await(ctx context.Context, look func() (known bool, err error)) (known, all bool, err error) {
	if known, err = look(); known || err != nil {
		return known, false, err
	}
	began, within := time.Now(), knownWithin
	if deadline, ok := ctx.Deadline(); ok {
		// The caller is to hear what came of it.
		within = min(within, time.Until(deadline)*3/4)
	}
	settled := min(settledAfter, within/2)
	var head uint64
	told := p == nil
	for pause := knownEvery; ; pause = min(2*pause, knownSeldom) {
		if !backoff.Wait(ctx, min(pause, max(within-time.Since(began), 0))) {
			return false, false, nil
		}
		if known, err = look(); known || err != nil {
			return known, false, err
		}
		since := time.Since(began)
		if since < settled {
			continue
		}
		if !told {
			head, told = p.Head(ctx)
		}
		if all = told && (p.handled(ctx, head) || since >= within && p.Passed(ctx, head)); all {
			known, err = look()
			return known, true, err
		}
		if since >= within {
			return false, false, nil
		}
	}
}
