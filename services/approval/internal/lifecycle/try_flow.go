package lifecycle

import (
	"slices"

	"gatehouse.dev/libs/flow"
)

// WithDraft are the flows that decide if a draft is saved, which replaces the flow of its
// id.
func WithDraft(flows []Flow, draft Flow) []Flow {
	out := slices.DeleteFunc(slices.Clone(flows), func(f Flow) bool { return f.ID == draft.ID })
	return append(out, draft)
}

// Considered is a flow, and why it does not decide an item.
type Considered struct {
	Flow
	// Mismatch is why; empty for the one that decides.
	Mismatch string
}

// Mismatches of Considered besides those of the decision table.
const (
	// ComesLater says that another flow comes first.
	ComesLater = "COMES_LATER"
	// ConditionFailed says that its condition cannot be evaluated.
	ConditionFailed = string(flow.ConditionFailed)
)

// Consider says of each flow, in the order in which they come, whether it decides an item
// of a request, or why not.
func Consider(flows []Flow, request Request, it Item) []Considered {
	out := make([]Considered, 0, len(flows))
	for _, f := range flow.Order(flows, (*Flow).rule, it.Item) {
		out = append(out, Considered{Flow: *f})
	}
	decided := false
	for i := range out {
		mismatch, err := out[i].Match(request.asked(), it.Item)
		switch {
		case mismatch != "":
			out[i].Mismatch = string(mismatch)
		case decided:
			out[i].Mismatch = ComesLater
		case err != nil:
			out[i].Mismatch, decided = ConditionFailed, true
		default:
			decided = true
		}
	}
	return out
}

// Decide says by which flow an item is decided, or why it is refused, as [New] takes it.
func (r Request) Decide(flows []Flow, it Item) flow.Decision[Flow] {
	return flow.Decide(flows, (*Flow).rule, r.asked(), it.Item)
}

// MayAsk reports whether somebody may make the request for an item that a flow decides;
// nil is the default.
func (r Request) MayAsk(decides *Flow, it Item, p People) bool {
	var who *Requesters
	if decides != nil {
		who = decides.Requesters
	}
	u, app := p.Users[r.Requester.ID], p.Apps[it.AppID]
	a := Approval{Parties: r.Parties}
	return who.Allow(flow.Requester{
		Member: r.Asker, IsBeneficiary: r.Requester.ID == r.Beneficiary.ID, Manages: a.manages(u, p),
		RunsApp: slices.Contains(app.AdminIDs, u.ID), Administers: u.Administers,
	})
}

// Ties are the other flows that could claim what a flow claims, with the same priority, as
// the age of flows then decides. Conditions are not looked at: they might hold for both.
func Ties(f Flow, others []Flow, people []Member, items []flow.Item) []Tie {
	var out []Tie
	for _, o := range others {
		if tie, ok := f.tie(o, people, items); ok {
			out = append(out, tie)
		}
	}
	return out
}

// Tie is a flow that could claim what another claims.
type Tie struct {
	Flow
	// OtherDecides says that it would decide, as it is older.
	OtherDecides bool
	// Member and Item are somebody for whom both are, and something about which both are.
	Member Member
	Item   flow.Item
}

func (f *Flow) tie(o Flow, people []Member, items []flow.Item) (t Tie, ok bool) {
	if o.ID == f.ID || !f.Enabled || !o.Enabled || f.Trigger != OnRequest || o.Trigger != OnRequest || f.Priority != o.Priority || !f.sameKind(o) {
		return t, false
	}
	m := slices.IndexFunc(people, func(m Member) bool { return f.IsFor(m) && o.IsFor(m) })
	if m < 0 {
		return t, false
	}
	i := slices.IndexFunc(items, func(it flow.Item) bool {
		// About an app of the organization its flows come before those of an environment.
		return f.Scope.Covers(it) && o.Scope.Covers(it) && (!it.OfOrganization || (f.EnvironmentID == "") == (o.EnvironmentID == ""))
	})
	if i < 0 {
		return t, false
	}
	first := flow.Order([]Flow{*f, o}, (*Flow).rule, items[i])[0]
	return Tie{Flow: o, OtherDecides: first.ID == o.ID, Member: people[m], Item: items[i]}, true
}

func (f *Flow) sameKind(o Flow) bool {
	kinds := func(f *Flow) []Kind {
		if len(f.Kinds) == 0 {
			return []Kind{Grant}
		}
		return f.Kinds
	}
	return slices.ContainsFunc(kinds(f), func(k Kind) bool { return slices.Contains(kinds(&o), k) })
}

// Reach is whom a step would ask, over all that it could be about.
type Reach struct {
	Spec StepSpec
	// Reviewers are by name, each once.
	Reviewers []Person
	// Nobody are for what nobody decides whom it names, and Single for what it hangs on no
	// more people than must approve: names of apps or of people.
	Nobody, Single []string
}

// Subject is what a step could be about: an app, or somebody's manager.
type Subject struct {
	Name    string
	Request Request
	Item    Item
}

// ReachOf says whom a step would ask about subjects. People have no admins: substitutes are
// not whom it names.
func ReachOf(spec StepSpec, subjects []Subject, p People) Reach {
	r := Reach{Spec: spec}
	byManager := spec.Reviewers == Manager || spec.Reviewers == ManagersManager
	seen := make(map[string]bool)
	single := make(map[string]bool)
	for _, s := range subjects {
		resolution := Resolve(spec, s.Request, s.Item, p, nil, nil)
		var named []Person
		for _, v := range resolution.Reviewers {
			if v.Substitution == "" || byManager { // higher up is still a manager
				named = append(named, v.Person)
			}
		}
		for _, v := range named {
			if !seen[v.ID] {
				seen[v.ID] = true
				r.Reviewers = append(r.Reviewers, v)
			}
		}
		needed := 1
		if spec.Need == NeedCount {
			needed = spec.NeedCount
		}
		switch name := s.Name; {
		case len(named) == 0:
			r.Nobody = append(r.Nobody, name)
		case len(named) <= needed:
			if byManager { // it hangs on the manager, and not on each of their people
				name = named[0].Name
			}
			if !single[name] {
				single[name] = true
				r.Single = append(r.Single, name)
			}
		}
	}
	slices.SortFunc(r.Reviewers, func(a, b Person) int { return compareNames(a, b) })
	return r
}

// Outcome is what became of an item, and who decided it.
func (a *Approval) Outcome(itemID string) (state State, decided []Person) {
	steps, denied, cancelled := 0, false, false
	for _, s := range a.Steps {
		if s.ItemID == itemID {
			steps++
			denied, cancelled = denied || s.State == StepDenied, cancelled || s.State == StepCancelled
		}
	}
	for _, t := range a.Tasks {
		if t.ItemID == itemID && (t.State == TaskApproved || t.State == TaskDenied) {
			decided = append(decided, t.Reviewer)
		}
	}
	switch {
	case denied:
		return Denied, decided
	case cancelled, steps == 0 && !a.Automatic:
		return Cancelled, decided
	case a.Gave(itemID):
		return "approved", decided
	}
	return Open, decided
}
