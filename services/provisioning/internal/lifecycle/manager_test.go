package lifecycle

import (
	"slices"
	"testing"
)

// What may have been written, by calls of which nothing was heard, is written again, or
// cleared.
func TestManagerInDoubt(t *testing.T) {
	t.Parallel()
	know := Observed{Account: Active, Profile: "p", Manager: Manager{Account: "ann"}}
	plan := func(k Observed, w WantedManager) []Change {
		return Plan(Desired{Account: true, Profile: "p", Manager: w}, k)
	}
	ann, bob, nobody := WantedManager{Person: id(1), Account: "ann"}, WantedManager{Person: id(2), Account: "bob"}, WantedManager{}
	if got := plan(know, ann); len(got) != 0 {
		t.Errorf("planned %v", got)
	}
	lost := know.Tried(plan(know, bob)[0])
	for _, w := range []WantedManager{ann, bob, nobody} {
		if got := plan(lost, w); !slices.Equal(got, []Change{{Do: SetManager, Manager: w.Account}}) {
			t.Errorf("planned %v for %v", got, w)
		}
	}
	if got := lost.Manager.Written(); !slices.Equal(got, []string{"ann", "bob"}) {
		t.Errorf("may have written %v", got)
	}
	if got := plan(lost, WantedManager{Person: id(1), Unknown: true}); len(got) != 0 {
		t.Errorf("planned %v while nothing is known", got)
	}
	cleared := know.Tried(Change{Do: SetManager})
	if got := plan(cleared, ann); len(got) != 1 {
		t.Errorf("planned %v, where it may have been cleared", got)
	}
	// One that may have been made anew names nobody.
	if got := plan(know.Tried(Change{Do: CreateAccount, Profile: "p"}), ann); !slices.Contains(got, Change{Do: SetManager, Manager: "ann"}) {
		t.Errorf("planned %v", got)
	}
	if got := lost.Did(Change{Do: SetManager, Manager: "bob"}, Absent); len(plan(got, bob)) != 0 {
		t.Errorf("known %+v", got.Manager)
	}
}
