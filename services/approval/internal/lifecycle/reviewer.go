package lifecycle

import (
	"cmp"
	"slices"
	"strings"
)

// Reviewers is how the reviewers of a step are found.
type Reviewers string

// The ways.
const (
	Manager      Reviewers = "manager"
	AppOwner     Reviewers = "app_owner"
	AppApprovers Reviewers = "app_approvers"
	AppAdmins    Reviewers = "app_admins"
	NamedUsers   Reviewers = "users"
	NamedGroups  Reviewers = "groups"
)

// Need is how many reviewers of a step must approve.
type Need string

// The needs.
const (
	NeedAny   Need = "any"
	NeedAll   Need = "all"
	NeedCount Need = "count"
)

// Person is somebody, as shown beside something else.
type Person struct {
	ID    string
	Name  string
	Email string
}

// User is a person as reviewers are chosen from.
type User struct {
	Person
	ManagerID string
	// CanDecide is false for who is not active, and for risk managers, who
	// see all and change nothing.
	CanDecide bool
}

// App is an app's people.
type App struct {
	ID          string
	OwnerID     string
	AdminIDs    []string
	ApproverIDs []string
}

// People is what reviewers are chosen from. It may hold more than is needed,
// and less: who is not in it is not chosen.
type People struct {
	Users   map[string]User
	Apps    map[string]App
	Members map[string][]string // by group
	// Admins are the organization's admins and IT admins, who come last in
	// every line.
	Admins []User
}

// Reviewer is who is to decide, and why they, if they are not who the step
// names.
type Reviewer struct {
	Person
	Substitution string
}

// Resolution is who decides a step. No reviewers means that nobody can.
type Resolution struct {
	Reviewers []Reviewer
	// Need is how many of them must approve, at least 1.
	Need int
	// Short says that there are fewer than the step wants, at the end of the
	// line of those who are known.
	Short bool
}

// Resolve finds the reviewers of a step for an item: who the step names,
// without those who cannot decide, and without those concerned. Where nobody
// is left it is the next in line: the manager's manager and so on, for a
// manager; then the app's admins; then the organization's. decided are people
// who have had their say in the step and get no second one.
//
// Where a step counts reviewers, the next in line fill up the places of those
// concerned, so that four eyes stay four.
func Resolve(spec StepSpec, ask Ask, it Item, p People, decided map[string]bool) Resolution {
	r := resolver{ask: ask, people: p, decided: decided, taken: make(map[string]bool)}
	var named int // who the step means, concerned or not
	if spec.Reviewers == Manager {
		named = 1
		r.chain(it)
	} else {
		ids, what := r.named(spec, it)
		named = r.tier(ids, what)
	}

	want := 1
	switch spec.Need {
	case NeedAll:
		want = max(1, len(r.out))
		if len(r.out) == 0 {
			want = max(1, named)
		}
	case NeedCount:
		want = max(1, spec.NeedCount)
		if named > 0 {
			want = min(want, named)
		}
	}
	if len(r.out) < want && spec.Reviewers != AppAdmins {
		r.next("the app's admins")
		r.tier(p.Apps[it.AppID].AdminIDs, "the app has no admins")
	}
	if len(r.out) < want {
		r.next("Gatehouse's admins")
		ids := make([]string, 0, len(p.Admins))
		for _, u := range p.Admins {
			ids = append(ids, u.ID)
		}
		r.tier(ids, "there are no admins")
	}
	return Resolution{Reviewers: r.out, Need: max(1, min(want, len(r.out))), Short: len(r.out) < want}
}

type resolver struct {
	ask     Ask
	people  People
	decided map[string]bool
	taken   map[string]bool
	why     []string
	out     []Reviewer
}

// named returns the ids that a step names, and what to say if there are none.
func (r *resolver) named(spec StepSpec, it Item) (ids []string, none string) {
	app := r.people.Apps[it.AppID]
	switch spec.Reviewers {
	case AppOwner:
		if app.OwnerID != "" {
			ids = []string{app.OwnerID}
		}
		return ids, "the app has no owner"
	case AppApprovers:
		return app.ApproverIDs, "the app has no approvers"
	case AppAdmins:
		return app.AdminIDs, "the app has no admins"
	case NamedUsers:
		return spec.UserIDs, "the step names nobody"
	case NamedGroups:
		for _, g := range spec.GroupIDs {
			ids = append(ids, r.people.Members[g]...)
		}
		return ids, "the step's groups are empty"
	}
	return nil, "the step names nobody"
}

// tier takes all who may decide among ids, in order of name, and returns how
// many could if they were not concerned.
func (r *resolver) tier(ids []string, none string) (could int) {
	users := make([]User, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !seen[id] && !r.taken[id] {
			seen[id] = true
			users = append(users, r.user(id))
		}
	}
	slices.SortFunc(users, func(a, b User) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	substitution := strings.Join(r.why, "; ")
	for _, u := range users {
		why := r.unfit(u)
		if why == "" {
			r.taken[u.ID] = true
			r.out = append(r.out, Reviewer{Person: u.Person, Substitution: substitution})
		} else if len(r.why) < maxReasons {
			r.why = append(r.why, why)
		}
		if u.CanDecide && !r.decided[u.ID] {
			could++
		}
	}
	if len(users) == 0 && len(r.out) == 0 {
		r.why = append(r.why, none)
	}
	return could
}

// maxReasons bounds a substitution's text.
const maxReasons = 8

// chain goes up from the beneficiary's manager to the first who may decide.
func (r *resolver) chain(Item) {
	at := r.user(r.ask.Beneficiary.ID)
	seen := map[string]bool{at.ID: true}
	for {
		id := at.ManagerID
		switch {
		case id == "":
			r.why = append(r.why, r.name(at.Person)+" has no manager")
			return
		case seen[id]:
			r.why = append(r.why, r.name(at.Person)+" reports in a circle")
			return
		}
		seen[id] = true
		at = r.user(id)
		why := r.unfit(at)
		if why == "" {
			r.taken[at.ID] = true
			r.out = append(r.out, Reviewer{Person: at.Person, Substitution: strings.Join(r.why, "; ")})
			return
		}
		if len(r.why) < maxReasons {
			r.why = append(r.why, why)
			if at.ManagerID != "" && !seen[at.ManagerID] {
				r.next(r.name(at.Person) + "'s manager")
			}
		}
	}
}

func (r *resolver) next(who string) { r.why = append(r.why, "next in line: "+who) }

// unfit says why somebody cannot decide; empty if they can.
func (r *resolver) unfit(u User) string {
	name := r.name(u.Person)
	switch {
	case u.ID == r.ask.Beneficiary.ID:
		return name + " is the beneficiary"
	case r.ask.Concerns(u.ID):
		return name + " is the requester"
	case r.decided[u.ID]:
		return name + " has decided already"
	case !u.CanDecide:
		return name + " cannot decide at present"
	}
	return ""
}

func (r *resolver) user(id string) User {
	if u, ok := r.people.Users[id]; ok {
		return u
	}
	for _, u := range r.people.Admins {
		if u.ID == id {
			return u
		}
	}
	// Not known here: counts as somebody who cannot decide.
	switch id {
	case r.ask.Beneficiary.ID:
		return User{Person: r.ask.Beneficiary}
	case r.ask.Requester.ID:
		return User{Person: r.ask.Requester}
	}
	return User{Person: Person{ID: id}}
}

func (r *resolver) name(p Person) string {
	if p.Name == "" {
		return "somebody unknown"
	}
	return p.Name
}
