package live

import (
	"cmp"
	"sync"
	"time"
)

// Who is who looks.
type Who struct {
	// Organization, User and Environment are ids; Environment is empty for the
	// organization's own people.
	Organization, User, Environment string
	// All says that their role sees everything: in the environment RoleEnvironment, or in
	// the whole scope that they are in.
	All             bool
	RoleEnvironment string
	// External says that they see nothing of other people, nor of work.
	External bool
	// Apps are the ids of the apps that they run.
	Apps []string
}

// sees says whether a role sees everything of an environment.
func (w Who) sees(environment string) bool {
	scope := cmp.Or(w.RoleEnvironment, w.Environment)
	return w.All && (scope == "" || scope == environment)
}

// collections are those of which their role sees something.
func (w Who) collections() set {
	switch {
	case w.All:
		return everything
	case w.External:
		return outside
	default:
		return personal
	}
}

// mayHear says whether something of an environment may be for them.
func (w Who) mayHear(environment string) bool {
	return environment == "" || environment == unknown || w.Environment == "" || w.Environment == environment
}

// Viewer is one open browser.
type Viewer struct {
	timing Timing
	org    *org
	names  map[string]struct{} // ids that concern them; by the hub's lock
	wake   chan struct{}       // something is to be told
	looks  chan struct{}       // who they are is to be looked at

	mu    sync.Mutex
	who   Who
	fresh change // not told yet
}

func newViewer(who Who, timing Timing) *Viewer {
	return &Viewer{who: who, timing: timing, names: map[string]struct{}{}, wake: make(chan struct{}, 1), looks: make(chan struct{}, 1)}
}

// Looks has something in it when who they are may have changed: another role, the end of
// their session.
func (v *Viewer) Looks() <-chan struct{} { return v.looks }

func (v *Viewer) setWho(who Who) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.who = who
}

// look has who they are looked at.
func (v *Viewer) look() { poke(v.looks) }

// tell has the viewer be told of a change, as far as they may see something of it.
func (v *Viewer) tell(c change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.own &= v.who.collections()
	c.copied &= v.who.collections()
	if c != (change{}) {
		v.fresh.own |= c.own
		v.fresh.copied |= c.copied
		poke(v.wake)
	}
}

// take gives what is to be told and was not yet, and of which collections the viewer sees
// something now: they may have been somebody else when it happened.
func (v *Viewer) take() (c change, seen set) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c = v.fresh
	v.fresh = change{}
	return c, v.who.collections()
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Hints decides when a viewer is told what. One goroutine uses it.
type Hints struct {
	v      *Viewer
	timer  *time.Timer
	credit float64   // how many hints are left at last
	last   time.Time // of the hint before
	next   time.Time // when the timer fires; zero for not
	again  set       // told once
}

// Hints are those of a viewer.
func (v *Viewer) Hints() *Hints {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &Hints{v: v, timer: t, credit: float64(v.timing.Burst)}
}

// Stop ends it.
func (h *Hints) Stop() { h.timer.Stop() }

// Wake has something in it when there is something new: then call Plan.
func (h *Hints) Wake() <-chan struct{} { return h.v.wake }

// Due has something in it when it is time: then call Take.
func (h *Hints) Due() <-chan time.Time { return h.timer.C }

// Plan decides when what is new is told.
func (h *Hints) Plan() {
	h.plan(time.Now().Add(h.v.timing.Gather))
}

// plan has the timer fire at a time, or as soon after it as may be, unless it fires before.
func (h *Hints) plan(at time.Time) {
	wait := h.v.timing.Between
	if lacks := 1 - h.credit; lacks > 0 {
		wait = max(wait, time.Duration(lacks*float64(h.v.timing.Every)))
	}
	if earliest := h.last.Add(wait); at.Before(earliest) {
		at = earliest
	}
	if h.next.IsZero() || at.Before(h.next) {
		h.next = at
		h.timer.Reset(time.Until(at))
	}
}

// Take gives the collections to tell of now. There may be none.
func (h *Hints) Take() []Collection {
	fresh, seen := h.v.take()
	now := time.Now()
	what := (fresh.own | fresh.copied | h.again) & seen
	h.credit = min(h.credit+float64(now.Sub(h.last))/float64(h.v.timing.Every), float64(h.v.timing.Burst)) - 1
	h.again, h.last, h.next = fresh.copied&seen, now, time.Time{}
	if h.again != 0 {
		h.plan(h.last.Add(h.v.timing.Again))
	}
	return what.names()
}
