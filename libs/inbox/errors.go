package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
)

// ErrNotYet is in the chain of a handler's error if something that the event
// stands on has not arrived, such as the person whom a request is for. The
// event is tried again after a short pause, more often than after other
// failures.
var ErrNotYet = errors.New("not yet")

// NotYet is an error with ErrNotYet in its chain that says what is awaited.
func NotYet(format string, args ...any) error {
	return &notYet{text: fmt.Sprintf(format, args...)}
}

type notYet struct{ text string }

func (e *notYet) Error() string { return "not yet: " + e.text }
func (e *notYet) Unwrap() error { return ErrNotYet }

// Failed is err, said by a [BatchHandler] of one of its events: the others are
// handled without it, and it alone is tried again.
func Failed(ev Event, err error) error { return &blame{event: ev.ID, err: err} }

type blame struct {
	event uuid.UUID
	err   error
}

func (b *blame) Error() string { return b.err.Error() }
func (b *blame) Unwrap() error { return b.err }

// failure is the error of handlers, as opposed to one of the transaction around
// them. event is the one that failed, nil if nobody knows.
type failure struct {
	event *delivery
	err   error
}

func (f *failure) Error() string {
	if f.event == nil {
		return fmt.Sprintf("handle events: %v", f.err)
	}
	return fmt.Sprintf("handle %s: %v", f.event.Type, f.err)
}
func (f *failure) Unwrap() error { return f.err }

// errNoAnswer marks an attempt that the database did not answer in time, before
// it came to any event.
var errNoAnswer = errors.New("the database does not answer")

// databaseAway says that err is the database's trouble and no event's.
func databaseAway(err error) bool {
	if apierr.HasReason(err, postgres.ReasonUnavailable) || errors.Is(err, errNoAnswer) {
		return true
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return false
	}
	switch pg.Code[:2] {
	case "08", "53", "58": // connection, resources, system
		return true
	}
	switch pg.Code {
	case "25006", // a standby, during a failover
		"57P01", "57P02", "57P03":
		return true
	}
	return false
}

// describe is the text of an error as it is kept for an operator.
func describe(err error) string {
	text := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "\uFFFD")
	const most = 1000
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// result names what became of an attempt, for the metric.
func result(err error) string {
	switch {
	case err == nil:
		return "handled"
	case errors.Is(err, ErrNotYet):
		return "not_yet"
	case errors.Is(err, context.DeadlineExceeded):
		return "timed_out"
	default:
		return "failed"
	}
}
