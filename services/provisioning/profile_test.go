package provisioning_test

import (
	"context"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/migrations"
)

// becomesNamed changes a person's user name and title, and returns the event and its id.
func (w *world) becomesNamed(t testing.TB, u *identityv1.User, userName, title string) (uuid.UUID, *eventv1.UserUpdated) {
	t.Helper()
	u.Version++
	u.UserName, u.Title = userName, title
	ev := &eventv1.UserUpdated{User: proto.CloneOf(u), ChangedFields: []string{"user_name", "title"}}
	return w.Publish(t, w.org, uuid.MustParse(u.GetId()), ev), ev
}

// says waits until the account of an app says who its person is.
func says(t *testing.T, a *scimApp, userName, title string) {
	t.Helper()
	servicetest.Eventually(t, "the account of "+userName+", "+title, func() bool {
		u := a.account(t, userName)
		return u != nil && u.Title == title
	})
}

// settled waits until nothing is left to be done for anybody.
func (w *world) settled(t *testing.T) {
	t.Helper()
	w.Handled(t, "provisioning")
	servicetest.Eventually(t, "no work is left", func() bool {
		return w.count(t, `select (select count(*) from due where kind = 'reconcile_account') + (select count(*) from operation where state in ('queued', 'running'))`) == 0
	})
}

// memberOf makes a person with an account in an app that an integration reaches, and a group.
func (w *world) memberOf(t *testing.T, name string, targets ...*scimApp) (u *identityv1.User, apps []*requestv1.App, given []*requestv1.Request) {
	t.Helper()
	u = w.user(t, name)
	for _, target := range targets {
		a := w.app(t, "App of "+target.URL, automatic, w.integration(t, target))
		r := w.give(t, u, ask{}, w.entitlement(t, a, accountKind, "account"), w.entitlement(t, a, groupKind, "devs"))
		w.becomes(t, r, active)
		apps, given = append(apps, a), append(given, r)
	}
	return u, apps, given
}

// B-PRV-01, in part: what accounts say of their person follows a change, in each app that
// has one, once, and what people hold stays. What does not count, and what was delivered
// before, calls no app; apps that are handled by hand are nobody's work.
func TestChangedProfile(t *testing.T) {
	t.Parallel()
	w := start(t)
	one, two := newApp(t, "devs"), newApp(t, "devs")
	jo, _, given := w.memberOf(t, "jo", one, two)
	byHand := w.app(t, "By hand", manual, "")
	r := w.give(t, jo, ask{}, w.entitlement(t, byHand, accountKind, "account"))
	w.resolve(t, w.open(t, jo, byHand, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	w.becomes(t, r, active)
	changes := func() int { return one.count("") + two.count("") }
	w.settled(t)
	before, items := changes(), len(w.itemsOf(t, jo))

	// A role in Gatehouse is none of the apps' business.
	jo.Version++
	jo.Role = identityv1.Role_ROLE_IT_ADMIN
	w.Publish(t, w.org, uuid.MustParse(jo.GetId()), &eventv1.UserUpdated{User: proto.CloneOf(jo), ChangedFields: []string{"role"}})
	w.settled(t)
	if changes() != before {
		t.Errorf("apps were changed %d times for what they do not hold", changes()-before)
	}

	ids := []string{one.account(t, "jo").ID, two.account(t, "jo").ID}
	id, ev := w.becomesNamed(t, jo, "jo.new", "Lead")
	for i, target := range []*scimApp{one, two} {
		says(t, target, "jo.new", "Lead")
		u := target.account(t, "jo.new")
		if u.ID != ids[i] || u.ExternalID != jo.GetId() || !u.Active || !target.member("devs", u.ID) || target.account(t, "jo") != nil {
			t.Errorf("account %+v", u)
		}
	}
	w.PublishAgain(t, id, w.org, uuid.MustParse(jo.GetId()), ev)
	w.settled(t)
	if n := changes() - before; n != 2 {
		t.Errorf("apps were changed %d times, want 2", n)
	}
	for _, g := range append(given, r) {
		w.becomes(t, g, active)
	}
	if n := len(w.itemsOf(t, jo)); n != items {
		t.Errorf("%d work items, before %d", n, items)
	}
	l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{UserId: jo.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, a := range l.GetAccounts() {
		if a.GetUserName() == "jo.new" {
			named++
		}
	}
	if named != 2 {
		t.Errorf("accounts %v", l.GetAccounts())
	}
}

// B-PRV-04, B-PRV-01, in part: an app that is away is told when it is back, whatever has
// changed meanwhile: the last profile wins.
func TestChangedProfileAway(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	jo, _, given := w.memberOf(t, "jo", target)
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusServiceUnavailable} })
	w.becomesNamed(t, jo, "jo.second", "Second")
	w.becomesNamed(t, jo, "jo.third", "Third")
	w.Handled(t, "provisioning")
	target.misbehave(nil)
	servicetest.Eventually(t, "the account says the last", func() bool {
		if u := target.account(t, "jo.third"); u != nil {
			return u.Title == "Third"
		}
		// It may have been tried so often meanwhile that a person is asked.
		l, err := w.items.ListWorkItems(t.Context(), &provisioningv1.ListWorkItemsRequest{UserId: jo.GetId(), Kind: provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range l.GetWorkItems() {
			_, _ = w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: i.GetId()}) // or it is done already
		}
		return false
	})
	w.becomes(t, given[0], active)
	if target.count("POST") != 1 {
		t.Error("an account was made")
	}
}

// What changes while it is being written is written after that.
func TestChangedProfileMeanwhile(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	jo, _, _ := w.memberOf(t, "jo", target)
	reached, goOn := make(chan struct{}), make(chan struct{})
	target.misbehave(func(r *http.Request) *fault {
		if r.Method != http.MethodPatch {
			return nil
		}
		target.misbehave(nil)
		return &fault{before: func() {
			close(reached)
			select {
			case <-goOn:
			case <-time.After(500 * time.Millisecond): // before the call is given up
			}
		}}
	})
	w.becomesNamed(t, jo, "jo.second", "Second")
	select {
	case <-reached:
	case <-time.After(20 * time.Second):
		t.Fatal("the app is not called")
	}
	w.becomesNamed(t, jo, "jo.third", "Third")
	w.Handled(t, "provisioning")
	close(goOn)
	says(t, target, "jo.third", "Third")
	w.settled(t)
	says(t, target, "jo.third", "Third")
}

// B-PRV-04, in part: a user name that is taken is shown, takes no access away, and keeps
// nothing from being given; another name, or the old one, makes it right.
func TestChangedProfileTaken(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs", "ops")
	jo, apps, given := w.memberOf(t, "jo", target)
	target.mu.Lock()
	target.users["other"] = &scimUser{ID: "other", UserName: "taken", Active: true}
	target.mu.Unlock()

	w.becomesNamed(t, jo, "taken", "Lead")
	item := w.open(t, jo, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	if !strings.Contains(item.GetError(), "taken") {
		t.Errorf("the item says %q", item.GetError())
	}
	w.becomes(t, given[0], active)
	w.becomes(t, w.give(t, jo, ask{}, w.entitlement(t, apps[0], groupKind, "ops")), active)
	if u := target.account(t, "jo"); u == nil || !target.member("devs", u.ID) || !target.member("ops", u.ID) {
		t.Errorf("account %+v", u)
	}

	w.becomesNamed(t, jo, "free", "Lead")
	says(t, target, "free", "Lead")
	servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemResolved) bool { return m.GetWorkItem().GetId() == item.GetId() })

	w.becomesNamed(t, jo, "taken", "Lead")
	item = w.open(t, jo, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	w.becomesNamed(t, jo, "free", "Lead")
	dropped := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemCancelled) bool { return m.GetWorkItem().GetId() == item.GetId() })
	if dropped.GetWorkItem().GetNote() != "the account has the person's profile" {
		t.Errorf("dropped because %q", dropped.GetWorkItem().GetNote())
	}
	w.becomes(t, given[0], active)
}

// The account of somebody who is not active is told nothing, and is what it should be
// once they are back; that of somebody who has left is not made again.
func TestChangedProfileSuspended(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	jo, apps, given := w.memberOf(t, "jo", target)
	apps[0].Version++
	apps[0].DeprovisioningAction = requestv1.DeprovisioningAction_DEPROVISIONING_ACTION_DISABLE
	w.Publish(t, w.org, uuid.MustParse(apps[0].GetId()), &eventv1.AppUpdated{App: proto.CloneOf(apps[0])})
	w.settled(t)
	w.suspend(t, jo)
	w.becomes(t, given[0], held)
	servicetest.Eventually(t, "it is disabled", func() bool { return !target.account(t, "jo").Active })
	w.settled(t)
	before := target.count("")
	w.becomesNamed(t, jo, "jo.new", "Lead")
	w.settled(t)
	if target.count("") != before || target.account(t, "jo").Active {
		t.Error("the account of somebody who is not active was changed")
	}
	w.resume(t, jo)
	w.becomes(t, given[0], active)
	says(t, target, "jo.new", "Lead")
	if !target.account(t, "jo.new").Active || target.count("POST") != 1 {
		t.Error("not the same account, active")
	}

	w.leave(t, jo)
	w.becomes(t, given[0], revoked)
	w.settled(t)
	before = target.count("")
	jo.Version++ // the version of the removal
	jo.State = identityv1.UserState_USER_STATE_REMOVED
	w.becomesNamed(t, jo, "jo.left", "Left")
	w.settled(t)
	if target.count("") != before {
		t.Error("the account of somebody who has left was changed")
	}
}

// An account that was there before is taken as it is, and told what changes afterwards.
func TestChangedProfileAdopted(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	target.users["theirs"] = &scimUser{ID: "theirs", UserName: "jo", Title: "As found", Active: true}
	a := w.app(t, "Adopts", automatic, w.integration(t, target))
	jo := w.user(t, "jo")
	r := w.give(t, jo, ask{}, w.entitlement(t, a, accountKind, "account"))
	w.resolve(t, w.open(t, jo, a, provisioningv1.WorkItemKind_WORK_ITEM_KIND_ADOPT_ACCOUNT))
	w.becomes(t, r, active)
	w.settled(t)
	if u := target.account(t, "jo"); u.Title != "As found" {
		t.Errorf("written at once: %+v", u)
	}
	w.becomesNamed(t, jo, "jo.new", "Lead")
	says(t, target, "jo.new", "Lead")
	if u := target.account(t, "jo.new"); u.ID != "theirs" {
		t.Errorf("account %+v", u)
	}
}

// What was not heard is written again: the answer of the call, and of the one that made
// the account.
func TestChangedProfileLost(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	jo, _, given := w.memberOf(t, "jo", target)
	loseNext := func(method string) {
		target.misbehave(func(r *http.Request) *fault {
			if r.Method != method {
				return nil
			}
			target.misbehave(nil)
			return &fault{lose: true}
		})
	}
	loseNext(http.MethodPatch)
	w.becomesNamed(t, jo, "jo.new", "Lead")
	says(t, target, "jo.new", "Lead")
	w.settled(t)
	w.becomes(t, given[0], active)

	// Gone behind our back: it is made again with what is true now, and nothing else.
	target.mu.Lock()
	clear(target.users)
	target.mu.Unlock()
	w.becomesNamed(t, jo, "jo.third", "Third")
	says(t, target, "jo.third", "Third")
	w.settled(t)
	if target.count("POST") != 2 {
		t.Errorf("made %d times", target.count("POST"))
	}
}

// B-PRV-04, in part: while an app takes no profiles, what people are to be given is given
// all the same, and what they hold stays; a person has it tried again.
func TestChangedProfileBroken(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs", "ops")
	jo, apps, given := w.memberOf(t, "jo", target)
	target.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodPatch && strings.HasPrefix(r.URL.Path, "/Users/") {
			return &fault{status: http.StatusInternalServerError}
		}
		return nil
	})
	w.becomesNamed(t, jo, "jo.new", "Lead")
	ops := w.give(t, jo, ask{}, w.entitlement(t, apps[0], groupKind, "ops"))
	for _, r := range append(given, ops) {
		w.becomes(t, r, active)
	}
	item := w.open(t, jo, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	for _, r := range append(given, ops) {
		w.becomes(t, r, active)
	}
	for _, m := range servicetest.All[*eventv1.GrantFailed](w.Harness) {
		t.Errorf("a grant failed: %v", m.GetGrant())
	}
	target.misbehave(nil)
	if _, err := w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: item.GetId()}); err != nil {
		t.Fatal(err)
	}
	says(t, target, "jo.new", "Lead")
	servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemResolved) bool { return m.GetWorkItem().GetId() == item.GetId() })
}

// Accounts from before fingerprints were kept have those that the service itself makes.
func TestProfilesOfBefore(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	jo, _, _ := w.memberOf(t, "jo", target)
	w.becomesNamed(t, jo, "zoë", "Señora")
	says(t, target, "zoë", "Señora")
	w.settled(t)
	data, err := fs.ReadFile(migrations.FS, "00011_account_profile.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, fill, ok := strings.Cut(string(data), "update account")
	if !ok {
		t.Fatal("the migration fills in nothing")
	}
	var was, is *string
	err = w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if err := tx.QueryRow(ctx, `select profile from account`).Scan(&was); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update account set profile = null`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "update account"+fill); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `select profile from account`).Scan(&is)
	})
	if err != nil || was == nil || is == nil || *was != *is {
		t.Errorf("filled in %v, the service made %v: %v", is, was, err)
	}
}
