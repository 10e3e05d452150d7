package identitysync_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// ofSource has the people of a source sign in.
func ofSource(p *provider) func(*identityv1.CreateIdentityProviderRequest) {
	return func(r *identityv1.CreateIdentityProviderRequest) { r.SourceId = p.source.GetId() }
}

// byUserName finds people by the claim preferred_username.
func byUserName(r *identityv1.CreateIdentityProviderRequest) {
	r.UserClaim, r.UserField = "preferred_username", identityv1.UserField_USER_FIELD_USER_NAME
}

// B-USR-20, in part: who is synced signs in by the identity provider. The founder's
// link is TestOneTimeLink.
func TestSignInByIdentityProvider(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"})
	ned := c.ids["ned"]

	begun := c.startSignIn(t, c.idp)
	for _, part := range []string{"code_challenge_method=S256", "response_type=code", "nonce=", "state=", "scope=openid", "max_age=43200"} {
		if !strings.Contains(begun.GetAuthorizationUrl(), part) {
			t.Errorf("%s is not in %s", part, begun.GetAuthorizationUrl())
		}
	}
	r, err := c.finish(t, c.idp, begun.GetAttempt(), c.op.answer(t, begun.GetAuthorizationUrl(), "ned"))
	first := c.by(t, r, err)
	if r.GetReturnTo() != "/requests" || r.GetUser().GetId() != ned || !r.GetExpireTime().AsTime().Equal(c.clock.Now().Add(12*time.Hour).Truncate(time.Microsecond)) {
		t.Errorf("finished: %v", r)
	}
	me, err := first.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
	if err != nil || me.GetUser().GetId() != ned {
		t.Errorf("%v %v", me, err)
	}
	list, err := first.sessions.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
	if err != nil || len(list.GetSessions()) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	s := list.GetSessions()[0]
	if s.GetMethod() != identityv1.SignInMethod_SIGN_IN_METHOD_OPENID_CONNECT || s.GetIdentityProviderId() != c.idp.GetId() || s.GetAuthTime() == nil {
		t.Errorf("session %v", s)
	}
	linked := servicetest.Wait(t, c.Harness, func(*eventv1.UserIdentityLinked) bool { return true })
	if i := linked.GetUserIdentity(); i.GetSubject() != "00u-ned" || i.GetUserId() != ned || linked.GetContext().GetActor().GetId() != ned {
		t.Errorf("linked: %v", linked)
	}

	// From now on it is the subject that counts, whatever the source calls them.
	c.dir.must(t, http.StatusOK, "PATCH", "/Users/"+ned, patch("replace", "externalId", "another"))
	r, err = c.signInAt(t, c.op, c.idp, "ned")
	if again := c.by(t, r, err); again.user.GetId() != ned {
		t.Errorf("again: %v", again.user)
	}
	identities, err := c.admin.providers.ListUserIdentities(t.Context(), &identityv1.ListUserIdentitiesRequest{UserId: ned})
	if err != nil || len(identities.GetUserIdentities()) != 1 || identities.GetUserIdentities()[0].GetLastSignInTime() == nil {
		t.Errorf("identities: %v %v", identities, err)
	}
	// Keys that are changed are fetched.
	c.op.rotate(t)
	if _, err = c.signInAt(t, c.op, c.idp, "ned"); err != nil {
		t.Errorf("with another key: %v", err)
	}
}

// Two have the externalId that a claim names: whoever comes with it is neither. Who has
// signed in before stays who they are.
func TestNobodySignsInByASharedExternalID(t *testing.T) {
	t.Parallel()
	w := start(t, loopback)
	admin := w.signUp(t)
	dir := admin.provider(t, w, "Corp directory")
	ann := dir.create(t, "ann", "externalId", "00u-ann")
	bob := dir.create(t, "bob", "externalId", "00u-ann")
	op := startProvider(t, somebody("00u-ann", "ann", "ann@corp.example"))
	idp := op.connect(t, admin, ofSource(dir))
	_, err := w.signInAt(t, op, idp, "ann")
	refused(t, err, codes.Unauthenticated, "SIGN_IN_USER_UNKNOWN")
	for _, externalID := range []string{"00u-bob", "00u-ann"} {
		dir.must(t, http.StatusOK, "PATCH", "/Users/"+bob, patch("replace", "externalId", externalID))
		r, err := w.signInAt(t, op, idp, "ann")
		if p := w.by(t, r, err); p.user.GetId() != ann {
			t.Errorf("bob has %s: ann is %v", externalID, p.user)
		}
	}
}

// An identity is met first by what the source has named, and never by an e-mail
// address; who is met by nothing is refused, which is written down.
func TestNobodyIsTakenForSomebodyElse(t *testing.T) {
	t.Parallel()
	w := start(t, loopback)
	admin := w.signUp(t)
	dir := admin.provider(t, w, "Corp directory")
	eve := dir.create(t, "eve", "externalId", "00u-eve")
	ned := dir.create(t, "ned")
	op := startProvider(t,
		somebody("00u-mallory", "mallory", "eve@corp.example"),
		somebody("00u-eve", "eve", "eve@corp.example"),
		somebody("00u-root", "root", admin.user.GetEmail()),
		somebody("sub-1", "ned@corp.example", "ned@corp.example"),
		somebody("sub-2", "NED@corp.example", "ned2@corp.example"),
	)
	idp := op.connect(t, admin, ofSource(dir))
	refusedFor := func(name, reason string) {
		t.Helper()
		_, err := w.signInAt(t, op, idp, name)
		refused(t, err, codes.Unauthenticated, reason)
	}
	refusedFor("mallory", "SIGN_IN_USER_UNKNOWN") // has eve's address
	refusedFor("root", "SIGN_IN_USER_UNKNOWN")    // has the admin's
	refusal := servicetest.Wait(t, w.Harness, func(ev *eventv1.SignInRefused) bool { return ev.GetSubject() == "00u-mallory" })
	if refusal.GetReason() != "SIGN_IN_USER_UNKNOWN" || refusal.GetIdentityProviderId() != idp.GetId() {
		t.Errorf("refused: %v", refusal)
	}
	r, err := w.signInAt(t, op, idp, "eve")
	if p := w.by(t, r, err); p.user.GetId() != eve {
		t.Errorf("eve is %v", p.user)
	}
	// Suspended, and back.
	dir.must(t, http.StatusOK, "PATCH", "/Users/"+eve, patch("replace", "active", false))
	refusedFor("eve", "SIGN_IN_USER_UNKNOWN")
	dir.must(t, http.StatusOK, "PATCH", "/Users/"+eve, patch("replace", "active", true))
	if _, err = w.signInAt(t, op, idp, "eve"); err != nil {
		t.Error(err)
	}
	// B-USR-16, in part: who left is not signed in, and who comes back is found anew.
	dir.must(t, http.StatusNoContent, "DELETE", "/Users/"+eve, nil)
	refusedFor("eve", "SIGN_IN_USER_UNKNOWN")
	if again := dir.create(t, "eve", "externalId", "00u-other"); again == eve {
		t.Log("the same name is the same user (issue of its own)")
	}
	refusedFor("eve", "SIGN_IN_USER_UNKNOWN") // the identity is another's at the source now

	// By the user name, in any case; whoever else comes by that name is somebody else.
	if _, err := admin.providers.DeleteIdentityProvider(t.Context(), &identityv1.DeleteIdentityProviderRequest{Id: idp.GetId()}); err != nil {
		t.Fatal(err)
	}
	idp = op.connect(t, admin, ofSource(dir), byUserName)
	r, err = w.signInAt(t, op, idp, "ned@corp.example")
	if p := w.by(t, r, err); p.user.GetId() != ned {
		t.Errorf("ned is %v", p.user)
	}
	refusedFor("NED@corp.example", "SIGN_IN_IDENTITY_TAKEN")
	identities, err := admin.providers.ListUserIdentities(t.Context(), &identityv1.ListUserIdentitiesRequest{UserId: ned})
	if err != nil || len(identities.GetUserIdentities()) != 1 {
		t.Fatalf("identities: %v %v", identities, err)
	}
	// An admin decides that the other is ned: the first is out at once.
	r, err = w.signInAt(t, op, idp, "ned@corp.example")
	signedIn := w.by(t, r, err)
	if _, err := admin.providers.DeleteUserIdentity(t.Context(), &identityv1.DeleteUserIdentityRequest{Id: identities.GetUserIdentities()[0].GetId()}); err != nil {
		t.Fatal(err)
	}
	_, err = w.exchange(t, signedIn.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if _, err = w.signInAt(t, op, idp, "NED@corp.example"); err != nil {
		t.Error(err)
	}
}

// A sign-in ends in the browser that began it, once, within ten minutes, at the
// provider that it began at.
func TestASignInIsOfOneBrowser(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"})
	other, err := c.admin.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{Name: "Other", Issuer: c.op.issuer})
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := c.startSignIn(t, c.idp), c.startSignIn(t, c.idp)
	q := c.op.answer(t, mine.GetAuthorizationUrl(), "ned")
	for name, attempt := range map[string]string{
		"another browser": theirs.GetAttempt(), "no browser": "", "nonsense": "bm90aGluZw", "changed": mine.GetAttempt()[:len(mine.GetAttempt())-2] + "AA",
	} {
		_, err := c.finish(t, c.idp, attempt, q)
		t.Log(name)
		refused(t, err, codes.Unauthenticated, "SIGN_IN_EXPIRED")
	}
	_, err = c.finish(t, other.GetIdentityProvider(), mine.GetAttempt(), q)
	refused(t, err, codes.Unauthenticated, "SIGN_IN_EXPIRED")
	if _, err = c.finish(t, c.idp, mine.GetAttempt(), q); err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(t, c.idp, mine.GetAttempt(), q)
	refused(t, err, codes.Unauthenticated, "SIGN_IN_NOT_PROVEN") // the code was used

	late := c.startSignIn(t, c.idp)
	q = c.op.answer(t, late.GetAuthorizationUrl(), "ned")
	c.clock.Advance(10*time.Minute + time.Second)
	_, err = c.finish(t, c.idp, late.GetAttempt(), q)
	refused(t, err, codes.Unauthenticated, "SIGN_IN_EXPIRED")

	// The provider says no, and what it says comes from somebody else.
	denied := c.startSignIn(t, c.idp)
	state := stateOf(t, denied.GetAuthorizationUrl())
	_, err = c.finish(t, c.idp, denied.GetAttempt(), map[string][]string{"state": {state}, "error": {"access_denied"}})
	refused(t, err, codes.Unauthenticated, "SIGN_IN_REFUSED")
	_, err = c.finish(t, c.idp, denied.GetAttempt(), map[string][]string{"state": {state}, "code": {"x"}, "iss": {"https://evil.example"}})
	refused(t, err, codes.Unauthenticated, "SIGN_IN_NOT_PROVEN")

	// What was begun before the provider was changed is over.
	before := c.startSignIn(t, c.idp)
	q = c.op.answer(t, before.GetAuthorizationUrl(), "ned")
	if _, err := c.admin.providers.UpdateIdentityProvider(t.Context(), changeProvider(&identityv1.IdentityProvider{Id: c.idp.GetId(), Name: "Renamed"}, "name")); err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(t, c.idp, before.GetAttempt(), q)
	refused(t, err, codes.Unauthenticated, "SIGN_IN_EXPIRED")
}

// What changes rights needs a recent proof (RFC 9470), which the provider is asked
// for again; the session has another token then.
func TestStepUp(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned", "eve"})
	ned := c.ids["ned"]
	r, err := c.signInAt(t, c.op, c.idp, "ned")
	p := c.by(t, r, err)
	newToken := func(p person) error {
		_, err := p.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{Name: "ci", ExpireTime: c.inAnHour()})
		return err
	}
	if err := newToken(p); err != nil {
		t.Fatal(err)
	}
	c.clock.Advance(16 * time.Minute)
	refused(t, newToken(p), codes.Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION")
	if _, err := p.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil {
		t.Errorf("everything else: %v", err)
	}
	// The real provider's clock does not go along: the service's is put back.
	confirm := func(who string) (*identityv1.FinishSignInResponse, error) {
		t.Helper()
		begun, err := p.signIns.StartConfirmation(t.Context(), &identityv1.StartConfirmationRequest{
			Purpose: identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP, RedirectUri: redirect("{id}"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(begun.GetAuthorizationUrl(), "prompt=login") || !strings.Contains(begun.GetAuthorizationUrl(), "max_age=0") {
			t.Errorf("the provider is not told to ask: %s", begun.GetAuthorizationUrl())
		}
		return c.finish(t, c.idp, begun.GetAttempt(), c.op.answer(t, begun.GetAuthorizationUrl(), who))
	}
	_, err = confirm("ned")
	refused(t, err, codes.Unauthenticated, "SIGN_IN_TOO_WEAK") // 16 minutes ago, by the service's clock
	c.clock.Advance(-16 * time.Minute)
	_, err = confirm("eve")
	refused(t, err, codes.Unauthenticated, "SIGN_IN_IDENTITY_TAKEN")
	before := p.secret
	r, err = confirm("ned")
	if p = c.by(t, r, err); p.secret == before || p.user.GetId() != ned {
		t.Errorf("confirmed: %v", r)
	}
	_, err = c.exchange(t, before)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	c.clock.Advance(14 * time.Minute)
	if err := newToken(p); err != nil {
		t.Errorf("after the confirmation: %v", err)
	}
	servicetest.Wait(t, c.Harness, func(ev *eventv1.SessionConfirmed) bool { return ev.GetSession().GetUserId() == ned })
	if list, err := p.sessions.ListSessions(t.Context(), &identityv1.ListSessionsRequest{}); err != nil || len(list.GetSessions()) != 1 {
		t.Errorf("sessions: %v %v", list, err)
	}
}

// Authentication contexts that the provider does not give count as no proof.
// readRow reads one value.
func readRow(t testing.TB, w *world, sql string, to any) {
	t.Helper()
	err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { return tx.QueryRow(ctx, sql).Scan(to) })
	if err != nil {
		t.Fatal(err)
	}
}

// signsOut has people sign out at the provider too.
func signsOut(r *identityv1.CreateIdentityProviderRequest) { r.SignOutAtProvider = true }

// signOut signs somebody out of Gatehouse, and says where they go then.
func (c *corp) signOut(t testing.TB, p person) *url.URL {
	t.Helper()
	resp, err := p.sessions.SignOut(t.Context(), &identityv1.SignOutRequest{PostLogoutRedirectUri: afterwards("{id}"), State: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.exchange(t, p.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	u, err := url.Parse(resp.GetEndSessionUrl())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// signOutThere goes where signOut leads, as a browser does, and gives where the provider
// sends it back to.
func (c *corp) signOutThere(t testing.TB, u *url.URL) (code int, back string) {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer browser.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Location")
}

// Who signs out of Gatehouse signs out at the provider (OpenID Connect RP-Initiated
// Logout 1.0), where the provider's settings say so.
func TestSignOutAtProvider(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"}, signsOut)
	back := afterwards(c.idp.GetId()) + "?state=s1"
	by := func() person {
		t.Helper()
		r, err := c.signInAt(t, c.op, c.idp, "ned")
		return c.by(t, r, err)
	}
	there := func(want ...string) {
		t.Helper()
		c.op.mu.Lock()
		defer c.op.mu.Unlock()
		if !slices.Equal(c.op.signedOut, want) {
			t.Errorf("signed out there: %q, want %q", c.op.signedOut, want)
		}
	}
	ned := by()
	var sealed []byte
	readRow(t, c.world, "select id_token from session where user_id = '"+ned.user.GetId()+"'", &sealed)
	if len(sealed) == 0 || bytes.Contains(sealed, []byte("eyJ")) {
		t.Errorf("the ID token is kept as %q", sealed)
	}
	u := c.signOut(t, ned)
	there() // not before the browser has been there
	if code, to := c.signOutThere(t, u); code != http.StatusFound || to != back {
		t.Errorf("%s: %d %s", u, code, to)
	}
	there("00u-ned")

	// The last ID token is the hint: keys of the first one may be gone.
	ned = by()
	c.op.rotate(t)
	begun, err := ned.signIns.StartConfirmation(t.Context(), &identityv1.StartConfirmationRequest{
		Purpose: identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP, RedirectUri: redirect("{id}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.finish(t, c.idp, begun.GetAttempt(), c.op.answer(t, begun.GetAuthorizationUrl(), "ned"))
	ned = c.by(t, r, err)
	if code, to := c.signOutThere(t, c.signOut(t, ned)); code != http.StatusFound || to != back {
		t.Errorf("after a step-up: %d %s", code, to)
	}
	there("00u-ned", "00u-ned")

	// Nowhere else than where the provider has been told.
	u = c.signOut(t, by())
	q := u.Query()
	q.Set("post_logout_redirect_uri", "https://evil.example/")
	u.RawQuery = q.Encode()
	if code, to := c.signOutThere(t, u); code != http.StatusBadRequest || to != "" {
		t.Errorf("elsewhere: %d %s", code, to)
	}
	ned = by()
	_, err = ned.sessions.SignOut(t.Context(), &identityv1.SignOutRequest{PostLogoutRedirectUri: "javascript:alert(1)"})
	refused(t, err, codes.InvalidArgument, "URL_INVALID")
	// Who names no place to come back to signs out here alone.
	if resp, err := ned.sessions.SignOut(t.Context(), &identityv1.SignOutRequest{}); err != nil || resp.GetEndSessionUrl() != "" {
		t.Errorf("%v %v", resp, err)
	}

	// The setting counts as it is when somebody signs out.
	set := func(on bool) {
		t.Helper()
		changed, err := c.admin.providers.UpdateIdentityProvider(t.Context(), changeProvider(&identityv1.IdentityProvider{Id: c.idp.GetId(), SignOutAtProvider: on}, "sign_out_at_provider"))
		if err != nil || changed.GetIdentityProvider().GetSignOutAtProvider() != on {
			t.Fatalf("%v %v", changed, err)
		}
		c.idp = changed.GetIdentityProvider()
	}
	ned = by()
	set(false)
	if u := c.signOut(t, ned); u.String() != "" {
		t.Errorf("switched off, it leads to %s", u)
	}
	ned = by()
	readRow(t, c.world, "select id_token from session where user_id = '"+ned.user.GetId()+"'", &sealed)
	if len(sealed) != 0 {
		t.Error("an ID token is kept that nobody needs")
	}
	set(true)
	u = c.signOut(t, ned)
	if u.Query().Has("id_token_hint") || u.Query().Get("client_id") != c.idp.GetClientId() {
		t.Errorf("without an ID token: %s", u)
	}
	if code, to := c.signOutThere(t, u); code != http.StatusFound || to != back {
		t.Errorf("without an ID token: %d %s", code, to)
	}
	there("00u-ned", "00u-ned", "")
}

// Who signs out is out, whether the provider answers or not.
func TestSignOutWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"}, signsOut)
	r, err := c.signInAt(t, c.op, c.idp, "ned")
	ned := c.by(t, r, err)
	c.op.close()
	c.clock.Advance(40 * time.Minute)
	if _, err := ned.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil {
		t.Fatal(err)
	}
	c.clock.Advance(40 * time.Minute) // what is known of the provider is too old
	if u := c.signOut(t, ned); u.String() != "" {
		t.Errorf("it leads to %s", u)
	}
}

func TestStepUpContexts(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"}, func(r *identityv1.CreateIdentityProviderRequest) { r.StepUpAcrValues = []string{"phr"} })
	r, err := c.signInAt(t, c.op, c.idp, "ned")
	p := c.by(t, r, err)
	_, err = p.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{Name: "ci", ExpireTime: c.inAnHour()})
	refused(t, err, codes.Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION")
	begun, err := p.signIns.StartConfirmation(t.Context(), &identityv1.StartConfirmationRequest{
		Purpose: identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP, RedirectUri: redirect("{id}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(begun.GetAuthorizationUrl(), "acr_values=phr") {
		t.Errorf("not asked for: %s", begun.GetAuthorizationUrl())
	}
	_, err = c.finish(t, c.idp, begun.GetAttempt(), c.op.answer(t, begun.GetAuthorizationUrl(), "ned"))
	refused(t, err, codes.Unauthenticated, "SIGN_IN_TOO_WEAK")
}

// Sessions end after a time without use, and after a time in any case.
func TestSessionsEndByThemselves(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *identitysync.Config) { c.SessionIdle, c.SessionLifetime = 30*time.Minute, 2*time.Hour })
	admin := w.signUp(t)
	used, left, open := admin.secret, w.as(t, admin.user.GetId()).secret, w.as(t, admin.user.GetId()).secret
	background := func() error {
		_, err := identityv1.NewTokenServiceClient(dial(t, w.Addr, "")).ExchangeToken(t.Context(), &identityv1.ExchangeTokenRequest{
			Token: open, Audiences: []string{"identity-sync"}, Background: true,
		})
		return err
	}
	for n := range 5 {
		w.clock.Advance(20 * time.Minute)
		// A page that looks again by itself sees what it saw, until the session has ended.
		if err := background(); n == 0 && err != nil {
			t.Fatal(err)
		} else if n > 0 {
			refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
		}
		if _, err := w.exchange(t, used); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.exchange(t, left)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	_, err = w.exchange(t, open)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if list, err := admin.sessions.ListSessions(t.Context(), &identityv1.ListSessionsRequest{}); err != nil || len(list.GetSessions()) != 1 {
		t.Errorf("sessions: %v %v", list, err)
	}
	w.clock.Advance(20 * time.Minute)
	_, err = w.exchange(t, used)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}

// Who signed in by a provider is out when the provider is disabled, another, or gone.
func TestAProviderTakesItsSessionsAlong(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"})
	signIn := func() (p, held person) {
		t.Helper()
		r, err := c.signInAt(t, c.op, c.idp, "ned")
		p = c.by(t, r, err)
		return p, c.signed(t, p)
	}
	out := func(p, held person) {
		t.Helper()
		_, err := c.exchange(t, p.secret)
		refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
		_, err = held.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
		refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
	}
	set := func(p *identityv1.IdentityProvider, paths ...string) *identityv1.IdentityProvider {
		t.Helper()
		p.Id = c.idp.GetId()
		r, err := c.admin.providers.UpdateIdentityProvider(t.Context(), changeProvider(p, paths...))
		if err != nil {
			t.Fatal(err)
		}
		return r.GetIdentityProvider()
	}
	p, held := signIn()
	set(&identityv1.IdentityProvider{Name: "Still this one"}, "name")
	if _, err := c.exchange(t, p.secret); err != nil {
		t.Errorf("after another name: %v", err)
	}
	set(&identityv1.IdentityProvider{State: identityv1.IdentityProviderState_IDENTITY_PROVIDER_STATE_DISABLED}, "state")
	out(p, held)
	_, err := c.nobody(t).signIns.StartSignIn(t.Context(), &identityv1.StartSignInRequest{IdentityProviderId: c.idp.GetId(), RedirectUri: redirect(c.idp.GetId())})
	refused(t, err, codes.NotFound, "IDENTITY_PROVIDER_NOT_FOUND")
	set(&identityv1.IdentityProvider{State: identityv1.IdentityProviderState_IDENTITY_PROVIDER_STATE_ENABLED}, "state")

	p, held = signIn()
	after := set(&identityv1.IdentityProvider{ClientId: "another client"}, "client_id")
	out(p, held)
	if after.GetHasClientSecret() {
		t.Error("the secret would be shown with another client")
	}
	set(&identityv1.IdentityProvider{ClientId: c.idp.GetClientId(), ClientSecret: "secret of " + c.idp.GetId()}, "client_id", "client_secret")

	p, held = signIn()
	if _, err := c.admin.providers.DeleteIdentityProvider(t.Context(), &identityv1.DeleteIdentityProviderRequest{Id: c.idp.GetId()}); err != nil {
		t.Fatal(err)
	}
	out(p, held)
	if _, err := c.admin.providers.DeleteIdentityProvider(t.Context(), &identityv1.DeleteIdentityProviderRequest{Id: c.idp.GetId()}); err != nil {
		t.Errorf("again: %v", err)
	}
}

// Who belongs to no source links an identity while signed in; an admin tries a
// provider, which signs nobody in.
func TestLinkAndTrial(t *testing.T) {
	t.Parallel()
	w := start(t, loopback)
	admin := w.signUp(t)
	dir := admin.provider(t, w, "Corp directory")
	dir.create(t, "ned", "externalId", "00u-ned")
	op := startProvider(t, somebody("00u-root", "root", "x@corp.example"), somebody("00u-ned", "ned", "ned@corp.example"))
	idp := op.connect(t, admin, ofSource(dir))
	confirm := func(p person, purpose identityv1.ConfirmationPurpose, who string) (*identityv1.FinishSignInResponse, error) {
		t.Helper()
		begun, err := p.signIns.StartConfirmation(t.Context(), &identityv1.StartConfirmationRequest{
			Purpose: purpose, IdentityProviderId: idp.GetId(), RedirectUri: redirect("{id}"), ReturnTo: "/settings",
		})
		if err != nil {
			return nil, err
		}
		return w.finish(t, idp, begun.GetAttempt(), op.answer(t, begun.GetAuthorizationUrl(), who))
	}
	const link, trial = identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_LINK, identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_TEST
	r, err := confirm(admin, trial, "root")
	if err != nil || r.GetToken() != "" || r.GetTest().GetUser() != nil || len(r.GetTest().GetProblems()) != 1 || !strings.Contains(r.GetTest().GetProblems()[0], `"00u-root"`) {
		t.Errorf("trial: %v %v", r, err)
	}
	_, err = confirm(admin, link, "ned")
	refused(t, err, codes.Unauthenticated, "SIGN_IN_IDENTITY_TAKEN") // the source knows whose that is
	r, err = confirm(admin, link, "root")
	if err != nil || r.GetToken() != "" || r.GetReturnTo() != "/settings" {
		t.Fatalf("link: %v %v", r, err)
	}
	r, err = w.signInAt(t, op, idp, "root")
	if p := w.by(t, r, err); p.user.GetId() != admin.user.GetId() {
		t.Errorf("signed in as %v", p.user)
	}
	r, err = confirm(admin, trial, "root")
	if err != nil || r.GetTest().GetUser().GetId() != admin.user.GetId() || len(r.GetTest().GetProblems()) != 0 || r.GetTest().GetAuthTime() == nil {
		t.Errorf("trial: %v %v", r, err)
	}
	r, err = confirm(admin, trial, "ned")
	if err != nil || r.GetTest().GetUser().GetUserName() != "ned@corp.example" {
		t.Errorf("trial: %v %v", r, err)
	}
	identities, err := admin.providers.ListUserIdentities(t.Context(), &identityv1.ListUserIdentitiesRequest{UserId: r.GetTest().GetUser().GetId()})
	if err != nil || len(identities.GetUserIdentities()) != 0 {
		t.Errorf("a trial has linked %v, %v", identities, err)
	}

	r, err = w.signInAt(t, op, idp, "ned")
	ned := w.by(t, r, err)
	_, err = confirm(ned, trial, "ned")
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
	_, err = confirm(ned, link, "ned")
	refused(t, err, codes.PermissionDenied, "USER_OF_SOURCE")
	_, err = confirm(w.person(t, admin.apiToken(t, w, false).GetToken()), link, "root")
	refused(t, err, codes.PermissionDenied, "SESSION_REQUIRED")
}

// What is wrong with a provider is said, and what may not be called is not.
func TestCheckIdentityProvider(t *testing.T) {
	t.Parallel()
	w := start(t, loopback)
	admin := w.signUp(t)
	op := startProvider(t)
	check := func(issuer string) []string {
		t.Helper()
		made, err := admin.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{Name: "at " + issuer, Issuer: issuer})
		if err != nil {
			t.Fatal(err)
		}
		r, err := admin.providers.CheckIdentityProvider(t.Context(), &identityv1.CheckIdentityProviderRequest{Id: made.GetIdentityProvider().GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetProblems()
	}
	if got := check(op.issuer); !slices.Equal(got, []string{"There is no client id yet.", "There is no client secret, and the provider takes no client without one."}) &&
		!slices.Equal(got, []string{"There is no client id yet."}) {
		t.Errorf("%q", got)
	}
	for issuer, want := range map[string]string{
		op.issuer + "/other":  "the answer is not what it should be",
		"http://127.0.0.1:1":  "no connection",
		"https://10.1.2.3":    "the address is in a network that is not called from here",
		op.issuer + "/":       "it names another issuer",
		"http://localhost:1/": "no connection",
	} {
		if got := check(issuer); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", issuer, got, want)
		}
	}
	for _, issuer := range []string{"http://idp.example", "https://", "ftp://idp.example", "https://idp.example?x=1", "https://idp.example#x", "https://me@idp.example", "idp.example"} {
		_, err := admin.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{Name: "bad", Issuer: issuer})
		refused(t, err, codes.InvalidArgument, "ISSUER_INVALID")
	}
	// Who signs in must not be who they say themselves.
	_, err := admin.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{Name: "by mail", Issuer: op.issuer, UserClaim: "Email"})
	refused(t, err, codes.InvalidArgument, "CLAIM_NOT_ALLOWED")
}

// Sessions of a replica whose clock is ahead end with their provider too.
func TestAProviderGoesWhateverTheClock(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"})
	c.clock.Advance(time.Minute)
	r, err := c.signInAt(t, c.op, c.idp, "ned")
	p := c.by(t, r, err)
	c.clock.Advance(-time.Minute)
	if _, err := c.admin.providers.DeleteIdentityProvider(t.Context(), &identityv1.DeleteIdentityProviderRequest{Id: c.idp.GetId()}); err != nil {
		t.Fatal(err)
	}
	_, err = c.exchange(t, p.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}

// Nobody reaches another organization's or environment's providers and identities.
func TestProvidersOfOthers(t *testing.T) {
	t.Parallel()
	w := start(t, loopback)
	admin, stranger := w.signUp(t), w.signUp(t)
	dir := admin.provider(t, w, "Corp directory")
	ned := dir.create(t, "ned", "externalId", "00u-ned")
	op := startProvider(t, somebody("00u-ned", "ned", "ned@corp.example"))
	idp := op.connect(t, admin, ofSource(dir))
	r, err := w.signInAt(t, op, idp, "ned")
	p := w.by(t, r, err)
	identities, err := admin.providers.ListUserIdentities(t.Context(), &identityv1.ListUserIdentitiesRequest{UserId: ned})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stranger.providers.GetIdentityProvider(t.Context(), &identityv1.GetIdentityProviderRequest{Id: idp.GetId()})
	refused(t, err, codes.NotFound, "IDENTITY_PROVIDER_NOT_FOUND")
	_, err = stranger.providers.UpdateIdentityProvider(t.Context(), changeProvider(&identityv1.IdentityProvider{Id: idp.GetId(), Issuer: "https://evil.example"}, "issuer"))
	refused(t, err, codes.NotFound, "IDENTITY_PROVIDER_NOT_FOUND")
	_, err = stranger.providers.CheckIdentityProvider(t.Context(), &identityv1.CheckIdentityProviderRequest{Id: idp.GetId()})
	refused(t, err, codes.NotFound, "IDENTITY_PROVIDER_NOT_FOUND")
	_, err = stranger.providers.ListUserIdentities(t.Context(), &identityv1.ListUserIdentitiesRequest{UserId: ned})
	refused(t, err, codes.NotFound, "USER_NOT_FOUND")
	_, err = stranger.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{Name: "x", Issuer: op.issuer, SourceId: dir.source.GetId()})
	refused(t, err, codes.NotFound, "SOURCE_NOT_FOUND")
	_, err = stranger.signIns.StartConfirmation(t.Context(), &identityv1.StartConfirmationRequest{
		Purpose: identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_LINK, IdentityProviderId: idp.GetId(), RedirectUri: redirect("{id}"),
	})
	refused(t, err, codes.NotFound, "IDENTITY_PROVIDER_NOT_FOUND")
	// Again is fine, and so is what is not there: nothing of it happens.
	for _, f := range []func() error{
		func() error {
			_, err := stranger.providers.DeleteIdentityProvider(t.Context(), &identityv1.DeleteIdentityProviderRequest{Id: idp.GetId()})
			return err
		},
		func() error {
			_, err := stranger.providers.DeleteUserIdentity(t.Context(), &identityv1.DeleteUserIdentityRequest{Id: identities.GetUserIdentities()[0].GetId()})
			return err
		},
	} {
		if err := f(); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.exchange(t, p.secret); err != nil {
		t.Errorf("ned is out: %v", err)
	}
	options := func(name string) (names []string) {
		t.Helper()
		r, err := w.nobody(t).signIns.ListSignInOptions(t.Context(), &identityv1.ListSignInOptionsRequest{Organization: name})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.GetOptions() {
			names = append(names, o.GetName()+" of "+o.GetOrganizationName())
		}
		return names
	}
	if got := options(" " + strings.ToUpper(admin.organization.GetSignInName())); !slices.Equal(got, []string{"Corp sign-in of Corp"}) {
		t.Errorf("options: %v", got)
	}
	if admin.organization.GetSignInName() == stranger.organization.GetSignInName() || len(options(stranger.organization.GetSignInName())) != 0 || len(options("")) != 0 || len(options("nobody")) != 0 {
		t.Errorf("sign-in names %q and %q", admin.organization.GetSignInName(), stranger.organization.GetSignInName())
	}
}

// An organization that gets another sign-in name is found by that one alone, and nothing
// else of its sign-ins changes.
func TestSignInNameChanges(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned", "zoe"})
	r, err := c.signInAt(t, c.op, c.idp, "ned")
	ned := c.by(t, r, err)
	begun := c.startSignIn(t, c.idp)
	before, after := c.admin.organization.GetSignInName(), "found-"+uuid.NewString()[:8]
	if _, err := c.admin.organizations.UpdateOrganization(t.Context(), &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{SignInName: after}, UpdateMask: mask("sign_in_name"),
	}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{before: 0, after: 1, " " + strings.ToUpper(after): 1} {
		r, err := c.nobody(t).signIns.ListSignInOptions(t.Context(), &identityv1.ListSignInOptionsRequest{Organization: name})
		if err != nil || len(r.GetOptions()) != want {
			t.Errorf("by %q: %v, %v", name, r, err)
		}
	}
	if _, err := ned.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil {
		t.Errorf("who is signed in: %v", err)
	}
	if r, err := c.finish(t, c.idp, begun.GetAttempt(), c.op.answer(t, begun.GetAuthorizationUrl(), "zoe")); err != nil || r.GetUser().GetId() != c.ids["zoe"] {
		t.Errorf("who was at the provider: %v, %v", r, err)
	}
}

// However many sign in for the first time at once, they are one.
func TestFirstSignInsAtOnce(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"})
	ned := c.ids["ned"]
	var wg sync.WaitGroup
	for range 6 {
		begun := c.startSignIn(t, c.idp)
		q := c.op.answer(t, begun.GetAuthorizationUrl(), "ned")
		wg.Go(func() {
			if r, err := c.finish(t, c.idp, begun.GetAttempt(), q); err != nil || r.GetUser().GetId() != ned {
				t.Errorf("%v %v", r, err)
			}
		})
	}
	wg.Wait()
	if r, err := c.admin.providers.ListUserIdentities(t.Context(), &identityv1.ListUserIdentitiesRequest{UserId: ned}); err != nil || len(r.GetUserIdentities()) != 1 {
		t.Errorf("%v %v", r, err)
	}
}

// stateOf is the state of an authorization request.
func stateOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state")
}

// Who has lost a right between the beginning and the end has it no more at the end.
func TestLostMeanwhile(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned", "eve"})
	role := func(who string, role identityv1.Role) {
		t.Helper()
		if _, err := c.admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: c.ids[who], Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(p person, purpose identityv1.ConfirmationPurpose) (attempt string, answer url.Values) {
		t.Helper()
		req := &identityv1.StartConfirmationRequest{Purpose: purpose, IdentityProviderId: c.idp.GetId(), RedirectUri: redirect("{id}")}
		begun, err := p.signIns.StartConfirmation(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return begun.GetAttempt(), c.op.answer(t, begun.GetAuthorizationUrl(), "ned")
	}
	role("ned", identityv1.Role_ROLE_ADMIN)
	r, err := c.signInAt(t, c.op, c.idp, "ned")
	ned := c.by(t, r, err)
	attempt, answer := begin(ned, identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_TEST)
	role("ned", identityv1.Role_ROLE_MEMBER)
	_, err = c.finish(t, c.idp, attempt, answer)
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")

	attempt, answer = begin(ned, identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP)
	if _, err := ned.sessions.SignOut(t.Context(), &identityv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(t, c.idp, attempt, answer)
	refused(t, err, codes.Unauthenticated, "SIGN_IN_EXPIRED")

	r, err = c.signInAt(t, c.op, c.idp, "ned")
	ned = c.by(t, r, err)
	attempt, answer = begin(ned, identityv1.ConfirmationPurpose_CONFIRMATION_PURPOSE_STEP_UP)
	c.dir.must(t, http.StatusOK, "PATCH", "/Users/"+c.ids["ned"], patch("replace", "active", false))
	_, err = c.finish(t, c.idp, attempt, answer)
	refused(t, err, codes.Unauthenticated, "SIGN_IN_EXPIRED")

	begun := c.startSignIn(t, c.idp)
	answer = c.op.answer(t, begun.GetAuthorizationUrl(), "eve")
	if _, err := c.admin.providers.UpdateIdentityProvider(t.Context(), changeProvider(&identityv1.IdentityProvider{
		Id: c.idp.GetId(), State: identityv1.IdentityProviderState_IDENTITY_PROVIDER_STATE_DISABLED,
	}, "state")); err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(t, c.idp, begun.GetAttempt(), answer)
	refused(t, err, codes.Unauthenticated, "SIGN_IN_EXPIRED")
}

// sealedBefore seals the client secret as it was before organizations had keys, and
// runs a replica that finds it so.
func sealedBefore(t *testing.T, c *corp) (value []byte) {
	t.Helper()
	box, err := secretbox.New(c.key)
	if err != nil {
		t.Fatal(err)
	}
	err = c.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		var id uuid.UUID
		if err := tx.QueryRow(ctx, "select id from identity_provider").Scan(&id); err != nil {
			return err
		}
		value = box.Seal([]byte("secret of "+id.String()), id[:])
		_, err := tx.Exec(ctx, "update identity_provider set client_secret = $1", value)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Replica(t)
	return value
}

// Client secrets are sealed with a key of their organization, which is wrapped again
// when the encryption key changes; then the older key can go.
func TestClientSecretsAreSealedAgain(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned"})
	sealed := func() (secret []byte) {
		err := c.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, "select client_secret from identity_provider").Scan(&secret)
		})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	if bytes.Contains(sealed(), []byte("secret of ")) {
		t.Fatal("it is not sealed")
	}
	// One that was sealed before organizations had keys is sealed with theirs.
	now, before := sealed(), sealedBefore(t, c)
	servicetest.Eventually(t, "it is sealed again", func() bool { return !bytes.Equal(sealed(), before) })
	if bytes.Equal(sealed(), now) {
		t.Error("the value of before is back")
	}
	older := c.key
	c.key, c.older = secretbox.NewKey(), [][]byte{older}
	box, err := secretbox.New(c.key)
	if err != nil {
		t.Fatal(err)
	}
	kept := sealed()
	c.Replica(t)
	servicetest.Eventually(t, "the data keys are wrapped again", func() bool {
		current := true
		err := c.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			rows, err := tx.Query(ctx, "select wrapped from data_key")
			if err != nil {
				return err
			}
			wrapped, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
			for _, w := range wrapped {
				current = current && box.Current(w)
			}
			if len(wrapped) != 2 {
				t.Errorf("%d data keys, want the installation's and the organization's", len(wrapped))
			}
			return err
		})
		return err == nil && current
	})
	if !bytes.Equal(sealed(), kept) {
		t.Error("a secret was sealed again for another key of the installation")
	}
	c.older = nil
	c.Addr, _ = c.Replica(t) // with the new one alone
	if _, err := c.signInAt(t, c.op, c.idp, "ned"); err != nil {
		t.Error(err)
	}
}

// Sessions that could not be kept as they are set are refused at the start.
func TestSessionSettings(t *testing.T) {
	t.Parallel()
	for _, cfg := range []identitysync.Config{{SessionIdle: time.Minute}, {SessionLifetime: 30 * time.Minute}, {SessionIdle: time.Hour, SessionLifetime: 10 * time.Minute}} {
		if err := identitysync.Run(t.Context(), cfg, service.Listeners{}, nil); err == nil || !strings.Contains(err.Error(), "a session lasts") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// A page is never larger than it may be, whatever is asked for.
func TestPageSizeIsCut(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	if r, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 1_000_000}); err != nil || len(r.GetUsers()) != 1 {
		t.Errorf("%v %v", r, err)
	}
	_, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: -1})
	refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
}
