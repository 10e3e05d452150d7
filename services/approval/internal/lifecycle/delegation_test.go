package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse.dev/services/approval/internal/lifecycle"
)

// maintain does what follows when people or delegations change.
func (w *world) maintain(t *rapid.T) {
	w.HandOver(w.people, w.newID, w.now)
	w.RemoveReviewers(func(t *lifecycle.Task) bool { return w.Eligible(t, w.people) }, w.now)
	for _, s := range w.Vacancies() {
		if _, err := w.Fill(s, w.resolve(s), w.newID, w.now); err != nil {
			t.Fatal(err)
		}
	}
}

// B-APR-04, B-APR-05, B-APR-12: whoever is absent, delegates, comes, goes, decides or does
// not: nobody decides for themselves, or for whom it concerns; nothing passes without as
// many different people as it needs; and nothing waits with nobody asked while there is an
// admin who may decide it.
func TestDelegationsAndEscalations(t *testing.T) {
	t.Parallel()
	var ids []string
	for id := range people().Users {
		ids = append(ids, id)
	}
	for _, u := range people().Admins {
		ids = append(ids, u.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	rapid.Check(t, func(t *rapid.T) {
		anyone := rapid.SampledFrom(ids)
		p := people()
		p.Absences = make(map[string]lifecycle.Absence)
		p.WorkingTime = func(_ string, at time.Time, d time.Duration) time.Time { return at.Add(d) }
		for _, u := range p.Admins {
			p.Users[u.ID] = u
		}
		a := request()
		a.Requester = p.Users[anyone.Draw(t, "requester")].Person
		a.Beneficiary = p.Users[anyone.Draw(t, "beneficiary")].Person
		a.AccountableIDs = rapid.SliceOfN(anyone, 0, 1).Draw(t, "accountable")
		a.Items = append(a.Items, item("i2", "crm", "other"))
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
		w := begin(a, p, flow("a", func(f *lifecycle.Flow) {
			f.Steps, f.DistinctReviewers = rapid.SliceOfN(spec, 1, 3).Draw(t, "steps"), rapid.Bool().Draw(t, "distinct")
		}))
		change := func(t *rapid.T, who string, f func(*lifecycle.User)) {
			u := w.people.Users[who]
			f(&u)
			w.people.Users[who] = u
			for n := range w.people.Admins {
				if w.people.Admins[n].ID == who {
					w.people.Admins[n] = u
				}
			}
			w.maintain(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"decide": func(t *rapid.T) {
				if len(w.Tasks) == 0 {
					t.Skip("no tasks")
				}
				w.now = w.now.Add(time.Second)
				// Twice the same: the second changes nothing.
				task := rapid.SampledFrom(w.Tasks).Draw(t, "task")
				approve := rapid.IntRange(0, 5).Draw(t, "approve") > 0
				for range rapid.IntRange(1, 2).Draw(t, "times") {
					was := task.State
					if w.MayDecide(task.ID, task.Reviewer.ID, w.people) != nil {
						continue
					}
					if _, err := w.Decide(task.ID, task.Reviewer, approve, "c", w.now); (err == nil) != (was == lifecycle.TaskOpen) {
						t.Fatalf("decide %+v: %v", task, err)
					}
				}
				w.open()
			},
			"delegate": func(t *rapid.T) {
				from, to := anyone.Draw(t, "from"), anyone.Draw(t, "to")
				if from == to {
					delete(w.people.Absences, from)
				} else { // circles too: what refuses them may not have seen one
					w.people.Absences[from] = lifecycle.Absence{DelegateID: to, Until: w.now.Add(time.Hour)}
				}
				w.maintain(t)
			},
			"escalate": func(t *rapid.T) {
				w.now = w.now.Add(time.Hour)
				for _, s := range w.Steps {
					if s.State == lifecycle.StepOpen && !s.Vacant && !s.Escalated {
						needed, asked := s.Needed, len(w.OpenTasks(s))
						added, reason := w.Escalate(s, w.people, w.newID, w.now)
						if s.Needed != needed || len(w.OpenTasks(s)) != asked+len(added) || reason == "" {
							t.Fatalf("escalated %+v to %d: %s", s, len(added), reason)
						}
						w.Schedule(s, added, w.people, w.now)
					}
				}
				w.Remind(w.now)
			},
			"go": func(t *rapid.T) {
				w.now = w.now.Add(time.Second)
				change(t, anyone.Draw(t, "who"), func(u *lifecycle.User) { u.CanDecide = false })
			},
			"come": func(t *rapid.T) {
				change(t, anyone.Draw(t, "who"), func(u *lifecycle.User) { u.CanDecide = true })
			},
			"": func(t *rapid.T) {
				check(t, w)
				for _, task := range w.Tasks {
					if task.OnBehalfOf.ID != "" && (w.IsParty(task.OnBehalfOf.ID) || task.OnBehalfOf.ID == task.Reviewer.ID) {
						t.Fatalf("decided on behalf of whom it concerns: %+v", task)
					}
				}
				// before are those who have approved an earlier step, where nobody decides two.
				before := func(s *lifecycle.Step, who string) bool {
					return s.Spec.Distinct && slices.ContainsFunc(w.Tasks, func(o *lifecycle.Task) bool {
						return o.ItemID == s.ItemID && o.Position < s.Position && o.Reviewer.ID == who && o.State == lifecycle.TaskApproved
					})
				}
				for _, task := range w.Tasks {
					if before(w.StepOf(task), task.Reviewer.ID) {
						t.Fatalf("asked in a second step: %+v", task)
					}
				}
				for _, s := range w.Vacancies() {
					for _, u := range w.people.Admins {
						if w.CanDecide(u) && !w.IsParty(u.ID) && !w.ApprovedBy(s)[u.ID] && !before(s, u.ID) {
							t.Fatalf("nobody is asked in %+v, and %s is there: %+v", s, u.ID, w.people.Absences)
						}
					}
				}
			},
		})
	})
}

// B-APR-02, B-APR-05: where a flow wants different people, who has approved one step gets a
// later one neither from whoever is absent nor because it was not decided in time.
func TestDistinctByDelegationAndEscalation(t *testing.T) {
	t.Parallel()
	p := people()
	p.Absences = make(map[string]lifecycle.Absence)
	w := begin(request(), p, flow("a", func(f *lifecycle.Flow) {
		f.DistinctReviewers, f.Steps = true, []lifecycle.StepSpec{
			{Name: "Manager", Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny},
			{Name: "Pia", Reviewers: lifecycle.NamedUsers, UserIDs: []string{"pia"}, Need: lifecycle.NeedAny},
		}
	}))
	if _, err := w.decide("mia", true); err != nil {
		t.Fatal(err)
	}
	w.people.Absences["pia"] = lifecycle.Absence{DelegateID: "mia", Until: w.now.Add(time.Hour)}
	for _, h := range w.HandOver(w.people, w.newID, w.now) {
		t.Errorf("handed over to who has decided before: %+v", h.To)
	}
	pia := w.people.Users["pia"]
	pia.ManagerID = "mia"
	w.people.Users["pia"] = pia
	s := w.StepOf(w.of("pia"))
	added, _ := w.Escalate(s, w.people, w.newID, w.now)
	if len(added) == 0 {
		t.Error("nobody further is asked")
	}
	for _, task := range added {
		if task.Reviewer.ID == "mia" {
			t.Errorf("escalated to who has decided before: %+v", task)
		}
	}
}

// Delegations that come back to who made them at some moment are found, and no others.
func TestCycle(t *testing.T) {
	t.Parallel()
	at := func(day int) time.Time { return noon.AddDate(0, 0, day) }
	person := func(id string) lifecycle.Person { return lifecycle.Person{ID: id, Name: id} }
	d := func(from, to string, begin, end int) lifecycle.Delegation {
		return lifecycle.Delegation{Delegator: person(from), Delegate: person(to), From: at(begin), Until: at(end)}
	}
	for name, tt := range map[string]struct {
		new    lifecycle.Delegation
		others []lifecycle.Delegation
		want   string
	}{
		"alone":              {d("a", "b", 0, 9), nil, "[]"},
		"back":               {d("a", "b", 0, 9), []lifecycle.Delegation{d("b", "a", 8, 12)}, "[a b a]"},
		"back, but later":    {d("a", "b", 0, 9), []lifecycle.Delegation{d("b", "a", 9, 12)}, "[]"},
		"through another":    {d("a", "b", 0, 9), []lifecycle.Delegation{d("c", "a", 3, 5), d("b", "c", 4, 6)}, "[a b c a]"},
		"never all at once":  {d("a", "b", 0, 9), []lifecycle.Delegation{d("c", "a", 6, 8), d("b", "c", 1, 3)}, "[]"},
		"a circle of others": {d("a", "b", 0, 9), []lifecycle.Delegation{d("b", "c", 0, 9), d("c", "b", 0, 9)}, "[]"},
	} {
		var got []string
		for _, p := range tt.new.Cycle(tt.others) {
			got = append(got, p.ID)
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, want %s", name, got, tt.want)
		}
	}
}

// B-APR-02, B-APR-05: who decides for somebody has their voice: where different people are
// to decide, whoever was absent in one step is not asked in the next.
func TestDistinctIsOneVoice(t *testing.T) {
	t.Parallel()
	p := people()
	p.Absences = map[string]lifecycle.Absence{"pia": {DelegateID: "max", Until: noon.Add(time.Hour)}}
	step := lifecycle.StepSpec{Name: "Pia", Reviewers: lifecycle.NamedUsers, UserIDs: []string{"pia"}, Need: lifecycle.NeedAny}
	w := begin(request(), p, flow("a", func(f *lifecycle.Flow) { f.DistinctReviewers, f.Steps = true, []lifecycle.StepSpec{step, step} }))
	w.people.Absences = nil // she is back
	if _, err := w.decide("max", true); err != nil {
		t.Fatal(err)
	}
	for _, task := range w.Tasks {
		if task.Position == 2 && task.Reviewer.ID != "ada" {
			t.Errorf("asked in the second step: %s", task.Reviewer.ID)
		}
	}
}

// B-APR-05: a delegate who has become external since is passed over.
func TestDelegateBecameExternal(t *testing.T) {
	t.Parallel()
	for external, want := range map[bool]string{false: "max", true: "pia"} {
		p := people()
		p.Absences = map[string]lifecycle.Absence{"pia": {DelegateID: "max", Until: noon.Add(time.Hour)}}
		u := p.Users["max"]
		u.IsExternal = external
		p.Users["max"] = u
		w := begin(request(), p, flow("a", func(f *lifecycle.Flow) {
			f.Steps = []lifecycle.StepSpec{{Name: "Pia", Reviewers: lifecycle.NamedUsers, UserIDs: []string{"pia"}, Need: lifecycle.NeedAny}}
		}))
		if got := w.Tasks[0].Reviewer.ID; got != want {
			t.Errorf("external %t: asked %s, want %s", external, got, want)
		}
	}
}
