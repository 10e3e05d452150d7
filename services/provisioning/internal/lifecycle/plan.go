package lifecycle

// Do is what a change does.
type Do string

// What changes do, in the order in which a plan does them: what is to go goes
// before what is to come.
const (
	CreateAccount Do = "create_account"
	// UpdateAccount writes the person's profile into an account that is there.
	UpdateAccount Do = "update_account"
	Remove        Do = "remove"
	Add           Do = "add"
	// SetManager has an account that is there name the person's manager, or nobody.
	SetManager    Do = "set_manager"
	RemoveAccount Do = "remove_account"
	// Look changes nothing: it asks whether the account can be used, or, where people
	// make the changes, whether it has an entitlement.
	Look Do = "look"
)

// Change is one call to an app.
type Change struct {
	Do Do
	// Entitlement is what Add and Remove are about, and Look, if not the account.
	Entitlement ID
	// Profile is the fingerprint of the profile that UpdateAccount writes, and, of the
	// Result of CreateAccount and Look, of the one that an account was made with, or that
	// the person had when it was seen; empty if it is not known which.
	Profile string
	// Manager is the id of the account that SetManager writes; empty for nobody.
	Manager string
	// ManagerOf is, of the Result of CreateAccount and Look, who the person's manager was.
	ManagerOf ID
}

// takesAway reports whether the change ends access.
func (c Change) takesAway() bool { return c.Do == Remove || c.Do == RemoveAccount }

// Updates reports whether the changes are about nothing but what accounts say of their
// persons.
func Updates(plan []Change) bool {
	for _, c := range plan {
		if c.Do != UpdateAccount && c.Do != SetManager {
			return false
		}
	}
	return len(plan) > 0
}

// TakesAway reports whether any of the changes ends access.
func TakesAway(plan []Change) bool {
	for _, c := range plan {
		if c.takesAway() {
			return true
		}
	}
	return false
}

// Desired is what a person should have in an app.
type Desired struct {
	// Account means that there should be an account: it is the case as soon as
	// anything is wanted.
	Account bool
	// Entitlements are wanted besides the account.
	Entitlements Set
	// Keep means that an adopted account stays when nothing is wanted of it, and Look
	// that it must be known whether it is still there.
	Keep, Look bool
	// Profile is the fingerprint of the profile that the account should have; empty if
	// nobody writes it.
	Profile string
	// Manager is whom the account should name.
	Manager WantedManager
}

// DesiredBy is what the grants say a person should have: everything that at least
// one live grant gives, once.
func DesiredBy(grants []Grant) Desired {
	w := Desired{Entitlements: Set{}}
	for _, g := range grants {
		if !g.State.Live() {
			continue
		}
		w.Account = true
		if !g.Account {
			w.Entitlements[g.Entitlement] = struct{}{}
		}
	}
	return w
}

// Plan returns the changes that make the app be as it should, in the order in
// which to make them; none if it surely is. Nothing is changed that is surely
// as it should be. An account that nothing is wanted of goes as a whole; an adopted one
// loses only what was added while it is to be kept. A profile is written only into an
// account that something is wanted of; so is the manager, after everything else.
func Plan(w Desired, k Observed) []Change {
	if !w.Account {
		if k.Adopted && w.Keep {
			var plan []Change
			for _, e := range k.added() {
				plan = append(plan, Change{Do: Remove, Entitlement: e})
			}
			if w.Look && k.AccountInDoubt {
				plan = append(plan, Change{Do: Look})
			}
			return plan
		}
		if k.there() {
			return []Change{{Do: RemoveAccount}}
		}
		return nil
	}
	var plan []Change
	if !k.surelyThere() {
		plan = append(plan, Change{Do: CreateAccount})
	}
	if k.outdated(w.Profile) {
		plan = append(plan, Change{Do: UpdateAccount, Profile: w.Profile})
	}
	for _, e := range k.added() {
		if !w.Entitlements.Has(e) {
			plan = append(plan, Change{Do: Remove, Entitlement: e})
		}
	}
	for _, e := range w.Entitlements.Sorted() {
		if !k.surelyThere() || !k.Held.Has(e) {
			plan = append(plan, Change{Do: Add, Entitlement: e})
		}
	}
	if k.misnames(w.Manager) {
		plan = append(plan, Change{Do: SetManager, Manager: w.Manager.Account})
	}
	return plan
}

// novel reports whether plan has something that before had not. Making the
// account is not new: it is what a failed change to an account that turned out
// to be gone leads to.
func novel(plan, before []Change) bool {
	had := make(map[Change]struct{}, len(before))
	for _, c := range before {
		had[c] = struct{}{}
	}
	for _, c := range plan {
		if _, ok := had[c]; !ok && c.Do != CreateAccount {
			return true
		}
	}
	return false
}
