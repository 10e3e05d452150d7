package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/postgres"
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
	// Users with the join-flows that have matched them since they last joined.
	selectMatched = `
select u.id, u.environment_id, u.join_count, array(
    select f.id from flow f join flow_match x on x.flow_id = f.id and x.user_id = u.id and x.join_count = u.join_count
    where f.organization_id = $2 and f.trigger = 'join' and f.enabled)
from user_copy u where u.id = any ($1) and u.state = 'active'`
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

// MatchUsers finds the join-flows that match users now and have not matched them
// since they last joined. What is being said about the same users elsewhere is
// waited for.
func (s *Store) MatchUsers(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, users []uuid.UUID) ([]Match, error) {
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
	matched := map[string]map[string]bool{} // flows by user
	b.Queue(selectMatched, users, organizationID).Query(func(rows pgx.Rows) error {
		var c Candidate
		var environment uuid.UUID
		var flows []string
		_, err := pgx.ForEachRow(rows, []any{&c.ID, &environment, &c.JoinCount, &flows}, func() error {
			c.Active, c.EnvironmentID = true, environmentID(environment)
			candidates = append(candidates, c)
			matched[c.ID] = make(map[string]bool, len(flows))
			for _, f := range flows {
				matched[c.ID][f] = true
			}
			return nil
		})
		return err
	})
	groups := map[string][]string{}
	b.Queue(selectGroups, users).Query(collectGroups(groups))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("match users with flows: %w", err)
	}
	if len(candidates) == 0 || len(current) == 0 {
		return nil, nil
	}
	flows, err := s.flowVersions(ctx, tx, organizationID, current)
	if err != nil {
		return nil, err
	}
	var out []Match
	for _, c := range candidates {
		c.GroupIDs = groups[c.ID]
		for _, k := range current {
			if f, ok := flows[k]; ok && !matched[c.ID][k.ID] && f.MatchesJoiner(c.Member) {
				out = append(out, Match{Flow: f, Candidate: c})
			}
		}
	}
	return out, nil
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
