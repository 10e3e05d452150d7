package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// Classes of advisory locks.
const (
	// lockMatching is held, shared, by transactions that look for the join-flows
	// of somebody, and alone by one that waits until all of them have committed.
	lockMatching = 0x6a6f
	// lockUser keeps two events about one user from each missing what the other
	// says. lockUsers is held beside it, shared, and alone by a transaction about
	// more users than the server has room for locks.
	lockUser, lockUsers = 0x7065, 0x7066
)

// maxUserLocks is about how many users a transaction locks one by one.
const maxUserLocks = 256

const (
	lockShared = `
select pg_advisory_xact_lock_shared($1, hashtext($3::text)), pg_advisory_xact_lock_shared($2, hashtext($3::text))`
	// In one order, so that two transactions wait and do not deadlock.
	lockEach = `
select pg_advisory_xact_lock($1, k) from (select distinct hashtext(u::text) k from unnest($2::uuid[]) u order by 1) s`
	lockAll = `
select pg_advisory_xact_lock_shared($1, hashtext($3::text)), pg_advisory_xact_lock($2, hashtext($3::text))`
	awaitMatching = `select pg_advisory_xact_lock($1, hashtext($2::text))`
	// A task of a user who holds a role in one environment only is looked at
	// closely by NeedReviewers.
	selectReviewersNeeded = `
select exists (select from approval where organization_id = $1 and vacant and not held) or exists (
    select from user_copy u join approval a on a.waits_for = u.id
    where u.id = any ($2) and a.state = 'open' and a.held = (u.state = 'active')) or exists (
    select from task t join user_copy u on u.id = t.reviewer_id
    where t.reviewer_id = any ($2) and t.state = 'open'
        and (not ` + canDecide + ` or u.role_environment_id <> '00000000-0000-0000-0000-000000000000'))`
	selectJoinFlows = `select id, version from flow where organization_id = $1 and trigger = 'join' and enabled`
	// Users with the matches of join-flows that have not ended.
	selectMatched = `
select u.id, u.state = 'active', u.email, ` + factFields + `, u.join_count, x.flow_ids, x.match_counts, x.kept, x.unmatched_since, x.first_counts, x.refused
from user_copy u cross join lateral (
    select coalesce(array_agg(x.flow_id), '{}') as flow_ids, coalesce(array_agg(x.match_count), '{}') as match_counts,
        coalesce(array_agg(x.kept), '{}') as kept, coalesce(array_agg(x.unmatched_since), '{}') as unmatched_since,
        coalesce(array_agg(coalesce(x.first_count, 0)), '{}') as first_counts, coalesce(array_agg(x.refused::text), '{}') as refused
    from flow f join flow_match x on x.flow_id = f.id and x.user_id = u.id and x.join_count = u.join_count and x.end_time is null
    where f.organization_id = $2 and f.trigger = 'join' and f.enabled) x
where u.id = any ($1) and not u.removed`
)

// ReviewersNeeded says whether open tasks may belong to some of the users who
// can no longer decide, or whether a vacant step may have reviewers now that
// copies have changed.
func (s *Store) ReviewersNeeded(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, users []uuid.UUID) (needed bool, err error) {
	if err := tx.QueryRow(ctx, selectReviewersNeeded, organizationID, users).Scan(&needed); err != nil {
		return false, fmt.Errorf("look whether reviewers are needed: %w", err)
	}
	return needed, nil
}

// Matches are what is found of users and join-flows.
type Matches struct {
	// Begun are those that are new.
	Begun []Match
	// Unmatched have not ended, and the flow is not for the user now.
	Unmatched []Match
	// Returned were found unmatched before, and the flow is for the user again.
	Returned []Match
	// Allowed were refused something that the user may have now. Their flows give that, and
	// what is refused still is in Refused.
	Allowed []Match
}

// MatchUsers finds the join-flows that have come to match users, and those that match
// them no more. What is being said about the same users elsewhere is waited for.
func (s *Store) MatchUsers(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, users []uuid.UUID) (found Matches, err error) {
	b := &pgx.Batch{}
	if len(users) <= maxUserLocks {
		b.Queue(lockShared, lockMatching, lockUsers, organizationID.String())
		b.Queue(lockEach, lockUser, users)
	} else {
		b.Queue(lockAll, lockMatching, lockUsers, organizationID.String())
	}
	var current []FlowVersion
	b.Queue(selectJoinFlows, organizationID).Query(func(rows pgx.Rows) (err error) {
		current, err = pgx.CollectRows(rows, pgx.RowToStructByPos[FlowVersion])
		return err
	})
	var candidates []Candidate
	matched := map[string]map[string]Match{} // by user and flow
	anyRefused := false
	b.Queue(selectMatched, users, organizationID).Query(func(rows pgx.Rows) error {
		var c Candidate
		var environment uuid.UUID
		var flows []string
		var counts []int32
		var kept []bool
		var since []*time.Time
		var first []int32
		var refused []*string
		_, err := pgx.ForEachRow(rows, slices.Concat([]any{&c.ID, &c.Active, &c.Email}, factTargets(&c.Member, &environment),
			[]any{&c.JoinCount, &flows, &counts, &kept, &since, &first, &refused}), func() (err error) {
			c.EnvironmentID = environmentID(environment)
			candidates = append(candidates, c)
			matched[c.ID] = make(map[string]Match, len(flows))
			for n, f := range flows {
				m := Match{Count: counts[n], Kept: kept[n], First: first[n]}
				if m.Refused, err = refusedOf(refused[n]); err != nil {
					return err
				}
				anyRefused = anyRefused || len(m.Refused) > 0
				if since[n] != nil {
					m.UnmatchedSince = *since[n]
				}
				matched[c.ID][f] = m
			}
			return nil
		})
		return err
	})
	groups := map[string][]string{}
	b.Queue(selectGroups, users).Query(collectGroups(groups))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return found, fmt.Errorf("match users with flows: %w", err)
	}
	if len(candidates) == 0 || len(current) == 0 {
		return found, nil
	}
	flows, err := s.flowVersions(ctx, tx, organizationID, current)
	if err != nil {
		return found, err
	}
	var deciding []lifecycle.Flow
	if anyRefused {
		if deciding, err = s.requestFlows(ctx, tx, organizationID); err != nil {
			return found, err
		}
	}
	for _, c := range candidates {
		c.GroupIDs = groups[c.ID]
		for _, k := range current {
			f, ok := flows[k]
			m := matched[c.ID][k.ID]
			m.Flow, m.Candidate = f, c
			allowed, gives := m.allowed(deciding)
			switch {
			case !ok:
			case m.Count == 0 && f.MatchesJoiner(c.Member):
				found.Begun = append(found.Begun, m)
			case m.Count > 0 && f.Unmatches(c.Member):
				found.Unmatched = append(found.Unmatched, m)
			case gives:
				found.Allowed = append(found.Allowed, allowed)
			case !m.UnmatchedSince.IsZero():
				found.Returned = append(found.Returned, m)
			}
		}
	}
	return found, nil
}

// requestFlows are the flows that decide requests.
func (s *Store) requestFlows(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID) ([]lifecycle.Flow, error) {
	rows, err := tx.Query(ctx, selectRequestFlows, organizationID)
	if err != nil {
		return nil, fmt.Errorf("find flows: %w", err)
	}
	current, err := pgx.CollectRows(rows, pgx.RowToStructByPos[FlowVersion])
	if err != nil {
		return nil, fmt.Errorf("find flows: %w", err)
	}
	found, err := s.flowVersions(ctx, tx, organizationID, current)
	return slices.Collect(maps.Values(found)), err
}

// allowed is the match that gives what this one was refused and the person may have by the
// flows now; false if that is nothing. What was given before they took anything away is left
// as it is.
func (m Match) allowed(flows []lifecycle.Flow) (next Match, gives bool) {
	if len(m.Refused) == 0 || m.Kept || !m.Flow.MatchesJoiner(m.Member) {
		return m, false
	}
	next = m
	next.Refused, next.Flow.Scope.EntitlementIDs = nil, nil
	for _, i := range m.Refused {
		switch {
		case !slices.Contains(m.Flow.Scope.EntitlementIDs, i.EntitlementID): // it does not give that any more
		case lifecycle.GivenToOthers(flows, m.Member, i.item()):
			next.Refused = append(next.Refused, i)
		default:
			next.Flow.Scope.EntitlementIDs = append(next.Flow.Scope.EntitlementIDs, i.EntitlementID)
		}
	}
	return next, len(next.Flow.Scope.EntitlementIDs) > 0
}

// AwaitMatching waits until every transaction that looks for somebody's
// join-flows at this moment has ended. What begins after it sees the flows that
// are committed by now.
func (s *Store) AwaitMatching(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID) error {
	if _, err := tx.Exec(ctx, awaitMatching, lockMatching, organizationID.String()); err != nil {
		return fmt.Errorf("wait for users that are being matched: %w", err)
	}
	return nil
}
