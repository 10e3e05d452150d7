package approval_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// moves changes somebody, and waits until that is known.
func (w *world) moves(t *testing.T, name string, change func(*identityv1.User)) {
	t.Helper()
	u := w.users[name]
	u.Version++
	change(u)
	w.Publish(t, w.org, w.id(name), &eventv1.UserUpdated{Context: &eventv1.Context{Version: u.GetVersion()}, User: u})
	w.handled(t)
}

// refusedAsChanged checks that a decision was refused, for what and in which words.
func refusedAsChanged(t *testing.T, err error, what string, words ...string) {
	t.Helper()
	said := metadata(err)
	if status.Code(err) != codes.Aborted || rpctest.Reason(err) != "TASK_CHANGED" || said["what"] != what || said["etag"] == "" {
		t.Errorf("%v, %v, want TASK_CHANGED for %s", err, said, what)
		return
	}
	for _, s := range words {
		if !strings.Contains(err.Error(), s) || !strings.Contains(said["changes"], s) {
			t.Errorf("%v does not say %q", err, s)
		}
	}
}

// B-APR-17: a decision made on a page older than what is known of the person is refused
// with what has changed; one made on the page as it is now is taken, as is one that says
// nothing of what it has seen.
func TestDecisionOnOlderFacts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, words string
		change      func(*world, *identityv1.User)
	}{
		{"department", "ben is in Finance now", func(_ *world, u *identityv1.User) { u.Department = "Finance" }},
		{"title", "ben is Controller now", func(_ *world, u *identityv1.User) { u.Title = "Controller" }},
		{"manager", "ben reports to max now", func(w *world, u *identityv1.User) { u.ManagerId = w.users["max"].GetId() }},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			r := w.request("ben", "ben")
			w.submit(t, r)
			w.handled(t)
			seen := w.one(t, "pia", r.GetItems()[0].GetId())
			if again := w.one(t, "pia", seen.GetItemId()); seen.GetEtag() == "" || again.GetEtag() != seen.GetEtag() {
				t.Fatalf("etag %q, then %q", seen.GetEtag(), again.GetEtag())
			}
			w.moves(t, "ben", func(u *identityv1.User) { c.change(w, u) })
			pia := w.tasks(t, "pia")
			_, err := pia.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: seen.GetId(), Etag: seen.GetEtag()})
			refusedAsChanged(t, err, c.what, c.words)
			_, err = pia.DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: seen.GetId(), Reason: "no", Etag: seen.GetEtag()})
			refusedAsChanged(t, err, c.what, c.words)
			now := w.one(t, "pia", seen.GetItemId())
			if said := metadata(err)["etag"]; said != now.GetEtag() || now.GetEtag() == seen.GetEtag() {
				t.Errorf("the error has another etag than the task: %q, %q", said, now.GetEtag())
			}
			if _, err := pia.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: now.GetId(), Etag: now.GetEtag()}); err != nil {
				t.Errorf("looked again: %v", err)
			}
		})
	}
}

// B-APR-17: what a reviewer does not say that they have seen is not looked at.
func TestDecisionWithoutETag(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.request("ben", "ben")
	w.submit(t, r)
	w.handled(t)
	seen := w.one(t, "pia", r.GetItems()[0].GetId())
	w.moves(t, "ben", func(u *identityv1.User) { u.Department = "Finance" })
	if _, err := w.tasks(t, "pia").ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: seen.GetId()}); err != nil {
		t.Error(err)
	}
}

// B-APR-17, B-APR-07: who decides after others have, or after an item was taken back, is
// told of it; what they have decided themselves is no change.
func TestDecisionOnOlderItems(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, func(in *approvalv1.FlowInput) {
		in.Steps = []*approvalv1.FlowStep{step("Owners", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS)}
		in.Steps[0].Need = approvalv1.StepNeed_STEP_NEED_ALL
	})
	w.handled(t)
	r, items := w.many(t)
	pia, per := w.tasks(t, "pia"), w.tasks(t, "per")
	one, other := w.one(t, "pia", items[:3]...), w.one(t, "per", items...)
	approve := func(tasks approvalv1.TaskServiceClient, task *approvalv1.Task, about ...string) error {
		_, err := tasks.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId(), Etag: task.GetEtag(), ItemIds: about})
		return err
	}
	if err := approve(pia, one, items[0]); err != nil {
		t.Fatal(err)
	}
	w.handled(t)
	left := w.inbox(t, "pia", false)[0]
	left.Etag = one.GetEtag()
	if err := approve(pia, left, items[1]); err != nil {
		t.Errorf("after what she has decided herself: %v", err)
	}
	refusedAsChanged(t, approve(per, other, items[2]), "decisions", `"CRM: account" was approved by pia in step "Owners"`)
	now := w.one(t, "per", items...)
	if err := approve(per, now, items[3]); err != nil {
		t.Errorf("looked again: %v", err)
	}
	seen := w.inbox(t, "pia", false)[0]
	w.Publish(t, w.org, uuid.MustParse(r.GetId()), &eventv1.RequestCancelRequested{
		Context: &eventv1.Context{Actor: event.SystemActor("request")}, RequestId: r.GetId(), Reason: "taken back",
	})
	servicetest.Wait(t, w.Harness, func(e *eventv1.ApprovalCancelled) bool { return e.GetRequestId() == r.GetId() })
	if err := approve(pia, seen, items[2]); rpctest.Reason(err) != "TASK_ALREADY_DECIDED" {
		t.Errorf("of a request that was taken back: %v", err)
	}
}
