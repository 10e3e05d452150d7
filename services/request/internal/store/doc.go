// Package store holds all SQL of the request service. Its functions work in a
// transaction that the caller has scoped to an organization, change what the
// lifecycle allows and nothing else, and turn broken constraints into errors
// for callers.
//
// Requests are read and locked ([Load], [Open], [VisibleLocked]), changed in
// memory, and written as a set ([Changes]).
package store
