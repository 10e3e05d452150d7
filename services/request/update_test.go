package request_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Who sends the etag of what they have seen changes that and nothing newer.
func TestETag(t *testing.T) {
	t.Parallel()
	w := start(t)
	apps := w.apps(t, "zoe")
	update := func(etag, description string) (*requestv1.App, error) {
		out, err := apps.UpdateApp(t.Context(), &requestv1.UpdateAppRequest{
			App: &requestv1.App{Id: w.crm.GetId(), Etag: etag, Description: description}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
		})
		return out.GetApp(), err
	}
	seen := w.crm.GetEtag()
	if seen == "" {
		t.Fatal("a new app has no etag")
	}
	first, err := update(seen, "one")
	if err != nil || first.GetEtag() == seen {
		t.Fatalf("got %v, %v", first, err)
	}
	_, err = update(seen, "two")
	wantError(t, err, codes.Aborted, "ETAG_MISMATCH")
	got, err := apps.GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.crm.GetId()})
	if err != nil || got.GetApp().GetDescription() != "one" || got.GetApp().GetEtag() != first.GetEtag() {
		t.Errorf("got %v, %v", got, err)
	}
	listed, err := apps.ListApps(t.Context(), &requestv1.ListAppsRequest{})
	if err != nil || listed.GetApps()[0].GetEtag() != first.GetEtag() {
		t.Errorf("listed %v, %v", listed, err)
	}
	if _, err := update("", "three"); err != nil {
		t.Errorf("without an etag: %v", err)
	}

	// Of those who have seen the same, one has their way.
	seen = w.crm.GetEtag()
	if now, err := apps.GetApp(t.Context(), &requestv1.GetAppRequest{Id: w.crm.GetId()}); err == nil {
		seen = now.GetApp().GetEtag()
	}
	errs := make(chan error, 5)
	for i := range cap(errs) {
		go func() {
			_, err := update(seen, string(rune('a'+i)))
			errs <- err
		}()
	}
	made := 0
	for range cap(errs) {
		if err := <-errs; err == nil {
			made++
		} else {
			wantError(t, err, codes.Aborted, "ETAG_MISMATCH")
		}
	}
	if made != 1 {
		t.Errorf("%d changes of the same version were made", made)
	}
}

func TestUpdateEntitlement(t *testing.T) {
	t.Parallel()
	w := start(t)
	update := func(name string, e *requestv1.Entitlement, paths ...string) (*requestv1.Entitlement, error) {
		if e.AppId == "" {
			e.AppId = w.crm.GetId()
		}
		out, err := w.apps(t, name).UpdateEntitlement(t.Context(), &requestv1.UpdateEntitlementRequest{
			Entitlement: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return out.GetEntitlement(), err
	}
	w.joinTo(t, id.New(), "", "olga", authzv1.Caller_CALLER_ADMIN)
	w.handled(t)
	editor := w.access["editor"]
	changed, err := update("ian", &requestv1.Entitlement{Id: editor, Name: " Author ", Description: "writes", Ref: "authors"}, "name", "description", "ref")
	if err != nil || changed.GetName() != "Author" || changed.GetDescription() != "writes" || changed.GetRef() != "authors" || changed.GetVersion() != 2 {
		t.Fatalf("got %v, %v", changed, err)
	}
	emitted := servicetest.Wait(t, w.Harness, func(m *eventv1.EntitlementUpdated) bool { return m.GetEntitlement().GetId() == editor })
	if !proto.Equal(emitted.GetEntitlement(), changed) || emitted.GetAppName() != "CRM" || emitted.GetContext().GetVersion() != 2 ||
		!slices.Equal(emitted.GetChangedFields(), []string{"name", "description", "ref"}) || emitted.GetContext().GetActor().GetId() != w.id("ian") {
		t.Errorf("emitted %v", emitted)
	}
	listed, err := w.apps(t, "ann").ListEntitlements(t.Context(), &requestv1.ListEntitlementsRequest{AppId: w.crm.GetId()})
	if err != nil || !slices.ContainsFunc(listed.GetEntitlements(), func(e *requestv1.Entitlement) bool { return proto.Equal(e, changed) }) {
		t.Errorf("listed %v, %v", listed, err)
	}
	other := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, map[string]string{})
	for _, tc := range []struct {
		name, caller string
		e            *requestv1.Entitlement
		path         string
		code         codes.Code
		reason       string
		fields       []string
	}{
		{"name of another", "ian", &requestv1.Entitlement{Id: editor, Name: "VIEWER"}, "name", codes.AlreadyExists, "ENTITLEMENT_NAME_TAKEN", []string{"entitlement.name"}},
		{"blank name", "ian", &requestv1.Entitlement{Id: editor, Name: " "}, "name", codes.InvalidArgument, "NAME_EMPTY", []string{"entitlement.name"}},
		{"no name", "ian", &requestv1.Entitlement{Id: editor}, "name", codes.InvalidArgument, "INVALID_ARGUMENT", []string{"entitlement.name"}},
		{"its kind", "ian", &requestv1.Entitlement{Id: editor}, "kind", codes.InvalidArgument, "FIELD_NOT_CHANGEABLE", []string{"update_mask"}},
		{"ref of an account", "ian", &requestv1.Entitlement{Id: w.access["account"], Ref: "x"}, "ref", codes.InvalidArgument, "FIELD_NOT_CHANGEABLE", []string{"update_mask"}},
		{"as it was before", "ian", &requestv1.Entitlement{Id: editor, Name: "x", Etag: "before"}, "name", codes.Aborted, "ETAG_MISMATCH", nil},
		{"of another app", "ian", &requestv1.Entitlement{Id: editor, AppId: other.GetId(), Name: "x"}, "name", codes.NotFound, "ENTITLEMENT_NOT_FOUND", nil},
		{"of no app", "ian", &requestv1.Entitlement{Id: editor, AppId: id.New().String(), Name: "x"}, "name", codes.NotFound, "APP_NOT_FOUND", nil},
		{"of another organization", "olga", &requestv1.Entitlement{Id: editor, Name: "x"}, "name", codes.NotFound, "APP_NOT_FOUND", nil},
		{"by a member", "ann", &requestv1.Entitlement{Id: editor, Name: "x"}, "name", codes.PermissionDenied, "ROLE_NOT_ALLOWED", nil},
	} {
		_, err := update(tc.caller, tc.e, tc.path)
		wantError(t, err, tc.code, tc.reason, tc.fields...)
		if t.Failed() {
			t.Fatal(tc.name)
		}
	}
	// The account can be renamed.
	if e, err := update("zoe", &requestv1.Entitlement{Id: w.access["account"], Description: "gets in"}, "description"); err != nil || e.GetVersion() != 2 {
		t.Errorf("got %v, %v", e, err)
	}

	// What somebody has requested or holds keeps its ref, by which the app knows it.
	r, g := w.hold(t, "ann", w.grantOf("editor"))
	w.handled(t)
	_, err = update("ian", &requestv1.Entitlement{Id: editor, Ref: "others"}, "ref")
	wantError(t, err, codes.FailedPrecondition, "ENTITLEMENT_IN_USE")
	if metadata(err, "grants") != "1" || metadata(err, "open_requests") != "0" {
		t.Errorf("got %v", err)
	}
	if _, err := update("ian", &requestv1.Entitlement{Id: editor, Ref: "authors", Name: "Writer"}, "name", "ref"); err != nil {
		t.Errorf("the same ref: %v", err)
	}
	w.publishAll(t, take(next(g, provisioningv1.GrantState_GRANT_STATE_ACTIVE))...)
	w.handled(t)
	if _, err := update("ian", &requestv1.Entitlement{Id: editor, Ref: "others"}, "ref"); err != nil {
		t.Errorf("after %s: %v", r.GetId(), err)
	}
	w.submit(t, "ben", w.grantOf("editor"))
	_, err = update("ian", &requestv1.Entitlement{Id: editor, Ref: "more"}, "ref")
	wantError(t, err, codes.FailedPrecondition, "ENTITLEMENT_IN_USE")
	if metadata(err, "grants") != "0" || metadata(err, "open_requests") != "1" {
		t.Errorf("got %v", err)
	}
}
