package outbox

import "time"

const (
	// alwaysAtomic is the number of events from which a batch is the better
	// way on any stream, by far.
	alwaysAtomic = 24
	// exploreEvery is how often the way that seems worse is taken, to learn
	// whether it still is.
	exploreEvery = 64
)

// pace learns what publishing costs, to choose between one by one and a batch.
//
// On a replicated stream a batch costs what one event costs. On a stream of one
// replica that is synced at every write the server stages each batch in a store
// of its own, which costs as much as a dozen events if that is on a disk, and
// as much as two if it is in memory. The relay cannot see which, so it
// measures.
type pace struct {
	one   time.Duration // one event, by itself
	batch time.Duration // one batch of less than alwaysAtomic events
	turns int
}

func newPace() *pace {
	// A guess that is soon corrected.
	return &pace{one: 500 * time.Microsecond, batch: 2 * time.Millisecond}
}

// atomic says whether n waiting events should be one batch.
func (p *pace) atomic(n int) bool {
	switch {
	case n < 2:
		return false
	case n >= alwaysAtomic:
		return true
	}
	better := time.Duration(n)*p.one > p.batch
	if p.turns++; p.turns%exploreEvery == 0 {
		return !better
	}
	return better
}

// ones notes that n events were published one by one.
func (p *pace) ones(n int, took time.Duration) {
	p.one = blend(p.one, took/time.Duration(n))
}

// atomically notes that n events were published as a batch.
func (p *pace) atomically(n int, took time.Duration) {
	if n < alwaysAtomic {
		p.batch = blend(p.batch, took)
	}
}

// blend moves an average towards a new value, and no further than to twice:
// one turn that met a busy machine says little.
func blend(average, value time.Duration) time.Duration {
	return average + (min(value, 2*average)-average)/8
}
