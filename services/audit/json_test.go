package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/bustest"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/audit"
	"gatehouse.dev/services/audit/migrations"
)

// startJSON is start with events in JSON.
func startJSON(t testing.TB) *world {
	t.Helper()
	h := servicetest.Start(t, migrations.FS, func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		return audit.Run(ctx, audit.Config{Config: cfg, EventsJSON: true}, lis, log)
	})
	return &world{Harness: h, org: id.New(), ann: person("Ann Lee"), ben: person("Ben Ruiz"), mia: person("Mia Okoye"), crm: id.New()}
}

// told is an event in JSON.
type told struct {
	subject string
	header  nats.Header
	raw     []byte
	event   map[string]any
	data    json.RawMessage
}

// json waits until everything that was said is told, and gives all in the order of
// the stream.
func (w *world) json(t testing.TB) (all []told) {
	t.Helper()
	w.Handled(t, "audit-json")
	c, err := w.Bus.JetStream().OrderedConsumer(t.Context(), bus.JSONStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range info.NumPending {
		m, err := c.Next(jetstream.FetchMaxWait(servicetest.Patience))
		if err != nil {
			t.Fatal(err)
		}
		one := told{subject: m.Subject(), header: m.Headers(), raw: m.Data()}
		var data struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(m.Data(), &one.event); err != nil {
			t.Fatalf("%v: %s", err, m.Data())
		}
		if err := json.Unmarshal(m.Data(), &data); err != nil {
			t.Fatal(err)
		}
		one.data = data.Data
		all = append(all, one)
	}
	return all
}

func ids(all []told) (ids []string) {
	for _, e := range all {
		ids = append(ids, fmt.Sprint(e.event["id"]))
	}
	return ids
}

// Every kind of event is told in JSON, as a whole CloudEvent that says what the
// binary one says.
func TestEveryEventIsToldInJSON(t *testing.T) {
	t.Parallel()
	w := startJSON(t)
	var said []*nats.Msg
	var messages []proto.Message
	for i, typ := range event.Types() {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(typ.Message)
		if err != nil {
			t.Fatal(err)
		}
		m := mt.New()
		w.fill(m, 6)
		msg := servicetest.Message(t, id.New(), time.Now(), w.org, id.New(), m.Interface())
		msg.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if i%2 == 1 {
			msg.Header.Set(bus.HeaderBulk, "true")
		}
		bustest.Signer().Sign(msg)
		if _, err := w.Bus.JetStream().PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		said, messages = append(said, msg), append(messages, m.Interface())
	}
	all := w.json(t)
	if len(all) != len(said) {
		t.Fatalf("%d of %d events", len(all), len(said))
	}
	for i, got := range all {
		h := said[i].Header
		typ := h.Get(bus.HeaderType)
		if want := "access-json." + strings.TrimPrefix(said[i].Subject, "access."); got.subject != want {
			t.Errorf("%s: subject %s, want %s", typ, got.subject, want)
		}
		if got.header.Get(nats.MsgIdHdr) != h.Get(bus.HeaderID) || got.header.Get("content-type") != "application/cloudevents+json" {
			t.Errorf("%s: headers %v", typ, got.header)
		}
		want := map[string]any{
			"specversion": "1.0", "id": h.Get(bus.HeaderID), "type": typ, "subject": h.Get(bus.HeaderSubject),
			"source": bus.Source(h.Get(bus.HeaderSource)), "time": h.Get(bus.HeaderTime),
			"datacontenttype": "application/json", "dataschema": "urn:gatehouse:proto:" + typ,
			"traceparent": h.Get("traceparent"),
		}
		if i%2 == 1 {
			want["bulk"] = true
		}
		for name, value := range want {
			if got.event[name] != value {
				t.Errorf("%s: %s is %v, want %v", typ, name, got.event[name], value)
			}
		}
		if len(got.event) != len(want)+1 {
			t.Errorf("%s: more than it should say: %v", typ, got.event)
		}
		m := messages[i].ProtoReflect().New().Interface()
		if err := protojson.Unmarshal(got.data, m); err != nil || !proto.Equal(m, messages[i]) {
			t.Errorf("%s: data is another: %v: %s", typ, err, got.data)
		}
	}
	stream, err := w.Bus.JetStream().Stream(t.Context(), bus.JSONStream)
	if err != nil {
		t.Fatal(err)
	}
	if cfg := stream.CachedInfo().Config; !cfg.DenyDelete || !cfg.DenyPurge || !slices.Equal(cfg.Subjects, []string{"access-json.>"}) {
		t.Errorf("stream %+v", cfg)
	}
}

// What cannot be told in JSON, or is not to be believed, is left out and holds
// nothing up.
func TestWhatCannotBeToldIsLeftOut(t *testing.T) {
	t.Parallel()
	w := startJSON(t)
	r := w.request()
	first := w.submit(t, r)
	broken := proto.CloneOf(r)
	broken.CreateTime = &timestamppb.Timestamp{Seconds: 1 << 60}
	w.submit(t, broken)

	forged := servicetest.Message(t, id.New(), time.Now(), w.org, id.New(), &eventv1.RequestSubmitted{Context: w.context(r), Request: r})
	forged.Header.Del("gatehouse-signature")
	long := w.comment(r, strings.Repeat("\x01", 300_000)) // six bytes each in JSON
	for _, m := range []*nats.Msg{
		forged,
		servicetest.Message(t, id.New(), time.Now(), w.org, id.New(), long),
	} {
		if _, err := w.Bus.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	last := w.Publish(t, w.org, id.New(), w.comment(r, "after all that"))
	if got, want := ids(w.json(t)), []string{first.String(), last.String()}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// A restart in the middle loses nothing and changes no order, two replicas tell
// nothing twice, and what was said before the form was asked for is told too.
func TestJSONGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := start(t) // without
	r := w.request()
	var said []uuid.UUID
	say := func(n int) {
		for range n {
			said = append(said, w.Publish(t, w.org, id.New(), w.comment(r, "so many")))
		}
	}
	say(20)
	with := servicetest.RunFunc(func(ctx context.Context, cfg backend.Config, lis service.Listeners, log *slog.Logger) error {
		return audit.Run(ctx, audit.Config{Config: cfg, EventsJSON: true}, lis, log)
	})
	for range 3 {
		_, _, stop := w.StoppableReplicaOf(t, with)
		_, _, stopOther := w.StoppableReplicaOf(t, with)
		say(50)
		stop()
		say(50)
		stopOther()
		say(20)
	}
	_, _, stop := w.StoppableReplicaOf(t, with)
	defer stop()
	var want []string
	for _, one := range said {
		want = append(want, one.String())
	}
	if got := ids(w.json(t)); !slices.Equal(got, want) {
		t.Errorf("told %d events, want %d in this order", len(got), len(want))
	}
}
