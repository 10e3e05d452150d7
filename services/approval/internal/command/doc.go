// Package command does what is asked of approval, each in one transaction:
// read, decide by the rules of lifecycle, write, say.
//
// Whoever changes an approval locks its row first, so that decisions,
// cancellations and the Tidier, in any number of replicas, take turns. What is
// done twice does nothing the second time.
//
// It does not check who may call (authz does, and each command what is said
// there), and it does not talk gRPC or NATS.
package command
