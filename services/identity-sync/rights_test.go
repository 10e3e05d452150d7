package identitysync_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// signed is somebody who goes on with the signed token of this moment.
func (w *world) signed(t *testing.T, p person) person {
	t.Helper()
	e, err := w.exchange(t, p.secret)
	if err != nil {
		t.Fatal(err)
	}
	held := w.heldToken(t, e.GetAccessToken())
	held.user, held.organization = p.user, p.organization
	return held
}

// B-USR-19: what somebody could do a moment ago they cannot do with the signed
// token of that moment: not read, not write, and above all not win it back.
func TestLostRightsStopAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	mia, ned := idp.create(t, "mia"), idp.create(t, "ned")
	role := func(by person, whom string, role identityv1.Role) error {
		_, err := by.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: whom, Role: role})
		return err
	}
	promote := func() person {
		t.Helper()
		if err := role(admin, mia, identityv1.Role_ROLE_ADMIN); err != nil {
			t.Fatal(err)
		}
		return w.signed(t, w.as(t, "mia@corp.example"))
	}
	sources, err := admin.sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	everything := map[string]func(person) error{
		"give herself the role again": func(p person) error { return role(p, mia, identityv1.Role_ROLE_ADMIN) },
		"promote an accomplice":       func(p person) error { return role(p, ned, identityv1.Role_ROLE_ADMIN) },
		"take the admin's role":       func(p person) error { return role(p, admin.user.GetId(), identityv1.Role_ROLE_MEMBER) },
		"take the source's token": func(p person) error {
			_, err := p.sources.RotateSourceToken(t.Context(), &identityv1.RotateSourceTokenRequest{Id: sources.GetSources()[0].GetId()})
			return err
		},
		"make an API token": func(p person) error {
			_, err := p.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{Name: "x", ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour))})
			return err
		},
		"read": func(p person) error {
			_, err := p.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{})
			return err
		},
	}

	demoted := promote()
	if err := role(admin, mia, identityv1.Role_ROLE_MEMBER); err != nil {
		t.Fatal(err)
	}
	for name, do := range everything {
		t.Run("demoted: "+name, func(t *testing.T) { refused(t, do(demoted), codes.Unauthenticated, "TOKEN_STALE") })
	}

	suspended := promote()
	idp.must(t, 200, "PATCH", "/Users/"+mia, patch("replace", "active", false))
	for name, do := range everything {
		t.Run("suspended: "+name, func(t *testing.T) { refused(t, do(suspended), codes.Unauthenticated, "TOKEN_INVALID") })
	}
	idp.must(t, 200, "PATCH", "/Users/"+mia, patch("replace", "active", true))

	removed := promote()
	idp.must(t, 204, "DELETE", "/Users/"+mia, nil)
	for name, do := range everything {
		t.Run("removed: "+name, func(t *testing.T) { refused(t, do(removed), codes.Unauthenticated, "TOKEN_INVALID") })
	}
	if users, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{}); err != nil || users.GetUsers()[0].GetRole() == identityv1.Role_ROLE_ADMIN && users.GetUsers()[0].GetId() == ned {
		t.Errorf("after all that: %v %v", users, err)
	}
}

// B-USR-19: what is signed in is seen and ended, by its owner or by an admin, and
// is out at once with the signed token it has.
func TestSessionsAreSeenAndEnded(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	idp.create(t, "ned")
	idp.create(t, "eve")
	one, two, eve := w.as(t, "ned@corp.example"), w.as(t, "ned@corp.example"), w.as(t, "eve@corp.example")
	tag := idp.do(t, "GET", "/Users/"+one.user.GetId(), nil).header.Get("ETag")
	list := func(by person, whose string) []*identityv1.Session {
		t.Helper()
		r, err := by.sessions.ListSessions(t.Context(), &identityv1.ListSessionsRequest{UserId: whose})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetSessions()
	}
	own := list(two, "")
	if len(own) != 2 || !own[0].GetCurrent() || own[1].GetCurrent() || own[0].GetUserAgent() == "" || own[0].GetUserId() != one.user.GetId() ||
		!own[0].GetExpireTime().AsTime().Equal(own[0].GetCreateTime().AsTime().Add(12*time.Hour)) {
		t.Fatalf("own sessions: %v", own)
	}
	started := servicetest.Wait(t, w.Harness, func(ev *eventv1.SessionStarted) bool { return ev.GetSession().GetId() == own[0].GetId() })
	own[0].Current = false
	if d := cmp.Diff(own[0], started.GetSession(), protocmp.Transform()); d != "" || started.GetContext().GetActor().GetId() != one.user.GetId() {
		t.Errorf("%s %v", d, started.GetContext())
	}
	if seen := list(admin, one.user.GetId()); len(seen) != 2 || seen[0].GetCurrent() {
		t.Errorf("an admin sees %v", seen)
	}
	_, err := eve.sessions.ListSessions(t.Context(), &identityv1.ListSessionsRequest{UserId: one.user.GetId()})
	refused(t, err, codes.PermissionDenied, "NOT_YOUR_SESSIONS")

	end := func(by person, id string) {
		t.Helper()
		if _, err := by.sessions.EndSession(t.Context(), &identityv1.EndSessionRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	end(eve, own[0].GetId()) // there is no such session of hers
	end(w.signUp(t), own[0].GetId())
	if still := list(admin, one.user.GetId()); len(still) != 2 {
		t.Fatalf("strangers have ended sessions: %v", still)
	}
	held := w.signed(t, two)
	end(one, own[0].GetId())
	_, err = held.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
	_, err = w.exchange(t, two.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	if _, err := one.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil {
		t.Errorf("the other session: %v", err)
	}
	end(admin, own[1].GetId())
	end(admin, own[1].GetId())
	_, err = w.exchange(t, one.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	last := servicetest.Wait(t, w.Harness, func(ev *eventv1.SessionEnded) bool { return ev.GetSession().GetId() == own[1].GetId() })
	if after := idp.do(t, "GET", "/Users/"+one.user.GetId(), nil).header.Get("ETag"); after != tag {
		t.Errorf("the SCIM resource has changed from %s to %s", tag, after)
	}
	if last.GetContext().GetActor().GetId() != admin.user.GetId() || last.GetUser().GetVersion() != last.GetContext().GetVersion() ||
		last.GetUser().GetVersion() != one.user.GetVersion()+2 {
		t.Errorf("ended: %v", last)
	}
}

// A token never begets a token, and what came from one that is revoked is over
// with it.
func TestATokenMakesNoToken(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	token := admin.apiToken(t, w, false)
	program := w.person(t, token.GetToken())
	_, err := program.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{Name: "x", ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour))})
	refused(t, err, codes.PermissionDenied, "SESSION_REQUIRED")
	program.user = admin.user
	held := w.signed(t, program)
	if _, err := admin.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: token.GetApiToken().GetId()}); err != nil {
		t.Fatal(err)
	}
	_, err = held.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
	if _, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{}); err != nil {
		t.Errorf("the session it was made with: %v", err)
	}
}

// B-USR-11: an IT admin is no admin by detour. What brings people, and so can take
// an admin away or rename one, is the admins'.
func TestAnITAdminIsNoAdminByDetour(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ned := idp.create(t, "ned")
	if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: ned, Role: identityv1.Role_ROLE_IT_ADMIN}); err != nil {
		t.Fatal(err)
	}
	it := w.as(t, "ned@corp.example")
	_, err := it.sources.RotateSourceToken(t.Context(), &identityv1.RotateSourceTokenRequest{Id: idp.source.GetId()})
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
	_, err = it.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: "Mine", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM})
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
	_, err = it.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: ned, Role: identityv1.Role_ROLE_ADMIN})
	refused(t, err, codes.PermissionDenied, "ROLE_NOT_ALLOWED")
	if _, err := it.sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{}); err != nil {
		t.Errorf("seeing sources: %v", err)
	}
}

// Who runs a source does not become somebody with a role in Gatehouse by renaming
// them: what a first sign-in is matched by, and where mails go, stays.
func TestASourceDoesNotRenameWhoHasARole(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	mia := idp.create(t, "mia")
	set := func(role identityv1.Role) {
		t.Helper()
		if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: mia, Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	try := func() (replies []reply) {
		for _, body := range []object{
			patch("replace", "userName", "eve@corp.example"),
			patch("replace", "externalId", "eve"),
			patch("replace", `emails[type eq "work"].value`, "eve@elsewhere.example"),
			patch("replace", "", object{"userName": "eve@corp.example"}),
		} {
			replies = append(replies, idp.do(t, "PATCH", "/Users/"+mia, body))
		}
		return append(replies, idp.do(t, "PUT", "/Users/"+mia, describe("mia", "userName", "eve@corp.example")))
	}
	for _, role := range []identityv1.Role{identityv1.Role_ROLE_ADMIN, identityv1.Role_ROLE_IT_ADMIN, identityv1.Role_ROLE_RISK_MANAGER} {
		set(role)
		before := admin.find(t, mia)
		for i, r := range try() {
			if r.code != http.StatusConflict || !strings.Contains(fmt.Sprint(r.body["detail"]), "role in Gatehouse") {
				t.Errorf("%s: change %d: %d %v", role, i, r.code, r.body)
			}
		}
		if d := cmp.Diff(before, admin.find(t, mia), protocmp.Transform()); d != "" {
			t.Errorf("%s was changed: %s", role, d)
		}
	}
	// What does not say who she is goes on being the source's.
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+mia, patch("replace", "title", "Director"))
	if got := admin.find(t, mia); got.GetTitle() != "Director" {
		t.Errorf("title: %v", got)
	}
	set(identityv1.Role_ROLE_MEMBER)
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+mia, patch("replace", "userName", "mia.example@corp.example"))
	// With a role she can still leave.
	set(identityv1.Role_ROLE_IT_ADMIN)
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+mia, nil)
}

// B-USR-18, in part: a service or an agent, which does not sign in, gets its tokens from
// an admin or from the person who answers for it, who sees and revokes them; nobody
// makes a token of another person, or becomes more by answering for something.
func TestTokensOfServices(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	for _, name := range []string{"ned", "eve"} {
		idp.create(t, name)
	}
	ned, eve := w.as(t, "ned@corp.example"), w.as(t, "eve@corp.example")
	service, err := admin.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "reader", DisplayName: "Reader", AccountableUserId: ned.user.GetId(),
		Purpose: "reads", EndTime: timestamppb.New(w.clock.Now().Add(48 * time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
	create := func(by person, user string) (*identityv1.CreateApiTokenResponse, error) {
		return by.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{
			Name: "script", UserId: user, ExpireTime: timestamppb.New(w.clock.Now().Add(72 * time.Hour)),
		})
	}
	reader := service.GetUser().GetId()
	var secrets []string
	for _, by := range []person{admin, ned} {
		made, err := create(by, reader)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, made.GetToken())
		signed, err := w.exchange(t, made.GetToken())
		if err != nil {
			t.Fatal(err)
		}
		if c := w.caller(t, signed.GetAccessToken()); c.UserID.String() != reader || !c.APIToken {
			t.Errorf("it acts as %#v", c)
		}
	}
	_, err = create(eve, reader)
	refused(t, err, codes.PermissionDenied, "NOT_ACCOUNTABLE")
	for _, by := range []person{admin, eve} {
		_, err = create(by, ned.user.GetId())
		refused(t, err, codes.InvalidArgument, "NOT_A_PROGRAM")
	}
	_, err = create(admin, uuid.NewString())
	refused(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	stranger := w.signUp(t)
	_, err = create(stranger, reader)
	refused(t, err, codes.InvalidArgument, "USER_UNKNOWN")

	seen := func(by person) []*identityv1.ApiToken {
		list, err := by.tokens.ListApiTokens(t.Context(), &identityv1.ListApiTokensRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return list.GetApiTokens()
	}
	if len(seen(ned)) != 2 || len(seen(eve)) != 0 {
		t.Errorf("ned sees %v, eve %v", seen(ned), seen(eve))
	}
	first := seen(ned)[0].GetId()
	_, err = eve.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: first})
	refused(t, err, codes.NotFound, "API_TOKEN_NOT_FOUND")
	if _, err := ned.tokens.RevokeApiToken(t.Context(), &identityv1.RevokeApiTokenRequest{Id: first}); err != nil {
		t.Error(err)
	}
	// With a role above member it is the admins' alone.
	if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: reader, Role: identityv1.Role_ROLE_IT_ADMIN}); err != nil {
		t.Fatal(err)
	}
	_, err = create(ned, reader)
	refused(t, err, codes.PermissionDenied, "NOT_ACCOUNTABLE")
	for _, secret := range secrets { // nor does ned have it by one from before
		_, err := w.exchange(t, secret)
		refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	}
	// It ends with the service, before its own end.
	last, err := create(admin, reader)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(48 * time.Hour)
	servicetest.Wait(t, w.Harness, func(ev *eventv1.UserRemoved) bool { return ev.GetUser().GetId() == reader })
	if _, err := w.exchange(t, last.GetToken()); err == nil {
		t.Error("the token of a service that has ended is good")
	}
	_, err = create(w.as(t, admin.user.GetUserName()), reader)
	refused(t, err, codes.FailedPrecondition, "USER_NOT_ACTIVE")
}

// B-USR-19, in part: an admin who is one no longer, however that came, has no role by
// the token of a service that only an admin makes.
func TestTokensDoNotOutliveWhoMadeThemAsAdmin(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	north := root.environment(t, w, "North")
	idp := root.provider(t, w, "Corp directory")
	ned := idp.create(t, "ned")
	program := func(name, environment string, role identityv1.Role) string {
		t.Helper()
		return root.program(t, w, ned, name, environment, role)
	}
	create := func(by person, user string) *identityv1.CreateApiTokenResponse {
		t.Helper()
		made, err := by.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{
			Name: "script", UserId: user, ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour)),
		})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	set := func(role identityv1.Role, environment string) func(*testing.T, string) {
		return func(t *testing.T, amy string) {
			if _, err := root.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: amy, Role: role, RoleEnvironmentId: environment}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		end    func(t *testing.T, amy string)
		source bool // that it is the source which ends it
		north  bool // that amy is an admin of North then
	}{
		"demoted":  {end: set(identityv1.Role_ROLE_IT_ADMIN, "")},
		"narrowed": {end: set(identityv1.Role_ROLE_ADMIN, north.GetId()), north: true},
		"suspended": {source: true, end: func(t *testing.T, amy string) {
			idp.must(t, http.StatusOK, "PATCH", "/Users/"+amy, patch("replace", "active", false))
		}},
		"left": {source: true, end: func(t *testing.T, amy string) {
			idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+amy, nil)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			id := idp.create(t, "amy-"+name)
			set(identityv1.Role_ROLE_ADMIN, "")(t, id)
			amy := w.as(t, id)
			whole, local, member := program("it-"+name, "", identityv1.Role_ROLE_IT_ADMIN), program("north-"+name, north.GetId(), identityv1.Role_ROLE_RISK_MANAGER), program("member-"+name, "", identityv1.Role_ROLE_MEMBER)
			ofWhole, again, ofLocal, ofMember, byRoot := create(amy, whole), create(amy, whole), create(amy, local), create(amy, member), create(root, whole)
			signed, err := w.exchange(t, ofWhole.GetToken())
			if err != nil {
				t.Fatal(err)
			}
			held := w.heldToken(t, signed.GetAccessToken())
			if _, err := held.users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil {
				t.Fatal(err)
			}
			tt.end(t, id)
			for what, token := range map[string]struct {
				*identityv1.CreateApiTokenResponse
				good bool
			}{
				"the IT admin's": {ofWhole, false}, "another of the IT admin's": {again, false}, "North's": {ofLocal, tt.north},
				"the member's": {ofMember, true}, "the other admin's": {byRoot, true},
			} {
				switch _, err := w.exchange(t, token.GetToken()); {
				case !token.good:
					refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
				case err != nil:
					t.Errorf("%s token: %v", what, err)
				}
			}
			_, err = held.users.GetMe(t.Context(), &identityv1.GetMeRequest{})
			refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
			told := servicetest.Wait(t, w.Harness, func(ev *eventv1.ApiTokenRevoked) bool {
				return ev.GetApiToken().GetId() == ofWhole.GetApiToken().GetId()
			})
			about := told.GetContext()
			if u := told.GetUser(); u.GetId() != whole || u.GetVersion() == 0 || about.GetVersion() != u.GetVersion() || about.GetUserId() != whole {
				t.Errorf("told: %v", told)
			}
			actor := root.user.GetId()
			if tt.source {
				actor = idp.source.GetId()
			}
			if about.GetActor().GetId() != actor || about.GetBulk() {
				t.Errorf("told as: %v", about)
			}
		})
	}
}

// program makes a service for which somebody answers, and gives it a role. Its id is
// returned.
func (p person) program(t *testing.T, w *world, accountable, name, environment string, role identityv1.Role) string {
	t.Helper()
	made, err := p.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: name, DisplayName: name, AccountableUserId: accountable,
		Purpose: "reads", EndTime: timestamppb.New(w.clock.Now().Add(48 * time.Hour)), EnvironmentId: environment,
	})
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetUser().GetId()
	if _, err := p.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: id, Role: role}); err != nil {
		t.Fatal(err)
	}
	return id
}

// An admin of an environment who answers for a program that holds its role in the
// whole organization does not make its token: it may do more than they.
func TestAnEnvironmentsAdminAnswersForAProgramOfTheOrganization(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	north := root.environment(t, w, "North")
	amy := root.provider(t, w, "Corp directory").create(t, "amy")
	keeper := root.program(t, w, amy, "keeper", "", identityv1.Role_ROLE_IT_ADMIN)
	if _, err := root.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{
		Id: amy, Role: identityv1.Role_ROLE_ADMIN, RoleEnvironmentId: north.GetId(),
	}); err != nil {
		t.Fatal(err)
	}
	_, err := w.as(t, amy).tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{
		Name: "script", UserId: keeper, ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour)),
	})
	refused(t, err, codes.PermissionDenied, "NOT_ACCOUNTABLE")
}

// The admin of an environment who goes has made tokens of its services alone.
func TestTokensOfAnEnvironmentsFormerAdmin(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	north := root.environment(t, w, "North")
	second := north.member.user.GetId()
	reader := root.program(t, w, second, "reader", north.GetId(), identityv1.Role_ROLE_IT_ADMIN)
	role := func(by person, user string, role identityv1.Role) {
		t.Helper()
		if _, err := by.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: user, Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	role(root, second, identityv1.Role_ROLE_ADMIN)
	token, err := north.admin.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{
		Name: "script", UserId: reader, ExpireTime: timestamppb.New(w.clock.Now().Add(time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
	role(w.as(t, second), north.admin.user.GetId(), identityv1.Role_ROLE_MEMBER)
	_, err = w.exchange(t, token.GetToken())
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}
