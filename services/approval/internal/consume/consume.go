// Package consume gives other services' events their effects in approval: it
// says which event is which command, and nothing else. Every command may come
// twice and late.
package consume

import (
	"context"

	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/command"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
)

// Handlers are what is done with the events.
func Handlers(c *command.Commands) *inbox.Handlers {
	h := &inbox.Handlers{}
	h.Together(c.SubmitRequests, (*eventv1.RequestSubmitted)(nil))
	inbox.On(h, func(ctx context.Context, tx *postgres.Tx, ev inbox.Event, m *eventv1.RequestCancelRequested) error {
		return c.CancelRequest(ctx, tx, ev.OrganizationID, m)
	})
	return h
}
