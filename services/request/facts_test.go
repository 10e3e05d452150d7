package request_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// change changes fields of an app as the admin.
func (w *world) change(t testing.TB, a *requestv1.App, paths ...string) (*requestv1.App, error) {
	t.Helper()
	out, err := w.apps(t, "zoe").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{App: a, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	return out.GetApp(), err
}

// B-CAT-03, in part: IT admins say what the catalog says of an app, and which app it sits
// behind; everybody is told.
func TestAppFacts(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "ian")
	made, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{
		Name: "Sign-in", Category: " Security ", Tags: []string{" sso ", "SSO", "Login"}, Instructions: "Open sign-in.example\n", CatalogState: requestv1.CatalogState_CATALOG_STATE_LISTED,
	})
	if err != nil {
		t.Fatal(err)
	}
	sso := made.GetApp()
	if sso.GetCategory() != "Security" || !slices.Equal(sso.GetTags(), []string{"sso", "Login"}) || sso.GetInstructions() != "Open sign-in.example" {
		t.Errorf("made: %v", sso)
	}
	got, err := w.change(t, &requestv1.App{Id: w.crm.GetId(), SsoAppId: sso.GetId(), Category: "Sales", Tags: []string{"customers"}}, "sso_app_id", "category", "tags")
	if err != nil || got.GetSsoAppId() != sso.GetId() {
		t.Fatalf("behind: %v %v", got, err)
	}
	if m := emitted[*eventv1.AppUpdated](t, w); !slices.ContainsFunc(m, func(m *eventv1.AppUpdated) bool {
		return m.GetApp().GetCategory() == "Sales" && m.GetApp().GetSsoAppId() == sso.GetId() && slices.Equal(m.GetChangedFields(), []string{"category", "tags", "sso_app_id"})
	}) {
		t.Errorf("said: %v", m)
	}
	other := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki", SsoAppId: w.crm.GetId()}, map[string]string{})
	if _, err := w.change(t, &requestv1.App{Id: w.crm.GetId()}, "tags"); err != nil { // an app behind another is changed as ever
		t.Error(err)
	}
	for _, tc := range []struct{ name, app, behind, reason string }{
		{"itself", sso.GetId(), sso.GetId(), "SSO_APP_CYCLE"},
		{"the one behind it", sso.GetId(), w.crm.GetId(), "SSO_APP_CYCLE"},
		{"the one behind that", sso.GetId(), other.GetId(), "SSO_APP_CYCLE"},
		{"none", sso.GetId(), id.New().String(), "SSO_APP_UNKNOWN"},
	} {
		_, err := w.change(t, &requestv1.App{Id: tc.app, SsoAppId: tc.behind}, "sso_app_id")
		wantError(t, err, codes.InvalidArgument, tc.reason, "app.sso_app_id")
	}
	_, err = apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "x", Tags: []string{"ok", "  "}, Category: strings.Repeat("x", 51)})
	wantError(t, err, codes.InvalidArgument, "INVALID_ARGUMENT", "category", "tags[1]")

	// What sits behind it keeps it, unless that is said.
	_, err = apps.DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: sso.GetId()})
	wantError(t, err, codes.FailedPrecondition, "APP_IN_USE")
	if _, err := apps.DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: sso.GetId(), EndAccess: true}); err != nil {
		t.Fatal(err)
	}
	after, err := apps.GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.crm.GetId()})
	if err != nil || after.GetApp().GetSsoAppId() != "" {
		t.Errorf("sits behind what is gone: %v %v", after, err)
	}
	_, err = w.change(t, &requestv1.App{Id: w.crm.GetId(), SsoAppId: sso.GetId()}, "sso_app_id")
	wantError(t, err, codes.InvalidArgument, "SSO_APP_UNKNOWN", "app.sso_app_id")
}

// B-CAT-03, in part: who runs the catalog decides what is in it. An app that is not listed is
// seen by those who run it, who see all or who hold something in it; for everybody else it
// does not exist. Nobody requests it, and admins give it.
func TestUnlistedApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	if _, err := w.change(t, &requestv1.App{Id: w.crm.GetId(), CatalogState: requestv1.CatalogState_CATALOG_STATE_UNLISTED}, "catalog_state"); err != nil {
		t.Fatal(err)
	}
	assigned, err := w.requests(t, "zoe").AssignAccess(t.Context(), &requestv1.AssignAccessRequest{
		UserIds: []string{w.id("ben")}, EntitlementIds: []string{w.access["viewer"]}, Justification: "for the audit",
	})
	if err != nil {
		t.Fatalf("not assigned: %v", err)
	}
	r := assigned.GetRequests()[0]
	_, given := give(r, 0)
	w.publishAll(t, append([]emission{w.granted(r)}, given...)...)
	w.handled(t)
	for name, sees := range map[string]bool{"ada": true, "pia": true, "zoe": true, "ian": true, "ria": true, "ben": true, "ann": false, "ext": false} {
		apps := w.apps(t, name)
		list, err := apps.ListApps(t.Context(), &requestv1.ListAppsRequest{})
		if err != nil || len(list.GetApps()) > 0 != sees {
			t.Errorf("%s lists %v %v", name, list, err)
		}
		_, err = apps.GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.crm.GetId()})
		if (err == nil) != sees || err != nil && rpctest.Reason(err) != "APP_NOT_FOUND" {
			t.Errorf("%s gets: %v", name, err)
		}
		all, err := apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: "-"})
		if err != nil || len(all.GetEntitlements()) > 0 != sees {
			t.Errorf("%s lists what is in it: %v %v", name, all, err)
		}
		_, err = w.requests(t, name).CreateRequest(t.Context(), w.grantOf("editor"))
		if want := map[bool]string{true: "APP_UNLISTED", false: "ENTITLEMENT_UNKNOWN"}[sees]; rpctest.Reason(err) != want {
			t.Errorf("%s requests: %v, want %s", name, err, want)
		}
	}
	p, err := w.requests(t, "ada").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: w.grantOf("editor")})
	if err != nil || p.GetItems()[0].GetRefusal() != "APP_UNLISTED" {
		t.Errorf("preview: %v %v", p, err)
	}
	// Who cannot see the app, and stands above who holds it, has it taken away. Of what is
	// not held they learn nothing, also where they would have it taken away.
	back := w.revokeOf("viewer")
	back.BeneficiaryId = w.id("ben")
	w.submit(t, "ann", back)
	_, err = w.requests(t, "ann").CreateRequest(t.Context(), w.revokeOf("viewer"))
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "entitlement_ids[0]")
	_, err = w.requests(t, "ann").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: w.revokeOf("viewer")})
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "entitlement_ids[0]")
	back.EntitlementIds = []string{w.access["editor"]}
	_, err = w.requests(t, "ann").CreateRequest(t.Context(), back)
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "entitlement_ids[0]")
	w.join(t, "bob", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	// To who may not ask for others it is all the same whether they hold it.
	for _, name := range []string{"viewer", "editor"} {
		of := w.revokeOf(name)
		of.BeneficiaryId = w.id("ben")
		_, err = w.requests(t, "bob").CreateRequest(t.Context(), of)
		wantError(t, err, codes.PermissionDenied, "NOT_FOR_OTHERS")
	}
}

// B-APR-16, in part: what is requested says what it opens. An account may leave that to its
// app. What nobody has described is given by admins all the same, and taken away.
func TestRequestedIsDescribed(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "zoe")
	describe := func(name, text string) {
		t.Helper()
		_, err := apps.UpdateEntitlement(t.Context(), &requestv1.UpdateEntitlementRequest{
			Entitlement: &requestv1.Entitlement{AppId: w.crm.GetId(), Id: w.access[name], Description: text}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	describe("editor", " ")
	describe("account", "")
	_, err := w.requests(t, "ben").CreateRequest(t.Context(), w.grantOf("viewer", "editor"))
	wantError(t, err, codes.FailedPrecondition, "ENTITLEMENT_NOT_DESCRIBED", "entitlement_ids[1]")
	p, err := w.requests(t, "ben").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: w.grantOf("viewer", "editor", "account")})
	if err != nil || p.GetItems()[0].GetRefusal() != "" || p.GetItems()[1].GetRefusal() != "ENTITLEMENT_NOT_DESCRIBED" || p.GetItems()[2].GetRefusal() != "ENTITLEMENT_NOT_DESCRIBED" {
		t.Errorf("preview: %v %v", p, err)
	}
	if _, err := w.change(t, &requestv1.App{Id: w.crm.GetId(), Description: "Who buys from us"}, "description"); err != nil {
		t.Fatal(err)
	}
	w.submit(t, "ben", w.grantOf("account"))
	assigned, err := w.requests(t, "zoe").AssignAccess(t.Context(), &requestv1.AssignAccessRequest{
		UserIds: []string{w.id("ben")}, EntitlementIds: []string{w.access["editor"]}, Justification: "he needs it",
	})
	if err != nil {
		t.Fatalf("not assigned: %v", err)
	}
	r := assigned.GetRequests()[0]
	_, given := give(r, 0)
	w.publishAll(t, append([]emission{w.granted(r)}, given...)...)
	w.handled(t)
	w.submit(t, "ben", w.revokeOf("editor"))
}

// Several entitlements of what an app has are made at once, all or none.
func TestBatchCreateEntitlements(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "zoe")
	group := requestv1.EntitlementKind_ENTITLEMENT_KIND_GROUP
	a, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{
		Name: "auto", Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC, IntegrationId: w.working,
	})
	if err != nil {
		t.Fatal(err)
	}
	app := a.GetApp().GetId()
	of := func(list ...*requestv1.NewEntitlement) *requestv1.BatchCreateEntitlementsRequest {
		return &requestv1.BatchCreateEntitlementsRequest{AppId: app, Requests: list}
	}
	devs := &requestv1.NewEntitlement{Name: "Developers", Kind: group, Ref: "devs", Description: "All code", Risk: requestv1.EntitlementRisk_ENTITLEMENT_RISK_HIGH}
	for _, tc := range []struct {
		name, reason, field string
		code                codes.Code
		in                  *requestv1.BatchCreateEntitlementsRequest
	}{
		{"not in the app", "ENTITLEMENT_NOT_IN_APP", "requests[1].ref", codes.InvalidArgument, of(devs, &requestv1.NewEntitlement{Name: "Nobody", Kind: group, Ref: "nobody"})},
		{"several", "ENTITLEMENT_AMBIGUOUS", "requests[0].ref", codes.InvalidArgument, of(&requestv1.NewEntitlement{Name: "Two", Kind: group, Ref: "Twice"}, devs)},
		{"no ref", "REF_EMPTY", "requests[1].ref", codes.InvalidArgument, of(devs, &requestv1.NewEntitlement{Name: "x", Kind: group})},
		{"no name", "NAME_EMPTY", "requests[0].name", codes.InvalidArgument, of(&requestv1.NewEntitlement{Name: " ", Kind: group, Ref: "devs"})},
		{"twice", "ENTITLEMENT_NAME_TAKEN", "requests[1].name", codes.AlreadyExists, of(devs, &requestv1.NewEntitlement{Name: "developers", Kind: group, Ref: "id-of-devs"})},
		{"taken", "ENTITLEMENT_NAME_TAKEN", "requests[1].name", codes.AlreadyExists, of(devs, &requestv1.NewEntitlement{Name: "Account", Kind: group, Ref: "id-of-devs"})},
		{"an account", "INVALID_ARGUMENT", "requests[0].kind", codes.InvalidArgument, of(&requestv1.NewEntitlement{Name: "x", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ACCOUNT})},
		{"none", "INVALID_ARGUMENT", "requests", codes.InvalidArgument, of()},
	} {
		_, err := apps.BatchCreateEntitlements(t.Context(), tc.in)
		wantError(t, err, tc.code, tc.reason, tc.field)
	}
	list, err := apps.ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: app})
	if err != nil || len(list.GetEntitlements()) != 1 {
		t.Fatalf("some were made: %v %v", list, err)
	}
	in := of(devs)
	for n := range 30 {
		in.Requests = append(in.Requests, &requestv1.NewEntitlement{Name: fmt.Sprintf("Odd %02d", n), Kind: group, Ref: "odd"})
	}
	in.RequestId = id.New().String()
	out, err := apps.BatchCreateEntitlements(t.Context(), in)
	if err != nil || len(out.GetEntitlements()) != 31 || out.GetEntitlements()[0].GetRisk() != requestv1.EntitlementRisk_ENTITLEMENT_RISK_HIGH || out.GetEntitlements()[30].GetName() != "Odd 29" {
		t.Fatalf("made: %v %v", out, err)
	}
	again, err := apps.BatchCreateEntitlements(t.Context(), in)
	if err != nil || again.GetEntitlements()[0].GetId() != out.GetEntitlements()[0].GetId() {
		t.Errorf("again: %v %v", again, err)
	}
	if n := len(emitted[*eventv1.EntitlementCreated](t, w)); n != 31+1+3 {
		t.Errorf("%d were said", n)
	}
	_, err = w.apps(t, "ada").BatchCreateEntitlements(t.Context(), of(devs))
	wantError(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
}
