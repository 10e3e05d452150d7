package lifecycle

import (
	"bytes"
	"maps"
	"slices"
)

// ID is the id of anything, a UUID.
type ID = [16]byte

// Compare orders ids.
func Compare(a, b ID) int { return bytes.Compare(a[:], b[:]) }

// Set is a set of ids. The nil Set is empty and cannot be added to.
type Set map[ID]struct{}

// NewSet returns a set of the ids.
func NewSet(ids ...ID) Set {
	s := make(Set, len(ids))
	for _, id := range ids {
		s[id] = struct{}{}
	}
	return s
}

// Has tells whether id is in the set.
func (s Set) Has(id ID) bool { _, ok := s[id]; return ok }

// Sorted returns the ids in order.
func (s Set) Sorted() []ID { return slices.SortedFunc(maps.Keys(s), Compare) }

func (s Set) plus(ids ...ID) Set {
	out := make(Set, len(s)+len(ids))
	maps.Copy(out, s)
	for _, id := range ids {
		out[id] = struct{}{}
	}
	return out
}

func (s Set) minus(id ID) Set {
	if !s.Has(id) {
		return s
	}
	out := maps.Clone(s)
	delete(out, id)
	return out
}

// AccountState is where an account stands in the app.
type AccountState uint8

// The states of an account.
const (
	Absent AccountState = iota
	Active
	Disabled
)

// Knowledge is what is known about one person in one app. It is a value:
// methods return what is known afterwards.
//
// Held is only ever filled while the account is surely active. Of an account
// that is surely absent nothing is held and nothing is in doubt.
type Knowledge struct {
	// Account is where the account was when it was last known.
	Account AccountState
	// Unsure says that the account has been worked on since and the outcome is
	// not known: it may be there or not, active or not.
	Unsure bool
	// Held are the entitlements, other than the account itself, that the
	// account surely has.
	Held Set
	// Doubt are the entitlements that the account may have or not. Those of a
	// disabled account are here: they come back with it.
	Doubt Set
}

// there tells whether the person may be able to use an account.
func (k Knowledge) there() bool { return k.Account == Active || k.Unsure }

// surelyThere tells whether the person surely has an account to use.
func (k Knowledge) surelyThere() bool { return k.Account == Active && !k.Unsure }

// may tells whether the person may have the entitlement.
func (k Knowledge) may(e ID) bool { return k.there() && (k.Held.Has(e) || k.Doubt.Has(e)) }

// Tried returns what is known after a change has been asked for whose outcome
// is not known.
func (k Knowledge) Tried(c Change) Knowledge {
	switch c.Do {
	case CreateAccount, RemoveAccount:
		k.Unsure = true
		k.Doubt = k.Doubt.plus(k.Held.Sorted()...)
		k.Held = nil
	case Add, Remove:
		k = k.doubt(c.Entitlement)
	}
	return k
}

// doubt returns what is known when an entitlement may be there or not. If the
// account is not surely there it may be, now that somebody worked on it.
func (k Knowledge) doubt(e ID) Knowledge {
	k.Unsure = k.Unsure || k.Account != Active
	k.Held, k.Doubt = k.Held.minus(e), k.Doubt.plus(e)
	return k
}

// Did returns what is known after a change has surely been made. left is what
// is left of an account that was removed: Absent or Disabled.
func (k Knowledge) Did(c Change, left AccountState) Knowledge {
	switch c.Do {
	case CreateAccount:
		k.Account, k.Unsure = Active, false
	case Add:
		if !k.surelyThere() {
			// Somebody has said otherwise meanwhile.
			return k.doubt(c.Entitlement)
		}
		k.Held, k.Doubt = k.Held.plus(c.Entitlement), k.Doubt.minus(c.Entitlement)
	case Remove:
		k.Held, k.Doubt = k.Held.minus(c.Entitlement), k.Doubt.minus(c.Entitlement)
	case RemoveAccount:
		if left == Disabled {
			k.Doubt = k.Doubt.plus(k.Held.Sorted()...)
			k.Account, k.Unsure, k.Held = Disabled, false, nil
		} else {
			k = Knowledge{}
		}
	}
	return k
}

// Learn returns what is known after the results of a run, in their order.
func (k Knowledge) Learn(results []Result, left AccountState) Knowledge {
	for _, r := range results {
		switch r.Answer {
		case Done:
			k = k.Did(r.Change, left)
		case Unknown:
			k = k.Tried(r.Change)
		case Missing:
			k = Knowledge{}
		case Refused: // nothing has happened
		}
	}
	return k
}
