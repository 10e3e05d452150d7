package identitysync_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/rpctest"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

func TestPeopleAreNamedByUserName(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin, stranger := w.signUp(t), w.signUp(t)
	idp := admin.provider(t, w, "Directory")
	ned := idp.create(t, "ned")
	ctx := t.Context()

	got, err := admin.users.GetUser(ctx, &identityv1.GetUserRequest{Id: "NED@corp.example"})
	if err != nil || got.GetUser().GetId() != ned {
		t.Errorf("got %v, %v", got, err)
	}
	set, err := admin.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: "ned@corp.example", Role: identityv1.Role_ROLE_RISK_MANAGER})
	if err != nil || set.GetUser().GetId() != ned {
		t.Errorf("got %v, %v", set, err)
	}
	made, err := admin.users.CreateUser(ctx, &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "reader", DisplayName: "Reader", AccountableUserId: "ned@corp.example",
		Purpose: "reads", EndTime: w.inAnHour(),
	})
	if err != nil || made.GetUser().GetAccountableUserId() != ned {
		t.Errorf("got %v, %v", made, err)
	}
	token, err := admin.tokens.CreateApiToken(ctx, &identityv1.CreateApiTokenRequest{Name: "ci", UserId: "reader", ExpireTime: w.inAnHour()})
	if err != nil || token.GetApiToken().GetUserId() != made.GetUser().GetId() {
		t.Errorf("got %v, %v", token, err)
	}
	w.as(t, "ned@corp.example")
	sessions, err := admin.sessions.ListSessions(ctx, &identityv1.ListSessionsRequest{UserId: "ned@corp.example"})
	if err != nil || len(sessions.GetSessions()) != 1 {
		t.Errorf("got %v, %v", sessions, err)
	}
	if _, err := admin.providers.ListUserIdentities(ctx, &identityv1.ListUserIdentitiesRequest{UserId: "ned@corp.example"}); err != nil {
		t.Error(err)
	}
	_, err = admin.sources.HandOverUsers(ctx, &identityv1.HandOverUsersRequest{
		Id: idp.source.GetId(), Users: []*identityv1.UserHandOver{{UserId: admin.user.GetUserName()}, {UserId: "ghost"}}, ValidateOnly: true,
	})
	refused(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	if f := rpctest.Fields(err); !slices.Equal(f, []string{"users[1].user_id"}) {
		t.Errorf("fields %q", f)
	}

	// Whom the path names is not found; nobody of another organization is.
	for _, name := range []string{"ghost", stranger.user.GetUserName()} {
		_, err = admin.users.GetUser(ctx, &identityv1.GetUserRequest{Id: name})
		refused(t, err, codes.NotFound, "USER_NOT_FOUND")
		_, err = admin.sessions.ListSessions(ctx, &identityv1.ListSessionsRequest{UserId: name})
		refused(t, err, codes.InvalidArgument, "USER_UNKNOWN")
	}
	gone, err := admin.users.DeleteUser(ctx, &identityv1.DeleteUserRequest{Id: "reader"})
	if err != nil || gone.GetUser().GetId() != made.GetUser().GetId() {
		t.Errorf("got %v, %v", gone, err)
	}
	_, err = admin.users.GetUser(ctx, &identityv1.GetUserRequest{Id: "reader"})
	refused(t, err, codes.NotFound, "USER_NOT_FOUND")

	// A token from before a right was lost names nobody.
	held, err := w.exchange(t, admin.secret)
	if err != nil {
		t.Fatal(err)
	}
	before := w.heldToken(t, held.GetAccessToken())
	if _, err := admin.users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: "ned@corp.example", Role: identityv1.Role_ROLE_ADMIN}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.as(t, "ned@corp.example").users.SetUserRole(ctx, &identityv1.SetUserRoleRequest{Id: admin.user.GetUserName(), Role: identityv1.Role_ROLE_MEMBER}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ned@corp.example", "ghost"} {
		_, err = before.users.GetUser(ctx, &identityv1.GetUserRequest{Id: name})
		refused(t, err, codes.Unauthenticated, "TOKEN_STALE")
	}
}
