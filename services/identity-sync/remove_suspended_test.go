package identitysync_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

const day = 24 * time.Hour

// removeSuspendedAfter sets the organization's setting, 0 to never.
func (p person) removeSuspendedAfter(t *testing.T, after time.Duration) (*identityv1.Organization, error) {
	t.Helper()
	o := &identityv1.Organization{}
	if after != 0 {
		o.RemoveSuspendedAfter = durationpb.New(after)
	}
	r, err := p.organizations.UpdateOrganization(t.Context(), &identityv1.UpdateOrganizationRequest{Organization: o, UpdateMask: mask("remove_suspended_after")})
	return r.GetOrganization(), err
}

func (p person) mustRemoveSuspendedAfter(t *testing.T, after time.Duration) {
	t.Helper()
	if o, err := p.removeSuspendedAfter(t, after); err != nil || o.GetRemoveSuspendedAfter().AsDuration() != after {
		t.Fatalf("got %v, %v", o, err)
	}
}

func (p *provider) setActive(t *testing.T, id string, active bool) {
	t.Helper()
	p.must(t, http.StatusOK, "PATCH", "/Users/"+id, patch("replace", "active", active))
}

// removal waits until somebody is removed, and gives the event.
func (w *world) removal(t *testing.T, id string) *eventv1.UserRemoved {
	t.Helper()
	return servicetest.Wait(t, w.Harness, func(m *eventv1.UserRemoved) bool { return m.GetUser().GetId() == id })
}

// removalDue is when somebody is to be removed for being suspended; zero for never.
func (w *world) removalDue(t *testing.T, id string) (at time.Time) {
	t.Helper()
	err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		err := tx.QueryRow(ctx, `select due_time from due where kind = 'suspended_user_end' and key = $1`, id).Scan(&at)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

// later moves the clock, which ends sessions, and signs an admin in again.
func (w *world) later(t *testing.T, d time.Duration, admin *person) {
	t.Helper()
	w.clock.Advance(d)
	again := w.as(t, admin.user.GetUserName())
	again.organization = admin.organization
	*admin = again
}

func (w *world) system(t *testing.T, sql string, args ...any) {
	t.Helper()
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever stays inactive for as long as the organization says is removed, as whoever
// leaves is, and the event says why. Whoever was let back in stays. B-ONB-17 (in part:
// the last sentence)
func TestSuspendedAreRemoved(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ann, bob, cem, back := idp.create(t, "ann"), idp.create(t, "bob"), idp.create(t, "cem"), idp.create(t, "back")
	crew := idp.createGroup(t, "Crew", bob)
	idp.setActive(t, ann, false) // before there is a setting
	w.later(t, 5*day, &admin)
	admin.mustRemoveSuspendedAfter(t, 30*day)
	told := servicetest.Wait(t, w.Harness, func(m *eventv1.OrganizationUpdated) bool {
		return m.GetOrganization().GetId() == admin.organization.GetId()
	})
	if !slices.Equal(told.GetChangedFields(), []string{"remove_suspended_after"}) || told.GetOrganization().GetRemoveSuspendedAfter().AsDuration() != 30*day || told.GetPrevious().GetRemoveSuspendedAfter() != nil {
		t.Errorf("told %v", told)
	}
	late := idp.create(t, "late", "active", false) // from the start
	idp.setActive(t, bob, false)
	idp.setActive(t, back, false)
	w.later(t, 10*day, &admin)
	idp.setActive(t, back, true)
	idp.must(t, http.StatusOK, "PATCH", "/Users/"+bob, patch("replace", "title", "Former")) // does not begin anew
	idp.setActive(t, cem, false)
	if at := w.removalDue(t, back); !at.IsZero() {
		t.Errorf("who is let back in is to be removed at %s", at)
	}

	w.later(t, 15*day, &admin) // 30 since Ann
	gone := w.removal(t, ann)
	if a := gone.GetContext().GetActor(); a.GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM || gone.GetReason() != eventv1.UserRemovalReason_USER_REMOVAL_REASON_SUSPENDED_TOO_LONG {
		t.Errorf("event: %v", gone)
	}
	for _, id := range []string{bob, late, cem} {
		if u := admin.find(t, id); u.GetState() != suspended {
			t.Errorf("%s is %s too early", u.GetUserName(), u.GetState())
		}
	}
	w.later(t, 5*day, &admin)
	w.removal(t, bob)
	w.removal(t, late)
	servicetest.Wait(t, w.Harness, func(m *eventv1.GroupMemberRemoved) bool {
		return m.GetGroup().GetId() == crew && m.GetMember().GetUserId() == bob
	})
	if u := idp.must(t, http.StatusOK, "GET", "/Users/"+bob, nil); u["active"] != false || u["groups"] != nil {
		t.Errorf("the source sees %v", u)
	}
	if u := admin.find(t, cem); u.GetState() != suspended {
		t.Errorf("cem is %s too early", u.GetState())
	}
	w.later(t, 10*day, &admin)
	w.removal(t, cem)
	if u := admin.find(t, back); u.GetState() != active {
		t.Errorf("back is %s", u.GetState())
	}
	// Whoever leaves otherwise leaves without that reason, and is not due any more.
	idp.setActive(t, back, false)
	if want := w.clock.Now().Add(30 * day); !w.removalDue(t, back).Equal(want) {
		t.Errorf("due at %s, want %s", w.removalDue(t, back), want)
	}
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+back, nil)
	if gone := w.removal(t, back); gone.GetReason() != eventv1.UserRemovalReason_USER_REMOVAL_REASON_UNSPECIFIED || !w.removalDue(t, back).IsZero() {
		t.Errorf("deleted: %v, due %s", gone, w.removalDue(t, back))
	}
}

// Another setting moves all dates; none removes nobody, and who is over a shorter one
// already goes at once. B-ONB-17 (in part)
func TestRemovalOfSuspendedMoves(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin, stranger := w.signUp(t), w.signUp(t)
	idp, theirs := admin.provider(t, w, "Corp directory"), stranger.provider(t, w, "Their directory")
	stranger.mustRemoveSuspendedAfter(t, 20*day)
	ann, bob, other := idp.create(t, "ann"), idp.create(t, "bob"), theirs.create(t, "other")
	annAt := w.clock.Now()
	idp.setActive(t, ann, false)
	theirs.setActive(t, other, false)
	if !w.removalDue(t, ann).IsZero() {
		t.Error("due without a setting")
	}
	w.later(t, 10*day, &admin)
	bobAt := w.clock.Now()
	idp.setActive(t, bob, false)
	for _, after := range []time.Duration{30 * day, 3650 * day, 0, 15 * day, 12 * day} {
		admin.mustRemoveSuspendedAfter(t, after)
		got, want := map[string]time.Time{}, map[string]time.Time{"ann": {}, "bob": {}}
		got["ann"], got["bob"] = w.removalDue(t, ann), w.removalDue(t, bob)
		if after != 0 {
			want["ann"], want["bob"] = annAt.Add(after), bobAt.Add(after)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("after %s: %s", after, d)
		}
	}
	if at := w.removalDue(t, other); !at.Equal(annAt.Add(20 * day)) {
		t.Errorf("another organization's is due at %s", at)
	}
	admin.mustRemoveSuspendedAfter(t, 5*day) // ann has been for 10
	w.removal(t, ann)
	if u := admin.find(t, bob); u.GetState() != suspended {
		t.Errorf("bob is %s", u.GetState())
	}
}

// What is due is held against how things stand: who is active, gone, or not yet long
// enough suspended by the setting as it is now, stays, however often it comes.
// B-ONB-17 (in part)
func TestStaleRemovalsOfSuspended(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	here, gone, moved, never := idp.create(t, "here"), idp.create(t, "gone"), idp.create(t, "moved"), idp.create(t, "never")
	admin.mustRemoveSuspendedAfter(t, 10*day)
	at := w.clock.Now()
	idp.setActive(t, moved, false)
	idp.must(t, http.StatusNoContent, "DELETE", "/Users/"+gone, nil)
	version := admin.find(t, gone).GetVersion()
	// As if the setting had changed between the claim and the effect.
	w.system(t, `update organization set remove_suspended_after_days = 25 where id = $1`, admin.organization.GetId())
	for _, id := range []string{here, gone} {
		w.system(t, `insert into due (kind, key, organization_id, due_time, try_time, attempts, error) values ('suspended_user_end', $1, $2, $3, $3, 0, '')`, id, admin.organization.GetId(), at.Add(10*day))
	}
	w.later(t, 10*day, &admin)
	servicetest.Eventually(t, "what is due is done", func() bool {
		return w.removalDue(t, here).IsZero() && w.removalDue(t, gone).IsZero() && w.removalDue(t, moved).Equal(at.Add(25*day))
	})
	for id, want := range map[string]identityv1.UserState{here: active, gone: removed, moved: suspended} {
		if u := admin.find(t, id); u.GetState() != want || id == gone && u.GetVersion() != version {
			t.Errorf("%s is %s, version %d", u.GetUserName(), u.GetState(), u.GetVersion())
		}
	}
	// The same twice removes once.
	w.later(t, 15*day, &admin)
	version = w.removal(t, moved).GetUser().GetVersion()
	w.system(t, `insert into due (kind, key, organization_id, due_time, try_time, attempts, error) values ('suspended_user_end', $1, $2, $3, $3, 0, '')`, moved, admin.organization.GetId(), w.clock.Now())
	servicetest.Eventually(t, "it is done again", func() bool { return w.removalDue(t, moved).IsZero() })
	if u := admin.find(t, moved); u.GetVersion() != version {
		t.Errorf("removed twice: %v", u)
	}
	// Unset meanwhile: nobody is removed.
	idp.setActive(t, never, false)
	w.system(t, `update organization set remove_suspended_after_days = null where id = $1`, admin.organization.GetId())
	w.later(t, 25*day, &admin)
	servicetest.Eventually(t, "it is done", func() bool { return w.removalDue(t, never).IsZero() })
	if u := admin.find(t, never); u.GetState() != suspended {
		t.Errorf("never is %s", u.GetState())
	}
}

// Whoever is suspended while the setting changes is removed by the one that comes of it.
func TestSuspendedWhileTheSettingChanges(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ann := idp.create(t, "ann")
	done := make(chan reply, 1)
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		// What UpdateOrganization does.
		if _, err := tx.Exec(ctx, `select from organization where id = $1 for update`, admin.organization.GetId()); err != nil {
			return err
		}
		go func() { done <- idp.do(t, "PATCH", "/Users/"+ann, patch("replace", "active", false)) }()
		servicetest.Eventually(t, "who suspends waits for the setting", func() bool {
			var waiting bool
			err := tx.QueryRow(ctx, `select exists (select from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid)))`).Scan(&waiting)
			return err == nil && waiting
		})
		_, err := tx.Exec(ctx, `update organization set remove_suspended_after_days = 7 where id = $1`, admin.organization.GetId())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.code != http.StatusOK {
		t.Fatalf("suspended: %d %v", r.code, r.body)
	}
	if at := w.removalDue(t, ann); !at.Equal(w.clock.Now().Add(7 * day)) {
		t.Errorf("due at %s", at)
	}
}

// Somebody with a role in Gatehouse is not removed for being suspended; once an admin
// has taken the role away they are. B-ONB-17 (in part)
func TestSuspendedWithARoleStay(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ida, ned := idp.create(t, "ida"), idp.create(t, "ned")
	role := func(r identityv1.Role) {
		t.Helper()
		if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: ida, Role: r}); err != nil {
			t.Fatal(err)
		}
	}
	role(identityv1.Role_ROLE_ADMIN)
	admin.mustRemoveSuspendedAfter(t, day)
	idp.setActive(t, ida, false)
	idp.setActive(t, ned, false)
	w.later(t, day, &admin)
	w.removal(t, ned)
	servicetest.Eventually(t, "what is due is done", func() bool { return w.removalDue(t, ida).IsZero() })
	if u := admin.find(t, ida); u.GetState() != suspended {
		t.Errorf("ida is %s", u.GetState())
	}
	role(identityv1.Role_ROLE_MEMBER)
	w.removal(t, ida)
}

// The setting is the admins' of the whole organization, and 1 to 3650 whole days.
func TestRemoveSuspendedAfterRefuses(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	north := admin.environment(t, w, "North")
	admin.provider(t, w, "Corp directory").create(t, "ned")
	member := w.as(t, "ned@corp.example")
	admin.mustRemoveSuspendedAfter(t, 90*day)
	for name, tt := range map[string]struct {
		p      person
		after  time.Duration
		code   codes.Code
		reason string
	}{
		"too short":                  {admin, day - time.Second, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"too long":                   {admin, 3651 * day, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"negative":                   {admin, -day, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"half a day":                 {admin, 36 * time.Hour, codes.InvalidArgument, "NOT_WHOLE_DAYS"},
		"a member":                   {member, day, codes.PermissionDenied, "ROLE_NOT_ALLOWED"},
		"an admin of an environment": {north.admin, day, codes.PermissionDenied, "NOT_IN_ENVIRONMENT"},
	} {
		_, err := tt.p.removeSuspendedAfter(t, tt.after)
		refused(t, err, tt.code, tt.reason)
		if f := rpctest.Fields(err); tt.code == codes.InvalidArgument && !slices.Equal(f, []string{"organization.remove_suspended_after"}) {
			t.Errorf("%s: fields %q", name, f)
		}
	}
	r, err := admin.organizations.GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{})
	if err != nil || r.GetOrganization().GetRemoveSuspendedAfter().AsDuration() != 90*day {
		t.Errorf("got %v, %v", r, err)
	}
}

// Whoever was suspended by a replica that makes no due item, or whose item a restored
// backup lacks, is found, and goes when their time is over. B-ONB-17 (in part)
func TestSuspendedWithoutADueItem(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	idp := admin.provider(t, w, "Corp directory")
	ann, bob, ida, here := idp.create(t, "ann"), idp.create(t, "bob"), idp.create(t, "ida"), idp.create(t, "here")
	free := w.signUp(t)
	never := free.provider(t, w, "Their directory").create(t, "never")
	if _, err := admin.users.SetUserRole(t.Context(), &identityv1.SetUserRoleRequest{Id: ida, Role: identityv1.Role_ROLE_IT_ADMIN}); err != nil {
		t.Fatal(err)
	}
	admin.mustRemoveSuspendedAfter(t, 10*day)
	begun := w.clock.Now()
	idp.setActive(t, bob, false)
	// As a replica does that knows nothing of it: the database says since when.
	for _, id := range []string{ann, ida, never} {
		w.system(t, `update users set state = 'suspended', version = version + 1, update_time = $2 where id = $1`, id, begun)
	}
	if !w.removalDue(t, ann).IsZero() {
		t.Fatal("ann is due already")
	}
	w.clock.Advance(day)
	w.Replica(t) // looks for them when it starts
	servicetest.Eventually(t, "ann is due", func() bool { return !w.removalDue(t, ann).IsZero() })
	for id, want := range map[string]time.Time{ann: begun.Add(10 * day), bob: begun.Add(10 * day), ida: {}, here: {}, never: {}} {
		if at := w.removalDue(t, id); !at.Equal(want) {
			t.Errorf("%s is due at %s, want %s", id, at, want)
		}
	}
	w.later(t, 9*day, &admin)
	w.removal(t, ann)
	w.removal(t, bob)
	if u := admin.find(t, ida); u.GetState() != suspended {
		t.Errorf("ida is %s", u.GetState())
	}
}
