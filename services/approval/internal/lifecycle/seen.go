package lifecycle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Facts are what a reviewer sees of a beneficiary, and decides by.
type Facts struct {
	State, ManagerID, Manager, Department, Title string
}

// Change is something that is not as a reviewer has seen it.
type Change struct {
	// What is the word for it: items, decisions, state, manager, department or title.
	What string
	// Text says how it is now.
	Text string
}

// seenParts is of how many parts what was seen consists, see [Approval.Seen].
const seenParts = 6

// Seen names what the reviewer of an open task decides about: the items that it is about,
// how many decisions others have made about these, and the facts of the beneficiary. It is
// empty for a task that is not open.
func (a *Approval) Seen(t *Task, f Facts) string {
	if t.State != TaskOpen {
		return ""
	}
	var items []string
	for _, o := range a.Together(t) {
		items = append(items, o.ItemID)
	}
	parts := []string{"", strconv.Itoa(len(a.decisionsOfOthers(t, items))), short(f.State), short(f.ManagerID), short(f.Department), short(f.Title)}
	for _, id := range items {
		parts[0] += short(id)
	}
	return strings.Join(parts, "-")
}

// ChangedSince says what is not as it was when somebody has seen a task, see
// [Approval.Seen]. What its reviewer has decided since is no change. name gives what an
// item is called.
func (a *Approval) ChangedSince(seen string, t *Task, f Facts, name func(itemID string) string) []Change {
	parts := strings.Split(seen, "-")
	if len(parts) != seenParts {
		return []Change{{"items", "this is not what was shown"}}
	}
	items, changes := a.itemsChanged(parts[0], t, name)
	others := a.decisionsOfOthers(t, items)
	before, _ := strconv.Atoi(parts[1])
	for _, o := range others[min(max(before, 0), len(others)):] {
		changes = append(changes, Change{"decisions", fmt.Sprintf("%q was %s by %s in step %q", name(o.ItemID), o.State, o.EndedBy.Name, a.stepName(o))})
	}
	for n, fact := range []Change{
		{"state", fmt.Sprintf("%s is %s now", a.Beneficiary.Name, f.State)},
		{"manager", fmt.Sprintf("%s reports to %s now", a.Beneficiary.Name, cmp.Or(f.Manager, "nobody"))},
		{"department", fmt.Sprintf("%s is in %s now", a.Beneficiary.Name, cmp.Or(f.Department, "no department"))},
		{"title", fmt.Sprintf("%s is %s now", a.Beneficiary.Name, cmp.Or(f.Title, "without a title"))},
	} {
		if parts[2+n] != short([]string{f.State, f.ManagerID, f.Department, f.Title}[n]) {
			changes = append(changes, fact)
		}
	}
	return changes
}

// itemsChanged compares the items that a task is about with those that it was. It gives
// those that it was about and that are of the approval.
func (a *Approval) itemsChanged(seen string, t *Task, name func(itemID string) string) (items []string, changes []Change) {
	now := make(map[string]bool)
	for _, o := range a.Together(t) {
		if o.State == TaskOpen {
			now[o.ItemID] = true
		}
	}
	for _, o := range a.Tasks {
		if o.Reviewer.ID != t.Reviewer.ID || o.Position != t.Position || a.RuleOf(o) != a.RuleOf(t) || slices.Contains(items, o.ItemID) {
			continue
		}
		was := slices.Contains(chunks(seen), short(o.ItemID))
		if was {
			items = append(items, o.ItemID)
		}
		switch {
		case was && !now[o.ItemID] && o.EndedBy.ID != t.Reviewer.ID && o.State != TaskApproved && o.State != TaskDenied:
			changes = append(changes, Change{"items", fmt.Sprintf("%q is not asked about any more", name(o.ItemID))})
		case !was && now[o.ItemID]:
			changes = append(changes, Change{"items", fmt.Sprintf("%q has come", name(o.ItemID))})
		}
	}
	return items, changes
}

// decisionsOfOthers are the decisions about items that are not those of a task's reviewer,
// in the order in which they were made.
func (a *Approval) decisionsOfOthers(t *Task, items []string) []*Task {
	var out []*Task
	for _, o := range a.Tasks {
		if (o.State == TaskApproved || o.State == TaskDenied) && o.EndedBy.ID != t.Reviewer.ID && slices.Contains(items, o.ItemID) {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(x, y *Task) int { return x.EndTime.Compare(y.EndTime) })
	return out
}

func (a *Approval) stepName(t *Task) string {
	if s := a.StepOf(t); s != nil {
		return s.Spec.Name
	}
	return ""
}

// shortLength is how long what short gives is.
const shortLength = 10

// short stands for a value: it differs where the value does, for all that matters here.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:shortLength/2])
}

func chunks(s string) []string {
	var out []string
	for ; len(s) >= shortLength; s = s[shortLength:] {
		out = append(out, s[:shortLength])
	}
	return out
}
