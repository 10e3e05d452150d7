// Package lifecycle holds the rules of users in the directory: how a user
// joins, changes, is suspended, leaves and joins again, which events that emits,
// and that an organization keeps an admin. It is pure: no clock, no database, no
// ids of its own making.
//
// A user:
//
//	          joins, active
//	(none) ---------------------> active <----------.
//	    |                         |    ^            |
//	    | joins,        suspended |    | activated  |
//	    | suspended               v    |            | joins again,
//	    `---------------------> suspended           | active
//	                              |    ^            |
//	                       leaves |    | joins      |
//	   (also from active)         |    | again,     |
//	                              v    | suspended  |
//	                            removed ------------'
//
// Who was suspended for too long is removed all the same, and still there for their
// source: it may switch them on, by which they join again, or remove them for good.
//
// Events of the aggregate user:
//
//	joined     the user is active for the first time in this join count
//	updated    something that others see has changed, and what
//	suspended  suspended, also when the user joins suspended
//	removed    left
//
// What is guaranteed, whatever is called in whatever order:
//
//   - A join count is joined at most once, and before the user acts in it: a user
//     who joins suspended emits joined when they are activated.
//   - Joining again after having joined starts the next join count, with the role
//     member: earlier rights do not return by themselves.
//   - Every event has a version of its own, one higher than the one before.
//   - A user who is not active has no session; one who has left has no tokens and
//     no groups either.
//   - A change that takes the last active admin away is refused (see [KeepAdmin]).
package lifecycle
