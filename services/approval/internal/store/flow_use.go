package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// FlowUse is what hangs on a flow: the open requests that run on it, and the people whom
// it has matched and who hold by that what it gives.
type FlowUse struct {
	Requests, Matches int32
	// RequestDigest and MatchDigest change with who and what they are.
	RequestDigest, MatchDigest int64
	// Older says how many approvals there are of which it is not known yet.
	Older int
}

// FlowEnding is what is to be ended of what hangs on a deleted flow.
type FlowEnding struct {
	// Cancel cancels the open requests, for Reason, in the name of By.
	Cancel bool             `json:"cancel,omitempty"`
	Reason string           `json:"reason,omitempty"`
	By     lifecycle.Person `json:"by"`
	// TakeBack lets everybody go whom it has matched.
	TakeBack bool `json:"take_back,omitempty"`
}

const (
	// What is open has an open task, or is vacant.
	openOfFlow = `
from approval a where a.state = 'open' and a.request_id in (
    select t.request_id from task t where t.organization_id = $1 and t.state = 'open'
    union select v.request_id from approval v where v.organization_id = $1 and v.vacant)`
	countOpenOfFlow = `
select count(*) filter (where $2 = any (a.flow_ids)), count(*) filter (where a.flow_ids is null),
    coalesce(bit_xor(hashtextextended(a.request_id::text, 0)) filter (where $2 = any (a.flow_ids)), 0)` + openOfFlow
	// Ids of requests are in the order of time.
	selectOpenOfFlow = `
select a.request_id, a.organization_id, a.environment_id, a.request, a.state, a.data` + openOfFlow + ` and $2 = any (a.flow_ids) order by a.request_id limit $3`
	selectOpenIDsOfFlow = `
select a.organization_id, a.request_id` + openOfFlow + ` and $2 = any (a.flow_ids) and a.request_id > $3 order by a.request_id limit $4`

	matchesOfFlow = `
from flow_match x join user_copy u on u.id = x.user_id and u.join_count = x.join_count and not u.removed
where x.flow_id = $1 and x.end_time is null and not x.kept`
	countMatchesOfFlow  = `select count(*), coalesce(bit_xor(hashtextextended(x.user_id::text, x.match_count)), 0)` + matchesOfFlow
	selectMatchesOfFlow = `select u.id, u.display_name, u.email` + matchesOfFlow + ` order by u.display_name, u.id limit $2`

	// Whom a flow as it would be matches, and has not, and the other way round.
	selectWouldMatch = `
select p.matched, p.n, p.id, p.display_name, p.email from (
    select w.*, count(*) over (partition by w.matched) as n, row_number() over (partition by w.matched order by w.display_name, w.id) as place from (
        select u.id, u.display_name, u.email, u.state = 'active' as active,
            exists (select from flow_match x where x.flow_id = $2 and x.user_id = u.id and x.join_count = u.join_count and x.end_time is null) as matched,
            exists (select from flow_match x where x.flow_id = $2 and x.user_id = u.id and x.join_count = u.join_count and x.end_time is null and x.kept) as kept,
            ($3::uuid = '00000000-0000-0000-0000-000000000000' or u.environment_id = $3) and ($4::boolean or u.id = any ($5::uuid[])
                or exists (select from group_member_copy m where m.user_id = u.id and m.group_id = any ($6::uuid[]) and not m.removed)) as is_for
        from user_copy u where u.organization_id = $1 and not u.removed) w
    where not w.matched and w.active and w.is_for or w.matched and not w.kept and not w.is_for) p
where p.place <= $7 order by p.matched, p.place`

	selectEverybody = `
select u.id, u.display_name, u.email, u.state = 'active', ` + factFields + `
from user_copy u where u.organization_id = $1 and not u.removed order by u.display_name, u.id`
	selectMatchedBefore = `
select u.id, x.kept from flow_match x join user_copy u on u.id = x.user_id and x.join_count = u.join_count
where x.flow_id = $1 and x.end_time is null`

	deleteFlow       = `update flow set delete_time = $2, enabled = false, matched_version = version, ending = $3 where id = $1`
	selectEnding     = `select id, organization_id, ending from flow where ending is not null and id > $1 order by id limit $2`
	setEnded         = `update flow set ending = null where id = $1`
	selectStillMatch = `select user_id from flow_match where flow_id = $1 and end_time is null and user_id > $2 order by user_id limit $3`
	// Who has left, or has come back since, holds nothing by it.
	endMatchesOf = `
with ended as (
    update flow_match set end_time = $3 where flow_id = $1 and user_id = any ($2) and end_time is null
    returning user_id, join_count, match_count, kept, coalesce(first_count, 0) as first_count)
select u.id, u.environment_id, e.join_count, e.match_count, e.kept, e.first_count
from ended e join user_copy u on u.id = e.user_id and u.join_count = e.join_count and not u.removed order by u.id`
)

// UseOf is what hangs on a flow of an organization.
func (s *Store) UseOf(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, flowID string) (u FlowUse, err error) {
	if err := tx.QueryRow(ctx, countOpenOfFlow, organizationID, flowID).Scan(&u.Requests, &u.Older, &u.RequestDigest); err != nil {
		return u, fmt.Errorf("count what runs on a flow: %w", err)
	}
	if err := tx.QueryRow(ctx, countMatchesOfFlow, flowID).Scan(&u.Matches, &u.MatchDigest); err != nil {
		return u, fmt.Errorf("count whom a flow has matched: %w", err)
	}
	return u, nil
}

// FirstOf are the first of what hangs on a flow: the oldest requests, and people by name.
func (s *Store) FirstOf(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, flowID string, limit int) (requests []*Record, people []lifecycle.Person, err error) {
	rows, err := tx.Query(ctx, selectOpenOfFlow, organizationID, flowID, limit)
	if err == nil {
		requests, err = pgx.CollectRows(rows, scanApproval)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read what runs on a flow: %w", err)
	}
	rows, err = tx.Query(ctx, selectMatchesOfFlow, flowID, limit)
	if err == nil {
		people, err = pgx.CollectRows(rows, pgx.RowToStructByPos[lifecycle.Person])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read whom a flow has matched: %w", err)
	}
	return requests, people, nil
}

// WouldMatch counts whom a join-flow would come to match as it is given, and whom it would
// let go, of those who hold something by it; with the first of both by name.
func (s *Store) WouldMatch(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f lifecycle.Flow, limit int) (begun, ended People, err error) {
	if f.Condition != "" {
		return s.wouldMatchIf(ctx, tx, organizationID, f, limit)
	}
	a := f.Audience
	rows, err := tx.Query(ctx, selectWouldMatch, organizationID, f.ID, environmentUUID(f.EnvironmentID), a.Everyone, a.UserIDs, a.GroupIDs, limit)
	if err != nil {
		return begun, ended, fmt.Errorf("read whom a flow would match: %w", err)
	}
	var matched bool
	var n int32
	var p lifecycle.Person
	if _, err := pgx.ForEachRow(rows, []any{&matched, &n, &p.ID, &p.Name, &p.Email}, func() error {
		of := &begun
		if matched {
			of = &ended
		}
		of.Count, of.First = n, append(of.First, p)
		return nil
	}); err != nil {
		return begun, ended, fmt.Errorf("read whom a flow would match: %w", err)
	}
	return begun, ended, nil
}

// wouldMatchIf is WouldMatch of a flow with a condition, for which each person is looked at.
func (s *Store) wouldMatchIf(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f lifecycle.Flow, limit int) (begun, ended People, err error) {
	matched := make(map[string]bool) // and whether what it gave is kept
	rows, err := tx.Query(ctx, selectMatchedBefore, f.ID)
	if err != nil {
		return begun, ended, fmt.Errorf("read whom a flow has matched: %w", err)
	}
	var user string
	var kept bool
	if _, err := pgx.ForEachRow(rows, []any{&user, &kept}, func() error { matched[user] = kept; return nil }); err != nil {
		return begun, ended, fmt.Errorf("read whom a flow has matched: %w", err)
	}
	people, err := members(ctx, tx, selectEverybody, organizationID)
	if err != nil {
		return begun, ended, fmt.Errorf("read whom a flow would match: %w", err)
	}
	add := func(to *People, m AudienceMember) {
		if to.Count++; len(to.First) < limit {
			to.First = append(to.First, lifecycle.Person{ID: m.ID, Name: m.Name, Email: m.Email})
		}
	}
	for _, m := range people {
		switch kept, has := matched[m.ID]; {
		case !has && f.MatchesJoiner(m.Member):
			add(&begun, m)
		case has && !kept && f.Unmatches(m.Member):
			add(&ended, m)
		}
	}
	return begun, ended, nil
}

// People are so many people, and the first of them by name.
type People struct {
	Count int32
	First []lifecycle.Person
}

// DeleteFlow ends a flow, which LockFlow has locked, and emits its event. What is to be
// ended of what hangs on it is left to be done; nil for nothing.
func (s *Store) DeleteFlow(ctx context.Context, tx *postgres.Tx, id string, at time.Time, ending *FlowEnding, event outbox.Event) error {
	var data []byte
	if ending != nil {
		var err error
		if data, err = json.Marshal(ending); err != nil {
			return fmt.Errorf("encode what is to be ended: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, deleteFlow, id, at, data); err != nil {
		return fmt.Errorf("delete flow %s: %w", id, err)
	}
	return s.events.Add(ctx, tx, event)
}

// EndingFlow is a deleted flow of which something is still to be ended.
type EndingFlow struct {
	ID             string
	OrganizationID uuid.UUID
	FlowEnding
}

// EndingFlows returns up to limit of them by id, after the one given. tx sees all
// organizations.
func (s *Store) EndingFlows(ctx context.Context, tx *postgres.Tx, after string, limit int) ([]EndingFlow, error) {
	rows, err := tx.Query(ctx, selectEnding, orZero(after), limit)
	if err != nil {
		return nil, fmt.Errorf("find flows that end: %w", err)
	}
	flows, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f EndingFlow, err error) {
		var data []byte
		if err := row.Scan(&f.ID, &f.OrganizationID, &data); err != nil {
			return f, err
		}
		return f, json.Unmarshal(data, &f.FlowEnding)
	})
	if err != nil {
		return nil, fmt.Errorf("find flows that end: %w", err)
	}
	return flows, nil
}

// SetEnded saves that nothing is left to be ended of a flow.
func (s *Store) SetEnded(ctx context.Context, tx *postgres.Tx, id string) error {
	if _, err := tx.Exec(ctx, setEnded, id); err != nil {
		return fmt.Errorf("save that flow %s has ended: %w", id, err)
	}
	return nil
}

// StillMatched returns up to limit people by id, after the one given, whom a flow has
// matched.
func (s *Store) StillMatched(ctx context.Context, tx *postgres.Tx, flowID string, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, selectStillMatch, flowID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("find whom a flow has matched: %w", err)
	}
	users, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("find whom a flow has matched: %w", err)
	}
	return users, nil
}

// EndMatchesOf saves that a flow is not for people any more, and returns the matches that
// this ends of those who are still there.
func (s *Store) EndMatchesOf(ctx context.Context, tx *postgres.Tx, f lifecycle.Flow, users []uuid.UUID, now time.Time) ([]Match, error) {
	rows, err := tx.Query(ctx, endMatchesOf, f.ID, users, now)
	if err != nil {
		return nil, fmt.Errorf("end matches of flow %s: %w", f.ID, err)
	}
	matches, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Match, error) {
		m := Match{Flow: f}
		var environment uuid.UUID
		err := row.Scan(&m.ID, &environment, &m.JoinCount, &m.Count, &m.Kept, &m.First)
		m.EnvironmentID = environmentID(environment)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("end matches of flow %s: %w", f.ID, err)
	}
	return matches, nil
}

// OpenOfFlow returns up to limit approvals by id, after the one given, that a flow still
// decides something of.
func (s *Store) OpenOfFlow(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, flowID, after string, limit int) ([]ApprovalID, error) {
	rows, err := tx.Query(ctx, selectOpenIDsOfFlow, organizationID, flowID, orZero(after), limit)
	if err != nil {
		return nil, fmt.Errorf("find what runs on a flow: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ApprovalID])
	if err != nil {
		return nil, fmt.Errorf("find what runs on a flow: %w", err)
	}
	return found, nil
}
