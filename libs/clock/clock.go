package clock

import (
	"sync"
	"time"
)

// Clock gives the time. Implementations are safe for concurrent use.
type Clock interface {
	// Now returns the time in UTC, in whole microseconds.
	Now() time.Time
}

// System is the machine's clock. The zero value is ready.
type System struct{}

// Now returns the machine's time.
func (System) Now() time.Time { return normal(time.Now()) }

// Fixed returns a clock that always tells t. For tests.
func Fixed(t time.Time) Clock { return fixed(normal(t)) }

type fixed time.Time

func (f fixed) Now() time.Time { return time.Time(f) }

// Manual is a clock that moves only when told to. For tests. Make one with
// NewManual.
type Manual struct {
	mu    sync.Mutex
	now   time.Time
	moved chan struct{} // closed by the next move; nil while nobody waits
}

// NewManual returns a clock that stands at t.
func NewManual(t time.Time) *Manual { return &Manual{now: normal(t)} }

// Now returns where the clock stands.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance moves the clock by d, which may be negative, and returns the new
// time.
func (m *Manual) Advance(d time.Duration) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.move(m.now.Add(d))
	return m.now
}

// Set moves the clock to t.
func (m *Manual) Set(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.move(t)
}

func (m *Manual) move(t time.Time) {
	m.now = normal(t)
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
}

// Moved returns a channel that is closed when c is moved by hand, for who waits
// for a time. Of a clock that moves by itself it is nil and never ready: wait for
// the duration as well. Ask before reading the time.
func Moved(c Clock) <-chan struct{} {
	m, ok := c.(*Manual)
	if !ok {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.moved == nil {
		m.moved = make(chan struct{})
	}
	return m.moved
}

func normal(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
