package inbox

import (
	"context"
	"sync"
	"time"
)

// lane is one of two orders in which events are handled side by side.
type lane int

const (
	prompt lane = iota // what somebody may wait for
	bulk               // what may come in great numbers
	lanes
)

const (
	// bulkEvents and bulkBytes bound the bulk that a process holds so that it can
	// see what comes behind. When they are reached, everything waits.
	bulkEvents, bulkBytes = maxAckPending - 8192, 64 << 20
	// bulkSpan is how many places of the stream the bulk may be behind: a consumer
	// that must be made again starts keepPositions back.
	bulkSpan = keepPositions * 3 / 4
)

// queue holds the deliveries that this process has and has not answered: those
// that wait, and those in work. One goroutine puts what is delivered, one takes
// from each lane, one touches.
type queue struct {
	mu     sync.Mutex
	lanes  [lanes]line
	closed bool
	// freed holds one token after a take.
	freed chan struct{}
	limit int
}

// line is a lane's deliveries.
type line struct {
	waiting []*delivery
	working []*delivery
	bytes   int           // of those that wait
	filled  chan struct{} // holds one token after a put
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit, freed: make(chan struct{}, 1)}
	for i := range q.lanes {
		q.lanes[i].filled = make(chan struct{}, 1)
	}
	return q
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// room waits until the queue is not full. false: ctx has ended.
func (q *queue) room(ctx context.Context) bool {
	for ctx.Err() == nil {
		q.mu.Lock()
		full := q.full()
		q.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-q.freed:
		case <-ctx.Done():
		}
	}
	return false
}

func (q *queue) full() bool {
	b := &q.lanes[bulk]
	if len(q.lanes[prompt].waiting) >= q.limit || len(b.waiting) >= bulkEvents || b.bytes >= bulkBytes {
		return true
	}
	n := len(b.waiting)
	return n > 0 && b.waiting[n-1].StreamSequence > b.waiting[0].StreamSequence+bulkSpan
}

// put adds a delivery.
func (q *queue) put(d *delivery) {
	q.mu.Lock()
	l := &q.lanes[d.lane]
	l.waiting = append(l.waiting, d)
	l.bytes += len(d.msg.Data())
	q.mu.Unlock()
	signal(l.filled)
}

// postpone has a delivery of the prompt lane, which is in work, wait behind the
// bulk. false: there is none.
func (q *queue) postpone(d *delivery) bool {
	q.mu.Lock()
	b := &q.lanes[bulk]
	some := d.lane == prompt && len(b.waiting)+len(b.working) > 0
	q.mu.Unlock()
	if some {
		d.lane = bulk
		q.put(d)
	}
	return some
}

// close says that no more will be delivered.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	for i := range q.lanes {
		signal(q.lanes[i].filled)
	}
}

// take waits for deliveries of a lane and moves up to most of them to work, in
// order. The ones taken before are out of work. Nil: the queue is closed and the
// lane is empty.
func (q *queue) take(from lane, most int) []*delivery {
	l := &q.lanes[from]
	for {
		q.mu.Lock()
		l.working = nil
		if n := min(len(l.waiting), most); n > 0 {
			batch := append([]*delivery(nil), l.waiting[:n]...)
			for i, d := range batch {
				l.bytes -= len(d.msg.Data())
				l.waiting[i] = nil
			}
			l.working, l.waiting = batch, l.waiting[n:]
			q.mu.Unlock()
			signal(q.freed)
			return append([]*delivery(nil), batch...)
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		<-l.filled
	}
}

// touch tells the server about everything that it has not been told of for
// longer than every that it is in work, so that it is not delivered again.
func (q *queue) touch(now time.Time, every time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		for _, list := range [][]*delivery{q.lanes[i].working, q.lanes[i].waiting} {
			for _, d := range list {
				if now.Sub(d.received) >= every {
					d.received = now
					_ = d.msg.InProgress()
				}
			}
		}
	}
}
