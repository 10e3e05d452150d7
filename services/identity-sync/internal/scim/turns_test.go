package scim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Calls of one organization that hang keep others of it waiting, and for so long alone; no
// other organization's.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		var hanging []func()
		for range callsAtOnce {
			done, ok := turns.take(t.Context(), "a")
			if !ok {
				t.Fatal("the first calls have to wait")
			}
			hanging = append(hanging, done)
		}
		start := time.Now()
		if _, ok := turns.take(t.Context(), "a"); ok || time.Since(start) != turnTimeout {
			t.Errorf("one more: %v after %s", ok, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if _, ok := turns.take(ctx, "a"); ok || time.Since(start) != time.Second {
			t.Errorf("one whose caller has gone: %v after %s", ok, time.Since(start))
		}
		done, ok := turns.take(t.Context(), "b")
		if !ok {
			t.Fatal("another organization has to wait")
		}
		done()
		waits := make(chan bool)
		go func() {
			done, ok := turns.take(t.Context(), "a")
			if ok {
				done()
			}
			waits <- ok
		}()
		synctest.Wait()
		hanging[0]()
		if !<-waits {
			t.Error("a place is free, and whoever waits does not get it")
		}
		for _, done := range hanging[1:] {
			done()
		}
		if len(turns.of) != 0 {
			t.Errorf("nobody calls, and %d are remembered", len(turns.of))
		}
	})
}
