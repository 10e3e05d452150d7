package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
)

// Rule names what decides a step, apart from its item: steps with the same one ask for
// the same in the same way.
func (s *Step) Rule() string {
	return fmt.Sprintf("%s/%d/%d/%v", s.FlowID, s.FlowVersion, s.Position, s.Spec)
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
// with it, or of these the ones for the items named. item is the first named that is not
// among them; -1 if all are.
func (a *Approval) Meant(t *Task, itemIDs []string) (tasks []*Task, item int) {
	all := a.Together(t)
	if len(itemIDs) == 0 {
		return all, -1
	}
	for n, id := range itemIDs {
		i := slices.IndexFunc(all, func(o *Task) bool { return o.ItemID == id })
		if i < 0 {
			return nil, n
		}
		tasks = append(tasks, all[i])
	}
	return tasks, -1
}
