package identitysync_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// scoped makes an API token that is narrowed to scopes.
func (p person) scoped(t testing.TB, w *world, readOnly bool, scopes ...string) *identityv1.CreateApiTokenResponse {
	t.Helper()
	r, err := p.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{
		Name: "narrow", ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour)), ReadOnly: readOnly, Scopes: scopes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An API token with scopes does what they name of what its user may do, as it is made,
// shown and said to others. B-USR-07
func TestAPITokenWithScopes(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	ned := admin.provider(t, w, "Corp directory").create(t, "ned")
	scopes := []string{"people:write", "organization:read"}
	made := admin.scoped(t, w, false, scopes...)
	if d := cmp.Diff(scopes, made.GetApiToken().GetScopes()); d != "" {
		t.Error(d)
	}
	created := servicetest.Wait(t, w.Harness, func(*eventv1.ApiTokenCreated) bool { return true })
	if d := cmp.Diff(made.GetApiToken(), created.GetApiToken(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	admin.scoped(t, w, false)
	listed, err := admin.tokens.ListApiTokens(t.Context(), &identityv1.ListApiTokensRequest{Filter: `scopes:"people:write"`})
	if err != nil || len(listed.GetApiTokens()) != 1 || !slices.Equal(listed.GetApiTokens()[0].GetScopes(), scopes) {
		t.Errorf("listed: %v, %v", listed, err)
	}

	program := w.person(t, made.GetToken())
	for what, call := range map[string]func(context.Context, person) error{
		"who it is": func(ctx context.Context, p person) error {
			_, err := p.users.GetMe(ctx, &identityv1.GetMeRequest{})
			return err
		},
		"its organization": func(ctx context.Context, p person) error {
			_, err := p.organizations.GetOrganization(ctx, &identityv1.GetOrganizationRequest{})
			return err
		},
		"people": func(ctx context.Context, p person) error {
			_, err := p.users.ListUsers(ctx, &identityv1.ListUsersRequest{})
			return err
		},
		"a role": func(ctx context.Context, p person) error {
			_, err := p.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: ned, Role: identityv1.Role_ROLE_MEMBER})
			return err
		},
	} {
		if err := call(t.Context(), program); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	session, err := w.exchange(t, admin.secret)
	if err != nil {
		t.Fatal(err)
	}
	own := w.caller(t, session.GetAccessToken())
	if own.Scopes != "" {
		t.Errorf("a session has scopes: %q", own.Scopes)
	}
	for needed, call := range map[string]func(context.Context) error{
		"organization:write": func(ctx context.Context) error {
			_, err := program.environments.CreateEnvironment(ctx, &identityv1.CreateEnvironmentRequest{Name: "x"})
			return err
		},
		"sources:read": func(ctx context.Context) error {
			_, err := program.sources.ListSources(ctx, &identityv1.ListSourcesRequest{})
			return err
		},
		"credentials:read": func(ctx context.Context) error {
			_, err := program.sessions.ListSessions(ctx, &identityv1.ListSessionsRequest{})
			return err
		},
		"credentials:write": func(ctx context.Context) error {
			_, err := program.sessions.EndSession(ctx, &identityv1.EndSessionRequest{Id: own.CredentialID.String()})
			return err
		},
	} {
		err := call(t.Context())
		refused(t, err, codes.PermissionDenied, "SCOPE_MISSING")
		if e, ok := apierr.From(apierr.FromCall(err)); !ok || e.Metadata["scope"] != needed {
			t.Errorf("%s: %v", needed, err)
		}
	}
	w.deniedFor(t, made.GetApiToken().GetId(), "SCOPE_MISSING")
	if _, err := admin.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil {
		t.Errorf("a session that was not to be ended: %v", err)
	}

	// A scope is no role.
	member := w.person(t, w.as(t, "ned@corp.example").scoped(t, w, false, "people:write").GetToken())
	_, err = member.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: ned, Role: identityv1.Role_ROLE_ADMIN})
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
}

func TestScopesThatCannotBe(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	request := &identityv1.CreateApiTokenRequest{
		Name: "narrow", ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour)), RequestId: id.New().String(), Scopes: []string{"apps:read"},
	}
	create := func(scopes ...string) error {
		request.Scopes = scopes
		_, err := admin.tokens.CreateApiToken(t.Context(), request)
		return err
	}
	for _, scope := range []string{"apps", "apps:*", "Apps:read", "apps:read ", "", "apps:read requests:read", "unspecified:read"} {
		err := create("apps:read", scope)
		refused(t, err, codes.InvalidArgument, "SCOPE_UNKNOWN")
		if fields := rpctest.Fields(err); !slices.Equal(fields, []string{"scopes[1]"}) || !strings.Contains(err.Error(), strings.Join(authz.Scopes(), ", ")) {
			t.Errorf("%q: fields %q, %v", scope, fields, err)
		}
	}
	if err := create("apps:read", "apps:write", "apps:read"); !slices.Contains(rpctest.Fields(err), "scopes") {
		t.Errorf("one twice: %v", err)
	}
	// A repeated call that asks for more than the first is not the same.
	if err := create("apps:read"); err != nil {
		t.Fatal(err)
	}
	if err := create("apps:read"); err != nil {
		t.Error(err)
	}
	refused(t, create("apps:write"), codes.FailedPrecondition, "REQUEST_ID_REUSED")
	refused(t, create(), codes.FailedPrecondition, "REQUEST_ID_REUSED")
	if err := create(authz.Scopes()...); err == nil {
		t.Error("all scopes by the same request_id")
	}
	request.RequestId = ""
	if err := create(authz.Scopes()...); err != nil {
		t.Errorf("all scopes: %v", err)
	}
}

// What a client asks for is within what it has (RFC 6749, sections 3.3 and 5).
func TestOAuthScopes(t *testing.T) {
	t.Parallel()
	const service = "0123456789abcdef0123456789abcdef"
	w := start(t, func(c *identitysync.Config) { c.Clients = map[string]string{"approval": service} })
	admin := w.signUp(t)
	type client struct{ id, secret string }
	of := func(r *identityv1.CreateApiTokenResponse) client {
		return client{r.GetApiToken().GetId(), r.GetToken()}
	}
	all, narrow := of(admin.apiToken(t, w, false)), of(admin.scoped(t, w, false, "people:write", "audit:read"))
	reader, both := of(admin.apiToken(t, w, true)), of(admin.scoped(t, w, true, "people:write", "people:read", "audit:read"))
	everything := strings.Join(authz.Scopes(), " ")
	var reading []string
	for _, s := range authz.Scopes() {
		if strings.HasSuffix(s, ":read") {
			reading = append(reading, s)
		}
	}
	for _, tt := range []struct {
		name   string
		client client
		asked  string
		scope  string // as answered; empty: refused
		signed string // in the signed token
	}{
		{"all of all", all, "", everything, ""},
		{"some of all", all, "people:read apps:write", "apps:write people:read", "apps:write people:read"},
		{"unknown of all", all, "people:read openid", "", ""},
		{"all of some", narrow, "", "people:write audit:read", "people:write audit:read"},
		{"the same", narrow, "people:write audit:read", "audit:read people:write", "audit:read people:write"},
		{"less", narrow, "people:read", "people:read", "people:read"},
		{"one twice", narrow, "people:read people:read", "people:read", "people:read"},
		{"another area", narrow, "people:read apps:read", "", ""},
		{"writing instead of reading", narrow, "audit:write", "", ""},
		{"two spaces", narrow, "people:read  audit:read", "", ""},
		{"another space", narrow, "people:read\taudit:read", "", ""},
		{"blank", narrow, " ", "", ""},
		{"capitals", narrow, "PEOPLE:read", "", ""},
		{"read-only", reader, "", strings.Join(reading, " "), ""},
		{"read-only writes", reader, "people:write", "", ""},
		{"read-only with scopes", both, "", "audit:read people:read", "people:write people:read audit:read"},
		{"read-only with scopes writes", both, "people:write", "", ""},
		{"a service", client{"approval", service}, "people:read", "", ""},
	} {
		form := url.Values{
			"grant_type": {"client_credentials"}, "audience": {"identity-sync"}, "client_id": {tt.client.id}, "client_secret": {tt.client.secret}, "scope": {tt.asked},
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.HTTPAddr+"/oauth2/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r := send(t, req)
		if tt.scope == "" {
			if r.code != http.StatusBadRequest || r.body["error"] != "invalid_scope" {
				t.Errorf("%s: %d %v", tt.name, r.code, r.body)
			}
			if tt.client.id != "approval" {
				w.deniedFor(t, tt.client.id, "SCOPE_MISSING")
			}
			continue
		}
		signed, _ := r.body["access_token"].(string)
		if r.code != http.StatusOK || r.body["scope"] != tt.scope {
			t.Errorf("%s: %d %v, want %q", tt.name, r.code, r.body, tt.scope)
			continue
		}
		if c := w.caller(t, signed); c.Scopes != tt.signed || c.ReadOnly != strings.HasPrefix(tt.name, "read-only") {
			t.Errorf("%s: token of %q, read-only %t", tt.name, c.Scopes, c.ReadOnly)
		}
		if tt.asked != "people:read" {
			continue
		}
		held := w.heldToken(t, signed)
		if _, err := held.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		_, err = held.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: admin.user.GetId(), Role: identityv1.Role_ROLE_MEMBER})
		refused(t, err, codes.PermissionDenied, "SCOPE_MISSING")
	}
}
