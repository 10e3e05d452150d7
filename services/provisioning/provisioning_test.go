package provisioning_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/provisioning/migrations"
)

// B-ONB-03, B-PRV-01, B-PRV-02: from approval to access and back, through an
// integration, with every event delivered twice.
func TestAutomatic(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account, devs := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "devs")
	ann := w.user(t, "ann")

	r := w.request(ann, ask{join: true}, account, devs)
	ev := w.approve(t, r)
	grants := w.becomes(t, r, active)
	u := target.account(t, "ann")
	if u == nil || u.ExternalID != ann.GetId() || !target.member("devs", u.ID) {
		t.Fatalf("account %+v", u)
	}
	// The same event again, and the same fact as another event.
	w.PublishAgain(t, ev, w.org, uuid.MustParse(r.GetId()), &eventv1.ApprovalGranted{Request: r})
	w.approve(t, r)
	w.Handled(t, "provisioning")
	if got := w.becomes(t, r, active); len(got) != 2 {
		t.Errorf("%d grants", len(got))
	}
	for _, g := range grants {
		if n := said[*eventv1.GrantCreated](t, w, g.GetId()); n != 1 {
			t.Errorf("opened said %d times", n)
		}
		if n := said[*eventv1.GrantActivated](t, w, g.GetId()); n != 1 {
			t.Errorf("activated said %d times", n)
		}
	}
	created := servicetest.Wait(t, w.Harness, func(m *eventv1.AccountCreated) bool { return m.GetAccount().GetUser().GetUserId() == ann.GetId() })
	if created.GetAccount().GetUserName() != "ann" || created.GetAccount().GetExternalId() != u.ID {
		t.Errorf("account.created says %v", created.GetAccount())
	}
	if lists := w.lists(t, ann, false); len(lists) > 0 || len(w.itemsOf(t, ann)) > 0 {
		t.Errorf("an automatic app asks people for something: %v", lists)
	}
	l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{AppId: app.GetId()})
	if err != nil || len(l.GetAccounts()) != 1 || l.GetAccounts()[0].GetState() != provisioningv1.AccountState_ACCOUNT_STATE_ACTIVE {
		t.Errorf("accounts %v %v", l, err)
	}

	// A revoke takes one and leaves the other; the last takes the account.
	for i, e := range []*requestv1.Entitlement{devs, account} {
		rv := w.request(ann, ask{revoke: true}, e)
		w.approve(t, rv)
		w.approve(t, rv)
		done := servicetest.Wait(t, w.Harness, func(m *eventv1.RevocationCompleted) bool { return m.GetRequestId() == rv.GetId() })
		if done.GetItemId() != rv.GetItems()[0].GetId() || len(done.GetGrantIds()) != 1 {
			t.Errorf("revocation.completed says %v", done)
		}
		if still := target.account(t, "ann") != nil; still != (i == 0) || target.member("devs", u.ID) {
			t.Errorf("after revoke %d: account there %t, member %t", i, still, target.member("devs", u.ID))
		}
	}
	for _, g := range w.becomes(t, r, revoked) {
		if g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_REQUESTED || g.GetRevokeRequestId() == "" || g.GetRevokeTime() == nil {
			t.Errorf("grant %v", g)
		}
	}
	if posts, deletes := target.count("POST"), target.count("DELETE"); posts != 1 || deletes != 1 {
		t.Errorf("%d accounts made, %d removed", posts, deletes)
	}
}

// B-ONB-03, B-ONB-05, B-ONB-06, B-ONB-07, B-ONB-08: a joiner's manual apps.
func TestOnboarding(t *testing.T) {
	t.Parallel()
	w := start(t)
	var apps []*requestv1.App
	var account []*requestv1.Entitlement
	for i := range 3 {
		mode := manual
		if i == 2 {
			mode = shared
		}
		apps = append(apps, w.app(t, fmt.Sprintf("App %d", i), mode, ""))
		account = append(account, w.entitlement(t, apps[i], accountKind, "account"))
	}
	editors := w.entitlement(t, apps[0], groupKind, "=editors")
	bob := w.user(t, "bob")
	r := w.request(bob, ask{join: true}, account[0], account[1], account[2])
	w.approve(t, r)
	first := w.open(t, bob, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	// More is wanted before the account is there: the same item.
	more := w.give(t, bob, ask{join: true}, editors)
	servicetest.Eventually(t, "the item lists both", func() bool {
		return len(w.open(t, bob, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT).GetEntitlementNames()) == 2
	})
	second := w.open(t, bob, apps[1], provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)

	// The shared app asks for nothing and is in place.
	servicetest.Wait(t, w.Harness, func(m *eventv1.GrantActivated) bool { return m.GetGrant().GetAppId() == apps[2].GetId() })
	if n := len(w.itemsOf(t, bob)); n != 2 {
		t.Errorf("%d items", n)
	}
	lists := w.lists(t, bob, false)
	if len(lists) != 1 || lists[0].GetOpenCount() != 2 || lists[0].GetItemCount() != 2 || lists[0].GetUser().GetDisplayName() != "bob" {
		t.Fatalf("checklists %v", lists)
	}
	list, err := w.checklists.GetChecklist(t.Context(), &provisioningv1.GetChecklistRequest{Id: lists[0].GetId()})
	if err != nil || len(list.GetWorkItems()) != 2 || list.GetWorkItems()[0].GetId() != first.GetId() {
		t.Errorf("checklist %v %v", list, err)
	}

	for _, format := range []string{"", "csv", "xlsx"} {
		body, err := w.checklists.ExportChecklists(t.Context(), &provisioningv1.ExportChecklistsRequest{Format: format, Kind: provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING})
		if err != nil {
			t.Fatal(err)
		}
		data := string(body.GetData())
		if format == "xlsx" {
			if !strings.HasPrefix(data, "PK") || !strings.Contains(body.GetContentType(), "spreadsheetml") {
				t.Errorf("xlsx is %s", body.GetContentType())
			}
			continue
		}
		if !strings.HasPrefix(body.GetContentType(), "text/csv") || strings.Count(data, "\r\n") != 3 || !strings.Contains(data, "bob@example.com") ||
			!strings.Contains(data, "App 0") || !strings.Contains(data, "account, =editors") {
			t.Errorf("csv is %s:\n%s", body.GetContentType(), data)
		}
	}

	// Whoever is given them is written down, before.
	for _, format := range []string{"csv", "xlsx"} {
		ev := servicetest.Wait(t, w.Harness, func(ev *eventv1.ChecklistExported) bool { return ev.GetFormat() == format })
		if ev.GetContext().GetActor().GetId() != w.admin.UserID.String() || ev.GetItemCount() != 2 || ev.GetAddress() != "127.0.0.1" || ev.GetClosed() ||
			ev.GetKind() != provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING || ev.GetContext().GetUserId() != "" {
			t.Errorf("exported: %v", ev)
		}
	}

	// One of two: the person stays on the list.
	resolved := w.resolve(t, first)
	if len(resolved) != 1 || resolved[0].GetState() != provisioningv1.WorkItemState_WORK_ITEM_STATE_RESOLVED ||
		resolved[0].GetResolver().GetUserId() != w.admin.UserID.String() || resolved[0].GetNote() != "done by hand" || resolved[0].GetResolveTime() == nil {
		t.Errorf("resolved %v", resolved)
	}
	w.becomes(t, more, active)
	if lists := w.lists(t, bob, false); len(lists) != 1 || lists[0].GetOpenCount() != 1 {
		t.Errorf("checklists %v", lists)
	}
	w.resolve(t, second)
	w.becomes(t, r, active)
	if lists := w.lists(t, bob, false); len(lists) != 0 {
		t.Errorf("checklists %v", lists)
	}
	if lists := w.lists(t, bob, true); len(lists) != 1 || lists[0].GetCloseTime() == nil {
		t.Errorf("closed checklists %v", lists)
	}
	servicetest.Wait(t, w.Harness, func(m *eventv1.ChecklistClosed) bool { return m.GetChecklist().GetUser().GetUserId() == bob.GetId() })
	if n := len(servicetest.All[*eventv1.ChecklistOpened](w.Harness)); n != 1 {
		t.Errorf("checklist.opened said %d times", n)
	}

	// What is resolved cannot be resolved again, and then nothing of the rest is.
	ann := w.user(t, "ann")
	w.give(t, ann, ask{}, account[0])
	item := w.open(t, ann, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	if lists := w.lists(t, ann, false); len(lists) != 1 || lists[0].GetId() != item.GetChecklistId() ||
		lists[0].GetKind() != provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING {
		t.Errorf("an account to be made for a plain request stands on %v", lists)
	}
	_, err = w.checklists.ResolveWorkItems(t.Context(), &provisioningv1.ResolveWorkItemsRequest{WorkItemIds: []string{item.GetId(), first.GetId()}})
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_NOT_OPEN")
	w.open(t, ann, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	w.resolve(t, item)

	// To an account that is there, things are assigned and unassigned by hand.
	give := w.give(t, ann, ask{}, editors)
	w.resolve(t, w.open(t, ann, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN))
	w.becomes(t, give, active)
	w.give(t, ann, ask{revoke: true}, editors)
	w.resolve(t, w.open(t, ann, apps[0], provisioningv1.WorkItemKind_WORK_ITEM_KIND_UNASSIGN))
	w.becomes(t, give, revoked)
}

// B-ONB-09, B-ONB-12, B-ONB-13, B-ONB-15: somebody leaves in the middle, and
// comes back.
func TestLeaver(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	auto := w.app(t, "Automatic", automatic, w.integration(t, target))
	done, todo, secret := w.app(t, "Made", manual, ""), w.app(t, "Not made", manual, ""), w.app(t, "Shared", shared, "")
	var all []*requestv1.Entitlement
	for _, a := range []*requestv1.App{auto, done, todo, secret} {
		all = append(all, w.entitlement(t, a, accountKind, "account"))
	}
	eve := w.user(t, "eve")
	r := w.give(t, eve, ask{join: true}, all...)
	w.resolve(t, w.open(t, eve, done, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	w.open(t, eve, todo, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	servicetest.Eventually(t, "the automatic account is there", func() bool { return target.account(t, "eve") != nil })
	servicetest.Wait(t, w.Harness, func(m *eventv1.GrantActivated) bool { return m.GetGrant().GetAppId() == auto.GetId() })

	ev, m := w.leave(t, eve)
	servicetest.Eventually(t, "the automatic account is gone", func() bool { return target.account(t, "eve") == nil })
	w.PublishAgain(t, ev, w.org, uuid.MustParse(eve.GetId()), m)
	w.leave(t, eve)
	w.Handled(t, "provisioning")

	remove := w.open(t, eve, done, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT)
	change := w.open(t, eve, secret, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CHANGE_SECRET)
	dropped := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemCancelled) bool { return m.GetWorkItem().GetAppId() == todo.GetId() })
	if dropped.GetWorkItem().GetNote() != "the user has left" {
		t.Errorf("dropped because %q", dropped.GetWorkItem().GetNote())
	}
	if n := len(w.itemsOf(t, eve)); n != 4 {
		t.Errorf("%d items in all", n)
	}
	lists := w.lists(t, eve, false)
	if len(lists) != 1 || lists[0].GetKind() != provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING || lists[0].GetOpenCount() != 2 {
		t.Fatalf("checklists %v", lists)
	}
	// Still there until somebody says otherwise.
	l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{AppId: done.GetId()})
	if err != nil || len(l.GetAccounts()) != 1 || l.GetAccounts()[0].GetState() != provisioningv1.AccountState_ACCOUNT_STATE_ACTIVE {
		t.Errorf("accounts %v %v", l, err)
	}
	w.resolve(t, remove, change)
	for _, g := range w.becomes(t, r, revoked) {
		if g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED || said[*eventv1.GrantEnded](t, w, g.GetId()) != 1 || said[*eventv1.GrantRevoked](t, w, g.GetId()) != 1 {
			t.Errorf("grant %v", g)
		}
	}
	if lists := w.lists(t, eve, false); len(lists) != 0 {
		t.Errorf("checklists %v", lists)
	}

	// What is approved for somebody who has left is over at once.
	late := w.give(t, eve, ask{}, all[0])
	if g := w.becomes(t, late, revoked)[0]; g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED {
		t.Errorf("grant %v", g)
	}
	if target.count("POST") != 1 {
		t.Error("an account was made for somebody who has left")
	}

	// Back again: a fresh onboarding.
	eve.Version, eve.JoinCount = 9, 2
	w.Publish(t, w.org, uuid.MustParse(eve.GetId()), &eventv1.UserJoined{User: eve})
	again := w.give(t, eve, ask{join: true}, all[0], all[1])
	w.resolve(t, w.open(t, eve, done, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	w.becomes(t, again, active)
	if lists := w.lists(t, eve, true); len(lists) != 3 {
		t.Errorf("%d closed checklists", len(lists))
	}
}

// Events out of order: an approval before everything it is about, a removal
// before what it comes after.
func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := &requestv1.App{Id: id.New().String(), Name: "Late", Version: 2}
	ent := &requestv1.Entitlement{Id: id.New().String(), AppId: app.GetId(), Name: "account", Kind: accountKind, Version: 1}
	zoe := &identityv1.User{Id: id.New().String(), UserName: "zoe", DisplayName: "zoe", State: identityv1.UserState_USER_STATE_ACTIVE, Version: 1, JoinCount: 1}
	r := w.give(t, zoe, ask{}, ent)
	w.Publish(t, w.org, uuid.MustParse(ent.GetId()), &eventv1.EntitlementCreated{Entitlement: ent})
	w.Publish(t, w.org, uuid.MustParse(app.GetId()), &eventv1.AppUpdated{App: app})
	old := proto.CloneOf(app)
	old.Name, old.Version = "Early", 1
	w.Publish(t, w.org, uuid.MustParse(app.GetId()), &eventv1.AppCreated{App: old})
	w.Publish(t, w.org, uuid.MustParse(zoe.GetId()), &eventv1.UserJoined{User: zoe})
	w.resolve(t, w.open(t, zoe, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	if g := w.becomes(t, r, active)[0]; g.GetAppName() != "Late" {
		t.Errorf("grant of %s", g.GetAppName())
	}

	// Left and back, but the return is heard first: what was held before ends,
	// and what comes late changes nothing.
	back := proto.CloneOf(zoe)
	back.Version, back.JoinCount = 3, 2
	w.Publish(t, w.org, uuid.MustParse(zoe.GetId()), &eventv1.UserJoined{User: back})
	servicetest.Wait(t, w.Harness, func(m *eventv1.GrantEnded) bool { return m.GetGrant().GetRequestId() == r.GetId() })
	w.leave(t, zoe)
	again := w.give(t, back, ask{}, ent)
	w.becomes(t, again, active)
	w.becomes(t, r, revoked)
}

// B-ONB-11: there and back, losing nothing.
func TestModeChange(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	integration := w.integration(t, target)
	app := w.app(t, "Changing", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	kim, lee := w.user(t, "kim"), w.user(t, "lee")
	r := w.give(t, kim, ask{join: true}, account)
	w.open(t, kim, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)

	w.change(t, app, automatic, integration)
	w.becomes(t, r, active)
	if target.account(t, "kim") == nil {
		t.Error("no account")
	}
	if lists := w.lists(t, kim, false); len(lists) != 0 {
		t.Errorf("checklists %v", lists)
	}
	if items := w.itemsOf(t, kim); len(items) != 1 || items[0].GetState() != provisioningv1.WorkItemState_WORK_ITEM_STATE_CANCELLED || items[0].GetNote() == "" {
		t.Errorf("items %v", items)
	}

	// The app refuses; a person takes over by hand.
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusForbidden} })
	r = w.give(t, lee, ask{join: true}, account)
	w.open(t, lee, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	w.becomes(t, r, failed)
	w.change(t, app, manual, "")
	w.resolve(t, w.open(t, lee, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	w.becomes(t, r, active)
	if n := len(w.itemsOf(t, lee)); n != 2 {
		t.Errorf("%d items", n)
	}

	// An account made by hand is found by the integration when it is to go.
	target.misbehave(nil)
	target.mu.Lock()
	target.users["by-hand"] = &scimUser{ID: "by-hand", UserName: "lee", Active: true}
	target.mu.Unlock()
	w.change(t, app, automatic, integration)
	w.leave(t, lee)
	w.becomes(t, r, revoked)
	servicetest.Eventually(t, "the account is gone", func() bool { return target.account(t, "lee") == nil })
}

// B-PRV-03, B-REQ-02, B-PRV-10: an end time takes access away and warns before;
// another grant of the same keeps it; being down at that moment does not matter.
func TestEndTime(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	devs := w.entitlement(t, app, groupKind, "devs")
	ann, bob := w.user(t, "ann"), w.user(t, "bob")

	short := w.give(t, ann, ask{until: time.Now().Add(3 * time.Second)}, devs)
	w.becomes(t, short, active)
	ever := w.give(t, ann, ask{}, devs)
	w.becomes(t, ever, active)
	calls := target.count("")
	warned := servicetest.Wait(t, w.Harness, func(m *eventv1.GrantExpiring) bool { return m.GetGrant().GetRequestId() == short.GetId() })
	if warned.GetGrant().GetState() != active || warned.GetContext().GetUserId() != ann.GetId() {
		t.Errorf("grant.expiring says %v", warned)
	}
	if g := w.becomes(t, short, revoked)[0]; g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED || g.GetRevokeTime().AsTime().Before(g.GetUntil().AsTime()) {
		t.Errorf("grant %v", g)
	}
	u := target.account(t, "ann")
	if u == nil || !target.member("devs", u.ID) || target.count("") != calls {
		t.Error("the app was called although another grant gives the same")
	}

	// What has ended before it is approved is over at once.
	past := w.give(t, bob, ask{until: time.Now().Add(-time.Minute)}, devs)
	w.becomes(t, past, revoked)

	tmp := w.give(t, bob, ask{until: time.Now().Add(2 * time.Second)}, devs)
	w.becomes(t, tmp, active)
	w.kill()
	servicetest.Eventually(t, "its end comes while nobody runs", func() bool { return time.Now().After(tmp.GetUntil().AsTime()) })
	if target.account(t, "bob") == nil {
		t.Fatal("still running")
	}
	w.Replica(t)
	servicetest.Wait(t, w.Harness, func(m *eventv1.GrantRevoked) bool { return m.GetGrant().GetRequestId() == tmp.GetId() })
	if target.account(t, "bob") != nil {
		t.Error("still there after the end")
	}
}

// B-PRV-04, B-RUN-02: whatever the app does, there is one account.
func TestFailingApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	devs := w.entitlement(t, app, groupKind, "devs")

	// Throttled, broken, slow, and the answer lost each time something is done.
	var n atomic.Int32
	var throttled atomic.Int64
	target.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodGet {
			return nil
		}
		switch n.Add(1) {
		case 1:
			throttled.Store(time.Now().UnixNano())
			return &fault{status: http.StatusTooManyRequests, retryAfter: "1"}
		case 2:
			if waited := time.Since(time.Unix(0, throttled.Load())); waited < time.Second {
				t.Errorf("came back after %s", waited)
			}
			return &fault{status: http.StatusServiceUnavailable}
		case 3, 5:
			return &fault{lose: true}
		case 4:
			return &fault{before: func() { time.Sleep(1200 * time.Millisecond) }} // longer than the call may take
		}
		return nil
	})
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, devs)
	w.becomes(t, r, active)
	if u := target.account(t, "ann"); u == nil || !target.member("devs", u.ID) {
		t.Error("no account")
	}

	// Refused: a person is asked, mends it, and has it tried again.
	target.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodPost {
			return &fault{status: http.StatusForbidden}
		}
		return nil
	})
	bob := w.user(t, "bob")
	r = w.give(t, bob, ask{join: true}, devs)
	item := w.open(t, bob, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	if item.GetError() == "" || item.GetChecklistId() == "" || len(item.GetEntitlementNames()) != 1 || item.GetRequestIds()[0] != r.GetId() {
		t.Errorf("item %v", item)
	}
	if g := w.becomes(t, r, failed)[0]; g.GetError() == "" || said[*eventv1.GrantFailed](t, w, g.GetId()) != 1 {
		t.Errorf("grant %v", g)
	}
	// In vain.
	if _, err := w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: item.GetId()}); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "it was tried again", func() bool {
		return w.count(t, `select count(*) from operation where state = 'stuck' and tries = 8`) == 1
	})
	target.misbehave(nil)
	if _, err := w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: item.GetId()}); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, r, active)
	got, err := w.items.GetWorkItem(t.Context(), &provisioningv1.GetWorkItemRequest{Id: item.GetId()})
	if err != nil || got.GetWorkItem().GetState() != provisioningv1.WorkItemState_WORK_ITEM_STATE_RESOLVED || got.GetWorkItem().GetResolver().GetDisplayName() != "Gatehouse" {
		t.Errorf("item %v %v", got, err)
	}
	_, err = w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: item.GetId()})
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_NOT_RETRYABLE")
	if lists := w.lists(t, bob, false); len(lists) != 0 {
		t.Errorf("checklists %v", lists)
	}

	// The credentials stop working: stuck, until the integration works again.
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusUnauthorized} })
	cay := w.user(t, "cay")
	r = w.give(t, cay, ask{}, devs)
	w.becomes(t, r, failed)
	target.misbehave(nil)
	if _, err := w.integrations.TestIntegration(t.Context(), &provisioningv1.TestIntegrationRequest{Id: app.GetIntegrationId()}); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, r, active)
}

// B-PRV-11: what should be gone is tried for ever.
func TestRemovalNeverGivesUp(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, account)
	w.becomes(t, r, active)
	target.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodDelete {
			return &fault{status: http.StatusInternalServerError}
		}
		return nil
	})
	w.leave(t, ann)
	item := w.open(t, ann, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	if item.GetChecklistId() == "" || item.GetError() == "" {
		t.Errorf("item %v", item)
	}
	if g := w.becomes(t, r, revoking)[0]; g.GetError() == "" || said[*eventv1.GrantFailed](t, w, g.GetId()) != 1 {
		t.Errorf("grant %v", g)
	}
	if m := w.metrics(t); !strings.Contains(m, "gatehouse_provisioning_revocation_debt{") && !strings.Contains(m, "gatehouse_provisioning_revocation_debt ") {
		t.Errorf("no metric of what should be gone:\n%s", m)
	}
	target.misbehave(nil)
	w.becomes(t, r, revoked) // nobody has asked
	if target.account(t, "ann") != nil {
		t.Error("still there")
	}
}

// B-RUN-02: replicas come and go while lives are lived; nothing is lost and
// nothing happens twice.
func TestReplicas(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	devs := w.entitlement(t, app, groupKind, "devs")
	const lives = 60
	var users []*identityv1.User
	var requests []*requestv1.Request
	_, _, stop := w.StoppableReplica(t)
	for i := range lives {
		u := w.user(t, fmt.Sprintf("user%02d", i))
		users = append(users, u)
		requests = append(requests, w.give(t, u, ask{}, devs))
		switch i {
		case lives / 3:
			stop()
		case lives / 2:
			w.Replica(t)
		}
	}
	for i, r := range requests {
		g := w.becomes(t, r, active)[0]
		if a := target.account(t, users[i].GetUserName()); a == nil || !target.member("devs", a.ID) {
			t.Errorf("%s has no access", users[i].GetUserName())
		}
		servicetest.Wait(t, w.Harness, func(m *eventv1.GrantActivated) bool { return m.GetGrant().GetId() == g.GetId() })
	}
	if n := len(servicetest.All[*eventv1.GrantActivated](w.Harness)); n != lives {
		t.Errorf("activated said %d times", n)
	}
	if n := target.count("POST"); n != lives {
		t.Errorf("%d accounts made", n)
	}
	// Whoever held an operation has died: another takes over.
	hold := make(chan struct{})
	var once atomic.Bool
	target.misbehave(func(r *http.Request) *fault {
		if r.Method == http.MethodPost && once.CompareAndSwap(false, true) {
			return &fault{before: func() { <-hold }}
		}
		return nil
	})
	zed := w.user(t, "zed")
	r := w.give(t, zed, ask{}, devs)
	servicetest.Eventually(t, "the call is under way", once.Load)
	w.steal(t)
	w.becomes(t, r, active)
	close(hold)
	if target.account(t, "zed") == nil {
		t.Error("no account")
	}
}

// B-PRV-10: many grants of the same thing at the same moment, in two replicas:
// the app is called for the first, and after the last.
func TestOverlap(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Replica(t)
	target := newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account, devs := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "devs")
	ann := w.user(t, "ann")
	base := w.give(t, ann, ask{}, account)
	w.becomes(t, base, active)
	var all []*requestv1.Request
	for range 20 {
		all = append(all, w.give(t, ann, ask{}, devs))
	}
	for _, r := range all {
		w.becomes(t, r, active)
	}
	if n := target.count("PATCH /Groups"); n != 1 {
		t.Errorf("added %d times", n)
	}
	// One request takes all of it back, at once and once.
	back := w.give(t, ann, ask{revoke: true}, devs)
	done := servicetest.Wait(t, w.Harness, func(m *eventv1.RevocationCompleted) bool { return m.GetRequestId() == back.GetId() })
	if len(done.GetGrantIds()) != len(all) {
		t.Errorf("revocation of %d grants", len(done.GetGrantIds()))
	}
	for _, r := range all {
		w.becomes(t, r, revoked)
	}
	if n := target.count("PATCH /Groups"); n != 2 {
		t.Errorf("group changed %d times", n)
	}
	if u := target.account(t, "ann"); u == nil || target.member("devs", u.ID) {
		t.Error("the account went with the group, or the group stayed")
	}
	// Nothing to take: done at once.
	again := w.give(t, ann, ask{revoke: true}, devs)
	servicetest.Wait(t, w.Harness, func(m *eventv1.RevocationCompleted) bool { return m.GetRequestId() == again.GetId() })
	w.becomes(t, base, active)
}

// B-PRV-01, B-PRV-10: approvals that come all at once, two of them for the same
// assignment, one of them taken back at once, and one whose person has not arrived:
// it waits, and nobody waits for it.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account, devs := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "devs")
	var users []*identityv1.User
	for i := range 30 {
		users = append(users, w.user(t, fmt.Sprintf("user%02d", i)))
	}
	w.Handled(t, "provisioning")
	late := &identityv1.User{Id: id.New().String(), UserName: "late", DisplayName: "late", State: identityv1.UserState_USER_STATE_ACTIVE, Version: 1, JoinCount: 1}
	var all []*requestv1.Request
	var waits, taken *requestv1.Request
	for i, u := range users {
		all = append(all, w.give(t, u, ask{}, account, devs))
		switch i {
		case 5:
			waits = w.give(t, late, ask{}, devs)
		case 10:
			all = append(all, w.give(t, u, ask{}, devs))
		case 15:
			taken = w.give(t, late, ask{}, account)
			w.give(t, late, ask{revoke: true}, account)
		}
	}
	for _, r := range all {
		w.becomes(t, r, active)
	}
	w.Publish(t, w.org, uuid.MustParse(late.GetId()), &eventv1.UserJoined{User: late})
	w.becomes(t, waits, active)
	servicetest.Eventually(t, "the other is there", func() bool {
		l, err := w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{RequestId: taken.GetId()})
		return err == nil && len(l.GetGrants()) == 1 &&
			(l.GetGrants()[0].GetState() == active || l.GetGrants()[0].GetState() == revoked) // in which order they came is open
	})
	// The late one's is made twice if it was given and taken before the other
	// approval came again.
	if n := target.count("POST"); n < len(users)+1 || n > len(users)+2 {
		t.Errorf("%d accounts made", n)
	}
	for _, r := range all {
		for _, g := range w.becomes(t, r, active) {
			if opened, activated := said[*eventv1.GrantCreated](t, w, g.GetId()), said[*eventv1.GrantActivated](t, w, g.GetId()); opened != 1 || activated != 1 {
				t.Errorf("opened said %d times, activated %d times", opened, activated)
			}
		}
	}
}

// Every table keeps organizations apart.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	pgtest.CheckRowSecurity(t, pgtest.Open(t, backend.Schema(migrations.FS, migrations.Included()...)...))
}

// TestEverything lets requests, revokes, end times, leavers and changes of how
// the app is handled come in any order, some of them twice, to two replicas of
// which one is stopped and started, while the app loses answers and breaks. In
// the end the app has exactly what the live grants say.
// B-PRV-04, B-PRV-10, B-PRV-11, B-ONB-09, B-ONB-11, B-RUN-02
func TestEverything(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))

	w := start(t)
	target := newApp(t, "devs", "ops")
	integration := w.integration(t, target)
	app := w.app(t, "Automatic", automatic, integration)
	ents := []*requestv1.Entitlement{
		w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "devs"), w.entitlement(t, app, groupKind, "ops"),
	}
	var users []*identityv1.User
	for i := range 12 {
		users = append(users, w.user(t, fmt.Sprintf("user%02d", i)))
	}
	var faults atomic.Uint64
	target.misbehave(func(*http.Request) *fault {
		switch n := faults.Add(1) * 2654435761 >> 7 % 20; n {
		case 0:
			return &fault{status: http.StatusBadGateway}
		case 1, 2:
			return &fault{lose: true}
		}
		return nil
	})
	_, _, stop := w.StoppableReplica(t)
	left := map[int]bool{}
	for step := range 150 {
		i := dice.IntN(len(users))
		e := ents[dice.IntN(len(ents))]
		switch n := dice.IntN(100); {
		case n < 55:
			how := ask{join: n%2 == 0}
			if n < 10 {
				how.until = time.Now().Add(time.Duration(dice.IntN(1500)) * time.Millisecond)
			}
			r := w.request(users[i], how, e)
			for range 1 + dice.IntN(2) {
				w.approve(t, r)
			}
		case n < 85:
			w.give(t, users[i], ask{revoke: true}, e)
		case n < 90 && !left[i]:
			left[i] = true
			w.leave(t, users[i])
		case n < 95:
			w.change(t, app, manual, "")
		default:
			w.change(t, app, automatic, integration)
		}
		switch step {
		case 50:
			stop()
		case 100:
			w.Replica(t)
		}
	}
	w.change(t, app, automatic, integration)
	target.misbehave(nil)
	w.Handled(t, "provisioning")
	// Every end time has come too: nothing moves any more while it is looked at.
	servicetest.Eventually(t, "everything has come right", func() bool {
		_, err := w.integrations.TestIntegration(t.Context(), &provisioningv1.TestIntegrationRequest{Id: integration})
		return err == nil &&
			w.count(t, `select count(*) from operation where state in ('queued', 'running', 'stuck')`) == 0 &&
			w.count(t, `select count(*) from access_grant where state not in ('active', 'revoked')`) == 0 &&
			w.count(t, `select count(*) from due`) == 0 &&
			w.count(t, `select count(*) from revocation where not done`) == 0
	})
	if n := w.count(t, `select count(*) from work_item where state = 'open'`); n != 0 {
		t.Errorf("%d work items left", n)
	}
	if n := w.count(t, `select count(*) from checklist where close_time is null`); n != 0 {
		t.Errorf("%d checklists left", n)
	}
	for i, u := range users {
		l, err := w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{UserId: u.GetId(), State: active, PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for _, g := range l.GetGrants() {
			want[g.GetEntitlementName()] = true
		}
		if left[i] && len(want) > 0 {
			t.Errorf("%s has left and holds %v", u.GetUserName(), want)
		}
		account := target.account(t, u.GetUserName())
		if (account != nil) != (len(want) > 0) {
			t.Errorf("%s: grants of %v, account %v", u.GetUserName(), want, account)
			continue
		}
		for _, e := range ents[1:] {
			if account != nil && target.member(e.GetName(), account.ID) != want[e.GetName()] {
				t.Errorf("%s: grants of %v, in group %s %t", u.GetUserName(), want, e.GetName(), !want[e.GetName()])
			}
		}
	}
}

// An export that cannot be written down is not given.
func TestExportIsRefusedIfItCannotBeWrittenDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	conn, err := pgx.Connect(t.Context(), pgtest.Admin(t, w.Config.Postgres.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, broken := range []bool{true, false} {
		sql := "alter table outbox drop constraint broken"
		if broken {
			sql = "alter table outbox add constraint broken check (false) not valid"
		}
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		body, err := w.checklists.ExportChecklists(t.Context(), &provisioningv1.ExportChecklistsRequest{})
		if broken != (err != nil) || broken && len(body.GetData()) > 0 {
			t.Errorf("broken %t: %v, %d bytes", broken, err, len(body.GetData()))
		}
	}
}
