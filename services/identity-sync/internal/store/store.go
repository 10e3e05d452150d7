// Package store is all SQL of identity-sync: who is there, where they come
// from, and what they show to prove it.
//
// Every method is one transaction: the change, and the events that tell of it
// in the outbox. A method that serves a caller sees that caller's organization
// only, and one that serves a source names the source in every statement as
// well. Errors that callers may read are apierr; constraints are mapped here by
// name.
//
// [Directory] is the store as the SCIM handler sees it.
//
// It decides nothing that package lifecycle can decide, and knows no secret:
// of tokens it keeps hashes.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

// Store keeps the directory. It is safe for concurrent use.
type Store struct {
	db     *postgres.DB
	events *outbox.Writer
	due    *due.Queue
	clock  clock.Clock
}

// New makes a store on a migrated database, and registers what it has happen at
// a time with the queue.
func New(db *postgres.DB, events *outbox.Writer, q *due.Queue, c clock.Clock) *Store {
	s := &Store{db: db, events: events, due: q, clock: c}
	q.Handle(EndUser, s.EndUsers)
	return s
}

// Errors that callers read.
var (
	errUserNotFound        = apierr.NotFound("USER_NOT_FOUND", "there is no such user")
	errGroupNotFound       = apierr.NotFound("GROUP_NOT_FOUND", "there is no such group")
	errEnvironmentNotFound = apierr.NotFound("ENVIRONMENT_NOT_FOUND", "there is no such environment")
	errSourceNotFound      = apierr.NotFound("SOURCE_NOT_FOUND", "there is no such source")
	errTokenNotFound       = apierr.NotFound("API_TOKEN_NOT_FOUND", "there is no such API token")
	errLastAdmin           = apierr.Precondition("LAST_ADMIN", "this is the organization's last admin: make somebody else an admin first")
	errRoleEnvironment     = apierr.InvalidField("role_environment_id", "ROLE_ENVIRONMENT", "a user of an environment holds a role there and nowhere else")
	errUserRemoved         = apierr.Precondition("USER_REMOVED", "the user has been removed")

	// ErrTokenInvalid is all that is ever said about a token that is not good.
	ErrTokenInvalid = apierr.Unauthenticated("TOKEN_INVALID", "the token is not valid")
)

// constraints are the refusals of the database that callers can do something
// about.
var constraints = map[string]*apierr.Error{
	"users_user_name_unique":             apierr.Exists("USER_NAME_TAKEN", "somebody has that userName"),
	"users_external_id_unique":           apierr.Exists("EXTERNAL_ID_TAKEN", "another user has that externalId"),
	"directory_group_external_id_unique": apierr.Exists("EXTERNAL_ID_TAKEN", "another group has that externalId"),
	"environment_name_unique":            apierr.Exists("ENVIRONMENT_NAME_TAKEN", "another environment has that name").WithField("name", "ENVIRONMENT_NAME_TAKEN", "another environment has that name"),
	"source_name_unique":                 apierr.Exists("SOURCE_NAME_TAKEN", "another source has that name").WithField("name", "SOURCE_NAME_TAKEN", "another source has that name"),
}

// public gives callers what they may read of an error.
func public(err error) error {
	if name, ok := postgres.Constraint(err); ok {
		if e := constraints[name]; e != nil {
			return e.Wrap(err)
		}
	}
	switch {
	case errors.Is(err, lifecycle.ErrLastAdmin):
		return errLastAdmin.Wrap(err)
	case errors.Is(err, lifecycle.ErrRemoved):
		return errUserRemoved.Wrap(err)
	case errors.Is(err, lifecycle.ErrRoleEnvironment):
		return errRoleEnvironment.Wrap(err)
	}
	return err
}

// write is a transaction that changes something and tells of it.
type write struct {
	*postgres.Tx
	organization uuid.UUID
	// environment is whose environment the events belong to; empty for the
	// organization's own.
	environment string
	actor       *eventv1.Actor
	now         time.Time
	events      []outbox.Event
}

// change runs fn in a transaction of the scope and adds the events that fn told.
// The actor may be left nil for fn to set.
func (s *Store) change(ctx context.Context, in scope.Scope, actor *eventv1.Actor, fn func(ctx context.Context, w *write) error) error {
	err := s.db.In(ctx, in, func(ctx context.Context, tx *postgres.Tx) error {
		w := &write{Tx: tx, organization: in.OrganizationID, actor: actor, now: s.clock.Now()}
		if !in.Whole() {
			w.environment = in.EnvironmentID.String()
		}
		if err := fn(ctx, w); err != nil {
			return err
		}
		return s.events.Add(ctx, tx, w.events...)
	})
	return public(err)
}

// found turns "no row" into the error that says so to the caller.
func found(err error, missing *apierr.Error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return missing
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// send runs a batch in one round trip. Results go where its queries say.
func (w *write) send(ctx context.Context, batch *pgx.Batch) error {
	if batch.Len() == 0 {
		return nil
	}
	return w.SendBatch(ctx, batch).Close()
}
