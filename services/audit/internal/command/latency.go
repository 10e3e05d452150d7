package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/audit/internal/store"
)

// Latencies are how long was waited.
type Latencies struct {
	Pending, Access, Removal, Audit Latency
}

// Latency is how long something took; P50, P99 and Longest are nothing without any.
type Latency struct {
	Count             int
	P50, P99, Longest time.Duration
}

// Latencies measures in the log of the caller's scope how long was waited, for what
// happened from since to before.
func (c *Commands) Latencies(ctx context.Context, caller authz.Caller, since, before time.Time) (l Latencies, err error) {
	var waits store.Waits
	err = c.DB.InRead(ctx, caller.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		waits, err = store.ReadWaits(ctx, tx, caller.OrganizationID, since, before)
		return err
	})
	if err != nil {
		return l, err
	}
	var removals []time.Duration
	for _, r := range waits.Removals {
		var ended eventv1.GrantEnded
		if err := proto.Unmarshal(r.Data, &ended); err != nil {
			return l, fmt.Errorf("read the end of a grant: %w", err)
		}
		if g := ended.GetGrant(); g.GetEndReason() == provisioningv1.GrantEndReason_GRANT_END_REASON_EXPIRED {
			removals = append(removals, r.Gone.Sub(g.GetUntil().AsTime()))
		}
	}
	return Latencies{Pending: latencyOf(waits.Pending), Access: latencyOf(waits.Access), Removal: latencyOf(removals), Audit: latencyOf(waits.Audit)}, nil
}

// latencyOf sums waits up. What seems to have taken less than nothing, by clocks of several
// machines, took nothing.
func latencyOf(waits []time.Duration) Latency {
	if len(waits) == 0 {
		return Latency{}
	}
	slices.Sort(waits)
	at := func(percent int) time.Duration {
		return max(waits[(len(waits)*percent+99)/100-1], 0)
	}
	return Latency{Count: len(waits), P50: at(50), P99: at(99), Longest: at(100)}
}
