package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// GiveUp says which items of a request are to be given up, and why.
type GiveUp struct {
	RequestID uuid.UUID
	// ItemIDs are the items; none means all that can be given up.
	ItemIDs []uuid.UUID
	Reason  string
}

// GiveUpRequest asks for items that are approved and not in place to be given up;
// provisioning has the last word. Requester, the beneficiary of what people have asked for,
// and admins may. Asking again
// changes nothing.
func (c *Commands) GiveUpRequest(ctx context.Context, by authz.Caller, g GiveUp) (r *store.Request, err error) {
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if r, err = store.Visible(ctx, tx, viewer(by), g.RequestID); err != nil {
			return public(err)
		}
		// What a flow or an admin gives is not for those to give up who are to get it.
		asked := r.Requester.ID == by.UserID || r.Beneficiary.ID == by.UserID && r.Origin == store.OriginUser
		if !by.Administers() && !asked {
			return apierr.Denied("NOT_YOUR_REQUEST", "only its requester, the beneficiary of what people have asked for, and admins can give up a request")
		}
		// Its items are read under its lock: what has come into place meanwhile is seen.
		locked, err := store.Load(ctx, tx, []uuid.UUID{g.RequestID})
		if err != nil {
			return err
		}
		if r = locked[g.RequestID]; r == nil {
			return public(store.ErrRequestNotFound)
		}
		items, err := g.items(r)
		if err != nil || len(items) == 0 {
			return err
		}
		changes := store.NewChanges(by.OrganizationID)
		if err := requestGiveUp(changes, r, items, by, g.Reason, notBefore(c.Clock.Now(), r.UpdateTime)); err != nil {
			return err
		}
		return changes.SaveLater(ctx, tx, c.Events)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// items are the items that are to be given up now: those of which that was asked before
// are left out.
func (g GiveUp) items(r *store.Request) ([]*store.Item, error) {
	if r.Kind == lifecycle.Revoke {
		return nil, apierr.Precondition("REVOCATION_NOT_GIVEN_UP", "what is to be taken away is tried until it is gone: a revoke request cannot be given up")
	}
	for n, asked := range g.ItemIDs {
		i := slices.IndexFunc(r.Items, func(i *store.Item) bool { return i.ID == asked })
		if i < 0 {
			return nil, apierr.InvalidField(fmt.Sprintf("item_ids[%d]", n), "ITEM_UNKNOWN", "the request has no such item")
		}
		if err := mayGiveUp(r.Items[i]); err != nil {
			return nil, err
		}
	}
	var items []*store.Item
	before := false // one was to be given up before
	for _, i := range r.Items {
		switch {
		case len(g.ItemIDs) > 0 && !slices.Contains(g.ItemIDs, i.ID):
		case givenUpBefore(i):
			before = true
		case i.State.CanGiveUp():
			items = append(items, i)
		}
	}
	if len(items) == 0 && !before {
		return nil, apierr.Precondition("NOTHING_TO_GIVE_UP", "no item of the request is approved and not in place yet")
	}
	return items, nil
}

// givenUpBefore reports whether an item is to be given up already, or was.
func givenUpBefore(i *store.Item) bool {
	return i.State == lifecycle.ItemGivenUp || i.GiveUp != nil && i.State.CanGiveUp()
}

// mayGiveUp says why an item cannot be given up; nil if it can, or is already.
func mayGiveUp(i *store.Item) error {
	what := i.AppName + ": " + i.EntitlementName
	var e *apierr.Error
	switch {
	case givenUpBefore(i), i.State.CanGiveUp():
		return nil
	case i.State == lifecycle.ItemPending:
		e = apierr.Precondition("ITEM_NOT_APPROVED", "%s is not approved yet: the request can be cancelled", what)
	case i.State == lifecycle.ItemFulfilled:
		e = apierr.Precondition("ITEM_FULFILLED", "%s is in place, and can be revoked", what)
	default:
		e = apierr.Precondition("ITEM_CLOSED", "%s has ended", what)
	}
	return e.With("item", i.ID.String())
}

// requestGiveUp has items of a request, which is locked, given up, unless their access
// is in place first, which provisioning knows.
func requestGiveUp(changes *store.Changes, r *store.Request, items []*store.Item, by authz.Caller, reason string, at time.Time) error {
	data, err := convert.GiveUp(person(by), reason, at)
	if err != nil {
		return err
	}
	app, names := items[0].AppID, make([]string, len(items))
	for n, i := range items {
		changes.SetGiveUp(r, i, data, at)
		names[n] = i.AppName + ": " + i.EntitlementName
		if i.AppID != app {
			app = uuid.Nil
		}
	}
	text := "To be given up: " + strings.Join(names, ", ") + "; " + reason
	if app == uuid.Nil { // who sees the part of one app reads it too
		text = fmt.Sprintf("%d items are to be given up: %s", len(items), reason)
	}
	ev := convert.GiveUpRequested(event.CallerActor(by), r, items, app, reason, at)
	ev.ID = id.New()
	changes.AddEntry(r.ID, store.TimelineEntry{
		EventID: ev.ID, Time: at, Event: "request.give_up_requested", ActorID: by.Subject, ActorName: by.Name, Text: text, AppID: app,
	})
	changes.Emit(ev)
	return nil
}

// givenUpBy is how a request closes with an item that was given up.
func givenUpBy(r *store.Request, item uuid.UUID) store.Closing {
	closing := store.Closing{Reason: "given up"}
	for _, i := range r.Items {
		if g := convert.ReadGiveUp(i); i.ID == item && g != nil {
			closing.By = personOf(g.GetBy())
			closing.Reason += ": " + g.GetReason()
		}
	}
	return closing
}

func personOf(p *identityv1.Person) store.Person {
	user, err := uuid.Parse(p.GetUserId())
	if err != nil {
		return store.Person{}
	}
	return store.Person{ID: user, Name: p.GetDisplayName(), Email: p.GetEmail()}
}
