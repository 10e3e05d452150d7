// Package busserver runs a NATS server with JetStream inside the process, for
// the product's one-process form. In a cluster NATS runs by itself and nothing
// imports this package.
//
// An acknowledged event is with the operating system: it survives the death of
// the process. What survives the loss of power too is told to who asks with
// [bus.Bus.Sync], as the relays of libs/outbox do before they delete an event.
// One sync serves all events that came before it, where the server's own
// setting, sync_interval: always, makes one for each event and two for each
// batch. After a loss of power the stream may end before events that consumers
// have seen; the server sets consumers back to its end, the relays publish the
// events again, and each inbox knows those that took effect.
//
// The server listens on a loopback port, so that services find it by address as
// they would any other.
//
// A NATS server that could not write once, mostly for want of disk space, takes
// no more events until it is started again. [Server] does that by itself, at
// the same address, as soon as its folder can be written to; clients see a bus
// that was away for a moment. [Server.Check] tells how it is.
package busserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
)

// Config says where the server keeps its data and listens.
type Config struct {
	// Dir holds the streams. It is made if it is absent.
	Dir string
	// Addr to listen on, host:port. Empty means a free port of 127.0.0.1.
	Addr string
	// Users are those who may connect. Without any, everybody may and may do
	// everything: for tests alone.
	Users []busauth.User
	// Log gets the server's warnings and errors. Nil discards.
	Log *slog.Logger
}

// Server is a running NATS server. It is safe for concurrent use.
type Server struct {
	cfg     Config
	options server.Options
	own     busauth.User // whom the syncer is, if there are users
	log     *slog.Logger

	stop    sync.Once
	stopped chan struct{} // closed to end watch
	done    chan struct{} // closed when watch has ended

	mu      sync.Mutex // guards the rest
	server  *server.Server
	syncer  *syncer // of server
	problem error   // why events are not taken; nil if they are
}

const (
	// readyTimeout bounds a start, recovery of what is on the disk included.
	readyTimeout = time.Minute
	checkEvery   = time.Second
	// maxPause is how long a server that was started again in vain is left
	// alone, at most.
	maxPause = 30 * time.Second
)

// Start starts a server and returns once clients can connect.
func Start(cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("the NATS server needs a directory")
	}
	host, port := "127.0.0.1", server.RANDOM_PORT
	if cfg.Addr != "" {
		h, p, err := net.SplitHostPort(cfg.Addr)
		if err != nil {
			return nil, fmt.Errorf("address of the NATS server: %w", err)
		}
		if port, err = strconv.Atoi(p); err != nil {
			return nil, fmt.Errorf("port of the NATS server: %w", err)
		}
		if port == 0 {
			port = server.RANDOM_PORT
		}
		host = h
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, stopped: make(chan struct{}), done: make(chan struct{}),
		options: server.Options{
			ServerName: bus.SyncServer,
			Host:       host,
			Port:       port,
			JetStream:  true,
			StoreDir:   cfg.Dir,
			NoSigs:     true,
		},
	}
	for _, u := range cfg.Users {
		s.options.Users = append(s.options.Users, user(u))
	}
	if len(cfg.Users) > 0 {
		s.own = busauth.Operator("server", rand.Text())
		s.options.Users = append(s.options.Users, user(s.own))
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.launch(); err != nil {
		return nil, err
	}
	go s.watch()
	return s, nil
}

// launch starts a server process in this one. mu is held, or nobody else knows
// s yet.
func (s *Server) launch() error {
	if s.options.Port > 0 {
		// The server itself would only log that it cannot listen.
		addr := net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
		if err != nil {
			return fmt.Errorf("start NATS: %w", err)
		}
		_ = l.Close()
	}
	options := s.options // the server writes into what it is given
	n, err := server.NewServer(&options)
	if err != nil {
		return fmt.Errorf("configure NATS in %s: %w", s.cfg.Dir, err)
	}
	l := &logger{log: s.log}
	n.SetLoggerV2(l, false, false, false)
	n.Start()
	for deadline := time.Now().Add(readyTimeout); !n.ReadyForConnections(100 * time.Millisecond); {
		// The server logs why it cannot start, and stays.
		if reason := l.fatal.Load(); reason != nil || time.Now().After(deadline) {
			n.Shutdown()
			n.WaitForShutdown()
			if reason != nil {
				return fmt.Errorf("start NATS in %s: %s", s.cfg.Dir, *reason)
			}
			return fmt.Errorf("NATS in %s did not become ready in %s", s.cfg.Dir, readyTimeout)
		}
	}
	if s.syncer, err = startSyncer(n, s.own, s.cfg.Dir, s.log); err != nil {
		n.Shutdown()
		n.WaitForShutdown()
		return fmt.Errorf("start NATS in %s: %w", s.cfg.Dir, err)
	}
	s.server = n
	if addr, ok := n.Addr().(*net.TCPAddr); ok {
		s.options.Port = addr.Port // the same for every server to come
	}
	return nil
}

// user is a user as the server takes it.
func user(u busauth.User) *server.User {
	allow := func(subjects []string) *server.SubjectPermission { return &server.SubjectPermission{Allow: subjects} }
	return &server.User{
		Username: u.Name, Password: u.Password,
		Permissions: &server.Permissions{Publish: allow(u.Publish), Subscribe: allow(u.Subscribe)},
	}
}

// URL is where clients connect.
func (s *Server) URL() string {
	return "nats://" + net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
}

// Check returns nil if the server takes events, and otherwise why it does not.
// It may be three seconds late.
func (s *Server) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// Stop ends the server and returns when its files are closed. A second call
// does nothing.
func (s *Server) Stop() {
	s.stop.Do(func() {
		close(s.stopped)
		<-s.done
		s.mu.Lock()
		defer s.mu.Unlock()
		s.shutDown()
	})
}

// shutDown ends the server that runs, if one does. mu is held.
func (s *Server) shutDown() {
	if s.server == nil {
		return
	}
	s.syncer.stop()
	s.server.Shutdown()
	s.server.WaitForShutdown()
	s.server = nil
}

// logger passes on what an operator should read.
type logger struct {
	log   *slog.Logger
	fatal atomic.Pointer[string] // why the server could not start
}

func (l *logger) Noticef(string, ...any) {}
func (l *logger) Debugf(string, ...any)  {}
func (l *logger) Tracef(string, ...any)  {}

func (l *logger) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords") {
		return // they are in memory alone, and random
	}
	l.log.Warn("NATS server", "text", fmt.Sprintf(format, v...))
}

func (l *logger) Errorf(format string, v ...any) {
	l.log.Error("NATS server", "text", fmt.Sprintf(format, v...))
}

func (l *logger) Fatalf(format string, v ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, v...)), " ")
	l.log.Error("NATS server", "text", text)
	l.fatal.Store(&text)
}
