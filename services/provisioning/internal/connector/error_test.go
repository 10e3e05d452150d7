package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

func TestErrorMessageIsOneBoundedLine(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "the app is away", "the app is away"},
		{"lines", "first\r\nsecond\x00\tthird", "first second third"},
		{"not UTF-8", "a\xffb", "a?b"},
		{"long", strings.Repeat("é", MaxMessage), strings.Repeat("é", (MaxMessage-3)/2) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := NewError(Permanent, nil, "%s", tt.in).Error()
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(got) > MaxMessage || !utf8.ValidString(got) {
				t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("add: %w", &Error{Kind: NotFound, RetryAfter: time.Second})
	switch {
	case KindOf(nil) != 0:
		t.Error("nil has a kind")
	case KindOf(errors.New("x")) != Retryable:
		t.Error("an unknown error is given up")
	case KindOf(wrapped) != NotFound, RetryAfter(wrapped) != time.Second:
		t.Error("a wrapped error is not seen")
	}
}

func TestHTTPKind(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]Kind{
		200: 0, 201: 0, 204: 0,
		301: Permanent, 400: Permanent, 401: Unauthorized, 403: Permanent, 404: Permanent, 405: Permanent, 409: Conflict,
		408: Retryable, 425: Retryable, 429: Retryable,
		500: Retryable, 502: Retryable, 503: Retryable, 504: Retryable, 599: Retryable,
		501: Permanent, 505: Permanent,
	} {
		if got := HTTPKind(status); got != want {
			t.Errorf("%d: got %v, want %v", status, got, want)
		}
	}
}

// B-PRV-04
func TestHTTPRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		name, retryAfter, date string
		want                   time.Duration
	}{
		{"none", "", "", 0},
		{"seconds", "30", "", 30 * time.Second},
		{"spaces", " 30 ", "", 30 * time.Second},
		{"zero", "0", "", 0},
		{"too long", "86400", "", MaxRetryAfter},
		{"far too long", "99999999999999999999", "", MaxRetryAfter},
		{"negative", "-5", "", 0},
		{"date", at(90 * time.Second), "", 90 * time.Second},
		{"date by the app's clock", at(90 * time.Second), at(60 * time.Second), 30 * time.Second},
		{"date gone by", at(-time.Minute), "", 0},
		{"date far away", at(48 * time.Hour), "", MaxRetryAfter},
		{"nonsense", "soon", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Retry-After": {tt.retryAfter}}
			if tt.date != "" {
				h.Set("Date", tt.date)
			}
			if got := HTTPRetryAfter(h, now); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	secretURL := "https://app.test/Users?filter=userName%20eq%20%22jo%22"
	in := func(err error) error { return &url.Error{Op: "Get", URL: secretURL, Err: err} }
	tests := []struct {
		name string
		err  error
		want Kind
		text string
	}{
		{"deadline", in(context.DeadlineExceeded), Retryable, "in time"},
		{"cancelled", in(context.Canceled), Retryable, "stopped"},
		{"refused", in(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), Retryable, "refuses"},
		{"no such host", in(&net.DNSError{IsNotFound: true}), Retryable, "host name"},
		{"slow name server", in(&net.DNSError{IsTimeout: true}), Retryable, "in time"},
		{"unknown authority", in(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), Permanent, "not trusted"},
		{"other host", in(&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}}), Permanent, "another host"},
		{"expired", in(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}), Permanent, "expired"},
		{"reset", in(syscall.ECONNRESET), Retryable, "broke"},
		{"its own", fmt.Errorf("x: %w", NewError(Conflict, nil, "known")), Conflict, "known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Unreachable("look", tt.err)
			if got.Kind != tt.want || !strings.Contains(got.Message, tt.text) {
				t.Errorf("got %v %q, want %v with %q", got.Kind, got.Message, tt.want, tt.text)
			}
			if strings.Contains(got.Message, "filter") {
				t.Errorf("the address is in the message: %q", got.Message)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := Report{Checks: []Check{{Name: "reach", OK: true}, {Name: "groups", Optional: true, Detail: "none"}}}
	if !r.OK() {
		t.Error("an optional check made it fail")
	}
	if want := "works: reach\ndoes without: groups (none)\n"; r.String() != want {
		t.Errorf("got %q, want %q", r, want)
	}
	r.Checks = append(r.Checks, Check{Name: "patch"})
	if r.OK() || (Report{}).OK() {
		t.Error("what is missing was not noticed")
	}
}
