package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/store"
)

const (
	flowsAtOnce = 100
	// usersAtOnce are locked one by one.
	usersAtOnce = 200
)

// matchFlows matches every join-flow that is new, or has a new version, with
// everybody, and lets go whom it is not for any more.
func (c *Commands) matchFlows(ctx context.Context, s *scan) error {
	var after string
	for {
		var flows []store.UnmatchedFlow
		err := c.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			flows, err = c.Store.UnmatchedFlows(ctx, tx, after, flowsAtOnce)
			return err
		})
		if err != nil {
			return err
		}
		for _, f := range flows {
			after = f.ID
			s.do(ctx, f.OrganizationID, f.ID, func() error { return c.matchFlow(ctx, f) })
		}
		if len(flows) < flowsAtOnce || ctx.Err() != nil {
			return nil
		}
	}
}

func (c *Commands) matchFlow(ctx context.Context, f store.UnmatchedFlow) error {
	// A user who was being matched when the flow was saved did not see it.
	err := c.DB.InOrganization(ctx, f.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		return c.Store.AwaitMatching(ctx, tx, f.OrganizationID)
	})
	if err != nil {
		return err
	}
	var after uuid.UUID
	for done := false; !done; {
		err := c.DB.InOrganization(ctx, f.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
			flow, err := c.Store.Flow(ctx, tx, f.ID)
			if errors.Is(err, store.ErrFlowNotFound) {
				done = true // it was deleted just now
				return nil
			}
			if err != nil {
				return err
			}
			var users []uuid.UUID
			if flow.Enabled { // else it neither gives nor takes
				if users, err = c.Store.MatchedBy(ctx, tx, f.OrganizationID, flow, after, usersAtOnce); err != nil {
					return err
				}
			}
			if err := c.matchUsers(ctx, tx, f.OrganizationID, users); err != nil {
				return err
			}
			if done = len(users) < usersAtOnce; done {
				return c.Store.SetMatched(ctx, tx, f.ID, f.Version)
			}
			after = users[len(users)-1]
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// What is due when a user is to be looked at: soon, and when a flow has waited for them.
// They are two, so that who sets the time of the second, and has not seen what the first is
// about, does not put the first off.
const (
	matchUser  = "match_user"
	flowWaited = "flow_waited"
)

// matchLater has users looked at soon, some in each transaction.
func (c *Commands) matchLater(tx *postgres.Tx, organizationID uuid.UUID, users []uuid.UUID) error {
	now := c.Clock.Now()
	items := make([]due.Item, 0, len(users))
	seen := make(map[uuid.UUID]bool, len(users))
	for _, u := range users {
		if !seen[u] {
			seen[u] = true
			items = append(items, due.Item{Kind: matchUser, Key: u, OrganizationID: organizationID, Time: now})
		}
	}
	return c.Due.Add(tx, items...)
}

// matchDue looks at users whose time has come.
func (c *Commands) matchDue(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	return c.matchUsers(ctx, tx, items[0].OrganizationID, postgres.Column(items, func(i due.Item) uuid.UUID { return i.Key }))
}

// waitedDue has users looked at for whom a flow has waited. It locks none of them: who has
// one locked may be about to set when they are due next.
func (c *Commands) waitedDue(_ context.Context, tx *postgres.Tx, items []due.Item) error {
	return c.matchLater(tx, items[0].OrganizationID, postgres.Column(items, func(i due.Item) uuid.UUID { return i.Key }))
}

// matchUsers saves which join-flows have come to match users and which match them no
// more, and emits it. A flow that waits before it lets somebody go is looked at again
// when that time is over. What a match was refused because other flows give it to others
// only is matched once more when the user may have it.
func (c *Commands) matchUsers(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, users []uuid.UUID) error {
	if len(users) == 0 {
		return nil
	}
	found, err := c.Store.MatchUsers(ctx, tx, organizationID, users)
	if err != nil {
		return err
	}
	now := c.Clock.Now()
	var ended, waiting []store.Match
	next := map[string]time.Time{} // by user
	for _, m := range found.Unmatched {
		since := m.UnmatchedSince
		if since.IsZero() {
			since = now
		}
		end := since.Add(m.Flow.UnmatchAfter)
		if !end.After(now) {
			ended = append(ended, m)
			continue
		}
		if m.UnmatchedSince.IsZero() {
			waiting = append(waiting, m)
		}
		if at, ok := next[m.ID]; !ok || end.Before(at) {
			next[m.ID] = end
		}
	}
	if err := c.Store.SetUnmatchedSince(ctx, tx, waiting, &now); err != nil {
		return err
	}
	if err := c.Store.SetUnmatchedSince(ctx, tx, found.Returned, nil); err != nil {
		return err
	}
	items := make([]due.Item, 0, len(next))
	for user, at := range next {
		u, err := uuid.Parse(user)
		if err != nil {
			return fmt.Errorf("match user %q: %w", user, err)
		}
		items = append(items, due.Item{Kind: flowWaited, Key: u, OrganizationID: organizationID, Time: at})
	}
	if len(items) > 0 {
		if err := c.Due.Add(tx, items...); err != nil {
			return err
		}
	}
	if err := c.endMatches(ctx, tx, organizationID, ended); err != nil {
		return err
	}
	// Nobody is let go by this: the next match goes on with those before it.
	if err := c.Store.EndMatches(ctx, tx, found.Allowed, now); err != nil {
		return err
	}
	begun := found.Begun
	for _, m := range found.Allowed {
		if m.First == 0 {
			m.First = m.Count
		}
		begun = append(begun, m)
	}
	return c.addMatches(ctx, tx, organizationID, begun)
}

// endMatches saves that flows are not for people any more, and emits it.
func (c *Commands) endMatches(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, matches []store.Match) error {
	if len(matches) == 0 {
		return nil
	}
	now := c.Clock.Now()
	if err := c.Store.EndMatches(ctx, tx, matches, now); err != nil {
		return err
	}
	return c.emitUnmatched(ctx, tx, organizationID, matches, now)
}

// addMatches saves the matches that are new, and emits them.
func (c *Commands) addMatches(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, matches []store.Match) error {
	now := c.Clock.Now()
	added, err := c.Store.AddMatches(ctx, tx, organizationID, matches, now)
	if err != nil || len(added) == 0 {
		return err
	}
	slices.SortFunc(added, func(a, b store.Match) int {
		return cmp.Or(a.Flow.CreateTime.Compare(b.Flow.CreateTime), cmp.Compare(a.Flow.ID, b.Flow.ID), cmp.Compare(a.ID, b.ID))
	})
	events := make([]outbox.Event, 0, len(added))
	for _, m := range added {
		events = append(events, convert.FlowMatched(organizationID, m.Flow, m.Member, m.JoinCount, m.Count, now))
	}
	return c.Store.Emit(ctx, tx, events...)
}
