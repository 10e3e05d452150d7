package provisioning_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const givenUp = provisioningv1.GrantEndReason_GRANT_END_REASON_GIVEN_UP

// giveUp has the admin give up items of a request, all if none is named.
func (w *world) giveUp(t testing.TB, r *requestv1.Request, items ...int) (uuid.UUID, *eventv1.RequestGiveUpRequested) {
	t.Helper()
	m := &eventv1.RequestGiveUpRequested{
		Context: &eventv1.Context{Actor: event.UserActor(w.admin.UserID.String(), w.admin.Name), RequestIds: []string{r.GetId()}}, Request: r, Reason: "it does not work",
	}
	for n, i := range r.GetItems() {
		if len(items) == 0 || slices.Contains(items, n) {
			m.ItemIds = append(m.ItemIds, i.GetId())
		}
	}
	return w.Publish(t, w.org, uuid.MustParse(r.GetId()), m), m
}

func refusing(method string) func(*http.Request) *fault {
	return func(r *http.Request) *fault {
		if r.Method == method {
			return &fault{status: http.StatusForbidden}
		}
		return nil
	}
}

// B-PRV-16: what an app refuses is given up: nobody is asked to mend it any more, and
// others' grants of the same are as they were. Delivered twice it happens once.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, app, devs := w.devs(t)
	target.misbehave(refusing(http.MethodPost))
	ann := w.user(t, "ann")
	first := w.give(t, ann, ask{}, devs)
	w.becomes(t, first, failed)
	second := w.give(t, ann, ask{}, devs) // of somebody else's making
	w.becomes(t, second, failed)
	servicetest.Eventually(t, "the item is about both", func() bool {
		return len(w.open(t, ann, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION).GetRequestIds()) == 2
	})

	eventID, m := w.giveUp(t, first)
	g := w.becomes(t, first, revoked)[0]
	if g.GetEndReason() != givenUp || g.GetActivateTime() != nil {
		t.Errorf("grant %v", g)
	}
	w.becomes(t, second, failed)
	item := w.open(t, ann, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	if ids := item.GetRequestIds(); len(ids) != 1 || ids[0] != second.GetId() {
		t.Errorf("item %v", item)
	}
	ended := servicetest.Wait(t, w.Harness, func(m *eventv1.GrantEnded) bool { return m.GetGrant().GetId() == g.GetId() })
	if a := ended.GetContext().GetActor(); a.GetId() != w.admin.UserID.String() || ended.GetGrant().GetEndReason() != givenUp {
		t.Errorf("ended: %v", ended)
	}

	w.giveUp(t, second)
	w.becomes(t, second, revoked)
	w.PublishAgain(t, eventID, w.org, uuid.MustParse(first.GetId()), m)
	w.giveUp(t, first)
	w.Handled(t, "provisioning")
	if n := said[*eventv1.GrantEnded](t, w, g.GetId()); n != 1 {
		t.Errorf("ended %d times", n)
	}
	all := w.itemsOf(t, ann)
	if len(all) != 1 || all[0].GetState() != provisioningv1.WorkItemState_WORK_ITEM_STATE_CANCELLED || all[0].GetNote() != "the request was given up" {
		t.Errorf("items %v", all)
	}
	if n := w.count(t, `select count(*) from operation where state <> 'cancelled'`); n != 0 {
		t.Errorf("%d operations are not over", n)
	}
	if lists := w.lists(t, ann, false); len(lists) > 0 || target.account(t, "ann") != nil {
		t.Errorf("checklists %v", lists)
	}

	// What works again is asked for anew.
	target.misbehave(nil)
	w.becomes(t, w.give(t, ann, ask{}, devs), active)
}

// B-PRV-16, B-PRV-11: what came into the app before it was given up is taken away, for
// as long as that takes.
func TestGiveUpTakesAway(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, app, devs := w.devs(t)
	target.misbehave(refusing(http.MethodPatch))
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, devs)
	w.becomes(t, r, failed)
	if target.account(t, "ann") == nil {
		t.Fatal("the account should be there, without the group")
	}

	target.misbehave(refusing(http.MethodDelete))
	w.giveUp(t, r)
	g := w.becomes(t, r, revoking)[0]
	servicetest.Wait(t, w.Harness, func(m *eventv1.GrantFailed) bool {
		return m.GetGrant().GetId() == g.GetId() && m.GetGrant().GetState() == revoking
	})
	if item := w.open(t, ann, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION); item.GetRequestIds()[0] != r.GetId() {
		t.Errorf("item %v", item)
	}
	if m := w.metrics(t); !strings.Contains(m, "gatehouse_provisioning_revocation_debt") {
		t.Error("no metric of what should be gone")
	}
	target.misbehave(nil)
	if g := w.becomes(t, r, revoked)[0]; g.GetEndReason() != givenUp || target.account(t, "ann") != nil { // nobody has asked
		t.Errorf("grant %v", g)
	}
}

// B-PRV-16: what is in place when it is given up stays, and of several items each goes
// its own way.
func TestGiveUpTooLate(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs")
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account, devs := w.entitlement(t, app, accountKind, "account"), w.entitlement(t, app, groupKind, "devs")
	target.misbehave(refusing(http.MethodPatch))
	ann := w.user(t, "ann")
	r := w.give(t, ann, ask{}, account, devs)
	w.open(t, ann, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION)
	w.giveUp(t, r) // both
	w.Handled(t, "provisioning")
	l, err := w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{RequestId: r.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range l.GetGrants() {
		if want := map[bool]provisioningv1.GrantState{true: active, false: revoked}[g.GetEntitlementId() == account.GetId()]; g.GetState() != want {
			t.Errorf("grant %v, want %v", g, want)
		}
	}
	if target.account(t, "ann") == nil || target.count("DELETE") > 0 {
		t.Error("the account is gone")
	}

	// One that is held was in place.
	away := proto.CloneOf(ann)
	away.Version++
	away.State = identityv1.UserState_USER_STATE_SUSPENDED
	w.Publish(t, w.org, uuid.MustParse(ann.GetId()), &eventv1.UserSuspended{User: away})
	servicetest.Eventually(t, "the account's grant is held", func() bool {
		l, err = w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{RequestId: r.GetId(), State: held})
		return err == nil && len(l.GetGrants()) == 1
	})
	w.giveUp(t, r, 0)
	w.Handled(t, "provisioning")
	if l, err = w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{RequestId: r.GetId(), State: held}); err != nil || len(l.GetGrants()) != 1 {
		t.Errorf("%v %v", l.GetGrants(), err)
	}
}

// B-PRV-16: what is given up before its approval arrives is over at once when it does;
// the request's other items are put in place.
func TestGiveUpBeforeApproval(t *testing.T) {
	t.Parallel()
	w := start(t)
	pay := w.app(t, "Payroll", manual, "")
	news := w.app(t, "News", shared, "")
	account, letter := w.entitlement(t, pay, accountKind, "account"), w.entitlement(t, news, accountKind, "account")
	ann := w.user(t, "ann")
	r := w.request(ann, ask{}, account, letter)
	eventID, m := w.giveUp(t, r, 0)
	w.PublishAgain(t, eventID, w.org, uuid.MustParse(r.GetId()), m)
	w.giveUp(t, r, 0)
	w.approve(t, r)
	w.approve(t, r)
	w.giveUp(t, r, 0)
	w.Handled(t, "provisioning")
	l, err := w.grants.ListGrants(t.Context(), &provisioningv1.ListGrantsRequest{RequestId: r.GetId()})
	if err != nil || len(l.GetGrants()) != 2 {
		t.Fatalf("%v %v", l.GetGrants(), err)
	}
	for _, g := range l.GetGrants() {
		if g.GetAppId() == news.GetId() {
			if g.GetState() != active {
				t.Errorf("grant %v", g)
			}
			continue
		}
		if g.GetState() != revoked || g.GetEndReason() != givenUp || said[*eventv1.GrantRevoked](t, w, g.GetId()) != 1 {
			t.Errorf("grant %v", g)
		}
		for _, e := range servicetest.All[*eventv1.GrantCreated](w.Harness) {
			if e.GetGrant().GetId() == g.GetId() {
				t.Errorf("to be put in place: %v", e)
			}
		}
	}
	if items := w.itemsOf(t, ann); len(items) > 0 {
		t.Errorf("items %v", items)
	}

	// By hand, after the approval: the item goes with its reason, and the checklist with it.
	bob := w.user(t, "bob")
	r = w.give(t, bob, ask{}, account)
	w.open(t, bob, pay, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	w.giveUp(t, r)
	w.becomes(t, r, revoked)
	if items := w.itemsOf(t, bob); len(items) != 1 || items[0].GetState() != provisioningv1.WorkItemState_WORK_ITEM_STATE_CANCELLED || items[0].GetNote() != "the request was given up" {
		t.Errorf("items %v", items)
	}
	if lists := w.lists(t, bob, false); len(lists) > 0 {
		t.Errorf("checklists %v", lists)
	}
}
