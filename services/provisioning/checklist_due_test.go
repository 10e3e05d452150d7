package provisioning_test

import (
	"context"
	"encoding/csv"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/servicetest"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/migrations"
)

const (
	onboarding  = provisioningv1.ChecklistKind_CHECKLIST_KIND_ONBOARDING
	offboarding = provisioningv1.ChecklistKind_CHECKLIST_KIND_OFFBOARDING
)

// late counts what was said to be overdue of a person.
func (w *world) late(u *identityv1.User) int {
	return count(servicetest.All[*eventv1.ChecklistOverdue](w.Harness), func(m *eventv1.ChecklistOverdue) bool {
		return m.GetChecklist().GetUser().GetUserId() == u.GetId()
	})
}

// list is the one open checklist of a person.
func (w *world) list(t testing.TB, u *identityv1.User) *provisioningv1.Checklist {
	t.Helper()
	lists := w.lists(t, u, false)
	if len(lists) != 1 {
		t.Fatalf("checklists %v", lists)
	}
	return lists[0]
}

// dueIn wants a checklist to be due some time after now.
func dueIn(t testing.TB, c *provisioningv1.Checklist, now time.Time, in time.Duration) {
	t.Helper()
	if d := c.GetDueTime().AsTime().Sub(now); d.Round(time.Second) != in {
		t.Errorf("due in %s, want %s", d, in)
	}
}

// setDue changes when a checklist is due.
func (w *world) setDue(t testing.TB, c *provisioningv1.Checklist, at time.Time) *provisioningv1.Checklist {
	t.Helper()
	r, err := w.checklists.UpdateChecklist(t.Context(), &provisioningv1.UpdateChecklistRequest{
		Checklist: &provisioningv1.Checklist{Id: c.GetId(), DueTime: timestamppb.New(at), Etag: c.GetEtag()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"due_time"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetChecklist()
}

// B-ONB-16: until when a joiner should have everything, and a leaver nothing, is a date on
// the checklist; what is late is shown first and counted, and said once.
func TestChecklistDue(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	app := w.app(t, "By hand", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	// Three joiners, an hour apart; one of them is done in time.
	var people []*identityv1.User
	for _, name := range []string{"ann", "bob", "cid"} {
		u := w.user(t, name)
		w.give(t, u, ask{join: true}, account)
		w.open(t, u, app, createAccount)
		dueIn(t, w.list(t, u), now.Now(), 3*24*time.Hour)
		people = append(people, u)
		now.Advance(time.Hour)
	}
	ann, bob, cid := people[0], people[1], people[2]
	w.resolve(t, w.open(t, bob, app, createAccount))

	// The one who came last is due first, as somebody has said so.
	first := w.setDue(t, w.list(t, cid), now.Now().Add(time.Minute))
	servicetest.Wait(t, w.Harness, func(m *eventv1.ChecklistUpdated) bool {
		return m.GetChecklist().GetId() == first.GetId() && m.GetContext().GetActor().GetId() == w.admin.UserID.String() && m.GetChecklist().GetDueTime().AsTime().Equal(first.GetDueTime().AsTime())
	})
	now.Advance(2 * time.Minute)
	ev := servicetest.Wait(t, w.Harness, func(m *eventv1.ChecklistOverdue) bool { return m.GetChecklist().GetId() == first.GetId() })
	if !ev.GetChecklist().GetOverdue() || ev.GetChecklist().GetOpenCount() != 1 || ev.GetContext().GetUserId() != cid.GetId() || ev.GetContext().GetVersion() == 0 {
		t.Errorf("checklist.overdue says %v", ev)
	}
	all := w.ordered(t, &provisioningv1.ListChecklistsRequest{}, 2, 1)
	if !slices.Equal(all, []string{"cid", "ann"}) {
		t.Errorf("the order is %v", all)
	}
	if late := w.ordered(t, &provisioningv1.ListChecklistsRequest{Overdue: true}, 1, 1); !slices.Equal(late, []string{"cid"}) {
		t.Errorf("overdue are %v", late)
	}
	servicetest.Eventually(t, "it is counted", func() bool {
		return regexp.MustCompile(`(?m)^gatehouse_provisioning_checklist_overdue(\{[^}]*\})? 1$`).MatchString(w.metrics(t))
	})

	// All are late: the longest first. Bob, who was done in time, is not.
	now.Advance(4 * 24 * time.Hour)
	servicetest.Wait(t, w.Harness, func(m *eventv1.ChecklistOverdue) bool { return m.GetChecklist().GetUser().GetUserId() == ann.GetId() })
	if late := w.ordered(t, &provisioningv1.ListChecklistsRequest{Overdue: true}, 2, 2); !slices.Equal(late, []string{"cid", "ann"}) {
		t.Errorf("overdue are %v", late)
	}
	if w.late(bob) != 0 || w.lists(t, bob, true)[0].GetOverdue() {
		t.Error("one that was done in time is late")
	}
	body, err := w.checklists.ExportChecklists(t.Context(), &provisioningv1.ExportChecklistsRequest{Overdue: true})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(body.GetData()))).ReadAll()
	if err != nil || len(rows) != 3 || !slices.Equal(rows[0][11:], []string{"Due", "Overdue"}) || rows[1][1] != "cid" ||
		rows[1][11] != first.GetDueTime().AsTime().Format(time.RFC3339) || rows[1][12] != "yes" {
		t.Errorf("exported %v %v", rows, err)
	}
	exported := servicetest.Wait(t, w.Harness, func(*eventv1.ChecklistExported) bool { return true })
	if !exported.GetOverdue() {
		t.Errorf("exported: %v", exported)
	}

	// A leaver's date is that of the offboarding, also for what was on the onboarding list.
	w.leave(t, bob)
	w.open(t, bob, app, removeAccount)
	if c := w.list(t, bob); c.GetKind() != offboarding {
		t.Errorf("checklist %v", c)
	}
	dueIn(t, w.list(t, bob), now.Now(), 24*time.Hour)

	// Moved, it is late no more; and is again, once, when that has passed too.
	moved := w.setDue(t, w.list(t, cid), now.Now().Add(time.Hour))
	if moved.GetOverdue() || w.late(cid) != 1 {
		t.Errorf("moved: %v, late %d times", moved, w.late(cid))
	}
	now.Advance(2 * time.Hour)
	servicetest.Eventually(t, "late again", func() bool { return w.late(cid) == 2 })
	// To a time that has passed: late at once.
	if past := w.setDue(t, w.list(t, cid), now.Now().Add(-time.Minute)); !past.GetOverdue() {
		t.Errorf("set to the past: %v", past)
	}
	servicetest.Eventually(t, "late a third time", func() bool { return w.late(cid) == 3 })
	// Done is not late; opened again, there is time again.
	item := w.open(t, cid, app, createAccount)
	w.resolve(t, item)
	if c := w.lists(t, cid, true)[0]; c.GetOverdue() || c.GetDueTime() == nil {
		t.Errorf("done, and %v", c)
	}
	w.reopen(t, item)
	if c := w.list(t, cid); c.GetOverdue() {
		t.Errorf("open again, and %v", c)
	}
	dueIn(t, w.list(t, cid), now.Now(), 3*24*time.Hour)
}

// ordered are the people on a list, page by page, which counts so many, and so many late.
func (w *world) ordered(t testing.TB, r *provisioningv1.ListChecklistsRequest, total, overdue int32) (names []string) {
	t.Helper()
	r.PageSize = 1
	for {
		l, err := w.checklists.ListChecklists(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if l.GetTotalSize() != total || l.GetOverdueSize() != overdue {
			t.Errorf("%d, of which %d are overdue; want %d and %d", l.GetTotalSize(), l.GetOverdueSize(), total, overdue)
		}
		for _, c := range l.GetChecklists() {
			names = append(names, c.GetUser().GetDisplayName())
		}
		if r.PageToken = l.GetNextPageToken(); r.PageToken == "" {
			return names
		}
	}
}

// B-ONB-16: that a checklist is late is said once, also if nobody ran at the time, and if
// its item is due once more.
func TestChecklistDueWhileDown(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	app := w.app(t, "By hand", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	ann, bob := w.user(t, "ann"), w.user(t, "bob")
	for _, u := range []*identityv1.User{ann, bob} {
		w.give(t, u, ask{}, account)
		w.open(t, u, app, createAccount)
	}
	w.resolve(t, w.open(t, bob, app, createAccount))
	w.Handled(t, "provisioning")
	w.kill()
	now.Advance(5 * 24 * time.Hour)
	w.Replica(t)
	servicetest.Eventually(t, "it is said", func() bool {
		now.Advance(time.Minute) // who was killed may have begun, and have a lease
		return w.late(ann) > 0
	})

	// The same item again, and one of what was closed meanwhile.
	queued := func() int { return w.count(t, `select count(*) from due where kind = 'checklist_due'`) }
	if err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into due (kind, key, organization_id, due_time, try_time, attempts, error)
			select 'checklist_due', id, organization_id, due_time, due_time, 0, '' from checklist
			on conflict (kind, key) do nothing`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Second)
	servicetest.Eventually(t, "both are looked at", func() bool { return queued() == 0 })
	cid := w.user(t, "cid") // what is said of them comes after what would be said of others
	w.give(t, cid, ask{}, account)
	servicetest.Wait(t, w.Harness, func(m *eventv1.ChecklistOpened) bool { return m.GetChecklist().GetUser().GetUserId() == cid.GetId() })
	if w.late(ann) != 1 || w.late(bob) != 0 {
		t.Errorf("late: ann %d times, bob %d times", w.late(ann), w.late(bob))
	}
}

// B-ONB-16: checklists that were opened before there were dates get one with the upgrade,
// by the organization's settings, and become overdue; closed ones, and those that have a
// date, stay as they are.
func TestChecklistsOfBefore(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	if _, err := w.checklists.UpdateChecklistSettings(t.Context(), &provisioningv1.UpdateChecklistSettingsRequest{
		ChecklistSettings: &provisioningv1.ChecklistSettings{OnboardingPeriod: durationpb.New(2 * time.Hour)}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"onboarding_period"}},
	}); err != nil {
		t.Fatal(err)
	}
	app := w.app(t, "By hand", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	open := func(name string) *identityv1.User {
		u := w.user(t, name)
		w.give(t, u, ask{}, account)
		w.open(t, u, app, createAccount)
		return u
	}
	ann, bob, cid, left := open("ann"), open("bob"), open("cid"), open("left")
	w.resolve(t, w.open(t, bob, app, createAccount))
	w.resolve(t, w.open(t, left, app, createAccount))
	w.leave(t, left)
	w.open(t, left, app, removeAccount)
	dated := w.list(t, cid).GetDueTime().AsTime()
	now.Advance(time.Minute)

	data, err := fs.ReadFile(migrations.FS, "00015_checklist_undated.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, fill, ok := strings.Cut(string(data), "insert into due")
	if !ok {
		t.Fatal("the migration gives no dates")
	}
	fill, _, _ = strings.Cut(fill, ";")
	for _, u := range []*identityv1.User{ann, bob, left} {
		w.exec(t, `update checklist set due_time = null where user_id = '`+u.GetId()+`'`)
	}
	w.exec(t, `delete from due where kind = 'checklist_due' and key in (select id from checklist where due_time is null)`)
	w.exec(t, "insert into due"+fill)
	now.Advance(time.Minute)
	for u, period := range map[*identityv1.User]time.Duration{ann: 2 * time.Hour, left: 24 * time.Hour} {
		ev := servicetest.Wait(t, w.Harness, func(m *eventv1.ChecklistUpdated) bool { return m.GetChecklist().GetUser().GetUserId() == u.GetId() })
		if ev.GetContext().GetActor().GetId() != "provisioning" || ev.GetContext().GetVersion() != w.version(t, ev.GetChecklist().GetId()) {
			t.Errorf("said %v", ev)
		}
		dueIn(t, w.list(t, u), now.Now(), period)
	}
	if !w.list(t, cid).GetDueTime().AsTime().Equal(dated) || w.lists(t, bob, true)[0].GetDueTime() != nil {
		t.Error("a checklist that had a date, or is closed, has another")
	}
	// Once more changes nothing.
	w.exec(t, "insert into due"+fill)
	now.Advance(3 * time.Hour)
	servicetest.Wait(t, w.Harness, func(m *eventv1.ChecklistOverdue) bool { return m.GetChecklist().GetUser().GetUserId() == ann.GetId() })
	if l := w.list(t, ann); !l.GetOverdue() {
		t.Errorf("checklist %v", l)
	}
	if n := count(servicetest.All[*eventv1.ChecklistUpdated](w.Harness), func(*eventv1.ChecklistUpdated) bool { return true }); n != 2 {
		t.Errorf("%d were given a date, want 2", n)
	}
}

// version is that of a checklist.
func (w *world) version(t *testing.T, id string) int64 {
	t.Helper()
	return int64(w.count(t, `select version from checklist where id = '`+id+`'`))
}

// B-ONB-16: how long people have is a setting of the organization.
func TestChecklistSettings(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	ctx := t.Context()
	got, err := w.checklists.GetChecklistSettings(ctx, &provisioningv1.GetChecklistSettingsRequest{})
	if err != nil || got.GetChecklistSettings().GetOnboardingPeriod().AsDuration() != 72*time.Hour || got.GetChecklistSettings().GetOffboardingPeriod().AsDuration() != 24*time.Hour {
		t.Fatalf("settings %v %v", got, err)
	}
	update := func(c provisioningv1.ChecklistServiceClient, s *provisioningv1.ChecklistSettings, fields ...string) (*provisioningv1.UpdateChecklistSettingsResponse, error) {
		return c.UpdateChecklistSettings(ctx, &provisioningv1.UpdateChecklistSettingsRequest{ChecklistSettings: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
	}
	etag := got.GetChecklistSettings().GetEtag()
	up, err := update(w.checklists, &provisioningv1.ChecklistSettings{OnboardingPeriod: durationpb.New(2 * time.Hour), Etag: etag}, "onboarding_period")
	if err != nil || up.GetChecklistSettings().GetOnboardingPeriod().AsDuration() != 2*time.Hour || up.GetChecklistSettings().GetOffboardingPeriod().AsDuration() != 24*time.Hour {
		t.Fatalf("settings %v %v", up, err)
	}
	ev := servicetest.Wait(t, w.Harness, func(*eventv1.ChecklistSettingsUpdated) bool { return true })
	if ev.GetContext().GetActor().GetId() != w.admin.UserID.String() || ev.GetChecklistSettings().GetOnboardingPeriod().AsDuration() != 2*time.Hour {
		t.Errorf("said %v", ev)
	}
	app := w.app(t, "By hand", manual, "")
	account := w.entitlement(t, app, accountKind, "account")
	ann := w.user(t, "ann")
	w.give(t, ann, ask{}, account)
	w.open(t, ann, app, createAccount)
	list := w.list(t, ann)
	dueIn(t, list, now.Now(), 2*time.Hour)

	// What may not be.
	_, err = update(w.checklists, &provisioningv1.ChecklistSettings{OnboardingPeriod: durationpb.New(time.Hour), Etag: etag}, "onboarding_period")
	wantReason(t, err, "Aborted", "ETAG_MISMATCH")
	for _, d := range []time.Duration{-time.Second, 365*24*time.Hour + time.Second, time.Millisecond} {
		_, err = update(w.checklists, &provisioningv1.ChecklistSettings{OffboardingPeriod: durationpb.New(d)}, "offboarding_period")
		wantReason(t, err, "InvalidArgument", "PERIOD_INVALID", "checklist_settings.offboarding_period")
	}
	_, err = update(w.checklists, &provisioningv1.ChecklistSettings{}, "nothing")
	wantReason(t, err, "InvalidArgument", "FIELD_NOT_CHANGEABLE", "update_mask")
	inside := w.caller(authzv1.Caller_CALLER_ADMIN)
	inside.EnvironmentID = id.New()
	it := provisioningv1.NewChecklistServiceClient(w.Conn(t, w.caller(authzv1.Caller_CALLER_IT_ADMIN)))
	_, err = update(provisioningv1.NewChecklistServiceClient(w.Conn(t, inside)), &provisioningv1.ChecklistSettings{OnboardingPeriod: durationpb.New(time.Hour)}, "onboarding_period")
	wantReason(t, err, "PermissionDenied", "NOT_IN_ENVIRONMENT")
	_, err = update(it, &provisioningv1.ChecklistSettings{OnboardingPeriod: durationpb.New(time.Hour)}, "onboarding_period")
	wantReason(t, err, "PermissionDenied", "ROLE_NOT_ALLOWED")
	other := provisioningv1.NewChecklistServiceClient(w.Conn(t, stranger()))
	if theirs, err := other.GetChecklistSettings(ctx, &provisioningv1.GetChecklistSettingsRequest{}); err != nil || theirs.GetChecklistSettings().GetOnboardingPeriod().AsDuration() != 72*time.Hour {
		t.Errorf("settings %v %v", theirs, err)
	}
	if after, err := w.checklists.GetChecklistSettings(ctx, &provisioningv1.GetChecklistSettingsRequest{}); err != nil || after.GetChecklistSettings().GetEtag() != up.GetChecklistSettings().GetEtag() {
		t.Errorf("settings %v %v", after, err)
	}
	// Cleared, it is the default again.
	up, err = update(w.checklists, &provisioningv1.ChecklistSettings{}, "onboarding_period")
	if err != nil || up.GetChecklistSettings().GetOnboardingPeriod().AsDuration() != 72*time.Hour {
		t.Errorf("settings %v %v", up, err)
	}

	// One checklist's date.
	set := func(c provisioningv1.ChecklistServiceClient, l *provisioningv1.Checklist, fields ...string) error {
		_, err := c.UpdateChecklist(ctx, &provisioningv1.UpdateChecklistRequest{Checklist: l, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
		return err
	}
	soon := timestamppb.New(now.Now().Add(time.Hour))
	wantReason(t, set(w.checklists, &provisioningv1.Checklist{Id: list.GetId()}, "due_time"), "InvalidArgument", "DUE_TIME_INVALID", "checklist.due_time")
	wantReason(t, set(w.checklists, &provisioningv1.Checklist{Id: list.GetId(), DueTime: timestamppb.New(now.Now().Add(366 * 24 * time.Hour))}, "due_time"), "InvalidArgument", "DUE_TIME_INVALID", "checklist.due_time")
	wantReason(t, set(w.checklists, &provisioningv1.Checklist{Id: list.GetId(), DueTime: timestamppb.New(now.Now().Add(-time.Hour))}, "due_time"), "InvalidArgument", "DUE_TIME_INVALID", "checklist.due_time")
	wantReason(t, set(w.checklists, &provisioningv1.Checklist{Id: list.GetId(), OpenCount: 7}, "open_count"), "InvalidArgument", "FIELD_NOT_CHANGEABLE", "update_mask")
	wantReason(t, set(w.checklists, &provisioningv1.Checklist{Id: list.GetId(), DueTime: soon, Etag: "x"}, "due_time"), "Aborted", "ETAG_MISMATCH")
	wantReason(t, set(w.checklists, &provisioningv1.Checklist{Id: uuid.NewString(), DueTime: soon}, "due_time"), "NotFound", "CHECKLIST_NOT_FOUND")
	wantReason(t, set(other, &provisioningv1.Checklist{Id: list.GetId(), DueTime: soon}, "due_time"), "NotFound", "CHECKLIST_NOT_FOUND")
	risk := provisioningv1.NewChecklistServiceClient(w.Conn(t, w.caller(authzv1.Caller_CALLER_RISK_MANAGER)))
	wantReason(t, set(risk, &provisioningv1.Checklist{Id: list.GetId(), DueTime: soon}, "due_time"), "PermissionDenied", "ROLE_NOT_ALLOWED")
	dueIn(t, w.list(t, ann), now.Now(), 2*time.Hour)
	if err := set(it, &provisioningv1.Checklist{Id: list.GetId(), DueTime: soon}, "due_time"); err != nil {
		t.Error(err)
	}
	w.resolve(t, w.open(t, ann, app, createAccount))
	wantReason(t, set(w.checklists, &provisioningv1.Checklist{Id: list.GetId(), DueTime: soon}, "due_time"), "FailedPrecondition", "CHECKLIST_CLOSED")
}
