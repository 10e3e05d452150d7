// Package grpcapi is approval's gRPC API: it translates a request into one
// command, and its result into the answer. Who may call is declared in the
// protos and enforced before; what a caller sees is what the caller's scope has.
package grpcapi

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/services/approval/internal/command"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// Register registers the API.
func Register(s grpc.ServiceRegistrar, c *command.Commands, answers *idempotency.Answers) {
	approvalv1.RegisterFlowServiceServer(s, flowService{commands: c, answers: answers})
	approvalv1.RegisterTaskServiceServer(s, taskService{commands: c})
	approvalv1.RegisterDelegationServiceServer(s, delegationService{commands: c, answers: answers})
	approvalv1.RegisterWorkingTimeServiceServer(s, workingTimeService{commands: c})
}

// person is the caller as a person.
func person(c authz.Caller) lifecycle.Person {
	return lifecycle.Person{ID: c.UserID.String(), Name: c.Name, Email: c.Email}
}

type flowService struct {
	approvalv1.UnimplementedFlowServiceServer
	commands *command.Commands
	answers  *idempotency.Answers
}

func (s flowService) CreateFlow(ctx context.Context, r *approvalv1.CreateFlowRequest) (*approvalv1.CreateFlowResponse, error) {
	c := authz.Must(ctx)
	out, _, err := idempotency.Do(ctx, s.answers, r, func(ctx context.Context) (*approvalv1.CreateFlowResponse, error) {
		f, err := s.commands.CreateFlow(ctx, c.Scope(), convert.UserActor(person(c)), r.GetEnvironmentId(), convert.FlowInput(r.GetFlow()))
		if err != nil {
			return nil, err
		}
		return &approvalv1.CreateFlowResponse{Flow: f}, nil
	})
	return out, err
}

func (s flowService) GetFlow(ctx context.Context, r *approvalv1.GetFlowRequest) (*approvalv1.GetFlowResponse, error) {
	flowID, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	f, err := s.commands.GetFlow(ctx, authz.Must(ctx).Scope(), flowID.String())
	if err != nil {
		return nil, err
	}
	return &approvalv1.GetFlowResponse{Flow: f}, nil
}

func (s flowService) ListFlows(ctx context.Context, r *approvalv1.ListFlowsRequest) (*approvalv1.ListFlowsResponse, error) {
	flows, next, err := s.commands.ListFlows(ctx, authz.Must(ctx).Scope(), r)
	if err != nil {
		return nil, err
	}
	return &approvalv1.ListFlowsResponse{Flows: flows, NextPageToken: next}, nil
}

func (s flowService) UpdateFlow(ctx context.Context, r *approvalv1.UpdateFlowRequest) (*approvalv1.UpdateFlowResponse, error) {
	c := authz.Must(ctx)
	flowID, err := id.Parse("flow.id", r.GetFlow().GetId())
	if err != nil {
		return nil, err
	}
	u := flowUpdate(r)
	f, err := s.commands.UpdateFlow(ctx, c.Scope(), convert.UserActor(person(c)), flowID.String(), changeOf(u))
	if err != nil {
		return nil, u.Within(err)
	}
	return &approvalv1.UpdateFlowResponse{Flow: f}, nil
}

func (s flowService) PreviewUpdateFlow(ctx context.Context, r *approvalv1.PreviewUpdateFlowRequest) (*approvalv1.PreviewUpdateFlowResponse, error) {
	flowID, err := id.Parse("flow.id", r.GetFlow().GetId())
	if err != nil {
		return nil, err
	}
	u := flowUpdate(r)
	out, err := s.commands.PreviewUpdateFlow(ctx, authz.Must(ctx).Scope(), flowID.String(), changeOf(u))
	if err != nil {
		return nil, u.Within(err)
	}
	return out, nil
}

// flowUpdate is a change of a flow, as a call asks for it.
func flowUpdate(r interface {
	GetFlow() *approvalv1.Flow
	GetUpdateMask() *fieldmaskpb.FieldMask
},
) resource.Update[*approvalv1.Flow] {
	return resource.Update[*approvalv1.Flow]{
		Field: "flow", Resource: r.GetFlow(), Mask: r.GetUpdateMask(), Fields: flowFields, Rules: &approvalv1.FlowInput{},
	}
}

// changeOf gives a flow as it is to be.
func changeOf(u resource.Update[*approvalv1.Flow]) func(*approvalv1.Flow) (lifecycle.Flow, error) {
	return func(before *approvalv1.Flow) (lifecycle.Flow, error) {
		after, err := u.Apply(before)
		if err != nil {
			return lifecycle.Flow{}, err
		}
		in := resource.Copy(after, &approvalv1.FlowInput{})
		in.Disabled = !after.GetEnabled()
		return convert.FlowInput(in), nil
	}
}

func (s flowService) PreviewDeleteFlow(ctx context.Context, r *approvalv1.PreviewDeleteFlowRequest) (*approvalv1.PreviewDeleteFlowResponse, error) {
	flowID, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	return s.commands.PreviewDeleteFlow(ctx, authz.Must(ctx).Scope(), flowID.String())
}

func (s flowService) PreviewFlow(ctx context.Context, r *approvalv1.PreviewFlowRequest) (*approvalv1.PreviewFlowResponse, error) {
	c := authz.Must(ctx)
	return s.commands.PreviewFlow(ctx, c.Scope(), convert.UserActor(person(c)), draft(r.GetDraft()))
}

func (s flowService) SimulateFlows(ctx context.Context, r *approvalv1.SimulateFlowsRequest) (*approvalv1.SimulateFlowsResponse, error) {
	c := authz.Must(ctx)
	m := command.Simulation{
		RequesterID: strings.ToLower(r.GetRequesterId()), BeneficiaryID: strings.ToLower(r.GetBeneficiaryId()), Kind: lifecycle.Kind(enum.Word(r.GetKind())),
		Justification: r.GetJustification(), Fields: r.GetFields(),
	}
	for _, entitlement := range r.GetEntitlementIds() {
		m.EntitlementIDs = append(m.EntitlementIDs, strings.ToLower(entitlement))
	}
	for field, t := range map[string]*timestamppb.Timestamp{"create_time": r.GetCreateTime(), "until": r.GetUntil()} {
		if t == nil {
			continue
		}
		if t.CheckValid() != nil {
			return nil, apierr.InvalidField(field, "TIME_INVALID", "not a time")
		}
	}
	if r.GetCreateTime() != nil {
		m.CreateTime = r.GetCreateTime().AsTime()
	}
	if r.GetUntil() != nil {
		m.Until = r.GetUntil().AsTime()
	}
	if r.GetDraft() != nil {
		d := draft(r.GetDraft())
		m.Draft = &d
	}
	items, err := s.commands.SimulateFlows(ctx, c.Scope(), convert.UserActor(person(c)), m)
	if err != nil {
		return nil, err
	}
	return &approvalv1.SimulateFlowsResponse{Items: items}, nil
}

func (s flowService) ReplayFlow(ctx context.Context, r *approvalv1.ReplayFlowRequest) (*approvalv1.ReplayFlowResponse, error) {
	c := authz.Must(ctx)
	return s.commands.ReplayFlow(ctx, c.Scope(), convert.UserActor(person(c)), draft(r.GetDraft()), cmp.Or(int(r.GetDays()), replayDays))
}

// replayDays is how far back a replay goes that does not say.
const replayDays = 30

// draft is a flow that a call does not save.
func draft(d *approvalv1.FlowDraft) command.Draft {
	return command.Draft{ID: d.GetId(), EnvironmentID: d.GetEnvironmentId(), Flow: convert.FlowInput(d.GetFlow())}
}

func (s flowService) LookUpRoutes(ctx context.Context, r *approvalv1.LookUpRoutesRequest) (*approvalv1.LookUpRoutesResponse, error) {
	organizationID, err := id.Parse("organization_id", r.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	routes, err := s.commands.LookUpRoutes(ctx, organizationID, r.GetRequest())
	if err != nil {
		return nil, err
	}
	return &approvalv1.LookUpRoutesResponse{Routes: routes}, nil
}

func (s flowService) DeleteFlow(ctx context.Context, r *approvalv1.DeleteFlowRequest) (*approvalv1.DeleteFlowResponse, error) {
	c := authz.Must(ctx)
	flowID, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	d := command.FlowDeletion{
		ETag: r.GetEtag(), Reason: r.GetReason(), CancelRequests: r.GetRequests() == approvalv1.FlowRequests_FLOW_REQUESTS_CANCEL,
		TakeBack: r.GetMatches() == approvalv1.FlowMatches_FLOW_MATCHES_TAKE_BACK,
	}
	if err := s.commands.DeleteFlow(ctx, c.Scope(), person(c), flowID.String(), d); err != nil {
		return nil, err
	}
	return &approvalv1.DeleteFlowResponse{}, nil
}

// flowFields are the fields of a flow that can be changed: those that it has in
// common with what a caller creates, and enabled, which is called disabled there.
var flowFields = func() []string {
	flow, input := (&approvalv1.Flow{}).ProtoReflect().Descriptor().Fields(), (&approvalv1.FlowInput{}).ProtoReflect().Descriptor().Fields()
	out := []string{"enabled"}
	for i := range input.Len() {
		if f := input.Get(i); flow.ByName(f.Name()) != nil {
			out = append(out, string(f.Name()))
		}
	}
	return out
}()

type taskService struct {
	approvalv1.UnimplementedTaskServiceServer
	commands *command.Commands
}

func (s taskService) ListTasks(ctx context.Context, r *approvalv1.ListTasksRequest) (*approvalv1.ListTasksResponse, error) {
	c := authz.Must(ctx)
	q := command.TaskQuery{State: convert.TaskState(r.GetState()), EachItem: r.GetEachItem()}
	all := false
	if r.GetRequestId() != "" {
		requestID, err := id.Parse("request_id", r.GetRequestId())
		if err != nil {
			return nil, err
		}
		q.RequestID = requestID.String()
		all = c.SeesAll()
	}
	if !all {
		q.ReviewerID = c.UserID.String()
		if q.State == "" {
			q.State = lifecycle.TaskOpen
		}
	}
	tasks, next, err := s.commands.ListTasks(ctx, c.Scope(), q, r)
	if err != nil {
		return nil, err
	}
	return &approvalv1.ListTasksResponse{Tasks: tasks, NextPageToken: next}, nil
}

func (s taskService) ApproveTask(ctx context.Context, r *approvalv1.ApproveTaskRequest) (*approvalv1.ApproveTaskResponse, error) {
	t, err := s.decide(ctx, r.GetId(), r.GetItemIds(), true, r.GetComment(), r.GetEtag())
	if err != nil {
		return nil, err
	}
	return &approvalv1.ApproveTaskResponse{Task: t}, nil
}

func (s taskService) DenyTask(ctx context.Context, r *approvalv1.DenyTaskRequest) (*approvalv1.DenyTaskResponse, error) {
	t, err := s.decide(ctx, r.GetId(), r.GetItemIds(), false, r.GetReason(), r.GetEtag())
	if err != nil {
		return nil, err
	}
	return &approvalv1.DenyTaskResponse{Task: t}, nil
}

func (s taskService) decide(ctx context.Context, task string, items []string, approve bool, comment, etag string) (*approvalv1.Task, error) {
	c := authz.Must(ctx)
	taskID, err := id.Parse("id", task)
	if err != nil {
		return nil, err
	}
	itemIDs, err := itemIDs(items)
	if err != nil {
		return nil, err
	}
	return s.commands.DecideTask(ctx, c.Scope(), command.Decision{
		TaskID: taskID.String(), ItemIDs: itemIDs, By: person(c), Approve: approve, Comment: comment, ETag: etag,
	})
}

func (s taskService) BatchDecideTasks(ctx context.Context, r *approvalv1.BatchDecideTasksRequest) (*approvalv1.BatchDecideTasksResponse, error) {
	approve := r.GetDecision() == approvalv1.TaskDecision_TASK_DECISION_APPROVE
	comment := r.GetComment()
	if !approve && strings.TrimSpace(comment) == "" {
		return nil, apierr.InvalidField("comment", "REASON_MISSING", "a denial has a reason")
	}
	seen := make(map[string]bool, len(r.GetTasks()))
	for n, d := range r.GetTasks() {
		taskID, err := id.Parse(fmt.Sprintf("tasks[%d].id", n), d.GetId())
		if err != nil {
			return nil, err
		}
		if seen[taskID.String()] {
			return nil, apierr.InvalidField(fmt.Sprintf("tasks[%d].id", n), "TASK_TWICE", "each task is decided once")
		}
		seen[taskID.String()] = true
	}
	out := &approvalv1.BatchDecideTasksResponse{}
	for _, d := range r.GetTasks() {
		t, err := s.decide(ctx, d.GetId(), d.GetItemIds(), approve, comment, d.GetEtag())
		if ctx.Err() != nil {
			return nil, ctx.Err() // what was decided by then is, and a repeated call says so
		}
		result := &approvalv1.TaskResult{Id: d.GetId(), Task: t}
		if err != nil && !decidedSo(err, approve) {
			result.Reason, result.Message = "FAILED", apierr.Status(err).Message()
			if e, ok := apierr.From(err); ok {
				result.Reason = e.Reason
			}
		}
		out.Results = append(out.Results, result)
	}
	return out, nil
}

// decidedSo reports whether an error says that the caller has decided so already: nobody
// else is told of their task.
func decidedSo(err error, approve bool) bool {
	e, ok := apierr.From(err)
	state := lifecycle.TaskDenied
	if approve {
		state = lifecycle.TaskApproved
	}
	return ok && e.Reason == "TASK_ALREADY_DECIDED" && e.Metadata["state"] == string(state)
}

// itemIDs are the ids of items in their plain form.
func itemIDs(list []string) ([]string, error) {
	var out []string
	for n, item := range list {
		u, err := id.Parse(fmt.Sprintf("item_ids[%d]", n), item)
		if err != nil {
			return nil, err
		}
		out = append(out, u.String())
	}
	return out, nil
}

func (s taskService) ReassignTask(ctx context.Context, r *approvalv1.ReassignTaskRequest) (*approvalv1.ReassignTaskResponse, error) {
	c := authz.Must(ctx)
	taskID, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	to, err := id.Parse("reviewer_id", r.GetReviewerId())
	if err != nil {
		return nil, err
	}
	items, err := itemIDs(r.GetItemIds())
	if err != nil {
		return nil, err
	}
	t, err := s.commands.ReassignTask(ctx, c.Scope(), command.Reassignment{
		TaskID: taskID.String(), ItemIDs: items, By: person(c), AnyTask: c.Administers(), ToID: to.String(), Reason: r.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &approvalv1.ReassignTaskResponse{Task: t}, nil
}

func (s taskService) RemindReviewers(ctx context.Context, r *approvalv1.RemindReviewersRequest) (*approvalv1.RemindReviewersResponse, error) {
	c := authz.Must(ctx)
	requestID, err := id.Parse("request_id", r.GetRequestId())
	if err != nil {
		return nil, err
	}
	items, err := itemIDs(r.GetItemIds())
	if err != nil {
		return nil, err
	}
	n, next, err := s.commands.RemindReviewers(ctx, c.Scope(), command.Reminding{
		RequestID: requestID.String(), ItemIDs: items, By: person(c), AnyRequest: c.Administers(),
	})
	if err != nil {
		return nil, err
	}
	return &approvalv1.RemindReviewersResponse{RemindedCount: int32(n), NextTime: convert.Time(next)}, nil //nolint:gosec // people of one organization
}
