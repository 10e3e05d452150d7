package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// Errors of flows.
var (
	// ErrFlowNotFound says that there is no such flow in the scope.
	ErrFlowNotFound = errors.New("flow not found")
	// ErrFlowReadOnly says that the flow can be seen in the scope, but belongs
	// to the organization.
	ErrFlowReadOnly = errors.New("flow belongs to the organization")
	// ErrFlowNameTaken says that its owner has a flow of that name.
	ErrFlowNameTaken = errors.New("flow name taken")
)

// FlowVersion names a version of a flow.
type FlowVersion struct {
	ID      string
	Version int32
}

// flowCache remembers versions of flows, which never change, so that each is
// read and parsed once. Which of them are current is not remembered.
type flowCache struct {
	mu    sync.Mutex
	flows map[cacheKey]lifecycle.Flow
}

// cacheKey includes the organization, so that the cache does not circumvent
// row-level security.
type cacheKey struct {
	organizationID uuid.UUID
	FlowVersion
}

const maxCachedFlows = 4096

func (c *flowCache) get(k cacheKey) (lifecycle.Flow, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.flows[k]
	return f, ok
}

func (c *flowCache) put(k cacheKey, f lifecycle.Flow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flows == nil || len(c.flows) >= maxCachedFlows {
		c.flows = make(map[cacheKey]lifecycle.Flow)
	}
	c.flows[k] = f
}

const (
	selectFlowVersions = `
select v.flow_id, v.version, v.spec
from unnest($1::uuid[], $2::int[]) as k (id, version)
join flow_version v on v.flow_id = k.id and v.version = k.version
where v.organization_id = $3`
	insertFlow = `
insert into flow (id, organization_id, environment_id, name, trigger, enabled, version, matched_version)
values ($1, $2, $3, $4, $5, $6, $7, $8)`
	updateFlow = `
update flow set name = $2, trigger = $3, enabled = $4, version = $5, matched_version = $6
where id = $1 and version = $5 - 1`
	insertFlowVersion = `
insert into flow_version (flow_id, version, organization_id, spec) values ($1, $2, $3, $4)`
	selectFlow = `
select v.spec from flow f join flow_version v on v.flow_id = f.id and v.version = f.version`
	selectEachFlow = `
select f.organization_id, f.delete_time, v.spec from flow f join flow_version v on v.flow_id = f.id and v.version = f.version order by f.organization_id, f.id`
	selectFlowByID       = selectFlow + ` where f.id = $1 and f.delete_time is null`
	selectDeletedFlow    = selectFlow + ` where f.id = $1`
	lockFlow             = `select 1 from flow where id = $1 and delete_time is null for update`
	fromFlows            = ` from flow f join flow_version v on v.flow_id = f.id and v.version = f.version where f.organization_id = $1 and f.delete_time is null`
	selectUnmatchedFlows = `
select id, organization_id, version from flow where matched_version < version and id > $1 order by id limit $2`
	selectMatchedBy = `
select u.id from user_copy u
where u.organization_id = $1 and not u.removed and u.id > $3 and ($5::uuid = '00000000-0000-0000-0000-000000000000' or u.environment_id = $5
    or exists (select from flow_match x where x.flow_id = $2 and x.user_id = u.id and x.join_count = u.join_count and x.end_time is null))
order by u.id limit $4`
	setMatchedVersion = `update flow set matched_version = $2 where id = $1 and matched_version < $2`
	// In one order, so that two transactions that write the same wait and do not
	// deadlock.
	insertMatches = `
insert into flow_match (flow_id, user_id, join_count, organization_id, flow_version, create_time, first_count, refused, match_count)
select k.flow_id, k.user_id, k.join_count, $5, k.version, $6, nullif(k.first_count, 0), k.refused::jsonb, 1 + coalesce((
    select max(x.match_count) from flow_match x where x.flow_id = k.flow_id and x.user_id = k.user_id and x.join_count = k.join_count), 0)
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $7::int[], $8::text[]) as k (flow_id, user_id, join_count, version, first_count, refused)
order by 1, 2, 3
on conflict do nothing
returning flow_id, user_id, join_count, match_count`
	endMatches = `
update flow_match x set end_time = $5
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) as k (flow_id, user_id, join_count, match_count)
where x.flow_id = k.flow_id and x.user_id = k.user_id and x.join_count = k.join_count and x.match_count = k.match_count and x.end_time is null`
	setUnmatchedSince = `
update flow_match x set unmatched_since = $5
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) as k (flow_id, user_id, join_count, match_count)
where x.flow_id = k.flow_id and x.user_id = k.user_id and x.join_count = k.join_count and x.match_count = k.match_count and x.end_time is null`
	addRefused = `
update flow_match x set refused = coalesce(x.refused, '[]') || k.refused::jsonb
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::text[]) as k (flow_id, user_id, join_count, match_count, refused)
where x.flow_id = k.flow_id and x.user_id = k.user_id and x.join_count = k.join_count and x.match_count = k.match_count and x.end_time is null`
	unknownEnvironments = `
select k.id from unnest($1::uuid[]) as k (id) where not exists (select from environment_copy e where e.id = k.id)`
	unknownUsers = `
select k.id from unnest($1::uuid[]) as k (id) where not exists (select from user_copy u where u.id = k.id and not u.removed)`
	unknownGroups = `
select k.id from unnest($1::uuid[]) as k (id) where not exists (select from group_copy g where g.id = k.id and not g.removed)`
	// Row-level security shows an environment its own and the organization's.
	selectShown = `
select k.id from unnest($1::uuid[]) as k (id)
where exists (select from user_copy c where c.id = k.id) or exists (select from group_copy c where c.id = k.id)
	or exists (select from app_copy c where c.id = k.id) or exists (select from entitlement_copy c where c.id = k.id)`
	// What is there no more, as far as is known.
	selectGone = `
select k.id from unnest($1::uuid[]) as k (id)
where exists (select from user_copy c where c.id = k.id and c.removed) or exists (select from group_copy c where c.id = k.id and c.removed)
	or exists (select from app_copy c where c.id = k.id and c.removed)
	or exists (select from entitlement_copy c join app_copy a on a.id = c.app_id where c.id = k.id and (c.removed or a.removed))`
	offered     = `($2::uuid = '00000000-0000-0000-0000-000000000000' or a.environment_id = $2 or a.offered_to_all_environments or $2 = any (a.offered_environment_ids))`
	unknownApps = `
select k.id from unnest($1::uuid[]) as k (id) where not exists (select from app_copy a where a.id = k.id and not a.removed and ` + offered + `)`
	unknownEntitlements = `
select k.id from unnest($1::uuid[]) as k (id)
where not exists (select from entitlement_copy e join app_copy a on a.id = e.app_id where e.id = k.id and not e.removed and not a.removed and ` + offered + `)`
)

// flowVersions returns the named versions. Those that do not exist are left out.
func (s *Store) flowVersions(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, keys []FlowVersion) (map[FlowVersion]lifecycle.Flow, error) {
	found := make(map[FlowVersion]lifecycle.Flow, len(keys))
	var missing []FlowVersion
	for _, k := range keys {
		if f, ok := s.flows.get(cacheKey{organizationID, k}); ok {
			found[k] = f
		} else {
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	rows, err := tx.Query(ctx, selectFlowVersions, postgres.Column(missing, func(k FlowVersion) string { return k.ID }),
		postgres.Column(missing, func(k FlowVersion) int32 { return k.Version }), organizationID)
	if err != nil {
		return nil, fmt.Errorf("load flows: %w", err)
	}
	var k FlowVersion
	var spec []byte
	if _, err := pgx.ForEachRow(rows, []any{&k.ID, &k.Version, &spec}, func() error {
		f, err := decodeFlow(spec)
		if err != nil {
			return err
		}
		found[k] = f
		s.flows.put(cacheKey{organizationID, k}, f)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("load flows: %w", err)
	}
	return found, nil
}

func decodeFlow(spec []byte) (f lifecycle.Flow, err error) {
	if err := json.Unmarshal(spec, &f); err != nil {
		return f, fmt.Errorf("decode flow: %w", err)
	}
	return f, nil
}

// InsertFlow saves a new flow and emits its event.
func (s *Store) InsertFlow(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f lifecycle.Flow, event outbox.Event) error {
	b := &pgx.Batch{}
	b.Queue(insertFlow, f.ID, organizationID, environmentUUID(f.EnvironmentID), f.Name, f.Trigger, f.Enabled, f.Version, matchedVersion(f))
	return s.saveFlow(ctx, tx, b, organizationID, f, event)
}

// UpdateFlow saves a new version of a flow, which LockFlow has locked, and emits
// its event.
func (s *Store) UpdateFlow(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f lifecycle.Flow, event outbox.Event) error {
	b := &pgx.Batch{}
	b.Queue(updateFlow, f.ID, f.Name, f.Trigger, f.Enabled, f.Version, matchedVersion(f))
	return s.saveFlow(ctx, tx, b, organizationID, f, event)
}

func (s *Store) saveFlow(ctx context.Context, tx *postgres.Tx, b *pgx.Batch, organizationID uuid.UUID, f lifecycle.Flow, event outbox.Event) error {
	spec, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode flow: %w", err)
	}
	b.Queue(insertFlowVersion, f.ID, f.Version, organizationID, spec)
	if err := s.events.Queue(ctx, tx, b, event); err != nil {
		return err
	}
	err = tx.SendBatch(ctx, b).Close()
	if name, ok := postgres.Constraint(err); ok && name == "flow_name_unique" {
		return fmt.Errorf("save flow %s: %w", f.ID, errors.Join(ErrFlowNameTaken, err))
	}
	if err != nil {
		return fmt.Errorf("save flow %s: %w", f.ID, err)
	}
	return nil
}

// matchedVersion leaves an enabled join-flow to be matched with everybody.
func matchedVersion(f lifecycle.Flow) int32 {
	if f.Enabled && f.Trigger == lifecycle.OnJoin {
		return f.Version - 1
	}
	return f.Version
}

// Flow returns the current version of a flow.
func (s *Store) Flow(ctx context.Context, tx *postgres.Tx, id string) (lifecycle.Flow, error) {
	var spec []byte
	err := tx.QueryRow(ctx, selectFlowByID, id).Scan(&spec)
	if errors.Is(err, pgx.ErrNoRows) {
		return lifecycle.Flow{}, ErrFlowNotFound
	}
	if err != nil {
		return lifecycle.Flow{}, fmt.Errorf("load flow: %w", err)
	}
	return decodeFlow(spec)
}

// DeletedFlow is Flow, also of one that is deleted.
func (s *Store) DeletedFlow(ctx context.Context, tx *postgres.Tx, id string) (lifecycle.Flow, error) {
	var spec []byte
	if err := tx.QueryRow(ctx, selectDeletedFlow, id).Scan(&spec); err != nil {
		return lifecycle.Flow{}, fmt.Errorf("load deleted flow: %w", err)
	}
	return decodeFlow(spec)
}

// LockFlow is Flow, and keeps others from changing it until the transaction
// ends. It refuses one that the scope may only read.
func (s *Store) LockFlow(ctx context.Context, tx *postgres.Tx, id string) (lifecycle.Flow, error) {
	// By itself, so that the content is read after the wait.
	tag, err := tx.Exec(ctx, lockFlow, id)
	if err != nil {
		return lifecycle.Flow{}, fmt.Errorf("lock flow: %w", err)
	}
	f, err := s.Flow(ctx, tx, id)
	if err == nil && tag.RowsAffected() == 0 {
		return f, ErrFlowReadOnly
	}
	return f, err
}

// Flows reads a page of [FlowList], of an organization, and gives the token of the next
// page.
func (s *Store) Flows(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, page *filter.Query) ([]lifecycle.Flow, string, error) {
	args := filter.Arguments{organizationID}
	sql := `select v.spec, ` + page.Keys() + fromFlows + page.Where(args.Add) + page.Order() + page.Limit(args.Add)
	return filter.Read(ctx, tx, page, sql, args, func(row pgx.CollectableRow) (lifecycle.Flow, error) {
		var spec []byte
		if err := row.Scan(&spec); err != nil {
			return lifecycle.Flow{}, err
		}
		return decodeFlow(spec)
	})
}

// EachFlow calls f for the current version of every flow of every organization, and
// says when it was deleted; nil if it was not.
func EachFlow(ctx context.Context, tx *postgres.Tx, f func(organizationID uuid.UUID, flow lifecycle.Flow, deleteTime *time.Time) error) error {
	rows, err := tx.Query(ctx, selectEachFlow)
	if err != nil {
		return fmt.Errorf("read flows: %w", err)
	}
	var organization uuid.UUID
	var deleted *time.Time
	var spec []byte
	_, err = pgx.ForEachRow(rows, []any{&organization, &deleted, &spec}, func() error {
		flow, err := decodeFlow(spec)
		if err != nil {
			return err
		}
		return f(organization, flow, deleted)
	})
	return err
}

// Unknown returns which of the ids that a flow names are not known in the scope.
// What is removed counts as unknown, and to an environment's flow so do
// apps that are not offered to it.
func (s *Store) Unknown(ctx context.Context, tx *postgres.Tx, environmentID string, users, groups, apps, entitlements []string) (map[string]bool, error) {
	unknown := make(map[string]bool)
	b := &pgx.Batch{}
	look := func(ids []string, sql string, args ...any) {
		if len(ids) == 0 {
			return
		}
		b.Queue(sql, append([]any{ids}, args...)...).Query(func(rows pgx.Rows) error {
			var id string
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error { unknown[id] = true; return nil })
			return err
		})
	}
	if environmentID != "" {
		look([]string{environmentID}, unknownEnvironments)
	}
	look(users, unknownUsers)
	look(groups, unknownGroups)
	look(apps, unknownApps, environmentUUID(environmentID))
	look(entitlements, unknownEntitlements, environmentUUID(environmentID))
	if b.Len() == 0 {
		return unknown, nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("look for unknown ids: %w", err)
	}
	return unknown, nil
}

// Shown returns which of the ids that flows name belong to the scope or, if that is an
// environment, to the organization. What is removed still does.
func (s *Store) Shown(ctx context.Context, tx *postgres.Tx, ids []string) (map[string]bool, error) {
	return which(ctx, tx, selectShown, ids)
}

// Gone returns which of the ids that flows name are of what is there no more.
func (s *Store) Gone(ctx context.Context, tx *postgres.Tx, ids []string) (map[string]bool, error) {
	return which(ctx, tx, selectGone, ids)
}

// which are those of the ids that a statement selects.
func which(ctx context.Context, tx *postgres.Tx, sql string, ids []string) (map[string]bool, error) {
	found := make(map[string]bool)
	rows, err := tx.Query(ctx, sql, ids)
	if err != nil {
		return nil, fmt.Errorf("look for what flows name: %w", err)
	}
	var id string
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { found[id] = true; return nil }); err != nil {
		return nil, fmt.Errorf("look for what flows name: %w", err)
	}
	return found, nil
}

// UnmatchedFlow is a join-flow that was not matched with everybody.
type UnmatchedFlow struct {
	ID             string
	OrganizationID uuid.UUID
	Version        int32
}

// UnmatchedFlows returns up to limit of them by id, after the one given. tx sees
// all organizations.
func (s *Store) UnmatchedFlows(ctx context.Context, tx *postgres.Tx, after string, limit int) ([]UnmatchedFlow, error) {
	rows, err := tx.Query(ctx, selectUnmatchedFlows, orZero(after), limit)
	if err != nil {
		return nil, fmt.Errorf("find flows to match: %w", err)
	}
	flows, err := pgx.CollectRows(rows, pgx.RowToStructByPos[UnmatchedFlow])
	if err != nil {
		return nil, fmt.Errorf("find flows to match: %w", err)
	}
	return flows, nil
}

// Candidate is a person whom a join-flow may match.
type Candidate struct {
	lifecycle.Member
	JoinCount int32
}

// MatchedBy returns up to limit people by id, after the one given, whom a flow may match
// or has matched: those of its environment, if it has one, and who was in it.
func (s *Store) MatchedBy(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f lifecycle.Flow, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, selectMatchedBy, organizationID, f.ID, after, limit, environmentUUID(f.EnvironmentID))
	if err != nil {
		return nil, fmt.Errorf("find people to match: %w", err)
	}
	users, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("find people to match: %w", err)
	}
	return users, nil
}

// SetMatched saves that a version of a flow was matched with everybody.
func (s *Store) SetMatched(ctx context.Context, tx *postgres.Tx, id string, version int32) error {
	if _, err := tx.Exec(ctx, setMatchedVersion, id, version); err != nil {
		return fmt.Errorf("save that flow %s is matched: %w", id, err)
	}
	return nil
}

// Match is a person whom a join-flow matches.
type Match struct {
	Flow lifecycle.Flow
	Candidate
	// Count is how often the flow has matched the person in this join count.
	Count int32
	// Kept says that what it gave stays when it ends, whatever the flow says.
	Kept bool
	// UnmatchedSince is when the flow was found not to be for the person any more; zero
	// while it is.
	UnmatchedSince time.Time
	// First is the first of the matches that end with this one, which goes on with them; 0
	// if it is one by itself.
	First int32
	// Refused is what it was refused because other flows give it to others only.
	Refused []RefusedItem
}

// RefusedItem is something that a join-flow was refused. It is stored under the names in
// the tags.
type RefusedItem struct {
	EntitlementID  string `json:"entitlement_id"`
	AppID          string `json:"app_id"`
	OfOrganization bool   `json:"of_organization,omitempty"`
}

func (i RefusedItem) item() lifecycle.Item {
	return lifecycle.Item{Item: flow.Item{EntitlementID: i.EntitlementID, AppID: i.AppID, OfOrganization: i.OfOrganization}}
}

// refusedText is what is refused as it is stored; nil for nothing.
func refusedText(items []RefusedItem) (*string, error) {
	if len(items) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(items)
	text := string(data)
	return &text, err
}

// refusedOf reads what refusedText has written; nothing of nil.
func refusedOf(text *string) (items []RefusedItem, err error) {
	if text == nil {
		return nil, nil
	}
	err = json.Unmarshal([]byte(*text), &items)
	return items, err
}

// AddRefused saves what matches were refused, of those that have not ended, besides what
// they were refused before.
func (s *Store) AddRefused(ctx context.Context, tx *postgres.Tx, matches []Match) error {
	if len(matches) == 0 {
		return nil
	}
	refused := make([]*string, len(matches))
	for n, m := range matches {
		var err error
		if refused[n], err = refusedText(m.Refused); err != nil {
			return fmt.Errorf("encode what a match was refused: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, addRefused, postgres.Column(matches, func(m Match) string { return m.Flow.ID }),
		postgres.Column(matches, func(m Match) string { return m.ID }), postgres.Column(matches, func(m Match) int32 { return m.JoinCount }),
		postgres.Column(matches, func(m Match) int32 { return m.Count }), refused); err != nil {
		return fmt.Errorf("save what matches were refused: %w", err)
	}
	return nil
}

// AddMatches saves the matches that are new, and returns them.
func (s *Store) AddMatches(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, matches []Match, now time.Time) ([]Match, error) {
	if len(matches) == 0 {
		return nil, nil
	}
	type key struct {
		flow, user string
		joinCount  int32
	}
	by := make(map[key]Match, len(matches))
	refused := make([]*string, len(matches))
	for n, m := range matches {
		by[key{m.Flow.ID, m.ID, m.JoinCount}] = m
		var err error
		if refused[n], err = refusedText(m.Refused); err != nil {
			return nil, fmt.Errorf("encode what a match is refused: %w", err)
		}
	}
	rows, err := tx.Query(ctx, insertMatches, postgres.Column(matches, func(m Match) string { return m.Flow.ID }),
		postgres.Column(matches, func(m Match) string { return m.ID }), postgres.Column(matches, func(m Match) int32 { return m.JoinCount }),
		postgres.Column(matches, func(m Match) int32 { return m.Flow.Version }), organizationID, now,
		postgres.Column(matches, func(m Match) int32 { return m.First }), refused)
	if err != nil {
		return nil, fmt.Errorf("save matches: %w", err)
	}
	var added []Match
	var k key
	var count int32
	if _, err := pgx.ForEachRow(rows, []any{&k.flow, &k.user, &k.joinCount, &count}, func() error {
		m := by[k]
		m.Count = count
		added = append(added, m)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("save matches: %w", err)
	}
	return added, nil
}

// EndMatches saves that flows are not for people any more.
func (s *Store) EndMatches(ctx context.Context, tx *postgres.Tx, matches []Match, now time.Time) error {
	if len(matches) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, endMatches, postgres.Column(matches, func(m Match) string { return m.Flow.ID }),
		postgres.Column(matches, func(m Match) string { return m.ID }), postgres.Column(matches, func(m Match) int32 { return m.JoinCount }),
		postgres.Column(matches, func(m Match) int32 { return m.Count }), now); err != nil {
		return fmt.Errorf("end matches: %w", err)
	}
	return nil
}

// SetUnmatchedSince saves since when flows are not for people; nil for flows that are for
// them again.
func (s *Store) SetUnmatchedSince(ctx context.Context, tx *postgres.Tx, matches []Match, since *time.Time) error {
	if len(matches) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, setUnmatchedSince, postgres.Column(matches, func(m Match) string { return m.Flow.ID }),
		postgres.Column(matches, func(m Match) string { return m.ID }), postgres.Column(matches, func(m Match) int32 { return m.JoinCount }),
		postgres.Column(matches, func(m Match) int32 { return m.Count }), since); err != nil {
		return fmt.Errorf("save since when flows match nobody: %w", err)
	}
	return nil
}

// Emit adds events to the transaction.
func (s *Store) Emit(ctx context.Context, tx *postgres.Tx, events ...outbox.Event) error {
	return s.events.Add(ctx, tx, events...)
}
