package access

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// The kinds of due items. Each is handled by itself: a row that cannot be saved
// holds up nobody else, and is listed as late until it can be.
const (
	// dueGrantEnd is about a grant with an end, by its id: at the time of the
	// warning, and again at the end.
	dueGrantEnd = "grant_end"
	// dueReconcile is about one person in one app, by the id of the account's row:
	// the person has left, or the app's settings have changed.
	dueReconcile = "reconcile_account"
	// dueAppSettings is about an app, by its id, some time after its settings have
	// changed: accounts that a transaction wrote under the old settings while they
	// changed are found then.
	dueAppSettings = "app_settings"
)

func (e *Engine) handleDue() {
	e.due.Handle(dueGrantEnd, e.endGrants)
	e.due.Handle(dueReconcile, e.reconcileAccounts)
	e.due.Handle(dueAppSettings, e.checkAppSettings)
}

// endGrants looks at grants as they are now: those whose end has come are ended,
// of the others a warning is emitted and the end awaited.
func (e *Engine) endGrants(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	ids := itemKeys(items)
	keys, err := store.KeysOfGrants(ctx, tx, ids)
	if err != nil {
		return err
	}
	return e.change(ctx, tx, items[0].OrganizationID, keys, func(u *unit, s *store.Seat) {
		for _, g := range s.Grants {
			if _, ok := ids[g.ID]; ok {
				u.endInTime(s, g)
			}
		}
	})
}

// endInTime ends a live grant whose end has come; before that it warns of it.
func (u *unit) endInTime(s *store.Seat, g *store.Grant) {
	switch {
	case !g.State.Live() || g.Until == nil:
	case g.Until.After(u.now):
		u.awaitEnd(g, *g.Until)
		if g.State == lifecycle.InPlace {
			u.sayGrant(s, g, "expiring")
		}
	default:
		u.end(s, g, "expired", uuid.NullUUID{})
	}
}

// awaitEnd has the grant looked at again at a time.
func (u *unit) awaitEnd(g *store.Grant, at time.Time) {
	u.due = append(u.due, due.Item{Kind: dueGrantEnd, Key: g.ID, OrganizationID: u.org, Time: at})
}

// reconcileAccounts makes up for what has happened to the person or the app: the
// grants of somebody who has left end, and the app's present settings are
// followed.
func (e *Engine) reconcileAccounts(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	keys, err := store.KeysOfAccounts(ctx, tx, itemKeys(items))
	if err != nil {
		return err
	}
	return e.change(ctx, tx, items[0].OrganizationID, keys, (*unit).endOfLeaver)
}

// endOfLeaver ends the grants of somebody who has left, or had left and come
// back.
func (u *unit) endOfLeaver(s *store.Seat) {
	for _, g := range s.Grants {
		if g.State.Live() && (s.Person.Removed || g.JoinCount < s.Person.JoinCount) {
			u.end(s, g, "user_removed", uuid.NullUUID{})
		}
	}
}

// checkAppSettings has accounts reconciled that were last reconciled under older
// settings of their app. It looks again until there are none.
func (e *Engine) checkAppSettings(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		n, err := store.ReconcileApp(ctx, tx, dueReconcile, i.Key, e.clock.Now())
		if err != nil {
			return err
		}
		if n > 0 {
			if err := e.awaitSettings(tx, i.OrganizationID, i.Key); err != nil {
				return err
			}
		}
	}
	tx.AfterCommit(e.due.Wake)
	return nil
}

func (e *Engine) awaitSettings(tx *postgres.Tx, org, app uuid.UUID) error {
	return e.due.Add(tx, due.Item{Kind: dueAppSettings, Key: app, OrganizationID: org, Time: e.clock.Now().Add(e.timing.SettingsCheck)})
}

// change changes seats, settles them and saves them, in the transaction.
func (e *Engine) change(ctx context.Context, tx *postgres.Tx, org uuid.UUID, keys []store.Key, change func(*unit, *store.Seat)) error {
	if len(keys) == 0 {
		return nil
	}
	u := e.begin(tx, org, system())
	if _, err := u.lock(ctx, store.Want{Keys: keys}); err != nil {
		return err
	}
	for _, s := range u.seats {
		change(u, s)
		u.settle(s)
	}
	return u.save(ctx)
}

func itemKeys(items []due.Item) map[uuid.UUID]struct{} {
	keys := make(map[uuid.UUID]struct{}, len(items))
	for _, i := range items {
		keys[i.Key] = struct{}{}
	}
	return keys
}
