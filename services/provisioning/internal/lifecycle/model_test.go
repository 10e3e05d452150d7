package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// app is a real app: what is true, whatever is known.
type app struct {
	account AccountState
	member  Set // kept while disabled
}

func (a *app) has(e ID) bool { return a.account == Active && a.member.Has(e) }

// do is a call that reaches the app. It says whether the account was missing.
func (a *app) do(c Change, left AccountState) (missing bool) {
	switch c.Do {
	case CreateAccount:
		if a.account == Absent {
			a.member = Set{}
		}
		a.account = Active
	case Add:
		if a.account == Absent {
			return true
		}
		a.member = a.member.plus(c.Entitlement)
	case Remove:
		a.member = a.member.minus(c.Entitlement)
	case RemoveAccount:
		if a.account == Absent {
			return false
		}
		a.account = left
		if left == Absent {
			a.member = Set{}
		}
	}
	return false
}

// world is one seat, the app behind it and everybody who acts on it.
type world struct {
	seat  Seat
	app   app
	left  AccountState
	tries int
	next  byte
	// tampered says that somebody worked in the app behind our back.
	tampered bool
}

func (w *world) id() ID { w.next++; return ID{0: 1, 15: w.next} }

// settle follows what Settle says until nothing follows, as the engine does in
// one transaction, and checks what must hold on the way.
func (w *world) settle(t *rapid.T) {
	before := w.seat
	out := Settle(w.seat)
	want := WantOf(w.seat.Grants)

	for _, c := range out.Plan {
		if c.Do == RemoveAccount && want.Account || c.Do == Remove && want.Entitlements.Has(c.Entitlement) {
			t.Fatalf("takes away what a live grant gives: %v", c)
		}
		if c.Do == Add && (!want.Entitlements.Has(c.Entitlement) || w.seat.known().Held.Has(c.Entitlement)) {
			t.Fatalf("adds what nobody wants or what is there: %v", c)
		}
	}
	for _, tr := range out.Grants {
		i := slices.IndexFunc(w.seat.Grants, func(g Grant) bool { return g.ID == tr.ID })
		g := &w.seat.Grants[i]
		switch tr.To {
		case InPlace:
			if g.State != Pending && g.State != Failed {
				t.Fatalf("grant in state %d becomes active", g.State)
			}
			if w.seat.Mode != Shared && !w.tampered && (w.app.account != Active || !g.Account && !w.app.has(g.Entitlement)) {
				t.Fatalf("grant of %v becomes active, the app has %v", g.Entitlement, w.app)
			}
			g.WasActive = true
		case Revoked:
			if g.State != Revoking {
				t.Fatalf("grant in state %d becomes revoked", g.State)
			}
			there := w.app.account == Active && !want.Account
			if !g.Account {
				there = w.app.has(g.Entitlement) && !want.Entitlements.Has(g.Entitlement)
			}
			if w.seat.Mode != Shared && !w.tampered && there {
				t.Fatalf("grant of %v becomes revoked, the app has %v", g.Entitlement, w.app)
			}
		case Failed:
			if g.State != Pending || w.seat.Operation.State != Stuck {
				t.Fatalf("grant in state %d fails", g.State)
			}
		case Revoking:
			if g.State != Revoking {
				t.Fatalf("grant in state %d goes back to revoking", g.State)
			}
		}
		g.State, g.Error = tr.To, tr.Error
	}
	w.seat.Grants = slices.DeleteFunc(slices.Clone(w.seat.Grants), func(g Grant) bool { return g.State == Revoked })
	w.seat.Revocations = slices.DeleteFunc(slices.Clone(w.seat.Revocations), func(r Revocation) bool { return slices.Contains(out.Revocations, r.ID) })

	if out.Finish || out.Cancel {
		w.seat.Operation = Operation{}
	}
	if out.Replan {
		w.seat.Operation.Plan = out.Plan
	}
	if out.Enqueue {
		w.seat.Operation, w.tries = Operation{State: Queued, Plan: out.Plan}, 0
	}

	items := make(map[ID]Item)
	for _, i := range w.seat.Items {
		items[i.ID] = i
	}
	for _, i := range out.Change {
		items[i.ID] = i
	}
	for _, d := range out.Drop {
		if d.Reason == "" {
			t.Fatal("dropped without a reason")
		}
		delete(items, d.ID)
	}
	for _, i := range out.Resolve {
		delete(items, i)
	}
	for _, i := range out.Open {
		i.ID = w.id()
		items[i.ID] = i
	}
	w.seat.Items = slices.SortedFunc(maps.Values(items), func(a, b Item) int { return Compare(a.ID, b.ID) })

	w.check(t)
	// Following an answer leaves nothing to follow, apart from what the
	// answer itself unlocks in one more step.
	again := Settle(w.seat)
	if len(again.Grants)+len(again.Revocations)+len(again.Open)+len(again.Change)+len(again.Drop)+len(again.Resolve) > 0 ||
		again.Finish || again.Cancel || again.Replan || again.Enqueue {
		t.Fatalf("settled, and yet %+v follows\nbefore %+v\nfirst %+v", again, before, out)
	}
}

// check is what must hold between any two transactions.
func (w *world) check(t *rapid.T) {
	s := w.seat
	if len(s.Know.Held) > 0 && !s.Know.surelyThere() {
		t.Fatalf("held without an account: %+v", s.Know)
	}
	if s.Know.Account == Absent && !s.Know.Unsure && len(s.Know.Doubt) > 0 {
		t.Fatalf("in doubt without an account: %+v", s.Know)
	}
	seen := map[string]bool{}
	for _, i := range s.Items {
		key := fmt.Sprint(i.Kind)
		if i.Kind == AssignByHand || i.Kind == UnassignByHand {
			key = fmt.Sprint(i.Kind, i.Entitlements)
		}
		if seen[key] {
			t.Fatalf("two open items for the same thing: %+v", s.Items)
		}
		seen[key] = true
		if i.Kind.byHand() && s.Mode != Manual {
			t.Fatalf("item %+v in mode %d", i, s.Mode)
		}
		if s.Leaving && i.List != Offboarding {
			t.Fatalf("item of who has left on list %d", i.List)
		}
	}
	// Nothing waits without somebody at it.
	for _, g := range s.Grants {
		waits := g.State == Pending || g.State == Failed || g.State == Revoking
		if waits && s.Operation.State == NoOperation && len(s.Items) == 0 {
			t.Fatalf("grant %+v waits for nobody", g)
		}
		if s.Operation.State == Stuck && !slices.ContainsFunc(s.Items, func(i Item) bool { return i.Kind == Mend }) {
			t.Fatal("stuck, and nobody is asked")
		}
	}
	if !w.tampered {
		for e := range s.known().Held {
			if !w.app.has(e) {
				t.Fatalf("known to hold %v, the app has %v", e, w.app)
			}
		}
	}
}

// record is the end of a run.
func (w *world) record(t *rapid.T, results []Result) {
	w.seat.Know = w.seat.Know.Learn(results, w.left)
	w.seat.Operation.State = After(results, w.tries)
	if w.seat.Operation.State != Succeeded {
		w.seat.Operation.Error = "no"
	}
	w.settle(t)
}

func (w *world) claim() bool {
	if w.seat.Operation.State != Queued && w.seat.Operation.State != Stuck {
		return false
	}
	w.seat.Operation.State = Running
	w.tries++
	return true
}

// run makes the plan's calls. With faults, answers are lost before or after
// the call took effect, and calls are refused.
func (w *world) run(t *rapid.T, faults bool) (results []Result) {
	for _, c := range w.seat.Operation.Plan {
		fault := 0
		if faults {
			fault = rapid.IntRange(0, 5).Draw(t, "fault")
		}
		switch fault {
		case 1: // never arrived
			return append(results, Result{c, Unknown})
		case 2: // the answer was lost
			w.app.do(c, w.left)
			return append(results, Result{c, Unknown})
		case 3:
			results = append(results, Result{c, Refused})
			if c.Do == CreateAccount {
				return results
			}
			continue
		}
		if w.app.do(c, w.left) {
			return append(results, Result{c, Missing})
		}
		results = append(results, Result{c, Done})
	}
	return results
}

// TestEverything lets everything happen in any order to one seat, and checks
// that no order reaches a state it must not (world.settle, world.check), and
// that once the app works again everything comes right.
// B-PRV-01, B-PRV-04, B-PRV-10, B-PRV-11, B-ONB-09, B-ONB-11, B-ONB-12, B-RUN-02
func TestEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{left: rapid.SampledFrom([]AccountState{Absent, Disabled}).Draw(t, "ending"), app: app{member: Set{}}}
		w.seat.Mode = rapid.SampledFrom([]Mode{Manual, Automatic, Automatic, Automatic}).Draw(t, "mode")
		modes := rapid.Bool().Draw(t, "mode changes")
		shared := rapid.Bool().Draw(t, "mode may become shared")
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				if w.seat.Leaving || len(w.seat.Grants) > 6 {
					t.Skip("this cannot happen as things stand")
				}
				e := rapid.SampledFrom([]ID{account, admins, readers}).Draw(t, "entitlement")
				w.seat.Grants = append(slices.Clone(w.seat.Grants), Grant{
					ID: w.id(), Entitlement: e, Account: e == account, State: Pending, Request: w.id(), Join: rapid.Bool().Draw(t, "join"),
				})
				w.settle(t)
			},
			"end": func(t *rapid.T) {
				e := rapid.SampledFrom([]ID{account, admins, readers}).Draw(t, "entitlement")
				one := rapid.Bool().Draw(t, "one")
				var ended []ID
				w.seat.Grants = slices.Clone(w.seat.Grants)
				for i := range w.seat.Grants {
					if g := &w.seat.Grants[i]; g.State.Live() && g.Entitlement == e && (!one || len(ended) == 0) {
						g.State, g.Error = Revoking, ""
						ended = append(ended, g.ID)
					}
				}
				w.seat.Revocations = append(w.seat.Revocations, Revocation{w.id(), ended})
				w.settle(t)
			},
			"leave": func(t *rapid.T) {
				w.seat.Leaving = true
				w.seat.Grants = slices.Clone(w.seat.Grants)
				for i := range w.seat.Grants {
					if g := &w.seat.Grants[i]; g.State.Live() {
						g.State, g.Error = Revoking, ""
					}
				}
				w.settle(t)
			},
			"return": func(t *rapid.T) { w.seat.Leaving = false; w.settle(t) },
			"mode": func(t *rapid.T) {
				if !modes {
					t.Skip("this cannot happen as things stand")
				}
				to := []Mode{Manual, Automatic}
				if shared {
					to = append(to, Shared)
				}
				w.seat.Mode = rapid.SampledFrom(to).Draw(t, "mode")
				w.settle(t)
			},
			"run": func(t *rapid.T) {
				if !w.claim() {
					t.Skip("this cannot happen as things stand")
				}
				w.record(t, w.run(t, rapid.Bool().Draw(t, "faults")))
			},
			"start": func(t *rapid.T) { // somebody starts, and others act meanwhile
				if !w.claim() {
					t.Skip("this cannot happen as things stand")
				}
				w.run(t, true)
			},
			"lost": func(t *rapid.T) { // and dies
				if w.seat.Operation.State != Running {
					t.Skip("this cannot happen as things stand")
				}
				w.record(t, Lost(w.seat.Operation.Plan))
			},
			"resolve": func(t *rapid.T) {
				if len(w.seat.Items) == 0 {
					t.Skip("this cannot happen as things stand")
				}
				if w.seat.Operation.State == Running {
					// What comes of what people and an integration do at the same
					// time is anybody's guess. It must not break anything.
					w.tampered = true
				}
				i := rapid.IntRange(0, len(w.seat.Items)-1).Draw(t, "item")
				know := w.seat.Resolve(w.seat.Items[i].ID, w.left)
				if w.seat.Items[i].Kind != ChangeSecret {
					w.app.account, w.app.member = know.Account, know.Held.plus(know.Doubt.Sorted()...)
				}
				w.seat.Know = know
				w.seat.Items = slices.Delete(slices.Clone(w.seat.Items), i, i+1)
				w.settle(t)
			},
			"tamper": func(t *rapid.T) { // the account is deleted in the app
				if w.app.account == Absent || rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					t.Skip("this cannot happen as things stand")
				}
				w.app, w.tampered = app{member: Set{}}, true
			},
		})

		// The app works again: everything comes right.
		w.seat.Mode = Automatic
		w.settle(t)
		for range 20 {
			if w.seat.Operation.State == Running {
				w.record(t, Lost(w.seat.Operation.Plan))
			}
			if w.claim() {
				w.record(t, w.run(t, false))
			}
		}
		if w.seat.Operation.State != NoOperation {
			t.Fatalf("still at it: %+v", w.seat.Operation)
		}
		for _, g := range w.seat.Grants {
			if g.State != InPlace {
				t.Fatalf("grant %+v has not come right", g)
			}
		}
		if len(w.seat.Revocations) > 0 {
			t.Fatalf("revocations not done: %+v", w.seat.Revocations)
		}
		if plan := Plan(WantOf(w.seat.Grants), w.seat.Know); len(plan) > 0 {
			t.Fatalf("settled with a plan: %v", plan)
		}
		if w.tampered {
			return // nobody has told us: that is for reconciliation to find
		}
		want := WantOf(w.seat.Grants)
		if (w.app.account == Active) != want.Account {
			t.Fatalf("wants %+v, the app has %+v", want, w.app)
		}
		for _, e := range []ID{admins, readers} {
			if w.app.has(e) != want.Entitlements.Has(e) {
				t.Fatalf("wants %+v, the app has %+v", want, w.app)
			}
		}
	})
}

// TestOverlap counts calls: whatever grants overlap, an app is called for the
// first and after the last. B-PRV-10
func TestOverlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{app: app{member: Set{}}, seat: Seat{Mode: Automatic}}
		adds, removes, first, last := 0, 0, 0, 0
		live := func() (n int) {
			for _, g := range w.seat.Grants {
				if g.State.Live() && g.Entitlement == admins {
					n++
				}
			}
			return n
		}
		drain := func(t *rapid.T) {
			for w.claim() {
				for _, c := range w.seat.Operation.Plan {
					switch c.Do {
					case Add:
						adds++
					case Remove:
						removes++
					}
				}
				w.record(t, w.run(t, false))
			}
		}
		// The account has a reason of its own.
		w.seat.Grants = []Grant{{ID: w.id(), Entitlement: account, Account: true, State: Pending}}
		w.settle(t)
		drain(t)
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				if live() == 0 {
					first++
				}
				w.seat.Grants = append(slices.Clone(w.seat.Grants), Grant{ID: w.id(), Entitlement: admins, State: Pending})
				w.settle(t)
				drain(t)
			},
			"end": func(t *rapid.T) {
				w.seat.Grants = slices.Clone(w.seat.Grants)
				for i := range w.seat.Grants {
					if g := &w.seat.Grants[i]; g.State.Live() && g.Entitlement == admins {
						if live() == 1 {
							last++
						}
						g.State = Revoking
						break
					}
				}
				w.settle(t)
				drain(t)
			},
			"": func(t *rapid.T) {
				if adds != first || removes != last {
					t.Fatalf("%d adds for %d firsts, %d removes for %d lasts", adds, first, removes, last)
				}
				if w.app.has(admins) != (live() > 0) {
					t.Fatalf("%d live grants, the app has it: %t", live(), w.app.has(admins))
				}
			},
		})
	})
}

// TestPlanEmpty: a plan is empty if and only if what is wanted is what is
// surely there, and making it leads there.
func TestPlanEmpty(t *testing.T) {
	t.Parallel()
	sets := rapid.Custom(func(t *rapid.T) Set {
		return NewSet(rapid.SliceOfDistinct(rapid.SampledFrom([]ID{id(2), id(3), id(4)}), rapid.ID[ID]).Draw(t, "ids")...)
	})
	rapid.Check(t, func(t *rapid.T) {
		k := Knowledge{Account: rapid.SampledFrom([]AccountState{Absent, Active, Disabled}).Draw(t, "account"), Unsure: rapid.Bool().Draw(t, "unsure")}
		if k.surelyThere() {
			k.Held = sets.Draw(t, "held")
		}
		if k.Account != Absent || k.Unsure {
			k.Doubt = sets.Draw(t, "doubt")
			for e := range k.Held {
				k.Doubt = k.Doubt.minus(e)
			}
		}
		w := Want{Account: rapid.Bool().Draw(t, "want an account")}
		if w.Account {
			w.Entitlements = sets.Draw(t, "want")
		}
		right := !w.Account && !k.there() ||
			w.Account && k.surelyThere() && len(k.Doubt) == 0 && maps.Equal(k.Held, w.Entitlements)
		plan := Plan(w, k)
		if (len(plan) == 0) != right {
			t.Fatalf("plan %v for %+v and %+v", plan, w, k)
		}
		for _, c := range plan {
			k = k.Did(c, rapid.SampledFrom([]AccountState{Absent, Disabled}).Draw(t, "left"))
		}
		if more := Plan(w, k); len(more) > 0 {
			t.Fatalf("%v still to do after %v", more, plan)
		}
	})
}
