package command

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// CancelRequest ends what is not decided yet of a request that is to be cancelled, or of it
// the items named. If the request was not submitted here yet, that it is cancelled is kept
// until it is; that items are is waited with until then.
func (c *Commands) CancelRequest(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, m *eventv1.RequestCancelRequested) error {
	rec, err := c.Store.Load(ctx, tx, m.GetRequestId())
	if err != nil {
		return err
	}
	now := c.Clock.Now()
	if (rec == nil || rec.Request == nil) && len(m.GetItemIds()) > 0 {
		return inbox.NotYet("request %s to be submitted, of which items are cancelled", m.GetRequestId())
	}
	if rec == nil {
		rec = &store.Record{
			Approval:       lifecycle.NewCancelled(m.GetRequestId(), m.GetContext().GetEnvironmentId(), now),
			OrganizationID: organizationID, New: true,
		}
		err := c.Store.Save(ctx, tx, []*store.Record{rec})
		if errors.Is(err, store.ErrExists) {
			return inbox.NotYet("another replica works on request %s", m.GetRequestId())
		}
		return err
	}
	actor := m.GetContext().GetActor()
	items, open := rec.Cancel(convert.FromActor(actor), now, m.GetItemIds()...)
	if !open || len(m.GetItemIds()) > 0 && len(items) == 0 {
		return nil
	}
	rec.Expired = m.GetExpired()
	if actor == nil {
		actor = convert.SystemActor()
	}
	a, err := c.prepare(rec)
	if err != nil {
		return err
	}
	a.events.Cancelled(actor, m.GetReason(), items...)
	return c.save(ctx, tx, a)
}
