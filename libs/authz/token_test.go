package authz_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// issuer is identity-sync as far as keys go.
type issuer struct {
	t     testing.TB
	clock *clock.Manual

	mu      sync.Mutex
	keys    []jwk.Key
	err     error
	fetches int
}

func newIssuer(t testing.TB) *issuer {
	i := &issuer{t: t, clock: clock.NewManual(start)}
	i.rotate()
	return i
}

func (i *issuer) verifier() *authz.Verifier {
	return &authz.Verifier{Audience: "request", Clock: i.clock, Keys: func(context.Context) (jwk.Set, error) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetches++
		if i.err != nil {
			return nil, i.err
		}
		return authz.PublicKeys(i.keys...)
	}}
}

// rotate adds a key, which signs from now on, and returns it.
func (i *issuer) rotate() jwk.Key {
	i.t.Helper()
	key, err := authz.NewKey()
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
	return key
}

func (i *issuer) set(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) mint(c authz.Caller) string {
	i.t.Helper()
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	token, _, err := authz.Minter{Key: key, Lifetime: 5 * time.Minute, Clock: i.clock}.Mint(c, "request")
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

func user(role authzv1.Caller) authz.Caller {
	u := id.New()
	return authz.Caller{Subject: u.String(), UserID: u, OrganizationID: id.New(), Role: role, Name: "Ada Lovelace", Email: "ada@corp.example"}
}

func reason(err error) string {
	e, ok := apierr.From(err)
	if !ok {
		return fmt.Sprint(err)
	}
	return e.Reason
}

func TestMintThenVerify(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	readOnly := user(authzv1.Caller_CALLER_ADMIN)
	readOnly.ReadOnly, readOnly.CredentialID = true, id.New()
	narrow := user(authzv1.Caller_CALLER_MEMBER)
	narrow.Scopes, narrow.APIToken = "apps:read requests:write", true
	local := user(authzv1.Caller_CALLER_ADMIN)
	local.EnvironmentID = id.New()
	nameless := user(authzv1.Caller_CALLER_EXTERNAL)
	nameless.Name, nameless.Email = "", ""
	for _, c := range []authz.Caller{
		user(authzv1.Caller_CALLER_ADMIN), user(authzv1.Caller_CALLER_IT_ADMIN), user(authzv1.Caller_CALLER_RISK_MANAGER),
		user(authzv1.Caller_CALLER_MEMBER), nameless, readOnly, narrow, local,
		{Subject: "client:provisioning", Role: authzv1.Caller_CALLER_SERVICE},
		{Subject: "client:provisioning", Role: authzv1.Caller_CALLER_SERVICE, OrganizationID: id.New()},
	} {
		token := i.mint(c)
		for range 2 { // the second time from memory
			got, err := v.Verify(t.Context(), token)
			if err != nil {
				t.Fatalf("%v: %v", c, err)
			}
			if d := cmp.Diff(c, got); d != "" {
				t.Errorf("%v: %s", c, d)
			}
		}
	}
	if n := i.fetched(); n != 1 {
		t.Errorf("keys were fetched %d times, want once", n)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	c := user(authzv1.Caller_CALLER_IT_ADMIN)
	c.Scopes = "apps:read requests:write"
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(i.mint(c), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	if jti, err := uuid.Parse(fmt.Sprint(got["jti"])); err != nil || jti == uuid.Nil {
		t.Errorf("jti = %v", got["jti"])
	}
	delete(got, "jti")
	want := map[string]any{
		"iss": "gatehouse", "aud": "request", "sub": c.UserID.String(), "org": c.OrganizationID.String(), "role": "it_admin",
		"scope": "apps:read requests:write", "name": c.Name, "email": c.Email, "iat": float64(start.Unix()), "exp": float64(start.Add(5 * time.Minute).Unix()),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestMintRefuses(t *testing.T) {
	t.Parallel()
	key, err := authz.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	good := authz.Minter{Key: key, Lifetime: time.Minute}
	nobody := user(authzv1.Caller_CALLER_MEMBER)
	nobody.Subject, nobody.UserID = "", uuid.Nil
	homeless := user(authzv1.Caller_CALLER_MEMBER)
	homeless.OrganizationID = uuid.Nil
	other := user(authzv1.Caller_CALLER_MEMBER)
	other.Subject = id.New().String()
	for name, tt := range map[string]struct {
		m authz.Minter
		c authz.Caller
	}{
		"no key":                {authz.Minter{Lifetime: time.Minute}, user(authzv1.Caller_CALLER_ADMIN)},
		"no lifetime":           {authz.Minter{Key: key}, user(authzv1.Caller_CALLER_ADMIN)},
		"no role":               {good, user(authzv1.Caller_CALLER_UNSPECIFIED)},
		"public":                {good, user(authzv1.Caller_CALLER_PUBLIC)},
		"user as service":       {good, user(authzv1.Caller_CALLER_SERVICE)},
		"service as admin":      {good, authz.Caller{Subject: "client:x", Role: authzv1.Caller_CALLER_ADMIN, OrganizationID: id.New()}},
		"service without name":  {good, authz.Caller{Subject: "client:", Role: authzv1.Caller_CALLER_SERVICE}},
		"no user":               {good, nobody},
		"no organization":       {good, homeless},
		"subject of other user": {good, other},
	} {
		if token, _, err := tt.m.Mint(tt.c, "request"); err == nil {
			t.Errorf("%s: minted %s", name, token)
		}
	}
	if _, end, err := good.Mint(user(authzv1.Caller_CALLER_ADMIN), "request"); err != nil || time.Until(end) > time.Minute || time.Until(end) < 58*time.Second {
		t.Errorf("Mint says it ends at %v, %v", end, err)
	}
}

// sign makes a token that no Minter would.
func sign(t *testing.T, key jwk.Key, alg jwa.SignatureAlgorithm, raw any, header, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	h := jws.NewHeaders()
	kid, _ := key.KeyID()
	if err := h.Set("kid", kid); err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if v == nil {
			err = h.Remove(k)
		} else {
			err = h.Set(k, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := jws.Sign(payload, jws.WithKey(alg, raw, jws.WithProtectedHeaders(h)))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	key := i.keys[0]
	stranger, err := authz.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{
			"iss": "gatehouse", "aud": "request", "sub": id.New().String(), "org": id.New().String(), "role": "member",
			"iat": start.Unix(), "exp": start.Add(time.Minute).Unix(), "jti": "1",
		}
		for k, v := range change {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	with := func(change map[string]any) string {
		return sign(t, key, jwa.EdDSA(), key, nil, claims(change))
	}
	good := with(nil)
	part := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	kid, _ := key.KeyID()
	none := enc([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + part[1] + "."
	var public ed25519.PublicKey
	if k, err := key.PublicKey(); err != nil || jwk.Export(k, &public) != nil {
		t.Fatal(err)
	}
	admin, _ := json.Marshal(claims(map[string]any{"role": "admin"}))

	tests := []struct {
		name, token, want string
	}{
		{"good", good, ""},
		{"audience list", with(map[string]any{"aud": []string{"other", "request"}}), ""},
		{"clock of the minter is ahead", with(map[string]any{"iat": start.Add(30 * time.Second).Unix()}), ""},
		{"empty", "", "TOKEN_MISSING"},
		{"no JWT", "hello", "TOKEN_INVALID"},
		{"dots", "..", "TOKEN_INVALID"},
		{"too long", good + strings.Repeat("A", 5000), "TOKEN_INVALID"},
		{"cut", good[:len(good)-2], "TOKEN_INVALID"},
		{"no signature", part[0] + "." + part[1] + ".", "TOKEN_INVALID"},
		{"other payload", part[0] + "." + enc(admin) + "." + part[2], "TOKEN_INVALID"},
		{"alg none", none, "TOKEN_INVALID"},
		{"public key as HMAC secret", sign(t, key, jwa.HS256(), []byte(public), nil, claims(nil)), "TOKEN_INVALID"},
		{"other key, our kid", sign(t, key, jwa.EdDSA(), stranger, map[string]any{"kid": kid}, claims(nil)), "TOKEN_INVALID"},
		{"unknown kid", sign(t, stranger, jwa.EdDSA(), stranger, nil, claims(nil)), "TOKEN_INVALID"},
		{"critical extension", sign(t, key, jwa.EdDSA(), key, map[string]any{"crit": []string{"x"}, "x": "1"}, claims(nil)), "TOKEN_INVALID"},
		{"other issuer", with(map[string]any{"iss": "https://idp.example"}), "TOKEN_INVALID"},
		{"no issuer", with(map[string]any{"iss": nil}), "TOKEN_INVALID"},
		{"other audience", with(map[string]any{"aud": "other"}), "TOKEN_INVALID"},
		{"audience of all", with(map[string]any{"aud": "gatehouse"}), "TOKEN_INVALID"},
		{"no audience", with(map[string]any{"aud": nil}), "TOKEN_INVALID"},
		{"no exp", with(map[string]any{"exp": nil}), "TOKEN_INVALID"},
		{"exp is text", with(map[string]any{"exp": "never"}), "TOKEN_INVALID"},
		{"ended now", with(map[string]any{"exp": start.Unix()}), "TOKEN_EXPIRED"},
		{"ended long ago", with(map[string]any{"exp": 1}), "TOKEN_EXPIRED"},
		{"from the future", with(map[string]any{"iat": start.Add(time.Hour).Unix(), "exp": start.Add(2 * time.Hour).Unix()}), "TOKEN_INVALID"},
		{"no role", with(map[string]any{"role": nil}), "TOKEN_INVALID"},
		{"unknown role", with(map[string]any{"role": "owner"}), "TOKEN_INVALID"},
		{"role in capitals", with(map[string]any{"role": "ADMIN"}), "TOKEN_INVALID"},
		{"role public", with(map[string]any{"role": "public"}), "TOKEN_INVALID"},
		{"role unspecified", with(map[string]any{"role": "unspecified"}), "TOKEN_INVALID"},
		{"user as service", with(map[string]any{"role": "service"}), "TOKEN_INVALID"},
		{"client as admin", with(map[string]any{"sub": "client:x", "role": "admin"}), "TOKEN_INVALID"},
		{"no organization", with(map[string]any{"org": nil}), "TOKEN_INVALID"},
		{"organization is no id", with(map[string]any{"org": "*"}), "TOKEN_INVALID"},
		{"credential is no id", with(map[string]any{"cid": "1"}), "TOKEN_INVALID"},
		{"scope is empty", with(map[string]any{"scope": ""}), "TOKEN_INVALID"},
		{"scope is a list", with(map[string]any{"scope": []string{"apps:read"}}), "TOKEN_INVALID"},
		{"no subject", with(map[string]any{"sub": nil}), "TOKEN_INVALID"},
		{"nil subject", with(map[string]any{"sub": uuid.Nil.String()}), "TOKEN_INVALID"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := i.verifier().Verify(t.Context(), tt.token)
			if (err == nil) != (tt.want == "") || err != nil && reason(err) != tt.want {
				t.Fatalf("Verify = %v, %v, want %s", c, err, tt.want)
			}
			if err == nil {
				return
			}
			st := apierr.Status(err)
			if tt.token != "" && len(tt.token) < 2000 && strings.Contains(st.String(), tt.token) {
				t.Errorf("the answer holds the token: %v", st)
			}
			if c != (authz.Caller{}) {
				t.Errorf("a caller with an error: %v", c)
			}
		})
	}
}

func TestRememberedTokenEnds(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	token := i.mint(user(authzv1.Caller_CALLER_MEMBER))
	i.clock.Advance(5*time.Minute - time.Microsecond)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	i.clock.Advance(time.Microsecond)
	if _, err := v.Verify(t.Context(), token); reason(err) != "TOKEN_EXPIRED" {
		t.Errorf("at its end: %v", err)
	}
	if n := v.Remembered(); n != 0 {
		t.Errorf("%d ended tokens are remembered", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	v.CacheSize = 50
	for n := range 500 {
		if n == 250 {
			i.clock.Advance(4 * time.Minute)
		}
		if _, err := v.Verify(t.Context(), i.mint(user(authzv1.Caller_CALLER_MEMBER))); err != nil {
			t.Fatal(err)
		}
		if got := v.Remembered(); got > 50 {
			t.Fatalf("%d tokens are remembered, want 50 at most", got)
		}
	}
	if got := v.Remembered(); got < 40 {
		t.Errorf("%d tokens are remembered after 500", got)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	verify := func(token string) error {
		_, err := v.Verify(t.Context(), token)
		return err
	}
	first := i.mint(user(authzv1.Caller_CALLER_MEMBER))
	if err := verify(first); err != nil {
		t.Fatal(err)
	}

	i.rotate()
	second := i.mint(user(authzv1.Caller_CALLER_MEMBER))
	i.clock.Advance(999 * time.Millisecond)
	if err := verify(second); reason(err) != "TOKEN_INVALID" || i.fetched() != 1 {
		t.Errorf("within a second of the last fetch: %v after %d fetches", err, i.fetched())
	}
	i.clock.Advance(time.Millisecond)
	if err := verify(second); err != nil || i.fetched() != 2 {
		t.Errorf("a new key: %v after %d fetches", err, i.fetched())
	}
	if err := verify(first); err != nil {
		t.Errorf("the old key, still published: %v", err)
	}

	// Both tokens are remembered; withdrawing the first key ends that.
	i.set(func() { i.keys = i.keys[1:] })
	i.clock.Advance(4*time.Minute + 58*time.Second)
	if err := verify(second); err != nil || i.fetched() != 2 {
		t.Errorf("before five minutes: %v after %d fetches", err, i.fetched())
	}
	i.rotate()
	third := i.mint(user(authzv1.Caller_CALLER_MEMBER))
	i.clock.Advance(2 * time.Second)
	if err := verify(third); err != nil || i.fetched() != 3 {
		t.Errorf("after five minutes: %v after %d fetches", err, i.fetched())
	}
	if err := verify(first); reason(err) != "TOKEN_INVALID" {
		t.Errorf("a token under a withdrawn key: %v", err)
	}
}

// A flood of unknown key ids costs one fetch a second.
func TestUnknownKeysCostLittle(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	if _, err := v.Verify(t.Context(), i.mint(user(authzv1.Caller_CALLER_MEMBER))); err != nil {
		t.Fatal(err)
	}
	i.clock.Advance(time.Second)
	strangers := newIssuer(t)
	var wg sync.WaitGroup
	for range 50 {
		token := strangers.mint(user(authzv1.Caller_CALLER_ADMIN))
		strangers.rotate()
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), token); reason(err) != "TOKEN_INVALID" {
				t.Errorf("a stranger's token: %v", err)
			}
		})
	}
	wg.Wait()
	if n := i.fetched(); n != 2 {
		t.Errorf("keys were fetched %d times, want 2", n)
	}
}

func TestKeysAway(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	away := errors.New("dial tcp 10.0.0.1: connection refused")
	i.set(func() { i.err = away })
	long := func() string { // outlives the test
		token, _, err := authz.Minter{Key: i.keys[0], Lifetime: 24 * time.Hour, Clock: i.clock}.Mint(user(authzv1.Caller_CALLER_MEMBER), "request")
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := long()

	_, err := v.Verify(t.Context(), token)
	if reason(err) != "KEYS_UNAVAILABLE" || !errors.Is(err, away) {
		t.Errorf("keys never seen: %v", err)
	}
	if st := apierr.Status(err); strings.Contains(st.String(), "10.0.0.1") {
		t.Errorf("the answer says where identity-sync is: %v", st)
	}
	if _, err := v.Verify(t.Context(), token); reason(err) != "KEYS_UNAVAILABLE" || i.fetched() != 1 {
		t.Errorf("within a second: %v after %d fetches", err, i.fetched())
	}
	if err := v.Check(t.Context()); !errors.Is(err, away) || i.fetched() != 1 {
		t.Errorf("Check within a second: %v after %d fetches", err, i.fetched())
	}

	i.set(func() { i.err = nil })
	i.clock.Advance(time.Second)
	if err := v.Check(t.Context()); err != nil { // which fetches
		t.Errorf("Check, identity-sync is back: %v", err)
	}
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatalf("identity-sync is back: %v", err)
	}

	i.set(func() { i.err = away })
	i.clock.Advance(59 * time.Minute)
	for range 3 {
		if _, err := v.Verify(t.Context(), long()); err != nil {
			t.Errorf("away for less than an hour: %v", err)
		}
	}
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check, away for less than an hour: %v", err)
	}
	if n := i.fetched(); n != 3 {
		t.Errorf("keys were fetched %d times, want 3", n)
	}
	i.clock.Advance(time.Minute)
	for _, tok := range []string{token, long()} {
		if _, err := v.Verify(t.Context(), tok); reason(err) != "KEYS_UNAVAILABLE" {
			t.Errorf("away for an hour: %v", err)
		}
	}
	if err := v.Check(t.Context()); !errors.Is(err, away) {
		t.Errorf("Check, away for an hour: %v", err)
	}
}

// One caller who gives up does not spoil it for the others.
func TestFetchOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var calls atomic.Int32
	v := &authz.Verifier{Audience: "request", Clock: i.clock, Keys: func(ctx context.Context) (jwk.Set, error) {
		calls.Add(1)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, ok := ctx.Deadline(); !ok {
			return nil, errors.New("no deadline")
		}
		return authz.PublicKeys(i.keys...)
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ctx, i.mint(user(authzv1.Caller_CALLER_MEMBER))); err != nil || calls.Load() != 1 {
		t.Errorf("Verify = %v after %d fetches", err, calls.Load())
	}
}

func TestCallerKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	c := user(authzv1.Caller_CALLER_ADMIN)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("Called", "caller", c)
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %s", c, c, c), log.String()} {
		for _, secret := range []string{c.Email, c.Name} {
			if strings.Contains(s, secret) {
				t.Errorf("%q holds %q", s, secret)
			}
		}
		if !strings.Contains(s, c.Subject) || !strings.Contains(s, "admin") {
			t.Errorf("%q does not say who", s)
		}
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	if c, ok := authz.From(t.Context()); ok {
		t.Errorf("a caller from nowhere: %v", c)
	}
	c := user(authzv1.Caller_CALLER_MEMBER)
	if got := authz.Must(authz.WithCaller(t.Context(), c)); got != c {
		t.Errorf("Must = %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("Must did not panic without a caller")
		}
	}()
	authz.Must(t.Context())
}

func BenchmarkVerify(b *testing.B) {
	key, err := authz.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := authz.Minter{Key: key, Lifetime: time.Hour}.Mint(user(authzv1.Caller_CALLER_ADMIN), "request")
	if err != nil {
		b.Fatal(err)
	}
	keys := func(context.Context) (jwk.Set, error) { return authz.PublicKeys(key) }
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			v := &authz.Verifier{Audience: "request", Keys: keys}
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		v := &authz.Verifier{Audience: "request", Keys: keys}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered/parallel", func(b *testing.B) {
		v := &authz.Verifier{Audience: "request", Keys: keys}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkMint(b *testing.B) {
	key, err := authz.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	m := authz.Minter{Key: key, Lifetime: time.Hour}
	c := user(authzv1.Caller_CALLER_ADMIN)
	for b.Loop() {
		if _, _, err := m.Mint(c, "request"); err != nil {
			b.Fatal(err)
		}
	}
}
