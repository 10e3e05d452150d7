package provisioning_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.dev/libs/servicetest"
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
