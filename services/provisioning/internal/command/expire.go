package command

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
	// dueReports is about a manager's account, by the id of its row: what is known of it
	// has changed, and the accounts of those who report to the manager name it.
	dueReports = "reports_of_account"
	// dueManaged is about a user, by their id, some time after their manager has changed:
	// a transaction may have changed the manager's account meanwhile, and have known
	// nothing of this user.
	dueManaged = "manager_changed"
	// dueListed is about one person in one app, by the id of the account's row, when a
	// removal that still waits for its turn is to be on a list.
	dueListed = "removal_listed"
	// dueChecklist is about an open checklist, by its id, when it should be done.
	dueChecklist = "checklist_due"
	// dueUndated is about a checklist, by its id, that was opened before there were dates
	// by which they should be done.
	dueUndated = "checklist_undated"
)

func (e *Engine) handleDue() {
	e.due.Handle(dueGrantEnd, e.endGrants)
	e.due.Handle(dueReconcile, e.reconcileAccounts)
	e.due.Handle(dueAppSettings, e.checkAppSettings)
	e.due.Handle(dueReports, e.reconcileReports)
	e.due.Handle(dueManaged, e.reconcileManaged)
	e.due.Handle(dueListed, e.reconcileAccounts)
	e.due.Handle(dueChecklist, e.checklistsDue)
	e.due.Handle(dueUndated, e.dateChecklists)
}

// endGrants looks at grants as they are now: those whose end has come are ended,
// of the others a warning is emitted and the end awaited.
func (e *Engine) endGrants(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	ids := itemKeys(items)
	keys, err := store.KeysOfGrants(ctx, tx, ids)
	if err != nil {
		return err
	}
	return e.change(ctx, tx, items[0].OrganizationID, keys, func(cs *changeset, s *store.Assignment) {
		for _, g := range s.Grants {
			if _, ok := ids[g.ID]; ok {
				cs.endInTime(s, g)
			}
		}
	})
}

// endInTime ends a live grant whose end has come; before that it warns of it.
func (cs *changeset) endInTime(s *store.Assignment, g *store.Grant) {
	switch {
	case !g.State.Live() || g.Until == nil:
	case g.Until.After(cs.now):
		cs.awaitEnd(g, *g.Until)
		if g.State == lifecycle.InPlace {
			cs.emitGrant(s, g, "expiring")
		}
	default:
		cs.end(s, g, "expired", uuid.NullUUID{})
	}
}

// awaitEnd has the grant looked at again at a time.
func (cs *changeset) awaitEnd(g *store.Grant, at time.Time) {
	cs.due = append(cs.due, due.Item{Kind: dueGrantEnd, Key: g.ID, OrganizationID: cs.org, Time: at})
}

func itemKeys(items []due.Item) map[uuid.UUID]struct{} {
	keys := make(map[uuid.UUID]struct{}, len(items))
	for _, i := range items {
		keys[i.Key] = struct{}{}
	}
	return keys
}
