package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// ReopenWorkItems takes back that work items were done, all or none: what is known of the
// app is what was known before, and new items ask for the same. It returns these, in the
// order of those that they reopen. INVALID_ARGUMENT: WORK_ITEM_NOT_FOUND, naming the field.
// FAILED_PRECONDITION: WORK_ITEM_NOT_RESOLVED and WORK_ITEM_MOVED_ON, metadata work_item,
// and later_work_item where another item is in the way.
func (e *Engine) ReopenWorkItems(ctx context.Context, by authz.Caller, ids []uuid.UUID, reason string) ([]WorkItem, error) {
	var opened []WorkItem
	err := e.in(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		opened = nil
		keys, query, err := keysOfItems(ctx, tx, by, ids)
		if err != nil {
			return err
		}
		if err := tx.Widen(ctx); err != nil {
			return err
		}
		cs := e.begin(tx, by.OrganizationID, event.CallerActor(by))
		loaded, err := cs.load(ctx, query)
		if err != nil {
			return err
		}
		resolved, err := store.LoadResolved(ctx, tx, loaded, ids)
		if err != nil {
			return err
		}
		var left []uuid.UUID
		for _, id := range ids {
			if i := resolved[id]; i == nil || i.Before == nil {
				return errNotResolved(id)
			}
			left = append(left, id)
		}
		if err := cs.reopenAll(left, reason, func(id uuid.UUID) (*store.Assignment, *store.WorkItem) {
			return loaded.Assignment(keys[id]), resolved[id]
		}); err != nil {
			return err
		}
		for _, s := range cs.assignments {
			if err := cs.reconcileReopened(s); err != nil {
				return err
			}
		}
		opened = cs.openedFor(ids, func(id uuid.UUID) *store.Assignment { return loaded.Assignment(keys[id]) })
		return cs.save(ctx)
	})
	return opened, public(err)
}

// keysOfItems are the assignments of work items on which the caller acts.
// INVALID_ARGUMENT: WORK_ITEM_NOT_FOUND, naming the field.
func keysOfItems(ctx context.Context, tx *postgres.Tx, by authz.Caller, ids []uuid.UUID) (map[uuid.UUID]store.Key, store.Query, error) {
	var query store.Query
	seen, err := store.AllItems(ctx, tx, store.ItemFilter{Organization: by.OrganizationID, IDs: ids, Admin: actsOn(by)})
	if err != nil {
		return nil, query, err
	}
	keys := make(map[uuid.UUID]store.Key, len(ids))
	for _, i := range seen {
		keys[i.ID] = store.Key{User: i.UserID, App: i.AppID}
		query.Keys = append(query.Keys, keys[i.ID])
	}
	for n, id := range ids {
		if _, ok := keys[id]; !ok {
			return nil, query, errItemNotFound(fmt.Sprintf("work_item_ids[%d]", n), id)
		}
	}
	return keys, query, nil
}

// reopenAll reopens items, each once it is the last that was said about the same: of
// several about one assignment the later ones first.
func (cs *changeset) reopenAll(ids []uuid.UUID, reason string, of func(uuid.UUID) (*store.Assignment, *store.WorkItem)) error {
	for len(ids) > 0 {
		n := slices.IndexFunc(ids, func(id uuid.UUID) bool {
			s, i := of(id)
			_, last := s.Account.Words.Last(itemOf(i))
			return last
		})
		if n < 0 {
			return errLater(of(ids[0]))
		}
		s, i := of(ids[n])
		switch {
		case s.Operation != nil && s.Operation.State == lifecycle.Running && !s.Operation.Looks:
			return errMovedOn(i.ID, "the app's integration is at work")
		case s.Moved():
			return errMovedOn(i.ID, "the app's integration leads elsewhere now")
		}
		cs.reopen(s, i, reason)
		ids = slices.Delete(ids, n, n+1)
	}
	return nil
}

// errLater says what was said after an item about the same.
func errLater(s *store.Assignment, i *store.WorkItem) error {
	later, _ := s.Account.Words.Last(itemOf(i))
	switch {
	case i.ReopenedBy.Valid:
		return errMovedOn(i.ID, "it has been reopened already").With("later_work_item", i.ReopenedBy.UUID.String())
	case later != lifecycle.ID{}:
		return errMovedOn(i.ID, "another work item about the same was resolved since").With("later_work_item", uuid.UUID(later).String())
	}
	return errMovedOn(i.ID, "the app's integration has been at work since, or another item was reopened with it")
}

// reopen takes back that an item was done. It is the last that was said about the same.
func (cs *changeset) reopen(s *store.Assignment, i *store.WorkItem, reason string) {
	a, b, item := &s.Account, i.Before, itemOf(i)
	r := lifecycle.Resolution{Item: item, Observed: b.Observed(), Grants: make(map[lifecycle.ID]lifecycle.GrantState, len(b.Grants))}
	for _, g := range b.Grants {
		r.Grants[g.ID] = g.State
	}
	was := a.Observed.Account == lifecycle.Active
	a.Observed = view(s).Reopen(r)
	a.Words, a.Changed, a.UpdateTime = a.Words.TakeBack(item, b.Said()), true, cs.now
	switch i.Kind {
	case lifecycle.ItemAssign, lifecycle.ItemUnassign, lifecycle.ItemChangeSecret:
	case lifecycle.ItemRemoveLeftAccount:
		for _, p := range b.LeftBehind {
			found := p.ExternalID == a.ExternalID && a.Tenant.Valid && p.Tenant == a.Tenant.UUID // since
			if item.Shows(p.String()) && !found && !slices.Contains(a.LeftBehind, p) {
				a.LeftBehind = append(slices.Clone(a.LeftBehind), p)
			}
		}
	default:
		a.ExternalID, a.UserName, a.Tenant, a.FoundID, a.FoundName, a.CreateTime = b.ExternalID, b.UserName, b.Tenant, b.FoundID, b.FoundName, b.CreateTime
	}
	cs.reopenGrants(s, r, b)
	if (a.Observed.Account == lifecycle.Active) != was {
		cs.emitAccount(s, func(*store.Grant) bool { return true })
	}
	if i.Kind == lifecycle.ItemFixOperation {
		cs.stickAgain(s, i.Error)
	}
	cs.reopens(s, item, reason)
}

// reopenGrants has grants that are not in place, or not gone, any more be what they were,
// and revocations that are not done any more be open again.
func (cs *changeset) reopenGrants(s *store.Assignment, r lifecycle.Resolution, b *store.Before) {
	all := slices.Concat(s.Grants, s.Over)
	v := view(s)
	for _, g := range s.Over {
		v.Grants = append(v.Grants, grantOf(s, g))
	}
	for _, t := range v.ReopenGrants(r) {
		g := all[slices.IndexFunc(all, func(g *store.Grant) bool { return g.ID == t.ID })]
		if t.To == lifecycle.Revoking {
			s.Grants = append(s.Grants, g)
			s.Over = slices.DeleteFunc(s.Over, func(o *store.Grant) bool { return o == g })
			g.RevokeTime = nil
		} else if before := b.Grant(g.ID); before == nil || !before.Active {
			g.ActivateTime = nil
		}
		g.State, g.Error = t.To, ""
		if before := b.Grant(g.ID); before != nil && t.To == lifecycle.Failed {
			g.Error = before.Error
		}
		g.Version++
		cs.emitGrant(s, g, "reopened")
		for _, revocation := range s.Revocations {
			if t.To == lifecycle.Revoking && revocation.Done && slices.Contains(revocation.GrantIDs, g.ID) {
				revocation.Done, revocation.Changed = false, true
				revocation.Version++
				cs.emit(revocation.ItemID, &eventv1.RevocationReopened{
					Context: cs.context(s, revocation.Version, revocation.RequestID), RequestId: revocation.RequestID.String(),
					ItemId: revocation.ItemID.String(), GrantIds: convert.Strings(revocation.GrantIDs),
				})
			}
		}
	}
}

// stickAgain has the operation that a person was asked to fix need a person again.
func (cs *changeset) stickAgain(s *store.Assignment, said string) {
	v := view(s)
	plan := v.Todo()
	if v.Mode != lifecycle.Automatic || len(plan) == 0 {
		return
	}
	o := s.Operation
	if o == nil {
		o = &store.Operation{ID: id.New(), IntegrationID: s.App.IntegrationID.UUID, New: true}
		s.Operation = o
	}
	o.State, o.Plan, o.Error, o.Tries, o.NotBefore, o.Changed = lifecycle.Stuck, s.Steps(plan), said, lifecycle.MaxTries, nil, true
	if lifecycle.TakesAway(plan) {
		cs.tryAfter(o, cs.e.timing.RetryRemoval)
	}
}

// reconcileReopened reconciles an assignment, and refuses to reopen what nobody would be
// asked to do again.
func (cs *changeset) reconcileReopened(s *store.Assignment) error {
	v := view(s)
	cs.reconcile(s)
	for _, old := range cs.reopened[s] {
		if !slices.ContainsFunc(s.Items, func(i *store.WorkItem) bool { return i.New && reopens(i, old) }) {
			return errMovedOn(old.ID, v.WhyNot(old))
		}
	}
	return nil
}

// reopens reports whether a new item asks for what a resolved one asked for.
func reopens(i *store.WorkItem, old lifecycle.Item) bool {
	n := itemOf(i)
	n.Reopens = i.Reopens.UUID
	return n.ReopensItem(old)
}

// openedFor are the new items, each once, in the order of those that they reopen.
func (cs *changeset) openedFor(ids []uuid.UUID, of func(uuid.UUID) *store.Assignment) (opened []WorkItem) {
	seen := make(map[uuid.UUID]bool)
	for _, id := range ids {
		s := of(id)
		old := cs.reopened[s][slices.IndexFunc(cs.reopened[s], func(i lifecycle.Item) bool { return i.ID == id })]
		for _, i := range s.Items {
			if i.New && reopens(i, old) && !seen[i.ID] {
				seen[i.ID] = true
				opened = append(opened, *cs.named(s, i))
			}
		}
	}
	return opened
}
