// Package store holds all SQL of approval. Its methods work in a transaction
// that the caller has begun, and map what the schema refuses to apierr.
//
// Ids are strings in the plain form; an id that is not set is empty.
package store
