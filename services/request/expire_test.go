package request_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-APR-19: a request whose end passes while it waits is to be cancelled by itself, and
// ends as expired; what is approved by then is not.
func TestRequestExpires(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := start(t, func(c *backend.Config) { c.Clock = now })
	until := func(in *requestv1.CreateRequestRequest) *requestv1.CreateRequestRequest {
		in.Until = timestamppb.New(now.Now().Add(time.Hour))
		return in
	}
	waits, approved := w.submit(t, "ann", until(w.grantOf("editor"))), w.submit(t, "ben", until(w.grantOf("viewer")))
	later := w.grantOf("viewer")
	later.Until = timestamppb.New(now.Now().Add(24 * time.Hour))
	open := w.submit(t, "ann", later)
	w.publishAll(t, w.requested(waits, "pia"), w.requested(open, "pia"), w.granted(approved))
	w.handled(t)

	now.Advance(2 * time.Hour)
	asked := servicetest.Wait(t, w.Harness, func(e *eventv1.RequestCancelRequested) bool { return e.GetRequestId() == waits.GetId() })
	if !asked.GetExpired() || asked.GetReason() == "" || asked.GetContext().GetActor().GetKind() == eventv1.ActorKind_ACTOR_KIND_USER {
		t.Errorf("to be cancelled: %v", asked)
	}
	w.publish(t, waits.GetId(), &eventv1.ApprovalCancelled{
		Context: about(waits), RequestId: waits.GetId(), Reason: asked.GetReason(), Expired: true,
	})
	w.handled(t)
	got := w.wantState(t, waits, requestv1.RequestState_REQUEST_STATE_CANCELLED, requestv1.ItemState_ITEM_STATE_CANCELLED)
	if !got.GetExpired() || got.GetClosingReason() != asked.GetReason() || got.GetClosedBy() != nil {
		t.Errorf("the expired request: %v", got)
	}
	if e := w.closed(t, waits); !e.GetRequest().GetExpired() {
		t.Errorf("closed: %v", e)
	}
	w.wantState(t, open, requestv1.RequestState_REQUEST_STATE_PENDING, requestv1.ItemState_ITEM_STATE_PENDING)
	w.wantState(t, approved, requestv1.RequestState_REQUEST_STATE_APPROVED, requestv1.ItemState_ITEM_STATE_APPROVED)
	list, err := w.requests(t, "zoe").ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: "expired = true"})
	if err != nil || len(list.GetRequests()) != 1 || list.GetRequests()[0].GetId() != waits.GetId() {
		t.Errorf("the expired ones: %v, %v", list.GetRequests(), err)
	}
}
