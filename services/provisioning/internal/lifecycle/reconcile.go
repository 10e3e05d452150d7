package lifecycle

import (
	"cmp"
	"slices"
)

// Mode is how accounts in an app come and go.
type Mode string

// The modes. An app whose mode was never chosen is Manual.
const (
	// Manual: by a person, through work items.
	Manual Mode = "manual"
	// Unmanaged: not at all; everybody uses one account.
	Unmanaged Mode = "none"
	// Automatic: by an integration, through operations.
	Automatic Mode = "automatic"
)

// GrantState is where a grant stands.
type GrantState string

// The states of a grant.
const (
	Pending  GrantState = "pending"
	InPlace  GrantState = "active" // an account can be Active too
	Held     GrantState = "held"   // was in place, and waits for its person to be active again
	Failed   GrantState = "failed"
	Revoking GrantState = "revoking"
	Revoked  GrantState = "revoked"
)

// Live reports whether a grant in this state means that its entitlement should be
// held, as long as the person is active.
func (s GrantState) Live() bool { return s == Pending || s == InPlace || s == Held || s == Failed }

// waits reports whether a grant in this state is to come into place.
func (s GrantState) waits() bool { return s == Pending || s == Held || s == Failed }

// GivesUp reports whether a grant in this state can be given up: it is to come into
// place, and never was.
func (s GrantState) GivesUp(wasActive bool) bool {
	return (s == Pending || s == Failed) && !wasActive
}

// Grant is a grant of the assignment that is not revoked.
type Grant struct {
	ID          ID
	Entitlement ID
	// Account means that the entitlement is the account itself.
	Account bool
	State   GrantState
	// Request is the request that gave it, or, if one ended it, the one that did.
	Request ID
	// Join means that a join-flow gave it.
	Join bool
	// WasActive means that it has been in place.
	WasActive bool
	// GivenUp means that it has ended because it was given up.
	GivenUp bool
	// Error is what was last said about it.
	Error string
}

// Revocation is a revoke request's item that is not done.
type Revocation struct {
	ID ID
	// Grants are those that it ended.
	Grants []ID
}

// Assignment is one person in one app.
type Assignment struct {
	Mode Mode
	// Leaving means that the person has left, Suspended that they are there and not
	// active: grants stay, and nothing of them should be in the app.
	Leaving, Suspended bool
	// Ask means that a person says whether an account that was found is used.
	Ask bool
	// RemovalUnset means that the app does not say what happens to an adopted account
	// of somebody who is away: a person does.
	RemovalUnset bool
	// Found says in words which account was found; empty if none.
	Found string
	// LeftBehind say in words, each of one account, where it stands that the app's
	// integration does not reach.
	LeftBehind []string
	// Profile is the fingerprint of the person's profile.
	Profile string
	// Manager is whom the account should name as the person's manager.
	Manager  WantedManager
	Observed Observed
	// Grants are all that are not revoked.
	Grants []Grant
	// Revocations are all that are not done.
	Revocations []Revocation
	// Items are the open work items.
	Items []Item
	// Reopened are resolved items that are being reopened.
	Reopened  []Item
	Operation Operation
	// Looks means that an integration looks at what people change, Blind are
	// entitlements that it cannot see, and Saw that it has just told what it has seen.
	Looks, Saw bool
	Blind      Set
	// Words say which resolved item was the last to say something.
	Words Words
	// Questioned means that the account that is seen may be somebody else's (Seen.ByName),
	// and that people were told so when they had said that it is gone: what they say then
	// is the last word.
	Questioned bool
	// LastWord means that people are believed at once: the app was deleted, so that nobody
	// can change any more how it is reached, and they have said already that what is to be
	// gone is gone, which its integration could not confirm.
	LastWord bool
}

// manual reports whether people make the changes.
func (s Assignment) manual() bool { return s.Mode != Unmanaged && s.Mode != Automatic }

// Transition is what becomes of a grant.
type Transition struct {
	ID ID
	To GrantState
	// Error is what to say about it: set for Failed, and for one that is still
	// Revoking because it could not be taken away.
	Error string
}

// Outcome is what follows for an assignment.
type Outcome struct {
	// Plan is what is to be changed in the app.
	Plan []Change
	// Grants are the grants to be changed.
	Grants []Transition
	// Revocations are those that are done now.
	Revocations []ID

	// Forget means that the account found is of no interest any more.
	Forget bool
	// Doubt is what is known from now on, with the words then, if there is something that
	// people may have done and not said; else nil.
	Doubt *Doubt

	// Finish ends the operation as done, Cancel as no longer needed.
	Finish, Cancel bool
	// Replan gives the operation the new Plan and leaves the rest as it is.
	Replan bool
	// Enqueue has the Plan done at once, from the first try: by the operation
	// there is, or, after Finish or Cancel and where there is none, by a new one. If Look
	// is not empty, that is looked at instead, again and again.
	Enqueue bool
	Look    []Change

	// Open are the work items to open, without ID.
	Open []Item
	// Change are open items with other content than before.
	Change []Item
	// Cancellation are open items that are not needed any more.
	Cancellation []Cancellation
	// Resolve are open items that are done by themselves.
	Resolve []ID
}

// Doubt is what is known, and said, once something is in doubt. Words is nil where nothing
// is looked at: the words are those of before.
type Doubt struct {
	Observed Observed
	Words    Words
}

// Reconcile returns what follows from the present state. It may be asked again at any
// time; when nothing has changed since its answer was followed, nothing
// follows.
func Reconcile(s Assignment) Outcome {
	var out Outcome
	if doubted, changed := s.mayHaveDone(); changed {
		s, out.Doubt = doubted, &Doubt{doubted.Observed, doubted.Words}
	}
	know := s.known()
	want := s.desired()
	out.Forget = know.Found && (!want.Account && !know.AccountInDoubt || s.Mode != Automatic && !s.looks())
	if s.stays(want, know) {
		out.Plan = []Change{{Do: RemoveAccount}}
	} else if s.Mode != Unmanaged && !s.asks() {
		out.Plan = Plan(want, know)
	}
	stuck := reconcileOperation(s, &out)
	now := reconciled{want: want, know: know, stuck: stuck, late: s.late(out)}
	s.Grants, now.held, now.ended = reconcileGrants(s, &out, now)
	reconcileItems(s, &out, now)
	return out
}

// desired is what the person should have in the app now.
func (s Assignment) desired() Desired {
	var want Desired
	if !s.Suspended {
		want = DesiredBy(s.Grants)
	}
	want.Look = s.away() && s.RemovalUnset && s.Mode == Automatic
	want.Keep = !s.away() || want.Look
	want.Manager.Unknown = true
	if s.Mode == Automatic {
		want.Profile, want.Manager = s.Profile, s.Manager
	}
	return want
}

// asks reports whether nothing can be done before a person has said whether the
// account found is the person's.
func (s Assignment) asks() bool {
	return s.Mode == Automatic && s.Ask && s.Observed.Found && s.desired().Account
}

// stays reports whether an account that is known from before the app had one shared account
// is to be removed, which a person does.
func (s Assignment) stays(want Desired, know Observed) bool {
	return s.Mode == Unmanaged && !want.Account && know.there() && (!know.Adopted || !want.Keep)
}

// leaves reports whether an adopted account of somebody who is away waits for a
// person.
func (s Assignment) leaves(want Desired, know Observed) bool {
	return want.Look && know.Adopted && !want.Account && know.surelyThere()
}

// away reports whether the person should have nothing in any app.
func (s Assignment) away() bool { return s.Leaving || s.Suspended }

// known is what is known while an operation may be running.
func (s Assignment) known() Observed {
	know := s.Observed
	if s.Operation.State == Running {
		for _, c := range s.Operation.Plan {
			know = know.Tried(c)
		}
	}
	return know
}

// reconcileOperation decides about the operation, and returns whether it is stuck
// after that.
func reconcileOperation(s Assignment, out *Outcome) (stuck bool) {
	op := s.Operation
	automatic := s.Mode == Automatic
	out.Look = s.toLook(out.Plan)
	if op.Looks || len(out.Look) > 0 {
		reconcileLook(s, out)
		return false
	}
	switch op.State {
	case NoOperation:
		out.Enqueue = automatic && len(out.Plan) > 0
	case Running: // its result will be recorded
	case Succeeded:
		out.Finish = true
		out.Enqueue = automatic && len(out.Plan) > 0
	case Queued, Stuck:
		switch {
		case !automatic || len(out.Plan) == 0:
			out.Cancel = true
		case op.State == Stuck && novel(out.Plan, op.Plan):
			out.Enqueue = true
		default:
			out.Replan = !slices.Equal(out.Plan, op.Plan)
			return op.State == Stuck
		}
	}
	return false
}

// late reports whether the operation, as it is to be now, takes something away and has
// waited for its turn for too long.
func (s Assignment) late(out Outcome) bool {
	op := s.Operation
	return op.Late && op.State == Queued && !op.Looks && !out.Cancel && !out.Enqueue && TakesAway(out.Plan)
}

// failure says why the operation has not been done.
func (s Assignment) failure() string {
	return cmp.Or(s.Operation.Error, "the app takes few calls, and this removal still waits for its turn")
}

// reconcileLook decides about an operation that looks, or that is to give way to one.
func reconcileLook(s Assignment, out *Outcome) {
	op := s.Operation
	again := len(out.Look) > 0
	switch {
	case op.State == NoOperation:
		out.Enqueue = true
	case op.Looks && again: // whatever it is about to see of something else is of no interest
		// One that is under way may have seen what was there before somebody did something.
		out.Enqueue = out.Doubt != nil || !slices.Equal(out.Look, op.Plan)
	case op.Looks:
		out.Finish, out.Cancel = s.Saw, !s.Saw
		out.Enqueue = s.Mode == Automatic && len(out.Plan) > 0
	case op.State == Running: // its result will be recorded
	default:
		out.Finish, out.Cancel = op.State == Succeeded, op.State != Succeeded
		out.Enqueue = true
	}
}

// reconcileGrants decides about the grants, and returns those that are left, as
// they are then, and those that are held and revoked now.
func reconcileGrants(s Assignment, out *Outcome, now reconciled) (left, held, ended []Grant) {
	want, know := now.want, now.know
	// What an account says of its person gives nobody access, and takes none away.
	stuck := now.stuck && !Updates(out.Plan)
	for _, g := range s.Grants {
		t := Transition{ID: g.ID}
		switch {
		case s.Suspended && g.State == InPlace:
			t.To = Held
		case s.Suspended && g.State.Live(): // waits
		case g.State.waits() && s.inPlace(g, know):
			t.To = InPlace
		case (g.State == Pending || g.State == Held) && stuck:
			t.To, t.Error = Failed, s.Operation.Error
		case g.State == Revoking && s.gone(g, want, know):
			t.To = Revoked
		case g.State == Revoking && (stuck || now.late) && g.Error == "":
			t.To, t.Error = Revoking, s.failure()
		}
		if t.To != "" {
			out.Grants = append(out.Grants, t)
			g.State, g.Error = t.To, t.Error
		}
		if t.To == Held {
			held = append(held, g)
		}
		if g.State == Revoked {
			ended = append(ended, g)
		} else {
			left = append(left, g)
		}
	}
	for _, r := range s.Revocations {
		open := slices.ContainsFunc(left, func(g Grant) bool { return slices.Contains(r.Grants, g.ID) })
		if !open {
			out.Revocations = append(out.Revocations, r.ID)
		}
	}
	return left, held, ended
}

// inPlace reports whether what a grant gives is surely in the app.
func (s Assignment) inPlace(g Grant, know Observed) bool {
	switch {
	case s.Mode == Unmanaged:
		return true
	case g.Account:
		return know.surelyThere()
	}
	return know.surelyThere() && know.Held.Has(g.Entitlement)
}

// gone reports whether what a grant gives is surely not in the app, or wanted of another.
func (s Assignment) gone(g Grant, want Desired, know Observed) bool {
	kept := know.Adopted && want.Keep && !s.away()
	switch {
	case g.Account && want.Account, want.Entitlements.Has(g.Entitlement):
		return true
	case s.Mode == Unmanaged:
		return !s.stays(want, know)
	case len(s.LeftBehind) > 0:
		return false
	case g.Account, g.GivenUp && !want.Account:
		// With what was given up goes the account that was made for it.
		return !know.there() || kept && len(know.added()) == 0
	}
	return !know.may(g.Entitlement) || kept && know.Had.Has(g.Entitlement)
}
