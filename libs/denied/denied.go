package denied

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/telemetry"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

const (
	// Window is how long calls that are alike are counted before they are told of.
	Window = time.Minute
	// batch is how many entries are written at once.
	batch = 200
	// writeTimeout bounds a transaction, lastTimeout those at the end.
	writeTimeout = 10 * time.Second
	lastTimeout  = 5 * time.Second
)

// Limits bound what is told apart at a time. Zero fields have the defaults.
type Limits struct {
	// Kinds are those of one credential: 20 by default.
	Kinds int
	// Organization are those of one organization, 1000 by default.
	Organization int
	// All are those of everybody: 10,000 by default.
	All int
}

// Config is what a Recorder stands on.
type Config struct {
	// Service is who refuses.
	Service   string
	DB        *postgres.DB
	Events    *outbox.Writer
	Clock     clock.Clock
	Limits    Limits
	Log       *slog.Logger
	Telemetry *telemetry.Telemetry
}

// Call is a refused call of somebody who is known.
type Call struct {
	// Organization and Environment are the caller's.
	Organization, Environment uuid.UUID
	// Actor is the caller.
	Actor *eventv1.Actor
	// User is the caller if that is a user.
	User uuid.UUID
	// Credential is what they came with; the nil id if that has none.
	Credential uuid.UUID
	// Method is what was called, and Reason why it was refused.
	Method, Reason string
	// Address is where the call came from; not valid if that is not known.
	Address netip.Addr
}

// Recorder has refused calls written down. Make it with [New]; it may be used by any
// number of goroutines.
type Recorder struct {
	cfg    Config
	wake   chan struct{}
	denied metric.Int64Counter
	lost   metric.Int64Counter
	away   backoff.Backoff

	mu    sync.Mutex
	folds map[kind]*fold
	// credentials and organizations count folds; those of a credential that tell of
	// several kinds together are not among the first.
	credentials   map[credential]int
	organizations map[uuid.UUID]int
}

// credential is with what somebody calls.
type credential struct {
	organization, environment, user, id uuid.UUID
	actorKind                           eventv1.ActorKind
	actor                               string
}

// kind is what calls that are alike have in common.
type kind struct {
	credential
	method, reason string
	address        netip.Addr
}

// together says that calls of several kinds are told of together.
func (k kind) together() bool { return k.method == "" }

// fold is a number of calls that are alike.
type fold struct {
	kind  kind
	id    uuid.UUID
	actor *eventv1.Actor
	// count is how many are not told of yet; first and last are theirs.
	count       int64
	first, last time.Time
	// until is when they are told of.
	until time.Time
}

// New makes a recorder, which counts; [Recorder.Run] writes.
func New(cfg Config) (*Recorder, error) {
	cfg.Limits.Kinds = cmp.Or(cfg.Limits.Kinds, 20)
	cfg.Limits.Organization = cmp.Or(cfg.Limits.Organization, 1000)
	cfg.Limits.All = cmp.Or(cfg.Limits.All, 10_000)
	r := &Recorder{
		cfg: cfg, wake: make(chan struct{}, 1), away: backoff.Backoff{First: 100 * time.Millisecond, Longest: 5 * time.Second},
		folds: map[kind]*fold{}, credentials: map[credential]int{}, organizations: map[uuid.UUID]int{},
	}
	meter := cfg.Telemetry.Meter("gatehouse.dev/libs/denied")
	var err error
	if r.denied, err = meter.Int64Counter("gatehouse_calls_denied",
		metric.WithDescription("Calls that were refused, by reason and by whether the caller is known.")); err != nil {
		return nil, fmt.Errorf("make metrics of denied calls: %w", err)
	}
	if r.lost, err = meter.Int64Counter("gatehouse_calls_denied_lost",
		metric.WithDescription("Refused calls of known callers that the audit log does not tell of.")); err != nil {
		return nil, fmt.Errorf("make metrics of denied calls: %w", err)
	}
	return r, nil
}

// Denied is an [authz.DeniedFunc].
func (r *Recorder) Denied(ctx context.Context, d authz.Denial) {
	if d.Caller.OrganizationID == uuid.Nil {
		r.count(ctx, d.Reason, false)
		r.cfg.Log.InfoContext(ctx, "Call of no organization denied", "subject", d.Caller.Subject, "method", d.Method, "reason", d.Reason)
		return
	}
	r.Note(ctx, Call{
		Organization: d.Caller.OrganizationID, Environment: d.Caller.EnvironmentID, Actor: event.CallerActor(d.Caller),
		User: d.Caller.UserID, Credential: d.Caller.CredentialID, Method: d.Method, Reason: d.Reason, Address: authz.ClientAddress(ctx),
	})
}

// Unknown counts and logs a refused call of somebody whom nothing names.
func (r *Recorder) Unknown(ctx context.Context, reason string) {
	r.Denied(ctx, authz.Denial{Method: authz.CalledMethod(ctx), Reason: reason})
}

func (r *Recorder) count(ctx context.Context, reason string, known bool) {
	r.denied.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", reason), attribute.Bool("known", known)))
}

// Note counts a refused call and has it written down. It does not wait.
func (r *Recorder) Note(ctx context.Context, c Call) {
	r.count(ctx, c.Reason, true)
	exact := kind{
		credential: credential{c.Organization, c.Environment, c.User, c.Credential, c.Actor.GetKind(), c.Actor.GetId()},
		method:     c.Method, reason: c.Reason, address: c.Address,
	}
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	f := r.fold(exact, c.Actor)
	var fresh bool
	if f != nil {
		fresh = f.until.IsZero() && f.count == 0
		if f.count++; f.count == 1 {
			f.first = now
		}
		f.last = now
	}
	r.mu.Unlock()
	switch {
	case f == nil:
		r.lose(ctx, 1, "too many kinds of calls are denied at a time")
	case fresh:
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// fold is where a call is counted: with those that are alike, or else with all of the
// credential, or else of the organization; nil if there is no room at all.
func (r *Recorder) fold(exact kind, actor *eventv1.Actor) *fold {
	if f := r.folds[exact]; f != nil {
		return f
	}
	k := exact
	if r.credentials[exact.credential] >= r.cfg.Limits.Kinds {
		k = kind{credential: exact.credential}
	}
	if f := r.folds[k]; f != nil {
		return f
	}
	if r.organizations[exact.organization] >= r.cfg.Limits.Organization || len(r.folds) >= r.cfg.Limits.All {
		actor = event.SystemActor(r.cfg.Service)
		k = kind{credential: credential{organization: exact.organization, actorKind: actor.GetKind(), actor: actor.GetId()}}
		if f := r.folds[k]; f != nil {
			return f
		}
		if len(r.folds) >= 2*r.cfg.Limits.All {
			return nil
		}
	}
	f := &fold{kind: k, id: id.New(), actor: actor}
	r.folds[k] = f
	r.organizations[k.organization]++
	if !k.together() {
		r.credentials[k.credential]++
	}
	return f
}

func (r *Recorder) lose(ctx context.Context, n int64, why string) {
	r.lost.Add(ctx, n)
	r.cfg.Log.ErrorContext(ctx, "Denied calls are not in the audit log", "count", n, "why", why)
}

// entry is what was taken from a fold to be written.
type entry struct {
	fold        *fold
	count       int64
	first, last time.Time
}

// take takes what is to be written now, or all there is, from its folds, which begin
// their next window; next is when there may be more. Folds of which nothing has come
// for a window are forgotten.
func (r *Recorder) take(all bool) (entries []entry, next time.Time) {
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, f := range r.folds {
		switch {
		case !all && now.Before(f.until):
			if next.IsZero() || f.until.Before(next) {
				next = f.until
			}
		case f.count == 0:
			delete(r.folds, k)
			if decrease(r.organizations, k.organization); !k.together() {
				decrease(r.credentials, k.credential)
			}
		default:
			entries = append(entries, entry{fold: f, count: f.count, first: f.first, last: f.last})
			f.count, f.until = 0, now.Add(Window)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.last.Compare(b.last) })
	return entries, next
}

func decrease[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] <= 0 {
		delete(counts, k)
	}
}

func (e entry) event() outbox.Event {
	f, k := e.fold, e.fold.kind
	return outbox.Event{OrganizationID: k.organization, AggregateID: f.id, Time: e.last, Message: &eventv1.CallDenied{
		Context: &eventv1.Context{Actor: f.actor, UserId: text(k.user), EnvironmentId: text(k.environment)},
		CallId:  f.id.String(), Method: k.method, Reason: k.reason, CredentialId: text(k.id), Address: authz.AddressText(k.address),
		Count: e.count, FirstTime: timestamppb.New(e.first),
	}}
}

func text(u uuid.UUID) string {
	if u == uuid.Nil {
		return ""
	}
	return u.String()
}

// putBack gives their folds back what could not be written.
func (r *Recorder) putBack(entries []entry) (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		f := e.fold
		if f.count == 0 {
			f.last = e.last
		}
		f.count, f.first, f.until = f.count+e.count, e.first, time.Time{}
		n += e.count
	}
	return n
}

// Run writes until ctx ends, and then what is left.
func (r *Recorder) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		moved := clock.Moved(r.cfg.Clock)
		entries, next := r.take(false)
		left, err := r.write(ctx, entries, writeTimeout)
		r.putBack(left)
		service.Report(ctx, problem(err))
		if err != nil && ctx.Err() == nil {
			failures++
			r.cfg.Log.WarnContext(ctx, "Denied calls cannot be written down", "error", err)
			r.away.Wait(ctx, failures)
			continue
		}
		failures = 0
		if len(entries) > 0 {
			continue // they have begun a window
		}
		if !r.wait(ctx, next, moved) {
			break
		}
	}
	entries, _ := r.take(true)
	if left, err := r.write(context.WithoutCancel(ctx), entries, lastTimeout); err != nil {
		r.lose(ctx, r.putBack(left), err.Error())
	}
	return nil
}

func problem(err error) error {
	if err == nil {
		return nil
	}
	return service.Problem("denied calls cannot be written into the audit log now; they are counted", err)
}

// wait waits until something is to be done; false if ctx ends.
func (r *Recorder) wait(ctx context.Context, next time.Time, moved <-chan struct{}) bool {
	var at <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(max(next.Sub(r.cfg.Clock.Now()), time.Millisecond))
		defer t.Stop()
		at = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-r.wake:
	case <-moved:
	case <-at:
	}
	return true
}

// write writes entries, some at a time, and gives those that are not. One that cannot
// be written holds up no other.
func (r *Recorder) write(ctx context.Context, entries []entry, most time.Duration) (left []entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for some := range slices.Chunk(entries, batch) {
		if r.writeTogether(ctx, some) == nil {
			continue
		}
		for _, e := range some {
			if failed := r.writeTogether(ctx, []entry{e}); failed != nil {
				left, err = append(left, e), fmt.Errorf("write denied calls: %w", failed)
			}
		}
	}
	return left, err
}

func (r *Recorder) writeTogether(ctx context.Context, entries []entry) error {
	return r.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		events := make([]outbox.Event, len(entries))
		for i, e := range entries {
			events[i] = e.event()
		}
		return r.cfg.Events.Add(ctx, tx, events...)
	})
}
