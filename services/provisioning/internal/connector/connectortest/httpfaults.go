package connectortest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// HTTPFaults is the way to an app that speaks HTTP: a proxy on loopback. Changes are all requests but GET and HEAD.
type HTTPFaults struct {
	// URL is where the app is reached through the faults: with the path of the app's own address.
	URL string

	proxy *httputil.ReverseProxy

	mu        sync.Mutex
	lose      int
	duplicate int
	throttle  int
	wait      time.Duration
	broken    int
	hold      *held
	before    func()
	away      bool
	requests  int
}

type held struct{ reached, goOn, done chan struct{} }

var _ Faults = (*HTTPFaults)(nil)

// NewHTTPFaults opens a way to the app at an address, and closes it at the end of the test.
func NewHTTPFaults(t *testing.T, app string) *HTTPFaults {
	t.Helper()
	u, err := url.Parse(app)
	if err != nil {
		t.Fatalf("address of the app: %v", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	f := &HTTPFaults{proxy: &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = u.Scheme, u.Host, u.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	server := httptest.NewServer(f)
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(server.Close)
	here, err := url.Parse(server.URL)
	if err != nil {
		t.Fatalf("address of the proxy: %v", err)
	}
	u2 := *u
	u2.Scheme, u2.Host = here.Scheme, here.Host
	f.URL = u2.String()
	return f
}

// Requests is how many requests came so far.
func (f *HTTPFaults) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// LoseAnswers implements Faults.
func (f *HTTPFaults) LoseAnswers(n int) bool { return f.with(func() { f.lose = n }) }

// Duplicate implements Faults.
func (f *HTTPFaults) Duplicate(n int) bool { return f.with(func() { f.duplicate = n }) }

// Throttle implements Faults.
func (f *HTTPFaults) Throttle(n int, wait time.Duration) bool {
	return f.with(func() { f.throttle, f.wait = n, wait })
}

// Break implements Faults.
func (f *HTTPFaults) Break(n int) bool { return f.with(func() { f.broken = n }) }

// BeforeChange implements Faults.
func (f *HTTPFaults) BeforeChange(do func()) bool { return f.with(func() { f.before = do }) }

// Away implements Faults.
func (f *HTTPFaults) Away(away bool) bool { return f.with(func() { f.away = away }) }

// Hold implements Faults.
func (f *HTTPFaults) Hold() (reached <-chan struct{}, release func(), ok bool) {
	h := &held{reached: make(chan struct{}), goOn: make(chan struct{}), done: make(chan struct{})}
	f.with(func() { f.hold = h })
	return h.reached, sync.OnceFunc(func() {
		close(h.goOn)
		// A change that never came has nothing to wait for.
		f.mu.Lock()
		waiting := f.hold == h
		if waiting {
			f.hold = nil
		}
		f.mu.Unlock()
		if !waiting {
			<-h.done
		}
	}), true
}

func (f *HTTPFaults) with(set func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
	return true
}

// ServeHTTP implements http.Handler.
func (f *HTTPFaults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	change := r.Method != http.MethodGet && r.Method != http.MethodHead
	use := func(n *int) bool {
		if *n == 0 {
			return false
		}
		*n--
		return true
	}

	f.mu.Lock()
	f.requests++
	var (
		away      = f.away
		throttled = !away && use(&f.throttle)
		broken    = !away && !throttled && use(&f.broken)
		passes    = change && !away && !throttled && !broken
		lost      = passes && use(&f.lose)
		twice     = passes && use(&f.duplicate)
		wait      = f.wait
		hold      *held
		before    func()
	)
	if passes {
		hold, f.hold = f.hold, nil
		before, f.before = f.before, nil
	}
	f.mu.Unlock()

	switch {
	case away:
		panic(http.ErrAbortHandler) // breaks the connection
	case throttled:
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	case broken:
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	if before != nil {
		before()
	}
	if hold != nil {
		// The connector goes away before the app gets to it; the app does it all the same.
		defer close(hold.done)
		close(hold.reached)
		<-hold.goOn
		f.forward(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())), body)
		panic(http.ErrAbortHandler)
	}
	if twice {
		f.forward(httptest.NewRecorder(), r, body)
	}
	if lost {
		f.forward(httptest.NewRecorder(), r, body)
		panic(http.ErrAbortHandler)
	}
	f.forward(w, r, body)
}

func (f *HTTPFaults) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	f.proxy.ServeHTTP(w, r)
}
