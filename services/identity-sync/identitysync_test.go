package identitysync_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// refused holds that an error has this code and reason.
func refused(t testing.TB, err error, code codes.Code, reason string) {
	t.Helper()
	if status.Code(err) != code || rpctest.Reason(err) != reason {
		t.Errorf("got %v (%s), want %s %s", err, rpctest.Reason(err), code, reason)
	}
}

// B-USR-01
func TestSignUp(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)

	me, err := admin.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(admin.user, me.GetUser(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(admin.organization, me.GetOrganization(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	u := me.GetUser()
	if u.GetRole() != identityv1.Role_ROLE_ADMIN || u.GetState() != identityv1.UserState_USER_STATE_ACTIVE ||
		u.GetKind() != identityv1.UserKind_USER_KIND_EMPLOYEE || u.GetJoinCount() != 1 || u.GetUserName() != u.GetEmail() || u.GetSourceId() != "" {
		t.Errorf("first admin: %v", u)
	}
	// At first the user list shows that person alone, whoever else signed up.
	w.signUp(t)
	list, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]*identityv1.User{u}, list.GetUsers(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	org, err := admin.organizations.GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{})
	if err != nil || org.GetOrganization().GetName() != "Corp" {
		t.Errorf("organization: %v %v", org, err)
	}

	created := servicetest.Wait(t, w.Harness, func(ev *eventv1.OrganizationCreated) bool {
		return ev.GetOrganization().GetId() == admin.organization.GetId()
	})
	joined := servicetest.Wait(t, w.Harness, func(ev *eventv1.UserJoined) bool { return ev.GetUser().GetId() == u.GetId() })
	for _, c := range []*eventv1.Context{created.GetContext(), joined.GetContext()} {
		if a := c.GetActor(); a.GetKind() != eventv1.ActorKind_ACTOR_KIND_USER || a.GetId() != u.GetId() || a.GetDisplayName() != "Rob Root" {
			t.Errorf("actor: %v", a)
		}
	}
	if d := cmp.Diff(u, joined.GetUser(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if c := joined.GetContext(); c.GetVersion() != 1 || c.GetUserId() != u.GetId() {
		t.Errorf("context: %v", c)
	}
}

func TestSignUpRefuses(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, tt := range []struct {
		name, organization, email, person string
		wantField                         string
	}{
		{"no organization", "", "a@corp.example", "Ada", "organization_name"},
		{"blank organization", " ", "a@corp.example", "Ada", "organization_name"},
		{"organization with NUL", "a\x00b", "a@corp.example", "Ada", "organization_name"},
		{"long organization", strings.Repeat("x", 201), "a@corp.example", "Ada", "organization_name"},
		{"no e-mail address", "Corp", "ada", "Ada", "email"},
		{"blank name", "Corp", "a@corp.example", "\t", "display_name"},
	} {
		_, err := w.nobody(t).organizations.SignUp(t.Context(), &identityv1.SignUpRequest{
			OrganizationName: tt.organization, Email: tt.email, DisplayName: tt.person,
		})
		if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), tt.wantField) {
			t.Errorf("%s: %v %v", tt.name, err, rpctest.Fields(err))
		}
	}
}

func TestClosedDoors(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *identitysync.Config) { c.AllowSignUp, c.DevSignIn = false, false })
	p := w.nobody(t)
	_, err := p.organizations.SignUp(t.Context(), &identityv1.SignUpRequest{OrganizationName: "Corp", Email: "a@corp.example", DisplayName: "Ada"})
	refused(t, err, codes.FailedPrecondition, "SIGN_UP_CLOSED")
	_, err = p.sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: "a@corp.example"})
	refused(t, err, codes.FailedPrecondition, "DEV_SIGN_IN_OFF")
	_, err = p.sessions.ListDevPeople(t.Context(), &identityv1.ListDevPeopleRequest{})
	refused(t, err, codes.FailedPrecondition, "DEV_SIGN_IN_OFF")
	_, err = p.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_MISSING")
}

// B-USR-05
func TestRoles(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	mia := idp.create(t, "mia")
	set := func(by person, id string, role identityv1.Role) (*identityv1.User, error) {
		r, err := by.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: id, Role: role})
		return r.GetUser(), err
	}

	before := admin.find(t, mia)
	if before.GetRole() != identityv1.Role_ROLE_MEMBER {
		t.Errorf("a new person has the role %s", before.GetRole())
	}
	got, err := set(admin, mia, identityv1.Role_ROLE_IT_ADMIN)
	if err != nil || got.GetRole() != identityv1.Role_ROLE_IT_ADMIN || got.GetVersion() != before.GetVersion()+1 {
		t.Fatalf("%v %v", got, err)
	}
	changed := servicetest.Wait(t, w.Harness, func(ev *eventv1.RoleChanged) bool { return ev.GetUser().GetId() == mia })
	if changed.GetPreviousRole() != identityv1.Role_ROLE_MEMBER || changed.GetUser().GetRole() != identityv1.Role_ROLE_IT_ADMIN ||
		changed.GetContext().GetActor().GetId() != admin.user.GetId() {
		t.Errorf("role.changed: %v", changed)
	}
	updated := servicetest.Wait(t, w.Harness, func(ev *eventv1.UserUpdated) bool { return ev.GetUser().GetId() == mia })
	if d := cmp.Diff([]string{"role"}, updated.GetChangedFields()); d != "" {
		t.Error(d)
	}
	// The same again changes nothing.
	if again, err := set(admin, mia, identityv1.Role_ROLE_IT_ADMIN); err != nil || again.GetVersion() != got.GetVersion() {
		t.Errorf("%v %v", again, err)
	}

	// Nobody can remove the last admin, not even the last admin.
	_, err = set(admin, admin.user.GetId(), identityv1.Role_ROLE_MEMBER)
	refused(t, err, codes.FailedPrecondition, "LAST_ADMIN")
	if _, err := set(admin, mia, identityv1.Role_ROLE_ADMIN); err != nil {
		t.Fatal(err)
	}
	if _, err := set(admin, admin.user.GetId(), identityv1.Role_ROLE_MEMBER); err != nil {
		t.Fatalf("one of two admins cannot be demoted: %v", err)
	}
	_, err = set(admin, admin.user.GetId(), identityv1.Role_ROLE_ADMIN)
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")

	// Nor in any other way: the source cannot delete or switch off mia.
	for _, r := range []reply{
		idp.do(t, "DELETE", "/Users/"+mia, nil),
		idp.do(t, "PATCH", "/Users/"+mia, patch("replace", "active", false)),
		idp.do(t, "PUT", "/Users/"+mia, describe("mia", "active", false)),
	} {
		if r.code != http.StatusConflict || !strings.Contains(fmt.Sprint(r.body["detail"]), "last admin") {
			t.Errorf("last admin by SCIM: %d %v", r.code, r.body)
		}
	}
	if u := admin.find(t, mia); u.GetState() != identityv1.UserState_USER_STATE_ACTIVE || u.GetRole() != identityv1.Role_ROLE_ADMIN {
		t.Errorf("last admin: %v", u)
	}

	miaAPI := w.as(t, "mia@corp.example")
	_, err = set(miaAPI, "nonsense", identityv1.Role_ROLE_ADMIN)
	if status.Code(err) != codes.NotFound {
		t.Errorf("neither an id nor a user name of somebody: %v", err)
	}
	_, err = set(miaAPI, mia, identityv1.Role_ROLE_UNSPECIFIED)
	if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), "role") {
		t.Errorf("no role: %v", err)
	}
	gone := idp.create(t, "gone")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+gone, nil)
	_, err = set(miaAPI, gone, identityv1.Role_ROLE_ADMIN)
	refused(t, err, codes.FailedPrecondition, "USER_REMOVED")
}

// B-USR-05: two admins who demote each other at once do not both win.
func TestAdminsDemoteEachOther(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	mia := idp.create(t, "mia")
	for round := range 5 {
		if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: mia, Role: identityv1.Role_ROLE_ADMIN}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var demoted, removed error
		wg.Go(func() {
			_, demoted = admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: admin.user.GetId(), Role: identityv1.Role_ROLE_MEMBER})
		})
		wg.Go(func() {
			if r := idp.do(t, "PATCH", "/Users/"+mia, patch("replace", "active", false)); r.code != http.StatusOK {
				removed = fmt.Errorf("%d %v", r.code, r.body)
			}
		})
		wg.Wait()
		if (demoted == nil) == (removed == nil) {
			t.Fatalf("round %d: demoted %v, switched off %v", round, demoted, removed)
		}
		if demoted != nil {
			idp.must(t, http.StatusOK, "PATCH", "/Users/"+mia, patch("replace", "active", true))
			continue
		}
		by := w.as(t, "mia@corp.example")
		if _, err := by.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: admin.user.GetId(), Role: identityv1.Role_ROLE_ADMIN}); err != nil {
			t.Fatal(err)
		}
	}
}

// B-USR-06, B-USR-13: the same refusal in every way.
func TestMembersCannotDoWhatAdminsDo(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	id := idp.create(t, "ned")
	ned := w.as(t, "ned@corp.example")
	full, readOnly := ned.apiToken(t, w, false), ned.apiToken(t, w, true)

	for how, p := range map[string]person{"session": ned, "API token": w.person(t, full.GetToken()), "read-only token": w.person(t, readOnly.GetToken())} {
		for what, call := range map[string]func(context.Context) error{
			"set a role": func(ctx context.Context) error {
				_, err := p.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: id, Role: identityv1.Role_ROLE_ADMIN})
				return err
			},
			"make a source": func(ctx context.Context) error {
				_, err := p.sources.CreateSource(ctx, &identityv1.CreateSourceRequest{Name: "x", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM})
				return err
			},
			"list sources": func(ctx context.Context) error {
				_, err := p.sources.ListSources(ctx, &identityv1.ListSourcesRequest{})
				return err
			},
			"rotate a source's token": func(ctx context.Context) error {
				_, err := p.sources.RotateSourceToken(ctx, &identityv1.RotateSourceTokenRequest{Id: idp.source.GetId()})
				return err
			},
		} {
			if err := call(t.Context()); status.Code(err) != codes.PermissionDenied || rpctest.Reason(err) != "ROLE_NOT_ALLOWED" {
				t.Errorf("%s with %s: %v", what, how, err)
			}
		}
		if _, err := p.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil {
			t.Errorf("GetMe with %s: %v", how, err)
		}
	}
	_, err := w.person(t, readOnly.GetToken()).tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: full.GetApiToken().GetId()})
	refused(t, err, codes.PermissionDenied, "TOKEN_READ_ONLY")

	// SCIM takes the tokens of sources alone, and nothing else takes those.
	for _, token := range []string{"", "nonsense", admin.secret, admin.apiToken(t, w, false).GetToken(), idp.token[:len(idp.token)-1]} {
		stranger := *idp
		stranger.token = token
		if r := stranger.do(t, "GET", "/Users", nil); r.code != http.StatusUnauthorized {
			t.Errorf("SCIM with another token: %d %v", r.code, r.body)
		}
	}
	_, err = w.exchange(t, idp.token)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if undeclared := authz.CheckDeclared(nil); len(undeclared) > 0 {
		t.Errorf("methods that do not say who may call them: %v", undeclared)
	}
}

// B-USR-07
func TestAPITokens(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	admin.provider(t, w, "Corp directory").create(t, "ned")
	ned := w.as(t, "ned@corp.example")

	made := ned.apiToken(t, w, true)
	created := servicetest.Wait(t, w.Harness, func(ev *eventv1.ApiTokenCreated) bool { return true })
	if d := cmp.Diff(made.GetApiToken(), created.GetApiToken(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if p := made.GetApiToken().GetPrefix(); !strings.HasPrefix(made.GetToken(), p) || len(p) > 10 {
		t.Errorf("prefix %q", p)
	}
	signed, err := w.exchange(t, made.GetToken())
	if err != nil {
		t.Fatal(err)
	}
	c := w.caller(t, signed.GetAccessToken())
	if c.UserID.String() != ned.user.GetId() || c.OrganizationID.String() != admin.organization.GetId() || !c.ReadOnly ||
		c.Role != authzv1.Caller_CALLER_MEMBER || c.Name != "Ned Example" || c.Email != "ned@corp.example" ||
		c.CredentialID.String() != made.GetApiToken().GetId() {
		t.Errorf("caller: %#v", c)
	}
	if left := signed.GetExpireTime().AsTime().Sub(w.clock.Now()); left > time.Minute || left < 58*time.Second {
		t.Errorf("signed token lives for %s", left)
	}

	// Listed with its last use, to the minute.
	used := func(by person) *identityv1.ApiToken {
		r, err := by.tokens.ListApiTokens(t.Context(), &identityv1.ListApiTokensRequest{})
		if err != nil || len(r.GetApiTokens()) != 1 {
			t.Fatalf("tokens: %v %v", r, err)
		}
		return r.GetApiTokens()[0]
	}
	first := used(ned).GetLastUseTime().AsTime()
	if !first.Equal(w.clock.Now()) {
		t.Errorf("last use %s, want %s", first, w.clock.Now())
	}
	w.clock.Advance(30 * time.Second)
	if _, err := w.exchange(t, made.GetToken()); err != nil {
		t.Fatal(err)
	}
	if got := used(ned).GetLastUseTime().AsTime(); !got.Equal(first) {
		t.Errorf("last use was noted again after half a minute: %s", got)
	}
	w.clock.Advance(30 * time.Second)
	if _, err := w.exchange(t, made.GetToken()); err != nil {
		t.Fatal(err)
	}
	if got := used(admin).GetLastUseTime().AsTime(); !got.Equal(w.clock.Now()) {
		t.Errorf("an admin sees the last use %s, want %s", got, w.clock.Now())
	}

	// Stored hashed: nothing in the database holds a secret.
	w.noSecrets(t, made.GetToken(), ned.secret, admin.secret)

	// Another's token is not to be seen or ended, but by an admin.
	other := w.as(t, "ned@corp.example")
	admins := admin.apiToken(t, w, false)
	_, err = other.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: admins.GetApiToken().GetId()})
	refused(t, err, codes.NotFound, "API_TOKEN_NOT_FOUND")
	ended, err := admin.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: made.GetApiToken().GetId()})
	if err != nil || ended.GetApiToken().GetRevokeTime() == nil {
		t.Fatalf("%v %v", ended, err)
	}
	w.clock.Advance(time.Second)
	again, err := ned.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: made.GetApiToken().GetId()})
	if err != nil || !again.GetApiToken().GetRevokeTime().AsTime().Equal(ended.GetApiToken().GetRevokeTime().AsTime()) {
		t.Errorf("revoked again: %v %v", again, err)
	}
	_, err = w.exchange(t, made.GetToken())
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	servicetest.Wait(t, w.Harness, func(ev *eventv1.ApiTokenRevoked) bool {
		return ev.GetApiToken().GetId() == made.GetApiToken().GetId() && ev.GetContext().GetActor().GetId() == admin.user.GetId()
	})

	// A signed token does not outlive its secret, and an ended one gets none.
	w.clock.Set(admins.GetApiToken().GetExpireTime().AsTime().Add(-time.Minute))
	short, err := w.exchange(t, admins.GetToken())
	if err != nil || short.GetExpireTime().AsTime().After(admins.GetApiToken().GetExpireTime().AsTime()) {
		t.Errorf("%v %v", short, err)
	}
	w.clock.Advance(time.Minute)
	_, err = w.exchange(t, admins.GetToken())
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}

// noSecrets looks for secrets in every text and byte column.
func (w *world) noSecrets(t *testing.T, secrets ...string) {
	t.Helper()
	err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, `select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range tables {
			for _, s := range secrets {
				var n int
				sql := `select count(*) from ` + pgx.Identifier{table}.Sanitize() + ` r where position($1 in r::text) > 0 or position($2 in r::text) > 0`
				if err := tx.QueryRow(ctx, sql, s, fmt.Sprintf("%x", s)).Scan(&n); err != nil {
					return err
				}
				if n > 0 {
					t.Errorf("table %s holds a secret", table)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPITokenRefuses(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	now := w.clock.Now()
	for _, tt := range []struct {
		name      string
		req       *identityv1.CreateApiTokenRequest
		wantField string
	}{
		{"no name", &identityv1.CreateApiTokenRequest{ExpireTime: timestamppb.New(now.Add(time.Hour))}, "name"},
		{"blank name", &identityv1.CreateApiTokenRequest{Name: " ", ExpireTime: timestamppb.New(now.Add(time.Hour))}, "name"},
		{"no end", &identityv1.CreateApiTokenRequest{Name: "x"}, "expire_time"},
		{"in the past", &identityv1.CreateApiTokenRequest{Name: "x", ExpireTime: timestamppb.New(now)}, "expire_time"},
		{"more than a year", &identityv1.CreateApiTokenRequest{Name: "x", ExpireTime: timestamppb.New(now.AddDate(1, 0, 1))}, "expire_time"},
		{"not a time", &identityv1.CreateApiTokenRequest{Name: "x", ExpireTime: &timestamppb.Timestamp{Seconds: 1, Nanos: -5}}, "expire_time"},
	} {
		_, err := admin.tokens.CreateApiToken(t.Context(), tt.req)
		if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), tt.wantField) {
			t.Errorf("%s: %v %v", tt.name, err, rpctest.Fields(err))
		}
	}
	for _, token := range []string{"x", "ghp_", "ghs_" + strings.Repeat("0", 49), strings.Repeat("a", 512)} {
		_, err := w.exchange(t, token)
		refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	admin.provider(t, w, "Corp directory").create(t, "ned")
	one, two := w.as(t, "NED@corp.example"), w.as(t, "ned@corp.example")
	token := one.apiToken(t, w, false)

	// An API token has no session to end.
	if _, err := w.person(t, token.GetToken()).sessions.SignOut(t.Context(), &identityv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.exchange(t, token.GetToken()); err != nil {
		t.Errorf("the API token ended: %v", err)
	}
	// SignOut ends the session the caller came with, and no other.
	signed, err := w.exchange(t, one.secret)
	if err != nil {
		t.Fatal(err)
	}
	out := withToken(t, signed.GetAccessToken())
	if _, err := w.nobody(t).sessions.SignOut(out, &identityv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = w.nobody(t).sessions.SignOut(out, &identityv1.SignOutRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
	_, err = w.exchange(t, one.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if _, err := w.exchange(t, two.secret); err != nil {
		t.Errorf("the other session ended: %v", err)
	}
	w.clock.Advance(12 * time.Hour)
	_, err = w.exchange(t, two.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}

func TestDevSignIn(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, b := w.signUp(t), w.signUp(t)
	ids := []string{}
	for _, admin := range []person{a, b} {
		ids = append(ids, admin.provider(t, w, "Corp directory").create(t, "ada"))
	}
	_, err := w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: "ada@corp.example"})
	refused(t, err, codes.InvalidArgument, "USER_NAME_AMBIGUOUS")
	if said := status.Convert(err).String() + fmt.Sprint(status.Convert(err).Details()); !strings.Contains(said, "add the sign-in name of the organization") || !strings.Contains(said, `field:"organization"`) {
		t.Errorf("it does not say what to add: %s", said)
	}
	for i, admin := range []person{a, b} {
		r, err := w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{
			UserName: "ADA@corp.example", Organization: strings.ToUpper(admin.organization.GetSignInName()) + " ",
		})
		if err != nil || r.GetUser().GetId() != ids[i] {
			t.Errorf("of the organization that was named: %v %v", r, err)
		}
	}
	// Somebody is of the organization that was named, or not found, also by id.
	for _, name := range []string{ids[0], a.user.GetUserName()} {
		_, err = w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: name, Organization: b.organization.GetSignInName()})
		refused(t, err, codes.NotFound, "USER_NOT_FOUND")
	}
	for i, id := range ids {
		p := w.as(t, id)
		me, err := p.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
		if err != nil || me.GetUser().GetId() != id || me.GetOrganization().GetId() != []person{a, b}[i].organization.GetId() {
			t.Errorf("%v %v", me, err)
		}
	}
	_, err = w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: "nobody@corp.example"})
	refused(t, err, codes.NotFound, "USER_NOT_FOUND")
	people, err := w.nobody(t).sessions.ListDevPeople(t.Context(), &identityv1.ListDevPeopleRequest{})
	if err != nil || len(people.GetUsers()) != 4 || people.GetUsers()[1].GetRole() != identityv1.Role_ROLE_ADMIN ||
		people.GetUsers()[2].GetRole() != identityv1.Role_ROLE_MEMBER {
		t.Errorf("people: %v %v", people, err)
	}

	// Somebody's user name is another's id.
	eve := a.provider(t, w, "Second directory").create(t, "eve", "userName", a.user.GetId())
	_, err = w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: a.user.GetId(), Organization: a.organization.GetSignInName()})
	refused(t, err, codes.InvalidArgument, "USER_NAME_AMBIGUOUS")
	for _, name := range []string{eve, a.user.GetUserName()} {
		if _, err := w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: name}); err != nil {
			t.Errorf("by the other of the two: %v", err)
		}
	}
}

func TestOtherOrganizations(t *testing.T) {
	t.Parallel()
	w := start(t)
	ours, theirs := w.signUp(t), w.signUp(t)
	idp := theirs.provider(t, w, "Their directory")
	id := idp.create(t, "eve")
	group := idp.createGroup(t, "Their group", id)
	token := theirs.apiToken(t, w, false)
	ctx := t.Context()

	_, err := ours.users.GetUser(ctx, &identityv1.GetUserRequest{Id: id})
	refused(t, err, codes.NotFound, "USER_NOT_FOUND")
	_, err = ours.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: id, Role: identityv1.Role_ROLE_ADMIN})
	refused(t, err, codes.NotFound, "USER_NOT_FOUND")
	_, err = ours.groups.ListGroupMembers(ctx, &identityv1.ListGroupMembersRequest{GroupId: group})
	refused(t, err, codes.NotFound, "GROUP_NOT_FOUND")
	_, err = ours.sources.RotateSourceToken(ctx, &identityv1.RotateSourceTokenRequest{Id: idp.source.GetId()})
	refused(t, err, codes.NotFound, "SOURCE_NOT_FOUND")
	_, err = ours.tokens.RevokeApiToken(ctx, &identityv1.RevokeApiTokenRequest{Id: token.GetApiToken().GetId()})
	refused(t, err, codes.NotFound, "API_TOKEN_NOT_FOUND")
	users, err := ours.users.ListUsers(ctx, &identityv1.ListUsersRequest{Query: "eve"})
	if err != nil || len(users.GetUsers()) != 0 {
		t.Errorf("users: %v %v", users, err)
	}
	groups, err := ours.groups.ListGroups(ctx, &identityv1.ListGroupsRequest{})
	if err != nil || len(groups.GetGroups()) != 0 {
		t.Errorf("groups: %v %v", groups, err)
	}
	sources, err := ours.sources.ListSources(ctx, &identityv1.ListSourcesRequest{})
	if err != nil || len(sources.GetSources()) != 0 {
		t.Errorf("sources: %v %v", sources, err)
	}
	tokens, err := ours.tokens.ListApiTokens(ctx, &identityv1.ListApiTokensRequest{})
	if err != nil || len(tokens.GetApiTokens()) != 0 {
		t.Errorf("tokens: %v %v", tokens, err)
	}
	// The same names are free in another organization.
	mine := ours.provider(t, w, "Their directory")
	mine.create(t, "eve")
	if r := mine.do(t, "GET", "/Users/"+id, nil); r.code != http.StatusNotFound {
		t.Errorf("their user by SCIM: %d", r.code)
	}
	pgtest.CheckRowSecurity(t, w.DB)
}

func TestSources(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	created := servicetest.Wait(t, w.Harness, func(ev *eventv1.SourceCreated) bool { return true })
	if created.GetSource().GetId() != idp.source.GetId() || created.GetContext().GetActor().GetId() != admin.user.GetId() {
		t.Errorf("source.created: %v", created)
	}
	_, err := admin.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: "Corp directory", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM})
	refused(t, err, codes.AlreadyExists, "SOURCE_NAME_TAKEN")
	_, err = admin.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: "x"})
	if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), "kind") {
		t.Errorf("no kind: %v", err)
	}

	idp.create(t, "ann")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+idp.create(t, "bob"), nil)
	admin.provider(t, w, "Another")
	list, err := admin.sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{PageSize: 1})
	if err != nil || len(list.GetSources()) != 1 || list.GetSources()[0].GetName() != "Another" || list.GetSources()[0].GetLastSeenTime() != nil {
		t.Fatalf("first page: %v %v", list, err)
	}
	list, err = admin.sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{PageSize: 1, PageToken: list.GetNextPageToken()})
	if err != nil || len(list.GetSources()) != 1 || list.GetNextPageToken() != "" {
		t.Fatalf("second page: %v %v", list, err)
	}
	if s := list.GetSources()[0]; s.GetUserCount() != 1 || !s.GetLastSeenTime().AsTime().Equal(w.clock.Now()) {
		t.Errorf("source: %v", s)
	}

	// The old token ends at once.
	rotated, err := admin.sources.RotateSourceToken(t.Context(), &identityv1.RotateSourceTokenRequest{Id: idp.source.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if r := idp.do(t, "GET", "/Users", nil); r.code != http.StatusUnauthorized {
		t.Errorf("old token: %d", r.code)
	}
	idp.token = rotated.GetToken()
	idp.must(t, http.StatusOK, "GET", "/Users", nil)
	servicetest.Wait(t, w.Harness, func(ev *eventv1.SourceTokenRotated) bool { return ev.GetSource().GetId() == idp.source.GetId() })
	w.noSecrets(t, idp.token)
}

func TestListsPage(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	var ids []string
	for _, n := range []string{"eva", "Dan", "cem", "Bea", "ann"} {
		ids = append(ids, idp.create(t, n, "displayName", n))
	}
	idp.create(t, "twin", "displayName", "ann")
	group := idp.createGroup(t, "Everybody", ids...)
	idp.createGroup(t, "another")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+ids[0], nil)

	names := func(list func(token string) ([]string, string, error)) []string {
		t.Helper()
		var all []string
		for token := ""; ; {
			got, next, err := list(token)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) > 2 {
				t.Fatalf("a page of %d", len(got))
			}
			all = append(all, got...)
			if token = next; token == "" {
				return all
			}
		}
	}
	of := func(users []*identityv1.User) []string {
		var out []string
		for _, u := range users {
			out = append(out, u.GetDisplayName())
		}
		return out
	}
	for _, tt := range []struct {
		name string
		list func(token string) ([]string, string, error)
		want []string
	}{
		{"users", func(token string) ([]string, string, error) {
			r, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 2, PageToken: token})
			return of(r.GetUsers()), r.GetNextPageToken(), err
		}, []string{"ann", "ann", "Bea", "cem", "Dan", "Rob Root"}},
		{"users by text", func(token string) ([]string, string, error) {
			r, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 2, PageToken: token, Query: "DaN@corp"})
			return of(r.GetUsers()), r.GetNextPageToken(), err
		}, []string{"Dan"}},
		{"removed users", func(token string) ([]string, string, error) {
			r, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{
				PageSize: 2, PageToken: token, State: identityv1.UserState_USER_STATE_REMOVED,
			})
			return of(r.GetUsers()), r.GetNextPageToken(), err
		}, []string{"eva"}},
		{"members", func(token string) ([]string, string, error) {
			r, err := admin.groups.ListGroupMembers(t.Context(), &identityv1.ListGroupMembersRequest{GroupId: group, PageSize: 2, PageToken: token})
			return of(r.GetUsers()), r.GetNextPageToken(), err
		}, []string{"ann", "Bea", "cem", "Dan"}},
		{"groups", func(token string) ([]string, string, error) {
			r, err := admin.groups.ListGroups(t.Context(), &identityv1.ListGroupsRequest{PageSize: 1, PageToken: token})
			var out []string
			for _, g := range r.GetGroups() {
				out = append(out, fmt.Sprint(g.GetDisplayName(), g.GetMemberCount()))
			}
			return out, r.GetNextPageToken(), err
		}, []string{"another0", "Everybody4"}},
	} {
		if d := cmp.Diff(tt.want, names(tt.list)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	for range 3 {
		admin.apiToken(t, w, false)
		w.clock.Advance(time.Second)
	}
	var times []time.Time
	names(func(token string) ([]string, string, error) {
		r, err := admin.tokens.ListApiTokens(t.Context(), &identityv1.ListApiTokensRequest{PageSize: 2, PageToken: token})
		for _, a := range r.GetApiTokens() {
			times = append(times, a.GetCreateTime().AsTime())
		}
		return nil, r.GetNextPageToken(), err
	})
	if len(times) != 3 || !times[0].After(times[1]) || !times[1].After(times[2]) {
		t.Errorf("tokens, newest first: %v", times)
	}
	_, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageToken: "nonsense"})
	if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), "page_token") {
		t.Errorf("bad page token: %v", err)
	}
	empty, err := admin.groups.ListGroupMembers(t.Context(), &identityv1.ListGroupMembersRequest{GroupId: idp.createGroup(t, "Nobody")})
	if err != nil || len(empty.GetUsers()) != 0 {
		t.Errorf("empty group: %v %v", empty, err)
	}
}

func TestOAuth(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	token := admin.apiToken(t, w, false)
	id, secret := token.GetApiToken().GetId(), token.GetToken()
	other := admin.apiToken(t, w, false)
	type basic struct{ id, secret string }
	post := func(form url.Values, b *basic, change ...func(*http.Request)) reply {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.HTTPAddr+"/oauth2/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if b != nil {
			req.SetBasicAuth(url.QueryEscape(b.id), url.QueryEscape(b.secret))
		}
		for _, c := range change {
			c(req)
		}
		return send(t, req)
	}
	form := func(pairs ...string) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}, "audience": {"identity-sync"}}
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i+1] == "" {
				v.Del(pairs[i])
				continue
			}
			v.Add(pairs[i], pairs[i+1])
		}
		return v
	}
	for name, r := range map[string]reply{
		"in the form": post(form("client_id", id, "client_secret", secret), nil),
		"by Basic":    post(form(), &basic{id, secret}),
	} {
		signed, _ := r.body["access_token"].(string)
		if r.code != http.StatusOK || r.body["token_type"] != "Bearer" || r.header.Get("Cache-Control") != "no-store" || signed == "" {
			t.Errorf("%s: %d %v", name, r.code, r.body)
			continue
		}
		if s, _ := r.body["expires_in"].(float64); s < 50 || s > 60 {
			t.Errorf("%s: expires in %v", name, r.body["expires_in"])
		}
		if c := w.caller(t, signed); c.UserID.String() != admin.user.GetId() || c.CredentialID.String() != id {
			t.Errorf("%s: %v", name, c)
		}
	}
	for _, tt := range []struct {
		name  string
		reply reply
		code  int
		err   string
	}{
		{"no grant type", post(form("grant_type", "", "client_id", id, "client_secret", secret), nil), 400, "invalid_request"},
		{"password grant", post(url.Values{"grant_type": {"password"}}, nil), 400, "unsupported_grant_type"},
		{"scope", post(form("scope", "all", "client_id", id, "client_secret", secret), nil), 400, "invalid_scope"},
		{"no audience", post(form("audience", "", "client_id", id, "client_secret", secret), nil), 400, "invalid_target"},
		{"unknown audience", post(url.Values{
			"grant_type": {"client_credentials"}, "audience": {"gateway"}, "client_id": {id}, "client_secret": {secret},
		}, nil), 400, "invalid_target"},
		{"no client", post(form(), nil), 401, "invalid_client"},
		{"unknown client", post(form("client_id", admin.user.GetId(), "client_secret", secret), nil), 401, "invalid_client"},
		{"other secret", post(form("client_id", id, "client_secret", other.GetToken()), nil), 401, "invalid_client"},
		{"wrong secret", post(form(), &basic{id, "nonsense"}), 401, "invalid_client"},
		{"session as secret", post(form("client_id", id, "client_secret", admin.secret), nil), 401, "invalid_client"},
		{"twice", post(form("client_id", id, "client_id", id, "client_secret", secret), nil), 400, "invalid_request"},
		{"in two ways", post(form("client_id", id, "client_secret", secret), &basic{id, secret}), 400, "invalid_request"},
		{"not a form", post(form(), nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }), 400, "invalid_request"},
		{"secret in the URL", post(form(), nil, func(r *http.Request) {
			r.URL.RawQuery = url.Values{"client_id": {id}, "client_secret": {secret}}.Encode()
		}), 401, "invalid_client"},
		{"GET", post(form(), nil, func(r *http.Request) { r.Method, r.Body, r.ContentLength = "GET", nil, 0 }), 405, "invalid_request"},
	} {
		if tt.reply.code != tt.code || tt.reply.body["error"] != tt.err {
			t.Errorf("%s: %d %v, want %d %s", tt.name, tt.reply.code, tt.reply.body, tt.code, tt.err)
		}
		if basicAsked := tt.reply.header.Get("WWW-Authenticate") != ""; basicAsked != (tt.name == "wrong secret") {
			t.Errorf("%s: WWW-Authenticate %q", tt.name, tt.reply.header.Get("WWW-Authenticate"))
		}
	}
	// A good credential that somebody shows as another's is known.
	w.deniedFor(t, other.GetApiToken().GetId(), "TOKEN_INVALID")
}

// keys are the ids of the published keys of a replica.
func keys(t *testing.T, httpAddr string) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+httpAddr+"/.well-known/jwks.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := send(t, req)
	list, _ := r.body["keys"].([]any)
	var ids []string
	for _, k := range list {
		k, _ := k.(object)
		if k["d"] != nil {
			t.Fatal("a private key is published")
		}
		ids = append(ids, fmt.Sprint(k["kid"]))
	}
	return ids
}

// A service gets a token of its own in either way, and with it, and with no
// other, a snapshot of everybody. B-RUN-06, in part
func TestServiceTakesASnapshot(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	w := start(t, func(c *identitysync.Config) { c.Clients = map[string]string{"approval": secret} })
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	mia, tom := idp.create(t, "mia"), idp.create(t, "tom")
	group := idp.createGroup(t, "Staff", mia)
	idp.do(t, "DELETE", "/Users/"+tom, nil)
	north, err := identityv1.NewEnvironmentServiceClient(admin.conn).CreateEnvironment(t.Context(), &identityv1.CreateEnvironmentRequest{Name: "North"})
	if err != nil {
		t.Fatal(err)
	}
	renamed, err := identityv1.NewEnvironmentServiceClient(admin.conn).UpdateEnvironment(t.Context(), &identityv1.UpdateEnvironmentRequest{
		Environment: &identityv1.Environment{Id: north.GetEnvironment().GetId(), Name: "Northern"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}},
	})
	if err != nil {
		t.Fatal(err)
	}

	tokens := identityv1.NewTokenServiceClient(dial(t, w.Addr, ""))
	for _, bad := range [][2]string{{"approval", "wrong"}, {"request", secret}} {
		_, err := tokens.ExchangeClientSecret(t.Context(), &identityv1.ExchangeClientSecretRequest{ClientId: bad[0], ClientSecret: bad[1], Audience: "identity-sync"})
		refused(t, err, codes.Unauthenticated, "CLIENT_INVALID")
	}
	token, err := tokens.ExchangeClientSecret(t.Context(), &identityv1.ExchangeClientSecretRequest{ClientId: "approval", ClientSecret: secret, Audience: "identity-sync"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token.GetAccessToken())
	stream, err := opsv1.NewSnapshotServiceClient(dial(t, w.Addr, "")).StreamSnapshot(ctx, &opsv1.StreamSnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var environments, groups int
	states := map[string]identityv1.UserState{}
	for i := 0; ; i++ {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if (part.GetPosition() != nil) != (i == 0) {
			t.Errorf("part %d: %v", i, part)
		}
		if e := part.GetEnvironment(); e != nil {
			environments++
			if e.GetId() == renamed.GetEnvironment().GetId() && !proto.Equal(e, renamed.GetEnvironment()) {
				t.Errorf("environment %v, want %v", e, renamed.GetEnvironment())
			}
		}
		if u := part.GetUser(); u != nil {
			states[u.GetId()] = u.GetState()
		}
		if g := part.GetGroup(); g != nil {
			groups++
			if g.GetGroup().GetId() != group || !slices.Equal(g.GetMemberIds(), []string{mia}) {
				t.Errorf("group: %v", g)
			}
		}
	}
	want := map[string]identityv1.UserState{
		admin.user.GetId(): identityv1.UserState_USER_STATE_ACTIVE,
		mia:                identityv1.UserState_USER_STATE_ACTIVE, tom: identityv1.UserState_USER_STATE_REMOVED,
	}
	if d := cmp.Diff(want, states); d != "" || environments != 2 || groups != 1 {
		t.Errorf("%d environments, %d groups, users: %s", environments, groups, d)
	}

	stream, err = opsv1.NewSnapshotServiceClient(admin.conn).StreamSnapshot(t.Context(), &opsv1.StreamSnapshotRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
}

func TestReplicasShareKeys(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	addr, httpAddr := w.Replica(t)
	if d := cmp.Diff(keys(t, w.HTTPAddr), keys(t, httpAddr)); d != "" {
		t.Error(d)
	}
	// A token that one replica signed, the other takes.
	signed, err := w.exchange(t, admin.secret)
	if err != nil {
		t.Fatal(err)
	}
	ctx := withToken(t, signed.GetAccessToken())
	if _, err := identityv1.NewUserServiceClient(dial(t, addr, "")).GetMe(ctx, &identityv1.GetMeRequest{}); err != nil {
		t.Error(err)
	}
}

func TestReplicasStartTogether(t *testing.T) {
	t.Parallel()
	w := start(t)
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `delete from signing_key`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[string]bool{}
	for range 4 {
		wg.Go(func() {
			_, httpAddr := w.Replica(t)
			mu.Lock()
			defer mu.Unlock()
			for _, k := range keys(t, httpAddr) {
				all[k] = true
			}
		})
	}
	wg.Wait()
	if len(all) != 1 {
		t.Errorf("4 replicas made %d keys", len(all))
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	r, err := admin.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{
		Name: "long", ExpireTime: timestamppb.New(w.clock.Now().AddDate(0, 11, 0)),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, second := w.Replica(t)
	sign := func() string {
		t.Helper()
		e, err := w.exchange(t, r.GetToken())
		if err != nil {
			t.Fatal(err)
		}
		return e.GetAccessToken()
	}
	kid := func(token string) string {
		t.Helper()
		head, _, _ := strings.Cut(token, ".")
		b, err := base64.RawURLEncoding.DecodeString(head)
		if err != nil {
			t.Fatal(err)
		}
		var h struct {
			KeyID string `json:"kid"`
		}
		if err := json.Unmarshal(b, &h); err != nil {
			t.Fatal(err)
		}
		return h.KeyID
	}
	first := kid(sign())
	if got := keys(t, w.HTTPAddr); !slices.Equal(got, []string{first}) {
		t.Fatalf("keys %v, want %s alone", got, first)
	}

	// A month later another key is published, but does not sign yet.
	w.clock.Advance(30 * 24 * time.Hour)
	if got := kid(sign()); got != first {
		t.Error("a key signs before anybody can know it")
	}
	both := keys(t, w.HTTPAddr)
	if len(both) != 2 || both[0] != first {
		t.Fatalf("keys %v", both)
	}
	if got := keys(t, second); !slices.Equal(got, both) {
		t.Errorf("the other replica has %v, want %v", got, both)
	}
	// Then it signs, and the old one still verifies.
	old := sign()
	w.clock.Advance(10 * time.Minute)
	if got := kid(sign()); got != both[1] {
		t.Errorf("signed with %s, want %s", got, both[1])
	}
	w.clock.Advance(-10*time.Minute + 30*time.Second)
	w.caller(t, old)
	// Until nothing signed with it can be around.
	w.clock.Advance(3 * time.Hour)
	for _, addr := range []string{w.HTTPAddr, second} {
		if got := keys(t, addr); !slices.Equal(got, both[1:]) {
			t.Errorf("keys %v, want %v", got, both[1:])
		}
	}
	w.caller(t, sign())
}

// The encryption key is changed while everything runs; nobody notices.
func TestEncryptionKeyRotates(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	before := keys(t, w.HTTPAddr)
	older := w.key
	w.key, w.older = secretbox.NewKey(), [][]byte{older}
	w.Replica(t)
	w.older = nil
	_, last := w.Replica(t) // with the new one alone
	if got := keys(t, last); !slices.Equal(got, before) {
		t.Errorf("keys %v, want %v", got, before)
	}
	if _, err := w.exchange(t, admin.secret); err != nil {
		t.Error(err)
	}
}

func TestOtherEncryptionKey(t *testing.T) {
	t.Parallel()
	w := start(t)
	cfg := identitysync.Config{Config: w.Config, EncryptionKey: secretbox.NewKey()}
	err := identitysync.Run(t.Context(), cfg, service.Listeners{}, nil)
	if err == nil || !strings.Contains(err.Error(), "another encryption key") || !errors.Is(err, secretbox.ErrOpen) {
		t.Errorf("got %v", err)
	}
	cfg.EncryptionKey = []byte("short")
	if err := identitysync.Run(t.Context(), cfg, service.Listeners{}, nil); err == nil || !strings.Contains(err.Error(), "encryption key") {
		t.Errorf("got %v", err)
	}
}
