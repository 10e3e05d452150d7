package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
)

// Integration is one row of integration.
type Integration struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	EnvironmentID  uuid.UUID
	Name           string
	Kind           string
	BaseURL        string
	// Secret is sealed.
	Secret      []byte
	State       string // untested, working, failing
	StateDetail string
	TestTime    *time.Time
	CreateTime  time.Time
	Version     int64
}

const integrationColumns = `id, organization_id, environment_id, name, kind, base_url, secret, state, state_detail, test_time, create_time, version`

func scanIntegration(row pgx.Row) (i Integration, err error) {
	return i, row.Scan(&i.ID, &i.OrganizationID, &i.EnvironmentID, &i.Name, &i.Kind, &i.BaseURL, &i.Secret, &i.State, &i.StateDetail, &i.TestTime, &i.CreateTime, &i.Version)
}

// CreateIntegration writes a new integration. ErrIntegrationNameTaken.
func CreateIntegration(ctx context.Context, tx *postgres.Tx, i Integration) error {
	_, err := tx.Exec(ctx, `
		insert into integration (`+integrationColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		i.ID, i.OrganizationID, i.EnvironmentID, i.Name, i.Kind, i.BaseURL, i.Secret, i.State, i.StateDetail, i.TestTime, i.CreateTime, i.Version)
	return nameTaken(err, "create integration")
}

// UpdateIntegration writes an integration whose version was one less.
// ErrIntegrationNameTaken; ErrIntegrationChanged if somebody else was faster.
func UpdateIntegration(ctx context.Context, tx *postgres.Tx, i Integration) error {
	tag, err := tx.Exec(ctx, `
		update integration set name = $2, base_url = $3, secret = $4, state = $5, state_detail = $6, test_time = $7, version = $8,
		    paused_until = case when base_url = $3 then paused_until end
		where id = $1 and version = $8 - 1`,
		i.ID, i.Name, i.BaseURL, i.Secret, i.State, i.StateDetail, i.TestTime, i.Version)
	if err != nil {
		return nameTaken(err, "update integration")
	}
	if tag.RowsAffected() == 0 {
		return ErrIntegrationChanged
	}
	return nil
}

func nameTaken(err error, doing string) error {
	if name, ok := postgres.Constraint(err); ok && name == "integration_name" {
		return fmt.Errorf("%s: %w: %w", doing, ErrIntegrationNameTaken, err)
	}
	return wrap(err, "%s", doing)
}

// GetIntegration reads one integration. ErrIntegrationNotFound.
func GetIntegration(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (Integration, error) {
	i, err := scanIntegration(tx.QueryRow(ctx, `select `+integrationColumns+` from integration where id = $1`, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return i, ErrIntegrationNotFound
	}
	return i, wrap(err, "read integration %s", id)
}

// ListIntegrations reads a page of [IntegrationList], of an organization, and gives the
// token of the next page.
func ListIntegrations(ctx context.Context, tx *postgres.Tx, org uuid.UUID, page *filter.Query) ([]Integration, string, error) {
	args := filter.Arguments{org}
	sql := `select ` + integrationColumns + `, ` + page.Keys() + ` from integration i where i.organization_id = $1` +
		page.Where(args.Add) + page.Order() + page.Limit(args.Add)
	return filter.Read(ctx, tx, page, sql, args, func(r pgx.CollectableRow) (Integration, error) { return scanIntegration(r) })
}

// LockIntegration reads one integration, which nobody else changes until the
// transaction ends. ErrIntegrationNotFound.
func LockIntegration(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (Integration, error) {
	i, err := scanIntegration(tx.QueryRow(ctx, `select `+integrationColumns+` from integration where id = $1 for update`, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return i, ErrIntegrationNotFound
	}
	return i, wrap(err, "lock integration %s", id)
}

// DeleteIntegration erases an integration with its secret.
func DeleteIntegration(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	_, err := tx.Exec(ctx, `delete from integration where id = $1`, id)
	return wrap(err, "delete integration %s", id)
}

// IntegrationUse is what an integration is used for.
type IntegrationUse struct {
	// Apps are those that have it and are not deleted, 20 at most.
	Apps []uuid.UUID
	// Operations are those that are not over, Accounts those of deleted apps that
	// are not known to be gone.
	Operations, Accounts int
}

// None says that it is not used.
func (u IntegrationUse) None() bool { return len(u.Apps)+u.Operations+u.Accounts == 0 }

const selectIntegrationUse = `
	select array(select p.id from app_copy p where p.integration_id = $1 and not p.removed order by p.id limit 20),
	    (select count(*) from operation o where o.integration_id = $1 and o.state in ('queued', 'running', 'stuck')),
	    (select count(*) from app_copy p join account a on a.app_id = p.id
	     where p.integration_id = $1 and p.removed and p.provisioning = 'automatic'
	       and (a.account_in_doubt or a.state <> 'absent' and exists (
	           select from access_grant g where g.account_id = a.id and g.revoke_time is null)))`

// UseOfIntegration says what an integration is used for, as far as the transaction
// sees.
func UseOfIntegration(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (u IntegrationUse, err error) {
	return u, wrap(tx.QueryRow(ctx, selectIntegrationUse, id).Scan(&u.Apps, &u.Operations, &u.Accounts), "count what uses integration %s", id)
}

// SealedSecrets are the credentials of all integrations.
func SealedSecrets(ctx context.Context, tx *postgres.Tx) ([]secretbox.Sealed, error) {
	rows, err := tx.Query(ctx, `select id, organization_id, secret from integration order by id`)
	if err != nil {
		return nil, wrap(err, "list secrets")
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[secretbox.Sealed])
	return list, wrap(err, "list secrets")
}

// Reseal replaces a credential that is still as it was. The integration stays what
// it is, its version too.
func Reseal(ctx context.Context, tx *postgres.Tx, was secretbox.Sealed, sealed []byte) error {
	_, err := tx.Exec(ctx, `update integration set secret = $3 where id = $1 and secret = $2`, was.ID, was.Value, sealed)
	return wrap(err, "seal the secret of integration %s again", was.ID)
}
