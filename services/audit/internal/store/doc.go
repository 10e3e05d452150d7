// Package store is all SQL of the audit service. There is no statement that
// changes or removes a row, and the tables would refuse it.
package store
