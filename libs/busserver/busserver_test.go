package busserver_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/bustest"
)

// serveVariable makes this test binary a NATS server in the named folder, so
// that a test can kill it.
const serveVariable = "GATEHOUSE_TEST_NATS_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		s, err := busserver.Start(busserver.Config{Dir: dir, SyncAlways: true})
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
	for _, syncAlways := range []bool{false, true} {
		t.Run(fmt.Sprint("sync ", syncAlways), func(t *testing.T) {
			t.Parallel()
			cfg := busserver.Config{Dir: t.TempDir(), SyncAlways: syncAlways}
			for round := range 3 {
				s, err := busserver.Start(cfg)
				if err != nil {
					t.Fatal(err)
				}
				b := connect(t, s.URL())
				if n := state(t, b).Msgs; n != uint64(20*round) {
					t.Errorf("round %d begins with %d messages, want %d", round, n, 20*round)
				}
				_, err = jetstreamext.PublishMsgBatch(t.Context(), b.JetStream(), batch(20*round, 20), jetstreamext.BatchFlowControl{})
				if err != nil {
					t.Error(err)
				}
				b.Close()
				s.Stop()
				s.Stop() // does nothing
			}
		})
	}
}

// Batches are staged in memory, and nothing of them stays.
func TestStagingFolder(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Skip("no memory file system on this machine")
	}
	dir := t.TempDir()
	s, err := busserver.Start(busserver.Config{Dir: dir, SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	staging, err := os.Readlink(filepath.Join(dir, "jetstream", "$G", "streams", bus.Stream, "batches"))
	if err != nil || !strings.HasPrefix(staging, "/dev/shm/") {
		t.Fatalf("batches are staged in %q (%v)", staging, err)
	}
	b := connect(t, s.URL())
	defer b.Close()
	if _, err := jetstreamext.PublishMsgBatch(t.Context(), b.JetStream(), batch(0, 50), jetstreamext.BatchFlowControl{}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(staging); err != nil || len(left) != 0 {
		t.Errorf("%d files stay in %s (%v)", len(left), staging, err)
	}
	s.Stop()
	if _, err := os.Stat(staging); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s stays after the end (%v)", staging, err)
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
	s, err := busserver.Start(busserver.Config{Dir: dir, SyncAlways: true})
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

// publish publishes a batch, or one by one if it is refused.
func publish(t *testing.T, b *bus.Bus, messages []*nats.Msg) error {
	t.Helper()
	ctx, cancel := b.WhileConnected(t.Context())
	defer cancel()
	_, err := jetstreamext.PublishMsgBatch(ctx, b.JetStream(), messages, jetstreamext.BatchFlowControl{})
	var refused *jetstream.APIError
	if !errors.As(err, &refused) {
		return err
	}
	for _, m := range messages {
		for name := range m.Header {
			if strings.HasPrefix(name, "Nats-Batch-") {
				m.Header.Del(name)
			}
		}
		if _, err := b.JetStream().PublishMsg(ctx, m); err != nil {
			return err
		}
	}
	return nil
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
