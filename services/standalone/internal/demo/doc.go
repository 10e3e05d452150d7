// Package demo loads the organization "Demo" through the public API — sign-up,
// SCIM and REST — so that the first minute shows something real, and runs the
// small SCIM app that the organization provisions into.
//
// Loading is done again at every start and adds what is missing, so a start
// that was interrupted is made up for by the next, and what people have changed
// since stays.
package demo
