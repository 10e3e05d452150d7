// Package ratelimit counts how often callers do something, and says who does it too
// often. Each process counts for itself.
package ratelimit

import (
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/clock"
)

// Limit is how often one caller may do something: so many a second for long, and
// Burst at once. One without a Burst limits nothing.
type Limit struct {
	PerSecond float64
	Burst     int
}

// Reason is that of a call too many.
const Reason = "RATE_LIMITED"

// maxCallers bounds how many callers of a kind are remembered.
const maxCallers = 20_000

// Meter counts the calls of one kind. It is safe for concurrent use.
type Meter struct {
	name  string
	limit Limit
	clock clock.Clock

	mu      sync.Mutex
	callers map[string]*rate.Limiter
}

// NewMeter makes a meter of a kind of calls, whose name callers read.
func NewMeter(name string, l Limit, c clock.Clock) *Meter {
	return &Meter{name: name, limit: l, clock: c, callers: make(map[string]*rate.Limiter)}
}

// of is the limiter of a caller.
func (m *Meter) of(caller string, now time.Time) *rate.Limiter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.callers[caller]; l != nil {
		return l
	}
	if len(m.callers) >= maxCallers {
		// Whoever may do everything is forgotten without loss; else anybody.
		for other, l := range m.callers {
			if l.TokensAt(now) >= float64(m.limit.Burst) {
				delete(m.callers, other)
			}
		}
		if len(m.callers) >= maxCallers {
			clear(m.callers)
		}
	}
	l := rate.NewLimiter(rate.Limit(m.limit.PerSecond), m.limit.Burst)
	m.callers[caller] = l
	return l
}

// State is where a caller stands.
type State struct {
	// Name is that of the kind of calls, and Limit what holds for it.
	Name  string
	Limit Limit
	// Left is how many calls are left at this moment.
	Left float64
}

// Full is in how many seconds all of it is there again.
func (s State) Full() int { return s.seconds(float64(s.Limit.Burst) - s.Left) }

// Window is how many seconds it takes from nothing to all of it.
func (s State) Window() int { return s.seconds(float64(s.Limit.Burst)) }

func (s State) seconds(tokens float64) int { return int(math.Ceil(tokens / s.Limit.PerSecond)) }

// Exceeded is the error of a call too many: RESOURCE_EXHAUSTED, RATE_LIMITED, with
// the limit, which the gateway makes a header of, and when to try again.
func (s State) Exceeded() error {
	wait := time.Duration(max(1-s.Left, 0) / s.Limit.PerSecond * float64(time.Second))
	return apierr.New(codes.ResourceExhausted, Reason, "too many calls; please wait").With(metaLimit, s.Name).With(metaQuota, strconv.Itoa(s.Limit.Burst)).
		With(metaWindow, strconv.Itoa(s.Window())).With(metaFull, strconv.Itoa(s.Full())).WithRetry(wait)
}

// Limits reports whether the meter holds anybody to anything.
func (m *Meter) Limits() bool { return m.limit.Burst > 0 }

// Take counts a call of a caller, and reports whether it may be done.
func (m *Meter) Take(caller string) (s State, ok bool) {
	if !m.Limits() {
		return State{}, true
	}
	now := m.clock.Now()
	l := m.of(caller, now)
	ok = l.AllowN(now, 1)
	return m.state(l, now), ok
}

// Look says where a caller stands, and counts nothing.
func (m *Meter) Look(caller string) State {
	now := m.clock.Now()
	return m.state(m.of(caller, now), now)
}

func (m *Meter) state(l *rate.Limiter, now time.Time) State {
	return State{Name: m.name, Limit: m.limit, Left: max(l.TokensAt(now), 0)}
}
