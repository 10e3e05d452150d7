package postgres

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"gatehouse.dev/libs/apierr"
)

// ReasonUnavailable is the reason of the apierr for a database that is away, or
// that cannot write because its disk is full or broken.
const ReasonUnavailable = "DATABASE_UNAVAILABLE"

// ErrDisk is in the chain of the error of [DB.Ping] if the database answers but
// cannot write: its disk is full or broken.
var ErrDisk = errors.New("the database cannot write to its disk")

// Constraint returns the name of the constraint or unique index that err says
// was violated, for a store to map to its own errors.
func Constraint(err error) (name string, ok bool) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && len(pg.Code) == 5 && pg.Code[:2] == "23" && pg.ConstraintName != "" {
		return pg.ConstraintName, true
	}
	return "", false
}

// unavailable is the public error for a database that is away.
func unavailable(cause error) error { return apierr.Unavailable(ReasonUnavailable, cause) }

// repeatable reports whether the database gave the transaction up in favour of
// others, so that trying again is the remedy.
func repeatable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// diskFails reports whether the database could not write, or read, for want of
// a disk that works and has space.
func diskFails(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "53100" || pg.Code == "58030") // disk full, I/O error
}

// unreachable reports whether err is about the connection and not about what
// was asked of it.
func unreachable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "53300", // too many connections
			pg.Code == "57P01", pg.Code == "57P02", pg.Code == "57P03", // shutting down, crashed, starting
			len(pg.Code) == 5 && pg.Code[:2] == "08":
			return true
		}
		// Whatever ends the session.
		return pg.SeverityUnlocalized == "FATAL" || pg.SeverityUnlocalized == "PANIC"
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, puddle.ErrClosedPool) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNREFUSED)
}
