package command

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/store"
)

// Deletion says of what is to be deleted which version is meant, any if ETag is
// empty, and whether the access that people have goes with it.
type Deletion struct {
	ETag      string
	EndAccess bool
}

// DeleteApp deletes an app of the caller's scope. Nothing is requested in it from
// then on, what is open is cancelled, and provisioning revokes what is held: it does
// so for what it is told to give later, too.
func (c *Commands) DeleteApp(ctx context.Context, by authz.Caller, app uuid.UUID, d Deletion) (a store.App, err error) {
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if a, err = ownedApp(ctx, tx, by, app); err != nil {
			return err
		}
		if err := store.LockApp(ctx, tx, app); err != nil {
			return deletedMeanwhile(err)
		}
		if a, err = store.LoadApp(ctx, tx, by.EnvironmentID, nil, app); err != nil { // as it is behind the lock
			return public(err)
		}
		if err := resource.CheckETag(d.ETag, convert.App(a).GetEtag()); err != nil {
			return err
		}
		now := notBefore(c.Clock.Now(), a.UpdateTime)
		if err := c.endUse(ctx, tx, by, use{app: a, reason: "the app " + a.Name + " was deleted", inUse: "APP_IN_USE"}, d.EndAccess, now); err != nil {
			return err
		}
		if err := c.leaveNoneBehind(ctx, tx, by, a, d.EndAccess, now); err != nil {
			return err
		}
		if err := c.closeConversations(ctx, tx, event.CallerActor(by), a.ID, uuid.Nil, "the app "+a.Name+" was deleted", now); err != nil {
			return err
		}
		a.UpdateTime, a.DeleteTime = now, &now
		a.Version++
		if err := store.DeleteApp(ctx, tx, a); err != nil {
			return err
		}
		return c.Events.Add(ctx, tx, convert.AppDeleted(event.CallerActor(by), a))
	})
	return a, err
}

// leaveNoneBehind has the apps that sit behind one that is being deleted sit behind none, or
// refuses to delete it.
func (c *Commands) leaveNoneBehind(ctx context.Context, tx *postgres.Tx, by authz.Caller, a store.App, endAccess bool, now time.Time) error {
	behind, err := store.LockAppsBehind(ctx, tx, a.ID)
	if err != nil || len(behind) == 0 {
		return err
	}
	if !endAccess {
		return inUse("APP_IN_USE", store.Use{}, "other apps sit behind it; set end_access to have them sit behind none").
			With("apps_behind", strconv.Itoa(len(behind)))
	}
	events := make([]outbox.Event, 0, len(behind))
	for _, b := range behind {
		b.SSOAppID, b.UpdateTime = uuid.NullUUID{}, notBefore(now, b.UpdateTime)
		b.Version++
		if err := store.UpdateApp(ctx, tx, b); err != nil {
			return err
		}
		events = append(events, convert.AppUpdated(event.CallerActor(by), b, []string{"sso_app_id"}))
	}
	return c.Events.Add(ctx, tx, events...)
}

// DeleteEntitlement deletes an entitlement of an app of the caller's scope, as
// DeleteApp does with all of them.
func (c *Commands) DeleteEntitlement(ctx context.Context, by authz.Caller, app, entitlement uuid.UUID, d Deletion) error {
	return c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		of, e, err := lockEntitlement(ctx, tx, by, app, entitlement)
		if err != nil {
			return err
		}
		if err := resource.CheckETag(d.ETag, convert.Entitlement(e).GetEtag()); err != nil {
			return err
		}
		if e.Kind == "account" {
			return apierr.Precondition("ACCOUNT_ENTITLEMENT", "an account goes with its app alone")
		}
		now := c.Clock.Now()
		u := use{app: of, entitlement: convert.Nullable(e.ID), reason: of.Name + ": " + e.Name + " was deleted", inUse: "ENTITLEMENT_IN_USE"}
		if err := c.endUse(ctx, tx, by, u, d.EndAccess, now); err != nil {
			return err
		}
		e.DeleteTime = &now
		e.Version++
		if err := store.UpdateEntitlement(ctx, tx, e); err != nil {
			return err
		}
		return c.Events.Add(ctx, tx, convert.EntitlementDeleted(event.CallerActor(by), of, e))
	})
}

// use is an app, or one of its entitlements, that is being deleted.
type use struct {
	app           store.App
	entitlement   uuid.NullUUID
	reason, inUse string
}

// endUse refuses to delete what is used, or else has the open requests for it
// cancelled. A request is cancelled as a whole: what else it asks for can be asked
// for again. The transaction sees the whole organization from here on.
func (c *Commands) endUse(ctx context.Context, tx *postgres.Tx, by authz.Caller, u use, endAccess bool, now time.Time) error {
	// Whoever uses it may be of any environment.
	if err := tx.Widen(ctx); err != nil {
		return err
	}
	if !endAccess {
		found, err := store.UseOf(ctx, tx, u.app.ID, u.entitlement)
		if err != nil || found.None() {
			return err
		}
		return inUse(u.inUse, found, "somebody holds or has requested something; set end_access to end that")
	}
	open, err := store.LockOpenFor(ctx, tx, u.app.ID, u.entitlement)
	if err != nil || len(open) == 0 {
		return err
	}
	changes := store.NewChanges(by.OrganizationID)
	for _, r := range open {
		requestCancellation(changes, r, event.CallerActor(by), store.Closing{Reason: u.reason}, notBefore(now, r.UpdateTime))
	}
	return changes.SaveLater(ctx, tx, c.Events)
}

// inUse refuses what cannot be done with something of the catalog that is used.
func inUse(reason string, found store.Use, why string) *apierr.Error {
	return apierr.Precondition(reason, "it is used: %s", why).
		With("grants", strconv.Itoa(found.Grants)).With("open_requests", strconv.Itoa(found.Requests))
}

// ownedApp gives an app that the caller may change.
func ownedApp(ctx context.Context, tx *postgres.Tx, by authz.Caller, app uuid.UUID) (store.App, error) {
	a, err := store.LoadApp(ctx, tx, by.EnvironmentID, nil, app)
	if err != nil {
		return a, public(err)
	}
	if !by.Scope().Owns(a.EnvironmentID) {
		return a, errAppOfOrganization
	}
	return a, nil
}

// deletedMeanwhile is the public error of an app that was there a moment ago.
func deletedMeanwhile(err error) error {
	if errors.Is(err, store.ErrAppChanged) {
		return public(store.ErrAppNotFound)
	}
	return err
}
