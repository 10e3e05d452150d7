package identitysync_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	identitysync "gatehouse.dev/services/identity-sync"
)

// environment is one company of a provider, with a source, a group, a member and
// an admin of its own.
type environment struct {
	*identityv1.Environment
	provider *provider
	source   *identityv1.Source
	group    string
	member   person
	admin    person
}

// environment makes one, as the organization's admin.
func (p person) environment(t *testing.T, w *world, name string) *environment {
	t.Helper()
	made, err := p.environments.CreateEnvironment(t.Context(), &identityv1.CreateEnvironmentRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{Environment: made.GetEnvironment()}
	src, err := p.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{
		Name: "Directory", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM, EnvironmentId: e.GetId(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := src.GetSource().GetEnvironmentId(); got != e.GetId() {
		t.Fatalf("the source is of environment %q, want %q", got, e.GetId())
	}
	e.source = src.GetSource()
	e.provider = &provider{source: e.source, base: "http://" + w.HTTPAddr + "/scim/v2", token: src.GetToken()}
	people := make([]string, 2)
	for i, called := range []string{"member", "admin"} {
		r := e.provider.do(t, "POST", "/Users", object{
			"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": called, "displayName": called + " of " + name, "active": true,
		})
		if r.code != 201 {
			t.Fatalf("create %s: %d %v", called, r.code, r.body)
		}
		people[i], _ = r.body["id"].(string)
	}
	r := e.provider.do(t, "POST", "/Groups", object{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": "Staff of " + name,
		"members": []object{{"value": people[0]}},
	})
	if r.code != 201 {
		t.Fatalf("create group: %d %v", r.code, r.body)
	}
	e.group, _ = r.body["id"].(string)
	if _, err := p.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: people[1], Role: identityv1.Role_ROLE_ADMIN}); err != nil {
		t.Fatal(err)
	}
	e.member, e.admin = w.as(t, people[0]), w.as(t, people[1])
	return e
}

func code(err error) codes.Code { return status.Code(err) }

// B-USR-12: people of one environment never see another's, by any RPC, and an
// admin of one is not an admin of another; the provider sees all in one place.
func TestEnvironmentsNeverSeeEachOther(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	a, b := root.environment(t, w, "North"), root.environment(t, w, "South")
	ctx := t.Context()

	caller := w.caller(t, func() string {
		r, err := w.exchange(t, a.admin.secret)
		if err != nil {
			t.Fatal(err)
		}
		return r.GetAccessToken()
	}())
	if got := caller.EnvironmentID.String(); got != a.GetId() {
		t.Errorf("the token of an admin of North has environment %s, want %s", got, a.GetId())
	}

	for _, p := range []person{a.admin, a.member} {
		users, err := p.users.ListUsers(ctx, &identityv1.ListUsersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users.GetUsers() {
			if u.GetEnvironmentId() != a.GetId() {
				t.Errorf("%s sees %s, who is not of North", p.user.GetDisplayName(), u.GetDisplayName())
			}
		}
		if n := len(users.GetUsers()); n != 2 {
			t.Errorf("%s sees %d people of North, want 2", p.user.GetDisplayName(), n)
		}
		for _, u := range []*identityv1.User{b.member.user, b.admin.user, root.user} {
			if _, err := p.users.GetUser(ctx, &identityv1.GetUserRequest{Id: u.GetId()}); code(err) != codes.NotFound {
				t.Errorf("%s gets %s: %v, want NotFound", p.user.GetDisplayName(), u.GetDisplayName(), err)
			}
		}
		groups, err := p.groups.ListGroups(ctx, &identityv1.ListGroupsRequest{})
		if err != nil || len(groups.GetGroups()) != 1 || groups.GetGroups()[0].GetEnvironmentId() != a.GetId() {
			t.Errorf("%s sees groups %v, %v; want that of North", p.user.GetDisplayName(), groups.GetGroups(), err)
		}
		if _, err := p.groups.ListGroupMembers(ctx, &identityv1.ListGroupMembersRequest{GroupId: b.group}); code(err) != codes.NotFound {
			t.Errorf("%s lists the group of South: %v, want NotFound", p.user.GetDisplayName(), err)
		}
		me, err := p.users.GetMe(ctx, &identityv1.GetMeRequest{})
		if err != nil || me.GetUser().GetEnvironmentId() != a.GetId() {
			t.Errorf("%s is %v, %v", p.user.GetDisplayName(), me.GetUser(), err)
		}
	}

	admin := a.admin
	sources, err := admin.sources.ListSources(ctx, &identityv1.ListSourcesRequest{})
	if err != nil || len(sources.GetSources()) != 1 || sources.GetSources()[0].GetId() != a.source.GetId() {
		t.Errorf("an admin of North sees sources %v, %v; want that of North", sources.GetSources(), err)
	}
	environments, err := admin.environments.ListEnvironments(ctx, &identityv1.ListEnvironmentsRequest{})
	if err != nil || len(environments.GetEnvironments()) != 1 || environments.GetEnvironments()[0].GetId() != a.GetId() {
		t.Errorf("an admin of North sees environments %v, %v; want North", environments.GetEnvironments(), err)
	}
	theirs, err := b.admin.tokens.CreateApiToken(ctx, &identityv1.CreateApiTokenRequest{
		Name: "South's", ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := admin.tokens.ListApiTokens(ctx, &identityv1.ListApiTokensRequest{})
	if err != nil || len(tokens.GetApiTokens()) != 0 {
		t.Errorf("an admin of North sees tokens %v, %v; want none", tokens.GetApiTokens(), err)
	}
	end := timestamppb.New(w.clock.Now().Add(time.Hour))
	refused := map[string]struct {
		err  error
		want codes.Code
	}{}
	try := func(what string, want codes.Code, err error) {
		refused[what] = struct {
			err  error
			want codes.Code
		}{err, want}
	}
	_, err = admin.environments.GetEnvironment(ctx, &identityv1.GetEnvironmentRequest{Id: b.GetId()})
	try("get South", codes.NotFound, err)
	_, err = admin.environments.UpdateEnvironment(ctx, &identityv1.UpdateEnvironmentRequest{
		Environment: &identityv1.Environment{Id: b.GetId(), Name: "Mine"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}},
	})
	try("rename South", codes.PermissionDenied, err)
	_, err = admin.environments.CreateEnvironment(ctx, &identityv1.CreateEnvironmentRequest{Name: "East"})
	try("make an environment", codes.PermissionDenied, err)
	_, err = admin.sources.RotateSourceToken(ctx, &identityv1.RotateSourceTokenRequest{Id: b.source.GetId()})
	try("rotate South's token", codes.NotFound, err)
	_, err = admin.sources.CreateSource(ctx, &identityv1.CreateSourceRequest{
		Name: "Mine", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM, EnvironmentId: b.GetId(),
	})
	try("make a source in South", codes.NotFound, err)
	_, err = admin.tokens.RevokeApiToken(ctx, &identityv1.RevokeApiTokenRequest{Id: theirs.GetApiToken().GetId()})
	try("revoke South's token", codes.NotFound, err)
	_, err = admin.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: b.member.user.GetId(), Role: identityv1.Role_ROLE_ADMIN})
	try("make somebody of South an admin", codes.NotFound, err)
	_, err = admin.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: root.user.GetId(), Role: identityv1.Role_ROLE_MEMBER})
	try("demote the organization's admin", codes.NotFound, err)
	_, err = admin.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{
		Id: a.member.user.GetId(), Role: identityv1.Role_ROLE_ADMIN, RoleEnvironmentId: b.GetId(),
	})
	try("give a role in South", codes.NotFound, err)
	_, err = admin.users.CreateUser(ctx, &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "bot", DisplayName: "Bot", AccountableUserId: b.member.user.GetId(), Purpose: "x", EndTime: end,
	})
	try("make somebody of South accountable", codes.InvalidArgument, err)
	_, err = admin.users.CreateUser(ctx, &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "bot", DisplayName: "Bot", AccountableUserId: admin.user.GetId(), Purpose: "x", EndTime: end,
		EnvironmentId: b.GetId(),
	})
	try("make a service in South", codes.NotFound, err)
	_, err = root.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{
		Id: a.member.user.GetId(), Role: identityv1.Role_ROLE_ADMIN, RoleEnvironmentId: b.GetId(),
	})
	try("as the organization: give somebody of North a role in South", codes.InvalidArgument, err)
	for what, r := range refused {
		if code(r.err) != r.want {
			t.Errorf("%s: %v, want %s", what, r.err, r.want)
		}
	}

	// A group of North takes nobody of South, whoever pushes.
	r := a.provider.do(t, "PATCH", "/Groups/"+a.group, object{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []object{{"op": "add", "path": "members", "value": []object{{"value": b.member.user.GetId()}}}},
	})
	if r.code < 400 {
		t.Errorf("somebody of South came into a group of North: %d", r.code)
	}

	users, err := root.users.ListUsers(ctx, &identityv1.ListUsersRequest{})
	if err != nil || len(users.GetUsers()) != 5 {
		t.Errorf("the provider sees %d people, %v; want all 5", len(users.GetUsers()), err)
	}
	// The first environment was made with the organization.
	environments, err = root.environments.ListEnvironments(ctx, &identityv1.ListEnvironmentsRequest{})
	if err != nil || len(environments.GetEnvironments()) != 3 {
		t.Errorf("the provider sees environments %v, %v; want 3", environments.GetEnvironments(), err)
	}
	for _, ev := range servicetest.All[*eventv1.UserJoined](w.Harness) {
		if ev.GetContext().GetEnvironmentId() != ev.GetUser().GetEnvironmentId() {
			t.Errorf("event about %s is of environment %q", ev.GetUser().GetDisplayName(), ev.GetContext().GetEnvironmentId())
		}
	}
}

// B-USR-12 in part: one of the organization's own people may hold a role in one
// environment alone.
func TestRoleInOneEnvironment(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	a, b := root.environment(t, w, "North"), root.environment(t, w, "South")
	own := root.provider(t, w, "Own directory")
	r := own.do(t, "POST", "/Users", object{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "tech@corp.example", "active": true,
	})
	techID, _ := r.body["id"].(string)
	_, err := root.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{
		Id: techID, Role: identityv1.Role_ROLE_IT_ADMIN, RoleEnvironmentId: a.GetId(),
	})
	if err != nil {
		t.Fatal(err)
	}
	tech := w.as(t, techID)
	if _, err := tech.users.GetUser(t.Context(), &identityv1.GetUserRequest{Id: a.member.user.GetId()}); err != nil {
		t.Errorf("the technician of North gets its member: %v", err)
	}
	if _, err := tech.users.GetUser(t.Context(), &identityv1.GetUserRequest{Id: b.member.user.GetId()}); code(err) != codes.NotFound {
		t.Errorf("the technician of North gets a member of South: %v, want NotFound", err)
	}
	if me, err := tech.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil || me.GetUser().GetId() != techID {
		t.Errorf("the technician is %v, %v", me.GetUser(), err)
	}
	// An admin of one environment is not what the organization is run by.
	_, err = root.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{
		Id: root.user.GetId(), Role: identityv1.Role_ROLE_ADMIN, RoleEnvironmentId: a.GetId(),
	})
	if code(err) != codes.FailedPrecondition {
		t.Errorf("the last admin of the organization goes to one environment: %v, want FailedPrecondition", err)
	}
}

// B-USR-18 in part: without an accountable person, a purpose and an end no
// service or agent is made, and it is removed at its end.
func TestServicesAndAgents(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	good := func() *identityv1.CreateUserRequest {
		return &identityv1.CreateUserRequest{
			Kind: identityv1.UserKind_USER_KIND_AGENT, UserName: "triage", DisplayName: "Triage agent", AccountableUserId: root.user.GetId(),
			Purpose: "sorts tickets", EndTime: timestamppb.New(w.clock.Now().Add(24 * time.Hour)),
		}
	}
	for name, change := range map[string]func(*identityv1.CreateUserRequest){
		"a person":              func(r *identityv1.CreateUserRequest) { r.Kind = identityv1.UserKind_USER_KIND_EMPLOYEE },
		"no kind":               func(r *identityv1.CreateUserRequest) { r.Kind = 0 },
		"nobody accountable":    func(r *identityv1.CreateUserRequest) { r.AccountableUserId = "" },
		"somebody unknown":      func(r *identityv1.CreateUserRequest) { r.AccountableUserId = uuid.NewString() },
		"no purpose":            func(r *identityv1.CreateUserRequest) { r.Purpose = "" },
		"a blank purpose":       func(r *identityv1.CreateUserRequest) { r.Purpose = "  " },
		"no end":                func(r *identityv1.CreateUserRequest) { r.EndTime = nil },
		"an end in the past":    func(r *identityv1.CreateUserRequest) { r.EndTime = timestamppb.New(w.clock.Now()) },
		"an end that is absurd": func(r *identityv1.CreateUserRequest) { r.EndTime = &timestamppb.Timestamp{Seconds: 1 << 60} },
		"no name":               func(r *identityv1.CreateUserRequest) { r.UserName = "" },
	} {
		bad := good()
		change(bad)
		if _, err := root.users.CreateUser(t.Context(), bad); code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want InvalidArgument", name, err)
		}
	}
	made, err := root.users.CreateUser(t.Context(), good())
	if err != nil {
		t.Fatal(err)
	}
	u := made.GetUser()
	if u.GetKind() != identityv1.UserKind_USER_KIND_AGENT || u.GetAccountableUserId() != root.user.GetId() || u.GetPurpose() != "sorts tickets" || u.GetEndTime() == nil {
		t.Errorf("made: %v", u)
	}
	other := good()
	other.UserName, other.AccountableUserId = "helper", u.GetId()
	if _, err := root.users.CreateUser(t.Context(), other); code(err) != codes.InvalidArgument {
		t.Errorf("an agent answers for another: %v, want InvalidArgument", err)
	}
	if _, err := root.users.CreateUser(t.Context(), good()); code(err) != codes.AlreadyExists {
		t.Errorf("the same name again: %v, want AlreadyExists", err)
	}
	w.clock.Advance(24 * time.Hour)
	removed := servicetest.Wait(t, w.Harness, func(ev *eventv1.UserRemoved) bool { return ev.GetUser().GetId() == u.GetId() })
	if got := removed.GetContext().GetActor().GetKind(); got != eventv1.ActorKind_ACTOR_KIND_SYSTEM {
		t.Errorf("removed by %s, want the system", got)
	}
}

// B-USR-18 in part: a service or an agent ends when its accountable person is
// suspended or leaves. That an admin can name another afterwards is missing.
func TestServicesEndWithTheirAccountablePerson(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, idp *provider, id string){
		"suspended": func(t *testing.T, idp *provider, id string) {
			idp.do(t, "PATCH", "/Users/"+id, object{
				"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
				"Operations": []object{{"op": "replace", "path": "active", "value": false}},
			})
		},
		"leaves": func(t *testing.T, idp *provider, id string) { idp.do(t, "DELETE", "/Users/"+id, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			root := w.signUp(t)
			idp := root.provider(t, w, "Corp directory")
			mia, tom := idp.create(t, "mia"), idp.create(t, "tom")
			made := map[string]string{}
			for _, accountable := range []string{mia, tom} {
				r, err := root.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{
					Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "backup of " + accountable, DisplayName: "Backup", AccountableUserId: accountable,
					Purpose: "makes backups", EndTime: timestamppb.New(w.clock.Now().Add(24 * time.Hour)),
				})
				if err != nil {
					t.Fatal(err)
				}
				made[accountable] = r.GetUser().GetId()
			}
			end(t, idp, mia)
			servicetest.Wait(t, w.Harness, func(ev *eventv1.UserRemoved) bool { return ev.GetUser().GetId() == made[mia] })
			u, err := root.users.GetUser(t.Context(), &identityv1.GetUserRequest{Id: made[mia]})
			if err != nil || u.GetUser().GetState() != identityv1.UserState_USER_STATE_REMOVED {
				t.Errorf("%v, %v, want removed", u, err)
			}
			u, err = root.users.GetUser(t.Context(), &identityv1.GetUserRequest{Id: made[tom]})
			if err != nil || u.GetUser().GetState() != identityv1.UserState_USER_STATE_ACTIVE {
				t.Errorf("%v, %v, want active", u, err)
			}
		})
	}
}

// A provider sets how many people and sources a customer may have: neither its source
// nor its admin gets past that, and no admin of it changes it.
func TestQuotas(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	north, south := root.environment(t, w, "North"), root.environment(t, w, "South") // each has a source and two people
	set := func(by person, quotas *identityv1.EnvironmentQuotas, paths ...string) (*identityv1.Environment, error) {
		r, err := by.environments.UpdateEnvironment(t.Context(), &identityv1.UpdateEnvironmentRequest{
			Environment: &identityv1.Environment{Id: north.GetId(), Quotas: quotas}, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return r.GetEnvironment(), err
	}
	e, err := set(root, &identityv1.EnvironmentQuotas{Users: 3, Sources: 1, Apps: 7, Integrations: 2}, "quotas")
	if err != nil || e.GetQuotas().GetUsers() != 3 || e.GetQuotas().GetApps() != 7 || e.GetQuotas().GetIntegrations() != 2 || e.GetName() != "North" {
		t.Fatalf("%v %v", e, err)
	}
	if e, err = set(root, &identityv1.EnvironmentQuotas{Apps: 8}, "quotas.apps"); err != nil || e.GetQuotas().GetUsers() != 3 || e.GetQuotas().GetApps() != 8 {
		t.Errorf("one of them: %v %v", e, err)
	}
	told := servicetest.Wait(t, w.Harness, func(ev *eventv1.EnvironmentUpdated) bool { return ev.GetEnvironment().GetVersion() == e.GetVersion() })
	if told.GetEnvironment().GetQuotas().GetApps() != 8 {
		t.Errorf("told %v", told)
	}
	_, err = set(north.admin, &identityv1.EnvironmentQuotas{}, "quotas")
	refused(t, err, codes.PermissionDenied, "NOT_IN_ENVIRONMENT")
	_, err = set(root, &identityv1.EnvironmentQuotas{Users: -1}, "quotas")
	refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")

	come := func(p *provider, name string) reply { return p.do(t, "POST", "/Users", describe(name)) }
	if r := come(north.provider, "ann"); r.code != http.StatusCreated {
		t.Fatalf("the third: %d %v", r.code, r.body)
	}
	if r := come(north.provider, "ben"); r.code != http.StatusConflict || !strings.Contains(fmt.Sprint(r.body["detail"]), "3 users") {
		t.Errorf("the fourth: %d %v", r.code, r.body)
	}
	_, err = north.admin.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "robot", DisplayName: "Robot", AccountableUserId: north.admin.user.GetId(),
		Purpose: "helps", EndTime: timestamppb.New(w.clock.Now().Add(time.Hour)),
	})
	refused(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	_, err = root.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{
		Name: "Another", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM, EnvironmentId: north.GetId(),
	})
	refused(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	for _, name := range []string{"ann", "ben"} {
		if r := come(south.provider, name); r.code != http.StatusCreated {
			t.Errorf("in South: %d %v", r.code, r.body)
		}
	}
	// Who leaves makes room.
	users, err := root.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{Query: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users.GetUsers() {
		if u.GetEnvironmentId() == north.GetId() {
			north.provider.do(t, "DELETE", "/Users/"+u.GetId(), nil)
		}
	}
	if r := come(north.provider, "ben"); r.code != http.StatusCreated {
		t.Errorf("after one has left: %d %v", r.code, r.body)
	}
}

// The operator sets how many people and sources every organization may have, in all its
// environments; another organization has as many of its own.
func TestQuotasOfOrganization(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *identitysync.Config) { c.Quotas = quota.Organization{"users": 6, "sources": 2} })
	root := w.signUp(t)
	north, south := root.environment(t, w, "North"), root.environment(t, w, "South") // each has a source and two people: five with root
	come := func(p *provider, name string) reply { return p.do(t, "POST", "/Users", describe(name)) }
	if r := come(north.provider, "ann"); r.code != http.StatusCreated {
		t.Fatalf("the sixth: %d %v", r.code, r.body)
	}
	if r := come(south.provider, "ben"); r.code != http.StatusConflict || !strings.Contains(fmt.Sprint(r.body["detail"]), "the organization may have 6 users") {
		t.Errorf("the seventh: %d %v", r.code, r.body)
	}
	_, err := south.admin.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "robot", DisplayName: "Robot", AccountableUserId: south.admin.user.GetId(),
		Purpose: "helps", EndTime: timestamppb.New(w.clock.Now().Add(time.Hour)),
	})
	refused(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	_, err = root.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: "Third", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM})
	refused(t, err, codes.FailedPrecondition, "QUOTA_EXCEEDED")
	if _, err := w.signUp(t).sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: "First", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM}); err != nil {
		t.Errorf("another organization: %v", err)
	}
}
