package access

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// Person is the user who does something.
type Person struct {
	authz.Caller
	// Admin is the user whose apps they may act on, nil for all apps.
	Admin uuid.UUID
}

func (p Person) actor() *eventv1.Actor {
	return &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_USER, Id: p.UserID.String(), DisplayName: p.Name}
}

// Resolve resolves work items, all or none: what they ask for counts as done.
// INVALID_ARGUMENT: WORK_ITEM_NOT_FOUND, naming the field.
// FAILED_PRECONDITION: WORK_ITEM_NOT_OPEN, metadata work_item.
func (e *Engine) Resolve(ctx context.Context, by Person, ids []uuid.UUID, note string) ([]store.NamedItem, error) {
	var resolved []store.NamedItem
	err := e.in(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		resolved = nil
		seen, err := store.ListItems(ctx, tx, store.ItemFilter{Organization: by.OrganizationID, IDs: ids, Admin: by.Admin, Limit: len(ids)})
		if err != nil {
			return err
		}
		keys := make(map[uuid.UUID]store.Key, len(ids))
		var want store.Want
		for _, i := range seen {
			keys[i.ID] = store.Key{User: i.UserID, App: i.AppID}
			want.Keys = append(want.Keys, keys[i.ID])
		}
		for n, id := range ids {
			if _, ok := keys[id]; !ok {
				return apierr.InvalidField(fmt.Sprintf("work_item_ids[%d]", n), "WORK_ITEM_NOT_FOUND", "there is no work item %s", id).With("work_item", id.String())
			}
		}
		u := e.begin(tx, by.OrganizationID, by.actor())
		found, err := u.lock(ctx, want)
		if err != nil {
			return err
		}
		for _, id := range ids {
			s := found.Seat(keys[id])
			n := slices.IndexFunc(s.Items, func(i *store.WorkItem) bool { return i.ID == id })
			if n < 0 {
				return apierr.Precondition("WORK_ITEM_NOT_OPEN", "work item %s is not open any more", id).With("work_item", id.String())
			}
			u.resolve(s, s.Items[n], by, note)
			resolved = append(resolved, *u.named(s, s.Items[n]))
		}
		for _, s := range u.seats {
			u.settle(s)
		}
		return u.save(ctx)
	})
	return resolved, err
}

func (u *unit) resolve(s *store.Seat, i *store.WorkItem, by Person, note string) {
	know := view(s).Resolve(i.ID, s.App.Left())
	i.ResolverID = uuid.NullUUID{UUID: by.UserID, Valid: true}
	i.ResolverName, i.ResolverEmail = by.Name, by.Email
	u.closeItem(s, i, "resolved", note)
	if i.Kind != lifecycle.ChangeSecret {
		u.learn(s, know, "", "")
	}
}

// Retry has the failed operation of a mend item tried again at once.
// NOT_FOUND: WORK_ITEM_NOT_FOUND. FAILED_PRECONDITION: WORK_ITEM_NOT_RETRYABLE.
func (e *Engine) Retry(ctx context.Context, by Person, id uuid.UUID) (store.NamedItem, error) {
	var item store.NamedItem
	err := e.in(ctx, by.OrganizationID, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if item, err = store.GetItem(ctx, tx, by.OrganizationID, id, by.Admin); err != nil {
			return err
		}
		u := e.begin(tx, by.OrganizationID, by.actor())
		found, err := u.lock(ctx, store.Want{Keys: []store.Key{{User: item.UserID, App: item.AppID}}})
		if err != nil {
			return err
		}
		s := found.Seats[0]
		open := slices.ContainsFunc(s.Items, func(i *store.WorkItem) bool { return i.ID == id })
		o := s.Operation
		if item.Kind != lifecycle.Mend || !open || o == nil {
			return apierr.Precondition("WORK_ITEM_NOT_RETRYABLE", "work item %s has no failed operation to retry", id)
		}
		if o.State != "running" {
			// One try: whoever asks is there to see how it goes.
			o.State, o.Tries, o.NotBefore = "queued", lifecycle.MaxTries-1, &u.now
			o.Changed, u.queued = true, true
		}
		return u.save(ctx)
	})
	return item, err
}
