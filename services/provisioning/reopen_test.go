package provisioning_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

// The kinds of items that are reopened here.
const (
	createAccount = provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT
	assign        = provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN
	unassign      = provisioningv1.WorkItemKind_WORK_ITEM_KIND_UNASSIGN
	changeSecret  = provisioningv1.WorkItemKind_WORK_ITEM_KIND_CHANGE_SECRET
)

func (w *world) reopen(t testing.TB, items ...*provisioningv1.WorkItem) []*provisioningv1.WorkItem {
	t.Helper()
	got, err := w.tryReopen(t, items...)
	if err != nil {
		t.Fatal(err)
	}
	return got.GetWorkItems()
}

func (w *world) tryReopen(t testing.TB, items ...*provisioningv1.WorkItem) (*provisioningv1.ReopenWorkItemsResponse, error) {
	t.Helper()
	r := &provisioningv1.ReopenWorkItemsRequest{Reason: "by mistake"}
	for _, i := range items {
		r.WorkItemIds = append(r.WorkItemIds, i.GetId())
	}
	return w.checklists.ReopenWorkItems(t.Context(), r)
}

// movedOn wants an item not to be reopened, because of what has changed.
func (w *world) movedOn(t *testing.T, item *provisioningv1.WorkItem, why string) {
	t.Helper()
	_, err := w.tryReopen(t, item)
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_MOVED_ON")
	if want := "work item " + item.GetId() + " cannot be reopened: " + why; status.Convert(err).Message() != want {
		t.Errorf("refused with %q, want %q", status.Convert(err).Message(), want)
	}
}

// B-ONB-19, B-ONB-05, B-ONB-07: an item that was resolved by mistake is reopened, with a
// reason. It stays as it was; a new one names it, and the person is on the list again.
func TestReopen(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := w.app(t, "By hand", manual, "")
	account, editors := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "=editors")
	bob := w.user(t, "bob")
	first := w.give(t, bob, ask{join: true}, account)
	item := w.open(t, bob, app, createAccount)
	w.resolve(t, item)
	w.becomes(t, first, active)
	second := w.give(t, bob, ask{}, account) // in place at once, as the account is there
	w.becomes(t, second, active)
	resolved := w.itemsOf(t, bob)[0]
	if len(w.lists(t, bob, false)) != 0 {
		t.Fatal("still on the list")
	}

	again := w.reopen(t, item)
	if len(again) != 1 || again[0].GetReopenedItemId() != item.GetId() || again[0].GetReopenReason() != "by mistake" || again[0].GetId() == item.GetId() ||
		again[0].GetKind() != createAccount || again[0].GetState() != provisioningv1.WorkItemState_WORK_ITEM_STATE_OPEN || again[0].GetChecklistId() != item.GetChecklistId() {
		t.Fatalf("reopened by %v", again)
	}
	for _, i := range w.itemsOf(t, bob) {
		if i.GetId() == item.GetId() && !proto.Equal(i, resolved) {
			t.Errorf("the resolved item is now %v", i)
		}
	}
	// Neither grant is in place, as if it had never been.
	for _, r := range []string{first.GetId(), second.GetId()} {
		ev := servicetest.Wait(t, w.Harness, func(m *eventv1.GrantReopened) bool { return m.GetGrant().GetRequestId() == r })
		if g := ev.GetGrant(); g.GetState() != pending || g.GetActivateTime() != nil || ev.GetContext().GetActor().GetId() != w.admin.UserID.String() {
			t.Errorf("grant.reopened says %v", ev)
		}
	}
	for _, g := range append(w.becomes(t, first, pending), w.becomes(t, second, pending)...) {
		if g.GetActivateTime() != nil {
			t.Errorf("grant %v", g)
		}
	}
	opened := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemOpened) bool { return m.GetWorkItem().GetId() == again[0].GetId() })
	if opened.GetWorkItem().GetReopenReason() != "by mistake" || len(opened.GetContext().GetRequestIds()) != 2 {
		t.Errorf("work_item.opened says %v", opened)
	}
	servicetest.Wait(t, w.Harness, func(m *eventv1.AccountRemoved) bool { return m.GetAccount().GetUser().GetUserId() == bob.GetId() })
	if lists := w.lists(t, bob, false); len(lists) != 1 || lists[0].GetOpenCount() != 1 || lists[0].GetItemCount() != 2 || lists[0].GetCloseTime() != nil {
		t.Errorf("checklists %v", lists)
	}
	if l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{UserId: bob.GetId()}); err != nil || len(l.GetAccounts()) != 0 {
		t.Errorf("accounts %v %v", l, err)
	}
	// Once.
	w.movedOn(t, item, "it has been reopened already")
	_, err := w.tryReopen(t, again[0])
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_NOT_RESOLVED")

	w.resolve(t, again[0])
	w.becomes(t, first, active)
	if lists := w.lists(t, bob, false); len(lists) != 0 {
		t.Errorf("checklists %v", lists)
	}

	// Each entitlement by itself; the account only after what was given to it since.
	viewers := w.entitlement(t, app, groupKind, "=viewers")
	edit, see := w.give(t, bob, ask{}, editors), w.give(t, bob, ask{}, viewers)
	var given []*provisioningv1.WorkItem
	servicetest.Eventually(t, "two items to assign", func() bool {
		l, err := w.items.ListWorkItems(t.Context(), &provisioningv1.ListWorkItemsRequest{UserId: bob.GetId(), Kind: assign})
		if err != nil {
			t.Fatal(err)
		}
		given = l.GetWorkItems()
		return len(given) == 2
	})
	if given[0].GetEntitlementNames()[0] != "=editors" {
		given[0], given[1] = given[1], given[0]
	}
	w.resolve(t, given...)
	w.becomes(t, edit, active)
	_, err = w.tryReopen(t, again[0])
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_MOVED_ON")
	// All or none.
	_, err = w.tryReopen(t, given[0], again[0])
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_MOVED_ON")
	w.becomes(t, edit, active)
	if got := w.reopen(t, given[0]); len(got) != 1 || got[0].GetKind() != assign || got[0].GetReopenedItemId() != given[0].GetId() {
		t.Errorf("reopened by %v", got)
	}
	w.becomes(t, edit, pending)
	w.becomes(t, see, active)
	w.becomes(t, first, active)
	// With what was given to it since: one item asks for all.
	if got := w.reopen(t, again[0], given[1]); len(got) != 1 || got[0].GetKind() != createAccount || got[0].GetReopenedItemId() != again[0].GetId() || len(got[0].GetEntitlementNames()) != 3 {
		t.Errorf("reopened by %v", got)
	}
	for _, r := range []*provisioningv1.Grant{w.becomes(t, first, pending)[0], w.becomes(t, see, pending)[0], w.becomes(t, edit, pending)[0]} {
		if r.GetActivateTime() != nil {
			t.Errorf("grant %v", r)
		}
	}
}

// B-ONB-19, B-ONB-15: what was taken away by mistake is still there: grants are revoking
// again, the revoke request is not done, and it is told afresh when it is.
func TestReopenRemoval(t *testing.T) {
	t.Parallel()
	w := start(t)
	app, secret := w.app(t, "By hand", manual, ""), w.app(t, "Shared", shared, "")
	account, editors := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "=editors")
	known := w.entitlement(t, secret, accountKind, "account")
	eve := w.user(t, "eve")
	r := w.give(t, eve, ask{}, account, editors, known)
	w.resolve(t, w.open(t, eve, app, createAccount))
	w.becomes(t, r, active)

	revoke := w.request(eve, ask{revoke: true}, editors)
	w.approve(t, revoke)
	item := w.open(t, eve, app, unassign)
	w.resolve(t, item)
	done := func(m *eventv1.RevocationCompleted) bool { return m.GetRequestId() == revoke.GetId() }
	servicetest.Wait(t, w.Harness, done)
	again := w.reopen(t, item)[0]
	ev := servicetest.Wait(t, w.Harness, func(m *eventv1.GrantReopened) bool { return m.GetGrant().GetEntitlementId() == editors.GetId() })
	if g := ev.GetGrant(); g.GetState() != revoking || g.GetRevokeTime() != nil || g.GetRevokeRequestId() != revoke.GetId() || g.GetActivateTime() == nil || len(ev.GetContext().GetRequestIds()) != 2 {
		t.Errorf("grant.reopened says %v", ev)
	}
	undone := servicetest.Wait(t, w.Harness, func(m *eventv1.RevocationReopened) bool { return m.GetRequestId() == revoke.GetId() })
	if undone.GetItemId() != revoke.GetItems()[0].GetId() || len(undone.GetGrantIds()) != 1 || undone.GetContext().GetVersion() != 2 {
		t.Errorf("revocation.reopened says %v", undone)
	}
	if n := count(servicetest.All[*eventv1.RevocationCompleted](w.Harness), done); n != 1 {
		t.Errorf("completed %d times", n)
	}
	w.resolve(t, again)
	servicetest.Eventually(t, "done again", func() bool { return count(servicetest.All[*eventv1.RevocationCompleted](w.Harness), done) == 2 })

	// A leaver's account.
	w.leave(t, eve)
	remove, change := w.open(t, eve, app, removeAccount), w.open(t, eve, secret, changeSecret)
	w.resolve(t, remove, change)
	w.becomes(t, r, revoked)
	items := w.reopen(t, change, remove)
	if len(items) != 2 || items[0].GetKind() != changeSecret || items[0].GetReopenedItemId() != change.GetId() || items[1].GetReopenedItemId() != remove.GetId() {
		t.Fatalf("reopened by %v", items)
	}
	for _, g := range listed(t, w, r.GetId()) {
		if want := map[string]provisioningv1.GrantState{account.GetId(): revoking}[g.GetEntitlementId()]; want != 0 && g.GetState() != want {
			t.Errorf("grant %v", g)
		}
	}
	l, err := w.accounts.ListAccounts(t.Context(), &provisioningv1.ListAccountsRequest{UserId: eve.GetId()})
	if err != nil || len(l.GetAccounts()) != 1 || l.GetAccounts()[0].GetState() != provisioningv1.AccountState_ACCOUNT_STATE_ACTIVE {
		t.Errorf("accounts %v %v", l, err)
	}
	if lists := w.lists(t, eve, false); len(lists) != 1 || lists[0].GetOpenCount() != 2 || lists[0].GetKind() != provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING {
		t.Errorf("checklists %v", lists)
	}
	w.resolve(t, items...)
	w.becomes(t, r, revoked)

	// Back, and about to be given a new account: the old one is not asked for any more.
	eve.Version, eve.JoinCount = 9, 2
	w.Publish(t, w.org, uuid.MustParse(eve.GetId()), &eventv1.UserJoined{User: eve})
	w.give(t, eve, ask{}, account)
	w.open(t, eve, app, createAccount)
	w.movedOn(t, items[1], "the access is wanted again")
}

// B-ONB-19: what cannot be reopened: nothing of it is to be done any more, an integration
// has been at work since, or no person has resolved it; and who may not.
func TestReopenRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	boss := w.caller(authzv1.Caller_CALLER_MEMBER)
	target := newApp(t)
	app := w.app(t, "By hand", manual, "", boss.UserID.String())
	account := w.entitlement(t, app, accountKind, "account")
	made := map[string]*provisioningv1.WorkItem{}
	for _, name := range []string{"gone", "ended", "suspended", "moved", "theirs"} {
		u := w.user(t, name)
		r := w.give(t, u, ask{}, account)
		made[name] = w.open(t, u, app, createAccount)
		w.resolve(t, made[name])
		w.becomes(t, r, active)
		switch name {
		case "gone":
			w.leave(t, u)
			w.open(t, u, app, removeAccount)
		case "ended":
			w.give(t, u, ask{revoke: true}, account)
			w.open(t, u, app, removeAccount)
		case "suspended":
			w.suspend(t, u)
			w.open(t, u, app, removeAccount)
		}
	}
	w.movedOn(t, made["gone"], "the user has left")
	w.movedOn(t, made["ended"], "the access is no longer wanted")
	w.movedOn(t, made["suspended"], "the user is not active")

	// Who may: who may resolve.
	for name, c := range map[string]struct {
		caller func() provisioningv1.ChecklistServiceClient
		code   string
		reason string
	}{
		"a member": {func() provisioningv1.ChecklistServiceClient {
			return provisioningv1.NewChecklistServiceClient(w.Conn(t, w.caller(authzv1.Caller_CALLER_MEMBER)))
		}, "InvalidArgument", "WORK_ITEM_NOT_FOUND"},
		"a stranger": {func() provisioningv1.ChecklistServiceClient {
			return provisioningv1.NewChecklistServiceClient(w.Conn(t, stranger()))
		}, "InvalidArgument", "WORK_ITEM_NOT_FOUND"},
		"a risk manager": {func() provisioningv1.ChecklistServiceClient {
			return provisioningv1.NewChecklistServiceClient(w.Conn(t, w.caller(authzv1.Caller_CALLER_RISK_MANAGER)))
		}, "PermissionDenied", "ROLE_NOT_ALLOWED"},
	} {
		_, err := c.caller().ReopenWorkItems(t.Context(), &provisioningv1.ReopenWorkItemsRequest{WorkItemIds: []string{made["theirs"].GetId()}, Reason: "x"})
		if rpctest.Reason(err) != c.reason {
			t.Errorf("%s: %v", name, err)
		}
		wantReason(t, err, c.code, c.reason)
	}
	_, err := w.checklists.ReopenWorkItems(t.Context(), &provisioningv1.ReopenWorkItemsRequest{WorkItemIds: []string{made["theirs"].GetId()}})
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "reason")
	owner := provisioningv1.NewChecklistServiceClient(w.Conn(t, boss))
	if _, err := owner.ReopenWorkItems(t.Context(), &provisioningv1.ReopenWorkItemsRequest{WorkItemIds: []string{made["theirs"].GetId()}, Reason: "x"}); err != nil {
		t.Error(err)
	}

	// An integration takes over, and finds that there is no account.
	w.change(t, app, automatic, w.integration(t, target))
	servicetest.Eventually(t, "the account is made", func() bool { return target.account(t, "moved") != nil })
	w.Handled(t, "provisioning")
	servicetest.Eventually(t, "what the integration has done counts", func() bool {
		_, err := w.tryReopen(t, made["moved"])
		return status.Convert(err).Message() == "work item "+made["moved"].GetId()+" cannot be reopened: the app's integration has been at work since, or another item was reopened with it"
	})
}

// B-ONB-19: a failed operation that was said to be mended by hand needs a person again.
func TestReopenFix(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	lee := w.user(t, "lee")
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusForbidden} })
	r := w.give(t, lee, ask{}, account)
	w.becomes(t, r, failed)
	item := w.open(t, lee, app, fixOperation)
	w.resolve(t, item)
	w.becomes(t, r, active)
	again := w.reopen(t, item)[0]
	if again.GetKind() != fixOperation || again.GetReopenedItemId() != item.GetId() || again.GetError() != item.GetError() {
		t.Errorf("reopened by %v", again)
	}
	if g := w.becomes(t, r, failed)[0]; g.GetError() == "" {
		t.Errorf("grant %v", g)
	}
	target.misbehave(nil)
	if _, err := w.items.RetryWorkItem(t.Context(), &provisioningv1.RetryWorkItemRequest{Id: again.GetId()}); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, r, active)
	if target.account(t, "lee") == nil {
		t.Error("no account")
	}
	// The integration has resolved that one, not a person.
	_, err := w.tryReopen(t, again)
	wantReason(t, err, "FailedPrecondition", "WORK_ITEM_NOT_RESOLVED")
}

func count[T any](list []T, f func(T) bool) (n int) {
	for _, v := range list {
		if f(v) {
			n++
		}
	}
	return n
}

func listed(t testing.TB, w *world, request string) []*provisioningv1.Grant {
	t.Helper()
	l, err := w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{RequestId: request})
	if err != nil {
		t.Fatal(err)
	}
	return l.GetGrants()
}
