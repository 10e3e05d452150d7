package httpapi

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is long and read is compressed, for those who take it; what may hold a secret
// never is.
func TestCompressed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`{"name":"Ada"},`, 200)
	for _, c := range []struct {
		name, method, takes, kind, body string
		small                           bool
	}{
		{"a list", "GET", "gzip", "application/json", long, true},
		{"a table", "GET", "br, gzip;q=0.5", "text/csv; charset=utf-8", long, true},
		{"by nobody's wish", "GET", "", "application/json", long, false},
		{"against the caller's wish", "GET", "gzip;q=0", "application/json", long, false},
		{"what is short", "GET", "gzip", "application/json", `{"name":"Ada"}`, false},
		{"what was made", "POST", "gzip", "application/json", long, false},
		{"what was changed", "PATCH", "gzip", "application/json", long, false},
		{"what is compressed already", "GET", "gzip", "application/pdf", long, false},
	} {
		h, err := compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, c.body)
		}))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/v1/things", nil)
		if c.takes != "" {
			r.Header.Set("Accept-Encoding", c.takes)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var body io.Reader = w.Body
		if got := w.Header().Get("Content-Encoding"); (got == "gzip") != c.small {
			t.Errorf("%s: Content-Encoding %q", c.name, got)
		} else if c.small {
			if w.Body.Len() > len(c.body)/5 {
				t.Errorf("%s: %d bytes of %d", c.name, w.Body.Len(), len(c.body))
			}
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if c.method == http.MethodGet && !strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: Vary %q", c.name, w.Header().Get("Vary"))
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != c.body || w.Code != http.StatusAccepted {
			t.Errorf("%s: %d, another body, or %v", c.name, w.Code, err)
		}
	}
}
