package scim

import (
	"context"
	"sync"
	"time"
)

// Calls of one organization take turns: callsAtOnce are worked on, the others wait
// turnTimeout at most. A filter that is asked of everybody reads a whole directory, and
// the connections to the database are shared by all organizations.
const (
	callsAtOnce = 4
	turnTimeout = 20 * time.Second
)

// turns are the calls that are worked on, by organization.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

type turn struct {
	places chan struct{}
	calls  int // in work or waiting
}

// take waits for a turn of an organization. It returns false if none has come in time;
// else done must be called.
func (t *turns) take(ctx context.Context, organization string) (done func(), ok bool) {
	t.mu.Lock()
	if t.of == nil {
		t.of = make(map[string]*turn)
	}
	mine := t.of[organization]
	if mine == nil {
		mine = &turn{places: make(chan struct{}, callsAtOnce)}
		t.of[organization] = mine
	}
	mine.calls++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.calls--; mine.calls == 0 {
			delete(t.of, organization)
		}
	}
	timeout := time.NewTimer(turnTimeout)
	defer timeout.Stop()
	select {
	case mine.places <- struct{}{}:
		return func() { <-mine.places; leave() }, true
	case <-timeout.C:
	case <-ctx.Done():
	}
	leave()
	return nil, false
}
