package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxDelegation is how long a delegation may run.
const MaxDelegation = 90 * 24 * time.Hour

// Delegation says that while somebody is absent somebody else decides.
type Delegation struct {
	ID                  string
	EnvironmentID       string // where the delegator's role is held
	Delegator, Delegate Person
	From, Until         time.Time
	Reason              string
	Creator             Person
	CreateTime          time.Time
	EndTime             time.Time // zero while it has not ended
	EndedBy             Person    // no ID if its time came
}

// Active reports whether it runs.
func (d Delegation) Active(now time.Time) bool {
	return d.EndTime.IsZero() && !d.From.After(now) && d.Until.After(now)
}

// Ended reports whether it has run.
func (d Delegation) Ended(now time.Time) bool { return !d.EndTime.IsZero() || !d.Until.After(now) }

// Overlaps reports whether there is a moment at which both run.
func (d Delegation) Overlaps(o Delegation) bool {
	return d.From.Before(o.Until) && o.From.Before(d.Until)
}

// Cycle gives the people through whom a new delegation would come back to its delegator
// at some moment, beginning and ending with them; nil if it would not. others are those
// that have not ended.
func (d Delegation) Cycle(others []Delegation) []Person {
	return d.cycle(others, []Person{d.Delegator, d.Delegate}, d)
}

// cycle goes on from the last of a chain, which holds within the window.
func (d Delegation) cycle(others []Delegation, chain []Person, window Delegation) []Person {
	at := chain[len(chain)-1]
	for _, o := range others {
		if o.Delegator.ID != at.ID || !o.Overlaps(window) {
			continue
		}
		next := append(slices.Clone(chain), o.Delegate)
		if o.Delegate.ID == d.Delegator.ID {
			return next
		}
		if slices.ContainsFunc(chain, func(p Person) bool { return p.ID == o.Delegate.ID }) {
			continue
		}
		both := window
		if o.From.After(both.From) {
			both.From = o.From
		}
		if o.Until.Before(both.Until) {
			both.Until = o.Until
		}
		if found := d.cycle(others, next, both); found != nil {
			return found
		}
	}
	return nil
}

// Absence is to whom somebody has delegated at present, and until when.
type Absence struct {
	DelegateID string
	Until      time.Time
}

// Behind are the users to whom what is asked of somebody may come by delegations.
func (p *People) Behind(userID string) []string {
	var out []string
	for at := userID; ; {
		d, absent := p.Absences[at]
		if !absent || slices.Contains(out, d.DelegateID) {
			return out
		}
		out = append(out, d.DelegateID)
		at = d.DelegateID
	}
}

// through follows delegations from somebody who would be asked, to whom is asked instead,
// and says why. A delegate who cannot decide, or has become external since, is passed over:
// whoever delegated to them is asked. A reason says that nobody is asked for this one: whom it comes to is concerned, or
// the delegations go in a circle.
func (r *resolver) through(u User) (to User, why []string, reason string) {
	seen := map[string]bool{u.ID: true}
	for at := u; ; {
		d, absent := r.people.Absences[at.ID]
		if !absent {
			return at, why, ""
		}
		next := r.user(d.DelegateID)
		text := fmt.Sprintf("%s is absent until %s, delegated to %s", r.name(at), d.Until.UTC().Format(time.DateOnly), r.name(next))
		switch {
		case seen[next.ID]:
			return User{}, nil, text + ", which goes in a circle"
		case r.request.IsParty(next.ID):
			return User{}, nil, text + "; " + r.ineligible(next)
		case r.ineligible(next) != "", next.IsExternal:
			return at, why, ""
		}
		seen[next.ID] = true
		at, why = next, append(why, text)
	}
}

// choose asks somebody who may decide, or whom they have delegated to. Who is asked
// already is not asked twice: then the delegator is, so that nobody counts for two. It
// reports whether somebody is asked; else the reason is added.
func (r *resolver) choose(u User, substitution string) bool {
	to, why, reason := r.through(u)
	if reason != "" {
		if len(r.reasons) < maxReasons {
			r.reasons = append(r.reasons, reason)
		}
		return false
	}
	chosen := Reviewer{Person: u.Person, Substitution: substitution}
	if to.ID != u.ID && !r.chosen[to.ID] {
		if substitution != "" {
			why = append([]string{substitution}, why...)
		}
		chosen = Reviewer{Person: to.Person, Substitution: strings.Join(why, "; "), OnBehalfOf: u.Person}
	}
	if r.chosen[chosen.ID] {
		return false
	}
	r.chosen[chosen.ID] = true
	r.reviewers = append(r.reviewers, chosen)
	return true
}

// despite adds admins who are absent and have delegated to nobody who may decide: nobody
// else is there.
func (r *resolver) despite(it Item) {
	r.people.Absences = nil
	lists := [][]string{r.people.Apps[it.AppID].AdminIDs, r.adminsOf("")}
	if r.request.EnvironmentID != "" {
		lists = slices.Insert(lists, 1, r.adminsOf(r.request.EnvironmentID))
	}
	for _, ids := range lists {
		if r.add(ids, ""); len(r.reviewers) > 0 {
			break
		}
	}
	for i := range r.reviewers {
		r.reviewers[i].Despite = true
	}
}

// principal is whose decision a task is: the reviewer's, or that of who delegated it.
func (t *Task) principal() Person {
	if t.OnBehalfOf.ID != "" {
		return t.OnBehalfOf
	}
	return t.Reviewer
}

// PrincipalID is the id of whose decision a task is.
func (t *Task) PrincipalID() string { return t.principal().ID }

// with is who is to have an open task by the delegations that run, and why; a reason if
// nobody is.
func (a *Approval) with(t *Task, p People) (to User, why []string, reason string) {
	s := a.StepOf(t)
	r := resolver{request: Request{Parties: a.Parties, EnvironmentID: a.EnvironmentID}, people: p, approvedBy: a.ApprovedBy(s), before: a.decidedBefore(s)}
	principal := r.user(t.principal().ID)
	to, why, reason = r.through(principal)
	switch {
	case reason != "" || to.ID == t.Reviewer.ID:
	case !a.hasTask(s, to.ID):
	case to.ID != principal.ID && !a.hasTask(s, principal.ID):
		to, why = principal, nil
	default:
		to, why = r.user(t.Reviewer.ID), nil // others are asked already
	}
	return to, why, reason
}

// HandedOver is a task that went to somebody else, as delegations begin and end.
type HandedOver struct {
	From, To *Task
	Reason   string
}

// HandOver moves the open tasks of those who are absent to whom they have delegated to,
// and brings them back when that has ended, or the delegate cannot decide.
func (a *Approval) HandOver(p People, newID func() string, now time.Time) []HandedOver {
	if a.State != Open {
		return nil
	}
	var out []HandedOver
	for _, t := range slices.Clone(a.Tasks) {
		if t.State != TaskOpen || !a.asked(t, p) {
			continue
		}
		to, why, reason := a.with(t, p)
		s := a.StepOf(t)
		if reason != "" || to.ID == t.Reviewer.ID || !a.CanDecide(to) || a.IsParty(to.ID) || a.decidedBefore(s)[to.ID] {
			continue
		}
		r := Reviewer{Person: to.Person, Substitution: strings.Join(why, "; ")}
		handed := HandedOver{From: t, Reason: r.Substitution}
		if principal := t.principal(); to.ID != principal.ID {
			r.OnBehalfOf = principal
		} else if _, absent := p.Absences[principal.ID]; absent {
			handed.Reason = t.Reviewer.Name + " cannot decide for " + principal.Name + " at present"
		} else {
			handed.Reason = principal.Name + " is not absent any more"
		}
		t.end(TaskReassigned, Person{}, now)
		handed.To = a.addTasks(s, []Reviewer{r}, newID, now)[0]
		handed.To.Given, handed.To.Escalated = t.Given, t.Escalated
		out = append(out, handed)
	}
	return out
}
