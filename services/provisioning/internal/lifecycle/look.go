package lifecycle

import "slices"

// Sight is what a look has seen of an account.
type Sight uint8

// The sights.
const (
	// NotSeen means that the app has not said.
	NotSeen Sight = iota
	// SeenNone is surely no account of the person, and none with their user name that
	// could be theirs.
	SeenNone
	// SeenTheirs is an account that carries the person's id, or the one that is known.
	SeenTheirs
	// SeenOther is another account with the person's user name.
	SeenOther
)

// Sighting is what one look has seen.
type Sighting struct {
	Account Sight
	// Disabled means that nobody can use the account that was seen.
	Disabled bool
	// Has and Lacks are entitlements that it surely has, and surely has not. What is in
	// neither was not seen.
	Has, Lacks []ID
}

// Acquaintance is what a look goes by besides what is known.
type Acquaintance struct {
	// ByID means that the account is known by an id, which is valid where the look was.
	ByID bool
	// NoneBefore means that an earlier look, since the account is to be made, has found
	// none.
	NoneBefore bool
	// Adopt means that an account that was there before is taken for the person's, and
	// Ask that a person says so.
	Adopt, Ask bool
}

// Seen is what follows from a look.
type Seen struct {
	Observed Observed
	// Told are the things of which the look has told how they are.
	Told []Thing
	// Refuted are resolved items by which a person has said that something is gone that
	// is still there.
	Refuted []Item
}

// toLook is what is looked at while people make the changes of a plan: the account, and
// then each entitlement that is to come or to go. It is nothing if nothing can look.
func (s Assignment) toLook(plan []Change) []Change {
	if !s.looks() || len(plan) == 0 {
		return nil
	}
	look := []Change{{Do: Look}}
	for _, c := range plan {
		if (c.Do == Add || c.Do == Remove) && !s.Blind.Has(c.Entitlement) {
			look = append(look, Change{Do: Look, Entitlement: c.Entitlement})
		}
	}
	return look
}

// looks reports whether an integration looks while people make the changes.
func (s Assignment) looks() bool { return s.Looks && s.manual() }

// sees reports whether an entitlement can be looked at.
func (s Assignment) sees(e ID) bool { return s.looks() && !s.Blind.Has(e) }

// saidGone returns the item by which a person has said that what a change takes away is
// gone, if nobody has looked since.
func (s Assignment) saidGone(c Change, know Observed) (Item, bool) {
	if !s.looks() {
		return Item{}, false
	}
	switch c.Do {
	case RemoveAccount:
		id, said := s.Words[Thing{About: AboutAccount}]
		return Item{ID: id, Kind: ItemRemoveAccount}, said && know.AccountInDoubt
	case Remove:
		id, said := s.Words[Thing{AboutEntitlement, c.Entitlement}]
		return Item{ID: id, Kind: ItemUnassign, Entitlements: []ID{c.Entitlement}}, said && know.InDoubt.Has(c.Entitlement) && !s.Blind.Has(c.Entitlement)
	}
	return Item{}, false
}

// See returns what follows from a look. Nothing is learnt but what it has surely seen.
//
// That no account is found says that there is none only of one that is known by its id,
// that was looked for by the same name before, or that is in doubt: one that a person has
// made may have another name. An account that does not carry the person's id is theirs if
// a person has said that they have one, or if an earlier look has found none: then it was
// made for the item that asks for it. Any other was there before, and is used as the app
// says of such accounts.
func (s Assignment) See(saw Sighting, by Acquaintance) Seen {
	out := Seen{Observed: s.Observed}
	k := &out.Observed
	absent := k.Account == Absent && !k.AccountInDoubt
	wants := s.desired().Account
	adopts := false
	switch saw.Account {
	case NotSeen:
		return out
	case SeenNone:
		if !absent && !by.ByID && !k.AccountInDoubt {
			return out
		}
		*k = Observed{Account: Absent}
		out.Told = []Thing{{About: AboutAccount}}
		return out
	case SeenOther:
		switch {
		case by.ByID: // the one that is known is gone
			*k = Observed{Account: Absent, Found: wants && by.Ask}
			out.Told = []Thing{{About: AboutAccount}}
			return out
		case k.Account != Absent, wants && by.NoneBefore:
		case wants && by.Adopt:
			adopts = true
		case !absent && !wants:
			// It may have been made by a call of which nothing was heard. A person decides.
			if _, said := s.saidGone(Change{Do: RemoveAccount}, *k); said {
				*k = Observed{Account: Absent}
				out.Told = []Thing{{About: AboutAccount}}
			}
			return out
		default:
			k.Found = absent && by.Ask
			return out
		}
	case SeenTheirs:
	}
	if absent {
		*k = Observed{Account: Absent, Adopted: adopts}
	}
	k.Found = false
	out.Told = []Thing{{About: AboutAccount}}
	if saw.Disabled {
		k.InDoubt = k.InDoubt.plus(k.Held.Sorted()...).plus(saw.Has...)
		k.Account, k.AccountInDoubt, k.Held = Disabled, false, nil
	} else {
		k.Account, k.AccountInDoubt = Active, false
		k.Held, k.InDoubt = k.Held.plus(saw.Has...), minusAll(k.InDoubt, saw.Has)
	}
	k.Held, k.InDoubt = minusAll(k.Held, saw.Lacks), minusAll(k.InDoubt, saw.Lacks)
	if adopts {
		k.Had = NewSet(saw.Has...)
	}
	for _, e := range slices.Concat(saw.Has, saw.Lacks) {
		out.Told = append(out.Told, Thing{AboutEntitlement, e})
	}
	for _, c := range Plan(s.desired(), *k) {
		if item, said := s.saidGone(c, s.Observed); said && slices.Contains(out.Told, item.things()[0]) {
			out.Refuted = append(out.Refuted, item)
		}
	}
	return out
}

func minusAll(s Set, ids []ID) Set {
	for _, id := range ids {
		s = s.minus(id)
	}
	return s
}

// Look returns the words once an integration has told how things are.
func (w Words) Look(told []Thing) Words {
	return w.without(func(t Thing) bool { return slices.Contains(told, t) })
}

// done reports whether what an item asks for is as it asks, by what is known.
func (i Item) done(know Observed) bool {
	for _, e := range i.Entitlements {
		switch {
		case i.Kind == ItemAssign && (!know.surelyThere() || !know.Held.Has(e)), i.Kind == ItemUnassign && know.may(e):
			return false
		}
	}
	switch i.Kind {
	case ItemCreateAccount:
		return know.surelyThere()
	case ItemRemoveAccount:
		return !know.there()
	case ItemAssign, ItemUnassign:
		return true
	}
	return false
}
