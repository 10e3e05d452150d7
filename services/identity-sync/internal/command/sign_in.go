package command

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Sessions says how long sessions last.
type Sessions struct {
	// Lifetime is how long a session lasts, used or not, and Idle how long one that is
	// not used.
	Lifetime, Idle time.Duration
}

// Methods by which sessions begin.
const (
	byDevelopment = "development"
	bySignUp      = "sign_up"
	byLink        = "link"
	openIDConnect = "openid_connect"
)

// NewSession is a session to begin.
type NewSession struct {
	Hash secret.Hash
	// UserAgent is what is signed in with.
	UserAgent string
	// The rest is set by what begins it.
	Lifetime                 time.Duration
	Method                   string
	Provider                 *uuid.UUID
	Subject, ProviderSession string
	AuthTime                 *time.Time
	ID                       uuid.UUID // nil for a new one
	IDToken                  []byte    // sealed for ID
}

// startSession begins a session of an active user, who is locked or new.
func (t *transaction) startSession(ctx context.Context, u store.User, in NewSession) (store.Session, error) {
	s := store.Session{
		ID: in.ID, OrganizationID: t.organization, UserID: u.ID, UserAgent: in.UserAgent, CreateTime: t.now, ExpireTime: t.now.Add(in.Lifetime),
		Method: in.Method, ProviderID: in.Provider, Subject: in.Subject, ProviderSession: in.ProviderSession, AuthTime: in.AuthTime, LastUse: t.now, IDToken: in.IDToken,
	}
	if s.ID == uuid.Nil {
		s.ID = id.New()
	}
	if err := store.InsertSession(ctx, t.Tx, s, in.Hash[:]); err != nil {
		return s, err
	}
	t.environment = u.EnvironmentID
	t.emit(s.ID, &eventv1.SessionStarted{Context: t.about(u.ID.String(), 0), Session: convert.Session(s, false), Address: clientAddress(ctx)})
	return s, nil
}

// proved is when the user of a session has proved who they are, as tokens say it. A
// session that did not begin at an identity provider has nobody to ask again: it
// counts as proved as long as it lasts, which for the development sign-in is as much
// proof as it ever asks for.
func proved(method string, at *time.Time, now time.Time) time.Time {
	switch {
	case method == byDevelopment, method == bySignUp, method == byLink:
		return now
	case at != nil:
		return *at
	}
	return time.Time{}
}

// DevSignIn makes a session for an active user, by user name or id, of the organization
// with a sign-in name or id or, if that is empty, of any.
func (c *Commands) DevSignIn(ctx context.Context, name, organization string, in NewSession) (store.User, error) {
	in.Method, in.Lifetime = byDevelopment, c.sessions.Lifetime
	return c.asAnybody(ctx, name, organization, func(ctx context.Context, t *transaction, u store.User) error {
		_, err := t.startSession(ctx, u, in)
		return err
	})
}

// asAnybody does something for an active user, by user name or id, of the organization
// with a sign-in name or id or, if that is empty, of any. Of several who have the name it
// picks nobody.
func (c *Commands) asAnybody(ctx context.Context, name, organization string, do func(ctx context.Context, t *transaction, u store.User) error) (u store.User, err error) {
	byID, err := uuid.Parse(name)
	if err != nil {
		byID = uuid.Nil
	}
	err = c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		// Locked as by a removal of the user, which then ends the session.
		users, err := store.LockActiveUsers(ctx, tx, name, byID, foldSignInName(organization))
		if err != nil {
			return err
		}
		switch len(users) {
		case 0:
			return errUserNotFound
		case 2:
			if users[0].OrganizationID == users[1].OrganizationID {
				return apierr.InvalidField("user_name", "USER_NAME_AMBIGUOUS", "several people of the organization have that name: give the id of the user")
			}
			return apierr.InvalidField("organization", "USER_NAME_AMBIGUOUS", "people of several organizations have that name: add the sign-in name of the organization, or give the id of the user")
		}
		u = users[0]
		t := &transaction{Tx: tx, organization: u.OrganizationID, actor: event.UserActor(u.ID.String(), u.DisplayName), now: c.clock.Now()}
		if err := do(ctx, t, u); err != nil {
			return err
		}
		return c.events.Add(ctx, tx, t.events...)
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

// Sessions lists the sessions of a user, the caller if that is nil, and gives the
// token of the next page.
func (c *Commands) Sessions(ctx context.Context, caller authz.Caller, user uuid.UUID, asked filter.Request) (sessions []store.Session, next string, err error) {
	if user == uuid.Nil {
		user = caller.UserID
	}
	if user != caller.UserID && caller.Role != authzv1.Caller_CALLER_ADMIN {
		return nil, "", errNotYourSessions
	}
	return list(ctx, c.db, caller.Scope(), store.SessionList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.Session, string, error) {
		if user != caller.UserID {
			if _, err := store.GetUser(ctx, tx, user); err != nil {
				return nil, "", orNotFound(err, errUserNotFound)
			}
		}
		now := c.clock.Now()
		return store.ListSessions(ctx, tx, user, now, now.Add(-c.sessions.Idle), page)
	})
}

// EndSession ends a session of the caller's, or any within the caller's scope if
// the caller is an admin. Where there is none it does nothing. Signed tokens that
// were made of the user before are not accepted any more: the user's other
// sessions and API tokens are exchanged again.
func (c *Commands) EndSession(ctx context.Context, caller authz.Caller, session uuid.UUID) error {
	return c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		ended, err := store.DeleteSession(ctx, tx.Tx, session, caller.UserID, caller.Role == authzv1.Caller_CALLER_ADMIN)
		if err != nil || len(ended) == 0 {
			return err
		}
		return tx.sessionsEnded(ctx, ended)
	})
}

// PruneSessions removes sessions that have ended by themselves.
func (c *Commands) PruneSessions(ctx context.Context) error {
	return c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed()
		now := c.clock.Now()
		return store.DeleteEndedSessions(ctx, tx, now, now.Add(-c.sessions.Idle))
	})
}
