package approval_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

func TestPeopleAreNamedByUserName(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.handled(t)
	flows := w.flows(t, "zoe")
	ids := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, w.users[n].GetId())
		}
		return out
	}

	// A flow, with lists in messages and in messages of a list, made and changed.
	f := w.flow(t, func(in *approvalv1.FlowInput) {
		in.Audience = &approvalv1.FlowAudience{UserIds: []string{"ANN", "ben"}}
		in.Requesters = &approvalv1.FlowRequesters{UserIds: []string{"ann"}}
		in.Steps[0].Reviewers, in.Steps[0].UserIds = approvalv1.ReviewerKind_REVIEWER_KIND_USERS, []string{ids("per")[0], "mia"}
	})
	if !slices.Equal(f.GetAudience().GetUserIds(), ids("ann", "ben")) || !slices.Equal(f.GetRequesters().GetUserIds(), ids("ann")) || !slices.Equal(f.GetSteps()[0].GetUserIds(), ids("per", "mia")) {
		t.Errorf("got %v", f)
	}
	update := func(path string, change *approvalv1.Flow) (*approvalv1.Flow, error) {
		change.Id = f.GetId()
		r, err := flows.UpdateFlow(t.Context(), &approvalv1.UpdateFlowRequest{Flow: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}}})
		return r.GetFlow(), err
	}
	f, err := update("audience.user_ids", &approvalv1.Flow{Audience: &approvalv1.FlowAudience{UserIds: []string{"ben"}}})
	if err != nil || !slices.Equal(f.GetAudience().GetUserIds(), ids("ben")) {
		t.Fatalf("got %v, %v", f, err)
	}
	_, err = update("steps", &approvalv1.Flow{Steps: []*approvalv1.FlowStep{f.GetSteps()[0], {
		Name: "more", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, Need: approvalv1.StepNeed_STEP_NEED_ANY, UserIds: []string{"pia", "ghost"},
	}}})
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	if got := rpctest.Fields(err); !slices.Equal(got, []string{"flow.steps[1].user_ids[1]"}) {
		t.Errorf("fields %q", got)
	}

	// A task is given to somebody.
	r := w.request("ann", "ben")
	w.submit(t, r)
	task := of(t, w.asked(t, r, 1).GetTasks(), "mia")
	got, err := w.tasks(t, "mia").ReassignTask(t.Context(), &approvalv1.ReassignTaskRequest{Id: task.GetId(), ReviewerId: "pia", Reason: "knows more"})
	if err != nil || got.GetTask().GetReviewer().GetUserId() != w.users["pia"].GetId() {
		t.Errorf("got %v, %v", got, err)
	}
}

// Who is named is of the environment in which one acts; to the organization a name is that
// of its own people, whoever the environments have.
func TestNamesInEnvironments(t *testing.T) {
	t.Parallel()
	w := start(t)
	north, south := id.New().String(), id.New().String()
	for _, environment := range []string{north, south} {
		w.Publish(t, w.org, uuid.MustParse(environment), &eventv1.EnvironmentCreated{
			Environment: &identityv1.Environment{Id: environment, OrganizationId: w.org.String(), Name: environment, Version: 1},
		})
		w.joinIn(t, environment, "eva", "", identityv1.Role_ROLE_MEMBER)
		w.users["eva of "+environment] = w.users["eva"]
		w.joinIn(t, environment, "boss of "+environment, "", identityv1.Role_ROLE_ADMIN)
	}
	w.handled(t)
	flow := func(by string) (*approvalv1.Flow, error) {
		r, err := w.flows(t, by).CreateFlow(t.Context(), &approvalv1.CreateFlowRequest{Flow: &approvalv1.FlowInput{
			Name: "flow " + id.New().String(), Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST,
			Audience: &approvalv1.FlowAudience{UserIds: []string{"eva"}}, Scope: &approvalv1.FlowScope{Any: true},
			Steps: []*approvalv1.FlowStep{step("Manager", approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER)},
		}})
		return r.GetFlow(), err
	}
	for _, environment := range []string{north, south} {
		f, err := flow("boss of " + environment)
		if err != nil || !slices.Equal(f.GetAudience().GetUserIds(), []string{w.users["eva of "+environment].GetId()}) {
			t.Errorf("got %v, %v", f, err)
		}
	}
	_, err := flow("zoe")
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	if got := rpctest.Fields(err); !slices.Equal(got, []string{"flow.audience.user_ids[0]"}) {
		t.Errorf("fields %q", got)
	}
	w.joinIn(t, "", "eva", "", identityv1.Role_ROLE_MEMBER)
	w.handled(t)
	if f, err := flow("zoe"); err != nil || !slices.Equal(f.GetAudience().GetUserIds(), []string{w.users["eva"].GetId()}) {
		t.Errorf("got %v, %v", f, err)
	}
}
