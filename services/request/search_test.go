package request_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// search is what somebody finds, by name, with what of each app made it be found.
func (w *world) search(t testing.TB, who, query, filter string) []string {
	t.Helper()
	in := &requestv1.SearchCatalogRequest{Query: query, Filter: filter, PageSize: 2}
	out := []string{}
	for {
		page, err := w.apps(t, who).SearchCatalog(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.GetApps() {
			names := []string{a.GetApp().GetName()}
			for _, m := range a.GetMatches() {
				names = append(names, m.GetName())
			}
			out = append(out, strings.Join(names, "/"))
		}
		if in.PageToken = page.GetNextPageToken(); in.PageToken == "" {
			return out
		}
	}
}

func (w *world) finds(t testing.TB, who, query, filter string, want ...string) {
	t.Helper()
	if got := w.search(t, who, query, filter); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		t.Errorf("%s finds by %q and %q: %q, want %q", who, query, filter, got, want)
	}
}

// B-CAT-01: everybody finds apps by words of their own and of what they give, the best first.
func TestSearchCatalog(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Übersicht Élan", Category: "Finance", Tags: []string{"Money", "Straße"}, Description: "Where the figures are"}, ids, "Reader")
	w.app(t, &requestv1.CreateAppRequest{Name: "Payroll", Category: "Finance", Description: "Salaries and figures of editors"}, map[string]string{}, "Clerk")
	w.app(t, &requestv1.CreateAppRequest{Name: "Editorial", Description: "Texts"}, map[string]string{}, "Author")
	w.app(t, &requestv1.CreateAppRequest{Name: "Plain", Tags: []string{"editing"}}, map[string]string{})
	w.finds(t, "ben", "", "", "CRM", "Editorial", "Payroll", "Plain", "Übersicht Élan")
	// A name, then a tag, then what is given, then a description; what is given is named where
	// the app itself does not say the word.
	w.finds(t, "ben", "edit", "", "Editorial", "Plain", "CRM/editor", "Payroll")
	w.finds(t, "ben", "ubersicht ELAN", "", "Übersicht Élan")
	w.finds(t, "ben", "  Élan, strasse!", "", "Übersicht Élan")
	w.finds(t, "ben", "crm view", "", "CRM/viewer")
	w.finds(t, "ben", "finance", "", "Payroll", "Übersicht Élan")
	w.finds(t, "ben", "figures finance", "", "Payroll", "Übersicht Élan")
	w.finds(t, "ben", "viewers", "", "CRM/viewer") // its ref
	w.finds(t, "ben", "dit", "")
	w.finds(t, "ben", "editor nothing", "")
	w.finds(t, "ben", "%", "", "CRM", "Editorial", "Payroll", "Plain", "Übersicht Élan") // no word at all
	w.finds(t, "ben", "", `app.category = "Finance"`, "Payroll", "Übersicht Élan")
	w.finds(t, "ben", "", `app.tags:"editing" OR app.tags:"Money"`, "Plain", "Übersicht Élan")

	first, err := w.apps(t, "ben").SearchCatalog(t.Context(), &requestv1.SearchCatalogRequest{})
	if err != nil || !slices.Equal(first.GetCategories(), []string{"Finance"}) || !slices.Equal(first.GetTags(), []string{"editing", "money", "straße"}) {
		t.Errorf("facets: %v %v %v", first.GetCategories(), first.GetTags(), err)
	}
	_, err = w.apps(t, "ben").SearchCatalog(t.Context(), &requestv1.SearchCatalogRequest{PageToken: "x"})
	wantError(t, err, codes.InvalidArgument, "PAGE_TOKEN_INVALID", "page_token")

	// What is changed is found as it is now.
	apps := w.apps(t, "zoe")
	update := func(name, to, description string) {
		t.Helper()
		if _, err := apps.UpdateEntitlement(t.Context(), &requestv1.UpdateEntitlementRequest{
			Entitlement: &requestv1.Entitlement{AppId: w.crm.GetId(), Id: w.access[name], Name: to, Description: description, Risk: requestv1.EntitlementRisk_ENTITLEMENT_RISK_HIGH},
			UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"name", "description", "risk"}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	update("editor", "Scribe", "Writes")
	w.finds(t, "ben", "scribe", "", "CRM/Scribe")
	w.finds(t, "ben", "writes", "", "CRM/Scribe")
	w.finds(t, "ben", "edit", "", "Editorial", "Plain", "CRM/Scribe", "Payroll") // by its ref
	w.finds(t, "ben", "", "risks:ENTITLEMENT_RISK_HIGH", "CRM")
	w.finds(t, "ben", "", "risks:ENTITLEMENT_RISK_LOW")
	if _, err := apps.DeleteEntitlement(t.Context(), &requestv1.DeleteEntitlementRequest{AppId: w.crm.GetId(), Id: w.access["editor"]}); err != nil {
		t.Fatal(err)
	}
	w.finds(t, "ben", "scribe", "")
	w.finds(t, "ben", "rights", "", "CRM/viewer", "Editorial/Author", "Payroll/Clerk", "Übersicht Élan/Reader")
	if _, err := w.change(t, &requestv1.App{Id: w.crm.GetId(), Name: "Customers"}, "name"); err != nil {
		t.Fatal(err)
	}
	w.finds(t, "ben", "custom", "", "Customers")
	if _, err := apps.DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: w.crm.GetId()}); err != nil {
		t.Fatal(err)
	}
	w.finds(t, "ben", "custom", "")
}

// B-CAT-05, in part: what is found says what one has of it and has asked for.
func TestSearchShowsWhatOneHas(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, map[string]string{})
	w.hold(t, "ben", w.grantOf("viewer"))
	asked := w.submit(t, "ben", w.grantOf("editor"))
	w.handled(t)
	found, err := w.apps(t, "ben").SearchCatalog(t.Context(), &requestv1.SearchCatalogRequest{Query: "crm"})
	if err != nil {
		t.Fatal(err)
	}
	crm := found.GetApps()[0]
	if !crm.GetHeld() || len(crm.GetHeldItems()) != 1 || crm.GetHeldItems()[0].GetEntitlementName() != "viewer" || crm.GetHeldItems()[0].GetRequestId() == "" ||
		!crm.GetRequested() || len(crm.GetRequestedItems()) != 1 || crm.GetRequestedItems()[0].GetRequestId() != asked.GetId() || !crm.GetRequestable() {
		t.Errorf("found: %v", crm)
	}
	w.submit(t, "ben", w.grantOf("account"))
	w.finds(t, "ben", "", "held = true", "CRM")
	w.finds(t, "ben", "", "requested = true", "CRM")
	w.finds(t, "ben", "", "held = false AND requested = false", "Wiki")
	w.finds(t, "ann", "", "held = true OR requested = true")
	if found, err = w.apps(t, "ben").SearchCatalog(t.Context(), &requestv1.SearchCatalogRequest{Query: "crm"}); err != nil || found.GetApps()[0].GetRequestable() {
		t.Errorf("nothing is left to be asked for: %v %v", found, err)
	}
}

// Who does not see an app, or something in it, does not find it, by words or by filters.
func TestSearchFindsNothingHidden(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.joinTo(t, w.org, "", "eve", authzv1.Caller_CALLER_EXTERNAL)
	w.handled(t)
	ids := map[string]string{}
	secret := w.app(t, &requestv1.CreateAppRequest{Name: "Secret", CatalogState: requestv1.CatalogState_CATALOG_STATE_UNLISTED, Category: "Hidden", AdminIds: []string{w.id("ada")}}, ids, "spy")
	w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, map[string]string{}, "editor")
	w.flow(t, func(f *approvalv1.Flow) {
		f.Audience = &approvalv1.FlowAudience{UserIds: []string{w.id("ext")}}
		f.Scope = &approvalv1.FlowScope{EntitlementIds: []string{w.access["viewer"], ids["spy"]}}
	})
	for _, who := range []string{"zoe", "ria", "ada"} {
		w.finds(t, who, "spy", "", "Secret/spy")
		w.finds(t, who, "editor", "", "CRM/editor", "Wiki/editor")
	}
	w.finds(t, "ben", "spy", "")
	w.finds(t, "ben", "", `app.category = "Hidden" OR app.id = "`+secret.GetId()+`"`)
	w.finds(t, "ben", "", "", "CRM", "Wiki")
	w.finds(t, "ext", "", "", "CRM")
	w.finds(t, "ext", "crm viewer", "", "CRM/viewer")
	w.finds(t, "ext", "editor", "") // there is one in CRM, and not for them
	w.finds(t, "ext", "account", "")
	w.finds(t, "ext", "spy", "")
	w.finds(t, "eve", "", "")
	w.finds(t, "eve", "crm", "")
	first, err := w.apps(t, "ben").SearchCatalog(t.Context(), &requestv1.SearchCatalogRequest{})
	if err != nil || len(first.GetCategories()) != 0 {
		t.Errorf("ben is told of %v %v", first.GetCategories(), err)
	}
}

// Pages of what was found have each app once, whatever was asked.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	w := start(t)
	want := []string{}
	for n := range 7 {
		w.app(t, &requestv1.CreateAppRequest{Name: fmt.Sprintf("Tool %d", n)}, map[string]string{})
		want = append(want, fmt.Sprintf("Tool %d", n))
	}
	w.app(t, &requestv1.CreateAppRequest{Name: "Box", Category: "Tools"}, map[string]string{})
	w.app(t, &requestv1.CreateAppRequest{Name: "Shed", Description: "for tools"}, map[string]string{})
	w.finds(t, "ben", "tool", "", append(want, "Box", "Shed")...)
	w.finds(t, "ben", "tool", "held = false", append(want, "Box", "Shed")...)
}
