package request_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const itemDenied = requestv1.ItemState_ITEM_STATE_DENIED

// B-REQ-19: a request with many items goes on item by item. One that is denied, or fails,
// holds up none of the others, and the request says how each has ended.
func TestItemsGoApart(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("account", "editor", "viewer"))
	w.publishAll(t, w.granted(part(r, 0)), w.requested(r, "pia"))
	w.wantState(t, r, pending, itemApproved, itemWaiting, itemWaiting)
	_, events := give(r, 0)
	w.publishAll(t, events...)
	w.wantState(t, r, pending, itemFulfilled, itemWaiting, itemWaiting)

	w.twice(t, w.denied(part(r, 1), "pia", "not this one"))
	got := w.wantState(t, r, pending, itemFulfilled, itemDenied, itemWaiting)
	if i := got.GetItems()[1]; i.GetClosingReason() != "not this one" || got.GetClosingReason() != "" {
		t.Errorf("item %v of %v", i, got)
	}
	w.publishAll(t, w.granted(part(r, 2)))
	w.wantState(t, r, approved, itemFulfilled, itemDenied, itemApproved)
	_, events = give(r, 2)
	w.publishAll(t, events...)
	closed := w.closed(t, r).GetRequest()
	if closed.GetState() != partly || closed.GetClosingReason() == "" || w.closings(t, r) != 1 {
		t.Errorf("closed as %v", closed)
	}

	// What is decided stays when the rest is cancelled.
	r = w.submit(t, "ben", w.grantOf("account", "editor"))
	w.publishAll(t, w.requested(r, "pia"), w.granted(part(r, 1)))
	w.wantState(t, r, pending, itemWaiting, itemApproved)
	if _, err := w.requests(t, "ben").CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: r.GetId(), Reason: "no need"}); err != nil {
		t.Fatal(err)
	}
	end := w.cancelled(r, "ben", "no need")
	cancelledItems(end, r, 0)
	w.publishAll(t, end)
	w.wantState(t, r, approved, itemCancelled, itemApproved)
	_, err := w.requests(t, "ben").CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: r.GetId(), Reason: "no need"})
	wantError(t, err, codes.FailedPrecondition, "REQUEST_NOT_OPEN")
	_, events = give(r, 1)
	w.publishAll(t, events...)
	w.wantState(t, r, partly, itemCancelled, itemFulfilled)

	// None is done: it is denied if one was, with why, whatever ended last.
	r = w.submit(t, "zoe", w.grantOf("editor", "viewer"))
	w.publishAll(t, w.requested(r, "pia"), w.denied(part(r, 0), "pia", "no"))
	w.wantState(t, r, pending, itemDenied, itemWaiting)
	end = w.cancelled(r, "zoe", "taken back")
	cancelledItems(end, r, 1)
	w.publishAll(t, end)
	got = w.wantState(t, r, denied, itemDenied, itemCancelled)
	if got.GetClosingReason() != "no" || got.GetClosedBy().GetUserId() == w.id("zoe") {
		t.Errorf("closed as %v", got)
	}
	r = w.submit(t, "zoe", w.grantOf("editor"))
	w.publishAll(t, w.requested(r, "pia"), w.denied(r, "pia", "nor this"))
	if got = w.wantState(t, r, denied, itemDenied); got.GetClosedBy().GetUserId() != w.id("pia") || got.GetClosingReason() != "nor this" {
		t.Errorf("closed as %v", got)
	}
}

// What was said about the item of one app is for nobody who decides about another alone:
// a request in several apps says in general how it has ended, and each item why.
func TestEndsOfSeveralApps(t *testing.T) {
	t.Parallel()
	w := start(t)
	payroll := map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Payroll", ApproverIds: []string{w.id("ada")}}, payroll)
	both := w.grantOf("viewer")
	both.EntitlementIds = append(both.EntitlementIds, payroll["account"])
	r := w.submit(t, "ben", both)
	w.publishAll(t, w.requested(r, "pia"), w.denied(part(r, 0), "pia", "no"), w.denied(part(r, 1), "ada", "what he earns"))
	got := w.wantState(t, r, denied, itemDenied, itemDenied)
	if got.GetClosingReason() != "denied, as the items say" || got.GetItems()[1].GetClosingReason() != "what he earns" {
		t.Errorf("closed as %v", got)
	}
}

// B-ONB-19: an item that is not done after all goes back, also if the same has been asked
// for again since; and it can be given up then, whatever was said before.
func TestReopenedBesideAnother(t *testing.T) {
	t.Parallel()
	w := start(t)
	ask := w.grantOf("editor", "account")
	ask.Until = timestamppb.New(time.Now().Add(time.Hour))
	r := w.submit(t, "ann", ask)
	g, events := give(r, 0)
	w.publishAll(t, append([]emission{w.requested(r, "pia"), w.granted(r)}, events...)...)
	w.wantState(t, r, approved, itemFulfilled, itemApproved)
	longer := w.submit(t, "ann", w.grantOf("editor"))
	w.publishAll(t, w.requested(longer, "pia"))
	w.wantState(t, longer, pending, itemWaiting)

	waits := next(g, provisioningv1.GrantState_GRANT_STATE_PENDING)
	waits.ActivateTime = nil
	w.publishAll(t, grantEvent("reopened", waits))
	w.wantState(t, r, approved, itemApproved, itemApproved)
	if _, err := w.requests(t, "ann").GiveUpRequest(t.Context(), &requestv1.GiveUpRequestRequest{Id: r.GetId(), ItemIds: []string{r.GetItems()[0].GetId()}, Reason: "never mind"}); err != nil {
		t.Error(err)
	}
	w.publishAll(t, grantEvent("activated", next(waits, provisioningv1.GrantState_GRANT_STATE_ACTIVE)))
	w.wantState(t, r, approved, itemFulfilled, itemApproved)
}
