// Package id makes and reads the ids of everything Gatehouse keeps.
//
// Every id is a UUID of version 7: unique without asking anybody, and sorted
// by the time it was made, so that new rows land next to each other in an
// index. An id is no secret and its order is no proof: do not use one as a
// token, and do not derive from two ids which thing came first.
package id
