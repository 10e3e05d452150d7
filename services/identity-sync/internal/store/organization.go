package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
)

// Organization is the tenant.
type Organization struct {
	ID         uuid.UUID
	Name       string
	CreateTime time.Time
	// SignInName is what people find it by who are about to sign in.
	SignInName string
	Version    int64
	// RemoveSuspendedAfterDays is how long people may be suspended before they are
	// removed; 0: for ever.
	RemoveSuspendedAfterDays int32
}

const organizationColumns = `o.id, o.name, o.create_time, o.sign_in_name, o.version, coalesce(o.remove_suspended_after_days, 0)`

func (o *Organization) targets() []any {
	return []any{&o.ID, &o.Name, &o.CreateTime, &o.SignInName, &o.Version, &o.RemoveSuspendedAfterDays}
}

// Environment is one company whose people and apps are governed.
type Environment struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	Name           string
	CreateTime     time.Time
	UpdateTime     time.Time
	Version        int64
	Quotas
}

// Quotas are how many of each an environment may have; 0: any number.
type Quotas struct{ Users, Sources, Apps, Flows, OpenRequests, Integrations int32 }

const environmentColumns = `e.id, e.organization_id, e.name, e.create_time, e.update_time, e.version,
	e.quota_users, e.quota_sources, e.quota_apps, e.quota_flows, e.quota_open_requests, e.quota_integrations`

func (e *Environment) targets() []any {
	return []any{
		&e.ID, &e.OrganizationID, &e.Name, &e.CreateTime, &e.UpdateTime, &e.Version,
		&e.Users, &e.Sources, &e.Apps, &e.Flows, &e.OpenRequests, &e.Integrations,
	}
}

func (e *Environment) values() []any {
	return []any{
		e.ID, e.OrganizationID, e.Name, e.CreateTime, e.UpdateTime, e.Version,
		e.Users, e.Sources, e.Apps, e.Flows, e.OpenRequests, e.Integrations,
	}
}

const (
	insertOrganization = `
insert into organization (id, name, create_time, sign_in_name, version) values ($1, $2, $3, $4, $5)`
	updateOrganization = `
update organization set name = $2, sign_in_name = $3, version = $4, remove_suspended_after_days = nullif($5, 0) where id = $1`
	selectOrganization = `
select ` + organizationColumns + ` from organization o where o.id = $1`
	selectOrganizationForUpdate = selectOrganization + ` for update`
	insertEnvironment           = `
insert into environment (id, organization_id, name, create_time, update_time, version,
	quota_users, quota_sources, quota_apps, quota_flows, quota_open_requests, quota_integrations)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	updateEnvironment = `
update environment set name = $2, update_time = $3, version = $4,
	quota_users = $5, quota_sources = $6, quota_apps = $7, quota_flows = $8, quota_open_requests = $9, quota_integrations = $10
where id = $1`
	selectEnvironment = `
select ` + environmentColumns + ` from environment e where e.id = $1`
	lockEnvironment       = selectEnvironment + ` for update`
	selectAllEnvironments = `
select ` + environmentColumns + ` from environment e order by e.organization_id, e.id`
)

// InsertOrganization adds an organization with its first environment.
func InsertOrganization(ctx context.Context, tx *postgres.Tx, o Organization, first Environment) error {
	var b pgx.Batch
	b.Queue(insertOrganization, o.ID, o.Name, o.CreateTime, o.SignInName, o.Version)
	b.Queue(insertEnvironment, first.values()...)
	return send(ctx, tx, &b, "insert organization")
}

// GetOrganization reads an organization.
func GetOrganization(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (o Organization, err error) {
	return o, found(tx.QueryRow(ctx, selectOrganization, id).Scan(o.targets()...), "read organization")
}

// LockOrganization reads an organization that nobody else changes until the end of
// tx.
func LockOrganization(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (o Organization, err error) {
	return o, found(tx.QueryRow(ctx, selectOrganizationForUpdate, id).Scan(o.targets()...), "lock organization")
}

// UpdateOrganization saves the names, settings and version of an organization.
func UpdateOrganization(ctx context.Context, tx *postgres.Tx, o Organization) error {
	if _, err := tx.Exec(ctx, updateOrganization, o.ID, o.Name, o.SignInName, o.Version, o.RemoveSuspendedAfterDays); err != nil {
		return fmt.Errorf("update organization %s: %w", o.ID, err)
	}
	return nil
}

// InsertEnvironment adds an environment.
func InsertEnvironment(ctx context.Context, tx *postgres.Tx, e Environment) error {
	if _, err := tx.Exec(ctx, insertEnvironment, e.values()...); err != nil {
		return fmt.Errorf("insert environment: %w", err)
	}
	return nil
}

// UpdateEnvironment saves the name, quotas and version of an environment.
func UpdateEnvironment(ctx context.Context, tx *postgres.Tx, e Environment) error {
	if _, err := tx.Exec(ctx, updateEnvironment, e.ID, e.Name, e.UpdateTime, e.Version, e.Users, e.Sources, e.Apps, e.Flows, e.OpenRequests, e.Integrations); err != nil {
		return fmt.Errorf("update environment %s: %w", e.ID, err)
	}
	return nil
}

// GetEnvironment reads an environment.
func GetEnvironment(ctx context.Context, tx *postgres.Tx, id string) (e Environment, err error) {
	return e, found(tx.QueryRow(ctx, selectEnvironment, id).Scan(e.targets()...), "read environment")
}

// LockEnvironment reads an environment that nobody else changes until the end of
// tx.
func LockEnvironment(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (e Environment, err error) {
	return e, found(tx.QueryRow(ctx, lockEnvironment, id).Scan(e.targets()...), "lock environment")
}

// ListEnvironments reads a page of [EnvironmentList], of an organization, and gives
// the token of the next page.
func ListEnvironments(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, page *filter.Query) ([]Environment, string, error) {
	q := &query{}
	q.where("e.organization_id = ?", organization)
	return list(ctx, tx, environmentColumns+`, `+page.Keys()+` from environment e`, q, page, pgx.RowToStructByPos[Environment])
}

// EachEnvironment calls f for every environment of every organization.
func EachEnvironment(ctx context.Context, tx *postgres.Tx, f func(Environment) error) error {
	rows, err := tx.Query(ctx, selectAllEnvironments)
	if err != nil {
		return fmt.Errorf("read environments: %w", err)
	}
	var e Environment
	_, err = pgx.ForEachRow(rows, e.targets(), func() error { return f(e) })
	return err
}
