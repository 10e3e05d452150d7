package approval_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

func (w *world) delegations(t testing.TB, name string) approvalv1.DelegationServiceClient {
	t.Helper()
	return approvalv1.NewDelegationServiceClient(w.Conn(t, w.caller(name)))
}

// delegate has somebody delegate to somebody else.
func (w *world) delegate(t testing.TB, from, to string, begin, until time.Time) *approvalv1.Delegation {
	t.Helper()
	r, err := w.delegations(t, from).CreateDelegation(t.Context(), &approvalv1.CreateDelegationRequest{
		DelegateId: w.users[to].GetId(), From: timestamppb.New(begin), Until: timestamppb.New(until), Reason: "on holiday",
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetDelegation()
}

// handed waits until a request's task has gone from somebody to somebody else.
func (w *world) handed(t testing.TB, r *requestv1.Request, from, to string) *eventv1.TaskReassigned {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(m *eventv1.TaskReassigned) bool {
		return m.GetFrom().GetRequestId() == r.GetId() && m.GetFrom().GetReviewer().GetDisplayName() == from && m.GetTo().GetReviewer().GetDisplayName() == to
	})
}

// B-APR-05: what somebody who is absent would decide, and what is open of it, their
// delegate decides, on their behalf; what is open when it ends comes back.
func TestDelegation(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	w.flow(t, nil)
	open := w.requestAt("ann", "ann", monday9)
	w.submit(t, open)
	first := w.asked(t, open, 1).GetTasks()[0]
	d := w.delegate(t, "mia", "eve", monday9, monday9.AddDate(0, 0, 7))
	if d.GetState() != approvalv1.DelegationState_DELEGATION_STATE_ACTIVE || d.GetDelegator().GetDisplayName() != "mia" {
		t.Errorf("made %v", d)
	}
	servicetest.Wait(t, w.Harness, func(m *eventv1.DelegationCreated) bool { return m.GetDelegation().GetId() == d.GetId() })
	moved := w.handed(t, open, "mia", "eve")
	if moved.GetReason() != "mia is absent until 2026-12-07, delegated to eve" || moved.GetTo().GetOnBehalfOf().GetDisplayName() != "mia" {
		t.Errorf("handed over %v", moved)
	}
	_, err := w.approve(t, "mia", first)
	wantError(t, err, codes.FailedPrecondition, "TASK_ALREADY_DECIDED")

	// What is asked now goes to the delegate at once, who sees the request as a reviewer does.
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0]
	if got := names([]*approvalv1.Task{task}); got[0] != "eve" || task.GetSubstitution() != "mia is absent until 2026-12-07, delegated to eve" || task.GetOnBehalfOf().GetUserId() != w.users["mia"].GetId() {
		t.Fatalf("asked %v", task)
	}
	list, err := w.tasks(t, "eve").ListTasks(t.Context(), &approvalv1.ListTasksRequest{})
	if err != nil || len(list.GetTasks()) != 2 || len(list.GetTasks()[1].GetRequest().GetItems()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if _, err := w.approve(t, "eve", task); err != nil {
		t.Fatal(err)
	}
	if g := w.granted(t, r); g.GetTask().GetOnBehalfOf().GetDisplayName() != "mia" || g.GetTask().GetReviewer().GetDisplayName() != "eve" {
		t.Errorf("granted %v", g)
	}

	// Its time comes: what is open comes back.
	now.Set(monday9.AddDate(0, 0, 7))
	if m := servicetest.Wait(t, w.Harness, func(m *eventv1.DelegationEnded) bool { return true }); m.GetDelegation().GetEndedBy() != nil || m.GetDelegation().GetState() != approvalv1.DelegationState_DELEGATION_STATE_ENDED {
		t.Errorf("ended %v", m)
	}
	back := w.handed(t, open, "eve", "mia")
	_, err = w.approve(t, "eve", moved.GetTo())
	wantError(t, err, codes.FailedPrecondition, "TASK_ALREADY_DECIDED")
	if _, err := w.approve(t, "mia", back.GetTo()); err != nil {
		t.Fatal(err)
	}
	if g := w.granted(t, open); g.GetTask().GetOnBehalfOf() != nil {
		t.Errorf("granted %v", g)
	}
}

// B-APR-05: one that begins later begins then; who is back ends it before its time; it is
// listed to those whom it concerns.
func TestDelegationBeginsAndIsEnded(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	w.flow(t, nil)
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	w.asked(t, r, 1)
	d := w.delegate(t, "mia", "pia", monday9.AddDate(0, 0, 1), monday9.AddDate(0, 0, 3))
	if d.GetState() != approvalv1.DelegationState_DELEGATION_STATE_PENDING {
		t.Errorf("made %v", d)
	}
	for name, want := range map[string]int{"mia": 1, "pia": 1, "eve": 0, "zoe": 1, "ria": 1} {
		list, err := w.delegations(t, name).ListDelegations(t.Context(), &approvalv1.ListDelegationsRequest{})
		if err != nil || len(list.GetDelegations()) != want {
			t.Errorf("%s sees %v, %v", name, list, err)
		}
	}
	now.Set(monday9.AddDate(0, 0, 1))
	w.handed(t, r, "mia", "pia")
	for _, name := range []string{"pia", "eve"} {
		_, err := w.delegations(t, name).EndDelegation(t.Context(), &approvalv1.EndDelegationRequest{Id: d.GetId()})
		wantError(t, err, codes.NotFound, "DELEGATION_NOT_FOUND")
	}
	out, err := w.delegations(t, "mia").EndDelegation(t.Context(), &approvalv1.EndDelegationRequest{Id: d.GetId()})
	if err != nil || out.GetDelegation().GetEndedBy().GetDisplayName() != "mia" {
		t.Fatalf("%v, %v", out, err)
	}
	again, err := w.delegations(t, "zoe").EndDelegation(t.Context(), &approvalv1.EndDelegationRequest{Id: d.GetId()})
	if err != nil || again.GetDelegation().GetEndedBy().GetDisplayName() != "mia" {
		t.Errorf("ended again: %v, %v", again, err)
	}
	back := w.handed(t, r, "pia", "mia")
	if _, err := w.approve(t, "mia", back.GetTo()); err != nil {
		t.Error(err)
	}
	list, err := w.delegations(t, "mia").ListDelegations(t.Context(), &approvalv1.ListDelegationsRequest{})
	if err != nil || len(list.GetDelegations()) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if list, err = w.delegations(t, "mia").ListDelegations(t.Context(), &approvalv1.ListDelegationsRequest{IncludeEnded: true}); err != nil || len(list.GetDelegations()) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

// B-APR-04, B-APR-05: nobody decides for themselves through a delegation; who has
// delegated on is passed over; and a delegate who cannot decide leaves it to the delegator.
func TestDelegationsAreFollowed(t *testing.T) {
	t.Parallel()
	w, now := startAt(t, monday9)
	w.flow(t, nil)
	until := monday9.AddDate(0, 0, 7)
	w.delegate(t, "mia", "ben", monday9, until)
	// Its delegate asks for themselves: the next in line decides.
	own := w.requestAt("ben", "ann", monday9)
	w.submit(t, own)
	task := w.asked(t, own, 1).GetTasks()[0]
	if task.GetReviewer().GetDisplayName() != "max" || !strings.Contains(task.GetSubstitution(), "delegated to ben; ben is the requester; next in line: mia's manager") {
		t.Errorf("asked %v", task)
	}
	// On, to somebody else.
	w.delegate(t, "ben", "eve", monday9, until)
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	task = w.asked(t, r, 1).GetTasks()[0]
	if task.GetReviewer().GetDisplayName() != "eve" || task.GetOnBehalfOf().GetDisplayName() != "mia" || !strings.Contains(task.GetSubstitution(), "delegated to ben; ben is absent") {
		t.Errorf("asked %v", task)
	}
	_, err := w.delegations(t, "eve").CreateDelegation(t.Context(), &approvalv1.CreateDelegationRequest{DelegateId: w.users["mia"].GetId(), Until: timestamppb.New(until)})
	wantError(t, err, codes.FailedPrecondition, "DELEGATION_CYCLE")
	if !strings.Contains(err.Error(), "eve → mia → ben → eve") {
		t.Errorf("the cycle is %v", err)
	}
	// eve is suspended: it is ben's.
	eve := w.users["eve"]
	eve.State, eve.Version = identityv1.UserState_USER_STATE_SUSPENDED, 2
	w.Publish(t, w.org, w.id("eve"), &eventv1.UserSuspended{Context: &eventv1.Context{Version: 2}, User: eve})
	back := w.handed(t, r, "eve", "ben")
	if back.GetReason() == "" || back.GetTo().GetOnBehalfOf().GetDisplayName() != "mia" {
		t.Errorf("handed %v", back)
	}
	if _, err := w.approve(t, "ben", back.GetTo()); err != nil {
		t.Error(err)
	}
	_ = now
}

// B-APR-05: where all must approve, nobody counts for two: who is asked already is not
// asked for another.
func TestDelegateCountsOnce(t *testing.T) {
	t.Parallel()
	w, _ := startAt(t, monday9)
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps[0] = step("Named", approvalv1.ReviewerKind_REVIEWER_KIND_USERS)
		in.Steps[0].Need = approvalv1.StepNeed_STEP_NEED_ALL
		in.Steps[0].UserIds = []string{w.users["eve"].GetId(), w.users["max"].GetId(), w.users["mia"].GetId()}
	})
	before := w.requestAt("ann", "ann", monday9)
	w.submit(t, before)
	w.asked(t, before, 1)
	w.delegate(t, "eve", "max", monday9, monday9.AddDate(0, 0, 7))
	w.delegate(t, "mia", "pia", monday9, monday9.AddDate(0, 0, 7))
	w.handed(t, before, "mia", "pia")
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	tasks := w.asked(t, r, 1).GetTasks()
	got := names(tasks)
	slices.Sort(got)
	if !slices.Equal(got, []string{"eve", "max", "pia"}) {
		t.Fatalf("asked %v", got)
	}
	for _, name := range got {
		w.drained(t)
		if n := w.emitted(r.GetId())["ApprovalGranted"]; n != 0 {
			t.Error("granted before all have approved")
		}
		if _, err := w.approve(t, name, of(t, tasks, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.granted(t, r)
	for _, m := range servicetest.All[*eventv1.TaskReassigned](w.Harness) {
		if m.GetFrom().GetReviewer().GetDisplayName() == "eve" {
			t.Errorf("handed over %v", m)
		}
	}
}

func TestDelegationsRefused(t *testing.T) {
	t.Parallel()
	w, _ := startAt(t, monday9)
	north := w.environment(t, "North")
	w.joinIn(t, north, "nora", "", identityv1.Role_ROLE_MEMBER)
	w.join(t, "rob", "", identityv1.Role_ROLE_MEMBER)
	w.join(t, "ext", "", identityv1.Role_ROLE_MEMBER)
	w.join(t, "guest", "", identityv1.Role_ROLE_EXTERNAL)
	for name, kind := range map[string]identityv1.UserKind{"rob": identityv1.UserKind_USER_KIND_SERVICE, "ext": identityv1.UserKind_USER_KIND_EXTERNAL} {
		u := w.users[name]
		u.Kind, u.Version = kind, 2
		w.Publish(t, w.org, w.id(name), &eventv1.UserUpdated{Context: &eventv1.Context{Version: 2}, User: u})
	}
	w.leave(t, "per")
	w.handled(t)
	week := monday9.AddDate(0, 0, 7)
	w.delegate(t, "max", "mia", week, week.AddDate(0, 0, 7))
	for name, tt := range map[string]struct {
		by, from, to string
		begin, until time.Time
		code         codes.Code
		reason       string
	}{
		"for another":        {"eve", "mia", "pia", monday9, week, codes.PermissionDenied, "DELEGATOR_IS_ANOTHER"},
		"to oneself":         {"eve", "eve", "eve", monday9, week, codes.InvalidArgument, "DELEGATE_IS_DELEGATOR"},
		"to an external":     {"eve", "eve", "ext", monday9, week, codes.InvalidArgument, "DELEGATE_CANNOT_DECIDE"},
		"to a guest":         {"eve", "eve", "guest", monday9, week, codes.InvalidArgument, "DELEGATE_CANNOT_DECIDE"},
		"to a risk manager":  {"eve", "eve", "ria", monday9, week, codes.InvalidArgument, "DELEGATE_CANNOT_DECIDE"},
		"to a service":       {"eve", "eve", "rob", monday9, week, codes.InvalidArgument, "DELEGATE_CANNOT_DECIDE"},
		"of a service":       {"rob", "rob", "pia", monday9, week, codes.InvalidArgument, "NOT_A_PERSON"},
		"to another's place": {"eve", "eve", "nora", monday9, week, codes.InvalidArgument, "DELEGATE_CANNOT_DECIDE"},
		"to who has left":    {"eve", "eve", "per", monday9, week, codes.InvalidArgument, "USER_UNKNOWN"},
		"in the past":        {"eve", "eve", "pia", monday9.AddDate(0, 0, -7), monday9, codes.InvalidArgument, "END_PASSED"},
		"ends before":        {"eve", "eve", "pia", week, monday9.AddDate(0, 0, 1), codes.InvalidArgument, "END_BEFORE_START"},
		"too long":           {"eve", "eve", "pia", week, week.AddDate(0, 0, 91), codes.InvalidArgument, "DELEGATION_TOO_LONG"},
		"a second":           {"max", "max", "pia", monday9, week.AddDate(0, 0, 1), codes.FailedPrecondition, "DELEGATION_OVERLAPS"},
		"comes back":         {"mia", "mia", "max", monday9, week.AddDate(0, 0, 1), codes.FailedPrecondition, "DELEGATION_CYCLE"},
		"nobody":             {"eve", "eve", "", monday9, week, codes.InvalidArgument, "USER_UNKNOWN"},
		"by a risk manager":  {"ria", "ria", "pia", monday9, week, codes.PermissionDenied, ""},
	} {
		in := &approvalv1.CreateDelegationRequest{
			DelegatorId: w.users[tt.from].GetId(), DelegateId: w.org.String(), From: timestamppb.New(tt.begin), Until: timestamppb.New(tt.until),
		}
		if tt.to != "" {
			in.DelegateId = w.users[tt.to].GetId()
		}
		_, err := w.delegations(t, tt.by).CreateDelegation(t.Context(), in)
		switch {
		case tt.reason == "" && err != nil:
		case rpctest.Reason(err) != tt.reason || tt.reason == "":
			t.Errorf("%s: %v (%s)", name, err, rpctest.Reason(err))
		}
	}
	// One that ends before the other begins does not come back, and an admin makes one for
	// somebody else.
	w.delegate(t, "mia", "max", monday9, week)
	made, err := w.delegations(t, "zoe").CreateDelegation(t.Context(), &approvalv1.CreateDelegationRequest{
		DelegatorId: w.users["eve"].GetId(), DelegateId: w.users["pia"].GetId(), Until: timestamppb.New(week),
	})
	if err != nil || made.GetDelegation().GetCreator().GetDisplayName() != "zoe" || made.GetDelegation().GetDelegator().GetDisplayName() != "eve" {
		t.Errorf("%v, %v", made, err)
	}
	// To who has delegated nobody gives a task.
	w.flow(t, nil)
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0] // mia has delegated to max
	if task.GetReviewer().GetDisplayName() != "max" {
		t.Fatalf("asked %v", task)
	}
	_, err = w.tasks(t, "max").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: w.users["mia"].GetId(), Reason: "she knows"})
	wantError(t, err, codes.InvalidArgument, "REVIEWER_ABSENT")
}

// B-APR-05: what is decided for somebody goes to others when they would not be asked any
// more themselves.
func TestDelegatorIsReplaced(t *testing.T) {
	t.Parallel()
	w, _ := startAt(t, monday9)
	w.flow(t, nil)
	w.delegate(t, "mia", "eve", monday9, monday9.AddDate(0, 0, 7))
	r := w.requestAt("ann", "ann", monday9)
	w.submit(t, r)
	task := w.asked(t, r, 1).GetTasks()[0]
	servicetest.Eventually(t, "the delegation has begun", func() bool {
		return w.count(t, "due where kind = 'delegation' and due_time <= '2026-11-30 09:00:00Z'")+w.count(t, "task where recheck") == 0
	})
	mia := w.users["mia"]
	mia.State, mia.Version = identityv1.UserState_USER_STATE_SUSPENDED, 2
	w.Publish(t, w.org, w.id("mia"), &eventv1.UserSuspended{Context: &eventv1.Context{Version: 2}, User: mia})
	moved := w.handed(t, r, "eve", "max")
	if moved.GetFrom().GetId() != task.GetId() || moved.GetTo().GetOnBehalfOf() != nil {
		t.Errorf("moved %v", moved)
	}
	if _, err := w.approve(t, "max", moved.GetTo()); err != nil {
		t.Error(err)
	}
}
