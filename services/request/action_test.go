package request_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// asks is how somebody sees what a request waits for: of all, of theirs, and what of it
// waits for them.
func (w *world) standing(t testing.TB, name string, r *requestv1.Request) string {
	t.Helper()
	w.handled(t)
	answer, err := w.requests(t, name).GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: r.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	got := answer.GetRequest()
	say := func(p *requestv1.Progress) string {
		if p == nil {
			return "none"
		}
		return fmt.Sprintf("%d/%d %d%%", p.GetDoneActions(), p.GetNeededActions(), p.GetPercent())
	}
	out := say(got.GetProgress()) + ", mine " + say(got.GetMyProgress())
	for _, a := range got.GetRequiredActions() {
		out += " " + a.String()[len("REQUIRED_ACTION_"):]
	}
	return out
}

func (w *world) wantAsks(t testing.TB, r *requestv1.Request, want map[string]string) {
	t.Helper()
	for name, asks := range want {
		if got := w.standing(t, name, r); got != asks {
			t.Errorf("%s sees %q, want %q", name, got, asks)
		}
	}
}

// opened is a step that opened with tasks; planned are how many approvals each step needs.
func (w *world) opened(r *requestv1.Request, step int32, version int64, planned []int32, tasks ...*approvalv1.Task) emission {
	m := &eventv1.ApprovalRequested{Context: about(r), RequestId: r.GetId(), ItemId: r.GetItems()[0].GetId(), Step: step, StepName: "approvers", Tasks: tasks}
	m.Context.AppId, m.Context.Version = r.GetItems()[0].GetAppId(), version
	for _, n := range planned {
		m.PlannedSteps = append(m.PlannedSteps, &eventv1.PlannedStep{NeededApprovals: n})
	}
	return emission{r.GetId(), m}
}

func (w *world) taskIn(r *requestv1.Request, step int32, reviewer string) *approvalv1.Task {
	t := w.task(r, reviewer)
	t.Step, t.CreateTime = step, timestamppb.New(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	return t
}

// approves is the decision of a task by which the approval goes on; next are the tasks that
// it opens.
func (w *world) approves(r *requestv1.Request, task *approvalv1.Task, version int64, completes bool, next ...*approvalv1.Task) emission {
	task = cloneOf(task)
	task.State = approvalv1.TaskState_TASK_STATE_APPROVED
	task.DecideTime = task.GetCreateTime()
	m := &eventv1.ApprovalDecided{Context: w.by(r, task.GetReviewer().GetDisplayName()), Task: task, StepApproved: completes, NextTasks: next}
	m.Context.AppId, m.Context.Version = r.GetItems()[0].GetAppId(), version
	if len(next) > 0 {
		m.NextStep = task.GetStep() + 1
	}
	return emission{r.GetId(), m}
}

// workItem is something to be done by hand in the app of a request's first item.
func (w *world) workItem(r *requestv1.Request, kind provisioningv1.WorkItemKind) (item *provisioningv1.WorkItem, opened emission) {
	item = &provisioningv1.WorkItem{Id: id.New().String(), AppId: r.GetItems()[0].GetAppId(), Kind: kind, State: provisioningv1.WorkItemState_WORK_ITEM_STATE_OPEN}
	m := &eventv1.WorkItemOpened{Context: about(r), WorkItem: item}
	m.Context.AppId = item.GetAppId()
	return item, emission{item.GetId(), m}
}

func (w *world) resolves(r *requestv1.Request, item *provisioningv1.WorkItem, by string) emission {
	item = cloneOf(item)
	item.State, item.Resolver = provisioningv1.WorkItemState_WORK_ITEM_STATE_RESOLVED, w.person(by)
	m := &eventv1.WorkItemResolved{Context: w.by(r, by), WorkItem: item}
	m.Context.AppId = item.GetAppId()
	return emission{item.GetId(), m}
}

// B-REQ-09: a request says how many of all actions are done, and to each reviewer how many
// of theirs. Steps that are still to come count with what they will need, and what nobody
// need do any more does not count.
func TestProgress(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("account"))
	w.wantAsks(t, r, map[string]string{"ann": "0/2 0%, mine none"})

	// Two steps, of which the second needs two approvals.
	plan := []int32{1, 2}
	pia, ben := w.taskIn(r, 1, "pia"), w.taskIn(r, 1, "ben")
	ada, ian, zoe := w.taskIn(r, 2, "ada"), w.taskIn(r, 2, "ian"), w.taskIn(r, 2, "zoe")
	w.publishAll(t, w.opened(r, 1, 2, plan, pia, ben))
	w.wantAsks(t, r, map[string]string{
		"ann": "0/4 0%, mine none", "pia": "0/4 0%, mine 0/1 0% DECIDE", "ben": "0/4 0%, mine 0/1 0% DECIDE", "zoe": "0/4 0%, mine none",
	})
	w.publishAll(t, w.approves(r, pia, 3, true, ada, ian, zoe))
	w.wantAsks(t, r, map[string]string{
		"ann": "1/4 25%, mine none", "pia": "1/4 25%, mine 1/1 100%", "ben": "1/4 25%, mine none", // hers is withdrawn
		"ada": "1/4 25%, mine 0/1 0% DECIDE", "zoe": "1/4 25%, mine 0/1 0% DECIDE",
	})
	// What comes late, or again, changes nothing.
	w.publishAll(t, w.opened(r, 1, 1, []int32{1, 5}, pia, ben), w.approves(r, pia, 3, true, ada, ian, zoe))
	w.wantAsks(t, r, map[string]string{"ben": "1/4 25%, mine none", "pia": "1/4 25%, mine 1/1 100%"})
	w.publishAll(t, w.approves(r, ada, 4, false))
	w.wantAsks(t, r, map[string]string{"ann": "2/4 50%, mine none", "ada": "2/4 50%, mine 1/1 100%", "zoe": "2/4 50%, mine 0/1 0% DECIDE"})
	last := cloneOf(zoe)
	last.State = approvalv1.TaskState_TASK_STATE_APPROVED
	granted := w.granted(r)
	granted.message.(*eventv1.ApprovalGranted).Task = last
	w.publishAll(t, granted)
	w.wantAsks(t, r, map[string]string{"ann": "3/4 75%, mine none", "ian": "3/4 75%, mine none", "zoe": "3/4 75%, mine 1/1 100%"})

	// By hand: for who runs the app, and for admins and IT admins. Whoever does it has done it.
	account, opened := w.workItem(r, provisioningv1.WorkItemKind_WORK_ITEM_KIND_CREATE_ACCOUNT)
	assign, also := w.workItem(r, provisioningv1.WorkItemKind_WORK_ITEM_KIND_ASSIGN)
	w.publishAll(t, opened, also)
	w.wantAsks(t, r, map[string]string{
		"ann": "3/4 75%, mine none", "pia": "3/4 75%, mine 1/1 100%",
		"ada": "3/4 75%, mine 1/3 33% PROVISION ASSIGN", "ian": "3/4 75%, mine 0/2 0% PROVISION ASSIGN", "zoe": "3/4 75%, mine 1/3 33% PROVISION ASSIGN",
	})
	w.publishAll(t, w.resolves(r, account, "ian"), opened)
	w.wantAsks(t, r, map[string]string{"ada": "3/4 75%, mine 1/2 50% ASSIGN", "ian": "3/4 75%, mine 1/2 50% ASSIGN"})
	w.publishAll(t, w.resolves(r, assign, "ada"))
	_, emissions := give(r, 0)
	w.publishAll(t, emissions...)
	w.closed(t, r)
	w.wantAsks(t, r, map[string]string{"ann": "4/4 100%, mine none", "ada": "4/4 100%, mine 2/2 100%", "ian": "4/4 100%, mine 1/1 100%"})
}

// B-REQ-09, B-REQ-19: an item that was denied does not hold the request below 100, and one
// that its flow approves is only to be put in place.
func TestProgressOfItemsApart(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("account", "editor"))
	pia := w.taskIn(r, 1, "pia")
	w.publishAll(t, w.opened(r, 1, 2, []int32{1, 3}, pia), emission{r.GetId(), &eventv1.ApprovalGranted{Context: about(r), Request: part(r, 1), Automatic: true}})
	w.wantAsks(t, r, map[string]string{"ann": "0/6 0%, mine none"})
	denial := w.denied(r, "pia", "no")
	task := cloneOf(pia)
	task.State = approvalv1.TaskState_TASK_STATE_DENIED
	denial.message.(*eventv1.ApprovalDenied).Task = task
	w.publishAll(t, denial)
	w.wantAsks(t, r, map[string]string{"ann": "1/2 50%, mine none", "pia": "1/2 50%, mine 1/1 100%"})
	_, emissions := give(r, 1)
	w.publishAll(t, emissions...)
	w.closed(t, r)
	w.wantAsks(t, r, map[string]string{"ann": "2/2 100%, mine none"})
}

// B-REQ-08, B-REQ-09: who gave a task away is asked no more.
func TestProgressOfReassigned(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("account"))
	from, to := w.taskIn(r, 1, "pia"), w.taskIn(r, 1, "ben")
	given := cloneOf(from)
	given.State = approvalv1.TaskState_TASK_STATE_REASSIGNED
	m := &eventv1.TaskReassigned{Context: w.by(r, "pia"), From: given, To: to, Reason: "knows better"}
	m.Context.AppId = r.GetItems()[0].GetAppId()
	// In whatever order it is heard of.
	w.publishAll(t, emission{from.GetId(), m}, w.opened(r, 1, 2, []int32{1}, from))
	w.wantAsks(t, r, map[string]string{"pia": "0/2 0%, mine none", "ben": "0/2 0%, mine 0/1 0% DECIDE"})
	if list, err := w.requests(t, "pia").ListRequests(t.Context(), &requestv1.ListRequestsRequest{}); err != nil ||
		!slices.ContainsFunc(list.GetRequests(), func(l *requestv1.Request) bool {
			return l.GetId() == r.GetId() && l.GetProgress().GetNeededActions() == 2
		}) {
		t.Errorf("the list says %v, %v", list, err)
	}
}
