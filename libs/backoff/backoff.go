// Package backoff gives the pauses between tries of something that has failed.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff are pauses: the first, doubled after each further failure up to the
// longest. Up to a fifth is added by chance, so that what failed together is not
// tried again together.
type Backoff struct {
	First, Longest time.Duration
}

// After is the pause after a number of failures in a row, counted from 1.
func (b Backoff) After(failures int) time.Duration {
	pause := b.First
	for range max(failures-1, 0) {
		if pause >= b.Longest {
			break
		}
		pause *= 2
	}
	pause = min(pause, b.Longest)
	return pause + rand.N(pause/5+1)
}

// Wait pauses after a number of failures in a row. See [Wait] for what it
// returns.
func (b Backoff) Wait(ctx context.Context, failures int) bool { return Wait(ctx, b.After(failures)) }

// Wait pauses. It returns false if ctx ends first.
func Wait(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
