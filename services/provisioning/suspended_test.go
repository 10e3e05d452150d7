package provisioning_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// suspend makes a person inactive, and resume active again.
func (w *world) suspend(t testing.TB, u *identityv1.User) {
	t.Helper()
	u.Version++
	u.State = identityv1.UserState_USER_STATE_SUSPENDED
	w.Publish(t, w.org, uuid.MustParse(u.GetId()), &eventv1.UserSuspended{User: proto.CloneOf(u)})
}

func (w *world) resume(t testing.TB, u *identityv1.User) {
	t.Helper()
	u.Version++
	u.State = identityv1.UserState_USER_STATE_ACTIVE
	w.Publish(t, w.org, uuid.MustParse(u.GetId()), &eventv1.UserUpdated{User: proto.CloneOf(u), ChangedFields: []string{"state"}})
}

// B-ONB-17, B-ONB-05: whoever is made inactive at the source has nothing in any app,
// and is given back what is still due, and only that.
func TestSuspended(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	target := newApp(t, "devs", "ops")
	auto := w.app(t, "Automatic", automatic, w.integration(t, target))
	made, todo, secret := w.app(t, "Made", manual, ""), w.app(t, "Not made", manual, ""), w.app(t, "Shared", shared, "")
	accounts := map[*requestv1.App]*requestv1.Entitlement{}
	for _, a := range []*requestv1.App{auto, made, todo, secret} {
		accounts[a] = w.entitlement(t, a, accountKind, "account")
	}
	devs, ops := w.entitlement(t, auto, groupKind, "devs"), w.entitlement(t, auto, groupKind, "ops")
	eve := w.user(t, "eve")
	lasting := w.give(t, eve, ask{}, accounts[auto], devs, accounts[secret])
	passing := w.give(t, eve, ask{until: now.Now().Add(time.Hour)}, ops)
	byHand := w.give(t, eve, ask{}, accounts[made])
	waiting := w.give(t, eve, ask{}, accounts[todo])
	w.resolve(t, w.open(t, eve, made, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	for _, r := range []*requestv1.Request{lasting, passing, byHand} {
		w.becomes(t, r, active)
	}
	if item := w.open(t, eve, todo, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT); item.GetChecklistId() == "" {
		t.Error("an account to be made stands on no checklist")
	}

	w.suspend(t, eve)
	for _, r := range []*requestv1.Request{lasting, passing, byHand} {
		for _, g := range w.becomes(t, r, held) {
			if said[*eventv1.GrantHeld](t, w, g.GetId()) != 1 || g.GetActivateTime() == nil || g.GetEndReason() != 0 {
				t.Errorf("held: %v", g)
			}
		}
	}
	servicetest.Eventually(t, "the automatic account is gone", func() bool { return target.account(t, "eve") == nil })
	dropped := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemCancelled) bool { return m.GetWorkItem().GetAppId() == todo.GetId() })
	if dropped.GetWorkItem().GetNote() != "the user is not active" {
		t.Errorf("dropped because %q", dropped.GetWorkItem().GetNote())
	}
	remove := w.open(t, eve, made, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT)
	w.open(t, eve, secret, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CHANGE_SECRET)
	lists := w.lists(t, eve, false)
	if len(lists) != 1 || lists[0].GetKind() != provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING || lists[0].GetOpenCount() != 2 {
		t.Errorf("checklists %v", lists)
	}

	// What is approved meanwhile waits, and nothing is made.
	late := w.give(t, eve, ask{}, devs, accounts[todo])
	for _, g := range w.becomes(t, late, pending) {
		if said[*eventv1.GrantCreated](t, w, g.GetId()) != 1 {
			t.Errorf("pending: %v", g)
		}
	}
	w.becomes(t, waiting, pending)
	w.Handled(t, "provisioning")
	if target.count("POST") != 1 || target.account(t, "eve") != nil {
		t.Error("an account was made for somebody who is not active")
	}
	// What ends meanwhile does not come back.
	now.Advance(2 * time.Hour)
	w.becomes(t, passing, revoked)

	w.resolve(t, remove)
	w.resume(t, eve)
	w.becomes(t, lasting, active)
	u := target.account(t, "eve")
	if u == nil || !target.member("devs", u.ID) || target.member("ops", u.ID) {
		t.Fatalf("account %+v", u)
	}
	w.resolve(t, w.open(t, eve, made, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT),
		w.open(t, eve, todo, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	for _, r := range []*requestv1.Request{byHand, waiting, late} {
		w.becomes(t, r, active)
	}
	// The secret is still to be changed, but nobody is leaving.
	if item := w.open(t, eve, secret, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CHANGE_SECRET); item.GetChecklistId() != "" {
		t.Error("somebody who is back stands on the offboarding list")
	}
	if lists := w.lists(t, eve, false); len(lists) != 0 {
		t.Errorf("checklists %v", lists)
	}
}

// Whoever is made active again before anybody has removed the account by hand keeps
// it, and nobody is asked any more; whoever leaves for good loses what was held.
func TestSuspendedBriefly(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := w.app(t, "By hand", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	kim := w.user(t, "kim")
	r := w.give(t, kim, ask{}, account)
	w.resolve(t, w.open(t, kim, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT))
	w.becomes(t, r, active)

	w.suspend(t, kim)
	w.becomes(t, r, held)
	item := w.open(t, kim, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT)
	w.resume(t, kim)
	w.becomes(t, r, active)
	dropped := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkItemCancelled) bool { return m.GetWorkItem().GetId() == item.GetId() })
	if dropped.GetWorkItem().GetNote() != "the access is wanted again" {
		t.Errorf("dropped because %q", dropped.GetWorkItem().GetNote())
	}

	w.suspend(t, kim)
	w.resolve(t, w.open(t, kim, app, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT))
	w.becomes(t, r, held)
	w.leave(t, kim)
	if g := w.becomes(t, r, revoked)[0]; g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_USER_REMOVED {
		t.Errorf("grant %v", g)
	}
	if lists := w.lists(t, kim, false); len(lists) != 0 {
		t.Errorf("checklists %v", lists)
	}
}
