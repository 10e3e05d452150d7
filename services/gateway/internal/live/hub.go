package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
	_ "gatehouse.dev/proto/gen/gatehouse/event/v1" // the events
)

const (
	// MaxStreams is how many streams a hub has at once.
	MaxStreams = 10_000
	// MaxStreamsOfUser is how many of them one user has.
	MaxStreamsOfUser = 32
	// maxRequests is of how many requests a viewer it is known that they concern them.
	maxRequests = 500
)

// Timing is how long hints wait.
type Timing struct {
	// Gather is how long what follows an event at once is waited for.
	Gather time.Duration
	// Between is the least between two hints to one browser. One that has had Burst of
	// them gets another only Every so long, until it has had fewer for a while.
	Between, Every time.Duration
	Burst          int
	// Again is after how long it is told a second time what other services show of an
	// event: they have heard of it by then.
	Again time.Duration
	// Others is how long it takes at most until a change is told to those who might see
	// something of it, and whom it does not name.
	Others time.Duration
}

// DefaultTiming is for people.
func DefaultTiming() Timing {
	return Timing{Gather: 150 * time.Millisecond, Between: 500 * time.Millisecond, Every: 4 * time.Second, Burst: 6, Again: 2 * time.Second, Others: 45 * time.Second}
}

// Hub hears events and tells viewers. Its methods may be called by any number of
// goroutines.
type Hub struct {
	bus    *bus.Listener
	timing Timing
	log    *slog.Logger

	mu            sync.Mutex
	organizations map[string]*org
	open          int
}

// org is an organization with open browsers, whose events are heard.
type org struct {
	ready   chan struct{} // closed when its events are heard
	stop    func()
	viewers map[*Viewer]struct{}
	// named are the viewers whom events concern that name an id.
	named map[string]map[*Viewer]struct{}
	// others is what has changed for those whom it was not told yet, by environment.
	others map[string]set
}

// Config says where the bus is.
type Config struct {
	// Bus is the bus; its Missed is set here.
	Bus    bus.ListenerConfig
	Timing Timing
}

// New connects in the background; the bus may be away.
func New(cfg Config) (*Hub, error) {
	h := &Hub{timing: cfg.Timing, log: cfg.Bus.Log, organizations: map[string]*org{}}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	cfg.Bus.Missed = h.missed
	var err error
	if h.bus, err = bus.Listen(cfg.Bus); err != nil {
		return nil, err //nolint:wrapcheck // says what it is about
	}
	return h, nil
}

// Ready says whether events are heard, for a readiness check.
func (h *Hub) Ready(ctx context.Context) error {
	return h.bus.Ready(ctx) //nolint:wrapcheck // says what it is about
}

// Streams is how many viewers there are.
func (h *Hub) Streams() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// Close ends the connection to the bus. End the viewers before.
func (h *Hub) Close() { h.bus.Close() }

// errFull says that there are as many streams as there may be.
var errFull = errors.New("there are too many open streams")

// IsFull says of an error of Join that there are as many streams as there may be.
func IsFull(err error) bool { return errors.Is(err, errFull) }

// Join adds a viewer; what happens from now on is told. Leave when done.
func (h *Hub) Join(ctx context.Context, who Who) (v *Viewer, err error) {
	v = newViewer(who, h.timing)
	o, first, err := h.enter(v)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.Leave(v)
		}
	}()
	if first {
		stop, err := h.bus.Hear(ctx, "access."+who.Organization+".>", func(m *nats.Msg) { h.heard(o, m) })
		h.mu.Lock()
		defer h.mu.Unlock()
		defer close(o.ready)
		if err != nil {
			return nil, err //nolint:wrapcheck // says what it is about
		}
		if o.stop = stop; len(o.viewers) == 0 { // all have left meanwhile
			stop()
		}
		return v, nil
	}
	select {
	case <-o.ready:
		return v, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the bus: %w", ctx.Err())
	}
}

// enter adds a viewer to their organization; first says that nobody was there.
func (h *Hub) enter(v *Viewer) (o *org, first bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o = h.organizations[v.who.Organization]
	if h.open >= MaxStreams || o != nil && len(o.named[v.who.User]) >= MaxStreamsOfUser {
		return nil, false, errFull
	}
	if o == nil {
		o = &org{ready: make(chan struct{}), viewers: map[*Viewer]struct{}{}, named: map[string]map[*Viewer]struct{}{}, others: map[string]set{}}
		h.organizations[v.who.Organization] = o
		first = true
	}
	h.open++
	v.org = o
	o.viewers[v] = struct{}{}
	o.name(v, v.who.User)
	for _, app := range v.who.Apps {
		o.name(v, app)
	}
	return o, first, nil
}

// Leave ends what Join began.
func (h *Hub) Leave(v *Viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := v.org
	if _, in := o.viewers[v]; !in {
		return
	}
	h.open--
	delete(o.viewers, v)
	for id := range v.names {
		if delete(o.named[id], v); len(o.named[id]) == 0 {
			delete(o.named, id)
		}
	}
	if len(o.viewers) == 0 {
		delete(h.organizations, v.who.Organization)
		if o.stop != nil {
			o.stop()
		}
	}
}

// Change has a viewer be somebody else from now on: another role, other apps. User and
// organization stay.
func (h *Hub) Change(v *Viewer, who Who) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.setWho(who)
	if _, in := v.org.viewers[v]; !in {
		return
	}
	for _, app := range who.Apps {
		v.org.name(v, app)
	}
}

// name has events that name an id concern a viewer. The hub's lock is held.
func (o *org) name(v *Viewer, id string) {
	if id == "" || len(v.names) >= maxRequests+len(v.who.Apps) {
		return
	}
	if o.named[id] == nil {
		o.named[id] = map[*Viewer]struct{}{}
	}
	o.named[id][v] = struct{}{}
	v.names[id] = struct{}{}
}

// heard tells of an event.
func (h *Hub) heard(o *org, m *nats.Msg) {
	_, name, ok := event.ParseSubject(m.Subject)
	if !ok {
		return
	}
	aggregate, _, _ := strings.Cut(name, ".")
	e := read(m)
	h.mu.Lock()
	defer h.mu.Unlock()
	what := changeOf(aggregate)
	concerned := map[*Viewer]struct{}{}
	for _, id := range e.ids {
		for v := range o.named[id] {
			concerned[v] = struct{}{}
		}
	}
	for v := range concerned {
		for _, id := range e.requests {
			o.name(v, id)
		}
	}
	if access[aggregate] {
		for v := range o.named[e.user] {
			v.look()
		}
	}
	for v := range o.viewers {
		_, named := concerned[v]
		if named || v.who.sees(e.environment) {
			v.tell(what)
		}
	}
	if len(o.others) == 0 {
		time.AfterFunc(h.timing.Others*2/3, func() { h.tellOthers(o) })
	}
	o.others[e.environment] |= what.own | what.copied
}

// tellOthers tells everybody what might have changed for them, not all at once.
func (h *Hub) tellOthers(o *org) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range o.viewers {
		var what set
		for environment, s := range o.others {
			if v.who.mayHear(environment) && !v.who.sees(environment) {
				what |= s
			}
		}
		if what != 0 {
			time.AfterFunc(rand.N(h.timing.Others/3+1), func() { v.tell(change{own: what}) })
		}
	}
	clear(o.others)
}

// missed has everybody ask for everything again, not all at once, and be looked at before.
func (h *Hub) missed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.organizations {
		for v := range o.viewers {
			v.look()
			time.AfterFunc(rand.N(h.timing.Again*2+1), func() { v.tell(change{own: everything}) })
		}
	}
}

// told is what an event says that decides whom it concerns.
type told struct {
	// ids are all ids in it; requests those of requests among them.
	ids, requests     []string
	user, environment string
}

// read reads an event. One that cannot be read, such as of a newer release, concerns only
// those who see everything.
func read(m *nats.Msg) told {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(m.Header.Get(bus.HeaderType)))
	if err != nil {
		return told{environment: unknown}
	}
	e := kind.New().Interface()
	if err := proto.Unmarshal(m.Data, e); err != nil {
		return told{environment: unknown}
	}
	c := event.ContextOf(e)
	return told{ids: idsIn(nil, e.ProtoReflect()), requests: c.GetRequestIds(), user: c.GetUserId(), environment: c.GetEnvironmentId()}
}

// unknown is the environment of an event that cannot be read.
const unknown = "?"

// idsIn adds the ids in a message: texts of the length of a UUID.
func idsIn(ids []string, m protoreflect.Message) []string {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		one := func(v protoreflect.Value) {
			switch f.Kind() {
			case protoreflect.StringKind:
				if s := v.String(); len(s) == 36 {
					ids = append(ids, s)
				}
			case protoreflect.MessageKind:
				ids = idsIn(ids, v.Message())
			default:
			}
		}
		switch {
		case f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				one(v.List().Get(i))
			}
		default:
			one(v)
		}
		return true
	})
	return ids
}
