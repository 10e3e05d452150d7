package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse.dev/services/approval/internal/lifecycle"
)

// counter makes ids.
func counter() func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("t%d", n) }
}

// world is an approval with the people around it.
type world struct {
	*lifecycle.Approval
	request lifecycle.Request
	people  lifecycle.People
	newID   func() string
	now     time.Time
}

func begin(request lifecycle.Request, people lifecycle.People, flows ...lifecycle.Flow) *world {
	w := &world{request: request, people: people, newID: counter(), now: noon}
	w.Approval = lifecycle.New(request, flows, noon)
	w.open()
	return w
}

func (w *world) resolve(s *lifecycle.Step) lifecycle.Resolution { return w.Resolve(s, w.people) }

func (w *world) open() {
	for _, s := range w.Ready() {
		if _, err := w.Open(s, w.resolve(s), w.newID, w.now); err != nil {
			panic(err)
		}
	}
}

// of returns the task of a reviewer that is open, else their last one.
func (w *world) of(reviewer string) *lifecycle.Task {
	var last *lifecycle.Task
	for _, t := range w.Tasks {
		if t.Reviewer.ID != reviewer {
			continue
		}
		if last = t; t.State == lifecycle.TaskOpen {
			break
		}
	}
	return last
}

func (w *world) decide(reviewer string, approve bool) (lifecycle.Outcome, error) {
	t := w.of(reviewer)
	if t == nil {
		return lifecycle.Outcome{}, lifecycle.ErrUnknownTask
	}
	out, err := w.Decide(t.ID, w.people.Users[reviewer].Person, approve, "because", w.now)
	w.open()
	return out, err
}

func twoSteps(f *lifecycle.Flow) {
	f.Steps = []lifecycle.StepSpec{
		{Name: "Manager", Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny},
		{Name: "Approvers", Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny},
	}
}

// B-APR-02: in series, and nobody downstream is told before.
func TestStepsInSeries(t *testing.T) {
	t.Parallel()
	w := begin(request(), people(), flow("a", twoSteps))
	if w.of("pia") != nil || w.of("mia") == nil {
		t.Fatalf("tasks at first: %v", w.Tasks)
	}
	if out, err := w.decide("mia", true); err != nil || !out.StepApproved || w.State != lifecycle.Open {
		t.Fatalf("first step: %+v, %v, %s", out, err, w.State)
	}
	if w.of("pia") == nil || w.of("per") == nil {
		t.Fatal("the second step's reviewers have no tasks")
	}
	if out, err := w.decide("per", true); err != nil || !out.StepApproved || w.State != lifecycle.Granted {
		t.Fatalf("second step: %+v, %v, %s", out, err, w.State)
	}
	if got := w.of("pia"); got.State != lifecycle.TaskCancelled || got.EndedBy.ID != "per" {
		t.Fatalf("the other approver's task: %+v", got)
	}
	var ended *lifecycle.EndedError
	if _, err := w.decide("pia", true); !errors.As(err, &ended) {
		t.Fatalf("decide a dropped task: %v", err)
	}
}

// B-APR-06, B-REQ-19: one denial ends an item, and the others go on; with the last of
// them the request is granted if any is.
func TestOneDenialEnds(t *testing.T) {
	t.Parallel()
	a := request()
	a.Items = append(a.Items, item("i2", "crm", "crm-role"))
	w := begin(a, people(), flow("a", func(f *lifecycle.Flow) {
		f.Steps = []lifecycle.StepSpec{{Name: "All", Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAll}}
	}))
	if _, err := w.decide("pia", true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.decide("per", false); err != nil || w.State != lifecycle.Open {
		t.Fatalf("%v, %s", err, w.State)
	}
	denied := w.Steps[slices.IndexFunc(w.Steps, func(s *lifecycle.Step) bool { return s.State == lifecycle.StepDenied })].ItemID
	for _, task := range w.Tasks {
		if (task.State == lifecycle.TaskOpen) != (task.ItemID != denied) && task.State != lifecycle.TaskApproved {
			t.Errorf("after the denial of %s: %+v", denied, task)
		}
	}
	for _, who := range []string{"pia", "per"} {
		if out, err := w.decide(who, true); err != nil || out.ItemApproved != (who == "per") {
			t.Fatalf("the other item: %+v, %v", out, err)
		}
	}
	if w.State != lifecycle.Granted {
		t.Errorf("at the end %s", w.State)
	}
}

// B-APR-02: any, all, N.
func TestNeed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		need lifecycle.Need
		n    int
		want int // approvals until it is granted
	}{
		{"any", lifecycle.NeedAny, 0, 1},
		{"all", lifecycle.NeedAll, 0, 3},
		{"two", lifecycle.NeedCount, 2, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := begin(request(), people(), flow("a", func(f *lifecycle.Flow) {
				f.Steps = []lifecycle.StepSpec{{
					Name: "Three", Reviewers: lifecycle.NamedUsers, UserIDs: []string{"pia", "per", "olga"}, Need: tc.need, NeedCount: tc.n,
				}}
			}))
			for i, reviewer := range []string{"pia", "per", "olga"}[:tc.want] {
				if w.State != lifecycle.Open {
					t.Fatalf("%s after %d", w.State, i)
				}
				if _, err := w.decide(reviewer, true); err != nil {
					t.Fatal(err)
				}
			}
			if w.State != lifecycle.Granted {
				t.Fatalf("%s after %d approvals", w.State, tc.want)
			}
		})
	}
}

// B-APR-12: nobody to decide, and it waits for as long as that is so.
func TestVacantStepWaits(t *testing.T) {
	t.Parallel()
	p := people()
	p.Apps, p.Admins = nil, nil
	w := begin(request(), p)
	if w.State != lifecycle.Open || len(w.Vacancies()) != 1 || len(w.Tasks) != 0 {
		t.Fatalf("%s, %v", w.State, w.Tasks)
	}
	s := w.Vacancies()[0]
	if given, err := w.Fill(s, w.resolve(s), w.newID, w.now); err != nil || given != nil || !s.Vacant {
		t.Fatalf("filled with nobody: %v, %v", given, err)
	}
	w.people.Apps = people().Apps
	if given, err := w.Fill(s, w.resolve(s), w.newID, w.now); err != nil || len(given) != 2 || s.Vacant || s.Needed != 1 {
		t.Fatalf("filled: %v, %v, %+v", given, err, s)
	}
	if _, err := w.decide("per", true); err != nil || w.State != lifecycle.Granted {
		t.Fatalf("%v, %s", err, w.State)
	}
}

func TestRemoveReviewers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		need     lifecycle.Need
		approved []string
		leaves   []string
		left     int
		vacant   bool
		wantNeed int
	}{
		{name: "others still have to decide", need: lifecycle.NeedAny, leaves: []string{"pia"}, left: 1, wantNeed: 1},
		{name: "all of those who are left", need: lifecycle.NeedAll, leaves: []string{"pia"}, left: 1, wantNeed: 1},
		{name: "the last one: not approved by it", need: lifecycle.NeedAll, approved: []string{"per"}, leaves: []string{"pia"}, left: 1, vacant: true, wantNeed: 2},
		{name: "all at once", need: lifecycle.NeedAll, leaves: []string{"pia", "per"}, left: 2, vacant: true, wantNeed: 2},
		{name: "somebody else", need: lifecycle.NeedAny, leaves: []string{"zoe"}, wantNeed: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := begin(request(), people(), flow("a", func(f *lifecycle.Flow) {
				f.Steps = []lifecycle.StepSpec{{Name: "Approvers", Reviewers: lifecycle.AppApprovers, Need: tc.need}}
			}))
			for _, r := range tc.approved {
				if _, err := w.decide(r, true); err != nil {
					t.Fatal(err)
				}
			}
			gone := make(map[string]bool)
			for _, r := range tc.leaves {
				gone[r] = true
				u := w.people.Users[r]
				u.CanDecide = false
				w.people.Users[r] = u
			}
			left := w.RemoveReviewers(func(t *lifecycle.Task) bool { return !gone[t.Reviewer.ID] }, w.now)
			s := w.Steps[0]
			if len(left) != tc.left || s.Vacant != tc.vacant || s.Needed != tc.wantNeed || w.State != lifecycle.Open {
				t.Fatalf("left %d, vacant %t, need %d, %s", len(left), s.Vacant, s.Needed, w.State)
			}
			if !tc.vacant {
				return
			}
			given, err := w.Fill(s, w.resolve(s), w.newID, w.now)
			if err != nil || len(given) != 1 || given[0].Reviewer.ID != "ada" || s.Needed != len(tc.approved)+1 {
				t.Fatalf("filled with %v, need %d, %v", given, s.Needed, err)
			}
		})
	}
}

func TestReassign(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		by   string
		any  bool
		to   string
		want error
	}{
		{name: "own task", by: "mia", to: "max"},
		{name: "another's", by: "pia", to: "max", want: lifecycle.ErrUnknownTask},
		{name: "another's, as an admin", by: "zoe", any: true, to: "max"},
		{name: "to the requester", by: "mia", to: "ann", want: lifecycle.ErrIsParty},
		{name: "to the beneficiary", by: "mia", to: "ben", want: lifecycle.ErrIsParty},
		{name: "by the requester, an admin", by: "ann", any: true, to: "max", want: lifecycle.ErrIsParty},
		{name: "to themselves", by: "mia", to: "mia", want: lifecycle.ErrHasTask},
		{name: "to one who cannot", by: "mia", to: "nobody", want: lifecycle.ErrCannotDecide},
		{name: "to one who does not see it", by: "mia", to: "eve", want: lifecycle.ErrNotConcerned},
		{name: "to one who does not see it, as an admin", by: "zoe", any: true, to: "eve", want: lifecycle.ErrNotConcerned},
		{name: "to one whom the next step asks", by: "mia", to: "pia"},
		{name: "to the app's admin", by: "mia", to: "ada"},
		{name: "to an admin", by: "mia", to: "zoe"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := begin(request(), people(), flow("a", twoSteps))
			zoe := person("zoe", "Zoe", "")
			zoe.Administers = true
			w.people.Users["zoe"], w.people.Users["eve"] = zoe, person("eve", "Eve", "")
			by := lifecycle.Person{ID: tc.by, Name: tc.by}
			to := w.people.Users[tc.to]
			to.ID = tc.to
			from, given, err := w.Reassign(lifecycle.Reassignment{
				TaskID: w.of("mia").ID, By: by, AnyTask: tc.any, To: to, Reason: "knows more", People: w.people,
			}, w.newID, w.now)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil {
				return
			}
			if from.State != lifecycle.TaskReassigned || given.Reviewer.ID != tc.to || given.State != lifecycle.TaskOpen {
				t.Fatalf("from %+v, to %+v", from, given)
			}
			if _, err := w.Decide(given.ID, to.Person, true, "", noon); err != nil {
				t.Fatalf("decide after it: %v", err)
			}
		})
	}
}

// TestNoIllegalState runs any sequence of decisions, reassignments,
// cancellations, people going and coming, on any flow, and looks at the rules
// of the package comment after each.
func TestNoIllegalState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := []string{"ann", "ben", "mia", "max", "olga", "ada", "pia", "per"}
		anyone := rapid.SampledFrom(ids)
		p := people()
		a := request()
		a.Requester = p.Users[anyone.Draw(t, "requester")].Person
		a.Beneficiary = p.Users[anyone.Draw(t, "beneficiary")].Person
		for i := range rapid.IntRange(0, 2).Draw(t, "more items") {
			a.Items = append(a.Items, item(fmt.Sprintf("i%d", i+2), "crm", fmt.Sprint(i)))
		}
		spec := rapid.Custom(func(t *rapid.T) lifecycle.StepSpec {
			return lifecycle.StepSpec{
				Name: "s",
				Reviewers: rapid.SampledFrom([]lifecycle.Reviewers{
					lifecycle.Manager, lifecycle.AppOwner, lifecycle.AppApprovers, lifecycle.AppAdmins, lifecycle.NamedUsers, lifecycle.NamedGroups,
				}).Draw(t, "kind"),
				UserIDs: rapid.SliceOfN(anyone, 1, 4).Draw(t, "users"), GroupIDs: []string{"board"},
				Need:      rapid.SampledFrom([]lifecycle.Need{lifecycle.NeedAny, lifecycle.NeedAll, lifecycle.NeedCount}).Draw(t, "need"),
				NeedCount: rapid.IntRange(1, 4).Draw(t, "count"),
			}
		})
		w := begin(a, p, flow("a", func(f *lifecycle.Flow) { f.Steps = rapid.SliceOfN(spec, 1, 3).Draw(t, "steps") }))
		tick := func() { w.now = w.now.Add(time.Second) }
		fill := func() {
			for _, s := range w.Vacancies() {
				if _, err := w.Fill(s, w.resolve(s), w.newID, w.now); err != nil {
					t.Fatal(err)
				}
			}
		}
		ended := lifecycle.State("")
		t.Repeat(map[string]func(*rapid.T){
			"decide": func(t *rapid.T) {
				if len(w.Tasks) == 0 {
					t.Skip("no tasks")
				}
				tick()
				task := rapid.SampledFrom(w.Tasks).Draw(t, "task")
				by := rapid.OneOf(rapid.Just(task.Reviewer), rapid.Map(anyone, func(id string) lifecycle.Person { return p.Users[id].Person })).Draw(t, "by")
				approve := rapid.IntRange(0, 5).Draw(t, "approve") > 0
				open := task.State == lifecycle.TaskOpen
				_, err := w.Decide(task.ID, by, approve, "c", w.now)
				if (err == nil) != (open && by.ID == task.Reviewer.ID) {
					t.Fatalf("decide %+v by %s: %v", task, by.ID, err)
				}
				w.open()
			},
			"reassign": func(t *rapid.T) {
				if len(w.Tasks) == 0 {
					t.Skip("no tasks")
				}
				tick()
				task := rapid.SampledFrom(w.Tasks).Draw(t, "task")
				_, _, _ = w.Reassign(lifecycle.Reassignment{
					TaskID: task.ID, By: p.Users[anyone.Draw(t, "by")].Person, AnyTask: true, To: w.people.Users[anyone.Draw(t, "to")], Reason: "r", People: w.people,
				}, w.newID, w.now)
			},
			"go": func(t *rapid.T) {
				tick()
				u := w.people.Users[anyone.Draw(t, "who")]
				u.CanDecide = false
				w.people.Users[u.ID] = u
				w.RemoveReviewers(func(t *lifecycle.Task) bool { return t.Reviewer.ID == "zoe" || w.people.Users[t.Reviewer.ID].CanDecide }, w.now)
				fill()
			},
			"come": func(t *rapid.T) {
				tick()
				u := w.people.Users[anyone.Draw(t, "who")]
				u.CanDecide = true
				w.people.Users[u.ID] = u
				fill()
			},
			"admins": func(t *rapid.T) {
				w.people.Admins = nil
				if rapid.Bool().Draw(t, "there") {
					w.people.Admins = people().Admins
				}
				fill()
			},
			"cancel": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
					t.Skip("rarely")
				}
				was := w.State
				if _, open := w.Cancel(lifecycle.Person{}, w.now); open != (was == lifecycle.Open) {
					t.Fatalf("cancel of %s", was)
				}
			},
			"": func(t *rapid.T) {
				check(t, w)
				if ended != "" && w.State != ended {
					t.Fatalf("%s became %s", ended, w.State)
				}
				if w.State != lifecycle.Open {
					ended = w.State
				}
			},
		})
	})
}

// check fails for a state that must not be.
func check(t *rapid.T, w *world) {
	denials := make(map[string]int) // by item
	for _, task := range w.Tasks {
		if task.State == lifecycle.TaskDenied {
			denials[task.ItemID]++
		}
	}
	before := make(map[string]bool) // items with a step that is not approved yet
	for _, s := range w.Steps {
		says := make(map[string]bool)
		var approved, open, tasks int
		for _, task := range w.Tasks {
			if task.ItemID != s.ItemID || task.Position != s.Position {
				continue
			}
			tasks++
			if w.request.IsParty(task.Reviewer.ID) {
				t.Fatalf("%s reviews their own request", task.Reviewer.ID)
			}
			switch task.State {
			case lifecycle.TaskApproved, lifecycle.TaskDenied, lifecycle.TaskOpen:
				if says[task.Reviewer.ID] {
					t.Fatalf("%s has two says in %+v", task.Reviewer.ID, s)
				}
				says[task.Reviewer.ID] = true
			}
			switch task.State {
			case lifecycle.TaskApproved:
				approved++
			case lifecycle.TaskOpen:
				open++
			}
			if (task.State == lifecycle.TaskOpen) != task.EndTime.IsZero() {
				t.Fatalf("task %+v", task)
			}
		}
		switch s.State {
		case lifecycle.StepPending:
			if tasks > 0 {
				t.Fatalf("somebody was told of a step that waits: %+v", s)
			}
			if denials[s.ItemID] > 0 || w.State != lifecycle.Open {
				t.Fatalf("step waits in %s", w.State)
			}
		case lifecycle.StepOpen:
			if before[s.ItemID] || w.State != lifecycle.Open {
				t.Fatalf("open too early or too long: %+v in %s", s, w.State)
			}
			if s.Vacant != (open == 0) {
				t.Fatalf("vacant %t with %d open", s.Vacant, open)
			}
			if approved >= s.Needed || s.Needed < 1 {
				t.Fatalf("open with %d of %d approvals", approved, s.Needed)
			}
			if !s.Vacant && approved+open < s.Needed {
				t.Fatalf("%d approved and %d open can never be %d", approved, open, s.Needed)
			}
		case lifecycle.StepApproved:
			if before[s.ItemID] || approved < s.Needed || approved < 1 || open > 0 {
				t.Fatalf("approved with %d of %d approvals, %d open: %+v", approved, s.Needed, open, s)
			}
		default:
			if open > 0 {
				t.Fatalf("%d open tasks in a step that is %s", open, s.State)
			}
		}
		if s.State != lifecycle.StepApproved {
			before[s.ItemID] = true
		}
	}
	ends := make(map[lifecycle.State]int)
	for item, state := range itemStates(w) {
		if denials[item] > 1 || (denials[item] == 1) != (state == lifecycle.Denied) {
			t.Fatalf("item %s is %s with %d denials", item, state, denials[item])
		}
		ends[state]++
	}
	want := lifecycle.Cancelled
	switch {
	case ends[lifecycle.Open] > 0:
		want = lifecycle.Open
	case ends[lifecycle.Granted] > 0:
		want = lifecycle.Granted
	case ends[lifecycle.Denied] > 0:
		want = lifecycle.Denied
	}
	if w.State != want || w.State == lifecycle.Open && len(w.Ready()) > 0 {
		t.Fatalf("%s with items %v, %d steps to open", w.State, ends, len(w.Ready()))
	}
}

// itemStates says of each item how its steps stand.
func itemStates(w *world) map[string]lifecycle.State {
	items := make(map[string]lifecycle.State)
	for _, s := range w.Steps {
		switch was := items[s.ItemID]; {
		case s.State == lifecycle.StepDenied:
			items[s.ItemID] = lifecycle.Denied
		case s.State == lifecycle.StepPending || s.State == lifecycle.StepOpen:
			items[s.ItemID] = lifecycle.Open
		case s.State == lifecycle.StepCancelled && was != lifecycle.Denied:
			items[s.ItemID] = lifecycle.Cancelled
		case s.State == lifecycle.StepApproved && was == "":
			items[s.ItemID] = lifecycle.Granted
		}
	}
	return items
}

// B-APR-02: where a flow wants different people, who has approved one step is not asked
// in a later one, by no door; somebody else is.
func TestDistinctReviewers(t *testing.T) {
	t.Parallel()
	approvers := func(need lifecycle.Need, n int) lifecycle.StepSpec {
		return lifecycle.StepSpec{Name: "Approvers", Reviewers: lifecycle.AppApprovers, Need: need, NeedCount: n}
	}
	for _, tt := range []struct {
		name     string
		distinct bool
		second   lifecycle.StepSpec
		want     []string // who is asked in the second step, after pia has approved the first
	}{
		{"not distinct", false, approvers(lifecycle.NeedAny, 0), []string{"per", "pia"}},
		{"any", true, approvers(lifecycle.NeedAny, 0), []string{"per"}},
		{"all", true, approvers(lifecycle.NeedAll, 0), []string{"per"}},
		{"two, of whom one is replaced", true, approvers(lifecycle.NeedCount, 2), []string{"ada", "per"}},
		{"the only one", true, lifecycle.StepSpec{Name: "Pia", Reviewers: lifecycle.NamedUsers, UserIDs: []string{"pia"}, Need: lifecycle.NeedAny}, []string{"ada"}},
	} {
		w := begin(request(), people(), flow("a", func(f *lifecycle.Flow) {
			f.DistinctReviewers, f.Steps = tt.distinct, []lifecycle.StepSpec{approvers(lifecycle.NeedAny, 0), tt.second}
		}))
		if _, err := w.decide("pia", true); err != nil {
			t.Fatal(err)
		}
		var asked []string
		for _, task := range w.Tasks {
			if task.Position == 2 && task.State == lifecycle.TaskOpen {
				asked = append(asked, task.Reviewer.ID)
			}
		}
		slices.Sort(asked)
		if !slices.Equal(asked, tt.want) {
			t.Errorf("%s: asked %v, want %v", tt.name, asked, tt.want)
		}
		if !tt.distinct || len(asked) == 0 {
			continue
		}
		_, _, err := w.Reassign(lifecycle.Reassignment{
			TaskID: w.of(asked[0]).ID, By: w.people.Users[asked[0]].Person, To: w.people.Users["pia"], Reason: "she knows", People: w.people,
		}, w.newID, w.now)
		if !errors.Is(err, lifecycle.ErrHasTask) {
			t.Errorf("%s: given to who has decided before: %v", tt.name, err)
		}
	}
}

// B-REQ-09: what each step of an item needs is known before it opens, as far as its flow
// says it.
func TestPlanned(t *testing.T) {
	t.Parallel()
	a := &lifecycle.Approval{Steps: []*lifecycle.Step{
		{ItemID: "i1", Position: 1, Spec: lifecycle.StepSpec{Need: lifecycle.NeedAll}, Needed: 4},
		{ItemID: "i1", Position: 2, Spec: lifecycle.StepSpec{Need: lifecycle.NeedCount, NeedCount: 3}},
		{ItemID: "i1", Position: 3, Spec: lifecycle.StepSpec{Need: lifecycle.NeedAll}},
		{ItemID: "i2", Position: 1, Spec: lifecycle.StepSpec{Need: lifecycle.NeedAny}},
	}}
	if got := a.Planned("i1"); !slices.Equal(got, []int{4, 3, 1}) {
		t.Errorf("planned %v", got)
	}
	if got := a.Planned("i2"); !slices.Equal(got, []int{1}) {
		t.Errorf("planned %v", got)
	}
}
