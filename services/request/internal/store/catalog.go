package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/lifecycle"
)

// Errors of the catalog.
var (
	ErrAppNotFound = errors.New("there is no such app")
	// ErrAppChanged says that the app was changed since it was read.
	ErrAppChanged           = errors.New("the app was changed meanwhile")
	ErrAppNameTaken         = errors.New("there is an app of this name")
	ErrEntitlementNotFound  = errors.New("there is no such entitlement")
	ErrEntitlementNameTaken = errors.New("the app has an entitlement of this name")
	ErrIntegrationMissing   = errors.New("an automatic app needs an integration")
	ErrSSOAppUnknown        = errors.New("there is no such app to sit behind")
)

// App is an app of the catalog. Enums are words in lower case.
type App struct {
	ID, OrganizationID       uuid.UUID
	EnvironmentID            uuid.UUID // owner; the nil id: the organization
	Name, Description        string
	OwnerID                  uuid.NullUUID
	AdminIDs, ApproverIDs    []uuid.UUID
	Provisioning             string
	IntegrationID            uuid.NullUUID
	DeprovisioningAction     string
	AccountAdoption          string
	OfferedToAllEnvironments bool
	OfferedEnvironmentIDs    []uuid.UUID
	// OnlyByFlow closes it to requests that no flow covers.
	OnlyByFlow bool
	// Icon names its picture; empty for none.
	Icon string
	// What the catalog says of it. SSOAppID is the app that it sits behind.
	Category     string
	Tags         []string
	SSOAppID     uuid.NullUUID
	Instructions string
	CatalogState string
	// GoneUserIDs are those of its people who have left.
	GoneUserIDs            []uuid.UUID
	CreateTime, UpdateTime time.Time
	DeleteTime             *time.Time // nil for one that is not deleted
	Version                int64
}

// The columns of an app, and those that environment $1 sees of one: of an app of the
// organization nobody of another environment, whom row-level security does not show,
// and no other environment that it is offered to.
var (
	appColumns = columnsOfApp("a.owner_id", "a.admin_ids", "a.approver_ids", "a.offered_environment_ids", "'{}'::uuid[]")

	shownOwner     = `case when ` + wholeApp + ` or exists (select from user_copy u where u.id = a.owner_id) then a.owner_id end`
	shownAdmins    = shownIDs("a.admin_ids", isShown)
	shownApprovers = shownIDs("a.approver_ids", isShown)
	shownOffered   = shownIDs("a.offered_environment_ids", "i.id = $1")
	shownColumns   = columnsOfApp(shownOwner, shownAdmins, shownApprovers, shownOffered, goneUsers)
)

const (
	wholeApp = `($1::uuid = '00000000-0000-0000-0000-000000000000' or a.environment_id = $1)`
	isShown  = `exists (select from user_copy u where u.id = i.id)`

	// goneUsers are the people of an app who have left, as far as they are shown.
	goneUsers = `array(select distinct u.id from unnest(array_append(a.admin_ids || a.approver_ids, a.owner_id)) p (id)
		join user_copy u on u.id = p.id where u.removed order by u.id)`
)

// shownIDs are those ids of a column that meet a condition on i.id, in their order; all
// for who sees the app whole.
func shownIDs(column, condition string) string {
	return `case when ` + wholeApp + ` then ` + column + ` else array(select i.id from unnest(` + column + `) with ordinality i (id, n) where ` +
		condition + ` order by i.n) end`
}

func columnsOfApp(owner, admins, approvers, offered, gone string) string {
	return `a.id, a.organization_id, a.environment_id, a.name, a.description, ` + owner + `, ` + admins + `, ` + approvers + `,
	a.provisioning, a.integration_id, a.deprovisioning_action, a.account_adoption, a.offered_to_all_environments, ` + offered + `,
	a.create_time, a.update_time, a.delete_time, a.version, a.only_by_flow, a.icon, a.category, a.tags, a.sso_app_id, a.instructions, a.catalog_state, ` + gone
}

// offered is the condition under which environment $1 sees an app of its own or
// of the organization; the whole organization, the nil uuid, sees all.
const offered = `($1::uuid = '00000000-0000-0000-0000-000000000000' or a.environment_id = $1 or a.offered_to_all_environments
	or $1 = any (a.offered_environment_ids))`

const (
	insertApp = `
insert into app (id, organization_id, environment_id, name, description, owner_id, admin_ids, approver_ids, provisioning,
	integration_id, deprovisioning_action, offered_to_all_environments, offered_environment_ids, create_time, update_time, version, account_adoption, only_by_flow, icon,
	category, tags, sso_app_id, instructions, catalog_state)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`
	updateApp = `
update app set name = $2, description = $3, owner_id = $4, admin_ids = $5, approver_ids = $6, provisioning = $7,
	integration_id = $8, deprovisioning_action = $9, offered_to_all_environments = $10, offered_environment_ids = $11,
	update_time = $12, version = $13, account_adoption = $14, only_by_flow = $15, icon = $16,
	category = $17, tags = $18, sso_app_id = $19, instructions = $20, catalog_state = $21
where id = $1 and version = $13 - 1 and delete_time is null`
	keepApp   = `select 1 from app where id = $1 and delete_time is null for key share`
	lockApp   = `select 1 from app where id = $1 and delete_time is null for update`
	deleteApp = `
update app set update_time = $2, delete_time = $2, version = $3 where id = $1`
	// An app of the organization or of an environment is behind those of the same owner.
	lockSSOApps   = `select pg_advisory_xact_lock(hashtextextended('sso apps ' || $1::uuid, 7163510))`
	selectSSOApps = `
with recursive line as (
	select a.id, a.sso_app_id, 1 as height from app a where a.id = $1 and a.environment_id = $2 and a.delete_time is null
	union all
	select a.id, a.sso_app_id, l.height + 1 from line l join app a on a.id = l.sso_app_id where l.height < 1000)
select id from line order by height`
	fromApps = ` from app a
where a.organization_id = $2 and a.delete_time is null and ` + offered + `
	and ($3 = '' or strpos(lower(a.name), lower($3)) > 0 or strpos(lower(a.description), lower($3)) > 0)
	and `
)

var (
	selectApp = `
select ` + shownColumns + ` from app a where a.id = $2 and ` + offered + ` and `
	selectAllApps = `
select ` + appColumns + ` from app a order by a.organization_id, a.id`
	lockAppsBehind = `
select ` + appColumns + ` from app a where a.sso_app_id = $1 and a.delete_time is null order by a.id for update`
)

func scanApp(row pgx.CollectableRow) (a App, err error) {
	err = row.Scan(&a.ID, &a.OrganizationID, &a.EnvironmentID, &a.Name, &a.Description, &a.OwnerID, &a.AdminIDs, &a.ApproverIDs,
		&a.Provisioning, &a.IntegrationID, &a.DeprovisioningAction, &a.AccountAdoption, &a.OfferedToAllEnvironments, &a.OfferedEnvironmentIDs,
		&a.CreateTime, &a.UpdateTime, &a.DeleteTime, &a.Version, &a.OnlyByFlow, &a.Icon,
		&a.Category, &a.Tags, &a.SSOAppID, &a.Instructions, &a.CatalogState, &a.GoneUserIDs)
	return a, err
}

// InsertApp adds an app with its account entitlement.
func InsertApp(ctx context.Context, tx *postgres.Tx, a App, account Entitlement) error {
	_, err := tx.Exec(ctx, insertApp, a.ID, a.OrganizationID, a.EnvironmentID, a.Name, a.Description, a.OwnerID, notNull(a.AdminIDs),
		notNull(a.ApproverIDs), a.Provisioning, a.IntegrationID, a.DeprovisioningAction, a.OfferedToAllEnvironments,
		notNull(a.OfferedEnvironmentIDs), a.CreateTime, a.UpdateTime, a.Version, a.AccountAdoption, a.OnlyByFlow, a.Icon,
		a.Category, notNull(a.Tags), a.SSOAppID, a.Instructions, a.CatalogState)
	if err != nil {
		return catalogError("insert app", err)
	}
	if err := writeAppWords(ctx, tx, a); err != nil {
		return err
	}
	return InsertEntitlement(ctx, tx, account)
}

// UpdateApp saves an app's fields if its version is the one before.
func UpdateApp(ctx context.Context, tx *postgres.Tx, a App) error {
	tag, err := tx.Exec(ctx, updateApp, a.ID, a.Name, a.Description, a.OwnerID, notNull(a.AdminIDs), notNull(a.ApproverIDs),
		a.Provisioning, a.IntegrationID, a.DeprovisioningAction, a.OfferedToAllEnvironments, notNull(a.OfferedEnvironmentIDs),
		a.UpdateTime, a.Version, a.AccountAdoption, a.OnlyByFlow, a.Icon, a.Category, notNull(a.Tags), a.SSOAppID, a.Instructions, a.CatalogState)
	if err != nil {
		return catalogError("update app", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrAppChanged
	}
	return writeAppWords(ctx, tx, a)
}

// LockApp keeps others from changing an app that was read, and from requesting what
// is in it, until the transaction ends. ErrAppChanged if it was deleted since.
func LockApp(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	tag, err := tx.Exec(ctx, lockApp, id)
	if err != nil {
		return fmt.Errorf("lock app: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrAppChanged
	}
	return nil
}

// KeepApp keeps others from deleting an app until the transaction ends. ErrAppNotFound if
// it is deleted.
func KeepApp(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	tag, err := tx.Exec(ctx, keepApp, id)
	if err != nil {
		return fmt.Errorf("keep app: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrAppNotFound
	}
	return nil
}

// LockSSOApps gives an app of an owner with those that it sits behind, one after the other;
// found is false if there is no such app. It is not deleted, and nobody else changes what
// sits behind what, until the transaction ends.
func LockSSOApps(ctx context.Context, tx *postgres.Tx, organization, environment, id uuid.UUID) (line []uuid.UUID, found bool, err error) {
	if _, err := tx.Exec(ctx, lockSSOApps, organization); err != nil {
		return nil, false, fmt.Errorf("lock what apps sit behind: %w", err)
	}
	if err := KeepApp(ctx, tx, id); err != nil {
		if errors.Is(err, ErrAppNotFound) {
			err = nil
		}
		return nil, false, err
	}
	rows, err := tx.Query(ctx, selectSSOApps, id, environment)
	if err != nil {
		return nil, false, fmt.Errorf("read what an app sits behind: %w", err)
	}
	line, err = collect("read what an app sits behind", rows, pgx.RowTo[uuid.UUID])
	return line, len(line) > 0, err
}

// LockAppsBehind reads the apps that sit behind another, and keeps others from changing them
// until the transaction ends.
func LockAppsBehind(ctx context.Context, tx *postgres.Tx, id uuid.UUID) ([]App, error) {
	rows, err := tx.Query(ctx, lockAppsBehind, id)
	if err != nil {
		return nil, fmt.Errorf("lock the apps behind: %w", err)
	}
	return collect("lock the apps behind", rows, scanApp)
}

// DeleteApp saves that an app, which is locked, is deleted.
func DeleteApp(ctx context.Context, tx *postgres.Tx, a App) error {
	if _, err := tx.Exec(ctx, deleteApp, a.ID, a.DeleteTime, a.Version); err != nil {
		return fmt.Errorf("delete app: %w", err)
	}
	return forgetWords(ctx, tx, a.ID)
}

// LoadApp reads one app that is not deleted, if the environment and the reader see it.
func LoadApp(ctx context.Context, tx *postgres.Tx, environment uuid.UUID, reader *Reader, id uuid.UUID) (App, error) {
	a, err := LoadAnyApp(ctx, tx, environment, reader, id)
	if err == nil && a.DeleteTime != nil {
		return App{}, ErrAppNotFound
	}
	return a, err
}

// LoadAnyApp is LoadApp also for one that is deleted.
func LoadAnyApp(ctx context.Context, tx *postgres.Tx, environment uuid.UUID, reader *Reader, id uuid.UUID) (App, error) {
	rows, err := tx.Query(ctx, selectApp+seenBy(readerSeesApp, 3), append([]any{environment, id}, reader.arguments()...)...)
	if err != nil {
		return App{}, fmt.Errorf("read app: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanApp)
	if errors.Is(err, pgx.ErrNoRows) {
		return App{}, ErrAppNotFound
	}
	if err != nil {
		return App{}, fmt.Errorf("read app: %w", err)
	}
	return a, nil
}

// ListApps reads a page of [AppList]: of the apps that the environment and the reader see,
// those whose name or description contains query. It gives the token of the next page.
func ListApps(ctx context.Context, tx *postgres.Tx, organization, environment uuid.UUID, reader *Reader, query string, page *filter.Query) ([]App, string, error) {
	args := append([]any{environment, organization, query}, reader.arguments()...)
	return list(ctx, tx, shownColumns, fromApps+seenBy(readerSeesApp, 4), page, scanApp, args...)
}

// list reads a page of the columns of what from selects with the arguments.
func list[T any](ctx context.Context, tx *postgres.Tx, columns, from string, page *filter.Query, scan pgx.RowToFunc[T], args ...any) ([]T, string, error) {
	all := filter.Arguments(args)
	sql := `select ` + columns + `, ` + page.Keys() + from + page.Where(all.Add) + page.Order() + page.Limit(all.Add)
	return filter.Read(ctx, tx, page, sql, all, scan)
}

// Entitlement is what can be held in an app. Kind is a word in lower case.
type Entitlement struct {
	ID, OrganizationID, EnvironmentID, AppID uuid.UUID
	Name, Description, Kind, Ref, Risk       string
	CreateTime                               time.Time
	DeleteTime                               *time.Time // nil for one that is not deleted
	Version                                  int64
}

const entitlementColumns = `id, organization_id, environment_id, app_id, name, description, kind, ref, create_time, delete_time, version, risk`

// columnsOfEntitlement are entitlementColumns of a table.
func columnsOfEntitlement(table string) string {
	return table + "." + strings.ReplaceAll(entitlementColumns, ", ", ", "+table+".")
}

const (
	fromEntitlements    = ` from entitlement e where e.app_id = $1 and e.delete_time is null and `
	fromAllEntitlements = ` from entitlement e where e.organization_id = $2 and e.delete_time is null
	and exists (select from app a where a.id = e.app_id and a.delete_time is null and ` + offered + ` and ` + readerSeesApp + `) and `
)

const (
	insertEntitlement = `
insert into entitlement (` + entitlementColumns + `, words) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	updateEntitlement = `
update entitlement set name = $2, description = $3, ref = $4, delete_time = $5, version = $6, risk = $7, words = $8 where id = $1`
	selectEntitlement = `
select ` + entitlementColumns + ` from entitlement where app_id = $1 and id = $2 and delete_time is null`
	lockEntitlement       = selectEntitlement + ` for update`
	selectAllEntitlements = `
select ` + entitlementColumns + ` from entitlement order by organization_id, id`
)

func scanEntitlement(row pgx.CollectableRow) (e Entitlement, err error) {
	err = row.Scan(&e.ID, &e.OrganizationID, &e.EnvironmentID, &e.AppID, &e.Name, &e.Description, &e.Kind, &e.Ref, &e.CreateTime, &e.DeleteTime, &e.Version, &e.Risk)
	return e, err
}

// InsertEntitlement adds an entitlement to an app.
func InsertEntitlement(ctx context.Context, tx *postgres.Tx, e Entitlement) error {
	words := wordsOf(e)
	_, err := tx.Exec(ctx, insertEntitlement, e.ID, e.OrganizationID, e.EnvironmentID, e.AppID, e.Name, e.Description, e.Kind, e.Ref, e.CreateTime, e.DeleteTime, e.Version, e.Risk, words)
	if err != nil {
		return catalogError("insert entitlement", err)
	}
	return countEntitlement(ctx, tx, e, "", words)
}

// LockEntitlement reads an entitlement of an app, which nobody else changes and
// requests until the transaction ends.
func LockEntitlement(ctx context.Context, tx *postgres.Tx, app, id uuid.UUID) (Entitlement, error) {
	return oneEntitlement(ctx, tx, "lock entitlement", lockEntitlement, app, id)
}

// LoadEntitlement reads an entitlement of an app.
func LoadEntitlement(ctx context.Context, tx *postgres.Tx, app, id uuid.UUID) (Entitlement, error) {
	return oneEntitlement(ctx, tx, "read entitlement", selectEntitlement, app, id)
}

func oneEntitlement(ctx context.Context, tx *postgres.Tx, doing, sql string, app, id uuid.UUID) (Entitlement, error) {
	rows, err := tx.Query(ctx, sql, app, id)
	if err != nil {
		return Entitlement{}, fmt.Errorf("%s: %w", doing, err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEntitlement)
	if errors.Is(err, pgx.ErrNoRows) {
		return Entitlement{}, ErrEntitlementNotFound
	}
	if err != nil {
		return Entitlement{}, fmt.Errorf("%s: %w", doing, err)
	}
	return e, nil
}

// UpdateEntitlement saves an entitlement that is locked.
func UpdateEntitlement(ctx context.Context, tx *postgres.Tx, e Entitlement) error {
	var before string
	if err := tx.QueryRow(ctx, selectWords, e.ID).Scan(&before); err != nil {
		return fmt.Errorf("read the words of an entitlement: %w", err)
	}
	after := wordsOf(e)
	if _, err := tx.Exec(ctx, updateEntitlement, e.ID, e.Name, e.Description, e.Ref, e.DeleteTime, e.Version, e.Risk, after); err != nil {
		return catalogError("update entitlement", err)
	}
	return countEntitlement(ctx, tx, e, before, after)
}

// Use is how much something of the catalog is used: grants that are not gone, and
// requests that are open.
type Use struct{ Grants, Requests int }

// None says that it is not used.
func (u Use) None() bool { return u == Use{} }

// Of an app, or with $2 of one of its entitlements. What is approved and not yet in
// place is an open request.
const (
	selectUse = `
select (select count(*) from entitlement e join grant_copy g on g.entitlement_id = e.id
		where e.app_id = $1 and ($2::uuid is null or e.id = $2) and not g.removed),
	(select count(distinct i.request_id) from request_item i where i.app_id = $1 and ($2::uuid is null or i.entitlement_id = $2) and i.open)`
	lockRequestsFor = `
select ` + requestColumns + ` from access_request r
where r.id in (select i.request_id from request_item i where i.app_id = $1 and ($2::uuid is null or i.entitlement_id = $2) and i.open)
	and r.state = any ($3)
order by r.id for no key update`
)

// UseOf counts what uses an app, or one of its entitlements, as far as the
// transaction sees.
func UseOf(ctx context.Context, tx *postgres.Tx, app uuid.UUID, entitlement uuid.NullUUID) (u Use, err error) {
	if err := tx.QueryRow(ctx, selectUse, app, entitlement).Scan(&u.Grants, &u.Requests); err != nil {
		return u, fmt.Errorf("count what uses the app: %w", err)
	}
	return u, nil
}

// LockOpenFor is LockOpen of the requests for something in an app, or for one of its
// entitlements.
func LockOpenFor(ctx context.Context, tx *postgres.Tx, app uuid.UUID, entitlement uuid.NullUUID) ([]*Request, error) {
	rows, err := tx.Query(ctx, lockRequestsFor, app, entitlement, lifecycle.From(lifecycle.Cancelling))
	if err != nil {
		return nil, fmt.Errorf("list open requests: %w", err)
	}
	return collect("list open requests", rows, scanWithoutItems)
}

// ListEntitlements reads a page of [EntitlementList], of those of an app that the reader
// sees, and gives the token of the next page.
func ListEntitlements(ctx context.Context, tx *postgres.Tx, app uuid.UUID, reader *Reader, page *filter.Query) ([]Entitlement, string, error) {
	args := append([]any{app}, reader.arguments()...)
	return list(ctx, tx, entitlementColumns, fromEntitlements+seenBy(readerSeesEntitlement, 2), page, scanEntitlement, args...)
}

// ListAllEntitlements is ListEntitlements of all apps that the environment and the reader
// see.
func ListAllEntitlements(ctx context.Context, tx *postgres.Tx, organization, environment uuid.UUID, reader *Reader, page *filter.Query) ([]Entitlement, string, error) {
	args := append([]any{environment, organization}, reader.arguments()...)
	return list(ctx, tx, entitlementColumns, seenBy(fromAllEntitlements+readerSeesEntitlement, 3), page, scanEntitlement, args...)
}

// EachApp calls f for every app of every organization.
func EachApp(ctx context.Context, tx *postgres.Tx, f func(App) error) error {
	return each(ctx, tx, "read apps", selectAllApps, scanApp, f)
}

// EachEntitlement calls f for every entitlement of every organization.
func EachEntitlement(ctx context.Context, tx *postgres.Tx, f func(Entitlement) error) error {
	return each(ctx, tx, "read entitlements", selectAllEntitlements, scanEntitlement, f)
}

// each calls f for every row as it comes.
func each[T any](ctx context.Context, tx *postgres.Tx, doing, sql string, scan func(pgx.CollectableRow) (T, error), f func(T) error) error {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return rows.Err()
}

// People of another environment than the app's are unknown to it.
const (
	selectUnknownUsers = `
select k.id from unnest($1::uuid[]) as k (id)
where not exists (select from user_copy u where u.id = k.id and u.state <> 'removed' and (u.environment_id = $2
	or '00000000-0000-0000-0000-000000000000' in (u.environment_id, $2)))`
	selectUnknownEnvironments = `
select k.id from unnest($1::uuid[]) as k (id) where not exists (select from environment_copy e where e.id = k.id)`
)

// UnknownUsers gives those of the ids that are nobody whom an app of the
// environment can name.
func UnknownUsers(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID, environment uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, selectUnknownUsers, ids, environment)
	if err != nil {
		return nil, fmt.Errorf("look up users: %w", err)
	}
	return collect("look up users", rows, pgx.RowTo[uuid.UUID])
}

// UnknownEnvironments gives those of the ids that are no environments.
func UnknownEnvironments(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, selectUnknownEnvironments, ids)
	if err != nil {
		return nil, fmt.Errorf("look up environments: %w", err)
	}
	return collect("look up environments", rows, pgx.RowTo[uuid.UUID])
}

func catalogError(doing string, err error) error {
	if err == nil {
		return nil
	}
	switch name, _ := postgres.Constraint(err); name {
	case "app_name":
		return ErrAppNameTaken
	case "entitlement_name":
		return ErrEntitlementNameTaken
	case "entitlement_app_id_fkey":
		return ErrAppNotFound
	case "app_sso_app_id_fkey":
		return ErrSSOAppUnknown
	case "app_automatic_has_integration":
		return ErrIntegrationMissing
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// notNull gives an array that is never null.
func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func collect[T any](doing string, rows pgx.Rows, scan pgx.RowToFunc[T]) ([]T, error) {
	out, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return out, nil
}
