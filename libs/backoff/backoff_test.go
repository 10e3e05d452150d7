package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.dev/libs/backoff"
)

func TestAfter(t *testing.T) {
	t.Parallel()
	b := backoff.Backoff{First: 50 * time.Millisecond, Longest: time.Second}
	for failures, want := range map[int]time.Duration{
		0: 50 * time.Millisecond, 1: 50 * time.Millisecond, 2: 100 * time.Millisecond, 5: 800 * time.Millisecond,
		6: time.Second, 1000: time.Second,
	} {
		for range 100 {
			if got := b.After(failures); got < want || got > want+want/5 {
				t.Errorf("after %d failures %v, want %v to a fifth more", failures, got, want)
			}
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if !backoff.Wait(t.Context(), time.Minute) || time.Since(begin) != time.Minute {
			t.Errorf("waited %v", time.Since(begin))
		}
		// It does not return before the end of ctx: a loop that goes on until then
		// would turn without a pause.
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if backoff.Wait(short, time.Minute) || time.Since(begin) != time.Second {
			t.Errorf("a pause of %v, cut short by a deadline", time.Since(begin))
		}
		begin = time.Now()
		ended, end := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, end)
		if backoff.Wait(ended, time.Minute) || time.Since(begin) != time.Second {
			t.Errorf("waited %v after ctx had ended", time.Since(begin))
		}
	})
}
