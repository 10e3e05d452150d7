package busserver

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"gatehouse.dev/libs/bus"
)

// failures is how many checks in a row must fail before the server counts as one
// that takes no events: one fails while the stream is being made.
const failures = 3

// watch looks after the server until Stop: one that takes no events any more is
// started again once its folder can be written to.
func (s *Server) watch() {
	defer close(s.done)
	pause, again, failed := checkEvery, time.Time{}, 0
	for {
		select {
		case <-s.stopped:
			return
		case <-time.After(checkEvery):
		}
		err := s.health()
		if err == nil {
			s.note(nil)
			pause, failed = checkEvery, 0
			continue
		}
		if failed++; failed < failures {
			continue
		}
		s.note(err)
		if time.Now().Before(again) {
			continue
		}
		if err := tryFolder(s.cfg.Dir); err != nil {
			s.note(fmt.Errorf("its folder cannot be written to: %w", err))
			continue
		}
		s.log.Warn("NATS is started again, as it takes no events and its disk has space", "error", err)
		if err := s.restart(); err != nil {
			s.log.Error("NATS cannot be started again, it will be tried again", "error", err)
		}
		again, pause = time.Now().Add(pause), min(2*pause, maxPause)
	}
}

// health asks the server how it is: whether JetStream runs, and the stream has
// not met an error when it wrote, after which it refuses everything, or when it
// was synced. Streams of others do not matter; they may come and go.
func (s *Server) health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return errors.New("it does not run")
	}
	h := s.server.Healthz(&server.HealthzOptions{Details: true})
	if h.Error != "" {
		return errors.New(h.Error)
	}
	for _, e := range h.Errors {
		if e.Stream == "" || e.Stream == bus.Stream {
			return errors.New(e.Error)
		}
	}
	return s.syncer.failure()
}

// note keeps what Check tells, and logs news.
func (s *Server) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.problem == nil {
		s.log.Error("NATS takes no events", "error", err)
	}
	if err == nil && s.problem != nil {
		s.log.Info("NATS takes events again")
	}
	s.problem = err
}

func (s *Server) restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutDown()
	return s.launch()
}

// enough is what must fit on the disk before a server is worth starting again.
const enough = 1 << 20

// tryFolder writes a file into the folder, to the disk, and removes it.
func tryFolder(dir string) (err error) {
	f, err := os.CreateTemp(dir, "space-*")
	if err != nil {
		return fmt.Errorf("make a file: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}()
	if _, err := f.Write(make([]byte, enough)); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write a file to the disk: %w", err)
	}
	return nil
}
