package connector

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says what to do about an Error.
type Kind int

const (
	// Retryable may pass: the app is away, busy, slow or broken, or the answer was lost. The work may have been done.
	Retryable Kind = iota + 1
	// Permanent stays until a person changes something: a wrong address, a missing right, a group that the app does not have.
	Permanent
	// NotFound says that the account is not in the app (any more). EnsureAccount makes it again.
	NotFound
	// Unauthorized says that the app refused the integration's credentials. It concerns every person: other calls will fail alike.
	Unauthorized
	// Conflict says that the app holds something that stands in the way, and a person must decide whose it is.
	Conflict
	// Exists says that there is an account with the person's user name, and that it is not known to be theirs: Error.Account.
	Exists
)

func (k Kind) String() string {
	switch k {
	case Retryable:
		return "retryable"
	case Permanent:
		return "permanent"
	case NotFound:
		return "not found"
	case Unauthorized:
		return "unauthorized"
	case Conflict:
		return "conflict"
	case Exists:
		return "exists"
	default:
		return fmt.Sprintf("kind %d", int(k))
	}
}

// MaxMessage is the length of the longest Message, in bytes.
const MaxMessage = 400

// MaxRetryAfter is the longest wait that an app can ask for: an app must not put off the removal of access for ever.
const MaxRetryAfter = time.Hour

// Error is what a Connector returns when it could not do what it was asked.
type Error struct {
	Kind Kind
	// RetryAfter is how long the app wants to be left alone; 0 when it did not say. At most MaxRetryAfter.
	RetryAfter time.Duration
	// Message tells an operator what happened: one line, at most MaxMessage bytes, no secrets.
	Message string
	// Account is what was found, of an error of kind Exists.
	Account Account

	cause error
}

// NewError returns an Error with a Message that is one line of bounded length.
// The cause is for errors.Is and errors.As alone; its text is not shown. It may be nil.
func NewError(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: line(fmt.Sprintf(format, args...), MaxMessage), cause: cause}
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the Kind of an error. What is not an *Error is Retryable: nothing is given up because of an unknown error.
// It returns 0 for nil.
func KindOf(err error) Kind {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Retryable
}

// RetryAfter returns how long the app wants to be left alone, or 0.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// Found returns the account of an error of kind Exists.
func Found(err error) Account {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Account
	}
	return Account{}
}

// Line makes text from outside fit to be shown: one line, printable, at most MaxMessage bytes.
func Line(s string) string { return line(s, MaxMessage) }

// line makes text from outside fit for a log line and a page: one line, printable, bounded.
func line(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	cut := limit - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + ellipsis
}
