package lifecycle

import (
	"slices"
	"strings"
)

// ItemKind is what a person must do.
type ItemKind string

// The kinds of work items.
const (
	ItemCreateAccount ItemKind = "create_account"
	ItemAssign        ItemKind = "assign"
	ItemUnassign      ItemKind = "unassign"
	ItemRemoveAccount ItemKind = "remove_account"
	ItemFixOperation  ItemKind = "fix_operation"
	ItemChangeSecret  ItemKind = "change_secret"
	// ItemAdoptAccount asks whether an account that was found is the person's.
	ItemAdoptAccount ItemKind = "adopt_account"
	// ItemRemoveLeftAccount is about accounts where no integration reaches.
	ItemRemoveLeftAccount ItemKind = "remove_left_account"
)

// manual reports whether an item of the kind stands for a change that an
// integration would make.
func (k ItemKind) manual() bool {
	switch k {
	case ItemCreateAccount, ItemAssign, ItemUnassign, ItemRemoveAccount:
		return true
	}
	return false
}

// List is the checklist that an item stands on.
type List string

// The checklists.
const (
	NoList      List = ""
	Onboarding  List = "onboarding"
	Offboarding List = "offboarding"
)

// Item is an open work item.
type Item struct {
	ID   ID
	Kind ItemKind
	// Entitlements are what it is about, in order.
	Entitlements []ID
	// Requests are those it serves, in order.
	Requests []ID
	List     List
	// Error is the last one of the operation to fix, or which accounts the item is about.
	Error string
	// Reopens is the resolved item that this one reopens; the zero ID if it is a new one
	// in itself.
	Reopens ID
}

// same reports whether two items are about the same thing to do, whatever their
// content.
func (i Item) same(o Item) bool {
	if i.Kind != o.Kind {
		return false
	}
	if i.Kind == ItemAssign || i.Kind == ItemUnassign {
		return slices.Equal(i.Entitlements, o.Entitlements)
	}
	return true
}

// Cancellation is an item that is not needed any more, and why.
type Cancellation struct {
	ID     ID
	Reason string
}

// Why items are dropped, in words for people.
const (
	ReasonLeft        = "the user has left"
	ReasonSuspended   = "the user is not active"
	ReasonNotWanted   = "the access is no longer wanted"
	ReasonInPlace     = "the access is in place"
	ReasonWantedAgain = "the access is wanted again"
	ReasonGone        = "the access is gone"
	ReasonAutomatic   = "an integration handles the app now"
	ReasonManual      = "the app is handled by hand now"
	ReasonShared      = "the app has one shared account now"
	ReasonLookAgain   = "the app is looked at again"
	ReasonFoundAgain  = "the account was found again"
	ReasonGivenUp     = "the request was given up"
	ReasonOpen        = "it is open again already"
	ReasonWhole       = "the whole account is to be removed"
	ReasonSameProfile = "the account has the person's profile"
	ReasonMadeAnew    = "the account is not there any more"
	ReasonTogether    = "another item asks for it, together with what was reopened"
)

// reconciled is what Reconcile has found out before it comes to the items.
type reconciled struct {
	want Desired
	know Observed
	// stuck means that the operation needs a person.
	stuck bool
	// late means that it takes something away, and that a person is to know that it waits.
	late bool
	// held and ended are the grants that are held, and revoked, now.
	held, ended []Grant
}

// reconcileItems decides about the work items. s has the grants as they are then.
func reconcileItems(s Assignment, out *Outcome, now reconciled) {
	wanted := wantedItems(s, out, now)
	for _, have := range s.Items {
		i := slices.IndexFunc(wanted, have.stays)
		if i >= 0 {
			next := wanted[i]
			wanted = slices.Delete(wanted, i, i+1)
			next.ID = have.ID
			if !next.equal(have) {
				out.Change = append(out.Change, next)
			}
			continue
		}
		switch {
		case have.Kind == ItemFixOperation && s.Operation.State == Succeeded, s.Saw && have.done(now.know):
			out.Resolve = append(out.Resolve, have.ID)
		case have.Kind == ItemChangeSecret, // only a person can know
			have.Kind == ItemFixOperation && fixing(s, out),
			have.Kind.manual() && undecided(s):
			if list := s.list(have.Kind, out.Plan); list != have.List {
				have.List = list
				out.Change = append(out.Change, have)
			}
		default:
			out.Cancellation = append(out.Cancellation, Cancellation{have.ID, cancelReason(s, have, now)})
		}
	}
	for i := range wanted {
		if n := slices.IndexFunc(s.Reopened, wanted[i].same); n >= 0 {
			wanted[i].Reopens = s.Reopened[n].ID
		}
	}
	out.Open = append(out.Open, wanted...)
}

// stays reports whether the open item is the one that is wanted.
func (i Item) stays(wanted Item) bool {
	if i.Kind == ItemRemoveLeftAccount {
		return i.ID == wanted.ID
	}
	return i.same(wanted)
}

func (i Item) equal(o Item) bool {
	return i.List == o.List && i.Error == o.Error &&
		slices.Equal(i.Entitlements, o.Entitlements) && slices.Equal(i.Requests, o.Requests)
}

// fixing reports whether an operation that needed a person is being tried again.
func fixing(s Assignment, out *Outcome) bool {
	switch s.Operation.State {
	case Queued, Stuck:
		return !out.Cancel
	case Running:
		return true
	}
	return false
}

// undecided reports whether it must be heard first what a running operation has
// done before people are asked to do anything.
func undecided(s Assignment) bool {
	return s.manual() && s.Operation.State == Running && !s.Operation.Looks
}

// wantedItems are the items that should be open, apart from those that only
// stay open.
func wantedItems(s Assignment, out *Outcome, now reconciled) []Item {
	var items []Item
	switch {
	case s.Mode == Unmanaged:
		if i, ok := secretItem(s, now.held, now.ended); ok {
			items = append(items, i)
		}
		items = append(items, manualItems(s, out.Plan, now.know)...)
	case s.manual() && !undecided(s):
		items = manualItems(s, out.Plan, now.know)
	case now.stuck, now.late:
		plan := out.Plan
		if !now.stuck {
			plan = slices.DeleteFunc(slices.Clone(plan), func(c Change) bool { return !c.takesAway() })
		}
		i := s.item(ItemFixOperation, plan, func(g Grant) bool { return slices.ContainsFunc(plan, g.concerned) })
		i.Error = s.failure()
		items = append(items, i)
	}
	if s.asks() {
		i := s.item(ItemAdoptAccount, nil, func(g Grant) bool { return g.State.Live() })
		i.Error = s.Found
		items = append(items, i)
	}
	if s.leaves(now.want, now.know) {
		items = append(items, s.item(ItemRemoveAccount, nil, func(g Grant) bool { return g.State == Revoking || g.State == Held }))
	}
	for _, i := range s.Reopened {
		// Only a person can know that it is to be done again.
		if i.Kind == ItemChangeSecret && !slices.ContainsFunc(slices.Concat(s.Items, items), i.same) {
			i.List = s.list(i.Kind, nil)
			items = append(items, i)
		}
	}
	if i, ok := s.leftItem(); ok {
		items = append(items, i)
	}
	return items
}

// leftItem is about the accounts that are left behind. One that is open, whose ID it has
// then, never comes to show more of them: somebody may be at it who has not seen those.
// They wait for an item of their own, which follows it.
func (s Assignment) leftItem() (Item, bool) {
	var open ID
	show := s.LeftBehind
	shown := func(i Item) []string {
		if i.Kind != ItemRemoveLeftAccount {
			return nil
		}
		return slices.DeleteFunc(slices.Clone(s.LeftBehind), func(place string) bool { return !i.Shows(place) })
	}
	if !slices.ContainsFunc(s.Reopened, func(i Item) bool { return len(shown(i)) > 0 }) {
		for _, have := range s.Items {
			if places := shown(have); len(places) > 0 {
				open, show = have.ID, places
			}
		}
	}
	if len(show) == 0 {
		return Item{}, false
	}
	i := s.item(ItemRemoveLeftAccount, nil, func(g Grant) bool { return g.State == Revoking || g.State == Held })
	i.ID, i.Error = open, strings.Join(show, between)
	return i, true
}

// between stands between the places that an item shows.
const between = "; "

// Shows reports whether an item about accounts that are left behind is about the one at a
// place.
func (i Item) Shows(place string) bool {
	return i.Kind == ItemRemoveLeftAccount && strings.Contains(between+i.Error+between, between+place+between)
}

// secretItem reminds of the shared secret when somebody who used it has left, or is
// suspended.
func secretItem(s Assignment, held, ended []Grant) (Item, bool) {
	if !s.away() {
		return Item{}, false
	}
	i := Assignment{Leaving: true, Grants: slices.Concat(held, ended)}.item(ItemChangeSecret, nil, func(g Grant) bool { return g.WasActive })
	if len(i.Entitlements) == 0 {
		return Item{}, false
	}
	for _, have := range s.Items {
		if have.Kind == ItemChangeSecret {
			i.Entitlements = NewSet(i.Entitlements...).plus(have.Entitlements...).Sorted()
			i.Requests = NewSet(i.Requests...).plus(have.Requests...).Sorted()
		}
	}
	return i, true
}

// manualItems are the plan as items for people: making an account names all
// that it should have.
func manualItems(s Assignment, plan []Change, know Observed) []Item {
	var items []Item
	create := false
	for _, c := range plan {
		if _, said := s.saidGone(c, know); said && !s.Operation.Failing {
			continue // it is looked at first
		}
		switch c.Do {
		case CreateAccount:
			create = true
			i := s.item(ItemCreateAccount, plan, func(g Grant) bool { return g.State.Live() })
			if know.Found {
				i.Error = s.Found
			}
			items = append(items, i)
		case Add:
			if create {
				continue
			}
			i := s.item(ItemAssign, plan, func(g Grant) bool { return g.State.Live() && g.concerned(c) })
			i.Entitlements = []ID{c.Entitlement}
			items = append(items, i)
		case Remove:
			i := s.item(ItemUnassign, plan, func(g Grant) bool { return g.State == Revoking && g.concerned(c) })
			i.Entitlements = []ID{c.Entitlement}
			items = append(items, i)
		case RemoveAccount:
			i := s.item(ItemRemoveAccount, plan, func(g Grant) bool { return g.State == Revoking || g.State == Held })
			i.Entitlements = know.Held.plus(know.InDoubt.Sorted()...).plus(i.Entitlements...).Sorted()
			if know.Found {
				i.Error = s.Found
			}
			items = append(items, i)
		}
	}
	if s.Operation.Failing {
		for n := range items {
			if items[n].Error == "" && (items[n].Kind == ItemUnassign || items[n].Kind == ItemRemoveAccount) {
				items[n].Error = "the app's integration cannot look: " + s.Operation.Error
			}
		}
	}
	return items
}

// list is the checklist that an item of a kind stands on: it is about accounts,
// whatever gave them. Those to be made are onboarding; all that is to be done about
// somebody who is not there any more is offboarding.
func (s Assignment) list(kind ItemKind, plan []Change) List {
	switch {
	case s.away():
		return Offboarding
	case kind == ItemCreateAccount, kind == ItemAdoptAccount, kind == ItemFixOperation && slices.Contains(plan, Change{Do: CreateAccount}):
		return Onboarding
	}
	return NoList
}

// item makes an item about the grants chosen.
func (s Assignment) item(kind ItemKind, plan []Change, about func(Grant) bool) Item {
	i := Item{Kind: kind, List: s.list(kind, plan)}
	entitlements, requests := Set{}, Set{}
	for _, g := range s.Grants {
		if !about(g) {
			continue
		}
		entitlements[g.Entitlement] = struct{}{}
		requests[g.Request] = struct{}{}
	}
	i.Entitlements, i.Requests = entitlements.Sorted(), requests.Sorted()
	return i
}

// concerned reports whether the change is what the grant waits for.
func (g Grant) concerned(c Change) bool {
	switch c.Do {
	case CreateAccount:
		return g.State.waits()
	case RemoveAccount:
		return g.State == Revoking || g.State == Held
	case Add:
		return g.State.Live() && !g.Account && g.Entitlement == c.Entitlement
	case Remove:
		return g.State == Revoking && !g.Account && g.Entitlement == c.Entitlement
	}
	return false
}

// gaveUp reports whether an item served a grant that was given up.
func (i Item) gaveUp(grants ...[]Grant) bool {
	for _, g := range slices.Concat(grants...) {
		if g.GivenUp && slices.Contains(i.Requests, g.Request) {
			return true
		}
	}
	return false
}

func cancelReason(s Assignment, i Item, now reconciled) string {
	want := now.want
	switch {
	case slices.ContainsFunc(s.LeftBehind, i.Shows):
		return ReasonTogether
	case i.Kind == ItemRemoveLeftAccount:
		return ReasonFoundAgain
	case (i.Kind == ItemFixOperation || i.Kind == ItemAdoptAccount) && s.manual():
		return ReasonManual
	case s.Mode == Unmanaged:
		return ReasonShared
	case i.Kind == ItemAdoptAccount && want.Account:
		return ReasonLookAgain
	case i.Kind == ItemRemoveAccount && s.Observed.Adopted && !s.away():
		return ReasonWantedAgain
	case i.Kind.manual() && s.Mode == Automatic:
		return ReasonAutomatic
	}
	comes := i.Kind == ItemCreateAccount || i.Kind == ItemAssign || i.Kind == ItemAdoptAccount
	still := want.Account
	if i.Kind == ItemAssign || i.Kind == ItemUnassign {
		still = len(i.Entitlements) > 0 && want.Entitlements.Has(i.Entitlements[0])
	}
	switch {
	case i.Kind == ItemAssign && still && !now.know.surelyThere():
		return ReasonMadeAnew
	case comes && still:
		return ReasonInPlace
	case comes && s.Leaving:
		return ReasonLeft
	case comes && s.Suspended:
		return ReasonSuspended
	case comes && i.gaveUp(s.Grants, now.ended):
		return ReasonGivenUp
	case comes:
		return ReasonNotWanted
	case i.Kind == ItemFixOperation && s.Leaving:
		return ReasonLeft
	case i.Kind == ItemFixOperation && i.gaveUp(s.Grants, now.ended):
		return ReasonGivenUp
	case i.Kind == ItemFixOperation && Updates(s.Operation.Plan) && want.Account:
		return ReasonSameProfile
	case i.Kind == ItemFixOperation:
		return ReasonNotWanted
	case still:
		return ReasonWantedAgain
	}
	return ReasonGone
}

// fixed returns what is known after a person has done by hand what the operation
// could not. What should be there is believed; what should be gone is in doubt until
// the app was asked, unless theirs is the last word.
func (s Assignment) fixed(k Observed, want Desired) Observed {
	if !want.Account {
		for _, c := range Plan(want, k) {
			if s.LastWord {
				k = k.Did(c, Absent)
			} else {
				k = k.Tried(c)
			}
		}
		return k
	}
	doubt := k.InDoubt.plus(k.added()...)
	for e := range want.Entitlements {
		doubt = doubt.minus(e)
	}
	for e := range k.Had {
		doubt = doubt.minus(e)
	}
	return Observed{
		Account: Active, Held: want.Entitlements.plus(k.Had.Sorted()...), InDoubt: doubt, Adopted: k.Adopted, Had: k.Had,
		Profile: want.Profile, Manager: k.Manager.fixed(want.Manager),
	}
}

// Resolve returns what is known after a person has done what the open item
// asks for. left is what is left of an account that was removed.
func (s Assignment) Resolve(id ID, left AccountState) Observed {
	k := s.Observed
	want := s.desired()
	for _, i := range s.Items {
		if i.ID != id {
			continue
		}
		switch i.Kind {
		case ItemAdoptAccount:
			k = k.Adopt()
		case ItemCreateAccount:
			found := k.Found
			k = k.Did(Change{Do: CreateAccount}, left)
			// One that was found before it was to be made is not made for it; if such
			// accounts are refused, another was made.
			k.Adopted, k.Had, k.Profile, k.ProfileInDoubt, k.Manager = found && s.Ask, nil, "", false, Manager{}
			for _, e := range want.Entitlements.Sorted() {
				k = k.Did(Change{Do: Add, Entitlement: e}, left)
			}
		case ItemAssign:
			for _, e := range i.Entitlements {
				k = k.Did(Change{Do: Add, Entitlement: e}, left)
			}
		case ItemUnassign:
			for _, e := range i.Entitlements {
				if c := (Change{Do: Remove, Entitlement: e}); s.sees(e) {
					k = k.Tried(c)
				} else {
					k = k.Did(c, left)
				}
			}
		case ItemRemoveAccount:
			switch {
			case k.Found: // whether it was theirs or not, there is none of theirs now
				k = Observed{Account: Absent}
			case s.LastWord:
				k = Observed{Account: Absent}
			case s.Mode == Automatic, s.looks() && !s.Questioned:
				k = k.Tried(Change{Do: RemoveAccount})
			default:
				k = Observed{Account: left}
			}
		case ItemFixOperation:
			if k.Found && !want.Account { // whether it was theirs or not, there is none of theirs now
				k = Observed{Account: Absent}
			} else {
				k = s.fixed(k, want)
			}
		case ItemChangeSecret, ItemRemoveLeftAccount: // nothing that is known of the app
		}
	}
	return k
}
