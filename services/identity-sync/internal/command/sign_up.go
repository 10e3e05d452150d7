package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// SignUp is a new organization and its first admin.
type SignUp struct {
	OrganizationName, Email, DisplayName string
	// Session is the admin's.
	Session NewSession
}

// SignUp creates an organization with one environment, its first admin and a
// session for them.
func (c *Commands) SignUp(ctx context.Context, in SignUp) (store.Organization, store.User, error) {
	org := store.Organization{ID: id.New(), Name: in.OrganizationName}
	var u store.User
	err := c.change(ctx, scope.Organization(org.ID), nil, func(ctx context.Context, tx *transaction) error {
		org.CreateTime = tx.now
		o := lifecycle.Join(lifecycle.Profile{UserName: in.Email, DisplayName: in.DisplayName, Email: in.Email}, "", lifecycle.Admin, true)
		u = store.User{
			User: o.User, ID: id.New(), OrganizationID: org.ID, Kind: store.Employee, CreateTime: tx.now, UpdateTime: tx.now,
		}
		first := store.Environment{ID: id.New(), OrganizationID: org.ID, Name: org.Name, CreateTime: tx.now, UpdateTime: tx.now, Version: 1}
		if err := store.InsertOrganization(ctx, tx.Tx, org, first); err != nil {
			return err
		}
		if err := store.InsertUser(ctx, tx.Tx, u, []string{in.Email}); err != nil {
			return err
		}
		tx.actor = event.UserActor(u.ID.String(), u.DisplayName)
		tx.emit(org.ID, &eventv1.OrganizationCreated{Context: tx.about("", 0), Organization: convert.Organization(org)})
		tx.emitEnvironment(first, true)
		tx.emitUser(u, o)
		return tx.startSession(ctx, u, in.Session)
	})
	return org, u, err
}

// Organization gives an organization.
func (c *Commands) Organization(ctx context.Context, organization uuid.UUID) (o store.Organization, err error) {
	err = c.db.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
		o, err = store.GetOrganization(ctx, tx, organization)
		return orNotFound(err, errOrganizationNotFound)
	})
	return o, err
}
