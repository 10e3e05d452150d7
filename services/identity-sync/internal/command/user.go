package command

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// EndUser is the kind of due item that removes a service or an agent at its end.
const EndUser = "user_end"

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
	err := c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) error {
		if !in.EndTime.After(tx.now) {
			return apierr.InvalidField("end_time", "END_TIME_PAST", "the end must be in the future")
		}
		environment, err := tx.owner(ctx, in.EnvironmentID)
		if err != nil {
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
		return c.due.Add(tx.Tx, due.Item{Kind: EndUser, Key: u.ID, OrganizationID: tx.organization, Time: in.EndTime})
	})
	return u, err
}

// EndUsers removes services and agents whose end has come. It is the handler of
// EndUser.
func (c *Commands) EndUsers(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		t := &transaction{Tx: tx, organization: i.OrganizationID, actor: event.SystemActor("identity-sync"), now: c.clock.Now()}
		u, err := store.LockUserUnlessRemoved(ctx, tx, i.Key)
		switch {
		case errors.Is(err, store.ErrNotFound) || err == nil && (u.EndTime == nil || u.EndTime.After(t.now)):
			continue
		case err != nil:
			return err
		}
		if err := t.remove(ctx, u); err != nil {
			return err
		}
		if err := c.events.Add(ctx, tx, t.events...); err != nil {
			return err
		}
	}
	return nil
}

// removeAccountedFor removes the services and agents that a user, who is
// suspended or leaves, is accountable for.
func (t *transaction) removeAccountedFor(ctx context.Context, user uuid.UUID) error {
	users, err := store.LockAccountedFor(ctx, t.Tx, user)
	if err != nil {
		return err
	}
	for _, u := range users {
		if err := t.remove(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a locked user: sessions, tokens and memberships end, and with
// them what the user is accountable for.
func (t *transaction) remove(ctx context.Context, u store.User) error {
	o, err := lifecycle.Remove(u.User)
	if err != nil {
		return err
	}
	if err := t.keepAdmin(ctx, u.ID, o); err != nil {
		return err
	}
	u.User, u.UpdateTime = o.User, t.now
	t.emitUser(u, o)
	if err := store.UpdateUserState(ctx, t.Tx, u); err != nil {
		return err
	}
	groups, err := store.LeaveGroups(ctx, t.Tx, u.ID, t.now)
	if err != nil {
		return err
	}
	for _, g := range groups {
		g.Version, g.MemberCount = g.Version-1, g.MemberCount+1 // as before, as emitMembers counts
		t.emitMembers(&g, []store.Person{{ID: u.ID, Name: u.DisplayName, Email: u.Email}}, nil)
	}
	revoked, err := store.RevokeAPITokensOfUser(ctx, t.Tx, u.ID, t.now)
	if err != nil {
		return err
	}
	t.emitRevoked(revoked)
	if err := store.DeleteSessionsOfUser(ctx, t.Tx, u.ID); err != nil {
		return err
	}
	return t.removeAccountedFor(ctx, u.ID)
}

// keepAdmin refuses to take the last active admin away.
func (t *transaction) keepAdmin(ctx context.Context, user uuid.UUID, o lifecycle.Outcome) error {
	if !o.LosesAdmin() {
		return nil
	}
	others, err := store.OtherAdmins(ctx, t.Tx, t.organization, user)
	if err != nil {
		return err
	}
	return lifecycle.KeepAdmin(o, others)
}

// SetRole changes what a user may do in Gatehouse, and in which environment;
// empty is all that the user belongs to.
func (c *Commands) SetRole(ctx context.Context, caller authz.Caller, user uuid.UUID, role lifecycle.Role, environmentID string) (u store.User, err error) {
	err = c.change(ctx, caller.Scope(), event.CallerActor(caller), func(ctx context.Context, tx *transaction) (err error) {
		if u, err = store.LockUser(ctx, tx.Tx, user); err != nil {
			return orNotFound(err, errUserNotFound)
		}
		if environmentID != "" {
			if err := tx.checkEnvironment(ctx, "role_environment_id", environmentID); err != nil {
				return err
			}
		}
		o, err := lifecycle.SetRole(u.User, role, environmentID)
		if err != nil || !o.Changed() {
			return err
		}
		if err := tx.keepAdmin(ctx, user, o); err != nil {
			return err
		}
		u.User, u.UpdateTime = o.User, tx.now
		tx.emitUser(u, o)
		return store.UpdateUserState(ctx, tx.Tx, u)
	})
	return u, err
}

// User gives a user of the scope.
func (c *Commands) User(ctx context.Context, in scope.Scope, user uuid.UUID) (u store.User, err error) {
	err = c.db.InRead(ctx, in, func(ctx context.Context, tx *postgres.Tx) (err error) {
		u, err = store.GetUser(ctx, tx, user)
		return orNotFound(err, errUserNotFound)
	})
	return u, err
}

// UserAndOrganization gives a user with the organization, wherever the user's
// role is held.
func (c *Commands) UserAndOrganization(ctx context.Context, organization, user uuid.UUID) (u store.User, o store.Organization, err error) {
	err = c.db.InOrganizationRead(ctx, organization, func(ctx context.Context, tx *postgres.Tx) (err error) {
		u, o, err = store.GetUserAndOrganization(ctx, tx, user)
		return orNotFound(err, errUserNotFound)
	})
	return u, o, err
}

// Users lists users of the scope by display name, those that contain text and
// have the state, a word of UserState or empty for all but removed. It gives the
// token of the next page.
func (c *Commands) Users(ctx context.Context, in scope.Scope, text, state string, size int, token string) ([]store.User, string, error) {
	f := store.UserFilter{OrganizationID: in.OrganizationID, Text: text, State: state}
	return list(ctx, c.db, in, token, size, func(ctx context.Context, tx *postgres.Tx, after *store.TextPlace, limit int) ([]store.User, error) {
		return store.ListUsers(ctx, tx, f, after, limit)
	}, userKey)
}

func userKey(u store.User) (string, uuid.UUID) { return u.NameKey, u.ID }

// Groups lists groups of the scope by display name, those that contain text, and
// gives the token of the next page.
func (c *Commands) Groups(ctx context.Context, in scope.Scope, text string, size int, token string) ([]store.Group, string, error) {
	return list(ctx, c.db, in, token, size, func(ctx context.Context, tx *postgres.Tx, after *store.TextPlace, limit int) ([]store.Group, error) {
		return store.ListGroups(ctx, tx, in.OrganizationID, text, after, limit)
	}, func(g store.Group) (string, uuid.UUID) { return g.NameKey, g.ID })
}

// GroupMembers lists the members of a group by display name, and gives the token
// of the next page.
func (c *Commands) GroupMembers(ctx context.Context, in scope.Scope, group uuid.UUID, size int, token string) ([]store.User, string, error) {
	return list(ctx, c.db, in, token, size, func(ctx context.Context, tx *postgres.Tx, after *store.TextPlace, limit int) ([]store.User, error) {
		members, err := store.ListGroupMembers(ctx, tx, group, after, limit)
		if err == nil && len(members) == 0 { // no members, or no group
			_, err = store.GetGroup(ctx, tx, group)
			err = orNotFound(err, errGroupNotFound)
		}
		return members, err
	}, userKey)
}
