package command

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// CancelRequest asks for a request to be cancelled; approval has the last word.
// Requester, beneficiary and admins may. Asking again changes nothing.
func (c *Commands) CancelRequest(ctx context.Context, by authz.Caller, request uuid.UUID, reason string) (r *store.Request, err error) {
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if r, err = store.LockVisible(ctx, tx, viewer(by), request); err != nil {
			return public(err)
		}
		// What a flow takes away is not for those to stop who are to lose it.
		taken := r.Origin == store.OriginJoin && r.Kind == lifecycle.Revoke
		if !by.Administers() && r.Requester.ID != by.UserID && (r.Beneficiary.ID != by.UserID || taken) {
			return apierr.Denied("NOT_YOUR_REQUEST", "only its requester, its beneficiary and admins can cancel a request; what a flow takes away, admins alone")
		}
		if r.State == lifecycle.Cancelling {
			return nil
		}
		if !lifecycle.CanMove(r.State, lifecycle.Cancelling) {
			return apierr.Precondition("REQUEST_NOT_OPEN", "the request is %s; it can no longer be cancelled", r.State).
				With("state", enum.Value[requestv1.RequestState](string(r.State)).String())
		}
		if reason == "" {
			reason = "taken back by " + by.Name
		}
		changes := store.NewChanges(by.OrganizationID)
		requestCancellation(changes, r, event.CallerActor(by), store.Closing{Reason: reason}, notBefore(c.Clock.Now(), r.UpdateTime))
		return changes.SaveLater(ctx, tx, c.Events)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// cancelRequestsOf asks for the cancellation of the requests for a user that were
// made before the user had joined so many times.
func (c *Commands) cancelRequestsOf(ctx context.Context, tx *postgres.Tx, organization, user uuid.UUID, joinCount int32, reason string, at time.Time) error {
	open, err := store.LockOpen(ctx, tx, user, joinCount)
	if err != nil || len(open) == 0 {
		return err
	}
	changes := store.NewChanges(organization)
	for _, r := range open {
		requestCancellation(changes, r, convert.System(), store.Closing{Reason: reason}, at)
	}
	return changes.SaveLater(ctx, tx, c.Events)
}

// requestCancellation has a request, which is locked and can be cancelled,
// cancelled, unless its last approval came first, which approval knows.
func requestCancellation(changes *store.Changes, r *store.Request, by *eventv1.Actor, why store.Closing, at time.Time) {
	ev := convert.CancelRequested(by, r, why, at)
	ev.ID = id.New()
	changes.SetState(r, store.Transition{To: lifecycle.Cancelling, At: at})
	changes.AddEntry(r.ID, store.TimelineEntry{
		EventID: ev.ID, Time: at, Event: "request.cancel_requested",
		ActorID: convert.ActorUser(by), ActorName: by.GetDisplayName(), Text: "To be cancelled: " + why.Reason,
	})
	changes.Emit(ev)
}

// cancelPointless has those items of a request cancelled, once, that wait for a decision
// which has become pointless, and with the last of them the request.
func cancelPointless(changes *store.Changes, r *store.Request, pointless func(*store.Item) bool, reason string, at time.Time) {
	if !lifecycle.CanMove(r.State, lifecycle.Cancelling) {
		return
	}
	waits := func(i *store.Item) bool { return i.State == lifecycle.ItemPending && !i.Pointless }
	var items []*store.Item
	for _, i := range r.Items {
		if waits(i) && pointless(i) {
			changes.SetPointless(i)
			items = append(items, i)
		}
	}
	if len(items) == 0 {
		return
	}
	at = notBefore(at, r.UpdateTime)
	if !slices.ContainsFunc(r.Items, waits) {
		requestCancellation(changes, r, convert.System(), store.Closing{Reason: reason}, at)
		return
	}
	ev := convert.CancelRequested(convert.System(), r, store.Closing{Reason: reason}, at, items...)
	ev.ID = id.New()
	changes.AddEntry(r.ID, store.TimelineEntry{
		EventID: ev.ID, Time: at, Event: "request.cancel_requested", ActorName: convert.System().GetDisplayName(),
		AppID: items[0].AppID, Text: "To be cancelled: " + reason,
	})
	changes.Emit(ev)
}

// closeRequest closes a request and emits it as it then is.
func closeRequest(changes *store.Changes, r *store.Request, to lifecycle.State, at time.Time, closing store.Closing) {
	at = notBefore(at, r.UpdateTime)
	changes.SetState(r, store.Transition{To: to, At: at, Closing: closing})
	ev := convert.RequestClosed(r, at)
	ev.ID = id.New()
	text := "Closed as " + string(to)
	if r.ClosingReason != "" {
		text += ": " + r.ClosingReason
	}
	changes.AddEntry(r.ID, store.TimelineEntry{
		EventID: ev.ID, Time: at, Event: "request.closed", ActorName: convert.System().GetDisplayName(), Text: text,
	})
	changes.Emit(ev)
}
