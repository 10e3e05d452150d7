package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"gatehouse.dev/libs/apierr"
)

const (
	// tries is how often a transaction is begun in all.
	tries = 3
	// commitTimeout bounds a commit, which goes on when the caller gives up.
	commitTimeout = 10 * time.Second
	// system is the scope that sees every organization.
	system = "*"
)

// Tx is a transaction. It is only valid, like every pgx.Tx, until the function
// that it was given to returns, and for one goroutine at a time. Begin makes a
// savepoint.
type Tx struct {
	pgx.Tx

	system  bool
	relaxed bool
	hooks   []func()
}

// InOrganization runs fn in a transaction that sees and changes only the rows
// of org. It commits if fn returns nil. See the package comment for what is
// tried again and what errors mean; an error of fn is returned as it is.
func (db *DB) InOrganization(ctx context.Context, org uuid.UUID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, "begin", org.String(), fn)
}

// InOrganizationRead is InOrganization for reading only: a change is refused
// by the database. All statements see the same state of the data.
func (db *DB) InOrganizationRead(ctx context.Context, org uuid.UUID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, "begin isolation level repeatable read read only", org.String(), fn)
}

// AsSystem runs fn in a transaction that sees every organization's rows. It is
// for workers, event consumers and look-ups before the organization is known,
// not for serving a caller who belongs to one.
func (db *DB) AsSystem(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, "begin", system, fn)
}

// AsSystemRead is AsSystem for reading only. All statements see the same state
// of the data.
func (db *DB) AsSystemRead(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return db.run(ctx, "begin isolation level repeatable read read only", system, fn)
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
// transaction of InOrganization.
func (tx *Tx) SetOrganization(ctx context.Context, org uuid.UUID) error {
	return tx.scope(ctx, org.String())
}

// SetSystem takes SetOrganization back: every organization's rows again. It is
// an error in a transaction of InOrganization.
func (tx *Tx) SetSystem(ctx context.Context) error { return tx.scope(ctx, system) }

func (tx *Tx) scope(ctx context.Context, scope string) error {
	if !tx.system {
		return errors.New("change organization: the transaction belongs to one organization")
	}
	// Asked of the database each time, not remembered: rolling a savepoint
	// back also takes the setting back.
	if _, err := tx.Exec(ctx, setScope(scope)); err != nil {
		return fmt.Errorf("change organization: %w", err)
	}
	return nil
}

// Commit is an error: the transaction is committed when its function returns.
func (tx *Tx) Commit(context.Context) error {
	return errors.New("commit: return nil from the transaction's function instead")
}

// Rollback is an error: the transaction is rolled back when its function
// returns an error.
func (tx *Tx) Rollback(context.Context) error {
	return errors.New("rollback: return an error from the transaction's function instead")
}

// setScope is the statement that row-level security goes by. The scope is an
// id or '*', never text from outside.
func setScope(scope string) string {
	return "select set_config('gatehouse.organization_id', '" + scope + "', true)"
}

func (db *DB) run(ctx context.Context, begin, scope string, fn func(context.Context, *Tx) error) error {
	for try := 1; ; try++ {
		again, err := db.once(ctx, begin+"; "+setScope(scope), scope == system, fn)
		if err == nil || !again || try == tries {
			return err
		}
		// Losers of the same conflict must not meet again at once.
		pause := time.NewTimer(time.Duration(try)*5*time.Millisecond + rand.N(10*time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// once runs one try and says whether another may help.
func (db *DB) once(ctx context.Context, begin string, isSystem bool, fn func(context.Context, *Tx) error) (again bool, err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return false, connectionError(ctx, "connect", err)
	}
	// A connection that is not idle when released is closed by the pool, so a
	// panic of fn cannot leave its transaction to somebody else.
	defer conn.Release()

	inner, err := conn.Conn().BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		// Nothing has been done, and the connection may merely have died in
		// the pool, with a database that has since come back.
		return conn.Conn().IsClosed() && ctx.Err() == nil, connectionError(ctx, "begin", err)
	}
	tx := &Tx{Tx: inner, system: isSystem}

	if err := fn(ctx, tx); err != nil {
		if conn.Conn().IsClosed() {
			return false, lost(ctx, err)
		}
		// The caller having given up must not cost the connection.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		_ = inner.Rollback(end) // the connection is closed if this fails
		return repeatable(err) && ctx.Err() == nil, err
	}
	if err := ctx.Err(); err != nil {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		_ = inner.Rollback(end)
		return false, fmt.Errorf("commit: %w", err)
	}
	if err := tx.commit(ctx, conn); err != nil {
		return repeatable(err), err
	}
	for _, f := range tx.hooks {
		f()
	}
	return false, nil
}

// commit commits. It goes on if the caller gives up, so that the outcome is
// known wherever it can be.
func (tx *Tx) commit(ctx context.Context, conn *pgxpool.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var err error
	if tx.relaxed {
		// In one round trip. inner does not know that it has ended, and must
		// not reach the connection again.
		_, err = conn.Exec(ctx, "set local synchronous_commit to off; commit")
		tx.Tx = nil
	} else {
		err = tx.Tx.Commit(ctx)
	}
	switch {
	case err == nil:
		return nil
	case conn.Conn().IsClosed() || unreachable(err):
		return unavailable(fmt.Errorf("commit, outcome unknown: %w", err))
	}
	return fmt.Errorf("commit: %w", err)
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
