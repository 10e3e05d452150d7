// Package outbox publishes the events of a service: none is lost, and none
// is about something that did not happen.
//
// A [Writer] adds events in the transaction that changes the rows they are
// about, so both are committed or neither is. A [Relay] takes committed events to
// the stream ACCESS and deletes each after the stream has it on the disk.
//
//	command ──tx──▶ rows + outbox ──commit──▶ wake ──▶ Relay ──▶ ACCESS ──sync──▶ delete
//
// What it guarantees:
//
//   - An event of a committed transaction is published, whatever is killed or
//     away in between and for however long; one of a transaction that is rolled
//     back never is.
//   - An event whose row is deleted survives the loss of power. Where the
//     server acknowledges before it has synced (libs/busserver), the relay asks
//     for a sync and goes on publishing meanwhile; one sync serves many events.
//   - At least once: a relay that dies before the delete publishes again, and so
//     does one whose server dies before the sync. The stream drops a repeat by
//     the event's id within two minutes, each consumer's inbox drops later ones.
//   - Causal order: if one transaction saw the other's commit, or waited for
//     its row lock before adding its event, its event is published later.
//     Transactions that did not know of each other have no order. A row that
//     a slow transaction commits below others that are published already is
//     found all the same.
//   - One relay of a database publishes at a time, however many replicas run.
//     It holds an advisory lock of the connection that it also reads with: if
//     that connection is lost, so is its way to further events, and another
//     may take over.
//
// Deleted rows that vacuum cannot take away, as another session holds an old
// snapshot, cost nothing: the relay does not look below the lowest place where
// something may still wait.
//
// What it does not do: it does not know what an event means, does not order
// events of different services, and does not keep events; the stream does.
//
// A NATS without the permission for an event (libs/busauth) holds up all events behind
// it, as their order is by cause and not by aggregate alone; the relay says which.
//
// [Migrations] holds the tables of this package and of libs/inbox; every
// service that has either applies them with [Schema].
package outbox
