package request_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/servicetest"

	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// twice publishes events, and then all of them again with the same ids, as when a
// process dies between its commit and the acknowledgement.
func (w *world) twice(t *testing.T, emissions ...emission) {
	t.Helper()
	ids := make([]uuid.UUID, 0, len(emissions))
	for _, f := range emissions {
		ids = append(ids, w.publish(t, f.id, f.message))
	}
	for i, f := range emissions {
		w.PublishAgain(t, ids[i], w.org, uuid.MustParse(f.id), f.message)
	}
	w.handled(t)
}

// Events delivered twice with the same ids, and once more with new ones, take
// effect once.
func TestDeliveredTwice(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("editor"))
	g, given := give(r, 0)
	item := &provisioningv1.WorkItem{Id: id.New().String(), AppName: "CRM", RequestIds: []string{r.GetId()}, Note: "done"}
	emissions := append([]emission{
		w.requested(r, "pia"), w.decided(r, "pia"), w.granted(r),
		{item.GetId(), &eventv1.WorkItemOpened{Context: about(r), WorkItem: item}},
		{item.GetId(), &eventv1.WorkItemResolved{Context: about(r), WorkItem: item}},
		{item.GetId(), &eventv1.WorkItemCancelled{Context: about(r), WorkItem: item}},
	}, given...)
	emissions = append(emissions, grantEvent("expiring", next(g, provisioningv1.GrantState_GRANT_STATE_ACTIVE)))
	w.twice(t, emissions...)
	w.wantState(t, r, fulfilled, itemFulfilled)
	want := []string{
		"request.submitted", "approval.requested", "approval.decided", "approval.granted", "work_item.opened", "work_item.resolved",
		"work_item.cancelled", "grant.created", "grant.activated", "grant.expiring", "request.closed",
	}
	events := w.timeline(t, r)
	slices.Sort(want)
	if slices.Sort(events); !slices.Equal(events, want) {
		t.Errorf("timeline %q", events)
	}
	w.publishAll(t, emissions...)
	got := w.wantState(t, r, fulfilled, itemFulfilled)
	if n := w.closings(t, r); n != 1 {
		t.Errorf("closed %d times", n)
	}
	// It ends as it may, its request stays what it was.
	w.twice(t, take(next(g, provisioningv1.GrantState_GRANT_STATE_ACTIVE))...)
	if after := w.get(t, r); !proto.Equal(after, got) {
		t.Errorf("was\n%v, is\n%v", got, after)
	}
	if events := w.timeline(t, r); !slices.Contains(events, "grant.revoked") {
		t.Errorf("timeline %q", events)
	}

	r = w.submit(t, "ann", w.grantOf("viewer"))
	w.twice(t, w.denied(r, "pia", "no"))
	r2 := w.submit(t, "ann", w.grantOf("viewer"))
	w.twice(t, w.cancelled(r2, "ann", "no"))
	if w.closings(t, r) != 1 || w.closings(t, r2) != 1 {
		t.Errorf("closed %d and %d times", w.closings(t, r), w.closings(t, r2))
	}
}

// B-ONB-19, in part: what a person said by mistake is taken back. A request that is not
// closed waits for the item again; a closed one never changes, and its timeline says it.
func TestGrantReopened(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("editor", "account"))
	g, given := give(r, 0)
	w.twice(t, append([]emission{w.requested(r, "pia"), w.decided(r, "pia"), w.granted(r)}, given...)...)
	w.wantState(t, r, approved, itemFulfilled, itemApproved)
	active := next(g, provisioningv1.GrantState_GRANT_STATE_ACTIVE)
	waits := next(active, provisioningv1.GrantState_GRANT_STATE_PENDING)
	waits.ActivateTime = nil
	item := &provisioningv1.WorkItem{Id: id.New().String(), AppName: "CRM", ReopenedItemId: id.New().String(), ReopenReason: "the wrong Ann"}
	w.twice(t, grantEvent("reopened", waits), emission{item.GetId(), &eventv1.WorkItemOpened{Context: about(r), WorkItem: item}})
	w.wantState(t, r, approved, itemApproved, itemApproved)
	w.twice(t, given...) // what was said before does not come back
	w.wantState(t, r, approved, itemApproved, itemApproved)

	_, other := give(r, 1)
	w.twice(t, append(other, grantEvent("activated", next(waits, provisioningv1.GrantState_GRANT_STATE_ACTIVE)))...)
	closed := w.wantState(t, r, fulfilled, itemFulfilled, itemFulfilled)
	late := next(next(waits, provisioningv1.GrantState_GRANT_STATE_ACTIVE), provisioningv1.GrantState_GRANT_STATE_PENDING)
	w.twice(t, grantEvent("reopened", late))
	if after := w.get(t, r); !proto.Equal(after, closed) || w.closings(t, r) != 1 {
		t.Errorf("was\n%v, is\n%v", closed, after)
	}
	// The other way round: what comes after is heard first.
	r2 := w.submit(t, "ben", w.grantOf("editor", "account"))
	g2, given2 := give(r2, 0)
	w.publishAll(t, w.requested(r2, "pia"), w.decided(r2, "pia"), w.granted(r2))
	back := next(next(g2, provisioningv1.GrantState_GRANT_STATE_ACTIVE), provisioningv1.GrantState_GRANT_STATE_PENDING)
	w.publishAll(t, grantEvent("activated", next(back, provisioningv1.GrantState_GRANT_STATE_ACTIVE)), grantEvent("reopened", back))
	w.publishAll(t, given2...)
	w.wantState(t, r2, approved, itemFulfilled, itemApproved)

	entries, err := w.requests(t, "ann").ListTimeline(t.Context(), &requestv1.ListTimelineRequest{Id: r.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries.GetEntries() {
		texts = append(texts, e.GetText())
	}
	for text, n := range map[string]int{"Not in place after all: CRM: editor": 2, "A work item is open again in CRM: the wrong Ann": 1} {
		got := 0
		for _, t := range texts {
			if t == text {
				got++
			}
		}
		if got != n {
			t.Errorf("%q stands %d times in %q", text, got, texts)
		}
	}
}

// B-ONB-19, in part: a revoke request that is not closed waits for what was not taken
// away after all.
func TestRevocationReopened(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.hold(t, "ann", w.grantOf("editor"))
	w.hold(t, "ann", w.grantOf("account"))
	w.handled(t)
	r := w.submit(t, "ann", w.revokeOf("editor", "account"))
	version := func(n int64) *eventv1.Context {
		c := about(r)
		c.Version = n
		return c
	}
	completed := func(item int, n int64) emission {
		i := r.GetItems()[item].GetId()
		return emission{i, &eventv1.RevocationCompleted{Context: version(n), RequestId: r.GetId(), ItemId: i}}
	}
	i := r.GetItems()[0].GetId()
	w.twice(t, w.requested(r, "pia"), w.decided(r, "pia"), w.granted(r), completed(0, 1))
	w.wantState(t, r, approved, itemFulfilled, itemApproved)
	w.twice(t, emission{i, &eventv1.RevocationReopened{Context: version(2), RequestId: r.GetId(), ItemId: i}})
	w.wantState(t, r, approved, itemApproved, itemApproved)
	w.twice(t, completed(0, 1), completed(1, 1))
	w.wantState(t, r, approved, itemApproved, itemFulfilled)
	w.twice(t, completed(0, 3))
	w.wantState(t, r, fulfilled, itemFulfilled, itemFulfilled)
}

// In whatever order and however often events come, and whichever of two
// replicas takes them, a request ends fulfilled, and one event is emitted for it.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Replica(t)
	rng := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // repeatable on purpose
	const n = 40
	rs := make([]*requestv1.Request, 0, n)
	var emissions []emission
	for i := range n {
		name := fmt.Sprintf("user%d", i)
		w.join(t, name, authzv1.Caller_CALLER_MEMBER)
	}
	w.handled(t)
	for i := range n {
		r := w.submit(t, fmt.Sprintf("user%d", i), w.grantOf("account", "editor", "viewer"))
		rs = append(rs, r)
		fs := []emission{w.requested(r, "pia"), w.decided(r, "pia"), w.granted(r)}
		for item := range r.GetItems() {
			g, given := give(r, item)
			fs = append(fs, given...)
			if item == 1 { // was away for a while
				fs = append(fs, grantEvent("failed", next(grant(r, item), provisioningv1.GrantState_GRANT_STATE_FAILED)))
			}
			if item == 2 { // and is over again already
				fs = append(fs, take(g)...)
			}
		}
		fs = append(fs, fs[rng.IntN(len(fs))], fs[rng.IntN(len(fs))])
		emissions = append(emissions, fs...)
	}
	rng.Shuffle(len(emissions), func(i, j int) { emissions[i], emissions[j] = emissions[j], emissions[i] })
	w.publishAll(t, emissions...)
	for _, r := range rs {
		w.closed(t, r)
		w.wantState(t, r, fulfilled, itemFulfilled, itemFulfilled, itemFulfilled)
		if n := w.closings(t, r); n != 1 {
			t.Errorf("closed %d times", n)
		}
		w.timeline(t, r)
	}
}

// B-REQ-03, B-RUN-02: all that happens to many requests comes at once, twice
// and in no order, with one event among it that cannot be read: each ends as if
// its events had been delivered alone.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	rng := rand.New(rand.NewPCG(5, 3)) //nolint:gosec // repeatable on purpose
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("user%d", i))
		w.join(t, names[i], authzv1.Caller_CALLER_MEMBER)
	}
	w.handled(t)
	var rs []*requestv1.Request
	emissions := []emission{{id.New().String(), &eventv1.ApprovalGranted{Context: &eventv1.Context{Actor: system}}}}
	for _, name := range names {
		r := w.submit(t, name, w.grantOf("account", "editor"))
		rs = append(rs, r)
		emissions = append(emissions, w.requested(r, "pia"), w.decided(r, "pia"), w.granted(r))
		for item := range r.GetItems() {
			_, given := give(r, item)
			emissions = append(emissions, given...)
		}
	}
	rng.Shuffle(len(emissions), func(i, j int) { emissions[i], emissions[j] = emissions[j], emissions[i] })
	// While the table is locked, what is published gathers in one batch.
	locked, err := w.DB.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locked.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := locked.Exec(t.Context(), "lock table access_request"); err != nil {
		t.Fatal(err)
	}
	for _, f := range emissions {
		eventID := w.publish(t, f.id, f.message)
		w.PublishAgain(t, eventID, w.org, uuid.MustParse(f.id), f.message)
	}
	if err := locked.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		closed := w.closed(t, r).GetRequest()
		out, err := w.requests(t, "zoe").GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: r.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.GetRequest(); got.GetState() != fulfilled || got.GetVersion() < closed.GetVersion() ||
			slices.ContainsFunc(got.GetItems(), func(i *requestv1.RequestItem) bool { return i.GetState() != itemFulfilled }) {
			t.Errorf("emitted\n%v, reads\n%v", closed, got)
		}
	}
	if n := len(servicetest.All[*eventv1.RequestClosed](w.Harness)); n != len(rs) {
		t.Errorf("%d were closed %d times", len(rs), n)
	}
}

// What provisioning gives up before it was ever in place closes the request as
// cancelled, with the reason; what was done before stays done.
func TestNeverInPlace(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("editor"))
	g := grant(r, 0)
	w.publishAll(t, grantEvent("created", g)) // before approval.granted: by its own time
	w.publishAll(t, take(g)...)
	w.publishAll(t, w.granted(r))
	closed := w.closed(t, r)
	got := w.wantState(t, r, cancelled, itemCancelled)
	if emitted := closed.GetRequest(); emitted.GetState() != cancelled || emitted.GetClosingReason() != "not put in place: the person has left" {
		t.Errorf("emitted %v", emitted)
	}
	// Which flow it was is told by the approval, which came after.
	if got.GetFlowVersion() != 3 || got.GetVersion() <= closed.GetRequest().GetVersion() {
		t.Errorf("emitted\n%v, reads\n%v", closed.GetRequest(), got)
	}

	r = w.submit(t, "ann", w.grantOf("editor", "viewer"))
	w.publishAll(t, w.granted(r))
	w.publishAll(t, take(grant(r, 0))...)
	w.wantState(t, r, approved, itemCancelled, itemApproved)
	_, given := give(r, 1)
	w.publishAll(t, given...)
	if got := w.closed(t, r).GetRequest(); got.GetState() != partly || got.GetClosingReason() == "" {
		t.Errorf("closed as %v", got)
	}
	w.wantState(t, r, partly, itemCancelled, itemFulfilled)

	// A revocation that is done before its approval is delivered.
	back := w.submit(t, "ann", w.revokeOf("viewer"))
	w.publishAll(t, revoked(back, grant(back, 0)), w.granted(back))
	w.closed(t, back)
	w.wantState(t, back, fulfilled, itemFulfilled)
	if n := w.closings(t, back); n != 1 {
		t.Errorf("closed %d times", n)
	}
}

// When a user is removed, their requests that are not approved yet are cancelled.
// A user who has come back keeps what was requested since, also if the removal is
// delivered late.
func TestBeneficiaryLeaves(t *testing.T) {
	t.Parallel()
	w := start(t)
	forBen := func(name string) *requestv1.Request {
		submission := w.grantOf(name)
		submission.BeneficiaryId = w.id("ben")
		return w.submit(t, "ann", submission)
	}
	asked, waits, done := forBen("account"), forBen("editor"), forBen("viewer")
	w.publishAll(t, w.requested(waits, "pia"), w.granted(done))
	w.handled(t)
	w.leave(t, "ben")
	gone := cloneOf(w.users["ben"])
	for _, r := range []*requestv1.Request{asked, waits} {
		emitted := servicetest.Wait(t, w.Harness, func(m *eventv1.RequestCancelRequested) bool { return m.GetRequestId() == r.GetId() })
		if emitted.GetReason() != "ben has left" || emitted.GetContext().GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM || emitted.GetContext().GetUserId() != w.id("ben") {
			t.Errorf("emitted %v", emitted)
		}
		w.wantState(t, r, cancelling)
	}
	w.wantState(t, done, approved)
	submission := w.grantOf("account")
	submission.BeneficiaryId = w.id("ben")
	_, err := w.requests(t, "ann").CreateRequest(t.Context(), submission)
	wantError(t, err, 9, "BENEFICIARY_NOT_ACTIVE", "beneficiary_id")

	w.publish(t, gone.GetId(), &eventv1.UserRemoved{User: gone}) // again
	w.publishAll(t, w.cancelled(asked, "zoe", "has left"), w.cancelled(waits, "zoe", "has left"))
	if n := len(emitted[*eventv1.RequestCancelRequested](t, w)); n != 2 {
		t.Errorf("asked %d times", n)
	}

	w.comeBack(t, "ben")
	w.handled(t)
	fresh := forBen("account")
	// The removal happened before this request was made.
	w.PublishAt(t, fresh.GetCreateTime().AsTime().Add(-time.Minute), w.org, uuid.MustParse(gone.GetId()), &eventv1.UserRemoved{User: gone})
	w.wantState(t, fresh, submitted)
}

// B-ONB-03, B-ONB-13, B-USR-15: a join-flow that matches opens one request,
// however often it is emitted, when all that it needs is here; for what is neither
// held nor requested; again when the person has come back.
func TestFlowMatched(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.hold(t, "ben", w.grantOf("account"))
	w.submit(t, "ben", w.grantOf("viewer"))
	flow := id.New().String()
	matched := func(user string, joinCount int32, names ...string) emission {
		return emission{flow, &eventv1.FlowMatched{
			Context: &eventv1.Context{Actor: system, UserId: user}, FlowId: flow, FlowVersion: 2, FlowName: "Sales", UserId: user, JoinCount: joinCount,
			EntitlementIds: w.grantOf(names...).GetEntitlementIds(), Duration: durationpb.New(time.Hour),
		}}
	}
	joins := func(user string) []*requestv1.Request {
		var out []*requestv1.Request
		for _, m := range emitted[*eventv1.RequestSubmitted](t, w) {
			if r := m.GetRequest(); r.GetBeneficiary().GetUserId() == user && r.GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_JOIN {
				out = append(out, r)
			}
		}
		return out
	}
	submittedFor := func(user string, n int) *requestv1.Request {
		t.Helper()
		got := joins(user)
		if len(got) != n {
			t.Fatalf("made %v", got)
		}
		return got[n-1]
	}

	f := matched(w.id("ben"), 1, "account", "editor", "viewer", "editor")
	w.twice(t, f)
	w.publishAll(t, f)
	r := submittedFor(w.id("ben"), 1)
	// Each once, also what ben holds and what he has requested himself.
	if len(r.GetItems()) != 3 || r.GetRequester() != nil || r.GetFlowId() != flow ||
		r.GetFlowVersion() != 2 || r.GetUntil().AsTime().Sub(r.GetCreateTime().AsTime()) != time.Hour {
		t.Errorf("made %v", r)
	}
	if got := asTold(w.get(t, r)); !proto.Equal(got, r) {
		t.Errorf("emitted\n%v, reads\n%v", r, got)
	}
	// Ben sees it among his own.
	out, err := w.requests(t, "ben").ListRequests(t.Context(), &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_MY_OPEN})
	if err != nil || len(out.GetRequests()) != 2 {
		t.Errorf("lists %v %v", out, err)
	}

	// Emitted before the user is known here.
	newcomer := id.New().String()
	w.publishAll(t, matched(newcomer, 1, "editor"))
	w.join(t, "nan", authzv1.Caller_CALLER_MEMBER)
	nan := w.users["nan"]
	nan.Id = newcomer
	w.publish(t, nan.GetId(), &eventv1.UserJoined{User: nan})
	first := submittedFor(newcomer, 1)

	// A user who has left gets nothing; one who has come back starts afresh, also
	// if that is not known here yet.
	w.publishAll(t, w.denied(first, "pia", "no"))
	w.closed(t, first)
	w.leave(t, "nan")
	w.handled(t)
	w.publishAll(t, matched(newcomer, 1, "viewer"))
	w.handled(t)
	submittedFor(newcomer, 1)
	w.publishAll(t, matched(newcomer, 2, "editor"))
	w.comeBack(t, "nan")
	if again := submittedFor(newcomer, 2); again.GetId() == first.GetId() {
		t.Errorf("made %v", again)
	}
	// Another flow that gives the same is a reason of its own.
	other := matched(w.id("ben"), 1, "account", "viewer")
	other.message.(*eventv1.FlowMatched).FlowId = id.New().String()
	w.publishAll(t, other)
	w.handled(t)
	submittedFor(w.id("ben"), 2)
}

// B-RUN-06 in part: copies of environments, users and grants are rebuilt from their owners
// while requests go on. What the service had missed is there afterwards, with
// what follows from it; once, however often it is done.
func TestRebuildCopies(t *testing.T) {
	t.Parallel()
	w := start(t)
	forBen := w.grantOf("editor")
	forBen.BeneficiaryId = w.id("ben")
	pending := w.submit(t, "ann", forBen)
	ben, nan := cloneOf(w.users["ben"]), cloneOf(w.users["ann"])
	ben.Version, ben.State = 2, identityv1.UserState_USER_STATE_REMOVED
	nan.Id, nan.UserName, nan.DisplayName, nan.ManagerId = id.New().String(), "nan", "nan", w.id("ann")
	held := &provisioningv1.Grant{
		Id: id.New().String(), OrganizationId: w.org.String(), User: w.person("pia"), AppId: w.crm.GetId(), EntitlementId: w.access["viewer"],
		State: provisioningv1.GrantState_GRANT_STATE_ACTIVE, Version: 2,
	}
	w.Owners.Set(w.users["ann"], ben, nan, held)
	for range 2 {
		w.RebuildCopies(t)
		cancelled := servicetest.Wait(t, w.Harness, func(m *eventv1.RequestCancelRequested) bool { return m.GetRequestId() == pending.GetId() })
		if cancelled.GetReason() != "ben has left" {
			t.Errorf("cancelled %v", cancelled)
		}
		forNan := w.grantOf("viewer")
		forNan.BeneficiaryId = nan.GetId()
		r, err := w.requests(t, "ann").CreateRequest(t.Context(), forNan)
		if err != nil && !apierr.HasReason(apierr.FromCall(err), "ALREADY_REQUESTED") {
			t.Errorf("request for a user that only the snapshot has: %v, %v", r, err)
		}
	}
	w.submit(t, "pia", w.grantOf("editor"))
	servicetest.Eventually(t, "pia is known to hold viewer", func() bool {
		// A preview: a request that is taken would be what the next one is refused for.
		p, err := w.requests(t, "pia").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: w.grantOf("viewer")})
		return err == nil && p.GetItems()[0].GetRefusal() == "ALREADY_HELD"
	})
	w.handled(t)
	if n := len(emitted[*eventv1.RequestCancelRequested](t, w)); n != 1 {
		t.Errorf("%d cancellations", n)
	}
}

// B-RUN-06, B-USR-15 in part: a copy that is lost and rebuilt after somebody has
// left and come back ends the requests of their first time, and no other.
func TestRebuildAfterSomebodyCameBack(t *testing.T) {
	t.Parallel()
	w := start(t)
	of := func(beneficiary, entitlement string) *requestv1.Request {
		in := w.grantOf(entitlement)
		in.BeneficiaryId = w.id(beneficiary)
		return w.submit(t, "ann", in)
	}
	first, other := of("ben", "editor"), of("pia", "editor")
	w.handled(t)
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, "delete from user_copy")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ben := cloneOf(w.users["ben"])
	ben.Version, ben.JoinCount = 3, 2
	w.Owners.Set(w.users["ann"], w.users["pia"], ben)
	w.RebuildCopies(t)
	servicetest.Wait(t, w.Harness, func(m *eventv1.RequestCancelRequested) bool { return m.GetRequestId() == first.GetId() })
	w.wantState(t, other, submitted)
	second := of("ben", "viewer")
	w.RebuildCopies(t)
	w.submit(t, "pia", w.grantOf("viewer"))
	w.handled(t)
	w.wantState(t, second, submitted)
	if n := len(emitted[*eventv1.RequestCancelRequested](t, w)); n != 1 {
		t.Errorf("%d cancellations", n)
	}
}
