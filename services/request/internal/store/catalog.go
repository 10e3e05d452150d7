package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/postgres"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

const (
	provisioningPrefix = "PROVISIONING_SUPPORT_"
	endingPrefix       = "DEPROVISIONING_ACTION_"
	entitlementPrefix  = "ENTITLEMENT_KIND_"
)

// ErrAppNotFound says that there is no such app.
var ErrAppNotFound = apierr.NotFound("APP_NOT_FOUND", "there is no such app")

// ErrAppChanged says that somebody else has changed the app meanwhile.
var ErrAppChanged = apierr.New(codes.Aborted, "APP_CHANGED", "somebody else has just changed this app; please look again")

const appColumns = `id, organization_id, name, description, owner_id, admin_ids, approver_ids, provisioning,
	integration_id, deprovisioning_action, create_time, update_time, version`

func scanApp(row pgx.CollectableRow) (*requestv1.App, error) {
	var (
		id, org            uuid.UUID
		owner, integration *uuid.UUID
		admins, approvers  []uuid.UUID
		provisioning, end  string
		created, updated   time.Time
		a                  requestv1.App
	)
	if err := row.Scan(&id, &org, &a.Name, &a.Description, &owner, &admins, &approvers, &provisioning,
		&integration, &end, &created, &updated, &a.Version); err != nil {
		return nil, err
	}
	a.Id, a.OrganizationId, a.OwnerId, a.IntegrationId = id.String(), org.String(), text(owner), text(integration)
	a.AdminIds, a.ApproverIds = texts(admins), texts(approvers)
	a.Provisioning = enumValue[requestv1.ProvisioningSupport](requestv1.ProvisioningSupport_value, provisioningPrefix, provisioning)
	a.DeprovisioningAction = enumValue[requestv1.DeprovisioningAction](requestv1.DeprovisioningAction_value, endingPrefix, end)
	a.CreateTime, a.UpdateTime = timestamppb.New(created), timestamppb.New(updated)
	return &a, nil
}

// InsertApp adds an app with its account entitlement.
func InsertApp(ctx context.Context, tx *postgres.Tx, a *requestv1.App, account *requestv1.Entitlement) error {
	_, err := tx.Exec(ctx, `
		insert into app (`+appColumns+`)
		values ($1, $2, $3, $4, $5, $6::uuid[], $7::uuid[], $8, $9, $10, $11, $11, $12)`,
		a.GetId(), a.GetOrganizationId(), a.GetName(), a.GetDescription(), optional(a.GetOwnerId()), list(a.GetAdminIds()), list(a.GetApproverIds()),
		enumText(a.GetProvisioning(), provisioningPrefix), optional(a.GetIntegrationId()), enumText(a.GetDeprovisioningAction(), endingPrefix),
		a.GetCreateTime().AsTime(), a.GetVersion())
	if err != nil {
		return catalogError("insert app", err)
	}
	return InsertEntitlement(ctx, tx, account)
}

// UpdateApp writes an app's fields if its version is the one before.
func UpdateApp(ctx context.Context, tx *postgres.Tx, a *requestv1.App) error {
	tag, err := tx.Exec(ctx, `
		update app set name = $2, description = $3, owner_id = $4, admin_ids = $5::uuid[], approver_ids = $6::uuid[],
			provisioning = $7, integration_id = $8, deprovisioning_action = $9, update_time = $10, version = $11
		where id = $1 and version = $11 - 1`,
		a.GetId(), a.GetName(), a.GetDescription(), optional(a.GetOwnerId()), list(a.GetAdminIds()), list(a.GetApproverIds()),
		enumText(a.GetProvisioning(), provisioningPrefix), optional(a.GetIntegrationId()), enumText(a.GetDeprovisioningAction(), endingPrefix),
		a.GetUpdateTime().AsTime(), a.GetVersion())
	if err != nil {
		return catalogError("update app", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrAppChanged
	}
	return nil
}

// App reads one app.
func App(ctx context.Context, tx *postgres.Tx, id string) (*requestv1.App, error) {
	rows, err := tx.Query(ctx, `select `+appColumns+` from app where id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("read app: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanApp)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrAppNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read app: %w", err)
	}
	return a, nil
}

// Apps lists apps by name, after the name and id given.
func Apps(ctx context.Context, tx *postgres.Tx, org uuid.UUID, query string, after []string, limit int) ([]*requestv1.App, error) {
	name, id := keyset(after)
	rows, err := tx.Query(ctx, `
		select `+appColumns+` from app
		where organization_id = $5 and (lower(name), id) > (lower($1), $2::uuid)
			and ($3 = '' or strpos(lower(name), lower($3)) > 0 or strpos(lower(description), lower($3)) > 0)
		order by lower(name), id limit $4`, name, id, query, limit, org)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	return collect("list apps", rows, scanApp)
}

const entitlementColumns = `id, organization_id, app_id, name, description, kind, ref, create_time, version`

func scanEntitlement(row pgx.CollectableRow) (*requestv1.Entitlement, error) {
	var (
		id, org, app uuid.UUID
		kind         string
		created      time.Time
		e            requestv1.Entitlement
	)
	if err := row.Scan(&id, &org, &app, &e.Name, &e.Description, &kind, &e.Ref, &created, &e.Version); err != nil {
		return nil, err
	}
	e.Id, e.OrganizationId, e.AppId, e.CreateTime = id.String(), org.String(), app.String(), timestamppb.New(created)
	e.Kind = enumValue[requestv1.EntitlementKind](requestv1.EntitlementKind_value, entitlementPrefix, kind)
	return &e, nil
}

// InsertEntitlement adds an entitlement to an app.
func InsertEntitlement(ctx context.Context, tx *postgres.Tx, e *requestv1.Entitlement) error {
	_, err := tx.Exec(ctx, `
		insert into entitlement (`+entitlementColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		e.GetId(), e.GetOrganizationId(), e.GetAppId(), e.GetName(), e.GetDescription(), enumText(e.GetKind(), entitlementPrefix),
		e.GetRef(), e.GetCreateTime().AsTime(), e.GetVersion())
	return catalogError("insert entitlement", err)
}

// Entitlements lists an app's entitlements by name, after the name and id
// given.
func Entitlements(ctx context.Context, tx *postgres.Tx, app string, after []string, limit int) ([]*requestv1.Entitlement, error) {
	name, id := keyset(after)
	rows, err := tx.Query(ctx, `
		select `+entitlementColumns+` from entitlement
		where app_id = $1 and (lower(name), id) > (lower($2), $3::uuid)
		order by lower(name), id limit $4`, app, name, id, limit)
	if err != nil {
		return nil, fmt.Errorf("list entitlements: %w", err)
	}
	return collect("list entitlements", rows, scanEntitlement)
}

// UnknownPeople gives those of the ids that are nobody here.
func UnknownPeople(ctx context.Context, tx *postgres.Tx, ids []string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		select i::text from unnest($1::uuid[]) i
		where not exists (select from user_copy where id = i and state <> 'removed')`, ids)
	if err != nil {
		return nil, fmt.Errorf("look for people: %w", err)
	}
	return collect("look for people", rows, pgx.RowTo[string])
}

func catalogError(doing string, err error) error {
	if err == nil {
		return nil
	}
	switch name, _ := postgres.Constraint(err); name {
	case "app_name":
		return apierr.Exists("APP_NAME_TAKEN", "there is an app of this name").WithField("name", "APP_NAME_TAKEN", "there is an app of this name")
	case "entitlement_name":
		return apierr.Exists("ENTITLEMENT_NAME_TAKEN", "the app has an entitlement of this name").WithField("name", "ENTITLEMENT_NAME_TAKEN", "the app has an entitlement of this name")
	case "entitlement_app_id_fkey":
		return ErrAppNotFound
	case "app_automatic_has_integration":
		return apierr.InvalidField("integration_id", "INTEGRATION_MISSING", "an automatic app needs an integration")
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// keyset gives the name and id that a page begins after.
func keyset(after []string) (name, id string) {
	if len(after) == 2 {
		return after[0], after[1]
	}
	return "", uuid.Nil.String()
}

func collect[T any](doing string, rows pgx.Rows, scan pgx.RowToFunc[T]) ([]T, error) {
	out, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return out, nil
}
