package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/telemetry"
)

// limited is the error of a call too many, with the headers that say so.
type limited struct {
	error
	left http.Header
	// inside: identity-sync has refused it, for the limits of an organization.
	inside bool
}

// newIdentityProxy passes on what identity-sync serves over HTTP itself: SCIM,
// the token endpoint and its keys. Tokens there are verified there; attempts counts
// those of SCIM that were not good, by address.
func newIdentityProxy(addr string, client *tls.Config, attempts *ratelimit.Meter, t *telemetry.Telemetry, log *slog.Logger) *httputil.ReverseProxy {
	scheme := "http"
	if client != nil {
		scheme, client = "https", client.Clone()
		client.ServerName = "identity-sync" // wherever it is found
	}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme = scheme
			p.Out.URL.Host = addr
			seen := outsideOf(p.In)
			if seen.address.IsValid() {
				p.Out.Header.Set("X-Forwarded-For", seen.address.String())
			}
			// What SCIM's locations are made of.
			p.Out.Header.Set("X-Forwarded-Proto", seen.scheme)
			p.Out.Header.Set("X-Forwarded-Host", seen.host)
			p.Out.Header.Del("Cookie") // the browser's session is not for SCIM
			t.Propagator().Inject(p.In.Context(), propagation.HeaderCarrier(p.Out.Header))
		},
		ModifyResponse: func(r *http.Response) error {
			for k := range standing { // the gateway has set them
				r.Header.Del(k)
			}
			if r.StatusCode == http.StatusTooManyRequests {
				wait, _ := strconv.Atoi(r.Header.Get("Retry-After"))
				err := apierr.New(codes.ResourceExhausted, ratelimit.Reason, "too many calls; please wait").WithRetry(time.Duration(max(wait, 1)) * time.Second)
				left := http.Header{}
				ratelimit.CopyHeader(left, r.Header)
				_ = r.Body.Close()
				return limited{err, left, true}
			}
			if r.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(r.Request.URL.Path, "/scim/") {
				return nil
			}
			left := http.Header{}
			if err := take(attempts, left, addressOf(r.Request)); err != nil {
				return limited{err, left, false}
			}
			return nil
		},
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:       client,
			MaxIdleConnsPerHost:   64,
			IdleConnTimeout:       90 * time.Second,
			ResponseHeaderTimeout: 60 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var no limited
			if errors.As(err, &no) {
				maps.Copy(w.Header(), no.left)
				if no.inside {
					tooMany(w, r, no.error)
				} else {
					refuse(w, r, no.error)
				}
				return
			}
			if !errors.Is(err, context.Canceled) { // the caller went away
				log.WarnContext(r.Context(), "Identity-sync does not answer", "error", err, "trace_id", traceID(r.Context()))
			}
			kind, body := "application/json", `{"error":"temporarily_unavailable"}`
			if strings.HasPrefix(r.URL.Path, "/scim/") {
				kind = "application/scim+json"
				body = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"503","detail":"temporarily unavailable, please try again"}`
			}
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(body))
		},
	}
}
