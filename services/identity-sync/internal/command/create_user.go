package command

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// NewUser is a service or an agent to be created.
type NewUser struct {
	Kind                  string // service or agent
	UserName, DisplayName string
	AccountableUserID     uuid.UUID
	Purpose               string
	EndTime               time.Time
	EnvironmentID         string // empty is the caller's scope
}

// CreateUser creates a service or an agent, and has it removed at its end.
func (c *Commands) CreateUser(ctx context.Context, caller authz.Caller, in NewUser) (store.User, error) {
	var u store.User
	if err := checkUserName("user_name", in.UserName); err != nil {
		return u, err
	}
	err := c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		if !in.EndTime.After(tx.now) {
			return apierr.InvalidField("end_time", "END_TIME_PAST", "the end must be in the future")
		}
		environment, err := tx.owner(ctx, in.EnvironmentID)
		if err != nil {
			return err
		}
		if err := tx.checkQuota(ctx, quotaUsers, environment); err != nil {
			return err
		}
		// The accountable person may be one of the organization's own.
		if err := tx.Widen(ctx); err != nil {
			return err
		}
		fit, err := store.LockAccountableUser(ctx, tx.Tx, in.AccountableUserID, environment)
		if err != nil {
			return err
		}
		if !fit {
			return errAccountableUser
		}
		o := lifecycle.Join(lifecycle.Profile{UserName: in.UserName, DisplayName: in.DisplayName}, environment, lifecycle.Member, true)
		u = store.User{
			User: o.User, ID: id.New(), OrganizationID: tx.organization, Kind: in.Kind, CreateTime: tx.now, UpdateTime: tx.now,
			AccountableUserID: in.AccountableUserID.String(), Purpose: in.Purpose, EndTime: &in.EndTime,
		}
		tx.emitUser(u, o)
		if err := store.InsertUser(ctx, tx.Tx, u, nil); err != nil {
			return err
		}
		if err := c.due.Add(tx.Tx, due.Item{Kind: EndUser, Key: u.ID, OrganizationID: tx.organization, Time: in.EndTime}); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx.Tx, &identityv1.CreateUserResponse{User: convert.User(u)})
	})
	return u, err
}
