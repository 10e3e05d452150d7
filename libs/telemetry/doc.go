// Package telemetry makes the traces and metrics of one service.
//
// A service makes one [Telemetry] at its start, hands it to what it builds
// (connections, servers, consumers) and shuts it down last. Nothing is
// registered globally, so several services can live in one process and each
// keeps its own registry, tracer and name.
//
// Traces leave by OTLP/gRPC when the standard OpenTelemetry variables name an
// endpoint (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT).
// Without one no span is recorded, but trace ids are still made and still
// travel: an error's trace id finds its log lines in every service.
//
// Metrics are for Prometheus to scrape: [Telemetry.Handler] serves them, each
// with the label "service".
//
// A nil *Telemetry is valid everywhere and records nothing, so that a test
// need not make one.
package telemetry
