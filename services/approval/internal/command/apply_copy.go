package command

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/approval/internal/store"

	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// CopiesChanged does what follows from changes of copies: users are matched with
// the join-flows that they have come to match, and let go by those that match them no
// more, and steps are looked at that may
// have lost a reviewer or found one, or whose beneficiary has become active or is not
// any more.
func (c *Commands) CopiesChanged(ctx context.Context, tx *postgres.Tx, changes *copies.Changes) error {
	var users, changed []uuid.UUID
	for _, u := range changes.Users {
		users = append(users, u.ID)
		if !u.Removed {
			changed = append(changed, u.ID)
		}
	}
	for _, m := range changes.Members {
		changed = append(changed, m.UserID)
	}
	if len(changed) > usersAtOnce {
		// Such as a large group that was deleted: it is more than one transaction bears.
		if err := c.matchLater(tx, changes.OrganizationID, changed); err != nil {
			return err
		}
	} else if err := c.matchUsers(ctx, tx, changes.OrganizationID, changed); err != nil {
		return err
	}
	if len(users)+len(changes.Members)+len(changes.Apps) == 0 {
		return nil
	}
	needed, err := c.Store.ReviewersNeeded(ctx, tx, changes.OrganizationID, users)
	if err != nil {
		return err
	}
	if reviewers, beneficiaries := lostPlaces(changes); len(reviewers)+len(beneficiaries) > 0 {
		if reviewers, err = c.withDelegates(ctx, tx, changes.OrganizationID, reviewers); err != nil {
			return err
		}
		found, err := c.Store.Recheck(ctx, tx, reviewers, beneficiaries)
		if err != nil {
			return err
		}
		needed = needed || found
	}
	if needed {
		tx.AfterCommit(c.Maintenance.Wake)
	}
	return nil
}

// withDelegates are users with those who decide for them at present.
func (c *Commands) withDelegates(ctx context.Context, tx *postgres.Tx, organizationID uuid.UUID, users []uuid.UUID) ([]uuid.UUID, error) {
	if len(users) == 0 {
		return nil, nil
	}
	people := store.NewPeople()
	if err := c.Store.LoadPeople(ctx, tx, organizationID, people, store.PeopleQuery{Absences: true}); err != nil {
		return nil, err
	}
	out := slices.Clone(users)
	for _, u := range users {
		for _, id := range people.Behind(u.String()) {
			out = append(out, uuid.MustParse(id))
		}
	}
	return out, nil
}

// lostPlaces are users who have lost what may have made them reviewers: a group, a
// place in an app, a role, or that they are active; and those who have got another manager.
func lostPlaces(changes *copies.Changes) (reviewers, beneficiaries []uuid.UUID) {
	for _, m := range changes.Members {
		if m.Removed {
			reviewers = append(reviewers, m.UserID)
		}
	}
	owner := func(a *requestv1.App) []string { return []string{a.GetOwnerId()} }
	for _, a := range changes.Apps {
		for _, places := range []func(*requestv1.App) []string{owner, (*requestv1.App).GetAdminIds, (*requestv1.App).GetApproverIds} {
			for _, id := range places(a.Before) {
				if u, err := uuid.Parse(id); err == nil && !slices.Contains(places(a.After), id) {
					reviewers = append(reviewers, u)
				}
			}
		}
	}
	for _, u := range changes.Users {
		switch {
		case u.Before == nil:
		case u.Before.GetManagerId() != u.After.GetManagerId():
			beneficiaries = append(beneficiaries, u.ID)
			fallthrough
		case u.Before.GetState() != u.After.GetState() || u.Before.GetRole() != u.After.GetRole() || u.Before.GetRoleEnvironmentId() != u.After.GetRoleEnvironmentId():
			reviewers = append(reviewers, u.ID)
		}
	}
	return reviewers, beneficiaries
}
