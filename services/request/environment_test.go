package request_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// environments is a world with two environments. In A anna is the admin and amy
// a member; in B bea is the admin and bert a member; zoe is the organization's
// admin and ann a member of it.
type environments struct {
	*world
	a, b string
	// payroll are apps of that name, of A and of B; crm is the organization's and
	// offered to nobody, mail to A.
	payrollA, payrollB, mail *requestv1.App
	// Entitlements "account" of those apps.
	accountA, accountB, accountMail string
}

func startEnvironments(t *testing.T, change ...func(*backend.Config)) *environments {
	t.Helper()
	w := &environments{world: start(t, change...), a: id.New().String(), b: id.New().String()}
	for _, environment := range []string{w.a, w.b} {
		w.publish(t, environment, &eventv1.EnvironmentCreated{
			Environment: &identityv1.Environment{Id: environment, OrganizationId: w.org.String(), Name: environment, Version: 1},
		})
	}
	w.joinTo(t, w.org, w.a, "anna", authzv1.Caller_CALLER_ADMIN)
	w.joinTo(t, w.org, w.a, "amy", authzv1.Caller_CALLER_MEMBER)
	w.joinTo(t, w.org, w.b, "bea", authzv1.Caller_CALLER_ADMIN)
	w.joinTo(t, w.org, w.b, "bert", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	create := func(name string, in *requestv1.CreateAppRequest) (*requestv1.App, string) {
		r, err := w.apps(t, name).CreateApp(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return r.GetApp(), r.GetAccount().GetId()
	}
	w.payrollA, w.accountA = create("anna", &requestv1.CreateAppRequest{Name: "Payroll", OwnerId: w.id("amy")})
	w.payrollB, w.accountB = create("zoe", &requestv1.CreateAppRequest{Name: "Payroll", EnvironmentId: w.b})
	w.mail, w.accountMail = create("zoe", &requestv1.CreateAppRequest{Name: "Mail", OfferedEnvironmentIds: []string{w.a}})
	return w
}

func grantFor(beneficiary string, entitlements ...string) *requestv1.CreateRequestRequest {
	return &requestv1.CreateRequestRequest{
		Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, BeneficiaryId: beneficiary, EntitlementIds: entitlements, Justification: "please",
	}
}

// B-USR-12: every RPC on apps, of admins and members, at what their own
// environment, another one and the organization own.
func TestEnvironmentsSeeTheirApps(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	created := emitted[*eventv1.AppCreated](t, w.world)
	for _, tc := range []struct {
		app         *requestv1.App
		environment string
	}{{w.payrollA, w.a}, {w.payrollB, w.b}, {w.mail, ""}, {w.crm, ""}} {
		i := slices.IndexFunc(created, func(e *eventv1.AppCreated) bool { return e.GetApp().GetId() == tc.app.GetId() })
		if i < 0 || tc.app.GetEnvironmentId() != tc.environment || created[i].GetContext().GetEnvironmentId() != tc.environment ||
			created[i].GetApp().GetEnvironmentId() != tc.environment {
			t.Errorf("%s of %q: %v", tc.app.GetName(), tc.environment, tc.app)
		}
	}
	visible := map[string][]*requestv1.App{
		"anna": {w.payrollA, w.mail}, "amy": {w.payrollA, w.mail}, "bea": {w.payrollB}, "bert": {w.payrollB},
		"zoe": {w.payrollA, w.payrollB, w.mail, w.crm}, "ann": {w.payrollA, w.payrollB, w.mail, w.crm},
	}
	owned := map[string][]*requestv1.App{"anna": {w.payrollA}, "bea": {w.payrollB}, "zoe": visible["zoe"]}
	for name, apps := range visible {
		c := w.apps(t, name)
		list, err := c.ListApps(t.Context(), &requestv1.ListAppsRequest{})
		if err != nil || len(list.GetApps()) != len(apps) {
			t.Errorf("%s lists %d apps, want %d: %v", name, len(list.GetApps()), len(apps), err)
		}
		// In all apps there is what is in each that is seen.
		all, err := c.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: "-", PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		in := make(map[string]bool)
		for _, e := range all.GetEntitlements() {
			in[e.GetAppId()] = true
		}
		if len(in) != len(apps) || slices.ContainsFunc(apps, func(a *requestv1.App) bool { return !in[a.GetId()] }) {
			t.Errorf("%s lists what is in %v", name, in)
		}
		for _, app := range visible["zoe"] {
			sees := slices.ContainsFunc(apps, func(a *requestv1.App) bool { return a.GetId() == app.GetId() })
			_, err := c.GetApp(t.Context(), &requestv1.GetAppRequest{Id: app.GetId()})
			wantReason(t, name+" gets "+app.GetName(), err, sees, "APP_NOT_FOUND")
			_, err = c.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: app.GetId()})
			wantReason(t, name+" lists entitlements of "+app.GetName(), err, sees, "APP_NOT_FOUND")
			if w.roles[name] != authzv1.Caller_CALLER_ADMIN {
				continue
			}
			owns := slices.ContainsFunc(owned[name], func(a *requestv1.App) bool { return a.GetId() == app.GetId() })
			refusal := "APP_NOT_FOUND"
			if sees {
				refusal = "APP_OF_ORGANIZATION"
			}
			_, err = c.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
				App: &requestv1.App{Id: app.GetId(), Description: name}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
			})
			wantReason(t, name+" updates "+app.GetName(), err, owns, refusal)
			_, err = c.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{
				AppId: app.GetId(), Name: name, Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE, Ref: "r",
			})
			wantReason(t, name+" adds to "+app.GetName(), err, owns, refusal)
		}
	}
	for _, tc := range []struct {
		name, field string
		in          *requestv1.CreateAppRequest
	}{
		{"anna", "environment_id", &requestv1.CreateAppRequest{EnvironmentId: w.b}},
		{"zoe", "environment_id", &requestv1.CreateAppRequest{EnvironmentId: id.New().String()}},
		{"anna", "offered_to_all_environments", &requestv1.CreateAppRequest{OfferedToAllEnvironments: true}},
		{"zoe", "offered_environment_ids", &requestv1.CreateAppRequest{EnvironmentId: w.a, OfferedEnvironmentIds: []string{w.b}}},
		{"zoe", "offered_environment_ids[1]", &requestv1.CreateAppRequest{OfferedEnvironmentIds: []string{w.b, id.New().String()}}},
		{"anna", "owner_id", &requestv1.CreateAppRequest{OwnerId: w.id("bert")}},
		{"zoe", "admin_ids[0]", &requestv1.CreateAppRequest{EnvironmentId: w.a, AdminIds: []string{w.id("bert")}}},
	} {
		tc.in.Name = "Another"
		_, err := w.apps(t, tc.name).CreateApp(t.Context(), tc.in)
		if status.Code(err) != codes.InvalidArgument || !slices.Equal(rpctest.Fields(err), []string{tc.field}) {
			t.Errorf("%s: %v, fields %q, want %q", tc.name, err, rpctest.Fields(err), tc.field)
		}
	}
	// Offered to all, and then to B alone.
	for _, tc := range []struct {
		app   *requestv1.App
		sees  map[string]bool
		paths []string
	}{
		{&requestv1.App{OfferedToAllEnvironments: true}, map[string]bool{"amy": true, "bert": true}, []string{"offered_to_all_environments"}},
		{
			&requestv1.App{OfferedEnvironmentIds: []string{w.b}},
			map[string]bool{"amy": false, "bert": true},
			[]string{"offered_to_all_environments", "offered_environment_ids"},
		},
	} {
		tc.app.Id = w.mail.GetId()
		if _, err := w.apps(t, "zoe").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{App: tc.app, UpdateMask: &fieldmaskpb.FieldMask{Paths: tc.paths}}); err != nil {
			t.Fatal(err)
		}
		for name, sees := range tc.sees {
			_, err := w.apps(t, name).GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.mail.GetId()})
			wantReason(t, name+" gets Mail", err, sees, "APP_NOT_FOUND")
		}
	}
}

// B-USR-12: of an app of the organization an environment sees no other environment,
// and nobody of one, nor finds it by them.
func TestEnvironmentsSeeNoOthersInAnApp(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	changed, err := w.apps(t, "zoe").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App: &requestv1.App{
			Id: w.mail.GetId(), OwnerId: w.id("bert"), AdminIds: []string{w.id("bert"), w.id("ann"), w.id("amy")}, ApproverIds: []string{w.id("bert")},
			OfferedEnvironmentIds: []string{w.b, w.a},
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"owner_id", "admin_ids", "approver_ids", "offered_environment_ids"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	whole := changed.GetApp()
	part := proto.CloneOf(whole)
	part.OwnerId, part.AdminIds, part.ApproverIds, part.OfferedEnvironmentIds = "", []string{w.id("ann"), w.id("amy")}, nil, []string{w.a}
	for name, want := range map[string]*requestv1.App{"amy": part, "anna": part, "zoe": whole, "ann": whole} {
		c := w.apps(t, name)
		got, err := c.GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.mail.GetId()})
		if d := cmp.Diff(want, got.GetApp(), protocmp.Transform()); err != nil || d != "" {
			t.Errorf("%s gets: %v %s", name, err, d)
		}
		list, err := c.ListApps(t.Context(), &requestv1.ListAppsRequest{Filter: `id = "` + w.mail.GetId() + `"`})
		if err != nil || len(list.GetApps()) != 1 || !proto.Equal(list.GetApps()[0], want) {
			t.Errorf("%s lists: %v %v", name, err, list)
		}
		for _, by := range []string{`ownerId = "` + w.id("bert"), `adminIds:"` + w.id("bert"), `approverIds:"` + w.id("bert"), `offeredEnvironmentIds:"` + w.b} {
			list, err := c.ListApps(t.Context(), &requestv1.ListAppsRequest{Filter: by + `"`})
			if err != nil || len(list.GetApps()) > 0 != (want == whole) {
				t.Errorf("%s, %s: %v %v", name, by, err, list)
			}
		}
	}
}

// wantReason checks that a call worked if it should have, and otherwise the
// reason of its error.
func wantReason(t *testing.T, what string, err error, works bool, reason string) {
	t.Helper()
	if works && err != nil || !works && rpctest.Reason(err) != reason {
		t.Errorf("%s: %v, want works %t, else %s", what, err, works, reason)
	}
}

// B-USR-12: who may request what for whom. What another environment owns, or is
// not offered, does not exist; a user of one environment and an app of another
// never meet, also for a caller of the organization.
func TestEnvironmentsRequestTheirApps(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	for _, tc := range []struct {
		name, caller, beneficiary string
		entitlements              []string
		environment               string // of the request, if it is taken
		reason, field             string // otherwise
	}{
		{name: "own app", caller: "amy", entitlements: []string{w.accountA}, environment: w.a},
		{name: "offered app", caller: "amy", entitlements: []string{w.accountMail}, environment: w.a},
		{name: "app of another environment", caller: "amy", entitlements: []string{w.accountB}, reason: "ENTITLEMENT_UNKNOWN", field: "entitlement_ids[0]"},
		{name: "app that is not offered", caller: "amy", entitlements: []string{w.access["account"]}, reason: "ENTITLEMENT_UNKNOWN", field: "entitlement_ids[0]"},
		{name: "offered to another", caller: "bert", entitlements: []string{w.accountMail}, reason: "ENTITLEMENT_UNKNOWN", field: "entitlement_ids[0]"},
		{name: "for somebody of another", caller: "anna", beneficiary: "bert", entitlements: []string{w.accountMail}, reason: "USER_UNKNOWN", field: "beneficiary_id"},
		{name: "for somebody of the organization", caller: "anna", beneficiary: "ann", entitlements: []string{w.accountMail}, reason: "USER_UNKNOWN", field: "beneficiary_id"},
		{name: "by the organization", caller: "zoe", beneficiary: "bert", entitlements: []string{w.accountB}, environment: w.b},
		{name: "by the organization, across", caller: "zoe", beneficiary: "bert", entitlements: []string{w.accountA}, reason: "ENTITLEMENT_UNKNOWN", field: "entitlement_ids[0]"},
		{name: "by the organization, not offered", caller: "zoe", beneficiary: "bert", entitlements: []string{w.access["account"]}, reason: "ENTITLEMENT_UNKNOWN", field: "entitlement_ids[0]"},
		{name: "the organization's people in an environment's app", caller: "ann", entitlements: []string{w.access["account"], w.accountA}, environment: w.a},
		{name: "in two environments' apps", caller: "ben", entitlements: []string{w.accountA, w.accountB}, reason: "ENVIRONMENTS_MIXED", field: "entitlement_ids[1]"},
		{name: "the organization's", caller: "ben", entitlements: []string{w.accountMail}, environment: ""},
	} {
		t.Run(tc.name, func(t *testing.T) { //nolint:paralleltest // one world
			beneficiary := tc.beneficiary
			if beneficiary != "" {
				beneficiary = w.id(beneficiary)
			}
			in := grantFor(beneficiary, tc.entitlements...)
			_, previewErr := w.requests(t, tc.caller).PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: in})
			r, err := w.requests(t, tc.caller).CreateRequest(t.Context(), in)
			if tc.reason != "" {
				if rpctest.Reason(err) != tc.reason || !slices.Equal(rpctest.Fields(err), []string{tc.field}) {
					t.Errorf("%v, fields %q, want %s of %s", err, rpctest.Fields(err), tc.reason, tc.field)
				}
				if tc.reason != "ENVIRONMENTS_MIXED" && rpctest.Reason(previewErr) != tc.reason {
					t.Errorf("preview: %v, want %s", previewErr, tc.reason)
				}
				return
			}
			if err != nil || previewErr != nil || r.GetRequest().GetEnvironmentId() != tc.environment {
				t.Fatalf("%v, %v, of %q, want %q", err, previewErr, r.GetRequest().GetEnvironmentId(), tc.environment)
			}
			for _, e := range emitted[*eventv1.RequestSubmitted](t, w.world) {
				if e.GetRequest().GetId() == r.GetRequest().GetId() &&
					(e.GetContext().GetEnvironmentId() != tc.environment || e.GetRequest().GetEnvironmentId() != tc.environment) {
					t.Errorf("emitted %v", e)
				}
			}
		})
	}
	// A user of the organization whose role is held in an environment requests an
	// app of it for themselves.
	consultant := w.caller("ria")
	consultant.EnvironmentID, consultant.Role = uuid.MustParse(w.a), authzv1.Caller_CALLER_MEMBER
	r, err := requestv1.NewRequestServiceClient(w.Conn(t, consultant)).CreateRequest(t.Context(), grantFor("", w.accountA))
	if err != nil || r.GetRequest().GetEnvironmentId() != w.a {
		t.Errorf("consultant: %v, %v", r, err)
	}
}

// B-USR-12: every RPC on requests, of admins and members, at requests of their
// own environment, another one and the organization.
func TestEnvironmentsSeeTheirRequests(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	requests := map[string]*requestv1.Request{
		"a": w.submit(t, "amy", grantFor("", w.accountA)), "b": w.submit(t, "bert", grantFor("", w.accountB)),
		"": w.submit(t, "ann", grantFor("", w.access["editor"])),
	}
	for _, tc := range []struct {
		name string
		sees []string
	}{{"anna", []string{"a"}}, {"amy", []string{"a"}}, {"bea", []string{"b"}}, {"bert", []string{"b"}}, {"zoe", []string{"a", "b", ""}}, {"ria", []string{"a", "b", ""}}, {"ann", []string{""}}} {
		c := w.requests(t, tc.name)
		list, err := c.ListRequests(t.Context(), &requestv1.ListRequestsRequest{})
		if err != nil || len(list.GetRequests()) != len(tc.sees) {
			t.Errorf("%s lists %d requests, want %d: %v", tc.name, len(list.GetRequests()), len(tc.sees), err)
		}
		for key, r := range requests {
			sees := slices.Contains(tc.sees, key)
			for rpc, call := range map[string]func(context.Context) error{
				"GetRequest": func(ctx context.Context) error {
					_, err := c.GetRequest(ctx, &requestv1.GetRequestRequest{Id: r.GetId()})
					return err
				},
				"AddComment": func(ctx context.Context) error {
					_, err := c.AddComment(ctx, &requestv1.AddCommentRequest{Id: r.GetId(), Text: "hello"})
					return err
				},
				"ListComments": func(ctx context.Context) error {
					_, err := c.ListComments(ctx, &requestv1.ListCommentsRequest{Id: r.GetId()})
					return err
				},
				"ListTimeline": func(ctx context.Context) error {
					_, err := c.ListTimeline(ctx, &requestv1.ListTimelineRequest{Id: r.GetId()})
					return err
				},
			} {
				if tc.name == "ria" && rpc == "AddComment" {
					continue // a risk manager reads
				}
				wantReason(t, tc.name+" calls "+rpc+" of "+key, call(t.Context()), sees, "REQUEST_NOT_FOUND")
			}
			if !sees {
				_, err := c.CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: r.GetId()})
				wantReason(t, tc.name+" cancels "+key, err, false, "REQUEST_NOT_FOUND")
			}
		}
	}
	// The beneficiary's own id does not help in another environment.
	elsewhere := w.caller("amy")
	elsewhere.EnvironmentID = uuid.MustParse(w.b)
	_, err := requestv1.NewRequestServiceClient(w.Conn(t, elsewhere)).GetRequest(t.Context(), &requestv1.GetRequestRequest{Id: requests["a"].GetId()})
	wantReason(t, "amy elsewhere", err, false, "REQUEST_NOT_FOUND")

	for _, key := range []string{"a", "b"} {
		if _, err := w.requests(t, map[string]string{"a": "anna", "b": "bert"}[key]).CancelRequest(t.Context(), &requestv1.CancelRequestRequest{Id: requests[key].GetId()}); err != nil {
			t.Fatal(err)
		}
	}
	w.publishAll(t, w.cancelled(requests["a"], "anna", "not needed"))
	for _, e := range emitted[*eventv1.RequestCancelRequested](t, w.world) {
		if want := map[string]string{requests["a"].GetId(): w.a, requests["b"].GetId(): w.b}[e.GetRequestId()]; e.GetContext().GetEnvironmentId() != want {
			t.Errorf("%v, want environment %s", e, want)
		}
	}
	if e := w.closed(t, requests["a"]); e.GetContext().GetEnvironmentId() != w.a || e.GetRequest().GetEnvironmentId() != w.a {
		t.Errorf("closed %v", e)
	}
}

// B-USR-12, B-USR-15, in part: a join-flow's request is for what its user's
// environment sees, and belongs to it.
func TestJoinRequestOfAnEnvironment(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	w.publish(t, id.New().String(), &eventv1.FlowMatched{
		Context: &eventv1.Context{}, FlowId: id.New().String(), FlowVersion: 1, FlowName: "starters", UserId: w.id("amy"), JoinCount: 1,
		EntitlementIds: []string{w.accountA, w.accountB, w.accountMail, w.access["account"]},
	})
	w.handled(t)
	list, err := w.requests(t, "anna").ListRequests(t.Context(), &requestv1.ListRequestsRequest{BeneficiaryId: w.id("amy")})
	if err != nil || len(list.GetRequests()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	r := list.GetRequests()[0]
	var got []string
	for _, i := range r.GetItems() {
		got = append(got, i.GetEntitlementId())
	}
	want := []string{w.accountA, w.accountMail}
	slices.Sort(got)
	slices.Sort(want)
	if r.GetEnvironmentId() != w.a || !slices.Equal(got, want) {
		t.Errorf("request of %q for %q, want %q", r.GetEnvironmentId(), got, want)
	}
}

// A provider sets what a customer may have: what would be one too many is refused
// where it is made, also of many that come at once, and in no other environment.
func TestQuotas(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	w.publish(t, w.a, &eventv1.EnvironmentUpdated{Environment: &identityv1.Environment{
		Id: w.a, OrganizationId: w.org.String(), Name: "A", Version: 2, Quotas: &identityv1.EnvironmentQuotas{Apps: 2, OpenRequests: 1},
	}})
	w.handled(t)
	// Payroll is the first.
	var taken atomic.Int32
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			_, err := w.apps(t, "anna").CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: fmt.Sprintf("App %d", n)})
			if err == nil {
				taken.Add(1)
			} else if reason := rpctest.Reason(err); reason != "QUOTA_EXCEEDED" {
				t.Errorf("%v, %s", err, reason)
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("%d apps were taken, want 1", n)
	}
	if _, err := w.apps(t, "bea").CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "Another"}); err != nil {
		t.Errorf("in B: %v", err)
	}
	requests := w.requests(t, "amy")
	first, err := requests.CreateRequest(t.Context(), grantFor("", w.accountA))
	if err != nil {
		t.Fatal(err)
	}
	_, err = requests.CreateRequest(t.Context(), grantFor("", w.accountMail))
	wantError(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	w.publishAll(t, w.denied(first.GetRequest(), "ann", "no"))
	w.handled(t)
	if _, err := requests.CreateRequest(t.Context(), grantFor("", w.accountMail)); err != nil {
		t.Errorf("once the first is closed: %v", err)
	}
}

// A quota of open requests is of those for access: what somebody has is taken away however
// many are open, and a request that takes something away keeps nobody from asking.
func TestQuotaRefusesNoRevoke(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t, func(c *backend.Config) { c.Quotas = quota.Organization{"open_requests": 2} })
	w.joinTo(t, w.org, w.a, "abe", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	w.hold(t, "amy", grantFor("", w.accountA))
	w.publish(t, w.a, &eventv1.EnvironmentUpdated{Environment: &identityv1.Environment{
		Id: w.a, OrganizationId: w.org.String(), Name: "A", Version: 2, Quotas: &identityv1.EnvironmentQuotas{OpenRequests: 1},
	}})
	w.handled(t)
	first := w.submit(t, "amy", grantFor("", w.accountMail))
	w.submit(t, "bert", grantFor("", w.accountB))
	revoke := grantFor(w.id("amy"), w.accountA)
	revoke.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE
	if _, err := w.requests(t, "anna").CreateRequest(t.Context(), revoke); err != nil {
		t.Fatalf("of a full environment and a full organization: %v", err)
	}
	w.publishAll(t, w.denied(first, "ann", "no"))
	w.handled(t)
	w.submit(t, "amy", grantFor("", w.accountMail)) // beside the revoke
	_, err := w.requests(t, "anna").AssignAccess(t.Context(), &requestv1.AssignAccessRequest{
		Justification: "to work", EntitlementIds: []string{w.accountA}, UserIds: []string{w.id("abe")},
	})
	wantError(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
}

// The operator sets how much every organization may have, in all its environments: also
// of many that come at once none gets past it, and the error says what and how many.
func TestQuotasOfOrganization(t *testing.T) {
	t.Parallel()
	// Four apps are there: CRM, two of environments, and Mail.
	w := startEnvironments(t, func(c *backend.Config) { c.Quotas = quota.Organization{"apps": 5, "open_requests": 2} })
	var taken atomic.Int32
	var all sync.WaitGroup
	for n, who := range []string{"anna", "bea", "zoe", "anna", "bea", "zoe"} {
		all.Go(func() {
			_, err := w.apps(t, who).CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: fmt.Sprintf("App %d", n)})
			if err == nil {
				taken.Add(1)
			} else if reason := rpctest.Reason(err); reason != "QUOTA_EXCEEDED" || !strings.Contains(err.Error(), "the organization may have 5 apps") {
				t.Errorf("%v, %s", err, reason)
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("%d apps were taken, want 1", n)
	}
	first, err := w.requests(t, "amy").CreateRequest(t.Context(), grantFor("", w.accountA))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.requests(t, "bert").CreateRequest(t.Context(), grantFor("", w.accountB)); err != nil {
		t.Fatal(err)
	}
	_, err = w.requests(t, "amy").CreateRequest(t.Context(), grantFor("", w.accountMail))
	wantError(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	w.publishAll(t, w.denied(first.GetRequest(), "ann", "no"))
	w.handled(t)
	if _, err := w.requests(t, "amy").CreateRequest(t.Context(), grantFor("", w.accountMail)); err != nil {
		t.Errorf("once one is closed: %v", err)
	}
}
