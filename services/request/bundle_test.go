package request_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
)

func (w *world) bundles(t testing.TB, name string) requestv1.BundleServiceClient {
	t.Helper()
	return requestv1.NewBundleServiceClient(w.Conn(t, w.caller(name)))
}

func (w *world) bundle(t testing.TB, name string, entitlements ...string) *requestv1.Bundle {
	t.Helper()
	out, err := w.bundles(t, "zoe").CreateBundle(t.Context(), &requestv1.CreateBundleRequest{Name: name, EntitlementIds: entitlements})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetBundle()
}

func ofBundle(bundles ...*requestv1.Bundle) *requestv1.CreateRequestRequest {
	in := &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT, Justification: "to begin"}
	for _, b := range bundles {
		in.BundleIds = append(in.BundleIds, b.GetId())
	}
	return in
}

// B-CAT-04: admins make bundles, change them and take them away; what is deleted in the
// catalog leaves them, and is shown as gone (B-CAT-06, in part).
func TestBundles(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := map[string]string{}
	wiki := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, ids, "writer")
	bundles := w.bundles(t, "ian")
	b := w.bundle(t, "Sales", w.access["viewer"], ids["writer"], w.access["account"])
	if got := b.GetItems()[1]; got.GetEntitlementName() != "writer" || got.GetAppName() != "Wiki" || len(b.GetItems()) != 3 {
		t.Errorf("made: %v", b)
	}
	for _, tc := range []struct {
		name, who, field, reason string
		code                     codes.Code
		in                       *requestv1.CreateBundleRequest
	}{
		{"taken", "zoe", "name", "BUNDLE_NAME_TAKEN", codes.AlreadyExists, &requestv1.CreateBundleRequest{Name: "sales", EntitlementIds: []string{ids["writer"]}}},
		{"no name", "zoe", "name", "NAME_EMPTY", codes.InvalidArgument, &requestv1.CreateBundleRequest{Name: " ", EntitlementIds: []string{ids["writer"]}}},
		{"nothing", "zoe", "entitlement_ids", "INVALID_ARGUMENT", codes.InvalidArgument, &requestv1.CreateBundleRequest{Name: "x"}},
		{"unknown", "zoe", "entitlement_ids[1]", "ENTITLEMENT_UNKNOWN", codes.InvalidArgument, &requestv1.CreateBundleRequest{Name: "x", EntitlementIds: []string{ids["writer"], id.New().String()}}},
		{"nowhere", "zoe", "environment_id", "ENVIRONMENT_UNKNOWN", codes.InvalidArgument, &requestv1.CreateBundleRequest{Name: "x", EntitlementIds: []string{ids["writer"]}, EnvironmentId: id.New().String()}},
		{"a member", "ben", "", "ROLE_NOT_ALLOWED", codes.PermissionDenied, &requestv1.CreateBundleRequest{Name: "x", EntitlementIds: []string{ids["writer"]}}},
	} {
		_, err := w.bundles(t, tc.who).CreateBundle(t.Context(), tc.in)
		if tc.field == "" {
			wantError(t, err, tc.code, tc.reason)
		} else {
			wantError(t, err, tc.code, tc.reason, tc.field)
		}
	}
	update := func(b *requestv1.Bundle, paths ...string) (*requestv1.Bundle, error) {
		out, err := bundles.UpdateBundle(t.Context(), &requestv1.UpdateBundleRequest{Bundle: b, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return out.GetBundle(), err
	}
	changed, err := update(&requestv1.Bundle{Id: b.GetId(), Etag: b.GetEtag(), Description: "For the first day", EntitlementIds: []string{ids["writer"], w.access["viewer"]}}, "description", "entitlement_ids")
	if err != nil || changed.GetItems()[0].GetEntitlementName() != "writer" || changed.GetVersion() != 2 {
		t.Fatalf("changed: %v %v", changed, err)
	}
	_, err = update(&requestv1.Bundle{Id: b.GetId(), Etag: b.GetEtag(), Name: "x"}, "name")
	wantError(t, err, codes.Aborted, "ETAG_MISMATCH")
	_, err = update(&requestv1.Bundle{Id: b.GetId(), EntitlementIds: []string{id.New().String()}}, "entitlement_ids")
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "bundle.entitlement_ids[0]")

	if _, err := w.apps(t, "zoe").DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: wiki.GetId()}); err != nil {
		t.Fatal(err)
	}
	seen := func(name string) *requestv1.Bundle {
		out, err := w.bundles(t, name).GetBundle(t.Context(), &requestv1.GetBundleRequest{Id: b.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetBundle()
	}
	if got := seen("zoe"); !slices.Equal(got.GetGoneIds(), []string{ids["writer"]}) || got.GetItems()[0].GetEntitlementName() != "writer" {
		t.Errorf("what is gone is not shown: %v", got)
	}
	if got := seen("ben"); !slices.Equal(got.GetEntitlementIds(), []string{w.access["viewer"]}) || len(got.GetGoneIds()) != 0 {
		t.Errorf("ben sees %v", got)
	}
	if r := w.submit(t, "ben", ofBundle(b)); len(r.GetItems()) != 1 {
		t.Errorf("requested: %v", r)
	}
	if _, err := update(&requestv1.Bundle{Id: b.GetId(), Name: "Sellers"}, "name"); err != nil {
		t.Errorf("what is gone keeps it from being changed: %v", err)
	}
	if _, err := bundles.DeleteBundle(t.Context(), &requestv1.DeleteBundleRequest{Id: b.GetId()}); err != nil {
		t.Fatal(err)
	}
	_, err = bundles.GetBundle(t.Context(), &requestv1.GetBundleRequest{Id: b.GetId()})
	wantError(t, err, codes.NotFound, "BUNDLE_NOT_FOUND")
	_, err = w.requests(t, "ann").CreateRequest(t.Context(), ofBundle(b))
	wantError(t, err, codes.InvalidArgument, "BUNDLE_UNKNOWN", "bundle_ids[0]")
	if n := len(emitted[*eventv1.BundleUpdated](t, w)); n != 2 {
		t.Errorf("%d changes were said", n)
	}
	if m := emitted[*eventv1.BundleDeleted](t, w); len(m) != 1 || m[0].GetBundle().GetDeleteTime() == nil {
		t.Errorf("said: %v", m)
	}
}

// B-CAT-04: a bundle is requested as one: what of it one does not have, each item with its
// bundle, decided as it needs.
func TestRequestBundle(t *testing.T) {
	t.Parallel()
	w := start(t)
	b := w.bundle(t, "Sales", w.access["account"], w.access["editor"], w.access["viewer"])
	w.hold(t, "ben", w.grantOf("viewer"))
	w.submit(t, "ben", w.grantOf("account"))
	w.handled(t)
	p, err := w.requests(t, "ben").PreviewRequest(t.Context(), &requestv1.PreviewRequestRequest{Request: ofBundle(b)})
	var refusals []string
	for _, i := range p.GetItems() {
		refusals = append(refusals, i.GetRefusal())
	}
	if err != nil || !slices.Equal(refusals, []string{"ALREADY_REQUESTED", "", "ALREADY_HELD"}) {
		t.Errorf("preview: %v %v", refusals, err)
	}
	in := ofBundle(b)
	in.RequestId = id.New().String()
	r := w.submit(t, "ben", in)
	if len(r.GetItems()) != 1 || r.GetItems()[0].GetEntitlementName() != "editor" || r.GetItems()[0].GetBundleId() != b.GetId() || r.GetItems()[0].GetBundleName() != "Sales" {
		t.Fatalf("requested: %v", r.GetItems())
	}
	if again := w.submit(t, "ben", in); again.GetId() != r.GetId() {
		t.Errorf("the same call made %v", again)
	}
	if got := w.get(t, r); got.GetItems()[0].GetBundleName() != "Sales" {
		t.Errorf("it is not said which bundle it was: %v", got)
	}
	if m := emitted[*eventv1.RequestSubmitted](t, w); m[len(m)-1].GetRequest().GetItems()[0].GetBundleId() != b.GetId() {
		t.Errorf("said: %v", m[len(m)-1])
	}
	// Nothing is left.
	_, err = w.requests(t, "ben").CreateRequest(t.Context(), ofBundle(b))
	wantError(t, err, codes.FailedPrecondition, "ALREADY_REQUESTED")
	w.publishAll(t, w.granted(r))
	w.handled(t)
	// What is named beside it is refused by itself.
	both := ofBundle(b)
	both.EntitlementIds = []string{w.access["viewer"]}
	_, err = w.requests(t, "ben").CreateRequest(t.Context(), both)
	wantError(t, err, codes.FailedPrecondition, "ALREADY_HELD")
	both = ofBundle(b)
	both.EntitlementIds = []string{w.access["viewer"]}
	if r := w.submit(t, "ann", both); len(r.GetItems()) != 3 || r.GetItems()[0].GetBundleId() != "" || r.GetItems()[1].GetBundleId() == "" {
		t.Errorf("each once: %v", r.GetItems())
	}
	back := ofBundle(b)
	back.Kind = requestv1.RequestKind_REQUEST_KIND_REVOKE
	_, err = w.requests(t, "ben").CreateRequest(t.Context(), back)
	wantError(t, err, codes.InvalidArgument, "ONLY_FOR_GRANT", "bundle_ids")
	_, err = w.requests(t, "ben").CreateRequest(t.Context(), &requestv1.CreateRequestRequest{Kind: requestv1.RequestKind_REQUEST_KIND_GRANT})
	wantError(t, err, codes.InvalidArgument, "INVALID_ARGUMENT", "entitlement_ids")
}

// Of a bundle one sees, and requests, what one sees of the catalog.
func TestBundleHidesWhatIsHidden(t *testing.T) {
	t.Parallel()
	w := start(t)
	env := id.New()
	w.publish(t, env.String(), &eventv1.EnvironmentCreated{
		Context: &eventv1.Context{Version: 1}, Environment: &identityv1.Environment{Id: env.String(), OrganizationId: w.org.String(), Name: "Plant", Version: 1},
	})
	w.joinTo(t, w.org, env.String(), "eva", authzv1.Caller_CALLER_ADMIN)
	w.joinTo(t, w.org, env.String(), "emil", authzv1.Caller_CALLER_MEMBER)
	w.handled(t)
	ids, offered, own := map[string]string{}, map[string]string{}, map[string]string{}
	w.app(t, &requestv1.CreateAppRequest{Name: "Secret", CatalogState: requestv1.CatalogState_CATALOG_STATE_UNLISTED}, ids, "spy")
	w.app(t, &requestv1.CreateAppRequest{Name: "Offered", OfferedToAllEnvironments: true}, offered, "guest")
	w.app(t, &requestv1.CreateAppRequest{Name: "Own", EnvironmentId: env.String()}, own, "worker")
	w.flow(t, func(f *approvalv1.Flow) {
		f.Audience, f.Scope = &approvalv1.FlowAudience{UserIds: []string{w.id("ext")}}, &approvalv1.FlowScope{EntitlementIds: []string{w.access["viewer"]}}
	})
	b := w.bundle(t, "All", ids["spy"], w.access["editor"], w.access["viewer"], offered["guest"])
	hidden := w.bundle(t, "Hidden", ids["spy"])
	for name, want := range map[string][]string{
		"zoe": b.GetEntitlementIds(), "ria": b.GetEntitlementIds(), "ben": {w.access["editor"], w.access["viewer"], offered["guest"]},
		"ext": {w.access["viewer"]}, "eva": {offered["guest"]}, "emil": {offered["guest"]},
	} {
		out, err := w.bundles(t, name).GetBundle(t.Context(), &requestv1.GetBundleRequest{Id: b.GetId()})
		if err != nil || !slices.Equal(out.GetBundle().GetEntitlementIds(), want) {
			t.Errorf("%s sees %v %v", name, out, err)
		}
		list, err := w.bundles(t, name).ListBundles(t.Context(), &requestv1.ListBundlesRequest{})
		if n := map[bool]int{true: 2, false: 1}[name == "zoe" || name == "ria"]; err != nil || len(list.GetBundles()) != n {
			t.Errorf("%s lists %v %v", name, list, err)
		}
	}
	_, err := w.requests(t, "ben").CreateRequest(t.Context(), ofBundle(hidden))
	wantError(t, err, codes.InvalidArgument, "BUNDLE_UNKNOWN", "bundle_ids[0]")
	if r := w.submit(t, "emil", ofBundle(b)); len(r.GetItems()) != 1 || r.GetItems()[0].GetEntitlementId() != offered["guest"] {
		t.Errorf("emil requests %v", r.GetItems())
	}
	// Somebody of the organization asks for emil: what is not for him is left out.
	forEmil := ofBundle(b)
	forEmil.BeneficiaryId = w.id("emil")
	if _, err := w.requests(t, "zoe").CreateRequest(t.Context(), forEmil); rpctest.Reason(err) != "ALREADY_REQUESTED" {
		t.Errorf("zoe for emil: %v", err)
	}
	// An environment has bundles of its own, and changes no other.
	eva := w.bundles(t, "eva")
	made, err := eva.CreateBundle(t.Context(), &requestv1.CreateBundleRequest{Name: "Ours", EntitlementIds: []string{own["worker"], offered["guest"]}})
	if err != nil || made.GetBundle().GetEnvironmentId() != env.String() {
		t.Fatalf("eva makes %v %v", made, err)
	}
	_, err = eva.CreateBundle(t.Context(), &requestv1.CreateBundleRequest{Name: "More", EntitlementIds: []string{w.access["viewer"]}})
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "entitlement_ids[0]")
	_, err = w.bundles(t, "zoe").CreateBundle(t.Context(), &requestv1.CreateBundleRequest{Name: "More", EntitlementIds: []string{own["worker"]}})
	wantError(t, err, codes.InvalidArgument, "ENTITLEMENT_UNKNOWN", "entitlement_ids[0]")
	_, err = eva.DeleteBundle(t.Context(), &requestv1.DeleteBundleRequest{Id: b.GetId()})
	wantError(t, err, codes.PermissionDenied, "BUNDLE_OF_ORGANIZATION")
	_, err = w.bundles(t, "ben").GetBundle(t.Context(), &requestv1.GetBundleRequest{Id: made.GetBundle().GetId()})
	if err != nil {
		t.Errorf("the organization's people see an environment's: %v", err)
	}
}
