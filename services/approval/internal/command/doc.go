// Package command does what is asked of approval, each command in one
// transaction: it loads, asks the rules of lifecycle, saves and emits.
//
// An approval is locked when it is loaded, so that decisions, cancellations and
// the replacement of reviewers take turns, in any number of replicas. A command
// that is given twice does nothing the second time.
//
// Commands of a caller see what the caller's scope has; what it does not have is
// not found. Whether the role may call is checked before, by authz.
package command
