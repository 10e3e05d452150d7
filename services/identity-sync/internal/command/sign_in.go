package command

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

func (t *transaction) insertSession(ctx context.Context, user uuid.UUID, hash secret.Hash, lifetime time.Duration) error {
	return store.InsertSession(ctx, t.Tx, store.Session{
		ID: id.New(), OrganizationID: t.organization, UserID: user, CreateTime: t.now, ExpireTime: t.now.Add(lifetime),
	}, hash[:])
}

// DevSignIn makes a session for an active user of any organization, by user name
// or, where several have that name, by id.
func (c *Commands) DevSignIn(ctx context.Context, name string, hash secret.Hash, lifetime time.Duration) (u store.User, err error) {
	byID, err := uuid.Parse(name)
	if err != nil {
		byID = uuid.Nil
	}
	err = c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		// Locked as by a removal of the user, which then ends the session.
		users, err := store.LockActiveUsers(ctx, tx, name, byID)
		if err != nil {
			return err
		}
		switch len(users) {
		case 0:
			return errUserNotFound
		case 2:
			return apierr.InvalidField("user_name", "USER_NAME_AMBIGUOUS", "several organizations have somebody of that name: give the id of the user")
		}
		u = users[0]
		t := &transaction{Tx: tx, organization: u.OrganizationID, now: c.clock.Now()}
		return t.insertSession(ctx, u.ID, hash, lifetime)
	})
	return u, err
}

// DevUsers lists active users of all organizations, admins first.
func (c *Commands) DevUsers(ctx context.Context, limit int) (users []store.User, err error) {
	err = c.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		users, err = store.ActiveUsers(ctx, tx, limit)
		return err
	})
	return users, err
}

// EndSession ends the caller's session. Where the caller has none it does
// nothing.
func (c *Commands) EndSession(ctx context.Context, caller authz.Caller) error {
	return c.db.InOrganization(ctx, caller.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		return store.DeleteSession(ctx, tx, caller.CredentialID, caller.UserID)
	})
}

// PruneSessions removes sessions that have ended by themselves.
func (c *Commands) PruneSessions(ctx context.Context) error {
	return c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed()
		return store.DeleteEndedSessions(ctx, tx, c.clock.Now())
	})
}
