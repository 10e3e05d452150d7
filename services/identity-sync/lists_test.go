package identitysync_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/filter/filtertest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/store"
)

func TestListsSayWhatTheyAreFilteredBy(t *testing.T) {
	t.Parallel()
	filtertest.Comments(t, "../../proto", store.UserList, store.GroupMemberList, store.GroupList, store.SourceList, store.EnvironmentList,
		store.APITokenList, store.SessionList, store.IdentityProviderList, store.UserIdentityList)
}

func TestListsAreFilteredAndSorted(t *testing.T) {
	t.Parallel()
	w := start(t, loopback)
	root := w.signUp(t)
	for _, name := range []string{"Site B", "Site A"} {
		if _, err := root.environments.CreateEnvironment(t.Context(), &identityv1.CreateEnvironmentRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	dir, other := root.provider(t, w, "Corp directory"), root.provider(t, w, "Another")
	boss := dir.create(t, "boss", "displayName", `Zoë "the" Boss`)
	ann := dir.create(t, "ann", schemaEnterprise, manager("ext-boss"))
	dir.create(t, "bob", "title", nil)
	other.create(t, "cyd", "displayName", `back\slash`)
	all := dir.createGroup(t, "All", boss, ann)
	dir.createGroup(t, "None")
	root.apiToken(t, w, true)
	root.apiToken(t, w, false)
	root.scoped(t, w, false, "apps:read", "people:write")
	w.as(t, root.user.GetUserName())
	var providers []string
	for i, name := range []string{"First", "Second"} {
		made, err := root.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{
			Name: name, Issuer: "https://id.example/" + name, ClientId: "us", SourceId: []string{dir.source.GetId(), ""}[i],
			StepUpAcrValues: [][]string{{"mfa"}, nil}[i],
		})
		if err != nil {
			t.Fatal(err)
		}
		providers = append(providers, made.GetIdentityProvider().GetId())
	}
	if err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for i, p := range providers {
			if _, err := tx.Exec(ctx, `insert into user_identity (id, organization_id, identity_provider_id, subject, user_id, create_time, last_sign_in_time) values ($1, $2, $3, $4, $5, $6, $7)`,
				id.New(), root.organization.GetId(), p, "subject of "+p, ann, w.clock.Now(), []any{nil, w.clock.Now()}[i]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	filtertest.Door(t, root.conn, store.UserList, &identityv1.ListUsersRequest{})
	filtertest.Door(t, root.conn, store.GroupList, &identityv1.ListGroupsRequest{})
	filtertest.Door(t, root.conn, store.GroupMemberList, &identityv1.ListGroupMembersRequest{GroupId: all})
	filtertest.Door(t, root.conn, store.SourceList, &identityv1.ListSourcesRequest{})
	filtertest.Door(t, root.conn, store.EnvironmentList, &identityv1.ListEnvironmentsRequest{})
	filtertest.Door(t, root.conn, store.APITokenList, &identityv1.ListApiTokensRequest{})
	filtertest.Door(t, root.conn, store.SessionList, &identityv1.ListSessionsRequest{})
	filtertest.Door(t, root.conn, store.IdentityProviderList, &identityv1.ListIdentityProvidersRequest{})
	filtertest.Door(t, root.conn, store.UserIdentityList, &identityv1.ListUserIdentitiesRequest{UserId: ann})
}

// A filter narrows what else was asked for and what the caller may see, and a page token
// is good for the filter and the order that it was made for.
func TestFilterNarrows(t *testing.T) {
	t.Parallel()
	w := start(t)
	root, stranger := w.signUp(t), w.signUp(t)
	dir := root.provider(t, w, "Corp directory")
	dir.create(t, "ann")
	bob := dir.create(t, "bob")
	dir.must(t, 204, "DELETE", "/Users/"+bob, nil)
	find := func(p person, in *identityv1.ListUsersRequest) (names []string) {
		t.Helper()
		r, err := p.users.ListUsers(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range r.GetUsers() {
			names = append(names, u.GetDisplayName())
		}
		return names
	}
	const both = `displayName = "*Example"`
	if got := find(root, &identityv1.ListUsersRequest{Filter: both}); len(got) != 1 || got[0] != "Ann Example" {
		t.Errorf("removed users are listed: %q", got)
	}
	if got := find(root, &identityv1.ListUsersRequest{Filter: both, State: identityv1.UserState_USER_STATE_REMOVED}); len(got) != 1 || got[0] != "Bob Example" {
		t.Errorf("with a state: %q", got)
	}
	if got := find(root, &identityv1.ListUsersRequest{Filter: both + ` OR state = USER_STATE_REMOVED`, Query: "ROOT"}); len(got) != 0 {
		t.Errorf("with a query: %q", got)
	}
	if got := find(stranger, &identityv1.ListUsersRequest{Filter: both + ` OR NOT ` + both}); len(got) != 1 {
		t.Errorf("another organization's: %q", got)
	}
	page, err := root.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 1, Filter: "version > 0", OrderBy: "createTime desc"})
	if err != nil || page.GetNextPageToken() == "" || page.GetUsers()[0].GetDisplayName() != "Ann Example" {
		t.Fatalf("%v %v", page, err)
	}
	for _, in := range []*identityv1.ListUsersRequest{{Filter: "version > 0"}, {OrderBy: "createTime desc"}, {Filter: "version >= 0", OrderBy: "createTime desc"}} {
		in.PageToken = page.GetNextPageToken()
		_, err := root.users.ListUsers(t.Context(), in)
		refused(t, err, codes.InvalidArgument, "PAGE_TOKEN_INVALID")
	}
	for reason, in := range map[string]*identityv1.ListUsersRequest{
		"FILTER_INVALID":   {Filter: `password = "x"`},
		"ORDER_BY_INVALID": {OrderBy: "email"},
	} {
		_, err := root.users.ListUsers(t.Context(), in)
		refused(t, err, codes.InvalidArgument, reason)
	}
	member := w.as(t, "ann@corp.example")
	made, err := member.tokens.CreateApiToken(t.Context(), &identityv1.CreateApiTokenRequest{Name: "ann's", ExpireTime: timestamppb.New(w.clock.Now().Add(1e9))})
	if err != nil {
		t.Fatal(err)
	}
	root.apiToken(t, w, false)
	own, err := member.tokens.ListApiTokens(t.Context(), &identityv1.ListApiTokensRequest{Filter: `name:* OR readOnly = false`, OrderBy: "name"})
	if err != nil || len(own.GetApiTokens()) != 1 || own.GetApiTokens()[0].GetId() != made.GetApiToken().GetId() {
		t.Errorf("a member sees %v %v", own, err)
	}
}

// What is asked before anybody has signed in has no pages, and an end.
func TestListsBeforeSignIn(t *testing.T) {
	t.Parallel()
	w := start(t)
	root := w.signUp(t)
	if err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for i := range 51 {
			if _, err := tx.Exec(ctx, `
				insert into identity_provider (id, organization_id, environment_id, name, issuer, client_id, user_claim, user_field, step_up_acr_values, scopes, state, create_time, update_time, version)
				values ($1, $2, '00000000-0000-0000-0000-000000000000', $3, 'https://idp.example', 'x', 'sub', 'external_id', '{}', '{}', 'enabled', $4, $4, 1)`,
				id.New(), root.organization.GetId(), fmt.Sprintf("Sign-in %02d", i), w.clock.Now()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	options, err := w.nobody(t).signIns.ListSignInOptions(t.Context(), &identityv1.ListSignInOptionsRequest{Organization: root.organization.GetSignInName()})
	if err != nil || len(options.GetOptions()) != 50 {
		t.Errorf("%d sign-in options: %v", len(options.GetOptions()), err)
	}
	nobody := w.nobody(t)
	for i := range 200 {
		if _, err := nobody.organizations.SignUp(t.Context(), &identityv1.SignUpRequest{OrganizationName: "Corp", Email: fmt.Sprintf("p%d@corp.example", i), DisplayName: "P"}); err != nil {
			t.Fatal(err)
		}
	}
	people, err := nobody.sessions.ListDevPeople(t.Context(), &identityv1.ListDevPeopleRequest{})
	if err != nil || len(people.GetUsers()) != 200 {
		t.Errorf("%d people: %v", len(people.GetUsers()), err)
	}
}
