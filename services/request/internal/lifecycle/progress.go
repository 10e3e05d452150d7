package lifecycle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Review is how far an item's approval is, as its events have said in whatever order they
// came.
type Review struct {
	// Version is that of the approval that Needed is of.
	Version int64 `json:"version,omitempty"`
	// Needed are how many approvals each step needs, from the first.
	Needed []int `json:"needed,omitempty"`
	// Completed is how many steps, from the first, are approved.
	Completed int `json:"completed,omitempty"`
	// Decided are the steps of the decisions that were made, by the ids of their tasks.
	Decided map[string]int `json:"decided,omitempty"`
}

// Plan says how many approvals each step needs. What an older version of the approval says
// after a newer one changes nothing.
func (r *Review) Plan(version int64, needed []int) (changed bool) {
	if len(needed) == 0 || version < r.Version || version == r.Version && slices.Equal(r.Needed, needed) {
		return false
	}
	r.Version, r.Needed = version, slices.Clone(needed)
	return true
}

// Decide notes the decision of a task in a step, and whether it has completed that step.
func (r *Review) Decide(task string, step int, completed bool) (changed bool) {
	if _, ok := r.Decided[task]; !ok && task != "" {
		r.Decided = maps.Clone(r.Decided) // it may be shared with what was read
		if r.Decided == nil {
			r.Decided = make(map[string]int)
		}
		r.Decided[task], changed = step, true
	}
	if completed && step > r.Completed {
		r.Completed, changed = step, true
	}
	return changed
}

// Scan reads a review as it is stored.
func (r *Review) Scan(from any) error {
	*r = Review{}
	s, ok := from.(string)
	if !ok {
		return fmt.Errorf("a review is stored as a text, not as %T", from)
	}
	return json.Unmarshal([]byte(s), r)
}

// Encode is how a review is stored.
func (r Review) Encode() (string, error) {
	b, err := json.Marshal(r)
	return string(b), err
}

// Progress is how many of the actions that are needed are done.
type Progress struct{ Done, Needed int }

// Percent is Done of Needed, rounded; of nothing it is 0, and 100 is all of it.
func (p Progress) Percent() int {
	switch {
	case p.Needed == 0:
		return 0
	case p.Done == p.Needed:
		return 100
	}
	return min(99, (100*p.Done+p.Needed/2)/p.Needed)
}

// ProgressOfItem is how many of an item's actions are done: each decision is one, and being
// put in place, or taken away, is one. An item that has ended needs no more than was done.
// One of which no step is known yet needs one approval.
func ProgressOfItem(state Item, r Review) Progress {
	steps := max(len(r.Needed), r.Completed)
	decided := make(map[int]int)
	for _, step := range r.Decided {
		decided[step]++
		steps = max(steps, step)
	}
	if state == ItemPending {
		steps = max(steps, 1)
	}
	var p Progress
	for step := 1; step <= steps; step++ {
		done, needed := decided[step], decided[step]
		if state == ItemPending && step > r.Completed {
			needed = max(needed, 1)
			if step <= len(r.Needed) {
				needed = max(needed, r.Needed[step-1])
			}
		}
		p.Done += done
		p.Needed += needed
	}
	switch {
	case state == ItemFulfilled:
		return Progress{p.Done + 1, p.Needed + 1}
	case state.Open():
		return Progress{p.Done, p.Needed + 1}
	}
	return Progress{p.Done, p.Done}
}

// ProgressOf is how many of a request's actions are done, given those of its items. A
// closed request needs no more than was done, and is at 100 percent also if that is
// nothing.
func ProgressOf(s State, items ...Progress) (p Progress, percent int) {
	for _, i := range items {
		p.Done += i.Done
		p.Needed += i.Needed
	}
	if s.Closed() {
		return Progress{p.Done, p.Done}, 100
	}
	return p, p.Percent()
}
