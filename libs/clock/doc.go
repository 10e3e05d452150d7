// Package clock gives the time to code that must be tested at other times:
// expiry, deadlines, delegations.
//
// Times are UTC and whole microseconds, which is what PostgreSQL keeps, so a
// time read back from a row equals the one that was written. The package does
// not do timers; use the time package, or testing/synctest in tests.
package clock
