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
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// NewAPIToken is a token to be created.
type NewAPIToken struct {
	// UserID is the service or agent that it acts as; the nil id: the caller.
	UserID     uuid.UUID
	Name       string
	ReadOnly   bool
	Scopes     []string // known ones, each once; none: all
	Prefix     string
	Hash       secret.Hash
	ExpireTime time.Time
}

// CreateAPIToken creates a token with which programs act as the caller, or as a
// service or agent for which the caller answers.
func (c *Commands) CreateAPIToken(ctx context.Context, caller authz.Caller, in NewAPIToken) (store.APIToken, error) {
	t := store.APIToken{
		ID: id.New(), UserID: caller.UserID, Name: in.Name, ReadOnly: in.ReadOnly, Scopes: append([]string{}, in.Scopes...),
		Prefix: in.Prefix, ExpireTime: in.ExpireTime,
	}
	err := c.change(ctx, scope.Organization(caller.OrganizationID), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		t.CreateTime = tx.now
		if last := tx.now.AddDate(1, 0, 0); !in.ExpireTime.After(tx.now) || in.ExpireTime.After(last) {
			return apierr.InvalidField("expire_time", "EXPIRE_TIME_OUT_OF_RANGE", "the end must be in the future and at most one year ahead")
		}
		if in.UserID != uuid.Nil && in.UserID != caller.UserID {
			if err := tx.answersFor(ctx, caller, in.UserID); err != nil {
				return err
			}
			t.UserID = in.UserID
		}
		ok, err := store.InsertAPIToken(ctx, tx.Tx, caller.CredentialID, caller.UserID, t, in.Hash[:])
		if err != nil {
			return err
		}
		if !ok {
			return errSessionRequired
		}
		tx.emit(t.ID, &eventv1.ApiTokenCreated{Context: tx.about(t.UserID.String(), 0), ApiToken: convert.APIToken(t)})
		return idempotency.Save(ctx, tx.Tx, &identityv1.CreateApiTokenResponse{ApiToken: convert.APIToken(t)}) // without the secret
	})
	return t, err
}

// answersFor refuses a user who is no service or agent, or for whom the caller does not
// answer. The user stays as it is until the end of the transaction, which sees the
// whole organization; what the caller's scope does not have does not exist.
func (t *transaction) answersFor(ctx context.Context, caller authz.Caller, user uuid.UUID) error {
	unknown := apierr.InvalidField("user_id", "USER_UNKNOWN", "there is no such user")
	u, err := store.LockUser(ctx, t.Tx, user)
	if err != nil {
		return orNotFound(err, unknown)
	}
	accountable := u.AccountableUserID == caller.UserID.String()
	roleIn, _ := store.ParseID(u.RoleEnvironmentID)
	admin := caller.Role == authzv1.Caller_CALLER_ADMIN && caller.Scope().Owns(roleIn)
	switch environment, _ := store.ParseID(u.EnvironmentID); { // none is the organization
	case !accountable && !caller.Scope().Owns(environment):
		return unknown
	case u.Kind != "service" && u.Kind != "agent":
		return apierr.InvalidField("user_id", "NOT_A_PROGRAM", "a token of a person is made by that person")
	case !admin && (!accountable || u.Role != lifecycle.Member && u.Role != lifecycle.External):
		// Nobody becomes an IT admin by answering for one, nor an admin of an
		// environment one of the whole organization.
		return apierr.Denied("NOT_ACCOUNTABLE", "a token of a service or an agent is made by the person who answers for it, if it is a member, or by an admin")
	case u.State != lifecycle.Active:
		return apierr.Precondition("USER_NOT_ACTIVE", "the user is %s", u.State).WithField("user_id", "USER_NOT_ACTIVE", "the user is %s", u.State)
	}
	return nil
}

// APITokens lists tokens, and gives the token of the next page: all of the
// organization for an admin, else the caller's own and those of services and agents
// for which the caller answers.
func (c *Commands) APITokens(ctx context.Context, caller authz.Caller, asked filter.Request) ([]store.APIToken, string, error) {
	return list(ctx, c.db, caller.Scope(), store.APITokenList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.APIToken, string, error) {
		own := caller.Role != authzv1.Caller_CALLER_ADMIN
		return store.ListAPITokens(ctx, tx, caller.OrganizationID, caller.UserID, own, page)
	})
}

// RevokeAPIToken revokes a token of the caller's or of a service or agent for which
// the caller answers, or any if the caller is an admin. One that was revoked before stays as it is.
func (c *Commands) RevokeAPIToken(ctx context.Context, caller authz.Caller, token uuid.UUID) (t store.APIToken, err error) {
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if t, err = store.LockAPIToken(ctx, tx.Tx, token, caller.UserID); err != nil {
			return orNotFound(err, errTokenNotFound)
		}
		if t.UserID != caller.UserID && caller.Role != authzv1.Caller_CALLER_ADMIN {
			u, err := store.GetUser(ctx, tx.Tx, t.UserID)
			if err != nil {
				return orNotFound(err, errTokenNotFound)
			}
			if u.AccountableUserID != caller.UserID.String() {
				return errTokenNotFound
			}
		}
		if t.RevokeTime != nil {
			return nil
		}
		revoked, err := store.RevokeAPIToken(ctx, tx.Tx, token, tx.now)
		if err != nil {
			return err
		}
		t = revoked[0]
		// The user may be the organization's own, and the caller's role held in an
		// environment.
		if err := tx.Widen(ctx); err != nil {
			return err
		}
		return tx.endTokens(ctx, revoked)
	})
	return t, err
}

// revokeOfFormerAdmin revokes the tokens that a saved user made for services and agents
// as an admin, if they may not make them any more: they may know the secrets.
func (t *transaction) revokeOfFormerAdmin(ctx context.Context, user uuid.UUID, o lifecycle.Outcome) error {
	if !o.LessAdmin() {
		return nil
	}
	// They may be of the organization or, as the role was, of another environment.
	if err := t.Widen(ctx); err != nil {
		return err
	}
	revoked, err := store.RevokeAPITokensOfFormerAdmin(ctx, t.Tx, user, t.now)
	if err != nil {
		return err
	}
	return t.endTokens(ctx, revoked)
}

// endTokens has what was signed for revoked tokens not be accepted any more, and emits
// their events.
func (t *transaction) endTokens(ctx context.Context, revoked []store.APIToken) error {
	for _, token := range revoked {
		u, err := store.RaiseUserVersion(ctx, t.Tx, token.UserID)
		if err != nil {
			return err
		}
		t.environment = u.EnvironmentID
		about := t.about(u.ID.String(), u.Version)
		about.Bulk = false // what ends access comes before what gives it
		t.emit(token.ID, &eventv1.ApiTokenRevoked{Context: about, ApiToken: convert.APIToken(token), User: convert.User(u)})
	}
	return nil
}
