// Package bustest gives a test its own NATS server with JetStream, in the
// test's process and in a directory that goes away with the test. For tests
// only.
package bustest

import (
	"net/url"
	"os"
	"testing"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busserver"
)

// Start starts a server and returns its URL. It stops when the test ends.
func Start(t testing.TB) string {
	t.Helper()
	return New(t).URL()
}

// Connect starts a server and connects to it. Both end with the test.
func Connect(t testing.TB) *bus.Bus {
	t.Helper()
	return Open(t, Start(t))
}

// Open connects to a server. The connection closes when the test ends.
func Open(t testing.TB, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.Config{URL: url, Name: t.Name(), Keeps: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Server is a NATS server that a test can take away and bring back.
type Server struct {
	t      testing.TB
	cfg    busserver.Config
	server *busserver.Server
}

// New starts a server. It stops when the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, cfg: busserver.Config{Dir: t.TempDir(), Addr: FreeAddrs(t, 1)[0]}}
	s.Restart()
	t.Cleanup(s.Stop)
	return s
}

// URL is where clients connect; it stays the same over restarts.
func (s *Server) URL() string { return "nats://" + s.cfg.Addr }

// Stop takes the server away. What it acknowledged stays on disk.
func (s *Server) Stop() {
	if s.server != nil {
		s.server.Stop()
		s.server = nil
	}
}

// Restart stops the server if it runs and starts it again, at the same address
// with the same data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	server, err := busserver.Start(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := url.Parse(server.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	s.server, s.cfg.Addr = server, u.Host
}

// Wipe stops the server and starts it with an empty directory, as if its disk
// had been lost.
func (s *Server) Wipe() {
	s.t.Helper()
	s.Stop()
	s.cfg.Dir = s.t.TempDir()
	s.Restart()
}

// Backup copies the server's data as they are now, while it runs.
func (s *Server) Backup() (dir string) {
	s.t.Helper()
	dir = s.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.cfg.Dir)); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// Restore stops the server and starts it with the data of a backup, as if power
// had been lost before more was written to the disk.
func (s *Server) Restore(dir string) {
	s.t.Helper()
	s.Stop()
	s.cfg.Dir = dir
	s.Restart()
}
