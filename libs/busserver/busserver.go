// Package busserver runs a NATS server with JetStream inside the process, for
// the product's one-process form. In a cluster NATS runs by itself and nothing
// imports this package.
//
// With SyncAlways an acknowledged event is on the disk: it survives the death
// of the process and the loss of power. The stream ACCESS is then made at the
// start, and atomic batches are staged in memory where the system has files in
// memory (Linux), which makes them several times faster and no less durable. The server listens on a loopback port,
// so that services find it by address as they would any other.
package busserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config says where the server keeps its data and listens.
type Config struct {
	// Dir holds the streams. It is made if it is absent.
	Dir string
	// Addr to listen on, host:port. Empty means a free port of 127.0.0.1.
	Addr string
	// SyncAlways writes every acknowledged event through to the disk.
	SyncAlways bool
	// Log gets the server's warnings and errors. Nil discards.
	Log *slog.Logger
}

// Server is a running NATS server.
type Server struct {
	server  *server.Server
	staging string // folder in memory; empty for none
	stop    sync.Once
}

// readyTimeout bounds Start, recovery of what is on the disk included.
const readyTimeout = time.Minute

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
	if port > 0 {
		// The server itself would only log that it cannot listen.
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return nil, fmt.Errorf("start NATS: %w", err)
		}
		_ = l.Close()
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "gatehouse",
		Host:       host,
		Port:       port,
		JetStream:  true,
		StoreDir:   cfg.Dir,
		SyncAlways: cfg.SyncAlways,
		NoSigs:     true,
	})
	if err != nil {
		return nil, fmt.Errorf("configure NATS in %s: %w", cfg.Dir, err)
	}
	l := &logger{log: cfg.Log}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	s.SetLoggerV2(l, false, false, false)
	s.Start()
	for deadline := time.Now().Add(readyTimeout); !s.ReadyForConnections(100 * time.Millisecond); {
		// The server logs why it cannot start, and stays.
		if reason := l.fatal.Load(); reason != nil || time.Now().After(deadline) {
			s.Shutdown()
			s.WaitForShutdown()
			if reason != nil {
				return nil, fmt.Errorf("start NATS in %s: %s", cfg.Dir, *reason)
			}
			return nil, fmt.Errorf("NATS in %s did not become ready in %s", cfg.Dir, readyTimeout)
		}
	}
	started := &Server{server: s}
	if cfg.SyncAlways {
		// Without it all works, only slower.
		if err := started.stageInMemory(cfg.Dir); err != nil && cfg.Log != nil {
			cfg.Log.Warn("NATS stages batches on disk", "error", err)
		}
	}
	return started, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.server.ClientURL() }

// Stop ends the server and returns when its files are closed. A second call
// does nothing.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		if s.staging != "" {
			_ = os.Remove(s.staging) // unless a batch waits in it for the restart
		}
	})
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
