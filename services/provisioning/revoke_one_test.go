package provisioning_test

import (
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// takeBack is a request to take away what each item of another gave, and nothing else.
func (w *world) takeBack(r *requestv1.Request) *requestv1.Request {
	back := w.request(&identityv1.User{}, ask{join: true, revoke: true})
	back.Beneficiary = r.GetBeneficiary()
	for _, i := range r.GetItems() {
		back.Items = append(back.Items, &requestv1.RequestItem{
			Id: id.New().String(), EntitlementId: i.GetEntitlementId(), EntitlementName: i.GetEntitlementName(), AppId: i.GetAppId(),
			GrantItemId: i.GetId(),
		})
	}
	return back
}

// B-USR-15, in part, B-PRV-10: of several reasons to hold the same one ends by itself. It
// stays in the app for the others, without a call, and goes with the last.
func TestRevokeWhatOneRequestGave(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, _, devs := w.devs(t)
	ann := w.user(t, "ann")
	byFlow, own := w.give(t, ann, ask{join: true}, devs), w.give(t, ann, ask{}, devs)
	w.becomes(t, byFlow, active)
	w.becomes(t, own, active)
	calls := target.count("PATCH") + target.count("PUT") + target.count("DELETE")

	back := w.takeBack(byFlow)
	event := w.approve(t, back)
	g := w.becomes(t, byFlow, revoked)[0]
	if g.GetRevokeRequestId() != back.GetId() || g.GetEndReason() != provisioningv1.GrantEndReason_GRANT_END_REASON_REQUESTED {
		t.Errorf("ended: %v", g)
	}
	servicetest.Wait(t, w.Harness, func(e *eventv1.RevocationCompleted) bool { return e.GetRequestId() == back.GetId() })
	w.becomes(t, own, active)
	if n := target.count("PATCH") + target.count("PUT") + target.count("DELETE"); n != calls || !target.member("devs", target.account(t, "ann").ID) {
		t.Errorf("the app was called %d times, and she is in the group: %v", n-calls, target.member("devs", target.account(t, "ann").ID))
	}
	w.PublishAgain(t, event, w.org, uuid.MustParse(back.GetId()), &eventv1.ApprovalGranted{Request: back})
	w.Handled(t, "provisioning")
	w.becomes(t, own, active)

	w.approve(t, w.takeBack(own))
	w.becomes(t, own, revoked)
	if target.account(t, "ann") != nil {
		t.Error("after the last reason the account is still there")
	}
}

// B-USR-15, in part: what is to be taken back before it has come is over when it comes.
func TestRevokeBeforeItIsGiven(t *testing.T) {
	t.Parallel()
	w := start(t)
	target, _, devs := w.devs(t)
	ann := w.user(t, "ann")
	given := w.request(ann, ask{join: true}, devs)
	back := w.takeBack(given)
	w.approve(t, back)
	servicetest.Wait(t, w.Harness, func(e *eventv1.RevocationCompleted) bool { return e.GetRequestId() == back.GetId() })
	w.approve(t, given)
	if g := w.becomes(t, given, revoked)[0]; g.GetRevokeRequestId() != back.GetId() || g.GetActivateTime() != nil {
		t.Errorf("ended: %v", g)
	}
	w.Handled(t, "provisioning")
	if n := target.count("POST"); n != 0 {
		t.Errorf("%d accounts were made", n)
	}
	// What comes later is not meant.
	w.becomes(t, w.give(t, ann, ask{join: true}, devs), active)
}
