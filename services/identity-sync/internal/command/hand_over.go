package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/scim"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// HandOver says who is to be a source's: those named, with what the source calls
// them, or, if there are none, who passes the filter.
type HandOver struct {
	Users   []UserHandOver
	Filter  filter.Request
	Preview bool
}

// UserHandOver is somebody named.
type UserHandOver struct {
	UserID     uuid.UUID
	ExternalID string
}

// HandOverUsers gives people whom no source owns to a source, and gives them as they
// are then. more says that others pass the filter. If it is a preview, nothing changes.
func (c *Commands) HandOverUsers(ctx context.Context, caller authz.Caller, source uuid.UUID, in HandOver) (users []store.User, more bool, err error) {
	page, err := store.UserList.Parse(in.Filter)
	if err != nil {
		return nil, false, err
	}
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		src, err := store.LockSource(ctx, tx.Tx, source)
		if err != nil {
			return orNotFound(err, errSourceNotFound)
		}
		externalIDs := map[uuid.UUID]string{}
		if len(in.Users) == 0 {
			if users, more, err = store.LockUnowned(ctx, tx.Tx, tx.organization, src.EnvironmentID, page); err != nil {
				return err
			}
		} else if users, err = tx.lockHandedOver(ctx, src, in.Users, externalIDs); err != nil {
			return err
		}
		for i := range users {
			if err := tx.handOver(ctx, &users[i], src, externalIDs[users[i].ID], in.Preview); err != nil {
				return err
			}
		}
		return nil
	})
	return users, more, err
}

// lockHandedOver locks those named, in the order of their ids, and refuses who does not
// fit.
func (t *transaction) lockHandedOver(ctx context.Context, src store.Source, named []UserHandOver, externalIDs map[uuid.UUID]string) ([]store.User, error) {
	ids := make([]uuid.UUID, len(named))
	for i, n := range named {
		if _, twice := externalIDs[n.UserID]; twice {
			return nil, apierr.InvalidField(fmt.Sprintf("users[%d].user_id", i), "USER_TWICE", "the user is named twice")
		}
		ids[i], externalIDs[n.UserID] = n.UserID, n.ExternalID
	}
	users, err := store.LockUsers(ctx, t.Tx, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]store.User, len(users))
	for _, u := range users {
		found[u.ID] = u
	}
	for i, n := range named {
		u, ok := found[n.UserID]
		if err := fitsSource(fmt.Sprintf("users[%d].user_id", i), u, ok, src); err != nil {
			return nil, err
		}
	}
	return users, nil
}

func fitsSource(field string, u store.User, found bool, src store.Source) error {
	switch {
	case !found:
		return apierr.InvalidField(field, "USER_NOT_FOUND", "there is no such user")
	case u.State == lifecycle.Removed:
		return apierr.InvalidField(field, "USER_REMOVED", "the user has been removed")
	case u.SourceID != "":
		return apierr.InvalidField(field, "USER_OF_SOURCE", "a source owns the user")
	case u.Kind != store.Employee && u.Kind != store.External:
		return apierr.InvalidField(field, "NOT_A_PERSON", "a service or an agent is no source's")
	case u.EnvironmentID != src.EnvironmentID:
		return apierr.InvalidField(field, "ENVIRONMENT_DIFFERS", "the people of the source belong to another environment, or to the organization")
	}
	return nil
}

// handOver makes a locked user the source's.
func (t *transaction) handOver(ctx context.Context, u *store.User, src store.Source, externalID string, preview bool) error {
	o, err := lifecycle.HandOver(u.User, externalID)
	if err != nil {
		return err
	}
	u.User, u.SourceID, u.ManagerRef, u.UpdateTime = o.User, src.ID.String(), "", t.now
	if preview {
		return nil
	}
	if u.Attributes, err = scim.Describe(describe(*u)); err != nil {
		return err
	}
	t.emitUser(*u, o)
	return store.HandOverUser(ctx, t.Tx, *u)
}

// describe is a user as a source would have sent them.
func describe(u store.User) scim.User {
	out := scim.User{
		ExternalID: u.ExternalID, UserName: u.UserName, DisplayName: u.DisplayName, Title: u.Title, Active: u.State == lifecycle.Active,
		Name: scim.Name{Given: u.GivenName, Family: u.FamilyName}, Enterprise: scim.Enterprise{Department: u.Department},
	}
	if u.Email != "" {
		out.Emails = []scim.Value{{Value: u.Email, Type: "work", Primary: true}}
	}
	return out
}

// whoHas says of a userName that is taken what can be done about it.
func (d Directory) whoHas(ctx context.Context, src scim.Source, userName string, taken error) error {
	if !apierr.HasReason(taken, errUserNameTaken.Reason) {
		return taken
	}
	var source string
	err := d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		source, err = store.SourceOfUserName(ctx, tx, src.OrganizationID, environmentOf(src), userName)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return taken
	case err != nil:
		return err
	case source == "":
		return errUserNameUnowned.Wrap(taken)
	case source != src.ID.String():
		return errUserNameElsewhere.Wrap(taken)
	}
	return taken
}
