package httpapi

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/ratelimit"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

const (
	// sessionCookie holds a browser's session token.
	sessionCookie = "gatehouse_session"
	// trust is how long an exchanged token is used before its secret is shown
	// to identity-sync again, unless a service refuses it before (see renewing):
	// how long it may work where services have not heard of its end.
	trust = 5 * time.Second
	// margin is how long before its end an exchanged token is used no more.
	margin = 10 * time.Second
	// maxTrusted bounds the secrets remembered.
	maxTrusted = 10_000
)

// authenticator turns secrets into signed tokens, remembering them for a
// moment. Secrets are remembered by their hash only.
type authenticator struct {
	client identityv1.TokenServiceClient
	clock  clock.Clock
	flight singleflight.Group
	// attempts counts credentials that were not good, by address.
	attempts *ratelimit.Meter

	mu      sync.Mutex
	trusted map[secretUse]trustedToken
}

// secretUse is a secret, by its hash, and how it is used: what is trusted in the
// background does not count as used where somebody acts.
type secretUse struct {
	hash       [sha256.Size]byte
	background bool
}

func useOf(ctx context.Context, secret string) secretUse {
	return secretUse{sha256.Sum256([]byte(secret)), ctx.Value(backgroundKey{}) != nil}
}

// backgroundHeader is how a page says that it calls by itself, and nobody asked it to:
// an open page does not keep a session whose person has left it.
const backgroundHeader = "Gatehouse-Background"

type backgroundKey struct{}

// background is ctx of a call that nobody asked for.
func background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

type trustedToken struct {
	tokens      signed
	made, until time.Time
}

// signed are the signed tokens of one caller, by the service that each is for.
type signed map[string]string

func newAuthenticator(c identityv1.TokenServiceClient, clk clock.Clock, attempts *ratelimit.Meter) *authenticator {
	return &authenticator{client: c, clock: clk, attempts: attempts, trusted: map[secretUse]trustedToken{}}
}

// wrap puts the caller's signed tokens in place of what the caller brought. A
// caller without anything goes through as nobody. So does a browser whose
// session has ended: it did not choose to send the cookie, and must be able to
// see the page on which to sign in.
func (a *authenticator) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secret, fromCookie, err := credential(r)
		bearer := ""
		var tokens signed
		if err == nil && isSigned(secret) {
			bearer = secret // is for one service, which verifies it
		} else if err == nil && secret != "" {
			if fromCookie && r.Header.Get(backgroundHeader) == "true" {
				r = r.WithContext(background(r.Context()))
			}
			tokens, err = a.attempt(w.Header(), r, secret, fromCookie)
		}
		if fromCookie && status.Code(err) == codes.Unauthenticated {
			setCookie(w, r, "", -1)
			err = nil
		}
		if err != nil {
			send(w, r, err)
			return
		}
		r.Header.Del("Cookie")
		r.Header.Del("Authorization")
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		if len(tokens) > 0 {
			r = r.WithContext(withTokens(r.Context(), secret, tokens))
		}
		next.ServeHTTP(w, r)
	})
}

// attempt is exchange for a caller who is told to wait after many credentials that
// were not good. One that is good is always taken: others may share the address.
// Nor is a browser counted that still has the cookie of an ended session.
func (a *authenticator) attempt(answer http.Header, r *http.Request, secret string, fromCookie bool) (tokens signed, err error) {
	tokens, err = a.exchange(r.Context(), secret)
	if !fromCookie && status.Code(err) == codes.Unauthenticated {
		if tooMany := take(a.attempts, answer, addressOf(r)); tooMany != nil {
			return nil, tooMany
		}
	}
	return tokens, err
}

// inBackground has what is called count as what nobody asked for.
func inBackground(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(background(r.Context())))
	})
}

// maxSecret bounds what is taken for a secret or a signed token, in bytes.
const maxSecret = 8192

// credential is what the caller brought: a bearer token, else a session cookie,
// else nothing.
func credential(r *http.Request) (secret string, fromCookie bool, err error) {
	if r.Header.Get("Authorization") == "" {
		c, err := r.Cookie(cookieName(r))
		if err != nil || len(c.Value) > maxSecret {
			return "", false, nil //nolint:nilerr // no cookie is no fault
		}
		return c.Value, true, nil
	}
	if len(r.Header.Values("Authorization")) > 1 {
		return "", false, apierr.Unauthenticated("TOKEN_INVALID", "there are several Authorization headers")
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	// What is not printable could not be sent on, and is no token of ours.
	bad := strings.IndexFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) >= 0
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxSecret || bad {
		return "", false, apierr.Unauthenticated("TOKEN_INVALID", "the Authorization header is not a bearer token")
	}
	return token, false, nil
}

// isSigned tells a signed token from a secret.
func isSigned(secret string) bool { return strings.Count(secret, ".") == 2 }

// exchange gives the signed tokens for a secret.
func (a *authenticator) exchange(ctx context.Context, secret string) (signed, error) {
	key := useOf(ctx, secret)
	now := a.clock.Now()
	if t, ok := a.recall(key); ok && now.Before(t.until) {
		return t.tokens, nil
	}
	v, err, _ := a.flight.Do(string(key.hash[:])+strconv.FormatBool(key.background), func() (any, error) {
		// One caller giving up must not fail the others who wait for the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		r, err := a.client.ExchangeToken(ctx, &identityv1.ExchangeTokenRequest{Token: secret, Audiences: authz.Audiences(), Background: key.background})
		if err != nil {
			return nil, err
		}
		until := now.Add(trust)
		// Used up well before it ends, so that no service finds it ended.
		if end := r.GetExpireTime().AsTime().Add(-margin); end.Before(until) {
			until = end
		}
		a.remember(key, trustedToken{tokens: r.GetAccessTokens(), made: now, until: until}, now)
		return signed(r.GetAccessTokens()), nil
	})
	if err != nil {
		if c := status.Code(err); c == codes.InvalidArgument || c == codes.Unauthenticated || c == codes.NotFound {
			return nil, apierr.Unauthenticated("TOKEN_INVALID", "the token is not valid")
		}
		if e, ok := apierr.From(apierr.FromCall(err)); ok && e.Reason == ratelimit.Reason {
			return nil, e
		}
		return nil, apierr.Unavailable(apierr.ReasonUnavailable, err).With("service", "identity-sync")
	}
	return v.(signed), nil
}

// recall is what is remembered of a secret: in the background also what it was exchanged
// for when somebody acted.
func (a *authenticator) recall(key secretUse) (t trustedToken, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok = a.trusted[key]
	if acted, found := a.trusted[secretUse{hash: key.hash}]; found && (!ok || acted.until.After(t.until)) {
		return acted, true
	}
	return t, ok
}

func (a *authenticator) remember(key secretUse, t trustedToken, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.trusted) >= maxTrusted {
		for k, v := range a.trusted {
			if !now.Before(v.until) {
				delete(a.trusted, k)
			}
		}
		if len(a.trusted) >= maxTrusted {
			clear(a.trusted)
		}
	}
	a.trusted[key] = t
}

// age is how long ago the token of a secret was made, if it is remembered.
func (a *authenticator) age(ctx context.Context, secret string) time.Duration {
	t, ok := a.recall(useOf(ctx, secret))
	if !ok {
		return trust
	}
	return a.clock.Now().Sub(t.made)
}

// forget ends the trust in a secret here, at sign-out.
func (a *authenticator) forget(secret string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hash := sha256.Sum256([]byte(secret))
	delete(a.trusted, secretUse{hash, false})
	delete(a.trusted, secretUse{hash, true})
}
