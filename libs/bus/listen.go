package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// ListenerConfig says where the bus is for somebody who only listens.
type ListenerConfig struct {
	// URL of the server, or several separated by commas. May hold credentials, which
	// are never logged.
	URL string
	// Name of the user that the server knows.
	Name string
	// TLS is for a URL that begins with tls://; nil means the system's authorities.
	TLS *tls.Config
	// Missed is called, by one goroutine at a time, when events may have gone by that
	// were not heard: the connection stands again, or for the first time a
	// while after Listen, or there were too many at once.
	Missed func()
	// Log gets lost and regained connections. Nil discards.
	Log *slog.Logger
}

// Listener hears events as they are published, each at most once, and whatever is
// published while the connection is away not at all: enough for hints, and for nothing
// that must be known. Its methods may be called by any number of goroutines.
type Listener struct {
	conn *nats.Conn
	url  string
}

// Listen connects in the background, now and after every loss, for ever: the bus may be
// away.
func Listen(cfg ListenerConfig) (*Listener, error) {
	if cfg.URL == "" {
		return nil, errors.New("the bus needs a URL")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	// Whoever is connected at once has missed nothing yet.
	begun := make(chan struct{})
	var atOnce bool
	opts := append(options(Config{URL: cfg.URL, Name: cfg.Name, TLS: cfg.TLS}),
		nats.RetryOnFailedConnect(true),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("Lost the bus", "error", err)
			}
		}),
		nats.ConnectHandler(func(*nats.Conn) {
			if <-begun; !atOnce {
				cfg.Missed()
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info("Regained the bus", "server", c.ConnectedServerName())
			cfg.Missed()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) {
				cfg.Missed()
				return
			}
			log.Warn("Bus reported an error", "error", err)
		}),
	)
	conn, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", place(cfg.URL), err)
	}
	atOnce = conn.IsConnected()
	close(begun)
	return &Listener{conn: conn, url: cfg.URL}, nil
}

// Hear calls f, by one goroutine, with every event whose subject matches from now on: it
// returns when the server knows, or cannot be reached. stop ends it.
func (l *Listener) Hear(ctx context.Context, subject string, f func(*nats.Msg)) (stop func(), err error) {
	sub, err := l.conn.Subscribe(subject, f)
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	if l.conn.IsConnected() {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_ = l.conn.FlushWithContext(ctx) // of a connection that is lost, Missed tells
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// Ready says whether the bus can be reached now, for a readiness check.
func (l *Listener) Ready(context.Context) error {
	if !l.conn.IsConnected() {
		return fmt.Errorf("the bus at %s is away", place(l.url))
	}
	return nil
}

// Close ends the connection.
func (l *Listener) Close() { l.conn.Close() }
