package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What holds where a flow says nothing: of working time.
const (
	DefaultRemindAfter   = 8 * time.Hour
	DefaultEscalateAfter = 24 * time.Hour
)

// RemindAgainAfter is how long people wait before they may have reviewers reminded again.
const RemindAgainAfter = 24 * time.Hour

// Schedule says when those who were just asked in a step are reminded, and when it is
// escalated unless that is said already. It counts from now, and what was said stays.
func (a *Approval) Schedule(s *Step, asked []*Task, p People, now time.Time) {
	if p.WorkingTime == nil || len(asked) == 0 {
		return
	}
	remind := p.WorkingTime(a.EnvironmentID, now, cmp.Or(s.Spec.RemindAfter, DefaultRemindAfter))
	for _, t := range asked {
		t.RemindTime = remind
	}
	if !s.Escalated && !s.EscalateTime.After(now) {
		s.EscalateTime = p.WorkingTime(a.EnvironmentID, now, cmp.Or(s.Spec.EscalateAfter, DefaultEscalateAfter))
	}
}

// NextTime is when something is to happen to the approval next; zero if nothing is.
func (a *Approval) NextTime() (next time.Time) {
	if a.State != Open {
		return next
	}
	first := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, s := range a.Steps {
		if s.State == StepPending || s.State == StepOpen {
			first(s.DecideBy)
		}
		if s.State == StepOpen && !s.Vacant {
			first(s.EscalateTime)
		}
	}
	for _, t := range a.Tasks {
		if t.State == TaskOpen {
			first(t.RemindTime)
		}
	}
	return next
}

// Overdue are the items that are not decided and should have been by now, by how long
// they might wait.
func (a *Approval) Overdue(now time.Time) map[time.Duration][]string {
	out := make(map[time.Duration][]string)
	if a.State != Open {
		return out
	}
	for _, s := range a.Steps {
		if s.tooLate(now) && !slices.Contains(out[s.DecideWithin], s.ItemID) {
			out[s.DecideWithin] = append(out[s.DecideWithin], s.ItemID)
		}
	}
	return out
}

// tooLate reports whether a step is not decided and may not be any more.
func (s *Step) tooLate(now time.Time) bool {
	return (s.State == StepPending || s.State == StepOpen) && !s.DecideBy.IsZero() && !s.DecideBy.After(now)
}

// TooLate reports whether an open task may not be decided any more, because the time is
// over in which its item had to be.
func (a *Approval) TooLate(t *Task, now time.Time) bool {
	s := a.StepOf(t)
	return t.State == TaskOpen && s != nil && s.tooLate(now)
}

// NotDecidedWithin says that something was not decided in time.
func NotDecidedWithin(d time.Duration) string { return "not decided within " + length(d) }

// length is a length of time in words.
func length(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		switch n := d / unit.d; {
		case d%unit.d != 0 || n == 0:
		case n == 1:
			return "1 " + unit.name
		default:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return d.String()
}

// Remind says that reviewers are reminded of the tasks of which it is time, and returns
// these.
func (a *Approval) Remind(now time.Time) []*Task {
	return a.remind(now, func(t *Task) bool { return !t.RemindTime.IsZero() && !t.RemindTime.After(now) })
}

// RemindAll says that somebody has the reviewers reminded of all open tasks, or those of
// the items named, and returns these. The error is ErrNobodyToRemind if there are none, or
// a [TooSoonError].
func (a *Approval) RemindAll(now time.Time, items ...string) ([]*Task, error) {
	if next := a.AskedTime.Add(RemindAgainAfter); !a.AskedTime.IsZero() && next.After(now) {
		return nil, &TooSoonError{Next: next}
	}
	tasks := a.remind(now, func(t *Task) bool { return len(items) == 0 || slices.Contains(items, t.ItemID) })
	if len(tasks) == 0 {
		return nil, ErrNobodyToRemind
	}
	a.AskedTime = now
	return tasks, nil
}

func (a *Approval) remind(now time.Time, which func(*Task) bool) []*Task {
	var out []*Task
	for _, t := range a.Tasks {
		if t.State == TaskOpen && a.State == Open && which(t) {
			t.RemindedTime = now
			if !t.RemindTime.After(now) {
				t.RemindTime = time.Time{}
			}
			out = append(out, t)
		}
	}
	return out
}

// ToEscalate are the steps that were not decided in time.
func (a *Approval) ToEscalate(now time.Time) []*Step {
	var out []*Step
	for _, s := range a.Steps {
		if a.State == Open && s.State == StepOpen && !s.Vacant && !s.Escalated && !s.EscalateTime.IsZero() && !s.EscalateTime.After(now) {
			out = append(out, s)
		}
	}
	return out
}

// Escalate asks more people in an open step that was not decided in time, once: the
// managers of those who have not decided, or the next above them who may decide; if there
// are none, the app's admins, then the admins of the request's environment, then those of
// the organization. As many must approve as before. p has the reviewers with their
// managers, the app and the admins. It returns whom it asks, and why.
func (a *Approval) Escalate(s *Step, p People, newID func() string, now time.Time) (added []*Task, reason string) {
	reason = "not decided in " + working(cmp.Or(s.Spec.EscalateAfter, DefaultEscalateAfter))
	s.Escalated, s.EscalateTime = true, time.Time{}
	r := resolver{
		request: Request{Parties: a.Parties, EnvironmentID: a.EnvironmentID}, people: p,
		approvedBy: a.ApprovedBy(s), before: a.decidedBefore(s), chosen: make(map[string]bool),
	}
	waiting := a.OpenTasks(s)
	for _, t := range waiting {
		r.chosen[t.Reviewer.ID] = true
	}
	for _, t := range waiting {
		of := r.user(t.Reviewer.ID)
		r.reasons = []string{reason, "escalated to " + r.name(of) + "'s manager"}
		r.addAbove(of)
	}
	for _, next := range []struct {
		who string
		ids func() []string
	}{
		{"the app's admins", func() []string { return p.Apps[s.AppID].AdminIDs }},
		{"the environment's admins", func() []string {
			if a.EnvironmentID == "" {
				return nil
			}
			return r.adminsOf(a.EnvironmentID)
		}},
		{"Gatehouse's admins", func() []string { return r.adminsOf("") }},
	} {
		if len(r.reviewers) > 0 {
			break
		}
		r.reasons = []string{reason, "nobody above can decide", "escalated to " + next.who}
		r.add(next.ids(), "")
	}
	added = a.addTasks(s, r.reviewers, newID, now)
	for _, t := range added {
		t.Escalated = true
	}
	if len(added) == 0 {
		reason += "; there is nobody further who could decide"
	}
	return added, reason
}

func working(d time.Duration) string {
	if d%time.Hour == 0 {
		if d == time.Hour {
			return "1 working hour"
		}
		return fmt.Sprintf("%d working hours", d/time.Hour)
	}
	return length(d) + " of working time"
}

// addAbove adds the first above somebody who may decide; nobody if they are asked already.
func (r *resolver) addAbove(u User) {
	seen := map[string]bool{u.ID: true, "": true}
	for at := u; ; {
		id := at.ManagerID
		if seen[id] || r.chosen[id] {
			return
		}
		seen[id] = true
		at = r.user(id)
		reason := r.ineligible(at)
		if reason == "" && r.choose(at, strings.Join(r.reasons, "; ")) {
			return
		}
		if len(r.reasons) < maxReasons {
			if reason != "" {
				r.reasons = append(r.reasons, reason)
			}
			if !seen[at.ManagerID] {
				r.substitute(r.name(at) + "'s manager")
			}
		}
	}
}

// aboveReviewers reports whether somebody is above one of those who were asked in a step
// before it was escalated.
func (a *Approval) aboveReviewers(s *Step, u User, p People) bool {
	return slices.ContainsFunc(a.Tasks, func(t *Task) bool { return t.of(s) && !t.Escalated && p.above(u, t.Reviewer.ID) })
}
