package approval_test

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// change publishes somebody with something changed.
func (w *world) change(t testing.TB, name string, change func(*identityv1.User)) {
	t.Helper()
	u := proto.CloneOf(w.users[name])
	u.Version++
	change(u)
	w.users[name] = u
	about := &eventv1.Context{Version: u.GetVersion()}
	if u.GetState() == identityv1.UserState_USER_STATE_SUSPENDED {
		w.Publish(t, w.org, w.id(name), &eventv1.UserSuspended{Context: about, User: u})
		return
	}
	w.Publish(t, w.org, w.id(name), &eventv1.UserUpdated{Context: about, User: u})
}

func (w *world) setState(t testing.TB, name string, state identityv1.UserState) {
	t.Helper()
	w.change(t, name, func(u *identityv1.User) { u.State = state })
}

// reassigned waits until a task of somebody in a request has gone.
func (w *world) reassigned(t testing.TB, r *requestv1.Request, from string) *eventv1.TaskReassigned {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(e *eventv1.TaskReassigned) bool {
		return e.GetFrom().GetRequestId() == r.GetId() && e.GetFrom().GetReviewer().GetDisplayName() == from
	})
}

// B-APR-19, B-ONB-17: nobody is asked about access for somebody who is not active,
// and nobody gives it; who is active again is decided about anew. Taking away goes on.
func TestBeneficiaryIsNotActive(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil) // the manager
	r, revoke := w.request("ann", "ann"), w.request("ann", "ann")
	revoke.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE // decided by the default
	w.submit(t, r)
	w.submit(t, revoke)
	task := w.asked(t, r, 1).GetTasks()[0]
	still := w.asked(t, revoke, 1).GetTasks()[0]

	w.setState(t, "ann", identityv1.UserState_USER_STATE_SUSPENDED)
	e := w.reassigned(t, r, "mia")
	if e.GetTo() != nil || e.GetReason() != "ann is not active; nobody is asked until they are" {
		t.Errorf("reassigned %v", e)
	}
	if _, err := w.approve(t, "mia", task); rpctest.Reason(err) != "BENEFICIARY_NOT_ACTIVE" {
		t.Errorf("approving for somebody suspended: %v", err)
	}
	if _, err := w.approve(t, still.GetReviewer().GetDisplayName(), still); err != nil {
		t.Errorf("taking away from somebody suspended: %v", err)
	}
	w.granted(t, revoke)
	if n := w.emitted(r.GetId())["ApprovalRequested"]; n != 1 {
		t.Errorf("asked %d times", n)
	}

	w.setState(t, "ann", identityv1.UserState_USER_STATE_ACTIVE)
	again := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalRequested) bool {
		return e.GetRequestId() == r.GetId() && len(e.GetTasks()) > 0 && e.GetTasks()[0].GetId() != task.GetId()
	})
	if _, err := w.approve(t, "mia", of(t, again.GetTasks(), "mia")); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
}

// Who has lost what they were asked for decides no more: a group, a place in the
// app, being the manager, an admin's role. Who is asked instead decides.
func TestReviewerIsNotEligibleAnyMore(t *testing.T) {
	t.Parallel()
	group := id.New()
	inGroup := func(t *testing.T, w *world, name string, version int64, in bool) {
		t.Helper()
		about := &eventv1.Context{Version: version}
		g := &identityv1.Group{Id: group.String(), OrganizationId: w.org.String(), DisplayName: "deciders", Version: version}
		if in {
			w.Publish(t, w.org, group, &eventv1.GroupMemberAdded{Context: about, Group: g, Member: w.person(name)})
		} else {
			w.Publish(t, w.org, group, &eventv1.GroupMemberRemoved{Context: about, Group: g, Member: w.person(name)})
		}
	}
	for _, tt := range []struct {
		name     string
		flow     func(*approvalv1.FlowInput)
		arrange  func(t *testing.T, w *world)
		reviewer string
		lose     func(t *testing.T, w *world)
		instead  string
	}{
		{
			name:    "the group",
			arrange: func(t *testing.T, w *world) { inGroup(t, w, "eve", 1, true); inGroup(t, w, "ben", 2, true) },
			flow: func(f *approvalv1.FlowInput) {
				f.Steps[0].Reviewers, f.Steps[0].GroupIds = approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS, []string{group.String()}
			},
			reviewer: "eve",
			lose:     func(t *testing.T, w *world) { inGroup(t, w, "eve", 3, false) },
			instead:  "ben",
		},
		{
			name: "a place in the app",
			flow: func(f *approvalv1.FlowInput) {
				f.Steps[0].Reviewers = approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS
			},
			reviewer: "pia",
			lose:     func(t *testing.T, w *world) { w.app(t, w.crm, "CRM", uuid.Nil, []string{"ada"}, []string{"per"}) },
			instead:  "per",
		},
		{
			name:     "being the manager",
			reviewer: "mia",
			lose: func(t *testing.T, w *world) {
				w.change(t, "ann", func(u *identityv1.User) { u.ManagerId = w.id("max").String() })
			},
			instead: "max",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			if tt.arrange != nil {
				tt.arrange(t, w)
				w.handled(t)
			}
			w.flow(t, tt.flow)
			r := w.request("ann", "ann")
			w.submit(t, r)
			task := of(t, w.asked(t, r, 1).GetTasks(), tt.reviewer)
			tt.lose(t, w)
			e := w.reassigned(t, r, tt.reviewer)
			if e.GetTo().GetReviewer().GetDisplayName() != tt.instead {
				t.Fatalf("reassigned %v", e)
			}
			if _, err := w.approve(t, tt.reviewer, task); rpctest.Reason(err) != "TASK_ALREADY_DECIDED" {
				t.Errorf("who is not asked any more approves: %v", err)
			}
			if _, err := w.approve(t, tt.instead, e.GetTo()); err != nil {
				t.Fatal(err)
			}
			w.granted(t, r)
		})
	}
}

// What nothing has said beforehand is seen when deciding: the manager's manager, who
// stood in, is above the beneficiary no more.
func TestEligibilityIsLookedAtWhenDeciding(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil) // the manager
	w.setState(t, "mia", identityv1.UserState_USER_STATE_SUSPENDED)
	w.handled(t)
	r := w.request("ann", "ann")
	w.submit(t, r)
	task := of(t, w.asked(t, r, 1).GetTasks(), "max")
	w.change(t, "mia", func(u *identityv1.User) { u.ManagerId = w.id("eve").String() })
	w.handled(t)
	if _, err := w.approve(t, "max", task); rpctest.Reason(err) != "REVIEWER_NOT_ELIGIBLE" {
		t.Fatalf("who is above the beneficiary no more approves: %v", err)
	}
	e := w.reassigned(t, r, "max")
	if e.GetTo().GetReviewer().GetDisplayName() != "eve" {
		t.Fatalf("reassigned %v", e)
	}
	if _, err := w.approve(t, "eve", e.GetTo()); err != nil {
		t.Fatal(err)
	}
	w.granted(t, r)
}
