package request_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	submitted  = requestv1.RequestState_REQUEST_STATE_SUBMITTED
	pending    = requestv1.RequestState_REQUEST_STATE_PENDING
	approved   = requestv1.RequestState_REQUEST_STATE_APPROVED
	fulfilled  = requestv1.RequestState_REQUEST_STATE_FULFILLED
	partly     = requestv1.RequestState_REQUEST_STATE_PARTLY_FULFILLED
	denied     = requestv1.RequestState_REQUEST_STATE_DENIED
	cancelling = requestv1.RequestState_REQUEST_STATE_CANCELLING
	cancelled  = requestv1.RequestState_REQUEST_STATE_CANCELLED

	itemWaiting   = requestv1.ItemState_ITEM_STATE_PENDING
	itemApproved  = requestv1.ItemState_ITEM_STATE_APPROVED
	itemFulfilled = requestv1.ItemState_ITEM_STATE_FULFILLED
	itemFailed    = requestv1.ItemState_ITEM_STATE_FAILED
	itemCancelled = requestv1.ItemState_ITEM_STATE_CANCELLED
)

// in is a time from now, as the database keeps it.
func in(d time.Duration) *timestamppb.Timestamp {
	return timestamppb.New(time.Now().Add(d).Truncate(time.Microsecond))
}

// B-REQ-01, B-REQ-02, B-REQ-03, B-REQ-07, B-REQ-15: from submitting a
// request for somebody else to access in place, with all of it in the timeline.
func TestLifeOfARequest(t *testing.T) {
	t.Parallel()
	w := start(t)
	submission := w.grantOf("editor", "account")
	submission.BeneficiaryId, submission.Until = w.id("ben"), in(time.Hour)
	r := w.submit(t, "ann", submission)
	if r.GetState() != submitted || r.GetVersion() != 1 || len(r.GetItems()) != 2 ||
		r.GetItems()[0].GetEntitlementName() != "editor" || r.GetItems()[1].GetAppName() != "CRM" ||
		!proto.Equal(r.GetRequester(), w.person("ann")) || !proto.Equal(r.GetBeneficiary(), w.person("ben")) ||
		!proto.Equal(r.GetUntil(), submission.GetUntil()) || r.GetJustification() != "to sell" {
		t.Fatalf("made %v", r)
	}
	emitted := servicetest.Wait(t, w.Harness, func(m *eventv1.RequestSubmitted) bool { return m.GetRequest().GetId() == r.GetId() })
	if c := emitted.GetContext(); !proto.Equal(emitted.GetRequest(), inEvent(r)) || c.GetActor().GetId() != w.id("ann") || c.GetUserId() != w.id("ben") ||
		!slices.Equal(c.GetRequestIds(), []string{r.GetId()}) || c.GetVersion() != 1 {
		t.Fatalf("emitted %v", emitted)
	}
	if got := w.get(t, r); !proto.Equal(got, r) {
		t.Fatalf("reads %v, want %v", got, r)
	}

	w.publishAll(t, w.requested(r, "pia"))
	w.wantState(t, r, pending, itemWaiting, itemWaiting)
	w.publishAll(t, w.decided(r, "pia"), w.granted(r))
	got := w.wantState(t, r, approved, itemApproved, itemApproved)
	if got.GetFlowVersion() != 3 || got.GetFlowId() != w.org.String() {
		t.Errorf("flow %s %d", got.GetFlowId(), got.GetFlowVersion())
	}
	_, first := give(r, 0)
	w.publishAll(t, first...)
	before := w.wantState(t, r, approved, itemFulfilled, itemApproved)
	if before.GetVersion() <= got.GetVersion() {
		t.Errorf("an item changed, the version is still %d", before.GetVersion())
	}
	// An app that is away holds it up until somebody mends it.
	g := grant(r, 1)
	failed := next(g, 5)
	w.publishAll(t, grantEvent("created", g), grantEvent("failed", failed))
	w.wantState(t, r, approved, itemFulfilled, itemFailed)
	w.publishAll(t, grantEvent("activated", next(failed, 2)))

	closed := w.closed(t, r)
	got = w.wantState(t, r, fulfilled, itemFulfilled, itemFulfilled)
	if !proto.Equal(closed.GetRequest(), inEvent(got)) {
		t.Errorf("emitted\n%v, reads\n%v", closed.GetRequest(), got)
	}
	if got.GetCloseTime() == nil || got.GetClosingReason() != "" || got.GetClosedBy() != nil || closed.GetContext().GetVersion() != got.GetVersion() {
		t.Errorf("closed as %v", got)
	}
	want := []string{
		"request.submitted", "approval.requested", "approval.decided", "approval.granted", "grant.created", "grant.activated",
		"grant.created", "grant.failed", "grant.activated", "request.closed",
	}
	if events := w.timeline(t, r); !slices.Equal(events, want) {
		t.Errorf("timeline %q", events)
	}
}

// B-REQ-03, B-APR-06: a denial closes the request, which shows who denied it
// and why.
func TestDenied(t *testing.T) {
	t.Parallel()
	w := start(t)
	r := w.submit(t, "ann", w.grantOf("account"))
	w.publishAll(t, w.requested(r, "pia"), w.denied(r, "pia", "not yours"))
	closed := w.closed(t, r)
	got := w.wantState(t, r, denied, itemDenied)
	if !proto.Equal(closed.GetRequest(), inEvent(got)) || got.GetClosingReason() != "not yours" || !proto.Equal(got.GetClosedBy(), w.person("pia")) {
		t.Errorf("emitted\n%v, reads\n%v", closed.GetRequest(), got)
	}
	// What was denied can be asked for again.
	w.submit(t, "ann", w.grantOf("account"))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.joinTo(t, id.New(), "", "olga", authzv1.Caller_CALLER_ADMIN)
	w.join(t, "sue", authzv1.Caller_CALLER_MEMBER)
	sue := w.users["sue"]
	sue.State, sue.Version = 3, 2 // suspended
	w.publish(t, sue.GetId(), &eventv1.UserSuspended{User: sue})
	w.handled(t)
	theirs := map[string]string{}
	a, err := w.apps(t, "olga").CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "Theirs"})
	if err != nil {
		t.Fatal(err)
	}
	theirs["account"] = a.GetAccount().GetId()

	change := func(f func(*requestv1.CreateRequestRequest)) *requestv1.CreateRequestRequest {
		in := w.grantOf("account", "editor")
		f(in)
		return in
	}
	for _, tc := range []struct {
		name, who, reason, field string
		code                     codes.Code
		in                       *requestv1.CreateRequestRequest
	}{
		{
			"until in the past", "ann", "NOT_IN_FUTURE", "until", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.Until = timestamppb.New(time.Now().Add(-time.Second)) }),
		},
		{
			"until no time", "ann", "TIME_INVALID", "until", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.Until = &timestamppb.Timestamp{Seconds: -1 << 60} }),
		},
		{"revoke until", "ann", "ONLY_FOR_GRANT", "until", codes.InvalidArgument, change(func(r *requestv1.CreateRequestRequest) {
			r.Kind, r.Until = requestv1.RequestKind_REQUEST_KIND_REVOKE, in(time.Hour)
		})},
		{
			"unknown entitlement", "ann", "ENTITLEMENT_UNKNOWN", "entitlement_ids[1]", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.EntitlementIds[1] = id.New().String() }),
		},
		{
			"entitlement of another organization", "ann", "ENTITLEMENT_UNKNOWN", "entitlement_ids[1]", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.EntitlementIds[1] = theirs["account"] }),
		},
		{
			"same twice", "ann", "ENTITLEMENT_TWICE", "entitlement_ids[1]", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.EntitlementIds[1] = strings.ToUpper(in.EntitlementIds[0]) }),
		},
		{
			"nothing", "ann", "INVALID_ARGUMENT", "entitlement_ids", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.EntitlementIds = nil }),
		},
		{
			"no kind", "ann", "INVALID_ARGUMENT", "kind", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.Kind = 0 }),
		},
		{
			"unknown beneficiary", "ann", "USER_UNKNOWN", "beneficiary_id", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.BeneficiaryId = id.New().String() }),
		},
		{
			"beneficiary of another organization", "ann", "USER_UNKNOWN", "beneficiary_id", codes.InvalidArgument,
			change(func(in *requestv1.CreateRequestRequest) { in.BeneficiaryId = w.id("olga") }),
		},
		{
			"suspended beneficiary", "ann", "BENEFICIARY_NOT_ACTIVE", "beneficiary_id", codes.FailedPrecondition,
			change(func(in *requestv1.CreateRequestRequest) { in.BeneficiaryId = sue.GetId() }),
		},
		{"nothing to revoke", "ann", "NOTHING_TO_REVOKE", "", codes.FailedPrecondition, w.revokeOf("account")},
		{
			"from outside, for others", "ext", "ONLY_FOR_ONESELF", "", codes.PermissionDenied,
			change(func(in *requestv1.CreateRequestRequest) { in.BeneficiaryId = w.id("ben") }),
		},
		{ // B-REQ-06
			"risk manager, for others", "ria", "ONLY_FOR_ONESELF", "", codes.PermissionDenied,
			change(func(in *requestv1.CreateRequestRequest) { in.BeneficiaryId = w.id("ben") }),
		},
	} {
		_, err := w.requests(t, tc.who).CreateRequest(t.Context(), tc.in)
		if status.Code(err) != tc.code || rpctest.Reason(err) != tc.reason || strings.Join(rpctest.Fields(err), " ") != tc.field {
			t.Errorf("%s: got %v, %s, %q", tc.name, err, rpctest.Reason(err), rpctest.Fields(err))
		}
	}
	if got := emitted[*eventv1.RequestSubmitted](t, w); len(got) != 0 {
		t.Errorf("emitted %v", got)
	}
	own := w.grantOf("account")
	own.BeneficiaryId = strings.ToUpper(w.id("ben"))
	if r := w.submit(t, "ben", own); r.GetBeneficiary().GetUserId() != w.id("ben") {
		t.Errorf("made %v", r)
	}
}

// B-REQ-13: repeated with the same request_id it makes one request, also by
// twenty at once, over two replicas, and when it would be refused by now.
func TestSameRequestID(t *testing.T) {
	t.Parallel()
	w := start(t)
	other, _ := w.Replica(t)
	clients := []requestv1.RequestServiceClient{
		w.requests(t, "ann"), requestv1.NewRequestServiceClient(w.Tokens.Dial(t, other, w.caller("ann"))),
	}
	submission := w.grantOf("account", "editor")
	submission.RequestId, submission.Until = id.New().String(), in(1500*time.Millisecond)
	got := make([]*requestv1.Request, 20)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			out, err := clients[i%2].CreateRequest(t.Context(), submission)
			if err != nil {
				t.Error(err)
			}
			got[i] = out.GetRequest()
		})
	}
	all.Wait()
	for _, r := range got {
		if !proto.Equal(r, got[0]) {
			t.Errorf("got %v and %v", got[0], r)
		}
	}
	if got := emitted[*eventv1.RequestSubmitted](t, w); len(got) != 1 {
		t.Errorf("emitted %v", got)
	}

	different := cloneOf(submission)
	different.Justification = "to buy"
	_, err := clients[0].CreateRequest(t.Context(), different)
	wantError(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED", "request_id")
	if metadata(err, "request") != got[0].GetId() {
		t.Errorf("names %q", metadata(err, "request"))
	}
	// It is the caller's own: another may use the same, and is in the way of
	// nothing but what was asked.
	_, err = w.requests(t, "zoe").CreateRequest(t.Context(), func() *requestv1.CreateRequestRequest {
		in := w.grantOf("viewer")
		in.RequestId = submission.GetRequestId()
		return in
	}())
	if err != nil {
		t.Error(err)
	}
	// Closed, and its end in the past: still the same request.
	for n := range got[0].GetItems() {
		w.publishAll(t, w.denied(part(got[0], n), "pia", "no"))
	}
	servicetest.Eventually(t, "its time is over", func() bool { return time.Now().After(submission.GetUntil().AsTime()) })
	if r := w.get(t, got[0]); r.GetState() != denied {
		t.Fatalf("is %v", r.GetState())
	}
	if again := w.submit(t, "ann", submission); again.GetId() != got[0].GetId() || again.GetState() != denied {
		t.Errorf("made %v", again)
	}
}

// B-REQ-10: a second request for the same entitlement is refused with the id of
// the first, also if twenty are submitted at once, with entitlements in any order.
func TestSameEntitlementTwice(t *testing.T) {
	t.Parallel()
	w := start(t)
	submissions := []*requestv1.CreateRequestRequest{w.grantOf("account", "editor", "viewer"), w.grantOf("viewer", "editor"), w.grantOf("editor")}
	var mu sync.Mutex
	var made, named []string
	var all sync.WaitGroup
	for i := range 20 {
		who := []string{"ann", "zoe", "ian"}[i%3]
		submission := cloneOf(submissions[i%len(submissions)])
		submission.BeneficiaryId = w.id("ben")
		client := w.requests(t, who)
		all.Go(func() {
			out, err := client.CreateRequest(t.Context(), submission)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made = append(made, out.GetRequest().GetId())
				return
			}
			if rpctest.Reason(err) != "ALREADY_REQUESTED" {
				t.Error(err)
			}
			if who != "ann" { // she may see the first alone if it is hers
				named = append(named, metadata(err, "request"))
			}
		})
	}
	all.Wait()
	if len(made) != 1 || len(slices.Compact(named)) != 1 || named[0] != made[0] {
		t.Errorf("made %q, named %q", made, named)
	}
	// Another person's, and a revoke, are other things.
	w.submit(t, "ann", w.grantOf("editor"))
}

// B-REQ-10, B-REQ-11, B-PRV-10: what is held cannot be requested again, but can be
// requested for longer, and revoked.
func TestHeld(t *testing.T) {
	t.Parallel()
	w := start(t)
	refused := func(submission *requestv1.CreateRequestRequest, reason, first string) {
		t.Helper()
		_, err := w.requests(t, "ann").CreateRequest(t.Context(), submission)
		wantError(t, err, codes.FailedPrecondition, reason)
		if metadata(err, "request") != first {
			t.Errorf("%s names %q, want %q", reason, metadata(err, "request"), first)
		}
	}
	until := func(d time.Duration) *requestv1.CreateRequestRequest {
		submission := w.grantOf("editor")
		submission.Until = in(d)
		return submission
	}
	first, short := w.hold(t, "ann", until(time.Hour))
	refused(until(time.Minute), "ALREADY_HELD", first.GetId())
	longer, long := w.hold(t, "ann", until(2*time.Hour)) // an extension
	refused(until(90*time.Minute), "ALREADY_HELD", longer.GetId())
	forEver, kept := w.hold(t, "ann", w.grantOf("editor"))
	refused(until(3*time.Hour), "ALREADY_HELD", forEver.GetId())
	refused(w.grantOf("editor"), "ALREADY_HELD", forEver.GetId())

	// The first ends: it is still held by the others.
	w.publishAll(t, take(short)...)
	w.handled(t)
	refused(w.grantOf("editor"), "ALREADY_HELD", forEver.GetId())

	// Given back: a revoke, which is in nobody's way but another revoke's.
	back := w.submit(t, "ann", w.revokeOf("editor"))
	refused(w.revokeOf("editor"), "ALREADY_REQUESTED", back.GetId())
	w.publishAll(t, w.granted(back))
	w.wantState(t, back, approved, itemApproved)
	w.publishAll(t, slices.Concat(take(long), take(kept))...)
	w.publishAll(t, revoked(back, kept))
	if r := w.closed(t, back).GetRequest(); r.GetState() != fulfilled {
		t.Errorf("closed as %v", r)
	}
	refused(w.revokeOf("editor"), "NOTHING_TO_REVOKE", "")
	if got := w.wantState(t, forEver, fulfilled, itemFulfilled); w.closings(t, got) != 1 {
		t.Errorf("closed %d times", w.closings(t, got))
	}
	w.submit(t, "ann", w.grantOf("editor"))
}

// B-ONB-04, B-ONB-14: before asking one sees how each account will come, and
// what would be refused; nothing happens.
func TestPreview(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := map[string]string{}
	submission := w.grantOf("viewer", "editor")
	for _, a := range []*requestv1.CreateAppRequest{
		{Name: "Shared", Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_NONE},
		{Name: "Auto", Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC, IntegrationId: w.working},
		{Name: "Manual", Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL},
	} {
		w.app(t, a, ids)
		submission.EntitlementIds = append(submission.EntitlementIds, ids["account"])
	}
	w.hold(t, "ben", w.grantOf("viewer"))
	first := w.grantOf("editor")
	first.BeneficiaryId = w.id("ben")
	w.submit(t, "zoe", first)

	submission.BeneficiaryId = w.id("ben")
	out, err := w.requests(t, "ann").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: submission})
	if err != nil {
		t.Fatal(err)
	}
	type item struct {
		app, refusal string
		provisioning requestv1.ProvisioningSupport
	}
	var got []item
	for _, i := range out.GetItems() {
		if i.GetItem().GetId() != "" {
			t.Errorf("has an id: %v", i)
		}
		got = append(got, item{i.GetItem().GetAppName(), i.GetRefusal(), i.GetItem().GetProvisioning()})
	}
	want := []item{{"CRM", "ALREADY_HELD", 2}, {"CRM", "ALREADY_REQUESTED", 2}, {"Shared", "", 1}, {"Auto", "", 3}, {"Manual", "", 2}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	submission.EntitlementIds[4] = id.New().String()
	_, err = w.requests(t, "ann").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: submission})
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "entitlement_ids[4]")
	if n := len(emitted[*eventv1.RequestSubmitted](t, w)); n != 2 {
		t.Errorf("%d requests were made", n)
	}
}

// B-REQ-04, B-REQ-06: who sees a request, comments on it, and takes it back.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.join(t, "rex", authzv1.Caller_CALLER_MEMBER) // reviews
	w.join(t, "new", authzv1.Caller_CALLER_MEMBER) // is given the review
	w.joinTo(t, id.New(), "", "olga", authzv1.Caller_CALLER_ADMIN)
	w.handled(t)
	submission := w.grantOf("account")
	submission.BeneficiaryId = w.id("ext")
	r := w.submit(t, "ann", submission)
	reassigned := &eventv1.TaskReassigned{Context: w.by(r, "rex"), From: w.task(r, "rex"), To: w.task(r, "new"), Reason: "knows better"}
	reassigned.Context.AppId = r.GetItems()[0].GetAppId()
	w.publishAll(t, w.requested(r, "rex"), emission{reassigned.GetFrom().GetId(), reassigned}) // B-REQ-08
	w.handled(t)

	for _, tc := range []struct {
		who                  string
		sees, speaks, cancel bool
	}{
		{"ann", true, true, true},
		{"ext", true, true, true},
		{"zoe", true, true, true},
		{"ian", true, true, true},
		{"rex", true, true, false},
		{"new", true, true, false},
		{"pia", true, true, false},
		{"ada", true, true, false},
		{"ria", true, false, false},
		{"ben", false, false, false},
		{"olga", false, false, false},
	} {
		client := w.requests(t, tc.who)
		_, err := client.GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: r.GetId()})
		_, errTimeline := client.ListTimeline(t.Context(), &requestv1.ListTimelineRequest{Id: r.GetId()})
		_, errComments := client.ListComments(t.Context(), &requestv1.ListCommentsRequest{Id: r.GetId()})
		list, errList := client.ListRequests(t.Context(), &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_OPEN})
		if errList != nil || (len(list.GetRequests()) == 1) != tc.sees {
			t.Errorf("%s lists %v %v", tc.who, list, errList)
		}
		for _, err := range []error{err, errTimeline, errComments} {
			if !tc.sees {
				wantError(t, err, codes.NotFound, "REQUEST_NOT_FOUND")
			} else if err != nil {
				t.Errorf("%s: %v", tc.who, err)
			}
		}
		out, err := client.AddComment(t.Context(), &requestv1.AddCommentRequest{Id: strings.ToUpper(r.GetId()), Text: "says " + tc.who})
		if (err == nil) != tc.speaks {
			t.Errorf("%s: %v", tc.who, err)
		}
		if err == nil {
			emitted := servicetest.Wait(t, w.Harness, func(m *eventv1.CommentAdded) bool { return m.GetComment().GetId() == out.GetComment().GetId() })
			if !proto.Equal(emitted.GetComment(), out.GetComment()) || !slices.Equal(emitted.GetContext().GetRequestIds(), []string{r.GetId()}) {
				t.Errorf("emitted %v", emitted)
			}
		}
		if !tc.cancel {
			_, err := client.CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: r.GetId()})
			if tc.sees {
				wantError(t, err, codes.PermissionDenied, "NOT_YOUR_REQUEST")
			} else {
				wantError(t, err, codes.NotFound, "REQUEST_NOT_FOUND")
			}
		}
	}
	var emitted []string
	comments := &requestv1.ListCommentsRequest{Id: r.GetId(), PageSize: 3}
	for {
		out, err := w.requests(t, "ria").ListComments(t.Context(), comments)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range out.GetComments() {
			emitted = append(emitted, c.GetText())
		}
		if comments.PageToken = out.GetNextPageToken(); comments.PageToken == "" {
			break
		}
	}
	if want := "says ann,says ext,says zoe,says ian,says rex,says new,says pia,says ada"; strings.Join(emitted, ",") != want {
		t.Errorf("comments %q", emitted)
	}
	w.wantState(t, r, pending) // a comment changes no status
	for _, who := range []string{"ext", "ann"} {
		out, err := w.requests(t, who).CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: r.GetId(), Reason: "no need"})
		if err != nil || out.GetRequest().GetState() != cancelling {
			t.Errorf("%s: %v %v", who, out, err)
		}
	}
}

// B-REQ-03: a request is taken back, unless the last approval comes first;
// whichever comes second has no say.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := start(t)
	cancel := func(r *requestv1.Request) (*requestv1.Request, error) {
		out, err := w.requests(t, "ann").CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: r.GetId(), Reason: "no need"})
		return out.GetRequest(), err
	}

	// Before the approval.
	r := w.submit(t, "ann", w.grantOf("editor"))
	w.publishAll(t, w.requested(r, "pia"))
	w.wantState(t, r, pending)
	got, err := cancel(r)
	if err != nil || got.GetState() != cancelling || !proto.Equal(got, w.get(t, r)) {
		t.Fatalf("got %v %v", got, err)
	}
	if got, err = cancel(r); err != nil || got.GetState() != cancelling { // again
		t.Fatalf("got %v %v", got, err)
	}
	emitted := servicetest.Wait(t, w.Harness, func(m *eventv1.RequestCancelRequested) bool { return m.GetRequestId() == r.GetId() })
	if emitted.GetReason() != "no need" || emitted.GetContext().GetActor().GetId() != w.id("ann") || emitted.GetContext().GetUserId() != w.id("ann") {
		t.Errorf("emitted %v", emitted)
	}
	w.publishAll(t, w.cancelled(r, "ann", "no need"))
	closed := w.closed(t, r)
	got = w.wantState(t, r, cancelled, itemCancelled)
	if !proto.Equal(closed.GetRequest(), inEvent(got)) || got.GetClosingReason() != "no need" || got.GetClosedBy().GetUserId() != w.id("ann") {
		t.Errorf("emitted\n%v, reads\n%v", closed.GetRequest(), got)
	}
	_, err = cancel(r)
	wantError(t, err, codes.FailedPrecondition, "REQUEST_NOT_OPEN")
	if events := w.timeline(t, r); !slices.Equal(events, []string{
		"request.submitted", "approval.requested", "request.cancel_requested", "approval.cancelled", "request.closed",
	}) {
		t.Errorf("timeline %q", events)
	}

	// At the same moment as the last approval, which came first.
	r = w.submit(t, "ann", w.grantOf("editor"))
	if _, err := cancel(r); err != nil {
		t.Fatal(err)
	}
	w.publishAll(t, w.granted(r))
	w.wantState(t, r, approved, itemApproved)
	_, err = cancel(r)
	wantError(t, err, codes.FailedPrecondition, "REQUEST_NOT_OPEN")
	out, err := w.requests(t, "ann").ListTimeline(t.Context(), &requestv1.ListTimelineRequest{Id: r.GetId()})
	if es := out.GetEntries(); err != nil || len(es) != 3 || es[2].GetText() != "Approved: CRM: editor; it was too late to cancel" {
		t.Errorf("timeline %v %v", out, err)
	}
	_, emissions := give(r, 0)
	w.publishAll(t, emissions...)
	if r := w.closed(t, r).GetRequest(); r.GetState() != fulfilled {
		t.Errorf("closed as %v", r)
	}

	// Twenty at once say it once.
	r = w.submit(t, "ann", w.grantOf("viewer"))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := cancel(r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if events := w.timeline(t, r); !slices.Equal(events, []string{"request.submitted", "request.cancel_requested"}) {
		t.Errorf("timeline %q", events)
	}
}

// B-REQ-03, B-REQ-06, B-REQ-07: views, filters and pages.
func TestLists(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := map[string]string{}
	wiki := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, ids)
	mine := w.submit(t, "ann", w.grantOf("editor"))
	w.publishAll(t, w.denied(mine, "pia", "no"))
	w.closed(t, mine)
	forBen := w.submit(t, "ann", &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, BeneficiaryId: w.id("ben"), EntitlementIds: []string{ids["account"]},
	})
	bens := w.submit(t, "ben", w.grantOf("account", "viewer"))
	w.publishAll(t, w.requested(bens, "ann"))
	w.handled(t)

	names := map[string]string{mine.GetId(): "mine", forBen.GetId(): "forBen", bens.GetId(): "bens"}
	for _, tc := range []struct {
		who, want string
		in        *requestv1.ListRequestsRequest
	}{
		{"ann", "bens forBen mine", &requestv1.ListRequestsRequest{}},
		{"ann", "forBen", &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_MY_OPEN}},
		{"ann", "mine", &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_MY_CLOSED}},
		{"ann", "bens forBen", &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_OPEN}},
		{"ben", "bens forBen", &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_MY_OPEN}},
		{"pia", "bens mine", &requestv1.ListRequestsRequest{}},
		{"ada", "mine", &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_CLOSED}},
		{"ext", "", &requestv1.ListRequestsRequest{}},
		{"ria", "bens forBen mine", &requestv1.ListRequestsRequest{}},
		{"ria", "", &requestv1.ListRequestsRequest{View: requestv1.RequestView_REQUEST_VIEW_MY_OPEN}},
		{"zoe", "bens forBen", &requestv1.ListRequestsRequest{BeneficiaryId: w.id("ben")}},
		{"zoe", "forBen", &requestv1.ListRequestsRequest{AppId: wiki.GetId()}},
		{"zoe", "bens mine", &requestv1.ListRequestsRequest{AppId: w.crm.GetId()}},
		{"zoe", "bens", &requestv1.ListRequestsRequest{State: pending}},
		{"pia", "", &requestv1.ListRequestsRequest{State: submitted}},
	} {
		var got []string
		in := tc.in
		in.PageSize = 1
		for {
			out, err := w.requests(t, tc.who).ListRequests(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.GetRequests() {
				got = append(got, names[r.GetId()])
				if len(r.GetItems()) == 0 {
					t.Errorf("has no items: %v", r)
				}
			}
			if in.PageToken = out.GetNextPageToken(); in.PageToken == "" {
				break
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s asks %v: got %q, want %q", tc.who, tc.in, got, tc.want)
		}
	}
	_, err := w.requests(t, "ann").ListRequests(t.Context(), &requestv1.ListRequestsRequest{PageToken: "WyJ4Il0"})
	wantError(t, err, codes.InvalidArgument, "PAGE_TOKEN_INVALID", "page_token")
}

func TestRowsAreClosedToOtherOrganizations(t *testing.T) {
	t.Parallel()
	w := start(t)
	pgtest.CheckRowSecurity(t, w.DB)
}
