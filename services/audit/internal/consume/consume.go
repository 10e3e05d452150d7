// Package consume makes entries of all events. A batch of events is one
// statement.
//
// There is one entry for each event, in the order of the stream, whatever is in
// the event. Entries do not depend on each other, so their order does not
// matter. All event types of the contract are linked in; an event of a newer
// type is parked by the consumer and can be replayed after an upgrade.
package consume

import (
	"context"
	"log/slog"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
	_ "gatehouse.dev/proto/gen/gatehouse/event/v1" // all event types can be read
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/audit/internal/command"
	"gatehouse.dev/services/audit/internal/entry"
	"github.com/google/uuid"
)

// Handlers gives the handlers.
func Handlers(c *command.Commands, log *slog.Logger) *inbox.Handlers {
	redactor := entry.NewRedactor()
	var h inbox.Handlers
	h.KeyedByEvent() // an entry is there once for each event id
	h.CatchAllBatch(func(_ context.Context, tx *postgres.Tx, events []inbox.Event) error {
		entries := make([]entry.Entry, len(events))
		for i, ev := range events {
			malformed, err := read(redactor, ev, &entries[i])
			if err != nil {
				return inbox.Failed(ev, err)
			}
			if len(malformed) > 0 {
				log.Warn("Event has malformed ids", "event_id", ev.ID, "type", ev.Type, "source", ev.Source,
					"organization_id", ev.OrganizationID, "trace_id", telemetry.TraceID(ev.Traceparent), "count", len(malformed))
			}
		}
		c.Record(tx, entries)
		c.RaiseUserVersions(tx, versions(events))
		return nil
	})
	return &h
}

// versions are those of the users that events tell of.
func versions(events []inbox.Event) (all []command.UserVersion) {
	for _, ev := range events {
		about, ok := ev.Message.(interface{ GetUser() *identityv1.User })
		if !ok || about.GetUser().GetVersion() == 0 {
			continue
		}
		if user, err := uuid.Parse(about.GetUser().GetId()); err == nil {
			all = append(all, command.UserVersion{ID: user, OrganizationID: ev.OrganizationID, Version: about.GetUser().GetVersion()})
		}
	}
	return all
}

// read makes an entry of an event, and gives the ids in it that are malformed.
func read(redactor *entry.Redactor, ev inbox.Event, e *entry.Entry) (malformed []string, err error) {
	t, err := event.TypeOf(ev.Message)
	if err != nil {
		return nil, err
	}
	*e = entry.Entry{
		EventID: ev.ID, OrganizationID: ev.OrganizationID, Type: ev.Type, Aggregate: t.Aggregate, Name: t.Name, Time: ev.Time,
	}
	e.Keys, malformed = entry.Index(ev.Message)
	e.Data, err = redactor.Redact(ev.Message, ev.Data)
	return malformed, err
}
