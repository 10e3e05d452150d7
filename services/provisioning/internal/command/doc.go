// Package command is what can be done: it loads assignments, changes them by the
// rules of lifecycle, saves them, and emits what has become of each grant. It also
// runs the operations that follow.
//
// It is level-triggered. An event, a call, an end time or the result of an
// operation is written down first; then, in the same transaction, each assignment
// that it touches is reconciled: lifecycle.Reconcile looks at the assignment as it
// is now and returns what follows. Events that come twice or in another order
// therefore lead to the same end. A crash loses nothing: what was not committed did
// not happen, and what was committed is enough to go on from.
//
//	approval.granted ─┐                                              ┌─▶ events
//	ResolveWorkItems ─┤                                              ├─▶ work items, checklists
//	due: grant_end   ─┼─▶ load (locks) ─▶ change ─▶ reconcile ─▶ save ┼─▶ due items
//	due: reconcile   ─┤                                              └─▶ operation: running if there is
//	result of an     ─┘                                                   room, else queued
//	operation                                                                 │ commit     │ claim
//	   ▲──────────────────────── goroutine that calls the app ◀───────────────┴────────────┘
//
// The number of statements is what costs, so what arrives together is saved
// together: approvals that are next to each other in the stream, and operations
// that end while others are being recorded, share a transaction with one statement
// for each table. Nothing waits for others to arrive. A shared transaction that
// fails is repeated for each part by itself.
//
// Guarantees:
//
//   - Everything about an assignment is changed under the lock of its row in
//     account, one change after the other, in any number of replicas.
//   - An assignment has at most one outstanding operation, so calls for one person
//     in one app never overlap. A replica runs it under a lease, written by the
//     transaction that started it, and ends its calls well before the lease ends. If
//     the replica dies, the result of its calls is in doubt, and another replica
//     repeats or undoes them. A result that is reported after the lease was given to
//     another replica is ignored.
//   - No call to an app is made inside a transaction.
//   - A removal is tried for ever.
//   - What cannot be saved for one assignment holds up no other: ends of grants,
//     leavers and changes of an app's settings are items of the due-queue, one for
//     each grant or account; operations are claimed, recorded and taken over each by
//     itself if that fails together.
//   - Rules about time go by the configured clock, never by the database's.
//
// A changeset locks all its rows in one order, the same for all. A transaction of
// several events may hold several changesets, so two replicas can still wait for
// each other; the database ends that, and one of them is repeated.
package command
