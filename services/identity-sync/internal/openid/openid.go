// Package openid is the relying party of OpenID Connect Core 1.0: the authorization
// code flow with PKCE (RFC 7636), by what a provider's discovery document says.
//
// It guarantees that an identity it gives was signed by the provider, for the client,
// for the request it belongs to, and has not ended, with two minutes for clocks that
// differ; that keys are fetched anew when one is used that is not known, and every
// hour; and that no answer of a provider is read without bound.
//
// It does not know users: whose an identity is, is said elsewhere.
package openid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/outgoing"
)

// Skew is how far clocks may differ.
const Skew = 2 * time.Minute

const (
	// fresh is how long a discovery document and the keys are used.
	fresh = time.Hour
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 1 << 20
	// DefaultTimeout bounds one call to a provider.
	DefaultTimeout = 10 * time.Second
	// maxKnown bounds how many providers are remembered.
	maxKnown = 1000
)

// Errors by what can be done about them.
var (
	// ErrUnavailable says that the provider does not answer as it should: again
	// later.
	ErrUnavailable = errors.New("identity provider is not available")
	// ErrRefused says that the provider did not sign the person in.
	ErrRefused = errors.New("identity provider refused")
	// ErrNotProven says that what was sent does not hold.
	ErrNotProven = errors.New("not proven")
)

// Client is what Gatehouse is to a provider.
type Client struct {
	Issuer, ID, Secret string
	// Scopes are asked for beside "openid".
	Scopes []string
	// SignOut says that people who sign out are sent to the provider to sign out there.
	SignOut bool
}

// Party talks to providers. It is safe for concurrent use.
type Party struct {
	http  *http.Client
	clock clock.Clock

	mu    sync.Mutex
	known map[string]discovered // by issuer
}

type discovered struct {
	provider *oidc.Provider
	document document
	until    time.Time
}

// document is what is used of a discovery document beside what package oidc does.
type document struct {
	AuthURL       string   `json:"authorization_endpoint"`
	TokenURL      string   `json:"token_endpoint"`
	KeysURL       string   `json:"jwks_uri"`
	UserInfoURL   string   `json:"userinfo_endpoint"`
	EndSessionURL string   `json:"end_session_endpoint"`
	ResponseTypes []string `json:"response_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	IssuerInReply bool     `json:"authorization_response_iss_parameter_supported"`
}

// New makes a Party that calls what allowed lets it. timeout bounds one call, from
// connecting to the end of the answer; [DefaultTimeout] if zero.
func New(allowed outgoing.Allowed, timeout time.Duration, c clock.Clock) *Party {
	timeout = cmp.Or(timeout, DefaultTimeout)
	transport := &http.Transport{
		Proxy: allowed.Proxy(http.ProxyFromEnvironment), DialContext: allowed.Dialer().DialContext, TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, IdleConnTimeout: time.Minute,
		MaxIdleConnsPerHost: 2, ForceAttemptHTTP2: true,
	}
	return &Party{
		clock: c, known: make(map[string]discovered),
		http: &http.Client{
			Transport: bounded{transport}, Timeout: timeout,
			CheckRedirect: func(r *http.Request, via []*http.Request) error {
				switch {
				case len(via) > 3:
					return errors.New("too many redirects")
				case via[0].Method != http.MethodGet:
					return http.ErrUseLastResponse // a code or secret is not sent on
				case !Secure(r.URL):
					return errors.New("redirected to an address without TLS")
				}
				return nil
			},
		},
	}
}

// Close lets go of connections.
func (p *Party) Close() { p.http.CloseIdleConnections() }

// bounded reads no answer without end.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http's own
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

func (b bounded) CloseIdleConnections() { b.RoundTripper.(*http.Transport).CloseIdleConnections() }

// Secure says of an address whether it has TLS, or is of this machine's loopback.
func Secure(u *url.URL) bool {
	if u.Scheme == "https" {
		return u.Host != ""
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (err == nil && a.IsLoopback() || u.Hostname() == "localhost")
}

// Issuer says what is wrong with an issuer's URL.
func Issuer(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || !Secure(u):
		return errors.New("it is not an https URL")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil:
		return errors.New("it has a query, a fragment or a user")
	}
	return nil
}

// discover reads a provider's document, unless that was done within the hour.
func (p *Party) discover(ctx context.Context, issuer string) (discovered, error) {
	now := p.clock.Now()
	p.mu.Lock()
	d, ok := p.known[issuer]
	p.mu.Unlock()
	if ok && now.Before(d.until) {
		return d, nil
	}
	d, err := p.read(ctx, issuer)
	if err != nil {
		return discovered{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	p.known[issuer] = d
	return d, nil
}

func (p *Party) read(ctx context.Context, issuer string) (discovered, error) {
	ctx = oidc.ClientContext(ctx, p.http)
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return discovered{}, fmt.Errorf("%w: read the discovery document: %w", ErrUnavailable, shown(err))
	}
	d := discovered{provider: provider, until: p.clock.Now().Add(fresh)}
	if err := provider.Claims(&d.document); err != nil {
		return discovered{}, fmt.Errorf("%w: read the discovery document: %w", ErrUnavailable, err)
	}
	if problems := d.document.problems(); len(problems) > 0 {
		return discovered{}, fmt.Errorf("%w: %s", ErrUnavailable, problems[0])
	}
	return d, nil
}

// shown is an error of a call as an admin may read it: without the answer, which may
// be of something that is no provider.
func shown(err error) error {
	var mismatch *oidc.IssuerMismatchError
	var netErr *url.Error
	switch {
	case errors.As(err, &mismatch):
		return errors.New("it names another issuer")
	case errors.Is(err, outgoing.ErrRefused):
		return outgoing.ErrRefused
	case errors.As(err, &netErr) && netErr.Timeout():
		return errors.New("no answer in time")
	case errors.As(err, &netErr):
		return errors.New("no connection")
	}
	return errors.New("the answer is not what it should be")
}

// problems says why a provider of this document cannot be used.
func (d document) problems() (problems []string) {
	for name, address := range map[string]string{"authorization_endpoint": d.AuthURL, "token_endpoint": d.TokenURL, "jwks_uri": d.KeysURL} {
		if u, err := url.Parse(address); err != nil || !Secure(u) {
			problems = append(problems, "the discovery document has no "+name+" with TLS")
		}
	}
	if u, err := url.Parse(d.UserInfoURL); d.UserInfoURL != "" && (err != nil || !Secure(u)) {
		problems = append(problems, "the discovery document has a userinfo_endpoint without TLS")
	}
	if len(d.ResponseTypes) > 0 && !slices.Contains(d.ResponseTypes, "code") {
		problems = append(problems, "the provider does not offer the authorization code flow")
	}
	slices.Sort(problems)
	return problems
}

// Check reads a provider's document and keys anew and says what is wrong.
func (p *Party) Check(ctx context.Context, c Client) (problems []string) {
	d, err := p.read(ctx, c.Issuer)
	if err != nil {
		return []string{"The provider cannot be used: " + strings.TrimPrefix(err.Error(), ErrUnavailable.Error()+": ") + "."}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.document.KeysURL, nil)
	if err != nil {
		return []string{"The address of the keys is not one."}
	}
	resp, err := p.http.Do(req)
	if err != nil {
		problems = append(problems, "The keys cannot be read: "+shown(err).Error()+".")
	} else {
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			problems = append(problems, "The keys cannot be read: status "+strconv.Itoa(resp.StatusCode)+".")
		}
	}
	if c.ID == "" {
		problems = append(problems, "There is no client id yet.")
	}
	if m := d.document.AuthMethods; c.Secret == "" && len(m) > 0 && !slices.Contains(m, "none") {
		problems = append(problems, "There is no client secret, and the provider takes no client without one.")
	}
	if _, err := d.document.endSession(); c.SignOut && err != nil {
		problems = append(problems, "Nobody can be signed out there: "+err.Error()+".")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[c.Issuer] = d
	return problems
}

// Request is a request for a sign-in.
type Request struct {
	// RedirectURI is where the browser comes back to, with State. Nonce comes back in
	// the ID token, and Verifier is shown for the code.
	RedirectURI, State, Nonce, Verifier string
	// MaxAge is how long ago the person may have proved who they are; they must do it
	// now if it is zero.
	MaxAge time.Duration
	// ACR are the authentication contexts to be had, one of them.
	ACR       []string
	LoginHint string
}

// NewVerifier makes a code verifier.
func NewVerifier() string { return oauth2.GenerateVerifier() }

// AuthorizationURL is where the browser is sent.
func (p *Party) AuthorizationURL(ctx context.Context, c Client, r Request) (string, error) {
	d, err := p.discover(ctx, c.Issuer)
	if err != nil {
		return "", err
	}
	opts := []oauth2.AuthCodeOption{
		oauth2.S256ChallengeOption(r.Verifier), oidc.Nonce(r.Nonce),
		// With it, the ID token says when that was.
		oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(r.MaxAge.Seconds()))),
	}
	if r.MaxAge == 0 {
		opts = append(opts, oauth2.SetAuthURLParam("prompt", "login"))
	}
	if len(r.ACR) > 0 {
		opts = append(opts, oauth2.SetAuthURLParam("acr_values", strings.Join(r.ACR, " ")))
	}
	if r.LoginHint != "" {
		opts = append(opts, oauth2.SetAuthURLParam("login_hint", r.LoginHint))
	}
	return d.config(c, r.RedirectURI).AuthCodeURL(r.State, opts...), nil
}

func (d discovered) config(c Client, redirectURI string) *oauth2.Config {
	endpoint := oauth2.Endpoint{AuthURL: d.document.AuthURL, TokenURL: d.document.TokenURL, AuthStyle: oauth2.AuthStyleInHeader}
	if m := d.document.AuthMethods; c.Secret == "" || len(m) > 0 && !slices.Contains(m, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, Endpoint: endpoint, RedirectURL: redirectURI, Scopes: append([]string{oidc.ScopeOpenID}, c.Scopes...),
	}
}

// Reply is what a browser came back with.
type Reply struct {
	// Code is what the provider gave, Issuer who it says it is (RFC 9207), and Error
	// why it gave none.
	Code, Issuer, Error string
}

// Identity is who somebody is, as a provider says.
type Identity struct {
	// Subject is who it is there.
	Subject string
	// Session is the provider's own session (sid); may be empty.
	Session string
	// AuthTime is when they proved it; zero if the provider does not say.
	AuthTime time.Time
	// ACR is by what authentication context; may be empty.
	ACR string
	// Token is the ID token that says so.
	Token string

	claims map[string]any
}

// Claim is the value of a claim that is a text, and empty for any other.
func (i Identity) Claim(name string) string {
	text, _ := i.claims[name].(string)
	return text
}

// Identify exchanges a reply to a request for who it was. It asks the userinfo
// endpoint if the ID token does not have the claim. The error is one of this package.
func (p *Party) Identify(ctx context.Context, c Client, r Request, reply Reply, claim string) (Identity, error) {
	d, err := p.discover(ctx, c.Issuer)
	if err != nil {
		return Identity{}, err
	}
	// Another provider's answer must not reach this one (RFC 9207).
	if reply.Issuer != "" && reply.Issuer != c.Issuer || reply.Issuer == "" && d.document.IssuerInReply {
		return Identity{}, fmt.Errorf("%w: the answer is of another issuer", ErrNotProven)
	}
	if reply.Error != "" {
		return Identity{}, fmt.Errorf("%w: %q", ErrRefused, reply.Error)
	}
	if reply.Code == "" {
		return Identity{}, fmt.Errorf("%w: there is no code", ErrNotProven)
	}
	ctx = oidc.ClientContext(ctx, p.http)
	config := d.config(c, r.RedirectURI)
	token, err := config.Exchange(ctx, reply.Code, oauth2.VerifierOption(r.Verifier))
	if err != nil {
		return Identity{}, exchangeError(err)
	}
	raw, _ := token.Extra("id_token").(string)
	identity, err := p.verify(ctx, d, c, raw, r.Nonce)
	if err != nil {
		return Identity{}, err
	}
	if _, ok := identity.claims[claim]; !ok && d.document.UserInfoURL != "" {
		info, err := d.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return Identity{}, fmt.Errorf("%w: read the userinfo endpoint: %w", ErrUnavailable, shown(err))
		}
		if info.Subject != identity.Subject {
			return Identity{}, fmt.Errorf("%w: the userinfo endpoint speaks of another subject", ErrNotProven)
		}
		more := map[string]any{}
		if err := info.Claims(&more); err != nil {
			return Identity{}, fmt.Errorf("%w: read the userinfo endpoint: %w", ErrUnavailable, err)
		}
		for name, value := range more {
			if _, ok := identity.claims[name]; !ok {
				identity.claims[name] = value
			}
		}
	}
	return identity, nil
}

// exchangeError tells an endpoint that is away from one that says no.
func exchangeError(err error) error {
	var said *oauth2.RetrieveError
	if errors.As(err, &said) && said.Response != nil && said.Response.StatusCode < http.StatusInternalServerError && said.ErrorCode != "" {
		return fmt.Errorf("%w: the token endpoint said %q", ErrNotProven, said.ErrorCode)
	}
	if errors.As(err, &said) && said.Response != nil {
		return fmt.Errorf("%w: the token endpoint answered %d", ErrUnavailable, said.Response.StatusCode)
	}
	return fmt.Errorf("%w: call the token endpoint: %w", ErrUnavailable, shown(err))
}

// verifier verifies tokens of the client; early is by how much the clock is put back.
func (p *Party) verifier(d discovered, c Client) *oidc.IDTokenVerifier {
	return d.provider.Verifier(&oidc.Config{ClientID: c.ID, Now: func() time.Time { return p.clock.Now().Add(-Skew) }})
}

func (p *Party) verify(ctx context.Context, d discovered, c Client, raw, nonce string) (Identity, error) {
	if raw == "" {
		return Identity{}, fmt.Errorf("%w: there is no ID token", ErrNotProven)
	}
	token, err := p.verifier(d, c).Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrNotProven, err)
	}
	var more struct {
		AuthorizedParty string  `json:"azp"`
		Session         string  `json:"sid"`
		AuthTime        float64 `json:"auth_time"`
		ACR             string  `json:"acr"`
	}
	all := map[string]any{}
	if err := errors.Join(token.Claims(&more), token.Claims(&all)); err != nil {
		return Identity{}, fmt.Errorf("%w: read the ID token: %w", ErrNotProven, err)
	}
	now := p.clock.Now()
	switch {
	case token.Nonce != nonce:
		err = errors.New("the ID token is of another request")
	case token.Subject == "" || len(token.Subject) > 255:
		err = errors.New("the ID token has no subject of 1 to 255 characters")
	case more.AuthorizedParty != "" && more.AuthorizedParty != c.ID, more.AuthorizedParty == "" && len(token.Audience) > 1:
		err = errors.New("the ID token is for another client")
	case token.IssuedAt.After(now.Add(Skew)):
		err = errors.New("the ID token was issued in the future")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrNotProven, err)
	}
	identity := Identity{Subject: token.Subject, Session: more.Session, ACR: more.ACR, Token: raw, claims: all}
	if at := time.Unix(int64(more.AuthTime), 0); more.AuthTime > 0 && !at.After(now.Add(Skew)) {
		identity.AuthTime = at
	}
	return identity, nil
}

// SignOut is a request to sign somebody out at a provider.
type SignOut struct {
	// RedirectURI is where the browser comes back to, with State.
	RedirectURI, State string
	// Token is the ID token of the sign-in; may be empty, and the provider asks the
	// person then.
	Token string
}

// EndSessionURL is where the browser is sent to sign out at a provider (OpenID Connect
// RP-Initiated Logout 1.0). The error is [ErrUnavailable], also of a provider that does
// not say where that is.
func (p *Party) EndSessionURL(ctx context.Context, c Client, r SignOut) (string, error) {
	d, err := p.discover(ctx, c.Issuer)
	if err != nil {
		return "", err
	}
	u, err := d.document.endSession()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	q := u.Query()
	q.Set("client_id", c.ID)
	q.Set("post_logout_redirect_uri", r.RedirectURI)
	q.Set("state", r.State)
	if r.Token != "" {
		q.Set("id_token_hint", r.Token)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// endSession is where people sign out.
func (d document) endSession() (*url.URL, error) {
	u, err := url.Parse(d.EndSessionURL)
	if err != nil || !Secure(u) {
		return nil, errors.New("the discovery document has no end_session_endpoint with TLS")
	}
	return u, nil
}

// Logout is what a logout token says: which sessions have ended at the provider. One
// of Subject and Session may be empty.
type Logout struct {
	Subject, Session string
	IssuedAt         time.Time
}

// logoutAge is how old a logout token may be: one that is sent again later ends
// nothing.
const logoutAge = 5 * time.Minute

// Logout reads a logout token (OpenID Connect Back-Channel Logout 1.0).
func (p *Party) Logout(ctx context.Context, c Client, raw string) (Logout, error) {
	d, err := p.discover(ctx, c.Issuer)
	if err != nil {
		return Logout{}, err
	}
	token, err := p.verifier(d, c).VerifyLogout(oidc.ClientContext(ctx, p.http), raw)
	if err != nil {
		return Logout{}, fmt.Errorf("%w: %w", ErrNotProven, err)
	}
	now := p.clock.Now()
	switch {
	case token.IssuedAt.After(now.Add(Skew)) || token.IssuedAt.Before(now.Add(-logoutAge)):
		return Logout{}, fmt.Errorf("%w: the logout token is not of now", ErrNotProven)
	case token.Subject == "" && token.SessionID == "":
		return Logout{}, fmt.Errorf("%w: the logout token names nobody", ErrNotProven)
	}
	return Logout{Subject: token.Subject, Session: token.SessionID, IssuedAt: token.IssuedAt}, nil
}
