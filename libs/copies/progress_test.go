package copies_test

import (
	"testing"

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
	if err := ask(); !apierr.HasReason(err, "USER_UNKNOWN") {
		t.Errorf("nothing was said: %v", err)
	}
	if _, err := js.Publish(ctx, "access."+org.String()+".user.joined", nil); err != nil {
		t.Fatal(err)
	}
	if err := ask(); !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("something is on its way: %v", err)
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
	progress.Service = "nobody"
	if err := ask(); !apierr.HasReason(err, copies.ReasonNotKnownYet) {
		t.Errorf("the bus does not say: %v", err)
	}
}
