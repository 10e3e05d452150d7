package lifecycle

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Rule names what decides a step, apart from its item: steps with the same one ask for
// the same in the same way.
func (s *Step) Rule() string {
	// What came later is said by the flow's version, or is the same for all.
	spec := struct {
		Name              string
		Reviewers         Reviewers
		UserIDs, GroupIDs []string
		Need              Need
		NeedCount         int
	}{s.Spec.Name, s.Spec.Reviewers, s.Spec.UserIDs, s.Spec.GroupIDs, s.Spec.Need, s.Spec.NeedCount}
	return fmt.Sprintf("%s/%d/%d/%v", s.FlowID, s.FlowVersion, s.Position, spec)
}

// Together returns the tasks that one person decides as one with a task: of the same
// reviewer, by the same rule, in the same state, for other items. The task itself is
// among them; in the order of the items.
func (a *Approval) Together(t *Task) []*Task {
	rule := a.RuleOf(t)
	var out []*Task
	for _, o := range a.Tasks {
		if o == t || o.Reviewer.ID == t.Reviewer.ID && o.State == t.State && a.RuleOf(o) == rule {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(x, y *Task) int { return cmp.Compare(a.Place(x), a.Place(y)) })
	return out
}

// RuleOf is the rule of a task's step.
func (a *Approval) RuleOf(t *Task) string {
	if s := a.StepOf(t); s != nil {
		return s.Rule()
	}
	return t.ID
}

// Place is where a task's step is among the steps, which are in the order of items.
func (a *Approval) Place(t *Task) int {
	return slices.IndexFunc(a.Steps, func(s *Step) bool { return t.of(s) })
}

// Meant returns the tasks that a decision about a task is about: those decided together
// with it that are for the items named. An open task that is about several items says
// by itself nothing of them, as one may have come since its reviewer has looked: then
// the error is [ErrItemsNotNamed]. It is an [ItemError] if the task is not about one
// that is named.
func (a *Approval) Meant(t *Task, itemIDs []string) (tasks []*Task, err error) {
	all := a.Together(t)
	switch {
	case len(itemIDs) > 0:
	case t.State == TaskOpen && len(all) > 1:
		return nil, ErrItemsNotNamed
	default:
		return []*Task{t}, nil
	}
	for n, id := range itemIDs {
		i := slices.IndexFunc(all, func(o *Task) bool { return o.ItemID == id })
		if i < 0 {
			return nil, &ItemError{Place: n}
		}
		tasks = append(tasks, all[i])
	}
	return tasks, nil
}

// ErrItemsNotNamed says that a task is about several items, and none was named.
var ErrItemsNotNamed = errors.New("the task is about several items")

// ItemError says that a task is not about an item, by its place among those named.
type ItemError struct{ Place int }

func (e *ItemError) Error() string { return fmt.Sprintf("the task is not about item %d", e.Place) }
