package due

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
)

// Config says whose items are handled. DB is required.
type Config struct {
	// DB is the service's database, with the table of Schema.
	DB *postgres.DB
	// Clock gives the time. Nil means the machine's.
	Clock clock.Clock
	// Log gets failures. Nil discards.
	Log *slog.Logger
	// Telemetry measures. May be nil.
	Telemetry *telemetry.Telemetry

	// Lease is for how long a claim holds: how long items wait that a process
	// had when it was killed. 0 means 30 s.
	Lease time.Duration
	// Timeout bounds a transaction of a single item; one of several, which is only
	// cheaper, has 3/10 of it. 0 means 10 s. Lease is twice as long or longer.
	Timeout time.Duration
	// RetryFirst and RetryLongest bound the pause after a failure, which doubles
	// each time. 0 means 1 s and 5 min.
	RetryFirst, RetryLongest time.Duration
	// LateAfter is from when on an item counts as late. 0 means 10 s.
	LateAfter time.Duration
	// Poll is how often the queue looks without having been woken: for what
	// another replica added or left. 0 means 5 s.
	Poll time.Duration
}

// Defaults of [Config].
const (
	DefaultLease        = 30 * time.Second
	DefaultTimeout      = 10 * time.Second
	DefaultRetryLongest = 5 * time.Minute
)

// togetherTimeout bounds a transaction of several items.
func (c Config) togetherTimeout() time.Duration { return c.Timeout * 3 / 10 }

// Handler gives items of one kind and one organization their effect, in tx,
// which sees that organization's rows. The items are already deleted in tx; one
// that is to happen again is added again. An error rolls tx back.
type Handler func(ctx context.Context, tx *postgres.Tx, items []Item) error

// Queue handles items when they are due. Make it with [New].
type Queue struct {
	cfg      Config
	log      *slog.Logger
	handlers map[string]Handler
	metrics  *metrics
	wake     chan struct{}
}

const (
	// claimed is how many items are claimed at once, and together how many of
	// them share a transaction.
	claimed  = 256
	together = 16
	// sideBySide is how many transactions run at once.
	sideBySide = 4
)

// New makes a queue, which does nothing until [Queue.Run].
func New(cfg Config) (*Queue, error) {
	if cfg.DB == nil {
		return nil, errors.New("a due-queue needs a database")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	for d, otherwise := range map[*time.Duration]time.Duration{
		&cfg.Lease: DefaultLease, &cfg.Timeout: DefaultTimeout,
		&cfg.RetryFirst: time.Second, &cfg.RetryLongest: DefaultRetryLongest, &cfg.LateAfter: 10 * time.Second, &cfg.Poll: 5 * time.Second,
	} {
		if *d <= 0 {
			*d = otherwise
		}
	}
	q := &Queue{cfg: cfg, log: cfg.Log, handlers: make(map[string]Handler), wake: make(chan struct{}, 1)}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	var err error
	q.metrics, err = newMetrics(cfg.Telemetry)
	return q, err
}

// Handle registers the handler of a kind, before Run. It panics if the kind has
// one, as that is a mistake of the program.
func (q *Queue) Handle(kind string, h Handler) {
	if q.handlers[kind] != nil {
		panic("due: two handlers of " + kind)
	}
	q.handlers[kind] = h
}

// Wake has the queue look for items that are due. It never blocks.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run handles items until ctx ends, and then returns nil once the transactions
// in work have ended. A database that is away does not end it. Run it once per
// replica.
func (q *Queue) Run(ctx context.Context) error {
	stop, err := q.metrics.watch(q)
	if err != nil {
		return err
	}
	defer stop()

	// Each kind has two loops, so that neither another kind nor what has failed
	// before keeps an item waiting.
	var loops sync.WaitGroup
	var wakes []chan struct{}
	for kind := range q.handlers {
		for _, retries := range []bool{false, true} {
			l := &loop{Queue: q, kind: kind, retries: retries, wake: make(chan struct{}, 1)}
			wakes = append(wakes, l.wake)
			loops.Go(func() { l.run(ctx) })
		}
	}
	for ctx.Err() == nil {
		select {
		case <-q.wake:
			for _, w := range wakes {
				select {
				case w <- struct{}{}:
				default:
				}
			}
		case <-ctx.Done():
		}
	}
	loops.Wait()
	return nil
}

// loop handles the items of one kind: those that have not failed, or those that
// have.
type loop struct {
	*Queue
	kind    string
	retries bool
	wake    chan struct{}
	floor   Floor
}

func (l *loop) run(ctx context.Context) {
	failed := false
	for ctx.Err() == nil {
		moved := clock.Moved(l.cfg.Clock)
		items, claim, next, err := l.claim(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil:
			if !failed {
				l.log.Warn("Due items could not be claimed", "kind", l.kind, "error", err)
			}
			next = l.cfg.RetryFirst
		case len(items) > 0:
			l.handle(ctx, items, claim)
			next = 0
		}
		failed = err != nil
		if next <= 0 {
			continue
		}
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-l.wake:
		case <-moved:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

const claimItems = `
update due d set claim = $3, try_time = $4
from (select c.kind, c.key from due c
      where c.kind = $1 and c.try_time >= $6 and c.try_time <= $2 and %s
      order by c.try_time limit $5 for update skip locked) c
where d.kind = c.kind and d.key = c.key
returning d.key, d.organization_id, d.due_time, d.attempts`

var (
	claimFirst = fmt.Sprintf(claimItems, "c.attempts = 0")
	claimRetry = fmt.Sprintf(claimItems, "c.attempts > 0")
)

const (
	nextFirst = `select min(try_time) from due where kind = $1 and try_time >= $2 and attempts = 0`
	nextRetry = `select min(try_time) from due where kind = $1 and try_time >= $2 and attempts > 0`
)

// claim claims items that are due, or says in how long there may be some.
func (l *loop) claim(ctx context.Context) (items []Item, claim uuid.UUID, next time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	claimSQL, nextSQL := claimFirst, nextFirst
	if l.retries {
		claimSQL, nextSQL = claimRetry, nextRetry
	}
	err = l.cfg.DB.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.Relaxed() // a claim that a power cut undoes is made again
		now := l.cfg.Clock.Now()
		claim, next = uuid.New(), l.cfg.Poll
		if l.floor.Stale() {
			var oldest *time.Time
			if err := tx.QueryRow(ctx, nextSQL, l.kind, time.Time{}).Scan(&oldest); err != nil {
				return err
			}
			l.floor.Set(now, oldest)
		}
		rows, err := tx.Query(ctx, claimSQL, l.kind, now, claim, now.Add(l.cfg.Lease), claimed, l.floor.Time())
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Item, error) {
			i := Item{Kind: l.kind}
			err := row.Scan(&i.Key, &i.OrganizationID, &i.Time, &i.Attempts)
			return i, err
		})
		if err != nil || len(items) > 0 {
			return err
		}
		var first *time.Time
		if err := tx.QueryRow(ctx, nextSQL, l.kind, l.floor.Time()).Scan(&first); err != nil {
			return err
		}
		if first != nil {
			next = max(min(next, first.Sub(now)), time.Millisecond)
		}
		return nil
	})
	return items, claim, next, err
}

// handle gives items their effect: those of one organization together, several
// organizations side by side. What has failed before is done alone.
func (l *loop) handle(ctx context.Context, items []Item, claim uuid.UUID) {
	slices.SortStableFunc(items, func(a, b Item) int { return a.Time.Compare(b.Time) })
	byOrganization := make(map[uuid.UUID][]Item)
	var order []uuid.UUID
	for _, i := range items {
		if byOrganization[i.OrganizationID] == nil {
			order = append(order, i.OrganizationID)
		}
		byOrganization[i.OrganizationID] = append(byOrganization[i.OrganizationID], i)
	}
	size := together
	if l.retries {
		size = 1
	}
	var sets [][]Item
	// Round and round, so that an organization with many items does not come
	// before one with few.
	for len(order) > 0 {
		left := order[:0]
		for _, org := range order {
			rest := byOrganization[org]
			n := min(len(rest), size)
			sets = append(sets, rest[:n])
			if byOrganization[org] = rest[n:]; len(rest) > n {
				left = append(left, org)
			}
		}
		order = left
	}
	until := time.Now().Add(l.cfg.Lease - l.cfg.togetherTimeout() - l.cfg.Timeout)
	work := make(chan []Item)
	var workers sync.WaitGroup
	for range min(sideBySide, len(sets)) {
		workers.Go(func() {
			for set := range work {
				l.handleSet(ctx, set, claim, until)
			}
		})
	}
	for _, set := range sets {
		work <- set
	}
	close(work)
	workers.Wait()
}

// handleSet handles a set in one transaction, or, if that fails, each item in a
// transaction of its own. What the lease leaves no time for is left to the next
// claim.
func (l *loop) handleSet(ctx context.Context, set []Item, claim uuid.UUID, until time.Time) {
	over := func() bool { return ctx.Err() != nil || time.Now().After(until) }
	if len(set) > 1 && !over() {
		if l.attempt(ctx, set, claim, l.cfg.togetherTimeout()) == nil {
			return
		}
	}
	for _, i := range set {
		if over() {
			return
		}
		if err := l.attempt(ctx, []Item{i}, claim, l.cfg.Timeout); err != nil {
			l.fail(ctx, i, claim, err)
		}
	}
}

const takeItems = `delete from due where kind = $1 and key = any($2) and claim = $3 returning key`

// attempt is one transaction: items that are still claimed are deleted and get
// their effect. It is finished also at shutdown.
func (l *loop) attempt(ctx context.Context, set []Item, claim uuid.UUID, timeout time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("Handler of due items panicked", "kind", l.kind, "organization_id", set[0].OrganizationID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("handler panicked: %v", p)
		}
	}()
	var done []Item
	err = l.cfg.DB.InOrganization(ctx, set[0].OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, takeItems, l.kind, postgres.Column(set, func(i Item) uuid.UUID { return i.Key }), claim)
		if err != nil {
			return fmt.Errorf("take due items: %w", err)
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return fmt.Errorf("take due items: %w", err)
		}
		done = slices.DeleteFunc(slices.Clone(set), func(i Item) bool { return !slices.Contains(keys, i.Key) })
		if len(done) == 0 {
			return nil
		}
		return l.handlers[l.kind](ctx, tx, done)
	})
	if err == nil {
		l.metrics.handled(done, l.cfg.Clock.Now())
	}
	return err
}

const failItem = `
update due set attempts = attempts + 1, try_time = $4, error = $5, claim = null where kind = $1 and key = $2 and claim = $3`

// fail notes a failure and when to try again. If that cannot be noted, the lease
// ends.
func (l *loop) fail(ctx context.Context, i Item, claim uuid.UUID, cause error) {
	l.metrics.failed(i)
	pause := backoff.Backoff{First: l.cfg.RetryFirst, Longest: l.cfg.RetryLongest}.After(i.Attempts + 1)
	l.log.Error("Due item failed, it will be tried again", "kind", l.kind, "key", i.Key, "organization_id", i.OrganizationID,
		"attempts", i.Attempts+1, "pause", pause, "error", cause)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Timeout)
	defer cancel()
	text := strings.ToValidUTF8(strings.ReplaceAll(cause.Error(), "\x00", ""), "\uFFFD")
	text = strings.ToValidUTF8(text[:min(len(text), 1000)], "")
	err := l.cfg.DB.InOrganization(ctx, i.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, failItem, l.kind, i.Key, claim, l.cfg.Clock.Now().Add(pause), text)
		return err
	})
	if err != nil {
		l.log.Warn("Failure of a due item could not be noted", "kind", l.kind, "key", i.Key, "organization_id", i.OrganizationID, "error", err)
	}
}
