package httpapi

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/clock"
)

// Limit is how often one caller may do something: so many a second for long, and
// Burst at once.
type Limit struct {
	PerSecond float64
	Burst     int
}

// Limits are those of the kinds of calls. A Limit without a Burst limits nothing.
type Limits struct {
	// Credentials are attempts to get a credential, and uses of one that is not
	// good, by address.
	Credentials Limit
	// Reads and Writes are calls by credential.
	Reads, Writes Limit
	// SCIM are calls by a source.
	SCIM Limit
}

// DefaultLimits are far above what people and well-behaved programs do.
func DefaultLimits() Limits {
	return Limits{
		Credentials: Limit{PerSecond: 1, Burst: 30},
		Reads:       Limit{PerSecond: 200, Burst: 500},
		Writes:      Limit{PerSecond: 50, Burst: 200},
		SCIM:        Limit{PerSecond: 2000, Burst: 4000},
	}
}

// maxCallers bounds how many callers of a kind are remembered.
const maxCallers = 20_000

// meter counts the calls of one kind.
type meter struct {
	name  string
	limit Limit
	clock clock.Clock

	mu      sync.Mutex
	callers map[string]*rate.Limiter
}

func newMeter(name string, l Limit, c clock.Clock) *meter {
	return &meter{name: name, limit: l, clock: c, callers: make(map[string]*rate.Limiter)}
}

// of is the limiter of a caller.
func (m *meter) of(caller string, now time.Time) *rate.Limiter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.callers[caller]; l != nil {
		return l
	}
	if len(m.callers) >= maxCallers {
		// Whoever may do everything is forgotten without loss; else anybody.
		for other, l := range m.callers {
			if l.TokensAt(now) >= float64(m.limit.Burst) {
				delete(m.callers, other)
			}
		}
		if len(m.callers) >= maxCallers {
			clear(m.callers)
		}
	}
	l := rate.NewLimiter(rate.Limit(m.limit.PerSecond), m.limit.Burst)
	m.callers[caller] = l
	return l
}

// take counts a call of a caller, says in the answer's headers what is left
// (draft-ietf-httpapi-ratelimit-headers), and is the error of one call too many.
func (m *meter) take(h http.Header, caller string) error {
	if m.limit.Burst == 0 {
		return nil
	}
	now := m.clock.Now()
	l := m.of(caller, now)
	ok := l.AllowN(now, 1)
	left := max(l.TokensAt(now), 0)
	m.tell(h, left)
	if ok {
		return nil
	}
	return m.exceeded(left)
}

// tell says what is left, and when all of it is there again.
func (m *meter) tell(h http.Header, left float64) {
	seconds := func(tokens float64) int { return int(math.Ceil(tokens / m.limit.PerSecond)) }
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", m.name, m.limit.Burst, seconds(float64(m.limit.Burst))))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", m.name, int(left), seconds(float64(m.limit.Burst)-left)))
}

func (m *meter) exceeded(left float64) error {
	wait := time.Duration(max(1-left, 0) / m.limit.PerSecond * float64(time.Second))
	return apierr.New(codes.ResourceExhausted, "RATE_LIMITED", "too many calls; please wait").With("limit", m.name).WithRetry(wait)
}

// limiter holds callers to limits.
type limiter struct {
	routes                           routes
	credentials, reads, writes, scim *meter
	next                             http.Handler
}

func newLimiter(l Limits, c clock.Clock, rs routes) *limiter {
	return &limiter{
		routes:      rs,
		credentials: newMeter("credentials", l.Credentials, c),
		reads:       newMeter("reads", l.Reads, c),
		writes:      newMeter("writes", l.Writes, c),
		scim:        newMeter("scim", l.SCIM, c),
	}
}

func (l *limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m, caller := l.kind(r); m != nil {
		if err := m.take(w.Header(), caller); err != nil {
			refuse(w, r, err)
			return
		}
	}
	l.next.ServeHTTP(w, r)
}

// refuse says that a call was one too many, in the form that errors have there.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
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
		send(w, r, err)
	}
}

// kind is what a request counts as, and whose it is; nil for what is not limited.
func (l *limiter) kind(r *http.Request) (m *meter, caller string) {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	switch {
	case strings.HasPrefix(r.URL.Path, "/scim/v2/"):
		return l.scim, callerOf(r)
	case strings.HasSuffix(r.URL.Path, "/backchannel-logout"):
		return l.writes, addressOf(r) // of a provider, for many people at once
	case strings.HasSuffix(r.URL.Path, "/callback"):
		return l.reads, addressOf(r) // of who has been counted when it began
	case r.URL.Path == "/sign-in" && read:
		return l.reads, addressOf(r)
	case r.URL.Path == "/oauth2/token", r.URL.Path == "/sign-in", strings.HasPrefix(r.URL.Path, "/sign-in/"), !read && l.routes.public(r):
		return l.credentials, addressOf(r)
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
