package command

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// NewAPIToken is a token to be created.
type NewAPIToken struct {
	Name       string
	ReadOnly   bool
	Prefix     string
	Hash       secret.Hash
	ExpireTime time.Time
}

// CreateAPIToken creates a token with which programs act as the caller.
func (c *Commands) CreateAPIToken(ctx context.Context, caller authz.Caller, in NewAPIToken) (store.APIToken, error) {
	t := store.APIToken{
		ID: id.New(), UserID: caller.UserID, Name: in.Name, ReadOnly: in.ReadOnly, Prefix: in.Prefix, ExpireTime: in.ExpireTime,
	}
	err := c.change(ctx, scope.Organization(caller.OrganizationID), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		t.CreateTime = tx.now
		if last := tx.now.AddDate(1, 0, 0); !in.ExpireTime.After(tx.now) || in.ExpireTime.After(last) {
			return apierr.InvalidField("expire_time", "EXPIRE_TIME_OUT_OF_RANGE", "the end must be in the future and at most one year ahead")
		}
		// Somebody who has just left still has a signed token for some minutes.
		ok, err := store.InsertAPIToken(ctx, tx.Tx, t, in.Hash[:])
		if err != nil {
			return err
		}
		if !ok {
			return ErrTokenInvalid
		}
		tx.emit(t.ID, &eventv1.ApiTokenCreated{Context: tx.about(t.UserID.String(), 0), ApiToken: convert.APIToken(t)})
		return nil
	})
	return t, err
}

// APITokens lists tokens, newest first, and gives the token of the next page:
// all of the organization for an admin, else the caller's own.
func (c *Commands) APITokens(ctx context.Context, caller authz.Caller, size int, token string) (tokens []store.APIToken, next string, err error) {
	keys, err := page.Decode(token, 2)
	if err != nil {
		return nil, "", err
	}
	var after *store.TokenPlace
	if keys != nil {
		at, err := time.Parse(time.RFC3339Nano, keys[0])
		last, err2 := uuid.Parse(keys[1])
		if err != nil || err2 != nil {
			return nil, "", errPageToken
		}
		after = &store.TokenPlace{CreateTime: at, ID: last}
	}
	err = c.db.InRead(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		own := caller.Role != authzv1.Caller_CALLER_ADMIN
		tokens, err = store.ListAPITokens(ctx, tx, caller.OrganizationID, caller.UserID, own, after, size+1)
		return err
	})
	if err != nil || len(tokens) <= size {
		return tokens, "", err
	}
	last := tokens[size-1]
	return tokens[:size], page.Encode(last.CreateTime.UTC().Format(time.RFC3339Nano), last.ID.String()), nil
}

// RevokeAPIToken revokes a token of the caller's, or any if the caller is an
// admin. One that was revoked before stays as it is.
func (c *Commands) RevokeAPIToken(ctx context.Context, caller authz.Caller, token uuid.UUID) (t store.APIToken, err error) {
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if t, err = store.LockAPIToken(ctx, tx.Tx, token, caller.UserID); err != nil {
			return orNotFound(err, errTokenNotFound)
		}
		if t.UserID != caller.UserID && caller.Role != authzv1.Caller_CALLER_ADMIN {
			return errTokenNotFound
		}
		if t.RevokeTime != nil {
			return nil
		}
		revoked, err := store.RevokeAPIToken(ctx, tx.Tx, token, tx.now)
		if err != nil {
			return err
		}
		t = revoked[0]
		tx.emitRevoked(revoked)
		return nil
	})
	return t, err
}

// Credential is a valid API token or session, and whose it is.
type Credential struct {
	Caller     authz.Caller
	ExpireTime time.Time
}

// Credential gives whose an API token or session is, or [ErrTokenInvalid] if it
// has ended, or its user may not act now.
func (c *Commands) Credential(ctx context.Context, kind secret.Kind, hash secret.Hash) (Credential, error) {
	begin, read := c.db.AsSystemRead, store.GetSession
	if kind == secret.APIToken {
		begin, read = c.db.AsSystem, store.UseAPIToken
	}
	var out Credential
	err := begin(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if kind == secret.APIToken {
			tx.Relaxed() // the use may be recorded again
		}
		found, err := read(ctx, tx, hash[:], c.clock.Now())
		if err != nil {
			return orNotFound(err, ErrTokenInvalid)
		}
		role, err := authz.ParseRole(found.Role)
		if err != nil {
			return err
		}
		out.ExpireTime = found.ExpireTime
		out.Caller = authz.Caller{
			CredentialID: found.ID, ReadOnly: found.ReadOnly, UserID: found.UserID, OrganizationID: found.OrganizationID,
			EnvironmentID: found.EnvironmentID, Role: role, Name: found.Name, Email: found.Email,
		}
		return nil
	})
	return out, err
}

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

// SigningKey is a key for signed tokens, sealed.
type SigningKey = store.SigningKey

// SigningKeys gives the keys that have not ended, in the order of their use.
func (c *Commands) SigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	err = c.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		keys, err = store.SigningKeys(ctx, tx, c.clock.Now())
		return err
	})
	return keys, err
}

// AddSigningKey asks next, with the keys there are, for one more, and adds it;
// replicas take turns. next returns nil if none is needed. The others end linger
// after the new one is used. It gives all keys.
func (c *Commands) AddSigningKey(ctx context.Context, linger time.Duration, next func([]SigningKey) (*SigningKey, error)) (keys []SigningKey, err error) {
	err = c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if err := store.LockSigningKeys(ctx, tx); err != nil {
			return err
		}
		now := c.clock.Now()
		if keys, err = store.SigningKeys(ctx, tx, now); err != nil {
			return err
		}
		k, err := next(keys)
		if err != nil || k == nil {
			return err
		}
		keys = append(keys, *k)
		return store.AddSigningKey(ctx, tx, *k, k.UseTime.Add(linger), now)
	})
	return keys, err
}
