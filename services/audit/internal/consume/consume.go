// Package consume hears every event there is and writes it down: a batch of
// events is one statement.
//
// It guarantees one entry for each event, in the order of the stream, whatever
// the event says. Events stand by themselves here, so their order does not
// matter. It links all event types of the contract in; one that is newer than
// this program is parked by the consumer and can be replayed after an upgrade.
package consume

import (
	"context"
	"log/slog"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	_ "gatehouse.dev/proto/gen/gatehouse/event/v1" // all event types can be read
	"gatehouse.dev/services/audit/internal/entry"
	"gatehouse.dev/services/audit/internal/store"
)

// Handlers gives the handlers. clk tells when an entry is written.
func Handlers(clk clock.Clock, log *slog.Logger) *inbox.Handlers {
	reader := entry.NewReader()
	var h inbox.Handlers
	h.CatchAllBatch(func(_ context.Context, tx *postgres.Tx, events []inbox.Event) error {
		entries := make([]store.Entry, 0, len(events))
		for _, ev := range events {
			e, err := read(reader, ev)
			if err != nil {
				return inbox.Failed(ev, err)
			}
			if len(e.BadIDs) > 0 {
				log.Warn("Event holds ids that are none", "event_id", ev.ID, "type", ev.Type, "source", ev.Source, "count", len(e.BadIDs))
			}
			entries = append(entries, e)
		}
		store.Write(tx, clk.Now(), entries)
		return nil
	})
	return &h
}

func read(reader *entry.Reader, ev inbox.Event) (store.Entry, error) {
	t, err := event.TypeOf(ev.Message)
	if err != nil {
		return store.Entry{}, err
	}
	facts, err := reader.Read(t.String(), ev.Message)
	if err != nil {
		return store.Entry{}, err
	}
	return store.Entry{
		EventID: ev.ID, OrganizationID: ev.OrganizationID, Aggregate: t.Aggregate, Name: t.Name, Time: ev.Time, Facts: facts,
	}, nil
}
