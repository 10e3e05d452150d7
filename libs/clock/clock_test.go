package clock_test

import (
	"testing"
	"time"

	"gatehouse.dev/libs/clock"
)

func TestClocks(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.FixedZone("CET", 3600))
	want := time.Date(2026, 3, 1, 11, 0, 0, 123_456_000, time.UTC)

	if got := clock.Fixed(at).Now(); got != want {
		t.Errorf("fixed: %s, want %s", got, want)
	}
	m := clock.NewManual(at)
	if got := m.Now(); got != want {
		t.Errorf("manual: %s, want %s", got, want)
	}
	if got := m.Advance(time.Hour); got != want.Add(time.Hour) || m.Now() != got {
		t.Errorf("advanced: %s, now %s", got, m.Now())
	}
	m.Set(at)
	if got := m.Now(); got != want {
		t.Errorf("set: %s, want %s", got, want)
	}

	before := time.Now()
	got := clock.System{}.Now()
	if got.Location() != time.UTC || got.Nanosecond()%1000 != 0 || got.Before(before.Truncate(time.Microsecond)) || got.After(time.Now()) {
		t.Errorf("system: %s", got)
	}
}
