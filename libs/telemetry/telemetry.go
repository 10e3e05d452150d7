package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
)

// Telemetry holds the providers of one service. Its methods may be called by
// any number of goroutines.
type Telemetry struct {
	service  string
	traces   *sdktrace.TracerProvider
	metrics  *sdkmetric.MeterProvider
	registry *prometheus.Registry
}

// New makes the telemetry of the named service. It dials nothing: a collector
// that is away loses spans, never delays or stops the service. Extra span
// processors are for tests that look at spans.
func New(ctx context.Context, service string, processors ...sdktrace.SpanProcessor) (*Telemetry, error) {
	if service == "" {
		return nil, errors.New("telemetry needs a service name")
	}
	res, err := resource.New(ctx,
		resource.WithFromEnv(),
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", service)))
	if err != nil {
		return nil, fmt.Errorf("describe service %s for telemetry: %w", service, err)
	}
	traces, err := newTraces(ctx, res, processors)
	if err != nil {
		return nil, err
	}

	registry := prometheus.NewRegistry()
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"service": service}, registry)
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := labelled.Register(c); err != nil {
			return nil, fmt.Errorf("register runtime metrics: %w", err)
		}
	}
	exporter, err := promexporter.New(promexporter.WithRegisterer(labelled), promexporter.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("make the Prometheus exporter: %w", err)
	}
	return &Telemetry{
		service:  service,
		traces:   traces,
		metrics:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(res)),
		registry: registry,
	}, nil
}

func newTraces(ctx context.Context, res *resource.Resource, processors []sdktrace.SpanProcessor) (*sdktrace.TracerProvider, error) {
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	for _, p := range processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	switch {
	case os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "":
		exporter, err := otlptracegrpc.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("make the OTLP trace exporter: %w", err)
		}
		opts = append(opts, sdktrace.WithBatcher(exporter))
	case len(processors) == 0:
		// Nobody would see the spans; a sampler that never records still
		// makes and passes on trace ids, at a fraction of the cost.
		opts = append(opts, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	return sdktrace.NewTracerProvider(opts...), nil
}

// Service is the name given to [New]; empty for a nil Telemetry.
func (t *Telemetry) Service() string {
	if t == nil {
		return ""
	}
	return t.service
}

// TracerProvider makes tracers for this service's spans.
func (t *Telemetry) TracerProvider() trace.TracerProvider {
	if t == nil {
		return nooptrace.NewTracerProvider()
	}
	return t.traces
}

// Tracer is a tracer for the package of the given import path.
func (t *Telemetry) Tracer(pkg string) trace.Tracer {
	return t.TracerProvider().Tracer(pkg)
}

// MeterProvider makes meters for this service's metrics.
func (t *Telemetry) MeterProvider() metric.MeterProvider {
	if t == nil {
		return noopmetric.NewMeterProvider()
	}
	return t.metrics
}

// Meter is a meter for the package of the given import path.
func (t *Telemetry) Meter(pkg string) metric.Meter {
	return t.MeterProvider().Meter(pkg)
}

// Propagator carries trace context between services in W3C headers
// (traceparent, tracestate, baggage).
func (t *Telemetry) Propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

// Traceparent is the trace of ctx in W3C form, or empty.
func Traceparent(ctx context.Context) string {
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return c.Get("traceparent")
}

// WithTraceparent is ctx within a trace in W3C form, or ctx itself without one.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// TraceID is the id of a trace in W3C form, for a log line, or empty.
func TraceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}

// Gatherer gives the metrics to whoever serves those of several services on
// one page; nil for a nil Telemetry.
func (t *Telemetry) Gatherer() prometheus.Gatherer {
	if t == nil {
		return nil
	}
	return t.registry
}

// Registerer takes Prometheus collectors that do not come from OpenTelemetry.
func (t *Telemetry) Registerer() prometheus.Registerer {
	if t == nil {
		return prometheus.NewRegistry()
	}
	return prometheus.WrapRegistererWith(prometheus.Labels{"service": t.service}, t.registry)
}

// Handler serves the metrics in Prometheus' format, for /metrics.
func (t *Telemetry) Handler() http.Handler {
	if t == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Shutdown sends what is still held back and releases everything, within the
// bound of ctx. Call it once, after the last span has ended.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := errors.Join(t.traces.Shutdown(ctx), t.metrics.Shutdown(ctx)); err != nil {
		return fmt.Errorf("shut down telemetry of %s: %w", t.service, err)
	}
	return nil
}

// LatencyBuckets are histogram boundaries, in seconds, for the times that
// people and service levels care about here: 1 ms to a minute, finest between
// 1 and 100 ms.
func LatencyBuckets() []float64 {
	return []float64{.001, .002, .005, .01, .015, .02, .03, .05, .075, .1, .2, .5, 1, 2, 5, 10, 30, 60}
}
