package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"
)

// approvalTime is about an approval, by the id of its request, when something is to
// happen to it: reviewers are reminded, a step is escalated, or an item is too late.
const approvalTime = "approval_time"

// awaitTimes has approvals looked at when something is to happen to them next.
func (c *Commands) awaitTimes(tx *postgres.Tx, records []*store.Record) error {
	var items []due.Item
	var none []uuid.UUID
	for _, r := range records {
		next := r.NextTime()
		if next.Equal(r.NextTimeSaved) {
			continue
		}
		r.NextTimeSaved = next
		key, err := uuid.Parse(r.RequestID)
		switch {
		case err != nil:
			return fmt.Errorf("read the id of request %q: %w", r.RequestID, err)
		case next.IsZero():
			none = append(none, key)
		default:
			items = append(items, due.Item{Kind: approvalTime, Key: key, OrganizationID: r.OrganizationID, Time: next})
		}
	}
	c.Due.Remove(tx, approvalTime, none...)
	return c.Due.Add(tx, items...)
}

// timesDue does what it is time for in approvals, as they are now.
func (c *Commands) timesDue(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		rec, err := c.Store.Load(ctx, tx, i.Key.String())
		if err != nil {
			return err
		}
		if rec == nil || rec.State != lifecycle.Open {
			continue
		}
		rec.NextTimeSaved = time.Time{} // the item is taken; it is added again for what comes next
		a, err := c.prepare(rec)
		if err != nil {
			return err
		}
		if err := c.timeOf(ctx, tx, a); err != nil {
			return err
		}
		if err := c.save(ctx, tx, a); err != nil {
			return err
		}
	}
	return nil
}

// timeOf does what it is time for in an approval.
func (c *Commands) timeOf(ctx context.Context, tx *postgres.Tx, a loaded) error {
	now := a.events.Time
	overdue := a.Overdue(now)
	for _, within := range slices.Sorted(maps.Keys(overdue)) {
		items, _ := a.Cancel(lifecycle.Person{}, now, overdue[within]...)
		a.Expired = true
		a.events.Cancelled(convert.SystemActor(), lifecycle.NotDecidedWithin(within), items...)
	}
	if reminded := a.Remind(now); len(reminded) > 0 {
		a.events.Reminded(convert.SystemActor(), reminded)
	}
	steps := a.ToEscalate(now)
	if len(steps) == 0 {
		return nil
	}
	query := store.PeopleQuery{Admins: true, EnvironmentIDs: []string{a.EnvironmentID}, WorkingTimeOf: []string{a.EnvironmentID}, Absences: true}
	for _, s := range steps {
		query.AppIDs = append(query.AppIDs, s.AppID)
		for _, t := range a.OpenTasks(s) {
			query.ManagersOf = append(query.ManagersOf, t.Reviewer.ID)
		}
	}
	people := store.NewPeople()
	if err := c.Store.LoadPeople(ctx, tx, a.OrganizationID, people, query); err != nil {
		return err
	}
	for _, s := range steps {
		added, reason := a.Escalate(s, *people, newID, now)
		a.Schedule(s, added, *people, now)
		a.events.Escalated(s, added, reason)
		if len(added) == 0 {
			tx.AfterCommit(func() {
				c.Log.Warn("A step was not decided in time, and there is nobody further", "organization_id", a.OrganizationID, "request_id", a.RequestID, "step", s.Position)
			})
		}
	}
	return nil
}

// Reminding says whose reviewers somebody has reminded.
type Reminding struct {
	RequestID string
	// ItemIDs are the items meant; none for all.
	ItemIDs []string
	By      lifecycle.Person
	// AnyRequest says that By may do so for everybody's requests.
	AnyRequest bool
}

// RemindReviewers reminds those who have open tasks of a request, and returns how many
// people that are, and from when on they may be reminded again.
func (c *Commands) RemindReviewers(ctx context.Context, s scope.Scope, r Reminding) (people int, next time.Time, err error) {
	err = c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		rec, err := c.Store.Load(ctx, tx, r.RequestID)
		if err != nil {
			return err
		}
		if rec == nil || rec.Request == nil || !r.AnyRequest && r.By.ID != rec.Requester.ID && r.By.ID != rec.Beneficiary.ID {
			return apierr.NotFound("REQUEST_NOT_FOUND", "there is no such request of yours")
		}
		a, err := c.prepare(rec)
		if err != nil {
			return err
		}
		for n, id := range r.ItemIDs {
			if !slices.ContainsFunc(convert.Request(a.request).Items, func(i lifecycle.Item) bool { return i.ID == id }) {
				return apierr.InvalidField(fmt.Sprintf("item_ids[%d]", n), "ITEM_UNKNOWN", "the request has no such item")
			}
		}
		if rec.State != lifecycle.Open {
			return apierr.Precondition("REQUEST_NOT_OPEN", "nothing is left to decide about this request")
		}
		tasks, err := a.RemindAll(a.events.Time, r.ItemIDs...)
		var soon *lifecycle.TooSoonError
		switch {
		case errors.As(err, &soon):
			return apierr.Precondition("REMINDED_RECENTLY", "the reviewers were reminded in the last %d hours", lifecycle.RemindAgainAfter/time.Hour).
				With("next_time", soon.Next.UTC().Format(time.RFC3339))
		case errors.Is(err, lifecycle.ErrNobodyToRemind):
			return apierr.Precondition("NOBODY_TO_REMIND", "nobody is asked at present who could be reminded")
		case err != nil:
			return err
		}
		asked := make(map[string]bool)
		for _, t := range tasks {
			asked[t.Reviewer.ID] = true
		}
		people, next = len(asked), a.AskedTime.Add(lifecycle.RemindAgainAfter)
		a.events.Reminded(convert.UserActor(r.By), tasks)
		return c.save(ctx, tx, a)
	})
	return people, next, err
}
