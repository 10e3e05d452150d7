package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"gatehouse.dev/services/approval/internal/lifecycle"
)

// people: ben reports to mia, mia to max, max to nobody.
func people() lifecycle.People {
	p := lifecycle.People{
		Users:   make(map[string]lifecycle.User),
		Apps:    map[string]lifecycle.App{"crm": {ID: "crm", OwnerID: "olga", AdminIDs: []string{"ada"}, ApproverIDs: []string{"pia", "per"}}},
		Members: map[string][]string{"board": {"max", "ada"}},
		Admins:  []lifecycle.User{person("zoe", "Zoe", "")},
	}
	for _, u := range []lifecycle.User{
		person("ann", "Ann", "mia"), person("ben", "Ben", "mia"), person("mia", "Mia", "max"), person("max", "Max", ""),
		person("olga", "Olga", ""), person("ada", "Ada", ""), person("pia", "Pia", ""), person("per", "Per", ""),
	} {
		p.Users[u.ID] = u
	}
	return p
}

func person(id, name, manager string) lifecycle.User {
	return lifecycle.User{Person: lifecycle.Person{ID: id, Name: name}, ManagerID: manager, CanDecide: true}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	off := func(p *lifecycle.People, ids ...string) {
		for _, id := range ids {
			u := p.Users[id]
			u.CanDecide = false
			p.Users[id] = u
		}
	}
	for _, tc := range []struct {
		name         string
		spec         lifecycle.StepSpec
		request      func(*lifecycle.Request)
		people       func(*lifecycle.People)
		decided      map[string]bool
		want         []string
		substitution string // of the last
		need         int
	}{
		// B-APR-02: each way to find reviewers, each need.
		{name: "manager", spec: lifecycle.StepSpec{Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny}, want: []string{"mia"}, need: 1},
		{name: "owner", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppOwner, Need: lifecycle.NeedAny}, want: []string{"olga"}, need: 1},
		{name: "approvers, any", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny}, want: []string{"per", "pia"}, need: 1},
		{name: "approvers, all", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAll}, want: []string{"per", "pia"}, need: 2},
		{name: "admins", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppAdmins, Need: lifecycle.NeedAny}, want: []string{"ada"}, need: 1},
		{
			name: "users, two of three", want: []string{"ada", "max", "pia"}, need: 2,
			spec: lifecycle.StepSpec{Reviewers: lifecycle.NamedUsers, UserIDs: []string{"pia", "max", "ada"}, Need: lifecycle.NeedCount, NeedCount: 2},
		},
		{
			name: "users, more than there are: all", want: []string{"max", "pia"}, need: 2,
			spec: lifecycle.StepSpec{Reviewers: lifecycle.NamedUsers, UserIDs: []string{"pia", "max"}, Need: lifecycle.NeedCount, NeedCount: 9},
		},
		{name: "the manager's manager", spec: lifecycle.StepSpec{Reviewers: lifecycle.ManagersManager, Need: lifecycle.NeedAny}, want: []string{"max"}, need: 1},
		{
			name: "the manager's manager asks", spec: lifecycle.StepSpec{Reviewers: lifecycle.ManagersManager, Need: lifecycle.NeedAny},
			request: func(a *lifecycle.Request) { a.Requester = lifecycle.Person{ID: "max", Name: "Max"} },
			want:    []string{"ada"}, substitution: "Max is the requester; Max has no manager; next in line: the app's admins", need: 1,
		},
		{
			name: "nobody has a manager", spec: lifecycle.StepSpec{Reviewers: lifecycle.ManagersManager, Need: lifecycle.NeedAny},
			people: func(p *lifecycle.People) { p.Users["ben"] = person("ben", "Ben", "") },
			want:   []string{"ada"}, substitution: "Ben has no manager; next in line: the app's admins", need: 1,
		},
		{name: "group", spec: lifecycle.StepSpec{Reviewers: lifecycle.NamedGroups, GroupIDs: []string{"board"}, Need: lifecycle.NeedAll}, want: []string{"ada", "max"}, need: 2},

		// B-APR-04: nobody approves for themselves, and the history says so.
		{
			name: "manager asks for their report", spec: lifecycle.StepSpec{Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny},
			request: func(a *lifecycle.Request) { a.Requester = lifecycle.Person{ID: "mia", Name: "Mia"} },
			want:    []string{"max"}, substitution: "Mia is the requester; next in line: Mia's manager", need: 1,
		},
		{
			name: "the beneficiary owns the app", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppOwner, Need: lifecycle.NeedAny},
			people: func(p *lifecycle.People) {
				p.Apps["crm"] = lifecycle.App{ID: "crm", OwnerID: "ben", AdminIDs: []string{"ada"}}
			},
			want: []string{"ada"}, substitution: "Ben is the beneficiary; next in line: the app's admins", need: 1,
		},
		{
			name: "one of two approvers asks", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAll},
			request: func(a *lifecycle.Request) { a.Requester = lifecycle.Person{ID: "pia", Name: "Pia"} },
			want:    []string{"per"}, need: 1,
		},
		{
			name: "one of two who must both: somebody fills their place", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedCount, NeedCount: 2},
			request: func(a *lifecycle.Request) { a.Requester = lifecycle.Person{ID: "pia", Name: "Pia"} },
			want:    []string{"per", "ada"}, substitution: "Pia is the requester; next in line: the app's admins", need: 2,
		},
		{
			name: "the top manager asks for themselves", spec: lifecycle.StepSpec{Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny},
			request: func(a *lifecycle.Request) {
				a.Requester = lifecycle.Person{ID: "max", Name: "Max"}
				a.Beneficiary = a.Requester
			},
			want: []string{"ada"}, substitution: "Max has no manager; next in line: the app's admins", need: 1,
		},
		{
			name: "managers in a circle", spec: lifecycle.StepSpec{Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny},
			people: func(p *lifecycle.People) {
				p.Users["mia"] = person("mia", "Mia", "ben")
				off(p, "mia")
			},
			want: []string{"ada"}, substitution: "Mia cannot decide at present; Mia reports in a circle; next in line: the app's admins", need: 1,
		},
		{
			name: "manager away", spec: lifecycle.StepSpec{Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny},
			people: func(p *lifecycle.People) { off(p, "mia") },
			want:   []string{"max"}, substitution: "Mia cannot decide at present; next in line: Mia's manager", need: 1,
		},

		// B-APR-12: with no approvers set, the app's admins decide.
		{
			name: "no approvers", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAll},
			people: func(p *lifecycle.People) {
				p.Apps["crm"] = lifecycle.App{ID: "crm", AdminIDs: []string{"ada", "olga"}}
			},
			want: []string{"ada", "olga"}, substitution: "the app has no approvers; next in line: the app's admins", need: 1,
		},
		{
			name: "nobody at the app", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny},
			people: func(p *lifecycle.People) { p.Apps["crm"] = lifecycle.App{ID: "crm"} },
			want:   []string{"zoe"}, need: 1,
			substitution: "the app has no approvers; next in line: the app's admins; the app has no admins; next in line: Gatehouse's admins",
		},
		{
			name: "nobody at all", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny},
			people: func(p *lifecycle.People) { p.Apps, p.Admins = nil, nil },
			need:   1,
		},
		{
			name: "who has decided gets no second say", spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAll},
			decided: map[string]bool{"per": true, "pia": true},
			want:    []string{"ada"}, need: 1,
			substitution: "Per has decided already; Pia has decided already; next in line: the app's admins",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a, p := request(), people()
			if tc.request != nil {
				tc.request(&a)
			}
			if tc.people != nil {
				tc.people(&p)
			}
			got := lifecycle.Resolve(tc.spec, a, a.Items[0], p, tc.decided, nil)
			var ids []string
			for _, r := range got.Reviewers {
				ids = append(ids, r.ID)
			}
			if !slices.Equal(ids, tc.want) || got.Needed != tc.need {
				t.Fatalf("reviewers %q, need %d, want %q, %d: %+v", ids, got.Needed, tc.want, tc.need, got)
			}
			if len(got.Reviewers) > 0 {
				if s := got.Reviewers[len(got.Reviewers)-1].Substitution; s != tc.substitution {
					t.Fatalf("substitution %q, want %q", s, tc.substitution)
				}
			}
		})
	}
}

// B-USR-12, in part: who decides in an environment, and who comes before whom.
func TestResolveInEnvironment(t *testing.T) {
	t.Parallel()
	p := people()
	in := func(id, environment string) {
		u := person(id, id, "max")
		u.EnvironmentID = environment
		p.Users[id] = u
	}
	in("mia", "b") // ben's manager has a role in another environment
	in("per", "b")
	in("pia", "a")
	local := person("eva", "Eva", "")
	local.EnvironmentID = "a"
	foreign := person("bob", "Bob", "")
	foreign.EnvironmentID = "b"
	p.Admins = append(p.Admins, local, foreign)
	for _, tc := range []struct {
		name, environment string
		spec              lifecycle.StepSpec
		app               lifecycle.App
		want              []string
		substitution      string
	}{
		{
			name: "the app's approvers", environment: "a", want: []string{"pia"}, app: p.Apps["crm"],
			spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny},
		},
		{
			name: "up to a manager of the organization", environment: "a", want: []string{"max"}, app: p.Apps["crm"],
			spec:         lifecycle.StepSpec{Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny},
			substitution: "somebody of another environment cannot decide here; next in line: somebody of another environment's manager",
		},
		{
			name: "admins of the environment first", environment: "a", want: []string{"eva"}, app: lifecycle.App{ID: "crm"},
			spec:         lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny},
			substitution: "the app has no approvers; next in line: the app's admins; the app has no admins; next in line: the environment's admins",
		},
		{
			name: "then those of the organization", environment: "c", want: []string{"zoe"}, app: lifecycle.App{ID: "crm"},
			spec: lifecycle.StepSpec{Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny},
			substitution: "the app has no approvers; next in line: the app's admins; the app has no admins; next in line: the environment's admins; " +
				"the environment has no admins; next in line: Gatehouse's admins",
		},
		{
			name: "nobody of an environment decides for the organization", want: []string{"zoe"}, app: lifecycle.App{ID: "crm", AdminIDs: []string{"per", "pia"}},
			spec:         lifecycle.StepSpec{Reviewers: lifecycle.AppAdmins, Need: lifecycle.NeedAny},
			substitution: "per cannot decide here; pia cannot decide here; next in line: Gatehouse's admins",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := request()
			r.EnvironmentID = tc.environment
			q := p
			q.Apps = map[string]lifecycle.App{"crm": tc.app}
			got := lifecycle.Resolve(tc.spec, r, r.Items[0], q, nil, nil)
			var ids []string
			for _, reviewer := range got.Reviewers {
				ids = append(ids, reviewer.ID)
			}
			if !slices.Equal(ids, tc.want) || got.Reviewers[0].Substitution != tc.substitution {
				t.Fatalf("reviewers %q: %+v", ids, got.Reviewers)
			}
		})
	}
}

// Whatever the people are, no requester or beneficiary, nobody who cannot decide and
// nobody twice is among the reviewers, and there is nobody only if there is
// nobody.
func TestResolveNeverTheConcerned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const n = 8
		id := rapid.Map(rapid.IntRange(0, n-1), func(i int) string { return fmt.Sprintf("u%d", i) })
		ids := rapid.SliceOfN(id, 0, 4)
		environments := rapid.SampledFrom([]string{"", "", "a", "b"})
		p := lifecycle.People{Users: make(map[string]lifecycle.User), Members: map[string][]string{"g": ids.Draw(t, "group")}}
		for i := range n {
			u := person(fmt.Sprintf("u%d", i), fmt.Sprintf("U%d", i), "")
			u.CanDecide = rapid.Bool().Draw(t, "can decide")
			u.EnvironmentID = environments.Draw(t, "environment")
			if rapid.Bool().Draw(t, "has manager") {
				u.ManagerID = id.Draw(t, "manager")
			}
			p.Users[u.ID] = u
		}
		p.Apps = map[string]lifecycle.App{"crm": {
			ID: "crm", OwnerID: rapid.OneOf(id, rapid.Just("")).Draw(t, "owner"),
			AdminIDs: ids.Draw(t, "app admins"), ApproverIDs: ids.Draw(t, "approvers"),
		}}
		for _, id := range ids.Draw(t, "admins") {
			p.Admins = append(p.Admins, p.Users[id])
		}
		a := request()
		a.Beneficiary = p.Users[id.Draw(t, "beneficiary")].Person
		a.Requester = p.Users[id.Draw(t, "requester")].Person
		a.EnvironmentID = environments.Draw(t, "request's environment")
		spec := lifecycle.StepSpec{
			Reviewers: rapid.SampledFrom([]lifecycle.Reviewers{
				lifecycle.Manager, lifecycle.AppOwner, lifecycle.AppApprovers, lifecycle.AppAdmins, lifecycle.NamedUsers, lifecycle.NamedGroups,
			}).Draw(t, "kind"),
			UserIDs: ids.Draw(t, "users"), GroupIDs: []string{"g"},
			Need:      rapid.SampledFrom([]lifecycle.Need{lifecycle.NeedAny, lifecycle.NeedAll, lifecycle.NeedCount}).Draw(t, "need"),
			NeedCount: rapid.IntRange(1, 5).Draw(t, "count"),
		}
		got := lifecycle.Resolve(spec, a, a.Items[0], p, nil, nil)
		seen := make(map[string]bool)
		for _, r := range got.Reviewers {
			if r.ID == a.Beneficiary.ID || r.ID == a.Requester.ID {
				t.Fatalf("%s is concerned", r.ID)
			}
			if !p.Users[r.ID].CanDecide {
				t.Fatalf("%s cannot decide", r.ID)
			}
			if e := p.Users[r.ID].EnvironmentID; e != "" && e != a.EnvironmentID {
				t.Fatalf("%s of environment %q decides in %q", r.ID, e, a.EnvironmentID)
			}
			if seen[r.ID] {
				t.Fatalf("%s twice", r.ID)
			}
			seen[r.ID] = true
		}
		if got.Needed < 1 || len(got.Reviewers) > 0 && got.Needed > len(got.Reviewers) {
			t.Fatalf("need %d of %d", got.Needed, len(got.Reviewers))
		}
		if len(got.Reviewers) == 0 {
			for _, u := range p.Admins {
				if u.CanDecide && !a.IsParty(u.ID) && (u.EnvironmentID == "" || u.EnvironmentID == a.EnvironmentID) {
					t.Fatalf("nobody, though %s could", u.ID)
				}
			}
		}
	})
}
