package busserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/bustest"
)

// serveVariable makes this test binary a NATS server in the named folder, so
// that a test can kill it.
const serveVariable = "GATEHOUSE_TEST_NATS_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		s, err := busserver.Start(busserver.Config{Dir: dir})
		if err != nil {
			panic(err)
		}
		fmt.Println(s.URL())
		select {} // until it is killed
	}
	bustest.VerifyNoLeaks(m)
}

func batch(from, size int) []*nats.Msg {
	messages := make([]*nats.Msg, size)
	for i := range messages {
		id := strconv.Itoa(from + i)
		messages[i] = &nats.Msg{Subject: "access.o.a.e", Data: []byte(id), Header: nats.Header{nats.MsgIdHdr: {id}}}
	}
	return messages
}

func connect(t *testing.T, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.Config{URL: url, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func state(t *testing.T, b *bus.Bus) jetstream.StreamState {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}

func TestDataSurviveARestart(t *testing.T) {
	t.Parallel()
	cfg := busserver.Config{Dir: t.TempDir()}
	for round := range 3 {
		s, err := busserver.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		b := connect(t, s.URL())
		if n := state(t, b).Msgs; n != uint64(20*round) {
			t.Errorf("round %d begins with %d messages, want %d", round, n, 20*round)
		}
		if err := publish(t, b, batch(20*round, 20)); err != nil {
			t.Error(err)
		}
		b.Close()
		s.Stop()
		s.Stop() // does nothing
	}
}

// Sync tells who asks that the disk has everything, and not who asks for what
// another server, or the one before a restart, has acknowledged.
func TestSync(t *testing.T) {
	t.Parallel()
	cfg := busserver.Config{Dir: t.TempDir()}
	for range 2 {
		s, err := busserver.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		b := connect(t, s.URL())
		point := b.SyncPoint()
		if point == "" {
			t.Error("nothing needs a sync")
		}
		var all sync.WaitGroup
		for range 20 { // which share a few syncs
			all.Go(func() {
				if err := b.Sync(t.Context(), point); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := b.Sync(t.Context(), "another server"); err == nil {
			t.Error("another server's messages are said to be on the disk")
		}
		b.Close()
		s.Stop()
		if err := b.Sync(t.Context(), point); err == nil {
			t.Error("a server that has ended is said to have synced")
		}
	}
}

// A stream that has lost its files is not said to be on the disk.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	cfg := busserver.Config{Dir: t.TempDir()}
	s, err := busserver.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	b := connect(t, s.URL())
	defer b.Close()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "jetstream", "$G", "streams", bus.Stream)); err != nil {
		t.Fatal(err)
	}
	if err := b.Sync(t.Context(), b.SyncPoint()); err == nil {
		t.Error("synced")
	}
}

// B-RUN-02: the server's process is killed at any moment, in the middle of
// batches; what was acknowledged is there, and what is sent again is not
// doubled.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	next, acked := 0, 0
	for round := range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), serveVariable+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		url, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		b := connect(t, strings.TrimSpace(url))
		if n := int(state(t, b).Msgs); n < acked || n > next {
			t.Errorf("round %d begins with %d messages, %d were acknowledged and %d sent", round, n, acked, next)
		}
		killed := time.AfterFunc(time.Duration(20+17*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for {
			// What was not acknowledged is sent again, as a relay does.
			next = acked + 30
			if err := publish(t, b, batch(acked, 30)); err != nil {
				break
			}
			acked = next
		}
		killed.Stop()
		b.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	s, err := busserver.Start(busserver.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	b := connect(t, s.URL())
	defer b.Close()
	if err := publish(t, b, batch(acked, 30)); err != nil {
		t.Fatal(err)
	}
	st := state(t, b)
	stream, err := b.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for i := range acked + 30 {
		m, err := stream.GetMsg(t.Context(), st.FirstSeq+uint64(i))
		if err != nil || string(m.Data) != strconv.Itoa(i) {
			t.Fatalf("message %d: %v (%v)", i, m, err)
		}
	}
	if int(st.Msgs) != acked+30 {
		t.Errorf("%d messages, want %d", st.Msgs, acked+30)
	}
	t.Logf("%d messages in 8 rounds", acked)
}

// publish publishes messages as a relay does.
func publish(t *testing.T, b *bus.Bus, messages []*nats.Msg) error {
	t.Helper()
	p, err := b.NewPublisher()
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = p.Publish(ctx, messages)
	return err
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, cfg := range map[string]busserver.Config{
		"no folder":    {},
		"taken port":   {Dir: t.TempDir(), Addr: l.Addr().String()},
		"no port":      {Dir: t.TempDir(), Addr: "127.0.0.1"},
		"named port":   {Dir: t.TempDir(), Addr: "127.0.0.1:nats"},
		"not a folder": {Dir: os.Args[0]},
	} {
		s, err := busserver.Start(cfg)
		if err == nil {
			s.Stop()
			t.Errorf("%s: started", name)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", name, err)
		}
	}
}

// Streams that are made and removed all the time, which the server's own health
// check takes for streams that it cannot recover, are no reason to start it again.
func TestStreamsComeAndGo(t *testing.T) {
	t.Parallel()
	s, err := busserver.Start(busserver.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	b := connect(t, s.URL())
	defer b.Close()
	id := b.Conn().ConnectedServerId()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		_, err := b.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
		if e := (*jetstream.APIError)(nil); errors.As(err, &e) && e.ErrorCode == 10049 {
			continue // The server is still at taking the old one's files away.
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := b.JetStream().DeleteStream(t.Context(), "OTHER"); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if now := b.Conn().ConnectedServerId(); now != id {
		t.Errorf("server %s was started again as %s", id, now)
	}
}
