package lifecycle

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// lookedAt is an assignment in an app that people handle and an integration looks at.
type lookedAt struct {
	world
	adopt bool
	// serial is which account the app has, and known the one that is known by its id.
	serial, known int
	// none means that a look has found no account since one is to be made.
	none bool
	// began is what a look that is under way has seen; nil if none is.
	began   *Sighting
	serials int
	// before means that the account was there before, and is nobody's, and left that a
	// person has left one that nobody knows whose it is.
	before, leftThere bool
}

// step reconciles, and checks what must hold besides.
func (w *lookedAt) step(t *rapid.T) {
	w.reconcile(t)
	if k := w.assignment.Observed; k.Account == Absent && !k.AccountInDoubt {
		w.known = 0
	}
	s := w.assignment
	known := w.known != 0 || s.Observed.Account == Absent && !s.Observed.AccountInDoubt
	w.none = w.none && (!known || slices.ContainsFunc(s.Items, func(i Item) bool { return i.Kind == ItemCreateAccount }))
	todo := Plan(s.desired(), s.Observed)
	if (len(todo) > 0) != (s.Operation.State != NoOperation) || s.Operation.State != NoOperation && !s.Operation.Looks {
		t.Fatalf("to be changed are %v, and the operation is %+v", todo, s.Operation)
	}
	for _, c := range todo {
		_, said := s.saidGone(c, s.Observed)
		asked := slices.ContainsFunc(s.Items, func(i Item) bool {
			return i.Kind.manual() && (!i.done(s.Observed) || i.Kind == ItemUnassign && slices.Contains(i.Entitlements, c.Entitlement))
		})
		if !said && !asked {
			t.Fatalf("nobody is asked for %+v: %+v", c, s.Items)
		}
	}
}

// look asks the app.
func (w *lookedAt) look(t *rapid.T, faults bool) *Sighting {
	w.assignment.Operation.State = Running
	saw := &Sighting{Disabled: w.app.account == Disabled}
	fails := func() bool { return faults && rapid.IntRange(0, 4).Draw(t, "fails") == 0 }
	switch {
	case fails():
		return saw
	case w.app.account == Absent:
		saw.Account = SeenNone
		return saw
	case w.known == w.serial:
		saw.Account = SeenTheirs
	default:
		saw.Account = SeenOther
	}
	for _, c := range w.assignment.Operation.Plan {
		switch {
		case c.Entitlement == ID{}, fails():
		case w.app.member.Has(c.Entitlement):
			saw.Has = append(saw.Has, c.Entitlement)
		default:
			saw.Lacks = append(saw.Lacks, c.Entitlement)
		}
	}
	return saw
}

// see records what a look has seen, as the engine does.
func (w *lookedAt) see(t *rapid.T, saw *Sighting, serial int) {
	s := &w.assignment
	s.Operation.State = Queued
	before := s.Observed
	seen := s.See(*saw, Acquaintance{ByID: w.known != 0, NoneBefore: w.none, Adopt: w.adopt, Ask: !w.adopt})
	if saw.Account == SeenNone {
		w.none = slices.ContainsFunc(s.Items, func(i Item) bool { return i.Kind == ItemCreateAccount })
	}
	s.Observed, s.Saw, s.Reopened = seen.Observed, len(seen.Told) > 0, seen.Refuted
	w.words = w.words.Look(seen.Told)
	if len(seen.Told) > 0 && s.Observed.Account == Absent {
		w.known = 0
	}
	if k := s.Observed; len(seen.Told) > 0 && k.Account != Absent {
		w.known = serial
		if before.Account == Absent {
			w.app.ours, w.app.had, w.before = !k.Adopted, nil, false
			if k.Adopted {
				w.app.had = minusAll(w.app.member, before.InDoubt.Sorted())
			}
		}
	}
	refuted := len(seen.Refuted)
	w.step(t)
	for _, i := range s.Items {
		if i.Reopens != (ID{}) && refuted == 0 {
			t.Fatalf("opened again, and nothing was refuted: %+v", i)
		}
	}
	for i := range s.Items {
		s.Items[i].Reopens = ID{}
	}
}

// work does in the app what an item asks for.
func (w *lookedAt) work(item Item) {
	a := &w.app
	switch item.Kind {
	case ItemCreateAccount:
		if a.account == Absent {
			w.serials++
			w.serial, w.before = w.serials, false
			*a = app{member: Set{}}
		}
		a.account = Active
		for e := range w.assignment.desired().Entitlements {
			a.member = a.member.plus(e)
		}
	case ItemAssign:
		if a.account == Active {
			a.member = a.member.plus(item.Entitlements...)
		}
	case ItemUnassign:
		a.member = minusAll(a.member, item.Entitlements)
	case ItemRemoveAccount:
		if a.account != Absent {
			a.account = w.left
		}
		if a.account == Absent {
			a.member, w.serial = Set{}, 0
		}
	}
}

// redo puts back what people have taken away of which nobody has told yet, once it is
// wanted again.
func (w *lookedAt) redo() {
	s, a := &w.assignment, &w.app
	k, want := s.Observed, s.desired()
	if !want.Account || !k.surelyThere() {
		return
	}
	if a.account == Absent {
		w.serial = w.known
		if w.known == 0 {
			w.serials++
			w.serial = w.serials
		}
	}
	a.account = Active
	for e := range want.Entitlements {
		if k.Held.Has(e) {
			a.member = a.member.plus(e)
		}
	}
}

// say resolves an item.
func (w *lookedAt) say(t *rapid.T, n int, lies bool) {
	s := &w.assignment
	item := s.Items[n]
	comes := item.Kind == ItemCreateAccount || item.Kind == ItemAssign
	had := w.app.member
	w.leftThere = w.leftThere || lies && item.Kind == ItemRemoveAccount && s.Observed.Found
	if !lies || comes {
		w.work(item)
	}
	k := s.Resolve(item.ID, w.left)
	if item.Kind == ItemCreateAccount {
		w.known, w.before = 0, false
		w.app.ours, w.app.had = !k.Adopted, nil
		if !k.Adopted {
			w.app.member = s.desired().Entitlements // as it says
		} else {
			w.known = w.serial
			w.app.had = minusAll(had, s.desired().Entitlements.Sorted())
		}
	}
	w.words = w.words.Say(item)
	s.Observed, s.Items = k, slices.Delete(slices.Clone(s.Items), n, n+1)
	if s.Operation.Looks {
		s.Operation.State, w.began = Queued, nil // it may have seen what was there before
	}
	w.step(t)
}

// TestLooked lets people work in the app, with a word and without, tell the truth and lie
// about what they have removed, while looks fail, see, and are overtaken: no grant becomes
// active or revoked that is not so in the app, nobody waits for nothing, and in the end all
// comes right by looks alone. B-ONB-10, B-PRV-11, B-PRV-13
func TestLooked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &lookedAt{adopt: rapid.Bool().Draw(t, "adopt what was there before")}
		w.left = rapid.SampledFrom([]AccountState{Absent, Disabled}).Draw(t, "ending")
		w.app, w.unsaid = app{account: Absent, member: Set{}}, true
		w.assignment = Assignment{Mode: Manual, Looks: true, Observed: Observed{Account: Absent}}
		if rapid.Bool().Draw(t, "there before") {
			w.serials, w.serial, w.before = 1, 1, true
			w.app = app{account: Active, member: NewSet(admins)}
		}
		s := &w.assignment
		pick := func(t *rapid.T) int {
			if len(s.Items) == 0 {
				t.Skip("this cannot happen as things stand")
			}
			return rapid.IntRange(0, len(s.Items)-1).Draw(t, "item")
		}
		began, touched := 0, false
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				if s.Leaving || len(s.Grants) > 6 {
					t.Skip("this cannot happen as things stand")
				}
				e := rapid.SampledFrom([]ID{account, admins, readers}).Draw(t, "entitlement")
				s.Grants = append(slices.Clone(s.Grants), Grant{ID: w.id(), Entitlement: e, Account: e == account, State: Pending, Request: w.id()})
				w.redo()
				w.step(t)
			},
			"end": func(t *rapid.T) {
				e := rapid.SampledFrom([]ID{account, admins, readers}).Draw(t, "entitlement")
				s.Grants = slices.Clone(s.Grants)
				for i := range s.Grants {
					if g := &s.Grants[i]; g.State.Live() && g.Entitlement == e {
						g.State = Revoking
					}
				}
				w.step(t)
			},
			"leave": func(t *rapid.T) {
				s.Leaving, s.Suspended, s.Grants = true, false, slices.Clone(s.Grants)
				for i := range s.Grants {
					s.Grants[i].State = Revoking
				}
				w.step(t)
			},
			"return":  func(t *rapid.T) { s.Leaving = false; w.redo(); w.step(t) },
			"suspend": func(t *rapid.T) { s.Suspended = !s.Leaving; w.step(t) },
			"resume":  func(t *rapid.T) { s.Suspended = false; w.redo(); w.step(t) },
			"work": func(t *rapid.T) {
				w.work(s.Items[pick(t)])
				touched = w.began != nil
			},
			"say": func(t *rapid.T) { w.say(t, pick(t), rapid.Bool().Draw(t, "lies")) },
			"look begins": func(t *rapid.T) {
				if s.Operation.State != Queued {
					t.Skip("this cannot happen as things stand")
				}
				w.began, began, touched = w.look(t, true), w.serial, false
			},
			"look ends": func(t *rapid.T) {
				if w.began == nil || s.Operation.State != Running {
					t.Skip("this cannot happen as things stand")
				}
				saw := w.began
				w.began = nil
				w.tampered = touched // it is taken for how things are until the next look
				w.see(t, saw, began)
				w.tampered = false
			},
		})
		for range 12 {
			if s.Operation.State == Running {
				s.Operation.State = Queued
			}
			if s.Operation.State == Queued {
				w.see(t, w.look(t, false), w.serial)
			}
			for n, i := range s.Items {
				// Nobody but a person knows of an account that nothing has ever seen.
				if s.Observed.Found && i.Kind == ItemRemoveAccount {
					w.say(t, n, w.before) // and they leave it where it is not theirs
					break
				}
				if s.Observed.Found && i.Kind == ItemCreateAccount || i.Kind == ItemRemoveAccount && w.known == 0 && w.app.account != Active {
					w.say(t, n, false)
					break
				}
				w.work(i)
			}
		}
		if len(s.Items) > 0 || s.Operation.State != NoOperation {
			t.Fatalf("still at it: %+v, %+v, known %+v, the app has %+v", s.Items, s.Operation, s.Observed, w.app)
		}
		if k := s.Observed; !s.desired().Account && w.app.account == Active && !w.before && !w.leftThere && !k.Adopted {
			t.Fatalf("an account that was made by hand is left: known %+v, the app has %+v", k, w.app)
		}
		for _, g := range s.Grants {
			if g.State != InPlace && (!s.Suspended || !g.State.waits()) {
				t.Fatalf("grant %+v has not come right", g)
			}
		}
	})
}
