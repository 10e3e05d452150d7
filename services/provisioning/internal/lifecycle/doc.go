// Package lifecycle holds the rules of access: what should be in an app for one
// person, what is known to be there, what must change, and what follows for
// grants, work items and operations. It is pure: no time, no database, no
// network.
//
// Everything turns on a [Assignment]: one person in one app. After anything has
// changed, [Reconcile] looks at the assignment as it is now and returns what to do about
// it; it does not matter which event led there, how often or in which order.
//
// A grant:
//
//	           in place            user suspended
//	pending ------------> active ------------------> held
//	   |                  |    ^                      |  |
//	   |--------> failed -|----|----------------------'  |   active again: in place,
//	   | stuck       |    |    `-------------------------'   or stuck
//	   |             |    |
//	   |             |    |   ended, from any of them: revoke request, end time,
//	   v             v    v   user removed; given up, if it was never active
//	  revoking ---------------> revoked   once nothing of it can be left in the
//	                                      app, or another grant gives the same
//
// When a work item is reopened that a person has resolved by mistake, what it had put in
// place goes back to pending, held or failed, as it was, and what it had taken away from
// revoked to revoking ([Assignment.ReopenGrants]).
//
// While a user is suspended nothing of their grants should be in the app, and none
// comes into place; an end time that comes meanwhile ends its grant.
//
// An operation, of which an assignment has at most one that is not over:
//
//	queued --claimed--> running --all done-------------> done
//	  ^  ^                 |  |
//	  |  `---- passing ----'  `--- lasting, or tried --> stuck
//	  |        failure              8 times               | retried by a person,
//	  `----------------------------------------------------'  by something new to
//	queued, stuck --nothing left to change--> cancelled       do, and, while it
//	                                                          takes away, for ever
//
// A changed profile of the person, or another manager, is one more thing to bring into an
// account that is there and wanted. If that fails, it is as with other failures, but all that the
// account holds stays in place.
//
// What is known about an app is never more than what it said. Between a call
// and its answer, and for ever if the answer was lost, the outcome is in doubt
// ([Observed]), and doubt is resolved in the safe direction: what is in doubt
// is put in place again before a grant counts as active, and taken away before
// a grant counts as revoked.
package lifecycle
