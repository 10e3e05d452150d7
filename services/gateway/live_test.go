package gateway_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// says publishes an event of the admin's organization, about the admin.
func (w *world) says(conn *nats.Conn, m proto.Message) {
	w.t.Helper()
	typ, err := event.TypeOf(m)
	if err != nil {
		w.t.Fatal(err)
	}
	subject, err := typ.Subject(w.admin.OrganizationID)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := proto.Marshal(m)
	if err == nil {
		err = conn.PublishMsg(&nats.Msg{Subject: subject, Data: data, Header: nats.Header{bus.HeaderType: {string(m.ProtoReflect().Descriptor().FullName())}}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// live opens a stream, and gives what is told: "event data", until it ends.
func (w *world) live(headers ...string) (told <-chan string, opened *http.Response) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+"/live", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	out := make(chan string, 100)
	go func() {
		defer close(out)
		name := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = v
			} else if v, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				out <- name + " " + v
			}
		}
	}()
	return out, resp
}

// next is what a stream tells next, or "end".
func next(t *testing.T, told <-chan string) string {
	t.Helper()
	select {
	case s, ok := <-told:
		if !ok {
			return "end"
		}
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is told")
		return ""
	}
}

// A signed-in browser is told which collections have changed, and the end of its session,
// with which its stream ends. B-USR-19.
func TestLive(t *testing.T) {
	t.Parallel()
	w := start(t)
	conn, err := nats.Connect(w.bus)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	told, resp := w.live("Cookie", "gatehouse_session=ghs_admin")
	if got := next(t, told); got != "ready {}" {
		t.Fatalf("first: %q", got)
	}
	if h := resp.Header; h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", h)
	}
	about := &eventv1.Context{UserId: w.admin.UserID.String()}
	w.says(conn, &eventv1.GrantActivated{Context: about})
	for when, want := range []string{`["accounts","auditEntries","grants","requests"]`, `["auditEntries","requests"]`} {
		if got := next(t, told); got != `changed {"collections":`+want+`}` {
			t.Errorf("%d: %q", when, got)
		}
	}

	w.set(func() { delete(w.secrets, "ghs_admin") })
	w.says(conn, &eventv1.SessionEnded{Context: about})
	w.says(conn, &eventv1.GrantActivated{Context: about})
	if got := next(t, told); got != "signed-out {}" {
		t.Errorf("after the end of the session: %q", got)
	}
	if got := next(t, told); got != "end" {
		t.Errorf("and then: %q", got)
	}
}

// To ask for the headers alone takes no stream, and leaves the connection to the next call.
func TestLiveHead(t *testing.T) {
	t.Parallel()
	w := start(t)
	one := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 5 * time.Second}
	defer one.CloseIdleConnections()
	for _, call := range [][2]string{{"HEAD", "/live"}, {"GET", "/v1/me"}} {
		r, err := http.NewRequestWithContext(t.Context(), call[0], w.url+call[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", "gatehouse_session=ghs_admin")
		resp, err := one.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", call, resp.StatusCode)
		}
	}
}

// Only who is signed in is told, and what is refused is told in the form of every error.
func TestLiveRefuses(t *testing.T) {
	t.Parallel()
	w := start(t, "limits")
	alone := start(t, "bus")
	for name, tc := range map[string]struct {
		w       *world
		method  string
		headers []string
		code    int
		reason  string
	}{
		"nobody":         {w, "GET", nil, http.StatusUnauthorized, "TOKEN_MISSING"},
		"ended session":  {w, "GET", []string{"Cookie", "gatehouse_session=ghs_ended"}, http.StatusUnauthorized, "TOKEN_MISSING"},
		"API token":      {w, "GET", []string{"Authorization", "Bearer ghp_admin"}, http.StatusForbidden, "SESSION_NEEDED"},
		"signed token":   {w, "GET", []string{"Authorization", "Bearer a.b.c"}, http.StatusForbidden, "SESSION_NEEDED"},
		"no token":       {w, "GET", []string{"Authorization", "Bearer ghs_unknown"}, http.StatusUnauthorized, "TOKEN_INVALID"},
		"another method": {w, "POST", []string{"Authorization", "Bearer ghs_admin"}, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		"another site":   {w, "POST", []string{"Origin", "https://evil.example", "Cookie", "gatehouse_session=ghs_admin"}, http.StatusForbidden, "CROSS_ORIGIN"},
		"without a bus":  {alone, "GET", []string{"Cookie", "gatehouse_session=ghs_admin"}, http.StatusNotImplemented, "LIVE_UNAVAILABLE"},
	} {
		a := tc.w.call(tc.method, "/live", "", tc.headers...)
		if reason, _ := a.reason(t); a.code != tc.code || reason != tc.reason {
			t.Errorf("%s: %d %s", name, a.code, reason)
		}
	}
}

// A user has so many streams; they are calls like others.
func TestLiveLimit(t *testing.T) {
	t.Parallel()
	w := start(t)
	for range 32 {
		told, _ := w.live("Cookie", "gatehouse_session=ghs_admin")
		next(t, told)
	}
	a := w.call("GET", "/live", "", "Cookie", "gatehouse_session=ghs_admin")
	if reason, _ := a.reason(t); a.code != http.StatusTooManyRequests || reason != "TOO_MANY_STREAMS" {
		t.Errorf("%d %s", a.code, reason)
	}
	if a := w.call("GET", "/v1/me", "", "Cookie", "gatehouse_session=ghs_admin"); a.code != http.StatusOK {
		t.Errorf("the API: %d", a.code)
	}
}
