package busserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
)

var services = []string{"identity-sync", "request", "approval", "provisioning", "audit"}

// withUsers is a server that knows the services, and the subscriber siem of an
// organization.
func withUsers(t *testing.T) (s *busserver.Server, org uuid.UUID) {
	t.Helper()
	org = id.New()
	users := []busauth.User{busauth.Subscriber("siem", "siem", org)}
	for _, n := range services {
		users = append(users, busauth.Service(n, n))
	}
	s, err := busserver.Start(busserver.Config{Dir: t.TempDir(), Users: users})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s, org
}

func address(s *busserver.Server, user, password string) string {
	return strings.Replace(s.URL(), "://", "://"+url.UserPassword(user, password).String()+"@", 1)
}

// serviceBus connects a service, as services do.
func serviceBus(t *testing.T, s *busserver.Server, name string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.Config{URL: address(s, name, name), Name: name, Keeps: name == busauth.Keeper, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// as is a plain connection of a user, and what the server refuses it next.
func as(t *testing.T, s *busserver.Server, user string) (conn *nats.Conn, refused func() string) {
	t.Helper()
	refusals := make(chan string, 1000)
	conn, err := nats.Connect(address(s, user, user), nats.CustomInboxPrefix(bus.InboxPrefix(user)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refusals <- strings.ToLower(err.Error()) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn, func() string {
		select {
		case one := <-refusals:
			return one
		case <-time.After(5 * time.Second):
			return "nothing"
		}
	}
}

// A service publishes its own events alone, whatever organization they are of.
func TestServicesPublishTheirOwn(t *testing.T) {
	t.Parallel()
	s, org := withUsers(t)
	for _, n := range services {
		b := serviceBus(t, s, n)
		for _, typ := range event.Types() {
			subject, err := typ.Subject(org)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if !typ.SaidBy(n) { // no answer comes
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
			}
			_, err = b.JetStream().Publish(ctx, subject, nil, jetstream.WithRetryAttempts(0))
			cancel()
			if (err == nil) != typ.SaidBy(n) {
				t.Errorf("%s publishes %s of %s: %v", n, typ, typ.Service, err)
			}
		}
	}
}

// Who only listens hears every event, and can do nothing else.
func TestListenerListens(t *testing.T) {
	t.Parallel()
	listener := busauth.Listener("gateway", "gateway")
	s, err := busserver.Start(busserver.Config{Dir: t.TempDir(), Users: []busauth.User{listener, busauth.Service(busauth.Keeper, busauth.Keeper)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	b := serviceBus(t, s, busauth.Keeper)
	conn, refused := as(t, s, "gateway")
	heard, err := conn.SubscribeSync(bus.AllSubjects)
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	subject := "access." + id.New().String() + ".call.denied"
	if _, err := b.JetStream().Publish(t.Context(), subject, nil); err != nil {
		t.Fatal(err)
	}
	if m, err := heard.NextMsg(10 * time.Second); err != nil || m.Subject != subject {
		t.Errorf("heard %v: %v", m, err)
	}
	for _, subject := range []string{
		subject, "gatehouse.wake.request", "gatehouse.sync.x", "_INBOX_other.x", "$SYS.REQ.SERVER.PING", "$JS.API.INFO",
		"$JS.API.STREAM.INFO.ACCESS", "$JS.API.STREAM.MSG.GET.ACCESS", "$JS.API.STREAM.CREATE.ACCESS", "$JS.API.STREAM.DELETE.ACCESS",
		"$JS.API.CONSUMER.CREATE.ACCESS.gateway", "$JS.API.CONSUMER.MSG.NEXT.ACCESS.request", "$JS.ACK.ACCESS.request.1.1.1.1.1",
	} {
		if err := conn.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if got := refused(); !strings.Contains(got, "permissions violation for publish") {
			t.Errorf("publishes to %s: refused %q", subject, got)
		}
	}
	for _, subject := range []string{">", "access-json.>", "_INBOX.>", "_INBOX_request.>", "$JS.>", "gatehouse.>"} {
		if _, err := conn.Subscribe(subject, func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
		if got := refused(); !strings.Contains(got, "permissions violation for subscription") {
			t.Errorf("listens to %s: refused %q", subject, got)
		}
	}
}

// No service and no subscriber can take something out of the stream, change who
// reads it or listen to what is not theirs, and one without a password can do
// nothing.
func TestUsersAreBound(t *testing.T) {
	t.Parallel()
	s, org := withUsers(t)
	serviceBus(t, s, busauth.Keeper) // makes the stream
	for _, name := range append(slices.Clone(services), "siem") {
		conn, refused := as(t, s, name)
		for _, subject := range []string{
			"$JS.API.STREAM.PURGE.ACCESS", "$JS.API.STREAM.DELETE.ACCESS", "$JS.API.STREAM.MSG.DELETE.ACCESS",
			"$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.UPDATE.ACCESS", "$JS.API.STREAM.RESTORE.ACCESS", "$JS.API.STREAM.SNAPSHOT.ACCESS",
			"$JS.API.CONSUMER.CREATE.ACCESS.other", "$JS.API.CONSUMER.DELETE.ACCESS.other", "$JS.API.CONSUMER.DURABLE.CREATE.ACCESS." + name,
			"$JS.API.CONSUMER.MSG.NEXT.ACCESS.other", "$JS.ACK.ACCESS.other.1.1.1.1.1", "gatehouse.wake.other", "_INBOX.x", "_INBOX_other.x",
			"access." + org.String() + ".unheard.of", "$SYS.REQ.SERVER.PING",
			"access-json." + org.String() + ".approval.granted",
			"$JS.API.STREAM.CREATE.ACCESS_JSON", "$JS.API.STREAM.UPDATE.ACCESS_JSON", "$JS.API.STREAM.PURGE.ACCESS_JSON", "$JS.API.STREAM.DELETE.ACCESS_JSON",
			"$JS.API.STREAM.MSG.GET.ACCESS_JSON", "$JS.API.DIRECT.GET.ACCESS_JSON", "$JS.API.CONSUMER.CREATE.ACCESS_JSON.other",
			"$JS.API.CONSUMER.CREATE.ACCESS_JSON." + name, "$JS.API.CONSUMER.CREATE.ACCESS_JSON." + name + ".access-json." + id.New().String() + ".>",
			"$JS.API.CONSUMER.MSG.NEXT.ACCESS_JSON.other", "$JS.API.CONSUMER.MSG.NEXT.ACCESS." + busauth.JSONConsumer,
			"$JS.API.CONSUMER.RESET.ACCESS." + name, "$JS.API.CONSUMER.RESET.ACCESS." + busauth.JSONConsumer,
		} {
			keeps := strings.HasPrefix(subject, "$JS.API.STREAM.UPDATE") || strings.HasPrefix(subject, "access-json.") ||
				subject == "$JS.API.STREAM.CREATE.ACCESS_JSON" || strings.HasSuffix(subject, "."+busauth.JSONConsumer)
			if name == busauth.Keeper && keeps {
				continue // audit's business
			}
			if err := conn.Publish(subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			if got := refused(); !strings.Contains(got, "permissions violation for publish") || !strings.Contains(got, strings.ToLower(subject)) {
				t.Errorf("%s publishes to %s: refused %q", name, subject, got)
			}
		}
		for _, subject := range []string{"access.>", "access.*.role.changed", "access." + id.New().String() + ".>", "access-json.>", "access-json." + id.New().String() + ".>", ">", "_INBOX.>", "_INBOX_other.>", "$JS.>", "gatehouse.>"} {
			if _, err := conn.Subscribe(subject, func(*nats.Msg) {}); err != nil {
				t.Fatal(err)
			}
			if got := refused(); !strings.Contains(got, "permissions violation for subscription") || !strings.Contains(got, strings.ToLower(subject)) {
				t.Errorf("%s listens to %s: refused %q", name, subject, got)
			}
		}
	}
	for name, at := range map[string]string{
		"nobody": s.URL(), "wrong password": address(s, "audit", "wrong"), "unknown": address(s, "other", "other"),
	} {
		if conn, err := nats.Connect(at); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s connects: %v", name, err)
			conn.Close()
		}
	}
}

// A subscriber reads its organization's events, past and live, of either form, and
// no others.
func TestSubscriberReadsItsOrganization(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]struct{ stream, prefix, sayer string }{
		"protobuf": {bus.Stream, "access.", "approval"},
		"JSON":     {bus.JSONStream, "access-json.", busauth.Keeper},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, org := withUsers(t)
			b := serviceBus(t, s, form.sayer)
			if form.stream == bus.JSONStream {
				if err := b.EnsureJSONStream(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			readsItsOrganization(t, s, b, form.stream, form.prefix, org)
		})
	}
}

func readsItsOrganization(t *testing.T, s *busserver.Server, b *bus.Bus, name, prefix string, org uuid.UUID) {
	t.Helper()
	said := func(of uuid.UUID, n int) {
		t.Helper()
		for i := range n {
			if _, err := b.JetStream().Publish(t.Context(), prefix+of.String()+".approval.granted", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	said(id.New(), 3)
	said(org, 2)

	conn, _ := as(t, s, "siem")
	live, err := conn.SubscribeSync(prefix + org.String() + ".>")
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "siem", FilterSubject: prefix + org.String() + ".>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	said(id.New(), 1)
	said(org, 1)
	for i := range 3 {
		m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(m.Subject(), prefix+org.String()+".") {
			t.Errorf("event %d is of %s", i, m.Subject())
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := live.NextMsg(10 * time.Second); err != nil {
		t.Errorf("live: %v", err)
	}
	for what, filter := range map[string][]string{
		"everything":   nil,
		"another's":    {prefix + id.New().String() + ".>"},
		"of all":       {prefix + "*.approval.granted"},
		"also another": {prefix + org.String() + ".>", prefix + id.New().String() + ".>"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{Durable: "siem", FilterSubjects: filter}); err == nil {
			t.Errorf("a consumer of %s", what)
		}
		cancel()
	}
}
