package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse.dev/libs/flow"
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
	StepPending   StepState = "pending"
	StepOpen      StepState = "open"
	StepApproved  StepState = "approved"
	StepDenied    StepState = "denied"
	StepCancelled StepState = "cancelled"
)

// TaskState is where a task stands.
type TaskState string

// The states of a task.
const (
	TaskOpen       TaskState = "open"
	TaskApproved   TaskState = "approved"
	TaskDenied     TaskState = "denied"
	TaskCancelled  TaskState = "cancelled"
	TaskReassigned TaskState = "reassigned"
)

// Approval is the aggregate: what one request needs to be approved, and how far
// that is. Its methods keep the rules of the package comment.
type Approval struct {
	RequestID string
	// EnvironmentID is the environment that the request belongs to; empty if it
	// is the organization's own.
	EnvironmentID string
	Parties
	State State
	// FlowID and FlowVersion are those of the first item's flow.
	FlowID      string
	FlowVersion int32
	// Automatic says that there are items about which nobody was asked: their flows have
	// approved them by themselves, or somebody has assigned them.
	Automatic  bool
	CreateTime time.Time
	EndTime    time.Time // zero while open
	// Held says that nobody is asked until the beneficiary is active again.
	Held bool
	// Expired says that it, or an item of it, was cancelled because its request's end had
	// passed, or the time to decide it.
	Expired bool
	// AskedTime is when somebody last had the reviewers reminded; zero if nobody has.
	AskedTime time.Time
	Steps     []*Step // by item, then position
	Tasks     []*Task // in the order they were created
	// Refusal is why a new approval was cancelled or denied at once. Refused are the items
	// of a new one that are cancelled, and Given those that nobody is asked about. That is
	// said, and not stored.
	Refusal string
	Refused []Refused
	Given   []Given
	// ToOthers are the items of a join-flow's request that it is refused because other flows
	// give them to others only. That is not stored here either.
	ToOthers []Item
}

// Refused is an item that the flows do not give, and why.
type Refused struct{ ItemID, Why string }

// Given is an item that its flow has approved by itself.
type Given struct {
	ItemID, FlowID string
	FlowVersion    int32
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
	// Needed is how many must approve; 0 while pending.
	Needed int
	// Vacant says that the step is open and nobody has an open task in it.
	Vacant bool
	// WhyVacant is why nobody was found just now; it is said, and not stored.
	WhyVacant string
	OpenTime  time.Time
	EndTime   time.Time
	// EscalateTime is when more people are asked; zero if that has been, or somebody is
	// still to be asked at all. Escalated says that it has been.
	EscalateTime time.Time
	Escalated    bool
	// DecideWithin is how long the item may wait, and DecideBy until when; zero without
	// limit.
	DecideWithin time.Duration
	DecideBy     time.Time
}

// Task is one reviewer's decision in one step.
type Task struct {
	ID           string
	ItemID       string
	Position     int
	Reviewer     Person
	State        TaskState
	Substitution string
	// Given says that somebody gave the task to the reviewer.
	Given      bool
	Comment    string
	CreateTime time.Time
	EndTime    time.Time
	// EndedBy is who ended the task; no ID for Gatehouse itself.
	EndedBy Person
	// RemindTime is when the reviewer is reminded; zero if that has been. RemindedTime is
	// when they were last.
	RemindTime   time.Time
	RemindedTime time.Time
	// Escalated says that the reviewer was asked because others had not decided in time.
	Escalated bool
	// OnBehalfOf is who is absent and has delegated it to the reviewer; no ID for nobody.
	OnBehalfOf Person
	// Despite says that the reviewer is absent, and was asked because nobody else is there.
	Despite bool
	// Unsaved says that the task is new or has changed since it was loaded.
	Unsaved bool
}

// Errors of the methods of Approval.
var (
	// ErrUnknownTask says that there is no such task for this person.
	ErrUnknownTask = errors.New("unknown task")
	// ErrIsParty says that somebody would decide whom the request concerns.
	ErrIsParty = errors.New("whom a request concerns does not decide it")
	// ErrHasTask says that the person has a task in the step already.
	ErrHasTask = errors.New("has a task in this step already")
	// ErrNotConcerned says that the person does not see what the task is about.
	ErrNotConcerned = errors.New("does not see the request")
	// ErrCannotDecide says that the person may not decide here.
	ErrCannotDecide = errors.New("cannot decide")
	// ErrNotEligible says that the person was asked to decide, and would not be now.
	ErrNotEligible = errors.New("no longer among those who decide")
	// ErrExpired says that the end has passed that was asked for, or the time to decide.
	ErrExpired = errors.New("the end that was asked for has passed")
	// ErrAbsent says that the person has delegated what they decide.
	ErrAbsent = errors.New("has delegated what they decide")
	// ErrNobodyToRemind says that nobody has an open task.
	ErrNobodyToRemind = errors.New("nobody has an open task")
)

// TooSoonError says that the reviewers were reminded a short while ago.
type TooSoonError struct{ Next time.Time }

// Error says from when on they may be reminded again.
func (e *TooSoonError) Error() string {
	return fmt.Sprintf("reviewers may be reminded again at %s", e.Next)
}

// EndedError says that a task is no longer open.
type EndedError struct{ Task Task }

// Error says how the task ended.
func (e *EndedError) Error() string { return fmt.Sprintf("task %s is %s", e.Task.ID, e.Task.State) }

// New makes the approval of a request: for each item the steps of the flow that
// decides it. Items whose flows approve by themselves are in Given; of the others the
// steps that Ready returns must be opened. What the flows do not give at all, or is over
// the limits of the one that decides, is cancelled, and holds up none of the others. What
// was assigned is in Given, in the
// name of who assigned it; it is denied if they may not, and where another request would
// be cancelled.
func New(request Request, flows []Flow, now time.Time) *Approval {
	a := &Approval{
		RequestID: request.RequestID, EnvironmentID: request.EnvironmentID,
		Parties: request.Parties, State: Open, CreateTime: now,
	}
	for i, it := range request.Items {
		f := SelectFlow(flows, request, it)
		if why := request.refuse(flows, it); why != "" {
			a.Refused = append(a.Refused, Refused{it.ID, why})
			if request.JoinFlow != nil && why == toOthersOnly {
				a.ToOthers = append(a.ToOthers, it)
			}
			continue
		}
		if request.Assigner != nil { // nobody is asked, and no flow decides
			a.Automatic, a.Given = true, append(a.Given, Given{ItemID: it.ID})
			continue
		}
		if len(f.Steps) == 0 && !f.AutoApprove {
			f = Default() // only auto_approve passes without a step
		}
		if i == 0 {
			a.FlowID, a.FlowVersion = f.ID, f.Version
		}
		if len(f.Steps) == 0 {
			a.Automatic, a.Given = true, append(a.Given, Given{ItemID: it.ID, FlowID: f.ID, FlowVersion: f.Version})
		}
		for n, spec := range f.Steps {
			spec.Distinct = f.DistinctReviewers
			s := &Step{
				ItemID: it.ID, AppID: it.AppID, Position: n + 1, FlowID: f.ID, FlowVersion: f.Version,
				Spec: spec, State: StepPending, DecideWithin: f.DecideWithin,
			}
			if f.DecideWithin > 0 {
				s.DecideBy = request.submitted(now).Add(f.DecideWithin)
			}
			a.Steps = append(a.Steps, s)
		}
	}
	if n := len(a.Refused); n > 0 && (n == len(request.Items) || request.Assigner != nil) {
		a.Refusal = a.Refused[n-1].Why // nothing is left of it; what is assigned is so as a whole
	}
	if request.Assigner != nil {
		if why := request.refuseAssignment(); why != "" {
			a.Refusal = why
		}
	}
	if request.Passed(now) {
		a.Refusal, a.Expired, a.ToOthers = "its end has passed", true, nil
	}
	if len(request.Items) == 0 {
		// There is nothing that anybody could approve.
		a.Refusal = "the request asks for nothing"
	}
	if a.Refusal != "" {
		a.Automatic, a.Refused, a.Given, a.Steps = false, nil, nil, nil
		if request.Assigner != nil && !a.Expired {
			a.end(Denied, now)
		} else {
			a.end(Cancelled, now)
		}
		return a
	}
	a.endIfDecided(now)
	return a
}

// NewCancelled is the approval of a request that was cancelled before it was
// submitted here.
func NewCancelled(requestID, environmentID string, now time.Time) *Approval {
	return &Approval{RequestID: requestID, EnvironmentID: environmentID, State: Cancelled, CreateTime: now, EndTime: now}
}

// Ready returns the steps that must be opened now: of each item the first that
// is not approved, if it is pending.
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
		if s.State == StepPending {
			ready = append(ready, s)
		}
	}
	return ready
}

// Open opens a step that is ready, with a task for each reviewer. Requester and
// beneficiary get none, whatever the resolution says.
func (a *Approval) Open(s *Step, r Resolution, newID func() string, now time.Time) ([]*Task, error) {
	if !slices.Contains(a.Ready(), s) {
		return nil, fmt.Errorf("open step %d of item %s: it is not ready", s.Position, s.ItemID)
	}
	s.State, s.OpenTime, s.WhyVacant = StepOpen, now, r.Reason
	tasks := a.addTasks(s, r.Reviewers, newID, now)
	s.Needed = max(1, min(r.Needed, len(tasks)))
	return tasks, nil
}

// Vacancies returns the open steps in which nobody has an open task.
func (a *Approval) Vacancies() []*Step {
	var out []*Step
	for _, s := range a.Steps {
		if s.State == StepOpen && s.Vacant {
			out = append(out, s)
		}
	}
	return out
}

// Fill adds the reviewers that a vacant step did not have before. Approvals in
// the step still count; at least one more is needed.
func (a *Approval) Fill(s *Step, r Resolution, newID func() string, now time.Time) ([]*Task, error) {
	if a.State != Open || s.State != StepOpen || !s.Vacant {
		return nil, fmt.Errorf("fill step %d of item %s: it is not vacant", s.Position, s.ItemID)
	}
	s.WhyVacant = r.Reason
	tasks := a.addTasks(s, r.Reviewers, newID, now)
	if len(tasks) == 0 {
		return nil, nil
	}
	approved, _ := a.count(s)
	if approved == 0 {
		s.Needed = max(1, min(r.Needed, len(tasks)))
	} else {
		s.Needed = approved + max(1, min(s.Needed-approved, len(tasks)))
	}
	return tasks, nil
}

// Resolve finds the reviewers of a step of the approval, see [Resolve].
func (a *Approval) Resolve(s *Step, p People) Resolution {
	request := Request{Parties: a.Parties, EnvironmentID: a.EnvironmentID}
	it := Item{ID: s.ItemID, Item: flow.Item{AppID: s.AppID}}
	return Resolve(s.Spec, request, it, p, a.ApprovedBy(s), a.decidedBefore(s))
}

// Planned is how many approvals each step of an item needs, from the first. Of a step that
// is not open yet it is what it asks for at least: who its reviewers are is looked up when
// it opens.
func (a *Approval) Planned(itemID string) []int {
	var out []int
	for _, s := range a.Steps {
		switch {
		case s.ItemID != itemID:
		case s.Needed > 0:
			out = append(out, s.Needed)
		case s.Spec.Need == NeedCount:
			out = append(out, max(1, s.Spec.NeedCount))
		default:
			out = append(out, 1)
		}
	}
	return out
}

// ApprovedBy returns the ids of those who have approved a step, and for whom it was
// approved. They are not asked again in it.
func (a *Approval) ApprovedBy(s *Step) map[string]bool {
	return a.approvers(func(t *Task) bool { return t.of(s) })
}

// decidedBefore are those who have approved an earlier step of the item, and for whom it was
// approved, if they are not to decide in two: who decides for somebody has their voice.
func (a *Approval) decidedBefore(s *Step) map[string]bool {
	if !s.Spec.Distinct {
		return nil
	}
	return a.approvers(func(t *Task) bool { return t.ItemID == s.ItemID && t.Position < s.Position })
}

func (a *Approval) approvers(of func(*Task) bool) map[string]bool {
	out := make(map[string]bool)
	for _, t := range a.Tasks {
		if t.State == TaskApproved && of(t) {
			out[t.Reviewer.ID], out[t.PrincipalID()] = true, true
		}
	}
	return out
}

// Outcome is the effect of a decision.
type Outcome struct {
	Task *Task
	Step *Step
	// StepApproved says that the decision completed the step, and ItemApproved that with
	// it the item is approved. Whether it completed the approval is in State; the steps to
	// open are in Ready.
	StepApproved, ItemApproved bool
}

// Decide applies a reviewer's decision of a task. A denial ends the item; the others go
// on.
func (a *Approval) Decide(taskID string, by Person, approve bool, comment string, now time.Time) (Outcome, error) {
	t := a.Task(taskID)
	if t == nil || t.Reviewer.ID != by.ID {
		return Outcome{}, ErrUnknownTask
	}
	if a.IsParty(by.ID) {
		return Outcome{}, ErrIsParty
	}
	if t.State != TaskOpen || a.State != Open {
		return Outcome{}, &EndedError{Task: *t}
	}
	s := a.StepOf(t)
	out := Outcome{Task: t, Step: s}
	t.Comment = comment
	if !approve {
		t.end(TaskDenied, by, now)
		s.end(StepDenied, now)
		a.cancelOpen(s.ItemID, by, now)
		a.endIfDecided(now)
		return out, nil
	}
	t.end(TaskApproved, by, now)
	if approved, _ := a.count(s); approved >= s.Needed {
		out.StepApproved = true
		s.end(StepApproved, now)
		for _, other := range a.Tasks {
			if other.of(s) && other.State == TaskOpen {
				other.end(TaskCancelled, by, now)
			}
		}
		out.ItemApproved = a.approved(s.ItemID)
		a.endIfDecided(now)
	}
	return out, nil
}

// Cancel ends what is not decided because the request is cancelled, or of it the items
// named, and returns those items. What is approved or denied by then stays so. It reports
// whether the approval was open.
func (a *Approval) Cancel(by Person, now time.Time, named ...string) (items []string, open bool) {
	if a.State != Open {
		return nil, false
	}
	if len(named) == 0 {
		named = []string{""}
	}
	for _, id := range named {
		items = append(items, a.cancelOpen(id, by, now)...)
	}
	a.endIfDecided(now)
	return items, true
}

// OpenFlows are the flows that decide what is not decided yet.
func (a *Approval) OpenFlows() []string {
	var out []string
	if a.State != Open {
		return nil
	}
	for _, s := range a.Steps {
		if (s.State == StepPending || s.State == StepOpen) && s.FlowID != "" && !slices.Contains(out, s.FlowID) {
			out = append(out, s.FlowID)
		}
	}
	return out
}

// OpenItems are the items that a flow decides and that are not decided yet.
func (a *Approval) OpenItems(flowID string) []string {
	var out []string
	if a.State != Open {
		return nil
	}
	for _, s := range a.Steps {
		if (s.State == StepPending || s.State == StepOpen) && s.FlowID == flowID && !slices.Contains(out, s.ItemID) {
			out = append(out, s.ItemID)
		}
	}
	return out
}

// Reassignment says which task somebody gives to whom.
type Reassignment struct {
	TaskID string
	By     Person
	// AnyTask says that By may do so with everybody's tasks; else it must be their
	// own.
	AnyTask bool
	To      User
	Reason  string
	// People are the managers of the beneficiary, the people of the task's app, and
	// the members of the groups that its step names.
	People People
}

// Reassign moves an open task to somebody else who sees what it is about anyway.
func (a *Approval) Reassign(r Reassignment, newID func() string, now time.Time) (from, added *Task, err error) {
	by, to := r.By, r.To
	t := a.Task(r.TaskID)
	if t == nil || t.Reviewer.ID != by.ID && !r.AnyTask {
		return nil, nil, ErrUnknownTask
	}
	if a.IsParty(by.ID) || a.IsParty(to.ID) {
		return nil, nil, ErrIsParty
	}
	if t.State != TaskOpen || a.State != Open {
		return nil, nil, &EndedError{Task: *t}
	}
	if !a.CanDecide(to) {
		return nil, nil, ErrCannotDecide
	}
	if _, absent := r.People.Absences[to.ID]; absent {
		return nil, nil, ErrAbsent
	}
	s := a.StepOf(t)
	if a.hasTask(s, to.ID) || a.decidedBefore(s)[to.ID] {
		return nil, nil, ErrHasTask
	}
	if !a.concerns(s, to, r.People) {
		return nil, nil, ErrNotConcerned
	}
	t.end(TaskReassigned, by, now)
	t.Comment = r.Reason
	tasks := a.addTasks(s, []Reviewer{{Person: to.Person, Substitution: "reassigned by " + by.Name + ": " + r.Reason}}, newID, now)
	tasks[0].Given = true
	return t, tasks[0], nil
}

// concerns reports whether somebody sees the item of a step, or would if they were
// asked by its rules: who administers Gatehouse, has a place in the app, was asked
// about the app, is named by the step, or stands above the beneficiary. A request
// is shown to nobody else by giving them a task.
func (a *Approval) concerns(s *Step, u User, p People) bool {
	if a.stands(s, u, p) {
		return true
	}
	for _, t := range a.Tasks {
		if t.Reviewer.ID == u.ID && a.StepOf(t).AppID == s.AppID {
			return true
		}
	}
	return false
}

// stands reports whether somebody sees the item of a step by what they are: who
// administers Gatehouse, has a place in the app, is named by the step, or is above
// the beneficiary.
func (a *Approval) stands(s *Step, u User, p People) bool {
	app := p.Apps[s.AppID]
	return u.Administers || u.ID == app.OwnerID || slices.Contains(app.AdminIDs, u.ID) || slices.Contains(app.ApproverIDs, u.ID) ||
		slices.Contains(s.Spec.UserIDs, u.ID) || s.names(u, p) || a.manages(u, p)
}

// names reports whether somebody is in a group that the step names.
func (s *Step) names(u User, p People) bool {
	return slices.ContainsFunc(s.Spec.GroupIDs, func(g string) bool { return slices.Contains(p.Members[g], u.ID) })
}

// manages reports whether somebody is above the beneficiary.
func (a *Approval) manages(u User, p People) bool { return p.above(u, a.Beneficiary.ID) }

// above reports whether somebody is above a user.
func (p *People) above(u User, userID string) bool {
	seen := map[string]bool{"": true} // the managers may be a circle
	for at := p.Users[userID].ManagerID; !seen[at]; at = p.Users[at].ManagerID {
		if at == u.ID {
			return true
		}
		seen[at] = true
	}
	return false
}

// Eligible reports whether the reviewer of a task would be asked as things are now:
// they can decide here, and the step names them, or they are one of those who stand
// in. Somebody to whom the task was given must still see what it is about. For who is
// absent that is to hold of them, and their delegate decides. p has the reviewer and who
// is absent with their groups, the beneficiary's managers, and the step's app.
func (a *Approval) Eligible(t *Task, p People) bool {
	if !a.asked(t, p) || !a.CanDecide(p.Users[t.Reviewer.ID]) {
		return false
	}
	to, _, reason := a.with(t, p)
	if reason != "" {
		return t.Despite
	}
	return to.ID == t.Reviewer.ID
}

// asked reports whether whose decision a task is would be asked as things are now, whoever
// decides for them.
func (a *Approval) asked(t *Task, p People) bool {
	u, known := p.Users[t.principal().ID]
	s := a.StepOf(t)
	switch {
	case !known || s == nil || !a.CanDecide(u):
		return false
	case t.Given:
		return a.stands(s, u, p)
	case t.Escalated && a.aboveReviewers(s, u, p):
		return true
	}
	app := p.Apps[s.AppID]
	if u.Administers || slices.Contains(app.AdminIDs, u.ID) {
		return true
	}
	switch s.Spec.Reviewers {
	case Manager:
		return a.manages(u, p)
	case ManagersManager:
		return a.manages(u, p) && u.ID != p.Users[a.Beneficiary.ID].ManagerID
	case AppOwner:
		return u.ID == app.OwnerID
	case AppApprovers:
		return slices.Contains(app.ApproverIDs, u.ID)
	case NamedUsers:
		return slices.Contains(s.Spec.UserIDs, u.ID)
	case NamedGroups:
		return s.names(u, p)
	}
	return false
}

// MayDecide says whether the reviewer of a task may decide it, apart from what Decide
// says: ErrUnknownTask, or ErrNotEligible if the task is open and they are not
// [Approval.Eligible].
func (a *Approval) MayDecide(taskID, by string, p People) error {
	t := a.Task(taskID)
	switch {
	case t == nil || t.Reviewer.ID != by:
		return ErrUnknownTask
	case t.State == TaskOpen && a.State == Open && !a.Eligible(t, p):
		return ErrNotEligible
	}
	return nil
}

// Hold ends all open tasks until Resume: nobody is asked about somebody who is not
// active.
func (a *Approval) Hold(now time.Time) []RemovedTask {
	a.Held = true
	return a.RemoveReviewers(func(*Task) bool { return false }, now)
}

// Resume has the steps filled again that are vacant since Hold.
func (a *Approval) Resume() { a.Held = false }

// CanDecide reports whether a user may decide in this approval, if they are not
// a party to it: they are active, and hold their role where the approval is.
func (a *Approval) CanDecide(u User) bool { return u.canDecideIn(a.EnvironmentID) }

// RemovedTask is an open task that ended because its reviewer can no longer
// decide.
type RemovedTask struct {
	Task *Task
	Step *Step
}

// RemoveReviewers ends the open tasks of those who can no longer decide. A step
// in which others still have open tasks then needs as many approvals as it can
// get; one without open tasks is vacant and must be filled. No step is approved
// by this.
func (a *Approval) RemoveReviewers(stays func(*Task) bool, now time.Time) []RemovedTask {
	if a.State != Open {
		return nil
	}
	var removed []RemovedTask
	for _, t := range a.Tasks {
		if t.State == TaskOpen && !stays(t) {
			t.end(TaskCancelled, Person{}, now)
			removed = append(removed, RemovedTask{Task: t, Step: a.StepOf(t)})
		}
	}
	for _, r := range removed {
		approved, open := a.count(r.Step)
		if open > 0 {
			r.Step.Needed = min(r.Step.Needed, approved+open)
		} else {
			r.Step.Vacant = true
		}
	}
	return removed
}

// MarkReassigned says that others were asked instead.
func (r RemovedTask) MarkReassigned() { r.Task.State = TaskReassigned }

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

// TasksOf returns all tasks of a step.
func (a *Approval) TasksOf(s *Step) []*Task {
	return slices.DeleteFunc(slices.Clone(a.Tasks), func(t *Task) bool { return !t.of(s) })
}

// StepOf returns the step of a task.
func (a *Approval) StepOf(t *Task) *Step {
	i := slices.IndexFunc(a.Steps, func(s *Step) bool { return t.of(s) })
	if i < 0 {
		return nil
	}
	return a.Steps[i]
}

// StepOfTask is the step of the task with an id; nil if there is none.
func (a *Approval) StepOfTask(taskID string) *Step {
	t := a.Task(taskID)
	if t == nil {
		return nil
	}
	return a.StepOf(t)
}

// addTasks adds tasks to an open step.
func (a *Approval) addTasks(s *Step, reviewers []Reviewer, newID func() string, now time.Time) []*Task {
	var added []*Task
	before := a.decidedBefore(s)
	for _, r := range reviewers {
		if r.ID == "" || a.IsParty(r.ID) || a.hasTask(s, r.ID) || before[r.ID] {
			continue
		}
		t := &Task{
			ID: newID(), ItemID: s.ItemID, Position: s.Position, Reviewer: r.Person, State: TaskOpen,
			Substitution: r.Substitution, OnBehalfOf: r.OnBehalfOf, Despite: r.Despite, CreateTime: now, Unsaved: true,
		}
		a.Tasks = append(a.Tasks, t)
		added = append(added, t)
	}
	_, open := a.count(s)
	s.Vacant = open == 0
	return added
}

// hasTask reports whether a user has decided in a step or is still to.
func (a *Approval) hasTask(s *Step, userID string) bool {
	return slices.ContainsFunc(a.Tasks, func(t *Task) bool {
		return t.of(s) && t.Reviewer.ID == userID &&
			(t.State == TaskOpen || t.State == TaskApproved || t.State == TaskDenied)
	})
}

// endIfDecided ends the approval once every item is decided: it is granted if any item
// is, else denied if any is.
func (a *Approval) endIfDecided(now time.Time) {
	state := Cancelled
	if a.Automatic {
		state = Granted
	}
	for _, s := range a.Steps {
		switch {
		case s.State == StepPending || s.State == StepOpen:
			return
		case state == Granted:
		case a.approved(s.ItemID):
			state = Granted
		case s.State == StepDenied:
			state = Denied
		}
	}
	a.end(state, now)
}

// Gave reports whether what an item asked for was approved, by somebody or by its flow. Of
// an item that had no steps in an approval that has approved others it says that it was.
func (a *Approval) Gave(itemID string) bool {
	if slices.ContainsFunc(a.Steps, func(s *Step) bool { return s.ItemID == itemID }) {
		return a.approved(itemID)
	}
	return a.Automatic
}

// approved reports whether every step of an item is approved.
func (a *Approval) approved(itemID string) bool {
	for _, s := range a.Steps {
		if s.ItemID == itemID && s.State != StepApproved {
			return false
		}
	}
	return true
}

// cancelOpen ends the tasks and steps of an item that have not ended, or of all if it is
// empty, and returns the items.
func (a *Approval) cancelOpen(itemID string, by Person, now time.Time) (items []string) {
	for _, t := range a.Tasks {
		if t.State == TaskOpen && (itemID == "" || t.ItemID == itemID) {
			t.end(TaskCancelled, by, now)
		}
	}
	for _, s := range a.Steps {
		if (s.State == StepPending || s.State == StepOpen) && (itemID == "" || s.ItemID == itemID) {
			s.end(StepCancelled, now)
			if !slices.Contains(items, s.ItemID) {
				items = append(items, s.ItemID)
			}
		}
	}
	return items
}

func (a *Approval) end(state State, now time.Time) { a.State, a.EndTime = state, now }

func (s *Step) end(state StepState, now time.Time) { s.State, s.Vacant, s.EndTime = state, false, now }

func (t *Task) end(state TaskState, by Person, now time.Time) {
	t.State, t.EndedBy, t.EndTime, t.Unsaved = state, by, now, true
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

// Task returns the task with an id; nil if there is none.
func (a *Approval) Task(id string) *Task {
	i := slices.IndexFunc(a.Tasks, func(t *Task) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return a.Tasks[i]
}

func (t *Task) of(s *Step) bool { return t.ItemID == s.ItemID && t.Position == s.Position }
