package service

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// readiness is what /readyz answers.
type readiness struct {
	mu       sync.Mutex
	ready    bool
	stopping bool
	failing  string // name of what is not ready
}

func (s *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	ready, stopping, failing := s.ready, s.stopping, s.failing
	s.mu.Unlock()
	switch {
	case stopping:
		answer(w, http.StatusServiceUnavailable, "not ready: stopping")
	case ready:
		answer(w, http.StatusOK, "ok")
	case failing != "":
		answer(w, http.StatusServiceUnavailable, "not ready: "+failing)
	default:
		answer(w, http.StatusServiceUnavailable, "not ready: starting")
	}
}

func (s *readiness) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

// set notes an answer of Ready and tells whether it is news.
func (s *readiness) set(err error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.ready, s.failing = true, ""
		return true
	}
	failing, _, _ := strings.Cut(err.Error(), ": ")
	news = failing != s.failing
	s.failing = failing
	return news
}

// awaitReady asks until the service is ready or stops.
func (r *runner) awaitReady(stopping context.Context) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := r.ask(stopping)
		if stopping.Err() != nil {
			return
		}
		news := r.readiness.set(err)
		if err == nil {
			r.serving(healthpb.HealthCheckResponse_SERVING)
			r.log.Info("Service is ready")
			return
		}
		if news {
			r.log.Info("Service is not ready yet", "error", err)
		}
		select {
		case <-stopping.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (r *runner) ask(ctx context.Context) (err error) {
	if r.spec.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return r.spec.Ready(ctx)
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
