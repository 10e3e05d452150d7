package openid_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/services/identity-sync/internal/openid"
)

// claims are those of a token.
type claims = map[string]any

// liar is a provider that answers whatever it is told to: what real ones do not.
type liar struct {
	*httptest.Server
	t *testing.T

	mu sync.Mutex
	// document, token and userInfo change what is answered; keys are published.
	document, userInfo claims
	token              string
	status             int
	keys               []jose.JSONWebKey
	fetched            int
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{t: t, document: claims{}}
	mux := http.NewServeMux()
	l.Server = httptest.NewServer(mux)
	t.Cleanup(l.Close)
	answer := func(path string, what func() any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			l.mu.Lock()
			defer l.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			if path == "/token" && l.status != 0 {
				w.WriteHeader(l.status)
			}
			_ = json.NewEncoder(w).Encode(what())
		})
	}
	answer("/.well-known/openid-configuration", func() any {
		d := claims{
			"issuer": l.URL, "authorization_endpoint": l.URL + "/auth", "token_endpoint": l.URL + "/token", "jwks_uri": l.URL + "/keys", "userinfo_endpoint": l.URL + "/userinfo",
			"response_types_supported": []string{"code"}, "id_token_signing_alg_values_supported": []string{"RS256", "none", "HS256"},
		}
		maps.Copy(d, l.document)
		return d
	})
	answer("/keys", func() any { l.fetched++; return jose.JSONWebKeySet{Keys: l.keys} })
	answer("/token", func() any {
		if l.status != 0 {
			return claims{"error": "invalid_grant", "error_description": "<script>"}
		}
		return claims{"access_token": "a", "token_type": "Bearer", "id_token": l.token}
	})
	answer("/userinfo", func() any { return l.userInfo })
	return l
}

// key makes a key, and publishes it.
func (l *liar) key(id string) jose.JSONWebKey {
	l.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		l.t.Fatal(err)
	}
	k := jose.JSONWebKey{Key: private, KeyID: id, Algorithm: "RS256", Use: "sig"}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, k.Public())
	return k
}

func (l *liar) sign(alg jose.SignatureAlgorithm, key any, c claims) string {
	l.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// party is a relying party whose clock stands still.
func party(t *testing.T) (*openid.Party, *clock.Manual) {
	t.Helper()
	c := clock.NewManual(time.Now())
	p := openid.New(outgoing.Loopback(), 0, c)
	t.Cleanup(p.Close)
	return p, c
}

// with is c with other claims; nil takes one out.
func (l *liar) claims(now time.Time, change claims) claims {
	c := claims{
		"iss": l.URL, "aud": "gatehouse", "sub": "00u1", "nonce": "n", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Add(-time.Minute).Unix(),
	}
	for k, v := range change {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

// B-USR-20, in part: an ID token is believed that the provider has signed, for
// Gatehouse, for this request, and that has not ended.
func TestIDToken(t *testing.T) {
	t.Parallel()
	l := newLiar(t)
	p, c := party(t)
	key := l.key("1")
	now := c.Now()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change claims
		token  func(claims) string
		want   error
	}{
		"good":                               {},
		"nonce of another request":           {change: claims{"nonce": "m"}, want: openid.ErrNotProven},
		"no nonce":                           {change: claims{"nonce": nil}, want: openid.ErrNotProven},
		"another issuer":                     {change: claims{"iss": "https://evil.example"}, want: openid.ErrNotProven},
		"another client":                     {change: claims{"aud": "other"}, want: openid.ErrNotProven},
		"several clients":                    {change: claims{"aud": []string{"gatehouse", "other"}}, want: openid.ErrNotProven},
		"several clients, for us":            {change: claims{"aud": []string{"gatehouse", "other"}, "azp": "gatehouse"}},
		"authorized for another":             {change: claims{"azp": "other"}, want: openid.ErrNotProven},
		"ended":                              {change: claims{"exp": now.Add(-3 * time.Minute).Unix()}, want: openid.ErrNotProven},
		"ended by another clock":             {change: claims{"exp": now.Add(-time.Minute).Unix()}},
		"of the future":                      {change: claims{"iat": now.Add(3 * time.Minute).Unix()}, want: openid.ErrNotProven},
		"of the future by another clock":     {change: claims{"iat": now.Add(time.Minute).Unix()}},
		"no subject":                         {change: claims{"sub": nil}, want: openid.ErrNotProven},
		"too long a subject":                 {change: claims{"sub": strings.Repeat("x", 256)}, want: openid.ErrNotProven},
		"signed by another key":              {token: func(c claims) string { return l.sign(jose.RS256, jose.JSONWebKey{Key: stranger, KeyID: "1"}, c) }, want: openid.ErrNotProven},
		"signed with the client secret":      {token: func(c claims) string { return l.sign(jose.HS256, []byte("0123456789abcdef0123456789abcdef"), c) }, want: openid.ErrNotProven},
		"not signed":                         {token: func(claims) string { return "eyJhbGciOiJub25lIn0.eyJzdWIiOiIwMHUxIn0." }, want: openid.ErrNotProven},
		"no token":                           {token: func(claims) string { return "" }, want: openid.ErrNotProven},
		"nonsense":                           {token: func(claims) string { return "a.b.c" }, want: openid.ErrNotProven},
		"signed in another way than allowed": {token: func(c claims) string { return l.sign(jose.PS256, key, c) }, want: openid.ErrNotProven},
	} {
		all := l.claims(now, tc.change)
		token := l.sign(jose.RS256, key, all)
		if tc.token != nil {
			token = tc.token(all)
		}
		l.mu.Lock()
		l.token = token
		l.mu.Unlock()
		got, err := p.Identify(t.Context(), openid.Client{Issuer: l.URL, ID: "gatehouse", Secret: "0123456789abcdef0123456789abcdef"},
			openid.Request{Nonce: "n", Verifier: "v", RedirectURI: "https://gatehouse.example/cb"}, openid.Reply{Code: "c"}, "sub")
		if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (got.Subject != "00u1" || !got.AuthTime.Equal(now.Add(-time.Minute).Truncate(time.Second))) {
			t.Errorf("%s: %+v", name, got)
		}
		if err != nil && got.Subject != "" {
			t.Errorf("%s: an identity comes with the error", name)
		}
	}
}

// What is no provider, or answers nonsense, is said to be away, and not quoted.
func TestProvidersThatLie(t *testing.T) {
	t.Parallel()
	client := func(l *liar) openid.Client { return openid.Client{Issuer: l.URL, ID: "gatehouse"} }
	for name, document := range map[string]claims{
		"another issuer":       {"issuer": "https://evil.example"},
		"token endpoint plain": {"token_endpoint": "http://evil.example/token"},
		"no keys":              {"jwks_uri": ""},
		"no code flow":         {"response_types_supported": []string{"id_token"}},
		"user info plain":      {"userinfo_endpoint": "http://evil.example/me"},
	} {
		l := newLiar(t)
		l.document = document
		p, _ := party(t)
		if _, err := p.AuthorizationURL(t.Context(), client(l), openid.Request{}); !errors.Is(err, openid.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := newLiar(t)
	p, c := party(t)
	key := l.key("1")
	identify := func(reply openid.Reply, claim string) error {
		t.Helper()
		_, err := p.Identify(t.Context(), client(l), openid.Request{Nonce: "n"}, reply, claim)
		return err
	}
	set := func(status int, token string, info claims) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.status, l.token, l.userInfo = status, token, info
	}
	good := l.sign(jose.RS256, key, l.claims(c.Now(), nil))
	set(http.StatusBadRequest, "", nil)
	if err := identify(openid.Reply{Code: "c"}, "sub"); !errors.Is(err, openid.ErrNotProven) || strings.Contains(err.Error(), "script") {
		t.Errorf("the token endpoint says no: %v", err)
	}
	set(http.StatusBadGateway, "", nil)
	if err := identify(openid.Reply{Code: "c"}, "sub"); !errors.Is(err, openid.ErrUnavailable) {
		t.Errorf("the token endpoint is away: %v", err)
	}
	set(0, good, claims{"sub": "somebody else", "oid": "x"})
	if err := identify(openid.Reply{Code: "c"}, "oid"); !errors.Is(err, openid.ErrNotProven) {
		t.Errorf("the userinfo endpoint speaks of somebody else: %v", err)
	}
	// What the ID token says stands: the userinfo endpoint only adds.
	set(0, l.sign(jose.RS256, key, l.claims(c.Now(), claims{"acr": "low"})), claims{"sub": "00u1", "oid": "x", "acr": "high", "auth_time": 1})
	got, err := p.Identify(t.Context(), client(l), openid.Request{Nonce: "n"}, openid.Reply{Code: "c"}, "oid")
	if err != nil || got.Claim("oid") != "x" || got.ACR != "low" || got.Claim("acr") != "low" {
		t.Errorf("%+v %v", got, err)
	}
	if err := identify(openid.Reply{Error: "access_denied"}, "sub"); !errors.Is(err, openid.ErrRefused) {
		t.Errorf("refused: %v", err)
	}
	if err := identify(openid.Reply{}, "sub"); !errors.Is(err, openid.ErrNotProven) {
		t.Errorf("no code: %v", err)
	}
	if err := identify(openid.Reply{Code: "c", Issuer: "https://evil.example"}, "sub"); !errors.Is(err, openid.ErrNotProven) {
		t.Errorf("another's answer: %v", err)
	}
	// Who says that it always names itself must.
	named := newLiar(t)
	named.document = claims{"authorization_response_iss_parameter_supported": true}
	if _, err := p.Identify(t.Context(), client(named), openid.Request{Nonce: "n"}, openid.Reply{Code: "c"}, "sub"); !errors.Is(err, openid.ErrNotProven) {
		t.Errorf("the answer does not name the issuer: %v", err)
	}
}

// A key that is new is fetched, and one that was withdrawn is believed for an hour at
// most.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	l := newLiar(t)
	p, c := party(t)
	try := func(key jose.JSONWebKey) error {
		t.Helper()
		l.mu.Lock()
		l.token = ""
		l.mu.Unlock()
		token := l.sign(jose.RS256, key, l.claims(c.Now(), nil))
		l.mu.Lock()
		l.token = token
		l.mu.Unlock()
		_, err := p.Identify(t.Context(), openid.Client{Issuer: l.URL, ID: "gatehouse"}, openid.Request{Nonce: "n"}, openid.Reply{Code: "c"}, "sub")
		return err
	}
	old := l.key("1")
	for range 3 {
		if err := try(old); err != nil {
			t.Fatal(err)
		}
	}
	if l.fetched != 1 {
		t.Errorf("keys were fetched %d times", l.fetched)
	}
	next := l.key("2")
	if err := try(next); err != nil || l.fetched != 2 {
		t.Errorf("a new key: %v, fetched %d times", err, l.fetched)
	}
	l.mu.Lock()
	l.keys = l.keys[1:]
	l.mu.Unlock()
	c.Advance(time.Hour)
	if err := try(old); !errors.Is(err, openid.ErrNotProven) {
		t.Errorf("a withdrawn key: %v", err)
	}
	if err := try(next); err != nil {
		t.Error(err)
	}
}

// A logout token is one by its claims, of now, and for Gatehouse.
func TestLogoutToken(t *testing.T) {
	t.Parallel()
	l := newLiar(t)
	p, c := party(t)
	key := l.key("1")
	now := c.Now()
	const event = "http://schemas.openid.net/event/backchannel-logout"
	for name, tc := range map[string]struct {
		change claims
		want   error
	}{
		"good":             {},
		"by session":       {change: claims{"sub": nil}},
		"by subject":       {change: claims{"sid": nil}},
		"of nobody":        {change: claims{"sub": nil, "sid": nil}, want: openid.ErrNotProven},
		"an ID token":      {change: claims{"events": nil, "nonce": "n"}, want: openid.ErrNotProven},
		"with a nonce":     {change: claims{"nonce": "n"}, want: openid.ErrNotProven},
		"another event":    {change: claims{"events": claims{"other": claims{}}}, want: openid.ErrNotProven},
		"another client":   {change: claims{"aud": "other"}, want: openid.ErrNotProven},
		"another issuer":   {change: claims{"iss": "https://evil.example"}, want: openid.ErrNotProven},
		"ended":            {change: claims{"exp": now.Add(-3 * time.Minute).Unix()}, want: openid.ErrNotProven},
		"of long ago":      {change: claims{"iat": now.Add(-time.Hour).Unix()}, want: openid.ErrNotProven},
		"of the future":    {change: claims{"iat": now.Add(time.Hour).Unix()}, want: openid.ErrNotProven},
		"without its name": {change: claims{"jti": nil}, want: openid.ErrNotProven},
	} {
		change := claims{"nonce": nil, "sid": "s1", "jti": "j1", "auth_time": nil, "events": claims{event: claims{}}}
		maps.Copy(change, tc.change)
		got, err := p.Logout(t.Context(), openid.Client{Issuer: l.URL, ID: "gatehouse"}, l.sign(jose.RS256, key, l.claims(now, change)))
		if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (got.Subject == "" && got.Session == "" || !got.IssuedAt.Equal(now.Truncate(time.Second))) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Nothing is called that is not public, unless it is allowed.
// Where people sign out is said by the discovery document, and keeps its own parameters.
func TestEndSessionURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		endpoint any
		token    string
		want     string // empty for an error
	}{
		{"none", nil, "t", ""},
		{"no address", "%", "t", ""},
		{"without TLS", "http://idp.example/end", "t", ""},
		{"a script", "javascript:alert(1)", "t", ""},
		{"with TLS", "https://idp.example/end", "t", "https://idp.example/end?client_id=gatehouse&id_token_hint=t&post_logout_redirect_uri=https%3A%2F%2Fgate.example%2Fx&state=s"},
		{"no ID token", "https://idp.example/end", "", "https://idp.example/end?client_id=gatehouse&post_logout_redirect_uri=https%3A%2F%2Fgate.example%2Fx&state=s"},
		{"its own parameters", "https://idp.example/end?p=b2c&state=x", "", "https://idp.example/end?client_id=gatehouse&p=b2c&post_logout_redirect_uri=https%3A%2F%2Fgate.example%2Fx&state=s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t)
			l.document["end_session_endpoint"] = tt.endpoint
			p, _ := party(t)
			client := openid.Client{Issuer: l.URL, ID: "gatehouse", Secret: "s", SignOut: true}
			got, err := p.EndSessionURL(t.Context(), client, openid.SignOut{RedirectURI: "https://gate.example/x", State: "s", Token: tt.token})
			if got != tt.want || (err != nil) != (tt.want == "") || err != nil && !errors.Is(err, openid.ErrUnavailable) {
				t.Errorf("%q %v, want %q", got, err, tt.want)
			}
			problems := p.Check(t.Context(), client)
			if (len(problems) > 0) != (tt.want == "") {
				t.Errorf("an admin is told %q", problems)
			}
			client.SignOut = false
			if problems = p.Check(t.Context(), client); len(problems) != 0 {
				t.Errorf("an admin who does not ask for it is told %q", problems)
			}
		})
	}
}

func TestNotCalled(t *testing.T) {
	t.Parallel()
	l := newLiar(t)
	p := openid.New(nil, 0, clock.System{})
	t.Cleanup(p.Close)
	if _, err := p.AuthorizationURL(context.WithoutCancel(t.Context()), openid.Client{Issuer: l.URL}, openid.Request{}); !errors.Is(err, openid.ErrUnavailable) || !errors.Is(err, outgoing.ErrRefused) {
		t.Errorf("%v", err)
	}
}

// A provider that does not answer is waited for as long as is set, and no longer.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hung.Close)
	p := openid.New(outgoing.Loopback(), 50*time.Millisecond, clock.System{})
	t.Cleanup(p.Close)
	_, err := p.AuthorizationURL(t.Context(), openid.Client{Issuer: hung.URL}, openid.Request{})
	if !errors.Is(err, openid.ErrUnavailable) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("%v", err)
	}
}
