package approval_test

import (
	"testing"

	"gatehouse.dev/libs/filter/filtertest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	"gatehouse.dev/services/approval/internal/store"
)

func TestListsAreFilteredAndSorted(t *testing.T) {
	t.Parallel()
	filtertest.Comments(t, "../../proto", store.FlowList, store.TaskList, store.DelegationList)
	w := start(t)
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Name, f.Priority = "First", 7
		f.Steps = []*approvalv1.FlowStep{step("approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS)}
	})
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Name, f.Steps, f.AutoApprove = "Second", nil, true
		f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ann").String()}}
	})
	filtertest.Door(t, w.Conn(t, w.caller("zoe")), store.FlowList, &approvalv1.ListFlowsRequest{})

	first, second := w.request("ann", "ben"), w.request("zoe", "ann")
	w.submit(t, first)
	w.submit(t, second)
	pia := of(t, w.asked(t, first, 1).GetTasks(), "pia")
	w.asked(t, second, 1)
	w.handled(t)
	filtertest.Door(t, w.Conn(t, w.caller("pia")), store.TaskList, &approvalv1.ListTasksRequest{})
	if _, err := w.approve(t, "pia", pia); err != nil {
		t.Fatal(err)
	}
	filtertest.Door(t, w.Conn(t, w.caller("zoe")), store.TaskList, &approvalv1.ListTasksRequest{RequestId: first.GetId()})

	// Others' tasks are not found, whatever the filter says.
	all, err := w.tasks(t, "ben").ListTasks(t.Context(), &approvalv1.ListTasksRequest{RequestId: first.GetId(), Filter: `step > -1 OR reviewer.userId = "` + w.id("pia").String() + `"`})
	if err != nil || len(all.GetTasks()) != 0 {
		t.Errorf("ben sees %v %v", all, err)
	}
}
