package inbox

import (
	"context"
	"sync"
	"time"
)

// queue holds the deliveries that this process has and has not answered: those
// that wait, and those in work. One goroutine puts, one takes, one touches.
type queue struct {
	mu      sync.Mutex
	waiting []*delivery
	working []*delivery
	closed  bool
	// filled and freed hold one token after a put and a take.
	filled, freed chan struct{}
	limit         int
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, filled: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
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
		full := len(q.waiting) >= q.limit
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

// put adds a delivery.
func (q *queue) put(d *delivery) {
	q.mu.Lock()
	q.waiting = append(q.waiting, d)
	q.mu.Unlock()
	signal(q.filled)
}

// close says that no more will be put.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.filled)
}

// take waits for deliveries and moves up to most of them to work, in order. The
// ones taken before are out of work. Nil: the queue is closed and empty.
func (q *queue) take(most int) []*delivery {
	for {
		q.mu.Lock()
		q.working = nil
		if n := min(len(q.waiting), most); n > 0 {
			q.working = q.waiting[:n:n]
			q.waiting = q.waiting[n:]
			batch := append([]*delivery(nil), q.working...)
			q.mu.Unlock()
			signal(q.freed)
			return batch
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		<-q.filled
	}
}

// touch tells the server about everything that it has not been told of for
// longer than every that it is in work, so that it is not delivered again.
func (q *queue) touch(now time.Time, every time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, list := range [][]*delivery{q.working, q.waiting} {
		for _, d := range list {
			if now.Sub(d.received) >= every {
				d.received = now
				_ = d.msg.InProgress()
			}
		}
	}
}
