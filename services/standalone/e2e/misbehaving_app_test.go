package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is how an app misbehaves at one call.
type fault struct {
	status     int    // answers this and does nothing
	retryAfter string // with status: when to come again
}

// frontOf puts a target behind a front that misbehaves as the test tells it; the test's
// own calls do not come by it. It gives what sets how: nil for not at all.
func frontOf(t testing.TB, target *scimTarget) (misbehave func(func(*http.Request) *fault)) {
	t.Helper()
	to, err := url.Parse(target.url)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	how := func(*http.Request) *fault { return nil }
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		f := how(r)
		mu.Unlock()
		if f == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		if f.retryAfter != "" {
			w.Header().Set("Retry-After", f.retryAfter)
		}
		http.Error(w, `{"detail": "nobody may do this"}`, f.status)
	}))
	t.Cleanup(srv.Close)
	target.direct, target.url = target.url, srv.URL+to.Path
	return func(f func(*http.Request) *fault) {
		mu.Lock()
		defer mu.Unlock()
		if how = f; f == nil {
			how = func(*http.Request) *fault { return nil }
		}
	}
}

// refuseSome puts a target behind a front that refuses, with 403 and for as long as
// refuses says so, what changes a kind of resource, such as "/Groups".
func refuseSome(t testing.TB, target *scimTarget, kind string) (refuses *atomic.Bool) {
	t.Helper()
	refuses = &atomic.Bool{}
	refuses.Store(true)
	frontOf(t, target)(func(r *http.Request) *fault {
		if refuses.Load() && r.Method != http.MethodGet && strings.Contains(r.URL.Path, kind) {
			return &fault{status: http.StatusForbidden}
		}
		return nil
	})
	return refuses
}

// countChanges puts a target behind a front that counts, by method and kind of resource,
// what changes something.
func countChanges(t testing.TB, target *scimTarget, having string) (n *atomic.Int32) {
	t.Helper()
	n = &atomic.Int32{}
	frontOf(t, target)(func(r *http.Request) *fault {
		if r.Method != http.MethodGet && strings.Contains(r.Method+" "+r.URL.Path, having) {
			n.Add(1)
		}
		return nil
	})
	return n
}

// takesOnly puts a target behind a front that takes so many calls a second and asks
// whoever comes with more to come again in a second.
func takesOnly(t testing.TB, target *scimTarget, calls int) {
	t.Helper()
	var second int64
	taken := 0
	frontOf(t, target)(func(r *http.Request) *fault {
		if now := time.Now().Unix(); now != second {
			second, taken = now, 0
		}
		if taken++; taken <= calls {
			return nil
		}
		_, _ = io.Copy(io.Discard, r.Body)
		return &fault{status: http.StatusTooManyRequests, retryAfter: "1"}
	})
}
