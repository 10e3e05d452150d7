package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/lifecycle"
	"gatehouse.dev/services/request/internal/store"
)

// dueRequestEnd is about a request for access until a time, by its id, at that time.
const dueRequestEnd = "request_end"

// awaitEnds has requests looked at when the access that they ask for would end. Nil
// ones are left out.
func (c *Commands) awaitEnds(tx *postgres.Tx, requests ...*store.Request) error {
	var items []due.Item
	for _, r := range requests {
		if r != nil && r.Until != nil {
			items = append(items, due.Item{Kind: dueRequestEnd, Key: r.ID, OrganizationID: r.OrganizationID, Time: *r.Until})
		}
	}
	return c.Due.Add(tx, items...)
}

// expireRequests asks for the cancellation of requests whose end has passed while they
// waited for a decision. What is approved by then is provisioning's to end.
func (c *Commands) expireRequests(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	requests, err := store.Load(ctx, tx, postgres.Column(items, func(i due.Item) uuid.UUID { return i.Key }))
	if err != nil {
		return err
	}
	changes := store.NewChanges(items[0].OrganizationID)
	for _, i := range items {
		r := requests[i.Key]
		if r == nil || !lifecycle.CanMove(r.State, lifecycle.Cancelling) {
			continue
		}
		why := store.Closing{Reason: "it was asked for until " + r.Until.UTC().Format(timeLayout) + ", which has passed", Expired: true}
		requestCancellation(changes, r, convert.System(), why, notBefore(c.Clock.Now(), r.UpdateTime))
	}
	return changes.SaveLater(ctx, tx, c.Events)
}
