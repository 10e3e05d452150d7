package copies

import (
	"context"
	"time"

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
	if p == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, progressTimeout)
	defer cancel()
	consumer, err := p.Bus.JetStream().Consumer(ctx, bus.Stream, p.Service)
	if err != nil {
		return false
	}
	i := consumer.CachedInfo()
	return i.AckFloor.Stream >= head || i.NumPending == 0 && i.NumAckPending <= i.NumRedelivered
}

// Await looks until what a command needs is known, for as long as [Await] waits, for what
// has no id to wait for. Known is false for what there is not: all that was said until
// now has been handled. Else the error is NOT_KNOWN_YET. Call it outside of transactions.
func (p *Progress) Await(ctx context.Context, look func() (known bool, err error)) (known bool, err error) {
	if known, err = look(); known || err != nil {
		return known, err
	}
	head, told := p.Head(ctx)
	until := time.NewTimer(knownWithin)
	defer until.Stop()
	tick := time.NewTicker(knownEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if known, err = look(); known || err != nil {
				return known, err
			}
		case <-until.C:
			if told && p.Passed(ctx, head) {
				return look()
			}
			return false, NotKnownYet(nil)
		case <-ctx.Done():
			return false, NotKnownYet(nil)
		}
	}
}
