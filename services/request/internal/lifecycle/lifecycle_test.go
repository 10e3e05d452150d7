package lifecycle_test

import (
	"testing"

	"pgregory.net/rapid"

	"gatehouse.dev/services/request/internal/lifecycle"
)

var states = []lifecycle.State{
	lifecycle.Submitted, lifecycle.Pending, lifecycle.Approved, lifecycle.Fulfilled,
	lifecycle.Denied, lifecycle.Cancelling, lifecycle.Cancelled,
}

func TestClosedNeverMoves(t *testing.T) {
	t.Parallel()
	for _, s := range states {
		for _, to := range states {
			if s.Closed() && lifecycle.CanMove(s, to) {
				t.Errorf("%s moves to %s", s, to)
			}
			if s == to && lifecycle.CanMove(s, to) {
				t.Errorf("%s moves to itself", s)
			}
		}
	}
}

// TestEveryOrderEndsClosed sends what can happen to a request in any order,
// each any number of times, and then once each: it always ends closed, and
// never leaves a closed state.
func TestEveryOrderEndsClosed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		moves := rapid.SliceOf(rapid.SampledFrom(states[1:])).Draw(rt, "moves")
		s := lifecycle.Submitted
		for _, to := range append(moves, lifecycle.Approved, lifecycle.Fulfilled) {
			if !lifecycle.CanMove(s, to) {
				continue
			}
			if s.Closed() {
				rt.Fatalf("left %s for %s", s, to)
			}
			s = to
		}
		if !s.Closed() {
			rt.Fatalf("ended in %s", s)
		}
	})
}

// TestOutcomeIsFinal moves items in any order: once a request has an outcome that closes
// it, nothing that comes later gives it another, and one that is decided stays so until
// then.
func TestOutcomeIsFinal(t *testing.T) {
	t.Parallel()
	to := []lifecycle.Item{lifecycle.ItemApproved, lifecycle.ItemFulfilled, lifecycle.ItemFailed, lifecycle.ItemCancelled, lifecycle.ItemGivenUp, lifecycle.ItemDenied}
	rapid.Check(t, func(rt *rapid.T) {
		items := make([]lifecycle.Item, rapid.IntRange(1, 4).Draw(rt, "items"))
		for i := range items {
			items[i] = lifecycle.ItemPending
		}
		var end lifecycle.State
		for range rapid.IntRange(0, 30).Draw(rt, "moves") {
			i := rapid.IntRange(0, len(items)-1).Draw(rt, "item")
			if s := rapid.SampledFrom(to).Draw(rt, "to"); lifecycle.CanMoveItem(items[i], s) {
				items[i] = s
			}
			now, _ := lifecycle.Outcome(items)
			if end.Closed() && now != end || end == lifecycle.Approved && now != end && !now.Closed() {
				rt.Fatalf("was %s, is %s with %v", end, now, items)
			}
			end = now
		}
	})
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	const f, d, w, a, x = lifecycle.ItemFulfilled, lifecycle.ItemCancelled, lifecycle.ItemPending, lifecycle.ItemApproved, lifecycle.ItemFailed
	for _, tc := range []struct {
		name  string
		items []lifecycle.Item
		want  lifecycle.State
		ok    bool
	}{
		{"one done", []lifecycle.Item{f}, lifecycle.Fulfilled, true},
		{"all done", []lifecycle.Item{f, f}, lifecycle.Fulfilled, true},
		{"one pending", []lifecycle.Item{f, w}, "", false},
		{"one being done", []lifecycle.Item{a}, lifecycle.Approved, true},
		{"one failed, to be fixed", []lifecycle.Item{x, f}, lifecycle.Approved, true},
		{"one cancelled, others being done", []lifecycle.Item{d, a}, lifecycle.Approved, true},
		{"one denied, others pending", []lifecycle.Item{lifecycle.ItemDenied, w}, "", false},
		{"one denied, one being done", []lifecycle.Item{lifecycle.ItemDenied, a}, lifecycle.Approved, true},
		{"one denied, rest done", []lifecycle.Item{lifecycle.ItemDenied, f}, lifecycle.PartlyFulfilled, true},
		{"one denied, one cancelled", []lifecycle.Item{lifecycle.ItemDenied, d}, lifecycle.Denied, true},
		{"all denied", []lifecycle.Item{lifecycle.ItemDenied}, lifecycle.Denied, true},
		{"one cancelled, rest done", []lifecycle.Item{d, f}, lifecycle.PartlyFulfilled, true},
		{"one given up, one failed", []lifecycle.Item{lifecycle.ItemGivenUp, x}, lifecycle.Approved, true},
		{"one given up, rest done", []lifecycle.Item{f, lifecycle.ItemGivenUp}, lifecycle.PartlyFulfilled, true},
		{"all cancelled", []lifecycle.Item{d}, lifecycle.Cancelled, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := lifecycle.Outcome(tc.items); got != tc.want || ok != tc.ok {
				t.Errorf("got %q, %v; want %q, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}
