package request_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// joinFlow is what a join-flow says of somebody.
type joinFlow struct {
	w         *world
	id        string
	user      string
	joinCount int32
}

func (f joinFlow) matches(count int32, names ...string) emission {
	return emission{f.id, &eventv1.FlowMatched{
		Context: &eventv1.Context{Actor: system, UserId: f.user}, FlowId: f.id, FlowVersion: 2, FlowName: "Sales", UserId: f.user, JoinCount: f.joinCount,
		EntitlementIds: f.w.grantOf(names...).GetEntitlementIds(), MatchCount: count,
	}}
}

func (f joinFlow) ends(count int32, action approvalv1.UnmatchAction) emission {
	return emission{f.id, &eventv1.FlowUnmatched{
		Context: &eventv1.Context{Actor: system, UserId: f.user}, FlowId: f.id, FlowVersion: 3, FlowName: "Sales", UserId: f.user, JoinCount: f.joinCount,
		MatchCount: count, Action: action,
	}}
}

// made are the requests that join-flows have made for the person, in order.
func (f joinFlow) made(t testing.TB, want int) []*requestv1.Request {
	t.Helper()
	f.w.handled(t)
	var out []*requestv1.Request
	for _, m := range emitted[*eventv1.RequestSubmitted](t, f.w) {
		if r := m.GetRequest(); r.GetBeneficiary().GetUserId() == f.user && r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN {
			out = append(out, r)
		}
	}
	if len(out) != want {
		t.Fatalf("flows have made %d requests, want %d: %v", len(out), want, out)
	}
	return out
}

const (
	takeAway = approvalv1.UnmatchAction_UNMATCH_ACTION_TAKE_AWAY
	keep     = approvalv1.UnmatchAction_UNMATCH_ACTION_KEEP
)

// B-USR-15: when a join-flow is not for somebody any more, a request takes away what that
// match of it gave, once, and nothing else; who comes back is given it again.
func TestFlowUnmatched(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	w.hold(t, "ben", w.grantOf("account"))
	w.publishAll(t, f.matches(1, "account", "editor", "viewer"))
	given := f.made(t, 1)[0]
	account, accountEvents := give(given, 0)
	editor, editorEvents := give(given, 1)
	w.publishAll(t, append(append(accountEvents, editorEvents...), w.granted(given))...)
	w.handled(t)
	// Of the three one has ended by itself since, and one is still on its way.
	w.publishAll(t, take(editor)...)
	w.handled(t)

	w.twice(t, f.ends(1, takeAway))
	w.publishAll(t, f.ends(1, takeAway))
	back := f.made(t, 2)[1]
	if back.GetKind() != requestv1.RequestKind_REQUEST_KIND_REVOKE || back.GetRequester() != nil || back.GetFlowId() != f.id || back.GetFlowVersion() != 3 ||
		len(back.GetItems()) != 2 || back.GetItems()[0].GetGrantItemId() != given.GetItems()[0].GetId() || back.GetItems()[1].GetGrantItemId() != given.GetItems()[2].GetId() {
		t.Fatalf("made %v", back)
	}
	if got := w.get(t, back); !proto.Equal(inEvent(got), back) {
		t.Errorf("emitted\n%v, reads\n%v", back, got)
	}
	// Who is to lose it does not stop that; an admin may, and other requests for the same
	// are in nobody's way.
	for name, reason := range map[string]string{"ben": "NOT_YOUR_REQUEST", "zoe": ""} {
		if _, err := w.requests(t, name).CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: back.GetId(), Reason: "keep it"}); rpctest.Reason(err) != reason {
			t.Errorf("%s cancels it: %v", name, err)
		}
	}
	all := w.revokeOf("account")
	all.BeneficiaryId = w.id("ben")
	w.submit(t, "zoe", all)
	w.publishAll(t, append(take(account), w.granted(back), revoked(back, account))...)

	// Back in the group: another reason, while the last one is not gone yet.
	w.publishAll(t, f.matches(2, "account"))
	again := f.made(t, 3)[2]
	if again.GetKind() != requestv1.RequestKind_REQUEST_KIND_GRANT || again.GetId() == given.GetId() {
		t.Fatalf("made %v", again)
	}
	// What stays by the word of the flow is not asked for back.
	_, events := give(again, 0)
	w.publishAll(t, append(events, w.granted(again), f.ends(2, keep))...)
	f.made(t, 3)
}

// B-USR-15, in part: nothing is begun that has ended before it was heard of, what is not
// approved yet is to be cancelled, and who has left has nothing taken away by a flow.
func TestFlowUnmatchedInTime(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	w.publishAll(t, f.ends(1, takeAway), f.matches(1, "account"))
	f.made(t, 0)

	w.publishAll(t, f.matches(2, "account"))
	waits := f.made(t, 1)[0]
	w.publishAll(t, w.requested(waits, "pia"), f.ends(2, takeAway))
	e := servicetest.Wait(t, w.Harness, func(e *eventv1.RequestCancelRequested) bool { return e.GetRequestId() == waits.GetId() })
	if e.GetReason() != "The flow Sales is not for them any more" {
		t.Errorf("cancelled: %v", e)
	}
	// Its approval may have come first: what comes of it is taken back too.
	if back := f.made(t, 2)[1]; back.GetItems()[0].GetGrantItemId() != waits.GetItems()[0].GetId() {
		t.Errorf("made %v", back)
	}

	// Of somebody who is not known here yet it is kept until they are.
	late := joinFlow{w, id.New().String(), id.New().String(), 1}
	w.publishAll(t, late.ends(1, takeAway), late.matches(1, "account"))
	w.join(t, "nan", authzv1.Caller_CALLER_MEMBER)
	w.users["nan"].Id = late.user
	w.publish(t, late.user, &eventv1.UserJoined{User: w.users["nan"]})
	w.handled(t)
	// Whichever was taken first when they came, nothing is left to them.
	var kinds []requestv1.RequestKind
	for _, m := range emitted[*eventv1.RequestSubmitted](t, w) {
		if r := m.GetRequest(); r.GetBeneficiary().GetUserId() == late.user {
			kinds = append(kinds, r.GetKind())
		}
	}
	if len(kinds) != 0 && !slices.Equal(kinds, []requestv1.RequestKind{requestv1.RequestKind_REQUEST_KIND_GRANT, requestv1.RequestKind_REQUEST_KIND_REVOKE}) {
		t.Errorf("made %v", kinds)
	}

	gone := joinFlow{w, id.New().String(), w.id("ann"), 1}
	w.publishAll(t, gone.matches(1, "viewer"))
	given := gone.made(t, 1)[0]
	_, events := give(given, 0)
	w.publishAll(t, append(events, w.granted(given))...)
	w.handled(t)
	w.leave(t, "ann")
	w.handled(t)
	w.publishAll(t, gone.ends(1, takeAway))
	gone.made(t, 1)
}

// B-USR-15 and B-APR-19, in part: nobody is asked whether that is taken away which was
// never approved, and what is asked ends when it has become pointless: what was given has
// ended by itself, or the flow is for them again. Then the next time that the flow lets
// them go it is about that, too.
func TestAskedBack(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	w.publishAll(t, f.matches(1, "account", "editor", "viewer"))
	given := f.made(t, 1)[0]
	_, accountEvents := give(given, 0)
	editor, editorEvents := give(given, 1)
	w.publishAll(t, append(append(accountEvents, editorEvents...), w.granted(part(given, 0, 1)))...) // the third is not approved
	w.handled(t)

	w.publishAll(t, f.ends(1, ask))
	back := f.made(t, 2)[1]
	for n, i := range back.GetItems() {
		if i.GetNotInPlace() != (n == 2) {
			t.Errorf("item %d: %v", n, i)
		}
	}
	if got := w.get(t, back); !proto.Equal(inEvent(got), back) {
		t.Errorf("emitted\n%v, reads\n%v", back, got)
	}
	servicetest.Wait(t, w.Harness, func(e *eventv1.RequestSubmitted) bool {
		return e.GetRequest().GetId() == back.GetId() && e.GetGivenRequestId() == given.GetId()
	})
	asked := func(reason string) *eventv1.RequestCancelRequested {
		t.Helper()
		return servicetest.Wait(t, w.Harness, func(e *eventv1.RequestCancelRequested) bool {
			return e.GetRequestId() == back.GetId() && e.GetReason() == reason
		})
	}
	w.twice(t, take(editor)...)
	if e := asked("what it would take away has ended"); !slices.Equal(e.GetItemIds(), []string{back.GetItems()[1].GetId()}) {
		t.Errorf("cancelled %v", e)
	}
	w.twice(t, f.matches(2, "account"))
	if e := asked("the flow Sales is for them again"); !slices.Equal(e.GetItemIds(), []string{back.GetItems()[0].GetId()}) {
		t.Errorf("cancelled %v", e)
	}
	again := f.made(t, 3)[2]
	w.publishAll(t, emission{back.GetId(), &eventv1.ApprovalCancelled{
		Context: &eventv1.Context{Actor: system, RequestIds: []string{back.GetId()}, Version: 9}, RequestId: back.GetId(), Reason: "pointless",
		ItemIds: []string{back.GetItems()[0].GetId()},
	}})
	_, events := give(again, 0)
	w.publishAll(t, append(events, w.granted(again))...)
	w.handled(t)

	w.publishAll(t, f.ends(2, ask))
	last := f.made(t, 4)[3]
	if !slices.Equal(givenBy(last), []string{again.GetItems()[0].GetId(), given.GetItems()[0].GetId()}) {
		t.Errorf("asks about %v", last)
	}
	if n := len(emitted[*eventv1.RequestCancelRequested](t, w)); n != 3 { // one is about what was not approved
		t.Errorf("%d were to be cancelled", n)
	}

	// Who has left is asked about no more.
	w.publishAll(t, w.requested(last, "pia"))
	w.leave(t, "ben")
	servicetest.Wait(t, w.Harness, func(e *eventv1.RequestCancelRequested) bool { return e.GetRequestId() == last.GetId() })
}

// asking opens a request that asks whether what a first match of a flow gave is taken away:
// account, of which the grant is returned, and editor.
func (f joinFlow) asking(t *testing.T) (given, back *requestv1.Request, account *provisioningv1.Grant) {
	t.Helper()
	f.w.publishAll(t, f.matches(1, "account", "editor"))
	given = f.made(t, 1)[0]
	account, events := give(given, 0)
	_, more := give(given, 1)
	f.w.publishAll(t, append(append(events, more...), f.w.granted(given))...)
	f.w.handled(t)
	f.w.publishAll(t, f.ends(1, ask))
	return given, f.made(t, 2)[1], account
}

// givenBy are the items that gave what a request takes away.
func givenBy(r *requestv1.Request) []string {
	var out []string
	for _, i := range r.GetItems() {
		out = append(out, i.GetGrantItemId())
	}
	return out
}

// idsOf are the items of a request.
func idsOf(r *requestv1.Request) []string {
	var out []string
	for _, i := range r.GetItems() {
		out = append(out, i.GetId())
	}
	return out
}

// B-USR-15, in part: a flow lets somebody go, matches them and lets them go again before
// approval has said that it asks no more about the first time: nothing is forgotten. And of
// what one request takes away twice, both may turn out not to be gone.
func TestAskedBackInARow(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	given, _, account := f.asking(t)
	w.twice(t, f.matches(2, "account", "editor"))
	again := f.made(t, 3)[2]
	second, events := give(again, 0)
	w.publishAll(t, append(events, w.granted(again))...)
	w.handled(t)
	w.publishAll(t, f.ends(2, takeAway))
	last := f.made(t, 4)[3]
	if got := givenBy(last); !slices.Equal(got, append(idsOf(again), idsOf(given)...)) {
		t.Fatalf("takes away %v", last)
	}

	w.publishAll(t, w.granted(last))
	for n, g := range map[int]*provisioningv1.Grant{0: second, 2: account} {
		done := &eventv1.RevocationCompleted{Context: about(last), RequestId: last.GetId(), ItemId: last.GetItems()[n].GetId(), GrantIds: []string{g.GetId()}}
		done.Context.Version = 1
		reopened := &eventv1.RevocationReopened{Context: about(last), RequestId: last.GetId(), ItemId: last.GetItems()[n].GetId()}
		reopened.Context.Version = 2
		w.publishAll(t, emission{last.GetId(), done})
		w.handled(t)
		w.publishAll(t, emission{last.GetId(), reopened})
		w.handled(t)
	}
	for n, i := range w.get(t, last).GetItems() {
		if i.GetState() != requestv1.ItemState_ITEM_STATE_APPROVED {
			t.Errorf("item %d: %v", n, i)
		}
	}
}

// B-APR-19, in part: what somebody has decided to keep, an admin who stops the question
// included, is not asked about with the next match.
func TestAskedBackAndKept(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	_, back, _ := f.asking(t)
	if _, err := w.requests(t, "zoe").CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: back.GetId(), Reason: "keep it"}); err != nil {
		t.Fatal(err)
	}
	w.publishAll(t, f.matches(2, "account"))
	again := f.made(t, 3)[2]
	_, events := give(again, 0)
	w.publishAll(t, append(events, w.granted(again))...)
	w.handled(t)
	w.publishAll(t, f.ends(2, ask))
	if last := f.made(t, 4)[3]; !slices.Equal(givenBy(last), []string{again.GetItems()[0].GetId()}) {
		t.Errorf("asks about %v", last)
	}
}

// B-APR-19, in part: whatever is heard of first, nobody is asked while the flow is for the
// person, and somebody is when it is not.
func TestAskedBackOutOfOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	cancelled := func() []*eventv1.RequestCancelRequested { return emitted[*eventv1.RequestCancelRequested](t, w) }

	// The second match has ended before its beginning is heard of.
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	_, back, account := f.asking(t)
	w.publishAll(t, f.ends(2, ask))
	w.handled(t)
	w.publishAll(t, f.matches(2, "account"))
	f.made(t, 2)
	if got := cancelled(); len(got) != 0 {
		t.Fatalf("cancelled %v", got)
	}
	// The grant ends because this request says so, whose approval comes after it.
	ended := grantEvent("ended", next(account, provisioningv1.GrantState_GRANT_STATE_REVOKING))
	about := ended.message.(*eventv1.GrantEnded).GetContext()
	about.RequestIds = append(about.RequestIds, back.GetId())
	w.publishAll(t, ended)
	w.handled(t)
	if got := cancelled(); len(got) != 0 {
		t.Fatalf("cancelled %v", got)
	}

	// The end of the first match is heard of after the second.
	f = joinFlow{w, id.New().String(), w.id("ann"), 1}
	w.publishAll(t, f.matches(1, "editor"))
	given := f.made(t, 1)[0]
	_, events := give(given, 0)
	w.publishAll(t, append(events, w.granted(given))...)
	w.handled(t)
	w.publishAll(t, f.matches(2, "editor"))
	again := f.made(t, 2)[1]
	_, events = give(again, 0)
	w.publishAll(t, append(events, w.granted(again))...)
	w.handled(t)
	w.twice(t, f.ends(1, ask))
	back = f.made(t, 3)[2]
	if got := cancelled(); len(got) != 1 || got[0].GetRequestId() != back.GetId() {
		t.Fatalf("cancelled %v", got)
	}
	if got := w.get(t, back).GetState(); got != requestv1.RequestState_REQUEST_STATE_CANCELLING {
		t.Errorf("is %s", got)
	}
	w.publishAll(t, f.ends(2, ask))
	if last := f.made(t, 4)[3]; !slices.Equal(givenBy(last), []string{again.GetItems()[0].GetId(), given.GetItems()[0].GetId()}) {
		t.Errorf("asks about %v", last)
	}
}

// B-USR-15, in part: what a flow could not give first is a match of its own beside the one
// before, and both end: each takes away, or asks about, what it gave.
func TestMatchGoesOn(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, second := range map[string]int32{"ben": 2, "ann": 1} { // which is heard of last
		f := joinFlow{w, id.New().String(), w.id(name), 1}
		w.publishAll(t, f.matches(1, "account", "editor"))
		given := f.made(t, 1)[0]
		refused := w.cancelled(given, "ann", "a flow gives it to others only")
		cancelledItems(refused, given, 1)
		_, events := give(given, 0)
		w.publishAll(t, append([]emission{refused, w.granted(part(given, 0)), f.matches(2, "editor")}, events...)...)
		more := f.made(t, 2)[1]
		_, events = give(more, 0)
		w.publishAll(t, append(events, w.granted(more))...)
		w.handled(t)
		w.publishAll(t, f.ends(3-second, ask))
		w.handled(t)
		w.publishAll(t, f.ends(second, ask))
		asked := append(givenBy(f.made(t, 4)[2]), givenBy(f.made(t, 4)[3])...)
		want := []string{given.GetItems()[0].GetId(), more.GetItems()[0].GetId()}
		if second == 1 {
			slices.Reverse(want)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked about %q, want %q", asked, want)
		}
		for _, e := range emitted[*eventv1.RequestSubmitted](t, w) {
			count := map[string]int32{given.GetId(): 1, more.GetId(): 2}[e.GetRequest().GetId()]
			if e.GetRequest().GetBeneficiary().GetUserId() == f.user && (e.GetMatchCount() != count || count > 0 && e.GetJoinCount() != 1) {
				t.Errorf("of match %d, want %d: %v", e.GetMatchCount(), count, e)
			}
		}
	}
	if got := emitted[*eventv1.RequestCancelRequested](t, w); len(got) != 0 {
		t.Errorf("cancelled %v", got)
	}
}

// B-APR-19, in part: of what is approved it is asked also if that is not in place as far as is
// known: that it is may be heard of later than that the flow lets somebody go. If it ends
// without that nobody is asked about it any more.
func TestAskedBackBeforeInPlace(t *testing.T) {
	t.Parallel()
	w := start(t)
	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	w.publishAll(t, f.matches(1, "account", "editor"))
	given := f.made(t, 1)[0]
	editor := grant(given, 1)
	w.publishAll(t, w.granted(given), grantEvent("created", editor))
	w.handled(t)
	w.publishAll(t, f.ends(1, ask))
	back := f.made(t, 2)[1]
	for _, i := range back.GetItems() {
		if i.GetNotInPlace() {
			t.Errorf("taken away unasked: %v", i)
		}
	}
	_, events := give(given, 0)
	w.publishAll(t, append(events, take(editor)...)...)
	w.handled(t)
	got := emitted[*eventv1.RequestCancelRequested](t, w)
	if len(got) != 1 || got[0].GetRequestId() != back.GetId() || !slices.Equal(got[0].GetItemIds(), idsOf(back)[1:]) {
		t.Errorf("cancelled %v", got)
	}
}

// B-APR-19, in part: of what a flow does not give any more when it is for somebody again it
// is still asked whether that is taken away, whichever is heard of first; and of all of it
// if it gives nothing.
func TestAskedBackOfLess(t *testing.T) {
	t.Parallel()
	w := start(t)
	cancelled := func(r *requestv1.Request) (items []string) {
		for _, e := range emitted[*eventv1.RequestCancelRequested](t, w) {
			if e.GetRequestId() == r.GetId() && len(e.GetItemIds()) == 0 {
				t.Errorf("all is cancelled: %v", e)
			} else if e.GetRequestId() == r.GetId() {
				items = append(items, e.GetItemIds()...)
			}
		}
		return items
	}

	f := joinFlow{w, id.New().String(), w.id("ben"), 1}
	_, back, _ := f.asking(t)
	w.publishAll(t, f.matches(2)) // what it named is deleted
	f.made(t, 2)
	if got := cancelled(back); len(got) != 0 {
		t.Errorf("cancelled %v", got)
	}
	w.publishAll(t, f.ends(2, ask), f.matches(3, "account"))
	f.made(t, 3)
	if got := cancelled(back); !slices.Equal(got, idsOf(back)[:1]) {
		t.Errorf("cancelled %v of %v", got, idsOf(back))
	}

	// The end of the first match is heard of after the second.
	f = joinFlow{w, id.New().String(), w.id("ann"), 1}
	w.publishAll(t, f.matches(1, "account", "editor"))
	given := f.made(t, 1)[0]
	_, events := give(given, 0)
	_, more := give(given, 1)
	w.publishAll(t, append(append(events, more...), w.granted(given), f.matches(2, "editor"))...)
	f.made(t, 2)
	w.publishAll(t, f.ends(1, ask))
	back = f.made(t, 3)[2]
	if got := cancelled(back); !slices.Equal(got, idsOf(back)[1:]) {
		t.Errorf("cancelled %v of %v", got, idsOf(back))
	}
}

const ask = approvalv1.UnmatchAction_UNMATCH_ACTION_ASK
