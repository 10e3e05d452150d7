package identitysync_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

// Sources, environments and identity providers are changed field by field, and by
// their etag only as they were seen.
func TestUpdateSource(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin, stranger := w.signUp(t), w.signUp(t)
	source := admin.provider(t, w, "Directory").source
	admin.provider(t, w, "Taken")
	update := func(p person, s *identityv1.Source, paths ...string) (*identityv1.Source, error) {
		out, err := p.sources.UpdateSource(t.Context(), &identityv1.UpdateSourceRequest{Source: s, UpdateMask: mask(paths...)})
		return out.GetSource(), err
	}
	changed, err := update(admin, &identityv1.Source{Id: source.GetId(), Name: " HR ", Etag: source.GetEtag()}, "name")
	if err != nil || changed.GetName() != "HR" || changed.GetEtag() == source.GetEtag() || changed.GetEtag() == "" {
		t.Fatalf("got %v, %v", changed, err)
	}
	servicetest.Wait(t, w.Harness, func(m *eventv1.SourceUpdated) bool {
		return m.GetSource().GetName() == "HR" && len(m.GetChangedFields()) == 1 && m.GetContext().GetActor().GetKind() == eventv1.ActorKind_ACTOR_KIND_USER
	})
	for _, tc := range []struct {
		name   string
		p      person
		s      *identityv1.Source
		path   string
		code   codes.Code
		reason string
	}{
		{"as it was before", admin, &identityv1.Source{Id: source.GetId(), Name: "x", Etag: source.GetEtag()}, "name", codes.Aborted, "ETAG_MISMATCH"},
		{"name of another", admin, &identityv1.Source{Id: source.GetId(), Name: "Taken"}, "name", codes.AlreadyExists, "SOURCE_NAME_TAKEN"},
		{"blank", admin, &identityv1.Source{Id: source.GetId(), Name: "  "}, "name", codes.InvalidArgument, "BLANK"},
		{"its kind", admin, &identityv1.Source{Id: source.GetId()}, "kind", codes.InvalidArgument, "FIELD_NOT_CHANGEABLE"},
		{"none", admin, &identityv1.Source{Id: id.New().String(), Name: "x"}, "name", codes.NotFound, "SOURCE_NOT_FOUND"},
		{"another organization's", stranger, &identityv1.Source{Id: source.GetId(), Name: "x"}, "name", codes.NotFound, "SOURCE_NOT_FOUND"},
	} {
		if _, err := update(tc.p, tc.s, tc.path); err == nil {
			t.Errorf("%s: taken", tc.name)
		} else {
			refused(t, err, tc.code, tc.reason)
			if f := rpctest.Fields(err); tc.reason == "SOURCE_NAME_TAKEN" && !slices.Equal(f, []string{"source.name"}) {
				t.Errorf("%s: fields %q", tc.name, f)
			}
		}
	}
	// What the source does is no change of it; another token is.
	list := func() *identityv1.Source {
		t.Helper()
		r, err := admin.sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetSources()[0]
	}
	if got := list(); got.GetEtag() != changed.GetEtag() {
		t.Errorf("listed %v, want %v", got, changed)
	}
	if _, err := admin.sources.RotateSourceToken(t.Context(), &identityv1.RotateSourceTokenRequest{Id: source.GetId()}); err != nil {
		t.Fatal(err)
	}
	if got := list(); got.GetEtag() == changed.GetEtag() {
		t.Error("another token, and the same etag")
	}
}

// An admin of the organization changes what it is called, and by which name people find
// where to sign in. Who is signed in stays so.
func TestUpdateOrganization(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin, stranger := w.signUp(t), w.signUp(t)
	north := admin.environment(t, w, "North")
	update := func(p person, o *identityv1.Organization, paths ...string) (*identityv1.Organization, error) {
		out, err := p.organizations.UpdateOrganization(t.Context(), &identityv1.UpdateOrganizationRequest{Organization: o, UpdateMask: mask(paths...)})
		return out.GetOrganization(), err
	}
	before := admin.organization
	wanted := "acme-" + uuid.NewString()[:8]
	changed, err := update(admin, &identityv1.Organization{Name: " Acme ", SignInName: " " + strings.ToUpper(wanted), Etag: before.GetEtag()}, "name", "sign_in_name")
	if err != nil || changed.GetName() != "Acme" || changed.GetSignInName() != wanted || changed.GetVersion() != 2 || changed.GetEtag() == before.GetEtag() {
		t.Fatalf("got %v, %v", changed, err)
	}
	told := servicetest.Wait(t, w.Harness, func(m *eventv1.OrganizationUpdated) bool { return m.GetOrganization().GetId() == before.GetId() })
	if !proto.Equal(told.GetOrganization(), changed) || !proto.Equal(told.GetPrevious(), before) || told.GetContext().GetActor().GetId() != admin.user.GetId() ||
		!slices.Equal(told.GetChangedFields(), []string{"name", "sign_in_name"}) {
		t.Errorf("told %v", told)
	}
	// The same again is no change.
	for _, o := range []*identityv1.Organization{{SignInName: wanted}, {SignInName: strings.ToUpper(wanted) + " "}} {
		if same, err := update(admin, o, "sign_in_name"); err != nil || !proto.Equal(same, changed) {
			t.Errorf("the same again: %v, %v", same, err)
		}
	}
	if me, err := admin.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil || !proto.Equal(me.GetOrganization(), changed) {
		t.Errorf("to who is signed in: %v, %v", me, err)
	}
	for _, tc := range []struct {
		name   string
		p      person
		o      *identityv1.Organization
		path   string
		code   codes.Code
		reason string
	}{
		{"as it was before", admin, &identityv1.Organization{Name: "x", Etag: before.GetEtag()}, "name", codes.Aborted, "ETAG_MISMATCH"},
		{"of another", stranger, &identityv1.Organization{SignInName: wanted}, "sign_in_name", codes.AlreadyExists, "SIGN_IN_NAME_TAKEN"},
		{"of another, as people may type it", stranger, &identityv1.Organization{SignInName: " " + strings.ToUpper(wanted)}, "sign_in_name", codes.AlreadyExists, "SIGN_IN_NAME_TAKEN"},
		{"by an admin of an environment", north.admin, &identityv1.Organization{Name: "x"}, "name", codes.PermissionDenied, "NOT_IN_ENVIRONMENT"},
		{"blank", admin, &identityv1.Organization{Name: " "}, "name", codes.InvalidArgument, "BLANK"},
		{"long", admin, &identityv1.Organization{Name: strings.Repeat("x", 201)}, "name", codes.InvalidArgument, "INVALID_ARGUMENT"},
		{"no sign-in name", admin, &identityv1.Organization{}, "sign_in_name", codes.InvalidArgument, "SIGN_IN_NAME_INVALID"},
		{"letters with dots", admin, &identityv1.Organization{SignInName: "Küche"}, "sign_in_name", codes.InvalidArgument, "SIGN_IN_NAME_INVALID"},
		{"two words", admin, &identityv1.Organization{SignInName: "a b"}, "sign_in_name", codes.InvalidArgument, "SIGN_IN_NAME_INVALID"},
		{"a hyphen at the end", admin, &identityv1.Organization{SignInName: "a-"}, "sign_in_name", codes.InvalidArgument, "SIGN_IN_NAME_INVALID"},
		{"a long sign-in name", admin, &identityv1.Organization{SignInName: strings.Repeat("x", 101)}, "sign_in_name", codes.InvalidArgument, "INVALID_ARGUMENT"},
		{"its id", admin, &identityv1.Organization{Version: 9}, "version", codes.InvalidArgument, "FIELD_NOT_CHANGEABLE"},
	} {
		if _, err := update(tc.p, tc.o, tc.path); err == nil {
			t.Errorf("%s: taken", tc.name)
		} else {
			refused(t, err, tc.code, tc.reason)
		}
	}
	// What one leaves another may take.
	if o, err := update(stranger, &identityv1.Organization{SignInName: before.GetSignInName()}, "sign_in_name"); err != nil || o.GetSignInName() != before.GetSignInName() {
		t.Errorf("a name that is free again: %v, %v", o, err)
	}
}

func TestUpdateEnvironment(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	made, err := admin.environments.CreateEnvironment(t.Context(), &identityv1.CreateEnvironmentRequest{Name: "North"})
	if err != nil {
		t.Fatal(err)
	}
	e := made.GetEnvironment()
	update := func(e *identityv1.Environment, paths ...string) (*identityv1.Environment, error) {
		out, err := admin.environments.UpdateEnvironment(t.Context(), &identityv1.UpdateEnvironmentRequest{Environment: e, UpdateMask: mask(paths...)})
		return out.GetEnvironment(), err
	}
	changed, err := update(&identityv1.Environment{Id: e.GetId(), Name: "Northern", Etag: e.GetEtag()}, "name")
	if err != nil || changed.GetName() != "Northern" || changed.GetVersion() != 2 || changed.GetEtag() == e.GetEtag() {
		t.Fatalf("got %v, %v", changed, err)
	}
	_, err = update(&identityv1.Environment{Id: e.GetId(), Name: "x", Etag: e.GetEtag()}, "name")
	refused(t, err, codes.Aborted, "ETAG_MISMATCH")
	_, err = update(&identityv1.Environment{Id: e.GetId(), Version: 9}, "version")
	refused(t, err, codes.InvalidArgument, "FIELD_NOT_CHANGEABLE")
	got, err := admin.environments.GetEnvironment(t.Context(), &identityv1.GetEnvironmentRequest{Id: e.GetId()})
	if err != nil || got.GetEnvironment().GetEtag() != changed.GetEtag() {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestUpdateIdentityProvider(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	made, err := admin.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{Name: "Corp", Issuer: "https://idp.example", ClientSecret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	p := made.GetIdentityProvider()
	update := func(p *identityv1.IdentityProvider, paths ...string) (*identityv1.IdentityProvider, error) {
		out, err := admin.providers.UpdateIdentityProvider(t.Context(), changeProvider(p, paths...))
		return out.GetIdentityProvider(), err
	}
	// What is not named stays, the secret too; and no answer has it.
	changed, err := update(&identityv1.IdentityProvider{Id: p.GetId(), UserClaim: "oid", ClientSecret: "ignored", Etag: p.GetEtag()}, "user_claim")
	if err != nil || changed.GetUserClaim() != "oid" || !changed.GetHasClientSecret() || changed.GetClientSecret() != "" || changed.GetEtag() == p.GetEtag() {
		t.Fatalf("got %v, %v", changed, err)
	}
	_, err = update(&identityv1.IdentityProvider{Id: p.GetId(), Name: "x", Etag: p.GetEtag()}, "name")
	refused(t, err, codes.Aborted, "ETAG_MISMATCH")
	if changed, err = update(&identityv1.IdentityProvider{Id: p.GetId()}, "client_secret", "user_claim"); err != nil || changed.GetHasClientSecret() || changed.GetUserClaim() != "sub" {
		t.Errorf("cleared: %v, %v", changed, err)
	}
	for _, tc := range []struct {
		p      *identityv1.IdentityProvider
		path   string
		code   codes.Code
		reason string
	}{
		{&identityv1.IdentityProvider{UserClaim: "email"}, "user_claim", codes.InvalidArgument, "CLAIM_NOT_ALLOWED"},
		{&identityv1.IdentityProvider{Issuer: "http://idp.example"}, "issuer", codes.InvalidArgument, "ISSUER_INVALID"},
		{&identityv1.IdentityProvider{}, "issuer", codes.InvalidArgument, "INVALID_ARGUMENT"},
		{&identityv1.IdentityProvider{StepUpAcrValues: []string{"a b"}}, "step_up_acr_values", codes.InvalidArgument, "INVALID_ARGUMENT"},
		{&identityv1.IdentityProvider{}, "state", codes.InvalidArgument, "VALUE_UNKNOWN"},
		{&identityv1.IdentityProvider{State: 9}, "state", codes.InvalidArgument, "VALUE_UNKNOWN"},
		{&identityv1.IdentityProvider{State: identityv1.IdentityProviderState_IDENTITY_PROVIDER_STATE_ENABLED}, "state", codes.FailedPrecondition, "IDENTITY_PROVIDER_INCOMPLETE"},
		{&identityv1.IdentityProvider{SourceId: id.New().String()}, "source_id", codes.InvalidArgument, "FIELD_NOT_CHANGEABLE"},
	} {
		tc.p.Id = p.GetId()
		_, err := update(tc.p, tc.path)
		refused(t, err, tc.code, tc.reason)
	}
}
