package command

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/datakey"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/libs/secretbox"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/openid"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// attemptFor is how long a sign-in may take from its beginning to its end.
const attemptFor = 10 * time.Minute

// Errors of sign-ins; what callers read of them.
var (
	errSignInExpired  = apierr.Unauthenticated("SIGN_IN_EXPIRED", "this sign-in took too long, was begun in another browser, or is over: begin again")
	errSignInRefused  = apierr.Unauthenticated("SIGN_IN_REFUSED", "the identity provider did not sign you in")
	errNotProven      = apierr.Unauthenticated("SIGN_IN_NOT_PROVEN", "what the identity provider sent does not hold: tell an admin")
	errUserUnknown    = apierr.Unauthenticated("SIGN_IN_USER_UNKNOWN", "nobody who may sign in here has this identity: ask an admin")
	errIdentityTaken  = apierr.Unauthenticated("SIGN_IN_IDENTITY_TAKEN", "this is not the identity that was expected: ask an admin")
	errTooWeak        = apierr.Unauthenticated("SIGN_IN_TOO_WEAK", "the identity provider did not ask again who you are, or not strongly enough")
	errProviderAway   = apierr.Unavailable("IDENTITY_PROVIDER_UNAVAILABLE", errors.New("it does not answer"))
	errNoStepUp       = apierr.Precondition("STEP_UP_NOT_POSSIBLE", "this session did not begin at an identity provider: sign in again instead")
	errHasSource      = apierr.Denied("USER_OF_SOURCE", "who comes from a source is known by the source's identity, and links no other")
	errLogoutInvalid  = apierr.InvalidField("logout_token", "LOGOUT_TOKEN_INVALID", "the logout token does not hold")
	errAdminOnly      = apierr.Denied(authz.ReasonRoleNotAllowed, "only an admin tries an identity provider")
	errNeedsSession   = apierr.Denied("SESSION_REQUIRED", "an API token is no session: sign in")
	errNotRecentProof = apierr.Unauthenticated(authz.ReasonStepUp, "this needs a recent sign-in: sign in again")
)

// SignIns signs people in by identity providers. It is safe for concurrent use.
type SignIns struct {
	*Commands
	Party *openid.Party
	// Keys seal client secrets, and Attempts what a browser keeps of a sign-in.
	Keys     *datakey.Keys
	Attempts *secretbox.Box
	Log      *slog.Logger
}

// purpose is what a sign-in is for.
type purpose string

const (
	toSignIn purpose = "sign-in"
	toStepUp purpose = "step-up"
	toLink   purpose = "link"
	toTest   purpose = "test"
)

// attempt is a sign-in that has begun. The browser keeps it, sealed.
type attempt struct {
	ID       uuid.UUID `json:"id"`
	Purpose  purpose   `json:"use"`
	Provider uuid.UUID `json:"idp"`
	// Version is that of the provider: what was begun with other settings is over.
	Version  int64     `json:"ver"`
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"pkce"`
	Redirect string    `json:"redirect"`
	ReturnTo string    `json:"return,omitempty"`
	Begun    time.Time `json:"begun"`
	// Session and User are those of who is signed in already.
	Session uuid.UUID `json:"session,omitzero"`
	User    uuid.UUID `json:"user,omitzero"`
}

// attemptLabel tells attempts from other sealed values.
var attemptLabel = []byte("sign-in attempt")

// SignInOptions lists the identity providers of an organization by which people sign
// in.
func (s *SignIns) SignInOptions(ctx context.Context, signInName string) (options []store.SignInOption, err error) {
	err = s.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		options, err = store.SignInOptions(ctx, tx, foldSignInName(signInName))
		return err
	})
	return options, err
}

// BeginSignIn is a sign-in to begin.
type BeginSignIn struct {
	Provider uuid.UUID
	// RedirectURI is where the browser comes back to; {id} stands for the provider's
	// id.
	RedirectURI         string
	ReturnTo, LoginHint string
}

// Begun is a sign-in that has begun.
type Begun struct{ URL, Attempt string }

// StartSignIn begins a sign-in by an enabled identity provider.
func (s *SignIns) StartSignIn(ctx context.Context, in BeginSignIn) (Begun, error) {
	p, err := s.provider(ctx, in.Provider)
	if err != nil {
		return Begun{}, err
	}
	if p.State != providerEnabled {
		return Begun{}, errProviderNotFound
	}
	return s.begin(ctx, p, attempt{Purpose: toSignIn}, in, openid.Request{MaxAge: s.sessions.Lifetime, LoginHint: in.LoginHint})
}

// StartStepUp begins a confirmation of who the caller is.
func (s *SignIns) StartStepUp(ctx context.Context, caller authz.Caller, in BeginSignIn) (Begun, error) {
	session, err := s.sessionOf(ctx, caller)
	if err != nil {
		return Begun{}, err
	}
	if session.ProviderID == nil || in.Provider != uuid.Nil && in.Provider != *session.ProviderID {
		return Begun{}, errNoStepUp
	}
	p, err := s.provider(ctx, *session.ProviderID)
	if err != nil {
		return Begun{}, err
	}
	return s.begin(ctx, p, attempt{Purpose: toStepUp, Session: session.ID, User: session.UserID}, in, openid.Request{ACR: p.StepUpACR})
}

// StartLink begins to link an identity to the caller, who belongs to no source.
func (s *SignIns) StartLink(ctx context.Context, caller authz.Caller, in BeginSignIn) (Begun, error) {
	session, err := s.sessionOf(ctx, caller)
	if err != nil {
		return Begun{}, err
	}
	if s.clock.Now().Sub(caller.AuthTime) > authz.StepUpAge {
		return Begun{}, errNotRecentProof
	}
	u, err := s.User(ctx, caller.Scope(), caller.UserID)
	if err != nil {
		return Begun{}, err
	}
	if u.SourceID != "" {
		return Begun{}, errHasSource
	}
	p, err := s.IdentityProvider(ctx, caller.Scope(), in.Provider)
	if err != nil {
		return Begun{}, err
	}
	if p.State != providerEnabled {
		return Begun{}, errProviderNotFound
	}
	return s.begin(ctx, p, attempt{Purpose: toLink, Session: session.ID, User: u.ID}, in, openid.Request{})
}

// StartTest begins a trial of an identity provider of the caller's, who is an admin.
func (s *SignIns) StartTest(ctx context.Context, caller authz.Caller, in BeginSignIn) (Begun, error) {
	if caller.Role != authzv1.Caller_CALLER_ADMIN {
		return Begun{}, errAdminOnly
	}
	session, err := s.sessionOf(ctx, caller)
	if err != nil {
		return Begun{}, err
	}
	p, err := s.IdentityProvider(ctx, caller.Scope(), in.Provider)
	if err != nil {
		return Begun{}, err
	}
	if p.ClientID == "" {
		return Begun{}, errProviderIncomplete
	}
	return s.begin(ctx, p, attempt{Purpose: toTest, Session: session.ID, User: session.UserID}, in, openid.Request{ACR: p.StepUpACR})
}

// sessionOf is the session that the caller came with.
func (s *SignIns) sessionOf(ctx context.Context, caller authz.Caller) (session store.Session, err error) {
	if caller.APIToken || caller.CredentialID == uuid.Nil {
		return session, errNeedsSession
	}
	// In a transaction of the caller's, which looks at their rights first.
	err = s.db.In(ctx, scope.Organization(caller.OrganizationID), func(ctx context.Context, tx *postgres.Tx) (err error) {
		session, err = s.lockSession(ctx, tx, caller.CredentialID)
		return err
	})
	if err == nil && session.UserID != caller.UserID {
		err = ErrTokenInvalid
	}
	return session, err
}

// lockSession locks a session that has not ended.
func (s *SignIns) lockSession(ctx context.Context, tx *postgres.Tx, session uuid.UUID) (store.Session, error) {
	now := s.clock.Now()
	found, err := store.LockSession(ctx, tx, session, now, now.Add(-s.sessions.Idle))
	return found, orNotFound(err, ErrTokenInvalid)
}

// provider reads an identity provider of any organization.
func (s *SignIns) provider(ctx context.Context, provider uuid.UUID) (p store.IdentityProvider, err error) {
	err = s.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		p, err = store.GetIdentityProvider(ctx, tx, provider)
		return orNotFound(err, errProviderNotFound)
	})
	return p, err
}

func (s *SignIns) begin(ctx context.Context, p store.IdentityProvider, a attempt, in BeginSignIn, r openid.Request) (Begun, error) {
	client, err := s.client(ctx, p)
	if err != nil {
		return Begun{}, err
	}
	r.RedirectURI = strings.ReplaceAll(in.RedirectURI, "{id}", p.ID.String())
	r.State, r.Nonce, r.Verifier = rand.Text(), rand.Text(), openid.NewVerifier()
	url, err := s.Party.AuthorizationURL(ctx, client, r)
	if err != nil {
		return Begun{}, s.failed(ctx, p, err)
	}
	a.ID, a.Provider, a.Version, a.Begun, a.ReturnTo = id.New(), p.ID, p.Version, s.clock.Now(), in.ReturnTo
	a.State, a.Nonce, a.Verifier, a.Redirect = r.State, r.Nonce, r.Verifier, r.RedirectURI
	plain, err := json.Marshal(a)
	if err != nil {
		return Begun{}, err //nolint:wrapcheck // cannot be
	}
	return Begun{URL: url, Attempt: base64.RawURLEncoding.EncodeToString(s.Attempts.Seal(plain, attemptLabel))}, nil
}

// failed is what callers read of an error of package openid; why is logged.
func (s *SignIns) failed(ctx context.Context, p store.IdentityProvider, err error) error {
	s.Log.WarnContext(ctx, "Identity provider did not sign somebody in", "identity_provider_id", p.ID, "organization_id", p.OrganizationID, "error", err)
	switch {
	case errors.Is(err, openid.ErrRefused):
		return errSignInRefused.Wrap(err)
	case errors.Is(err, openid.ErrNotProven):
		return errNotProven.Wrap(err)
	}
	return errProviderAway.Wrap(err)
}

// FinishSignIn is what a browser came back with.
type FinishSignIn struct {
	Provider       uuid.UUID
	Attempt, State string
	Reply          openid.Reply
	// Session is a session to begin, or the token that a confirmed one has from now
	// on.
	Session NewSession
}

// Finished is what came of a sign-in.
type Finished struct {
	// Session is the one that began or was confirmed; nil after a test and a link.
	Session  *store.Session
	User     *store.User
	ReturnTo string
	// Confirmed says that the session is the one that was there.
	Confirmed bool
	Test      *SignInTest
}

// SignInTest is what a trial of an identity provider has shown.
type SignInTest struct {
	Problems       []string
	Identity       openid.Identity
	ClaimOfUser    string
	WouldBe        *store.User
	StrongAuthTime *time.Time
}

// FinishSignIn ends a sign-in that StartSignIn or one of its siblings began.
func (s *SignIns) FinishSignIn(ctx context.Context, in FinishSignIn) (out Finished, err error) {
	a, err := s.open(in)
	if err != nil {
		return out, err
	}
	out.ReturnTo = a.ReturnTo
	p, err := s.provider(ctx, a.Provider)
	if err != nil {
		return out, err
	}
	if p.Version != a.Version || a.Purpose != toTest && p.State != providerEnabled {
		return out, errSignInExpired
	}
	client, err := s.client(ctx, p)
	if err != nil {
		return out, err
	}
	request := openid.Request{RedirectURI: a.Redirect, Nonce: a.Nonce, Verifier: a.Verifier}
	identity, err := s.Party.Identify(ctx, client, request, in.Reply, p.UserClaim)
	if err != nil {
		if a.Purpose == toTest && !errors.Is(err, openid.ErrUnavailable) {
			out.Test = &SignInTest{Problems: []string{sentence(err)}}
			return out, nil
		}
		return out, s.failed(ctx, p, err)
	}
	switch a.Purpose {
	case toTest:
		out.Test, err = s.test(ctx, p, a, identity)
		return out, err
	case toLink:
		return out, s.refuse(ctx, p, a, identity, s.link(ctx, p, a, identity, &out))
	case toStepUp:
		return out, s.refuse(ctx, p, a, identity, s.confirm(ctx, p, a, identity, in.Session, &out))
	}
	return out, s.refuse(ctx, p, a, identity, s.signIn(ctx, p, identity, in.Session, &out))
}

// open reads the attempt that a browser kept.
func (s *SignIns) open(in FinishSignIn) (a attempt, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(in.Attempt)
	if err != nil {
		return a, errSignInExpired
	}
	plain, err := s.Attempts.Open(sealed, attemptLabel)
	if err != nil || json.Unmarshal(plain, &a) != nil {
		return a, errSignInExpired
	}
	if a.Provider != in.Provider || subtle.ConstantTimeCompare([]byte(a.State), []byte(in.State)) != 1 || s.clock.Now().Sub(a.Begun) > attemptFor {
		return a, errSignInExpired
	}
	return a, nil
}

// refuse writes down that somebody whom the provider knows was not signed in.
func (s *SignIns) refuse(ctx context.Context, p store.IdentityProvider, a attempt, identity openid.Identity, err error) error {
	e, ok := apierr.From(err)
	if !ok || !strings.HasPrefix(e.Reason, "SIGN_IN_") {
		return err
	}
	actor := event.SystemActor("identity-sync")
	if noted := s.change(ctx, scope.Organization(p.OrganizationID), actor, func(ctx context.Context, tx *transaction) error {
		tx.environment = p.EnvironmentID
		tx.emit(a.ID, &eventv1.SignInRefused{Context: tx.about("", 0), SignInId: a.ID.String(), IdentityProviderId: p.ID.String(), Subject: identity.Subject, Reason: e.Reason, Address: clientAddress(ctx)})
		return nil
	}); noted != nil {
		s.Log.WarnContext(ctx, "A refused sign-in could not be written down", "identity_provider_id", p.ID, "error", noted)
	}
	return err
}

// strong is when somebody has proved who they are, if that was as strong as the
// provider is asked for; nil otherwise.
func strong(p store.IdentityProvider, identity openid.Identity, now time.Time) *time.Time {
	if identity.AuthTime.IsZero() || len(p.StepUpACR) > 0 && !slices.Contains(p.StepUpACR, identity.ACR) {
		return nil
	}
	at := identity.AuthTime
	if at.After(now) { // the provider's clock is ahead
		at = now
	}
	return &at
}

// lockEnabled has the provider stay as it was when its answer was asked for.
func (t *transaction) lockEnabled(ctx context.Context, p store.IdentityProvider) error {
	now, err := store.ShareIdentityProvider(ctx, t.Tx, p.ID)
	if err != nil {
		return orNotFound(err, errSignInExpired)
	}
	if now.Version != p.Version {
		return errSignInExpired
	}
	return nil
}

// signIn begins a session of the user whose identity it is.
func (s *SignIns) signIn(ctx context.Context, p store.IdentityProvider, identity openid.Identity, in NewSession, out *Finished) error {
	in.ID = id.New()
	in.IDToken = s.keepToken(ctx, p, identity, in.ID)
	return s.change(ctx, scope.Organization(p.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		if err := tx.lockEnabled(ctx, p); err != nil {
			return err
		}
		u, err := tx.userOf(ctx, p, identity)
		if err != nil {
			return err
		}
		in.Method, in.Provider, in.Subject, in.ProviderSession = openIDConnect, &p.ID, identity.Subject, identity.Session
		in.AuthTime, in.Lifetime = strong(p, identity, tx.now), s.sessions.Lifetime
		session, err := tx.startSession(ctx, u, in)
		out.User, out.Session = &u, &session
		return err
	})
}

// userOf finds the active user whose identity it is, locked. An identity that comes
// for the first time becomes that of the user whom the provider's source names.
func (t *transaction) userOf(ctx context.Context, p store.IdentityProvider, identity openid.Identity) (u store.User, err error) {
	known, err := store.GetUserIdentity(ctx, t.Tx, p.ID, identity.Subject)
	first := errors.Is(err, store.ErrNotFound)
	switch {
	case first:
		if u, err = t.userOfClaim(ctx, p, identity); err != nil {
			return u, err
		}
		// Whoever has locked the user before may have linked it.
		known, err = store.GetUserIdentity(ctx, t.Tx, p.ID, identity.Subject)
		if first = errors.Is(err, store.ErrNotFound); err != nil && !first {
			return u, err
		}
		if !first && known.UserID != u.ID {
			return u, errIdentityTaken
		}
	case err != nil:
		return u, err
	default:
		if u, err = store.LockUserUnlessRemoved(ctx, t.Tx, known.UserID); err != nil {
			return u, orNotFound(err, errUserUnknown)
		}
	}
	t.actor = event.UserActor(u.ID.String(), u.DisplayName)
	if u.State != lifecycle.Active || u.Kind != store.Employee && u.Kind != store.External {
		return u, errUserUnknown
	}
	if first {
		return u, t.linkIdentity(ctx, p, identity, u, &t.now)
	}
	return u, store.TouchUserIdentity(ctx, t.Tx, known.ID, t.now)
}

// userOfClaim locks the user of the provider's source whom the claim names.
func (t *transaction) userOfClaim(ctx context.Context, p store.IdentityProvider, identity openid.Identity) (u store.User, err error) {
	value := identity.Claim(p.UserClaim)
	if p.SourceID == nil || value == "" {
		return u, errUserUnknown
	}
	for range 2 {
		found, err := store.FindUserOfClaim(ctx, t.Tx, *p.SourceID, p.UserField, value)
		if err != nil {
			return u, err
		}
		if len(found) != 1 {
			return u, errUserUnknown
		}
		if u, err = store.LockUserUnlessRemoved(ctx, t.Tx, found[0]); err != nil {
			return u, orNotFound(err, errUserUnknown)
		}
		// It may have become another's before it was locked.
		again, err := store.FindUserOfClaim(ctx, t.Tx, *p.SourceID, p.UserField, value)
		if err != nil {
			return u, err
		}
		if slices.Equal(again, found) {
			return u, nil
		}
	}
	return u, errUserUnknown
}

// linkIdentity makes an identity a locked user's, who has none at the provider.
func (t *transaction) linkIdentity(ctx context.Context, p store.IdentityProvider, identity openid.Identity, u store.User, signedIn *time.Time) error {
	i := store.UserIdentity{
		ID: id.New(), OrganizationID: t.organization, ProviderID: p.ID, Subject: identity.Subject, UserID: u.ID, CreateTime: t.now, LastSignIn: signedIn,
	}
	if err := store.InsertUserIdentity(ctx, t.Tx, i); err != nil {
		return err
	}
	t.environment = u.EnvironmentID
	t.emit(i.ID, &eventv1.UserIdentityLinked{Context: t.about(u.ID.String(), 0), UserIdentity: convert.UserIdentity(i)})
	return nil
}

// lockOwn locks the session and the user that an attempt was begun by.
func (t *transaction) lockOwn(ctx context.Context, s *SignIns, a attempt) (session store.Session, u store.User, err error) {
	if u, err = store.LockUserUnlessRemoved(ctx, t.Tx, a.User); err != nil {
		return session, u, orNotFound(err, errSignInExpired)
	}
	session, err = s.lockSession(ctx, t.Tx, a.Session)
	if errors.Is(err, ErrTokenInvalid) || err == nil && (session.UserID != u.ID || u.State != lifecycle.Active) {
		err = errSignInExpired
	}
	t.actor, t.environment = event.UserActor(u.ID.String(), u.DisplayName), u.EnvironmentID
	return session, u, err
}

// link makes the identity one of the user who began the attempt.
func (s *SignIns) link(ctx context.Context, p store.IdentityProvider, a attempt, identity openid.Identity, out *Finished) error {
	return s.change(ctx, scope.Organization(p.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		if err := tx.lockEnabled(ctx, p); err != nil {
			return err
		}
		_, u, err := tx.lockOwn(ctx, s, a)
		if err != nil {
			return err
		}
		out.User = &u
		known, err := store.GetUserIdentity(ctx, tx.Tx, p.ID, identity.Subject)
		switch {
		case err == nil && known.UserID == u.ID:
			return nil
		case err == nil:
			return errIdentityTaken
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		// Nor may it be that of somebody whom the source names by it.
		if _, err := tx.userOfClaim(ctx, p, identity); !errors.Is(err, errUserUnknown) {
			if err == nil {
				err = errIdentityTaken
			}
			return err
		}
		return tx.linkIdentity(ctx, p, identity, u, nil)
	})
}

// maxToken is how long an ID token may be that is kept: browsers carry it in an
// address, of which servers take some 8000 characters.
const maxToken = 6000

// keepToken seals an ID token for the session that it is kept with, to sign out with.
// Nil if it is not kept: then the provider asks the person.
func (s *SignIns) keepToken(ctx context.Context, p store.IdentityProvider, identity openid.Identity, session uuid.UUID) []byte {
	if !p.SignOut || len(identity.Token) > maxToken {
		return nil
	}
	sealed, err := s.Keys.Seal(ctx, p.OrganizationID, session, identity.Token)
	if err != nil {
		s.Log.WarnContext(ctx, "An ID token cannot be sealed", "identity_provider_id", p.ID, "organization_id", p.OrganizationID, "error", err)
		return nil
	}
	return sealed
}

// SignOut is what the caller asks for who signs out.
type SignOut struct {
	// RedirectURI is where the browser comes back to after signing out at the provider;
	// {id} stands for the provider's id. Empty: only the session here ends.
	RedirectURI, State string
}

// signOutFor is how long a sign-out that is done waits for the provider's address.
const signOutFor = 3 * time.Second

// SignOut ends the session that the caller came with, and says where the browser goes
// to sign out at the identity provider; empty for nowhere. The session has ended
// whatever the provider does.
func (s *SignIns) SignOut(ctx context.Context, caller authz.Caller, in SignOut) (address string, err error) {
	// Read before, as the caller's token is good no more afterwards.
	there, err := s.signedInAt(ctx, caller, in)
	if err == nil {
		if err = s.EndSession(ctx, caller, caller.CredentialID); err != nil || there == nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(ctx, signOutFor)
		defer cancel()
		address, err = s.Party.EndSessionURL(ctx, there.client, there.request)
	} else if ended := s.EndSession(ctx, caller, caller.CredentialID); ended != nil {
		return "", ended
	}
	if err != nil {
		s.Log.WarnContext(ctx, "Somebody signed out, and not at the identity provider", "organization_id", caller.OrganizationID, "session_id", caller.CredentialID, "error", err)
		return "", nil
	}
	return address, nil
}

// signedIn is where somebody has signed in, and what they sign out with there.
type signedIn struct {
	client  openid.Client
	request openid.SignOut
}

// signedInAt is where the caller's session began; nil if nobody signs out there.
func (s *SignIns) signedInAt(ctx context.Context, caller authz.Caller, in SignOut) (*signedIn, error) {
	if in.RedirectURI == "" {
		return nil, nil //nolint:nilnil // there is nowhere to go
	}
	var p store.IdentityProvider
	var sealed []byte
	err := s.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		p, sealed, err = store.ProviderOfSession(ctx, tx, caller.CredentialID, caller.UserID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !p.SignOut {
		return nil, nil //nolint:nilnil // there is nowhere to go
	}
	if err != nil {
		return nil, err
	}
	out := &signedIn{
		openid.Client{Issuer: p.Issuer, ID: p.ClientID},
		openid.SignOut{RedirectURI: strings.ReplaceAll(in.RedirectURI, "{id}", p.ID.String()), State: in.State},
	}
	if len(sealed) > 0 {
		out.request.Token, err = s.Keys.Open(ctx, p.OrganizationID, caller.CredentialID, sealed)
	}
	return out, err //nolint:wrapcheck // says what it is
}

// confirm gives the session of an attempt another token, and writes down that the
// user has proved again who they are.
func (s *SignIns) confirm(ctx context.Context, p store.IdentityProvider, a attempt, identity openid.Identity, in NewSession, out *Finished) error {
	sealed := s.keepToken(ctx, p, identity, a.Session)
	return s.change(ctx, scope.Organization(p.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		if err := tx.lockEnabled(ctx, p); err != nil {
			return err
		}
		session, u, err := tx.lockOwn(ctx, s, a)
		if err != nil {
			return err
		}
		if session.ProviderID == nil || *session.ProviderID != p.ID || session.Subject != identity.Subject {
			return errIdentityTaken
		}
		at := strong(p, identity, tx.now)
		if at == nil || at.Before(a.Begun.Add(-openid.Skew)) {
			return errTooWeak
		}
		session.AuthTime, session.LastUse, session.IDToken = at, tx.now, sealed
		if identity.Session != "" {
			session.ProviderSession = identity.Session
		}
		if err := store.ConfirmSession(ctx, tx.Tx, session, in.Hash[:]); err != nil {
			return err
		}
		out.User, out.Session, out.Confirmed = &u, &session, true
		tx.emit(session.ID, &eventv1.SessionConfirmed{Context: tx.about(u.ID.String(), 0), Session: convert.Session(session, false), Address: clientAddress(ctx)})
		return nil
	})
}

// test says what would come of a sign-in, and changes nothing.
func (s *SignIns) test(ctx context.Context, p store.IdentityProvider, a attempt, identity openid.Identity) (*SignInTest, error) {
	out := &SignInTest{Identity: identity, ClaimOfUser: identity.Claim(p.UserClaim), StrongAuthTime: strong(p, identity, s.clock.Now())}
	undone := errors.New("undone")
	err := s.change(ctx, scope.Organization(p.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		out.Problems = nil
		_, by, err := tx.lockOwn(ctx, s, a)
		if err != nil {
			return err
		}
		if by.Role != lifecycle.Admin { // any more
			return errAdminOnly
		}
		u, err := tx.userOf(ctx, p, identity)
		if e, ok := apierr.From(public(err)); ok && strings.HasPrefix(e.Reason, "SIGN_IN_") {
			out.Problems = append(out.Problems, s.why(p, identity, e))
		} else if err != nil {
			return err
		} else {
			out.WouldBe = &u
		}
		return undone
	})
	if !errors.Is(err, undone) {
		return nil, err
	}
	if len(p.StepUpACR) > 0 && !slices.Contains(p.StepUpACR, identity.ACR) {
		out.Problems = append(out.Problems, "The provider was asked for one of the authentication contexts "+strings.Join(p.StepUpACR, ", ")+" and says that it was "+quotedOrNone(identity.ACR)+".")
	}
	if identity.AuthTime.IsZero() {
		out.Problems = append(out.Problems, "The provider does not say when the person proved who they are (auth_time), so nothing that needs a recent sign-in can be done.")
	}
	return out, nil
}

// why says to an admin why nobody is found.
func (s *SignIns) why(p store.IdentityProvider, identity openid.Identity, e *apierr.Error) string {
	switch {
	case e.Reason != errUserUnknown.Reason:
		return "The user has another identity at this provider; delete it if the new one is right."
	case p.SourceID == nil:
		return "No source is named, and the identity is linked to nobody."
	case identity.Claim(p.UserClaim) == "":
		return "Neither the ID token nor the userinfo endpoint has a claim " + p.UserClaim + " that is a text."
	}
	return "No active person of the source has the " + strings.ReplaceAll(p.UserField, "_", " ") + " " + quotedOrNone(identity.Claim(p.UserClaim)) + "."
}

func quotedOrNone(text string) string {
	if text == "" {
		return "none"
	}
	return `"` + text + `"`
}

// sentence is an error as one.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// EndSessionsByProvider ends the sessions that a logout token names.
func (s *SignIns) EndSessionsByProvider(ctx context.Context, provider uuid.UUID, logoutToken string) error {
	p, err := s.provider(ctx, provider)
	if err != nil {
		return err
	}
	client, err := s.client(ctx, p)
	if err != nil {
		return err
	}
	logout, err := s.Party.Logout(ctx, client, logoutToken)
	if errors.Is(err, openid.ErrUnavailable) {
		return errProviderAway.Wrap(err)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "A logout token does not hold", "identity_provider_id", p.ID, "organization_id", p.OrganizationID, "error", err)
		return errLogoutInvalid.Wrap(err)
	}
	return s.change(ctx, scope.Organization(p.OrganizationID), event.SystemActor("identity-sync"), func(ctx context.Context, tx *transaction) error {
		// Without a session, a token that is sent again must not end what began after
		// it.
		until := tx.whenever()
		if logout.Session == "" {
			until = logout.IssuedAt.Add(openid.Skew)
		}
		return tx.endSessionsAtProvider(ctx, store.AtProvider{Provider: p.ID, Subject: logout.Subject, ProviderSession: logout.Session}, until)
	})
}

// linkFor is how long a one-time link can be used, and linkSession how long the
// session lasts that it begins.
const (
	linkFor     = 15 * time.Minute
	linkSession = time.Hour
)

// ErrLinkInvalid is the one error of a one-time link, whatever the reason.
var ErrLinkInvalid = apierr.Unauthenticated("SIGN_IN_LINK_INVALID", "the link is not valid: it can be used once, for 15 minutes")

// CreateSignInLink makes a one-time link for an active person, by user name or id, of the
// organization with a sign-in name or id or, if that is empty, of any. It is for who runs
// Gatehouse, at the machine.
func (c *Commands) CreateSignInLink(ctx context.Context, name, organization string) (link string, u store.User, expires time.Time, err error) {
	link, hash := secret.New(secret.Link)
	u, err = c.asAnybody(ctx, name, organization, func(ctx context.Context, t *transaction, u store.User) error {
		if u.Kind != store.Employee && u.Kind != store.External {
			return errUserUnknown
		}
		t.actor, t.environment = operator(), u.EnvironmentID
		expires = t.now.Add(linkFor)
		one := id.New()
		if err := store.InsertSignInLink(ctx, t.Tx, one, u.OrganizationID, u.ID, hash[:], t.now, expires); err != nil {
			return err
		}
		t.emit(one, &eventv1.SignInLinkCreated{Context: t.about(u.ID.String(), 0), SignInLinkId: one.String(), User: convert.User(u)})
		return nil
	})
	return link, u, expires, err
}

// RedeemSignInLink begins a session with a one-time link, which is over then.
func (c *Commands) RedeemSignInLink(ctx context.Context, hash secret.Hash, in NewSession) (u store.User, session store.Session, err error) {
	err = c.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now := c.clock.Now()
		user, err := store.UseSignInLink(ctx, tx, hash[:], now)
		if err != nil {
			return orNotFound(err, ErrLinkInvalid)
		}
		if u, err = store.LockUserUnlessRemoved(ctx, tx, user); err != nil {
			return orNotFound(err, ErrLinkInvalid)
		}
		if u.State != lifecycle.Active {
			return ErrLinkInvalid
		}
		t := &transaction{Tx: tx, organization: u.OrganizationID, actor: event.UserActor(u.ID.String(), u.DisplayName), now: now}
		in.Method, in.Lifetime = byLink, min(linkSession, c.sessions.Lifetime)
		if session, err = t.startSession(ctx, u, in); err != nil {
			return err
		}
		return c.events.Add(ctx, tx, t.events...)
	})
	return u, session, err
}
