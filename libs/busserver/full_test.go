package busserver_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/disktest"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The disk of the server is full, which makes NATS refuse every event until it
// is started again; and has space again.
//
// B-RUN-03 in part: the bus.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := disktest.Small(t, "16m")
	s, err := busserver.Start(busserver.Config{Dir: filepath.Join(disk, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	b := connect(t, s.URL())
	defer b.Close()
	next := 0
	say := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m := batch(next, 1)[0]
		m.Data = make([]byte, 64<<10)
		if _, err := b.JetStream().PublishMsg(ctx, m); err != nil {
			return err
		}
		next++
		return nil
	}
	if err := say(); err != nil {
		t.Fatal(err)
	}
	free := disktest.Fill(t, disk)
	eventually(t, "an event is refused", func() bool { return say() != nil })
	eventually(t, "Check tells", func() bool { return s.Check() != nil })
	acked := next
	if err := say(); err == nil {
		t.Fatal("an event is taken on a full disk")
	}

	free()
	eventually(t, "events are taken again", func() bool { return say() == nil })
	eventually(t, "Check tells", func() bool { return s.Check() == nil })
	if n := int(state(t, b).Msgs); n < acked+1 {
		t.Errorf("%d events, want the %d acknowledged and one more", n, acked)
	}
}
