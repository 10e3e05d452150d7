package batch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/batch"
)

type (
	items = []*batch.Item[int, string]
	queue = batch.Queue[string, int, string]
)

// gate makes a queue whose first transaction waits for open, and which records
// the sizes of all.
type gate struct {
	*queue
	open  chan struct{}
	begun chan struct{}
	mu    sync.Mutex
	sizes []int
}

func newGate(do func(ctx context.Context, items items) error) *gate {
	g := &gate{open: make(chan struct{}), begun: make(chan struct{}, 1)}
	var first atomic.Bool
	g.queue = batch.New(func(ctx context.Context, _ string, list items) error {
		g.mu.Lock()
		g.sizes = append(g.sizes, len(list))
		g.mu.Unlock()
		if first.CompareAndSwap(false, true) {
			g.begun <- struct{}{}
			<-g.open
		}
		return do(ctx, list)
	})
	return g
}

// hold has a command in work until the gate is opened.
func (g *gate) hold(t *testing.T) (wait func()) {
	t.Helper()
	var held sync.WaitGroup
	held.Go(func() { _, _ = g.Do(context.WithoutCancel(t.Context()), "a", 0) })
	<-g.begun
	return func() { close(g.open); held.Wait() }
}

func answer(_ context.Context, list items) error {
	for _, i := range list {
		i.Result, i.Err = fmt.Sprint(i.Command), nil
		if i.Command < 0 {
			i.Err = errors.New("negative")
		}
	}
	return nil
}

// While one is done the others gather, and each gets its own result.
func TestTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(answer)
		release := g.hold(t)
		var all sync.WaitGroup
		for n := range 20 {
			command := n + 1
			if n%5 == 0 {
				command = -command
			}
			all.Go(func() {
				got, err := g.Do(t.Context(), "a", command)
				if got != fmt.Sprint(command) || (err != nil) != (command < 0) {
					t.Errorf("%d: %q, %v", command, got, err)
				}
			})
		}
		if got, err := g.Do(t.Context(), "b", 7); err != nil || got != "7" {
			t.Errorf("another key waits: %q, %v", got, err)
		}
		synctest.Wait() // all are there, and none has lost its patience
		release()
		all.Wait()
		if g.sizes[len(g.sizes)-1] < 2 {
			t.Errorf("transactions of %v commands", g.sizes)
		}
	})
}

// One that would spoil the transaction of all fails alone.
func TestOneSpoilsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spoiled := errors.New("constraint")
		g := newGate(func(ctx context.Context, list items) error {
			for _, i := range list {
				switch i.Command {
				case 13:
					return spoiled
				case 14:
					panic("fourteen")
				}
			}
			return answer(ctx, list)
		})
		release := g.hold(t)
		var all sync.WaitGroup
		for command := 10; command < 16; command++ {
			all.Go(func() {
				defer func() {
					if p := recover(); (p != nil) != (command == 14) {
						t.Errorf("%d panics: %v", command, p)
					}
				}()
				got, err := g.Do(t.Context(), "a", command)
				switch {
				case command == 13 && !errors.Is(err, spoiled):
					t.Errorf("13: %v", err)
				case command != 13 && (err != nil || got != fmt.Sprint(command)):
					t.Errorf("%d: %q, %v", command, got, err)
				}
			})
		}
		synctest.Wait()
		release()
		all.Wait()
	})
}

// Where the outcome is unknown a command is not done a second time.
func TestUnknownOutcomeIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int32
		g := newGate(func(_ context.Context, list items) error {
			for range list {
				done.Add(1)
			}
			return status.Error(codes.Unavailable, "the connection was lost")
		})
		release := g.hold(t)
		var all sync.WaitGroup
		for command := range 5 {
			all.Go(func() {
				if _, err := g.Do(t.Context(), "a", command); status.Code(err) != codes.Unavailable {
					t.Errorf("%d: %v", command, err)
				}
			})
		}
		synctest.Wait()
		release()
		all.Wait()
		if n := done.Load(); n != 6 {
			t.Errorf("6 commands were done %d times", n)
		}
	})
}

// A command that hangs holds up nobody for long.
func TestNobodyWaitsForOneThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(answer)
		release := g.hold(t)
		defer release()
		var all sync.WaitGroup
		for command := range 5 {
			all.Go(func() {
				if got, err := g.Do(t.Context(), "a", command); err != nil || got != fmt.Sprint(command) {
					t.Errorf("%d: %q, %v", command, got, err)
				}
			})
		}
		all.Wait()
	})
}

// A row that somebody has locked for long keeps only those who want it.
func TestOneThatHangsInABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(func(ctx context.Context, list items) error {
			for _, i := range list {
				if i.Command == 13 {
					<-ctx.Done()
					return ctx.Err()
				}
			}
			return answer(ctx, list)
		})
		release := g.hold(t)
		var others, locked sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		locked.Go(func() {
			if _, err := g.Do(ctx, "a", 13); !errors.Is(err, context.Canceled) {
				t.Errorf("13: %v", err)
			}
		})
		for command := range 5 {
			others.Go(func() {
				if got, err := g.Do(t.Context(), "a", command); err != nil || got != fmt.Sprint(command) {
					t.Errorf("%d: %q, %v", command, got, err)
				}
			})
		}
		synctest.Wait()
		release()
		others.Wait()
		cancel()
		locked.Wait()
	})
}

// Who gives up before their turn has done nothing; the batch of others goes on
// when one of its callers has gone.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen sync.Map
		g := newGate(func(ctx context.Context, list items) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			for _, i := range list {
				seen.Store(i.Command, true)
			}
			return answer(ctx, list)
		})
		release := g.hold(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.Do(ctx, "a", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("gave up: %v", err)
		}
		var other sync.WaitGroup
		other.Go(func() {
			if got, err := g.Do(t.Context(), "a", 2); err != nil || got != "2" {
				t.Errorf("2: %q, %v", got, err)
			}
		})
		release()
		other.Wait()
		if _, ok := seen.Load(1); ok {
			t.Error("a command was done whose caller had given up")
		}
	})
}

// Any number of callers, each with its own answer, and nothing left behind.
func TestMany(t *testing.T) {
	t.Parallel()
	q := batch.New(func(ctx context.Context, _ string, list items) error {
		if len(list) > batch.Limit {
			t.Errorf("%d commands at once", len(list))
		}
		runtime.Gosched() // others come meanwhile
		return answer(ctx, list)
	})
	var all sync.WaitGroup
	for caller := range 50 {
		all.Go(func() {
			for n := range 40 {
				command := caller*100 + n
				if got, err := q.Do(t.Context(), fmt.Sprint(caller%3), command); err != nil || got != fmt.Sprint(command) {
					t.Errorf("%d: %q, %v", command, got, err)
				}
			}
		})
	}
	all.Wait()
}
