package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/eventsig"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// TestBusIsNoBackDoor: with the address of the bus alone nobody gets in, and even
// whoever has taken the bus over and may publish anything gives nobody access and
// no role: what gives access is signed by the service that decides it, and what is
// not is set aside for an admin to see, and never written down as having happened.
func TestBusIsNoBackDoor(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	target := startScimTarget(t)
	gh := startStandalone(t)
	w := newWorld(t, gh, target)
	w.scimUser(t, "mia", "Mia Member", "")
	w.scimUser(t, "ann", "Ann Approver", "")
	w.scimUser(t, "eve", "Eve Elsewhere", "")
	mia, ann, eve := w.as(t, "mia"), w.as(t, "ann"), w.as(t, "eve")
	chat := w.automaticApp(t, "Chat", "ann")
	asked := w.ask(t, mia, "REQUEST_KIND_GRANT", chat.account)
	w.approve(t, ann, asked)
	w.requestState(t, asked, "REQUEST_STATE_FULFILLED")

	t.Log("1. without credentials nobody connects")
	at := gh.busURL(t)
	for name, user := range map[string]*url.Userinfo{
		"nobody": nil, "a guess": url.UserPassword("provisioning", "provisioning"), "no password": url.User("operator"),
	} {
		u := *at
		u.User = user
		if conn, err := nats.Connect(u.String()); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
			conn.Close()
		}
	}

	t.Log("2. whoever may publish anything makes up an approval and a role")
	js := jetStream(t, at.String())
	stream, err := js.Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	genuine := lastEvent(t, stream, "access.*.approval.granted")
	approved := &eventv1.ApprovalGranted{}
	if err := proto.Unmarshal(genuine.Data, approved); err != nil {
		t.Fatal(err)
	}
	who := w.user(t, "eve")
	approved.Request.Id = newUUID()
	approved.Request.Beneficiary = &identityv1.Person{UserId: str(who, "id"), DisplayName: "Eve Elsewhere"}
	joined := lastEvent(t, stream, "access.*.user.joined")
	promoted := &eventv1.UserUpdated{Context: proto.CloneOf(approved.GetContext()), User: &identityv1.User{
		Id: str(who, "id"), UserName: "eve@corp.example", DisplayName: "Eve Elsewhere",
		State: identityv1.UserState_USER_STATE_ACTIVE, Role: identityv1.Role_ROLE_ADMIN, Version: 1000,
	}}
	promoted.Context.Version = 1000
	other, err := eventsig.NewSigner(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	forged := func(from *jetstream.RawStreamMsg, event string, m proto.Message) *nats.Msg {
		t.Helper()
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out := &nats.Msg{Subject: "access." + w.organization(t) + "." + event, Data: data, Header: nats.Header{}}
		for k, v := range from.Header {
			out.Header[k] = slices.Clone(v)
		}
		out.Header.Set(bus.HeaderID, newUUID())
		out.Header.Set(nats.MsgIdHdr, out.Header.Get(bus.HeaderID))
		out.Header.Set(bus.HeaderTime, time.Now().UTC().Format(time.RFC3339Nano))
		return out
	}
	asIs := forged(genuine, "approval.granted", approved) // with the signature of another
	unsigned := forged(genuine, "approval.granted", approved)
	unsigned.Header.Del(eventsig.Header)
	signed := forged(genuine, "approval.granted", approved)
	other.Sign(signed)
	foreign := forged(genuine, "approval.granted", approved)
	foreign.Header.Set(bus.HeaderSource, "provisioning")
	again := &nats.Msg{Subject: genuine.Subject, Data: genuine.Data, Header: forged(genuine, "approval.granted", approved).Header}
	role := forged(joined, "user.updated", promoted)
	role.Header.Set(bus.HeaderType, "gatehouse.event.v1.UserUpdated")
	attempts := map[string]*nats.Msg{
		"another's signature": asIs, "no signature": unsigned, "another key": signed,
		"another sayer": foreign, "again under another id": again, "a role": role,
	}
	var ids []string
	for name, m := range attempts {
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids = append(ids, m.Header.Get(bus.HeaderID))
	}

	t.Log("3. it is set aside, by everybody who would act on it")
	for _, service := range []string{"request", "provisioning", "audit"} {
		until(t, "what "+service+" set aside", func() []string {
			return column(list(w.admin.must(t, "GET", "/v1/parkedEvents?pageSize=100&service="+service, nil), "parkedEvents"), "eventId")
		}, func(parked []string) bool {
			return len(parked) == len(ids) && !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(parked, id) })
		})
	}
	if got := target.users(t, "eve@corp.example"); len(got) != 0 {
		t.Errorf("eve has an account: %v", got)
	}
	if got := w.grants(t, "eve"); len(got) != 0 {
		t.Errorf("eve has a grant: %s", brief(got))
	}
	if got := w.grants(t, "mia"); len(got) != 1 {
		t.Errorf("mia has %d grants", len(got))
	}
	if r, err := eve.do(t.Context(), "GET", "/v1/sources", nil); err != nil || r.Code != http.StatusForbidden {
		t.Errorf("eve lists sources: %v %d", err, r.Code)
	}
	if got := list(w.admin.must(t, "GET", "/v1/auditEntries?requestId="+approved.GetRequest().GetId(), nil), "auditEntries"); len(got) != 0 {
		t.Errorf("audit has written down what did not happen: %s", brief(got))
	}
}

// TestSubscriber: a program that is let in as a subscriber reads the events of its
// organization from the beginning, as the README says, and no others.
//
// B-AUD-06, in part: NATS.
func TestSubscriber(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes")
	}
	t.Parallel()
	bin, data := program(t, "gatehouse.dev/services/standalone/cmd"), dataDir(t)
	gh := runStandalone(t, bin, data)
	w, other := newWorld(t, gh, nil), newWorld(t, gh, nil)
	w.scimUser(t, "mia", "Mia Member", "")
	other.scimUser(t, "zoe", "Zoe Elsewhere", "")
	org := w.organization(t)
	gh.stop(t)

	const password = "a-password-of-its-own"
	addr := bustest.FreeAddrs(t, 1)[0]
	runStandalone(t, bin, data, "GATEHOUSE_NATS_ADDR="+addr, "GATEHOUSE_NATS_SUBSCRIBERS=siem="+org+":"+password)
	js := jetStream(t, "nats://siem:"+password+"@"+addr, nats.CustomInboxPrefix("_INBOX_siem"))
	consumer, err := js.CreateOrUpdateConsumer(t.Context(), "ACCESS", jetstream.ConsumerConfig{
		Durable: "siem", FilterSubject: "access." + org + ".>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	for joined := false; !joined; {
		m, err := consumer.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(m.Subject(), "access."+org+".") {
			t.Fatalf("reads %s", m.Subject())
		}
		user := &eventv1.UserJoined{}
		if m.Headers().Get("ce-type") == "gatehouse.event.v1.UserJoined" && proto.Unmarshal(m.Data(), user) == nil {
			joined = strings.HasPrefix(user.GetUser().GetUserName(), "mia")
		}
		if err := m.Ack(); err != nil {
			t.Fatal(err)
		}
	}
}

// busURL is the address of the bus for whoever may read the data directory.
func (s *standalone) busURL(t testing.TB) *url.URL {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.data, "runtime.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		NATS string `json:"nats"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(r.NATS)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// jetStream is a connection to the bus of the test's own.
func jetStream(t testing.TB, at string, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(at, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func lastEvent(t testing.TB, stream jetstream.Stream, filter string) *jetstream.RawStreamMsg {
	t.Helper()
	m, err := stream.GetLastMsgForSubject(t.Context(), filter)
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	return m
}
