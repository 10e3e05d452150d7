package connectortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/services/provisioning/internal/connector"
)

// Run holds a connector to what the engine relies on. Each case is a subtest.
func Run(t *testing.T, factory Factory) {
	cases := []struct {
		name string
		run  func(*kit)
	}{
		{"B-PRV-12 a life, every call twice", life},
		{"B-PRV-12 lost answer to create", lostCreate},
		{"B-PRV-12 lost answer to add, remove, disable and delete", lostChange},
		{"B-PRV-12 duplicate delivery", duplicate},
		{"B-PRV-12 two replicas at once", atOnce},
		{"B-PRV-04 throttled", throttled},
		{"B-PRV-04 broken, then well", broken},
		{"B-PRV-04 away, then back", away},
		{"B-PRV-12 slow create", slowCreate},
		{"B-PRV-12 slow revoke", slowRevoke},
		{"B-PRV-12 look without touching", lookUp},
		{"B-PRV-12 account made behind our back", madeBehind},
		{"B-PRV-12 account made between look-up and create", madeBetween},
		{"B-PRV-12 account removed behind our back", removedBehind},
		{"B-PRV-12 account disabled behind our back", disabledBehind},
		{"B-PRV-12 person whose user name changed", renamed},
		{"B-PRV-12 user name of somebody who left", reusedName},
		{"B-PRV-12 changed profile", changedProfile},
		{"B-PRV-12 changed profile, with faults", changedProfileFaults},
		{"B-PRV-12 changed profile, whose user name is taken", takenName},
		{"B-PRV-12 changed profile of an account that is gone, or disabled", changedProfileAway},
		{"B-PRV-12 manager", manager},
		{"B-PRV-12 manager, with faults", managerFaults},
		{"B-PRV-12 unusual names", unusualNames},
		{"B-PRV-09 one of many entitlements", oneOfMany},
		{"B-PRV-12 entitlement that the app does not have", unknownEntitlement},
		{"B-CAT-06 what the app has to give", listEntitlements},
		{"B-CAT-06 whether the app has it", hasEntitlement},
		{"B-PRV-06 test the connection", testConnection},
		{"B-PRV-06 wrong credentials", wrongCredentials},
		{"B-PRV-12 stopped by its caller", stopped},
		{"B-PRV-04 storm", storm},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := &kit{T: t, app: factory(t)}
			if len(k.app.Entitlements) == 0 {
				t.Fatal("the app has no entitlements to give")
			}
			k.c = &checked{kit: k, next: k.app.Connect(t)}
			c.run(k)
		})
	}
}

// kit is one case.
type kit struct {
	*testing.T
	app App
	c   *checked
}

// restart is Gatehouse starting anew.
func (k *kit) restart() {
	k.Helper()
	k.c = &checked{kit: k, next: k.app.Connect(k.T)}
}

// person is somebody new.
func (k *kit) person() connector.Person {
	id := uuid.Must(uuid.NewV7())
	short := strings.ReplaceAll(id.String(), "-", "")[16:]
	return connector.Person{
		UserID: id.String(), UserName: "kit." + short + "@example.test", Email: "kit." + short + "@example.test",
		GivenName: "Kit", FamilyName: short, DisplayName: "Kit " + short, Title: "Tester", Department: "Quality",
	}
}

func (k *kit) skipUnless(ok bool, fault string) {
	k.Helper()
	if !ok {
		k.Skipf("the way to this app cannot make this fault: %s", fault)
	}
}

// context bounds a call that must not take long.
func (k *kit) context() context.Context {
	ctx, cancel := context.WithTimeout(k.Context(), 10*time.Second)
	k.Cleanup(cancel)
	return ctx
}

func (k *kit) ensure(p connector.Person) connector.Account { return k.ensureKnown(p, "") }

func (k *kit) ensureKnown(p connector.Person, known string) connector.Account {
	k.Helper()
	a, err := k.c.EnsureAccount(k.context(), p, known)
	if err != nil {
		k.Fatalf("EnsureAccount: %v", err)
	}
	if a.ID == "" || !strings.EqualFold(a.UserName, p.UserName) {
		k.Fatalf("EnsureAccount returned %+v for %s", a, p.UserName)
	}
	a.Made = false // the same account, made now or before
	return a
}

func (k *kit) must(what string, err error) {
	k.Helper()
	if err != nil {
		k.Fatalf("%s: %v", what, err)
	}
}

func (k *kit) wantKind(what string, err error, want connector.Kind) {
	k.Helper()
	if connector.KindOf(err) != want {
		k.Fatalf("%s: got %v (%v), want %v", what, err, connector.KindOf(err), want)
	}
}

// seen returns the one account of a person, and fails when there are more; nil when there is none.
func (k *kit) seen(p connector.Person) *Seen {
	k.Helper()
	accounts, err := k.app.Look(k.context(), p)
	k.must("look into the app", err)
	switch len(accounts) {
	case 0:
		return nil
	case 1:
		return &accounts[0]
	default:
		k.Fatalf("%d accounts for one person: %+v", len(accounts), accounts)
		return nil
	}
}

// wantAccount says that the person has one account, active, with exactly these entitlements out of the app's.
func (k *kit) wantAccount(p connector.Person, id string, holds ...connector.Entitlement) {
	k.Helper()
	a := k.seen(p)
	switch {
	case a == nil:
		k.Fatal("the person has no account in the app")
	case a.ID != id:
		k.Fatalf("the account in the app is %s, and the connector said %s", a.ID, id)
	case !a.Active:
		k.Fatal("the account in the app is disabled")
	}
	for _, e := range k.app.Entitlements {
		n := 0
		for _, h := range a.Holds {
			if h == e {
				n++
			}
		}
		want := 0
		if slices.Contains(holds, e) {
			want = 1
		}
		if n != want {
			k.Fatalf("the account holds %v %d times, want %d; it holds %v", e, n, want, a.Holds)
		}
	}
}

// wantOut says that the person cannot get in.
func (k *kit) wantOut(p connector.Person) {
	k.Helper()
	if a := k.seen(p); a != nil && a.Active {
		k.Fatalf("the account is active in the app: %+v", *a)
	}
}

func (k *kit) modes() []connector.Removal {
	if k.app.NoDisable {
		return []connector.Removal{connector.Delete}
	}
	return []connector.Removal{connector.Disable, connector.Delete}
}

// checked looks at every error of the connector.
type checked struct {
	*kit
	next connector.Connector
}

func (c *checked) fit(err error) error {
	c.Helper()
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*connector.Error](err)
	switch {
	case !ok:
		c.Errorf("an error that is not a *connector.Error: %v", err)
	case e.Kind < connector.Retryable || e.Kind > connector.Exists:
		c.Errorf("an error of no kind: %v", err)
	case e.Message == "" || len(e.Message) > connector.MaxMessage || strings.ContainsAny(e.Message, "\r\n"):
		c.Errorf("a message that is not one line of at most %d bytes: %q", connector.MaxMessage, e.Message)
	case e.RetryAfter < 0 || e.RetryAfter > connector.MaxRetryAfter:
		c.Errorf("a wait that is out of bounds: %v", e.RetryAfter)
	}
	c.clean(err.Error())
	return err
}

func (c *checked) clean(text string) {
	c.Helper()
	for _, secret := range c.app.Secrets {
		if strings.Contains(text, secret) {
			c.Error("a secret is in a text of the connector")
		}
	}
}

func (c *checked) Test(ctx context.Context) (connector.Report, error) {
	c.Helper()
	r, err := c.next.Test(ctx)
	c.clean(r.String())
	return r, c.fit(err)
}

func (c *checked) Find(ctx context.Context, p connector.Person, known string) (*connector.Account, error) {
	c.Helper()
	a, err := c.next.Find(ctx, p, known)
	return a, c.fit(err)
}

func (c *checked) EnsureAccount(ctx context.Context, p connector.Person, known string) (connector.Account, error) {
	c.Helper()
	a, err := c.next.EnsureAccount(ctx, p, known)
	return a, c.fit(err)
}

func (c *checked) UpdateAccount(ctx context.Context, id string, p connector.Person) error {
	c.Helper()
	return c.fit(c.next.UpdateAccount(ctx, id, p))
}

func (c *checked) SetManager(ctx context.Context, id, managerID string, written []string) error {
	c.Helper()
	return c.fit(c.next.SetManager(ctx, id, managerID, written))
}

func (c *checked) Holds(ctx context.Context, id string, e connector.Entitlement) (bool, error) {
	c.Helper()
	had, err := c.next.Holds(ctx, id, e)
	return had, c.fit(err)
}

func (c *checked) Add(ctx context.Context, id string, e connector.Entitlement) error {
	c.Helper()
	return c.fit(c.next.Add(ctx, id, e))
}

func (c *checked) Remove(ctx context.Context, id string, e connector.Entitlement) error {
	c.Helper()
	return c.fit(c.next.Remove(ctx, id, e))
}

func (c *checked) RemoveAccount(ctx context.Context, id string, mode connector.Removal) error {
	c.Helper()
	return c.fit(c.next.RemoveAccount(ctx, id, mode))
}

func (c *checked) ListEntitlements(ctx context.Context, l connector.Listing) (connector.Page, error) {
	c.Helper()
	page, err := c.next.ListEntitlements(ctx, l)
	for _, o := range page.Offers {
		if o.Kind != l.Kind || strings.TrimSpace(o.Ref) == "" || len(o.Name) > connector.MaxMessage || strings.ContainsAny(o.Name, "\r\n") {
			c.Errorf("not to be shown or given: %+v", o)
		}
	}
	if len(page.Offers) > l.Size || len(page.Next) > connector.MaxMessage {
		c.Errorf("a page of %d, where %d were asked for, and its next: %q", len(page.Offers), l.Size, page.Next)
	}
	return page, c.fit(err)
}

func (c *checked) HasEntitlement(ctx context.Context, e connector.Entitlement) (bool, error) {
	c.Helper()
	has, err := c.next.HasEntitlement(ctx, e)
	return has, c.fit(err)
}

func life(k *kit) {
	p := k.person()
	a := k.ensure(p)
	k.wantAccount(p, a.ID)
	if again := k.ensure(p); again != a {
		k.Fatalf("the second call returned %+v, the first %+v", again, a)
	}
	k.restart()
	if again := k.ensure(p); again != a {
		k.Fatalf("after a restart %+v, before %+v", again, a)
	}
	for _, e := range k.app.Entitlements {
		for range 2 {
			k.must("Add", k.c.Add(k.context(), a.ID, e))
			k.wantAccount(p, a.ID, e)
		}
		for range 2 {
			k.must("Remove", k.c.Remove(k.context(), a.ID, e))
			k.wantAccount(p, a.ID)
		}
		k.must("Add after Remove", k.c.Add(k.context(), a.ID, e))
		k.wantAccount(p, a.ID, e)
		k.must("Remove", k.c.Remove(k.context(), a.ID, e))
	}
	if !k.app.NoDisable {
		for range 2 {
			k.must("RemoveAccount(Disable)", k.c.RemoveAccount(k.context(), a.ID, connector.Disable))
			if s := k.seen(p); s == nil || s.Active {
				k.Fatalf("after Disable: %+v", s)
			}
		}
		if again := k.ensure(p); again != a {
			k.Fatalf("enabled again it is %+v, before %+v", again, a)
		}
		k.wantAccount(p, a.ID)
	}
	for range 2 {
		k.must("RemoveAccount(Delete)", k.c.RemoveAccount(k.context(), a.ID, connector.Delete))
		if s := k.seen(p); s != nil {
			k.Fatalf("after Delete: %+v", *s)
		}
	}
	if !k.app.NoDisable {
		k.must("RemoveAccount(Disable) of what is gone", k.c.RemoveAccount(k.context(), a.ID, connector.Disable))
	}
	a = k.ensure(p)
	k.wantAccount(p, a.ID)
}

func lostCreate(k *kit) {
	for _, restart := range []bool{false, true} {
		p := k.person()
		k.skipUnless(k.app.Faults.LoseAnswers(1), "lost answers")
		_, err := k.c.EnsureAccount(k.context(), p, "")
		k.wantKind("EnsureAccount whose answer was lost", err, connector.Retryable)
		if k.seen(p) == nil {
			k.Fatal("the app did not do it")
		}
		if restart {
			k.restart()
		}
		a := k.ensure(p)
		k.wantAccount(p, a.ID)
	}
}

func lostChange(k *kit) {
	p := k.person()
	a := k.ensure(p)
	lost := func(what string, call func() error) {
		k.Helper()
		k.skipUnless(k.app.Faults.LoseAnswers(1), "lost answers")
		k.wantKind(what+" whose answer was lost", call(), connector.Retryable)
		k.restart()
		k.must(what+" again", call())
	}
	for _, e := range k.app.Entitlements {
		lost("Add", func() error { return k.c.Add(k.context(), a.ID, e) })
		k.wantAccount(p, a.ID, e)
		lost("Remove", func() error { return k.c.Remove(k.context(), a.ID, e) })
		k.wantAccount(p, a.ID)
	}
	for _, mode := range k.modes() {
		a = k.ensure(p)
		lost("RemoveAccount", func() error { return k.c.RemoveAccount(k.context(), a.ID, mode) })
		k.wantOut(p)
	}
}

func duplicate(k *kit) {
	p := k.person()
	twice := func() {
		k.Helper()
		k.skipUnless(k.app.Faults.Duplicate(1), "duplicate delivery")
	}
	twice()
	a := k.ensure(p)
	k.wantAccount(p, a.ID)
	for _, e := range k.app.Entitlements {
		twice()
		k.must("Add, delivered twice", k.c.Add(k.context(), a.ID, e))
		k.wantAccount(p, a.ID, e)
		twice()
		k.must("Remove, delivered twice", k.c.Remove(k.context(), a.ID, e))
		k.wantAccount(p, a.ID)
	}
	for _, mode := range k.modes() {
		a = k.ensure(p)
		twice()
		k.must("RemoveAccount, delivered twice", k.c.RemoveAccount(k.context(), a.ID, mode))
		k.wantOut(p)
	}
}

// atOnce is what must not happen and does: a replica that was thought dead goes on.
func atOnce(k *kit) {
	p := k.person()
	e := k.app.Entitlements[0]
	connectors := []*checked{k.c, {kit: k, next: k.app.Connect(k.T)}}
	accounts := make([]connector.Account, 8)
	var wg sync.WaitGroup
	for i := range accounts {
		wg.Go(func() {
			c := connectors[i%len(connectors)]
			a, err := c.EnsureAccount(k.context(), p, "")
			if err != nil {
				k.Errorf("EnsureAccount: %v", err)
				return
			}
			accounts[i] = a
			if err := c.Add(k.context(), a.ID, e); err != nil {
				k.Errorf("Add: %v", err)
			}
		})
	}
	wg.Wait()
	if k.Failed() {
		return
	}
	for _, a := range accounts {
		if a.ID != accounts[0].ID {
			k.Fatalf("two accounts: %s and %s", a.ID, accounts[0].ID)
		}
	}
	k.wantAccount(p, accounts[0].ID, e)
}

func throttled(k *kit) {
	const wait = 7 * time.Second
	p := k.person()
	e := k.app.Entitlements[0]
	again := func(what string, call func() error) {
		k.Helper()
		k.skipUnless(k.app.Faults.Throttle(1, wait), "throttling")
		err := call()
		k.wantKind(what+", throttled", err, connector.Retryable)
		if got := connector.RetryAfter(err); got != wait {
			k.Fatalf("%s: the app asked for %v, and the connector says %v", what, wait, got)
		}
		k.must(what+" after the wait", call())
	}
	var a connector.Account
	again("EnsureAccount", func() (err error) {
		a, err = k.c.EnsureAccount(k.context(), p, "")
		return err
	})
	k.wantAccount(p, a.ID)
	again("Add", func() error { return k.c.Add(k.context(), a.ID, e) })
	k.wantAccount(p, a.ID, e)
	again("Remove", func() error { return k.c.Remove(k.context(), a.ID, e) })
	again("RemoveAccount", func() error { return k.c.RemoveAccount(k.context(), a.ID, connector.Delete) })
	k.wantOut(p)
}

func broken(k *kit) {
	k.until("a broken app", func() bool { return k.app.Faults.Break(3) }, func() {})
}

func away(k *kit) {
	k.until("an app that is away", func() bool { return k.app.Faults.Away(true) }, func() { k.app.Faults.Away(false) })
}

// until breaks something before each step, and then calls until it is well again, as the engine does. It is mended after three calls.
func (k *kit) until(fault string, breakIt func() bool, mend func()) {
	p := k.person()
	e := k.app.Entitlements[0]
	var a connector.Account
	for _, step := range []struct {
		what string
		call func() error
		want func()
	}{
		{"EnsureAccount", func() (err error) { a, err = k.c.EnsureAccount(k.context(), p, ""); return err }, func() { k.wantAccount(p, a.ID) }},
		{"Add", func() error { return k.c.Add(k.context(), a.ID, e) }, func() { k.wantAccount(p, a.ID, e) }},
		{"Remove", func() error { return k.c.Remove(k.context(), a.ID, e) }, func() { k.wantAccount(p, a.ID) }},
		{"RemoveAccount", func() error { return k.c.RemoveAccount(k.context(), a.ID, connector.Delete) }, func() { k.wantOut(p) }},
	} {
		k.skipUnless(breakIt(), fault)
		failed := 0
		for {
			err := step.call()
			if err == nil {
				break
			}
			k.wantKind(step.what, err, connector.Retryable)
			if failed++; failed == 3 {
				mend()
			}
			if failed > 6 {
				k.Fatalf("%s does not get well again: %v", step.what, err)
			}
		}
		if failed == 0 {
			k.Fatalf("%s did not meet the fault", step.what)
		}
		step.want()
	}
}

// slow makes a call whose caller gives up while the app is at it. The app does it when release is called.
func (k *kit) slow(what string, call func(context.Context) error) (release func()) {
	k.Helper()
	reached, release, ok := k.app.Faults.Hold()
	k.skipUnless(ok, "slow answers")
	k.Cleanup(release)
	ctx, giveUp := context.WithCancel(k.context())
	defer giveUp()
	go func() {
		select {
		case <-reached:
			giveUp()
		case <-ctx.Done():
		}
	}()
	k.wantKind(what+" that takes too long", call(ctx), connector.Retryable)
	select {
	case <-reached:
	default:
		k.Fatalf("%s ended before it came to the app", what)
	}
	return release
}

func slowCreate(k *kit) {
	p := k.person()
	create := func(ctx context.Context) error {
		_, err := k.c.EnsureAccount(ctx, p, "")
		return err
	}
	k.slow("EnsureAccount", create)()
	a := k.ensure(p)
	k.wantAccount(p, a.ID)

	// The app does the first only after the second was asked for and done.
	p = k.person()
	release := k.slow("EnsureAccount", create)
	a = k.ensure(p)
	release()
	k.wantAccount(p, a.ID)
	if again := k.ensure(p); again.ID != a.ID {
		k.Fatalf("now it is %s, before %s", again.ID, a.ID)
	}
}

func slowRevoke(k *kit) {
	p := k.person()
	a := k.ensure(p)
	for _, e := range k.app.Entitlements {
		k.must("Add", k.c.Add(k.context(), a.ID, e))
		k.slow("Remove", func(ctx context.Context) error { return k.c.Remove(ctx, a.ID, e) })()
		k.must("Remove again", k.c.Remove(k.context(), a.ID, e))
		k.wantAccount(p, a.ID)
	}
	for _, mode := range k.modes() {
		a = k.ensure(p)
		k.slow("RemoveAccount", func(ctx context.Context) error { return k.c.RemoveAccount(ctx, a.ID, mode) })()
		k.must("RemoveAccount again", k.c.RemoveAccount(k.context(), a.ID, mode))
		k.wantOut(p)
	}
}

// madeBehind: an account that is there is shown, and not touched before it is named.
func madeBehind(k *kit) {
	p := k.person()
	id, err := k.app.Make(k.context(), p)
	k.must("make an account behind our back", err)
	before := k.seen(p)
	for range 2 {
		k.wantExists(p, id)
	}
	if found, err := k.c.Find(k.context(), p, ""); err != nil || found == nil || found.ID != id || found.Ours {
		k.Fatalf("found %+v, %v", found, err)
	}
	if after := k.seen(p); after == nil || !slices.Equal(after.Holds, before.Holds) || after.ID != id {
		k.Fatalf("it was touched: %+v", after)
	}
	for range 2 {
		if a := k.ensureKnown(p, id); a.ID != id {
			k.Fatalf("the account that was there is %s, and the connector took %s", id, a.ID)
		}
	}
	k.wantAccount(p, id)
	for _, e := range k.app.Entitlements {
		if had, err := k.c.Holds(k.context(), id, e); err != nil || had {
			k.Fatalf("Holds %v before: %t, %v", e, had, err)
		}
		k.must("Add", k.c.Add(k.context(), id, e))
		if had, err := k.c.Holds(k.context(), id, e); err != nil || !had {
			k.Fatalf("Holds %v after: %t, %v", e, had, err)
		}
	}

	// In another case of letters: to the app it is the same user name.
	p = k.person()
	upper := p
	upper.UserName = strings.ToUpper(p.UserName)
	id, err = k.app.Make(k.context(), upper)
	k.must("make an account behind our back", err)
	k.wantExists(p, id)
	if a := k.ensureKnown(p, id); a.ID != id {
		k.Fatalf("the account that was there is %s, and the connector took %s", id, a.ID)
	}
	k.wantAccount(p, id)
}

// wantExists says that the account is shown, and not taken.
func (k *kit) wantExists(p connector.Person, id string) {
	k.Helper()
	_, err := k.c.EnsureAccount(k.context(), p, "")
	k.wantKind("EnsureAccount beside an account that was there", err, connector.Exists)
	if a := connector.Found(err); a.ID != id {
		k.Fatalf("the account that was there is %s, and the connector shows %+v", id, a)
	}
}

// lookUp: nobody has an account before they are given one, and looking makes none.
func lookUp(k *kit) {
	p := k.person()
	for range 2 {
		if found, err := k.c.Find(k.context(), p, ""); err != nil || found != nil {
			k.Fatalf("found %+v, %v", found, err)
		}
	}
	if s := k.seen(p); s != nil {
		k.Fatalf("looking made %+v", *s)
	}
	a := k.ensure(p)
	for _, known := range []string{"", a.ID} {
		found, err := k.c.Find(k.context(), p, known)
		if err != nil || found == nil || found.ID != a.ID || found.Disabled || found.Ours == k.app.NoLink {
			k.Fatalf("found %+v, %v", found, err)
		}
	}
	if !k.app.NoDisable {
		k.must("RemoveAccount(Disable)", k.c.RemoveAccount(k.context(), a.ID, connector.Disable))
		if found, err := k.c.Find(k.context(), p, a.ID); err != nil || found == nil || !found.Disabled {
			k.Fatalf("found %+v, %v", found, err)
		}
	}
	k.must("RemoveAccount(Delete)", k.c.RemoveAccount(k.context(), a.ID, connector.Delete))
	if found, err := k.c.Find(k.context(), p, a.ID); err != nil || found != nil {
		k.Fatalf("found %+v, %v", found, err)
	}
	for _, e := range k.app.Entitlements {
		_, err := k.c.Holds(k.context(), a.ID, e)
		k.wantKind("Holds of an account that is gone", err, connector.NotFound)
	}
}

func madeBetween(k *kit) {
	p := k.person()
	var id string
	k.skipUnless(k.app.Faults.BeforeChange(func() {
		var err error
		if id, err = k.app.Make(k.context(), p); err != nil {
			k.Errorf("make an account behind our back: %v", err)
		}
	}), "something between look-up and create")
	_, err := k.c.EnsureAccount(k.context(), p, "")
	k.wantKind("EnsureAccount when an account was made meanwhile", err, connector.Exists)
	if a := connector.Found(err); id == "" || a.ID != id {
		k.Fatalf("the account that was made is %q, and the connector shows %+v", id, a)
	}
	k.wantAccount(p, k.ensureKnown(p, id).ID)
}

func removedBehind(k *kit) {
	p := k.person()
	a := k.ensure(p)
	k.must("Add", k.c.Add(k.context(), a.ID, k.app.Entitlements[0]))
	k.must("remove the account behind our back", k.app.Destroy(k.context(), a.ID))
	for _, e := range k.app.Entitlements {
		k.wantKind("Add to an account that is gone", k.c.Add(k.context(), a.ID, e), connector.NotFound)
		k.must("Remove from an account that is gone", k.c.Remove(k.context(), a.ID, e))
	}
	for _, mode := range k.modes() {
		k.must("RemoveAccount of an account that is gone", k.c.RemoveAccount(k.context(), a.ID, mode))
	}
	if s := k.seen(p); s != nil {
		k.Fatalf("it came back: %+v", *s)
	}
	b := k.ensure(p)
	k.must("Add", k.c.Add(k.context(), b.ID, k.app.Entitlements[0]))
	k.wantAccount(p, b.ID, k.app.Entitlements[0])
}

func disabledBehind(k *kit) {
	if k.app.NoDisable {
		k.Skip("the app cannot disable accounts")
	}
	p := k.person()
	a := k.ensure(p)
	k.must("RemoveAccount(Disable)", k.c.RemoveAccount(k.context(), a.ID, connector.Disable))
	k.restart()
	if again := k.ensure(p); again != a {
		k.Fatalf("it was %+v and is %+v", a, again)
	}
	k.wantAccount(p, a.ID)
}

// renamed: somebody married, and is the same person.
func renamed(k *kit) {
	if k.app.NoLink {
		k.Skip("the app knows an account by its user name alone")
	}
	p := k.person()
	a := k.ensure(p)
	k.restart()
	p.UserName = k.person().UserName
	again, err := k.c.EnsureAccount(k.context(), p, "")
	k.must("EnsureAccount of somebody whose user name changed", err)
	if again.ID != a.ID {
		k.Fatalf("it was %s and is %s", a.ID, again.ID)
	}
	k.wantAccount(p, a.ID)

	// An account that was adopted by its name is found after a change of name, too.
	p = k.person()
	id, err := k.app.Make(k.context(), p)
	k.must("make an account behind our back", err)
	k.ensureKnown(p, id)
	p.UserName = k.person().UserName
	if again, err = k.c.EnsureAccount(k.context(), p, ""); err != nil || again.ID != id {
		k.Fatalf("it was %s and is %s: %v", id, again.ID, err)
	}
}

// reusedName: the user name of somebody who left is given to somebody new. What the first one had must not become theirs.
func reusedName(k *kit) {
	if k.app.NoDisable || k.app.NoLink {
		k.Skip("the app keeps no accounts of those who left, or does not know whose they were")
	}
	left := k.person()
	a := k.ensure(left)
	k.must("RemoveAccount(Disable)", k.c.RemoveAccount(k.context(), a.ID, connector.Disable))
	fresh := k.person()
	fresh.UserName = left.UserName
	_, err := k.c.EnsureAccount(k.context(), fresh, a.ID)
	k.wantKind("EnsureAccount with the user name of somebody else's account", err, connector.Conflict)
	if found, err := k.c.Find(k.context(), fresh, ""); found != nil || connector.KindOf(err) != connector.Conflict {
		k.Fatalf("Find with the user name of somebody else's account: %+v, %v", found, err)
	}
	k.wantOut(left)
}

// anew is the person with another profile.
func (k *kit) anew(p connector.Person) connector.Person {
	next := k.person()
	next.UserID, next.GivenName, next.Title, next.Department = p.UserID, "Anew "+next.FamilyName, "Lead", "Design"
	return next
}

// wantProfile says that the person has one account, and that it says of them what it should. kept is what it said before of
// another profile: an app does not keep everything.
func (k *kit) wantProfile(p, before, kept connector.Person) {
	k.Helper()
	a := k.seen(p)
	if a == nil {
		k.Fatal("the person has no account in the app")
	}
	for _, f := range []struct{ name, got, want, before, kept string }{
		{"user name", a.Profile.UserName, p.UserName, before.UserName, before.UserName},
		{"e-mail", a.Profile.Email, p.Email, before.Email, kept.Email},
		{"given name", a.Profile.GivenName, p.GivenName, before.GivenName, kept.GivenName},
		{"family name", a.Profile.FamilyName, p.FamilyName, before.FamilyName, kept.FamilyName},
		{"display name", a.Profile.DisplayName, p.DisplayName, before.DisplayName, kept.DisplayName},
		{"title", a.Profile.Title, p.Title, before.Title, kept.Title},
		{"department", a.Profile.Department, p.Department, before.Department, kept.Department},
	} {
		if f.kept == f.before && f.got != f.want {
			k.Errorf("the account has the %s %q, want %q", f.name, f.got, f.want)
		}
	}
}

// changedProfile: somebody married, and moved; what they hold stays.
func changedProfile(k *kit) {
	p := k.person()
	a := k.ensure(p)
	for _, e := range k.app.Entitlements {
		k.must("Add", k.c.Add(k.context(), a.ID, e))
	}
	kept := k.seen(p).Profile
	next := k.anew(p)
	for range 2 {
		k.must("UpdateAccount", k.c.UpdateAccount(k.context(), a.ID, next))
		k.wantProfile(next, p, kept)
		k.wantAccount(next, a.ID, k.app.Entitlements...)
	}
	k.restart()
	bare := next
	bare.Title, bare.Department = "", ""
	k.must("UpdateAccount without title and department", k.c.UpdateAccount(k.context(), a.ID, bare))
	k.wantProfile(bare, p, kept)
	k.must("UpdateAccount back", k.c.UpdateAccount(k.context(), a.ID, p))
	k.wantProfile(p, p, kept)
	k.wantAccount(p, a.ID, k.app.Entitlements...)
	if again := k.ensure(p); again.ID != a.ID {
		k.Fatalf("it was %s and is %s", a.ID, again.ID)
	}
}

func changedProfileFaults(k *kit) {
	p := k.person()
	a := k.ensure(p)
	kept := k.seen(p).Profile
	for _, f := range []struct {
		fault string
		make  func() bool
		fails bool
	}{
		{"lost answers", func() bool { return k.app.Faults.LoseAnswers(1) }, true},
		{"duplicate delivery", func() bool { return k.app.Faults.Duplicate(1) }, false},
		{"throttling", func() bool { return k.app.Faults.Throttle(1, time.Second) }, true},
		{"a broken app", func() bool { return k.app.Faults.Break(1) }, true},
	} {
		next := k.anew(p)
		k.skipUnless(f.make(), f.fault)
		err := k.c.UpdateAccount(k.context(), a.ID, next)
		if f.fails {
			k.wantKind("UpdateAccount with "+f.fault, err, connector.Retryable)
			k.restart()
			err = k.c.UpdateAccount(k.context(), a.ID, next)
		}
		k.must("UpdateAccount with "+f.fault, err)
		k.wantProfile(next, p, kept)
		k.wantAccount(next, a.ID)
	}
}

// takenName: an account keeps what it says while another one has the user name.
func takenName(k *kit) {
	p, other := k.person(), k.person()
	a, b := k.ensure(p), k.ensure(other)
	taken := k.anew(p)
	taken.UserName = other.UserName
	for range 2 {
		k.wantKind("UpdateAccount with the user name of another account", k.c.UpdateAccount(k.context(), a.ID, taken), connector.Conflict)
	}
	k.wantAccount(p, a.ID)
	k.wantAccount(other, b.ID)
}

// changedProfileAway: what is not there is not made, and what nobody can use stays so.
func changedProfileAway(k *kit) {
	p := k.person()
	a := k.ensure(p)
	if !k.app.NoDisable {
		kept := k.seen(p).Profile
		k.must("RemoveAccount(Disable)", k.c.RemoveAccount(k.context(), a.ID, connector.Disable))
		next := k.anew(p)
		k.must("UpdateAccount of a disabled account", k.c.UpdateAccount(k.context(), a.ID, next))
		k.wantProfile(next, p, kept)
		k.wantOut(next)
	}
	k.must("remove the account behind our back", k.app.Destroy(k.context(), a.ID))
	for range 2 {
		next := k.anew(p)
		k.wantKind("UpdateAccount of an account that is gone", k.c.UpdateAccount(k.context(), a.ID, next), connector.NotFound)
		if s := k.seen(next); s != nil {
			k.Fatalf("it came back: %+v", *s)
		}
	}
}

// wantManager says that the person has one account, which says of them what it did and names an account as the manager's.
func (k *kit) wantManager(p connector.Person, before Seen, manager string) {
	k.Helper()
	if k.app.NoManagers {
		manager = ""
	}
	a := k.seen(p)
	if a == nil {
		k.Fatal("the person has no account in the app")
	}
	if a.Manager != manager {
		k.Errorf("the account names %q as the manager, want %q", a.Manager, manager)
	}
	if a.ID != before.ID || a.Active != before.Active || a.Profile != before.Profile || len(a.Holds) != len(before.Holds) {
		k.Errorf("the account was %+v and is %+v", before, *a)
	}
}

// manager: an account names one manager, then another, then nobody. What somebody else has written is not cleared. An app
// that keeps no managers has none, and says no.
func manager(k *kit) {
	p := k.person()
	a, first, second := k.ensure(p), k.ensure(k.person()), k.ensure(k.person())
	for _, e := range k.app.Entitlements {
		k.must("Add", k.c.Add(k.context(), a.ID, e))
	}
	before := *k.seen(p)
	k.must("SetManager of nobody, where none was written", k.c.SetManager(k.context(), a.ID, "", nil))
	k.wantManager(p, before, "")
	written := []string{}
	for _, m := range []string{first.ID, second.ID} {
		for range 2 {
			k.must("SetManager", k.c.SetManager(k.context(), a.ID, m, written))
			k.wantManager(p, before, m)
		}
		written = append(written, m)
	}
	k.restart()
	k.must("SetManager of nobody, where somebody else has written one", k.c.SetManager(k.context(), a.ID, "", []string{first.ID}))
	k.wantManager(p, before, second.ID)
	for range 2 {
		k.must("SetManager of nobody", k.c.SetManager(k.context(), a.ID, "", written))
		k.wantManager(p, before, "")
	}
	k.must("SetManager of oneself", k.c.SetManager(k.context(), a.ID, a.ID, nil)) // a circle harms nobody
	k.wantManager(p, before, a.ID)
	k.must("remove the account behind our back", k.app.Destroy(k.context(), a.ID))
	if !k.app.NoManagers {
		k.wantKind("SetManager of an account that is gone", k.c.SetManager(k.context(), a.ID, first.ID, nil), connector.NotFound)
		k.wantKind("SetManager of nobody, of an account that is gone", k.c.SetManager(k.context(), a.ID, "", written), connector.NotFound)
	}
	if s := k.seen(p); s != nil {
		k.Fatalf("it came back: %+v", *s)
	}
}

func managerFaults(k *kit) {
	if k.app.NoManagers {
		k.Skip("the app keeps no managers")
	}
	p := k.person()
	a := k.ensure(p)
	before := *k.seen(p)
	m := k.ensure(k.person()).ID
	k.must("SetManager", k.c.SetManager(k.context(), a.ID, m, nil)) // what the app keeps is known from here on
	for _, f := range []struct {
		fault string
		make  func() bool
		fails bool
	}{
		{"lost answers", func() bool { return k.app.Faults.LoseAnswers(1) }, true},
		{"duplicate delivery", func() bool { return k.app.Faults.Duplicate(1) }, false},
		{"throttling", func() bool { return k.app.Faults.Throttle(1, time.Second) }, true},
		{"a broken app", func() bool { return k.app.Faults.Break(1) }, true},
	} {
		for _, to := range []string{k.ensure(k.person()).ID, ""} {
			k.skipUnless(f.make(), f.fault)
			err := k.c.SetManager(k.context(), a.ID, to, []string{m})
			if f.fails {
				k.wantKind("SetManager with "+f.fault, err, connector.Retryable)
				k.restart()
				err = k.c.SetManager(k.context(), a.ID, to, []string{m})
			}
			k.must("SetManager with "+f.fault, err)
			k.wantManager(p, before, to)
			m = to
		}
	}
}

func unusualNames(k *kit) {
	for _, prefix := range []string{"o'brien+test", "zoë.ångström", "a&b=c%20d#e?f", "x) or (userName pr"} {
		p := k.person()
		p.UserName = prefix + p.UserName
		p.DisplayName = `"Quoted" \ <b>&amp;` + p.DisplayName
		a := k.ensure(p)
		if again := k.ensure(p); again != a {
			k.Fatalf("%q: first %+v, then %+v", p.UserName, a, again)
		}
		k.wantAccount(p, a.ID)
		k.must("RemoveAccount", k.c.RemoveAccount(k.context(), a.ID, connector.Delete))
		k.wantOut(p)
	}

	// A quote in a name must not change what is asked. An app that cannot take such a name may say so.
	victim := k.person()
	v := k.ensure(victim)
	p := k.person()
	p.UserName = `nobody" or userName eq "` + victim.UserName
	a, err := k.c.EnsureAccount(k.context(), p, "")
	switch {
	case err == nil && a.ID == v.ID:
		k.Fatal("a user name with a quote in it got somebody else's account")
	case err != nil:
		k.wantKind("EnsureAccount of a name with a quote", err, connector.Permanent)
	}
	// And it must not make the connector worse for others.
	other := k.person()
	k.wantAccount(other, k.ensure(other).ID)
}

func oneOfMany(k *kit) {
	if len(k.app.Entitlements) < 2 {
		k.Skip("the app has one entitlement to give")
	}
	p, other := k.person(), k.person()
	a, b := k.ensure(p), k.ensure(other)
	for _, e := range k.app.Entitlements {
		k.must("Add", k.c.Add(k.context(), a.ID, e))
		k.must("Add", k.c.Add(k.context(), b.ID, e))
	}
	left := k.app.Entitlements
	for len(left) > 0 {
		k.wantAccount(p, a.ID, left...)
		k.must("Remove", k.c.Remove(k.context(), a.ID, left[0]))
		left = left[1:]
	}
	k.wantAccount(p, a.ID)
	k.wantAccount(other, b.ID, k.app.Entitlements...)
}

func unknownEntitlement(k *kit) {
	p := k.person()
	a := k.ensure(p)
	err := k.c.Add(k.context(), a.ID, connector.Entitlement{Kind: "no-such-kind", Ref: "x"})
	k.wantKind("Add of a kind that is not known", err, connector.Permanent)
	err = k.c.Remove(k.context(), a.ID, connector.Entitlement{Kind: "no-such-kind", Ref: "x"})
	k.wantKind("Remove of a kind that is not known", err, connector.Permanent)
	if slices.ContainsFunc(k.app.Entitlements, func(e connector.Entitlement) bool { return e.Kind == connector.Group }) {
		err = k.c.Add(k.context(), a.ID, connector.Entitlement{Kind: connector.Group, Ref: "No such group " + p.UserID})
		k.wantKind("Add to a group that the app does not have", err, connector.Permanent)
	}
	k.wantAccount(p, a.ID)
}

// offers reads a list to its end, and fails if that does not come. listed is false for a kind that cannot be listed.
func (k *kit) offers(kind, query string, size int) (offers []connector.Offer, listed bool) {
	k.Helper()
	l := connector.Listing{Kind: kind, Query: query, Size: size}
	for range 1000 {
		page, err := k.c.ListEntitlements(k.context(), l)
		if errors.Is(err, connector.ErrNotListed) {
			k.wantKind("ListEntitlements of what cannot be listed", err, connector.Permanent)
			return nil, false
		}
		k.must("ListEntitlements", err)
		offers = append(offers, page.Offers...)
		if l.After = page.Next; l.After == "" {
			return offers, true
		}
	}
	k.Fatal("the list has no end")
	return nil, false
}

// listEntitlements: what the app has is listed, each once, in pages of any size, and what is listed can be given.
func listEntitlements(k *kit) {
	p := k.person()
	a := k.ensure(p)
	for _, e := range k.app.Entitlements {
		is := func(o connector.Offer) bool { return o.Entitlement == e || o.Name == e.Ref }
		for _, size := range []int{1, 2, 200} {
			offers, listed := k.offers(e.Kind, "", size)
			if !listed {
				break
			}
			if n := len(offers) - len(slices.DeleteFunc(slices.Clone(offers), is)); n != 1 {
				k.Fatalf("%v is listed %d times, in pages of %d: %v", e, n, size, offers)
			}
			for _, query := range []string{strings.ToUpper(e.Ref), e.Ref[1 : len(e.Ref)-1]} {
				if found, _ := k.offers(e.Kind, query, size); !slices.ContainsFunc(found, is) {
					k.Fatalf("%v is not found by %q: %v", e, query, found)
				}
			}
			if found, _ := k.offers(e.Kind, "nothing of this name "+p.UserID, size); len(found) > 0 {
				k.Fatalf("found by a name that nothing has: %v", found)
			}
			o := offers[slices.IndexFunc(offers, is)].Entitlement
			has, err := k.c.HasEntitlement(k.context(), o)
			k.must("HasEntitlement", err)
			if !has {
				k.Fatalf("what is listed as %v is not there", o)
			}
			k.must("Add what is listed", k.c.Add(k.context(), a.ID, o))
			k.wantAccount(p, a.ID, e)
			k.must("Remove what is listed", k.c.Remove(k.context(), a.ID, o))
			k.wantAccount(p, a.ID)
		}
	}
	if _, listed := k.offers("no-such-kind", "", 10); listed {
		k.Fatal("a kind that is not known is listed")
	}
}

// hasEntitlement: no is said only if it is sure.
func hasEntitlement(k *kit) {
	listed := make(map[string]bool)
	for _, e := range k.app.Entitlements {
		has, err := k.c.HasEntitlement(k.context(), e)
		_, listed[e.Kind] = k.offers(e.Kind, "", 10)
		if errors.Is(err, connector.ErrNotListed) != !listed[e.Kind] || listed[e.Kind] && (err != nil || !has) {
			k.Fatalf("%v: %t, %v", e, has, err)
		}
		if listed[e.Kind] {
			for _, ref := range []string{"Nothing of this name " + k.person().UserID, "", " ", ".."} {
				if has, err := k.c.HasEntitlement(k.context(), connector.Entitlement{Kind: e.Kind, Ref: ref}); err != nil || has {
					k.Fatalf("%s %q: %t, %v", e.Kind, ref, has, err)
				}
			}
		}
	}
	if _, err := k.c.HasEntitlement(k.context(), connector.Entitlement{Kind: "no-such-kind", Ref: "x"}); !errors.Is(err, connector.ErrNotListed) {
		k.Fatalf("a kind that is not known: %v", err)
	}
	wrong := &checked{kit: k, next: k.app.ConnectWrong(k.T)}
	for kind, listed := range listed {
		if !listed {
			continue
		}
		ask := func(what string, c *checked, want connector.Kind) {
			k.Helper()
			for _, ref := range []string{k.app.Entitlements[0].Ref, "Nothing of this name"} {
				_, err := c.HasEntitlement(k.context(), connector.Entitlement{Kind: kind, Ref: ref})
				k.wantKind("HasEntitlement "+what, err, want)
			}
			_, err := c.ListEntitlements(k.context(), connector.Listing{Kind: kind, Size: 10})
			k.wantKind("ListEntitlements "+what, err, want)
		}
		ask("with wrong credentials", wrong, connector.Unauthorized)
		if k.app.Faults.Away(true) {
			ask("of an app that is away", k.c, connector.Retryable)
			k.app.Faults.Away(false)
		}
	}
}

func testConnection(k *kit) {
	report, err := k.c.Test(k.context())
	k.must("Test", err)
	if !report.OK() {
		k.Fatalf("Test of an app that works:\n%s", report)
	}
	if k.app.Faults.Away(true) {
		report, err = k.c.Test(k.context())
		k.must("Test of an app that is away", err)
		if report.OK() {
			k.Fatalf("Test of an app that is away:\n%s", report)
		}
	}
}

func wrongCredentials(k *kit) {
	wrong := &checked{kit: k, next: k.app.ConnectWrong(k.T)}
	report, err := wrong.Test(k.context())
	k.must("Test with wrong credentials", err)
	if report.OK() {
		k.Fatalf("Test with wrong credentials:\n%s", report)
	}
	p := k.person()
	_, err = wrong.EnsureAccount(k.context(), p, "")
	k.wantKind("EnsureAccount with wrong credentials", err, connector.Unauthorized)
	a := k.ensure(p)
	e := k.app.Entitlements[0]
	k.must("Add", k.c.Add(k.context(), a.ID, e))
	k.wantKind("Add", wrong.Add(k.context(), a.ID, e), connector.Unauthorized)
	k.wantKind("Remove", wrong.Remove(k.context(), a.ID, e), connector.Unauthorized)
	k.wantKind("UpdateAccount", wrong.UpdateAccount(k.context(), a.ID, k.anew(p)), connector.Unauthorized)
	k.wantKind("RemoveAccount", wrong.RemoveAccount(k.context(), a.ID, connector.Delete), connector.Unauthorized)
	k.wantAccount(p, a.ID, e)
}

func stopped(k *kit) {
	ctx, cancel := context.WithCancel(k.Context())
	cancel()
	p := k.person()
	_, err := k.c.EnsureAccount(ctx, p, "")
	k.wantKind("EnsureAccount of a caller that has stopped", err, connector.Retryable)
	if !errors.Is(err, context.Canceled) {
		k.Fatalf("the error does not say that its caller stopped: %v", err)
	}
	if s := k.seen(p); s != nil {
		k.Fatalf("an account was made: %+v", *s)
	}
}

// storm changes its mind about people while everything goes wrong, and calls until what should be is so.
func storm(k *kit) {
	seed := uint64(time.Now().UnixNano())
	k.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	people := []connector.Person{k.person(), k.person(), k.person()}
	accounts := map[string]string{} // what the engine remembers: the id of a person's account
	for round := range 60 {
		p := people[random.IntN(len(people))]
		e := k.app.Entitlements[random.IntN(len(k.app.Entitlements))]
		in := random.IntN(3) > 0
		var fault string
		if random.IntN(2) == 0 {
			switch n := 1 + random.IntN(3); random.IntN(4) {
			case 0:
				fault = fmt.Sprintf("%d answers lost", n)
				k.app.Faults.LoseAnswers(n)
			case 1:
				fault = fmt.Sprintf("%d delivered twice", n)
				k.app.Faults.Duplicate(n)
			case 2:
				fault = fmt.Sprintf("%d throttled", n)
				k.app.Faults.Throttle(n, time.Second)
			case 3:
				fault = fmt.Sprintf("%d broken", n)
				k.app.Faults.Break(n)
			}
		}
		if random.IntN(6) == 0 {
			k.restart()
		}
		if s := k.seen(p); s != nil && random.IntN(10) == 0 {
			fault += ", account removed behind our back"
			k.must("remove the account behind our back", k.app.Destroy(k.context(), s.ID))
		}
		goal := func() error {
			id := accounts[p.UserID]
			switch {
			case in && id == "":
				a, err := k.c.EnsureAccount(k.context(), p, "")
				if err != nil {
					return err
				}
				accounts[p.UserID], id = a.ID, a.ID
				fallthrough
			case in:
				err := k.c.Add(k.context(), id, e)
				if connector.KindOf(err) == connector.NotFound {
					delete(accounts, p.UserID)
				}
				return err
			case id == "":
				return nil
			default:
				if err := k.c.Remove(k.context(), id, e); err != nil {
					return err
				}
				if err := k.c.RemoveAccount(k.context(), id, connector.Delete); err != nil {
					return err
				}
				delete(accounts, p.UserID)
				return nil
			}
		}
		for try := 1; ; try++ {
			err := goal()
			if err == nil {
				break
			}
			kind := connector.KindOf(err)
			if kind != connector.Retryable && kind != connector.NotFound || try > 20 {
				k.Fatalf("round %d, %s, try %d: %v (%v)", round, fault, try, err, kind)
			}
		}
		s := k.seen(p)
		switch {
		case !in:
			k.wantOut(p)
		case s == nil || !s.Active || !slices.Contains(s.Holds, e):
			k.Fatalf("round %d, %s: %s should hold %v, and the app has %+v", round, fault, p.UserName, e, s)
		}
	}
}
