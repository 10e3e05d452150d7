// Package convert turns the service's values into protos and events, and protos
// into the service's values. It decides nothing.
package convert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// TaskState is the word of a task's state; empty for unspecified.
func TaskState(s approvalv1.TaskState) lifecycle.TaskState {
	if s == approvalv1.TaskState_TASK_STATE_UNSPECIFIED {
		return ""
	}
	return lifecycle.TaskState(enum.Word(s))
}

// FlowInput is a flow as a caller wants it. Ids are in their plain form.
func FlowInput(in *approvalv1.FlowInput) lifecycle.Flow {
	f := lifecycle.Flow{Name: in.GetName(), AutoApprove: in.GetAutoApprove(), DistinctReviewers: in.GetDistinctReviewers()}
	f.Rule = flow.FromProto(&approvalv1.Flow{
		Trigger: in.GetTrigger(), Kinds: in.GetKinds(), Audience: in.GetAudience(), Scope: in.GetScope(), Requesters: in.GetRequesters(),
		Condition: in.GetCondition(), Priority: in.GetPriority(), MaxDuration: in.GetMaxDuration(), Enabled: !in.GetDisabled(), OnlyAudience: in.GetOnlyAudience(),
		MinJustificationLength: in.GetMinJustificationLength(), Fields: in.GetFields(), WeeklyHours: in.GetWeeklyHours(),
	})
	lists := []*[]string{&f.Audience.GroupIDs, &f.Audience.UserIDs, &f.Scope.AppIDs, &f.Scope.EntitlementIDs}
	if r := f.Requesters; r != nil {
		lists = append(lists, &r.GroupIDs, &r.UserIDs)
	}
	for _, ids := range lists {
		*ids = plain(*ids)
	}
	// What is the default is not kept, so that it is in nobody's way when a join-flow
	// becomes another.
	if a := in.GetUnmatchAction(); a != approvalv1.UnmatchAction_UNMATCH_ACTION_UNSPECIFIED && a != approvalv1.UnmatchAction_UNMATCH_ACTION_TAKE_AWAY {
		f.Unmatch = lifecycle.Unmatch(enum.Word(in.GetUnmatchAction()))
	}
	f.UnmatchAfter = in.GetUnmatchAfter().AsDuration()
	f.DecideWithin = in.GetDecideWithin().AsDuration()
	for _, s := range in.GetSteps() {
		f.Steps = append(f.Steps, lifecycle.StepSpec{
			Name: s.GetName(), Reviewers: lifecycle.Reviewers(enum.Word(s.GetReviewers())),
			UserIDs: plain(s.GetUserIds()), GroupIDs: plain(s.GetGroupIds()),
			Need: lifecycle.Need(enum.Word(s.GetNeed())), NeedCount: int(s.GetNeedCount()),
			RemindAfter: s.GetRemindAfter().AsDuration(), EscalateAfter: s.GetEscalateAfter().AsDuration(),
		})
	}
	return f
}

// UnmatchAction is what a join-flow does for whom it is not for any more.
func UnmatchAction(f lifecycle.Flow) approvalv1.UnmatchAction {
	return enum.Value[approvalv1.UnmatchAction](string(cmp.Or(f.Unmatch, lifecycle.TakeAway)))
}

func plain(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id
		if u, err := uuid.Parse(id); err == nil {
			out[i] = u.String()
		}
	}
	return out
}

// Flow is a flow of an organization to show.
func Flow(organizationID uuid.UUID, f lifecycle.Flow) *approvalv1.Flow {
	out := &approvalv1.Flow{
		Id: f.ID, OrganizationId: organizationID.String(), EnvironmentId: f.EnvironmentID, Name: f.Name,
		Trigger:  enum.Value[approvalv1.FlowTrigger](string(f.Trigger)),
		Audience: &approvalv1.FlowAudience{Everyone: f.Audience.Everyone, GroupIds: f.Audience.GroupIDs, UserIds: f.Audience.UserIDs},
		Scope:    f.Scope.Proto(),
		Enabled:  f.Enabled, AutoApprove: f.AutoApprove, Priority: f.Priority, Version: f.Version,
		OnlyAudience: f.OnlyAudience, Condition: f.Condition, DistinctReviewers: f.DistinctReviewers,
		MinJustificationLength: f.MinJustification, Fields: f.FieldsProto(), WeeklyHours: f.WeeklyHoursProto(),
		CreateTime: Time(f.CreateTime), UpdateTime: Time(f.UpdateTime), EditorIds: f.EditorIDs, Etag: resource.ETag(f.ID, int64(f.Version)),
	}
	if r := f.Requesters; r != nil {
		out.Requesters = &approvalv1.FlowRequesters{
			Beneficiary: r.Beneficiary, Managers: r.Managers, AppAdmins: r.AppAdmins, Admins: r.Admins,
			Everyone: r.Everyone, GroupIds: r.GroupIDs, UserIds: r.UserIDs,
		}
	}
	if f.Trigger == lifecycle.OnJoin {
		out.UnmatchAction = UnmatchAction(f)
	}
	if f.UnmatchAfter > 0 {
		out.UnmatchAfter = durationpb.New(f.UnmatchAfter)
	}
	if f.MaxDuration > 0 {
		out.MaxDuration = durationpb.New(f.MaxDuration)
	}
	out.DecideWithin = duration(f.DecideWithin)
	for _, k := range f.Kinds {
		out.Kinds = append(out.Kinds, enum.Value[requestv1.RequestKind](string(k)))
	}
	for _, s := range f.Steps {
		out.Steps = append(out.Steps, &approvalv1.FlowStep{
			Name: s.Name, Reviewers: enum.Value[approvalv1.ReviewerKind](string(s.Reviewers)), UserIds: s.UserIDs, GroupIds: s.GroupIDs,
			Need: enum.Value[approvalv1.StepNeed](string(s.Need)), NeedCount: int32(s.NeedCount), //nolint:gosec // at most 100
			RemindAfter: duration(s.RemindAfter), EscalateAfter: duration(s.EscalateAfter),
		})
	}
	return out
}

// duration is a length of time to show; nil for none.
func duration(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}

// DeletedFlow is a flow that was deleted after this version, as copies take it: one
// version later, and switched off.
func DeletedFlow(organizationID uuid.UUID, f lifecycle.Flow, at time.Time) *approvalv1.Flow {
	f.Version++
	f.Enabled = false
	out := Flow(organizationID, f)
	out.DeleteTime = Time(at)
	return out
}

// Request is a request as the rules see it, without the beneficiary as audiences
// see them and without the join-flow.
func Request(r *requestv1.Request) lifecycle.Request {
	out := lifecycle.Request{
		RequestID: r.GetId(), EnvironmentID: r.GetEnvironmentId(), Kind: lifecycle.Kind(enum.Word(r.GetKind())),
		Parties:    lifecycle.Parties{Requester: FromPerson(r.GetRequester()), Beneficiary: FromPerson(r.GetBeneficiary())},
		CreateTime: r.GetCreateTime().AsTime(),
	}
	if r.GetUntil() != nil {
		out.Until = r.GetUntil().AsTime()
	}
	for _, it := range r.GetItems() {
		out.Items = append(out.Items, lifecycle.Item{
			ID: it.GetId(), Item: flow.ItemFromProto(it), NotInPlace: it.GetNotInPlace(), GrantItemID: it.GetGrantItemId(),
		})
	}
	out.Justification = r.GetJustification()
	for _, f := range r.GetFields() {
		if out.Fields == nil {
			out.Fields = make(map[string]string)
		}
		out.Fields[f.GetKey()] = f.GetValue()
	}
	return out
}

// Submission is what names what must be known of a submitted request.
func Submission(r *requestv1.Request) *store.Submission {
	out := &store.Submission{RequestID: r.GetId(), EnvironmentID: r.GetEnvironmentId(), RequesterID: r.GetRequester().GetUserId(), BeneficiaryID: r.GetBeneficiary().GetUserId()}
	apps := make(map[string]bool, len(r.GetItems()))
	for _, it := range r.GetItems() {
		apps[it.GetAppId()] = true
	}
	out.AppIDs = slices.Sorted(maps.Keys(apps))
	out.Assigned = ByAssignment(r)
	if ByJoinFlow(r) && r.GetFlowId() != "" {
		out.JoinFlow = &store.FlowVersion{ID: r.GetFlowId(), Version: r.GetFlowVersion()}
	}
	return out
}

// ByJoinFlow reports whether a join-flow made the request.
func ByJoinFlow(r *requestv1.Request) bool {
	return r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN
}

// ByAssignment reports whether an admin assigned the request.
func ByAssignment(r *requestv1.Request) bool {
	return r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT
}

// RequestPart is what of a request its reviewer sees: the items of the apps that
// they are or were asked about. Nobody but who sees all requests sees more.
func RequestPart(a *lifecycle.Approval, r *requestv1.Request, reviewerID string) *requestv1.Request {
	asked := make(map[string]bool)
	for _, t := range a.Tasks {
		if t.Reviewer.ID == reviewerID {
			asked[t.ItemID] = true
		}
	}
	apps := make(map[string]bool)
	for _, i := range r.GetItems() {
		if asked[i.GetId()] {
			apps[i.GetAppId()] = true
		}
	}
	part := proto.CloneOf(r)
	part.Items = slices.DeleteFunc(part.Items, func(i *requestv1.RequestItem) bool { return !apps[i.GetAppId()] })
	part.HiddenItemCount = int32(len(r.GetItems()) - len(part.GetItems())) //nolint:gosec // a request has at most 50 items
	return part
}

// EncodeRequest is a request as it is stored.
func EncodeRequest(r *requestv1.Request) ([]byte, error) {
	data, err := proto.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode request %s: %w", r.GetId(), err)
	}
	return data, nil
}

// DecodeRequest reverses EncodeRequest.
func DecodeRequest(data []byte) (*requestv1.Request, error) {
	r := &requestv1.Request{}
	if err := proto.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	return r, nil
}

// Gives reports whether a request asks for access to be given.
func Gives(r *requestv1.Request) bool { return r.GetKind() == requestv1.RequestKind_REQUEST_KIND_GRANT }

// FromPerson is a person as the rules see them.
func FromPerson(p *identityv1.Person) lifecycle.Person {
	return lifecycle.Person{ID: p.GetUserId(), Name: p.GetDisplayName(), Email: p.GetEmail()}
}

// FromActor is the actor of an event as the rules see them; no ID for one that
// is no user.
func FromActor(a *eventv1.Actor) lifecycle.Person {
	p := lifecycle.Person{Name: a.GetDisplayName()}
	if a.GetKind() == eventv1.ActorKind_ACTOR_KIND_USER {
		p.ID = a.GetId()
	}
	return p
}

// Person is a person to show; nil for nobody.
func Person(p lifecycle.Person) *identityv1.Person {
	if p.ID == "" {
		return nil
	}
	return &identityv1.Person{UserId: p.ID, DisplayName: p.Name, Email: p.Email}
}

// People are people to show.
func People(list []lifecycle.Person) []*identityv1.Person {
	out := make([]*identityv1.Person, len(list))
	for i, p := range list {
		out[i] = Person(p)
	}
	return out
}

// FlowRequest is an open request that runs on a flow, with the items that it decides.
func FlowRequest(r *requestv1.Request, items []string) *approvalv1.FlowRequest {
	return &approvalv1.FlowRequest{
		Id: r.GetId(), Kind: r.GetKind(), Beneficiary: r.GetBeneficiary(), Requester: r.GetRequester(), CreateTime: r.GetCreateTime(), ItemIds: items,
	}
}

// Task is a task of an approval to show; request may be nil.
func Task(a *lifecycle.Approval, t *lifecycle.Task, request *requestv1.Request) *approvalv1.Task {
	out := &approvalv1.Task{
		Id: t.ID, RequestId: a.RequestID, ItemId: t.ItemID, Step: position(t.Position),
		Reviewer: Person(t.Reviewer), State: enum.Value[approvalv1.TaskState](string(t.State)), Substitution: t.Substitution, Comment: t.Comment,
		CreateTime: Time(t.CreateTime), DecideTime: Time(t.EndTime), Request: request,
	}
	out.LastRemindedTime, out.OnBehalfOf = Time(t.RemindedTime), Person(t.OnBehalfOf)
	if s := a.StepOf(t); s != nil {
		out.StepName, out.DecideByTime = s.Spec.Name, Time(s.DecideBy)
		if t.State == lifecycle.TaskOpen {
			out.RemindTime, out.EscalateTime = Time(t.RemindTime), Time(s.EscalateTime)
		}
	}
	return out
}

// ItemName is what an item of a request is called, such as "CRM: account".
func ItemName(r *requestv1.Request, itemID string) string {
	for _, i := range r.GetItems() {
		if i.GetId() == itemID {
			return i.GetAppName() + ": " + i.GetEntitlementName()
		}
	}
	return itemID
}

// WholeTask is a task with all the items that it is about, and what names the facts that
// its reviewer sees.
func WholeTask(a *lifecycle.Approval, t *lifecycle.Task, request *requestv1.Request, f lifecycle.Facts) *approvalv1.Task {
	out := Task(a, t, request)
	out.Etag = a.Seen(t, f)
	for _, o := range a.Together(t) {
		out.ItemIds = append(out.ItemIds, o.ItemID)
	}
	return out
}

func position(n int) int32 { return int32(n) } //nolint:gosec // a flow has at most 20 steps

// Time is a time to show; nil for none.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// maxRouteReviewers is how many reviewers of a step a route names.
const maxRouteReviewers = 20

// RouteStep is a step of an approval that was not opened, and whom it would ask.
func RouteStep(a *lifecycle.Approval, s *lifecycle.Step, r lifecycle.Resolution) *requestv1.RouteStep {
	out := &requestv1.RouteStep{
		Name: s.Spec.Name, NeededApprovals: int32(r.Needed), ReviewerCount: int32(len(r.Reviewers)), //nolint:gosec // people of one organization
	}
	if len(r.Reviewers) == 0 {
		out.Vacancy = vacancy(a, s, r.Reason)
	}
	for _, reviewer := range r.Reviewers[:min(len(r.Reviewers), maxRouteReviewers)] {
		out.Reviewers = append(out.Reviewers, &requestv1.RouteReviewer{Person: Person(reviewer.Person), Substitution: reviewer.Substitution})
	}
	return out
}

// RequestKind is a kind to show.
func RequestKind(k lifecycle.Kind) requestv1.RequestKind {
	return enum.Value[requestv1.RequestKind](string(k))
}

// ImaginedItem is an entitlement as it would stand in a request.
func ImaginedItem(it store.CatalogItem) (*requestv1.RequestItem, error) {
	app := &requestv1.App{}
	if err := proto.Unmarshal(it.App, app); err != nil {
		return nil, fmt.Errorf("decode app %s: %w", it.AppID, err)
	}
	out := &requestv1.RequestItem{
		EntitlementId: it.EntitlementID, EntitlementName: it.EntitlementName, AppId: it.AppID, AppName: it.AppName, AppCategory: it.Category, AppTags: app.GetTags(),
		EntitlementKind: enum.Value[requestv1.EntitlementKind](it.EntitlementKind),
	}
	if it.Risk != "" {
		out.EntitlementRisk = enum.Value[requestv1.EntitlementRisk](it.Risk)
	}
	return out, nil
}

// SameDecision reports whether two decisions ask the same people, as many of them in each
// step, or refuse alike. What flows and steps are called makes no difference.
func SameDecision(a, b *approvalv1.ReplayedDecision) bool {
	if a.GetRefusal() != b.GetRefusal() || a.GetRoute().GetAutomatic() != b.GetRoute().GetAutomatic() {
		return false
	}
	return slices.EqualFunc(a.GetRoute().GetSteps(), b.GetRoute().GetSteps(), func(a, b *requestv1.RouteStep) bool {
		return a.GetNeededApprovals() == b.GetNeededApprovals() && a.GetReviewerCount() == b.GetReviewerCount() &&
			slices.EqualFunc(a.GetReviewers(), b.GetReviewers(), func(a, b *requestv1.RouteReviewer) bool {
				return a.GetPerson().GetUserId() == b.GetPerson().GetUserId()
			})
	})
}
