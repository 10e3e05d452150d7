package telemetry_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector is an OTLP trace service that remembers the names of spans.
type collector struct {
	coltrace.UnimplementedTraceServiceServer
	mu    sync.Mutex
	names []string
}

func (c *collector) Export(_ context.Context, req *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range req.GetResourceSpans() {
		service := ""
		for _, a := range r.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				c.names = append(c.names, service+": "+span.GetName())
			}
		}
	}
	return &coltrace.ExportTraceServiceResponse{}, nil
}

func TestSpansGoToTheCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{}
	server := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(server, c)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	defer serving.Wait()
	defer server.Stop()

	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
	tel, err := telemetry.New(t.Context(), "request")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tel.Tracer("test").Start(t.Context(), "approve")
	span.End()
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.names) != 1 || c.names[0] != "request: approve" {
		t.Errorf("spans %q", c.names)
	}
}

// Without a collector nothing is recorded, and trace ids are made all the same.
func TestTraceIDsWithoutCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tel, err := telemetry.New(t.Context(), "request")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Shutdown(context.Background()) }()
	ctx, span := tel.Tracer("test").Start(t.Context(), "approve")
	defer span.End()
	if !trace.SpanContextFromContext(ctx).HasTraceID() || span.IsRecording() {
		t.Errorf("span %v, recording %t", span.SpanContext(), span.IsRecording())
	}
}

func TestMetricsAreServedWithTheServicesName(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(t.Context(), "request")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Shutdown(context.Background()) }()
	things, err := tel.Meter("test").Int64Counter("gatehouse_things")
	if err != nil {
		t.Fatal(err)
	}
	things.Add(t.Context(), 3)
	rec := httptest.NewRecorder()
	tel.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`gatehouse_things_total{service="request"} 3`, `go_goroutines{service="request"}`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func TestTwoServicesInOneProcess(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"request", "approval", "request"} {
		tel, err := telemetry.New(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tel.Shutdown(context.Background()) }()
	}
	if _, err := telemetry.New(t.Context(), ""); err == nil {
		t.Error("a service without a name")
	}
}

func TestNilRecordsNothing(t *testing.T) {
	t.Parallel()
	var tel *telemetry.Telemetry
	_, span := tel.Tracer("test").Start(t.Context(), "approve")
	span.End()
	if _, err := tel.Meter("test").Int64Counter("things"); err != nil {
		t.Error(err)
	}
	if tel.Handler() == nil || tel.Gatherer() != nil || tel.Service() != "" || tel.Propagator() == nil {
		t.Error("nil is not empty")
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
