package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
)

// Comment is a comment on a request.
type Comment struct {
	ID, RequestID uuid.UUID
	Author        Person
	Text          string
	CreateTime    time.Time
}

const (
	selectTimeline = `
select event_id, event_time, event, actor_id, actor_name, body from timeline_entry
where request_id = $1 and ($2::timestamptz is null or (event_time, event_id) > ($2, $3::uuid))
	and ($5::uuid[] is null or app_id = '00000000-0000-0000-0000-000000000000' or app_id = any($5))
order by event_time, event_id limit $4`
	selectComments = `
select id, request_id, author_id, author_name, author_email, body, create_time from comment
where request_id = $1 and id > $2 order by id limit $3`
	insertComment = `
insert into comment (id, organization_id, request_id, author_id, author_name, author_email, body, create_time)
values ($1, $2, $3, $4, $5, $6, $7, $8)`
)

// Timeline lists what of a request's timeline its viewer sees, oldest first, after
// a place if that is not nil.
func Timeline(ctx context.Context, tx *postgres.Tx, r *Request, after *page.TimePlace, limit int) ([]TimelineEntry, error) {
	var from *time.Time
	var event uuid.UUID
	if after != nil {
		from, event = &after.Time, after.ID
	}
	rows, err := tx.Query(ctx, selectTimeline, r.ID, from, event, limit, r.SeenApps)
	if err != nil {
		return nil, fmt.Errorf("list timeline: %w", err)
	}
	return collect("list timeline", rows, func(row pgx.CollectableRow) (e TimelineEntry, err error) {
		err = row.Scan(&e.EventID, &e.Time, &e.Event, &e.ActorID, &e.ActorName, &e.Text)
		return e, err
	})
}

// Comments lists the comments on a request, oldest first, after the id given.
func Comments(ctx context.Context, tx *postgres.Tx, request, after uuid.UUID, limit int) ([]Comment, error) {
	rows, err := tx.Query(ctx, selectComments, request, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list comments: %w", err)
	}
	return collect("list comments", rows, func(row pgx.CollectableRow) (c Comment, err error) {
		err = row.Scan(&c.ID, &c.RequestID, &c.Author.ID, &c.Author.Name, &c.Author.Email, &c.Text, &c.CreateTime)
		return c, err
	})
}

// AddComment adds a comment.
func (c *Changes) AddComment(m Comment) {
	c.comments.Queue(insertComment, m.ID, c.organization, m.RequestID, m.Author.ID, m.Author.Name, m.Author.Email, m.Text, m.CreateTime)
}
