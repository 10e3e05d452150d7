package convert_test

import (
	"fmt"
	"testing"
	"time"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// A step with more reviewers than an event holds goes on in further events, and
// every reviewer is in one of them.
func TestManyReviewers(t *testing.T) {
	t.Parallel()
	request := &requestv1.Request{Id: id.New().String(), Items: []*requestv1.RequestItem{{Id: "i1", AppId: "crm"}}}
	step := &lifecycle.Step{ItemID: "i1", Position: 2, Spec: lifecycle.StepSpec{Name: "All"}}
	a := &lifecycle.Approval{RequestID: request.GetId(), EnvironmentID: "e1", Steps: []*lifecycle.Step{{ItemID: "i1", Position: 1}, step}}
	decided := &lifecycle.Task{ID: id.New().String(), ItemID: "i1", Position: 1, State: lifecycle.TaskApproved, Reviewer: lifecycle.Person{ID: "mia"}}
	var tasks []*lifecycle.Task
	for n := range 1200 {
		tasks = append(tasks, &lifecycle.Task{ID: id.New().String(), ItemID: "i1", Position: 2, Reviewer: lifecycle.Person{ID: fmt.Sprint(n)}})
	}
	e := &convert.Events{OrganizationID: id.New(), Approval: a, Request: request, Time: time.Now(), Version: 4}
	e.Decided(lifecycle.Outcome{Task: decided, Step: a.Steps[0], StepApproved: true}, step, tasks)
	if len(e.List) != 3 || e.Version != 7 {
		t.Fatalf("%d events, version %d", len(e.List), e.Version)
	}
	first := e.List[0].Message.(*eventv1.ApprovalDecided)
	if first.GetNextStep() != 2 || first.GetNextStepName() != "All" || !first.GetStepApproved() || first.GetTask().GetRequest() != request ||
		first.GetNextTasks()[0].GetRequest() != nil || first.GetContext().GetEnvironmentId() != "e1" || first.GetContext().GetAppId() != "crm" {
		t.Fatalf("decided %v", first.GetContext())
	}
	asked := make(map[string]bool)
	add := func(list []*approvalv1.Task) {
		for _, task := range list {
			asked[task.GetReviewer().GetUserId()] = true
		}
	}
	add(first.GetNextTasks())
	for _, ev := range e.List[1:] {
		m := ev.Message.(*eventv1.ApprovalRequested)
		if m.GetStep() != 2 || m.GetTasks()[0].GetRequest() != request {
			t.Fatalf("requested %v", m.GetContext())
		}
		add(m.GetTasks())
	}
	if len(asked) != len(tasks) {
		t.Fatalf("%d of %d are asked", len(asked), len(tasks))
	}
}
