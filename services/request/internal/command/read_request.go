package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/store"
)

// GetRequest gives a request that the caller may see.
func (c *Commands) GetRequest(ctx context.Context, by authz.Caller, request uuid.UUID) (r *store.Request, err error) {
	err = c.visible(ctx, by, request, func(_ context.Context, _ *postgres.Tx, found *store.Request) error {
		r = found
		return nil
	})
	return r, err
}

// visible reads a request that the caller may see, and calls f with it.
func (c *Commands) visible(ctx context.Context, by authz.Caller, request uuid.UUID, f func(context.Context, *postgres.Tx, *store.Request) error) error {
	return c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		r, err := store.Visible(ctx, tx, viewer(by), request)
		if err != nil {
			return public(err)
		}
		return f(ctx, tx, r)
	})
}

// ListRequests gives the requests that the caller may see and the filter
// selects, newest first.
func (c *Commands) ListRequests(ctx context.Context, by authz.Caller, f Filter) (list []*store.Request, err error) {
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		list, err = store.List(ctx, tx, viewer(by), f)
		return err
	})
	return list, err
}

// AddComment adds the caller's comment to a request that they may see. Risk
// managers, who see all, comment on their own.
func (c *Commands) AddComment(ctx context.Context, by authz.Caller, request uuid.UUID, text string) (store.Comment, error) {
	comment := store.Comment{ID: id.New(), Author: person(by), Text: text, CreateTime: c.Clock.Now()}
	err := c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		r, err := store.Visible(ctx, tx, viewer(by), request)
		if err != nil {
			return public(err)
		}
		if by.Role == authzv1.Caller_CALLER_RISK_MANAGER && r.Requester.ID != by.UserID && r.Beneficiary.ID != by.UserID {
			return apierr.Denied("NOT_YOUR_REQUEST", "risk managers comment on their own requests only")
		}
		comment.RequestID = r.ID
		ev := convert.CommentAdded(event.CallerActor(by), r, comment)
		ev.ID = id.New()
		changes := store.NewChanges(by.OrganizationID)
		changes.AddComment(comment)
		changes.AddEntry(r.ID, store.TimelineEntry{
			EventID: ev.ID, Time: comment.CreateTime, Event: "comment.added", ActorID: by.Subject, ActorName: by.Name, Text: text,
		})
		changes.Emit(ev)
		if err := changes.SaveLater(ctx, tx, c.Events); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, convert.AddedComment(comment))
	})
	return comment, err
}

// ListComments gives the comments on a request that the caller may see, oldest
// first, after the id given.
func (c *Commands) ListComments(ctx context.Context, by authz.Caller, request, after uuid.UUID, limit int) (list []store.Comment, err error) {
	err = c.visible(ctx, by, request, func(ctx context.Context, tx *postgres.Tx, r *store.Request) error {
		list, err = store.Comments(ctx, tx, r.ID, after, limit)
		return err
	})
	return list, err
}

// ListTimeline gives what happened to a request that the caller may see, oldest
// first, after a place.
func (c *Commands) ListTimeline(ctx context.Context, by authz.Caller, request uuid.UUID, after *page.TimePlace, limit int) (list []store.TimelineEntry, err error) {
	err = c.visible(ctx, by, request, func(ctx context.Context, tx *postgres.Tx, r *store.Request) error {
		list, err = store.Timeline(ctx, tx, r, after, limit)
		for n := range list {
			if list[n].Event == submitted {
				part, _ := r.Part()
				list[n].Text = submittedText(part)
			}
		}
		return err
	})
	return list, err
}
