package command

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

type event = outbox.Event

func compare(a, b *approvalv1.Flow) int {
	return cmp.Or(a.GetCreateTime().AsTime().Compare(b.GetCreateTime().AsTime()), cmp.Compare(a.GetId(), b.GetId()))
}

// User takes note of a person, in the state given, and of what join-flows have
// for them.
func (d *Desk) User(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, u *identityv1.User, state string, version int64) error {
	impact, err := d.Store.PutUser(ctx, tx, organizationID, u, state, version)
	if err != nil {
		return err
	}
	return d.follow(ctx, tx, organizationID, impact)
}

// Member takes note that somebody is in a group or is not, and of what
// join-flows have for them.
func (d *Desk) Member(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g *identityv1.Group, userID string, present bool, version int64) error {
	impact, err := d.Store.PutMember(ctx, tx, organizationID, g, userID, present, version)
	if err != nil {
		return err
	}
	return d.follow(ctx, tx, organizationID, impact)
}

// Group takes note of a group.
func (d *Desk) Group(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, g *identityv1.Group, removed bool, version int64) error {
	return d.Store.PutGroup(ctx, tx, organizationID, g, removed, version)
}

// App takes note of an app and its people.
func (d *Desk) App(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, a *requestv1.App) error {
	impact, err := d.Store.PutApp(ctx, tx, organizationID, a)
	if err != nil {
		return err
	}
	return d.follow(ctx, tx, organizationID, impact)
}

// Entitlement takes note of an entitlement.
func (d *Desk) Entitlement(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, e *requestv1.Entitlement) error {
	return d.Store.PutEntitlement(ctx, tx, organizationID, e)
}

func (d *Desk) follow(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, impact store.Impact) error {
	if impact.Reviews {
		tx.AfterCommit(d.Tidier.Wake)
	}
	matches := make([]store.Match, 0, len(impact.Joins))
	for _, f := range impact.Joins {
		matches = append(matches, store.Match{Flow: f, UserID: impact.Person.ID, JoinCount: impact.Person.JoinCount})
	}
	return d.join(ctx, tx, organizationID, matches)
}
