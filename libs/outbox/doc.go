// Package outbox publishes the events of a service: none is lost, and none
// tells of something that did not happen.
//
// A [Writer] adds events in the transaction that changes the rows they tell
// of, so both are committed or neither is. A [Relay] takes committed events to
// the stream ACCESS and deletes each after the stream has acknowledged it.
//
//	command ──tx──▶ rows + outbox ──commit──▶ wake ──▶ Relay ──▶ ACCESS ──▶ delete
//
// What it guarantees:
//
//   - An event of a committed transaction is published, whatever is killed or
//     away in between and for however long; one of a transaction that is rolled
//     back never is.
//   - At least once: a relay that dies between the acknowledgement and the
//     delete publishes again. The stream drops a repeat by the event's id
//     within two minutes, each consumer's inbox drops later ones.
//   - Causal order: if one transaction saw the other's commit, or waited for
//     its row lock before adding its event, its event is published later.
//     Transactions that did not know of each other have no order. Rows are read
//     as they are there, never by "seq greater than the last", which would skip
//     those of a slower transaction.
//   - One relay of a database publishes at a time, however many replicas run.
//     It holds an advisory lock of the connection that it also reads with: if
//     that connection is lost, so is its way to further events, and another
//     may take over.
//
// Events that wait together are published one by one or as one atomic batch,
// whichever the relay has found to be quicker here; the order is the same.
//
// What it does not do: it does not know what an event means, does not order
// events of different services, and does not keep events; the stream does.
//
// [Migrations] holds the tables of this package and of libs/inbox; every
// service that has either applies them with [Schema].
package outbox
