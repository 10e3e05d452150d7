// Package lifecycle holds the rules of people in the directory: how somebody
// comes, changes, is switched off, leaves and comes back, what is told of it,
// and that an organization keeps an admin. It is pure: no clock, no database,
// no ids of its own making.
//
// A user:
//
//	           came, switched on
//	(nobody) ---------------------> active <-----------.
//	    |                           |    ^             |
//	    | came,        switched off |    | switched on |
//	    | switched off              v    |             | came back,
//	    `-----------------------> suspended            | switched on
//	                                |    ^             |
//	                           left |    | came back,  |
//	     (active leaves likewise)   v    | switched off|
//	                               removed ------------'
//
// What is told (events of the aggregate user):
//
//	joined     the person is here and active for the first time in this join count
//	updated    something that others may see changed, and what
//	suspended  switched off, also when that is how somebody comes
//	removed    left
//
// What is guaranteed, whatever is called in whatever order:
//
//   - A join count is joined at most once, and joined before anybody acts in it:
//     somebody who comes switched off joins when switched on.
//   - Coming back after having joined starts the next join count, with the role
//     member: what one could do before does not come back by itself.
//   - Every event has a version of its own, one higher than the one before.
//   - Who is not active has no session; who left has no tokens and no groups
//     either.
//   - What takes the last active admin away is refused (see [KeepAdmin]).
package lifecycle
