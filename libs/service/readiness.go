package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	checkEvery   = time.Second
	checkTimeout = 5 * time.Second // for one check of one part
)

// HealthOfPart begins the names under which grpc.health.v1 knows the parts of a
// service: "part/database".
const HealthOfPart = "part/"

// The states of a part.
const (
	unknown  = "unknown" // not checked yet
	working  = "working"
	impaired = "impaired"
	away     = "not working"
)

// partState is what is known of a part. Its JSON is what /readyz shows.
type partState struct {
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`

	part   Part
	logged string // state and reason that the log has last
}

// readiness is what /readyz answers: the parts as the last check found them.
type readiness struct {
	mu       sync.Mutex
	parts    []partState
	began    time.Time
	started  bool // has been ready once
	stopping bool
}

// startGrace is how long parts may take to start before the log says that they do
// not work.
const startGrace = 5 * time.Second

func newReadiness(parts []Part) *readiness {
	s := &readiness{parts: make([]partState, len(parts)), began: time.Now()}
	for i, p := range parts {
		s.parts[i] = partState{Name: p.Name, State: unknown, Since: now(), part: p}
	}
	return s
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// status sums the parts up. Lock held.
func (s *readiness) status() (text string, ready bool) {
	if s.stopping {
		return "stopping", false
	}
	degraded := false
	for _, p := range s.parts {
		fails := p.State == away || p.State == unknown
		switch {
		case fails && !s.started && p.part.Needed != Optional:
			return "starting", false
		case fails && p.part.Needed == Always:
			return "not ready", false
		}
		degraded = degraded || p.State != working
	}
	if degraded {
		return "degraded", true
	}
	return "ready", true
}

// answer answers /readyz, with or without the parts.
func (s *readiness) answer(w http.ResponseWriter, parts bool) {
	s.mu.Lock()
	text, ready := s.status()
	said := struct {
		Status string      `json:"status"`
		Parts  []partState `json:"parts,omitempty"`
	}{Status: text}
	if parts {
		said.Parts = s.parts
	}
	body, err := json.MarshalIndent(said, "", "  ")
	s.mu.Unlock()
	code := http.StatusOK
	switch {
	case err != nil: // a year that JSON has no form for
		code = http.StatusInternalServerError
	case !ready:
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // the client has gone
}

func (s *readiness) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

// note keeps what the check of a part came to, and says whether that is to be
// logged: it is another than was logged before, and no part that is only just
// starting.
func (s *readiness) note(i int, err error) (news bool) {
	state, reason := working, ""
	if err != nil {
		state, reason = away, "it does not work; the log of the service says why"
		var p *problem
		if errors.As(err, &p) {
			reason = p.text
			if p.impaired {
				state = impaired
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.parts[i]
	news = p.logged != state+reason && (err == nil || s.started || time.Since(s.began) > startGrace)
	if news {
		p.logged = state + reason
	}
	if p.State != state {
		p.Since = now()
	}
	p.State, p.Reason = state, reason
	return news
}

// ready says whether the service is, and whether it is so for the first time.
func (s *readiness) ready() (ready, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ready = s.status()
	first = ready && !s.started
	s.started = s.started || ready
	return ready, first
}

// observe reports the metric of every part.
func (s *readiness) observe(o metric.Observer, up metric.Int64ObservableGauge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		n := int64(0)
		if p.State == working {
			n = 1
		}
		o.ObserveInt64(up, n, metric.WithAttributes(attribute.String("part", p.Name)))
	}
}

// measure has the state of the parts be a metric until stop is called.
func (r *runner) measure() (stop func(), err error) {
	meter := r.spec.Telemetry.Meter("gatehouse.dev/libs/service")
	up, err := meter.Int64ObservableGauge("gatehouse_part_up",
		metric.WithDescription("1 if the part of the service works, 0 if it does not or not all of it."))
	if err != nil {
		return nil, fmt.Errorf("make metric of parts: %w", err)
	}
	reg, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		r.readiness.observe(o, up)
		return nil
	}, up)
	if err != nil {
		return nil, fmt.Errorf("watch parts: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil
}

// watch checks the parts until the service stops: about once a second, and more
// often until it is ready for the first time.
func (r *runner) watch(stopping context.Context) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, checkEvery) {
		r.check(stopping)
		if stopping.Err() != nil {
			return
		}
		ready, first := r.readiness.ready()
		r.publish(ready)
		if first {
			r.log.Info("Service is ready")
			pause = checkEvery
		}
		select {
		case <-stopping.Done():
			return
		case <-time.After(pause):
		}
	}
}

// check checks all parts side by side, so that one that hangs hides no other.
func (r *runner) check(stopping context.Context) {
	var checks sync.WaitGroup
	for i := range r.parts {
		checks.Go(func() {
			p := r.parts[i]
			ctx, cancel := context.WithTimeout(stopping, checkTimeout)
			defer cancel()
			err := p.Check(ctx)
			switch {
			case stopping.Err() != nil || !r.readiness.note(i, err):
			case err != nil:
				r.log.Warn("Part does not work", "part", p.Name, "error", err)
			default:
				r.log.Info("Part works", "part", p.Name)
			}
		})
	}
	checks.Wait()
}

// publish has grpc.health.v1 say what /readyz says.
func (r *runner) publish(ready bool) {
	if r.grpc == nil {
		return
	}
	status := func(ok bool) healthpb.HealthCheckResponse_ServingStatus {
		if ok {
			return healthpb.HealthCheckResponse_SERVING
		}
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	for name := range r.grpc.GetServiceInfo() {
		r.health.SetServingStatus(name, status(ready))
	}
	r.readiness.mu.Lock()
	for _, p := range r.readiness.parts {
		r.health.SetServingStatus(HealthOfPart+p.Name, status(p.State == working))
	}
	r.readiness.mu.Unlock()
	r.health.SetServingStatus("", status(ready))
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
