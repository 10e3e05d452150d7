package command

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/provisioning/internal/convert"
	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// longest is how far ahead a checklist may be due, and how long people may have for one.
const longest = 365 * 24 * time.Hour

// DefaultChecklistSettings are those of organizations that have set none.
func DefaultChecklistSettings(org uuid.UUID) ChecklistSettings {
	return store.DefaultChecklistSettings(org)
}

// awaitDue has checklists that have been opened looked at when they should be done, and
// those that have been closed not.
func (cs *changeset) awaitDue(lists []uuid.UUID) error {
	var items []due.Item
	var closed []uuid.UUID
	for _, id := range lists {
		changed := false
		for _, c := range cs.counts[id] {
			changed = changed || c.Opened || c.Closed
		}
		switch now := cs.counts[id][len(cs.counts[id])-1].Checklist; {
		case !changed || now.DueTime == nil:
		case now.OpenCount > 0:
			items = append(items, dueAt(cs.org, now))
		default:
			closed = append(closed, id)
		}
	}
	cs.e.due.Remove(cs.tx, dueChecklist, closed...)
	return cs.e.due.Add(cs.tx, items...) //nolint:wrapcheck // it says what it does
}

func dueAt(org uuid.UUID, c store.Checklist) due.Item {
	return due.Item{Kind: dueChecklist, Key: c.ID, OrganizationID: org, Time: *c.DueTime}
}

// checklistsDue looks at checklists as they are now: those that are open after the time
// by which they should be done become overdue, once for each such time.
func (e *Engine) checklistsDue(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	lists, err := store.LockChecklists(ctx, tx, postgres.Column(items, func(i due.Item) uuid.UUID { return i.Key }))
	if err != nil {
		return err
	}
	for i := range lists {
		c, now := &lists[i], e.clock.Now()
		switch {
		case c.CloseTime != nil || c.DueTime == nil || c.Overdue:
		case c.DueTime.After(now):
			if err := e.due.Add(tx, dueAt(c.OrganizationID, c.Checklist)); err != nil {
				return err //nolint:wrapcheck // it says what it does
			}
		default:
			if err := e.saveOverdue(ctx, tx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// dateChecklists gives open checklists that have none a time by which they should be done,
// as if they opened now.
func (e *Engine) dateChecklists(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	lists, err := store.LockChecklists(ctx, tx, postgres.Column(items, func(i due.Item) uuid.UUID { return i.Key }))
	if err != nil {
		return err
	}
	settings, err := store.GetChecklistSettings(ctx, tx, items[0].OrganizationID, false)
	if err != nil {
		return err
	}
	for i := range lists {
		c := &lists[i]
		if c.CloseTime != nil || c.DueTime != nil {
			continue
		}
		period := settings.Offboarding
		if c.Kind == lifecycle.Onboarding {
			period = settings.Onboarding
		}
		at := e.clock.Now().Add(period).Truncate(time.Microsecond)
		c.DueTime = &at
		c.Version++
		if err := store.SetDue(ctx, tx, c.Checklist); err != nil {
			return err
		}
		if err := e.emit(ctx, tx, c.OrganizationID, c.ID, &eventv1.ChecklistUpdated{Context: aboutChecklist(system(), c), Checklist: convert.Checklist(c)}); err != nil {
			return err
		}
		if err := e.due.Add(tx, dueAt(c.OrganizationID, c.Checklist)); err != nil {
			return err //nolint:wrapcheck // it says what it does
		}
	}
	return nil
}

// saveOverdue has a checklist be overdue, and emits it.
func (e *Engine) saveOverdue(ctx context.Context, tx *postgres.Tx, c *store.NamedChecklist) error {
	c.Overdue = true
	c.Version++
	if err := store.SetDue(ctx, tx, c.Checklist); err != nil {
		return err
	}
	return e.emit(ctx, tx, c.OrganizationID, c.ID, &eventv1.ChecklistOverdue{Context: aboutChecklist(system(), c), Checklist: convert.Checklist(c)})
}

func aboutChecklist(by *eventv1.Actor, c *store.NamedChecklist) *eventv1.Context {
	return &eventv1.Context{Actor: by, UserId: c.UserID.String(), EnvironmentId: convert.Environment(c.EnvironmentID), Version: c.Version}
}

// UpdateChecklist changes until when an open checklist of the caller's scope should be
// done; change gives that. One that is so late already is overdue at once. NOT_FOUND:
// CHECKLIST_NOT_FOUND. FAILED_PRECONDITION: CHECKLIST_CLOSED. INVALID_ARGUMENT:
// DUE_TIME_INVALID on due_time.
func (e *Engine) UpdateChecklist(ctx context.Context, by authz.Caller, id uuid.UUID, change func(*Checklist) (*time.Time, error)) (c Checklist, err error) {
	err = e.in(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		found, err := store.LockChecklists(ctx, tx, []uuid.UUID{id})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return store.ErrChecklistNotFound
		}
		c = found[0]
		to, err := change(&c)
		if err != nil {
			return err
		}
		now := e.clock.Now()
		switch {
		case c.CloseTime != nil:
			return errChecklistClosed(id)
		case to == nil:
			return apierr.InvalidField("due_time", "DUE_TIME_INVALID", "a checklist has a time by which it should be done")
		case to.Before(c.CreateTime.Truncate(time.Second)) || to.After(now.Add(longest)):
			return apierr.InvalidField("due_time", "DUE_TIME_INVALID", "the time is not before the checklist was made and at most 365 days ahead")
		}
		at := to.Truncate(time.Microsecond)
		if c.DueTime != nil && c.DueTime.Equal(at) {
			return nil
		}
		c.DueTime, c.Overdue = &at, false
		c.Version++
		if err := store.SetDue(ctx, tx, c.Checklist); err != nil {
			return err
		}
		if err := e.emit(ctx, tx, c.OrganizationID, c.ID, &eventv1.ChecklistUpdated{Context: aboutChecklist(event.CallerActor(by), &c), Checklist: convert.Checklist(&c)}); err != nil {
			return err
		}
		if !at.After(now) {
			e.due.Remove(tx, dueChecklist, c.ID)
			return e.saveOverdue(ctx, tx, &c)
		}
		return e.due.Add(tx, dueAt(c.OrganizationID, c.Checklist)) //nolint:wrapcheck // it says what it does
	})
	return c, public(err)
}

// GetChecklistSettings returns the settings of the caller's organization.
func (e *Engine) GetChecklistSettings(ctx context.Context, caller authz.Caller) (s ChecklistSettings, err error) {
	err = e.read(ctx, caller, func(ctx context.Context, tx *postgres.Tx) (err error) {
		s, err = store.GetChecklistSettings(ctx, tx, caller.OrganizationID, false)
		return err
	})
	return s, err
}

// UpdateChecklistSettings changes the settings of the caller's organization; change gives
// what they are to be. PERMISSION_DENIED: NOT_IN_ENVIRONMENT. INVALID_ARGUMENT:
// PERIOD_INVALID, naming the field.
func (e *Engine) UpdateChecklistSettings(ctx context.Context, by authz.Caller, change func(ChecklistSettings) (ChecklistSettings, error)) (s ChecklistSettings, err error) {
	if !by.Scope().Whole() {
		return s, errWholeOrganization
	}
	err = e.in(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		before, err := store.GetChecklistSettings(ctx, tx, by.OrganizationID, true)
		if err != nil {
			return err
		}
		if s, err = change(before); err != nil {
			return err
		}
		for field, d := range map[string]time.Duration{"onboarding_period": s.Onboarding, "offboarding_period": s.Offboarding} {
			if d < 0 || d > longest || d%time.Second != 0 {
				return apierr.InvalidField(field, "PERIOD_INVALID", "a period is 0 to 365 days, in whole seconds")
			}
		}
		if s == before {
			return nil
		}
		s.Version = before.Version + 1
		if err := store.UpdateChecklistSettings(ctx, tx, s); err != nil {
			return err
		}
		about := &eventv1.Context{Actor: event.CallerActor(by), Version: s.Version}
		return e.emit(ctx, tx, by.OrganizationID, by.OrganizationID, &eventv1.ChecklistSettingsUpdated{Context: about, ChecklistSettings: convert.ChecklistSettings(&s)})
	})
	return s, public(err)
}

// emit emits one event.
func (e *Engine) emit(ctx context.Context, tx *postgres.Tx, org, about uuid.UUID, m proto.Message) error {
	return e.events.Add(ctx, tx, outbox.Event{OrganizationID: org, AggregateID: about, Time: e.clock.Now(), Message: m})
}
