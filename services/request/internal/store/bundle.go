package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
)

// Errors of bundles.
var (
	ErrBundleNotFound  = errors.New("there is no such bundle")
	ErrBundleNameTaken = errors.New("there is a bundle of this name")
)

// Bundle is a bundle. EntitlementIDs are all that it has; Items those that its reader sees.
type Bundle struct {
	ID, OrganizationID, EnvironmentID uuid.UUID
	Name, Description                 string
	EntitlementIDs                    []uuid.UUID
	CreateTime, UpdateTime            time.Time
	DeleteTime                        *time.Time
	Version                           int64
	Items                             []BundleItem
}

// BundleItem is an entitlement of a bundle. Gone says that it, or its app, was deleted.
type BundleItem struct {
	EntitlementID    uuid.UUID
	Name             string
	AppID            uuid.UUID
	AppName          string
	AppEnvironmentID uuid.UUID
	Risk             string
	Gone             bool
}

const bundleColumns = `b.id, b.organization_id, b.environment_id, b.name, b.description, b.entitlement_ids, b.create_time, b.update_time, b.delete_time, b.version`

const (
	insertBundle = `
insert into bundle (id, organization_id, environment_id, name, description, entitlement_ids, create_time, update_time, version)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	updateBundle = `
update bundle set name = $2, description = $3, entitlement_ids = $4, update_time = $5, delete_time = $6, version = $7 where id = $1`
	lockBundle = `
select ` + bundleColumns + ` from bundle b where b.id = $1 and b.delete_time is null for update`
)

// The parameters: $1 the environment, $2 the organization, $3 to $7 the reader.
var (
	ofBundle = ` from entitlement e join app a on a.id = e.app_id where ` + offered + ` and ` + seenBy(readerSeesApp, 3) + ` and ` + seenBy(readerSeesEntitlement, 3)
	// Who manages the bundles of an owner sees also those of which nothing is left.
	fromBundles = ` from bundle b where b.organization_id = $2 and b.delete_time is null
	and ($3::uuid is null and ($1::uuid = '00000000-0000-0000-0000-000000000000' or b.environment_id = $1)
		or exists (select` + ofBundle + ` and e.id = any (b.entitlement_ids) and e.delete_time is null and a.delete_time is null))`
	selectBundles     = `select ` + bundleColumns + fromBundles + ` and b.id = any ($8)`
	selectBundleItems = `
select e.id, e.name, a.id, a.name, a.environment_id, e.risk, e.delete_time is not null or a.delete_time is not null` + ofBundle + ` and e.id = any ($8)
	and a.organization_id = $2 and ($3::uuid is null or e.delete_time is null and a.delete_time is null)`
)

func scanBundle(row pgx.CollectableRow) (b Bundle, err error) {
	err = row.Scan(&b.ID, &b.OrganizationID, &b.EnvironmentID, &b.Name, &b.Description, &b.EntitlementIDs, &b.CreateTime, &b.UpdateTime, &b.DeleteTime, &b.Version)
	return b, err
}

// InsertBundle adds a bundle.
func InsertBundle(ctx context.Context, tx *postgres.Tx, b Bundle) error {
	_, err := tx.Exec(ctx, insertBundle, b.ID, b.OrganizationID, b.EnvironmentID, b.Name, b.Description, b.EntitlementIDs, b.CreateTime, b.UpdateTime, b.Version)
	return bundleError("insert bundle", err)
}

// UpdateBundle saves a bundle that is locked.
func UpdateBundle(ctx context.Context, tx *postgres.Tx, b Bundle) error {
	_, err := tx.Exec(ctx, updateBundle, b.ID, b.Name, b.Description, b.EntitlementIDs, b.UpdateTime, b.DeleteTime, b.Version)
	return bundleError("update bundle", err)
}

func bundleError(doing string, err error) error {
	if name, _ := postgres.Constraint(err); name == "bundle_name" {
		return ErrBundleNameTaken
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// LockBundle reads a bundle without its items, which nobody else changes until the
// transaction ends. It must be one that the transaction may change.
func LockBundle(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (Bundle, error) {
	rows, err := tx.Query(ctx, lockBundle, id)
	if err != nil {
		return Bundle{}, fmt.Errorf("lock bundle: %w", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, scanBundle)
	if errors.Is(err, pgx.ErrNoRows) {
		return b, ErrBundleNotFound
	}
	if err != nil {
		return b, fmt.Errorf("lock bundle: %w", err)
	}
	return b, nil
}

func bundleArguments(organization, environment uuid.UUID, reader *Reader, more ...any) []any {
	return append(append([]any{environment, organization}, reader.arguments()...), more...)
}

// LoadBundles reads those of the bundles that the environment and the reader see, in the
// order given, with the items that they see.
func LoadBundles(ctx context.Context, tx *postgres.Tx, organization, environment uuid.UUID, reader *Reader, ids []uuid.UUID) ([]Bundle, error) {
	rows, err := tx.Query(ctx, selectBundles, bundleArguments(organization, environment, reader, ids)...)
	if err != nil {
		return nil, fmt.Errorf("read bundles: %w", err)
	}
	list, err := collect("read bundles", rows, scanBundle)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Bundle) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
	return list, seenBundles(ctx, tx, organization, environment, reader, list)
}

// seenBundles reads the items of bundles, and leaves them those.
func seenBundles(ctx context.Context, tx *postgres.Tx, organization, environment uuid.UUID, reader *Reader, list []Bundle) error {
	if err := FillBundles(ctx, tx, organization, environment, reader, list); err != nil {
		return err
	}
	for n, b := range list {
		list[n].EntitlementIDs = postgres.Column(b.Items, func(i BundleItem) uuid.UUID { return i.EntitlementID })
	}
	return nil
}

// ListBundles reads a page of [BundleList], of the bundles that the environment and the
// reader see, and gives the token of the next page.
func ListBundles(ctx context.Context, tx *postgres.Tx, organization, environment uuid.UUID, reader *Reader, page *filter.Query) ([]Bundle, string, error) {
	found, next, err := list(ctx, tx, bundleColumns, fromBundles, page, scanBundle, bundleArguments(organization, environment, reader)...)
	if err != nil {
		return nil, "", err
	}
	return found, next, seenBundles(ctx, tx, organization, environment, reader, found)
}

// FillBundles reads the items of bundles.
func FillBundles(ctx context.Context, tx *postgres.Tx, organization, environment uuid.UUID, reader *Reader, list []Bundle) error {
	var ids []uuid.UUID
	for _, b := range list {
		ids = append(ids, b.EntitlementIDs...)
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, selectBundleItems, bundleArguments(organization, environment, reader, ids)...)
	if err != nil {
		return fmt.Errorf("read what bundles have: %w", err)
	}
	found, err := collect("read what bundles have", rows, pgx.RowToStructByPos[BundleItem])
	if err != nil {
		return err
	}
	byID := make(map[uuid.UUID]BundleItem, len(found))
	for _, i := range found {
		byID[i.EntitlementID] = i
	}
	for n := range list {
		list[n].Items = nil
		for _, id := range list[n].EntitlementIDs {
			if i, ok := byID[id]; ok {
				list[n].Items = append(list[n].Items, i)
			}
		}
	}
	return nil
}
