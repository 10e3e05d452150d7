package command

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/lifecycle"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

const (
	// delegationTime is about a delegation, by its id, when it begins and when it ends.
	delegationTime = "delegation"
	// lookAgainAfter is how long after its begin the tasks of the delegator are looked at
	// once more: a transaction that opened a step then may not have seen it.
	lookAgainAfter = time.Minute
)

// Delegating is a delegation that somebody makes.
type Delegating struct {
	By lifecycle.Person
	// ForOthers says that By may make one for everybody of the scope.
	ForOthers               bool
	DelegatorID, DelegateID string
	// From is when it begins; zero for now.
	From, Until time.Time
	Reason      string
}

// CreateDelegation makes a delegation. Who has just come is waited for.
func (c *Commands) CreateDelegation(ctx context.Context, s scope.Scope, in Delegating) (out *approvalv1.Delegation, err error) {
	if in.DelegatorID == "" {
		in.DelegatorID = in.By.ID
	}
	if in.DelegatorID != in.By.ID && !in.ForOthers {
		return nil, apierr.Denied("DELEGATOR_IS_ANOTHER", "whoever is no admin delegates what they decide themselves")
	}
	ids := copies.IDs{copies.Users: {uuid.MustParse(in.DelegatorID), uuid.MustParse(in.DelegateID)}}
	err = copies.WhenKnown(ctx, c.DB, c.Progress, s.OrganizationID, ids, func() error {
		return c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
			d, err := c.delegation(ctx, tx, s, in)
			if err != nil {
				return err
			}
			if err := c.Due.Add(tx, due.Item{Kind: delegationTime, Key: uuid.MustParse(d.ID), OrganizationID: d.OrganizationID, Time: d.From}); err != nil {
				return err
			}
			if err := c.Store.InsertDelegation(ctx, tx, d, convert.DelegationCreated(d)); err != nil {
				return err
			}
			out = convert.Delegation(d, c.Clock.Now())
			return idempotency.Save(ctx, tx, &approvalv1.CreateDelegationResponse{Delegation: out})
		})
	}, reasonUserUnknown)
	return out, err
}

// delegation checks a delegation that is to be made. From then on nobody else makes one
// until the transaction ends.
func (c *Commands) delegation(ctx context.Context, tx *postgres.Tx, s scope.Scope, in Delegating) (d store.Delegation, err error) {
	now := c.Clock.Now()
	people, err := c.Store.Delegating(ctx, tx, in.DelegatorID)
	if err != nil {
		return d, err
	}
	delegator, known := people[in.DelegatorID]
	if !known || !s.Whole() && delegator.EnvironmentID != s.EnvironmentID.String() {
		return d, apierr.InvalidField("delegator_id", reasonUserUnknown, "there is no such user")
	}
	// Whom an environment delegates to may be the organization's.
	if err := tx.Widen(ctx); err != nil {
		return d, err
	}
	if people, err = c.Store.Delegating(ctx, tx, in.DelegateID); err != nil {
		return d, err
	}
	delegate, known := people[in.DelegateID]
	d = store.Delegation{OrganizationID: s.OrganizationID, Delegation: lifecycle.Delegation{
		ID: newID(), EnvironmentID: delegator.EnvironmentID, Delegator: delegator.Person, Delegate: delegate.Person,
		From: in.From, Until: in.Until.Truncate(time.Microsecond), Reason: strings.TrimSpace(in.Reason), Creator: in.By, CreateTime: now.Truncate(time.Microsecond),
	}}
	if d.From.Before(now) {
		d.From = now
	}
	d.From = d.From.Truncate(time.Microsecond)
	field := apierr.InvalidField
	switch {
	case !known || !s.Whole() && delegate.EnvironmentID != "" && delegate.EnvironmentID != s.EnvironmentID.String():
		return d, field("delegate_id", reasonUserUnknown, "there is no such user")
	case !delegator.IsPerson:
		return d, field("delegator_id", "NOT_A_PERSON", "only people decide, and delegate that")
	case delegate.ID == delegator.ID:
		return d, field("delegate_id", "DELEGATE_IS_DELEGATOR", "somebody else decides for who is absent")
	case !delegate.CanDecide || delegate.External || delegate.EnvironmentID != "" && delegate.EnvironmentID != delegator.EnvironmentID:
		return d, field("delegate_id", "DELEGATE_CANNOT_DECIDE", "this user is not active, is external or a program, or may not decide where the other may")
	case !d.Until.After(now):
		return d, field("until", "END_PASSED", "the end has passed")
	case !d.Until.After(d.From):
		return d, field("until", "END_BEFORE_START", "it ends after it begins")
	case d.Until.After(d.From.Add(lifecycle.MaxDelegation)):
		return d, field("until", "DELEGATION_TOO_LONG", "it runs for %d days at most", lifecycle.MaxDelegation/(24*time.Hour))
	}
	if err := c.Store.LockDelegating(ctx, tx, s.OrganizationID); err != nil {
		return d, err
	}
	open, err := c.Store.OpenDelegations(ctx, tx, s.OrganizationID)
	if err != nil {
		return d, err
	}
	for _, o := range open {
		if o.Delegator.ID == d.Delegator.ID && !o.Ended(now) && o.Overlaps(d.Delegation) {
			return d, apierr.Precondition("DELEGATION_OVERLAPS", "%s has delegated to %s from %s until %s already; end that first", o.Delegator.Name, o.Delegate.Name,
				o.From.UTC().Format(time.DateOnly), o.Until.UTC().Format(time.DateOnly))
		}
	}
	if chain := d.Cycle(open); chain != nil {
		names := make([]string, len(chain))
		for n, p := range chain {
			names[n] = p.Name
		}
		return d, apierr.Precondition("DELEGATION_CYCLE", "it would come back to who delegates: %s", strings.Join(names, " → "))
	}
	return d, nil
}

// ListDelegations lists those of a person, or with an empty id those of the scope.
func (c *Commands) ListDelegations(ctx context.Context, s scope.Scope, of string, ended bool, asked filter.Request) (out []*approvalv1.Delegation, next string, err error) {
	page, err := store.DelegationList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.DB.InRead(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		found, token, err := c.Store.Delegations(ctx, tx, s.OrganizationID, of, ended, page)
		next, out = token, nil
		for _, d := range found {
			out = append(out, convert.Delegation(d, c.Clock.Now()))
		}
		return err
	})
	return out, next, err
}

// EndDelegation ends a delegation before its time.
func (c *Commands) EndDelegation(ctx context.Context, s scope.Scope, by lifecycle.Person, forOthers bool, id string) (out *approvalv1.Delegation, err error) {
	err = c.DB.In(ctx, s, func(ctx context.Context, tx *postgres.Tx) error {
		d, err := c.Store.Delegation(ctx, tx, id)
		if errors.Is(err, store.ErrDelegationNotFound) || err == nil && d.Delegator.ID != by.ID && !forOthers {
			return apierr.NotFound("DELEGATION_NOT_FOUND", "there is no such delegation of yours")
		}
		if err != nil {
			return err
		}
		if err := tx.Widen(ctx); err != nil {
			return err
		}
		if !d.Ended(c.Clock.Now()) {
			if err := c.endDelegation(ctx, tx, &d, by); err != nil {
				return err
			}
		}
		out = convert.Delegation(d, c.Clock.Now())
		return nil
	})
	return out, err
}

// endDelegation ends a delegation, and has what is open come back.
func (c *Commands) endDelegation(ctx context.Context, tx *postgres.Tx, d *store.Delegation, by lifecycle.Person) error {
	// What it leads to is looked up while it still does.
	if err := c.lookAtDelegated(ctx, tx, *d); err != nil {
		return err
	}
	d.EndTime, d.EndedBy = c.Clock.Now().Truncate(time.Microsecond), by
	c.Due.Remove(tx, delegationTime, uuid.MustParse(d.ID))
	return c.Store.EndDelegation(ctx, tx, *d, convert.DelegationEnded(*d))
}

// lookAtDelegated has maintenance look at the open tasks that a delegation is about:
// those of the delegator, and of whom they may have come to.
func (c *Commands) lookAtDelegated(ctx context.Context, tx *postgres.Tx, d store.Delegation) error {
	people := store.NewPeople()
	if err := c.Store.LoadPeople(ctx, tx, d.OrganizationID, people, store.PeopleQuery{Absences: true}); err != nil {
		return err
	}
	var reviewers []uuid.UUID
	for _, id := range append([]string{d.Delegator.ID, d.Delegate.ID}, people.Behind(d.Delegate.ID)...) {
		reviewers = append(reviewers, uuid.MustParse(id))
	}
	found, err := c.Store.Recheck(ctx, tx, reviewers, nil)
	if found {
		tx.AfterCommit(c.Maintenance.Wake)
	}
	return err
}

// delegationsDue begins and ends delegations, as they are now.
func (c *Commands) delegationsDue(ctx context.Context, tx *postgres.Tx, items []due.Item) error {
	for _, i := range items {
		d, err := c.Store.Delegation(ctx, tx, i.Key.String())
		if errors.Is(err, store.ErrDelegationNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		now := c.Clock.Now()
		switch {
		case !d.EndTime.IsZero():
			continue
		case !d.Until.After(now):
			if err := c.endDelegation(ctx, tx, &d, lifecycle.Person{}); err != nil {
				return err
			}
			continue
		case d.Active(now):
			if err := c.lookAtDelegated(ctx, tx, d); err != nil {
				return err
			}
		}
		i.Time = d.Until
		for _, t := range []time.Time{d.From.Add(lookAgainAfter), d.From} {
			if t.After(now) && t.Before(i.Time) {
				i.Time = t
			}
		}
		if err := c.Due.Add(tx, i); err != nil {
			return err
		}
	}
	return nil
}
