package busserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
)

// syncPause is the time between two syncs at least, so that all who ask
// meanwhile share one.
const syncPause = 50 * time.Millisecond

// disk writes the stream's files through to the disk.
//
// The server appends messages to numbered blocks and has handed a message to
// the operating system when it acknowledges it, so the sync of a block makes
// all its acknowledged messages durable, whoever does it.
type disk struct {
	stream string // folder
	last   int    // block that was the newest at the last sync; 0 before the first
	failed error  // after a failed sync nobody knows what is on the disk
}

func newDisk(dir, stream string) *disk {
	return &disk{stream: filepath.Join(dir, "jetstream", "$G", "streams", stream)}
}

// sync syncs what may have changed since the last one. Once the system has
// failed to sync a file it fails for ever.
func (d *disk) sync() error {
	if d.failed != nil {
		return d.failed
	}
	for _, name := range []string{"meta.inf", "meta.sum"} {
		if err := d.syncFile(name); err != nil {
			return err
		}
	}
	last := d.last
	err := d.syncFile(block(d.last))
	if errors.Is(err, fs.ErrNotExist) {
		// The first sync, or the block has emptied and gone.
		return d.syncAll()
	}
	for err == nil {
		if err = d.syncFile(block(d.last + 1)); err == nil {
			d.last++
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.last == last {
		return nil
	}
	return d.syncFile("msgs")
}

// syncAll syncs every block, and the folders from the stream's up to the one
// that the server's is in.
func (d *disk) syncAll() error {
	for _, folder := range []string{".", "..", "../..", "../../..", "../../../..", "../../../../.."} {
		if err := d.syncFile(folder); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(d.stream, "msgs"))
	if err != nil {
		return fmt.Errorf("list the blocks of the stream: %w", err)
	}
	d.last = 0
	for _, e := range entries {
		n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".blk"))
		if err != nil {
			continue
		}
		if err := d.syncFile(block(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		d.last = max(d.last, n)
	}
	return d.syncFile("msgs")
}

func block(n int) string { return filepath.Join("msgs", strconv.Itoa(n)+".blk") }

// syncFile syncs a file or folder of the stream. What others have written to it
// counts.
func (d *disk) syncFile(name string) error {
	f, err := os.Open(filepath.Join(d.stream, name))
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		d.failed = fmt.Errorf("sync: %w", err)
	}
	return d.failed
}

// syncer answers requests for [bus.Bus.Sync] to one server.
type syncer struct {
	disks  map[string]*disk // by the stream
	log    *slog.Logger
	conn   *nats.Conn
	cancel context.CancelFunc
	done   chan struct{}
	// failures are what became of the last sync of each stream, for serve alone;
	// failed is one of them.
	failures map[string]error
	failed   atomic.Pointer[error]
}

// startSyncer starts the syncer of a server that runs in the folder. own is its
// user, if there are users.
func startSyncer(n *server.Server, own busauth.User, dir string, log *slog.Logger) (*syncer, error) {
	options := []nats.Option{nats.InProcessServer(n), nats.Name("syncer")}
	if own.Name != "" {
		options = append(options, nats.UserInfo(own.Name, own.Password))
	}
	conn, err := nats.Connect(n.ClientURL(), options...)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	requests := make(chan *nats.Msg, 1024)
	_, err = conn.ChanSubscribe(bus.SyncSubject(n.ID()), requests)
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("take requests to sync: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	disks := map[string]*disk{bus.Stream: newDisk(dir, bus.Stream), bus.JSONStream: newDisk(dir, bus.JSONStream)}
	s := &syncer{disks: disks, failures: map[string]error{}, log: log, conn: conn, cancel: cancel, done: make(chan struct{})}
	go s.serve(ctx, requests)
	return s, nil
}

// stop ends the syncer, before its server.
func (s *syncer) stop() {
	s.cancel()
	<-s.done
	s.conn.Close()
}

// failure is why the last sync failed; nil if it did not.
func (s *syncer) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *syncer) serve(ctx context.Context, requests <-chan *nats.Msg) {
	defer close(s.done)
	for {
		var asked []*nats.Msg
		select {
		case m := <-requests:
			asked = append(asked, m)
		case <-ctx.Done():
			return
		}
		for len(requests) > 0 {
			asked = append(asked, <-requests)
		}
		s.answer(asked)
		select {
		case <-time.After(syncPause):
		case <-ctx.Done():
			return
		}
	}
}

// answer syncs the streams that are asked for, each once.
func (s *syncer) answer(asked []*nats.Msg) {
	fresh := map[string]bool{}
	for _, m := range asked {
		name := cmp.Or(string(m.Data), bus.Stream) // clients of before there were two name none
		if !fresh[name] {
			fresh[name] = true
			if s.failures[name] = s.sync(name); s.failures[name] != nil {
				s.log.Error("NATS cannot sync the stream", "stream", name, "error", s.failures[name])
			}
		}
		var answer []byte
		if err := s.failures[name]; err != nil {
			answer = []byte(err.Error())
		}
		_ = m.Respond(answer)
	}
	s.failed.Store(nil)
	for _, err := range s.failures {
		if err != nil {
			s.failed.Store(&err)
		}
	}
}

func (s *syncer) sync(stream string) error {
	d, ok := s.disks[stream]
	if !ok {
		return errNoStream
	}
	return d.sync()
}

var errNoStream = errors.New("there is no such stream to sync")
