package approval_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// drafted is a flow for everyone about everything, by its manager, changed as told.
func drafted(change func(*approvalv1.FlowInput)) *approvalv1.FlowInput {
	f := &approvalv1.FlowInput{
		Name: "draft", Trigger: approvalv1.FlowTrigger_FLOW_TRIGGER_REQUEST, Audience: &approvalv1.FlowAudience{Everyone: true}, Scope: &approvalv1.FlowScope{Any: true},
		Steps: []*approvalv1.FlowStep{step("Manager", approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER)},
	}
	if change != nil {
		change(f)
	}
	return f
}

// taskOf is the task of somebody in the first step of a request.
func (w *world) taskOf(t testing.TB, r *requestv1.Request, name string) *approvalv1.Task {
	t.Helper()
	tasks := w.asked(t, r, 1).GetTasks()
	i := slices.IndexFunc(tasks, func(task *approvalv1.Task) bool { return task.GetReviewer().GetDisplayName() == name })
	if i < 0 {
		t.Fatalf("%s is not asked", name)
	}
	return tasks[i]
}

func displayNames(people []*identityv1.Person) string {
	var out []string
	for _, p := range people {
		out = append(out, p.GetDisplayName())
	}
	return strings.Join(out, " ")
}

// B-APR-09: an imagined request is decided as a real one would be, by the flows as they are
// and as they would be with a draft, and it is said why no other flow decides; nothing is
// saved.
func TestSimulateFlows(t *testing.T) {
	t.Parallel()
	w := start(t)
	strict := w.flow(t, func(f *approvalv1.FlowInput) {
		f.Name, f.Priority, f.Condition = "strict", 5, `beneficiary.department == "Sales"`
		f.Steps = []*approvalv1.FlowStep{step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS)}
	})
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Name, f.Requesters = "for staff", &approvalv1.FlowRequesters{Beneficiary: true}
	})
	simulate := func(change func(*approvalv1.SimulateFlowsRequest)) (string, error) {
		in := &approvalv1.SimulateFlowsRequest{
			BeneficiaryId: w.users["ben"].GetId(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{w.account.String()},
		}
		if change != nil {
			change(in)
		}
		out, err := w.flows(t, "zoe").SimulateFlows(t.Context(), in)
		if err != nil {
			return "", err
		}
		it := out.GetItems()[0]
		var considered []string
		for _, f := range it.GetConsidered() {
			considered = append(considered, strings.TrimSpace(f.GetFlowName()+" "+f.GetMismatch()))
		}
		return fmt.Sprintf("%s by %q: %s; %s", it.GetRefusal(), it.GetFlowName(), inWords(it.GetRoute()), strings.Join(considered, ", ")), nil
	}
	for _, tt := range []struct {
		name   string
		change func(*approvalv1.SimulateFlowsRequest)
		want   string
	}{
		{"for oneself", nil, ` by "for staff": Manager: 1 of mia; strict CONDITION_FALSE, for staff`},
		{"asked by a manager", func(r *approvalv1.SimulateFlowsRequest) { r.RequesterId = w.users["mia"].GetId() }, `NOT_FOR_OTHERS by "for staff": ; strict CONDITION_FALSE, for staff`},
		{"to take away", func(r *approvalv1.SimulateFlowsRequest) { r.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE }, ` by "": App approvers: 1 of per, pia; strict OTHER_KIND, for staff OTHER_KIND`},
		{"with a draft that comes first", func(r *approvalv1.SimulateFlowsRequest) {
			r.Draft = &approvalv1.FlowDraft{Flow: drafted(func(f *approvalv1.FlowInput) { f.Priority = 9 })}
		}, ` by "draft": Manager: 1 of mia; draft, strict CONDITION_FALSE, for staff COMES_LATER`},
		{"with a draft that replaces one", func(r *approvalv1.SimulateFlowsRequest) {
			r.Draft = &approvalv1.FlowDraft{Id: strict.GetId(), Flow: drafted(func(f *approvalv1.FlowInput) {
				f.Name, f.Priority, f.MinJustificationLength = "strict", 5, 10
			})}
		}, `JUSTIFICATION_TOO_SHORT by "strict": ; strict, for staff COMES_LATER`},
		{"within its limit", func(r *approvalv1.SimulateFlowsRequest) {
			r.Justification = "for the audit"
			r.Draft = &approvalv1.FlowDraft{Id: strict.GetId(), Flow: drafted(func(f *approvalv1.FlowInput) {
				f.Name, f.Priority, f.MinJustificationLength = "strict", 5, 10
			})}
		}, ` by "strict": Manager: 1 of mia; strict, for staff COMES_LATER`},
		{"by a draft of who approves by it", func(r *approvalv1.SimulateFlowsRequest) {
			r.BeneficiaryId = w.users["zoe"].GetId()
			r.Draft = &approvalv1.FlowDraft{Flow: drafted(func(f *approvalv1.FlowInput) { f.Priority, f.Steps, f.AutoApprove = 9, nil, true })}
		}, ` by "draft": App approvers: 1 of per, pia; draft, strict CONDITION_FALSE, for staff COMES_LATER`},
	} {
		if got, err := simulate(tt.change); err != nil || got != tt.want {
			t.Errorf("%s: %s %v\nwant %s", tt.name, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		change func(*approvalv1.SimulateFlowsRequest)
		field  string
		reason string
	}{
		{func(r *approvalv1.SimulateFlowsRequest) { r.BeneficiaryId = id.New().String() }, "requester_id", "USER_UNKNOWN"},
		{func(r *approvalv1.SimulateFlowsRequest) { r.EntitlementIds = []string{id.New().String()} }, "entitlement_ids[0]", "ENTITLEMENT_UNKNOWN"},
		{func(r *approvalv1.SimulateFlowsRequest) { r.Until = timestamppb.New(time.Now().Add(-time.Hour)) }, "until", "END_BEFORE_START"},
		{func(r *approvalv1.SimulateFlowsRequest) { r.Until = &timestamppb.Timestamp{Seconds: 1 << 60} }, "until", "TIME_INVALID"},
		{func(r *approvalv1.SimulateFlowsRequest) {
			r.Draft = &approvalv1.FlowDraft{Flow: drafted(func(f *approvalv1.FlowInput) { f.Condition = "nobody" })}
		}, "draft.flow.condition", "CONDITION_INVALID"},
		{func(r *approvalv1.SimulateFlowsRequest) {
			r.Draft = &approvalv1.FlowDraft{Id: id.New().String(), Flow: drafted(nil)}
		}, "", "FLOW_NOT_FOUND"},
	} {
		_, err := simulate(tt.change)
		if rpctest.Reason(err) != tt.reason || tt.field != "" && !slices.Equal(rpctest.Fields(err), []string{tt.field}) {
			t.Errorf("%s: %v %q", tt.reason, err, rpctest.Fields(err))
		}
	}
	if n, m := w.count(t, "flow_version"), w.count(t, "approval"); n != 2 || m != 0 {
		t.Errorf("after simulations %d versions and %d approvals", n, m)
	}
}

// B-APR-13: before a flow is saved it is said how many people it asks, which steps would
// have nobody, which hang on one person, and which flow could claim the same.
func TestPreviewFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki, wikiAccount := id.New(), id.New()
	w.app(t, wiki, "Wiki", wikiAccount, nil, []string{"eve"})
	none, noneAccount := id.New(), id.New()
	w.app(t, none, "Notes", noneAccount, []string{"ada"}, nil)
	empty := id.New()
	w.Publish(t, w.org, empty, &eventv1.GroupCreated{Group: &identityv1.Group{Id: empty.String(), DisplayName: "Empty", Version: 1}})
	w.handled(t)
	older := w.flow(t, func(f *approvalv1.FlowInput) {
		f.Name, f.Scope = "older", &approvalv1.FlowScope{AppIds: []string{wiki.String()}}
	})
	w.flow(t, func(f *approvalv1.FlowInput) { f.Name, f.Priority = "of another priority", 3 })
	w.flow(t, func(f *approvalv1.FlowInput) {
		f.Name, f.Audience = "for nobody here", &approvalv1.FlowAudience{GroupIds: []string{empty.String()}}
	})
	draft := drafted(func(f *approvalv1.FlowInput) {
		f.Steps = append(f.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS),
			&approvalv1.FlowStep{Name: "Two of us", Reviewers: approvalv1.ReviewerKind_REVIEWER_KIND_USERS, UserIds: []string{w.users["eve"].GetId(), w.users["ria"].GetId(), w.users["pia"].GetId()}, Need: approvalv1.StepNeed_STEP_NEED_COUNT, NeedCount: 2})
	})
	out, err := w.flows(t, "zoe").PreviewFlow(t.Context(), &approvalv1.PreviewFlowRequest{Draft: &approvalv1.FlowDraft{Flow: draft}})
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, s := range out.GetSteps() {
		steps = append(steps, fmt.Sprintf("%s: %d (%s), nobody for %d %v, single for %d %v", s.GetName(), s.GetReviewerCount(), displayNames(s.GetReviewers()), s.GetNobodyCount(), s.GetNobodyFor(), s.GetSingleCount(), s.GetSingleFor()))
	}
	want := []string{
		"Manager: 2 (max mia), nobody for 7 [ada eve max per pia ria zoe], single for 2 [mia max]",
		"Approvers: 3 (eve per pia), nobody for 1 [Notes], single for 1 [Wiki]",
		"Two of us: 2 (eve pia), nobody for 0 [], single for 1 []",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("steps\n%s\nwant\n%s", strings.Join(steps, "\n"), strings.Join(want, "\n"))
	}
	if out.GetNotifiedCount() != 5 || out.GetAudienceCount() != 10 || out.GetEntitlementCount() != 3 || out.GetTruncated() {
		t.Errorf("asks %d, for %d, about %d", out.GetNotifiedCount(), out.GetAudienceCount(), out.GetEntitlementCount())
	}
	if ties := out.GetTies(); len(ties) != 1 || ties[0].GetFlowId() != older.GetId() || !ties[0].GetOtherDecides() || ties[0].GetExampleEntitlement() != "Wiki: account" || ties[0].GetExampleUser().GetDisplayName() == "" {
		t.Errorf("ties: %v", ties)
	}
	// The flow itself is no tie of its own draft.
	out, err = w.flows(t, "zoe").PreviewFlow(t.Context(), &approvalv1.PreviewFlowRequest{Draft: &approvalv1.FlowDraft{Id: older.GetId(), Flow: draft}})
	if err != nil || len(out.GetTies()) != 0 {
		t.Errorf("of itself: %v %v", out.GetTies(), err)
	}
	draft.Steps[0].Name = ""
	_, err = w.flows(t, "zoe").PreviewFlow(t.Context(), &approvalv1.PreviewFlowRequest{Draft: &approvalv1.FlowDraft{Flow: draft}})
	if !slices.Equal(rpctest.Fields(err), []string{"draft.flow.steps[0].name"}) {
		t.Errorf("a step without a name: %v", err)
	}
}

// B-APR-09: real requests are decided once more, and only those are shown that would be
// decided otherwise, with what became of them.
func TestReplayFlow(t *testing.T) {
	t.Parallel()
	w := start(t)
	approved, denied := w.request("ann", "ann"), w.request("ben", "ben")
	for _, r := range []*requestv1.Request{approved, denied} {
		w.submit(t, r)
	}
	if _, err := w.approve(t, "pia", w.taskOf(t, approved, "pia")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tasks(t, "per").DenyTask(t.Context(), &approvalv1.DenyTaskRequest{Id: w.taskOf(t, denied, "per").GetId(), Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	replay := func(f *approvalv1.FlowInput) *approvalv1.ReplayFlowResponse {
		t.Helper()
		out, err := w.flows(t, "zoe").ReplayFlow(t.Context(), &approvalv1.ReplayFlowRequest{Draft: &approvalv1.FlowDraft{Flow: f}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	same := replay(drafted(func(f *approvalv1.FlowInput) {
		f.Steps = []*approvalv1.FlowStep{step("Called otherwise", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS)}
	}))
	if same.GetItemCount() != 2 || same.GetRequestCount() != 2 || same.GetChangedCount() != 0 || len(same.GetItems()) != 0 {
		t.Errorf("asks the same: %v", same)
	}
	out := replay(drafted(func(f *approvalv1.FlowInput) { f.Condition = `beneficiary.user_name == "ben"` }))
	if out.GetChangedCount() != 1 || len(out.GetItems()) != 1 {
		t.Fatalf("for ben: %v", out)
	}
	it := out.GetItems()[0]
	if it.GetRequestId() != denied.GetId() || it.GetOutcome() != "denied" || displayNames(it.GetDecidedBy()) != "per" || it.GetBefore().GetFlowName() != "" ||
		inWords(it.GetBefore().GetRoute()) != "App approvers: 1 of per, pia" || inWords(it.GetAfter().GetRoute()) != "Manager: 1 of mia" {
		t.Errorf("ben's: %v", it)
	}
	out = replay(drafted(func(f *approvalv1.FlowInput) { f.MinJustificationLength, f.Steps, f.AutoApprove = 999, nil, true }))
	if out.GetChangedCount() != 2 || out.GetItems()[1].GetOutcome() != "approved" || out.GetItems()[1].GetAfter().GetRefusal() != "JUSTIFICATION_TOO_SHORT" {
		t.Errorf("with a limit: %v", out)
	}
	_, err := w.flows(t, "zoe").ReplayFlow(t.Context(), &approvalv1.ReplayFlowRequest{Draft: &approvalv1.FlowDraft{Flow: drafted(func(f *approvalv1.FlowInput) {
		f.Trigger, f.Scope = approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}
	})}})
	if rpctest.Reason(err) != "NOT_FOR_JOIN" || !slices.Equal(rpctest.Fields(err), []string{"draft.flow.trigger"}) {
		t.Errorf("a join-flow: %v", err)
	}
}

// The preview of a join-flow's change counts by its condition too.
func TestPreviewUpdateWithCondition(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := w.flow(t, func(f *approvalv1.FlowInput) {
		f.Trigger, f.Steps, f.AutoApprove = approvalv1.FlowTrigger_FLOW_TRIGGER_JOIN, nil, true
		f.Scope, f.Condition = &approvalv1.FlowScope{EntitlementIds: []string{w.account.String()}}, `beneficiary.user_name == "ben"`
	})
	w.matched(t, f, "ben", 1)
	out, err := w.flows(t, "zoe").PreviewUpdateFlow(t.Context(), &approvalv1.PreviewUpdateFlowRequest{
		Flow: &approvalv1.Flow{Id: f.GetId(), Condition: `beneficiary.user_name in ["ann", "mia"]`}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"condition"}},
	})
	if err != nil || displayNames(out.GetMatchedUsers()) != "ann mia" || out.GetMatchedCount() != 2 || displayNames(out.GetUnmatchedUsers()) != "ben" || out.GetUnmatchedCount() != 1 {
		t.Errorf("%v %v", out, err)
	}
}

// B-USR-12, B-APR-09: whoever tries flows in an environment is told of no flow of another;
// ids are taken in any of their spellings.
func TestSimulateInAnEnvironment(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	for _, made := range []struct{ by, environment, name string }{{"zoe", w.b, "of B"}, {"anna", "", "of A"}, {"zoe", "", "of all"}} {
		in := reviewedBy(w.users["max"].GetId())
		if made.environment != "" || made.by == "anna" {
			in.Steps[0] = step("Manager", approvalv1.ReviewerKind_REVIEWER_KIND_MANAGER)
		}
		in.Name = made.name
		if _, err := w.flowBy(t, made.by, made.environment, in); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"anna": "of all, of A", "zoe": "of all, of B, of A"} {
		out, err := w.flows(t, name).SimulateFlows(t.Context(), &approvalv1.SimulateFlowsRequest{
			BeneficiaryId: strings.ToUpper(w.users["alice"].GetId()), RequesterId: w.users["alice"].GetId(), Kind: requestv1.RequestKind_REQUEST_KIND_GRANT,
			EntitlementIds: []string{strings.ToUpper(w.account.String())},
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var considered []string
		for _, f := range out.GetItems()[0].GetConsidered() {
			considered = append(considered, f.GetFlowName())
		}
		if got := strings.Join(considered, ", "); got != want || out.GetItems()[0].GetRefusal() != "" {
			t.Errorf("%s is told of %s, want %s; %v", name, got, want, out)
		}
	}
}
