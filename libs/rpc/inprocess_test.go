package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/telemetry"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// far is a service at the other end of a connection, by socket or within the
// process. A method does what the test says; one of which it says nothing
// succeeds.
type far struct {
	opsv1.UnimplementedParkedEventServiceServer
	list   func(context.Context, *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error)
	replay func(context.Context) error
	echo   func(grpc.ServerStream) error
	config rpc.ServerConfig // what is not there already

	t      testing.TB
	tokens *rpctest.Tokens
	client opsv1.ParkedEventServiceClient
	conn   *rpc.Conn
	srv    *rpc.Server
	dial   rpc.DialConfig
	addr   string
}

func (f *far) ListParkedEvents(ctx context.Context, req *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
	if f.list == nil {
		return &opsv1.ListParkedEventsResponse{}, nil
	}
	return f.list(ctx, req)
}

func (f *far) ReplayParkedEvent(ctx context.Context, _ *opsv1.ReplayParkedEventRequest) (*opsv1.ReplayParkedEventResponse, error) {
	if f.replay == nil {
		return &opsv1.ReplayParkedEventResponse{}, nil
	}
	return &opsv1.ReplayParkedEventResponse{}, f.replay(ctx)
}

var echoDesc = grpc.StreamDesc{
	StreamName: "Echo", ClientStreams: true, ServerStreams: true,
	Handler: func(srv any, s grpc.ServerStream) error { return srv.(*far).echo(s) },
}

// start serves at f.addr, a free one at first, until the test ends or the
// server is stopped.
func (f *far) start() {
	f.t.Helper()
	if f.addr == "" {
		f.addr = "127.0.0.1:0"
	}
	lis, err := (&net.ListenConfig{}).Listen(f.t.Context(), "tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.addr = lis.Addr().String()
	files := echoFiles(f.t)
	if err := files.RegisterFile(opsv1.File_gatehouse_ops_v1_parked_event_service_proto); err != nil {
		f.t.Fatal(err)
	}
	cfg := f.config
	cfg.Verifier, cfg.Files, cfg.Network = f.tokens.Verifier(), files, f.dial.Network
	srv, err := rpc.NewServer(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	opsv1.RegisterParkedEventServiceServer(srv, f)
	srv.RegisterService(&grpc.ServiceDesc{ServiceName: "gatehouse.echo.v1.EchoService", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{echoDesc}}, f)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(lis); err != nil {
			f.t.Errorf("serve: %v", err)
		}
	})
	f.t.Cleanup(func() {
		srv.Stop()
		wg.Wait()
	})
	f.srv = srv
	if f.conn == nil {
		token := f.tokens.Mint(admin)
		f.dial.Token = func(context.Context) (string, error) { return token, nil }
		if f.conn, err = rpc.Dial(f.addr, f.dial); err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { f.conn.Close() })
		f.client = opsv1.NewParkedEventServiceClient(f.conn)
	}
	// Until it serves, nobody is in the network.
	f.awaitPeer()
}

// awaitPeer waits until calls are served, and by the right transport.
func (f *far) awaitPeer() {
	f.t.Helper()
	want := "tcp"
	if f.dial.Network != nil {
		want = "in-process"
	}
	var p peer.Peer
	eventually(f.t, "served by "+want, func() bool {
		// Nobody may call it: no handler runs.
		err := f.conn.Invoke(f.t.Context(), "/gatehouse.echo.v1.EchoService/None", listParked, &opsv1.ListParkedEventsRequest{}, grpc.Peer(&p))
		return status.Code(err) == codes.Unimplemented && p.Addr.Network() == want && p.Addr.String() == f.addr
	})
}

func (f *far) replayOne(ctx context.Context) error {
	_, err := f.client.ReplayParkedEvent(ctx, &opsv1.ReplayParkedEventRequest{Service: "x", EventId: id.New().String()})
	return err
}

func (f *far) stream(ctx context.Context, opts ...grpc.CallOption) grpc.ClientStream {
	f.t.Helper()
	s, err := f.conn.NewStream(ctx, &echoDesc, echo, opts...)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func wait(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in time: %s", what)
	}
}

func wantError(t testing.TB, err error, code codes.Code, reason string) {
	t.Helper()
	if status.Code(err) != code || rpctest.Reason(err) != reason {
		t.Errorf("err = %v, reason %q; want %v, %q", err, rpctest.Reason(err), code, reason)
	}
}

// Calls within a process and calls by socket are the same but for their speed.
func TestTransports(t *testing.T) {
	t.Parallel()
	type key struct{}
	behaviours := []struct {
		name string
		test func(*testing.T, *far)
	}{
		{"error details", func(t *testing.T, f *far) {
			cause := errors.New("secret")
			e := apierr.Precondition("APP_IN_USE", "the app is in use").With("subject", "app").Wrap(cause)
			e.Fields = []apierr.Field{{Field: "app_id", Reason: "IN_USE", Description: "in use"}}
			e.RetryAfter = time.Second
			f.replay = func(context.Context) error { return fmt.Errorf("load: %w", e) }
			f.start()
			err := f.replayOne(t.Context())
			if d := cmp.Diff(apierr.Status(e).Proto(), status.Convert(err).Proto(), protocmp.Transform()); d != "" {
				t.Error(d)
			}
			if errors.Is(err, cause) || errors.Is(err, e) {
				t.Errorf("the handler's error itself has come over: %v", err)
			}
		}},
		{"unknown error", func(t *testing.T, f *far) {
			f.replay = func(context.Context) error { return errors.New("secret") }
			f.start()
			err := f.replayOne(t.Context())
			wantError(t, err, codes.Internal, "INTERNAL")
			if strings.Contains(err.Error(), "secret") {
				t.Error(err)
			}
		}},
		{"panic", func(t *testing.T, f *far) {
			f.replay = func(context.Context) error { panic("secret") }
			f.start()
			wantError(t, f.replayOne(t.Context()), codes.Internal, "INTERNAL")
			f.replay = nil
			if err := f.replayOne(t.Context()); err != nil {
				t.Errorf("the next call: %v", err)
			}
		}},
		{"validation", func(t *testing.T, f *far) {
			f.start()
			_, err := f.client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{PageSize: -1})
			wantError(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
			if d := cmp.Diff([]string{"page_size"}, rpctest.Fields(err)); d != "" {
				t.Error(d)
			}
		}},
		{"authorization", func(t *testing.T, f *far) {
			f.start()
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer nonsense")
			wantError(t, f.replayOne(ctx), codes.Unauthenticated, "TOKEN_INVALID")
		}},
		{"unknown method", func(t *testing.T, f *far) {
			f.start()
			err := f.conn.Invoke(t.Context(), "/a.B/C", listParked, &opsv1.ListParkedEventsRequest{})
			wantError(t, err, codes.Unimplemented, "")
		}},
		{"context", func(t *testing.T, f *far) {
			var deadline time.Time
			f.replay = func(ctx context.Context) error {
				deadline, _ = ctx.Deadline()
				md, _ := metadata.FromIncomingContext(ctx)
				if got := md.Get("x-test"); !cmp.Equal(got, []string{"a", "b"}) || len(md.Get("x-incoming"))+len(md.Get("user-agent")) > 1 {
					return apierr.Precondition("METADATA", "%v", md)
				}
				if out, ok := metadata.FromOutgoingContext(ctx); ok || ctx.Value(key{}) != nil {
					return apierr.Precondition("LEAK", "%v", out)
				}
				if c, _ := authz.From(ctx); c.UserID != admin.UserID {
					return apierr.Precondition("CALLER", "%v", c)
				}
				if m, _ := grpc.Method(ctx); m != opsv1.ParkedEventService_ReplayParkedEvent_FullMethodName {
					return apierr.Precondition("METHOD", "%v", m)
				}
				if p, ok := peer.FromContext(ctx); !ok || p.LocalAddr.String() != f.addr {
					return apierr.Precondition("PEER", "%v", p)
				}
				return nil
			}
			f.start()
			ctx := context.WithValue(t.Context(), key{}, "value")
			ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("x-incoming", "a"))
			ctx = metadata.AppendToOutgoingContext(ctx, "X-Test", "a", "x-test", "b", "grpc-status", "3")
			if err := f.replayOne(ctx); err != nil {
				t.Error(err, rpctest.Reason(err))
			}
			if left := time.Until(deadline); left <= 0 || left > rpc.Deadline {
				t.Errorf("%v were left", left)
			}
			bad := metadata.AppendToOutgoingContext(t.Context(), "x-test", "a\nb")
			wantError(t, f.replayOne(bad), codes.Internal, "")
			bad = metadata.AppendToOutgoingContext(t.Context(), "x test", "a")
			wantError(t, f.replayOne(bad), codes.Internal, "")
		}},
		{"header and trailer", func(t *testing.T, f *far) {
			f.replay = func(ctx context.Context) error {
				return errors.Join(grpc.SetHeader(ctx, metadata.Pairs("x-a", "1")), grpc.SendHeader(ctx, metadata.Pairs("x-b", "2")),
					grpc.SetTrailer(ctx, metadata.Pairs("x-c", "3")), apierr.NotFound("GONE", "gone"))
			}
			f.start()
			var header, trailer metadata.MD
			_, err := f.client.ReplayParkedEvent(t.Context(), &opsv1.ReplayParkedEventRequest{Service: "x", EventId: id.New().String()}, grpc.Header(&header), grpc.Trailer(&trailer))
			wantError(t, err, codes.NotFound, "GONE")
			if got := append(append(header.Get("x-a"), header.Get("x-b")...), trailer.Get("x-c")...); !cmp.Equal(got, []string{"1", "2", "3"}) {
				t.Errorf("header %v, trailer %v", header, trailer)
			}
		}},
		{"deadline", func(t *testing.T, f *far) {
			release, ended := make(chan struct{}), make(chan error, 1)
			f.replay = func(ctx context.Context) error {
				<-release // deaf to its context
				<-ctx.Done()
				ended <- ctx.Err()
				return ctx.Err()
			}
			f.start()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := f.replayOne(ctx); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("err = %v", err)
			}
			close(release)
			if err := <-ended; err == nil {
				t.Error("the handler's context has not ended")
			}
			if err := f.replayOne(ctx); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("a call too late: %v", err)
			}
		}},
		{"cancellation", func(t *testing.T, f *far) {
			ended := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f.replay = func(ctx context.Context) error {
				cancel()
				<-ctx.Done()
				close(ended)
				return ctx.Err()
			}
			f.start()
			if err := f.replayOne(ctx); status.Code(err) != codes.Canceled {
				t.Errorf("err = %v", err)
			}
			wait(t, "the handler's context ends", ended)
		}},
		{"the end of a call ends its context", func(t *testing.T, f *far) {
			kept := make(chan context.Context, 1)
			f.replay = func(ctx context.Context) error { kept <- ctx; return nil }
			f.start()
			if err := f.replayOne(t.Context()); err != nil {
				t.Fatal(err)
			}
			wait(t, "the context ends", (<-kept).Done())
		}},
		{"messages are not shared", func(t *testing.T, f *far) {
			var gotRequest *opsv1.ListParkedEventsRequest
			answer := &opsv1.ListParkedEventsResponse{NextPageToken: "server", ParkedEvents: []*opsv1.ParkedEvent{{Service: "server"}}}
			f.list = func(_ context.Context, req *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
				gotRequest = proto.CloneOf(req)
				req.Service = "changed by the handler"
				return answer, nil
			}
			f.start()
			req := &opsv1.ListParkedEventsRequest{Service: "client"}
			got, err := f.client.ListParkedEvents(t.Context(), req)
			if err != nil || req.GetService() != "client" || gotRequest.GetService() != "client" {
				t.Errorf("%v; sent %v, handler got %v", err, req, gotRequest)
			}
			want := proto.CloneOf(answer)
			if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
				t.Error(d)
			}
			answer.ParkedEvents[0].Service = "changed by the handler"
			if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
				t.Error("the handler's answer is the caller's", d)
			}
			got.ParkedEvents[0].Service = "changed by the caller"
			if answer.GetParkedEvents()[0].GetService() != "changed by the handler" {
				t.Error("the caller's answer is the handler's")
			}
		}},
		{"an answer replaces what the caller had there", func(t *testing.T, f *far) {
			f.start()
			reply := &opsv1.ListParkedEventsResponse{NextPageToken: "old"}
			if err := f.conn.Invoke(t.Context(), opsv1.ParkedEventService_ListParkedEvents_FullMethodName, listParked, reply); err != nil || reply.GetNextPageToken() != "" {
				t.Errorf("%v %v", err, reply)
			}
		}},
		{"sizes", func(t *testing.T, f *far) {
			f.list = func(context.Context, *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
				return &opsv1.ListParkedEventsResponse{NextPageToken: strings.Repeat("x", rpc.MaxMessage)}, nil
			}
			f.start()
			_, err := f.client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{Service: strings.Repeat("x", rpc.MaxMessage)})
			wantError(t, err, codes.ResourceExhausted, "")
			_, err = f.client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{Service: strings.Repeat("x", rpc.MaxMessage-100)})
			wantError(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
			_, err = f.client.ListParkedEvents(t.Context(), listParked)
			wantError(t, err, codes.ResourceExhausted, "")
			if _, err = f.client.ListParkedEvents(t.Context(), listParked, grpc.MaxCallRecvMsgSize(2*rpc.MaxMessage)); err != nil {
				t.Error(err)
			}
		}},
		{"texts that are none", func(t *testing.T, f *far) {
			var answer *opsv1.ListParkedEventsResponse
			called := false
			f.list = func(context.Context, *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
				called = true
				return answer, nil
			}
			f.start()
			_, err := f.client.ListParkedEvents(t.Context(), &opsv1.ListParkedEventsRequest{Service: "\xff"})
			wantError(t, err, codes.Internal, "")
			if called {
				t.Error("the handler was called")
			}
			for _, answer = range []*opsv1.ListParkedEventsResponse{
				{NextPageToken: "\xff"},
				{ParkedEvents: []*opsv1.ParkedEvent{{}, {Service: "\xff"}}},
			} {
				_, err := f.client.ListParkedEvents(t.Context(), listParked)
				wantError(t, err, codes.Internal, "")
			}
		}},
		{"repetition", func(t *testing.T, f *far) {
			var lists, replays atomic.Int32
			away := apierr.Unavailable("DATABASE_UNAVAILABLE", nil)
			f.list = func(context.Context, *opsv1.ListParkedEventsRequest) (*opsv1.ListParkedEventsResponse, error) {
				if lists.Add(1) < 3 {
					return nil, away
				}
				return &opsv1.ListParkedEventsResponse{}, nil
			}
			f.replay = func(context.Context) error { replays.Add(1); return away }
			f.start()
			if _, err := f.client.ListParkedEvents(t.Context(), listParked); err != nil || lists.Load() != 3 {
				t.Errorf("%v after %d tries, want 3", err, lists.Load())
			}
			lists.Store(-100)
			_, err := f.client.ListParkedEvents(t.Context(), listParked)
			wantError(t, err, codes.Unavailable, "DATABASE_UNAVAILABLE")
			if lists.Load() != -96 {
				t.Errorf("%d tries, want 4", lists.Load()+100)
			}
			wantError(t, f.replayOne(t.Context()), codes.Unavailable, "DATABASE_UNAVAILABLE")
			if replays.Load() != 1 {
				t.Errorf("%d tries of a call that changes something", replays.Load())
			}
			// Most calls fail: they are not repeated any more.
			for range 60 {
				wantError(t, f.replayOne(t.Context()), codes.Unavailable, "DATABASE_UNAVAILABLE")
			}
			if replays.Load() != 61 {
				t.Errorf("%d tries of 61 calls", replays.Load())
			}
			lists.Store(-1000)
			for range 20 {
				_, err := f.client.ListParkedEvents(t.Context(), listParked)
				wantError(t, err, codes.Unavailable, "DATABASE_UNAVAILABLE")
			}
			before := lists.Load()
			_, err = f.client.ListParkedEvents(t.Context(), listParked)
			wantError(t, err, codes.Unavailable, "DATABASE_UNAVAILABLE")
			if lists.Load() != before+1 {
				t.Errorf("%d tries though most calls fail, want 1", lists.Load()-before)
			}
		}},
		{"telemetry", func(t *testing.T, f *far) {
			client := newTelemetry(t)
			f.config.Telemetry, f.dial.Telemetry = newTelemetry(t), client
			var saw trace.TraceID
			f.replay = func(ctx context.Context) error {
				saw = trace.SpanContextFromContext(ctx).TraceID()
				return apierr.NotFound("GONE", "gone")
			}
			f.start()
			ctx, span := client.Tracer("test").Start(t.Context(), "outer")
			defer span.End()
			wantError(t, f.replayOne(ctx), codes.NotFound, "GONE")
			if want := span.SpanContext().TraceID(); saw != want {
				t.Errorf("the handler saw trace %v, want %v", saw, want)
			}
			for side, tel := range map[string]*telemetry.Telemetry{"rpc_client": client, "rpc_server": f.config.Telemetry} {
				eventually(t, side+" is measured", func() bool { return measured(t, tel, side, "NOT_FOUND") })
			}
		}},
		{"stream", func(t *testing.T, f *far) {
			f.echo = func(s grpc.ServerStream) error {
				if err := s.SetHeader(metadata.Pairs("x-a", "1")); err != nil {
					return err
				}
				s.SetTrailer(metadata.Pairs("x-b", "2"))
				return back(s)
			}
			f.start()
			var trailer metadata.MD
			s := f.stream(t.Context(), grpc.Trailer(&trailer))
			for i := range 100 {
				m := &opsv1.ListParkedEventsRequest{PageSize: int32(i)}
				if err := s.SendMsg(m); err != nil {
					t.Fatal(err)
				}
				m.PageSize = 1000
				got := &opsv1.ListParkedEventsRequest{}
				if err := s.RecvMsg(got); err != nil || got.GetPageSize() != int32(i) {
					t.Fatalf("%v %v", got, err)
				}
			}
			if md, err := s.Header(); err != nil || !cmp.Equal(md.Get("x-a"), []string{"1"}) {
				t.Errorf("header %v %v", md, err)
			}
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if err := s.RecvMsg(&opsv1.ListParkedEventsRequest{}); !errors.Is(err, io.EOF) {
				t.Errorf("the end: %v", err)
			}
			if !cmp.Equal(s.Trailer().Get("x-b"), []string{"2"}) || !cmp.Equal(trailer.Get("x-b"), []string{"2"}) {
				t.Errorf("trailer %v %v", s.Trailer(), trailer)
			}
		}},
		{"server stream fails after its messages", func(t *testing.T, f *far) {
			f.echo = func(s grpc.ServerStream) error {
				for range 50 { // more than wait on the way
					if err := s.SendMsg(listParked); err != nil {
						return err
					}
				}
				return apierr.Precondition("CURSOR_TOO_OLD", "the cursor is too old")
			}
			f.start()
			s := f.stream(t.Context())
			for i := range 50 {
				if err := s.RecvMsg(&opsv1.ListParkedEventsRequest{}); err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
			}
			wantError(t, s.RecvMsg(&opsv1.ListParkedEventsRequest{}), codes.FailedPrecondition, "CURSOR_TOO_OLD")
			eventually(t, "sending ends", func() bool { return errors.Is(s.SendMsg(listParked), io.EOF) })
		}},
		{"client stream", func(t *testing.T, f *far) {
			f.echo = func(s grpc.ServerStream) error {
				n := int32(0)
				for {
					if err := s.RecvMsg(&opsv1.ListParkedEventsRequest{}); errors.Is(err, io.EOF) {
						return s.SendMsg(&opsv1.ListParkedEventsRequest{PageSize: n})
					} else if err != nil {
						return err
					}
					n++
				}
			}
			f.start()
			s, err := f.conn.NewStream(t.Context(), &grpc.StreamDesc{StreamName: "Echo", ClientStreams: true}, echo)
			if err != nil {
				t.Fatal(err)
			}
			for range 50 {
				if err := s.SendMsg(listParked); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			got := &opsv1.ListParkedEventsRequest{}
			if err := s.RecvMsg(got); err != nil || got.GetPageSize() != 50 {
				t.Errorf("%v %v", got, err)
			}
		}},
		{"stream checks messages", func(t *testing.T, f *far) {
			f.echo = back
			f.start()
			s := f.stream(t.Context())
			wantError(t, send(t, s, &opsv1.ListParkedEventsRequest{PageSize: -1}), codes.InvalidArgument, "INVALID_ARGUMENT")
			s = f.stream(t.Context())
			wantError(t, send(t, s, &opsv1.ListParkedEventsRequest{Service: strings.Repeat("x", 5<<20)}), codes.ResourceExhausted, "")
			s = f.stream(t.Context())
			wantError(t, s.SendMsg(&opsv1.ListParkedEventsRequest{Service: "\xff"}), codes.Internal, "")
		}},
		{"stream panics", func(t *testing.T, f *far) {
			f.echo = func(grpc.ServerStream) error { panic("secret") }
			f.start()
			wantError(t, f.stream(t.Context()).RecvMsg(&opsv1.ListParkedEventsRequest{}), codes.Internal, "INTERNAL")
		}},
		{"stream is cancelled", func(t *testing.T, f *far) {
			ended := make(chan struct{})
			f.echo = func(s grpc.ServerStream) error {
				defer close(ended)
				for {
					if err := s.SendMsg(listParked); err != nil { // waits for the client
						return err
					}
				}
			}
			f.start()
			ctx, cancel := context.WithCancel(t.Context())
			s := f.stream(ctx)
			if err := s.RecvMsg(&opsv1.ListParkedEventsRequest{}); err != nil {
				t.Fatal(err)
			}
			cancel()
			wait(t, "the handler ends", ended)
			for err := error(nil); status.Code(err) != codes.Canceled; err = s.RecvMsg(&opsv1.ListParkedEventsRequest{}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"graceful stop", func(t *testing.T, f *far) {
			began, release := make(chan struct{}), make(chan struct{})
			f.replay = func(ctx context.Context) error {
				close(began)
				<-release
				return ctx.Err()
			}
			f.start()
			running := make(chan error, 1)
			go func() { running <- f.replayOne(t.Context()) }()
			select {
			case <-began:
			case err := <-running:
				t.Fatalf("the call has ended: %v", err)
			}
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				f.srv.GracefulStop()
			}()
			eventually(t, "new calls are refused", func() bool {
				_, err := f.client.ListParkedEvents(t.Context(), listParked)
				return status.Code(err) == codes.Unavailable
			})
			select {
			case err := <-running:
				t.Errorf("the running call ended: %v", err)
			case <-stopped:
				t.Error("stopped while a call runs")
			default:
			}
			close(release)
			if err := <-running; err != nil {
				t.Errorf("the running call: %v", err)
			}
			wait(t, "the server stops", stopped)
		}},
		{"stop", func(t *testing.T, f *far) {
			began := make(chan struct{}, 2)
			ended := make(chan error, 2)
			f.replay = func(ctx context.Context) error {
				began <- struct{}{}
				<-ctx.Done()
				ended <- ctx.Err()
				return ctx.Err()
			}
			f.echo = func(s grpc.ServerStream) error { return f.replay(s.Context()) }
			f.start()
			running := make(chan error, 2)
			go func() { running <- f.replayOne(t.Context()) }()
			s := f.stream(t.Context())
			go func() { running <- s.RecvMsg(&opsv1.ListParkedEventsRequest{}) }()
			for range 2 {
				select {
				case <-began:
				case err := <-running:
					t.Fatalf("a call has ended: %v", err)
				}
			}
			f.srv.Stop()
			for range 2 {
				if err := <-running; status.Code(err) != codes.Unavailable {
					t.Errorf("a running call: %v", err)
				}
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("its handler's context: %v", err)
				}
			}
		}},
		{"away and back", func(t *testing.T, f *far) {
			f.start()
			if err := f.replayOne(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.srv.Stop()
			if err := f.replayOne(t.Context()); status.Code(err) != codes.Unavailable {
				t.Errorf("away: %v", err)
			}
			f.start()
			if err := f.replayOne(t.Context()); err != nil {
				t.Errorf("back: %v", err)
			}
		}},
		{"closed connection", func(t *testing.T, f *far) {
			f.start()
			if err := f.conn.Close(); err != nil {
				t.Fatal(err)
			}
			if err := f.replayOne(t.Context()); status.Code(err) != codes.Canceled {
				t.Errorf("err = %v", err)
			}
		}},
	}
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for name, network := range map[string]*rpc.Network{"wire": nil, "in-process": {}} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					b.test(t, &far{t: t, tokens: rpctest.NewTokens(t), dial: rpc.DialConfig{Network: network}})
				})
			}
		})
	}
}

// measured reports whether calls of a side, rpc_client or rpc_server, that ended
// with the status have been counted.
func measured(t *testing.T, tel *telemetry.Telemetry, side, code string) bool {
	t.Helper()
	families, err := tel.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, fam := range families {
		for _, m := range fam.GetMetric() {
			if strings.HasPrefix(fam.GetName(), side) && strings.Contains(m.String(), code) && strings.Contains(m.String(), "ReplayParkedEvent") {
				return true
			}
		}
	}
	return false
}
