package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Organization gives an organization.
func (c *Commands) Organization(ctx context.Context, organization uuid.UUID) (o store.Organization, err error) {
	err = c.db.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
		o, err = store.GetOrganization(ctx, tx, organization)
		return orNotFound(err, errOrganizationNotFound)
	})
	return o, err
}

// OrganizationSettings are what people change of an organization.
type OrganizationSettings struct {
	Name, SignInName string
	// RemoveSuspendedAfterDays is how long people may be suspended before they are
	// removed; 0: for ever.
	RemoveSuspendedAfterDays int32
}

// UpdateOrganization changes the caller's organization. change gives what it is to be.
func (c *Commands) UpdateOrganization(ctx context.Context, caller authz.Caller, change func(store.Organization) (OrganizationSettings, error)) (o store.Organization, err error) {
	if !caller.Scope().Whole() {
		return o, errWholeOrganization
	}
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if o, err = store.LockOrganization(ctx, tx.Tx, caller.OrganizationID); err != nil {
			return orNotFound(err, errOrganizationNotFound)
		}
		settings, err := change(o)
		if err != nil {
			return err
		}
		before, changed := o, []string(nil)
		if o.Name = settings.Name; o.Name != before.Name {
			changed = append(changed, "name")
		}
		if o.SignInName = foldSignInName(settings.SignInName); o.SignInName != before.SignInName {
			if !validSignInName.MatchString(o.SignInName) {
				return errSignInNameInvalid
			}
			changed = append(changed, "sign_in_name")
		}
		if o.RemoveSuspendedAfterDays = settings.RemoveSuspendedAfterDays; o.RemoveSuspendedAfterDays != before.RemoveSuspendedAfterDays {
			changed = append(changed, "remove_suspended_after")
			if err := store.RescheduleRemovals(ctx, tx.Tx, o, EndSuspendedUser, tx.now); err != nil {
				return err
			}
			tx.AfterCommit(c.due.Wake)
		}
		if len(changed) == 0 {
			return nil
		}
		o.Version++
		tx.emit(o.ID, &eventv1.OrganizationUpdated{
			Context: tx.about("", o.Version), Organization: convert.Organization(o), Previous: convert.Organization(before), ChangedFields: changed,
		})
		return store.UpdateOrganization(ctx, tx.Tx, o)
	})
	return o, err
}
