// Package store holds all SQL of approval. Its methods work in a transaction
// that the caller has begun and see what its scope allows.
//
// An approval is one row: its steps, tasks and decisions are encoded in a column
// ([Store.Load], [Store.Save]). The table task holds what finds an approval by
// a task or by a reviewer, and the constraints on tasks.
//
// Ids are strings in the plain form; an id that is not set is empty. An empty
// environment id is the organization itself.
package store
