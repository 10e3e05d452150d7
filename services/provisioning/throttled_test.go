package provisioning_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// throttle is an app that takes so many calls a second.
type throttle struct {
	mu      sync.Mutex
	second  int64
	taken   int
	refused int
}

func (q *throttle) fault(*http.Request) *fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now().Unix(); now != q.second {
		q.second, q.taken = now, 0
	}
	if q.taken++; q.taken <= 20 {
		return nil
	}
	q.refused++
	return &fault{status: http.StatusTooManyRequests, retryAfter: "1"}
}

func (q *throttle) refusals() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refused
}

// B-PRV-04, in part: an app that takes 20 calls a second is given what it takes. Nobody
// fails, few calls are refused, and it is shown what waits.
func TestThrottledApp(t *testing.T) {
	t.Parallel()
	w := start(t)
	var names []string
	for n := range 10 {
		names = append(names, fmt.Sprintf("group%d", n))
	}
	target, other := newApp(t, names...), newApp(t)
	slow, fast := w.integration(t, target), w.integration(t, other)
	app := w.app(t, "Slow", automatic, slow)
	account := w.entitlement(t, w.app(t, "Fast", automatic, fast), accountKind, "account")
	var groups []*requestv1.Entitlement
	for _, n := range names {
		groups = append(groups, w.entitlement(t, app, groupKind, n))
	}
	var people []*identityv1.User
	for n := range 20 {
		people = append(people, w.user(t, fmt.Sprintf("user%02d", n)))
	}
	queue := func(id string) *provisioningv1.Integration {
		t.Helper()
		r, err := w.integrations.GetIntegration(t.Context(), &provisioningv1.GetIntegrationRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetIntegration()
	}

	var q throttle
	target.misbehave(q.fault)
	for _, u := range people {
		w.give(t, u, ask{}, groups...)
	}
	servicetest.Eventually(t, "it is shown that it is throttled and what waits", func() bool {
		i := queue(slow)
		return i.GetThrottledUntil() != nil && i.GetWaitingOperations() > 0 && i.GetOldestWaitTime() != nil
	})
	w.becomes(t, w.give(t, people[0], ask{}, account), active)
	if n := w.count(t, `select count(*) from access_grant where state = 'active'`); n == 201 {
		t.Error("the other integration had to wait")
	}
	if i := queue(fast); i.GetThrottledUntil() != nil || i.GetWaitingOperations() != 0 || i.GetOldestWaitTime() != nil {
		t.Errorf("shown of the other: %v", i)
	}
	l, err := w.integrations.ListIntegrations(t.Context(), &provisioningv1.ListIntegrationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range l.GetIntegrations() {
		if waits := i.GetWaitingOperations() > 0 && i.GetOldestWaitTime() != nil; waits != (i.GetId() == slow) {
			t.Errorf("listed: %v", i)
		}
	}
	m := w.metrics(t)
	for _, name := range []string{"operation_waiting", "operation_waiting_age_seconds", "integration_throttled"} {
		if !strings.Contains(m, "\ngatehouse_provisioning_"+name+"{") {
			t.Errorf("no metric %s", name)
		}
	}

	reaches(t, "all are active", 201, func() int { return w.count(t, `select count(*) from access_grant where state = 'active'`) })
	if n := q.refusals(); n > 60 {
		t.Errorf("%d calls were refused", n)
	}
	if n := w.count(t, `select count(*) from work_item`); n != 0 {
		t.Errorf("%d work items", n)
	}
	servicetest.Eventually(t, "nothing is shown any more", func() bool {
		i := queue(slow)
		return i.GetThrottledUntil() == nil && i.GetWaitingOperations() == 0 && i.GetOldestWaitTime() == nil
	})
}

// mostTries is how often an operation is tried before a person is asked.
const mostTries = 8

// B-PRV-11, B-ONB-05, B-PRV-04 in part: an app that asks to wait, again and again, keeps no leaver off the
// list, nor one whose removal it was not even asked for. What people say of it is looked
// at, and the list ends by itself when the app takes calls again.
func TestRemovalThatWaitsIsListed(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Now())
	w := startAt(t, now)
	target := newApp(t)
	integration := w.integration(t, target)
	app := w.app(t, "Throttled", automatic, integration)
	account := w.entitlement(t, app, accountKind, "account")
	ann, bob, cid := w.user(t, "ann"), w.user(t, "bob"), w.user(t, "cid")
	given := []*requestv1.Request{w.give(t, ann, ask{}, account), w.give(t, bob, ask{}, account)}
	for _, r := range given {
		w.becomes(t, r, active)
	}
	var asked atomic.Int32
	target.misbehave(func(*http.Request) *fault {
		asked.Add(1)
		return &fault{status: http.StatusTooManyRequests, retryAfter: "600"}
	})
	throttled := func() bool {
		r, err := w.integrations.GetIntegration(t.Context(), &provisioningv1.GetIntegrationRequest{Id: integration})
		return err == nil && r.GetIntegration().GetThrottledUntil() != nil
	}

	w.leave(t, ann)
	servicetest.Eventually(t, "the app has asked to wait", throttled)
	w.leave(t, bob)
	joins := w.give(t, cid, ask{}, account)
	for _, r := range given {
		w.becomes(t, r, revoking)
	}
	before := asked.Load()
	now.Advance(time.Minute)
	fix := provisioningv1.WorkItemKind_WORK_ITEM_KIND_FIX_OPERATION
	if i := w.open(t, ann, app, fix); i.GetChecklistId() == "" || !strings.Contains(i.GetError(), "429") {
		t.Errorf("of who was refused: %v", i)
	}
	item := w.open(t, bob, app, fix)
	if item.GetChecklistId() == "" || !strings.Contains(item.GetError(), "waits for its turn") {
		t.Errorf("of who waits behind: %v", item)
	}
	if g := w.becomes(t, given[1], revoking)[0]; g.GetError() == "" || said[*eventv1.GrantFailed](t, w, g.GetId()) != 1 {
		t.Errorf("grant %v", g)
	}
	if n := asked.Load(); n != before {
		t.Errorf("called %d times while it wanted no call", n-before)
	}

	// A person says that it is gone, and the app does not: it is asked for anew.
	w.resolve(t, item)
	if items := w.itemsOf(t, bob); len(items) != 1 {
		t.Errorf("at once again: %v", items)
	}
	now.Advance(time.Minute)
	servicetest.Eventually(t, "it is listed again", func() bool { return len(w.itemsOf(t, bob)) == 2 })
	if g := w.becomes(t, given[1], revoking)[0]; said[*eventv1.GrantFailed](t, w, g.GetId()) != 1 {
		t.Errorf("grant %v", g)
	}

	// To be asked to wait, however often, is no failure: nobody's tries are used up.
	for range 4 * mostTries {
		n := asked.Load()
		now.Advance(11 * time.Minute)
		servicetest.Eventually(t, "the app is asked again", func() bool {
			now.Advance(time.Second) // for a turn
			return asked.Load() > n
		})
	}
	if n := w.count(t, `select count(*) from access_grant where state = 'failed'`); n != 0 {
		t.Errorf("%d have failed", n)
	}

	target.misbehave(nil)
	now.Advance(time.Hour)
	reaches(t, "all is done, one a second", 3, func() int {
		now.Advance(time.Second)
		return w.count(t, `select count(*) from access_grant where state in ('revoked', 'active')`)
	})
	for n, r := range given {
		w.becomes(t, r, revoked)
		for _, i := range w.itemsOf(t, []*identityv1.User{ann, bob}[n]) {
			if i.GetState() == provisioningv1.WorkItemState_WORK_ITEM_STATE_OPEN {
				t.Errorf("still open: %v", i)
			}
		}
	}
	w.becomes(t, joins, active) // who has waited to get something has not failed
	if items := w.itemsOf(t, cid); len(items) != 0 {
		t.Errorf("of who joined: %v", items)
	}
	if target.account(t, "ann") != nil || target.account(t, "bob") != nil {
		t.Error("still there")
	}
}
