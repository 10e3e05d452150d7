package lifecycle

import (
	"cmp"
	"slices"
	"strings"
	"time"
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
	// ManagersManager is the manager of the manager.
	ManagersManager Reviewers = "managers_manager"
)

// Need is how many reviewers of a step must approve.
type Need string

// The needs.
const (
	NeedAny   Need = "any"
	NeedAll   Need = "all"
	NeedCount Need = "count"
)

// Person is what is shown of a user beside something else.
type Person struct {
	ID    string
	Name  string
	Email string
}

// User is a person of whom reviewers are chosen.
type User struct {
	Person
	ManagerID string
	// EnvironmentID is the environment in which the user's role is held; empty
	// if it is held in the whole organization. Nobody decides outside of it.
	EnvironmentID string
	// Active is false for users who are suspended or have left.
	Active bool
	// CanDecide is false for users who are not active, for risk managers, who see
	// all and change nothing, and for services and agents: only people decide.
	CanDecide bool
	// IsPerson is false for services and agents.
	IsPerson bool
	// Administers is true for admins and IT admins.
	Administers bool
	// IsExternal is true for people from outside, by kind or role: nobody delegates to them.
	IsExternal bool
}

func (u User) canDecideIn(environmentID string) bool {
	return u.CanDecide && (u.EnvironmentID == "" || u.EnvironmentID == environmentID)
}

// App is an app's people.
type App struct {
	ID string
	// EnvironmentID is the environment that it belongs to; empty if it is the
	// organization's own.
	EnvironmentID string
	OwnerID       string
	AdminIDs      []string
	ApproverIDs   []string
	// OnlyByFlow closes it to requests for access that no flow covers.
	OnlyByFlow bool
}

// People are the ids of whom the app names.
func (a App) People() []string {
	people := slices.Concat(a.AdminIDs, a.ApproverIDs)
	if a.OwnerID != "" {
		people = append(people, a.OwnerID)
	}
	return people
}

// KnowsAll reports whether all users are known, whatever has become of them.
func (p *People) KnowsAll(users []string) bool {
	return !slices.ContainsFunc(users, func(id string) bool { _, known := p.Users[id]; return !known })
}

// People are those of whom reviewers are chosen. It may hold more than is
// needed, and less: whoever is missing is not chosen.
type People struct {
	Users   map[string]User
	Apps    map[string]App
	Members map[string][]string // by group
	// Admins are admins and IT admins, those of environments and those of the
	// organization, who come last.
	Admins []User
	// Absences are those of users who have delegated what they decide, at present.
	Absences map[string]Absence
	// Facts are what reviewers see of users, of those of whom it was read.
	Facts map[string]Facts
	// WorkingTime is the moment at which some working time has passed since another, in an
	// environment or the organization. Nil if it was not read: then nothing is due.
	WorkingTime func(environmentID string, since time.Time, d time.Duration) time.Time
}

// Reviewer is who is to decide, and why, if it is not whom the step names.
type Reviewer struct {
	Person
	Substitution string
	// OnBehalfOf is who is absent and has delegated to them; no ID for nobody.
	OnBehalfOf Person
	// Despite says that they are absent, and asked because nobody else is there.
	Despite bool
}

// Resolution is who decides a step. No reviewers means that nobody can.
type Resolution struct {
	Reviewers []Reviewer
	// Needed is how many of them must approve, at least 1.
	Needed int
	// TooFew says that there are fewer reviewers than the step wants, even with
	// all substitutes that are known.
	TooFew bool
	// Reason is why there is nobody, if there is.
	Reason string
}

// Resolve finds the reviewers of a step for an item: those whom the step names,
// without those who cannot decide where the request belongs and without
// requester and beneficiary. If nobody is left, substitutes are asked: for a
// manager the manager's manager and so on; then the app's admins; then the
// admins of the request's environment; then those of the organization.
// approvedBy are users who have approved the step already; they are not asked
// again. before are users who have approved an earlier step and are not to decide
// in two.
//
// If a step counts reviewers, substitutes replace the requester, the beneficiary and who
// has decided before in the count.
func Resolve(spec StepSpec, request Request, it Item, p People, approvedBy, before map[string]bool) Resolution {
	r := resolver{request: request, people: p, approvedBy: approvedBy, before: before, chosen: make(map[string]bool)}
	var named int // how many the step names who could decide if they were no party
	switch spec.Reviewers {
	case Manager, ManagersManager:
		named = 1
		r.addManager(spec.Reviewers == ManagersManager)
	default:
		ids, none := r.named(spec, it)
		named = r.add(ids, none)
	}

	wanted := 1
	switch spec.Need {
	case NeedAll:
		wanted = max(1, len(r.reviewers))
		if len(r.reviewers) == 0 {
			wanted = max(1, named)
		}
	case NeedCount:
		wanted = max(1, spec.NeedCount)
		if named > 0 {
			wanted = min(wanted, named)
		}
	}
	if len(r.reviewers) < wanted && spec.Reviewers != AppAdmins {
		r.substitute("the app's admins")
		r.add(p.Apps[it.AppID].AdminIDs, "the app has no admins")
	}
	if len(r.reviewers) < wanted && request.EnvironmentID != "" {
		r.substitute("the environment's admins")
		r.add(r.adminsOf(request.EnvironmentID), "the environment has no admins")
	}
	if len(r.reviewers) < wanted {
		r.substitute("Gatehouse's admins")
		r.add(r.adminsOf(""), "there are no admins")
	}
	if len(r.reviewers) == 0 && len(p.Absences) > 0 {
		r.despite(it)
	}
	out := Resolution{Reviewers: r.reviewers, Needed: max(1, min(wanted, len(r.reviewers))), TooFew: len(r.reviewers) < wanted}
	if len(r.reviewers) == 0 {
		out.Reason = strings.Join(r.reasons, "; ")
	}
	return out
}

type resolver struct {
	request    Request
	people     People
	approvedBy map[string]bool
	before     map[string]bool
	chosen     map[string]bool
	reasons    []string // why those before the next reviewers do not decide
	reviewers  []Reviewer
}

// named returns the ids that a step names, and the reason to give if there are
// none.
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

// adminsOf are the ids of the admins of an environment, or with an empty id
// those of the organization.
func (r *resolver) adminsOf(environmentID string) []string {
	var ids []string
	for _, u := range r.people.Admins {
		if u.EnvironmentID == environmentID {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// add adds all who may decide among ids, in order of name, and returns how many
// could if they were no party.
func (r *resolver) add(ids []string, none string) (could int) {
	users := make([]User, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !seen[id] && !r.chosen[id] {
			seen[id] = true
			users = append(users, r.user(id))
		}
	}
	slices.SortFunc(users, func(a, b User) int { return compareNames(a.Person, b.Person) })
	substitution := strings.Join(r.reasons, "; ")
	var absent []User // who is there comes first: no delegate takes a place of their own
	for _, u := range users {
		reason := r.ineligible(u)
		if _, away := r.people.Absences[u.ID]; reason == "" && away {
			absent = append(absent, u)
		} else if reason == "" {
			r.choose(u, substitution)
		} else if len(r.reasons) < maxReasons {
			r.reasons = append(r.reasons, reason)
		}
		if u.canDecideIn(r.request.EnvironmentID) && !r.approvedBy[u.ID] {
			could++
		}
	}
	for _, u := range absent {
		r.choose(u, substitution)
	}
	if len(users) == 0 && len(r.reviewers) == 0 {
		r.reasons = append(r.reasons, none)
	}
	return could
}

func compareNames(a, b Person) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

// maxReasons bounds a substitution's text.
const maxReasons = 8

// addManager adds the first who may decide, going up from the beneficiary's
// manager, or from that one's.
func (r *resolver) addManager(above bool) {
	at := r.user(r.request.Beneficiary.ID)
	seen := map[string]bool{at.ID: true}
	if above && at.ManagerID != "" && at.ManagerID != at.ID {
		at = r.user(at.ManagerID)
		seen[at.ID] = true
	}
	for {
		id := at.ManagerID
		switch {
		case id == "":
			r.reasons = append(r.reasons, r.name(at)+" has no manager")
			return
		case seen[id]:
			r.reasons = append(r.reasons, r.name(at)+" reports in a circle")
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
			if at.ManagerID != "" && !seen[at.ManagerID] {
				r.substitute(r.name(at) + "'s manager")
			}
		}
	}
}

func (r *resolver) substitute(who string) { r.reasons = append(r.reasons, "next in line: "+who) }

// ineligible says why somebody does not decide; empty if they may.
func (r *resolver) ineligible(u User) string {
	name := r.name(u)
	switch {
	case u.ID == r.request.Beneficiary.ID:
		return name + " is the beneficiary"
	case u.ID == r.request.Requester.ID:
		return name + " is the requester"
	case r.request.IsParty(u.ID):
		return name + " answers for the program that asks or gets it"
	case r.approvedBy[u.ID]:
		return name + " has decided already"
	case r.before[u.ID]:
		return name + " has decided an earlier step"
	case !u.CanDecide:
		return name + " cannot decide at present"
	case !u.canDecideIn(r.request.EnvironmentID):
		return name + " cannot decide here"
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
	// An unknown user counts as one who cannot decide.
	switch id {
	case r.request.Beneficiary.ID:
		return User{Person: r.request.Beneficiary}
	case r.request.Requester.ID:
		return User{Person: r.request.Requester}
	}
	return User{Person: Person{ID: id}}
}

// name is what a reason calls a user. An environment is not told the names of
// another's people.
func (r *resolver) name(u User) string {
	switch {
	case r.request.EnvironmentID != "" && u.EnvironmentID != "" && u.EnvironmentID != r.request.EnvironmentID:
		return "somebody of another environment"
	case u.Name == "":
		return "somebody unknown"
	}
	return u.Name
}
