// Package secretbox encrypts what Gatehouse must keep but nobody may read in
// the database: an integration's credentials, a one-time secret on its way to
// its owner.
//
// It guarantees that a sealed value opens only with the key it was sealed
// with, only unaltered, and only for the same associated data. Callers pass as
// associated data what the value belongs to (organization and row id), so that
// a sealed value copied into another row does not open there.
//
// Keys can be rotated: a [Box] seals with its first key and opens with any of
// its keys. The cipher is AES-256-GCM with a random 96-bit nonce; a key should
// be replaced before it has sealed 2^32 values.
//
// It does not store keys, does not fetch them, and does not wipe memory.
package secretbox
