package lifecycle_test

import (
	"testing"
	"time"

	"gatehouse.dev/services/request/internal/lifecycle"
)

func TestRefuse(t *testing.T) {
	t.Parallel()
	may, june := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	held := func(until *time.Time) lifecycle.Candidate { return lifecycle.Candidate{Held: true, HeldUntil: until} }
	for _, tc := range []struct {
		name      string
		candidate lifecycle.Candidate
		kind      lifecycle.Kind
		until     *time.Time
		want      lifecycle.Refusal
	}{
		{"not held", lifecycle.Candidate{}, lifecycle.Grant, nil, ""},
		{"requested", lifecycle.Candidate{OpenRequest: "r"}, lifecycle.Grant, nil, lifecycle.AlreadyRequested},
		{"held permanently", held(nil), lifecycle.Grant, &june, lifecycle.AlreadyHeld},
		{"held for as long", held(&june), lifecycle.Grant, &june, lifecycle.AlreadyHeld},
		{"held for longer", held(&june), lifecycle.Grant, &may, lifecycle.AlreadyHeld},
		{"held for shorter", held(&may), lifecycle.Grant, &june, ""},
		{"held for a time, permanent wanted", held(&may), lifecycle.Grant, nil, ""},
		{"revoke of what is held", held(nil), lifecycle.Revoke, nil, ""},
		{"revoke of what is not held", lifecycle.Candidate{}, lifecycle.Revoke, nil, lifecycle.NothingToRevoke},
		{"revoke requested", lifecycle.Candidate{Held: true, OpenRequest: "r"}, lifecycle.Revoke, nil, lifecycle.AlreadyRequested},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := tc.candidate.Refuse(tc.kind, tc.until); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
