package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/quota"
	"gatehouse.dev/libs/scope"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// CreateEnvironment creates an environment.
func (c *Commands) CreateEnvironment(ctx context.Context, caller authz.Caller, name string, quotas store.Quotas) (store.Environment, error) {
	if !caller.Scope().Whole() {
		return store.Environment{}, errWholeOrganization
	}
	e := store.Environment{ID: id.New(), OrganizationID: caller.OrganizationID, Name: name, Version: 1, Quotas: quotas}
	err := c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		e.CreateTime, e.UpdateTime = tx.now, tx.now
		tx.emitEnvironment(e, true)
		if err := store.InsertEnvironment(ctx, tx.Tx, e); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx.Tx, &identityv1.CreateEnvironmentResponse{Environment: convert.Environment(e)})
	})
	return e, err
}

// UpdateEnvironment changes an environment. change gives its new name and quotas.
func (c *Commands) UpdateEnvironment(ctx context.Context, caller authz.Caller, environment uuid.UUID, change func(store.Environment) (name string, quotas store.Quotas, err error)) (e store.Environment, err error) {
	if !caller.Scope().Whole() {
		return e, errWholeOrganization
	}
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if e, err = store.LockEnvironment(ctx, tx.Tx, environment); err != nil {
			return orNotFound(err, errEnvironmentNotFound)
		}
		name, quotas, err := change(e)
		if err != nil || e.Name == name && e.Quotas == quotas {
			return err
		}
		e.Name, e.Quotas, e.UpdateTime = name, quotas, tx.now
		e.Version++
		tx.emitEnvironment(e, false)
		return store.UpdateEnvironment(ctx, tx.Tx, e)
	})
	return e, err
}

// Environment gives an environment of the scope.
func (c *Commands) Environment(ctx context.Context, in scope.Scope, environment uuid.UUID) (e store.Environment, err error) {
	err = c.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) (err error) {
		e, err = store.GetEnvironment(ctx, tx, environment.String())
		return orNotFound(err, errEnvironmentNotFound)
	})
	return e, err
}

// Environments lists the environments of the scope, and gives the token of the next
// page.
func (c *Commands) Environments(ctx context.Context, in scope.Scope, asked filter.Request) ([]store.Environment, string, error) {
	return list(ctx, c.db, in, store.EnvironmentList, asked, func(ctx context.Context, tx *postgres.Tx, page *filter.Query) ([]store.Environment, string, error) {
		return store.ListEnvironments(ctx, tx, in.OrganizationID, page)
	})
}

// owner is the environment that something new belongs to: the one named, if it
// is within the scope, or else the scope itself. Empty is the organization.
func (t *transaction) owner(ctx context.Context, environmentID string) (string, error) {
	if environmentID == "" {
		return t.environment, nil
	}
	return environmentID, t.checkEnvironment(ctx, "environment_id", environmentID)
}

// What there are quotas of here.
var (
	quotaUsers = quota.Kind{
		Name: "users", Limit: (*identityv1.EnvironmentQuotas).GetUsers,
		Count:    `select count(*) from users where environment_id = $1 and state <> 'removed'`,
		CountAll: `select count(*) from users where organization_id = $1 and state <> 'removed'`,
	}
	quotaSources = quota.Kind{
		Name: "sources", Limit: (*identityv1.EnvironmentQuotas).GetSources,
		Count:    `select count(*) from source where environment_id = $1 and delete_time is null`,
		CountAll: `select count(*) from source where organization_id = $1 and delete_time is null`,
	}
)

// checkQuota refuses one more of a kind if the organization, or the environment, empty
// for none, may not have it.
func (t *transaction) checkQuota(ctx context.Context, k quota.Kind, environmentID string) error {
	if err := k.CheckOrganization(ctx, t.Tx, t.quotas, t.organization, 1); err != nil {
		return err
	}
	environment, err := uuid.Parse(environmentID)
	if err != nil || environment == uuid.Nil {
		return nil // the organization
	}
	e, err := store.GetEnvironment(ctx, t.Tx, environmentID)
	if err != nil {
		return orNotFound(err, errEnvironmentNotFound)
	}
	return k.Check(ctx, t.Tx, environment, convert.Environment(e).GetQuotas(), 1)
}

// checkEnvironment refuses an environment that is not within the scope, as if it
// did not exist.
func (t *transaction) checkEnvironment(ctx context.Context, field, environmentID string) error {
	_, err := store.GetEnvironment(ctx, t.Tx, environmentID)
	return orNotFound(err, errEnvironmentNotFound.WithField(field, "ENVIRONMENT_NOT_FOUND", "there is no such environment"))
}
