package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/flow"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

const (
	selectAudience = `
select u.id, u.display_name, u.email, u.state = 'active', ` + factFields + `
from user_copy u
where u.organization_id = $1 and u.state = 'active' and not u.removed and ($2::uuid = '00000000-0000-0000-0000-000000000000' or u.environment_id = $2)
    and ($3::boolean or u.id = any ($4::uuid[])
        or exists (select from group_member_copy m where m.user_id = u.id and m.group_id = any ($5::uuid[]) and not m.removed))
order by u.display_name, u.id limit $6`
	catalogFields = `e.id, e.name, e.kind, e.risk, a.id, a.name, a.category, a.environment_id, a.only_by_flow`
	selectCatalog = `
select ` + catalogFields + ` from entitlement_copy e join app_copy a on a.id = e.app_id
where e.organization_id = $1 and not e.removed and not a.removed and ` + offered + ` order by a.name, a.id, e.name, e.id limit $3`
	selectCatalogItems = `
select ` + catalogFields + `, a.data from entitlement_copy e join app_copy a on a.id = e.app_id
where e.organization_id = $1 and e.id = any ($3) and not e.removed and not a.removed and ` + offered
	selectPeople = `
select u.id, u.display_name, u.email, u.state = 'active', ` + factFields + ` from user_copy u where u.id = any ($1) and not u.removed`
	selectSince = `
select request_id, organization_id, environment_id, request, state, data from approval
where organization_id = $1 and request is not null and request_id >= $2 order by request_id desc limit $3`
)

// AudienceMember is somebody for whom a flow is.
type AudienceMember struct {
	lifecycle.Member
	Name string
}

// Audience reads the active people for whom a flow is, apart from its condition, by name
// and at most so many, with their groups.
func (s *Store) Audience(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, f lifecycle.Flow, limit int) ([]AudienceMember, error) {
	a := f.Audience
	people, err := members(ctx, tx, selectAudience, organizationID, environmentUUID(f.EnvironmentID), a.Everyone, a.UserIDs, a.GroupIDs, limit)
	if err != nil {
		return nil, fmt.Errorf("read for whom a flow is: %w", err)
	}
	return people, nil
}

// Members reads people, without their groups; who is unknown or has left is left out.
func (s *Store) Members(ctx context.Context, tx *postgres.Tx, ids []string) (map[string]AudienceMember, error) {
	people, err := members(ctx, tx, selectPeople, ids)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	out := make(map[string]AudienceMember, len(people))
	for _, p := range people {
		out[p.ID] = p
	}
	return out, nil
}

func members(ctx context.Context, tx *postgres.Tx, sql string, args ...any) ([]AudienceMember, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	var out []AudienceMember
	var m AudienceMember
	var home uuid.UUID
	if _, err := pgx.ForEachRow(rows, append([]any{&m.ID, &m.Name, &m.Email, &m.Active}, factTargets(&m.Member, &home)...), func() error {
		m.EnvironmentID = environmentID(home)
		out = append(out, m)
		return nil
	}); err != nil {
		return nil, err
	}
	ids := make([]string, len(out))
	for i, m := range out {
		ids[i] = m.ID
	}
	groups := make(map[string][]string)
	rows, err = tx.Query(ctx, selectGroups, ids)
	if err != nil {
		return nil, err
	}
	if err := collectGroups(groups)(rows); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].GroupIDs = groups[out[i].ID]
	}
	return out, nil
}

// CatalogItem is an entitlement as flows see it.
type CatalogItem struct {
	flow.Item
	// EnvironmentID is the environment that its app belongs to; empty for the
	// organization's own.
	EnvironmentID string
	// App is the app's gatehouse.request.v1.App; nil in [Store.Catalog].
	App []byte
}

func catalogTargets(it *CatalogItem, environment *uuid.UUID) []any {
	return []any{&it.EntitlementID, &it.EntitlementName, &it.EntitlementKind, &it.Risk, &it.AppID, &it.AppName, &it.Category, environment, &it.OnlyByFlow}
}

func (it *CatalogItem) complete(environment uuid.UUID) {
	it.EnvironmentID, it.OfOrganization = environmentID(environment), environment == uuid.Nil
	if it.Risk == "unspecified" {
		it.Risk = ""
	}
}

// Catalog reads what an environment sees of the catalog, or with an empty id all of it, by
// app and name and at most so many.
func (s *Store) Catalog(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, environment string, limit int) ([]CatalogItem, error) {
	rows, err := tx.Query(ctx, selectCatalog, organizationID, environmentUUID(environment), limit)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	var out []CatalogItem
	var it CatalogItem
	var home uuid.UUID
	if _, err := pgx.ForEachRow(rows, catalogTargets(&it, &home), func() error {
		it.complete(home)
		out = append(out, it)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return out, nil
}

// CatalogItems reads entitlements that an environment sees, or with an empty id of all, by
// their ids. What is not there is left out.
func (s *Store) CatalogItems(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, environment string, ids []string) (map[string]CatalogItem, error) {
	rows, err := tx.Query(ctx, selectCatalogItems, organizationID, environmentUUID(environment), ids)
	if err != nil {
		return nil, fmt.Errorf("read entitlements: %w", err)
	}
	out := make(map[string]CatalogItem, len(ids))
	var it CatalogItem
	var home uuid.UUID
	if _, err := pgx.ForEachRow(rows, append(catalogTargets(&it, &home), &it.App), func() error {
		it.complete(home)
		out[it.EntitlementID] = it
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read entitlements: %w", err)
	}
	return out, nil
}

// Since reads the approvals of the latest requests whose ids are not before one, the
// latest first and at most so many.
func (s *Store) Since(ctx context.Context, tx *postgres.Tx, organizationID, first uuid.UUID, limit int) ([]*Record, error) {
	rows, err := tx.Query(ctx, selectSince, organizationID, first, limit)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanApproval)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return found, nil
}

// RequestFlows are the flows that decide requests of an organization.
func (s *Store) RequestFlows(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID) ([]lifecycle.Flow, error) {
	return s.requestFlows(ctx, tx, organizationID)
}
