package command

import (
	"context"
	"errors"
	"slices"
	"strings"
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
	"gatehouse.dev/libs/secretbox"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/openid"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// States of identity providers.
const (
	providerDisabled = "disabled"
	providerEnabled  = "enabled"
)

// Errors of identity providers.
var (
	errProviderNotFound   = apierr.NotFound("IDENTITY_PROVIDER_NOT_FOUND", "there is no such identity provider")
	errProviderIncomplete = apierr.Precondition("IDENTITY_PROVIDER_INCOMPLETE", "an identity provider has a client id before people sign in by it").
				WithField("client_id", "REQUIRED", "the client id is missing")
)

// NewIdentityProvider is an identity provider to create.
type NewIdentityProvider struct {
	Name, Issuer, ClientID, ClientSecret string
	SourceID                             *uuid.UUID
	UserClaim, UserField                 string
	StepUpACR, Scopes                    []string
	SignOut                              bool
}

// CreateIdentityProvider creates an identity provider, disabled.
func (s *SignIns) CreateIdentityProvider(ctx context.Context, caller authz.Caller, in NewIdentityProvider) (store.IdentityProvider, error) {
	p := store.IdentityProvider{
		ID: id.New(), OrganizationID: caller.OrganizationID, Name: in.Name, Issuer: in.Issuer, ClientID: in.ClientID, SourceID: in.SourceID,
		UserClaim: in.UserClaim, UserField: in.UserField, StepUpACR: in.StepUpACR, Scopes: in.Scopes, State: providerDisabled, Version: 1, SignOut: in.SignOut,
	}
	if err := checkIssuer("", in.Issuer); err != nil {
		return p, err
	}
	if err := checkClaim("", in.UserClaim); err != nil {
		return p, err
	}
	var err error
	if p.ClientSecret, err = s.seal(ctx, p.OrganizationID, p.ID, in.ClientSecret); err != nil {
		return p, err
	}
	err = s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		p.CreateTime, p.UpdateTime = tx.now, tx.now
		p.EnvironmentID = tx.environment
		if in.SourceID != nil {
			src, err := store.GetSource(ctx, tx.Tx, *in.SourceID)
			if err != nil {
				return orNotFound(err, errSourceNotFound)
			}
			p.EnvironmentID = src.EnvironmentID
		}
		if err := store.InsertIdentityProvider(ctx, tx.Tx, p); err != nil {
			return err
		}
		tx.environment = p.EnvironmentID
		tx.emit(p.ID, &eventv1.IdentityProviderCreated{Context: tx.about("", p.Version), IdentityProvider: convert.IdentityProvider(p)})
		return idempotency.Save(ctx, tx.Tx, &identityv1.CreateIdentityProviderResponse{IdentityProvider: convert.IdentityProvider(p)})
	})
	return p, err
}

// checkIssuer refuses an issuer that cannot be used. in says where it is in the
// request.
func checkIssuer(in, issuer string) error {
	if err := openid.Issuer(issuer); err != nil {
		return apierr.InvalidField(in+"issuer", "ISSUER_INVALID", "the issuer cannot be used: %s", err)
	}
	return nil
}

// seal seals a client secret; one that is empty is none.
func (s *SignIns) seal(ctx context.Context, organization, provider uuid.UUID, secret string) ([]byte, error) {
	if secret == "" {
		return nil, nil
	}
	return s.Keys.Seal(ctx, organization, provider, secret)
}

// ProviderChange is an identity provider as it is to be.
type ProviderChange struct {
	Name, Issuer, ClientID, UserClaim, UserField, State string
	StepUpACR                                           []string
	SignOut                                             bool
}

// UpdateIdentityProvider changes an identity provider to what change makes of it.
// clientSecret is the new one, empty for none; nil keeps the one there is. What it says of people does not outlive it: to disable one ends its sessions, and
// another issuer or client its identities too.
func (s *SignIns) UpdateIdentityProvider(ctx context.Context, caller authz.Caller, provider uuid.UUID, clientSecret *string, change func(store.IdentityProvider) (ProviderChange, error)) (p store.IdentityProvider, err error) {
	var sealed []byte // before the transaction, as the key may have to be made
	if clientSecret != nil {
		if sealed, err = s.seal(ctx, caller.OrganizationID, provider, *clientSecret); err != nil {
			return p, err
		}
	}
	err = s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if p, err = store.LockIdentityProvider(ctx, tx.Tx, provider); err != nil {
			return orNotFound(err, errProviderNotFound)
		}
		before := p
		in, err := change(before)
		if err != nil {
			return err
		}
		var changed []string
		set := func(name, to string, field *string) {
			if to != *field {
				*field, changed = to, append(changed, name)
			}
		}
		set("name", in.Name, &p.Name)
		set("issuer", in.Issuer, &p.Issuer)
		set("client_id", in.ClientID, &p.ClientID)
		set("user_claim", in.UserClaim, &p.UserClaim)
		set("user_field", in.UserField, &p.UserField)
		set("state", in.State, &p.State)
		if !slices.Equal(in.StepUpACR, p.StepUpACR) {
			p.StepUpACR, changed = in.StepUpACR, append(changed, "step_up_acr_values")
		}
		if in.SignOut != p.SignOut {
			p.SignOut, changed = in.SignOut, append(changed, "sign_out_at_provider")
		}
		if p.UserClaim != before.UserClaim {
			if err := checkClaim("identity_provider.", p.UserClaim); err != nil {
				return err
			}
		}
		if p.Issuer != before.Issuer {
			if err := checkIssuer("identity_provider.", p.Issuer); err != nil {
				return err
			}
		}
		another := p.Issuer != before.Issuer || p.ClientID != before.ClientID
		switch {
		case clientSecret != nil:
			p.ClientSecret, changed = sealed, append(changed, "client_secret")
		case another && len(p.ClientSecret) > 0:
			// The secret is the old provider's, and would be shown to the new one.
			p.ClientSecret, changed = nil, append(changed, "client_secret")
		}
		if len(changed) == 0 {
			return nil
		}
		if p.State == providerEnabled && p.ClientID == "" {
			return errProviderIncomplete
		}
		p.Version, p.UpdateTime = p.Version+1, tx.now
		if err := store.UpdateIdentityProvider(ctx, tx.Tx, p); err != nil {
			return err
		}
		tx.environment = p.EnvironmentID
		tx.emit(p.ID, &eventv1.IdentityProviderUpdated{Context: tx.about("", p.Version), IdentityProvider: convert.IdentityProvider(p), ChangedFields: changed})
		if another {
			if err := store.DeleteIdentitiesOfProvider(ctx, tx.Tx, p.ID); err != nil {
				return err
			}
		}
		if another || p.State == providerDisabled {
			return tx.endSessionsAtProvider(ctx, store.AtProvider{Provider: p.ID}, tx.whenever())
		}
		return nil
	})
	return p, err
}

// DeleteIdentityProvider removes an identity provider with its identities and
// sessions. Where there is none it does nothing.
func (s *SignIns) DeleteIdentityProvider(ctx context.Context, caller authz.Caller, provider uuid.UUID) error {
	return s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		p, err := store.LockIdentityProvider(ctx, tx.Tx, provider)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := tx.endSessionsAtProvider(ctx, store.AtProvider{Provider: p.ID}, tx.whenever()); err != nil {
			return err
		}
		tx.environment = p.EnvironmentID
		tx.emit(p.ID, &eventv1.IdentityProviderDeleted{Context: tx.about("", p.Version), IdentityProvider: convert.IdentityProvider(p)})
		return store.DeleteIdentityProvider(ctx, tx.Tx, p.ID)
	})
}

// whenever is a time up to which sessions are ended that all of them began by: also
// those of a replica whose clock is ahead.
func (t *transaction) whenever() time.Time { return t.now.AddDate(1, 0, 0) }

// checkClaim refuses a claim that whoever signs in may choose: at more than one
// provider an address is taken as it is entered. in says where it is in the request.
func checkClaim(in, claim string) error {
	if strings.EqualFold(claim, "email") {
		return apierr.InvalidField(in+"user_claim", "CLAIM_NOT_ALLOWED", "an e-mail address does not say who somebody is: name a claim that the provider alone writes")
	}
	return nil
}

// endSessionsAtProvider ends sessions that began at an identity provider up to a time.
func (t *transaction) endSessionsAtProvider(ctx context.Context, at store.AtProvider, until time.Time) error {
	ended, err := store.DeleteSessionsAtProvider(ctx, t.Tx, at, until)
	if err != nil || len(ended) == 0 {
		return err
	}
	// In one order, as everybody who locks several users.
	slices.SortFunc(ended, func(a, b store.Session) int { return slices.Compare(a.UserID[:], b.UserID[:]) })
	return t.sessionsEnded(ctx, ended)
}

// sessionsEnded has the signed tokens of the users of sessions that were ended not be
// accepted any more.
func (t *transaction) sessionsEnded(ctx context.Context, ended []store.Session) error {
	// A user may be the organization's own, and the caller's role held in an
	// environment.
	if err := t.Widen(ctx); err != nil {
		return err
	}
	for _, one := range ended {
		u, err := store.RaiseUserVersion(ctx, t.Tx, one.UserID)
		if err != nil {
			return err
		}
		t.environment = u.EnvironmentID
		t.emit(one.ID, &eventv1.SessionEnded{Context: t.about(u.ID.String(), u.Version), Session: convert.Session(one, false), User: convert.User(u), Address: clientAddress(ctx)})
	}
	return nil
}

// IdentityProvider gives an identity provider.
func (s *SignIns) IdentityProvider(ctx context.Context, in scope.Scope, provider uuid.UUID) (p store.IdentityProvider, err error) {
	err = s.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) (err error) {
		p, err = store.GetIdentityProvider(ctx, tx, provider)
		return orNotFound(err, errProviderNotFound)
	})
	return p, err
}

// IdentityProviders lists identity providers, and gives the token of the next page.
func (s *SignIns) IdentityProviders(ctx context.Context, in scope.Scope, asked filter.Request) ([]store.IdentityProvider, string, error) {
	return list(ctx, s.db, in, store.IdentityProviderList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.IdentityProvider, string, error) {
		return store.ListIdentityProviders(ctx, tx, in.OrganizationID, page)
	})
}

// CheckIdentityProvider says what is wrong with an identity provider.
func (s *SignIns) CheckIdentityProvider(ctx context.Context, in scope.Scope, provider uuid.UUID) ([]string, error) {
	p, err := s.IdentityProvider(ctx, in, provider)
	if err != nil {
		return nil, err
	}
	client, err := s.client(ctx, p)
	if err != nil {
		return nil, err
	}
	return s.Party.Check(ctx, client), nil
}

// client is what Gatehouse is to an identity provider.
func (s *SignIns) client(ctx context.Context, p store.IdentityProvider) (openid.Client, error) {
	c := openid.Client{Issuer: p.Issuer, ID: p.ClientID, Scopes: p.Scopes, SignOut: p.SignOut}
	if len(p.ClientSecret) > 0 {
		secret, err := s.Keys.Open(ctx, p.OrganizationID, p.ID, p.ClientSecret)
		if err != nil {
			return c, apierr.Unavailable("IDENTITY_PROVIDER_SECRET", err)
		}
		c.Secret = secret
	}
	return c, nil
}

// UserIdentities lists the identities of a user, and gives the token of the next page.
func (s *SignIns) UserIdentities(ctx context.Context, in scope.Scope, user uuid.UUID, asked filter.Request) ([]store.UserIdentity, string, error) {
	return list(ctx, s.db, in, store.UserIdentityList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.UserIdentity, string, error) {
		if _, err := store.GetUser(ctx, tx, user); err != nil {
			return nil, "", orNotFound(err, errUserNotFound)
		}
		return store.ListUserIdentities(ctx, tx, user, page)
	})
}

// DeleteUserIdentity takes an identity from its user and ends the sessions begun with
// it. Where there is none it does nothing.
func (s *SignIns) DeleteUserIdentity(ctx context.Context, caller authz.Caller, identity uuid.UUID) error {
	return s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		gone, err := store.DeleteUserIdentity(ctx, tx.Tx, identity)
		if err != nil || len(gone) == 0 {
			return err
		}
		i := gone[0]
		tx.emit(i.ID, &eventv1.UserIdentityDeleted{Context: tx.about(i.UserID.String(), 0), UserIdentity: convert.UserIdentity(i)})
		return tx.endSessionsAtProvider(ctx, store.AtProvider{Provider: i.ProviderID, Subject: i.Subject}, tx.whenever())
	})
}

// RunSealing seals the client secrets that are not sealed with their organization's
// key with it, until ctx ends.
func (s *SignIns) RunSealing(ctx context.Context) error {
	return secretbox.Kept{
		What: "identity providers", Again: s.Keys.Again, Log: s.Log,
		List: func(ctx context.Context) (list []secretbox.Sealed, err error) {
			err = s.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
				list, err = store.SealedSecrets(ctx, tx)
				return err
			})
			return list, err
		},
		Save: func(ctx context.Context, was secretbox.Sealed, value []byte) error {
			return s.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error { return store.Reseal(ctx, tx, was, value) })
		},
	}.Reseal(ctx)
}
