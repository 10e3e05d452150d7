// Package due runs what is to happen at or after a time: a grant ends, somebody
// is warned or reminded, a session expires, a delivery is tried again.
//
// A service adds an [Item] in the transaction that makes it due ([Queue.Add]),
// registers a [Handler] for each kind, and runs the [Queue] as a task.
//
//	command ──tx──▶ rows + due ──time──▶ claim ──tx──▶ effect + delete
//
// What it guarantees:
//
//   - An item that was committed is handled at its time or later, whatever is
//     killed or away in between. What became due while nobody ran comes at once.
//   - Its effect and its removal are one transaction, so the effect happens once.
//     An item that is added again for the same kind and key replaces the one
//     before.
//   - Items are isolated. Several of one organization share a transaction because
//     that is cheap; if it fails, each is done again by itself. One that fails
//     is tried again after a pause that doubles each time, for ever. Items that
//     have failed are claimed apart from those that have not, and so never stand
//     in front of them; organizations are handled side by side.
//   - A claim is a lease: if its holder dies or hangs, another replica takes over.
//   - The time is that of the configured clock, never the database's.
//   - What is late is counted by kind (metrics gatehouse.due.*) and listed
//     ([Queue.Late]).
//
// What a handler must do for it: work in the transaction that it is given and
// nowhere else, and look at the present state of what the item is about, which
// may have changed since the item was added.
//
// It is not for work that calls other systems: that takes long and cannot be
// rolled back.
package due
