package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse.dev/libs/outgoing"
)

// HTTPKind is the Kind of an answer of an app that speaks HTTP. It is 0 for a success.
// 404 is Permanent here: only the caller knows whether an account was asked for, or the address of the integration is wrong.
func HTTPKind(status int) Kind {
	switch {
	case status >= 200 && status < 300:
		return 0
	case status == http.StatusUnauthorized:
		return Unauthorized
	case status == http.StatusConflict:
		return Conflict
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return Retryable
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported:
		return Permanent
	case status >= 500:
		return Retryable
	default:
		return Permanent
	}
}

// HTTPRetryAfter reads the Retry-After header, in seconds or as a date, as at most MaxRetryAfter; 0 when there is none.
// A date is compared with the app's own clock where the answer shows it (Date), else with now.
func HTTPRetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if allDigits(v) {
		seconds, err := strconv.ParseInt(v, 10, 32)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Unreachable turns what net and net/http return when there was no answer into an Error that an operator understands.
// The text of err, which may hold addresses with names of people in them, is not in it. doing says what was tried: "look up the account".
func Unreachable(doing string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	var (
		unknownHost *net.DNSError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		certificate x509.CertificateInvalidError
		verify      *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.Canceled):
		return NewError(Retryable, err, "%s: stopped before the app answered", doing)
	case errors.As(err, &hostname):
		return NewError(Permanent, err, "%s: the app's certificate is for another host than the address of the integration", doing)
	case errors.As(err, &authority):
		return NewError(Permanent, err, "%s: the app's certificate is signed by an authority that is not trusted here", doing)
	case errors.As(err, &certificate), errors.As(err, &verify):
		return NewError(Permanent, err, "%s: the app's certificate is not valid (expired, or not for a server)", doing)
	case errors.As(err, &record):
		return NewError(Permanent, err, "%s: the app does not speak TLS at this address", doing)
	case errors.Is(err, outgoing.ErrRefused):
		return NewError(Permanent, err, "%s: the app's address is in a network that this installation does not call; its operator allows networks in GATEHOUSE_OUTGOING_ALLOW", doing)
	case errors.Is(err, syscall.ECONNREFUSED):
		return NewError(Retryable, err, "%s: the app refuses connections", doing)
	case errors.As(err, &unknownHost) && unknownHost.IsNotFound:
		return NewError(Retryable, err, "%s: the app's host name is not known", doing)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return NewError(Retryable, err, "%s: the app did not answer in time", doing)
	default:
		return NewError(Retryable, err, "%s: the connection to the app broke before it answered", doing)
	}
}
