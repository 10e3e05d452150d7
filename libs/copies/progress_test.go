package copies_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/copies"
)

// B-USR-21: whom a service does not know is unknown once it has handled all that was said,
// and not before: until then it is to be tried again. So it is while the bus does not say.
func TestProgress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ctx := t.Context()
	if err := p.bus.EnsureStream(ctx); err != nil {
		t.Fatal(err)
	}
	progress := &copies.Progress{Bus: p.bus, Service: "catalog"}
	js := p.bus.JetStream()
	consumer, err := js.CreateOrUpdateConsumer(ctx, bus.Stream, jetstream.ConsumerConfig{Durable: "catalog", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	ada := someone(1)
	org, who := uuid.MustParse(ada.GetOrganizationId()), copies.IDs{copies.Users: {uuid.New()}}
	ask := func() error {
		return copies.WhenKnown(t.Context(), p.db, progress, org, who, func() error {
			return apierr.InvalidField("owner_id", "USER_UNKNOWN", "there is no such user")
		}, "USER_UNKNOWN")
	}
	// The same of what has no id.
	look := func(wait time.Duration) (bool, error) {
		from := time.Now()
		return progress.Await(t.Context(), func() (bool, error) { return wait > 0 && time.Since(from) >= wait, nil })
	}
	if err := ask(); !apierr.HasReason(err, "USER_UNKNOWN") {
		t.Errorf("nothing was said: %v", err)
	}
	if known, err := look(0); known || err != nil {
		t.Errorf("nothing was said: %v, %v", known, err)
	}
	// With nothing behind, that does not take as long as what may come could, and few
	// looks; also not for who has a second for it.
	short, end := context.WithTimeout(ctx, time.Second)
	defer end()
	looks, from := 0, time.Now()
	known, err := progress.Await(short, func() (bool, error) { looks++; return false, nil })
	if took := time.Since(from); known || err != nil || looks > 10 || took > 900*time.Millisecond {
		t.Errorf("nothing was said: %v, %v after %d looks in %s", known, err, looks, took)
	}
	if _, err := js.Publish(ctx, "access."+org.String()+".user.joined", nil); err != nil {
		t.Fatal(err)
	}
	if err := ask(); !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("something is on its way: %v", err)
	}
	if known, err := look(0); known || !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("something is on its way: %v, %v", known, err)
	}
	if known, err := look(50 * time.Millisecond); !known || err != nil {
		t.Errorf("it came: %v, %v", known, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := progress.Await(ended, func() (bool, error) { return false, nil }); !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("nobody waits: %v", err)
	}
	m, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(); !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("it is being handled: %v", err)
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	if err := ask(); !apierr.HasReason(err, "USER_UNKNOWN") {
		t.Errorf("it was handled: %v", err)
	}
	if known, err := look(0); known || err != nil {
		t.Errorf("it was handled: %v, %v", known, err)
	}
	progress.Service = "nobody"
	if err := ask(); !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("the bus does not say: %v", err)
	}
}
