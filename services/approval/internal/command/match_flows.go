package command

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/store"
)

const (
	flowsAtOnce = 100
	usersAtOnce = 500
)

// matchFlows matches every join-flow that is new, or has a new version, with
// everybody.
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
	var after string
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
			users, err := c.Store.Candidates(ctx, tx, f.OrganizationID, flow, after, usersAtOnce)
			if err != nil {
				return err
			}
			var matches []store.Match
			for _, u := range users {
				if flow.MatchesJoiner(u.Member) {
					matches = append(matches, store.Match{Flow: flow, Candidate: u})
				}
			}
			if err := c.addMatches(ctx, tx, f.OrganizationID, matches); err != nil {
				return err
			}
			if done = len(users) < usersAtOnce; done {
				return c.Store.SetMatched(ctx, tx, f.ID, f.Version)
			}
			after = users[len(users)-1].ID
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
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
		events = append(events, convert.FlowMatched(organizationID, m.Flow, m.Member, m.JoinCount, now))
	}
	return c.Store.Emit(ctx, tx, events...)
}
