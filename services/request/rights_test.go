package request_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"google.golang.org/protobuf/types/known/durationpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-USR-19, in part: once the service has heard that somebody was suspended, or
// that a session has ended, a signed token from before neither reads nor writes,
// also beside others at the same moment, who are not kept from anything.
func TestLostRightsStopAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	held := func(name string) requestv1.RequestServiceClient {
		c := w.caller(name)
		c.UserVersion = w.users[name].GetVersion()
		return requestv1.NewRequestServiceClient(w.Conn(t, c))
	}
	ann, ian, ben := held("ann"), held("ian"), held("ben")
	for _, c := range []requestv1.RequestServiceClient{ann, ian, ben} {
		if _, err := c.ListRequests(t.Context(), &requestv1.ListRequestsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	next := func(name string) *identityv1.User {
		u := proto.CloneOf(w.users[name])
		u.Version++
		return u
	}
	suspended, signedOut := next("ann"), next("ian")
	suspended.State = identityv1.UserState_USER_STATE_SUSPENDED
	w.publish(t, suspended.GetId(), &eventv1.UserSuspended{User: suspended})
	w.publish(t, w.org.String(), &eventv1.SessionEnded{Context: &eventv1.Context{Version: signedOut.GetVersion()}, User: signedOut})
	w.handled(t)
	var all sync.WaitGroup
	try := func(want string, call func() error) {
		all.Go(func() {
			if err := call(); rpctest.Reason(err) != want {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	for range 10 {
		for _, c := range []requestv1.RequestServiceClient{ann, ian} {
			try("TOKEN_STALE", func() error {
				_, err := c.CreateRequest(t.Context(), w.grantOf("viewer"))
				return err
			})
			try("TOKEN_STALE", func() error {
				_, err := c.ListRequests(t.Context(), &requestv1.ListRequestsRequest{})
				return err
			})
		}
	}
	for _, what := range []string{"account", "editor", "viewer"} {
		try("", func() error {
			_, err := ben.CreateRequest(t.Context(), w.grantOf(what))
			return err
		})
	}
	all.Wait()
	if got := emitted[*eventv1.RequestSubmitted](t, w); len(got) != 3 {
		t.Errorf("%d requests were submitted, want ben's 3", len(got))
	}

	// A token made of the user as the user is now is good.
	w.users["ian"] = signedOut
	if _, err := held("ian").CreateRequest(t.Context(), w.grantOf("viewer")); err != nil {
		t.Error(err)
	}
}

// B-USR-19, in part: whoever has lost the right to make apps has provisioning asked
// for nothing.
func TestLostRightsAskNobody(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.caller("zoe")
	c.UserVersion = w.users["zoe"].GetVersion()
	apps := requestv1.NewAppServiceClient(w.Conn(t, c))
	create := func(integration string) error {
		_, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{
			Name: id.New().String(), Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC, IntegrationId: integration,
		})
		return err
	}
	if err := create(w.failing); rpctest.Reason(err) != "INTEGRATION_NOT_WORKING" {
		t.Fatal(err)
	}
	demoted := proto.CloneOf(w.users["zoe"])
	demoted.Version++
	demoted.Role = identityv1.Role_ROLE_MEMBER
	w.publish(t, demoted.GetId(), &eventv1.UserUpdated{User: demoted})
	w.handled(t)
	for _, integration := range []string{w.working, w.failing, id.New().String()} {
		if err := create(integration); rpctest.Reason(err) != "TOKEN_STALE" {
			t.Errorf("%v", err)
		}
	}
}

// For others only those make requests, to give or to take away, who are
// responsible for them or for the app; nobody else learns what others hold.
func TestWhoRequestsForWhom(t *testing.T) {
	t.Parallel()
	w := start(t)
	people := map[string]string{"boss": "", "lead": "boss", "dev": "lead", "peer": "lead"}
	for _, name := range []string{"boss", "lead", "dev", "peer"} {
		w.join(t, name, authzv1.Caller_CALLER_MEMBER)
		u := w.users[name]
		u.Version++
		u.ManagerId = ""
		if manager := people[name]; manager != "" {
			u.ManagerId = w.id(manager)
		}
		w.publish(t, u.GetId(), &eventv1.UserUpdated{User: u})
	}
	// A circle of managers ends.
	for name, manager := range map[string]string{"ben": "pia", "pia": "ben"} {
		u := w.users[name]
		u.Version++
		u.ManagerId = w.id(manager)
		w.publish(t, u.GetId(), &eventv1.UserUpdated{User: u})
	}
	wiki := map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, wiki)
	w.handled(t)
	for _, tc := range []struct {
		who, whom    string
		entitlements []string
		may          bool
	}{
		{"dev", "dev", []string{w.access["viewer"], wiki["account"]}, true},
		{"lead", "dev", []string{w.access["viewer"], wiki["account"]}, true},
		{"boss", "dev", []string{w.access["viewer"]}, true},
		{"peer", "dev", []string{w.access["viewer"]}, false},
		{"dev", "lead", []string{w.access["viewer"]}, false},
		{"dev", "zoe", []string{w.access["viewer"]}, false},
		{"peer", "ben", []string{w.access["viewer"]}, false},
		{"pia", "dev", []string{w.access["viewer"]}, false}, // approves the app, and does not run it
		{"ada", "dev", []string{w.access["viewer"], w.access["editor"]}, true},
		{"ada", "dev", []string{w.access["viewer"], wiki["account"]}, false},
		{"ian", "dev", []string{w.access["viewer"], wiki["account"]}, true},
		{"zoe", "dev", []string{w.access["viewer"], wiki["account"]}, true},
	} {
		client := w.requests(t, tc.who)
		want := ""
		if !tc.may {
			want = "NOT_FOR_OTHERS"
		}
		grant := &requestv1.CreateRequestRequest{
			Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, BeneficiaryId: w.id(tc.whom), EntitlementIds: tc.entitlements, Justification: "to sell",
		}
		revoke := proto.CloneOf(grant)
		revoke.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE
		_, err := client.PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: grant})
		if rpctest.Reason(err) != want {
			t.Errorf("%s previews for %s: %v, want %q", tc.who, tc.whom, err, want)
		}
		_, err = client.CreateRequest(t.Context(), revoke)
		if tc.may {
			want = "NOTHING_TO_REVOKE"
		}
		if rpctest.Reason(err) != want {
			t.Errorf("%s takes from %s: %v, want %q", tc.who, tc.whom, err, want)
		}
		_, err = client.CreateRequest(t.Context(), grant)
		if got := rpctest.Reason(err); tc.may && got != "" && got != "ALREADY_REQUESTED" || !tc.may && got != "NOT_FOR_OTHERS" {
			t.Errorf("%s requests for %s: %v", tc.who, tc.whom, err)
		}
	}
}

// B-REQ-06: risk managers ask for their own access as anybody does, and speak on
// their own requests; they change nothing for others.
func TestRiskManagersOwnRequests(t *testing.T) {
	t.Parallel()
	w := start(t)
	ria := w.requests(t, "ria")
	own := w.submit(t, "ria", w.grantOf("viewer"))
	if _, err := ria.AddComment(t.Context(), &requestv1.AddCommentRequest{Id: own.GetId(), Text: "soon, please"}); err != nil {
		t.Error(err)
	}
	if _, err := ria.CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: own.GetId()}); err != nil {
		t.Error(err)
	}
	other := w.submit(t, "ben", w.grantOf("viewer"))
	_, err := ria.AddComment(t.Context(), &requestv1.AddCommentRequest{Id: other.GetId(), Text: "hm"})
	wantError(t, err, codes.PermissionDenied, "NOT_YOUR_REQUEST")
	_, err = ria.CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: other.GetId()})
	wantError(t, err, codes.PermissionDenied, "NOT_YOUR_REQUEST")
}

// B-USR-21, in part: whoever has just come acts and is acted for at once, whether
// their copy or the call comes first.
func TestWhoHasJustComeIsKnown(t *testing.T) {
	t.Parallel()
	w := start(t)
	newcomer := &identityv1.User{
		Id: id.New().String(), OrganizationId: w.org.String(), UserName: "nia", DisplayName: "nia", ManagerId: w.id("ann"),
		State: identityv1.UserState_USER_STATE_ACTIVE, Version: 1, JoinCount: 1,
	}
	w.users["nia"], w.roles["nia"] = newcomer, authzv1.Caller_CALLER_MEMBER
	forHer := w.grantOf("editor")
	forHer.BeneficiaryId = newcomer.GetId()
	var all sync.WaitGroup
	for name, call := range map[string]func() error{
		"herself": func() error {
			_, err := w.requests(t, "nia").CreateRequest(t.Context(), w.grantOf("viewer"))
			return err
		},
		"her manager": func() error {
			_, err := w.requests(t, "ann").CreateRequest(t.Context(), forHer)
			return err
		},
		"by her user name": func() error {
			_, err := w.apps(t, "zoe").CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "Forum", OwnerId: "nia"})
			return err
		},
		"a preview": func() error {
			_, err := w.requests(t, "zoe").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: forHer})
			return err
		},
		"an app that she runs": func() error {
			_, err := w.apps(t, "zoe").CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "Wiki", AdminIds: []string{newcomer.GetId()}})
			return err
		},
		"an app that she gets": func() error {
			_, err := w.apps(t, "zoe").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
				App: &requestv1.App{Id: w.crm.GetId(), OwnerId: newcomer.GetId()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"owner_id"}},
			})
			return err
		},
	} {
		all.Go(func() {
			if err := call(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	w.publish(t, newcomer.GetId(), &eventv1.UserJoined{User: newcomer})
	all.Wait()

	// Who does not come is never called unknown to themselves.
	w.users["nobody"], w.roles["nobody"] = &identityv1.User{Id: id.New().String(), OrganizationId: w.org.String()}, authzv1.Caller_CALLER_MEMBER
	_, err := w.requests(t, "nobody").CreateRequest(t.Context(), w.grantOf("viewer"))
	wantError(t, err, codes.Unavailable, "NOT_KNOWN_YET")
}

// Who decides about one app, or runs it, sees that app's part of a request: not
// the others' items, by no door, and finds no request by them.
func TestAReviewerSeesTheirPart(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, name := range []string{"rex", "sam"} {
		w.join(t, name, authzv1.Caller_CALLER_MEMBER)
	}
	w.handled(t)
	payroll := map[string]string{}
	app := w.app(t, &requestv1.CreateAppRequest{Name: "Payroll", AdminIds: []string{w.id("sam")}}, payroll)
	both := w.grantOf("viewer")
	both.EntitlementIds = append(both.EntitlementIds, payroll["account"])
	r := w.submit(t, "ben", both)
	only := w.submit(t, "ann", &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{payroll["account"]}})
	money := grant(r, 1)
	m := about(r)
	m.AppId = app.GetId()
	w.publishAll(t, w.requested(r, "rex"), w.decided(r, "rex"), emission{money.GetId(), &eventv1.GrantCreated{Context: m, Grant: money}})
	w.handled(t)

	const everything = "CRM Payroll"
	for name, want := range map[string]string{
		"ben": everything, "zoe": everything, "ria": everything, // whose it is, and who sees all
		"rex": "CRM", // was asked
		"pia": "CRM", // approves CRM
		"ada": "CRM", // runs CRM
		"sam": "Payroll",
	} {
		client := w.requests(t, name)
		got, err := client.GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: r.GetId()})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list, err := client.ListRequests(t.Context(), &requestv1.ListRequestsRequest{BeneficiaryId: w.id("ben")})
		if err != nil || len(list.GetRequests()) != 1 {
			t.Fatalf("%s: %v %v", name, list, err)
		}
		for _, shown := range []*requestv1.Request{got.GetRequest(), list.GetRequests()[0]} {
			var apps []string
			for _, i := range shown.GetItems() {
				apps = append(apps, i.GetAppName())
			}
			if s := strings.Join(apps, " "); s != want || int(shown.GetHiddenItemCount()) != 2-len(apps) {
				t.Errorf("%s sees %s and %d more, want %s", name, s, shown.GetHiddenItemCount(), want)
			}
		}
		timeline, err := client.ListTimeline(t.Context(), &requestv1.ListTimelineRequest{Id: r.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, e := range timeline.GetEntries() {
			text.WriteString(e.GetText() + "\n")
		}
		for app, does := range map[string]bool{"CRM": want != "Payroll", "Payroll": want != "CRM", "rex": want != "Payroll"} {
			if strings.Contains(text.String(), app) != does {
				t.Errorf("%s reads of %s: %t, want %t, in\n%s", name, app, !does, does, text.String())
			}
		}
		// A request is not found by what is not seen of it.
		list, err = client.ListRequests(t.Context(), &requestv1.ListRequestsRequest{AppId: app.GetId()})
		var found []string
		for _, f := range list.GetRequests() {
			found = append(found, f.GetId())
		}
		if err != nil || slices.Contains(found, r.GetId()) != (want != "CRM") || slices.Contains(found, only.GetId()) != (want != "CRM" && name != "ben") {
			t.Errorf("%s finds %v by payroll: %v", name, found, err)
		}
	}
	// What goes on in the trail is whole, whoever says it.
	if _, err := w.requests(t, "rex").AddComment(t.Context(), &requestv1.AddCommentRequest{Id: r.GetId(), Text: "done soon"}); err != nil {
		t.Fatal(err)
	}
	if said := emitted[*eventv1.CommentAdded](t, w); len(said) != 1 || said[0].GetContext().GetAppId() != "" {
		t.Errorf("comment.added: %v", said)
	}
}

// Whose decision was the last, and what they said of their app, is not for who decides
// about another one.
func TestTheLastDecisionIsAboutItsApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.join(t, "rex", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	payroll := map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Payroll", ApproverIds: []string{w.id("rex")}}, payroll)
	both := w.grantOf("viewer")
	both.EntitlementIds = append(both.EntitlementIds, payroll["account"])
	r := w.submit(t, "ben", both)
	last := w.task(r, "rex")
	last.ItemId, last.State, last.Comment = r.GetItems()[1].GetId(), approvalv1.TaskState_TASK_STATE_APPROVED, "what he earns"
	granted := w.granted(r)
	m, ok := granted.message.(*eventv1.ApprovalGranted)
	if !ok {
		t.Fatal(granted)
	}
	m.Context, m.Task, m.Request = w.by(r, "rex"), last, part(r, 1)
	m.Context.AppId = "" // the entry is about what it names
	w.publishAll(t, w.requested(r, "pia"), w.granted(part(r, 0)), granted)
	w.handled(t)
	for name, reads := range map[string]bool{"ben": true, "zoe": true, "rex": true, "pia": false, "ada": false} {
		timeline, err := w.requests(t, name).ListTimeline(t.Context(), &requestv1.ListTimelineRequest{Id: r.GetId()})
		said := fmt.Sprint(timeline.GetEntries())
		if err != nil || strings.Contains(said, "what he earns") != reads || strings.Contains(said, w.id("rex")) != reads {
			t.Errorf("%s reads %v %s", name, err, said)
		}
		got, err := w.requests(t, name).GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: r.GetId()})
		if err != nil || got.GetRequest().GetState() != requestv1.RequestState_REQUEST_STATE_APPROVED {
			t.Errorf("%s sees %v %v", name, err, got)
		}
	}
}

// Whoever was asked about nothing in a request that is known sees none of it, by any
// door.
func TestAReviewerOfNoAppSeesNothing(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.join(t, "rex", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	r := w.submit(t, "ben", w.grantOf("viewer"))
	for _, app := range []string{"", id.New().String()} {
		asked := w.requested(r, "rex")
		m, ok := asked.message.(*eventv1.ApprovalRequested)
		if !ok {
			t.Fatal(asked)
		}
		m.Context.AppId = app
		w.publishAll(t, asked)
	}
	w.handled(t)
	list, err := w.requests(t, "rex").ListRequests(t.Context(), &requestv1.ListRequestsRequest{})
	if err != nil || len(list.GetRequests()) != 0 {
		t.Errorf("listed %v %v", list, err)
	}
	_, err = w.requests(t, "rex").GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: r.GetId()})
	wantError(t, err, codes.NotFound, "REQUEST_NOT_FOUND")
}

// A flow says who may ask, for whom: where it lets somebody ask nobody else may,
// whatever they are, and who may not learns nothing of what is held.
func TestAFlowSaysWhoMayAsk(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.join(t, "leo", authzv1.Caller_CALLER_MEMBER)
	leads := &identityv1.Group{Id: id.New().String(), OrganizationId: w.org.String(), DisplayName: "Leads", Version: 1}
	w.publish(t, leads.GetId(), &eventv1.GroupCreated{Group: leads})
	leads.Version = 2
	w.publish(t, leads.GetId(), &eventv1.GroupMemberAdded{Context: &eventv1.Context{Version: 2}, Group: leads, Member: w.person("leo")})
	f := w.flow(t, func(f *approvalv1.Flow) { f.Scope = &approvalv1.FlowScope{AppIds: []string{w.crm.GetId()}} })
	w.submit(t, "ben", w.grantOf("viewer")) // is open, which nobody is told who may not ask

	const self, others = "NOT_FOR_ONESELF", "NOT_FOR_OTHERS"
	asks := func(name, whom string) string {
		in := w.grantOf("editor")
		in.BeneficiaryId = w.id(whom)
		preview, err := w.requests(t, name).PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: in})
		refused := rpctest.Reason(err)
		if err == nil {
			refused = preview.GetItems()[0].GetRefusal() // by itself, among others
		}
		open := w.grantOf("viewer")
		open.BeneficiaryId = in.BeneficiaryId
		if _, submitted := w.requests(t, name).CreateRequest(t.Context(), open); whom == "ben" {
			want := refused
			if want == "" {
				want = "ALREADY_REQUESTED"
			}
			if got := rpctest.Reason(submitted); got != want {
				t.Errorf("%s submits for %s: %s, want %s", name, whom, got, want)
			}
		}
		return refused
	}
	// ann manages ben, ada runs the app, zoe administers, leo leads.
	for _, tt := range []struct {
		name                    string
		who                     *approvalv1.FlowRequesters
		ben, ann, ada, zoe, leo string
	}{
		{"it says nothing", nil, "", "", "", "", others},
		{"the person alone", &approvalv1.FlowRequesters{Beneficiary: true}, "", others, others, others, others},
		{"managers alone", &approvalv1.FlowRequesters{Managers: true}, self, "", others, others, others},
		{"who runs the app", &approvalv1.FlowRequesters{AppAdmins: true}, self, others, "", others, others},
		{"admins", &approvalv1.FlowRequesters{Admins: true}, self, others, others, "", others},
		{"a group", &approvalv1.FlowRequesters{GroupIds: []string{leads.GetId()}}, self, others, others, others, ""},
		{"a user, and the person", &approvalv1.FlowRequesters{Beneficiary: true, UserIds: []string{w.id("leo")}}, "", others, others, others, ""},
		{"everyone", &approvalv1.FlowRequesters{Everyone: true}, "", "", "", "", ""},
	} {
		w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Requesters = tt.who })
		for name, want := range map[string]string{"ben": tt.ben, "ann": tt.ann, "ada": tt.ada, "zoe": tt.zoe, "leo": tt.leo} {
			if got := asks(name, "ben"); got != want {
				t.Errorf("%s: %s asks: %q, want %q", tt.name, name, got, want)
			}
		}
	}
	// For people from outside it widens nothing.
	if got := asks("ext", "ben"); got != "ONLY_FOR_ONESELF" {
		t.Errorf("ext asks for ben: %s", got)
	}
	// It is not passed over for a weaker one, and leaves other apps alone.
	w.flow(t, func(f *approvalv1.Flow) { f.Priority = -1 })
	w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Requesters = &approvalv1.FlowRequesters{Managers: true} })
	if got := asks("ben", "ben"); got != self {
		t.Errorf("beside another flow ben asks: %q", got)
	}
	wiki := map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, wiki)
	w.submit(t, "ben", &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{wiki["account"]}})
	// A flow that is off says nothing.
	w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Enabled = false })
	if got := asks("ben", "ben"); got != "" {
		t.Errorf("after it was switched off ben asks: %q", got)
	}
}

// B-REQ-18: a flow's limit refuses what is over it and says so; no other flow decides
// it instead.
func TestAFlowsLimitIsALimit(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, func(f *approvalv1.Flow) {
		f.Scope, f.MaxDuration, f.Priority = &approvalv1.FlowScope{AppIds: []string{w.crm.GetId()}}, durationpb.New(time.Hour), 1
	})
	w.flow(t, func(*approvalv1.Flow) {}) // would decide anything
	in := w.grantOf("editor")
	for _, until := range []*timestamppb.Timestamp{nil, timestamppb.New(time.Now().Add(2 * time.Hour))} {
		in.Until = until
		p, err := w.requests(t, "ben").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: in})
		if err != nil || p.GetItems()[0].GetRefusal() != "LONGER_THAN_ALLOWED" {
			t.Errorf("preview until %v: %v %v", until, p, err)
		}
		_, err = w.requests(t, "ben").CreateRequest(t.Context(), in)
		if rpctest.Reason(err) != "LONGER_THAN_ALLOWED" || !slices.Equal(rpctest.Fields(err), []string{"until"}) {
			t.Errorf("until %v: %v", until, err)
		}
	}
	in.Until = timestamppb.New(time.Now().Add(59 * time.Minute))
	if _, err := w.requests(t, "ben").CreateRequest(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	in.Kind, in.Until = requestv1.RequestKind_REQUEST_KIND_REVOKE, nil // takes nothing for any time
	if _, err := w.requests(t, "ben").CreateRequest(t.Context(), in); rpctest.Reason(err) != "NOTHING_TO_REVOKE" {
		t.Errorf("a revoke: %v", err)
	}
}

// Somebody from outside who is named by a flow on entitlements of a risk, or on apps of a
// category, sees these, and no others.
func TestAnExternalSeesWhatIsInTheScope(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki, docs := map[string]string{}, map[string]string{}
	wikiApp := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki", Category: "Knowledge"}, wiki)
	w.app(t, &requestv1.CreateAppRequest{Name: "Docs", Category: "Office"}, docs)
	low := requestv1.EntitlementRisk_ENTITLEMENT_RISK_LOW
	e, err := w.apps(t, "zoe").CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{
		AppId: wikiApp.GetId(), Name: "reader", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE, Risk: low,
	})
	if err != nil {
		t.Fatal(err)
	}
	wiki["reader"] = e.GetEntitlement().GetId()
	f := w.flow(t, func(f *approvalv1.Flow) {
		f.Audience, f.Scope = &approvalv1.FlowAudience{UserIds: []string{w.id("ext")}}, &approvalv1.FlowScope{Any: true, Risks: []requestv1.EntitlementRisk{low}}
	})
	for _, tt := range []struct {
		scope *approvalv1.FlowScope
		want  []string
	}{
		{nil, []string{"reader"}},
		{&approvalv1.FlowScope{Categories: []string{"knowledge"}}, []string{"account", "reader"}},
		{&approvalv1.FlowScope{Categories: []string{"Knowledge"}, Risks: []requestv1.EntitlementRisk{low}}, []string{"reader"}},
		{&approvalv1.FlowScope{AppIds: []string{wikiApp.GetId()}, Risks: []requestv1.EntitlementRisk{low}}, []string{"reader"}},
		{&approvalv1.FlowScope{EntitlementIds: []string{docs["account"]}, Risks: []requestv1.EntitlementRisk{low}}, nil},
		{&approvalv1.FlowScope{Categories: []string{"Office"}, EntitlementIds: []string{wiki["account"]}}, []string{"account", "account"}},
	} {
		if tt.scope != nil {
			w.changeFlow(t, f, func(f *approvalv1.Flow) { f.Scope = tt.scope })
		}
		list, err := w.apps(t, "ext").ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: "-"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list.GetEntitlements() {
			got = append(got, e.GetName())
			_, err := w.requests(t, "ext").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: &requestv1.CreateRequestRequest{
				Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{e.GetId()},
			}})
			if err != nil {
				t.Errorf("%v: sees %v and cannot ask for it: %v", tt.scope, e, err)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: sees %q, want %q", tt.scope, got, tt.want)
		}
	}
}

// Somebody from outside sees what they were let in for, and nothing else of the
// catalog, by no door.
func TestAnExternalSeesWhatTheyWereLetInFor(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki, docs := map[string]string{}, map[string]string{}
	wikiApp := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, wiki, "editor")
	docsApp := w.app(t, &requestv1.CreateAppRequest{Name: "Docs"}, docs)
	apps := w.apps(t, "ext")
	sees := func(what string, want ...string) {
		t.Helper()
		list, err := apps.ListApps(t.Context(), &requestv1.ListAppsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range list.GetApps() {
			entitlements, err := apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: a.GetId()})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entitlements.GetEntitlements() {
				got = append(got, a.GetName()+" "+e.GetName())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: sees %q, want %q", what, got, want)
		}
		all, err := apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: "-", PageSize: 1000})
		if err != nil || len(all.GetEntitlements()) != len(want) {
			t.Errorf("%s: sees %v in all apps, want %q, %v", what, all.GetEntitlements(), want, err)
		}
	}
	asks := func(entitlement, want string) {
		t.Helper()
		_, err := w.requests(t, "ext").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: &requestv1.CreateRequestRequest{
			Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, EntitlementIds: []string{entitlement},
		}})
		if got := rpctest.Reason(err); got != want {
			t.Errorf("asks: %q, want %q", got, want)
		}
	}
	sees("at first")
	w.flow(t, func(*approvalv1.Flow) {})
	sees("where a flow is for everyone")
	asks(wiki["editor"], "ENTITLEMENT_UNKNOWN")
	_, err := apps.GetApp(t.Context(), &requestv1.GetAppRequest{Id: wikiApp.GetId()})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	_, err = apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: wikiApp.GetId()})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")

	named := w.flow(t, func(f *approvalv1.Flow) {
		f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ext")}}
		f.Scope = &approvalv1.FlowScope{EntitlementIds: []string{wiki["editor"]}}
	})
	sees("named for an entitlement", "Wiki editor")
	asks(wiki["editor"], "")
	asks(wiki["account"], "ENTITLEMENT_UNKNOWN")
	asks(docs["account"], "ENTITLEMENT_UNKNOWN")
	w.changeFlow(t, named, func(f *approvalv1.Flow) { f.Scope = &approvalv1.FlowScope{AppIds: []string{docsApp.GetId()}} })
	sees("named for an app", "Docs account")
	w.changeFlow(t, named, func(f *approvalv1.Flow) { f.Enabled = false })
	sees("after it was switched off")
	asks(docs["account"], "ENTITLEMENT_UNKNOWN")

	// What they hold they see, and may give back.
	held := &provisioningv1.Grant{
		Id: id.New().String(), OrganizationId: w.org.String(), User: w.person("ext"), AppId: w.crm.GetId(), AppName: "CRM", EntitlementId: w.access["viewer"],
		EntitlementName: "viewer", State: provisioningv1.GrantState_GRANT_STATE_ACTIVE, CreateTime: timestamppb.Now(), Version: 1,
	}
	w.publish(t, held.GetId(), &eventv1.GrantActivated{Context: &eventv1.Context{Version: 1, UserId: w.id("ext")}, Grant: held})
	w.handled(t)
	sees("what is held", "CRM viewer")
	w.submit(t, "ext", w.revokeOf("viewer"))
}
