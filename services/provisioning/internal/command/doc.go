// Package command is the engine: it makes what is in the apps be what the grants
// say, and says what has become of each grant.
//
// It is level-triggered. Whatever happens (a grant is opened or ends, a person
// resolves a work item, an integration reports, an app changes how it is
// handled, somebody leaves) is written down first; then, in the same
// transaction, each seat that it touches is settled: lifecycle.Settle looks at
// the seat as it is now and says what follows. Events that come twice or in
// another order therefore lead to the same end, and so does dying at any line:
// what a transaction did not commit did not happen, and what it did is enough
// to go on from.
//
//	approval.granted ─┐                                          ┌─▶ events
//	user.removed     ─┤                                          ├─▶ work items, checklists
//	resolve          ─┼─▶ lock seats ─▶ change ─▶ settle ─▶ save ┼─▶ operation: running, if there is room,
//	end time         ─┤                                          │        │     or else queued
//	settings         ─┤                                          │        │ commit      │ claim
//	answers of apps  ─┘◀──────────────────────────────────────── │ ── workers ◀────────┘ ─▶ app
//
// What costs is the number of statements, so all that comes together is done
// together: approvals that stand next to each other in the stream, and runs of
// operations that end while others are written down, are one unit of work with
// one statement for each table. Nobody waits for company. A unit of one is as
// quick as can be; one that fails is done again without whoever is to blame, or
// each part by itself.
//
// Guarantees:
//
//   - All that happens to a seat happens under the lock of its row in account,
//     one thing after the other, in any number of replicas.
//   - A seat has one outstanding operation at most, so that calls for one
//     person in one app never meet. Whoever runs it holds a lease, which the
//     transaction that took it up has written: they end their calls well before
//     it ends, or make none. If they die, the outcome of their calls is in doubt
//     and the calls are made again or undone. What a run reports after its
//     lease was given to another is not heard.
//   - No call is made inside a transaction.
//   - A removal is tried for ever.
//
// A unit locks all its rows in one order, the same for all. A transaction of
// several events may hold several units, so two replicas can still wait for each
// other; the database breaks that and the loser is done again.
package command
