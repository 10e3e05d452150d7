package request_test

import (
	"testing"

	"google.golang.org/grpc/codes"

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

	// None is done: it is denied if one was, whatever ended last.
	r = w.submit(t, "zoe", w.grantOf("editor", "viewer"))
	w.publishAll(t, w.requested(r, "pia"), w.denied(part(r, 0), "pia", "no"), w.denied(part(r, 1), "pia", "nor this"))
	got = w.wantState(t, r, denied, itemDenied, itemDenied)
	if got.GetClosedBy().GetUserId() != w.id("pia") || got.GetClosingReason() == "" {
		t.Errorf("closed as %v", got)
	}
}
