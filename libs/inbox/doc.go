// Package inbox consumes events: each takes effect once, whatever is delivered
// twice, out of order, or half done when the process dies.
//
// A service registers handlers by message type ([On], [Handlers.Together],
// [Handlers.CatchAll]) and runs a [Consumer], a durable pull consumer of the
// stream ACCESS with the service's name, shared by its replicas. The types that
// have handlers are the events that it is delivered.
//
//	ACCESS ──fetch what is there──▶ one transaction: event ids + effects ──commit──▶ ack
//
// What it guarantees:
//
//   - Once: an event's id is inserted in the transaction of its effect. If it
//     is there already, the handler is not called. A process that dies after
//     the commit and before the acknowledgement gets the event again and does
//     nothing.
//   - None is lost: an event is acknowledged after its effect, or after it was
//     parked, is committed, never before.
//   - One bad event blocks no other. If a handler fails, the transaction is
//     rolled back and done again without that event, which is then tried alone
//     and, if it still fails, delivered again after a growing pause. After
//     MaxAttempts it is parked: kept whole in parked_event, where it can be
//     listed and replayed ([ParkedServer]). So is an event that cannot be
//     decoded, or whose subject is not that of its type, at once.
//   - An upgrade loses none, in whatever order services are upgraded. A program
//     that handles a type for the first time is delivered the events of it that
//     were published before, as far back as the inbox remembers (400,000 places
//     of the stream). Replicas of two versions share a consumer: what the older one
//     does not handle it parks, and the newer one replays it within seconds, as
//     often as it tries an event. What was parked as not yet is replayed when another
//     parked event of its organization has taken effect. A type that has lost its
//     handler is to be ignored ([Handlers.Ignore]).
//   - Many that come at once hold up no others: events that are marked as bulk
//     (gatehouse.event.v1.Context) are fetched as far as there is room, and
//     handled in their order beside the others. One of the others that lacks a
//     fact waits for those that have been fetched before it.
//   - A database that is away counts as nobody's failure: the events are held,
//     and tried again until it is back. A bus that is away, restarts, or has
//     lost the consumer or the whole stream is sought again for ever.
//   - A database that was restored from an older backup than the bus goes by is
//     noticed at the start: the consumer is set back, and the inbox drops what
//     had taken effect.
//
// What a handler must do for it:
//
//   - Work in the transaction that it is given and nowhere else. It sees the
//     rows of the event's organization only.
//   - Stand events out of order. They are published in causal order, but one
//     that failed comes after its successors, and replicas work side by side.
//     Events carry their aggregate's version: what is older than the copy
//     changes nothing.
//   - Say [NotYet] if a fact that the event stands on has not arrived. That is
//     tried again sooner and longer than other failures.
//
// It does not order events of different services, and it does not call anybody.
package inbox
