package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
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
	timelineColumns = `t.event_id, t.event_time, t.event, t.actor_id, t.actor_name, t.body`
	fromTimeline    = ` from timeline_entry t where t.request_id = $1
	and ($2::uuid[] is null or t.app_id = '00000000-0000-0000-0000-000000000000' or t.app_id = any($2))`
	commentColumns = `c.id, c.request_id, c.author_id, c.author_name, c.author_email, c.body, c.create_time`
	fromComments   = ` from comment c where c.request_id = $1`
	insertComment  = `
insert into comment (id, organization_id, request_id, author_id, author_name, author_email, body, create_time)
values ($1, $2, $3, $4, $5, $6, $7, $8)`
)

// Timeline reads a page of [TimelineList], of what of a request's timeline its viewer
// sees, and gives the token of the next page.
func Timeline(ctx context.Context, tx *postgres.Tx, r *Request, page *filter.Query) ([]TimelineEntry, string, error) {
	return list(ctx, tx, timelineColumns, fromTimeline, page, func(row pgx.CollectableRow) (e TimelineEntry, err error) {
		err = row.Scan(&e.EventID, &e.Time, &e.Event, &e.ActorID, &e.ActorName, &e.Text)
		return e, err
	}, r.ID, r.SeenApps)
}

// Comments reads a page of [CommentList], of a request, and gives the token of the next
// page.
func Comments(ctx context.Context, tx *postgres.Tx, request uuid.UUID, page *filter.Query) ([]Comment, string, error) {
	return list(ctx, tx, commentColumns, fromComments, page, func(row pgx.CollectableRow) (c Comment, err error) {
		err = row.Scan(&c.ID, &c.RequestID, &c.Author.ID, &c.Author.Name, &c.Author.Email, &c.Text, &c.CreateTime)
		return c, err
	}, request)
}

// AddComment adds a comment.
func (c *Changes) AddComment(m Comment) {
	c.comments.Queue(insertComment, m.ID, c.organization, m.RequestID, m.Author.ID, m.Author.Name, m.Author.Email, m.Text, m.CreateTime)
}
