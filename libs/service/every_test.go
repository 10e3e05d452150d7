package service_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.dev/libs/service"
)

// TestEvery lets what is done once an hour fail at the start: it is tried again
// within seconds, then ever later, and once it works it is hourly again.
//
// B-RUN-03 in part: what comes back is noticed soon by what seldom needs it.
func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		start := time.Now()
		var at []time.Duration
		away := errors.New("away")
		done := make(chan error, 1)
		go func() {
			done <- service.Every(ctx, time.Hour, func(context.Context) error {
				at = append(at, time.Since(start))
				if len(at) <= 9 {
					return away
				}
				return nil
			})
		}()
		time.Sleep(3 * time.Hour)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if at[1] > 2*time.Second || at[2] > 5*time.Second {
			t.Errorf("tried again after %s and %s", at[1], at[2])
		}
		for i := range 9 {
			if pause := at[i+1] - at[i]; pause > 72*time.Second {
				t.Errorf("pause %d is %s", i, pause)
			}
		}
		if len(at) < 11 || at[10]-at[9] != time.Hour {
			t.Errorf("when it works it is done at %s", at)
		}
	})
}
