package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stormLives is how many lives others make at most while people join, and
	// joinersAtOnce how many joiners the source tells of at a time.
	stormLives, joinersAtOnce = 2000, 16
	// stormPatience bounds the storm: without an end it has stopped somewhere.
	stormPatience = 15 * time.Minute
)

// stormResult is what a storm measured.
type stormResult struct {
	told, took      time.Duration
	lives           int
	pending, access times
}

// storm has people join, all of whom get an account by a join-flow,
// and makes lives of others, one at a time, until all have them.
func (w *world) storm(ctx context.Context, joiners int) (*stormResult, error) {
	var r map[string]any
	before := w.activated.Load()
	flow := obj{"flow": obj{
		"name": "Joiners", "trigger": "FLOW_TRIGGER_JOIN", "audience": obj{"everyone": true}, "autoApprove": true,
		"scope": obj{"entitlementIds": []string{w.account}},
	}}
	if err := eventually(ctx, func() error { return w.call(ctx, w.admin, "POST", "/v1/flows", flow, &r) }); err != nil {
		return nil, err
	}
	const there = people + 3 // with the admin, the manager and the approver
	if err := w.awaitActivated(ctx, before+there); err != nil {
		return nil, err
	}
	before = w.activated.Load()

	out := &stormResult{}
	start := time.Now()
	var failed atomic.Pointer[error]
	fail := func(err error) { failed.CompareAndSwap(nil, &err) }
	names := make(chan int, joiners)
	for i := range joiners {
		names <- i
	}
	close(names)
	var wg sync.WaitGroup
	for range joinersAtOnce {
		wg.Go(func() {
			for i := range names {
				if _, err := w.person(ctx, fmt.Sprintf("joiner%06d", i), ""); err != nil {
					fail(err)
					return
				}
			}
		})
	}
	told := make(chan struct{})
	go func() { wg.Wait(); close(told) }()
	for failed.Load() == nil {
		select {
		case <-told:
			if out.told == 0 {
				out.told = time.Since(start)
			}
		default:
		}
		if w.activated.Load() >= before+int64(joiners)+int64(out.lives) && out.told > 0 {
			break
		}
		if out.lives == stormLives {
			if err := w.awaitActivated(ctx, before+int64(joiners)+int64(out.lives)); err != nil {
				return nil, err
			}
			break
		}
		_, pending, access, err := w.live(ctx)
		if err != nil {
			fail(err)
			break
		}
		out.lives++
		out.pending, out.access = append(out.pending, pending), append(out.access, access)
	}
	wg.Wait()
	out.took = time.Since(start)
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return out, nil
}

// awaitActivated waits until so many grants have become active.
func (w *world) awaitActivated(ctx context.Context, n int64) error {
	for deadline := time.Now().Add(stormPatience); w.activated.Load() < n; time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return errors.New("access did not come")
		}
	}
	return nil
}
