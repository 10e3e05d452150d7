package lifecycle

import "slices"

// State is where a request stands.
type State string

// The states of a request.
const (
	Submitted  State = "submitted"
	Pending    State = "pending"
	Approved   State = "approved"
	Fulfilled  State = "fulfilled"
	Denied     State = "denied"
	Cancelling State = "cancelling"
	Cancelled  State = "cancelled"
	// PartlyFulfilled says that some items are fulfilled and others never will be.
	PartlyFulfilled State = "partly_fulfilled"
)

// Closed says whether a request in this state will never move again.
func (s State) Closed() bool {
	return s == Fulfilled || s == Denied || s == Cancelled || s == PartlyFulfilled
}

// from lists the states that each state may be entered from.
var from = map[State][]State{
	Pending:    {Submitted},
	Approved:   {Submitted, Pending, Cancelling},
	Fulfilled:  {Submitted, Pending, Approved, Cancelling},
	Denied:     {Submitted, Pending, Approved, Cancelling},
	Cancelling: {Submitted, Pending},
	Cancelled:  {Submitted, Pending, Cancelling, Approved},

	PartlyFulfilled: {Submitted, Pending, Approved, Cancelling},
}

// From lists the states that to may be entered from, for a guard in SQL.
func From(to State) []string {
	out := make([]string, 0, len(from[to]))
	for _, s := range from[to] {
		out = append(out, string(s))
	}
	return out
}

// CanMove says whether a request may go from one state to another.
func CanMove(s, to State) bool { return slices.Contains(from[to], s) }

// Item is where one item of a request stands.
type Item string

// The states of an item.
const (
	ItemPending   Item = "pending"
	ItemApproved  Item = "approved"
	ItemFulfilled Item = "fulfilled"
	ItemFailed    Item = "failed"
	ItemCancelled Item = "cancelled"
	ItemGivenUp   Item = "given_up"
	ItemDenied    Item = "denied"
)

// Open says whether something is still to be done for the item.
func (i Item) Open() bool {
	return i != ItemFulfilled && i != ItemCancelled && i != ItemGivenUp && i != ItemDenied
}

// CanGiveUp says whether the item is approved and, as far as is known, not in place.
func (i Item) CanGiveUp() bool { return i == ItemApproved || i == ItemFailed }

var itemFrom = map[Item][]Item{
	ItemApproved:  {ItemPending},
	ItemFulfilled: {ItemPending, ItemApproved, ItemFailed},
	ItemFailed:    {ItemPending, ItemApproved},
	ItemCancelled: {ItemPending, ItemApproved, ItemFailed},
	ItemGivenUp:   {ItemPending, ItemApproved, ItemFailed},
	ItemDenied:    {ItemPending},
}

// CanMoveItem says whether an item may go from one state to another.
func CanMoveItem(i, to Item) bool { return slices.Contains(itemFrom[to], i) }

// CanReopenItem says whether an item of a request goes back to a state because a person
// had said by mistake that it is in place. A closed request stays as it is.
func CanReopenItem(s State, i, to Item) bool {
	return !s.Closed() && i == ItemFulfilled && (to == ItemApproved || to == ItemFailed)
}

// Outcome says how a request stands now that its items stand as they do: closed, if
// nothing is left to be done; approved, if nothing is left to be decided; else it stays as
// it is (ok is false).
func Outcome(items []Item) (to State, ok bool) {
	count := make(map[Item]int)
	open := 0
	for _, i := range items {
		count[i]++
		if i.Open() {
			open++
		}
	}
	switch {
	case count[ItemPending] > 0:
		return "", false
	case open > 0:
		return Approved, true
	case count[ItemFulfilled] > 0 && count[ItemFulfilled] == len(items):
		return Fulfilled, true
	case count[ItemFulfilled] > 0:
		return PartlyFulfilled, true
	case count[ItemDenied] > 0:
		return Denied, true
	}
	return Cancelled, true
}
