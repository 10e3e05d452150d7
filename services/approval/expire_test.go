package approval_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/approval"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// B-APR-19: nothing is decided about access whose end has passed, before and after the
// request says so; its tasks end with it, and nobody is asked about what comes too late.
func TestExpiredRequestIsNotDecided(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := start(t, func(c *approval.Config) { c.Clock = now })
	r := w.request("ann", "ann")
	r.Until = timestamppb.New(now.Now().Add(time.Hour))
	w.submit(t, r)
	tasks := w.asked(t, r, 1).GetTasks()
	task := of(t, tasks, "pia")

	now.Advance(2 * time.Hour)
	late := func(when string) {
		t.Helper()
		if _, err := w.approve(t, "pia", task); rpctest.Reason(err) != "REQUEST_EXPIRED" {
			t.Errorf("approved %s: %v", when, err)
		}
		if _, err := w.tasks(t, "pia").DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: task.GetId(), Reason: "no"}); rpctest.Reason(err) != "REQUEST_EXPIRED" {
			t.Errorf("denied %s: %v", when, err)
		}
		_, err := w.tasks(t, "pia").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: w.users["ada"].GetId(), Reason: "she knows"})
		if rpctest.Reason(err) != "REQUEST_EXPIRED" {
			t.Errorf("reassigned %s: %v", when, err)
		}
		if _, err := w.approve(t, "eve", task); rpctest.Reason(err) != "TASK_NOT_FOUND" {
			t.Errorf("somebody else's %s: %v", when, err)
		}
	}
	late("before the request says so")
	w.Publish(t, w.org, id.New(), &eventv1.RequestCancelRequested{RequestId: r.GetId(), Reason: "its end has passed", Expired: true})
	cancelled := func(requestID string) *eventv1.ApprovalCancelled {
		return servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalCancelled) bool { return e.GetRequestId() == requestID })
	}
	if e := cancelled(r.GetId()); !e.GetExpired() || e.GetReason() != "its end has passed" {
		t.Errorf("cancelled: %v", e)
	}
	late("afterwards")
	list, err := w.tasks(t, "zoe").ListTasks(t.Context(), &approvalv1.ListTasksRequest{RequestId: r.GetId()})
	if err != nil || len(list.GetTasks()) != len(tasks) {
		t.Fatalf("tasks: %v, %v", list, err)
	}
	for _, task := range list.GetTasks() {
		if task.GetState() != approvalv1.TaskState_TASK_STATE_CANCELLED {
			t.Errorf("task of %s is %s", task.GetReviewer().GetDisplayName(), task.GetState())
		}
	}

	tooLate := w.request("ben", "ben")
	tooLate.Until = timestamppb.New(now.Now().Add(-time.Minute))
	w.submit(t, tooLate)
	if e := cancelled(tooLate.GetId()); !e.GetExpired() {
		t.Errorf("submitted too late: %v", e)
	}
	if n := w.emitted(tooLate.GetId())["ApprovalRequested"]; n != 0 {
		t.Errorf("asked %d times about what had come too late", n)
	}
}
