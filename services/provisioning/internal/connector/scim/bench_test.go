package scim_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/connector/scim"
)

// What a call costs against the demo app, in a process of its own on the same machine.
//
//	go test -run '^$' -bench . ./provisioning/internal/connector/scim
func BenchmarkDemoApp(b *testing.B) {
	c := open(b, scim.Config{URL: startDemoApp(b), Token: secret})
	var last atomic.Int64
	someone := func() connector.Person {
		n := last.Add(1)
		return connector.Person{
			UserID: uuid.Must(uuid.NewV7()).String(), UserName: fmt.Sprintf("bench%d@example.test", n), Email: fmt.Sprintf("bench%d@example.test", n),
			GivenName: "Bench", FamilyName: fmt.Sprint(n), DisplayName: fmt.Sprintf("Bench %d", n), Title: "Engineer", Department: "Research",
		}
	}
	known := someone()
	account, err := c.EnsureAccount(b.Context(), known, "")
	if err != nil {
		b.Fatal(err)
	}
	group := connector.Entitlement{Kind: connector.Group, Ref: engineers}
	calls := []struct {
		name string
		call func(context.Context) error
	}{
		{"EnsureNew", func(ctx context.Context) error { _, err := c.EnsureAccount(ctx, someone(), ""); return err }},
		{"EnsureKnown", func(ctx context.Context) error { _, err := c.EnsureAccount(ctx, known, ""); return err }},
		{"AddGroup", func(ctx context.Context) error { return c.Add(ctx, account.ID, group) }},
		{"NewAndGroup", func(ctx context.Context) error {
			a, err := c.EnsureAccount(ctx, someone(), "")
			if err != nil {
				return err
			}
			return c.Add(ctx, a.ID, group)
		}},
	}
	for _, call := range calls {
		for _, inFlight := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", call.name, inFlight), func(b *testing.B) {
				took := make([][]time.Duration, inFlight)
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for i := range inFlight {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							start := time.Now()
							if err := call.call(b.Context()); err != nil {
								b.Error(err)
								return
							}
							took[i] = append(took[i], time.Since(start))
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				all := slices.Concat(took...)
				slices.Sort(all)
				b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "calls/s")
				b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
			})
		}
	}
}
