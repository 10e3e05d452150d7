package identitysync_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// deniedFor is the entry of the first denied call with a credential for a reason.
func (w *world) deniedFor(t *testing.T, credential, reason string) *eventv1.CallDenied {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(ev *eventv1.CallDenied) bool {
		return ev.GetCredentialId() == credential && ev.GetReason() == reason
	})
}

// Whoever comes with a credential that has ended is refused as ever, and the audit log
// of its organization says whose it was and why, which they are not told.
func TestEndedCredentialsAreWrittenDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	stranger := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ned := idp.create(t, "ned")
	idp.create(t, "bob")
	idp.create(t, "eve")
	as, bob, eve := w.as(t, "ned@corp.example"), w.as(t, "bob@corp.example"), w.as(t, "eve@corp.example")
	session := func(p person) string {
		signed, err := w.exchange(t, p.secret)
		if err != nil {
			t.Fatal(err)
		}
		return w.caller(t, signed.GetAccessToken()).CredentialID.String()
	}
	const method = "gatehouse.identity.v1.TokenService/ExchangeToken"
	check := func(secret, credential, user, reason string) {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "gatehouse-client-address", "192.0.2.7", "gatehouse-follows-up", "TOKEN_INVALID")
		_, err := identityv1.NewTokenServiceClient(w.nobody(t).conn).ExchangeToken(ctx, &identityv1.ExchangeTokenRequest{Token: secret, Audiences: []string{"identity-sync"}})
		refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
		d := w.deniedFor(t, credential, reason)
		// What whoever is not the gateway says of an address is not believed.
		if d.GetMethod() != method || d.GetContext().GetActor().GetId() != user || d.GetContext().GetUserId() != user || d.GetAddress() != "127.0.0.1" || d.GetCount() != 1 {
			t.Errorf("%s: %v", reason, d)
		}
	}
	revoked, expiring := as.apiToken(t, w, true), as.apiToken(t, w, false)
	if _, err := as.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: revoked.GetApiToken().GetId()}); err != nil {
		t.Fatal(err)
	}
	check(revoked.GetToken(), revoked.GetApiToken().GetId(), ned, "API_TOKEN_REVOKED")

	form := url.Values{"grant_type": {"client_credentials"}, "audience": {"request"}, "client_id": {revoked.GetApiToken().GetId()}, "client_secret": {revoked.GetToken()}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.HTTPAddr+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r := send(t, req); r.code != http.StatusUnauthorized {
		t.Errorf("by OAuth: %d", r.code)
	}
	servicetest.Wait(t, w.Harness, func(ev *eventv1.CallDenied) bool {
		return ev.GetCredentialId() == revoked.GetApiToken().GetId() && ev.GetMethod() == "/oauth2/token" && ev.GetReason() == "API_TOKEN_REVOKED"
	})

	of := session(bob)
	if _, err := bob.sessions.SignOut(t.Context(), &identityv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	check(bob.secret, of, bob.user.GetId(), "SESSION_ENDED")

	of = session(eve)
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+eve.user.GetId(), nil)
	check(eve.secret, of, eve.user.GetId(), "USER_REMOVED")

	of = session(as)
	w.clock.Advance(time.Hour + time.Minute)
	check(expiring.GetToken(), expiring.GetApiToken().GetId(), ned, "API_TOKEN_EXPIRED")
	check(as.secret, of, ned, "SESSION_EXPIRED")

	// What nobody ever had belongs to no log, and no other organization has heard.
	forged := as.secret[:len(as.secret)-1] + "0"
	if _, err := w.exchange(t, forged); err == nil {
		t.Error("a forged token was exchanged")
	}
	for _, ev := range w.Events() {
		d, ok := ev.Message.(*eventv1.CallDenied)
		if ok && (!strings.HasPrefix(ev.Subject, "access."+admin.organization.GetId()+".") || strings.Contains(ev.Subject, stranger.organization.GetId()) ||
			strings.Contains(d.String(), revoked.GetToken()) || strings.Contains(d.String(), "ned@corp.example")) {
			t.Errorf("%s: %v", ev.Subject, d)
		}
	}
	w.noSecrets(t, bob.secret, eve.secret)
}

// A source's token that was replaced is known to be the source's; the address of who
// uses it is what the gateway forwards.
func TestReplacedSourceTokenIsWrittenDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	if _, err := admin.sources.RotateSourceToken(t.Context(), &identityv1.RotateSourceTokenRequest{Id: idp.source.GetId()}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if r := idp.do(t, "GET", "/Users", nil, "X-Forwarded-For", "192.0.2.7"); r.code != http.StatusUnauthorized {
			t.Fatalf("old token: %d", r.code)
		}
	}
	d := w.deniedFor(t, idp.source.GetId(), "SOURCE_TOKEN_REPLACED")
	if a := d.GetContext().GetActor(); a.GetKind() != eventv1.ActorKind_ACTOR_KIND_SOURCE || a.GetId() != idp.source.GetId() || a.GetDisplayName() != "Corp directory" ||
		d.GetMethod() != "/scim/v2" || d.GetAddress() != "192.0.2.7" || d.GetContext().GetUserId() != "" {
		t.Errorf("%v", d)
	}
	w.clock.Advance(time.Minute)
	rest := servicetest.Wait(t, w.Harness, func(ev *eventv1.CallDenied) bool { return ev.GetCallId() == d.GetCallId() && !proto.Equal(ev, d) })
	if d.GetCount()+rest.GetCount() != 20 {
		t.Errorf("%d and %d calls, want 20", d.GetCount(), rest.GetCount())
	}
}

// A rule of an RPC refuses as the option of one does: both are written down, and what
// is not found is not.
func TestRefusedCallsAreWrittenDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	idp.create(t, "ned")
	ned := w.as(t, "ned@corp.example")
	signed, err := w.exchange(t, ned.secret)
	if err != nil {
		t.Fatal(err)
	}
	credential := w.caller(t, signed.GetAccessToken()).CredentialID.String()

	_, err = ned.sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{})
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
	if d := w.deniedFor(t, credential, "ROLE_NOT_ALLOWED"); d.GetMethod() != "gatehouse.identity.v1.SourceService/ListSources" {
		t.Errorf("%v", d)
	}
	_, err = ned.sessions.ListSessions(t.Context(), &identityv1.ListSessionsRequest{UserId: admin.user.GetId()})
	if e := status.Convert(err); e.Code() != codes.PermissionDenied {
		t.Fatalf("%v", err)
	}
	rule := rpctest.Reason(err)
	if d := w.deniedFor(t, credential, rule); d.GetMethod() != "gatehouse.identity.v1.SessionService/ListSessions" || d.GetContext().GetActor().GetId() != ned.user.GetId() {
		t.Errorf("%v", d)
	}
	_, err = ned.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: admin.apiToken(t, w, false).GetApiToken().GetId()})
	refused(t, err, codes.NotFound, "API_TOKEN_NOT_FOUND")
	idp.create(t, "last") // what comes after has come, once this has
	servicetest.Wait(t, w.Harness, func(ev *eventv1.UserJoined) bool { return ev.GetUser().GetUserName() == "last@corp.example" })
	for _, d := range servicetest.All[*eventv1.CallDenied](w.Harness) {
		if !slices.Contains([]string{"ROLE_NOT_ALLOWED", rule}, d.GetReason()) {
			t.Errorf("%v", d)
		}
	}
}

// A signed token of before a change names the caller, and is written down as stale.
func TestStaleTokenIsWrittenDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	signed, err := w.exchange(t, admin.secret)
	if err != nil {
		t.Fatal(err)
	}
	c := w.caller(t, signed.GetAccessToken())
	token := admin.apiToken(t, w, false)
	if _, err := admin.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: token.GetApiToken().GetId()}); err != nil {
		t.Fatal(err)
	}
	_, err = w.heldToken(t, signed.GetAccessToken()).sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
	w.deniedFor(t, c.CredentialID.String(), "TOKEN_STALE")
}
