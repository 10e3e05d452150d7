package due_test

import (
	"testing"
	"time"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/id"
)

func TestFloor(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, tt := range map[string]struct {
		oldest *time.Time
		want   time.Duration // before now
	}{
		"nothing waits":      {nil, 5 * time.Second},
		"an old one waits":   {new(now.Add(-time.Hour)), time.Hour},
		"a new one waits":    {new(now.Add(-time.Second)), 5 * time.Second},
		"one waits for long": {new(now.Add(time.Hour)), 5 * time.Second},
	} {
		var f due.Floor
		if !f.Stale() {
			t.Errorf("%s: not sought at first", name)
		}
		f.Set(now, tt.oldest)
		if got := now.Sub(f.Time()); got != tt.want || f.Stale() {
			t.Errorf("%s: floor %s before now, want %s; stale: %t", name, got, tt.want, f.Stale())
		}
	}
}

// What comes below the floor, of a transaction that took long or of a replica
// whose clock is behind, is found when the floor is sought anew.
func TestFindsWhatComesBelowTheFloor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.queue()
	w.run(q)
	first := w.item(id.New(), 0)
	w.add(q, first)
	w.eventually("one happens", func() bool { return w.effects()[first.Key] == 1 })
	late := id.New()
	w.exec(`insert into due (kind, key, organization_id, due_time, try_time, attempts, error) values ('save', $1, $2, $3, $3, 0, '')`,
		late, first.OrganizationID, w.clock.Now().Add(-time.Hour))
	w.eventually("the late one happens", func() bool { return w.effects()[late] == 1 })
}
