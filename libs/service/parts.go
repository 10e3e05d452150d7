package service

import (
	"context"
	"errors"
	"sync"
	"time"

	"gatehouse.dev/libs/backoff"
)

// Part is something that the service stands on and that may stop working while
// the service runs, such as its database. /readyz and the metric
// gatehouse_part_up name it. Every [Task] is a part too.
type Part struct {
	// Name is for people and for the metric, such as "database".
	Name string
	// Needed says what the service cannot do without it.
	Needed Needed
	// Check returns nil if the part works now. It is called about once a second
	// and must end with ctx, which ends after a few seconds. /readyz shows the
	// text of a [Problem]; of any other error only the log tells.
	Check func(ctx context.Context) error
}

// Needed says what a service cannot do without a part.
type Needed int

const (
	// Optional means that the service is ready, but degraded, without the part.
	Optional Needed = iota
	// ToStart means that the service is not ready for the first time before the
	// part works. Later it is optional.
	ToStart
	// Always means that the service is not ready whenever the part does not work.
	Always
)

// Problem is the error of a part that does not work. The text is public: plain
// English that says what does not work, and no address, no secret and no
// driver's words. The cause is for the log.
func Problem(text string, cause error) error { return &problem{text: text, cause: cause} }

// Impaired is [Problem] for a part that works, but not all of it.
func Impaired(text string, cause error) error {
	return &problem{text: text, cause: cause, impaired: true}
}

type problem struct {
	text     string
	cause    error
	impaired bool
}

func (p *problem) Error() string {
	if p.cause == nil {
		return p.text
	}
	return p.text + ": " + p.cause.Error()
}

func (p *problem) Unwrap() error { return p.cause }

// Report says how the task that ctx was given to fares: err is what keeps it
// from its work, nil that it works. The last report stands. In any other
// context it does nothing.
func Report(ctx context.Context, err error) {
	if r, ok := ctx.Value(reportKey{}).(*report); ok && !errors.Is(err, context.Canceled) {
		r.set(err)
	}
}

// Every does something now and then again after every, until ctx ends, for a task
// that is called to do so. What fails is reported, and is tried again soon: after a
// second, then ever later, up to a minute. So a database that has come back is found
// at once, however seldom it is needed.
func Every(ctx context.Context, every time.Duration, do func(ctx context.Context) error) error {
	again := backoff.Backoff{First: time.Second, Longest: time.Minute}
	for failures := 0; ; {
		err := do(ctx)
		Report(ctx, err)
		pause := every
		if err != nil {
			failures++
			pause = min(every, again.After(failures))
		} else {
			failures = 0
		}
		if !backoff.Wait(ctx, pause) {
			return nil
		}
	}
}

type reportKey struct{}

// report is what a task last said of itself.
type report struct {
	mu  sync.Mutex
	err error
}

func (r *report) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *report) get(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
