// Package access is the engine: it makes what is in the apps be what the grants
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
//	resolve          ─┼─▶ lock seats ─▶ change ─▶ settle ─▶ save ┼─▶ operation, queued
//	end time         ─┤                                          │        │ claim
//	settings         ─┤                                          │        ▼
//	answer of an app ─┘◀──────────────────────────────────────── │ ── workers ─▶ app
//
// Guarantees:
//
//   - All that happens to a seat happens under the lock of its row in account,
//     one thing after the other, in any number of replicas.
//   - A seat has one outstanding operation at most, so that calls for one
//     person in one app never meet. Whoever runs it holds a lease; if they die,
//     the outcome of its calls is in doubt and the calls are made again or
//     undone. What a run reports after its lease was given to another is not
//     heard.
//   - No call is made inside a transaction.
//   - A removal is tried for ever.
//
// A transaction that touches several seats locks them in one order. Events are
// handled many to a transaction, and each locks its own, so two replicas can
// still wait for each other; the database breaks that and the loser is done
// again.
package access
