package lifecycle

import "slices"

// Manager is what is known of the manager whom an account names, which is done by the
// manager's own account in the same app. It is a value: methods return what is known
// afterwards.
type Manager struct {
	// Account is the app's id of the account that Gatehouse has written; empty if it has
	// written none, or has cleared it.
	Account string
	// Perhaps are ids, or an empty one for none, that may stand there instead: of calls of
	// which nothing was heard.
	Perhaps []string
	// Found means that the account was there before, and Of who the person's manager was
	// when it became known. As long as that is so, it names whom it did.
	Found bool
	Of    ID
}

// WantedManager is whom an account is to name.
type WantedManager struct {
	// Person is the person's manager; the zero ID if they have none.
	Person ID
	// Account is the app's id of that person's account; empty if they surely have none.
	Account string
	// Unknown means that it is not known whether they have one: nothing is written.
	Unknown bool
}

// differs reports whether the account is to name another manager than it does, or may.
func (m Manager) differs(w WantedManager) bool {
	if w.Unknown || m.Found && m.Of == w.Person {
		return false
	}
	return len(m.Perhaps) > 0 || m.Account != w.Account
}

// tried returns what is known when an account may have been written, or the empty one.
func (m Manager) tried(account string) Manager {
	m.Found, m.Of = false, ID{}
	if !slices.Contains(m.Perhaps, account) {
		m.Perhaps = slices.Concat(m.Perhaps, []string{account})
	}
	return m
}

// Written are the ids that Gatehouse has written, or may have: what stands there besides
// is the app's own.
func (m Manager) Written() []string {
	return slices.DeleteFunc(slices.Concat([]string{m.Account}, m.Perhaps), func(id string) bool { return id == "" })
}

// fixed returns what is known after a person has done by hand what the operation could not.
func (m Manager) fixed(w WantedManager) Manager {
	if m.differs(w) {
		return Manager{Account: w.Account}
	}
	return m
}
