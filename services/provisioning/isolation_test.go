package provisioning_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// refuse makes the database refuse every update of a user's rows in a table,
// until restore is called.
func (w *world) refuse(t *testing.T, table string, user *identityv1.User) (restore func()) {
	t.Helper()
	name := "refuse_" + table
	w.exec(t, fmt.Sprintf(`
		create function %[1]s() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
		create trigger %[1]s before update on %[2]s for each row when (new.user_id = '%[3]s') execute function %[1]s()`, name, table, user.GetId()))
	return func() { w.exec(t, fmt.Sprintf(`drop trigger %[1]s on %[2]s; drop function %[1]s()`, name, table)) }
}

func (w *world) exec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Admin(t, w.Config.Postgres.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// B-PRV-03, B-PRV-15: 301 grants end at the same time, and the rows of one
// person cannot be saved. All others lose access; that one is late, with its
// error, and ends by itself once its rows can be saved. All were warned a day
// before.
func TestEndsAreIsolated(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	target := newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	const others = 300
	var failed atomic.Bool // a call, as it may
	target.misbehave(func(*http.Request) *fault {
		if failed.CompareAndSwap(false, true) {
			return &fault{status: http.StatusInternalServerError}
		}
		return nil
	})
	until := now.Now().Add(10 * 24 * time.Hour)
	var bad *identityv1.User
	var badRequest *requestv1.Request
	for i := range others + 1 {
		u := w.user(t, fmt.Sprintf("user%03d", i))
		r := w.give(t, u, ask{until: until}, account)
		if i == 0 {
			bad, badRequest = u, r
		}
	}
	active := func() int { return w.count(t, `select count(*) from access_grant where state = 'active'`) }
	// The clock goes on, as a call that fails is made again at a later time.
	goesOn := func(count func() int) func() int {
		return func() int { now.Advance(5 * time.Millisecond); return count() }
	}
	reaches(t, "all are active", others+1, goesOn(active))

	now.Set(until.Add(-24*time.Hour - time.Minute))
	if n := len(servicetest.Said[*eventv1.GrantExpiring](t, w.Harness, "provisioning")); n != 0 {
		t.Errorf("%d warnings too early", n)
	}
	now.Advance(2 * time.Minute)
	reaches(t, "all are warned", others+1, goesOn(func() int { return len(servicetest.All[*eventv1.GrantExpiring](w.Harness)) }))

	restore := w.refuse(t, "access_grant", bad)
	now.Set(until)
	reaches(t, "all others have lost access", others, goesOn(func() int { return len(servicetest.All[*eventv1.GrantRevoked](w.Harness)) }))
	if target.account(t, bad.GetUserName()) == nil || active() != 1 {
		t.Errorf("%d grants are active", active())
	}
	now.Advance(time.Minute)
	servicetest.Eventually(t, "the one is late, with its error", func() bool {
		return strings.Contains(w.metrics(t), `gatehouse_due_late{kind="grant_end"`) &&
			w.count(t, `select count(*) from due where kind = 'grant_end' and attempts > 0 and error like '%refused by the test%'`) == 1
	})

	restore()
	servicetest.Eventually(t, "the one ends too", func() bool {
		now.Advance(200 * time.Millisecond)
		return target.account(t, bad.GetUserName()) == nil && w.count(t, `select count(*) from access_grant where state = 'revoked'`) == others+1
	})
	w.becomes(t, badRequest, revoked)
	if n := len(servicetest.All[*eventv1.GrantExpiring](w.Harness)); n != others+1 {
		t.Errorf("%d warnings", n)
	}
}

// B-PRV-15: of somebody who leaves, the rows of one app cannot be saved: access
// to the others ends.
func TestLeaverIsIsolated(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	one, other := w.app(t, "One", shared, ""), w.app(t, "Other", shared, "")
	ann := w.user(t, "ann")
	kept := w.give(t, ann, ask{}, w.entitlement(t, one, accountKind, "account"))
	ended := w.give(t, ann, ask{}, w.entitlement(t, other, accountKind, "account"))
	w.becomes(t, kept, active)
	w.becomes(t, ended, active)
	w.exec(t, fmt.Sprintf(`
		create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
		create trigger refuse before update on access_grant for each row when (new.app_id = '%s') execute function refuse()`, one.GetId()))
	w.leave(t, ann)
	w.becomes(t, ended, revoked)
	w.exec(t, `drop trigger refuse on access_grant`)
	servicetest.Eventually(t, "the one ends too", func() bool {
		now.Advance(200 * time.Millisecond)
		return w.count(t, `select count(*) from access_grant where state <> 'revoked'`) == 0
	})
}

// B-PRV-15, B-PRV-11: an operation whose row cannot be changed keeps no other
// from being claimed, and none from being taken over. It is counted, and done
// once its row can be changed.
func TestOperationsAreIsolated(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	target := newApp(t)
	app := w.app(t, "Automatic", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	count := func(state string) int {
		return w.count(t, fmt.Sprintf(`select count(*) from operation where state = '%s'`, state))
	}

	// All wait for a time, the bad one first.
	target.misbehave(func(*http.Request) *fault { return &fault{status: http.StatusTooManyRequests, retryAfter: "60"} })
	const others = 40
	var users []*identityv1.User
	for i := range others + 1 {
		users = append(users, w.user(t, fmt.Sprintf("user%02d", i)))
		w.give(t, users[i], ask{}, account)
		if i == 0 {
			servicetest.Eventually(t, "the first waits", func() bool { return count("queued") == 1 })
		}
	}
	servicetest.Eventually(t, "all wait", func() bool { return count("queued") == others+1 })
	restore := w.refuse(t, "operation", users[0])
	target.misbehave(nil)
	active := func() int { return w.count(t, `select count(*) from access_grant where state = 'active'`) }
	servicetest.Eventually(t, "all others are done", func() bool {
		now.Advance(200 * time.Millisecond)
		return active() == others
	})
	servicetest.Eventually(t, "a metric of operations that cannot be claimed", func() bool {
		m := w.metrics(t)
		return strings.Contains(m, `gatehouse_provisioning_operation_failures_total{`) && strings.Contains(m, `step="claim"`)
	})
	restore()
	servicetest.Eventually(t, "the one is done too", func() bool {
		now.Advance(200 * time.Millisecond)
		return active() == others+1
	})

	// Two run, the bad one first, and their lease ends.
	hold := make(chan struct{})
	var held atomic.Int32
	target.misbehave(func(r *http.Request) *fault {
		if held.Add(1) <= 2 {
			return &fault{before: func() { <-hold }}
		}
		return nil
	})
	bad, good := w.user(t, "bad"), w.user(t, "good")
	w.give(t, bad, ask{}, account)
	// The app, which was throttled, takes them one after the other: a turn may be a while
	// ahead.
	servicetest.Eventually(t, "the first runs", func() bool {
		if held.Load() == 0 {
			now.Advance(50 * time.Millisecond)
		}
		return held.Load() == 1
	})
	restore = w.refuse(t, "operation", bad)
	now.Advance(200 * time.Millisecond)
	r := w.give(t, good, ask{}, account)
	servicetest.Eventually(t, "both run", func() bool { return held.Load() >= 2 })
	servicetest.Eventually(t, "the other is taken over", func() bool {
		now.Advance(200 * time.Millisecond)
		return active() == others+2
	})
	if g := w.becomes(t, r, provisioningv1.GrantState_GRANT_STATE_ACTIVE); len(g) != 1 {
		t.Errorf("%d grants", len(g))
	}
	close(hold)
	restore()
	servicetest.Eventually(t, "the one is done too", func() bool {
		now.Advance(200 * time.Millisecond)
		return active() == others+3
	})
}

// B-RUN-06, B-USR-15 and B-ONB-04, in part: copies are lost and rebuilt from
// their owners' snapshots while everything runs. Who has left meanwhile loses
// what they hold, also if they have come back since; who has not keeps it.
func TestRebuildCopies(t *testing.T) {
	t.Parallel()
	w := start(t)
	target := newApp(t)
	crm := w.app(t, "CRM", automatic, w.integration(t, target))
	account := w.entitlement(t, crm, accountKind, "account")
	gone, back, stays := w.user(t, "gone"), w.user(t, "back"), w.user(t, "stays")
	held := map[*identityv1.User]*requestv1.Request{}
	for _, u := range []*identityv1.User{gone, back, stays} {
		held[u] = w.give(t, u, ask{}, account)
		w.becomes(t, held[u], active)
	}
	gone.Version, gone.State = 2, identityv1.UserState_USER_STATE_REMOVED
	back.Version, back.JoinCount = 3, 2
	w.Owners.Set(gone, back, stays, crm, account)
	for _, lost := range []string{"delete from user_copy", "delete from app_copy", "delete from entitlement_copy"} {
		w.exec(t, lost)
	}
	w.RebuildCopies(t)
	w.becomes(t, held[gone], revoked)
	w.becomes(t, held[back], revoked)
	again := w.give(t, back, ask{}, account)
	w.becomes(t, again, active)

	// The app has been left to people, which no event has told.
	crm.Version, crm.Provisioning = 2, manual
	w.Owners.Set(gone, back, stays, crm, account)
	w.RebuildCopies(t)
	servicetest.Eventually(t, "the app is known to be manual", func() bool {
		return w.count(t, `select count(*) from app_copy where provisioning = 'manual'`) == 1
	})
	w.give(t, stays, ask{revoke: true}, account)
	w.open(t, stays, crm, provisioningv1.WorkItemKind_WORK_ITEM_KIND_REMOVE_ACCOUNT)
	target.drop(target.account(t, "stays").ID) // its integration looks
	w.becomes(t, held[stays], revoked)
	w.becomes(t, again, active)
	if target.account(t, "gone") != nil || target.account(t, "back") == nil {
		t.Error("the app has other accounts than the grants say")
	}
}

// B-PRV-03 and B-RUN-06, in part: while the copy of what a grant is about is
// missing, its end is late, and nothing else is done about the account; it
// happens when the copy is there again.
func TestEndWaitsForCopies(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	target := newApp(t, "editor")
	crm := w.app(t, "CRM", automatic, w.integration(t, target))
	account, editor := w.entitlement(t, crm, accountKind, "account"), w.entitlement(t, crm, groupKind, "editor")
	ann := w.user(t, "ann")
	kept := w.give(t, ann, ask{}, account)
	until := now.Now().Add(time.Hour)
	ends := w.give(t, ann, ask{until: until}, editor)
	w.becomes(t, kept, active)
	w.becomes(t, ends, active)
	w.exec(t, "delete from entitlement_copy")
	now.Set(until)
	servicetest.Eventually(t, "the end is late", func() bool {
		now.Advance(time.Second)
		return w.count(t, `select count(*) from due where kind = 'grant_end' and attempts > 1 and error like '%not known yet%'`) == 1
	})
	if target.account(t, "ann") == nil || w.count(t, `select count(*) from access_grant where state = 'active'`) != 2 {
		t.Error("access was changed without knowing what it is")
	}
	w.Owners.Set(ann, crm, account, editor)
	w.RebuildCopies(t)
	servicetest.Eventually(t, "the end comes", func() bool {
		now.Advance(10 * time.Second)
		return w.count(t, `select count(*) from access_grant where state = 'revoked'`) == 1
	})
	w.becomes(t, kept, active)
}

// B-PRV-15, B-PRV-03: the fault as it was seen. Grants end at one time, and the
// row of one of them cannot be saved. Everybody else's access ends all the same.
func TestOneBadRowKeepsNobodysAccess(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	target := newApp(t)
	app := w.app(t, "CRM", automatic, w.integration(t, target))
	account := w.entitlement(t, app, accountKind, "account")
	until := now.Now().Add(time.Hour)
	var bad *identityv1.User
	var others []*requestv1.Request
	for i := range 20 {
		u := w.user(t, fmt.Sprintf("user%02d", i))
		r := w.give(t, u, ask{until: until}, account)
		w.becomes(t, r, active)
		if i == 0 {
			bad = u
			continue
		}
		others = append(others, r)
	}
	restore := w.refuse(t, "access_grant", bad)
	now.Advance(time.Hour)
	for _, r := range others {
		w.becomes(t, r, revoked)
	}
	if target.account(t, bad.GetUserName()) == nil {
		t.Error("the one that cannot be saved is gone too")
	}
	restore()
	servicetest.Eventually(t, "the last account is gone", func() bool {
		now.Advance(time.Second) // it is tried again after a pause
		return target.account(t, bad.GetUserName()) == nil
	})
}
