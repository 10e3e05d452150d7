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

// Has reports whether id is in the set.
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
type AccountState string

// The states of an account.
const (
	Absent   AccountState = "absent"
	Active   AccountState = "active"
	Disabled AccountState = "disabled"
)

// Observed is what is known about one person in one app. It is a value:
// methods return what is known afterwards.
//
// Held is only ever filled while the account is surely active. Of an account
// that is surely absent nothing is held and nothing is in doubt.
type Observed struct {
	// Adopted means that the account was there before: Gatehouse did not make it,
	// and does not unmake it.
	Adopted bool
	// Had are the entitlements that an adopted account had before they were to be
	// added: they are not taken away.
	Had Set
	// Found means that there is an account with the person's user name, and nobody
	// has said yet whether it is theirs.
	Found bool
	// Account is where the account was when it was last known.
	Account AccountState
	// AccountInDoubt means that the account has been worked on since and the outcome is
	// not known: it may be there or not, active or not.
	AccountInDoubt bool
	// Held are the entitlements, other than the account itself, that the
	// account surely has.
	Held Set
	// InDoubt are the entitlements that the account may have or not. Those of a
	// disabled account are here: they come back with it.
	InDoubt Set
	// Profile is the fingerprint of the profile that was last written in the app, or that
	// the person had when the account became known; empty if that is not known, which is
	// no reason to write it. ProfileInDoubt means that one was being written, and nobody
	// knows whether it was.
	Profile        string
	ProfileInDoubt bool
	// Manager is what is known of the manager whom the account names.
	Manager Manager
}

// there reports whether the person may be able to use an account.
func (k Observed) there() bool { return k.Account == Active || k.AccountInDoubt }

// surelyThere reports whether the person surely has an account to use.
func (k Observed) surelyThere() bool { return k.Account == Active && !k.AccountInDoubt }

// may reports whether the person may have the entitlement.
func (k Observed) may(e ID) bool { return k.there() && (k.Held.Has(e) || k.InDoubt.Has(e)) }

// outdated reports whether the account is to be given a profile, as it has, or may have,
// another.
func (k Observed) outdated(profile string) bool {
	return profile != "" && (k.ProfileInDoubt || k.Profile != "" && k.Profile != profile)
}

// misnames reports whether the account is to name another manager. Where nothing is known
// of its profile that is no reason to write one; one that is yet to be made names nobody.
func (k Observed) misnames(w WantedManager) bool {
	if k.Account == Absent && !k.AccountInDoubt && !k.Found {
		return !w.Unknown && w.Account != ""
	}
	return (k.Profile != "" || k.ProfileInDoubt) && k.Manager.differs(w)
}

// found returns what is known when the account was found, while the person had a
// profile and a manager: if nothing was known of it, they are taken for the account's.
func (k Observed) found(profile string, manager ID) Observed {
	if k.Profile == "" && !k.ProfileInDoubt {
		k.Profile, k.Manager = profile, Manager{Found: true, Of: manager}
	}
	return k
}

// written returns what is known when the account has surely been given a profile.
func (k Observed) written(profile string) Observed {
	k.Profile, k.ProfileInDoubt = profile, profile == ""
	return k
}

// perhapsMade returns what is known when the account may have been made, with a
// profile.
func (k Observed) perhapsMade(profile string) Observed {
	first := k.Account == Absent && !k.AccountInDoubt
	switch {
	case k.Adopted, k.Account != Absent && k.Profile == "" && !k.ProfileInDoubt: // it is taken as it is
	case first:
		k = k.written(profile)
		k.Manager = Manager{}
	default:
		if k.Profile != profile {
			k = k.written("")
		}
		if k.Manager.Account != "" {
			k.Manager = k.Manager.tried("") // one that was made names nobody
		}
	}
	return k
}

// added are the entitlements that the account may have and that it did not have
// before.
func (k Observed) added() []ID {
	return slices.DeleteFunc(k.Held.plus(k.InDoubt.Sorted()...).Sorted(), k.Had.Has)
}

// Added reports whether the account may have something that it did not have before.
func (k Observed) Added() bool { return len(k.added()) > 0 }

// Elsewhere returns what is known where the account was not looked up yet: all that
// was known is in doubt.
func (k Observed) Elsewhere() Observed {
	if k.Account == Absent && !k.AccountInDoubt {
		k.Found = false
		return k
	}
	k.AccountInDoubt, k.InDoubt, k.Held = true, k.InDoubt.plus(k.Held.Sorted()...), nil
	return k
}

// Adopt returns what is known when the account found is to be the person's.
func (k Observed) Adopt() Observed {
	return Observed{Account: Absent, AccountInDoubt: true, Adopted: true}
}

// Tried returns what is known after a change has been asked for whose outcome
// is not known.
func (k Observed) Tried(c Change) Observed {
	switch c.Do {
	case UpdateAccount:
		k = k.written("")
	case SetManager:
		k.Manager = k.Manager.tried(c.Manager)
	case CreateAccount, RemoveAccount:
		if c.Do == CreateAccount {
			k = k.perhapsMade(c.Profile)
		}
		k.AccountInDoubt = true
		k.InDoubt = k.InDoubt.plus(k.Held.Sorted()...)
		k.Held = nil
	case Add, Remove:
		k = k.doubt(c.Entitlement)
	}
	return k
}

// doubt returns what is known when an entitlement may be there or not. If the
// account is not surely there it may be, now that somebody worked on it.
func (k Observed) doubt(e ID) Observed {
	k.AccountInDoubt = k.AccountInDoubt || k.Account != Active
	k.Held, k.InDoubt = k.Held.minus(e), k.InDoubt.plus(e)
	return k
}

// Did returns what is known after a change has surely been made; of Look, that the
// account cannot be used. left is what
// is left of an account that was removed: Absent or Disabled.
func (k Observed) Did(c Change, left AccountState) Observed {
	switch c.Do {
	case CreateAccount:
		k = k.found(c.Profile, c.ManagerOf)
		k.Account, k.AccountInDoubt, k.Found = Active, false, false
	case UpdateAccount:
		k = k.written(c.Profile)
	case SetManager:
		k.Manager = Manager{Account: c.Manager}
	case Add:
		if !k.surelyThere() {
			// Somebody has said otherwise meanwhile.
			return k.doubt(c.Entitlement)
		}
		k.Held, k.InDoubt = k.Held.plus(c.Entitlement), k.InDoubt.minus(c.Entitlement)
	case Remove:
		k.Held, k.InDoubt = k.Held.minus(c.Entitlement), k.InDoubt.minus(c.Entitlement)
	case Look:
		if k.Account != Absent || k.AccountInDoubt {
			k.InDoubt = k.InDoubt.plus(k.Held.Sorted()...)
			// A person has disabled it, and may have taken what it had before.
			k.Account, k.AccountInDoubt, k.Held, k.Had = Disabled, false, nil, nil
		}
	case RemoveAccount:
		if left == Disabled {
			k.InDoubt = k.InDoubt.plus(k.Held.Sorted()...)
			k.Account, k.AccountInDoubt, k.Held = Disabled, false, nil
		} else {
			k = Observed{Account: Absent}
		}
	}
	return k
}

// Learn returns what is known after the results of a run, in their order.
func (k Observed) Learn(results []Result, left AccountState) Observed {
	for _, r := range results {
		switch r.Answer {
		case Done:
			k = k.Did(r.Change, left)
		case Unknown:
			k = k.Tried(r.Change)
		case Made:
			k = k.Did(r.Change, left).written(r.Change.Profile)
			k.Adopted, k.Had, k.Manager = false, nil, Manager{}
		case There:
			if r.Change.Do == Look {
				k = k.found(r.Change.Profile, r.Change.ManagerOf)
				k.Account, k.AccountInDoubt = Active, false
				break
			}
			k = k.Did(r.Change, left)
			k.Had = k.Had.plus(r.Change.Entitlement)
		case FoundOne:
			k = Observed{Account: Absent, Found: true}
		case Missing:
			k = Observed{Account: Absent}
		case Refused: // nothing has happened
		}
	}
	return k
}
