package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// State is where an approval stands.
type State string

// The states of an approval.
const (
	Open      State = "open"
	Granted   State = "granted"
	Denied    State = "denied"
	Cancelled State = "cancelled"
)

// StepState is where a step stands.
type StepState string

// The states of a step.
const (
	StepWaiting  StepState = "waiting"
	StepOpen     StepState = "open"
	StepApproved StepState = "approved"
	StepDenied   StepState = "denied"
	StepDropped  StepState = "cancelled"
)

// TaskState is where a task stands.
type TaskState string

// The states of a task.
const (
	TaskOpen       TaskState = "open"
	TaskApproved   TaskState = "approved"
	TaskDenied     TaskState = "denied"
	TaskDropped    TaskState = "cancelled"
	TaskReassigned TaskState = "reassigned"
)

// Change says what a store has to write of something.
type Change int

// What to write.
const (
	Unchanged Change = iota
	Changed
	Added
)

// Approval is what one request needs to be approved, and how far that is. Its
// methods keep the rules of the package comment and mark what they change.
type Approval struct {
	RequestID   string
	Requester   Person // no ID if a join-flow asked
	Beneficiary Person
	State       State
	// FlowID and FlowVersion are those of the first item's flow.
	FlowID      string
	FlowVersion int32
	// Automatic says that every item's flow approves by itself.
	Automatic  bool
	CreateTime time.Time
	EndTime    time.Time // zero while open
	Steps      []*Step   // by item, then position
	Tasks      []*Task   // in the order they were given
	Change     Change
}

// Step is one step of one item.
type Step struct {
	ItemID      string
	AppID       string
	Position    int // from 1
	FlowID      string
	FlowVersion int32
	Spec        StepSpec
	State       StepState
	// Need is how many must approve; 0 while waiting.
	Need int
	// Vacant says that the step is open and nobody has a task in it.
	Vacant   bool
	OpenTime time.Time
	EndTime  time.Time
	Change   Change
}

// Task is one reviewer's decision in one step.
type Task struct {
	ID           string
	ItemID       string
	Position     int
	Reviewer     Person
	State        TaskState
	Substitution string
	Comment      string
	CreateTime   time.Time
	EndTime      time.Time
	// EndedBy is who brought the task to its end; no ID for Gatehouse itself.
	EndedBy Person
	Change  Change
}

// Errors of the methods of Approval.
var (
	// ErrUnknownTask says that there is no such task for this person.
	ErrUnknownTask = errors.New("unknown task")
	// ErrConcerned says that somebody concerned would have a say.
	ErrConcerned = errors.New("requester and beneficiary have no say")
	// ErrAlreadyAsked says that the person has a task in the step already.
	ErrAlreadyAsked = errors.New("has a task in this step already")
	// ErrCannotDecide says that the person is not one who can decide.
	ErrCannotDecide = errors.New("cannot decide")
)

// EndedError says that a task is no longer open.
type EndedError struct{ Task Task }

// Error says how the task ended.
func (e *EndedError) Error() string { return fmt.Sprintf("task %s is %s", e.Task.ID, e.Task.State) }

// New plans the approval of a request: for each item the steps of the flow
// that decides it. Where all of them approve by themselves it is granted at
// once. Else the steps that Ready returns have to be opened.
func New(ask Ask, flows []Flow, now time.Time) *Approval {
	a := &Approval{
		RequestID: ask.RequestID, Requester: ask.Requester, Beneficiary: ask.Beneficiary,
		State: Open, Automatic: true, CreateTime: now, Change: Added,
	}
	for i, it := range ask.Items {
		f := Pick(flows, ask, it)
		if len(f.Steps) == 0 && !f.AutoApprove {
			f = Default() // passing by itself must be said in so many words
		}
		if i == 0 {
			a.FlowID, a.FlowVersion = f.ID, f.Version
		}
		for n, spec := range f.Steps {
			a.Automatic = false
			a.Steps = append(a.Steps, &Step{
				ItemID: it.ID, AppID: it.AppID, Position: n + 1, FlowID: f.ID, FlowVersion: f.Version,
				Spec: spec, State: StepWaiting, Change: Added,
			})
		}
	}
	if len(ask.Items) == 0 {
		// Nothing that anybody could have said yes to.
		a.Automatic = false
		a.end(Cancelled, now)
		return a
	}
	a.settle(now)
	return a
}

// CancelledBefore is the approval of a request that was taken back before it
// was heard of.
func CancelledBefore(requestID string, now time.Time) *Approval {
	return &Approval{RequestID: requestID, State: Cancelled, CreateTime: now, EndTime: now, Change: Added}
}

// Ready returns the steps that are to be opened now: of each item the first
// that is not approved, if it waits.
func (a *Approval) Ready() []*Step {
	if a.State != Open {
		return nil
	}
	var ready []*Step
	blocked := make(map[string]bool)
	for _, s := range a.Steps {
		if s.State == StepApproved || blocked[s.ItemID] {
			continue
		}
		blocked[s.ItemID] = true
		if s.State == StepWaiting {
			ready = append(ready, s)
		}
	}
	return ready
}

// Open opens a step that is ready, with a task for each reviewer. Whoever is
// concerned is left out whatever the resolution says.
func (a *Approval) Open(s *Step, r Resolution, newID func() string, now time.Time) ([]*Task, error) {
	if !slices.Contains(a.Ready(), s) {
		return nil, fmt.Errorf("open step %d of item %s: it is not its turn", s.Position, s.ItemID)
	}
	s.State, s.OpenTime, s.Change = StepOpen, now, max(s.Change, Changed)
	given := a.give(s, r.Reviewers, newID, now)
	s.Need = max(1, min(r.Need, len(given)))
	return given, nil
}

// Vacancies returns the open steps in which nobody has a task.
func (a *Approval) Vacancies() []*Step {
	var out []*Step
	for _, s := range a.Steps {
		if s.State == StepOpen && s.Vacant {
			out = append(out, s)
		}
	}
	return out
}

// Fill gives a vacant step the reviewers that it could not have before. What
// was approved in it counts on; at least one more has to approve.
func (a *Approval) Fill(s *Step, r Resolution, newID func() string, now time.Time) ([]*Task, error) {
	if a.State != Open || s.State != StepOpen || !s.Vacant {
		return nil, fmt.Errorf("fill step %d of item %s: it is not vacant", s.Position, s.ItemID)
	}
	given := a.give(s, r.Reviewers, newID, now)
	if len(given) == 0 {
		return nil, nil
	}
	s.Change = max(s.Change, Changed)
	approved, _ := a.count(s)
	if approved == 0 {
		s.Need = max(1, min(r.Need, len(given)))
	} else {
		s.Need = approved + max(1, min(s.Need-approved, len(given)))
	}
	return given, nil
}

// Decided returns those who have approved in a step. They get no second say.
func (a *Approval) Decided(s *Step) map[string]bool {
	out := make(map[string]bool)
	for _, t := range a.Tasks {
		if t.of(s) && t.State == TaskApproved {
			out[t.Reviewer.ID] = true
		}
	}
	return out
}

// Outcome is what a decision did.
type Outcome struct {
	Task *Task
	Step *Step
	// StepApproved says that the decision completed the step. Whether it
	// completed the approval, its State says; what is to be opened, Ready.
	StepApproved bool
}

// Decide takes the reviewer's decision of a task. A denial ends the approval.
func (a *Approval) Decide(taskID string, by Person, approve bool, comment string, now time.Time) (Outcome, error) {
	t := a.task(taskID)
	if t == nil || t.Reviewer.ID != by.ID {
		return Outcome{}, ErrUnknownTask
	}
	if a.concerns(by.ID) {
		return Outcome{}, ErrConcerned
	}
	if t.State != TaskOpen || a.State != Open {
		return Outcome{}, &EndedError{Task: *t}
	}
	s := a.step(t)
	out := Outcome{Task: t, Step: s}
	t.Comment = comment
	if !approve {
		t.end(TaskDenied, by, now)
		s.end(StepDenied, now)
		a.drop(by, now)
		a.end(Denied, now)
		return out, nil
	}
	t.end(TaskApproved, by, now)
	if approved, _ := a.count(s); approved >= s.Need {
		out.StepApproved = true
		s.end(StepApproved, now)
		for _, other := range a.Tasks {
			if other.of(s) && other.State == TaskOpen {
				other.end(TaskDropped, by, now)
			}
		}
		a.settle(now)
	}
	return out, nil
}

// Cancel ends the approval because its request is taken back. It reports
// whether there was anything to end.
func (a *Approval) Cancel(by Person, now time.Time) bool {
	if a.State != Open {
		return false
	}
	a.drop(by, now)
	a.end(Cancelled, now)
	return true
}

// Reassign gives an open task to somebody else. any says that by may do so
// with everybody's tasks; else it must be their own.
func (a *Approval) Reassign(taskID string, by Person, anyTask bool, to User, reason string, newID func() string, now time.Time) (from, given *Task, err error) {
	t := a.task(taskID)
	if t == nil || t.Reviewer.ID != by.ID && !anyTask {
		return nil, nil, ErrUnknownTask
	}
	if a.concerns(by.ID) || a.concerns(to.ID) {
		return nil, nil, ErrConcerned
	}
	if t.State != TaskOpen || a.State != Open {
		return nil, nil, &EndedError{Task: *t}
	}
	if !to.CanDecide {
		return nil, nil, ErrCannotDecide
	}
	s := a.step(t)
	for _, other := range a.Tasks {
		if other.of(s) && other.Reviewer.ID == to.ID && other.live() {
			return nil, nil, ErrAlreadyAsked
		}
	}
	t.end(TaskReassigned, by, now)
	t.Comment = reason
	tasks := a.give(s, []Reviewer{{Person: to.Person, Substitution: "reassigned by " + by.Name + ": " + reason}}, newID, now)
	return t, tasks[0], nil
}

// Left is a task that was taken from somebody who can no longer decide.
type Left struct {
	Task *Task
	Step *Step
}

// Leave takes the open tasks from those who can no longer decide. A step in
// which others still have to decide goes on with as many as it then can; one
// in which nobody is left is vacant, and has to be filled. None is approved by
// it.
func (a *Approval) Leave(canDecide func(userID string) bool, now time.Time) []Left {
	if a.State != Open {
		return nil
	}
	var left []Left
	for _, t := range a.Tasks {
		if t.State == TaskOpen && !canDecide(t.Reviewer.ID) {
			t.end(TaskDropped, Person{}, now)
			left = append(left, Left{Task: t, Step: a.step(t)})
		}
	}
	for _, l := range left {
		approved, open := a.count(l.Step)
		l.Step.Change = max(l.Step.Change, Changed)
		if open > 0 {
			l.Step.Need = min(l.Step.Need, approved+open)
		} else {
			l.Step.Vacant = true
		}
	}
	return left
}

// Hand says that a task which Leave took went on to others.
func (l Left) Hand() { l.Task.State = TaskReassigned }

// OpenTasks returns the open tasks of a step.
func (a *Approval) OpenTasks(s *Step) []*Task {
	var out []*Task
	for _, t := range a.Tasks {
		if t.of(s) && t.State == TaskOpen {
			out = append(out, t)
		}
	}
	return out
}

// give adds tasks to an open step.
func (a *Approval) give(s *Step, reviewers []Reviewer, newID func() string, now time.Time) []*Task {
	var given []*Task
	for _, r := range reviewers {
		if r.ID == "" || a.concerns(r.ID) || a.hasLive(s, r.ID) {
			continue
		}
		t := &Task{
			ID: newID(), ItemID: s.ItemID, Position: s.Position, Reviewer: r.Person, State: TaskOpen,
			Substitution: r.Substitution, CreateTime: now, Change: Added,
		}
		a.Tasks = append(a.Tasks, t)
		given = append(given, t)
	}
	if _, open := a.count(s); s.Vacant != (open == 0) {
		s.Vacant, s.Change = open == 0, max(s.Change, Changed)
	}
	return given
}

func (a *Approval) hasLive(s *Step, userID string) bool {
	return slices.ContainsFunc(a.Tasks, func(t *Task) bool {
		return t.of(s) && t.Reviewer.ID == userID && t.live()
	})
}

// settle grants the approval once every step is approved.
func (a *Approval) settle(now time.Time) {
	for _, s := range a.Steps {
		if s.State != StepApproved {
			return
		}
	}
	a.end(Granted, now)
}

// drop ends all that is not at an end.
func (a *Approval) drop(by Person, now time.Time) {
	for _, t := range a.Tasks {
		if t.State == TaskOpen {
			t.end(TaskDropped, by, now)
		}
	}
	for _, s := range a.Steps {
		if s.State == StepWaiting || s.State == StepOpen {
			s.end(StepDropped, now)
		}
	}
}

func (a *Approval) end(state State, now time.Time) {
	a.State, a.EndTime, a.Change = state, now, max(a.Change, Changed)
}

func (s *Step) end(state StepState, now time.Time) {
	s.State, s.Vacant, s.EndTime, s.Change = state, false, now, max(s.Change, Changed)
}

func (t *Task) end(state TaskState, by Person, now time.Time) {
	t.State, t.EndedBy, t.EndTime, t.Change = state, by, now, max(t.Change, Changed)
}

// count returns how many approved in a step and how many may still decide.
func (a *Approval) count(s *Step) (approved, open int) {
	for _, t := range a.Tasks {
		switch {
		case !t.of(s):
		case t.State == TaskApproved:
			approved++
		case t.State == TaskOpen:
			open++
		}
	}
	return approved, open
}

func (a *Approval) concerns(userID string) bool {
	return userID != "" && (userID == a.Requester.ID || userID == a.Beneficiary.ID)
}

func (a *Approval) task(id string) *Task {
	i := slices.IndexFunc(a.Tasks, func(t *Task) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return a.Tasks[i]
}

// step returns the step of a task.
func (a *Approval) step(t *Task) *Step {
	i := slices.IndexFunc(a.Steps, func(s *Step) bool { return t.of(s) })
	if i < 0 {
		return nil
	}
	return a.Steps[i]
}

func (t *Task) of(s *Step) bool { return t.ItemID == s.ItemID && t.Position == s.Position }

// live reports whether the task is a say in its step, past or to come.
func (t *Task) live() bool {
	return t.State == TaskOpen || t.State == TaskApproved || t.State == TaskDenied
}
