// Package command is what identity-sync does: it keeps organizations,
// environments, sources, users and groups, and checks credentials. A command
// opens the transaction, loads what it needs, asks lifecycle, saves, and emits
// events. grpcapi, httpapi and scim only translate.
//
// A command for a caller sees that caller's scope only. [Directory] is what the
// SCIM handler works on, one source at a time.
package command

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/denied"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Commands takes commands. It is safe for concurrent use.
type Commands struct {
	db     *postgres.DB
	events *outbox.Writer
	due    *due.Queue
	clock  clock.Clock

	sessions Sessions
	quotas   quota.Organization
	// denied writes down who comes with a credential that is not good.
	denied *denied.Recorder
}

// New makes commands on the ground that the service stands on, and registers what
// happens at a time with the queue.
func New(b *backend.Backend, s Sessions) *Commands {
	commands := &Commands{db: b.DB, events: b.Events, due: b.Due, clock: b.Clock, sessions: s, denied: b.Denied, quotas: b.Quotas}
	b.Due.Handle(EndUser, commands.EndUsers)
	b.Due.Handle(EndSourceUser, commands.EndSourceUsers)
	b.Due.Handle(EndSourceGroup, commands.EndSourceGroups)
	b.Due.Handle(EndSuspendedUser, commands.EndSuspendedUsers)
	return commands
}

// transaction is a transaction with a change and its events.
type transaction struct {
	*postgres.Tx
	organization uuid.UUID
	// environment is whose environment the events belong to; empty for the
	// organization's own.
	environment string
	actor       *eventv1.Actor
	now         time.Time
	due         *due.Queue
	quotas      quota.Organization
	events      []outbox.Event
	// reason is why the next one who is removed is.
	reason eventv1.UserRemovalReason
}

// change runs fn in a transaction of the scope and adds the events that fn
// emitted. The actor may be left nil for fn to set.
func (c *Commands) change(ctx context.Context, in scope.Scope, actor *eventv1.Actor, fn func(ctx context.Context, tx *transaction) error) error {
	err := c.db.In(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		t := &transaction{Tx: tx, organization: in.OrganizationID, actor: actor, now: c.clock.Now(), due: c.due, quotas: c.quotas}
		if !in.Whole() {
			t.environment = in.EnvironmentID.String()
		}
		if err := fn(ctx, t); err != nil {
			return err
		}
		return c.events.Add(ctx, tx, t.events...)
	})
	return public(err)
}

// orNotFound gives the error that says to the caller what is not there.
func orNotFound(err error, missing *apierr.Error) error {
	if errors.Is(err, store.ErrNotFound) {
		return missing
	}
	return err
}

// list reads the page of a list that is asked for, and gives the token of the next
// one.
func list[T any](ctx context.Context, db *postgres.DB, in scope.Scope, of *filter.List, asked filter.Request,
	read func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]T, string, error),
) (rows []T, next string, err error) {
	page, err := of.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) (err error) {
		rows, next, err = read(ctx, tx, page)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return rows, next, nil
}
