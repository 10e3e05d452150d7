package lifecycle

import "slices"

// ItemKind is what a person must do.
type ItemKind uint8

// The kinds of work items.
const (
	CreateByHand ItemKind = iota + 1
	AssignByHand
	UnassignByHand
	RemoveByHand
	Mend
	ChangeSecret
)

// byHand tells whether an item of the kind stands for a change that an
// integration would make.
func (k ItemKind) byHand() bool { return k >= CreateByHand && k <= RemoveByHand }

// List is the checklist that an item stands on.
type List uint8

// The checklists.
const (
	NoList List = iota
	Onboarding
	Offboarding
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
	// Error is the last one of the operation to mend.
	Error string
}

// same tells whether two items are about the same thing to do, whatever their
// content.
func (i Item) same(o Item) bool {
	if i.Kind != o.Kind {
		return false
	}
	if i.Kind == AssignByHand || i.Kind == UnassignByHand {
		return slices.Equal(i.Entitlements, o.Entitlements)
	}
	return true
}

// Drop is an item that is not needed any more, and why.
type Drop struct {
	ID     ID
	Reason string
}

// Why items are dropped, in words for people.
const (
	ReasonLeft        = "the user has left"
	ReasonNotWanted   = "the access is no longer wanted"
	ReasonInPlace     = "the access is in place"
	ReasonWantedAgain = "the access is wanted again"
	ReasonGone        = "the access is gone"
	ReasonAutomatic   = "an integration handles the app now"
	ReasonByHand      = "the app is handled by hand now"
	ReasonShared      = "the app has one shared account now"
)

// settled is what Settle has found out before it comes to the items.
type settled struct {
	want Want
	know Knowledge
	// stuck says that the operation needs a person.
	stuck bool
	// ended are the grants that are revoked now.
	ended []Grant
}

// settleItems decides about the work items. s has the grants as they are then.
func settleItems(s Seat, out *Outcome, now settled) {
	wanted := wantedItems(s, out, now)
	for _, have := range s.Items {
		i := slices.IndexFunc(wanted, have.same)
		if i >= 0 {
			next := wanted[i]
			wanted = slices.Delete(wanted, i, i+1)
			next.ID = have.ID
			if next.List == NoList {
				next.List = have.List
			}
			if !next.equal(have) {
				out.Change = append(out.Change, next)
			}
			continue
		}
		switch {
		case have.Kind == Mend && s.Operation.State == Succeeded:
			out.Resolve = append(out.Resolve, have.ID)
		case have.Kind == ChangeSecret, // only a person can know
			have.Kind == Mend && mending(s, out),
			have.Kind.byHand() && undecided(s):
			if s.Leaving && have.List != Offboarding {
				have.List = Offboarding
				out.Change = append(out.Change, have)
			}
		default:
			out.Drop = append(out.Drop, Drop{have.ID, dropReason(s, have, now.want)})
		}
	}
	out.Open = append(out.Open, wanted...)
}

func (i Item) equal(o Item) bool {
	return i.List == o.List && i.Error == o.Error &&
		slices.Equal(i.Entitlements, o.Entitlements) && slices.Equal(i.Requests, o.Requests)
}

// mending tells whether an operation that needed a person is being tried again.
func mending(s Seat, out *Outcome) bool {
	switch s.Operation.State {
	case Queued, Stuck:
		return !out.Cancel
	case Running:
		return true
	}
	return false
}

// undecided tells whether it must be heard first what a running operation has
// done before people are asked to do anything.
func undecided(s Seat) bool { return s.Mode == Manual && s.Operation.State == Running }

// wantedItems are the items that should be open, apart from those that only
// stay open.
func wantedItems(s Seat, out *Outcome, now settled) []Item {
	var items []Item
	switch {
	case s.Mode == Shared:
		if i, ok := secretItem(s, now.ended); ok {
			items = append(items, i)
		}
	case s.Mode == Manual && !undecided(s):
		items = itemsByHand(s, out.Plan, now.know)
	case now.stuck:
		i := s.item(Mend, func(g Grant) bool { return slices.ContainsFunc(out.Plan, g.concerned) })
		i.Error = s.Operation.Error
		items = append(items, i)
	}
	return items
}

// secretItem reminds of the shared secret when somebody who used it has left.
func secretItem(s Seat, ended []Grant) (Item, bool) {
	if !s.Leaving {
		return Item{}, false
	}
	i := Seat{Leaving: true, Grants: ended}.item(ChangeSecret, func(g Grant) bool { return g.WasActive })
	if len(i.Entitlements) == 0 {
		return Item{}, false
	}
	for _, have := range s.Items {
		if have.Kind == ChangeSecret {
			i.Entitlements = NewSet(i.Entitlements...).plus(have.Entitlements...).Sorted()
			i.Requests = NewSet(i.Requests...).plus(have.Requests...).Sorted()
		}
	}
	return i, true
}

// itemsByHand are the plan as items for people: making an account names all
// that it should have.
func itemsByHand(s Seat, plan []Change, know Knowledge) []Item {
	var items []Item
	create := false
	for _, c := range plan {
		switch c.Do {
		case CreateAccount:
			create = true
			items = append(items, s.item(CreateByHand, func(g Grant) bool { return g.State.Live() }))
		case Add:
			if create {
				continue
			}
			i := s.item(AssignByHand, func(g Grant) bool { return g.State.Live() && g.concerned(c) })
			i.Entitlements = []ID{c.Entitlement}
			items = append(items, i)
		case Remove:
			i := s.item(UnassignByHand, func(g Grant) bool { return g.State == Revoking && g.concerned(c) })
			i.Entitlements = []ID{c.Entitlement}
			items = append(items, i)
		case RemoveAccount:
			i := s.item(RemoveByHand, func(g Grant) bool { return g.State == Revoking })
			i.Entitlements = know.Held.plus(know.Doubt.Sorted()...).plus(i.Entitlements...).Sorted()
			items = append(items, i)
		}
	}
	return items
}

// item makes an item about the grants chosen.
func (s Seat) item(kind ItemKind, about func(Grant) bool) Item {
	i := Item{Kind: kind}
	entitlements, requests := Set{}, Set{}
	for _, g := range s.Grants {
		if !about(g) {
			continue
		}
		entitlements[g.Entitlement] = struct{}{}
		requests[g.Request] = struct{}{}
		if g.Join && g.State.Live() {
			i.List = Onboarding
		}
	}
	if s.Leaving {
		i.List = Offboarding
	}
	i.Entitlements, i.Requests = entitlements.Sorted(), requests.Sorted()
	return i
}

// concerned tells whether the change is what the grant waits for.
func (g Grant) concerned(c Change) bool {
	switch c.Do {
	case CreateAccount:
		return g.State == Pending || g.State == Failed
	case RemoveAccount:
		return g.State == Revoking
	case Add:
		return g.State.Live() && !g.Account && g.Entitlement == c.Entitlement
	case Remove:
		return g.State == Revoking && !g.Account && g.Entitlement == c.Entitlement
	}
	return false
}

func dropReason(s Seat, i Item, want Want) string {
	switch {
	case i.Kind == Mend && s.Mode == Manual:
		return ReasonByHand
	case s.Mode == Shared:
		return ReasonShared
	case i.Kind.byHand() && s.Mode == Automatic:
		return ReasonAutomatic
	}
	comes := i.Kind == CreateByHand || i.Kind == AssignByHand
	still := want.Account
	if i.Kind == AssignByHand || i.Kind == UnassignByHand {
		still = len(i.Entitlements) > 0 && want.Entitlements.Has(i.Entitlements[0])
	}
	switch {
	case comes && still:
		return ReasonInPlace
	case comes && s.Leaving:
		return ReasonLeft
	case comes:
		return ReasonNotWanted
	case i.Kind == Mend && s.Leaving:
		return ReasonLeft
	case i.Kind == Mend:
		return ReasonNotWanted
	case still:
		return ReasonWantedAgain
	}
	return ReasonGone
}

// Resolve returns what is known after a person has done what the open item
// asks for. left is what is left of an account that was removed.
func (s Seat) Resolve(id ID, left AccountState) Knowledge {
	k := s.Know
	want := WantOf(s.Grants)
	for _, i := range s.Items {
		if i.ID != id {
			continue
		}
		switch i.Kind {
		case CreateByHand:
			k = k.Did(Change{Do: CreateAccount}, left)
			for _, e := range want.Entitlements.Sorted() {
				k = k.Did(Change{Add, e}, left)
			}
		case AssignByHand:
			for _, e := range i.Entitlements {
				k = k.Did(Change{Add, e}, left)
			}
		case UnassignByHand:
			for _, e := range i.Entitlements {
				k = k.Did(Change{Remove, e}, left)
			}
		case RemoveByHand:
			k = Knowledge{Account: left}
		case Mend:
			if want.Account {
				k = Knowledge{Account: Active, Held: want.Entitlements}
			} else {
				k = Knowledge{Account: left}
			}
		case ChangeSecret: // nothing that belongs to the person
		}
	}
	return k
}
