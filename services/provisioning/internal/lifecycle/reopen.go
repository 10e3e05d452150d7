package lifecycle

import (
	"maps"
	"slices"
)

// About is the kind of thing that a person says something about by resolving an item.
type About string

// What items are about.
const (
	AboutAccount     About = "account" // the account, with all that it has
	AboutEntitlement About = "entitlement"
	AboutSecret      About = "secret"
	AboutLeftBehind  About = "left_behind"
)

// Thing is one thing that something can be said about.
type Thing struct {
	About About
	// Entitlement is set for AboutEntitlement.
	Entitlement ID
}

// ofAccount reports whether the thing goes with the account: what is said of the account is
// said of it too.
func (t Thing) ofAccount() bool { return t.About == AboutAccount || t.About == AboutEntitlement }

func (t Thing) is(o Thing) bool { return t == o }

// Words are, for each thing, the resolved item that was the last to say something about
// it. What an integration has done since is nobody's word. It is a value: methods
// return what holds afterwards.
type Words map[Thing]ID

// things are what resolving the item says something about.
func (i Item) things() []Thing {
	switch i.Kind {
	case ItemAssign, ItemUnassign:
		var out []Thing
		for _, e := range i.Entitlements {
			out = append(out, Thing{AboutEntitlement, e})
		}
		return out
	case ItemChangeSecret:
		return []Thing{{About: AboutSecret}}
	case ItemRemoveLeftAccount:
		return []Thing{{About: AboutLeftBehind}}
	}
	return []Thing{{About: AboutAccount}}
}

// covers reports whether what is said by resolving the item is about a thing.
func (i Item) covers(t Thing) bool {
	things := i.things()
	return slices.Contains(things, t) || t.ofAccount() && slices.Contains(things, Thing{About: AboutAccount})
}

// Say returns the words once the item was resolved.
func (w Words) Say(i Item) Words {
	out := w.without(i.covers)
	for _, t := range i.things() {
		out[t] = i.ID
	}
	return out
}

// Tell returns the words once an integration has told what is in the app.
func (w Words) Tell() Words { return w.without(Thing.ofAccount) }

// Leave returns the words once an account was left behind.
func (w Words) Leave() Words { return w.without(Thing{About: AboutLeftBehind}.is) }

// TakeBack returns the words once the item was reopened; before are those from before
// it was resolved.
func (w Words) TakeBack(i Item, before Words) Words {
	out := w.without(i.covers)
	for t, by := range before {
		if i.covers(t) {
			out[t] = by
		}
	}
	return out
}

// Last reports whether the item was the last to say something about what it is about.
// If it was not, later is an item that was; the zero ID if an integration was.
func (w Words) Last(i Item) (later ID, last bool) {
	last = true
	for _, t := range i.things() {
		last = last && w[t] == i.ID
	}
	for t, by := range w {
		if i.covers(t) && by != i.ID && (later == ID{} || Compare(by, later) < 0) {
			later, last = by, false
		}
	}
	return later, last
}

func (w Words) without(drop func(Thing) bool) Words {
	out := maps.Clone(w)
	if out == nil {
		return Words{}
	}
	maps.DeleteFunc(out, func(t Thing, _ ID) bool { return drop(t) })
	return out
}

// Resolution is an item that was resolved, and how things stood before.
type Resolution struct {
	Item Item
	// Observed is what was known before.
	Observed Observed
	// Grants are those that were not revoked before, and their states.
	Grants map[ID]GrantState
}

// Reopen returns what is known once it is taken back that an item was done: what was
// known before it was resolved, of what it is about. The item must be the last to say
// something about that ([Words.Last]).
func (s Assignment) Reopen(r Resolution) Observed {
	k := s.Observed
	switch r.Item.Kind {
	case ItemChangeSecret, ItemRemoveLeftAccount: // nothing that is known of the app
	case ItemAssign, ItemUnassign:
		for _, e := range r.Item.Entitlements {
			k.Held, k.InDoubt = k.Held.minus(e), k.InDoubt.minus(e)
			switch {
			case r.Observed.Held.Has(e) && k.surelyThere():
				k.Held = k.Held.plus(e)
			case r.Observed.Held.Has(e), r.Observed.InDoubt.Has(e):
				k.InDoubt = k.InDoubt.plus(e)
			}
		}
	default:
		k = r.Observed
	}
	return k
}

// ReopenGrants returns what becomes of grants once an item was reopened: s has what is
// known now, and all grants of the resolution, also those that are revoked. What is not
// in place any more goes back to the state from before the item was resolved, and what is
// not gone any more is being taken away again.
func (s Assignment) ReopenGrants(r Resolution) []Transition {
	know, want := s.known(), s.desired()
	var out []Transition
	for _, g := range s.Grants {
		before, was := r.Grants[g.ID]
		if !was {
			before = Pending // it came since
		}
		switch {
		case g.State == InPlace && !s.inPlace(g, know) && before != InPlace:
			out = append(out, Transition{ID: g.ID, To: before})
		case g.State == Revoked && was && !s.gone(g, want, know):
			out = append(out, Transition{ID: g.ID, To: Revoking})
		}
	}
	return out
}

// ReopensItem reports whether i asks for what an item asked for: it reopens it, or is about
// the whole account that the item's entitlement is given to or taken from.
func (i Item) ReopensItem(old Item) bool {
	return i.Reopens == old.ID || i.Kind == ItemCreateAccount && old.Kind == ItemAssign || i.Kind == ItemRemoveAccount && old.Kind == ItemUnassign
}

// Todo is what is to be changed in the app.
func (s Assignment) Todo() []Change { return Plan(s.desired(), s.known()) }

// WhyNot says in words what keeps an item from being asked for again.
func (s Assignment) WhyNot(i Item) string {
	switch {
	case i.Kind != ItemRemoveLeftAccount && slices.ContainsFunc(s.Items, i.same):
		return ReasonOpen
	case i.Kind == ItemUnassign && slices.ContainsFunc(s.Items, func(o Item) bool { return o.Kind == ItemRemoveAccount }):
		return ReasonWhole
	}
	return cancelReason(s, i, reconciled{want: s.desired(), know: s.known()})
}
