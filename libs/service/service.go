package service

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/telemetry"
)

// Listeners are where a service is reached. Each may be nil: then that is not
// served. [Run] closes them.
type Listeners struct {
	GRPC, HTTP net.Listener
	// Inner is for whoever runs the service: readiness with every part, metrics,
	// and by gRPC health and reflection. HTTP says no more than whether the service
	// lives and is ready, unless nothing else is served there: without Inner, by a
	// service without HTTP handlers.
	Inner net.Listener
	// Reflection is served on GRPC as well.
	Reflection bool
	// TLS is spoken on GRPC if not nil, as from [rpc.LoadTLS], and on HTTP if Spec
	// names HTTPCallers.
	TLS *tls.Config
	// Network lets services of the same process call this one at the address of
	// GRPC without a socket; nil for a service that has the process to itself.
	Network *rpc.Network
}

// Task is something a service does besides answering, for as long as it runs.
type Task struct {
	// Name is for logs and errors.
	Name string
	// Run returns when ctx ends. Returning nil before means that there is
	// nothing more to do; an error stops the service. What it tells [Report],
	// /readyz shows under its name.
	Run func(ctx context.Context) error
}

// Spec says what a service is.
type Spec struct {
	// Name of the service, for logs.
	Name string
	// Log is discarded if nil.
	Log *slog.Logger
	// Telemetry is discarded if nil. Its owner shuts it down.
	Telemetry *telemetry.Telemetry
	// Verifier verifies callers' tokens. Needed if Register is set.
	Verifier *authz.Verifier
	// Listeners are where it is reached.
	Listeners Listeners
	// Register registers its RPCs. Without it no gRPC is served.
	Register func(grpc.ServiceRegistrar)
	// Denied is told of calls that were refused, see rpc.ServerConfig.
	Denied authz.DeniedFunc
	// Prepare completes requests before they are validated, see rpc.ServerConfig.
	Prepare rpc.PrepareFunc
	// PageKey signs page tokens, see rpc.ServerConfig.
	PageKey []byte
	// Limits are how often users may call, see rpc.ServerConfig.
	Limits *ratelimit.Limits
	// HTTP adds to the HTTP handlers.
	HTTP func(*http.ServeMux)
	// HTTPCallers are the names in the certificates of those who may call HTTP, where
	// there is TLS. Nil: HTTP is for everybody and in plain text.
	HTTPCallers []string
	// Tasks run side by side.
	Tasks []Task
	// Parts are what it stands on, in the order that /readyz shows.
	Parts []Part
	// Timeouts bound calls and the end.
	Timeouts Timeouts
}

// Run runs the service until ctx ends, and then returns nil once it has
// stopped. It returns an error if a task or a listener fails, with its name,
// or does not stop.
func Run(ctx context.Context, spec Spec) error {
	if spec.Log == nil {
		spec.Log = slog.New(slog.DiscardHandler)
	}
	spec.Timeouts.Stop = cmp.Or(spec.Timeouts.Stop, defaultStop)
	r := &runner{spec: spec, log: spec.Log, ended: make(chan ending), parts: slices.Clone(spec.Parts)}
	for range spec.Tasks {
		r.reports = append(r.reports, &report{})
	}
	for i, t := range spec.Tasks {
		r.parts = append(r.parts, Part{Name: t.Name, Check: r.reports[i].get})
	}
	r.readiness = newReadiness(r.parts)
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("run %s: %w", spec.Name, err)
	}
	return nil
}

// runner is one run of a service.
type runner struct {
	spec      Spec
	log       *slog.Logger
	parts     []Part
	reports   []*report // of the tasks
	readiness *readiness
	grpc      *rpc.Server
	health    *health.Server
	http      *http.Server
	inner     *http.Server
	innerGRPC *grpc.Server // answers by inner; nil without gRPC

	running []string    // what was started and has not ended
	ended   chan ending // one for each
}

// ending is how a part of the service ended.
type ending struct {
	name string
	err  error
}

func (r *runner) run(ctx context.Context) error {
	stopping, stop := context.WithCancel(context.Background())
	defer stop()
	// Work goes on while calls finish, so it does not end with ctx.
	work, cancel := context.WithCancel(withStopping(context.WithoutCancel(ctx), stopping))
	defer cancel()

	unwatch, err := r.measure()
	if err == nil {
		defer unwatch()
		err = r.build(work, stopping)
	}
	if err != nil {
		r.closeListeners()
		return err
	}
	if r.grpc != nil {
		r.start("gRPC server", func() error { return r.grpc.Serve(r.spec.Listeners.GRPC) })
	}
	if r.http != nil {
		r.start("HTTP server", func() error {
			lis := r.spec.Listeners.HTTP
			if r.http.TLSConfig != nil {
				lis = tls.NewListener(lis, r.http.TLSConfig)
			}
			if err := r.http.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	if r.inner != nil {
		r.start("inner HTTP server", func() error {
			if err := r.inner.Serve(r.spec.Listeners.Inner); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	r.start("readiness", func() error { r.watch(stopping); return nil })
	for i, t := range r.spec.Tasks {
		r.start(t.Name, func() error { return t.Run(context.WithValue(work, reportKey{}, r.reports[i])) })
	}
	r.log.InfoContext(ctx, "Service started", "grpc_addr", address(r.spec.Listeners.GRPC), "http_addr", address(r.spec.Listeners.HTTP), "inner_addr", address(r.spec.Listeners.Inner))

	failed := r.wait(ctx)
	r.log.InfoContext(ctx, "Service is stopping")
	r.readiness.stop()
	if r.health != nil {
		r.health.Shutdown()
	}
	stop()
	r.stopServers()
	cancel()
	stuck := r.waitAll()
	r.log.InfoContext(ctx, "Service stopped")
	return errors.Join(failed, stuck)
}

func (r *runner) build(work, stopping context.Context) error {
	lis := r.spec.Listeners
	if lis.GRPC != nil && r.spec.Register == nil {
		lis.GRPC.Close() // a caller had better be refused than left waiting
	} else if lis.GRPC != nil {
		srv, err := rpc.NewServer(rpc.ServerConfig{
			PageKey: r.spec.PageKey, Verifier: r.spec.Verifier, Limits: r.spec.Limits, Denied: r.spec.Denied, Prepare: r.spec.Prepare, Log: r.log,
			Telemetry: r.spec.Telemetry, TLS: lis.TLS, Deadline: r.spec.Timeouts.RPC, Stopping: stopping, Network: lis.Network,
		})
		if err != nil {
			return err
		}
		r.spec.Register(srv)
		r.grpc, r.health = srv, health.NewServer()
		healthpb.RegisterHealthServer(srv, r.health)
		if lis.Reflection {
			reflection.Register(srv)
		}
		r.publish(false)
	}
	if lis.HTTP != nil {
		mux := http.NewServeMux()
		r.showHealth(mux, lis.Inner == nil && r.spec.HTTP == nil)
		if r.spec.HTTP != nil {
			r.spec.HTTP(mux)
		}
		r.http = r.server(work, mux)
		if len(r.spec.HTTPCallers) > 0 && lis.TLS != nil {
			r.http.TLSConfig = lis.TLS.Clone()
			r.http.Handler = rpc.OnlyCertificates(r.spec.HTTPCallers, mux)
		}
	}
	if lis.Inner != nil {
		mux := http.NewServeMux()
		r.showHealth(mux, true)
		r.inner = r.server(work, mux)
		if r.grpc != nil {
			r.reflect(mux)
		}
	}
	return nil
}

// showHealth adds what tells how the service is: to those who run it all of it, to
// others whether it lives and is ready.
func (r *runner) showHealth(mux *http.ServeMux, inner bool) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { r.readiness.answer(w, inner) })
	if inner {
		mux.Handle("GET /metrics", r.spec.Telemetry.Handler())
	}
}

// reflect has the inner server answer gRPC as well, in plain text as all that it
// answers: reflection on what is registered, and health.
func (r *runner) reflect(mux *http.ServeMux) {
	r.innerGRPC = grpc.NewServer()
	healthpb.RegisterHealthServer(r.innerGRPC, r.health)
	options := reflection.ServerOptions{Services: r.grpc}
	reflectionpb.RegisterServerReflectionServer(r.innerGRPC, reflection.NewServerV1(options))
	r.inner.Protocols = new(http.Protocols)
	r.inner.Protocols.SetHTTP1(true)
	r.inner.Protocols.SetUnencryptedHTTP2(true)
	r.inner.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ProtoMajor == 2 && strings.HasPrefix(req.Header.Get("Content-Type"), "application/grpc") {
			r.innerGRPC.ServeHTTP(w, req)
			return
		}
		mux.ServeHTTP(w, req)
	})
}

// server is an HTTP server. It has no bound on writing: server-sent events last.
// Handlers that read or write at length set their own.
func (r *runner) server(work context.Context, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return work },
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelWarn),
	}
}

// start runs f beside the others and notes that it does.
func (r *runner) start(name string, f func() error) {
	r.running = append(r.running, name)
	go func() {
		var err error
		defer func() {
			if p := recover(); p != nil {
				r.log.Error("Task panicked", "task", name, "panic", p, "stack", string(debug.Stack()))
				err = fmt.Errorf("panic: %v", p)
			}
			r.ended <- ending{name, err}
		}()
		err = f()
	}()
}

// wait returns when ctx ends or a part fails.
func (r *runner) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-r.ended:
			r.forget(e.name)
			if e.err != nil {
				return fmt.Errorf("%s: %w", e.name, e.err)
			}
		}
	}
}

// waitAll waits for all that still runs, within the grace.
func (r *runner) waitAll() error {
	grace := time.NewTimer(r.spec.Timeouts.Stop)
	defer grace.Stop()
	for len(r.running) > 0 {
		select {
		case e := <-r.ended:
			r.forget(e.name)
			if e.err != nil && !errors.Is(e.err, context.Canceled) {
				r.log.Warn("Task failed while stopping", "task", e.name, "error", e.err)
			}
		case <-grace.C:
			left := slices.Clone(r.running)
			// Nobody waits any more; what ends later must not block on it.
			go func() {
				for range left {
					<-r.ended
				}
			}()
			return fmt.Errorf("did not stop within %s: %s", r.spec.Timeouts.Stop, strings.Join(left, ", "))
		}
	}
	return nil
}

func (r *runner) forget(name string) {
	if i := slices.Index(r.running, name); i >= 0 {
		r.running = slices.Delete(r.running, i, i+1)
	}
}

// stopServers lets calls finish, within the grace. HTTP is last, so that
// /readyz says why nothing else answers.
func (r *runner) stopServers() {
	grace, cancel := context.WithTimeout(context.Background(), r.spec.Timeouts.Stop)
	defer cancel()
	if r.grpc != nil {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.grpc.GracefulStop()
		}()
		select {
		case <-done:
		case <-grace.Done():
			r.log.Warn("Calls were cut off")
			r.grpc.Stop()
			<-done
		}
	}
	if r.innerGRPC != nil {
		r.innerGRPC.Stop() // ends streams, which would last
	}
	for _, server := range []*http.Server{r.http, r.inner} {
		if server == nil {
			continue
		}
		if err := server.Shutdown(grace); err != nil {
			r.log.Warn("HTTP requests were cut off", "error", err)
			server.Close()
		}
	}
}

func (r *runner) closeListeners() {
	for _, l := range []net.Listener{r.spec.Listeners.GRPC, r.spec.Listeners.HTTP, r.spec.Listeners.Inner} {
		if l != nil {
			l.Close()
		}
	}
}

func address(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

type stoppingKey struct{}

func withStopping(ctx, stopping context.Context) context.Context {
	return context.WithValue(ctx, stoppingKey{}, stopping)
}

// Stopping returns a channel that is closed when the service begins to stop.
// An HTTP handler that would never end by itself, such as server-sent events,
// ends then; ctx is the request's. In a context of another kind it is nil and
// never ready. Streams of gRPC need it not: their context ends.
func Stopping(ctx context.Context) <-chan struct{} {
	if s, ok := ctx.Value(stoppingKey{}).(context.Context); ok {
		return s.Done()
	}
	return nil
}
