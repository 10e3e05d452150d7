package command

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric/noop"
)

// One item that fails keeps no other from being done, and is tried again after a
// growing pause.
func TestScanIsolatesItems(t *testing.T) {
	t.Parallel()
	m, err := NewMaintenance(noop.NewMeterProvider().Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Commands{Config: Config{Log: slog.New(slog.DiscardHandler), Maintenance: m}} // a scan needs no more
	s := c.newScan("test")
	var tried []string
	bad, fails := true, 0
	items := []string{"a", "b", "c"}
	look := func() []string {
		tried = nil
		s.run(t.Context(), func(ctx context.Context, s *scan) error {
			for _, id := range items {
				s.do(ctx, uuid.New(), id, func() error {
					tried = append(tried, id)
					if bad && id == "b" {
						if fails++; fails%2 == 0 {
							panic("it cannot be looked at")
						}
						return errors.New("cannot be saved")
					}
					return nil
				})
			}
			return nil
		})
		return tried
	}
	if got := look(); !slices.Equal(got, items) {
		t.Fatalf("tried %q", got)
	}
	if got := look(); !slices.Equal(got, []string{"a", "c"}) {
		t.Fatalf("tried %q at once", got)
	}
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		// A fifth more by chance, and a little less when this machine is slow.
		if pause := time.Until(s.failed["b"].next); pause < want/2 || pause > want*6/5 {
			t.Errorf("tries again in %v, want %v", pause, want)
		}
		s.failed["b"].next = time.Now() // its time has come
		if got := look(); !slices.Equal(got, items) {
			t.Fatalf("tried %q in time", got)
		}
	}
	if in := s.retryIn(time.Hour); in > 8*time.Second*6/5 {
		t.Errorf("tries again in %v", in)
	}
	bad, s.failed["b"].next = false, time.Now()
	look()
	if len(s.failed) != 0 {
		t.Error("done, and counted as late")
	}
	bad = true
	look()
	items = []string{"a", "c"}
	if look(); len(s.failed) != 0 {
		t.Error("nothing is left to do for it, and it is counted as late")
	}
}
