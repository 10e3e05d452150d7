package approval_test

import (
	"slices"
	"testing"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-APR-07, B-APR-17, B-REQ-19: several tasks are decided in one call, each by itself: one
// that has changed, or that is not the caller's, holds up none of the others, and a
// repeated call decides nothing twice.
func TestBatchDecide(t *testing.T) {
	t.Parallel()
	w := start(t)
	var tasks []*approvalv1.Task
	var requests []*requestv1.Request
	for range 4 {
		r := w.request("ann", "ben")
		w.submit(t, r)
		requests, tasks = append(requests, r), append(tasks, w.taskOf(t, r, "pia"))
	}
	if _, err := w.approve(t, "per", w.taskOf(t, requests[1], "per")); err != nil {
		t.Fatal(err)
	}
	others := w.taskOf(t, requests[3], "per")
	in := &approvalv1.BatchDecideTasksRequest{
		Decision: approvalv1.TaskDecision_TASK_DECISION_APPROVE, Comment: "all of the team",
		Tasks: []*approvalv1.DecidedTask{
			{Id: tasks[0].GetId()}, {Id: tasks[1].GetId()}, {Id: tasks[2].GetId(), Etag: "another-than-was-shown--"}, {Id: others.GetId()}, {Id: id.New().String()}, {Id: tasks[3].GetId()},
		},
	}
	decide := func() (reasons []string) {
		t.Helper()
		out, err := w.tasks(t, "pia").BatchDecideTasks(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for n, r := range out.GetResults() {
			if r.GetId() != in.GetTasks()[n].GetId() || (r.GetReason() == "") != (r.GetMessage() == "") {
				t.Errorf("result %d: %v", n, r)
			}
			reasons = append(reasons, r.GetReason())
		}
		return reasons
	}
	want := []string{"", "TASK_ALREADY_DECIDED", "TASK_CHANGED", "TASK_NOT_FOUND", "TASK_NOT_FOUND", ""}
	if got := decide(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, n := range []int{0, 3} {
		if g := w.granted(t, requests[n]); g.GetTask().GetComment() != "all of the team" {
			t.Errorf("request %d: %v", n, g.GetTask())
		}
	}
	events := len(w.Events())
	if got := decide(); !slices.Equal(got, want) {
		t.Errorf("once more: %q, want %q", got, want)
	}
	w.drained(t)
	if n := len(w.Events()) - events; n > 1 { // that of drained
		t.Errorf("a repeated call emitted %d events", n-1)
	}

	in.Decision, in.Comment, in.Tasks = approvalv1.TaskDecision_TASK_DECISION_DENY, " ", in.GetTasks()[2:3]
	if _, err := w.tasks(t, "pia").BatchDecideTasks(t.Context(), in); rpctest.Reason(err) != "REASON_MISSING" || !slices.Equal(rpctest.Fields(err), []string{"comment"}) {
		t.Errorf("a denial without a reason: %v", err)
	}
	in.Comment, in.Tasks[0].Etag = "not now", ""
	if got := decide(); !slices.Equal(got, []string{""}) {
		t.Errorf("denied: %q", got)
	}
	in.Tasks = append(in.Tasks, in.GetTasks()[0])
	if _, err := w.tasks(t, "pia").BatchDecideTasks(t.Context(), in); rpctest.Reason(err) != "TASK_TWICE" {
		t.Errorf("one task twice: %v", err)
	}
}
