package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// TimelineOf lists what happened to a request, oldest first, after the time and
// event given.
func TimelineOf(ctx context.Context, tx *postgres.Tx, request string, after []string, limit int) ([]*requestv1.TimelineEntry, error) {
	from, event := "-infinity", uuid.Nil.String()
	if len(after) == 2 {
		from, event = after[0], after[1]
	}
	rows, err := tx.Query(ctx, `
		select event_id::text, event_time, event, actor_id, actor_name, body from timeline_entry
		where request_id = $1 and (event_time, event_id) > ($2::text::timestamptz, $3::uuid)
		order by event_time, event_id limit $4`, request, from, event, limit)
	if err != nil {
		return nil, fmt.Errorf("list timeline: %w", err)
	}
	return collect("list timeline", rows, func(row pgx.CollectableRow) (*requestv1.TimelineEntry, error) {
		var at time.Time
		e := requestv1.TimelineEntry{Actor: &identityv1.Person{}}
		err := row.Scan(&e.EventId, &at, &e.Event, &e.Actor.UserId, &e.Actor.DisplayName, &e.Text)
		e.Time = timestamppb.New(at)
		return &e, err
	})
}

// Comments lists what was said on a request, oldest first, after the id given.
func Comments(ctx context.Context, tx *postgres.Tx, request, after string, limit int) ([]*requestv1.Comment, error) {
	rows, err := tx.Query(ctx, `
		select id::text, request_id::text, author_id::text, author_name, author_email, body, create_time from comment
		where request_id = $1 and ($2::uuid is null or id > $2) order by id limit $3`, request, optional(after), limit)
	if err != nil {
		return nil, fmt.Errorf("list comments: %w", err)
	}
	return collect("list comments", rows, func(row pgx.CollectableRow) (*requestv1.Comment, error) {
		var at time.Time
		c := requestv1.Comment{Author: &identityv1.Person{}}
		err := row.Scan(&c.Id, &c.RequestId, &c.Author.UserId, &c.Author.DisplayName, &c.Author.Email, &c.Text, &at)
		c.CreateTime = timestamppb.New(at)
		return &c, err
	})
}
