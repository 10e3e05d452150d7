package approval_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// many is a request of ann's for three things in the crm, which pia and per approve, and
// one in the wiki, which per approves. It is submitted, and everybody is asked.
func (w *world) many(t *testing.T) (r *requestv1.Request, items []string) {
	t.Helper()
	wiki := id.New()
	w.app(t, wiki, "Wiki", uuid.Nil, nil, []string{"per"})
	r = w.request("ann", "ann")
	for n, app := range []uuid.UUID{w.crm, w.crm, wiki} {
		r.Items = append(r.Items, &requestv1.RequestItem{
			Id: id.New().String(), EntitlementId: id.New().String(), EntitlementName: fmt.Sprint("role ", n), AppId: app.String(), AppName: "app",
		})
	}
	w.submit(t, r)
	for _, i := range r.GetItems() {
		w.askedFor(t, r, i.GetId(), 1)
		items = append(items, i.GetId())
	}
	w.handled(t)
	return r, items
}

// inbox are somebody's open tasks.
func (w *world) inbox(t *testing.T, name string, each bool) []*approvalv1.Task {
	t.Helper()
	list, err := w.tasks(t, name).ListTasks(t.Context(), &approvalv1.ListTasksRequest{EachItem: each})
	if err != nil {
		t.Fatal(err)
	}
	return list.GetTasks()
}

// one is somebody's only open task, which must be about the items.
func (w *world) one(t *testing.T, name string, items ...string) *approvalv1.Task {
	t.Helper()
	tasks := w.inbox(t, name, false)
	if len(tasks) != 1 || !slices.Equal(tasks[0].GetItemIds(), items) || tasks[0].GetItemId() != items[0] {
		t.Fatalf("%s has %v, want one task about %v", name, tasks, items)
	}
	return tasks[0]
}

// B-REQ-19, in part: what one person decides by the same rule is one task, whose items
// are decided together or apart.
func TestOneDecisionForManyItems(t *testing.T) {
	t.Parallel()
	w := start(t)
	r, items := w.many(t)
	task := w.one(t, "pia", items[:3]...)
	w.one(t, "per", items...)
	if n := len(w.inbox(t, "per", true)); n != 4 {
		t.Errorf("each item by itself: %d", n)
	}
	for _, i := range task.GetRequest().GetItems() {
		if i.GetAppId() != w.crm.String() {
			t.Errorf("pia sees an item of another app: %v", i)
		}
	}
	approve := func(name string, task *approvalv1.Task, about ...string) ([]string, error) {
		t.Helper()
		r, err := w.tasks(t, name).ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId(), ItemIds: about})
		return r.GetTask().GetItemIds(), err
	}
	_, err := approve("pia", task, items[0], items[3])
	if rpctest.Reason(err) != "ITEM_NOT_IN_TASK" || !slices.Equal(rpctest.Fields(err), []string{"item_ids[1]"}) {
		t.Errorf("an item that is not hers: %v", err)
	}
	w.one(t, "pia", items[:3]...)
	if done, err := approve("pia", task, items[1]); err != nil || !slices.Equal(done, items[1:2]) {
		t.Fatalf("one of them: %v %v", done, err)
	}
	task = w.one(t, "pia", items[0], items[2])
	if done, err := approve("pia", task, items[0], items[2]); err != nil || !slices.Equal(done, []string{items[0], items[2]}) {
		t.Fatalf("the others: %v %v", done, err)
	}
	if left := w.inbox(t, "pia", false); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := approve("pia", task); rpctest.Reason(err) != "TASK_ALREADY_DECIDED" {
		t.Errorf("once more: %v", err)
	}
	if done, err := approve("per", w.one(t, "per", items[3])); err != nil || !slices.Equal(done, items[3:]) {
		t.Fatalf("the wiki: %v %v", done, err)
	}
	w.drained(t)
	if got := w.emitted(r.GetId()); got["ApprovalGranted"] != 4 || got["ApprovalDecided"] != 0 {
		t.Errorf("emitted %v", got)
	}
}

// B-APR-17, in part: who has seen one item decides about it alone, also if the task has
// come to be about others since. Nothing is decided of what was not named.
func TestItemsMustBeNamed(t *testing.T) {
	t.Parallel()
	w := start(t)
	_, items := w.many(t)
	task := w.one(t, "pia", items[:3]...)
	pia := w.tasks(t, "pia")
	_, approve := pia.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId()})
	_, deny := pia.DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: task.GetId(), Reason: "no"})
	_, reassign := pia.ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), Reason: "away", ReviewerId: w.users["ada"].GetId()})
	for what, err := range map[string]error{"approve": approve, "deny": deny, "reassign": reassign} {
		if rpctest.Reason(err) != "ITEMS_NOT_NAMED" || !slices.Equal(rpctest.Fields(err), []string{"item_ids"}) {
			t.Errorf("%s without items: %v", what, err)
		}
	}
	w.one(t, "pia", items[:3]...)
}

// B-APR-12: whoever would not be asked any more about one item decides the others alone.
func TestTogetherIsLookedAtItemByItem(t *testing.T) {
	t.Parallel()
	w := start(t)
	r, items := w.many(t)
	w.one(t, "per", items...)
	w.app(t, w.crm, "CRM", uuid.Nil, []string{"ada"}, []string{"pia"})
	w.reassigned(t, r, "per")
	task := w.one(t, "per", items[3])
	answer, err := w.tasks(t, "per").ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId()})
	if err != nil || !slices.Equal(answer.GetTask().GetItemIds(), items[3:]) {
		t.Fatalf("approved %v, %v", answer, err)
	}
	w.one(t, "pia", items[:3]...)
}

// A task goes to somebody else with all its items, or with some; not to somebody who does
// not see each of them.
func TestReassignTogether(t *testing.T) {
	t.Parallel()
	w := start(t)
	_, items := w.many(t)
	give := func(from, to string, about ...string) error {
		t.Helper()
		_, err := w.tasks(t, from).ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{
			Id: w.inbox(t, from, false)[0].GetId(), ReviewerId: w.users[to].GetId(), Reason: "away", ItemIds: about,
		})
		return err
	}
	if err := give("per", "ada", items...); rpctest.Reason(err) != "REVIEWER_NOT_CONCERNED" {
		t.Errorf("to somebody who does not see the wiki: %v", err)
	}
	w.one(t, "per", items...)
	if err := give("per", "ada", items[:2]...); err != nil {
		t.Fatal(err)
	}
	w.one(t, "ada", items[:2]...)
	w.one(t, "per", items[2:]...)
	if err := give("ada", "zoe", items[:2]...); err != nil {
		t.Fatal(err)
	}
	w.one(t, "zoe", items[:2]...)
}

// B-APR-06, B-REQ-19: a denial of some of the items ends these, and the others are decided;
// a cancellation ends what is not.
func TestDenyTogether(t *testing.T) {
	t.Parallel()
	w := start(t)
	r, items := w.many(t)
	task := w.one(t, "pia", items[:3]...)
	answer, err := w.tasks(t, "pia").DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: task.GetId(), Reason: "no", ItemIds: items[:2]})
	if err != nil || !slices.Equal(answer.GetTask().GetItemIds(), items[:2]) {
		t.Fatalf("denied %v, %v", answer, err)
	}
	servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalDenied) bool {
		return e.GetRequestId() == r.GetId() && e.GetTask().GetItemId() == items[1]
	})
	w.one(t, "pia", items[2])
	task = w.one(t, "per", items[2:]...)
	if _, err := w.tasks(t, "per").ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId(), ItemIds: items[3:]}); err != nil {
		t.Fatal(err)
	}
	w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestCancelRequested{
		Context: &eventv1.Context{Actor: event.SystemActor("request")}, RequestId: r.GetId(), Reason: "taken back",
	})
	cancelled := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalCancelled) bool { return e.GetRequestId() == r.GetId() })
	if !slices.Equal(cancelled.GetItemIds(), items[2:3]) {
		t.Errorf("cancelled %v", cancelled)
	}
	w.drained(t)
	if got := w.emitted(r.GetId()); got["ApprovalDenied"] != 2 || got["ApprovalGranted"] != 1 || got["ApprovalCancelled"] != 1 {
		t.Errorf("emitted %v", got)
	}
}
