package request_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"

	"gatehouse.dev/libs/id"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// group has identity-sync say that people are in a group.
func (w *world) group(t testing.TB, name string, members ...string) *identityv1.Group {
	t.Helper()
	g := &identityv1.Group{Id: id.New().String(), OrganizationId: w.org.String(), DisplayName: name, Version: 1}
	w.publish(t, g.GetId(), &eventv1.GroupCreated{Group: g})
	for _, m := range members {
		g = cloneOf(g)
		g.Version++
		w.publish(t, g.GetId(), &eventv1.GroupMemberAdded{Context: &eventv1.Context{Version: g.GetVersion()}, Group: g, Member: w.person(m)})
	}
	return g
}

// deniedIn is the decision of a task that denies its item.
func (w *world) deniedIn(r *requestv1.Request, task *approvalv1.Task) emission {
	task = cloneOf(task)
	task.State, task.DecideTime = approvalv1.TaskState_TASK_STATE_DENIED, task.GetCreateTime()
	return emission{r.GetId(), &eventv1.ApprovalDenied{
		Context: w.by(r, task.GetReviewer().GetDisplayName()), RequestId: r.GetId(), Reviewer: task.GetReviewer(), Reason: "no", StepName: "approvers", Task: task,
	}}
}

func (w *world) context(t testing.TB, name string, r *requestv1.Request) (*requestv1.DecisionContext, error) {
	t.Helper()
	w.handled(t)
	out, err := w.requests(t, name).GetDecisionContext(t.Context(), &requestv1.GetDecisionContextRequest{Id: r.GetId()})
	return out.GetContext(), err
}

// told is what a context says of an item, without times.
func told(i *requestv1.ItemContext) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s; holds %d", i.GetDescription(), i.GetRisk().String()[len("ENTITLEMENT_RISK_"):], i.GetHeldCount())
	for _, h := range i.GetHeld() {
		fmt.Fprintf(&b, " %s since %t until %t", h.GetEntitlementName(), h.GetSince() != nil, h.GetUntil() != nil)
	}
	for _, p := range append([]*requestv1.Peers{i.GetSameManager()}, i.GetGroups()...) {
		fmt.Fprintf(&b, "; %s %d of %d", p.GetName(), p.GetHolderCount(), p.GetPeopleCount())
		if p.GetUnknown() {
			b.WriteString(" unknown")
		}
	}
	for _, d := range i.GetDecisions() {
		fmt.Fprintf(&b, "; %d %s %s", d.GetStep(), d.GetReviewer().GetDisplayName(), d.GetOutcome().String()[len("DECISION_OUTCOME_"):])
	}
	for _, e := range i.GetEarlierRequests() {
		fmt.Fprintf(&b, "; earlier %s closed %t seen %t", e.GetState().String()[len("ITEM_STATE_"):], e.GetCloseTime() != nil, e.GetRequestId() != "")
	}
	fmt.Fprintf(&b, "; %s", i.GetLastUse())
	return b.String()
}

// B-APR-16: who decides is told what the person has in the app, who else like them has it,
// what it opens, who decided before and what became of it earlier; what nobody knows is said to
// be unknown. Nobody else is told any of it.
func TestDecisionContext(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.hold(t, "ben", w.grantOf("viewer"))
	w.hold(t, "ada", w.grantOf("editor"))
	w.hold(t, "pia", w.grantOf("editor"))
	w.join(t, "lee", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	w.hold(t, "lee", w.grantOf("editor"))
	w.group(t, "Sellers", "ben", "ada", "ian", "lee")
	w.group(t, "Alone", "ben")
	w.group(t, "Pair", "ian", "ben")
	w.group(t, "Others", "ada", "pia")
	w.leave(t, "lee") // who is not counted any more

	before := w.submit(t, "ben", w.grantOf("editor"))
	task := w.taskIn(before, 1, "pia")
	w.publishAll(t, w.opened(before, 1, 2, []int32{1}, task), w.deniedIn(before, task))
	w.closed(t, before)

	in := w.grantOf("editor", "account")
	r := w.submit(t, "ben", in)
	ada, pia := w.taskIn(r, 1, "ada"), w.taskIn(r, 2, "pia")
	w.publishAll(t, w.opened(r, 1, 2, []int32{1, 1}, ada), w.approves(r, ada, 3, true, pia))

	const editor = "The rights of a editor; UNSPECIFIED; holds 1 viewer since true until false; ann 2 of 6; Pair 0 of 1; Sellers 1 of 2; 1 ada APPROVED" +
		"; earlier DENIED closed true seen true; LAST_USE_UNKNOWN"
	const account = "An account in CRM; UNSPECIFIED; holds 1 viewer since true until false; ann 0 of 6; Pair 0 of 1; Sellers 0 of 2; LAST_USE_UNKNOWN"
	for _, name := range []string{"pia", "ada", "zoe", "ian", "ria"} { // asked now, asked before, and who sees all
		got, err := w.context(t, name, r)
		if err != nil || len(got.GetItems()) != 2 {
			t.Errorf("%s is told %v, %v", name, got, err)
			continue
		}
		if got.GetBeneficiary().GetUserId() != w.id("ben") || got.GetRequestId() != r.GetId() || got.GetItems()[0].GetItemId() != r.GetItems()[0].GetId() {
			t.Errorf("%s is told of another: %v", name, got)
		}
		for n, want := range []string{editor, account} {
			if s := told(got.GetItems()[n]); s != want {
				t.Errorf("%s is told\n%s, want\n%s", name, s, want)
			}
		}
	}
	for _, name := range []string{"ben", "ann", "ext"} {
		_, err := w.context(t, name, r)
		wantError(t, err, codes.NotFound, "REQUEST_NOT_FOUND")
	}

	// What was denied says who did, and of whom nobody knows the manager that is said.
	got, err := w.context(t, "pia", before)
	if err != nil || !strings.HasSuffix(told(got.GetItems()[0]), "; 1 pia DENIED; LAST_USE_UNKNOWN") {
		t.Errorf("of what was denied is told %v, %v", got, err)
	}
	boss := w.submit(t, "ann", w.grantOf("editor"))
	w.publishAll(t, w.opened(boss, 1, 2, []int32{1}, w.taskIn(boss, 1, "ada")))
	if got, err = w.context(t, "ada", boss); err != nil || !got.GetItems()[0].GetSameManager().GetUnknown() {
		t.Errorf("of who has no manager is told %v, %v", got, err)
	}
	// Who approves the app and was not asked decides nothing, and is told nothing.
	_, err = w.context(t, "pia", boss)
	wantError(t, err, codes.NotFound, "REQUEST_NOT_FOUND")
}

// B-APR-16: who was asked about one app is told nothing of the items of another.
func TestDecisionContextOfOneApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := make(map[string]string)
	w.app(t, &requestv1.CreateAppRequest{Name: "Wiki", AdminIds: []string{w.id("ian")}}, ids, "writer")
	in := w.grantOf("editor")
	in.EntitlementIds = append(in.EntitlementIds, ids["writer"])
	r := w.submit(t, "ben", in)
	w.publishAll(t, w.opened(r, 1, 2, []int32{1}, w.taskIn(r, 1, "pia")))
	for name, want := range map[string]int{"pia": 1, "ian": 2} {
		got, err := w.context(t, name, r)
		if err != nil || len(got.GetItems()) != want || got.GetItems()[0].GetEntitlementId() != w.access["editor"] {
			t.Errorf("%s is told %v, %v", name, got, err)
		}
	}
}
