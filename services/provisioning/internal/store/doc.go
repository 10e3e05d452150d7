// Package store holds all SQL of provisioning.
//
// A [Assignment] is one person in one app with everything that is open about it.
// [Load] reads assignments under their locks, in an order that is the same for
// everybody, in one round trip however many they are; its callers change them
// in memory, and [Save] writes what changed, again in one. Whatever
// belongs to an assignment is written in no other way, so nobody ever decides on what
// another has just changed.
//
// Functions take the transaction; whose rows they see is the transaction's
// business.
package store
