package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/store"
)

// reconcileAccounts makes up for what has happened to the person or the app: the
// grants of somebody who has left, and of what was deleted, end, the app's present settings are
// followed, and a changed profile or manager is brought into the account.
func (e *Engine) reconcileAccounts(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	keys, err := store.KeysOfAccounts(ctx, tx, itemKeys(items))
	if err != nil {
		return err
	}
	return e.change(ctx, tx, items[0].OrganizationID, keys, (*changeset).endGone)
}

// endGone ends the grants of somebody who has left, or had left and come back, and
// those of what was deleted.
func (cs *changeset) endGone(s *store.Assignment) {
	for _, g := range s.Grants {
		if why := gone(s, g); why != "" && g.State.Live() {
			cs.end(s, g, why, uuid.NullUUID{})
		}
	}
}

// gone is why a grant cannot be: its person, app or entitlement is gone; empty if
// none is.
func gone(s *store.Assignment, g *store.Grant) string {
	switch {
	case s.Person.Removed || g.JoinCount < s.Person.JoinCount:
		return "user_removed"
	case s.App.Removed:
		return "app_deleted"
	case s.Entitlements[g.EntitlementID].Removed:
		return "entitlement_deleted"
	}
	return ""
}

// checkAppSettings has accounts reconciled that were last reconciled under an
// older version of their app. It looks again until there are none.
func (e *Engine) checkAppSettings(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		n, err := store.ReconcileLate(ctx, tx, dueReconcile, []uuid.UUID{i.Key}, e.clock.Now())
		if err != nil {
			return err
		}
		if n > 0 {
			if err := e.checkSettingsLater(tx, i.OrganizationID, i.Key); err != nil {
				return err
			}
		}
	}
	tx.AfterCommit(e.due.Wake)
	return nil
}

func (e *Engine) checkSettingsLater(tx *postgres.Tx, org, app uuid.UUID) error {
	return e.due.Add(tx, due.Item{Kind: dueAppSettings, Key: app, OrganizationID: org, Time: e.clock.Now().Add(e.timing.SettingsCheck)})
}

// reconcileReports has the accounts of those who report to somebody reconciled, each by
// itself, where somebody's own account has become known or is not known any more.
func (e *Engine) reconcileReports(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	tx.AfterCommit(e.due.Wake)
	return store.ReconcileReports(ctx, tx, dueReconcile, postgres.Column(items, func(i due.Item) uuid.UUID { return i.Key }), e.clock.Now())
}

// reconcileManaged has the accounts of users reconciled whose manager has changed.
func (e *Engine) reconcileManaged(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	tx.AfterCommit(e.due.Wake)
	return store.ReconcileManaged(ctx, tx, dueReconcile, postgres.Column(items, func(i due.Item) uuid.UUID { return i.Key }), e.clock.Now())
}

// change loads assignments, changes and reconciles them, and saves them.
func (e *Engine) change(ctx context.Context, tx *postgres.Tx, org uuid.UUID, keys []store.Key, change func(*changeset, *store.Assignment)) error {
	if len(keys) == 0 {
		return nil
	}
	cs := e.begin(tx, org, system())
	if _, err := cs.load(ctx, store.Query{Keys: keys}); err != nil {
		return err
	}
	for _, s := range cs.assignments {
		change(cs, s)
		cs.reconcile(s)
	}
	return cs.save(ctx)
}
