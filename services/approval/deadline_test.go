package approval_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/servicetest"
	"gatehouse.dev/services/approval"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// monday9 is a Monday on which the default working time begins.
var monday9 = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

// startAt runs approval by a clock that is moved by hand.
func startAt(t testing.TB, now time.Time) (*world, *clock.Manual) {
	t.Helper()
	c := clock.NewManual(now)
	return start(t, func(cfg *approval.Config) { cfg.Clock = c }), c
}

// requestAt is a request that is made at a time.
func (w *world) requestAt(requester, beneficiary string, at time.Time) *requestv1.Request {
	r := w.request(requester, beneficiary)
	r.CreateTime = timestamppb.New(at)
	return r
}

func (w *world) reminded(t testing.TB, r *requestv1.Request) *eventv1.TaskReminded {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(m *eventv1.TaskReminded) bool { return m.GetRequestId() == r.GetId() })
}

func (w *world) escalated(t testing.TB, r *requestv1.Request) *eventv1.ApprovalEscalated {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(m *eventv1.ApprovalEscalated) bool { return m.GetRequestId() == r.GetId() })
}

// B-APR-05: what is not decided in 8 working hours reminds, once; in 24 it is put to the
// manager of who has not decided as well, who then decides it.
func TestRemindsAndEscalates(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	w.flow(t, nil)
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0]
	if got, want := task.GetRemindTime().AsTime(), monday9.Add(8*time.Hour); !got.Equal(want) {
		t.Errorf("reminds at %s, want %s", got, want)
	}
	if got, want := task.GetEscalateTime().AsTime(), monday9.Add(56*time.Hour); !got.Equal(want) {
		t.Errorf("escalates at %s, want %s", got, want)
	}
	now.Set(monday9.Add(8 * time.Hour))
	if m := w.reminded(t, r); len(m.GetTasks()) != 1 || m.GetTasks()[0].GetId() != task.GetId() || m.GetTasks()[0].GetLastRemindedTime() == nil || m.GetTasks()[0].GetRequest() == nil {
		t.Errorf("reminded %v", m)
	}
	now.Set(monday9.Add(56 * time.Hour))
	e := w.escalated(t, r)
	if got := names(e.GetTasks()); !slices.Equal(got, []string{"max"}) || !strings.Contains(e.GetTasks()[0].GetSubstitution(), "not decided in 24 working hours; escalated to mia's manager") {
		t.Fatalf("escalated to %v: %v", got, e)
	}
	w.drained(t)
	if n := len(servicetest.All[*eventv1.TaskReminded](w.Harness)); n != 1 {
		t.Errorf("reminded %d times", n)
	}
	// Who was asked before still can; here the other decides.
	if _, err := w.approve(t, "max", e.GetTasks()[0]); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
	_, err := w.approve(t, "mia", task)
	wantError(t, err, codes.FailedPrecondition, "TASK_ALREADY_DECIDED")
	servicetest.Eventually(t, "nothing is due of what has ended", func() bool { return w.count(t, "due") == 0 })
}

// B-APR-05: a flow says by itself when; what nobody is there to escalate to says so, and
// the step waits.
func TestEscalatesByTheFlow(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	f := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps[0] = step("Named", approvalv1.ReviewerKind_REVIEWER_KIND_USERS)
		in.Steps[0].UserIds = []string{w.users["eve"].GetId(), w.users["zoe"].GetId(), w.users["ada"].GetId()}
		in.Steps[0].Need = approvalv1.StepNeed_STEP_NEED_ALL
		in.Steps[0].RemindAfter, in.Steps[0].EscalateAfter = durationpb.New(time.Hour), durationpb.New(90*time.Minute)
	})
	if s := f.GetSteps()[0]; s.GetRemindAfter().AsDuration() != time.Hour || s.GetEscalateAfter().AsDuration() != 90*time.Minute {
		t.Errorf("the flow says %v", s)
	}
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	tasks := w.asked(t, r, 1).GetTasks()
	now.Set(monday9.Add(time.Hour))
	if got := names(w.reminded(t, r).GetTasks()); len(got) != 3 {
		t.Errorf("reminded %v", got)
	}
	// eve, zoe and ada have no managers; ada runs the app and zoe is the admin: nobody is left.
	now.Set(monday9.Add(90 * time.Minute))
	if e := w.escalated(t, r); len(e.GetTasks()) != 0 || !strings.Contains(e.GetReason(), "nobody further") || !strings.Contains(e.GetReason(), "90 minutes of working time") {
		t.Errorf("escalated %v", e)
	}
	for n, name := range []string{"ada", "eve", "zoe"} {
		if _, err := w.approve(t, name, of(t, tasks, name)); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
	}
	w.granted(t, r)
}

// B-APR-05: escalated is to the app's admins where the reviewers have no managers, and as
// many must approve as before.
func TestEscalatesToAdmins(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	r := w.requestAt("ann", "ann", monday9) // by the default flow: any approver
	w.submit(t, r)
	if got := names(w.asked(t, r, 1).GetTasks()); !slices.Equal(got, []string{"per", "pia"}) {
		t.Fatalf("asked %v", got)
	}
	now.Set(monday9.Add(56 * time.Hour))
	e := w.escalated(t, r)
	if got := names(e.GetTasks()); !slices.Equal(got, []string{"ada"}) || !strings.Contains(e.GetTasks()[0].GetSubstitution(), "escalated to the app's admins") {
		t.Fatalf("escalated to %v", e)
	}
	if _, err := w.approve(t, "ada", e.GetTasks()[0]); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
}

// B-APR-05: what must be decided within a time and is not is cancelled as expired, and
// says why.
func TestDecideWithin(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	f := w.flow(t, func(in *approvalv1.FlowInput) { in.DecideWithin = durationpb.New(14 * 24 * time.Hour) })
	if f.GetDecideWithin().AsDuration() != 14*24*time.Hour {
		t.Errorf("the flow says %s", f.GetDecideWithin())
	}
	// Submitted an hour before it came here.
	r := w.requestAt("ann", "ann", monday9.Add(-time.Hour))
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0]
	if got, want := task.GetDecideByTime().AsTime(), monday9.Add(14*24*time.Hour-time.Hour); !got.Equal(want) {
		t.Errorf("to be decided by %s, want %s", got, want)
	}
	now.Set(monday9.Add(14*24*time.Hour - time.Hour))
	c := servicetest.Wait(t, w.Harness, func(m *eventv1.ApprovalCancelled) bool { return m.GetRequestId() == r.GetId() })
	if !c.GetExpired() || c.GetReason() != "not decided within 14 days" {
		t.Errorf("cancelled: %v", c)
	}
	_, err := w.approve(t, "mia", task)
	wantError(t, err, codes.FailedPrecondition, "REQUEST_EXPIRED")
}

// B-APR-05: who waits has the reviewers reminded, once in a day, and nobody else does.
func TestRemindReviewers(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	r := w.requestAt("ann", "ben", monday9)
	w.submit(t, r)
	w.asked(t, r, 1)
	remind := func(name string, items ...string) (*approvalv1.RemindReviewersResponse, error) {
		return w.tasks(t, name).RemindReviewers(t.Context(), &approvalv1.RemindReviewersRequest{RequestId: r.GetId(), ItemIds: items})
	}
	for _, name := range []string{"eve", "pia"} {
		_, err := remind(name)
		wantError(t, err, codes.NotFound, "REQUEST_NOT_FOUND")
	}
	_, err := remind("ann", id.New().String())
	wantError(t, err, codes.InvalidArgument, "ITEM_UNKNOWN")
	out, err := remind("ben", r.GetItems()[0].GetId())
	if err != nil || out.GetRemindedCount() != 2 || !out.GetNextTime().AsTime().Equal(monday9.Add(24*time.Hour)) {
		t.Fatalf("%v, %v", out, err)
	}
	if m := w.reminded(t, r); m.GetContext().GetActor().GetId() != w.users["ben"].GetId() || len(m.GetTasks()) != 2 || !slices.Equal(m.GetTasks()[0].GetItemIds(), []string{r.GetItems()[0].GetId()}) {
		t.Errorf("reminded %v", m)
	}
	for _, name := range []string{"ann", "zoe"} {
		_, err = remind(name)
		wantError(t, err, codes.FailedPrecondition, "REMINDED_RECENTLY")
	}
	if got := metadata(err)["next_time"]; got != "2026-12-01T09:00:00Z" {
		t.Errorf("to be reminded again at %q", got)
	}
	now.Set(monday9.Add(24 * time.Hour))
	if _, err := remind("zoe"); err != nil {
		t.Error(err)
	}
	list, err := w.tasks(t, "pia").ListTasks(t.Context(), &approvalv1.ListTasksRequest{})
	if err != nil || !list.GetTasks()[0].GetLastRemindedTime().AsTime().Equal(monday9.Add(24*time.Hour)) {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := w.approve(t, "pia", list.GetTasks()[0]); err != nil {
		t.Fatal(err)
	}
	_, err = remind("ann")
	wantError(t, err, codes.FailedPrecondition, "REQUEST_NOT_OPEN")
}

// What has become due while nobody ran, and in whose calendar, is done once at the start.
func TestDueByTheEnvironmentsCalendar(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	if _, err := w.setWorkingTime(t, "zoe", "", &approvalv1.WorkingTime{Days: monday("09:00-10:00")}, "days"); err != nil {
		t.Fatal(err)
	}
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0]
	if got, want := task.GetRemindTime().AsTime(), monday9.AddDate(0, 0, 49).Add(time.Hour); !got.Equal(want) {
		t.Errorf("reminds at %s, want %s", got, want)
	}
	// It was said when the step opened, and a changed calendar changes nothing.
	if _, err := w.setWorkingTime(t, "zoe", "", &approvalv1.WorkingTime{Days: monday("00:00-24:00")}, "days"); err != nil {
		t.Fatal(err)
	}
	now.Set(monday9.AddDate(0, 0, 49))
	w.drained(t)
	if n := len(servicetest.All[*eventv1.TaskReminded](w.Harness)); n != 0 {
		t.Errorf("reminded %d times too early", n)
	}
	now.Set(monday9.AddDate(0, 0, 200))
	w.reminded(t, r)
	w.escalated(t, r)
}
