package authz

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/clock"
)

// What a caller without a good token is told. Why it is not good is said to
// nobody outside.
var (
	errTokenMissing = apierr.Unauthenticated("TOKEN_MISSING", "a bearer token is required")
	errTokenInvalid = apierr.Unauthenticated("TOKEN_INVALID", "the bearer token is not valid")
	errTokenExpired = apierr.Unauthenticated("TOKEN_EXPIRED", "the bearer token has expired")
)

// ReasonTokenStale is the reason of [ErrTokenStale].
const ReasonTokenStale = "TOKEN_STALE"

// ReasonRoleNotAllowed is the reason of the error of a method that the caller's
// role may not call.
const ReasonRoleNotAllowed = "ROLE_NOT_ALLOWED"

// StepUpAge is for how long somebody who has proved who they are may do what asks
// for a recent proof.
const StepUpAge = 15 * time.Minute

// ReasonStepUp is the reason of the error of a method that asks for a recent proof
// of who calls: by the word of RFC 9470.
const ReasonStepUp = "INSUFFICIENT_USER_AUTHENTICATION"

var errStepUp = apierr.Unauthenticated(ReasonStepUp, "this needs a recent sign-in: sign in again").With("max_age", strconv.Itoa(int(StepUpAge.Seconds())))

var (
	// ErrTokenStale says that the user has changed since the token was made.
	ErrTokenStale = apierr.Unauthenticated(ReasonTokenStale,
		"the user, the role or a credential has changed since the token was made: exchange the session or API token again")
	// ErrTokenInvalid says that the token is not good any more, and not why.
	ErrTokenInvalid = errTokenInvalid
)

const (
	keysFresh    = 5 * time.Minute // then the keys are fetched again
	keysUsable   = time.Hour       // how long they serve if that fails
	keysRetry    = 10 * time.Second
	keysInterval = time.Second // at most one fetch for an unknown key id
	keysTimeout  = 2 * time.Second

	maxToken  = 4 << 10
	clockSkew = time.Minute // how far ahead the minting machine's clock may be
	cacheSize = 10_000
)

// Verifier verifies tokens. Set Keys and share one among all interceptors of
// a service; it is safe for concurrent use.
type Verifier struct {
	// Audience is the name of the service. A token that is not for it is refused,
	// and so is every token if it is empty.
	Audience string
	// Keys returns the public keys of the time. It is called when a token
	// names a key that is not known, at most once a second, and every five
	// minutes; what it returned serves in between.
	Keys func(context.Context) (jwk.Set, error)
	// Clock is the system's if nil.
	Clock clock.Clock
	// CacheSize bounds how many verified tokens are remembered; 10,000 if zero.
	CacheSize int

	fetching sync.Mutex // held while fetching

	mu     sync.RWMutex // guards the rest
	keys   map[string]ed25519.PublicKey
	asOf   time.Time // when keys were fetched
	tried  time.Time // when fetching was tried last
	failed error     // what the last try came to
	cache  map[[sha256.Size]byte]verified
}

type verified struct {
	caller  Caller
	expires time.Time
	kid     string
}

// Verify returns who a token belongs to. Errors are for the caller to see:
// Unauthenticated TOKEN_MISSING, TOKEN_INVALID or TOKEN_EXPIRED; Unavailable
// KEYS_UNAVAILABLE if the keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, token string) (Caller, error) {
	c, err := v.identify(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	return c, nil
}

// identify is Verify which also says whose token it is that has expired or is for
// another service: one that was truly signed. It proves nothing but who is refused.
func (v *Verifier) identify(ctx context.Context, token string) (Caller, error) {
	if token == "" {
		return Caller{}, errTokenMissing
	}
	if len(token) > maxToken {
		return Caller{}, errTokenInvalid.Wrap(errors.New("token is too long"))
	}
	now := timeOf(v.Clock)
	v.refresh(ctx, now)

	sum := sha256.Sum256([]byte(token))
	v.mu.RLock()
	known, ok := v.cache[sum]
	v.mu.RUnlock()
	if !ok {
		var err error
		if known, err = v.verify(ctx, token, now); err != nil {
			return known.caller, err
		}
	}
	if !now.Before(known.expires) {
		if ok {
			v.mu.Lock()
			delete(v.cache, sum)
			v.mu.Unlock()
		}
		return known.caller, errTokenExpired
	}
	if !ok {
		v.remember(sum, known, now)
	}
	return known.caller, nil
}

// Check says whether there are keys to verify tokens with, and fetches them if
// they are old or have never been had. For readiness.
func (v *Verifier) Check(ctx context.Context) error {
	now := timeOf(v.Clock)
	v.refresh(ctx, now)
	v.mu.RLock()
	usable, tried, failed := v.keys != nil && now.Sub(v.asOf) < keysUsable, v.tried, v.failed
	v.mu.RUnlock()
	switch {
	case usable:
		return nil
	case failed != nil && now.Sub(tried) < keysInterval:
		return failed
	}
	v.fetching.Lock() // nobody holds it for longer than keysTimeout
	defer v.fetching.Unlock()
	v.fetch(ctx)
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.failed
}

// errOtherService is why a good token of another service is refused.
var errOtherService = errors.New("wrong audience")

// verify does all but look at the end of the token's time. With errOtherService it
// also says whose the token is.
func (v *Verifier) verify(ctx context.Context, token string, now time.Time) (verified, error) {
	kid, err := keyID(token)
	if err != nil {
		return verified{}, errTokenInvalid.Wrap(err)
	}
	key, err := v.key(ctx, kid, now)
	if err != nil {
		return verified{}, err
	}
	// It refuses every algorithm but the one named here, and every critical
	// extension.
	payload, err := jws.VerifyCompactFast(key, []byte(token), jwa.EdDSA())
	if err != nil {
		return verified{}, errTokenInvalid.Wrap(err)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return verified{}, errTokenInvalid.Wrap(fmt.Errorf("claims: %w", err))
	}
	switch {
	case c.Issuer != Issuer:
		err = errors.New("wrong issuer")
	case c.Expires <= 0:
		err = errors.New("no exp")
	case time.Unix(c.IssuedAt, 0).After(now.Add(clockSkew)):
		err = errors.New("issued in the future")
	}
	if err != nil {
		return verified{}, errTokenInvalid.Wrap(err)
	}
	caller, err := c.caller()
	if err != nil {
		return verified{}, errTokenInvalid.Wrap(err)
	}
	if v.Audience == "" || !slices.Contains(c.Audience, v.Audience) {
		return verified{caller: caller}, errTokenInvalid.Wrap(errOtherService)
	}
	return verified{caller: caller, expires: time.Unix(c.Expires, 0), kid: kid}, nil
}

// keyID reads which key a token claims to be signed with.
func keyID(token string) (string, error) {
	protected, _, ok := strings.Cut(token, ".")
	if !ok {
		return "", errors.New("not a compact JWS")
	}
	raw, err := base64.RawURLEncoding.DecodeString(protected)
	if err != nil {
		return "", errors.New("header is not base64")
	}
	var h struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return "", errors.New("header is not JSON")
	}
	if h.KeyID == "" {
		return "", errors.New("header has no kid")
	}
	return h.KeyID, nil
}

func (v *Verifier) remember(sum [sha256.Size]byte, known verified, now time.Time) {
	size := v.CacheSize
	if size <= 0 {
		size = cacheSize
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.keys[known.kid]; !ok { // withdrawn meanwhile
		return
	}
	if v.cache == nil {
		v.cache = make(map[[sha256.Size]byte]verified)
	}
	if len(v.cache) >= size {
		// Whatever of a few has ended; else any one. Maps begin anywhere.
		looked := 0
		for k, e := range v.cache {
			if looked++; looked > 32 {
				break
			}
			if !now.Before(e.expires) {
				delete(v.cache, k)
			}
		}
		for k := range v.cache {
			if len(v.cache) < size {
				break
			}
			delete(v.cache, k)
		}
	}
	v.cache[sum] = known
}

// key returns the key with the id, after fetching the keys if it is not among
// those known.
func (v *Verifier) key(ctx context.Context, kid string, now time.Time) (ed25519.PublicKey, error) {
	if key, ok, _ := v.look(kid, now); ok {
		return key, nil
	}
	v.fetching.Lock() // nobody holds it for longer than keysTimeout
	defer v.fetching.Unlock()
	// Somebody else may have fetched it while we waited.
	now = timeOf(v.Clock)
	key, ok, tried := v.look(kid, now)
	if ok {
		return key, nil
	}
	if d := now.Sub(tried); d < 0 || d >= keysInterval {
		v.fetch(ctx)
		if key, ok, _ = v.look(kid, now); ok {
			return key, nil
		}
	}
	v.mu.RLock()
	failed := v.failed
	v.mu.RUnlock()
	if failed != nil {
		// The key may well exist.
		return nil, apierr.Unavailable("KEYS_UNAVAILABLE", failed)
	}
	return nil, errTokenInvalid.Wrap(errors.New("unknown key"))
}

func (v *Verifier) look(kid string, now time.Time) (key ed25519.PublicKey, ok bool, tried time.Time) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	key, ok = v.keys[kid]
	return key, ok && now.Sub(v.asOf) < keysUsable, v.tried
}

// refresh fetches the keys again when they are old. Only the caller that
// finds it so waits for them.
func (v *Verifier) refresh(ctx context.Context, now time.Time) {
	if !v.stale(now) || !v.fetching.TryLock() {
		return
	}
	defer v.fetching.Unlock()
	if v.stale(now) {
		v.fetch(ctx)
	}
}

func (v *Verifier) stale(now time.Time) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.keys != nil && now.Sub(v.asOf) >= keysFresh && now.Sub(v.tried) >= keysRetry
}

// fetch is called with fetching held. It does not stop with the caller: others
// wait for the same keys.
func (v *Verifier) fetch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	keys, err := v.load(ctx)
	now := timeOf(v.Clock)

	v.mu.Lock()
	defer v.mu.Unlock()
	v.tried, v.failed = now, err
	if err != nil {
		if now.Sub(v.asOf) >= keysUsable {
			v.keys, v.cache = nil, nil
		}
		return
	}
	for kid, old := range v.keys {
		if !bytes.Equal(keys[kid], old) {
			v.cache = nil // some of it may be signed with a withdrawn key
		}
	}
	v.keys, v.asOf = keys, now
}

func (v *Verifier) load(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	set, err := v.Keys(ctx)
	if err != nil {
		return nil, err
	}
	keys := make(map[string]ed25519.PublicKey, set.Len())
	for i := range set.Len() {
		k, _ := set.Key(i)
		kid, ok := k.KeyID()
		if !ok || kid == "" {
			continue
		}
		public, err := k.PublicKey()
		if err != nil {
			continue
		}
		// What is not an Ed25519 key is for somebody else.
		var key ed25519.PublicKey
		if jwk.Export(public, &key) == nil && len(key) == ed25519.PublicKeySize {
			keys[kid] = key
		}
	}
	return keys, nil
}
