package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/telemetry"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// parked is a service whose two methods, one that only reads and one that does
// not, do what the test says.
type parked struct {
	opsv1.UnimplementedParkedEventServiceServer
	list   func(context.Context, *opsv1.ListParkedEventsRequest) error
	replay func(context.Context) error
}

func (p parked) ListParkedEvents(ctx context.Context, req *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
	return &opsv1.ListParkedEventsResponse{}, p.list(ctx, req)
}

func (p parked) ReplayParkedEvent(ctx context.Context, _ *opsv1.ReplayParkedEventRequest) (*opsv1.ReplayParkedEventResponse, error) {
	return &opsv1.ReplayParkedEventResponse{}, p.replay(ctx)
}

func (p parked) register(s grpc.ServiceRegistrar) { opsv1.RegisterParkedEventServiceServer(s, p) }

// listing serves a ListParkedEvents that does what f says, and returns its client.
func listing(t testing.TB, f func(context.Context) error, change ...func(*rpc.ServerConfig)) opsv1.ParkedEventServiceClient {
	t.Helper()
	p := parked{list: func(ctx context.Context, _ *opsv1.ListParkedEventsRequest) error { return f(ctx) }}
	srv := rpctest.NewServer(t, p.register, change...)
	return opsv1.NewParkedEventServiceClient(rpctest.Conn(t, srv, admin, grpc.WithDisableRetry()))
}

var (
	admin      = rpctest.User(authzv1.Caller_CALLER_ADMIN)
	listParked = &opsv1.ListParkedEventsRequest{}
)

// logs collects log lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logs) lines(t testing.TB) (lines []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, m)
	}
	return lines
}

func newTelemetry(t testing.TB) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.New(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Errorf("shut down telemetry: %v", err)
		}
	})
	return tel
}

func info(err error) *errdetails.ErrorInfo {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*errdetails.ErrorInfo); ok {
			return d
		}
	}
	return &errdetails.ErrorInfo{}
}

// What leaves the service, and the one line that is logged.
func TestErrors(t *testing.T) {
	t.Parallel()
	const secret = "pq: relation grants of alice@corp.example"
	leak := errors.New(secret)
	tests := []struct {
		name   string
		err    error
		code   codes.Code
		reason string
		level  string // "" = no line
		logged bool   // the cause is in the line
	}{
		{"none", nil, codes.OK, "", "", false},
		{"unknown", leak, codes.Internal, "INTERNAL", "ERROR", true},
		{"another service's status", status.Error(codes.NotFound, secret), codes.Internal, "INTERNAL", "ERROR", true},
		{"wrapped unimplemented", fmt.Errorf("call: %w", status.Error(codes.Unimplemented, secret)), codes.Internal, "INTERNAL", "ERROR", true},
		{"not found", fmt.Errorf("load: %w", apierr.NotFound("GRANT_NOT_FOUND", "no such grant").Wrap(leak)), codes.NotFound, "GRANT_NOT_FOUND", "INFO", false},
		{"unavailable", apierr.Unavailable("DATABASE_UNAVAILABLE", leak), codes.Unavailable, "DATABASE_UNAVAILABLE", "WARN", true},
		{"canceled", fmt.Errorf("%s: %w", secret, context.Canceled), codes.Canceled, "CANCELED", "DEBUG", false},
		{"deadline", fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "WARN", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log logs
			client := listing(t, func(context.Context) error { return tt.err }, func(c *rpc.ServerConfig) {
				c.Log, c.Telemetry = log.logger(), newTelemetry(t)
			})
			_, err := client.ListParkedEvents(t.Context(), listParked)
			if status.Code(err) != tt.code || rpctest.Reason(err) != tt.reason {
				t.Fatalf("code %v reason %q: %v, want %v %s", status.Code(err), rpctest.Reason(err), err, tt.code, tt.reason)
			}
			if st := status.Convert(err); strings.Contains(fmt.Sprint(st.Proto()), "alice") {
				t.Errorf("the answer leaks: %v", st.Proto())
			}
			lines := log.lines(t)
			if tt.level == "" {
				if len(lines) != 0 {
					t.Errorf("logged %v", lines)
				}
				return
			}
			if len(lines) != 1 {
				t.Fatalf("%d lines, want 1: %v", len(lines), lines)
			}
			line := lines[0]
			if line["level"] != tt.level || line["msg"] != "Call failed" || line["method"] != opsv1.ParkedEventService_ListParkedEvents_FullMethodName || line["code"] != tt.code.String() || line["duration_ms"] == nil {
				t.Errorf("logged %v", line)
			}
			if logged := strings.Contains(fmt.Sprint(line), "alice"); logged != tt.logged {
				t.Errorf("cause logged = %v, want %v: %v", logged, tt.logged, line)
			}
			traceID := info(err).GetMetadata()["trace_id"]
			if len(fmt.Sprint(line["trace_id"])) != 32 {
				t.Errorf("no trace id in %v", line)
			}
			if serverFault := tt.level == "ERROR" || tt.level == "WARN"; serverFault && traceID != line["trace_id"] {
				t.Errorf("trace id %q in the answer, %q in the log", traceID, line["trace_id"])
			}
		})
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	var log logs
	panics := true
	client := listing(t, func(context.Context) error {
		if panics {
			panic("index out of range of alice@corp.example")
		}
		return nil
	}, func(c *rpc.ServerConfig) { c.Log = log.logger() })

	_, err := client.ListParkedEvents(t.Context(), listParked)
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "alice") {
		t.Errorf("a panic became %v", err)
	}
	lines := log.lines(t)
	if len(lines) != 2 || !strings.Contains(fmt.Sprint(lines[0]["stack"]), "rpc_test.go") {
		t.Errorf("the stack is not logged: %v", lines)
	}
	panics = false
	if _, err := client.ListParkedEvents(t.Context(), listParked); err != nil {
		t.Errorf("the call after a panic: %v", err)
	}
}

func TestNotImplemented(t *testing.T) {
	t.Parallel()
	srv := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) {
		opsv1.RegisterParkedEventServiceServer(s, opsv1.UnimplementedParkedEventServiceServer{})
	})
	client := opsv1.NewParkedEventServiceClient(rpctest.Conn(t, srv, admin))
	if _, err := client.ListParkedEvents(t.Context(), listParked); status.Code(err) != codes.Unimplemented || rpctest.Reason(err) != "NOT_IMPLEMENTED" {
		t.Errorf("err = %v", err)
	}
}

// serve serves on a loopback port, until the test ends.
func serve(t testing.TB, cfg rpc.ServerConfig, register func(grpc.ServiceRegistrar)) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := rpc.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	register(srv)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(lis); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		srv.Stop()
		wg.Wait()
	})
	return lis.Addr().String()
}

// timely tells left how long the handler had, in nanoseconds, and waits for its
// end. The caller may not wait so long.
func timely(left *atomic.Int64) parked {
	return parked{list: func(ctx context.Context, _ *opsv1.ListParkedEventsRequest) error {
		end, ok := ctx.Deadline()
		if !ok {
			return errors.New("no deadline")
		}
		left.Store(int64(time.Until(end)))
		<-ctx.Done()
		return errors.New("driver gave up")
	}}
}

func TestServerDeadline(t *testing.T) {
	t.Parallel()
	var left atomic.Int64
	tokens := rpctest.NewTokens(t)
	addr := serve(t, rpc.ServerConfig{Verifier: tokens.Verifier(), Deadline: 50 * time.Millisecond}, timely(&left).register)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := opsv1.NewParkedEventServiceClient(conn)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+tokens.Mint(admin))
	if _, err := client.ListParkedEvents(ctx, listParked); status.Code(err) != codes.DeadlineExceeded || rpctest.Reason(err) != "DEADLINE_EXCEEDED" {
		t.Errorf("a call without a deadline: %v", err)
	}
	if had := time.Duration(left.Load()); had <= 0 || had > 50*time.Millisecond {
		t.Errorf("a call without a deadline had %v, want 50ms", had)
	}
	ctx, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
	defer cancel()
	if _, err := client.ListParkedEvents(ctx, listParked); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a call with a deadline: %v", err)
	}
	if had := time.Duration(left.Load()); had <= 50*time.Millisecond {
		t.Errorf("the caller's own deadline was cut to %v", had)
	}
}

func TestClientDeadline(t *testing.T) {
	t.Parallel()
	var left atomic.Int64
	tokens := rpctest.NewTokens(t)
	addr := serve(t, rpc.ServerConfig{Verifier: tokens.Verifier()}, timely(&left).register)
	conn, err := rpc.Dial(addr, rpc.DialConfig{Deadline: 50 * time.Millisecond, Token: func(context.Context) (string, error) { return tokens.Mint(admin), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := opsv1.NewParkedEventServiceClient(conn).ListParkedEvents(t.Context(), listParked); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("err = %v", err)
	}
}

func TestMessageTooLarge(t *testing.T) {
	t.Parallel()
	client := listing(t, func(context.Context) error { return nil })
	_, err := client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{Service: strings.Repeat("x", rpc.MaxMessage)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("4 MiB and a little: %v", err)
	}
	// One that is just under the limit arrives, and is then refused by its rules.
	_, err = client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{Service: strings.Repeat("x", rpc.MaxMessage-100)})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a little under 4 MiB: %v", err)
	}
}

func TestValidation(t *testing.T) {
	t.Parallel()
	called := false
	srv := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) {
		parked{list: func(context.Context, *opsv1.ListParkedEventsRequest) error { called = true; return nil }}.register(s)
		requestv1.RegisterRequestServiceServer(s, requestv1.UnimplementedRequestServiceServer{})
	})
	conn := rpctest.Conn(t, srv, admin)

	_, err := requestv1.NewRequestServiceClient(conn).CreateRequest(t.Context(), &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, BeneficiaryId: "me", EntitlementIds: []string{id.New().String(), "x"},
	})
	if status.Code(err) != codes.InvalidArgument || rpctest.Reason(err) != "INVALID_ARGUMENT" {
		t.Fatalf("err = %v", err)
	}
	if d := cmp.Diff([]string{"beneficiary_id", "entitlement_ids[1]"}, rpctest.Fields(err)); d != "" {
		t.Error(d)
	}
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			v := bad.GetFieldViolations()[0]
			if v.GetReason() != "STRING_UUID" || v.GetDescription() == "" {
				t.Errorf("violation %v", v)
			}
		}
	}
	if want := "the request is not valid: beneficiary_id: "; !strings.HasPrefix(status.Convert(err).Message(), want) {
		t.Errorf("message %q, want %q…", status.Convert(err).Message(), want)
	}

	_, err = opsv1.NewParkedEventServiceClient(conn).ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{PageSize: -1})
	if d := cmp.Diff([]string{"page_size"}, rpctest.Fields(err)); d != "" || called {
		t.Errorf("%s; handler called: %v", d, called)
	}

	// Fields are not told to those who may not call.
	for who, want := range map[authz.Caller]codes.Code{
		{}: codes.Unauthenticated,
		rpctest.User(authzv1.Caller_CALLER_MEMBER): codes.PermissionDenied,
	} {
		_, err := opsv1.NewParkedEventServiceClient(rpctest.Conn(t, srv, who)).ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{PageSize: -1})
		if status.Code(err) != want || len(rpctest.Fields(err)) > 0 {
			t.Errorf("%v: %v %v", who, err, rpctest.Fields(err))
		}
	}
}

// A caller's trace goes with the calls made on their behalf, and their token does
// not.
func TestTraceTravels(t *testing.T) {
	t.Parallel()
	tokens := rpctest.NewTokens(t)
	type seen struct {
		caller string
		trace  trace.TraceID
	}
	see := func(ctx context.Context) seen {
		c, _ := authz.From(ctx)
		return seen{c.Subject, trace.SpanContextFromContext(ctx).TraceID()}
	}
	other := rpctest.User(authzv1.Caller_CALLER_ADMIN) // in a service's place
	var first, second seen
	cfg := rpc.ServerConfig{Verifier: tokens.Verifier(), Telemetry: newTelemetry(t)}
	inner := serve(t, cfg, parked{replay: func(ctx context.Context) error { second = see(ctx); return nil }}.register)
	conn, err := rpc.Dial(inner, rpc.DialConfig{
		Telemetry: newTelemetry(t), Token: func(context.Context) (string, error) { return tokens.Mint(other), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	outer := serve(t, cfg, parked{replay: func(ctx context.Context) error {
		first = see(ctx)
		_, err := opsv1.NewParkedEventServiceClient(conn).ReplayParkedEvent(ctx, &opsv1.ReplayParkedEventRequest{Service: "x", EventId: id.New().String()})
		return apierr.FromCall(err)
	}}.register)

	client := opsv1.NewParkedEventServiceClient(tokens.Dial(t, outer, admin))
	if _, err := client.ReplayParkedEvent(t.Context(), &opsv1.ReplayParkedEventRequest{Service: "x", EventId: id.New().String()}); err != nil {
		t.Fatal(err)
	}
	if first.caller != admin.Subject || second.caller != other.Subject || first.trace != second.trace || !first.trace.IsValid() {
		t.Errorf("the first service saw %v, the second %v", first, second)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	var lists, replays atomic.Int32
	fail := func(n *atomic.Int32, times int32) error {
		if n.Add(1) <= times {
			return apierr.Unavailable("DATABASE_UNAVAILABLE", nil)
		}
		return nil
	}
	srv := rpctest.NewServer(t, parked{
		list:   func(context.Context, *opsv1.ListParkedEventsRequest) error { return fail(&lists, 2) },
		replay: func(context.Context) error { return fail(&replays, 1) },
	}.register)
	client := opsv1.NewParkedEventServiceClient(rpctest.Conn(t, srv, admin))
	if _, err := client.ListParkedEvents(t.Context(), listParked); err != nil || lists.Load() != 3 {
		t.Errorf("a call that only reads: %v after %d tries, want 3", err, lists.Load())
	}
	if _, err := client.ReplayParkedEvent(t.Context(), &opsv1.ReplayParkedEventRequest{Service: "x", EventId: id.New().String()}); status.Code(err) != codes.Unavailable || replays.Load() != 1 {
		t.Errorf("a call that changes something: %v after %d tries, want 1", err, replays.Load())
	}
	lists.Store(-100)
	if _, err := client.ListParkedEvents(t.Context(), listParked); status.Code(err) != codes.Unavailable || rpctest.Reason(err) != "DATABASE_UNAVAILABLE" || lists.Load() != -96 {
		t.Errorf("away for long: %v after %d tries, want 4", err, lists.Load()+100)
	} else if said := status.Convert(err).Message(); said != "temporarily unavailable, please try again" {
		t.Errorf("away for long: callers read %q", said)
	}
}

// echo is a stream in both directions that anyone may call.
const echo = "/gatehouse.echo.v1.EchoService/Echo"

func echoFiles(t testing.TB) *protoregistry.Files {
	t.Helper()
	opts := &descriptorpb.MethodOptions{}
	proto.SetExtension(opts, authzv1.E_Access, &authzv1.Access{Allow: []authzv1.Caller{authzv1.Caller_CALLER_PUBLIC}})
	req := "." + string(listParked.ProtoReflect().Descriptor().FullName())
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("gatehouse/echo/v1/echo_service.proto"), Package: proto.String("gatehouse.echo.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{opsv1.File_gatehouse_ops_v1_parked_event_service_proto.Path()},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("EchoService"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("Echo"), InputType: &req, OutputType: &req, ClientStreaming: proto.Bool(true), ServerStreaming: proto.Bool(true), Options: opts,
		}}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	if err := files.RegisterFile(fd); err != nil {
		t.Fatal(err)
	}
	return files
}

// streaming serves echo with the handler and opens a stream on it.
func streaming(t testing.TB, handler func(grpc.ServerStream) error, change ...func(*rpc.ServerConfig)) grpc.ClientStream {
	t.Helper()
	desc := grpc.StreamDesc{StreamName: "Echo", ClientStreams: true, ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error { return handler(s) }}
	srv := rpctest.NewServer(t, func(s grpc.ServiceRegistrar) {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: "gatehouse.echo.v1.EchoService", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{desc}}, struct{}{})
	}, append([]func(*rpc.ServerConfig){func(c *rpc.ServerConfig) { c.Files = echoFiles(t) }}, change...)...)
	stream, err := rpctest.Conn(t, srv, authz.Caller{}).NewStream(t.Context(), &desc, echo)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// back sends every message back.
func back(s grpc.ServerStream) error {
	for {
		m := &opsv1.ListParkedEventsRequest{}
		if err := s.RecvMsg(m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err := s.SendMsg(m); err != nil {
			return err
		}
	}
}

func send(t *testing.T, s grpc.ClientStream, m *opsv1.ListParkedEventsRequest) error {
	t.Helper()
	if err := s.SendMsg(m); err != nil && !errors.Is(err, io.EOF) { // EOF: RecvMsg knows why
		t.Fatal(err)
	}
	return s.RecvMsg(&opsv1.ListParkedEventsRequest{})
}

func TestStream(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler func(grpc.ServerStream) error
		message *opsv1.ListParkedEventsRequest
		code    codes.Code
		reason  string
		fields  []string
	}{
		{"every message is checked", back, &opsv1.ListParkedEventsRequest{PageSize: -1}, codes.InvalidArgument, "INVALID_ARGUMENT", []string{"page_size"}},
		{"too large", back, &opsv1.ListParkedEventsRequest{Service: strings.Repeat("x", 5<<20)}, codes.ResourceExhausted, "", nil},
		{"panic", func(s grpc.ServerStream) error { _ = back(oneMessage{s}); panic("secret") }, listParked, codes.Internal, "INTERNAL", nil},
		{"unknown error", func(s grpc.ServerStream) error { _ = back(oneMessage{s}); return errors.New("secret") }, listParked, codes.Internal, "INTERNAL", nil},
		{"apierr", func(s grpc.ServerStream) error {
			_ = back(oneMessage{s})
			return fmt.Errorf("secret: %w", apierr.Precondition("CURSOR_TOO_OLD", "the cursor is too old"))
		}, listParked, codes.FailedPrecondition, "CURSOR_TOO_OLD", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log logs
			s := streaming(t, tt.handler, func(c *rpc.ServerConfig) { c.Log = log.logger() })
			if err := send(t, s, listParked); err != nil {
				t.Fatalf("a good message: %v", err)
			}
			err := send(t, s, tt.message)
			if status.Code(err) != tt.code || rpctest.Reason(err) != tt.reason || strings.Contains(err.Error(), "secret") {
				t.Errorf("err = %v, want %v %s", err, tt.code, tt.reason)
			}
			if d := cmp.Diff(tt.fields, rpctest.Fields(err)); d != "" {
				t.Error(d)
			}
			// gRPC answers a message that is too large before the handler ends.
			logged := func() bool {
				lines := log.lines(t)
				n := len(lines)
				return n > 0 && lines[n-1]["method"] == echo && lines[n-1]["code"] == tt.code.String()
			}
			for end := time.Now().Add(5 * time.Second); !logged(); runtime.Gosched() {
				if time.Now().After(end) {
					t.Fatalf("logged %v", log.lines(t))
				}
			}
		})
	}
}

// oneMessage ends after one message.
type oneMessage struct{ grpc.ServerStream }

func (s oneMessage) SendMsg(m any) error {
	if err := s.ServerStream.SendMsg(m); err != nil {
		return err
	}
	return io.EOF
}

func TestStreamsEndWhenServerStops(t *testing.T) {
	t.Parallel()
	stopping, stop := context.WithCancel(context.Background())
	s := streaming(t, func(s grpc.ServerStream) error {
		if err := s.SendMsg(listParked); err != nil {
			return err
		}
		<-s.Context().Done() // watching
		return s.Context().Err()
	}, func(c *rpc.ServerConfig) { c.Stopping = stopping })
	if err := s.RecvMsg(&opsv1.ListParkedEventsRequest{}); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := s.RecvMsg(&opsv1.ListParkedEventsRequest{}); status.Code(err) != codes.Unavailable || rpctest.Reason(err) != "SERVER_STOPPING" {
		t.Errorf("err = %v", err)
	}
}

func TestMakesNoSense(t *testing.T) {
	t.Parallel()
	if _, err := rpc.NewServer(rpc.ServerConfig{}); err == nil {
		t.Error("a server without a verifier")
	}
	if conn, err := rpc.Dial("dns:///%zz", rpc.DialConfig{}); err == nil {
		conn.Close()
		t.Error("an address that is none")
	}
}

// Addresses in a list are all called, and one that does not answer is left out.
func TestAddressList(t *testing.T) {
	t.Parallel()
	tokens := rpctest.NewTokens(t)
	var calls [2]atomic.Int32
	var addrs []string
	for i := range calls {
		addrs = append(addrs, serve(t, rpc.ServerConfig{Verifier: tokens.Verifier()}, parked{list: func(context.Context, *opsv1.ListParkedEventsRequest) error {
			calls[i].Add(1)
			return nil
		}}.register))
	}
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := away.Addr().String()
	away.Close()
	conn, err := rpc.Dial("ipv4:"+strings.Join(append(addrs, gone), ","), rpc.DialConfig{Token: func(context.Context) (string, error) {
		return tokens.Mint(rpctest.User(authzv1.Caller_CALLER_ADMIN)), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := opsv1.NewParkedEventServiceClient(conn)
	for n := 0; n < 10_000 && (calls[0].Load() == 0 || calls[1].Load() == 0); n++ {
		if _, err := client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if calls[0].Load() == 0 || calls[1].Load() == 0 {
		t.Errorf("calls: %d, %d", calls[0].Load(), calls[1].Load())
	}
	for _, bad := range []string{"ipv4:127.0.0.1", "ipv4:request:9090", "ipv4:127.0.0.1:9090,", "127.0.0.1:9090,127.0.0.1:9091", "request", "https://request:9090"} {
		if conn, err := rpc.Dial(bad, rpc.DialConfig{}); err == nil {
			conn.Close()
			t.Errorf("%q was taken", bad)
		}
	}
}

func BenchmarkUnary(b *testing.B) {
	ok := parked{list: func(context.Context, *opsv1.ListParkedEventsRequest) error { return nil }}
	b.Run("bare", func(b *testing.B) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		srv := grpc.NewServer()
		ok.register(srv)
		go func() { _ = srv.Serve(lis) }()
		defer srv.Stop()
		conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		benchmarkList(b, conn)
	})
	for name, network := range map[string]*rpc.Network{"wire": nil, "in-process": {}} {
		b.Run(name, func(b *testing.B) {
			f := &far{t: b, tokens: rpctest.NewTokens(b), dial: rpc.DialConfig{Network: network, Telemetry: newTelemetry(b)}}
			f.config.Telemetry = newTelemetry(b)
			f.start()
			benchmarkList(b, f.conn)
		})
	}
}

func benchmarkList(b *testing.B, conn grpc.ClientConnInterface) {
	client := opsv1.NewParkedEventServiceClient(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.ListParkedEvents(b.Context(), listParked); err != nil {
			b.Fatal(err)
		}
	}
}

// One connection has so many calls served at a time and no more: what waits comes
// when another is done.
func TestMaxStreams(t *testing.T) {
	t.Parallel()
	begun, hold := make(chan struct{}, 10), make(chan struct{})
	client := listing(t, func(context.Context) error {
		begun <- struct{}{}
		<-hold
		return nil
	}, func(c *rpc.ServerConfig) { c.MaxStreams = 2 })
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			if _, err := client.ListParkedEvents(t.Context(), listParked); err != nil {
				t.Error(err)
			}
		})
	}
	<-begun
	<-begun
	select {
	case <-begun:
		t.Error("a third call is served beside two")
	case <-time.After(200 * time.Millisecond):
	}
	close(hold)
	calls.Wait()
	if len(begun) != 1 {
		t.Error("the call that waited was not served")
	}
}
