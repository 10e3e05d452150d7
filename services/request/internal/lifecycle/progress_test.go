package lifecycle

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// B-REQ-09: what an item's actions come to, in each of its states.
func TestProgressOfItem(t *testing.T) {
	t.Parallel()
	one, two := map[string]int{"a": 1}, map[string]int{"a": 1, "b": 2}
	for _, tc := range []struct {
		name   string
		state  Item
		review Review
		want   Progress
	}{
		{"nothing is known yet", ItemPending, Review{}, Progress{0, 2}},
		{"a step to come counts with the approvals that it will need", ItemPending, Review{Needed: []int{1, 2}}, Progress{0, 4}},
		{"the first step is approved", ItemPending, Review{Needed: []int{1, 2}, Completed: 1, Decided: one}, Progress{1, 4}},
		{"one of two has approved", ItemPending, Review{Needed: []int{1, 2}, Completed: 1, Decided: two}, Progress{2, 4}},
		{"a step was completed by fewer than were planned", ItemPending, Review{Needed: []int{3, 1}, Completed: 1, Decided: one}, Progress{1, 3}},
		{"a decision of a step that no plan has named", ItemPending, Review{Needed: []int{1}, Decided: two}, Progress{2, 3}},
		{"approved, and to be put in place", ItemApproved, Review{Needed: []int{1, 1}, Completed: 2, Decided: two}, Progress{2, 3}},
		{"approved by its flow", ItemApproved, Review{}, Progress{0, 1}},
		{"in place", ItemFulfilled, Review{Needed: []int{1, 1}, Completed: 2, Decided: two}, Progress{3, 3}},
		{"in place by its flow", ItemFulfilled, Review{}, Progress{1, 1}},
		{"failed, and still to be put in place", ItemFailed, Review{Needed: []int{1}, Completed: 1, Decided: one}, Progress{1, 2}},
		{"denied: the denial was an action, and none is left", ItemDenied, Review{Needed: []int{1, 2}, Decided: one}, Progress{1, 1}},
		{"cancelled before anybody decided", ItemCancelled, Review{Needed: []int{1, 2}}, Progress{0, 0}},
		{"given up", ItemGivenUp, Review{Needed: []int{1}, Completed: 1, Decided: one}, Progress{1, 1}},
	} {
		if got := ProgressOfItem(tc.state, tc.review); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

var itemStates = []Item{ItemPending, ItemApproved, ItemFulfilled, ItemFailed, ItemCancelled, ItemGivenUp, ItemDenied}

func drawReview(t *rapid.T) Review {
	r := Review{Completed: rapid.IntRange(0, 4).Draw(t, "completed"), Needed: rapid.SliceOfN(rapid.IntRange(1, 5), 0, 4).Draw(t, "needed")}
	for n, step := range rapid.SliceOfN(rapid.IntRange(1, 4), 0, 8).Draw(t, "decided") {
		r.Decide(fmt.Sprint(n), step, false)
	}
	return r
}

// B-REQ-09: percentages add up. A request's actions are those of its items; it is at 100
// exactly if nothing is left to be done; a decision never makes it less, but where it says
// that there is a step which no plan has named.
func TestProgressAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var items []Progress
		var done, needed int
		open := false
		for range rapid.IntRange(1, 6).Draw(t, "items") {
			state, review := rapid.SampledFrom(itemStates).Draw(t, "state"), drawReview(t)
			p := ProgressOfItem(state, review)
			if p.Done < 0 || p.Done > p.Needed || (p.Done == p.Needed) == state.Open() {
				t.Fatalf("%s: %v", state, p)
			}
			if state == ItemPending {
				after := review
				known := max(1, len(review.Needed), review.Completed)
				for _, step := range review.Decided {
					known = max(known, step)
				}
				step := rapid.IntRange(1, 4).Draw(t, "step")
				after.Decide("another", step, rapid.Bool().Draw(t, "completes"))
				if next := ProgressOfItem(state, after); next.Done != p.Done+1 || step <= known && next.Percent() < p.Percent() {
					t.Fatalf("a decision leads from %v to %v", p, next)
				}
			}
			open = open || state.Open()
			done, needed = done+p.Done, needed+p.Needed
			items = append(items, p)
		}
		sum, percent := ProgressOf(Pending, items...)
		if sum.Done != done || sum.Needed != needed {
			t.Fatalf("%v of %v", sum, items)
		}
		if open && percent == 100 || percent < 0 || percent > 100 {
			t.Fatalf("%d percent of %v", percent, sum)
		}
		closed, percent := ProgressOf(Fulfilled, items...)
		if percent != 100 || closed.Done != closed.Needed {
			t.Fatalf("closed at %d percent: %v", percent, closed)
		}
	})
}

// B-REQ-09, B-RUN-02: what reviews are told in any order, any number of times, they are
// told once.
func TestReviewInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type said struct {
			version int64
			needed  []int
			task    string
			step    int
			whole   bool
		}
		var all []said
		for n := range rapid.IntRange(1, 6).Draw(t, "events") {
			all = append(all, said{
				version: int64(n + 1), needed: rapid.SliceOfN(rapid.IntRange(1, 3), 1, 3).Draw(t, "needed"),
				task: fmt.Sprint(n), step: rapid.IntRange(1, 3).Draw(t, "step"), whole: rapid.Bool().Draw(t, "whole"),
			})
		}
		tell := func(list []said) (r Review) {
			for _, s := range list {
				r.Plan(s.version, s.needed)
				r.Decide(s.task, s.step, s.whole)
			}
			return r
		}
		want := tell(all)
		if got := tell(rapid.Permutation(append(all, all...)).Draw(t, "order")); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
		stored, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var read Review
		if err := read.Scan(stored); err != nil || !reflect.DeepEqual(read, want) {
			t.Fatalf("%+v, %v", read, err)
		}
	})
}
