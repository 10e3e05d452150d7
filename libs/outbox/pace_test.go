package outbox

import (
	"testing"
	"time"
)

func TestPaceFindsTheCheaperWay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		one, batch time.Duration
		size       int
		want       bool // a batch is cheaper
	}{
		{"staged on disk, few", 400 * time.Microsecond, 8 * time.Millisecond, 6, false},
		{"staged on disk, many", 400 * time.Microsecond, 8 * time.Millisecond, 100, true},
		{"staged in memory, few", 400 * time.Microsecond, 900 * time.Microsecond, 6, true},
		{"staged in memory, two", 400 * time.Microsecond, 900 * time.Microsecond, 2, false},
		{"replicated", 1500 * time.Microsecond, 1600 * time.Microsecond, 2, true},
		{"one", time.Second, time.Microsecond, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPace()
			right := 0
			for turn := range 10 * exploreEvery {
				atomic := p.atomic(tt.size)
				if atomic {
					p.atomically(tt.size, tt.batch)
				} else {
					p.ones(tt.size, time.Duration(tt.size)*tt.one)
				}
				if turn >= 5*exploreEvery && atomic == tt.want {
					right++
				}
			}
			if right < 5*exploreEvery*95/100 {
				t.Errorf("right in %d of the last %d turns", right, 5*exploreEvery)
			}
		})
	}
}
