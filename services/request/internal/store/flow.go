package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/postgres"
)

// FlowCopy is a flow of the copy that libs/copies keeps.
type FlowCopy struct {
	ID      uuid.UUID
	Version int64
	// Data is the gatehouse.approval.v1.Flow; nil if the reader has this version.
	Data []byte
}

// Rules asks for what says who may request what: the enabled flows for requests
// of an organization, and the groups of users.
type Rules struct {
	OrganizationID uuid.UUID
	// Known are the versions that the reader has, by id.
	Known map[uuid.UUID]int64
	// UserIDs are whose groups are read.
	UserIDs []uuid.UUID

	Flows  []FlowCopy
	Groups map[uuid.UUID][]string
}

const (
	selectFlows = `
select c.id, c.version, case when k.version = c.version then null else c.data end
from flow_copy c left join unnest($2::uuid[], $3::bigint[]) k (id, version) on k.id = c.id
where c.organization_id = $1 and c.enabled and c.trigger = 'request' and not c.removed`
	selectGroups = `
select m.user_id, m.group_id::text from group_member_copy m where m.user_id = any($1) and not m.removed`
)

func (r *Rules) queue(b *pgx.Batch) {
	ids, versions := make([]uuid.UUID, 0, len(r.Known)), make([]int64, 0, len(r.Known))
	for id, version := range r.Known {
		ids, versions = append(ids, id), append(versions, version)
	}
	r.Flows, r.Groups = nil, make(map[uuid.UUID][]string)
	b.Queue(selectFlows, r.OrganizationID, ids, versions).Query(func(rows pgx.Rows) (err error) {
		r.Flows, err = pgx.CollectRows(rows, pgx.RowToStructByPos[FlowCopy])
		return err
	})
	b.Queue(selectGroups, r.UserIDs).Query(func(rows pgx.Rows) error {
		var user uuid.UUID
		var group string
		_, err := pgx.ForEachRow(rows, []any{&user, &group}, func() error {
			r.Groups[user] = append(r.Groups[user], group)
			return nil
		})
		return err
	})
}

// LoadRules reads rules, and a user, the zero one if they are unknown.
func LoadRules(ctx context.Context, tx *postgres.Tx, r *Rules, user uuid.UUID) (User, error) {
	found := make(map[uuid.UUID]User, 1)
	var b pgx.Batch
	r.queue(&b)
	queueUsers(&b, []uuid.UUID{user}, false, found)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return User{}, fmt.Errorf("read flows: %w", err)
	}
	return found[user], nil
}

// Reader is somebody who sees a part of the catalog: of apps that are not listed those in
// which they have a place or hold something, and a guest of the others what they were let
// in for: what they hold, what they run, and what flows name them for. Nil sees everything.
type Reader struct {
	UserID uuid.UUID
	Guest  bool
	// Any says that a guest is let in for everything.
	Any                    bool
	AppIDs, EntitlementIDs []uuid.UUID
}

const selectScope = `
select e.id from entitlement e join app a on a.id = e.app_id
where e.organization_id = $1 and e.delete_time is null and a.delete_time is null
	and ($2::boolean or a.id::text = any ($3::text[]) or e.id::text = any ($4::text[]) or a.category <> '' and lower(a.category) = any ($5::text[]))
	and (cardinality($6::text[]) = 0 or e.risk::text = any ($6::text[]))`

// AddScope lets a guest in for the entitlements that a scope covers as things are.
func AddScope(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, s flow.Scope, to *Reader) error {
	categories := make([]string, len(s.Categories))
	for n, c := range s.Categories {
		categories[n] = strings.ToLower(c)
	}
	rows, err := tx.Query(ctx, selectScope, organization, s.Any, notNull(s.AppIDs), notNull(s.EntitlementIDs), categories, notNull(s.Risks))
	if err != nil {
		return fmt.Errorf("read what a flow is about: %w", err)
	}
	covered, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("read what a flow is about: %w", err)
	}
	to.EntitlementIDs = append(to.EntitlementIDs, covered...)
	return nil
}

// The conditions under which a reader sees an app a, and an entitlement e of an app that
// they see. Their parameters, from $1, are those of arguments.
const (
	hasPlace      = `$%[1]d = any(a.admin_ids) or $%[1]d = any(a.approver_ids) or $%[1]d = a.owner_id`
	readerSeesApp = `($%[1]d::uuid is null
	or a.catalog_state <> 'unlisted' and (not $%[2]d::boolean or $%[3]d::boolean or a.id = any($%[4]d::uuid[])
		or exists (select from entitlement e where e.app_id = a.id and e.id = any($%[5]d::uuid[])))
	or exists (select from grant_copy g where g.user_id = $%[1]d and g.app_id = a.id and not g.removed)
	or ` + hasPlace + `)`
	readerSeesEntitlement = `($%[1]d::uuid is null or not $%[2]d::boolean or $%[3]d::boolean or e.app_id = any($%[4]d::uuid[]) or e.id = any($%[5]d::uuid[])
	or exists (select from grant_copy g where g.user_id = $%[1]d and g.entitlement_id = e.id and not g.removed)
	or exists (select from app a where a.id = e.app_id and (` + hasPlace + `)))`
)

// seenBy is a condition with its parameters from the number given on.
func seenBy(condition string, from int) string {
	return fmt.Sprintf(condition, from, from+1, from+2, from+3, from+4)
}

func (r *Reader) arguments() []any {
	if r == nil {
		return []any{nil, false, false, []uuid.UUID{}, []uuid.UUID{}}
	}
	return []any{r.UserID, r.Guest, r.Any, notNull(r.AppIDs), notNull(r.EntitlementIDs)}
}
