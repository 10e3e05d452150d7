package authz

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// Issuer is the same in every token: Gatehouse issues tokens for itself alone.
const Issuer = "gatehouse"

// Audiences are the services that there are tokens for, by name.
func Audiences() []string {
	return []string{"identity-sync", "request", "approval", "provisioning", "audit"}
}

// claims is the payload of a token.
type claims struct {
	Issuer   string    `json:"iss"`
	Subject  string    `json:"sub"`
	Audience oneOrMore `json:"aud"`
	Expires  int64     `json:"exp"` // seconds since 1970
	IssuedAt int64     `json:"iat"`
	ID       string    `json:"jti"`
	Org      string    `json:"org,omitempty"`
	Env      string    `json:"env,omitempty"`
	Role     string    `json:"role"`
	Name     string    `json:"name,omitempty"`
	Email    string    `json:"email,omitempty"`
	ReadOnly bool      `json:"ro,omitempty"`
	Scope    *string   `json:"scope,omitempty"`
	CredID   string    `json:"cid,omitempty"`
	Version  int64     `json:"ver,omitempty"`
	APIToken bool      `json:"pat,omitempty"`
	AuthTime int64     `json:"auth_time,omitempty"` // seconds since 1970
}

// oneOrMore is one string or a list of them.
type oneOrMore []string

func (a oneOrMore) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// caller reads the claims that say who calls.
func (c claims) caller() (Caller, error) {
	role, err := ParseRole(c.Role)
	if err != nil {
		return Caller{}, err
	}
	out := Caller{Subject: c.Subject, Role: role, Name: c.Name, Email: c.Email, ReadOnly: c.ReadOnly, UserVersion: c.Version, APIToken: c.APIToken}
	if c.Scope != nil {
		if out.Scopes = *c.Scope; out.Scopes == "" {
			return Caller{}, errors.New("scope is empty, which no token may do anything with")
		}
	}
	if c.AuthTime > 0 {
		out.AuthTime = time.Unix(c.AuthTime, 0)
	}
	if c.Org != "" {
		if out.OrganizationID, err = uuid.Parse(c.Org); err != nil {
			return Caller{}, errors.New("org is not a UUID")
		}
	}
	if c.Env != "" {
		if out.EnvironmentID, err = uuid.Parse(c.Env); err != nil || out.EnvironmentID == uuid.Nil || c.Org == "" {
			return Caller{}, errors.New("env is not the UUID of an environment of org")
		}
	}
	if c.CredID != "" {
		if out.CredentialID, err = uuid.Parse(c.CredID); err != nil {
			return Caller{}, errors.New("cid is not a UUID")
		}
	}
	if name, ok := strings.CutPrefix(c.Subject, clientPrefix); ok {
		if name == "" || !out.IsService() {
			return Caller{}, errors.New("a client has a name and the role service")
		}
		return out, nil
	}
	if out.UserID, err = uuid.Parse(c.Subject); err != nil || out.UserID == uuid.Nil {
		return Caller{}, errors.New("sub is neither a UUID nor a client")
	}
	if out.IsService() || out.OrganizationID == uuid.Nil {
		return Caller{}, errors.New("a user has an organization and a user's role")
	}
	return out, nil
}

// Minter signs tokens. Only identity-sync and tests have one.
type Minter struct {
	// Key is a private Ed25519 key with an id, as from [NewKey].
	Key jwk.Key
	// Lifetime of the tokens.
	Lifetime time.Duration
	// Clock is the system's if nil.
	Clock clock.Clock
}

// Mint returns a token for c, which the services named in audience take, and the
// time it ends, which is at whole seconds. Of a user's Subject and UserID either
// may be left out. A caller that a [Verifier] would refuse is an error, and no
// audience is one.
func (m Minter) Mint(c Caller, audience ...string) (token string, expires time.Time, err error) {
	if m.Lifetime < time.Second {
		return "", time.Time{}, errors.New("mint token: lifetime is under a second")
	}
	kid, ok := m.kid()
	if !ok {
		return "", time.Time{}, errors.New("mint token: key has no id")
	}
	if len(audience) == 0 || slices.Contains(audience, "") {
		return "", time.Time{}, errors.New("mint token: no audience")
	}
	if c.Subject == "" && c.UserID != uuid.Nil {
		c.Subject = c.UserID.String()
	}
	now := timeOf(m.Clock)
	expires = now.Add(m.Lifetime).Truncate(time.Second)
	cl := claims{
		Issuer: Issuer, Subject: c.Subject, Audience: audience,
		Expires: expires.Unix(), IssuedAt: now.Unix(), ID: id.New().String(),
		Role: RoleName(c.Role), Name: c.Name, Email: c.Email, ReadOnly: c.ReadOnly, Version: c.UserVersion, APIToken: c.APIToken,
	}
	if c.Scopes != "" {
		cl.Scope = &c.Scopes
	}
	if !c.AuthTime.IsZero() {
		cl.AuthTime = c.AuthTime.Unix()
	}
	if c.OrganizationID != uuid.Nil {
		cl.Org = c.OrganizationID.String()
	}
	if c.EnvironmentID != uuid.Nil {
		cl.Env = c.EnvironmentID.String()
	}
	if c.CredentialID != uuid.Nil {
		cl.CredID = c.CredentialID.String()
	}
	if got, err := cl.caller(); err != nil {
		return "", time.Time{}, fmt.Errorf("mint token for %s: %w", c, err)
	} else if got.UserID != c.UserID && c.UserID != uuid.Nil {
		return "", time.Time{}, fmt.Errorf("mint token for %s: subject and user id differ", c)
	}
	payload, err := json.Marshal(cl)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("mint token: %w", err)
	}
	h := jws.NewHeaders()
	for k, v := range map[string]any{jws.TypeKey: "JWT", jws.KeyIDKey: kid} {
		if err := h.Set(k, v); err != nil {
			return "", time.Time{}, fmt.Errorf("mint token: %w", err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.EdDSA(), m.Key, jws.WithProtectedHeaders(h)))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return string(signed), expires, nil
}

func (m Minter) kid() (string, bool) {
	if m.Key == nil {
		return "", false
	}
	kid, ok := m.Key.KeyID()
	return kid, ok && kid != ""
}

// NewKey makes a private key to sign tokens with. Its id is its thumbprint
// (RFC 7638).
func NewKey() (jwk.Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	key, err := jwk.Import(private)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	thumb, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	for k, v := range map[string]any{
		jwk.KeyIDKey:     base64.RawURLEncoding.EncodeToString(thumb),
		jwk.AlgorithmKey: jwa.EdDSA(),
		jwk.KeyUsageKey:  "sig",
	} {
		if err := key.Set(k, v); err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
	}
	return key, nil
}

// PublicKeys returns the public halves of keys, as a service that mints tokens
// publishes them. A new key is published before the first token is signed with
// it, and an old one until its last token has ended.
func PublicKeys(keys ...jwk.Key) (jwk.Set, error) {
	set := jwk.NewSet()
	for _, k := range keys {
		public, err := k.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		if err := set.AddKey(public); err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
	}
	return set, nil
}

// KeysFrom asks identity-sync, at the other end of conn, for the keys: what
// every other service gives its [Verifier].
func KeysFrom(conn grpc.ClientConnInterface) func(context.Context) (jwk.Set, error) {
	client := identityv1.NewTokenServiceClient(conn)
	return func(ctx context.Context) (jwk.Set, error) {
		res, err := client.GetKeys(ctx, &identityv1.GetKeysRequest{})
		if err != nil {
			return nil, fmt.Errorf("get keys: %w", err)
		}
		set, err := jwk.ParseString(res.GetJwks())
		if err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		return set, nil
	}
}

// renewBefore is how long before its end a token is no longer used.
const renewBefore = 30 * time.Second

// ClientTokens asks identity-sync, at the other end of conn, for tokens for the
// client with the id and secret, to be shown to the service named audience. One
// is used until shortly before it ends.
func ClientTokens(conn grpc.ClientConnInterface, clientID, secret, audience string) TokenSource {
	client := identityv1.NewTokenServiceClient(conn)
	var mu sync.Mutex
	var token string
	var until time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(until) {
			return token, nil
		}
		res, err := client.ExchangeClientSecret(ctx, &identityv1.ExchangeClientSecretRequest{
			ClientId: clientID, ClientSecret: secret, Audience: audience,
		})
		if err != nil {
			return "", fmt.Errorf("get a token for client %s: %w", clientID, err)
		}
		token, until = res.GetAccessToken(), res.GetExpireTime().AsTime().Add(-renewBefore)
		return token, nil
	}
}

func timeOf(c clock.Clock) time.Time {
	if c == nil {
		c = clock.System{}
	}
	return c.Now()
}
