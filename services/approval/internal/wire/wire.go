// Package wire turns the rules' values into protos and events, and protos into
// the rules' values. It decides nothing.
package wire

import (
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/services/approval/internal/lifecycle"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

var reviewers = map[approvalv1.ReviewerKind]lifecycle.Reviewers{
	approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER:       lifecycle.Manager,
	approvalv1.ReviewerKind_REVIEWER_KIND_APP_OWNER:     lifecycle.AppOwner,
	approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS: lifecycle.AppApprovers,
	approvalv1.ReviewerKind_REVIEWER_KIND_APP_ADMINS:    lifecycle.AppAdmins,
	approvalv1.ReviewerKind_REVIEWER_KIND_USERS:         lifecycle.NamedUsers,
	approvalv1.ReviewerKind_REVIEWER_KIND_GROUPS:        lifecycle.NamedGroups,
}

var taskStates = map[lifecycle.TaskState]approvalv1.TaskState{
	lifecycle.TaskOpen:       approvalv1.TaskState_TASK_STATE_OPEN,
	lifecycle.TaskApproved:   approvalv1.TaskState_TASK_STATE_APPROVED,
	lifecycle.TaskDenied:     approvalv1.TaskState_TASK_STATE_DENIED,
	lifecycle.TaskDropped:    approvalv1.TaskState_TASK_STATE_CANCELLED,
	lifecycle.TaskReassigned: approvalv1.TaskState_TASK_STATE_REASSIGNED,
}

// TaskState is the rules' name of a state; empty for unspecified.
func TaskState(s approvalv1.TaskState) lifecycle.TaskState {
	for k, v := range taskStates {
		if v == s {
			return k
		}
	}
	return ""
}

// Flow is a flow as the rules see it.
func Flow(f *approvalv1.Flow) lifecycle.Flow {
	out := lifecycle.Flow{
		ID: f.GetId(), Version: f.GetVersion(), Trigger: Trigger(f.GetTrigger()),
		Audience: lifecycle.Audience{
			Everyone: f.GetAudience().GetEveryone(),
			GroupIDs: f.GetAudience().GetGroupIds(), UserIDs: f.GetAudience().GetUserIds(),
		},
		Scope: lifecycle.Scope{
			Any: f.GetScope().GetAny(), AppIDs: f.GetScope().GetAppIds(), EntitlementIDs: f.GetScope().GetEntitlementIds(),
		},
		AutoApprove: f.GetAutoApprove(), Priority: f.GetPriority(), Enabled: f.GetEnabled(),
		MaxDuration: f.GetMaxDuration().AsDuration(), CreateTime: f.GetCreateTime().AsTime(),
	}
	for _, k := range f.GetKinds() {
		out.Kinds = append(out.Kinds, kind(k))
	}
	for _, s := range f.GetSteps() {
		need := lifecycle.NeedAll
		switch s.GetNeed() {
		case approvalv1.StepNeed_STEP_NEED_ANY:
			need = lifecycle.NeedAny
		case approvalv1.StepNeed_STEP_NEED_COUNT:
			need = lifecycle.NeedCount
		}
		out.Steps = append(out.Steps, lifecycle.StepSpec{
			Name: s.GetName(), Reviewers: reviewers[s.GetReviewers()], UserIDs: s.GetUserIds(), GroupIDs: s.GetGroupIds(),
			Need: need, NeedCount: int(s.GetNeedCount()),
		})
	}
	return out
}

// Trigger is a trigger as the rules see it.
func Trigger(t approvalv1.FlowTrigger) lifecycle.Trigger {
	if t == approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN {
		return lifecycle.OnJoin
	}
	return lifecycle.OnRequest
}

func kind(k requestv1.RequestKind) lifecycle.Kind {
	if k == requestv1.RequestKind_REQUEST_KIND_REVOKE {
		return lifecycle.Revoke
	}
	return lifecycle.Grant
}

// Ask is a request as the rules see it, without the beneficiary's groups and
// state and the join-flow.
func Ask(r *requestv1.Request) lifecycle.Ask {
	out := lifecycle.Ask{
		RequestID: r.GetId(), Kind: kind(r.GetKind()),
		Requester: FromPerson(r.GetRequester()), Beneficiary: FromPerson(r.GetBeneficiary()),
		Member:     lifecycle.Member{ID: r.GetBeneficiary().GetUserId()},
		CreateTime: r.GetCreateTime().AsTime(),
	}
	if r.GetUntil() != nil {
		out.Until = r.GetUntil().AsTime()
	}
	for _, it := range r.GetItems() {
		out.Items = append(out.Items, lifecycle.Item{
			ID: it.GetId(), AppID: it.GetAppId(), AppName: it.GetAppName(), EntitlementID: it.GetEntitlementId(),
		})
	}
	return out
}

// AppIDs are the apps a request is about, each once, in order.
func AppIDs(r *requestv1.Request) []string {
	ids := make(map[string]bool, len(r.GetItems()))
	for _, it := range r.GetItems() {
		ids[it.GetAppId()] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// FromPerson is a person as the rules see them.
func FromPerson(p *identityv1.Person) lifecycle.Person {
	return lifecycle.Person{ID: p.GetUserId(), Name: p.GetDisplayName(), Email: p.GetEmail()}
}

// Person is a person to show; nil for nobody.
func Person(p lifecycle.Person) *identityv1.Person {
	if p.ID == "" {
		return nil
	}
	return &identityv1.Person{UserId: p.ID, DisplayName: p.Name, Email: p.Email}
}

// Task is a task to show, with its request.
func Task(t *lifecycle.Task, stepName string, r *requestv1.Request) *approvalv1.Task {
	return &approvalv1.Task{
		Id: t.ID, RequestId: r.GetId(), ItemId: t.ItemID, Step: int32(t.Position), StepName: stepName,
		Reviewer: Person(t.Reviewer), State: taskStates[t.State], Substitution: t.Substitution, Comment: t.Comment,
		CreateTime: Time(t.CreateTime), DecideTime: Time(t.EndTime), Request: r,
	}
}

// Time is a time to show; nil for none.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// UserState is a user's state in words.
func UserState(s identityv1.UserState) string {
	switch s {
	case identityv1.UserState_USER_STATE_INVITED:
		return "invited"
	case identityv1.UserState_USER_STATE_ACTIVE:
		return "active"
	case identityv1.UserState_USER_STATE_REMOVED:
		return "removed"
	}
	return "suspended" // what is not known to be here can do nothing
}

// Role is a user's role in words.
func Role(r identityv1.Role) string {
	if r == identityv1.Role_ROLE_UNSPECIFIED {
		return "member"
	}
	return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
}
