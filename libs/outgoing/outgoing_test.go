package outgoing_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.dev/libs/outgoing"
)

func TestWhatIsCalled(t *testing.T) {
	t.Parallel()
	allowed, err := outgoing.Parse(" 10.1.0.0/16, 192.168.7.7, 127.0.0.1:8443, [fd00::5]:443")
	if err != nil {
		t.Fatal(err)
	}
	check := func(a outgoing.Allowed, address string) error {
		return a.Dialer().Control("tcp", address, nil)
	}
	for address, want := range map[string][2]bool{ // without and with what is allowed
		"93.184.216.34:443":             {true, true},
		"[2606:2800:220:1::1]:443":      {true, true},
		"127.0.0.1:8443":                {false, true},
		"127.0.0.1:8444":                {false, false},
		"127.1.2.3:8443":                {false, false},
		"[::1]:8443":                    {false, false},
		"[::ffff:127.0.0.1]:8443":       {false, true},
		"[::ffff:10.1.2.3]:1":           {false, true},
		"[::127.0.0.1]:8443":            {false, false},
		"0.0.0.0:80":                    {false, false},
		"[::]:80":                       {false, false},
		"10.1.2.3:80":                   {false, true},
		"10.2.2.3:80":                   {false, false},
		"172.16.0.1:80":                 {false, false},
		"172.32.0.1:80":                 {true, true},
		"192.168.7.7:1":                 {false, true},
		"169.254.169.254:80":            {false, false}, // what clouds tell their machines
		"100.100.100.200:80":            {false, false},
		"[fd00::5]:443":                 {false, true},
		"[fd00::5]:80":                  {false, false},
		"[fd00:ec2::254]:80":            {false, false},
		"[fe80::1%lo]:80":               {false, false},
		"[64:ff9b::a9fe:a9fe]:80":       {false, false}, // 169.254.169.254 by NAT64
		"[2002:7f00:1::]:80":            {false, false}, // 127.0.0.1 by 6to4
		"[2001:0:7f00:1::]:80":          {false, false}, // by Teredo
		"224.0.0.1:80":                  {false, false},
		"255.255.255.255:80":            {false, false},
		"metadata.google.internal:80":   {false, false}, // no address: is never called so
		"93.184.216.34":                 {false, false},
		"[ff02::1]:80":                  {false, false},
		"[2001:4860:4860::8888]:443":    {true, true},
		"8.8.8.8:53":                    {true, true},
		"[::ffff:93.184.216.34]:443":    {true, true},
		"198.51.100.3:443":              {false, false},
		"[2001:db8::1]:443":             {false, false},
		"[fec0::1]:443":                 {false, false},
		"[100::1]:443":                  {false, false},
		"[3fff::1]:443":                 {false, false},
		"198.18.0.1:443":                {false, false},
		"192.0.0.170:443":               {false, false},
		"[64:ff9b:1::1]:443":            {false, false},
		"[5f00::1]:443":                 {false, false},
		"[2620:4f:8000::1]:443":         {true, true},
		"[2a00:1450:4001:800::200e]:80": {true, true},
	} {
		for n, a := range []outgoing.Allowed{nil, allowed} {
			err := check(a, address)
			if (err == nil) != want[n] || err != nil && !errors.Is(err, outgoing.ErrRefused) {
				t.Errorf("%s, allowed %d: %v", address, n, err)
			}
		}
	}
	for _, bad := range []string{"example.com", "10.0.0.0/99", "10.0.0.1:port", "localhost:80"} {
		if _, err := outgoing.Parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// A name and a redirect are checked by what they lead to.
func TestNamesAndRedirects(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 10)
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }))
	defer inner.Close()
	port := inner.Listener.Addr().(*net.TCPAddr).Port
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	defer outer.Close()
	get := func(a outgoing.Allowed, url string) error {
		transport := &http.Transport{DialContext: a.Dialer().DialContext}
		defer transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	byName := strings.Replace(inner.URL, "127.0.0.1", "localhost", 1)
	if err := get(nil, byName); !errors.Is(err, outgoing.ErrRefused) {
		t.Errorf("by name: %v", err)
	}
	one, err := outgoing.Parse(outer.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := get(one, outer.URL); !errors.Is(err, outgoing.ErrRefused) {
		t.Errorf("redirected to port %d: %v", port, err)
	}
	if len(called) > 0 {
		t.Error("what is not allowed was called")
	}
	if err := get(outgoing.Loopback(), outer.URL); err != nil || len(called) != 1 {
		t.Errorf("allowed: %v", err)
	}
}

// By a proxy, too, nothing is called that is not allowed: the proxy itself is checked
// as what is connected to, and an address behind it by what it is.
func TestProxy(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.Host)
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden) // that it was asked is enough
		}
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	only, err := outgoing.Parse(proxy.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := outgoing.Parse(proxy.Listener.Addr().String() + ",10.0.0.7:80")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		allowed outgoing.Allowed
		url     string
		refused bool
		want    string // what the proxy is asked
	}{
		{"the proxy is not allowed", nil, "http://app.example/Users", true, ""},
		{"a name", only, "http://app.example/Users", false, "GET app.example"},
		{"a name, by TLS", only, "https://app.example/Users", false, "CONNECT app.example:443"},
		{"a public address", only, "http://93.184.215.14/Users", false, "GET 93.184.215.14"},
		{"the cloud's metadata", only, "http://169.254.169.254/latest", true, ""},
		{"the same, hidden in IPv6", only, "http://[::ffff:169.254.169.254]/latest", true, ""},
		{"the same, by TLS", only, "https://169.254.169.254/latest", true, ""},
		{"the same, as one number", only, "http://2852039166/latest", true, ""},
		{"the same, in hex", only, "http://0xA9FEA9FE/latest", true, ""},
		{"the same, shortened", only, "http://169.254.43518./latest", true, ""},
		{"a name that begins with a number", only, "http://169.254.app1/Users", false, "GET 169.254.app1"},
		{"this machine, on another port", only, "http://127.0.0.1:1/", true, ""},
		{"an inner address that is allowed", inner, "http://10.0.0.7/Users", false, "GET 10.0.0.7"},
		{"the same on another port", inner, "http://10.0.0.7:81/Users", true, ""},
	} {
		mu.Lock()
		asked = nil
		mu.Unlock()
		transport := &http.Transport{DialContext: tt.allowed.Dialer().DialContext, Proxy: tt.allowed.Proxy(http.ProxyURL(at))}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err == nil {
			resp.Body.Close()
		}
		transport.CloseIdleConnections()
		mu.Lock()
		if errors.Is(err, outgoing.ErrRefused) != tt.refused || strings.Join(asked, " ") != tt.want {
			t.Errorf("%s: %v, asked %q", tt.name, err, asked)
		}
		mu.Unlock()
	}
}
