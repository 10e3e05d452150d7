package command

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/scim"
	"gatehouse.dev/services/identity-sync/internal/secret"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// Directory is what the SCIM handler works on: the users and groups of one
// source at a time.
type Directory struct{ *Commands }

var _ scim.Directory = Directory{}

// Authenticate gives the source that a bearer token is of, and records at most
// once a minute that the source was seen.
func (d Directory) Authenticate(ctx context.Context, token string) (src scim.Source, err error) {
	kind, hash, ok := secret.Parse(token)
	if !ok || kind != secret.Source {
		d.RefusedUnknown(ctx, ErrTokenInvalid)
		return scim.Source{}, ErrTokenInvalid
	}
	err = d.db.AsSystem(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		tx.Relaxed() // it may be recorded again
		src.ID, src.OrganizationID, src.EnvironmentID, err = store.AuthenticateSource(ctx, tx, hash[:], d.clock.Now())
		return orNotFound(err, ErrTokenInvalid)
	})
	if errors.Is(err, ErrTokenInvalid) {
		err = d.Refused(ctx, kind, hash)
	}
	return src, err
}

// environmentOf is the environment of a source's users; empty for the
// organization itself.
func environmentOf(src scim.Source) string {
	if src.EnvironmentID == uuid.Nil {
		return ""
	}
	return src.EnvironmentID.String()
}

// Limits of what indexes and events can hold.
const (
	maxKey  = 512  // characters of what users are found by
	maxText = 1000 // characters of what is shown
)

// profile takes from a SCIM user what Gatehouse knows of a user, without the
// manager.
func profile(in scim.User) (lifecycle.Profile, error) {
	p := lifecycle.Profile{
		ExternalID: in.ExternalID, UserName: in.UserName, DisplayName: in.FullName(), GivenName: in.Name.Given, FamilyName: in.Name.Family,
		Email: in.Email(), Title: in.Title, Department: in.Enterprise.Department,
	}
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"externalId", p.ExternalID, maxKey},
		{"userName", p.UserName, maxKey},
		{"manager", in.Enterprise.Manager, maxKey},
		{"displayName", p.DisplayName, maxText},
		{"name.givenName", p.GivenName, maxText},
		{"name.familyName", p.FamilyName, maxText},
		{"emails", p.Email, maxText},
		{"title", p.Title, maxText},
		{"department", p.Department, maxText},
	} {
		if utf8.RuneCountInString(f.value) > f.max {
			return lifecycle.Profile{}, tooLong(f.name, f.max)
		}
	}
	return p, nil
}

func tooLong(name string, most int) error {
	return apierr.InvalidField(name, "TOO_LONG", "%s is longer than %d characters", name, most)
}

func emails(in scim.User) []string {
	out := make([]string, len(in.Emails))
	for i, e := range in.Emails {
		out[i] = e.Value
	}
	return out
}

// CreateUser creates a user, or has one join again who was removed and is the only
// one with the same externalId or, where one of the two has none, the same userName.
func (d Directory) CreateUser(ctx context.Context, src scim.Source, in scim.User) (scim.User, error) {
	p, err := profile(in)
	if err != nil {
		return scim.User{}, err
	}
	if err := checkUserName("userName", p.UserName); err != nil {
		return scim.User{}, err
	}
	var u store.User
	err = d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		p := p
		arrival, err := store.LoadArrival(ctx, tx.Tx, store.ManagerQuery{Source: src.ID, Ref: in.Enterprise.Manager}, p.UserName, p.ExternalID)
		if err != nil {
			return orNotFound(err, ErrTokenInvalid)
		}
		tx.actor, p.ManagerID = event.SourceActor(src.ID, arrival.SourceName), arrival.ManagerID
		if err := tx.checkQuota(ctx, quotaUsers, environmentOf(src)); err != nil {
			return err
		}
		var o lifecycle.Outcome
		save := store.InsertUser
		if arrival.Removed == nil {
			u = store.User{ID: id.New(), OrganizationID: src.OrganizationID, SourceID: src.ID.String(), Kind: store.Employee, CreateTime: tx.now}
			o = lifecycle.Join(p, environmentOf(src), lifecycle.Member, in.Active)
		} else {
			u, save = *arrival.Removed, store.UpdateUser
			if o, err = lifecycle.Rejoin(u.User, p, in.Active); err != nil {
				return err
			}
		}
		u.User, u.ManagerRef, u.Attributes, u.UpdateTime = o.User, in.Enterprise.Manager, in.Attributes, tx.now
		tx.emitUser(u, o)
		if err := save(ctx, tx.Tx, u, emails(in)); err != nil {
			return err
		}
		if err := tx.assignManager(ctx, src.ID, u); err != nil {
			return err
		}
		return tx.scheduleRemoval(ctx, u, o.Before.State)
	})
	return u.SCIM(), d.whoHas(ctx, src, p.UserName, err)
}

// assignManager makes a user the manager of the users whose source named them
// before they were there.
func (t *transaction) assignManager(ctx context.Context, source uuid.UUID, u store.User) error {
	reports, err := store.AssignManager(ctx, t.Tx, source, u, t.now)
	for _, r := range reports {
		t.emitUser(r, lifecycle.Outcome{Before: r.User, User: r.User, Events: []lifecycle.Event{
			{Name: lifecycle.UserUpdated, Version: r.Version, Changed: []string{"manager_id"}},
		}})
	}
	return err
}

// GetUser gives a user of the source; related: with their groups.
func (d Directory) GetUser(ctx context.Context, src scim.Source, userID string, related bool) (u scim.User, err error) {
	uid, ok := store.ParseID(userID)
	if !ok {
		return u, errUserNotFound
	}
	err = d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		u, err = store.GetUserOfSource(ctx, tx, src.ID, uid, related)
		return orNotFound(err, errUserNotFound)
	})
	return u, err
}

// UpdateUser changes a user of the source. Who was removed for being suspended for too
// long joins again when switched on.
func (d Directory) UpdateUser(ctx context.Context, src scim.Source, userID string, change func(scim.User) (scim.User, bool, error)) (scim.User, error) {
	uid, ok := store.ParseID(userID)
	if !ok {
		return scim.User{}, errUserNotFound
	}
	var u store.User
	var userName string
	err := d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, tx *transaction) (err error) {
		if u, err = tx.lockUser(ctx, src, uid); err != nil {
			return err
		}
		next, changed, err := change(u.SCIM())
		if err != nil || !changed {
			return err
		}
		p, err := profile(next)
		if err != nil {
			return err
		}
		userName = p.UserName
		if p.UserName != u.UserName { // one from before may stay
			if err := checkUserName("userName", p.UserName); err != nil {
				return err
			}
		}
		p.ManagerID = u.ManagerID
		if next.Enterprise.Manager != u.ManagerRef {
			if p.ManagerID, err = store.FindManager(ctx, tx.Tx, store.ManagerQuery{Source: src.ID, Ref: next.Enterprise.Manager}); err != nil {
				return err
			}
		}
		o, err := lifecycle.Update(u.User, p, next.Active, true)
		if err != nil {
			return err
		}
		if err := tx.keepAdmin(ctx, uid, o); err != nil {
			return err
		}
		back := o.Before.State == lifecycle.Removed && o.User.State != lifecycle.Removed
		if back {
			if err := tx.checkQuota(ctx, quotaUsers, u.EnvironmentID); err != nil {
				return err
			}
		}
		u.User, u.ManagerRef, u.Attributes, u.UpdateTime = o.User, next.Enterprise.Manager, next.Attributes, tx.now
		tx.emitUser(u, o)
		if err := store.UpdateUser(ctx, tx.Tx, u, emails(next)); err != nil {
			return err
		}
		if o.EndSessions {
			if err := store.DeleteSessionsOfUser(ctx, tx.Tx, uid); err != nil {
				return err
			}
			if err := tx.removeAccountedFor(ctx, uid); err != nil {
				return err
			}
			if err := tx.revokeOfFormerAdmin(ctx, uid, o); err != nil {
				return err
			}
		}
		if back || o.User.State != lifecycle.Removed && (o.Before.UserName != o.User.UserName || o.Before.ExternalID != o.User.ExternalID) {
			if err := tx.assignManager(ctx, src.ID, u); err != nil {
				return err
			}
		}
		if o.Before.State == o.User.State {
			return nil
		}
		return tx.scheduleRemoval(ctx, u, o.Before.State)
	})
	return u.SCIM(), d.whoHas(ctx, src, userName, err)
}

// DeleteUser removes a user from the directory: out of all groups, with all
// sessions and tokens ended. The row stays. Who was removed for being suspended for too
// long is gone for the source as well then, and does not come back by an update.
func (d Directory) DeleteUser(ctx context.Context, src scim.Source, userID string, allow func(version int64) error) error {
	uid, ok := store.ParseID(userID)
	if !ok {
		return errUserNotFound
	}
	return d.change(ctx, scope.Organization(src.OrganizationID), nil, func(ctx context.Context, tx *transaction) error {
		u, err := tx.lockUser(ctx, src, uid)
		if err != nil {
			return err
		}
		if err := allow(u.SCIM().Version); err != nil {
			return err
		}
		if u.State == lifecycle.Removed {
			return store.ForgetTimedOut(ctx, tx.Tx, uid)
		}
		_, err = tx.remove(ctx, u)
		return err
	})
}

// lockUser reads a user of the source that nobody else changes until the end of
// the transaction; the source is the actor.
func (t *transaction) lockUser(ctx context.Context, src scim.Source, user uuid.UUID) (store.User, error) {
	u, name, err := store.LockUserOfSource(ctx, t.Tx, src.ID, user)
	t.actor = event.SourceActor(src.ID, name)
	return u, orNotFound(err, errUserNotFound)
}

// ListUsers lists users of the source.
func (d Directory) ListUsers(ctx context.Context, src scim.Source, q scim.Query[scim.User]) (p scim.Page[scim.User], err error) {
	err = d.db.InOrganizationRead(ctx, src.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		p, err = store.QueryUsers(ctx, tx, src.ID, q)
		return err
	})
	return p, err
}
