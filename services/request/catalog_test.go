package request_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

func cloneOf[M proto.Message](m M) M { return proto.CloneOf(m) }

// wantError fails unless err has the code, the reason and, if given, the field.
func wantError(t testing.TB, err error, code codes.Code, reason string, field ...string) {
	t.Helper()
	if status.Code(err) != code || rpctest.Reason(err) != reason || (len(field) > 0 && !slices.Equal(rpctest.Fields(err), field)) {
		t.Fatalf("got %v (%s %q), want %s %s %q", err, rpctest.Reason(err), rpctest.Fields(err), code, reason, field)
	}
}

func metadata(err error, key string) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()[key]
		}
	}
	return ""
}

// B-ONB-01, B-ONB-14, B-CAT-03: an app comes with its account, who runs and
// approves it, in their order; a setting never chosen is shown as such.
func TestCreateApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "zoe")

	in := &requestv1.CreateAppRequest{
		Name: " Wiki ", Description: "pages", OwnerId: w.id("ann"), AdminIds: []string{w.id("zoe"), w.id("ada"), strings.ToUpper(w.id("zoe"))},
		ApproverIds: []string{w.id("pia"), w.id("ann")}, Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_NONE,
		DeprovisioningAction: requestv1.DeprovisioningAction_DEPROVISIONING_ACTION_DISABLE,
		AccountAdoption:      requestv1.AccountAdoption_ACCOUNT_ADOPTION_REFUSE,
	}
	out, err := apps.CreateApp(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	a := out.GetApp()
	if a.GetName() != "Wiki" || a.GetVersion() != 1 || !slices.Equal(a.GetAdminIds(), []string{w.id("zoe"), w.id("ada")}) ||
		!slices.Equal(a.GetApproverIds(), []string{w.id("pia"), w.id("ann")}) || a.GetAccountAdoption() != in.GetAccountAdoption() || out.GetAccount().GetName() != "account" {
		t.Fatalf("made %v", out)
	}
	got, err := w.apps(t, "ben").GetApp(t.Context(), &requestv1.GetAppRequest{Id: a.GetId()})
	if err != nil || !proto.Equal(got.GetApp(), a) {
		t.Fatalf("reads %v %v, want %v", got, err, a)
	}
	emitted := servicetest.Wait(t, w.Harness, func(m *eventv1.AppCreated) bool { return m.GetApp().GetId() == a.GetId() })
	if !proto.Equal(emitted.GetApp(), a) || emitted.GetContext().GetActor().GetId() != w.id("zoe") || emitted.GetContext().GetVersion() != 1 {
		t.Fatalf("emitted %v", emitted)
	}
	account := servicetest.Wait(t, w.Harness, func(m *eventv1.EntitlementCreated) bool { return m.GetEntitlement().GetAppId() == a.GetId() })
	if !proto.Equal(account.GetEntitlement(), out.GetAccount()) || account.GetAppName() != "Wiki" {
		t.Fatalf("emitted %v", account)
	}
	if w.crm.GetProvisioning() != requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_UNSPECIFIED { // B-ONB-14
		t.Errorf("never chosen is shown as %v", w.crm.GetProvisioning())
	}

	w.joinTo(t, id.New(), "", "olga", authzv1.Caller_CALLER_ADMIN)
	w.handled(t)
	for _, tc := range []struct {
		name, who, field, reason string
		code                     codes.Code
		in                       *requestv1.CreateAppRequest
	}{
		{"name taken, in other letters", "zoe", "name", "APP_NAME_TAKEN", codes.AlreadyExists, &requestv1.CreateAppRequest{Name: "wIKI"}},
		{"blank name", "zoe", "name", "NAME_EMPTY", codes.InvalidArgument, &requestv1.CreateAppRequest{Name: " "}},
		{"unknown owner", "zoe", "owner_id", "USER_UNKNOWN", codes.InvalidArgument, &requestv1.CreateAppRequest{Name: "x", OwnerId: id.New().String()}},
		{
			"admin of another organization", "zoe", "admin_ids[1]", "USER_UNKNOWN", codes.InvalidArgument,
			&requestv1.CreateAppRequest{Name: "x", AdminIds: []string{w.id("ada"), w.id("olga")}},
		},
		{"bad approver", "zoe", "approver_ids[0]", "USER_UNKNOWN", codes.InvalidArgument, &requestv1.CreateAppRequest{Name: "x", ApproverIds: []string{"nobody"}}},
		{"not for members", "ada", "", "ROLE_NOT_ALLOWED", codes.PermissionDenied, &requestv1.CreateAppRequest{Name: "x"}}, // B-USR-06
	} {
		_, err := w.apps(t, tc.who).CreateApp(t.Context(), tc.in)
		if status.Code(err) != tc.code || rpctest.Reason(err) != tc.reason || strings.Join(rpctest.Fields(err), " ") != tc.field {
			t.Errorf("%s: got %v, %s, %q", tc.name, err, rpctest.Reason(err), rpctest.Fields(err))
		}
	}
	// Names are unique within an organization, and nobody sees those of others.
	if _, err := w.apps(t, "olga").CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "Wiki"}); err != nil {
		t.Error(err)
	}
	_, err = w.apps(t, "olga").GetApp(t.Context(), &requestv1.GetAppRequest{Id: a.GetId()})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	_, err = w.apps(t, "olga").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App: &requestv1.App{Id: a.GetId(), Name: "mine"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}},
	})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	_, err = w.apps(t, "olga").CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{
		AppId: a.GetId(), Name: "x", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE,
	})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
	_, err = w.apps(t, "olga").ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: a.GetId()})
	wantError(t, err, codes.NotFound, "APP_NOT_FOUND")
}

// B-ONB-10, in part: an app that people handle may have an integration that looks, also one
// that may only read or does not work now; it must be one that the app can have. B-ONB-02:
// the way of working is changed by itself only to one that the integration can do.
func TestIntegrationThatLooks(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "zoe")
	manual := requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL
	_, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "looked at", Provisioning: manual, IntegrationId: id.New().String()})
	wantError(t, err, codes.InvalidArgument, "INTEGRATION_NOT_FOUND", "integration_id")
	for n, integration := range []string{w.reader, w.failing, w.working} {
		made, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "looked at " + string(rune('a'+n)), Provisioning: manual, IntegrationId: integration})
		if err != nil || made.GetApp().GetIntegrationId() != integration {
			t.Fatalf("app %v: %v", made.GetApp(), err)
		}
		mode := func(p requestv1.ProvisioningSupport) error {
			_, err := apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
				App: &requestv1.App{Id: made.GetApp().GetId(), Provisioning: p}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"provisioning"}},
			})
			return err
		}
		switch err := mode(requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC); integration {
		case w.reader:
			wantError(t, err, codes.FailedPrecondition, "INTEGRATION_READ_ONLY", "app.integration_id")
		case w.failing:
			wantError(t, err, codes.FailedPrecondition, "INTEGRATION_NOT_WORKING", "app.integration_id")
		default:
			if err != nil {
				t.Error(err)
			}
		}
		// Back to people it goes whatever has become of the integration.
		if integration == w.working {
			w.working = id.New().String()
		}
		if err := mode(manual); err != nil {
			t.Error(err)
		}
	}
}

// B-ONB-02: automatic only with an integration that works, and the error says
// so; at creation and afterwards.
func TestAutomaticNeedsWorkingIntegration(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "zoe")
	automatic := requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC
	update := func(integration string) (*requestv1.UpdateAppResponse, error) {
		return apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
			App:        &requestv1.App{Id: w.crm.GetId(), Provisioning: automatic, IntegrationId: integration},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"provisioning", "integration_id"}},
		})
	}
	for _, tc := range []struct {
		name, integration, says string
		code                    codes.Code
		reason                  string
	}{
		{"none", "", "integration", codes.InvalidArgument, "INTEGRATION_MISSING"},
		{"unknown", id.New().String(), "no such integration", codes.FailedPrecondition, "INTEGRATION_NOT_WORKING"},
		{"failing", w.failing, "the token is refused", codes.FailedPrecondition, "INTEGRATION_NOT_WORKING"},
		{"never tested", w.untested, "not been tested", codes.FailedPrecondition, "INTEGRATION_NOT_WORKING"},
		{"may only read", w.reader, "may only read", codes.FailedPrecondition, "INTEGRATION_READ_ONLY"},
	} {
		_, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "auto", Provisioning: automatic, IntegrationId: tc.integration})
		wantError(t, err, tc.code, tc.reason, "integration_id")
		if !strings.Contains(status.Convert(err).Message(), tc.says) {
			t.Errorf("%s: says %q", tc.name, status.Convert(err).Message())
		}
		_, err = update(tc.integration)
		wantError(t, err, tc.code, tc.reason, "app.integration_id")
	}
	if _, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "auto", Provisioning: automatic, IntegrationId: w.working}); err != nil {
		t.Error(err)
	}
	if _, err := update(strings.ToUpper(w.working)); err != nil {
		t.Error(err)
	}
	// An integration that fails later does not keep anybody from renaming.
	w.working = id.New().String()
	if _, err := apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App: &requestv1.App{Id: w.crm.GetId(), Name: "CRM 2"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}},
	}); err != nil {
		t.Error(err)
	}
	_, err := apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App: &requestv1.App{Id: w.crm.GetId()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"integration_id"}},
	})
	wantError(t, err, codes.InvalidArgument, "INTEGRATION_MISSING", "app.integration_id")
}

func TestUpdateApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "ian")
	update := func(a *requestv1.App, paths ...string) (*requestv1.UpdateAppResponse, error) {
		a.Id = w.crm.GetId()
		return apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{App: a, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}

	for _, tc := range []struct {
		name, field, reason string
		app                 *requestv1.App
		paths               []string
	}{
		{"no mask", "update_mask", "UPDATE_MASK_EMPTY", &requestv1.App{Name: "x"}, nil},
		{"not changeable", "update_mask", "FIELD_NOT_CHANGEABLE", &requestv1.App{Version: 9}, []string{"version"}},
		{"no such field", "update_mask", "FIELD_NOT_CHANGEABLE", &requestv1.App{}, []string{"colour"}},
		{"empty name", "app.name", "INVALID_ARGUMENT", &requestv1.App{}, []string{"name"}},
		{"long name", "app.name", "INVALID_ARGUMENT", &requestv1.App{Name: strings.Repeat("x", 201)}, []string{"name"}},
		{"nobody's name", "app.admin_ids[0]", "USER_UNKNOWN", &requestv1.App{AdminIds: []string{"nobody"}}, []string{"admin_ids"}},
		{"unknown owner", "app.owner_id", "USER_UNKNOWN", &requestv1.App{OwnerId: id.New().String()}, []string{"owner_id"}},
		{"unknown setting", "app.provisioning", "INVALID_ARGUMENT", &requestv1.App{Provisioning: 9}, []string{"provisioning"}},
	} {
		_, err := update(tc.app, tc.paths...)
		if status.Code(err) != codes.InvalidArgument || rpctest.Reason(err) != tc.reason || !slices.Equal(rpctest.Fields(err), []string{tc.field}) {
			t.Errorf("%s: got %v, %s, %q", tc.name, err, rpctest.Reason(err), rpctest.Fields(err))
		}
	}

	// Only what is named changes.
	manual := requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_MANUAL
	out, err := update(&requestv1.App{Name: "ignored", Provisioning: manual, Description: "customers"}, "id", "provisioning", "description")
	if err != nil {
		t.Fatal(err)
	}
	a := out.GetApp()
	if a.GetName() != "CRM" || a.GetProvisioning() != manual || a.GetDescription() != "customers" || a.GetVersion() != 2 || len(a.GetAdminIds()) != 1 {
		t.Fatalf("made %v", a)
	}
	emitted := servicetest.Wait(t, w.Harness, func(m *eventv1.AppUpdated) bool { return m.GetApp().GetVersion() == 2 })
	if !proto.Equal(emitted.GetApp(), a) || !slices.Equal(emitted.GetChangedFields(), []string{"description", "provisioning"}) ||
		emitted.GetContext().GetActor().GetId() != w.id("ian") || emitted.GetContext().GetVersion() != 2 {
		t.Fatalf("emitted %v", emitted)
	}
	// What is the same is no change.
	if out, err = update(&requestv1.App{Provisioning: manual}, "provisioning"); err != nil || out.GetApp().GetVersion() != 2 {
		t.Fatalf("got %v %v", out, err)
	}
	// Somebody who has left does not keep others from changing the app.
	w.leave(t, "ada")
	w.handled(t)
	if _, err = update(&requestv1.App{OwnerId: w.id("ann")}, "owner_id"); err != nil {
		t.Error(err)
	}
	// B-CAT-03: all can be taken out again.
	if out, err = update(&requestv1.App{}, "owner_id", "admin_ids", "approver_ids"); err != nil || out.GetApp().GetOwnerId() != "" || len(out.GetApp().GetAdminIds()) != 0 {
		t.Errorf("got %v %v", out, err)
	}

	// Two who change different fields at the same time both have their way.
	var all sync.WaitGroup
	for _, f := range []struct {
		app  *requestv1.App
		path string
	}{
		{&requestv1.App{Name: "Customers"}, "name"},
		{&requestv1.App{Description: "ours"}, "description"},
		{&requestv1.App{OwnerId: w.id("ben")}, "owner_id"},
	} {
		all.Go(func() {
			if _, err := update(f.app, f.path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := apps.GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.crm.GetId()})
	if a := got.GetApp(); err != nil || a.GetName() != "Customers" || a.GetDescription() != "ours" || a.GetOwnerId() != w.id("ben") || a.GetVersion() != 7 {
		t.Errorf("got %v %v", got, err)
	}
}

// B-CAT-01: the catalog by name, page by page, with search.
func TestCatalogPages(t *testing.T) {
	t.Parallel()
	w := start(t)
	want := []string{"CRM"}
	for _, name := range []string{"Ärzte", "ärmel", "zulu", "Alpha", "beta", "Émile", "100%"} {
		w.app(t, &requestv1.CreateAppRequest{Name: name, Description: "about " + name}, map[string]string{})
		want = append(want, name)
	}
	var got []string
	in := &requestv1.ListAppsRequest{PageSize: 2}
	for {
		out, err := w.apps(t, "ben").ListApps(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out.GetApps() {
			got = append(got, a.GetName())
		}
		if in.PageToken = out.GetNextPageToken(); in.PageToken == "" {
			break
		}
	}
	if slices.Index(got, "Alpha") > slices.Index(got, "beta") || slices.Index(got, "beta") > slices.Index(got, "zulu") {
		t.Errorf("not by name: %q", got)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for query, n := range map[string]int{"%": 1, "ABOUT": 7, "crm": 1, "nothing": 0} {
		out, err := w.apps(t, "ben").ListApps(t.Context(), &requestv1.ListAppsRequest{Query: query})
		if err != nil || len(out.GetApps()) != n {
			t.Errorf("%q finds %v %v", query, out, err)
		}
	}
	_, err := w.apps(t, "ben").ListApps(t.Context(), &requestv1.ListAppsRequest{PageToken: "what?"})
	wantError(t, err, codes.InvalidArgument, "PAGE_TOKEN_INVALID", "page_token")

	_, err = w.apps(t, "zoe").CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{
		AppId: w.crm.GetId(), Name: "Editor", Kind: requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE,
	})
	wantError(t, err, codes.AlreadyExists, "ENTITLEMENT_NAME_TAKEN", "name")
	var names []string
	es := &requestv1.ListEntitlementsRequest{AppId: w.crm.GetId(), PageSize: 2}
	for {
		out, err := w.apps(t, "ben").ListEntitlements(t.Context(), es)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.GetEntitlements() {
			names = append(names, fmt.Sprint(e.GetName(), " ", e.GetKind()))
		}
		if es.PageToken = out.GetNextPageToken(); es.PageToken == "" {
			break
		}
	}
	if want := []string{"account ENTITLEMENT_KIND_ACCOUNT", "editor ENTITLEMENT_KIND_GROUP", "viewer ENTITLEMENT_KIND_GROUP"}; !slices.Equal(names, want) {
		t.Errorf("got %q", names)
	}
}

// The places of people who have left are shown as vacant, and apps with some are found,
// until others are named in their stead.
func TestVacantPlacesOfAnApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.join(t, "gil", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	w.app(t, &requestv1.CreateAppRequest{Name: "Ledger", OwnerId: w.id("gil"), ApproverIds: []string{w.id("gil"), w.id("pia")}}, map[string]string{})
	vacant := func() []*requestv1.App {
		t.Helper()
		list, err := w.apps(t, "zoe").ListApps(t.Context(), &requestv1.ListAppsRequest{Filter: "goneUserIds:*"})
		if err != nil {
			t.Fatal(err)
		}
		return list.GetApps()
	}
	if apps := vacant(); len(apps) != 0 {
		t.Errorf("nobody has left: %v", apps)
	}
	w.leave(t, "gil")
	w.handled(t)
	apps := vacant()
	if len(apps) != 1 || apps[0].GetName() != "Ledger" || !slices.Equal(apps[0].GetGoneUserIds(), []string{w.id("gil")}) {
		t.Fatalf("found %v", apps)
	}
	got, err := w.apps(t, "zoe").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App:        &requestv1.App{Id: apps[0].GetId(), OwnerId: w.id("pia"), ApproverIds: []string{w.id("pia")}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"owner_id", "approver_ids"}},
	})
	if err != nil {
		t.Fatal(got, err)
	}
	if apps := vacant(); len(apps) != 0 {
		t.Errorf("all places are taken: %v", apps)
	}
}

// B-CAT-03, in part: an app has a picture by name, which is changed and emitted as
// everything else of it; a name that no picture can have is refused.
func TestAppIcon(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "zoe")
	made, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{Name: "Wiki", Icon: "wiki"})
	if err != nil || made.GetApp().GetIcon() != "wiki" {
		t.Fatalf("made %v: %v", made, err)
	}
	created := servicetest.Wait(t, w.Harness, func(m *eventv1.AppCreated) bool { return m.GetApp().GetId() == made.GetApp().GetId() })
	if created.GetApp().GetIcon() != "wiki" {
		t.Errorf("emitted %v", created)
	}
	change := func(icon string) error {
		_, err := apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
			App: &requestv1.App{Id: made.GetApp().GetId(), Icon: icon}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"icon"}},
		})
		return err
	}
	wantError(t, change("../Wiki"), codes.InvalidArgument, "INVALID_ARGUMENT", "app.icon")
	if err := change("book"); err != nil {
		t.Fatal(err)
	}
	updated := servicetest.Wait(t, w.Harness, func(m *eventv1.AppUpdated) bool { return m.GetApp().GetId() == made.GetApp().GetId() })
	if updated.GetApp().GetIcon() != "book" || updated.GetApp().GetName() != "Wiki" {
		t.Errorf("emitted %v", updated)
	}
	list, err := apps.ListApps(t.Context(), &requestv1.ListAppsRequest{Filter: `icon = "book"`})
	if err != nil || len(list.GetApps()) != 1 {
		t.Errorf("listed %v: %v", list, err)
	}
	if err := change(""); err != nil {
		t.Error(err)
	}
}
