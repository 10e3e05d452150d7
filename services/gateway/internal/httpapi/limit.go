package httpapi

import (
	"crypto/sha256"
	"math"
	"net/http"
	"strings"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/ratelimit"
)

// take counts a call of a caller, says in the answer's headers what is left
// (draft-ietf-httpapi-ratelimit-headers), and is the error of one call too many.
func take(m *ratelimit.Meter, h http.Header, caller string) error {
	state, ok := m.Take(caller)
	if m.Limits() {
		state.SetHeader(h)
	}
	if ok {
		return nil
	}
	return state.Exceeded()
}

// limiter holds callers to limits.
type limiter struct {
	routes                           routes
	credentials, reads, writes, scim *ratelimit.Meter
	next                             http.Handler
}

func newLimiter(l ratelimit.Limits, c clock.Clock, rs routes) *limiter {
	return &limiter{
		routes:      rs,
		credentials: ratelimit.NewMeter("credentials", l.Credentials, c),
		reads:       ratelimit.NewMeter("reads", l.Reads, c),
		writes:      ratelimit.NewMeter("writes", l.Writes, c),
		scim:        ratelimit.NewMeter("scim", l.SCIM, c),
	}
}

func (l *limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m, caller := l.kind(r); m != nil {
		if err := take(m, w.Header(), caller); err != nil {
			refuse(w, r, err)
			return
		}
	}
	l.next.ServeHTTP(w, r)
}

// refuse says that a call was one too many.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	countRefused(w, r, err)
	tooMany(w, r, err)
}

// tooMany answers a call that was one too many, in the form that errors have there.
func tooMany(w http.ResponseWriter, r *http.Request, err error) {
	if wait, ok := apierr.Retry(err); ok {
		w.Header().Set("Retry-After", itoa(int(math.Ceil(wait.Seconds()))))
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/scim/"):
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"429","detail":"too many calls; please wait"}`))
	case r.URL.Path == "/oauth2/token":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error":"temporarily_unavailable","error_description":"too many calls; please wait"}`))
	default:
		sendStatus(w, apierr.StatusWithTrace(err, traceID(r.Context())))
	}
}

// kind is what a request counts as, and whose it is; nil for what is not limited.
func (l *limiter) kind(r *http.Request) (m *ratelimit.Meter, caller string) {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	switch {
	case strings.HasPrefix(r.URL.Path, "/scim/v2/"):
		return l.scim, callerOf(r)
	case strings.HasSuffix(r.URL.Path, "/backchannel-logout"):
		return l.writes, addressOf(r) // of a provider, for many people at once
	case strings.HasSuffix(r.URL.Path, "/callback"):
		return l.reads, addressOf(r) // of who has been counted when it began
	case strings.HasSuffix(r.URL.Path, "/signed-out"):
		return l.reads, addressOf(r) // nothing is tried here
	case r.URL.Path == "/sign-in" && read:
		return l.reads, addressOf(r)
	case r.URL.Path == "/oauth2/token", r.URL.Path == "/sign-in", strings.HasPrefix(r.URL.Path, "/sign-in/"), !read && l.routes.public(r):
		return l.credentials, addressOf(r)
	case r.URL.Path == livePath:
		return l.reads, callerOf(r)
	case !strings.HasPrefix(r.URL.Path, "/v1/"):
		return nil, ""
	case read:
		return l.reads, callerOf(r)
	}
	return l.writes, callerOf(r)
}

// callerOf tells callers apart: by the hash of what they bring, or by address.
func callerOf(r *http.Request) string {
	secret, _, err := credential(r)
	if err != nil || secret == "" {
		return addressOf(r)
	}
	sum := sha256.Sum256([]byte(secret))
	return string(sum[:])
}

// addressOf is the address of a caller; of IPv6 the network that one site has.
func addressOf(r *http.Request) string {
	a := outsideOf(r).address
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
