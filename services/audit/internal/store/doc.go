// Package store is all SQL of the audit service. There is no statement that
// changes or removes a row, and the tables would refuse it.
//
// Row-level security compares the organization as text, which no index helps
// with; so the lists name the organization once more.
package store
