package provisioning_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	fixOperation      = provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION
	adoptAccount      = provisioningv1.WorkItemKind_WORK_ITEM_KIND_ADOPT_ACCOUNT
	removeAccount     = provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT
	removeLeftAccount = provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_LEFT_ACCOUNT
)

// set changes settings of an app.
func (w *world) set(t testing.TB, a *requestv1.App, change func(*requestv1.App)) {
	t.Helper()
	change(a)
	a.Version++
	w.Publish(t, w.org, uuid.MustParse(a.GetId()), &eventv1.AppUpdated{App: proto.CloneOf(a)})
}

// put makes an account behind Gatehouse's back, in groups.
func (a *scimApp) put(id, userName string, groups ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[id] = &scimUser{ID: id, UserName: userName, Active: true}
	for _, g := range groups {
		a.groups[g][id] = true
	}
}

// take removes an account behind Gatehouse's back.
func (a *scimApp) take(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.users, id)
}

// end has a revoke request approved.
func (w *world) end(t testing.TB, u *identityv1.User, what ...*requestv1.Entitlement) {
	t.Helper()
	w.give(t, u, ask{revoke: true}, what...)
}

// accountOf is what is known of a person's account in an app.
func (w *world) accountOf(t testing.TB, u *identityv1.User, a *requestv1.App) *provisioningv1.Account {
	t.Helper()
	l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{UserId: u.GetId(), AppId: a.GetId()})
	if err != nil || len(l.GetAccounts()) != 1 {
		t.Fatalf("accounts %v, %v", l.GetAccounts(), err)
	}
	return l.GetAccounts()[0]
}

// B-PRV-09, B-PRV-10, B-ONB-15: an account that was there before is shown before it is
// used, loses what it was given and nothing else, and goes with its owner alone, by a
// person where the app does not say how; what that person says is looked at.
func TestAdoptedAccount(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs", "owners")
	target.put("old-1", "boss", "owners")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account, devs, owners := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "devs"), w.entitlement(t, app, groupKind, "owners")
	boss := w.user(t, "boss")
	r := w.give(t, boss, ask{}, account, devs, owners)
	item := w.open(t, boss, app, adoptAccount)
	if e := item.GetError(); !strings.Contains(e, "old-1") || !strings.Contains(e, "boss") || !strings.Contains(e, "retry") {
		t.Errorf("the item says %q", e)
	}
	w.becomes(t, r, pending)
	if n := target.count(""); n != 0 {
		t.Errorf("%d changes before anybody has said whose it is", n)
	}
	if _, err := w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: item.GetId()}); err != nil {
		t.Fatal(err)
	}
	servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemCancelled) bool { return m.GetWorkItem().GetId() == item.GetId() })
	w.resolve(t, w.open(t, boss, app, adoptAccount))
	w.becomes(t, r, active)
	if !target.member("devs", "old-1") || !w.accountOf(t, boss, app).GetAdopted() {
		t.Errorf("the account is %v", w.accountOf(t, boss, app))
	}

	w.end(t, boss, account, devs, owners)
	w.becomes(t, r, revoked)
	if u := target.account(t, "boss"); u == nil || !u.Active || target.member("devs", "old-1") || !target.member("owners", "old-1") {
		t.Errorf("the account is %v, in devs %t, in owners %t", u, target.member("devs", "old-1"), target.member("owners", "old-1"))
	}
	again := w.give(t, boss, ask{}, devs)
	w.becomes(t, again, active)

	w.leave(t, boss)
	item = w.open(t, boss, app, removeAccount)
	if lists := w.lists(t, boss, false); len(lists) != 1 || lists[0].GetId() != item.GetChecklistId() {
		t.Errorf("checklists %v", lists)
	}
	if u := target.account(t, "boss"); u == nil || !u.Active {
		t.Error("nobody has said what becomes of the account")
	}
	w.resolve(t, item) // in vain
	servicetest.Eventually(t, "it is on the list again", func() bool {
		return w.count(t, `select count(*) from work_item where kind = 'remove_account' and state = 'open' and id <> '`+item.GetId()+`'`) == 1
	})
	target.take("old-1")
	w.resolve(t, w.open(t, boss, app, removeAccount))
	w.becomes(t, again, revoked)
	servicetest.Eventually(t, "nothing is left to do", func() bool { return len(w.lists(t, boss, false)) == 0 })
}

// B-PRV-09: what is done about an account that is there, and about one of a leaver, is
// the app's to say.
func TestAdoptionSettings(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	target.put("old-1", "ann")
	target.put("old-2", "ben")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	devs := w.entitlement(t, app, groupKind, "devs")
	w.set(t, app, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_REFUSE })
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	r := w.give(t, ann, ask{}, devs)
	if g := w.becomes(t, r, failed)[0]; !strings.Contains(g.GetError(), "old-1") {
		t.Errorf("grant %v", g)
	}
	if n := target.count(""); n != 0 {
		t.Errorf("%d changes of an account that is not to be used", n)
	}
	w.end(t, ann, devs)
	w.becomes(t, r, revoked)
	if target.account(t, "ann") == nil {
		t.Error("an account that was refused is gone")
	}

	w.set(t, app, func(a *requestv1.App) {
		a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ADOPT
		a.DeprovisioningAction = requestv1.DeprovisioningAction_DEPROVISIONING_ACTION_DISABLE
	})
	r = w.give(t, ben, ask{}, devs)
	w.becomes(t, r, active)
	w.end(t, ben, devs)
	w.becomes(t, r, revoked)
	if u := target.account(t, "ben"); u == nil || !u.Active || target.member("devs", "old-2") {
		t.Errorf("the account is %v", u)
	}
	w.leave(t, ben)
	servicetest.Eventually(t, "the leaver's account is disabled", func() bool { u := target.account(t, "ben"); return u != nil && !u.Active })
}

// retarget points an integration at another app.
func (w *world) retarget(t testing.TB, integration string, to *scimApp, leave bool) error {
	t.Helper()
	_, err := w.integrations.UpdateIntegration(t.Context(), &provisioningv1.UpdateIntegrationRequest{
		Integration:   &provisioningv1.Integration{Id: integration, Scim: &provisioningv1.ScimSettings{BaseUrl: to.URL, Token: scimToken}},
		UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"scim"}},
		LeaveAccounts: leave,
	})
	return err
}

// B-PRV-13, B-PRV-11, B-ONB-15: an id of one tenant is never used in another. What stands
// in the old one is shown until a person has removed it, and what it gave is not gone.
func TestMovedIntegration(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*testing.T, *world, *requestv1.App, *scimApp){
		"another address": func(t *testing.T, w *world, app *requestv1.App, to *scimApp) {
			wantReason(t, w.retarget(t, app.GetIntegrationId(), to, false), "FailedPrecondition", "ACCOUNTS_LEFT_BEHIND", "leave_accounts")
			if err := w.retarget(t, app.GetIntegrationId(), to, true); err != nil {
				t.Fatal(err)
			}
		},
		"another integration": func(t *testing.T, w *world, app *requestv1.App, to *scimApp) {
			w.change(t, app, automatic, w.integration(t, to))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			from, to := newApp(t, "devs"), newApp(t, "devs")
			app := w.app(t, "Automatic", automatic, w.integration(t, from))
			account, devs := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "devs")
			ann, bob := w.user(t, "ann"), w.user(t, "bob")
			stays, goes := w.give(t, ann, ask{}, account, devs), w.give(t, bob, ask{}, account)
			w.becomes(t, stays, active)
			w.becomes(t, goes, active)
			// The same ids are other people's there.
			for _, name := range []string{"ann", "bob"} {
				to.put(from.account(t, name).ID, "stranger of "+name)
			}
			to.mu.Lock()
			to.next = 100
			to.mu.Unlock()
			old := from.account(t, "ann").ID

			w.leave(t, bob)
			w.becomes(t, goes, revoked)
			move(t, w, app, to)
			item := w.open(t, ann, app, removeLeftAccount)
			if e := item.GetError(); !strings.Contains(e, old) || !strings.Contains(e, from.URL) || !strings.Contains(e, "ann") {
				t.Errorf("the item says %q", e)
			}
			servicetest.Eventually(t, "the account is there too", func() bool { u := to.account(t, "ann"); return u != nil && to.member("devs", u.ID) })
			w.becomes(t, stays, active)
			if left := w.accountOf(t, ann, app).GetLeftBehind(); len(left) != 1 || left[0].GetExternalId() != old || left[0].GetBaseUrl() != from.URL {
				t.Errorf("left behind: %v", left)
			}

			w.end(t, ann, account, devs)
			servicetest.Eventually(t, "the new account is gone", func() bool { return to.account(t, "ann") == nil })
			w.becomes(t, stays, revoking)
			w.resolve(t, item)
			w.becomes(t, stays, revoked)
			for _, name := range []string{"ann", "bob"} {
				if u := to.account(t, "stranger of "+name); u == nil || !u.Active || to.member("devs", u.ID) {
					t.Errorf("a stranger's account is %v", u)
				}
			}
			if from.account(t, "ann") == nil {
				t.Error("the old app was called")
			}
		})
	}
}

// B-PRV-13, B-ONB-15, in part: who has removed the account that an item shows has not
// removed one that was left behind after they looked at it.
func TestMovedTwice(t *testing.T) {
	t.Parallel()
	w := start(t)
	first, second, third := newApp(t), newApp(t), newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, first))
	account := w.entitlement(t, app, accountKind, "account")
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, account)
	w.becomes(t, r, active)
	move := func(to *scimApp, left int) {
		t.Helper()
		if err := w.retarget(t, app.GetIntegrationId(), to, true); err != nil {
			t.Fatal(err)
		}
		servicetest.Eventually(t, "the account is there too", func() bool {
			return to.account(t, "ann") != nil && len(w.accountOf(t, ann, app).GetLeftBehind()) == left
		})
		w.becomes(t, r, active)
	}
	shows := func(i *provisioningv1.WorkItem, places ...*scimApp) {
		t.Helper()
		for _, place := range []*scimApp{first, second, third} {
			if strings.Contains(i.GetError(), place.URL) != slices.Contains(places, place) {
				t.Errorf("the item says %q", i.GetError())
			}
		}
	}
	move(second, 1)
	item := w.open(t, ann, app, removeLeftAccount)
	move(third, 2)
	shows(w.open(t, ann, app, removeLeftAccount), first)
	w.end(t, ann, account)
	servicetest.Eventually(t, "the account is gone", func() bool { return third.account(t, "ann") == nil })

	w.resolve(t, item)
	other := w.open(t, ann, app, removeLeftAccount)
	shows(other, second)
	if left := w.accountOf(t, ann, app).GetLeftBehind(); len(left) != 1 || left[0].GetBaseUrl() != second.URL {
		t.Errorf("left behind: %v", left)
	}
	w.becomes(t, r, revoking)

	// That was a mistake: both are to be removed.
	servicetest.Eventually(t, "it is reopened", func() bool { // the integration may be at work still
		_, err := w.tryReopen(t, item)
		return err == nil
	})
	both := w.open(t, ann, app, removeLeftAccount)
	shows(both, first, second)
	if both.GetReopenedItemId() != item.GetId() || both.GetId() == other.GetId() {
		t.Errorf("reopened: %v", both)
	}
	w.resolve(t, both)
	w.becomes(t, r, revoked)
}

// B-PRV-13: another integration that leads to the same tenant is not a move, and neither
// is a detour.
func TestSameTenant(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, elsewhere := newApp(t, "devs"), newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, account)
	w.becomes(t, r, active)

	w.change(t, app, automatic, w.integration(t, target))
	servicetest.Eventually(t, "the account was looked up", func() bool {
		return w.count(t, `select count(*) from account a join app_copy p on p.id = a.app_id join integration i on i.id = p.integration_id
			where a.tenant_id = i.tenant_id and a.state = 'active' and not a.account_in_doubt and a.left_behind is null
			and i.id = '`+app.GetIntegrationId()+`'`) == 1
	})
	if n := target.count("POST"); n != 1 {
		t.Errorf("%d accounts made", n)
	}

	if err := w.retarget(t, app.GetIntegrationId(), elsewhere, true); err != nil {
		t.Fatal(err)
	}
	item := w.open(t, ann, app, removeLeftAccount)
	if err := w.retarget(t, app.GetIntegrationId(), target, true); err != nil {
		t.Fatal(err)
	}
	// Now it is the other one that is left behind.
	servicetest.Eventually(t, "the account was found again", func() bool {
		i, err := w.items.GetWorkItem(t.Context(), &provisioningv1.GetWorkItemRequest{Id: item.GetId()})
		return err == nil && i.GetWorkItem().GetState() == provisioningv1.WorkItemState_WORK_ITEM_STATE_CANCELLED
	})
	if e := w.open(t, ann, app, removeLeftAccount).GetError(); !strings.Contains(e, elsewhere.URL) || strings.Contains(e, target.URL) {
		t.Errorf("the item says %q", e)
	}
	w.becomes(t, r, active)
}

// B-PRV-13: what an account that was there before was given is taken away again, also
// when the app has got another integration with the same place meanwhile.
func TestAdoptedAccountInSameTenant(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs", "owners")
	target.put("old-1", "ann", "owners")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	w.set(t, app, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ADOPT })
	devs, owners := w.entitlement(t, app, groupKind, "devs"), w.entitlement(t, app, groupKind, "owners")
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, devs, owners)
	w.becomes(t, r, active)
	w.change(t, app, automatic, w.integration(t, target))
	servicetest.Eventually(t, "the account was looked up", func() bool {
		return w.count(t, `select count(*) from account a join app_copy p on p.id = a.app_id join integration i on i.id = p.integration_id
			where a.tenant_id = i.tenant_id and a.state = 'active' and not a.account_in_doubt and cardinality(a.held) = 2
			and i.id = '`+app.GetIntegrationId()+`'`) == 1
	})
	w.end(t, ann, devs, owners)
	w.becomes(t, r, revoked)
	if u := target.account(t, "ann"); u == nil || !u.Active || target.member("devs", "old-1") || !target.member("owners", "old-1") {
		t.Errorf("the account is %v, in devs %t, in owners %t", u, target.member("devs", "old-1"), target.member("owners", "old-1"))
	}
}

// B-PRV-13: before accounts are moved it is shown what is found at the other place.
func TestPreviewAccounts(t *testing.T) {
	t.Parallel()
	w := start(t)
	from, to := newApp(t), newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, from))
	account := w.entitlement(t, app, accountKind, "account")
	want := map[string]provisioningv1.AccountFound{
		"ann": provisioningv1.AccountFound_ACCOUNT_FOUND_OURS, "ben": provisioningv1.AccountFound_ACCOUNT_FOUND_BY_USER_NAME,
		"cay": provisioningv1.AccountFound_ACCOUNT_FOUND_OF_ANOTHER, "dan": provisioningv1.AccountFound_ACCOUNT_FOUND_NONE,
		"eve": provisioningv1.AccountFound_ACCOUNT_FOUND_UNKNOWN,
	}
	ids := map[string]string{}
	for name := range want {
		u := w.user(t, name)
		ids[name] = u.GetId()
		w.becomes(t, w.give(t, u, ask{}, account), active)
		if name != "dan" {
			to.put("there-"+name, name)
		}
	}
	to.mu.Lock()
	to.users["there-ann"].ExternalID, to.users["there-cay"].ExternalID = ids["ann"], w.user(t, "fay").GetId()
	to.mu.Unlock()
	to.misbehave(func(r *http.Request) *fault {
		if strings.Contains(r.URL.Query().Get("filter"), ids["eve"]) {
			return &fault{status: http.StatusInternalServerError}
		}
		return nil
	})
	request := &provisioningv1.PreviewAccountsRequest{AppId: app.GetId(), PageSize: 3, Scim: &provisioningv1.ScimSettings{BaseUrl: to.URL, Token: scimToken}}
	got := map[string]provisioningv1.AccountFound{}
	for pages := 1; ; pages++ {
		r, err := w.integrations.PreviewAccounts(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range r.GetAccounts() {
			got[a.GetAccount().GetUser().GetDisplayName()] = a.GetFound()
			if (a.GetFoundExternalId() != "") != (a.GetFound() == want["ann"] || a.GetFound() == want["ben"]) {
				t.Errorf("found %v", a)
			}
		}
		if request.PageToken = r.GetNextPageToken(); request.GetPageToken() == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	if n := to.count(""); n != 0 {
		t.Errorf("%d changes", n)
	}

	request.Scim, request.IntegrationId = nil, app.GetIntegrationId()
	if r, err := w.integrations.PreviewAccounts(t.Context(), request); err != nil || r.GetAccounts()[0].GetFound() != want["ann"] {
		t.Errorf("with the integration itself: %v, %v", r, err)
	}
	request.IntegrationId = ""
	_, err := w.integrations.PreviewAccounts(t.Context(), request)
	wantReason(t, err, "InvalidArgument", "TARGET_REQUIRED", "integration_id")
	request.IntegrationId, request.AppId = app.GetIntegrationId(), uuid.NewString()
	_, err = w.integrations.PreviewAccounts(t.Context(), request)
	wantReason(t, err, "InvalidArgument", "APP_NOT_FOUND", "app_id")
}

// B-PRV-11, B-ONB-11: a removal never makes an account, and does not take another's for
// the one that was made by hand.
func TestRemovalMakesNothing(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	integration := w.integration(t, target)
	app := w.app(t, "Changing", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	none, others := w.give(t, ann, ask{}, account), w.give(t, ben, ask{}, account)
	for _, u := range []*identityv1.User{ann, ben} {
		w.resolve(t, w.open(t, u, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	}
	w.becomes(t, none, active)
	w.becomes(t, others, active)
	target.put("colleague", "ben")
	target.mu.Lock()
	target.users["colleague"].ExternalID = w.user(t, "carl").GetId()
	target.mu.Unlock()
	w.leave(t, ann)
	w.leave(t, ben)
	w.change(t, app, automatic, integration)
	w.becomes(t, none, revoked)
	item := w.open(t, ben, app, fixOperation)
	if !strings.Contains(item.GetError(), "another person") || strings.Contains(item.GetError(), "clear") {
		t.Errorf("the item says %q", item.GetError())
	}
	w.becomes(t, others, revoking)
	if n := target.count(""); n != 0 || target.account(t, "ben") == nil {
		t.Errorf("%d changes", n)
	}
}

// B-PRV-11: that a person has removed an account is looked at, also when the app cannot
// be asked at once.
func TestResolvedRemovalIsLookedAt(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	still, done := w.give(t, ann, ask{}, account), w.give(t, ben, ask{}, account)
	w.becomes(t, still, active)
	w.becomes(t, done, active)
	target.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodDelete {
			return &fault{status: http.StatusForbidden}
		}
		return nil
	})
	w.leave(t, ann)
	w.leave(t, ben)
	first := w.open(t, ann, app, fixOperation)
	w.open(t, ben, app, fixOperation)
	target.take(target.account(t, "ben").ID)
	w.resolve(t, first)
	w.becomes(t, done, revoked) // it is looked at, now and then too: removing is still refused
	servicetest.Eventually(t, "what is still there is on the list again", func() bool {
		return w.count(t, `select count(*) from work_item where kind = 'fix_operation' and state = 'open' and id <> '`+first.GetId()+`'`) == 1
	})
	w.becomes(t, still, revoking)
	target.misbehave(nil)
	w.becomes(t, still, revoked)
	if target.account(t, "ann") != nil {
		t.Error("still there")
	}
}

// B-PRV-13, B-RUN-02: an account that was being made when its replica died, and its integration
// led elsewhere before somebody took over, may stand where it was being made: that is shown
// until a person has looked.
func TestMovedWhileMaking(t *testing.T) {
	t.Parallel()
	w := start(t)
	from, to := newApp(t), newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, from))
	account := w.entitlement(t, app, accountKind, "account")
	hold := make(chan struct{})
	defer close(hold)
	var under atomic.Bool
	from.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodPost {
			under.Store(true)
			return &fault{before: func() { <-hold }}
		}
		return nil
	})
	ann := w.user(t, "ann")
	made := w.give(t, ann, ask{}, account)
	servicetest.Eventually(t, "the call is under way", under.Load)
	wantReason(t, w.retarget(t, app.GetIntegrationId(), to, false), "FailedPrecondition", "ACCOUNTS_LEFT_BEHIND", "leave_accounts")
	if err := w.retarget(t, app.GetIntegrationId(), to, true); err != nil {
		t.Fatal(err)
	}
	w.steal(t)
	w.becomes(t, made, active)
	if e := w.open(t, ann, app, removeLeftAccount).GetError(); !strings.Contains(e, from.URL) || !strings.Contains(e, "ann") {
		t.Errorf("the item says %q", e)
	}
}

// Where it is not known whose an account is that stands in the way of a removal, what a
// person says is the last word: the list of a leaver ends, and nobody else's account is
// touched. So it is of an account that was found, and that nobody had said anything about
// when its person left. B-PRV-11, B-ONB-07, B-ONB-12
func TestWhoseAccountIsNotKnown(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	ann, ben := w.user(t, "ann"), w.user(t, "ben")
	target.byHand("other of ben", "ben")
	found := w.give(t, ben, ask{}, account)
	w.open(t, ben, app, adoptAccount)
	target.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodPost {
			return &fault{status: http.StatusServiceUnavailable}
		}
		return nil
	})
	lost := w.give(t, ann, ask{}, account)
	w.open(t, ann, app, fixOperation)
	target.byHand("other of ann", "ann")
	for u, r := range map[*identityv1.User]*requestv1.Request{ann: lost, ben: found} {
		w.leave(t, u)
		var item *provisioningv1.WorkItem
		servicetest.Eventually(t, "a person is asked", func() bool {
			item = w.open(t, u, app, fixOperation)
			return strings.Contains(item.GetError(), "other of "+u.GetUserName()) && strings.Contains(item.GetError(), "in either case")
		})
		w.becomes(t, r, revoking)
		if lists := w.lists(t, u, false); len(lists) != 1 {
			t.Errorf("%s is on %d lists", u.GetUserName(), len(lists))
		}
		w.resolve(t, item)
		w.becomes(t, r, revoked)
		if lists := w.lists(t, u, false); len(lists) != 0 || !target.account(t, u.GetUserName()).Active {
			t.Errorf("%s is still on %d lists", u.GetUserName(), len(lists))
		}
	}
}

// One group that the app fails at holds up no other, to be given or taken. B-PRV-15,
// B-PRV-11, in part
func TestOneGroupFails(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "one", "two")
	a := w.app(t, "Automatic", automatic, w.integration(t, target))
	account, one, two := w.entitlement(t, a, accountKind, "account"), w.entitlement(t, a, groupKind, "one"), w.entitlement(t, a, groupKind, "two")
	if one.GetId() > two.GetId() { // as they are in a plan
		one, two = two, one
	}
	jo, mo := w.user(t, "jo"), w.user(t, "mo")
	broken, fine := w.give(t, jo, ask{}, one), w.give(t, jo, ask{}, two)
	w.becomes(t, w.give(t, mo, ask{}, account), active)
	w.becomes(t, w.give(t, jo, ask{}, account), active)
	w.becomes(t, broken, active)
	w.becomes(t, fine, active)
	target.misbehave(func(r *http.Request) *fault {
		if strings.HasPrefix(r.URL.Path, "/Groups/"+one.GetRef()) {
			return &fault{status: http.StatusInternalServerError}
		}
		return nil
	})
	w.give(t, jo, ask{revoke: true}, one, two)
	w.becomes(t, fine, revoked)
	w.becomes(t, broken, revoking)
	broken, fine = w.give(t, mo, ask{}, one), w.give(t, mo, ask{}, two)
	w.becomes(t, fine, active)
	w.becomes(t, broken, failed)
}

// An account that an app had, and that was not taken, is of no interest once the person has
// one: nobody is asked about it, and nothing waits for that. B-ONB-11, B-PRV-11, in part
func TestFoundAndMade(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	integration := w.integration(t, target)
	a := w.app(t, "Both", manual, integration)
	account, devs := w.entitlement(t, a, accountKind, "account"), w.entitlement(t, a, groupKind, "devs")
	w.set(t, a, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_REFUSE })
	w.Handled(t, "provisioning")
	target.byHand("other", "jo")
	jo := w.user(t, "jo")
	made := w.give(t, jo, ask{}, account, devs)
	servicetest.Eventually(t, "the item says which account there is", func() bool {
		return strings.Contains(w.open(t, jo, a, createAccount).GetError(), "jo (id other)")
	})
	w.change(t, a, automatic, integration)
	w.becomes(t, made, failed)
	target.drop("other")
	target.byHand("other", "jolene")
	if _, err := w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: w.open(t, jo, a, fixOperation).GetId()}); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, made, active)
	w.set(t, a, func(a *requestv1.App) { a.AccountAdoption = requestv1.AccountAdoption_ACCOUNT_ADOPTION_ASK })
	w.Handled(t, "provisioning")
	w.give(t, jo, ask{revoke: true}, devs)
	servicetest.Eventually(t, "the group is taken away", func() bool { return !target.member("devs", target.account(t, "jo").ID) })
	if n := w.count(t, `select count(*) from work_item where state = 'open'`); n != 0 {
		t.Errorf("%d items are open: %v", n, w.itemsOf(t, jo))
	}
}

// What people gave an adopted account, and have not said, before an integration makes the
// changes, is taken away again when the access ends. B-ONB-11, B-PRV-11, in part
func TestGivenBeforeAutomatic(t *testing.T) {
	t.Parallel()
	for _, looks := range []bool{false, true} {
		w := start(t)
		target := newApp(t, "devs")
		integration := w.integration(t, target)
		a := w.app(t, "Both", automatic, integration)
		account, devs := w.entitlement(t, a, accountKind, "account"), w.entitlement(t, a, groupKind, "devs")
		jo, id := w.adopted(t, target, a, account, "jo")
		if looks {
			w.change(t, a, manual, integration)
		} else {
			w.change(t, a, manual, "")
		}
		member := w.give(t, jo, ask{}, devs)
		w.open(t, jo, a, assign)
		if looks {
			target.watched(t, 2)
			target.unreachable()
		}
		target.join("devs", id)
		w.change(t, a, automatic, integration)
		w.Handled(t, "provisioning")
		target.misbehave(nil)
		w.becomes(t, member, active)
		w.give(t, jo, ask{revoke: true}, devs)
		w.becomes(t, member, revoked)
		if target.member("devs", id) {
			t.Errorf("looks %t: the access is still there", looks)
		}
	}
}

// An account that is found while its person leaves is asked about as one that was found
// before. B-ONB-12, B-ONB-05, in part
func TestFoundWhileLeaving(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	target.byHand("perhaps", "ann")
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	target.misbehave(func(r *http.Request) *fault {
		return &fault{before: func() {
			asked <- struct{}{}
			select {
			case <-answer:
			case <-r.Context().Done():
			}
		}}
	})
	ann := w.user(t, "ann")
	made := w.give(t, ann, ask{}, account)
	<-asked
	w.leave(t, ann)
	w.becomes(t, made, revoking)
	close(answer)
	target.misbehave(nil)
	item := w.open(t, ann, app, fixOperation)
	if e := item.GetError(); !strings.Contains(e, "perhaps") || !strings.Contains(e, "in either case") {
		t.Errorf("the item says %q", e)
	}
	w.resolve(t, item)
	w.becomes(t, made, revoked)
}
