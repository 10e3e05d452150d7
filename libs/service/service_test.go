package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

// running is a service under test.
type running struct {
	t        *testing.T
	grpc     string
	http     string
	inner    string
	tokens   *rpctest.Tokens
	log      *buffer
	stop     context.CancelFunc
	returned chan error
}

// run runs spec on loopback ports until the test stops it or ends.
func run(t *testing.T, spec service.Spec) *running {
	t.Helper()
	r := &running{t: t, tokens: rpctest.NewTokens(t), log: &buffer{}, returned: make(chan error, 1)}
	spec.Name = "testing"
	spec.Log = slog.New(slog.NewTextHandler(r.log, nil))
	spec.Verifier = r.tokens.Verifier()
	spec.Listeners = service.Listeners{GRPC: loopback(t), HTTP: loopback(t), Inner: loopback(t), Reflection: spec.Listeners.Reflection}
	if spec.Register == nil {
		spec.Register = func(s grpc.ServiceRegistrar) {
			opsv1.RegisterParkedEventServiceServer(s, opsv1.UnimplementedParkedEventServiceServer{})
		}
	}
	r.grpc, r.http, r.inner = spec.Listeners.GRPC.Addr().String(), spec.Listeners.HTTP.Addr().String(), spec.Listeners.Inner.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.returned <- service.Run(ctx, spec)
	}()
	r.stop = stop
	t.Cleanup(func() {
		stop()
		<-done
	})
	return r
}

// wait waits for Run to return.
func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.returned:
		return err
	case <-time.After(patience):
		r.t.Fatal("Run does not return")
		return nil
	}
}

func (r *running) health() healthpb.HealthCheckResponse_ServingStatus {
	r.t.Helper()
	client := healthpb.NewHealthClient(r.tokens.Dial(r.t, r.grpc, authz.Caller{}, grpc.WithDefaultCallOptions(grpc.WaitForReady(true))))
	got, err := client.Check(r.t.Context(), &healthpb.HealthCheckRequest{Service: "gatehouse.ops.v1.ParkedEventService"})
	if err != nil {
		r.t.Fatal(err)
	}
	return got.GetStatus()
}

// get returns the status and body of an HTTP answer.
func (r *running) getFrom(addr, path string) (int, string) {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Get("http://" + addr + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func (r *running) get(path string) (int, string) { r.t.Helper(); return r.getFrom(r.http, path) }

func (r *running) getInner(path string) (int, string) { r.t.Helper(); return r.getFrom(r.inner, path) }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// untilDone is a task that ends when told to.
func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("wait: %w", ctx.Err())
}

func TestServes(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(t.Context(), "testing")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Errorf("shut down telemetry: %v", err)
		}
	})
	r := run(t, service.Spec{
		Telemetry: tel,
		HTTP: func(mux *http.ServeMux) {
			mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "own") })
		},
		Tasks: []service.Task{{Name: "worker", Run: untilDone}, {Name: "short", Run: func(context.Context) error { return nil }}},
	})
	unknown := healthpb.NewHealthClient(r.tokens.Dial(t, r.grpc, authz.Caller{}))
	if _, err := unknown.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nothing"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of what is not known: %v", err)
	}
	eventually(t, "serving", func() bool { return r.health() == healthpb.HealthCheckResponse_SERVING })

	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "{\n  \"status\": \"ready\"\n}\n", "/anything": "own"} {
		if code, body := r.get(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s = %d %q, want 200 %q", path, code, body, want)
		}
	}
	// Calls are authorized and measured.
	for who, want := range map[authz.Caller]codes.Code{
		{}: codes.Unauthenticated, rpctest.User(authzv1.Caller_CALLER_MEMBER): codes.PermissionDenied, rpctest.User(authzv1.Caller_CALLER_ADMIN): codes.Unimplemented,
	} {
		client := opsv1.NewParkedEventServiceClient(r.tokens.Dial(t, r.grpc, who))
		if _, err := client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{}); status.Code(err) != want {
			t.Errorf("%v: %v, want %v", who, err, want)
		}
	}
	if code, body := r.getInner("/metrics"); code != http.StatusOK || !strings.Contains(body, "ListParkedEvents") {
		t.Errorf("GET /metrics = %d, %d bytes, no measure of the call", code, len(body))
	}
	if _, body := r.get("/metrics"); strings.Contains(body, "ListParkedEvents") {
		t.Error("everybody sees the metrics")
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": `"name": "worker"`} {
		if code, body := r.getInner(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("the inner GET %s = %d %q, want 200 %q", path, code, body, want)
		}
	}

	r.stop()
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
	for _, addr := range []string{r.grpc, r.http} {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s is still listened on", addr)
		}
	}
}

// reflected are the services that reflection at addr lists. The stream is left open on
// the inner listener.
func (r *running) reflected(addr string) (string, error) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	if addr != r.inner {
		defer cancel()
	}
	stream, err := reflectionpb.NewServerReflectionClient(r.tokens.Dial(r.t, addr, authz.Caller{})).ServerReflectionInfo(ctx)
	if err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	// That it was refused, Recv tells.
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("send: %w", err)
	}
	res, err := stream.Recv()
	return res.String(), err //nolint:wrapcheck // the status is looked at
}

// Reflection is for those who run a service, on the inner listener, and for callers
// only if a setting says so. Health is where callers are, and there too: load balancers
// and the client's own checks ask it on the channel that calls take.
func TestReflectionIsInner(t *testing.T) {
	t.Parallel()
	for _, everywhere := range []bool{false, true} {
		r := run(t, service.Spec{Listeners: service.Listeners{Reflection: everywhere}})
		if said, err := r.reflected(r.inner); err != nil || !strings.Contains(said, "gatehouse.ops.v1.ParkedEventService") {
			t.Errorf("inner reflection: %q, %v", said, err)
		}
		said, err := r.reflected(r.grpc)
		if everywhere && (err != nil || !strings.Contains(said, "gatehouse.ops.v1.ParkedEventService")) {
			t.Errorf("reflection on the listener of calls, as set: %q, %v", said, err)
		}
		if !everywhere && status.Code(err) != codes.Unimplemented {
			t.Errorf("reflection on the listener of calls: %q, %v", said, err)
		}
		for _, addr := range []string{r.grpc, r.inner} {
			health := healthpb.NewHealthClient(r.tokens.Dial(t, addr, authz.Caller{}))
			eventually(t, "serving", func() bool {
				got, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "gatehouse.ops.v1.ParkedEventService"})
				return err == nil && got.GetStatus() == healthpb.HealthCheckResponse_SERVING
			})
			if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nothing"}); status.Code(err) != codes.NotFound {
				t.Errorf("health of what is not known: %v", err)
			}
		}
		// No call of the service is answered there.
		if _, err := opsv1.NewParkedEventServiceClient(r.tokens.Dial(t, r.inner, rpctest.User(authzv1.Caller_CALLER_ADMIN))).
			ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{}); status.Code(err) != codes.Unimplemented || !strings.Contains(status.Convert(err).Message(), "unknown service") {
			t.Errorf("a call on the inner listener: %v", err)
		}
		// An open stream of reflection holds nobody up.
		r.stop()
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

// parts are what a test says of the parts of a service.
type parts struct {
	mu   sync.Mutex
	errs map[string]error
}

func (p *parts) set(name string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[name] = err
}

func (p *parts) part(name string, needed service.Needed) service.Part {
	return service.Part{Name: name, Needed: needed, Check: func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("no deadline")
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.errs[name]
	}}
}

// readyz is what /readyz says, in one line: "503 not ready; database not
// working: it is away".
func (r *running) readyz() string {
	r.t.Helper()
	code, body := r.getInner("/readyz")
	var got struct {
		Status string
		Parts  []struct {
			Name, State, Reason string
			Since               time.Time
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		r.t.Fatalf("/readyz: %v: %s", err, body)
	}
	line := fmt.Sprint(code, " ", got.Status)
	for _, p := range got.Parts {
		if p.Since.IsZero() || time.Since(p.Since) < 0 {
			r.t.Errorf("%s is so since %s", p.Name, p.Since)
		}
		if p.State != "working" {
			line += "; " + p.Name + " " + p.State + ": " + p.Reason
		}
	}
	return line
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(t.Context(), "testing")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	internal := errors.New("dial tcp 10.1.2.3: connection refused")
	broken, mended := make(chan struct{}), make(chan struct{})
	p := &parts{errs: map[string]error{"database": service.Problem("the database does not answer", internal)}}
	r := run(t, service.Spec{
		Telemetry: tel,
		Parts: []service.Part{
			p.part("database", service.Always), p.part("directory", service.ToStart), p.part("bus", service.Optional),
		},
		Tasks: []service.Task{{Name: "worker", Run: func(ctx context.Context) error {
			<-broken
			service.Report(ctx, service.Problem("no work is done", internal))
			<-mended
			service.Report(ctx, nil)
			return untilDone(ctx)
		}}},
	})
	says := func(want string, health healthpb.HealthCheckResponse_ServingStatus, up ...string) {
		t.Helper()
		var got string
		for end := time.Now().Add(patience); ; {
			if got = r.readyz(); got == want && r.health() == health {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("/readyz: %s\nwant:    %s, health %v", got, want, health)
			}
		}
		_, metrics := r.getInner("/metrics")
		for _, m := range up {
			if !strings.Contains(metrics, "gatehouse_part_up{"+m) {
				t.Errorf("%s: no metric %s", want, m)
			}
		}
	}
	const serving, notServing = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING

	// Before it has been ready, and of a part that is needed.
	says("503 starting; database not working: the database does not answer", notServing, `part="database",service="testing"} 0`)
	if code, _ := r.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz = %d", code)
	}
	p.set("directory", service.Problem("it does not answer", nil))
	p.set("database", nil)
	says("503 starting; directory not working: it does not answer", notServing)
	p.set("directory", nil)
	says("200 ready", serving, `part="database",service="testing"} 1`, `part="worker",service="testing"} 1`)

	// What is not needed, or was only to start, or works in part.
	p.set("directory", service.Problem("it does not answer", nil))
	p.set("bus", service.Impaired("half of it is away", nil))
	says("200 degraded; directory not working: it does not answer; bus impaired: half of it is away", serving, `part="bus",service="testing"} 0`)
	p.set("directory", nil)
	p.set("bus", internal)
	says("200 degraded; bus not working: it does not work; the log of the service says why", serving)
	p.set("bus", nil)
	close(broken)
	says("200 degraded; worker not working: no work is done", serving, `part="worker",service="testing"} 0`)
	close(mended)
	says("200 ready", serving)

	// The part that is always needed, which comes back.
	p.set("database", service.Problem("the database does not answer", internal))
	says("503 not ready; database not working: the database does not answer", notServing)
	p.set("database", nil)
	says("200 ready", serving)
	if log := r.log.String(); !strings.Contains(log, "10.1.2.3") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

// A call that runs is finished before the service stops, which says so
// meanwhile.
func TestStopping(t *testing.T) {
	t.Parallel()
	busy, finish := make(chan struct{}), make(chan struct{})
	r := run(t, service.Spec{
		Register: func(s grpc.ServiceRegistrar) {
			opsv1.RegisterParkedEventServiceServer(s, listing(func(context.Context) error {
				close(busy)
				<-finish
				return nil
			}))
		},
	})
	called := make(chan error, 1)
	client := opsv1.NewParkedEventServiceClient(r.tokens.Dial(t, r.grpc, rpctest.User(authzv1.Caller_CALLER_ADMIN)))
	go func() {
		_, err := client.ListParkedEvents(context.Background(), &opsv1.ListParkedEventsRequest{}, grpc.WaitForReady(true))
		called <- err
	}()
	<-busy
	r.stop()
	eventually(t, "stopping", func() bool { return r.readyz() == "503 stopping" })
	close(finish)
	if err := <-called; err != nil {
		t.Errorf("the call that ran: %v", err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// listing is a service whose ListParkedEvents does what the test says.
func listing(f func(context.Context) error) opsv1.ParkedEventServiceServer { return parked{list: f} }

type parked struct {
	opsv1.UnimplementedParkedEventServiceServer
	list func(context.Context) error
}

func (p parked) ListParkedEvents(ctx context.Context, _ *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
	return &opsv1.ListParkedEventsResponse{}, p.list(ctx)
}

func TestFirstFailureStopsAll(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	tests := []struct {
		name string
		task func(context.Context) error
		want string
	}{
		{"error", func(context.Context) error { return fmt.Errorf("publish: %w", boom) }, "run testing: relay: publish: boom"},
		{"panic", func(context.Context) error { panic(boom) }, "run testing: relay: panic: boom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			othersEnded := make(chan struct{})
			r := run(t, service.Spec{Tasks: []service.Task{
				{Name: "relay", Run: tt.task},
				{Name: "consumer", Run: func(ctx context.Context) error {
					defer close(othersEnded)
					return untilDone(ctx)
				}},
			}})
			if err := r.wait(); err == nil || err.Error() != tt.want {
				t.Errorf("Run = %v, want %s", err, tt.want)
			}
			select {
			case <-othersEnded:
			default:
				t.Error("Run returned before its other task had ended")
			}
		})
	}
}

func TestListenerFails(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"gRPC server", "HTTP server"} {
		lis := service.Listeners{GRPC: loopback(t), HTTP: loopback(t)}
		if kind == "gRPC server" {
			lis.GRPC.Close()
		} else {
			lis.HTTP.Close()
		}
		err := service.Run(t.Context(), service.Spec{
			Name: "testing", Listeners: lis, Verifier: rpctest.NewTokens(t).Verifier(), Register: func(grpc.ServiceRegistrar) {},
		})
		if err == nil || !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: Run = %v", kind, err)
		}
	}
}

// Nothing holds up the end beyond the grace.
func TestGrace(t *testing.T) {
	t.Parallel()
	const grace = 50 * time.Millisecond
	hung := func(started chan struct{}, done <-chan struct{}) {
		close(started)
		<-done
	}
	t.Run("call", func(t *testing.T) {
		t.Parallel()
		started := make(chan struct{})
		r := run(t, service.Spec{Timeouts: service.Timeouts{Stop: grace}, Register: func(s grpc.ServiceRegistrar) {
			opsv1.RegisterParkedEventServiceServer(s, listing(func(ctx context.Context) error {
				hung(started, ctx.Done())
				return ctx.Err()
			}))
		}})
		called := make(chan error, 1)
		client := opsv1.NewParkedEventServiceClient(r.tokens.Dial(t, r.grpc, rpctest.User(authzv1.Caller_CALLER_ADMIN), grpc.WithDisableRetry()))
		go func() {
			_, err := client.ListParkedEvents(context.Background(), &opsv1.ListParkedEventsRequest{})
			called <- err
		}()
		<-started
		r.stop()
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v", err)
		}
		if err := <-called; status.Code(err) != codes.Unavailable {
			t.Errorf("the call = %v", err)
		}
	})
	t.Run("HTTP request", func(t *testing.T) {
		t.Parallel()
		started := make(chan struct{})
		r := run(t, service.Spec{Timeouts: service.Timeouts{Stop: grace}, HTTP: func(mux *http.ServeMux) {
			mux.HandleFunc("/", func(_ http.ResponseWriter, req *http.Request) { hung(started, req.Context().Done()) })
		}})
		called := make(chan error, 1)
		go func() {
			_, err := http.Get("http://" + r.http)
			called <- err
		}()
		<-started
		r.stop()
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v", err)
		}
		if err := <-called; err == nil {
			t.Error("the request was answered")
		}
	})
	t.Run("task", func(t *testing.T) {
		t.Parallel()
		started, release, released := make(chan struct{}), make(chan struct{}), make(chan struct{})
		r := run(t, service.Spec{Timeouts: service.Timeouts{Stop: grace}, Tasks: []service.Task{{Name: "deaf", Run: func(context.Context) error {
			defer close(released)
			hung(started, release)
			return nil
		}}}})
		<-started
		r.stop()
		if err := r.wait(); err == nil || err.Error() != "run testing: did not stop within 50ms: deaf" {
			t.Errorf("Run = %v", err)
		}
		close(release)
		<-released
	})
}

// What watches forever ends when the service stops, well before the grace.
func TestWatchersEnd(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	r := run(t, service.Spec{Timeouts: service.Timeouts{Stop: time.Hour}, HTTP: func(mux *http.ServeMux) {
		mux.HandleFunc("/events", func(_ http.ResponseWriter, req *http.Request) {
			close(open)
			<-service.Stopping(req.Context())
		})
	}})
	eventually(t, "serving", func() bool { return r.health() == healthpb.HealthCheckResponse_SERVING })
	watch, err := healthpb.NewHealthClient(r.tokens.Dial(t, r.grpc, authz.Caller{})).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("health is %v, %v", got, err)
	}
	events := make(chan error, 1)
	go func() {
		res, err := http.Get("http://" + r.http + "/events")
		if err == nil {
			res.Body.Close()
		}
		events <- err
	}()
	<-open
	r.stop()
	for err == nil { // it may say NOT_SERVING first
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unavailable || rpctest.Reason(err) != "SERVER_STOPPING" {
		t.Errorf("the stream ended with %v", err)
	}
	if err := <-events; err != nil {
		t.Errorf("the events ended with %v", err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if service.Stopping(t.Context()) != nil {
		t.Error("Stopping of any context")
	}
}

// A service may have HTTP alone; a gRPC listener it has no use for refuses.
func TestHTTPAlone(t *testing.T) {
	t.Parallel()
	for name, lis := range map[string]service.Listeners{
		"HTTP listener":  {HTTP: loopback(t)},
		"both listeners": {HTTP: loopback(t), GRPC: loopback(t)},
	} {
		ctx, stop := context.WithCancel(t.Context())
		returned := make(chan error, 1)
		go func() { returned <- service.Run(ctx, service.Spec{Name: "gateway", Listeners: lis}) }()
		r := &running{t: t, http: lis.HTTP.Addr().String()}
		eventually(t, "ready", func() bool { code, _ := r.get("/readyz"); return code == http.StatusOK })
		if lis.GRPC != nil {
			if c, err := net.Dial("tcp", lis.GRPC.Addr().String()); err == nil {
				c.Close()
				t.Errorf("%s: gRPC is listened on", name)
			}
		}
		stop()
		if err := <-returned; err != nil {
			t.Errorf("%s: Run = %v", name, err)
		}
	}
}

func TestRefusesToRunOpen(t *testing.T) {
	t.Parallel()
	lis := service.Listeners{GRPC: loopback(t), HTTP: loopback(t)}
	err := service.Run(t.Context(), service.Spec{Name: "testing", Listeners: lis, Register: func(grpc.ServiceRegistrar) {}})
	if err == nil || !strings.Contains(err.Error(), "verifier") {
		t.Errorf("Run without a verifier = %v", err)
	}
	if c, err := net.Dial("tcp", lis.HTTP.Addr().String()); err == nil {
		c.Close()
		t.Error("the listeners were left open")
	}
}
