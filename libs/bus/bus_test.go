package bus_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/rpc"
	"gatehouse.dev/libs/rpctest"
)

func TestMain(m *testing.M) { bustest.VerifyNoLeaks(m) }

func TestConnectMakesTheStream(t *testing.T) {
	t.Parallel()
	url := bustest.Start(t)
	var services []*bus.Bus
	for range 3 {
		services = append(services, bustest.Open(t, url))
	}
	b := services[0]
	cfg := streamConfig(t, b)
	if len(cfg.Subjects) != 1 || cfg.Subjects[0] != "access.>" || cfg.Storage != jetstream.FileStorage ||
		!cfg.AllowBatchPublish || cfg.Duplicates != 2*time.Minute || cfg.Replicas != 1 || cfg.MaxAge != 0 {
		t.Errorf("stream %+v", cfg)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func streamConfig(t *testing.T, b *bus.Bus) jetstream.StreamConfig {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config
}

// Connect gives up in time, with one line that names the place and holds no
// password.
func TestConnectGivesUp(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, addr := range map[string]string{"nobody": closed.Addr().String(), "silence": silent.Addr().String()} {
		began := time.Now()
		_, err := bus.Connect(t.Context(), bus.Config{
			URL: "nats://user:hunter2@" + addr, Name: "test", ConnectTimeout: 500 * time.Millisecond,
		})
		if err == nil {
			t.Fatalf("%s: connected", name)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: gave up after %s", name, took)
		}
		if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "hunter2") || !strings.Contains(text, addr) {
			t.Errorf("%s: error %q", name, text)
		}
	}
	if _, err := bus.Connect(t.Context(), bus.Config{}); err == nil {
		t.Error("connected to nowhere")
	}
}

// What the configuration says about age and replicas holds.
func TestStreamIsKeptInLine(t *testing.T) {
	t.Parallel()
	url := bustest.Start(t)
	createStream(t, url, jetstream.StreamConfig{
		Name: bus.Stream, Subjects: []string{"access.>"}, MaxAge: time.Hour, Description: "ours",
	})
	b := bustest.Open(t, url)
	if cfg := streamConfig(t, b); !cfg.AllowBatchPublish || !cfg.DenyDelete || !cfg.DenyPurge || cfg.MaxAge != time.Hour || cfg.Description != "ours" {
		t.Errorf("stream %+v", cfg)
	}
	for _, age := range []time.Duration{time.Minute, 48 * time.Hour} {
		c, err := bus.Connect(t.Context(), bus.Config{URL: url, Name: "test", Keeps: true, MaxAge: age})
		if err != nil {
			t.Fatal(err)
		}
		if cfg := streamConfig(t, c); cfg.MaxAge != age || cfg.Duplicates != min(age, 2*time.Minute) {
			t.Errorf("age %s, window %s, want age %s", cfg.MaxAge, cfg.Duplicates, age)
		}
		c.Close()
	}

	// Others leave it as it is.
	other, err := bus.Connect(t.Context(), bus.Config{URL: url, Name: "test", MaxAge: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if cfg := streamConfig(t, other); cfg.MaxAge != 48*time.Hour {
		t.Errorf("age %s by one who does not keep it", cfg.MaxAge)
	}
}

// A stream of our name that is something else is refused at once.
func TestStreamIsSomethingElse(t *testing.T) {
	t.Parallel()
	url := bustest.Start(t)
	createStream(t, url, jetstream.StreamConfig{
		Name: bus.Stream, Subjects: []string{"access.>"}, Retention: jetstream.WorkQueuePolicy,
	})
	began := time.Now()
	if _, err := bus.Connect(t.Context(), bus.Config{URL: url, Name: "test"}); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("error %v after %s", err, time.Since(began))
	}
}

func createStream(t *testing.T, url string, cfg jetstream.StreamConfig) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// A lost server is found again, and Ready tells in between.
func TestReconnects(t *testing.T) {
	t.Parallel()
	server := bustest.New(t)
	b := bustest.Open(t, server.URL())
	request, cancel := b.WhileConnected(t.Context())
	defer cancel()
	if request.Err() != nil {
		t.Error("a request ends before the connection")
	}
	server.Stop()
	<-request.Done()
	within := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	ready := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return b.Ready(ctx) == nil
	}
	within("still ready", func() bool { return !ready() })
	server.Restart()
	within("not ready again", ready)
	within("requests end at once", func() bool {
		request, cancel := b.WhileConnected(t.Context())
		defer cancel()
		return request.Err() == nil
	})
	if _, err := b.JetStream().Publish(t.Context(), "access.o.a.e", nil); err != nil {
		t.Error(err)
	}
}

// Messages are stored once each and in order, wherever among them those stand
// that the stream has already.
func TestPublish(t *testing.T) {
	t.Parallel()
	for name, there := range map[string][]int{
		"nothing is there":   {},
		"the first is there": {0},
		"the first are":      {0, 1, 2},
		"some are":           {1, 4},
		"the last is":        {5},
		"all are":            {0, 1, 2, 3, 4, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Connect(t)
			p, err := b.NewPublisher()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			var early, all []*nats.Msg
			for n := range 6 {
				all = append(all, numbered(n))
			}
			for _, n := range there {
				early = append(early, numbered(n))
			}
			for _, messages := range [][]*nats.Msg{early, all} {
				stored, err := p.Publish(t.Context(), messages)
				if err != nil || stored != len(messages) {
					t.Fatalf("%d of %d stored: %v", stored, len(messages), err)
				}
			}
			want := slices.Clone(there)
			for n := range 6 {
				if !slices.Contains(there, n) {
					want = append(want, n)
				}
			}
			if got := stored(t, b); !slices.Equal(got, want) {
				t.Errorf("stream holds %v, want %v", got, want)
			}
		})
	}
}

// Nothing is stored behind a message that the stream refuses.
func TestPublishStopsAtARefusal(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	p, err := b.NewPublisher()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var messages []*nats.Msg
	for n := range 6 {
		messages = append(messages, numbered(n))
	}
	messages[3].Header.Set(jetstream.ExpectedStreamHeader, "ANOTHER")
	n, err := p.Publish(t.Context(), messages)
	var refused *jetstream.APIError
	if n != 3 || !errors.As(err, &refused) {
		t.Errorf("%d stored (%v), want 3 and the reason", n, err)
	}
	if got := stored(t, b); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("stream holds %v", got)
	}
}

// numbered is a message with a number as its id and data.
func numbered(n int) *nats.Msg {
	return &nats.Msg{
		Subject: "access.o.a.e", Data: []byte(strconv.Itoa(n)),
		Header: nats.Header{nats.MsgIdHdr: {strconv.Itoa(n)}},
	}
}

// stored are the numbers of the messages in the stream.
func stored(t *testing.T, b *bus.Bus) (numbers []int) {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(m.Data))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// By TLS the server's certificate is checked, and the service's shown.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := rpctest.NewAuthority(t), rpctest.NewAuthority(t)
	sides := func(a *rpctest.Authority, trusted, name string) (server, client *tls.Config) {
		cert, key := a.Issue(t, t.TempDir(), name)
		server, client, err := rpc.LoadTLS(cert, key, trusted)
		if err != nil {
			t.Fatal(err)
		}
		return server, client
	}
	serving, _ := sides(ours, ours.File, "nats")
	n, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, TLSConfig: serving, TLSVerify: true, TLSTimeout: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	t.Cleanup(func() { n.Shutdown(); n.WaitForShutdown() })
	if !n.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	at := "tls://" + n.Addr().String()
	_, known := sides(ours, ours.File, "request")
	_, stranger := sides(theirs, ours.File, "request")
	_, distrusting := sides(ours, theirs.File, "request")
	for name, tt := range map[string]struct {
		tls  *tls.Config
		good bool
	}{"ours": {known, true}, "a stranger": {stranger, false}, "a server that is not trusted": {distrusting, false}, "without": {nil, false}} {
		b, err := bus.Connect(t.Context(), bus.Config{URL: at, Name: "request", TLS: tt.tls, ConnectTimeout: 3 * time.Second})
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			b.Close()
		}
	}
}

// What NATS has no permission for ends the wait for the acknowledgement at once, by
// name, wherever it stands; those before it are taken and none behind it (B-RUN-05).
func TestPublishWithoutAPermission(t *testing.T) {
	t.Parallel()
	for at := range 4 {
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			t.Parallel()
			user := busauth.Operator("test", "test")
			user.Publish = []string{"$JS.>", "access.*.a.e"}
			s, err := busserver.Start(busserver.Config{Dir: t.TempDir(), Users: []busauth.User{user}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b := bustest.Open(t, strings.Replace(s.URL(), "://", "://test:test@", 1))
			p, err := b.NewPublisher()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			var messages []*nats.Msg
			for n := range 4 {
				messages = append(messages, numbered(n))
			}
			messages[at].Subject = "access.o.a.new"
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var refused *bus.NotPermittedError
			done, err := p.Publish(ctx, messages)
			if !errors.As(err, &refused) || refused.Subject != "access.o.a.new" || ctx.Err() != nil || done != at {
				t.Errorf("%d stored (%v), want %d and the subject", done, err, at)
			}
			if got := stored(t, b); len(got) != at {
				t.Errorf("stream holds %v", got)
			}
		})
	}
}
