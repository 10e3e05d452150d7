package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/backoff"
	"gatehouse.dev/libs/scope"
)

const (
	// tries is how often a transaction is begun in all.
	tries = 3
	// commitTimeout bounds a commit, which goes on when the caller gives up.
	commitTimeout = 10 * time.Second
)

const (
	readWrite = "begin"
	readOnly  = "begin isolation level repeatable read read only"
)

// Tx is a transaction. It is only valid until the function that it was given to
// returns, and for one goroutine at a time.
//
// It saves round trips: beginning goes with the first statement, and what
// [Tx.Later] was given goes with the commit.
type Tx struct {
	conn *pgxpool.Conn
	// scope is what the transaction was begun for; nil is every organization.
	scope   *scope.Scope
	relaxed bool
	hooks   []func()

	// waiting are statements that go before the next one, beginning how many of
	// them the transaction begins with.
	waiting   []*pgx.QueuedQuery
	beginning int
	// begun says that the database has begun the transaction.
	begun bool
	// broken is why nothing more can be done in it: what waited has failed.
	broken error
}

// In runs fn in a transaction that sees and changes only the rows of a scope:
// of one environment, or of a whole organization. It commits if fn returns nil.
// See the package comment for what is tried again and what errors mean; an
// error of fn is returned as it is.
func (db *DB) In(ctx context.Context, s scope.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, readWrite, &s, fn)
}

// InRead is In for reading only: a change is refused by the database. All
// statements see the same state of the data.
func (db *DB) InRead(ctx context.Context, s scope.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, readOnly, &s, fn)
}

// Admitted says whether a transaction of the scope may be (see [Admission]): before
// something is done outside of the database that belongs to one.
func (db *DB) Admitted(ctx context.Context, s scope.Scope) error {
	return db.InRead(ctx, s, func(ctx context.Context, tx *Tx) error { return tx.flush(ctx) })
}

// InOrganization is In for a whole organization.
func (db *DB) InOrganization(ctx context.Context, org uuid.UUID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.In(ctx, scope.Organization(org), fn)
}

// InOrganizationRead is InRead for a whole organization.
func (db *DB) InOrganizationRead(ctx context.Context, org uuid.UUID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.InRead(ctx, scope.Organization(org), fn)
}

// AsSystem runs fn, as [SystemRole], in a transaction that sees every organization's rows. It is
// for workers, event consumers and look-ups before the organization is known,
// not for serving a caller who belongs to one.
func (db *DB) AsSystem(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, readWrite, nil, fn)
}

// AsSystemRead is AsSystem for reading only. All statements see the same state
// of the data.
func (db *DB) AsSystemRead(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, readOnly, nil, fn)
}

// AfterCommit has f called after the commit, in the order of registration, and
// never if the transaction does not commit. f must not block: the caller still
// waits.
func (tx *Tx) AfterCommit(f func()) { tx.hooks = append(tx.hooks, f) }

// Relaxed lets the commit return before it is on disk. It stays all or
// nothing, but a power cut within the next half second may undo it; use it for
// what may safely happen again.
func (tx *Tx) Relaxed() { tx.relaxed = true }

// SetOrganization narrows a transaction of AsSystem to the rows of org from
// here on; it may be called again with another. It is an error in a
// transaction of a scope.
func (tx *Tx) SetOrganization(ctx context.Context, org uuid.UUID) error {
	if tx.scope != nil {
		return errors.New("change organization: the transaction belongs to one organization")
	}
	s := scope.Organization(org)
	return tx.setScope(ctx, &s)
}

// SetSystem takes SetOrganization back: every organization's rows again. It is
// an error in a transaction of a scope.
func (tx *Tx) SetSystem(ctx context.Context) error {
	if tx.scope != nil {
		return errors.New("change organization: the transaction belongs to one organization")
	}
	return tx.setScope(ctx, nil)
}

// Widen lets a transaction of an environment see and change all rows of the
// organization from here on. A command uses it after it has found what it is
// about within the caller's scope, for what it needs besides: the people who
// decide, flows, apps of the organization. It does nothing in a transaction that
// is wider already.
func (tx *Tx) Widen(ctx context.Context) error {
	if tx.scope == nil || tx.scope.Whole() {
		return nil
	}
	whole := scope.Organization(tx.scope.OrganizationID)
	return tx.setScope(ctx, &whole)
}

// setScope asks the database each time and remembers nothing: rolling a
// savepoint back also takes the setting back.
func (tx *Tx) setScope(ctx context.Context, s *scope.Scope) error {
	if _, err := tx.Exec(ctx, setScope, scopeArguments(s)...); err != nil {
		return fmt.Errorf("change scope: %w", err)
	}
	return nil
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if tx.broken != nil {
		return pgconn.CommandTag{}, tx.broken
	}
	if len(tx.waiting) > 0 && len(args) > 0 {
		r := tx.send(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{{SQL: sql, Arguments: args}}})
		tag, err := r.Exec()
		if end := r.Close(); err == nil {
			err = end
		}
		return tag, err
	}
	// Without arguments it may be several statements, which cannot go with
	// others.
	if err := tx.flush(ctx); err != nil {
		return pgconn.CommandTag{}, err
	}
	return tx.conn.Exec(ctx, sql, args...)
}

// Query runs a statement that gives rows.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if tx.broken != nil {
		return noRows{err: tx.broken}, tx.broken
	}
	if len(tx.waiting) == 0 {
		return tx.conn.Query(ctx, sql, args...)
	}
	r := tx.send(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{{SQL: sql, Arguments: args}}})
	rows, err := r.Query()
	if err != nil {
		_ = r.Close() // says the same
		return rows, err
	}
	return &lastRows{Rows: rows, batch: r}, nil
}

// QueryRow runs a statement that gives at most one row; the error of Scan is
// pgx.ErrNoRows if it gives none.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := tx.Query(ctx, sql, args...)
	return oneRow{rows: rows, err: err}
}

// SendBatch sends statements in one round trip.
func (tx *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if len(tx.waiting) == 0 && tx.broken == nil {
		return tx.conn.SendBatch(ctx, b)
	}
	return tx.send(ctx, b)
}

// Later has statements go with the commit, in the order given and in its round
// trip, or before the next statement if one follows. Their errors are then the
// transaction's, or that statement's. If the result of one is read by a
// function, they go before the commit, in a round trip of their own: that
// function may object.
func (tx *Tx) Later(b *pgx.Batch) { tx.waiting = append(tx.waiting, b.QueuedQueries...) }

// send sends what waits and then b; the results are those of b.
func (tx *Tx) send(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if tx.broken != nil {
		return failed{err: tx.broken}
	}
	first := tx.waiting
	tx.waiting = nil
	all := &pgx.Batch{QueuedQueries: append(slices.Clip(first), b.QueuedQueries...)}
	r := tx.conn.SendBatch(ctx, all)
	for _, q := range first {
		if err := result(r, q); err != nil {
			tx.broken = err
			return failed{rest: r, err: err}
		}
		tx.begun = true
	}
	return r
}

// result reads the result of one statement.
func result(r pgx.BatchResults, q *pgx.QueuedQuery) error {
	if q.Fn != nil {
		return q.Fn(r)
	}
	_, err := r.Exec()
	return err
}

// flush sends what waits.
func (tx *Tx) flush(ctx context.Context) error {
	if len(tx.waiting) == 0 {
		return nil
	}
	return tx.send(ctx, &pgx.Batch{}).Close()
}

// failed are the results of a batch that did not come to its own statements.
type failed struct {
	rest pgx.BatchResults
	err  error
}

func (f failed) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, f.err }
func (f failed) Query() (pgx.Rows, error)         { return noRows{err: f.err}, f.err }
func (f failed) Tx() pgx.Tx                       { return nil }
func (f failed) QueryRow() pgx.Row                { return oneRow{err: f.err} }

// Close reads the rest of the batch, which the database has skipped.
func (f failed) Close() error {
	if f.rest != nil {
		_ = f.rest.Close()
	}
	return f.err
}

// noRows are the rows of a statement that failed.
type noRows struct {
	pgx.Rows
	err error
}

func (noRows) Close()              {}
func (noRows) Next() bool          { return false }
func (r noRows) Err() error        { return r.err }
func (r noRows) Scan(...any) error { return r.err }

// lastRows are the rows of the last statement of a batch, which ends with them.
type lastRows struct {
	pgx.Rows
	batch pgx.BatchResults
	err   error
}

func (r *lastRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *lastRows) Close() {
	r.Rows.Close()
	if r.batch != nil {
		r.err = r.batch.Close()
		r.batch = nil
	}
}

func (r *lastRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}

// oneRow is the first of rows.
type oneRow struct {
	rows pgx.Rows
	err  error
}

func (r oneRow) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(into...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}

func (db *DB) run(ctx context.Context, begin string, s *scope.Scope, fn func(context.Context, *Tx) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, db.timeout)
		defer cancel()
	}
	for try := 1; ; try++ {
		again, err := db.once(ctx, begin, s, fn)
		if err == nil || !again || try == tries {
			return err
		}
		// Losers of the same conflict must not meet again at once.
		if !backoff.Wait(ctx, time.Duration(try)*5*time.Millisecond+rand.N(10*time.Millisecond)) {
			return err
		}
	}
}

// once runs one try and says whether another may help.
func (db *DB) once(ctx context.Context, begin string, s *scope.Scope, fn func(context.Context, *Tx) error) (again bool, err error) {
	pool := db.pool
	if s == nil {
		pool = db.system
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return false, connectionError(ctx, "connect", err)
	}
	// A connection that is not idle when released is closed by the pool, so a
	// panic of fn cannot leave its transaction to somebody else.
	defer conn.Release()

	tx := &Tx{conn: conn, scope: s, waiting: db.begin(ctx, begin, s)}
	tx.beginning = len(tx.waiting)
	if err := fn(ctx, tx); err != nil {
		if conn.Conn().IsClosed() {
			// If it was not even begun, the connection may merely have died in
			// the pool, with a database that has since come back.
			return !tx.begun && ctx.Err() == nil, lost(ctx, err)
		}
		tx.rollback(ctx)
		return repeatable(err) && ctx.Err() == nil, db.diskChecked(err)
	}
	if err := ctx.Err(); err != nil {
		tx.rollback(ctx)
		return false, fmt.Errorf("commit: %w", err)
	}
	if err := tx.commit(ctx); err != nil {
		return repeatable(err), db.diskChecked(err)
	}
	for _, f := range tx.hooks {
		f()
	}
	return false, nil
}

// begin is what a transaction begins with.
func (db *DB) begin(ctx context.Context, begin string, s *scope.Scope) []*pgx.QueuedQuery {
	var b pgx.Batch
	b.Queue(begin)
	if db.admission != nil {
		var check pgx.Batch
		organization := db.admission(ctx, &check, begin == readOnly)
		if check.Len() > 0 {
			whole := scope.Organization(organization)
			b.Queue(setScope, scopeArguments(&whole)...)
			b.QueuedQueries = append(b.QueuedQueries, check.QueuedQueries...)
			if s != nil && *s == whole {
				return b.QueuedQueries
			}
		}
	}
	b.Queue(setScope, scopeArguments(s)...)
	return b.QueuedQueries
}

// inTransaction says whether the connection is in a transaction, a failed one
// perhaps.
func (tx *Tx) inTransaction() bool {
	return !tx.conn.Conn().IsClosed() && tx.conn.Conn().PgConn().TxStatus() != 'I'
}

// rollback goes on if the caller gives up: that must not cost the connection.
func (tx *Tx) rollback(ctx context.Context) {
	if !tx.inTransaction() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if _, err := tx.conn.Exec(ctx, "rollback"); err != nil {
		_ = tx.conn.Conn().Close(ctx) // nobody may get it as it is
	}
}

// commit commits. It goes on if the caller gives up, so that the outcome is
// known wherever it can be.
func (tx *Tx) commit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := tx.sendCommit(ctx)
	switch {
	case err == nil:
		return nil
	case tx.conn.Conn().IsClosed() || unreachable(err):
		return unavailable(fmt.Errorf("commit, outcome unknown: %w", err))
	}
	tx.rollback(ctx)
	return fmt.Errorf("commit: %w", err)
}

// sendCommit sends what waits and the commit.
func (tx *Tx) sendCommit(ctx context.Context) error {
	if !tx.begun && len(tx.waiting) == tx.beginning {
		return nil // nothing was asked of the database
	}
	if slices.ContainsFunc(tx.waiting, func(q *pgx.QueuedQuery) bool { return q.Fn != nil }) {
		if err := tx.flush(ctx); err != nil {
			return err
		}
	}
	var end pgx.Batch
	if tx.relaxed {
		end.Queue("set local synchronous_commit to off")
	}
	end.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() == "ROLLBACK" {
			return pgx.ErrTxCommitRollback // a statement had failed, and nobody said so
		}
		return nil
	})
	return tx.send(ctx, &end).Close()
}

// connectionError tells a database that is away from a caller that has gone.
func connectionError(ctx context.Context, doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	if ended := ctx.Err(); ended != nil {
		if errors.Is(err, ended) {
			return err
		}
		return fmt.Errorf("%w: %w", ended, err)
	}
	if unreachable(err) {
		return unavailable(err)
	}
	return err
}

// diskChecked makes err, if it comes of a disk that is full or broken, that of a
// database that is away: the same request may work when there is space again.
// What fn says to callers itself stands.
func (db *DB) diskChecked(err error) error {
	if !diskFails(err) {
		return err
	}
	db.full.Store(true)
	if _, ok := apierr.From(err); ok {
		return err
	}
	return unavailable(err)
}

// lost is the error for a connection that ended while fn had it. What fn says
// to callers itself stands.
func lost(ctx context.Context, err error) error {
	if _, ok := apierr.From(err); ok {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		if errors.Is(err, ended) {
			return err
		}
		return fmt.Errorf("%w: %w", ended, err)
	}
	return unavailable(err)
}
