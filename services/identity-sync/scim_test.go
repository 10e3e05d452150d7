package identitysync_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

const (
	active    = identityv1.UserState_USER_STATE_ACTIVE
	suspended = identityv1.UserState_USER_STATE_SUSPENDED
	removed   = identityv1.UserState_USER_STATE_REMOVED
)

// about is an event with a user in it.
type about interface {
	proto.Message
	GetContext() *eventv1.Context
	GetUser() *identityv1.User
}

// userEvents gives the events of a user so far, with the version each time,
// and holds what is true of every such event. It waits for the event that has
// the version last.
func (w *world) userEvents(t *testing.T, id string, last int64) []string {
	t.Helper()
	var out []string
	servicetest.Eventually(t, fmt.Sprintf("event with version %d of user %s", last, id), func() bool {
		out = nil
		done := false
		for _, ev := range w.Events() {
			u, ok := ev.Message.(about)
			if !ok || u.GetUser().GetId() != id || strings.Contains(ev.Subject, ".role.") {
				continue
			}
			parts := strings.Split(ev.Subject, ".")
			line := fmt.Sprint(parts[3], " ", u.GetContext().GetVersion())
			if up, ok := u.(*eventv1.UserUpdated); ok {
				line += " " + strings.Join(up.GetChangedFields(), ",")
			}
			out = append(out, line)
			done = done || u.GetContext().GetVersion() >= last
			if u.GetContext().GetVersion() != u.GetUser().GetVersion() || u.GetContext().GetUserId() != id || parts[2] != "user" {
				t.Errorf("event %s does not fit its user: %v", ev.Subject, u)
			}
		}
		return done
	})
	return out
}

// bySource is true of events that the source caused.
func bySource(c *eventv1.Context, p *provider) bool {
	a := c.GetActor()
	return a.GetKind() == eventv1.ActorKind_ACTOR_KIND_SOURCE && a.GetId() == p.source.GetId() && a.GetDisplayName() == p.source.GetName()
}

// B-USR-04
func TestPeopleComeBySCIM(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	mia := idp.create(t, "mia")
	made := idp.must(t, http.StatusCreated, "POST", "/Users", describe("ned", schemaEnterprise, manager(mia), "nickName", "Neddy"))
	ned, _ := made["id"].(string)

	joined := servicetest.Wait(t, w.Harness, func(ev *eventv1.UserJoined) bool { return ev.GetUser().GetId() == ned })
	want := &identityv1.User{
		Id: ned, OrganizationId: admin.organization.GetId(), SourceId: idp.source.GetId(), ExternalId: "ext-ned",
		UserName: "ned@corp.example", DisplayName: "Ned Example", GivenName: "Ned", FamilyName: "Example", Email: "ned@corp.example",
		Title: "Engineer", Department: "Engines", ManagerId: mia, State: active, Kind: identityv1.UserKind_USER_KIND_EMPLOYEE,
		Role: identityv1.Role_ROLE_MEMBER, Version: 1, JoinCount: 1,
	}
	if d := cmp.Diff(want, joined.GetUser(), protocmp.Transform(), protocmp.IgnoreFields(want, "create_time", "update_time")); d != "" {
		t.Error(d)
	}
	if !bySource(joined.GetContext(), idp) {
		t.Errorf("actor: %v", joined.GetContext().GetActor())
	}
	if d := cmp.Diff(joined.GetUser(), admin.find(t, ned), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	// With no further step they are in.
	if me, err := w.as(t, "ned@corp.example").users.GetMe(t.Context(), &identityv1.GetMeRequest{}); err != nil || me.GetUser().GetId() != ned {
		t.Errorf("GetMe: %v %v", me, err)
	}
	// The identity provider reads back what it sent.
	got := idp.must(t, http.StatusOK, "GET", "/Users/"+ned, nil)
	if d := cmp.Diff(made, got); d != "" {
		t.Error(d)
	}
	if got["nickName"] != "Neddy" || got["meta"].(object)["version"] != `W/"1"` {
		t.Errorf("read back: %v", got)
	}

	// An event names what changed.
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+ned, patch("replace", "", object{"title": "Lead", schemaEnterprise + ":department": "Looms"}))
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+ned, patch("replace", "nickName", "Ed")) // nobody else's business
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+ned, patch("replace", "nickName", "Ed")) // no change
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+ned, patch("remove", schemaEnterprise+":manager", nil))
	if d := cmp.Diff([]string{"joined 1", "updated 2 title,department", "updated 4 manager_id"}, w.userEvents(t, ned, 4)); d != "" {
		t.Error(d)
	}
	if u := admin.find(t, ned); u.GetTitle() != "Lead" || u.GetDepartment() != "Looms" || u.GetManagerId() != "" || u.GetVersion() != 4 {
		t.Errorf("user: %v", u)
	}
	// A writer who has not seen the last change is refused.
	stale := idp.do(t, "PATCH", "/Users/"+ned, patch("replace", "title", "Boss"), "If-Match", `W/"3"`)
	if stale.code != http.StatusPreconditionFailed {
		t.Errorf("stale If-Match: %d", stale.code)
	}
}

// Managers may come after those they manage, under whatever name the identity
// provider has for them. B-USR-04
func TestManagersComeLater(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	other := admin.provider(t, w, "Another directory")
	byName := idp.create(t, "ann", schemaEnterprise, manager("MIA@corp.example"))
	byExternal := idp.create(t, "bob", schemaEnterprise, manager("ext-mia"))
	stranger := idp.create(t, "cem", schemaEnterprise, manager("ext-zoe"))
	elsewhere := other.create(t, "dan", schemaEnterprise, manager("ext-mia"))
	for _, id := range []string{byName, byExternal, stranger, elsewhere} {
		if m := admin.find(t, id).GetManagerId(); m != "" {
			t.Errorf("manager %q before there is one", m)
		}
	}
	mia := idp.create(t, "mia")
	for _, id := range []string{byName, byExternal} {
		if d := cmp.Diff([]string{"joined 1", "updated 2 manager_id"}, w.userEvents(t, id, 2)); d != "" {
			t.Error(d)
		}
		if m := admin.find(t, id).GetManagerId(); m != mia {
			t.Errorf("manager %q, want %s", m, mia)
		}
	}
	for _, id := range []string{stranger, elsewhere} {
		if u := admin.find(t, id); u.GetManagerId() != "" || u.GetVersion() != 1 {
			t.Errorf("not mia's: %v", u)
		}
	}
	// The same for one who is given another name later.
	zoe := idp.create(t, "zed")
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+zoe, patch("replace", "externalId", "ext-zoe"))
	if m := admin.find(t, stranger).GetManagerId(); m != zoe {
		t.Errorf("manager %q, want %s", m, zoe)
	}
	// And for one who comes back: their own id is known before they are.
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+zoe, nil)
	late := idp.create(t, "late", schemaEnterprise, manager(zoe))
	if m := admin.find(t, late).GetManagerId(); m != "" {
		t.Errorf("manager %q has left", m)
	}
	idp.create(t, "zed", "externalId", "ext-zoe")
	if m := admin.find(t, late).GetManagerId(); m != zoe {
		t.Errorf("manager %q, want %s", m, zoe)
	}
	// Nobody becomes their own manager by that.
	self := idp.create(t, "self", schemaEnterprise, manager("ext-self"))
	if m := admin.find(t, self).GetManagerId(); m != "" {
		t.Errorf("own manager")
	}
}

// A manager is found by user name in whatever case and width it is written, composed or
// not, whether they come before or after: as user names are compared everywhere.
// B-USR-17 (in part: user names)
func TestManagersByAnyFormOfTheirName(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	refs := []string{"ZO\u00cb@corp.example", "zoe\u0308@corp.example", "\uff3ao\u00eb@corp.example", "\uff5aoe\u0308@CORP.example"}
	var waiting []string
	for i, ref := range refs {
		waiting = append(waiting, idp.create(t, fmt.Sprintf("early%d", i), schemaEnterprise, manager(ref)))
	}
	zoe := idp.create(t, "zoe", "userName", "zo\u00eb@corp.example")
	for i, ref := range refs {
		waiting = append(waiting, idp.create(t, fmt.Sprintf("late%d", i), schemaEnterprise, manager(ref)))
	}
	for i, id := range waiting {
		if m := admin.find(t, id).GetManagerId(); m != zoe {
			t.Errorf("%q: manager %q, want %s", refs[i%len(refs)], m, zoe)
		}
	}
}

// memberEvents gives the events of a group's members so far.
func (w *world) memberEvents(t *testing.T, group string, last int64) []string {
	t.Helper()
	var out []string
	servicetest.Eventually(t, fmt.Sprintf("event with version %d of group %s", last, group), func() bool {
		out = nil
		done := false
		for _, ev := range w.Events() {
			g, ok := ev.Message.(interface {
				GetGroup() *identityv1.Group
				GetContext() *eventv1.Context
			})
			if !ok || g.GetGroup().GetId() != group {
				continue
			}
			line := strings.Split(ev.Subject, ".")[3]
			if m, ok := ev.Message.(interface{ GetMember() *identityv1.Person }); ok {
				line += " " + m.GetMember().GetDisplayName()
				if g.GetContext().GetUserId() != m.GetMember().GetUserId() {
					t.Errorf("event %s is about %s", ev.Subject, g.GetContext().GetUserId())
				}
			}
			out = append(out, fmt.Sprintf("%s %d/%d", line, g.GetContext().GetVersion(), g.GetGroup().GetMemberCount()))
			done = done || g.GetContext().GetVersion() >= last
		}
		return done
	})
	return out
}

// B-USR-04
func TestGroupsComeBySCIM(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ann, bob, cem := idp.create(t, "ann"), idp.create(t, "bob"), idp.create(t, "cem")
	staff := idp.createGroup(t, "Staff", ann, bob)
	at := "/Groups/" + staff

	idp.must(t, http.StatusOK, "PATCH", at, patch("add", "members", values(bob, cem)))
	idp.must(t, http.StatusOK, "PATCH", at, patch("remove", `members[value eq "`+ann+`"]`, nil))
	idp.must(t, http.StatusOK, "PATCH", at, patch("remove", `members[value eq "`+ann+`"]`, nil)) // no change
	idp.must(t, http.StatusOK, "PATCH", at, patch("remove", "members", values("nonsense")))      // no change
	idp.must(t, http.StatusOK, "PATCH", at, patch("replace", "displayName", "All staff"))
	idp.must(t, http.StatusOK, "PATCH", at, patch("replace", "members", values(ann, cem)))
	got := idp.must(t, http.StatusOK, "PUT", at, object{
		"schemas": []string{schemaGroup}, "displayName": "Staff", "externalId": "g1", "members": values(cem, bob),
	})
	if v := got["meta"].(object)["version"]; v != `W/"11"` {
		t.Errorf("version %v", v)
	}
	want := []string{
		"created 1/0", "member_added Ann Example 2/1", "member_added Bob Example 3/2",
		"member_added Cem Example 4/3",
		"member_removed Ann Example 5/2",
		"updated 6/2",
		"member_removed Bob Example 7/1", "member_added Ann Example 8/2",
		"updated 9/2", "member_removed Ann Example 10/1", "member_added Bob Example 11/2",
	}
	if d := cmp.Diff(want, w.memberEvents(t, staff, 11)); d != "" {
		t.Error(d)
	}
	ev := servicetest.Wait(t, w.Harness, func(ev *eventv1.GroupMemberAdded) bool { return ev.GetMember().GetUserId() == cem })
	if !bySource(ev.GetContext(), idp) || ev.GetMember().GetEmail() != "cem@corp.example" || ev.GetGroup().GetDisplayName() != "Staff" {
		t.Errorf("group.member_added: %v", ev)
	}
	members, err := admin.groups.ListGroupMembers(t.Context(), &identityv1.ListGroupMembersRequest{GroupId: staff})
	if err != nil || len(members.GetUsers()) != 2 || members.GetUsers()[0].GetId() != bob || members.GetUsers()[1].GetId() != cem {
		t.Errorf("members: %v %v", members, err)
	}
	// SCIM shows both sides of it.
	full := idp.must(t, http.StatusOK, "GET", at, nil)
	if m, _ := full["members"].([]any); len(m) != 2 || m[0].(object)["value"] != bob || m[0].(object)["display"] != "Bob Example" {
		t.Errorf("members: %v", full["members"])
	}
	user := idp.must(t, http.StatusOK, "GET", "/Users/"+bob, nil)
	if g, _ := user["groups"].([]any); len(g) != 1 || g[0].(object)["value"] != staff || g[0].(object)["display"] != "Staff" {
		t.Errorf("groups: %v", user["groups"])
	}

	idp.must(t, http.StatusNoContent, "DELETE", at, nil)
	gone := servicetest.Wait(t, w.Harness, func(ev *eventv1.GroupRemoved) bool { return ev.GetGroup().GetId() == staff })
	if gone.GetContext().GetVersion() != 12 || gone.GetGroup().GetDisplayName() != "Staff" {
		t.Errorf("group.removed: %v", gone)
	}
	idp.must(t, http.StatusNotFound, "GET", at, nil)
	idp.must(t, http.StatusNotFound, "DELETE", at, nil)
	if user := idp.must(t, http.StatusOK, "GET", "/Users/"+bob, nil); user["groups"] != nil {
		t.Errorf("groups: %v", user["groups"])
	}
}

func TestGroupRefuses(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	foreign := admin.provider(t, w, "Another").create(t, "foreign")
	ann, gone := idp.create(t, "ann"), idp.create(t, "gone")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+gone, nil)
	staff := idp.createGroup(t, "Staff", ann)
	for name, id := range map[string]string{"of another source": foreign, "removed": gone, "unknown": uuid.NewString(), "no id": "nonsense", "a group": staff} {
		r := idp.do(t, "PATCH", "/Groups/"+staff, patch("add", "members", values(id)))
		if r.code != http.StatusBadRequest || r.body["scimType"] != "invalidValue" {
			t.Errorf("member %s: %d %v", name, r.code, r.body)
		}
		r = idp.do(t, "POST", "/Groups", object{"schemas": []string{schemaGroup}, "displayName": "x", "members": values(ann, id)})
		if r.code != http.StatusBadRequest {
			t.Errorf("new group with member %s: %d %v", name, r.code, r.body)
		}
	}
	// Neither names nor externalIds need be unique.
	idp.createGroup(t, "Staff")
	idp.must(t, http.StatusOK, "PATCH", "/Groups/"+staff, patch("replace", "externalId", "g1"))
	idp.must(t, http.StatusCreated, "POST", "/Groups", object{"schemas": []string{schemaGroup}, "displayName": "Other", "externalId": "g1"})
	if n := idp.must(t, http.StatusOK, "GET", "/Groups?filter="+url.QueryEscape(`externalId eq "g1"`), nil)["totalResults"]; n != 2.0 {
		t.Errorf("%v groups with the same externalId", n)
	}
}

// Someone who comes switched off is suspended from the start, and joins when
// switched on.
func TestSwitchedOffAndOn(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	id := idp.create(t, "ned", "active", false)
	at := "/Users/" + id
	if u := admin.find(t, id); u.GetState() != suspended {
		t.Errorf("state %s", u.GetState())
	}
	_, err := w.nobody(t).sessions.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: "ned@corp.example"})
	refused(t, err, codes.NotFound, "USER_NOT_FOUND")
	idp.must(t, http.StatusOK, "PATCH", at, patch("replace", "title", "Lead"))
	idp.must(t, http.StatusOK, "PATCH", at, patch("replace", "active", true))
	if u := admin.find(t, id); u.GetState() != active || u.GetJoinCount() != 1 {
		t.Errorf("user: %v", u)
	}

	// Switched off: sessions end, and API tokens rest.
	ned := w.as(t, "ned@corp.example")
	token := ned.apiToken(t, w, false)
	signed, err := w.exchange(t, ned.secret)
	if err != nil {
		t.Fatal(err)
	}
	idp.must(t, http.StatusOK, "PATCH", at, patch("Replace", "active", "False")) // as Entra says it
	for _, secret := range []string{ned.secret, token.GetToken()} {
		_, err := w.exchange(t, secret)
		refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	}
	// Nor does the signed token that is still around get another secret.
	_, err = createToken(t, w, signed.GetAccessToken())
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")

	idp.must(t, http.StatusOK, "PUT", at, describe("ned", "title", "Boss"))
	if _, err := w.exchange(t, token.GetToken()); err != nil {
		t.Errorf("API token after the pause: %v", err)
	}
	_, err = w.exchange(t, ned.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")

	// Switched off and changed at once: both are emitted.
	idp.must(t, http.StatusOK, "PATCH", at, patch("replace", "", object{"active": false, "title": "Former boss"}))
	want := []string{"suspended 1", "updated 2 title", "joined 3", "suspended 4", "updated 5 title,state", "suspended 6", "updated 7 title"}
	if d := cmp.Diff(want, w.userEvents(t, id, 7)); d != "" {
		t.Error(d)
	}
}

// createToken makes an API token with a signed token at hand.
func createToken(t *testing.T, w *world, signed string) (*identityv1.CreateApiTokenResponse, error) {
	t.Helper()
	return identityv1.NewApiTokenServiceClient(dial(t, w.Addr, "")).CreateApiToken(withToken(t, signed), &identityv1.CreateApiTokenRequest{
		Name: "late", ExpireTime: w.inAnHour(),
	})
}

// B-ONB-13
func TestLeavingAndComingBack(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	id := idp.create(t, "ned")
	staff, other := idp.createGroup(t, "Staff", id), idp.createGroup(t, "Other", id)
	if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: id, Role: identityv1.Role_ROLE_ADMIN}); err != nil {
		t.Fatal(err)
	}
	ned := w.as(t, "ned@corp.example")
	token := ned.apiToken(t, w, false)
	signed, err := w.exchange(t, ned.secret)
	if err != nil {
		t.Fatal(err)
	}

	// Leaving: user.removed, out of all groups, every secret ended at once.
	if r := idp.do(t, "DELETE", "/Users/"+id, nil, "If-Match", `W/"1"`); r.code != http.StatusPreconditionFailed {
		t.Errorf("stale If-Match: %d", r.code)
	}
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+id, nil)
	for _, secret := range []string{ned.secret, token.GetToken()} {
		_, err := w.exchange(t, secret)
		refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	}
	_, err = createToken(t, w, signed.GetAccessToken())
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	gone := servicetest.Wait(t, w.Harness, func(ev *eventv1.UserRemoved) bool { return ev.GetUser().GetId() == id })
	if gone.GetUser().GetState() != removed || gone.GetUser().GetDisplayName() != "Ned Example" || !bySource(gone.GetContext(), idp) {
		t.Errorf("user.removed: %v", gone)
	}
	servicetest.Wait(t, w.Harness, func(ev *eventv1.ApiTokenRevoked) bool { return ev.GetApiToken().GetId() == token.GetApiToken().GetId() })
	for _, g := range []string{staff, other} {
		if got := w.memberEvents(t, g, 3); !slices.Contains(got, "member_removed Ned Example 3/0") {
			t.Errorf("group: %v", got)
		}
	}
	// Gone for SCIM, kept for history.
	for _, r := range []reply{
		idp.do(t, "GET", "/Users/"+id, nil), idp.do(t, "DELETE", "/Users/"+id, nil),
		idp.do(t, "PATCH", "/Users/"+id, patch("replace", "title", "x")), idp.do(t, "PUT", "/Users/"+id, describe("ned")),
	} {
		if r.code != http.StatusNotFound {
			t.Errorf("removed user: %d %v", r.code, r.body)
		}
	}
	if n := idp.must(t, http.StatusOK, "GET", "/Users", nil)["totalResults"]; n != 0.0 {
		t.Errorf("totalResults %v", n)
	}
	if u := admin.find(t, id); u.GetState() != removed {
		t.Errorf("state %s", u.GetState())
	}
	list, err := admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{Query: "ned@"})
	if err != nil || len(list.GetUsers()) != 0 {
		t.Errorf("list without the removed: %v %v", list, err)
	}

	// Coming back: the same person, a fresh start, none of the old power.
	back := idp.must(t, http.StatusCreated, "POST", "/Users", describe("ned", "userName", "ned.new@corp.example"))
	if back["id"] != id {
		t.Fatalf("came back as %v, was %s", back["id"], id)
	}
	u := admin.find(t, id)
	if u.GetJoinCount() != 2 || u.GetState() != active || u.GetRole() != identityv1.Role_ROLE_MEMBER || u.GetUserName() != "ned.new@corp.example" {
		t.Errorf("came back: %v", u)
	}
	joined := servicetest.Wait(t, w.Harness, func(ev *eventv1.UserJoined) bool {
		return ev.GetUser().GetId() == id && ev.GetUser().GetJoinCount() == 2
	})
	if joined.GetContext().GetVersion() != 4 {
		t.Errorf("user.joined: %v", joined)
	}
	servicetest.Wait(t, w.Harness, func(ev *eventv1.RoleChanged) bool {
		return ev.GetUser().GetId() == id && ev.GetPreviousRole() == identityv1.Role_ROLE_ADMIN
	})
	for _, secret := range []string{ned.secret, token.GetToken()} {
		_, err := w.exchange(t, secret)
		refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	}
	if back["groups"] != nil {
		t.Errorf("groups came back: %v", back["groups"])
	}
	// By userName alone, and switched off this time.
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+id, nil)
	if again := idp.create(t, "ned", "userName", "NED.new@corp.example", "externalId", nil, "active", false); again != id {
		t.Errorf("came back as %s", again)
	}
	if u := admin.find(t, id); u.GetJoinCount() != 3 || u.GetState() != suspended {
		t.Errorf("came back: %v", u)
	}
	if d := cmp.Diff([]string{"joined 1", "updated 2 role", "removed 3", "joined 4", "removed 5", "suspended 6"}, w.userEvents(t, id, 6)); d != "" {
		t.Error(d)
	}
}

// B-USR-16, in part: a userName that was somebody else's makes nobody them.
func TestAnotherPersonWithAUserName(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	old := idp.create(t, "ned")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+old, nil)
	heir := idp.create(t, "ned", "externalId", "ext-another-ned")
	if heir == old {
		t.Fatal("somebody new is taken for who left")
	}
	if u := admin.find(t, heir); u.GetJoinCount() != 1 {
		t.Errorf("new: %v", u)
	}
	if u := admin.find(t, old); u.GetState() != removed {
		t.Errorf("left: %v", u)
	}
	// Who left comes back as themselves, under a name that is free.
	if back := idp.create(t, "ned", "userName", "ned.first@corp.example"); back != old {
		t.Errorf("came back as %s, was %s", back, old)
	}
	// Of several who have left, the externalId finds the right one.
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+heir, nil)
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+old, nil)
	if third := idp.create(t, "ned", "externalId", "ext-third-ned"); third == old || third == heir {
		t.Error("somebody new is taken for who left")
	}
}

// Several people of a source may have the same externalId: it then names nobody. Who
// leaves and comes back under it is somebody new, so that nobody is taken for another.
// B-USR-16, in part
func TestSharedExternalID(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	shared := func(name string) string { return idp.create(t, name, "externalId", "acme") }
	ann, bob := shared("ann"), shared("bob")
	cem := idp.create(t, "cem")
	idp.must(t, http.StatusOK, "PUT", "/Users/"+cem, describe("cem", "externalId", "acme"))
	found := idp.must(t, http.StatusOK, "GET", "/Users?filter="+url.QueryEscape(`externalId eq "acme"`), nil)
	if found["totalResults"] != 3.0 {
		t.Errorf("%v people with the externalId", found["totalResults"])
	}

	leave := func(id string) { idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+id, nil) }
	anew := func(what, id string, gone ...string) {
		t.Helper()
		if slices.Contains(gone, id) || admin.find(t, id).GetJoinCount() != 1 {
			t.Errorf("%s: taken for somebody who left", what)
		}
	}
	leave(bob)
	second := shared("bob")
	anew("the same names, others have the externalId", second, bob)
	leave(ann)
	leave(second)
	leave(cem)
	anew("all have left", shared("zoe"), ann, bob, second, cem)
	anew("the same userName, the same externalId", shared("bob"), ann, bob, second, cem)
	// Without one the userName says who, if it was one person's.
	if back := idp.create(t, "ann", "externalId", nil); back != ann {
		t.Error("the userName of one who left, and no externalId: somebody new")
	}
}

// Of several with a userName who have left, one who comes without an externalId is
// none. B-USR-16, in part
func TestUserNameOfSeveralWhoLeft(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	first := idp.create(t, "ned", "externalId", "1")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+first, nil)
	second := idp.create(t, "ned", "externalId", "2")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+second, nil)
	if third := idp.create(t, "ned", "externalId", nil); third == first || third == second {
		t.Error("somebody is taken for one of two who left")
	}
}

// A manager is nobody by an externalId that two have, whoever came first.
func TestManagerBySharedExternalID(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	mia := idp.create(t, "mia", "externalId", "acme")
	if m := admin.find(t, idp.create(t, "one", schemaEnterprise, manager("acme"))).GetManagerId(); m != mia {
		t.Errorf("manager %q of an externalId that one has, want %s", m, mia)
	}
	idp.create(t, "moe", "externalId", "acme")
	late := idp.create(t, "late", schemaEnterprise, manager("acme"))
	if m := admin.find(t, late).GetManagerId(); m != "" {
		t.Errorf("manager %s of an externalId that two have", m)
	}
	idp.create(t, "max", "externalId", "acme")
	if m := admin.find(t, late).GetManagerId(); m != "" {
		t.Errorf("manager %s of an externalId that three have", m)
	}
	if m := admin.find(t, idp.create(t, "named", schemaEnterprise, manager("mia@corp.example"))).GetManagerId(); m != mia {
		t.Errorf("manager %q by userName, want %s", m, mia)
	}
}

func TestUniqueness(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp, other := admin.provider(t, w, "Corp directory"), admin.provider(t, w, "Another")
	ann, bob := idp.create(t, "ann"), idp.create(t, "bob")
	for name, r := range map[string]reply{
		"userName, any case":           idp.do(t, "POST", "/Users", describe("ANN", "externalId", "x")),
		"userName of the first admin":  idp.do(t, "POST", "/Users", describe("eve", "userName", admin.user.GetUserName())),
		"userName in another source":   other.do(t, "POST", "/Users", describe("ann", "externalId", "x")),
		"userName by PATCH":            idp.do(t, "PATCH", "/Users/"+bob, patch("replace", "userName", "ann@corp.example")),
		"userName of one who was here": comeBackTo(t, idp),
	} {
		if r.code != http.StatusConflict || r.body["scimType"] != "uniqueness" {
			t.Errorf("%s: %d %v", name, r.code, r.body)
		}
	}
	other.create(t, "carl", "externalId", "ext-ann") // an id is one source's own
	if u := admin.find(t, ann); u.GetVersion() != 1 {
		t.Errorf("ann changed: %v", u)
	}
	long := idp.do(t, "POST", "/Users", describe("x", "userName", strings.Repeat("é", 513)))
	if long.code != http.StatusBadRequest || long.body["scimType"] != "invalidValue" {
		t.Errorf("long userName: %d %v", long.code, long.body)
	}
	idp.create(t, "y", "userName", strings.Repeat("é", 512), "displayName", strings.Repeat("ü", 512), "externalId", strings.Repeat("ö", 512))
}

// Two user names that look the same are the same, at every door; what is hidden in one
// is refused. What was written is shown.
func TestUserNamesThatLookTheSame(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp, another := admin.provider(t, w, "Corp directory"), admin.provider(t, w, "Another")
	zoe := idp.create(t, "zoe", "userName", "Zo\u00eb@corp.example")
	for _, name := range []string{"zo\u00eb@corp.example", "ZOE\u0308@corp.example", "\uff3a\uff4f\u00eb@corp.example", "zo\u00eb\uff20corp.example"} {
		for door, r := range map[string]reply{
			"POST":           idp.do(t, "POST", "/Users", describe("x", "userName", name)),
			"another source": another.do(t, "POST", "/Users", describe("x", "userName", name)),
		} {
			if r.code != http.StatusConflict || r.body["scimType"] != "uniqueness" || !strings.Contains(fmt.Sprint(r.body["detail"]), "userName") {
				t.Errorf("%q by %s: %d %v", name, door, r.code, r.body)
			}
		}
		found := idp.must(t, http.StatusOK, "GET", "/Users?filter="+url.QueryEscape(`userName eq "`+name+`"`), nil)
		if list, _ := found["Resources"].([]any); len(list) != 1 || list[0].(object)["userName"] != "Zo\u00eb@corp.example" {
			t.Errorf("%q finds %v", name, found)
		}
		if p := w.as(t, name); p.user.GetId() != zoe {
			t.Errorf("%q signs %v in", name, p.user)
		}
		_, err := admin.createService(t, w, name)
		refused(t, err, codes.AlreadyExists, "USER_NAME_TAKEN")
	}
	for _, name := range []string{"eve\u200e@corp.example", "e\u202eve", "eve\u200b", "eve\x07", "eve\u00ad"} {
		for door, r := range map[string]reply{
			"POST":  idp.do(t, "POST", "/Users", describe("eve", "userName", name)),
			"PUT":   idp.do(t, "PUT", "/Users/"+zoe, describe("zoe", "userName", name)),
			"PATCH": idp.do(t, "PATCH", "/Users/"+zoe, patch("replace", "userName", name)),
		} {
			if r.code != http.StatusBadRequest || r.body["scimType"] != "invalidValue" || !strings.Contains(fmt.Sprint(r.body["detail"]), "userName") {
				t.Errorf("%q by %s: %d %v", name, door, r.code, r.body)
			}
		}
		_, err := admin.createService(t, w, name)
		if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), "user_name") {
			t.Errorf("%q by CreateUser: %v", name, err)
		}
		_, err = w.nobody(t).organizations.SignUp(t.Context(), &identityv1.SignUpRequest{OrganizationName: "Corp", Email: name + "@corp.example", DisplayName: "Eve"})
		if status.Code(err) != codes.InvalidArgument || !slices.Contains(rpctest.Fields(err), "email") {
			t.Errorf("%q by SignUp: %v", name, err)
		}
	}
	if u := admin.find(t, zoe); u.GetVersion() != 1 {
		t.Errorf("zoe changed: %v", u)
	}
}

// createService makes a service with a user name.
func (p person) createService(t *testing.T, w *world, name string) (*identityv1.CreateUserResponse, error) {
	t.Helper()
	return p.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: name, DisplayName: "Nightly", AccountableUserId: p.user.GetId(), Purpose: "exports", EndTime: w.inAnHour(),
	})
}

// comeBackTo lets somebody leave whose userName is taken over, and come back.
func comeBackTo(t *testing.T, idp *provider) reply {
	t.Helper()
	old := idp.create(t, "old")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+old, nil)
	heir := idp.create(t, "heir")
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+heir, patch("replace", "userName", "old@corp.example"))
	return idp.do(t, "POST", "/Users", describe("old"))
}

func TestOtherSourcesSeeNothing(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp, other := admin.provider(t, w, "Corp directory"), admin.provider(t, w, "Another")
	ann := idp.create(t, "ann")
	staff := idp.createGroup(t, "Staff", ann)
	for _, r := range []reply{
		other.do(t, "GET", "/Users/"+ann, nil),
		other.do(t, "PUT", "/Users/"+ann, describe("ann")),
		other.do(t, "PATCH", "/Users/"+ann, patch("replace", "active", false)),
		other.do(t, "DELETE", "/Users/"+ann, nil),
		other.do(t, "GET", "/Groups/"+staff, nil),
		other.do(t, "PATCH", "/Groups/"+staff, patch("remove", "members", nil)),
		other.do(t, "DELETE", "/Groups/"+staff, nil),
		other.do(t, "GET", "/Users/"+admin.user.GetId(), nil),
		idp.do(t, "GET", "/Users/"+admin.user.GetId(), nil),
	} {
		if r.code != http.StatusNotFound {
			t.Errorf("%d %v", r.code, r.body)
		}
	}
	for _, path := range []string{
		"/Users", "/Groups", "/Users?filter=" + url.QueryEscape(`userName eq "ann@corp.example"`),
		"/Groups?filter=" + url.QueryEscape(`members.value eq "`+ann+`"`), "/Users?filter=" + url.QueryEscape(`title co "e"`),
	} {
		if n := other.must(t, http.StatusOK, "GET", path, nil)["totalResults"]; n != 0.0 {
			t.Errorf("%s: %v results", path, n)
		}
	}
	// One who left there is nobody here, and does not come back through here.
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+ann, nil)
	if id := other.create(t, "ann"); id == ann {
		t.Error("somebody came back through another source")
	}
}

func TestSCIMLists(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	var ids []string
	for _, n := range []string{"dora", "Ann", "cem", "bob"} {
		ids = append(ids, idp.create(t, n, "title", "T "+n))
	}
	staff := idp.createGroup(t, "Staff", ids[0], ids[1])
	idp.createGroup(t, "ÄRZTE")
	names := func(path string) (out []string) {
		t.Helper()
		list := idp.must(t, http.StatusOK, "GET", path, nil)
		resources, _ := list["Resources"].([]any)
		for _, r := range resources {
			name, _ := r.(object)["userName"].(string)
			if name == "" {
				name, _ = r.(object)["displayName"].(string)
			}
			out = append(out, strings.TrimSuffix(name, "@corp.example"))
		}
		return append(out, fmt.Sprint(list["totalResults"]))
	}
	filter := func(s string) string { return "filter=" + url.QueryEscape(s) }
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/Users", []string{"dora", "Ann", "cem", "bob", "4"}},
		{"/Users?startIndex=2&count=2", []string{"Ann", "cem", "4"}},
		{"/Users?startIndex=9", []string{"4"}},
		{"/Users?count=0", []string{"4"}},
		{"/Users?sortBy=userName", []string{"Ann", "bob", "cem", "dora", "4"}},
		{"/Users?sortBy=userName&sortOrder=descending&count=3", []string{"dora", "cem", "bob", "4"}},
		{"/Users?sortBy=displayName&startIndex=4", []string{"dora", "4"}},
		{"/Users?sortBy=meta.lastModified&count=1", []string{"dora", "4"}},
		{"/Users?" + filter(`userName eq "ANN@corp.example"`), []string{"Ann", "1"}},
		{"/Users?" + filter(`externalId eq "ext-cem"`), []string{"cem", "1"}},
		{"/Users?" + filter(`externalId eq "EXT-cem"`), []string{"0"}},
		{"/Users?" + filter(`id eq "`+ids[3]+`"`), []string{"bob", "1"}},
		{"/Users?" + filter(`id eq "nonsense"`), []string{"0"}},
		{"/Users?" + filter(`emails.value eq "Bob@CORP.example"`), []string{"bob", "1"}},
		{"/Users?" + filter(`emails[type eq "work" and value eq "bob@corp.example"]`), []string{"bob", "1"}},
		{"/Users?" + filter(`title sw "t" and userName co "o"`), []string{"dora", "Ann", "cem", "bob", "4"}},
		{"/Users?" + filter(`title ew "n" or title ew "m"`) + "&count=1&startIndex=2", []string{"cem", "2"}},
		{"/Users?" + filter(`groups.value eq "`+staff+`"`), []string{"dora", "Ann", "2"}},
		{"/Groups?" + filter(`displayName eq "staff"`), []string{"Staff", "1"}},
		{"/Groups?" + filter(`members.value eq "`+ids[1]+`"`), []string{"Staff", "1"}},
		{"/Groups?" + filter(`members.value eq "`+ids[2]+`"`), []string{"0"}},
		{"/Groups?sortBy=displayName", []string{"Staff", "ÄRZTE", "2"}},
	} {
		if d := cmp.Diff(tt.want, names(tt.path)); d != "" {
			t.Errorf("%s: %s", tt.path, d)
		}
	}
	// Members and groups come when asked for, and only then.
	group := func(query string) any {
		return idp.must(t, http.StatusOK, "GET", "/Groups?"+filter(`displayName eq "Staff"`)+query, nil)["Resources"].([]any)[0].(object)["members"]
	}
	if m, _ := group("").([]any); len(m) != 2 {
		t.Errorf("members: %v", m)
	}
	if m := group("&excludedAttributes=members"); m != nil {
		t.Errorf("members: %v", m)
	}
}

// Of many who push the same person at once one wins, and nothing is half done.
func TestSCIMAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ann := idp.create(t, "ann")
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+ann, nil)
	bob := idp.create(t, "bob")
	var people []string
	for i := range 8 {
		people = append(people, idp.create(t, fmt.Sprint("p", i)))
	}
	staff := idp.createGroup(t, "Staff")

	var mu sync.Mutex
	codes := map[string]int{}
	var wg sync.WaitGroup
	at := func(what, method, path string, body any) {
		wg.Go(func() {
			r := idp.do(t, method, path, body)
			mu.Lock()
			defer mu.Unlock()
			codes[fmt.Sprint(what, " ", r.code)]++
		})
	}
	for i := range 4 {
		at("new", "POST", "/Users", describe("new"))
		at("back", "POST", "/Users", describe("ann"))
		at("title", "PATCH", "/Users/"+bob, patch("replace", "title", fmt.Sprint("T", i)))
	}
	for _, p := range people {
		at("member", "PATCH", "/Groups/"+staff, patch("add", "members", values(p)))
	}
	wg.Wait()
	want := map[string]int{"new 201": 1, "new 409": 3, "back 201": 1, "back 409": 3, "title 200": 4, "member 200": 8}
	if d := cmp.Diff(want, codes); d != "" {
		t.Error(d)
	}
	if u := admin.find(t, bob); u.GetVersion() != 5 {
		t.Errorf("bob after 4 changes: version %d", u.GetVersion())
	}
	if u := admin.find(t, ann); u.GetJoinCount() != 2 {
		t.Errorf("ann came back %d times", u.GetJoinCount()-1)
	}
	got := w.memberEvents(t, staff, 9)
	for i, line := range got[1:] {
		if !strings.HasSuffix(line, fmt.Sprintf(" %d/%d", i+2, i+1)) {
			t.Errorf("member events out of order: %v", got)
		}
	}
	// A person who leaves while being put into groups is in none afterwards.
	for round := range 5 {
		id := idp.create(t, fmt.Sprint("leaver", round))
		wg.Go(func() { idp.do(t, "DELETE", "/Users/"+id, nil) })
		wg.Go(func() { idp.do(t, "PATCH", "/Groups/"+staff, patch("add", "members", values(id))) })
		wg.Wait()
		members, err := admin.groups.ListGroupMembers(t.Context(), &identityv1.ListGroupMembersRequest{GroupId: staff, PageSize: 1000})
		if err != nil || len(members.GetUsers()) != 8 {
			t.Fatalf("round %d: %d members, %v", round, len(members.GetUsers()), err)
		}
	}
	for _, u := range w.Events() {
		if u.Message.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name("context")) == nil {
			t.Errorf("event %s has no context", u.Subject)
		}
	}
}

// B-USR-04: a big group is one request, and an event for each member.
func TestBigGroup(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	const n = 300
	ids := make([]string, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			ids[i] = idp.create(t, fmt.Sprint("p", i))
			<-slots
		})
	}
	wg.Wait()
	group := idp.createGroup(t, "Everybody", ids...)
	idp.must(t, http.StatusNoContent, "PATCH", "/Groups/"+group, patch("remove", "members", values(ids[0])))
	if got := w.memberEvents(t, group, n+2); len(got) != n+2 || got[n+1] != fmt.Sprintf("member_removed P0 Example %d/%d", n+2, n-1) {
		t.Errorf("%d events, the last %s", len(got), got[len(got)-1])
	}
}
