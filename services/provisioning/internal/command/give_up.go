package command

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/store"
)

// endGivenUp is why a grant has ended that was given up.
const endGivenUp = "given_up"

// GiveUp ends the grants of items that were given up, each unless it has been in place:
// that one stays. What may be in the app of them already is taken away as usual. If the
// approval has not arrived yet it is remembered, and the grant is over at once when it
// does. Repeating it does nothing. It fails with inbox.NotYet while the person or an app
// is not known, as the approval does.
func (e *Engine) GiveUp(ctx context.Context, tx *postgres.Tx, g *convert.GiveUp) error {
	query := store.Query{Create: true}
	for _, it := range g.Items {
		query.Keys, query.Granted = append(query.Keys, g.Key(it)), append(query.Granted, it.ID)
	}
	cs := e.begin(tx, g.Event.OrganizationID, g.Actor)
	cs.traceparent = g.Event.Traceparent
	found, err := cs.loadKnown(ctx, query)
	if err != nil {
		return err
	}
	var assignments []*store.Assignment
	for _, it := range g.Items {
		s := found.Assignment(g.Key(it))
		if s == nil || !s.Complete() {
			return inbox.NotYet("user %s, app %s or an entitlement that they hold there", g.User, it.App)
		}
		if !found.Items[it.ID] {
			store.QueueGivenUp(cs.more, s, g.Request, it.ID, cs.now)
			continue
		}
		for _, held := range s.Grants {
			if held.ItemID == it.ID && held.State.GivesUp(held.ActivateTime != nil) {
				cs.end(s, held, endGivenUp, uuid.NullUUID{})
			}
		}
		if !slices.Contains(assignments, s) {
			assignments = append(assignments, s)
		}
	}
	for _, s := range assignments {
		cs.reconcile(s)
	}
	return cs.save(ctx)
}
