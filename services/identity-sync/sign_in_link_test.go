package identitysync_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// B-USR-20, in part: who has signed up gets back in with development sign-in off, by a
// one-time link. It is not sent to an address, as there are no mails.
func TestOneTimeLink(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *identitysync.Config) { c.DevSignIn = false })
	admin := w.signUp(t)
	dir := admin.provider(t, w, "Corp directory")
	ned := dir.create(t, "ned")
	w.clock.Advance(13 * time.Hour)
	if _, err := w.exchange(t, admin.secret); err == nil {
		t.Fatal("the session has not ended")
	}
	w.clock.Advance(-13 * time.Hour) // the command goes by the machine's clock
	makeLink := func(who string) string {
		t.Helper()
		link, err := identitysync.CreateSignInLink(t.Context(), w.Config.Postgres, who, "")
		if err != nil {
			t.Fatal(err)
		}
		_, secret, ok := strings.Cut(link.Path, "/sign-in#link=")
		if !ok || !strings.Contains(link.Name, "(") {
			t.Fatalf("link %+v", link)
		}
		return secret
	}
	redeem := func(secret string) (person, error) {
		t.Helper()
		r, err := w.nobody(t).signIns.RedeemSignInLink(t.Context(), &identityv1.RedeemSignInLinkRequest{Secret: secret})
		if err != nil {
			return person{}, err
		}
		p := w.person(t, r.GetToken())
		p.user = r.GetUser()
		return p, nil
	}
	secret := makeLink(admin.user.GetUserName())
	made := servicetest.Wait(t, w.Harness, func(*eventv1.SignInLinkCreated) bool { return true })
	if made.GetUser().GetId() != admin.user.GetId() || made.GetContext().GetActor().GetDisplayName() != "Operator at the machine" {
		t.Errorf("made: %v", made)
	}
	p, err := redeem(secret)
	if err != nil || p.user.GetId() != admin.user.GetId() {
		t.Fatalf("%v %v", p.user, err)
	}
	if _, err := p.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: "New", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM}); err != nil {
		t.Errorf("what an admin does: %v", err)
	}
	invalid := func(secret string) {
		t.Helper()
		_, err := redeem(secret)
		refused(t, err, codes.Unauthenticated, "SIGN_IN_LINK_INVALID")
	}
	invalid(secret) // once
	invalid(admin.secret)
	invalid("ghl_nonsense")
	late := makeLink(admin.user.GetId())
	w.clock.Advance(40 * time.Minute)
	invalid(late)
	w.clock.Advance(-40 * time.Minute)
	suspended, gone := makeLink(ned), makeLink(ned)
	dir.must(t, http.StatusOK, "PATCH", "/Users/"+ned, patch("replace", "active", false))
	invalid(suspended)
	dir.must(t, http.StatusNoContent, "DELETE", "/Users/"+ned, nil)
	invalid(gone)
	for _, who := range []string{"nobody@corp.example", ned, uuid.NewString()} {
		if _, err := identitysync.CreateSignInLink(t.Context(), w.Config.Postgres, who, ""); err == nil {
			t.Errorf("a link for %s", who)
		}
	}
	// The session is short.
	w.clock.Advance(time.Hour)
	_, err = w.exchange(t, p.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}

// Where people of several organizations have a user name, a link is made for whom the
// operator names the organization of, and for nobody else.
func TestOneTimeLinkOfAnOrganization(t *testing.T) {
	t.Parallel()
	w := start(t)
	one, two := w.signUp(t), w.signUp(t)
	ned, other := one.provider(t, w, "Corp directory").create(t, "ned"), two.provider(t, w, "Corp directory").create(t, "ned")
	var names [2]string
	for i, p := range []person{one, two} {
		r, err := p.organizations.GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{})
		if err != nil {
			t.Fatal(err)
		}
		names[i] = r.GetOrganization().GetSignInName()
	}
	userName := one.find(t, ned).GetUserName()
	for _, tt := range []struct{ name, user, organization, want, wantErr string }{
		{"nobody is meant", userName, "", "", "people of several organizations have that name"},
		{"by sign-in name", userName, names[0], ned, ""},
		{"by sign-in name, in any case", userName, strings.ToUpper(names[1]), other, ""},
		{"by id", userName, one.organization.GetId(), ned, ""},
		{"by id of the other", userName, two.organization.GetId(), other, ""},
		{"the id of the user says all", other, "", other, ""},
		{"the user is of another", other, names[0], "", "there is no such user"},
		{"no such organization", userName, "nowhere", "", "there is no such user"},
		{"no organization has the id", userName, uuid.NewString(), "", "there is no such user"},
	} {
		link, err := identitysync.CreateSignInLink(t.Context(), w.Config.Postgres, tt.user, tt.organization)
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%s: %v %v, want %q", tt.name, link, err, tt.wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_, secret, _ := strings.Cut(link.Path, "/sign-in#link=")
		r, err := w.nobody(t).signIns.RedeemSignInLink(t.Context(), &identityv1.RedeemSignInLinkRequest{Secret: secret})
		if err != nil || r.GetUser().GetId() != tt.want {
			t.Errorf("%s: signs in %v, %v", tt.name, r.GetUser(), err)
		}
	}
	// A name that is another organization's id names nobody.
	if _, err := two.organizations.UpdateOrganization(t.Context(), &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{SignInName: one.organization.GetId()}, UpdateMask: mask("sign_in_name"),
	}); err != nil {
		t.Fatal(err)
	}
	link, err := identitysync.CreateSignInLink(t.Context(), w.Config.Postgres, userName, one.organization.GetId())
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(link.Path, "/sign-in#link=")
	if r, err := w.nobody(t).signIns.RedeemSignInLink(t.Context(), &identityv1.RedeemSignInLinkRequest{Secret: secret}); err != nil || r.GetUser().GetId() != ned {
		t.Errorf("signs in %v, %v", r.GetUser(), err)
	}
}

// A provider ends the sessions of somebody who has signed out there, at once and
// nobody else's.
func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	c := startCorp(t, []string{"ned", "eve"})
	in := func(name string) person {
		t.Helper()
		r, err := c.signInAt(t, c.op, c.idp, name)
		return c.by(t, r, err)
	}
	ned, eve := in("ned"), in("eve")
	held := c.signed(t, ned)
	token := func(key any, iat time.Time) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte(jsonText(t, object{
			"iss": c.op.issuer, "aud": c.idp.GetClientId(), "iat": iat.Unix(), "exp": iat.Add(2 * time.Minute).Unix(), "jti": uuid.NewString(), "sub": "00u-ned",
			"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}},
		})))
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	logout := func(id, token string) error {
		t.Helper()
		_, err := c.nobody(t).signIns.EndSessionsByProvider(t.Context(), &identityv1.EndSessionsByProviderRequest{IdentityProviderId: id, LogoutToken: token})
		return err
	}
	key := c.op.current()
	good := token(jose.JSONWebKey{Key: key.private, KeyID: key.id}, c.clock.Now())
	forger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, logout(c.idp.GetId(), token(jose.JSONWebKey{Key: forger, KeyID: key.id}, c.clock.Now())), codes.InvalidArgument, "LOGOUT_TOKEN_INVALID")
	refused(t, logout(c.idp.GetId(), "nonsense"), codes.InvalidArgument, "LOGOUT_TOKEN_INVALID")
	refused(t, logout(uuid.NewString(), good), codes.NotFound, "IDENTITY_PROVIDER_NOT_FOUND")
	if _, err := c.exchange(t, ned.secret); err != nil {
		t.Fatalf("ended by what does not hold: %v", err)
	}
	if err := logout(c.idp.GetId(), good); err != nil {
		t.Fatal(err)
	}
	_, err = c.exchange(t, ned.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	_, err = held.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
	if _, err := c.exchange(t, eve.secret); err != nil {
		t.Errorf("eve is out: %v", err)
	}
	// Sent again, it does not end what began after it.
	c.clock.Advance(3 * time.Minute)
	again := in("ned")
	_ = logout(c.idp.GetId(), good)
	if _, err := c.exchange(t, again.secret); err != nil {
		t.Errorf("a token that is sent again has ended a newer session: %v", err)
	}
}
