package authz_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/authz"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// B-REQ-06 in part: what each role sees and may do for others.
func TestVisibility(t *testing.T) {
	t.Parallel()
	tests := map[authzv1.Caller]struct{ sees, administers bool }{
		authzv1.Caller_CALLER_UNSPECIFIED:  {},
		authzv1.Caller_CALLER_PUBLIC:       {},
		authzv1.Caller_CALLER_SERVICE:      {},
		authzv1.Caller_CALLER_ADMIN:        {true, true},
		authzv1.Caller_CALLER_IT_ADMIN:     {true, true},
		authzv1.Caller_CALLER_RISK_MANAGER: {true, false},
		authzv1.Caller_CALLER_MEMBER:       {},
		authzv1.Caller_CALLER_EXTERNAL:     {},
	}
	for n := range authzv1.Caller_name {
		role := authzv1.Caller(n)
		want, ok := tests[role]
		if !ok {
			t.Errorf("%s is not in this test", role)
		}
		c := authz.Caller{Role: role}
		if c.SeesAll() != want.sees || c.Administers() != want.administers {
			t.Errorf("%s: sees all %t, administers %t; want %+v", role, c.SeesAll(), c.Administers(), want)
		}
	}
}

// Who sees people is who may call GetUser.
func TestSeesPeople(t *testing.T) {
	t.Parallel()
	getUser := identityv1.File_gatehouse_identity_v1_identity_service_proto.Services().ByName("UserService").Methods().ByName("GetUser")
	access, _ := proto.GetExtension(getUser.Options(), authzv1.E_Access).(*authzv1.Access)
	for n := range authzv1.Caller_name {
		role := authzv1.Caller(n)
		if got := (authz.Caller{Role: role}).SeesPeople(); got != slices.Contains(access.GetAllow(), role) {
			t.Errorf("%s: sees people %t, by %v", role, got, access.GetAllow())
		}
		if (authz.Caller{Role: role, Scopes: "access:read"}).SeesPeople() {
			t.Errorf("%s: sees people without the scope", role)
		}
	}
}
