// Package store holds all SQL of the request service. Its functions work in a
// transaction that the caller has begun and see what its scope allows. Broken
// constraints become errors of the package.
//
// Requests are read and locked ([Load], [LockOpen], [LockVisible]), changed in
// memory where the lifecycle allows it, and saved as a set ([Changes]).
package store
