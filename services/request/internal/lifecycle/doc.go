// Package lifecycle holds the rules of requests: what can be requested, how a
// request and its items change state, and when a request is done. It is pure: no database, no clock.
//
//	submitted -> pending -> approved -> fulfilled
//	     |          |           `-----> cancelled  (an item was cancelled: the beneficiary has left; or given up)
//	     |          |-> denied
//	     `----------`-> cancelling -> cancelled
//	                         `-----> approved      (the last approval came first)
//
// Events arrive in any order, so a move is allowed from every state that the
// missed ones would have led through; a closed request never moves again.
package lifecycle
