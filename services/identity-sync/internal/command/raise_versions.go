package command

import (
	"context"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// farAhead is more often than anything is changed between two backups.
const farAhead = 1_000_000_000

// operator is who does something at the machine.
func operator() *eventv1.Actor {
	return &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: "identity-sync", DisplayName: "Operator at the machine"}
}

// RaiseVersions raises all versions past any that was told since a backup was made, and
// tells each organization.
func (c *Commands) RaiseVersions(ctx context.Context) error {
	return c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		raised, err := store.RaiseVersions(ctx, tx, farAhead)
		if err != nil {
			return err
		}
		var events []outbox.Event
		for _, r := range raised {
			t := &transaction{Tx: tx, organization: r.ID, actor: operator(), now: c.clock.Now()}
			t.emit(r.ID, &eventv1.OrganizationVersionsRaised{
				Context: t.about("", 0), Organization: convert.Organization(r.Organization), Environments: r.Environments, Users: r.Users, Groups: r.Groups,
			})
			events = append(events, t.events...)
		}
		return c.events.Add(ctx, tx, events...)
	})
}
