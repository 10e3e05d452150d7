package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/wire"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// flowKey names a version of a flow.
type flowKey struct {
	id      string
	version int32
}

func scanFlowKey(row pgx.CollectableRow) (flowKey, error) {
	var k flowKey
	err := row.Scan(&k.id, &k.version)
	return k, err
}

// cachedFlow is one version of a flow. Nobody changes it.
type cachedFlow struct {
	proto *approvalv1.Flow
	rules lifecycle.Flow
}

// flowCache remembers versions of flows, which never change, so that each is
// read and parsed once. Which of them are current is never remembered.
type flowCache struct {
	mu    sync.Mutex
	flows map[cacheKey]cachedFlow
}

// cacheKey has the organization in it, so that the cache knows no way around
// row-level security.
type cacheKey struct {
	organizationID uuid.UUID
	flowKey
}

const maxCachedFlows = 4096

func (c *flowCache) get(k cacheKey) (cachedFlow, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.flows[k]
	return f, ok
}

func (c *flowCache) put(k cacheKey, f cachedFlow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flows == nil || len(c.flows) >= maxCachedFlows {
		c.flows = make(map[cacheKey]cachedFlow)
	}
	c.flows[k] = f
}

// flowsOf returns the named versions. Those that are not there are left out.
func (s *Store) flowsOf(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, keys []flowKey) (map[flowKey]cachedFlow, error) {
	found := make(map[flowKey]cachedFlow, len(keys))
	var ids []string
	var versions []int32
	for _, k := range keys {
		if f, ok := s.flows.get(cacheKey{organizationID, k}); ok {
			found[k] = f
		} else {
			ids, versions = append(ids, k.id), append(versions, k.version)
		}
	}
	if len(ids) > 0 {
		rows, err := tx.Query(ctx, `
select v.flow_id, v.version, v.spec
from unnest($1::uuid[], $2::int[]) as k (id, version)
join flow_version v on v.flow_id = k.id and v.version = k.version
where v.organization_id = $3`, ids, versions, organizationID)
		if err != nil {
			return nil, fmt.Errorf("load flows: %w", err)
		}
		var k flowKey
		var spec []byte
		if _, err := pgx.ForEachRow(rows, []any{&k.id, &k.version, &spec}, func() error {
			f, err := readFlow(spec)
			if err != nil {
				return fmt.Errorf("read flow %s: %w", k.id, err)
			}
			found[k] = f
			return nil
		}); err != nil {
			return nil, fmt.Errorf("load flows: %w", err)
		}
		for _, k := range keys {
			if f, ok := found[k]; ok {
				s.flows.put(cacheKey{organizationID, k}, f)
			}
		}
	}
	return found, nil
}

func readFlow(spec []byte) (cachedFlow, error) {
	f := &approvalv1.Flow{}
	// A newer replica may have written a field that this one does not know.
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(spec, f); err != nil {
		return cachedFlow{}, err
	}
	return cachedFlow{proto: f, rules: wire.Flow(f)}, nil
}

var errFlowNotFound = apierr.NotFound("FLOW_NOT_FOUND", "there is no such flow")

// InsertFlow writes a new flow and its event.
func (s *Store) InsertFlow(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f *approvalv1.Flow, event outbox.Event) error {
	b := &pgx.Batch{}
	b.Queue(`
insert into flow (id, organization_id, name, trigger, enabled, priority, version, matched_version, create_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		f.GetId(), organizationID, f.GetName(), wire.Trigger(f.GetTrigger()), f.GetEnabled(), f.GetPriority(), f.GetVersion(),
		matchedVersion(f), f.GetCreateTime().AsTime())
	if err := queueFlowVersion(b, organizationID, f); err != nil {
		return err
	}
	if err := s.events.Queue(ctx, tx, b, event); err != nil {
		return err
	}
	return flowError(tx.SendBatch(ctx, b).Close(), f)
}

// UpdateFlow writes a new version of a flow, which LockFlow has locked, and its
// event.
func (s *Store) UpdateFlow(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f *approvalv1.Flow, event outbox.Event) error {
	b := &pgx.Batch{}
	b.Queue(`
update flow set name = $2, trigger = $3, enabled = $4, priority = $5, version = $6, matched_version = $7
where id = $1 and version = $6 - 1`,
		f.GetId(), f.GetName(), wire.Trigger(f.GetTrigger()), f.GetEnabled(), f.GetPriority(), f.GetVersion(), matchedVersion(f))
	if err := queueFlowVersion(b, organizationID, f); err != nil {
		return err
	}
	if err := s.events.Queue(ctx, tx, b, event); err != nil {
		return err
	}
	return flowError(tx.SendBatch(ctx, b).Close(), f)
}

// matchedVersion leaves a join-flow that is on to be matched with everybody.
func matchedVersion(f *approvalv1.Flow) int32 {
	if f.GetEnabled() && wire.Trigger(f.GetTrigger()) == lifecycle.OnJoin {
		return f.GetVersion() - 1
	}
	return f.GetVersion()
}

func queueFlowVersion(b *pgx.Batch, organizationID uuid.UUID, f *approvalv1.Flow) error {
	spec, err := protojson.Marshal(f)
	if err != nil {
		return fmt.Errorf("write flow: %w", err)
	}
	b.Queue(`
insert into flow_version (flow_id, version, organization_id, spec) values ($1, $2, $3, $4)`,
		f.GetId(), f.GetVersion(), organizationID, spec)
	return nil
}

func flowError(err error, f *approvalv1.Flow) error {
	if err == nil {
		return nil
	}
	if name, ok := postgres.Constraint(err); ok && name == "flow_name_unique" {
		return apierr.Exists("FLOW_NAME_TAKEN", "there is a flow named %q already", f.GetName()).Wrap(err)
	}
	return fmt.Errorf("save flow %s: %w", f.GetId(), err)
}

const currentFlow = `
select v.spec from flow f join flow_version v on v.flow_id = f.id and v.version = f.version`

// Flow returns the current version of a flow.
func (s *Store) Flow(ctx context.Context, tx *postgres.Tx, id string) (*approvalv1.Flow, error) {
	return oneFlow(ctx, tx, currentFlow+` where f.id = $1`, id)
}

// LockFlow is Flow, and keeps others from changing it until the transaction
// ends.
func (s *Store) LockFlow(ctx context.Context, tx *postgres.Tx, id string) (*approvalv1.Flow, error) {
	// By itself, so that the content is read after the wait.
	if _, err := tx.Exec(ctx, `select 1 from flow where id = $1 for update`, id); err != nil {
		return nil, fmt.Errorf("lock flow: %w", err)
	}
	return s.Flow(ctx, tx, id)
}

func oneFlow(ctx context.Context, tx *postgres.Tx, sql string, args ...any) (*approvalv1.Flow, error) {
	var spec []byte
	err := tx.QueryRow(ctx, sql, args...).Scan(&spec)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errFlowNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("load flow: %w", err)
	}
	f, err := readFlow(spec)
	if err != nil {
		return nil, fmt.Errorf("read flow: %w", err)
	}
	return f.proto, nil
}

// Flows returns up to limit flows by name, after the name given.
func (s *Store) Flows(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, after string, limit int) ([]*approvalv1.Flow, error) {
	rows, err := tx.Query(ctx, currentFlow+`
where f.organization_id = $1 and f.name > $2 order by f.name limit $3`, organizationID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list flows: %w", err)
	}
	flows, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*approvalv1.Flow, error) {
		var spec []byte
		if err := row.Scan(&spec); err != nil {
			return nil, err
		}
		f, err := readFlow(spec)
		return f.proto, err
	})
	if err != nil {
		return nil, fmt.Errorf("list flows: %w", err)
	}
	return flows, nil
}

// Unknown returns which of the ids are not known in the organization. Removed
// users and groups count as unknown.
func (s *Store) Unknown(ctx context.Context, tx *postgres.Tx, users, groups, apps, entitlements []string) (map[string]bool, error) {
	unknown := make(map[string]bool)
	b := &pgx.Batch{}
	look := func(sql string, ids []string) {
		if len(ids) == 0 {
			return
		}
		b.Queue(`select k.id from unnest($1::uuid[]) as k (id) where not exists (`+sql+`)`, ids).Query(func(rows pgx.Rows) error {
			var id string
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error { unknown[id] = true; return nil })
			return err
		})
	}
	look(`select from user_copy u where u.id = k.id and u.state <> 'removed'`, users)
	look(`select from group_copy g where g.id = k.id and g.removed_version is null`, groups)
	look(`select from app_copy a where a.id = k.id`, apps)
	look(`select from entitlement_copy e where e.id = k.id`, entitlements)
	if b.Len() == 0 {
		return unknown, nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("look for unknown ids: %w", err)
	}
	return unknown, nil
}

// UnmatchedFlow is a join-flow that not everybody was looked at for.
type UnmatchedFlow struct {
	ID             string
	OrganizationID uuid.UUID
	Version        int32
}

// UnmatchedFlows returns some of them, in a transaction of all organizations.
func (s *Store) UnmatchedFlows(ctx context.Context, tx *postgres.Tx) ([]UnmatchedFlow, error) {
	rows, err := tx.Query(ctx, `
select id, organization_id, version from flow where matched_version < version order by id limit 100`)
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

// Candidates returns up to limit active people by id, after the one given, whom
// the flow has not matched in their present join count.
func (s *Store) Candidates(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, flowID, after string, limit int) ([]Candidate, error) {
	rows, err := tx.Query(ctx, `
select u.id, true, array(
           select m.group_id from group_member_copy m left join group_copy g on g.id = m.group_id
           where m.user_id = u.id and m.present and (g.removed_version is null or g.removed_version < m.version)), u.join_count
from user_copy u
where u.organization_id = $1 and u.state = 'active' and u.id > $3
  and not exists (select from flow_match x where x.flow_id = $2 and x.user_id = u.id and x.join_count = u.join_count)
order by u.id limit $4`, organizationID, flowID, orZero(after), limit)
	if err != nil {
		return nil, fmt.Errorf("find people to match: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Candidate, error) {
		var c Candidate
		err := row.Scan(&c.ID, &c.Active, &c.GroupIDs, &c.JoinCount)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("find people to match: %w", err)
	}
	return found, nil
}

// FlowMatched says that everybody was looked at for a version of a flow.
func (s *Store) FlowMatched(ctx context.Context, tx *postgres.Tx, id string, version int32) error {
	if _, err := tx.Exec(ctx, `update flow set matched_version = $2 where id = $1 and matched_version < $2`, id, version); err != nil {
		return fmt.Errorf("save that flow %s is matched: %w", id, err)
	}
	return nil
}

// Match is a person whom a join-flow matches.
type Match struct {
	Flow      *approvalv1.Flow
	UserID    string
	JoinCount int32
}

// AddMatches writes those matches that are new, and returns them.
func (s *Store) AddMatches(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, matches []Match, now time.Time) ([]Match, error) {
	if len(matches) == 0 {
		return nil, nil
	}
	type key struct {
		flow, user string
		joinCount  int32
	}
	by := make(map[key]Match, len(matches))
	var flows, users []string
	var joinCounts, versions []int32
	for _, m := range matches {
		by[key{m.Flow.GetId(), m.UserID, m.JoinCount}] = m
		flows, users = append(flows, m.Flow.GetId()), append(users, m.UserID)
		joinCounts, versions = append(joinCounts, m.JoinCount), append(versions, m.Flow.GetVersion())
	}
	// In one order, so that two who write the same wait and do not deadlock.
	rows, err := tx.Query(ctx, `
insert into flow_match (flow_id, user_id, join_count, organization_id, flow_version, create_time)
select k.flow_id, k.user_id, k.join_count, $5, k.version, $6
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) as k (flow_id, user_id, join_count, version)
order by 1, 2, 3
on conflict (flow_id, user_id, join_count) do nothing
returning flow_id, user_id, join_count`, flows, users, joinCounts, versions, organizationID, now)
	if err != nil {
		return nil, fmt.Errorf("save matches: %w", err)
	}
	var added []Match
	var k key
	if _, err := pgx.ForEachRow(rows, []any{&k.flow, &k.user, &k.joinCount}, func() error {
		added = append(added, by[k])
		return nil
	}); err != nil {
		return nil, fmt.Errorf("save matches: %w", err)
	}
	return added, nil
}

func orZero(id string) string {
	if id == "" {
		return uuid.Nil.String()
	}
	return id
}

// Say adds events to the transaction.
func (s *Store) Say(ctx context.Context, tx *postgres.Tx, events ...outbox.Event) error {
	return s.events.Add(ctx, tx, events...)
}
