package provisioning_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning"
	"gatehouse.dev/services/provisioning/migrations"
)

// reportsTo gives a person another manager, or none, and returns the event and its id.
func (w *world) reportsTo(t testing.TB, u, boss *identityv1.User) (uuid.UUID, *eventv1.UserUpdated) {
	t.Helper()
	u.Version++
	u.ManagerId = boss.GetId()
	ev := &eventv1.UserUpdated{User: proto.CloneOf(u), ChangedFields: []string{"manager_id"}}
	return w.Publish(t, w.org, uuid.MustParse(u.GetId()), ev), ev
}

// names waits until a person's account names that of another, or nobody.
func names(t *testing.T, a *scimApp, userName, boss string) {
	t.Helper()
	want := ""
	if boss != "" {
		want = a.account(t, boss).ID
	}
	servicetest.Eventually(t, "the account of "+userName+" names "+boss, func() bool {
		u := a.account(t, userName)
		return u != nil && u.Enterprise.Manager.Value == want
	})
}

// staff is an app that keeps managers, with people who have accounts in it.
type staff struct {
	*world
	target  *scimApp
	app     *requestv1.App
	account *requestv1.Entitlement
}

func newStaff(t *testing.T, w *world) *staff {
	t.Helper()
	s := &staff{world: w, target: newApp(t)}
	s.target.keeps = "managers"
	s.app = w.app(t, "Directory", automatic, w.integration(t, s.target))
	s.account = w.entitlement(t, s.app, accountKind, "account")
	return s
}

// join makes a person with an account, who reports to somebody.
func (s *staff) join(t *testing.T, name string, boss *identityv1.User) (*identityv1.User, *requestv1.Request) {
	t.Helper()
	u := s.user(t, name)
	if boss != nil {
		s.reportsTo(t, u, boss)
	}
	r := s.give(t, u, ask{}, s.account)
	s.becomes(t, r, active)
	return u, r
}

// B-PRV-01, in part: an account names the manager's own account in the same app, and each
// change is told once: another manager, none, and the same again calls no app. A circle of
// managers harms nobody.
func TestChangedManager(t *testing.T) {
	t.Parallel()
	s := newStaff(t, start(t))
	ann, _ := s.join(t, "ann", nil)
	bob, _ := s.join(t, "bob", nil)
	jo, given := s.join(t, "jo", ann)
	names(t, s.target, "jo", "ann")
	s.settled(t)
	before := s.target.count("")

	id, ev := s.reportsTo(t, jo, bob)
	names(t, s.target, "jo", "bob")
	s.PublishAgain(t, id, s.org, uuid.MustParse(jo.GetId()), ev)
	s.becomesNamed(t, jo, "jo", "") // nothing has changed
	s.settled(t)
	if n := s.target.count("") - before; n != 1 {
		t.Errorf("%d changes, want 1", n)
	}
	// Whoever changes nothing but the manager changes nothing else.
	s.becomesNamed(t, jo, "jo", "Lead")
	says(t, s.target, "jo", "Lead")
	names(t, s.target, "jo", "bob")

	s.reportsTo(t, bob, jo)
	names(t, s.target, "bob", "jo")
	s.reportsTo(t, jo, nil)
	names(t, s.target, "jo", "")
	s.settled(t)
	s.becomes(t, given, active)
	if n := len(s.itemsOf(t, jo)) + len(s.itemsOf(t, bob)); n != 0 {
		t.Errorf("%d work items", n)
	}
	if s.target.count("POST") != 3 {
		t.Error("an account was made")
	}
}

// B-PRV-01, in part: whose manager has no account yet is told of it once there is one, and
// once there is none any more; each account by itself.
func TestManagersAccountComesAndGoes(t *testing.T) {
	t.Parallel()
	s := newStaff(t, start(t))
	ann, left := s.user(t, "ann"), s.user(t, "left")
	var reports []*identityv1.User
	for i := range 5 {
		u, _ := s.join(t, fmt.Sprintf("jo%d", i), ann)
		reports = append(reports, u)
	}
	gone, _ := s.join(t, "gone", ann)
	s.leave(t, gone)
	s.join(t, "other", left)
	s.settled(t)
	if s.target.count("PATCH") != 0 {
		t.Error("somebody names a manager who has no account")
	}

	r := s.give(t, ann, ask{}, s.account)
	s.becomes(t, r, active)
	for i := range reports {
		names(t, s.target, fmt.Sprintf("jo%d", i), "ann")
	}
	s.settled(t)
	if n := s.target.count("PATCH"); n != len(reports) {
		t.Errorf("%d accounts were told, want %d", n, len(reports))
	}

	// The manager loses the account, and gets another.
	s.end(t, ann, s.account)
	s.becomes(t, r, revoked)
	names(t, s.target, "jo0", "")
	names(t, s.target, "jo4", "")
	r = s.give(t, ann, ask{}, s.account)
	s.becomes(t, r, active)
	names(t, s.target, "jo0", "ann")

	// The app disables the accounts of those who leave: nobody names them any more.
	s.set(t, s.app, func(a *requestv1.App) {
		a.DeprovisioningAction = requestv1.DeprovisioningAction_DEPROVISIONING_ACTION_DISABLE
	})
	s.settled(t)
	s.suspend(t, ann)
	servicetest.Eventually(t, "it is disabled", func() bool { return !s.target.account(t, "ann").Active })
	s.settled(t)
	names(t, s.target, "jo1", "ann") // they may come back
	s.leave(t, ann)
	for i := range reports {
		names(t, s.target, fmt.Sprintf("jo%d", i), "")
	}
}

// What Gatehouse has not written it does not clear: an account that was there before names
// whom it did until the person gets another manager.
func TestManagerOfAdoptedAccount(t *testing.T) {
	t.Parallel()
	s := newStaff(t, start(t))
	ann, _ := s.join(t, "ann", nil)
	bob, _ := s.join(t, "bob", nil)
	s.target.mu.Lock()
	s.target.users["theirs"] = &scimUser{ID: "theirs", UserName: "jo", Active: true}
	s.target.users["theirs"].Enterprise.Manager.Value = "of the app"
	s.target.mu.Unlock()
	jo := s.user(t, "jo")
	s.reportsTo(t, jo, ann)
	r := s.give(t, jo, ask{}, s.account)
	s.resolve(t, s.open(t, jo, s.app, adoptAccount))
	s.becomes(t, r, active)
	asFound := func(when string) {
		t.Helper()
		s.settled(t)
		if m := s.target.account(t, "jo").Enterprise.Manager.Value; m != "of the app" {
			t.Errorf("%s it names %q", when, m)
		}
	}
	asFound("adopted,")
	s.becomesNamed(t, jo, "jo", "Lead")
	says(t, s.target, "jo", "Lead")
	asFound("with another title")
	s.reportsTo(t, jo, nil)
	asFound("without a manager")
	s.reportsTo(t, jo, bob)
	names(t, s.target, "jo", "bob")

	// Somebody has changed by hand what Gatehouse wrote: it is theirs to clear.
	s.settled(t)
	s.target.mu.Lock()
	s.target.users["theirs"].Enterprise.Manager.Value = "of the app"
	s.target.mu.Unlock()
	s.leave(t, bob)
	asFound("without bob")
}

// An app that keeps no managers is told of none, and of everything else; so is one that
// does not say, and refuses them.
func TestManagerInAppsWithoutManagers(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, tt := range []struct {
		name, keeps string
		refuses     bool
		told        int // accounts that it is tried with
	}{{"none", "none", false, 0}, {"unsaid", "", true, 1}} {
		s := newStaff(t, w)
		s.target.mu.Lock()
		s.target.keeps, s.target.refuses = tt.keeps, tt.refuses
		s.target.mu.Unlock()
		ann, _ := s.join(t, "ann-"+tt.name, nil)
		jo, given := s.join(t, "jo-"+tt.name, ann)
		w.settled(t)
		before := s.target.count("")
		w.becomesNamed(t, jo, "jo.new-"+tt.name, "Lead")
		says(t, s.target, "jo.new-"+tt.name, "Lead")
		w.reportsTo(t, jo, nil)
		w.settled(t)
		w.reportsTo(t, jo, ann)
		w.settled(t)
		if n := s.target.count("") - before; n != 1 {
			t.Errorf("%s: %d changes, want that of the name", tt.name, n)
		}
		if m := s.target.account(t, "jo.new-"+tt.name).Enterprise.Manager.Value; m != "" {
			t.Errorf("%s: names %q", tt.name, m)
		}
		w.becomes(t, given, active)
		if n := len(w.itemsOf(t, jo)); n != 0 {
			t.Errorf("%s: %d work items", tt.name, n)
		}
	}
}

// B-PRV-04, in part: an app that says that it keeps managers and refuses one shows that to
// a person; what else is to be written is written, and nobody loses access.
func TestManagerRefused(t *testing.T) {
	t.Parallel()
	s := newStaff(t, start(t))
	ann, _ := s.join(t, "ann", nil)
	jo, given := s.join(t, "jo", nil)
	s.target.mu.Lock()
	s.target.refuses = true
	s.target.mu.Unlock()
	s.reportsTo(t, jo, ann)
	item := s.open(t, jo, s.app, fixOperation)
	if !strings.Contains(item.GetError(), "set the manager") {
		t.Errorf("the item says %q", item.GetError())
	}
	s.becomesNamed(t, jo, "jo.new", "Lead")
	says(t, s.target, "jo.new", "Lead")
	s.becomes(t, given, active)
	s.reportsTo(t, jo, nil)
	servicetest.Wait(t, s.Harness, func(m *eventv1.WorkItemCancelled) bool { return m.GetWorkItem().GetId() == item.GetId() })
	s.becomes(t, given, active)
}

// An account that moves to another place names nobody from the old one.
func TestManagerAfterMove(t *testing.T) {
	t.Parallel()
	s := newStaff(t, start(t))
	ann, _ := s.join(t, "ann", nil)
	_, given := s.join(t, "jo", ann)
	names(t, s.target, "jo", "ann")
	s.settled(t)
	next := newApp(t)
	next.keeps, next.next = "managers", 100
	if err := s.retarget(t, s.app.GetIntegrationId(), next, true); err != nil {
		t.Fatal(err)
	}
	// An account is looked up again when there is something to do about it.
	s.set(t, s.app, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ADOPT })
	servicetest.Eventually(t, "both are at the new place", func() bool { return next.account(t, "ann") != nil && next.account(t, "jo") != nil })
	names(t, next, "jo", "ann")
	s.becomes(t, given, active)
}

// Somebody whose manager changed while the manager's account was being written is looked at
// again some time after: nothing is missed.
func TestManagerIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	s := newStaff(t, startAt(t, now))
	ann, _ := s.join(t, "ann", nil)
	jo, _ := s.join(t, "jo", nil) // known before there is a manager, or it would be no change
	s.reportsTo(t, jo, ann)
	names(t, s.target, "jo", "ann")
	s.settled(t)
	if n := s.count(t, `select count(*) from due where kind = 'manager_changed'`); n != 1 {
		t.Fatalf("%d are looked at again, want 1", n)
	}
	// As if the other transaction had seen nothing of jo.
	s.exec(t, `update account set manager = null where user_id = '`+jo.GetId()+`'`)
	s.target.mu.Lock()
	s.target.users[s.target.idOf("jo")].Enterprise.Manager.Value = ""
	s.target.mu.Unlock()
	now.Advance(2 * provisioning.DefaultLease)
	names(t, s.target, "jo", "ann")
}

// comes has everything come that is due at a later time.
func (w *world) comes(t *testing.T) {
	t.Helper()
	w.exec(t, `update due set due_time = now(), try_time = now() where due_time > now()`)
}

// Accounts from before Gatehouse wrote managers name theirs within a day, those that were
// adopted not; nobody else's app is called.
func TestManagersOfBefore(t *testing.T) {
	t.Parallel()
	s := newStaff(t, start(t))
	ann, _ := s.join(t, "ann", nil)
	s.target.put("theirs", "old")
	s.join(t, "jo", ann)
	names(t, s.target, "jo", "ann")
	s.set(t, s.app, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ADOPT })
	s.join(t, "old", ann)
	s.comes(t)
	servicetest.Eventually(t, "nothing is looked at again", func() bool { return s.count(t, `select count(*) from due`) == 0 })
	s.settled(t)

	data, err := fs.ReadFile(migrations.FS, "00014_account_manager.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, fill, _ := strings.Cut(string(data), "update account")
	adopted, rest, ok := strings.Cut("update account"+fill, ";")
	_, spread, also := strings.Cut(rest, "insert into due")
	if !ok || !also {
		t.Fatal("the migration fills in nothing")
	}
	s.target.mu.Lock()
	s.target.users[s.target.idOf("jo")].Enterprise.Manager.Value = ""
	s.target.mu.Unlock()
	before := s.target.count("")
	err = s.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for _, sql := range []string{`update account set manager = null`, adopted, "insert into due" + spread} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.count(t, `select count(*) from due where kind = 'reconcile_account' and due_time <= now() + interval '1 day'`); n != 1 {
		t.Errorf("%d accounts are looked at within a day, want that of jo", n)
	}
	s.comes(t)
	names(t, s.target, "jo", "ann")
	s.settled(t)
	if n := s.target.count("") - before; n != 1 {
		t.Errorf("%d changes, want 1", n)
	}
	if m := s.target.account(t, "old").Enterprise.Manager.Value; m != "" {
		t.Errorf("an account that was there before names %q", m)
	}
}
