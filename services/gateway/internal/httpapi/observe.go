package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/telemetry"
)

// observe continues the caller's trace, or begins one, measures how long requests
// take, and counts those that the gateway itself refuses: it has nobody's audit log. Spans and metrics name the route, never the path: ids would
// make every request a kind of its own.
func observe(t *telemetry.Telemetry, rs routes, next http.Handler) (http.Handler, error) {
	const pkg = "gatehouse.dev/services/gateway"
	tracer := t.Tracer(pkg)
	took, err := t.Meter(pkg).Float64Histogram("http.server.request.duration",
		metric.WithUnit("s"), metric.WithDescription("Time to answer a request."),
		metric.WithExplicitBucketBoundaries(telemetry.LatencyBuckets()...))
	if err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	refused, err := t.Meter(pkg).Int64Counter("gatehouse_requests_refused",
		metric.WithDescription("Requests that the gateway itself refused, by reason: too many of a caller, of an unknown host, made by another site, with a credential that is not good."))
	if err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		route, method := rs.routeOf(r), r.Method
		switch method {
		case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		default: // whatever a client makes up
			method = "_OTHER"
		}
		ctx := t.Propagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer))
		answer := &recorder{ResponseWriter: w, code: http.StatusOK, refused: refused}
		defer func() {
			attrs := []attribute.KeyValue{
				attribute.String("http.request.method", method),
				attribute.String("http.route", route),
				attribute.Int("http.response.status_code", answer.code),
			}
			took.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(attrs...))
			span.SetAttributes(attrs...)
			if answer.code >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
			span.End()
		}()
		next.ServeHTTP(answer, r.WithContext(ctx))
	}), nil
}

// routeOf is the route that a request is for, of a bounded number.
func (rs routes) routeOf(r *http.Request) string {
	p := r.URL.Path
	switch {
	case strings.HasPrefix(p, "/v1/"):
		at := rs.at(r.URL.EscapedPath())
		for _, rt := range at {
			if rt.method == r.Method {
				return rt.path
			}
		}
		if len(at) > 0 {
			return at[0].path
		}
		return "/v1/"
	case strings.HasPrefix(p, "/scim/v2/"):
		for _, kind := range []string{"Users", "Groups", "Bulk", "Schemas", "ResourceTypes", "ServiceProviderConfig"} {
			if rest, ok := strings.CutPrefix(p, "/scim/v2/"+kind); ok && (rest == "" || rest[0] == '/') {
				return "/scim/v2/" + kind
			}
		}
		return "/scim/v2/"
	case p == "/oauth2/token", p == "/.well-known/jwks.json", p == "/sign-in", p == "/sign-out", p == livePath:
		return p
	}
	return "/"
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	code    int
	wrote   bool
	refused metric.Int64Counter
}

// countRefused counts a request that the gateway itself refuses.
func countRefused(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := apierr.From(err)
	for ok && w != nil {
		switch inner := w.(type) {
		case *recorder:
			inner.refused.Add(r.Context(), 1, metric.WithAttributes(attribute.String("reason", e.Reason)))
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return
		}
	}
}

// WriteHeader notes the first final status.
func (r *recorder) WriteHeader(code int) {
	if !r.wrote && code >= http.StatusOK {
		r.code, r.wrote = code, true
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write notes that the answer has begun.
func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

// Unwrap gives http.ResponseController what lies below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
