package store

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const insertGivenUp = `
	insert into given_up_item (item_id, organization_id, environment_id, request_id, user_id, app_id, create_time)
	values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`

// QueueGivenUp queues what remembers that an item of a request was given up before it
// had a grant. The assignment is locked.
func QueueGivenUp(b *pgx.Batch, s *Assignment, request, item uuid.UUID, now time.Time) {
	b.Queue(insertGivenUp, item, s.Organization, s.Environment, request, s.User, s.Key.App, now)
}
