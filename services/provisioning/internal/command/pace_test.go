package command

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The rate is halved once for all that were refused together, grows by one a second
// while the app takes what it allows, and is no limit before and long after.
func TestPaceLearns(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var p pace
	check := func(what string, rate float64, atOnce int) {
		t.Helper()
		if p.rate != rate || p.atOnce() != atOnce {
			t.Errorf("%s: %v a second, %d at once; want %v, %d", what, p.rate, p.atOnce(), rate, atOnce)
		}
	}
	check("nothing is known", 0, 16)
	for range 24 {
		p.answered(now)
	}
	check("all is well", 0, 16)
	began := now
	now = now.Add(100 * time.Millisecond)
	p.throttled(began, now, time.Second)
	check("refused", 12, 12)
	for range 15 {
		p.throttled(began, now.Add(time.Millisecond), time.Second)
	}
	check("the others that were under way are refused", 12, 12)
	if wait, ok := p.turn(now, time.Millisecond); ok || wait != 1001*time.Millisecond {
		t.Errorf("a turn after %s, %t, while the app wants none", wait, ok)
	}
	for n := range 3 {
		want := 1001*time.Millisecond + time.Duration(n)*(time.Second/12)
		if wait, ok := p.turn(now, time.Hour); !ok || (wait-want).Abs() > time.Microsecond {
			t.Errorf("turn %d after %s, want %s", n, wait, want)
		}
	}
	now = now.Add(2 * time.Second)
	p.throttled(now, now, 0)
	check("refused again", 6, 6)
	for range 5 {
		now = now.Add(time.Second)
		p.throttled(now, now, 0)
	}
	check("refused again and again", 1, 1)
	for range 150_000 {
		p.answered(now)
	}
	check("long after", 0, 16)
	p = pace{}
	p.throttled(now, now, time.Second)
	check("the first of all is refused", 1, 1)
}

// Whatever an app answers, the limit is within its bounds, no turn comes while the app
// wants none, and turns do not come faster than the rate.
func TestPaceKeepsItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		var p pace
		var last time.Time // of turns
		ms := rapid.IntRange(0, 3000)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			before := p.rate
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				now = now.Add(time.Duration(ms.Draw(t, "ms")) * time.Millisecond)
			case 1:
				p.answered(now)
				if before > 0 && p.rate > 0 && (p.rate <= before || p.rate > before+1) {
					t.Fatalf("a good answer makes %v of %v", p.rate, before)
				}
			case 2:
				began := now.Add(-time.Duration(ms.Draw(t, "ms")) * time.Millisecond)
				again := !p.halved.IsZero() && !began.After(p.halved)
				p.throttled(began, now, time.Duration(ms.Draw(t, "ms"))*time.Millisecond)
				if again && p.rate != before || !again && before > slowest && p.rate != max(slowest, before/2) {
					t.Fatalf("a refusal makes %v of %v", p.rate, before)
				}
			case 3:
				most := time.Duration(ms.Draw(t, "ms")) * time.Millisecond
				wait, ok := p.turn(now, most)
				at := now.Add(wait)
				switch {
				case !p.limited():
					if wait != 0 || !ok {
						t.Fatalf("a wait of %s without a limit", wait)
					}
				case ok != (wait <= most):
					t.Fatalf("a turn after %s of at most %s: %t", wait, most, ok)
				case ok && at.Before(p.until):
					t.Fatal("a turn while the app wants none")
				case ok && at.Before(last):
					t.Fatal("a turn before another that was taken earlier")
				case ok && p.next.Sub(at) < time.Duration(float64(time.Second)/p.rate)-time.Microsecond:
					t.Fatal("the next turn comes too early")
				}
				if ok && p.limited() {
					last = at
				}
			}
			if p.rate != 0 && (p.rate < slowest || p.rate >= fastest) {
				t.Fatalf("a rate of %v", p.rate)
			}
			if n := p.atOnce(); n < 1 || n > perIntegration {
				t.Fatalf("%d at once", n)
			}
		}
	})
}
