package command

import (
	"context"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
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

// ListRequests gives the requests that the caller may see and f selects, and the token
// of the next page.
func (c *Commands) ListRequests(ctx context.Context, by authz.Caller, f Filter, asked filter.Request) (list []*store.Request, next string, err error) {
	page, err := store.RequestList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		list, next, err = store.List(ctx, tx, viewer(by), f, page)
		return err
	})
	return list, next, err
}

// CountRequests counts what ListRequests gives, exactly up to a limit; more says that there
// is more.
func (c *Commands) CountRequests(ctx context.Context, by authz.Caller, f Filter, asked filter.Request, limit int) (count int, more bool, err error) {
	page, err := store.RequestList.Parse(asked)
	if err != nil {
		return 0, false, err
	}
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		count, more, err = store.Count(ctx, tx, viewer(by), f, page, limit)
		return err
	})
	return count, more, err
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

// ListComments gives the comments on a request that the caller may see, and the token
// of the next page.
func (c *Commands) ListComments(ctx context.Context, by authz.Caller, request uuid.UUID, asked filter.Request) (list []store.Comment, next string, err error) {
	page, err := store.CommentList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.visible(ctx, by, request, func(ctx context.Context, tx *postgres.Tx, r *store.Request) (err error) {
		list, next, err = store.Comments(ctx, tx, r.ID, page)
		return err
	})
	return list, next, err
}

// ListTimeline gives what happened to a request that the caller may see, and the token
// of the next page.
func (c *Commands) ListTimeline(ctx context.Context, by authz.Caller, request uuid.UUID, asked filter.Request) (list []store.TimelineEntry, next string, err error) {
	page, err := store.TimelineList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.visible(ctx, by, request, func(ctx context.Context, tx *postgres.Tx, r *store.Request) (err error) {
		list, next, err = store.Timeline(ctx, tx, r, page)
		for n := range list {
			if list[n].Event == submitted {
				part, _ := r.Part()
				list[n].Text = submittedText(part)
			}
		}
		return err
	})
	return list, next, err
}

// DecisionContext gives what helps the caller to decide a request, if they were ever asked to
// or see all requests.
func (c *Commands) DecisionContext(ctx context.Context, by authz.Caller, request uuid.UUID) (out *store.DecisionContext, err error) {
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		out, err = store.Context(ctx, tx, viewer(by), request)
		return public(err)
	})
	return out, err
}
