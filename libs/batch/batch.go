// Package batch has commands that come at the same time done together, in one
// transaction with one read and one write.
//
// A command that comes when none is being done is done at once, alone, by the
// goroutine that brought it. Those that come meanwhile wait for its end, and are
// then done as one batch. So nothing waits for company, and the busier a service
// is the less a command costs. One command does not spoil another: each has its
// own result, a batch that fails as a whole or takes longer than [Timeout] is done
// again one by one, and none waits longer than [Patience] for the commands before
// it.
package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
)

const (
	// Patience is how long a command waits for those before it; then it is done
	// alone, beside them.
	Patience = 50 * time.Millisecond
	// Limit is the number of commands in a batch.
	Limit = 64
	// Timeout is how long a batch may take. Then its commands are done alone: a
	// row that somebody has locked for long must not keep those who do not want
	// it.
	Timeout = time.Second
)

// Item is a command with its result.
type Item[C, R any] struct {
	// Context is the caller's: for its trace. Its end is not the batch's.
	Context context.Context
	Command C
	// Result and Err are set by [Func]. An Err concerns this command alone.
	Result R
	Err    error

	taken bool
	done  chan struct{}
	alone bool
}

// Func does commands in one transaction. It may be called again with the same
// items, and then sets every result anew. An error means that nothing was
// done.
type Func[K comparable, C, R any] func(ctx context.Context, key K, items []*Item[C, R]) error

// Queue does the commands of one kind. Its method may be called by any number of
// goroutines.
type Queue[K comparable, C, R any] struct {
	do    Func[K, C, R]
	mu    sync.Mutex
	lines map[K]*line[C, R]
}

// line are the commands with one key.
type line[C, R any] struct {
	waiting []*Item[C, R]
}

// New makes a queue. Only commands with the same key are done together: what a
// transaction is bound to, such as the organization.
func New[K comparable, C, R any](do Func[K, C, R]) *Queue[K, C, R] {
	return &Queue[K, C, R]{do: do, lines: make(map[K]*line[C, R])}
}

// Do does a command, alone or with others, and returns its result.
//
// If ctx ends before its turn, nothing was done. If it ends later, the command
// is finished nevertheless, unless every caller of its batch has gone.
func (q *Queue[K, C, R]) Do(ctx context.Context, key K, command C) (R, error) {
	item := &Item[C, R]{Context: ctx, Command: command}
	if q.enter(key, item) {
		defer q.next(key)
		return q.single(ctx, key, item)
	}
	patience := time.NewTimer(Patience)
	defer patience.Stop()
	select {
	case <-item.done:
	case <-patience.C:
		if q.leave(key, item) {
			return q.single(ctx, key, item)
		}
	case <-ctx.Done():
	}
	select {
	case <-item.done:
	case <-ctx.Done():
		q.leave(key, item)
		var none R
		return none, fmt.Errorf("wait for the commands before: %w", ctx.Err())
	}
	if item.alone {
		return q.single(ctx, key, item)
	}
	return item.Result, item.Err
}

// enter reports whether no command with the key is being done. Otherwise the
// item waits.
func (q *Queue[K, C, R]) enter(key K, item *Item[C, R]) (free bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[key]
	if l == nil {
		q.lines[key] = &line[C, R]{}
		return true
	}
	item.done = make(chan struct{})
	l.waiting = append(l.waiting, item)
	return false
}

// leave takes an item out of those that wait; false if its batch has begun.
func (q *Queue[K, C, R]) leave(key K, item *Item[C, R]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if item.taken {
		return false
	}
	item.taken = true
	l := q.lines[key]
	for n, other := range l.waiting {
		if other == item {
			l.waiting = append(l.waiting[:n], l.waiting[n+1:]...)
			break
		}
	}
	return true
}

// next begins the next batch, if there is one.
func (q *Queue[K, C, R]) next(key K) {
	if items := q.take(key); items != nil {
		go func() {
			for ; items != nil; items = q.take(key) {
				q.together(key, items)
			}
		}()
	}
}

// take takes the next batch; nil if there is none, and then the next command is
// done at once.
func (q *Queue[K, C, R]) take(key K) []*Item[C, R] {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[key]
	n := min(len(l.waiting), Limit)
	if n == 0 {
		delete(q.lines, key)
		return nil
	}
	items := l.waiting[:n:n]
	l.waiting = append([]*Item[C, R](nil), l.waiting[n:]...)
	for _, item := range items {
		item.taken = true
	}
	return items
}

func (q *Queue[K, C, R]) single(ctx context.Context, key K, item *Item[C, R]) (R, error) {
	if err := q.do(ctx, key, []*Item[C, R]{item}); err != nil {
		var none R
		return none, err
	}
	return item.Result, item.Err
}

// together does a batch. Where it fails, its callers do their commands alone, as
// each may have failed for the sake of another; except when it is not known
// whether it has failed, or when the reason is the same for all.
func (q *Queue[K, C, R]) together(key K, items []*Item[C, R]) {
	ctx, cancel := whileWanted(items)
	defer cancel()
	err := q.recovered(ctx, key, items)
	for _, item := range items {
		switch {
		case err == nil:
		case sameForAll(ctx, err):
			item.Err = err
		default:
			item.alone = true
		}
		close(item.done)
	}
}

var errPanic = errors.New("a command panicked")

// recovered makes an error of a panic, which happens again to the caller whose
// command it is.
func (q *Queue[K, C, R]) recovered(ctx context.Context, key K, items []*Item[C, R]) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return q.do(ctx, key, items)
}

// sameForAll says of an error that doing the commands one by one would not help:
// the database is away, or nobody waits any more.
func sameForAll(ctx context.Context, err error) bool {
	return status.Code(err) == codes.Unavailable || errors.Is(ctx.Err(), context.Canceled)
}

// whileWanted is a context for the callers of all items, that lasts while one of
// them waits, [Timeout] at most.
func whileWanted[C, R any](items []*Item[C, R]) (context.Context, context.CancelFunc) {
	contexts := make([]context.Context, len(items))
	for n, item := range items {
		contexts[n] = item.Context
	}
	ctx, cancel := context.WithTimeout(authz.WithCallers(context.WithoutCancel(items[0].Context), contexts...), Timeout)
	var mu sync.Mutex
	waiting := len(items)
	stops := make([]func() bool, len(items))
	for n, item := range items {
		stops[n] = context.AfterFunc(item.Context, func() {
			mu.Lock()
			defer mu.Unlock()
			if waiting--; waiting == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
