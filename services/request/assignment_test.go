package request_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// toAssign is an assignment of entitlements of CRM to people.
func (w *world) toAssign(people []string, names ...string) *requestv1.AssignAccessRequest {
	in := &requestv1.AssignAccessRequest{Justification: "new project", EntitlementIds: w.grantOf(names...).GetEntitlementIds()}
	for _, p := range people {
		in.UserIds = append(in.UserIds, w.id(p))
	}
	return in
}

// assign assigns, and holds the preview against what comes of it: it refuses what the
// other does, for the same reason.
func (w *world) assign(t testing.TB, who string, in *requestv1.AssignAccessRequest) (*requestv1.AssignAccessResponse, error) {
	t.Helper()
	c := w.requests(t, who)
	p, previewErr := c.PreviewAssignment(t.Context(), &requestv1.PreviewAssignmentRequest{Assignment: in})
	out, err := c.AssignAccess(t.Context(), in)
	foreseen := rpctest.Reason(previewErr)
	for _, i := range p.GetItems() {
		if foreseen == "" {
			foreseen = i.GetRefusal()
		}
	}
	if got := rpctest.Reason(err); got != foreseen {
		t.Errorf("refused with %q after a preview of %q", got, foreseen)
	}
	return out, err
}

// B-ONB-18, B-ONB-04: an admin assigns apps to several people at once, having seen how
// each account will come; what somebody has or has asked for is left out, and said.
func TestAssignAccess(t *testing.T) {
	t.Parallel()
	w := start(t)
	other := map[string]string{}
	wiki := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki", Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_NONE}, other)
	held, _ := w.hold(t, "ann", w.grantOf("editor"))
	asked := w.submit(t, "ben", w.grantOf("viewer"))
	in := w.toAssign([]string{"ben", "ann", "pia"}, "editor", "viewer")
	in.EntitlementIds = append(in.EntitlementIds, other["account"])
	in.RequestId, in.Until = id.New().String(), inAnHour()

	p, err := w.requests(t, "zoe").PreviewAssignment(t.Context(), &requestv1.PreviewAssignmentRequest{Assignment: in})
	if err != nil || len(p.GetItems()) != 9 || len(p.GetApps()) != 2 {
		t.Fatalf("preview %v %v", p, err)
	}
	if a := p.GetApps(); a[0].GetAppId() != w.crm.GetId() || a[0].GetProvisioning() != requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL ||
		a[1].GetAppName() != "Wiki" || a[1].GetAppId() != wiki.GetId() || a[1].GetProvisioning() != requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_NONE {
		t.Errorf("apps %v", a)
	}
	type skip struct{ user, entitlement, why, request string }
	want := []skip{{w.id("ben"), w.access["viewer"], "ALREADY_REQUESTED", asked.GetId()}, {w.id("ann"), w.access["editor"], "ALREADY_HELD", held.GetId()}}
	var foreseen []skip
	for _, i := range p.GetItems() {
		if i.GetRefusal() != "" || i.GetItem().GetId() != "" {
			t.Errorf("preview %v", i)
		}
		if i.GetSkipped() != "" {
			foreseen = append(foreseen, skip{i.GetUser().GetUserId(), i.GetItem().GetEntitlementId(), i.GetSkipped(), i.GetRequestId()})
		}
	}
	if !slices.Equal(foreseen, want) {
		t.Errorf("foreseen %v, want %v", foreseen, want)
	}

	out, err := w.requests(t, "zoe").AssignAccess(t.Context(), in)
	if err != nil || len(out.GetRequests()) != 3 {
		t.Fatalf("assigned %v %v", out, err)
	}
	var skipped []skip
	for _, s := range out.GetSkipped() {
		skipped = append(skipped, skip{s.GetUserId(), s.GetEntitlementId(), s.GetReason(), s.GetRequestId()})
	}
	if !slices.Equal(skipped, want) {
		t.Errorf("skipped %v, want %v", skipped, want)
	}
	for n, who := range []string{"ben", "ann", "pia"} {
		r := out.GetRequests()[n]
		if r.GetBeneficiary().GetUserId() != w.id(who) || r.GetRequester().GetUserId() != w.id("zoe") || r.GetOrigin() != requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT ||
			len(r.GetItems()) != map[string]int{"ben": 2, "ann": 2, "pia": 3}[who] || !proto.Equal(r.GetUntil(), in.GetUntil()) || r.GetJustification() != "new project" {
			t.Errorf("for %s: %v", who, r)
		}
		if got := w.get(t, r); !proto.Equal(got, r) {
			t.Errorf("answered\n%v, reads\n%v", r, got)
		}
	}
	submitted := emitted[*eventv1.RequestSubmitted](t, w)
	n := 0
	for _, e := range submitted {
		if e.GetRequest().GetOrigin() == requestv1.RequestOrigin_REQUEST_ORIGIN_ASSIGNMENT {
			n++
			if e.GetContext().GetActor().GetId() != w.id("zoe") || e.GetContext().GetBulk() {
				t.Errorf("submitted %v", e)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d were submitted", n)
	}
	// Repeated, it makes nothing; anew, it finds that everybody has been given it.
	again, err := w.requests(t, "zoe").AssignAccess(t.Context(), in)
	if err != nil || !proto.Equal(again, out) {
		t.Errorf("again: %v %v", again, err)
	}
	in.RequestId = ""
	if more, err := w.assign(t, "zoe", in); err != nil || len(more.GetRequests()) != 0 || len(more.GetSkipped()) != 9 {
		t.Errorf("anew: %v %v", more, err)
	}

	// Approval grants it, and the ticket says who assigned it.
	r := out.GetRequests()[0]
	c := w.by(r, "zoe")
	w.publishAll(t, emission{r.GetId(), &eventv1.ApprovalGranted{Context: c, Request: r}})
	w.wantState(t, r, approved)
	list, err := w.requests(t, "ben").ListTimeline(t.Context(), &requestv1.ListTimelineRequest{Id: r.GetId()})
	if err != nil || list.GetEntries()[1].GetText() != "Assigned by zoe" || list.GetEntries()[1].GetActor().GetUserId() != w.id("zoe") {
		t.Errorf("timeline %v %v", list, err)
	}
	// Or denies it, of its own.
	no := out.GetRequests()[1]
	w.publishAll(t, emission{no.GetId(), &eventv1.ApprovalDenied{Context: about(no), RequestId: no.GetId(), Reason: "zoe is not an active admin"}})
	if got := w.closed(t, no).GetRequest(); got.GetState() != denied || got.GetClosingReason() != "zoe is not an active admin" || got.GetClosedBy() != nil {
		t.Errorf("denied: %v", got)
	}
	found, err := w.requests(t, "zoe").ListRequests(t.Context(), &requestv1.ListRequestsRequest{Filter: "origin = REQUEST_ORIGIN_ASSIGNMENT"})
	if err != nil || len(found.GetRequests()) != 3 {
		t.Errorf("listed: %v %v", found, err)
	}
}

// B-ONB-18, B-APR-04, B-REQ-18: who may not assign, and what is not assigned: one such
// thing among many refuses all of them.
func TestAssignAccessRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, who := range []string{"ann", "pia", "ada", "ria", "ext"} {
		c := w.requests(t, who)
		_, err := c.AssignAccess(t.Context(), w.toAssign([]string{"ben"}, "editor"))
		wantError(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
		_, err = c.PreviewAssignment(t.Context(), &requestv1.PreviewAssignmentRequest{Assignment: w.toAssign([]string{"ben"}, "editor")})
		wantError(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
	}
	refused := func(who string, in *requestv1.AssignAccessRequest, code codes.Code, reason string, fields ...string) {
		t.Helper()
		_, err := w.assign(t, who, in)
		wantError(t, err, code, reason, fields...)
	}
	refused("zoe", w.toAssign([]string{"ben", "ann", "zoe"}, "editor"), codes.PermissionDenied, "SELF_ASSIGNMENT", "user_ids[2]")
	w.join(t, "bot", authzv1.Caller_CALLER_IT_ADMIN)
	bot := w.users["bot"]
	bot.Version, bot.Kind, bot.AccountableUserId = 2, identityv1.UserKind_USER_KIND_AGENT, w.id("zoe")
	w.publish(t, bot.GetId(), &eventv1.UserUpdated{Context: &eventv1.Context{Version: 2}, User: bot})
	w.handled(t)
	refused("zoe", w.toAssign([]string{"ben", "bot"}, "editor"), codes.PermissionDenied, "SELF_ASSIGNMENT", "user_ids[1]")
	refused("bot", w.toAssign([]string{"ben"}, "editor"), codes.PermissionDenied, "ONLY_PEOPLE_ASSIGN")

	unknown := w.toAssign([]string{"ben"}, "editor")
	unknown.UserIds = append(unknown.UserIds, id.New().String())
	refused("zoe", unknown, codes.InvalidArgument, "USER_UNKNOWN", "user_ids[1]")
	unknown = w.toAssign([]string{"ben"}, "editor")
	unknown.EntitlementIds = append(unknown.EntitlementIds, id.New().String())
	refused("zoe", unknown, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "entitlement_ids[1]")
	past := w.toAssign([]string{"ben"}, "editor")
	past.Until = in(-time.Hour)
	refused("zoe", past, codes.InvalidArgument, "NOT_IN_FUTURE", "until")
	blank := w.toAssign([]string{"ben"}, "editor")
	blank.Justification = "  "
	refused("zoe", blank, codes.InvalidArgument, "BLANK", "justification")
	large := w.toAssign([]string{"ben"}, "editor")
	for len(large.GetUserIds()) < 101 {
		large.UserIds = append(large.UserIds, id.New().String())
	}
	for len(large.GetEntitlementIds()) < 10 {
		large.EntitlementIds = append(large.EntitlementIds, id.New().String())
	}
	refused("zoe", large, codes.InvalidArgument, "ASSIGNMENT_TOO_LARGE", "entitlement_ids")

	// Limits of flows.
	f := w.flow(t, func(f *approvalv1.Flow) {
		f.OnlyAudience, f.Audience, f.MaxDuration = true, &approvalv1.FlowAudience{UserIds: []string{w.id("ann")}}, durationpb.New(2*time.Hour)
	})
	refused("zoe", w.toAssign([]string{"ann", "ben"}, "editor"), codes.InvalidArgument, "LONGER_THAN_ALLOWED", "until")
	short := w.toAssign([]string{"ann", "ben"}, "editor")
	short.Until = inAnHour()
	refused("zoe", short, codes.FailedPrecondition, "NOT_GIVEN_TO_BENEFICIARY", "user_ids[1]")
	w.changeFlow(t, f, func(f *approvalv1.Flow) {
		f.Audience.UserIds = append(f.Audience.UserIds, w.id("ben"))
		f.Requesters = &approvalv1.FlowRequesters{Beneficiary: true}
	})
	refused("zoe", short, codes.PermissionDenied, "NOT_FOR_OTHERS")
	w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Enabled = false })
	closed := &requestv1.UpdateAppRequest{App: &requestv1.App{Id: w.crm.GetId(), OnlyByFlow: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"only_by_flow"}}}
	if _, err := w.apps(t, "zoe").UpdateApp(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	refused("zoe", short, codes.FailedPrecondition, "NOT_COVERED_BY_FLOW")
	closed.App.OnlyByFlow = false
	if _, err := w.apps(t, "zoe").UpdateApp(t.Context(), closed); err != nil {
		t.Fatal(err)
	}

	// Who is away, or gone.
	ben := w.users["ben"]
	ben.Version, ben.State = 2, identityv1.UserState_USER_STATE_SUSPENDED
	w.publish(t, ben.GetId(), &eventv1.UserSuspended{User: ben})
	w.leave(t, "pia")
	w.handled(t)
	refused("zoe", w.toAssign([]string{"ann", "ben"}, "editor"), codes.FailedPrecondition, "BENEFICIARY_NOT_ACTIVE", "user_ids[1]")
	refused("ian", w.toAssign([]string{"pia"}, "editor"), codes.FailedPrecondition, "BENEFICIARY_NOT_ACTIVE", "user_ids[0]")

	if got := emitted[*eventv1.RequestSubmitted](t, w); len(got) != 0 {
		t.Errorf("refused, and yet submitted: %v", got)
	}
	if _, err := w.assign(t, "ian", w.toAssign([]string{"ann"}, "editor")); err != nil {
		t.Errorf("an IT admin: %v", err)
	}
}

// B-ONB-18, B-USR-12: each assigns what is theirs to whom is theirs.
func TestAssignAccessInAnEnvironment(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	for _, tt := range []struct {
		by     string
		people []string
		what   []string
		code   codes.Code
		reason string
	}{
		{"anna", []string{"amy"}, []string{w.accountA}, codes.OK, ""},
		{"anna", []string{"amy", "bert"}, []string{w.accountA}, codes.InvalidArgument, "USER_UNKNOWN"},
		{"anna", []string{"ben"}, []string{w.accountA}, codes.InvalidArgument, "USER_UNKNOWN"},
		{"anna", []string{"amy"}, []string{w.accountB}, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN"},
		{"anna", []string{"amy"}, []string{w.accountMail}, codes.PermissionDenied, "APP_OF_ORGANIZATION"},
		{"bea", []string{"amy"}, []string{w.accountB}, codes.InvalidArgument, "USER_UNKNOWN"},
		{"bea", []string{"bert"}, []string{w.accountMail}, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN"},
		{"zoe", []string{"amy", "bert"}, []string{w.accountA}, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN"},
		{"zoe", []string{"ben"}, []string{w.accountA, w.accountB}, codes.InvalidArgument, "ENVIRONMENTS_MIXED"},
		{"zoe", []string{"amy"}, []string{w.accountMail}, codes.OK, ""},
		{"zoe", []string{"bert"}, []string{w.accountB}, codes.OK, ""},
	} {
		in := &requestv1.AssignAccessRequest{Justification: "to work", EntitlementIds: tt.what}
		for _, p := range tt.people {
			in.UserIds = append(in.UserIds, w.id(p))
		}
		out, err := w.assign(t, tt.by, in)
		if tt.reason != "" {
			wantError(t, err, tt.code, tt.reason)
			continue
		}
		if err != nil || out.GetRequests()[0].GetEnvironmentId() != w.users[tt.people[0]].GetEnvironmentId() {
			t.Errorf("%+v: %v %v", tt, out, err)
		}
	}

	// What is assigned counts among the open requests that an environment may have.
	w.joinTo(t, w.org, w.a, "alf", authzv1.Caller_CALLER_MEMBER)
	w.joinTo(t, w.org, w.a, "abe", authzv1.Caller_CALLER_MEMBER)
	w.publish(t, w.a, &eventv1.EnvironmentUpdated{Environment: &identityv1.Environment{
		Id: w.a, OrganizationId: w.org.String(), Name: "A", Version: 2, Quotas: &identityv1.EnvironmentQuotas{OpenRequests: 3},
	}})
	w.handled(t)
	in := &requestv1.AssignAccessRequest{Justification: "to work", EntitlementIds: []string{w.accountA}, UserIds: []string{w.id("alf"), w.id("abe")}}
	_, err := w.requests(t, "anna").AssignAccess(t.Context(), in)
	wantError(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	in.UserIds = in.GetUserIds()[:1]
	if out, err := w.requests(t, "anna").AssignAccess(t.Context(), in); err != nil || len(out.GetRequests()) != 1 {
		t.Errorf("the last one: %v %v", out, err)
	}
}

// A repeated call that names somebody by user name does nothing once the name means nobody,
// or somebody else; by id it is answered as the first one.
func TestAssignAgainByName(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.handled(t)
	ben := w.id("ben")
	assign := func(who string, requestID string) (*requestv1.AssignAccessResponse, error) {
		return w.requests(t, "zoe").AssignAccess(t.Context(), &requestv1.AssignAccessRequest{
			RequestId: requestID, Justification: "to work", EntitlementIds: w.grantOf("account").GetEntitlementIds(), UserIds: []string{who},
		})
	}
	requestID := id.New().String()
	first, err := assign("ben", requestID)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"ben", ben} {
		if again, err := assign(who, requestID); err != nil || !proto.Equal(again, first) {
			t.Errorf("%s: %v, %v", who, again, err)
		}
	}
	w.leave(t, "ben")
	w.handled(t)
	_, err = assign("ben", requestID)
	wantError(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	if again, err := assign(ben, requestID); err != nil || !proto.Equal(again, first) {
		t.Errorf("by id: %v, %v", again, err)
	}
	w.join(t, "ben", authzv1.Caller_CALLER_MEMBER) // another of that name
	w.handled(t)
	_, err = assign("ben", requestID)
	wantError(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED")
}

// Many who assign the same at once give it once.
func TestAssignAccessAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	people := []string{"ann", "ben", "pia"}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			in := w.toAssign(people, "editor", "viewer")
			if n%2 == 0 {
				slices.Reverse(in.UserIds)
				slices.Reverse(in.EntitlementIds)
			}
			if _, err := w.requests(t, []string{"zoe", "ian"}[n%2]).AssignAccess(t.Context(), in); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	given := map[string]int{}
	for _, e := range emitted[*eventv1.RequestSubmitted](t, w) {
		for _, i := range e.GetRequest().GetItems() {
			given[e.GetRequest().GetBeneficiary().GetDisplayName()+i.GetEntitlementName()]++
		}
	}
	for what, n := range given {
		if n != 1 {
			t.Errorf("%s was given %d times", what, n)
		}
	}
	if len(given) != 6 {
		t.Errorf("given: %v", given)
	}
}

func inAnHour() *timestamppb.Timestamp { return in(time.Hour) }
