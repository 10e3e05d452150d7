package provisioning_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	roleKind    = requestv1.EntitlementKind_ENTITLEMENT_KIND_ROLE
	licenseKind = requestv1.EntitlementKind_ENTITLEMENT_KIND_LICENSE
)

// B-CAT-06, in part: what an app has is listed to choose from, in pages and by name, to
// admins and IT admins of its scope, with the ref that gives it also after a new name.
func TestListIntegrationEntitlements(t *testing.T) {
	t.Parallel()
	w := start(t)
	var groups []string
	for n := range 253 {
		groups = append(groups, fmt.Sprintf("g%03d", n))
	}
	target := newApp(t, groups...)
	target.rename("g007", "Secret Service")
	integration := w.integration(t, target)
	list := func(client provisioningv1.IntegrationServiceClient, in *provisioningv1.ListIntegrationEntitlementsRequest) (refs []string, pages int) {
		t.Helper()
		in.Id, in.Kind = integration, groupKind
		for {
			pages++
			r, err := client.ListIntegrationEntitlements(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range r.GetEntitlements() {
				if e.GetKind() != groupKind || e.GetDisplayName() == "" {
					t.Errorf("%v", e)
				}
				refs = append(refs, e.GetRef())
			}
			if in.PageToken = r.GetNextPageToken(); in.GetPageToken() == "" {
				return refs, pages
			}
		}
	}
	for size, want := range map[int32]int{0: 6, 100: 3, 200: 2, 100_000: 2} {
		if refs, pages := list(w.integrations, &provisioningv1.ListIntegrationEntitlementsRequest{PageSize: size}); pages != want || !slices.Equal(refs, groups) {
			t.Errorf("size %d: %d pages of %d", size, pages, len(refs))
		}
	}
	itAdmin := provisioningv1.NewIntegrationServiceClient(w.Conn(t, w.caller(authzv1.Caller_CALLER_IT_ADMIN)))
	refs, _ := list(itAdmin, &provisioningv1.ListIntegrationEntitlementsRequest{Query: "secret"})
	if !slices.Equal(refs, []string{"g007"}) {
		t.Errorf("found %q", refs)
	}

	// What is listed is given, and taken away under whatever name it has by then.
	app := w.app(t, "Automatic", automatic, integration)
	group := w.entitlement(t, app, groupKind, refs[0])
	ann := w.user(t, "ann")
	given := w.give(t, ann, ask{}, group)
	w.becomes(t, given, active)
	account := target.account(t, "ann").ID
	if !target.member("g007", account) {
		t.Error("it is not given")
	}
	target.rename("g007", "Public Service")
	w.give(t, ann, ask{revoke: true}, group)
	w.becomes(t, given, revoked)
	if target.member("g007", account) {
		t.Error("it is not taken away")
	}

	// A token is good for the list that it is of.
	r, err := w.integrations.ListIntegrationEntitlements(t.Context(), &provisioningv1.ListIntegrationEntitlementsRequest{Id: integration, Kind: groupKind})
	if err != nil {
		t.Fatal(err)
	}
	next := r.GetNextPageToken()
	for name, f := range map[string]func() error{
		"another query": func() error {
			_, err := w.integrations.ListIntegrationEntitlements(t.Context(), &provisioningv1.ListIntegrationEntitlementsRequest{Id: integration, Kind: groupKind, Query: "g", PageToken: next})
			return err
		},
		"somebody else": func() error {
			_, err := itAdmin.ListIntegrationEntitlements(t.Context(), &provisioningv1.ListIntegrationEntitlementsRequest{Id: integration, Kind: groupKind, PageToken: next})
			return err
		},
	} {
		if err := f(); rpctest.Reason(err) != "PAGE_TOKEN_INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, kind := range []requestv1.EntitlementKind{accountKind, roleKind, licenseKind} {
		_, err := w.integrations.ListIntegrationEntitlements(t.Context(), &provisioningv1.ListIntegrationEntitlementsRequest{Id: integration, Kind: kind})
		wantReason(t, err, "InvalidArgument", "ENTITLEMENT_KIND_NOT_LISTED", "kind")
	}
	_, err = w.integrations.ListIntegrationEntitlements(t.Context(), &provisioningv1.ListIntegrationEntitlementsRequest{Id: integration})
	wantReason(t, err, "InvalidArgument", "INVALID_ARGUMENT", "kind")

	// What the app says instead is shown: its status, and of the body nothing that is no
	// error of SCIM. It is asked once.
	var asked atomic.Int32
	target.misbehave(func(*http.Request) *fault {
		asked.Add(1)
		return &fault{status: http.StatusServiceUnavailable, retryAfter: "7"}
	})
	_, err = w.integrations.ListIntegrationEntitlements(t.Context(), &provisioningv1.ListIntegrationEntitlementsRequest{Id: integration, Kind: groupKind})
	wantReason(t, err, "FailedPrecondition", "INTEGRATION_NOT_WORKING")
	if text := status.Convert(err).Message(); !strings.Contains(text, "503") || strings.Contains(text, "not now") || strings.Contains(text, scimToken) {
		t.Errorf("says %q", text)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the app was asked %d times", n)
	}
}

// B-CAT-06, in part: nobody else has an app asked what it has.
func TestWhoListsIntegrationEntitlements(t *testing.T) {
	t.Parallel()
	w := start(t)
	north, south := id.New().String(), id.New().String()
	target := newApp(t, "devs")
	made, err := w.integrations.CreateIntegration(t.Context(), &provisioningv1.CreateIntegrationRequest{
		Name: "North", Kind: provisioningv1.IntegrationKind_INTEGRATION_KIND_SCIM, EnvironmentId: north,
		Scim: &provisioningv1.ScimSettings{BaseUrl: target.URL, Token: scimToken},
	})
	if err != nil {
		t.Fatal(err)
	}
	other := w.in(authzv1.Caller_CALLER_ADMIN, "")
	other.OrganizationID = id.New()
	asked := make(chan struct{}, 100)
	target.misbehave(func(*http.Request) *fault { asked <- struct{}{}; return nil })
	for name, tt := range map[string]struct {
		who    authz.Caller
		reason string
	}{
		"member":                    {w.in(authzv1.Caller_CALLER_MEMBER, north), "ROLE_NOT_ALLOWED"},
		"external":                  {w.in(authzv1.Caller_CALLER_EXTERNAL, north), "ROLE_NOT_ALLOWED"},
		"risk manager":              {w.in(authzv1.Caller_CALLER_RISK_MANAGER, ""), "ROLE_NOT_ALLOWED"},
		"request":                   {rpctest.Service("request"), "ROLE_NOT_ALLOWED"},
		"admin of another":          {w.in(authzv1.Caller_CALLER_ADMIN, south), "INTEGRATION_NOT_FOUND"},
		"admin of nobody's":         {other, "INTEGRATION_NOT_FOUND"},
		"admin of the environment":  {w.in(authzv1.Caller_CALLER_ADMIN, north), ""},
		"IT admin of the whole":     {w.in(authzv1.Caller_CALLER_IT_ADMIN, ""), ""},
		"IT admin of another place": {w.in(authzv1.Caller_CALLER_IT_ADMIN, south), "INTEGRATION_NOT_FOUND"},
	} {
		_, err := provisioningv1.NewIntegrationServiceClient(w.Conn(t, tt.who)).ListIntegrationEntitlements(t.Context(), &provisioningv1.ListIntegrationEntitlementsRequest{
			Id: made.GetIntegration().GetId(), Kind: groupKind,
		})
		if rpctest.Reason(err) != tt.reason {
			t.Errorf("%s: %v, want %q", name, err, tt.reason)
		}
	}
	if len(asked) != 2 {
		t.Errorf("the app was asked %d times", len(asked))
	}
}

// B-CAT-06, in part: request learns whether an app has an entitlement, of integrations that
// whoever asks may see, and nobody but request may ask so.
func TestLookUpEntitlement(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t, "devs", "g1", "g2", "g3")
	target.rename("g1", "Owners")
	target.rename("g2", "Twice")
	target.rename("g3", "Twice")
	integration := w.integration(t, target)
	ask := func(who authz.Caller, organization string, kind requestv1.EntitlementKind, ref string) (string, error) {
		r, err := provisioningv1.NewIntegrationServiceClient(w.Conn(t, who)).LookUpEntitlement(t.Context(), &provisioningv1.LookUpEntitlementRequest{
			Id: integration, OrganizationId: organization, Kind: kind, Ref: ref,
		})
		return strings.TrimPrefix(r.GetFound().String(), "ENTITLEMENT_FOUND_"), err
	}
	request := rpctest.Service("request")
	want := func(kind requestv1.EntitlementKind, ref, found string) {
		t.Helper()
		if got, err := ask(request, w.org.String(), kind, ref); err != nil || got != found {
			t.Errorf("%s %q: %s %v, want %s", kind, ref, got, err, found)
		}
	}
	want(groupKind, "devs", "ONE")
	want(groupKind, "DEVS", "NONE") // this app does not find it so
	want(groupKind, "Owners", "ONE")
	want(groupKind, "g1", "ONE")
	want(groupKind, "owner", "NONE")
	want(groupKind, "", "NONE")
	want(groupKind, "Twice", "SEVERAL")
	want(groupKind, "g3", "ONE")
	want(roleKind, "analyst", "UNKNOWN")
	want(licenseKind, "seat", "UNKNOWN")
	want(accountKind, "", "UNKNOWN")
	target.rename("g1", "Masters")
	want(groupKind, "Owners", "NONE")
	want(groupKind, "g1", "ONE")
	for _, f := range []*fault{{status: http.StatusServiceUnavailable}, {status: http.StatusUnauthorized}, {status: http.StatusNotFound}, {status: http.StatusBadRequest}, {lose: true}} {
		target.misbehave(func(*http.Request) *fault { return f })
		want(groupKind, "devs", "UNKNOWN")
		want(groupKind, "nothing", "UNKNOWN")
	}
	target.misbehave(nil)
	for name, tt := range map[string]struct {
		who                  authz.Caller
		organization, reason string
	}{
		"another organization":    {request, id.New().String(), "INTEGRATION_NOT_FOUND"},
		"every organization":      {request, uuid.Max.String(), "INTEGRATION_NOT_FOUND"},
		"an admin, for somebody":  {w.admin, w.org.String(), "ROLE_NOT_ALLOWED"},
		"another service as well": {rpctest.Service("approval"), w.org.String(), "ROLE_NOT_ALLOWED"},
	} {
		if _, err := ask(tt.who, tt.organization, groupKind, "devs"); rpctest.Reason(err) != tt.reason {
			t.Errorf("%s: %v, want %s", name, err, tt.reason)
		}
	}

	// An app is asked so often and no more: then it is not known.
	var asked atomic.Int32
	target.misbehave(func(*http.Request) *fault { asked.Add(1); return nil })
	last := ""
	for range 300 {
		if last, _ = ask(request, w.org.String(), groupKind, "devs"); last == "UNKNOWN" {
			break
		}
	}
	if last != "UNKNOWN" || asked.Load() >= 300 {
		t.Errorf("%s, asked %d times", last, asked.Load())
	}
}
