package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
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
	// Tenant is where BaseURL leads: ids of accounts are valid there alone.
	Tenant uuid.UUID
	// Secret is sealed.
	Secret []byte
	// Access is what may be done with it: read_write or read_only.
	Access      string
	State       string // untested, working, failing
	StateDetail string
	TestTime    *time.Time
	CreateTime  time.Time
	Version     int64
	// Queue is what waits, where that was read.
	Queue IntegrationQueue
}

// IntegrationQueue is what waits of an integration.
type IntegrationQueue struct {
	// Waiting is how many operations are queued, and Oldest when the oldest of them
	// was made.
	Waiting int
	Oldest  *time.Time
	// PausedUntil is set while the app has asked for no more calls.
	PausedUntil *time.Time
	// Looking is how many accounts are looked at, FailedLooks of how many the last look
	// has failed, and LookError what one of those has said.
	Looking, FailedLooks int
	LookError            string
}

const integrationColumns = `id, organization_id, environment_id, name, kind, base_url, secret, state, state_detail, test_time, create_time, version, tenant_id, access`

func scanIntegration(row pgx.Row) (i Integration, err error) {
	return i, row.Scan(&i.ID, &i.OrganizationID, &i.EnvironmentID, &i.Name, &i.Kind, &i.BaseURL, &i.Secret, &i.State, &i.StateDetail, &i.TestTime, &i.CreateTime, &i.Version, &i.Tenant, &i.Access)
}

// CreateIntegration writes a new integration. ErrIntegrationNameTaken.
func CreateIntegration(ctx context.Context, tx *postgres.Tx, i Integration) (err error) {
	if i.Tenant, err = tenant(ctx, tx, i); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into integration (`+integrationColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		i.ID, i.OrganizationID, i.EnvironmentID, i.Name, i.Kind, i.BaseURL, i.Secret, i.State, i.StateDetail, i.TestTime, i.CreateTime, i.Version, i.Tenant, i.Access)
	return nameTaken(err, "create integration")
}

// tenant is where an integration leads: the same again for the same host and path.
func tenant(ctx context.Context, tx *postgres.Tx, i Integration) (id uuid.UUID, err error) {
	err = tx.QueryRow(ctx, `
		insert into integration_tenant (id, organization_id, environment_id, integration_id, integration_name, base_url, address)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (integration_id, address) do update set integration_name = excluded.integration_name, base_url = excluded.base_url
		returning id`,
		uuid.New(), i.OrganizationID, i.EnvironmentID, i.ID, i.Name, i.BaseURL, Address(i.BaseURL)).Scan(&id)
	return id, wrap(err, "write tenant of integration %s", i.ID)
}

// Address is what of a base URL tells one tenant from another: host and path.
func Address(baseURL string) string {
	u, err := url.Parse(strings.TrimSpace(baseURL))
	if err != nil {
		return baseURL
	}
	return strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/")
}

// GetPlace reads where a tenant is, without an account.
func GetPlace(ctx context.Context, tx *postgres.Tx, tenant uuid.UUID) (Place, error) {
	p := Place{Tenant: tenant}
	err := tx.QueryRow(ctx, `select integration_id, integration_name, base_url from integration_tenant where id = $1`, tenant).
		Scan(&p.IntegrationID, &p.IntegrationName, &p.BaseURL)
	return p, wrap(err, "read tenant %s", tenant)
}

// AccountsAt returns how many accounts of an integration's apps are known at a tenant
// and not known to be gone, or are being worked on there.
func AccountsAt(ctx context.Context, tx *postgres.Tx, i Integration) (n int, err error) {
	err = tx.QueryRow(ctx, `
		select count(*) from app_copy p join account a on a.app_id = p.id
		where p.integration_id = $1 and (a.tenant_id = $2 and (a.state <> 'absent' or a.account_in_doubt)
		    or exists (select from operation o where o.account_id = a.id and o.state = 'running' and o.look is null and o.tenant_id = $2))`, i.ID, i.Tenant).Scan(&n)
	return n, wrap(err, "count accounts of integration %s", i.ID)
}

// AppsOfIntegration returns the apps that have an integration.
func AppsOfIntegration(ctx context.Context, tx *postgres.Tx, id uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `select id from app_copy where integration_id = $1 order by id`, id)
	if err != nil {
		return nil, wrap(err, "list apps of integration %s", id)
	}
	apps, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return apps, wrap(err, "list apps of integration %s", id)
}

// UpdateIntegration writes an integration whose version was one less.
// ErrIntegrationNameTaken; ErrIntegrationChanged if somebody else was faster.
func UpdateIntegration(ctx context.Context, tx *postgres.Tx, i Integration) (err error) {
	if i.Tenant, err = tenant(ctx, tx, i); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		update integration set name = $2, base_url = $3, secret = $4, state = $5, state_detail = $6, test_time = $7, version = $8, tenant_id = $9, access = $10,
		    paused_until = case when base_url = $3 then paused_until end
		where id = $1 and version = $8 - 1`,
		i.ID, i.Name, i.BaseURL, i.Secret, i.State, i.StateDetail, i.TestTime, i.Version, i.Tenant, i.Access)
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

const selectQueues = `
	select i.id, q.waiting, q.oldest, case when i.paused_until > $2 then i.paused_until end, l.looking, l.failed, l.error
	from integration i, lateral (
	    select count(*) as waiting, min(o.create_time) as oldest from operation o where o.integration_id = i.id and o.state = 'queued' and o.look is null) q,
	    lateral (
	    select count(*) as looking, count(*) filter (where o.error <> '') as failed, coalesce(max(o.error), '') as error
	    from operation o where o.integration_id = i.id and o.look is not null and o.state in ('queued', 'running')) l
	where i.id = any($1)`

// ReadQueues reads what waits of each of the integrations, as far as the transaction
// sees.
func ReadQueues(ctx context.Context, tx *postgres.Tx, list []Integration, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, selectQueues, postgres.Column(list, func(i Integration) uuid.UUID { return i.ID }), now)
	if err != nil {
		return wrap(err, "count operations of integrations")
	}
	queues := make(map[uuid.UUID]IntegrationQueue, len(list))
	err = eachRow(rows, func() error {
		var id uuid.UUID
		var q IntegrationQueue
		err := rows.Scan(&id, &q.Waiting, &q.Oldest, &q.PausedUntil, &q.Looking, &q.FailedLooks, &q.LookError)
		queues[id] = q
		return err
	})
	for n := range list {
		list[n].Queue = queues[list[n].ID]
	}
	return wrap(err, "count operations of integrations")
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
	// Operations are those that change something and are not over, Accounts those of deleted apps that
	// are not known to be gone.
	Operations, Accounts int
}

// None says that it is not used.
func (u IntegrationUse) None() bool { return len(u.Apps)+u.Operations+u.Accounts == 0 }

const selectIntegrationUse = `
	select array(select p.id from app_copy p where p.integration_id = $1 and not p.removed and (p.provisioning = 'automatic' or not $2) order by p.id limit 20),
	    (select count(*) from operation o where o.integration_id = $1 and o.state in ('queued', 'running', 'stuck') and o.look is null),
	    (select count(*) from app_copy p join account a on a.app_id = p.id
	     where p.integration_id = $1 and p.removed and p.provisioning = 'automatic'
	       and (a.account_in_doubt or a.state <> 'absent' and exists (
	           select from access_grant g where g.account_id = a.id and g.revoke_time is null)))`

// UseOfIntegration says what an integration is used for, as far as the transaction
// sees. toChange leaves out what it looks for.
func UseOfIntegration(ctx context.Context, tx *postgres.Tx, id uuid.UUID, toChange bool) (u IntegrationUse, err error) {
	return u, wrap(tx.QueryRow(ctx, selectIntegrationUse, id, toChange).Scan(&u.Apps, &u.Operations, &u.Accounts), "count what uses integration %s", id)
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
