package identitysync_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/outgoing"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// openIDProvider is an OpenID provider in this process, of an implementation that is
// not ours.
type openIDProvider struct {
	*storage.Storage
	issuer string

	close  func()
	mu     sync.Mutex
	people map[string]*storage.User // by user name there
	client *client
	// signedOut are those who have signed out there, by subject; empty for somebody who
	// was not named.
	signedOut []string
	secret    string
	key       signingKey
}

// client is one that knows where people come back to after signing out.
type client struct {
	*storage.Client
	after string
}

func (c client) PostLogoutRedirectURIs() []string { return []string{c.after} }

// TerminateSession is op.Storage's.
func (p *openIDProvider) TerminateSession(_ context.Context, subject, client string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil || p.client.GetID() != client {
		return errors.New("no such client")
	}
	p.signedOut = append(p.signedOut, subject)
	return nil
}

type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Key() any                                    { return k.private }

// published is the public half.
type published struct{ signingKey }

func (k published) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k published) Use() string                        { return "sig" }
func (k published) Key() any                           { return &k.private.PublicKey }

func startProvider(t testing.TB, people ...*storage.User) *openIDProvider {
	t.Helper()
	p := &openIDProvider{people: make(map[string]*storage.User)}
	for _, u := range people {
		p.people[u.Username] = u
	}
	p.rotate(t)
	p.Storage = storage.NewStorage(p)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.issuer, p.close = server.URL, server.Close
	provider, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}, CryptoKeyId: "1", CodeMethodS256: true}, p, op.StaticIssuer(p.issuer),
		op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	back := op.AuthCallbackURL(provider)
	mux.Handle("POST /login/username", op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.CheckUsernamePassword(r.PostFormValue("username"), "pw", r.PostFormValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, back(r.Context(), r.PostFormValue("id")), http.StatusFound)
	}))
	mux.Handle("/", provider)
	return p
}

// rotate has tokens be signed with another key.
func (p *openIDProvider) rotate(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = signingKey{uuid.NewString(), key}
}

func (p *openIDProvider) current() signingKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.key
}

// SigningKey is op.Storage's.
func (p *openIDProvider) SigningKey(context.Context) (op.SigningKey, error) { return p.current(), nil }

// KeySet is op.Storage's.
func (p *openIDProvider) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{published{p.current()}}, nil
}

// GetClientByClientID is op.Storage's.
func (p *openIDProvider) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil || p.client.GetID() != id {
		return nil, errors.New("no such client")
	}
	return p.client, nil
}

// AuthorizeClientIDSecret is op.Storage's.
func (p *openIDProvider) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil || p.client.GetID() != id || p.secret != secret {
		return errors.New("not the secret")
	}
	return nil
}

// GetUserByID, GetUserByUsername and ExampleClientID are storage.UserStore's.
func (p *openIDProvider) GetUserByID(id string) *storage.User {
	for _, u := range p.people {
		if u.ID == id {
			return u
		}
	}
	return nil
}

func (p *openIDProvider) GetUserByUsername(name string) *storage.User { return p.people[name] }
func (p *openIDProvider) ExampleClientID() string                     { return "none" }

// somebody is a person of the provider.
func somebody(id, userName, email string) *storage.User {
	return &storage.User{ID: id, Username: userName, Password: "pw", FirstName: userName, Email: email, EmailVerified: true}
}

// loopback has identity providers be called on this machine.
func loopback(c *identitysync.Config) { c.Outgoing = outgoing.Loopback() }

// redirect is where people come back to, and afterwards where they do after signing out.
func redirect(id string) string { return "https://gatehouse.example/sign-in/" + id + "/callback" }

func afterwards(id string) string { return "https://gatehouse.example/sign-in/" + id + "/signed-out" }

// connect makes the provider one of the admin's, enabled, with a client there. change
// is applied before it is made.
func (p *openIDProvider) connect(t testing.TB, admin person, change ...func(*identityv1.CreateIdentityProviderRequest)) *identityv1.IdentityProvider {
	t.Helper()
	req := &identityv1.CreateIdentityProviderRequest{Name: "Corp sign-in", Issuer: p.issuer}
	for _, f := range change {
		f(req)
	}
	made, err := admin.providers.CreateIdentityProvider(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetIdentityProvider().GetId()
	name, secret := "gatehouse-"+id, "secret of "+id
	p.mu.Lock()
	p.client, p.secret = &client{storage.WebClient(name, secret, redirect(id)), afterwards(id)}, secret
	p.mu.Unlock()
	changed, err := admin.providers.UpdateIdentityProvider(t.Context(), changeProvider(&identityv1.IdentityProvider{
		Id: id, ClientId: name, ClientSecret: secret, State: identityv1.IdentityProviderState_IDENTITY_PROVIDER_STATE_ENABLED,
	}, "client_id", "client_secret", "state"))
	if err != nil {
		t.Fatal(err)
	}
	return changed.GetIdentityProvider()
}

// changeProvider is a change of the fields that are named.
func changeProvider(p *identityv1.IdentityProvider, paths ...string) *identityv1.UpdateIdentityProviderRequest {
	return &identityv1.UpdateIdentityProviderRequest{IdentityProvider: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}
}

// answer signs in at the provider's page, as a browser does, and gives what the
// provider sends it back with.
func (p *openIDProvider) answer(t testing.TB, page, userName string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back *url.URL
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), "https://gatehouse.example/") {
			back = r.URL
		}
		if back != nil || r.Method == http.MethodGet && r.URL.Path == "/login/username" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	defer browser.CloseIdleConnections()
	visit := func(method, address string, form url.Values) (next *url.URL) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		next, err = resp.Location()
		if err != nil {
			t.Fatalf("%s: %d leads nowhere", address, resp.StatusCode)
		}
		return next
	}
	login := visit("GET", page, nil)
	visit("POST", p.issuer+"/login/username", url.Values{"id": {login.Query().Get("authRequestID")}, "username": {userName}})
	if back == nil {
		t.Fatalf("%s was not sent back", userName)
	}
	return back.Query()
}

// start begins a sign-in.
func (w *world) startSignIn(t testing.TB, idp *identityv1.IdentityProvider) *identityv1.StartSignInResponse {
	t.Helper()
	begun, err := w.nobody(t).signIns.StartSignIn(t.Context(), &identityv1.StartSignInRequest{
		IdentityProviderId: idp.GetId(), RedirectUri: redirect(idp.GetId()), ReturnTo: "/requests",
	})
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

// finish ends a sign-in with what the provider sent the browser back with.
func (w *world) finish(t testing.TB, idp *identityv1.IdentityProvider, attempt string, q url.Values) (*identityv1.FinishSignInResponse, error) {
	t.Helper()
	return w.nobody(t).signIns.FinishSignIn(t.Context(), &identityv1.FinishSignInRequest{
		IdentityProviderId: idp.GetId(), Attempt: attempt, State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"),
	})
}

// signInAt signs somebody in by the provider.
func (w *world) signInAt(t testing.TB, p *openIDProvider, idp *identityv1.IdentityProvider, userName string) (*identityv1.FinishSignInResponse, error) {
	t.Helper()
	begun := w.startSignIn(t, idp)
	return w.finish(t, idp, begun.GetAttempt(), p.answer(t, begun.GetAuthorizationUrl(), userName))
}

// by is whom a sign-in signed in.
func (w *world) by(t testing.TB, r *identityv1.FinishSignInResponse, err error) person {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	p := w.person(t, r.GetToken())
	p.user = r.GetUser()
	return p
}

// jsonText is a value as JSON.
func jsonText(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// corp is an organization whose people sign in by a provider.
type corp struct {
	*world
	admin person
	dir   *provider
	op    *openIDProvider
	idp   *identityv1.IdentityProvider
	ids   map[string]string // of the people
}

// startCorp runs identity-sync with an organization. The people have come from its
// source, and the provider knows each by the name, and by the source's id as the
// subject. change is applied to the identity provider before it is made.
func startCorp(t testing.TB, people []string, change ...func(*identityv1.CreateIdentityProviderRequest)) *corp {
	t.Helper()
	c := &corp{world: start(t, loopback), ids: make(map[string]string)}
	c.admin = c.signUp(t)
	c.dir = c.admin.provider(t, c.world, "Corp directory")
	var there []*storage.User
	for _, name := range people {
		subject := "00u-" + name
		c.ids[name] = c.dir.create(t, name, "externalId", subject)
		there = append(there, somebody(subject, name, name+"@corp.example"))
	}
	c.op = startProvider(t, there...)
	c.idp = c.op.connect(t, c.admin, append([]func(*identityv1.CreateIdentityProviderRequest){ofSource(c.dir)}, change...)...)
	return c
}
