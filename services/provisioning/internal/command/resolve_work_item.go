package command

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// actsOn is the user whose apps' work items the caller acts on; the nil id for
// all apps in their scope.
func actsOn(caller authz.Caller) uuid.UUID {
	if caller.Administers() {
		return uuid.Nil
	}
	return caller.UserID
}

// ResolveWorkItems resolves work items, all or none: what they ask for counts as
// done. INVALID_ARGUMENT: WORK_ITEM_NOT_FOUND, naming the field.
// FAILED_PRECONDITION: WORK_ITEM_NOT_OPEN, metadata work_item.
func (e *Engine) ResolveWorkItems(ctx context.Context, by authz.Caller, ids []uuid.UUID, note string) ([]WorkItem, error) {
	var resolved []WorkItem
	err := e.in(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		resolved = nil
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
		if err := store.LoadSaid(ctx, tx, loaded.Assignments); err != nil {
			return err
		}
		for _, id := range ids {
			s := loaded.Assignment(keys[id])
			n := slices.IndexFunc(s.Items, func(i *store.WorkItem) bool { return i.ID == id })
			if n < 0 {
				return errNotOpen(id)
			}
			cs.resolve(s, s.Items[n], by, note)
			resolved = append(resolved, *cs.named(s, s.Items[n]))
		}
		for _, s := range cs.assignments {
			cs.reconcile(s)
		}
		return cs.save(ctx)
	})
	return resolved, public(err)
}

func (cs *changeset) resolve(s *store.Assignment, i *store.WorkItem, by authz.Caller, note string) {
	v := view(s)
	observed, before := v.Resolve(i.ID, s.App.Left()), s.Now()
	said := s.Account.Words.Say(v.Items[slices.IndexFunc(v.Items, func(o lifecycle.Item) bool { return o.ID == i.ID })])
	i.Before = before
	i.ResolverID = uuid.NullUUID{UUID: by.UserID, Valid: true}
	i.ResolverName, i.ResolverEmail = by.Name, by.Email
	cs.closeItem(s, i, "resolved", note)
	a := &s.Account
	switch i.Kind {
	case lifecycle.ItemChangeSecret:
	case lifecycle.ItemRemoveLeftAccount:
		// What was left behind since stays, and is on an item of its own.
		a.LeftBehind = slices.DeleteFunc(slices.Clone(a.LeftBehind), func(p store.Place) bool { return itemOf(i).Shows(p.String()) })
	case lifecycle.ItemAdoptAccount:
		external, name := a.FoundID, a.FoundName
		a.FoundID, a.FoundName = "", ""
		cs.setObserved(s, observed, external, name)
	case lifecycle.ItemCreateAccount:
		external, name := a.FoundID, a.FoundName
		cs.believe(s, observed)
		if a.FoundID, a.FoundName = "", ""; observed.Adopted {
			a.ExternalID, a.UserName, a.Tenant = external, name, s.App.Tenant
		}
	default:
		cs.believe(s, observed)
		if o := s.Operation; i.Kind == lifecycle.ItemFixOperation && o != nil {
			if o.State == lifecycle.Stuck {
				cs.tryAgain(o, 0)
			}
			o.ListedFrom, o.Late, o.Changed = nil, false, true // what the app says now is waited for
		}
	}
	a.Words, a.Changed = said, true
	cs.lookAgain(s.Operation)
}

// believe writes down what a person has said of an app. It holds for the app that the
// integration reaches now; what was made by hand is known by its name alone.
func (cs *changeset) believe(s *store.Assignment, observed lifecycle.Observed) {
	a := &s.Account
	if a.Observed.Account == lifecycle.Absent && observed.Account == lifecycle.Active {
		a.ExternalID, a.UserName, a.Tenant = "", "", uuid.NullUUID{}
	}
	if s.Moved() && a.ExternalID == "" {
		a.Tenant = s.App.Tenant
	}
	cs.setObserved(s, observed, "", "")
}

// tryAgain has an operation tried at once, after so many tries.
func (cs *changeset) tryAgain(o *store.Operation, tries int) {
	o.State, o.Tries, o.NotBefore = lifecycle.Queued, tries, &cs.now
	o.Changed, cs.queued = true, true
}

// RetryWorkItem has the failed operation that a work item is about tried again at
// once. NOT_FOUND: WORK_ITEM_NOT_FOUND. FAILED_PRECONDITION:
// WORK_ITEM_NOT_RETRYABLE.
func (e *Engine) RetryWorkItem(ctx context.Context, by authz.Caller, id uuid.UUID) (WorkItem, error) {
	var item WorkItem
	err := e.in(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if item, err = store.GetItem(ctx, tx, by.OrganizationID, id, actsOn(by)); err != nil {
			return err
		}
		if err := tx.Widen(ctx); err != nil {
			return err
		}
		cs := e.begin(tx, by.OrganizationID, event.CallerActor(by))
		loaded, err := cs.load(ctx, store.Query{Keys: []store.Key{{User: item.UserID, App: item.AppID}}})
		if err != nil {
			return err
		}
		s := loaded.Assignments[0]
		if s.Account.Observed.Found && item.Kind == lifecycle.ItemAdoptAccount {
			s.Account.Observed.Found, s.Account.FoundID, s.Account.FoundName, s.Account.Changed = false, "", "", true
			cs.reconcile(s)
			return cs.save(ctx)
		}
		open := slices.ContainsFunc(s.Items, func(i *store.WorkItem) bool { return i.ID == id })
		o := s.Operation
		if open && o != nil && o.Looks {
			cs.lookAgain(o)
			return cs.save(ctx)
		}
		if item.Kind != lifecycle.ItemFixOperation || !open || o == nil {
			return errNotRetryable(id)
		}
		if o.State != lifecycle.Running {
			// One try: the caller is there to see the result.
			cs.tryAgain(o, lifecycle.MaxTries-1)
		}
		return cs.save(ctx)
	})
	return item, public(err)
}
