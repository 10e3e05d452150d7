// Package lifecycle holds the rules of requests: what can be requested, how a
// request and its items change state, and when a request is done. It is pure: no database, no clock.
//
//	submitted -> pending -> approved -> fulfilled, or partly_fulfilled, denied, cancelled
//	     |          |-----------------> denied, cancelled   (no item is approved)
//	     `----------`-> cancelling ---> cancelled
//	                         `--------> approved, ...       (items were decided before)
//
// Each item goes its own way: pending, approved, fulfilled; denied, cancelled, failed or
// given up. When the last one is decided the request is approved or closed, and when the
// last one has ended it is closed: fulfilled if all of them are, partly fulfilled if some
// are, else denied if one is, else cancelled.
//
// Events arrive in any order, so a move is allowed from every state that the
// missed ones would have led through; a closed request never moves again.
package lifecycle
