package request_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	group   = requestv1.EntitlementKind_ENTITLEMENT_KIND_GROUP
	role    = requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE
	license = requestv1.EntitlementKind_ENTITLEMENT_KIND_LICENSE
)

// automaticApp is an app whose accounts an integration makes, with one group.
func (w *world) automaticApp(t *testing.T) (app string, devs *requestv1.Entitlement) {
	t.Helper()
	apps := w.apps(t, "zoe")
	a, err := apps.CreateApp(t.Context(), &requestv1.CreateAppRequest{
		Name: "Chat", Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC, IntegrationId: w.working,
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := apps.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{AppId: a.GetApp().GetId(), Name: "Developers", Kind: group, Ref: "devs"})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetApp().GetId(), e.GetEntitlement()
}

// B-CAT-06, in part: a reference that is empty, or that the app surely does not have, is
// refused when it is made, and when it is changed; nothing is made or changed. What the
// app does not say is taken.
func TestEntitlementIsInTheApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "ian")
	app, devs := w.automaticApp(t)
	for _, tt := range []struct {
		name   string
		kind   requestv1.EntitlementKind
		ref    string
		away   bool
		reason string
	}{
		{"by its id", group, "id-of-devs", false, ""},
		{"wrong name", group, "dves", false, "ENTITLEMENT_NOT_IN_APP"},
		{"of two", group, "Twice", false, "ENTITLEMENT_AMBIGUOUS"},
		{"empty group", group, "", false, "REF_EMPTY"},
		{"empty role", role, "", false, "REF_EMPTY"},
		{"empty licence", license, " \t", false, "REF_EMPTY"},
		{"empty, app away", group, "", true, "REF_EMPTY"},
		{"role", role, "analyst", false, ""},
		{"licence", license, "seat", false, ""},
		{"app does not say", group, "odd", false, ""},
		{"app away", group, "dves", true, ""},
	} {
		w.away.Store(tt.away)
		_, err := apps.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{AppId: app, Name: tt.name, Kind: tt.kind, Ref: tt.ref})
		if tt.reason == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		wantError(t, err, codes.InvalidArgument, tt.reason, "ref")
		if tt.ref == "dves" {
			if text := status.Convert(err).Message(); !strings.Contains(text, "no group of this name") || !strings.Contains(text, "/v1/integrations/"+w.working+"/entitlements") {
				t.Errorf("%s: says %q", tt.name, text)
			}
		}
	}
	w.away.Store(false)

	update := func(e *requestv1.Entitlement, paths ...string) (*requestv1.Entitlement, error) {
		e.Id, e.AppId = devs.GetId(), app
		r, err := apps.UpdateEntitlement(t.Context(), &requestv1.UpdateEntitlementRequest{Entitlement: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return r.GetEntitlement(), err
	}
	for ref, reason := range map[string]string{"dves": "ENTITLEMENT_NOT_IN_APP", "Twice": "ENTITLEMENT_AMBIGUOUS", "": "REF_EMPTY", " ": "REF_EMPTY"} {
		_, err := update(&requestv1.Entitlement{Name: "New", Ref: ref}, "name", "ref")
		wantError(t, err, codes.InvalidArgument, reason, "entitlement.ref")
	}
	if e, err := update(&requestv1.Entitlement{Description: "same"}, "description"); err != nil || e.GetName() != "Developers" || e.GetVersion() != 2 {
		t.Errorf("it has changed: %v %v", e, err)
	}
	if e, err := update(&requestv1.Entitlement{Ref: "id-of-devs"}, "ref"); err != nil || e.GetRef() != "id-of-devs" {
		t.Errorf("another ref: %v %v", e, err)
	}
	// A ref that stays is not looked at, though the app does not have it any more.
	delete(w.found, "id-of-devs")
	before := w.lookUp.Load()
	if e, err := update(&requestv1.Entitlement{Name: "Engineers", Ref: "id-of-devs"}, "name", "ref"); err != nil || e.GetName() != "Engineers" {
		t.Errorf("renamed: %v %v", e, err)
	}
	if _, err := update(&requestv1.Entitlement{Name: "Makers"}, "name"); err != nil {
		t.Error(err)
	}
	// An entitlement of an app that is not automatic is what somebody calls it.
	for _, kind := range []requestv1.EntitlementKind{group, role} {
		if _, err := apps.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{AppId: w.crm.GetId(), Name: kind.String(), Kind: kind}); err != nil {
			t.Error(err)
		}
	}
	if n := w.lookUp.Load(); n != before {
		t.Errorf("looked up %d times", n-before)
	}
	names := map[string]bool{}
	for _, e := range emitted[*eventv1.EntitlementCreated](t, w) {
		names[e.GetEntitlement().GetName()] = true
	}
	for _, name := range []string{"wrong name", "of two", "empty group", "empty role", "empty licence", "empty, app away"} {
		if names[name] {
			t.Errorf("%s was made", name)
		}
	}
}

// B-CAT-06, in part: an app that becomes automatic keeps the entitlements that it has.
func TestAutomaticKeepsEntitlements(t *testing.T) {
	t.Parallel()
	w := start(t)
	before := w.lookUp.Load()
	if _, err := w.apps(t, "zoe").UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
		App:        &requestv1.App{Id: w.crm.GetId(), Provisioning: requestv1.ProvisioningSupport_PROVISIONING_SUPPORT_AUTOMATIC, IntegrationId: w.working},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"provisioning", "integration_id"}},
	}); err != nil || w.lookUp.Load() != before {
		t.Errorf("%v, looked up %d times", err, w.lookUp.Load()-before)
	}
}

// B-CAT-06, in part: nobody has an app asked who may not make its entitlements.
func TestWhoHasAppsAsked(t *testing.T) {
	t.Parallel()
	w := start(t)
	app, devs := w.automaticApp(t)
	north := id.New()
	w.joinTo(t, w.org, north.String(), "nora", authzv1.Caller_CALLER_ADMIN)
	w.joinTo(t, id.New(), "", "olga", authzv1.Caller_CALLER_ADMIN)
	w.handled(t)
	stale := w.caller("zoe")
	stale.UserVersion = w.users["zoe"].GetVersion()
	was := requestv1.NewAppServiceClient(w.Conn(t, stale))
	demoted := proto.CloneOf(w.users["zoe"])
	demoted.Version++
	demoted.Role = identityv1.Role_ROLE_MEMBER
	w.publish(t, demoted.GetId(), &eventv1.UserUpdated{User: demoted})
	w.handled(t)
	before := w.lookUp.Load()
	for name, tt := range map[string]struct {
		apps   requestv1.AppServiceClient
		reason string
	}{
		"member":                       {w.apps(t, "ann"), "ROLE_NOT_ALLOWED"},
		"external":                     {w.apps(t, "ext"), "ROLE_NOT_ALLOWED"},
		"risk manager":                 {w.apps(t, "ria"), "ROLE_NOT_ALLOWED"},
		"admin of an environment":      {w.apps(t, "nora"), "APP_NOT_FOUND"},
		"admin of another":             {w.apps(t, "olga"), "APP_NOT_FOUND"},
		"somebody who was admin until": {was, "TOKEN_STALE"},
	} {
		_, err := tt.apps.CreateEntitlement(t.Context(), &requestv1.CreateEntitlementRequest{AppId: app, Name: name, Kind: group, Ref: "devs"})
		if rpctest.Reason(err) != tt.reason {
			t.Errorf("%s makes: %v, want %s", name, err, tt.reason)
		}
		_, err = tt.apps.UpdateEntitlement(t.Context(), &requestv1.UpdateEntitlementRequest{
			Entitlement: &requestv1.Entitlement{Id: devs.GetId(), AppId: app, Ref: "id-of-devs"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"ref"}},
		})
		if rpctest.Reason(err) != tt.reason {
			t.Errorf("%s changes: %v, want %s", name, err, tt.reason)
		}
	}
	if n := w.lookUp.Load(); n != before {
		t.Errorf("looked up %d times", n-before)
	}
}
