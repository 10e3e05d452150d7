package identitysync_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// A source goes with its token and its groups; its people stay or leave, as was said.
func TestDeleteSource(t *testing.T) {
	t.Parallel()
	for _, leave := range []bool{false, true} {
		w := start(t)
		admin, stranger := w.signUp(t), w.signUp(t)
		idp := admin.provider(t, w, "Directory")
		elsewhere := admin.provider(t, w, "Elsewhere")
		ned, mia := idp.create(t, "ned"), idp.create(t, "mia")
		other := elsewhere.create(t, "eve")
		group := idp.createGroup(t, "Staff", ned, mia)
		provider, err := admin.providers.CreateIdentityProvider(t.Context(), &identityv1.CreateIdentityProviderRequest{
			Name: "Corp", Issuer: "https://idp.example", SourceId: idp.source.GetId(),
		})
		if err != nil {
			t.Fatal(err)
		}
		remove := func(p person, in *identityv1.DeleteSourceRequest) error {
			in.Id = idp.source.GetId()
			_, err := p.sources.DeleteSource(t.Context(), in)
			return err
		}
		users := identityv1.SourceUsers_SOURCE_USERS_KEEP
		if leave {
			users = identityv1.SourceUsers_SOURCE_USERS_REMOVE
		}
		refused(t, remove(admin, &identityv1.DeleteSourceRequest{}), codes.FailedPrecondition, "SOURCE_IN_USE")
		refused(t, remove(stranger, &identityv1.DeleteSourceRequest{Users: users}), codes.NotFound, "SOURCE_NOT_FOUND")
		refused(t, remove(admin, &identityv1.DeleteSourceRequest{Users: users, Etag: "another"}), codes.Aborted, "ETAG_MISMATCH")
		if leave {
			// Nobody who runs Gatehouse is removed that way.
			if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: mia, Role: identityv1.Role_ROLE_RISK_MANAGER}); err != nil {
				t.Fatal(err)
			}
			refused(t, remove(admin, &identityv1.DeleteSourceRequest{Users: users}), codes.FailedPrecondition, "SOURCE_USERS_HAVE_ROLES")
			if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: mia, Role: identityv1.Role_ROLE_MEMBER}); err != nil {
				t.Fatal(err)
			}
		}
		if err := remove(admin, &identityv1.DeleteSourceRequest{Users: users, Etag: idp.source.GetEtag()}); err != nil {
			t.Fatal(err)
		}
		// At once: the token, and the list.
		if r := idp.do(t, "GET", "/Users/"+ned, nil); r.code != http.StatusUnauthorized {
			t.Errorf("its token still works: %d", r.code)
		}
		listed, err := admin.sources.ListSources(t.Context(), &identityv1.ListSourcesRequest{})
		if err != nil || slices.ContainsFunc(listed.GetSources(), func(s *identityv1.Source) bool { return s.GetId() == idp.source.GetId() }) {
			t.Errorf("listed %v, %v", listed, err)
		}
		refused(t, remove(admin, &identityv1.DeleteSourceRequest{Users: users}), codes.NotFound, "SOURCE_NOT_FOUND")
		_, err = admin.sources.RotateSourceToken(t.Context(), &identityv1.RotateSourceTokenRequest{Id: idp.source.GetId()})
		refused(t, err, codes.NotFound, "SOURCE_NOT_FOUND")
		ev := servicetest.Wait(t, w.Harness, func(m *eventv1.SourceDeleted) bool { return m.GetSource().GetId() == idp.source.GetId() })
		if ev.GetUsersLeave() != leave || ev.GetSource().GetName() != "Directory" {
			t.Errorf("emitted %v", ev)
		}
		// Soon: its people and groups.
		if leave {
			for _, u := range []string{ned, mia} {
				servicetest.Wait(t, w.Harness, func(m *eventv1.UserRemoved) bool { return m.GetUser().GetId() == u })
			}
		} else {
			for _, u := range []string{ned, mia} {
				m := servicetest.Wait(t, w.Harness, func(m *eventv1.UserUpdated) bool {
					return m.GetUser().GetId() == u && slices.Equal(m.GetChangedFields(), []string{"source_id"})
				})
				if m.GetUser().GetSourceId() != "" || m.GetUser().GetState() != identityv1.UserState_USER_STATE_ACTIVE || m.GetUser().GetVersion() != m.GetContext().GetVersion() {
					t.Errorf("emitted %v", m)
				}
				if got := admin.find(t, u); got.GetSourceId() != "" || got.GetVersion() != m.GetUser().GetVersion() {
					t.Errorf("got %v", got)
				}
			}
		}
		servicetest.Wait(t, w.Harness, func(m *eventv1.GroupRemoved) bool { return m.GetGroup().GetId() == group })
		if got := admin.find(t, other); got.GetState() != identityv1.UserState_USER_STATE_ACTIVE || got.GetSourceId() != elsewhere.source.GetId() {
			t.Errorf("somebody of another source: %v", got)
		}
		// The identity provider goes on without it.
		got, err := admin.providers.GetIdentityProvider(t.Context(), &identityv1.GetIdentityProviderRequest{Id: provider.GetIdentityProvider().GetId()})
		if err != nil || got.GetIdentityProvider().GetSourceId() != "" || got.GetIdentityProvider().GetVersion() != 2 {
			t.Errorf("got %v, %v", got, err)
		}
		// Its name is free.
		if _, err := admin.sources.CreateSource(t.Context(), &identityv1.CreateSourceRequest{Name: "Directory", Kind: identityv1.SourceKind_SOURCE_KIND_SCIM}); err != nil {
			t.Error(err)
		}
	}
}

// B-USR-05, in part: whoever no source owns leaves by an admin, with all that is theirs
// and those that they answer for; a source says itself who leaves.
func TestDeleteUser(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin, stranger := w.signUp(t), w.signUp(t)
	idp := admin.provider(t, w, "Directory")
	idp.create(t, "ned")
	ned := w.as(t, "ned@corp.example")
	program, err := admin.users.CreateUser(t.Context(), &identityv1.CreateUserRequest{
		Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: "reader", DisplayName: "Reader", AccountableUserId: ned.user.GetId(),
		Purpose: "reads", EndTime: w.inAnHour(),
	})
	if err != nil {
		t.Fatal(err)
	}
	remove := func(p person, user string) (*identityv1.User, error) {
		r, err := p.users.DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: user})
		return r.GetUser(), err
	}
	_, err = remove(admin, ned.user.GetId())
	refused(t, err, codes.FailedPrecondition, "USER_OF_SOURCE")
	if _, err := admin.sources.DeleteSource(t.Context(), &identityv1.DeleteSourceRequest{
		Id: idp.source.GetId(), Users: identityv1.SourceUsers_SOURCE_USERS_KEEP,
	}); err != nil {
		t.Fatal(err)
	}
	servicetest.Wait(t, w.Harness, func(m *eventv1.UserUpdated) bool {
		return m.GetUser().GetId() == ned.user.GetId() && slices.Equal(m.GetChangedFields(), []string{"source_id"})
	})
	_, err = remove(stranger, ned.user.GetId())
	refused(t, err, codes.NotFound, "USER_NOT_FOUND")
	_, err = remove(admin, admin.user.GetId())
	refused(t, err, codes.FailedPrecondition, "LAST_ADMIN")
	gone, err := remove(admin, ned.user.GetId())
	if err != nil || gone.GetState() != removed || gone.GetId() != ned.user.GetId() {
		t.Fatalf("got %v, %v", gone, err)
	}
	for _, id := range []string{ned.user.GetId(), program.GetUser().GetId()} {
		servicetest.Wait(t, w.Harness, func(m *eventv1.UserRemoved) bool { return m.GetUser().GetId() == id })
		if got := admin.find(t, id); got.GetState() != removed {
			t.Errorf("got %v", got)
		}
	}
	_, err = w.exchange(t, ned.secret)
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
	_, err = remove(admin, ned.user.GetId())
	refused(t, err, codes.FailedPrecondition, "USER_REMOVED")
}

// Nobody comes by a source that is being deleted: who came before is done as the others
// are, and who comes after is refused.
func TestJoinBesideDeletedSource(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Directory")
	var all sync.WaitGroup
	var mu sync.Mutex
	var came []string
	for i := range 6 {
		all.Go(func() {
			r := idp.do(t, "POST", "/Users", describe("user"+strings.Repeat("x", i)))
			mu.Lock()
			defer mu.Unlock()
			switch r.code {
			case http.StatusCreated:
				came = append(came, r.body["id"].(string))
			case http.StatusUnauthorized:
			default:
				t.Errorf("got %d %v", r.code, r.body)
			}
		})
	}
	all.Go(func() {
		_, err := admin.sources.DeleteSource(t.Context(), &identityv1.DeleteSourceRequest{Id: idp.source.GetId(), Users: identityv1.SourceUsers_SOURCE_USERS_REMOVE})
		if err != nil {
			t.Errorf("%v %s", err, rpctest.Reason(err))
		}
	})
	all.Wait()
	for _, u := range came {
		servicetest.Wait(t, w.Harness, func(m *eventv1.UserRemoved) bool { return m.GetUser().GetId() == u })
	}
}
