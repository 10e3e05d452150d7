package provisioning_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gatehouse.dev/libs/servicetest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// BenchmarkLives measures from approval.granted to grant.activated, through a
// SCIM app in the same process: an account and a group for each life, with
// many of them on the way at once.
func BenchmarkLives(b *testing.B) {
	w := start(b)
	target := newApp(b, "devs")
	app := w.app(b, "Automatic", automatic, w.integration(b, target))
	devs := w.entitlement(b, app, groupKind, "devs")
	var users []*identityv1.User
	for i := range b.N {
		users = append(users, w.user(b, fmt.Sprintf("user%05d", i)))
	}
	w.Handled(b, "provisioning")
	b.ResetTimer()
	for _, u := range users {
		w.give(b, u, ask{}, devs)
	}
	servicetest.Eventually(b, "all are active", func() bool {
		return len(servicetest.All[*eventv1.GrantActivated](w.Harness)) == b.N
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lives/s")
}

// BenchmarkLatency is BenchmarkLives with one life at a time.
func BenchmarkLatency(b *testing.B) {
	w := start(b)
	target := newApp(b, "devs")
	app := w.app(b, "Automatic", automatic, w.integration(b, target))
	devs := w.entitlement(b, app, groupKind, "devs")
	var took []time.Duration
	for i := range b.N {
		u := w.user(b, fmt.Sprintf("user%05d", i))
		w.Handled(b, "provisioning")
		from := time.Now()
		r := w.give(b, u, ask{}, devs)
		servicetest.Wait(b, w.Harness, func(m *eventv1.GrantActivated) bool { return m.GetGrant().GetRequestId() == r.GetId() })
		took = append(took, time.Since(from))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
