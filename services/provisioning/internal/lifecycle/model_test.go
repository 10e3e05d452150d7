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
	// ours means that the account was made for Gatehouse. Otherwise had is what it had
	// before.
	ours bool
	had  Set
	// profile is what it says of its person; of an account of somebody else it is unlike
	// all of theirs. manager is whom it names as the manager.
	profile, manager string
}

// theirs is what an account of somebody else says.
const theirs = "of somebody else"

func (a *app) has(e ID) bool { return a.account == Active && a.member.Has(e) }

// given reports whether somebody can use what Gatehouse has given: an account that it
// made, or an entitlement of another.
func (a *app) given() bool {
	if a.account != Active || a.ours {
		return a.account == Active
	}
	return slices.ContainsFunc(a.member.Sorted(), func(e ID) bool { return !a.had.Has(e) })
}

// wrong is what is not as it is known to be: the app has said that it has done something
// and has not, or somebody has worked in the app and has not said so. What is known is
// believed until an answer or a look tells otherwise.
type wrong struct {
	account bool // and all that it has
	of      Set
}

func (o wrong) any() bool       { return o.account || len(o.of) > 0 }
func (o wrong) about(e ID) bool { return o.account || o.of.Has(e) }

// heard takes in a true answer, which tells how things are.
func (w *world) heard(c Change, a Answer) {
	o := &w.wrong
	switch {
	case a == Missing, a == Made, a == FoundOne, c.Do == RemoveAccount && w.left == Absent:
		*o, w.tampered = wrong{}, false
	case c.Do == CreateAccount, c.Do == RemoveAccount, c.Do == Look:
		if o.account { // and who knows what it has
			*o = wrong{of: NewSet(admins, readers)}
		}
	case a == Done && (c.Do == Add || c.Do == Remove):
		o.of = o.of.minus(c.Entitlement)
	}
}

// call is a call that reaches the app. One that lies says that it has done it, and has not.
func (w *world) call(t *rapid.T, c Change, lies bool) Answer {
	a, know := &w.app, w.assignment.Observed
	switch c.Do {
	case CreateAccount:
		switch {
		case a.account == Absent && lies:
			w.wrong.account = true
			return Made
		case a.account == Absent:
			w.tampered = w.tampered || know.Adopted // unless the answer is heard
			*a = app{account: Active, member: Set{}, ours: true, profile: w.assignment.Profile}
			return Made
		case !a.ours && !know.Adopted:
			return FoundOne
		case lies:
			w.wrong.account = w.wrong.account || a.account != Active
			return Done
		}
		a.account = Active
	case UpdateAccount:
		switch {
		case !w.late && (w.assignment.away() || !w.assignment.desired().Account):
			t.Fatal("writes into an account that is going")
		case a.account == Absent:
			return Missing
		}
		a.profile = w.assignment.Profile
	case SetManager:
		switch {
		case !w.late && (w.assignment.away() || !w.assignment.desired().Account):
			t.Fatal("writes into an account that is going")
		case a.account == Absent:
			return Missing
		case !a.ours && a.manager == theirs && w.boss == w.assignment.Manager.Person && !w.byHand && !w.late:
			t.Fatal("writes another manager than that of an account that was there before")
		case c.Manager != "" || slices.Contains(know.Manager.Written(), a.manager):
			a.manager = c.Manager
		}
	case Add:
		switch {
		case a.account == Absent:
			return Missing
		case know.Adopted && !know.InDoubt.Has(c.Entitlement) && a.member.Has(c.Entitlement):
			return There
		}
		if lies {
			if !a.member.Has(c.Entitlement) {
				w.wrong.of = w.wrong.of.plus(c.Entitlement)
			}
			return Done
		}
		a.member = a.member.plus(c.Entitlement)
	case Remove:
		if !a.ours && a.had.Has(c.Entitlement) {
			t.Fatalf("takes %v, which the account had before", c.Entitlement)
		}
		if lies {
			if a.member.Has(c.Entitlement) {
				w.wrong.of = w.wrong.of.plus(c.Entitlement)
			}
			return Done
		}
		a.member = a.member.minus(c.Entitlement)
	case RemoveAccount:
		if a.account == Absent || !a.ours && !know.Adopted {
			return Done // nothing there that Gatehouse has made
		}
		if !a.ours && (!w.assignment.away() || w.assignment.RemovalUnset) && !w.late {
			t.Fatal("removes an account that was there before")
		}
		if lies {
			w.wrong.account = w.wrong.account || a.account != w.left
			return Done
		}
		a.account = w.left
		if w.left == Absent {
			a.member = Set{}
		}
	case Look:
		switch a.account {
		case Absent:
			return Missing
		case Active:
			return There
		}
	}
	return Done
}

// world is one assignment, the app behind it and everybody who acts on it.
type world struct {
	assignment Assignment
	app        app
	left       AccountState
	tries      int
	next       byte
	// old are the accounts at places where the integration has led before, which leads to
	// at now. What is known is known of the place known; moved means that it was not looked
	// up yet where it leads now.
	old       []leftApp
	at, known string
	moved     bool
	// unsaid means that people work in the app and do not say so.
	unsaid bool
	// lies means that the app lies now and then, and wrong is what is known wrongly.
	lies  bool
	wrong wrong
	// deaf means that nobody hears the answers, and late that calls take effect that were under way
	// when things have changed.
	deaf, late bool
	// tampered means that nobody can tell that the account is not the one that was there
	// before: it was made by a call of which nothing was heard, after that one was gone.
	tampered bool
	// since is the profile that the person had when an account became known that Gatehouse
	// did not make, and byHand means that people have said, or taken back, what is there,
	// without a word of profiles.
	since  string
	byHand bool
	// boss is who the manager was when that account became known.
	boss ID
	// words, resolved, revoked and done are what reopening goes by: who said what last,
	// what people have resolved, and the grants and revocations that are over.
	words    Words
	resolved []resolved
	revoked  map[ID]Grant
	done     []Revocation
}

// leftApp is what is true at a place where the integration has led before.
type leftApp struct {
	app
	at    string
	wrong bool // something of it was known wrongly
}

// resolved is an item that a person has resolved, and how things were before.
type resolved struct {
	Resolution
	app        app
	old        []leftApp
	leftBehind []string
	words      Words
	wrong      wrong
}

func (w *world) id() ID { w.next++; return ID{0: 1, 15: w.next} }

// reconcile follows what Reconcile says until nothing follows, as the engine does in
// one transaction, and checks what must hold on the way.
func (w *world) reconcile(t *rapid.T) {
	before := w.assignment
	w.assignment.Words = w.words
	out := Reconcile(w.assignment)
	w.assignment.Saw, w.assignment.Reopened = false, nil
	want := w.assignment.desired()

	if d := out.Doubt; d != nil {
		w.assignment.Observed, w.assignment.Words, w.words = d.Observed, d.Words, d.Words
	}
	if out.Forget {
		w.assignment.Observed.Found = false
	}
	for _, c := range out.Plan {
		if c.Do == RemoveAccount && want.Account || c.Do == Remove && want.Entitlements.Has(c.Entitlement) {
			t.Fatalf("takes away what a live grant gives: %v", c)
		}
		if c.Do == Add && (!want.Entitlements.Has(c.Entitlement) || w.assignment.known().Held.Has(c.Entitlement)) {
			t.Fatalf("adds what nobody wants or what is there: %v", c)
		}
	}
	for _, c := range out.Plan {
		if c.Do == UpdateAccount && (!want.Account || w.assignment.Mode != Automatic || c.Profile != w.assignment.Profile) {
			t.Fatalf("writes a profile that is not due: %v", c)
		}
	}
	for _, tr := range out.Grants {
		i := slices.IndexFunc(w.assignment.Grants, func(g Grant) bool { return g.ID == tr.ID })
		g := &w.assignment.Grants[i]
		switch tr.To {
		case InPlace:
			if g.State != Pending && g.State != Held && g.State != Failed || w.assignment.Suspended {
				t.Fatalf("grant in state %s becomes active, suspended %t", g.State, w.assignment.Suspended)
			}
			if w.assignment.Mode != Unmanaged && !w.tampered && (w.app.account != Active && !w.wrong.account || !g.Account && !w.app.has(g.Entitlement) && !w.wrong.about(g.Entitlement)) {
				t.Fatalf("grant of %v becomes active, the app has %v", g.Entitlement, w.app)
			}
			g.WasActive = true
		case Revoked:
			if g.State != Revoking {
				t.Fatalf("grant in state %s becomes revoked", g.State)
			}
			there := w.app.account == Active && !want.Account && (w.app.ours || w.assignment.away() && w.assignment.Observed.Adopted)
			if !g.Account {
				there = w.app.has(g.Entitlement) && !want.Entitlements.Has(g.Entitlement) &&
					(w.app.ours || w.assignment.Observed.Adopted && !w.app.had.Has(g.Entitlement))
			}
			if g.GivenUp && w.app.account == Active && w.app.ours && !want.Account {
				there = true // what was made for it goes with it
			}
			if w.wrong.account || !g.Account && w.wrong.about(g.Entitlement) {
				there = false // it is believed to be gone
			}
			for _, old := range w.old {
				if old.wrong {
					continue
				}
				there = there || g.Account && old.given() && !want.Account || !g.Account && old.has(g.Entitlement) && !old.had.Has(g.Entitlement) && !want.Entitlements.Has(g.Entitlement)
			}
			if w.assignment.Mode != Unmanaged && !w.tampered && there {
				t.Fatalf("grant of %v becomes revoked, the app has %+v, known %+v, left %v, op %+v, items %+v", g.Entitlement, w.app, before.Observed, before.LeftBehind, before.Operation, before.Items)
			}
		case Held:
			if g.State != InPlace || !w.assignment.Suspended {
				t.Fatalf("grant in state %s is held, suspended %t", g.State, w.assignment.Suspended)
			}
		case Failed:
			if g.State != Pending && g.State != Held || w.assignment.Operation.State != Stuck || w.assignment.Suspended {
				t.Fatalf("grant in state %s fails", g.State)
			}
		case Revoking:
			if g.State != Revoking {
				t.Fatalf("grant in state %s goes back to revoking", g.State)
			}
		}
		g.State, g.Error = tr.To, tr.Error
	}
	for _, g := range w.assignment.Grants {
		if g.State == Revoked {
			if w.revoked == nil {
				w.revoked = map[ID]Grant{}
			}
			w.revoked[g.ID] = g
		}
	}
	for _, r := range w.assignment.Revocations {
		if slices.Contains(out.Revocations, r.ID) {
			w.done = append(slices.Clone(w.done), r)
		}
	}
	w.assignment.Grants = slices.DeleteFunc(slices.Clone(w.assignment.Grants), func(g Grant) bool { return g.State == Revoked })
	w.assignment.Revocations = slices.DeleteFunc(slices.Clone(w.assignment.Revocations), func(r Revocation) bool { return slices.Contains(out.Revocations, r.ID) })

	if out.Finish || out.Cancel {
		w.assignment.Operation = Operation{}
	}
	if out.Replan {
		w.assignment.Operation.Plan = out.Plan
	}
	if out.Enqueue {
		w.assignment.Operation, w.tries = Operation{State: Queued, Plan: out.Plan}, 0
		if len(out.Look) > 0 {
			w.assignment.Operation.Plan, w.assignment.Operation.Looks = out.Look, true
		}
	}

	items := make(map[ID]Item)
	for _, i := range w.assignment.Items {
		items[i.ID] = i
	}
	for _, i := range out.Change {
		for _, place := range w.assignment.LeftBehind {
			if i.Shows(place) && !items[i.ID].Shows(place) {
				t.Fatalf("item %+v comes to show more: %+v", items[i.ID], i)
			}
		}
		items[i.ID] = i
	}
	for _, d := range out.Cancellation {
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
	w.assignment.Items = slices.SortedFunc(maps.Values(items), func(a, b Item) int { return Compare(a.ID, b.ID) })

	w.check(t)
	// Following an answer leaves nothing to follow, apart from what the
	// answer itself unlocks in one more step.
	again := Reconcile(w.assignment)
	if len(again.Grants)+len(again.Revocations)+len(again.Open)+len(again.Change)+len(again.Cancellation)+len(again.Resolve) > 0 ||
		again.Finish || again.Cancel || again.Replan || again.Enqueue {
		t.Fatalf("reconciled, and yet %+v follows\nbefore %+v\nfirst %+v", again, before, out)
	}
}

// check is what must hold between any two transactions.
func (w *world) check(t *rapid.T) {
	s := w.assignment
	if len(s.Observed.Held) > 0 && !s.Observed.surelyThere() {
		t.Fatalf("held without an account: %+v", s.Observed)
	}
	if s.Observed.Account == Absent && !s.Observed.AccountInDoubt && len(s.Observed.InDoubt) > 0 {
		t.Fatalf("in doubt without an account: %+v", s.Observed)
	}
	seen := map[string]bool{}
	for _, i := range s.Items {
		key := fmt.Sprint(i.Kind)
		if i.Kind == ItemAssign || i.Kind == ItemUnassign {
			key = fmt.Sprint(i.Kind, i.Entitlements)
		}
		if seen[key] {
			t.Fatalf("two open items for the same thing: %+v", s.Items)
		}
		seen[key] = true
		if i.Kind.manual() && s.Mode != Manual && (i.Kind != ItemRemoveAccount || !s.Observed.Adopted && s.Mode != Unmanaged) {
			t.Fatalf("item %+v in mode %s", i, s.Mode)
		}
		if s.away() != (i.List == Offboarding) {
			t.Fatalf("item on list %s, left %t, suspended %t", i.List, s.Leaving, s.Suspended)
		}
		if !s.away() && i.Kind == ItemCreateAccount && i.List != Onboarding {
			t.Fatalf("account to be made on list %s", i.List)
		}
	}
	// Nothing waits without somebody at it.
	for _, g := range s.Grants {
		waits := g.State.waits() && !s.Suspended || g.State == Revoking
		if g.State == InPlace && s.Suspended {
			t.Fatalf("grant %+v of somebody suspended", g)
		}
		if waits && s.Operation.State == NoOperation && len(s.Items) == 0 {
			t.Fatalf("grant %+v waits for nobody", g)
		}
		if s.Operation.State == Stuck && !slices.ContainsFunc(s.Items, func(i Item) bool { return i.Kind == ItemFixOperation }) {
			t.Fatal("stuck, and nobody is asked")
		}
	}
	if !w.tampered && !w.unsaid {
		for e := range s.known().Held {
			if !w.app.has(e) && !w.wrong.about(e) {
				t.Fatalf("known to hold %v, the app has %v", e, w.app)
			}
		}
	}
}

// record is the end of a run.
func (w *world) record(t *rapid.T, results []Result) {
	before := w.assignment.Observed
	w.assignment.Observed = w.assignment.Observed.Learn(results, w.left)
	if know := w.assignment.Observed; know.Profile != "" && before.Profile == "" && !before.ProfileInDoubt {
		w.since, w.boss = know.Profile, w.assignment.Manager.Person
	}
	for _, r := range results {
		if w.assignment.Observed.Adopted && r.Answer == Unknown && r.Change.Do == Add {
			w.app.had = w.app.had.minus(r.Change.Entitlement) // nobody can tell any more
		}
	}
	if w.assignment.Observed.Found && !w.assignment.Ask {
		w.assignment.Observed = w.assignment.Observed.Adopt()
	}
	w.words = w.words.Tell()
	w.assignment.Operation.State = After(results, w.tries)
	if w.assignment.Operation.State != Succeeded {
		w.assignment.Operation.Error = "no"
	}
	w.reconcile(t)
}

func (w *world) claim() bool {
	if w.assignment.Operation.State != Queued && w.assignment.Operation.State != Stuck {
		return false
	}
	w.assignment.Operation.State = Running
	w.tries++
	return true
}

// run makes the plan's calls. With faults, answers are lost before or after
// the call took effect, and calls are refused.
func (w *world) run(t *rapid.T, faults bool) (results []Result) {
	if w.moved {
		w.settle()
	}
	for _, c := range w.assignment.Operation.Plan {
		if c.Do == SetManager && !w.maySetManager(c, results) {
			continue
		}
		fault := 0
		if faults {
			fault = rapid.IntRange(0, 6).Draw(t, "fault")
		}
		switch fault {
		case 1: // never arrived
			return append(results, Result{w.as(c), Unknown})
		case 2: // the answer was lost
			w.call(t, c, false)
			return append(results, Result{w.as(c), Unknown})
		case 3:
			results = append(results, Result{c, Refused})
			if c.Do == CreateAccount {
				return results
			}
			continue
		}
		lies := fault == 4 && w.lies
		answer := w.call(t, c, lies)
		if w.wrong.account {
			w.byHand = true // nor does anybody know what it says of its person
		}
		if !w.deaf && (!lies || answer == Missing || answer == FoundOne) {
			w.heard(c, answer)
		}
		results = append(results, Result{w.as(c), answer})
		if answer == Missing || answer == FoundOne {
			return results
		}
	}
	return results
}

// unheard makes the plan's calls, and nobody hears the answers.
func (w *world) unheard(t *rapid.T) {
	before := w.wrong
	w.deaf = true
	w.run(t, true)
	w.deaf, w.wrong = false, before
}

// as is the change as it was made: with the profile of now.
func (w *world) as(c Change) Change {
	if c.Do == CreateAccount || c.Do == UpdateAccount || c.Do == Look {
		c.Profile = w.assignment.Profile
	}
	if c.Do == CreateAccount || c.Do == Look {
		c.ManagerOf = w.assignment.Manager.Person
	}
	return c
}

// maySetManager is what the engine looks at before it has a manager written.
func (w *world) maySetManager(c Change, results []Result) bool {
	found := slices.ContainsFunc(results, func(r Result) bool { return r.Change.Do == CreateAccount && r.Answer != Made })
	return (!found || w.assignment.Observed.Account != Absent) && (c.Manager == "" || c.Manager == w.assignment.Manager.Account && !w.assignment.Manager.Unknown)
}

// settle has the account looked up where the integration leads now: it is not there.
func (w *world) settle() {
	at := w.known
	w.known, w.moved = w.at, false
	know := w.assignment.Observed
	if know.Account == Absent && !know.AccountInDoubt {
		return
	}
	if !know.Adopted || know.Added() || w.assignment.Leaving {
		w.assignment.LeftBehind = append(slices.Clone(w.assignment.LeftBehind), at)
		w.words = w.words.Leave()
	}
	w.assignment.Observed = Observed{Account: Absent}
}

// resolve is a person who resolves an item. In a manual app they have done what it asks
// for, and in another they may be lying about what they have taken away.
func (w *world) resolve(t *rapid.T, i int, lies bool) {
	item := w.assignment.Items[i]
	know := w.assignment.Resolve(item.ID, w.left)
	r := resolved{
		Resolution: Resolution{Item: item, Observed: w.assignment.Observed, Grants: map[ID]GrantState{}},
		app:        w.app, old: w.old, leftBehind: w.assignment.LeftBehind, words: w.words, wrong: w.wrong,
	}
	for _, g := range w.assignment.Grants {
		r.Grants[g.ID] = g.State
	}
	w.resolved, w.words = append(slices.Clone(w.resolved), r), w.words.Say(item)
	automatic := w.assignment.Mode == Automatic
	w.byHand = w.byHand || item.Kind != ItemAdoptAccount && item.Kind != ItemFixOperation
	if item.Kind == ItemFixOperation {
		w.app.profile = w.assignment.Profile
		if m := w.assignment.desired().Manager; w.assignment.Observed.Manager.differs(m) {
			w.app.manager = m.Account
		}
	}
	switch {
	case item.Kind == ItemChangeSecret, item.Kind == ItemAdoptAccount:
	case item.Kind == ItemRemoveLeftAccount:
		w.old = slices.DeleteFunc(slices.Clone(w.old), func(a leftApp) bool { return item.Shows(a.at) })
		w.assignment.LeftBehind = slices.DeleteFunc(slices.Clone(w.assignment.LeftBehind), item.Shows)
	case automatic && !w.assignment.desired().Account:
		if !lies && w.app.account != Absent && (item.Kind == ItemRemoveAccount || slices.Contains(w.assignment.Operation.Plan, Change{Do: RemoveAccount})) {
			w.app.account, w.app.member, w.app.had = w.left, Set{}, nil
		}
	case w.app.account == Absent && (item.Kind == ItemUnassign || item.Kind == ItemRemoveAccount):
		// Nobody makes an account to take something away from it.
	default:
		if w.app.account == Absent || item.Kind == ItemCreateAccount || item.Kind == ItemFixOperation && !know.Adopted {
			w.app.ours, w.app.had = true, nil // a person has said that it is the person's
			if w.app.manager == theirs {
				w.app.manager = ""
			}
		}
		for e := range w.assignment.desired().Entitlements {
			if !know.Had.Has(e) {
				w.app.had = w.app.had.minus(e) // a person has said that they gave it
			}
		}
		w.app.account, w.app.member, w.wrong = know.Account, know.Held.plus(know.InDoubt.Sorted()...), wrong{}
		for e := range w.app.had {
			if !w.app.member.Has(e) {
				w.app.had = w.app.had.minus(e) // they have taken it away
			}
		}
	}
	w.assignment.Observed = know
	w.assignment.Items = slices.Delete(slices.Clone(w.assignment.Items), i, i+1)
	if op := &w.assignment.Operation; item.Kind == ItemFixOperation && op.State == Stuck {
		op.State, w.tries = Queued, 0
	}
	w.reconcile(t)
}

// reopen takes back that a resolved item was done: in truth it was not. It returns false
// if that is refused, and has changed nothing then.
func (w *world) reopen(t *rapid.T, n int) bool {
	r := w.resolved[n]
	if _, last := w.words.Last(r.Item); !last {
		return false
	}
	s := w.assignment
	s.Grants = slices.Clone(s.Grants)
	for id := range r.Grants {
		if g, ok := w.revoked[id]; ok {
			s.Grants = append(s.Grants, g)
		}
	}
	slices.SortFunc(s.Grants, func(a, b Grant) int { return Compare(a.ID, b.ID) })
	s.Observed = s.Reopen(r.Resolution)
	if r.Item.Kind == ItemRemoveLeftAccount {
		s.LeftBehind = slices.Clone(s.LeftBehind)
		for _, place := range r.leftBehind {
			if r.Item.Shows(place) {
				s.LeftBehind = append(s.LeftBehind, place)
			}
		}
	}
	for _, tr := range s.ReopenGrants(r.Resolution) {
		g := &s.Grants[slices.IndexFunc(s.Grants, func(g Grant) bool { return g.ID == tr.ID })]
		switch {
		case g.State == InPlace && (tr.To == Pending || tr.To == Held || tr.To == Failed), g.State == Revoked && tr.To == Revoking:
		default:
			t.Fatalf("reopened, a grant in state %s becomes %s", g.State, tr.To)
		}
		g.State = tr.To
	}
	again := func(r Revocation) bool {
		return slices.ContainsFunc(s.Grants, func(g Grant) bool { return g.State == Revoking && slices.Contains(r.Grants, g.ID) })
	}
	s.Grants = slices.DeleteFunc(s.Grants, func(g Grant) bool { return g.State == Revoked })
	s.Revocations = slices.Clone(s.Revocations)
	var done []Revocation
	for _, r := range w.done {
		if again(r) {
			s.Revocations = append(s.Revocations, r)
		} else {
			done = append(done, r)
		}
	}
	if plan := s.Todo(); r.Item.Kind == ItemFixOperation && s.Mode == Automatic && len(plan) > 0 {
		s.Operation = Operation{State: Stuck, Plan: plan, Error: r.Item.Error}
	}
	s.Reopened = []Item{r.Item}
	out := Reconcile(s)
	if !slices.ContainsFunc(out.Open, func(i Item) bool { return i.ReopensItem(r.Item) }) {
		if s.WhyNot(r.Item) == "" {
			t.Fatal("refused without a reason")
		}
		return false
	}
	for _, g := range s.Grants {
		delete(w.revoked, g.ID)
	}
	w.assignment, w.done = s, done
	w.byHand = true
	w.words, w.resolved = w.words.TakeBack(r.Item, r.words), slices.Delete(slices.Clone(w.resolved), n, n+1)
	switch r.Item.Kind {
	case ItemChangeSecret:
	case ItemRemoveLeftAccount:
		w.old = slices.Clone(w.old)
		for _, a := range r.old {
			if r.Item.Shows(a.at) {
				w.old = append(w.old, a)
			}
		}
	case ItemAssign, ItemUnassign:
		for _, e := range r.Item.Entitlements {
			w.app.member = w.app.member.minus(e)
			if r.app.member.Has(e) {
				w.app.member = w.app.member.plus(e)
			}
			if r.app.had.Has(e) {
				w.app.had = w.app.had.plus(e)
			}
			if r.wrong.about(e) {
				w.wrong.of = w.wrong.of.plus(e)
			}
		}
	default:
		w.app, w.wrong = r.app, r.wrong
	}
	w.reconcile(t)
	w.assignment.Reopened = nil
	for _, g := range w.assignment.Grants {
		if g.State == InPlace && r.Grants[g.ID] != InPlace && !w.assignment.inPlace(g, w.assignment.known()) {
			t.Fatalf("reopened %+v, and grant %+v is in place still", r.Item, g)
		}
	}
	return true
}

// TestEverything lets everything happen in any order to one assignment, and checks
// that no order reaches a state it must not (world.reconcile, world.check), and
// that once the app works again everything comes right, and that no account is lost
// that was there before, and none left that was not.
// B-PRV-01, B-PRV-04, B-PRV-10, B-PRV-11, B-ONB-09, B-ONB-11, B-ONB-12, B-ONB-19, B-RUN-02
func TestEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{left: rapid.SampledFrom([]AccountState{Absent, Disabled}).Draw(t, "ending"), app: app{account: Absent, member: Set{}}, at: "the first place", known: "the first place"}
		w.assignment.Mode = rapid.SampledFrom([]Mode{Manual, Automatic, Automatic, Automatic}).Draw(t, "mode")
		modes := rapid.Bool().Draw(t, "mode changes")
		w.assignment.Observed.Account = Absent
		moves := !modes && rapid.Bool().Draw(t, "integration moves")
		w.assignment.Profile = "first"
		w.assignment.Ask = rapid.Bool().Draw(t, "ask before an account is adopted")
		w.assignment.RemovalUnset = rapid.Bool().Draw(t, "the app does not say how accounts end")
		shared := rapid.Bool().Draw(t, "mode may become shared")
		w.lies = rapid.Bool().Draw(t, "the app lies")
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				if w.assignment.Leaving || len(w.assignment.Grants) > 6 {
					t.Skip("this cannot happen as things stand")
				}
				e := rapid.SampledFrom([]ID{account, admins, readers}).Draw(t, "entitlement")
				w.assignment.Grants = append(slices.Clone(w.assignment.Grants), Grant{
					ID: w.id(), Entitlement: e, Account: e == account, State: Pending, Request: w.id(), Join: rapid.Bool().Draw(t, "join"),
				})
				w.reconcile(t)
			},
			"end": func(t *rapid.T) {
				e := rapid.SampledFrom([]ID{account, admins, readers}).Draw(t, "entitlement")
				one := rapid.Bool().Draw(t, "one")
				var ended []ID
				w.assignment.Grants = slices.Clone(w.assignment.Grants)
				for i := range w.assignment.Grants {
					if g := &w.assignment.Grants[i]; g.State.Live() && g.Entitlement == e && (!one || len(ended) == 0) {
						g.State, g.Error = Revoking, ""
						ended = append(ended, g.ID)
					}
				}
				w.assignment.Revocations = append(w.assignment.Revocations, Revocation{w.id(), ended})
				w.reconcile(t)
			},
			"give up": func(t *rapid.T) { // one that somebody asked for and that is not in place
				g := rapid.IntRange(0, 6).Draw(t, "grant")
				if g >= len(w.assignment.Grants) || !w.assignment.Grants[g].State.GivesUp(w.assignment.Grants[g].WasActive) {
					t.Skip("this cannot happen as things stand")
				}
				w.assignment.Grants = slices.Clone(w.assignment.Grants)
				before := slices.Delete(slices.Clone(w.assignment.Grants), g, g+1)
				w.assignment.Grants[g].State, w.assignment.Grants[g].Error, w.assignment.Grants[g].GivenUp = Revoking, "", true
				w.reconcile(t)
				for _, was := range before { // the others go on
					if was.State.Live() && !slices.ContainsFunc(w.assignment.Grants, func(g Grant) bool { return g.ID == was.ID && g.State.Live() && !g.GivenUp }) {
						t.Fatalf("grant %+v ended, as another was given up", was)
					}
				}
			},
			"leave": func(t *rapid.T) {
				w.assignment.Leaving, w.assignment.Suspended = true, false
				w.assignment.Grants = slices.Clone(w.assignment.Grants)
				for i := range w.assignment.Grants {
					if g := &w.assignment.Grants[i]; g.State.Live() {
						g.State, g.Error = Revoking, ""
					}
				}
				w.reconcile(t)
			},
			"rename": func(t *rapid.T) {
				w.assignment.Profile = rapid.SampledFrom([]string{"first", "second", "third"}).Draw(t, "profile")
				before := w.assignment.Grants
				w.reconcile(t)
				if !slices.Equal(before, w.assignment.Grants) {
					t.Fatalf("a changed profile changes grants: %+v, before %+v", w.assignment.Grants, before)
				}
			},
			"manager": func(t *rapid.T) { // another one, or the manager's account comes and goes
				w.assignment.Manager = rapid.SampledFrom([]WantedManager{
					{}, {Person: id(11)}, {Person: id(11), Account: "boss"}, {Person: id(11), Unknown: true}, {Person: id(12), Account: "chief"},
				}).Draw(t, "manager")
				before := w.assignment.Grants
				w.reconcile(t)
				if !slices.Equal(before, w.assignment.Grants) {
					t.Fatalf("another manager changes grants: %+v, before %+v", w.assignment.Grants, before)
				}
			},
			"return":  func(t *rapid.T) { w.assignment.Leaving = false; w.reconcile(t) },
			"suspend": func(t *rapid.T) { w.assignment.Suspended = !w.assignment.Leaving; w.reconcile(t) },
			"resume":  func(t *rapid.T) { w.assignment.Suspended = false; w.reconcile(t) },
			"mode": func(t *rapid.T) {
				if !modes {
					t.Skip("this cannot happen as things stand")
				}
				to := []Mode{Manual, Automatic}
				if shared {
					to = append(to, Unmanaged)
				}
				w.assignment.Mode = rapid.SampledFrom(to).Draw(t, "mode")
				w.reconcile(t)
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
				w.unheard(t)
			},
			"lost": func(t *rapid.T) { // and dies
				if w.assignment.Operation.State != Running {
					t.Skip("this cannot happen as things stand")
				}
				if !w.moved && rapid.Bool().Draw(t, "its calls take effect now") {
					w.late = true
					w.unheard(t)
					w.late = false
				}
				w.record(t, Lost(w.assignment.Operation.Plan))
			},
			"resolve": func(t *rapid.T) {
				// What a person makes by hand at a place that was not looked at is not covered.
				if len(w.assignment.Items) == 0 || w.moved && w.assignment.desired().Account {
					t.Skip("this cannot happen as things stand")
				}
				w.resolve(t, rapid.IntRange(0, len(w.assignment.Items)-1).Draw(t, "item"), rapid.Bool().Draw(t, "lies"))
			},
			"reopen": func(t *rapid.T) { // somebody had resolved an item by mistake
				if len(w.resolved) == 0 || w.moved || w.assignment.Operation.State == Running {
					t.Skip("this cannot happen as things stand")
				}
				if !w.reopen(t, rapid.IntRange(0, len(w.resolved)-1).Draw(t, "resolved")) {
					t.Skip("refused: something has been said or done about it since")
				}
			},
			"stranger": func(t *rapid.T) { // somebody makes an account in the app
				know := w.assignment.Observed
				if w.assignment.Mode != Automatic || w.app.account != Absent || know.Account != Absent || know.AccountInDoubt || w.assignment.Operation.State == Running {
					t.Skip("this cannot happen as things stand")
				}
				w.app = app{account: Active, member: Set{}, profile: theirs, manager: theirs}
				if rapid.Bool().Draw(t, "is an admin") {
					w.app.member = NewSet(admins)
				}
				w.app.had = w.app.member
			},
			"move": func(t *rapid.T) { // the integration leads elsewhere
				if !moves || w.assignment.Mode != Automatic {
					t.Skip("this cannot happen as things stand")
				}
				w.old = append(slices.Clone(w.old), leftApp{w.app, w.at, w.wrong.any()})
				w.at = fmt.Sprintf("place %x", w.id())
				w.app, w.wrong, w.moved = app{account: Absent, member: Set{}}, wrong{}, true
				w.assignment.Observed = w.assignment.Observed.Elsewhere()
				w.reconcile(t)
			},
			"tamper": func(t *rapid.T) { // the account is deleted in the app
				if w.app.account == Absent || rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					t.Skip("this cannot happen as things stand")
				}
				w.app, w.wrong.account, w.byHand = app{account: Absent, member: Set{}}, true, true
			},
		})

		// The app works again: everything comes right.
		w.assignment.Mode = Automatic
		w.reconcile(t)
		w.settleAll(t)
		if w.assignment.Operation.State != NoOperation {
			t.Fatalf("still at it: %+v", w.assignment.Operation)
		}
		for _, g := range w.assignment.Grants {
			if w.assignment.Suspended && g.State.waits() {
				continue
			}
			if g.State != InPlace {
				t.Fatalf("grant %+v has not come right", g)
			}
		}
		if len(w.assignment.Revocations) > 0 {
			t.Fatalf("revocations not done: %+v", w.assignment.Revocations)
		}
		if plan := Plan(w.assignment.desired(), w.assignment.Observed); len(plan) > 0 {
			t.Fatalf("reconciled with a plan: %v", plan)
		}
		want := w.assignment.desired()
		if slices.ContainsFunc(w.old, func(a leftApp) bool { return a.given() && !a.wrong && !w.moved }) {
			t.Fatalf("left behind, and nobody knows: %+v", w.old)
		}
		stays := w.app.account == Active && !w.app.ours && !w.assignment.away() || w.moved && !w.assignment.Observed.there()
		if w.app.account == Active != want.Account && !stays && !w.wrong.account && !w.tampered && (w.app.ours || w.assignment.Observed.Adopted) {
			t.Fatalf("wants %+v, the app has %+v", want, w.app)
		}
		// Nobody has said a thing of profiles by hand: the account says what it should, or
		// what it did when it was found, if nothing has changed since.
		asFound := !w.app.ours && w.app.profile == theirs && w.since == w.assignment.Profile
		if want.Account && !modes && !w.byHand && w.app.account == Active && w.app.profile != w.assignment.Profile && !asFound {
			t.Fatalf("the account says %q, and not %q; known %+v", w.app.profile, w.assignment.Profile, w.assignment.Observed)
		}
		// So it is with the manager, whom the account of somebody else names as it did until
		// there is another; and nobody is cleared whom Gatehouse has not written.
		is, should := w.app.manager, w.assignment.Manager
		kept := !w.app.ours && is == theirs && (w.boss == should.Person || should.Account == "")
		if want.Account && !modes && !w.byHand && w.app.account == Active && !should.Unknown && is != should.Account && !kept {
			t.Fatalf("the account names %q, and not %q; known %+v", is, should.Account, w.assignment.Observed)
		}
		for _, e := range []ID{admins, readers} {
			if w.app.has(e) != want.Entitlements.Has(e) && !w.wrong.about(e) && !w.tampered && (w.app.ours || w.assignment.Observed.Adopted && !w.app.had.Has(e)) {
				t.Fatalf("wants %+v, the app has %+v", want, w.app)
			}
		}
		w.askAgain(t)
	})
}

// settleAll lets everything happen that is to be done, by an app that works and people who
// do what they are asked.
func (w *world) settleAll(t *rapid.T) {
	for range 20 {
		if w.assignment.Operation.State == Running {
			w.record(t, Lost(w.assignment.Operation.Plan))
		}
		if w.claim() {
			w.record(t, w.run(t, false))
		}
		for i, item := range w.assignment.Items {
			if item.Kind == ItemAdoptAccount || item.Kind == ItemRemoveAccount || item.Kind == ItemRemoveLeftAccount {
				w.resolve(t, i, false)
				break
			}
		}
	}
}

// askAgain has everything be asked for once more, and ended, by an app that tells the
// truth now. Whatever it has said before, and whatever was done behind our back, nothing
// is left of what Gatehouse has made, and an account that was there before is still there,
// with all that it had.
//
// What an app says is believed until then: nothing is promised of what it has said and not
// done. Of an account that was there before, what it has said to have taken away and has
// not cannot be told from what it had before, and stays.
func (w *world) askAgain(t *rapid.T) {
	w.assignment.Leaving, w.assignment.Suspended = false, false
	w.reconcile(t)
	w.settleAll(t)
	was, kept := w.app, w.wrong
	w.assignment.Grants = slices.Clone(w.assignment.Grants)
	for _, e := range []ID{account, admins, readers} {
		w.assignment.Grants = append(w.assignment.Grants, Grant{ID: w.id(), Entitlement: e, Account: e == account, State: Pending, Request: w.id()})
	}
	w.reconcile(t)
	w.settleAll(t)
	w.assignment.Grants = slices.Clone(w.assignment.Grants)
	for i := range w.assignment.Grants {
		if g := &w.assignment.Grants[i]; g.State != InPlace {
			t.Fatalf("grant %+v is not in place", *g)
		} else {
			g.State = Revoking
		}
	}
	w.reconcile(t)
	w.settleAll(t)
	if len(w.assignment.Grants) > 0 || w.assignment.Operation.State != NoOperation {
		t.Fatalf("not ended: %+v, %+v", w.assignment.Grants, w.assignment.Operation)
	}
	if w.app.account == Active && w.app.ours && !w.tampered {
		t.Fatalf("all has ended, and there is %+v; known %+v", w.app, w.assignment.Observed)
	}
	if was.account != Active || was.ours {
		return
	}
	if w.app.account != Active || w.app.ours {
		t.Fatalf("there was %+v before, and now %+v", was, w.app)
	}
	for _, e := range []ID{admins, readers} {
		if was.had.Has(e) && !w.app.has(e) || w.app.has(e) && !w.app.had.Has(e) && !kept.about(e) && !w.tampered {
			t.Fatalf("there was %+v before, and now %+v", was, w.app)
		}
	}
}

// TestOverlap counts calls: whatever grants overlap, an app is called for the
// first and after the last. B-PRV-10
func TestOverlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{app: app{account: Absent, member: Set{}}, assignment: Assignment{Mode: Automatic}}
		adds, removes, first, last := 0, 0, 0, 0
		live := func() (n int) {
			for _, g := range w.assignment.Grants {
				if g.State.Live() && g.Entitlement == admins {
					n++
				}
			}
			return n
		}
		drain := func(t *rapid.T) {
			for w.claim() {
				for _, c := range w.assignment.Operation.Plan {
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
		w.assignment.Grants = []Grant{{ID: w.id(), Entitlement: account, Account: true, State: Pending}}
		w.reconcile(t)
		drain(t)
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				if live() == 0 {
					first++
				}
				w.assignment.Grants = append(slices.Clone(w.assignment.Grants), Grant{ID: w.id(), Entitlement: admins, State: Pending})
				w.reconcile(t)
				drain(t)
			},
			"end": func(t *rapid.T) {
				w.assignment.Grants = slices.Clone(w.assignment.Grants)
				for i := range w.assignment.Grants {
					if g := &w.assignment.Grants[i]; g.State.Live() && g.Entitlement == admins {
						if live() == 1 {
							last++
						}
						g.State = Revoking
						break
					}
				}
				w.reconcile(t)
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
		k := Observed{Account: rapid.SampledFrom([]AccountState{Absent, Active, Disabled}).Draw(t, "account"), AccountInDoubt: rapid.Bool().Draw(t, "account_in_doubt")}
		if k.surelyThere() {
			k.Held = sets.Draw(t, "held")
		}
		if k.Account != Absent || k.AccountInDoubt {
			k.InDoubt = sets.Draw(t, "doubt")
			for e := range k.Held {
				k.InDoubt = k.InDoubt.minus(e)
			}
		}
		w := Desired{Account: rapid.Bool().Draw(t, "want an account")}
		if w.Account {
			w.Entitlements = sets.Draw(t, "want")
		}
		right := !w.Account && !k.there() ||
			w.Account && k.surelyThere() && len(k.InDoubt) == 0 && maps.Equal(k.Held, w.Entitlements)
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
