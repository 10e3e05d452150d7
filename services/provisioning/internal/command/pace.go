package command

import (
	"math"
	"time"
)

const (
	// slowest is the rate that nothing goes below, in changes a second.
	slowest = 1
	// fastest is the rate from which on there is no limit any more.
	fastest = 500
)

// pace is how fast an app takes changes, as far as this replica has learnt. There is no
// limit until the app asks to wait. Then the rate is half of what it was, and it grows
// by one a second for each second in which the app takes all that it allows. It is
// never below [slowest], and no limit from [fastest] on.
//
// It is kept in memory alone: a replica that starts knows nothing, and each replica
// learns for itself. The zero pace has no limit. It is not safe for concurrent use.
type pace struct {
	// rate is in changes a second; 0 is no limit.
	rate float64
	// next is when the next turn is.
	next time.Time
	// until is how long the app has asked to wait.
	until time.Time
	// halved is when the rate was last halved.
	halved time.Time

	// good is how many changes were answered well in the second that began at since,
	// and before how many in the one before it.
	since        time.Time
	good, before int
}

// limited says whether there is a limit.
func (p *pace) limited() bool { return p.rate > 0 }

// waits says whether the app has asked to wait for longer than now.
func (p *pace) waits(now time.Time) bool { return p.until.After(now) }

// atOnce is how many operations may run at once: as many as the app takes changes a
// second, and perIntegration at most.
func (p *pace) atOnce() int {
	if !p.limited() {
		return perIntegration
	}
	return min(perIntegration, int(math.Ceil(p.rate)))
}

// turn takes the next turn, and returns how far away it is. If that is further than
// most, none is taken.
func (p *pace) turn(now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	if !p.limited() {
		return 0, true
	}
	at := now
	for _, t := range []time.Time{p.next, p.until} {
		if t.After(at) {
			at = t
		}
	}
	if wait = at.Sub(now); wait > 0 && wait > most {
		return wait, false
	}
	p.next = at.Add(time.Duration(float64(time.Second) / p.rate))
	return wait, true
}

// answered takes in that a change was made.
func (p *pace) answered(now time.Time) {
	switch age := now.Sub(p.since); {
	case age >= 2*time.Second:
		p.since, p.before, p.good = now, 0, 0
	case age >= time.Second:
		p.since, p.before, p.good = now, p.good, 0
	}
	p.good++
	if p.limited() {
		if p.rate += 1 / p.rate; p.rate >= fastest {
			p.rate = 0
		}
	}
}

// throttled takes in that the app has asked, in answer to a change that began at a
// time, to wait. What began before the rate was last halved says nothing new: all that
// were under way are refused together.
func (p *pace) throttled(began, now time.Time, wait time.Duration) {
	if until := now.Add(wait); until.After(p.until) {
		p.until = until
	}
	if !p.halved.IsZero() && !began.After(p.halved) {
		return
	}
	p.halved = now
	if !p.limited() {
		p.rate = min(fastest, float64(max(p.good, p.before)))
	}
	p.rate = max(slowest, p.rate/2)
}
