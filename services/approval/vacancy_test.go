package approval_test

import (
	"slices"
	"testing"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-APR-18, B-APR-12: a step that nobody can decide says so, and what would help; it is
// not approved by that, nor by who asks. Once somebody is put into a place, they are
// asked; once they have gone, it says so again.
func TestNobodyToDecideIsSaid(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki, account := id.New(), id.New()
	w.app(t, wiki, "Wiki", account, nil, nil)
	r := w.request("zoe", "zoe") // the only admin, for herself
	r.Items[0].AppId, r.Items[0].AppName, r.Items[0].EntitlementId = wiki.String(), "Wiki", account.String()
	w.submit(t, r)
	e := w.asked(t, r, 1)
	v := e.GetVacancy()
	if len(e.GetTasks()) != 0 || v.GetStep() != 1 || v.GetReason() == "" || v.GetStepName() != e.GetStepName() {
		t.Fatalf("asked %v", e)
	}
	if want := []string{"name an approver of the app", "name an admin of the app", "make somebody an admin of the organization"}; !slices.Equal(v.GetHelp(), want) {
		t.Errorf("what would help: %q", v.GetHelp())
	}

	w.app(t, wiki, "Wiki", account, nil, []string{"pia"})
	asked := servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalRequested) bool {
		return e.GetRequestId() == r.GetId() && len(e.GetTasks()) > 0
	})
	if asked.GetVacancy() != nil || asked.GetContext().GetVersion() <= e.GetContext().GetVersion() {
		t.Errorf("asked once there is somebody: %v", asked)
	}
	task := of(t, asked.GetTasks(), "pia")
	if _, err := w.approve(t, "zoe", task); rpctest.Reason(err) != "TASK_NOT_FOUND" {
		t.Errorf("who asks approves: %v", err)
	}

	w.leave(t, "pia")
	gone := w.reassigned(t, r, "pia")
	if gone.GetTo() != nil || len(gone.GetVacancy().GetHelp()) == 0 {
		t.Errorf("gone: %v", gone)
	}
	w.handled(t)
	if n := w.emitted(r.GetId())["ApprovalGranted"]; n != 0 {
		t.Error("it was approved with nobody to decide")
	}
}

// B-APR-18, B-APR-19: who is not active is no vacancy; once they are active again and
// nobody can decide, that is said.
func TestHeldIsNoVacancy(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request("ann", "ann")
	w.submit(t, r)
	w.asked(t, r, 1)
	w.setState(t, "ann", identityv1.UserState_USER_STATE_SUSPENDED)
	if e := w.reassigned(t, r, "pia"); e.GetVacancy() != nil {
		t.Errorf("while ann is suspended: %v", e.GetVacancy())
	}
	for _, name := range []string{"pia", "per", "ada", "zoe"} {
		w.leave(t, name)
	}
	w.handled(t)
	w.setState(t, "ann", identityv1.UserState_USER_STATE_ACTIVE)
	servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalRequested) bool {
		return e.GetRequestId() == r.GetId() && len(e.GetTasks()) == 0 && len(e.GetVacancy().GetHelp()) > 0
	})
}

// B-USR-21: whom the app names decides, also if they have just come and are heard of only
// after the request; nobody is asked in their stead.
func TestReviewerWhoHasJustCome(t *testing.T) {
	t.Parallel()
	w := start(t)
	newcomer, app := id.New(), id.New()
	w.version++
	w.Publish(t, w.org, app, &eventv1.AppCreated{Context: &eventv1.Context{Version: w.version}, App: &requestv1.App{
		Id: app.String(), OrganizationId: w.org.String(), Name: "Wiki", ApproverIds: []string{newcomer.String()}, Version: w.version,
	}})
	r := w.request("ben", "ben")
	r.Items[0].AppId = app.String()
	w.submit(t, r)
	w.Publish(t, w.org, newcomer, &eventv1.UserJoined{User: &identityv1.User{
		Id: newcomer.String(), DisplayName: "abe", Email: "abe@example.com", State: identityv1.UserState_USER_STATE_ACTIVE,
		Role: identityv1.Role_ROLE_MEMBER, Kind: identityv1.UserKind_USER_KIND_EMPLOYEE, Version: 1, JoinCount: 1,
	}})
	if got := names(w.asked(t, r, 1).GetTasks()); !slices.Equal(got, []string{"abe"}) {
		t.Errorf("asked %q", got)
	}
}
