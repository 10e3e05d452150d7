package due

import "time"

const (
	// floorEvery is how often a floor is sought anew: how late an item may be
	// found that came below it.
	floorEvery = 5 * time.Second
	// floorMargin is how much earlier than now an item may be due when its
	// transaction commits, and be found at once.
	floorMargin = 5 * time.Second
)

// Floor is from when on a queue in the order of a time is read. Read from its
// beginning, each read would pass all that was done already: while any session
// of the server holds an old snapshot, vacuum cannot take those entries away.
//
// It is for one goroutine. Its zero value is ready.
type Floor struct {
	time   time.Time
	sought time.Time // by the machine's clock
}

// Stale reports whether the floor is to be sought anew.
func (f *Floor) Stale() bool { return f.sought.IsZero() || time.Since(f.sought) >= floorEvery }

// Set sets the floor by the time of the oldest item that waits, nil if none
// does, which was read at now or later.
func (f *Floor) Set(now time.Time, oldest *time.Time) {
	f.time, f.sought = now.Add(-floorMargin), time.Now()
	if oldest != nil && oldest.Before(f.time) {
		f.time = *oldest
	}
}

// Time is from when on to read.
func (f *Floor) Time() time.Time { return f.time }
