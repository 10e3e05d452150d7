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
	// Unseeable are entitlements that the app does not know, by what it is said to call
	// them, or cannot be asked for: no look will tell.
	Unseeable []ID
	// Profile is the fingerprint of the person's profile when the app was asked, and
	// ManagerOf who their manager was; the profile is empty if that is not known.
	Profile   string
	ManagerOf ID
}

// Acquaintance is what a look goes by besides what is known.
type Acquaintance struct {
	// ByID means that the account is known by an id, which is valid where the look was.
	ByID bool
	// NoneBefore means that an earlier look, since the account was to be made, has found
	// none.
	NoneBefore bool
	// Adopt means that an account that was there before is taken for the person's, and
	// Ask that a person says so. If neither is set, such an account is refused.
	Adopt, Ask bool
	// JustAsked are entitlements that people were asked to give so lately that nobody can
	// have: what an adopted account has of them, it had before.
	JustAsked Set
}

func (a Acquaintance) refuses() bool { return !a.Adopt && !a.Ask }

// Seen is what follows from a look.
type Seen struct {
	Observed Observed
	// Told are the things of which the look has told how they are.
	Told []Thing
	// ByName means that the account is taken for the person's by what a person has said
	// and by its user name alone: it may be somebody else's.
	ByName bool
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

// mayHaveDone returns the assignment with what people may have done for open items that
// are not wanted any more, and have not said: it is in doubt, and is looked at before it
// counts as not there. changed reports whether there is such a thing.
func (s Assignment) mayHaveDone() (_ Assignment, changed bool) {
	if !s.looks() {
		return s.mayHaveBefore()
	}
	want := s.desired()
	doubt := func(t Thing) {
		s.Words = s.Words.without(t.is)
		s.Words[t] = nobody
		changed = true
	}
	for _, i := range s.Items {
		switch {
		case i.Kind == ItemCreateAccount:
			if !want.Account {
				s.Observed.AccountInDoubt = true
				doubt(Thing{About: AboutAccount})
			}
			for _, g := range s.Grants {
				e := g.Entitlement
				if g.Account || want.Entitlements.Has(e) || s.Observed.may(e) || !slices.Contains(i.Entitlements, e) || !s.sees(e) {
					continue
				}
				s.Observed = s.Observed.doubt(e)
				doubt(Thing{AboutEntitlement, e})
			}
		case i.Kind == ItemAssign && s.Observed.surelyThere():
			for _, e := range i.Entitlements {
				if !want.Entitlements.Has(e) && !s.Observed.may(e) && s.sees(e) {
					s.Observed = s.Observed.doubt(e)
					doubt(Thing{AboutEntitlement, e})
				}
			}
		}
	}
	return s, changed
}

// nobody is whose word it is that something is to be looked at first, which nobody has
// said anything about.
var nobody ID

// mayHaveBefore is mayHaveDone of an app that an integration changes. What people were asked
// to give an account, up to now, they may have given: it did not have that before. An account
// that the integration has found, and of which nobody has said in time whose it is, may be
// that of somebody who is away: a person is asked what becomes of it.
func (s Assignment) mayHaveBefore() (_ Assignment, changed bool) {
	if s.Mode != Automatic {
		return s, false
	}
	for _, i := range s.Items {
		for _, e := range i.Entitlements {
			if i.Kind == ItemAssign && s.Observed.surelyThere() && !s.Observed.may(e) {
				s.Observed, changed = s.Observed.doubt(e), true
			}
		}
	}
	if s.away() && s.Ask && s.Observed.Found && s.Observed.Account == Absent && !s.Observed.AccountInDoubt {
		s.Observed.AccountInDoubt, changed = true, true
	}
	return s, changed
}

// mayBeMade reports whether somebody may have made an account and not said so.
func (s Assignment) mayBeMade() bool {
	by, said := s.Words[Thing{About: AboutAccount}]
	return said && by == nobody
}

// saidGone returns the item by which a person has said that what a change takes away is
// gone, if nobody has looked since; it is without ID if nobody has, and it is to be looked
// at first.
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
// a person has said that they have one, unless the app is to refuse such accounts, or if an
// earlier look has found none: then it was made for the item that asks for it. Any other
// was there before, and is used as the app says of such accounts.
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
		case by.ByID && !wants && s.mayBeMade(): // the one that is known is gone, and this may be one made since
			*k = Observed{Account: Absent, AccountInDoubt: true, InDoubt: k.InDoubt, Found: true}
			out.Told = []Thing{{About: AboutAccount}}
			return out
		case by.ByID: // the one that is known is gone
			*k = Observed{Account: Absent, Found: wants && by.Ask}
			out.Told = []Thing{{About: AboutAccount}}
			return out
		case by.NoneBefore:
		case k.Account != Absent && !by.refuses():
			out.ByName = !by.Adopt
		case wants && by.Adopt:
			adopts = true
		case !absent && !wants:
			// It may have been made by a call of which nothing was heard, or by somebody who
			// has not said so. A person decides.
			if item, said := s.saidGone(Change{Do: RemoveAccount}, *k); said {
				if out.Told = []Thing{{About: AboutAccount}}; item.ID != nobody {
					*k = Observed{Account: Absent}
					return out
				}
			}
			k.Found = true
			return out
		default:
			k.Found = k.Account == Absent && wants
			return out
		}
	case SeenTheirs:
	}
	if absent || adopts {
		*k = Observed{Account: Absent, Adopted: adopts, InDoubt: k.InDoubt}
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
	if saw.Profile != "" {
		*k = k.found(saw.Profile, saw.ManagerOf)
	}
	for _, e := range saw.Has {
		if _, said := s.Words[Thing{AboutEntitlement, e}]; k.Adopted && by.JustAsked.Has(e) && !said && !s.Observed.may(e) {
			k.Had = k.Had.plus(e)
		}
	}
	for _, e := range saw.Unseeable {
		// Nobody but a person can tell.
		if _, said := s.saidGone(Change{Do: Remove, Entitlement: e}, s.Observed); said {
			k.InDoubt = k.InDoubt.minus(e)
			out.Told = append(out.Told, Thing{AboutEntitlement, e})
		}
	}
	if adopts {
		// What people may have given it meanwhile, it may not have had.
		k.Had = minusAll(NewSet(saw.Has...), s.Observed.InDoubt.Sorted())
	}
	for _, e := range slices.Concat(saw.Has, saw.Lacks) {
		out.Told = append(out.Told, Thing{AboutEntitlement, e})
	}
	for _, c := range Plan(s.desired(), *k) {
		if item, said := s.saidGone(c, s.Observed); said && item.ID != nobody && slices.Contains(out.Told, item.things()[0]) {
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
