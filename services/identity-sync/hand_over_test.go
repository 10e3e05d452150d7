package identitysync_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// handOver hands people over by id, each called x- and the id.
func (p person) handOver(t *testing.T, idp *provider, preview bool, ids ...string) ([]*identityv1.User, error) {
	t.Helper()
	req := &identityv1.HandOverUsersRequest{Id: idp.source.GetId(), ValidateOnly: preview}
	for _, id := range ids {
		req.Users = append(req.Users, &identityv1.UserHandOver{UserId: id, ExternalId: "x-" + id})
	}
	r, err := p.sources.HandOverUsers(t.Context(), req)
	return r.GetUsers(), err
}

// Who signed up belongs to no source. One that brings the same userName is told what an
// admin can do, and takes nobody over; once the admin has handed them over it finds them
// and keeps them as its own. B-USR-17
func TestFounderIsHandedOver(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	founder := admin.user.GetId()
	body := describe("rob", "userName", admin.user.GetUserName(), "externalId", "x-"+founder, "emails", []object{{"value": admin.user.GetEmail(), "type": "work", "primary": true}})
	r := idp.do(t, "POST", "/Users", body)
	if r.code != http.StatusConflict || r.body["scimType"] != "uniqueness" || !strings.Contains(fmt.Sprint(r.body["detail"]), "handOverUsers") {
		t.Errorf("before: %d %v", r.code, r.body)
	}

	before := admin.find(t, founder)
	users, err := admin.handOver(t, idp, true, founder)
	if err != nil || len(users) != 1 || users[0].GetSourceId() != idp.source.GetId() || users[0].GetExternalId() != "x-"+founder {
		t.Errorf("preview: %v %v", users, err)
	}
	if after := admin.find(t, founder); after.GetSourceId() != "" || after.GetVersion() != before.GetVersion() {
		t.Errorf("the preview changes %v", after)
	}
	idp.must(t, http.StatusNotFound, "GET", "/Users/"+founder, nil)

	if _, err := admin.handOver(t, idp, false, founder); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"joined 1", "updated 2 source_id,external_id"}, w.userEvents(t, founder, 2)); d != "" {
		t.Error(d)
	}
	found := idp.must(t, http.StatusOK, "GET", "/Users?filter="+url.QueryEscape(`userName eq "`+admin.user.GetUserName()+`"`), nil)
	list, _ := found["Resources"].([]any)
	if len(list) != 1 {
		t.Fatalf("the source finds %v", found)
	}
	got := list[0].(object)
	if got["id"] != founder || got["active"] != true || got["displayName"] != "Rob Root" || got["externalId"] != "x-"+founder || got["userName"] != admin.user.GetUserName() {
		t.Errorf("the source finds %v", got)
	}
	// The source changes them as its own, and not who they are; they run Gatehouse as before.
	idp.must(t, http.StatusOK, "PUT", "/Users/"+founder, body)
	if u := admin.find(t, founder); u.GetTitle() != "Engineer" || u.GetRole() != identityv1.Role_ROLE_ADMIN || u.GetEmail() != admin.user.GetEmail() {
		t.Errorf("after PUT: %v", u)
	}
	for _, r := range []reply{
		idp.do(t, "PATCH", "/Users/"+founder, patch("replace", "externalId", "another")),
		idp.do(t, "PATCH", "/Users/"+founder, patch("replace", "active", false)), // the last admin
		idp.do(t, "POST", "/Users", body),
	} {
		if r.code != http.StatusConflict {
			t.Errorf("%d %v", r.code, r.body)
		}
	}
}

// All who match are handed over, with a preview; who is a source's, a program or
// elsewhere is not among them, and is refused by name. B-USR-17
func TestPeopleAreHandedOver(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin, stranger := w.signUp(t), w.signUp(t)
	old, idp := admin.provider(t, w, "Old directory"), admin.provider(t, w, "Corp directory")
	ann, bob, gone := old.create(t, "ann"), old.create(t, "bob"), old.create(t, "gone")
	old.must(t, http.StatusNoContent, "DELETE", "/Users/"+gone, nil)
	if _, err := admin.sources.DeleteSource(t.Context(), &identityv1.DeleteSourceRequest{Id: old.source.GetId(), Users: identityv1.SourceUsers_SOURCE_USERS_KEEP}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{ann, bob} {
		servicetest.Wait(t, w.Harness, func(m *eventv1.UserUpdated) bool {
			return m.GetUser().GetId() == id && slices.Contains(m.GetChangedFields(), "source_id")
		})
	}
	service, err := admin.createService(t, w, "nightly@corp.example")
	if err != nil {
		t.Fatal(err)
	}
	mine := idp.create(t, "mine")
	environment, err := admin.environments.CreateEnvironment(t.Context(), &identityv1.CreateEnvironmentRequest{Name: "Site B"})
	if err != nil {
		t.Fatal(err)
	}
	site, err := admin.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{
		Name: "Site", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM, EnvironmentId: environment.GetEnvironment().GetId(),
	})
	if err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name   string
		by     person
		source string
		users  []string
		filter string
		field  string
		reason string
	}{
		{"nobody", admin, idp.source.GetId(), nil, "", "users", "HAND_OVER_NOBODY"},
		{"both", admin, idp.source.GetId(), []string{ann}, `userName = "ann"`, "users", "HAND_OVER_NOBODY"},
		{"a source's own", admin, idp.source.GetId(), []string{ann, mine}, "", "users[1].user_id", "USER_OF_SOURCE"},
		{"somebody twice", admin, idp.source.GetId(), []string{ann, ann}, "", "users[1].user_id", "USER_TWICE"},
		{"a program", admin, idp.source.GetId(), []string{service.GetUser().GetId()}, "", "users[0].user_id", "NOT_A_PERSON"},
		{"who left", admin, idp.source.GetId(), []string{gone}, "", "users[0].user_id", "USER_REMOVED"},
		{"another organization's", admin, idp.source.GetId(), []string{stranger.user.GetId()}, "", "users[0].user_id", "USER_NOT_FOUND"},
		{"to an environment", admin, site.GetSource().GetId(), []string{ann}, "", "users[0].user_id", "ENVIRONMENT_DIFFERS"},
		{"a bad filter", admin, idp.source.GetId(), nil, `nonsense = 1`, "filter", "FILTER_INVALID"},
	} {
		req := &identityv1.HandOverUsersRequest{Id: tt.source, Filter: tt.filter}
		for _, id := range tt.users {
			req.Users = append(req.Users, &identityv1.UserHandOver{UserId: id})
		}
		_, err := tt.by.sources.HandOverUsers(t.Context(), req)
		refused(t, err, codes.InvalidArgument, tt.reason)
		if status.Code(err) == codes.InvalidArgument && !slices.Contains(rpctest.Fields(err), tt.field) {
			t.Errorf("%s: fields %v, want %s", tt.name, rpctest.Fields(err), tt.field)
		}
	}
	_, err = stranger.handOver(t, idp, false, stranger.user.GetId())
	refused(t, err, codes.NotFound, "SOURCE_NOT_FOUND")

	byFilter := func(filter string, preview bool) []string {
		t.Helper()
		r, err := admin.sources.HandOverUsers(t.Context(), &identityv1.HandOverUsersRequest{Id: idp.source.GetId(), Filter: filter, ValidateOnly: preview})
		if err != nil || r.GetMore() {
			t.Fatalf("%v %v", r, err)
		}
		var names []string
		for _, u := range r.GetUsers() {
			if u.GetSourceId() != idp.source.GetId() || u.GetExternalId() != "" {
				t.Errorf("handed over: %v", u)
			}
			names = append(names, strings.TrimSuffix(u.GetUserName(), "@corp.example"))
		}
		slices.Sort(names)
		return names
	}
	const all = `userName = "*@corp.example" AND role = ROLE_MEMBER`
	for _, preview := range []bool{true, false} {
		if d := cmp.Diff([]string{"ann", "bob"}, byFilter(all, preview)); d != "" {
			t.Error(d)
		}
	}
	if left := byFilter(all, false); len(left) != 0 {
		t.Errorf("still %v", left)
	}
	// An externalId of the source before is gone with it.
	got := idp.must(t, http.StatusOK, "GET", "/Users/"+ann, nil)
	if got["externalId"] != nil || got["title"] != "Engineer" || got["name"].(object)["givenName"] != "Ann" {
		t.Errorf("the source finds %v", got)
	}
	// What another source or a program has is told apart.
	third := admin.provider(t, w, "Third directory")
	for _, name := range []string{"ann", "nightly"} {
		r := third.do(t, "POST", "/Users", describe(name))
		if d := fmt.Sprint(r.body["detail"]); r.code != http.StatusConflict || strings.Contains(d, "handOverUsers") || !strings.Contains(d, "another source") {
			t.Errorf("%s: %d %v", name, r.code, r.body)
		}
	}
	r := third.do(t, "PATCH", "/Users/"+third.create(t, "eve"), patch("replace", "userName", admin.user.GetUserName()))
	if d := fmt.Sprint(r.body["detail"]); r.code != http.StatusConflict || !strings.Contains(d, "handOverUsers") {
		t.Errorf("PATCH to the founder's: %d %v", r.code, r.body)
	}
}
