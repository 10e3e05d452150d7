package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
)

// EndUser is the kind of due item that removes a service or an agent at its end.
const EndUser = "user_end"

// NewUser is a service or an agent to make.
type NewUser struct {
	Kind                  string // service or agent
	UserName, DisplayName string
	AccountableUserID     uuid.UUID
	Purpose               string
	EndTime               time.Time
	EnvironmentID         string // empty is the caller's scope
}

var errAccountableUser = apierr.InvalidField("accountable_user_id", "ACCOUNTABLE_USER_UNFIT",
	"the accountable user must be an active employee or external of the same environment or of the organization")

// CreateUser makes a service or an agent, and has it removed at its end.
func (s *Store) CreateUser(ctx context.Context, caller authz.Caller, in NewUser) (User, error) {
	var u User
	err := s.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, w *write) error {
		if !in.EndTime.After(w.now) {
			return apierr.InvalidField("end_time", "END_TIME_PAST", "the end must be in the future")
		}
		environment, err := w.owner(ctx, in.EnvironmentID)
		if err != nil {
			return err
		}
		// The accountable person may be one of the organization's own.
		if err := w.Widen(ctx); err != nil {
			return err
		}
		var fit bool
		err = w.QueryRow(ctx, `
			select exists (
				select from users u where u.id = $1 and u.state = 'active' and u.kind in ('employee', 'external')
				  and (u.environment_id = $2 or u.environment_id = '00000000-0000-0000-0000-000000000000')
				for key share)`, in.AccountableUserID, ownerID(environment)).Scan(&fit)
		if err != nil {
			return fmt.Errorf("look for accountable user: %w", err)
		}
		if !fit {
			return errAccountableUser
		}
		o := lifecycle.Come(lifecycle.Profile{UserName: in.UserName, DisplayName: in.DisplayName}, environment, lifecycle.Member, true)
		u = User{
			User: o.User, ID: id.New(), OrganizationID: w.organization, Kind: in.Kind, CreateTime: w.now, UpdateTime: w.now,
			AccountableUserID: in.AccountableUserID.String(), Purpose: in.Purpose, EndTime: &in.EndTime,
		}
		w.tellUser(u, o)
		if err := w.insertUser(ctx, u, nil); err != nil {
			return err
		}
		return s.due.Add(w.Tx, due.Item{Kind: EndUser, Key: u.ID, OrganizationID: w.organization, Time: in.EndTime})
	})
	return u, err
}

// EndUsers removes services and agents whose end has come. It is the handler of
// EndUser.
func (s *Store) EndUsers(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		w := &write{Tx: tx, organization: i.OrganizationID, actor: event.SystemActor("identity-sync"), now: s.clock.Now()}
		rows, err := tx.Query(ctx, `select `+userColumns+` from users u where u.id = $1 and u.state <> 'removed' for update`, i.Key)
		var users []User
		if err == nil {
			users, err = collectUsers(rows)
		}
		if err != nil {
			return fmt.Errorf("read user %s: %w", i.Key, err)
		}
		for _, u := range users {
			if u.EndTime == nil || u.EndTime.After(w.now) {
				continue
			}
			if err := w.remove(ctx, u); err != nil {
				return err
			}
		}
		if err := s.events.Add(ctx, tx, w.events...); err != nil {
			return err
		}
	}
	return nil
}

// remove has a locked user leave: sessions, tokens and memberships end.
func (w *write) remove(ctx context.Context, u User) error {
	o, err := lifecycle.Remove(u.User)
	if err != nil {
		return err
	}
	if err := w.keepAdmin(ctx, u.ID, o); err != nil {
		return err
	}
	u.User, u.UpdateTime = o.User, w.now
	w.tellUser(u, o)
	if err := w.updateStanding(ctx, u); err != nil {
		return err
	}
	if err := w.leaveGroups(ctx, u); err != nil {
		return err
	}
	if _, err := w.revokeTokens(ctx, `user_id = $2`, u.ID); err != nil {
		return err
	}
	return w.endSessions(ctx, u.ID)
}
