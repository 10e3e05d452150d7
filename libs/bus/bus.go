package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/backoff"
)

const (
	// Stream is the name of the stream that holds every event.
	Stream = "ACCESS"
	// JSONStream is the name of the stream that holds every event in JSON, for
	// subscribers without the protos. It is there if audit is told to make it.
	JSONStream = "ACCESS_JSON"

	// MaxMessageBytes is the largest message, headers included, that the bus
	// takes. Connect refuses a server that takes less.
	MaxMessageBytes = 1 << 20

	// dedupeWindow is how long the stream remembers message ids. A repeat that
	// comes later than that is stored again and dropped by each consumer's
	// inbox instead.
	dedupeWindow = 2 * time.Minute
)

// Config says where the bus is and how the stream is kept.
type Config struct {
	// URL of the server, or several separated by commas: nats://host:4222.
	// May hold credentials, which are never logged.
	URL string
	// Name of the connection, as shown by the server, and of the user that the
	// server knows: the service's name.
	Name string
	// Keeps says that this service changes a stream that is kept otherwise than
	// Replicas, MaxAge and MaxBytes say. Others leave it as it is.
	Keeps bool
	// TLS is for a URL that begins with tls://; nil means the system's authorities.
	TLS *tls.Config
	// Replicas of the stream: 1 on one machine, 3 in a cluster. 0 means 1 for a
	// stream that is not there yet, and leaves one that is as it is.
	Replicas int
	// MaxAge is how long the stream keeps events. 0 means for ever for a stream
	// that is not there yet, and leaves one that is as it is.
	MaxAge time.Duration
	// MaxBytes is how much the stream keeps: the oldest events go first. 0 means
	// any amount for a stream that is not there yet, and leaves one that is as it
	// is.
	MaxBytes int64
	// ConnectTimeout bounds Connect. 0 means 10 s.
	ConnectTimeout time.Duration
	// Log gets lost and regained connections. Nil discards.
	Log *slog.Logger
}

// Bus is a connection to NATS. Its methods may be called by any number of
// goroutines.
type Bus struct {
	cfg  Config
	conn *nats.Conn
	js   jetstream.JetStream
	log  *slog.Logger
	link *link
	// permissions are told what NATS refuses to take.
	permissions *permissions
}

// link knows whether the connection stands.
type link struct {
	mu   sync.Mutex
	ctx  context.Context // ends when the connection is lost
	lose context.CancelFunc
}

func (l *link) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lose != nil {
		l.lose()
	}
	l.ctx, l.lose = context.WithCancel(context.Background())
}

func (l *link) down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose()
}

func (l *link) current() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// CheckTLS is an error if there is a TLS that an address would take no notice of.
func CheckTLS(url string, cfg *tls.Config) error {
	if cfg != nil && !strings.HasPrefix(url, "tls://") {
		return errors.New("GATEHOUSE_NATS_CA, GATEHOUSE_NATS_CERT and GATEHOUSE_NATS_KEY are for a NATS whose address (GATEHOUSE_NATS_URL) begins with tls://")
	}
	return nil
}

// Connect connects and makes sure that the stream is there, within
// cfg.ConnectTimeout. Afterwards a lost connection is sought again for ever.
func Connect(ctx context.Context, cfg Config) (*Bus, error) {
	if cfg.URL == "" {
		return nil, errors.New("the bus needs a URL")
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()

	link := &link{}
	link.up()
	permissions := &permissions{}
	conn, err := dial(ctx, cfg, log, link, permissions)
	if err != nil {
		return nil, err
	}
	if got := conn.MaxPayload(); got < MaxMessageBytes {
		conn.Close()
		return nil, fmt.Errorf("NATS at %s takes messages of %d bytes at most, %d are needed: raise max_payload", place(cfg.URL), got, MaxMessageBytes)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	b := &Bus{cfg: cfg, conn: conn, js: js, log: log, link: link, permissions: permissions}

	// A cluster that has just started may need a moment to elect a leader.
	for failures := 1; ; failures++ {
		err := b.EnsureStream(ctx)
		if err == nil {
			return b, nil
		}
		if errors.Is(err, errIncompatible) || !pauses.Wait(ctx, failures) {
			conn.Close()
			return nil, fmt.Errorf("NATS at %s: %w", place(cfg.URL), err)
		}
	}
}

// pauses are those between tries to reach the bus.
var pauses = backoff.Backoff{First: 50 * time.Millisecond, Longest: 2 * time.Second}

func dial(ctx context.Context, cfg Config, log *slog.Logger, link *link, permissions *permissions) (*nats.Conn, error) {
	opts := append(options(cfg),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			link.down()
			if err != nil {
				log.Warn("Lost the bus", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			link.up()
			log.Info("Regained the bus", "server", c.ConnectedServerName())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if !permissions.tell(err) { // else who publishes says so
				log.Warn("Bus reported an error", "error", err)
			}
		}),
	)
	for failures := 1; ; failures++ {
		conn, err := nats.Connect(cfg.URL, opts...)
		if err == nil {
			return conn, nil
		}
		// A wrong password does not become right by waiting.
		if errors.Is(err, nats.ErrAuthorization) || !pauses.Wait(ctx, failures) {
			return nil, fmt.Errorf("connect to NATS at %s: %w", place(cfg.URL), err)
		}
	}
}

// options are those of every connection.
func options(cfg Config) []nats.Option {
	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.CustomInboxPrefix(InboxPrefix(cfg.Name)),
		nats.Timeout(2 * time.Second),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 200*time.Millisecond),
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			return pauses.After(attempts)
		}),
		// What is sent while the connection is down fails at once instead of
		// being kept and sent later, out of order.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.IgnoreAuthErrorAbort(),
	}
	if cfg.TLS != nil && strings.HasPrefix(cfg.URL, "tls://") {
		opts = append(opts, nats.Secure(cfg.TLS))
	}
	return opts
}

// place is the URL without credentials.
func place(raw string) string {
	parts := strings.Split(raw, ",")
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if u, err := url.Parse(p); err == nil && u.Host != "" {
			p = u.Host
		} else if at := strings.LastIndex(p, "@"); at >= 0 {
			p = p[at+1:]
		}
		parts[i] = p
	}
	return strings.Join(parts, ",")
}

// Conn is the connection, for core NATS.
func (b *Bus) Conn() *nats.Conn { return b.conn }

// JetStream is the connection's JetStream API.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// WhileConnected is ctx for one request to the bus: it ends when the connection
// is lost, as no answer can come any more. Call cancel when done.
func (b *Bus) WhileConnected(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.link.current(), func() { end(errLost) })
	return ctx, func() {
		stop()
		end(nil)
	}
}

// errLost is the cause of a context of WhileConnected that ended early.
var errLost = errors.New("the connection to the bus was lost")

// Ready says whether the bus can be reached now and keeps the stream, for a
// readiness check. Whether the stream takes more only publishing tells.
func (b *Bus) Ready(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return fmt.Errorf("the bus at %s is away", place(b.cfg.URL))
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := b.js.Stream(ctx, Stream); err != nil {
		return fmt.Errorf("look for stream %s on the bus at %s: %w", Stream, place(b.cfg.URL), err)
	}
	return nil
}

// Close sends what is still buffered and closes the connection. Stop what uses
// the bus first.
func (b *Bus) Close() {
	if b.conn.IsConnected() {
		_ = b.conn.FlushTimeout(2 * time.Second)
	}
	b.conn.Close()
	b.link.down()
}
